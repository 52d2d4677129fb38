"""Control: the backbone has requires_grad=False and a new head is trained on it, as in every tutorial on transfer."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(),
            nn.AvgPool2d(2), nn.Flatten(),
        ).requires_grad_(False)  # fmt: skip
        self.fc = nn.Linear(384, 10)

    def forward(self, x):
        return self.fc(self.backbone(x) * 4)


class C(Case):
    CONTROL = True
    SOURCE = "PyTorch's transfer learning tutorial, ConvNet as fixed feature extractor"
    FAULT = "none: frozen backbone, new head"
    EXPECT = "healthy|frozen-on-purpose"
    STEPS = 400

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.Adam(m.fc.parameters(), lr=5e-3)


main(C)
