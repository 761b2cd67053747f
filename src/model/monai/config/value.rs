//! What the items of a config resolve to: JSON's values, and what they describe of Python's objects.

use super::expression::Expression;

/// A resolved item.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null` or `None`.
    None,
    /// `true` or `False`, and so on.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number, finite.
    Float(f64),
    /// A text.
    Text(String),
    /// A list or a tuple.
    List(Vec<Value>),
    /// A dict in its order; keys that are numbers are texts here.
    Dict(Vec<(String, Value)>),
    /// An object that the config has created.
    Component(Box<Component>),
    /// A function of one parameter.
    Lambda(Box<Lambda>),
    /// An object of Python's run time by its name, as `torch.float32` or `torch.device`.
    Runtime(String),
    /// An argument that can't be evaluated, and why: an error for who needs it.
    Unsupported(String),
}

/// An object that the config has created: what `_target_` names, called with arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// Class or function, perhaps with its module: `UNet`, `monai.networks.nets.UNet`.
    pub target: String,
    /// The arguments by their names, in the config's order.
    pub arguments: Vec<(String, Value)>,
    /// Where it stands in the config: equal for all references to one item.
    pub id: String,
    /// Whether the function itself is meant, the arguments bound to it, and not what it returns.
    pub callable: bool,
}

impl Component {
    /// The class or function without its module.
    pub fn name(&self) -> &str {
        self.target.rsplit('.').next().unwrap_or(&self.target)
    }

    /// An argument, if it is given.
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// A function of one parameter, parsed but never run: who uses it recognises what its body computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    /// The parameter's name.
    pub parameter: String,
    /// What it returns.
    pub body: Expression,
    /// As it is written.
    pub source: String,
}

impl Value {
    /// JSON's values as they are; a text is a text.
    pub fn from_json(json: &serde_json::Value) -> Value {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::None,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Value::Int(value),
                None => Value::Float(number.as_f64().unwrap_or(f64::MAX)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            Json::Object(members) => {
                let member = |(key, value): (&String, &Json)| (key.clone(), Value::from_json(value));
                Value::Dict(members.iter().map(member).collect())
            }
        }
    }

    /// How many values it is made of.
    pub fn size(&self) -> usize {
        match self {
            Value::List(list) => 1 + list.iter().map(Value::size).sum::<usize>(),
            Value::Dict(dict) => 1 + dict.iter().map(|(_, value)| value.size()).sum::<usize>(),
            _ => 1,
        }
    }

    /// What Python's `bool` makes of it.
    pub fn is_truthy(&self) -> bool {
        match self {
            Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Dict(dict) => !dict.is_empty(),
            Value::Component(_) | Value::Lambda(_) | Value::Runtime(_) | Value::Unsupported(_) => true,
        }
    }

    /// Why a part of it can't be evaluated, if one can't.
    pub fn unsupported(&self) -> Option<&str> {
        match self {
            Value::Unsupported(what) => Some(what),
            Value::List(list) => list.iter().find_map(Value::unsupported),
            Value::Dict(dict) => dict.iter().find_map(|(_, value)| value.unsupported()),
            Value::Component(component) => {
                component.arguments.iter().find_map(|(_, value)| value.unsupported())
            }
            _ => None,
        }
    }

    /// A short description for error texts.
    pub fn describe(&self) -> String {
        match self {
            Value::None => "None".into(),
            Value::Bool(value) => if *value { "True" } else { "False" }.into(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(text) => format!("text \"{}\"", crate::file::shorten(text)),
            Value::List(list) => format!("a list of {}", list.len()),
            Value::Dict(dict) => format!("a dict of {}", dict.len()),
            Value::Component(component) => {
                format!("an object of `{}`", crate::file::shorten(&component.target))
            }
            Value::Lambda(lambda) => format!("`{}`", crate::file::shorten(&lambda.source)),
            Value::Runtime(name) => format!("`{name}`"),
            Value::Unsupported(what) => what.clone(),
        }
    }
}
