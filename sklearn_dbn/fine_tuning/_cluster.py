"""Fine-tuning on rows that stay on the workers of a dask cluster.

For each update the network is sent to the workers. Each computes the gradient of those rows of
the minibatch that it has, with the draws that these rows get in one process; the training adds
these gradients and makes the update. The targets and the weights of all rows are where the
network is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .._array_api import Array
from .._random import RowStream, Stream
from ..data import Partitions
from ..optim import Descent
from ._adversarial import joined, presented, virtual_adversarial_rows
from ._network import Inputs, Network, Tape
from ._settings import FineTuningSettings
from ._training_rows import TrainingRows
from ._tuning import Tuning


@dataclass
class RemoteInputs:
    """The inputs of a network, as `Inputs`, on the workers of a cluster.

    Parameters
    ----------
    parts : Partitions
        Of `Inputs`.
    index : int array of shape (n_rows,)
        Which of their rows.
    """

    parts: Partitions
    index: np.ndarray

    remote: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, index: np.ndarray) -> RemoteInputs:
        return RemoteInputs(self.parts, self.index[index])

    def moved(self, like: Array) -> RemoteInputs:
        """Itself: the rows are where the workers are."""
        return self

    def outputs(self, network: Network) -> Array:
        """Outputs of the head for each row, (n_rows, n_outputs)."""
        tasks, places = self.parts.tasks(self.index)
        found = np.empty((len(self), network.head.shape[1]), dtype=network.head.dtype)
        parts = self.parts.begin_on(_outputs_of_part, tasks, network)()
        for at, part in zip(places, parts, strict=True):
            found[at] = part
        return found

    def loss_and_gradient(
        self,
        network: Network,
        loss: Any,
        target: Array,
        weight: Array,
        layers: Collection[int],
    ) -> tuple[float, dict[str, Array]]:
        """Mean over all rows of the weighted loss, and its gradient."""
        tasks, places = self.parts.tasks(self.index, target, weight)
        parts = self.parts.begin_on(_loss_of_part, tasks, (network, loss, layers))()
        value, gradient = 0.0, {}
        for at, (of_part, arrays) in zip(places, parts, strict=True):
            share = len(at) / len(self)
            value += share * of_part
            for name, x in arrays.items():
                x *= share
                gradient[name] = gradient[name] + x if name in gradient else x
        return value, gradient


class _Rows(NamedTuple):
    """Rows of a minibatch that are in one partition.

    Attributes
    ----------
    index : int array
        Their numbers in the partition.
    places : int array
        Their positions in the minibatch.
    n_rows : int
        Of the minibatch.
    weight : array
    target : array or None
    """

    index: np.ndarray
    places: np.ndarray
    n_rows: int
    weight: Array
    target: Array | None = None

    def draws(self, rng: Stream) -> RowStream:
        return RowStream(rng, self.n_rows, self.places)


class _Sums(NamedTuple):
    """What the rows of a partition add to an update.

    Attributes
    ----------
    loss, other_loss : float
        The weighted sum over the labelled rows, and the sum over virtual adversarial rows.
    gradient : dict of arrays
    inputs, top_down : lists of arrays
        Weighted sums of the inputs of each layer; empty if training is not centred.
    v : array or None
        The rows for the generative term.
    """

    loss: float
    other_loss: float
    gradient: dict[str, Array]
    inputs: list[Array]
    top_down: list[Array | None]
    v: Array | None


def gradient_on_cluster(
    tuning: Tuning,
    settings: FineTuningSettings,
    descent: Descent,
    training_rows: TrainingRows,
    index: np.ndarray,
    rate: float,
) -> tuple[float, float, tuple[Tape, Array], tuple[Array | None, Array]]:
    """As `_loop._gradient`, with the sums over rows on the workers.

    The tape has one row, the weighted mean of the inputs.
    """
    network, rng, inputs = tuning.network, tuning.rng, training_rows.inputs
    n_rows, weight = len(index), training_rows.weight[index]
    if settings.centered and not network.input_means:
        parts = _on_rows(inputs, inputs.index[index], _input_sums_of_part, network, weight)
        network.update_input_means(*_mean_of(parts, weight.sum()))
    target, chosen = training_rows.target[index], inputs.index[index]
    others, share, more = chosen, weight, settings.virtual_adversarial_eps > 0
    drawn = training_rows.drawn(settings, tuning.generative_term, n_rows, rng)
    if drawn is not None:
        among, drawn, share = drawn
        others = among.index[drawn]
    scale = descent.scale(rate) / n_rows
    tasks = [
        None
        if not len(at) and not len(other_at)
        else (
            _Rows(own, at, n_rows, weight[at], target[at]),
            _Rows(other, other_at, len(others), share[other_at]),
            copy.deepcopy(rng),
        )
        for (own, at), (other, other_at) in zip(
            inputs.parts.shares(chosen), inputs.parts.shares(others), strict=True
        )
    ]
    generative = tuning.generative_term is not None and settings.generative_weight > 0
    wait = inputs.parts.begin_on(_sums_of_part, tasks, (network, settings, scale, generative))
    # The stream advances as if it had drawn for all rows.
    _advance(network, settings, n_rows, len(others), rng)
    parts = wait()
    for name, x in descent.gradient.items():
        if name in parts[0].gradient:
            x[...] = parts[0].gradient[name]
            for part in parts[1:]:
                x += part.gradient[name]
    seen = None
    if settings.centered:
        total = weight.sum() + (share.sum() if more else 0)
        seen = _mean_of([(part.inputs, part.top_down) for part in parts], total)
    v = None
    if generative:
        rows = [part.v for part in parts]
        v = np.empty((len(others), rows[0].shape[1]), dtype=rows[0].dtype)
        for (_, of_part, _), x in zip(filter(None, tasks), rows, strict=True):
            v[of_part.places] = x
    other = sum(part.other_loss for part in parts) / (n_rows + len(others))
    return sum(part.loss for part in parts), other, seen, (v, share)


def _on_rows(
    inputs: RemoteInputs, index: np.ndarray, function: Any, common: Any, *of_rows: Array
) -> list[Any]:
    tasks, _ = inputs.parts.tasks(index, *of_rows)
    return inputs.parts.begin_on(function, tasks, common)()


def _mean_of(
    parts: list[tuple[list[Array], list[Array | None]]], total: float
) -> tuple[Tape, Array]:
    """A tape with one row, the means of the inputs from their sums, and its weight."""
    first, *others = parts
    means = []
    for i, sums in enumerate(first):
        rows = []
        for layer, x in enumerate(sums):
            for other in others:
                x = x if x is None else x + other[i][layer]
            rows.append(x if x is None else (x / total)[None, :])
        means.append(rows)
    return Tape(means[0], means[1], [], [], [], None), np.ones(1, dtype=means[0][0].dtype)


def _advance(
    network: Network, settings: FineTuningSettings, n_rows: int, n_others: int, rng: Stream
) -> None:
    """Make the draws of a minibatch for no row."""
    if not (settings.dropout or settings.hidden_dropout or settings.virtual_adversarial_eps):
        return
    nothing, dtype = np.empty(0, dtype=int), network.head.dtype
    n_columns = sum(W.shape[0] for W in network.W[:1])
    v = np.empty((0, n_columns), dtype=dtype)
    top_down = [None if A is None else np.empty((0, A.shape[0]), dtype) for A in network.A]
    target = np.empty((0, network.head.shape[1]), dtype=dtype)
    own = _Rows(nothing, nothing, n_rows, np.empty(0, dtype), target)
    other = _Rows(nothing, nothing, n_others, np.empty(0, dtype))
    _forward(network, settings, (v, top_down), own, (v, top_down), other, rng)


def _forward(
    network: Network,
    settings: FineTuningSettings,
    inputs: tuple[Array, list[Array | None]],
    own: _Rows,
    other_inputs: tuple[Array, list[Array | None]],
    other: _Rows,
    rng: Stream,
) -> tuple[Tape, Array, Array]:
    """The tape, targets and weights of the rows that an update presents in one partition."""
    labelled = *inputs, own.target, own.weight
    plain = replace(settings, virtual_adversarial_eps=0.0)
    v, top_down, target, weight = presented(network, plain, labelled, (), own.draws(rng))
    places, n_rows = own.places, own.n_rows
    if settings.virtual_adversarial_eps:
        u, more = other_inputs
        u, outputs = virtual_adversarial_rows(network, settings, u, more, other.draws(rng))
        v, top_down, target, weight = joined(
            (v, top_down, target, weight), (u, more, outputs, other.weight)
        )
        places, n_rows = np.concatenate((places, n_rows + other.places)), n_rows + other.n_rows
    draws = RowStream(rng, n_rows, places)
    tape = network.forward(v, top_down, settings.dropout, settings.hidden_dropout, draws)
    return tape, target, weight


def _sums_of_part(inputs: Inputs, common: tuple, task: tuple) -> _Sums:
    network, settings, scale, generative = common
    own, other, rng = task
    # What was sent to a worker is used again if the task is repeated.
    rng = copy.deepcopy(rng)
    rows = inputs.take(own.index)
    more = settings.virtual_adversarial_eps or generative
    other_rows = inputs.take(other.index) if more else rows
    tape, target, weight = _forward(network, settings, rows, own, other_rows, other, rng)
    losses, delta = settings.loss(tape.outputs, target)
    delta *= (weight * scale)[:, None]
    gradient = network.backward(tape, delta, settings.layers)
    n_own = len(own.index)
    sums = _weighted_inputs(tape, weight) if settings.centered else ([], [])
    return _Sums(
        float(losses[:n_own] @ weight[:n_own]),
        float(losses[n_own:].sum()),
        gradient,
        *sums,
        other_rows[0] if generative else None,
    )


def _weighted_inputs(tape: Tape, weight: Array) -> tuple[list[Array], list[Array | None]]:
    def sums(arrays: Iterable[Array | None]) -> list[Array | None]:
        return [x if x is None else weight @ x for x in arrays]

    return sums(tape.inputs), sums(tape.top_down)


def _input_sums_of_part(
    inputs: Inputs, network: Network, task: tuple
) -> tuple[list[Array], list[Array | None]]:
    index, weight = task
    return _weighted_inputs(network.forward(*inputs.take(index)), weight)


def _outputs_of_part(inputs: Inputs, network: Network, index: np.ndarray) -> Array:
    return _among(inputs, index).outputs(network)


def _loss_of_part(inputs: Inputs, common: tuple, task: tuple) -> tuple[float, dict[str, Array]]:
    network, loss, layers = common
    index, target, weight = task
    return _among(inputs, index).loss_and_gradient(network, loss, target, weight, layers)


def _among(inputs: Inputs, index: np.ndarray) -> Inputs:
    """The rows ``index``; without a copy if these are all of them, in order."""
    whole = len(index) == len(inputs) and np.array_equal(index, np.arange(len(index)))
    return inputs if whole else inputs.rows(index)
