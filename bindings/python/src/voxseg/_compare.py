"""How two label maps agree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ._buffers import place_channels
from ._constants import number
from ._errors import call
from ._grid import Grid
from ._images import ArrayLayout, image_of
from ._literals import LabelMatchName
from ._model import Model
from ._native import ffi, lib
from ._plan import _volume
from ._progress import Cancel, Receiver, watched
from ._structures import initialised, keep


@dataclass(frozen=True)
class Comparison:
    """How a label of the first map and one of the second agree. What isn't defined is NaN: overlaps of labels that don't
    occur, and distances where no tolerance was given. Distances to a label that doesn't occur are infinite."""

    first: int
    """The label's value in the first map."""
    second: int
    """Its value in the second map."""
    voxels: tuple[int, int]
    """Voxels of each, on the first map's grid."""
    both: int
    """Voxels that have both."""
    milliliters: tuple[float, float]
    """Volume of each."""
    dice: float
    """The Dice coefficient."""
    hausdorff: float
    """The largest distance from either surface to the other, in millimetres."""
    hausdorff_95: float
    """The distance that 95 % of a surface's area keep within, of that surface for which it is larger."""
    mean_distance: float
    """The mean distance over both surfaces."""
    surface_dice: float
    """The share of both surfaces' area that is within the tolerance of the other surface."""


def match_labels(first: Model, second: Model, by: LabelMatchName = "name") -> list[tuple[int, int]]:
    """The values of labels of two models that mean the same: by "name", or by "terms", the codes of what they are."""
    kind = number("MATCH", by)
    capacity = len(first.labels)
    pairs, count = ffi.new("vxs_label_pair[]", capacity), ffi.new("uint64_t *")
    call(lib.vxs_match_labels, first._get(), second._get(), kind, capacity, pairs, count)
    return [(pairs[index].first, pairs[index].second) for index in range(count[0])]


def compare(
    first: Any,
    second: Any,
    *,
    pairs: Iterable[tuple[int, int]] | None = None,
    tolerance: float | None = None,
    threads: int = 0,
    grid: Grid | None = None,
    progress: None | bool | Receiver = None,
    cancel: Cancel | None = None,
) -> list[Comparison]:
    """Compares two label maps: SimpleITK or nibabel images, also on different grids, or arrays of integers on one grid,
    indexed [z, y, x], with that `grid`.

    `pairs` are the labels to compare (see `match_labels`); None compares each value but 0 that occurs with itself.
    With a `tolerance` in millimetres surfaces are compared too, which takes longer. `threads` 0 uses all processors;
    `progress` and `cancel` are as for `Plan.segment`.
    """
    maps = [_map(image, grid) for image in (first, second)]
    options = initialised("vxs_compare_options")
    options.threads = threads
    if pairs is not None:
        wanted = [(int(a), int(b)) for a, b in pairs]
        if not wanted:
            return []
        options.pairs, options.pair_count = keep(options, ffi.new("vxs_label_pair[]", wanted)), len(wanted)
    if tolerance is not None:
        if not tolerance >= 0:
            raise ValueError(f"tolerance is {tolerance!r}, expected millimetres from 0")
        options.surfaces, options.tolerance = True, tolerance
    place = ffi.new("vxs_comparison_list **")
    watched(options, progress, cancel, lib.vxs_compare, *maps, options, place)
    found = ffi.gc(place[0], lib.vxs_comparison_list_free)
    return [_comparison(found, index) for index in range(lib.vxs_comparison_list_count(found))]


def _map(image: Any, grid: Grid | None) -> Any:
    kind = image_of(image, ArrayLayout(grid))
    raw = _volume(kind)
    place_channels(raw, kind.channels)
    return raw


def _comparison(found: Any, index: int) -> Comparison:
    raw = initialised("vxs_comparison")
    call(lib.vxs_comparison_list_get, found, index, raw)
    return Comparison(
        first=raw.pair.first,
        second=raw.pair.second,
        voxels=(raw.voxels[0], raw.voxels[1]),
        both=raw.both,
        milliliters=(raw.milliliters[0], raw.milliliters[1]),
        dice=raw.dice,
        hausdorff=raw.hausdorff,
        hausdorff_95=raw.hausdorff_95,
        mean_distance=raw.mean_distance,
        surface_dice=raw.surface_dice,
    )
