"""One point of a sweep, trained from start to end in the present process, which is one of a pool or of a cluster."""

from engine.depth_fit import fitted_depth_scale
from engine.errors import UsageError
from engine.verdict import PERSISTENCE
from vgtui.model.options import settings_from
from vgtui.sweeps.grid import Point
from vgtui.sweeps.rows import Row
from vgtui.wire.frames import Frame, Number
from vgtui.worker.run import Run

NO_MEMORY = "there is not enough memory"
MAX_REASON_LENGTH = 10_000
"""Characters: a row is a line, and lines have a bound."""


def measure(point: Point) -> Row:
    """Train a point and measure it; what makes that impossible is in the row."""
    try:
        run = Run(settings_from(point.values))
        first = last = run.frame(always_validate=True)
        # a verdict that must last is looked for in the last few measurements
        for target in range(max(1, point.steps - PERSISTENCE + 1), point.steps + 1):
            while run.trainer.step_count < target:
                run.trainer.step()
            last = run.frame(always_validate=target == point.steps)
    except (UsageError, MemoryError) as error:
        return failed(point, str(error) or NO_MEMORY)
    return Row(
        number=point.number,
        values=point.values,
        steps=point.steps,
        gradient_ratio_start=_ratio(first),
        gradient_ratio_end=_ratio(last),
        depth_scale=Number(fitted_depth_scale(first.layers.delta_norm)),
        loss=last.loss,
        accuracy=last.accuracy,
        validation_accuracy=last.validation_accuracy,
        verdict=last.verdict.kind,
        computed_on=run.backend.name,
        steps_per_second=last.steps_per_second,
        layers=last.layers,
    )


def failed(point: Point, reason: str) -> Row:
    """The row of a point of which there is nothing."""
    return Row(number=point.number, values=point.values, steps=point.steps, error=reason[:MAX_REASON_LENGTH])


def _ratio(frame: Frame) -> Number:
    """‖∂E/∂W‖ of the first layer to that of the output layer; NaN where both are 0."""
    first, last = frame.layers.grad_norm.tolist()[:: len(frame.layers.grad_norm) - 1]
    return Number(first / last) if last else Number("nan") if first == 0 else Number("inf")
