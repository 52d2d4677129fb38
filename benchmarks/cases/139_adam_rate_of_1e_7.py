"""A transformer with Adam at lr 1e-7: the config said 1e-4 and was divided by a thousand by a scale of workers."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.embed, self.place = nn.Linear(8, 32), nn.Parameter(torch.randn(8, 32) * 0.1)
        self.blocks, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(self.blocks(self.embed(x.view(-1, 8, 8)) + self.place).mean(1))


class C(Case):
    SOURCE = "Stack Overflow and GitHub reports of fine-tuning where the loss stays flat for hours (lr 1e-7)"
    FAULT = "Adam with lr 1e-7"
    LAYERS = "all"
    CURE = "lr 1e-3"
    EXPECT = "rate-too-small"
    STEPS = 400

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=2e-3 if self.cured else 1e-7)


main(C)
