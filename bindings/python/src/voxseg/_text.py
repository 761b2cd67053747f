"""Strings between Python and the library: UTF-8, NUL-terminated."""

from __future__ import annotations

import os
from typing import Any

from ._native import ffi


def text(value: Any) -> str:
    """A borrowed string of the library as Python's own; empty for NULL."""
    return "" if value == ffi.NULL else ffi.string(value).decode("utf-8", "replace")


def utf8(value: str | os.PathLike[str], argument: str) -> bytes:
    """A string or path as the library takes it."""
    # What isn't UTF-8 in a path stays what it is, and the library says so.
    encoded = os.fsdecode(value).encode("utf-8", "surrogateescape")
    if b"\0" in encoded:
        raise ValueError(f"{argument} is {value!r}, expected text without NUL")
    return encoded
