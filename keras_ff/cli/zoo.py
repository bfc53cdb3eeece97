"""`keras-ff zoo`: list, show, measure, train and add presets."""

import pathlib
import shlex

from keras_ff.cli import printing, train
from keras_ff_cli.exit_codes import DIFFERENT

OWN_COMMAND = "keras-ff zoo train"
ZOO = pathlib.Path("zoo")


def list_presets(dataset=None, activation=None, architecture=None, folders=(), markdown=False):
    """Print a table of presets."""
    from keras_ff import zoo
    from keras_ff.zoo import table

    found = zoo.list_presets(dataset, activation, architecture, folders)
    if not found:
        raise ValueError(
            "There is no such preset. Received: "
            f"dataset={dataset}, activation={activation}, architecture={architecture}"
        )
    if markdown:
        print(table.markdown(list(found.values())), end="")
    else:
        print(table.text(found.values()))


def show(name, folders=()):
    """Print a preset's card."""
    from keras_ff import zoo

    print(zoo.get(name, folders).card(), end="")


def evaluate(names=(), every=False, folders=(), data_dir=None):
    """Measure presets again, and say where they differ from their cards."""
    from keras_ff import zoo
    from keras_ff.datasets import tfds_images

    if bool(names) == every:
        raise ValueError("Say which presets to measure: their names, or --all.")
    if every:
        presets = [one for one in zoo.list_presets(folders=folders).values() if one.storage]
    else:
        presets = [zoo.get(name, folders) for name in dict.fromkeys(names)]
    wrong, skipped = 0, 0
    kept = {}  # scores, which ensembles and their members share
    with tfds_images.kept():  # presets of a dataset follow one another
        for preset in presets:
            agrees = _measured(preset, data_dir, kept)
            wrong += agrees is False
            skipped += agrees is None
    text = f"{len(presets) - wrong - skipped} of {len(presets)} are what their cards say"
    print(text + (f"; skipped: {skipped}." if skipped else "."))
    return DIFFERENT if wrong else None


def _measured(preset, data_dir, kept):
    """Print a preset's accuracy; whether it agrees, None where there is nothing to compare."""
    from keras_ff import datasets
    from keras_ff.zoo import measuring

    if preset.test_accuracy is None:
        print(f"{preset.name}: skipped, its card has no test accuracy", flush=True)
        return None
    if preset.dataset is not None and not datasets.is_prepared(preset.dataset, data_dir):
        print(f"{preset.name}: skipped, the dataset {preset.dataset!r} is not prepared", flush=True)
        return None
    try:
        found = measuring.measure(preset, data_dir, kept)
    except ValueError as error:  # the others are worth measuring all the same
        print(f"{preset.name}: cannot be measured. {error}", flush=True)
        return False
    text = (
        f"{preset.name}: card {100 * found.card:.2f} %, measured {100 * found.found:.2f} %, "
        f"difference {found.difference:+.2f}"
    )
    print(text + ("" if found.agrees else ": not what the card says"), flush=True)
    return found.agrees


def train_again(name, out, resume=False, folders=(), data_dir=None):
    """Train a preset by its own recipe."""
    from keras_ff import recipes, zoo

    preset = zoo.get(name, folders)
    # A network that another program trains is refused there.
    if recipes.TrainingConfig.of_preset(preset) is not None or not _trained_here(preset):
        train.train(out=out, resume=resume, data_dir=data_dir, preset=preset.folder)
    else:
        _train_network(preset, out, resume, data_dir)
    if preset.test_accuracy is not None:
        print(f"The card of {preset.name}: test accuracy {100 * preset.test_accuracy:.2f} %.")


def _trained_here(preset):
    """Whether `_train_network` is how a preset is trained, as far as its metadata say."""
    return preset.metadata.get("command", OWN_COMMAND).startswith(OWN_COMMAND)


def _train_network(preset, out, resume, data_dir):
    """Train a preset that no configuration describes, by what its model was compiled with."""
    from keras_ff import recipes, training

    data, epochs = preset.data_options(), preset.metadata.get("epochs")
    if data is None or not epochs:
        raise ValueError(
            f"The preset {preset.name!r} does not say how it is trained. "
            "Received: metadata without 'data' and 'epochs'"
        )
    config = recipes.TrainingConfig.from_dict({**data, "epochs": epochs})
    print(f"Run folder: {out}", flush=True)
    metrics = training.train(
        config,
        out,
        resume,
        data_dir,
        printing.verbosity(),
        new_model=lambda *_: preset.model(load_weights=False),
        command=f"{OWN_COMMAND} {shlex.quote(preset.name)}",
    )
    print(printing.outcome(metrics))


def add(run, name=None, to=ZOO, weights="auto", data_dir=None, description=None, replace=False):
    """Make a preset of a run."""
    from keras_ff import zoo

    folder = _new_folder(to, name or _name_of(run), replace)
    known = {} if description is None else {"description": description}
    preset = zoo.save_run(run, folder, weights, data_dir, **known)
    print(
        f"{preset.folder}: test accuracy {100 * preset.test_accuracy:.2f} %, weights as "
        f"{preset.storage}, {preset.bytes / 1000:,.0f} kB."
    )
    print(printing.how_to_find(to, preset.name))


def join(members, shares=None, name=None, to=ZOO, data_dir=None, description=None, replace=False):
    """Make a preset of an ensemble of presets."""
    from keras_ff import zoo

    presets = [zoo.get(member, [to] if to.is_dir() else []) for member in members]
    activations = {preset.activation for preset in presets}
    activation = presets[0].activation if len(activations) == 1 else None
    usual = _named(presets[0].dataset, "ensemble", activation or "mixed")
    folder = _new_folder(to, name or usual, replace)
    words = [preset.name for preset in presets]
    if shares is not None:
        words += ["--shares", *(repr(share).removesuffix(".0") for share in shares)]
    if folder.name != usual:
        words += ["--name", folder.name]
    known = {"command": f"keras-ff zoo join {shlex.join(words)}"}
    if description is not None:
        known["description"] = description
    preset = zoo.publish_ensemble(folder, members, shares, data_dir, **known)
    print(f"{preset.folder}: test accuracy {100 * preset.test_accuracy:.2f} %.")
    print(printing.how_to_find(to, preset.name))


def _new_folder(to, name, replace):
    """Where a preset will lie, which must be free unless what is there is to be replaced."""
    folder = to / name
    if folder.exists() and not replace:
        raise ValueError(
            f"There is {str(folder)!r} already: choose another --name, or have it replaced, "
            "--replace."
        )
    return folder


def _name_of(run):
    """A preset's name, from the configuration of a run or, where there is another, its command."""
    from keras_ff import recipes, training

    metrics = pathlib.Path(run) / training.METRICS_FILE
    command = training.read_json(metrics)["command"] if metrics.exists() else ""
    if command.startswith(OWN_COMMAND):
        return " ".join(shlex.split(command.removeprefix(OWN_COMMAND)))
    content = training.read_json(pathlib.Path(run) / training.CONFIG_FILE)
    config = recipes.TrainingConfig.from_dict(content)
    if config.model is not None:
        raise ValueError("A network that no options describe needs a name: add --name.")
    return _named(config.dataset, config.architecture, config.activation)


def _named(dataset, architecture, activation):
    """The name of a preset, which is that of a folder."""
    return f"{dataset}_{architecture}_{activation}".replace("/", "-").replace(":", "-")
