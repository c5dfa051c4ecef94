"""The training of a machine on rows without labels."""

from ._automatic import batch_size_of, n_passes_of
from ._convergence import loss_still_falls
from ._dbm_start import SCHEMES, Pretraining, pretraining_scheme, start_from_rbms
from ._divergence import TOO_LARGE, decay_cause, momentum_cause, weight_cause
from ._driver import Diverged, Outcome, Passes, Tasks, drive
from ._held_out import held_out_rows, rows_to_record
from ._loop import MachineLoop
from ._rate import RateLimit, coordinates
from ._record import free_energies, swing_of_last_half
from ._run import Run, continued, new_run, settings_attributes, start
from ._settings import TrainingSettings, settings_of, training_parameters
