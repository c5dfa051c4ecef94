"""How one layer of a deep belief network is trained on those below it."""

from __future__ import annotations

import copy
from typing import Any

from .._cache import DoNotKeep, Progress
from ..data import Rows
from ..selection import UnitStatistics
from ..training import take_in
from ._rbm import RBMTransformer


class LayerTraining:
    """The training of one layer of a stack, to be called where it is not remembered.

    Attributes
    ----------
    ran, stop : bool
        Whether it was called, and whether a callback then stopped the stack.
    """

    def __init__(
        self,
        stack: Any,
        task: Any,
        rbm: RBMTransformer,
        rows: Rows,
        title: str | None,
        layer: int,
    ):
        self.stack, self.task, self.rbm, self.rows = stack, task, rbm, rows
        self.title, self.subject = title, f"The training of layer {layer}"
        self.ran = self.stop = False

    def __call__(self, progress: Progress) -> tuple[dict[str, Any], UnitStatistics]:
        """Fitted attributes of the layer, and statistics of its units over the rows."""
        self.ran = whole = True
        rbm = self.rbm
        with self.task.propagate_callback_context(rbm):
            self.task.call_on_fit_task_begin(estimator=self.stack, X=self.rows.X)
            try:
                attributes = rbm._trained(self.rows, progress, self.title, self.subject)
            except DoNotKeep as unfinished:
                attributes, whole = unfinished.result, False
            self.stop = self.task.call_on_fit_task_end(estimator=self.stack, X=self.rows.X)
        statistics = UnitStatistics(rbm.n_components)
        take_in(statistics, attributes["_run"], self.rows)
        if not whole:
            raise DoNotKeep((attributes, statistics))
        return attributes, statistics


def continued_layer(fitted: RBMTransformer, template: RBMTransformer) -> RBMTransformer:
    """The fitted layer, ready to go on with the training parameters of ``template``."""
    rbm = copy.copy(fitted)
    asked = template.get_params() | {"random_state": fitted.random_state, "warm_start": True}
    return rbm.set_params(**asked)
