"""JAX, MLX and Keras, where those are installed: norms against ones computed apart, losses as without a watcher."""

import json
import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.watching.recorded import frames, header

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(32, 8)).astype("float32")
LABELS = RNG.integers(0, 3, 32)


def norm(array: Any) -> float:
    return float(np.linalg.norm(np.asarray(array, np.float64).ravel()))


@pytest.mark.parametrize("every", [1, 3])
def test_an_optimizer_of_optax_in_a_compiled_step(every: int, tmp_path: Path) -> None:
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    from vgtui.watching.integrations.optax import Watched, watch

    keys = jax.random.split(jax.random.key(0), 3)
    start = {
        "embed": {"kernel": jax.random.normal(keys[0], (8, 16)) / 3, "bias": jax.numpy.zeros(16)},
        "a_block": {"kernel": jax.random.normal(keys[1], (16, 16)) * 1e-12},
        "head": {"kernel": jax.random.normal(keys[2], (16, 3)) / 4},
    }

    def loss_of(parameters: Any) -> Any:
        hidden = jax.numpy.tanh(INPUTS @ parameters["embed"]["kernel"] + parameters["embed"]["bias"])
        outputs = jax.numpy.tanh(hidden @ parameters["a_block"]["kernel"]) @ parameters["head"]["kernel"]
        return optax.softmax_cross_entropy_with_integer_labels(outputs, LABELS).mean()

    def train(optimizer: Any) -> tuple[list[float], list[Any]]:
        @partial(jax.jit, donate_argnums=1)
        def step(parameters: Any, state: Any) -> tuple[Any, ...]:
            loss, gradients = jax.value_and_grad(loss_of)(parameters)
            updates, state = optimizer.update(gradients, state, parameters)
            return optax.apply_updates(parameters, updates), state, loss, gradients, updates

        parameters, state = start, optimizer.init(start)
        losses, seen = [], []
        for _ in range(8):
            before = parameters
            parameters, state, loss, gradients, updates = step(parameters, state)
            if isinstance(optimizer, Watched):
                optimizer.step(state, loss)
            losses.append(float(loss))
            seen.append((gradients, before, updates))
        return losses, seen

    inner = optax.chain(optax.clip_by_global_norm(1e-4), optax.adam(1e-3))
    path = tmp_path / "r.jsonl"
    bare, _ = train(optax.with_extra_args_support(inner))
    watched = watch(inner, name="mlp", every=every, layers=["embed", "a_block"], record=path)
    losses, seen = train(watched)
    watched.close()
    assert losses == bare
    told = frames(path)
    assert [frame.step for frame in told] == list(range(0, 8, every))
    assert [layer.name for layer in header(path).layers] == ["embed", "a_block", "head"]
    for frame in told:
        gradients, weights, updates = seen[frame.step]
        for index, name in enumerate(("embed", "a_block", "head")):
            true = norm(gradients[name]["kernel"])
            assert frame.layers.grad_norm[index] == pytest.approx(true, rel=1e-6)
            ratio = norm(updates[name]["kernel"]) / norm(weights[name]["kernel"])
            assert frame.layers.update_ratio[index] == pytest.approx(ratio, rel=1e-6)
        assert frame.loss == pytest.approx(losses[frame.step], rel=1e-6)


def test_without_parameters_the_weights_are_unknown(tmp_path: Path) -> None:
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    from vgtui.watching.integrations.optax import watch

    optimizer = watch(optax.sgd(0.1), every=1, record=tmp_path / "r.jsonl")
    weights = {"w": jax.numpy.ones((2, 2))}
    _, state = optimizer.update(weights, optimizer.init(weights))
    with pytest.raises(TypeError, match="state"):
        optimizer.step(weights)
    optimizer.step({"held": [state]})
    optimizer.close()
    (frame,) = frames(tmp_path / "r.jsonl")
    assert frame.layers.grad_norm.tolist() == [2.0] and frame.layers.update_ratio.tolist() == [None]


@pytest.mark.parametrize("given", [{"every": "100ms"}, {"every": 0}, {"layers": "head"}])
def test_a_wrong_argument_is_named(given: dict[str, Any]) -> None:
    optax = pytest.importorskip("optax")
    from vgtui.watching.integrations.optax import watch

    with pytest.raises(TypeError, match=next(iter(given))):
        watch(optax.sgd(0.1), **given)


def test_a_model_of_mlx(tmp_path: Path) -> None:
    mx = pytest.importorskip("mlx.core")
    from mlx import nn, optimizers

    from vgtui.watching.integrations.mlx import watch

    inputs, labels = mx.array(INPUTS), mx.array(LABELS)

    def train(path: Path | None) -> tuple[list[float], list[Any]]:
        mx.random.seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.LayerNorm(16), nn.Linear(16, 3))
        optimizer = optimizers.Adam(1e-2)
        loss_and_gradients = nn.value_and_grad(
            model, lambda model: nn.losses.cross_entropy(model(inputs), labels, reduction="mean")
        )
        watcher = watch(model, every=2, record=path) if path else None
        losses, true = [], []
        for _ in range(6):
            loss, gradients = loss_and_gradients(model)
            before = np.array(model.layers[3].weight)
            optimizer.update(model, gradients)
            if watcher:
                watcher.step(gradients, loss)
            mx.eval(model.state, optimizer.state)
            losses.append(float(loss))
            weight = model.layers[3].weight
            true.append((norm(gradients["layers"][3]["weight"]), norm(np.array(weight) - before) / norm(before)))
        if watcher:
            watcher.close()
        return losses, true

    path = tmp_path / "r.jsonl"
    bare, _ = train(None)
    losses, true = train(path)
    told = frames(path)
    assert losses == bare
    assert [layer.name for layer in header(path).layers] == ["layers.0", "layers.2", "layers.3"]
    assert [frame.step for frame in told] == [0, 2, 4]
    for frame in told:
        assert frame.layers.grad_norm[2] == pytest.approx(true[frame.step][0], rel=1e-6)
        assert frame.layers.update_ratio[2] == pytest.approx(true[frame.step][1], rel=1e-6)
        assert frame.loss == pytest.approx(losses[frame.step], rel=1e-6)


KERAS_SCRIPT = """
import json, sys
import keras
import numpy as np

inputs = np.random.default_rng(0).normal(size=(40, 8)).astype("float32")
labels = np.random.default_rng(1).integers(0, 3, 40)

def model():
    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(3)])
    made.compile(keras.optimizers.SGD(0.5), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made

class Losses(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.weights = [self.read()]
    def read(self):
        if keras.backend.backend() == "jax" and getattr(self.model, "_jax_state", None):
            self.model.jax_state_sync()
        return [np.array(keras.ops.convert_to_numpy(v), np.float64) for v in self.model.trainable_variables]
    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self.read())

def fit(made, callbacks):
    done = made.fit(inputs, labels, batch_size=16, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    return done.history["loss"]

from vgtui.watching.integrations.keras import Watch
bare_model, watched_model, seen = model(), model(), Losses()
bare = fit(bare_model, [seen])
fit(watched_model, [])  # compiled without a watcher
watched_model.set_weights(model().get_weights())
watch = Watch(every=1, record=sys.argv[1])
watched = fit(watched_model, [watch])
fit(watched_model, [])  # and once more without
kernels = [[step[0], step[2]] for step in seen.weights]
moved = [[float(np.linalg.norm(b - a)) for a, b in zip(one, two)] for one, two in zip(kernels, kernels[1:])]
sizes = [[float(np.linalg.norm(a)) for a in one] for one in kernels]
print(json.dumps({"bare": bare, "watched": watched, "moved": moved, "sizes": sizes}))
"""


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_model_of_keras(backend: str, tmp_path: Path) -> None:
    if find_spec("keras") is None or find_spec(backend) is None:
        pytest.skip(f"keras or {backend} is not installed")
    path = tmp_path / "r.jsonl"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KERAS_SCRIPT, str(path)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "vgtui" not in done.stderr
    said = json.loads(done.stdout)
    assert said["watched"] == said["bare"]
    told = frames(path)
    assert [frame.step for frame in told] == [6, 7, 8, 9, 10, 11]  # three batches an epoch, after two epochs without
    assert [layer.name for layer in header(path).layers] == ["dense_2", "dense_3"]
    for index, frame in enumerate(told):
        for layer in range(2):
            moved, size = said["moved"][index][layer], said["sizes"][index][layer]
            assert frame.layers.grad_norm[layer] == pytest.approx(
                moved / 0.5, rel=1e-5
            )  # float32 weights were told apart
            assert frame.layers.update_ratio[layer] == pytest.approx(moved / size, rel=1e-6)
    assert [frame.loss is None for frame in told] == [False, False, True] * 2
    means = [np.mean([told[0].loss, told[1].loss]), np.mean([told[3].loss, told[4].loss])]
    assert means[0] > means[1]


def train_nnx(watch: Any) -> tuple[list[str], Any]:
    import jax
    import optax
    from flax import nnx

    class Model(nnx.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])
            self.head = nnx.Linear(8, 3, rngs=rngs)

        def __call__(self, inputs: Any) -> Any:
            for layer in self.layers:
                inputs = jax.numpy.tanh(layer(inputs))
            return self.head(inputs)

    def loss_of(model: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(model(INPUTS), LABELS).mean()

    @nnx.jit  # type: ignore[untyped-decorator]
    def step(model: Any, optimizer: Any) -> Any:
        loss, gradients = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, gradients)
        return loss, gradients

    tx = watch(optax.adam(1e-2), layers=["layers", "head"])
    model = Model()
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    for _ in range(4):
        loss, gradients = step(model, optimizer)
        tx.step(optimizer.opt_state, loss)
    tx.close()
    return ["layers.0", "layers.1", "head"], gradients["head"]["kernel"].get_value()


def train_linen(watch: Any) -> tuple[list[str], Any]:
    import jax
    import optax
    from flax import linen
    from flax.training.train_state import TrainState

    model = linen.Sequential([linen.Dense(8), linen.tanh, linen.Dense(3)])

    def loss_of(parameters: Any) -> Any:
        outputs = model.apply({"params": parameters}, INPUTS)
        return optax.softmax_cross_entropy_with_integer_labels(outputs, LABELS).mean()

    @jax.jit  # type: ignore[untyped-decorator]
    def step(state: Any) -> tuple[Any, ...]:
        loss, gradients = jax.value_and_grad(loss_of)(state.params)
        return state.apply_gradients(grads=gradients), loss, gradients

    tx = watch(optax.adam(1e-2))
    parameters = model.init(jax.random.key(0), INPUTS)["params"]
    state = TrainState.create(apply_fn=model.apply, params=parameters, tx=tx)
    for _ in range(4):
        state, loss, gradients = step(state)
        tx.step(state, loss)
    tx.close()
    return ["layers_0", "layers_2"], gradients["layers_2"]["kernel"]


def train_equinox(watch: Any) -> tuple[list[str], Any]:
    import equinox
    import jax
    import optax

    def loss_of(model: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(jax.vmap(model)(INPUTS), LABELS).mean()

    tx = watch(optax.adam(1e-2))

    @equinox.filter_jit  # type: ignore[untyped-decorator]
    def step(model: Any, state: Any) -> tuple[Any, ...]:
        loss, gradients = equinox.filter_value_and_grad(loss_of)(model)
        updates, state = tx.update(gradients, state, equinox.filter(model, equinox.is_inexact_array))
        return equinox.apply_updates(model, updates), state, loss, gradients

    model = equinox.nn.MLP(8, 3, 16, 2, key=jax.random.key(0))
    state = tx.init(equinox.filter(model, equinox.is_inexact_array))
    for _ in range(4):
        model, state, loss, gradients = step(model, state)
        tx.step(state, loss)
    tx.close()
    return ["layers.0", "layers.1", "layers.2"], gradients.layers[2].weight


@pytest.mark.parametrize(("library", "train"), [("flax", train_nnx), ("flax", train_linen), ("equinox", train_equinox)])
def test_the_libraries_of_jax(library: str, train: Any, tmp_path: Path) -> None:
    pytest.importorskip(library)
    pytest.importorskip("optax")
    from vgtui.watching.integrations.optax import watch

    path = tmp_path / "r.jsonl"
    names, gradient = train(partial(watch, every=1, record=path))
    assert [layer.name for layer in header(path).layers] == names
    told = frames(path)
    assert [frame.step for frame in told] == [0, 1, 2, 3]
    assert told[-1].layers.grad_norm[-1] == pytest.approx(norm(gradient), rel=1e-6)
    assert told[-1].loss is not None and told[-1].loss < (told[0].loss or 0)
