"""What the tests share: the example model, a plan, and images that are small enough for one or two tiles."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import voxseg

REPOSITORY = Path(__file__).resolve().parents[3]
MODEL = REPOSITORY / "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"
SPACING = (3.0, 3.0, 3.0)
GRID = voxseg.Grid(SPACING)
# Along z, y, x. The model's patch is 96×80×64 in x, y, z: one tile, and two.
SMALL, WIDE = (10, 12, 16), (10, 12, 104)


@cache
def model() -> voxseg.Model:
    """The example model."""
    return voxseg.Model.open(MODEL)


@cache
def plan() -> voxseg.Plan:
    """A plan for it."""
    return voxseg.Plan(model())


def ct(shape: tuple[int, int, int] = SMALL) -> Any:
    """Something that the model finds organs in, indexed [z, y, x]: tissue with a bright rod, and noise."""
    z, y, x = np.indices(shape)
    tissue = np.where((y - shape[1] / 2) ** 2 + (z - shape[0] / 2) ** 2 < 9, 250, 40)
    noise = np.random.default_rng(7).integers(-30, 30, shape)
    return np.ascontiguousarray((tissue + noise + 5 * (x % 7)).astype(np.int16))


@cache
def expected(shape: tuple[int, int, int] = SMALL) -> Any:
    """The labels of `ct(shape)`."""
    labels = plan().segment(ct(shape), GRID).labels
    labels.flags.writeable = False
    return labels
