"""What two models make of one image: compare_models.py MODEL_A MODEL_B CT.nii.gz

An nnU-Net folder and an Auto3DSeg model, for example. For each structure that both know, by name or by code, it prints
how much of it they agree on: Dice, difference of volumes, 95 % Hausdorff distance. Both run at once, each in a thread
and with half of the processors. Needs nibabel.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nibabel

import voxseg


def segment(model: voxseg.Model, image: Any) -> Any:
    """The labels of an image, as an image on its grid."""
    threads = max(1, (os.cpu_count() or 2) // 2)
    return voxseg.Plan(model, threads=threads).segment(image).labels


def match(a: voxseg.Model, b: voxseg.Model) -> list[tuple[int, int]]:
    """Labels that mean the same by name, and by code where one has no namesake."""
    pairs = voxseg.match_labels(a, b, "name")
    for first, second in voxseg.match_labels(a, b, "terms"):
        if all(first != one and second != other for one, other in pairs):
            pairs.append((first, second))
    return pairs


def main(path_a: str, path_b: str, image_path: str) -> None:
    image = nibabel.load(image_path)
    a, b = voxseg.Model.open(path_a), voxseg.Model.open(path_b)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(segment, (a, b), (image, image))
    names = {label.value: label.name for label in a.labels}
    print(f"{'structure':24} {'Dice':>7} {'A, mL':>9} {'B - A, mL':>10} {'HD95, mm':>9}")
    for found in voxseg.compare(first, second, pairs=match(a, b), tolerance=3.0):
        if any(found.voxels):
            difference = found.milliliters[1] - found.milliliters[0]
            volume = f"{found.milliliters[0]:9.2f} {difference:10.2f}"
            print(f"{names[found.first]:24} {found.dice:7.4f} {volume} {found.hausdorff_95:9.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except voxseg.Error as error:
        sys.exit(f"compare_models: {error}")
