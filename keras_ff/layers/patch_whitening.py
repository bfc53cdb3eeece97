"""PatchWhitening: principal components of image patches, at equal variance."""

import keras
import numpy as np
from keras import ops

from keras_ff import activations
from keras_ff.utils import checks
from keras_ff.utils.registry import registered

# Images whose patches are counted at once.
IMAGES_AT_ONCE = 200


@registered
class PatchWhitening(keras.layers.Layer):
    """Principal components of patches, scaled to equal variance: a first layer that is fixed.

    `z = Vᵀ(p − mean) / √(λ + epsilon)` for the patch `p` around every pixel, and with both signs
    `y = activation([z, −z])`. The columns of V are the eigenvectors of the covariance of the
    training images' patches, greatest eigenvalue λ first. Neighbouring pixels are nearly equal;
    behind this layer its channels are uncorrelated and fine detail is as large as brightness, so
    that a convolution need not learn that by itself, and class groups of a first layer get more
    than three channels to share. It stands for the whitening of fast backpropagation on CIFAR-10
    (Jordan 2024, https://arxiv.org/abs/2404.00498), whose 2 × 2 patches, both signs and epsilon
    are the defaults.

    `adapt` finds all of it, as for `keras.layers.Normalization`; nothing is trained, and no
    gradient is needed. In an `FFModel` the layer stands before the first FF layer. It is saved
    with its configuration, so that copies are adapted too. All is computed in float32 under every
    dtype policy.

    Args:
        patch_size: integer above 0, side of a patch in pixels. Defaults to `2`.
        components: integer above 0, how many eigenvectors are used, the first ones. Defaults to
            `None`: all, patch_size² · channels.
        epsilon: float above 0, added to the eigenvalues, which depend on the scale of the images:
            the default is for images standardised to a variance of 1. Directions with less
            variance stay smaller. Defaults to `5e-4`.
        both_signs: boolean. Whether the components come a second time, negated, of which a
            rectified activation keeps the other half. Defaults to `True`.
        activation: name, callable or `None`, as for `keras_ff.layers.FFLayer`. Without one, both
            signs say no more than one. Defaults to `"relu"`.
        padding: `"same"` (zeros around the image) or `"valid"`. Defaults to `"same"`.
        kernel, bias: nested lists or arrays, what `adapt` found, as the configuration of an adapted
            layer has them. Both or none. Defaults to `None`.
        **kwargs: `name`, `dtype`, as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, height, width, channels), any number type.

    Returns:
        Tensor of shape (batch, rows, columns, features), in the layer's compute dtype; rows and
        columns are height and width, less patch_size − 1 where `padding="valid"`, and features are
        the components, or twice as many with both signs.

    Raises:
        ValueError: if an argument is out of its range; when called or built, if the layer was not
            adapted, or to images of other channels.

    Example:

    >>> import numpy as np
    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> whitening = PatchWhitening(patch_size=3)
    >>> whitening.adapt(x)
    >>> tuple(whitening(x).shape)
    (64, 8, 8, 18)
    >>> model = keras_ff.FFModel(
    ...     [whitening, keras_ff.layers.FFConv2D(20, goodness="class_groups")],
    ...     num_classes=10,
    ...     label_embedding=None,
    ...     negatives=None,
    ... )
    >>> model.compile("adam")
    >>> history = model.fit(x, y, verbose=0)
    """

    def __init__(
        self,
        patch_size=2,
        components=None,
        epsilon=5e-4,
        both_signs=True,
        activation="relu",
        padding="same",
        kernel=None,
        bias=None,
        **kwargs,
    ):
        # Small components of neighbouring pixels are lost in less than float32.
        super().__init__(autocast=False, **kwargs)
        self.patch_size = checks.whole_number(patch_size, "patch_size")
        self.components = components
        if components is not None:
            self.components = checks.whole_number(components, "components")
        self.epsilon = checks.positive_number(epsilon, "epsilon")
        self.both_signs = bool(both_signs)
        self.activation = activations.get(activation)
        if padding not in ("same", "valid"):
            raise ValueError(f"`padding` must be 'same' or 'valid'. Received: padding={padding!r}")
        self.padding = padding
        if (kernel is None) != (bias is None):
            raise ValueError(
                "`kernel` and `bias` belong together: give both, or neither and call `adapt`. "
                f"Received: kernel={kernel!r}, bias={bias!r}"
            )
        self._found = None if kernel is None else _as_arrays(kernel, bias)
        if self._found and self._found[0].shape[:2] != (self.patch_size, self.patch_size):
            raise ValueError(
                f"`kernel` must be for patches of patch_size={self.patch_size}. "
                f"Received: a kernel of shape {self._found[0].shape}"
            )

    def adapt(self, data, samples=5000):
        """Find the principal components of patches of images; what was found before is replaced.

        Args:
            data: images as the layer will see them, an array or tensor of shape
                (batch, height, width, channels); or batches of them: a `tf.data.Dataset`, a
                `keras.utils.PyDataset` or another iterable, of images or of tuples that begin
                with images.
            samples: integer above 0, how many images are used: of an array evenly spaced ones, of
                batches the first. Defaults to `5000`.

        Raises:
            ValueError: if there are no images, they have another shape, or values that are not
                finite; there are fewer components than wanted; or the layer was built for images
                of other channels.

        Example:

        >>> import numpy as np
        >>> layer = PatchWhitening(both_signs=False, activation=None, padding="valid")
        >>> x = np.random.rand(500, 8, 8, 1)
        >>> layer.adapt(x)
        >>> z = np.array(layer(x)).reshape(-1, 4)
        >>> print(np.cov(z.T).round(1) + 0.0)  # but for epsilon, the identity matrix
        [[1. 0. 0. 0.]
         [0. 1. 0. 0.]
         [0. 0. 1. 0.]
         [0. 0. 0. 1.]]
        """
        samples = checks.whole_number(samples, "samples")
        count, total, products, channels = 0, 0.0, 0.0, None
        for images in _first_images(data, samples):
            self._check_images(images, channels)
            channels = images.shape[-1]
            patches = _patches(images, self.patch_size)
            count += len(patches)
            total = total + patches.sum(axis=0)
            products = products + patches.T @ patches
        if not count:
            raise ValueError(f"There are no images to adapt to. Received: data={data!r}")
        mean = total / count
        kernel, bias = self._whitening(mean, products / count - np.outer(mean, mean))
        kernel = kernel.reshape(self.patch_size, self.patch_size, channels, -1)
        self._found = _as_arrays(kernel, bias)
        if self.built:
            self.kernel.assign(self._found[0])
            self.bias.assign(self._found[1])

    def _whitening(self, mean, covariance):
        """Matrix and bias that whiten patches of a mean and covariance."""
        components = self.components or len(mean)
        if components > len(mean):
            raise ValueError(
                f"Patches of {len(mean)} numbers have no more components than that. "
                f"Received: components={components}"
            )
        values, vectors = np.linalg.eigh(covariance)
        values, vectors = values[::-1][:components], vectors[:, ::-1][:, :components]
        # Either sign would do; on every machine it is the same.
        largest = np.abs(vectors).argmax(axis=0)
        vectors = vectors * np.sign(vectors[largest, np.arange(components)])
        matrix = vectors / np.sqrt(np.maximum(values, 0.0) + self.epsilon)
        return matrix, -mean @ matrix

    def _check_images(self, images, channels):
        if channels is None and self.built:
            channels = self.kernel.shape[2]
        wanted = "images" if channels is None else f"images of {channels} channels"
        least = self.patch_size
        if images.ndim != 4 or min(images.shape[1:3]) < least or not images.shape[3]:
            fits = False
        else:
            fits = channels in (None, images.shape[3])
        if not fits:
            raise ValueError(
                f"PatchWhitening takes batches of {wanted}, (batch, height, width, channels), of "
                f"at least {least} by {least} pixels. Received: images of shape {images.shape}"
            )
        if not np.isfinite(images).all():
            raise ValueError("Images must be finite. Received: values that are not")

    def build(self, input_shape):
        if self._found is None:
            raise ValueError(
                f"Layer {self.name!r} knows no patches yet: call `adapt` with training images "
                f"first, {self.name}.adapt(x_train). Received: a PatchWhitening that was not "
                "adapted"
            )
        kernel, bias = self._found
        if len(input_shape) != 4 or input_shape[-1] != kernel.shape[2]:
            raise ValueError(
                f"Layer {self.name!r} was adapted to images of {kernel.shape[2]} channels, "
                f"(batch, height, width, channels). Received: inputs of shape {tuple(input_shape)}"
            )
        for name, array in (("kernel", kernel), ("bias", bias)):
            weight = self.add_weight(
                shape=array.shape, dtype="float32", trainable=False, autocast=False, name=name
            )
            weight.assign(array)
            setattr(self, name, weight)

    def call(self, inputs):
        z = ops.conv(
            ops.cast(inputs, "float32"),
            ops.convert_to_tensor(self.kernel),
            padding=self.padding,
            data_format="channels_last",
        )
        z = z + ops.convert_to_tensor(self.bias)
        if self.both_signs:
            z = ops.concatenate([z, -z], axis=-1)
        return ops.cast(self.activation(z), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        lost = self.patch_size - 1 if self.padding == "valid" else 0
        sides = [None if side is None else side - lost for side in input_shape[1:3]]
        components = self.components or self.patch_size**2 * input_shape[3]
        return (input_shape[0], *sides, 2 * components if self.both_signs else components)

    def get_config(self):
        kernel, bias = self._found or (None, None)
        if self.built:  # weights may have been loaded since
            kernel, bias = (ops.convert_to_numpy(weight) for weight in (self.kernel, self.bias))
        return {
            **super().get_config(),
            "patch_size": self.patch_size,
            "components": self.components,
            "epsilon": self.epsilon,
            "both_signs": self.both_signs,
            "activation": keras.activations.serialize(self.activation),
            "padding": self.padding,
            "kernel": None if kernel is None else kernel.tolist(),
            "bias": None if bias is None else bias.tolist(),
        }


def _as_arrays(kernel, bias):
    return np.asarray(kernel, "float32"), np.asarray(bias, "float32")


def _first_images(data, samples):
    """Up to so many images, as arrays of some at a time."""
    if hasattr(data, "shape"):
        data = ops.convert_to_numpy(data)
        rows = np.linspace(0, len(data) - 1, min(samples, len(data))).astype(int)
        data = [data[rows]]
    elif isinstance(data, keras.utils.PyDataset):
        data = map(data.__getitem__, range(data.num_batches))
    for batch in data:
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        images = ops.convert_to_numpy(images)[:samples]
        for start in range(0, len(images), IMAGES_AT_ONCE):
            yield images[start : start + IMAGES_AT_ONCE]
        samples -= len(images)
        if samples <= 0:
            return


def _patches(images, size):
    """All patches that lie within images, float64, of shape (patches, size² · channels)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    patches = np.moveaxis(windows, 3, -1)  # channels last, as in a convolution's kernel
    return patches.reshape(-1, size * size * images.shape[-1]).astype("float64")
