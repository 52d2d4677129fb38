"""Control: weight normalization splits each matrix into a length and a direction, which are two parameters."""

from common import *
from torch.nn.utils.parametrizations import weight_norm


class C(Case):
    CONTROL = True
    SOURCE = "Salimans & Kingma 2016; WaveNet vocoders"
    FAULT = "none: weight normalization"
    EXPECT = "healthy"
    STEPS = 500

    def model(self):
        parts = [p for n in (64, 48, 48, 48) for p in (weight_norm(nn.Linear(n, 48)), nn.LeakyReLU(0.1))]
        return nn.Sequential(*parts, weight_norm(nn.Linear(48, 10)))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=2e-3)


main(C)
