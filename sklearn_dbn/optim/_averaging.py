"""Averages of parameters along a run."""

from __future__ import annotations

from ..machine import Machine


def blend(average: Machine, current: Machine, rate: float) -> Machine:
    """(1 - rate) average + rate current, each parameter on its own."""
    return average.map(lambda m, x: m + rate * (x - m), current)
