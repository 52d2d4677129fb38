"""Control: a student follows labels and an average of itself; the teacher is in the module and gets no gradient."""

from common import *


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)

    def forward(self, x):
        return self.student(x)


class C(Case):
    CONTROL = True
    SOURCE = "Tarvainen & Valpola 2017 (mean teacher); BYOL, DINO"
    FAULT = "none: EMA teacher inside the model"
    EXPECT = "healthy"
    STEPS = 500

    def model(self):
        return Pair()

    def optim(self, m):
        return torch.optim.SGD(m.student.parameters(), lr=0.05, momentum=0.9)

    def loss(self, m, step):
        with torch.no_grad():
            for t, s in zip(m.teacher.parameters(), m.student.parameters(), strict=True):
                t.lerp_(s, 0.02)
            x = self.x[self.rows()]
            aim = m.teacher(x + 0.05 * torch.randn_like(x)).softmax(1)
        return super().loss(m, step) + 0.5 * F.mse_loss(m(x).softmax(1), aim)


main(C)
