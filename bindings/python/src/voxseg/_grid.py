"""Where voxels lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Coordinates = Literal["LPS", "RAS"]
"""The directions in which a patient's coordinates grow: left, posterior, superior as in DICOM and ITK, or right, anterior,
superior as in NIfTI and 3D Slicer."""


@dataclass(frozen=True, init=False)
class Grid:
    """Where voxels lie in the patient. Everything is in the order x, y, z, whatever the order of an array's axes is.

    Voxel (i, j, k) lies at `origin + direction · (i·spacing[0], j·spacing[1], k·spacing[2])`. A value: it is never
    changed, may be compared, and holds no voxels.
    """

    spacing: tuple[float, float, float]
    """Millimetres between neighbours along x, y and z."""
    origin: tuple[float, float, float]
    """Position of voxel (0, 0, 0) in millimetres."""
    direction: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    """The rows of a 3×3 matrix whose column a is the unit vector along which axis a runs."""
    coordinates: Coordinates
    """What origin and direction are in."""
    shape: tuple[int, int, int] | None
    """Voxels along x, y and z; None where an image tells it."""

    def __init__(
        self,
        spacing: ArrayLike,
        origin: ArrayLike = (0.0, 0.0, 0.0),
        direction: ArrayLike = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        *,
        coordinates: Coordinates = "LPS",
        shape: ArrayLike | None = None,
    ) -> None:
        """Each is a sequence or an array; `direction` has nine numbers, row by row. Raises `ValueError` for another number of them, or other
        coordinates; whether they describe a grid is for the call that gets it to say."""
        if coordinates not in ("LPS", "RAS"):
            raise ValueError(f"coordinates is {coordinates!r}, expected 'LPS' or 'RAS'")
        rows = np.reshape(_numbers("direction", direction, 9), (3, 3)).tolist()
        values = {
            "spacing": _numbers("spacing", spacing, 3),
            "origin": _numbers("origin", origin, 3),
            "direction": tuple(map(tuple, rows)),
            "coordinates": coordinates,
            "shape": None if shape is None else tuple(int(size) for size in _numbers("shape", shape, 3)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def is_like(self, other: Grid) -> bool:
        """Whether voxels of the same index lie in the same places, but for what rounding of files does."""
        names = ("spacing", "origin", "direction")
        pairs = [(getattr(self, name), getattr(other, name)) for name in names]
        same = all(np.allclose(a, b, rtol=1e-5, atol=1e-4) for a, b in pairs)
        return same and self.coordinates == other.coordinates


def _numbers(name: str, value: ArrayLike, count: int) -> tuple[float, ...]:
    numbers = np.asarray(value, dtype=np.float64).ravel().tolist()
    if len(numbers) != count:
        raise ValueError(f"{name} is {value!r}, expected {count} numbers")
    return tuple(numbers)
