"""Structures of the library: their defaults, and the memory that they point to."""

from __future__ import annotations

import weakref
from typing import Any

from ._errors import check
from ._native import ffi, lib

_KEPT: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()


def initialised(structure: str) -> Any:
    """A structure with its defaults."""
    raw = ffi.new(f"{structure} *")
    check(getattr(lib, f"{structure}_init")(raw, ffi.sizeof(raw[0])), ffi.NULL)
    return raw


def keep(raw: Any, value: Any) -> Any:
    """Returns `value`, which from now on lives as long as the structure: a field that points to it isn't enough."""
    _KEPT.setdefault(raw, []).append(value)
    return value
