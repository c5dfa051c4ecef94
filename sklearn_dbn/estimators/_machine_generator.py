"""Generators that are one machine, and how their passes are driven."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from .._cache import Progress
from .._messages import shown
from .._parameters import plain
from ..data import Rows
from ..machine import Machine
from ..samplers import TemperedChains
from ..training import (
    Course,
    Diverged,
    Run,
    Settings,
    Watched,
    begin_stopping,
    free_energies,
    late_swing,
    machine_diverged,
    train,
    watch,
)
from ._base import interrupt, warn_unconverged
from ._generator import Generator


def title_of(estimator: Any, *verbose: int, layer: int | None = None) -> str | None:
    """What the lines of each pass begin with; ``None`` where nobody is ``verbose``."""
    if not any(verbose):
        return None
    start = f"[{type(estimator).__name__}] "
    return start if layer is None else f"{start}layer {layer}, "


def warn_unobserved(estimator: Any, rows: Rows) -> None:
    """Warn of columns of X without one observed value."""
    empty = rows.unobserved()
    if not len(empty):
        return
    names = getattr(estimator, "feature_names_in_", range(rows.n_columns))
    others = f" and in {len(empty) - 1} others" if len(empty) > 1 else ""
    warnings.warn(
        f"X has no observed value in column {shown(names[empty[0]])}{others}, from which "
        "nothing can be learnt: leave it out.",
        UserWarning,
        stacklevel=4,
    )


class MachineGenerator(Generator):
    """A generator that is one machine: an RBM, or a deep Boltzmann machine."""

    _run: Run
    _machine: Machine

    def _pass_over(
        self,
        context: Any,
        run: Run,
        rows: Rows,
        settings: Settings,
        n_epochs: int,
        progress: Progress,
        *,
        held_out: Any = None,
        title: str | None = None,
        task_name: str = "epoch",
        attributes: Callable[[Run], dict[str, Any]] | None = None,
        subject: str | None = None,
    ) -> bool:
        """Drive the training loop, pass by pass, with a callback task for each.

        ``title`` is what the line of each pass begins with; ``None``: no lines. ``attributes``
        makes of the run what a fitted estimator has, for callbacks that ask. ``subject`` is
        what a warning is about where it has not converged; ``None``: no warning.
        Returns whether it was ended by itself, and by neither a callback nor the user.
        """
        given, n_epochs = given_to_callbacks(rows), plain(n_epochs)
        first, last = run.n_epochs, run.n_epochs + n_epochs
        watched = watch(run, rows, held_out)
        if held_out is not None and settings.n_iter_no_change is not None:
            begin_stopping(run, rows, held_out, settings.n_iter_no_change)
        if subject is not None:
            run.course = Course(n_epochs, run.machine.copy().W)
        if progress.restore(run) and title is not None:
            print(f"{title}goes on after pass {run.n_epochs}, where it was cut short")
        epochs = train(run, rows, settings, n_epochs, watched, run.n_epochs - first)
        # The run as it was after its last whole pass.
        whole = run
        try:
            while run.n_epochs < last and not run.stalled:
                epoch = context.subcontext(task_name=task_name)
                epoch.call_on_fit_task_begin(estimator=self._original, **given)
                # Nobody goes back to before the first pass: chunks are passed over once, and
                # a copy takes as long as a minibatch.
                before = whole = run.copy() if run.n_epochs > first else None
                next(epochs)
                whole = run
                if run.course is not None:
                    run.course.end_pass(before and before.machine, run.machine)
                progress.save(run)
                if title is not None:
                    record = ", ".join(f"{k} {v[-1]:.4g}" for k, v in run.history.items())
                    print(f"{title}pass {run.n_epochs}: {record}")
                fitted = (
                    {}
                    if attributes is None
                    else {
                        "reconstruction_attributes": lambda: (
                            self._new_attributes() | attributes(run)
                        )
                    }
                )
                if epoch.call_on_fit_task_end(estimator=self._original, **given, **fitted):
                    break
        except Diverged:
            progress.forget()
            raise ValueError(machine_diverged(run, settings, rows)) from None
        except BaseException as error:
            if whole is None or whole.n_epochs == first:
                raise
            vars(run).update(vars(whole))
            progress.save(run, now=True)
            if not isinstance(error, KeyboardInterrupt) or attributes is None:
                raise
            interrupt(self, f"the {run.n_epochs} whole passes that it made", progress.kept)
            return False
        if run.n_epochs < last and not run.stalled:
            # A callback had its way; the key of the memory speaks of the parameters alone.
            progress.forget()
            return False
        progress.save(run, now=True)
        n_made = run.n_epochs - first
        swings = attributes is not None and not rows.lower
        if swings and _warn_of_swings(run, n_made, watched, settings):
            return True
        n_steps = run.n_epochs * -(-len(rows) // settings.batch_size)
        if n_made and subject is not None and not run.stalled:
            if run.course.goes_on(run.machine, n_steps):
                why = "its weights still move in one direction"
                warn_unconverged(subject, f"{n_made} passes", why, "n_iter or learning_rate")
        return True

    @abstractmethod
    def _fitted_attributes(self, run: Run) -> dict[str, Any]:
        """What a user of the fitted estimator finds."""

    def _attributes_of(self, run: Run) -> dict[str, Any]:
        """What every fitted machine has."""
        machine = run.result()
        visible, a = machine.units[0], machine.par[0]
        return {
            "_run": run.without_rows(),
            "_machine": machine,
            "_known": {},
            "n_features_in_": a.shape[1],
            "visible_variance_": None
            if visible.curvature(a) is None
            else visible.variance(a[:1], a)[0],
            "visible_type_": visible.name,
            "hidden_type_": machine.units[1].name,
            "history_": run.history,
            "n_iter_": run.n_epochs,
        }

    @property
    def _runs(self) -> list[Run]:
        return [self._run]

    def _with_runs(self, runs: list[Run]) -> MachineGenerator:
        view = copy.copy(self)
        vars(view).update(self._fitted_attributes(*runs))
        return view


def _warn_of_swings(run: Run, n_epochs: int, watched: Watched, settings: Settings) -> bool:
    """Say that the persistent chains of a training do not mix, where that is seen."""
    if not (n_epochs and settings.sampler.persistent):
        return False
    swing = late_swing(
        run.history["free_energy_swing"][-n_epochs:],
        free_energies(run.machine, watched, settings.n_mean_field_steps),
    )
    if swing is not None:
        tempered = isinstance(run.chains, TemperedChains)
        cure = "a lower learning_rate" if tempered else "sampler='tempering'"
        warnings.warn(
            f"Free energies of rows swing by {swing:.0f} nats a pass, more than they differ "
            "from one another: the persistent chains stay with one group of rows until the "
            f"parameters push them on, and score may be far too low. Set {cure}.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return swing is not None


def given_to_callbacks(rows: Rows) -> dict[str, Any]:
    """The data of a training as its callbacks are given it."""
    # Called only by a callback that asks for the rows: a stack has to compute them.
    X = (lambda: rows.means(rows.index)) if rows.lower else rows.X
    return {"X": X, "metadata": {"sample_weight": rows.weight}}
