"""Draws of missing entries given the observed ones, and of visible rows of a stack.

A *stack* is a list of machines, the lowest first; each has the hidden layer of the one below as
its visible layer. Its distribution is that of the last machine and p(x_l | x_{l+1}) of the
others.

A pathway of a row without an observed entry says nothing about its hidden units: they are drawn
given the layer that joins the pathways, and then its entries given those, from the top down.
All other hidden units are proposed from their recognition distribution, and accepted or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._array_api import Array, copied, namespace
from .._random import Stream
from ..machine import Machine, States, blocks
from ..samplers import independent
from ._stack import log_weight, propose


def conditional_draws(
    stack: Sequence[Machine], v: Array, missing: Array, n_sweeps: int, rng: Stream
) -> Iterator[tuple[Array, Array]]:
    """Rows with their missing entries drawn anew at each sweep, given the observed ones.

    One machine is swept by Gibbs sampling. In a stack of several, p(missing, hidden | observed)
    is stationary under Metropolis-Hastings steps of the hidden layers, followed by draws of
    the missing entries given the layer above.

    Parameters
    ----------
    stack : sequence of Machine
    v : array of shape (n_rows, n_0)
        The start of the chains, without gaps.
    missing : bool array of shape (n_rows, n_0)
    n_sweeps : int
    rng : Stream

    Yields
    ------
    v : array of shape (n_rows, n_0)
        The rows after a sweep.
    summary : array of shape (n_rows, k)
        The `UnitType.summary` of all visible units given the layer above.
    """
    xp, bottom = namespace(v), stack[0]
    states: States = independent(bottom, bottom.par, bottom.even, v.shape[0], rng)
    deep = len(stack) > 1
    lacking = _lacking_units(stack, missing) if deep else []
    hidden = propose(stack, v, rng)[0] if deep else []
    for _ in range(n_sweeps):
        states[0] = v
        if deep:
            proposed, weight = propose(stack, v, rng, hidden, lacking)
            gain = weight - log_weight(stack, v, hidden)
            accept = xp.log(rng.uniform_like(gain[:, None])) < gain[:, None]
            pairs = zip(proposed, hidden, strict=True)
            hidden = [xp.where(accept, new, old) for new, old in pairs]
            _redraw_lacking(stack, hidden, lacking, rng)
            states[1] = hidden[0]
        else:
            states = bottom.sample(bottom.odd, states, rng)
        states, fields = bottom.conditionals(bottom.even, states)
        summary = bottom.units[0].summary(fields[0], bottom.par[0], states[0])
        # `draw` may overwrite the means.
        summary = copied(summary)
        states = bottom.draw(bottom.even, states, fields, rng)
        v = xp.where(missing, states[0], v)
        yield v, summary


def _lacking_units(stack: Sequence[Machine], missing: Array) -> list[Array]:
    """For each machine whose pathways are separate, its hidden units of those that rows lack.

    Bool arrays of shape (n_rows, n_1), up to the machine that joins the pathways; none if
    nothing joins any.
    """
    found = []
    for machine in stack:
        parts = list(blocks(machine.W[0]))
        if len(parts) == 1:
            return found
        xp = namespace(missing)
        lacks = [xp.all(missing[:, below], axis=1)[:, None] for _, below, _ in parts]
        shapes = [(missing.shape[0], part.shape[1]) for part, _, _ in parts]
        pairs = zip(lacks, shapes, strict=True)
        missing = xp.concat([xp.broadcast_to(*pair) for pair in pairs], axis=1)
        found.append(missing)
    return []


def _redraw_lacking(
    stack: Sequence[Machine], hidden: States, lacking: list[Array], rng: Stream
) -> None:
    """Draw the units that are ``lacking`` given the layer above them, from the top down."""
    n = len(lacking)
    if not n:
        return
    joint = stack[n]
    if n < len(hidden):
        states: States = [None, hidden[n]]
    else:
        states = joint.sample(joint.odd, [hidden[n - 1], *[None] * len(joint.W)], rng)
    for layer in range(n - 1, -1, -1):
        drawn = stack[layer + 1].sample([0], states, rng)[0]
        hidden[layer] = namespace(drawn).where(lacking[layer], drawn, hidden[layer])
        states = [None, hidden[layer]]


def pass_down(stack: Sequence[Machine], states: Array, rng: Stream) -> Array:
    """Draw the visible layer of a stack, given that of its last machine, (n_rows, n_0)."""
    for machine in reversed(stack[:-1]):
        states = machine.sample([0], [None, states], rng)[0]
    return states
