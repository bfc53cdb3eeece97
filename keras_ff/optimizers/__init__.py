"""Optimizers: one per layer, Muon, their common loss scale, and learning rate schedules."""

from keras_ff.optimizers.layer_optimizers import LayerOptimizers
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.optimizers.loss_scale import LayerLossScale
from keras_ff.optimizers.muon import Muon
from keras_ff.optimizers.optimizer_template import OptimizerTemplate

__all__ = ["ConstantThenLinear", "LayerLossScale", "LayerOptimizers", "Muon", "OptimizerTemplate"]
