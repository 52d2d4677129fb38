"""Every weight starts at the same constant: all units of a layer stay alike."""

from common import *


class C(Case):
    SOURCE = (
        "Stack Overflow, 'why should weights of neural networks be initialized to random numbers'; nn.init.constant_"
    )
    FAULT = "nn.init.constant_(weight, 0.05)"
    LAYERS = "all"
    CURE = "random start"
    EXPECT = "collapsed|symmetric-weights|zero-weights"
    STEPS = 500

    def model(self):
        m = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
        for l in m:
            if isinstance(l, nn.Linear) and not self.cured:
                nn.init.constant_(l.weight, 0.05)
                nn.init.zeros_(l.bias)
        return m

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.2)


main(C)
