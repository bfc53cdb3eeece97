"""What a preset's files are called."""

FORMAT = 2  # weights are named by their paths; in 1 by their places among all
READABLE = (1, 2)
METADATA_FILE = "metadata.json"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.npz"
CARD_FILE = "README.md"
GOODNESS_PICTURE = "goodness_separation.png"
FILTERS_PICTURE = "first_layer_filters.png"
# The storage of an ensemble, whose weights are those of other presets.
MEMBERS = "members"
