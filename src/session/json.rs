//! Prompts as JSON, in records and for programs that drive the tool: docs/schemas/session.schema.json.

use ndarray::Array3;
use serde_json::{Value, json};

use super::{Mask, Prompt};
use crate::buffer;
use crate::error::{Error, Result};

/// Masks of more voxels aren't read: a few words must not ask for any amount of memory.
const MOST_VOXELS: u64 = 1 << 32;

impl Prompt {
    /// As JSON: `{"prompt": "point", "at": [x, y, z], "label": 1}` and the like. Masks are numbers of voxels that lie
    /// one after another, axis 0 the fastest: zeros, ones, zeros and so on.
    pub fn to_json(&self) -> Value {
        let name = self.name();
        match self {
            Prompt::Point { at, label } => json!({"prompt": name, "at": at, "label": label}),
            Prompt::Box { start, end, label } => {
                json!({"prompt": name, "start": start, "end": end, "label": label})
            }
            Prompt::Scribble { mask, label } | Prompt::Lasso { mask, label } => {
                let (start, shape, runs) = mask.runs();
                json!({"prompt": name, "start": start, "shape": shape, "runs": runs, "label": label})
            }
            Prompt::Mask(mask) => {
                let (start, shape, runs) = mask.runs();
                json!({"prompt": name, "start": start, "shape": shape, "runs": runs})
            }
        }
    }

    /// The prompt that [`Prompt::to_json`] gave.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that names the member that is wrong, [`Error::OutOfMemory`].
    pub fn from_json(value: &Value) -> Result<Self> {
        let label = || match value.get("label") {
            None => Ok(1),
            Some(label) => {
                let number = label.as_u64().and_then(|label| u32::try_from(label).ok());
                number.ok_or_else(|| wrong("label", label, "a whole number"))
            }
        };
        let member = |key: &str| value.get(key).unwrap_or(&Value::Null);
        match member("prompt").as_str() {
            Some("point") => {
                let at = three(member("at"), "at", "three numbers", Value::as_f64)?;
                Ok(Prompt::Point { at, label: label()? })
            }
            Some("box") => {
                let corner = |key: &str| three(member(key), key, "three whole numbers", Value::as_i64);
                Ok(Prompt::Box { start: corner("start")?, end: corner("end")?, label: label()? })
            }
            Some("scribble") => Ok(Prompt::Scribble { mask: Mask::from_json(value)?, label: label()? }),
            Some("lasso") => Ok(Prompt::Lasso { mask: Mask::from_json(value)?, label: label()? }),
            Some("mask") => Ok(Prompt::Mask(Mask::from_json(value)?)),
            _ => Err(wrong("prompt", member("prompt"), "point, box, scribble, lasso or mask")),
        }
    }
}

impl Mask {
    /// Its first voxel, its shape, and how many voxels are zeros, ones, zeros and so on.
    fn runs(&self) -> ([i64; 3], [usize; 3], Vec<usize>) {
        let ([z, y, x], [planes, rows, columns]) = (self.region.start, self.region.shape());
        let (mut runs, mut last, mut count) = (Vec::new(), 0, 0);
        for &voxel in &*self.voxels {
            if voxel != last {
                runs.push(std::mem::take(&mut count));
                last = voxel;
            }
            count += 1;
        }
        runs.push(count);
        ([x, y, z], [columns, rows, planes], runs)
    }

    fn from_json(value: &Value) -> Result<Self> {
        let member = |key: &str| value.get(key).unwrap_or(&Value::Null);
        let start = three(member("start"), "start", "three whole numbers", Value::as_i64)?;
        let shape = three(member("shape"), "shape", "three sizes", Value::as_u64)?;
        let expected = "numbers of zeros, ones, zeros and so on, as many voxels as the shape has";
        let runs = member("runs").as_array().ok_or_else(|| wrong("runs", member("runs"), expected))?;
        let length = |run: &Value| run.as_u64().ok_or_else(|| wrong("runs", run, expected));
        let voxels = shape.iter().try_fold(1_u64, |all, &one| all.checked_mul(one));
        let total = runs.iter().try_fold(0_u64, |all, run| Ok(all.saturating_add(length(run)?)))?;
        // Nothing is made of the shape before the runs say the same.
        if voxels != Some(total) || total == 0 || total > MOST_VOXELS {
            return Err(wrong("runs", &json!(total), expected));
        }
        let [columns, rows, planes] = shape.map(|length| length as usize);
        let mut array: Array3<u8> = buffer::zeros("a prompt's mask", [planes, rows, columns])?;
        let mut voxels = array.iter_mut();
        for (index, run) in runs.iter().enumerate() {
            let voxel = (index % 2) as u8;
            voxels.by_ref().take(length(run)? as usize).for_each(|place| *place = voxel);
        }
        Ok(Mask::of_array(start, array))
    }
}

fn three<T: Copy>(value: &Value, key: &str, expected: &str, read: fn(&Value) -> Option<T>) -> Result<[T; 3]> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    match list.iter().map(read).collect::<Option<Vec<T>>>().as_deref() {
        Some(&[x, y, z]) => Ok([x, y, z]),
        _ => Err(wrong(key, value, expected)),
    }
}

fn wrong(key: &str, found: &Value, expected: &str) -> Error {
    let found: String = found.to_string().chars().take(80).collect();
    Error::argument(key, found, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_the_same_after_json() {
        let mask =
            Mask::of_array([-1, 2, 3], Array3::from_shape_fn((2, 3, 4), |(z, y, x)| u8::from(z + y == x)));
        let all = [
            Prompt::Point { at: [1.25, 0.1, 1e-3], label: 0 },
            Prompt::Box { start: [1, -2, 3], end: [4, 5, 6], label: 1 },
            Prompt::Scribble { mask: mask.clone(), label: 1 },
            Prompt::Lasso { mask: mask.clone(), label: 0 },
            Prompt::Mask(mask),
        ];
        for prompt in all {
            let text = prompt.to_json().to_string();
            assert_eq!(Prompt::from_json(&serde_json::from_str(&text).unwrap()).unwrap(), prompt, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, argument) in [
            (r#"{}"#, "prompt"),
            (r#"{"prompt": "circle"}"#, "prompt"),
            (r#"{"prompt": "point", "at": [1, 2]}"#, "at"),
            (r#"{"prompt": "point", "at": [1, 2, "3"]}"#, "at"),
            (r#"{"prompt": "point", "at": [1, 2, 3], "label": -1}"#, "label"),
            (r#"{"prompt": "box", "start": [1, 2, 3], "end": [1, 2, 3.5]}"#, "end"),
            (r#"{"prompt": "mask", "start": [0, 0, 0], "shape": [2, 2, 2], "runs": [9]}"#, "runs"),
            (
                r#"{"prompt": "mask", "start": [0, 0, 0], "shape": [99999999, 99999999, 99999999], "runs": [1]}"#,
                "runs",
            ),
            (r#"{"prompt": "mask", "start": [0, 0, 0], "shape": [0, 2, 2], "runs": []}"#, "runs"),
        ] {
            let error = Prompt::from_json(&serde_json::from_str(text).unwrap()).unwrap_err();
            assert!(error.details().contains(&("argument", argument.into())), "{text}: {error}");
        }
    }
}
