"""Packages as if they were not installed."""

import sys


def leave_out(monkeypatch, *names):
    """Until the test ends, importing a package of these names fails."""
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)
