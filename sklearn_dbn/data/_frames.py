"""Columns of data frames and arrays, and frames like those of the training.

Frames of every library that narwhals knows can be read and made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from ._dates import NO_FRAMES


class Given(NamedTuple):
    """A column of data as it was given.

    Attributes
    ----------
    values : array of shape (n_rows,)
        Numbers, NaN where missing; or objects, None where missing.
    levels : list or None
        Of a column of categories, in their order.
    ordered : bool
        Whether the order of the levels has a meaning.
    """

    values: np.ndarray
    levels: list | None = None
    ordered: bool = False

    @property
    def is_numeric(self) -> bool:
        return self.values.dtype != object and self.levels is None


def frame_of(X: Any) -> nw.DataFrame | None:
    """``X`` as a narwhals frame, or ``None`` if it is no data frame."""
    if isinstance(X, NO_FRAMES) or hasattr(X, "tocsr"):
        return None
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def columns_of(X: Any) -> list[Given]:
    """The columns of a frame, or of an array of two dimensions."""
    frame = frame_of(X)
    if frame is not None:
        return [_of_series(frame[:, index]) for index in range(frame.shape[1])]
    X = np.asarray(X)
    if X.dtype.kind in "biuf":
        return [Given(values.astype(np.float64)) for values in X.T]
    return [_of_objects(values) for values in np.asarray(X, dtype=object).T]


def _of_series(series: nw.Series) -> Given:
    dtype = series.dtype
    missing = series.is_null().to_numpy()
    if dtype.is_numeric():
        values = np.full(len(series), np.nan)
        values[~missing] = series.filter(~series.is_null()).to_numpy()
        return Given(values)
    values = np.array([*series.to_list(), None], dtype=object)[:-1]
    values[missing] = None
    if dtype == nw.Boolean:
        return Given(values, [False, True])
    if dtype in (nw.Categorical, nw.Enum):
        # The second is ordered in pandas, and has a fixed order in polars.
        return Given(values, _categories(series), dtype == nw.Enum)
    return _of_objects(values)


def _categories(series: nw.Series) -> list:
    """The levels of a column of categories, in order."""
    if series.dtype == nw.Enum:
        return list(series.dtype.categories)
    native = series.to_native()
    if hasattr(native, "cat") and hasattr(native.cat, "categories"):
        return native.cat.categories.tolist()
    # Those that occur: the library has no list of them for a single column.
    return sorted(series.drop_nulls().unique().to_list())


def _of_objects(values: np.ndarray) -> Given:
    """A column of Python objects: numbers if all are numbers."""
    missing = np.array([x is None or _is_nan(x) for x in values], dtype=bool)
    values = np.where(missing, None, values)
    present = values[~missing]
    if all(isinstance(x, bool | np.bool_) for x in present) and len(present):
        return Given(values, [False, True])
    if any(isinstance(x, str | bytes) for x in present):
        return Given(values)
    try:
        numbers = np.full(len(values), np.nan)
        numbers[~missing] = present.astype(np.float64)
        return Given(numbers)
    except (ValueError, TypeError):
        return Given(values)


def _is_nan(x: Any) -> bool:
    if type(x).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(x, float | np.floating) and x != x


@dataclass(frozen=True)
class Format:
    """What the frames of a library need beside the values of their columns.

    Attributes
    ----------
    library : str
        Its name in `narwhals.Implementation`.
    names : list
        Of the columns.
    dtypes : list of str
        Of the columns, as the library names them.
    levels : list of list or None
        Of the columns of categories, else ``None``.
    ordered : list of bool
    """

    library: str
    names: list
    dtypes: list[str]
    levels: list[list | None]
    ordered: list[bool]

    @classmethod
    def of(cls, X: Any) -> Format | None:
        """The format of the frame ``X``, or ``None`` if it is none."""
        frame = frame_of(X)
        if frame is None:
            return None
        series = [frame[:, index] for index in range(frame.shape[1])]
        categories = [x.dtype in (nw.Categorical, nw.Enum) for x in series]
        pandas = frame.implementation.is_pandas()
        native = list(X.dtypes) if pandas else [x.dtype for x in series]
        return cls(
            frame.implementation.name,
            list(X.columns),
            [str(x) if pandas else type(x).__name__ for x in native],
            [
                _categories(x) if has else None
                for x, has in zip(series, categories, strict=True)
            ],
            [x.dtype == nw.Enum for x in series],
        )

    def frame(self, columns: list[np.ndarray], like: Any = None) -> Any:
        """A frame of these columns, with the row labels of ``like`` if that has some."""
        if self.library == "PANDAS":
            return self._of_pandas(columns, getattr(like, "index", None))
        fields = zip(self.names, columns, self.dtypes, self.levels, strict=True)
        series = [
            nw.new_series(
                name,
                values.tolist(),
                nw.Enum(levels) if dtype == "Enum" else getattr(nw, dtype),
                backend=nw.Implementation[self.library],
            )
            for name, values, dtype, levels in fields
        ]
        return nw.to_native(nw.concat([x.to_frame() for x in series], how="horizontal"))

    def _of_pandas(self, columns: list[np.ndarray], index: Any) -> Any:
        import pandas as pd

        fields = zip(columns, self.dtypes, self.levels, self.ordered, strict=True)
        made = []
        for values, dtype, levels, ordered in fields:
            if levels is not None:
                dtype = pd.CategoricalDtype(levels, ordered)
            made.append(pd.Series(values, dtype=dtype, index=index))
        frame = pd.concat(made, axis=1)
        frame.columns = self.names
        return frame
