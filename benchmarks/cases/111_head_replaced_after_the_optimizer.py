"""Fine-tuning: the body is frozen, and its head is replaced after the optimizer was made; the new head never moves."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()).requires_grad_(False)
        self.fc = nn.Linear(256, 100)

    def forward(self, x):
        return self.fc(self.body(x))


class C(Case):
    SOURCE = "microsoft/nni#4521, zjunlp/HVPNeT#5"
    FAULT = "the optimizer holds the parameters of the old head"
    LAYERS = "fc"
    CURE = "make the optimizer after replacing the head"
    EXPECT = "not-in-optimizer"
    STEPS, BAR = 600, ("acc", 0.85)

    def model(self):
        return Net()

    def optim(self, m):
        new = nn.Linear(256, 10)
        if self.cured:
            m.fc = new
        opt = torch.optim.Adam([p for p in m.parameters() if p.requires_grad], lr=3e-3)
        m.fc = new
        return opt


main(C)
