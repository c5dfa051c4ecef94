"""Losses for classes, labels and numbers."""

from __future__ import annotations

import numpy as np

from .._array_api import Array


class Softmax:
    """Cross-entropy of classes, where each row has one."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """The loss of each row, and its derivative by the outputs.

        Overwrites the outputs. Shapes (n_rows,) and (n_rows, n_outputs).
        """
        outputs -= outputs.max(axis=1, keepdims=True)
        p = np.exp(outputs)
        total = p.sum(axis=1, keepdims=True)
        # The targets of a row sum to 1.
        loss = np.log(total[:, 0]) - np.vecdot(outputs, target)
        p /= total
        p -= target
        return loss, p

    def smooth(self, target: Array, share: float) -> Array:
        """Targets with a ``share`` of the probability spread equally over all classes."""
        return (1 - share) * target + share / target.shape[1]

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Weighted share of the rows whose most probable class is correct."""
        correct = outputs.argmax(axis=1) == target.argmax(axis=1)
        return float(np.average(correct, weights=weight))


class Logistic:
    """Cross-entropy of labels, where each row may have several, summed over labels."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """As in `Softmax`."""
        loss = np.logaddexp(0, outputs).sum(axis=1) - np.vecdot(outputs, target)
        p = np.tanh(0.5 * outputs)
        p += 1
        p *= 0.5
        p -= target
        return loss, p

    def smooth(self, target: Array, share: float) -> Array:
        """Targets with a ``share`` of the probability spread equally over 0 and 1."""
        return (1 - share) * target + share / 2

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Weighted share of the rows whose labels are all correct."""
        correct = ((outputs > 0) == (target > 0.5)).all(axis=1)
        return float(np.average(correct, weights=weight))


class Squared:
    """Half the squared error, summed over targets."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """As in `Softmax`."""
        outputs -= target
        return 0.5 * np.vecdot(outputs, outputs), outputs

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Minus the weighted mean of the loss."""
        return -float(np.average(self(outputs, target)[0], weights=weight))
