"""Regions, and labels as they come."""

from __future__ import annotations

import unittest

import numpy as np

import voxseg
from fixture import GRID, WIDE, ct, expected, plan

# The last voxels along x, which only one of the two tiles sees.
BOX = ((100, 2, 3), (104, 9, 8))


class Regions(unittest.TestCase):
    def test_labels_are_those_of_the_whole_run(self) -> None:
        labels = np.full(WIDE, 0xA5, np.uint8)
        found = plan().segment(ct(WIDE), GRID, labels_out=labels, regions=[BOX])
        inside = np.s_[3:8, 2:9, 100:104]
        np.testing.assert_array_equal(labels[inside], expected(WIDE)[inside])
        labels[inside] = 0xA5
        self.assertTrue((labels == 0xA5).all())
        self.assertEqual((found.report.tiles, found.report.tiles_in_all), (1, 2))
        self.assertEqual(found.report.voxels, 4 * 7 * 5)

    def test_estimate(self) -> None:
        report = plan().estimate(ct(WIDE), GRID, regions=[BOX])
        self.assertEqual((report.tiles, report.tiles_in_all), (1, 2))
        self.assertEqual(plan().estimate(ct(WIDE), GRID).tiles, 2)

    def test_boxes_that_leave_the_image(self) -> None:
        with self.assertRaisesRegex(voxseg.ArgumentError, "options.regions"):
            plan().segment(ct(WIDE), GRID, regions=[((0, 0, 0), (105, 1, 1))])
        with self.assertRaisesRegex(ValueError, "when_global"):
            plan().segment(ct(WIDE), GRID, regions=[BOX], when_global="never")


class AsTheyCome(unittest.TestCase):
    def test_labels_are_final(self) -> None:
        parts: list[voxseg.LabelsSoFar] = []
        wrong = []
        whole = expected(WIDE)

        def on_labels(now: voxseg.LabelsSoFar) -> None:
            parts.append(now)
            (x, y, z), (to_x, to_y, to_z) = now.start, now.end
            part = np.s_[z:to_z, y:to_y, x:to_x]
            wrong.append(int((now.labels[part] != whole[part]).sum()))

        plan().segment(ct(WIDE), GRID, on_labels=on_labels)
        self.assertGreater(len(parts), 0)
        self.assertTrue(all(now.is_final and now.complete == () for now in parts))
        self.assertEqual(sum(wrong), 0)
        sizes = [np.prod(np.subtract(now.end, now.start)) for now in parts]
        self.assertEqual(sum(sizes), np.prod(WIDE))

    def test_cancelled(self) -> None:
        with self.assertRaises(voxseg.Cancelled):
            plan().segment(ct(WIDE), GRID, on_labels=lambda now: False)
        with self.assertRaisesRegex(RuntimeError, "from the callback"):
            plan().segment(ct(WIDE), GRID, on_labels=self._throw)

    @staticmethod
    def _throw(_: voxseg.LabelsSoFar) -> None:
        raise RuntimeError("from the callback")


if __name__ == "__main__":
    unittest.main()
