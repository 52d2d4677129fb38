"""A run in a few words."""

from vgtui.terminal.text import count_text
from vgtui.wire.frames import Header


def model_words(header: Header) -> str:
    """Somebody's own model, in words; shown as outside words are."""
    model = header.model
    assert model
    facts = [f"{model.framework} model of {len(header.layers)} layers".strip()]
    if model.parameters is not None:
        facts.append(f"{count_text(model.parameters)} parameters")
    if model.optimizer:
        facts.append(model.optimizer)
    return f"{model.name}: {', '.join(facts)}"
