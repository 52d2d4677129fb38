"""Ordinary architectures that train well: how many of their frames does the verdict flag?

`python -m benchmarks.architectures [NAME …]`: each is trained with random weights on small data under `vgtui.watch`,
and a frame is an alarm if its kind is not calm. None should be flagged for more than one frame in fifty. Recurrent nets
that cannot learn what lies 150 steps back come last: there the verdict should be that the gradient vanishes in time.
What needs torchvision, timm or transformers is skipped where that does not load.
"""

import argparse
import json
import math
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import util
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- as everybody calls it

import vgtui
from benchmarks.clinic import is_flagged
from benchmarks.output import print_and_keep
from engine.datasets import load_dataset

FRAMES = 60
MOST_FLAGGED = 1 / 50
TRAINS = 0.7
"""The last loss over the first, at most, of what trains."""

Loss = Callable[[nn.Module], Tensor]
Built = tuple[nn.Module, Loss]
Optimizer = Callable[[Iterable[Tensor]], torch.optim.Optimizer]


def adam(rate: float) -> Optimizer:
    """Adam with a rate."""
    return lambda parameters: torch.optim.Adam(parameters, lr=rate)


def adamw(rate: float, decay: float = 0.05) -> Optimizer:
    """AdamW with a rate and a decay."""
    return lambda parameters: torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)


def sgd(rate: float) -> Optimizer:
    """SGD with a rate, and momentum."""
    return lambda parameters: torch.optim.SGD(parameters, lr=rate, momentum=0.9)


@dataclass(frozen=True)
class Architecture:
    """What is trained, and how.

    Attributes:
        build: Makes the model, and the function that draws a batch and computes its loss.
        optimizer: Makes the optimizer.
        every: Steps from frame to frame.
        forgets: Whether it cannot learn its task, because the gradient vanishes in time.
    """

    build: Callable[[], Built]
    optimizer: Optimizer = field(default_factory=lambda: adam(2e-3))
    every: int = 3
    forgets: bool = False


# the data


def digits(size: int = 8, samples: int = 800) -> tuple[Tensor, Tensor]:
    """Digits as pictures of (1, size, size), standardized, and their labels."""
    data = load_dataset("digits")
    x = torch.tensor(data.inputs[:samples], dtype=torch.float32).view(-1, 1, 8, 8)
    x = (x - x.mean()) / x.std()
    if size != 8:
        x = F.interpolate(x, size=(size, size), mode="bilinear")
    return x, torch.tensor([int(label) for label in data.labels[:samples]])


def classify(model: nn.Module, size: int = 8, batch: int = 32, channels: int = 1, samples: int = 800) -> Built:
    """A model with the task of naming digits."""
    x, y = digits(size, samples)

    def loss(model: nn.Module) -> Tensor:
        rows = torch.randint(len(x), (batch,))
        return F.cross_entropy(model(x[rows].expand(-1, channels, -1, -1)), y[rows])

    return model, loss


def text(length: int, batch: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """Batches of a language of ten words over 15 letters: letters, and the letters that follow them."""
    chance = torch.Generator().manual_seed(4)
    words = [torch.randint(1, 16, (3 + k % 3,), generator=chance) for k in range(10)]
    order = torch.randint(10, (4000,), generator=chance).tolist()
    letters = torch.cat([torch.cat([words[k], torch.zeros(1, dtype=torch.long)]) for k in order])

    def draw() -> tuple[Tensor, Tensor]:
        rows = torch.stack([letters[k : k + length + 1] for k in torch.randint(len(letters) - length - 1, (batch,))])
        return rows[:, :-1], rows[:, 1:]

    return draw


def language(model: nn.Module, length: int = 24, batch: int = 16) -> Built:
    """A model with the task of predicting the next letter."""
    draw = text(length, batch)

    def loss(model: nn.Module) -> Tensor:
        x, y = draw()
        out = model(x)
        return F.cross_entropy(getattr(out, "logits", out).flatten(0, 1), y.flatten())

    return model, loss


class Residual(nn.Module):
    """x + f(x), with a scale of each channel where one is given."""

    def __init__(self, branch: nn.Module, skip: nn.Module | None = None, scale: Tensor | None = None) -> None:
        super().__init__()
        self.branch, self.skip = branch, skip or nn.Identity()
        self.scale = None if scale is None else nn.Parameter(scale)

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        return self.skip(x) + (out if self.scale is None else self.scale * out)


class Lambda(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


# pictures


def mlp() -> Built:
    """Three hidden layers with ReLU."""
    parts = [part for n in (64, 128, 128) for part in (nn.Linear(n, 128), nn.ReLU())]
    return classify(nn.Sequential(nn.Flatten(), *parts, nn.Linear(128, 10)))


def cnn() -> Built:
    """Three convolutions, a maximum, two linear layers."""
    return classify(
        nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
        )
    )  # fmt: skip


def convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution and its BatchNorm."""
    padding = size // 2
    return [nn.Conv2d(inputs, outputs, size, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(outputs)]


def resnet() -> Built:
    """Three stages of three basic blocks, as in He et al. for CIFAR."""
    parts: list[nn.Module] = [*convolution(1, 8), nn.ReLU()]
    n = 8
    for width, first in ((8, 1), (16, 2), (32, 2)):
        for stride in (first, 1, 1):
            branch = nn.Sequential(*convolution(n, width, stride=stride), nn.ReLU(), *convolution(width, width))
            skip = None if n == width else nn.Sequential(*convolution(n, width, 1, stride))
            parts += [Residual(branch, skip), nn.ReLU()]
            n = width
    return classify(nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)))


class Dense(nn.Module):
    """A layer of DenseNet: what it adds stands beside its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 2 * growth, 1, bias=False), nn.BatchNorm2d(2 * growth),
            nn.ReLU(), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], 1)


def densenet() -> Built:
    """Two blocks of eight layers."""
    parts: list[nn.Module] = [nn.Conv2d(1, 12, 3, padding=1, bias=False)]
    n = 12
    for block in range(2):
        for _ in range(8):
            parts.append(Dense(n, 6))
            n += 6
        if block == 0:
            parts += [nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, n // 2, 1, bias=False), nn.AvgPool2d(2)]
            n //= 2
    end = [nn.BatchNorm2d(n), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n, 10)]
    return classify(nn.Sequential(*parts, *end))


class SqueezeExcite(nn.Module):
    """A gate of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels // 4, 1), nn.SiLU(),
            nn.Conv2d(channels // 4, channels, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.gate(x)
        return gated


def inverted(act: type[nn.Module], squeeze: bool) -> Built:
    """Inverted residuals with depthwise convolutions: MobileNetV2, or EfficientNet with squeeze and excitation."""
    parts: list[nn.Module] = [*convolution(1, 12), act()]
    for _ in range(6):
        branch = [*convolution(12, 48, 1), act(), *convolution(48, 48, groups=48), act()]
        if squeeze:
            branch.append(SqueezeExcite(48))
        parts.append(Residual(nn.Sequential(*branch, *convolution(48, 12, 1))))
    end = [*convolution(12, 64, 1), act(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10)]
    return classify(nn.Sequential(*parts, *end))


def mobilenet() -> Built:
    """MobileNetV2, small."""
    return inverted(nn.ReLU6, squeeze=False)


def efficientnet() -> Built:
    """EfficientNet, small."""
    return inverted(nn.SiLU, squeeze=True)


def convnext() -> Built:
    """Eight ConvNeXt blocks with LayerScale from 1e-6."""

    def block() -> nn.Module:
        branch = nn.Sequential(
            nn.Conv2d(24, 24, 5, padding=2, groups=24), nn.GroupNorm(1, 24), nn.Conv2d(24, 96, 1), nn.GELU(),
            nn.Conv2d(96, 24, 1),
        )  # fmt: skip
        return Residual(branch, scale=torch.full((24, 1, 1), 1e-6))

    blocks = [block() for _ in range(8)]
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 10)]
    return classify(nn.Sequential(nn.Conv2d(1, 24, 2, 2), nn.GroupNorm(1, 24), *blocks, *end))


class ViT(nn.Module):
    """Patches, a class token, places, pre-LN blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 48, 2, 2)
        self.token, self.place = nn.Parameter(torch.zeros(1, 1, 48)), nn.Parameter(torch.randn(1, 17, 48) * 0.02)
        layer = nn.TransformerEncoderLayer(48, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 6, nn.LayerNorm(48), enable_nested_tensor=False)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.place
        out: Tensor = self.head(self.blocks(x)[:, 0])
        return out


def vit() -> Built:
    """A vision transformer of six blocks."""
    return classify(ViT())


class Window(nn.Module):
    """Attention within windows of 2×2 of a 4×4 grid of patches, shifted by one or not."""

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.shift, self.norm = shift, nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        b, _, c = x.shape
        h = self.norm(x).view(b, 4, 4, c).roll((-self.shift, -self.shift), (1, 2))
        h = h.view(b, 2, 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b * 4, 4, c)
        h = self.attention(h, h, h, need_weights=False)[0]
        h = h.view(b, 2, 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, 4, 4, c)
        return h.roll((self.shift, self.shift), (1, 2)).reshape(b, 16, c)


def feed_forward(width: int) -> nn.Module:
    """The second half of a transformer's block."""
    return Residual(
        nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
    )


def swin() -> Built:
    """Six blocks of attention in windows, every second one shifted."""
    patches = [nn.Conv2d(1, 32, 2, 2), Lambda(lambda x: x.flatten(2).transpose(1, 2))]
    blocks = [part for k in range(6) for part in (Residual(Window(32, k % 2)), feed_forward(32))]
    return classify(nn.Sequential(*patches, *blocks, nn.LayerNorm(32), Lambda(lambda x: x.mean(1)), nn.Linear(32, 10)))


class Mix(nn.Module):
    """Mixing of patches."""

    def __init__(self, patches: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(patches, 32), nn.GELU(), nn.Linear(32, patches))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.mlp(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return out


def mixer() -> Built:
    """MLP-Mixer of six blocks."""
    patches = [nn.Conv2d(1, 32, 2, 2), Lambda(lambda x: x.flatten(2).transpose(1, 2))]
    blocks = [part for _ in range(6) for part in (Residual(Mix(16, 32)), feed_forward(32))]
    return classify(nn.Sequential(*patches, *blocks, nn.LayerNorm(32), Lambda(lambda x: x.mean(1)), nn.Linear(32, 10)))


class UNet(nn.Module):
    """Two levels down and up."""

    def __init__(self) -> None:
        super().__init__()

        def twice(n: int, m: int) -> nn.Module:
            return nn.Sequential(*convolution(n, m), nn.ReLU(), *convolution(m, m), nn.ReLU())

        self.down1, self.down2, self.bottom = twice(1, 8), twice(8, 16), twice(16, 32)
        self.up2, self.join2 = nn.ConvTranspose2d(32, 16, 2, 2), twice(32, 16)
        self.up1, self.join1 = nn.ConvTranspose2d(16, 8, 2, 2), twice(16, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        b = self.down2(F.max_pool2d(a, 2))
        c = self.bottom(F.max_pool2d(b, 2))
        b = self.join2(torch.cat([b, self.up2(c)], 1))
        out: Tensor = self.out(self.join1(torch.cat([a, self.up1(b)], 1)))
        return out


def unet() -> Built:
    """Segmentation: where the ink of a noisy digit is."""
    x, _ = digits()

    def loss(model: nn.Module) -> Tensor:
        clean = x[torch.randint(len(x), (24,))]
        return F.binary_cross_entropy_with_logits(model(clean + 0.5 * torch.randn_like(clean)), (clean > 0.3).float())

    return UNet(), loss


def autoencoder() -> Built:
    """64 → 8 → 64."""
    x, _ = digits()
    widths = (64, 48, 24, 8, 24, 48)
    parts = [part for n, m in pairwise(widths) for part in (nn.Linear(n, m), nn.ELU())]

    def loss(model: nn.Module) -> Tensor:
        pixels = x[torch.randint(len(x), (48,))].flatten(1)
        return F.mse_loss(model(pixels), pixels)

    return nn.Sequential(*parts, nn.Linear(48, 64)), loss


class VAE(nn.Module):
    """A variational autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU())
        self.mean, self.spread = nn.Linear(48, 8), nn.Linear(48, 8)
        self.decoder = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.encoder(x)
        mean, spread = self.mean(h), self.spread(h)
        out = self.decoder(mean + torch.randn_like(mean) * (0.5 * spread).exp())
        return out, 0.5 * (mean**2 + spread.exp() - 1 - spread).sum(1).mean()


def vae() -> Built:
    """Half a squared error a pixel, and the divergence."""
    x, _ = digits()

    def loss(model: nn.Module) -> Tensor:
        pixels = x[torch.randint(len(x), (48,))].flatten(1)
        out, divergence = model(pixels)
        return 0.5 * (out - pixels).pow(2).sum(1).mean() + divergence

    return VAE(), loss


class TwoHeads(nn.Module):
    """A main head on a deep trunk, and a small auxiliary head that comes last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.deep = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.head, self.auxiliary = nn.Linear(64, 10), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.stem(x)
        return self.head(self.deep(h)), self.auxiliary(h)


def two_heads() -> Built:
    """The auxiliary loss has a weight of 0.01."""
    x, y = digits()

    def loss(model: nn.Module) -> Tensor:
        rows = torch.randint(len(x), (32,))
        out, extra = model(x[rows])
        return F.cross_entropy(out, y[rows]) + 0.01 * F.cross_entropy(extra, y[rows] % 2)

    return TwoHeads(), loss


def siamese() -> Built:
    """A contrastive loss on pairs of digits."""
    x, y = digits()
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(384, 16),
    )  # fmt: skip

    def loss(model: nn.Module) -> Tensor:
        a, b = torch.randint(len(x), (2, 64))
        distance = (model(x[a]) - model(x[b])).pow(2).sum(1)
        same = (y[a] == y[b]).float()
        return (5 * same * distance + (1 - same) * F.relu(2 - (distance + 1e-6).sqrt()) ** 2).mean()

    return model, loss


# sequences


class GPT(nn.Module):
    """Causal pre-LN blocks; the output matrix is the embedding."""

    def __init__(self, layers: int = 4, width: int = 48) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(16, width), nn.Embedding(24, width)
        layer = nn.TransformerEncoderLayer(width, 4, 3 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, 16, bias=False)
        self.head.weight = self.wte.weight
        for embedding in (self.wte, self.wpe):
            nn.init.normal_(embedding.weight, std=0.02)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(24))

    def forward(self, x: Tensor) -> Tensor:
        h = self.wte(x) + self.wpe(torch.arange(x.shape[1]))
        out: Tensor = self.head(self.blocks(h, mask=self.mask, is_causal=True))
        return out


def gpt() -> Built:
    """A small GPT."""
    return language(GPT())


class Translator(nn.Module):
    """An encoder and a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target, self.place = nn.Embedding(12, 32), nn.Embedding(13, 32), nn.Embedding(8, 32)
        self.transformer = nn.Transformer(32, 4, 2, 2, 64, 0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(32, 12)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(8))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        place = self.place(torch.arange(8))
        h = self.transformer(self.source(x) + place, self.target(y) + place, tgt_mask=self.mask, tgt_is_causal=True)
        out: Tensor = self.out(h)
        return out


def encoder_decoder() -> Built:
    """Reversing a sequence of eight symbols."""

    def loss(model: nn.Module) -> Tensor:
        x = torch.randint(12, (32, 8))
        y = x.flip(1)
        before = torch.cat([torch.full((32, 1), 12), y[:, :-1]], 1)
        return F.cross_entropy(model(x, before).flatten(0, 1), y.flatten())

    return Translator(), loss


class Recurrent(nn.Module):
    """A recurrent language model."""

    def __init__(self, cell: type[nn.RNNBase], layers: int = 1) -> None:
        super().__init__()
        self.embed, self.rnn, self.out = nn.Embedding(16, 32), cell(32, 64, layers, batch_first=True), nn.Linear(64, 16)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.rnn(self.embed(x))[0])
        return out


def lstm() -> Built:
    """Two layers of LSTM."""
    return language(Recurrent(nn.LSTM, 2))


def gru() -> Built:
    """One layer of GRU."""
    return language(Recurrent(nn.GRU))


class Gated(nn.Module):
    """A dilated causal convolution with a gate."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.reach = dilation
        self.filter, self.gate = (nn.Conv1d(width, width, 2, dilation=dilation) for _ in range(2))
        self.residual, self.skip = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        padded = F.pad(x, (self.reach, 0))
        h = torch.tanh(self.filter(padded)) * torch.sigmoid(self.gate(padded))
        return x + self.residual(h), self.skip(h)


class WaveNet(nn.Module):
    """Two stacks of dilations 1 to 16; the output reads all skips."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(16, 32)
        self.blocks = nn.ModuleList(Gated(32, 2**k) for _ in range(2) for k in range(5))
        self.out = nn.Sequential(nn.ReLU(), nn.Conv1d(32, 32, 1), nn.ReLU(), nn.Conv1d(32, 16, 1))

    def forward(self, x: Tensor) -> Tensor:
        h, skips = self.embed(x).transpose(1, 2), []
        for block in self.blocks:
            h, skip = block(h)
            skips.append(skip)
        out: Tensor = self.out(torch.stack(skips).sum(0)).transpose(1, 2)
        return out


def wavenet() -> Built:
    """A language model of dilated convolutions."""
    return language(WaveNet())


# other


class GIN(nn.Module):
    """A graph isomorphism network of four layers over dense adjacency matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(4))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(n, 32), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
            for n in (1, 32, 32, 32)
        )
        self.out = nn.Linear(32, 1)

    def forward(self, edges: Tensor) -> Tensor:
        h = edges.sum(2, keepdim=True) / 4
        for k, layer in enumerate(self.layers):
            h = layer((1 + self.eps[k]) * h + edges @ h / 4)
        out: Tensor = self.out(h.mean(1))[:, 0]
        return out


def gin() -> Built:
    """Counting the triangles of a random graph."""

    def loss(model: nn.Module) -> Tensor:
        edges = (torch.rand(48, 12, 12) < torch.rand(48, 1, 1) * 0.6).float().triu(1)
        edges = edges + edges.transpose(1, 2)
        triangles = (edges @ edges @ edges).diagonal(dim1=1, dim2=2).sum(1) / 6
        return F.mse_loss(model(edges), triangles.log1p())

    return GIN(), loss


class Agent(nn.Module):
    """A value network and its target."""

    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        self.target = deepcopy(self.q).requires_grad_(False)
        self.calls = 0


def dqn() -> Built:
    """One-step returns; the target is copied every forty steps."""

    def loss(model: Any) -> Tensor:
        model.calls += 1
        if model.calls % 40 == 0:
            model.target.load_state_dict(model.q.state_dict())
        state, after = torch.randn(64, 3), torch.randn(64, 3)
        action = torch.randint(2, (64,))
        reward = torch.where(action == 0, state[:, 0].sin() + state[:, 1], 1 - state[:, 0] * state[:, 2])
        with torch.no_grad():
            aim = reward + 0.3 * model.target(after).amax(1)
        return F.smooth_l1_loss(model.q(state).gather(1, action[:, None])[:, 0], aim)

    return Agent(), loss


def nerf() -> Built:
    """A picture as a function of its coordinates, which are given as sines of eight frequencies."""
    parts = [part for n in (32, 64, 64, 64) for part in (nn.Linear(n, 64), nn.ReLU())]
    frequencies = 2.0 ** torch.arange(8)

    def loss(model: nn.Module) -> Tensor:
        place = torch.rand(256, 2) * 2 - 1
        angles = (place[:, :, None] * frequencies).flatten(1)
        colour = torch.stack(
            [torch.sin(7 * place[:, 0]) * place[:, 1], (place**2).sum(1), torch.cos(5 * place[:, 1])], 1
        )
        return F.mse_loss(model(torch.cat([angles.sin(), angles.cos()], 1)), colour)

    return nn.Sequential(*parts, nn.Linear(64, 3)), loss


# libraries


def torchvision_operators() -> torch.library.Library | None:
    """Declare two operators that torchvision asks for on import, and that no model here uses.

    Its wheel for CUDA cannot define them where PyTorch is the one for the CPU.

    Returns:
        What holds them: they are there as long as it is. None where they are not missing.
    """
    found = util.find_spec("torchvision")
    if found is None or found.origin is None or torch.version.cuda:
        return None
    if "+cu" not in Path(found.origin).with_name("version.py").read_text("utf-8"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def from_torchvision(name: str) -> Callable[[], Built]:
    """A model of torchvision's on digits of 32×32 in three channels."""

    def build() -> Built:
        import torchvision

        return classify(getattr(torchvision.models, name)(num_classes=10), size=32, batch=16, channels=3, samples=96)

    return build


def from_timm(name: str, size: int = 32, **options: Any) -> Callable[[], Built]:
    """A model of timm's on digits in three channels."""

    def build() -> Built:
        import timm

        return classify(timm.create_model(name, num_classes=10, **options), size, batch=16, channels=3, samples=96)

    return build


def bert() -> Built:
    """BertForSequenceClassification with four layers: which of four words is in the sentence?"""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=20, hidden_size=48, num_hidden_layers=4, num_attention_heads=4, intermediate_size=96,
        max_position_embeddings=16, num_labels=4,
    )  # fmt: skip

    def loss(model: nn.Module) -> Tensor:
        words, label = torch.randint(5, 20, (32, 10)), torch.randint(4, (32,))
        words[torch.arange(32), torch.randint(1, 10, (32,))] = label + 1
        words[:, 0] = 0
        result: Tensor = model(input_ids=words, labels=label).loss
        return result

    return BertForSequenceClassification(config), loss


def t5() -> Built:
    """T5 with two layers a side, which reverses what it reads."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=16,
        d_model=48,
        d_kv=12,
        d_ff=96,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        dropout_rate=0.0,
    )

    def loss(model: nn.Module) -> Tensor:
        x = torch.randint(1, 8, (32, 6))
        result: Tensor = model(input_ids=x, labels=x.flip(1)).loss
        return result

    return T5ForConditionalGeneration(config), loss


def mamba() -> Built:
    """Mamba with four layers."""
    from transformers import MambaConfig, MambaForCausalLM

    return language(
        MambaForCausalLM(MambaConfig(vocab_size=16, hidden_size=32, num_hidden_layers=4, state_size=8)), 16, 8
    )


# what cannot be learned


class FirstStep(nn.Module):
    """The class is said in the first of 150 steps, and asked for after the last."""

    def __init__(self, cell: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn, self.out = cell(5, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.rnn(x)[0][:, -1])
        return out


def first_of_150(cell: type[nn.RNNBase]) -> Callable[[], Built]:
    """A recurrent net, as PyTorch starts it, with that task."""

    def loss(model: nn.Module) -> Tensor:
        y = torch.randint(4, (16,))
        x = torch.zeros(16, 150, 5)
        x[:, :, 4] = 0.1 * torch.randn(16, 150)
        x[torch.arange(16), 0, y] = 1.0
        return F.cross_entropy(model(x), y)

    return lambda: (FirstStep(cell), loss)


ARCHITECTURES = {
    "MLP": Architecture(mlp, sgd(0.05)),
    "CNN": Architecture(cnn),
    "ResNet": Architecture(resnet, sgd(0.05)),
    "DenseNet": Architecture(densenet, sgd(0.05)),
    "MobileNet": Architecture(mobilenet),
    "EfficientNet": Architecture(efficientnet),
    "ConvNeXt": Architecture(convnext, adamw(4e-3)),
    "ViT": Architecture(vit, adamw(2e-3)),
    "Swin": Architecture(swin, adamw(2e-3)),
    "MLP-Mixer": Architecture(mixer, adamw(3e-3)),
    "UNet": Architecture(unet),
    "autoencoder": Architecture(autoencoder, every=5),
    "VAE": Architecture(vae, every=5),
    "two heads": Architecture(two_heads, sgd(0.05)),
    "Siamese": Architecture(siamese),
    "GPT": Architecture(gpt, adamw(3e-3)),
    "encoder-decoder": Architecture(encoder_decoder, adamw(3e-3), every=5),
    "LSTM": Architecture(lstm, adam(5e-3), every=4),
    "GRU": Architecture(gru, adam(5e-3)),
    "WaveNet": Architecture(wavenet),
    "GIN": Architecture(gin, adam(5e-3)),
    "DQN": Architecture(dqn, every=6),
    "NeRF": Architecture(nerf, adam(3e-3), every=5),
    "BERT": Architecture(bert, adamw(1e-3), every=6),
    "T5": Architecture(t5, adamw(3e-3), every=6),
    "Mamba": Architecture(mamba, adamw(5e-3), every=2),
    "torchvision resnet18": Architecture(from_torchvision("resnet18"), adam(1e-3), every=2),
    "torchvision densenet121": Architecture(from_torchvision("densenet121"), sgd(0.02), every=1),
    "torchvision mobilenet_v3_small": Architecture(from_torchvision("mobilenet_v3_small"), adam(2e-3), every=1),
    "torchvision efficientnet_b0": Architecture(from_torchvision("efficientnet_b0"), adam(2e-3), every=1),
    "timm convnext_atto": Architecture(from_timm("convnext_atto"), adamw(1e-3), every=1),
    "timm vit_tiny": Architecture(
        from_timm("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=6), adamw(5e-4), every=3
    ),
    "RNN, the first of 150 steps": Architecture(first_of_150(nn.RNN), every=2, forgets=True),
    "LSTM, the first of 150 steps": Architecture(first_of_150(nn.LSTM), every=2, forgets=True),
    "GRU, the first of 150 steps": Architecture(first_of_150(nn.GRU), every=2, forgets=True),
}


@dataclass(frozen=True, slots=True)
class Watched:
    """What was said in all frames, and the loss at both ends."""

    kinds: Counter[str]
    messages: dict[str, str]
    first: float
    last: float

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return self.kinds.total()

    @property
    def flagged(self) -> int:
        """How many are alarms."""
        return sum(count for kind, count in self.kinds.items() if is_flagged(kind))


def watch(architecture: Architecture, seed: int, frames: int = FRAMES) -> Watched:
    """Train under `vgtui.watch`, and count what the frames say."""
    torch.manual_seed(seed)
    model, loss_of = architecture.build()
    optimizer = architecture.optimizer([p for p in model.parameters() if p.requires_grad])
    losses = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.jsonl"
        with vgtui.watch(model, optimizer, name="architecture", every=architecture.every, record=file) as watcher:
            for _ in range(frames * architecture.every):
                optimizer.zero_grad()
                loss = loss_of(model)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                watcher.step(loss=loss)
        lines = [json.loads(text) for text in file.read_text("utf-8").splitlines()]
    verdicts = [entry["verdict"] for entry in lines if entry["type"] == "frame"]
    messages = {verdict["kind"]: verdict["message"] for verdict in verdicts}
    few = max(1, len(losses) // 20)
    return Watched(
        Counter(verdict["kind"] for verdict in verdicts), messages, sum(losses[:few]) / few, sum(losses[-few:]) / few
    )


def described(name: str, watched: Watched) -> Iterator[str]:
    """A line of an architecture, and one of each alarm."""
    yield (
        f"{name:<32} {watched.frames:>3} frames, {watched.flagged:>3} flagged; "
        f"loss {watched.first:.3g} → {watched.last:.3g}"
    )
    for kind, count in watched.kinds.most_common():
        if is_flagged(kind):
            yield f"    {count} × {watched.messages[kind]}"


def report(names: Iterable[str], seed: int, frames: int) -> Iterator[str]:
    """Everything: architectures that train, and then those that cannot."""
    flagged = sound = named = forgetful = 0
    for name in names:
        architecture = ARCHITECTURES[name]
        try:
            watched = watch(architecture, seed, frames)
        # a broken torchvision is a RuntimeError of PyTorch's, which transformers makes an ImportError
        except (ImportError, RuntimeError) as error:
            yield f"{name:<32} skipped: {str(error).splitlines()[0]}"
            continue
        yield from described(name, watched)
        if architecture.forgets:
            forgetful += 1
            named += watched.kinds["vanishing-in-time"] > watched.frames / 2
            continue
        if not watched.last <= TRAINS * watched.first or math.isnan(watched.last):
            yield "    does not train well enough to count"
            continue
        sound += 1
        flagged += watched.flagged > MOST_FLAGGED * watched.frames
    if forgetful:
        yield f"{named} of {forgetful} that forget are mostly called vanishing-in-time"
    bound = f"1 frame in {1 / MOST_FLAGGED:.0f}"
    yield f"{flagged} of {sound} architectures that train are flagged for more than {bound} (goal: 0)"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.architectures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="names: " + ", ".join(ARCHITECTURES),
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="what is trained: all whose names begin so (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of weights and data (default: 0)")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help=f"of each (default: {FRAMES})")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the report to a file too")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    operators = torchvision_operators()
    begins = tuple(name.lower() for name in chosen.names) or ("",)
    lines = report([name for name in ARCHITECTURES if name.lower().startswith(begins)], chosen.seed, chosen.frames)
    if chosen.results:
        print_and_keep(lines, chosen.results)
    else:
        for text_line in lines:
            print(text_line, flush=True)
    del operators


if __name__ == "__main__":
    main()
