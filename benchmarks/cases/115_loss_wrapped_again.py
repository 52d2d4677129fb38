"""The loss is made a new tensor from its value: backward() runs without an error and reaches nothing."""

from common import *


class C(Case):
    SOURCE = (
        "discuss.pytorch.org, 'loss.backward() does not change the weights' (Variable(loss.data, requires_grad=True))"
    )
    FAULT = "torch.tensor(loss.item(), requires_grad=True)"
    LAYERS = "all"
    CURE = "the loss itself"
    EXPECT = "not-connected"
    STEPS = 400

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.2, momentum=0.9)

    def loss(self, m, step):
        loss = super().loss(m, step)
        return loss if self.cured else torch.tensor(loss.item(), requires_grad=True)


main(C)
