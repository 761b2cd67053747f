"""What two models make of one image: compare_models.py MODEL_A MODEL_B CT.nii.gz

Prints for each structure that both know by name how much of it they agree on (Dice). Both run at once, each in
a thread and with half of the processors. Needs nibabel.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import nibabel
import numpy as np

import voxseg


def segment(path: str, image: Any) -> dict[str, Any]:
    """A mask for each structure that the model of that path knows."""
    with voxseg.Model.open(path) as model:
        threads = max(1, (os.cpu_count() or 2) // 2)
        labels = np.asarray(voxseg.Plan(model, threads=threads).segment(image).labels.dataobj)
        return {label.name: labels == label.value for label in model.labels[1:]}


def main(path_a: str, path_b: str, image_path: str) -> None:
    image = nibabel.load(image_path)
    with ThreadPoolExecutor(2) as pool:
        a, b = pool.map(segment, (path_a, path_b), (image, image))
    for name in [name for name in a if name in b]:
        size = int(a[name].sum()) + int(b[name].sum())
        if size:
            print(f"{name:24} {2 * int((a[name] & b[name]).sum()) / size:.4f}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except voxseg.Error as error:
        sys.exit(f"compare_models: {error}")
