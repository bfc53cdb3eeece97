"""Dropout from sixteen random bits per activity.

Keras's dropout takes three times as long as the forward product of a convolution with 20 channels
that it stands behind (32² pixels, bfloat16): it draws floating-point numbers, one per activity.
Whole random words, two activities to a word, take a third of that.
"""

from keras import ops

RANGE = 2**16


def dropped(activities, drawn, rate):
    """Activities with a share of them at zero and the others scaled up, so that the mean stays.

    `drawn` are uniform integers from 0 to 65535 in the activities' shape; `rate` in [0, 1) is
    rounded down to a multiple of 1/65536.
    """
    below = int(rate * RANGE)
    scale = RANGE / (RANGE - below)
    return activities * (ops.cast(drawn >= below, activities.dtype) * scale)
