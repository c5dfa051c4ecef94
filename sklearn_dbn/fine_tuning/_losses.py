"""Losses for classes, labels and numbers."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from .._array_api import Array, namespace, row_maxima, row_sums, sigmoid, softplus, to_numpy


class Softmax:
    """Cross-entropy of classes, where each row has one."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """The loss of each row, and its derivative by the outputs.

        Overwrites the outputs. Shapes (n_rows,) and (n_rows, n_outputs).
        """
        xp = namespace(outputs)
        outputs -= row_maxima(outputs)
        p = xp.exp(outputs)
        total = row_sums(p)
        # The targets of a row sum to 1.
        loss = xp.log(total[:, 0]) - xp.vecdot(outputs, target)
        p /= total
        p -= target
        return loss, p

    def smooth(self, target: Array, share: float) -> Array:
        """Targets with a ``share`` of the probability spread equally over all classes."""
        return (1 - share) * target + share / target.shape[1]

    def proba(self, outputs: Array) -> Array:
        """The probability of each class."""
        if isinstance(outputs, np.ndarray):
            return softmax(outputs, axis=1)
        return namespace(outputs).exp(self.log_proba(outputs))

    def log_proba(self, outputs: Array) -> Array:
        """Its logarithm, also where that of the probability would be infinite."""
        if isinstance(outputs, np.ndarray):
            return log_softmax(outputs, axis=1)
        xp = namespace(outputs)
        outputs = outputs - xp.max(outputs, axis=1, keepdims=True)
        return outputs - xp.log(xp.sum(xp.exp(outputs), axis=1, keepdims=True))

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Weighted share of the rows whose most probable class is correct."""
        xp = namespace(outputs)
        correct = xp.argmax(outputs, axis=1) == xp.argmax(target, axis=1)
        return weighted_mean(correct, weight)


class Logistic:
    """Cross-entropy of labels, where each row may have several, summed over labels."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """As in `Softmax`."""
        xp = namespace(outputs)
        loss = xp.sum(xp.logaddexp(xp.zeros_like(outputs), outputs), axis=1)
        loss -= xp.vecdot(outputs, target)
        p = xp.tanh(0.5 * outputs)
        p += 1
        p *= 0.5
        p -= target
        return loss, p

    def smooth(self, target: Array, share: float) -> Array:
        """Targets with a ``share`` of the probability spread equally over 0 and 1."""
        return (1 - share) * target + share / 2

    def proba(self, outputs: Array) -> Array:
        """The probability of each label."""
        return expit(outputs) if isinstance(outputs, np.ndarray) else sigmoid(outputs)

    def log_proba(self, outputs: Array) -> Array:
        """Its logarithm, also where that of the probability would be infinite."""
        if isinstance(outputs, np.ndarray):
            return log_expit(outputs)
        return -softplus(-outputs)

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Weighted share of the rows whose labels are all correct."""
        correct = namespace(outputs).all((outputs > 0) == (target > 0.5), axis=1)
        return weighted_mean(correct, weight)


class Squared:
    """Half the squared error, summed over targets."""

    def __call__(self, outputs: Array, target: Array) -> tuple[Array, Array]:
        """As in `Softmax`."""
        outputs -= target
        return 0.5 * namespace(outputs).vecdot(outputs, outputs), outputs

    def score(self, outputs: Array, target: Array, weight: Array) -> float:
        """Minus the weighted mean of the loss."""
        return -weighted_mean(self(outputs, target)[0], weight)


def weighted_mean(values: Array, weight: Array) -> float:
    """Mean of a number for each row, (n_rows,), computed by NumPy."""
    return float(np.average(to_numpy(values), weights=to_numpy(weight)))
