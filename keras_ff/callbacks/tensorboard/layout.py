"""Which charts TensorBoard's custom scalars open with."""

import re

from keras_ff.callbacks.tensorboard import tags

# Title of a chart, and what is drawn in it.
CHARTS = {
    "goodness of positives and negatives": (tags.POSITIVE, tags.NEGATIVE),
    "goodness separation: positive minus negative": (tags.SEPARATION,),
    "pair accuracy": (tags.PAIR_ACCURACY,),
    "loss (nats)": (tags.LOSS,),
    "accuracy, alone and with layers below": (tags.ACCURACY_ALONE, tags.ACCURACY_TOGETHER),
    "shares of dead units and saturated activities": (tags.DEAD, tags.SATURATED),
}
OF_ALL_LAYERS = {
    "goodness separation of every layer": tags.SEPARATION,
    "accuracy of every layer alone": tags.ACCURACY_ALONE,
    "accuracy of the first layers together": tags.ACCURACY_TOGETHER,
}


def layout(num_layers):
    """A category of charts for the whole network, and one for each layer."""
    from tensorboard.plugins.custom_scalar import layout_pb2

    def chart(title, names):
        lines = layout_pb2.MultilineChartContent(tag=[f"^{name}$" for name in names])
        return layout_pb2.Chart(title=title, multiline=lines)

    network = [
        chart("accuracy", ["epoch_accuracy"]),
        chart("loss: sum over the layers", ["epoch_loss"]),
        *[
            chart(title, [rf"layer_\d+/{re.escape(metric)}"])
            for title, metric in OF_ALL_LAYERS.items()
        ],
    ]
    categories = [layout_pb2.Category(title="Forward-Forward: all layers", chart=network)]
    for number in range(1, num_layers + 1):
        charts = [
            chart(title, [re.escape(tags.of_layer(number, metric)) for metric in metrics])
            for title, metrics in CHARTS.items()
        ]
        categories.append(layout_pb2.Category(title=f"Layer {number}", chart=charts))
    return layout_pb2.Layout(category=categories)
