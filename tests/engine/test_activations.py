"""The activations and their derivatives, at points where they are numerically delicate."""

import numpy as np
import pytest

from engine.activations import ACTIVATIONS
from tests.engine.reference import PHI, STEP

POINTS = np.array([-800.0, -30.0, -1.3, -1e-9, 1e-9, 0.4, 2.0, 30.0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_derivative_match_the_complex_step(name: str) -> None:
    activation = ACTIVATIONS[name]
    h, slope, scratch = np.empty((3, len(POINTS)))
    with np.errstate(over="ignore", invalid="ignore"):
        activation.value(np, POINTS, h, scratch)
        activation.derivative(np, POINTS, h, slope, scratch)
        expected = PHI[name](POINTS + 1j * STEP)
    near = np.isfinite(expected)  # the plain formulas overflow at −800; the engine's do not
    assert near.sum() >= 7
    assert h[near] == pytest.approx(expected.real[near], rel=1e-9, abs=1e-12)
    assert slope[near] == pytest.approx(expected.imag[near] / STEP, rel=1e-7, abs=1e-12)
    assert np.isfinite(h).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_derivative_exceeds_its_bound_and_the_bound_is_reached(name: str) -> None:
    z = np.linspace(-12, 12, 100_001)
    h, slope, scratch = np.empty((3, len(z)))
    ACTIVATIONS[name].value(np, z, h, scratch)
    ACTIVATIONS[name].derivative(np, z, h, slope, scratch)
    assert np.abs(slope).max() == pytest.approx(ACTIVATIONS[name].largest_derivative, rel=1e-4)


@pytest.mark.parametrize(("name", "slope"), [("relu", 0.0), ("leaky_relu", 0.01), ("elu", 1.0)])
def test_the_derivative_at_the_kink_is_pytorchs(name: str, slope: float) -> None:
    zero, h, out, scratch = np.zeros((4, 1))
    ACTIVATIONS[name].value(np, zero, h, scratch)
    ACTIVATIONS[name].derivative(np, zero, h, out, scratch)
    assert out[0] == slope
