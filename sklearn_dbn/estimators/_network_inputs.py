"""The inputs of a network from validated rows, here or on the workers of a cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..data import Partitions, clipped, has_gaps, has_outside
from ..fine_tuning import Inputs, Network, RemoteInputs


def network_inputs(transformer: Any, network: Network, X: Any) -> Inputs:
    """The inputs of the network of a fitted generator."""
    columns = transformer._bottom_run.columns
    top_down: list = [None] * len(network.A)
    # A partition may have no rows.
    if any(A is not None for A in network.A) and X.shape[0]:
        means = transformer._posterior(X).means(transformer._stack[0])
        top_down[:-1] = means[2:]
    if has_gaps(X):
        X, columns = transformer._standard(X), None
    return Inputs(X, top_down, columns)


def training_inputs(transformer: Any, network: Network, X: Any) -> Inputs | RemoteInputs:
    """The inputs for training; values outside the support by rounding are clipped.

    If possible a few rows at a time, without a copy of all rows.
    """
    if isinstance(X, Partitions):
        sent = transformer._without_callbacks(), network
        return RemoteInputs(X.mapped(_inputs_of_part, *sent), np.arange(X.shape[0]))
    support = transformer._bottom_run.machine.units[0].support
    if not has_outside(X, support):
        return network_inputs(transformer, network, X)
    if has_gaps(X) or any(A is not None for A in network.A):
        # `network_inputs` makes arrays as large as the copy.
        return network_inputs(transformer, network, clipped(X, support))
    return replace(network_inputs(transformer, network, X), support=support)


def _inputs_of_part(X: Any, transformer: Any, network: Network) -> Inputs:
    return training_inputs(transformer, network, X)
