#!/usr/bin/env python3
"""Makes further cases for the parity test with TotalSegmentator itself: tasks and options that the reference data has no
case of. Its weights serve; the model of vertebral bodies, which it lacks, is made of that of vertebrae, with random
weights in its last layer.

    python -m venv V && V/bin/pip install TotalSegmentator==2.18.0 nnunetv2==2.8.1
    V/bin/python tests/parity/make_tasks.py REFERENCE FOLDER
    VOXSEG_CASES=FOLDER cargo test --release --test parity further_tasks -- --nocapture
"""
import json, os, shutil, sys
from pathlib import Path

reference, folder = (Path(argument).resolve() for argument in sys.argv[1:3])
reference /= "totalseg"
weights, cases = folder / "totalseg/weights", folder / "totalseg/cases"
os.environ["TOTALSEG_WEIGHTS_PATH"] = str(weights)
os.environ["TOTALSEG_HOME_DIR"] = str(folder / "home")
# It sends statistics of its use otherwise.
(folder / "home").mkdir(parents=True, exist_ok=True)
(folder / "home/config.json").write_text('{"totalseg_id": "", "send_usage_stats": false, "prediction_counter": 0, "statistics_disclaimer_shown": true}')

import nibabel, numpy, torch
from totalsegmentator.python_api import totalsegmentator

VERTEBRAE = "Dataset803_TotalSegmentator_vertebrae_inner_1559subj/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"
BODIES = "Dataset305_vertebrae_discs_1559subj/nnUNetTrainer_DASegOrd0__nnUNetPlans__3d_fullres"
CASES = {
    "refined": ("vertebrae_pp_refined", "ct_lps_1p5mm", {}),
    "refined_anisotropic": ("vertebrae_pp_refined", "ct_lps_aniso", {}),
    "refined_body": ("vertebrae_pp_refined", "ct_lps_aniso", {"body_seg": True}),
    "fast_body": ("total", "ct_lps_aniso", {"fast": True, "body_seg": True}),
    "fast_first_order_subset": ("total", "ct_lps_aniso", {"fast": True, "v1_order": True, "roi_subset": ["liver", "spleen"]}),
    "pp_low_resolution": ("vertebrae_pp", "ct_lps_aniso", {"fastest": True, "save_lowres": True}),
}


def make_bodies():
    """Two classes out of the network for 24."""
    source, target = weights / VERTEBRAE, weights / BODIES
    if target.exists():
        return
    (target / "fold_0").mkdir(parents=True)
    plans = json.loads((source / "plans.json").read_text())
    plans["dataset_name"] = BODIES.split("/")[0]
    (target / "plans.json").write_text(json.dumps(plans))
    dataset = json.loads((source / "dataset.json").read_text())
    dataset["labels"] = {"background": 0, "vertebrae_body": 1, "intervertebral_discs": 2}
    (target / "dataset.json").write_text(json.dumps(dataset))
    checkpoint = torch.load(source / "fold_0/checkpoint_final.pth", weights_only=False)
    torch.manual_seed(3)
    for name, value in checkpoint["network_weights"].items():
        if "seg_layers" in name:
            checkpoint["network_weights"][name] = torch.randn((3, *value.shape[1:])) * (0.5 if value.dim() > 1 else 0.1)
    checkpoint["trainer_name"] = "nnUNetTrainer_DASegOrd0"
    torch.save(checkpoint, target / "fold_0/checkpoint_final.pth")


def main():
    weights.mkdir(parents=True, exist_ok=True)
    for dataset in (reference / "weights").iterdir():
        if not (weights / dataset.name).exists():
            shutil.copytree(dataset, weights / dataset.name)
    shutil.copytree(reference / "images", folder / "totalseg/images", dirs_exist_ok=True)
    make_bodies()
    for name, (task, image, options) in CASES.items():
        place = cases / name
        if (place / "case.json").exists():
            continue
        place.mkdir(parents=True, exist_ok=True)
        path = folder / f"totalseg/images/{image}.nii.gz"
        totalsegmentator(path, place / "segmentation.nii.gz", ml=True, task=task, device="cpu", quiet=True, **options)
        labels = nibabel.load(place / "segmentation.nii.gz").get_fdata()
        case = {"id": name, "task": task, "options": options, "image": f"images/{image}.nii.gz"}
        (place / "case.json").write_text(json.dumps(case))
        values, counts = (found.tolist() for found in numpy.unique(labels, return_counts=True))
        print(name, labels.shape, dict(zip(map(int, values), counts)), flush=True)


if __name__ == "__main__":
    main()
