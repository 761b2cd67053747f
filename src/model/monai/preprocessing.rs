//! A bundle's preprocessing, transform by transform, as steps of a recipe.

use super::arguments::{Argument, Arguments};
use super::config::{Component, Value};
use crate::error::{Error, Result};
use crate::nifti;
use crate::recipe::{BoxSource, CropForeground, MonaiIntensity, Outside, Padding, Spacing, SpatialPad, Step};

/// Transforms that load an image, or change how it is held and not what it is.
const HARMLESS: [&str; 8] = [
    "LoadImage",
    "EnsureChannelFirst",
    "AddChannel",
    "EnsureType",
    "ToTensor",
    "ToDevice",
    "SelectItems",
    "Identity",
];

/// A transform's name without the ending that it has when it works on dictionaries.
pub(super) fn base(name: &str) -> &str {
    ["Dict", "D", "d"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// The steps of a chain of transforms.
pub(super) fn steps(file: &str, chain: &[Component]) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    // What is loaded first is the image.
    let image = chain.iter().find(|transform| base(transform.name()) == "LoadImage");
    let image = image.and_then(|load| keys(load).into_iter().next());
    for transform in chain {
        let own = keys(transform);
        let at = own.iter().position(|key| image.as_ref().is_none_or(|image| image == key));
        let Some(at) = at.or(own.is_empty().then_some(0)) else { continue };
        let reader = Reader { file, transform, at, count: own.len().max(1), image: image.as_deref() };
        let name = base(transform.name());
        if HARMLESS.contains(&name) {
            continue;
        }
        match name {
            "Orientation" => {
                // Turning an image commutes with changes of its intensities, so that it may come first.
                let grids = |step: &Step| !matches!(step, Step::Intensity { .. });
                if steps.iter().any(grids) {
                    return Err(reader.unsupported("after another change of the grid"));
                }
                steps.insert(0, reader.orientation()?);
            }
            "Spacing" => {
                if steps.iter().any(|step| matches!(step, Step::Space(_))) {
                    return Err(reader.unsupported("a second time"));
                }
                steps.push(reader.spacing()?);
            }
            "CastToType" => reader.cast()?,
            "CropForeground" => steps.push(reader.crop()?),
            "SpatialPad" => steps.push(reader.pad()?),
            "ScaleIntensityRange" | "ScaleIntensity" | "NormalizeIntensity" => {
                steps.push(Step::Intensity { channel: None, rule: reader.intensity(name)? });
            }
            _ => {
                return Err(reader.unsupported(
                    "among the transforms; known are LoadImage, EnsureChannelFirst, Orientation, Spacing, \
                     ScaleIntensityRange, ScaleIntensity, NormalizeIntensity, CropForeground, SpatialPad, EnsureType \
                     and CastToType. Do what it does before, and leave it out in a copy of the config",
                ));
            }
        }
    }
    Ok(steps)
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

/// The keys that a transform works on.
fn keys(transform: &Component) -> Vec<String> {
    match transform.argument("keys") {
        Some(Value::Text(key)) => vec![key.clone()],
        Some(Value::List(list)) => list
            .iter()
            .filter_map(|key| if let Value::Text(key) = key { Some(key.clone()) } else { None })
            .collect(),
        _ => Vec::new(),
    }
}

/// Reads the arguments of one transform for one of its keys.
struct Reader<'a> {
    file: &'a str,
    transform: &'a Component,
    /// Which of its keys, of how many.
    at: usize,
    count: usize,
    image: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn unsupported(&self, how: &str) -> Error {
        let Component { target, id, .. } = self.transform;
        Error::unsupported(format!("{}: `{id}`: `{target}` {how}", self.file))
    }

    fn arguments(&self, known: &[&str]) -> Result<Arguments<'a>> {
        let mut all = vec!["keys", "allow_missing_keys", "meta_keys", "meta_key_postfix", "lazy"];
        all.extend(known);
        let arguments = Arguments::new(self.file, self.transform, &all)?;
        match arguments.find("lazy") {
            Some(lazy) if lazy.boolean()? => Err(lazy.wrong("false: lazy transforms give other values")),
            _ => Ok(arguments),
        }
    }

    /// An argument that is given once, or once for each key.
    fn own(&self, argument: &Argument<'a>) -> Result<Argument<'a>> {
        Ok(argument.for_each(self.count)?.swap_remove(self.at))
    }

    fn own_text(&self, arguments: &Arguments<'a>, name: &str, default: &'a str) -> Result<&'a str> {
        arguments.get_or(name, default, |argument| self.own(argument)?.text())
    }

    fn orientation(&self) -> Result<Step> {
        let arguments = self.arguments(&["axcodes", "as_closest_canonical", "labels"])?;
        if arguments.find("labels").is_some() {
            return Err(self.unsupported("with labels of its own for the axes"));
        }
        let canonical = arguments.get_or("as_closest_canonical", false, Argument::boolean)?;
        let codes = if canonical { "RAS" } else { arguments.get("axcodes")?.text()? };
        let wrong =
            || self.unsupported(&format!("with axcodes {codes}, expected one letter of each of RL, AP, SI"));
        let letters: [char; 3] = codes.chars().collect::<Vec<_>>().try_into().map_err(|_| wrong())?;
        let (mut order, mut flip, mut seen) = ([0; 3], [false; 3], [false; 3]);
        for (axis, letter) in letters.into_iter().enumerate() {
            let pair = ["RL", "AP", "SI"].iter().position(|pair| pair.contains(letter)).ok_or_else(wrong)?;
            order[axis] = pair;
            flip[pair] = !"RAS".contains(letter);
            seen[pair] = true;
        }
        if seen != [true; 3] {
            return Err(wrong());
        }
        Ok(Step::Orient { canonical: true, flip, order })
    }

    fn spacing(&self) -> Result<Step> {
        let arguments = self.arguments(&[
            "pixdim",
            "diagonal",
            "mode",
            "padding_mode",
            "align_corners",
            "dtype",
            "scale_extent",
            "recompute_affine",
            "min_pixdim",
            "max_pixdim",
            "ensure_same_shape",
        ])?;
        for name in ["diagonal", "scale_extent", "recompute_affine"] {
            if let Some(argument) = arguments.find(name)
                && self.own(&argument)?.boolean()?
            {
                return Err(self.unsupported(&format!("with {name}")));
            }
        }
        // One number stands for a list of it alone.
        let lengths = |argument: &Argument<'a>| -> Result<Vec<Option<f64>>> {
            if !argument.is_list() {
                return Ok(vec![Some(argument.number()?)]);
            }
            let list = argument.list()?;
            if list.is_empty() || list.len() > 3 {
                return Err(argument.wrong("up to three lengths in mm"));
            }
            let length = |argument: &Argument<'a>| match argument.value() {
                Value::None => Ok(None),
                _ => argument.number().map(Some),
            };
            list.iter().map(length).collect()
        };
        let every = |lengths: Vec<Option<f64>>, missing: Option<f64>| {
            [0, 1, 2].map(|axis| lengths.get(axis).copied().unwrap_or(missing))
        };
        // The last length stands for missing axes; bounds are of the axes that they name.
        let pixdim = lengths(&arguments.get("pixdim")?)?;
        let last = pixdim.last().copied().flatten();
        let bounds =
            |name: &str| arguments.get_or(name, [None; 3], |bounds| Ok(every(lengths(bounds)?, None)));
        let mode = self.own_text(&arguments, "mode", "bilinear")?;
        if mode != "bilinear" {
            return Err(self.unsupported(&format!("with mode {mode} for the image, expected bilinear")));
        }
        let outside = match self.own_text(&arguments, "padding_mode", "border")? {
            "border" => Outside::Border,
            "zeros" => Outside::Zeros,
            other => {
                return Err(self.unsupported(&format!("with padding_mode {other}, expected border or zeros")));
            }
        };
        let single = match arguments.find("dtype") {
            None => false,
            Some(argument) => {
                let argument = self.own(&argument)?;
                match dtype(argument.value()) {
                    Some("float64") => false,
                    Some("float32") => true,
                    _ => return Err(argument.wrong("float64 or float32")),
                }
            }
        };
        let spacing = Spacing {
            pixdim: every(pixdim, last),
            min_pixdim: bounds("min_pixdim")?,
            max_pixdim: bounds("max_pixdim")?,
            align_corners: match arguments.find("align_corners") {
                Some(argument) => self.own(&argument)?.boolean()?,
                None => false,
            },
            outside,
            single,
            straight: false,
        };
        spacing.check()?;
        Ok(Step::Space(spacing))
    }

    /// Images are held in single precision all the way: another type would round them.
    fn cast(&self) -> Result<()> {
        let arguments = self.arguments(&["dtype"])?;
        let Some(argument) = arguments.find("dtype") else { return Ok(()) };
        let argument = self.own(&argument)?;
        match dtype(argument.value()) {
            Some("float32") => Ok(()),
            _ => Err(argument.wrong("float32")),
        }
    }

    fn crop(&self) -> Result<Step> {
        let arguments = self.arguments(&[
            "source_key",
            "margin",
            "allow_smaller",
            "k_divisible",
            "mode",
            "channel_indices",
            "select_fn",
            "start_coord_key",
            "end_coord_key",
            "constant_values",
            "value",
        ])?;
        let source = arguments.get("source_key")?.text()?;
        if self.image.is_some_and(|image| image != source) {
            return Err(self.unsupported(&format!("by another image `{source}`")));
        }
        for name in ["channel_indices", "select_fn"] {
            if arguments.find(name).is_some() {
                return Err(self.unsupported(&format!("with {name}")));
            }
        }
        let small = |argument: &Argument<'a>| Ok(argument.count()? as u32);
        let allow_smaller = match arguments.find("allow_smaller") {
            Some(argument) => argument.boolean()?,
            None => false,
        };
        let value = |name: &str| arguments.get_or(name, 0.0, Argument::number);
        let constant =
            if arguments.find("value").is_some() { value("value")? } else { value("constant_values")? };
        Ok(Step::CropForeground {
            crop: CropForeground {
                margin: arguments.get_or("margin", [0; 3], |margin| margin.axes(small))?,
                allow_smaller,
                k_divisible: arguments.get_or("k_divisible", [1; 3], |k| k.axes(small))?,
            },
            padding: self.padding(self.own_text(&arguments, "mode", "constant")?, constant as f32)?,
            source: BoxSource::Image,
        })
    }

    fn padding(&self, mode: &str, value: f32) -> Result<Padding> {
        match mode {
            "constant" => Ok(Padding::Constant(value)),
            "edge" | "replicate" => Ok(Padding::Edge),
            "minimum" => Ok(Padding::Minimum),
            other => Err(self.unsupported(&format!("with mode {other}, expected constant, edge or minimum"))),
        }
    }

    fn pad(&self) -> Result<Step> {
        let arguments = self.arguments(&["spatial_size", "method", "mode", "value", "constant_values"])?;
        let shape = arguments.get("spatial_size")?.axes(|size| match size.value() {
            Value::Int(size) if *size <= 0 => Ok(0),
            _ => size.count(),
        })?;
        let end = match arguments.get_or("method", "symmetric", |method| method.text())? {
            "symmetric" => false,
            "end" => true,
            other => return Err(self.unsupported(&format!("with method {other}, expected symmetric or end"))),
        };
        let value = |name: &str| arguments.get_or(name, 0.0, Argument::number);
        let constant =
            if arguments.find("value").is_some() { value("value")? } else { value("constant_values")? };
        let padding = self.padding(self.own_text(&arguments, "mode", "constant")?, constant as f32)?;
        Ok(Step::Pad { pad: SpatialPad { shape, end }, padding })
    }

    fn intensity(&self, name: &str) -> Result<MonaiIntensity> {
        Ok(match name {
            "ScaleIntensityRange" => {
                let arguments = self.arguments(&["a_min", "a_max", "b_min", "b_max", "clip", "dtype"])?;
                let from = |name: &str| arguments.get(name)?.number();
                let to = |name: &str| arguments.find(name).map(|value| value.number()).transpose();
                MonaiIntensity::ScaleRange {
                    from: [from("a_min")?, from("a_max")?],
                    to: [to("b_min")?, to("b_max")?],
                    clip: arguments.get_or("clip", false, Argument::boolean)?,
                }
            }
            "ScaleIntensity" => {
                let arguments = self.arguments(&["minv", "maxv", "factor", "channel_wise", "dtype"])?;
                if arguments.find("factor").is_some() {
                    return Err(self.unsupported("with a factor"));
                }
                let bound = |name: &str, default: f64| match self.transform.argument(name) {
                    Some(Value::None) => Ok(None),
                    _ => arguments.get_or(name, default, Argument::number).map(Some),
                };
                MonaiIntensity::Scale {
                    to: [bound("minv", 0.0)?, bound("maxv", 1.0)?],
                    channel_wise: arguments.get_or("channel_wise", false, Argument::boolean)?,
                }
            }
            _ => {
                let arguments =
                    self.arguments(&["subtrahend", "divisor", "nonzero", "channel_wise", "dtype"])?;
                let values = |name: &str| match arguments.find(name) {
                    None => Ok(None),
                    Some(list) => {
                        list.one_or_more()?.iter().map(Argument::number).collect::<Result<_>>().map(Some)
                    }
                };
                MonaiIntensity::Normalize {
                    nonzero: arguments.get_or("nonzero", false, Argument::boolean)?,
                    channel_wise: arguments.get_or("channel_wise", false, Argument::boolean)?,
                    subtrahend: values("subtrahend")?,
                    divisor: values("divisor")?,
                }
            }
        })
    }
}

/// A type's name without the library's.
fn dtype(value: &Value) -> Option<&str> {
    let name = match value {
        Value::Runtime(name) | Value::Text(name) => name,
        _ => return None,
    };
    match name.rsplit('.').next()? {
        "float" | "float32" => Some("float32"),
        "double" | "float64" => Some("float64"),
        other => Some(other),
    }
}
