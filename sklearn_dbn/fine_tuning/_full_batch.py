"""Full-batch solvers of scipy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .._array_api import Array, moved, sum_of_squares, to_numpy
from ..training import Passes
from ._loop import TuningLoop
from ._settings import FULL_BATCH
from ._tuning import Tuning

# The status of scipy after the largest number of iterations.
_ITERATION_LIMIT = 1


class FullBatchLoop(TuningLoop):
    """The iterations of a solver on the loss over all rows, with weight decay."""

    def train(self, tuning: Tuning, passes: Passes) -> None:
        """Minimise the loss; after an interruption the network has the last iterate.

        Raises
        ------
        Diverged
            When the loss is not finite, or larger than `LARGEST_LOSS`.
        """
        if not passes.n_passes:
            return
        problem = _Problem(tuning, self.moved(tuning.network), passes)
        method, options = FULL_BATCH[self.settings.solver], {"maxiter": passes.n_passes}
        try:
            # An overflow is reported below, in one sentence instead of many warnings.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                found = minimize(
                    problem.loss,
                    problem.iterate,
                    jac=True,
                    method=method,
                    callback=problem.end_iteration,
                    options=options,
                )
            problem.iterate = found.x
        finally:
            # The network has the parameters of the last evaluation, perhaps no iterate.
            problem.put(problem.iterate)
        if not math.isfinite(found.fun):
            # Then scipy stops before the first iteration.
            raise self.diverged(tuning)
        tuning.reached_limit = found.status == _ITERATION_LIMIT


class _Problem:
    """The loss as a function of one NumPy vector in float64, for scipy.

    Attributes
    ----------
    iterate : array of shape (n_parameters,)
        The last iterate.
    """

    def __init__(self, tuning: Tuning, loop: FullBatchLoop, passes: Passes):
        self.tuning, self.loop, self.passes = tuning, loop, passes
        self.parameters = tuning.network.parameters(loop.settings.layers)
        self.iterate = self.flattened(self.parameters)

    def flattened(self, arrays: dict[str, Array]) -> np.ndarray:
        flat = [to_numpy(arrays[name]).ravel() for name in self.parameters]
        return np.concatenate(flat).astype(np.float64)

    def put(self, flat: np.ndarray) -> None:
        """Set the parameters of the network."""
        ends = np.cumsum([math.prod(x.shape) for x in self.parameters.values()])
        for x, part in zip(self.parameters.values(), np.split(flat, ends[:-1]), strict=True):
            x[...] = moved(part.reshape(x.shape), x, x.dtype)

    def loss(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient."""
        self.put(flat)
        settings, training_rows = self.loop.settings, self.loop.training_rows
        value, gradient = training_rows.inputs.loss_and_gradient(
            self.tuning.network,
            settings.loss,
            training_rows.target,
            training_rows.weight,
            settings.layers,
        )
        for name, x in self.parameters.items():
            if settings.weight_decay and x.ndim == 2:
                value += 0.5 * settings.weight_decay * sum_of_squares(x)
                gradient[name] += settings.weight_decay * x
        return value, self.flattened(gradient)

    def end_iteration(self, intermediate_result: Any) -> None:
        """End a pass; scipy calls this after each iteration."""
        self.iterate = intermediate_result.x.copy()
        self.put(self.iterate)
        passes, loss = self.passes, float(intermediate_result.fun)
        if passes.begin():
            passes.end(self.loop.end_pass(self.tuning, loss))
        if passes.stopped or self.tuning.stalled:
            raise StopIteration
