"""Simultaneous: every layer learns in every epoch."""

import pytest

from keras_ff.layer_schedules import Simultaneous
from tests.helpers.schedules import course


@pytest.mark.parametrize("layers", [1, 4])
def test_simultaneous(layers):
    assert course(Simultaneous(), 3, layers) == [tuple(range(layers))] * 3
