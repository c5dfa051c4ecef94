"""Losses of classes, labels and numbers."""

from __future__ import annotations

import numpy as np

from .._array_api import Array


class Softmax:
    """Cross-entropy of classes, one of which each row has."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """The loss of each row, and its derivative by the outputs, which it uses up."""
        outputs -= outputs.max(axis=1, keepdims=True)
        p = np.exp(outputs)
        total = p.sum(axis=1, keepdims=True)
        # The targets of a row sum to 1.
        loss = np.log(total[:, 0]) - np.vecdot(outputs, target)
        p /= total
        p -= target
        return loss, p

    def smooth(self, target: Array, share: float) -> Array:
        """Give ``share`` of the probability to all classes alike."""
        return (1 - share) * target + share / target.shape[1]

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Weighted share of the rows whose likeliest class is the right one."""
        right = outputs.argmax(axis=1) == target.argmax(axis=1)
        return float(np.average(right, weights=weight))


class Logistic:
    """Cross-entropy of labels, each of which a row has or has not, summed over labels."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """As in `Softmax`."""
        loss = np.logaddexp(0, outputs).sum(axis=1) - np.vecdot(outputs, target)
        p = np.tanh(0.5 * outputs)
        p += 1
        p *= 0.5
        p -= target
        return loss, p

    def smooth(self, target: Array, share: float) -> Array:
        """Give ``share`` of the probability to on and off alike."""
        return (1 - share) * target + share / 2

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Weighted share of the rows whose labels are all right."""
        right = ((outputs > 0) == (target > 0.5)).all(axis=1)
        return float(np.average(right, weights=weight))


class Squared:
    """Half the squared error, summed over targets."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """As in `Softmax`."""
        outputs -= target
        return 0.5 * np.vecdot(outputs, outputs), outputs

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Minus the weighted mean of the loss."""
        return -float(np.average(self(outputs, target)[0], weights=weight))
