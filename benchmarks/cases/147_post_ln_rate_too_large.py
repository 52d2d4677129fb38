"""A character model of eight post-LN blocks written by hand, Adam at 1e-2 from the first step."""

from common import *


class Block(nn.Module):
    def __init__(self, d, pre):
        super().__init__()
        self.pre, self.attention = pre, nn.MultiheadAttention(d, 4, batch_first=True)
        self.n1, self.n2, self.up, self.down = (
            nn.LayerNorm(d),
            nn.LayerNorm(d),
            nn.Linear(d, 2 * d),
            nn.Linear(2 * d, d),
        )

    def forward(self, x):
        if self.pre:
            h = self.n1(x)
            x = x + self.attention(h, h, h, need_weights=False)[0]
            return x + self.down(F.gelu(self.up(self.n2(x))))
        x = self.n1(x + self.attention(x, x, x, need_weights=False)[0])
        return self.n2(x + self.down(F.gelu(self.up(x))))


class Net(nn.Module):
    def __init__(self, pre):
        super().__init__()
        self.emb, self.place = nn.Embedding(10, 32), nn.Parameter(torch.randn(8, 32) * 0.1)
        self.blocks = nn.ModuleList(Block(32, pre) for _ in range(8))
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        h = self.emb(x) + self.place
        for b in self.blocks:
            h = b(h)
        return self.out(h.mean(1))


class C(Case):
    SOURCE = "reports of BERT-style encoders whose loss stays flat without warm-up; Xiong et al. 2020 (On layer normalization)"
    FAULT = "post-LN, 8 blocks, lr 1e-2, no warm-up"
    LAYERS = "lower blocks"
    CURE = "pre-LN, lr 1e-3 with warm-up"
    EXPECT = "rate-too-large|collapsed|vanishing|diverging"
    STEPS, BATCH, BAR = 250, 32, ("acc", 0.75)

    def data(self):
        pass

    def batch(self, n):
        x = torch.randint(10, (n, 8))
        return x, torch.maximum(x[:, 0], x[:, 3])

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=1e-3 if self.cured else 1e-2)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x), y)

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(300)
            return (m(x).argmax(1) == y).float().mean().item()

    def step(self, m, opt, step, clip):
        if self.cured:
            for g in opt.param_groups:
                g["lr"] = 1e-3 * min(1, (step + 1) / 50)
        return super().step(m, opt, step, clip)


main(C)
