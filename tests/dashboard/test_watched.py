"""A watched model on the screen: named layers, groups that fold, a search, and what is not available."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.text import Text
from textual.widgets._toast import Toast

from engine.verdict import Cure, Evidence, Verdict
from tests.dashboard.sitting import Sitting, open_dashboard
from tests.forms import slow_but
from tests.models import BLOCKS, make_model_frame, make_model_header
from tests.scripted_run import ScriptedSource
from vgtui.cli.output.text_report import verdict_sentence
from vgtui.dashboard.view.outline import MAX_LABEL_WIDTH, Outline, shortened_name
from vgtui.wire.frames import Event, LayerInfo, TimeProfile
from vgtui.wire.run_settings import RunSettings

NORMS = [0.1, 0.4, 0.5, 1e-9, 0.4, 0.2, 0.3, 1.0]
"""The second block's attention gets next to nothing."""


class WatchedModel(ScriptedSource):
    """A source of frames of a model, whose training may end."""

    ended = False

    def _begin(self, settings: RunSettings) -> None:
        self.say(make_model_header())
        for step in range(self.frames):
            self.say(make_model_frame(NORMS, 10 * step))

    async def find_others(self) -> list[str]:
        return []

    def end(self) -> None:
        self.ended = True
        self.say(Event(step=50, kind="note", message="the training has ended"))


@asynccontextmanager
async def watching(size: tuple[int, int] = (120, 40)) -> AsyncIterator[Sitting]:
    async with open_dashboard(WatchedModel(RunSettings()), size) as sitting:
        yield sitting


def labels(sitting: Sitting) -> list[str]:
    """The labels of the rows, the output on top."""
    state = sitting.app.main.state
    return [state.label(layer) for layer in reversed(state.rows)]


async def test_layers_have_their_names_kinds_and_shapes_and_the_model_is_named() -> None:
    async with watching() as sitting:
        assert "tiny · 8 layers" in sitting.line and "torch float32" in sitting.line
        for words in ("head", "embed", ".layers.0.linear", "Linear 10×32", "Attention", "1.0e-09", "vanished"):
            assert words in sitting.text
        assert "encoder.layers.1.self_attn" in sitting.text  # in full, in the verdict
        assert "loss 2.5" in sitting.text and "accuracy –" in sitting.text
        assert sitting.app.crash is None


async def test_the_model_is_described_where_there_is_room_beside_the_verdict() -> None:
    async with watching((160, 60)) as sitting:
        assert "tiny: PyTorch model of 8 layers" in sitting.text


class ModelOverTime(WatchedModel):
    """A model in whose third layer the error signal vanishes in time."""

    def _begin(self, settings: RunSettings) -> None:
        self.say(make_model_header())
        about = Evidence((2,), "grad_norm", np.float64(1e-12), 1e-3)
        verdict = Verdict("vanishing-in-time", "vanishing-in-time: over 50 steps", evidence=(about,))
        profile = TimeProfile(2, np.geomspace(1e-12, 1, 50))
        for step in range(self.frames):
            frame = make_model_frame(NORMS, 10 * step)
            self.say(msgspec.structs.replace(frame, verdict=verdict, through_time=(profile,)))


async def test_a_verdict_about_time_is_drawn_by_time_step() -> None:
    async with open_dashboard(ModelOverTime(RunSettings()), (120, 40)) as sitting:
        assert "Error signal by time step" in sitting.text
        assert re.search(r"time 1 +10 +20 +30 +40 +50", sitting.text)
        assert "by layer" not in sitting.text


async def test_a_group_folds_into_its_weakest_layer_and_unfolds() -> None:
    async with watching() as sitting:
        state = sitting.app.main.state
        await sitting.press("up", "up", "up", "up")
        assert state.full_label(state.selected).startswith("encoder.layers.1.linear")
        await sitting.press("enter")
        rows = labels(sitting)
        assert len(rows) == 7 and rows[3] == "encoder.layers.1 +1"
        assert state.full_label(state.selected).startswith("encoder.layers.1.self_attn")  # its gradient is 1e-9
        await sitting.press("Z")
        assert labels(sitting) == ["head", "encoder +5", "embed"]
        assert state.full_label(state.selected).startswith("encoder.layers.1.self_attn")  # its gradient is 1e-9
        await sitting.press("enter")
        assert len(labels(sitting)) == 7
        await sitting.press("z")
        assert len(labels(sitting)) == 8
        await sitting.press("z", "down")
        assert labels(sitting) == ["head", "encoder +5", "embed"]
        assert state.full_label(state.selected).startswith("embed")
        assert sitting.app.crash is None


async def test_a_layer_is_found_by_parts_of_its_name_or_kind_whatever_is_folded() -> None:
    async with watching() as sitting:
        state = sitting.app.main.state
        await sitting.press("z", "slash")
        await sitting.press("a", "t", "t", "n", "space", "1")
        assert "1 of 1: encoder.layers.1.self_attn MultiheadAttention" in sitting.text
        await sitting.press("enter")
        assert state.full_label(state.selected).startswith("encoder.layers.1.self_attn")
        assert len(labels(sitting)) == 8
        before = state.selected
        await sitting.press("slash", "l", "i", "n", "e", "a", "r")
        assert "1 of 4: head" in sitting.text
        await sitting.press("down")
        assert "2 of 4: encoder.layers.2.linear" in sitting.text
        await sitting.press("up", "up")
        assert "4 of 4: encoder.layers.0.linear" in sitting.text
        await sitting.press("escape")
        assert state.selected == before
        await sitting.press("slash", "x", "x")
        assert "no layer matches" in sitting.text
        await sitting.press("escape")
        assert sitting.app.crash is None


async def test_there_is_no_chain_rule_and_no_theory_and_nothing_to_change() -> None:
    async with watching() as sitting:
        state = sitting.app.main.state
        for view in ("heat map", "sparklines", "heat map"):
            await sitting.press("v")
            assert sitting.app.main._panel.view == view
        await sitting.press("t")
        assert "no theory for your own model" in sitting.text
        await sitting.press("a", "w", "r", "c", "g", "comma")
        assert isinstance(sitting.source, WatchedModel) and set(sitting.source.told) <= {"train", "pause"}
        footer = sitting.text.splitlines()[-1]
        assert "find" in footer and "fold" in footer and "activation" not in footer and "faster" not in footer
        assert state.header and sitting.app.crash is None


async def test_pausing_and_the_past_are_the_viewers() -> None:
    async with watching() as sitting:
        await sitting.press("z", "space", "home")
        state = sitting.app.main.state
        assert state.frame and state.frame.step == 0 and "in the past" in sitting.line
        assert labels(sitting) == ["head", "encoder +5", "embed"]
        await sitting.press("end", "space")
        assert state.moment is None


async def test_the_end_of_the_training_is_said_and_all_stays() -> None:
    async with watching() as sitting:
        assert isinstance(sitting.source, WatchedModel)
        sitting.source.end()
        await sitting.until(lambda: "ended" in sitting.line)
        assert "1.0e-09" in sitting.text
        sitting.source.ended = False
        sitting.source._begin(RunSettings())
        await sitting.until(lambda: "ended" not in sitting.line)
        assert sitting.app.main.state.history.marks


async def test_names_from_outside_command_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # one of the keys exports
    layers = [LayerInfo(name, 4, 4, "[/]\x1b]52;c;x\x07") for name in ("[/]", "a\x1b[2J", "‮evil", "\u009b31m", "")]
    source = WatchedModel(RunSettings(), frames=0)
    async with open_dashboard(source) as sitting:
        source.say(make_model_header(layers, name="[bold]\x1b[31m"))
        source.say(make_model_frame([1e-9, 1.0, 1.0, 1.0, 1.0], layers=layers))
        await sitting.settle()
        await sitting.press("slash", "e", "escape", "z", "e")
        assert not {"\x1b", "\x07", "\u009b", "‮"} & set(sitting.text)
        assert sitting.app.crash is None


@pytest.mark.parametrize(
    "size", slow_but([(40, 12), (80, 24), (120, 40), (200, 60), (20, 5), (1, 1)], (80, 24), (1, 1))
)
async def test_it_can_be_drawn_at_every_size(size: tuple[int, int]) -> None:
    async with watching(size) as sitting:
        await sitting.press("z", "v", "v", "z", "down", "down", "enter", "question_mark", "escape")
        assert sitting.app.crash is None
        if size >= (40, 12):
            assert "tiny" in sitting.line


def test_an_outline_of_names_without_groups_folds_nothing() -> None:
    outline = Outline([LayerInfo(str(number), 1, 1) for number in (0, 2, 4)])
    assert outline.toggle(1) is None and outline.fold_around(1) is None
    outline.toggle_all()
    assert list(outline.rows) == [0, 1, 2]


def test_short_names_leave_room_for_their_groups() -> None:
    outline = Outline([LayerInfo(name, 1, 1) for name in ("10.0", "10.2", "11.0", "11.2", "12")])
    outline.toggle_all()
    outline.fit(np.ones(5))
    assert [outline.label(layer) for layer in outline.rows] == ["10 +1", "11 +1", "12"]


def test_long_labels_keep_their_ends() -> None:
    outline = Outline([LayerInfo("a" * 50 + ".weight_one", 1, 1), LayerInfo("b", 1, 1)])
    assert outline.label(0).startswith("…") and outline.label(0).endswith("weight_one")
    assert len(outline.label(0)) == outline.width == MAX_LABEL_WIDTH


def test_what_is_folded_stays_folded_when_the_same_model_begins_again() -> None:
    outline = Outline(BLOCKS)
    outline.toggle(2)
    assert Outline(BLOCKS, sorted(outline.folded)).folded == {"encoder.layers.0"}
    assert Outline(BLOCKS[:1], sorted(outline.folded)).folded == set()


LONG = [
    LayerInfo(f"bert.encoder.layer.{block}.{name}", 8, 8, "Linear", (8, 8))
    for block in range(12)
    for name in (
        *(f"attention.self.{part}" for part in ("query", "key", "value")),
        *("attention.output.dense", "intermediate.dense", "output.dense"),
    )
]
"""The layers of an encoder with long names."""


def test_labels_of_long_names_tell_blocks_and_layers_apart() -> None:
    labels = [shortened_name(layer.name, MAX_LABEL_WIDTH) for layer in LONG]
    assert len(set(labels)) == len(LONG) and max(map(len, labels)) <= MAX_LABEL_WIDTH
    for layer, label in zip(LONG, labels, strict=True):
        block, last = layer.name.split(".")[3], layer.name.split(".")[-1]
        assert f"{block}." in label and label.endswith(f".{last}")
    keras = [f"transformer_layer_{block}_intermediate_dense" for block in range(61)]
    assert len({shortened_name(name, MAX_LABEL_WIDTH) for name in keras}) == 61
    assert shortened_name("model.layers.13.block_sparse_moe.experts.7.down_proj", 20) == "…13.b.ex.7.down_proj"
    tied = "bert.embeddings.word_embeddings + cls.predictions.decoder"
    assert shortened_name(tied, 20) == "…s.word_embeddings +"


@pytest.mark.parametrize("width", [4, 10, 20])
@pytest.mark.parametrize("name", ["a" * 50, "1.2.3.4.5.6.7.8.9.10.11.12", "x.1." + "y" * 40, "..//__" * 9, "1" * 30])
def test_a_shortened_name_fits(name: str, width: int) -> None:
    assert len(shortened_name(name, width)) <= width


class LongModel(WatchedModel):
    """One of long names, in whose first layers the gradient vanishes."""

    def _begin(self, settings: RunSettings) -> None:
        self.say(make_model_header(LONG))
        norms = [1e-12 if number == 61 else 1.0 for number in range(len(LONG))]
        for step in range(self.frames):
            self.say(make_model_frame(norms, 10 * step, LONG))


@pytest.mark.parametrize("size", slow_but([(80, 24), (120, 40), (200, 60)], (80, 24)))
async def test_the_layer_of_the_verdict_is_marked_while_it_is_off_the_screen_and_a_key_goes_there(
    size: tuple[int, int],
) -> None:
    async with open_dashboard(LongModel(RunSettings()), size) as sitting:
        state = sitting.app.main.state
        assert state.concerned == [61] and state.selected == 0
        assert "▲ verdict's layer: j" in sitting.text
        await sitting.press("z", "j")  # folded, it is unfolded
        assert state.selected == 61 and state.label(61) in sitting.text
        assert "verdict's layer: j" not in sitting.text
        await sitting.press(*["pageup"] * 7)
        await sitting.press(*["up"] * 9)
        if size[1] < 60:
            await sitting.until(lambda: "verdict's layer: j" not in sitting.text or "▼" in sitting.text)
        await sitting.press("j")
        assert state.selected == 61
        assert sitting.app.crash is None


async def test_names_in_the_verdict_break_behind_dots() -> None:
    async with open_dashboard(LongModel(RunSettings()), (100, 40)) as sitting:
        lines = sitting.app.main._verdict._wrapped([Text(f"in {LONG[-3].name} (Linear)")], 22)
        words = [line.plain.strip() for line in lines]
        assert words == ["in", "bert.encoder.layer.11.", "attention.output.dense", "(Linear)"]


@pytest.mark.parametrize("size", slow_but([(80, 24), (120, 40), (200, 60)], (80, 24)))
async def test_the_notice_at_the_end_leaves_the_verdict_free(size: tuple[int, int]) -> None:
    async with watching(size) as sitting:
        assert isinstance(sitting.source, WatchedModel)
        sitting.source.end()
        await sitting.until(lambda: "the training has ended" in sitting.text)
        verdict = sitting.app.main._verdict.region
        toasts = [toast.region for toast in sitting.app.screen.query(Toast)]
        assert toasts and not any(toast.overlaps(verdict) for toast in toasts)


@pytest.mark.parametrize(("rate", "words"), [(0.3333, "0.33/s"), (4.26, "4.3/s"), (9.99, "10/s"), (1234.5, "1 234/s")])
async def test_a_slow_training_has_a_rate_too(rate: float, words: str) -> None:
    source = WatchedModel(RunSettings(), frames=0)
    async with open_dashboard(source) as sitting:
        source.say(msgspec.structs.replace(make_model_frame(NORMS, 10), steps_per_second=rate))
        await sitting.until(lambda: words in sitting.line)


def sees(sitting: Sitting, words: str) -> bool:
    return words in sitting.text


async def test_a_note_does_not_hide_the_fault_of_the_same_moment() -> None:
    source = WatchedModel(RunSettings())
    async with open_dashboard(source) as sitting:
        verdict = Verdict("non-finite", "non-finite: m")
        source.say(msgspec.structs.replace(make_model_frame(NORMS, 60), verdict=verdict))
        source.say(Event(step=60, kind="note", message="the loss or a gradient is NaN or ∞"))
        for step in range(70, 120, 10):
            source.say(msgspec.structs.replace(make_model_frame(NORMS, step), verdict=verdict))
        await sitting.until(lambda: "step 110" in sitting.line)
        await sitting.until(lambda: "!" in sitting.text.split("\n")[-2])


async def test_a_cure_that_is_a_sentence_is_told_as_one() -> None:
    source = WatchedModel(RunSettings(), frames=0)
    async with open_dashboard(source) as sitting:
        for cure, said in (("look at embed", "m; look at embed"), ("a smaller lr", "m; try a smaller lr")):
            verdict = Verdict("frozen", "m", (Cure(None, None, cure),))
            frame = msgspec.structs.replace(make_model_frame(NORMS, 10), verdict=verdict)
            assert verdict_sentence(frame) == said
            source.say(frame)
            await sitting.until(partial(sees, sitting, said))
