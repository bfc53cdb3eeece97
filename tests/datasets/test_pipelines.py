"""Order: epochs that differ, and runs that go on where they stood."""

import keras
import numpy as np
import pytest

from keras_ff import datasets
from tests.helpers.images import (
    BOTH,
    all_digits,
    augmented_digits,
    batches,
    counted,
    joined,
    raw_digits,
)


def equal(first, second):
    """Whether two lists of batches are the same to the last bit."""
    return len(first) == len(second) and all(
        np.array_equal(x1, x2) and np.array_equal(y1, y2)
        for (x1, y1), (x2, y2) in zip(first, second, strict=True)
    )


class TestOrder:
    @pytest.mark.slow
    def test_training_resumed_at_an_epoch_sees_the_batches_of_that_epoch(self):
        undisturbed, _, _ = datasets.load(augment=BOTH, seed=5)
        epochs = [batches(undisturbed) for _ in range(4)]
        resumed, _, _ = datasets.load(augment=BOTH, seed=5, initial_epoch=2)
        assert equal(batches(resumed), epochs[2])
        assert equal(batches(resumed), epochs[3])

    @pytest.mark.slow
    def test_epochs_differ_and_hold_the_same_samples(self):
        train, _, _ = datasets.load(standardize=False)
        first, second = joined(train), joined(train)
        assert counted(first) == counted(second)
        assert np.mean(first[1] == second[1]) < 0.2  # a tenth of the labels agree by chance

    def test_training_samples_are_shuffled_across_the_whole_set(self):
        plain = {image.tobytes(): place for place, image in enumerate(all_digits()[0])}
        places = np.array([plain[image.tobytes()] for image in raw_digits()[0][0]])
        # Each tenth of an epoch draws from the whole of the set: mean place 898 ± 519 / √120.
        for tenth in np.array_split(places, 10):
            assert abs(tenth.mean() - 898) < 200

    @pytest.mark.slow
    def test_equal_seeds_agree_and_others_do_not(self):
        first = augmented_digits(**BOTH)
        again, other = (
            joined(datasets.load(augment=BOTH, seed=seed, standardize=False)[0]) for seed in (0, 1)
        )
        assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
        assert not any(np.array_equal(*pair) for pair in zip(first, other, strict=True))
        # The order does not depend on the augmentation.
        plain = raw_digits()[0]
        assert np.array_equal(plain[1], first[1])
        assert not np.array_equal(plain[0], first[0])

    @pytest.mark.slow
    def test_repeat_goes_through_the_epochs(self):
        one, _, _ = datasets.load()
        two, _, _ = datasets.load()
        assert equal(batches(one.repeat(2)), batches(two) + batches(two))

    @pytest.mark.slow
    def test_an_iterator_counts_from_its_first_batch_on(self):
        reference, _, _ = datasets.load()
        epochs = [batches(reference) for _ in range(2)]
        train, _, _ = datasets.load()
        iter(train)
        assert np.array_equal(next(iter(train))[1], epochs[0][0][1])
        assert equal(batches(train), epochs[1])

    def test_validation_and_test_stay_as_they_are(self):
        _, *plain = datasets.load()
        _, *augmented = datasets.load(augment=BOTH, initial_epoch=3)
        for one, other in zip(plain, augmented, strict=True):
            first = batches(one)
            assert equal(first, batches(one))
            assert equal(first, batches(other))

    @pytest.mark.slow
    @pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="reads tensors in a step")
    def test_keras_fit_runs_through_the_epochs(self):
        seen = []

        class Recorder(keras.Model):
            def train_step(self, data):
                seen.append(tuple(part.numpy() for part in data))
                return {"loss": keras.ops.zeros(())}

        model = Recorder()
        model.compile(run_eagerly=True)
        train, _, _ = datasets.load(batch_size=300, augment=BOTH)
        model.fit(train, epochs=2, shuffle=False, verbose=0)
        model.fit(train, epochs=3, initial_epoch=2, shuffle=False, verbose=0)
        reference, _, _ = datasets.load(batch_size=300, augment=BOTH)
        assert equal(seen, [batch for _ in range(3) for batch in batches(reference)])
