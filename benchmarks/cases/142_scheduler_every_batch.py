"""StepLR meant for epochs is stepped after every batch: after a hundred steps the rate is a ten-thousandth."""

from common import *


class C(Case):
    SOURCE = "discuss.pytorch.org, 'where to call scheduler.step()'; reports of training that stops after one epoch"
    FAULT = "scheduler.step() every batch"
    LAYERS = "all"
    CURE = "scheduler.step() every epoch"
    EXPECT = "rate-too-small|frozen"
    STEPS = 600

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def optim(self, m):
        opt = torch.optim.SGD(m.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.StepLR(opt, 5, 0.5)
        return opt

    def step(self, m, opt, step, clip):
        loss = super().step(m, opt, step, clip)
        if not self.cured or step % 100 == 99:
            self.scheduler.step()
        return loss


main(C)
