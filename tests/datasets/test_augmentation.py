"""Augmentation: each image varied by itself, within its bounds."""

import colorsys

import numpy as np
import pytest

from keras_ff import datasets
from keras_ff.datasets import pipelines
from keras_ff.datasets.augmentation import alternating_flips
from tests.helpers.images import (
    BOTH,
    augmented_digits,
    batches,
    joined,
    moved,
    raw_digits,
    write_tfds,
)

STILL = {"flip": False, "shift": 0, "rotate": 0, "crop": 1, "colors": 0, "erase": 0}


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

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
    def test_each_image_is_mirrored_or_not(self):
        plain, augmented = self.pair(flip=True)
        kept = (augmented == plain).all(axis=(1, 2, 3))
        mirrored = (augmented == plain[:, :, ::-1]).all(axis=(1, 2, 3))
        assert (kept | mirrored).all()
        assert 0.4 < mirrored.mean() < 0.6
        assert 0 < mirrored[:128].sum() < 128

    def test_odd_epochs_mirror_the_images_that_even_ones_do_not(self):
        flips = alternating_flips(1000, seed=2**32 - 1)
        rows = np.random.default_rng(0).permutation(1000)
        first, second, third = (np.array(flips(epoch, rows)) for epoch in (4, 5, 6))
        np.testing.assert_array_equal(second, ~first)
        np.testing.assert_array_equal(third, first)
        assert 430 < first.sum() < 570
        # An image goes by its row, not by its place in the batch.
        np.testing.assert_array_equal(flips(4, rows[:10]), first[:10])
        other = np.array(alternating_flips(1000, seed=0)(4, rows))
        assert 430 < (other != first).sum() < 570

    @staticmethod
    def epochs_mirrored(count, initial_epoch=0, batch_size=32, **options):
        """For epochs from `initial_epoch` on, which of the images 0 to 99 were mirrored."""
        images = np.arange(100 * 6, dtype=np.uint16).astype(np.uint8).reshape(100, 2, 3, 1)
        train = pipelines.shuffled(
            images,
            np.arange(100, dtype=np.int32),
            batch_size=batch_size,
            initial_epoch=initial_epoch,
            augment={**STILL, "flip": "alternating", **options.pop("augment", {})},
            to_float=lambda x: x,
            **{"seed": 0, **options},
        )
        found = []
        for _ in range(count):
            x, samples = joined(train)
            kept = (x == images[samples]).all(axis=(1, 2, 3))
            mirrored = (x == images[samples][:, :, ::-1]).all(axis=(1, 2, 3))
            assert (kept ^ mirrored).all()
            assert not np.array_equal(samples, np.sort(samples))
            of_image = np.empty(100, bool)
            of_image[samples] = mirrored
            found.append(of_image)
        return np.array(found)

    @pytest.mark.slow
    def test_alternating_flips_mirror_every_image_in_every_other_epoch(self):
        mirrored = self.epochs_mirrored(5)
        assert 35 < mirrored[0].sum() < 65
        np.testing.assert_array_equal(mirrored[1], ~mirrored[0])
        np.testing.assert_array_equal(mirrored[2:], mirrored[[0, 1, 0]])

    @pytest.mark.slow
    def test_alternating_flips_go_on_from_an_epoch_and_belong_to_the_seed(self):
        mirrored = self.epochs_mirrored(2)
        np.testing.assert_array_equal(self.epochs_mirrored(2, initial_epoch=3), mirrored[[1, 0]])
        # Which images come first is not a matter of batches, but of the seed.
        np.testing.assert_array_equal(self.epochs_mirrored(1, batch_size=7)[0], mirrored[0])
        other = self.epochs_mirrored(1, seed=2**32 - 1)[0]
        assert 30 < (other != mirrored[0]).sum() < 70

    @pytest.mark.slow
    def test_alternating_flips_with_shifts_through_the_configuration(self):
        """Each image is shifted anew in every epoch, and mirrored in every other one."""
        options = {"shift": 1, "flip": "alternating"}
        train = datasets.DataConfig("digits", standardize=False, **options).load()[0]
        same = datasets.load(standardize=False, augment=options)[0]
        plain = datasets.load(standardize=False)[0]
        seen = {}
        for epoch in range(3):
            x, _ = joined(train)
            np.testing.assert_array_equal(x, joined(same)[0])
            originals, _ = joined(plain)
            upright, mirrored = (
                np.stack(list(self.offsets(one, x, 1).values())).any(axis=0)
                for one in (originals, originals[:, :, ::-1])
            )
            assert (upright | mirrored).all()
            for original, one, other in zip(originals, upright, mirrored, strict=True):
                if one != other:  # some images are their own mirror images
                    seen.setdefault(original.tobytes(), {})[epoch] = other
        of_all = [found for found in seen.values() if len(found) == 3]
        assert len(of_all) > 1000
        assert all(found[0] == found[2] != found[1] for found in of_all)
        assert 0.4 < np.mean([found[0] for found in of_all]) < 0.6

    @pytest.mark.slow
    def test_shift_and_flip_together(self):
        plain, augmented = self.pair(**BOTH)
        upright = np.stack(list(self.offsets(plain, augmented, 1).values())).any(axis=0)
        mirrored = np.stack(list(self.offsets(plain[:, :, ::-1], augmented, 1).values())).any(
            axis=0
        )
        assert (upright | mirrored).all()
        assert 0.4 < mirrored.mean() < 0.6

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
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

    @pytest.mark.slow
    def test_images_are_moved_before_they_are_standardised(self):
        plain, augmented = self.pair(**BOTH)
        standardised = joined(datasets.load(augment=BOTH)[0])[0]
        mean, deviation = plain.mean(dtype="float64"), plain.std(dtype="float64")
        np.testing.assert_allclose(standardised, (augmented - mean) / deviation, atol=1e-5)

    @pytest.mark.slow
    def test_nothing_to_do_changes_nothing(self):
        plain, augmented = self.pair(flip=False, shift=0)
        assert np.array_equal(plain, augmented)
