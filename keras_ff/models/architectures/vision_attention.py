"""Self-attention among the patches of an image."""

from keras_ff import labels
from keras_ff.layers import ClassGroupNormalization, FFAttention, FFDense
from keras_ff.models.architectures.ready import layer_arguments, model_of
from keras_ff.utils import checks


def vision_attention(
    patch_size=4,
    num_heads=4,
    key_dim=20,
    attention_layers=1,
    units=(500, 500, 500),
    num_classes=10,
    activation="relu",
    class_groups=False,
    **kwargs,
):
    """Layers of self-attention on the patches of an image, then dense layers.

    The network of Kesanapalli et al. with the label in every patch, as they suggest. As class
    groups there is no label in the input, the units of all layers are divided among the classes,
    and one pass scores a sample.

    Args:
        patch_size: integer, side of a patch in pixels. Defaults to `4`.
        num_heads: integer, attention heads. Defaults to `4`.
        key_dim: integer, width of a head; the attention layers return num_heads · key_dim
            features per patch, for class groups a multiple of `num_classes`. Defaults to `20`.
        attention_layers: integer, number of attention layers. Defaults to `1`.
        units: tuple of integers, width of each dense layer. Defaults to `(500, 500, 500)`.
        num_classes: integer. Defaults to `10`.
        activation: name or callable. Defaults to `"relu"`.
        class_groups: boolean. Defaults to `False`.
        **kwargs: as for `keras_ff.FFModel`: `label_embedding` (here `TokenLabels(patch_size)` by
            default), `negatives`, `layer_schedule` (here `"simultaneous"` by default), `readout`,
            `name`, ...

    Returns:
        A `keras_ff.FFModel`, not compiled, for images of shape (height, width, channels).

    Raises:
        ValueError: if a size is not an integer above 0, or as for `FFAttention`, `FFDense` and
            `FFModel`; when built, where the patches do not fill the images, or the classes do not
            divide a width.

    Example:

    >>> from keras_ff import models
    >>> model = models.vision_attention(num_heads=2, key_dim=8, units=(30,))
    >>> model.compile(optimizer="adam", metrics=["accuracy"])
    >>> history = model.fit(np.random.rand(32, 8, 8, 1), np.arange(32) % 10, verbose=0)
    """
    family = layer_arguments(class_groups)
    layers = []
    for index in range(checks.whole_number(attention_layers, "attention_layers")):
        # Where labels are in the patches, the image has been cut already.
        cut = {"patch_size": patch_size} if class_groups and index == 0 else {}
        layers.append(FFAttention(num_heads, key_dim, activation=activation, **cut, **family))
    if class_groups:
        # The dense layers flatten: behind that a class's units are no neighbours any more.
        layers.append(ClassGroupNormalization(num_classes))
    family = layer_arguments(class_groups, normalization="centered_length")
    layers += [FFDense(width, activation=activation, **family) for width in units]
    embedding = labels.TokenLabels(patch_size)
    return model_of(layers, num_classes, class_groups, embedding, kwargs)
