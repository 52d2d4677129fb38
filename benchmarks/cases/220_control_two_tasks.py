"""Control: a digit and its parity from one trunk; the loss of the one head is ten times that of the other."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.digit, self.ink = nn.Linear(64, 10), nn.Linear(64, 1)

    def forward(self, x):
        return self.digit(self.trunk(x))


class C(Case):
    CONTROL = True
    SOURCE = "multi-task learning with losses of unlike scale"
    FAULT = "none: two losses, one ten times the other"
    EXPECT = "healthy"
    STEPS = 1000

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=2e-3)

    def loss(self, m, step):
        i = self.rows()
        h = m.trunk(self.x[i])
        ink = F.mse_loss(m.ink(h)[:, 0], self.x[i].sum(1))
        return F.cross_entropy(m.digit(h), self.y[i]) + 0.1 * ink


main(C)
