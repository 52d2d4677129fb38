"""Inputs and labels are shuffled each for itself: there is nothing to learn, and the loss is that of guessing."""

from common import *


class C(Case):
    SOURCE = "37 Reasons why your Neural Network is not working, no. 5 and 6 (inputs and labels in different orders)"
    FAULT = "labels in another order than inputs"
    LAYERS = "none"
    CURE = "one permutation for both"
    EXPECT = "not-learning"
    STEPS = 400

    def data(self):
        super().data()
        if not self.cured:
            self.y = self.y[torch.randperm(len(self.y))]

    def rows(self):
        return torch.randint(len(self.x), (self.BATCH,))

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1)


main(C)
