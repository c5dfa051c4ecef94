"""Parallel tempering: persistent chains that swap states with chains at higher temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._array_api import Array, device, namespace, take, to_numpy
from .._random import Stream
from ..machine import Machine, States
from ..units import UnitMoments
from ._chains import Chains, Phases, copied, independent, stack
from ._persistent import PersistentContrastiveDivergence

# The means at beta = 0 follow the rows of the data at this rate.
_MEAN_RATE = 0.01


class TemperedChains(NamedTuple):
    """Chains of the model, and their companions at higher temperatures.

    ``states`` and ``fields`` are as in `Chains`. ``hotter`` holds the same for the companions,
    those of one temperature after those of another, and ``base_means`` the means of the units
    at the highest temperature, arrays of shape (n_l,).
    """

    states: States
    fields: States | None
    hotter: Chains
    base_means: States

    def copy(self) -> TemperedChains:
        return TemperedChains(
            copied(self.states),
            copied(self.fields),
            self.hotter.copy(),
            copied(self.base_means),
        )


class ParallelTempering(PersistentContrastiveDivergence):
    """PCD-k whose chains also move by swaps (Desjardins et al. 2010, AISTATS; Cho, Raiko,
    Ilin 2010, doi:10.1109/IJCNN.2010.5596837).

    Each chain of the model has ``n_temperatures - 1`` companions, at inverse temperatures
    beta from just below 1 down to 0. Their energies are those of a machine too::

        E_beta = (1 - beta) E_base + beta E,  so  field_beta = (1 - beta) c_l + beta field

    E_base is that of units without neighbours: its biases ``c_l`` give them the means of the
    data, and all else is as in the model. Any biases would be right. With these ones a state
    travels from end to end two to four times as often as with the units' own, which count on
    what arrives from the neighbours.

    After each sweep all pairs of neighbouring temperatures propose to swap their states, first
    those that begin at even places, then the others. With the odd layers summed out, more
    swaps are accepted than by the joint energy.

    Parameters
    ----------
    n_sweeps : int
        Gibbs sweeps, each followed by swaps, for each update of the parameters.
    n_temperatures : int
        Evenly spaced, both ends included.
    """

    apart = False

    def __init__(self, n_sweeps: int = 1, n_temperatures: int = 10):
        super().__init__(n_sweeps)
        self.n_temperatures = n_temperatures

    def init(self, machine: Machine, n_chains: int, rng: Stream) -> TemperedChains:
        return self._heat(machine, super().init(machine, n_chains, rng), rng)

    def step(
        self, machine: Machine, chains: Chains | TemperedChains, rng: Stream
    ) -> tuple[TemperedChains, dict]:
        _, chains, info = self._move(machine, None, chains, rng)
        return chains, info

    def phases(
        self, machine: Machine, data: States, chains: Chains | TemperedChains, rng: Stream
    ) -> Phases:
        """The means at beta = 0 follow the data; following the chains would bias these."""
        data, chains, info = self._move(machine, data, chains, rng)
        means = []
        for mean, x in zip(chains.base_means, data.states, strict=True):
            means.append(mean + _MEAN_RATE * (namespace(x).mean(x, axis=0) - mean))
        states = stack(data.states, chains.states)
        fields = stack(data.fields, chains.fields)
        return Phases(states, fields, chains._replace(base_means=means), info)

    def _move(
        self,
        machine: Machine,
        data: States | None,
        chains: Chains | TemperedChains,
        rng: Stream,
    ) -> tuple[Chains, TemperedChains, dict]:
        """Move the chains; the data shares their last product for the means."""
        chains = self._heat(machine, chains, rng)
        path = _Path(machine, chains.base_means)
        n_data, n_chains = 0, chains.states[0].shape[0]
        betas = np.linspace(1, 0, self.n_temperatures)
        by_row = np.repeat(betas, n_chains)
        states = _joined(chains.states, chains.hotter.states)
        if chains.fields is None:
            received = path.received(machine.odd, states)
            states, fields = path.conditionals(states, received, by_row)
        else:
            fields = _joined(chains.fields, chains.hotter.fields)
        n_accepted = 0
        for sweep in range(1, self.n_sweeps + 1):
            states = machine.draw(machine.odd, states, fields, rng)
            states = path.sample(states, by_row, rng)
            states = [x if layer % 2 == 0 else None for layer, x in enumerate(states)]
            if sweep == self.n_sweeps and data is not None:
                n_data = data[0].shape[0]
                states = _joined(data, states)
            received = path.received(machine.odd, states)
            order, n = _swap(path, _rows(states, n_data), _rows(received, n_data), betas, rng)
            n_accepted += n
            order = np.concatenate([np.arange(n_data), n_data + order])
            states, received = _taken(states, order), _taken(received, order)
            by_row_of_all = np.concatenate([np.ones(n_data), by_row])
            states, fields = path.conditionals(states, received, by_row_of_all)
        ends = (0, n_data), (n_data, n_data + n_chains), (n_data + n_chains, None)
        rows, cold, hotter = (Chains(_rows(states, *e), _rows(fields, *e)) for e in ends)
        n_proposed = self.n_sweeps * (self.n_temperatures - 1) * n_chains
        moved = TemperedChains(*cold, hotter, chains.base_means)
        return rows, moved, {"swap_rate": n_accepted / n_proposed}

    def _heat(
        self, machine: Machine, chains: Chains | TemperedChains, rng: Stream
    ) -> TemperedChains:
        """Give chains of the model their companions, where they come without."""
        n_hotter = (self.n_temperatures - 1) * chains.states[0].shape[0]
        tempered = isinstance(chains, TemperedChains)
        if tempered and chains.hotter.states[0].shape[0] == n_hotter:
            return chains
        if tempered:
            means = chains.base_means
        else:
            rows: States = [None] * len(machine.par)
            for layer in machine.odd:
                rows[layer] = machine.neutral(layer)
            # Before training these are the means of the data, and neutral ones.
            rows = machine.means(machine.odd, machine.means(machine.even, rows))
            means = [x[0, :] for x in rows]
        ends = zip(_Path(machine, means).base, machine.par, strict=True)
        base = [namespace(c).concat([c[None, :], par[1:, :]]) for c, par in ends]
        hotter = independent(machine, base, machine.even, n_hotter, rng)
        # Conditional means of some of the chains would be of no use.
        states = [x if layer % 2 == 0 else None for layer, x in enumerate(chains.states)]
        return TemperedChains(states, None, Chains(hotter), means)


class _Path:
    """From the model, at beta = 1, to units without neighbours, at beta = 0."""

    def __init__(self, machine: Machine, means: Sequence[Array]):
        self.machine = machine
        self.base = []
        for unit, par, mean in zip(machine.units, machine.par, means, strict=True):
            var = unit.variance(par[:1, :], par)[0, :]
            self.base.append(unit.independent(UnitMoments(mean, var))[0, :])
        self._bias = [par[0, :] - c for par, c in zip(machine.par, self.base, strict=True)]

    def received(self, layers: Sequence[int], states: States) -> States:
        """What scales with beta."""
        received: States = [None] * len(states)
        for layer in layers:
            received[layer] = self.machine.input(layer, states)
            received[layer] += self._bias[layer]
        return received

    def conditionals(
        self, states: States, received: States, beta: np.ndarray
    ) -> tuple[States, States]:
        """Fill in the conditional means of the odd layers; and their fields."""
        machine, filled, fields = self.machine, list(states), [None] * len(states)
        for layer in machine.odd:
            fields[layer] = self._field(layer, received, beta)
            filled[layer] = machine.units[layer].mean(fields[layer], machine.par[layer])
        return filled, fields

    def sample(self, states: States, beta: np.ndarray, rng: Stream) -> States:
        """Draw the even layers."""
        machine, drawn = self.machine, list(states)
        received = self.received(machine.even, states)
        for layer in machine.even:
            field = self._field(layer, received, beta)
            drawn[layer] = machine.units[layer].sample(field, machine.par[layer], rng)
        return drawn

    def log_weight(self, states: States, received: States, beta: np.ndarray) -> np.ndarray:
        """-F_beta of each row, the odd layers summed out, up to what no beta changes."""
        machine, weight = self.machine, np.zeros(len(beta))
        for layer in machine.even:
            weight += beta * to_numpy(states[layer] @ self._bias[layer])
        for layer in machine.odd:
            field = self._field(layer, received, beta)
            weight += to_numpy(machine.units[layer].log_partition(field, machine.par[layer]))
        return weight

    def _field(self, layer: int, received: States, beta: np.ndarray) -> Array:
        x = received[layer]
        column = namespace(x).asarray(beta[:, None], dtype=x.dtype, device=device(x))
        field = x * column
        field += self.base[layer]
        return field


def _swap(
    path: _Path, states: States, received: States, betas: np.ndarray, rng: Stream
) -> tuple[np.ndarray, int]:
    """Which row goes to the place of each, and how many swaps that takes.

    A place is a temperature (row of ``order``) of a chain (column).
    """
    n_accepted, n_temperatures = 0, len(betas)
    order = np.arange(states[0].shape[0]).reshape(n_temperatures, -1)

    def log_weight(betas: np.ndarray) -> np.ndarray:
        """Of the row in each place, at the inverse temperatures ``betas`` of the places."""
        beta = np.empty(order.size)
        beta[order] = betas[:, None]
        return path.log_weight(states, received, beta)[order]

    here = log_weight(betas)
    for first in range(min(2, n_temperatures - 1)):
        cold = np.arange(first, n_temperatures - 1, 2)
        partner = np.arange(n_temperatures)
        partner[cold], partner[cold + 1] = cold + 1, cold
        there = log_weight(betas[partner])
        gain = (there - here)[cold] + (there - here)[cold + 1]
        # 1 - u has the distribution of u, and is never 0.
        u = rng.uniform(gain.size).reshape(gain.shape)
        accepted = np.zeros(order.shape, dtype=bool)
        accepted[cold] = accepted[cold + 1] = np.log1p(-u) < gain
        n_accepted += int(accepted[cold].sum())
        order = np.where(accepted, order[partner], order)
        here = np.where(accepted, there[partner], here)
    return order.reshape(-1), n_accepted


def _joined(first: States, second: States) -> States:
    """Rows of ``first``, then of ``second``, in the layers that both have."""
    pairs = zip(first, second, strict=True)
    return [None if x is None or y is None else namespace(x).concat([x, y]) for x, y in pairs]


def _rows(states: States, start: int, stop: int | None = None) -> States:
    return [None if x is None else x[start:stop, :] for x in states]


def _taken(states: States, order: np.ndarray) -> States:
    return [None if x is None else take(x, order) for x in states]
