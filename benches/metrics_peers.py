"""What the peers take for the numbers that `metrics.rs` times, and whether they are the same. Needs SciPy, MONAI and
surface-distance. Prints a line of JSON.

Usage: metrics_peers.py surface-distance|monai FIRST SECOND Z Y X SZ SY SX TOLERANCE OURS
       metrics_peers.py totalsegmentator LABELS IMAGE Z Y X SZ SY SX OURS

OURS is a file with the line that `metrics compare` or `metrics statistics` printed: the labels in it are compared.
"""
import json
import sys
import time

import numpy
from scipy import ndimage

what, first, second = sys.argv[1:4]
numbers = [float(number) for number in sys.argv[4:-1]]
shape, spacing = [int(number) for number in numbers[:3]], numbers[3:6]
with open(sys.argv[-1]) as file:
    ours = {label["label"]: label for label in json.load(file)["labels"]}
a = numpy.fromfile(first, numpy.uint8).reshape(shape)
worst = {}


def agree(name, mine, theirs):
    """Remembers the largest relative deviation of each number."""
    for x, y in zip(numpy.ravel(mine), numpy.ravel(theirs)):
        if x is None and y is None:
            continue
        x, y = float("inf" if x is None else x), float(y)
        deviation = 0.0 if x == y else abs(x - y) / max(abs(y), 1e-12)
        worst[name] = max(worst.get(name, 0.0), deviation)


def surface_distance(b, tolerance):
    # The package is from before NumPy 2 and SciPy's public ndimage.
    numpy.Inf, numpy.NaN = numpy.inf, numpy.nan
    ndimage.filters = ndimage.morphology = ndimage
    from surface_distance import metrics

    seconds = 0.0
    for label, one in ours.items():
        start = time.perf_counter()
        x, y = a == label, b == label
        distances = metrics.compute_surface_distances(x, y, spacing)
        numbers = {
            "dice": metrics.compute_dice_coefficient(x, y),
            "hausdorff": metrics.compute_robust_hausdorff(distances, 100),
            "hausdorff_95": metrics.compute_robust_hausdorff(distances, 95),
            "mean_each_way": metrics.compute_average_surface_distance(distances),
            "surface_dice": metrics.compute_surface_dice_at_tolerance(distances, tolerance),
            "areas": [distances["surfel_areas_gt"].sum(), distances["surfel_areas_pred"].sum()],
        }
        seconds += time.perf_counter() - start
        for name, theirs in numbers.items():
            if name != "mean_each_way" or x.any() and y.any():
                agree(name, one[name], theirs)
    return seconds


def monai(b, tolerance):
    import torch
    from monai.metrics import compute_dice, compute_surface_dice

    torch.set_num_threads(2)
    seconds = 0.0
    for label, one in ours.items():
        start = time.perf_counter()
        x, y = (torch.from_numpy(map == label)[None, None] for map in (a, b))
        dice = compute_dice(x, y)
        surface = compute_surface_dice(x, y, [tolerance], include_background=True, spacing=spacing, use_subvoxels=True)
        seconds += time.perf_counter() - start
        agree("dice", one["dice"], dice)
        if x.any() and y.any():
            agree("surface_dice", one["surface_dice"], surface)
    return seconds


def totalsegmentator(image):
    """The numbers of `get_basic_statistics` without its exclusion of labels at the border."""
    seconds = 0.0
    for label, one in ours.items():
        start = time.perf_counter()
        inside = a == label
        values, index = image[inside], numpy.argwhere(inside)
        numbers = {
            "voxels": inside.sum(),
            "milliliters": inside.sum() * numpy.prod(spacing) / 1000,
            "mean": numpy.average(image, weights=inside.astype(numpy.uint8)),
            "median": numpy.median(values),
            "std": values.std(),
            "min": values.min(),
            "max": values.max(),
            "centroid_index": index.mean(axis=0)[::-1],
            "first": index.min(axis=0)[::-1],
            "last": index.max(axis=0)[::-1],
        }
        seconds += time.perf_counter() - start
        for name, theirs in numbers.items():
            agree(name, one[name], theirs)
    return seconds


if what == "totalsegmentator":
    seconds = totalsegmentator(numpy.fromfile(second, numpy.int16).reshape(shape))
else:
    peer = {"surface-distance": surface_distance, "monai": monai}[what]
    seconds = peer(numpy.fromfile(second, numpy.uint8).reshape(shape), numbers[6])
print(json.dumps({"seconds": round(seconds, 3), "labels": len(ours), "deviation": worst}))
