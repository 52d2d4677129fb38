"""The whole trainer on a device that allows no hidden wait, on a GPU if there is one, and the signatures of CuPy."""

import inspect
import sys
from typing import Any

import numpy as np
import pytest
from scipy.special import erf

from engine.backend import Backend, error_function, select_backend
from engine.config import ACTIVATION_NAMES, OPTIMIZER_NAMES, NetworkConfig, TrainingConfig
from engine.datasets import load_dataset
from engine.errors import UsageError
from engine.telemetry import MEASUREMENTS
from engine.trainer import Trainer
from tests.conftest import NO_DEVICE
from tests.engine.strict_device import DeviceArray, DeviceModule, HiddenWaitError, strict_backend, wrapped

STEPS = 5


def configurations() -> list[tuple[NetworkConfig, TrainingConfig]]:
    """List every activation and every optimizer, with and without BatchNorm, skip connections, decay and clipping."""
    networks = [
        NetworkConfig(3, 16, activation=activation, batch_norm=number % 2 == 0, skip_connections=number % 3 == 0)
        for number, activation in enumerate(ACTIVATION_NAMES)
    ]
    trainings = [
        TrainingConfig(16, optimizer, 0.01, weight_decay=0.01 * (number % 2), gradient_clip=None if number % 3 else 1.0)
        for number, optimizer in enumerate(OPTIMIZER_NAMES)
    ]
    return [(network, trainings[number % len(trainings)]) for number, network in enumerate(networks)]


CONFIGURATIONS = configurations()
IDS = [f"{network.activation}-{training.optimizer}" for network, training in CONFIGURATIONS]


@pytest.fixture(autouse=True)
def erf_of_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide cupyx.scipy.special.erf, which is not in `cupy`, for the stand-in's arrays."""

    def choose(xp: Any) -> Any:
        return wrapped(erf) if isinstance(xp, DeviceModule) else error_function(xp)

    monkeypatch.setattr("engine.activations.error_function", choose)


def run_on(backend: Backend, network: NetworkConfig, training: TrainingConfig) -> dict[str, Any]:
    trainer = Trainer(network, training, load_dataset("digits"), backend)
    for _ in range(STEPS):
        trainer.step()
    measurement = trainer.measure()
    values = {name: measurement.layers.of(name) for name in MEASUREMENTS}
    scalars = {"loss": measurement.loss, "validation_accuracy": measurement.validation_accuracy}
    return {**values, **scalars, **trainer.network.named_parameters()}


def assert_equal_within(ours: dict[str, Any], theirs: dict[str, Any], tolerance: float) -> None:
    for name, values in theirs.items():
        scale = max(np.max(np.abs(np.ma.filled(values, 0))), 1e-12)
        difference = np.max(np.abs(np.ma.filled(ours[name], 0) - np.ma.filled(values, 0)))
        assert difference <= tolerance * scale, name


@pytest.mark.parametrize(("network", "training"), CONFIGURATIONS, ids=IDS)
def test_the_trainer_runs_on_a_strict_device_with_numpys_numbers(
    network: NetworkConfig, training: TrainingConfig
) -> None:
    backend, _, _ = strict_backend()
    assert_equal_within(
        run_on(backend, network, training), run_on(select_backend("numpy"), network, training), tolerance=1e-5
    )


@pytest.mark.parametrize(("network", "training"), CONFIGURATIONS, ids=IDS)
def test_a_step_makes_no_copy_to_the_host_and_a_measurement_one(
    network: NetworkConfig, training: TrainingConfig
) -> None:
    backend, _, transfers = strict_backend()
    trainer = Trainer(network, training, load_dataset("digits"), backend)
    transfers.clear()
    for _ in range(STEPS):
        trainer.step()
    assert transfers == []
    trainer.measure()
    assert transfers == ["to host"]


@pytest.mark.parametrize(("network", "training"), CONFIGURATIONS[:3], ids=IDS[:3])
def test_looking_inside_needs_no_hidden_wait(network: NetworkConfig, training: TrainingConfig) -> None:
    backend, *_ = strict_backend()
    trainer, host = (Trainer(network, training, load_dataset("digits"), b) for b in (backend, select_backend("numpy")))
    for layer in range(network.hidden_layers + 1):
        ours, theirs = trainer.inspect(layer), host.inspect(layer)
        assert ours.weights == theirs.weights
        assert ours.gradients.low == pytest.approx(theirs.gradients.low, rel=1e-4)
        assert sum(ours.activations.counts) == sum(theirs.activations.counts)


def test_the_strict_device_refuses_what_would_wait() -> None:
    array = DeviceArray(np.ones(3))
    for wait in (lambda: bool(array[0]), lambda: float(array[0]), lambda: np.asarray(array), array.item):
        with pytest.raises(HiddenWaitError):
            wait()
    with pytest.raises(HiddenWaitError):
        array + np.ones(3)
    with pytest.raises(HiddenWaitError):
        DeviceModule().add(array, np.ones(3))


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import CuPy; its signatures can be read without a GPU."""
    monkeypatch.setattr("sys.path", [path for path in sys.path if path != NO_DEVICE])
    return pytest.importorskip("cupy", reason="cupy is large; .ci/run installs it")


@pytest.mark.parametrize("case", range(len(CONFIGURATIONS)), ids=IDS)
def test_cupy_has_every_function_with_these_arguments(cupy: Any, case: int) -> None:
    backend, module, _ = strict_backend()
    run_on(backend, *CONFIGURATIONS[case])
    for name, options in module.used.items():
        function = getattr(cupy, name)
        if isinstance(function, cupy.ufunc):
            assert options <= {"out", "where", "dtype", "casting"}, name
            continue
        parameters = inspect.signature(function).parameters
        takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
        assert takes_any or options <= set(parameters), f"cupy.{name} takes no {options - set(parameters)}"
    for name in ("reshape", "transpose", "astype", "fill", "copy"):
        assert hasattr(cupy.ndarray, name)
    assert set(inspect.signature(cupy.take).parameters) >= {"axis", "out"}
    assert isinstance(error_function(cupy), cupy.ufunc)


@pytest.fixture
def gpu() -> Backend:
    try:
        return select_backend("cupy")
    except UsageError as error:
        pytest.skip(error.problem)


@pytest.mark.gpu
@pytest.mark.parametrize(("network", "training"), CONFIGURATIONS, ids=IDS)
def test_a_gpu_gives_numpys_numbers(gpu: Backend, network: NetworkConfig, training: TrainingConfig) -> None:
    assert_equal_within(
        run_on(gpu, network, training), run_on(select_backend("numpy"), network, training), tolerance=1e-3
    )
