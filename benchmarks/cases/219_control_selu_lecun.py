"""Control: a self-normalizing network of 20 layers with the start that it needs."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "Klambauer et al. 2017"
    FAULT = "none: 20 SELU layers, LeCun normal"
    EXPECT = "healthy"
    STEPS = 400

    def data(self):
        super().data()
        mean, std = self.x.mean(), self.x.std()
        self.x, self.xt = (self.x - mean) / std, (self.xt - mean) / std

    def model(self):
        m = nn.Sequential(*[p for _ in range(20) for p in (nn.Linear(64, 64), nn.SELU())], nn.Linear(64, 10))
        for l in m:
            if isinstance(l, nn.Linear):
                nn.init.kaiming_normal_(l.weight, nonlinearity="linear")
                nn.init.zeros_(l.bias)
        return m

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.01)


main(C)
