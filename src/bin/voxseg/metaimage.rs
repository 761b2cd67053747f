//! MetaImage files, as ITK and 3D Slicer write them: a text header (.mhd) and raw voxels, uncompressed.

use std::collections::HashMap;
use std::path::Path;

use voxseg::volume::{DType, Geometry};

use crate::image_file::{ImageFile, narrowed, swap_bytes};

/// The types that have a name in both worlds.
const TYPES: [(&str, DType); 8] = [
    ("MET_CHAR", DType::I8),
    ("MET_UCHAR", DType::U8),
    ("MET_SHORT", DType::I16),
    ("MET_USHORT", DType::U16),
    ("MET_INT", DType::I32),
    ("MET_UINT", DType::U32),
    ("MET_FLOAT", DType::F32),
    ("MET_DOUBLE", DType::F64),
];

/// The header's lines by name, and where it ends.
struct Header<'a> {
    fields: HashMap<&'a str, &'a str>,
    end: usize,
}

impl<'a> Header<'a> {
    fn parse(file: &'a [u8]) -> Result<Self, String> {
        let (mut fields, mut end) = (HashMap::new(), 0);
        while !fields.contains_key("ElementDataFile") {
            let rest = &file[end..];
            let length = rest.iter().take(1 << 16).position(|&byte| byte == b'\n');
            let line = &rest[..length.unwrap_or(rest.len().min(1 << 16))];
            let line = std::str::from_utf8(line).map_err(|_| "no MetaImage header")?;
            end += length.map_or(line.len(), |length| length + 1);
            match line.split_once('=') {
                Some((name, value)) => drop(fields.insert(name.trim(), value.trim())),
                None if line.trim().is_empty() && end < file.len() => {}
                None => return Err("no MetaImage header: ElementDataFile is missing".into()),
            }
        }
        Ok(Header { fields, end })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.get(name).copied()
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    fn numbers<T: std::str::FromStr, const N: usize>(&self, name: &str) -> Result<Option<[T; N]>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let numbers: Vec<T> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers.try_into() {
            Ok(numbers) if text.split_whitespace().count() == N => Ok(Some(numbers)),
            _ => Err(format!("{name} = {text}, expected {N} numbers")),
        }
    }
}

/// Reads a header and its voxels.
pub fn read(path: &Path) -> Result<ImageFile, String> {
    let file = std::fs::read(path).map_err(|error| error.to_string())?;
    let header = Header::parse(&file)?;
    if header.flag("CompressedData") {
        return Err("compressed voxels are not supported".into());
    }
    if header.get("ElementNumberOfChannels").is_some_and(|count| count != "1") {
        return Err("several channels in one MetaImage are not supported".into());
    }
    let shape: [usize; 3] = header.numbers("DimSize")?.ok_or("DimSize is missing")?;
    let mut geometry = Geometry::with_shape(shape);
    for name in ["ElementSpacing", "ElementSize"] {
        if let Some(spacing) = header.numbers(name)? {
            geometry.spacing = spacing;
            break;
        }
    }
    for name in ["Offset", "Position", "Origin"] {
        if let Some(origin) = header.numbers(name)? {
            geometry.origin = origin;
            break;
        }
    }
    for name in ["TransformMatrix", "Rotation", "Orientation"] {
        if let Some(matrix) = header.numbers::<f64, 9>(name)? {
            // The columns of the direction, one after the other.
            geometry.direction =
                std::array::from_fn(|row| std::array::from_fn(|axis| matrix[3 * axis + row]));
            break;
        }
    }
    let kind = header.get("ElementType").ok_or("ElementType is missing")?;
    let wide = matches!(kind, "MET_LONG_LONG" | "MET_ULONG_LONG");
    let dtype = TYPES.iter().find(|(name, _)| *name == kind).map(|&(_, dtype)| dtype);
    let width = match dtype {
        Some(dtype) => dtype.size(),
        None if wide => 8,
        None => return Err(format!("voxels of type {kind} are not supported")),
    };
    let count = shape.iter().try_fold(width, |count, &n| count.checked_mul(n)).ok_or("impossible size")?;
    let mut bytes = voxels(path, &file, &header, count)?;
    if (header.flag("BinaryDataByteOrderMSB") || header.flag("ElementByteOrderMSB"))
        != cfg!(target_endian = "big")
    {
        swap_bytes(&mut bytes, width);
    }
    let (dtype, bytes) = match dtype {
        Some(dtype) => (dtype, bytes),
        None => {
            let words = bytes.as_chunks().0.iter();
            let numbers: Vec<i128> = match kind {
                "MET_LONG_LONG" => words.map(|&word| i64::from_ne_bytes(word).into()).collect(),
                _ => words.map(|&word| u64::from_ne_bytes(word).into()).collect(),
            };
            narrowed(&numbers)
        }
    };
    Ok(ImageFile {
        geometry,
        dtype,
        channels: 1,
        bytes,
        slope: 1.0,
        intercept: 0.0,
        header: None,
        note: None,
    })
}

/// The bytes of the voxels, from the header's own file or the one that it names.
fn voxels(path: &Path, file: &[u8], header: &Header, count: usize) -> Result<Vec<u8>, String> {
    let name = header.get("ElementDataFile").unwrap_or_default();
    let outside;
    let (source, start) = if name.eq_ignore_ascii_case("LOCAL") {
        (file, header.end)
    } else if name.contains('%') || name.starts_with("LIST") {
        return Err("voxels in several files are not supported".into());
    } else {
        let beside = path.with_file_name(name);
        outside = std::fs::read(&beside).map_err(|error| format!("{}: {error}", beside.display()))?;
        (outside.as_slice(), 0)
    };
    // -1: whatever comes before the voxels.
    let skip = match header.numbers::<i64, 1>("HeaderSize")? {
        Some([-1]) => source.len().saturating_sub(count),
        Some([size]) => start + usize::try_from(size).map_err(|_| format!("HeaderSize = {size}"))?,
        None => start,
    };
    let bytes = source.get(skip..).and_then(|rest| rest.get(..count));
    let found = source.len().saturating_sub(skip);
    bytes.map(<[u8]>::to_vec).ok_or_else(|| format!("truncated: {found} bytes of voxels instead of {count}"))
}

/// Writes a header, and the voxels in a .raw file beside it. Scaled images become floats, since the format
/// has no scaling.
pub fn write(image: &ImageFile, path: &Path) -> Result<(), String> {
    if !image.is_unscaled() {
        return write(&image.to_f32(), path);
    }
    if image.channels != 1 {
        return Err("several channels don't go into one MetaImage".into());
    }
    let Some((kind, _)) = TYPES.iter().find(|(_, dtype)| *dtype == image.dtype) else {
        return Err(format!("MetaImage has no {:?}", image.dtype));
    };
    let raw = path.with_extension("raw");
    let raw_name = raw.file_name().and_then(|name| name.to_str()).ok_or("the name must be valid Unicode")?;
    let Geometry { shape, spacing, origin, direction } = &image.geometry;
    let numbers =
        |values: &[f64]| values.iter().map(|value| format!("{value}")).collect::<Vec<_>>().join(" ");
    let columns: Vec<f64> = (0..3).flat_map(|axis| direction.map(|row| row[axis])).collect();
    let order = if cfg!(target_endian = "big") { "True" } else { "False" };
    let text = [
        "ObjectType = Image".into(),
        "NDims = 3".into(),
        "BinaryData = True".into(),
        format!("BinaryDataByteOrderMSB = {order}"),
        "CompressedData = False".into(),
        format!("TransformMatrix = {}", numbers(&columns)),
        format!("Offset = {}", numbers(origin)),
        "CenterOfRotation = 0 0 0".into(),
        format!("AnatomicalOrientation = {}", orientation(direction)),
        format!("ElementSpacing = {}", numbers(spacing)),
        format!("DimSize = {} {} {}", shape[0], shape[1], shape[2]),
        format!("ElementType = {kind}"),
        format!("ElementDataFile = {raw_name}\n"),
    ];
    std::fs::write(&raw, &image.bytes).map_err(|error| format!("{}: {error}", raw.display()))?;
    std::fs::write(path, text.join("\n")).map_err(|error| error.to_string())
}

/// The side that each axis comes from, as ITK writes it: RAI for axes that run to the left, back and head.
fn orientation(direction: &[[f64; 3]; 3]) -> String {
    let letter = |axis: usize| {
        let strongest = (0..3).max_by(|&a, &b| direction[a][axis].abs().total_cmp(&direction[b][axis].abs()));
        let row = strongest.unwrap_or(0);
        ["RL", "AP", "IS"][row].as_bytes()[usize::from(direction[row][axis] < 0.0)] as char
    };
    (0..3).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_file::tests::{Folder, STORED, example};

    #[test]
    fn round_trip_of_each_type_is_exact() {
        let folder = Folder::new("metaimage");
        let path = folder.file("image.1.5mm.mhd");
        for dtype in STORED {
            let mut image = example(dtype);
            image.geometry.spacing[0] = f64::from(0.7_f32);
            image.geometry.origin[1] = -1.0 / 3.0;
            image.write(&path).unwrap();
            let back = ImageFile::read(&path).unwrap();
            assert_eq!((back.dtype, &back.bytes), (dtype, &image.bytes));
            assert_eq!(back.geometry, image.geometry);
        }
    }

    #[test]
    fn voxels_in_the_same_file_and_the_other_byte_order() {
        let folder = Folder::new("metaimage-local");
        let path = folder.file("image.mha");
        let mut file =
            b"NDims = 3\r\nDimSize = 2 1 1\r\nElementType = MET_SHORT\r\nElementByteOrderMSB = True\r\n\
            ElementSpacing = 1 2 3\r\nElementDataFile = LOCAL\r\n"
                .to_vec();
        file.extend([0x01, 0x02, 0xff, 0xfe]);
        std::fs::write(&path, file).unwrap();
        let image = ImageFile::read(&path).unwrap();
        assert_eq!(image.values().collect::<Vec<_>>(), [258.0, -2.0]);
        assert_eq!(image.geometry.spacing, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn orientation_letters() {
        assert_eq!(orientation(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), "RAI");
        assert_eq!(orientation(&[[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), "ASL");
    }

    #[test]
    fn what_is_not_read_says_why() {
        let folder = Folder::new("metaimage-wrong");
        let path = folder.file("image.mhd");
        let reason = |text: &str| {
            std::fs::write(&path, text).unwrap();
            ImageFile::read(&path).unwrap_err().to_string()
        };
        assert!(reason("nonsense").contains("no MetaImage header"));
        assert!(reason("DimSize = 2 2\nElementDataFile = a.raw\n").contains("3 numbers"));
        let head = "DimSize = 2 2 2\nElementType = MET_SHORT\n";
        assert!(reason(&format!("{head}ElementDataFile = missing.raw\n")).contains("missing.raw"));
        assert!(reason(&format!("{head}ElementDataFile = LOCAL\nab")).contains("truncated"));
        assert!(
            reason(&format!("{head}CompressedData = True\nElementDataFile = LOCAL\n")).contains("compressed")
        );
    }
}
