"""Models: what they say, how they are opened, and what is said when they can't be."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import pickle
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable

import numpy as np

import voxseg
from fixture import GRID, MODEL, REPOSITORY, SMALL, SPACING, ct, expected, model, plan


class Inspected(unittest.TestCase):
    def test_a_model_without_its_weights(self) -> None:
        found, opened = voxseg.Model.inspect(MODEL), model()
        self.assertEqual((found["name"], found["channels"]), (opened.name, list(opened.channels)))
        self.assertEqual([label["value"] for label in found["labels"]], [label.value for label in opened.labels])
        self.assertEqual((tuple(found["spacing"]), tuple(found["patch"])), (opened.spacing, opened.patch))
        self.assertEqual((found["unsupported"], found["folds"]), ([], ["fold_0"]))
        with self.assertRaisesRegex(voxseg.ModelError, "no/such/model"):
            voxseg.Model.inspect("no/such/model")

    def test_terms(self) -> None:
        found = model().terms("liver")
        self.assertEqual(found["type"].scheme, "SCT")
        self.assertEqual(found["type"].meaning.lower(), "liver")
        self.assertEqual(model().terms("background"), {})
        with self.assertRaisesRegex(ValueError, "no label"):
            model().terms("tail")

    def test_files_that_are_read(self) -> None:
        names = ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"]
        with contextlib.ExitStack() as stack:
            files = {name: stack.enter_context(open(Path(MODEL, name), "rb")) for name in names}
            self.assertEqual(voxseg.Model.open_memory(files).identity, model().identity)

    def test_build(self) -> None:
        found = voxseg.build_info()
        self.assertEqual((found["version"], found["interface"][0]), (voxseg.version(), 0))


class Tasks(unittest.TestCase):
    def test_a_task_is_used_as_a_model(self) -> None:
        self.assertIn("total", voxseg.tasks())
        file = REPOSITORY / "examples/models/organs.task.json"
        opened = voxseg.Model.open_task(file, REPOSITORY / "examples/models")
        self.assertEqual([label.name for label in opened.labels], ["background", "liver", "spleen", "kidneys"])
        found = voxseg.Plan(opened).segment(ct(), voxseg.Grid(SPACING, coordinates="RAS"))
        self.assertEqual((found.report.tiles, found.record), (1, None))
        # The model's values become the task's, other labels and small pieces go.
        values = {label.name: label.value for label in model().labels}
        models = {1: ["liver"], 2: ["spleen"], 3: ["kidney_left", "kidney_right"]}
        self.assertEqual(set(np.unique(found.labels)), {0, *models})
        for value, names in models.items():
            inside = np.isin(expected(), [values[name] for name in names])
            self.assertTrue(np.all(inside[found.labels == value]), names)

    def test_labels_on_the_networks_grid(self) -> None:
        file = REPOSITORY / "examples/models/organs.task.json"
        opened = voxseg.Model.open_task(file, REPOSITORY / "examples/models", on_network_grid=True)
        made = voxseg.Plan(opened)
        fine = np.repeat(np.repeat(ct(), 2, 1), 2, 2)
        grid = voxseg.Grid((1.5, 1.5, 3.0), (7.0, -8.0, 9.0))
        place = made.label_grid(fine, grid)
        self.assertEqual((place.shape, place.spacing), (SMALL[::-1], SPACING))
        # The corner of x and y that stays is the last one of an image that runs to the left and to the back.
        moved = (7.0 + 1.5 * 31 - 3.0 * 15, -8.0 + 1.5 * 23 - 3.0 * 11, 9.0)
        np.testing.assert_allclose(place.origin, moved)
        found = made.segment(fine, grid)
        self.assertEqual(found.labels.shape, SMALL)
        own = np.empty(SMALL, np.uint16)
        again = made.segment(fine, grid, labels_out=own)
        self.assertIs(again.labels, own)
        np.testing.assert_array_equal(own, found.labels)
        with self.assertRaisesRegex(ValueError, "labels_out"):
            made.segment(fine, grid, labels_out=np.empty(fine.shape, np.uint8))
        self.assertEqual(place.coordinates, "LPS")
        shaped = voxseg.Grid(grid.spacing, grid.origin, coordinates="RAS", shape=fine.shape[::-1])
        self.assertEqual(plan().label_grid(shaped), shaped)
        self.assertEqual(plan().label_grid(fine, grid).shape, shaped.shape)

    def test_what_is_missing_is_named(self) -> None:
        with self.assertRaisesRegex(voxseg.ModelError, "Dataset291.*Apache-2.0"):
            voxseg.Model.open_task("total", "no/such/folder", subset=["liver"])
        with self.assertRaisesRegex(voxseg.ArgumentError, "tail"):
            voxseg.Model.open_task("total", "no/such/folder", subset=["tail"])
        with self.assertRaises(ValueError):
            voxseg.Model.open_task("total", "no/such/folder", resampling="best")
        with self.assertRaisesRegex(voxseg.ArgumentError, "on_network_grid"):
            voxseg.Model.open_task("skin", "no/such/folder", on_network_grid=True)
        with self.assertRaisesRegex(voxseg.ArgumentError, "legacy_v1_labels"):
            voxseg.Model.open_task("total_mr", "no/such/folder", legacy_v1_labels=True, smooth=True)
        with self.assertRaisesRegex(voxseg.ArgumentError, "crop_to_body"):
            voxseg.Model.open_task("total_mr", "no/such/folder", crop_to_body=True)


class Records(unittest.TestCase):
    def test_what_a_run_was(self) -> None:
        found = plan().segment(ct(), GRID, record=True)
        record = found.record
        assert record is not None
        self.assertEqual(record["model"]["identity"], model().identity)
        self.assertEqual(record["run"]["near_ties"], found.report.near_ties)
        self.assertEqual(record["versions"]["voxseg"], voxseg.version())
        labels = np.ascontiguousarray(found.labels).astype("<u2").tobytes()
        self.assertEqual(record["output"]["labels_sha256"], hashlib.sha256(labels).hexdigest())


class Opened(unittest.TestCase):
    def test_what_it_says(self) -> None:
        opened = model()
        self.assertEqual(opened.name, "Dataset901_TorsoCT")
        self.assertEqual(opened.channels, ("CT",))
        self.assertEqual((opened.spacing, opened.patch), ((3.0, 3.0, 3.0), (96, 80, 64)))
        self.assertRegex(opened.identity, "^voxseg1:sha256:[0-9a-f]{64}$")
        values = [label.value for label in opened.labels]
        self.assertEqual(values, sorted(set(values)))
        self.assertEqual((opened.labels[0].value, opened.labels[0].name), (0, "background"))
        self.assertTrue(all(0 <= part <= 255 for label in opened.labels for part in label.color))
        self.assertEqual(opened.describe()["identity"], opened.identity)
        self.assertIn(opened.name, repr(opened))

    def test_options(self) -> None:
        dataset = MODEL.parent
        for path, options in (
            (str(MODEL), {"folds": [0]}),
            (MODEL, {"checkpoint": "checkpoint_final.pth"}),
            (dataset, {"configuration": "3d_fullres"}),
        ):
            with voxseg.Model.open(path, **options) as opened:
                self.assertEqual(opened.identity, model().identity)

    def test_from_memory(self) -> None:
        paths = [path for path in MODEL.rglob("*") if path.is_file()]
        files: dict[str, Any] = {path.relative_to(MODEL).as_posix(): path.read_bytes() for path in paths}
        files["plans.json"] = memoryview(bytearray(files["plans.json"]))
        self.assertEqual(voxseg.Model.open_memory(files).identity, model().identity)

    def test_ensemble_of_a_model_with_itself(self) -> None:
        first, second = voxseg.Model.open(MODEL), voxseg.Model.open(MODEL)
        both = voxseg.Model.ensemble(member for member in (first, second))
        first.close()
        second.close()
        self.assertNotEqual(both.identity, model().identity)
        labels = voxseg.Plan(both).segment(ct(), GRID).labels
        np.testing.assert_array_equal(labels, expected())

    def test_closed(self) -> None:
        with voxseg.Model.open(MODEL) as opened:
            own = voxseg.Plan(opened)
        opened.close()
        with self.assertRaisesRegex(ValueError, "Model is closed"):
            opened.describe()
        with self.assertRaisesRegex(ValueError, "Model is closed"), opened:
            pass
        self.assertIn("closed", repr(opened))
        np.testing.assert_array_equal(own.segment(ct(), GRID).labels, expected())
        own.close()
        with self.assertRaisesRegex(ValueError, "Plan is closed"):
            own.segment(ct(), GRID)

    def test_not_copied(self) -> None:
        for duplicate in (copy.deepcopy, pickle.dumps):
            with self.assertRaises(TypeError):
                duplicate(plan())


class Refused(unittest.TestCase):
    def refused(self, kind: type[voxseg.Error], status: int, call: Callable[[], Any]) -> voxseg.Error:
        with self.assertRaises(kind) as caught:
            call()
        error = caught.exception
        self.assertEqual(error.status, status)
        self.assertGreater(len(str(error)), 10)
        copied = pickle.loads(pickle.dumps(error))
        self.assertEqual((type(copied), copied.details), (kind, error.details))
        return error

    def test_models(self) -> None:
        missing = Path("/nowhere/at/all")
        error = self.refused(voxseg.ModelError, 201, lambda: voxseg.Model.open(missing))
        self.assertIn(str(missing), error.details["path"])
        error = self.refused(voxseg.ModelError, 202, lambda: voxseg.Model.open(MODEL, checkpoint="none.pth"))
        self.assertIn("none.pth", error.details["reason"])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "dataset.json").write_text("{", encoding="utf-8")
            Path(folder, "plans.json").write_text("{}", encoding="utf-8")
            error = self.refused(voxseg.ModelError, 203, lambda: voxseg.Model.open(folder))
            self.assertIn("dataset.json", error.details["file"])
        with self.assertRaisesRegex(voxseg.ModelError, "7"):
            voxseg.Model.open(MODEL, folds=[7])

    def test_arguments(self) -> None:
        error = self.refused(voxseg.ArgumentError, 101, lambda: voxseg.Model.open("\udcff"))
        self.assertEqual(error.details["argument"], "path")
        self.assertIsInstance(error, ValueError)
        self.refused(voxseg.ArgumentError, 101, lambda: voxseg.Model.ensemble([]))
        for wrong in (lambda: voxseg.Model.open("a\0b"), lambda: voxseg.Model.open(MODEL, folds=[])):
            with self.assertRaises(ValueError):
                wrong()
        with self.assertRaisesRegex(ValueError, "folds is '0'"):
            voxseg.Model.open(MODEL, folds="0")
        with self.assertRaises(OverflowError):
            voxseg.Model.open(MODEL, folds=[-1])

    def test_plans(self) -> None:
        with self.assertRaisesRegex(ValueError, "device is 'abacus', expected one of .*'cpu', .*'ort-cpu'"):
            voxseg.Plan(model(), device="abacus")
        with self.assertRaisesRegex(ValueError, "threads is 0"):
            voxseg.Plan(model(), threads=0)
        self.refused(voxseg.ArgumentError, 101, lambda: voxseg.Plan(model(), step=1.5))
        self.refused(voxseg.ArgumentError, 101, lambda: voxseg.Plan(model(), tile_batch=65))
        stopped = voxseg.Cancel()
        stopped.request()
        with self.assertRaises(voxseg.Cancelled):
            voxseg.Plan(model(), cancel=stopped)
        error = self.refused(voxseg.MemoryBudgetError, 403, lambda: voxseg.Plan(model(), memory_budget=1000))
        self.assertEqual(error.details["budget"], "1000")
        self.assertIsInstance(error, MemoryError)
        budget = plan().estimate(voxseg.Grid(SPACING, shape=SMALL[::-1])).host_peak_bytes - 1
        small = voxseg.Plan(model(), memory_budget=budget)
        self.refused(voxseg.MemoryBudgetError, 403, lambda: small.segment(ct(), GRID))


class Planned(unittest.TestCase):
    def test_report(self) -> None:
        own = voxseg.Plan(model(), device="cpu", convolution="winograd", precision="f32", threads=1, step=0.5, mirroring=False)
        report = own.estimate(voxseg.Grid(SPACING, shape=SMALL[::-1]))
        self.assertEqual((report.device, report.precision, report.threads), ("cpu", "f32", 1))
        self.assertEqual((report.network_shape, report.tiles), ((16, 12, 10), 1))
        self.assertGreater(report.host_peak_bytes, report.weight_bytes)
        self.assertEqual(own.estimate(ct(), GRID), report)
        self.assertEqual(own.estimate(ct().transpose(2, 0, 1), GRID, axes="xzy"), report)
        self.assertIn("device", own.describe())
        np.testing.assert_array_equal(own.segment(ct(), GRID).labels, expected())

    def test_devices(self) -> None:
        devices = voxseg.devices()
        self.assertEqual([device.name for device in devices][:1], ["cpu"])
        self.assertTrue(all(device.usable == (device.reason == "") for device in devices))
        self.assertFalse(devices[0].hardware)
        self.assertTrue(voxseg.runtime_version().startswith("1."))
        self.assertTrue(Path(voxseg.runtime_path()).is_file())
        with self.assertRaisesRegex(voxseg.DeviceError, "no/plug-in"):
            voxseg.add_runtime_plugin("no/plug-in")

    def test_a_device_that_is_not_there(self) -> None:
        with self.assertRaises(voxseg.DeviceError):
            voxseg.Plan(model(), device="cuda", device_index=99)
        with voxseg.Plan(model(), device="cuda", device_index=99, fallback="cpu", device_cache=".") as plan:
            self.assertIn("fallback", plan.describe())
        with self.assertRaisesRegex(ValueError, "fallback is 'gpu'"):
            voxseg.Plan(model(), fallback="gpu")


if __name__ == "__main__":
    unittest.main()
