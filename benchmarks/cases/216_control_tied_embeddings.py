"""Control: a language model whose output matrix is its embedding, as in GPT-2."""

from common import *


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.wte, self.wpe = nn.Embedding(16, 32), nn.Embedding(24, 32)
        self.h, self.ln = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.LayerNorm(32)
        self.head = nn.Linear(32, 16, bias=False)
        self.head.weight = self.wte.weight
        for e in (self.wte, self.wpe):
            nn.init.normal_(e.weight, std=0.02)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(24))

    def forward(self, x):
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        return self.head(self.ln(self.h(h, mask=self.mask, is_causal=True)))


class C(Case):
    CONTROL = True
    SOURCE = "GPT-2 (tie_word_embeddings)"
    FAULT = "none: embedding and output share their weight"
    EXPECT = "healthy"
    STEPS, BATCH, BAR = 350, 24, ("loss", 1.2)

    def data(self):
        rng = np.random.default_rng(4)
        words = [rng.integers(1, 16, size=rng.integers(3, 6)) for _ in range(10)]
        self.s = torch.tensor(np.concatenate([np.append(words[k], 0) for k in rng.integers(0, 10, 4000)]))

    def batch(self, n):
        i = torch.randint(len(self.s) - 25, (n,))
        b = torch.stack([self.s[k : k + 25] for k in i])
        return b[:, :-1], b[:, 1:]

    def model(self):
        return LM()

    def optim(self, m):
        return torch.optim.AdamW(m.parameters(), lr=3e-3, weight_decay=0.1, betas=(0.9, 0.95))

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x).flatten(0, 1), y.flatten())

    def error(self, m):
        x, y = self.batch(200)
        return F.cross_entropy(m(x).flatten(0, 1), y.flatten()).item()


main(C)
