"""The loss is a mean over batch and pixels, and is divided by both once more: SGD gets next to nothing."""

from common import *


class C(Case):
    SOURCE = "discuss.pytorch.org, 'loss divided by batch size twice'; reports of segmentation losses of 1e-5"
    FAULT = "the loss is divided by batch * pixels once more"
    LAYERS = "all"
    CURE = "divide once"
    EXPECT = "gradients-tiny|rate-too-small"
    STEPS, BAR = 400, ("loss", 0.6)

    def model(self):
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(),
            nn.Conv2d(8, 1, 3, padding=1), nn.Flatten(),
        )  # fmt: skip

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.1, momentum=0.9)

    def loss(self, m, step):
        x = self.x[self.rows()]
        noisy = x + 0.3 * torch.randn_like(x)
        loss = F.mse_loss(m(noisy), x)
        return loss if self.cured else loss / (self.BATCH * 64)

    def error(self, m):
        return (F.mse_loss(m(self.xt), self.xt) / self.xt.var()).item()


main(C)
