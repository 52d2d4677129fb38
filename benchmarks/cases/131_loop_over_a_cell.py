"""A loop over nn.RNNCell written by hand, 70 steps; what is asked for was said in the first one."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.cell, self.out = nn.RNNCell(4, 32, nonlinearity="relu" if cured else "tanh"), nn.Linear(32, 3)
        if cured:
            with torch.no_grad():
                self.cell.weight_hh.copy_(torch.eye(32))
                self.cell.bias_hh.zero_()
                self.cell.bias_ih.zero_()

    def forward(self, x):
        h = torch.zeros(len(x), 32)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.out(h)


class C(Case):
    SOURCE = "discuss.pytorch.org, 'RNNCell loop does not learn long sequences'; Le et al. 2015 (identity start)"
    FAULT = "tanh RNNCell over 70 steps"
    LAYERS = "cell, over time"
    CURE = "ReLU with an identity start"
    EXPECT = "vanishing-in-time"
    STEPS, BATCH = 400, 32

    def data(self):
        pass

    def batch(self, n):
        y = torch.randint(3, (n,))
        x = torch.zeros(n, 70, 4)
        x[:, :, 3] = 0.1 * torch.randn(n, 70)
        x[torch.arange(n), 0, y] = 1.0
        return x, y

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=1e-3)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x), y)

    def after_backward(self, m):
        if self.cured:
            nn.utils.clip_grad_norm_(m.parameters(), 1.0)

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(400)
            return (m(x).argmax(1) == y).float().mean().item()


main(C)
