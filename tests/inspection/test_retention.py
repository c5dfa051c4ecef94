"""What fine-tuning left of a generator."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpydoc.docscrape import ClassDoc
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from sklearn_dbn import DBMTransformer, DBNClassifier, DBNTransformer, RBMTransformer
from sklearn_dbn.inspection import RetentionDisplay, generative_retention

X, y = load_digits(return_X_y=True)
X, y = (X[:300] > 8).astype(float), y[:300]
RBM = RBMTransformer(8, n_iter=5, random_state=0)
TUNED = DBNClassifier(RBM, n_iter=10, learning_rate=0.02, random_state=0).fit(X, y)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_scores_are_those_of_the_two_generators():
    kept = generative_retention(TUNED, X, n_samples=4)
    generators = {"before": TUNED.transformer_, "after": TUNED.fine_tuned_transformer_}
    for name, generator in generators.items():
        part = kept[name]
        machine = generator._machine
        states = np.stack(np.meshgrid(*[[0.0, 1.0]] * 8, indexing="ij"), axis=-1).reshape(-1, 8)
        log_z = np.logaddexp.reduce(
            -machine.free_energy([np.zeros((len(states), 64)), states], machine.even)
        )
        exact = float(np.mean(-machine.free_energy([X, None]) - log_z))
        assert part.log_likelihood == pytest.approx(exact)
        assert part.forward == part.reverse == part.log_likelihood
        assert part.interval == pytest.approx((exact, exact))
        error = np.mean((X - generator.reconstruct(X)) ** 2)
        assert part.reconstruction_error == pytest.approx(error)
        assert part.samples.shape == (4, 64)
    assert kept.after.log_likelihood < kept.before.log_likelihood


@pytest.mark.parametrize(
    "generator",
    [
        RBMTransformer(4, n_iter=2, random_state=0),
        DBMTransformer((4,), rbm=RBMTransformer(n_iter=2), random_state=0),
    ],
)
def test_log_z_of_columns_in_their_units_serves_standardised_ones(generator):
    rows = 1e3 + 50 * np.random.default_rng(0).normal(size=(60, 3))
    tuned = DBNClassifier(generator, n_iter=1, random_state=0).fit(rows, rows[:, 0] > 1e3)
    kept = generative_retention(tuned, rows, n_samples=1)
    expected = clone(generator).fit(rows).score(rows)
    assert kept.before.log_likelihood == pytest.approx(expected)
    assert tuned.transformer_.score(rows) == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "generator",
    [
        DBNTransformer((8, 24), rbm=RBM, random_state=0),
        DBMTransformer((24, 8), rbm=RBMTransformer(n_iter=3), random_state=0),
    ],
)
def test_both_directions_of_annealing_are_reported(generator):
    tuned = DBNClassifier(generator, n_iter=2, random_state=0).fit(X, y)
    kept = generative_retention(tuned, sp.csr_array(X), n_samples=2, n_gibbs_steps=5)
    for part in kept.values():
        assert part.interval[0] <= min(part.forward, part.reverse)
        assert max(part.forward, part.reverse) <= part.interval[1]
        assert part.log_likelihood == pytest.approx((part.forward + part.reverse) / 2, abs=1e-9)


def test_untied_weights_lose_no_likelihood():
    model = DBNClassifier(RBM, n_iter=2, tie_weights=False, random_state=0).fit(X, y)
    kept = generative_retention(model, X)
    assert kept.after.log_likelihood == kept.before.log_likelihood
    assert np.array_equal(kept.after.samples, kept.before.samples)


def test_the_display_shows_both():
    display = RetentionDisplay.from_estimator(TUNED, X, n_samples=9)
    heights = [bar.get_height() for bar in display.bars_]
    parts = display.retention
    assert heights == [parts.before.log_likelihood, parts.after.log_likelihood]
    assert len(display.images_) == 2
    assert display.axes_[1].get_title() == "samples before"
    _, ax = plt.subplots()
    again = RetentionDisplay(parts).plot(ax, bar_kw={"color": "k"}, im_kw={"cmap": "Reds"})
    assert again.figure_ is ax.figure


def test_a_wrong_image_shape_and_an_unfitted_network_are_refused():
    with pytest.raises(ValueError, match=r"image_shape=\(5, 5\) does not fit"):
        RetentionDisplay.from_estimator(TUNED, X, image_shape=(5, 5))
    with pytest.raises(NotFittedError):
        generative_retention(DBNClassifier(), X)


def test_every_attribute_of_the_display_is_documented():
    display = RetentionDisplay.from_estimator(TUNED, X, n_samples=2)
    drawn = {name for name in vars(display) if name.endswith("_")}
    assert drawn == {entry.name for entry in ClassDoc(RetentionDisplay)["Attributes"]}


def test_without_matplotlib_the_display_raises_an_error(monkeypatch):
    display = RetentionDisplay(generative_retention(TUNED, X, n_samples=2))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"RetentionDisplay\.plot draws with"):
        display.plot()
    with pytest.raises(ImportError, match=r"RetentionDisplay\.from_estimator draws with"):
        RetentionDisplay.from_estimator(TUNED, X)


def test_a_table_has_a_retention():
    rng = np.random.default_rng(0)
    job = rng.choice(["cook", "nurse", "none"], 60)
    X = pd.DataFrame({"job": job, "age": rng.normal(40, 10, 60)})
    X.loc[::7, "age"] = np.nan
    model = DBNClassifier(RBMTransformer(4, n_iter=5), n_iter=5, random_state=0)
    retention = generative_retention(model.fit(X, job == "cook"), X, n_samples=3)
    reconstructed = model.transformer_.reconstruct(X)
    # One-hot columns have an error of at most 1, and the missing ages none.
    least = np.nansum((X["age"] - reconstructed["age"]) ** 2) / (3 * 60 + X["age"].count())
    assert least < retention.before.reconstruction_error < least + 1
    assert list(retention.after.samples.columns) == ["job", "age"]
