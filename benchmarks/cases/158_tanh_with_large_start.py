"""Tanh layers with weights N(0, 1): nearly every unit is at -1 or 1, and its slope is 0."""

from common import *


class C(Case):
    SOURCE = "CS231n, lecture on training neural networks (W = 1.0 * randn): 'almost all neurons saturated'"
    FAULT = "weights N(0, 1.5), 5 tanh layers"
    LAYERS = "hidden"
    CURE = "Xavier start"
    EXPECT = "saturated|exploding"
    STEPS = 500

    def model(self):
        m = nn.Sequential(
            *[p for n in (64, 128, 128, 128, 128) for p in (nn.Linear(n, 128), nn.Tanh())], nn.Linear(128, 10)
        )
        for l in m:
            if isinstance(l, nn.Linear):
                nn.init.xavier_normal_(l.weight) if self.cured else nn.init.normal_(l.weight, std=1.5)
        return m

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.02)


main(C)
