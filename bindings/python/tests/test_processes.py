"""Processes: forked ones are told what they can't do and end, spawned ones work, Ctrl-C ends a program."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

import numpy as np

import voxseg
from fixture import GRID, ct, expected, plan

PRELUDE = "from fixture import *; "


def run(program: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program],
        cwd=Path(__file__).parent,
        env={**os.environ, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


def segment_in_child(_: int) -> Any:
    """For the pools below."""
    return plan().segment(ct(), GRID).labels


class Processes(unittest.TestCase):
    @unittest.skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_forked(self) -> None:
        program = """
import gc, os, sys, warnings
warnings.simplefilter("ignore")
before = expected()
child = os.fork()
if child == 0:
    try:
        plan().segment(ct(), GRID)
        sys.exit(1)
    except RuntimeError as error:
        assert "forked" in str(error) and "spawn" in str(error)
    plan.cache_clear()
    gc.collect()
    assert (voxseg.Plan(model()).segment(ct(), GRID).labels == before).all()
    sys.exit(42)
_, status = os.waitpid(child, 0)
assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 42, status
assert (plan().segment(ct(), GRID).labels == before).all()
"""
        done = run(program)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    def test_spawned(self) -> None:
        expected()
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            for labels in pool.map(segment_in_child, range(2)):
                np.testing.assert_array_equal(labels, expected())

    @unittest.skipIf(os.name == "nt", "signals of POSIX")
    def test_interrupted(self) -> None:
        program = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
def progress(now):
    if now.stage == "network":
        os.kill(os.getpid(), signal.SIGINT)
plan().segment(ct(WIDE), GRID, progress=progress)
print("went on")
"""
        done = run(program)
        self.assertEqual((done.returncode, done.stdout), (-signal.SIGINT, b""), done.stderr.decode())
        self.assertIn(b"KeyboardInterrupt", done.stderr)
        self.assertNotIn(b"ignored", done.stderr)

    def test_import_starts_nothing(self) -> None:
        program = """
import sys, threading
print(threading.active_count(), voxseg.runtime_version() == "", "tqdm" in sys.modules)
"""
        self.assertEqual(run(program).stdout.split(), [b"1", b"True", b"False"])


class Runtime(unittest.TestCase):
    def test_missing(self) -> None:
        with tempfile.TemporaryDirectory() as nowhere:
            program = """
try:
    voxseg.Plan(model(), device="ort-cpu")
except voxseg.DeviceError as error:
    print(error.status, error)
print(all(device.usable == (device.name == "cpu") for device in voxseg.devices()))
assert (expected() == plan().segment(ct(), GRID).labels).all()
"""
            words = run(program, VOXSEG_ORT_LIBRARY=nowhere).stdout.decode()
        self.assertTrue(words.startswith("301 ") and words.strip().endswith("True"), words)
        self.assertIn("pip install voxseg[onnxruntime]", words)
        self.assertIn(nowhere, words)

    def test_a_named_one(self) -> None:
        voxseg.open_runtime()
        path = voxseg.runtime_path()
        program = f"voxseg.open_runtime({path!r}); print(voxseg.runtime_path())"
        self.assertEqual(run(program).stdout.decode().strip(), path)
        with self.assertRaises(voxseg.ArgumentError):
            voxseg.open_runtime(os.path.dirname(__file__))

    @unittest.skipUnless(importlib.util.find_spec("onnxruntime"), "the onnxruntime package isn't installed")
    def test_the_installed_package(self) -> None:
        program = """
import os, sys
os.environ.pop("VOXSEG_ORT_LIBRARY", None)
voxseg.Plan(model(), device="ort-cpu").segment(ct(), GRID)
assert "onnxruntime" not in sys.modules
print(voxseg.runtime_path())
import onnxruntime
print(onnxruntime.InferenceSession is not None)
"""
        done = run(program)
        words = done.stdout.decode().split("\\n")
        self.assertIn("onnxruntime", words[0], done.stderr.decode())
        self.assertIn("capi", words[0])


if __name__ == "__main__":
    unittest.main()
