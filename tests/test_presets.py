"""Configurations from papers: each can be had, and shows what it says of itself."""

import re

import numpy as np
import pytest

from engine.backend import select_backend
from engine.datasets import load_dataset
from engine.errors import UsageError
from engine.telemetry import LayerMeasurements
from engine.theory import Prediction, predict
from engine.trainer import Trainer
from vgtui.cli.main import main
from vgtui.model.options import settings_from
from vgtui.model.presets import PRESETS, find_preset


def layers_of(name: str, **changes: object) -> LayerMeasurements:
    """A preset at its initialization, with these fields changed."""
    settings = settings_from({**PRESETS[name].settings, **changes})
    trainer = Trainer(settings.network, settings.training, load_dataset("digits"), select_backend("numpy"))
    return trainer.measure(validate=False).layers


def ratio(values: np.ndarray) -> float:
    return float(values[0] / values[-1])


def test_glorots_initialization_keeps_the_error_signal_and_the_usual_one_before_does_not() -> None:
    assert ratio(layers_of("glorot-2010").delta_norm) > 0.5
    assert ratio(layers_of("glorot-2010", initialization="pytorch_default").delta_norm) == pytest.approx(0.05, rel=0.2)


def test_hes_initialization_keeps_the_error_signal_through_thirty_layers() -> None:
    assert 0.5 < ratio(layers_of("he-2015").delta_norm) < 2
    assert ratio(layers_of("he-2015", initialization="xavier_normal").delta_norm) < 1e-4


def test_batch_norm_gives_the_first_of_three_sigmoid_layers_its_gradient() -> None:
    assert ratio(layers_of("ioffe-szegedy-2015").grad_norm) > 0.1
    assert ratio(layers_of("ioffe-szegedy-2015", batch_norm=False).grad_norm) < 1e-4


def test_selu_keeps_mean_0_and_spread_1_through_32_layers() -> None:
    layers = layers_of("klambauer-2017")
    assert np.all(np.abs(layers.activation_mean[:-1]) < 0.2)
    assert layers.activation_std[:-1] == pytest.approx(1.0, abs=0.2)


def test_tanh_at_the_edge_of_chaos_is_flat_and_beside_it_vanishes_or_explodes() -> None:
    network = settings_from(PRESETS["schoenholz-2017"].settings).network
    prediction = predict(network, 64, 10)
    assert isinstance(prediction, Prediction) and prediction.depth_scale > 1000
    assert 0.3 < ratio(layers_of("schoenholz-2017").grad_norm) < 3
    assert ratio(layers_of("schoenholz-2017", weight_variance=1.0).grad_norm) < 1e-2
    assert ratio(layers_of("schoenholz-2017", weight_variance=3.0).grad_norm) > 30


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match='did you mean "he-2015"'):
        find_preset("he-2016")


def test_options_beside_a_preset_change_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--steps", "0", "--preset", "he-2015", "--hidden-layers", "3"]) == 0
    assert "relu, 3 hidden layers of 64, he_normal" in capsys.readouterr().out


def test_presets_and_lessons_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "presets"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed and preset.reference in listed for name, preset in PRESETS.items())
    assert main(["lessons"]) == 0
    assert re.search(r"^quarter +Why 0.25ⁿ: the vanishing gradient +5 steps$", capsys.readouterr().out, re.MULTILINE)
    assert main(["lessons", "quarter"]) == 0
    assert "5. The derivative of tanh is 1" in capsys.readouterr().out
    assert main(["lessons", "quart"]) == 2
