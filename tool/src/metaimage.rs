//! MetaImage files, as ITK and 3D Slicer write them: a text header (.mhd, .mha) and voxels, in the same file or in one
//! beside it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use voxseg::nifti::Stored;
use voxseg::volume::{DType, Geometry};

use crate::failure::{Failure, Outcome};
use crate::image_file::{ImageFile, file_name};
use crate::output::Outputs;
use crate::source;
use crate::voxels::{self, Coding, Storage};

/// The types that have a name in both worlds.
const TYPES: [(&str, Stored); 10] = [
    ("MET_CHAR", Stored::Library(DType::I8)),
    ("MET_UCHAR", Stored::Library(DType::U8)),
    ("MET_SHORT", Stored::Library(DType::I16)),
    ("MET_USHORT", Stored::Library(DType::U16)),
    ("MET_INT", Stored::Library(DType::I32)),
    ("MET_UINT", Stored::Library(DType::U32)),
    ("MET_FLOAT", Stored::Library(DType::F32)),
    ("MET_DOUBLE", Stored::Library(DType::F64)),
    ("MET_LONG_LONG", Stored::I64),
    ("MET_ULONG_LONG", Stored::U64),
];

/// The header's lines by name, up to the one that says where the voxels are.
struct Header {
    fields: HashMap<String, String>,
    /// The file of the voxels, of any bytes; nothing where they follow the header.
    data: Option<OsString>,
    /// Bytes of the header.
    length: u64,
}

impl Header {
    fn parse(source: &mut (impl BufRead + Seek)) -> Result<Self, String> {
        let mut fields = HashMap::new();
        while let Some(line) = source::line(source)? {
            let Some(split) = line.iter().position(|byte| matches!(byte, b'=' | b':')) else {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                break;
            };
            let (name, value) = (line[..split].trim_ascii(), line[split + 1..].trim_ascii());
            if name == b"ElementDataFile" {
                let data = (!value.eq_ignore_ascii_case(b"LOCAL")).then(|| file_name(value)).transpose()?;
                let length = source.stream_position().map_err(|error| error.to_string())?;
                return Ok(Header { fields, data, length });
            }
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            fields.insert(text(name), text(value));
        }
        Err("no MetaImage header: ElementDataFile is missing".into())
    }

    /// The value of the first of several names of one thing. Where more than one is there, they must agree.
    fn get(&self, names: &[&str]) -> Result<Option<&str>, String> {
        let mut found = names.iter().filter_map(|&name| Some((name, self.fields.get(name)?.as_str())));
        let Some((name, value)) = found.next() else { return Ok(None) };
        match found.find(|(_, other)| !other.eq_ignore_ascii_case(value)) {
            Some((another, other)) => {
                Err(format!("{name} = {value} and {another} = {other} contradict each other"))
            }
            None => Ok(Some(value)),
        }
    }

    fn flag(&self, names: &[&str]) -> Result<Option<bool>, String> {
        let Some(value) = self.get(names)? else { return Ok(None) };
        match value.as_bytes().first() {
            Some(b'T' | b't' | b'1') => Ok(Some(true)),
            Some(b'F' | b'f' | b'0') => Ok(Some(false)),
            _ => Err(format!("{} = {value}, expected True or False", names[0])),
        }
    }

    fn numbers<T: std::str::FromStr>(&self, names: &[&str], count: usize) -> Result<Option<Vec<T>>, String> {
        let Some(text) = self.get(names)? else { return Ok(None) };
        let numbers: Option<Vec<T>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
        match numbers {
            Some(numbers) if numbers.len() == count => Ok(Some(numbers)),
            _ => Err(format!("{} = {text}, expected {count} numbers", names[0])),
        }
    }

    /// The grid, and how many volumes of it there are one after the other.
    fn grid(&self) -> Result<(Geometry, usize), String> {
        let written = self.get(&["DimSize"])?.ok_or("DimSize is missing")?;
        let count = match self.numbers::<usize>(&["NDims"], 1)? {
            Some(count) => count[0],
            None => written.split_whitespace().count(),
        };
        if count != 3 && count != 4 {
            return Err(format!("{count} dimensions, expected three, or four for a series of volumes"));
        }
        let size: Vec<usize> = self.numbers(&["DimSize"], count)?.ok_or("DimSize is missing")?;
        let mut geometry = Geometry::with_shape([size[0], size[1], size[2]]);
        // An element may be smaller or larger than the distance to the next one.
        let spacing = match self.numbers::<f64>(&["ElementSpacing"], count)? {
            Some(spacing) => Some(spacing),
            None => self.numbers(&["ElementSize"], count)?,
        };
        if let Some(spacing) = spacing {
            geometry.spacing.copy_from_slice(&spacing[..3]);
        }
        if let Some(origin) = self.numbers::<f64>(&["Offset", "Position", "Origin"], count)? {
            geometry.origin.copy_from_slice(&origin[..3]);
        }
        let matrix = self.numbers::<f64>(&["TransformMatrix", "Rotation", "Orientation"], count * count)?;
        if let Some(matrix) = matrix {
            // The columns of the direction, one after the other.
            geometry.direction =
                std::array::from_fn(|row| std::array::from_fn(|axis| matrix[count * axis + row]));
        }
        // As ITK: a negative spacing turns the axis.
        for axis in 0..3 {
            if geometry.spacing[axis] < 0.0 {
                geometry.spacing[axis] = -geometry.spacing[axis];
                geometry.direction.iter_mut().for_each(|row| row[axis] = -row[axis]);
            }
        }
        Ok((geometry, size.get(3).copied().unwrap_or(1)))
    }

    fn coding(&self) -> Result<Coding, String> {
        let text = self.flag(&["BinaryData"])? == Some(false);
        let compressed = self.flag(&["CompressedData"])? == Some(true);
        match (text, compressed) {
            (false, false) => Ok(Coding::Raw),
            (false, true) => Ok(Coding::Zlib),
            (true, false) => Ok(Coding::Text),
            (true, true) => Err("BinaryData = False and CompressedData = True contradict each other".into()),
        }
    }

    /// The file of the voxels beside that of the header.
    fn data_beside(&self, path: &Path) -> Result<Option<PathBuf>, String> {
        let Some(name) = &self.data else { return Ok(None) };
        let letters = name.as_encoded_bytes();
        if letters.contains(&b'%') || letters.starts_with(b"LIST") {
            return Err("voxels in several files are not supported".into());
        }
        Ok(Some(path.with_file_name(name)))
    }
}

/// The file of the voxels, where it is another one.
pub fn data_file(path: &Path) -> Option<PathBuf> {
    Header::parse(&mut source::open(path).ok()?).ok()?.data_beside(path).ok()?
}

/// Reads a header and its voxels.
pub fn read(path: &Path) -> Result<ImageFile, String> {
    let mut source = source::open(path)?;
    let header = Header::parse(&mut source)?;
    if let Some(kind) = header.get(&["ObjectType"])?.filter(|kind| *kind != "Image") {
        return Err(format!("ObjectType = {kind}, expected Image"));
    }
    let (geometry, volumes) = header.grid()?;
    let interleaved = header.numbers::<usize>(&["ElementNumberOfChannels"], 1)?.map_or(1, |count| count[0]);
    if interleaved == 0 || interleaved > 1 && volumes > 1 {
        return Err(format!(
            "ElementNumberOfChannels = {interleaved} of {volumes} volumes are not supported"
        ));
    }
    let name = header.get(&["ElementType"])?.ok_or("ElementType is missing")?;
    let kind = TYPES.iter().find(|(known, _)| *known == name).map(|&(_, kind)| kind);
    let kind = kind.ok_or_else(|| format!("voxels of type {name} are not supported"))?;
    let factors = geometry.shape.iter().chain([&interleaved, &volumes]);
    let count = factors.copied().try_fold(1, usize::checked_mul).ok_or("impossible size")?;
    let coding = header.coding()?;
    let big_endian = header.flag(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])? == Some(true);
    let storage = Storage { kind, count, coding, skip: 0, big_endian };
    let skip = header.numbers::<i64>(&["HeaderSize"], 1)?.map_or(0, |size| size[0]);

    let beside = header.data_beside(path)?;
    let voxels = || -> Result<(DType, Vec<u8>), String> {
        let (mut file, start) = match &beside {
            Some(beside) => (source::open(beside)?, 0),
            None => (source, header.length),
        };
        let start = match skip {
            0 => start,
            // Whatever comes before the voxels.
            -1 if coding == Coding::Raw => {
                let needed = count.checked_mul(kind.size()).ok_or("impossible size")?;
                source::most(&file, false).saturating_sub(needed as u64).max(start)
            }
            // From the beginning of the file, also where the header is in it.
            _ => match u64::try_from(skip) {
                Ok(skip) if skip >= start => skip,
                _ => return Err(format!("HeaderSize = {skip} is not supported here")),
            },
        };
        file.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
        voxels::read(file, &storage)
    };
    let (dtype, bytes) = voxels().map_err(|reason| match &beside {
        Some(beside) => format!("{}: {reason}", beside.display()),
        None => reason,
    })?;
    let bytes = voxels::planar(bytes, dtype.size(), [1, interleaved, geometry.voxels()]);
    let channels = interleaved * volumes;
    Ok(ImageFile { geometry, dtype, channels, bytes, slope: 1.0, intercept: 0.0, header: None, note: None })
}

/// The name of the file for the voxels that a header names.
pub fn raw_path(path: &Path) -> PathBuf {
    path.with_extension("raw")
}

/// Whether the name of the voxels' file means that file in a header, and neither several nor another.
pub fn can_name(path: &Path) -> bool {
    let raw = raw_path(path);
    let name = raw.file_name().unwrap_or_default().as_encoded_bytes();
    let special = name.iter().any(|&byte| byte == b'%' || byte.is_ascii_control());
    !special && !name.starts_with(b"LIST") && name == name.trim_ascii() && file_name(name).is_ok()
}

/// Writes a header, and the voxels beside it. Scaled images become floats, since the format has no scaling.
pub fn write(image: &ImageFile, outputs: &mut Outputs, path: &Path) -> Outcome<()> {
    if !image.is_unscaled() {
        return write(&image.to_f32(), outputs, path);
    }
    let header = header(image, path).map_err(|reason| Failure::write(path, reason))?;
    outputs.write(&raw_path(path), |file| file.write_all(&image.bytes))?;
    outputs.write(path, |file| file.write_all(&header))
}

fn header(image: &ImageFile, path: &Path) -> Result<Vec<u8>, String> {
    if image.channels != 1 {
        return Err("several channels don't go into one MetaImage".into());
    }
    let Some((kind, _)) = TYPES.iter().find(|(_, kind)| *kind == Stored::Library(image.dtype)) else {
        return Err(format!("MetaImage has no {:?}", image.dtype));
    };
    let raw = raw_path(path);
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
        "ElementDataFile = ".into(),
    ];
    let name = raw.file_name().unwrap_or_default().as_encoded_bytes();
    Ok([text.join("\n").as_bytes(), name, b"\n"].concat())
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

    /// A header of the voxels 1 to 8 with more lines than the usual ones, and what comes after it.
    fn read_local(lines: &str, data: &[u8]) -> Result<ImageFile, String> {
        let folder = Folder::new("metaimage-lines");
        let path = folder.file("image.mha");
        let usual = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_SHORT\n";
        let header = format!("{usual}{lines}\nElementDataFile = LOCAL\n");
        std::fs::write(&path, [header.as_bytes(), data].concat()).unwrap();
        read(&path)
    }

    fn voxels() -> Vec<u8> {
        (1..9_i16).flat_map(i16::to_le_bytes).collect()
    }

    fn zlib(contents: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(contents).unwrap();
        encoder.finish().unwrap()
    }

    /// What SimpleITK 2.5.7 reads from the same files, where it reads them right.
    #[test]
    fn voxels_are_never_misread() {
        let big: Vec<u8> = (1..9_i16).flat_map(i16::to_be_bytes).collect();
        let mut gzip = Vec::new();
        crate::gzip::write(&mut gzip, &voxels()).unwrap();
        let compressed = "BinaryData = True\nCompressedData = True";
        let cases: [(&str, Vec<u8>); 12] = [
            ("BinaryData = True", [voxels(), b"rest".to_vec()].concat()),
            ("BinaryData = False", b"1 2 3 4\n5 6 7 8\n".to_vec()),
            ("BinaryData = F", b"1 2 3 4 5 6 7 8 9".to_vec()),
            (&format!("{compressed}\nCompressedDataSize = 19"), zlib(&voxels())),
            (compressed, zlib(&voxels())),
            (compressed, zlib(&[voxels(), b"rest".to_vec()].concat())),
            (compressed, gzip),
            (&format!("{compressed}\nBinaryDataByteOrderMSB = True"), zlib(&big)),
            ("ElementByteOrderMSB = True", big),
            ("HeaderSize = -1", [b"abc".to_vec(), voxels()].concat()),
            ("HeaderSize = 113", [b"abc".to_vec(), voxels()].concat()),
            ("BinaryDataByteOrderMSB: False", voxels()),
        ];
        for (lines, data) in cases {
            let image = read_local(lines, &data).unwrap_or_else(|reason| panic!("{lines}: {reason}"));
            let values: Vec<f64> = image.values().collect();
            assert_eq!(values, (1..9).map(f64::from).collect::<Vec<_>>(), "{lines}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let reason = |lines: &str| read_local(lines, &voxels()).unwrap_err();
        assert!(reason("BinaryDataByteOrderMSB = False\nElementByteOrderMSB = True").contains("contradict"));
        assert!(reason("Offset = 1 2 3\nOrigin = 1 2 4").contains("contradict"));
        assert!(reason("BinaryData = False\nCompressedData = True").contains("contradict"));
        assert!(reason("BinaryData = maybe").contains("True or False"));
        assert!(reason("ObjectType = Tube").contains("Tube"));
        assert!(reason("ElementType = MET_LONG").contains("MET_LONG"));
        assert!(reason("NDims = 2\nDimSize = 4 2").contains("2 dimensions"));
        assert!(reason("NDims = 4").contains("4 numbers"));
        assert!(reason("HeaderSize = 4").contains("HeaderSize = 4"));
        assert!(reason("HeaderSize = -2").contains("HeaderSize = -2"));
        assert!(reason("HeaderSize = -1\nCompressedData = True").contains("HeaderSize = -1"));
        assert!(reason("BinaryData = False").contains("is no number"));
        assert!(reason("CompressedData = True").contains("damaged"));
        assert!(reason("ElementNumberOfChannels = 2").contains("truncated"));
    }

    #[test]
    fn grids_as_itk_reads_them() {
        let grid = |lines: &str| read_local(lines, &voxels()).unwrap().geometry;
        assert_eq!(grid("ElementSize = 2 3 4").spacing, [2.0, 3.0, 4.0]);
        assert_eq!(grid("ElementSize = 2 3 4\nElementSpacing = 5 6 7").spacing, [5.0, 6.0, 7.0]);
        assert_eq!(grid("Position = 2 3 4").origin, [2.0, 3.0, 4.0]);
        let turned = grid("Orientation = 0 1 0 0 0 1 1 0 0").direction;
        assert_eq!(turned, [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        let flipped = grid("ElementSpacing = -1 2 3");
        assert_eq!((flipped.spacing, flipped.direction[0][0]), ([1.0, 2.0, 3.0], -1.0));
    }

    #[test]
    fn series_and_interleaved_channels() {
        let series = "NDims = 4\nDimSize = 2 2 1 2\nElementSpacing = 5 6 7 8\nOffset = 1 2 3 4\n\
                      TransformMatrix = 0 1 0 0 1 0 0 0 0 0 1 0 0 0 0 1";
        let image = read_local(series, &voxels()).unwrap();
        assert_eq!((image.channels, image.geometry.shape), (2, [2, 2, 1]));
        assert_eq!((image.geometry.spacing, image.geometry.origin), ([5.0, 6.0, 7.0], [1.0, 2.0, 3.0]));
        assert_eq!(image.geometry.direction, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(image.values().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let image = read_local("DimSize = 2 2 1\nElementNumberOfChannels = 2", &voxels()).unwrap();
        assert_eq!(image.channels, 2);
        assert_eq!(image.values().collect::<Vec<_>>(), [1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0]);
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
        assert!(reason("DimSize = 2 2\nElementDataFile = a.raw\n").contains("2 dimensions"));
        let head = "DimSize = 2 2 2\nElementType = MET_SHORT\n";
        assert!(reason(&format!("{head}ElementDataFile = missing.raw\n")).contains("missing.raw"));
        assert!(reason(&format!("{head}ElementDataFile = LOCAL\nab")).contains("truncated"));
        for several in ["LIST", "LIST 2D\na.raw", "a%d.raw 1 2 1"] {
            assert!(reason(&format!("{head}ElementDataFile = {several}\n")).contains("several files"));
        }
        #[cfg(unix)]
        for device in ["/dev/zero", "../../../../../../dev/zero"] {
            let failure = reason(&format!("{head}ElementDataFile = {device}\n"));
            assert!(failure.contains(device) || failure.contains("No such file"), "{failure}");
        }
    }
}
