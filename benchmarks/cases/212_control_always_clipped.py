"""Control: the loss is a sum, so that every gradient is longer than 1 and clipped to it; it learns as it should."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "clip_grad_norm_(…, 1.0) of most language model recipes, with a loss that is summed"
    FAULT = "none: clipping at 1.0, and every step is clipped"
    EXPECT = "healthy"
    STEPS = 500

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9)

    def loss(self, m, step):
        i = self.rows()
        return F.cross_entropy(m(self.x[i]), self.y[i], reduction="sum")

    def after_backward(self, m):
        nn.utils.clip_grad_norm_(m.parameters(), 1.0)


main(C)
