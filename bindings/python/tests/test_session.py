"""An object that grows from a point; what is taken back, replayed and refused. The small model is among the reference
data, which may be absent."""

from __future__ import annotations

import os
import unittest

import numpy as np

import voxseg
from fixture import REPOSITORY, GRID, ct, model, plan

FOLDER = REPOSITORY / os.environ.get("VOXSEG_REFERENCE", "../shared/reference") / "coverage/nninteractive/model"


class SessionTests(unittest.TestCase):
    """Sessions."""

    @unittest.skipUnless(FOLDER.exists(), "the reference data has no model that takes prompts here")
    def test_a_point_grows_an_object(self) -> None:
        """Points, boxes and strokes; undo, reset and replay."""
        opened = voxseg.Model.open(FOLDER)
        self.assertEqual(voxseg.prompts(opened), ("point", "box-2d", "scribble", "lasso", "mask"))
        prepared = voxseg.Plan(opened, threads=2)
        image = ct()
        self.assertGreater(voxseg.Session.estimate(prepared, image, GRID).host_peak_bytes, image.nbytes)
        told = []
        session = voxseg.Session(prepared, image, GRID, autozoom=False)
        session.point((8, 6, 5))
        report = session.run(progress=lambda now: told.append(now.fraction))
        self.assertEqual((report.network_runs, told[-1]), (1, 1.0))
        self.assertEqual(report.changed[1], image.shape[::-1])
        mask = session.labels()
        self.assertEqual((mask.shape, mask.dtype), (image.shape, np.uint8))
        record = session.record()

        session.box((1, 1, 5), (9, 9, 6), label=0)
        session.mask("scribble", np.ones((1, 1, 3), np.uint8), (1, 2, 3))
        for _ in range(3):
            session.undo()
        self.assertFalse(session.labels().any())
        session.replay(record)
        self.assertTrue(np.array_equal(session.labels(), mask))
        session.reset()
        self.assertFalse(session.labels().any())
        for wrong in ((99, 0, 0), (float("nan"), 0, 0)):
            with self.assertRaises(voxseg.ArgumentError):
                session.point(wrong)
        with self.assertRaises(voxseg.ArgumentError):
            session.undo()

    def test_other_models_take_none(self) -> None:
        """The example model segments volumes by itself."""
        self.assertEqual(voxseg.prompts(model()), ())
        with self.assertRaisesRegex(voxseg.ModelError, "takes no prompts"):
            voxseg.Session(plan(), ct(), GRID)


if __name__ == "__main__":
    unittest.main()
