"""Pixels from 0 to 255 into a sigmoid network: the first layer is saturated from the first step on."""

from common import *


class C(Case):
    SOURCE = "Stack Overflow, 'MNIST network stuck at 11 % accuracy' (pixels not divided by 255)"
    FAULT = "inputs 0..255, sigmoid"
    LAYERS = "0"
    CURE = "scale the inputs to mean 0 and variance 1"
    EXPECT = "inputs-out-of-scale"
    STEPS = 600

    def data(self):
        super().data()
        mean, std = self.x.mean(), self.x.std()
        self.x, self.xt = ((v - mean) / std if self.cured else v * 255 for v in (self.x, self.xt))

    def model(self):
        m = nn.Sequential(nn.Linear(64, 100), nn.Sigmoid(), nn.Linear(100, 10))
        nn.init.normal_(m[0].weight, std=0.3)
        return m

    def optim(self, m):
        return torch.optim.SGD(m.parameters(), lr=0.5)


main(C)
