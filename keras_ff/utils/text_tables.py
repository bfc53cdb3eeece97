"""Tables as text, for terminals and for Markdown pages."""


def plain(rows, numbers=()):
    """Rows, dictionaries of strings, below the names of their columns, as aligned lines.

    `numbers` names the columns that are set flush right.

    Example:

    >>> rows = [{"layer": "first", "units": "500"}, {"layer": "second", "units": "20"}]
    >>> print(plain(rows, ["units"]))
    layer   units
    first     500
    second     20
    """
    columns = list(rows[0])
    rows = [dict(zip(columns, columns, strict=True)), *rows]
    widths = {name: max(len(cells[name]) for cells in rows) for name in columns}
    return "\n".join(
        "  ".join(
            cells[name].rjust(widths[name]) if name in numbers else cells[name].ljust(widths[name])
            for name in columns
        ).rstrip()
        for cells in rows
    )


def markdown(rows, numbers=()):
    """The same as a Markdown table, each line with its line break.

    Example:

    >>> print(markdown([{"layer": "first", "units": "500"}], ["units"]), end="")
    | layer | units |
    | --- | ---: |
    | first | 500 |
    """
    columns = list(rows[0])
    rules = ["---:" if name in numbers else "---" for name in columns]
    lines = [columns, rules, *(list(cells.values()) for cells in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def plainly(value):
    """A value as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
