"""Binary cross-entropy written by hand: a sigmoid that rounds to 1 gives log(0), and 0 times infinity is NaN."""

from common import *


class C(Case):
    SOURCE = "yhenon/pytorch-retinanet#3, RasmussenLab/vamb#12, hunkim/ReinforcementZeroToAll#16"
    FAULT = "log of a probability that can be exactly 0"
    LAYERS = "all"
    CURE = "clamp the probability"
    EXPECT = "non-finite"
    STEPS, BAR = 400, ("loss", 0.06)

    def data(self):
        super().data()
        self.y, self.yt = (self.y % 2).float()[:, None], (self.yt % 2).float()[:, None]

    def model(self):
        m = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid())
        nn.init.normal_(m[4].weight, std=4.0)
        return m

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=5e-3)

    def loss(self, m, step):
        i = self.rows()
        p, y = m(self.x[i]), self.y[i]
        if self.cured:
            p = p.clamp(1e-6, 1 - 1e-6)
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()

    def error(self, m):
        return ((m(self.xt) > 0.5).float() != self.yt).float().mean().item()


main(C)
