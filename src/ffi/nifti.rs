//! Headers of NIfTI files as the software reads them that a model was trained with: the same header means different
//! spacings and orders of axes to ITK, nibabel and MONAI. Voxels stay with the caller.

use std::ffi::{CString, c_char, c_void};
use std::ptr::null;

use super::args::{array, output, reference, write};
use super::boundary::{boundary, free, getter};
use super::error::{c_string, vxs_error, vxs_status};
use super::volume::{self, vxs_volume};
use crate::error::{Error, Result};
use crate::nifti::{Header, Reader, Reading};

/// The software whose reading of a NIfTI header counts: one of `VXS_READER_*`.
pub type vxs_reader = i32;

/// ITK 5.4, as SimpleITK, 3D Slicer and nnU-Net's SimpleITKIO use it: spacing from pixdim and its unit, the qform or
/// the sform by their codes.
pub const VXS_READER_ITK: i32 = 1;
/// nibabel 5.4, spacing from the columns of the affine: TotalSegmentator.
pub const VXS_READER_NIBABEL: i32 = 2;
/// nibabel 5.4, spacing from pixdim: nnU-Net's NibabelIO.
pub const VXS_READER_NIBABEL_IO: i32 = 3;
/// As `VXS_READER_NIBABEL_IO` for images along the patient's axes, else as `VXS_READER_NIBABEL`: nnU-Net's
/// NibabelIOWithReorient.
pub const VXS_READER_NIBABEL_IO_REORIENT: i32 = 4;
/// MONAI 1.6's NibabelReader: the affine that pixdim agrees with.
pub const VXS_READER_MONAI: i32 = 5;

pub(super) fn code(reader: Reader) -> vxs_reader {
    match reader {
        Reader::Itk => VXS_READER_ITK,
        Reader::Nibabel => VXS_READER_NIBABEL,
        Reader::NibabelIo => VXS_READER_NIBABEL_IO,
        Reader::NibabelIoWithReorient => VXS_READER_NIBABEL_IO_REORIENT,
        Reader::Monai => VXS_READER_MONAI,
    }
}

fn reader(number: vxs_reader) -> Result<Reader> {
    let found = Reader::all().into_iter().find(|&reader| code(reader) == number);
    found.ok_or_else(|| Error::argument("reader", number, "one of VXS_READER_*"))
}

/// A NIfTI header as a reader reads it.
pub struct vxs_nifti {
    header: Header,
    reading: Reading,
    note: Option<CString>,
}

/// Reads a header, of NIfTI-1 (348 bytes) or NIfTI-2 (540 bytes), in either byte order; bytes behind it are
/// ignored, so that a whole file will do. `reader` is that of the model which will see the image:
/// `vxs_model_reader`. Nothing else is read: voxels stay the caller's. Free it with `vxs_nifti_free`.
///
/// Returns `VXS_INVALID_ARGUMENT` for bytes that are no such header, `VXS_GEOMETRY` for headers that the reader
/// refuses as well, and for axes over a degree away from right angles. Any thread.
///
/// # Safety
/// `header` is NULL or readable for `size` bytes; `nifti` is NULL or writable; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_nifti_parse(
    header: *const c_void,
    size: u64,
    reader: vxs_reader,
    nifti: *mut *mut vxs_nifti,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `array` and `output` rule NULL out.
    unsafe {
        boundary(error, || {
            let place = output(nifti, "nifti")?;
            let reader = self::reader(reader)?;
            if header.is_null() {
                return Err(Error::NullPointer { argument: "header" });
            }
            let header = Header::parse(array(header.cast::<u8>(), size, "header")?)?;
            let reading = header.read(reader)?;
            let note = reading.note.as_deref().map(c_string);
            *place = Box::into_raw(Box::new(vxs_nifti { header, reading, note }));
            Ok(())
        })
    }
}

/// Fills a volume, which `vxs_volume_init` made: type, shape, channels (the volumes of a series), spacing, origin,
/// direction, slope, intercept, and whether bytes are swapped. The caller adds the voxels. The type is 0 where the
/// library has none: 64-bit integers (`vxs_nifti_datatype` 1024 and 1280), which the caller narrows.
///
/// Returns `VXS_STRUCT_SIZE`. Any thread.
///
/// # Safety
/// `nifti` is NULL or live; `volume` is NULL or writable for its `struct_size`; `error` is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_nifti_volume(
    nifti: *const vxs_nifti,
    volume: *mut vxs_volume,
    error: *mut *mut vxs_error,
) -> vxs_status {
    // SAFETY: passed on; `reference` and `write` rule NULL out.
    unsafe {
        boundary(error, || {
            let vxs_nifti { header, reading, .. } = reference(nifti, "nifti")?;
            let dtype = header.dtype().map_or(0, volume::code);
            let filled = volume::described(&reading.geometry, dtype, header.volumes as u64, header.swapped);
            let filled = vxs_volume { slope: reading.slope, intercept: reading.intercept, ..filled };
            write(volume, filled, "volume")
        })
    }
}

/// Where the voxels start in their file, in bytes: behind the header of a `.nii` file, or in the `.img` file of a
/// pair. 0 for NULL. Any thread.
///
/// # Safety
/// `nifti` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_nifti_data_offset(nifti: *const vxs_nifti) -> u64 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { nifti.as_ref() }.map_or(0, |nifti| nifti.header.data_offset))
}

/// The code of the voxels' type in the header. 0 for NULL. Any thread.
///
/// # Safety
/// `nifti` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_nifti_datatype(nifti: *const vxs_nifti) -> i32 {
    // SAFETY: NULL or live, by the caller's guarantee.
    getter(0, || unsafe { nifti.as_ref() }.map_or(0, |nifti| nifti.header.datatype.into()))
}

/// Where the header contradicts itself, and which of its statements counts, in one line for the user; NULL for a
/// header at one with itself. UTF-8, lives as long as `nifti`. Any thread.
///
/// # Safety
/// `nifti` is NULL or live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_nifti_note(nifti: *const vxs_nifti) -> *const c_char {
    // SAFETY: NULL or live, by the caller's guarantee.
    let note = || unsafe { nifti.as_ref() }.and_then(|nifti| nifti.note.as_ref());
    getter(null(), || note().map_or(null(), |note| note.as_ptr()))
}

/// Frees a header and the string that it lent. NULL is fine. Any thread.
///
/// # Safety
/// `nifti` is NULL or live, and no other call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxs_nifti_free(nifti: *mut vxs_nifti) {
    // SAFETY: by the caller's guarantee.
    unsafe { free(nifti) };
}
