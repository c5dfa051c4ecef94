"""Displays of fitted generators, and their retention after fine-tuning."""

from ._chains import ChainsDisplay
from ._column_weights import ColumnWeightsDisplay
from ._filters import FiltersDisplay
from ._history import HistoryDisplay
from ._retention import RetentionDisplay, generative_retention
from ._samples import SamplesDisplay

__all__ = [
    "ChainsDisplay",
    "ColumnWeightsDisplay",
    "FiltersDisplay",
    "HistoryDisplay",
    "RetentionDisplay",
    "SamplesDisplay",
    "generative_retention",
]
