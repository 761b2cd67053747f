"""Writes a model folder with nnU-Net's default network of 31 million parameters, and random weights.

    python3 benches/large_model.py FOLDER [PATCH]

PATCH: length of a tile's edges, 128 by default. Needs nothing but Python: the checkpoint is written as torch would.
"""

import json
import pathlib
import pickle
import random
import struct
import sys
import types
import zipfile

FEATURES = [32, 64, 128, 256, 320, 320]
LABELS = 25
EXAMPLE = "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"


def weights():
    """Names, shapes and the scale of their values."""
    def block(name, inputs, outputs):
        yield f"{name}.conv.weight", [outputs, inputs, 3, 3, 3], (2 / (27 * inputs)) ** 0.5
        yield f"{name}.conv.bias", [outputs], 0.1
        yield f"{name}.norm.weight", [outputs], 1.0
        yield f"{name}.norm.bias", [outputs], 0.1

    inputs = 1
    for stage, outputs in enumerate(FEATURES):
        yield from block(f"encoder.stages.{stage}.0.convs.0", inputs, outputs)
        yield from block(f"encoder.stages.{stage}.0.convs.1", outputs, outputs)
        inputs = outputs
    for stage in range(len(FEATURES) - 1):
        low, skip = FEATURES[-1 - stage], FEATURES[-2 - stage]
        yield f"decoder.transpconvs.{stage}.weight", [low, skip, 2, 2, 2], low**-0.5
        yield f"decoder.transpconvs.{stage}.bias", [skip], 0.1
        yield from block(f"decoder.stages.{stage}.convs.0", 2 * skip, skip)
        yield from block(f"decoder.stages.{stage}.convs.1", skip, skip)
        yield f"decoder.seg_layers.{stage}.weight", [LABELS, skip, 1, 1, 1], skip**-0.5
        yield f"decoder.seg_layers.{stage}.bias", [LABELS], 0.1


class Storage:
    """Stands for a tensor's numbers, which have a file of their own."""

    def __init__(self, number, count):
        self.id = ("storage", FloatStorage, str(number), "cpu", count)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


def module(name, **members):
    made = sys.modules.setdefault(name, types.ModuleType(name))
    for key, value in members.items():
        value.__module__, value.__qualname__ = name, key
        setattr(made, key, value)


class FloatStorage:
    pass


def rebuild(*_):
    pass


class Tensor:
    def __init__(self, storage, shape):
        strides = [1]
        for length in reversed(shape[1:]):
            strides.insert(0, strides[0] * length)
        self.parts = (storage, 0, tuple(shape), tuple(strides), False, {})

    def __reduce__(self):
        return rebuild, self.parts


def main():
    folder = pathlib.Path(sys.argv[1])
    patch = int(sys.argv[2]) if len(sys.argv) > 2 else 128
    example = pathlib.Path(__file__).parent.parent / EXAMPLE
    (folder / "fold_0").mkdir(parents=True, exist_ok=True)
    for name in ["dataset.json", "dataset_fingerprint.json"]:
        (folder / name).write_bytes((example / name).read_bytes())
    dataset = json.loads((folder / "dataset.json").read_text())
    dataset["labels"] = {"background": 0} | {f"label {n}": n for n in range(1, LABELS)}
    (folder / "dataset.json").write_text(json.dumps(dataset))
    plans = json.loads((example / "plans.json").read_text())
    configuration = plans["configurations"]["3d_fullres"]
    configuration["patch_size"] = [patch] * 3
    arguments = configuration["architecture"]["arch_kwargs"]
    stages = len(FEATURES)
    arguments |= {
        "n_stages": stages,
        "features_per_stage": FEATURES,
        "kernel_sizes": [[3] * 3] * stages,
        "strides": [[1] * 3] + [[2] * 3] * (stages - 1),
        "n_conv_per_stage": [2] * stages,
        "n_conv_per_stage_decoder": [2] * (stages - 1),
    }
    (folder / "plans.json").write_text(json.dumps(plans))

    module("torch", FloatStorage=FloatStorage)
    module("torch._utils", _rebuild_tensor_v2=rebuild)
    random.seed(31)
    # Blocks of random numbers are drawn once: the time of a run doesn't depend on them.
    unit = [random.gauss(0, 1) for _ in range(4096)]
    state, parameters = {}, 0
    with zipfile.ZipFile(folder / "fold_0/checkpoint_final.pth", "w", zipfile.ZIP_STORED) as archive:
        for number, (name, shape, scale) in enumerate(weights()):
            count = 1
            for length in shape:
                count *= length
            parameters += count
            block = struct.pack("<4096f", *(scale * value for value in unit))
            archive.writestr(f"checkpoint_final/data/{number}", (block * (count // 4096 + 1))[: 4 * count])
            state[name] = Tensor(Storage(number, count), shape)
        checkpoint = {
            "network_weights": state,
            "trainer_name": "nnUNetTrainerNoMirroring",
            "init_args": {"configuration": "3d_fullres"},
            "inference_allowed_mirroring_axes": None,
        }
        with archive.open("checkpoint_final/data.pkl", "w") as file:
            Pickler(file, protocol=2).dump(checkpoint)
        archive.writestr("checkpoint_final/byteorder", "little")
        archive.writestr("checkpoint_final/version", "3\n")
    print(f"{folder}: {parameters / 1e6:.1f} million parameters")


main()
