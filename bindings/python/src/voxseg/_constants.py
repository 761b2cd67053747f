"""The header's constants by the names that Python takes: `"ort-cpu"` is `VXS_DEVICE_ORT_CPU`."""

from __future__ import annotations

from ._native import lib

# Statuses that share the prefix of the devices.
_OTHERS = {"VXS_DEVICE_UNUSABLE", "VXS_DEVICE_LOST"}


def names(group: str) -> dict[str, int]:
    """Every name of a group of constants, such as "DEVICE", with its number."""
    prefix = f"VXS_{group}_"
    found = [name for name in dir(lib) if name.startswith(prefix) and name not in _OTHERS]
    return {name[len(prefix) :].lower().replace("_", "-"): getattr(lib, name) for name in found}


def number(group: str, name: str) -> int:
    """The constant of that name."""
    known = names(group)
    if name not in known:
        raise ValueError(f"{group.lower()} is {name!r}, expected one of {', '.join(map(repr, known))}")
    return known[name]


def flags(group: str, bits: int) -> tuple[str, ...]:
    """The names of the bits that are set, in the order of their values."""
    known = {value: name for name, value in names(group).items()}
    values = (1 << place for place in range(bits.bit_length()) if bits >> place & 1)
    return tuple(known.get(value, str(value)) for value in values)


def name(group: str, value: int) -> str:
    """The name of a constant; its digits when this version of the binding doesn't know it."""
    return next((name for name, known in names(group).items() if known == value), str(value))
