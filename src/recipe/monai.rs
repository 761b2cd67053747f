//! MONAI's changes of a grid.

/// The box of all intensities above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropForeground {
    /// Voxels added on both sides of each axis.
    pub margin: [u32; 3],
    /// Whether the margin ends at the image's border; else the box may reach beyond (the default from MONAI 1.5
    /// on).
    pub allow_smaller: bool,
    /// Each side of the box becomes a multiple of this; 0 and 1 leave it.
    pub k_divisible: [u32; 3],
}

/// `SpatialPad`: an image gets at least this shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpatialPad {
    /// The least shape; an axis stays where it is zero.
    pub shape: [usize; 3],
    /// Whether all padding comes after the image; else it is on both sides, the odd voxel after it.
    pub end: bool,
}

/// What MONAI's transforms that crop and pad by sizes make of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `SpatialPad`.
    AtLeast(SpatialPad),
    /// `DivisiblePad`: padded until each side is a multiple; an axis stays where the number is zero.
    Divisible {
        /// The numbers.
        k: [usize; 3],
        /// As in [`SpatialPad`].
        end: bool,
    },
    /// `BorderPad`: so many voxels are added.
    Border {
        /// Before the image.
        below: [usize; 3],
        /// After it.
        above: [usize; 3],
    },
    /// `CenterSpatialCrop`: at most this shape around the middle; an axis stays where it is zero.
    Center([usize; 3]),
    /// `SpatialCrop`: what lies between two corners.
    Part {
        /// The first voxel inside.
        start: [usize; 3],
        /// One beyond the last voxel inside.
        end: [usize; 3],
    },
}

/// `Resize`: the image gets another shape, whatever its spacing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// The shape.
    pub size: Size,
    /// How intensities are found.
    pub mode: ResizeMode,
}

/// The shape that an image is resized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// This one; an axis stays where it is zero.
    All([usize; 3]),
    /// The longest side gets this length, the others in proportion.
    Longest(usize),
}

/// PyTorch's ways to interpolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    /// Means of the voxels that an output covers.
    Area,
    /// The voxel below.
    Nearest,
    /// Linear along each axis.
    Linear {
        /// Whether the centres of the outermost voxels coincide; otherwise their outer faces do.
        align_corners: bool,
    },
}

/// What fills voxels beyond the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Padding {
    /// A number.
    Constant(f32),
    /// The border goes on.
    Edge,
    /// The smallest intensity of each line, one axis after the other: NumPy's mode `minimum`.
    Minimum,
}

/// Change of a grid's spacing with its axes kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Spacing {
    /// The new spacing; an axis keeps its own where this is `None` or not positive.
    pub pixdim: [Option<f64>; 3],
    /// An axis keeps its spacing from here on (up to `max_pixdim`); `None`: from `pixdim`.
    pub min_pixdim: [Option<f64>; 3],
    /// An axis keeps its spacing up to here; `None`: up to `pixdim`.
    pub max_pixdim: [Option<f64>; 3],
    /// Whether coordinates are normalised by the outermost voxels' centres (else by their faces).
    pub align_corners: bool,
    /// What lies beyond the image.
    pub outside: PaddingMode,
    /// Whether resampling is in single precision; MONAI's default is double precision.
    pub single: bool,
    /// Whether the image's axes are taken to be at right angles, as ITK leaves them when it reads a file; else
    /// rounding in a file counts as MONAI counts it.
    pub orthogonal: bool,
}

/// What lies beyond the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaddingMode {
    /// The image's border goes on.
    Border,
    /// Zeros.
    Zeros,
}
