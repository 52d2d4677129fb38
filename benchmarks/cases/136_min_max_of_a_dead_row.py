"""Features scaled to 0..1 inside the model: a row that is zero everywhere is 0 / 0."""

from common import *


class Scale(nn.Module):
    def __init__(self, eps):
        super().__init__()
        self.eps = eps

    def forward(self, x):
        low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
        return (x - low) / (high - low + self.eps)


class C(Case):
    SOURCE = "discuss.pytorch.org, 'nan after min-max normalization of a feature map'"
    FAULT = "(x - min) / (max - min) of a constant row"
    LAYERS = "2"
    CURE = "eps in the denominator"
    EXPECT = "non-finite"
    STEPS = 400

    def data(self):
        super().data()
        self.x[::40] = 0.0

    def model(self):
        eps = 1e-3 if self.cured else 0.0
        m = nn.Sequential(
            nn.Linear(64, 32, bias=False), nn.ReLU(), Scale(eps), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
        )
        return m

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)


main(C)
