"""Checks of single arguments."""

import numbers


def positive_number(value, name):
    """`value` as a float above zero, or a ValueError that names the parameter."""
    number = finite_number(value, name)
    if number <= 0:
        raise ValueError(f"`{name}` must be above 0. Received: {name}={value!r}")
    return number


def finite_number(value, name):
    """`value` as a finite float, or a ValueError that names the parameter."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or value - value != 0:
        raise ValueError(f"`{name}` must be a finite number. Received: {name}={value!r}")
    return float(value)


def share(value, name):
    """`value` as a float in [0, 1), or a ValueError that names the parameter."""
    number = finite_number(value, name)
    if not 0 <= number < 1:
        raise ValueError(f"`{name}` must lie in [0, 1). Received: {name}={value!r}")
    return number


def whole_number(value, name, minimum=1):
    """`value` as an integer of at least `minimum`, or a ValueError that names the parameter."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(
            f"`{name}` must be an integer of at least {minimum}. Received: {name}={value!r}"
        )
    return int(value)
