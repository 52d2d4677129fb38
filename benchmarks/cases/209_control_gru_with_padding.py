"""Control: a GRU classifier over sentences of unlike length, packed, with a padding row that gets no gradient."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.gru, self.out = (
            nn.Embedding(25, 16, padding_idx=0),
            nn.GRU(16, 32, batch_first=True),
            nn.Linear(32, 4),
        )

    def forward(self, x):
        lengths = (x != 0).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.emb(x), lengths, batch_first=True, enforce_sorted=False)
        return self.out(self.gru(packed)[1][0])


class C(Case):
    CONTROL = True
    SOURCE = "bentrevett/pytorch-sentiment-analysis (packed padded sequences)"
    FAULT = "none: GRU with padding that learns"
    EXPECT = "healthy"
    STEPS, BATCH = 400, 32

    def data(self):
        pass

    def batch(self, n):
        x, y = torch.randint(5, 25, (n, 20)), torch.randint(4, (n,))
        lengths = torch.randint(5, 21, (n,))
        x[torch.arange(n), (torch.rand(n) * lengths).long()] = y + 1
        x[torch.arange(20)[None] >= lengths[:, None]] = 0
        return x, y

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=5e-3)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x), y)

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(400)
            return (m(x).argmax(1) == y).float().mean().item()


main(C)
