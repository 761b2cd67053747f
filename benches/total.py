"""TotalSegmentator's `total` beside ours: five networks of the published shapes with random weights, on one CT.

Usage: total.py make WEIGHTS                      the five models, as TotalSegmentator stores them (about 600 MB)
       total.py run WEIGHTS IMAGE TOOL THREADS    its Python API, then `voxseg run --task total`, in turn: JSON

Needs TotalSegmentator 2.18.0 with nnunetv2 2.8.1 and PyTorch; nothing is fetched. The networks have the shapes that
nnU-Net plans for a tile of 128 cubed: six stages of 32 to 320 features, two convolutions each, 31 million parameters.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TASKS = Path(__file__).resolve().parent.parent / "src/model/task/data/totalsegmentator.json"
STAGES, PATCH, SPACING = 6, 128, 1.5


def architecture():
    dotted = "torch.nn.modules."
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": STAGES,
            "features_per_stage": [32, 64, 128, 256, 320, 320],
            "conv_op": f"{dotted}conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * STAGES,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (STAGES - 1),
            "n_conv_per_stage": [2] * STAGES,
            "n_conv_per_stage_decoder": [2] * (STAGES - 1),
            "conv_bias": True,
            "norm_op": f"{dotted}instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def plans(name):
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    functions = {f"resampling_fn_{what}": "resample_data_or_seg_to_shape" for what in ("data", "seg", "probabilities")}
    settings = {f"{function}_kwargs": resampling for function in functions}
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [PATCH] * 3,
        "median_image_size_in_voxels": [200.0] * 3,
        "spacing": [SPACING] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": False,
        "architecture": architecture(),
        **functions,
        **settings,
    }
    intensities = {"mean": -50.0, "std": 400.0, "percentile_00_5": -1004.0, "percentile_99_5": 1588.0, "median": 0.0}
    return {
        "dataset_name": name,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [SPACING] * 3,
        "original_median_shape_after_transp": [200] * 3,
        "image_reader_writer": "NibabelIOWithReorient",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {**intensities, "min": -1100.0, "max": 3000.0}},
    }


def make(weights):
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    for index, model in enumerate(json.loads(TASKS.read_text())["tasks"]["total"]["models"]):
        folder = Path(weights, model["path"])
        (folder / "fold_0").mkdir(parents=True, exist_ok=True)
        labels = {name: value for value, name in enumerate(["background", *model["labels"]])}
        dataset = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
        torch.manual_seed(index)
        settings = architecture()
        network = get_network_from_plans(
            settings["network_class_name"],
            settings["arch_kwargs"],
            settings["_kw_requires_import"],
            1,
            len(labels),
            deep_supervision=False,
        )
        checkpoint = {
            "network_weights": network.state_dict(),
            "trainer_name": "nnUNetTrainerNoMirroring",
            "init_args": {"configuration": "3d_fullres"},
            "inference_allowed_mirroring_axes": None,
        }
        torch.save(checkpoint, folder / "fold_0/checkpoint_final.pth")
        (folder / "plans.json").write_text(json.dumps(plans(folder.parent.name)))
        (folder / "dataset.json").write_text(json.dumps(dataset))
        print(folder, sum(parameter.numel() for parameter in network.parameters()), "parameters")


# In a process of its own, so that its peak is its own.
PEER = """
import resource, sys, time
import torch
torch.set_num_threads(int(sys.argv[3]))
from totalsegmentator.python_api import totalsegmentator
start = time.perf_counter()
totalsegmentator(sys.argv[1], sys.argv[2], ml=True, device="cpu", quiet=True)
seconds = time.perf_counter() - start
peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print("measured", seconds, max(peaks) * 1024)
"""


def run(weights, image, tool, threads):
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = Path(folder, "theirs.nii.gz"), Path(folder, "ours.nii.gz")
        environment = {**os.environ, "TOTALSEG_WEIGHTS_PATH": weights, "OMP_NUM_THREADS": threads}
        command = [sys.executable, "-c", PEER, image, str(theirs), threads]
        text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        seconds, peak = re.search(r"measured (\S+) (\S+)", text).groups()
        peer = {"seconds": float(seconds), "peak_bytes": int(peak)}
        report = Path(folder, "report.json")
        start = time.perf_counter()
        given = ["run", "--task", "total", "--weights", weights, "--image", image, "--out", str(ours)]
        subprocess.run([tool, *given, "--threads", threads, "--quiet", "--report", str(report)], check=True)
        seconds = time.perf_counter() - start
        peak = json.loads(report.read_text())["run"]["process_peak_bytes"]
        compared = subprocess.run([tool, "compare", str(ours), str(theirs)], capture_output=True, text=True).stdout
    own = {"seconds": seconds, "peak_bytes": peak}
    ratios = {key: peer[key] / own[key] for key in own}
    print(json.dumps({"totalsegmentator": peer, "voxseg": own, "ratio": ratios}))
    print(compared)


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    run(*sys.argv[2:6])
