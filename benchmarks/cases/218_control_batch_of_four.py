"""Control: SGD with batches of four: the loss of a batch jumps between 0 and 4, and falls on the whole."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "PyTorch's CIFAR-10 tutorial (batch_size = 4, lr 0.001, momentum 0.9)"
    FAULT = "none: noisy small batches"
    EXPECT = "healthy"
    STEPS, BATCH = 2000, 4

    def model(self):
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3, padding=1),
            nn.ReLU(), nn.Flatten(), nn.Linear(256, 48), nn.ReLU(), nn.Linear(48, 10),
        )  # fmt: skip

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.005, momentum=0.9)


main(C)
