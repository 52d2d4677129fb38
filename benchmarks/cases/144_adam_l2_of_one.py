"""Adam(weight_decay=1): L2 that is added to the gradient, on a regression with tanh."""

from common import *


class C(Case):
    SOURCE = "discuss.pytorch.org, 'weight decay in Adam makes all outputs the same'"
    FAULT = "Adam with weight_decay 1"
    LAYERS = "all"
    CURE = "weight_decay 1e-5"
    EXPECT = "weight-decay-dominates"
    STEPS, BAR = 600, ("loss", 0.15)

    def data(self):
        g = torch.Generator().manual_seed(23)
        self.x = torch.randn(1200, 8, generator=g)
        self.y = torch.sin(1.5 * self.x[:, :1]) + self.x[:, 1:2] * torch.tanh(self.x[:, 2:3])

    def model(self):
        return nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=5e-3, weight_decay=1e-5 if self.cured else 1.0)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def error(self, m):
        return (F.mse_loss(m(self.x), self.y) / self.y.var()).item()


main(C)
