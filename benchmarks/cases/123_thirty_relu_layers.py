"""Thirty plain ReLU layers as nn.Linear makes them: all inputs give the same output."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'adding more layers makes my network predict the same value for everything'"
    FAULT = "30 ReLU layers, default start, no skips"
    LAYERS = "first layers"
    CURE = "skip connections and normalization"
    EXPECT = "vanishing|vanished|collapsed"
    STEPS = 400

    def model(self):
        cured = self.cured

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm, self.lin = nn.LayerNorm(64) if cured else nn.Identity(), nn.Linear(64, 64)

            def forward(self, x):
                h = torch.relu(self.lin(self.norm(x)))
                return x + h if cured else h

        return nn.Sequential(*[Block() for _ in range(30)], nn.Linear(64, 10))

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.02, momentum=0.9)


main(C)
