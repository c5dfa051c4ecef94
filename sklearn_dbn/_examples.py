"""What rows teach a network: their targets, their weights, and which ones it is stopped by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._array_api import Array
from ._network import Inputs
from ._random import Stream


@dataclass
class Targets:
    """What the head is to say, of the rows that have a target.

    Attributes
    ----------
    rows : int array
        Which rows these are.
    values : array of shape (n_rows_with_target, n_outputs)
    base : array of shape (n_outputs,)
        What a head that knows of no input says.
    weight : array of shape (n_rows_with_target,)
        Beside the weights of the rows.
    order : array of shape (n_rows_with_target,) or None
        Rows that are next to one another in this order are alike: a validation part takes
        some of each.
    """

    rows: np.ndarray
    values: np.ndarray
    base: np.ndarray
    weight: np.ndarray
    order: np.ndarray | None

    def counting(self, weight: Array) -> Targets:
        """Those of rows that count, by the ``weight`` of all rows."""
        known = np.flatnonzero(weight[self.rows] * self.weight)
        if not len(known):
            raise ValueError(
                "sample_weight is zero for all rows that y gives a target: give one of them a "
                "positive weight."
            )
        order = None if self.order is None else self.order[known]
        return Targets(
            self.rows[known], self.values[known], self.base, self.weight[known], order
        )


@dataclass
class Examples:
    """Rows, what the network is to say of them, and their weights.

    ``every`` are the rows for what needs no target, with weights of their own on the scale of
    ``weight``: among them those without a target. ``None``: the rows of the minibatch.
    """

    inputs: Inputs
    target: Array
    weight: Array
    every: tuple[Inputs, Array] | None = None

    def take(self, index: np.ndarray) -> Examples:
        inputs = self.inputs.rows(index)
        return Examples(inputs, self.target[index], self.weight[index], self.every)


def examples_of(inputs: Inputs, targets: Targets, weight: Array, relative: bool) -> Examples:
    """The rows that have a target, and all of them for what needs none.

    ``weight``, one of each row of ``inputs``, is made ``relative`` to its mean where there are
    no rows in other chunks to compare with.
    """
    given = weight[targets.rows] * targets.weight
    if relative:
        given, weight = given / given.mean(), weight / weight.mean()
    given, weight = (x.astype(targets.values.dtype) for x in (given, weight))
    if len(targets.rows) == len(inputs):
        return Examples(inputs, targets.values, given)
    return Examples(inputs.rows(targets.rows), targets.values, given, (inputs, weight))


def parted(
    examples: Examples, targets: Targets, fraction: float, rng: Stream
) -> tuple[Examples, Examples]:
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
    kept, held_out = examples.take(np.setdiff1d(order, held)), examples.take(held)
    if kept.every is not None:
        # Rows to stop by teach nothing, without their targets either.
        everything, weight = kept.every
        weight[targets.rows[held]] = 0
        kept.every = everything, weight / weight.mean()
    return kept, held_out
