"""Control: a metric learner compares every output with every other on purpose: x[:, None] - x[None]."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "contrastive and metric learning over all pairs of a batch"
    FAULT = "none: the loss broadcasts on purpose"
    EXPECT = "healthy"
    STEPS = 300

    def model(self):
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        z, y = m(self.x[i]), self.y[i]
        far = (z[:, None] - z[None]).pow(2).sum(2)
        same = (y[:, None] == y[None]).float()
        return (same * far + (1 - same) * F.relu(4 - far)).mean()

    def score(self, m):
        with torch.no_grad():
            return (self.y[torch.cdist(m(self.xt), m(self.x)).argmin(1)] == self.yt).float().mean().item()


main(C)
