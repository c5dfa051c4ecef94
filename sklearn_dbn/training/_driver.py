"""The driver of a training: all that surrounds its passes, and its outcome.

`drive` calls a loop, which makes passes while `Passes.begin` allows one more, and ends each
with `Passes.end`. The loop implements a pass: the minibatches of a machine or of a network, or
an iteration of a solver. The driver implements the rest: callback tasks, history, printed
lines, checkpoints, interruption and divergence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .._cache import Checkpoint


class Diverged(ValueError):
    """The parameters are not finite, or too large; the message names the cause."""


class State(Protocol):
    """The state of a training: what it changes, and needs to resume.

    Attributes
    ----------
    n_passes : int
        Passes so far, in all calls that continued one another.
    history : dict of lists of float
        Each has a value for each pass.
    stalled : bool
        Whether early stopping ends the training here.
    """

    n_passes: int
    history: dict[str, list]

    @property
    def stalled(self) -> bool: ...

    def copy(self) -> State:
        """A copy that later passes do not change."""


class Tasks(Protocol):
    """Callback tasks, one for each pass."""

    def begin(self) -> Any:
        """Begin the task of a pass."""

    def end(self, task: Any, state: State) -> bool:
        """End the task; return whether a callback stops the training."""


class NoTasks:
    """No callbacks."""

    def begin(self) -> None: ...

    def end(self, task: Any, state: State) -> bool:
        return False


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes
    ----------
    state : State
        After its last complete pass.
    end : {"complete", "stopped", "interrupted"}
        It made all its passes, or early stopping ended it; a callback stopped it; the user
        interrupted it.
    n_made : int
        Passes made in this training.
    saved : bool
        Whether the cache has a checkpoint, from which the same training resumes.
    """

    state: Any
    end: str
    n_made: int
    saved: bool

    @property
    def complete(self) -> bool:
        return self.end == "complete"

    @property
    def interrupted(self) -> bool:
        return self.end == "interrupted"


class Passes:
    """The passes of one training.

    Parameters
    ----------
    state : State
    n_passes : int
        In all.
    n_done : int, default=0
        Of these, the passes that ``state`` is the result of.
    tasks : Tasks
    checkpoint : Checkpoint
    title : str or None
        The beginning of the line that is printed after each pass; ``None``: no lines.

    Attributes
    ----------
    before : State or None
        The state before the current pass; ``None`` in the first one.
    kept : State or None
        The state after the last complete pass; ``None`` if there is none.
    stopped : bool
        Whether a callback stopped the training.
    """

    def __init__(
        self,
        state: State,
        n_passes: int,
        n_done: int = 0,
        tasks: Tasks | None = None,
        checkpoint: Checkpoint | None = None,
        title: str | None = None,
    ):
        self.state, self.n_passes, self.title = state, n_passes, title
        self._first = state.n_passes - n_done
        self._tasks, self._checkpoint = tasks or NoTasks(), checkpoint or Checkpoint()
        self._task: Any = None
        self.before: State | None = None
        self.kept: State | None = state if n_done else None
        self.stopped = False

    @property
    def n_made(self) -> int:
        return self.state.n_passes - self._first

    def share(self, of_pass: float) -> float:
        """Share of the training that is done after the share ``of_pass`` of this pass."""
        return (self.n_made + of_pass) / self.n_passes

    def begin(self) -> bool:
        """Begin a pass, and return ``True``, if there is one more to make."""
        if self.stopped or self.state.stalled or self.n_made >= self.n_passes:
            return False
        self._task = self._tasks.begin()
        # A copy takes as long as a minibatch, and before the first pass nothing needs it.
        self.before = self.kept = self.state.copy() if self.n_made else None
        return True

    def end(self, record: Mapping[str, float]) -> None:
        """End a pass, and append its ``record`` to the history."""
        state = self.state
        append(state.history, record, state.n_passes)
        state.n_passes += 1
        self.kept = state
        self._checkpoint.save(state)
        if self.title is not None:
            print(f"{self.title}pass {state.n_passes}: {line_of(state.history)}")
        stop = self._tasks.end(self._task, state)
        self.stopped = bool(stop) and not state.stalled and self.n_made < self.n_passes


def drive(
    state: Any,
    loop: Callable[[Any, Passes], None],
    n_passes: int,
    *,
    tasks: Tasks | None = None,
    checkpoint: Checkpoint | None = None,
    title: str | None = None,
) -> Outcome:
    """Train, from the last checkpoint if there is one.

    Parameters
    ----------
    state : State
        Changed in place, unless a checkpoint replaces it.
    loop : callable
        ``loop(state, passes)`` makes the passes.
    n_passes : int
    tasks : Tasks or None
    checkpoint : Checkpoint or None
    title : str or None
        As in `Passes`.

    Raises
    ------
    Diverged
    """
    checkpoint, first = checkpoint or Checkpoint(), state.n_passes
    saved = checkpoint.load()
    if saved is not None:
        state = saved
        if title is not None:
            print(f"{title}resumes after pass {state.n_passes}, where it was interrupted")
    passes = Passes(state, n_passes, state.n_passes - first, tasks, checkpoint, title)
    try:
        loop(state, passes)
    except Diverged:
        checkpoint.remove()
        raise
    except BaseException as error:
        kept = passes.kept
        if kept is None:
            raise
        checkpoint.save(kept, now=True)
        if not isinstance(error, KeyboardInterrupt):
            raise
        return Outcome(kept, "interrupted", kept.n_passes - first, checkpoint.enabled)
    if passes.stopped:
        # The key of the cache does not depend on what callbacks do.
        checkpoint.remove()
        return Outcome(state, "stopped", passes.n_made, False)
    checkpoint.save(state, now=True)
    return Outcome(state, "complete", passes.n_made, checkpoint.enabled)


def append(history: dict[str, list], record: Mapping[str, float], n_before: int) -> None:
    """Append the values of a pass, after ``n_before`` others.

    All lists have one length: a value that a pass does not have is NaN.
    """
    for name in {**history, **record}:
        history.setdefault(name, [math.nan] * n_before).append(record.get(name, math.nan))


def line_of(history: Mapping[str, list]) -> str:
    """The last value of each list, for printing."""
    return ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())
