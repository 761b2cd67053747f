"""The examples are programs: they are run as a user runs them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from fixture import MODEL, REPOSITORY, SPACING, ct, expected

try:
    import nibabel
except ImportError:
    nibabel = None


@unittest.skipUnless(nibabel, "nibabel isn't installed")
class Examples(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.image = self.folder / "ct.nii.gz"
        nibabel.Nifti1Image(ct().transpose(), np.diag([-3, -3, 3, 1])).to_filename(self.image)

    def run_example(self, name: str, *arguments: object, status: int = 0) -> str:
        program = REPOSITORY / "examples/python" / name
        # The image is no CT, and so warned of.
        command = [sys.executable, "-W", "ignore::UserWarning", str(program), *map(str, arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        words = done.stdout.decode()
        self.assertEqual(done.returncode, status, words)
        return words

    def check(self, labels: Path) -> None:
        written = nibabel.load(labels)
        np.testing.assert_array_equal(np.asarray(written.dataobj).transpose(), expected())
        self.assertEqual(written.header.get_zooms(), SPACING)

    @unittest.skipUnless(importlib.util.find_spec("tqdm"), "tqdm isn't installed")
    def test_segment_nifti(self) -> None:
        labels = self.folder / "labels.nii.gz"
        words = self.run_example("segment_nifti.py", MODEL, self.image, labels)
        self.check(labels)
        self.assertIn("1 tiles in ", words)
        self.assertIn(" ml", words)
        words = self.run_example("segment_nifti.py", MODEL, self.image, self.image, labels, status=1)
        self.assertIn("segment_nifti: ", words)
        self.assertIn("channel", words)

    def test_compare_models(self) -> None:
        _, *rows = self.run_example("compare_models.py", MODEL, MODEL, self.image).splitlines()
        self.assertEqual(len(rows), len(np.unique(expected())) - 1)
        for row in rows:
            _, dice, _, difference, hausdorff = row.split()
            self.assertEqual((dice, difference, hausdorff), ("1.0000", "0.00", "0.00"))

    @unittest.skipUnless(importlib.util.find_spec("tqdm"), "tqdm isn't installed")
    def test_quick_start(self) -> None:
        """What stands in the document runs, from its first block to its last, in a folder with what it names."""
        text = (REPOSITORY / "docs/quickstart-python.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(blocks), 5)
        (self.folder / "examples").symlink_to(REPOSITORY / "examples")
        program = self.folder / "quick_start.py"
        given = [
            "import nibabel, numpy",
            "image = dose_image = nibabel.load('ct.nii.gz')",
            "array = numpy.ascontiguousarray(numpy.asarray(image.dataobj).transpose())",
        ]
        program.write_text("\n".join([*given, *blocks, "import os; os._exit(0)  # without waiting for the timer"]))
        command = [sys.executable, "-W", "ignore::UserWarning", str(program)]
        done = subprocess.run(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.check(self.folder / "labels.nii.gz")

    @unittest.skipUnless(importlib.util.find_spec("ray"), "ray isn't installed")
    def test_ray_batch(self) -> None:
        images = []
        for number in range(3):
            images.append(self.folder / f"case{number}.nii.gz")
            images[-1].write_bytes(self.image.read_bytes())
        broken = self.folder / "broken.nii.gz"
        broken.write_bytes(b"not a NIfTI file")
        out = self.folder / "out"
        options = ("--workers", 2, "--threads", 1)
        words = self.run_example("ray_batch.py", *options, MODEL, out, *images, broken, status=1)
        for image in images:
            self.check(out / image.name)
            self.assertIn(f"{image.name}: ", words)
        self.assertIn("broken.nii.gz: ", words)
        self.assertEqual(len(list(out.iterdir())), 3)
        if not shutil.which("nvidia-smi"):
            words = self.run_example("ray_batch.py", "--device", "cuda", MODEL, out, *images, status=1)
            self.assertIn("no GPU for device cuda", words)


if __name__ == "__main__":
    unittest.main()
