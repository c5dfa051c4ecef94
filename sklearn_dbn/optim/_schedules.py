"""Learning-rate schedules: the factor on the learning rate after a share of the training."""

from __future__ import annotations

import math


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


def linear(progress: float) -> float:
    """1 - t: from 1 to 0, the annealing that stochastic approximation asks for."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """(1 + cos(pi t)) / 2: flat at both ends."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


SCHEDULES = {"constant": constant, "linear": linear, "cosine": cosine}
