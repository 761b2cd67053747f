#!/usr/bin/env python3
"""Makes the golden values of nearest voxels on grids made of ties, with the functions of the references themselves.

    python -m venv V && V/bin/pip install monai==1.6.1 nibabel scipy scikit-image pandas einops torch
    V/bin/pip install --no-deps nnunetv2==2.8.1 batchgenerators==0.25.5
    V/bin/python tests/parity/make_nearest.py                    # the values of the suite: tests/parity/data/nearest.json
    V/bin/python tests/parity/make_nearest.py FILE 5000 SEED     # more cases, to try once
    VOXSEG_NEAREST=FILE cargo test --lib nearest_voxels -- --nocapture

The last bits depend on the kernels of OpenBLAS and MKL: run it on a processor with AVX-512.
"""
import json, sys, warnings
from pathlib import Path

import numpy as np, torch
from monai.data import MetaTensor
from monai.transforms import Compose, CropForegroundd, Invertd, Orientationd, Spacingd, SpatialPadd
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg
from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet
from scipy import ndimage
from scipy.spatial.transform import Rotation
from skimage.transform import resize

warnings.filterwarnings("ignore")
random = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else 11)
choose = lambda *options: options[random.integers(len(options))]
bits = lambda numbers: np.asarray(numbers, float).view(np.uint64).tolist()


def digest(numbers):
    """FNV-1a over whole numbers, 32 bits each, last axis fastest."""
    value = 0xCBF29CE484222325
    for byte in np.ascontiguousarray(numbers).astype("<i4").tobytes():
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


def lengths():
    """Of an axis: the shape, the image's spacing and the new one, mostly in a ratio of small or odd whole numbers."""
    new = choose(1.5, 3.0, 0.75, 1.0, 2.5, 1.3, 0.8)
    ratio = choose(1, 1 / 2, 2, 1 / 3, 3, 3 / 5, 5 / 3, 13 / 15, 15 / 13, 11 / 15, 19 / 15, 7 / 9, 9 / 7, random.uniform(0.4, 2.5))
    return int(choose(1, 2, 3, random.integers(4, 18))), new * ratio, new


def monai():
    """An image through Orientation, crops, Spacing and padding, and indices of what came out on the way back."""
    size, own, new = map(np.array, zip(*(lengths() for _ in range(3))))
    kind = choose("straight", "turned", "turned", "tilted", "tilted", "sheared")
    turn = np.eye(3)[random.permutation(3)]
    if kind == "turned": turn = Rotation.random(rng=random).as_matrix()
    if kind in ("tilted", "sheared"): turn = Rotation.from_rotvec(np.radians(random.choice([0, 0, 4, -5, 9, -6, 0.5], 3))).as_matrix() @ turn
    affine = np.eye(4)
    if kind == "sheared": turn = turn @ (np.eye(3) + np.triu(random.uniform(-4e-4, 4e-4, (3, 3)), 1))
    affine[:3, :3] = turn * random.choice([-1, 1], 3) * own
    affine[:3, 3] = random.uniform(-200, 200, 3)
    single = random.random() < 0.8
    if single: affine = affine.astype(np.float32).astype(float)
    # What people hand over is a spacing and a direction; only of single precision does the affine come back from them.
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(0))
    direction = affine[:3, :3] / spacing
    if not single: affine[:3, :3] = direction * spacing
    case = {"shape": size.tolist(), "spacing": bits(spacing), "direction": bits(direction), "origin": bits(affine[:3, 3]),
            "axes": choose("RAS", "LPS", None), "before": bool(random.random() < 0.2), "pixdim": bits(new), "corners": bool(random.random() < 0.3),
            "border": bool(random.random() < 0.7), "single": bool(random.random() < 0.25), "after": bool(random.random() < 0.2), "pad": choose(None, None, 20)}
    steps = []
    if case["axes"]: steps.append(Orientationd("image", axcodes=case["axes"]))
    if case["before"]: steps.append(CropForegroundd("image", source_key="image", margin=1))
    steps.append(Spacingd("image", pixdim=tuple(new), align_corners=case["corners"], padding_mode="border" if case["border"] else "zeros",
                          dtype=np.float32 if case["single"] else np.float64))
    if case["after"]: steps.append(CropForegroundd("image", source_key="image"))
    if case["pad"]: steps.append(SpatialPadd("image", spatial_size=case["pad"]))
    # An ellipsoid in air, so that crops have something to find; its surface lies at no voxel.
    at = np.stack(np.meshgrid(*[(np.arange(n) - (n - 1) / 2) / (n / 2.3) for n in size], indexing="ij"))
    values = np.where((at ** 2).sum(0) < 1, 1.0, -1.37).astype(np.float32)
    steps = Compose(steps)
    data = steps({"image": MetaTensor(values[None], affine=torch.tensor(affine))})
    out = data["image"].shape[1:]
    data["pred"] = MetaTensor(torch.arange(1, 1 + int(np.prod(out)), dtype=torch.float32).reshape(1, *out), meta=data["image"].meta)
    back = Invertd("pred", steps, "image", nearest_interp=True)(data)["pred"][0]
    if not back.any(): raise ValueError("the foreground lies between all samples")
    return {**case, "out": list(out), "back": digest(back.numpy())}


def some(make, count):
    """Cases; what the references make nothing of is left out."""
    cases = []
    while len(cases) < count:
        try: cases.append(make())
        except (ValueError, RuntimeError, IndexError): pass
    return cases


def lines(resample):
    """The inputs of each output along an axis, of all pairs of short lengths and some long ones: one number a length."""
    long = [97, 128, 301, 512]
    pairs = [(n, m) for n in range(1, 49) for m in range(1, 49)] + [(n, m) for n in long for m in [*long, 64, 171, 300, 513]]
    lines = {}
    for n, m in pairs:
        found = np.arange(n) if n == m else resample(np.arange(n), m)
        lines.setdefault(n, []).append(np.rint(np.asarray(found)).astype(int))
    return [[n, digest(np.concatenate(found))] for n, found in lines.items()]


def zoom(line, to):
    """As TotalSegmentator's `change_spacing` calls it for labels."""
    return ndimage.zoom(line.astype(float)[:, None, None], (to / len(line), 1, 1), order=0, mode="nearest")[:, 0, 0]


def nnunet():
    """Labels of a cascade's previous stage: blocks of labels, on a grid in a ratio that makes ties."""
    size = random.integers(1, 9, 3)
    to = np.array([choose(n, 2 * n, 3 * n, max(1, n // 2), max(1, n * 3 // 5), n * 5 // 3, int(random.integers(1, 14))) for n in size])
    block = choose(1, 2, 3)
    labels = np.kron(random.integers(choose(-1, 0), choose(2, 3, 6), -(-size // block)), np.ones((block,) * 3, int))[:size[0], :size[1], :size[2]]
    axis, order, way = choose(None, None, 0, 1, 2), choose(0, 1, 1), choose("spline", "spline", "torch", "memory_efficient")
    # PyTorch's interpolation in a plane rounds otherwise than in space, which the memory-efficient way may feel at one half.
    if way == "memory_efficient": axis = None
    data = labels[None].astype(np.int16)
    if way == "spline":
        out = resample_data_or_seg(data, to, True, axis, order, axis is not None, 0)
    else:
        spacing = [1.0, 1.0, 1.0]
        if axis is not None: spacing[axis] = 5.0
        out = resample_torch_fornnunet(data, to, spacing, spacing, is_seg=True, memefficient_seg_resampling=way == "memory_efficient", force_separate_z=axis is not None)
    return {"labels": "".join("m012345678"[value + 1] for value in labels.ravel()), "shape": size.tolist(), "to": to.tolist(),
            "axis": axis, "order": order, "way": way, "out": digest(out[0])}


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "data/nearest.json"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    nearest = lambda mode: lambda line, to: torch.nn.functional.interpolate(torch.tensor(line, dtype=torch.float32)[None, None], to, mode=mode)[0, 0]
    lists = {
        "monai": some(monai, count),
        "zoom": lines(zoom),
        "resize": lines(lambda line, to: resize(line.astype(float), (to,), 0, mode="edge", clip=True, anti_aliasing=False)),
        "exact": lines(nearest("nearest-exact")),
        "below": lines(nearest("nearest")),
        "nnunet": some(nnunet, count),
    }
    text = ",\n".join(f'"{name}": [\n' + ",\n".join(json.dumps(value, separators=(",", ":")) for value in values) + "\n]" for name, values in lists.items())
    file.write_text("{" + text + "}\n")
    print({name: len(values) for name, values in lists.items()}, file.stat().st_size, "bytes in", file)
