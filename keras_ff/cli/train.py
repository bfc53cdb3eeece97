"""`keras-ff train`: train a model, into a folder of its own."""

from keras_ff.cli import printing, runs


def train(
    out=None,
    resume=False,
    data_dir=None,
    preset=None,
    config=None,
    dataset=None,
    layers=None,
    units=None,
    distribution=None,
    tensorboard=False,
    **chosen,
):
    """Train a model and say how it went."""
    from keras_ff import recipes, training

    if resume and out is None:
        raise ValueError(f"--resume needs the folder of the run to go on with: {runs.resumable()}.")
    if distribution == "workers" and out is None:
        raise ValueError("--distribution workers needs a folder that all of them share: --out.")
    if dataset is not None:
        chosen["dataset"] = dataset
    saved = runs.saved_config(out) if resume else None
    given = _recipe(preset) if preset is not None else _config(config)
    if given is not None:  # a run that has another configuration is refused by `training.train`
        config = given.changed(**_with_widths(chosen, layers, units, given))
    elif saved is not None:
        config = saved
        training.check_same(saved.to_dict(), _with_widths(chosen, layers, units, saved))
    else:
        config = recipes.TrainingConfig.for_dataset(
            layers=layers, units=units, data_dir=data_dir, **chosen
        )
    if resume and saved is None:
        print(f"There is no run to resume in {out}: starting it.")
    folder = runs.new_folder(config.dataset) if out is None else out
    complete = resume and (folder / training.METRICS_FILE).exists()
    words = ["keras-ff", "train", "--resume", "--out", folder]
    words += [] if data_dir is None else ["--data-dir", data_dir]
    words += [] if distribution is None else ["--distribution", distribution]
    hint = "" if complete else f" (if interrupted: {printing.command(*words)})"
    print(f"Run folder: {folder}{hint}", flush=True)
    metrics = training.train(
        config, folder, resume, data_dir, printing.verbosity(), distribution, tensorboard
    )
    if complete:
        print("The run is complete; nothing was left to do.")
    print(printing.outcome(metrics))
    written = sorted(path.name for path in folder.iterdir() if ".partial" not in path.name)
    print(f"In {folder}: {', '.join(written)}")
    if (folder / training.TENSORBOARD_FOLDER).exists():
        board = folder / training.TENSORBOARD_FOLDER
        print(f"Look inside: {printing.command('tensorboard', '--logdir', board)}")


def _with_widths(chosen, layers, units, config):
    """Options for a configuration, the width of each layer among them where it is to change."""
    from keras_ff import recipes

    if layers is None and units is None:
        return chosen
    return {**chosen, "units": recipes.widths(units, layers, config.units)}


def _config(file):
    """The configuration in a file, or None without one."""
    from keras_ff import recipes, training

    if file is None:
        return None
    content = training.read_json(file)
    if not isinstance(content, dict):
        raise ValueError(f"{str(file)!r} holds no configuration. Received: {content!r}")
    return recipes.TrainingConfig.from_dict(content)


def _recipe(name):
    """The configuration that a preset was trained by."""
    from keras_ff import recipes, zoo

    preset = zoo.get(name)
    recipe = recipes.TrainingConfig.of_preset(preset)
    if recipe is None:
        command = preset.metadata.get("command")
        raise ValueError(
            f"The preset {preset.name!r} is not trained by keras-ff train"
            + (f", but by {command}." if command else ".")
            + f" Received: --preset {name}"
        )
    return recipe
