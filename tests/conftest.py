"""What every test starts from: the same seeds, and Keras as freshly imported."""

import gc
import os

# Kernels run for milliseconds here and take longer to compile. Read when a backend is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import keras
import pytest

from keras_ff.layers import FFLayer

if keras.backend.backend() == "torch":
    from tests.helpers import torch_arrays

    torch_arrays.set_up()


def pytest_addoption(parser):
    parser.addoption(
        "--cases", type=int, metavar="N", help="run at most N cases of a test, spread evenly"
    )


@pytest.hookimpl(trylast=True)  # after `-m` and `-k`
def pytest_collection_modifyitems(config, items):
    """Leave out cases beyond `--cases`, but of tests that are marked `every_case`."""
    most = config.getoption("--cases")
    if most is None:
        return
    tests = {}
    for item in items:
        tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    kept = set()
    for cases in tests.values():
        few = len(cases) <= most or cases[0].get_closest_marker("every_case")
        kept.update(cases if few else cases[:: -(-len(cases) // most)])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def pytest_collection_finish():
    """Leave out what is there by now, a million objects, wherever garbage is collected."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item):
    """Skip what the backend cannot do; the marker says why."""
    marker = item.get_closest_marker("tensorflow")
    if marker and keras.backend.backend() != "tensorflow":
        pytest.skip(f"Under TensorFlow only: {marker.args[0]}")
    for marker in item.iter_markers("not_under"):
        backend, reason = marker.args
        if backend == keras.backend.backend():
            pytest.skip(f"Not under {backend}: {reason}")
    if keras.backend.backend() == "tensorflow":
        _leave_graphs_as_they_are(item.get_closest_marker("slow") is None)


def _leave_graphs_as_they_are(quick):
    """Let quick tests do without TensorFlow's graph optimizer.

    Their graphs run for a few steps and take longer to optimise.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": quick})


@pytest.fixture(autouse=True)
def fresh_keras():
    """Seed all generators before a test; undo global settings and names after it."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(scope="module")
def eager_functions():
    """Steps are not compiled: for tests of what is around a few steps of small models."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def packaged_presets_alone(monkeypatch):
    """No presets but those of the repository, whatever the environment and other tests say."""
    from keras_ff import zoo
    from keras_ff.presets import folders

    monkeypatch.delenv(zoo.VARIABLE, raising=False)
    monkeypatch.setattr(folders, "_registered", [])


@pytest.fixture
def layer_losses(monkeypatch):
    """A function that takes a step of a model: the losses of its layers, to be differentiated."""

    def recorded(model, step, *batch):
        losses = []
        objective = FFLayer.objective

        def recording(self, *args, **kwargs):
            metrics, handed = objective(self, *args, **kwargs)
            losses.append(metrics["loss"])
            return metrics, handed

        with monkeypatch.context() as patch:
            patch.setattr(FFLayer, "objective", recording)
            step(*batch)
        return losses

    def logged(model, step, *batch):
        """Under JAX nothing leaves a layer's own gradient but what is answered, and so logged."""
        model.reset_metrics()
        logs = step(*batch)
        return [logs[f"layer_{k + 1}/loss"] for k in range(len(model.ff_layers))]

    return logged if keras.backend.backend() == "jax" else recorded
