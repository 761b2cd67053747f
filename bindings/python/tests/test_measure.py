"""Numbers about labels: known ones, over an image and a dose; progress, cancelling, what is refused."""

from __future__ import annotations

import math
import unittest

import numpy as np

import voxseg


class Measured(unittest.TestCase):
    def setUp(self) -> None:
        z, y, x = np.indices((8, 8, 8))
        rod = (x >= 2) & (x < 4) & (y >= 2) & (y < 5) & (z >= 1) & (z < 5)
        self.labels = np.where(rod, 9, 0).astype(np.uint8)
        self.ramp = (10 * x).astype(np.int16)

    def test_statistics(self) -> None:
        shares = []
        (found,) = voxseg.statistics(
            self.labels, self.ramp, grid=voxseg.Grid((1, 1, 2)), progress=lambda now: shares.append(now.fraction)
        )
        self.assertEqual((shares[-1], shares), (1, sorted(shares)))
        self.assertEqual((found.label, found.voxels, found.milliliters), (9, 24, 0.048))
        self.assertEqual((found.first, found.last, found.margin), ((2, 2, 1), (3, 4, 4), 1))
        self.assertEqual((found.centroid_index, found.centroid), ((2.5, 3.0, 2.5), (2.5, 3.0, 5.0)))
        values = self.ramp[self.labels == 9]
        self.assertEqual((found.mean, found.std, found.median), (values.mean(), values.std(), np.median(values)))
        self.assertEqual((found.min, found.max), (20, 30))
        (alone,) = voxseg.statistics(self.labels, grid=voxseg.Grid((1, 1, 2)), threads=1)
        self.assertTrue(math.isnan(alone.mean))
        self.assertEqual(voxseg.statistics(np.zeros((3, 3, 3), np.uint8), grid=voxseg.Grid((1, 1, 1))), [])

    def test_dose(self) -> None:
        (found,) = voxseg.dose(self.labels, self.ramp.astype(np.float32), grid=voxseg.Grid((1, 1, 2)))
        self.assertEqual((found.label, found.voxels, found.outside), (9, 24, 0))
        self.assertEqual((found.mean, found.min, found.max), (25, 20, 30))
        self.assertEqual((found.dose_at_volume(100), found.dose_at_volume(0)), (20, 30))
        self.assertEqual(found.volume_at_dose([0, 25, 31]), [1, 0.5, 0])
        self.assertIn("label 9", repr(found))

    def test_labels_on_a_dose_grid(self) -> None:
        dose = np.zeros((8, 4, 4), np.float32)
        found = voxseg.on_grid(self.labels, dose, grid=voxseg.Grid((1, 1, 2)), target_grid=voxseg.Grid((2, 2, 2)))
        self.assertEqual((found.shape, found.dtype), ((8, 4, 4), np.uint8))
        np.testing.assert_array_equal(found, self.labels[:, ::2, ::2])
        swapped = self.labels.astype(">u2")
        # A grid with a shape will do.
        target = voxseg.Grid((2, 2, 2), shape=dose.shape[::-1])
        np.testing.assert_array_equal(voxseg.on_grid(self.labels, target, grid=voxseg.Grid((1, 1, 2))), found)
        again = voxseg.on_grid(swapped, dose, grid=voxseg.Grid((1, 1, 2)), target_grid=voxseg.Grid((2, 2, 2)), threads=1)
        np.testing.assert_array_equal(again, found)
        with self.assertRaisesRegex(voxseg.ArgumentError, "labels.dtype"):
            voxseg.on_grid(dose, dose, grid=voxseg.Grid((1, 1, 1)), target_grid=voxseg.Grid((1, 1, 1)))

    def test_stopping(self) -> None:
        cancel = voxseg.Cancel()
        cancel.request()
        with self.assertRaises(voxseg.Cancelled):
            voxseg.statistics(self.labels, grid=voxseg.Grid((1, 1, 1)), cancel=cancel)

        def fail(_: voxseg.Progress) -> bool:
            raise KeyError("from the callback")

        with self.assertRaises(KeyError):
            voxseg.dose(self.labels, self.ramp, grid=voxseg.Grid((1, 1, 1)), progress=fail)

    def test_refused(self) -> None:
        with self.assertRaisesRegex(voxseg.ArgumentError, "image"):
            voxseg.statistics(self.labels, self.ramp[:-1], grid=voxseg.Grid((1, 1, 1)))
        with self.assertRaisesRegex(voxseg.ArgumentError, "channel"):
            voxseg.statistics(self.labels, self.ramp, grid=voxseg.Grid((1, 1, 1)), channel=1)
        with self.assertRaisesRegex(voxseg.ArgumentError, "percents"):
            voxseg.dose(self.labels, self.ramp, grid=voxseg.Grid((1, 1, 1)))[0].dose_at_volume(101)


if __name__ == "__main__":
    unittest.main()
