"""What is measured beside the norms is what plain PyTorch says: attention, optimizer state, zeros, noise scale, RMS."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.watching.recorded import frames, lines
from vgtui import watch
from vgtui.watching.emitter import Emitter

torch = pytest.importorskip("torch")
nn = torch.nn
functional = nn.functional

SAMPLES, LENGTH, WIDTH, HEADS = 3, 7, 16, 4
EXACT = 1e-6


@pytest.fixture(autouse=True)
def _repeatable() -> None:
    torch.manual_seed(0)


class Product(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
    """Attention of its own: with scaled_dot_product_attention, or with a softmax of its scores."""

    def __init__(self, form: str, key_heads: int = HEADS) -> None:
        super().__init__()
        self.form, self.key_heads = form, key_heads
        self.asks = nn.Linear(WIDTH, WIDTH)
        self.offers = nn.Linear(WIDTH, 2 * key_heads * WIDTH // HEADS)
        self.joins = nn.Linear(WIDTH, WIDTH)
        self.seen: list[Any] = []

    def forward(self, inputs: Any) -> Any:
        query = self.asks(inputs).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        offered = self.offers(inputs).unflatten(-1, (2 * self.key_heads, -1)).transpose(1, 2)
        key, value = offered.chunk(2, dim=1)
        self.seen.append((query.detach(), key.detach()))
        if self.form == "causal":
            mixed = functional.scaled_dot_product_attention(
                query, key, value, is_causal=True, enable_gqa=self.key_heads < HEADS
            )
        elif self.form == "mask":
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=causal())
        elif self.form == "numbers":
            mask = torch.zeros(LENGTH, LENGTH).masked_fill(~causal(), -torch.inf)
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=WIDTH**-0.5 * 2)
        else:
            scores = (query @ key.mT * 0.5).masked_fill(~causal(), torch.finfo(torch.float32).min)
            mixed = functional.softmax(scores, dim=-1) @ value
        return self.joins(mixed.transpose(1, 2).flatten(2))


def causal() -> Any:
    return torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()


def largest(query: Any, key: Any, mask: Any, scale: float) -> float:
    """The largest q·kᵀ times scale among those that the mask leaves, one product at a time."""
    query, key = query.double(), key.double().repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    logits = torch.einsum("bhqd,bhkd->bhqk", query, key) * scale
    return float(logits[mask.expand(logits.shape)].max())


def train(model: Any, path: Path | None, steps: int = 3, **changes: Any) -> list[float]:
    """The losses of a plain loop. note: called with the optimizer before each update."""
    optimizer = changes.get("optimizer") or torch.optim.SGD(model.parameters(), lr=0.1)
    note: Callable[[Any], None] = changes.get("note", lambda optimizer: None)
    watcher = watch(model, optimizer, every=1, record=path) if path else None
    losses = []
    for step in range(steps):
        inputs = torch.randn(SAMPLES, LENGTH, WIDTH, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        loss = model(inputs).square().mean()
        loss.backward()
        note(optimizer)
        optimizer.step()
        if watcher:
            watcher.step(loss=loss)
        losses.append(loss.item())
    if watcher:
        watcher.close()
    return losses


@pytest.mark.parametrize(
    ("form", "key_heads"), [("causal", HEADS), ("causal", 2), ("mask", HEADS), ("numbers", HEADS), ("softmax", HEADS)]
)
def test_the_largest_logit_of_an_attention_is_that_of_the_products_that_its_mask_leaves(
    form: str, key_heads: int, tmp_path: Path
) -> None:
    model = Product(form, key_heads)
    train(model, tmp_path / "r.jsonl")
    told = [frame.layers.of("max_attention_logit").tolist() for frame in frames(tmp_path / "r.jsonl")]
    true = [largest(query, key, causal(), 0.5) for query, key in model.seen]  # 4 features a head
    assert told[0] == [None] * 3  # the first step shows which layers there are
    assert told[1:] == [[None, pytest.approx(value, rel=EXACT), None] for value in true[1:]]
    unmasked = [largest(query, key, torch.ones(1, dtype=torch.bool), 0.5) for query, key in model.seen]
    assert max(abs(one - other) for one, other in zip(true, unmasked, strict=True)) > 1e-3


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("kind", ["one weight", "three weights", "padding"])
def test_multihead_attention_is_seen_with_its_masks(kind: str, need_weights: bool, tmp_path: Path) -> None:
    separate = {"kdim": WIDTH + 2, "vdim": WIDTH + 2} if kind == "three weights" else {}

    class Model(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, **separate)
            self.seen: list[Any] = []

        def forward(self, inputs: Any) -> Any:
            other = functional.pad(inputs, (0, 2)) if separate else inputs
            padding = torch.arange(LENGTH)[None].expand(SAMPLES, LENGTH) > 4 if kind == "padding" else None
            own = self.attention
            weights = [own.q_proj_weight, own.k_proj_weight] if separate else own.in_proj_weight.chunk(3)[:2]
            parts = [
                functional.linear(given, weight, bias).unflatten(-1, (HEADS, -1)).transpose(1, 2).detach()
                for given, weight, bias in zip((inputs, other), weights, own.in_proj_bias.chunk(3), strict=False)
            ]
            self.seen.append(
                largest(parts[0], parts[1], causal() if padding is None else causal() & ~padding[:, None, None], 0.5)
            )
            return own(inputs, other, other, attn_mask=~causal(), need_weights=need_weights, key_padding_mask=padding)[
                0
            ]

    model = Model()
    train(model, tmp_path / "r.jsonl")
    told = [frame.layers.of("max_attention_logit").tolist()[0] for frame in frames(tmp_path / "r.jsonl")]
    assert told[1:] == pytest.approx(model.seen[1:], rel=EXACT)


def test_of_a_large_attention_a_sample_of_queries_is_a_lower_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    from vgtui.watching import attention

    query, key = torch.randn(2, SAMPLES, HEADS, 64, 8)
    mask = torch.ones(64, 64, dtype=torch.bool).tril()
    exact = float(attention.largest_logit(query, key, mask))
    assert exact == pytest.approx(largest(query, key, mask, 8**-0.5), rel=EXACT)
    monkeypatch.setattr(attention, "MAX_LOGITS", HEADS * 64 * 2)
    few = float(attention.largest_logit(query, key, mask))
    rows = torch.tensor([63])  # one query, of two samples
    assert few == pytest.approx(largest(query[[0, 2]][:, :, rows], key[[0, 2]], mask[rows], 8**-0.5), rel=EXACT)
    assert few < exact


def test_looking_at_attention_changes_no_loss_and_takes_its_mode_away(tmp_path: Path) -> None:
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, dropout=0.1, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    bare = copy.deepcopy(model)
    torch.manual_seed(1)
    expected = train(bare, None, 5)
    torch.manual_seed(1)
    assert train(model, tmp_path / "r.jsonl", 5) == expected
    assert torch.overrides._get_current_function_mode() is None
    told = frames(tmp_path / "r.jsonl")[1].layers.of("max_attention_logit").tolist()
    assert sum(value is not None for value in told) == 2


def test_a_forward_pass_that_raises_leaves_no_mode_behind(tmp_path: Path) -> None:
    class Model(Product):
        fails = False

        def forward(self, inputs: Any) -> Any:
            outputs = super().forward(inputs)
            if self.fails:
                raise ValueError("of the script")
            return outputs

    model = Model("causal")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl"):
        for _ in range(3):
            model(torch.randn(SAMPLES, LENGTH, WIDTH)).sum().backward()
            optimizer.step()
        model.fails = True
        with pytest.raises(ValueError, match="of the script"):
            model(torch.randn(SAMPLES, LENGTH, WIDTH))
        assert torch.overrides._get_current_function_mode() is None


OPTIMIZERS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "Adam": (lambda weights: torch.optim.Adam(weights, lr=1e-3), "exp_avg", "exp_avg_sq"),
    "SGD": (lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9), "momentum_buffer", ""),
    "RMSprop": (lambda weights: torch.optim.RMSprop(weights, lr=1e-3), "", "square_avg"),
    "Adagrad": (lambda weights: torch.optim.Adagrad(weights, lr=1e-3), "", "sum"),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_norms_of_the_optimizers_state_are_those_of_its_state_before_the_update(name: str, tmp_path: Path) -> None:
    make, mean, square = OPTIMIZERS[name]
    model = Product("causal")
    true: list[tuple[list[float | None], list[float | None]]] = []

    def note(optimizer: Any) -> None:
        states = [optimizer.state.get(layer.weight, {}) for layer in (model.asks, model.offers, model.joins)]
        true.append(
            (
                [float(state[mean].double().norm()) if mean in state else None for state in states],
                [float(state[square].double().sqrt().norm()) if square in state else None for state in states],
            )
        )

    train(model, tmp_path / "r.jsonl", optimizer=make(model.parameters()), note=note)
    told = frames(tmp_path / "r.jsonl")
    for frame, (means, squares) in zip(told, true, strict=True):
        assert frame.layers.of("momentum_norm").tolist() == pytest.approx(means, rel=EXACT)
        assert frame.layers.of("second_moment_norm").tolist() == pytest.approx(squares, rel=EXACT)
    assert any(value is not None for pair in true for values in pair for value in values)


def test_zeros_in_the_gradient_and_the_rms_of_outputs(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(WIDTH, 64), nn.ReLU(), nn.Linear(64, WIDTH))
    with torch.no_grad():
        model[0].bias[:20] = -1e3  # dead
    true: list[list[float]] = []
    sizes: list[list[float]] = []
    model[1].register_forward_hook(
        lambda _, __, out: sizes.append([float(out.detach().double().square().mean().sqrt())])
    )
    model[2].register_forward_hook(
        lambda _, __, out: sizes[-1].append(float(out.detach().double().square().mean().sqrt()))
    )
    train(
        model,
        tmp_path / "r.jsonl",
        note=lambda _: true.append([float((layer.weight.grad == 0).double().mean()) for layer in (model[0], model[2])]),
    )
    told = frames(tmp_path / "r.jsonl")
    assert [frame.layers.of("grad_zero_share").tolist() for frame in told] == true
    assert 0.3 < true[0][0] < 1
    for frame, rms in zip(told[1:], sizes[1:], strict=True):
        assert frame.layers.activation_rms.tolist() == pytest.approx(rms, rel=EXACT)


def test_of_a_large_gradient_a_share_of_entries_is_looked_at_for_zeros() -> None:
    from vgtui.watching.measures import MAX_COUNTED, zero_share

    gradient = torch.randn(1024, 2048)
    gradient[:, ::4] = 0  # every fourth column
    assert gradient.numel() > 4 * MAX_COUNTED
    assert float(zero_share(gradient, gradient.numel())) == pytest.approx(0.25, abs=1e-3)


def test_of_a_sparse_gradient_what_it_does_not_store_is_0(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(10, 4, sparse=True), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        model(torch.tensor([1, 1, 3])).square().sum().backward()
        optimizer.step()
        watcher.step()
    (frame,) = frames(tmp_path / "r.jsonl")
    assert frame.layers.of("grad_zero_share").tolist() == [pytest.approx(0.8), 0.0]


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_the_noise_scale_is_that_of_explicit_gradients_of_the_micro_batches(clip: float | None, tmp_path: Path) -> None:
    parts, samples, steps = 4, 8, 5
    model = nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, 1))
    layers = [model[0].weight, model[2].weight]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    true: list[list[Any]] = []
    with watch(model, optimizer, every=1, record=tmp_path / "r.jsonl") as watcher:
        for _ in range(steps):
            optimizer.zero_grad()
            given = [torch.randn(samples, WIDTH) for _ in range(parts)]
            losses = [(model(inputs) - inputs.sum(1, keepdim=True)).square().mean() for inputs in given]
            single = [torch.autograd.grad(loss, layers, retain_graph=True) for loss in losses]
            true.append([])
            for layer in range(2):
                rows = torch.stack([gradients[layer].double().flatten() for gradients in single])
                noise = samples * float(rows.var(0).sum())  # of one sample
                size = float(rows.mean(0).square().sum()) - noise / (parts * samples)
                true[-1].append(pytest.approx(noise / size, rel=1e-4) if size > 0 else None)
            for inputs in given:
                loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean() / parts
                loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            watcher.step()
    told = [frame.layers.of("noise_scale").tolist() for frame in frames(tmp_path / "r.jsonl")]
    assert told[:2] == [[None] * 2] * 2  # the second step shows that there are micro-batches
    assert told[2:] == true[2:]
    assert any(value is not None for values in told for value in values)


def test_without_micro_batches_or_with_kept_gradients_the_noise_scale_is_unknown(tmp_path: Path) -> None:
    model = Product("causal")
    train(model, tmp_path / "one.jsonl", 4)
    kept = Product("causal")
    optimizer = torch.optim.SGD(kept.parameters(), lr=1e-3)
    with watch(kept, optimizer, every=1, record=tmp_path / "kept.jsonl") as watcher:
        for _ in range(4):
            for _ in range(2):
                kept(torch.randn(SAMPLES, LENGTH, WIDTH)).square().mean().backward()
            optimizer.step()  # and no zero_grad()
            watcher.step()
    for name in ("one", "kept"):
        for frame in frames(tmp_path / f"{name}.jsonl"):
            assert frame.layers.of("noise_scale").tolist() == [None] * 3


def test_a_frame_without_a_measurement_has_no_place_for_it(tmp_path: Path) -> None:
    with Emitter(["a", "b"], name="own", every=1, record=tmp_path / "r.jsonl") as emitter:
        emitter.emit(0, [1.0, 2.0])
        emitter.emit(1, [1.0, 2.0], max_attention_logit=np.ma.MaskedArray([-3.5, 0.0], mask=[False, True]))
    plain, measured = (tmp_path / "r.jsonl").read_text().splitlines()[1:]
    assert "max_attention_logit" not in plain and "noise_scale" not in plain
    assert '"max_attention_logit":[-3.5,null]' in measured
    assert len(lines(tmp_path / "r.jsonl")) == 3
