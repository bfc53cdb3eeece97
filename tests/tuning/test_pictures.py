"""Pictures of a search."""

import itertools

import numpy as np
import pytest

from keras_ff import tuning


def results_of(*scores):
    values = [{"threshold": 0.1 * (1 + index), "margin": 0.5} for index in range(len(scores))]
    return [
        tuning.Result(str(index), values[index], None, score, score < 0.2)
        for index, score in enumerate(scores)
    ]


def test_the_map_shows_every_trial_where_it_was():
    axes, bar = tuning.accuracy_map(results_of(0.5, 0.9, 0.1)).axes
    trials, failed, best = axes.collections  # and no shades, as all are on one line
    np.testing.assert_allclose(trials.get_offsets(), [[0.1, 0.5], [0.2, 0.5], [0.3, 0.5]])
    np.testing.assert_allclose(trials.get_array(), [50, 90, 10])
    np.testing.assert_allclose(failed.get_offsets(), [[0.3, 0.5]])
    np.testing.assert_allclose(best.get_offsets(), [[0.2, 0.5]])
    assert axes.get_xlabel() == "threshold (units of goodness)" and axes.get_xscale() == "log"
    assert bar.get_ylabel() == "validation accuracy (%)"


def test_the_map_is_shaded_between_trials_and_shows_the_best_of_those_in_one_place():
    places = [(0.1, 0.0), (1.0, 0.0), (0.1, 1.0), (1.0, 1.0), (1.0, 1.0)]
    results = [
        tuning.Result(str(index), {"threshold": x, "margin": y}, None, score, False)
        for index, ((x, y), score) in enumerate(zip(places, (0.2, 0.4, 0.6, 0.8, 0.3), strict=True))
    ]
    axes, _ = tuning.accuracy_map(results).axes
    shades, trials, _ = axes.collections
    np.testing.assert_allclose(trials.get_offsets(), places[:4])
    np.testing.assert_allclose(trials.get_array(), [20, 40, 60, 80])
    assert shades.levels[0] <= 20 and shades.levels[-1] >= 80
    assert shades.norm is trials.norm


@pytest.mark.parametrize("values", [(2.28, 14.7, 17.6, 69.0), (0.2, 0.5, 0.9), (1e-4, 1e-3, 1e-2)])
def test_numbers_along_logarithmic_axes_do_not_cover_one_another(values):
    results = [
        tuning.Result(str(index), {"learning_rate": value, "threshold": value}, None, 0.9, False)
        for index, value in enumerate(values)
    ]
    figure = tuning.effects(results)
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        labels = [
            label.get_window_extent()
            for where, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            if low <= where <= high and label.get_text()
        ]
        assert len(labels) >= 2
        assert not any(label.get_text() for label in axes.get_xticklabels(minor=True))
        for one, other in itertools.pairwise(labels):
            assert one.x1 < other.x0


def test_effects_show_accuracy_against_each_value():
    first, second = tuning.effects(results_of(0.5, 0.9, 0.1)).axes
    np.testing.assert_allclose(first.collections[0].get_offsets(), [[0.1, 50], [0.2, 90]])
    np.testing.assert_allclose(first.collections[1].get_offsets(), [[0.3, 10]])
    assert (first.get_xlabel(), second.get_xlabel()) == (
        "threshold (units of goodness)",
        "margin (units of goodness)",
    )


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match=r"Received: x='threshold', y='alpha'"):
        tuning.accuracy_map(results_of(0.5), y="alpha")
    with pytest.raises(ValueError, match=r"no trials to draw"):
        tuning.effects([])
