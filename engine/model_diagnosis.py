"""The verdict on a model of any framework, step by step: does the gradient reach its layers, and does it learn?"""

import math
from collections.abc import Sequence

import numpy as np

from engine.model_case import Case, Past
from engine.model_cures import PYTORCH, ModelLayer
from engine.model_faults import CHECKS
from engine.observations import Observations
from engine.progress import Learning, Progress
from engine.telemetry import LayerMeasurements
from engine.verdict import Verdict

__all__ = ["PYTORCH", "ModelDiagnosis", "ModelLayer"]


class ModelDiagnosis:
    """Gives a verdict on each measured step of a model."""

    def __init__(self, layers: Sequence[ModelLayer], framework: str) -> None:
        """Begin with a model.

        Args:
            layers: The model's layers with weights, in the order of the measurements.
            framework: The name of its framework; PYTORCH has cures in code.
        """
        self._layers = layers
        self._framework = framework
        self._progress = Progress()
        self._past = Past()

    @property
    def learning(self) -> Learning:
        """What the losses so far say."""
        return self._progress.judge()

    def add(
        self,
        step: int,
        measured: LayerMeasurements,
        *,
        loss: float | None = None,
        accuracy: float | None = None,
        validation_accuracy: float | None = None,
        observed: Observations | None = None,
    ) -> Verdict:
        """Take in a measured step.

        Args:
            step: The number of updates before it.
            measured: The measurements of its layers, after clipping.
            loss: Its loss.
            accuracy: Its accuracy.
            validation_accuracy: The accuracy on the validation data.
            observed: What else is known of it.

        Returns:
            The verdict on the step.
        """
        observed = observed or Observations()
        past = self._past
        past.recent.append((measured, observed))
        past.equal_weights = past.equal_weights or observed.equal_weights
        self._progress.add(step, loss, accuracy, validation_accuracy)
        case = Case(self._layers, self._framework, past, step)
        case.remember(loss)
        self._progress.guess = self._loss_of_guessing(observed)
        case.learning = self._progress.judge()
        with np.errstate(all="ignore"):
            return next(verdict for check in CHECKS if (verdict := check(case)))

    def _loss_of_guessing(self, observed: Observations) -> float:
        """Return the loss of the best answer that does not look at the inputs; NaN if unknown."""
        function, targets, past = observed.loss_function, observed.targets, self._past
        guess = math.nan
        if function is not None and function.kind == "nll" and function.classes:
            guess = math.log(function.classes)
        elif function is not None and function.kind == "mse" and targets and math.isfinite(targets.variance):
            total, count = past.target_variance
            past.target_variance = total, count = total + targets.variance, count + 1
            guess = total / count or math.nan
        # a loss far below that from the start is scaled, or of a model that was trained before
        return guess if past.first_loss > guess / 2 else math.nan
