"""Arrays in and out: any strides, either byte order, any order of axes, and no copies."""

from __future__ import annotations

import unittest
import warnings
from itertools import permutations
from typing import Any

import numpy as np

import voxseg
from fixture import GRID, SMALL, SPACING, ct, expected, model, plan
from voxseg._buffers import place_channels
from voxseg._images import ArrayLayout, image_of
from voxseg._native import ffi
from voxseg._structures import initialised


def segment(array: Any, **options: Any) -> Any:
    return plan().segment(array, GRID, **options).labels


class Inputs(unittest.TestCase):
    def test_the_model_finds_something(self) -> None:
        self.assertGreater(len(np.unique(expected())), 2)
        self.assertEqual((expected().dtype, expected().shape), (np.uint8, SMALL))
        self.assertTrue(expected().flags.c_contiguous)

    def test_strides(self) -> None:
        array = ct()
        apart = np.zeros((20, 12, 48), np.int16)
        apart[::2, :, ::3] = array
        unaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(np.int16).reshape(array.shape)
        unaligned[...] = array
        read_only = array.copy()
        read_only.flags.writeable = False
        for other in (
            np.asfortranarray(array),
            apart[::2, :, ::3],
            array[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
            unaligned,
            read_only,
        ):
            np.testing.assert_array_equal(other, array)
            np.testing.assert_array_equal(segment(other), expected())

    def test_types(self) -> None:
        array = ct()
        for dtype in ("<i2", ">i2", "<i4", ">i4", "<f4", ">f4", "<f8", ">f8", ">f2"):
            np.testing.assert_array_equal(segment(array.astype(dtype)), expected(), dtype)
        raised = (array + 1024).astype(">u2")
        np.testing.assert_array_equal(segment(raised, scaling=(1, -1024)), expected())
        np.testing.assert_array_equal(segment(array > 100), segment((array > 100).astype(np.uint8)))
        for dtype in ("i8", "u8"):
            np.testing.assert_array_equal(segment(array.clip(0).astype(dtype)), segment(array.clip(0)), dtype)
        for dtype in ("c8", "S3", "O"):
            with self.assertRaisesRegex(TypeError, "expected integers of 8 to 32 bits"):
                segment(array.astype(dtype))

    def test_memory_of_a_device_is_for_its_plans(self) -> None:
        place = {"shape": SMALL, "typestr": "<i2", "data": (4096, False), "strides": None, "version": 3}

        class OnDevice:
            __cuda_array_interface__ = place

        class Labels:
            __cuda_array_interface__ = {**place, "typestr": "|u1"}

        for run in (
            lambda: segment(OnDevice()),
            lambda: segment(ct(), labels_out=Labels()),
        ):
            with self.assertRaisesRegex(voxseg.ArgumentError, "plan on cuda or tensorrt"):
                run()
        self.assertEqual(plan().estimate(OnDevice(), GRID).network_shape, plan().estimate(ct(), GRID).network_shape)
        with self.assertRaisesRegex(ValueError, "some channels lie in a device's memory"):
            segment([OnDevice(), ct()])

    def test_one_value_everywhere(self) -> None:
        same = np.broadcast_to(np.int16(40), SMALL)
        np.testing.assert_array_equal(segment(same), segment(np.full(SMALL, 40, np.int16)))
        slices = np.broadcast_to(ct()[:1], SMALL)
        np.testing.assert_array_equal(segment(slices), segment(slices.copy()))
        one = segment(np.int16([[[40]]]))
        self.assertEqual(one.shape, (1, 1, 1))

    def test_axes(self) -> None:
        for order in permutations("zyx"):
            axes = "".join(order)
            turned = ct().transpose(["zyx".index(axis) for axis in axes])
            labels = segment(turned, axes=axes)
            self.assertEqual(labels.shape, turned.shape)
            np.testing.assert_array_equal(labels.transpose([axes.index(axis) for axis in "zyx"]), expected())
        for axes in ("xy", "xyy", "xyzt", "XYZ"):
            with self.assertRaisesRegex(ValueError, "axes is"):
                segment(ct(), axes=axes)
        for wrong in (ct()[0], ct()[None, None], np.int16(3)):
            with self.assertRaisesRegex(ValueError, "the array has shape"):
                segment(wrong)

    def test_axes_that_are_not_alike(self) -> None:
        uneven = plan().segment(ct(), voxseg.Grid((3, 4, 6))).labels
        turned = plan().segment(ct().transpose(), voxseg.Grid((3, 4, 6)), axes="xyz").labels
        np.testing.assert_array_equal(turned.transpose(), uneven)
        self.assertFalse(np.array_equal(uneven, plan().segment(ct(), voxseg.Grid((6, 4, 3))).labels))

    def test_channels(self) -> None:
        array = ct()
        np.testing.assert_array_equal(segment(array[None]), expected())
        np.testing.assert_array_equal(segment(array[..., None], axes="zyxc"), expected())
        np.testing.assert_array_equal(segment([array]), expected())
        with self.assertRaises(voxseg.ArgumentError) as caught:
            segment([array, array])
        self.assertEqual((caught.exception.status, caught.exception.details["found"][:1]), (106, "2"))
        mixed = image_of([array, array.astype("f8") * 2], ArrayLayout(GRID)).channels
        np.testing.assert_array_equal(mixed[1], array.transpose() * 2.0)
        self.assertEqual({channel.dtype.str for channel in mixed}, {np.dtype("f4").str})
        for wrong in ([], [array, array[1:]], [array[None].repeat(2, 0), array]):
            with self.assertRaises(ValueError):
                segment(wrong)

    def test_grid(self) -> None:
        array = ct()

        def on(*place: Any, **other: Any) -> Any:
            return plan().segment(array, voxseg.Grid(SPACING, *place, **other)).labels

        np.testing.assert_array_equal(on((1, 2, 3), np.eye(3)), expected())
        lps = on(direction=np.diag([-1, 1, 1]).ravel(), coordinates="LPS")
        ras = on(direction=np.diag([1, -1, 1]), coordinates="RAS")
        np.testing.assert_array_equal(ras, lps)
        with self.assertRaisesRegex(TypeError, "pass grid=voxseg.Grid"):
            plan().segment(array)
        options: dict[str, Any]
        for options in ({"origin": (1, 2)}, {"direction": np.eye(4)}, {"coordinates": "lps"}, {"shape": (1, 2)}):
            with self.assertRaisesRegex(ValueError, f"{next(iter(options))} is"):
                voxseg.Grid(SPACING, **options)
        with self.assertRaises(voxseg.ArgumentError) as caught:
            on(direction=[1, 1, 0, 0, 1, 0, 0, 0, 1])
        self.assertEqual(caught.exception.status, 104)
        for spacing in ((0, 1, 1), (1, 1, float("nan"))):
            with self.assertRaises(voxseg.ArgumentError):
                plan().segment(array, voxseg.Grid(spacing))
        with self.assertRaises(voxseg.ArgumentError):
            segment(np.zeros((0, 3, 3), np.int16))

    def test_a_grid_is_a_value(self) -> None:
        grid = voxseg.Grid([3, 4, 5], np.arange(3), np.eye(3), shape=np.array([7, 8, 9]))
        self.assertEqual(grid, voxseg.Grid((3.0, 4.0, 5.0), (0, 1, 2), shape=(7, 8, 9)))
        self.assertEqual({grid: 1}[voxseg.Grid((3, 4, 5), (0, 1, 2), shape=(7, 8, 9))], 1)
        self.assertEqual((grid.spacing, grid.direction[1], grid.shape), ((3.0, 4.0, 5.0), (0.0, 1.0, 0.0), (7, 8, 9)))
        with self.assertRaises(AttributeError):
            grid.spacing = (1.0, 1.0, 1.0)  # type: ignore[misc]
        with self.assertRaisesRegex(ValueError, "the grid has no shape"):
            plan().estimate(GRID)
        with self.assertRaisesRegex(TypeError, "axes can't be passed with a grid"):
            plan().estimate(grid, axes="xyz")

    def test_nothing_is_copied(self) -> None:
        array = ct()[::-1, :, ::2]
        image = image_of(array, ArrayLayout(GRID))
        raw = initialised("vxs_volume")
        place_channels(raw, image.channels)
        start = int(ffi.cast("uintptr_t", raw.channel_data[0]))
        bounds = np.lib.array_utils.byte_bounds if hasattr(np.lib, "array_utils") else np.byte_bounds
        self.assertEqual((start, start + raw.data_size), bounds(array))
        self.assertEqual(start + raw.offset, array.__array_interface__["data"][0])


class Intensities(unittest.TestCase):
    def test_voxels_that_are_no_numbers(self) -> None:
        array = ct().astype(">f4")
        array[3, 2, 1], array[9, 11, 15] = np.nan, -np.inf
        with self.assertRaises(voxseg.ArgumentError) as caught:
            segment(array)
        error = caught.exception
        self.assertEqual((error.status, error.details), (107, {"found": "2", "channel": "0", "voxel": "1 2 3"}))
        for how, value in (("zero", 0), ("lowest", -(2**31))):
            result = plan().segment(array, GRID, non_finite=how, record=True)
            clean = np.where(np.isfinite(array), array, np.float32(value))
            np.testing.assert_array_equal(result.labels, segment(clean))
            report = result.report
            self.assertEqual((report.non_finite_voxels, report.first_non_finite), (2, (0, 1, 2, 3)))
            self.assertIn("non-finite-replaced", report.warnings)
            assert result.record is not None
            self.assertIn("2 voxels are NaN or infinite", result.record["warnings"][0])
        with self.assertRaisesRegex(ValueError, "non_finite is 'nan', expected one of 'error', 'lowest', 'zero'"):
            segment(array, non_finite="nan")

    def test_other_units(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            usual = plan().segment(ct() - 100, GRID).report
            self.assertEqual((usual.warnings, usual.non_finite_voxels, usual.first_non_finite), ((), 0, None))
            self.assertEqual(caught, [])
            scaled = plan().segment(ct().astype(np.float32) / 4095, GRID).report
        self.assertEqual(scaled.warnings, ("unusual-intensities",))
        self.assertEqual([warning.filename for warning in caught], [__file__])
        self.assertIn("units that the model was trained with", str(caught[0].message))


class Outputs(unittest.TestCase):
    def test_own_labels(self) -> None:
        for dtype in ("u1", "i2", "u2", "i4", "u4", "i1"):
            apart = np.full((20, 12, 32), 90, dtype)
            own = apart[::-2, :, ::2]
            self.assertIs(segment(ct(), labels_out=own), own)
            np.testing.assert_array_equal(own, expected())
            self.assertTrue((apart[::2] == 90).all() and (apart[:, :, 1::2] == 90).all())
        turned = np.zeros(SMALL[::-1], np.uint8)
        segment(ct().transpose(), axes="xyz", labels_out=turned)
        np.testing.assert_array_equal(turned.transpose(), expected())

    def test_refused_labels(self) -> None:
        read_only = np.zeros(SMALL, np.uint8)
        read_only.flags.writeable = False
        shared = ct()
        repeated = np.lib.stride_tricks.as_strided(np.zeros(500, np.uint8), SMALL, (0, 16, 1))
        for kind, own in (
            (TypeError, read_only),
            (TypeError, [[[0]]]),
            (TypeError, np.zeros(SMALL[1:], np.uint8)),
            (TypeError, np.zeros(SMALL, np.int64)),
            (ValueError, np.zeros((10, 12, 17), np.uint8)),
            (ValueError, np.zeros(SMALL, ">u2")),
            (ValueError, shared),
            (voxseg.ArgumentError, np.zeros(SMALL, np.float32)),
            (voxseg.ArgumentError, repeated),
        ):
            with self.assertRaises(kind):
                segment(shared, labels_out=own)
        np.testing.assert_array_equal(shared, ct())

    def test_maps(self) -> None:
        labels = model().labels
        asked = [0, "spleen", labels[2]]
        result = plan().segment(ct(), GRID, probabilities=asked, margin=True, entropy=True)
        np.testing.assert_array_equal(result.labels, expected())
        self.assertEqual(list(result.probabilities), [0, "spleen", labels[2].name])
        background = result.probabilities[0]
        self.assertEqual((background.dtype, background.shape), (np.float32, SMALL))
        self.assertTrue(((background >= 0) & (background <= 1)).all())
        self.assertTrue((result.labels[background > 0.5] == 0).all())
        self.assertEqual((result.margin.dtype, result.entropy.dtype), (np.uint8, np.float32))
        self.assertTrue((result.entropy >= 0).all() and result.margin.max() > 0)
        self.assertEqual(result.report.voxels, expected().size)
        plain = plan().segment(ct(), GRID)
        self.assertEqual((plain.probabilities, plain.margin, plain.entropy), ({}, None, None))
        for wrong in (999, "no such organ"):
            with self.assertRaisesRegex(ValueError, "probabilities asks for"):
                plan().segment(ct(), GRID, probabilities=[wrong])


if __name__ == "__main__":
    unittest.main()
