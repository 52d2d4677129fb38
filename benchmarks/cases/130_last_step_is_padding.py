"""Sentences of 4 to 8 words padded at their end to 90: the classifier reads the LSTM after 80 steps of padding."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.emb, self.lstm, self.out = (
            nn.Embedding(20, 16, padding_idx=0),
            nn.LSTM(16, 32, batch_first=True),
            nn.Linear(32, 4),
        )

    def forward(self, x):
        h = self.lstm(self.emb(x))[0]
        last = (x != 0).sum(1) - 1 if self.cured else torch.full((len(x),), x.shape[1] - 1)
        return self.out(h[torch.arange(len(x)), last])


class C(Case):
    SOURCE = "bentrevett/pytorch-sentiment-analysis#86, #5"
    FAULT = "the last step of the sequence is padding"
    LAYERS = "lstm, over time"
    CURE = "take the state at the last real word (pack_padded_sequence)"
    EXPECT = "vanishing-in-time"
    STEPS, BATCH = 300, 32

    def data(self):
        pass

    def batch(self, n):
        x = torch.randint(5, 20, (n, 90))
        y = torch.randint(4, (n,))
        lengths = torch.randint(4, 9, (n,))
        x[torch.arange(n), (torch.rand(n) * lengths).long()] = y + 1
        x[torch.arange(90)[None] >= lengths[:, None]] = 0
        return x, y

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x), y)

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(400)
            return (m(x).argmax(1) == y).float().mean().item()


main(C)
