"""All presets in one table, as `ZOO.md` holds it."""

from keras_ff.presets.card import percent
from keras_ff.utils import text_tables

HEAD = """\
# The zoo

Trained Forward-Forward networks, each in a folder with its configuration, weights, metrics and
card. One line loads one, after which it can be evaluated, looked into and trained on:

```python
import keras_ff

preset = keras_ff.zoo.get("digits_mlp_relu")
model = keras_ff.FFModel.from_preset("digits_mlp_relu")
train, validation, test = preset.load_data()
model.evaluate(test, return_dict=True)
```

Accuracies are those of the files as they are here, of one run each; `keras-ff zoo evaluate --all`
measures them again. Settings were chosen on validation data. Locality is the number of trainable
matrices that a gradient passes at most: 1 is strictly local.
"""

NUMBERS = ("locality", "validation", "test", "parameters", "kB")


def row(preset):
    """A preset's cells, by the names of their columns: a dictionary of strings."""
    return {
        "preset": preset.name,
        "dataset": preset.dataset or "–",
        "architecture": preset.architecture or "–",
        "activation": preset.activation or "–",
        "family": preset.metadata["family"],
        "locality": str(preset.metadata["locality"]),
        "validation": percent(preset.validation_accuracy),
        "test": percent(preset.test_accuracy),
        "parameters": f"{preset.parameters:,}",
        "weights": preset.storage or "none",
        "kB": f"{preset.bytes / 1000:,.0f}",
    }


def text(presets):
    """Presets as a table for a terminal."""
    return text_tables.plain([row(preset) for preset in presets], NUMBERS)


def markdown(presets):
    """Presets as the page `ZOO.md`, linked to the folders in `zoo/`."""
    rows = []
    for preset in presets:
        link = f"[{preset.name}](zoo/{preset.name}/README.md)"
        rows.append({**row(preset), "preset": link})
    return f"{HEAD}\n{text_tables.markdown(rows, NUMBERS)}"
