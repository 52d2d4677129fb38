"""BatchNorm in every layer of a network that is trained with batches of two, because memory allows no more."""

from common import *


class C(Case):
    SOURCE = "tinghuiz/SfMLearner#30, YvanYin/GoalFlow#17, microsoft/CNTK#905"
    FAULT = "BatchNorm with a batch of 2"
    LAYERS = "every BatchNorm"
    CURE = "LayerNorm"
    EXPECT = "batch-too-small"
    STEPS, BATCH, BAR = 2500, 2, ("acc", 0.85)

    def model(self):
        norm = nn.LayerNorm if self.cured else nn.BatchNorm1d
        parts = [p for n in (64, 64, 64, 64, 64) for p in (nn.Linear(n, 64), norm(64), nn.ReLU())]
        return nn.Sequential(*parts, nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.01)


main(C)
