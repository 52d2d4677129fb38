"""A layer written by hand whose weight is a tensor with requires_grad, not an nn.Parameter."""

from common import *


class Projection(nn.Module):
    def __init__(self, n, k, cured):
        super().__init__()
        w = torch.randn(n, k) / n**0.5
        self.w = nn.Parameter(w) if cured else w.requires_grad_(True)

    def forward(self, x):
        return torch.relu(x @ self.w)


class C(Case):
    SOURCE = "discuss.pytorch.org, 'custom layer weights not updating'; nn.Parameter against torch.tensor"
    FAULT = "the weight is a plain tensor"
    LAYERS = "0"
    CURE = "nn.Parameter"
    EXPECT = "unregistered"
    STEPS = 1200

    def model(self):
        return nn.Sequential(Projection(64, 6, self.cured), nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 10))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=5e-3)


main(C)
