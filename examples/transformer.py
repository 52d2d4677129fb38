"""A small transformer that learns to reverse words at a large learning rate: its gradients explode. --cured clips them.

python examples/transformer.py &
vgtui attach transformer
"""

import torch
from common import options
from torch import nn

import vgtui

LETTERS, LENGTH, WIDTH = 26, 12, 32


class Transformer(nn.Module):
    """Four encoder layers without dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS, WIDTH)
        self.places = nn.Parameter(torch.randn(LENGTH, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, LETTERS)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.encoder(self.embed(words) + self.places))
        return scores


def main() -> None:
    chosen = options(__doc__)
    torch.manual_seed(0)
    model = Transformer()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.5)
    with vgtui.watch(model, optimizer, name="transformer", every=chosen.every, record=chosen.record) as watcher:
        for _ in range(chosen.steps):
            words = torch.randint(LETTERS, (32, LENGTH))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(words).flatten(0, 1), words.flip(1).flatten())
            loss.backward()
            if chosen.cured:
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            watcher.step(loss=loss)


if __name__ == "__main__":
    main()
