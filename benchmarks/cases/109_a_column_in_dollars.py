"""A table whose columns are an age, a rate and a salary in dollars, into tanh, not standardized."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'neural network predicts the same class for every row' (features not scaled)"
    FAULT = "one column of 1e4..1e5 among small ones, tanh"
    LAYERS = "0"
    CURE = "standardize the columns"
    EXPECT = "inputs-out-of-scale"
    STEPS, BAR = 700, ("loss", 0.12)

    def data(self):
        g = torch.Generator().manual_seed(9)
        z = torch.randn(1500, 5, generator=g)
        self.y = (z[:, 0] + z[:, 1] * z[:, 2] - 0.7 * z[:, 3] > 0).long()
        scale, shift = torch.tensor([12.0, 0.05, 2.0e4, 3.0, 400.0]), torch.tensor([40.0, 0.3, 6.0e4, 5.0, 900.0])
        self.x = z if self.cured else z * scale + shift

    def model(self):
        return nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def error(self, m):
        return (m(self.x).argmax(1) != self.y).float().mean().item()


main(C)
