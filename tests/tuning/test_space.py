"""Ranges of a search."""

import keras_tuner
import pytest

from keras_ff.tuning import Among, Between


def test_ranges():
    hp = keras_tuner.HyperParameters()
    assert isinstance(Between(1, 9).drawn(hp, "count"), int)
    assert Between(0.5, 1.0).drawn(hp, "share") == 0.5
    assert Among(("a", "b")).drawn(hp, "name") == "a"
    with pytest.raises(ValueError, match=r"something to choose from"):
        Among(())
