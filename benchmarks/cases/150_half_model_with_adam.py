"""model.half() and Adam with its eps of 1e-8, which is 0 in float16: the first step is 0 / 0."""

from common import *


class C(Case):
    SOURCE = "pytorch/pytorch#8860, afiaka87/glide-finetune#5, NVIDIA/apex#240"
    FAULT = "Adam on float16 weights, eps rounds to 0"
    LAYERS = "all"
    CURE = "float32 weights"
    EXPECT = "non-finite|underflow"
    STEPS, BATCH = 200, 32

    def data(self):
        super().data()
        if not self.cured:
            self.x, self.xt = self.x.half(), self.xt.half()

    def model(self):
        m = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 10))
        return m if self.cured else m.half()

    def optim(self, m):
        return torch.optim.Adam(m.parameters(), lr=3e-3)

    def loss(self, m, step):
        i = self.rows()
        return F.cross_entropy(m(self.x[i]).float(), self.y[i])


main(C)
