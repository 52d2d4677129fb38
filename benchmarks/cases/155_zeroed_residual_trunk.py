"""An init_weights() that zeroes every convolution: its branch for convolutions was meant for biases."""

from common import *


class C(Case):
    SOURCE = "GitHub reports of an init function with nn.init.constant_(m.weight, 0) on convolutions"
    FAULT = "all convolutions start at zero"
    LAYERS = "convolutions"
    CURE = "kaiming_normal_"
    EXPECT = "zero-weights"
    STEPS = 350

    def model(self):
        m = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10),
        )  # fmt: skip
        for l in m:
            if isinstance(l, nn.Conv2d):
                nn.init.kaiming_normal_(l.weight) if self.cured else nn.init.zeros_(l.weight)
                nn.init.zeros_(l.bias)
        return m

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1)


main(C)
