"""forward() calls the first layer and the last one; the two between were forgotten when the model was rewritten."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.fc1, self.fc2, self.fc3, self.out = (
            nn.Linear(2, 32),
            nn.Linear(32, 32),
            nn.Linear(32, 32),
            nn.Linear(32, 2),
        )

    def forward(self, x):
        h = self.fc1(x)
        if self.cured:
            h = F.relu(self.fc3(F.relu(self.fc2(F.relu(h)))))
        return self.out(h)


class C(Case):
    SOURCE = "discuss.pytorch.org, 'some layers have grad None' (made in __init__, not used in forward)"
    FAULT = "two layers are not used in forward"
    LAYERS = "fc2, fc3"
    CURE = "call them"
    EXPECT = "not-connected"
    STEPS, BAR = 700, ("loss", 0.05)

    def data(self):
        g = torch.Generator().manual_seed(13)
        r, a = torch.rand(1000, generator=g) * 3 + 0.3, torch.rand(1000, generator=g) * 6.28
        self.x, self.y = torch.stack([r * a.cos(), r * a.sin()], 1), (r > 1.8).long()

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=5e-3)

    def error(self, m):
        return (m(self.x).argmax(1) != self.y).float().mean().item()


main(C)
