"""A GRU that is to recall the first of 150 symbols, as it comes from nn.GRU."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.gru, self.out = nn.GRU(6, 32, batch_first=True), nn.Linear(32, 4)
        if cured:
            with torch.no_grad():
                self.gru.bias_hh_l0[32:64] = torch.linspace(2.0, 5.0, 32)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1])


class C(Case):
    SOURCE = "Tallec & Ollivier 2018 (chrono initialization); reports of GRUs stuck at chance on the copy task"
    FAULT = "GRU, what matters is 150 steps back"
    LAYERS = "gru, over time"
    CURE = "update gate that starts closed (chrono initialization)"
    EXPECT = "vanishing-in-time"
    STEPS, BATCH = 350, 24

    def data(self):
        pass

    def batch(self, n):
        y = torch.randint(4, (n,))
        x = torch.zeros(n, 150, 6)
        x[:, :, 4] = 0.2 * torch.randn(n, 150)
        x[:, :, 5] = 1.0
        x[torch.arange(n), 0, y] = 1.0
        return x, y

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=5e-3)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x), y)

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(300)
            return (m(x).argmax(1) == y).float().mean().item()


main(C)
