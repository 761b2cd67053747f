#!/usr/bin/env python3
"""Tests and measures voxseg on a machine with an NVIDIA GPU. It needs no network: tests/gpu/README.md says what to bring.

    python tests/gpu/run.py --tool target/release/voxseg --onnxruntime FOLDER --reference FOLDER [--providers cuda tensorrt]
        [--bench] [--out FOLDER]

Prints a table for each part and ends with 0 only when everything held.
"""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path

NEAR_TIE = {"f32": 10, "f16": 50}
CASES = {
    "nnunet": ["torso_ct_step08", "old_t1", "regions_mr", "brain_aniso_2folds_mirror", "cascade_fullres"],
    "monai": ["bundle_wholebody", "auto3dseg_mr_aniso"],
}


def tool(arguments, *more):
    environment = {**os.environ, "VOXSEG_ORT_LIBRARY": str(arguments.onnxruntime), "ORT_DISABLE_TELEMETRY": "1"}
    return subprocess.run([str(arguments.tool), *map(str, more)], env=environment, capture_output=True, text=True)


def segment(arguments, folder, model, images, device, *more):
    """Labels, the report, and the program's words."""
    out, report = folder / "labels.nii.gz", folder / "report.json"
    [path.unlink(missing_ok=True) for path in (out, report)]
    models = [part for path in (model if isinstance(model, list) else [model]) for part in ("--model", path)]
    pictures = [part for path in images for part in ("--image", path)]
    done = tool(arguments, "run", *models, *pictures, "--device", device, "--out", out, "--report", report, "--quiet", *more)
    if done.returncode:
        return None, None, done
    import nibabel, numpy
    return numpy.asarray(nibabel.load(out).dataobj), json.loads(report.read_text()), done


def parity(arguments, folder):
    """The reference's labels, by the rule that differences lie at near ties of the reference."""
    import nibabel, numpy
    wrong = 0
    print(f"\n{'case':<28}{'device':<10}{'type':<6}{'differ':>8}{'beyond':>8}{'least Dice':>12}{'in f32':>8}{'on device':>11}")
    for family, names in CASES.items():
        home = arguments.reference / family
        for case in json.loads((home / "cases.json").read_text()):
            if case["name"] not in names:
                continue
            load = lambda path: numpy.asarray(nibabel.load(home / path).dataobj)
            expected, margin = load(case["expected"]), load(case["margin"])
            model = [home / path for path in case["model"]] if isinstance(case["model"], list) else home / case["model"]
            flags = [part for part in case.get("args", [])]
            for device in arguments.providers:
                for precision, tie in NEAR_TIE.items():
                    images = [home / path for path in case["images"]]
                    found, report, done = segment(
                        arguments, folder, model, images, device, "--precision", precision, *flags)
                    if found is None:
                        wrong += 1
                        print(f"{case['name']:<28}{device:<10}{precision:<6}FAILED {done.stderr.strip()}")
                        continue
                    off = found != expected
                    beyond = int((off & (margin > tie)).sum())
                    dice = min(
                        (2 * ((found == label) & (expected == label)).sum() / ((found == label).sum() + (expected == label).sum())
                         for label in numpy.unique(expected) if label), default=1.0)
                    run = report["run"]
                    good = beyond == 0 and (dice >= 0.999 or precision == "f32") and report["plan"]["operators_on_cpu"] == {}
                    good &= run["tiles_on_device"] == run["tiles"]
                    wrong += not good
                    print(f"{case['name']:<28}{device:<10}{precision:<6}{int(off.sum()):>8}{beyond:>8}{dice:>12.5f}"
                          f"{run['tiles_in_single']:>8}{run['tiles_on_device']:>11}{'' if good else '  WRONG'}")
    return wrong


def ladder(arguments, folder):
    """What can't be done is refused by name, and the next run works."""
    wrong = 0
    home = arguments.reference / "nnunet"
    case = next(case for case in json.loads((home / "cases.json").read_text()) if case["name"] == "torso_ct_step08")
    run = lambda device, *more: segment(
        arguments, folder, home / case["model"], [home / path for path in case["images"]], device, *more)
    print()
    for device in arguments.providers:
        for name, words, more in [
            ("a device that isn't there", "cannot be used", [f"{device}:99"]),
            ("a tiny budget of device memory", "memory budget", [device, "--device-memory", "1MiB"]),
        ]:
            labels, _, done = run(*more)
            good = labels is None and done.returncode in (3, 4) and words in done.stderr
            wrong += not good
            print(f"{device}: {name}: {'refused' if good else 'WRONG'}: {done.stderr.strip()}")
        # Enough for the network, not for what is around it: the host blends, and the report says so.
        free, report, done = run(device)
        if free is None:
            wrong += 1
            print(f"{device}: WRONG: {done.stderr.strip()}")
            continue
        # The peak without room for the rest is the network's own.
        tight = report["plan_report"]["device_peak_bytes"] - 1
        labels, report, done = run(device, "--device-memory", tight)
        good = labels is not None and report["run"]["tiles_on_device"] == 0 and (labels == free).all()
        good &= report is not None and report["run"]["memory_step"] == "host-blends"
        good &= report is not None and report["plan_report"]["device_peak_bytes"] < tight
        wrong += not good
        print(f"{device}: blending on the host when memory is short: {'same labels' if good else 'WRONG'}")
    return wrong


def around(arguments, folder):
    """What is around the network: several tiles at once, the steps of the ladder, labels with and without maps."""
    wrong = 0
    home = arguments.reference / "nnunet"
    case = next(case for case in json.loads((home / "cases.json").read_text()) if case["name"] == "torso_ct")
    run = lambda device, *more: segment(
        arguments, folder, home / case["model"], [home / path for path in case["images"]], device, "--precision", "f32", *more)
    print()
    for device in arguments.providers:
        one, report, done = run(device)
        if one is None:
            wrong += 1
            print(f"{device}: WRONG: {done.stderr.strip()}")
            continue
        of_one = report["plan_report"]["device_peak_bytes"]
        good = report["run"]["memory_step"] == "none"
        four, report, done = run(device, "--tile-batch", 4)
        if four is None:
            wrong += 1
            print(f"{device}: WRONG: {done.stderr.strip()}")
            continue
        share = float((one != four).mean())
        good &= report["run"]["tile_batch"] == 4 and share <= 1e-5
        print(f"{device}: four tiles at once: {'good' if good else 'WRONG'}, {share:.1e} of the voxels differ, "
              f"{report['plan_report']['device_peak_bytes'] >> 20} MiB planned, {of_one >> 20} MiB for one, "
              f"{report['run']['network_seconds']:.2f} s")
        wrong += not good
        # Enough for one tile at a time.
        labels, report, done = run(device, "--tile-batch", 4, "--device-memory", of_one + (8 << 20))
        good = labels is not None and report["run"]["memory_step"] == "one-tile" and (labels == one).all()
        wrong += not good
        print(f"{device}: one tile at a time when memory is short: {'same labels' if good else 'WRONG ' + done.stderr.strip()}")
    return wrong


def buffers(arguments):
    """Volume and labels in the GPU's memory, through the Python package where it and PyTorch are installed."""
    try:
        import nibabel, numpy, torch, voxseg
    except ImportError as error:
        print(f"\nbuffers on the device skipped: {error}")
        return 0
    wrong = 0
    home = arguments.reference / "nnunet"
    case = next(case for case in json.loads((home / "cases.json").read_text()) if case["name"] == "torso_ct_step08")
    image = nibabel.load(home / case["images"][0])
    voxels = numpy.ascontiguousarray(numpy.asarray(image.dataobj).astype(numpy.float32).transpose())
    direction = image.affine[:3, :3] / numpy.linalg.norm(image.affine[:3, :3], axis=0)
    grid = voxseg.Grid(image.header.get_zooms()[:3], image.affine[:3, 3], direction, coordinates="RAS")
    voxseg.open_runtime(arguments.onnxruntime)
    print()
    for device in arguments.providers:
        plan = voxseg.Plan(voxseg.Model.open(home / case["model"]), device=device, step=0.8)
        expected = plan.segment(voxels, grid)
        there = torch.from_numpy(voxels).cuda()
        whole = torch.full((*voxels.shape[:2], voxels.shape[2] + 3), 99, dtype=torch.uint8, device="cuda")
        labels = whole[:, :, :-3]
        plan.segment(there, grid, labels_out=labels)
        good = (labels.cpu().numpy() == expected.labels).all() and bool((whole[:, :, -3:] == 99).all())
        scores_stayed = expected.report.tiles_on_device == expected.report.tiles
        try:
            plan.segment(there, grid, labels_out=torch.zeros(voxels.shape, dtype=torch.uint8, device="cuda")[:-1])
            good = False
        except ValueError:
            pass
        good &= scores_stayed
        wrong += not good
        print(f"{device}: volume and labels in its memory: {'same labels' if good else 'WRONG'}")
    return wrong


def bench(arguments, folder):
    """The 31 M network of nnU-Net on tiles of 128³, beside PyTorch with autocast and nnU-Net's predictor."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "parity"))
    import nibabel, numpy, torch
    try:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
        import make_cases
    except ImportError as error:
        print(f"\nbench skipped: {error}")
        return 0
    stages = 6
    architecture = make_cases.architecture(
        "PlainConvUNet", n_stages=stages, features_per_stage=[32, 64, 128, 256, 320, 320],
        kernel_sizes=[[3, 3, 3]] * stages, strides=[[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        n_conv_per_stage=[2] * stages, n_conv_per_stage_decoder=[2] * (stages - 1))
    plans = make_cases.plans(architecture, [1.5] * 3, [128] * 3)
    home = folder / "Dataset999_Bench/nnUNetTrainer__nnUNetPlans__3d_fullres"
    (home / "fold_0").mkdir(parents=True)
    dataset = {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz", "numTraining": 1,
               "labels": {"background": 0, **{f"structure {n}": n for n in range(1, 25)}}}
    (home / "plans.json").write_text(json.dumps(plans))
    (home / "dataset.json").write_text(json.dumps(dataset))
    arch = architecture["arch_kwargs"]
    torch.manual_seed(0)
    network = get_network_from_plans(
        architecture["network_class_name"], arch, architecture["_kw_requires_import"], 1, 25, allow_init=True,
        deep_supervision=False).eval()
    torch.save({"network_weights": network.state_dict(), "trainer_name": "nnUNetTrainer",
                "init_args": {"configuration": "3d_fullres"}, "inference_allowed_mirroring_axes": None},
               home / "fold_0/checkpoint_final.pth")
    ct = folder / "ct.nii.gz"
    rng = numpy.random.default_rng(0)
    nibabel.save(nibabel.Nifti1Image(rng.normal(0, 300, (320, 320, 320)).astype(numpy.int16), numpy.diag([1.5] * 3 + [1])), ct)

    network = network.cuda()
    tile = torch.randn(1, 1, 128, 128, 128, device="cuda")
    rows = []
    for name, layout in (("PyTorch autocast", torch.contiguous_format), ("PyTorch autocast, channels last", torch.channels_last_3d)):
        model, x = network.to(memory_format=layout), tile.to(memory_format=layout)
        with torch.inference_mode(), torch.autocast("cuda"):
            [model(x) for _ in range(5)]
            torch.cuda.synchronize()
            start = time.perf_counter()
            [model(x) for _ in range(20)]
            torch.cuda.synchronize()
        rows.append((name, (time.perf_counter() - start) / 20, None))
    del network, model
    torch.cuda.empty_cache()
    for device in arguments.providers:
        labels, report, done = segment(arguments, folder, home, [ct], device, "--precision", "f16", "--no-mirror")
        if labels is None:
            print(f"bench on {device} failed: {done.stderr.strip()}")
            return 1
        run = report["run"]
        rows.append((f"voxseg, {device}", run["network_seconds"] / run["tiles"], run["total_seconds"]))
    predictor = nnUNetPredictor(tile_step_size=0.5, use_mirroring=False, device=torch.device("cuda"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(home), (0,), "checkpoint_final.pth")
    torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    predictor.predict_from_files([[str(ct)]], [str(folder / "theirs")], num_processes_preprocessing=1, num_processes_segmentation_export=1)
    rows.append(("nnUNetPredictor", None, time.perf_counter() - start))
    print(f"\n{torch.cuda.get_device_name()}: nnU-Net's 31 M network, tiles of 128³, CT of 320³, f16")
    print(f"{'':<36}{'ms a tile':>12}{'whole case s':>14}")
    for name, of_tile, case in rows:
        print(f"{name:<36}{'' if of_tile is None else f'{1000 * of_tile:.1f}':>12}{'' if case is None else f'{case:.2f}':>14}")
    print(f"nnUNetPredictor's peak of device memory: {torch.cuda.max_memory_allocated() >> 20} MiB; "
          f"voxseg plans {report['plan_report']['device_peak_bytes'] >> 20} MiB for the network")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tool", type=Path, required=True)
    parser.add_argument("--onnxruntime", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--providers", nargs="+", default=["cuda"])
    parser.add_argument("--bench", action="store_true")
    arguments = parser.parse_args()
    print(tool(arguments, "devices").stdout)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        wrong = parity(arguments, folder) + ladder(arguments, folder) + around(arguments, folder) + buffers(arguments)
        wrong += bench(arguments, folder) if arguments.bench else 0
    print(f"\n{'everything held' if wrong == 0 else f'{wrong} wrong'}")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
