"""Control: every branch is multiplied by a scalar that starts at 0: branches get no gradient in the first step."""

from common import *


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x + self.alpha * self.f(x)


class C(Case):
    CONTROL = True
    SOURCE = "Bachlechner et al. 2021 (ReZero); SkipInit; zero-initialized output projections of diffusion models"
    FAULT = "none: ReZero, 12 blocks"
    EXPECT = "healthy"
    STEPS = 400

    def model(self):
        return nn.Sequential(nn.Linear(64, 48), *[Block(48) for _ in range(12)], nn.Linear(48, 10))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=2e-3)


main(C)
