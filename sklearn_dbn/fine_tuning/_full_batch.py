"""Full-batch solvers of scipy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .._array_api import Array
from ..training import Diverged
from ._examples import Examples
from ._network import loss_and_gradient
from ._settings import FULL_BATCH, Settings
from ._tuning import Tuning

# The status by which it says that all iterations were made.
_LIMIT = 1


def descend(
    tuning: Tuning,
    settings: Settings,
    examples: Examples,
    n_epochs: int,
    validation: Examples | None,
    stop: Callable[[], bool],
) -> bool:
    """Let scipy minimise the loss over all rows, weight decay included, for ``n_epochs``.

    ``stop`` is asked after each iteration. What cuts it short leaves the last one. Returns
    whether ``n_epochs`` were too few.

    Raises
    ------
    Diverged
        When the loss is not finite, or beyond all use.
    """
    parameters = tuning.network.parameters(settings.layers)
    ends = np.cumsum([x.size for x in parameters.values()])

    def put(flat: Array) -> None:
        for x, part in zip(parameters.values(), np.split(flat, ends[:-1]), strict=True):
            x[...] = part.reshape(x.shape)

    def objective(flat: Array) -> tuple[float, Array]:
        put(flat)
        value, gradient = loss_and_gradient(
            tuning.network,
            settings.loss,
            examples.inputs,
            examples.target,
            examples.weight,
            settings.layers,
        )
        for name, x in parameters.items():
            if settings.weight_decay and x.ndim == 2:
                value += 0.5 * settings.weight_decay * float(np.vdot(x, x))
                gradient[name] += settings.weight_decay * x
        flat = [gradient[name].ravel() for name in parameters]
        return value, np.concatenate(flat).astype(np.float64)

    def after(intermediate_result: Any) -> None:
        nonlocal reached
        reached = intermediate_result.x.copy()
        put(reached)
        tuning.record(settings, float(intermediate_result.fun), validation)
        if stop():
            raise StopIteration

    start = np.concatenate([x.ravel() for x in parameters.values()]).astype(np.float64)
    reached = start
    method, options = FULL_BATCH[settings.solver], {"maxiter": n_epochs}
    try:
        # What overflows here is reported below, in one sentence instead of many warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = minimize(
                objective, start, jac=True, method=method, callback=after, options=options
            )
        reached = found.x
    finally:
        # What was tried last is no iterate.
        put(reached)
    if not math.isfinite(found.fun):
        # Then scipy gives up before the first iteration.
        raise Diverged
    return found.status == _LIMIT
