"""Write the inventories of this folder; README.md says when.

    python -m pip install sphobjinv
    python docs/inventories/write.py

A name that the installed packages do not have ends the script.
"""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name

import sphobjinv
from sklearn.experimental import (  # noqa: F401
    enable_halving_search_cv,
    enable_iterative_imputer,
)

# The page of a name, "$" being the name itself, and the names that have such a page.
PAGES = {
    "scikit-learn": {
        "modules/generated/$.html#$": [
            "sklearn.base.BaseEstimator",
            "sklearn.base.ClassifierMixin",
            "sklearn.base.ClassNamePrefixFeaturesOutMixin",
            "sklearn.base.RegressorMixin",
            "sklearn.base.TransformerMixin",
            "sklearn.base.clone",
            "sklearn.callback.CallbackSupportMixin",
            "sklearn.callback.ProgressBar",
            "sklearn.callback.ScoringMonitor",
            "sklearn.compose.ColumnTransformer",
            "sklearn.compose.make_column_transformer",
            "sklearn.config_context",
            "sklearn.datasets.load_breast_cancer",
            "sklearn.datasets.load_digits",
            "sklearn.datasets.load_iris",
            "sklearn.decomposition.PCA",
            "sklearn.ensemble.HistGradientBoostingClassifier",
            "sklearn.ensemble.IsolationForest",
            "sklearn.exceptions.ConvergenceWarning",
            "sklearn.exceptions.NotFittedError",
            "sklearn.feature_extraction.text.CountVectorizer",
            "sklearn.feature_selection.SelectKBest",
            "sklearn.feature_selection.f_classif",
            "sklearn.feature_selection.mutual_info_classif",
            "sklearn.frozen.FrozenEstimator",
            "sklearn.impute.IterativeImputer",
            "sklearn.impute.KNNImputer",
            "sklearn.impute.SimpleImputer",
            "sklearn.linear_model.LogisticRegression",
            "sklearn.linear_model.Ridge",
            "sklearn.linear_model.RidgeCV",
            "sklearn.metrics.average_precision_score",
            "sklearn.metrics.roc_auc_score",
            "sklearn.model_selection.GridSearchCV",
            "sklearn.model_selection.HalvingGridSearchCV",
            "sklearn.model_selection.RandomizedSearchCV",
            "sklearn.model_selection.StratifiedKFold",
            "sklearn.model_selection.cross_val_score",
            "sklearn.model_selection.train_test_split",
            "sklearn.neural_network.BernoulliRBM",
            "sklearn.neural_network.MLPClassifier",
            "sklearn.neural_network.MLPRegressor",
            "sklearn.pipeline.Pipeline",
            "sklearn.pipeline.make_pipeline",
            "sklearn.preprocessing.MinMaxScaler",
            "sklearn.preprocessing.OneHotEncoder",
            "sklearn.preprocessing.OrdinalEncoder",
            "sklearn.preprocessing.PowerTransformer",
            "sklearn.preprocessing.QuantileTransformer",
            "sklearn.preprocessing.StandardScaler",
            "sklearn.set_config",
            "sklearn.svm.SVC",
            "sklearn.utils.Bunch",
            "sklearn.utils.resample",
        ],
        "api/$.html#module-$": ["sklearn.callback", "sklearn.feature_selection"],
    },
    "numpy": {
        "reference/generated/$.html#$": ["numpy.log1p", "numpy.ndarray"],
        "reference/random/legacy.html#$": ["numpy.random.RandomState"],
    },
    "scipy": {"reference/generated/$.html#$": ["scipy.sparse.csr_array"]},
    "joblib": {"generated/$.html#$": ["joblib.Memory", "joblib.parallel_config"]},
    "pandas": {
        "reference/api/$.html#$": ["pandas.Categorical", "pandas.DataFrame", "pandas.read_csv"]
    },
    "python": {"library/datetime.html#$": ["datetime.timedelta"]},
}


def role(name: str) -> str:
    """What kind of entry the object of a dotted name has."""
    try:
        thing = resolve_name(name)
    except (AttributeError, ImportError) as error:
        sys.exit(f"{name}: {error}")
    if inspect.ismodule(thing):
        return "module"
    return "class" if inspect.isclass(thing) else "function"


def write(project: str) -> None:
    inventory = sphobjinv.Inventory()
    inventory.project = project
    python = ".".join(map(str, sys.version_info[:2]))
    inventory.version = python if project == "python" else version(project)
    for uri, names in PAGES[project].items():
        for name in names:
            inventory.objects.append(
                sphobjinv.DataObjStr(
                    name=name,
                    domain="py",
                    role=role(name),
                    priority="1",
                    uri=uri.replace("$", name, uri.count("$") - 1),
                    dispname="-",
                )
            )
    path = Path(__file__).with_name(f"{project}.inv")
    sphobjinv.writebytes(str(path), sphobjinv.compress(inventory.data_file()))


if __name__ == "__main__":
    for project in PAGES:
        write(project)
