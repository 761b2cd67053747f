"""The kinds of images: NumPy arrays, SimpleITK's and nibabel's, told apart by what they can do.

Each kind gives its channels as arrays indexed [x, y, z] on the image's own memory, its grid, and a new image of the
same kind to write a result into.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from . import _nifti
from ._buffers import DeviceArray, is_on_device
from ._grid import Grid
from ._native import lib

Array = Any


class Image(Protocol):
    """One of the kinds."""

    channels: list[Array]
    """One array for each channel, indexed [x, y, z]."""
    grid: Grid
    """The grid of all of them, without a shape."""
    scaling: tuple[float, float]
    """Intensity = stored value · first + second."""

    def output(self, dtype: Any, place: Grid | None = None) -> tuple[Any, Array]:
        """A new image of the same kind on the same grid, or on another one that has a shape, and its voxels, indexed
        [x, y, z]."""

    def voxels_of(self, output: Array) -> Array:
        """A caller's array for a result, in the order of this image's axes, indexed [x, y, z]."""


@dataclass(frozen=True)
class ArrayLayout:
    """What a caller tells of an array, which has no grid of its own."""

    grid: Grid | None = None
    axes: str | None = None
    scaling: tuple[float, float] | None = None

    def refuse(self, kind: str) -> None:
        """Raises when something was told of an image that knows it by itself."""
        told = [name for name, value in vars(self).items() if value is not None]
        if told:
            raise TypeError(f"{', '.join(told)} can't be passed with {kind}, which has its own")


def image_of(image: Any, told: ArrayLayout, reader: int | None = None) -> Image:
    """The kind of an image; a list or tuple holds one image for each channel, a grid with a shape no voxels. `reader`, one of
    `VXS_READER_*`, reads the headers of NIfTI files: as ITK unless a model has another one."""
    reader = lib.VXS_READER_ITK if reader is None else reader
    if isinstance(image, Grid):
        if image.shape is None:
            raise ValueError("the grid has no shape, expected Grid(…, shape=(x, y, z)) where there is no image")
        told.refuse("a grid")
        return ArrayImage(np.broadcast_to(np.uint8(0), image.shape[::-1]), ArrayLayout(image))
    if isinstance(image, (list, tuple)):
        if not image:
            raise ValueError("the list of channels is empty")
        members = [image_of(channel, told, reader) for channel in image]
        return members[0] if len(members) == 1 else Channels(members)
    if all(hasattr(image, name) for name in ("GetSpacing", "GetOrigin", "GetDirection", "GetPixelIDValue")):
        told.refuse("a SimpleITK image")
        _nifti.warn_of_itk(image, reader)
        return SimpleItkImage(image)
    if hasattr(image, "affine") and hasattr(image, "dataobj"):
        told.refuse("a nibabel image")
        return NibabelImage(image, reader)
    return ArrayImage(DeviceArray.of(image) if is_on_device(image) else np.asarray(image), told)


class ArrayImage:
    """An array in memory; the caller tells the rest."""

    def __init__(self, array: Array, told: ArrayLayout) -> None:
        axes = told.axes or {3: "zyx", 4: "czyx"}.get(array.ndim, "zyx")
        if sorted(axes) not in (sorted("xyz"), sorted("cxyz")):
            expected = "the letters x, y and z in any order, and c for channels"
            raise ValueError(f"axes is {axes!r}, expected {expected}")
        if array.ndim != len(axes):
            raise ValueError(f"the array has shape {array.shape}, expected {len(axes)} axes ({axes})")
        self.channels = _channels(array, axes)
        self._axes = axes.replace("c", "")
        if told.grid is None:
            raise TypeError("an array has no grid of its own: pass grid=voxseg.Grid((x, y, z)) with millimetres")
        self.grid = told.grid
        self.scaling = (1.0, 0.0) if told.scaling is None else told.scaling

    def output(self, dtype: Any, place: Grid | None = None) -> tuple[Any, Array]:
        voxels = _empty((place and place.shape) or self.channels[0].shape, dtype)
        return voxels.transpose(["xyz".index(axis) for axis in self._axes]), voxels

    def voxels_of(self, output: Array) -> Array:
        return output.transpose([self._axes.index(axis) for axis in "xyz"])


class SimpleItkImage:
    """A SimpleITK.Image."""

    def __init__(self, image: Any) -> None:
        if image.GetDimension() != 3:
            raise ValueError(f"the SimpleITK image has {image.GetDimension()} dimensions, expected 3")
        # Whoever has such an image has imported its package.
        self._package = sys.modules[type(image).__module__.partition(".")[0]]
        self._image = image
        array = self._package.GetArrayViewFromImage(image)
        self.channels = _channels(array, "zyxc" if array.ndim == 4 else "zyx")
        self.grid = Grid(image.GetSpacing(), image.GetOrigin(), image.GetDirection())
        self.scaling = (1.0, 0.0)

    def output(self, dtype: Any, place: Grid | None = None) -> tuple[Any, Array]:
        package: Any = self._package
        kind = {"u": "UInt", "i": "Int", "f": "Float"}[dtype.kind]
        size = (place and place.shape) or self._image.GetSize()
        image = package.Image(size, getattr(package, f"sitk{kind}{8 * dtype.itemsize}"))
        if place is None:
            image.CopyInformation(self._image)
        else:
            image.SetSpacing(place.spacing)
            image.SetOrigin(place.origin)
            image.SetDirection(np.ravel(place.direction).tolist())
        # NumPy's view is read-only since images share memory when copied; this one is new and has its own.
        return image, package.GetArrayViewFromImage(image).transpose()

    def voxels_of(self, output: Array) -> Array:
        return output.transpose()


class NibabelImage:
    """An image of nibabel with three axes, or four where the last one counts channels."""

    def __init__(self, image: Any, reader: int) -> None:
        data = image.dataobj
        # A file's own numbers need neither a copy in memory nor 8 bytes a voxel.
        stored = hasattr(data, "get_unscaled")
        array = data.get_unscaled() if stored else np.asanyarray(data)
        if array.ndim not in (3, 4):
            raise ValueError(f"the image has shape {array.shape}, expected 3 axes, or 4 with channels last")
        self.channels = _channels(array, "xyzc" if array.ndim == 4 else "xyz")
        self._image = image
        if _nifti.tells_grid(image):
            found = _nifti.reading(image, reader)
            self.grid = Grid(found.spacing, found.origin, found.direction, coordinates="RAS")
            self.scaling = found.scaling
            return
        affine = np.array(image.affine, dtype=np.float64)
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if not np.all(np.isfinite(affine)) or not np.all(lengths > 0):
            raise ValueError(f"the image's affine is {affine.tolist()}, expected three axes")
        self.grid = Grid(lengths, affine[:3, 3], affine[:3, :3] / lengths, coordinates="RAS")
        self.scaling = (float(data.slope), float(data.inter)) if stored else (1.0, 0.0)

    def output(self, dtype: Any, place: Grid | None = None) -> tuple[Any, Array]:
        voxels = _empty((place and place.shape) or self.channels[0].shape, dtype)
        affine = self._image.affine
        if place:
            affine = np.eye(4)
            affine[:3, :3] = np.array(place.direction) * place.spacing
            affine[:3, 3] = place.origin
        header = self._image.header.copy()
        header.set_data_dtype(dtype)
        for field in ("cal_min", "cal_max"):
            # The window that a viewer should show the image in is not one for its labels.
            if field in getattr(header, "keys", tuple)():
                header[field] = 0
        return type(self._image)(voxels, affine, header), voxels

    def voxels_of(self, output: Array) -> Array:
        return output


class Channels:
    """Several images of one channel each, on one grid; results are of the first one's kind."""

    def __init__(self, members: Sequence[Image]) -> None:
        first = members[0]
        for number, member in enumerate(members):
            count = len(member.channels)
            if count != 1:
                raise ValueError(f"image {number} of the list has {count} channels, expected 1")
            if member.channels[0].shape != first.channels[0].shape or not member.grid.is_like(first.grid):
                raise ValueError(f"image {number} of the list is not on the grid of the first")
        self.grid, self.scaling = first.grid, first.scaling
        self.channels = [member.channels[0] for member in members]
        self.output, self.voxels_of = first.output, first.voxels_of
        layouts = {(m.channels[0].dtype.str, m.channels[0].strides, m.scaling) for m in members}
        if len(layouts) > 1:
            if any(isinstance(member.channels[0], DeviceArray) for member in members):
                raise ValueError("channels on a device differ in type or layout, expected them alike")
            # The library takes one type and layout for all channels: only then intensities are computed here.
            self.channels = [_intensities(member) for member in members]
            self.scaling = (1.0, 0.0)


def _channels(array: Array, axes: str) -> list[Array]:
    array = _narrowed(array)
    whole = array.transpose([axes.index(axis) for axis in ("cxyz" if "c" in axes else "xyz")])
    return list(whole) if "c" in axes else [whole]


def _narrowed(array: Array) -> Array:
    """64-bit integers, which the library doesn't take, as the narrowest type of its own that holds them."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8 or isinstance(array, DeviceArray) or array.size == 0:
        return array
    low, high = int(array.min()), int(array.max())
    for dtype in (np.int32, np.uint32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype, order="K")
    return array.astype(np.float64, order="K")


def _intensities(image: Image) -> Array:
    slope, intercept = image.scaling
    voxels = _empty(image.channels[0].shape, np.dtype(np.float32))
    voxels[...] = image.channels[0].astype(np.float64) * slope + intercept
    return voxels


def _empty(shape: Sequence[int], dtype: Any) -> Array:
    """An array indexed [x, y, z] whose x lies densest, as in every file format of this field."""
    return np.empty(tuple(shape), dtype, order="F")
