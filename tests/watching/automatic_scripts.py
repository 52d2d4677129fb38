"""Scripts that train and know nothing of vgtui: each prints every loss exactly."""

BEGIN = """\
import sys
import torch
from torch import nn
torch.manual_seed(0)
torch.set_num_threads(1)
"""
PLAIN = (
    BEGIN
    + """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(16, 8), nn.Linear(8, 4)
    def forward(self, x):
        return self.last(torch.relu(self.first(x)))
model = Net()
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(30):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.randn(8, 16)), torch.randint(0, 4, (8,)))
    loss.backward()
    optimizer.step()
    print(loss.item().hex())
"""
)
GAN = (
    BEGIN
    + """\
generator = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16))
critic = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(), nn.Linear(32, 1))
first = torch.optim.Adam(generator.parameters(), 1e-3)
second = torch.optim.Adam(critic.parameters(), 1e-3)
cost = nn.BCEWithLogitsLoss()
for _ in range(20):
    second.zero_grad()
    real = cost(critic(torch.randn(32, 16) + 1), torch.ones(32, 1))
    real.backward()
    made = generator(torch.randn(32, 8))
    fake = cost(critic(made.detach()), torch.zeros(32, 1))
    fake.backward()
    second.step()
    first.zero_grad()
    loss = cost(critic(made), torch.ones(32, 1))
    loss.backward()
    first.step()
    print((real + fake).item().hex(), loss.item().hex())
"""
)
TWO_OPTIMIZERS = (
    BEGIN
    + """\
import copy
class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(16, 8), nn.Linear(8, 16)
    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)))
model = copy.deepcopy(Autoencoder())
target = copy.deepcopy(model)
first = torch.optim.SGD(model.encoder.parameters(), 0.1)
second = torch.optim.Adam(model.decoder.parameters(), 1e-2)
for _ in range(20):
    inputs = torch.randn(8, 16)
    first.zero_grad()
    second.zero_grad()
    loss = (model(inputs) - 2 * target(inputs).detach()).square().mean()
    loss.backward()
    first.step()
    second.step()
    print(loss.item().hex())
"""
)
TARGET = (
    BEGIN
    + """\
import copy
class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        self.target = copy.deepcopy(self.online)
agent = Agent()
temperature = torch.zeros(1, requires_grad=True)
own = torch.optim.Adam([temperature], 1e-2)
optimizer = torch.optim.Adam(agent.online.parameters(), 1e-2)
for _ in range(20):
    states = torch.randn(8, 4)
    own.zero_grad()
    (temperature.exp() * 0.3).sum().backward()
    own.step()
    optimizer.zero_grad()
    loss = nn.functional.smooth_l1_loss(agent.online(states), 1 + 0.9 * agent.target(states).detach())
    loss.backward()
    optimizer.step()
    print(loss.item().hex())
"""
)
ACCUMULATED = (
    BEGIN
    + """\
model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(20):
    optimizer.zero_grad()
    total = 0.0
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(torch.randn(8, 16)), torch.randint(0, 4, (8,))) / 3
        torch.autograd.backward(loss)
        total += loss.item()
    optimizer.step()
    print(total.hex())
"""
)
SCALED = (
    BEGIN
    + """\
model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for _ in range(20):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(torch.randn(8, 16)), torch.randint(0, 4, (8,)))
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    print(loss.item().hex())
"""
)
CLOSURE = (
    BEGIN
    + """\
model = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4))
optimizer = torch.optim.LBFGS(model.parameters(), 0.1, max_iter=3)
inputs, labels = torch.randn(32, 16), torch.randint(0, 4, (32,))
def closure():
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    return loss
for _ in range(10):
    print(optimizer.step(closure).item().hex())
"""
)
COMPILED = (
    BEGIN
    + """\
model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
compiled = torch.compile(model, backend="eager")
optimizer = torch.optim.SGD(model.parameters(), 0.1)
def step(run):
    optimizer.zero_grad()
    loss = run(torch.randn(8, 16)).square().mean()
    loss.backward()
    optimizer.step()
    return loss
for _ in range(10):
    print(step(compiled).item().hex())
whole = torch.compile(step, backend="eager")
for _ in range(5):
    print(whole(model).item().hex())
"""
)
LIGHTNING = (
    BEGIN
    + """\
import logging, warnings
warnings.filterwarnings("ignore")
import lightning.pytorch as lightning
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    def training_step(self, batch, number):
        loss = nn.functional.cross_entropy(self.layers(batch[0]), batch[1])
        print(loss.item().hex())
        return loss
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-2)
data = torch.utils.data.TensorDataset(torch.randn(64, 4), torch.randint(0, 2, (64,)))
trainer = lightning.Trainer(
    max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(Module(), torch.utils.data.DataLoader(data, batch_size=8, shuffle=True))
"""
)
TRANSFORMERS = (
    BEGIN
    + """\
import tempfile, warnings
warnings.filterwarnings("ignore")
import transformers
transformers.set_seed(0)
config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=16, n_layer=1, n_head=2)
rows = [{"input_ids": torch.arange(8) + n % 3, "labels": torch.arange(8) + n % 3} for n in range(32)]
arguments = transformers.TrainingArguments(
    output_dir=tempfile.mkdtemp(), max_steps=8, per_device_train_batch_size=2, gradient_accumulation_steps=2,
    logging_steps=1, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
)
trainer = transformers.Trainer(transformers.GPT2LMHeadModel(config), arguments, train_dataset=rows)
trainer.remove_callback(transformers.PrinterCallback)
trainer.train()
for entry in trainer.state.log_history:
    print(entry.get("loss"), entry.get("grad_norm"))
"""
)
