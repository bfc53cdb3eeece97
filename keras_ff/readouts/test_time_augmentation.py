"""Test-time augmentation: images scored along with their mirror images and moved by some pixels."""

from keras import ops, tree


def views(images, mirrored, shift):
    """The images as they are, and as they are to be seen besides.

    Args:
        images: tensor of shape (batch, height, width, channels), or of any shape where nothing is
            asked for besides.
        mirrored: boolean. Whether every view is there with left and right exchanged as well.
        shift: integer, pixels by which images are moved along a diagonal, down to the right and
            up to the left; pixels at the edge are repeated. With 0 there are no such views.

    Returns:
        A list of tensors of the images' shape, the images themselves first.
    """
    moves = [0, shift, -shift] if shift else [0]
    upright = [_moved(images, move) for move in moves]
    return upright + [ops.flip(view, axis=2) for view in upright] if mirrored else upright


def add_up(function, images, mirrored, shift, known=None):
    """What a function gives, added up over all views.

    Args:
        function: from images to a tensor, or a structure of tensors.
        images, mirrored, shift: as for `views`.
        known: what the function gives for the images as they are. Defaults to `None`: computed.

    Returns:
        The sum, and the number of views.
    """
    first, *others = views(images, mirrored, shift)
    each = [function(first) if known is None else known, *map(function, others)]
    return tree.map_structure(lambda *values: sum(values), *each), len(each)


def _moved(images, pixels):
    if pixels == 0:
        return images
    for axis in (1, 2):
        side = ops.shape(images)[axis]
        places = ops.clip(ops.arange(side) - pixels, 0, side - 1)
        images = ops.take(images, places, axis=axis)
    return images
