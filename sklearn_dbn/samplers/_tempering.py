"""Parallel tempering: persistent chains that swap states with chains nearer to the base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .._array_api import Array, copied, device, namespace, take, to_numpy
from .._random import Stream
from ..machine import Machine, States
from ..units import UnitMoments
from ._chains import Chains, Phases, independent, mapped, stack
from ._persistent import PersistentContrastiveDivergence

# Rate of the moving average of the means of the data, which the base has.
_MEAN_RATE = 0.01


class TemperedChains(NamedTuple):
    """Chains of the machine, and chains at temperatures nearer to the base.

    ``states`` and ``fields`` are as in `Chains`. ``hotter`` holds the chains at the other
    temperatures, one temperature after the other, and ``base_means`` the means of the units at
    beta = 0, arrays of shape (n_l,).
    """

    states: States
    fields: States | None
    hotter: Chains
    base_means: States

    def copy(self) -> TemperedChains:
        return self.map(copied)

    def map(self, function: Callable[[Array], Array]) -> TemperedChains:
        """Chains whose arrays are ``function`` of these."""
        return TemperedChains(
            mapped(function, self.states),
            mapped(function, self.fields),
            self.hotter.map(function),
            mapped(function, self.base_means),
        )


class ParallelTempering(PersistentContrastiveDivergence):
    """PCD-k whose chains also move by swaps (Desjardins et al. 2010, AISTATS; Cho, Raiko,
    Ilin 2010, doi:10.1109/IJCNN.2010.5596837).

    To each chain of the machine there are ``n_temperatures - 1`` hotter ones, at inverse
    temperatures beta from just below 1 down to 0. Their energies are those of a machine::

        E_beta = (1 - beta) E_base + beta E,  so  field_beta = (1 - beta) c_l + beta field

    E_base is that of units without neighbours: with its biases ``c_l`` they have the means of
    the data; their other parameters are those of the machine. The swaps are exact with any
    biases. With these a state moves from end to end two to four times as often as with those of
    the machine, which compensate for the weighted states of the neighbours.

    After each sweep swaps are proposed for all pairs of neighbouring temperatures, first for
    the pairs that begin at even positions, then for the others. With the odd layers summed out,
    more swaps are accepted than by the joint energy.

    Parameters
    ----------
    n_sweeps : int
        Gibbs sweeps, each followed by swaps, for each update of the parameters.
    n_temperatures : int
        Evenly spaced, both ends included.
    """

    independent_of_rows = False

    def __init__(self, n_sweeps: int = 1, n_temperatures: int = 10):
        super().__init__(n_sweeps)
        self.n_temperatures = n_temperatures

    def init(self, machine: Machine, n_chains: int, rng: Stream) -> TemperedChains:
        return self._with_hotter_chains(machine, super().init(machine, n_chains, rng), rng)

    def step(
        self, machine: Machine, chains: Chains | TemperedChains, rng: Stream
    ) -> tuple[TemperedChains, dict]:
        _, chains, info = self._move(machine, None, chains, rng)
        return chains, info

    def phases(
        self, machine: Machine, data: States, chains: Chains | TemperedChains, rng: Stream
    ) -> Phases:
        """Move the chains and the base means, which must depend on the data alone.

        If they depended on the chains, these would be biased.
        """
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
        """Move the chains; the last product for their means is that for the data too."""
        chains = self._with_hotter_chains(machine, chains, rng)
        path = _Path(machine, chains.base_means)
        n_data, n_chains = 0, chains.states[0].shape[0]
        betas = np.linspace(1, 0, self.n_temperatures)
        by_row = np.repeat(betas, n_chains)
        states = _joined(chains.states, chains.hotter.states)
        if chains.fields is None:
            slopes = path.slopes(machine.odd, states)
            states, fields = path.conditionals(states, slopes, by_row)
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
            slopes = path.slopes(machine.odd, states)
            order, n = _swap(path, _rows(states, n_data), _rows(slopes, n_data), betas, rng)
            n_accepted += n
            order = np.concatenate([np.arange(n_data), n_data + order])
            states, slopes = _rows_in_order(states, order), _rows_in_order(slopes, order)
            by_row_of_all = np.concatenate([np.ones(n_data), by_row])
            states, fields = path.conditionals(states, slopes, by_row_of_all)
        ends = (0, n_data), (n_data, n_data + n_chains), (n_data + n_chains, None)
        rows, cold, hotter = (Chains(_rows(states, *e), _rows(fields, *e)) for e in ends)
        n_proposed = self.n_sweeps * (self.n_temperatures - 1) * n_chains
        moved = TemperedChains(*cold, hotter, chains.base_means)
        return rows, moved, {"swap_rate": n_accepted / n_proposed}

    def _with_hotter_chains(
        self, machine: Machine, chains: Chains | TemperedChains, rng: Stream
    ) -> TemperedChains:
        """``chains`` with hotter ones, which are drawn unless they are there already."""
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
            # Before training these are the means of the data, and neutral hidden means.
            rows = machine.means(machine.odd, machine.means(machine.even, rows))
            means = [x[0, :] for x in rows]
        ends = zip(_Path(machine, means).base, machine.par, strict=True)
        base = [namespace(c).concat([c[None, :], par[1:, :]]) for c, par in ends]
        hotter = independent(machine, base, machine.even, n_hotter, rng)
        # The means of the new chains are missing, and those of all are computed together.
        states = [x if layer % 2 == 0 else None for layer, x in enumerate(chains.states)]
        return TemperedChains(states, None, Chains(hotter), means)


class _Path:
    """The distributions from the machine, at beta = 1, to the base, at beta = 0."""

    def __init__(self, machine: Machine, means: Sequence[Array]):
        self.machine = machine
        self.base = []
        for unit, par, mean in zip(machine.units, machine.par, means, strict=True):
            var = unit.variance(par[:1, :], par)[0, :]
            self.base.append(unit.independent(UnitMoments(mean, var))[0, :])
        self._bias = [par[0, :] - c for par, c in zip(machine.par, self.base, strict=True)]

    def slopes(self, layers: Sequence[int], states: States) -> States:
        """Derivatives by beta of the fields of ``layers``: field = base + beta slope."""
        slopes: States = [None] * len(states)
        for layer in layers:
            slopes[layer] = self.machine.input(layer, states)
            slopes[layer] += self._bias[layer]
        return slopes

    def conditionals(
        self, states: States, slopes: States, beta: np.ndarray
    ) -> tuple[States, States]:
        """States with the conditional means of the odd layers, and the fields of these."""
        machine, filled, fields = self.machine, list(states), [None] * len(states)
        for layer in machine.odd:
            fields[layer] = self._field(layer, slopes, beta)
            filled[layer] = machine.units[layer].mean(fields[layer], machine.par[layer])
        return filled, fields

    def sample(self, states: States, beta: np.ndarray, rng: Stream) -> States:
        """Draw the even layers."""
        machine, drawn = self.machine, list(states)
        slopes = self.slopes(machine.even, states)
        for layer in machine.even:
            field = self._field(layer, slopes, beta)
            drawn[layer] = machine.units[layer].sample(field, machine.par[layer], rng)
        return drawn

    def log_weight(self, states: States, slopes: States, beta: np.ndarray) -> np.ndarray:
        """-F_beta of each row, the odd layers summed out, up to terms without beta."""
        machine, weight = self.machine, np.zeros(len(beta))
        for layer in machine.even:
            weight += beta * to_numpy(states[layer] @ self._bias[layer])
        for layer in machine.odd:
            field = self._field(layer, slopes, beta)
            weight += to_numpy(machine.units[layer].log_partition(field, machine.par[layer]))
        return weight

    def _field(self, layer: int, slopes: States, beta: np.ndarray) -> Array:
        x = slopes[layer]
        column = namespace(x).asarray(beta[:, None], dtype=x.dtype, device=device(x))
        field = x * column
        field += self.base[layer]
        return field


def _swap(
    path: _Path, states: States, slopes: States, betas: np.ndarray, rng: Stream
) -> tuple[np.ndarray, int]:
    """The number of the row that moves to each place, and the number of accepted swaps.

    A place is a temperature (row of ``order``) of a chain (column).
    """
    n_accepted, n_temperatures = 0, len(betas)
    order = np.arange(states[0].shape[0]).reshape(n_temperatures, -1)

    def log_weight(betas: np.ndarray) -> np.ndarray:
        """Log weight of the row in each place, if the places have ``betas``."""
        beta = np.empty(order.size)
        beta[order] = betas[:, None]
        return path.log_weight(states, slopes, beta)[order]

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


def _rows_in_order(states: States, order: np.ndarray) -> States:
    return [None if x is None else take(x, order) for x in states]
