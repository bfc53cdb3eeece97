"""Datasets of TFDS: which splits are used, what is cached, and errors."""

import types

import numpy as np
import pytest

from keras_ff import datasets
from keras_ff.datasets import tfds_images
from tests.helpers.images import colours, joined, write_tfds


class TestTFDS:
    @pytest.mark.slow
    def test_the_test_split_is_the_test_set_even_where_there_is_a_validation_split(self, tmp_path):
        splits = {"train": colours(60), "validation": colours(7), "test": colours(5, start=200)}
        write_tfds(tmp_path, "complete", splits)
        parts = datasets.load("complete", data_dir=tmp_path, standardize=False)
        assert [len(joined(part)[1]) for part in parts] == [50, 10, 5]

    @pytest.mark.slow
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

    @pytest.mark.slow
    def test_a_missing_test_split_is_replaced_by_the_validation_split(self, tmp_path):
        splits = {"train": colours(60), "validation": colours(7, start=200)}
        write_tfds(tmp_path, "no_test", splits)
        parts = datasets.load("no_test", data_dir=tmp_path, standardize=False)
        assert [len(joined(part)[1]) for part in parts] == [50, 10, 7]
        np.testing.assert_allclose(
            joined(parts[2])[0][:, 0, 0, 0] * 255, range(200, 207), rtol=1e-6
        )

    @pytest.mark.slow
    def test_a_test_split_without_labels_is_not_used(self, tmp_path):
        unlabelled = [(image, -1) for image, _ in colours(9)]
        write_tfds(tmp_path, "unlabelled", {"train": colours(60), "test": unlabelled})
        parts = datasets.load("unlabelled", data_dir=tmp_path, standardize=False)
        assert [len(joined(part)[1]) for part in parts] == [40, 8, 12]

    @pytest.mark.slow
    def test_without_either_a_fifth_of_the_training_split_is_cut(self, tmp_path):
        samples = colours(60)
        write_tfds(tmp_path, "train_only", {"train": samples})
        parts = datasets.load("train_only", data_dir=tmp_path, standardize=False)
        parts = [joined(part) for part in parts]
        assert [np.bincount(y).tolist() for _, y in parts] == [[20, 20], [4, 4], [6, 6]]
        reds = np.concatenate([x[:, 0, 0, 0] for x, _ in parts])
        np.testing.assert_allclose(np.sort(reds) * 255, range(60), atol=1e-4)

    @pytest.mark.slow
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

    @pytest.mark.slow
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


def test_home_is_expanded(monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    asked = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tfds, "builder", lambda name, **options: asked.append(options["data_dir"]))
    for data_dir in ("~/data", None):
        tfds_images.builder_of("mnist", data_dir)
    assert asked == [str(tmp_path / "data"), None]
