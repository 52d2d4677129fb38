"""Control: a vocabulary of 5000 of which a batch uses 200: most rows of the embedding get no gradient."""

from common import *


class C(Case):
    CONTROL = True
    SOURCE = "text classifiers with nn.EmbeddingBag (PyTorch's tutorial on text classification)"
    FAULT = "none: most rows are unused"
    EXPECT = "healthy"
    STEPS, BATCH = 800, 32

    def data(self):
        pass

    def batch(self, n):
        y = torch.randint(4, (n,))
        x = (5000 * torch.rand(n, 12) ** 6).long()
        x[:, ::2] = x[:, ::2] // 4 * 4 + y[:, None]
        return x.clamp(max=4999), y

    def model(self):
        return nn.Sequential(nn.EmbeddingBag(5000, 32, mode="mean"), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=1e-2)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x), y)

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(400)
            return (m(x).argmax(1) == y).float().mean().item()


main(C)
