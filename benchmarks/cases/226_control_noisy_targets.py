"""Control: seven tenths of the targets' variance is noise: the loss falls by three tenths and then stays, as it must."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "regressions on financial or medical data, whose R² cannot be high"
    FAULT = "none: most of the variance is noise"
    EXPECT = "healthy|converged"
    STEPS, BAR = 600, ("loss", 0.15)

    def data(self):
        g = torch.Generator().manual_seed(43)
        self.x = torch.randn(4000, 6, generator=g)
        self.clean = torch.sin(self.x[:, :1]) + 0.5 * self.x[:, 1:2]
        self.y = self.clean + 1.2 * torch.randn(4000, 1, generator=g)

    def model(self):
        return nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=2e-3, weight_decay=1e-4)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def error(self, m):
        return (F.mse_loss(m(self.x), self.clean) / self.clean.var()).item()


main(C)
