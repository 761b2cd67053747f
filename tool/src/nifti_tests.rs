//! Tests of the NIfTI files: written and read again, and headers made by hand.

use super::*;
use crate::image_file::tests::{Folder, STORED, example};

fn decoded(file: Vec<u8>) -> Result<ImageFile, String> {
    let most = file.len() as u64;
    decode(Source { from: Box::new(std::io::Cursor::new(file)), most }, None, Reader::Itk)
}

fn same_grid(a: &Geometry, b: &Geometry) {
    assert_eq!(a.shape, b.shape);
    let numbers = |g: &Geometry| [&g.spacing[..], &g.origin, g.direction.as_flattened()].concat();
    for (x, y) in numbers(a).into_iter().zip(numbers(b)) {
        assert!((x - y).abs() < 1e-5 * (1.0 + y.abs()), "{a:?} {b:?}");
    }
}

#[test]
fn round_trip_of_each_type() {
    let folder = Folder::new("nifti");
    for dtype in STORED {
        for name in ["image.1.5mm.nii", "image.1.5mm.nii.gz"] {
            let (image, path) = (example(dtype), folder.file(name));
            image.write(&path).unwrap();
            let back = ImageFile::read(&path).unwrap();
            assert_eq!((back.dtype, back.channels, &back.bytes), (dtype, 1, &image.bytes));
            same_grid(&back.geometry, &image.geometry);
            let first = std::fs::read(&path).unwrap();
            back.write(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), first, "writing again changes nothing");
        }
    }
}

/// As the other byte order writes it.
fn foreign(image: &ImageFile) -> Vec<u8> {
    let mut file = encode(image).unwrap();
    NUMBERS.iter().for_each(|&(start, end, size)| swap_bytes(&mut file[start..end], size));
    swap_bytes(&mut file[DATA..], image.dtype.size());
    file
}

#[test]
fn the_other_byte_order_of_each_type() {
    for dtype in STORED {
        let image = example(dtype);
        let back = decoded(foreign(&image)).unwrap();
        assert_eq!((back.dtype, &back.bytes), (dtype, &image.bytes));
        same_grid(&back.geometry, &image.geometry);
        assert_eq!(encode(&back).unwrap(), encode(&image).unwrap());
    }
}

#[test]
fn a_big_endian_header_made_by_hand() {
    let mut file = vec![0; DATA];
    file[..4].copy_from_slice(&348_i32.to_be_bytes());
    let words = [(40, 3_i16), (42, 2), (44, 1), (46, 1), (70, 4), (72, 16), (254, 1)];
    words.iter().for_each(|&(at, value)| file[at..at + 2].copy_from_slice(&value.to_be_bytes()));
    let floats = [(80, 2.0_f32), (84, 3.0), (88, 4.0), (108, 352.0), (112, 2.0), (116, -5.0)];
    let rows = [(280, -2.0_f32), (292, 7.0), (300, 3.0), (320, 4.0), (324, -1.0)];
    floats
        .iter()
        .chain(&rows)
        .for_each(|&(at, value)| file[at..at + 4].copy_from_slice(&value.to_be_bytes()));
    file[344..348].copy_from_slice(b"n+1\0");
    file.extend([0x01, 0x02, 0xff, 0xfe]);
    let image = decoded(file).unwrap();
    assert_eq!((image.geometry.shape, image.geometry.spacing), ([2, 1, 1], [2.0, 3.0, 4.0]));
    assert_eq!(image.geometry.origin, [-7.0, 0.0, -1.0]);
    assert_eq!(image.geometry.direction, [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]);
    assert_eq!(image.values().collect::<Vec<_>>(), [511.0, -9.0]);
}

#[test]
fn qform_alone_says_the_same_as_sform() {
    for flip in [1.0, -1.0] {
        let mut image = example(DType::U8);
        image.geometry.direction.iter_mut().for_each(|row| row[2] *= flip);
        let mut file = encode(&image).unwrap();
        file[field::SFORM_CODE..][..2].fill(0);
        file[field::SROW..][..48].fill(0xff);
        same_grid(&decoded(file).unwrap().geometry, &image.geometry);
    }
}

#[test]
fn qforms_of_all_axis_orders() {
    let unit = |axis: usize, sign: f64| std::array::from_fn(|n| if n == axis { sign } else { 0.0 });
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        for signs in 0..8 {
            let sign = |row: usize| if signs >> row & 1 == 1 { -1.0 } else { 1.0 };
            let mut image = example(DType::U8);
            image.geometry.direction = std::array::from_fn(|row| unit(order[row], sign(row)));
            let mut file = encode(&image).unwrap();
            file[field::SFORM_CODE..][..2].fill(0);
            same_grid(&decoded(file).unwrap().geometry, &image.geometry);
        }
    }
}

#[test]
fn spacing_is_pixdim() {
    let mut file = encode(&example(DType::U8)).unwrap();
    file[field::PIXDIM + 4..][..4].copy_from_slice(&(-0.9_f32).to_ne_bytes());
    let geometry = decoded(file).unwrap().geometry;
    assert_eq!(geometry.spacing[0], f64::from(0.9_f32));
    assert!(geometry.check().is_ok());
}

#[test]
fn labels_look_like_the_image() {
    let mut image = decoded(foreign(&example(DType::I16))).unwrap();
    (image.slope, image.intercept) = (2.0, -5.0);
    let mut labels = image.sibling(DType::U8, vec![1; 60]);
    labels.header.as_mut().unwrap().describe("voxseg");
    let back = decoded(encode(&labels).unwrap()).unwrap();
    assert_eq!((back.slope, back.intercept, back.dtype), (1.0, 0.0, DType::U8));
    assert_eq!(back.geometry, image.geometry);
    let (Header(a), Header(b)) = (back.header.unwrap(), image.header.unwrap());
    assert_eq!(a[76..108], b[76..108]);
    assert_eq!(a[252..344], b[252..344]);
    assert!(a[148..].starts_with(b"voxseg\0"));
}

#[test]
fn channels_are_the_fourth_dimension() {
    let mut image = example(DType::I16);
    image.channels = 2;
    image.bytes = image.bytes.repeat(2);
    let back = decoded(encode(&image).unwrap()).unwrap();
    assert_eq!((back.channels, back.channel(1)), (2, example(DType::I16).bytes.as_slice()));
}

#[test]
fn what_is_not_read_says_why() {
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = encode(&example(DType::I16)).unwrap();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        decoded(file).unwrap_err()
    };
    assert!(patched(0, &540_i32.to_ne_bytes()).contains("expected 540"));
    assert!(patched(field::MAGIC, b"ni1").contains("one file or in two"));
    assert!(patched(field::DIM, &2_i16.to_ne_bytes()).contains("dim[0] is 2"));
    assert!(patched(field::DIM + 2, &9_i16.to_ne_bytes()).contains("truncated"));
    assert!(patched(field::DIM + 4, &0_i16.to_ne_bytes()).contains("dim[2] is 0"));
    assert!(patched(field::DATATYPE, &128_i16.to_ne_bytes()).contains("RGB"));
    assert!(patched(field::VOX_OFFSET, &f32::NAN.to_ne_bytes()).contains("vox_offset"));
    assert!(decoded(vec![0; 40]).unwrap_err().contains("no NIfTI file"));
}

#[test]
fn a_pair_of_files() {
    let folder = Folder::new("pair");
    for name in ["a.hdr", "B.HDR"] {
        let image = example(DType::I16);
        let mut file = encode(&image).unwrap();
        file[field::MAGIC..][..3].copy_from_slice(b"ni1");
        file[field::VOX_OFFSET..][..4].copy_from_slice(&0_f32.to_ne_bytes());
        let header = folder.file(name);
        let voxels = folder.file(&name.replace("hdr", "img").replace("HDR", "IMG"));
        std::fs::write(&header, &file[..SIZE]).unwrap();
        std::fs::write(&voxels, &file[DATA..]).unwrap();
        for path in [header, voxels] {
            let back = ImageFile::read(&path).unwrap();
            assert_eq!(back.bytes, image.bytes);
            same_grid(&back.geometry, &image.geometry);
        }
    }
}
