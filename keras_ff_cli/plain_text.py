"""Text for terminals that do not know every character."""

import codecs
import unicodedata

NAME = "keras_ff_plain"
# Each as wide as what it stands for, so that tables stay aligned.
PLAIN = {
    "–": "-",
    "—": "-",
    "−": "-",
    "…": ".",
    "×": "x",
    "·": "*",
    "±": "+",
    "→": ">",
    "≤": "<",
    "≥": ">",
    "°": " ",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "━": "=",
    "─": "-",
    "│": "|",
}


def use(*streams):
    """Have streams write plain characters for those that their encoding lacks."""
    codecs.register_error(NAME, _plain)
    for stream in streams:
        if hasattr(stream, "reconfigure"):  # one that takes its place may lack it
            stream.reconfigure(errors=NAME)


def plain(character):
    """A character in ASCII: another of its kind, its letter without accents, or a question mark.

    Example:

    >>> "".join(map(plain, "café – 5 ± 1"))
    'cafe - 5 + 1'
    """
    if character in PLAIN:
        return PLAIN[character]
    letters = unicodedata.normalize("NFKD", character)
    return "".join(one for one in letters if one.isascii()) or "?"


def _plain(error):
    """A handler of errors for `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(plain, error.object[error.start : error.end])), error.end
