"""Segmenting by prompts: points, boxes and strokes of a user."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from . import _constants
from ._buffers import place_channels, place_output
from ._errors import call
from ._grid import Grid
from ._handle import Handle
from ._images import ArrayLayout, image_of
from ._literals import NonFiniteName, PromptsName
from ._model import Model
from ._native import ffi, lib
from ._plan import Plan, PlanReport, _plan_report, _volume
from ._progress import Cancel, Receiver, watched
from ._structures import initialised
from ._text import text

Voxel = Sequence[int]
"""Indices along x, y, z."""


class SessionReport(NamedTuple):
    """What a run of a session did, or taking a prompt back."""

    changed: tuple[tuple[int, int, int], tuple[int, int, int]]
    """The box of the mask that may have changed, along x, y, z: the first voxel, and the one behind the last."""
    network_runs: int
    """Times that the network ran."""
    near_ties: int
    """Voxels whose two classes differ in probability by at most 0.01, counted in each box that was
    looked at from near."""
    zoom: float
    """How many times the network's patch was seen at last from far away: 1 where one patch was enough."""
    total_seconds: float
    """Seconds from the call to its return."""


def prompts(model: Model) -> tuple[PromptsName, ...]:
    """The prompts that a model takes: "point", "box-2d", "box-3d", "scribble", "lasso", "mask",
    "point-per-label"; none for a model that only segments volumes by itself."""
    return cast("tuple[PromptsName, ...]", _constants.flags("PROMPT", lib.vxs_model_prompts(model._get())))


class Session(Handle):
    """An image that a user segments. A run that is cancelled or fails leaves mask and prompts as they were.

    session = voxseg.Session(plan, image)
    session.point((80, 50, 60))
    session.run()
    mask = session.labels()

    Voxels are given along x, y, z whatever the order of an array's axes is. One call at a time; sessions of one plan
    share its weights.
    """

    def __init__(
        self,
        plan: Plan,
        image: Any,
        grid: Grid | None = None,
        *,
        axes: str | None = None,
        scaling: tuple[float, float] | None = None,
        autozoom: bool = True,
        non_finite: NonFiniteName = "error",
        progress: None | bool | Receiver = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Begins with an image, as for `Plan.segment`, of which a copy is kept. Without `autozoom` an object that goes
        on beyond the network's patch isn't looked at from further away."""
        self._image = image_of(image, ArrayLayout(grid, axes, scaling), plan._reader)
        raw = _volume(self._image)
        place_channels(raw, self._image.channels)
        options = initialised("vxs_session_options")
        options.autozoom = int(autozoom)
        options.non_finite = _constants.number("NON_FINITE", non_finite)
        made = ffi.new("vxs_session **")
        watched(options, progress, cancel, lib.vxs_session_create, plan._here(), raw, options, made)
        super().__init__(made[0], lib.vxs_session_free)

    @staticmethod
    def estimate(plan: Plan, image: Any, grid: Grid | None = None, *, axes: str | None = None) -> PlanReport:
        """What a session with an image will need. Only where its voxels lie is looked at: a `Grid` with a shape will do."""
        raw = _volume(image_of(image, ArrayLayout(grid, axes), plan._reader))
        report = initialised("vxs_plan_report")
        call(lib.vxs_session_estimate, plan._here(), raw, report)
        return _plan_report(report)

    def point(self, at: Sequence[float], label: int = 1) -> None:
        """Takes a point: a voxel of the object (1), or of what isn't the object (0); for a model that takes
        "point-per-label", a voxel of one of its labels."""
        call(lib.vxs_session_point, self._get(), ffi.new("double[3]", list(at)), label)

    def box(self, start: Voxel, end: Voxel, label: int = 1) -> None:
        """Takes a box, from voxel `start` to before voxel `end`."""
        corners = [ffi.new("int64_t[3]", [int(index) for index in corner]) for corner in (start, end)]
        call(lib.vxs_session_box, self._get(), *corners, label)

    def mask(self, kind: PromptsName, mask: Any, start: Voxel = (0, 0, 0), label: int = 1) -> None:
        """Takes voxels that were drawn: an array of integers in the order of the session's image, whose first voxel lies
        at `start`. `kind` is "scribble", "lasso" or "mask"."""
        raw = initialised("vxs_volume")
        voxels = self._image.voxels_of(np.asarray(mask))
        raw.shape = voxels.shape
        place_channels(raw, [voxels])
        place = ffi.new("int64_t[3]", [int(index) for index in start])
        call(lib.vxs_session_mask, self._get(), _constants.number("PROMPT", kind), raw, place, label)

    def run(self, *, progress: None | bool | Receiver = None, cancel: Cancel | None = None) -> SessionReport:
        """Answers the prompts since the last run."""
        options, report = initialised("vxs_run_options"), initialised("vxs_session_report")
        watched(options, progress, cancel, lib.vxs_session_run, self._get(), options, report)
        return _report(report)

    def undo(self) -> SessionReport:
        """Takes the last prompt back, and what runs have written since: up to 16 in a row."""
        report = initialised("vxs_session_report")
        call(lib.vxs_session_undo, self._get(), report)
        return _report(report)

    def reset(self) -> None:
        """Begins again with the same image, for the next object."""
        call(lib.vxs_session_reset, self._get())

    def labels(self) -> Any:
        """The mask, as the kind of image that the session was given: 1 for the object, or the model's labels."""
        labels, voxels = self._image.output(np.dtype(np.uint8))
        raw = initialised("vxs_labels")
        place_output(raw, voxels)
        call(lib.vxs_session_labels, self._get(), ffi.NULL, ffi.NULL, raw)
        return labels

    def record(self) -> dict[str, Any]:
        """All that led to the mask."""
        place = ffi.new("vxs_record **")
        call(lib.vxs_session_record, self._get(), place)
        made = ffi.gc(place[0], lib.vxs_record_free)
        record: dict[str, Any] = json.loads(text(lib.vxs_record_json(made)))
        return record

    def replay(
        self,
        record: dict[str, Any],
        *,
        progress: None | bool | Receiver = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Does what a record says; the mask is then the same to the last voxel."""
        options = initialised("vxs_run_options")
        told = ffi.new("char[]", json.dumps(record).encode())
        watched(options, progress, cancel, lib.vxs_session_replay, self._get(), told, options)


def _report(raw: Any) -> SessionReport:
    changed = tuple(raw.changed_start), tuple(raw.changed_end)
    return SessionReport(changed, raw.network_runs, raw.near_ties, raw.zoom, raw.total_seconds)
