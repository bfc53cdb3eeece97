"""Models compared by accuracy and time."""

import pytest

from keras_ff import visualization
from tests.helpers.pictures import rendered


def test_models_are_compared_by_accuracy_and_time():
    metrics = {
        "greedy": {"test_accuracy": 0.96, "validation_accuracy": 0.97, "seconds": 81.0},
        "pipelined": {"test_accuracy": 0.98, "seconds": None},
    }
    figure = rendered(visualization.model_comparison(metrics))
    accuracy, seconds = figure.axes
    points = {line.get_label(): line.get_xydata().tolist() for line in accuracy.get_lines()}
    assert points == {"test": [[96, 0], [98, 1]], "validation": [[97, 0]]}
    assert [text.get_text() for text in accuracy.get_yticklabels()] == ["greedy", "pipelined"]
    assert [bar.get_width() for bar in seconds.patches] == [81, 0]
    assert [text.get_text() for text in seconds.texts] == ["81 s", "not known"]
    assert accuracy.get_ylim() == (1.5, -0.5)  # the first at the top
    assert (accuracy.get_xlabel(), seconds.get_xlabel()) == ("accuracy (%)", "time (s)")


@pytest.mark.parametrize(
    ("metrics", "words"),
    [({}, "no models"), ({"a": {"seconds": 3.0}}, r"Received: 'a' with \['seconds'\]")],
)
def test_models_without_metrics_are_refused(metrics, words):
    with pytest.raises(ValueError, match=words):
        visualization.model_comparison(metrics)
