"""Image negatives: what they are made of, how random they are, and what stands beside them."""

import itertools

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff import negatives
from keras_ff.negatives import HybridImages, ImageNegatives, Perturbation, TwoViews
from tests.helpers.either_backend import KINDS_OF_GRAPHS, in_graph

IMAGE_NEGATIVES = [name for name, kind in negatives.KNOWN.items() if kind.are_images]


def samples(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numbered(batch, *shape):
    """Samples whose pixels all hold the sample's number, and the channel's as tenths."""
    x = np.zeros((batch, *shape), "float32") + np.arange(batch).reshape(-1, *[1] * len(shape))
    return x + 0.1 * np.arange(shape[-1], dtype="float32") if len(shape) == 3 else x


def differing(first, second):
    return np.mean(np.asarray(first) != np.asarray(second))


def chi_square(counts):
    """Distance from equal counts; its expectation is the number of cells less one."""
    counts = np.asarray(counts, "float64")
    return np.sum((counts - counts.mean()) ** 2) / counts.mean()


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", IMAGE_NEGATIVES)
def test_shapes_and_types(name, count):
    source = negatives.KNOWN[name](count=count)
    for x in (samples(6, 8, 5, 2), samples(6, 8, 5), (9 * samples(6, 8, 5, 1)).astype("int32")):
        sample = source.output_shape(x.shape)[1:]
        for stream, rows in [
            (source.images(x), 6 * count),
            (source.positives(x), 6),
            (source.neutral(x), 6),
        ]:
            assert tuple(stream.shape) == (rows, *sample)
            assert keras.backend.standardize_dtype(stream.dtype) == "float32"
        assert source.output_shape((None, *x.shape[1:])) == (None, *sample)


@pytest.mark.parametrize("name", [name for name in IMAGE_NEGATIVES if name != "two_views"])
def test_positives_and_neutrals_are_the_samples(name):
    x = (99 * samples(3, 4, 4, 1)).astype("int32")
    source = negatives.get(name)
    np.testing.assert_array_equal(source.positives(x), x)
    np.testing.assert_array_equal(source.neutral(x), x)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", KINDS_OF_GRAPHS)
@pytest.mark.parametrize("name", IMAGE_NEGATIVES)
def test_within_a_graph_of_any_batch_size(name, compiled):
    source = negatives.KNOWN[name](count=2, seed=1)
    graph = in_graph(
        lambda x: (source.images(x), source.images(x, seed=3), source.positives(x)),
        ((None, 8, 8, 1), "float32"),
        layer=source,
        jit_compile=compiled,
    )
    for batch in (5,) if compiled else (16, 5):
        x = samples(batch, 8, 8, 1)
        drawn, seeded, positives = graph(x)
        assert drawn.shape[0] == 2 * batch and positives.shape[0] == batch
        assert differing(drawn, graph(x)[0]) > 0.2
        if not compiled:  # there another generator of random values is used
            np.testing.assert_allclose(seeded, source.images(x, seed=3), atol=1e-6)


@pytest.mark.parametrize("name", IMAGE_NEGATIVES)
def test_drawn_anew_and_each_stream_by_itself(name):
    x = samples(40, 8, 8, 1)
    source = negatives.KNOWN[name](count=2, seed=1)
    first, second = np.array(source.images(x)), np.array(source.images(x))
    for one, other in itertools.combinations([first[:40], first[40:], second[:40], second[40:]], 2):
        assert differing(one, other) > 0.2


@pytest.mark.parametrize("name", IMAGE_NEGATIVES)
def test_a_seed_of_the_call_leaves_the_generator_alone(name):
    x = samples(20, 8, 8, 1)
    source, untouched = (negatives.KNOWN[name](seed=7) for _ in range(2))
    before = convert_to_numpy(source.generator.state)
    first, again, other = (np.array(source.images(x, seed=seed)) for seed in (1, 1, 2))
    source.positives(x, seed=1)
    np.testing.assert_array_equal(first, again)
    assert differing(first, other) > 0.2
    np.testing.assert_array_equal(convert_to_numpy(source.generator.state), before)
    np.testing.assert_array_equal(source.images(x), untouched.images(x))
    assert np.any(convert_to_numpy(source.generator.state) != before)


def test_no_two_draws_share_a_seed():
    source = HybridImages()
    seeds = [
        itertools.islice(source.draws(what, 5), 50) for what in ("labels", "images", "positives")
    ]
    seeds = list(itertools.chain.from_iterable(seeds))
    assert len(set(seeds)) == 150
    assert all(next(source.draws(what, None)) is source.generator for what in ("labels", "images"))


@pytest.mark.parametrize("name", IMAGE_NEGATIVES)
def test_under_mixed_bfloat16(name):
    x = samples(6, 8, 8, 1)
    expected = negatives.KNOWN[name](seed=1).images(x)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = negatives.KNOWN[name](seed=1).images(x)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("kind", [HybridImages, Perturbation])
def test_wrong_labels_are_those_of_random_labels(kind, count):
    y = np.arange(50) % 10
    source = kind(wrong_labels=True, count=count, seed=4)
    plain = negatives.RandomLabels(count=count, seed=4)
    for seed in (None, 9):
        np.testing.assert_array_equal(
            source.labels(y, 10, seed=seed), plain.labels(y, 10, seed=seed)
        )
    with pytest.raises(ValueError, match=f"Received: count={count}"):
        source.check(count)


@pytest.mark.parametrize("name", IMAGE_NEGATIVES)
def test_without_wrong_labels_there_are_none(name):
    source = negatives.KNOWN[name](count=3)
    source.check(2)  # three images a sample need no three wrong labels
    with pytest.raises(ValueError, match="Received: wrong_labels=False"):
        source.labels(np.array([0, 1]), 3)


def test_hybrids_are_of_the_sample_and_one_other():
    """Every pixel, in all channels, comes from one of two samples; never both from one."""
    x = numbered(12, 9, 7, 3)
    found = np.array(HybridImages(count=2, seed=0).images(x)).reshape(2, 12, 9, 7, 3)
    channels = found - 0.1 * np.arange(3)
    np.testing.assert_allclose(channels, channels[..., :1].repeat(3, axis=-1), atol=1e-5)
    origin = np.rint(channels[..., 0]).astype("int32")
    for stream in origin:
        others = [set(np.unique(sample)) - {row} for row, sample in enumerate(stream)]
        assert all(len(other) == 1 for other in others)
        # In a stream every sample is another's partner once.
        assert sorted(other.pop() for other in others) == list(range(12))
    assert all(row in sample for stream in origin for row, sample in enumerate(stream))


def test_without_channels_it_is_the_same():
    x = samples(6, 8, 8, 1)
    with_channels = HybridImages(seed=2).images(x)
    np.testing.assert_array_equal(HybridImages(seed=2).images(x[..., 0]), with_channels[..., 0])


@pytest.mark.parametrize("seed", [0, 1])
def test_every_other_sample_is_as_likely_a_partner(seed):
    batch, streams = 5, 3000
    found = np.array(TwoViews(count=streams, seed=seed).images(np.arange(5.0)[:, None]))
    pairs = found.reshape(streams, batch, 2).astype("int32")
    for row in range(batch):
        np.testing.assert_array_equal(pairs[:, row, 0], row)
        counts = np.bincount(pairs[:, row, 1], minlength=batch)
        assert counts[row] == 0
        assert chi_square(np.delete(counts, row)) < 21.1  # one in ten thousand, 3 degrees


def test_with_two_samples_it_is_the_other_one():
    found = np.array(TwoViews().images(np.array([[1.0], [2.0]])))
    np.testing.assert_array_equal(found, [[1, 2], [2, 1]])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hybrid_images", "two_views"])
def test_a_batch_of_one_sample(name):
    source = negatives.get(name)
    x = samples(1, 4, 4, 1)
    with pytest.raises(ValueError, match=r"at least two.*Received: .*\(1, 4, 4, 1\)"):
        source.images(x)
    if keras.backend.backend() == "tensorflow":  # whose graphs need not know how many there are
        graph = in_graph(source.images, ((None, 4, 4, 1), "float32"))
        np.testing.assert_array_equal(graph(x), source.neutral(x))


def blurred(noise, times):
    """[¼, ½, ¼] along both axes, mirrored at the edges, in float64."""
    for axis in (1, 2) * times:
        widths = [(1, 1) if axis == padded else (0, 0) for padded in range(3)]
        edged = np.pad(noise, widths, mode="symmetric")
        ahead, behind = (np.take(edged, range(at, at + noise.shape[axis]), axis) for at in (0, 2))
        noise = ahead / 4 + noise / 2 + behind / 4
    return noise


@pytest.mark.parametrize(
    ("blurs", "coverage", "size"),
    [(6, (0.3, 0.7), (28, 28)), (1, (0.3, 0.7), (8, 8)), (10, (0.45, 0.5), (9, 14))],
)
def test_masks(blurs, coverage, size):
    """Above 0.5 where that keeps to the coverage; else the highest pixels, as many as it takes."""
    source = HybridImages(blurs=blurs, coverage=coverage)
    mask = np.array(source.mask(300, *size, 5))
    noise = np.array(keras.random.uniform((300, *size), seed=5), "float64")
    values = blurred(noise, blurs).reshape(300, -1)
    pixels = values.shape[1]
    at_half = np.sum(values > 0.5, axis=1)
    fewest, most = np.ceil(coverage[0] * pixels), np.floor(coverage[1] * pixels)
    kept = np.clip(at_half, fewest, most)
    assert 0 < np.sum(kept != at_half) < 300 or blurs == 1
    np.testing.assert_array_equal(mask.sum(axis=1), kept)
    lowest_kept = np.min(np.where(mask, values, np.inf), axis=1)
    highest_left = np.max(np.where(mask, -np.inf, values), axis=1)
    assert np.all(lowest_kept > highest_left - 2 * pixels / 2**30)


@pytest.mark.parametrize("blurs", [1, 6, 300])
@pytest.mark.parametrize("size", [(28, 28), (8, 8), (2, 1), (1, 30), (40, 3)])
def test_coverage_is_kept_to_whatever_the_blur_leaves(blurs, size):
    """300 blurs leave a small mask without any differences."""
    covered = np.mean(np.array(HybridImages(blurs=blurs).mask(500, *size, 1)), axis=1)
    assert covered.min() >= 0.3 - 1e-7 and covered.max() <= 0.7 + 1e-7
    assert len(set(covered)) > 3 or size == (2, 1) or blurs == 300


def test_masks_have_patches():
    """Not near-noise, as after one blur: neighbouring pixels mostly come from one sample."""
    masks = {blurs: HybridImages(blurs=blurs).mask(200, 28, 28, 1) for blurs in (1, 6)}
    agreeing = {
        blurs: np.mean(mask[:, :, 1:] == mask[:, :, :-1])
        for blurs, mask in ((b, np.array(m).reshape(200, 28, 28)) for b, m in masks.items())
    }
    assert agreeing[6] > 0.85 > 0.8 > agreeing[1]
    assert HybridImages().blurs == 6


@pytest.mark.parametrize("shape", [(4, 16), (4,), (4, 2, 8, 8, 1)])
def test_masks_need_images(shape):
    for refuse in (
        lambda: HybridImages().images(np.zeros(shape)),
        lambda: HybridImages().output_shape((None, *shape[1:])),
    ):
        with pytest.raises(ValueError, match=r"HybridImages needs images.*Received: samples of"):
            refuse()


def test_images_too_small_for_the_coverage():
    with pytest.raises(ValueError, match=r"Received: coverage=\(0.3, 0.7\), images of 1 × 1"):
        HybridImages().output_shape((None, 1, 1, 3))


@pytest.mark.parametrize(
    "arguments",
    [
        {"blurs": 0},
        {"blurs": 2.0},
        {"coverage": (0.7, 0.3)},
        {"coverage": (0.0, 0.7)},
        {"coverage": (0.3, 1.0)},
        {"coverage": 0.3},
        {"count": 0},
        {"wrong_labels": 1},
    ],
    ids=str,
)
def test_arguments_of_hybrids_out_of_range(arguments):
    with pytest.raises(ValueError, match=f"Received: {next(iter(arguments))}="):
        HybridImages(**arguments)


@pytest.mark.parametrize("noise", [0.1, 2.0])
def test_noise_is_a_share_of_each_samples_size(noise):
    sizes = np.array([0.01, 1.0, 300.0])
    x = (samples(3, 40, 40, 3) + 0.5) * sizes.reshape(3, 1, 1, 1)
    added = Perturbation(noise=noise, occlusion=0.0, seed=1).images(x) - x
    unit = np.sqrt(np.mean(x.astype("float64") ** 2, axis=(1, 2, 3)))
    for row in range(3):
        values = np.array(added[row]).ravel() / (noise * unit[row])
        # Four standard errors of 4,800 normal values: mean, spread, fourth moment.
        assert abs(values.mean()) < 4 / 4800**0.5
        assert abs(values.std() - 1) < 4 / (2 * 4800) ** 0.5
        assert abs(np.mean(values**4) - 3) < 4 * (96 / 4800) ** 0.5


@pytest.mark.parametrize(
    ("size", "occlusion", "window"),
    [
        ((8, 8), 0.25, (4, 4)),
        ((28, 28), 0.1, (9, 9)),
        ((10, 20), 0.3, (5, 11)),
        ((9, 9), 1e-6, (1, 1)),
    ],
)
def test_the_window(size, occlusion, window):
    """One rectangle of the image's proportions, blank in all channels; all else is as it was."""
    x = samples(300, *size, 2)
    found = np.array(Perturbation(noise=0.0, occlusion=occlusion, seed=1).images(x))
    blank = found[..., 0] == 0
    np.testing.assert_array_equal(blank, found[..., 1] == 0)
    np.testing.assert_array_equal(found, np.where(blank[..., None], 0, x))
    for sample in blank:
        rows, columns = np.flatnonzero(sample.any(axis=1)), np.flatnonzero(sample.any(axis=0))
        assert (len(rows), len(columns)) == window
        assert sample[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_window_stands_anywhere(seed):
    x = np.ones((4500, 4, 5), "float32")
    found = np.array(Perturbation(noise=0.0, occlusion=0.25, seed=seed).images(x))
    # A window of 2 × 2 stands at 3 × 4 places.
    corner = np.argmin(found.reshape(4500, -1), axis=1)
    counts = np.bincount(5 * (corner // 5) + corner % 5, minlength=20).reshape(4, 5)
    assert counts[3].sum() == counts[:, 4].sum() == 0
    assert chi_square(counts[:3, :4]) < 37.4  # one in ten thousand, 11 degrees


def test_noise_and_window_together():
    x = 5 + samples(50, 8, 8, 1)
    found = np.array(Perturbation(noise=0.1, occlusion=0.25, seed=1).images(x))
    np.testing.assert_array_equal(np.sum(found == 0, axis=(1, 2, 3)), 16)
    assert np.all((found != x)[found != 0])


def test_a_blank_sample_is_perturbed_too():
    found = np.array(Perturbation(occlusion=0.0).images(np.zeros((3, 8, 8))))
    assert np.all(found != 0) and np.abs(found).max() < 0.01


def test_flat_samples_take_noise_alone():
    x = samples(4, 16)
    assert differing(Perturbation(occlusion=0.0).images(x), x) > 0.99
    for refuse in (
        lambda: Perturbation().images(x),
        lambda: Perturbation().output_shape((None, 16)),
    ):
        with pytest.raises(ValueError, match=r"occlusion=0.0.*Received: samples of shape \(16,\)"):
            refuse()


@pytest.mark.parametrize(
    "arguments",
    [{"noise": -0.1}, {"noise": float("nan")}, {"occlusion": 1.0}, {"noise": 0, "occlusion": 0}],
    ids=str,
)
def test_arguments_of_perturbation_out_of_range(arguments):
    with pytest.raises(ValueError, match=f"Received: {next(iter(arguments))}="):
        Perturbation(**arguments)


@pytest.mark.parametrize(
    "source",
    [
        HybridImages(blurs=3, coverage=(0.4, 0.5), wrong_labels=True, count=2, seed=11),
        Perturbation(noise=0.2, occlusion=0.3, wrong_labels=True, count=2, seed=11),
        TwoViews(count=2, seed=11),
        TwoViews(augmentation=keras.layers.GaussianNoise(0.5, seed=4), seed=11),
    ],
    ids=lambda source: source.name,
)
def test_round_trip(source):
    x = samples(9, 8, 8, 1)
    config = source.get_config()
    serialised = keras.saving.serialize_keras_object(source)
    expected = np.array(source.images(x))
    for copy in (type(source).from_config(config), negatives.get(serialised)):
        assert type(copy) is type(source) and isinstance(copy, ImageNegatives)
        assert copy.get_config() == config
        np.testing.assert_array_equal(copy.images(x), expected)
