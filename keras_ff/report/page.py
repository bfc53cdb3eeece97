"""Pieces of an HTML page that needs nothing from elsewhere.

The page is a tree of elements, so that whatever stands in a text is escaped when it is written.
"""

import base64
import pathlib
from xml.etree import ElementTree

from keras_ff.visualization import style

STYLE_FILE = pathlib.Path(__file__).with_name("page.css")


def element(tag, *children, **attributes):
    """An element with children: elements, and texts between them; `None` is left out.

    `class_` stands for `class`.

    Example:

    >>> ElementTree.tostring(element("p", "1 < 2", class_="faint"), encoding="unicode")
    '<p class="faint">1 &lt; 2</p>'
    """
    made = ElementTree.Element(tag, {name.rstrip("_"): text for name, text in attributes.items()})
    last = None
    for child in children:
        if child is None:
            continue
        if ElementTree.iselement(child):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + str(child)
        else:
            last.tail = (last.tail or "") + str(child)
    return made


def section(title, *children):
    """A heading and what stands under it; `None` where there is nothing under it."""
    children = [child for child in children if child is not None]
    return element("section", element("h2", title), *children) if children else None


def table(head, rows, class_=""):
    """A table that can be moved sideways where it is wider than the page."""
    parts = []
    if head:
        parts.append(element("thead", element("tr", *[element("th", text) for text in head])))
    cells = [element("tr", *[element("td", text) for text in row]) for row in rows]
    parts.append(element("tbody", *cells))
    return element("div", element("table", *parts, class_=class_), class_="wide")


def metrics(pairs):
    """Names and values, as a row of tiles."""
    tiles = [element("div", element("dt", name), element("dd", value)) for name, value in pairs]
    return element("dl", *tiles, class_="metrics")


def picture(figure, words):
    """A matplotlib figure within the page, and words about it for all readers."""
    content = base64.b64encode(style.png(figure)).decode("ascii")
    image = element("img", src=f"data:image/png;base64,{content}", alt=words)
    return element("figure", image, element("figcaption", words))


def page(title, *children):
    """The whole page as a string."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", STYLE_FILE.read_text(encoding="utf-8")),
    )
    root = element("html", head, element("body", element("main", *children)), lang="en")
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html")
