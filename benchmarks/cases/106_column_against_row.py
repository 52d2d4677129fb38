"""Outputs (batch, 1) against targets (batch,) in mse_loss: every output is compared with every target."""

from common import *


class C(Case):
    SOURCE = "pytorch/pytorch#16045, #19699"
    FAULT = "outputs (B, 1), targets (B,): the loss broadcasts"
    LAYERS = "loss"
    CURE = "squeeze the outputs"
    EXPECT = "shapes-broadcast"
    STEPS, BAR = 500, ("loss", 0.2)

    def data(self):
        g = torch.Generator().manual_seed(7)
        self.x = torch.randn(1500, 12, generator=g)
        self.y = self.x[:, 0] + self.x[:, 1].abs() - self.x[:, 2] * self.x[:, 3]

    def model(self):
        return nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        out = m(self.x[i])
        return F.mse_loss(out.squeeze(1) if self.cured else out, self.y[i])

    def error(self, m):
        return (F.mse_loss(m(self.x)[:, 0], self.y) / self.y.var()).item()


main(C)
