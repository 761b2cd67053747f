"""The library's version, ONNX Runtime, and the devices."""

from __future__ import annotations

import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _constants
from ._errors import DeviceError, call
from ._native import ffi, lib
from ._structures import initialised
from ._text import text, utf8


def version() -> str:
    """The library's release."""
    return text(lib.vxs_version())


def build_info() -> dict[str, Any]:
    """What this build of the library has: version, interface, target, engines, models, licences. Loads nothing."""
    found: dict[str, Any] = json.loads(text(lib.vxs_build_info()))
    return found


def open_runtime(path: str | os.PathLike[str] | None = None) -> None:
    """Loads ONNX Runtime now, from a file or folder; without one, from where it is found by default.

    A plan does it by itself. Looked at are VOXSEG_ORT_LIBRARY (file or folder), the library's own folder in this
    package, and the installed `onnxruntime` package, whose Python side is not imported.
    """
    if path is not None:
        call(lib.vxs_runtime_open, utf8(path, "path"))
        return
    try:
        call(lib.vxs_runtime_open, ffi.NULL)
    except DeviceError as error:
        package = _package()
        if error.status != lib.VXS_RUNTIME_MISSING or "VOXSEG_ORT_LIBRARY" in os.environ or package is None:
            raise
        call(lib.vxs_runtime_open, utf8(package, "path"))


def add_runtime_plugin(path: str | os.PathLike[str]) -> None:
    """Registers a library of ONNX Runtime's plug-in execution providers, until the process ends.

    Its devices can then be listed and used. Loads ONNX Runtime if it isn't loaded.
    """
    open_runtime()
    call(lib.vxs_runtime_add_plugin, utf8(path, "path"))


def _package() -> Path | None:
    """The folder of the installed `onnxruntime` package that holds the shared library."""
    specification = importlib.util.find_spec("onnxruntime")
    folders = specification.submodule_search_locations if specification else None
    places = [Path(folder, "capi").absolute() for folder in folders or []]
    return next((place for place in places if place.is_dir()), None)


def runtime_version() -> str:
    """The version of the ONNX Runtime that is loaded; empty when none is."""
    return text(lib.vxs_runtime_version())


def runtime_path() -> str:
    """The file that the loaded ONNX Runtime came from; empty when none is."""
    return text(lib.vxs_runtime_path())


def seek_runtime() -> None:
    """Loads ONNX Runtime where it can be found; where it can't, who needs it will say so."""
    try:
        open_runtime()
    except DeviceError as error:
        if error.status != lib.VXS_RUNTIME_MISSING:
            raise


@dataclass(frozen=True)
class Device:
    """One thing that a plan can run on."""

    name: str
    """What to pass to `Plan`, for example "cpu"."""
    description: str
    """Its name for people."""
    usable: bool
    """Whether a plan can be made on it."""
    reason: str
    """Why it can't be used; empty when it can."""
    index: int
    """Its number among the provider's devices: what to pass to `Plan` as `device_index`."""
    driver: str
    """Its driver and the driver's version; empty when unknown."""
    memory_bytes: int
    """Bytes of its own memory; 0 when unknown or it has none."""
    hardware: bool
    """Whether it is hardware of its own, as far as is known: not a CPU, nor software that emulates a GPU."""


def devices() -> list[Device]:
    """What there is to run on, found anew at each call."""
    seek_runtime()
    place = ffi.new("vxs_device_list **")
    call(lib.vxs_device_list_open, place)
    try:
        return [_device(place[0], index) for index in range(lib.vxs_device_list_count(place[0]))]
    finally:
        lib.vxs_device_list_free(place[0])


def _device(found: object, index: int) -> Device:
    info = initialised("vxs_device_info")
    call(lib.vxs_device_list_get, found, index, info)
    return Device(
        _constants.name("DEVICE", info.device),
        text(info.name),
        bool(info.usable),
        text(info.reason),
        info.index,
        text(info.driver),
        info.memory_bytes,
        bool(info.hardware),
    )
