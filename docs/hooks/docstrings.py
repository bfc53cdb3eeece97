"""Docstrings as Markdown: examples become blocks of code, call arguments a list."""

import re

import griffe

EXAMPLE = re.compile(r"(?m)^(>>> .*\n?(?:^(?!\s*$).*\n?)*)")
CALL = re.compile(r"(?m)^Call arguments:\n((?: {4}.*\n?|\n(?= {4}))+)")
ARGUMENT = re.compile(r"(?m)^ {4}([\w, ]+): ")


def markdown(text):
    """A docstring of this package as Markdown with sections in Google's style."""
    text = EXAMPLE.sub(lambda match: f"```pycon\n{match[1].rstrip()}\n```\n", text)
    return CALL.sub(lambda match: "**Call arguments:**\n\n" + _listed(match[1]), text)


def _listed(arguments):
    items = ARGUMENT.sub(lambda match: f"- **`{match[1]}`**: ", arguments)
    return re.sub(r"(?m)^ {8}", "  ", items)


class Docstrings(griffe.Extension):
    """Rewrites each docstring as it is read."""

    def on_object(self, *, obj, **_):
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
