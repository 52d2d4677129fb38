"""The vocabulary does not know a word (upper case), and unknown is 0, which is the padding row, too."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.gru, self.out = (
            nn.Embedding(30, 16, padding_idx=0),
            nn.GRU(16, 32, batch_first=True),
            nn.Linear(32, 3),
        )

    def forward(self, x):
        return self.out(self.gru(self.emb(x))[1][0])


class C(Case):
    SOURCE = "GitHub reports of text classifiers at chance where every token is <unk>; padding_idx rows get no gradient"
    FAULT = "all tokens are the padding index"
    LAYERS = "emb"
    CURE = "the right vocabulary"
    EXPECT = "gradients-tiny|not-learning|collapsed"
    STEPS, BATCH = 300, 32

    def data(self):
        pass

    def batch(self, n):
        x = torch.randint(4, 30, (n, 10))
        y = torch.randint(3, (n,))
        x[torch.arange(n), torch.randint(10, (n,))] = y + 1
        return (x if self.cured else torch.zeros_like(x)), y

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
