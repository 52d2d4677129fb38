"""clip_grad_value_ at 1e-6 against the explosion of an LSTM: each entry keeps its sign and loses its size."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(8, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(self.lstm(x.view(-1, 8, 8))[0][:, -1])


class C(Case):
    SOURCE = "discuss.pytorch.org, 'LSTM does not learn after adding gradient clipping' (clip_grad_value_)"
    FAULT = "clip_grad_value_ of 1e-6"
    LAYERS = "all"
    CURE = "clip values at 1"
    EXPECT = "clipped-too-hard|rate-too-small"
    STEPS, BAR = 500, ("acc", 0.8)

    def model(self):
        return Net()

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.3, momentum=0.9)

    def after_backward(self, m):
        nn.utils.clip_grad_value_(m.parameters(), 1.0 if self.cured else 1e-6)


main(C)
