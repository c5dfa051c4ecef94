"""How one layer of a deep belief network is trained on those below it."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np

from ._array_api import Array
from ._machine import Machine
from ._memory import DoNotKeep, Progress
from ._rbm import RBMTransformer
from ._rows import Rows, complete
from ._training import Run
from .selection import UnitStatistics


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


def take_in(statistics: UnitStatistics, run: Run, rows: Rows) -> None:
    """Add the hidden means of the machine of ``run`` on all rows to ``statistics``."""
    if rows.lower:
        add = partial(_add_means, run.result(), None, None)
    else:
        # Gaps are filled in standardised columns, which rows in blocks are not.
        rows.bottom = None
        add = partial(_add_means, run.average, run.shift, run.scale)
    rows.accumulate([statistics], add)


def _add_means(
    machine: Machine,
    shift: Array | None,
    scale: Array | None,
    totals: list[UnitStatistics],
    block: Any,
    weight: np.ndarray,
) -> None:
    v = complete(machine, shift, scale, block)
    means = machine.means(machine.odd, [v, None])[1]
    totals[0].add(machine.units[1], machine.par[1], means, weight)


def continued_layer(fitted: RBMTransformer, template: RBMTransformer) -> RBMTransformer:
    """The fitted layer, ready to go on with the training parameters of ``template``."""
    rbm = copy.copy(fitted)
    asked = template.get_params() | {"random_state": fitted.random_state, "warm_start": True}
    return rbm.set_params(**asked)
