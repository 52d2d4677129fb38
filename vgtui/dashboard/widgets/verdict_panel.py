"""The verdict in words, the keys that would help, a comparison of two lanes, and numbers of the chosen layer."""

import re
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.text import Text
from textual.strip import Strip

from vgtui.dashboard.view.comparison import comparison
from vgtui.dashboard.widgets.lines import Lines
from vgtui.dashboard.widgets.state_line import FULL_WIDTH
from vgtui.model.cure_options import advice_of
from vgtui.model.description import model_words
from vgtui.model.quantities import entry
from vgtui.terminal.text import (
    GLUE,
    count_text,
    first_that_fits,
    glued,
    plain,
    share_text,
    short_number,
    unglued,
    value_text,
)
from vgtui.user.themes import VERDICT_HEALTH
from vgtui.wire.frames import Frame

ROOM_FOR_LAYER, ROOM_FOR_INTRODUCTION = 5, 8
"""The minimum heights for a description of the chosen layer, and for an introduction of the network."""
_LONG, _SIGNS = re.compile(r"\S+"), re.compile(r"[./_]")
MAX_FACT_WIDTH = 28
"""The maximum width of a fact that is kept on one line."""
MAX_SENTENCES = 2
"""Cures of a watched model, each a sentence, that are shown."""
ROOM_FOR_CURES = 44
"""The minimum width to name cures beside their keys."""


class VerdictPanel(Lines):
    """Wrapped text, the most important sentence first."""

    BORDER_TITLE = "Verdict"

    def draw(self, width: int, height: int) -> list[Strip]:
        """Draw as many parts as fit; … marks the end of a first part that does not."""
        parts = self._parts()
        while len(lines := self._wrapped(parts, width)) > height and len(parts) > 1:
            parts.pop()
        if introduction := self._introduction():
            with_it = self._wrapped([introduction, *parts], width)
            lines = with_it if len(with_it) <= height else lines
        if len(lines) > height:
            lines = lines[:height]
            lines[-1].append(" …" if lines[-1].cell_len + 2 <= width else "…")
            lines[-1].truncate(width, overflow="ellipsis")
        ground = self.style(self.palette.text)
        return [Strip([_unglued(part) for part in line.render(self.app.console)]).apply_style(ground) for line in lines]

    def _wrapped(self, parts: list[Text], width: int) -> list[Text]:
        text = Text("\n").join(parts)
        text.plain = glued(text.plain)  # the same length, so that styles keep their places
        return list(_broken_at_dots(text, width).wrap(self.app.console, width))

    def _text(self) -> Text:
        """The whole text, whether or not it fits."""
        return Text("\n").join([*filter(None, [self._introduction()]), *self._parts()])

    def _parts(self) -> list[Text]:
        """The parts of the text, the most important first."""
        state = self.state
        if state.status.fault and state.moment is None:
            return [self._fault(f"fault: {plain(state.status.fault)}")]
        if state.status.silent_seconds and state.moment is None:
            who = "the GPU" if state.on_gpu and state.header else "it"
            what = "beginning" if state.begins_run or not state.header else "one step"
            silence = (
                f"no answer from the training process for {state.status.silent_seconds:.0f} s: "
                f"{who} hangs, or {what} takes longer than that"
            )
            return [self._fault(silence)]
        if not state.frame:
            words = "waiting for the first frame …" if state.status.follows else "starting the training process …"
            return [Text(words, self.palette.muted)]
        parts = [self._sentence(state.frame)]
        if state.other and (words := comparison(state, state.other)):
            parts.insert(0, Text(words, self.palette.accent))
        if self.app.size.width < FULL_WIDTH:
            parts.append(self._scores(state.frame))  # their chart is not shown
        if clipping := self._clipping(state.frame):
            parts.append(clipping)
        if self.size.height >= ROOM_FOR_LAYER:
            parts.append(self._layer(state.frame))
        return parts

    def _fault(self, words: str) -> Text:
        """What is wrong, and the keys to continue."""
        colour, key = self.palette.health["vanished"], f"bold {self.palette.accent}"
        shown = self.state.look.keymap.shown
        text = Text.assemble((f"{words}; press ", colour), (shown("restart"), key), (" to start again", colour))
        if self.state.on_gpu:
            text.append(", or ", colour).append(shown("use_numpy"), key)
            text.append(" to continue without the GPU (--backend numpy)", colour)
        return text

    def _scores(self, frame: Frame) -> Text:
        loss, accuracy, validation = (
            short_number(value) for value in (frame.loss, frame.accuracy, frame.validation_accuracy)
        )
        facts = (f"loss {loss}", f"accuracy {accuracy}", f"validation {validation}")
        forms = [" · ".join(facts[:count]) for count in (3, 2, 1)]
        return Text(first_that_fits(forms, self.size.width), self.palette.muted)

    def _clipping(self, frame: Frame) -> Text | None:
        """What clipping does to the gradient, if it does anything."""
        if frame.clip_factor is msgspec.UNSET or frame.clip_factor == 1:
            return None
        return Text(f"clipped to {short_number(frame.clip_factor)} of the gradient's norm", self.palette.muted)

    def _introduction(self) -> Text | None:
        """The network and its data in a sentence, where hints are on and there is room."""
        state, shown = self.state, self.state.shown
        is_wanted = state.look.hints and not state.other and self.size.height >= ROOM_FOR_INTRODUCTION
        if shown is None or not is_wanted or not state.frame or state.status.fault or state.status.silent_seconds:
            return None
        if (own := shown.own) is None:
            return Text(f"{plain(model_words(shown))}.\n", self.palette.text)
        network, data = own.network, own.dataset
        what = "handwritten digits" if data.name == "digits" else plain(data.name)
        return Text(f"{network.hidden_layers} {network.activation} layers learn {what}.\n", self.palette.text)

    def _sentence(self, frame: Frame) -> Text:
        verdict = frame.verdict
        text = Text(plain(verdict.message), self.palette.health[VERDICT_HEALTH[verdict.kind]])
        if verdict.kind == "non-finite":
            text.append(f", found at step {count_text(frame.step)}")
            if self.state.status.paused and not self.state.status.follows and self.state.moment is None:
                text.append("; training is paused")
        if not verdict.cures:
            return text
        if self.state.status.follows or self.state.moment is not None:  # no key applies them
            best = verdict.cures[:MAX_SENTENCES] if verdict.cures[0].setting is None else verdict.cures
            text.append(f"; {advice_of(' or '.join(plain(cure.text) for cure in best))}", self.palette.text)
            return text
        text.append("; press " if self.size.width >= ROOM_FOR_CURES else "; ", self.palette.text)
        for place, cure in enumerate(verdict.cures):
            if place:
                text.append(" or " if place == len(verdict.cures) - 1 else ", ", self.palette.text)
            keys = self.state.look.keymap.cure_keys(cure, self.state.wanted).replace(" ", GLUE)
            text.append(keys or cure.text, f"bold {self.palette.accent}")
            if keys and self.size.width >= ROOM_FOR_CURES:
                text.append(f" ({cure.text})", self.palette.text)
        return text

    def _layer(self, frame: Frame) -> Text:
        layer, layers = self.state.selected, frame.layers
        name = self.state.full_label(layer)
        least, norm, greatest = (
            value_text(entry(norms, layer)) for norms in (layers.grad_norm_min, layers.grad_norm, layers.grad_norm_max)
        )
        facts = [f"gradient {norm}" if least == greatest else f"gradient {norm} ({least} to {greatest})"]
        mean, spread = entry(layers.activation_mean, layer), entry(layers.activation_std, layer)
        if mean is not None and spread is not None:
            facts.append(" ± ".join((f"output {short_number(mean)}", short_number(spread))))
        known: tuple[tuple[NDArray[np.float64], str, Callable[[float], str]], ...] = (
            (layers.derivative_rms, "φ′ {}", short_number),
            (layers.saturated, "saturated {}", share_text),
            (layers.dead, "dead {}", share_text),
            (layers.weight_norm, "weights {}", short_number),
            (layers.update_ratio, "last update {} of them", short_number),
        )
        for values, words, form in known:
            if (value := entry(values, layer)) is not None:
                facts.append(words.format(form(value)))
        # do not break short facts
        whole = [fact.replace(" ", GLUE) if len(fact) <= MAX_FACT_WIDTH else fact for fact in facts]
        return Text.assemble((f"{name}: ", self.palette.accent), (f"{GLUE}· ".join(whole), self.palette.muted))


def _broken_at_dots(text: Text, width: int) -> Text:
    """Break words that no line has room for, names of layers, behind dots and other signs between their words."""
    places = []
    for word in _LONG.finditer(text.plain):
        begin = word.start()
        while word.end() - begin > width:
            ends = [sign.end() for sign in _SIGNS.finditer(text.plain, begin, begin + width)]
            begin = ends[-1] if ends else begin + width
            places.append(begin)
    return Text("\n").join(text.divide(places)) if places else text


def _unglued(part: Segment) -> Segment:
    return part._replace(text=unglued(part.text))
