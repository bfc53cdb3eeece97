"""Recipes: what a training run depends on, and what suits each dataset."""

from keras_ff.recipes.training_config import (
    ARCHITECTURES,
    DEFAULTS,
    VARIATIONS,
    TrainingConfig,
    for_json,
    plainly,
    widths,
)
