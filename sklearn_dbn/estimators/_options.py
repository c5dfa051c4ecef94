"""The strings that parameters take, for type checkers.

What is valid at run time is in `_parameter_constraints`; tests/typing compares the two.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

Auto: TypeAlias = Literal["auto"]
RandomState: TypeAlias = int | np.random.RandomState | None

# Columns, units and their training.
Visible: TypeAlias = Literal[
    "auto",
    "bernoulli",
    "spin",
    "gaussian",
    "categorical",
    "ordinal",
    "count",
    "binomial",
]
Hidden: TypeAlias = Literal["bernoulli", "gaussian", "spin"]
Missing: TypeAlias = Literal["nan", "unstored"]
Sampler: TypeAlias = Literal["pcd", "cd", "tempering"]
Schedule: TypeAlias = Literal["linear", "cosine", "constant"]
NegativePhase: TypeAlias = Literal["sampled", "partial_mean_field"]
Inference: TypeAlias = Literal["mean_field", "single_pass"]
Pretrain: TypeAlias = Literal["auto", "doubled", "first_layer"]

# The selection of features.
Layers: TypeAlias = Literal["all"]
UnitScore: TypeAlias = Literal["information", "variance"]
Output: TypeAlias = Literal["probability", "logit", "binary"]
Fill: TypeAlias = Literal["mean_field", "draws"]

# Fine-tuning.
FineTune: TypeAlias = Literal["all", "head"]
Solver: TypeAlias = Literal["adam", "sgd", "lbfgs", "cg"]
ClassWeight: TypeAlias = Literal["balanced"]

# The partition function.
LogPartitionMethod: TypeAlias = Literal["auto", "exact", "ais"]
