"""The library's messages for Python's logging."""

from __future__ import annotations

import logging
from typing import Any

from ._constants import number
from ._errors import call
from ._handle import Handle
from ._literals import LogLevelName
from ._native import ffi, lib
from ._text import text

_LEVELS = {
    lib.VXS_LOG_DEBUG: logging.DEBUG,
    lib.VXS_LOG_INFO: logging.INFO,
    lib.VXS_LOG_WARNING: logging.WARNING,
    lib.VXS_LOG_ERROR: logging.ERROR,
}


class Log(Handle):
    """Hands the library's messages, those of ONNX Runtime among them, to a logger until it is closed. A process may have
    several, which don't know of each other.

    `logger` is one of `logging` or its name. `level` is the least level that is handed on: "debug", "info", "warning" or
    "error". Messages come from any thread; handlers must not use this package.
    """

    def __init__(self, logger: logging.Logger | str = "voxseg", level: LogLevelName = "warning") -> None:
        target = logging.getLogger(logger) if isinstance(logger, str) else logger

        def receive(_: Any, level: int, message: Any) -> None:
            target.log(_LEVELS.get(level, logging.ERROR), "%s", text(message))

        # What a handler raises has nobody to go to: logging prints it, as it does for other messages.
        callback = ffi.callback("vxs_log_callback", receive, onerror=lambda *_: None)
        place = ffi.new("vxs_log **")
        call(lib.vxs_log_add, number("LOG", level), callback, ffi.NULL, place)

        def remove(pointer: Any, _: Any = callback) -> None:
            # The callback lives as long as the library may call it.
            lib.vxs_log_remove(pointer)

        super().__init__(place[0], remove)
