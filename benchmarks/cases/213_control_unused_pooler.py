"""Control: a token classifier on an encoder that has a pooler, which nothing uses: its gradient is None for ever."""

from common import *


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.emb, self.place = nn.Embedding(12, 32), nn.Parameter(torch.randn(10, 32) * 0.1)
        self.layers, self.pooler = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 32)

    def forward(self, x):
        h = self.layers(self.emb(x) + self.place)
        return h, lambda: torch.tanh(self.pooler(h[:, 0]))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.classifier = Encoder(), nn.Linear(32, 3)

    def forward(self, x):
        return self.classifier(self.encoder(x)[0])


class C(Case):
    CONTROL = True
    SOURCE = "BertForTokenClassification on a BertModel with its pooler; reports of 'find_unused_parameters'"
    FAULT = "none: an unused pooler"
    EXPECT = "healthy"
    STEPS, BATCH = 500, 32

    def data(self):
        pass

    def batch(self, n):
        x = torch.randint(12, (n, 10))
        return x, (x + torch.arange(10) % 2) % 3

    def model(self):
        return Tagger()

    def optim(self, m):
        return torch.optim.AdamW(m.parameters(), lr=2e-3)

    def loss(self, m, step):
        x, y = self.batch(self.BATCH)
        return F.cross_entropy(m(x).flatten(0, 1), y.flatten())

    def score(self, m):
        with torch.no_grad():
            x, y = self.batch(300)
            return (m(x).argmax(2) == y).float().mean().item()


main(C)
