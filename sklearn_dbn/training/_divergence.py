"""The cause of a training that diverged, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .._array_api import to_numpy
from ..optim import DECAY_EVERY

# A step of more than this multiple of the usual one is a cause of divergence.
TOO_LARGE = 2.0


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
    return f"Training with learning_rate={shown} diverged in pass {run.n_passes + 1}: {cause}"


def _causes_of_machine(rate: float, usual: float, settings: Any, rows: Any) -> Iterator[str]:
    """The causes other than the learning rate, the most certain first."""
    # A cause must explain divergence at the usual rate too, if the rate is larger.
    least, decay, sparsity = min(rate, usual), settings.update.decay, settings.sparsity
    n_steps = min(DECAY_EVERY, -(-len(rows) // settings.batch_size))
    yield from decay_cause(least * n_steps, decay)
    if sparsity is not None and least * sparsity.cost > 1:
        yield (
            f"its cause is sparsity_cost={sparsity.cost:g}, whose penalty exceeds the gradient "
            f"in each step: try sparsity_cost={0.1 / least:.1g} or less."
        )
    if rate > TOO_LARGE * usual:
        return
    if (momentum := getattr(settings.update, "momentum", 0.0)) > 1 - 1 / TOO_LARGE:
        yield momentum_cause(momentum, rate)
    yield from weight_cause(to_numpy(rows.weight)[rows.index], settings.batch_size, rate)


def decay_cause(step: float, decay: float) -> Iterator[str]:
    """Weight decay, if it is the cause; ``step`` is the sum of steps between two decays."""
    if step * decay > 1:
        yield (
            f"its cause is weight_decay={decay:g}, which shrinks the weights by more "
            f"than 100% in a step: try weight_decay={0.1 / step:.1g} or less."
        )


def momentum_cause(momentum: float, rate: float) -> str:
    return (
        f"its cause is momentum={momentum:g}, with which steps add up to "
        f"{1 / (1 - momentum):.3g} times the learning rate: try "
        f"learning_rate={rate * (1 - momentum):.2g}, or a smaller momentum."
    )


def weight_cause(weight: np.ndarray, batch_size: int, rate: float | None) -> Iterator[str]:
    """Row weights, if they are the cause: a minibatch of more weight makes a larger step."""
    largest = float(weight.max())
    if largest > TOO_LARGE * batch_size:
        slower = "" if rate is None else f", or try learning_rate={rate / largest:.2g}"
        yield (
            f"its cause is the largest weight of a row, {largest:.3g} times the usual one: "
            f"make sample_weight and class_weight less unequal{slower}."
        )
