"""An autoencoder in two parts, whose optimizer got the parameters of the decoder alone."""

from common import *


class Auto(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 3), nn.Tanh())
        self.decoder = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, x):
        return self.decoder(self.encoder(x))


class C(Case):
    SOURCE = "discuss.pytorch.org, 'optimizer for encoder and decoder' (one of the two left out)"
    FAULT = "the encoder is not in the optimizer"
    LAYERS = "encoder.0, encoder.2"
    CURE = "Adam(model.parameters())"
    EXPECT = "not-in-optimizer"
    STEPS, BAR = 900, ("loss", 0.68)

    def model(self):
        return Auto()

    def optim(self, m):
        return torch.optim.Adam((m if self.cured else m.decoder).parameters(), lr=3e-3)

    def loss(self, m, step):
        x = self.x[self.rows()]
        return F.mse_loss(m(x), x)

    def error(self, m):
        return (F.mse_loss(m(self.xt), self.xt) / (self.xt - self.x.mean(0)).pow(2).mean()).item()


main(C)
