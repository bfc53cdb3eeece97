"""What an `FFModel` accepts: its arguments, checked as it is constructed and built."""

import keras

from keras_ff.labels import LabelMap, Overlay, SpatialPattern, TokenLabels
from keras_ff.layers import FFAttention, FFLocallyConnected2D
from keras_ff.layers.ff_layer import IMAGES_ARE_CHANNELS_LAST, FFLayer
from keras_ff.readouts import layer_choice
from keras_ff.utils.checks import whole_number


def needed(part, name):
    """`part`, or a ValueError where it is `None`."""
    if part is None:
        raise ValueError(f"FFModel cannot do without `{name}`. Received: {name}=None")
    return part


def checked_num_classes(num_classes):
    """A number of classes of at least 2, as an int."""
    number = whole_number(num_classes, "num_classes", minimum=0)
    if number < 2:
        raise ValueError(
            f"A classifier needs at least two classes. Received: num_classes={num_classes}"
        )
    return number


def checked_layers(layers):
    """Layers as a list, all of them different objects with parts of their own."""
    layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    for position, layer in enumerate(layers):
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(
                "`layers` must hold FF layers, such as keras_ff.layers.FFDense(500), and Keras "
                "layers among them; `keras.Input` is left out, as samples say their shape. "
                f"Received: {layer!r} at position {position}"
            )
        if any(layer is earlier for earlier in layers[:position]):
            raise ValueError(
                "Every layer must be an object of its own; write "
                "[FFDense(500) for _ in range(3)], not [FFDense(500)] * 3. "
                f"Received: {layer.name!r} twice"
            )
    ff_layers = [layer for layer in layers if isinstance(layer, FFLayer)]
    if not ff_layers:
        hint, received = "", "layers=[]"
        if layers:
            kind = type(layers[0]).__name__
            hint = f" Wrap what is to learn: keras_ff.layers.FFLayer({kind}(...))."
            received = f"{layers[0]!r} at position 0"
        raise ValueError(f"FFModel needs at least one FF layer.{hint} Received: {received}")
    terms = [term for layer in ff_layers for term in layer.auxiliary]
    if len({id(term) for term in terms}) < len(terms):
        raise ValueError(
            "Every FF layer needs auxiliary terms of its own; write them within a loop over the "
            f"layers. Received: {[term.name for term in terms]}"
        )
    for position, layer in enumerate(ff_layers):
        for part in ("transform", "normalization", "goodness"):
            own = getattr(layer, part)
            others = [getattr(other, part) for other in ff_layers[:position]]
            if isinstance(own, keras.layers.Layer) and any(own is other for other in others):
                raise ValueError(
                    f"Every FF layer needs a {part} of its own. "
                    f"Received: {own.name!r} in two layers"
                )
    return layers


def check_num_classes_of(ff_layers, num_classes):
    """Raise ValueError where a layer was built, or a part of it made, for other classes."""
    for layer in ff_layers:
        parts = [layer.goodness, *layer.auxiliary]
        known = [getattr(part, "num_classes", None) for part in parts]
        for number in [layer.num_classes if layer.built else None, *known]:
            if number not in (None, num_classes):
                raise ValueError(
                    "The layers of a model must be for its classes: make new ones, or carry their "
                    "weights over by model.rebuild(num_classes=…). "
                    f"Received: layer {layer.name!r} for {number} classes and "
                    f"num_classes={num_classes}"
                )


def family(layers):
    """Whether the layers are class groups (True) or contrastive (False); all must be one."""
    families = {layer.goodness.per_class for layer in layers}
    if len(families) > 1:
        raise ValueError(
            "The layers of a model are either all contrastive or all class groups. Received: "
            f"{[type(layer.goodness).__name__ for layer in layers]}"
        )
    return families.pop()


def check_parts_fit(model):
    """Raise ValueError where a model's parts cannot work together."""
    embedding, negatives, readout = model.label_embedding, model.negatives, model.readout
    if readout.reads_goodness and readout.reads_activities and not model.class_groups:
        raise ValueError(
            f"readouts.{type(readout).__name__} reads goodness and activities of one pass, which "
            "class groups alone give: use goodness='class_groups' in the layers, or "
            f"readout='goodness' or 'softmax'. Received: readout={readout!r}"
        )
    if model.class_groups:
        for name, part in (("label_embedding", embedding), ("negatives", negatives)):
            if part is not None:
                raise ValueError(
                    f"Class groups have one stream, without labels in it: pass {name}=None. "
                    f"Received: {name}={part!r}"
                )
        _check_free_units(model)
        return
    needed(negatives, "negatives")
    negatives.check(model.num_classes)
    if negatives.are_images and not negatives.wrong_labels:
        if embedding is not None:
            raise ValueError(
                "These negatives are images without a label, so positives must have none either: "
                "pass label_embedding=None and readout='softmax', or pair them with wrong labels, "
                f"{type(negatives).__name__}(wrong_labels=True). "
                f"Received: negatives={negatives!r}, label_embedding={embedding!r}"
            )
        if not model.readout.learns:
            raise ValueError(
                "A network that learns without labels has no goodness of a label to score by: use "
                f"readout='softmax'. Received: readout={model.readout!r}"
            )
        if any(_needs_labels(layer) for layer in model.ff_layers):
            raise ValueError(
                "A network that learns without labels cannot have an auxiliary term of them. "
                f"Received: {[layer.auxiliary for layer in model.ff_layers]}"
            )
    else:
        needed(embedding, "label_embedding")
    if negatives.needs_scores and not model.readout.learns:
        raise ValueError(
            f"{type(negatives).__name__} draws from the scores of a softmax readout: use "
            f"readout='softmax'. Received: readout={model.readout!r}"
        )


def _check_free_units(model):
    """Raise ValueError where free units have nothing to learn from, or nothing is left to score."""
    for layer in model.ff_layers:
        if getattr(layer.goodness, "free", 0) and not layer.auxiliary:
            raise ValueError(
                "Units that belong to no class learn by auxiliary terms alone: give the layer "
                "one, auxiliary=keras_ff.losses.SupCon(). "
                f"Received: {layer.name!r} with {layer.goodness!r} and auxiliary=None"
            )
    if model.readout.reads_activities or model.readout.chooses:
        wanted = [True] * len(model.ff_layers)
    else:
        wanted = layer_choice.chosen(model.readout.layers, len(model.ff_layers))
    layers = [layer for layer, chosen in zip(model.ff_layers, wanted, strict=True) if chosen]
    scoring = model.readout.reads_activities or any(layer.goodness.scores for layer in layers)
    if not scoring:
        raise ValueError(
            "The layers that are to score have no class goodness, as all of their units are free: "
            "give one of them class groups, or use readout='softmax'. "
            f"Received: {[layer.goodness for layer in layers]}"
        )


def _needs_labels(layer):
    return any(getattr(term, "needs_labels", False) for term in layer.auxiliary)


def checked_sample_shape(input_shape, least_axes=1):
    """(None, *sample shape), or a ValueError where a sample has fewer than `least_axes`."""
    if isinstance(input_shape, dict) or any(
        not (size is None or isinstance(size, int)) for size in input_shape
    ):
        raise ValueError(
            f"The model takes one input of shape (batch, ...). Received: {input_shape!r}"
        )
    if len(input_shape) < 1 + least_axes or any(not size for size in input_shape[1:]):
        raise ValueError(
            "Samples must have a known shape of at least one axis, (batch, features) or "
            f"(batch, height, width, channels). Received: {tuple(input_shape)}"
        )
    return (None, *input_shape[1:])


def check_channels_last(model, shape):
    """Raise ValueError where parts that know images would take their channels for rows.

    Args:
        model: the `FFModel`.
        shape: shape of a batch behind the layers before the first FF layer.
    """
    formats = [getattr(layer, "data_format", None) for layer in model.stack.leading]
    formats = [keras.config.image_data_format(), *filter(None, formats)]
    if len(shape) != 4 or formats[-1] == "channels_last":
        return
    parts = [model.label_embedding, model.negatives, *model.ff_layers]
    kinds = (Overlay, SpatialPattern, TokenLabels, LabelMap, FFLocallyConnected2D, FFAttention)
    known = [part for part in parts if isinstance(part, kinds) or getattr(part, "are_images", 0)]
    if model.readout.mirrored or model.readout.shift:
        known.append(model.readout)
    if known:
        raise ValueError(
            f"{type(known[0]).__name__} {IMAGES_ARE_CHANNELS_LAST} "
            f"Received: samples of shape {tuple(shape[1:])}, 'channels_first'"
        )


def check_loss_scale_fits(layer_schedule, run_eagerly):
    """Raise ValueError where the layers cannot share the loss scale of mixed float16."""
    # Gradients that are gathered until a step's end cannot leave a branch of its graph.
    in_branches = layer_schedule.layers_per_gradient > 1 and not run_eagerly
    if layer_schedule.delayed or in_branches:
        raise ValueError(
            "Under mixed_float16 all layers share one loss scale and step together; use "
            "mixed_bfloat16 or another layer schedule. "
            f"Received: layer_schedule={layer_schedule!r}"
        )


def compiled_by(config):
    """The arguments of `compile` that a configuration stands for.

    Metrics of older files may take logits; they are given probabilities now.
    """
    kinds = ("metrics", "weighted_metrics")
    metrics = {kind: _without_logits(config[kind]) for kind in kinds if kind in config}
    return keras.saving.deserialize_keras_object({**config, **metrics})


def _without_logits(config):
    if isinstance(config, list):
        return [_without_logits(one) for one in config]
    if not isinstance(config, dict):
        return config
    changed = {key: _without_logits(value) for key, value in config.items()}
    return {**changed, "from_logits": False} if "from_logits" in changed else changed


def check_metrics(metrics):
    """Raise ValueError where a metric of `compile` takes logits; metrics see probabilities."""
    for metric in keras.tree.flatten(metrics):
        options = dict(getattr(metric, "keywords", {}))  # of functools.partial
        if isinstance(metric, (keras.metrics.Metric, keras.losses.Loss)):
            options = metric.get_config()
        if options.get("from_logits"):
            raise ValueError(
                "Metrics are given probabilities, softmax(scores / temperature): leave "
                f"`from_logits` out. Received: {metric!r} with from_logits=True"
            )
