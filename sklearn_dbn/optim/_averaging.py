"""Averages of parameters over a training."""

from __future__ import annotations

from ..machine import Machine


def moving_average(average: Machine, current: Machine, rate: float) -> Machine:
    """(1 - rate) average + rate current, for each parameter."""
    return average.map(lambda m, x: m + rate * (x - m), current)
