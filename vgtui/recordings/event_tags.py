"""Which tags of event files are gradients, weights, the loss and the accuracy: by convention, or as the user says."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.errors import UsageError, unknown_name
from vgtui.recordings.event_files import EventLog, Values, some

LAYER = "{layer}"
GRADIENTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:.*/)?grad(?:ient)?s?_norms?/(?P<layer>.+)",
        r"(?:.*/)?grad_[0-9.]+_norm/(?P<layer>.+)",
        r"(?:.*/)?grad(?:ient)?s?/(?P<layer>.+)",
        r"(?P<layer>.+)[/._]grad(?:ient)?s?_norm",
        r"(?P<layer>.+)[/._]grad(?:ient)?s?",
    )
)
"""How people call the gradient of a layer."""
NORM = re.compile(r"norm", re.IGNORECASE)
"""What a scalar's tag must have in it to be taken for a norm, where nobody says so."""
NOT_LAYERS = re.compile(r"(?:.*[/._])?(?:train|val|valid|test|total|global|all|overall|mean|max|min|norm|model)", re.I)
"""What a layer is not called: these are norms of all gradients together."""
WEIGHTS = re.compile(r"(?:(?:.*/)?(?:weight|param|parameter)s?/)?(?P<layer>.+)")
"""How people call the weights of a layer: by its name alone, or below a word."""
BIAS = re.compile(r"(?:.*[/._])?bias(?:_\w+)?|.+[/._]b")
WEIGHT_ENDING = re.compile(r"[/._](?:weight|kernel|w)$")
NO_MATRIX = re.compile(r"norm|emb|\bbn|\bln|\bw[tp]e\b|pos|token|scale|gamma", re.IGNORECASE)
"""What is in the name of a layer that is no matrix: norms, embeddings, tokens."""
_STAGE = r"(?:(?:train|training|batch|step|epoch)[/_ .-])?"
_UNIT = r"(?:[/_ .-](?:train|training|batch|step|epoch))?"
_VALIDATION = r"(?:val|valid|validation|test|eval)"
_ACCURACY = r"(?:acc|accuracy)(?:_?top_?1)?"
NUMBERS = {
    "loss": re.compile(rf"{_STAGE}loss{_UNIT}", re.IGNORECASE),
    "accuracy": re.compile(rf"{_STAGE}{_ACCURACY}{_UNIT}", re.IGNORECASE),
    "validation_accuracy": re.compile(
        rf"{_VALIDATION}[/_ .-]{_ACCURACY}{_UNIT}|{_ACCURACY}[/_ .-]{_VALIDATION}", re.IGNORECASE
    ),
}
"""How people call the numbers of a frame."""


@dataclass(frozen=True, slots=True)
class TagRule:
    """What the user says of tags.

    Attributes:
        gradients: How the gradient of a layer is called; none for the usual ways.
        numbers: How the loss or an accuracy is called, by the field of a frame.
    """

    gradients: tuple[re.Pattern[str], ...] = ()
    numbers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Iterable[str]) -> "TagRule":
        """Read the values of --tag: "grad/{layer}", or "loss=objective/total".

        Raises:
            UsageError: One is neither.
        """
        gradients: list[re.Pattern[str]] = []
        numbers: dict[str, str] = {}
        for word in words:
            name, equals, tag = word.partition("=")
            if word.count(LAYER) == 1:
                before, _, after = word.partition(LAYER)
                gradients.append(re.compile(f"{re.escape(before)}(?P<layer>.+){re.escape(after)}"))
            elif equals and tag and name in NUMBERS:
                numbers[name] = tag
            elif equals and LAYER not in word:
                raise unknown_name("tag", "number", name, NUMBERS)
            else:
                problem = f'"{word}" says no layer; it takes a pattern such as grad/{LAYER}, or loss=TAG'
                raise UsageError("tag", problem)
        return cls(tuple(gradients), numbers)


@dataclass(frozen=True, slots=True)
class TaggedRun:
    """What the tags of a run are.

    Attributes:
        layers: The names of the layers, in the order in which their gradients were written.
        gradients: The gradient norm of each layer at each step.
        weights: The norm of the weights of those layers for which it is known.
        numbers: The loss and the accuracies, by the field of a frame.
        tags: The tag of each of `numbers`.
        kinds: "histograms", "scalars", or both: what the norms come from.
        left_out: Tags of gradients whose norm is unknown.
    """

    layers: tuple[str, ...]
    gradients: Values
    weights: Values
    numbers: Values
    tags: dict[str, str]
    kinds: tuple[str, ...]
    left_out: tuple[str, ...]


def find_tags(log: EventLog, rule: TagRule, name: str) -> TaggedRun:
    """Find what the tags of a run are.

    Args:
        log: What its event files hold.
        rule: What the user says of tags.
        name: What errors call the run.

    Raises:
        UsageError: There is no gradient in it, or no tag that the user names.
    """
    found: dict[str, tuple[str, dict[int, float]]] = {}
    left_out = [tag for tag in log.bins_only if _parameter(tag, rule)]
    for kind, values in (("histograms", log.norms), ("scalars", log.scalars)):
        for tag, series in values.items():
            parameter = _parameter(tag, rule)
            if parameter is None or parameter in found:
                continue
            if kind == "scalars" and not rule.gradients and not NORM.search(tag):
                left_out.append(tag)
            else:
                found[parameter] = kind, series
    layers = _layers(found)
    if not layers:
        raise UsageError("FILE", _nothing(log, rule, name, left_out))
    weights = {
        layers[parameter]: series
        for tag, series in log.norms.items()
        if (match := WEIGHTS.fullmatch(tag)) and (parameter := match["layer"]) in layers
    }
    numbers, tags = _numbers(log, rule, name)
    return TaggedRun(
        tuple(layers.values()),
        {layer: found[parameter][1] for parameter, layer in layers.items()},
        weights,
        numbers,
        tags,
        tuple(sorted({found[parameter][0] for parameter in layers})),
        tuple(left_out),
    )


def _parameter(tag: str, rule: TagRule) -> str | None:
    """The parameter whose gradient a tag is; None if it is anything else."""
    for pattern in rule.gradients or GRADIENTS:
        match = pattern.fullmatch(tag)
        if match and (rule.gradients or not NOT_LAYERS.fullmatch(match["layer"])):
            return match["layer"]
    return None


def _layers(parameters: Iterable[str]) -> dict[str, str]:
    """The layer of each parameter, without biases; of a layer with several parameters, each has its own name."""
    weights = [parameter for parameter in parameters if not BIAS.fullmatch(parameter)]
    names = [WEIGHT_ENDING.sub("", parameter).replace("/", ".") for parameter in weights]
    return {
        parameter: name if names.count(name) == 1 else parameter for parameter, name in zip(weights, names, strict=True)
    }


def _numbers(log: EventLog, rule: TagRule, name: str) -> tuple[Values, dict[str, str]]:
    """The loss and the accuracies, and their tags. Raises UsageError where the user names a tag that is not there."""
    numbers: Values = {}
    tags: dict[str, str] = {}
    for field_name, pattern in NUMBERS.items():
        if tag := rule.numbers.get(field_name):
            if tag not in log.scalars:
                raise unknown_name("tag", f"scalar in {name}", tag, log.scalars)
        else:  # of several, the one that was written most often
            fitting = [tag for tag in log.scalars if pattern.fullmatch(tag)]
            tag = max(fitting, key=lambda one: len(log.scalars[one]), default="")
        if tag:
            tags[field_name], numbers[field_name] = tag, log.scalars[tag]
    return numbers, tags


def _nothing(log: EventLog, rule: TagRule, name: str, left_out: Sequence[str]) -> str:
    """Say that there is no gradient, and what there is."""
    if left_out:
        return (
            f"{name} has gradients whose norm is unknown: {some(left_out)}; histograms without a sum of squares, or "
            f"scalars that may be anything: --tag 'PATTERN' with {LAYER} in it says that they are norms"
        )
    tags = [*log.norms, *log.bins_only, *log.scalars]
    what = f"no tag that fits {' or '.join(p.pattern for p in rule.gradients)}" if rule.gradients else "no gradients"
    if not tags:
        return f"{name} has {what}: it has no scalars and no histograms"
    return f"{name} has {what}; its tags are {some(tags)}; --tag 'PATTERN' with {LAYER} in it says which are gradients"
