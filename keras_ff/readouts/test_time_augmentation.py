"""Test-time augmentation: images are also scored mirrored, and shifted by some pixels."""

from keras import ops, tree


def views(images, mirrored, shift):
    """The images, and then their other views.

    With `shift` they are also shifted by so many pixels along a diagonal, down to the right and up
    to the left, repeating pixels of the edge; with `mirrored` every view is also flipped.
    """
    moves = [0, shift, -shift] if shift else [0]
    upright = [_shifted(images, pixels) for pixels in moves]
    return upright + [ops.flip(view, axis=2) for view in upright] if mirrored else upright


def add_up(function, images, mirrored, shift, known=None):
    """The sum of a function over all views, and their number."""
    first, *others = views(images, mirrored, shift)
    each = [function(first) if known is None else known, *map(function, others)]
    return tree.map_structure(lambda *values: sum(values), *each), len(each)


def _shifted(images, pixels):
    if pixels == 0:
        return images
    for axis in (1, 2):
        side = ops.shape(images)[axis]
        places = ops.clip(ops.arange(side) - pixels, 0, side - 1)
        images = ops.take(images, places, axis=axis)
    return images
