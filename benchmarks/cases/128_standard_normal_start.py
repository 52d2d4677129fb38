"""Weights torch.randn(n, m) without a scale: signals grow by a factor of 6 a layer."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'loss is nan from the first epoch' (np.random.randn weights not scaled)"
    FAULT = "weights N(0, 1), 8 ReLU layers"
    LAYERS = "all"
    CURE = "He start"
    EXPECT = "exploding|exploded"
    STEPS = 500

    def model(self):
        m = nn.Sequential(*[p for _ in range(8) for p in (nn.Linear(64, 64), nn.ReLU())], nn.Linear(64, 10))
        for l in m:
            if isinstance(l, nn.Linear):
                nn.init.kaiming_normal_(l.weight) if self.cured else nn.init.normal_(l.weight)
        return m

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=1e-3)


main(C)
