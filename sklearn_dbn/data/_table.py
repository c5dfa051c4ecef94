"""Tables: the kind and the levels of each column, found in `fit` and the same from then on.

A table turns rows as the user has them into rows of numbers, one for each column: a number
stays as it is, and a level becomes its position. NaN stands for a missing value. The unit types
make visible states of these rows, and estimates of these rows go back to the user's values.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._compat import _get_column_indices
from .._messages import shown
from ..units import HIDDEN, UNITS, Blocks, UnitType
from ._frames import Format, Given, columns_of, frame_of
from ._values import Unstored

# A column with more levels is a key or a free text, of which nothing can be learnt.
_MOST_LEVELS = 1000
# Larger counts share one level.
_LARGEST_COUNT = 50

# The text that names a column in messages, from its position.
Namer = Callable[[int], str]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    kind : str
        Name of its unit type.
    levels : list or None
        Its values in order, if they are given by their positions; ``None``: numbers.
    """

    kind: str
    levels: list | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its values are counts."""
        return UNITS[self.kind].takes == "counts"


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
    """

    columns: list[Column] | None
    format: Format | None
    missing: str = "nan"

    @classmethod
    def of(cls, X: Any, visible: Any, missing: str, name: Namer) -> Table:
        """The table of the training rows ``X``, for the parameters `visible` and `missing`."""
        format_ = Format.of(X)
        if missing == "unstored" and not sp.issparse(X):
            raise ValueError(
                f"missing='unstored' needs a sparse X, got {type(X).__name__}: give a CSR "
                "matrix of the observed values, or set missing='nan'."
            )
        plain = visible == "auto" or (isinstance(visible, str) and visible in HIDDEN)
        if plain and format_ is None and missing == "nan":
            return cls(None, None)
        given = _stored_columns(X, missing) if sp.issparse(X) else columns_of(X)
        if plain and all(column.is_numeric for column in given) and missing == "nan":
            return cls(None, format_)
        kinds = _kinds(X, visible, len(given), name)
        columns = [
            _column(column, kind, name(index))
            for index, (column, kind) in enumerate(zip(given, kinds, strict=True))
        ]
        return cls(columns, format_, missing)

    @property
    def n_columns(self) -> int | None:
        """The number of columns, if there are encoded ones."""
        return None if self.columns is None else len(self.columns)

    def unit(self, codes: Any, weight: np.ndarray) -> UnitType:
        """The unit type of the visible layer, from the training rows."""
        shares = self._shares(codes, np.asarray(weight, dtype=np.float64))
        places: dict[str, list[int]] = {}
        for index, column in enumerate(self.columns):
            # Two categories are one unit that is on or off.
            two = column.kind == "categorical" and len(column.levels) == 2
            places.setdefault("bernoulli" if two else column.kind, []).append(index)
        units = [
            UNITS[kind].fitted([shares[i] for i in indices]) for kind, indices in places.items()
        ]
        return units[0] if len(units) == 1 else Blocks(units, list(places.values()))

    def codes(self, X: Any, name: Namer) -> np.ndarray | Unstored:
        """Rows of numbers, (n_rows, n_columns), one warning for levels that are new."""
        new: list[tuple[int, Any]] = []
        if sp.issparse(X) and self.missing == "unstored":
            return self._sparse_codes(X, name, new)
        X = X.toarray() if sp.issparse(X) else X
        found = np.empty((len(X), len(self.columns)))
        pairs = zip(self.columns, columns_of(X), strict=True)
        for index, (column, given) in enumerate(pairs):
            found[:, index], unseen = _codes(column, given, name(index))
            new += [(index, level) for level in unseen]
        _warn_of_new(new, name)
        return found

    def _sparse_codes(self, X: Any, name: Namer, new: list) -> np.ndarray | Unstored:
        stored = sp.csc_array(X)
        data = np.empty(stored.nnz)
        for index, column in enumerate(self.columns):
            part = slice(stored.indptr[index], stored.indptr[index + 1])
            given = Given(stored.data[part].astype(np.float64))
            data[part], unseen = _codes(column, given, name(index))
            new += [(index, level) for level in unseen]
        _warn_of_new(new, name)
        return Unstored(sp.csc_array((data, stored.indices, stored.indptr), X.shape).tocsr())

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

    def rows(self, codes: np.ndarray, like: Any = None) -> Any:
        """A frame or an array like those of the training, from rows of numbers.

        Parameters
        ----------
        codes : array of shape (n_rows, n_columns)
        like : frame or array or None
            Rows as the user gave them: an array if that is one, and its row labels.
        """
        to_frame = self.format is not None and (like is None or frame_of(like) is not None)
        if to_frame:
            values = self.values(codes)
            return self.format.frame(list(map(_as, values, self.format.dtypes)), like)
        if self.columns is None:
            return codes
        values = self.values(codes)
        if all(x.dtype != object or _all_numbers(x) for x in values):
            return np.column_stack([x.astype(codes.dtype) for x in values])
        found = np.empty(codes.shape, dtype=object)
        for index, x in enumerate(values):
            found[:, index] = x
        return found

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
        names = [
            f"{x:g}" if column.levels is None else str(column.levels[round(x)]) for x in codes
        ]
        none = [None] * len(names)
        dtypes = ["float32" if proba.dtype == np.float32 else "float64"] * len(names)
        if not frame.implementation.is_pandas():
            dtypes = [x.capitalize() for x in dtypes]
        format_ = Format(frame.implementation.name, names, dtypes, none, [False] * len(names))
        return format_.frame(list(proba.T), like)

    def encoded_names(self, names: Sequence[str]) -> list[list[str]]:
        """Names of the encoded columns of each column: `job_nurse` for a level of `job`."""
        found = []
        for name, column in zip(names, self.columns or [None] * len(names), strict=True):
            if column is None or column.kind not in ("categorical", "bernoulli"):
                found.append([name])
            elif column.levels in (None, [False, True]):
                found.append([name])
            elif len(column.levels) == 2:
                found.append([f"{name}_{column.levels[1]}"])
            else:
                found.append([f"{name}_{level}" for level in column.levels])
        return found

    def decoded(self, encoded: np.ndarray) -> np.ndarray:
        """The inverse of `encoded`."""
        if self.columns is None:
            return encoded.copy()
        ends = np.cumsum([len(x) for x in self.encoded_names(range(len(self.columns)))])
        parts = np.split(encoded, ends[:-1], axis=1)
        found = [x[:, 0] if x.shape[1] == 1 else np.argmax(x, axis=1) for x in parts]
        return np.column_stack(found).astype(encoded.dtype)

    def encoded(self, codes: Any) -> Any:
        """One-hot columns of the categories, and all other columns as numbers."""
        if self.columns is None:
            return codes
        parts = []
        for column, x in zip(self.columns, codes.T, strict=True):
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
            total = counts.sum()
            found.append(counts / total if total else np.full(n, 1 / n))
        return found


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
        columns = columns(X) if callable(columns) else columns
        try:
            indices = _get_column_indices(X, columns)
        except (ValueError, IndexError, TypeError, KeyError) as error:
            raise ValueError(
                f"visible[{kind!r}]={shown(columns)} does not name columns of X, which has "
                f"{n_columns} columns: give names, positions, a mask, a slice or a function "
                "of X, as for ColumnTransformer."
            ) from error
        for index in indices:
            if kinds[index] is not None:
                raise ValueError(
                    f"visible names {name(index)} for {kinds[index]!r} and for {kind!r}: name "
                    "each column once."
                )
            kinds[index] = kind
    return kinds


def _column(given: Given, kind: str | None, where: str) -> Column:
    """The column of training rows, of the ``kind`` that the user gave, or an automatic one."""
    if kind is None:
        if given.is_numeric:
            x = given.values[~np.isnan(given.values)]
            kind = "bernoulli" if np.all((x >= 0) & (x <= 1)) else "gaussian"
        else:
            kind = "ordinal" if given.ordered else "categorical"
    takes = UNITS[kind].takes
    if takes == "counts":
        return Column(kind, _counts(given, kind, where))
    if takes == "numbers" and given.is_numeric:
        return Column(kind)
    levels = given.levels if given.levels is not None else _levels_in(given.values, where)
    if takes == "numbers":
        if kind == "bernoulli" and len(levels) <= 2:
            return Column("categorical" if len(levels) != 2 else "bernoulli", levels)
        raise ValueError(
            f"X has {shown(levels[0] if levels else None)} in {where}, and {kind} units take "
            "numbers: name that column for 'categorical' or 'ordinal' in visible."
        )
    if len(levels) > _MOST_LEVELS:
        raise ValueError(
            f"X has {len(levels)} levels in {where}, and a column may have {_MOST_LEVELS}: "
            "leave it out, or put rare levels together, for instance with "
            "OrdinalEncoder(max_categories=50)."
        )
    # A column without an observed value has one level, which no row has.
    return Column(kind, levels or [None])


def _levels_in(values: np.ndarray, where: str) -> list:
    """The different values of a column, in order."""
    values = values[~np.isnan(values)] if values.dtype != object else values[values != None]  # noqa: E711
    try:
        return sorted(set(values.tolist()))
    except TypeError:
        kinds = sorted({type(x).__name__ for x in values})
        raise ValueError(
            f"X has values of the types {' and '.join(kinds)} in {where}, which have no common "
            "order: make them all text, for instance with astype(str)."
        ) from None


def _counts(given: Given, kind: str, where: str) -> list:
    """0, 1, .. to the largest count, or to the mean of those that share the last level."""
    if not given.is_numeric and given.levels is None:
        raise ValueError(
            f"X has {shown(next(x for x in given.values if x is not None))} in {where}, and "
            f"{kind} units take whole numbers from 0: name that column for 'categorical'."
        )
    if given.levels is not None:
        values = np.asarray(given.levels, dtype=object)
    else:
        values = given.values[~np.isnan(given.values)]
    _check_counts(values, kind, where)
    largest = int(max(values, default=0))
    if kind == "binomial" or largest <= _LARGEST_COUNT:
        if largest > _MOST_LEVELS:
            raise ValueError(
                f"X has the count {largest} in {where}, and binomial units may have at most "
                f"{_MOST_LEVELS} trials: name that column for 'gaussian' or 'count'."
            )
        return list(range(largest + 1))
    last = float(np.mean([x for x in values if x >= _LARGEST_COUNT]))
    return [*range(_LARGEST_COUNT), round(last)]


def _check_counts(values: np.ndarray, kind: str, where: str, most: float = np.inf) -> None:
    try:
        wrong = [x for x in values if not (x >= 0 and x == int(x))]
    except (TypeError, ValueError):
        wrong = [values[0]]
    if wrong:
        raise ValueError(
            f"X has {shown(wrong[0])} in {where}, and {kind} units take whole numbers from 0: "
            "name that column for 'gaussian' or 'categorical' in visible."
        )
    above = [x for x in values if x > most]
    if above:
        raise ValueError(
            f"X has {shown(above[0])} in {where}, and the binomial units have {most:g} trials, "
            "the largest value in fit: fit on rows with that value, or use 'count'."
        )


def _codes(column: Column, given: Given, where: str) -> tuple[np.ndarray, list]:
    """The positions of the values of a column, NaN where missing, and levels that are new."""
    values, levels = given.values, column.levels
    if levels is None:
        if not given.is_numeric:
            present = [x for x in values if x is not None]
            raise ValueError(
                f"X has {shown(present[0] if present else None)} in {where}, which had numbers "
                "in fit: give numbers."
            )
        return values, []
    if column.is_whole:
        if not given.is_numeric:
            values = np.array([np.nan if x is None else x for x in values], dtype=np.float64)
        seen = values[~np.isnan(values)]
        most = len(levels) - 1
        _check_counts(seen, column.kind, where, most if column.kind == "binomial" else np.inf)
        return np.minimum(values, most), []
    place = {level: float(index) for index, level in enumerate(levels)}
    if values.dtype != object:
        different, inverse = np.unique(values, return_inverse=True)
        found = np.array([place.get(x, np.nan) for x in different.tolist()])
        unseen = [x for x in different.tolist() if x not in place and x == x]
        return found[inverse] if len(found) else np.empty(0), unseen
    found = np.array([place.get(x, np.nan) for x in values.tolist()], dtype=np.float64)
    unseen = sorted({x for x in values if x is not None and x not in place}, key=str)
    return found, unseen


def _warn_of_new(new: list[tuple[int, Any]], name: Namer) -> None:
    if not new:
        return
    index, level = new[0]
    others = f", and {len(new) - 1} other new levels" if len(new) > 1 else ""
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


def _as(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values for a column of ``dtype``: whole numbers where that is an integer type."""
    if "int" in dtype.lower() and values.dtype != object:
        return np.rint(values).astype(np.int64)
    return values


def _all_numbers(values: np.ndarray) -> bool:
    return all(isinstance(x, float | int | np.number) for x in values)
