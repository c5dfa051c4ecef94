"""Fine-tuning on arrays of other libraries and on other devices, against NumPy.

The second device of array_api_strict stands for a GPU: no array on it combines with one on
the host, nor becomes a NumPy array unasked. Arrays of torch are on a GPU if there is one.
"""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import exact
from helpers.networks import N_OUTPUTS, N_ROWS, SIZES, make_settings, run
from helpers.training import make_settings as make_machine_settings
from helpers.training import train

from sklearn_dbn._random import Stream
from sklearn_dbn.data import Columns, Rows
from sklearn_dbn.fine_tuning import (
    GenerativeTerm,
    Inputs,
    Logistic,
    Softmax,
    Squared,
    Targets,
    TrainingRows,
    Tuning,
    generative_term_of,
    joint_weight,
    machines_of,
    nearest_distance,
    network_on,
    rows_with_target,
    split_validation,
    training_rows_of,
    tuned_runs,
)
from sklearn_dbn.fine_tuning._adversarial import presented
from sklearn_dbn.optim import Adam, Descent, Momentum
from sklearn_dbn.samplers import PersistentContrastiveDivergence
from sklearn_dbn.training import Diverged, rows_to_record, start
from sklearn_dbn.units import UNITS

PLACES = ["CPU_DEVICE", "device1", "torch"]
pytestmark = [
    pytest.mark.parametrize("place", PLACES),
    pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"]),
]


@pytest.fixture(autouse=True)
def _draws_of_numpy(monkeypatch):
    """All libraries get the draws of NumPy, also those that have their own."""
    monkeypatch.setattr(Stream, "_own_draws", lambda self, like: None)


# Machines whose hidden layers are those of a network, and whether it has top-down inputs.
_PAIRS = [(("bernoulli",) * 2, sizes) for sizes in itertools.pairwise(SIZES)]
_DEEP = [(("bernoulli",) * 4, SIZES)]
_BITS = "bernoulli|bernoulli"
STACKS = {
    "stack": (_PAIRS, False),
    "doubled": (_DEEP, False),
    "top-down": (_DEEP, True),
    "pathways": ([((_BITS, _BITS, _BITS, "bernoulli"), ((3, 2), (2, 2), (4, 2), 3))], True),
    "other-units": ([(("bernoulli", "gaussian", "ordinal"), (5, 4, 2))], False),
}
stacks = pytest.mark.parametrize("stack", STACKS)


class Place:
    """Where arrays are: a device of array_api_strict or of torch."""

    def __init__(self, name):
        if name == "torch":
            torch = pytest.importorskip("torch")
            self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            self.move = lambda x: torch.tensor(x, device=self.device)
            self.fetch = lambda x: x.cpu().numpy()
        else:
            xp = pytest.importorskip("array_api_strict")
            self.device, host = xp.Device(name), xp.Device("CPU_DEVICE")
            self.move = lambda x: xp.asarray(x, device=self.device, copy=True)
            self.fetch = lambda x: np.asarray(x.to_device(host))

    def check(self, function, rtol=None):
        """``function(move)`` gives the same on NumPy and here, and its arrays are here.

        It returns a mapping of arrays and numbers, with which that for NumPy is compared.
        """
        expected, actual = function(np.array), function(self.move)
        assert actual.keys() == expected.keys()
        for name, x in expected.items():
            y = actual[name]
            if isinstance(x, np.ndarray | np.generic):
                assert str(y.device).startswith(str(self.device)), name
                y = self.fetch(y)
                assert y.dtype == x.dtype, name
                tolerance = rtol or (1e-4 if x.dtype == np.float32 else 1e-10)
                np.testing.assert_allclose(y, x, rtol=tolerance, atol=tolerance, err_msg=name)
            else:
                assert y == pytest.approx(x, rel=1e-4, abs=1e-5), name


@pytest.fixture
def at(place):
    return Place(place)


def named(name, arrays):
    """Arrays that are not ``None``, by names that begin with ``name``."""
    return {f"{name}{i}": x for i, x in enumerate(arrays) if x is not None}


def make_tuning(stack, move, dtype, generative=False):
    """A tuning of machines with random parameters, with a random head."""
    given, top_down = STACKS[stack]
    machines = [
        exact.make_machine(*of, seed=i, dtype=dtype).map(move) for i, of in enumerate(given)
    ]
    rng = np.random.default_rng(0)
    network = network_on(machines, top_down, N_OUTPUTS, rng.standard_normal(N_OUTPUTS))
    network.head[...] = move(rng.standard_normal(network.head.shape).astype(dtype))
    term = None
    if generative:
        sampler, rng = PersistentContrastiveDivergence(), Stream(5)
        chains = [sampler.init(machine, 6, rng) for machine in machines]
        offsets = [[x[0, :] * 0 + 0.4 for x in machine.par] for machine in machines]
        term = GenerativeTerm(machines, chains, offsets)
    return Tuning(network, Stream(0), machines, term)


def make_rows(network, move, dtype, loss=None, seed=1):
    """Rows with a target: rows and top-down inputs on the device, the rest on the host."""
    rng = np.random.default_rng(seed)
    X = rng.random((N_ROWS, SIZES[0])).astype(dtype)
    above = [
        None if A is None else move(rng.random((N_ROWS, A.shape[0])).astype(dtype))
        for A in network.A
    ]
    target = np.eye(N_OUTPUTS, dtype=dtype)[rng.integers(0, N_OUTPUTS, N_ROWS)]
    if isinstance(loss, Squared):
        target = rng.standard_normal((N_ROWS, N_OUTPUTS)).astype(dtype)
    elif isinstance(loss, Logistic):
        target = rng.integers(0, 2, (N_ROWS, N_OUTPUTS)).astype(dtype)
    return TrainingRows(Inputs(move(X), above), target, rng.random(N_ROWS).astype(dtype))


def make_both(stack, move, dtype):
    """A network and its rows, both on the device."""
    network = make_tuning(stack, move, dtype).network
    return network, make_rows(network, move, dtype).moved(network.head)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.3])
@stacks
def test_forward_and_backward(stack, rate, centered, at, dtype):
    def results(move):
        network, rows = make_both(stack, move, dtype)
        layers, loss = range(len(network.W)), Softmax()
        v, above = rows.inputs.take(slice(None))
        if centered:
            network.update_input_means(network.forward(v, above), rows.weight)
        tape = network.forward(v, above, rate, rate, Stream(3))
        found = {"outputs": tape.outputs + 0}
        for name in ("inputs", "top_down", "fields", "means", "masks"):
            found |= named(name, getattr(tape, name))
        _, delta = loss(tape.outputs, rows.target)
        found |= {"input": network.input_gradient(tape, delta)}
        found |= network.backward(tape, delta, layers)
        # Into arrays that are there already.
        there = {name: x * 0 for name, x in network.parameters().items()}
        network.backward(tape, delta, layers, there)
        found |= {f"into {name}": x for name, x in there.items()}
        args = network, loss, rows.target, rows.weight, layers
        found["value"], gradient = rows.inputs.loss_and_gradient(*args)
        found |= {f"mean {name}": x for name, x in gradient.items()}
        found["all outputs"] = rows.inputs.outputs(network)
        return found | named("all fields", rows.inputs.fields(network, layers[-1]))

    at.check(results)


@stacks
def test_norms_biases_and_means(stack, at, dtype):
    def results(move):
        network, rows = make_both(stack, move, dtype)
        layers = range(len(network.W))
        v, above = rows.inputs.take(np.array([4, 1, 1]))
        weight = rows.weight[:3]
        for _ in range(2):
            network.update_input_means(network.forward(v, above), weight)
        before = network.fields_at_means(layers)
        network.limit(layers, 0.9)
        network.correct_biases(layers, before)
        return network.parameters() | {f"mean {k}": x for k, x in network.input_means.items()}

    at.check(results)


@pytest.mark.parametrize("loss", [Softmax(), Logistic(), Squared()])
def test_losses(loss, at, dtype):
    def results(move):
        network = make_tuning("stack", move, dtype).network
        rows = make_rows(network, move, dtype, loss).moved(network.head)
        outputs = rows.inputs.outputs(network)
        # Far from 0, where an exponential would overflow.
        outputs[0, :] *= 1000
        score = loss.score(outputs + 0, rows.target, rows.weight)
        target = rows.target if isinstance(loss, Squared) else loss.smooth(rows.target, 0.2)
        losses, delta = loss(outputs, target)
        return {"losses": losses, "delta": delta, "score": score}

    at.check(results)


@pytest.mark.parametrize("rule", [Adam(), Momentum(0.9)], ids=["adam", "momentum"])
def test_descent(rule, at, dtype, monkeypatch):
    monkeypatch.setattr("sklearn_dbn.optim._descent._SEGMENT_SIZE", 8)

    def results(move):
        rng = np.random.default_rng(0)
        shapes = {"W": (4, 3), "b": (3,), "large": (9, 5)}
        x = {k: move(rng.standard_normal(shape).astype(dtype)) for k, shape in shapes.items()}
        state = rule.start(x)
        descent = Descent(rule, x, {"W": 1.0, "b": 0.3, "large": 2.0}, state)
        # The sums of Adam are rescaled after 200 updates.
        for _ in range(202):
            scale = descent.scale(0.01)
            for name, g in descent.gradient.items():
                g[...] = x[name] * scale
            descent.step(0.01)
        return x | {f"first {name}": y for name, y in state.first.views().items()}

    at.check(results)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("stack", ["stack", "top-down"])
def test_adversarial_rows(stack, free, at, dtype):
    def results(move):
        network, rows = make_both(stack, move, dtype)
        v, above = rows.inputs.take(slice(None))
        settings = make_settings(adversarial_eps=0.2, virtual_adversarial_eps=0.3, dropout=0.1)
        unsupervised = v[:3, :] if free else v, above, rows.weight
        if free:
            above = [None if q is None else q[:3, :] for q in above]
            unsupervised = v[:3, :], above, rows.weight[:3]
        given = *rows.inputs.take(slice(None)), rows.target, rows.weight
        moved, above, target, weight = presented(
            network, settings, given, unsupervised, Stream(0)
        )
        return {"v": moved, "target": target, "weight": weight} | named("above", above)

    at.check(results)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("stack", ["stack", "top-down", "pathways", "other-units"])
def test_the_generative_term(stack, centered, at, dtype):
    def results(move):
        tuning = make_tuning(stack, move, dtype, generative=True)
        rows = make_rows(tuning.network, move, dtype).moved(tuning.network.head)
        parameters = tuning.parameters(list(range(len(tuning.network.W))))
        gradient = {name: x * 0 for name, x in parameters.items()}
        v, _ = rows.inputs.take(slice(None))
        for seed in range(2):
            tuning.generative_term.add_to(gradient, v, rows.weight, 0.3, Stream(seed), centered)
        found = {name: x + 0 for name, x in gradient.items()}
        tuning.generative_term.clear(gradient)
        return found | {f"cleared {name}": x for name, x in gradient.items()}

    at.check(results)


REGULAR = {
    "dropout": 0.2,
    "hidden_dropout": 0.1,
    "adversarial_eps": 0.1,
    "virtual_adversarial_eps": 0.2,
    "max_norm": 1.5,
    "weight_decay": 0.1,
    "generative_weight": 0.1,
    "factors": (1.0, 0.5, 1.0),
}
SOLVERS = {
    "adam": {"solver": "adam"},
    "regular-adam": {"solver": "adam", "centered": True, **REGULAR},
    "regular-sgd": {"solver": "sgd", **REGULAR},
    "lbfgs": {"solver": "lbfgs", "weight_decay": 0.1},
    "cg": {"solver": "cg", "weight_decay": 0.1},
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("stack", ["stack", "top-down", "pathways"])
def test_a_whole_training(stack, solver, at, dtype):
    def results(move):
        settings = make_settings(**SOLVERS[solver], n_iter_no_change=2)
        generative = settings.generative_weight > 0
        tuning = make_tuning(stack, move, dtype, generative)
        rows = make_rows(tuning.network, move, dtype)
        if generative:
            # What needs no target has more rows.
            more = make_rows(tuning.network, move, dtype, seed=2)
            rows.all_rows = more.inputs, more.weight
        validation = make_rows(tuning.network, move, dtype, seed=3)
        tuning = run(tuning, settings, rows, 3, validation).state
        tuning.convert_outputs(np.array([1.1, 0.9, 1.2]), np.array([0.0, 0.5, -0.3]))
        tuning = run(tuning.copy(), settings, rows, 1, validation).state
        found = tuning.parameters(settings.layers)
        tuning.restore_best()
        found |= {f"best {name}": x for name, x in tuning.network.parameters().items()}
        for name, values in tuning.history.items():
            found |= named(f"{name} ", values)
        return found

    at.check(results)


def test_a_network_on_trained_machines(at, dtype):
    rng = np.random.default_rng(0)
    X = (rng.random((12, 5)) < 0.5).astype(dtype)
    targets = Targets(
        np.array([0, 2, 3, 5, 6, 8, 9, 11]),
        np.eye(N_OUTPUTS, dtype=dtype)[rng.integers(0, N_OUTPUTS, 8)],
        np.array([0.1, 0.2, 0.3]),
        np.ones(8, dtype=dtype),
        np.arange(8) % 2,
    )

    def results(move):
        runs, lower, columns = [], [], Columns(UNITS["bernoulli"])
        weight = move(np.linspace(0.5, 1.5, 12).astype(dtype))
        for n, hidden in ((5, 4), (4, 3)):
            rows = Rows(move(X), weight, columns, lower)
            settings, stream = make_machine_settings(), Stream(0)
            units = UNITS["bernoulli"], UNITS["bernoulli"]
            runs.append(start(units, [(n,), (hidden,)], rows, settings, 5, stream))
            recorded = rows_to_record(runs[-1], rows, None)
            list(train(runs[-1], rows, settings, 2, recorded))
            lower.append(runs[-1].result())
        machines = machines_of(runs)
        network = network_on(machines, False, N_OUTPUTS, targets.base)
        tuning = Tuning(network, Stream(1), machines, generative_term_of(runs, machines, 5))
        data = training_rows_of(Inputs(move(X), [None, None]), targets, weight, True)
        data, validation = split_validation(data, targets, 0.3, Stream(2))
        settings = make_settings(factors=(1.0, 0.0), generative_weight=0.1)
        run(tuning, settings, data, 2, validation)
        found = named("tuned", tuned_runs(runs, machines, [0])[0].machine.arrays())
        return network.parameters() | found | {"nearest": nearest_distance(move(X))}

    at.check(results)


def test_sparse_rows_of_the_host(at, dtype):
    def results(move):
        tuning = make_tuning("top-down", move, dtype)
        rows = make_rows(tuning.network, move, dtype)
        X = np.random.default_rng(0).random((N_ROWS, SIZES[0])).astype(dtype)
        rows.inputs.X = sp.csr_array(X * (X > 0.5))
        run(tuning, make_settings(), rows, 2, rows)
        return tuning.network.parameters()

    at.check(results)


def test_a_network_shares_no_memory_with_its_base_nor_its_top_down_weights(at, dtype):
    machine = exact.make_machine(*_DEEP[0], dtype=dtype).map(at.move)
    base, W = np.ones(N_OUTPUTS, dtype=dtype), at.fetch(machine.W[1]).copy()
    network = network_on([machine], True, N_OUTPUTS, base)
    np.testing.assert_array_equal(at.fetch(network.A[0]), W.T)
    network.A[0][...] = 0
    network.intercept[...] = 0
    np.testing.assert_array_equal(base, 1)
    np.testing.assert_array_equal(at.fetch(machine.W[1]), W)


def test_weights_on_a_device_choose_and_weigh_rows_on_the_host(at, dtype):
    weight, of_class = np.array([0.5, 0.0, 2.0, 1.0], dtype=dtype), np.array([1.0, 1.0, 3.0])
    rows = rows_with_target(np.array([True, True, True, False]), at.move(weight))
    np.testing.assert_array_equal(rows, [0, 2])
    joint = joint_weight(at.move(weight[:3]), of_class, True, dtype)
    np.testing.assert_array_equal(joint, joint_weight(weight[:3], of_class, True, dtype))


@pytest.mark.parametrize(
    "changes",
    [{"learning_rate": 1e9}, {"virtual_adversarial_eps": 1e9}, {"solver": "cg"}],
    ids=["rate", "virtual", "full-batch"],
)
def test_a_divergence_is_reported(changes, at, dtype):
    tuning = make_tuning("stack", at.move, dtype)
    rows = make_rows(tuning.network, at.move, dtype, Squared())
    settings = make_settings(loss=Squared(), **changes)
    if "virtual_adversarial_eps" in changes:
        # Outputs that only moved rows have.
        tuning.network.units = [UNITS["gaussian"]] * 3
        tuning.network.par = [
            at.move(UNITS["gaussian"].initial(np.zeros(n, dtype=dtype))) for n in SIZES[1:]
        ]
    elif "solver" in changes:
        tuning.network.head *= 1e30
    with pytest.raises(Diverged, match=next(iter(changes))):
        run(tuning, settings, rows, 3)
