"""The rows that a network is trained on: targets, weights, and rows held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from .._array_api import Array, moved, take, to_numpy
from .._random import Stream
from ._network import Inputs
from ._settings import FineTuningSettings


@dataclass
class Targets:
    """The targets of the rows that have one and a positive weight, in NumPy.

    Attributes
    ----------
    rows : int array
        The numbers of these rows.
    values : array of shape (n_rows_with_target, n_outputs)
    base : array of shape (n_outputs,)
        The best outputs that do not depend on the inputs.
    weight : array of shape (n_rows_with_target,)
        Weights of the rows, times those of their classes.
    order : array of shape (n_rows_with_target,) or None
        Sort key by which the held-out rows are stratified.
    given : array of shape (n_rows_with_target,) or (n_rows_with_target, n_targets)
        The targets as given by the user, for the selection of units.
    conversion : tuple of arrays of shape (n_outputs,), or None
        Ratio and shift that convert the outputs of the fitted network to the scale of
        ``values``.
    """

    rows: np.ndarray
    values: np.ndarray
    base: np.ndarray
    weight: np.ndarray
    order: np.ndarray | None
    given: np.ndarray | None = None
    conversion: tuple[np.ndarray, np.ndarray] | None = None

    def among(self, rows: np.ndarray) -> Targets:
        """The same with row numbers as positions in ``rows``, which contain all of them."""
        return replace(self, rows=np.searchsorted(rows, self.rows))


def rows_with_target(has_target: np.ndarray, weight: Array) -> np.ndarray:
    """The numbers of the rows that have a target and a positive weight."""
    rows = np.flatnonzero(has_target & (to_numpy(weight) != 0))
    if not len(rows):
        raise ValueError(
            "sample_weight is zero for all rows that y gives a target: give one of them a "
            "positive weight."
        )
    return rows


def joint_weight(weight: Array, of_class: np.ndarray, relative: bool, dtype: Any) -> np.ndarray:
    """The products of the weights of rows and of their classes.

    ``relative``: divided by their mean; not with chunks, as the means of these differ.

    Raises
    ------
    ValueError
        When none is positive, or their sum is too large or too small for ``dtype``.
    """
    weight, largest = to_numpy(weight).astype(np.float64), float(of_class.max(initial=0))
    if not largest:
        raise ValueError(
            "class_weight is zero for the classes of all rows: give one of them a positive "
            "weight."
        )
    if relative:
        # In units of the largest, so that no product overflows.
        weight, of_class = weight / weight.max(), of_class / largest
    with np.errstate(over="ignore", under="ignore"):
        joint = weight * of_class
        if relative:
            joint = joint / joint.max()
            joint = joint / joint[joint > 0].mean()
        total = float(joint.sum())
    bound = 1e-3 * float(np.finfo(dtype).max) ** 0.5
    if not 1 / bound < total < bound:
        raise ValueError(
            f"sample_weight times class_weight sums to {total:.3g}, and {np.dtype(dtype)} "
            "cannot hold its square: divide them by their means."
        )
    return joint.astype(dtype)


@dataclass
class TrainingRows:
    """Rows with their targets and weights.

    ``all_rows`` has the rows with and without a target, and their weights on the scale of
    ``weight``, for gradients that need no target; ``None`` if all rows have one.
    """

    inputs: Inputs
    target: Array
    weight: Array
    all_rows: tuple[Inputs, Array] | None = None

    def take(self, index: np.ndarray) -> TrainingRows:
        target, weight = take(self.target, index), take(self.weight, index)
        return TrainingRows(self.inputs.rows(index), target, weight, self.all_rows)

    def moved(self, like: Array) -> TrainingRows:
        """The same rows in the library and on the device of ``like``."""
        target, weight = moved(self.target, like), moved(self.weight, like)
        all_rows = self.all_rows
        if all_rows is not None:
            all_rows = all_rows[0].moved(like), moved(all_rows[1], like)
        return TrainingRows(self.inputs.moved(like), target, weight, all_rows)

    def drawn(
        self, settings: FineTuningSettings, generative_term: Any, n_rows: int, rng: Stream
    ) -> tuple[Inputs, np.ndarray, Array] | None:
        """Rows with and without a target, for the gradients of an update that need none.

        ``n_rows``: those with a target in the minibatch. Returns inputs, the index of the rows
        in these, and their weights; ``None`` to use the rows of the minibatch.
        """
        generative = generative_term is not None and settings.generative_weight > 0
        if not self.all_rows or not (generative or settings.virtual_adversarial_eps):
            return None
        inputs, weights = self.all_rows
        # A full minibatch even if few rows have a target, of the same total weight.
        n_drawn = min(settings.batch_size, len(inputs))
        drawn = moved((rng.uniform(n_drawn) * len(inputs)).astype(np.int64), weights)
        return inputs, drawn, take(weights, drawn) * (n_rows / n_drawn)


def training_rows_of(
    inputs: Inputs, targets: Targets, weight: Array, relative: bool
) -> TrainingRows:
    """The training rows of a network, with targets and weights in NumPy.

    ``weight``, (n_rows,), has the weights of all rows. ``relative``: as in `joint_weight`.
    """
    if len(targets.rows) == len(inputs):
        return TrainingRows(inputs, targets.values, targets.weight)
    weight = to_numpy(weight)
    weight = (weight / weight.mean() if relative else weight).astype(targets.values.dtype)
    chosen = inputs.rows(targets.rows)
    return TrainingRows(chosen, targets.values, targets.weight, (inputs, weight))


def nearest_distance(v: Array) -> float:
    """The median distance of a row of ``v`` to the nearest different one; 0 without one."""
    v = to_numpy(v)
    distance = cdist(v, v)
    distance[distance == 0] = np.inf
    nearest = distance.min(axis=1, initial=np.inf)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if len(nearest) else 0.0


def split_validation(
    training_rows: TrainingRows, targets: Targets, fraction: float, rng: Stream
) -> tuple[TrainingRows, TrainingRows]:
    """Rows to train on, and a ``fraction`` held out for early stopping."""
    n_rows = len(targets.rows)
    n_held = max(1, round(fraction * n_rows))
    if n_held >= n_rows:
        raise ValueError(
            f"validation_fraction={fraction} of n_samples={n_rows} with a target leaves none "
            "to train on: set early_stopping=False, or give more rows."
        )
    order = rng.permutation(n_rows)
    if targets.order is not None:
        order = order[np.argsort(targets.order[order], kind="stable")]
    held = order[((np.arange(n_held) + 0.5) * n_rows / n_held).astype(int)]
    kept, held_out = training_rows.take(np.setdiff1d(order, held)), training_rows.take(held)
    if kept.all_rows is not None:
        # Held-out rows are not used without their targets either.
        inputs, weight = kept.all_rows
        weight[targets.rows[held]] = 0
        kept.all_rows = inputs, weight / weight.mean()
    return kept, held_out
