"""The layers of a model that is known by its parameters alone."""

import pytest

from vgtui.watching.integrations.parameters import find_rows


def test_each_matrix_is_a_layer_and_of_a_layer_of_vectors_its_scale() -> None:
    paths = [
        ("embed", "embedding"), ("layers", 0, "bias"), ("layers", 0, "kernel"), ("norm", "bias"), ("norm", "scale"),
        ("head", "w1"), ("head", "w2"), ("token",),
    ]  # fmt: skip
    shapes = [(7, 4), (8,), (3, 3, 4, 8), (8,), (8,), (8, 2), (2, 2), (1, 4)]
    rows = find_rows(paths, shapes)
    assert rows.places == (0, 2, 4, 5, 6, 7)
    assert [info.name for info in rows.infos] == ["embed", "layers.0", "norm", "head.w1", "head.w2", "token"]
    assert [info.is_matrix for info in rows.infos] == [False, True, False, True, True, True]
    assert [(info.fan_in, info.fan_out) for info in rows.infos[:3]] == [(7, 4), (36, 72), (8, 8)]


def test_the_weight_of_torch_and_equinox_has_its_outputs_first() -> None:
    (info,) = find_rows([("conv", "weight")], [(8, 4, 3, 3)]).infos
    assert (info.fan_in, info.fan_out) == (36, 72)


def test_parameters_without_an_order_are_sorted_with_numbers_by_value() -> None:
    paths = [("Dense_10", "kernel"), ("Dense_2", "kernel"), ("Dense_0", "kernel")]
    rows = find_rows(paths, [(2, 2)] * 3, is_ordered=False)
    assert [info.name for info in rows.infos] == ["Dense_0", "Dense_2", "Dense_10"]


@pytest.mark.parametrize(
    ("first", "names"),
    [
        ((), ["embed", "head", "layers.0", "layers.1"]),
        (("embed", "layers"), ["embed", "layers.0", "layers.1", "head"]),
        (("layers.1", "layers", "head"), ["layers.1", "layers.0", "head", "embed"]),
    ],
)
def test_an_order_that_is_given_names_layers_or_what_holds_them(first: tuple[str, ...], names: list[str]) -> None:
    paths = [("embed", "w"), ("head", "w"), ("layers", 0, "w"), ("layers", 1, "w")]
    rows = find_rows(paths, [(2, 2)] * 4, is_ordered=False, first=first)
    assert [info.name for info in rows.infos] == names
