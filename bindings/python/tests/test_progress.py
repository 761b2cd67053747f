"""Progress, and the ways to stop a run: False, a flag, an exception, Ctrl-C. The labels are then untouched."""

from __future__ import annotations

import _thread
import contextlib
import gc
import io
import logging
import signal
import threading
import time
import unittest
import warnings
import weakref
from typing import Any

import numpy as np

import voxseg
from fixture import GRID, MODEL, WIDE, ct, expected, plan

try:
    import tqdm
except ImportError:
    tqdm = None


class Reported(unittest.TestCase):
    def test_progress(self) -> None:
        seen: list[voxseg.Progress] = []
        threads = set()

        def progress(now: voxseg.Progress) -> None:
            seen.append(now)
            threads.add(threading.get_ident())

        labels = plan().segment(ct(WIDE), GRID, progress=progress).labels
        np.testing.assert_array_equal(labels, expected(WIDE))
        fractions = [now.fraction for now in seen]
        self.assertEqual((fractions, fractions[-1]), (sorted(fractions), 1.0))
        self.assertEqual({now.stage for now in seen}, {"preprocess", "network", "restore"})
        self.assertIn((1, 2), {(now.tiles_done, now.tiles) for now in seen})
        self.assertEqual(threads, {threading.get_ident()})

    @unittest.skipUnless(tqdm, "tqdm isn't installed")
    def test_bar(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as written:
            plan().segment(ct(), GRID, progress=True)
        self.assertIn("100%", written.getvalue())

    def test_no_progress(self) -> None:
        for nothing in (None, False):
            self.assertEqual(plan().segment(ct(), GRID, progress=nothing).report.tiles, 1)
        with self.assertRaisesRegex(TypeError, "progress is 1"):
            plan().segment(ct(), GRID, progress=1)


    def test_opening_and_compiling(self) -> None:
        seen: list[voxseg.Progress] = []
        with voxseg.Model.open(MODEL, progress=seen.append) as opened:
            self.assertEqual((seen[-1].stage, seen[-1].fraction), ("open", 1.0))
            self.assertGreater(seen[-1].bytes_read, 100_000)
            self.assertEqual(seen[-1].bytes_read, seen[-1].bytes)
            made = voxseg.Plan(opened, progress=seen.append)
            self.assertEqual((seen[-1].stage, seen[-1].fraction), ("compile", 1.0))
            made.trim()
            with self.assertRaises(voxseg.Cancelled):
                voxseg.Plan(opened, progress=lambda _: False)
        with self.assertRaises(voxseg.Cancelled):
            voxseg.Model.open(MODEL, progress=lambda _: False)

        def surprise(_: voxseg.Progress) -> None:
            raise KeyError("surprise")

        with self.assertRaisesRegex(KeyError, "surprise"):
            voxseg.Model.open(MODEL, progress=surprise)
        cancel = voxseg.Cancel()
        cancel.request()
        with self.assertRaises(voxseg.Cancelled):
            voxseg.Model.open(MODEL, cancel=cancel)
        with self.assertRaises(voxseg.Cancelled):
            voxseg.on_grid(np.ones((4, 4, 4), np.uint8), np.ones((4, 4, 4)), grid=GRID, target_grid=GRID, cancel=cancel)


class Logs(unittest.TestCase):
    def test_receivers_do_not_know_of_each_other(self) -> None:
        flat = np.zeros(WIDE, np.int16)

        def warned() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                plan().segment(flat, GRID)

        with voxseg.Log("voxseg.first"):
            with self.assertLogs("voxseg.first", "WARNING") as first:
                with self.assertLogs("voxseg.second", "WARNING") as second, voxseg.Log(logging.getLogger("voxseg.second")):
                    warned()
                heard = len(second.output)
                warned()
        self.assertEqual((len(second.output), len(first.output)), (heard, 2 * heard))
        with self.assertRaisesRegex(ValueError, "log is 'loud'"):
            voxseg.Log(level="loud")


class Stopped(unittest.TestCase):
    def setUp(self) -> None:
        self.labels = np.full(WIDE, 77, np.uint8)

    def segment(self, progress: Any = None, cancel: voxseg.Cancel | None = None) -> None:
        plan().segment(ct(WIDE), GRID, progress=progress, cancel=cancel, labels_out=self.labels)

    def tearDown(self) -> None:
        self.assertTrue((self.labels == 77).all())
        np.testing.assert_array_equal(plan().segment(ct(WIDE), GRID).labels, expected(WIDE))

    def test_by_false(self) -> None:
        with self.assertRaises(voxseg.Cancelled) as caught:
            self.segment(lambda _: False)
        self.assertEqual(caught.exception.status, 401)

    def test_by_a_flag(self) -> None:
        with voxseg.Cancel() as cancel:
            self.assertFalse(cancel.requested)
            started = threading.Event()

            def request() -> None:
                started.wait()
                cancel.request()

            other = threading.Thread(target=request)
            other.start()
            with self.assertRaises(voxseg.Cancelled):
                self.segment(lambda _: started.set() or other.join(), cancel)
            self.assertTrue(cancel.requested)
            with self.assertRaises(voxseg.Cancelled):
                self.segment(cancel=cancel)
            cancel.reset()
            self.assertFalse(cancel.requested)
            plan().segment(ct(), GRID, cancel=cancel)

    def test_by_an_exception(self) -> None:
        class Surprise(BaseException):
            pass

        cause = KeyError("why")
        calls = []

        def progress(now: voxseg.Progress) -> None:
            calls.append(now)
            if now.tiles_done == 1:
                raise Surprise from cause

        with self.assertRaises(Surprise) as caught:
            self.segment(progress)
        self.assertIs(caught.exception.__cause__, cause)
        self.assertEqual(calls[-1].tiles_done, 1)

    def test_by_an_exception_at_the_very_end(self) -> None:
        def progress(now: voxseg.Progress) -> None:
            if now.fraction == 1:
                raise LookupError("last")

        with self.assertRaisesRegex(LookupError, "last"):
            self.segment(progress)

    def test_an_exception_leaves_no_garbage(self) -> None:
        class Receiver:
            def __call__(self, _: voxseg.Progress) -> None:
                raise LookupError

        receiver = Receiver()
        alive = weakref.ref(receiver)
        gc.disable()
        try:
            with contextlib.suppress(LookupError):
                self.segment(receiver)
            del receiver
            self.assertIsNone(alive())
        finally:
            gc.enable()

    def test_by_ctrl_c(self) -> None:
        # Python leaves the signal alone where it was started without it, as in the background of a shell.
        former = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, former)
        for progress in (None, lambda _: None):
            start = time.monotonic()
            timer = threading.Timer(0.05, _thread.interrupt_main)
            timer.start()
            with contextlib.redirect_stderr(io.StringIO()) as written, self.assertRaises(KeyboardInterrupt):
                self.segment(progress)
                time.sleep(60)
            self.assertLess(time.monotonic() - start, 30)
            self.assertEqual(written.getvalue(), "")
            timer.join()


if __name__ == "__main__":
    unittest.main()
