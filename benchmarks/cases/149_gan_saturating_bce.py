"""The tutorial's GAN with the generator's loss as the minimum of log(1 - D): D is pre-trained and always right."""

from common import *


class C(Case):
    SOURCE = "soumith/ganhacks#36; reports of DCGANs whose discriminator's loss is 0 from the first epoch"
    FAULT = "a discriminator ahead, a saturating loss, SGD"
    LAYERS = "all of the generator"
    CURE = "the loss -log D, a discriminator that is not ahead"
    EXPECT = "gradients-tiny"
    STEPS, BAR = 1200, ("loss", 0.8)

    def data(self):
        g = torch.Generator().manual_seed(1)
        a = torch.rand(3000, generator=g) * 6.283
        self.real = torch.stack([a.cos(), a.sin()], 1) * 0.5 + torch.tensor([-3.0, 2.0])

    def model(self):
        self.d = nn.Sequential(
            nn.Linear(2, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1)
        )
        self.od = torch.optim.Adam(self.d.parameters(), lr=5e-4 if self.cured else 3e-3, betas=(0.5, 0.999))
        g = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2), nn.Tanh())
        m = nn.Sequential(*list(g)[:-1])
        if not self.cured:
            for _ in range(300):
                self.discriminate(m)
        return m

    def discriminate(self, m):
        real = self.real[torch.randint(3000, (self.BATCH,))]
        with torch.no_grad():
            fake = m(torch.randn(self.BATCH, 6))
        self.od.zero_grad()
        (F.softplus(-self.d(real)).mean() + F.softplus(self.d(fake)).mean()).backward()
        self.od.step()

    def optim(self, m):
        return (
            torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.5, 0.999))
            if self.cured
            else torch.optim.SGD(m.parameters(), lr=0.02)
        )

    def loss(self, m, step):
        for _ in range(1 if self.cured else 2):
            self.discriminate(m)
        out = self.d(m(torch.randn(self.BATCH, 6)))
        return F.softplus(-out).mean() if self.cured else -F.softplus(out).mean()

    def error(self, m):
        return (m(torch.randn(2000, 6)).mean(0) - self.real.mean(0)).norm().item()


main(C)
