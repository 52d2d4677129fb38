"""Control: a linear probe. The optimizer holds the head alone, and the backbone's requires_grad is still True."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(64, 400), nn.ReLU())
        self.head = nn.Linear(400, 10)

    def forward(self, x):
        return self.head(self.features(x * 3))


class C(Case):
    CONTROL = True
    SOURCE = "linear probes and extreme learning machines: SGD(model.head.parameters())"
    FAULT = "none: only the head is given to the optimizer"
    EXPECT = "healthy"
    STEPS = 400

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.SGD(m.head.parameters(), lr=0.1, momentum=0.9)


main(C)
