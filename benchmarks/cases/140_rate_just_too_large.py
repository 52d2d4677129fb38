"""Regression with momentum and a rate just above what the curvature allows: the loss jumps and gets nowhere."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'training loss oscillates / zigzags and does not go down'"
    FAULT = "SGD with momentum, lr 0.27"
    LAYERS = "all"
    CURE = "lr 0.03"
    EXPECT = "oscillating|rate-too-large|diverging|exploding"
    STEPS, BAR = 800, ("loss", 0.05)

    def data(self):
        g = torch.Generator().manual_seed(19)
        self.x = torch.randn(1000, 16, generator=g)
        self.y = torch.tanh(self.x @ torch.randn(16, 4, generator=g) / 2) @ torch.randn(4, 3, generator=g)

    def model(self):
        return nn.Sequential(nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.03 if self.cured else 0.27, momentum=0.9)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def error(self, m):
        return (F.mse_loss(m(self.x), self.y) / self.y.var()).item()


main(C)
