"""Images in another size."""


def resized(images, image_size):
    """Images as uint8 of shape (samples, *image_size, channels), bilinear with antialiasing."""
    import tensorflow as tf

    resized = tf.image.resize(images, image_size, antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8)
