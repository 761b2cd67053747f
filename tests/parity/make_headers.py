"""Headers of NIfTI files, and what SimpleITK, nibabel and MONAI read of them.

    make_headers.py FOLDER [COUNT] [SEED]

Writes FOLDER/headers.json: COUNT headers (2,000 unless told) that mix codes, units, slopes, shapes, lengths and shears,
each with the grid and the scaling that each reader gives, or the word "refused". `VOXSEG_HEADER_CASES=FOLDER cargo test
--lib nifti -- --nocapture` compares. Needs numpy, SimpleITK and nibabel; MONAI's answers only where monai is installed.
"""

import json
import logging
import pathlib
import struct
import sys
import tempfile

import nibabel
import numpy as np
import SimpleITK

try:
    from monai.data.utils import correct_nifti_header_if_necessary
except ImportError:
    correct_nifti_header_if_necessary = None

logging.getLogger("nibabel").setLevel(logging.CRITICAL)
SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)


def rotation(random, kind):
    """A matrix of axes: along the patient's, flipped, permuted or oblique."""
    axes = np.eye(3)
    if kind in ("flipped", "permuted"):
        axes = axes * random.choice([-1.0, 1.0], 3)
    if kind == "permuted":
        axes = axes[:, random.permutation(3)]
    if kind == "oblique":
        axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return axes


def shear_of(random):
    return random.choice([0.0] * 6 + [1e-6, 3e-5, 2e-4, 2e-3, 0.27])


def header_of(random):
    header = nibabel.Nifti1Header()
    pick = random.choice
    shape = [int(n) for n in random.integers(2, 6, 3)]
    header.set_data_shape(shape)
    header.set_data_dtype(np.int16)
    spacing = pick([[3.0, 3.0, 3.0], [1.5, 1.5, 5.0], [0.7, 0.9, 1.1]])
    spacing = np.array(spacing)
    first = rotation(random, pick(["along", "flipped", "permuted", "oblique"]))
    second = first if random.random() < 0.6 else rotation(random, pick(["along", "flipped", "oblique"]))
    origin = random.normal(size=3) * 100
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = first * spacing, origin
    header.set_qform(affine, code=int(pick([0, 1, 1, 2, 3])))
    other = np.eye(4)
    slant = np.eye(3)
    slant[0, 1] = shear_of(random)
    other[:3, :3], other[:3, 3] = second @ slant * spacing, origin
    if random.random() < 0.15:
        other[:3, 3] += random.normal(size=3) * pick([1e-6, 1e-3, 10.0])
    if random.random() < 0.15:
        other[:3, :3] *= pick([1 / 3.0, 1.0002, 1.01, 3.0])
    if random.random() < 0.04:
        other[:3, :3] = 0
    header.set_sform(other, code=int(pick([0, 1, 1, 2, 2, 4])))
    if random.random() < 0.2:
        header["pixdim"][1:4] = pick([[1, 1, 1], [0, 0, 0], [3, 0, 3], [-3, 3, 3], [3, 3, -3], [3, 3, 3.0001]])
    if random.random() < 0.1:
        header["pixdim"][0] = pick([0, -1, 1, 5, -3])
    header["xyzt_units"] = int(pick([0, 2, 2, 2, 10, 1, 3, 18]))
    header["scl_slope"] = pick([np.nan, 0, 1, 1, 2, 0.5, np.inf])
    header["scl_inter"] = pick([0, 0, -1024, np.nan, 7.5])
    fourth = pick([None, None, None, 1, 0, 3])
    if fourth is not None:
        header["dim"][0] = 4
        header["dim"][4] = fourth
        header["pixdim"][4] = pick([0, 1, 2.5])
    if random.random() < 0.05:
        header["qform_code"] = int(pick([7, -1]))
    if random.random() < 0.05:
        header["sform_code"] = int(pick([7, -1]))
    if random.random() < 0.05:
        header["quatern_b"] = pick([0.9, 1.2])
    header["vox_offset"] = 352
    header["magic"] = b"n+1\0"
    return header.binaryblock


def grid(affine, spacing):
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    lps = np.diag([-1.0, -1.0, 1.0])
    if not np.all(np.isfinite(affine)) or np.any(lengths == 0):
        return "no grid"
    direction = lps @ (affine[:3, :3] / lengths)
    return {
        "spacing": [float(value) for value in spacing],
        "origin": [float(value) for value in lps @ affine[:3, 3]],
        "direction": [float(value) for value in direction.ravel()],
    }


def by_simpleitk(path):
    try:
        image = SimpleITK.ReadImage(path)
    except RuntimeError:
        return "refused"
    size = image.GetDimension()
    direction = np.reshape(image.GetDirection(), (size, size))[:3, :3]
    value = float(SimpleITK.GetArrayViewFromImage(image).ravel()[0])
    found = {
        "spacing": list(image.GetSpacing()[:3]),
        "origin": list(image.GetOrigin()[:3]),
        "direction": [float(value) for value in direction.ravel()],
    }
    return found | {"value": value if np.isfinite(value) else None}


def by_nibabel(path):
    """The affine's columns; nnU-Net's two readers; MONAI's."""
    found = {}
    try:
        image = nibabel.load(path)
        affine = np.array(image.affine)
        stored = image.dataobj.get_unscaled().ravel()[:1]
        slope, inter = image.dataobj.slope, image.dataobj.inter
        value = float(stored[0] * slope + inter) if stored.size else None
    except Exception:
        return {name: "refused" for name in ("nibabel", "nibabel-io", "nibabel-io-reorient", "monai")}
    columns = np.linalg.norm(affine[:3, :3], axis=0)
    zooms = image.header.get_zooms()[:3]
    found["nibabel"] = grid(affine, columns)
    found["nibabel-io"] = grid(affine, zooms)
    try:
        canonical = bool(np.all(nibabel.io_orientation(affine) == [[0, 1], [1, 1], [2, 1]]))
    except Exception:
        canonical = True
    found["nibabel-io-reorient"] = grid(affine, zooms if canonical else np.float32(columns))
    if correct_nifti_header_if_necessary is not None:
        try:
            mended = np.array(correct_nifti_header_if_necessary(nibabel.load(path)).affine)
            found["monai"] = grid(mended, np.linalg.norm(mended[:3, :3], axis=0))
        except Exception:
            found["monai"] = "refused"
    for reading in found.values():
        if isinstance(reading, dict):
            reading["value"] = value
    return found


def main():
    folder = pathlib.Path(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    random = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else 15)
    cases = []
    with tempfile.TemporaryDirectory() as scratch:
        path = str(pathlib.Path(scratch) / "image.nii")
        for _ in range(count):
            header = header_of(random)
            # Enough voxels for any of the shapes, each 100.
            pathlib.Path(path).write_bytes(header + b"\0" * 4 + struct.pack("<h", 100) * 5**3 * 3)
            readings = {"itk": by_simpleitk(path)} | by_nibabel(path)
            cases.append({"header": header.hex(), "readings": readings})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "headers.json").write_text(json.dumps({"stored": 100, "cases": cases}))


if __name__ == "__main__":
    main()
