"""What rows teach a network: their targets, their weights, and which ones it is stopped by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from .._array_api import Array
from .._random import Stream
from ._network import Inputs


@dataclass
class Targets:
    """What the head is to say, of the rows that have a target.

    Attributes
    ----------
    rows : int array
        Which rows these are, without those of weight 0.
    values : array of shape (n_rows_with_target, n_outputs)
    base : array of shape (n_outputs,)
        What a head that knows of no input says.
    weight : array of shape (n_rows_with_target,)
        Of the rows, those of their classes included.
    order : array of shape (n_rows_with_target,) or None
        Rows that are next to one another in this order are alike: a validation part takes
        some of each.
    given : array of shape (n_rows_with_target,) or (n_rows_with_target, n_targets)
        The targets as the user knows them, for what chooses units by them.
    moved : tuple of arrays of shape (n_outputs,), or None
        Ratio and shift that turn outputs of the network to go on with into those that
        ``values`` ask for.
    """

    rows: np.ndarray
    values: np.ndarray
    base: np.ndarray
    weight: np.ndarray
    order: np.ndarray | None
    given: np.ndarray | None = None
    moved: tuple[np.ndarray, np.ndarray] | None = None

    def among(self, rows: np.ndarray) -> Targets:
        """Those of the same rows, counted among ``rows`` alone, which hold them all."""
        return replace(self, rows=np.searchsorted(rows, self.rows))


def rows_with_target(known: np.ndarray, weight: Array) -> np.ndarray:
    """Which rows have a target, by ``known``, and a positive weight."""
    if not known.any():
        raise ValueError(
            "y gives no row a target: give labels to some rows, or fit the transformer alone."
        )
    rows = np.flatnonzero(known & (weight != 0))
    if not len(rows):
        raise ValueError(
            "sample_weight is zero for all rows that y gives a target: give one of them a "
            "positive weight."
        )
    return rows


def joint_weight(weight: Array, of_class: np.ndarray, relative: bool, dtype: Any) -> np.ndarray:
    """The products of the weights of rows and of their classes.

    They are ``relative`` to their mean where there are no rows in other chunks to compare with.

    Raises
    ------
    ValueError
        When none is positive, or ``dtype`` cannot hold what is made of them.
    """
    weight, largest = weight.astype(np.float64), float(of_class.max(initial=0))
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
    """Rows, what the network is to say of them, and their weights.

    ``every`` are the rows for what needs no target, with weights of their own on the scale of
    ``weight``: among them those without a target. ``None``: the rows of the minibatch.
    """

    inputs: Inputs
    target: Array
    weight: Array
    every: tuple[Inputs, Array] | None = None

    def take(self, index: np.ndarray) -> TrainingRows:
        inputs = self.inputs.rows(index)
        return TrainingRows(inputs, self.target[index], self.weight[index], self.every)


def training_rows_of(
    inputs: Inputs, targets: Targets, weight: Array, relative: bool
) -> TrainingRows:
    """The rows that have a target, and all of them for what needs none.

    ``weight``, one of each row of ``inputs``, is made ``relative`` to its mean where there are
    no rows in other chunks to compare with.
    """
    if len(targets.rows) == len(inputs):
        return TrainingRows(inputs, targets.values, targets.weight)
    weight = (weight / weight.mean() if relative else weight).astype(targets.values.dtype)
    chosen = inputs.rows(targets.rows)
    return TrainingRows(chosen, targets.values, targets.weight, (inputs, weight))


def nearest_distance(v: Array) -> float:
    """The median distance of a row of ``v`` to the nearest one that is not the same; or 0."""
    distance = cdist(v, v)
    distance[distance == 0] = np.inf
    nearest = distance.min(axis=1, initial=np.inf)
    apart = nearest[np.isfinite(nearest)]
    return float(np.median(apart)) if len(apart) else 0.0


def split_validation(
    training_rows: TrainingRows, targets: Targets, fraction: float, rng: Stream
) -> tuple[TrainingRows, TrainingRows]:
    """Rows to train on, and a ``fraction`` of them to stop by."""
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
    if kept.every is not None:
        # Rows to stop by teach nothing, without their targets either.
        everything, weight = kept.every
        weight[targets.rows[held]] = 0
        kept.every = everything, weight / weight.mean()
    return kept, held_out
