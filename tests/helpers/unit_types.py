"""Unit types and parameters to try them with. A new type is one more row in ``CASES``.

Each type has three columns of data. Their distributions come from code that does not use the
package; it takes the states that a type lists as given, which have tests of their own.
"""

import copy
import itertools
from typing import Any, NamedTuple

import numpy as np
import scipy.special
import scipy.stats

from sklearn_dbn._array_api import namespace
from sklearn_dbn._random import Stream
from sklearn_dbn.units import UNITS, UnitMoments, Variable

# Of the levels of three columns, for the types that are made for them.
SHARES = [np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.4]), np.array([0.1, 0.2, 0.3, 0.4])]
BIAS = [[0.3, -1.2, 2.0]]
BASE = [[-0.4, 0.2, 0.5], [0.9, -0.1, -0.6], [-0.2, 0.0, 0.2], [0.0, 0.0, 0.8]]


def one_of_two(factor):
    """Of a field; its product with ``factor`` is the log-odds of the second state."""

    def reference(field, par, values):
        return scipy.stats.bernoulli(scipy.special.expit(factor * field[0])).pmf([0, 1])

    return reference


def normal(field, par, values):
    return scipy.stats.norm(field[0] * np.exp(-par[1, 0]), np.exp(-0.5 * par[1, 0]))


def softmax(field, par, values):
    return scipy.special.softmax(field)


def with_base_measure(field, par, values):
    base = par[1 : 1 + len(values), 0]
    return scipy.special.softmax(field[0] * values[:, 0] + base)


def binomial(field, par, values):
    p = scipy.special.expit(field[0] * (values[1, 0] - values[0, 0]))
    return scipy.stats.binom(len(values) - 1, p).pmf(range(len(values)))


# Parameters, and the distribution of one column of data, from its fields, its parameters and
# its states: an object of scipy.stats, or the probabilities of the states.
CASES = {
    "bernoulli": (BIAS, one_of_two(1)),
    "gaussian": ([*BIAS, [-1.0, 0.0, 1.5]], normal),
    "spin": (BIAS, one_of_two(2)),
    "categorical": ([[0.3, -1.2, 2.0, 0.1, 0.7, -0.5, 0.0, 1.1, -0.9]], softmax),
    "ordinal": ([*BIAS, *BASE], with_base_measure),
    "count": ([*BIAS, *BASE], with_base_measure),
    "binomial": (BIAS, binomial),
}
TYPES = {name: UNITS[name].fitted(SHARES) for name in CASES}
REAL = ["gaussian"]
# Types whose columns of data hold levels or counts.
OF_LEVELS = [name for name in CASES if UNITS[name].takes != "numbers"]


class Case(NamedTuple):
    """A layer of three columns of data.

    Attributes
    ----------
    unit : UnitType
    par : array of shape (n_par, n)
    field : array of shape (2, n)
    columns : list of int arrays
        The columns of states of each column of data.
    values : list of arrays of shape (n_states, width), or of None
        The states of each column of data, in the order of its levels.
    reference : callable
    """

    unit: Any
    par: np.ndarray
    field: np.ndarray
    columns: list
    values: list
    reference: Any

    def distribution(self, field, i):
        """That of column of data ``i``, from the fields of all columns, (n,)."""
        at = self.columns[i]
        return self.reference(field[at], self.par[:, at], self.values[i])

    def moments(self, field):
        """Mean and variance of each column of states, (n,)."""
        mean, var = np.empty((2, len(field)))
        for i, (at, values) in enumerate(zip(self.columns, self.values, strict=True)):
            p = self.distribution(field, i)
            if values is None:
                mean[at], var[at] = p.mean(), p.var()
            else:
                mean[at], var[at] = p @ values, p @ values**2 - (p @ values) ** 2
        return mean, var

    def known(self, i):
        """Which columns of states are those of column of data ``i``, (n,)."""
        return np.isin(np.arange(self.par.shape[1]), self.columns[i])


def make(name, dtype=np.float64):
    unit, par = TYPES[name], np.array(CASES[name][0], dtype=dtype)
    n = par.shape[1]
    columns = columns_of(unit, 3)
    listed = {tuple(variable.columns): variable.values for variable in unit.states(n)}
    values = [listed.get(tuple(at)) for at in columns]
    field = [[-3.0, 0.4, 1.5], [0.0, -0.7, 2.5]]
    if n > 3:
        field = np.random.default_rng(0).uniform(-3, 3, (2, n))
    return Case(unit, par, np.array(field, dtype=dtype), columns, values, CASES[name][1])


def alone(name, i):
    """The type of column of data ``i`` of ``make(name)`` without the others, and parameters."""
    case = make(name)
    unit = UNITS[name].fitted(SHARES[i : i + 1])
    n_par = len(unit.initial(np.zeros(len(case.columns[i]))))
    return unit, case.par[:n_par, case.columns[i]]


def columns_of(unit, n_columns):
    """The columns of states of each of ``n_columns`` columns of data."""
    return [np.flatnonzero(x) for x in blank(unit, np.eye(n_columns, dtype=bool))]


def blank(unit, missing):
    """Which states are missing where the data are, from (n_rows, n_columns)."""
    return np.isnan(unit.encode(np.where(missing, np.nan, 0.0)))


def all_states(variables: list[Variable], n):
    """Every joint state of these variables of a layer of ``n`` columns; 0 in the others."""
    numbers = list(itertools.product(*(range(len(v.values)) for v in variables)))
    x = np.zeros((len(numbers), n))
    for j, variable in enumerate(variables):
        x[:, variable.columns] = variable.values[[row[j] for row in numbers]]
    return x


def undrawn(unit):
    """The same type, but never drawn: it passes its mean on."""

    def sample(self, field, par, rng, mean=None):
        return self.mean(field, par) if mean is None else mean

    wrong = copy.copy(unit)
    wrong.__class__ = type("Undrawn", (type(unit),), {"sample": sample})
    return wrong


N_ROWS = 7


class Arguments(NamedTuple):
    """What functions of the contract need for a layer of ``n`` columns of states.

    Attributes
    ----------
    par : array of shape (n_par, n)
    rows : array of shape (4, N_ROWS, n)
    columns : array of shape (4, n)
    missing : bool array of shape (N_ROWS, n_columns)
        Of the columns of data.
    """

    par: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    missing: np.ndarray

    def of(self, n_par, states, data):
        """Those of some columns of states, which are those of the columns ``data``."""
        par, rows, columns, missing = self
        return Arguments(
            par[:n_par, states], rows[..., states], columns[:, states], missing[:, data]
        )


def arguments(par, n_columns):
    rng, n = np.random.default_rng(0), par.shape[1]
    rows = rng.standard_normal((4, N_ROWS, n)).astype(par.dtype)
    columns = rng.uniform(0.1, 0.9, (4, n)).astype(par.dtype)
    return Arguments(par, rows, columns, rng.random((N_ROWS, n_columns)) < 0.4)


def all_values(unit, given, drawn=True, like=np.copy):
    """What each function of the contract gives, by name; ``given`` does not change.

    ``like`` copies an array of NumPy to an array of some library. Without ``drawn`` values do
    not depend on the draws for other columns.
    """
    par, (field, back, delta, _) = like(given.par), map(like, given.rows)
    mean, var, offset, scale = map(like, given.columns)
    known = like(~blank(unit, given.missing))
    x = unit.sample(field + 0, par, Stream(5)) if drawn else unit.mode(field, par)
    weight = like(np.linspace(-1, 1, N_ROWS).astype(given.par.dtype))
    moments = UnitMoments(mean, var, scale)
    projected, step, hidden_step, W = 30 * par, 0.1 * par, 0.1 * par, delta.T + 0
    unit.project(projected)
    unit.precondition(step, par, offset, False)
    unit.precondition(hidden_step, par, offset, True)
    unit.project_weights(W)
    end = unit.between(par, 1.5 * par, 0.3)
    curvature, standard = unit.curvature(par), unit.standard(moments)
    conditional, summary, decoded = (
        unit.mean(field, par),
        unit.summary(field, par),
        unit.decode(x),
    )
    gappy = decoded + like(np.where(given.missing, np.nan, 0).astype(given.par.dtype))
    values = {
        "independent": unit.independent(moments),
        "deviation": unit.deviation(moments),
        "energy": unit.energy(x, par),
        "energy of known": unit.energy(namespace(x).where(known, x, 0 * x), par, known),
        "log_partition": unit.log_partition(field, par),
        "log_partition of known": unit.log_partition(field, par, known),
        "change": unit.log_partition_change(field, par, back + 0, end),
        "change with mean": unit.log_partition_change(field, par, back + 0, end, conditional),
        "between": end,
        "mean": conditional,
        "variance": unit.variance(field, par),
        "variance with mean": unit.variance(field, par, conditional),
        "mode": unit.mode(field, par),
        "pullback": unit.pullback(delta + 0, field, par),
        "pullback with mean": unit.pullback(delta + 0, field, par, conditional),
        "initial": unit.initial(mean),
        "par_gradient": unit.par_gradient(weight @ x, x, weight, offset, par, field[:3, :]),
        "project": projected,
        "precondition": step,
        "precondition hidden": hidden_step,
        "project_weights": W.T,
        "rescale": unit.rescale(par, offset, scale),
        "uncertainty": unit.uncertainty(field, par),
        "information": unit.information(mean, var, scale),
        "dead": unit.idle(field, par)[0],
        "saturated": unit.idle(field, par)[1],
        "summary": summary,
        "measured": unit.measured(summary, offset, scale),
        "estimate": unit.estimate(summary),
        "decode": decoded,
        "encode": unit.encode(gappy),
    }
    if curvature is not None:
        values["curvature"] = curvature
    if standard is not None:
        values["shift"], values["scale"] = standard
    if drawn:
        values["sample"] = unit.sample(field + 0, par, Stream(3))
        values["sample with mean"] = unit.sample(field + 0, par, Stream(3), conditional + 0)
        values["present"] = unit.present(mean + 0 * field, Stream(4))
    return values
