"""All presets in one table, as `ZOO.md` holds it."""

from keras_ff.zoo.card import percent

HEAD = """\
# The zoo

Trained Forward-Forward networks, each in a folder with its configuration, weights, figures and
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

COLUMNS = (
    "preset",
    "dataset",
    "architecture",
    "activation",
    "family",
    "locality",
    "validation",
    "test",
    "parameters",
    "weights",
    "kB",
)
NUMBERS = ("locality", "validation", "test", "parameters", "kB")


def row(preset):
    """A preset's cells, by the names of `COLUMNS`: a dictionary of strings."""
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
    rows = [dict(zip(COLUMNS, COLUMNS, strict=True)), *map(row, presets)]
    widths = {name: max(len(cells[name]) for cells in rows) for name in COLUMNS}
    return "\n".join(
        "  ".join(
            cells[name].rjust(widths[name]) if name in NUMBERS else cells[name].ljust(widths[name])
            for name in COLUMNS
        ).rstrip()
        for cells in rows
    )


def markdown(presets):
    """Presets as the page `ZOO.md`, linked to the folders in `zoo/`."""
    lines = [HEAD, _line(COLUMNS)]
    lines.append(_line("---:" if name in NUMBERS else "---" for name in COLUMNS))
    for preset in presets:
        cells = row(preset)
        cells["preset"] = f"[{preset.name}](zoo/{preset.name}/README.md)"
        lines.append(_line(cells.values()))
    return "\n".join(lines) + "\n"


def _line(cells):
    return f"| {' | '.join(cells)} |"
