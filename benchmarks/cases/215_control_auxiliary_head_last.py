"""Control: deep supervision. A small auxiliary head with a weight of 0.1 is called after the main one."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.deep = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.main_head, self.auxiliary = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x, both=False):
        h = self.stem(x)
        out = self.main_head(self.deep(h))
        return (out, self.auxiliary(h)) if both else out


class C(Case):
    CONTROL = True
    SOURCE = "GoogLeNet's and PSPNet's auxiliary classifiers (aux_logits)"
    FAULT = "none: an auxiliary head comes last"
    EXPECT = "healthy"
    STEPS = 500

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.5)

    def loss(self, m, step):
        i = self.rows()
        out, extra = m(self.x[i], both=True)
        return F.cross_entropy(out, self.y[i]) + 0.02 * F.cross_entropy(extra, self.y[i])


main(C)
