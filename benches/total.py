"""TotalSegmentator's `total` beside ours: five networks of the published shapes with random weights, on one CT.

Usage: total.py make WEIGHTS [small]                  the five models, as TotalSegmentator stores them (about 600 MB), or
                                                      tiny ones, to see that everything works
       total.py run WEIGHTS IMAGE TOOL THREADS ROUNDS  its Python API and `voxseg run --task total`, in turn

Needs TotalSegmentator 2.18.0 with nnunetv2 2.8.1 and PyTorch; nothing is fetched, and no statistics of its use are sent.
The networks have the shapes that nnU-Net plans for a tile of 128 cubed: six stages of 32 to 320 features, two
convolutions each, 31 million parameters.

Each run is a process of its own, from its start to its end: Python's imports and the reading and writing of files are
in it. Peak memory is the most that the process and its children held together (looked at every two seconds, each page
counted once), and at least what the process itself had resident at its peak.
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TASKS = Path(__file__).resolve().parent.parent / "src/model/task/data/totalsegmentator.json"
SPACING = 1.5
FULL = {"features": [32, 64, 128, 256, 320, 320], "patch": 128}
SMALL = {"features": [8, 16, 24], "patch": 48}


def architecture(size):
    dotted, stages = "torch.nn.modules.", len(size["features"])
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": size["features"],
            "conv_op": f"{dotted}conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
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


def plans(name, size):
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    functions = {f"resampling_fn_{what}": "resample_data_or_seg_to_shape" for what in ("data", "seg", "probabilities")}
    settings = {f"{function}_kwargs": resampling for function in functions}
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [size["patch"]] * 3,
        "median_image_size_in_voxels": [200.0] * 3,
        "spacing": [SPACING] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": False,
        "architecture": architecture(size),
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


def make(weights, size):
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    for index, model in enumerate(json.loads(TASKS.read_text())["tasks"]["total"]["models"]):
        folder = Path(weights, model["path"])
        (folder / "fold_0").mkdir(parents=True, exist_ok=True)
        labels = {name: value for value, name in enumerate(["background", *model["labels"]])}
        dataset = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
        torch.manual_seed(index)
        settings = architecture(size)
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
        (folder / "plans.json").write_text(json.dumps(plans(folder.parent.name, size)))
        (folder / "dataset.json").write_text(json.dumps(dataset))
        print(folder, sum(parameter.numel() for parameter in network.parameters()), "parameters")


# TotalSegmentator takes as many threads for PyTorch as there are processors.
PEER = """
import multiprocessing, sys
multiprocessing.cpu_count = lambda: int(sys.argv[3])
from totalsegmentator.python_api import totalsegmentator
if __name__ == "__main__":
    totalsegmentator(sys.argv[1], sys.argv[2], ml=True, device="cpu", quiet=True)
"""


def tree(process):
    """The numbers of a process and of those that it started."""
    numbers = [process]
    for number in numbers:
        try:
            tasks = os.listdir(f"/proc/{number}/task")
            for task in tasks:
                numbers += map(int, Path(f"/proc/{number}/task/{task}/children").read_text().split())
        except OSError:
            pass
    return numbers


def resident(process):
    """Bytes of the tree, pages that several share counted once."""
    total = 0
    for number in tree(process):
        try:
            text = Path(f"/proc/{number}/smaps_rollup").read_text()
            total += 1024 * int(text.split("Pss:")[1].split()[0])
        except (OSError, IndexError):
            pass
    return total


def measure(command, environment=None):
    """Seconds and peak bytes of a process."""
    start, peak, ended = time.perf_counter(), 0, threading.Event()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def watch():
        nonlocal peak
        while not ended.wait(2):
            peak = max(peak, resident(child.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    ended.set()
    watcher.join()
    if status:
        sys.exit(f"{errors.decode()}\n{command[0]} ended with {status}")
    return {"seconds": seconds, "peak_bytes": max(peak, usage.ru_maxrss * 1024)}


def run(weights, image, tool, threads, rounds):
    import nibabel
    import numpy

    with tempfile.TemporaryDirectory() as folder:
        theirs, ours, report = Path(folder, "theirs.nii.gz"), Path(folder, "ours.nii.gz"), Path(folder, "report.json")
        home = Path(folder, "home")
        home.mkdir()
        quiet = {"totalseg_id": "", "send_usage_stats": False, "prediction_counter": 0, "statistics_disclaimer_shown": True}
        (home / "config.json").write_text(json.dumps(quiet))
        script = Path(folder, "peer.py")
        script.write_text(PEER)
        own = {"TOTALSEG_WEIGHTS_PATH": weights, "TOTALSEG_HOME_DIR": str(home), "OMP_NUM_THREADS": threads}
        peer = [sys.executable, str(script), image, str(theirs), threads]
        given = ["run", "--task", "total", "--weights", weights, "--image", image, "--out", str(ours)]
        voxseg = [tool, *given, "--threads", threads, "--quiet", "--report", str(report)]
        rows = []
        for number in range(int(rounds)):
            rows.append((measure(peer, {**os.environ, **own}), measure(voxseg)))
            print(f"round {number + 1}: TotalSegmentator {rows[-1][0]}, voxseg {rows[-1][1]}", flush=True)
        labels = [numpy.asarray(nibabel.load(path).dataobj) for path in (ours, theirs)]
        told = json.loads(report.read_text())
    middle = [{key: sorted(row[side][key] for row in rows)[len(rows) // 2] for key in rows[0][0]} for side in (0, 1)]
    print(f"{'':<24}{'TotalSegmentator':>18}{'voxseg':>12}{'ratio':>9}")
    for name, key, unit in (("end to end, seconds", "seconds", 1), ("peak memory, MiB", "peak_bytes", 1 << 20)):
        values = [side[key] / unit for side in middle]
        print(f"{name:<24}{values[0]:>18.1f}{values[1]:>12.1f}{values[0] / values[1]:>8.1f}x")
    print(f"voxels with other labels: {int((labels[0] != labels[1]).sum())} of {labels[0].size}, "
          f"{int((labels[1] != 0).sum())} of them in the foreground; near ties: {told['run']['near_ties']}")
    print(f"planned: {told['plan_report']['host_peak_bytes'] / (1 << 20):.0f} MiB")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], SMALL if sys.argv[3:] == ["small"] else FULL)
    else:
        run(*sys.argv[2:7])
