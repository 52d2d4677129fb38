"""A time series forecast that ends in a tanh, with targets of up to ten."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured, self.gru, self.fc = cured, nn.GRU(1, 24, batch_first=True), nn.Linear(24, 1)

    def forward(self, x):
        out = self.fc(self.gru(x)[0][:, -1])
        return out if self.cured else torch.tanh(out)


class C(Case):
    SOURCE = "Stack Overflow, 'LSTM predicts only values between -1 and 1' (tanh on the last layer)"
    FAULT = "tanh output, targets from -10 to 10"
    LAYERS = "output"
    CURE = "linear output"
    EXPECT = "output-mismatch|targets-out-of-scale|saturated"
    STEPS, BATCH, BAR = 500, 32, ("loss", 0.1)

    def data(self):
        t = torch.arange(900) * 0.15
        self.s = 8 * torch.sin(t) + 2 * torch.sin(2.7 * t)

    def batch(self, n):
        i = torch.randint(len(self.s) - 21, (n,))
        w = torch.stack([self.s[k : k + 21] for k in i])
        return w[:, :-1, None] / 10, w[:, -1:]

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=1e-2)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.mse_loss(m(x), y)

    def error(self, m):
        x, y = self.batch(400)
        return (F.mse_loss(m(x), y) / y.var()).item()


main(C)
