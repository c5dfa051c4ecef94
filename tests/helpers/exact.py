"""Small machines by brute force, from the definition of the energy and from nothing else.

All layers of a machine, side by side in one vector x, have the energy::

    E(x) = x A x' / 2 - theta x' - sum_i b_i(x_i)

with the biases in theta, minus the weights off the diagonal of A, and on its diagonal
exp(zeta) for Gaussian columns and 0 for others; b_i is the log base measure of types that have
one. Variables with finitely many states are summed over, one joint state after the other; the
Gaussian columns that remain have a normal density, whose integral is known. This uses the
parameters of a machine and the states that its unit types list, and none of its functions.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.linalg import block_diag
from scipy.special import comb, logsumexp, softmax

from helpers.unit_types import SHARES, all_states, blank
from sklearn_dbn.machine import Machine, PathwayWeights
from sklearn_dbn.units import UNITS, Blocks, Variable

# (unit types, sizes): one machine of each kind that can be enumerated. Sizes are numbers of
# columns of data, of which some types make several columns of states.
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

# Types with other states than 0 and 1.
FINITE = [
    *((("spin", hidden), (3, n)) for hidden, n in (("bernoulli", 3), ("gaussian", 2))),
    (("spin", "spin"), (3, 3)),
    *(
        ((visible, hidden), (2, n))
        for visible in ("categorical", "ordinal", "count", "binomial")
        for hidden, n in (("bernoulli", 3), ("gaussian", 2), ("spin", 3))
    ),
    (("bernoulli", "categorical"), (3, 2)),
    (("bernoulli", "ordinal"), (3, 2)),
    (("categorical", "ordinal", "spin"), (2, 1, 2)),
]
FINITE_KINDS = {"-".join(names): (names, sizes) for names, sizes in FINITE}

# Layers of several types: an equal number of columns of each, or one more of the first ones.
BOTH, FOUR = "bernoulli+gaussian", "categorical+ordinal+bernoulli+gaussian"
MIXED = [
    ((BOTH, "bernoulli"), (4, 3)),
    ((BOTH, "gaussian"), (4, 2)),
    (("bernoulli", BOTH), (4, 3)),
    (("gaussian", BOTH), (2, 3)),
    ((BOTH, BOTH), (4, 3)),
    ((BOTH, "bernoulli", "bernoulli"), (3, 3, 2)),
    ((BOTH, "gaussian", BOTH), (3, 2, 2)),
    (("bernoulli", "bernoulli", BOTH), (3, 2, 3)),
    ((FOUR, "bernoulli"), (5, 3)),
    ((FOUR, "bernoulli", "bernoulli"), (5, 2, 2)),
]
MIXED_KINDS = {"-".join(names): (names, sizes) for names, sizes in MIXED}

# Separate pathways, below a joint layer and without one.
PATHWAYS = [
    (("bernoulli|gaussian", "bernoulli"), ((3, 2), (2, 2))),
    (("bernoulli|gaussian", "bernoulli", "bernoulli"), ((3, 1), (2, 1), 2)),
    (("bernoulli|categorical", "bernoulli", "bernoulli"), ((2, 1), (2, 1), 2)),
    (("categorical+gaussian|spin", "bernoulli", "spin"), ((2, 2), (1, 2), 2)),
    (("ordinal|bernoulli", "spin", "bernoulli", "bernoulli"), ((1, 2), (1, 2), (1, 1), 2)),
]
PATHWAY_KINDS = {"-".join(names): (names, sizes) for names, sizes in PATHWAYS}

# Grid of a Gaussian unit of an even layer. The trapezoid rule on a smooth density that has died
# away at both ends is exact to rounding.
_STEP = 0.4
_GRID = np.arange(-12.0, 12.0 + _STEP, _STEP)


def make_machine(names, sizes, *, scale=0.6, seed=0, dtype=np.float64):
    """A machine with random parameters; conditional variances are about 0.5.

    The size of a layer of several pathways is a tuple; in its name "|" separates their types.
    """
    rng = np.random.default_rng(seed)
    units = tuple(map(make_unit, names, sizes))
    of_pathways = [
        [int(part_of(unit, k).widths(n).sum()) for k, n in enumerate(np.atleast_1d(size))]
        for unit, size in zip(units, sizes, strict=True)
    ]
    widths = list(map(sum, of_pathways))
    par = []
    for unit, n in zip(units, widths, strict=True):
        x = 0 * unit.initial(np.zeros(n))
        x[0] = 0.5 * rng.standard_normal(n)
        if np.any(is_gaussian(unit, n)):
            x[1] = rng.uniform(0.4, 1.0, n) * is_gaussian(unit, n)
        for block, at in blocks_of(unit, n):
            if _is_learnt(block):
                base = x[1 : 1 + len(block.scores), at]
                base += 0.5 * rng.standard_normal(base.shape)
        par.append(x.astype(dtype))
    # In a row of real-valued layers the couplings add up.
    scale *= 0.5 if (("gaussian",) * 3) == tuple(names[-3:]) else 1.0
    W = [
        (scale * rng.standard_normal(shape)).astype(dtype)
        for shape in itertools.pairwise(widths)
    ]
    for layer, (below, above) in enumerate(itertools.pairwise(of_pathways)):
        if len(below) == len(above) > 1:
            rows = np.split(W[layer], np.cumsum(below)[:-1])
            split = [np.split(x, np.cumsum(above)[:-1], axis=1) for x in rows]
            W[layer] = PathwayWeights([split[k][k] for k in range(len(below))])
    return Machine(units, par, W)


def matrix(W):
    """Weights as one matrix, with zeros between separate pathways."""
    return block_diag(*W.parts) if isinstance(W, PathwayWeights) else W


def part_of(unit, k):
    """The type of pathway k of a layer."""
    return unit.blocks[k][0] if isinstance(unit, Blocks) and "|" in unit.name else unit


def make_unit(name, n):
    """The type of a layer of ``n`` columns of data; several types are joined by "+"."""
    if not np.isscalar(n):
        if "|" not in name:
            return make_unit(name, sum(n))
        units = list(map(make_unit, name.split("|"), n))
        unit = Blocks(units, np.split(np.arange(sum(n)), np.cumsum(n)[:-1]))
        unit.name = "|".join(x.name for x in units)
        return unit
    names = name.split("+")
    if len(names) == 1:
        return UNITS[name].fitted([SHARES[i % len(SHARES)] for i in range(n)])
    columns = np.array_split(np.arange(n), len(names))
    return Blocks([make_unit(*x) for x in zip(names, map(len, columns), strict=True)], columns)


def blocks_of(unit, n):
    """The types of a layer, and the columns of each."""
    if not isinstance(unit, Blocks):
        return [(unit, slice(0, n))]
    return [
        (inner, slice(at.start + x.start, at.start + x.stop))
        for block, at in unit.blocks
        for inner, x in blocks_of(block, at.stop - at.start)
    ]


def _is_learnt(unit):
    """Whether a type has a base measure among its parameters."""
    return unit.name in ("ordinal", "count")


def is_gaussian(unit, n):
    """Which columns of a layer."""
    return np.concatenate(
        [np.full(at.stop - at.start, x.name == "gaussian") for x, at in blocks_of(unit, n)]
    )


def bits(n):
    """Every state of ``n`` Bernoulli units, shape (2**n, n)."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n))).reshape(2**n, n)


def n_columns(machine):
    """The number of columns of data of the visible layer."""
    unit, n = machine.units[0], machine.par[0].shape[1]
    return len(unit.states(n)) + int(is_gaussian(unit, n).sum())


def with_gaps(machine, v, share=0.4, seed=0):
    """Visible rows of which some columns of data are missing, with all their states."""
    missing = np.random.default_rng(seed).random((len(v), n_columns(machine))) < share
    return np.where(blank(machine.units[0], missing), np.nan, v)


class Form:
    """A, theta and b of a machine, its variables, and which entries of x are in which layer."""

    def __init__(self, machine):
        sizes = [par.shape[1] for par in machine.par]
        ends = np.cumsum([0, *sizes])
        self.layers = [np.arange(*pair) for pair in itertools.pairwise(ends)]
        self.n = int(ends[-1])
        self.theta = np.concatenate([np.asarray(par[0], dtype=float) for par in machine.par])
        self.A = np.zeros((self.n, self.n))
        self.gaussian = np.zeros(self.n, dtype=bool)
        self.variables, self.base = [], []
        for layer, unit, par in zip(self.layers, machine.units, machine.par, strict=True):
            self.gaussian[layer] = real = is_gaussian(unit, len(layer))
            if real.any():
                self.A[layer, layer] = real * np.exp(np.asarray(par[1], dtype=float))
            for block, at in blocks_of(unit, len(layer)):
                columns = layer[at]
                for x in block.states(len(columns)):
                    self.variables.append(Variable(columns[x.columns], x.values))
                    base = _log_base(block, par[1:, at], x)
                    if base is not None:
                        self.base.append((columns[x.columns[0]], x.values[:, 0], base))
        for (below, above), W in zip(itertools.pairwise(self.layers), machine.W, strict=True):
            self.A[np.ix_(below, above)] = -matrix(W)
            self.A[np.ix_(above, below)] = -matrix(W).T

    def energy(self, x):
        """Of states; the log base measure of what is between two states is between theirs."""
        log_base = sum(np.interp(x[:, i], states, b) for i, states, b in self.base)
        return 0.5 * np.sum((x @ self.A) * x, axis=1) - x @ self.theta - log_base

    def summed(self, known):
        """The variables of which no column is known."""
        return [x for x in self.variables if not known[x.columns].any()]

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


def _log_base(unit, par, variable):
    """Log of the base measure of each state, or ``None`` if all have the same."""
    n = len(variable.values)
    if unit.name == "binomial":
        return np.log(comb(n - 1, np.arange(n)))
    return np.asarray(par[:n, variable.columns[0]], dtype=float) if _is_learnt(unit) else None


def energy(machine, states):
    """E(x_0, .., x_L) of each row."""
    return Form(machine).energy(np.concatenate(states, axis=1))


def conditional_mean(machine, layer, states):
    """The mean of a layer given the states of all others, column by column."""
    form, x = Form(machine), np.concatenate(states, axis=1)
    here, mean = np.isin(np.arange(form.n), form.layers[layer]), np.full(x.shape, np.nan)
    for columns, values in form.variables:
        log = np.empty((len(x), len(values)))
        for k, value in enumerate(values):
            x_k = x.copy()
            x_k[:, columns] = value
            log[:, k] = -form.energy(x_k)
        mean[:, columns] = softmax(log, axis=1) @ values
    for column in np.flatnonzero(form.gaussian):
        mean[:, [column]] = form.integrate(x, [column])[1]
    return mean[:, here]


def _sum_out(machine, given):
    """log of exp(-E) summed over all but ``given``, one column for each state of the others."""
    form = Form(machine)
    is_known = np.zeros(form.n, dtype=bool)
    x = np.zeros((len(next(iter(given.values()), [0])), form.n))
    for layer, states in given.items():
        x[:, form.layers[layer]] = states
        is_known[form.layers[layer]] = True
    summed = form.summed(is_known)
    free = np.flatnonzero(~is_known & form.gaussian)
    table = all_states(summed, form.n)
    n_rows, x = len(x), np.repeat(x, len(table), axis=0)
    x += np.tile(table, (n_rows, 1))
    log, x[:, free], covariance = form.integrate(x, free)
    return log.reshape(n_rows, -1), x, free, covariance


def log_weight(machine, given):
    """log of exp(-E) summed and integrated over all layers but those in ``given``.

    ``given`` maps the number of a layer to its states, one row for each result. Entries that
    are NaN are summed out too.
    """
    if not any(np.isnan(x).any() for x in given.values()):
        return logsumexp(_sum_out(machine, given)[0], axis=1)
    form, found = Form(machine), []
    for row in zip(*given.values(), strict=True):
        x = np.full(form.n, np.nan)
        for layer, states in zip(given, row, strict=True):
            x[form.layers[layer]] = states
        known = ~np.isnan(x)
        table = all_states(form.summed(known), form.n) + np.where(known, x, 0)
        log, _, _ = form.integrate(table, np.flatnonzero(~known & form.gaussian))
        found.append(logsumexp(log))
    return np.array(found)


def log_Z(machine):
    return float(log_weight(machine, {})[0])


def log_p(machine, v):
    """log p(v) of each row, a density where the visible units are Gaussian."""
    return log_weight(machine, {0: v}) - log_Z(machine)


def log_p_of_known(machine, v):
    """log p of the entries of each row that are not NaN, all other units summed out."""
    return log_p(machine, v)


def states_of(machine, layer):
    """Every joint state of a layer without Gaussian columns."""
    n = machine.par[layer].shape[1]
    return all_states(machine.units[layer].states(n), n)


def distribution(machine, layers):
    """All joint states of the ``layers``, none of them Gaussian, and their probabilities."""
    form = Form(machine)
    here = np.concatenate([form.layers[layer] for layer in layers])
    elsewhere = ~np.isin(np.arange(form.n), here)
    table = all_states(form.summed(elsewhere), form.n)
    given = {layer: table[:, form.layers[layer]] for layer in layers}
    return table[:, here], np.exp(log_weight(machine, given) - log_Z(machine))


def counts(table, x):
    """How many rows of ``x`` are equal to each row of ``table``; each must be one of them."""
    direction = np.random.default_rng(0).uniform(1, 2, table.shape[1])
    order = np.argsort(table @ direction)
    middles = np.convolve(table[order] @ direction, [0.5, 0.5], "valid")
    found = order[np.searchsorted(middles, x @ direction)]
    np.testing.assert_allclose(x, table[found], atol=1e-5)
    return np.bincount(found, minlength=len(table))


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
    real = np.flatnonzero(is_gaussian(unit, n))
    grid = np.array(list(itertools.product(_GRID, repeat=len(real))))
    table = all_states(unit.states(n), n)
    x = np.repeat(table, len(grid), axis=0)
    x[:, real] = np.tile(grid, (len(table), 1))
    return x, _STEP ** len(real)


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


def gradient(machine, states, weight, offsets, deviation=None):
    """`Machine.gradient` of states that stay as they are; the odd layers hold means."""
    fields = machine.conditionals(machine.odd, states)[1]
    return machine.gradient(with_spare_rows(states), weight, offsets, fields, deviation)


def with_spare_rows(states, n_spare=3):
    return [np.concatenate([x, np.zeros_like(x, shape=(n_spare, x.shape[1]))]) for x in states]
