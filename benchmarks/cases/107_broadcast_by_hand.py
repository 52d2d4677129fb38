"""The critic of a reinforcement learner: returns (batch,) minus values (batch, 1) is a matrix."""

from common import *


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
        self.value = nn.Linear(64, 1)

    def forward(self, x):
        return self.value(self.body(x))


class C(Case):
    SOURCE = "sunwuzhou03/reinforcement-learning-lab#1; reports of critics that predict the mean return"
    FAULT = "(returns - values) ** 2 with shapes (B,) and (B, 1)"
    LAYERS = "loss"
    CURE = "values.squeeze(-1)"
    EXPECT = "shapes-broadcast|not-learning"
    STEPS, BAR = 700, ("loss", 0.2)

    def data(self):
        g = torch.Generator().manual_seed(8)
        self.x = torch.randn(2000, 8, generator=g)
        self.y = 2 * torch.tanh(self.x[:, 0]) + torch.cos(2 * self.x[:, 1]) + 0.3 * self.x[:, 2]

    def model(self):
        return Critic()

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        values = m(self.x[i])
        if self.cured:
            values = values.squeeze(-1)
        return 0.5 * (self.y[i] - values).pow(2).mean()

    def error(self, m):
        return (F.mse_loss(m(self.x)[:, 0], self.y) / self.y.var()).item()


main(C)
