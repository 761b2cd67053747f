#!/usr/bin/env python3
"""Makes random cases for `transforms` of the parity test with MONAI: its results for small arrays.

    python -m venv V && V/bin/pip install monai==1.6.1 scikit-image scipy
    V/bin/python tests/parity/make_transforms.py FOLDER [CASES]
    VOXSEG_TRANSFORMS=FOLDER cargo test --test parity transforms -- --nocapture
"""
import json, sys, warnings
from pathlib import Path

import numpy as np, torch
from monai.data import MetaTensor
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers.utils import _get_scan_interval
from monai.transforms import (CropForeground, KeepLargestConnectedComponent, NormalizeIntensity, Resize, ScaleIntensity,
                              ScaleIntensityRange, Spacing, SpatialPad)
from scipy.spatial.transform import Rotation

warnings.filterwarnings("ignore")
random = np.random.default_rng(5)
choose = lambda *options: options[random.integers(len(options))]
shape = lambda most=20: [int(n) for n in random.integers(1, most, 3)]
bits = []


def keep(array):
    """Appends an array to the data file; returns its shape and place."""
    array = np.ascontiguousarray(np.asarray(array), np.float32)
    bits.append(array)
    return {"shape": list(array.shape), "at": sum(b.size for b in bits[:-1])}


def exact(numbers):
    """Doubles as their bits, since not every JSON parser rounds decimals correctly."""
    return np.asarray(numbers, float).view(np.uint64).tolist()


def image(channels, size, zeros=0.0):
    values = random.normal(100, 300, (channels, *size)).astype(np.float32)
    values[random.random(values.shape) < zeros] = 0
    return values


def spacing():
    oblique, size = random.random() < 0.4, shape(24)
    if random.random() < 0.5:
        out = random.choice([1.5, 3.0, 0.75, 2.0, 1.0], 3); own = out * random.choice([0.5, 2, 1 / 3, 1, 1.5, 3, 1.0003], 3)
    else:
        own, out = random.uniform(0.4, 5, 3), random.uniform(0.7, 4, 3)
    turn = Rotation.random(rng=random).as_matrix() if oblique else np.eye(3)[random.permutation(3)]
    affine = np.eye(4)
    affine[:3, :3] = turn * random.choice([-1, 1], 3) * own
    affine[:3, 3] = random.uniform(-200, 200, 3)
    if random.random() < 0.7: affine = affine.astype(np.float32).astype(float)
    bounds = dict(min_pixdim=out * 0.75, max_pixdim=out * 1.25) if random.random() < 0.3 else {}
    double, corners, padding = choose(True, False), choose(True, False), choose("border", "zeros")
    rule = dict(pixdim=tuple(out), align_corners=corners, padding_mode=padding, dtype=np.float64 if double else np.float32, **bounds)
    values = image(1, size)
    result = {"affine": exact(affine), "pixdim": exact(out), "bounds": bool(bounds), "corners": corners, "border": padding == "border",
              "single": not double, "oblique": oblique, "image": keep(values[0])}
    meta = lambda data, like=None: MetaTensor(data, affine=torch.tensor(affine)) if like is None else MetaTensor(
        data, affine=like.affine, applied_operations=[dict(o, extra_info=dict(o["extra_info"])) for o in like.applied_operations])
    for mode in "bilinear", "nearest":
        rule["mode"] = mode
        step = Spacing(**rule)
        out_image = step(meta(values))
        numbers = random.integers(0, 1 << 20, out_image.shape).astype(np.float32)
        result[mode] = {"forward": keep(out_image[0]), "labels": keep(numbers[0]), "inverse": keep(step.inverse(meta(numbers, out_image))[0])}
    return result


def intensity():
    channels, name = choose(1, 3), choose("range", "scale", "normalize", "sigmoid", "tanh", "pet")
    values = image(channels, shape(12), choose(0, 0.3, 1) if random.random() < 0.8 else 0.5)
    low, high = sorted(random.normal(0, 300, 2))
    optional = lambda: choose(None, float(random.normal()))
    ends = [optional(), optional()]
    wise, nonzero, clip = choose(True, False), choose(True, False), choose(True, False)
    given = random.random() < 0.3
    sub, div = ([float(x) for x in random.uniform(1, 300, channels)] for _ in range(2)) if given and wise else (None, None)
    run = {
        "range": lambda x: ScaleIntensityRange(low, high, *ends, clip=clip and ends != [None, None])(x),
        "scale": lambda x: ScaleIntensity(*ends, channel_wise=wise)(x) if ends != [None, None] else x,
        "normalize": lambda x: NormalizeIntensity(sub, div, nonzero, wise)(x),
        "sigmoid": lambda x: torch.sigmoid(x / 50), "tanh": lambda x: 3 * torch.tanh((x / 50) / 3),
        "pet": lambda x: (x - x.min()) / x.std(),
    }[name]
    source = values / np.float32(50) if name in ("sigmoid", "tanh") else values
    return {"name": name, "from": [low, high], "to": ends, "clip": clip and ends != [None, None], "wise": wise, "nonzero": nonzero,
            "sub": sub, "div": div, "image": keep(source), "out": keep(run(torch.tensor(values)))}


def foreground():
    values = image(choose(1, 2), shape(14)) - 100
    values[random.random(values.shape) < choose(0.5, 0.98)] = -1
    margin, smaller, k = [int(n) for n in random.integers(0, 5, 3)], choose(True, False), [int(n) for n in random.integers(0, 5, 3)]
    if not (values > 0).any(): values[0, 0, 0, 0] = 1
    mode = choose("constant", "edge", "minimum")
    step = CropForeground(margin=margin, allow_smaller=smaller, k_divisible=k, mode=mode)
    start, end = step.compute_bounding_box(torch.tensor(values))
    cut = step(MetaTensor(values))
    return {"margin": margin, "smaller": smaller, "k": k, "mode": mode, "start": start.tolist(), "end": end.tolist(),
            "image": keep(values), "out": keep(cut), "back": keep(step.inverse(cut))}


def resize():
    values, to = image(1, shape(14)), shape(20)
    return {"image": keep(values[0]), "linear": keep(Resize(to, mode="trilinear")(values)[0]), "nearest": keep(Resize(to, mode="nearest")(values)[0])}


def pad():
    values, to, end = image(1, shape(9)), shape(12), choose(True, False)
    return {"to": to, "end": end, "image": keep(values[0]), "out": keep(SpatialPad(to, method="end" if end else "symmetric")(values)[0])}


def windows():
    size, roi, overlap = shape(300), shape(200), [float(x) for x in random.choice([0, 0.25, 0.5, 0.625, 0.7, 0.75, 0.8, 0.9], 3)]
    whole = tuple(max(a, b) for a, b in zip(size, roi))
    slices = dense_patch_slices(whole, roi, _get_scan_interval(whole, roi, 3, overlap))
    small, sigma = shape(40), [float(x) for x in random.uniform(0.1, 0.4, 3)]
    return {"image": size, "roi": roi, "overlap": overlap, "starts": [sorted({int(s[axis].start) for s in slices}) for axis in range(3)],
            "map_roi": small, "sigma": sigma, "map": keep(compute_importance_map(tuple(small), "gaussian", sigma))}


def components():
    labels = (random.integers(1, 4, shape(10)) * (random.random() > random.random(1)))[None].astype(np.float32)
    labels = np.where(random.random(labels.shape) < random.uniform(0.2, 0.9), 0, labels).astype(np.float32)
    rule = dict(applied_labels=choose(None, [1], [1, 3], [2, 1, 3]), independent=choose(True, False), connectivity=choose(None, 1, 2, 3), num_components=choose(1, 2, 3))
    return {**rule, "labels": keep(labels[0]), "out": keep(KeepLargestConnectedComponent(is_onehot=False, **rule)(labels.copy())[0])}


if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 300
    folder.mkdir(parents=True, exist_ok=True)
    kinds = (spacing, intensity, foreground, resize, pad, windows, components)
    cases = {kind.__name__: [kind() for _ in range(count)] for kind in kinds}
    np.concatenate([b.ravel() for b in bits]).tofile(folder / "data.f32")
    (folder / "transforms.json").write_text(json.dumps(cases))
    print({name: len(made) for name, made in cases.items()}, "in", folder)
