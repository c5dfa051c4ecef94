"""Training of a network on targets: minibatches or all rows, early stopping, history."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from ._array_api import Array
from ._blas import blas_threads
from ._examples import Examples
from ._machine import Machine
from ._mean_field import settle
from ._network import Network, all_outputs, hidden_layers, loss_and_gradient
from ._random import Stream
from ._training import SHRINK_EVERY, Diverged
from .optim import Adam, Descent, Momentum
from .samplers import Chains, PersistentContrastiveDivergence

# What scipy calls the solvers that look at all rows before each step.
FULL_BATCH = {"lbfgs": "L-BFGS-B", "cg": "CG"}
# The status by which it says that all iterations were made.
_LIMIT = 1
SOLVERS = ("adam", "sgd", *FULL_BATCH)
# Saturated units keep all else finite; no network of use is this wrong.
_LARGEST_LOSS = 1e6
# A scale of the targets that changes by this factor was made of too few rows.
_GUESS = 2.0


@dataclass(frozen=True)
class Settings:
    """How a network is trained; the estimators fill it in from their parameters.

    ``factors`` holds a factor on the learning rate for each hidden layer; one whose factor is
    0 is not touched.
    """

    loss: Any
    solver: str
    learning_rate: float
    factors: tuple[float, ...]
    schedule: Callable[[float], float]
    momentum: float
    batch_size: int
    dropout: float
    hidden_dropout: float
    adversarial: float
    virtual_adversarial: float
    centered: bool
    max_norm: float | None
    weight_decay: float
    generative_weight: float

    @property
    def layers(self) -> list[int]:
        return [layer for layer, factor in enumerate(self.factors) if factor]

    def factors_of(self, names: Iterable[str]) -> dict[str, float]:
        """The factor on the learning rate of each parameter."""
        head = ("head", "intercept")
        return {k: 1.0 if k in head else self.factors[int(k[1:])] for k in names}

    @property
    def rule(self) -> Any:
        return Adam() if self.solver == "adam" else Momentum(self.momentum)


@dataclass
class Pull:
    """Machines that share their weights with a network, and draw them to their likelihood.

    Attributes
    ----------
    machines : list of Machine
        The lowest first; their weights and hidden parameters are the arrays of the network.
    chains : list of Chains
    offsets : list of lists of arrays
        Where the gradient of each machine is centred.
    n_mean_field_steps : int
    """

    machines: list[Machine]
    chains: list[Chains]
    offsets: list[list[Array]]
    n_mean_field_steps: int = 5

    def visible(self) -> dict[str, Array]:
        """Parameters that the network has not: those of the visible units of each machine."""
        return {f"a{i}": machine.par[0] for i, machine in enumerate(self.machines)}

    def clear(self, gradient: dict[str, Array]) -> None:
        """Set the gradient of the parameters of visible units to zero."""
        for name in self.visible():
            if name in gradient:
                gradient[name][:] = 0

    def add_to(
        self,
        gradient: dict[str, Array],
        v: Array,
        weight: Array,
        factor: float,
        rng: Stream,
        balanced: bool = False,
    ) -> None:
        """Add ``factor`` times the gradient of minus the mean log-likelihood of the rows.

        That of each machine, on samples of the layer below; for parameters that ``gradient``
        has. What it has for visible units is overwritten. ``balanced``: the step of the hidden
        biases will make up for that of the weights below them, so that their gradient does not.
        """
        sampler = PersistentContrastiveDivergence()
        x = self.machines[0].units[0].present(v.copy(), rng)
        for i, machine in enumerate(self.machines):
            data = settle(machine, x, self.n_mean_field_steps)
            states, self.chains[i] = sampler.phases(machine, data, self.chains[i], rng)
            if i + 1 < len(self.machines):
                means = states[1][: len(x)].copy()
                x = machine.draw([1], [None, means], rng)[1]
            n_chains = self.chains[i].states[0].shape[0]
            share = np.full(len(weight) + n_chains, factor / n_chains, dtype=weight.dtype)
            share[: len(weight)] = weight / weight.sum() * -factor
            pull = machine.gradient(states, share, self.offsets[i])
            machine.precondition(pull, self.offsets[i])
            if f"a{i}" in gradient:
                gradient[f"a{i}"][:] = pull.par[0]
            for layer, (W, par) in enumerate(zip(pull.W, pull.par[1:], strict=True), start=i):
                if f"W{layer}" in gradient:
                    gradient[f"W{layer}"] += W
                    gradient[f"b{layer}"] += par[0]
                    if balanced:
                        gradient[f"b{layer}"] += self.offsets[i][layer - i] @ W


@dataclass
class Tuning:
    """Everything that a fine-tuning needs to go on where it stopped.

    Attributes
    ----------
    network : Network
    rng : Stream
    machines : list of Machine
        Those whose arrays the network moves, and ``pull`` with it.
    pull : Pull or None
    moved : list of int
        The hidden layers that were trained so far.
    memory : Memory or None
        What the update rule of ``solver`` remembers.
    solver : str
    best : tuple of float, or None
        Score and minus the loss on the validation part, after the best pass so far.
    kept : dict of arrays
        The parameters after that pass.
    n_stalled : int
        Passes since then.
    limited : bool
        Whether scipy made all the iterations that it may, and had not converged.
    """

    network: Network
    rng: Stream
    machines: list[Machine]
    pull: Pull | None = None
    moved: list[int] = field(default_factory=list)
    memory: Any = None
    solver: str = ""
    best: tuple[float, float] | None = None
    kept: dict[str, Array] = field(default_factory=dict)
    n_stalled: int = 0
    limited: bool = False
    n_epochs: int = 0
    history: dict[str, list] = field(default_factory=dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        # joblib.dump writes a shared array once for each that shares it.
        _, self.network.par, self.network.W = hidden_layers(self.machines)

    def copy(self) -> Tuning:
        # One deep copy, so that the machines share the arrays of the new network.
        return copy.deepcopy(self)

    def parameters(self, layers: list[int]) -> dict[str, Array]:
        """All arrays that move when ``layers`` do."""
        found = self.network.parameters(layers)
        if self.pull is not None:
            found |= {k: x for k, x in self.pull.visible().items() if int(k[1:]) in layers}
        return found

    def convert_outputs(self, ratio: Array, shift: Array) -> None:
        """Let the head give ``ratio`` times what it gave, plus ``shift``."""
        network = self.network
        network.head *= ratio
        network.intercept *= ratio
        network.intercept += shift
        if self.memory is None:
            return
        if ratio.min() < 1 / _GUESS or ratio.max() > _GUESS:
            # The errors that the rule remembers were of another size.
            self.memory, self.solver = None, ""
        else:
            # The memory of the other parameters fades faster than the scale moves.
            for joined, factor in ((self.memory.first, ratio), (self.memory.second, ratio**2)):
                if joined is not None:
                    remembered = joined.views()
                    remembered["head"] *= factor
                    remembered["intercept"] *= factor

    def restore(self) -> None:
        """Go back to the parameters of the best pass."""
        own = self.parameters(list(range(len(self.network.W))))
        for name, x in self.kept.items():
            own[name][...] = x

    def record(
        self, settings: Settings, loss: float, validation: Examples | None
    ) -> dict[str, float]:
        """Write down a pass, and keep its parameters where they are the best so far."""
        record = {"loss": loss}
        if not loss < _LARGEST_LOSS:
            raise Diverged
        if validation is not None:
            outputs = all_outputs(self.network, validation.inputs)
            score = settings.loss.score(outputs.copy(), validation.target, validation.weight)
            losses, _ = settings.loss(outputs, validation.target)
            held_out = float(np.average(losses, weights=validation.weight))
            record |= {"validation_loss": held_out, "validation_score": score}
            self.n_stalled += 1
            if self.best is None or (score, -held_out) > self.best:
                self.best, self.n_stalled = (score, -held_out), 0
                own = self.parameters(settings.layers)
                self.kept = {name: x.copy() for name, x in own.items()}
        self.n_epochs += 1
        # A pass without a validation part has no score; the lists stay of one length.
        for name in {**self.history, **record}:
            values = self.history.setdefault(name, [math.nan] * (self.n_epochs - 1))
            values.append(record.get(name, math.nan))
        return record


def passes(
    tuning: Tuning,
    settings: Settings,
    examples: Examples,
    n_epochs: int,
    validation: Examples | None = None,
    n_done: int = 0,
) -> Iterator[None]:
    """Pass over ``examples`` in minibatches each time the iterator is advanced.

    ``n_done`` of the ``n_epochs`` passes ``tuning`` has behind it.

    Raises
    ------
    Diverged
        When the loss is not finite, or beyond all use.
    """
    rule, n_rows = settings.rule, len(examples.target)
    parameters = tuning.parameters(settings.layers)
    if tuning.solver != settings.solver or tuning.memory.names != list(parameters):
        tuning.memory, tuning.solver = rule.start(parameters), settings.solver
    descent = Descent(rule, parameters, settings.factors_of(parameters), tuning.memory)
    n_batches = -(-n_rows // settings.batch_size)
    weights = [*tuning.network.W, tuning.network.head]
    for epoch in range(n_done, n_epochs):
        order, total, owed = tuning.rng.permutation(n_rows), 0.0, 0.0
        # What overflows here is reported below, in one sentence instead of many warnings.
        with (
            np.errstate(over="ignore", invalid="ignore", divide="ignore"),
            blas_threads(settings.batch_size, weights),
        ):
            for i in range(n_batches):
                index = order[i * n_rows // n_batches : (i + 1) * n_rows // n_batches]
                progress = (epoch + i / n_batches) / n_epochs
                rate = settings.learning_rate * settings.schedule(progress)
                total += _step(tuning, settings, descent, examples, index, rate)
                owed += rate
                if (i + 1) % SHRINK_EVERY == 0 or i + 1 == n_batches:
                    _shrink(tuning.network, settings, owed)
                    owed = 0.0
        tuning.record(settings, total / float(examples.weight.sum()), validation)
        yield


def _step(
    tuning: Tuning,
    settings: Settings,
    descent: Descent,
    examples: Examples,
    index: np.ndarray,
    rate: float,
) -> float:
    """One minibatch: move the parameters; returns the loss summed over its rows."""
    network, rng, layers = tuning.network, tuning.rng, settings.layers
    pulled = tuning.pull is not None and settings.generative_weight > 0
    v, above = examples.inputs.take(index)
    labelled = v, above, examples.target[index], examples.weight[index]
    if settings.centered and not network.rest:
        network.follow(network.forward(v, above), examples.weight[index])
    # What needs no target, of the rows as they are.
    free = v, above, examples.weight[index]
    if examples.every is not None and (pulled or settings.virtual_adversarial):
        inputs, every = examples.every
        # A whole minibatch, however few rows have a target; together they weigh as much.
        n_drawn = min(settings.batch_size, len(every))
        drawn = (rng.uniform(n_drawn) * len(every)).astype(np.intp)
        free = *inputs.take(drawn), every[drawn] * (len(index) / n_drawn)
    rows, above, target, weight = _presented(network, settings, labelled, free, rng)
    tape = network.forward(rows, above, settings.dropout, settings.hidden_dropout, rng)
    losses, delta = settings.loss(tape.outputs, target)
    n_rows = len(index)
    # The record of the pass is of the other rows alone.
    if len(losses) > n_rows and not losses[n_rows:].sum() < len(losses) * _LARGEST_LOSS:
        raise Diverged
    scale = descent.scale(rate)
    delta *= (weight * (scale / n_rows))[:, None]
    gradient = descent.gradient
    network.backward(tape, delta, layers, gradient)
    v, _, share = free
    if pulled and share.any():
        pull = scale * settings.generative_weight
        tuning.pull.add_to(gradient, v, share, pull, rng, settings.centered)
    elif tuning.pull is not None:
        tuning.pull.clear(gradient)
    before = network.at_rest(layers)
    descent.step(rate)
    if settings.max_norm is not None:
        network.limit(layers, settings.max_norm)
    network.balance(layers, before)
    if settings.centered:
        network.follow(tape, weight)
    if tuning.pull is not None:
        for machine in tuning.pull.machines:
            machine.project()
    return float(losses[:n_rows] @ weight[:n_rows])


def _presented(
    network: Network, settings: Settings, labelled: tuple, free: tuple, rng: Stream
) -> tuple[Array, list, Array, Array]:
    """Rows, what is heard from above, targets and weights, as the network learns them.

    The ``labelled`` ones, moved or not; and after them the ``free`` ones, moved, whose target
    is what the network says of them where they were.
    """
    v, above, target, weight = labelled
    if settings.adversarial:
        tape = network.forward(v, above, settings.dropout, settings.hidden_dropout, rng)
        _, delta = settings.loss(tape.outputs, target)
        v = v + _of_length(settings.adversarial, network.uphill(tape, delta))
    if settings.virtual_adversarial:
        u, heard, share = free
        u, said = _wavering(network, settings, u, heard, rng)
        v, target, weight = map(np.concatenate, ((v, u), (target, said), (weight, share)))
        pairs = zip(above, heard, strict=True)
        above = [q if q is None else np.concatenate((q, p)) for q, p in pairs]
    return v, above, target, weight


def _wavering(
    network: Network, settings: Settings, v: Array, above: list, rng: Stream
) -> tuple[Array, Array]:
    """Rows moved to where the network says most else, and what it says of them unmoved.

    Most by the loss, that is by the divergence (Miyato et al. 2018,
    doi:10.1109/TPAMI.2018.2858821). It has no slope at the row itself. Its gradient is taken at
    a random place as far away as the step is long; next to the row, where they take it, it
    would be lost in rounding once the network is sure.
    """
    loss, length = settings.loss, settings.virtual_adversarial
    outputs = network.outputs(v, above)
    # The derivative is what is said, less the target.
    _, said = loss(outputs, np.zeros_like(outputs))
    tape = network.forward(v + _of_length(length, rng.normal(v)), above)
    _, delta = loss(tape.outputs, said)
    return v + _of_length(length, network.uphill(tape, delta)), said


def _of_length(length: float, x: Array) -> Array:
    """Scale each row, in place; one that is zero stays so."""
    tiny = np.finfo(x.dtype).smallest_normal
    # First by the largest value, as the squares of small ones would be lost.
    x /= np.maximum(np.abs(x).max(axis=1, keepdims=True), tiny)
    norm = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    x *= length / np.maximum(norm, tiny)
    return x


def _shrink(network: Network, settings: Settings, step: float) -> None:
    """Weight decay of several steps; apart from the gradient, which Adam would rescale."""
    if not settings.weight_decay:
        return
    before, parameters = network.at_rest(settings.layers), network.parameters(settings.layers)
    factors = settings.factors_of(parameters)
    for name, x in parameters.items():
        if x.ndim == 2:
            x *= 1.0 - step * factors[name] * settings.weight_decay
    network.balance(settings.layers, before)


def descend(
    tuning: Tuning,
    settings: Settings,
    examples: Examples,
    n_epochs: int,
    validation: Examples | None,
    stop: Callable[[], bool],
) -> bool:
    """Let scipy minimise the loss over all rows, weight decay included, for ``n_epochs``.

    ``stop`` is asked after each iteration. What cuts it short leaves the last one. Returns
    whether ``n_epochs`` were too few.

    Raises
    ------
    Diverged
        When the loss is not finite, or beyond all use.
    """
    parameters = tuning.network.parameters(settings.layers)
    ends = np.cumsum([x.size for x in parameters.values()])

    def put(flat: Array) -> None:
        for x, part in zip(parameters.values(), np.split(flat, ends[:-1]), strict=True):
            x[...] = part.reshape(x.shape)

    def objective(flat: Array) -> tuple[float, Array]:
        put(flat)
        value, gradient = loss_and_gradient(
            tuning.network,
            settings.loss,
            examples.inputs,
            examples.target,
            examples.weight,
            settings.layers,
        )
        for name, x in parameters.items():
            if settings.weight_decay and x.ndim == 2:
                value += 0.5 * settings.weight_decay * float(np.vdot(x, x))
                gradient[name] += settings.weight_decay * x
        flat = [gradient[name].ravel() for name in parameters]
        return value, np.concatenate(flat).astype(np.float64)

    def after(intermediate_result: Any) -> None:
        nonlocal reached
        reached = intermediate_result.x.copy()
        put(reached)
        tuning.record(settings, float(intermediate_result.fun), validation)
        if stop():
            raise StopIteration

    start = np.concatenate([x.ravel() for x in parameters.values()]).astype(np.float64)
    reached = start
    method, options = FULL_BATCH[settings.solver], {"maxiter": n_epochs}
    try:
        # What overflows here is reported below, in one sentence instead of many warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            found = minimize(
                objective, start, jac=True, method=method, callback=after, options=options
            )
        reached = found.x
    finally:
        # What was tried last is no iterate.
        put(reached)
    if not math.isfinite(found.fun):
        # Then scipy gives up before the first iteration.
        raise Diverged
    return found.status == _LIMIT
