"""Segments many NIfTI files on many machines: ray_batch.py MODEL OUT_FOLDER CT.nii.gz ...

Ray starts one worker for each group of processors, on this machine or, with RAY_ADDRESS set, on a cluster whose
machines see the same folders. Each opens the model once and then takes one file after the other; a file that fails
is told and doesn't stop the rest. Needs ray and nibabel.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nibabel
import ray

import voxseg


@ray.remote
class Segmenter:
    """A process with a plan of its own."""

    def __init__(self, model: str, threads: int) -> None:
        self._plan = voxseg.Plan(voxseg.Model.open(model), threads=threads)

    def segment(self, image: str, labels: str) -> float:
        """Segments a file into another; tells the seconds that it took."""
        result = self._plan.segment(nibabel.load(image))
        result.labels.to_filename(labels)
        return result.report.total_seconds


def main(model: str, out: Path, images: list[Path], workers: int, threads: int) -> int:
    out.mkdir(parents=True, exist_ok=True)
    segmenter = Segmenter.options(num_cpus=threads, max_restarts=3)
    pool = [segmenter.remote(model, threads) for _ in range(workers)]
    waiting, running, failures = list(images), {}, 0
    while waiting or running:
        while waiting and pool:
            # Absolute, since a worker has a folder of its own.
            worker, image = pool.pop(), waiting.pop(0).absolute()
            running[worker.segment.remote(str(image), str((out / image.name).absolute()))] = (worker, image)
        (done,), _ = ray.wait(list(running), num_returns=1)
        worker, image = running.pop(done)
        pool.append(worker)
        try:
            print(f"{image.name}: {ray.get(done):.1f} s", flush=True)
        except ray.exceptions.RayError as error:
            failures += 1
            print(f"{image.name}: {getattr(error, 'cause', error)}", file=sys.stderr, flush=True)
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workers", type=int, help="default: one for each group of processors in the cluster"
    )
    parser.add_argument("--threads", type=int, default=4, help="processors in a group")
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    given = parser.parse_args()
    ray.init()
    processors = int(ray.cluster_resources().get("CPU", 1))
    threads = min(given.threads, processors)
    workers = min(given.workers or processors // threads, len(given.images))
    sys.exit(min(main(str(given.model.absolute()), given.out, given.images, workers, threads), 1))
