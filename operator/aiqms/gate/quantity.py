"""Quantities as the API server writes them: 0.5 -> 500m, 1024Mi -> 1Gi (apimachinery, pkg/api/resource)."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_UP, Decimal, localcontext
from typing import Final

FORM: Final = re.compile(r"([+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+))(?:([KMGTPE]i)|([numkMGTPE]?)|[eE]([+-]?[0-9]{1,9}))")
BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
DECIMAL: Final = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
EXPONENT: Final = {suffix: exponent for exponent, suffix in DECIMAL.items()}
NANO, MILLI = Decimal("1e-9"), Decimal("1e-3")
MOST: Final = Decimal(2**63 - 1)  # of a binary one; a decimal one has no end


def canonical(value: object, *, step: Decimal = NANO) -> object:
    """The same quantity as the API server stores it, rounded up to `step`. What is none stays as it is: the API server will refuse it."""
    form = FORM.fullmatch(str(value).strip())
    if form is None:
        return value
    with localcontext(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN):  # every digit that is written counts, and no size is an error
        return stored(form, step)


def stored(form: re.Match[str], step: Decimal) -> str:
    number, binary, suffix, exponent = form.groups()
    if binary:
        power = BINARY.index(binary)
        return form[0] if as_written(number, power) else in_binary(rounded(bounded(Decimal(number) * 1024**power), step))
    power = int(exponent or EXPONENT[suffix])
    return form[0] if as_written_decimal(number, power, step) else in_decimal(rounded(Decimal(number).scaleb(power), step), exponential=exponent is not None)


def as_written(number: str, power: int) -> bool:
    """Whether ParseQuantity keeps the text of a binary quantity, taking it for canonical."""
    whole, fraction = digits(number)
    return not fraction and int(whole) & 7 != 0 and len(whole) + 3 * power <= 14


def as_written_decimal(number: str, power: int, step: Decimal) -> bool:
    """The same of a decimal one, so that 1E3 stays 1E3 and +1 stays +1."""
    whole, fraction = digits(number)
    scale, together = power - len(fraction), whole + fraction
    return len(together) <= 18 and scale >= step.adjusted() and scale % 3 == 0 and not together.endswith("000") and not together.startswith("0")


def digits(number: str) -> tuple[str, str]:
    whole, _, fraction = number.lstrip("+-").partition(".")
    return whole.lstrip("0") or "0", fraction


def milli(value: object) -> object:
    """Limits and requests are rounded up to a thousandth."""
    return canonical(value, step=MILLI)


def bounded(number: Decimal) -> Decimal:
    return max(-MOST, min(number, MOST))


def rounded(number: Decimal, step: Decimal) -> Decimal:
    return number if number == number.to_integral_value() else number.quantize(step, ROUND_UP)


def in_binary(number: Decimal) -> str:
    """Below 1024, and where a fraction is left, the decimal form is used."""
    if abs(number) < 1024 or number != number.to_integral_value():
        return in_decimal(number)
    whole, power = int(number), 0
    while whole % 1024 == 0:
        whole, power = whole // 1024, power + 1
    return f"{whole}{BINARY[power]}"


def in_decimal(number: Decimal, *, exponential: bool = False) -> str:
    """The shortest number with an exponent that three divides."""
    sign, digits, exponent = number.normalize().as_tuple()
    assert isinstance(exponent, int)  # a form has no NaN
    whole = int("".join(map(str, digits))) * (-1 if sign else 1)
    if whole == 0:
        return "0"
    while exponent % 3:
        whole, exponent = whole * 10, exponent - 1
    if exponential:
        return f"{whole}e{exponent}" if exponent else str(whole)
    return f"{whole}{DECIMAL.get(exponent, '')}"  # beyond E the API server leaves it out: 1000E becomes 1
