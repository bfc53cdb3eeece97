"""Training runs: one folder per run, which can be resumed after any interruption."""

from keras_ff.training.checkpoint import (
    HISTORY_FILE,
    MODEL_FILE,
    READOUT_SECONDS,
    RUN_ENTRY,
    load,
    read,
    save,
)
from keras_ff.training.machine import machine, versions
from keras_ff.training.results import classification_metrics, figures, report
from keras_ff.training.run import (
    BOARD_SAMPLES,
    CONFIG_FILE,
    GOODNESS_FILE,
    LEARNING_CURVES_FILE,
    METRICS_FILE,
    NOTHING_MEASURED,
    PICTURE_SAMPLES,
    TENSORBOARD_FOLDER,
    check_same,
    train,
)
from keras_ff.utils.files import read_json, write_json
