"""Published tables, trained again: cells, their files, interruptions, and the page of results."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import cli
from keras_ff.lab.experiments import (
    cells,
    kesanapalli2023_architectures,
    networks,
    results_page,
    tables,
)
from keras_ff.lab.experiments.networks import kesanapalli2023
from keras_ff.lab.experiments.table import Cell, Table
from keras_ff.recipes import TrainingConfig
from tests.helpers import ROOT

pytestmark = pytest.mark.usefixtures("eager_functions")


def small(**changed):
    """Trained in thirty steps, in the quick budget in three."""
    chosen = {"units": (40,), "epochs": 10, "batch_size": 512, "learning_rate": 0.02}
    return TrainingConfig.for_dataset("digits", dtype_policy="float32", **chosen | changed)


def small_table():
    return Table(
        name="small",
        title="Digits",
        source="S0",
        rows="activation",
        cells=(
            Cell("relu", small(), 50.0),
            Cell("relu", small(goodness="class_groups"), None),
            Cell("tanh", small(activation="tanh", dropout=0.2), 10.0, True, "below 10"),
        ),
        remarks="None.",
    )


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setitem(tables.TABLES, "small", small_table)
    return {"folder": tmp_path / "results", "runs": tmp_path / "runs"}


def rows_of(table, folder, *budget):
    """The rows of a table as the terminal shows it, dictionaries."""
    head, *lines = results_page.text(table, folder, *budget).splitlines()
    columns = re.split(r"\s{2,}", head.strip())
    return [dict(zip(columns, re.split(r"\s{2,}", line.strip()), strict=True)) for line in lines]


def reproduce(folders, lines=None, **chosen):
    tell = [].append if lines is None else lines.append
    chosen = {"budget": "quick", **chosen}
    cells.reproduce(small_table(), **chosen, **folders, tell=tell)
    return {
        path.stem: json.loads(path.read_text())
        for path in sorted(folders["folder"].rglob("*.json"))
    }


@pytest.mark.slow
def test_every_cell_is_trained_and_measured_on_all_parts(folders):
    lines = []
    found = reproduce(folders, lines)
    assert sorted(found) == [
        "relu-class_groups-seed_0",
        "relu-contrastive-seed_0",
        "tanh-backpropagation-seed_0",
    ]
    for result in found.values():
        assert result["epochs"] == 1 and result["seconds"] > 0
        assert len(result["curves"]["val_accuracy"]) == 1
        assert (result["network"], result["images"]) in (
            ("dense 40, relu", 1198),
            ("dense 40, tanh", 1198),
        )
        for part in cells.PARTS:
            assert 0.15 < result[part]["accuracy"] <= 1 and result[part]["loss"] > 0
        assert result["test"]["accuracy"] != result["training"]["accuracy"]
    assert [found[name]["locality"] for name in sorted(found)] == [1, 1, None]
    assert any("epoch 1/1, validation " in line and "0.0 min left" in line for line in lines)
    # What is done is not done again.
    lines.clear()
    assert reproduce(folders, lines) == found
    assert lines == ["small: 0 of 3 cells to train"]


@pytest.mark.slow
def test_what_nobody_published_has_no_difference(folders, tmp_path):
    reproduce(folders, names=["relu-class_groups"], budget="two_cores")
    row = rows_of(small_table(), folders["folder"])[1]
    assert row["activation"] == "relu" and row["family"] == "class groups"
    assert row["source test"] == "–" and float(row["test"]) > 50
    assert "difference" not in row  # nor in any other row
    results_page.write(tmp_path / "RESULTS.md", folders["folder"])
    assert (tmp_path / "docs" / "pictures" / "table_small.png").stat().st_size > 5000
    results_page.write(tmp_path / "RESULTS.md", folders["folder"], tmp_path / "elsewhere")
    assert "(elsewhere/table_small.png)" in (tmp_path / "RESULTS.md").read_text()


@pytest.mark.slow
def test_a_cell_is_what_its_configuration_trains_by_itself(folders, tmp_path):
    from keras_ff import training

    found = reproduce(folders, names=["relu-contrastive"])
    metrics = training.train(small(epochs=1), tmp_path / "alone", verbose=0)
    assert found["relu-contrastive-seed_0"]["test"]["accuracy"] == pytest.approx(
        metrics["test_accuracy"]
    )


class Interrupted(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("name", ["relu-contrastive", "tanh-backpropagation"])
def test_an_interrupted_cell_ends_as_an_undisturbed_one(name, folders, tmp_path):
    def stop(line):
        if "epoch 4/10" in line:
            raise Interrupted

    with pytest.raises(Interrupted):
        cells.reproduce(small_table(), [name], **folders, tell=stop)
    with pytest.raises(ValueError, match="--resume"):
        reproduce(folders, names=[name], budget="two_cores")
    lines = []
    found = reproduce(folders, lines, names=[name], budget="two_cores", resume=True)[
        f"{name}-seed_0"
    ]
    assert len(found["curves"]["val_accuracy"]) == 10
    assert "epoch 5/10" in lines[1]
    assert found["test"]["accuracy"] > 0.8
    elsewhere = {"folder": tmp_path / "undisturbed", "runs": tmp_path / "undisturbed_runs"}
    undisturbed = reproduce(elsewhere, names=[name], budget="two_cores")[f"{name}-seed_0"]
    assert {**found, "seconds": 0} == {**undisturbed, "seconds": 0}


@pytest.mark.slow
def test_cells_of_datasets_that_cannot_be_had_are_left_out(folders, monkeypatch):
    lost = TrainingConfig.for_dataset("lost_digits", num_classes=10, epochs=1, units=(20,))
    table = dataclasses.replace(
        small_table(), cells=(Cell("lost", lost, None), *small_table().cells[:1])
    )
    lines = []
    cells.reproduce(table, budget="quick", **folders, tell=lines.append)
    assert "TFDS has no dataset named 'lost_digits'" in lines[1] and "left out" in lines[1]
    assert [path.name for path in folders["folder"].rglob("*.json")] == [
        "relu-contrastive-seed_0.json"
    ]


@pytest.mark.slow
def test_tables_need_no_datasets_to_be_listed(tmp_path):
    """TFDS knows those of its catalogue, and of the stand-in the recipes know enough."""
    environment = {**os.environ, "TFDS_DATA_DIR": str(tmp_path)}
    words = [sys.executable, "-m", "keras_ff.cli", "reproduce"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"{name}: " in done.stdout for name in tables.TABLES)


@pytest.mark.slow
def test_seeds_differ_and_are_averaged(folders):
    found = reproduce(folders, names=["relu-contrastive"], seeds=2)
    accuracies = [100 * result["test"]["accuracy"] for result in found.values()]
    assert [result["seed"] for result in found.values()] == [0, 1]
    row = rows_of(small_table(), folders["folder"], "quick")[0]
    assert row["source test"] == "50.00"
    mean, spread = map(float, row["test"].split(" ± "))
    assert mean == pytest.approx(sum(accuracies) / 2, abs=0.006)
    assert spread == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5, abs=0.006)
    assert float(row["difference"]) == pytest.approx(sum(accuracies) / 2 - 50, abs=0.006)


def source_network(sample_shape, num_classes, epochs, steps, width=24):
    """A network as published: its optimizer tells what it was made for."""
    model = keras_ff.FFModel([keras_ff.layers.FFDense(width)], num_classes, negatives="all_labels")
    rate = keras.optimizers.schedules.PolynomialDecay(0.02, epochs * steps, end_learning_rate=0.01)
    model.compile(keras.optimizers.Adam(rate), metrics=networks.metrics())
    return model


def plain_network(sample_shape, num_classes, epochs, steps):
    model = keras.Sequential(
        [
            keras.layers.Flatten(),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=networks.metrics())
    return model


def test_a_budget_decides_how_long_and_on_what_a_cell_is_trained():
    whole = TrainingConfig(dataset="digits", epochs=600)
    some = TrainingConfig(dataset="digits", epochs=30, samples=500)
    cell = Cell("relu", some, 97.0, full={"config": whole}, validation_freq=10)
    assert cell.within("two_cores") is cell
    assert cell.within("full").config == whole and cell.within("full").validation_freq == 10
    quick = cell.within("quick")
    assert quick.config == dataclasses.replace(some, epochs=3) and quick.validation_freq == 1


@pytest.mark.slow
def test_a_sources_own_network_is_trained_within_fewer_epochs(folders):
    data = TrainingConfig(dataset="digits", batch_size=512, epochs=4)
    whole = TrainingConfig(dataset="digits", batch_size=512, epochs=6)
    own = {"as_published": True, "source_epochs": 6}
    table = dataclasses.replace(
        small_table(),
        cells=(
            Cell(
                "relu",
                data,
                97.0,
                network=source_network,
                full={
                    "config": whole,
                    "network": functools.partial(source_network, width=48),
                },
                validation_freq=3,
                measures_layers=True,
                **own,
            ),
            Cell("relu", data, 98.0, True, network=plain_network, comparable=False, **own),
        ),
    )
    names = ("relu-contrastive-as_published", "relu-backpropagation-as_published")
    for budget, width, epochs in (("two_cores", 24, 4), ("full", 48, 6)):
        cells.reproduce(table, budget=budget, **folders, tell=lambda line: None)
        path = cells.path_of(table, table.cells[0], 0, budget, folders["folder"])
        found = json.loads(path.read_text())
        assert (found["epochs"], found["network"]) == (epochs, f"dense {width}, relu")
        assert [value is None for value in found["curves"]["val_accuracy"]] == (
            [True, True, False, True] if epochs == 4 else 2 * [True, True, False]
        )
        assert 0 < found["test"]["cross_entropy"] < 3
        assert found["config"]["dataset"] == "digits"
    (layer,) = found["layers"]
    assert 0.2 < layer["probe"] <= 1 and 0.2 < layer["accuracy"] <= 1
    first, second = rows_of(table, folders["folder"])
    assert first["recipe"] == "as published" and first["source epochs"] == "6"
    assert (first["images"], first["epochs"]) == ("1,198", "4")
    assert len(first["losses"].split(" / ")) == 3
    assert second["difference"] == "not comparable" and second["architecture"] == "dense 20, relu"
    assert [cell.name for cell in table.cells] == list(names)
    assert "| relu | 1 |" in results_page._layers(
        table, results_page.reproductions(table, **{"folder": folders["folder"]})
    )


@pytest.mark.slow
def test_what_is_trained_first_goes_on_by_the_other_method(folders):
    """Hybrids both ways, as the table of architectures makes them: weights are carried over."""
    data = TrainingConfig(dataset="digits", batch_size=512, epochs=2)
    forward = Cell("first", data, None, network=kesanapalli2023_architectures.small_layers)
    backward = functools.partial(kesanapalli2023.backpropagation_network, (30, 20))
    carried = []

    def recorded(make):
        def network(first, *made_for):
            made = make(first, *made_for)
            kernels = [layer.kernel for layer in first.layers if hasattr(layer, "kernel")]
            own = getattr(made, "ff_layers", None) or made.layers[1:]
            carried.append(np.array_equal(kernels[0], own[0].kernel))
            return made

        return network

    cells_of_both = (
        Cell(
            "forward first",
            data,
            None,
            True,
            network=recorded(kesanapalli2023_architectures.plainly_on),
            first=forward,
        ),
        Cell(
            "backward first",
            data,
            None,
            network=recorded(kesanapalli2023_architectures.layers_on),
            first=Cell("first", data, None, True, network=backward),
        ),
    )
    table = dataclasses.replace(small_table(), cells=cells_of_both)
    cells.reproduce(table, **folders, tell=lambda line: None)
    assert carried == [True, True]
    for cell in cells_of_both:
        found = json.loads(cells.path_of(table, cell, folder=folders["folder"]).read_text())
        assert found["epochs"] == 2 and 0 < found["test"]["accuracy"] <= 1


def test_unknown_names_are_named(folders):
    with pytest.raises(ValueError, match="relu-class_groups"):
        reproduce(folders, names=["relu"])
    with pytest.raises(ValueError, match="two_cores, full, quick"):
        reproduce(folders, budget="slow")
    with pytest.raises(ValueError, match="li_chen2023_widths"):
        tables.get("li_chen2023_width")


@pytest.mark.slow
def test_the_command_trains_prints_and_writes_the_page(folders, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = ["--results", str(folders["folder"]), "--runs", str(folders["runs"])]
    chosen = ["--cells", "tanh-backpropagation", "--budget", "quick"]
    assert cli.main(["reproduce", "small", *chosen, *where]) == 0
    printed = capsys.readouterr().out
    assert "below 10" in printed and "relu" in printed
    assert cli.main(["reproduce", "--page", "RESULTS.md", "--results", str(ROOT / "results")]) == 0
    page = pathlib.Path("RESULTS.md").read_text(encoding="utf-8")
    for name in tables.TABLES:
        assert f"keras-ff reproduce {name}" in page
    assert cli.main(["reproduce"]) == 0
    assert "tantravahi2024_activations: " in capsys.readouterr().out


@pytest.mark.slow
def test_former_names_stand_for_the_same_tables(capsys):
    for former, name in tables.FORMER_NAMES.items():
        with pytest.warns(UserWarning, match=rf"`{former}` is now `{name}`; keras_ff 0.3.0 rem"):
            assert tables.get(former).name == name
    assert cli.main(["reproduce", "s4_widths", "--cells", "none"]) == 2
    assert "The table li_chen2023_widths has no cell 'none'" in capsys.readouterr().err


@pytest.mark.slow
def test_all_tables_have_cells_of_different_names():
    for name, table in tables.TABLES.items():
        found = table()
        assert found.name == name
        row = results_page.Reproduction(found.cells[0], []).row(found.rows)
        assert row[found.rows] == found.cells[0].row  # no other column has its name
        names = [cell.name for cell in found.cells]
        assert len(set(names)) == len(names)
        assert not any("," in name for name in names)  # which part them on the command line
        assert all(cell.published is None or 0 < cell.published < 100 for cell in found.cells)


@pytest.mark.slow
def test_what_was_divided_by_whole_sets_is_divided_by_what_there_was():
    """Kesanapalli et al., table 3: 46.83 % of 10,000 test images are 93.66 % of 5,000."""
    found = {cell.name: cell for cell in tables.get("kesanapalli2023_samples").cells}
    cell = found["mnist_5000-backpropagation-as_published"]
    assert (cell.published, cell.published_text) == (93.66, "46.83 (93.66)")
    assert cell.source_values["training"] == "8.31 (99.72)"
    cell = found["mnist_30000-backpropagation-as_published"]
    assert (cell.published, cell.published_text) == (97.56, "97.56")
    assert cell.source_values["training"] == "49.99 (99.98)"
    cell = found["svhn_cropped_10k_1000-backpropagation-as_published"]
    assert (cell.published_text, cell.comparable) == ("2.35 (61.1)", False)
    # Ours see about as many images, whatever there are.
    seen = {
        name: cell.config.epochs * cell.config.samples
        for name, cell in found.items()
        if name.endswith("class_groups") and cell.config.samples
    }
    assert seen["mnist_1000-class_groups"] == 600_000
    assert seen["mnist_20000-class_groups"] == seen["cifar10_5000-class_groups"] == 1_800_000


@pytest.mark.slow
def test_results_are_of_the_configurations_that_the_tables_have_now():
    for name in tables.TABLES:
        table = tables.get(name)
        for cell in table.cells:
            path = cells.path_of(table, cell, folder=ROOT / "results")
            if path.exists():
                was = json.loads(path.read_text())["config"]
                assert TrainingConfig.from_dict(was) == cell.config, path.name


@pytest.mark.slow
def test_the_page_of_results_is_up_to_date():
    assert (ROOT / "RESULTS.md").read_text() == results_page.markdown(ROOT / "results")
