"""ReadoutOnly: the layers stay as they are, and the readout learns."""

from keras_ff.layer_schedules.base import LayerSchedule


class ReadoutOnly(LayerSchedule):
    """The schedule of `FFModel.fit_readout`."""

    trains_layers = False

    def step(self, model, batch, last=None):
        del model, last
        return [], batch

    def test(self, model, batch):
        del model, batch
        return []
