"""Datasets: splits, standardisation, order, augmentation and errors, with numbers."""

import collections
import colorsys
import functools
import types

import keras
import numpy as np
import pytest

from keras_ff import datasets
from keras_ff.datasets import pipelines, tfds_images

BOTH = {"shift": 1, "flip": True}
STILL = {"flip": False, "shift": 0, "rotate": 0, "crop": 1, "colors": 0, "erase": 0}


def batches(dataset):
    return list(dataset.as_numpy_iterator())


def joined(dataset):
    """All samples of one iteration as (x, y)."""
    x, y = zip(*batches(dataset), strict=True)
    return np.concatenate(x), np.concatenate(y)


@functools.cache
def raw_digits():
    """Training (epoch 0), validation and test samples of the digits, pixels in [0, 1]."""
    return [joined(part) for part in datasets.load(standardize=False)]


@functools.cache
def augmented_digits(**augment):
    """The training samples of `raw_digits`, augmented."""
    return joined(datasets.load(standardize=False, augment=augment)[0])


def counted(*parts):
    """How often each (image, label) pair occurs in parts that are (x, y)."""
    return collections.Counter(
        (image.tobytes(), int(label)) for x, y in parts for image, label in zip(x, y, strict=True)
    )


def equal(first, second):
    """Whether two lists of batches are the same to the last bit."""
    return len(first) == len(second) and all(
        np.array_equal(x1, x2) and np.array_equal(y1, y2)
        for (x1, y1), (x2, y2) in zip(first, second, strict=True)
    )


def moved(images, down, right):
    """Images shifted in numpy, the pixels of the edge repeated."""
    most = max(abs(down), abs(right))
    wide = np.pad(images, [(0, 0), (most, most), (most, most), (0, 0)], mode="edge")
    height, width = images.shape[1:3]
    top, left = most - down, most - right
    return wide[:, top : top + height, left : left + width]


def is_prepared(name):
    import tensorflow_datasets as tfds

    return tfds.builder(name, try_gcs=False).data_path.exists()


def write_tfds(folder, name, splits, image_shape=(4, 5, 3), label_names=("cat", "dog")):
    """Prepare a dataset as TFDS would. `splits`: lists of (image, label) by split name."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    version_folder = folder / name / "1.0.0"
    version_folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=image_shape),
            "label": tfds.features.ClassLabel(names=list(label_names)),
        }
    )
    for split, samples in splits.items():
        path = version_folder / f"{name}-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for image, label in samples:
                writer.write(features.serialize_example({"image": image, "label": label}))
    tfds.folder_dataset.write_metadata(
        data_dir=str(version_folder), features=features, supervised_keys=("image", "label")
    )
    return folder


def colours(count, start=0):
    """Images of 4 × 5 × 3 that can be told apart, and labels 0 and 1 in turn."""
    return [
        (np.full((4, 5, 3), [start + i, 100, 255 - i], np.uint8), (start + i) % 2)
        for i in range(count)
    ]


def all_digits():
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    return (digits.images[..., np.newaxis] / 16).astype(np.float32), digits.target


class TestParts:
    def test_digits_are_divided_without_loss_or_overlap(self):
        assert [len(y) for _, y in raw_digits()] == [1198, 240, 359]
        assert counted(*raw_digits()) == counted(all_digits())

    def test_shapes_and_dtypes(self):
        for part in datasets.load(batch_size=100):
            x, y = part.element_spec
            assert (x.shape.as_list(), x.dtype.name) == ([None, 8, 8, 1], "float32")
            assert (y.shape.as_list(), y.dtype.name) == ([None], "int32")

    def test_every_class_keeps_its_proportion(self):
        of_all = np.bincount(all_digits()[1])
        for (_, y), share in zip(raw_digits(), (0.8 * 5 / 6, 0.8 / 6, 0.2), strict=True):
            np.testing.assert_allclose(np.bincount(y), of_all * share, atol=1.5)

    def test_no_validation_leaves_the_training_set_whole(self):
        train, validation, test = datasets.load(validation_share=0, standardize=False)
        assert validation is None
        assert len(joined(train)[1]) == 1438
        assert counted(joined(test)) == counted(raw_digits()[2])

    def test_validation_share_is_one_of_the_training_set(self):
        train, validation, test = datasets.load(validation_share=0.1, standardize=False)
        assert [len(joined(part)[1]) for part in (train, validation)] == [1294, 144]
        assert counted(joined(test)) == counted(raw_digits()[2])

    def test_seed_decides_the_cuts(self):
        first = [counted(part) for part in raw_digits()]
        again, other = (
            [counted(joined(part)) for part in datasets.load(seed=seed, standardize=False)]
            for seed in (0, 1)
        )
        assert first == again
        assert all(one != another for one, another in zip(first, other, strict=True))

    def test_last_batch_is_kept_and_counted(self):
        for part, sizes in zip(
            datasets.load(batch_size=100),
            ([100] * 11 + [98], [100, 100, 40], [100, 100, 100, 59]),
            strict=True,
        ):
            assert [len(y) for _, y in batches(part)] == sizes
            assert int(part.cardinality()) == len(part) == len(sizes)

    def test_batches_that_divide_evenly_and_batches_larger_than_the_set(self):
        train, validation, test = datasets.load(batch_size=240)
        assert [len(y) for _, y in batches(validation)] == [240]
        train, validation, test = datasets.load(batch_size=5000)
        assert [len(part) for part in (train, validation, test)] == [1, 1, 1]
        assert len(batches(train)[0][1]) == 1198


class TestPixels:
    def test_training_part_has_mean_zero_and_deviation_one(self):
        x, _ = joined(datasets.load()[0])
        assert abs(x.mean(dtype="float64")) < 1e-6
        assert abs(x.std(dtype="float64") - 1) < 1e-6

    def test_all_parts_are_standardised_by_the_training_part(self):
        measured = raw_digits()[0][0]
        mean, deviation = measured.mean(dtype="float64"), measured.std(dtype="float64")
        for (pixels, _), part in zip(raw_digits(), datasets.load(), strict=True):
            np.testing.assert_allclose(joined(part)[0], (pixels - mean) / deviation, atol=1e-5)

    def test_without_standardisation_pixels_span_zero_to_one(self):
        x, _ = raw_digits()[0]
        assert (x.min(), x.max()) == (0, 1)
        assert set(np.unique(x * 16)) == set(range(17))

    def test_each_channel_by_itself_and_constant_channels_are_zero(self, tmp_path):
        write_tfds(tmp_path, "colours", {"train": colours(40), "test": colours(10)})
        train, _, _ = datasets.load("colours", data_dir=tmp_path)
        x, _ = joined(train)
        np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), [0, 0, 0], atol=1e-5)
        np.testing.assert_allclose(x.std(axis=(0, 1, 2)), [1, 0, 1], atol=1e-5)

    def test_resized_digits(self):
        train, _, test = datasets.load(image_size=(16, 12), standardize=False)
        assert train.element_spec[0].shape.as_list() == [None, 16, 12, 1]
        x, _ = joined(test)
        plain, _ = raw_digits()[2]
        np.testing.assert_allclose(x.mean(axis=(1, 2)), plain.mean(axis=(1, 2)), atol=0.02)


class TestOrder:
    def test_training_resumed_at_an_epoch_sees_the_batches_of_that_epoch(self):
        undisturbed, _, _ = datasets.load(augment=BOTH, seed=5)
        epochs = [batches(undisturbed) for _ in range(4)]
        resumed, _, _ = datasets.load(augment=BOTH, seed=5, initial_epoch=2)
        assert equal(batches(resumed), epochs[2])
        assert equal(batches(resumed), epochs[3])

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

    def test_repeat_goes_through_the_epochs(self):
        one, _, _ = datasets.load()
        two, _, _ = datasets.load()
        assert equal(batches(one.repeat(2)), batches(two) + batches(two))

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


class TestAugmentation:
    def pair(self, **augment):
        """The digits' images of an epoch without and with augmentation."""
        return raw_digits()[0][0], augmented_digits(**augment)[0]

    def offsets(self, plain, augmented, shift):
        """For every image, which shifts of it give its augmented version."""
        reach = range(-shift, shift + 1)
        return {
            (down, right): (moved(plain, down, right) == augmented).all(axis=(1, 2, 3))
            for down in reach
            for right in reach
        }

    @pytest.mark.parametrize("shift", [1, 2])
    def test_every_image_is_shifted_by_itself(self, shift):
        found = self.offsets(*self.pair(shift=shift), shift)
        matches = np.stack(list(found.values()))
        assert matches.any(axis=0).all()
        # Each of the possible shifts has its turn equally often, in each batch and overall. An
        # image with an empty border can match two of them, so these bounds are wide.
        expected = 1198 / len(found)
        np.testing.assert_allclose(matches.sum(axis=1), expected, atol=0.5 * expected)
        assert (matches[:, :128].sum(axis=1) > 0).all()

    def test_shift_of_rectangular_colour_images(self, tmp_path):
        generator = np.random.default_rng(0)
        samples = [(generator.integers(1, 256, (4, 5, 3), np.uint8), i % 2) for i in range(60)]
        write_tfds(tmp_path, "noise", {"train": samples, "test": samples[:4]})
        plain, augmented = (
            joined(datasets.load("noise", data_dir=tmp_path, standardize=False, augment=augment)[0])
            for augment in (None, {"shift": 3})
        )
        found = self.offsets(plain[0], augmented[0], 3)
        assert (np.stack(list(found.values())).sum(axis=0) == 1).all()

    def test_each_image_is_mirrored_or_not(self):
        plain, augmented = self.pair(flip=True)
        kept = (augmented == plain).all(axis=(1, 2, 3))
        mirrored = (augmented == plain[:, :, ::-1]).all(axis=(1, 2, 3))
        assert (kept | mirrored).all()
        assert 0.4 < mirrored.mean() < 0.6
        assert 0 < mirrored[:128].sum() < 128

    def test_shift_and_flip_together(self):
        plain, augmented = self.pair(**BOTH)
        upright = np.stack(list(self.offsets(plain, augmented, 1).values())).any(axis=0)
        mirrored = np.stack(list(self.offsets(plain[:, :, ::-1], augmented, 1).values())).any(
            axis=0
        )
        assert (upright | mirrored).all()
        assert 0.4 < mirrored.mean() < 0.6

    def test_each_image_turns_about_its_middle(self, tmp_path):
        # Brightness rises from left to right, so that a turned image rises along its angle.
        ramp = np.tile(np.arange(20, 220, 10, dtype=np.uint8)[:, None], (20, 1, 1))
        samples = [(ramp, i % 2) for i in range(400)]
        parts = {"train": samples, "test": samples[:4]}
        write_tfds(tmp_path, "ramps", parts, image_shape=(20, 20, 1))
        train, _, test = datasets.load(
            "ramps",
            batch_size=40,
            validation_share=0,
            data_dir=tmp_path,
            standardize=False,
            augment={"rotate": 30},
        )
        down, right = np.gradient(255 * joined(train)[0][..., 0], axis=(1, 2))
        middle = (slice(None), slice(6, 14), slice(6, 14))
        angles = np.degrees(np.arctan2(down[middle].mean(axis=(1, 2)), right[middle].mean((1, 2))))
        steepness = np.hypot(down[middle].mean(axis=(1, 2)), right[middle].mean((1, 2)))
        np.testing.assert_allclose(steepness, 10, atol=0.3)
        # Even over the range, in each batch as over all.
        assert np.abs(angles).max() < 31 and abs(angles.mean()) < 3
        assert angles.std() == pytest.approx(30 / np.sqrt(3), abs=2)
        assert (angles.reshape(-1, 40).std(axis=1) > 12).all()
        np.testing.assert_allclose(joined(train)[0][:, 9:11, 9:11].mean() * 255, 115, atol=1)
        np.testing.assert_array_equal(255 * joined(test)[0][0], ramp)

    def test_turned_images_of_even_brightness_stay_as_they_are(self):
        """Nothing dark comes in from outside."""
        train = pipelines.shuffled(
            np.full((60, 9, 7, 3), 200, np.uint8),
            np.zeros(60, np.int32),
            batch_size=30,
            seed=0,
            initial_epoch=0,
            augment={**STILL, "rotate": 180},
            to_float=lambda images: images,
        )
        for x, _ in batches(train):
            assert x.shape == (30, 9, 7, 3)
            np.testing.assert_allclose(x, 200, atol=1)

    def varied(self, images, **augment):
        """The images of an epoch and, in the same order, what became of them; as floats."""
        train = pipelines.shuffled(
            images,
            np.arange(len(images), dtype=np.int32),
            batch_size=len(images) // 4,
            seed=0,
            initial_epoch=0,
            augment={**STILL, **augment},
            to_float=lambda x: x,
        )
        x, samples = joined(train)
        return images[samples].astype("float64"), x.astype("float64")

    @pytest.mark.parametrize("crop", [0.5, 0.9])
    def test_a_part_of_each_image_is_enlarged(self, crop):
        # One channel rises from left to right by ten a pixel, one from top to bottom.
        rise = np.arange(10, 250, 10, dtype=np.uint8)
        across = np.broadcast_to(rise, (24, 24))
        image = np.stack([across, across.T, np.full((24, 24), 77, np.uint8)], axis=-1)
        _, x = self.varied(np.tile(image, (400, 1, 1, 1)), crop=crop)
        np.testing.assert_array_equal(x[..., 2], 77)
        shares, middles = [], []
        for channel, axis in ((0, 2), (1, 1)):
            lines = x[..., channel].mean(axis=3 - axis)  # over what does not change
            np.testing.assert_allclose(x[..., channel].std(axis=3 - axis), 0, atol=1e-9)
            # Within the outermost pixels, which repeat the edge, evenly steep.
            steps = np.diff(lines[:, 1:-1], axis=1)
            assert np.ptp(steps, axis=1).max() <= 1.001  # rounded to whole numbers
            shares.append(steps.mean(axis=1) / 10)
            middles.append((lines.mean(axis=1) - 125) / 240)
        tall, wide = shares[1], shares[0]
        assert (tall * wide).min() > crop - 0.01 and (tall * wide).max() < 1.01
        assert (tall * wide).mean() == pytest.approx((1 + crop) / 2, abs=0.02)
        assert np.abs(np.log(tall / wide)).max() < np.log(4 / 3) + 0.02
        assert np.log(tall / wide).std() > 0.03 and abs(np.log(tall / wide).mean()) < 0.02
        # Anywhere, but not beyond the edge.
        for share, middle in zip(shares, middles, strict=True):
            room = (1 - share) / 2
            assert (np.abs(middle) < room + 0.01).all()
            assert abs(middle.mean()) < 0.02
            enough = room > 0.02
            places = middle[enough] / room[enough]
            assert places.std() == pytest.approx(1 / np.sqrt(3), abs=0.06)

    def test_hues_turn_and_saturation_changes(self):
        images = np.random.default_rng(0).integers(90, 160, (200, 4, 4, 3), np.uint8)
        before, after = self.varied(images, colors=0.3)
        hues = [
            np.array([colorsys.rgb_to_hsv(*pixel / 255)[0] for pixel in x.reshape(-1, 3)])
            for x in (before, after)
        ]
        grey = np.ptp(before, axis=-1).reshape(200, 16) < 20  # of which the hue is uncertain
        turns = (hues[1] - hues[0] + 0.5) % 1 - 0.5
        turns = np.ma.array(turns.reshape(200, 16), mask=grey)
        turn = turns.mean(axis=1)
        assert np.abs(turns - turn[:, None]).max() < 0.03
        assert np.abs(turn).max() < 0.15 + 0.01
        assert turn.std() == pytest.approx(0.15 / np.sqrt(3), abs=0.02)
        # The largest channel tells brightness and contrast, the distance to the smallest then
        # the saturation.
        largest, chroma = before.max(axis=-1), np.ptp(before, axis=-1)
        steepness = np.array(
            [
                np.polyfit(old.ravel(), new.ravel(), 1)[0]
                for old, new in zip(largest, after.max(axis=-1), strict=True)
            ]
        )
        assert 0.7**2 - 0.02 < steepness.min() < 0.7 and 1.3 < steepness.max() < 1.3**2 + 0.02
        saturation = np.ptp(after, axis=-1).sum(axis=(1, 2)) / chroma.sum(axis=(1, 2)) / steepness
        assert np.abs(saturation - 1).max() < 0.3 + 0.02
        assert saturation.std() == pytest.approx(0.3 / np.sqrt(3), abs=0.03)

    def test_grey_images_change_in_brightness_and_contrast(self):
        images = np.random.default_rng(0).integers(100, 140, (400, 5, 5, 1), np.uint8)
        before, after = self.varied(images, colors=0.3)
        old, new = before.mean(axis=(1, 2, 3)), after.mean(axis=(1, 2, 3))
        brightness = new / old
        steepness = after.std(axis=(1, 2, 3)) / before.std(axis=(1, 2, 3))
        for factor in (brightness, steepness / brightness):
            assert np.abs(factor - 1).max() < 0.3 + 0.02
            assert factor.std() == pytest.approx(0.3 / np.sqrt(3), abs=0.02)
        assert abs(np.corrcoef(brightness, steepness / brightness)[0, 1]) < 0.15
        expected = new[:, None] + steepness[:, None] * (before.reshape(400, -1) - old[:, None])
        np.testing.assert_allclose(after.reshape(400, -1), expected, atol=1.01)

    def test_erased_squares_have_the_mean_colour_and_lie_anywhere(self):
        """Of 8 x 8 pixels, a square of 3 loses what lies outside where its middle is at an edge."""
        rng = np.random.default_rng(0)
        # Every pixel is either 0 or at least 200, so that a mean colour is neither.
        images = rng.choice(np.array([0, 200, 250], np.uint8), size=(6400, 8, 8, 3))
        train = pipelines.shuffled(
            images,
            np.arange(6400, dtype=np.int32),
            batch_size=800,
            seed=0,
            initial_epoch=0,
            augment={**STILL, "erase": 3},
            to_float=lambda x: x,
        )
        x, samples = joined(train)
        originals = images[samples]
        erased = (x != originals).any(axis=-1)
        colour = np.round(originals.mean(axis=(1, 2), dtype="float64"))
        np.testing.assert_array_equal(x, np.where(erased[..., None], colour[:, None, None], x))
        np.testing.assert_array_equal(x[~erased], originals[~erased])
        # Squares of 3 x 3, 2 x 3 at an edge and 2 x 2 in a corner, their middles evenly spread.
        rows, columns = erased.any(axis=2), erased.any(axis=1)
        assert (erased == rows[:, :, None] & columns[:, None]).all()
        for sides in (rows, columns):
            first, count = sides.argmax(axis=1), sides.sum(axis=1)
            assert (
                sides
                == (np.arange(8) - first[:, None] >= 0) & (np.arange(8) < (first + count)[:, None])
            ).all()
            middles = np.where(first > 0, first + 1, count - 2)
            np.testing.assert_allclose(np.bincount(middles), 800, atol=130)
            np.testing.assert_array_equal(count, np.where(np.isin(middles, (0, 7)), 2, 3))

    def test_a_square_of_an_even_side_is_as_large_as_asked(self):
        train = pipelines.shuffled(
            np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(200, axis=0),
            np.zeros(200, np.int32),
            batch_size=200,
            seed=0,
            initial_epoch=0,
            augment={**STILL, "erase": 4},
            to_float=lambda x: x,
        )
        erased = joined(train)[0][..., 0] == 128
        assert np.sort(erased.sum(axis=(1, 2)))[-1] in (16, 17)  # one pixel is 128 by itself

    @pytest.mark.parametrize(
        "augment",
        [
            {"flip": True, "shift": 3, "rotate": 20},
            {"crop": 0.7},
            {"colors": 0.1},
            {"erase": 2},
        ],
    )
    def test_augmentation_is_drawn_anew_in_every_epoch_and_batch(self, augment):
        # All images are the same one, so that only the augmentation can make a difference.
        train = pipelines.shuffled(
            np.tile(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1), (60, 1, 1, 1)),
            np.zeros(60, np.int32),
            batch_size=30,
            seed=0,
            initial_epoch=0,
            augment={**STILL, **augment},
            to_float=lambda images: images,
        )
        first, second = batches(train), batches(train)
        drawn = [x for x, _ in first + second]
        for i in range(4):
            for j in range(i):
                assert not np.array_equal(drawn[i], drawn[j])

    def test_images_are_moved_before_they_are_standardised(self):
        plain, augmented = self.pair(**BOTH)
        standardised = joined(datasets.load(augment=BOTH)[0])[0]
        mean, deviation = plain.mean(dtype="float64"), plain.std(dtype="float64")
        np.testing.assert_allclose(standardised, (augmented - mean) / deviation, atol=1e-5)

    def test_nothing_to_do_changes_nothing(self):
        plain, augmented = self.pair(flip=False, shift=0)
        assert np.array_equal(plain, augmented)


class TestTFDS:
    def test_the_test_split_is_the_test_set_even_where_there_is_a_validation_split(self, tmp_path):
        splits = {"train": colours(60), "validation": colours(7), "test": colours(5, start=200)}
        write_tfds(tmp_path, "complete", splits)
        parts = datasets.load("complete", data_dir=tmp_path, standardize=False)
        assert [len(joined(part)[1]) for part in parts] == [50, 10, 5]

    def test_a_dataset_is_read_once_where_it_is_kept_and_anew_afterwards(self, tmp_path):
        write_tfds(tmp_path / "first", "kept", {"train": colours(60), "test": colours(5)})
        write_tfds(tmp_path / "other", "kept", {"train": colours(60), "test": colours(6)})

        def number_of_tests(folder):
            test = datasets.load("kept", data_dir=folder, standardize=False)[2]
            return len(joined(test)[1])

        moved, first, other = (tmp_path / name for name in ("moved", "first", "other"))
        with tfds_images.kept():
            assert number_of_tests(first) == 5
            first.rename(moved)
            other.rename(first)
            assert number_of_tests(first) == 5  # what was read before
            assert number_of_tests(moved) == 5
            assert number_of_tests(first) == 6  # another one was read meanwhile
        moved.rename(other)
        first.rename(moved)
        other.rename(first)
        assert number_of_tests(first) == 5

    def test_a_missing_test_split_is_replaced_by_the_validation_split(self, tmp_path):
        splits = {"train": colours(60), "validation": colours(7, start=200)}
        write_tfds(tmp_path, "no_test", splits)
        parts = datasets.load("no_test", data_dir=tmp_path, standardize=False)
        assert [len(joined(part)[1]) for part in parts] == [50, 10, 7]
        np.testing.assert_allclose(
            joined(parts[2])[0][:, 0, 0, 0] * 255, range(200, 207), rtol=1e-6
        )

    def test_a_test_split_without_labels_is_not_used(self, tmp_path):
        unlabelled = [(image, -1) for image, _ in colours(9)]
        write_tfds(tmp_path, "unlabelled", {"train": colours(60), "test": unlabelled})
        parts = datasets.load("unlabelled", data_dir=tmp_path, standardize=False)
        assert [len(joined(part)[1]) for part in parts] == [40, 8, 12]

    def test_without_either_a_fifth_of_the_training_split_is_cut(self, tmp_path):
        samples = colours(60)
        write_tfds(tmp_path, "train_only", {"train": samples})
        parts = datasets.load("train_only", data_dir=tmp_path, standardize=False)
        parts = [joined(part) for part in parts]
        assert [np.bincount(y).tolist() for _, y in parts] == [[20, 20], [4, 4], [6, 6]]
        reds = np.concatenate([x[:, 0, 0, 0] for x, _ in parts])
        np.testing.assert_allclose(np.sort(reds) * 255, range(60), atol=1e-4)

    def test_images_that_differ_in_size_need_a_size(self, tmp_path):
        samples = [(np.full((5 + i % 3, 9, 1), 40 + i, np.uint8), i % 2) for i in range(30)]
        write_tfds(tmp_path, "ragged", {"train": samples}, image_shape=(None, None, 1))
        assert datasets.info("ragged", tmp_path).image_shape == (None, None, 1)
        with pytest.raises(ValueError, match=r"image_size=\(height, width\).*Received"):
            datasets.load("ragged", data_dir=tmp_path)
        parts = datasets.load("ragged", data_dir=tmp_path, image_size=(6, 4), standardize=False)
        assert parts[0].element_spec[0].shape.as_list() == [None, 6, 4, 1]
        x = np.concatenate([joined(part)[0] for part in parts])
        np.testing.assert_allclose(x, np.broadcast_to(x[:, :1, :1], x.shape))
        np.testing.assert_allclose(np.sort(x[:, 0, 0, 0]) * 255, range(40, 70), rtol=1e-6)

    def test_info(self, tmp_path):
        write_tfds(tmp_path, "pets", {"train": colours(4)})
        assert datasets.info("pets", data_dir=tmp_path) == datasets.DatasetInfo(
            name="pets",
            image_shape=(4, 5, 3),
            num_classes=2,
            class_names=("cat", "dog"),
            version="1.0.0",
        )

    def test_a_dataset_without_training_split(self, tmp_path):
        write_tfds(tmp_path, "exam", {"test": colours(4)})
        with pytest.raises(ValueError, match=r"no split 'train', only test\. Received"):
            datasets.load("exam", data_dir=tmp_path)

    def test_too_few_samples_to_cut_from(self, tmp_path):
        write_tfds(tmp_path, "few", {"train": colours(3), "test": colours(3)})
        with pytest.raises(ValueError, match=r"A validation part cannot be cut.*Received: 3"):
            datasets.load("few", data_dir=tmp_path)
        train, _, _ = datasets.load("few", data_dir=tmp_path, validation_share=0)
        assert len(joined(train)[1]) == 3

    @pytest.mark.parametrize("function", [datasets.load, datasets.info])
    def test_an_unknown_name_gets_the_nearest_ones(self, function, tmp_path):
        with pytest.raises(ValueError, match=r"'mnsit'; the nearest names are 'mnist'.*Received"):
            function("mnsit", data_dir=tmp_path)
        with pytest.raises(ValueError, match="nearest names are 'digits'"):
            function("digit", data_dir=tmp_path)
        with pytest.raises(ValueError, match="catalog") as caught:
            function("qqqqzzzz", data_dir=tmp_path)
        assert "\n" not in str(caught.value)

    def test_an_unknown_configuration_or_version(self, tmp_path):
        for name in ("mnist/large", "mnist:9.9.9"):
            with pytest.raises(ValueError, match="name/configuration:version") as caught:
                datasets.load(name, data_dir=tmp_path)
            assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("function", [datasets.load, datasets.info])
    def test_a_dataset_of_texts(self, function, tmp_path):
        with pytest.raises(ValueError, match="not one of 8-bit images with a class each"):
            function("imdb_reviews", data_dir=tmp_path)

    def test_neither_prepared_nor_reachable(self, tmp_path, monkeypatch):
        def no_answer(builder):
            raise ConnectionError("no answer from codh.rois.ac.jp")

        monkeypatch.setattr(tfds_images, "_check_network", no_answer)
        with pytest.raises(ValueError) as caught:
            datasets.load("kmnist", data_dir=tmp_path)
        sentence = str(caught.value)
        assert sentence.startswith("The dataset 'kmnist' is not prepared in ")
        assert sentence.endswith(
            "(no answer from codh.rois.ac.jp): connect to the network, or set `data_dir` or "
            "TFDS_DATA_DIR to a folder where it is prepared."
        )
        assert "\n" not in sentence
        assert isinstance(caught.value.__cause__, ConnectionError)

    def test_a_package_that_the_download_needs_is_missing(self, tmp_path, monkeypatch):
        def missing(builder):
            raise ImportError("No module named 'unzip'")

        monkeypatch.setattr(tfds_images, "_check_network", missing)
        with pytest.raises(ValueError, match=r"\(No module named 'unzip'\): install what is"):
            datasets.load("kmnist", data_dir=tmp_path)

    def test_the_network_is_there_if_one_source_answers(self, monkeypatch):
        import requests

        asked = []

        def get(url, **options):
            asked.append(url)
            if "answers" in url:
                return types.SimpleNamespace(close=lambda: None)
            if "slow" in url:
                raise requests.exceptions.ReadTimeout
            raise requests.exceptions.ConnectionError

        monkeypatch.setattr(requests, "get", get)

        def check(*urls):
            tfds_images._check_network(types.SimpleNamespace(url_infos=dict.fromkeys(urls)))

        with pytest.raises(ConnectionError, match=r"no answer from a\.org or b\.org"):
            check("http://a.org/x", "http://a.org/y", "https://b.org/z")
        assert len(asked) == 2
        check("http://a.org/x", "https://answers.org/z")
        check("http://slow.org/x")
        check()


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

    def test_seeds_and_epochs_at_their_limits(self):
        train, _, _ = datasets.load(seed=2**32 - 1, initial_epoch=10**6, augment=BOTH)
        assert len(joined(train)[1]) == 1198

    def test_info_of_the_digits(self):
        info = datasets.info()
        assert (info.name, info.image_shape, info.num_classes) == ("digits", (8, 8, 1), 10)
        assert info.class_names == tuple("0123456789")
        with pytest.raises(AttributeError):
            info.num_classes = 11


@pytest.fixture(scope="module")
def mnist():
    if not is_prepared("mnist"):
        pytest.skip("TFDS has not prepared mnist here")
    return datasets.load("mnist", batch_size=6000, augment={"shift": 2}, initial_epoch=1)


class TestMNIST:
    def test_parts(self, mnist):
        assert [len(part) for part in mnist] == [9, 2, 2]
        labels = [joined(part)[1] for part in mnist]
        assert [len(y) for y in labels] == [50_000, 10_000, 10_000]
        proportions = [np.bincount(y) / len(y) for y in labels]
        np.testing.assert_allclose(proportions[0], proportions[1], atol=1e-4)
        # The class counts of the published test set.
        assert np.bincount(labels[2]).tolist() == [
            980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
        ]  # fmt: skip

    def test_standardisation(self, mnist):
        x, _ = joined(mnist[1])
        assert x.shape == (10_000, 28, 28, 1)
        # Validation images come from the same source as those that were measured.
        assert abs(x.mean(dtype="float64")) < 0.02
        assert abs(x.std(dtype="float64") - 1) < 0.02
        # MNIST's published moments, of all 60,000 training images: 0.1307 and 0.3081.
        assert abs(x.min() + 0.1307 / 0.3081) < 0.01

    def test_info(self, mnist):
        info = datasets.info("mnist")
        assert (info.image_shape, info.num_classes) == ((28, 28, 1), 10)
