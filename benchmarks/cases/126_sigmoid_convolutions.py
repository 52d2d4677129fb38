"""A plain network of eight convolutions with sigmoids: the first ones get nothing."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'CNN with sigmoid does not learn, accuracy stays at 10 %'"
    FAULT = "eight convolutions with sigmoids, no skips"
    LAYERS = "first convolutions"
    CURE = "ReLU and BatchNorm"
    EXPECT = "vanishing|vanished"
    STEPS, BATCH = 250, 32

    def model(self):
        parts, n = [nn.Unflatten(1, (1, 8, 8))], 1
        for _ in range(8):
            parts.append(nn.Conv2d(n, 12, 3, padding=1))
            parts += [nn.BatchNorm2d(12), nn.ReLU()] if self.cured else [nn.Sigmoid()]
            n = 12
        return nn.Sequential(*parts, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(192, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9)


main(C)
