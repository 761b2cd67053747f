"""Which labels a run writes, and when: those of regions, and those that are final while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Callable, NamedTuple, Optional

from . import _constants
from ._literals import WhenGlobalName
from ._native import ffi
from ._progress import Receiver, Watch
from ._structures import keep

Box = Sequence[Sequence[int]]
"""The first voxel inside and one beyond the last one, each (x, y, z)."""


class LabelsSoFar(NamedTuple):
    """Labels that are in the array while a run goes on."""

    start: tuple[int, int, int]
    """The first voxel that has them, (x, y, z)."""
    end: tuple[int, int, int]
    """One beyond the last."""
    is_final: bool
    """Whether they are final. Else they are those that the models of a task found so far."""
    complete: tuple[int, ...]
    """The labels that are complete, where not all are: later models may still take voxels of them, but add none."""
    labels: Any
    """What the run will return as labels."""


LabelsReceiver = Callable[[LabelsSoFar], Optional[bool]]
"""Gets labels as they come, on the thread that runs. It returns False to cancel; an exception cancels as well."""


def place_regions(options: Any, regions: Sequence[Box], when_global: WhenGlobalName) -> None:
    """Tells a vxs_run_options which voxels get labels."""
    boxes = ffi.new("vxs_box[]", len(regions))
    for box, (start, end) in zip(boxes, regions):
        box.start, box.end = [int(at) for at in start], [int(at) for at in end]
    options.regions, options.region_count = keep(options, boxes), len(regions)
    options.when_global = _constants.number("WHEN_GLOBAL", when_global)


class RunWatch(Watch):
    """Listens to the progress of a run and to its labels."""

    def __init__(
        self, progress: None | bool | Receiver, on_labels: LabelsReceiver | None, labels: Any
    ) -> None:
        super().__init__(progress)
        self._on_labels, self._labels = on_labels, labels
        signature = "vxs_labels_callback"
        self.labels_callback = ffi.callback(signature, self._on_so_far, error=1, onerror=self._on_labels_error)

    def _on_so_far(self, _: Any, raw: Any) -> int:
        assert self._on_labels is not None
        complete = tuple(raw.complete[index] for index in range(raw.complete_count))
        start, end = tuple(raw.part.start), tuple(raw.part.end)
        so_far = LabelsSoFar(start, end, bool(raw.is_final), complete, self._labels)
        return int(self._on_labels(so_far) is False)

    def _on_labels_error(
        self, _: type[BaseException], exception: BaseException, __: TracebackType | None
    ) -> None:
        self.exception = exception

    def close(self) -> None:
        """Ends listening; the run is over."""
        del self.labels_callback
        super().close()
