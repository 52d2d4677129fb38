"""Control: a sigmoid with BCELoss on an easy task; after a while it is saturated, because it is right."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "every tutorial on binary classification with nn.Sigmoid and nn.BCELoss"
    FAULT = "none: the output is saturated because it is right"
    EXPECT = "healthy|converged"
    STEPS, BAR = 600, ("loss", 0.02)

    def data(self):
        g = torch.Generator().manual_seed(31)
        self.y = (torch.rand(1000, 1, generator=g) > 0.5).float()
        self.x = torch.randn(1000, 8, generator=g) + 2.5 * (2 * self.y - 1)

    def model(self):
        return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        return F.binary_cross_entropy(m(self.x[i]), self.y[i])

    def error(self, m):
        return ((m(self.x) > 0.5).float() != self.y).float().mean().item()


main(C)
