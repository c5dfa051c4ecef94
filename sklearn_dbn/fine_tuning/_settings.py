"""How a network is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..optim import Adam, Momentum

# What scipy calls the solvers that look at all rows before each step.
FULL_BATCH = {"lbfgs": "L-BFGS-B", "cg": "CG"}


SOLVERS = ("adam", "sgd", *FULL_BATCH)


@dataclass(frozen=True)
class Settings:
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
