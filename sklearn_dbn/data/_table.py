"""Tables: the kind and the levels of each column, found in `fit` and the same from then on.

A table turns rows as the user has them into rows of numbers, one for each column: a number
stays as it is, and a level becomes its position. NaN stands for a missing value. The unit types
make visible states of these rows, and estimates of these rows go back to the user's values.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._array_api import array_like, copied, is_foreign, on_host, to_numpy
from .._compat import _get_column_indices
from .._messages import shown
from ..units import HIDDEN, UNITS, Blocks, UnitType
from ._frames import Format, Given, columns_of, frame_of
from ._levels import (
    NUMBERS,
    Column,
    codes_of,
    column_of,
    has_zero_first,
)
from ._values import Unstored, dense, encodes

# The text that names a column in messages, from its position.
Namer = Callable[[int], str]


@dataclass(frozen=True)
class Table:
    """The columns of the rows that an estimator was fitted on.

    Attributes
    ----------
    columns : list of Column or None
        ``None``: numbers of a single unit type, which are not encoded.
    format : Format or None
        Of a data frame.
    missing : {"nan", "unstored"}
    pathways : dict of int arrays or None
        The columns of each pathway.
    """

    columns: list[Column] | None
    format: Format | None
    missing: str = "nan"
    pathways: dict[str, np.ndarray] | None = None

    @classmethod
    def of(cls, X: Any, visible: Any, missing: str, name: Namer, pathways: Any = None) -> Table:
        """The table of the training rows ``X``, for parameters of these names."""
        format_, places = Format.of(X), None
        if pathways is not None:
            places = _pathways(X, pathways, name)
        if missing == "unstored" and not sp.issparse(X):
            raise ValueError(
                f"missing='unstored' needs a sparse X, got {type(X).__name__}: give a CSR "
                "matrix of the observed values, or set missing='nan'."
            )
        plain = visible == "auto" or (isinstance(visible, str) and visible in HIDDEN)
        if plain and format_ is None and missing == "nan":
            return cls(None, None, pathways=places)
        given = _stored_columns(X, missing) if sp.issparse(X) else columns_of(X)
        if plain and all(column.is_numeric for column in given) and missing == "nan":
            return cls(None, format_, pathways=places)
        kinds = _kinds(X, visible, len(given), name)
        columns = [
            column_of(column, kind, name(index))
            for index, (column, kind) in enumerate(zip(given, kinds, strict=True))
        ]
        return cls(columns, format_, missing, places)

    @property
    def n_columns(self) -> int | None:
        """The number of columns, if there are encoded ones."""
        return None if self.columns is None else len(self.columns)

    def unit(self, codes: Any, weight: np.ndarray) -> UnitType:
        """The unit type of the visible layer, from the training rows."""
        shares = self._shares(codes, np.asarray(weight, dtype=np.float64))

        def of(columns: Any) -> UnitType:
            places: dict[str, list[int]] = {}
            for place, index in enumerate(columns):
                column = self.columns[index]
                # Two categories are one unit that is on or off.
                two = column.kind == "categorical" and len(column.levels) == 2
                places.setdefault("bernoulli" if two else column.kind, []).append(place)
            units = [
                UNITS[kind].fitted([shares[columns[i]] for i in indices])
                for kind, indices in places.items()
            ]
            return units[0] if len(units) == 1 else Blocks(units, list(places.values()))

        return self.by_pathway(of)

    def by_pathway(self, unit_of: Callable[[Any], UnitType]) -> UnitType:
        """The unit type of the visible layer, from that of the columns of a pathway.

        Not several blocks if that would change nothing: it would only take longer.
        """
        if self.pathways is None:
            every = slice(None) if self.columns is None else np.arange(len(self.columns))
            return unit_of(every)
        columns = list(self.pathways.values())
        units, order = list(map(unit_of, columns)), np.concatenate(columns)
        plain = all(unit is units[0] for unit in units) and not encodes(units[0])
        if plain and np.array_equal(order, np.arange(len(order))):
            return units[0]
        return Blocks(units, columns)

    def codes(self, X: Any, name: Namer) -> np.ndarray | sp.csr_array:
        """Rows of numbers, (n_rows, n_columns), one warning for levels that are new.

        Those of sparse rows are sparse if values that are not stored are missing, or if 0 is
        the number of 0 in all columns.
        """
        new: list[tuple[int, Any]] = []
        if sp.issparse(X):
            if self.missing == "unstored" or all(map(has_zero_first, self.columns)):
                return self._sparse_codes(X, name, new)
            X = X.toarray()
        found = np.empty((len(X), len(self.columns)))
        pairs = zip(self.columns, columns_of(X), strict=True)
        for index, (column, given) in enumerate(pairs):
            found[:, index], unseen = codes_of(column, given, name(index))
            new += [(index, level) for level in unseen]
        _warn_of_new(new, name)
        return found

    def _sparse_codes(self, X: Any, name: Namer, new: list) -> sp.csr_array:
        stored = sp.csc_array(X)
        data = np.empty(stored.nnz)
        for index, column in enumerate(self.columns):
            part = slice(stored.indptr[index], stored.indptr[index + 1])
            given = Given(stored.data[part].astype(np.float64))
            data[part], unseen = codes_of(column, given, name(index))
            new += [(index, level) for level in unseen]
        _warn_of_new(new, name)
        found = sp.csc_array((data, stored.indices, stored.indptr), X.shape).tocsr()
        return Unstored(found) if self.missing == "unstored" else found

    def values(self, codes: np.ndarray) -> list[np.ndarray]:
        """The columns of the user's values, from rows of numbers."""
        if self.columns is None:
            return list(codes.T)
        found = []
        for column, x in zip(self.columns, codes.T, strict=True):
            if column.levels is not None:
                levels = np.empty(len(column.levels), dtype=object)
                levels[:] = column.levels
                x = levels[np.clip(np.rint(x), 0, len(levels) - 1).astype(int)]
            found.append(x)
        return found

    def rows(self, codes: np.ndarray, like: Any = None, given: Any = None) -> Any:
        """A frame or an array like those of the training, from rows of numbers.

        Parameters
        ----------
        codes : array of shape (n_rows, n_columns)
        like : frame or array or None
            Rows as the user gave them: an array if that is one, and its row labels.
        given : array or CSR array of shape (n_rows, n_columns) or None
            The rows of numbers of ``like``, whose values are kept but for NaN.
        """
        framed = self.format is not None and (like is None or frame_of(like) is not None)
        if self.columns is None and not framed:
            return codes
        given = on_host(given)
        like = on_host(like)
        numbers = to_numpy(codes)
        values = self.values(numbers)
        if given is not None:
            self._keep_large(values, like, given)
        if framed:
            return self.format.frame(values, like)
        if all(x.dtype != object or _all_numbers(x) for x in values):
            found = np.column_stack([x.astype(numbers.dtype) for x in values])
            return array_like(found, codes) if is_foreign(codes) else found
        found = np.empty(codes.shape, dtype=object)
        for index, x in enumerate(values):
            found[:, index] = x
        return found

    def _keep_large(self, values: list[np.ndarray], like: Any, given: Any) -> None:
        """Restore, in place, the observed counts that share the last level."""
        shared = [
            index for index, column in enumerate(self.columns or []) if column.kind == "count"
        ]
        columns = columns_of(dense(like)) if shared else []
        for index in shared:
            last = len(self.columns[index].levels) - 1
            large = np.flatnonzero(dense(given[:, [index]])[:, 0] == last)
            values[index][large] = columns[index].values[large].astype(int)

    def by_level(self, proba: np.ndarray, index: int, codes: np.ndarray, like: Any) -> Any:
        """Probabilities of the values of a column: a frame if ``like`` is one.

        Parameters
        ----------
        proba : array of shape (n_rows, n_values)
        index : int
            Of the column.
        codes : array of shape (n_values,)
        like : frame or array
            Rows as the user gave them.
        """
        frame = frame_of(like)
        if frame is None:
            return proba
        column = Column("") if self.columns is None else self.columns[index]
        levels = [x if column.levels is None else column.levels[round(x)] for x in codes]
        names = [f"{x:g}" if column.levels is None else str(x) for x in levels]
        if len(set(names)) < len(names):
            names = [repr(x) for x in levels]
        dtype = "float32" if proba.dtype == np.float32 else "float64"
        return Format.like(like, names, dtype).frame(list(proba.T), like)

    def encoded_names(self, names: Sequence[str]) -> list[list[str]]:
        """Names of the encoded columns of each column: `job_nurse` for a level of `job`.

        `job_'nurse'` if another column would have the same name.
        """
        columns = self.columns or [None] * len(names)
        levels = [None if column is None else _encoded_levels(column) for column in columns]
        pairs = list(zip(names, levels, strict=True))
        found = [[n] if x is None else [f"{n}_{level}" for level in x] for n, x in pairs]
        count = Counter(chain.from_iterable(found))
        for of_column, (name, x) in zip(found, pairs, strict=True):
            for i, level in enumerate(x or []):
                if count[of_column[i]] > 1:
                    of_column[i] = f"{name}_{level!r}"
        return found

    def decoded(self, encoded: np.ndarray) -> np.ndarray:
        """The inverse of `encoded`."""
        if self.columns is None:
            return copied(encoded)
        if is_foreign(encoded):
            return array_like(self.decoded(to_numpy(encoded)), encoded)
        ends = np.cumsum([len(x) for x in self.encoded_names(range(len(self.columns)))])
        parts = np.split(encoded, ends[:-1], axis=1)
        found = [x[:, 0] if x.shape[1] == 1 else np.argmax(x, axis=1) for x in parts]
        return np.column_stack(found).astype(encoded.dtype)

    def encoded(self, codes: Any) -> Any:
        """One-hot columns of the categories, and all other columns as numbers."""
        if self.columns is None:
            return codes
        if is_foreign(codes):
            return array_like(self.encoded(to_numpy(codes)), codes)
        parts = []
        for column, x in zip(self.columns, dense(codes).T, strict=True):
            if column.kind == "categorical" and len(column.levels) != 2:
                one_hot = x[:, None] == np.arange(len(column.levels))
                parts.append(np.where(np.isnan(x)[:, None], np.nan, one_hot))
            else:
                parts.append(x[:, None])
        return np.concatenate(parts, axis=1)

    def _shares(self, codes: Any, weight: np.ndarray) -> list[np.ndarray | None]:
        """The share of each level among the observed values of each column."""
        stored = sp.csc_array(codes) if sp.issparse(codes) else None
        found: list[np.ndarray | None] = []
        for index, column in enumerate(self.columns):
            if column.levels is None:
                found.append(None)
                continue
            if stored is None:
                x, of_rows = codes[:, index], weight
            else:
                part = slice(stored.indptr[index], stored.indptr[index + 1])
                x, of_rows = stored.data[part], weight[stored.indices[part]]
            seen = ~np.isnan(x)
            n = len(column.levels)
            counts = np.bincount(x[seen].astype(int), of_rows[seen], minlength=n)
            if stored is not None and self.missing == "nan":
                counts[0] += weight.sum() - of_rows.sum()
            total = counts.sum()
            found.append(counts / total if total else np.full(n, 1 / n))
        return found


def _pathways(X: Any, pathways: Any, name: Namer) -> dict[str, np.ndarray]:
    """The columns of each pathway, in the order in which the user names them."""
    n_columns = X.shape[1]
    if not isinstance(pathways, Mapping) or not pathways:
        raise TypeError(
            f"pathways={shown(pathways)} must be a mapping from names of pathways to columns "
            "of X, as in {'image': ['a', 'b'], 'text': ['c']}."
        )
    owner: dict[int, Any] = {}
    found = {}
    for pathway, columns in pathways.items():
        indices = _indices(X, columns, f"pathways[{pathway!r}]", n_columns)
        if not indices:
            raise ValueError(
                f"pathways[{pathway!r}]={shown(columns)} has no columns: name some, or leave "
                "that pathway out."
            )
        for index in indices:
            if index in owner:
                raise ValueError(
                    f"pathways names {name(index)} for {owner[index]!r} and for {pathway!r}: "
                    "name each column once."
                )
            owner[index] = pathway
        found[pathway] = np.array(indices)
    left = sorted(set(range(n_columns)) - set(owner))
    if left:
        others = f" and {len(left) - 1} others" if len(left) > 1 else ""
        raise ValueError(
            f"pathways leaves out {name(left[0])}{others}: name each column of X in one "
            "pathway, or leave it out of X."
        )
    return found


def _indices(X: Any, columns: Any, where: str, n_columns: int) -> list[int]:
    """Positions of columns that the user names in the parameter ``where``."""
    columns = columns(X) if callable(columns) else columns
    try:
        return list(map(int, _get_column_indices(X, columns)))
    except (ValueError, IndexError, TypeError, KeyError, NotImplementedError):
        raise ValueError(
            f"{where}={shown(columns)} does not name columns of X, which has "
            f"{n_columns} columns: give names, positions, a mask, a slice or a function "
            "of X, as for ColumnTransformer."
        ) from None


def _kinds(X: Any, visible: Any, n_columns: int, name: Namer) -> list[str | None]:
    """The name of the unit type of each column, ``None`` where the column itself decides."""
    if isinstance(visible, str):
        return [None if visible == "auto" else visible] * n_columns
    kinds: list[str | None] = [None] * n_columns
    for kind, columns in visible.items():
        if kind not in UNITS:
            raise ValueError(
                f"visible has the key {shown(kind)}, and the types of columns are "
                f"{', '.join(map(repr, UNITS))}: use one of them."
            )
        for index in _indices(X, columns, f"visible[{kind!r}]", n_columns):
            if kinds[index] is not None:
                raise ValueError(
                    f"visible names {name(index)} for {kinds[index]!r} and for {kind!r}: name "
                    "each column once."
                )
            kinds[index] = kind
    return kinds


def _warn_of_new(new: list[tuple[int, Any]], name: Namer) -> None:
    if not new:
        return
    (index, level), n_others = new[0], len(new) - 1
    others = f", nor {'was' if n_others == 1 else 'were'} {n_others} more" if n_others else ""
    warnings.warn(
        f"X has the level {shown(level)} in {name(index)}, which was not there in fit{others}: "
        "taken as missing.",
        UserWarning,
        stacklevel=5,
    )


def _stored_columns(X: Any, missing: str) -> list[Given]:
    """The stored values of each column of a sparse matrix; with zeros if they are values."""
    stored = sp.csc_array(X)
    found = []
    for index in range(stored.shape[1]):
        values = stored.data[stored.indptr[index] : stored.indptr[index + 1]]
        values = values.astype(np.float64)
        if missing == "nan" and len(values) < stored.shape[0]:
            values = np.append(values, 0.0)
        found.append(Given(values))
    return found


def _encoded_levels(column: Column) -> list | None:
    """The levels that have an encoded column each; ``None`` if the column is its number."""
    if column.kind not in ("categorical", "bernoulli"):
        return None
    if column.levels in (None, [False, True]):
        return None
    return column.levels[1:] if len(column.levels) == 2 else column.levels


def _all_numbers(values: np.ndarray) -> bool:
    return all(isinstance(x, NUMBERS) for x in values)
