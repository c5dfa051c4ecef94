"""From the parameters of a fine-tuned estimator to the settings of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from .._messages import shown
from .._parameters import PlainParameters
from ..optim import SCHEDULES, Adam, Momentum
from ..training import batch_size_of, n_passes_of
from ._network import layer_of

# The solvers that use all rows for each step, with their names in scipy.
FULL_BATCH = {"lbfgs": "L-BFGS-B", "cg": "CG"}
SOLVERS = ("adam", "sgd", *FULL_BATCH)
# The values of "auto", as shares of the distance of a row to the nearest one.
_SHARES_OF_DISTANCE = {"adversarial_eps": 0.2, "virtual_adversarial_eps": 0.5}
# The value of `n_iter="auto"` with a full-batch solver.
_ITERATIONS = 200
# Parameters that need minibatches, and the value that does not.
_NEED_MINIBATCHES = {
    "dropout": 0,
    "hidden_dropout": 0,
    "adversarial_eps": 0,
    "virtual_adversarial_eps": 0,
    "centered": False,
    "generative_weight": 0,
    "max_norm": None,
}


@dataclass(frozen=True)
class FineTuningSettings:
    """The settings of a fine-tuning.

    ``factors`` holds a factor on the learning rate for each hidden layer; a layer of factor 0
    is not trained.
    """

    loss: Any
    solver: str
    learning_rate: float
    factors: tuple[float, ...]
    schedule: Callable[[float], float]
    momentum: float
    batch_size: int
    dropout: float
    hidden_dropout: float
    adversarial_eps: float
    virtual_adversarial_eps: float
    centered: bool
    max_norm: float | None
    weight_decay: float
    generative_weight: float
    n_iter_no_change: int

    @property
    def layers(self) -> list[int]:
        return [layer for layer, factor in enumerate(self.factors) if factor]

    def factors_of(self, names: Iterable[str]) -> dict[str, float]:
        """The factor on the learning rate of each parameter."""
        layers = {name: layer_of(name) for name in names}
        return {k: 1.0 if at is None else self.factors[at] for k, at in layers.items()}

    @property
    def rule(self) -> Any:
        return Adam() if self.solver == "adam" else Momentum(self.momentum)


def check_compatible(estimator: Any) -> None:
    """Raise ValueError if parameters of a fine-tuned estimator contradict one another."""
    solver, generative_weight = estimator.solver, estimator.generative_weight
    if generative_weight and not estimator.tie_weights:
        raise ValueError(
            f"generative_weight={generative_weight} needs tied weights, and with "
            "tie_weights=False the generator does not change: set generative_weight=0."
        )
    if solver not in FULL_BATCH:
        return
    for name, value in _NEED_MINIBATCHES.items():
        if (given := getattr(estimator, name)) not in (value, "auto"):
            raise ValueError(
                f"{name}={given} needs minibatches, which solver={solver!r} does not use: set "
                f"solver='adam', or {name}={value}."
            )


def settings_of(
    estimator: Any,
    loss: Any,
    learning_rate: float,
    n_layers: int,
    n_rows: int,
    unlabelled: bool,
    nearest: Callable[[], float],
    chunk: bool = False,
    on_cluster: bool = False,
) -> FineTuningSettings:
    """The settings from the parameters of a fine-tuned estimator.

    Parameters
    ----------
    estimator : estimator
    loss : Softmax, Logistic or Squared
    learning_rate : float
        The value of `learning_rate="auto"`.
    n_layers : int
        Hidden layers.
    n_rows : int
        Rows with a target.
    unlabelled : bool
        Whether there are other rows.
    nearest : callable
        Returns the distance of a row to the nearest other one.
    chunk : bool, default=False
        Whether other calls have other rows.
    on_cluster : bool, default=False
        Whether the rows are on the workers of a cluster.
    """
    given, full_batch = PlainParameters(estimator), estimator.solver in FULL_BATCH
    lengths = {name: getattr(given, name) for name in _SHARES_OF_DISTANCE}
    # Adversarial rows need a target, virtual adversarial rows do not.
    chosen = "virtual_adversarial_eps" if unlabelled else "adversarial_eps"
    for name, share in _SHARES_OF_DISTANCE.items():
        if lengths[name] == "auto":
            moved = name == chosen and not full_batch
            lengths[name] = share * nearest() if moved else 0.0
    return FineTuningSettings(
        loss=loss,
        solver=given.solver,
        learning_rate=learning_rate if given.learning_rate == "auto" else given.learning_rate,
        factors=_layer_factors(given.fine_tune, n_layers, given.solver),
        schedule=SCHEDULES["constant" if chunk else given.learning_rate_schedule],
        momentum=given.momentum,
        batch_size=batch_size_of(given.batch_size, n_rows, on_cluster),
        dropout=given.dropout,
        hidden_dropout=given.hidden_dropout,
        **lengths,
        centered=not full_batch if given.centered == "auto" else bool(given.centered),
        max_norm=given.max_norm,
        weight_decay=given.weight_decay,
        generative_weight=given.generative_weight,
        n_iter_no_change=given.n_iter_no_change,
    )


def n_iter_of(estimator: Any, n_rows: int, presentations: int, bounds: tuple[int, int]) -> int:
    """Passes over ``n_rows`` with a target, or the largest number of iterations."""
    n_iter = PlainParameters(estimator).n_iter
    if estimator.solver in FULL_BATCH:
        return _ITERATIONS if n_iter == "auto" else n_iter
    return n_passes_of(n_iter, n_rows, presentations, bounds)


def _layer_factors(fine_tune: Any, n_layers: int, solver: str) -> tuple[float, ...]:
    """A factor on the learning rate for each hidden layer."""
    if isinstance(fine_tune, str) and fine_tune in ("all", "head"):
        return (1.0 if fine_tune == "all" else 0.0,) * n_layers
    if isinstance(fine_tune, Integral) and not isinstance(fine_tune, bool):
        if 0 <= fine_tune <= n_layers:
            return (0.0,) * (n_layers - fine_tune) + (1.0,) * int(fine_tune)
    elif isinstance(fine_tune, Sequence | np.ndarray) and not isinstance(fine_tune, str):
        numbers = all(isinstance(x, Real) and x >= 0 for x in fine_tune)
        if len(fine_tune) == n_layers and numbers:
            factors = tuple(float(x) for x in fine_tune)
            if solver in FULL_BATCH and not set(factors) <= {0.0, 1.0}:
                raise ValueError(
                    f"fine_tune={shown(fine_tune)} has factors on the learning rate, and "
                    f"solver={solver!r} has none: use factors of 0 and 1 alone."
                )
            return factors
    raise ValueError(
        f"fine_tune={shown(fine_tune)} must be 'all', 'head', the number of the last "
        f"hidden layers to train, up to {n_layers}, or {n_layers} factors on the learning "
        "rate."
    )
