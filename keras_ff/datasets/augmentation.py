"""Augmented training images, of shape (batch, height, width, channels), each by itself.

Where an image moves away, the pixels of its edge are repeated: black ones would occur in training
images alone.
"""

import math

# How much wider than tall a crop is at most, or taller than wide, in sides of the image.
ASPECT = 4 / 3
# Hues turn by this share of what saturation, brightness and contrast change by.
HUE = 0.5
# Of `flip`: every image is mirrored in every other epoch.
ALTERNATING = "alternating"


def augmented(images, seed, flip, shift, rotate, crop, colors, erase, mirrored=None):
    """uint8 images mirrored, moved, turned, cropped, coloured anew and partly erased.

    The arguments are those of `augment` of `keras_ff.datasets.load`; `seed` has shape (2,).
    `mirrored`, booleans of shape (batch,), says which images alternating flips mirror.
    """
    import tensorflow as tf

    if flip or shift:
        flip_seed, shift_seed = tf.unstack(tf.random.split(seed))
        if flip and mirrored is None:
            draws = tf.random.stateless_uniform([tf.shape(images)[0]], flip_seed, alg="philox")
            mirrored = draws < 0.5
        images = _moved(images, mirrored, shift_seed, shift)
    if rotate or crop < 1:
        turn_seed, crop_seed = tf.random.fold_in(seed, 2), tf.random.fold_in(seed, 4)
        images = _turned_and_cropped(images, turn_seed, crop_seed, rotate, crop)
    if colors:
        images = _coloured(images, tf.random.fold_in(seed, 5), colors)
    if erase:
        images = _erased(images, tf.random.fold_in(seed, 3), erase)
    return images


def is_varied(augment):
    """Whether any image is changed; `augment` holds the arguments of `augmented`."""
    unchanged = {"crop": 1}
    return any(value != unchanged.get(name, 0) for name, value in augment.items())


def alternating_flips(num_images, seed):
    """Which of all images are mirrored in an epoch, as a function of the epoch and their rows.

    Even epochs mirror images drawn by the seed, and odd ones the others.
    """
    import tensorflow as tf

    # No epoch has the number -1, so that no other draw has this seed.
    own_seed = tf.constant([seed, -1], tf.int64)
    in_even_epochs = tf.random.stateless_uniform([num_images], own_seed, alg="philox") < 0.5
    return lambda epoch, rows: tf.gather(in_even_epochs, rows) ^ (epoch % 2 == 1)


def _moved(images, mirrored, shift_seed, shift):
    """All in one look-up of pixels: a third of the time of one operation after the other."""
    import tensorflow as tf

    count, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    # From which row and column of its image each pixel comes.
    rows, columns = tf.range(height), tf.range(width)
    if shift:
        corners = tf.random.stateless_uniform(
            [2, count, 1], shift_seed, minval=0, maxval=2 * shift + 1, dtype=tf.int32, alg="philox"
        )
        rows, columns = corners[0] + rows - shift, corners[1] + columns - shift
    if mirrored is not None:
        columns = tf.where(mirrored[:, None], width - 1 - columns, columns)
    # What would lie outside is the nearest pixel of the edge.
    rows = tf.clip_by_value(rows, 0, height - 1)
    columns = tf.clip_by_value(columns, 0, width - 1)
    first = tf.expand_dims(tf.range(count) * height * width, 1)
    places = tf.expand_dims(first + rows * width, 2) + tf.expand_dims(columns, 1)
    return tf.gather(tf.reshape(images, [-1, channels]), places)


def _turned_and_cropped(images, turn_seed, crop_seed, rotate, crop):
    """Turned about their middle, and a part of them enlarged; pixels are interpolated linearly."""
    import tensorflow as tf

    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    one, zero = tf.ones([count]), tf.zeros([count])
    sine, cosine, tall, wide, down, right = zero, one, one, one, zero, zero
    if rotate:
        angles = math.radians(rotate) * tf.random.stateless_uniform(
            [count], turn_seed, minval=-1.0, maxval=1.0, alg="philox"
        )
        sine, cosine = tf.sin(angles), tf.cos(angles)
    if crop < 1:
        # Side and place of the part, in sides of the image; the place is that of its middle.
        area, aspect, down, right = tf.unstack(
            tf.random.stateless_uniform([4, count], crop_seed, alg="philox")
        )
        area = crop + (1 - crop) * area
        aspect = tf.minimum(ASPECT, 1 / area) ** (2 * aspect - 1)  # no side above the image's
        tall, wide = tf.sqrt(area * aspect), tf.sqrt(area / aspect)
        down, right = (down - 0.5) * (1 - tall) * height, (right - 0.5) * (1 - wide) * width
    x, y = (width - 1) / 2, (height - 1) / 2
    # From which column and row of its image each pixel comes.
    columns = [cosine * wide, -sine * tall]
    rows = [sine * wide, cosine * tall]
    columns.append(x + right - x * columns[0] - y * columns[1])
    rows.append(y + down - x * rows[0] - y * rows[1])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([*columns, *rows, zero, zero], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _coloured(images, seed, colors):
    """Brightness, contrast and, where there are colours, hue and saturation changed."""
    import tensorflow as tf

    changes = tf.random.stateless_uniform(
        [4, tf.shape(images)[0], 1, 1], seed, minval=-colors, maxval=colors, alg="philox"
    )
    brightness, contrast, saturation, hue = tf.unstack(changes)
    x = tf.cast(images, "float32") / 255
    if images.shape[-1] == 3:
        old_hue, old_saturation, value = tf.unstack(tf.image.rgb_to_hsv(x), axis=-1)
        new_hue = (old_hue + HUE * hue) % 1
        new_saturation = tf.minimum(old_saturation * (1 + saturation), 1)
        x = tf.image.hsv_to_rgb(tf.stack([new_hue, new_saturation, value], axis=-1))
    x = x * (1 + brightness)[..., None]
    middle = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    x = middle + (x - middle) * (1 + contrast)[..., None]
    return tf.cast(tf.round(255 * tf.clip_by_value(x, 0, 1)), images.dtype)


def _erased(images, seed, erase):
    """A square of each image has the image's mean colour (Cutout, DeVries & Taylor 2017).

    Its middle is any pixel of the image, so that at the edges less is erased.
    """
    import tensorflow as tf

    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    row_seed, column_seed = tf.unstack(tf.random.split(seed))

    def within(side, side_seed):
        """Which rows, or columns, of each image the square covers."""
        middle = tf.random.stateless_uniform(
            [count, 1], side_seed, minval=0, maxval=side, dtype=tf.int32, alg="philox"
        )
        distance = tf.range(side) - (middle - erase // 2)
        return (distance >= 0) & (distance < erase)

    rows, columns = within(height, row_seed), within(width, column_seed)
    square = rows[:, :, None, None] & columns[:, None, :, None]
    colour = tf.reduce_mean(tf.cast(images, "float32"), axis=(1, 2), keepdims=True)
    return tf.where(square, tf.cast(tf.round(colour), images.dtype), images)
