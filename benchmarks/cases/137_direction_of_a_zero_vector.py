"""An embedding divided by its length, in a convolutional network with a ReLU before: some lengths are 0."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.conv, self.lin, self.out = (
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.Linear(128, 12),
            nn.Linear(12, 10, bias=False),
        )

    def forward(self, x):
        z = F.relu(self.lin(F.relu(self.conv(x.view(-1, 1, 8, 8))).flatten(1)))
        length = (z**2).sum(1, keepdim=True)
        length = (length + 1e-6).sqrt() if self.cured else length.sqrt()
        return 8 * self.out(z / length)


class C(Case):
    SOURCE = "pytorch/pytorch#2421, #2721; keras-team/keras#23075"
    FAULT = "z / ||z|| at z = 0"
    LAYERS = "out, lin"
    CURE = "eps under the root"
    EXPECT = "non-finite"
    STEPS = 500

    def data(self):
        super().data()
        self.x[::20] = 0.0

    def model(self):
        m = Net(self.cured)
        nn.init.zeros_(m.conv.bias)
        nn.init.zeros_(m.lin.bias)
        return m

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)


main(C)
