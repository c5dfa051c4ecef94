"""Machines: energy, sweeps, mean field, and the condition for a distribution to exist."""

from ._fill import fill_in, fill_stack, lacking_pathways
from ._machine import Machine, States, Unchanging
from ._mean_field import (
    MeanField,
    free_energy_bound,
    mean_field,
    mean_field_sweeps,
    means_below,
)
from ._stability import largest_singular
from ._weights import (
    PathwayWeights,
    blocks,
    dense_weights,
    like,
    mapped,
    matrices,
    pathway_widths,
    slices,
    times,
    times_transposed,
    transposed,
)
