"""FFEnsemble: several trained networks that score together."""

import keras
from keras import ops

from keras_ff.models import data_kinds
from keras_ff.models.arguments import check_metrics, compiled_by
from keras_ff.models.data_checks import checking_data
from keras_ff.models.ff_model import FFModel
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class FFEnsemble(keras.Model):
    """Trained networks whose scores are averaged, each with a share.

    `score(c) = Σ_m share_m · score_m(c) / Σ_m share_m` over the members m. Networks that err on
    different samples correct one another. Scores are averaged as the members' readouts give them:
    logits of softmax readouts are of one kind, sums of goodness may differ in size, and shares
    make up for that. An ensemble learns nothing itself; a member that learns on is, being the same
    object, better within it.

    Args:
        members: list of built `FFModel`s, at least two, of the same classes and for samples of the
            same shape.
        shares: list of numbers above 0, one per member. Defaults to `None`: equal ones.
        **kwargs: `name`, `dtype`, as for every Keras model.

    Call arguments:
        x: tensor of shape (batch, ...), any number type, labels not embedded.
        training: boolean; has no influence on scores. Defaults to `False`.

    Returns:
        Scores: float32 tensor of shape (batch, num_classes), higher is likelier.

    Raises:
        ValueError: if there are fewer than two members, one is not a built `FFModel` or stands
            twice, they differ in their classes or samples, or shares are not one positive number
            per member.
        RuntimeError: by `fit` and `train_on_batch`.

    Example:

    >>> members = [FFModel.from_preset(f"digits_mlp_{name}") for name in ("relu", "tanh")]
    >>> ensemble = FFEnsemble(members, shares=[2, 1])
    >>> _, _, test = keras_ff.zoo.get("digits_mlp_relu").load_data()
    >>> ensemble.predict(test, verbose=0).shape
    (359, 10)
    """

    def __init__(self, members, shares=None, **kwargs):
        # The members cast their own inputs.
        super().__init__(autocast=False, **kwargs)
        self.members = _checked_members(members)
        self.shares = _checked_shares(shares, len(self.members))
        self.num_classes = self.members[0].num_classes
        self.stack = self.members[0].stack  # by which data are checked
        self._data_check = None
        self.build((None, *self.sample_shape))

    def build(self, input_shape):
        """Nothing to create: the members are built."""

    def call(self, x, training=False):
        # In a step of JAX the members' variables have values here, and not where metrics are told.
        self._temperature = self._mean_temperature()
        scores = [
            share * member(x) for member, share in zip(self.members, self.shares, strict=True)
        ]
        return sum(scores) / sum(self.shares)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    @property
    def sample_shape(self):
        """Shape of a sample."""
        return self.members[0].sample_shape

    @property
    def locality(self):
        """Trainable matrices that a gradient passed at most when the members learned."""
        return max(member.locality for member in self.members)

    def probabilities(self, scores):
        """`softmax(scores / temperature)`, by the mean of the members' temperatures and shares."""
        return ops.softmax(scores / self._mean_temperature())

    def _mean_temperature(self):
        temperatures = [
            share * ops.convert_to_tensor(member.readout.temperature)
            for member, share in zip(self.members, self.shares, strict=True)
        ]
        return sum(temperatures) / sum(self.shares)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """The compiled metrics of a batch; they are given probabilities."""
        probabilities = ops.softmax(y_pred / self._temperature)
        return super().compute_metrics(x, y, probabilities, sample_weight)

    def compile(self, optimizer=None, loss=None, **arguments):
        """As in Keras, but without use for an optimizer: none is kept.

        The loss, of scores, defaults to sparse categorical cross-entropy from logits; metrics are
        given probabilities.
        """
        del optimizer
        check_metrics([arguments.get("metrics"), arguments.get("weighted_metrics")])
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        super().compile("sgd", loss, **arguments)  # Keras wants one; this has nothing to be saved

    def compile_from_config(self, config):
        self.compile(**compiled_by(config))

    @checking_data
    def evaluate(self, x=None, y=None, *arguments, **options):
        """Loss and metrics on data; arguments and return value as in Keras."""
        x, y, _ = data_kinds.as_arrays(x, y, keep_sparse=True)
        return super().evaluate(self._data_check.data(x, y), y, *arguments, **options)

    @checking_data
    def predict(self, x, *arguments, **options):
        """Scores of shape (samples, num_classes), as a numpy array; arguments as in Keras."""
        x, _, _ = data_kinds.as_arrays(x, keep_sparse=True)
        x = self._data_check.data(x, needs_labels=False)
        return super().predict(x, *arguments, **options)

    def predict_proba(self, x, *arguments, **options):
        """Probabilities of shape (samples, num_classes); arguments as for `predict`."""
        scores = self.predict(x, *arguments, **options)
        return ops.convert_to_numpy(self.probabilities(ops.convert_to_tensor(scores)))

    @checking_data
    def test_on_batch(self, x, y=None, *arguments, **options):
        """Loss and metrics of one batch; arguments and return value as in Keras."""
        x, y, _ = data_kinds.as_arrays(x, y)
        return super().test_on_batch(self._data_check.data(x, y), y, *arguments, **options)

    @checking_data
    def predict_on_batch(self, x):
        """Scores of one batch, as a numpy array of shape (batch, num_classes)."""
        x, _, _ = data_kinds.as_arrays(x)
        return super().predict_on_batch(self._data_check.data(x, needs_labels=False))

    def export(self, filepath, **options):
        """Write the scoring function for serving; arguments as in Keras."""
        self(ops.zeros((1, *self.sample_shape)))  # Keras exports what was called before
        super().export(filepath, **options)

    def fit(self, *arguments, **options):
        """Raise RuntimeError: the members learn, each by itself."""
        raise RuntimeError(
            "An ensemble learns nothing itself: call `fit` of its `members`. "
            f"Received: {self.name!r}"
        )

    train_on_batch = fit

    @classmethod
    def from_preset(cls, name_or_path, load_weights=True):
        """The ensemble of a preset, compiled to tell accuracy, and cross-entropy of the scores.

        Args:
            name_or_path: string or path: a name of `keras_ff.zoo.list_presets`, or a folder that
                `keras_ff.zoo.publish_ensemble` wrote.
            load_weights: boolean. Whether the weights are the preset's, or new ones. Defaults to
                `True`.

        Returns:
            An `FFEnsemble`.

        Raises:
            ValueError: if there is no such preset (the nearest ones are named), it is that of a
                single network, or a member is missing or was changed.

        Example:

        >>> ensemble = FFEnsemble.from_preset("cifar10_ensemble_relu")
        >>> len(ensemble.members), ensemble.shares
        (2, [1.0, 0.2])
        """
        from keras_ff.presets import listing

        return listing.model_of_class(cls, name_or_path, load_weights)

    def get_config(self):
        return {
            **super().get_config(),
            "members": [keras.saving.serialize_keras_object(one) for one in self.members],
            "shares": list(self.shares),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        members = [
            keras.saving.deserialize_keras_object(member, custom_objects=custom_objects)
            for member in config["members"]
        ]
        return cls(**{**config, "members": members})


def _checked_members(members):
    members = list(members)
    if len(members) < 2 or len({id(member) for member in members}) < len(members):
        raise ValueError(
            f"An ensemble needs at least two members, each once. Received: members={members}"
        )
    for member in members:
        if not isinstance(member, FFModel) or not member.built:
            raise ValueError(f"Members must be FFModels that are built. Received: {member!r}")
    kinds = [(member.num_classes, tuple(member.sample_shape)) for member in members]
    if len(set(kinds)) > 1:
        raise ValueError(
            "Members must have the same classes and samples of the same shape. Received: "
            + ", ".join(f"{classes} classes and {shape}" for classes, shape in kinds)
        )
    return members


def _checked_shares(shares, number):
    shares = [1.0] * number if shares is None else list(shares)
    if len(shares) != number:
        raise ValueError(
            f"There must be a share for each of the {number} members. Received: shares={shares}"
        )
    return [checks.positive_number(share, "shares") for share in shares]
