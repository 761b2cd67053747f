"""Segments many NIfTI files on many machines: ray_batch.py MODEL OUT_FOLDER CT.nii.gz ...

Ray starts one worker for each group of processors or, with a --device that isn't a CPU, for each GPU: on this machine
or, with RAY_ADDRESS set, on a cluster whose machines see the same folders. Each opens the model once and then takes one
file after the other; a file that fails is told and doesn't stop the rest. Needs ray and nibabel.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel
import ray

import voxseg


@ray.remote
class Segmenter:
    """A process with a plan of its own."""

    def __init__(self, model: str, device: str, threads: int) -> None:
        self._plan = voxseg.Plan(voxseg.Model.open(model), device=device, threads=threads)

    def segment(self, image: str, labels: str) -> float:
        """Segments a file into another; tells the seconds that it took."""
        result = self._plan.segment(nibabel.load(image))
        result.labels.to_filename(labels)
        return result.report.total_seconds


@dataclass(frozen=True)
class Group:
    """What one worker has for itself."""

    device: str
    threads: int
    gpus: int

    def workers(self) -> int:
        """How many of them the cluster holds."""
        there = ray.cluster_resources()
        processors = int(there.get("CPU", 1)) // self.threads
        return min(processors, int(there.get("GPU", 0)) // self.gpus) if self.gpus else processors


def main(model: str, out: Path, images: list[Path], group: Group, workers: int) -> int:
    out.mkdir(parents=True, exist_ok=True)
    # Ray shows a worker only the GPUs that it has.
    segmenter = Segmenter.options(num_cpus=group.threads, num_gpus=group.gpus, max_restarts=3)
    pool = [segmenter.remote(model, group.device, group.threads) for _ in range(workers)]
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
    parser.add_argument("--device", default="cpu", help="one of voxseg.devices(); default: cpu")
    parser.add_argument("--threads", type=int, default=4, help="processors of a worker")
    parser.add_argument("--workers", type=int, help="default: as many as the cluster holds")
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    given = parser.parse_args()
    ray.init()
    threads = min(given.threads, int(ray.cluster_resources().get("CPU", 1)))
    group = Group(given.device, threads, gpus=0 if given.device.endswith("cpu") else 1)
    workers = min(given.workers or group.workers(), len(given.images))
    if workers == 0:
        sys.exit(f"ray_batch: the cluster has no GPU for device {given.device}")
    sys.exit(min(main(str(given.model.absolute()), given.out, given.images, group, workers), 1))
