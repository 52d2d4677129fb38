"""Control: a pre-activation ResNet of 18 blocks; the gradient of a branch is small beside that of the trunk."""

from common import *


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.n1, self.c1 = nn.BatchNorm2d(c), nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.n2, self.c2 = nn.BatchNorm2d(c), nn.Conv2d(c, c, 3, padding=1, bias=False)

    def forward(self, x):
        h = self.c1(F.relu(self.n1(x)))
        return x + self.c2(F.relu(self.n2(h)))


class C(Case):
    CONTROL = True
    SOURCE = "He et al. 2016 (identity mappings)"
    FAULT = "none: 18 residual blocks"
    EXPECT = "healthy"
    STEPS, BATCH, BAR = 200, 32, ("acc", 0.85)

    def model(self):
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), *[Block(8) for _ in range(18)], nn.BatchNorm2d(8),
            nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(32, 10),
        )  # fmt: skip

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)


main(C)
