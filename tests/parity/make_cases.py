#!/usr/bin/env python3
"""Makes further cases for the parity test with nnU-Net itself: small models with random weights for architectures and
settings that the reference data has no case of, and the labels that nnU-Net's predictor gives.

    python -m venv V && V/bin/pip install nnunetv2==2.8.1
    V/bin/python tests/parity/make_cases.py IMAGE.nii.gz FOLDER
    VOXSEG_CASES=FOLDER cargo test --release --test parity further -- --nocapture
"""
import json, os, sys
from pathlib import Path

for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(name, "unused")
import nibabel, numpy, torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

DNA = "dynamic_network_architectures"
UNET = f"{DNA}.architectures.unet."


def plans(architecture, spacing, patch, scheme="ZScoreNormalization", masked=False, fn="resample_data_or_seg_to_shape",
          kwargs=None, transpose=(0, 1, 2), reader="SimpleITKIO"):
    data = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None} if kwargs is None else kwargs
    scores = {**data, "order": 1} if kwargs is None else kwargs
    properties = {"mean": 300.0, "std": 200.0, "percentile_00_5": 10.0, "percentile_99_5": 900.0}
    configuration = {
        "preprocessor_name": "DefaultPreprocessor", "batch_size": 2, "patch_size": patch, "spacing": spacing,
        "normalization_schemes": [scheme], "use_mask_for_norm": [masked],
        "resampling_fn_data": fn, "resampling_fn_seg": fn, "resampling_fn_probabilities": fn,
        "resampling_fn_data_kwargs": data, "resampling_fn_seg_kwargs": {**data, "is_seg": True, "order": 1} if kwargs is None else kwargs,
        "resampling_fn_probabilities_kwargs": scores, "architecture": architecture, "batch_dice": True,
        "data_identifier": "x", "median_image_size_in_voxels": patch,
    }
    return {
        "dataset_name": "Dataset999_Further", "plans_name": "nnUNetPlans", "image_reader_writer": reader,
        "transpose_forward": list(transpose), "transpose_backward": [list(transpose).index(i) for i in range(3)],
        "label_manager": "LabelManager", "experiment_planner_used": "x",
        "original_median_spacing_after_transp": [1, 1, 1], "original_median_shape_after_transp": [1, 1, 1],
        "foreground_intensity_properties_per_channel": {"0": properties},
        "configurations": {"3d_fullres": configuration},
    }


def architecture(name, norm="instancenorm.InstanceNorm3d", nonlin="torch.nn.LeakyReLU", nonlin_kwargs=None, bias=True, **more):
    blocks = "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage"
    arguments = {
        "n_stages": 3, "features_per_stage": [8, 16, 24], "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]], "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        blocks: [1, 2, 2], "n_conv_per_stage_decoder": [1, 1], "conv_bias": bias,
        "norm_op": f"torch.nn.modules.{norm}", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None, "dropout_op_kwargs": None, "nonlin": nonlin,
        "nonlin_kwargs": {"inplace": True} if nonlin_kwargs is None else nonlin_kwargs, **more,
    }
    return {"network_class_name": UNET + name, "arch_kwargs": arguments,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"] + (["block"] if "block" in more else [])}


PATCH, SPACING = [16, 48, 48], [6.5, 1.2, 1.2]
NORMAL = dict(spacing=SPACING, patch=PATCH)
BOTTLENECK = dict(block=f"{DNA}.building_blocks.residual.BottleneckD", bottleneck_channels=[4, 8, 8], stem_channels=8)
CASES = {
    "bottleneck_relu": dict(architecture=architecture("ResidualEncoderUNet", nonlin="torch.nn.ReLU", **BOTTLENECK), **NORMAL),
    "batch_norm_gelu": dict(architecture=architecture("PlainConvUNet", "batchnorm.BatchNorm3d", "torch.nn.GELU", {}, False), **NORMAL),
    "nonlin_first_slope": dict(architecture=architecture("PlainConvUNet", nonlin_kwargs={"negative_slope": 0.2}, nonlin_first=True), **NORMAL),
    "dropout": dict(architecture=architecture("PlainConvUNet", dropout_op="torch.nn.modules.dropout.Dropout3d", ) | {}, **NORMAL),
    "torch_resampling": dict(architecture=architecture("PlainConvUNet"), fn="resample_torch_fornnunet",
                             kwargs={"force_separate_z": None, "memefficient_seg_resampling": False}, spacing=[4.0, 1.5, 1.5], patch=PATCH),
    "torch_resampling_separate": dict(architecture=architecture("PlainConvUNet"), fn="resample_torch_fornnunet",
                                      kwargs={"force_separate_z": True}, **NORMAL),
    "no_resampling": dict(architecture=architecture("PlainConvUNet"), fn="no_resampling_hack", kwargs={}, **NORMAL),
    "separate_order_1": dict(architecture=architecture("PlainConvUNet"),
                             kwargs={"is_seg": False, "order": 1, "order_z": 1, "force_separate_z": True}, spacing=[3.0, 1.2, 1.2], patch=PATCH),
    "order_3_scores": dict(architecture=architecture("PlainConvUNet"),
                           kwargs={"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": False}, spacing=[5.0, 2.0, 2.0], patch=PATCH),
    "transposed_nibabel": dict(architecture=architecture("PlainConvUNet"), reader="NibabelIOWithReorient", transpose=(2, 0, 1),
                               spacing=[1.2, 6.5, 1.2], patch=[48, 16, 48], masked=True),
    "transposed": dict(architecture=architecture("PlainConvUNet"), transpose=(1, 0, 2), spacing=[1.3, 5.0, 1.3], patch=[48, 16, 48]),
    "ct_scheme": dict(architecture=architecture("PlainConvUNet"), scheme="CTNormalization", **NORMAL),
}

# Members whose grids, axes and resampling differ.
ENSEMBLE = ["bottleneck_relu", "torch_resampling", "transposed"]


def write_margin(probabilities, name, image, folder):
    top = numpy.sort(probabilities, axis=0)
    margin = numpy.clip((top[-1] - top[-2]) * 1000, 0, 255).astype(numpy.uint8)
    nibabel.save(nibabel.Nifti1Image(margin.transpose(2, 1, 0), nibabel.load(image).affine), folder / f"{name}_margin.nii.gz")


def entry(name, model, image, folder):
    return {"name": name, "model": model, "images": [os.path.relpath(image, folder)], "expected": f"{name}.nii.gz",
            "margin": f"{name}_margin.nii.gz", "args": []}


def ensemble(image, folder):
    """What `nnUNetv2_ensemble` computes: the mean of the saved probabilities."""
    mean = sum(numpy.load(folder / f"{name}.npz")["probabilities"] for name in ENSEMBLE) / len(ENSEMBLE)
    labels = mean.argmax(0).astype(numpy.uint8).transpose(2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(labels, nibabel.load(image).affine), folder / "ensemble.nii.gz")
    write_margin(mean, "ensemble", image, folder)
    return entry("ensemble", [f"{name}/nnUNetTrainer__nnUNetPlans__3d_fullres" for name in ENSEMBLE], image, folder)


def make(name, settings, image, folder):
    model = folder / name / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    (model / "fold_0").mkdir(parents=True, exist_ok=True)
    if name == "dropout":
        settings["architecture"]["arch_kwargs"]["dropout_op_kwargs"] = {"p": 0.3}
    content = plans(**settings)
    dataset = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "a": 1, "b": 2, "c": 3}, "file_ending": ".nii.gz", "numTraining": 1}
    (model / "plans.json").write_text(json.dumps(content))
    (model / "dataset.json").write_text(json.dumps(dataset))
    network = content["configurations"]["3d_fullres"]["architecture"]
    torch.manual_seed(len(name))
    built = get_network_from_plans(network["network_class_name"], network["arch_kwargs"], network["_kw_requires_import"], 1, 4, deep_supervision=True)
    for key, value in built.state_dict().items():
        if "running_mean" in key: value.normal_(0, 0.3)
        elif "running_var" in key: value.uniform_(0.5, 2)
        elif value.dtype == torch.float32 and value.ndim == 1: value.add_(torch.randn_like(value) * 0.3)
    for head in built.decoder.seg_layers: head.weight.data.mul_(6)
    torch.save({"network_weights": built.state_dict(), "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": (1, 2),
                "init_args": {"configuration": "3d_fullres", "fold": 0}}, model / "fold_0/checkpoint_final.pth")
    predictor = nnUNetPredictor(perform_everything_on_device=False, device=torch.device("cpu"), verbose=False, verbose_preprocessing=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(model), (0,))
    predictor.predict_from_files_sequential([[str(image)]], [str(folder / name)], save_probabilities=True, overwrite=True)
    write_margin(numpy.load(folder / f"{name}.npz")["probabilities"], name, image, folder)
    return entry(name, f"{name}/{model.name}", image, folder)


if __name__ == "__main__":
    image, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    made = [make(name, settings, image, folder) for name, settings in CASES.items() if len(sys.argv) < 4 or name in sys.argv[3:]]
    if all(any(case["name"] == name for case in made) for name in ENSEMBLE):
        made.append(ensemble(image, folder))
    for leftover in (*folder.glob("*.npz"), *folder.glob("*.pkl")): leftover.unlink()
    (folder / "cases.json").write_text(json.dumps(made, indent=1))
    print(len(made), "cases in", folder)
