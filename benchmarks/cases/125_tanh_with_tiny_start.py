"""Twelve tanh layers whose weights start at 0.01 times a normal: the CS231n lecture's example."""

from common import *


class C(Case):
    SOURCE = "CS231n, lecture on training neural networks (W = 0.01 * randn); many notebooks after it"
    FAULT = "weights N(0, 0.01), 12 tanh layers"
    LAYERS = "all hidden"
    CURE = "Xavier start"
    EXPECT = "vanishing|vanished|collapsed"
    STEPS = 500

    def model(self):
        m = nn.Sequential(*[p for _ in range(12) for p in (nn.Linear(64, 64), nn.Tanh())], nn.Linear(64, 10))
        for l in m:
            if isinstance(l, nn.Linear):
                nn.init.xavier_normal_(l.weight) if self.cured else nn.init.normal_(l.weight, std=0.01)
                nn.init.zeros_(l.bias)
        return m

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.05)


main(C)
