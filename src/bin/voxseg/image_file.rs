//! An image as files hold it: voxels of their own type in the machine's byte order, axis 0 the fastest, on a
//! grid in the library's coordinates (LPS).

use std::path::Path;

use half::f16;
use voxseg::nifti::Reader;
use voxseg::volume::{DType, Geometry, Layout, Volume};

use crate::failure::{Failure, Outcome};
use crate::{metaimage, nifti};

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
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        match name {
            _ if name.ends_with(".nii.gz") => Some(Format::Nifti { compressed: true }),
            _ if name.ends_with(".nii") => Some(Format::Nifti { compressed: false }),
            _ if [".hdr", ".img", ".hdr.gz", ".img.gz"].iter().any(|end| name.ends_with(end)) => {
                Some(Format::NiftiPair)
            }
            _ if name.ends_with(".mhd") || name.ends_with(".mha") => Some(Format::MetaImage),
            _ => None,
        }
    }
}

/// Refuses names of results that can't be written, before work is spent on them.
pub fn check_name(path: &Path) -> Outcome<()> {
    let good = match Format::of(path) {
        Some(Format::Nifti { .. }) => true,
        Some(Format::MetaImage) => path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mhd")),
        Some(Format::NiftiPair) | None => false,
    };
    if !good {
        return Err(Failure::write(path, "the name must end with .nii, .nii.gz or .mhd"));
    }
    check_folder(path)
}

/// Refuses results in folders that don't exist.
pub fn check_folder(path: &Path) -> Outcome<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(Failure::write(path, "its folder doesn't exist"))
        }
        _ => Ok(()),
    }
}

impl ImageFile {
    /// Reads a file as ITK reads it.
    pub fn read(path: &Path) -> Outcome<Self> {
        Self::read_as(path, Reader::Itk)
    }

    /// Reads a file whose name ends with .nii, .nii.gz, .hdr, .img, .mhd or .mha; NIfTI headers as `reader` does.
    pub fn read_as(path: &Path, reader: Reader) -> Outcome<Self> {
        let image = match Format::of(path) {
            Some(Format::Nifti { .. } | Format::NiftiPair) => nifti::read(path, reader),
            Some(Format::MetaImage) => metaimage::read(path),
            None => Err("the name must end with .nii, .nii.gz, .hdr, .img, .mhd or .mha".into()),
        };
        let image = image.map_err(|reason| Failure::image(path, reason))?;
        image.geometry.check().map_err(|error| Failure::image(path, error))?;
        Ok(image)
    }

    /// Writes a file whose name ends with .nii, .nii.gz or .mhd (with a .raw beside it).
    pub fn write(&self, path: &Path) -> Outcome<()> {
        check_name(path)?;
        let written = match Format::of(path) {
            Some(Format::Nifti { compressed }) => nifti::write(self, path, compressed),
            _ => metaimage::write(self, path),
        };
        written.map_err(|reason| Failure::write(path, reason))
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
        let size = self.dtype.size();
        decoder(self.dtype)(&self.bytes[voxel * size..][..size]) * self.slope + self.intercept
    }

    /// The intensities of all channels.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        let (decode, slope, intercept) = (decoder(self.dtype), self.slope, self.intercept);
        let plain = self.is_unscaled();
        let intensity = move |stored: f64| if plain { stored } else { stored * slope + intercept };
        self.bytes.chunks_exact(self.dtype.size()).map(move |bytes| intensity(decode(bytes)))
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

/// Turns the bytes of one voxel into a number.
fn decoder(dtype: DType) -> fn(&[u8]) -> f64 {
    macro_rules! decode {
        ($type:ty) => {
            |bytes| <$type>::from_ne_bytes(std::array::from_fn(|n| bytes[n])).into()
        };
    }
    match dtype {
        DType::I8 => decode!(i8),
        DType::U8 => decode!(u8),
        DType::I16 => decode!(i16),
        DType::U16 => decode!(u16),
        DType::I32 => decode!(i32),
        DType::U32 => decode!(u32),
        DType::F16 => decode!(f16),
        DType::F32 => decode!(f32),
        DType::F64 => decode!(f64),
    }
}

/// Turns the byte order of values of `size` bytes around.
pub fn swap_bytes(bytes: &mut [u8], size: usize) {
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}

/// Whole numbers of 64 bits as the narrowest type of the library that holds them all.
pub fn narrowed(values: &[i128]) -> (DType, Vec<u8>) {
    let fits = |low: i128, high: i128| values.iter().all(|value| (low..=high).contains(value));
    if fits(i32::MIN.into(), i32::MAX.into()) {
        (DType::I32, values.iter().flat_map(|&value| (value as i32).to_ne_bytes()).collect())
    } else if fits(0, u32::MAX.into()) {
        (DType::U32, values.iter().flat_map(|&value| (value as u32).to_ne_bytes()).collect())
    } else {
        (DType::F64, values.iter().flat_map(|&value| (value as f64).to_ne_bytes()).collect())
    }
}

#[cfg(test)]
pub mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder for one test, gone after it.
    pub struct Folder(PathBuf);

    impl Folder {
        pub fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("voxseg-tool-{name}-{}", std::process::id()));
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

    /// An oblique image with every byte value in it.
    pub fn example(dtype: DType) -> ImageFile {
        let geometry = Geometry {
            shape: [3, 4, 5],
            spacing: [0.781_25, 1.5, 2.75],
            origin: [-120.25, 37.5, 1001.125],
            direction: [[0.0, 0.6, 0.8], [-1.0, 0.0, 0.0], [0.0, 0.8, -0.6]],
        };
        let bytes = (0..60 * dtype.size()).map(|n| (n * 37 % 63) as u8).collect();
        ImageFile {
            geometry,
            dtype,
            channels: 1,
            bytes,
            slope: 1.0,
            intercept: 0.0,
            header: None,
            note: None,
        }
    }

    #[test]
    fn names() {
        for good in ["a.nii", "a.1.5mm.NII.GZ", "./y.mhd"] {
            assert!(check_name(Path::new(good)).is_ok(), "{good}");
        }
        for bad in ["a.mha", "a.gz", "a", "a.png", "no/such/folder/a.nii"] {
            assert!(check_name(Path::new(bad)).is_err(), "{bad}");
        }
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

    #[test]
    fn sixty_four_bits_are_narrowed() {
        assert_eq!(narrowed(&[-1, 5]).0, DType::I32);
        assert_eq!(narrowed(&[0, 1 << 31]).0, DType::U32);
        assert_eq!(narrowed(&[0, 1 << 40]).0, DType::F64);
    }
}
