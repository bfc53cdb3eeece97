"""Densities of goodness."""

import numpy as np
import pytest

from keras_ff import visualization
from tests.helpers.pictures import LABELS, layer_of, measured_of, rendered


def test_densities_stand_where_the_goodness_is(measured):
    figure = rendered(visualization.goodness_densities(measured))
    first, second = figure.axes
    assert first.get_title().startswith(
        "Layer 1: positive minus negative +1.25, pair accuracy 75.0 %"
    )
    assert second.get_title().startswith("Layer 2: positive minus negative +0, pair accuracy 0.0 %")
    positive, negative = (area.get_paths()[0].vertices for area in first.collections)
    assert positive[:, 1].max() == pytest.approx(1) and negative[:, 1].min() == pytest.approx(-1)
    assert positive[positive[:, 1].argmax(), 0] == pytest.approx(3.5, abs=0.5)
    assert negative[negative[:, 1].argmin(), 0] == pytest.approx(1.3, abs=0.7)
    assert len({area.get_hatch() for area in first.collections}) == 2
    dashed = [line for line in first.get_lines() if line.get_linestyle() == "--"]
    assert list(dashed[0].get_xdata()) == [1.5, 1.5]
    assert not [line for line in second.get_lines() if line.get_linestyle() == "--"]
    assert second.get_xlabel() == "goodness (mean of squares of activities)"


def test_goodness_that_is_the_same_for_all_samples_can_be_drawn():
    flat = layer_of([1, 1, 1, 1], [1, 1, 1, 1])
    axes = rendered(visualization.goodness_densities(measured_of([flat], LABELS))).axes[0]
    assert np.abs(axes.collections[0].get_paths()[0].vertices[:, 1]).max() == 0
