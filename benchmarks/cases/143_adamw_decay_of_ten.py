"""AdamW with weight_decay=10: someone took 10 for a strong but possible value, as in other libraries."""

from common import *


class C(Case):
    SOURCE = "discuss.pytorch.org, 'AdamW weight_decay too large, model predicts a constant'"
    FAULT = "AdamW with weight_decay 10, lr 0.01"
    LAYERS = "all"
    CURE = "weight_decay 0.01"
    EXPECT = "weight-decay-dominates"
    STEPS = 400

    def model(self):
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip

    def optim(self, m):
        return torch.optim.AdamW(m.parameters(), lr=1e-2, weight_decay=1e-2 if self.cured else 10.0)


main(C)
