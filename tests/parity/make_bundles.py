#!/usr/bin/env python3
"""Makes further cases for the parity test with MONAI itself: published configs around small networks with random
weights, variations of every setting around one more, and the labels that MONAI's own bundle saves.

    python -m venv V && V/bin/pip install monai==1.6.1 itk nibabel scikit-image einops
    V/bin/python tests/parity/make_bundles.py IMAGES ZOO FOLDER [CASES]
    VOXSEG_CASES=FOLDER cargo test --test parity further -- --nocapture

IMAGES is the folder of the reference data's images, ZOO that with the configs of MONAI's model zoo.
"""
import copy, json, sys, tempfile, warnings
from pathlib import Path

import nibabel, numpy as np, torch, yaml
from monai.bundle import ConfigParser
from monai.data import decollate_batch, list_data_collate
from monai.inferers import SlidingWindowInferer
from monai.transforms import Invertd
from scipy.spatial.transform import Rotation

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


def image(source, name, folder, crop, step=(1, 1, 1), axes="RAS", turn=None, change=None):
    """A part of a real image, along other axes or turned, as a file of floats."""
    whole = nibabel.as_closest_canonical(nibabel.load(source))
    part = whole.slicer[tuple(slice(a, b, s) for (a, b), s in zip(crop, step))]
    data, affine = np.asarray(part.dataobj, np.float32), part.affine
    data = data if change is None else change(data).astype(np.float32)
    if turn is not None:
        affine = affine.copy()
        affine[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix() @ affine[:3, :3]
    turned = nibabel.Nifti1Image(data, affine)
    own, wanted = nibabel.io_orientation(turned.affine), nibabel.orientations.axcodes2ornt(axes)
    turned = turned.as_reoriented(nibabel.orientations.ornt_transform(own, wanted))
    turned.header.set_xyzt_units("mm")
    path = folder / f"{name}.nii.gz"
    nibabel.save(turned, path)
    return path


def compose(*transforms):
    return {"_target_": "Compose", "transforms": list(transforms)}


def t(target, keys="image", **arguments):
    return {"_target_": target, "keys": keys, **arguments}


LOAD = [t("LoadImaged"), t("EnsureChannelFirstd")]
RAS = t("Orientationd", axcodes="RAS")
SPACE = t("Spacingd", pixdim=[2.6, 3.7, 4.4], mode="bilinear")
RANGE = t("ScaleIntensityRanged", a_min=-200, a_max=300, b_min=0.0, b_max=1.0, clip=True)
SOFTMAX, SIGMOID = t("Activationsd", "pred", softmax=True), t("Activationsd", "pred", sigmoid=True)
ARGMAX, HALF = t("AsDiscreted", "pred", argmax=True), t("AsDiscreted", "pred", threshold=0.5)
SAVE = t("SaveImaged", "pred", output_dir="@output_dir", separate_folder=False, output_postfix="x")
UNET = {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 4, "channels": [8, 12, 16],
        "strides": [2, 2], "num_res_units": 1, "norm": "batch"}


def invert(nearest, **more):
    return t("Invertd", "pred", transform="@preprocessing", orig_keys="image", nearest_interp=nearest, to_tensor=True, **more)


def window(roi=(32, 32, 24), **more):
    return {"_target_": "SlidingWindowInferer", "roi_size": list(roi), "sw_batch_size": 2, **more}


def config(pre, post, inferer=None, **network):
    return {"bundle_root": ".", "output_dir": "out", "network_def": {**UNET, **network}, "preprocessing": compose(*LOAD, *pre),
            "inferer": inferer or window(overlap=0.5), "postprocessing": compose(*post, SAVE)}


PRE, POST = [RAS, SPACE, RANGE], [SOFTMAX, invert(False), ARGMAX]
BOX = t("ScaleIntensityRanged", a_min=-100, a_max=300, b_min=0.0, b_max=1.0, clip=True)
CROP = dict(source_key="image")
MERGE = t("Lambdad", "pred", func="$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))")
LARGEST = t("KeepLargestConnectedComponentd", "pred")
near = [SOFTMAX, ARGMAX, invert(True)]


def with_spacing(**more):
    return [RAS, {**SPACE, **more}, RANGE]


def with_crop(*after, **more):
    return [RAS, SPACE, BOX, t("CropForegroundd", **CROP, **more), *after]


# Name: the input, and the config.
CASES = {
    **{f"stored_{axes}": (f"ct_{axes}", config(PRE, POST)) for axes in ("PLI", "LPS", "LIP", "SAR")},
    **{f"stored_{axes}_nearest": (f"ct_{axes}", config(PRE, near)) for axes in ("PLI", "LIP")},
    **{f"to_{axes}": ("ct_RAS", config([{**RAS, "axcodes": axes}, SPACE, RANGE], POST)) for axes in ("LPS", "PLI", "SRP")},
    "oblique": ("ct_oblique", config(PRE, POST)),
    "oblique_nearest": ("ct_oblique", config(PRE, near)),
    "oblique_unoriented": ("ct_oblique", config(PRE[1:], POST)),
    "intensity_first": ("ct_LPS", config([t("NormalizeIntensityd", nonzero=True), SPACE], POST)),
    "turned_late": ("ct_LIP", config([RANGE, RAS, SPACE], POST)),
    "halves_nearest": ("ct_RAS", config(with_spacing(pixdim=[1.5, 6.0, 3.0]), near)),
    "single_precision": ("ct_PLI", config(with_spacing(dtype="$torch.float32", pixdim=[1.5, 6.0, 3.0]), near)),
    "align_corners": ("ct_PLI", config(with_spacing(align_corners=True), POST)),
    "align_corners_nearest": ("ct_PLI", config(with_spacing(align_corners=True), near)),
    "zeros": ("ct_LPS", config(with_spacing(padding_mode="zeros", pixdim=[2.0, 4.4, 3.5]), POST)),
    "zeros_nearest": ("ct_oblique", config(with_spacing(padding_mode="zeros", pixdim=[2.0, 4.4, 3.5]), near)),
    "pixdim_bounds": ("mr_LAS", config([RAS, t("Spacingd", pixdim=[1.0, 1.6, 4.0], min_pixdim=[0.5, 1.0, 3.0], max_pixdim=[1.2, 1.7, 6.0]),
                                        t("NormalizeIntensityd", nonzero=True, channel_wise=True)], POST)),
    "pixdim_kept": ("mr_LAS", config([RAS, t("Spacingd", pixdim=[1.2, -1.0, 4.0]), t("ScaleIntensityd", minv=-1.0, maxv=1.0)], POST)),
    "crop_smaller": ("ct_LPS", config(with_crop(margin=6, allow_smaller=True), POST)),
    "crop_smaller_nearest": ("ct_LPS", config(with_crop(margin=6, allow_smaller=True), near)),
    "crop_padded": ("ct_PLI", config(with_crop(margin=[8, 4, 12]), POST)),
    "crop_padded_nearest": ("ct_PLI", config(with_crop(margin=[8, 4, 12]), near)),
    "crop_edge": ("ct_LPS", config(with_crop(margin=7, mode="edge"), POST)),
    "crop_minimum": ("ct_LPS", config(with_crop(margin=7, mode="minimum"), POST)),
    "crop_constant": ("ct_LPS", config(with_crop(margin=7, constant_values=0.3), POST)),
    "crop_divisible": ("box_LPS", config(with_crop(k_divisible=16, margin=2), POST)),
    "crop_box": ("box_PLI", config(with_crop(margin=3, allow_smaller=True), POST)),
    "crop_box_nearest": ("box_PLI", config(with_crop(margin=3, allow_smaller=True), near)),
    "crop_then_space": ("box_LPS", config([RAS, BOX, t("CropForegroundd", **CROP, margin=2), SPACE], POST)),
    "crop_then_space_nearest": ("box_LPS", config([RAS, BOX, t("CropForegroundd", **CROP, margin=2), SPACE], near)),
    "crop_scores": ("box_LPS", config(with_crop(margin=3), [invert(False), SOFTMAX, ARGMAX])),
    "crop_scores_sigmoid": ("box_LPS", config(with_crop(margin=3), [invert(False), SIGMOID, HALF], out_channels=3)),
    "spatial_pad": ("box_LPS", config([RAS, SPACE, RANGE, t("SpatialPadd", spatial_size=[56, 40, 48])], POST)),
    "spatial_pad_end": ("box_LPS", config([RAS, SPACE, RANGE, t("SpatialPadd", spatial_size=[56, 40, 48], method="end", mode="edge")], near)),
    "sigmoid": ("ct_PLI", config(PRE, [SIGMOID, invert(False), HALF], out_channels=3)),
    "sigmoid_merged": ("ct_PLI", config(PRE, [SIGMOID, invert(False), HALF, MERGE], out_channels=3)),
    "sigmoid_nearest": ("ct_PLI", config(PRE, [SIGMOID, HALF, invert(True)], out_channels=3)),
    "scores_inverted": ("ct_LIP", config(PRE, [invert(False), SOFTMAX, ARGMAX])),
    "scores_inverted_argmax": ("ct_LIP", config(PRE, [invert(False), ARGMAX])),
    "scores_inverted_sigmoid": ("ct_LIP", config(PRE, [invert(False), SIGMOID, HALF], out_channels=3)),
    "labels_interpolated": ("ct_LIP", config(PRE, [ARGMAX, invert(False)])),
    "largest_before": ("ct_PLI", config(PRE, [ARGMAX, {**LARGEST, "applied_labels": [1, 2]}, invert(True)])),
    "largest_before_linear": ("ct_PLI", config(PRE, [ARGMAX, {**LARGEST, "applied_labels": [1, 3]}, invert(False)])),
    "largest_after": ("ct_PLI", config(PRE, [*POST, LARGEST])),
    "largest_together": ("ct_PLI", config(PRE, [*POST, {**LARGEST, "independent": False, "connectivity": 1, "num_components": 3}])),
    "largest_two_faces": ("ct_PLI", config(PRE, [*POST, {**LARGEST, "applied_labels": 2, "connectivity": 1, "num_components": 2}])),
    "roi_larger": ("box_PLI", config([RAS, RANGE], POST, window((64, 60, 72)))),
    "roi_larger_replicate": ("box_PLI", config([RAS, RANGE], POST, window((64, 60, 72), padding_mode="replicate"))),
    "roi_larger_constant": ("box_PLI", config([RAS, RANGE], POST, window((64, 28, 72), cval=0.4, mode="gaussian"))),
    "sigma_scale": ("ct_LPS", config(PRE, POST, window(mode="gaussian", sigma_scale=0.2, overlap=0.7))),
    "sigma_scales": ("ct_LPS", config(PRE, POST, window(mode="gaussian", sigma_scale=[0.1, 0.3, 0.15], overlap=0.6))),
    "overlaps": ("ct_LPS", config(PRE, POST, window((32, 28, 20), mode="gaussian", overlap=[0.5, 0.1, 0.8]))),
    "no_overlap": ("ct_LPS", config(PRE, POST, window(overlap=0.0))),
    "not_inverted": ("ct_PLI", config(PRE, [SOFTMAX, ARGMAX])),
    "not_inverted_crop": ("box_PLI", config(with_crop(margin=3), [SOFTMAX, ARGMAX])),
}
SMALL = {"SegResNet": dict(init_filters=8, blocks_down=[1, 1, 2], blocks_up=[1, 1]), "SwinUNETR": dict(feature_size=12),
         "DynUNet": dict(filters=[8, 8, 12, 12, 16, 16]), "UNet": {}}
# Published configs, whose networks and tiles are made smaller: (bundle, config, image, network, roi).
ZOO = {
    "zoo_whole_body": ("wholeBody_ct_segmentation", "inference.json", "ct_LPS", dict(out_channels=9), [48, 48, 40]),
    "zoo_brats": ("brats_mri_segmentation", "inference.json", "mr4", {}, [48, 48, 16]),
    "zoo_pediatric_dynunet": ("pediatric_abdominal_ct_segmentation", "inference.yaml", "ct_PLI", {}, [64, 64, 32]),
    "zoo_pediatric_segresnet": ("pediatric_abdominal_ct_segmentation", "inference_segresnet.yaml", "ct_LIP", {}, [48, 48, 32]),
    "zoo_pediatric_swin": ("pediatric_abdominal_ct_segmentation", "inference_swinunetr.yaml", "ct_LPS", {}, [64, 64, 32]),
    "zoo_spleen": ("spleen_ct_segmentation", "inference.json", "ct_oblique", dict(channels=[8, 12, 16, 20, 24]), [48, 48, 48]),
    "zoo_prostate": ("prostate_mri_anatomy", "inference.json", "mr_PLI", dict(channels=[8, 8, 12, 12, 16, 16]), [64, 64, 64]),
    "zoo_swin_btcv": ("swin_unetr_btcv_segmentation", "inference.json", "ct_oblique", dict(out_channels=6), [64, 64, 64]),
}


def published(zoo, bundle, name, network, roi):
    text = (zoo / bundle / name).read_text()
    content = json.loads(text) if name.endswith("json") else yaml.safe_load(text)
    definition = content["network_def"]
    definition.update({**SMALL[definition["_target_"].split(".")[-1]], **network})
    definition.pop("img_size", None)  # MONAI 1.6.1 knows it no more
    content["inferer"]["roi_size"] = roi
    return content


def fit(network, forward, classes, spread=5.0):
    """Random weights whose classes all occur: each class's scores get mean 0 and the same deviation."""
    network.train()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm): layer.momentum = None
        forward()
        network.eval()
        last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv3d) and layer.out_channels == classes][-1]
        last.weight.normal_(0, 0.3)
        for _ in range(2):
            scores = forward()[0].flatten(1)
            factor = spread / scores.std(1)
            last.weight.mul_(factor.view(-1, 1, 1, 1, 1))
            last.bias.copy_((last.bias - scores.mean(1)) * factor)


def margin(scores, sigmoid, probable):
    """In thousandths: the best probability over the second, or twice the distance of the nearest region from one half."""
    scores = torch.as_tensor(scores.as_tensor() if hasattr(scores, "as_tensor") else scores).float()
    values = scores if probable else scores.sigmoid() if sigmoid else scores.softmax(0)
    gap = (2 * values - 1).abs().amin(0) if sigmoid else values.topk(2, 0).values.diff(dim=0)[0].abs()
    gap = (gap * 1000).round().clip(0, 255)
    return torch.where((values == 0).all(0), 255.0, gap) if probable else gap


def run(content, bundle, images):
    """What the bundle's own objects make of an image: the file's values that it saves, and margins."""
    parser = ConfigParser(content)
    network, inferer = parser.get_parsed_content("network_def"), parser.get_parsed_content("inferer")
    preprocessing, post = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("postprocessing")
    batch = list_data_collate([preprocessing({"image": [str(path) for path in images] if len(images) > 1 else str(images[0])})])
    torch.manual_seed(len(bundle.name))
    with torch.no_grad():
        few = SlidingWindowInferer(inferer.roi_size, overlap=0.0)
        fit(network, lambda: few(batch["image"], network), parser.get_parsed_content("network_def::out_channels"))
        batch["pred"] = inferer(batch["image"], network)
    data = decollate_batch(batch)[0]
    sigmoid = any(transform.get("threshold") for transform in content["postprocessing"]["transforms"])
    inverted = probable = found = False
    for transform in post.transforms:
        name = type(transform).__name__
        if name == "AsDiscreted":
            found = margin(data["pred"], sigmoid, probable)[None]
            if not inverted:
                data["margin"] = found - 255  # Inverting fills with zeros what was cut away.
                back = Invertd("margin", transform=preprocessing, orig_keys="image", nearest_interp=True)
                found = back(data)["margin"] + 255
        probable, inverted = probable or name == "Activationsd", inverted or name == "Invertd"
        data = transform(data)
    saved = next(Path(content["output_dir"]).glob("**/*.nii*"))
    models = bundle / Path(content.get("models", "models"))
    models.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), models / content.get("weights", "model.pt"))
    return np.asarray(nibabel.load(saved).dataobj), np.asarray(found[0])


def labels(values):
    """Channels become labels by their numbers, later over earlier; interpolated labels are rounded."""
    if values.ndim == 3: return np.rint(values).astype(np.uint8)
    found = np.zeros(values.shape[:3], np.uint8)
    for channel in range(values.shape[3]): found[values[..., channel] > 0] = channel + 1
    return found


def write(name, folder, found, gap, images, model, args=()):
    for what, ending in ((found, ""), (gap.astype(np.uint8), "_margin")):
        nibabel.save(nibabel.Nifti1Image(what, nibabel.load(images[0]).affine), folder / f"{name}{ending}.nii.gz")
    shares = np.bincount(found.ravel()) / found.size
    print(f"{name}: {found.shape}, shares {np.round(shares, 3)}, {(gap <= 10).mean():.4f} near ties", flush=True)
    return {"name": name, "model": model, "images": [str(path.relative_to(folder)) for path in images], "expected": f"{name}.nii.gz",
            "margin": f"{name}_margin.nii.gz", "args": list(args)}


def make(name, content, file, folder, images):
    bundle = folder / name
    (bundle / "configs").mkdir(parents=True, exist_ok=True)
    dump = json.dumps if file.endswith("json") else yaml.safe_dump
    own = "inference" + Path(file).suffix
    (bundle / "configs" / own).write_text(dump(content))
    (bundle / "configs/metadata.json").write_text(json.dumps({"name": name, "version": "0.1.0", "monai_version": "1.6.1"}))
    content = copy.deepcopy(content)
    loader = [handler for handler in [*content.get("handlers", []), content.get("checkpointloader", {})] if "load_path" in handler]
    if loader and "dynunet_FT" in str(loader) + str(content): content["weights"] = loader[0]["load_path"].split("/")[-1].strip("'")
    if loader and "_FT" in loader[0]["load_path"]: content["weights"] = loader[0]["load_path"].split("/")[-1].strip("'")
    with tempfile.TemporaryDirectory() as out:
        content.update(output_dir=out, bundle_root=str(bundle), device="cpu", imports=["$import torch", "$import numpy", "$import os"])
        values, gap = run(content, bundle, images)
    return write(name, folder, labels(values), gap, images, name)


def inputs(images, folder):
    folder.mkdir(parents=True, exist_ok=True)
    abdomen, brain = images / "ct_abdomen_3mm.nii.gz", images / "mr_brain_aniso.nii.gz"
    crop, head = ((30, 95), (20, 77), (40, 81)), ((20, 131), (30, 150), (2, 19))
    made = {f"ct_{axes}": [image(abdomen, f"ct_{axes}", folder, crop, axes=axes)] for axes in ("RAS", "LPS", "PLI", "LIP", "SAR")}
    made["ct_oblique"] = [image(abdomen, "ct_oblique", folder, crop, axes="LPS", turn=(11, -7, 23))]
    edged = lambda x: np.pad(x[8:-9, 5:-6, 4:-7], ((8, 9), (5, 6), (4, 7)), constant_values=-1000)
    made |= {f"box_{axes}": [image(abdomen, f"box_{axes}", folder, crop, axes=axes, change=edged)] for axes in ("LPS", "PLI")}
    spot = lambda x: np.pad(x[12:-26, 9:-17, 8:-12], ((12, 26), (9, 17), (8, 12)), constant_values=-1000)
    made |= {f"patch_{axes}": [image(abdomen, f"patch_{axes}", folder, crop, axes=axes, change=spot)] for axes in ("PLI", "LIP")}
    made |= {f"mr_{axes}": [image(brain, f"mr_{axes}", folder, head, step=(2, 2, 1) if axes == "LAS" else (4, 4, 2), axes=axes)] for axes in ("LAS", "PLI")}
    changes = (lambda x: x, lambda x: x[::-1], lambda x: x ** 1.5 / 20, lambda x: np.where(x > 300, 700 - x, 0))
    made["mr4"] = [image(brain, f"mr4_{n}", folder, head, step=(2, 2, 1), axes="LAS", change=change) for n, change in enumerate(changes)]
    return made


if __name__ == "__main__":
    sources, zoo, folder = (Path(argument).resolve() for argument in sys.argv[1:4])
    images = inputs(sources, folder / "images")
    cases = {name: (key, content, "inference.json") for name, (key, content) in CASES.items()}
    for name, (bundle, file, key, network, roi) in ZOO.items():
        cases[name] = (key, published(zoo, bundle, file, network, roi), file)
    chosen = [name for name in cases if len(sys.argv) < 5 or name in sys.argv[4:]]
    made = []
    for name in chosen:
        key, content, file = cases[name]
        made.append(make(name, content, file, folder, images[key]))
        (folder / "cases.json").write_text(json.dumps(made, indent=1))
    print(len(made), "cases in", folder)
