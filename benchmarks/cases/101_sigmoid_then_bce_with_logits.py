"""A binary classifier that ends in a sigmoid, trained with BCEWithLogitsLoss: it calls everything positive."""

from common import *


class C(Case):
    SOURCE = "Lightning-AI/pytorch-lightning#18272, yudi-mars/daisyRec#15, cvg/glue-factory#89"
    FAULT = "a sigmoid, and another one in BCEWithLogitsLoss"
    LAYERS = "output"
    CURE = "give logits"
    EXPECT = "output-mismatch"
    STEPS, BAR = 500, ("loss", 0.05)

    def data(self):
        super().data()
        self.y, self.yt = (self.y < 3).float()[:, None], (self.yt < 3).float()[:, None]

    def model(self):
        parts = [nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1)]
        return nn.Sequential(*parts) if self.cured else nn.Sequential(*parts, nn.Sigmoid())

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=2e-3)

    def loss(self, m, step):
        i = self.rows()
        return F.binary_cross_entropy_with_logits(m(self.x[i]), self.y[i])

    def error(self, m):
        return ((m(self.xt).sigmoid() > 0.5).float() != self.yt).float().mean().item()


main(C)
