"""The state of a fine-tuning."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._array_api import Array, copied, moved, to_numpy
from .._random import Stream
from ..machine import Machine
from ..optim import RuleState
from ._generative import GenerativeTerm
from ._losses import weighted_mean
from ._network import Network, hidden_layers
from ._settings import FineTuningSettings
from ._training_rows import TrainingRows

# A larger mean loss is a divergence; saturated units may keep all values finite.
LARGEST_LOSS = 1e6
# A scale of the targets that changes by a larger factor was estimated from too few rows.
_LARGEST_CHANGE = 2.0


@dataclass
class BestPass:
    """The best pass of a training, by held-out rows.

    Attributes
    ----------
    n_iter_no_change : int
        Passes without a better one after which the training stops.
    value : tuple of float, or None
        Score and minus the loss of the held-out rows after the best pass.
    parameters : dict of arrays
        After the best pass.
    n_stalled : int
        Passes since the best one.
    """

    n_iter_no_change: int
    value: tuple[float, float] | None = None
    parameters: dict[str, Array] = field(default_factory=dict)
    n_stalled: int = 0

    @property
    def stalled(self) -> bool:
        return self.n_stalled >= self.n_iter_no_change

    def end_pass(self, value: tuple[float, float], parameters: dict[str, Array]) -> None:
        """Compare a pass with the best one."""
        self.n_stalled += 1
        if self.value is None or value > self.value:
            self.value, self.n_stalled = value, 0
            self.parameters = {name: copied(x) for name, x in parameters.items()}


@dataclass
class Tuning:
    """The state of a fine-tuning.

    Attributes
    ----------
    network : Network
    rng : Stream
    machines : list of Machine
        They share their arrays with the network and with ``generative_term``.
    generative_term : GenerativeTerm or None
    trained_layers : list of int
        The hidden layers that were trained so far.
    rule_state : RuleState or None
        The optimiser state of ``solver``.
    solver : str
    stopping : BestPass or None
        The best pass so far, during a training with early stopping.
    reached_limit : bool
        Whether scipy made the largest number of iterations before it converged.
    n_passes : int
        Passes over rows so far.
    history : dict of lists of float
    """

    network: Network
    rng: Stream
    machines: list[Machine]
    generative_term: GenerativeTerm | None = None
    trained_layers: list[int] = field(default_factory=list)
    rule_state: RuleState | None = None
    solver: str = ""
    stopping: BestPass | None = None
    reached_limit: bool = False
    n_passes: int = 0
    history: dict[str, list] = field(default_factory=dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = dict(state)
        # joblib.dump writes a shared array once for each reference to it.
        _, self.network.par, self.network.W = hidden_layers(self.machines)

    def copy(self) -> Tuning:
        # One deep copy, so that the machines share the arrays of the new network.
        return copy.deepcopy(self)

    def parameters(self, layers: list[int]) -> dict[str, Array]:
        """All arrays that change when ``layers`` are trained."""
        found = self.network.parameters(layers)
        if self.generative_term is not None:
            found |= {
                k: x for k, x in self.generative_term.visible().items() if int(k[1:]) in layers
            }
        return found

    def convert_outputs(self, ratio: np.ndarray, shift: np.ndarray) -> None:
        """Multiply the outputs by ``ratio``, and add ``shift``, both (n_outputs,)."""
        network = self.network
        _multiply(network.head, ratio)
        _multiply(network.intercept, ratio)
        _set(network.intercept, to_numpy(network.intercept) + shift)
        if self.rule_state is None:
            return
        if ratio.min() < 1 / _LARGEST_CHANGE or ratio.max() > _LARGEST_CHANGE:
            # The optimiser state is that of losses of another size.
            self.rule_state, self.solver = None, ""
        else:
            # That of the other parameters decays faster than the scale changes.
            state = self.rule_state
            for joined, factor in ((state.first, ratio), (state.second, ratio**2)):
                if joined is not None:
                    views = joined.views()
                    _multiply(views["head"], factor)
                    _multiply(views["intercept"], factor)

    @property
    def stalled(self) -> bool:
        """Whether early stopping ends the training."""
        return self.stopping is not None and self.stopping.stalled

    def restore_best(self) -> None:
        """Restore the parameters of the best pass, with early stopping."""
        if self.stopping is not None:
            parameters = self.parameters(list(range(len(self.network.W))))
            for name, x in self.stopping.parameters.items():
                parameters[name][...] = x
        self.stopping = None

    def record(
        self, settings: FineTuningSettings, loss: float, validation: TrainingRows | None
    ) -> dict[str, float]:
        """The record of a pass; with ``validation`` rows it may become the best pass."""
        record = {"loss": loss}
        if validation is not None:
            outputs = validation.inputs.outputs(self.network)
            score = settings.loss.score(copied(outputs), validation.target, validation.weight)
            losses, _ = settings.loss(outputs, validation.target)
            held_out = weighted_mean(losses, validation.weight)
            record |= {"validation_loss": held_out, "validation_score": score}
            self.stopping = self.stopping or BestPass(settings.n_iter_no_change)
            self.stopping.end_pass((score, -held_out), self.parameters(settings.layers))
        return record


def _multiply(x: Array, factor: np.ndarray) -> None:
    """Multiply the columns of ``x``, in the precision of ``factor``."""
    _set(x, to_numpy(x) * factor)


def _set(x: Array, values: np.ndarray) -> None:
    x[...] = moved(values, x, x.dtype)
