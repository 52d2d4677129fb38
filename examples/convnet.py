"""A small convolutional network on handwritten digits: its ReLUs die of a far too large learning rate. --cured: not so.

python examples/convnet.py &
vgtui attach convnet
"""

import torch
from common import digits, options
from torch import nn

import vgtui


class ConvNet(nn.Module):
    """Two stages of two convolutions each, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
        self.body = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.body(self.stem(images)).mean((2, 3)))
        return scores


def main() -> None:
    chosen = options(__doc__)
    torch.manual_seed(0)
    inputs, labels = digits()
    model = ConvNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if chosen.cured else 5.0, momentum=0.9)
    with vgtui.watch(model, optimizer, name="convnet", every=chosen.every, record=chosen.record) as watcher:
        for _ in range(chosen.steps):
            rows = torch.randint(len(inputs), (64,))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs[rows].reshape(-1, 1, 8, 8)), labels[rows])
            loss.backward()
            optimizer.step()
            watcher.step(loss=loss)


if __name__ == "__main__":
    main()
