"""The targets of a network from labels, with classes and their weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import type_of_target

from .._messages import shown
from ..data import labels_of
from ..fine_tuning import Targets, joint_weight, rows_with_target


class Classes(NamedTuple):
    """The classes of a classifier.

    Attributes
    ----------
    labels : array of shape (n_classes,)
    multilabel : bool
        Whether a row may have several classes.
    """

    labels: np.ndarray
    multilabel: bool


def class_targets(
    y: Any,
    X: Any,
    weight: np.ndarray,
    unlabeled: Any,
    class_weight: Any,
    fitted: Classes | None,
    chunk: bool,
    classes: Any,
) -> tuple[Targets, Classes]:
    """Targets of the rows that have a label and a positive weight, and the classes.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_labels)
    X : array or CSR array of shape (n_rows, n_features)
    weight : array of shape (n_rows,)
    unlabeled, class_weight
        The parameters of `DBNClassifier`.
    fitted : Classes or None
        Those of the fitted network that the training continues.
    chunk : bool
        Whether other calls have other rows.
    classes : array-like or None
        All labels of all calls.
    """
    labels, labelled = labels_of(y, unlabeled)
    if len(labelled) != X.shape[0]:
        raise ValueError(
            f"y has {len(labelled)} labels for the {X.shape[0]} rows of X: give one for each."
        )
    if chunk and class_weight == "balanced":
        raise ValueError(
            "class_weight='balanced' needs all labels at once: call fit, or give "
            "partial_fit a dict of weights."
        )
    if not labelled.any():
        raise ValueError(
            f"y has no label but what unlabeled={shown(unlabeled)} stands for: give labels to "
            "some rows, or fit the transformer alone."
        )
    rows = rows_with_target(labelled, weight)
    # type_of_target converts floats to integers, and huge ones are too large for that.
    with np.errstate(invalid="ignore"):
        kind = type_of_target(labels, input_name="y", raise_unknown=True)
    if kind.startswith("continuous") or kind == "multiclass-multioutput":
        raise ValueError(
            f"Unknown label type: y holds {kind} values, and DBNClassifier takes a class "
            "for each row or an indicator matrix of 0 and 1: use DBNRegressor for numbers."
        )
    several = kind == "multilabel-indicator"
    if fitted is not None and several != fitted.multilabel:
        raise ValueError(
            f"y is {kind}, and the fitted network was trained on "
            f"{'several labels' if fitted.multilabel else 'one label'} for each row: fit a "
            "clone."
        )
    positive = weight[labelled] != 0
    if several:
        found = _classes_of_indicators(labels, class_weight, fitted)
        labels = labels[positive]
        values, of_class = _indicators(labels, weight[rows], class_weight)
        order = None
    else:
        found = _classes_of_labels(labels, positive, unlabeled, fitted, chunk, classes)
        of_class = _weights_of_labels(labels, positive, weight[rows], class_weight)
        labels = labels[positive]
        order = np.searchsorted(found.labels, labels)
        values = np.eye(len(found.labels))[order]
    total = joint_weight(weight[rows], of_class, not chunk, weight.dtype)
    # With one more row of each class, so that no class has the probability 0.
    share = total.astype(np.float64) @ values + 1
    if several:
        share /= total.sum(dtype=np.float64) + 2
        base = np.log(share / (1 - share))
    else:
        base = np.log(share / (total.sum(dtype=np.float64) + len(found.labels)))
    keep = np.flatnonzero(total)
    targets = Targets(
        rows[keep],
        values[keep].astype(weight.dtype),
        base,
        total[keep],
        None if order is None else order[keep],
        labels[keep],
    )
    return targets, found


def _classes_of_indicators(y: np.ndarray, class_weight: Any, fitted: Classes | None) -> Classes:
    """The classes of an indicator matrix."""
    if fitted is not None and y.shape[1] != len(fitted.labels):
        raise ValueError(
            f"y has {y.shape[1]} columns, and the fitted network was trained on "
            f"{len(fitted.labels)}: fit a clone."
        )
    if isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight={shown(class_weight)} names classes, and y has several "
            "labels for each row: set class_weight='balanced', or pass sample_weight."
        )
    return Classes(np.arange(y.shape[1]), True)


def _indicators(
    y: np.ndarray, weight: np.ndarray, class_weight: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Targets of rows with several labels, and the weights of their classes."""
    of_class = np.ones(len(y))
    if class_weight:
        of_class = np.prod([_balanced(column, weight) for column in y.T], axis=0)
    return y.astype(np.float64), of_class


def _classes_of_labels(
    y: np.ndarray,
    positive: np.ndarray,
    unlabeled: Any,
    fitted: Classes | None,
    chunk: bool,
    classes: Any,
) -> Classes:
    """The classes of rows with one label each; ``positive``: which have a positive weight."""
    if chunk and classes is not None:
        classes = np.unique(labels_of(classes, unlabeled, "classes")[0])
    if fitted is not None:
        labels = fitted.labels
    elif not chunk:
        labels = np.unique(y)
    elif classes is None:
        raise ValueError(
            "classes must be passed on the first call to partial_fit: give all labels of all "
            "calls."
        )
    else:
        labels = classes
    new = np.setdiff1d(y[positive], labels)
    if len(new):
        raise ValueError(
            f"y holds the label {shown(new[0])}, which is not among the classes "
            f"{shown(list(labels))} that training started with: pass all of them as "
            "classes in the first call to partial_fit, or fit a clone."
        )
    if chunk and classes is not None and not np.array_equal(classes, labels):
        raise ValueError(
            f"classes={shown(classes)} are not those that training started with, "
            f"{shown(list(labels))}: leave them out after the first call to "
            "partial_fit."
        )
    return Classes(labels, False)


def _weights_of_labels(
    y: np.ndarray, positive: np.ndarray, weight: np.ndarray, class_weight: Any
) -> np.ndarray:
    """Weights of the classes of the ``positive`` rows, whose own weights are ``weight``."""
    if class_weight == "balanced":
        of_class = _balanced(y[positive], weight)
    else:
        of_class = compute_sample_weight(class_weight, y)[positive]
    if not np.all((of_class >= 0) & (of_class < np.inf)):
        raise ValueError(
            f"class_weight={shown(class_weight)} must give each class a finite weight "
            "that is not negative."
        )
    return of_class


def _balanced(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A weight for each row, such that all classes of ``y`` have the same total weight."""
    classes, index = np.unique(y, return_inverse=True)
    # Divided by the largest, as the reciprocal of a tiny weight would overflow.
    weight = weight.astype(np.float64) / weight.max()
    return compute_class_weight("balanced", classes=classes, y=y, sample_weight=weight)[index]
