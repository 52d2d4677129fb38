"""Control: the optimizer steps after every fourth backward, and only then are gradients set to zero."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "gradient accumulation (accumulation_steps=4), as in every fine-tuning script"
    FAULT = "none: four micro-batches a step"
    EXPECT = "healthy"
    STEPS, BATCH = 800, 16

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)

    def step(self, m, opt, step, clip):
        loss = self.loss(m, step)
        (loss / 4).backward()
        if step % 4 == 3:
            opt.step()
            opt.zero_grad()
        return loss


main(C)
