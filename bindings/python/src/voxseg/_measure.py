"""Numbers about labels: what a label map says about an image, and the dose that labels receive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable

from ._buffers import place_output
from ._compare import _map
from ._errors import call
from ._grid import Grid
from ._images import ArrayLayout, image_of
from ._native import ffi, lib
from ._plan import _volume
from ._progress import Cancel, Receiver, watched
from ._structures import initialised


@dataclass(frozen=True)
class Statistics:
    """Size, place and intensities of a label. Indices are along x, y, z; intensities are NaN without an image."""

    label: int
    """The label."""
    voxels: int
    """Voxels that have it."""
    milliliters: float
    """Their volume."""
    surface_area: float
    """The area of its surface in square millimetres."""
    first: tuple[int, int, int]
    """The first voxel along each axis."""
    last: tuple[int, int, int]
    """The last voxel along each axis."""
    centroid_index: tuple[float, float, float]
    """The mean of its voxels' indices."""
    centroid: tuple[float, float, float]
    """The mean of its voxels' positions in millimetres, in LPS coordinates."""
    margin: int
    """Voxels between it and the nearest face of the grid: 0 where the field of view may cut it."""
    mean: float
    """The mean of the image's intensities in it."""
    std: float
    """Their standard deviation, over n."""
    median: float
    """The one in the middle, or the mean of the two there."""
    min: float
    """The smallest one."""
    max: float
    """The largest one."""


class Dose:
    """The dose in a label, in the unit of the dose volume."""

    def __init__(self, doses: Any, index: int) -> None:
        """Not for callers: see `dose`."""
        raw = initialised("vxs_label_dose")
        call(lib.vxs_dose_list_get, doses, index, raw)
        self._doses, self._index = doses, index
        self.label: int = raw.label
        """The label."""
        self.voxels: int = raw.voxels
        """Voxels that have it."""
        self.outside: int = raw.outside
        """Those of them that lie outside of the dose volume and count as a dose of 0."""
        self.mean: float = raw.mean
        """The mean dose."""
        self.min: float = raw.min
        """The smallest dose."""
        self.max: float = raw.max
        """The largest dose."""

    def dose_at_volume(self, percent: float) -> float:
        """D95, D2 and so on: the dose that so many per cent of the label receive at least."""
        return self._values(lib.vxs_dose_list_dose_at_volume, [percent])[0]

    def volume_at_dose(self, doses: Iterable[float]) -> list[float]:
        """V20 and so on, or the cumulative histogram: the shares, 0 to 1, of the label that receive at least these
        doses."""
        return self._values(lib.vxs_dose_list_volume_at_dose, doses)

    def _values(self, function: Callable[..., int], asked: Iterable[float]) -> list[float]:
        values = ffi.new("double[]", [float(value) for value in asked])
        found = ffi.new("double[]", len(values))
        call(function, self._doses, self._index, values, len(values), found)
        return list(found)

    def __repr__(self) -> str:
        return f"<voxseg.Dose in label {self.label}: mean {self.mean:g}>"


def statistics(
    labels: Any,
    image: Any | None = None,
    *,
    channel: int = 0,
    threads: int = 0,
    grid: Grid | None = None,
    progress: None | bool | Receiver = None,
    cancel: Cancel | None = None,
) -> list[Statistics]:
    """Measures each label but 0 that occurs, and the intensities of an image on the same grid: TotalSegmentator's numbers
    where it has them.

    Both are SimpleITK or nibabel images, or arrays indexed [z, y, x] with that `grid`. `channel` is one of the
    image's. `threads` 0 uses all processors; `progress` and `cancel` are as for `Plan.segment`.
    """
    options = initialised("vxs_measure_options")
    options.threads = threads
    place = ffi.new("vxs_statistics_list **")
    volume = ffi.NULL if image is None else _map(image, grid)
    watched(
        options, progress, cancel, lib.vxs_statistics, _map(labels, grid), volume, channel, options, place
    )
    found = ffi.gc(place[0], lib.vxs_statistics_list_free)
    return [_statistics(found, index) for index in range(lib.vxs_statistics_list_count(found))]


def dose(
    labels: Any,
    dose: Any,
    *,
    threads: int = 0,
    grid: Grid | None = None,
    progress: None | bool | Receiver = None,
    cancel: Cancel | None = None,
) -> list[Dose]:
    """The dose that each label but 0 receives: `dose`, an image on any grid, sampled trilinearly at the centres of the
    label's voxels.

    Both are SimpleITK or nibabel images, or arrays indexed [z, y, x], both with that `grid`.
    """
    options = initialised("vxs_measure_options")
    options.threads = threads
    place = ffi.new("vxs_dose_list **")
    maps = _map(labels, grid), _map(dose, grid)
    watched(options, progress, cancel, lib.vxs_dose, *maps, options, place)
    found = ffi.gc(place[0], lib.vxs_dose_list_free)
    return [Dose(found, index) for index in range(lib.vxs_dose_list_count(found))]


def on_grid(
    labels: Any,
    target: Any,
    *,
    threads: int = 0,
    grid: Grid | None = None,
    target_grid: Grid | None = None,
    progress: None | bool | Receiver = None,
    cancel: Cancel | None = None,
) -> Any:
    """A label map on another grid in the patient's space, such as that of a dose: each voxel gets the label of the voxel
    that its centre lies in, 0 outside.

    Both are SimpleITK or nibabel images, or arrays indexed [z, y, x] with `grid` or `target_grid`. Of `target` only the
    grid is looked at: a `Grid` with a shape will do, for an array. The result is a new image of the kind of `target` and
    has the type of `labels`. `progress` and `cancel` are as for `Plan.segment`.
    """
    source, place = image_of(labels, ArrayLayout(grid)), image_of(target, ArrayLayout(target_grid))
    result, voxels = place.output(source.channels[0].dtype.newbyteorder("="))
    out, options = initialised("vxs_labels"), initialised("vxs_measure_options")
    place_output(out, voxels)
    options.threads = threads
    grids = _map(labels, grid), _volume(place)
    watched(options, progress, cancel, lib.vxs_labels_on_grid, *grids, options, out)
    return result


def _statistics(found: Any, index: int) -> Statistics:
    raw = initialised("vxs_label_statistics")
    call(lib.vxs_statistics_list_get, found, index, raw)
    return Statistics(
        label=raw.label,
        voxels=raw.voxels,
        milliliters=raw.milliliters,
        surface_area=raw.surface_area,
        first=tuple(raw.first),
        last=tuple(raw.last),
        centroid_index=tuple(raw.centroid_index),
        centroid=tuple(raw.centroid),
        margin=raw.margin,
        mean=raw.mean,
        std=raw.std,
        median=raw.median,
        min=raw.min,
        max=raw.max,
    )
