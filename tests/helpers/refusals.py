"""What is refused, and how that is said."""

import pytest


def refused(function, *words):
    """Assert a ValueError that holds all `words`, "Received" with the last of them behind it."""
    with pytest.raises(ValueError) as caught:
        function()
    message = str(caught.value)
    for word in words:
        assert word in message
    assert "eceived" in message
    if words:
        assert words[-1] in message[message.rindex("eceived") :]


def misspelt(name):
    """`name` with one letter doubled and, of longer ones, the last but one missing."""
    return name[:3] + name[2:-2] + name[-1] if len(name) > 5 else name[0] + name
