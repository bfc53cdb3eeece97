"""What all pictures share: colours, strokes, figures and legends."""

import io

import numpy as np

from keras_ff.utils import extras

# Colours that the colour-blind tell apart (Okabe and Ito 2008).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
# One more than there are colours, so that it takes many layers until a pair comes again.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# A dark one and a light one.
POSITIVE_COLOR, NEGATIVE_COLOR = "#0072b2", "#e69f00"
POSITIVE_HATCH, NEGATIVE_HATCH = "////", "\\\\\\\\"
# Its lightness grows steadily, also for the colour-blind.
COLOR_MAP = "cividis"
# Cells of a matrix with more classes than this have no numbers in them.
MOST_CLASSES_WITH_NUMBERS = 20
# Names of classes longer than this are set aslant.
LONGEST_LEVEL_NAME = 3


def new_figure(width, height):
    """An empty `matplotlib.figure.Figure`, its sides in inches."""
    extras.require("Pictures", "plot", "matplotlib")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def grid(figure, number, columns):
    """A list of `number` axes in rows of `columns`."""
    rows = -(-number // columns)
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in every[number:]:
        axes.set_axis_off()
    return every[:number]


def legend_below(axes):
    """A legend under the axes, where there is something to explain."""
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=5, frameon=False)


def figure_legend(figure, axes):
    """A legend under the whole figure, of what is drawn in some axes."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), frameon=False)


def whole_numbers(axis):
    """Ticks at whole numbers alone."""
    axis.get_major_locator().set_params(integer=True)


def class_names_of(names, num_classes):
    """Names of the classes as a list, their numbers where none are given."""
    if names is None:
        return [str(number) for number in range(num_classes)]
    if len(names) != num_classes:
        raise ValueError(
            f"`class_names` must hold a name for each of the {num_classes} classes. "
            f"Received: {len(names)} names, {list(names)!r}"
        )
    return [str(name) for name in names]


def matrix(axes, values, names, texts=None):
    """Draw a matrix of classes: a square of colour per cell, and a text where there is room."""
    drawn = axes.imshow(values, cmap=COLOR_MAP, interpolation="nearest")
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    if len(names) > MOST_CLASSES_WITH_NUMBERS:
        axes.tick_params(labelsize=5)
    if max(map(len, names)) > LONGEST_LEVEL_NAME:
        axes.tick_params(axis="x", labelrotation=90)
    if texts is not None and len(names) <= MOST_CLASSES_WITH_NUMBERS:
        texts = np.asarray(texts, dtype=str)
        size = min(9, 260 / len(names) / max(3, *np.char.str_len(texts).flat))
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, _ = drawn.cmap(drawn.norm(value))
            light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
            axes.text(
                column,
                row,
                texts[row, column],
                ha="center",
                va="center",
                fontsize=size,
                color="black" if light else "white",
            )
    return drawn


def pixels(figure, dpi=90):
    """A drawn figure as a uint8 array of shape (height, width, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def png(figure, dpi=110):
    """A drawn figure as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()
