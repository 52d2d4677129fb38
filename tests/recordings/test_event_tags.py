"""What the tags of event files are taken for, by convention and as the user says."""

import pytest

from engine.errors import UsageError
from vgtui.recordings.event_files import EventLog
from vgtui.recordings.event_recording import _Lookup
from vgtui.recordings.event_tags import TaggedRun, TagRule, find_tags

ONE = {0: 1.0}


def find(*, scalars: tuple[str, ...] = (), norms: tuple[str, ...] = (), rule: tuple[str, ...] = ()) -> TaggedRun:
    log = EventLog(dict.fromkeys(scalars, ONE), dict.fromkeys(norms, ONE), times={0: 0.0})
    return find_tags(log, TagRule.of(rule), "runs/a")


@pytest.mark.parametrize(
    ("tag", "layer"),
    [
        ("grad_norm/layer1.weight", "layer1"),
        ("train/grad_norm/layer1.weight", "layer1"),
        ("grad_2.0_norm/layer1.weight", "layer1"),
        ("gradients/layer1.weight", "layer1"),
        ("gradients/layer1/weight", "layer1"),
        ("grads/encoder/layers/0/linear/kernel", "encoder.layers.0.linear"),
        ("grad/conv1.weight", "conv1"),
        ("layer1.weight/grad", "layer1"),
        ("layer1.weight.grad", "layer1"),
        ("layer1.weight_grad", "layer1"),
        ("layer1/grad_norm", "layer1"),
        ("Gradients/0.weight", None),
        ("rnn/weights", None),
        ("gradients/layer1.bias", None),
    ],
)
def test_the_usual_names_of_gradients(tag: str, layer: str | None) -> None:
    if layer is None:
        with pytest.raises(UsageError, match=r"runs/a has no gradients"):
            find(norms=(tag,))
    else:
        run = find(norms=(tag,))
        assert run.layers == (layer,) and run.kinds == ("histograms",)


def test_a_scalar_is_a_norm_where_its_tag_says_so_or_the_user() -> None:
    run = find(scalars=("grad_norm/a.weight", "grad_norm/b.weight", "gradients/c.weight"))
    assert run.layers == ("a", "b") and run.kinds == ("scalars",) and run.left_out == ("gradients/c.weight",)
    assert find(scalars=("gradients/c.weight",), rule=("gradients/{layer}",)).layers == ("c",)
    with pytest.raises(UsageError, match=r"gradients whose norm is unknown: gradients/c.weight; "):
        find(scalars=("gradients/c.weight",))


def test_the_norm_of_all_gradients_is_no_layer() -> None:
    run = find(scalars=("train/grad_norm", "grad_norm/total", "grad_2.0_norm_total", "grad_norm/fc.weight"))
    assert run.layers == ("fc",)


def test_parameters_of_a_layer_that_are_no_biases_have_their_own_names() -> None:
    names = ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "head.weight", "head.bias", "cls_token")
    run = find(norms=tuple(f"gradients/{name}" for name in names))
    assert run.layers == ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "head", "cls_token")


def test_weights_are_known_by_the_name_of_the_parameter() -> None:
    run = find(
        norms=("a.weight", "weights/b.weight", "parameters/c.weight", *(f"gradients/{n}.weight" for n in "abcd"))
    )
    assert run.layers == ("a", "b", "c", "d") and set(run.weights) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("loss", "accuracy", "val/accuracy"), ("loss", "accuracy", "val/accuracy")),
        (("train/loss", "train/acc", "val/loss", "valid_acc"), ("train/loss", "train/acc", "valid_acc")),
        (
            ("Loss/train", "Loss/test", "Accuracy/train", "Accuracy/test"),
            ("Loss/train", "Accuracy/train", "Accuracy/test"),
        ),
        (("train_loss_step", "val_loss"), ("train_loss_step", None, None)),
        (("val/loss", "closs"), (None, None, None)),
    ],
)
def test_the_usual_names_of_loss_and_accuracy(tags: tuple[str, ...], expected: tuple[str | None, ...]) -> None:
    run = find(scalars=tags, norms=("gradients/a.weight",))
    assert tuple(run.tags.get(name) for name in ("loss", "accuracy", "validation_accuracy")) == expected


def test_the_user_names_tags() -> None:
    run = find(
        scalars=("objective/total", "loss"), norms=("dW(a)", "dW(b)"), rule=("dW({layer})", "loss=objective/total")
    )
    assert run.layers == ("a", "b") and run.tags == {"loss": "objective/total"}


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (("grad",), r'"grad" says no layer; it takes a pattern such as grad/\{layer\}, or loss=TAG'),
        (("{layer}/{layer}",), "says no layer"),
        (("los=x",), 'no number "los"; did you mean "loss"'),
        (("loss=los",), 'no scalar in runs/a "los"; did you mean "loss"'),
        (("d/{layer}",), "runs/a has no tag that fits d/"),
    ],
)
def test_a_wrong_rule_is_a_sentence(rule: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        find(scalars=("loss",), norms=("gradients/a.weight",), rule=rule)


def test_without_gradients_the_tags_that_there_are_are_named() -> None:
    scalars = tuple(f"train/metric{number}" for number in range(12))
    with pytest.raises(UsageError, match=r"its tags are train/metric0, .*, train/metric7 and 4 more; --tag 'PATTERN'"):
        find(scalars=scalars)
    with pytest.raises(UsageError, match="it has no scalars and no histograms"):
        find()


def test_a_number_is_the_last_one_since_the_frame_before() -> None:
    losses = _Lookup({0: 4.0, 3: 3.0, 9: 2.0, 10: 1.0}, is_share=False)
    assert [losses.at(before, step) for before, step in ((-1, 0), (0, 5), (5, 8), (8, 10))] == [4.0, 3.0, None, 1.0]


def test_accuracies_in_per_cent_become_shares() -> None:
    assert _Lookup({0: 0.5, 1: 87.5}, is_share=True).at(-1, 1) == 0.875
    assert _Lookup({0: 0.5, 1: 1.0}, is_share=True).at(-1, 1) == 1.0
