//! Transforms that crop, pad, resize and turn an array.

use super::transform::Reader;
use crate::error::Result;
use crate::model::monai::arguments::{Argument, Arguments};
use crate::model::monai::config::Value;
use crate::recipe::{Frame, Padding, Resize, ResizeMode, Size, SpatialPad, Step};
use crate::volume::AxisMap;

/// A size; negative ones and zero mean the image's own.
fn size(argument: &Argument) -> Result<usize> {
    match argument.value() {
        Value::Int(size) if *size <= 0 => Ok(0),
        _ => argument.count(),
    }
}

/// A position; negative ones begin at the image's first voxel.
fn position(argument: &Argument) -> Result<usize> {
    size(argument)
}

impl<'a> Reader<'a> {
    pub(super) fn pad(&self, name: &str) -> Result<Step> {
        let of = match name {
            "SpatialPad" => "spatial_size",
            "DivisiblePad" => "k",
            _ => "spatial_border",
        };
        let arguments = self.arguments(&[of, "method", "mode", "value", "constant_values"])?;
        let end = self.at_the_end(&arguments)?;
        let given = arguments.get(of)?;
        let frame = match name {
            "SpatialPad" => Frame::AtLeast(SpatialPad { shape: given.axes(size)?, end }),
            "DivisiblePad" => Frame::Divisible { k: given.axes(size)?, end },
            _ => {
                let border = given.one_or_more()?.iter().map(size).collect::<Result<Vec<usize>>>()?;
                match border[..] {
                    [all] => Frame::Border { below: [all; 3], above: [all; 3] },
                    [x, y, z] => Frame::Border { below: [x, y, z], above: [x, y, z] },
                    [a, b, c, d, e, f] => Frame::Border { below: [a, c, e], above: [b, d, f] },
                    _ => return Err(given.wrong("one, three or six numbers of voxels")),
                }
            }
        };
        Ok(Step::Frame { frame, padding: self.fill(&arguments)? })
    }

    pub(super) fn cut(&self, name: &str) -> Result<Step> {
        let padding = Padding::Constant(0.0);
        if name == "CenterSpatialCrop" {
            let arguments = self.arguments(&["roi_size"])?;
            let frame = Frame::Center(arguments.get("roi_size")?.axes(size)?);
            return Ok(Step::Frame { frame, padding });
        }
        let arguments = self.arguments(&["roi_center", "roi_size", "roi_start", "roi_end", "roi_slices"])?;
        if arguments.find("roi_slices").is_some() {
            return Err(self.unsupported("with roi_slices"));
        }
        let (start, end) = match (arguments.find("roi_center"), arguments.find("roi_size")) {
            (Some(center), Some(extent)) => {
                let (center, extent) = (center.axes(position)?, extent.axes(size)?);
                let start = [0, 1, 2].map(|axis| center[axis].saturating_sub(extent[axis] / 2));
                (start, [0, 1, 2].map(|axis| start[axis] + extent[axis]))
            }
            _ => (arguments.get("roi_start")?.axes(position)?, arguments.get("roi_end")?.axes(position)?),
        };
        Ok(Step::Frame { frame: Frame::Part { start, end }, padding })
    }

    /// Crops around the middle, then pads.
    pub(super) fn pad_or_crop(&self) -> Result<Vec<Step>> {
        let arguments = self.arguments(&["spatial_size", "method", "mode", "value", "constant_values"])?;
        let shape = arguments.get("spatial_size")?.axes(size)?;
        let (end, padding) = (self.at_the_end(&arguments)?, self.fill(&arguments)?);
        let frames = [Frame::Center(shape), Frame::AtLeast(SpatialPad { shape, end })];
        Ok(frames.map(|frame| Step::Frame { frame, padding }).into())
    }

    fn at_the_end(&self, arguments: &Arguments<'a>) -> Result<bool> {
        match arguments.get_or("method", "symmetric", |method| method.text())? {
            "symmetric" => Ok(false),
            "end" => Ok(true),
            other => Err(self.unsupported(&format!("with method {other}, expected symmetric or end"))),
        }
    }

    /// What fills what is added.
    fn fill(&self, arguments: &Arguments<'a>) -> Result<Padding> {
        let value = |name: &str| arguments.get_or(name, 0.0, Argument::number);
        let constant =
            if arguments.find("value").is_some() { value("value")? } else { value("constant_values")? };
        self.padding(self.own_text(arguments, "mode", "constant")?, constant as f32)
    }

    pub(super) fn resize(&self) -> Result<Step> {
        let arguments = self.arguments(&[
            "spatial_size",
            "size_mode",
            "mode",
            "align_corners",
            "anti_aliasing",
            "anti_aliasing_sigma",
            "dtype",
        ])?;
        if let Some(smoothed) = arguments.find("anti_aliasing")
            && self.own(&smoothed)?.boolean()?
        {
            return Err(self.unsupported("with anti_aliasing"));
        }
        let given = arguments.get("spatial_size")?;
        let size = match arguments.get_or("size_mode", "all", |mode| mode.text())? {
            "all" if given.is_list() => Size::All(given.axes(size)?),
            "all" => return Err(given.wrong("three sizes")),
            "longest" => match given.count()? {
                0 => return Err(given.wrong("a size from 1")),
                length => Size::Longest(length),
            },
            other => {
                return Err(self.unsupported(&format!("with size_mode {other}, expected all or longest")));
            }
        };
        let align_corners = match arguments.find("align_corners") {
            Some(argument) if self.own(&argument)?.value() != &Value::None => {
                self.own(&argument)?.boolean()?
            }
            _ => false,
        };
        let mode = match self.own_text(&arguments, "mode", "area")? {
            "area" => ResizeMode::Area,
            "nearest" => ResizeMode::Nearest,
            "trilinear" | "bilinear" | "linear" => ResizeMode::Linear { align_corners },
            other => {
                let what = format!("with mode {other}, expected area, nearest or trilinear");
                return Err(self.unsupported(&what));
            }
        };
        Ok(Step::Resize(Resize { size, mode }))
    }

    pub(super) fn turn(&self, name: &str) -> Result<Step> {
        let axis = |argument: &Argument| match argument.value() {
            Value::Int(axis @ -3..=2) => Ok(axis.rem_euclid(3) as usize),
            _ => Err(argument.wrong("an axis from 0 to 2")),
        };
        let mut turn = AxisMap::identity();
        match name {
            "Flip" => {
                let arguments = self.arguments(&["spatial_axis"])?;
                match arguments.find("spatial_axis") {
                    None => turn.flip = [true; 3],
                    Some(axes) => {
                        for argument in axes.one_or_more()? {
                            turn.flip[axis(&argument)?] = true;
                        }
                    }
                }
            }
            "Rotate90" => {
                let arguments = self.arguments(&["k", "spatial_axes"])?;
                let times = match arguments.find("k").map(|k| (k.value().clone(), k)) {
                    None => 1,
                    Some((Value::Int(times), _)) => times.rem_euclid(4),
                    Some((_, k)) => return Err(k.wrong("a whole number")),
                };
                let [from, to] = match arguments.find("spatial_axes") {
                    None => [0, 1],
                    Some(axes) => match axes.list()?.iter().map(axis).collect::<Result<Vec<usize>>>()?[..] {
                        [from, to] if from != to => [from, to],
                        _ => return Err(axes.wrong("two axes")),
                    },
                };
                let mut quarter = AxisMap::identity();
                (quarter.axis[from], quarter.axis[to], quarter.flip[from]) = (to, from, true);
                turn = (0..times).fold(turn, |turn, _| turn.then(&quarter));
            }
            _ => {
                let arguments = self.arguments(&["indices"])?;
                let indices = arguments.get("indices")?;
                let order = indices.list()?.iter().map(Argument::count).collect::<Result<Vec<usize>>>()?;
                match order[..] {
                    [0, x, y, z] if (1..=3).all(|axis| [x, y, z].contains(&axis)) => {
                        turn.axis = [x - 1, y - 1, z - 1];
                    }
                    _ => return Err(indices.wrong("an order of four axes, 0 in front")),
                }
            }
        }
        Ok(Step::Turn(turn))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::model::monai::config::Component;

    fn turned(name: &str, arguments: &[(&str, Value)]) -> Array3<usize> {
        let transform = Component {
            target: name.into(),
            arguments: arguments.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            id: "x".into(),
            callable: false,
        };
        let reader = Reader { file: "x.json", transform: &transform, at: 0, count: 1, image: None };
        let Step::Turn(turn) = reader.turn(name).unwrap() else { panic!() };
        turn.turned(Array3::from_shape_fn((2, 3, 4), |(x, y, z)| x * 100 + y * 10 + z))
    }

    #[test]
    fn turns_equal_numpy() {
        let ints = |list: &[i64]| Value::List(list.iter().map(|&int| Value::Int(int)).collect());
        // numpy.rot90(a, 1, (0, 1))[i, j] is a[j, 2 - i], with (1, 2) for k = 3 a[x, 2 - j, i].
        let quarter = turned("Rotate90", &[]);
        assert_eq!((quarter.dim(), quarter[(0, 1, 3)], quarter[(2, 0, 1)]), ((3, 2, 4), 123, 1));
        let back = turned("Rotate90", &[("k", Value::Int(-1)), ("spatial_axes", ints(&[1, 2]))]);
        assert_eq!((back.dim(), back[(1, 0, 0)], back[(1, 3, 2)]), ((2, 4, 3), 120, 103));
        assert_eq!(turned("Flip", &[("spatial_axis", Value::Int(1))])[(1, 0, 3)], 123);
        assert_eq!(turned("Flip", &[])[(0, 0, 0)], 123);
        let transposed = turned("Transpose", &[("indices", ints(&[0, 3, 1, 2]))]);
        assert_eq!((transposed.dim(), transposed[(3, 1, 2)]), ((4, 2, 3), 123));
    }
}
