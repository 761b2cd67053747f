"""SimpleITK's and nibabel's images: the same labels as from an array, and the same kind of image back."""

from __future__ import annotations

import tempfile
import unittest
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import voxseg
from fixture import GRID, SPACING, ct, expected, plan
from fixture import model as fixture_model
from voxseg._images import ArrayLayout, image_of
from voxseg._native import lib

try:
    import SimpleITK
except ImportError:
    SimpleITK = None
try:
    import nibabel
except ImportError:
    nibabel = None

# A quarter turn in the axial plane, as rows, in LPS.
TURNED = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def channels(image: Any) -> list[Any]:
    """The arrays that the library reads."""
    return image_of(image, ArrayLayout()).channels


@unittest.skipUnless(SimpleITK, "SimpleITK isn't installed")
class FromSimpleItk(unittest.TestCase):
    def image(self, array: Any) -> Any:
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(SPACING)
        image.SetOrigin((-10.0, 20.0, 30.5))
        image.SetDirection(TURNED.ravel())
        return image

    def test_labels(self) -> None:
        image = self.image(ct())
        result = plan().segment(image, margin=True, entropy=True, probabilities=[1])
        np.testing.assert_array_equal(SimpleITK.GetArrayViewFromImage(result.labels), expected())
        self.assertEqual(result.labels.GetPixelIDTypeAsString(), "8-bit unsigned integer")
        for output in (result.labels, result.margin, result.entropy, result.probabilities[1]):
            self.assertTrue(output.IsSameImageGeometryAs(image))
        entropy = plan().segment(ct(), GRID, entropy=True).entropy
        np.testing.assert_array_equal(SimpleITK.GetArrayViewFromImage(result.entropy), entropy)

    def test_nothing_is_copied(self) -> None:
        image = self.image(ct())
        self.assertTrue(np.shares_memory(channels(image)[0], SimpleITK.GetArrayViewFromImage(image)))

    def test_own_labels(self) -> None:
        own = np.zeros(expected().shape, np.int32)
        self.assertIs(plan().segment(self.image(ct()), labels_out=own).labels, own)
        np.testing.assert_array_equal(own, expected())

    def test_channels(self) -> None:
        image = self.image(ct())
        vector = SimpleITK.Compose(image, image * 2)
        np.testing.assert_array_equal(channels(vector)[1], ct().transpose() * 2)
        self.assertEqual(len(channels([image, image])), 2)
        elsewhere = self.image(ct())
        elsewhere.SetOrigin((0.0, 0.0, 0.0))
        with self.assertRaisesRegex(ValueError, "image 1 of the list is not on the grid of the first"):
            plan().segment([image, elsewhere])

    def test_refused(self) -> None:
        image = self.image(ct())
        with self.assertRaisesRegex(TypeError, "grid, axes can't be passed with a SimpleITK image"):
            plan().segment(image, GRID, axes="zyx")
        with self.assertRaisesRegex(ValueError, "2 dimensions, expected 3"):
            plan().segment(image[:, :, 0])

    def test_wide_integers_are_narrowed(self) -> None:
        wide = SimpleITK.Cast(self.image(ct()), SimpleITK.sitkInt64)
        labels = plan().segment(wide).labels
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(labels), expected())

    def test_report(self) -> None:
        self.assertEqual(plan().estimate(self.image(ct())), plan().estimate(voxseg.Grid(SPACING, shape=ct().shape[::-1])))


    def test_a_file_that_itk_reads_otherwise(self) -> None:
        if nibabel is None:
            self.skipTest("nibabel isn't installed")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "ct.nii")
            nibabel.Nifti1Image(ct().transpose(), np.diag([2.0, 3.0, 4.0, 1.0])).to_filename(path)
            good = SimpleITK.ReadImage(str(path))
            raw = bytearray(path.read_bytes())
            raw[80:92] = np.array([1, 1, 1], "<f4").tobytes()
            path.write_bytes(raw)
            odd = SimpleITK.ReadImage(str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for image, reader in ((good, lib.VXS_READER_NIBABEL), (good, lib.VXS_READER_MONAI), (odd, None)):
                image_of(image, ArrayLayout(), reader)
        with self.assertWarnsRegex(voxseg.HeaderWarning, "pass the image as nibabel reads it"):
            self.assertEqual(image_of(odd, ArrayLayout(), lib.VXS_READER_NIBABEL).grid.spacing, (1.0, 1.0, 1.0))


@unittest.skipUnless(nibabel, "nibabel isn't installed")
class FromNibabel(unittest.TestCase):
    def image(self, array: Any) -> Any:
        # nibabel's coordinates are RAS: x and y of the LPS grid above with the other sign.
        affine = np.eye(4)
        affine[:3, :3] = np.diag([-1, -1, 1]) @ TURNED * SPACING
        affine[:3, 3] = (10.0, -20.0, 30.5)
        return nibabel.Nifti1Image(array.transpose(), affine)

    def test_labels(self) -> None:
        image = self.image(ct())
        image.header["cal_max"] = 400
        result = plan().segment(image, margin=True)
        self.assertIs(type(result.labels), nibabel.Nifti1Image)
        np.testing.assert_array_equal(np.asarray(result.labels.dataobj).transpose(), expected())
        np.testing.assert_array_equal(result.labels.affine, image.affine)
        header = result.labels.header
        self.assertEqual((header.get_data_dtype(), float(header["cal_max"])), (np.uint8, 0.0))
        self.assertEqual(float(image.header["cal_max"]), 400.0)

    def test_from_a_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "ct.nii")
            stored = self.image((ct() + 1024).astype(">i2"))
            header = nibabel.Nifti1Header(endianness=">")
            header.set_data_dtype(">i2")
            header.set_slope_inter(1, -1024)
            nibabel.Nifti1Image(ct().transpose().astype(float), stored.affine, header).to_filename(path)
            image = nibabel.load(path)
            array = channels(image)[0]
            self.assertEqual((array.dtype.str, array.flags.owndata), (">i2", False))
            self.assertIsInstance(array, np.memmap)
            result = plan().segment(image)
            result.labels.to_filename(Path(folder, "labels.nii.gz"))
            written = nibabel.load(Path(folder, "labels.nii.gz"))
            np.testing.assert_array_equal(np.asarray(written.dataobj).transpose(), expected())
            self.assertEqual(written.get_data_dtype(), np.uint8)
            del array, image

    def test_every_reader_takes_an_image_in_memory(self) -> None:
        for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
            image = kind(ct().transpose(), self.image(ct()).affine)
            for name in ("ITK", "NIBABEL", "NIBABEL_IO", "NIBABEL_IO_REORIENT", "MONAI"):
                grid = image_of(image, ArrayLayout(), getattr(lib, f"VXS_READER_{name}")).grid
                np.testing.assert_allclose(grid.spacing, SPACING, rtol=1e-6, err_msg=name)
                np.testing.assert_allclose(grid.origin, (10.0, -20.0, 30.5), atol=1e-5, err_msg=name)

    def test_nothing_is_copied(self) -> None:
        array = ct()
        self.assertTrue(np.shares_memory(channels(self.image(array))[0], array))

    def test_same_grid_as_simpleitk(self) -> None:
        if SimpleITK is None:
            self.skipTest("SimpleITK isn't installed")
        from voxseg._plan import _volume

        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder, "ct.nii"))
            self.image(ct()).to_filename(path)
            mine = image_of(nibabel.load(path), ArrayLayout()).grid
            its = image_of(SimpleITK.ReadImage(path), ArrayLayout()).grid
        lps = np.diag([-1.0, -1.0, 1.0])
        np.testing.assert_array_equal(mine.spacing, its.spacing)
        np.testing.assert_allclose(lps @ mine.origin, its.origin, atol=1e-5)
        np.testing.assert_allclose(lps @ mine.direction, its.direction, atol=1e-6)
        self.assertEqual((mine.coordinates, its.coordinates), ("RAS", "LPS"))
        self.assertTrue(_volume(image_of(self.image(ct()), ArrayLayout())).flags)

    def test_channels(self) -> None:
        array = np.stack([ct(), ct() * 2]).transpose()
        image = nibabel.Nifti1Image(array, np.diag([*SPACING, 1]))
        self.assertEqual(len(channels(image)), 2)
        np.testing.assert_array_equal(channels(image)[1], ct().transpose() * 2)
        one = nibabel.Nifti1Image(array[..., :1], np.diag([*SPACING, 1]))
        labels = plan().segment(one).labels
        self.assertEqual(labels.shape, ct().shape[::-1])

    def test_headers_are_read_by_the_models_reader(self) -> None:
        self.assertEqual(fixture_model().reader, "itk")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "ct.nii")
            self.image(ct()).to_filename(path)
            raw = bytearray(path.read_bytes())
            # A slope of 0: nibabel drops the intercept, ITK adds it, and this model was trained with ITK.
            raw[112:120] = np.array([0, -7], "<f4").tobytes()
            # pixdim says 2 mm where the sform says otherwise.
            raw[80:92] = np.array([2, 2, 2], "<f4").tobytes()
            path.write_bytes(raw)
            image = nibabel.load(path)
            with self.assertWarnsRegex(voxseg.HeaderWarning, "pixdim says 2×2×2 mm.*2×2×2 mm count"):
                found = image_of(image, ArrayLayout())
            self.assertEqual(found.grid.spacing, (2.0, 2.0, 2.0))
            self.assertEqual(found.scaling, (1.0, -7.0))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", voxseg.HeaderWarning)
                its = image_of(image, ArrayLayout(), reader=lib.VXS_READER_NIBABEL)
            np.testing.assert_allclose(its.grid.spacing, SPACING, rtol=1e-6)
            self.assertEqual(its.scaling, (1.0, 0.0))
            del image

    def test_refused(self) -> None:
        with self.assertRaisesRegex(TypeError, "grid can't be passed with a nibabel image"):
            plan().segment(self.image(ct()), GRID)
        with self.assertRaisesRegex(ValueError, "expected 3 axes"):
            plan().segment(nibabel.Nifti1Image(ct()[0], np.eye(4)))
        sheared = self.image(ct())
        sheared.affine[0, 0] += 1
        with self.assertRaises(voxseg.ArgumentError) as caught:
            plan().segment(sheared)
        self.assertEqual(caught.exception.status, 104)


if __name__ == "__main__":
    unittest.main()
