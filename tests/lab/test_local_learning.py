"""The table of the parts of local learning."""

from keras_ff.lab.experiments import local_learning


def test_a_cell_differs_from_the_first_of_its_network_by_what_its_row_says():
    found = local_learning.table().cells
    names = [cell.name for cell in found]
    assert len(set(names)) == len(names) and not any("," in name for name in names)
    usual, changed = {}, {}
    for cell in found:
        network, _, part = cell.row.partition(", ")
        options = vars(cell.config)
        first = usual.setdefault(network, options)
        changed[network, part] = {name for name in options if options[name] != first[name]}
    contrast = {"supervised_contrast", "supervised_contrast_regions"}
    assert changed["perceptron", "as it is"] == changed["convolutions", "as it is"] == set()
    assert changed["perceptron", "best layers, class tree of 5"] == {"readout", "coarse_classes"}
    assert changed["perceptron", "joint scores"] == {"readout"}
    assert changed["convolutions", "supervised contrast, whitening"] == contrast | {"whitening"}
    differing = [options for options in changed.values() if options]
    assert len(differing) == len(found) - 2
