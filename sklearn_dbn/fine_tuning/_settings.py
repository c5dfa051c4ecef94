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

# What scipy calls the solvers that look at all rows before each step.
FULL_BATCH = {"lbfgs": "L-BFGS-B", "cg": "CG"}
SOLVERS = ("adam", "sgd", *FULL_BATCH)
# "auto" moves adversarial and virtual adversarial rows by these shares of the distance to the
# nearest row.
_SHARES_OF_DISTANCE = {"adversarial_eps": 0.2, "virtual_adversarial_eps": 0.5}
# The value of `n_iter="auto"` with a full-batch solver.
_ITERATIONS = 200
# Parameters that need minibatches, and the value that does without.
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
    """How a network is trained; the estimators fill it in from their parameters.

    ``factors`` holds a factor on the learning rate for each hidden layer; one whose factor is
    0 is not touched.
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
    n_iter_no_change: int = 10

    @property
    def layers(self) -> list[int]:
        return [layer for layer, factor in enumerate(self.factors) if factor]

    def factors_of(self, names: Iterable[str]) -> dict[str, float]:
        """The factor on the learning rate of each parameter."""
        head = ("head", "intercept")
        return {k: 1.0 if k in head else self.factors[int(k[1:])] for k in names}

    @property
    def rule(self) -> Any:
        return Adam() if self.solver == "adam" else Momentum(self.momentum)


def check_options(asked: Any) -> None:
    """Refuse parameters of a fine-tuned estimator that contradict one another."""
    if asked.generative_weight and not asked.tie_weights:
        raise ValueError(
            f"generative_weight={asked.generative_weight} draws tied weights to the "
            "generator, and with tie_weights=False it stays as it is anyway: set "
            "generative_weight=0."
        )
    if asked.solver not in FULL_BATCH:
        return
    for name, value in _NEED_MINIBATCHES.items():
        if (given := getattr(asked, name)) not in (value, "auto"):
            raise ValueError(
                f"{name}={given} needs minibatches, which solver={asked.solver!r} has not: "
                f"set solver='adam', or {name}={value}."
            )


def settings_of(
    asked: Any,
    loss: Any,
    learning_rate: float,
    n_layers: int,
    n_rows: int,
    unlabelled: bool,
    nearest: Callable[[], float],
    chunk: bool = False,
) -> FineTuningSettings:
    """The settings that the parameters of a fine-tuned estimator ask for.

    Parameters
    ----------
    asked : estimator
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
        Gives the distance of a row to the nearest other one.
    chunk : bool, default=False
        Whether there will be rows of other calls.
    """
    asked, full_batch = PlainParameters(asked), asked.solver in FULL_BATCH
    lengths = {name: getattr(asked, name) for name in _SHARES_OF_DISTANCE}
    # Only virtual adversarial rows need no target.
    chosen = "virtual_adversarial_eps" if unlabelled else "adversarial_eps"
    for name in [name for name, length in lengths.items() if length == "auto"]:
        moved = name == chosen and not full_batch
        lengths[name] = _SHARES_OF_DISTANCE[name] * nearest() if moved else 0.0
    return FineTuningSettings(
        loss=loss,
        solver=asked.solver,
        learning_rate=learning_rate if asked.learning_rate == "auto" else asked.learning_rate,
        factors=factors_of(asked.fine_tune, n_layers, asked.solver),
        schedule=SCHEDULES["constant" if chunk else asked.learning_rate_schedule],
        momentum=asked.momentum,
        batch_size=batch_size_of(asked.batch_size, n_rows),
        dropout=asked.dropout,
        hidden_dropout=asked.hidden_dropout,
        **lengths,
        centered=not full_batch if asked.centered == "auto" else bool(asked.centered),
        max_norm=asked.max_norm,
        weight_decay=asked.weight_decay,
        generative_weight=asked.generative_weight,
        n_iter_no_change=asked.n_iter_no_change,
    )


def passes_asked(asked: Any, n_rows: int, presentations: int, bounds: tuple[int, int]) -> int:
    """Passes over ``n_rows`` with a target, or iterations at most."""
    n_iter = PlainParameters(asked).n_iter
    if asked.solver in FULL_BATCH:
        return _ITERATIONS if n_iter == "auto" else n_iter
    return n_passes_of(n_iter, n_rows, presentations, bounds)


def factors_of(fine_tune: Any, n_layers: int, solver: str) -> tuple[float, ...]:
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
                    f"fine_tune={shown(fine_tune)} gives learning rates to layers, and "
                    f"solver={solver!r} has none: use factors of 0 and 1 alone."
                )
            return factors
    raise ValueError(
        f"fine_tune={shown(fine_tune)} must be 'all', 'head', the number of the last "
        f"hidden layers to train, up to {n_layers}, or {n_layers} factors on the learning "
        "rate."
    )
