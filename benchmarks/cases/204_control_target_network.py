"""Control: a DQN-like learner. The target network is a part of the module, called under no_grad, copied now and then."""

from common import *


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        self.target = copy.deepcopy(self.q)

    def forward(self, x):
        return self.q(x)


class C(Case):
    CONTROL = True
    SOURCE = "Mnih et al. 2015; PyTorch's DQN tutorial"
    FAULT = "none: target network under no_grad"
    EXPECT = "healthy"
    STEPS, BAR = 600, ("loss", 0.12)

    def data(self):
        pass

    def model(self):
        return Agent()

    def optim(self, m):
        return torch.optim.Adam(m.q.parameters(), lr=2e-3)

    def reward(self, s, a):
        return torch.where(a == 0, s[:, 0].sin() + s[:, 1], 1 - s[:, 0] * s[:, 1])

    def loss(self, m, step):
        if step % 50 == 0:
            m.target.load_state_dict(m.q.state_dict())
        s, s2 = torch.randn(self.BATCH, 2), torch.randn(self.BATCH, 2)
        a = torch.randint(2, (self.BATCH,))
        with torch.no_grad():
            aim = self.reward(s, a) + 0.5 * m.target(s2).amax(1)
        return F.smooth_l1_loss(m(s).gather(1, a[:, None])[:, 0], aim)

    def error(self, m):
        s = torch.randn(1000, 2)
        gap = m(s)[:, 0] - m(s)[:, 1]
        zero, one = (self.reward(s, torch.full((1000,), k)) for k in (0, 1))
        return ((gap > 0) != (zero > one)).float().mean().item()


main(C)
