"""Prices in thousands as targets, trained with plain SGD: the loss is NaN after a few steps."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'loss is nan in linear regression with PyTorch' (targets not scaled)"
    FAULT = "targets of several hundred, SGD with lr 0.01"
    LAYERS = "all"
    CURE = "standardize the targets"
    EXPECT = "targets-out-of-scale|diverging|exploding|rate-too-large"
    STEPS, BAR = 800, ("loss", 0.2)

    def data(self):
        g = torch.Generator().manual_seed(11)
        self.x = torch.randn(1200, 8, generator=g)
        y = 350 + 80 * self.x[:, :1] + 60 * self.x[:, 1:2].relu() + 30 * self.x[:, 2:3]
        self.y = (y - y.mean()) / y.std() if self.cured else y

    def model(self):
        return nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.01)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def error(self, m):
        return (F.mse_loss(m(self.x), self.y) / self.y.var()).item()


main(C)
