"""Columns of frames and arrays go to rows of numbers and back without a loss."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.compose import make_column_selector

from sklearn_dbn.data import Table
from sklearn_dbn.data._frames import Format, columns_of, is_single

rng = np.random.default_rng(0)
N = 24
INDEX = [f"row {i}" for i in range(N)]
TEXT = rng.choice(["b", "a", "c"], N)
BITS = rng.random(N) > 0.4
WHOLE = rng.integers(0, 7, N)
REAL = rng.normal(size=N) * 3
GAPS = rng.random(N) < 0.3

PANDAS = {
    "bool": pd.Series(BITS),
    "boolean": pd.Series(BITS, dtype="boolean"),
    "objects of bools": pd.Series(BITS.tolist(), dtype=object),
    "int64": pd.Series(WHOLE),
    "int8": pd.Series(WHOLE, dtype="int8"),
    "uint8": pd.Series(WHOLE, dtype="uint8"),
    "Int64": pd.Series(WHOLE, dtype="Int64"),
    "UInt16": pd.Series(WHOLE, dtype="UInt16"),
    "float32": pd.Series(REAL, dtype="float32"),
    "float64": pd.Series(REAL),
    "Float32": pd.Series(REAL, dtype="Float32"),
    "str": pd.Series(TEXT, dtype="str"),
    "string": pd.Series(TEXT, dtype="string"),
    "objects": pd.Series(TEXT.tolist(), dtype=object),
    "bytes": pd.Series([x.encode() for x in TEXT.tolist()], dtype=object),
    "category": pd.Series(pd.Categorical(TEXT, ["c", "z", "b", "a"])),
    "category of objects": pd.Series(TEXT.tolist(), dtype=object).astype("category"),
    "category of ints": pd.Series(pd.Categorical(WHOLE)),
    "category of int8": pd.Series(
        pd.Categorical.from_codes(WHOLE % 3, pd.Index([9, 5, 7], dtype="int8"))
    ),
    "category of bools": pd.Series(pd.Categorical(BITS)),
    "ordered": pd.Series(pd.Categorical(TEXT, ["c", "z", "b", "a"], ordered=True)),
    "ordered ints": pd.Series(pd.Categorical(WHOLE, range(9), ordered=True)),
    "intervals": pd.Series(pd.cut(REAL, 4)),
    "sparse": pd.Series(WHOLE % 2, dtype="Sparse[int64]"),
}
# These have no missing values.
COMPLETE = ("bool", "int64", "int8", "uint8", "sparse")
POLARS = {
    "Boolean": pl.Series(BITS.tolist()),
    "Int64": pl.Series(WHOLE.tolist()),
    "UInt8": pl.Series(WHOLE.tolist(), dtype=pl.UInt8),
    "Float32": pl.Series(REAL.tolist(), dtype=pl.Float32),
    "Float64": pl.Series(REAL.tolist()),
    "String": pl.Series(TEXT.tolist()),
    "Categorical": pl.Series(TEXT.tolist(), dtype=pl.Categorical),
    "Enum": pl.Series(TEXT.tolist(), dtype=pl.Enum(["c", "z", "b", "a"])),
    "Binary": pl.Series([x.encode() for x in TEXT.tolist()]),
}


def name(index):
    return f"column {index}"


def table_of(X, visible="auto", missing="nan"):
    return Table.of(X, visible, missing, name)


def kinds(X, visible="auto"):
    return [column.kind for column in table_of(X, visible).columns]


def pandas_frame(kind, gaps=False):
    # A category beside it, so that the numbers are columns of a table too.
    column = PANDAS[kind].copy()
    if gaps:
        column = column.mask(GAPS)
        assert column.isna().sum() == GAPS.sum()
    frame = pd.DataFrame({"column": column, "other": TEXT})
    return frame.set_axis(INDEX)


def polars_frame(kind, gaps=False):
    column = POLARS[kind]
    if gaps:
        column = pl.select(pl.when(~pl.Series(GAPS)).then(column)).to_series()
    return pl.DataFrame({"column": column, "other": TEXT.tolist()})


@pytest.mark.parametrize("kind", PANDAS)
def test_a_pandas_frame_comes_back(kind):
    X = pandas_frame(kind)
    table = table_of(X)
    pd.testing.assert_frame_equal(table.rows(table.codes(X, name), X), X)


@pytest.mark.parametrize("kind", POLARS)
def test_a_polars_frame_comes_back(kind):
    X = polars_frame(kind)
    table = table_of(X)
    assert table.rows(table.codes(X, name), X).equals(X)
    assert table.rows(table.codes(X, name)).schema == X.schema


@pytest.mark.parametrize("kind", [kind for kind in PANDAS if kind not in COMPLETE])
def test_missing_values_of_pandas_are_nan_and_can_be_filled(kind):
    X = pandas_frame(kind, gaps=True)
    table = table_of(X)
    codes = table.codes(X, name)
    assert np.array_equal(np.isnan(codes[:, 0]), GAPS)
    filled = table.rows(np.where(np.isnan(codes), 0, codes), X)
    assert filled.dtypes.equals(X.dtypes)
    pd.testing.assert_frame_equal(filled[~GAPS], X[~GAPS])
    assert filled["column"].notna().all()


@pytest.mark.parametrize("kind", POLARS)
def test_missing_values_of_polars_are_nan_and_can_be_filled(kind):
    X = polars_frame(kind, gaps=True)
    table = table_of(X)
    codes = table.codes(X, name)
    assert np.array_equal(np.isnan(codes[:, 0]), GAPS)
    filled = table.rows(np.where(np.isnan(codes), 0, codes), X)
    assert filled.schema == X.schema
    assert filled.filter(~GAPS).equals(X.filter(~GAPS))
    assert filled["column"].null_count() == 0


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (pandas_frame("bool"), "categorical"),
        (pandas_frame("int64"), "gaussian"),
        (pandas_frame("float32"), "gaussian"),
        (pandas_frame("string"), "categorical"),
        (pandas_frame("category"), "categorical"),
        (pandas_frame("category of ints"), "categorical"),
        (pandas_frame("ordered"), "ordinal"),
        (pandas_frame("intervals"), "ordinal"),
        (polars_frame("Categorical"), "categorical"),
        (polars_frame("Enum"), "ordinal"),
        (pandas_frame("int64").assign(column=BITS.astype(int)), "bernoulli"),
        (pandas_frame("int64").assign(column=0.25), "bernoulli"),
        # As MinMaxScaler gives them.
        (pandas_frame("int64").assign(column=[-1e-17, 1 + 2e-16] * 12), "bernoulli"),
        (pandas_frame("int64").assign(column=[0, 1.001] * 12), "gaussian"),
        (pandas_frame("int64").assign(column=[1e-9, -1e-9] * 12), "gaussian"),
    ],
)
def test_a_column_decides_by_its_dtype(frame, expected):
    assert kinds(frame) == [expected, "categorical"]


def test_a_frame_of_numbers_has_no_columns_of_their_own():
    for X in (pd.DataFrame({"a": REAL, "b": WHOLE}), pl.DataFrame({"a": REAL})):
        assert table_of(X).columns is None
        assert type(table_of(X).rows(np.zeros((1, X.shape[1])))) is type(X)


def test_levels_are_those_of_the_dtype_or_the_sorted_values():
    X = pandas_frame("category").assign(text=TEXT, number=WHOLE / 1.0, half=WHOLE / 2)
    table = table_of(X, "categorical")
    levels = {n: column.levels for n, column in zip(X, table.columns, strict=True)}
    assert levels["column"] == ["c", "z", "b", "a"]
    assert levels["text"] == ["a", "b", "c"]
    assert levels["number"] == sorted(set(WHOLE.tolist()))
    assert all(type(x) is int for x in levels["number"])
    assert levels["half"] == sorted(set((WHOLE / 2).tolist()))


FORMS = {
    "names": ["t", "o"],
    "positions": [1, 2],
    "from the end": [-4, -3],
    "slice of names": slice("t", "o"),
    "slice of positions": slice(1, 3),
    "mask": [False, True, True, False, False],
    "array": np.array(["t", "o"]),
    "function": lambda X: ["t", "o"],
    "selector": make_column_selector(pattern="t|o"),
}


@pytest.mark.parametrize("form", FORMS)
def test_columns_are_named_as_for_a_column_transformer(form):
    X = pd.DataFrame({"x": REAL, "t": TEXT, "o": TEXT, "n": WHOLE, "b": BITS})
    assert kinds(X, {"ordinal": FORMS[form], "count": "n"}) == [
        "gaussian",
        "ordinal",
        "ordinal",
        "count",
        "categorical",
    ]
    assert kinds(X, {"count": "n", "ordinal": FORMS[form]})[1:4] == ["ordinal"] * 2 + ["count"]


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_new_levels_are_missing_and_one_warning_names_the_first(make):
    table = table_of(make({"t": TEXT, "u": TEXT, "x": REAL}))
    X = make({"t": ["a", "new", None], "u": ["new", "newer", "c"], "x": [1.0, 2.0, 3.0]})
    with pytest.warns(UserWarning, match="'new' in column 0.* nor were 2 more:.*missing") as w:
        codes = table.codes(X, name)
    assert len(w) == 1
    assert np.array_equal(
        codes, [[0, np.nan, 1], [np.nan, np.nan, 2], [np.nan, 2, 3]], equal_nan=True
    )


def test_booleans_and_the_numbers_0_and_1_are_the_same():
    bools, bits = pd.DataFrame({"b": BITS, "t": TEXT}), pd.DataFrame({"b": BITS * 1, "t": TEXT})
    for X, other in ((bools, bits), (bits, bools)):
        table = table_of(X)
        assert np.array_equal(table.codes(X, name), table.codes(other, name))


def test_large_counts_share_a_level_and_those_that_were_given_stay():
    X = pd.DataFrame({"n": [0, 3, 49, 50, 80, 170], "t": list("abcabc")})
    table = table_of(X, {"count": "n"})
    assert table.columns[0].levels == [*range(50), 100]
    codes = table.codes(X, name)
    assert codes[:, 0].tolist() == [0, 3, 49, 50, 50, 50]
    assert table.rows(codes)["n"].tolist() == [0, 3, 49, 100, 100, 100]
    pd.testing.assert_frame_equal(table.rows(codes, X, codes), X)
    numbers = X[["n"]].to_numpy(float)
    for rows in (numbers, sp.csr_array(numbers)):
        table = table_of(rows, "count")
        given = table.codes(rows, name)
        filled = given.toarray() if sp.issparse(given) else given
        assert np.array_equal(table.rows(filled, rows, given), numbers)


COUNTS = rng.poisson(0.7, (N, 4)).astype(float)


@pytest.mark.parametrize("visible", ["count", "ordinal", {"categorical": [0], "gaussian": [1]}])
@pytest.mark.parametrize("form", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_sparse_rows_stay_sparse_and_have_the_numbers_of_dense_ones(visible, form):
    X = np.where(rng.random(COUNTS.shape) < 0.1, np.nan, COUNTS)
    table, dense = table_of(form(X), visible), table_of(X, visible)
    assert table == dense
    codes = table.codes(form(X), name)
    assert sp.issparse(codes)
    assert np.array_equal(codes.toarray(), dense.codes(X, name), equal_nan=True)
    weight = np.ones(N)
    one, other = table.unit(codes, weight), dense.unit(codes.toarray(), weight)
    assert all(map(np.array_equal, one.constants(), other.constants()))


def test_sparse_rows_are_dense_where_0_is_not_the_first_level():
    X = sp.csr_array(COUNTS - 2 * (COUNTS == 1))
    table = table_of(X, "ordinal")
    assert [column.levels[:2] for column in table.columns] == [[-1, 0]] * 4
    codes = table.codes(X, name)
    assert not sp.issparse(codes)
    assert np.array_equal(table.rows(codes), X.toarray())


def test_values_that_are_not_stored_are_missing():
    X = sp.csr_array(COUNTS)
    table = table_of(X, "ordinal", "unstored")
    codes = table.codes(X, name)
    assert np.array_equal(np.isnan(codes.toarray()), COUNTS == 0)
    assert all(column.levels[0] == 1 for column in table.columns)
    # A zero that is stored is a value.
    X.data[0] = 0
    assert table_of(X, "ordinal", "unstored").columns[X.indices[0]].levels[0] == 0


def test_categories_of_two_levels_are_bernoulli_units():
    X = pd.DataFrame({"x": REAL, "b": BITS, "t": TEXT, "u": np.where(BITS, "yes", "no")})
    table = table_of(X)
    unit = table.unit(table.codes(X, name), np.ones(N))
    assert unit.name == "gaussian+bernoulli+categorical"
    assert unit.widths(4).tolist() == [1, 1, 3, 1]


def test_shares_are_weighted_and_without_missing_values():
    X = pd.DataFrame({"o": pd.Categorical(["a", "b", None, "b"], list("abc"), ordered=True)})
    table = table_of(X)
    one = table.unit(table.codes(X, name), np.array([3.0, 1, 9, 0]))
    other = table.unit(table.codes(X.iloc[[0, 0, 0, 1]], name), np.ones(4))
    assert all(map(np.array_equal, one.constants(), other.constants()))
    more = X["o"].cat.add_categories("d").to_frame()
    unit = table_of(more).unit(table.codes(X, name), np.ones(4))
    assert [x.shape for x in unit.constants()] != [x.shape for x in one.constants()]


def test_encoded_columns_are_decoded():
    X = pd.DataFrame(
        {"t": TEXT, "x": REAL, "b": BITS, "u": np.where(BITS, "y", "n"), "k": ["one"] * N}
    ).assign(o=pd.Categorical(TEXT, ["a", "b", "c"], ordered=True))
    table = table_of(X)
    codes = table.codes(X, name)
    encoded = table.encoded(codes)
    names = [x for of_column in table.encoded_names(list(X)) for x in of_column]
    assert names == ["t_a", "t_b", "t_c", "x", "b", "u_y", "k_one", "o"]
    assert encoded.shape == (N, len(names))
    assert np.array_equal(encoded[:, :3], (TEXT[:, None] == list("abc")) * 1.0)
    pd.testing.assert_frame_equal(table.rows(table.decoded(encoded), X), X)
    codes[0] = np.nan
    assert np.isnan(table.encoded(codes)[0]).all()


def test_encoded_columns_have_different_names():
    X = pd.DataFrame(
        {
            "a": np.where(TEXT == "b", "b_c", TEXT),
            "a_b": TEXT,
            "mixed": pd.Categorical([1, "1", ""] * 8),
        }
    )
    names = table_of(X).encoded_names(list(X))
    assert names[0] == ["a_a", "a_'b_c'", "a_c"]
    assert names[1] == ["a_b_a", "a_b_b", "a_b_'c'"]
    assert set(names[2]) == {"mixed_1", "mixed_'1'", "mixed_"}


LABELS = {
    "numbers": [7, 3],
    "tuples": [("a", 1), ("b", 2)],
    "named": pd.Index(["a", "b"], name="columns"),
    "levels": pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")], names=["one", None]),
    "long": ["a" * 500, "b\nc"],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_columns_of_any_kind_come_back(kind):
    X = pd.DataFrame({"t": TEXT, "x": REAL}).set_axis(LABELS[kind], axis=1)
    table = table_of(X)
    found = table.rows(table.codes(X, name), X)
    pd.testing.assert_frame_equal(found, X)
    assert found.columns.names == X.columns.names


@pytest.mark.parametrize("index", [[0] * N, pd.MultiIndex.from_arrays([INDEX, range(N)])])
def test_row_labels_of_any_kind_come_back(index):
    X = pd.DataFrame({"t": TEXT, "x": REAL}, index=index)
    table = table_of(X)
    pd.testing.assert_frame_equal(table.rows(table.codes(X, name), X), X)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "UInt8", "Int64"])
def test_real_numbers_for_a_column_of_integers_are_rounded_into_its_range(dtype):
    X = pd.DataFrame({"n": WHOLE, "t": TEXT}).astype({"n": dtype})
    codes = np.array([[-1e30, 0], [1e30, 0], [2.6, 0]])
    limits = np.iinfo(dtype.lower())
    low, high, middle = table_of(X).rows(codes)["n"].tolist()
    assert (low, middle) == (limits.min, 3)
    assert limits.max * (1 - 1e-15) <= high <= limits.max
    if dtype == "int64":
        X = pl.DataFrame({"n": WHOLE.tolist(), "t": TEXT.tolist()})
        assert table_of(X).rows(codes)["n"].to_list() == [low, high, middle]


def test_a_column_without_a_value_stays_without():
    X = pd.DataFrame({"t": TEXT, "text": None, "x": np.nan}).astype({"text": "string"})
    table = table_of(X)
    assert table.columns[1].levels == [None]
    codes = table.codes(X, name)
    assert np.isnan(codes[:, 1:]).all()
    assert table.rows(np.zeros((3, 3)))["text"].isna().all()


def test_numbers_of_python_are_numbers():
    objects = [Decimal("1.5"), 2, True, np.float32(0.5), None, float("nan"), 10**400]
    values = columns_of(np.array([[x] for x in objects], dtype=object))[0].values
    np.testing.assert_array_equal(values, [1.5, 2, 1, 0.5, np.nan, np.nan, np.inf])
    X = pl.DataFrame({"d": pl.Series(["1.5", "2"]).cast(pl.Decimal(10, 2)), "t": ["a", "b"]})
    table = table_of(X)
    assert table.rows(table.codes(X, name))["d"].to_list() == [1.5, 2.0]


def test_precision_is_single_where_all_numbers_are():
    for make in (pd.DataFrame, pl.DataFrame):
        single = make({"t": TEXT, "x": REAL.astype(np.float32)})
        assert is_single(single)
        assert not is_single(make({"t": TEXT, "x": REAL.astype(np.float32), "y": REAL}))
        assert not is_single(make({"t": TEXT}))
    assert is_single(np.zeros(1, np.float32))
    assert not is_single(sp.csr_array((1, 1)))


def test_a_format_is_none_for_what_is_no_frame():
    for X in (REAL[:, None], REAL.tolist(), sp.csr_array(COUNTS), datetime.date(2020, 1, 1)):
        assert Format.of(X) is None
