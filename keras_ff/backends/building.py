"""Variables of a model and its metrics, made before its first step."""

import keras


def make_variables(model, iterator=None, batch=None):
    """Create all variables of a model for a batch, or the first one of Keras's iterator."""
    if batch is None:
        metrics = model._compile_metrics
        if model.built and model.optimizer.built and (metrics is None or metrics.built):
            return
        batch = _first_batch(iterator)
    if batch is None:  # and so nothing to build for
        return
    x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
    model.build_for(
        x[0] if isinstance(x, (list, tuple)) else x
    )  # else with the numbers of their rows
    if y is not None:
        make_metrics(model, y)


def make_metrics(model, labels):
    """Create the variables of compiled metrics for such labels."""
    metrics = model._compile_metrics
    if metrics is not None and not metrics.built:
        labels = keras.KerasTensor(labels.shape, keras.backend.standardize_dtype(labels.dtype))
        metrics.build(labels, keras.KerasTensor((None, model.num_classes)))


def _first_batch(iterator):
    """A batch to build for, or `None`; a PyDataset is asked itself: its workers would begin."""
    dataset = getattr(iterator.data_adapter, "py_dataset", None)
    if dataset is not None:
        return dataset[0]
    _, _, batches = next(iter(iterator), (None, None, ()))
    return next(iter(batches), None)
