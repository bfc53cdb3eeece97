"""What a run was trained with, for TensorBoard's table of hyperparameters."""


def as_values(hparams):
    """Hyperparameters as TensorBoard takes them: booleans, numbers and strings.

    From a dictionary or a `TrainingConfig`. Lists are joined by commas; `None` and dictionaries
    are left out.

    Example:

    >>> as_values({"units": (300, 200), "alpha": None, "seed": 0})
    {'units': '300,200', 'seed': 0}
    """
    if hasattr(hparams, "to_dict"):
        hparams = hparams.to_dict()
    if not isinstance(hparams, dict):
        raise ValueError(
            "`hparams` must be a dictionary or a TrainingConfig. "
            f"Received: hparams={hparams!r} of type {type(hparams).__name__}"
        )
    return {
        name: _value(value)
        for name, value in hparams.items()
        if value is not None and not isinstance(value, dict)
    }


def _value(value):
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return value if isinstance(value, (bool, int, float, str)) else str(value)
