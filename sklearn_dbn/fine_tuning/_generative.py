"""The generative term: the log-likelihood of machines that share weights with a network."""

from __future__ import annotations

from dataclasses import dataclass

from .._array_api import Array, copied, device, namespace
from .._random import Stream
from ..machine import Machine, mean_field_sweeps, times
from ..samplers import Chains, PersistentContrastiveDivergence
from ._network import by_name


@dataclass
class GenerativeTerm:
    """The gradient of the log-likelihood of machines that share weights with a network.

    Attributes
    ----------
    machines : list of Machine
        The lowest first; their weights and hidden parameters are the arrays of the network.
    chains : list of Chains
        Of each machine.
    offsets : list of lists of arrays
        The centring offsets of each machine.
    n_mean_field_steps : int
    """

    machines: list[Machine]
    chains: list[Chains]
    offsets: list[list[Array]]
    n_mean_field_steps: int = 5

    def visible(self) -> dict[str, Array]:
        """The parameters of visible units, which the network does not have."""
        return {f"a{i}": machine.par[0] for i, machine in enumerate(self.machines)}

    def clear(self, gradient: dict[str, Array]) -> None:
        """Set the gradient of the parameters of visible units to zero."""
        for name in self.visible().keys() & gradient:
            gradient[name][...] = 0

    def add_to(
        self,
        gradient: dict[str, Array],
        v: Array,
        weight: Array,
        factor: float,
        rng: Stream,
        centered: bool = False,
    ) -> None:
        """Add ``factor`` times the gradient of minus the mean log-likelihood of the rows.

        Of each machine, on draws of the layer below, and for the parameters in ``gradient``.
        Zero if no row has a weight. That of the visible units is overwritten. ``centered``: the
        gradient of the hidden biases is without the correction for the weights below, which the
        network makes after the update (`Network.correct_biases`).
        """
        sampler, xp, n_rows = PersistentContrastiveDivergence(), namespace(v), v.shape[0]
        weight_sum = xp.sum(weight, keepdims=True)
        # A branch on its value would read it from the device, and wait for that.
        some = weight_sum > 0
        weight_sum = xp.where(some, weight_sum, xp.ones_like(weight_sum))
        x = self.machines[0].units[0].present(copied(v), rng)
        for i, machine in enumerate(self.machines):
            data, even_fields = mean_field_sweeps(machine, x, self.n_mean_field_steps)
            states, odd, self.chains[i], _ = sampler.phases(machine, data, self.chains[i], rng)
            if i + 1 < len(self.machines):
                means, fields = ([None, copied(y[1][:n_rows, :])] for y in (states, odd))
                x = machine.draw([1], means, fields, rng)[1]
            n_chains = self.chains[i].states[0].shape[0]
            share = xp.full(
                (n_rows + n_chains,), factor / n_chains, dtype=weight.dtype, device=device(v)
            )
            share *= xp.astype(some, weight.dtype)
            share[:n_rows] = weight / weight_sum * -factor
            odd[::2] = even_fields[::2]
            ascent = machine.gradient(states, share, self.offsets[i], odd)
            machine.precondition(ascent, self.offsets[i])
            if f"a{i}" in gradient:
                gradient[f"a{i}"][...] = ascent.par[0]
            for layer, (W, par) in enumerate(
                zip(ascent.W, ascent.par[1:], strict=True), start=i
            ):
                if f"b{layer}" in gradient:
                    for name, part in by_name(f"W{layer}", W).items():
                        gradient[name] += part
                    gradient[f"b{layer}"] += par[0, :]
                    if centered:
                        gradient[f"b{layer}"] += times(self.offsets[i][layer - i], W)
