"""Recipes: what a training run depends on, and what suits each dataset."""

from keras_ff.datasets.data_config import VARIATIONS
from keras_ff.recipes.defaults import ARCHITECTURES, DEFAULTS
from keras_ff.recipes.training_config import TrainingConfig, widths
from keras_ff.utils.files import for_json
from keras_ff.utils.text_tables import plainly
