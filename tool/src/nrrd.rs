//! NRRD files, as 3D Slicer writes them (.nrrd, or .nhdr with the voxels in another file): read as ITK reads them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use voxseg::nifti::Stored;
use voxseg::volume::{DType, Geometry};

use crate::image_file::{ImageFile, file_name};
use crate::source;
use crate::voxels::{self, Coding, Storage};

/// The types, and all that the format calls them.
const TYPES: [(Stored, &[&str]); 10] = [
    (Stored::Library(DType::I8), &["signed char", "int8", "int8_t"]),
    (Stored::Library(DType::U8), &["uchar", "unsigned char", "uint8", "uint8_t"]),
    (
        Stored::Library(DType::I16),
        &["short", "short int", "signed short", "signed short int", "int16", "int16_t"],
    ),
    (Stored::Library(DType::U16), &["ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"]),
    (Stored::Library(DType::I32), &["int", "signed int", "int32", "int32_t"]),
    (Stored::Library(DType::U32), &["uint", "unsigned int", "uint32", "uint32_t"]),
    (
        Stored::I64,
        &[
            "longlong",
            "long long",
            "long long int",
            "signed long long",
            "signed long long int",
            "int64",
            "int64_t",
        ],
    ),
    (Stored::U64, &["ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"]),
    (Stored::Library(DType::F32), &["float"]),
    (Stored::Library(DType::F64), &["double"]),
];

/// Kinds of axes along which voxels lie; along all others lie the numbers of one voxel.
const DOMAIN: [&str; 5] = ["domain", "space", "time", "???", "none"];

/// The header's fields. Names are written small and without spaces, since both `data file` and `datafile` are usual.
struct Header(HashMap<String, Vec<u8>>);

impl Header {
    fn parse(source: &mut impl BufRead) -> Result<Self, String> {
        let magic = source::line(source)?.unwrap_or_default();
        if !magic.starts_with(b"NRRD000") {
            return Err("no NRRD header".into());
        }
        let mut fields = HashMap::new();
        while let Some(line) = source::line(source)?.filter(|line| !line.is_empty()) {
            if line.starts_with(b"#") {
                continue;
            }
            let split = line.iter().position(|&byte| byte == b':').ok_or_else(|| {
                format!("the header's line `{}` is no field", String::from_utf8_lossy(&line).trim())
            })?;
            // `key:=value` is a note of another program.
            if line.get(split + 1) != Some(&b'=') {
                let name = String::from_utf8_lossy(&line[..split]).to_ascii_lowercase();
                fields.insert(name.replace(' ', ""), line[split + 1..].trim_ascii().to_vec());
            }
        }
        Ok(Header(fields))
    }

    fn bytes(&self, names: &[&str]) -> Option<&[u8]> {
        names.iter().find_map(|&name| self.0.get(name)).map(Vec::as_slice)
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        self.bytes(names).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn required(&self, name: &str) -> Result<String, String> {
        self.text(&[name]).ok_or_else(|| format!("the header has no {name}"))
    }

    fn whole(&self, names: &[&str]) -> Result<i64, String> {
        let Some(text) = self.text(names) else { return Ok(0) };
        text.parse().map_err(|_| format!("{} is `{text}`, expected a number", names[0]))
    }

    fn kind(&self) -> Result<Stored, String> {
        let name = self.required("type")?;
        let known =
            TYPES.iter().find(|(_, names)| names.iter().any(|known| known.eq_ignore_ascii_case(&name)));
        known.map(|&(kind, _)| kind).ok_or_else(|| format!("voxels of type {name} are not supported"))
    }

    fn coding(&self) -> Result<Coding, String> {
        let name = self.required("encoding")?;
        match name.to_ascii_lowercase().as_str() {
            "raw" => Ok(Coding::Raw),
            "gz" | "gzip" => Ok(Coding::Gzip),
            "txt" | "text" | "ascii" => Ok(Coding::Text),
            _ => Err(format!("the encoding {name} is not supported, only raw, gzip and ascii are")),
        }
    }

    fn is_big_endian(&self, kind: Stored, coding: Coding) -> Result<bool, String> {
        match self.text(&["endian"]).map(|name| name.to_ascii_lowercase()).as_deref() {
            Some("big") => Ok(true),
            Some("little") => Ok(false),
            None if kind.size() == 1 || coding == Coding::Text => Ok(false),
            None => Err("the header has no endian".into()),
            Some(other) => Err(format!("endian is `{other}`, expected little or big")),
        }
    }

    fn axes(&self) -> Result<Axes, String> {
        let text = self.required("sizes")?;
        let sizes: Option<Vec<usize>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
        let sizes = sizes.ok_or_else(|| format!("sizes are `{text}`, expected whole numbers"))?;
        let dimension = self.required("dimension")?;
        if dimension.parse() != Ok(sizes.len()) {
            return Err(format!("dimension is {dimension}, but there are {} sizes", sizes.len()));
        }
        if sizes.len() != 3 && sizes.len() != 4 {
            return Err(format!("{dimension} dimensions, expected three, or four for several volumes"));
        }
        let per_axis = |words: Vec<String>, name: &str| match words.len() == sizes.len() {
            true => Ok(words),
            false => Err(format!("{} {name} for {} axes", words.len(), sizes.len())),
        };
        let words = |text: String| text.split_whitespace().map(str::to_ascii_lowercase).collect();
        let kinds = self.text(&["kinds"]).map(|text| per_axis(words(text), "kinds")).transpose()?;
        let steps = match self.text(&["spacedirections"]) {
            Some(text) => Some(per_axis(vectors(&text)?, "space directions")?),
            None => None,
        };
        let spacings = self.text(&["spacings"]).map(|text| per_axis(words(text), "spacings")).transpose()?;
        Ok(Axes { sizes, kinds, steps, spacings })
    }

    /// The file of the voxels, where it is another one than the header's.
    fn data_beside(&self, path: &Path) -> Result<Option<PathBuf>, String> {
        let Some(name) = self.bytes(&["datafile"]) else { return Ok(None) };
        if name.starts_with(b"LIST") || name.contains(&b'%') {
            return Err("voxels in several files are not supported".into());
        }
        Ok(Some(path.with_file_name(file_name(name)?)))
    }
}

/// The words and vectors of a field: `none (1,0,0)`.
fn vectors(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = match rest.starts_with('(') {
            true => rest.find(')').ok_or_else(|| format!("`{text}` has a vector without an end"))? + 1,
            false => rest.find([' ', '(']).unwrap_or(rest.len()),
        };
        found.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(found)
}

/// The three numbers of `(1,0,0)`.
fn vector(text: &str) -> Result<[f64; 3], String> {
    let inner = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or_default();
    let numbers: Option<Vec<f64>> = inner.split(',').map(|number| number.trim().parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| format!("`{text}`, expected a vector of three numbers"))
}

/// What the header says of each axis.
struct Axes {
    sizes: Vec<usize>,
    kinds: Option<Vec<String>>,
    steps: Option<Vec<String>>,
    spacings: Option<Vec<String>>,
}

impl Axes {
    /// The axis that isn't one of space. Without a word about it the last one, as in a series.
    fn channels(&self) -> Result<Option<usize>, String> {
        let by_step = |axis: usize| self.steps.as_ref().is_some_and(|steps| steps[axis] == "none");
        let by_kind =
            |axis: usize| self.kinds.as_ref().is_some_and(|kinds| !DOMAIN.contains(&kinds[axis].as_str()));
        let found: Vec<usize> =
            (0..self.sizes.len()).filter(|&axis| by_step(axis) || by_kind(axis)).collect();
        match (self.sizes.len(), found.as_slice()) {
            (3, []) => Ok(None),
            (4, []) if self.steps.is_none() => Ok(Some(3)),
            (4, &[axis]) => Ok(Some(axis)),
            (count, _) => {
                Err(format!("{} of {count} axes are in space, expected three", count - found.len()))
            }
        }
    }

    /// The grid of the axes other than `channels`, without its place.
    fn grid(&self, channels: Option<usize>) -> Result<Geometry, String> {
        let axes: Vec<usize> = (0..self.sizes.len()).filter(|&axis| Some(axis) != channels).collect();
        let mut geometry = Geometry::with_shape(std::array::from_fn(|n| self.sizes[axes[n]]));
        for (n, &axis) in axes.iter().enumerate() {
            if let Some(steps) = &self.steps {
                let step = vector(&steps[axis])?;
                let length = step.iter().map(|value| value * value).sum::<f64>().sqrt();
                geometry.spacing[n] = length;
                (0..3).for_each(|row| geometry.direction[row][n] = step[row] / length);
            } else if let Some(spacings) = &self.spacings {
                let spacing: f64 = spacings[axis]
                    .parse()
                    .map_err(|_| format!("a spacing of `{}`, expected a number", spacings[axis]))?;
                // NaN is how the format says that it isn't known.
                geometry.spacing[n] = if spacing.is_nan() { 1.0 } else { spacing };
            }
        }
        Ok(geometry)
    }
}

/// Brings a grid to LPS. Other spaces than the three that have names for the patient's sides are taken for LPS, as ITK
/// takes them.
fn to_lps(geometry: &mut Geometry, space: &str) {
    let flipped: &[usize] = match space.to_ascii_lowercase().as_str() {
        "right-anterior-superior" | "ras" => &[0, 1],
        "left-anterior-superior" | "las" => &[1],
        _ => &[],
    };
    for &row in flipped {
        // Subtracting keeps zeros positive.
        geometry.origin[row] = 0.0 - geometry.origin[row];
        geometry.direction[row] = geometry.direction[row].map(|value| 0.0 - value);
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
    let (kind, coding, axes) = (header.kind()?, header.coding()?, header.axes()?);
    let channel_axis = axes.channels()?;
    let mut geometry = axes.grid(channel_axis)?;
    if header.bytes(&["axismins", "axismaxs"]).is_some() && axes.steps.is_none() {
        return Err("a place by axis mins or maxs is not supported, expected space directions".into());
    }
    if let Some(origin) = header.text(&["spaceorigin"]) {
        geometry.origin = vector(&origin)?;
    }
    to_lps(&mut geometry, &header.text(&["space"]).unwrap_or_default());
    let count =
        axes.sizes.iter().try_fold(1, |count: usize, &n| count.checked_mul(n)).ok_or("impossible size")?;
    let big_endian = header.is_big_endian(kind, coding)?;
    let mut storage = Storage { kind, count, coding, skip: 0, big_endian };

    let beside = header.data_beside(path)?;
    let voxels = || -> Result<(DType, Vec<u8>), String> {
        let mut file = match &beside {
            Some(beside) => source::open(beside)?,
            None => source,
        };
        storage.skip = skip(&mut file, &header, &storage)?;
        voxels::read(file, &storage)
    };
    let (dtype, bytes) = voxels().map_err(|reason| match &beside {
        Some(beside) => format!("{}: {reason}", beside.display()),
        None => reason,
    })?;
    let (channels, bytes) = match channel_axis {
        None => (1, bytes),
        Some(axis) => {
            let (inner, outer) =
                (axes.sizes[..axis].iter().product(), axes.sizes[axis + 1..].iter().product());
            (axes.sizes[axis], voxels::planar(bytes, dtype.size(), [inner, axes.sizes[axis], outer]))
        }
    };
    Ok(ImageFile { geometry, dtype, channels, bytes, slope: 1.0, intercept: 0.0, header: None, note: None })
}

/// Passes the lines that the header says to skip, and tells how many bytes come after them, which are counted after
/// decompression.
fn skip(file: &mut BufReader<File>, header: &Header, storage: &Storage) -> Result<u64, String> {
    for _ in 0..header.whole(&["lineskip"])? {
        if source::line(file)?.is_none() {
            break;
        }
    }
    match (header.whole(&["byteskip"])?, storage.coding) {
        // Whatever comes before the voxels.
        (-1, Coding::Raw) => {
            let needed = storage.count.checked_mul(storage.kind.size()).ok_or("impossible size")?;
            let start = source::most(file, false).saturating_sub(needed as u64);
            file.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
            Ok(0)
        }
        (0, _) => Ok(0),
        (skip, Coding::Raw | Coding::Gzip) if skip > 0 => Ok(skip as u64),
        (skip, _) => Err(format!("byte skip is {skip}, which is not supported here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gzip;
    use crate::image_file::tests::Folder;

    type Fields<'a> = &'a [(&'a str, &'a str)];

    /// A header of eight voxels with other fields than the usual ones, and the voxels 1 to 8.
    fn file(fields: Fields) -> Vec<u8> {
        let usual = [
            ("type", "short"),
            ("dimension", "3"),
            ("sizes", "2 2 2"),
            ("endian", "little"),
            ("encoding", "raw"),
        ];
        let mut text = "NRRD0004\n# a comment\nnote:=a: b\n".to_owned();
        let is_other = |name: &str| fields.iter().any(|(other, _)| *other == name);
        for (name, value) in usual.iter().filter(|(name, _)| !is_other(name)).chain(fields) {
            if !value.is_empty() {
                text += &format!("{name}: {value}\n");
            }
        }
        text += "\n";
        text.into_bytes()
    }

    fn voxels() -> Vec<u8> {
        (1..9_i16).flat_map(i16::to_le_bytes).collect()
    }

    fn read_bytes(bytes: Vec<u8>) -> Result<ImageFile, String> {
        let folder = Folder::new("nrrd");
        let path = folder.file("image.nrrd");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn values(image: &ImageFile) -> Vec<f64> {
        image.values().collect()
    }

    const PLACE: [(&str, &str); 2] =
        [("space directions", "(0,3,0) ( 2, 0,0)   (0,0,-4)"), ("space origin", "(1,2,3)")];

    /// What SimpleITK 2.5.7 says of the same files.
    #[test]
    fn spaces_are_brought_to_lps() {
        let cases = [
            (
                "left-posterior-superior",
                [1.0, 2.0, 3.0],
                [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
            ),
            ("LPS", [1.0, 2.0, 3.0], [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
            (
                "right-anterior-superior",
                [-1.0, -2.0, 3.0],
                [[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
            ),
            (
                "left-anterior-superior",
                [1.0, -2.0, 3.0],
                [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]],
            ),
            ("scanner-xyz", [1.0, 2.0, 3.0], [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]),
        ];
        for (space, origin, direction) in cases {
            let fields = [("space", space), PLACE[0], PLACE[1]];
            let image = read_bytes([file(&fields), voxels()].concat()).unwrap();
            let expected = Geometry { shape: [2; 3], spacing: [3.0, 2.0, 4.0], origin, direction };
            assert_eq!(image.geometry, expected, "{space}");
        }
        let image = read_bytes([file(&[("spacings", "2 nan 4")]), voxels()].concat()).unwrap();
        assert_eq!(image.geometry, Geometry { spacing: [2.0, 1.0, 4.0], ..Geometry::with_shape([2; 3]) });
    }

    #[test]
    fn each_encoding_gives_the_same_voxels() {
        let expected: Vec<f64> = (1..9).map(f64::from).collect();
        let mut zipped = Vec::new();
        gzip::write(&mut zipped, &[b"abc".to_vec(), voxels()].concat()).unwrap();
        let big = (1..9_i16).flat_map(i16::to_be_bytes).collect();
        let cases: [(Fields, Vec<u8>); 8] = [
            (&[], [voxels(), b"rest".to_vec()].concat()),
            (&[("Encoding", "GZIP"), ("encoding", ""), ("byte skip", "3")], zipped.clone()),
            (
                &[("encoding", "gz"), ("line skip", "1"), ("byteskip", "3")],
                [b"a line\n".to_vec(), zipped].concat(),
            ),
            (&[("encoding", "ascii"), ("endian", "")], b"1 2 3\n4 5 6 7 8\n".to_vec()),
            (&[("endian", "big")], big),
            (&[("byte skip", "-1")], [b"abc".to_vec(), voxels()].concat()),
            (&[("line skip", "1"), ("byte skip", "2")], [b"line\nab".to_vec(), voxels()].concat()),
            (&[("type", "Signed Short"), ("thicknesses", "2 2 2"), ("kinds", "domain space ???")], voxels()),
        ];
        for (fields, data) in cases {
            let image = read_bytes([file(fields), data].concat()).unwrap();
            assert_eq!((image.channels, values(&image)), (1, expected.clone()), "{fields:?}");
        }
        let windows = String::from_utf8(file(&[])).unwrap().replace('\n', "\r\n");
        assert_eq!(values(&read_bytes([windows.into_bytes(), voxels()].concat()).unwrap()), expected);
    }

    #[test]
    fn several_volumes_lie_along_any_axis() {
        let planar: Vec<f64> = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let interleaved: Vec<f64> = vec![1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0];
        let four = [("dimension", "4"), ("space", "LPS")];
        let cases = [
            ("2 2 2 1", "none (0,3,0) (2,0,0) (0,0,4)", "list domain domain domain", &interleaved),
            ("2 2 1 2", "(0,3,0) (2,0,0) (0,0,4) none", "domain domain domain list", &planar),
            ("2 2 1 2", "(0,3,0) (2,0,0) (0,0,4) none", "", &planar),
            ("2 2 2 1", "", "vector domain domain domain", &interleaved),
            ("2 2 1 2", "", "domain domain domain time", &planar),
            ("2 2 1 2", "", "", &planar),
        ];
        for (sizes, steps, kinds, expected) in cases {
            let fields =
                [&four[..], &[("sizes", sizes), ("space directions", steps), ("kinds", kinds)]].concat();
            let image = read_bytes([file(&fields), voxels()].concat()).unwrap();
            assert_eq!((image.geometry.shape, image.channels), ([2, 2, 1], 2));
            assert_eq!(&values(&image), expected, "{fields:?}");
        }
    }

    #[test]
    fn voxels_in_another_file() {
        let folder = Folder::new("nrrd-beside");
        let (path, data) = (folder.file("image.nhdr"), folder.file("voxels of it.raw"));
        let mut header = file(&[("data file", "./voxels of it.raw")]);
        header.pop();
        std::fs::write(&path, header).unwrap();
        std::fs::write(&data, voxels()).unwrap();
        assert_eq!(values(&read(&path).unwrap()), (1..9).map(f64::from).collect::<Vec<_>>());
        assert_eq!(data_file(&path), Some(folder.file("./voxels of it.raw")));
        std::fs::remove_file(&data).unwrap();
        assert!(read(&path).unwrap_err().contains("voxels of it.raw"));
    }

    #[test]
    fn what_is_not_read_says_why() {
        let reason =
            |fields: Fields, data: &[u8]| read_bytes([file(fields), data.to_vec()].concat()).unwrap_err();
        let all = voxels();
        assert!(read_bytes(b"nonsense".to_vec()).unwrap_err().contains("no NRRD"));
        assert!(reason(&[], &all[1..]).contains("truncated"));
        assert!(reason(&[("endian", "")], &all).contains("endian"));
        assert!(reason(&[("type", "block")], &all).contains("block"));
        assert!(reason(&[("encoding", "bzip2")], &all).contains("bzip2"));
        assert!(reason(&[("encoding", "hex")], &all).contains("hex"));
        assert!(reason(&[("encoding", "gzip")], &all).contains("damaged"));
        assert!(reason(&[("sizes", "")], &all).contains("sizes"));
        assert!(reason(&[("sizes", "2 2")], &all).contains("dimension"));
        assert!(reason(&[("dimension", "2"), ("sizes", "4 2")], &all).contains("2 dimensions"));
        assert!(reason(&[("sizes", "9 9 9999999999999999999")], &all).contains("impossible"));
        assert!(reason(&[("axis mins", "1 2 3")], &all).contains("axis mins"));
        assert!(reason(&[("data file", "a%d.raw 1 2 1")], &all).contains("several files"));
        assert!(reason(&[("data file", "/dev/zero")], &all).contains("expected a file"));
        assert!(reason(&[("kinds", "list domain domain")], &all).contains("2 of 3 axes"));
        assert!(reason(&[("space directions", "(0,3,0) (2,0,0)")], &all).contains("2 space directions"));
        assert!(reason(&[("space directions", "(0,3) (2,0,0) (0,0,1)")], &all).contains("three numbers"));
        let time = [("dimension", "4"), ("sizes", "2 2 1 2"), ("kinds", "domain domain domain domain")];
        let placed = [&time[..], &[("space directions", "(1,0,0) (0,1,0) (0,0,1) (0,0,0)")]].concat();
        assert!(reason(&placed, &all).contains("4 of 4 axes"));
    }
}
