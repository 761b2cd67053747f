#!/usr/bin/env python3
"""Writes src/task/rules/data/totalsegmentator.json: what TotalSegmentator's own rules make of small random label maps, and
SciPy's distances on random masks for src/metrics/tests/distances.json.

    python -m venv V && V/bin/pip install TotalSegmentator==2.18.0
    V/bin/python tests/parity/make_rules.py
"""
import json
from pathlib import Path

import nibabel, numpy
from scipy import ndimage
from totalsegmentator.postprocessing import (
    dilate_vertebrae_labels, extract_skin, postprocess_vertebrae_pp, refine_vertebrae_pp_with_body_mask,
    remove_outside_of_mask,
)
from totalsegmentator.resampling import resample_one_hot_crop

SOURCE = Path(__file__).resolve().parent.parent.parent / "src"
random = numpy.random.default_rng(8)


def blobs(shape, labels, share=0.5):
    """Random labels whose pieces have insides."""
    noise = ndimage.gaussian_filter(random.standard_normal(shape), 1.1)
    kind = ndimage.gaussian_filter(random.standard_normal(shape), 2.0)
    values = numpy.digitize(kind, numpy.quantile(kind, numpy.linspace(0, 1, labels + 1)[1:-1])) + 1
    return numpy.where(noise > numpy.quantile(noise, 1 - share), values, 0).astype(numpy.uint8)


def text(array):
    """Letters for the voxels, the last axis fastest: 'a' for 0."""
    return "".join(chr(ord("a") + int(value)) for value in numpy.asarray(array).ravel())


VERTEBRAE = {1: "vertebrae_C1", 2: "vertebrae_C2", 3: "vertebrae_T1", 4: "vertebrae_L4", 5: "vertebrae_L5"}


def rules():
    cases = []
    for spacing in ([1.5, 1.5, 1.5], [1.9, 2.1, 1.3], [0.7, 0.7, 3.0], [0.9, 1.0, 2.5], [1.2, 0.8, 5.0]):
        zooms = [numpy.float32(length) for length in spacing]
        shape = (11, 10, 9)
        labels, body = blobs(shape, 5, 0.25), blobs(shape, 2, 0.6)
        image = numpy.round(random.uniform(-400, 500, shape)).astype(numpy.int16)
        grid = numpy.diag([*spacing, 1.0])
        skin = extract_skin(nibabel.Nifti1Image(image, grid), nibabel.Nifti1Image((body > 0).astype(numpy.uint8), grid))
        volume = numpy.prod(zooms)
        small = tuple(int(size) for size in random.integers(14, 22, 3))
        cases.append({
            "spacing": spacing, "shape": shape, "labels": text(labels), "body": text(body), "image": image.ravel().tolist(),
            "dilated_3mm": text(dilate_vertebrae_labels(labels.copy(), VERTEBRAE, zooms, 3)),
            "refined": text(refine_vertebrae_pp_with_body_mask(labels.copy(), body, VERTEBRAE, zooms)),
            "separated": text(postprocess_vertebrae_pp(labels.copy(), VERTEBRAE, 20, volume, zooms)),
            "outside_2": text(remove_outside_of_mask(labels.copy(), body == 1, 2)),
            "skin": text(skin.get_fdata()),
            "smooth_shape": small, "smooth": text(resample_one_hot_crop(labels.astype(float), small)),
        })
    return cases


def distances():
    cases = []
    for spacing in ([1, 1, 1], [2.5, 0.7, 1.1], [0.4, 3.0, 1.0]):
        for share in (0.02, 0.3):
            shape = tuple(int(size) for size in random.integers(3, 8, 3))
            mask = random.uniform(size=shape) < share
            mask[tuple(size - 1 for size in shape)] = True
            found = ndimage.distance_transform_edt(~mask, sampling=spacing)
            cases.append({"spacing": spacing, "shape": shape, "mask": text(mask), "distances": found.ravel().tolist()})
    return cases


def write(path, **content):
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case) for case in content["cases"])
    path.write_text(f'{{"source": {json.dumps(content["source"])}, "cases": [\n{lines}\n]}}\n')


write(SOURCE / "task/rules/data/totalsegmentator.json", cases=rules(),
      source="tests/parity/make_rules.py with TotalSegmentator 2.18.0 on random arrays [x, y, z], z fastest")
write(SOURCE / "labels/tests/distances.json", cases=distances(),
      source="tests/parity/make_rules.py: scipy.ndimage.distance_transform_edt on random masks, last axis fastest")
