"""Progress of a run, and stopping it: by a flag, by an exception, by Ctrl-C."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, NamedTuple, Optional

from . import _constants
from ._errors import Error, call
from ._handle import Handle
from ._native import ffi, lib
from ._structures import keep


class Progress(NamedTuple):
    """How far a call is."""

    stage: str
    """"preprocess", "network", "restore"; "measure" for numbers about labels; "open" for models, "compile" for plans."""
    fraction: float
    """Share of the whole run that is done: never decreases, 1 at the end of a run that succeeds."""
    tiles_done: int
    """Tiles done."""
    tiles: int
    """Tiles in all."""
    bytes_read: int = 0
    """While a model is opened: bytes of its files that were read, or that aren't needed."""
    bytes: int = 0
    """Bytes of these files in all, as far as they are known."""


class Cancel(Handle):
    """A flag that stops runs within one tile. Any thread may request it; one flag may serve several runs."""

    def __init__(self) -> None:
        place = ffi.new("vxs_cancel **")
        call(lib.vxs_cancel_create, place)
        super().__init__(place[0], lib.vxs_cancel_free)

    def request(self) -> None:
        """Asks the runs that have this flag to stop."""
        lib.vxs_cancel_request(self._get())

    def reset(self) -> None:
        """Makes it ready for the next run."""
        lib.vxs_cancel_reset(self._get())

    @property
    def requested(self) -> bool:
        """Whether it was asked."""
        return bool(lib.vxs_cancel_requested(self._get()))


Receiver = Callable[[Progress], Optional[bool]]
"""Gets the progress, on the thread that runs. It returns False to cancel; an exception cancels as well."""


class Watch:
    """Listens to one run. Also without a receiver: coming back to Python is when signals are heard."""

    def __init__(self, progress: None | bool | Receiver) -> None:
        self._bar = _Bar() if progress is True else None
        self._receiver: Receiver | None = self._bar or (progress if callable(progress) else None)
        if progress and self._receiver is None:
            raise TypeError(f"progress is {progress!r}, expected True or a callable")
        self.exception: BaseException | None = None
        # A failure is noted by `onerror`, since Ctrl-C may strike before a `try` in the callback is reached.
        signature = "vxs_progress_callback"
        self.callback = ffi.callback(signature, self._on_progress, error=1, onerror=self._on_error)

    def _on_progress(self, _: Any, raw: Any) -> int:
        if self._receiver is None:
            return 0
        stage = _constants.name("STAGE", raw.stage)
        now = Progress(stage, raw.fraction, raw.tiles_done, raw.tiles, raw.bytes_read, raw.bytes)
        return int(self._receiver(now) is False)

    def _on_error(self, _: type[BaseException], exception: BaseException, __: TracebackType | None) -> None:
        self.exception = exception

    def rethrow(self) -> None:
        """Raises what the callback raised, if it did."""
        exception, self.exception = self.exception, None
        if exception is not None:
            try:
                raise exception
            finally:
                # The exception's traceback holds this frame: without this they would hold each other.
                del exception

    def close(self) -> None:
        """Ends the progress bar, if there is one; the run is over."""
        # The callback and this object hold each other.
        del self.callback
        if self._bar:
            self._bar.close()


class _Bar:
    """tqdm's bar, in per cent of the whole run."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError("progress=True needs tqdm: `pip install voxseg[progress]`") from error
        self._tqdm = tqdm(total=100, bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}")

    def __call__(self, progress: Progress) -> None:
        if progress.stage == "network":
            self._tqdm.set_postfix_str(f"tile {progress.tiles_done}/{progress.tiles}", refresh=False)
        self._tqdm.update(100 * progress.fraction - self._tqdm.n)

    def close(self) -> None:
        self._tqdm.close()


def watched(
    options: Any,
    progress: None | bool | Receiver,
    cancel: Cancel | None,
    function: Callable[..., int],
    *arguments: Any,
) -> None:
    """Calls a function that tells of its progress as its options say; what the receiver throws is raised here."""
    if cancel is not None:
        options.cancel = keep(options, cancel._get())
    watch = Watch(progress)
    options.progress = watch.callback
    try:
        call(function, *arguments)
    except Error:
        if watch.exception is None:
            raise
    finally:
        watch.close()
    watch.rethrow()
