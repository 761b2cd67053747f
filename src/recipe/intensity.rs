//! Changes of intensities.

/// How the intensities of a channel are brought to the scale that the network was trained on.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalization {
    /// Clip to [`lower`, `upper`], subtract `mean`, divide by `std`: all from the training images.
    Ct {
        /// The lowest intensity kept.
        lower: f32,
        /// The highest intensity kept.
        upper: f32,
        /// The mean intensity.
        mean: f32,
        /// The standard deviation.
        std: f32,
    },
    /// Subtract the image's own mean, divide by its own (population) standard deviation.
    ZScore {
        /// Only the voxels of the mask are measured and changed.
        masked: bool,
    },
    /// Leave the intensities as they are.
    None,
    /// Subtract the image's minimum, divide by the maximum of the rest.
    RescaleTo01,
    /// Divide by 255.
    RgbTo01,
}

/// A change of an image's intensities.
#[derive(Clone, Debug, PartialEq)]
pub enum MonaiIntensity {
    /// `ScaleIntensityRange`: one range is mapped to another.
    ScaleRange {
        /// `a_min`, `a_max`.
        from: [f64; 2],
        /// `b_min`, `b_max`; without both, `from` becomes 0 to 1.
        to: [Option<f64>; 2],
        /// Whether results are clipped to those of `to` that are given.
        clip: bool,
    },
    /// `ScaleIntensity` with a range: the image's own is mapped to it.
    Scale {
        /// `minv`, `maxv`; without both, the range becomes 0 to 1.
        to: [Option<f64>; 2],
        /// Whether each channel has its own range.
        channel_wise: bool,
    },
    /// `NormalizeIntensity`: less the mean, divided by the (population) standard deviation.
    Normalize {
        /// Whether only intensities that aren't zero are measured and changed.
        nonzero: bool,
        /// Whether each channel is measured by itself.
        channel_wise: bool,
        /// Used for the mean: one for each channel, or for all when not `channel_wise`.
        subtrahend: Option<Vec<f64>>,
        /// Used for the deviation, as the subtrahend.
        divisor: Option<Vec<f64>>,
    },
    /// `ScaleIntensity` with a factor and without a range: times so much.
    Times(f64),
    /// `ShiftIntensity`: so much is added.
    Shift(f64),
    /// `ScaleIntensityRangePercentiles`: the range between two percentiles of the image is mapped to another.
    ScalePercentiles {
        /// The percentiles, 0 to 100.
        from: [f64; 2],
        /// `b_min`, `b_max`; without both, the range becomes 0 to 1.
        to: [Option<f64>; 2],
        /// Whether results are clipped to those of `to` that are given.
        clip: bool,
        /// Whether each channel has its own percentiles.
        channel_wise: bool,
    },
    /// `ClipIntensityPercentiles`: what is beyond two percentiles of the image becomes these.
    ClipPercentiles {
        /// The percentiles, 0 to 100.
        bounds: [f64; 2],
        /// Whether each channel has its own percentiles.
        channel_wise: bool,
    },
    /// `ThresholdIntensity`: what isn't beyond a threshold becomes a number.
    Threshold {
        /// The threshold.
        threshold: f64,
        /// Whether what is above it stays; else what is below it.
        above: bool,
        /// What all else becomes.
        other: f64,
    },
    /// `AdjustContrast`: the share of the image's range that an intensity has is taken to a power.
    Contrast {
        /// The power.
        gamma: f64,
    },
    /// `GaussianSmooth` with its kernel by the error function.
    Smooth {
        /// Standard deviations along the axes, in voxels.
        sigma: [f64; 3],
    },
    /// `sigmoid(x)`.
    Sigmoid,
    /// `3 · tanh(x / 3)`.
    SoftClip,
    /// Less the minimum, divided by the sample standard deviation, both of all channels.
    ScaleByDeviation,
}

/// Intensities of one channel that a model was trained with: nearly all of them, of what it looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityRange {
    /// The lowest.
    pub lower: f32,
    /// The highest.
    pub upper: f32,
}
