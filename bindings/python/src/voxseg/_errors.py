"""One exception for each band of statuses, and the place where a status becomes one."""

from __future__ import annotations

from typing import Any, Callable

from ._native import ffi, lib
from ._text import text

_KEYS = ("argument", "found", "expected", "file", "tensor", "path", "reason", "needed", "budget", "channel", "voxel")
_ADVICE = {lib.VXS_RUNTIME_MISSING: "`pip install voxseg[onnxruntime]` brings it"}


class Error(Exception):
    """What every failing call of the library raises."""

    status: int
    """The number that voxseg.h calls VXS_*; it never changes its meaning."""
    details: dict[str, str]
    """The parts of the message by key: argument, found, expected, file, tensor, path, reason, needed, budget,
    channel, voxel."""

    def __init__(self, message: str, status: int, details: dict[str, str]) -> None:
        super().__init__(message, status, details)
        self.status = status
        self.details = details

    def __str__(self) -> str:
        return str(self.args[0])


class ArgumentError(Error, ValueError):
    """1xx: an argument has a value that can't be used."""


class ModelError(Error):
    """2xx: the model can't be read, or needs what this version doesn't implement."""


class DeviceError(Error):
    """3xx: ONNX Runtime or the device can't be used."""


class RunError(Error):
    """4xx: the run didn't come to its end."""


class Cancelled(RunError):
    """401: the run was asked to stop."""


class Busy(RunError):
    """402: the plan is running a segmentation on another thread."""


class MemoryBudgetError(RunError, MemoryError):
    """403: the run would need more memory than its budget allows."""


class OutOfMemoryError(RunError, MemoryError):
    """406: memory that was asked for isn't there."""


class InternalError(Error):
    """9xx: a defect of the library."""


_BANDS = {1: ArgumentError, 2: ModelError, 3: DeviceError, 4: RunError}
_SINGLE = {
    lib.VXS_CANCELLED: Cancelled,
    lib.VXS_BUSY: Busy,
    lib.VXS_MEMORY_BUDGET: MemoryBudgetError,
    lib.VXS_OUT_OF_MEMORY: OutOfMemoryError,
}


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a function of the library that takes a place for its error object last; a failure is raised."""
    place = ffi.new("vxs_error **")
    check(function(*arguments, place), place)


def check(status: int, place: Any) -> None:
    """Raises for any status but success; `place` holds the error object, or is NULL where a function has none."""
    if status != lib.VXS_OK:
        raise _from(status, place[0] if place else ffi.NULL)


def _from(status: int, error: Any) -> Error:
    try:
        message = text(lib.vxs_error_message(error)) or text(lib.vxs_status_name(status))
        found = {key: lib.vxs_error_detail(error, key.encode()) for key in _KEYS}
        details = {key: text(value) for key, value in found.items() if value != ffi.NULL}
    finally:
        lib.vxs_error_free(error)
    if status in _ADVICE:
        message = f"{message}; {_ADVICE[status]}"
    kind = _SINGLE.get(status) or _BANDS.get(status // 100, InternalError)
    return kind(message, status, details)
