"""What the cases share: digits, the loop, the recording, applying an advice, and the last line that `benchmarks.clinic` reads.

A copy of the clinic's common.py with `--apply` added: the first cure at step 100 is applied to a fresh copy of the case.
"""
import argparse, copy, json, math, os, re, sys, time, warnings, zlib
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import vgtui
from engine.datasets import load_dataset

torch.set_num_threads(1)
warnings.simplefilter("ignore")

def digits():
    """Inputs 0..1, labels; 1500 to train, 297 to test."""
    d = load_dataset("digits")
    order = np.random.default_rng(0).permutation(d.samples)
    x = torch.tensor(d.inputs[order], dtype=torch.float32) / 16
    y = torch.tensor(np.asarray(d.labels)[order]).long()
    return x[:1500], y[:1500], x[1500:], y[1500:]

class Case:
    SOURCE = FAULT = LAYERS = CURE = EXPECT = ""
    STEPS, BATCH = 400, 64
    BAR = ("acc", 0.9)          # ("acc", at least) or ("loss", at most)
    CONTROL = False             # a control: trains as it is
    def __init__(self, cured): self.cured = cured; self.data()
    def data(self): self.x, self.y, self.xt, self.yt = digits()
    def rows(self): return torch.randint(len(self.x), (self.BATCH,))
    def optim(self, m): return torch.optim.SGD(m.parameters(), lr=0.1)
    def loss(self, m, step):
        i = self.rows()
        return F.cross_entropy(m(self.x[i]), self.y[i])
    def after_backward(self, m): pass
    def watched(self, m): return m
    def score(self, m):
        m.eval()
        with torch.no_grad():
            if self.BAR[0] == "acc":
                s = (m(self.xt).argmax(1) == self.yt).float().mean().item()
            else:
                s = self.error(m)
        m.train()
        return s
    def step(self, m, opt, step, clip):
        opt.zero_grad()
        loss = self.loss(m, step)
        loss.backward()
        self.after_backward(m)
        if clip: nn.utils.clip_grad_norm_(m.parameters(), clip)
        opt.step()
        return loss
    def good(self, s):
        return (s >= self.BAR[1]) if self.BAR[0] == "acc" else (s <= self.BAR[1])

def is_act(mod): return type(mod).__module__ == nn.ReLU.__module__

def use_order(case, m):
    order, hs = [], []
    for n, mod in m.named_modules():
        if is_act(mod) or any(True for _ in mod.parameters(recurse=False)):
            hs.append(mod.register_forward_hook(lambda mo, i, o, n=n: order.append(n)))
    state = torch.get_rng_state(); case.loss(m, 0); torch.set_rng_state(state)
    for h in hs: h.remove()
    return order

def put(m, name, new):
    parent, _, last = name.rpartition(".")
    parent = m.get_submodule(parent) if parent else m
    if last.isdecimal() and isinstance(parent, (nn.Sequential, nn.ModuleList)): parent[int(last)] = new
    else: setattr(parent, last, new)

def apply_advice(case, m, text, everywhere, opts):
    """One line of vgtui's advice, as it is written (one layer), or at all layers of that kind."""
    if text.startswith("nn.utils.clip_grad_norm_"): opts["clip"] = 1.0; return
    if text == "a smaller lr": opts["lr"] = 0.1; return
    if text == "a larger lr": opts["lr"] = 10.0; return
    if text.startswith("nn.init."):
        if not everywhere: exec(text, {"nn": nn, "model": m}); return
        f = getattr(nn.init, re.match(r"nn\.init\.(\w+)", text)[1])
        for mod in m.modules():
            if isinstance(mod, (nn.Linear, nn.Conv2d, nn.Conv1d, nn.Embedding)) and mod.weight.requires_grad: f(mod.weight)
        return
    if found := re.match(r"(nn\.\w+\(\)) rather than nn\.(\w+)\(\) after (\S+)", text):
        order = use_order(case, m)
        mods = dict(m.named_modules())
        acts = [n for n in order if is_act(mods[n]) and type(mods[n]).__name__ == found[2]]
        if not everywhere:
            at = order.index(found[3])
            acts = [n for n in order[at:] if n in acts][:1]
        for n in dict.fromkeys(acts): put(m, n, eval(found[1], {"nn": nn}))
        return
    if found := re.match(r"(nn\.\w+\(\d+\)) after (\S+)", text):
        mods = dict(m.named_modules()); kind = type(mods[found[2]])
        order = [n for n in use_order(case, m) if type(mods[n]) is kind]
        names = list(dict.fromkeys(order))[:-1] if everywhere else [found[2]]
        for n in names:
            norm = re.match(r"nn\.(\w+)", found[1])[1]
            size = mods[n].weight.shape[0] if kind is not nn.Embedding else mods[n].weight.shape[1]
            put(m, n, nn.Sequential(mods[n], getattr(nn, norm)(size)))
        return
    raise NotImplementedError(text)

def frames(path):
    out, notes = [], []
    for line in open(path):
        d = json.loads(line)
        if d["type"] == "frame": out.append(d)
        elif d["type"] == "event": notes.append(d["message"])
    return out, notes

def first_cure(cls, o):
    """Watch the case as reported for a hundred steps: the first cure then, or None, and the verdict's message."""
    torch.manual_seed(o.seed); np.random.seed(o.seed)
    case = cls(False)
    m = case.model(); opt = case.optim(m)
    path = f"{os.environ.get('CLINIC_OUT', '/tmp')}/apply_{os.getpid()}.jsonl"
    try:
        with vgtui.watch(case.watched(m), opt, name="apply", every=1, record=path) as w:
            for step in range(101):
                loss = case.step(m, opt, step, None)
                w.step(loss=loss)
        if getattr(w, "verdict", None) is not None: return (w.verdict.cures or (None,))[0], w.verdict.message
        fs, _ = frames(path)
        if not fs: return None, ""
        texts = [c["text"] for c in fs[-1]["verdict"]["cures"]]
        return (texts or (None,))[0], fs[-1]["verdict"]["message"]
    finally:
        if os.path.exists(path): os.remove(path)

def apply_first_cure(cls, o):
    """Apply the first cure at step 100 to a fresh copy of model and optimizer, train that, print the row.

    outcome: trains, fails, a person's (no machine can apply it), none (no cure is given) or error.
    """
    began = time.time()
    row = dict(case=os.path.basename(sys.argv[0])[:-3], apply=True, seed=o.seed, control=cls.CONTROL, bar=cls.BAR, cure=cls.CURE, score=None, error="", text=None, message="")
    try:
        cure, row["message"] = first_cure(cls, o)
        row["text"] = getattr(cure, "text", cure)
        torch.manual_seed(o.seed); np.random.seed(o.seed)
        case = cls(False); m = case.model(); opts = {"clip": None, "lr": 1.0}
        if cure is None: row["outcome"] = "none"
        elif isinstance(cure, str):                # a version without cures that can be applied: by its text
            try: apply_advice(case, m, cure, False, opts); opt = case.optim(m)
            except NotImplementedError: row["outcome"] = "a person's"
        elif getattr(cure, "apply", None) is None: row["outcome"] = "a person's"
        else: opt = case.optim(m); m, opt = cure.apply(m, opt)
        if "outcome" not in row:
            for g in opt.param_groups: g["lr"] *= opts["lr"]
            for step in range(cls.STEPS):
                case.step(m, opt, step, opts["clip"])
                if time.time() - began > 120: row["error"] = f"cut at step {step}"; break
            row["score"] = case.score(m)
            row["outcome"] = "trains" if case.good(row["score"]) else "fails"
    except Exception as e:
        row["outcome"], row["error"] = "error", f"{type(e).__name__}: {e}"[:300]
    row["seconds"] = round(time.time() - began, 1)
    print(f"{row['case']}: first advice: {row['text']} | {row['outcome']} {row['error']}")
    print("ROW " + json.dumps(row))

def main(cls):
    p = argparse.ArgumentParser(); a = p.add_argument
    a("--cured", action="store_true"); a("--advice"); a("--everywhere", action="store_true"); a("--seed", type=int, default=0)
    a("--htop", action="store_true"); a("--every", default="1"); a("--tag", default="")
    a("--apply", action="store_true", help="apply the first cure at step 100 to a fresh copy, and train that")
    o = p.parse_args()
    if o.apply: return apply_first_cure(cls, o)
    torch.manual_seed(o.seed); np.random.seed(o.seed)
    case = cls(o.cured)
    m = case.model(); opts = {"clip": None, "lr": 1.0}
    error = ""
    name = os.path.basename(sys.argv[0])[:-3]
    path = f"{os.environ.get('CLINIC_OUT', '/tmp')}/{name}{'_cured' if o.cured else ''}{o.tag}_{os.getpid()}.jsonl"
    if os.path.exists(path): os.remove(path)
    began = time.time(); first = last = None; mon = None
    try:
        if o.advice: apply_advice(case, m, o.advice, o.everywhere, opts)
        opt = case.optim(m)
        for g in opt.param_groups: g["lr"] *= opts["lr"]
        if o.htop:
            from nn_htop import Monitor
            mon = Monitor(case.watched(m))
        every = int(o.every) if o.every.isdecimal() else o.every
        losses = []
        with vgtui.watch(case.watched(m), opt, name=name, every=every, record=path) as w:
            for step in range(case.STEPS):
                loss = case.step(m, opt, step, opts["clip"])
                losses.append(float(loss.detach())); w.step(loss=loss)
                if time.time() - began > 60: error = f"cut at step {step}"; break
        s = case.score(m)
    except Exception as e:
        s, error, losses = float("nan"), f"{type(e).__name__}: {e}"[:160], [float("nan")]
    fs, notes = frames(path) if os.path.exists(path) else ([], [])
    def at(step):
        f = [f for f in fs if f["step"] <= step]
        return f[-1]["verdict"] if f else None
    vs = {k: at(k) for k in (10, 100, 10**9)}
    kinds = [f["verdict"]["kind"] for f in fs]
    runs = []
    for k in kinds:
        if runs and runs[-1][0] == k: runs[-1][1] += 1
        else: runs.append([k, 1])
    row = dict(case=name, cured=o.cured, control=cls.CONTROL, advice=o.advice, everywhere=o.everywhere, seed=o.seed, good=bool(case.good(s)) if not error or error.startswith("cut") else False,
        score=s, bar=cls.BAR, loss0=float(np.mean(losses[:5])), loss1=float(np.mean(losses[-20:])), error=error, seconds=round(time.time() - began, 1),
        v10=vs[10] and vs[10]["kind"], v100=vs[100] and vs[100]["kind"], vend=vs[10**9] and vs[10**9]["kind"],
        m10=vs[10] and vs[10]["message"], m100=vs[100] and vs[100]["message"], mend=vs[10**9] and vs[10**9]["message"],
        c10=[c["text"] for c in vs[10]["cures"]] if vs[10] else [], c100=[c["text"] for c in vs[100]["cures"]] if vs[100] else [], cend=[c["text"] for c in vs[10**9]["cures"]] if vs[10**9] else [],
        shares={k: round(kinds.count(k) / max(1, len(kinds)), 3) for k in sorted(set(kinds))}, switches=len(runs) - 1, frames=len(fs), notes=notes,
        clip=[f.get("clip_factor") for f in fs[-1:]], source=cls.SOURCE, fault=cls.FAULT, layers=cls.LAYERS, cure=cls.CURE, expect=cls.EXPECT)
    if mon:
        from nn_htop.ui import _get_health_badge
        row["htop"] = {n: _get_health_badge(st.mean_activation, st.grad_norm, st.layer_type).plain for n, st in mon.get_stats().items()}
    print(f"{name} {'cured' if o.cured else 'as reported'}: final {cls.BAR[0]} {s:.4g} (bar {cls.BAR[1]}) {'trains' if row['good'] else 'does not train'}; loss {row['loss0']:.4g} -> {row['loss1']:.4g} {error}")
    for k in ("10", "100", "end"): print(f"  verdict at {k}: {row['m' + k]} | first advice: {(row['c' + k] or ['-'])[0]}")
    print("ROW " + json.dumps(row))
    if os.path.exists(path): os.remove(path)
