"""Learning-rate schedules: a factor as a function of the progress t of the training, 0 to 1."""

from __future__ import annotations

import math


def constant(progress: float) -> float:
    """1 for all t."""
    return 1.0


def linear(progress: float) -> float:
    """1 - t: falls to 0, as the convergence of a stochastic approximation requires."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """(1 + cos(pi t)) / 2: flat at both ends."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


SCHEDULES = {"constant": constant, "linear": linear, "cosine": cosine}
