"""Headers of NIfTI files, read as a model's own reader reads them: by the library, as its tool does it."""

from __future__ import annotations

import struct
import warnings
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from ._errors import Error, call
from ._native import ffi, lib
from ._structures import initialised
from ._text import text

# What a header says of the grid.
_FIELDS: tuple[str, ...]
_FIELDS = ("dim", "pixdim", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d")
_FIELDS += ("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z")


class HeaderWarning(UserWarning):
    """A NIfTI header contradicts itself: the text says in what, and what counts."""


class Reading(NamedTuple):
    """What a reader makes of a header, in RAS coordinates."""

    spacing: Any
    origin: Any
    direction: Any
    scaling: tuple[float, float]


def tells_grid(image: Any) -> bool:
    """Whether one of nibabel's images has a header of NIfTI-1 or NIfTI-2, and the grid that this tells: an affine that was
    changed in memory counts for itself."""
    header = image.header
    if not (hasattr(header, "binaryblock") and hasattr(header, "get_sform")):
        return False
    return np.allclose(image.affine, header.get_best_affine(), equal_nan=True)


def reading(image: Any, reader: int) -> Reading:
    """The header of one of nibabel's images as `reader`, one of `VXS_READER_*`, reads it."""
    header, data = image.header, image.dataobj
    raw = _file_header(image)
    found = _parse(_in_memory(header) if raw is None else raw, reader)
    if raw is None and hasattr(data, "slope"):
        # nibabel keeps the scaling of a file apart from the header.
        found = found._replace(scaling=(float(data.slope), float(data.inter)))
    return found if hasattr(data, "get_unscaled") else found._replace(scaling=(1.0, 0.0))


def _file_header(image: Any) -> bytes | None:
    """The header as it is in the image's file, which nibabel mends when it opens one; None where the image has no file, or
    its header was changed since."""
    if not hasattr(image.dataobj, "get_unscaled"):
        return None
    places = image.file_map
    try:
        with places.get("header", places.get("image")).get_prepare_fileobj("rb") as file:
            raw = file.read(image.header.sizeof_hdr)
        fresh = type(image.header).from_fileobj(BytesIO(raw))
    except Exception:
        # The file may be gone, or be another one by now; what nibabel holds is what counts then.
        return None
    same = all(np.array_equal(fresh[name], image.header[name], equal_nan=True) for name in _FIELDS)
    return raw if same else None


def _in_memory(header: Any) -> bytes:
    """The header as a file would have it: nibabel keeps no place of voxels in memory."""
    copy = header.copy()
    copy["vox_offset"] = 352 if copy.sizeof_hdr == 348 else 544
    block: bytes = copy.binaryblock
    return block


def _parse(raw: bytes, reader: int) -> Reading:
    place = ffi.new("vxs_nifti **")
    call(lib.vxs_nifti_parse, ffi.from_buffer(raw), len(raw), reader, place)
    parsed = ffi.gc(place[0], lib.vxs_nifti_free)
    note = lib.vxs_nifti_note(parsed)
    if note != ffi.NULL:
        warnings.warn(text(note), HeaderWarning, stacklevel=6)
    volume = initialised("vxs_volume")
    call(lib.vxs_nifti_volume, parsed, volume)
    turn = np.array([-1.0, -1.0, 1.0])
    direction = np.reshape(list(volume.direction), (3, 3)) * turn[:, None]
    scaling = (volume.slope, volume.intercept)
    return Reading(np.array(list(volume.spacing)), np.array(list(volume.origin)) * turn, direction, scaling)


def warn_of_itk(image: Any, reader: int) -> None:
    """Says when a SimpleITK image came out of a NIfTI file that the model's own reader reads otherwise. ITK keeps the header
    in six digits, too few to read it anew."""
    keys = set(image.GetMetaDataKeys())
    if reader == lib.VXS_READER_ITK or not {"sform_code", "qform_code", "srow_x"} <= keys:
        return
    raw = _itk_header(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeaderWarning)
        try:
            own, its = _parse(raw, reader), _parse(raw, lib.VXS_READER_ITK)
        except Error:
            return
    pairs = list(zip(own[:3], its[:3]))
    if not all(np.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in pairs):
        (spacing, itk_spacing), (origin, itk_origin), _ = pairs
        message = (
            f"ITK read spacing {itk_spacing} and origin {itk_origin} out of this image's file, where the model's own reader reads "
            f"{spacing} and {origin} (RAS), or other axes: pass the image as nibabel reads it"
        )
        warnings.warn(message, HeaderWarning, stacklevel=5)


def _itk_header(image: Any) -> bytes:
    """A header with what ITK keeps of the one in an image's file."""
    header = bytearray(348)

    def put(offset: int, kind: str, *names: str) -> None:
        words = [word for name in names for word in image.GetMetaData(name).split()]
        numbers = [float(word) if kind == "f" else int(word) for word in words]
        struct.pack_into(f"={len(numbers)}{kind}", header, offset, *numbers)

    struct.pack_into("=i", header, 0, len(header))
    put(40, "h", *(f"dim[{axis}]" for axis in range(8)))
    put(70, "h", "datatype")
    put(76, "f", *(f"pixdim[{axis}]" for axis in range(8)))
    struct.pack_into("=f", header, 108, 352.0)
    put(123, "B", "xyzt_units")
    put(252, "h", "qform_code", "sform_code")
    put(256, "f", *(f"quatern_{part}" for part in "bcd"), *(f"qoffset_{axis}" for axis in "xyz"))
    put(280, "f", *(f"srow_{axis}" for axis in "xyz"))
    struct.pack_into("4s", header, 344, b"n+1")
    return bytes(header)
