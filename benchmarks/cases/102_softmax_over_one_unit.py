"""A binary classifier whose single output goes through a softmax: it is 1 whatever the input is."""

from common import *


class C(Case):
    SOURCE = "FluxML/Flux.jl#1546; Stack Overflow, 'Keras binary classification with softmax gives 50 % accuracy'"
    FAULT = "softmax over a single unit"
    LAYERS = "output"
    CURE = "sigmoid"
    EXPECT = "output-mismatch"
    STEPS, BATCH, BAR = 500, 64, ("loss", 0.1)

    def data(self):
        g = torch.Generator().manual_seed(3)
        self.x = torch.randn(1200, 10, generator=g)
        self.y = (self.x[:, :1] * self.x[:, 1:2] + 0.5 * self.x[:, 2:3] > 0).float()

    def model(self):
        last = nn.Sigmoid() if self.cured else nn.Softmax(dim=1)
        return nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), last)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        return F.binary_cross_entropy(m(self.x[i]), self.y[i])

    def error(self, m):
        return ((m(self.x) > 0.5).float() != self.y).float().mean().item()


main(C)
