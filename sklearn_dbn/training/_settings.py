"""The settings of a training, from the parameters of an `RBMTransformer`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._parameters import PlainParameters
from ..data import Rows
from ..optim import SCHEDULES, Ascent, MomentumAscent, Sparsity
from ..samplers import SAMPLERS
from ..units import UNITS
from ._automatic import batch_size_of, n_passes_of

# Presentations of rows in `fit`, over all passes, and least and largest number of passes.
_PRESENTATIONS, _PASSES = 200_000, (10, 50)
# The mean activity that sparsity moves Bernoulli hidden units to, for sparsity_target="auto".
_SPARSITY_TARGET = 0.1
# The seed, and parameters without an influence on the trained machine, or only on the columns.
_NOT_TRAINING = ("memory", "missing", "random_state", "verbose", "visible", "warm_start")


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training, from the parameters of an estimator."""

    sampler: Any
    update: Ascent
    schedule: Callable[[float], float]
    learning_rate: float | None
    batch_size: int
    averaging_fraction: float
    centered: bool
    sparsity: Sparsity | None
    n_iter: int = 1
    n_mean_field_steps: int = 0
    partial_mean_field: bool = False
    n_iter_no_change: int | None = None


def training_parameters(rbm: Any) -> dict[str, Any]:
    """The parameters of ``rbm`` that a trained machine depends on.

    Without the seed and the kinds of the columns.
    """
    return {k: v for k, v in rbm.get_params().items() if k not in _NOT_TRAINING}


def settings_of(
    rbm: Any, rows: Rows, schedule: str | None = None, *, sparse: bool = True, **deep: Any
) -> TrainingSettings:
    """The settings of a training on ``rows`` with the parameters of ``rbm``.

    ``sparse``: whether ``sparsity_target="auto"`` is a target and not ``None``. ``deep`` has
    the settings that only machines with several hidden layers need.
    """
    rbm = PlainParameters(rbm)
    on_or_off = UNITS[rbm.hidden].on_or_off
    target = rbm.sparsity_target
    if target == "auto":
        target = _SPARSITY_TARGET if on_or_off and sparse else None
    if target is not None and not on_or_off:
        raise ValueError(
            f"sparsity_target={target} is a share of the rows in which a unit is on, and "
            f"hidden={rbm.hidden!r} units are not on or off: set sparsity_target=None."
        )
    options = {"n_temperatures": rbm.n_temperatures} if rbm.sampler == "tempering" else {}
    return TrainingSettings(
        sampler=SAMPLERS[rbm.sampler](rbm.n_gibbs_steps, **options),
        update=MomentumAscent(rbm.momentum, rbm.weight_decay)
        if rbm.momentum
        else Ascent(rbm.weight_decay),
        schedule=SCHEDULES[schedule or rbm.learning_rate_schedule],
        learning_rate=None if rbm.learning_rate == "auto" else rbm.learning_rate,
        batch_size=batch_size_of(rbm.batch_size, len(rows), rows.on_cluster),
        averaging_fraction=rbm.averaging_fraction,
        centered=rbm.centered,
        sparsity=None if target is None else Sparsity(target, rbm.sparsity_cost),
        n_iter=n_passes_of(rbm.n_iter, len(rows), _PRESENTATIONS, _PASSES),
        n_iter_no_change=rbm.n_iter_no_change if rbm.early_stopping else None,
        **deep,
    )
