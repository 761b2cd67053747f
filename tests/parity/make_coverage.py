#!/usr/bin/env python3
"""Makes cases for the test of published kinds with MONAI itself: small networks with random weights as a file with its
description, the transforms around them, and the labels that MONAI gives for images of the reference data.

    python -m venv V && V/bin/pip install torch einops scikit-image scipy nibabel monai==1.6.1
    V/bin/python tests/parity/make_coverage.py ../shared/reference/coverage/images FOLDER/coverage
    VOXSEG_REFERENCE=FOLDER cargo test --test coverage -- --nocapture

Further arguments are words of the cases to make; those that are there stay.
"""
import copy, json, shutil, sys
from pathlib import Path

import nibabel, numpy, torch
from monai.bundle import ConfigParser
from monai.data import decollate_batch
from monai.transforms import Compose, Invertd, LoadImaged, EnsureChannelFirstd
from monai.networks import nets

images, out = Path(sys.argv[1]), Path(sys.argv[2])
words = sys.argv[3:]
out.mkdir(parents=True, exist_ok=True)

def t(target, **arguments):
    return {"_target_": target, "keys": arguments.pop("keys", "image"), **arguments}

LOAD = [t("LoadImaged"), t("EnsureChannelFirstd")]
RANGE = t("ScaleIntensityRanged", a_min=-175, a_max=250, b_min=0, b_max=1, clip=True)
RAS = t("Orientationd", axcodes="RAS")
SLIDE = {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 32], "overlap": 0.25}
SIMPLE = {"_target_": "SimpleInferer"}
UNET = {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8, 12], "strides": [2, 2],
        "num_res_units": 1}
TWO = dict(UNET, out_channels=1)
SOFT = t("Activationsd", keys="pred", softmax=True)
SIGMOID = t("Activationsd", keys="pred", sigmoid=True)
ARGMAX = t("AsDiscreted", keys="pred", argmax=True)
def invert(nearest):
    return {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image", "nearest_interp": nearest}
BY_PROBABILITY = [SOFT, invert(False), ARGMAX]
BY_LABEL = [ARGMAX, invert(True)]
def chain(*transforms):
    return LOAD + list(transforms)

CASES = {
    "percentiles": dict(pre=chain(RAS, t("ScaleIntensityRangePercentilesd", lower=1, upper=99, b_min=0, b_max=1, clip=True)), post=BY_LABEL),
    "percentiles_relative": dict(pre=chain(t("ScaleIntensityRangePercentilesd", lower=10, upper=80, b_min=0, b_max=2, relative=True)), post=BY_PROBABILITY, image="mr_aniso"),
    "clip_contrast": dict(pre=chain(t("ClipIntensityPercentilesd", lower=2, upper=98), t("AdjustContrastd", gamma=0.7), t("ScaleIntensityd")), post=BY_LABEL),
    "threshold_shift": dict(pre=chain(t("ThresholdIntensityd", threshold=-200, cval=-200.0), t("ShiftIntensityd", offset=200), t("ScaleIntensityd", minv=None, maxv=None, factor=-0.99)), post=BY_LABEL),
    "smooth": dict(pre=chain(RAS, t("Spacingd", pixdim=[2.5, 2.5, 3.0], mode="bilinear"), RANGE, t("GaussianSmoothd", sigma=0.4), t("ScaleIntensityd", minv=-1.0, maxv=1.0)), post=BY_PROBABILITY),
    "resize_area": dict(pre=chain(RAS, RANGE, t("Resized", spatial_size=[48, 40, 24])), post=BY_PROBABILITY, inferer=SIMPLE),
    "resize_linear": dict(pre=chain(RAS, RANGE, t("Resized", spatial_size=[48, 40, 24], mode="trilinear", align_corners=True)), post=BY_PROBABILITY, inferer=SIMPLE),
    "resize_trilinear": dict(pre=chain(RANGE, t("Resized", spatial_size=[48, 40, 24], mode="trilinear")), post=[SOFT, invert(False), ARGMAX], inferer=SLIDE),
    "resize_labels": dict(pre=chain(RAS, RANGE, t("Resized", spatial_size=[40, 48, 32], mode="trilinear")), post=BY_LABEL, inferer=SIMPLE, image="ct_psl"),
    "resize_longest": dict(pre=chain(RANGE, t("Resized", spatial_size=40, size_mode="longest")), post=BY_LABEL),
    "orient_late": dict(pre=chain(t("Spacingd", pixdim=[2.0, 2.0, 2.0], mode="bilinear"), t("CropForegroundd", source_key="image", margin=3, allow_smaller=True), RANGE, RAS), post=BY_LABEL, image="ct_psl"),
    "orient_late_scores": dict(pre=chain(t("Spacingd", pixdim=[2.0, 3.0, 2.0], mode="bilinear"), t("CropForegroundd", source_key="image", margin=2, allow_smaller=False), RANGE, t("Orientationd", axcodes="LPS")), post=BY_PROBABILITY, image="ct_psl"),
    "turns": dict(pre=chain(RANGE, t("Flipd", spatial_axis=1), t("Rotate90d", k=1, spatial_axes=[0, 2]), t("Transposed", indices=[0, 2, 1, 3])), post=BY_LABEL, image="ct_lps"),
    "turns_scores": dict(pre=chain(RANGE, t("CenterSpatialCropd", roi_size=[40, 30, 20]), t("Rotate90d", k=3, spatial_axes=[1, 2]), t("Flipd", spatial_axis=[0, 2])), post=BY_PROBABILITY, image="ct_lps"),
    "center": dict(pre=chain(RAS, RANGE, t("CenterSpatialCropd", roi_size=[40, 33, -1])), post=BY_LABEL),
    "part": dict(pre=chain(RANGE, t("SpatialCropd", roi_start=[3, 5, 2], roi_end=[60, 50, 20])), post=BY_PROBABILITY),
    "part_center": dict(pre=chain(RANGE, t("SpatialCropd", roi_center=[30, 30, 10], roi_size=[41, 40, 13])), post=BY_LABEL),
    "divisible": dict(pre=chain(RANGE, t("DivisiblePadd", k=[16, 16, 8], mode="edge"), t("BorderPadd", spatial_border=[1, 0, 2])), post=BY_PROBABILITY),
    "pad_or_crop": dict(pre=chain(RAS, RANGE, t("ResizeWithPadOrCropd", spatial_size=[48, 48, 32])), post=BY_LABEL, inferer=SIMPLE),
    "threshold_30": dict(pre=chain(RAS, RANGE), post=[SIGMOID, t("AsDiscreted", keys="pred", threshold=0.3), invert(True)], net=TWO, threshold=0.3),
    "threshold_70": dict(pre=chain(RAS, t("Spacingd", pixdim=[2.5, 2.5, 2.5], mode="bilinear"), RANGE), post=[SIGMOID, invert(False), t("AsDiscreted", keys="pred", threshold=0.7)], net=TWO, threshold=0.7),
    "fill_holes": dict(pre=chain(RAS, RANGE), post=[ARGMAX, t("FillHolesd", keys="pred"), invert(True)]),
    "fill_holes_one": dict(pre=chain(RAS, RANGE), post=[ARGMAX, invert(True), t("FillHolesd", keys="pred", applied_labels=[2], connectivity=1)]),
    "small_objects": dict(pre=chain(RAS, RANGE), post=[SIGMOID, t("AsDiscreted", keys="pred", threshold=0.5), t("RemoveSmallObjectsd", keys="pred", min_size=20, connectivity=1), invert(True)], net=TWO, threshold=0.5),
    "small_objects_mm": dict(pre=chain(RAS, RANGE), post=[ARGMAX, invert(True), t("RemoveSmallObjectsd", keys="pred", min_size=300, connectivity=2, independent_channels=False, by_measure=True)]),
    "label_filter": dict(pre=chain(RAS, RANGE), post=[ARGMAX, t("LabelFilterd", keys="pred", applied_labels=[2]), invert(True)]),
    "label_map": dict(pre=chain(RAS, RANGE), post=[ARGMAX, invert(True), t("MapLabelValued", keys="pred", orig_labels=[1, 2], target_labels=[7, 3]), t("KeepLargestConnectedComponentd", keys="pred", applied_labels=[7, 3])]),
    "slices_axis0": dict(pre=chain(RAS, RANGE), post=BY_LABEL, inferer={"_target_": "SliceInferer", "roi_size": [32, 24], "spatial_dim": 0, "overlap": 0.5, "mode": "gaussian"}, net=dict(UNET, spatial_dims=2)),
    "slices_axis1": dict(pre=chain(RAS, t("Spacingd", pixdim=[2.5, 2.5, 2.5], mode="bilinear"), RANGE), post=BY_PROBABILITY, inferer={"_target_": "SliceInferer", "roi_size": [40, 24], "spatial_dim": 1}, net=dict(UNET, spatial_dims=2)),
    "several_images": dict(pre=[t("LoadImaged", keys=["a", "b"]), t("EnsureChannelFirstd", keys=["a", "b"]), t("Orientationd", keys=["a", "b"], axcodes="LPS"), t("Spacingd", keys=["a", "b"], pixdim=[2.5, 2.5, 2.5], mode="bilinear"), t("NormalizeIntensityd", keys="b"), t("ScaleIntensityRanged", keys="a", a_min=-175, a_max=250, b_min=0, b_max=1, clip=True), t("ConcatItemsd", keys=["a", "b"], name="image")],
                           post=[SOFT, dict(invert(False), orig_keys="a"), ARGMAX], image=["ct_small", "pet"], net=dict(UNET, in_channels=2)),
    "attention_unet": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "AttentionUnet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 6, 8], "strides": [2, 2]}),
    "vnet": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "VNet", "in_channels": 1, "out_channels": 3}),
    "vnet_prelu": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "VNet", "in_channels": 1, "out_channels": 3, "act": "prelu", "bias": True}),
    "unetr": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "UNETR", "in_channels": 1, "out_channels": 3, "img_size": [32, 32, 32], "feature_size": 4, "hidden_size": 24, "mlp_dim": 48, "num_heads": 4}),
    "unetr_perceptron": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "UNETR", "in_channels": 1, "out_channels": 3, "img_size": [32, 32, 32], "feature_size": 4, "hidden_size": 24, "mlp_dim": 48, "num_heads": 4, "proj_type": "perceptron", "res_block": False, "qkv_bias": True}),
    "swin_second_version": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "SwinUNETR", "in_channels": 1, "out_channels": 3, "feature_size": 12, "use_v2": True}, inferer=dict(SLIDE, roi_size=[64, 64, 64])),
    "mednext": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "MedNeXt", "in_channels": 1, "out_channels": 3, "init_filters": 4, "kernel_size": 5, "encoder_expansion_ratio": [2, 3, 2], "decoder_expansion_ratio": [2, 3, 2], "blocks_down": [1, 2, 1], "blocks_up": [1, 2, 1], "blocks_bottleneck": 1, "use_residual_connection": True, "deep_supervision": True}),
    "mednext_plain": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "MedNeXt", "in_channels": 1, "out_channels": 3, "init_filters": 4, "kernel_size": 3, "blocks_down": [1, 1], "blocks_up": [1, 1]}),
    "segresnet_vae": dict(pre=chain(RAS, RANGE), post=BY_LABEL, net={"_target_": "SegResNetVAE", "input_image_size": [32, 32, 32], "in_channels": 1, "out_channels": 3, "init_filters": 8}),
}

def seeded(network, name):
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.dtype.is_floating_point and ("running" not in key) and "norm" not in key.lower() and ".adn.N" not in key and ".bn" not in key:
                fan = max(1, value[0].numel() if value.dim() > 1 else 1)
                value.copy_(torch.randn(value.shape, generator=generator) * (1.6 / fan**0.5 if value.dim() > 1 else 0.05))
    return network.eval()

def first(result):
    return result[0] if isinstance(result, (tuple, list)) else result

cases = json.loads((out / "cases.json").read_text()) if (out / "cases.json").is_file() else []
for name, case in CASES.items():
    if words and not any(word in name for word in words) or any(made["name"] == name for made in cases):
        continue
    names = case.get("image", "ct_small")
    names = [names] if isinstance(names, str) else names
    files = [images / f"{image}.nii.gz" for image in names]
    description = {"name": name, "channels": names, "labels": {str(n): f"l{n}" for n in range(10)}, "monai_version": "1.6.1",
                   "network_def": case.get("net", UNET), "preprocessing": case["pre"], "inferer": case.get("inferer", SLIDE), "postprocessing": case["post"]}
    if case.get("net", UNET).get("out_channels") == 1:
        description["labels"] = {"0": "background", "1": "l1"}
    parser = ConfigParser(dict(description, preprocessing={"_target_": "Compose", "transforms": case["pre"]}, postprocessing={"_target_": "Compose", "transforms": case["post"]}))
    parser.parse()
    before, inferer = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("inferer")
    network = seeded(parser.get_parsed_content("network_def"), name)
    keys = ["a", "b"] if len(names) > 1 else ["image"]
    data = before({key: str(file) for key, file in zip(keys, files)})
    run = lambda: inferer(data["image"][None], lambda x: first(network(x)))[0]
    with torch.no_grad():
        scores = run()
        # The last layer's bias and scale are fitted so that all classes occur.
        weights = network.state_dict()
        last = [key for key, value in weights.items() if value.dim() == 1 and value.numel() == scores.shape[0] and key.endswith("bias") and "vae" not in key and "running" not in key]
        last = [key for key in last if f"{key[:-4]}weight" in weights and weights[f"{key[:-4]}weight"].dim() > 1]
        preferred = [key for key in last if "out" in key or "final" in key or key.startswith("model.2")]
        bias = "out_0.conv_out.bias" if "mednext" in name else (preferred or last)[-1]
        factor = 2.0 / scores.std(dim=(1, 2, 3)).clamp(min=1e-6).mean()
        weights[f"{bias[:-4]}weight"].mul_(factor)
        weights[bias].mul_(factor)
        weights[bias].sub_((scores * factor).mean(dim=(1, 2, 3)))
        scores = run()
    torch.save(network.state_dict(), out / f"{name}.pt")
    (out / f"{name}.json").write_text(json.dumps(description, indent=1))
    data["pred"] = scores
    after = parser.get_parsed_content("postprocessing")
    result = after(dict(data, pred=scores.clone()))["pred"]
    # The margin takes the same way back.
    threshold = case.get("threshold")
    probabilities = torch.sigmoid(scores) if threshold else torch.softmax(scores, 0)
    def margin_of(p):
        if threshold:
            return (2 * (p - threshold).abs()).min(0, keepdim=True).values
        best = p.topk(2, 0).values
        return (best[0] - best[1])[None]
    decided_first = [step["_target_"] for step in case["post"]].index("AsDiscreted") < [step["_target_"] for step in case["post"]].index("Invertd")
    back = lambda values, nearest: Invertd(keys="pred", transform=before, orig_keys=case["post"][-1].get("orig_keys", keys[0]) if len(names) > 1 else "image", nearest_interp=nearest)(dict(data, pred=values))["pred"]
    margin = back(margin_of(probabilities), True) if decided_first else margin_of(back(probabilities, False))
    stored = nibabel.load(files[0])
    labels = numpy.asarray(result)[0].round().astype(numpy.uint8)
    assert labels.shape == stored.shape, (name, labels.shape, stored.shape)
    (out / name).mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(labels, stored.affine), out / name / "labels.nii.gz")
    nibabel.save(nibabel.Nifti1Image((numpy.asarray(margin)[0] * 1000).round().clip(0, 255).astype(numpy.uint8), stored.affine), out / name / "margin.nii.gz")
    for file in files:
        shutil.copy(file, out / file.name)
    print(name, dict(zip(*numpy.unique(labels, return_counts=True))))
    cases.append({"name": name, "model": f"{name}.pt", "images": [file.name for file in files], "expected": f"{name}/labels.nii.gz", "margin": f"{name}/margin.nii.gz"})
    (out / "cases.json").write_text(json.dumps(cases, indent=1))
