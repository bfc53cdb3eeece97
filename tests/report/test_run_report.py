"""The report of a run: it says what was measured, and needs nothing from elsewhere."""

import base64
import html.parser
import io
import json
import pathlib
import re
import shutil

import keras
import pytest
from matplotlib.image import imread

import keras_ff
from keras_ff import cli, datasets, measurements, report, training
from keras_ff.recipes import TrainingConfig
from keras_ff.report import page

pytestmark = pytest.mark.usefixtures("eager_functions")

SMALL = {"units": (24, 16), "epochs": 2, "batch_size": 256, "learning_rate": 0.01}


class Page(html.parser.HTMLParser):
    """A page that was read: its texts, tables, pictures, and whatever it asks for."""

    def __init__(self, path):
        super().__init__()
        self.text, self.headings, self.tables, self.asked, self.tags = "", [], [], [], []
        self.pictures, self.policy = [], None
        self._within = []
        content = path.read_text(encoding="utf-8")
        assert content.startswith("<!doctype html>\n")
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self._within.append(tag)
        self.asked += [value for name, value in attributes.items() if name in ("src", "href")]
        if tag == "img":
            assert attributes["alt"]
            self.pictures.append(attributes["src"])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "h2":
            self.headings.append("")

    def handle_data(self, data):
        if self._within and self._within[-1] == "style":
            self.style = data
            return
        self.text += data
        if "td" in self._within[-1:] or "th" in self._within[-1:]:
            self.tables[-1][-1][-1] += data
        if self._within and self._within[-1] == "h2":
            self.headings[-1] += data

    def handle_endtag(self, tag):
        while self._within and self._within.pop() != tag:
            pass

    def table_with(self, text):
        return next(table for table in self.tables if any(text in row for row in table))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    training.train(TrainingConfig.for_dataset("digits", **SMALL), folder, verbose=0)
    return folder


@pytest.fixture(scope="module")
def written(run):
    path = report.write(run)
    assert path == run / "report.html"
    return Page(path)


@pytest.mark.slow
def test_nothing_is_asked_from_elsewhere(written):
    assert written.asked and all(link.startswith("data:") for link in written.asked)
    assert not {"script", "iframe", "object", "form"} & set(written.tags)
    assert "url(" not in written.style and "@import" not in written.style
    assert "prefers-color-scheme: dark" in written.style
    assert "max-width: 100%" in written.style


@pytest.mark.slow
def test_pictures_can_be_read(written):
    assert len(written.pictures) == 8
    for link in written.pictures:
        kind, content = link.split(",", 1)
        assert kind == "data:image/png;base64"
        pixels = imread(io.BytesIO(base64.b64decode(content)))
        assert min(pixels.shape[:2]) > 100 and pixels[..., :3].std() > 0.05


@pytest.mark.slow
def test_layers_are_said_to_do_what_they_do(run, written):
    model, record = training.load(run)
    _, validation, _ = TrainingConfig.from_dict(record["config"]).load_data()
    measured = measurements.measure(model, *measurements.first_samples(validation, 2000))
    table = {row[0]: row[1:] for row in written.table_with("dead units")}
    first, second = measured.layers
    assert table[""] == ["layer 1", "layer 2"]
    assert table["units or channels"] == ["24", "16"]
    for name, of in (
        ("positive goodness", lambda layer: f"{layer.positive_goodness.mean():.4g}"),
        ("negative goodness", lambda layer: f"{layer.negative_goodness.mean():.4g}"),
        ("separation", lambda layer: f"{layer.separation:.4g}"),
        ("pair accuracy", lambda layer: f"{100 * layer.pair_accuracy:.2f} %"),
        ("dead units", lambda layer: f"{100 * layer.dead_share:.2f} %"),
        ("saturated activities", lambda layer: f"{100 * layer.saturated_share:.2f} %"),
    ):
        assert table[name] == [of(first), of(second)]
    accuracies = [f"{100 * share:.2f} %" for share in measured.accuracy_of_first()]
    assert table["accuracy with layers below"] == accuracies
    history = training.read_json(run / "history.json")
    for part, prefix in (("training", ""), ("validation", "val_")):
        losses = [f"{history[f'{prefix}layer_{k}/loss'][-1]:.4g}" for k in (1, 2)]
        assert table[f"loss in {part} (nats)"] == losses


@pytest.mark.slow
def test_the_last_sum_of_scores_is_the_validation_accuracy(run, written):
    metrics = training.read_json(run / "metrics.json")
    table = {row[0]: row[1:] for row in written.table_with("dead units")}
    accuracy = f"{100 * metrics['validation_accuracy']:.2f} %"
    assert table["accuracy with layers below"][-1] == accuracy
    assert f"{accuracy} of 240 validation samples were classified correctly" in written.text
    assert f"{100 * metrics['test_accuracy']:.2f} %" in written.text


@pytest.mark.slow
def test_classes_and_configuration_are_those_of_the_run(run, written):
    metrics = training.read_json(run / "metrics.json")
    rows = written.table_with("samples")[1:]
    assert [row[0] for row in rows] == [str(digit) for digit in range(10)]
    assert [row[2] for row in rows] == [
        f"{100 * share:.2f} %" for share in metrics["per_class_accuracy"]
    ]
    counts = [str(sum(row)) for row in metrics["confusion_matrix"]]
    assert [row[1] for row in rows] == counts
    options = dict(written.table_with("learning rate"))
    assert options["units"] == "24,16" and options["dataset"] == "digits"
    assert metrics["command"] in written.text
    assert dict(written.table_with("keras_ff"))["keras"] == keras.version()


@pytest.mark.slow
def test_every_part_has_its_heading(written):
    assert written.headings == [
        "How it learned",
        "Layer by layer",
        "Separation",
        "Labels",
        "Predictions on the test set",
        "Misclassified validation samples",
        "Inputs, and weights of the first layer",
        "Configuration",
        "Where it was trained",
    ]


@pytest.mark.slow
def test_whatever_stands_in_a_name_is_only_a_text(run, tmp_path, monkeypatch):
    bad = '<script>alert("1 & 2")</script>'
    names = (bad, *[f"<b>{digit}" for digit in range(1, 10)])
    info = datasets.info("digits")
    odd = datasets.DatasetInfo(info.name, info.image_shape, 10, names, info.version)
    monkeypatch.setattr(datasets, "info", lambda name, data_dir=None: odd)
    folder = tmp_path / "<i>a & b"
    shutil.copytree(run, folder)
    metrics = training.read_json(folder / "metrics.json")
    metrics["machine"]["processor"] = bad
    (folder / "metrics.json").write_text(json.dumps(metrics))
    path = report.write(folder)
    read = Page(path)
    assert not {"script", "b", "i"} & set(read.tags)
    assert read.table_with("samples")[1][0] == bad
    assert dict(read.table_with("processor"))["processor"] == bad
    assert read.text.count("<i>a & b") == 2  # title and heading
    assert "<script" not in path.read_text()


def test_attributes_are_escaped():
    text = page.page('"<', page.element("p", "a < b", title='"&'))
    assert '<title>"&lt;</title>' in text
    assert 'title="&quot;&amp;"' in text and "a &lt; b" in text


@pytest.mark.slow
def test_a_run_that_is_not_complete_says_so(run, tmp_path):
    shutil.copytree(run, tmp_path / "broken")
    (tmp_path / "broken" / "metrics.json").unlink()
    read = Page(report.write(tmp_path / "broken"))
    assert "The run is not complete" in read.text
    assert "Predictions on the test set" not in read.headings
    assert "Where it was trained" not in read.headings
    assert read.table_with("dead units") and "2 of 2" in read.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [
        {"goodness": "class_groups", "units": (20, 20)},
        {"layer_schedule": "greedy", "readout": "softmax", "validation_share": 0.0},
    ],
    ids=["class groups", "greedy without validation data"],
)
def test_other_families(chosen, tmp_path):
    config = TrainingConfig.for_dataset("digits", **{**SMALL, **chosen})
    training.train(config, tmp_path / "run", verbose=0)
    read = Page(report.write(tmp_path / "run"))
    part = "validation" if config.validation_share else "test"
    assert f"Misclassified {part} samples" in read.headings
    table = {row[0]: row[1:] for row in read.table_with("dead units")}
    assert len(table["accuracy alone"]) == 2
    assert all(re.fullmatch(r"\d+\.\d\d %", cell) for cell in table["accuracy alone"])


@pytest.mark.slow
def test_the_command_writes_the_same_page_elsewhere(run, written, tmp_path, capsys):
    assert cli.main(["report", str(run), "--out", str(tmp_path / "page.html")]) == 0
    assert f"Report: {tmp_path / 'page.html'}" in capsys.readouterr().out
    assert (tmp_path / "page.html").read_text() == (run / "report.html").read_text()


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "holds no model.keras" in capsys.readouterr().err
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=10)
    model.compile()
    model.build((None, 8, 8, 1))
    model.save(tmp_path / "model.keras")
    assert cli.main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "holds a model that no run has written" in said and said.count("\n") == 1


def test_numbers_that_are_not_known_are_dashes():
    history = {"a": [1.0, None], "b": [float("nan"), 2.0], "c": [None]}
    last = report.run_report._last
    assert [last(history, name) for name in "abcd"] == ["1", "2", "–", "–"]
    assert report.run_report._percent(float("nan")) is None


@pytest.mark.slow
def test_a_preset_has_a_report_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = report.write("digits_mlp_relu")
    assert path == pathlib.Path("digits_mlp_relu.html")
    page = Page(path)
    preset = keras_ff.zoo.get("digits_mlp_relu")
    assert f"{100 * preset.test_accuracy:.2f} %" in page.text
    assert preset.metadata["command"] in page.text
    # A preset keeps no history, and no answers to the test set.
    assert "How it learned" not in page.headings
    assert "Predictions on the test set" not in page.headings
    assert {"Layer by layer", "Separation", "Configuration"} <= set(page.headings)
    assert page.table_with("activation")[0][0] != ""
    assert preset.foreign_files() == []


def test_what_is_neither_a_run_nor_a_preset_is_said():
    with pytest.raises(ValueError, match="digits_mlp_relu"):
        report.write("digits_mlp_rely")
    with pytest.raises(ValueError, match="There is no model file"):
        report.write("runs/nothing-here")
