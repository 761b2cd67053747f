//! The arguments of one transform, and the transforms that MONAI's published chains begin with.

use crate::error::{Error, Result};
use crate::model::monai::arguments::{Argument, Arguments};
use crate::model::monai::config::{Component, Value};
use crate::recipe::{BoxSource, CropForeground, Padding, PaddingMode, Spacing, Step};

/// Reads the arguments of one transform for one of its keys.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) transform: &'a Component,
    /// Which of its keys, of how many.
    pub(super) at: usize,
    pub(super) count: usize,
    /// The image's key, where there is one image.
    pub(super) image: Option<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn unsupported(&self, how: &str) -> Error {
        let Component { target, id, .. } = self.transform;
        Error::unsupported(format!("{}: `{id}`: `{target}` {how}", self.file))
    }

    pub(super) fn arguments(&self, known: &[&str]) -> Result<Arguments<'a>> {
        let mut all = vec!["keys", "allow_missing_keys", "meta_keys", "meta_key_postfix", "lazy"];
        all.extend(known);
        let arguments = Arguments::new(self.file, self.transform, &all)?;
        match arguments.find("lazy") {
            Some(lazy) if lazy.boolean()? => Err(lazy.wrong("false: lazy transforms give other values")),
            _ => Ok(arguments),
        }
    }

    /// An argument that is given once, or once for each key.
    pub(super) fn own(&self, argument: &Argument<'a>) -> Result<Argument<'a>> {
        Ok(argument.for_each(self.count)?.swap_remove(self.at))
    }

    pub(super) fn own_text(
        &self,
        arguments: &Arguments<'a>,
        name: &str,
        default: &'a str,
    ) -> Result<&'a str> {
        arguments.get_or(name, default, |argument| self.own(argument)?.text())
    }

    pub(super) fn orientation(&self) -> Result<Step> {
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

    pub(super) fn spacing(&self) -> Result<Step> {
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
            "border" => PaddingMode::Border,
            "zeros" => PaddingMode::Zeros,
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
            orthogonal: false,
        };
        spacing.check()?;
        Ok(Step::Space(spacing))
    }

    /// Images are held in single precision all the way: another type would round them.
    pub(super) fn cast(&self) -> Result<()> {
        let arguments = self.arguments(&["dtype"])?;
        let Some(argument) = arguments.find("dtype") else { return Ok(()) };
        let argument = self.own(&argument)?;
        match dtype(argument.value()) {
            Some("float32") => Ok(()),
            _ => Err(argument.wrong("float32")),
        }
    }

    pub(super) fn crop(&self) -> Result<Step> {
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

    pub(super) fn padding(&self, mode: &str, value: f32) -> Result<Padding> {
        match mode {
            "constant" => Ok(Padding::Constant(value)),
            "edge" | "replicate" => Ok(Padding::Edge),
            "minimum" => Ok(Padding::Minimum),
            other => Err(self.unsupported(&format!("with mode {other}, expected constant, edge or minimum"))),
        }
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
