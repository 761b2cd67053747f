//! An image as files hold it: voxels of their own type in the machine's byte order, axis 0 the fastest, on a
//! grid in the library's coordinates (LPS).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use voxseg::nifti::Reader;
use voxseg::volume::{DType, Geometry, Layout, Volume};

use crate::failure::{Failure, Outcome};
use crate::output::Outputs;
use crate::{metaimage, nifti, nrrd, source, warnings};

/// One image, or several channels on one grid.
#[derive(Clone, Debug)]
pub struct ImageFile {
    /// The grid.
    pub geometry: Geometry,
    /// Type of the voxels.
    pub dtype: DType,
    /// Number of channels.
    pub channels: usize,
    /// The voxels, one channel after the other.
    pub bytes: Vec<u8>,
    /// Intensity = stored value · slope + intercept.
    pub slope: f64,
    /// See `slope`.
    pub intercept: f64,
    /// The header of a NIfTI file, for files that shall look like it.
    pub header: Option<nifti::Header>,
    /// What the file's header contradicts itself in, in one line.
    pub note: Option<String>,
}

/// The formats, by the ends of file names.
enum Format {
    Nifti {
        compressed: bool,
    },
    /// Only read.
    NiftiPair,
    MetaImage,
    Nrrd,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        const ENDS: [(&[u8], Format); 10] = [
            (b".nii.gz", Format::Nifti { compressed: true }),
            (b".nii", Format::Nifti { compressed: false }),
            (b".hdr", Format::NiftiPair),
            (b".img", Format::NiftiPair),
            (b".hdr.gz", Format::NiftiPair),
            (b".img.gz", Format::NiftiPair),
            (b".mhd", Format::MetaImage),
            (b".mha", Format::MetaImage),
            (b".nrrd", Format::Nrrd),
            (b".nhdr", Format::Nrrd),
        ];
        let name = path.file_name()?.as_encoded_bytes().to_ascii_lowercase();
        ENDS.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| format)
    }
}

const READ_ENDS: &str = "the name must end with .nii, .nii.gz, .hdr, .img, .mhd, .mha, .nrrd or .nhdr";
const WRITE_ENDS: &str = "the name must end with .nii, .nii.gz or .mhd";

/// The name of a file from the bytes of it in another file.
pub fn file_name(bytes: &[u8]) -> Result<OsString, String> {
    #[cfg(unix)]
    let name = Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec()));
    #[cfg(not(unix))]
    let name = String::from_utf8(bytes.to_vec()).map(Into::into).map_err(|error| error.to_string());
    name
}

/// Refuses what is no file of a format that is read, before work is spent on others.
pub fn check_readable(path: &Path) -> Outcome<()> {
    let checked = match Format::of(path) {
        Some(_) => source::open(path).map(drop),
        None => Err(READ_ENDS.into()),
    };
    checked.map_err(|reason| Failure::image(path, reason))
}

/// Whether a file is a NIfTI file, by its name.
pub fn is_nifti(path: &Path) -> bool {
    matches!(Format::of(path), Some(Format::Nifti { .. } | Format::NiftiPair))
}

/// The files that an image is made of.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let beside = match Format::of(path) {
        Some(Format::MetaImage) => metaimage::data_file(path),
        Some(Format::Nrrd) => nrrd::data_file(path),
        Some(Format::NiftiPair) => nifti::data_file(path),
        _ => None,
    };
    std::iter::once(path.into()).chain(beside).collect()
}

/// Opens what an image will be written to: a file whose name ends with .nii, .nii.gz or .mhd (with a .raw beside it).
pub fn open_output(outputs: &mut Outputs, path: &Path) -> Outcome<()> {
    match Format::of(path) {
        Some(Format::Nifti { .. }) => outputs.open(path),
        Some(Format::MetaImage) if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mhd")) => {
            if !metaimage::can_name(path) {
                return Err(Failure::write(
                    path,
                    "a .mhd file can't name a file of voxels that is called so",
                ));
            }
            outputs.open(&metaimage::raw_path(path))?;
            outputs.open(path)
        }
        _ => Err(Failure::write(path, WRITE_ENDS)),
    }
}

impl ImageFile {
    /// Reads a file as ITK reads it. What its header contradicts itself in is a warning.
    pub fn read(path: &Path) -> Outcome<Self> {
        let image = Self::read_as(path, Reader::Itk)?;
        if let Some(note) = &image.note {
            warnings::say(&format!("{}: {note}", path.display()));
        }
        Ok(image)
    }

    /// Reads a file of any of the formats; headers of NIfTI files as `reader` does.
    pub fn read_as(path: &Path, reader: Reader) -> Outcome<Self> {
        let image = match Format::of(path) {
            Some(Format::Nifti { .. } | Format::NiftiPair) => nifti::read(path, reader),
            Some(Format::MetaImage) => metaimage::read(path),
            Some(Format::Nrrd) => nrrd::read(path),
            None => Err(READ_ENDS.into()),
        };
        let image = image.map_err(|reason| Failure::image(path, reason))?;
        image.geometry.check().map_err(|error| Failure::image(path, error))?;
        Ok(image)
    }

    /// Writes to what [`open_output`] opened.
    pub fn write_to(&self, outputs: &mut Outputs, path: &Path) -> Outcome<()> {
        match Format::of(path) {
            Some(Format::Nifti { compressed }) => nifti::write(self, outputs, path, compressed),
            Some(Format::MetaImage) => metaimage::write(self, outputs, path),
            _ => Err(Failure::write(path, WRITE_ENDS)),
        }
    }

    /// An image of one channel on this grid, without scaling.
    pub fn sibling(&self, dtype: DType, bytes: Vec<u8>) -> Self {
        let (geometry, header) = (self.geometry.clone(), self.header.clone());
        ImageFile { geometry, dtype, channels: 1, bytes, slope: 1.0, intercept: 0.0, header, note: None }
    }

    /// As a pattern for results on another grid, which have no header to look like.
    pub fn on_grid(&self, grid: &Geometry) -> Self {
        let header = self.header.clone().filter(|_| *grid == self.geometry);
        ImageFile { geometry: grid.clone(), header, bytes: Vec::new(), note: None, ..*self }
    }

    /// One channel as an image of its own.
    pub fn only(mut self, channel: usize) -> Self {
        let size = self.geometry.voxels() * self.dtype.size();
        self.bytes.truncate((channel + 1) * size);
        self.bytes.drain(..channel * size);
        self.bytes.shrink_to_fit();
        self.channels = 1;
        self
    }

    /// The voxels of a channel.
    pub fn channel(&self, channel: usize) -> &[u8] {
        let size = self.geometry.voxels() * self.dtype.size();
        &self.bytes[channel * size..][..size]
    }

    /// How each channel lies in its bytes.
    pub fn layout(&self) -> Layout {
        Layout::dense(self.geometry.shape, self.dtype)
    }

    /// The image as the library takes it.
    pub fn volume(&self) -> Outcome<Volume<'_>> {
        let channels = (0..self.channels).map(|channel| self.channel(channel)).collect();
        let volume = Volume::new(self.geometry.clone(), self.dtype, self.layout(), channels)?;
        Ok(volume.with_scaling(self.slope, self.intercept)?)
    }

    /// The same label map in an integer type without scaling, as the library takes them.
    pub fn label_map(&self, path: &Path) -> Outcome<Self> {
        let bytes = self.labels(path)?.into_iter().flat_map(u32::to_ne_bytes).collect();
        Ok(self.sibling(DType::U32, bytes))
    }

    /// Whether stored values are intensities.
    pub fn is_unscaled(&self) -> bool {
        self.slope == 1.0 && self.intercept == 0.0
    }

    /// The intensity of a voxel of the first channel.
    pub fn value(&self, voxel: usize) -> f64 {
        let first = &self.bytes[voxel * self.dtype.size()..];
        let stored = self.dtype.numbers(first).next().expect("the voxel is whole");
        stored * self.slope + self.intercept
    }

    /// The intensities of all channels.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        let (slope, intercept) = (self.slope, self.intercept);
        let plain = self.is_unscaled();
        let intensity = move |stored: f64| if plain { stored } else { stored * slope + intercept };
        self.dtype.numbers(&self.bytes).map(intensity)
    }

    /// The same intensities without scaling, as f32.
    pub fn to_f32(&self) -> Self {
        let bytes = self.values().flat_map(|value| (value as f32).to_ne_bytes()).collect();
        ImageFile { dtype: DType::F32, bytes, slope: 1.0, intercept: 0.0, ..self.clone() }
    }

    /// The values of a label map.
    pub fn labels(&self, path: &Path) -> Outcome<Vec<u32>> {
        if self.channels != 1 {
            return Err(Failure::image(path, format!("{} channels, expected a label map", self.channels)));
        }
        let label = |value: f64| {
            let whole = value as u32;
            if f64::from(whole) == value { Ok(whole) } else { Err(value) }
        };
        let labels: Result<Vec<u32>, f64> = self.values().map(label).collect();
        labels.map_err(|value| Failure::image(path, format!("holds {value}, so it is no label map")))
    }

    /// How this grid differs from another: nothing when shapes are equal and the rest is within 1e-3.
    pub fn grid_difference(&self, other: &ImageFile) -> Option<String> {
        const TOLERANCE: f64 = 1e-3;
        let (mine, theirs) = (&self.geometry, &other.geometry);
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= TOLERANCE);
        let flat = |geometry: &Geometry| geometry.direction.as_flattened().to_vec();
        if mine.shape != theirs.shape {
            Some(format!("shape {:?} instead of {:?}", mine.shape, theirs.shape))
        } else if !near(&mine.spacing, &theirs.spacing) {
            Some(format!("spacing {:?} instead of {:?}", mine.spacing, theirs.spacing))
        } else if !near(&mine.origin, &theirs.origin) {
            Some(format!("origin {:?} instead of {:?}", mine.origin, theirs.origin))
        } else if !near(&flat(mine), &flat(theirs)) {
            Some(format!("direction {:?} instead of {:?}", mine.direction, theirs.direction))
        } else {
            None
        }
    }
}

#[cfg(test)]
pub mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    impl ImageFile {
        /// Writes one file.
        pub fn write(&self, path: &Path) -> Outcome<()> {
            let mut outputs = Outputs::default();
            open_output(&mut outputs, path)?;
            self.write_to(&mut outputs, path)?;
            outputs.commit()
        }
    }

    /// A folder of one's own, gone after use.
    pub struct Folder(PathBuf);

    impl Folder {
        pub fn new(name: &str) -> Self {
            // Tests that share a helper run at the same time.
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(format!("voxseg-tool-{name}-{process}-{count}"));
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        pub fn file(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// All types that files can have.
    pub const STORED: [DType; 8] =
        [DType::I8, DType::U8, DType::I16, DType::U16, DType::I32, DType::U32, DType::F32, DType::F64];

    /// An image of one channel without scaling.
    pub fn plain(geometry: Geometry, dtype: DType, bytes: Vec<u8>) -> ImageFile {
        let (slope, intercept) = (1.0, 0.0);
        ImageFile { geometry, dtype, channels: 1, bytes, slope, intercept, header: None, note: None }
    }

    /// An oblique image with every byte value in it.
    pub fn example(dtype: DType) -> ImageFile {
        let geometry = Geometry {
            shape: [3, 4, 5],
            spacing: [0.781_25, 1.5, 2.75],
            origin: [-120.25, 37.5, 1001.125],
            direction: [[0.0, 0.6, 0.8], [-1.0, 0.0, 0.0], [0.0, 0.8, -0.6]],
        };
        let bytes = (0..60 * dtype.size()).map(|n| (n * 37 % 63) as u8).collect();
        plain(geometry, dtype, bytes)
    }

    #[test]
    fn names() {
        let folder = Folder::new("names");
        let open = |name: &str| open_output(&mut Outputs::default(), &folder.file(name));
        for good in ["a.nii", "a.1.5mm.NII.GZ", "./y.mhd", "100%.nii"] {
            assert!(open(good).is_ok(), "{good}");
        }
        let several = ["100%.mhd", "LIST.mhd", " a.mhd", "a\n.mhd"];
        for bad in ["a.mha", "a.gz", "a", "a.png", "a.nrrd", "no/such/folder/a.nii"].iter().chain(&several) {
            assert!(open(bad).is_err(), "{bad}");
        }
        assert!(check_readable(Path::new("a.png")).unwrap_err().to_string().contains("must end"));
    }

    /// File names are bytes on Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn names_of_any_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let folder = Folder::new("bytes");
        for end in [&b".nii.gz"[..], b".mhd"] {
            let name = [b"l\xe4bel", end].concat();
            let path = folder.file("").join(std::ffi::OsStr::from_bytes(&name));
            example(DType::I16).write(&path).unwrap();
            assert_eq!(ImageFile::read(&path).unwrap().bytes, example(DType::I16).bytes);
        }
        let raw = folder.file("").join(std::ffi::OsStr::from_bytes(b"l\xe4bel.raw"));
        assert!(raw.exists());
        let header = folder.file("").join(std::ffi::OsStr::from_bytes(b"l\xe4bel.mhd"));
        assert_eq!(files(&header), [header, raw]);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = Folder::new("pipes");
        for name in ["a.nii", "a.nii.gz", "a.mhd", "a.mha", "a.nrrd"] {
            let pipe = folder.file(name);
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            let failure = ImageFile::read(&pipe).unwrap_err().to_string();
            assert!(failure.contains("it is a pipe"), "{failure}");
            std::fs::remove_file(&pipe).unwrap();
            std::os::unix::fs::symlink("/dev/zero", &pipe).unwrap();
            assert!(ImageFile::read(&pipe).is_err());
            std::fs::remove_file(&pipe).unwrap();
            std::fs::create_dir(&pipe).unwrap();
            assert!(ImageFile::read(&pipe).unwrap_err().to_string().contains("is a folder"));
        }
    }

    /// A small file that holds a gigabyte of zeros after its voxels.
    #[test]
    fn no_more_is_inflated_than_the_header_asks_for() {
        let folder = Folder::new("bomb");
        let path = folder.file("bomb.nii.gz");
        let plain = folder.file("image.nii");
        example(DType::I16).write(&plain).unwrap();
        let mut file = std::fs::File::create(&path).unwrap();
        crate::gzip::write(&mut file, &std::fs::read(&plain).unwrap()).unwrap();
        let mut zeros = Vec::new();
        crate::gzip::write(&mut zeros, &vec![0; 1 << 24]).unwrap();
        (0..64).for_each(|_| Write::write_all(&mut file, &zeros).unwrap());
        // What comes after the voxels isn't looked at, so its damage isn't seen.
        Write::write_all(&mut file, &[0x1f, 0x8b, 8, 0xff, 0xff]).unwrap();
        assert_eq!(ImageFile::read(&path).unwrap().bytes, example(DType::I16).bytes);
    }

    #[test]
    fn a_truncated_or_damaged_gzip_file_is_named_so() {
        let folder = Folder::new("truncated");
        let path = folder.file("image.nii.gz");
        example(DType::I16).write(&path).unwrap();
        let file = std::fs::read(&path).unwrap();
        let reason = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            ImageFile::read(&path).unwrap_err().to_string()
        };
        for length in [12, file.len() / 2, file.len() - 9, file.len() - 1] {
            assert!(reason(&file[..length]).contains("end too early"), "{length}");
        }
        let mut damaged = file.clone();
        damaged[file.len() - 8] ^= 1;
        assert!(reason(&damaged).contains("damaged"));
    }

    /// Files after public bug reports that hold the voxels of another one in other ways.
    #[test]
    fn formats_of_the_reference_hold_the_same_voxels() {
        let Some(folder) = voxseg_reference::path("bugs/images") else { return };
        let read = |name: &str| ImageFile::read(&folder.join(name)).unwrap();
        let binary = read("small_binary.mha");
        for name in ["small_text.mha", "small_compressed.mha", "small.nrrd"] {
            let other = read(name);
            assert_eq!(other.geometry, binary.geometry, "{name}");
            assert_eq!((other.dtype, other.channels, &other.bytes), (DType::I16, 1, &binary.bytes), "{name}");
        }
        let (plain, series) = (read("plain.nii.gz"), read("three_time_points.nii.gz"));
        assert_eq!(series.channels, 3);
        assert_eq!(series.only(0).bytes, plain.bytes);
    }

    #[test]
    fn values_are_scaled() {
        let mut image = example(DType::I16);
        image.bytes = (0..60_i16).flat_map(|n| (n - 30).to_ne_bytes()).collect();
        (image.slope, image.intercept) = (2.0, -1000.0);
        assert_eq!(image.values().next(), Some(-1060.0));
        let float = image.to_f32();
        assert_eq!(float.values().collect::<Vec<_>>(), image.values().collect::<Vec<_>>());
        assert!(image.labels(Path::new("a")).is_err());
    }
}
