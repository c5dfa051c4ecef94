"""Unit types and parameters to try them with. A new type is one more row in ``CASES``."""

import numpy as np
import scipy.stats

from sklearn_dbn.units import UNITS

TYPES = {name: unit for name, unit in UNITS.items() if unit.takes == "numbers"}
# Parameters of three units of each type, and the distribution of one that has the given mean
# and parameters, as scipy.stats knows it.
CASES = {
    "bernoulli": (
        [[0.3, -1.2, 2.0]],
        lambda mean, par: scipy.stats.bernoulli(mean),
    ),
    "gaussian": (
        [[0.3, -1.2, 2.0], [-1.0, 0.0, 1.5]],
        lambda mean, par: scipy.stats.norm(mean, np.exp(-0.5 * par[1])),
    ),
    "spin": (
        [[0.3, -1.2, 2.0]],
        lambda mean, par: TwoPoints(mean),
    ),
}


class TwoPoints:
    """-1 and 1, with the given mean; scipy.stats has only 0 and 1."""

    def __init__(self, mean):
        self.p = scipy.stats.bernoulli((1 + np.asarray(mean)) / 2)

    def ppf(self, q):
        return 2 * self.p.ppf(q) - 1

    def cdf(self, x):
        return self.p.cdf((x + 1) / 2)

    def entropy(self):
        return self.p.entropy()
