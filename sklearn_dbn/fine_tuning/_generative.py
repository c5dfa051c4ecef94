"""The generative term: machines that share their weights with a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._array_api import Array
from .._random import Stream
from ..machine import Machine, settle
from ..samplers import Chains, PersistentContrastiveDivergence


@dataclass
class GenerativeTerm:
    """Machines that share their weights with a network, and draw them to their likelihood.

    Attributes
    ----------
    machines : list of Machine
        The lowest first; their weights and hidden parameters are the arrays of the network.
    chains : list of Chains
    offsets : list of lists of arrays
        Where the gradient of each machine is centred.
    n_mean_field_steps : int
    """

    machines: list[Machine]
    chains: list[Chains]
    offsets: list[list[Array]]
    n_mean_field_steps: int = 5

    def visible(self) -> dict[str, Array]:
        """Parameters that the network has not: those of the visible units of each machine."""
        return {f"a{i}": machine.par[0] for i, machine in enumerate(self.machines)}

    def clear(self, gradient: dict[str, Array]) -> None:
        """Set the gradient of the parameters of visible units to zero."""
        for name in self.visible():
            if name in gradient:
                gradient[name][:] = 0

    def add_to(
        self,
        gradient: dict[str, Array],
        v: Array,
        weight: Array,
        factor: float,
        rng: Stream,
        balanced: bool = False,
    ) -> None:
        """Add ``factor`` times the gradient of minus the mean log-likelihood of the rows.

        That of each machine, on samples of the layer below; for parameters that ``gradient``
        has. What it has for visible units is overwritten. ``balanced``: the step of the hidden
        biases will make up for that of the weights below them, so that their gradient does not.
        """
        sampler = PersistentContrastiveDivergence()
        x = self.machines[0].units[0].present(v.copy(), rng)
        for i, machine in enumerate(self.machines):
            data, settled = settle(machine, x, self.n_mean_field_steps)
            states, odd, self.chains[i], _ = sampler.phases(machine, data, self.chains[i], rng)
            if i + 1 < len(self.machines):
                means, fields = ([None, y[1][: len(x)].copy()] for y in (states, odd))
                x = machine.draw([1], means, fields, rng)[1]
            n_chains = self.chains[i].states[0].shape[0]
            share = np.full(len(weight) + n_chains, factor / n_chains, dtype=weight.dtype)
            share[: len(weight)] = weight / weight.sum() * -factor
            odd[::2] = settled[::2]
            ascent = machine.gradient(states, share, self.offsets[i], odd)
            machine.precondition(ascent, self.offsets[i])
            if f"a{i}" in gradient:
                gradient[f"a{i}"][:] = ascent.par[0]
            for layer, (W, par) in enumerate(
                zip(ascent.W, ascent.par[1:], strict=True), start=i
            ):
                if f"W{layer}" in gradient:
                    gradient[f"W{layer}"] += W
                    gradient[f"b{layer}"] += par[0]
                    if balanced:
                        gradient[f"b{layer}"] += self.offsets[i][layer - i] @ W
