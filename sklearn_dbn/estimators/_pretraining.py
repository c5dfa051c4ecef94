"""The RBMs that the joint training of a deep Boltzmann machine starts from."""

from __future__ import annotations

from typing import Any

from .._cache import Checkpoint
from ..data import Rows
from ..training import MachineLoop, Pretraining, Run, drive, start_from_rbms
from ._callbacks import PassTasks, given_to_callbacks
from ._machine_generator import title_of


def pretrain(
    estimator: Any,
    context: Any,
    before: Pretraining,
    run: Run,
    rows: Rows,
    seed: int,
    checkpoint: Checkpoint,
) -> bool:
    """Let ``run`` start from what is trained before; whether no callback cut it short."""
    whole, trained, settings = True, [], before.settings(rows)
    n_passes, original = settings.n_iter, estimator._original
    for layer in range(len(before.kinds)):
        alone, below = before.layer(run, rows, settings, seed, trained)
        task = context.subcontext(task_name=f"layer {layer}", max_subtasks=n_passes)
        task.call_on_fit_task_begin(estimator=original, X=rows.X)
        loop = MachineLoop.of(alone, below, settings, n_passes)
        outcome = drive(
            alone,
            loop.train,
            n_passes,
            tasks=PassTasks(task, estimator, given_to_callbacks(below), name="pass"),
            checkpoint=checkpoint.part(f"layer {layer}"),
            title=title_of(estimator, estimator.verbose, before.rbm.verbose, layer=layer),
        )
        if outcome.interrupted:
            # Of one layer alone nothing can be kept on the estimator.
            raise KeyboardInterrupt
        trained.append(outcome.state.without_rows())
        stopped = task.call_on_fit_task_end(estimator=original, X=rows.X)
        whole = whole and outcome.complete and not stopped
    start_from_rbms(run, trained)
    return whole
