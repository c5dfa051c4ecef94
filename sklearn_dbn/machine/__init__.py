"""Units joined by weights: energy, sweeps, mean field, and where the distribution exists."""

from ._machine import Machine, States, Unchanging
from ._mean_field import MeanField, fill_in, free_energy_bound, mean_field, means_below, settle
from ._stability import largest_singular
