"""Features are standardized in NumPy between two parts of the model: what comes before gets no gradient."""

from common import *


class Net(nn.Module):
    def __init__(self, cured):
        super().__init__()
        self.cured = cured
        self.embed = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))
        self.head = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, x):
        z = self.embed(x)
        if self.cured:
            z = (z - z.mean(0)) / (z.std(0) + 1e-5)
        else:
            a = z.detach().numpy()
            z = torch.tensor((a - a.mean(0)) / (a.std(0) + 1e-5))
        return self.head(z)


class C(Case):
    SOURCE = "isayev/ReLeaSE#39; discuss.pytorch.org, 'no gradient after converting to numpy and back'"
    FAULT = "the output of the first part goes through NumPy"
    LAYERS = "embed.0, embed.2"
    CURE = "the same in PyTorch"
    EXPECT = "not-connected"
    STEPS = 900

    def model(self):
        return Net(self.cured)

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)


main(C)
