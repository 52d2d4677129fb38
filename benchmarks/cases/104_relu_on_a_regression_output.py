"""A ReLU after the last layer of a regression whose targets are mostly below zero."""

from common import *


class C(Case):
    SOURCE = "discuss.pytorch.org, 'my regression network only predicts zeros' (relu on the last layer)"
    FAULT = "ReLU on the output, targets below 0"
    LAYERS = "output"
    CURE = "linear output"
    EXPECT = "output-mismatch|dead"
    STEPS, BAR = 600, ("loss", 0.15)

    def data(self):
        g = torch.Generator().manual_seed(5)
        self.x = torch.randn(1000, 6, generator=g)
        self.y = torch.sin(self.x[:, :1]) + 0.5 * self.x[:, 1:2] - 1.2

    def model(self):
        parts = [nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1)]
        return nn.Sequential(*parts) if self.cured else nn.Sequential(*parts, nn.ReLU())

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def error(self, m):
        return (F.mse_loss(m(self.x), self.y) / self.y.var()).item()


main(C)
