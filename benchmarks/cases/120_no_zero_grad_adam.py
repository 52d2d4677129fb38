"""zero_grad once an epoch instead of once a step, with Adam on a regression."""

from common import *


class C(Case):
    SOURCE = "tatsu-lab/alpaca_farm#58, snakers4/silero-vad#699; zero_grad at the wrong level of indentation"
    FAULT = "optimizer.zero_grad() never inside the loop, Adam"
    LAYERS = "all"
    CURE = "zero_grad before backward"
    EXPECT = "gradients-accumulate"
    STEPS, BAR = 800, ("loss", 0.1)

    def data(self):
        g = torch.Generator().manual_seed(17)
        self.x = torch.randn(1500, 10, generator=g)
        self.y = torch.sin(2 * self.x[:, :1]) + self.x[:, 1:2] * self.x[:, 2:3]

    def model(self):
        return nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=1e-2)

    def loss(self, m, step):
        i = self.rows()
        return F.mse_loss(m(self.x[i]), self.y[i])

    def step(self, m, opt, step, clip):
        if self.cured:
            return super().step(m, opt, step, clip)
        loss = self.loss(m, step)
        loss.backward()
        opt.step()
        return loss

    def error(self, m):
        return (F.mse_loss(m(self.x), self.y) / self.y.var()).item()


main(C)
