"""Pictures of what networks do and have learned.

Every function returns a `matplotlib.figure.Figure`, made without pyplot: nothing is shown, no state
is left behind, and no display is needed. Lines and areas differ in stroke, marker or hatching as
well as in colour, and colour maps grow lighter from one end to the other, so that a print in grey
can be read. They need matplotlib, and densities scipy, which the extra `plot` installs.

Several take what `keras_ff.measurements.measure` found, so that a model is measured once for all:

>>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
>>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
>>> model.build(x.shape)
>>> measured = keras_ff.measurements.measure(model, x, y)
>>> layer_accuracy(measured).savefig("layer_accuracy.png")
>>> label_goodness(measured).savefig("label_goodness.png")
"""

from keras_ff.visualization.activation_functions import activation_functions
from keras_ff.visualization.confusion_matrix import confusion_matrix
from keras_ff.visualization.filters import filters
from keras_ff.visualization.goodness_densities import goodness_densities
from keras_ff.visualization.goodness_separation import goodness_separation
from keras_ff.visualization.label_goodness import label_goodness
from keras_ff.visualization.layer_accuracy import layer_accuracy
from keras_ff.visualization.learning_curves import learning_curves
from keras_ff.visualization.misclassified import misclassified
from keras_ff.visualization.model_comparison import model_comparison
from keras_ff.visualization.samples import samples

__all__ = [
    "activation_functions",
    "confusion_matrix",
    "filters",
    "goodness_densities",
    "goodness_separation",
    "label_goodness",
    "layer_accuracy",
    "learning_curves",
    "misclassified",
    "model_comparison",
    "samples",
]
