"""The state of a fine-tuning."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._array_api import Array
from .._random import Stream
from ..machine import Machine
from ..training import Diverged
from ._examples import Examples
from ._generative import Pull
from ._network import Network, all_outputs, hidden_layers
from ._settings import Settings

# Saturated units keep all else finite; no network of use is this wrong.
LARGEST_LOSS = 1e6


# A scale of the targets that changes by this factor was made of too few rows.
_GUESS = 2.0


@dataclass
class Tuning:
    """Everything that a fine-tuning needs to go on where it stopped.

    Attributes
    ----------
    network : Network
    rng : Stream
    machines : list of Machine
        Those whose arrays the network moves, and ``pull`` with it.
    pull : Pull or None
    moved : list of int
        The hidden layers that were trained so far.
    memory : Memory or None
        What the update rule of ``solver`` remembers.
    solver : str
    best : tuple of float, or None
        Score and minus the loss on the validation part, after the best pass so far.
    kept : dict of arrays
        The parameters after that pass.
    n_stalled : int
        Passes since then.
    limited : bool
        Whether scipy made all the iterations that it may, and had not converged.
    """

    network: Network
    rng: Stream
    machines: list[Machine]
    pull: Pull | None = None
    moved: list[int] = field(default_factory=list)
    memory: Any = None
    solver: str = ""
    best: tuple[float, float] | None = None
    kept: dict[str, Array] = field(default_factory=dict)
    n_stalled: int = 0
    limited: bool = False
    n_epochs: int = 0
    history: dict[str, list] = field(default_factory=dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        # joblib.dump writes a shared array once for each that shares it.
        _, self.network.par, self.network.W = hidden_layers(self.machines)

    def copy(self) -> Tuning:
        # One deep copy, so that the machines share the arrays of the new network.
        return copy.deepcopy(self)

    def parameters(self, layers: list[int]) -> dict[str, Array]:
        """All arrays that move when ``layers`` do."""
        found = self.network.parameters(layers)
        if self.pull is not None:
            found |= {k: x for k, x in self.pull.visible().items() if int(k[1:]) in layers}
        return found

    def convert_outputs(self, ratio: Array, shift: Array) -> None:
        """Let the head give ``ratio`` times what it gave, plus ``shift``."""
        network = self.network
        network.head *= ratio
        network.intercept *= ratio
        network.intercept += shift
        if self.memory is None:
            return
        if ratio.min() < 1 / _GUESS or ratio.max() > _GUESS:
            # The errors that the rule remembers were of another size.
            self.memory, self.solver = None, ""
        else:
            # The memory of the other parameters fades faster than the scale moves.
            for joined, factor in ((self.memory.first, ratio), (self.memory.second, ratio**2)):
                if joined is not None:
                    remembered = joined.views()
                    remembered["head"] *= factor
                    remembered["intercept"] *= factor

    def restore(self) -> None:
        """Go back to the parameters of the best pass."""
        own = self.parameters(list(range(len(self.network.W))))
        for name, x in self.kept.items():
            own[name][...] = x

    def record(
        self, settings: Settings, loss: float, validation: Examples | None
    ) -> dict[str, float]:
        """Write down a pass, and keep its parameters where they are the best so far."""
        record = {"loss": loss}
        if not loss < LARGEST_LOSS:
            raise Diverged
        if validation is not None:
            outputs = all_outputs(self.network, validation.inputs)
            score = settings.loss.score(outputs.copy(), validation.target, validation.weight)
            losses, _ = settings.loss(outputs, validation.target)
            held_out = float(np.average(losses, weights=validation.weight))
            record |= {"validation_loss": held_out, "validation_score": score}
            self.n_stalled += 1
            if self.best is None or (score, -held_out) > self.best:
                self.best, self.n_stalled = (score, -held_out), 0
                own = self.parameters(settings.layers)
                self.kept = {name: x.copy() for name, x in own.items()}
        self.n_epochs += 1
        # A pass without a validation part has no score; the lists stay of one length.
        for name in {**self.history, **record}:
            values = self.history.setdefault(name, [math.nan] * (self.n_epochs - 1))
            values.append(record.get(name, math.nan))
        return record
