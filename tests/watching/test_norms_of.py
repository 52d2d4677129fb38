"""Norms are exact to a relative 1e-6 whatever the numbers are, held against numpy in float64."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from vgtui.watching.norms import MIN_ENTRIES, ROW, SAMPLED, norm_of, norms_of, sampled  # noqa: E402

EXACT = 1e-6


def true_norm(values: Any) -> float:
    wide = values.detach().to(torch.complex128 if values.is_complex() else torch.float64)
    flat = np.abs(wide.resolve_conj().numpy().reshape(-1))
    largest = flat.max(initial=0.0)
    if not 0 < largest < math.inf:
        return float(largest)
    return float(largest) * math.sqrt(math.fsum(np.square(flat / largest)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    entries=st.integers(1, 2 * MIN_ENTRIES) | st.sampled_from([MIN_ENTRIES - 1, MIN_ENTRIES, 2**20 + ROW + 1]),
    exponent=st.floats(-44, 37),
    range_of_exponents=st.floats(0, 30),
    is_constant=st.booleans(),
)
def test_any_magnitudes_in_one_tensor(
    seed: int, entries: int, exponent: float, range_of_exponents: float, is_constant: bool
) -> None:
    numbers = np.random.default_rng(seed)
    signs = np.ones(entries) if is_constant else numbers.normal(size=entries)
    with np.errstate(over="ignore", under="ignore"):
        wide = signs * 10.0 ** (exponent - range_of_exponents * numbers.random(entries))
        values = torch.from_numpy(np.clip(wide, -3e38, 3e38).astype(np.float32))
    assert float(norm_of(values)) == pytest.approx(true_norm(values), rel=EXACT, abs=0)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1.1, 1e-16, 1e-30, 1e-44, 1e30])
def test_millions_of_equal_entries_round_no_digit_away(constant: float) -> None:
    values = torch.full((2**22 + 5,), constant)
    assert float(norm_of(values)) == pytest.approx(true_norm(values), rel=EXACT, abs=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
@pytest.mark.parametrize("scale", [1e-30, 1e-7, 1.0, 1e4])
def test_each_type_of_number(dtype: Any, scale: float) -> None:
    values = (torch.randn(100, 401, dtype=torch.float64) * scale).to(dtype)
    assert float(norm_of(values)) == pytest.approx(true_norm(values), rel=EXACT, abs=0)


def test_zero_infinity_and_nan_stay_what_they_are() -> None:
    zeros, infinite, unknown = torch.zeros(50_000), torch.zeros(50_000), torch.ones(50_000)
    infinite[17], unknown[49_999] = -math.inf, math.nan
    found = [float(norm) for norm in norms_of([zeros, infinite, unknown, torch.zeros(0), torch.tensor(-2.0)])]
    assert found[:2] == [0.0, math.inf] and math.isnan(found[2]) and found[3:] == [0.0, 2.0]


def test_tensors_that_do_not_lie_in_one_piece() -> None:
    images = torch.randn(8, 30, 16, 16)
    views = [
        images.to(memory_format=torch.channels_last),
        images.transpose(0, 3),
        images[:, ::2],
        images.expand(3, 8, 30, 16, 16),
    ]
    assert [float(norm) for norm in norms_of(views)] == pytest.approx([true_norm(view) for view in views], rel=EXACT)


@pytest.mark.parametrize("shape", [(1000,), (3072, 768), (64, 256, 14, 14), (2**18, 3)])
def test_what_a_sample_estimates_is_right_to_a_percent_and_of_all_channels(shape: tuple[int, ...]) -> None:
    values = torch.randn(shape) * torch.arange(1, shape[1] + 1 if len(shape) > 1 else 2).view(
        -1, *[1] * (len(shape) - 2)
    )
    entries = sampled(values)
    assert len(entries) <= 2 * SAMPLED and entries.data_ptr() == values.data_ptr()
    assert float(entries.square().mean().sqrt()) == pytest.approx(float(values.square().mean().sqrt()), rel=0.02)
    if len(entries) == values.numel():
        assert torch.equal(entries, values.reshape(-1))
