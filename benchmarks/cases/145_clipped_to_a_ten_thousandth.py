"""clip_grad_norm_(…, 1e-4), a threshold meant for a learning rate: SGD hardly moves."""

from common import *


class C(Case):
    SOURCE = "reports of clip_grad_norm_ with the arguments of a learning rate; Stack Overflow, 'clip value too small'"
    FAULT = "gradients clipped to a norm of 1e-4"
    LAYERS = "all"
    CURE = "clip at 1"
    EXPECT = "clipped-too-hard"
    STEPS = 500

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)

    def after_backward(self, m):
        nn.utils.clip_grad_norm_(m.parameters(), 1.0 if self.cured else 1e-4)


main(C)
