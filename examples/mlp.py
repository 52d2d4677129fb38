"""A sigmoid MLP of fourteen layers on handwritten digits: its gradients vanish. --cured trains it with ReLU.

python examples/mlp.py &
vgtui attach mlp
"""

import torch
from common import digits, options
from torch import nn

import vgtui


def build(cured: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for _ in range(14):
        parts += [nn.Linear(64, 64), nn.ReLU() if cured else nn.Sigmoid()]
    model = nn.Sequential(*parts, nn.Linear(64, 10))
    if cured:
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
    return model


def main() -> None:
    chosen = options(__doc__)
    torch.manual_seed(0)
    inputs, labels = digits()
    model = build(chosen.cured)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with vgtui.watch(model, optimizer, name="mlp", every=chosen.every, record=chosen.record) as watcher:
        for _ in range(chosen.steps):
            rows = torch.randint(len(inputs), (128,))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            watcher.step(loss=loss)


if __name__ == "__main__":
    main()
