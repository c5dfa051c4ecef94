"""Callback tasks of a training, one for each pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..data import Rows


class PassTasks:
    """The callback tasks of the passes of a training.

    Parameters
    ----------
    context : CallbackContext
        Context of the task that the passes are subtasks of.
    estimator : estimator
        The copy that is being fitted.
    given : dict
        The data, as keyword arguments of the callbacks.
    attributes : callable or None
        ``attributes(state)`` gives the fitted attributes after a pass, for callbacks that need
        a fitted estimator; ``None`` if there is none yet.
    name : str, default="epoch"
        Name of each task.
    """

    def __init__(
        self,
        context: Any,
        estimator: Any,
        given: dict[str, Any],
        attributes: Callable[[Any], dict[str, Any]] | None = None,
        name: str = "epoch",
    ):
        self._context, self._estimator, self._given = context, estimator, given
        self._attributes, self._name = attributes, name

    def begin(self) -> Any:
        """Begin the task of a pass."""
        task = self._context.subcontext(task_name=self._name)
        task.call_on_fit_task_begin(estimator=self._estimator._original, **self._given)
        return task

    def end(self, task: Any, state: Any) -> bool:
        """Whether a callback stops the training; ends the task."""

        def fitted() -> dict[str, Any]:
            return self._estimator._new_attributes() | self._attributes(state)

        more = {} if self._attributes is None else {"reconstruction_attributes": fitted}
        original = self._estimator._original
        return task.call_on_fit_task_end(estimator=original, **self._given, **more)


def given_to_callbacks(rows: Rows) -> dict[str, Any]:
    """The data of a training, as keyword arguments of the callbacks."""
    # A callable, since a stack computes its rows: only callbacks that need them call it.
    X = (lambda: rows.means(rows.index)) if rows.lower else rows.X
    return {"X": X, "metadata": {"sample_weight": rows.weight}}
