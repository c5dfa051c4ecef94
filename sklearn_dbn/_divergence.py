"""Which parameter a training that diverged owes it to, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ._array_api import to_numpy
from ._training import SHRINK_EVERY

# Steps of so many times the usual size are too large by themselves.
_FACTOR = 2.0
# Learning rates at which fine-tuning does not diverge by itself.
_USUAL_TUNING = {"adam": 0.01, "sgd": 0.003}
# The momentum that `solver="sgd"` has by default.
_USUAL_MOMENTUM = 0.9
# Rows that are moved by more are none of the kind of the data.
_FARTHEST = 1e3


def machine_diverged(run: Any, settings: Any, rows: Any) -> str:
    """The message for a machine whose training ``run`` diverged."""
    rate = run.rate(settings)
    usual = run.rate(replace(settings, learning_rate=None))
    shown = f"{rate:g}"
    if settings.learning_rate is None:
        shown = f"'auto', which is {rate:g},"
    cause = next(_causes_of_machine(rate, usual, settings, rows), None)
    if cause is None:
        cause = f"try learning_rate={min(rate / 10, usual):g}."
    return f"Training with learning_rate={shown} diverged in pass {run.n_epochs}: {cause}"


def _causes_of_machine(rate: float, usual: float, settings: Any, rows: Any) -> Iterator[str]:
    """The causes that are not the learning rate, the surest first."""
    # What diverges at the usual rate too is not the fault of a large rate.
    least, decay, sparsity = min(rate, usual), settings.update.decay, settings.sparsity
    n_steps = min(SHRINK_EVERY, -(-len(rows) // settings.batch_size))
    yield from _decay(least * n_steps, decay)
    if sparsity is not None and least * sparsity.cost > 1:
        yield (
            f"its cause is sparsity_cost={sparsity.cost:g}, whose push is more in a step than "
            f"the gradient can make good: try sparsity_cost={0.1 / least:.1g} or less."
        )
    if rate > _FACTOR * usual:
        return
    if (momentum := getattr(settings.update, "momentum", 0.0)) > 1 - 1 / _FACTOR:
        yield _added_up(momentum, rate)
    yield from _heaviest(to_numpy(rows.weight)[rows.index], settings.batch_size, rate)


def tuning_diverged(n_epochs: int, settings: Any, weight: np.ndarray) -> str:
    """The message for a fine-tuning that diverged after ``n_epochs`` whole passes."""
    solver, decay = settings.solver, settings.weight_decay
    if solver not in _USUAL_TUNING:
        cause = next(_heaviest(weight, settings.batch_size, None), "try solver='adam'.")
        if decay > 1:
            cause = (
                f"its cause is weight_decay={decay:g}, next to which the loss is nothing: try "
                "weight_decay=0.01."
            )
        return f"Fine-tuning with solver={solver!r} diverged in pass {n_epochs + 1}: {cause}"
    rate = settings.learning_rate
    cause = next(_causes_of_tuning(rate, settings, weight), None)
    if cause is None:
        cause = f"try learning_rate={rate / 10:g}."
    return f"Fine-tuning with learning_rate={rate:g} diverged in pass {n_epochs + 1}: {cause}"


def _causes_of_tuning(rate: float, settings: Any, weight: np.ndarray) -> Iterator[str]:
    usual = _USUAL_TUNING[settings.solver]
    least, largest = min(rate, usual), max(settings.factors, default=0.0)
    for name in ("adversarial", "virtual_adversarial"):
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
    yield from _decay(least * max(largest, 1.0) * SHRINK_EVERY, settings.weight_decay)
    if least * settings.generative_weight > 1:
        yield (
            f"its cause is generative_weight={settings.generative_weight:g}, next to which the "
            "loss is nothing: try generative_weight=0.01."
        )
    if rate > _FACTOR * usual:
        return
    if settings.solver == "sgd" and settings.momentum > _USUAL_MOMENTUM:
        yield _added_up(settings.momentum, rate)
    yield from _heaviest(weight, settings.batch_size, rate)


def _decay(step: float, decay: float) -> Iterator[str]:
    """``step`` is the sum of the steps for which the decay is taken at once."""
    if step * decay > 1:
        yield (
            f"its cause is weight_decay={decay:g}, which takes more than the whole of the "
            f"weights in a step: try weight_decay={0.1 / step:.1g} or less."
        )


def _added_up(momentum: float, rate: float) -> str:
    return (
        f"its cause is momentum={momentum:g}, with which steps add up to "
        f"{1 / (1 - momentum):.3g} times the learning rate: try "
        f"learning_rate={rate * (1 - momentum):.2g}, or a smaller momentum."
    )


def _heaviest(weight: np.ndarray, batch_size: int, rate: float | None) -> Iterator[str]:
    """A batch of more weight makes a larger step."""
    largest = float(weight.max())
    if largest > _FACTOR * batch_size:
        slower = "" if rate is None else f", or try learning_rate={rate / largest:.2g}"
        yield (
            f"its cause is the largest weight of a row, {largest:.3g} times the usual one: "
            f"make sample_weight and class_weight less unequal{slower}."
        )
