"""The roundings that prices can ask for."""

from collections.abc import Callable
from fractions import Fraction

from app.kernel.quantity import fraction_rounded


def rounded(value: Fraction, how: str, places: int) -> Fraction:
    """To `places` decimals by name: `none`, `up`, `down`, `half_up`; `ceil`, `floor`, `round`.

    Up and down are towards the greater and the lesser number, halves go away from zero.
    Raises KeyError for another name.
    """
    return _ROUNDINGS[how](value, Fraction(10) ** places)


def _half(value: Fraction, scale: Fraction) -> Fraction:
    return Fraction(fraction_rounded(value * scale, 0)) / scale


_ROUNDINGS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "none": lambda value, _: value,
    "up": lambda value, scale: -(-value * scale // 1) / scale,
    "down": lambda value, scale: (value * scale // 1) / scale,
    "half_up": _half,
}
_ROUNDINGS |= {
    "ceil": _ROUNDINGS["up"],
    "floor": _ROUNDINGS["down"],
    "round": _ROUNDINGS["half_up"],
}
