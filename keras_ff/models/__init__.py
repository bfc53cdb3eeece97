"""The Forward-Forward model, and ready architectures: functions that return one, not compiled."""

from keras_ff.models.architectures.cnn import cnn
from keras_ff.models.architectures.local_receptive_field import local_receptive_field
from keras_ff.models.architectures.mlp import mlp
from keras_ff.models.architectures.recurrent import recurrent
from keras_ff.models.architectures.resnet import resnet
from keras_ff.models.architectures.vgg import vgg
from keras_ff.models.architectures.vision_attention import vision_attention
from keras_ff.models.ff_ensemble import FFEnsemble
from keras_ff.models.ff_model import FFModel
from keras_ff.models.recurrent_dense import RecurrentDense
from keras_ff.models.recurrent_ff_model import RecurrentFFModel
from keras_ff.models.stages import Stage

__all__ = [
    "FFEnsemble",
    "FFModel",
    "RecurrentDense",
    "RecurrentFFModel",
    "Stage",
    "cnn",
    "local_receptive_field",
    "mlp",
    "recurrent",
    "resnet",
    "vgg",
    "vision_attention",
]
