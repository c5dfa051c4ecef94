"""Settings of the training loop, a fixed sampler, a callback, and the memory of a call."""

import tracemalloc

from sklearn_dbn.optim import SCHEDULES, Ascent
from sklearn_dbn.samplers import SAMPLERS, Chains, Phases
from sklearn_dbn.samplers._chains import stack
from sklearn_dbn.training import MachineLoop, Passes, TrainingSettings


def make_settings(**changes):
    """Plain settings, but for ``changes``."""
    plain = {
        "sampler": SAMPLERS["pcd"](1),
        "update": Ascent(),
        "schedule": SCHEDULES["constant"],
        "learning_rate": 0.1,
        "batch_size": 5,
        "averaging_fraction": 1.0,
        "centered": True,
        "sparsity": None,
    }
    return TrainingSettings(**(plain | changes))


class OnePass(Passes):
    """One of the passes of a training, after those that were made before."""

    def begin(self):
        return self.kept is not self.state and super().begin()


def pass_by_pass(loop, state, n_passes):
    """Make a pass of a loop each time the iterator is advanced."""
    for n_done in range(n_passes):
        passes = OnePass(state, n_passes, n_done)
        passes.kept = None
        loop.train(state, passes)
        yield


def train(run, rows, settings, n_passes, recorded):
    """Train a machine on rows, a pass each time the iterator is advanced."""
    yield from pass_by_pass(MachineLoop(rows, settings, recorded), run, n_passes)


class FixedChains:
    """A sampler whose chains do not move."""

    persistent, n_sweeps = True, 1

    def __init__(self, states):
        self.states = states

    def init(self, machine, n_chains, rng):
        return Chains(self.states)

    def phases(self, machine, data, chains, rng):
        states, fields = machine.conditionals(machine.odd, stack(data, self.states))
        return Phases(states, fields, chains, {})


class Callback:
    """A callback of scikit-learn that does nothing."""

    max_propagation_depth = None

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass


def peak_of(function):
    """The largest number of bytes that a call allocates at one time."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
