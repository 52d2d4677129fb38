"""nn.RNN(nonlinearity='relu') over 80 steps with a Xavier start: its state grows without end."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.rnn, self.out = nn.RNN(5, 40, nonlinearity="relu", batch_first=True), nn.Linear(40, 5)
        if cured:
            with torch.no_grad():
                self.rnn.weight_hh_l0.copy_(0.9 * torch.eye(40))
        else:
            nn.init.kaiming_normal_(self.rnn.weight_hh_l0)
            self.rnn.weight_hh_l0.data *= 1.1

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])


class C(Case):
    SOURCE = "Stack Overflow, 'relu in a recurrent layer gives nan loss'"
    FAULT = "ReLU RNN over 80 steps, recurrent weights too large"
    LAYERS = "rnn, over time"
    CURE = "identity start of 0.9, clipping"
    EXPECT = "exploding-in-time|exploding"
    STEPS, BATCH = 400, 32

    def data(self):
        pass

    def batch(self, n):
        k = torch.randint(5, (n, 80))
        return F.one_hot(k, 5).float(), k[:, -1]

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1)

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
