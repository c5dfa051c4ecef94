"""The feed-forward view of a generator: its hidden layers and a head as a network.

Hidden layer l of the network gives the mean of its units::

    x_{l+1} = mean(gain_l x_l W_l + q_l A_l + b_l)

and the head is linear in the last one. Only a deep Boltzmann machine has the top-down input
q_l: the constant mean-field posterior of the layer above under the machine that was trained.
Its weights A_l start as the transposed weights of that layer, and are trained apart from them.
The network then starts at one update of the mean field (Salakhutdinov, Hinton 2009, AISTATS,
PMLR 5:448-455). Without top-down input a layer with another above it has ``gain_l = 2``, as in
the first sweep of the mean field.

Centred training uses other coordinates, (x_l - m_l) W_l + c_l, with m_l the running mean of the
inputs x_l. An update of W_l does not change c_l, the field at the mean input; the biases, which
are stored instead of c_l, are corrected for that. The training then does not depend on which of
two bits is coded as 1 (Schraudolph 1998, LNCS 1524, doi:10.1007/3-540-49430-8_11).

Parameters are in dicts by name: ``W{l}``, ``b{l}``, ``A{l}`` of the hidden layers, ``W{l}.{k}``
and ``A{l}.{k}`` of pathway k if there are several, ``head`` and ``intercept``. Their arrays may
be those of a machine, so they are only changed in place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp

from .._array_api import (
    Array,
    concat,
    device,
    matmul_into,
    moved,
    namespace,
    scale_columns,
    sums_of_squares,
    take,
    to_numpy,
    total,
)
from .._random import Stream
from ..data import Columns, clipped
from ..machine import Machine, PathwayWeights, blocks, times, times_transposed

# Rows that are computed together outside of minibatches.
_BLOCK_ROWS = 1000
# Share of a minibatch in the running mean of inputs, as in the centring offsets of a generator.
_MEAN_RATE = 0.01


class Tape(NamedTuple):
    """The intermediate results of `Network.forward`, for the derivatives.

    Attributes
    ----------
    inputs : list of arrays
        Of each hidden layer, from below, and of the head, after dropout.
    top_down : list of arrays or None
        The top-down input of each hidden layer, after dropout.
    fields, means : lists of arrays
        Of the hidden layers, before dropout.
    masks : list of arrays or None
        Factors on the inputs: 0 if dropped, 1 / (1 - rate) if not.
    outputs : array of shape (n_rows, n_outputs)
    """

    inputs: list[Array]
    top_down: list[Array | None]
    fields: list[Array]
    means: list[Array]
    masks: list[Array | None]
    outputs: Array


@dataclass
class Inputs:
    """The inputs of a network: rows, and the top-down input of each hidden layer.

    Parameters
    ----------
    X : array or CSR array of shape (n_rows, n_columns)
        Without gaps. Converted to dense arrays of states a few rows at a time.
    top_down : list of arrays of shape (n_rows, n_{l+1}) or None
        For each hidden layer.
    columns : Columns or None
        From ``X`` to states; ``None`` if it has the states.
    support : tuple of float or None
        Bounds to which X is clipped.
    like : array or None
        Rows of sparse ``X`` are moved to the library and the device of this array.
    """

    X: Any
    top_down: list[Array | None]
    columns: Columns | None = None
    support: tuple[float, float] | None = None
    like: Array | None = None

    # Whether the rows are on the workers of a cluster, as in `RemoteInputs`.
    remote: ClassVar[bool] = False

    def __len__(self) -> int:
        return self.X.shape[0]

    def rows(self, index: np.ndarray) -> Inputs:
        X = self.X[index] if sp.issparse(self.X) else take(self.X, index)
        return replace(self, X=X, top_down=self._above(index))

    def moved(self, like: Array) -> Inputs:
        """The same rows in the library and on the device of ``like``."""
        X = self.X if sp.issparse(self.X) else moved(self.X, like)
        top_down = [q if q is None else moved(q, like) for q in self.top_down]
        return replace(self, X=X, top_down=top_down, like=like)

    def take(self, index: Any) -> tuple[Array, list[Array | None]]:
        """States of the rows ``index``, an array or a slice, and their top-down inputs."""
        if sp.issparse(self.X):
            v = self.X[index if isinstance(index, slice) else to_numpy(index)].toarray()
            v = v if self.like is None else moved(v, self.like)
        else:
            v = _rows(self.X, index)
        v = v if self.support is None else clipped(v, self.support)
        if self.columns is not None:
            v = self.columns.states(v)
        return v, self._above(index)

    def _above(self, index: Any) -> list[Array | None]:
        return [q if q is None else _rows(q, index) for q in self.top_down]

    def outputs(self, network: Network) -> Array:
        """Outputs of the head for each row, (n_rows, n_outputs)."""
        return concat([network.outputs(v, top_down) for _, v, top_down in self.blocks()])

    def fields(self, network: Network, top: int) -> list[Array]:
        """Fields of hidden layers 0 to ``top``."""
        blocks = [network.fields(v, top_down, top) for _, v, top_down in self.blocks()]
        return [concat(fields) for fields in zip(*blocks, strict=True)]

    def loss_and_gradient(
        self,
        network: Network,
        loss: Any,
        target: Array,
        weight: Array,
        layers: Collection[int],
    ) -> tuple[float, dict[str, Array]]:
        """Mean over all rows of the weighted loss, and its gradient."""
        value, gradient = 0.0, {}
        for part, v, top_down in self.blocks():
            tape = network.forward(v, top_down)
            losses, delta = loss(tape.outputs, target[part, :])
            share = weight[part] / len(self)
            value += float(share @ losses)
            delta *= share[:, None]
            for name, x in network.backward(tape, delta, layers).items():
                gradient[name] = gradient[name] + x if name in gradient else x
        return value, gradient

    def blocks(self) -> Iterator[tuple[slice, Array, list[Array | None]]]:
        for start in range(0, len(self), _BLOCK_ROWS):
            part = slice(start, min(start + _BLOCK_ROWS, len(self)))
            yield part, *self.take(part)


@dataclass
class Network:
    """Hidden layers of units and a linear head.

    Parameters
    ----------
    units : list of unit types
        Of the hidden layers.
    par : list of arrays of shape (n_par, n_l)
        Of these units; only their biases are trained.
    W : list of arrays of shape (n_{l-1}, n_l)
    gain : list of float
    A : list of arrays of shape (n_{l+1}, n_l) or None
    head : array of shape (n_last, n_outputs)
    intercept : array of shape (n_outputs,)
    input_means : dict of arrays
        By the names of weights, the running means of their inputs; empty if training is not
        centred.
    """

    units: list[Any]
    par: list[Array]
    W: list[Array]
    gain: list[float]
    A: list[Array | None]
    head: Array
    intercept: Array
    input_means: dict[str, Array] = field(default_factory=dict)

    def parameters(self, layers: Collection[int] | None = None) -> dict[str, Array]:
        """The arrays of the head and of the hidden layers in ``layers``, by default of all.

        They are contiguous, and not copies.
        """
        found = {}
        for layer in range(len(self.W)) if layers is None else layers:
            found |= by_name(f"W{layer}", self.W[layer]) | {f"b{layer}": self.par[layer][0, :]}
            if self.A[layer] is not None:
                found |= by_name(f"A{layer}", self.A[layer])
        return found | {"head": self.head, "intercept": self.intercept}

    def fields(self, v: Array, top_down: Sequence[Array | None], top: int) -> list[Array]:
        """Fields of hidden layers 0 to ``top``."""
        fields, x = [], v
        for layer in range(top + 1):
            fields.append(self._field(layer, x, top_down[layer]))
            x = self._mean(layer, fields[-1])
        return fields

    def outputs(self, v: Array, top_down: Sequence[Array | None]) -> Array:
        """Outputs of the head, (n_rows, n_outputs)."""
        x = v
        for layer in range(len(self.W)):
            x = self._mean(layer, self._field(layer, x, top_down[layer]))
        return self._outputs_of(x)

    def forward(
        self,
        v: Array,
        top_down: Sequence[Array | None],
        dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        rng: Stream | None = None,
    ) -> Tape:
        """Outputs and intermediate results, with each input dropped with a probability.

        The others are scaled up, so that the mean input of every layer is that without dropout
        (Srivastava et al. 2014, JMLR 15:1929-1958). With centred training a dropped input is
        set to its running mean, and the differences of the others from it are scaled up.
        """
        tape = Tape([], [], [], [], [], None)
        x = v
        for layer in range(len(self.W) + 1):
            name = f"W{layer}" if layer < len(self.W) else "head"
            x, mask = self._drop(name, x, hidden_dropout if layer else dropout, rng)
            tape.inputs.append(x)
            tape.masks.append(mask)
            if layer == len(self.W):
                return tape._replace(outputs=self._outputs_of(x))
            q = top_down[layer]
            if q is not None:
                q, _ = self._drop(f"A{layer}", q, dropout, rng)
            tape.top_down.append(q)
            tape.fields.append(self._field(layer, x, q))
            x = self._mean(layer, tape.fields[-1])
            tape.means.append(x)

    def backward(
        self,
        tape: Tape,
        delta: Array,
        layers: Collection[int],
        gradient: dict[str, Array] | None = None,
    ) -> dict[str, Array]:
        """Gradient by the parameters of ``layers`` and of the head, centred if training is.

        Parameters
        ----------
        tape : Tape
        delta : array of shape (n_rows, n_outputs)
            Derivative by the outputs.
        layers : collection of int
        gradient : dict of arrays or None
            Arrays for the result: new ones would cost time, as the system clears their memory.
        """
        out = gradient or {}
        # The product is a sum over rows in a third of the time.
        ones = namespace(delta).ones(delta.shape[:1], dtype=delta.dtype, device=device(delta))
        gradient = {"intercept": matmul_into(ones, delta, out.get("intercept"))}
        gradient |= self._product("head", self.head, tape.inputs[-1], delta, out)
        last = min(layers, default=len(self.W))
        for layer, by_field, by_product in self._backward(tape, delta, last):
            if layer not in layers:
                continue
            bias = f"b{layer}"
            gradient[bias] = matmul_into(ones, by_field, out.get(bias))
            if self.A[layer] is not None:
                q, A = tape.top_down[layer], self.A[layer]
                gradient |= self._product(f"A{layer}", A, q, by_field, out)
            x, W = tape.inputs[layer], self.W[layer]
            gradient |= self._product(f"W{layer}", W, x, by_product, out)
        return gradient

    def input_gradient(self, tape: Tape, delta: Array) -> Array:
        """Derivative by the rows, in their shape; ``delta`` is that by the outputs."""
        for _, _, by_product in self._backward(tape, delta, 0):
            delta = by_product
        return _by_input(self.W[0], delta, tape.masks[0])

    def _backward(
        self, tape: Tape, delta: Array, last: int
    ) -> Iterator[tuple[int, Array, Array]]:
        """Derivatives by field and by x W of each hidden layer, from the top to ``last``."""
        W = self.head
        for layer in range(len(self.W) - 1, last - 1, -1):
            delta = _by_input(W, delta, tape.masks[layer + 1])
            by_field = self.units[layer].pullback(
                delta, tape.fields[layer], self.par[layer], tape.means[layer]
            )
            delta, W = by_field, self.W[layer]
            if self.gain[layer] != 1:
                delta = self.gain[layer] * by_field
            yield layer, by_field, delta

    def correct_biases(self, layers: Collection[int], before: dict[str, Array]) -> None:
        """Correct the biases for changed weights of ``layers`` and of the head.

        The fields at the mean inputs are then again those of ``before``, which
        `fields_at_means` returned.
        """
        if not before:
            return
        now = self.fields_at_means(layers)
        for layer in layers:
            self.par[layer][0, :] += before[f"b{layer}"] - now[f"b{layer}"]
        self.intercept += before["intercept"] - now["intercept"]

    def update_input_means(self, tape: Tape, weight: Array) -> None:
        """Update the running means of all inputs by a minibatch of rows of ``weight``."""
        share = weight / total(weight)
        inputs = {f"W{i}": x for i, x in enumerate(tape.inputs[:-1])}
        inputs |= {f"A{i}": q for i, q in enumerate(tape.top_down) if q is not None}
        for name, x in (inputs | {"head": tape.inputs[-1]}).items():
            mean = share @ x
            running = self.input_means.setdefault(name, mean)
            running += _MEAN_RATE * (mean - running)

    def limit(self, layers: Collection[int], largest: float) -> None:
        """Scale the incoming weights of units to the norm ``largest`` where theirs is larger.

        For hidden ``layers`` and the head, in place.
        """
        for layer in layers:
            A = self.A[layer]
            for k, (part, _, above) in enumerate(blocks(self.W[layer])):
                arrays = [part]
                if A is not None:
                    joint = not isinstance(A, PathwayWeights)
                    arrays.append(A[:, above] if joint else A.parts[k])
                _limit_norms(arrays, largest)
        _limit_norms([self.head], largest)

    def fields_at_means(self, layers: Collection[int]) -> dict[str, Array]:
        """The fields at the mean inputs, without biases, by the names of the biases.

        Empty if training is not centred.
        """
        if not self.input_means:
            return {}
        found = {
            f"b{i}": self.gain[i] * times(self.input_means[f"W{i}"], self.W[i]) for i in layers
        }
        for i in layers:
            if self.A[i] is not None:
                found[f"b{i}"] += times(self.input_means[f"A{i}"], self.A[i])
        return found | {"intercept": self.input_means["head"] @ self.head}

    def _drop(
        self, name: str, x: Array, rate: float, rng: Stream | None
    ) -> tuple[Array, Array | None]:
        """The input of the weights ``name`` with a share ``rate`` dropped, and its mask."""
        if not rate:
            return x, None
        mask = rng.bernoulli(namespace(x).full_like(x, 1 - rate))
        mask *= 1 / (1 - rate)
        if name not in self.input_means:
            return x * mask, mask
        thinned = x - self.input_means[name]
        thinned *= mask
        thinned += self.input_means[name]
        return thinned, mask

    def _product(
        self, name: str, W: Any, x: Array, delta: Array, out: dict[str, Array]
    ) -> dict[str, Array]:
        """Derivative by the weights ``W``, from their input x and the derivative by x W."""
        if name in self.input_means:
            x = x - self.input_means[name]
        places = zip(by_name(name, W), blocks(W), strict=True)
        return {
            part: matmul_into(x[:, below].T, delta[:, above], out.get(part))
            for part, (_, below, above) in places
        }

    def _field(self, layer: int, x: Array, q: Array | None) -> Array:
        field = times(x, self.W[layer])
        if self.gain[layer] != 1:
            field *= self.gain[layer]
        if q is not None:
            field += times(q, self.A[layer])
        field += self.par[layer][0, :]
        return field

    def _mean(self, layer: int, field: Array) -> Array:
        return self.units[layer].mean(field, self.par[layer])

    def _outputs_of(self, x: Array) -> Array:
        outputs = x @ self.head
        outputs += self.intercept
        return outputs


def hidden_layers(machines: Sequence[Machine]) -> tuple[list, list[Array], list[Array]]:
    """Units, parameters and incoming weights of all hidden layers of a stack."""
    units = [unit for machine in machines for unit in machine.units[1:]]
    par = [par for machine in machines for par in machine.par[1:]]
    return units, par, [W for machine in machines for W in machine.W]


def by_name(name: str, W: Any) -> dict[str, Array]:
    """The matrices of ``W`` by their names, which begin with ``name``."""
    if not isinstance(W, PathwayWeights):
        return {name: W}
    return {f"{name}.{k}": x for k, x in enumerate(W.parts)}


def layer_of(name: str) -> int | None:
    """The hidden layer of a parameter of this name; ``None`` for those of the head."""
    if name in ("head", "intercept"):
        return None
    return int(name[1:].partition(".")[0])


def _rows(x: Array, index: Any) -> Array:
    """Copy the rows ``index`` of ``x``, or return a view of a slice of them."""
    return x[index, :] if isinstance(index, slice) else take(x, index)


def _by_input(W: Array, delta: Array, mask: Array | None) -> Array:
    """Derivative by x before dropout, from that by x W."""
    delta = times_transposed(delta, W)
    if mask is not None:
        delta *= mask
    return delta


def _limit_norms(arrays: list[Array], largest: float) -> None:
    squares, limit = sum(sums_of_squares(x, axis=0) for x in arrays), largest * largest
    xp = namespace(squares)
    factor = largest / xp.sqrt(xp.maximum(squares, limit))
    for x in arrays:
        scale_columns(x, factor, squares > limit)
