"""Control: AdamW with weight_decay 0.3, as for vision transformers: strong, and it learns."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "DeiT and MAE recipes (weight_decay 0.05 to 0.3)"
    FAULT = "none: AdamW with weight_decay 0.3"
    EXPECT = "healthy"
    STEPS = 500

    def model(self):
        return nn.Sequential(
            nn.Linear(64, 96),
            nn.LayerNorm(96),
            nn.GELU(),
            nn.Linear(96, 96),
            nn.LayerNorm(96),
            nn.GELU(),
            nn.Linear(96, 10),
        )

    def optim(self, m):
        return torch.optim.AdamW(m.parameters(), lr=3e-3, weight_decay=0.3)


main(C)
