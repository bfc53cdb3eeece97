"""The card of a preset: what it is, how it was trained, what it can do, what it cannot."""

import shlex

from keras_ff.presets.metadata import locality
from keras_ff.presets.names import FILTERS_PICTURE, GOODNESS_PICTURE, MEMBERS


def card(metadata):
    """A preset's card, in Markdown.

    Args:
        metadata: dictionary, that of the preset; what it lacks is left out.

    Returns:
        The text.
    """
    parts = [
        f"# {metadata['name']}",
        _what(metadata),
        "\n".join(_overview(metadata)),
        _use(metadata),
        _training(metadata),
        _members(metadata),
        _layers(metadata),
        _pictures(metadata),
        _limits(metadata),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def percent(fraction):
    """A fraction in percent, or a dash where there is none."""
    return "–" if fraction is None else f"{100 * fraction:.2f} %"


def _what(metadata):
    if metadata.get("description"):
        return metadata["description"]
    layers = metadata["layers"]
    if metadata["storage"] == MEMBERS:
        text = f"An ensemble of {len(metadata['members'])} Forward-Forward networks"
    else:
        text = f"A Forward-Forward network of {layers} layer{'s' if layers > 1 else ''}"
    if metadata.get("activation"):
        text += f" with the activation `{metadata['activation']}`"
    if metadata.get("dataset"):
        text += f" for `{metadata['dataset']}`"
    return text + "."


def _overview(metadata):
    rows = [
        ("test accuracy", _of_samples(metadata, "test")),
        ("validation accuracy", _of_samples(metadata, "validation")),
        ("dataset", _named(metadata, "dataset", "dataset_version")),
        ("family", metadata["family"]),
        ("locality", locality(metadata["locality"])),
        ("weights", _weights(metadata)),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows if value)]


def _of_samples(metadata, part):
    accuracy = metadata.get(f"{part}_accuracy")
    if accuracy is None:
        return None
    samples = (metadata.get("protocol") or {}).get(part)
    return percent(accuracy) + (f" of {samples:,} samples" if samples else "")


def _named(metadata, name, version):
    if not metadata.get(name):
        return None
    text = f"`{metadata[name]}`"
    return text + (f", version {metadata[version]}" if metadata.get(version) else "")


def _weights(metadata):
    text = f"{metadata['parameters']:,}"
    if metadata["storage"] is None:
        return text + ", not in the preset"
    if metadata["storage"] == MEMBERS:
        return text + ", in the presets of its members"
    size = metadata["files"]["weights.npz"]["bytes"]
    text += f", stored as {metadata['storage']} in {size / 1000:,.0f} kB"
    trained = metadata.get("as_trained")
    if trained:
        text += f"; in float32, {percent(trained['validation_accuracy'])} on validation data"
        text += f" and {percent(trained['test_accuracy'])} on test data"
    return text


def _use(metadata):
    name = metadata["name"]
    if metadata["storage"] is None:
        return (
            "## Use\n\nA configuration without weights:\n\n```python\nimport keras_ff\n\n"
            f'model = keras_ff.FFModel.from_preset("{name}", load_weights=False)\n```'
        )
    lines = ["## Use", "", "```python", "import keras_ff", ""]
    kind = "models.FFEnsemble" if metadata["storage"] == MEMBERS else "FFModel"
    lines.append(f'model = keras_ff.{kind}.from_preset("{name}")')
    if metadata.get("data"):
        lines.append(f'train, validation, test = keras_ff.zoo.get("{name}").load_data()')
        lines.append("model.evaluate(test, return_dict=True)")
    return "\n".join([*lines, "```"])


def _training(metadata):
    lines = []
    if metadata.get("recipe"):
        lines += ["Train it again, by the recipe in `metadata.json`:", ""]
        words = ["keras-ff", "zoo", "train", metadata["name"], "--out", "runs/again"]
        lines += ["```sh", shlex.join(words), "```", ""]
    if metadata.get("command"):
        written_out = "The command, with all options:"
        lines += [written_out if metadata.get("recipe") else "The command:", ""]
        lines += ["```sh", metadata["command"], "```", ""]
    protocol = metadata.get("protocol")
    if protocol:
        parts = [f"{count:,} {name} samples" for name, count in protocol.items() if count]
        lines += [
            f"Data: {', '.join(parts)}; the validation part is cut from the training set.",
            "",
        ]
    if metadata.get("seconds") is not None:
        lines.append(_duration(metadata))
    return "\n".join(["## Training", "", *lines]).rstrip() if lines else None


def _duration(metadata):
    """How long training took, and what else is known of it."""
    text = "Trained once"
    if metadata.get("epochs") is not None:
        text += f", for {metadata['epochs']} epochs"
    if metadata.get("seed") is not None:
        text += f" with seed {metadata['seed']}"
    return f"{text}, in {metadata['seconds']:,.0f} s{_machine(metadata)}."


def _machine(metadata):
    """On what and with what it was trained."""
    machine, versions = metadata.get("machine"), metadata.get("versions")
    text = f" on {machine['processors']} × {machine['processor']}" if machine else ""
    if versions:
        text += ", with " + ", ".join(f"{name} {version}" for name, version in versions.items())
    return text


def _members(metadata):
    found = metadata.get("members")
    if not found:
        return None
    lines = [
        "## Members",
        "",
        "Each was trained by itself; its card says how. Scores are averaged with these shares:",
        "",
        "| member | share | validation accuracy | test accuracy |",
        "|---|---|---|---|",
    ]
    for member in found:
        name, accuracies = member["name"], (member["validation_accuracy"], member["test_accuracy"])
        cells = [f"[{name}](../{name}/README.md)", percent(member["share"])]
        lines.append(f"| {' | '.join([*cells, *map(percent, accuracies)])} |")
    return "\n".join(lines)


def _layers(metadata):
    found = metadata.get("layer_accuracy")
    if not found:
        return None
    lines = [
        "## Layers",
        "",
        f"Accuracy on {found['data']} data of each layer alone, and of the sum over the first "
        "layers:",
        "",
        "| layer | alone | with those before it |",
        "|---|---|---|",
    ]
    for number, (alone, first) in enumerate(zip(found["alone"], found["first"], strict=True), 1):
        lines.append(f"| {number} | {percent(alone)} | {percent(first)} |")
    return "\n".join(lines)


def _pictures(metadata):
    pictures = {
        GOODNESS_PICTURE: "Goodness of positive and negative samples, layer by layer",
        FILTERS_PICTURE: "Weights of the first layer's units",
    }
    shown = [f"![{text}]({name})" for name, text in pictures.items() if name in metadata["files"]]
    return "\n\n".join(shown)


def _limits(metadata):
    limits = list(metadata.get("limits") or [])
    if metadata["storage"] is None and not limits:
        return None
    if metadata.get("validation_accuracy") is not None:
        each = " of each member" if metadata["storage"] == MEMBERS else ""
        limits.append(f"The accuracies are those of one run{each} with one seed.")
    if metadata.get("dataset"):
        limits.append(
            f"It was trained on the images of `{metadata['dataset']}` alone, prepared as above: "
            "scores of other images mean nothing."
        )
    limits.append("Scores say which class is likelier; they are not probabilities.")
    return "\n".join(["## Limits", "", *(f"- {limit}" for limit in limits)])
