"""How a machine is trained without labels."""

from ._automatic import batch_size_of, n_passes_of
from ._convergence import Course, still_falls
from ._dbm_start import SCHEMES, Pretraining, chosen
from ._divergence import TOO_LARGE, decay_cause, machine_diverged, momentum_cause, weight_cause
from ._greedy import take_in
from ._held_out import begin_stopping, held_out_rows, watch
from ._loop import SHRINK_EVERY, Diverged, train
from ._record import Watched, free_energies, late_swing
from ._run import Run, continued, new_run, settings_attributes, start
from ._settings import Settings, settings_of, training_parameters

__all__ = [
    "SCHEMES",
    "SHRINK_EVERY",
    "TOO_LARGE",
    "Course",
    "Diverged",
    "Pretraining",
    "Run",
    "Settings",
    "Watched",
    "batch_size_of",
    "begin_stopping",
    "chosen",
    "continued",
    "decay_cause",
    "free_energies",
    "held_out_rows",
    "late_swing",
    "machine_diverged",
    "momentum_cause",
    "n_passes_of",
    "new_run",
    "settings_attributes",
    "settings_of",
    "start",
    "still_falls",
    "take_in",
    "train",
    "training_parameters",
    "watch",
    "weight_cause",
]
