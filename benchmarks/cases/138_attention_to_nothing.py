"""A batch holds an empty sentence now and then: all its keys are masked, and the softmax is NaN."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.emb = nn.Embedding(12, 24, padding_idx=0)
        self.attention = nn.MultiheadAttention(24, 4, batch_first=True)
        self.norm, self.out = nn.LayerNorm(24), nn.Linear(24, 10)

    def forward(self, x):
        mask = x == 0
        if self.cured:
            mask = mask & ~mask.all(1, keepdim=True)
        h = self.emb(x)
        h = self.norm(h + self.attention(h, h, h, key_padding_mask=mask)[0])
        return self.out(h.masked_fill((x == 0)[:, :, None], 0.0).sum(1) / 4)


class C(Case):
    SOURCE = "pytorch/pytorch#40932, #41508, #24816"
    FAULT = "a fully masked row in attention"
    LAYERS = "attention"
    CURE = "never mask a whole row"
    EXPECT = "non-finite"
    STEPS, BATCH = 400, 64

    def data(self):
        pass

    def batch(self, n, empty=True):
        x = torch.randint(1, 11, (n, 7))
        x[torch.arange(7)[None] >= torch.randint(2, 8, (n, 1))] = 0
        if empty and torch.rand(()) < 0.5:
            x[0] = 0
        return x, x.amax(1).sub(1).clamp(min=0)

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x), y)

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(400, empty=False)
            return (m(x).argmax(1) == y).float().mean().item()


main(C)
