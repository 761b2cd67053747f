//! A bundle's preprocessing, transform by transform, as steps of a recipe.

mod inputs;
mod intensity;
mod shape;
mod transform;

use super::config::{Component, Value};
use crate::error::{Error, Result};
use crate::nifti;
use crate::recipe::{Frame, MonaiIntensity, Prompting, Size, Step};
use inputs::Inputs;
use transform::Reader;

/// Transforms that load an image, or change how it is held and not what it is.
const HARMLESS: [&str; 14] = [
    "LoadImage",
    "EnsureChannelFirst",
    "AddChannel",
    "EnsureType",
    "ToTensor",
    "ToDevice",
    "SelectItems",
    "DeleteItems",
    "SimulateDelay",
    "Identity",
    // VISTA3D's, which changes what is asked for, and DeepEdit's, which change where clicks are.
    "VistaPreTransform",
    "OrientationGuidanceMultipleLabelDeepEdit",
    "AddGuidanceFromPointsDeepEdit",
    "ResizeGuidanceMultipleLabelDeepEdit",
];

/// Labels that can be clicked.
const MOST_CLICKED: usize = 255;

/// Those that change something, for error texts.
const KNOWN: &str = "LoadImage, EnsureChannelFirst, EnsureType, CastToType, ConcatItems, Orientation, Spacing, Resize, \
                     Flip, Rotate90, Transpose, CropForeground, CenterSpatialCrop, SpatialCrop, SpatialPad, DivisiblePad, \
                     BorderPad, ResizeWithPadOrCrop, ScaleIntensity, ScaleIntensityRange, ScaleIntensityRangePercentiles, \
                     ClipIntensityPercentiles, ThresholdIntensity, AdjustContrast, ShiftIntensity, NormalizeIntensity and \
                     GaussianSmooth";

/// A transform's name without the ending that it has when it works on dictionaries.
pub(super) fn base(name: &str) -> &str {
    ["Dict", "D", "d"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// What a chain of transforms makes of the images.
pub(super) struct Chain {
    pub(super) steps: Vec<Step>,
    /// The images that become the network's channels one by one, by their keys; empty for a single image with all of
    /// them.
    pub(super) images: Vec<String>,
}

/// Reads a chain of transforms.
pub(super) fn read(file: &str, chain: &[Component]) -> Result<Chain> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inputs = Inputs::of(file, chain)?;
    let images = inputs.separate().to_vec();
    for transform in chain {
        let name = base(transform.name());
        if inputs.joined_by(transform) || HARMLESS.contains(&name) {
            continue;
        }
        let places = inputs.places(transform);
        let count = inputs.keys(transform).len().max(1);
        let reader = |at: usize| Reader { file, transform, at, count, image: inputs.only() };
        if name == "CropForeground" && inputs.count() > 1 {
            return Err(reader(0).unsupported("of several images"));
        }
        let mut found: Option<Vec<Step>> = None;
        for &(channel, at) in &places {
            let reader = reader(at);
            let step = match name {
                "CastToType" => {
                    reader.cast()?;
                    continue;
                }
                _ => reader.steps(name, &steps, chain)?,
            };
            match (&found, &step[..]) {
                (_, [Step::Intensity { rule, .. }]) => {
                    let channel = (inputs.count() > 1).then_some(channel);
                    steps.push(Step::Intensity { channel, rule: rule.clone() });
                }
                (Some(first), _) if *first != step => {
                    return Err(reader.unsupported("with another grid for each image"));
                }
                (Some(_), _) => {}
                (None, _) => found = Some(step),
            }
        }
        let Some(found) = found else { continue };
        if places.len() != inputs.count() {
            return Err(reader(0).unsupported("for some of the images only"));
        }
        match found[..] {
            [Step::Orient { .. }] if steps.iter().all(commutes) => drop(steps.splice(0..0, found)),
            _ => steps.extend(found),
        }
    }
    Ok(Chain { steps, images })
}

/// Whether turning an image commutes with a step, so that it may come first.
fn commutes(step: &Step) -> bool {
    match step {
        Step::Intensity { rule: MonaiIntensity::Smooth { sigma: [a, b, c] }, .. } => a == b && b == c,
        Step::Intensity { .. } => true,
        _ => false,
    }
}

/// The shape that the network's image has whatever the volume is; `None` where the volume decides.
pub(super) fn fixed_shape(steps: &[Step]) -> Option<[usize; 3]> {
    let whole = |shape: &[usize; 3]| !shape.contains(&0);
    let mut fixed = None;
    // Of padding and cropping to one shape both are needed.
    let (mut least, mut most) = (None, None);
    for step in steps {
        match step {
            Step::Resize(resize) => {
                fixed = match resize.size {
                    Size::All(shape) if whole(&shape) => Some(shape),
                    _ => None,
                };
                (least, most) = (fixed, fixed);
            }
            Step::Frame { frame: Frame::AtLeast(pad), .. } if whole(&pad.shape) => {
                least = Some(pad.shape);
                fixed = if most == least { least } else { fixed.filter(|_| fixed == least) };
            }
            Step::Frame { frame: Frame::Center(shape), .. } if whole(shape) => {
                most = Some(*shape);
                fixed = if most == least { most } else { fixed.filter(|_| fixed == most) };
            }
            Step::Intensity { .. } | Step::AddClicks { .. } => {}
            _ => (fixed, least, most) = (None, None, None),
        }
    }
    fixed
}

/// The labels that users click for, in the order of their channels: those of DeepEdit's transforms before.
fn clicked_labels(file: &str, chain: &[Component]) -> Result<Vec<u16>> {
    let named = chain.iter().find(|transform| base(transform.name()) == "AddGuidanceFromPointsDeepEdit");
    let wrong = || {
        let reason = "DeepEdit's clicks without AddGuidanceFromPointsDeepEditd, whose `label_names` are numbers up to \
                      65535 by name";
        Error::malformed(file, reason)
    };
    let Some(Value::Dict(names)) = named.and_then(|transform| transform.argument("label_names")) else {
        return Err(wrong());
    };
    let number = |(_, value): &(String, Value)| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let labels = names.iter().map(number).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let twice = |(at, label): (usize, &u16)| labels.iter().take(at).any(|before| before == label);
    if labels.is_empty() || labels.len() > MOST_CLICKED || labels.iter().enumerate().any(twice) {
        return Err(wrong());
    }
    Ok(labels)
}

/// How a session's clicks get into the network's image.
pub(super) fn prompting(steps: &[Step]) -> Option<Prompting> {
    steps.iter().find_map(|step| match step {
        Step::AddClicks { labels } => Some(Prompting::Clicks(labels.clone())),
        _ => None,
    })
}

/// What loads the image: MONAI chooses nibabel for NIfTI files unless the transform names another reader.
pub(super) fn reader(file: &str, chain: &[Component]) -> Result<nifti::Reader> {
    let load = chain.iter().find(|transform| base(transform.name()) == "LoadImage");
    let name = match load.and_then(|load| load.argument("reader")) {
        None | Some(Value::None) => return Ok(nifti::Reader::Monai),
        Some(Value::Text(name)) => name.as_str(),
        Some(Value::Component(component)) => component.name(),
        Some(other) => {
            let reason =
                format!("`reader` of LoadImage is {}, expected the name of a reader", other.describe());
            return Err(Error::malformed(file, reason));
        }
    };
    match name.rsplit('.').next().unwrap_or(name).to_ascii_lowercase().as_str() {
        "itkreader" => Ok(nifti::Reader::Itk),
        "nibabelreader" => Ok(nifti::Reader::Monai),
        _ => Err(Error::unsupported(format!(
            "{file}: image reader {name}; known are NibabelReader and ITKReader"
        ))),
    }
}

impl Reader<'_> {
    /// The steps that a transform stands for, after those before it.
    fn steps(&self, name: &str, before: &[Step], chain: &[Component]) -> Result<Vec<Step>> {
        let step = match name {
            "Orientation" => {
                if before.iter().any(|step| matches!(step, Step::Resize(_))) {
                    return Err(self.unsupported("after a Resize"));
                }
                self.orientation()?
            }
            "Spacing" => {
                if before.iter().any(|step| matches!(step, Step::Space(_))) {
                    return Err(self.unsupported("a second time"));
                }
                if before.iter().any(|step| matches!(step, Step::Turn(_))) {
                    return Err(self.unsupported("after a turn of the array"));
                }
                self.spacing()?
            }
            "CropForeground" => self.crop()?,
            "ResizeWithPadOrCrop" => return self.pad_or_crop(),
            "SpatialPad" | "DivisiblePad" | "BorderPad" => self.pad(name)?,
            "CenterSpatialCrop" | "SpatialCrop" => self.cut(name)?,
            "Resize" => self.resize()?,
            "AddGuidanceSignalDeepEdit" => {
                if before.iter().any(|step| matches!(step, Step::AddClicks { .. })) {
                    return Err(self.unsupported("a second time"));
                }
                // Clicks are found again after these alone.
                let found = |step: &Step| {
                    matches!(step, Step::Orient { .. } | Step::Intensity { .. } | Step::Resize(_))
                };
                if !before.iter().all(found) {
                    return Err(
                        self.unsupported("after other changes of the grid than Orientation and Resize")
                    );
                }
                Step::AddClicks { labels: clicked_labels(self.file, chain)? }
            }
            "Flip" | "Rotate90" | "Transpose" => self.turn(name)?,
            _ => match self.intensity(name)? {
                Some(rule) => Step::Intensity { channel: None, rule },
                None => {
                    return Err(self.unsupported(&format!(
                        "among the transforms; known are {KNOWN}. Do what it does before, and leave it out in a copy of \
                         the config"
                    )));
                }
            },
        };
        Ok(vec![step])
    }
}
