"""Control: the rate climbs from 0 over 200 steps, as every transformer recipe has it; nothing moves at first."""

from common import *


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.embed, self.place = nn.Linear(8, 32), nn.Parameter(torch.randn(8, 32) * 0.1)
        self.blocks, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(self.blocks(self.embed(x.view(-1, 8, 8)) + self.place).mean(1))


class C(Case):
    CONTROL = True
    SOURCE = "Vaswani et al. 2017, section 5.3; get_linear_schedule_with_warmup of transformers"
    FAULT = "none: warm-up from lr 0 over 200 steps"
    EXPECT = "healthy"
    STEPS = 500

    def model(self):
        return Net()

    def optim(self, m):
        opt = torch.optim.AdamW(m.parameters(), lr=3e-3)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: min(1.0, step / 200))
        return opt

    def step(self, m, opt, step, clip):
        loss = super().step(m, opt, step, clip)
        self.schedule.step()
        return loss


main(C)
