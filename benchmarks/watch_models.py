"""The models whose training is watched in benchmarks/watch.py: each a model and its loss."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Case = tuple[nn.Module, Callable[[nn.Module], Tensor]]
LETTERS, LENGTH, WIDTH = 26, 12, 32
IMAGES, CLASSES = 32, 10


def mlp() -> Case:
    """Thirty hidden layers of 64, batch 128."""
    return _classifier([part for _ in range(30) for part in (nn.Linear(64, 64), nn.Sigmoid())], torch.randn(128, 64))


def transformer() -> Case:
    """That of examples/transformer.py in one piece: four encoder layers, batch 32."""
    layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
    encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
    model = nn.Sequential(nn.Embedding(LETTERS, WIDTH), encoder, nn.Linear(WIDTH, LETTERS))
    words = torch.randint(LETTERS, (32, LENGTH))
    return model, lambda model: nn.functional.cross_entropy(model(words).flatten(0, 1), words.flip(1).flatten())


def thousand() -> Case:
    """A thousand layers of 64, batch 64."""
    return _classifier([part for _ in range(999) for part in (nn.Linear(64, 64), nn.ReLU())], torch.randn(64, 64))


def hundred_million() -> Case:
    """Six layers of 4096, batch 64: 100 million parameters."""
    return _classifier(
        [part for _ in range(6) for part in (nn.Linear(4096, 4096), nn.ReLU())], torch.randn(64, 4096), width=4096
    )


def resnet() -> Case:
    """The architecture of ResNet-18 (He et al. 2015, table 1) on 32 images of 32×32."""
    stages = [Block(64, 64), Block(64, 64)]
    for channels in (128, 256, 512):
        stages += [Block(channels // 2, channels, stride=2), Block(channels, channels)]
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    parts = [*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return _classifier(parts, torch.randn(IMAGES, 3, 32, 32), width=512)


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions of 3×3 with a skip connection."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        """Make a block of so many channels."""
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.inner, self.outer = nn.ReLU(), nn.ReLU()
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, values: Tensor) -> Tensor:
        """Return the outputs of the block."""
        hidden = self.inner(self.first_norm(self.first(values)))
        outputs: Tensor = self.outer(self.second_norm(self.second(hidden)) + self.skip(values))
        return outputs


def _classifier(parts: list[nn.Module], inputs: Tensor, width: int = 64) -> Case:
    labels = torch.randint(0, CLASSES, (len(inputs),))
    model = nn.Sequential(*parts, nn.Linear(width, CLASSES))
    return model, lambda model: nn.functional.cross_entropy(model(inputs), labels)


MODELS: dict[str, tuple[str, Callable[[], Case]]] = {
    "mlp": ("30 layers of 64, batch 128", mlp),
    "transformer": ("the small transformer", transformer),
    "thousand": ("1 000 layers of 64, batch 64", thousand),
    "resnet": ("ResNet-18 on 32 images of 32×32", resnet),
    "hundred-million": ("100 million parameters, batch 64", hundred_million),
}
"""What each is called in the results, and what makes it, by its word for the command line."""
