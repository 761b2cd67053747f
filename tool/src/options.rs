//! Values of options that need more than a number or a name.

use std::ffi::OsString;
use std::path::PathBuf;

use voxseg::devices::{Algorithm, Device, Isa, Precision};
use voxseg::model::{Auto3dsegScript, Fold};
use voxseg::volume::{Box3, NonFinite};

use crate::image_file::file_name;

/// A place, `x,y,z`.
pub fn place(text: &str) -> Result<[f64; 3], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let three = numbers.ok().and_then(|numbers| <[f64; 3]>::try_from(numbers).ok());
    three.ok_or_else(|| "expected three numbers, as in 80,50,60".into())
}

/// A label and a place, `label:x,y,z`.
pub fn labelled_place(text: &str) -> Result<(String, [f64; 3]), String> {
    match text.rsplit_once(':') {
        Some((label, at)) if !label.trim().is_empty() => Ok((label.trim().to_owned(), place(at)?)),
        _ => Err("expected a label and three numbers, as in spleen:80,50,60".into()),
    }
}

/// A box, `x,y,z,x,y,z`.
pub fn corners(text: &str) -> Result<[[i64; 3]; 2], String> {
    let numbers: Result<Vec<i64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[a, b, c, x, y, z]) => Ok([[a, b, c], [x, y, z]]),
        _ => Err("expected six whole numbers, as in 60,35,55,105,75,56".into()),
    }
}

/// "4GiB", "500MB" or plain bytes.
pub fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("KIB", 1 << 10),
        ("MIB", 1 << 20),
        ("GIB", 1 << 30),
        ("TIB", 1 << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
        ("", 1),
    ];
    let wrong = || format!("`{text}` is no size; write it as 4GiB, 500MB or in bytes");
    let split = text.find(|letter: char| letter.is_ascii_alphabetic() || letter == ' ').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim().to_ascii_uppercase();
    let &(_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    let value: f64 = number.parse().map_err(|_| wrong())?;
    let size = value * factor as f64;
    if size.is_finite() && size >= 0.0 && size < u64::MAX as f64 { Ok(size as u64) } else { Err(wrong()) }
}

/// One entry of "0,1" or "all".
pub fn fold(text: &str) -> Result<Fold, String> {
    match text.trim() {
        "all" => Ok(Fold::All),
        number => {
            number.parse().map(Fold::Number).map_err(|_| format!("`{text}` is no fold; write 0,1 or all"))
        }
    }
}

/// A way of Auto3DSeg's script.
pub fn auto3dseg(text: &str) -> Result<Auto3dsegScript, String> {
    match text {
        "general" => Ok(Auto3dsegScript::General),
        "brats" => Ok(Auto3dsegScript::Brats),
        "whole-head" => Ok(Auto3dsegScript::WholeHead),
        _ => Err(format!("`{text}` is no way of the script; write general, brats or whole-head")),
    }
}

/// "5=liver.nii.gz": a label and the file for its probability, whose name may have any bytes.
pub fn probability(text: OsString) -> Result<(u16, PathBuf), String> {
    let wrong = || format!("`{}` is no label and file; write it as 5=liver.nii.gz", text.display());
    let bytes = text.as_encoded_bytes();
    let split = bytes.iter().position(|&byte| byte == b'=').ok_or_else(wrong)?;
    let label = std::str::from_utf8(&bytes[..split]).ok().and_then(|label| label.trim().parse().ok());
    let path = file_name(&bytes[split + 1..]).map_err(|_| wrong())?;
    if path.is_empty() { Err(wrong()) } else { Ok((label.ok_or_else(wrong)?, path.into())) }
}

/// "10:70,20:80,5:65": the voxels from 10 to before 70 along the image's first axis, and so on.
pub fn region(text: &str) -> Result<Box3, String> {
    let wrong = || format!("`{text}` is no region; write it as 10:70,20:80,5:65, along x, y and z");
    let range = |text: &str| {
        let (start, end) = text.split_once(':')?;
        Some((start.trim().parse::<usize>().ok()?, end.trim().parse::<usize>().ok()?))
    };
    let ranges: Vec<(usize, usize)> = text.split(',').map(range).collect::<Option<_>>().ok_or_else(wrong)?;
    let [x, y, z] = ranges[..] else { return Err(wrong()) };
    Ok(Box3 { start: [x.0, y.0, z.0], end: [x.1, y.1, z.1] })
}

/// As many threads as the machine runs at once.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The name of a device.
pub fn device(text: &str) -> Result<Device, String> {
    Device::from_name(text).map_err(|error| error.to_string())
}

/// The name of an instruction set.
pub fn instructions(text: &str) -> Result<Isa, String> {
    let all = || std::iter::once(Isa::Auto).chain(Isa::ALL);
    all().find(|isa| isa.name() == text).ok_or_else(|| {
        let names: Vec<&str> = all().map(Isa::name).collect();
        format!("`{text}` is no instruction set; write {}", names.join(" or "))
    })
}

/// The name of a convolution algorithm.
pub fn convolution(text: &str) -> Result<Algorithm, String> {
    match text {
        "winograd" => Ok(Algorithm::Winograd),
        "direct" => Ok(Algorithm::Direct),
        _ => Err(format!("`{text}` is no convolution algorithm; write winograd or direct")),
    }
}

/// The name of a precision.
pub fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "auto" => Ok(Precision::Auto),
        "f32" => Ok(Precision::F32),
        "f16" => Ok(Precision::F16),
        _ => Err(format!("`{text}` is no precision; write auto, f32 or f16")),
    }
}

/// What happens to voxels that are NaN or infinite.
pub fn non_finite(text: &str) -> Result<NonFinite, String> {
    match text {
        "error" => Ok(NonFinite::Refuse),
        "zero" => Ok(NonFinite::Zero),
        "lowest" => Ok(NonFinite::Lowest),
        _ => Err(format!("`{text}` is nothing that voxels can be; write error, zero or lowest")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("1073741824"), Ok(1 << 30));
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("4 gib"), Ok(4 << 30));
        assert_eq!(bytes("500MB"), Ok(500_000_000));
        assert_eq!(bytes("1.5KiB"), Ok(1536));
        assert_eq!(bytes("7b"), Ok(7));
        for wrong in ["", "GiB", "-1", "4Gi", "1e9GB", "inf", "nan", "99999999999TiB", "1.5.2MB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn folds() {
        assert_eq!(fold("3"), Ok(Fold::Number(3)));
        assert_eq!(fold("all"), Ok(Fold::All));
        assert!(fold("-1").is_err());
    }

    #[test]
    fn probabilities() {
        let probability = |text: &str| probability(text.into());
        assert_eq!(probability("5=a=b.nii"), Ok((5, "a=b.nii".into())));
        for wrong in ["", "5", "=a.nii", "x=a.nii", "70000=a.nii", "5="] {
            assert!(probability(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions() {
        assert_eq!(region("10:70,20:80,5:65"), Ok(Box3 { start: [10, 20, 5], end: [70, 80, 65] }));
        for wrong in ["", "1:2", "1:2,3:4", "1:2,3:4,5:6,7:8", "1-2,3:4,5:6", "-1:2,3:4,5:6", "a:2,3:4,5:6"] {
            assert!(region(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn precisions_have_names() {
        assert_eq!(precision("f16"), Ok(Precision::F16));
        assert!(precision("f64").is_err());
    }

    #[test]
    fn convolution_algorithms_have_names() {
        assert_eq!(convolution("direct"), Ok(Algorithm::Direct));
        assert!(convolution("exact").is_err());
    }

    #[test]
    fn voxels_that_are_no_numbers() {
        assert_eq!(non_finite("lowest"), Ok(NonFinite::Lowest));
        assert!(non_finite("nan").is_err());
    }
}
