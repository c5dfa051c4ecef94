"""From the parameters of an estimator to a training, and from a run to fitted attributes."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ._automatic import batch_size_of, n_passes_of
from ._base import interrupt
from ._convergence import Course, warn_unconverged
from ._divergence import machine_diverged
from ._generator import Generator
from ._machine import Machine
from ._memory import Progress
from ._parameters import PlainParameters, plain
from ._random import Stream, seed_of
from ._record import Watched, free_energies, late_swing
from ._rows import Rows
from ._shown import shown
from ._training import Diverged, Run, Settings, begin_stopping, observe, start, train, watch
from .optim import SCHEDULES, Ascent, MomentumAscent, Sparsity
from .samplers import SAMPLERS
from .units import UNITS

# Presentations of rows in `fit`, all passes together, and passes at least and at most.
_PRESENTATIONS, _PASSES = 200_000, (10, 50)
# The mean activity that Bernoulli hidden units are pushed to, where the user names none.
_SPARSITY_TARGET = 0.1
# Share of the rows that are held out to stop by, where validation_fraction is 0.
_HELD_OUT = 0.1
# Parameters of a training that leave its result as it is.
_NOT_TRAINING = ("memory", "random_state", "verbose", "warm_start")


def training_parameters(rbm: Any) -> dict[str, Any]:
    """What of the parameters of ``rbm`` a trained machine depends on, its seed aside."""
    return {k: v for k, v in rbm.get_params().items() if k not in _NOT_TRAINING}


def title_of(estimator: Any, *verbose: int, layer: int | None = None) -> str | None:
    """What the lines of each pass begin with; ``None`` where nobody is ``verbose``."""
    if not any(verbose):
        return None
    start = f"[{type(estimator).__name__}] "
    return start if layer is None else f"{start}layer {layer}, "


def settings_of(
    rbm: Any, rows: Rows, schedule: str | None = None, *, sparse: bool = True, **deep: Any
) -> Settings:
    """How ``rbm``, which has the parameters of an `RBMTransformer`, says to train on ``rows``.

    ``sparse``: whether ``sparsity_target="auto"`` is a target and not `None`. ``deep`` holds
    what matters with several hidden layers alone.
    """
    rbm = PlainParameters(rbm)
    on_or_off = UNITS[rbm.hidden].support == (0, 1)
    target = rbm.sparsity_target
    if target == "auto":
        target = _SPARSITY_TARGET if on_or_off and sparse else None
    if target is not None and not on_or_off:
        raise ValueError(
            f"sparsity_target={target} is a share of the rows in which a unit is on, and "
            f"hidden={rbm.hidden!r} units are not on or off: set sparsity_target=None."
        )
    options = {"n_temperatures": rbm.n_temperatures} if rbm.sampler == "tempering" else {}
    return Settings(
        sampler=SAMPLERS[rbm.sampler](rbm.n_gibbs_steps, **options),
        update=MomentumAscent(rbm.momentum, rbm.weight_decay)
        if rbm.momentum
        else Ascent(rbm.weight_decay),
        schedule=SCHEDULES[schedule or rbm.schedule],
        learning_rate=None if rbm.learning_rate == "auto" else rbm.learning_rate,
        batch_size=batch_size_of(rbm.batch_size, len(rows)),
        averaging=rbm.averaging,
        centered=rbm.centered,
        sparsity=None if target is None else Sparsity(target, rbm.sparsity_cost),
        n_iter=n_passes_of(rbm.n_iter, len(rows), _PRESENTATIONS, _PASSES),
        n_iter_no_change=rbm.n_iter_no_change if rbm.early_stopping else None,
        **deep,
    )


def settings_attributes(run: Run, settings: Settings) -> dict[str, Any]:
    """Fitted attributes: the values in a training of parameters that may be "auto"."""
    return {
        "learning_rate_": run.rate(settings),
        "batch_size_": settings.batch_size,
        "sparsity_target_": settings.sparsity and settings.sparsity.target,
    }


def new_run(
    rbm: Any,
    rows: Rows,
    settings: Settings,
    hidden_sizes: Sequence[int],
    random_state: Any,
    kind: type[Machine] = Machine,
) -> Run:
    """A training of the units that ``rbm`` asks for, before its first step."""
    rbm = PlainParameters(rbm)
    visible = rows.lower[-1].units[1] if rows.lower else rows.unit
    units = (visible, *[UNITS[rbm.hidden]] * len(hidden_sizes))
    sizes = [rows.n_columns, *map(plain, hidden_sizes)]
    n_chains = rbm.n_chains or min(settings.batch_size, max(1, len(rows)))
    return start(units, sizes, rows, settings, n_chains, Stream(seed_of(random_state)), kind)


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


def continued(run: Run, rbm: Any, rows: Rows, settings: Settings) -> Run:
    """A copy of a run, to go on with on other rows and as ``rbm`` now says."""
    fitted = [unit.name for unit in run.machine.units[:2]]
    for name, asked, unit in zip(
        ("visible", "hidden"), (rbm.visible, rbm.hidden), fitted, strict=True
    ):
        if asked not in ("auto", unit):
            raise ValueError(
                f"{name}={asked!r}, but the fitted machine to go on with has {unit} "
                f"{name} units: fit a clone, or set {name}={unit!r}."
            )
    # A copy, so that a failure leaves the fitted run as it was.
    run = run.copy()
    memory = settings.update.start(run.machine)
    if run.memory is None or memory is None:
        run.memory = memory
    observe(run, rows)
    return run


def held_out_rows(rbm: Any, rows: Rows, run: Run) -> np.ndarray | None:
    """Set a share of the rows aside, as ``rbm`` asks for; which they are."""
    fraction = rbm.validation_fraction or (_HELD_OUT if rbm.early_stopping else 0.0)
    if not fraction:
        return None
    held_out = rows.hold_out(fraction, run.rng)
    if rbm.early_stopping and not len(held_out):
        raise ValueError(
            f"early_stopping=True needs a row to train on and a row to stop by, and X has "
            f"{len(rows)} of positive weight: give more, or set early_stopping=False."
        )
    return held_out


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
            "visible_variance_": visible.variance(visible.mean(a[:1], a), a)[0]
            if visible.continuous
            else None,
            "visible_units_": visible.name,
            "hidden_units_": machine.units[1].name,
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
        cure = "a lower learning_rate" if run.chains.hotter else "sampler='tempering'"
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
