"""Label maps compared: numbers that are known, other grids, what is refused."""

from __future__ import annotations

import math
import unittest
from typing import Any

import numpy as np

import voxseg
from fixture import GRID, expected, model


def ball(shape: tuple[int, int, int], centre: tuple[float, float, float], radius: float, value: int = 1) -> Any:
    z, y, x = np.indices(shape)
    far = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    return np.where(far <= radius**2, value, 0).astype(np.uint8)


class Compared(unittest.TestCase):
    def test_a_map_with_itself(self) -> None:
        found = voxseg.compare(expected(), expected(), tolerance=1.0, grid=GRID)
        values = [value for value in np.unique(expected()) if value]
        self.assertEqual([(one.first, one.second) for one in found], [(value, value) for value in values])
        for one in found:
            voxels = int((expected() == one.first).sum())
            self.assertEqual((one.voxels, one.both), ((voxels, voxels), voxels))
            self.assertAlmostEqual(one.milliliters[0], voxels * 0.027)
            self.assertEqual((one.dice, one.hausdorff, one.hausdorff_95, one.surface_dice), (1, 0, 0, 1))

    def test_a_moved_ball(self) -> None:
        first, second = (ball((24, 24, 30), (12, 12, 12 + move), 7, value) for move, value in ((0, 1), (3, 2)))
        pairs = [(1, 2)]
        (found,) = voxseg.compare(first, second, pairs=pairs, tolerance=3.1, grid=voxseg.Grid((1, 1, 1)))
        both = int(((first == 1) & (second == 2)).sum())
        self.assertAlmostEqual(found.dice, 2 * both / (int((first == 1).sum()) + int((second == 2).sum())))
        self.assertAlmostEqual(found.hausdorff, 3, delta=0.5)
        self.assertEqual(found.surface_dice, 1)
        (found,) = voxseg.compare(first, second, pairs=pairs, grid=voxseg.Grid((1, 1, 1)))
        self.assertTrue(math.isnan(found.hausdorff_95))

    def test_labels_of_models(self) -> None:
        values = [label.value for label in model().labels if label.value]
        for by in ("name", "terms"):
            pairs = voxseg.match_labels(model(), model(), by)
            self.assertTrue(pairs and all(a == b and a in values for a, b in pairs), by)

    def test_progress_and_cancelling(self) -> None:
        fractions: list[float] = []
        voxseg.compare(
            expected(), expected(), tolerance=1.0, grid=GRID, progress=lambda now: fractions.append(now.fraction)
        )
        self.assertEqual((fractions, fractions[-1]), (sorted(fractions), 1))
        flag = voxseg.Cancel()
        flag.request()
        with self.assertRaises(voxseg.Cancelled):
            voxseg.compare(expected(), expected(), grid=GRID, cancel=flag)

        def fails(_: voxseg.Progress) -> bool:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            voxseg.compare(expected(), expected(), grid=GRID, progress=fails)

    def test_refused(self) -> None:
        labels = expected()
        with self.assertRaises(ValueError):
            voxseg.match_labels(model(), model(), "colour")
        with self.assertRaises(ValueError):
            voxseg.compare(labels, labels, tolerance=-1.0, grid=GRID)
        with self.assertRaises(voxseg.Error):
            voxseg.compare(labels.astype(np.float32), labels, grid=GRID)
        self.assertEqual(voxseg.compare(labels, labels, pairs=[], grid=GRID), [])


if __name__ == "__main__":
    unittest.main()
