"""Layers of units joined by weights: energy, conditionals, draws and gradient.

A machine has layers ``0 .. L``, the visible one first, and ``L`` weight matrices between them::

    E(x_0, .., x_L) = sum_l E_l(x_l; par_l) - sum_l x_l W_l x_{l+1}'

An RBM is the machine with ``L = 1``. Symbols, here and in the training:

======== ====================== ====================================================
symbol   shape                  meaning
======== ====================== ====================================================
``x_l``  (n_rows, n_l)          states of layer l; ``x_0`` is ``v``, and in an RBM ``x_1``
                                is ``h``
``W_l``  (n_l, n_{l+1})         weights; ``components_`` is ``W_0`` transposed
``par_l`` (n_par, n_l)          parameters of the units; ``par_l[0]`` is the bias
                                (``a`` of the visible layer, ``b`` of the hidden one)
field    (n_rows, n_l)          bias plus the weighted states of the neighbours
======== ====================== ====================================================

Even layers are independent given the odd ones, and odd layers given the even ones: a *sweep*
draws all layers of one parity, then all of the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._array_api import Array, copied, namespace, total
from .._random import Stream
from ..units import part_of
from ._stability import keep_convex
from ._weights import blocks, like, mapped, matrices, times, times_transposed, transposed

States = list[Any]


@dataclass
class Machine:
    """Layers of units and the weights between them.

    Parameters
    ----------
    units : sequence of unit types, one for each layer
    par : list of arrays of shape (n_par, n_l)
    W : list of arrays of shape (n_l, n_{l+1}), or of `PathwayWeights`
    """

    units: tuple[Any, ...]
    par: list[Array]
    W: list[Any]

    @property
    def odd(self) -> range:
        return range(1, len(self.par), 2)

    @property
    def even(self) -> range:
        return range(0, len(self.par), 2)

    def copy(self) -> Machine:
        return self.map(copied)

    def map(self, function: Any, *others: Machine) -> Machine:
        """Apply ``function`` to each parameter array, with those of ``others`` as arguments."""
        return replace(
            self,
            par=[function(*p) for p in zip(self.par, *(m.par for m in others), strict=True)],
            W=[mapped(function, *w) for w in zip(self.W, *(m.W for m in others), strict=True)],
        )

    def arrays(self) -> list[Array]:
        return [*self.par, *self.matrices]

    @property
    def matrices(self) -> list[Array]:
        """The weight matrices, of which a layer of separate pathways has several."""
        return matrices(self.W)

    def pathways(self) -> Iterator[tuple[Machine, slice, slice]]:
        """The lowest two layers of each pathway, as a machine that shares the parameters.

        With the places of their units in these layers.
        """
        for W, i, j in blocks(self.W[0]):
            units = part_of(self.units[0], i), self.units[1]
            yield (
                replace(self, units=units, par=[self.par[0][:, i], self.par[1][:, j]], W=[W]),
                i,
                j,
            )

    def input(self, layer: int, states: States) -> Array:
        """The weighted states of the neighbours of ``layer``: its field without the bias."""
        if layer == 0:
            return self.from_above(0, states[1])
        weighted = times(states[layer - 1], self.W[layer - 1])
        if layer < len(self.W):
            weighted += self.from_above(layer, states[layer + 1])
        return weighted

    def from_above(self, layer: int, above: Array) -> Array:
        """The part of `input` from the states of the layer above ``layer``."""
        return times_transposed(above, self.W[layer])

    def field(self, layer: int, states: States) -> Array:
        """The field of ``layer``: its bias plus the weighted states of its neighbours."""
        field = self.input(layer, states)
        field += self.par[layer][0, :]
        return field

    def conditionals(self, layers: Sequence[int], states: States) -> tuple[States, States]:
        """Return states with the conditional means of ``layers``, and the fields of ``layers``.

        The fields of the other layers are ``None``.
        """
        filled, fields = list(states), [None] * len(states)
        for layer in layers:
            fields[layer] = self.field(layer, states)
            filled[layer] = self.units[layer].mean(fields[layer], self.par[layer])
        return filled, fields

    def means(self, layers: Sequence[int], states: States) -> States:
        """Return states with the conditional means of ``layers`` given the other layers."""
        return self.conditionals(layers, states)[0]

    def neutral(self, layer: int) -> Array:
        """The means of a layer at the field 0, (1, n_l)."""
        par = self.par[layer]
        return self.units[layer].mean(0 * par[:1, :], par)

    def draw(self, layers: Sequence[int], means: States, fields: States, rng: Stream) -> States:
        """Draw ``layers`` given the results of `conditionals`, which may be overwritten."""
        drawn = list(means)
        for layer in layers:
            drawn[layer] = self.units[layer].sample(
                fields[layer], self.par[layer], rng, means[layer]
            )
        return drawn

    def sample(self, layers: Sequence[int], states: States, rng: Stream) -> States:
        """Draw ``layers`` given the states of the other layers."""
        drawn = list(states)
        for layer in layers:
            drawn[layer] = self.units[layer].sample(
                self.field(layer, states), self.par[layer], rng
            )
        return drawn

    def energy(self, states: States) -> Array:
        """E(x_0, .., x_L) of each row, shape (n_rows,)."""
        xp = namespace(states[0])
        energy = 0.0
        for layer, (unit, par) in enumerate(zip(self.units, self.par, strict=True)):
            energy = energy + unit.energy(states[layer], par)
        for layer, W in enumerate(self.W):
            energy = energy - xp.sum(times(states[layer], W) * states[layer + 1], axis=-1)
        return energy

    def free_energy(self, states: States, summed: range | None = None) -> Array:
        """-log of the sum over the layers ``summed`` of exp(-E), shape (n_rows,).

        ``summed`` is ``odd`` (the default) or ``even``; the states of these are not used.
        For an RBM this is F(v) = E_v(v) - sum_j log_partition(field_j).
        """
        summed = self.odd if summed is None else summed
        kept = self.even if summed == self.odd else self.odd
        energy = 0.0
        for layer in kept:
            energy = energy + self.units[layer].energy(states[layer], self.par[layer])
        for layer in summed:
            field = self.field(layer, states)
            energy = energy - self.units[layer].log_partition(field, self.par[layer])
        return energy

    def gradient(
        self,
        states: States,
        weight: Array,
        offsets: Sequence[Array],
        fields: States | None = None,
        deviation: Array | None = None,
    ) -> Machine:
        """Centred derivative of the log-likelihood from weighted rows.

        With ``weight`` summing to 1 over rows of the data and to -1 over the chains
        this is the difference of the two phases, each averaged over its own count; a factor
        on ``weight`` is a factor on the derivative. With
        ``offsets`` mu and lambda (Melchior, Fischer, Wiskott 2016, JMLR 17:99)::

            dW = <(v - mu)(h - lambda)'>,  da = <v> - dW lambda,  db = <h> - dW' mu

        where ``<>`` is the weighted sum. That is the plain gradient when the offsets are 0;
        with others it is the gradient of the same likelihood in coordinates in which flipping
        the bits of the data changes nothing.

        Centring costs two more rows of the product dW, and no pass over the states::

            dW = <v h'> - mu <h>' - (<v> - <1> mu) lambda'

        With ``deviation`` s it is the derivative in coordinates s_i W_ij of the weights above
        the visible layer, for steps of all W_ij that are independent of the units of v_i: the
        part of dW of column i is divided by s_i^2, and da and db follow as above.

        Parameters
        ----------
        states : list of arrays of shape (n_rows + n_spare, n_l)
            Overwritten: the even layers are weighted in place, and the offsets are written to
            two of the spare rows, which must be zero in the even layers.
        weight : array of shape (n_rows,)
        offsets : sequence of arrays of shape (n_l,)
        fields : list of arrays of shape (n_means, n_l) or None
            For a layer whose first ``n_means`` rows are conditional means, their fields; else
            ``None``. ``None`` for all layers if none has means.
        deviation : array of shape (n_0,) or None
            Of the visible columns.

        Returns
        -------
        Machine
            The derivative by each parameter, in the place of that parameter.
        """
        n_rows = weight.shape[0]
        fields = [None] * len(states) if fields is None else fields
        weight_sum = total(weight)
        par = []
        for layer, (x, offset) in enumerate(zip(states, offsets, strict=True)):
            rows = x[:n_rows, :]
            mean = weight @ rows
            unit, field = self.units[layer], fields[layer]
            if field is not None:
                # The standard does not define a slice that ends outside the array.
                field = field[: min(n_rows, field.shape[0]), :]
            par.append(unit.par_gradient(mean, rows, weight, offset, self.par[layer], field))
            if layer % 2 == 0:
                rows *= weight[:, None]
                x[n_rows, :], x[n_rows + 1, :] = -offset, mean - weight_sum * offset
            else:
                x[n_rows, :], x[n_rows + 1, :] = mean, -offset
        if deviation is not None:
            states[0] *= deviation**-2.0
        W = []
        for layer, (below, above) in enumerate(itertools.pairwise(states)):
            lower, upper, parts = par[layer][0, :], par[layer + 1][0, :], []
            mu, lam = offsets[layer], offsets[layer + 1]
            for _, i, j in blocks(self.W[layer]):
                x, y = below[:, i], above[:, j]
                parts.append(x.T @ y)
                # dW lambda and dW' mu, without a pass over dW.
                lower[i] -= x.T @ (y @ lam[j])
                upper[j] -= y.T @ (x @ mu[i])
            W.append(like(self.W[layer], parts))
        return Machine(self.units, par, W)

    def centred(
        self,
        sums: Machine,
        total: float,
        penalty: Sequence[Any],
        offsets: Sequence[Array],
        deviation: Array | None = None,
    ) -> Machine:
        """`gradient` with ``offsets``, from ``sums``, that of the same rows without offsets.

        Without offsets the gradient is a sum over rows, which may be computed in parts on other
        machines. Second moments of real-valued units are not changed: visible ones have the
        offset 0, and the parameters of hidden ones are not trained.

        Parameters
        ----------
        sums : Machine
            Overwritten.
        total : float
            Sum of the weights of the rows.
        penalty : sequence of arrays of shape (n_l,), or of 0
            Added to all states of a layer.
        offsets : sequence of arrays of shape (n_l,)
        deviation : array of shape (n_0,) or None
        """
        par, W = sums.par, sums.W
        means = [x[0, :] + 0 for x in par]
        for x, up in zip(par, penalty, strict=True):
            x[0, :] += total * up
        for layer, dW in enumerate(W):
            # To add to the states is to subtract from the offsets.
            mu, lam = offsets[layer] - penalty[layer], offsets[layer + 1] - penalty[layer + 1]
            rest = means[layer] - total * mu
            for part, i, j in blocks(dW):
                part -= mu[i, None] * means[layer + 1][j]
                part -= rest[i, None] * lam[j]
                if deviation is not None and layer == 0:
                    part *= deviation[i, None] ** -2.0
                par[layer][0, i] -= part @ offsets[layer + 1][j]
                par[layer + 1][0, j] -= offsets[layer][i] @ part
        return sums

    def precondition(self, step: Machine, offsets: Sequence[Array]) -> None:
        """Shorten, in place, the parts of a gradient step that would overshoot."""
        for layer, unit in enumerate(self.units):
            if self.par[layer].shape[0] == 1:
                continue
            # The part of the step of the bias that compensates that of the weights is kept.
            follow = 0.0 * offsets[layer]
            if layer > 0:
                follow = follow - times(offsets[layer - 1], step.W[layer - 1])
            if layer < len(self.W):
                follow = follow - times_transposed(offsets[layer + 1], step.W[layer])
            dpar = step.par[layer]
            dpar[0, :] -= follow
            unit.precondition(dpar, self.par[layer], offsets[layer], layer > 0)
            dpar[0, :] += follow

    def project(self) -> None:
        """Change the parameters, in place, so that the distribution exists."""
        for unit, par in zip(self.units, self.par, strict=True):
            unit.project(par)
        keep_convex(self.curvatures(), self.W)

    def curvatures(self) -> States:
        """Curvature of each layer, (n_l,); ``None`` for layers without real-valued columns."""
        pairs = zip(self.units, self.par, strict=True)
        return [unit.curvature(par) for unit, par in pairs]

    def rescale(self, shift: Array, scale: Array) -> Machine:
        """The distribution of scale v + shift, for the visible units v of this machine."""
        unit, par = self.units[0], self.par[0]
        W = like(self.W[0], [part / scale[i, None] for part, i, _ in blocks(self.W[0])])
        upper = copied(self.par[1])
        upper[0, :] -= times(shift, W)
        return replace(
            self,
            par=[unit.rescale(par, shift, scale), upper, *self.par[2:]],
            W=[W, *self.W[1:]],
        )


@dataclass
class Unchanging(Machine):
    """A machine whose weights do not change.

    Their transposes are copied once, as a product with a transposed view takes up to a fifth
    longer.
    """

    def __post_init__(self) -> None:
        self._transposed = [transposed(W) for W in self.W]

    def from_above(self, layer: int, above: Array) -> Array:
        return times(above, self._transposed[layer])
