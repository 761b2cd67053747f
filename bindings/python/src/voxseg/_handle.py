"""Ownership of what the library makes."""

from __future__ import annotations

import os
from typing import Any, Callable, TypeVar

from ._native import ffi

_Self = TypeVar("_Self", bound="Handle")


class Handle:
    """Owns an object of the library until it is closed, garbage, or at the end of a `with` block."""

    def __init__(self, pointer: Any, free: Callable[[Any], None]) -> None:
        self._process = os.getpid()
        self._pointer = ffi.gc(pointer, _only_in(self._process, free))

    def close(self) -> None:
        """Frees it, as soon as no call on another thread uses it any more. Twice is as once."""
        # A running call holds a reference of its own, so that dropping this one never pulls memory from under it.
        self._pointer = None

    def _get(self) -> Any:
        pointer = self._pointer
        if pointer is None:
            raise ValueError(f"the {type(self).__name__} is closed")
        return pointer

    def __enter__(self: _Self) -> _Self:
        self._get()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _only_in(process: int, free: Callable[[Any], None]) -> Callable[[Any], None]:
    """In a forked child nothing is freed: threads that it would wait for have stayed in the parent."""

    def freed(pointer: Any, current: Callable[[], int] = os.getpid) -> None:
        if current() == process:
            free(pointer)

    return freed
