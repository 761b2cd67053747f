"""NumPy arrays as the library sees memory. Nothing is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._native import ffi, lib
from ._structures import keep

Array = Any
"""A numpy.ndarray, indexed [x, y, z] in this module."""


class DeviceArray(np.ndarray):
    """Memory of a CUDA device. Its elements must not be touched here: only shape, strides and address are true."""

    @classmethod
    def of(cls, array: Any) -> DeviceArray:
        """An array of PyTorch, CuPy, Numba or others that have `__cuda_array_interface__`."""

        class Place:
            __array_interface__ = {
                name: value
                for name, value in array.__cuda_array_interface__.items()
                if name in ("shape", "typestr", "data", "strides", "version")
            }
            owner = array

        return np.asarray(Place()).view(cls)


def is_on_device(array: Any) -> bool:
    """Whether an array of somebody's lies in a CUDA device's memory."""
    return hasattr(array, "__cuda_array_interface__")


def dtype_number(dtype: Any) -> int:
    """The library's number for a type of voxels."""
    kind = {"b": "U", "i": "I", "u": "U", "f": "F"}.get(dtype.kind)
    found = getattr(lib, f"VXS_DTYPE_{kind}{8 * dtype.itemsize}", None)
    if found is None:
        expected = "integers of 8 to 32 bits, float16, float32 or float64: convert it by astype"
        raise TypeError(f"voxels are {dtype}, expected {expected}")
    return int(found)


def place_output(raw: Any, array: Array) -> None:
    """Tells a vxs_labels or vxs_map to write into an array."""
    if not array.dtype.isnative:
        raise ValueError(f"an output has type {array.dtype.str}, expected the machine's byte order")
    if isinstance(array, DeviceArray):
        raw.flags = lib.VXS_LABELS_ON_DEVICE
    low, size, offset = _span(keep(raw, array))
    raw.dtype = dtype_number(array.dtype)
    raw.data = ffi.cast("void *", low)
    raw.data_size, raw.strides, raw.offset = size, array.strides, offset


def place_channels(raw: Any, channels: Sequence[Array]) -> None:
    """Tells a vxs_volume to read arrays of one type and layout, one for each channel."""
    first = channels[0]
    raw.dtype = dtype_number(first.dtype)
    raw.flags |= 0 if first.dtype.isnative else lib.VXS_VOLUME_SWAPPED
    on_device = [isinstance(channel, DeviceArray) for channel in channels]
    if any(on_device):
        if not all(on_device):
            raise ValueError("some channels lie in a device's memory and some in the host's, expected one of both")
        raw.flags |= lib.VXS_VOLUME_ON_DEVICE
    # An array that repeats voxels, as broadcasting makes them: the library wants memory for each.
    if any(stride == 0 and count > 1 for stride, count in zip(first.strides, first.shape)):
        if any(on_device):
            raise ValueError("an array on a device repeats voxels, expected memory for each")
        channels = [np.array(channel) for channel in channels]
    spans = [_span(keep(raw, channel)) for channel in channels]
    raw.channel_data = keep(raw, ffi.new("const void *[]", [ffi.cast("void *", low) for low, _, _ in spans]))
    raw.channels, raw.strides = len(spans), channels[0].strides
    raw.data_size, raw.offset = spans[0][1:]


def overlap(first: Array, second: Array) -> bool:
    """Whether the stretches of memory from the first to the last byte of two arrays overlap."""
    return bool(np.may_share_memory(first, second))


def _span(array: Array) -> tuple[int, int, int]:
    """Address of the lowest byte, bytes up to the highest, and where voxel (0, 0, 0) lies among them."""
    address = array.__array_interface__["data"][0]
    if array.size == 0:
        return address, 0, 0
    reaches = [(count - 1) * stride for count, stride in zip(array.shape, array.strides)]
    below, above = -sum(min(reach, 0) for reach in reaches), sum(max(reach, 0) for reach in reaches)
    return address - below, below + above + array.itemsize, below
