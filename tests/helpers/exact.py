"""Small machines by brute force, from the definition of the energy and from nothing else.

All layers of a machine, side by side in one vector x, have the energy::

    E(x) = x A x' / 2 - theta x'

with the biases in theta, minus the weights off the diagonal of A, and on its diagonal
exp(zeta) for Gaussian units and 0 for Bernoulli ones; a layer may have both. Bernoulli units
are summed over, one state after the other; the Gaussian units that remain have a normal
density, whose integral is known. This uses the parameters of a machine and none of its
functions.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import logsumexp

from sklearn_dbn.machine import Machine
from sklearn_dbn.units import UNITS, Blocks

# (unit types, sizes): one machine of each kind that can be enumerated.
PAIRS = [
    (("bernoulli", "bernoulli"), (4, 3)),
    (("bernoulli", "gaussian"), (4, 3)),
    (("gaussian", "bernoulli"), (2, 3)),
    (("gaussian", "gaussian"), (2, 3)),
]
DEEP = (("bernoulli", "bernoulli", "bernoulli"), (4, 3, 2))
# Two and three hidden layers of each kind. Real-valued even layers are integrated on a grid,
# so there are few units in them.
MORE_DEEP = [
    (("bernoulli", "gaussian", "gaussian"), (4, 2, 1)),
    (("gaussian", "bernoulli", "bernoulli"), (2, 3, 2)),
    (("gaussian", "gaussian", "gaussian"), (2, 2, 1)),
    (("bernoulli",) * 4, (4, 3, 2, 2)),
    (("bernoulli", "gaussian", "gaussian", "gaussian"), (4, 2, 1, 2)),
    (("gaussian", "bernoulli", "bernoulli", "bernoulli"), (2, 3, 2, 2)),
    (("gaussian",) * 4, (2, 2, 1, 2)),
]
KINDS = {"-".join(names): (names, sizes) for names, sizes in [*PAIRS, DEEP]}
DEEP_KINDS = {"-".join(names): (names, sizes) for names, sizes in [DEEP, *MORE_DEEP]}

# Layers of both types: Bernoulli units first, then as many Gaussian ones or one less.
BOTH = "bernoulli+gaussian"
MIXED = [
    ((BOTH, "bernoulli"), (4, 3)),
    ((BOTH, "gaussian"), (4, 2)),
    (("bernoulli", BOTH), (4, 3)),
    (("gaussian", BOTH), (2, 3)),
    ((BOTH, BOTH), (4, 3)),
    ((BOTH, "bernoulli", "bernoulli"), (3, 3, 2)),
    ((BOTH, "gaussian", BOTH), (3, 2, 2)),
    (("bernoulli", "bernoulli", BOTH), (3, 2, 3)),
]
MIXED_KINDS = {"-".join(names): (names, sizes) for names, sizes in MIXED}

# Grid of a Gaussian unit of an even layer. The trapezoid rule on a smooth density that has died
# away at both ends is exact to rounding.
_STEP = 0.4
_GRID = np.arange(-12.0, 12.0 + _STEP, _STEP)


def make_machine(names, sizes, *, scale=0.6, seed=0, dtype=np.float64):
    """A machine with random parameters; conditional variances are about 0.5."""
    rng = np.random.default_rng(seed)
    par = []
    units = tuple(map(_unit, names, sizes))
    for unit, n in zip(units, sizes, strict=True):
        rows = [0.5 * rng.standard_normal(n)]
        if np.any(is_gaussian(unit, n)):
            rows.append(rng.uniform(0.4, 1.0, n) * is_gaussian(unit, n))
        par.append(np.stack(rows).astype(dtype))
    # In a row of real-valued layers the couplings add up.
    scale *= 0.5 if (("gaussian",) * 3) == tuple(names[-3:]) else 1.0
    W = [
        (scale * rng.standard_normal(shape)).astype(dtype)
        for shape in itertools.pairwise(sizes)
    ]
    return Machine(units, par, W)


def _unit(name, n):
    if name != BOTH:
        return UNITS[name]
    return Blocks([UNITS["bernoulli"], UNITS["gaussian"]], np.split(np.arange(n), [n - n // 2]))


def is_gaussian(unit, n):
    """Which columns of a layer."""
    if unit.name == BOTH:
        return np.arange(n) >= n - n // 2
    return np.full(n, unit.name == "gaussian")


def bits(n):
    """Every state of ``n`` Bernoulli units, shape (2**n, n)."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n))).reshape(2**n, n)


class Form:
    """A and theta of a machine, and which entries of x belong to which layer."""

    def __init__(self, machine):
        sizes = [par.shape[1] for par in machine.par]
        ends = np.cumsum([0, *sizes])
        self.layers = [np.arange(*pair) for pair in itertools.pairwise(ends)]
        self.n = int(ends[-1])
        self.theta = np.concatenate([np.asarray(par[0], dtype=float) for par in machine.par])
        self.A = np.zeros((self.n, self.n))
        self.gaussian = np.zeros(self.n, dtype=bool)
        for layer, unit, par in zip(self.layers, machine.units, machine.par, strict=True):
            self.gaussian[layer] = real = is_gaussian(unit, len(layer))
            if real.any():
                self.A[layer, layer] = real * np.exp(np.asarray(par[1], dtype=float))
        for (below, above), W in zip(itertools.pairwise(self.layers), machine.W, strict=True):
            self.A[np.ix_(below, above)] = -W
            self.A[np.ix_(above, below)] = -W.T

    def energy(self, x):
        return 0.5 * np.sum((x @ self.A) * x, axis=1) - x @ self.theta

    def integrate(self, x, free):
        """Integrate exp(-E) over the Gaussian units ``free``; log of it, mean, covariance."""
        x = np.array(x)
        x[:, free] = 0.0
        precision = self.A[np.ix_(free, free)]
        assert np.all(np.linalg.eigvalsh(precision) > 0), "there is no such distribution"
        covariance = np.linalg.inv(precision)
        field = self.theta[free] - x @ self.A[:, free]
        mean = field @ covariance
        log_integral = 0.5 * (
            np.sum(field * mean, axis=1)
            + len(free) * np.log(2 * np.pi)
            - np.linalg.slogdet(precision)[1]
        )
        return log_integral - self.energy(x), mean, covariance


def energy(machine, states):
    """E(x_0, .., x_L) of each row."""
    return Form(machine).energy(np.concatenate(states, axis=1))


def _sum_out(machine, given):
    """log of exp(-E) summed over all but ``given``, one column for each Bernoulli state."""
    form = Form(machine)
    is_known = np.zeros(form.n, dtype=bool)
    x = np.zeros((len(next(iter(given.values()), [0])), form.n))
    for layer, states in given.items():
        x[:, form.layers[layer]] = states
        is_known[form.layers[layer]] = True
    summed = np.flatnonzero(~is_known & ~form.gaussian)
    free = np.flatnonzero(~is_known & form.gaussian)
    table = bits(len(summed))
    n_rows, x = len(x), np.repeat(x, len(table), axis=0)
    x[:, summed] = np.tile(table, (n_rows, 1))
    log, x[:, free], covariance = form.integrate(x, free)
    return log.reshape(n_rows, -1), x, free, covariance


def log_weight(machine, given):
    """log of exp(-E) summed and integrated over all layers but those in ``given``.

    ``given`` maps the number of a layer to its states, one row for each result.
    """
    return logsumexp(_sum_out(machine, given)[0], axis=1)


def log_Z(machine):
    return float(log_weight(machine, {})[0])


def log_p(machine, v):
    """log p(v) of each row, a density where the visible units are Gaussian."""
    return log_weight(machine, {0: v}) - log_Z(machine)


def log_p_of_known(machine, v):
    """log p of the entries of each row that are not NaN, all other units summed out."""
    form, found = Form(machine), []
    for row in v:
        known = np.zeros(form.n, dtype=bool)
        known[form.layers[0]] = ~np.isnan(row)
        summed = np.flatnonzero(~known & ~form.gaussian)
        table = bits(len(summed))
        x = np.zeros((len(table), form.n))
        x[:, known], x[:, summed] = row[~np.isnan(row)], table
        log, _, _ = form.integrate(x, np.flatnonzero(~known & form.gaussian))
        found.append(logsumexp(log))
    return np.array(found) - log_Z(machine)


def distribution(machine, layers):
    """All joint states of the Bernoulli ``layers``, side by side, and their probabilities."""
    ends = np.cumsum([machine.par[layer].shape[1] for layer in layers])
    table = bits(ends[-1])
    given = dict(zip(layers, np.split(table, ends[:-1], axis=1), strict=True))
    return table, np.exp(log_weight(machine, given) - log_Z(machine))


def sample(machine, n, rng):
    """``n`` independent draws of all layers, without a Markov chain."""
    log, x, free, covariance = _sum_out(machine, {})
    p = np.exp(log[0] - logsumexp(log))
    x = x[rng.choice(len(p), size=n, p=p / p.sum())]
    x[:, free] += rng.standard_normal((n, len(free))) @ np.linalg.cholesky(covariance).T
    return [x[:, layer] for layer in Form(machine).layers]


def moments(machine, layers):
    """Mean and covariance of the Gaussian units of ``layers``, side by side."""
    log, x, free, covariance = _sum_out(machine, {})
    units = np.concatenate([Form(machine).layers[layer] for layer in layers])
    p = np.exp(log[0] - logsumexp(log))
    mean = p @ x[:, units]
    between = (p * (x[:, units] - mean).T) @ (x[:, units] - mean)
    within = covariance[np.ix_(np.isin(free, units), np.isin(free, units))]
    return mean, within + between


def _table(unit, n):
    """Every state of a layer, on a grid if it is Gaussian, and the measure of each."""
    n_real = int(is_gaussian(unit, n).sum())
    grid = np.array(list(itertools.product(_GRID, repeat=n_real)))
    table = bits(n - n_real)
    states = np.repeat(table, len(grid), axis=0), np.tile(grid, (len(table), 1))
    return np.concatenate(states, axis=1), _STEP**n_real


def _even_rows(machine, v):
    """Each row of ``v`` beside each state of the even layers above."""
    states, log_measure = [v, *[None] * len(machine.W)], 0.0
    for layer in machine.even[1:]:
        table, cell = _table(machine.units[layer], machine.par[layer].shape[1])
        n_rows = len(states[0])
        states = [None if x is None else np.repeat(x, len(table), axis=0) for x in states]
        states[layer] = np.tile(table, (n_rows, 1))
        log_measure += np.log(cell)
    given = {layer: states[layer] for layer in machine.even}
    return states, log_measure + log_weight(machine, given).reshape(len(v), -1)


def data_rows(machine, v):
    """States of the even layers, with weights that average over ``v`` and p(above | v)."""
    states, log = _even_rows(machine, v)
    return states, np.exp(log - logsumexp(log, axis=1, keepdims=True)).ravel() / len(v)


def model_rows(machine):
    """States of the even layers, with weights that give expectations under the model."""
    v, cell = _table(machine.units[0], machine.par[0].shape[1])
    states, log = _even_rows(machine, v)
    return states, cell * np.exp(log - log_Z(machine)).ravel()


def gradient(machine, states, weight, offsets):
    """`Machine.gradient` of states that stay as they are, without spare rows."""
    return machine.gradient(with_spare_rows(states), weight, offsets)


def with_spare_rows(states, n_spare=3):
    return [np.concatenate([x, np.zeros_like(x, shape=(n_spare, x.shape[1]))]) for x in states]
