"""Control: a noiseless linear teacher; the loss goes to 1e-12 and every gradient with it."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "every first exercise on linear regression"
    FAULT = "none: the loss converges to 0"
    EXPECT = "healthy|converged"
    STEPS, BAR = 800, ("loss", 1e-5)

    def data(self):
        g = torch.Generator().manual_seed(37)
        self.x = torch.randn(500, 10, generator=g)
        self.y = self.x @ torch.randn(10, 2, generator=g)

    def model(self):
        return nn.Sequential(nn.Linear(10, 20), nn.Linear(20, 2))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.05)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def error(self, m):
        return F.mse_loss(m(self.x), self.y).item()


main(C)
