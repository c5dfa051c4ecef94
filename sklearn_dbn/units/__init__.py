"""What a layer is made of.

A layer of ``n`` units has parameters ``par`` of shape ``(n_par, n)``; ``par[0]`` is its bias.
A unit type is a set of pure functions of those parameters and of the *field*, the bias
plus what arrives from the neighbouring layers:

``independent(mean, var)``      the parameters of units with these moments and no neighbours
``energy(x, par)``              the layer's own energy of the states ``x``, ``(n_rows,)``
``log_partition(field, par)``   log of the sum over states of exp(-energy), elementwise
``log_partition_change(...)``   its sum over units at ``field``, of known ``mean``, less that at
                                ``field + back`` with ``start_par``; may use ``back``'s memory
``between(start, end, share)``  parameters whose energy is (1 - share) and share of two others
``mean(field, par)``            the conditional mean, the derivative of ``log_partition``
``variance(mean, par)``         the conditional variance, given the conditional mean: the
                                derivative of ``mean`` by the field
``mode(field, par)``            the likeliest state
``draw(mean, par, rng)``        a state, given the conditional mean (whose memory it may use)
``sample(field, par, rng)``     a state, given the field (whose memory it may use)
``present(x, rng)``             an input row as a state: a Bernoulli unit draws grey levels
``par_gradient(mean, ...)``     the derivative of the log-likelihood with respect to ``par``,
                                from weighted states and their sum, which is that of the bias
                                (and whose memory it may use)
``project(par)``                ``par`` moved, in place, to where the distribution exists
``rescale(par, shift, scale)``  the same distribution in other units of measurement
``curvature(par)``              second derivative of the energy by the state
``precondition(step, ...)``     a step of ``par`` shortened, in place, where it would overshoot
``conditional_entropy(...)``    entropy of the unit given the input, in nats
``marginal_entropy(...)``       entropy of the unit over all inputs, in nats
``idle(mean, par)``             which units are dead (never on) and which saturated (always on)

``support`` bounds the states, ``neutral`` is the mean to start from, ``n_par`` counts the rows
of ``par``, and ``continuous`` says whether states have a unit of measurement (only then are
there ``rescale``, ``curvature`` and ``precondition``). To add a unit type, add a file, name it
below, and add a row to the table in ``tests/units/test_contract.py``;
docs/extend/unit-type.md walks through one.
"""

from ._bernoulli import Bernoulli
from ._gaussian import Gaussian

UNITS = {unit.name: unit for unit in (Bernoulli(), Gaussian())}

__all__ = ["UNITS", "Bernoulli", "Gaussian"]
