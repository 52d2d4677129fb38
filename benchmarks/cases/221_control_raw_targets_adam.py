"""Control: temperatures in degrees and pressures near 1000 as targets, not scaled; Adam gets there."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "tabular regressions with raw targets of moderate size"
    FAULT = "none: targets of 10 to 60, not scaled"
    EXPECT = "healthy"
    STEPS, BAR = 1000, ("loss", 0.1)

    def data(self):
        g = torch.Generator().manual_seed(41)
        self.x = torch.randn(1500, 6, generator=g)
        self.y = 30 + 8 * self.x[:, :1] + 6 * self.x[:, 1:2].sin() + 4 * self.x[:, 2:3].relu()

    def model(self):
        return nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def error(self, m):
        return (F.mse_loss(m(self.x), self.y) / self.y.var()).item()


main(C)
