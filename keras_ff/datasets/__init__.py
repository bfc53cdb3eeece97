"""Image data sets as `tf.data` pipelines: split, standardised, shuffled and augmented by a seed."""

from keras_ff.datasets.data_config import DataConfig
from keras_ff.datasets.information import DatasetInfo
from keras_ff.datasets.loading import info, is_prepared, load

__all__ = ["DataConfig", "DatasetInfo", "info", "is_prepared", "load"]
