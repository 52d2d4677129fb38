"""Biases that start at -3 under ReLUs, as someone did it for the gates of an LSTM: every unit is off."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'all activations are zero, gradient zero' (negative bias, ReLU)"
    FAULT = "biases of -3 under ReLU"
    LAYERS = "0, 2"
    CURE = "biases of 0"
    EXPECT = "dead"
    STEPS = 400

    def model(self):
        m = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        for l in (m[0], m[2]):
            nn.init.constant_(l.bias, 0.0 if self.cured else -3.0)
        return m

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=2e-3)


main(C)
