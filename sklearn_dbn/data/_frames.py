"""Columns of data frames and arrays, and frames like those of the training.

Frames of every library that narwhals knows can be read and made.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np

from ._dates import NO_FRAMES, with_narwhals


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

    @property
    def present(self) -> np.ndarray:
        """The values that are not missing."""
        if self.values.dtype == object:
            return self.values[np.array([x is not None for x in self.values], dtype=bool)]
        return self.values[~np.isnan(self.values)]


def frame_of(X: Any) -> nw.DataFrame | None:
    """``X`` as a narwhals frame, or ``None`` if it is no data frame."""
    if isinstance(X, NO_FRAMES) or hasattr(X, "tocsr"):
        return None
    frame = with_narwhals(X, eager_only=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def is_single(X: Any) -> bool:
    """Whether all numbers in ``X`` are of single or half precision, and there are some."""
    frame = frame_of(X)
    if frame is None:
        return getattr(X, "dtype", None) in (np.float32, np.float16)
    numbers = [dtype for dtype in frame.schema.values() if dtype.is_numeric()]
    return bool(numbers) and all(type(x).__name__ in ("Float32", "Float16") for x in numbers)


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
    """A column of Python objects: numbers if all are numbers, and there are some."""
    missing = np.array([x is None or _is_nan(x) for x in values], dtype=bool)
    values = np.where(missing, None, values)
    present = values[~missing]
    if not len(present) or not all(isinstance(x, Real | Decimal | np.bool_) for x in present):
        return Given(values)
    if all(isinstance(x, bool | np.bool_) for x in present):
        return Given(values, [False, True])
    numbers = np.full(len(values), np.nan)
    numbers[~missing] = [_float(x) for x in present]
    return Given(numbers)


def _float(x: Any) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf


def _is_nan(x: Any) -> bool:
    if type(x).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(x, float | np.floating) and x != x


@dataclass(frozen=True)
class Format:
    """What the frames of a library need beside the values of their columns.

    All of it is plain text, lists and numbers, which skops saves. Decimals, whose precision it
    lacks, become 64-bit numbers.

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
    level_dtypes : list of str or None
        Of these levels, in pandas.
    ordered : list of bool
    header : list
        The names that pandas has for the levels of the column labels.
    """

    library: str
    names: list
    dtypes: list[str]
    levels: list[list | None]
    level_dtypes: list[str | None]
    ordered: list[bool]
    header: list

    @classmethod
    def of(cls, X: Any) -> Format | None:
        """The format of the frame ``X``, or ``None`` if it is none."""
        frame = frame_of(X)
        if frame is None:
            return None
        series = [frame[:, index] for index in range(frame.shape[1])]
        categories = [x.dtype in (nw.Categorical, nw.Enum) for x in series]
        pandas = frame.implementation.is_pandas()
        native = [getattr(x, "categories", None) for x in X.dtypes] if pandas else []
        return cls(
            frame.implementation.name,
            list(frame.columns),
            [_name_of(x) for x in (X.dtypes if pandas else frame.schema.values())],
            [
                _categories(x) if has else None
                for x, has in zip(series, categories, strict=True)
            ],
            [None if x is None else str(x.dtype) for x in native],
            [x.dtype == nw.Enum for x in series],
            list(X.columns.names) if pandas else [],
        )

    @classmethod
    def like(cls, X: Any, names: list, dtype: str) -> Format:
        """Of frames of the library of the frame ``X``, with columns of one NumPy ``dtype``."""
        frame, none = frame_of(X), [None] * len(names)
        pandas = frame.implementation.is_pandas()
        dtypes = [dtype if pandas else dtype.capitalize()] * len(names)
        ordered = [False] * len(names)
        return cls(frame.implementation.name, names, dtypes, none, none, ordered, [None])

    def frame(self, columns: list[np.ndarray], like: Any = None) -> Any:
        """A frame of these columns, with the row labels of ``like`` if that has some."""
        pairs = zip(columns, self.dtypes, self.levels, strict=True)
        columns = [x if levels is not None else _fitting(x, name) for x, name, levels in pairs]
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

        fields = zip(
            columns, self.dtypes, self.levels, self.level_dtypes, self.ordered, strict=True
        )
        made = []
        for values, name, levels, of_levels, ordered in fields:
            if levels is None:
                dtype = _pandas_dtype(name)
            else:
                dtype = pd.CategoricalDtype(pd.Index(levels, dtype=of_levels), ordered)
            made.append(pd.Series(values, dtype=dtype, index=index))
        frame = pd.concat(made, axis=1)
        if len(self.header) > 1:
            frame.columns = pd.MultiIndex.from_tuples(self.names, names=self.header)
        else:
            frame.columns = pd.Index(self.names, name=self.header[0], tupleize_cols=False)
        return frame


# Before the name of a type of pyarrow, of which pandas has a dtype with the same name.
_ARROW = "arrow:"


def _name_of(dtype: Any) -> str:
    """The name of a dtype of pandas or narwhals, from which it can be made again."""
    if isinstance(dtype, nw.dtypes.DType):
        name = type(dtype).__name__
        return {"Decimal": "Float64"}.get(name, name)
    if not hasattr(dtype, "pyarrow_dtype"):
        return str(dtype)
    name = str(dtype.pyarrow_dtype)
    return _ARROW + ("double" if name.startswith("decimal") else name)


def _pandas_dtype(name: str) -> Any:
    if not name.startswith(_ARROW):
        return name
    import pandas as pd
    import pyarrow as pa

    return pd.ArrowDtype(pa.type_for_alias(name.removeprefix(_ARROW)))


def _fitting(values: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers that a column of ``dtype`` can hold: whole ones, in its range, for integers."""
    found = re.search(r"u?int(8|16|32|64)", dtype.lower())
    if found is None or values.dtype == object:
        return values
    limits = np.iinfo(found.group())
    # The largest integers have no float of their own.
    high = np.nextafter(float(limits.max), 0) if limits.max > 1 << 53 else limits.max
    return np.clip(np.rint(values), limits.min, high).astype(found.group())
