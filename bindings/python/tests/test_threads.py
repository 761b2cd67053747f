"""Threads: the interpreter goes on while a plan runs, plans run side by side, and a busy one says so."""

from __future__ import annotations

import gc
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import voxseg
from fixture import GRID, WIDE, ct, expected, model, plan


class Threads(unittest.TestCase):
    def test_the_interpreter_goes_on(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            run = pool.submit(plan().segment, ct(WIDE), GRID)
            longest, last = 0.0, time.monotonic()
            while not run.done():
                time.sleep(0.001)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        # A run that held the interpreter would have stopped this loop for most of its time.
        self.assertLess(longest, run.result().report.total_seconds / 2)

    def test_a_pool_of_plans(self) -> None:
        local = threading.local()

        def segment(_: int) -> Any:
            if not hasattr(local, "plan"):
                local.plan = voxseg.Plan(model(), threads=1)
            # Garbage is collected while other threads are in the library.
            gc.collect()
            return local.plan.segment(ct(), GRID).labels

        with ThreadPoolExecutor(4) as pool:
            for labels in pool.map(segment, range(8)):
                np.testing.assert_array_equal(labels, expected())

    def test_busy(self) -> None:
        def again(_: voxseg.Progress) -> None:
            with ThreadPoolExecutor(1) as pool, self.assertRaises(voxseg.Busy) as caught:
                pool.submit(plan().segment, ct(), GRID).result()
            self.assertEqual(caught.exception.status, 402)

        np.testing.assert_array_equal(plan().segment(ct(), GRID, progress=again).labels, expected())

    def test_closed_while_it_runs(self) -> None:
        own, cancel = voxseg.Plan(model()), voxseg.Cancel()

        def close(_: voxseg.Progress) -> None:
            own.close()
            cancel.close()
            gc.collect()

        labels = own.segment(ct(WIDE), GRID, progress=close, cancel=cancel).labels
        np.testing.assert_array_equal(labels, expected(WIDE))


if __name__ == "__main__":
    unittest.main()
