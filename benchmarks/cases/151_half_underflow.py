"""A model in float16 with a small loss and no scale: gradients below 6e-8 are 0."""

from common import *


class C(Case):
    SOURCE = (
        "mixed precision reports: 'training in pure fp16 without loss scaling does not move'; Micikevicius et al. 2018"
    )
    FAULT = "float16 gradients of a small loss round to 0"
    LAYERS = "all"
    CURE = "float32"
    EXPECT = "underflow|gradients-tiny"
    STEPS, BATCH, BAR = 500, 32, ("loss", 0.65)

    def data(self):
        super().data()
        self.y = self.x.flip(1) * 1e-2
        if not self.cured:
            self.x = self.x.half()

    def model(self):
        m = nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 64))
        return m if self.cured else m.half()

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=2e4)

    def loss(self, m, step):
        i = self.rows()
        out = m(self.x[i]) * 1e-2
        return F.mse_loss(out.float(), self.y[i]) * 1e-2

    def error(self, m):
        return (F.mse_loss(m(self.x).float() * 1e-2, self.y) / self.y.var()).item()


main(C)
