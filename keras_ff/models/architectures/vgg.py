"""Deep stacks of small convolutions."""

import dataclasses

import keras

from keras_ff import losses, readouts
from keras_ff.layers import FFDense
from keras_ff.models.architectures.ready import convolutions, model_of
from keras_ff.utils import checks, registry


@dataclasses.dataclass(frozen=True)
class _Variant:
    """Channels per block, max-pooling between blocks; before dense layers, after the last too."""

    filters: tuple
    units: tuple = ()
    trifecta: bool = False


VARIANTS = {
    "vgg19": _Variant(
        ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4), units=(4096, 4096)
    ),
    "three_conv": _Variant((32, 64, 128), units=(128, 64)),
    "trifecta_6": _Variant((128, (128, 256), (256, 512), 512), trifecta=True),
    "trifecta_12": _Variant(
        ((64, 128), (128, 128, 128, 256), (256, 256, 256, 512), (512, 512)), trifecta=True
    ),
}


def vgg(
    variant="trifecta_6",
    num_classes=10,
    activation="relu",
    width_multiplier=1.0,
    loss=None,
    **kwargs,
):
    """Contrastive stacks of convolutions of 3 × 3, with max-pooling that halves the image.

    - `"trifecta_6"` and `"trifecta_12"` (Dooms et al. 2023, The Trifecta): each layer batch
      normalisation, convolution without bias, ReLU, [max-pooling]. The label is a learned extra
      channel; pairs of layers learn in turn; the layers' loss is SymBa with alpha 4; the last
      layer scores. The widths are not published. Those here double where the image is halved,
      which for 32 × 32 × 3 gives the published multiplications, 269 and 531 million a stream,
      and the published 8.5 million parameters of the 12 layers; the 6 layers have 4.6 million.
    - `"vgg19"` (Tantravahi et al. 2024): sixteen convolutions, 64, 64, 128, 128, 4 × 256, 4 × 512,
      4 × 512, pooled five times, then dense layers of 4096 and 4096.
    - `"three_conv"` (the same source): three convolutions, each pooled, then dense layers of 128
      and 64. The convolutions' widths are not published; here 32, 64 and 128.

    The last two have length normalisation over the whole sample, where their source has it over
    the height axis by mistake. The label is a wave over the image, which convolutions see
    everywhere, and the goodness of all layers scores; as in the source, with the label over the
    first pixels and a linear head on the last layer, they are with `label_embedding="overlay"`
    and `readout=keras_ff.readouts.Softmax(layers=[-1])`.

    Args:
        variant: one of the names above. Defaults to `"trifecta_6"`.
        num_classes: integer. Defaults to `10`.
        activation: name or callable. Defaults to `"relu"`.
        width_multiplier: float above 0, by which all widths are multiplied, and rounded.
            Defaults to `1.0`.
        loss: the layers' loss, a name or object of `keras_ff.losses`, which wins over
            `compile`'s. Defaults to `None`: SymBa with alpha 4 for the Trifecta, and that of
            `compile` for the others.
        **kwargs: as for `keras_ff.FFModel`: `label_embedding`, `negatives`, `layer_schedule` (here
            `"alternating"` for the Trifecta and `"simultaneous"` for the others by default),
            `readout`, `name`, ...

    Returns:
        A `keras_ff.FFModel`, not compiled, for images of shape (height, width, channels).

    Raises:
        ValueError: if there is no such variant, `width_multiplier` is not above 0, or as for
            `FFConv2D` and `FFModel`; when built, where the images are too small to be halved so
            often: 32 pixels per side are needed for `"vgg19"`, and 8 for the others.

    Example:

    >>> from keras_ff import models
    >>> model = models.vgg("trifecta_12")
    >>> model.build((None, 32, 32, 3))
    >>> model.count_params() // 100_000
    85
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"Unknown variant of VGG: {variant!r}. {registry.nearest(variant, VARIANTS)} "
            f"Received: variant={variant!r}"
        )
    factor = checks.positive_number(width_multiplier, "width_multiplier")
    chosen = VARIANTS[variant]
    arguments = {"activation": activation, "loss": loss, "normalization": "length"}
    if chosen.trifecta:
        loss = losses.SymBa(alpha=4.0) if loss is None else loss
        arguments = {**arguments, "loss": loss, "normalization": "batch", "use_bias": False}
    layers = convolutions(
        _scaled(chosen.filters, factor),
        keras.layers.MaxPooling2D,
        pool_last=bool(chosen.units),
        **arguments,
    )
    layers += [FFDense(units, **arguments) for units in _scaled(chosen.units, factor)]
    if chosen.trifecta:
        last = readouts.Goodness(layers=[-1])
        kwargs = {"layer_schedule": "alternating", "readout": last, **kwargs}
    embedding = "label_map" if chosen.trifecta else "spatial_pattern"
    return model_of(layers, num_classes, False, embedding, kwargs)


def _scaled(widths, factor):
    """Widths, nested or not, times a factor."""
    if isinstance(widths, tuple):
        return tuple(_scaled(each, factor) for each in widths)
    return max(round(widths * factor), 1)
