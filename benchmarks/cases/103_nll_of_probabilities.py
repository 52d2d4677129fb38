"""NLLLoss on the output of a softmax instead of a log-softmax: the loss is negative, and it learns little."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x.view(-1, 1, 8, 8))), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        x = self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))
        return F.log_softmax(x, dim=1) if self.cured else F.softmax(x, dim=1)


class C(Case):
    SOURCE = "clvrai/ACGAN-PyTorch#4, mjc92/GetToThePoint#8, midas-research/man-sf-emnlp#2"
    FAULT = "NLLLoss on probabilities, no logarithm"
    LAYERS = "output"
    CURE = "log_softmax"
    EXPECT = "output-mismatch"
    STEPS = 700

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.05, momentum=0.9)

    def loss(self, m, step):
        i = self.rows()
        return F.nll_loss(m(self.x[i]), self.y[i])


main(C)
