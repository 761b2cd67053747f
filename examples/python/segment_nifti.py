"""Segments a NIfTI file: segment_nifti.py MODEL CT.nii.gz LABELS.nii.gz

Several channels are several files: segment_nifti.py MODEL FLAIR.nii.gz T1.nii.gz LABELS.nii.gz

Needs nibabel and tqdm. Ctrl-C stops within one tile; then no file is written.
"""

from __future__ import annotations

import sys

import nibabel
import numpy as np

import voxseg


def main(model_path: str, *paths: str) -> None:
    *image_paths, labels_path = paths
    with voxseg.Model.open(model_path) as model, voxseg.Plan(model) as plan:
        images = [nibabel.load(path) for path in image_paths]
        result = plan.segment(images, progress=True)
        result.labels.to_filename(labels_path)

        counts = np.bincount(np.asarray(result.labels.dataobj).ravel(), minlength=model.labels[-1].value + 1)
        millilitres = np.prod(result.labels.header.get_zooms()) / 1000
        for label in model.labels[1:]:
            if counts[label.value]:
                print(f"{label.value:5} {label.name:24} {counts[label.value] * millilitres:10.1f} ml")
        print(f"{result.report.tiles} tiles in {result.report.total_seconds:.1f} s")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except voxseg.Error as error:
        sys.exit(f"segment_nifti: {error}")
    except KeyboardInterrupt:
        sys.exit("segment_nifti: stopped")
