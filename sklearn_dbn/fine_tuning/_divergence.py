"""The cause of a fine-tuning that diverged, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..optim import DECAY_EVERY
from ..training import TOO_LARGE, decay_cause, momentum_cause, weight_cause

# Learning rates at which fine-tuning does not diverge by itself.
_USUAL_TUNING = {"adam": 0.01, "sgd": 0.003}
# The momentum that `solver="sgd"` has by default.
_USUAL_MOMENTUM = 0.9
# A row that is moved by more is far from all data.
_FARTHEST = 1e3


def tuning_diverged(n_passes: int, settings: Any, weight: np.ndarray) -> str:
    """The message for a fine-tuning that diverged after ``n_passes`` complete passes."""
    solver, decay = settings.solver, settings.weight_decay
    if solver not in _USUAL_TUNING:
        cause = next(weight_cause(weight, settings.batch_size, None), "try solver='adam'.")
        if decay > 1:
            cause = (
                f"its cause is weight_decay={decay:g}, whose penalty is far larger than the "
                "loss: try weight_decay=0.01."
            )
        return f"Fine-tuning with solver={solver!r} diverged in pass {n_passes + 1}: {cause}"
    rate = settings.learning_rate
    cause = next(_causes_of_tuning(rate, settings, weight), None)
    if cause is None:
        cause = f"try learning_rate={rate / 10:g}."
    return f"Fine-tuning with learning_rate={rate:g} diverged in pass {n_passes + 1}: {cause}"


def _causes_of_tuning(rate: float, settings: Any, weight: np.ndarray) -> Iterator[str]:
    usual = _USUAL_TUNING[settings.solver]
    least, largest = min(rate, usual), max(settings.factors, default=0.0)
    for name in ("adversarial_eps", "virtual_adversarial_eps"):
        if (length := getattr(settings, name)) > _FARTHEST:
            yield (
                f"its cause is {name}={length:g}, which moves rows far from all data: try "
                f"{name}=0.3."
            )
    if largest * least > 1:
        yield (
            f"its cause is the factor {largest:g} of fine_tune on the learning rate: try "
            "factors of at most 1."
        )
    yield from decay_cause(least * max(largest, 1.0) * DECAY_EVERY, settings.weight_decay)
    if least * settings.generative_weight > 1:
        yield (
            f"its cause is generative_weight={settings.generative_weight:g}, whose gradient is "
            "far larger than that of the loss: try generative_weight=0.01."
        )
    if rate > TOO_LARGE * usual:
        return
    if settings.solver == "sgd" and settings.momentum > _USUAL_MOMENTUM:
        yield momentum_cause(settings.momentum, rate)
    yield from weight_cause(weight, settings.batch_size, rate)
