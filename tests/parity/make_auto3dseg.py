#!/usr/bin/env python3
"""Makes further Auto3DSeg cases for the parity test: the chain of SlicerMONAIAuto3DSeg's script
`auto3dseg_segresnet_inference.py`, put together from MONAI's own transforms, around small networks with random weights.

    V/bin/pip install SimpleITK, and what make_bundles.py needs
    V/bin/python tests/parity/make_auto3dseg.py IMAGES FOLDER [CASES]
"""
import json, sys
from pathlib import Path

import numpy as np, SimpleITK, torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInfererAdapt
from monai.networks.nets import SegResNetDS
from monai.transforms import (CropForegroundd, Invertd, KeepLargestConnectedComponent, NormalizeIntensity, Orientationd,
                              ScaleIntensityRange, Spacingd, Compose)

from make_bundles import fit, inputs, margin, write

NETWORK = {"_target_": "SegResNetDS", "init_filters": 8, "blocks_down": [1, 1, 2], "norm": "INSTANCE", "dsdepth": 2,
           "in_channels": 1, "out_channels": 5}
BASE = {"sigmoid": False, "orientation_ras": True, "crop_foreground": False, "resample_resolution": [2.0, 2.7, 3.9], "normalize_mode": "range",
        "intensity_bounds": [-200.0, 300.0], "roi_size": [32, 32, 24], "resample": True, "modality": "ct"}
MRI = {"normalize_mode": "meanstd", "intensity_bounds": [0.0, 800.0], "resample_resolution": [2.0, 2.0, 6.0], "roi_size": [40, 40, 16]}
BRATS = {**MRI, "sigmoid": True, "extra_modalities": {f"m{n}": "meanstd" for n in range(3)}, "in_channels": 4, "out_channels": 3}

# Name (which tells the script, not voxseg, a few models apart): input, what differs from the usual, arguments.
CASES = {
    "range_oblique": ("ct_oblique", {}, []),
    "two_inputs": ("mr2", {**MRI, "extra_modalities": {"t2": "range"}, "in_channels": 2}, []),
    "two_inputs_tanh": ("mr2", {**MRI, "normalize_mode": "range", "extra_modalities": {"t2": "meanstdtanh"}, "in_channels": 2}, []),
    "sigmoid_of_three": ("ct_PLI", {"sigmoid": True, "out_channels": 3}, []),
    "meanstdtanh": ("ct_LIP", {"normalize_mode": "meanstdtanh"}, []),
    "pet": ("ct_LPS", {"normalize_mode": "pet"}, []),
    "unnormalised": ("mr_LAS", {**MRI, "normalize_mode": "none"}, []),
    "not_oriented": ("ct_PLI", {"orientation_ras": False, "crop_foreground": True}, []),
    "not_resampled": ("ct_PLI", {"resample_resolution": None}, []),
    "crop_published": ("patch_PLI", {"crop_foreground": True}, []),
    "crop_corrected": ("patch_PLI", {"crop_foreground": True}, ["--corrected-crop"]),
    "crop_published_lip": ("patch_LIP", {"crop_foreground": True}, []),
    "crop_corrected_lip": ("patch_LIP", {"crop_foreground": True}, ["--corrected-crop"]),
    "whole-head-tiny": ("ct_LIP", {"crop_foreground": True}, ["--auto3dseg", "whole-head"]),
    "brats-tiny": ("mr4", {**BRATS, "crop_foreground": True}, []),
}


def load(path):
    """An image with the affine, in RAS, of what ITK hands over."""
    image = SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine = np.diag([-1, -1, 1, 1]) @ affine
    return MetaTensor(torch.from_numpy(SimpleITK.GetArrayFromImage(image).transpose().copy())[None], affine=affine)


def normalise(image, mode, bounds):
    if mode in ("range", "ct"):
        return torch.sigmoid(ScaleIntensityRange(a_min=bounds[0], a_max=bounds[1], b_min=-1, b_max=1, clip=False)(image))
    if mode in ("meanstd", "mri", "meanstdtanh"):
        image = NormalizeIntensity(nonzero=True, channel_wise=True)(image)
        return 3 * torch.tanh(image / 3) if mode == "meanstdtanh" else image
    if mode == "pet":
        return torch.sigmoid((image - image.min()) / image.std())
    return image


def chain(config, brats, corrected):
    steps = []
    if config["orientation_ras"]:
        steps.append(Orientationd(["image", "image1"] if corrected else ["image"], axcodes="RAS"))
    if config["crop_foreground"]:
        steps.append(CropForegroundd(["image"], source_key="image" if brats else "image1", margin=10, allow_smaller=True))
    if config["resample_resolution"]:
        pixdim = np.array(config["resample_resolution"])
        steps.append(Spacingd(["image"], pixdim=pixdim, mode=["bilinear"], dtype=torch.float, min_pixdim=pixdim * 0.75, max_pixdim=pixdim * 1.25))
    return Compose(steps)


def make(name, key, changes, arguments, folder, images):
    brats, model = "brats" in name, folder / name
    model.mkdir(parents=True, exist_ok=True)
    config = {**BASE, **{key: value for key, value in changes.items() if key not in NETWORK}}
    config["network"] = {**NETWORK, **{key: value for key, value in changes.items() if key in NETWORK}}
    parts = [load(path) for path in images]
    modes = [config["normalize_mode"], *config.get("extra_modalities", {}).values()]
    image = [part if brats else normalise(part, mode, config["intensity_bounds"]) for part, mode in zip(parts, modes)]
    data = {"image": MetaTensor(torch.cat([part.as_tensor() for part in image]), affine=parts[0].affine), "image1": parts[0].clone()}
    transform = chain(config, brats, "--corrected-crop" in arguments)
    data = transform(data)
    if brats: data["image"] = normalise(data["image"], modes[0], config["intensity_bounds"])
    network = SegResNetDS(**{key: value for key, value in config["network"].items() if key != "_target_"})
    inferer = SlidingWindowInfererAdapt(roi_size=config["roi_size"], sw_batch_size=1, overlap=0.625, mode="gaussian", cache_roi_weight_map=False)
    torch.manual_seed(len(name))
    run = lambda: inferer(data["image"][None].as_tensor(), network)
    with torch.no_grad():
        fit(network, run, config["network"]["out_channels"])
        scores = run()[0]
    gap = margin(scores, config["sigmoid"], False)[None]
    pred = (scores.sigmoid() >= 0.5).to(torch.uint8) if config["sigmoid"] else scores.softmax(0).argmax(0, keepdim=True).to(torch.uint8)
    data |= {"pred": MetaTensor(pred, meta=data["image"].meta), "margin": MetaTensor(gap - 255, meta=data["image"].meta)}
    data = Invertd(["pred", "margin"], transform=transform, orig_keys="image", nearest_interp=True)(data)
    pred = data["pred"].as_tensor()
    if "whole-head" in name:
        pred = KeepLargestConnectedComponent(num_components=2)(pred)
    if brats:
        merged = torch.zeros_like(pred[:1])
        merged[pred.sum(0, keepdim=True) > 0] = 2
        merged[pred[1:].sum(0, keepdim=True) > 0] = 1
        merged[pred[2:].sum(0, keepdim=True) > 0] = 3
        pred = merged
    elif config["sigmoid"]:
        # The script writes the first class only; here later ones are written over it.
        merged = torch.zeros_like(pred[:1])
        for number, part in enumerate(pred): merged[part[None] > 0] = number + 1
        pred = merged
    torch.save({"state_dict": network.state_dict(), "config": config, "epoch": 1, "best_metric": 0.5}, model / "model.pt")
    table = "".join(f"{value},label {value}\n" for value in range(1, 1 + config["network"]["out_channels"]))
    (model / "labels.csv").write_text("LabelValue,Name\n" + table)
    return write(name, folder, np.asarray(pred[0]).astype(np.uint8), np.asarray(data["margin"].as_tensor()[0]) + 255, images, name, arguments)


if __name__ == "__main__":
    folder = Path(sys.argv[2]).resolve()
    images = inputs(Path(sys.argv[1]).resolve(), folder / "images")
    images["mr2"] = images["mr4"][1:3]
    made = []
    for name in CASES if len(sys.argv) < 4 else sys.argv[3:]:
        key, changes, arguments = CASES[name]
        made.append(make(name, key, changes, arguments, folder, images[key]))
        (folder / "cases.json").write_text(json.dumps(made, indent=1))
    print(len(made), "cases in", folder)
