"""zero_grad was forgotten: every step adds its gradient to all before."""

from common import *


class C(Case):
    SOURCE = "wenet-e2e/wekws#73, yastrebksv/TennisCourtDetector#7, pytorch/pytorch#47175"
    FAULT = "optimizer.zero_grad() is missing, SGD"
    LAYERS = "all"
    CURE = "zero_grad before backward"
    EXPECT = "gradients-accumulate"
    STEPS = 500

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1)

    def step(self, m, opt, step, clip):
        if self.cured:
            return super().step(m, opt, step, clip)
        loss = self.loss(m, step)
        loss.backward()
        opt.step()
        return loss


main(C)
