"""What a run gives back."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from . import _constants


@dataclass(frozen=True)
class RunReport:
    """What a run did."""

    tiles: int
    """Tiles that the network computed, folds included."""
    tiles_in_all: int
    """Tiles that a run over the whole image computes; more than `tiles` where regions were asked for."""
    voxels: int
    """Voxels of the label map, or of the regions."""
    near_ties: int
    """Voxels whose two best classes differ in probability by at most 0.01."""
    tiles_in_single: int
    """Runs of the network that overflowed half precision and were repeated in single."""
    tiles_on_device: int
    """Tiles that were cut and blended in the device's memory, beside their computing."""
    tile_batch: int
    """Tiles that the network computed at once."""
    memory_step: str
    """What the device's memory wasn't enough for: "none", "one-tile" (several at once), "host-blends" (blending there)."""
    preprocess_seconds: float
    """Seconds spent on reading, cropping, normalising and resampling the image."""
    network_seconds: float
    """Seconds spent in the network."""
    blend_seconds: float
    """Seconds spent on cutting and blending tiles."""
    restore_seconds: float
    """Seconds spent on bringing the labels onto the image's grid."""
    total_seconds: float
    """Seconds from the call to its return."""
    process_peak_bytes: int
    """Most memory that the whole process ever had resident; 0 where the system doesn't tell."""
    non_finite_voxels: int
    """Voxels of all channels that are NaN or infinite and were read as `non_finite` says."""
    first_non_finite: tuple[int, int, int, int] | None
    """The first of them: channel, x, y, z; None where there are none."""
    warnings: tuple[str, ...]
    """What may make the labels wrong: "non-finite-replaced", "unusual-intensities"; a sentence for each in the record."""
    final_voxels: int
    """Voxels whose labels are final and in the array."""
    final_part: tuple[tuple[int, int, int], tuple[int, int, int]]
    """Of those the box that was completed last, along x, y, z: the first voxel, and the one behind the last."""

    @classmethod
    def of(cls, raw: Any) -> RunReport:
        """From a vxs_run_report."""
        values = {field.name: getattr(raw, field.name) for field in fields(cls)}
        values["memory_step"] = _constants.name("MEMORY_STEP", raw.memory_step)
        values["first_non_finite"] = tuple(raw.first_non_finite) if raw.non_finite_voxels else None
        values["final_part"] = tuple(raw.final_part.start), tuple(raw.final_part.end)
        values["warnings"] = _constants.flags("WARNING", raw.warnings)
        return cls(**values)


@dataclass(frozen=True)
class Segmentation:
    """Labels, and the maps that were asked for: each of the same kind as the image and on its grid."""

    labels: Any
    """One label a voxel; the caller's own array where one was passed."""
    probabilities: dict[int | str, Any]
    """The probability (float32) of each label that was asked for, by value or name as it was asked."""
    margin: Any | None
    """By how many thousandths the highest probability is over the second highest, at most 255 (uint8)."""
    entropy: Any | None
    """Entropy of the probabilities in nats (float32)."""
    report: RunReport
    """What the run did."""
    record: dict[str, Any] | None = None
    """What the run was, where that was asked for: versions, model with hashes of its weights, plan, SHA-256 of the
    labels."""
