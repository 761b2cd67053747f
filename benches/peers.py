"""What the peers take for the pieces that `numerics.rs` times, on arrays of the same shapes: prints a line of JSON.

Usage: peers.py restore-default|restore-torch CLASSES Z Y X Z Y X THREADS
       peers.py resample Z Y X Z Y X THREADS
       peers.py case MODEL IMAGE LABELS STEP THREADS
"""
import json
import os
import resource
import sys
import time

for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(name, "unused")
import numpy
import torch
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from nnunetv2.preprocessing.resampling.resample_torch import resample_torch_fornnunet

what, threads = sys.argv[1], int(sys.argv[-1])
numbers = [int(number) for number in sys.argv[2:-1] if number.isdigit()]
torch.set_num_threads(threads)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def scores(classes, shape):
    """Smooth scores with noise, as numerics.rs makes them."""
    z, y, x = numpy.ogrid[tuple(slice(size) for size in shape)]
    noise = numpy.random.default_rng(1)
    field = numpy.empty((classes, *shape), numpy.float16)
    for c in range(classes):
        wave = numpy.sin((z + 3 * c) * 0.11) + numpy.cos((y + 7 * c) * 0.07) + numpy.sin(x * 0.05)
        field[c] = 12 * wave + noise.random(shape, numpy.float32)
    return field


def case(model, image, labels, step):
    """A whole case as `nnUNetv2_predict` runs it in one process; the network's time is told apart."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    before = peak()
    predictor = nnUNetPredictor(tile_step_size=float(step), perform_everything_on_device=False, device=torch.device("cpu"), verbose=False, verbose_preprocessing=False, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(model, None)
    network = 0.0
    forward = predictor.network.forward

    def timed(tile):
        nonlocal network
        start = time.perf_counter()
        result = forward(tile)
        network += time.perf_counter() - start
        return result

    predictor.network.forward = timed
    start = time.perf_counter()
    predictor.predict_from_files_sequential([[image]], [labels], save_probabilities=False, overwrite=True)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": round(seconds, 3), "network": round(network, 3), "other": round(seconds - network, 3), "extra_bytes": peak()}))


if what == "case":
    case(*sys.argv[2:6])
    sys.exit()
if what.startswith("restore"):
    classes, old, new = numbers[0], numbers[1:4], numbers[4:7]
    field = scores(classes, old)
    spacing = [b / a for a, b in zip(old, new)]
    before = peak()
    start = time.perf_counter()
    if what == "restore-default":
        resampled = resample_data_or_seg_to_shape(field, new, spacing, [1, 1, 1], order=1, order_z=0, force_separate_z=False)
        labels = resampled.argmax(0)
    else:
        resampled = resample_torch_fornnunet(torch.from_numpy(field), new, spacing, [1, 1, 1], num_threads=threads, force_separate_z=False)
        labels = resampled.argmax(0).numpy()
    seconds = time.perf_counter() - start
    assert labels.max() > 0
else:
    old, new = numbers[:3], numbers[3:6]
    z, y, x = numpy.ogrid[tuple(slice(size) for size in old)]
    image = ((z * 31 + y * 17 + x * 7) % 97 * 20.0 - 1000).astype(numpy.float32)[None]
    before = peak()
    start = time.perf_counter()
    resample_data_or_seg_to_shape(image, new, [1, 1, 1], [1, 1, 1], order=3, order_z=0, force_separate_z=False)
    seconds = time.perf_counter() - start
print(json.dumps({"seconds": round(seconds, 4), "extra_bytes": peak() - before}))
