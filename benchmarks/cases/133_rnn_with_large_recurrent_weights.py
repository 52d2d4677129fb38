"""A tanh RNN whose recurrent weights start at twice the critical size, and nothing is clipped."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.rnn, self.out = nn.RNN(3, 48, batch_first=True), nn.Linear(48, 1)
        nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=0.95 if cured else 2.5)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


class C(Case):
    SOURCE = "Pascanu, Mikolov & Bengio 2013; discuss.pytorch.org, 'RNN gradients explode with sequence length'"
    FAULT = "recurrent weights with gain 2.5, 60 steps, no clipping"
    LAYERS = "rnn, over time"
    CURE = "orthogonal start with a gain below 1, clipping at 1"
    EXPECT = "exploding-in-time|exploding"
    STEPS, BATCH, BAR = 350, 32, ("loss", 0.2)

    def data(self):
        pass

    def batch(self, n):
        x = torch.randn(n, 60, 3)
        return x, x[:, -8:, 0].mean(1, keepdim=True) * 3

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.05)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.mse_loss(m(x), y)

    def after_backward(self, m):
        if self.cured:
            nn.utils.clip_grad_norm_(m.parameters(), 1.0)

    def error(self, m):
        x, y = self.batch(500)
        return (F.mse_loss(m(x), y) / y.var()).item()


main(C)
