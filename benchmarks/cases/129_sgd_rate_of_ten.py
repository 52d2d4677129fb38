"""SGD with lr 10, taken from a paper whose loss was a mean over far more."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'loss goes to nan / stays at 2.30 with a large learning rate'"
    FAULT = "SGD with lr 10"
    LAYERS = "all"
    CURE = "lr 0.1"
    EXPECT = "rate-too-large|diverging|oscillating|dead"
    STEPS = 400

    def model(self):
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10),
        )  # fmt: skip

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1 if self.cured else 10.0)


main(C)
