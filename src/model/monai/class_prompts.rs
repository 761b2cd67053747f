//! The classes that VISTA3D is asked for: numbers or names, some of which stand for their parts.

use super::arguments::Arguments;
use super::config::{Component, Config, Value};
use super::preprocessing::base;
use crate::error::{Error, Result};
use crate::file::shorten;

/// The transform that replaces classes by their parts.
const TRANSFORM: &str = "VistaPreTransform";
/// Where a config lists what it segments unless it is told otherwise.
const EVERYTHING: [&str; 2] = ["everything_labels", "evaluator::hyper_kwargs::everything_labels"];
/// What the published model was trained for; with other classes alone its script finds nothing.
const TRAINED: usize = 132;
/// Classes that are asked for at once, parts included.
const MOST: usize = 4096;

/// The classes of a model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ClassPrompts {
    /// What is segmented unless something is asked for.
    everything: Vec<usize>,
    /// Classes that stand for others.
    parts: Vec<(usize, Vec<usize>)>,
}

impl ClassPrompts {
    /// What a bundle's config says of them; `None` for a network that isn't asked for classes.
    pub(super) fn read(config: &Config, preprocessing: &[Component]) -> Result<Option<Self>> {
        let own = |transform: &&Component| base(transform.name()) == TRANSFORM;
        let Some(transform) = preprocessing.iter().find(own) else { return Ok(None) };
        let known = ["keys", "allow_missing_keys", "subclass", "labels_dict", "special_index"];
        let arguments = Arguments::new(config.file(), transform, &known)?;
        let mut parts = Vec::new();
        if let Some(subclass) = arguments.find("subclass") {
            let Value::Dict(members) = subclass.value() else {
                return Err(subclass.wrong("lists of classes by the class that stands for them"));
            };
            for (class, list) in members {
                let place = format!("{}::subclass::{}", transform.id, shorten(class));
                let number = class.parse().map_err(|_| wrong(config, &place, "a class's number"))?;
                parts.push((number, numbers(config, &place, list)?));
            }
        }
        let everything = match EVERYTHING.iter().find(|id| config.has(id)) {
            Some(id) => numbers(config, id, &config.get(id)?)?,
            None => Vec::new(),
        };
        Ok(Some(ClassPrompts { everything, parts }))
    }

    /// The classes that are asked for, each once, with parts in the place of what stands for them; `names` are those of
    /// the model's classes.
    pub(super) fn chosen(&self, wanted: Option<&[String]>, names: &[(usize, String)]) -> Result<Vec<usize>> {
        let asked = match wanted {
            Some(wanted) => wanted.iter().map(|class| number(class, names)).collect::<Result<Vec<_>>>()?,
            None if self.everything.is_empty() => names.iter().map(|(class, _)| *class).collect(),
            None => self.everything.clone(),
        };
        let mut chosen = Vec::new();
        for class in asked {
            let parts = self.parts.iter().find(|(whole, _)| *whole == class);
            for &part in parts.map_or(&[class][..], |(_, parts)| parts) {
                if part == 0 || (part > TRAINED && !names.iter().any(|(known, _)| *known == part)) {
                    return Err(unknown(&part.to_string()));
                }
                if !chosen.contains(&part) {
                    chosen.push(part);
                }
                if chosen.len() > MOST {
                    return Err(Error::argument("classes", "too many", format!("{MOST} at most")));
                }
            }
        }
        if chosen.is_empty() {
            return Err(Error::argument("classes", "none", "one or more"));
        }
        Ok(chosen)
    }
}

/// A class by its number, or by its name in any letters.
fn number(class: &str, names: &[(usize, String)]) -> Result<usize> {
    let class = class.trim();
    let named = || names.iter().find(|(_, name)| name.eq_ignore_ascii_case(class)).map(|(number, _)| *number);
    class.parse().ok().or_else(named).ok_or_else(|| unknown(class))
}

fn unknown(class: &str) -> Error {
    let expected = format!("classes that the model's metadata names, or numbers from 1 to {TRAINED}");
    Error::argument("classes", shorten(class), expected)
}

/// A list of classes.
fn numbers(config: &Config, place: &str, value: &Value) -> Result<Vec<usize>> {
    if let Some(what) = value.unsupported() {
        return Err(Error::unsupported(what));
    }
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok().map(usize::from),
        _ => None,
    };
    match value {
        Value::List(list) if list.len() <= MOST => list.iter().map(number).collect(),
        _ => None,
    }
    .ok_or_else(|| wrong(config, place, &format!("a list of up to {MOST} classes")))
}

fn wrong(config: &Config, place: &str, expected: &str) -> Error {
    Error::malformed(config.file(), format!("`{place}` isn't {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(wanted: Option<&[&str]>) -> Result<Vec<usize>> {
        let prompts =
            ClassPrompts { everything: vec![1, 3, 20], parts: vec![(2, vec![14, 5]), (20, vec![28, 3])] };
        let names = [(1, "liver".to_owned()), (14, "left kidney".into()), (345, "cochlea".into())];
        let wanted: Option<Vec<String>> =
            wanted.map(|wanted| wanted.iter().map(|&class| class.into()).collect());
        prompts.chosen(wanted.as_deref(), &names)
    }

    #[test]
    fn classes_are_numbers_or_names_and_parts_take_the_place_of_the_whole() {
        assert_eq!(chosen(None).unwrap(), [1, 3, 28]);
        assert_eq!(chosen(Some(&["2", "Left Kidney", " liver"])).unwrap(), [14, 5, 1]);
        assert_eq!(chosen(Some(&["132", "345"])).unwrap(), [132, 345]);
        for wrong in [&["133"][..], &["0"], &["lever"], &[], &["-1"], &["99999999999999999999"]] {
            let error = chosen(Some(wrong)).unwrap_err();
            assert!(error.details().contains(&("argument", "classes".into())), "{wrong:?}: {error}");
        }
    }
}
