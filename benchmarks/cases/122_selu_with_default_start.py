"""A self-normalizing network of 24 layers with PyTorch's default start, which is no LeCun normal."""

from common import *


class C(Case):
    SOURCE = "discuss.pytorch.org, 'SELU does not train deep' (PyTorch's Linear starts with a third of the variance)"
    FAULT = "SELU with nn.Linear's default start, 24 layers"
    LAYERS = "first layers"
    CURE = "LeCun normal start"
    EXPECT = "vanishing|collapsed"
    STEPS = 500

    def model(self):
        m = nn.Sequential(*[p for _ in range(24) for p in (nn.Linear(64, 64), nn.SELU())], nn.Linear(64, 10))
        if self.cured:
            for l in m:
                if isinstance(l, nn.Linear):
                    nn.init.normal_(l.weight, std=l.in_features**-0.5)
                    nn.init.zeros_(l.bias)
        return m

    def data(self):
        super().data()
        mean, std = self.x.mean(), self.x.std()
        self.x, self.xt = (self.x - mean) / std, (self.xt - mean) / std

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.01)


main(C)
