//! Readings against those of SimpleITK 2.5 (ITK 5.4), nibabel 5.4 and MONAI 1.6.

#![allow(clippy::print_stdout, reason = "the counts are what further cases are for")]

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What `tests/parity/make_headers.py` wrote: 150 cases of it come with the tests.
const GOLDEN: &str = include_str!("../../tests/parity/data/headers.json");

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits = hexadecimal.as_bytes().chunks_exact(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// What is wrong with our reading of a header, beside that of the reference.
fn difference(header: &[u8], reader: Reader, expected: &Value, stored: f64) -> Option<String> {
    let found = Header::parse(header).and_then(|header| header.read(reader));
    let refused = expected.is_string();
    let reading = match (found, refused) {
        (Err(_), true) => return None,
        (Ok(reading), true) => {
            return Some(format!("{reading:?}, but the reference reads no grid: {expected}"));
        }
        // Shears over a degree are read by nibabel, and refused here.
        (Err(Error::Geometry { reason }), false)
            if reader != Reader::Itk && reason.contains("right angles") =>
        {
            return None;
        }
        (Err(error), false) => return Some(format!("{error}, but the reference reads {expected}")),
        (Ok(reading), false) => reading,
    };
    let Geometry { spacing, origin, direction, .. } = &reading.geometry;
    let near = |ours: &[f64], key: &str, tolerance: f64| {
        let theirs = numbers(&expected[key]);
        ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= tolerance * b.abs().max(1.0))
    };
    let value = stored * reading.slope + reading.intercept;
    let same = near(spacing, "spacing", 1e-12)
        && near(origin, "origin", if reader == Reader::Itk { 1e-6 } else { 1e-12 })
        // Where both forms are the same within 1e-4, ITK's choice between them is one of rounding.
        && near(direction.as_flattened(), "direction", if reader == Reader::Itk { 1e-4 } else { 1e-9 })
        && expected["value"].as_f64().is_none_or(|theirs| (value - theirs).abs() < 1e-6);
    (!same).then(|| format!("{reading:?}, but the reference reads {expected}"))
}

fn check(cases: &str) {
    let cases: Value = serde_json::from_str(cases).unwrap();
    let stored = cases["stored"].as_f64().unwrap();
    let mut wrong = Vec::new();
    let mut counts = [0; 5];
    for case in cases["cases"].as_array().unwrap() {
        let header = bytes(case["header"].as_str().unwrap());
        for (reader, count) in Reader::all().into_iter().zip(&mut counts) {
            let Some(expected) = case["readings"].get(reader.name()) else { continue };
            *count += 1;
            if let Some(difference) = difference(&header, reader, expected, stored) {
                let parsed = Header::parse(&header);
                wrong.push(format!("{}: {difference}\n{parsed:?}", reader.name()));
            }
        }
    }
    println!("{counts:?} readings, {} differ", wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {counts:?} differ, the first: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(3)]
    );
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

#[test]
fn headers_are_read_as_the_references_read_them() {
    check(GOLDEN);
}

/// As many as one likes, where `VOXSEG_HEADER_CASES` names the folder of `make_headers.py`.
#[test]
fn further_headers() {
    let Some(folder) = std::env::var_os("VOXSEG_HEADER_CASES") else {
        eprintln!("skipped: VOXSEG_HEADER_CASES names no folder with further headers");
        return;
    };
    check(&std::fs::read_to_string(std::path::Path::new(&folder).join("headers.json")).unwrap());
}

proptest! {
    /// Whatever the bytes are, a header is read or refused, and a grid that comes out is one.
    #[test]
    fn any_bytes_are_read_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 540),
        size in prop_oneof![Just(348_i32), Just(348_i32.swap_bytes()), Just(540), Just(540_i32.swap_bytes())],
        plain in any::<[bool; 4]>(),
        shape in prop_oneof![Just([1_i16, 1, 1]), any::<[i16; 3]>()],
    ) {
        bytes[..4].copy_from_slice(&size.to_ne_bytes());
        bytes[344..348].copy_from_slice(b"n+1\0");
        if size == 540 || size == 540_i32.swap_bytes() {
            bytes[4..8].copy_from_slice(b"n+2\0");
        }
        // Most random headers end at a field that no image has: with some of these they come further.
        if plain[0] {
            let dim = [3, shape[0], shape[1], shape[2]].map(i16::to_ne_bytes);
            bytes[40..48].copy_from_slice(dim.as_flattened());
            bytes[70..72].copy_from_slice(&4_i16.to_ne_bytes());
            bytes[108..112].copy_from_slice(&352_f32.to_ne_bytes());
        }
        if plain[1] {
            bytes[252..256].copy_from_slice(&[1, 0, 2, 0]);
        }
        if plain[2] {
            bytes[256..268].fill(0);
        }
        if plain[3] {
            let rows: Vec<u8> = [3_f32, 0.0, 0.0, 1.0, 0.0, 3.0, 0.0, 2.0, 0.0, 0.0, 3.0, 3.0]
                .iter()
                .flat_map(|number| number.to_ne_bytes())
                .collect();
            bytes[280..328].copy_from_slice(&rows);
        }
        let Ok(header) = Header::parse(&bytes) else { return Ok(()) };
        for reader in Reader::all() {
            if let Ok(reading) = header.read(reader) {
                prop_assert!(reading.geometry.check().is_ok());
                prop_assert!(reading.slope.is_finite() && reading.slope != 0.0 && reading.intercept.is_finite());
            }
        }
    }
}

#[test]
fn stored_voxels_are_numbers() {
    macro_rules! check {
        ($stored:expr, $type:ty, $values:expr) => {{
            let values: [$type; 3] = $values;
            let mut bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
            // Part of another voxel, where there can be one.
            bytes.resize(bytes.len() + size_of::<$type>() - 1, 0xff);
            let found: Vec<f64> = $stored.numbers(&bytes).collect();
            assert_eq!(found, values.map(|value| value as f64), "{:?}", $stored);
        }};
    }
    check!(Stored::Library(DType::I8), i8, [-128, 1, 127]);
    check!(Stored::Library(DType::U8), u8, [0, 1, 255]);
    check!(Stored::Library(DType::I16), i16, [i16::MIN, 258, i16::MAX]);
    check!(Stored::Library(DType::U16), u16, [0, 258, u16::MAX]);
    check!(Stored::Library(DType::I32), i32, [i32::MIN, 65_538, i32::MAX]);
    check!(Stored::Library(DType::U32), u32, [0, 65_538, u32::MAX]);
    check!(Stored::Library(DType::F32), f32, [-1.5, 1e-40, f32::INFINITY]);
    check!(Stored::Library(DType::F64), f64, [-1.5, 1e-310, 0.1]);
    check!(Stored::I64, i64, [i64::MIN, -2, 1 << 40]);
    check!(Stored::U64, u64, [0, 1 << 40, u64::MAX]);
    let halves = [0x3c00_u16, 0xc000].map(u16::to_ne_bytes);
    assert_eq!(DType::F16.numbers(halves.as_flattened()).collect::<Vec<_>>(), [1.0, -2.0]);
}
