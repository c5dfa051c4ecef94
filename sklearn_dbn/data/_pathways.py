"""Pathways that a machine draws given the others, while it is trained to join them.

A pathway is drawn where a row lacks it, and in a share of the presentations where it is there:
the machine is then trained on p(the others), the sum over that pathway, as it is used for rows
that lack it (modality dropout; Srivastava, Salakhutdinov 2014, JMLR 15:2949, train with the
whole rows only).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._array_api import Array, copied, device, entries_where, namespace, put, take
from .._random import Stream
from ..machine import Machine
from ._gaps import initial_states, redraw

# Sweeps of each chain, which is new at each presentation. The chains of the negative phase make
# as many: docs/decisions/gaps.md.
JOINT_SWEEPS = 5


@dataclass
class JoinedPathways:
    """The pathways of the visible layer of a machine that joins them.

    Parameters
    ----------
    columns : list of slice
        The states of each.
    dropout : float
        Share of the presentations in which one of them, each as often, is drawn.

    Attributes
    ----------
    machine : Machine or None
        The machine that is trained; ``None`` before the training, where nothing is drawn.
    """

    columns: list[slice]
    dropout: float
    machine: Machine | None = None

    def hidden(self, lacking: np.ndarray, rng: Stream) -> np.ndarray:
        """Which pathways of rows are drawn, a bool array of shape (n_rows, n_pathways).

        ``lacking`` are those without an observed value, and of the same shape.
        """
        if not self.dropout:
            return lacking
        n_rows, n_pathways = lacking.shape
        place = rng.uniform(n_rows) * n_pathways / self.dropout
        return lacking | (np.floor(place)[:, None] == np.arange(n_pathways))

    def fill(self, v: Array, hidden: np.ndarray, rng: Stream) -> Array:
        """The rows ``v`` with their ``hidden`` pathways drawn, on a copy."""
        rows, xp = np.flatnonzero(hidden.any(axis=1)), namespace(v)
        if self.machine is None or not len(rows):
            return v
        missing = np.zeros((len(rows), v.shape[1]), dtype=bool)
        for at, of_pathway in zip(self.columns, hidden[rows].T, strict=True):
            missing[:, at] = of_pathway[:, None]
        missing = xp.asarray(missing, device=device(v))
        first, *above = initial_states(self.machine, len(rows), rng)
        part = xp.where(missing, first, take(v, rows))
        entries = entries_where(missing)
        v = copied(v)
        put(v, rows, redraw(self.machine, [part, *above], entries, JOINT_SWEEPS, rng)[0])
        return v
