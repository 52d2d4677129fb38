"""A hash code (z > 0).float() in the middle of a network: a comparison has no gradient."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.code = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
        self.classify = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        z = self.code(x)
        bits = (z > 0).float()
        if self.cured:
            soft = torch.sigmoid(z)
            bits = soft + (bits - soft).detach()
        return self.classify(bits)


class C(Case):
    SOURCE = "discuss.pytorch.org, 'gradient is None after a threshold' (straight-through estimator advised)"
    FAULT = "a comparison cuts the graph"
    LAYERS = "code.0, code.2"
    CURE = "straight-through estimator"
    EXPECT = "not-connected"
    STEPS, BAR = 1200, ("acc", 0.75)

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)


main(C)
