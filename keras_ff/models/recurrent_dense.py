"""RecurrentDense: a dense layer with inputs from above and below, and damped activities."""

from keras_ff.layers import FFDense
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class RecurrentDense(FFDense):
    """An `FFDense` whose activities follow its inputs slowly.

    In a `RecurrentFFModel` its activities are `damping · y_before + (1 − damping) · y`, where y is
    what `FFDense` returns; goodness is theirs. No gradient passes y_before.

    Args:
        units: integer above 0, width of the layer.
        damping: float in [0, 1). Defaults to `0.3` (Hinton 2022, §3.4).
        normalization: as for `FFLayer`. Defaults to `None`: a `RecurrentFFModel` normalises the
            activities of each neighbour by themselves.
        **kwargs: as for `FFDense`.

    Call arguments:
        inputs: tensor of shape (batch, features).

    Returns:
        What `FFDense` returns, of shape (batch, units); `forward` gives the damped activities.

    Raises:
        ValueError: if `damping` is not in [0, 1), or as for `FFDense`.

    Example:

    >>> layer = RecurrentDense(4, damping=0.25, kernel_initializer="zeros")
    >>> pair = np.ones((1, 3)), np.ones((1, 4))
    >>> print(np.array(layer.forward(keras_ff.layers.Batch(pair))))
    [[0.25 0.25 0.25 0.25]]
    """

    def __init__(self, units, damping=0.3, normalization=None, **kwargs):
        super().__init__(units, normalization=normalization, **kwargs)
        self.damping = checks.share(damping, "damping")

    def forward(self, batch, training=False):
        if not isinstance(batch.inputs, tuple):  # in a model without connections from above
            return super().forward(batch, training)
        inputs, before = batch.inputs
        return self.damping * before + (1 - self.damping) * self(inputs, training=training)

    def get_config(self):
        return {**super().get_config(), "damping": self.damping}
