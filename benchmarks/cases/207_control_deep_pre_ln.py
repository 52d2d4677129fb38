"""Control: a pre-LN transformer of 14 blocks with Adam; lower blocks get smaller gradients, and Adam does not mind."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, batch_first=True, norm_first=True)
        self.embed, self.place = nn.Linear(8, 24), nn.Parameter(torch.randn(8, 24) * 0.02)
        self.blocks = nn.TransformerEncoder(layer, 14, enable_nested_tensor=False, norm=nn.LayerNorm(24))
        self.out = nn.Linear(24, 10)

    def forward(self, x):
        return self.out(self.blocks(self.embed(x.view(-1, 8, 8)) + self.place).mean(1))


class C(Case):
    CONTROL = True
    SOURCE = "GPT-2 and every transformer since (pre-LN)"
    FAULT = "none: 14 pre-LN blocks, Adam"
    EXPECT = "healthy"
    STEPS, BATCH, BAR = 350, 32, ("acc", 0.85)

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=1.5e-3)


main(C)
