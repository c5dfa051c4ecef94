"""Rows: validation, values, moments, minibatches, missing entries, dask."""

from ._columns import Columns
from ._dask import Partitions, in_memory, of_dask, rows_of
from ._dates import dates_in
from ._errors import OtherPlace
from ._frames import Format, frame_of
from ._gaps import Gaps
from ._labels import labels_of
from ._lazy import LazyMethods
from ._levels import Column
from ._moments import Moments
from ._pathways import JOINT_SWEEPS
from ._rows import Rows
from ._table import Table
from ._values import (
    Unstored,
    clipped,
    dense,
    encoded,
    encodes,
    has_gaps,
    has_outside,
    with_mean_1,
)
from ._visible import visible_columns
