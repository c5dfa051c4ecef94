"""Displays hold what the estimator gives, and draw all of it on the axes given."""

import inspect
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpydoc.docscrape import ClassDoc, FunctionDoc
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

import sklearn_dbn.inspection as inspection
from sklearn_dbn import DBNTransformer, RBMTransformer
from sklearn_dbn.inspection import (
    ChainsDisplay,
    FiltersDisplay,
    HistoryDisplay,
    RetentionDisplay,
    SamplesDisplay,
)
from sklearn_dbn.inspection._chains import _autocorrelation

DIGITS = load_digits().data[:100] / 16
RBM = RBMTransformer(12, n_iter=3, random_state=0).fit(DIGITS)
DBN = DBNTransformer((12, 9, 5), rbm=RBMTransformer(n_iter=3), random_state=0).fit(DIGITS)
OBLONG = RBMTransformer(4, n_iter=1, random_state=0).fit(DIGITS[:, :15])
PUBLIC = [getattr(inspection, name) for name in inspection.__all__]
# tests/test_retention.py draws what needs more than a generator.
DISPLAYS = [x for x in PUBLIC if x.__name__.endswith("Display") and x is not RetentionDisplay]
fitted = pytest.mark.parametrize("estimator", [RBM, DBN], ids=["RBM", "DBN"])
displays = pytest.mark.parametrize("display", DISPLAYS)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def tile(image, row, column, height, width):
    """One image of a grid, as drawn."""
    sheet = image.get_array().filled(np.nan)
    top, left = row * (height + 1), column * (width + 1)
    return sheet[top : top + height, left : left + width]


def message_of(error):
    """The message of an error, which is one sentence."""
    message = str(error.value)
    assert message.endswith(".")
    assert ". " not in message
    return message


@pytest.mark.parametrize("public", PUBLIC)
def test_what_is_public_is_documented(public):
    display = public if isinstance(public, type) else None
    doc = ClassDoc(display) if display else FunctionDoc(public)
    assert doc["Examples"]
    methods = [display.plot, display.from_estimator] if display else []
    for section, method in [(doc, public), *((FunctionDoc(m), m) for m in methods)]:
        signature = [p for p in inspect.signature(method).parameters if p != "self"]
        assert [entry.name for entry in section["Parameters"]] == signature
        assert section["Returns"] or method is display


@displays
def test_every_attribute_of_a_drawn_display_is_documented(display):
    drawn = {name for name in vars(display.from_estimator(RBM)) if name.endswith("_")}
    assert drawn == {entry.name for entry in ClassDoc(display)["Attributes"]}


@pytest.mark.slow
def test_matplotlib_is_imported_only_for_a_plot():
    code = "import sys, sklearn_dbn.inspection; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@displays
def test_without_matplotlib_the_error_names_it(display, monkeypatch):
    drawn = display.from_estimator(RBM)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=rf"{display.__name__}.from_estimator draws with"):
        display.from_estimator(RBM)
    with pytest.raises(ImportError, match=rf"{display.__name__}.plot draws with matplotlib"):
        drawn.plot()


@displays
def test_an_unfitted_estimator_is_refused(display):
    with pytest.raises(NotFittedError):
        display.from_estimator(clone(RBM))


@displays
def test_a_display_draws_again_on_a_new_figure(display):
    drawn = display.from_estimator(DBN)
    first = drawn.figure_
    assert drawn.plot() is drawn
    assert drawn.figure_ is not first
    assert len(drawn.figure_.axes) == len(first.axes)


@fitted
def test_samples_are_those_of_the_estimator(estimator):
    display = SamplesDisplay.from_estimator(
        estimator, n_samples=7, n_gibbs_steps=3, random_state=5
    )
    expected = estimator.sample(7, n_gibbs_steps=3, random_state=5)
    assert_array_equal(display.samples, expected)
    assert display.image_shape == (8, 8)


def test_default_samples_come_from_the_chains_that_sample_runs():
    display = SamplesDisplay.from_estimator(RBM, random_state=1)
    assert_array_equal(display.samples, RBM.sample(100, random_state=1))


def test_samples_are_drawn_in_reading_order_on_the_axes_given():
    figure, (ax, other) = plt.subplots(1, 2)
    rows = np.arange(5 * 6).reshape(5, 6)
    display = SamplesDisplay(rows, image_shape=(2, 3)).plot(ax, n_columns=3)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert len(figure.axes) == 2
    assert list(ax.images) == [display.image_]
    assert not other.images
    sheet = display.image_.get_array().filled(np.nan)
    assert sheet.shape == (2 * 3 - 1, 3 * 4 - 1)
    for i, row in enumerate(rows):
        assert_array_equal(tile(display.image_, *divmod(i, 3), 2, 3), row.reshape(2, 3))
    assert np.isnan(tile(display.image_, 1, 2, 2, 3)).all()
    assert np.isfinite(sheet).sum() == rows.size


def test_without_columns_a_grid_is_about_as_high_as_wide():
    display = SamplesDisplay.from_estimator(RBM, n_samples=10)
    assert display.image_.get_array().shape == (3 * 9 - 1, 4 * 9 - 1)


def test_keywords_are_passed_to_imshow():
    display = SamplesDisplay.from_estimator(RBM, n_samples=4, im_kw={"cmap": "bone"})
    assert display.image_.get_cmap().name == "bone"


def test_oblong_images_need_a_shape():
    with pytest.raises(ValueError, match="image_shape=None") as error:
        SamplesDisplay.from_estimator(OBLONG)
    assert "15 features" in message_of(error)
    display = SamplesDisplay.from_estimator(OBLONG, image_shape=(3, 5), n_samples=1)
    assert_array_equal(tile(display.image_, 0, 0, 3, 5), display.samples.reshape(3, 5))


@pytest.mark.parametrize("image_shape", [(4, 4), (3, 5, 1), 15, (-3, -5), (3.0, 5.0), "35"])
@pytest.mark.parametrize("display", [SamplesDisplay, FiltersDisplay, ChainsDisplay])
def test_a_wrong_image_shape_is_named(display, image_shape):
    with pytest.raises(ValueError, match="image_shape=") as error:
        display.from_estimator(OBLONG, image_shape=image_shape)
    assert repr(image_shape) in message_of(error)


@pytest.mark.parametrize("wrong", [{"n_samples": 0}, {"n_samples": 2.5}, {"n_columns": 0}])
def test_a_wrong_number_of_samples_or_columns_is_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))) as error:
        SamplesDisplay.from_estimator(RBM, **wrong)
    message_of(error)


def test_filters_are_weights_projected_to_the_input():
    first, second, third = (rbm.components_ for rbm in DBN.rbms_)
    assert_array_equal(FiltersDisplay.from_estimator(RBM).filters, RBM.components_)
    assert_array_equal(FiltersDisplay.from_estimator(DBN).filters, first)
    assert_allclose(FiltersDisplay.from_estimator(DBN, layer=1).filters, second @ first)
    top = third @ second @ first
    assert_allclose(FiltersDisplay.from_estimator(DBN, layer=2).filters, top)
    assert_allclose(FiltersDisplay.from_estimator(DBN, layer=-1).filters, top)


@pytest.mark.parametrize(
    ("units", "index"),
    [
        ([3, 0, -1], [3, 0, 8]),
        ((2, 1), [2, 1]),
        (slice(2, 9, 3), [2, 5, 8]),
        (np.arange(9) % 4 == 0, [0, 4, 8]),
        (6, [6]),
    ],
    ids=["list", "tuple", "slice", "mask", "int"],
)
def test_units_are_shown_in_the_order_given(units, index):
    display = FiltersDisplay.from_estimator(DBN, layer=1, units=units)
    everything = FiltersDisplay.from_estimator(DBN, layer=1).filters
    assert_allclose(display.filters, everything[index])


@pytest.mark.parametrize("units", [[12], [-13], [], [0.5], [True] * 3, "best", slice(5, 5)])
def test_units_that_are_not_there_are_named(units):
    with pytest.raises(ValueError, match="units=") as error:
        FiltersDisplay.from_estimator(DBN, units=units)
    assert "12 units of layer 0" in message_of(error)


@pytest.mark.parametrize("layer", [3, -4, 1.0, True, None])
def test_a_layer_that_is_not_there_is_named(layer):
    with pytest.raises(ValueError, match=f"layer={layer}") as error:
        FiltersDisplay.from_estimator(DBN, layer=layer)
    assert "0 to 2" in message_of(error)


def test_each_filter_has_its_own_scale_about_zero():
    filters = np.array([[0.1, -0.2, 0, 0.05], [30, 10, 0, 20], [0, 0, 0, 0]])
    display = FiltersDisplay(filters).plot()
    assert display.image_.get_clim() == (-1, 1)
    assert_allclose(tile(display.image_, 0, 0, 2, 2), [[0.5, -1], [0, 0.25]])
    assert_allclose(tile(display.image_, 0, 1, 2, 2), [[1, 1 / 3], [0, 2 / 3]])
    assert_array_equal(tile(display.image_, 1, 0, 2, 2), np.zeros((2, 2)))


def test_filters_are_drawn_on_the_axes_given():
    figure, ax = plt.subplots()
    display = FiltersDisplay.from_estimator(RBM, units=[1, 2], ax=ax, n_columns=1)
    assert display.ax_ is ax
    assert figure.axes == [ax]
    assert display.image_.get_array().shape == (17, 8)


@fitted
def test_history_has_a_panel_for_each_quantity_and_a_line_for_each_layer(estimator):
    display = HistoryDisplay.from_estimator(estimator)
    history = [RBM.history_] if estimator is RBM else DBN.history_
    assert list(display.history) == history
    assert display.figure_.axes == list(display.axes_)
    for panel, lines, quantity in zip(display.axes_, display.lines_, history[0], strict=True):
        assert panel.get_title() == quantity.replace("_", " ")
        assert panel.get_xlabel() == "pass"
        assert list(panel.lines) == lines
        for line, record in zip(lines, history, strict=True):
            assert_array_equal(line.get_xdata(), [1, 2, 3])
            assert_array_equal(line.get_ydata(), record[quantity])
    legend = display.axes_[0].get_legend()
    if estimator is RBM:
        assert legend is None
    else:
        labels = [text.get_text() for text in legend.get_texts()]
        assert labels == ["layer 0", "layer 1", "layer 2"]


def test_nan_in_the_history_is_a_gap():
    rbm = clone(RBM).set_params(validation_fraction=0.2)
    rbm.fit(DIGITS).partial_fit(DIGITS)
    gap = rbm.history_["free_energy_gap"]
    assert np.isnan(gap).tolist() == [False, False, False, True]
    display = HistoryDisplay.from_estimator(rbm, quantities=["free_energy_gap"])
    ((line,),) = display.lines_
    assert_array_equal(line.get_ydata(), gap)
    assert line.get_marker() == "."


def test_a_layer_has_lines_only_for_what_it_recorded():
    history = [{"a": [1.0, 2.0]}, {"a": [2.0], "b_c": [3.0]}]
    display = HistoryDisplay(history).plot(line_kw={"ls": "--"})
    assert [len(lines) for lines in display.lines_] == [2, 1]
    assert display.lines_[1][0].get_color() == display.lines_[0][1].get_color() == "C1"
    assert {line.get_linestyle() for lines in display.lines_ for line in lines} == {"--"}


def test_the_axis_of_a_count_has_room_for_one_unit():
    (panel,) = HistoryDisplay([{"dead_units": [0.0, 0.0]}]).plot().axes_
    assert panel.get_ylim()[1] >= 1
    (panel,) = HistoryDisplay([{"dead_units": [0.0, 40.0]}]).plot().axes_
    assert panel.get_ylim()[1] >= 40


def test_quantities_are_chosen_and_ordered():
    chosen = ["weight_norm", "mean_activity"]
    display = HistoryDisplay.from_estimator(DBN, quantities=chosen)
    assert [panel.get_title() for panel in display.axes_] == ["weight norm", "mean activity"]
    single = HistoryDisplay.from_estimator(DBN, quantities="weight_norm")
    assert len(single.axes_) == 1
    for wrong in (["loss"], "weight", []):
        with pytest.raises(ValueError, match="quantities=") as error:
            HistoryDisplay.from_estimator(DBN, quantities=wrong)
        assert "weight_norm" in message_of(error)


def test_a_history_without_passes_is_refused():
    untrained = clone(RBM).set_params(n_iter=0).fit(DIGITS)
    with pytest.raises(ValueError, match="history") as error:
        HistoryDisplay.from_estimator(untrained)
    message_of(error)


def test_panels_replace_a_single_axes():
    figure, (ax, other) = plt.subplots(1, 2)
    display = HistoryDisplay.from_estimator(RBM, ax=ax)
    assert figure.axes == [ax, other, *display.axes_]
    assert not ax.axison
    place = ax.get_subplotspec()
    assert all(
        panel.get_subplotspec().get_topmost_subplotspec() == place for panel in display.axes_
    )


def test_panels_use_the_axes_given():
    figure, axes = plt.subplots(1, 2)
    display = HistoryDisplay.from_estimator(
        RBM, quantities=["weight_norm", "dead_units"], ax=axes
    )
    assert list(display.axes_) == figure.axes == list(axes)
    assert axes[1].get_title() == "dead units"
    display = HistoryDisplay.from_estimator(RBM, quantities=["weight_norm"], ax=axes[1])
    assert list(display.axes_) == [axes[1]]
    display = ChainsDisplay.from_estimator(RBM, sweeps=(0, 2), ax=axes)
    assert list(display.axes_) == figure.axes
    assert display.image_ in axes[0].images
    assert display.line_ in axes[1].lines


def test_axes_that_cannot_hold_the_panels_are_refused():
    figure, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="ax holds 3 axes for 2 panels") as error:
        ChainsDisplay.from_estimator(RBM, sweeps=(0, 2), ax=axes)
    message_of(error)
    free = figure.add_axes((0, 0, 0.1, 0.1))
    with pytest.raises(ValueError, match="in no grid of subplots"):
        ChainsDisplay.from_estimator(RBM, sweeps=(0, 2), ax=free)


@fitted
def test_chains_continue_from_one_snapshot_to_the_next(estimator):
    def images(sweeps):
        display = ChainsDisplay.from_estimator(
            estimator, n_chains=4, sweeps=sweeps, random_state=3
        )
        assert list(display.sweeps) == list(sweeps)
        return display.images

    long, short = images((0, 2, 5)), images((2, 3))
    assert long.shape == (4, 3, 64)
    assert_array_equal(long[:, 1], short[:, 0])
    assert not np.array_equal(short[:, 0], short[:, 1])
    assert (long[0] != long[1]).any()


def test_snapshots_are_drawn_with_a_row_for_each_chain():
    display = ChainsDisplay.from_estimator(DBN, n_chains=3, sweeps=(1, 2, 4, 9))
    left, right = display.axes_
    assert list(left.images) == [display.image_]
    for chain, snapshot in np.ndindex(3, 4):
        drawn = tile(display.image_, chain, snapshot, 8, 8)
        assert_allclose(drawn, display.images[chain, snapshot].reshape(8, 8))
    assert [text.get_text() for text in left.get_xticklabels()] == ["1", "2", "4", "9"]
    assert_allclose(left.get_xticks(), [3.5, 12.5, 21.5, 30.5])
    assert len(display.autocorrelation) == 6
    assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4, 5])
    assert_array_equal(display.line_.get_ydata(), display.autocorrelation[1:])
    assert display.line_ in right.lines


def test_images_of_a_stack_are_its_means_passed_down():
    dbn = clone(DBN).set_params(hidden_layer_sizes=(12, 9)).fit(DIGITS)
    below, top = (rbm._machine for rbm in dbn.rbms_)
    top.W[0][...] = 0
    expected = expit(expit(top.par[0][0]) @ below.W[0].T + below.par[0][0])
    images = ChainsDisplay.from_estimator(dbn, n_chains=2, sweeps=(0, 4)).images
    assert_allclose(images, np.broadcast_to(expected, (2, 2, 64)))


def test_autocorrelation_is_that_of_a_chain_of_two_states():
    # With one unit on each side the mean of v is one of two numbers, in a Markov chain whose
    # second eigenvalue is the difference in P(next = 1).
    rbm = RBMTransformer(1, n_iter=1, random_state=0).fit([[0.0], [1.0]] * 5)
    machine = rbm._machine
    machine.W[0][...], machine.par[0][...], machine.par[1][...] = 4, -2, -1.5
    v_on = expit([-2, 2])
    on = (1 - v_on) * expit(-1.5) + v_on * expit(2.5)
    expected = (on[1] - on[0]) ** np.arange(6)
    display = ChainsDisplay.from_estimator(rbm, n_chains=300, sweeps=(0, 200), random_state=0)
    assert_allclose(display.autocorrelation[:6], expected, atol=0.02)
    assert_allclose(np.unique(display.images), v_on)


def test_autocorrelation_is_that_of_its_definition():
    images = np.random.default_rng(0).random((7, 3, 2)) + [[0.0], [1.0], [3.0]] * np.ones(2)
    deviation = images - images.mean(axis=(0, 1))
    products = [(deviation[: 7 - lag] * deviation[lag:]).sum(2).mean() for lag in range(4)]
    assert_allclose(_autocorrelation(images), np.array(products) / products[0])


def test_chains_that_never_move_stay_correlated():
    images = np.ones((9, 1, 1)) * [[[0.0], [1.0]]]
    assert_allclose(_autocorrelation(images), np.ones(5))


@pytest.mark.parametrize("sweeps", [(), (0,), (0, 1), (3, 2), (0, 5, 5), (-1, 4), (0, 2.5)])
def test_wrong_sweeps_are_named(sweeps):
    with pytest.raises(ValueError, match="sweeps=") as error:
        ChainsDisplay.from_estimator(RBM, sweeps=sweeps)
    message_of(error)


def test_a_wrong_number_of_chains_is_named():
    with pytest.raises(ValueError, match="n_chains=0") as error:
        ChainsDisplay.from_estimator(RBM, n_chains=0)
    message_of(error)


@pytest.mark.parametrize("display", [SamplesDisplay, ChainsDisplay])
def test_seeds_fix_what_is_drawn(display):
    def drawn(seed):
        return display.from_estimator(DBN, random_state=seed).image_.get_array()

    assert_array_equal(drawn(0), drawn(0))
    assert (drawn(0) != drawn(1)).any()


@pytest.mark.slow
@displays
def test_real_valued_data_can_be_drawn(display):
    rbm = RBMTransformer(6, n_iter=2, random_state=0).fit(10 * DIGITS)
    assert rbm.visible_type_ == "gaussian"
    display.from_estimator(rbm).figure_.draw_without_rendering()


PATHWAYS = {"rest": slice(16, 40), "first": slice(0, 16)}
PAIR = DBNTransformer(
    ({"first": 6, "rest": 4}, {"rest": 5, "first": 3}, 4),
    pathways=PATHWAYS,
    rbm=RBMTransformer(n_iter=1),
    random_state=0,
).fit(DIGITS[:, :40])


def test_images_may_be_those_of_one_pathway():
    display = FiltersDisplay.from_estimator(PAIR, pathway="first")
    weights = PAIR.rbms_[0].components_
    # The states are in the order of the pathways.
    assert_array_equal(display.filters, weights[4:, 24:])
    assert display.filters.shape == (6, 16)
    rest = FiltersDisplay.from_estimator(PAIR, pathway="rest", layer=1, image_shape=(4, 6))
    assert rest.filters.shape == (5, 24)
    joint = FiltersDisplay.from_estimator(PAIR, pathway="first", layer=2)
    assert joint.filters.shape == (4, 16)
    assert np.abs(joint.filters).max() > 0
    samples = SamplesDisplay.from_estimator(PAIR, pathway="first", n_samples=4, random_state=0)
    whole = PAIR.sample(4, random_state=0)
    assert_array_equal(samples.samples, whole[:, :16])


@pytest.mark.parametrize("display", [FiltersDisplay, SamplesDisplay])
def test_a_pathway_that_is_not_there_is_refused(display):
    with pytest.raises(ValueError, match=r"pathway='last', but .* \['rest', 'first'\]: name"):
        display.from_estimator(PAIR, pathway="last")
    with pytest.raises(ValueError, match="has no pathways: "):
        display.from_estimator(DBN, pathway="first")
