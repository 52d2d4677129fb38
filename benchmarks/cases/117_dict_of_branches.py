"""One branch for each view of the input, kept in a dict: PyTorch does not see them."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        branches = {k: nn.Sequential(nn.Linear(16, 3), nn.Tanh()) for k in ("top", "upper", "lower", "bottom")}
        self.branches = nn.ModuleDict(branches) if cured else branches
        self.out = nn.Linear(12, 10)

    def forward(self, x):
        return self.out(torch.cat([b(v) for b, v in zip(self.branches.values(), x.split(16, 1), strict=True)], 1))


class C(Case):
    SOURCE = "pytorch/pytorch#632, #10817"
    FAULT = "layers in a dict are not registered"
    LAYERS = "branches.*"
    CURE = "nn.ModuleDict"
    EXPECT = "unregistered"
    STEPS = 1500

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=5e-3)


main(C)
