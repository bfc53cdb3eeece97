"""`datasets.load`: its arguments and what it tells."""

import pytest

from keras_ff import datasets
from tests.helpers.images import BOTH, joined


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"name": 3}, "`name` must be"),
            ({"name": ""}, "`name` must be"),
            ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
            ({"batch_size": 2.5}, "`batch_size` must be an integer"),
            ({"batch_size": True}, "`batch_size` must be an integer"),
            ({"validation_share": 1}, r"`validation_share` must lie in \[0, 1\)"),
            ({"validation_share": -0.1}, r"`validation_share` must lie in \[0, 1\)"),
            ({"validation_share": "0.1"}, "`validation_share` must be a finite number"),
            ({"validation_share": 0.001}, "A validation part cannot be cut off"),
            ({"samples": 0}, "`samples` must be an integer of at least 1"),
            ({"samples": 1439}, "The training set has 1438 samples"),
            ({"samples": 5}, "A part of the training set cannot be cut off"),
            ({"seed": -1}, "`seed` must be an integer from 0 to 4294967295"),
            ({"seed": 2**32}, "`seed` must be an integer from 0 to 4294967295"),
            ({"seed": None}, "`seed` must be an integer"),
            ({"initial_epoch": -1}, "`initial_epoch` must be an integer of at least 0"),
            ({"image_size": 8}, "`image_size` must be"),
            ({"image_size": (8,)}, "`image_size` must be"),
            ({"image_size": (8, 0)}, "`image_size` must be"),
            ({"augment": "flip"}, "a dictionary with the keys 'flip', 'shift', 'rotate', 'crop'"),
            ({"augment": {"turn": 3}}, "'turn'. Valid names: 'flip', 'shift', 'rotate', 'crop'"),
            ({"augment": {"rotate": 181}}, "'rotate' must be an angle from 0 to 180 degrees"),
            ({"augment": {"rotate": -1.0}}, "an angle from 0 to 180 degrees"),
            ({"augment": {"rotate": "far"}}, "`rotate` must be a finite number"),
            ({"augment": {"shift": -1}}, "`shift` must be an integer of at least 0"),
            ({"augment": {"shift": 1.5}}, "`shift` must be an integer"),
            ({"augment": {"shift": 8}}, "'shift' must be below the images' smaller side, 8"),
            ({"augment": {"erase": 8}}, "'erase' must be below the images' smaller side, 8"),
            ({"augment": {"erase": -2}}, "`erase` must be an integer of at least 0"),
            ({"augment": {"crop": 0}}, "'crop' must be a share of the area above 0 and up to 1"),
            ({"augment": {"crop": 1.2}}, "'crop' must be a share of the area above 0 and up to 1"),
            ({"augment": {"colors": 1}}, r"`colors` must lie in \[0, 1\)"),
            ({"augment": {"flip": 1}}, "'flip' must be a boolean"),
        ],
    )
    def test_bad_arguments(self, arguments, message):
        with pytest.raises(ValueError, match=message + r".*\. Received: [^\n]+$"):
            datasets.load(**arguments)

    @pytest.mark.slow
    def test_seeds_and_epochs_at_their_limits(self):
        train, _, _ = datasets.load(seed=2**32 - 1, initial_epoch=10**6, augment=BOTH)
        assert len(joined(train)[1]) == 1198

    def test_info_of_the_digits(self):
        info = datasets.info()
        assert (info.name, info.image_shape, info.num_classes) == ("digits", (8, 8, 1), 10)
        assert info.class_names == tuple("0123456789")
        with pytest.raises(AttributeError):
            info.num_classes = 11
