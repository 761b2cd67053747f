//! Computes what an expression stands for. Functions are those of the list here; nothing else is called.

use super::{Binary, Expression, Unary};
use crate::error::{Error, Result};
use crate::file::shorten;
use crate::model::monai::config::value::{Component, Lambda, Value};

/// Where an expression stands.
pub(in crate::model::monai::config) trait Context {
    /// What an id refers to.
    fn reference(&mut self, id: &str) -> Result<Value>;

    /// What a checkpoint of the model holds, read as data.
    fn load(&mut self, path: &str) -> Result<Value>;

    /// What comprehensions call their elements, the innermost last.
    fn variables(&mut self) -> &mut Vec<(String, Value)>;

    /// Goes one level deeper; an error where that is too deep, or too much was computed already.
    fn enter(&mut self) -> Result<()>;

    /// Goes back a level.
    fn leave(&mut self);

    /// The id of the item.
    fn id(&self) -> &str;

    /// The expression's text.
    fn source(&self) -> &str;

    /// The error that the expression can't be evaluated.
    fn refuse(&self, reason: &str) -> Error;
}

/// Arguments that a dict may stand for.
const MOST_ARGUMENTS: usize = 256;

/// Elements of a list that is computed from another, or from two.
const MOST_ELEMENTS: usize = 4096;

/// The types of torch and numpy that configs name.
const TYPES: [&str; 21] = [
    "float16", "float32", "float64", "bfloat16", "half", "float", "double", "int8", "int16", "int32",
    "int64", "uint8", "uint16", "uint32", "uint64", "short", "int", "long", "bool", "bool_", "single",
];

/// What `monai.utils.CommonKeys` calls the entries of a sample.
const COMMON_KEYS: [(&str, &str); 5] =
    [("IMAGE", "image"), ("LABEL", "label"), ("PRED", "pred"), ("LOSS", "loss"), ("METADATA", "metadata")];

/// The value of an expression.
pub(in crate::model::monai::config) fn evaluate<C: Context>(
    expression: &Expression,
    context: &mut C,
) -> Result<Value> {
    context.enter()?;
    let value = match expression {
        Expression::None => Value::None,
        Expression::Bool(value) => Value::Bool(*value),
        Expression::Int(value) => Value::Int(*value),
        Expression::Float(value) => Value::Float(*value),
        Expression::Text(text) => Value::Text(text.clone()),
        Expression::Reference(id) => context.reference(id)?,
        Expression::Name(name) => named(name, context)?,
        Expression::List(items) => Value::List(all(items, context)?),
        Expression::Comprehension { item, variable, over } => comprehension(item, variable, over, context)?,
        Expression::Dict(members) => dict(members, context)?,
        Expression::Unary(operator, operand) => {
            let value = evaluate(operand, context)?;
            unary(*operator, &value).ok_or_else(|| context.refuse("an operand has the wrong type"))?
        }
        Expression::Binary(operator, operands) => binary(*operator, operands, context)?,
        Expression::Conditional { test, then, otherwise } => {
            let chosen = if evaluate(test, context)?.is_truthy() { then } else { otherwise };
            evaluate(chosen, context)?
        }
        Expression::Index(operands) => index(operands, context)?,
        Expression::Attribute(_, name) => return Err(outside(name, context)),
        Expression::Call { callee, positional, keywords } => call(callee, positional, keywords, context)?,
        Expression::Lambda { parameter, body } => lambda(parameter, body, context),
    };
    context.leave();
    Ok(value)
}

// The parts aren't inlined, so that the frames of an expression's levels are small: see `resolve::DEEPEST`.

#[inline(never)]
fn dict<C: Context>(members: &[(Expression, Expression)], context: &mut C) -> Result<Value> {
    let mut dict = Vec::new();
    for (key, value) in members {
        let key = evaluate(key, context)?;
        let key = dict_key(&key).ok_or_else(|| context.refuse("a key that is neither text nor number"))?;
        insert(&mut dict, key, evaluate(value, context)?);
    }
    Ok(Value::Dict(dict))
}

#[inline(never)]
fn comprehension<C: Context>(
    item: &Expression,
    variable: &str,
    over: &Expression,
    context: &mut C,
) -> Result<Value> {
    let over = match evaluate(over, context)? {
        Value::List(list) if list.len() <= MOST_ELEMENTS => list,
        other => return Err(context.refuse(&format!("`for` in {}", other.describe()))),
    };
    let mut list = Vec::new();
    for element in over {
        context.variables().push((variable.to_owned(), element));
        let value = evaluate(item, context);
        context.variables().pop();
        list.push(value?);
    }
    Ok(Value::List(list))
}

#[inline(never)]
fn index<C: Context>(operands: &[Expression; 2], context: &mut C) -> Result<Value> {
    let [container, index] = operands;
    let (container, index) = (evaluate(container, context)?, evaluate(index, context)?);
    element(container, &index)
        .ok_or_else(|| context.refuse(&format!("there is no element {}", shorten(&index.describe()))))
}

#[inline(never)]
fn lambda<C: Context>(parameter: &str, body: &Expression, context: &C) -> Value {
    let source = context.source().trim().into();
    Value::Lambda(Lambda { parameter: parameter.into(), body: body.clone(), source }.into())
}

#[inline(never)]
fn all<C: Context>(items: &[Expression], context: &mut C) -> Result<Vec<Value>> {
    items.iter().map(|item| evaluate(item, context)).collect()
}

fn outside(name: &str, context: &impl Context) -> Error {
    context.refuse(&format!("`{}` is outside what is evaluated", shorten(name)))
}

#[inline(never)]
fn named(name: &str, context: &mut impl Context) -> Result<Value> {
    if let Some((_, value)) = context.variables().iter().rev().find(|(variable, _)| variable == name) {
        return Ok(value.clone());
    }
    let (module, last) = name.rsplit_once('.').unwrap_or(("", name));
    match module {
        "torch" | "numpy" | "np" if TYPES.contains(&last) => {
            let module = if module == "np" { "numpy" } else { module };
            Ok(Value::Runtime(format!("{module}.{last}")))
        }
        "monai.utils.CommonKeys" => match COMMON_KEYS.iter().find(|(key, _)| *key == last) {
            Some((_, text)) => Ok(Value::Text((*text).into())),
            None => Err(outside(name, context)),
        },
        _ => Err(outside(name, context)),
    }
}

#[inline(never)]
fn call<C: Context>(
    callee: &Expression,
    positional: &[Expression],
    keywords: &[(Option<String>, Expression)],
    context: &mut C,
) -> Result<Value> {
    match callee {
        // Where the model runs is the caller's choice, so how the config chooses isn't looked at.
        Expression::Name(name) if name == "torch.device" => Ok(Value::Runtime(name.clone())),
        Expression::Name(name) if name == "torch.load" => match positional {
            // What else is given says where to and how.
            [path] => match evaluate(path, context)? {
                Value::Text(path) => context.load(&path),
                other => Err(context.refuse(&format!("`torch.load` of {}", other.describe()))),
            },
            _ => Err(outside(name, context)),
        },
        Expression::Name(name) if name == "range" && keywords.is_empty() => range(positional, context),
        Expression::Name(name) if name.starts_with("monai.") => {
            if !positional.is_empty() {
                return Err(context.refuse("arguments without names are outside what is evaluated"));
            }
            component(name, keywords, context)
        }
        Expression::Name(name) => match (positional, keywords) {
            ([argument], []) => applied(name, argument, context),
            _ => Err(outside(name, context)),
        },
        Expression::Attribute(object, name) => method(object, name, positional, keywords, context),
        _ => Err(context.refuse("a call of what isn't a function's name")),
    }
}

/// Whole numbers one after the other.
#[inline(never)]
fn range<C: Context>(bounds: &[Expression], context: &mut C) -> Result<Value> {
    let (start, end) = match &all(bounds, context)?[..] {
        [Value::Int(end)] => (0, *end),
        [Value::Int(start), Value::Int(end)] => (*start, *end),
        _ => return Err(context.refuse("`range` of other than one or two whole numbers")),
    };
    if end.saturating_sub(start) > MOST_ELEMENTS as i64 {
        return Err(context.refuse(&format!("`range` of more than {MOST_ELEMENTS} numbers")));
    }
    Ok(Value::List((start..end).map(Value::Int).collect()))
}

/// An object of MONAI's.
#[inline(never)]
fn component<C: Context>(
    target: &str,
    keywords: &[(Option<String>, Expression)],
    context: &mut C,
) -> Result<Value> {
    let mut arguments = Vec::new();
    for (name, value) in keywords {
        match (name, evaluate(value, context)?) {
            (Some(name), value) => insert(&mut arguments, name.clone(), value),
            (None, Value::Dict(members)) if members.len() <= MOST_ARGUMENTS => {
                members.into_iter().for_each(|(name, value)| insert(&mut arguments, name, value));
            }
            (None, value) => {
                let found = value.describe();
                return Err(context.refuse(&format!("`**` unpacks {found}, expected a dict of arguments")));
            }
        }
    }
    let (target, id) = (target.to_owned(), context.id().into());
    Ok(Value::Component(Component { target, arguments, id, callable: false }.into()))
}

/// What a function makes of its argument.
#[inline(never)]
fn applied<C: Context>(name: &str, argument: &Expression, context: &mut C) -> Result<Value> {
    let function = function(name).ok_or_else(|| outside(name, context))?;
    let value = evaluate(argument, context)?;
    let found = value.describe();
    function(value).ok_or_else(|| context.refuse(&format!("`{}` of {found}", shorten(name))))
}

#[inline(never)]
fn method<C: Context>(
    object: &Expression,
    name: &str,
    positional: &[Expression],
    keywords: &[(Option<String>, Expression)],
    context: &mut C,
) -> Result<Value> {
    let value = evaluate(object, context)?;
    match (name, value, positional, keywords) {
        ("eval" | "cuda" | "cpu", Value::Component(object), [], []) => Ok(Value::Component(object)),
        ("to", Value::Component(object), [place], []) => match evaluate(place, context)? {
            Value::Text(_) => Ok(Value::Component(object)),
            Value::Runtime(place) if place == "torch.device" => Ok(Value::Component(object)),
            place => Err(context.refuse(&format!("`to` {}, expected a device", place.describe()))),
        },
        ("keys", Value::Dict(dict), [], []) => {
            Ok(Value::List(dict.into_iter().map(|(key, _)| Value::Text(key)).collect()))
        }
        ("values", Value::Dict(dict), [], []) => {
            Ok(Value::List(dict.into_iter().map(|(_, value)| value).collect()))
        }
        _ => Err(outside(name, context)),
    }
}

type Function = fn(Value) -> Option<Value>;

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "len" => |value| match value {
            Value::Text(text) => Some(Value::Int(text.chars().count() as i64)),
            Value::List(list) => Some(Value::Int(list.len() as i64)),
            Value::Dict(dict) => Some(Value::Int(dict.len() as i64)),
            _ => None,
        },
        "bool" => |value| Some(Value::Bool(value.is_truthy())),
        "int" => |value| match value {
            Value::Float(value) if value.abs() < 2f64.powi(53) => Some(Value::Int(value as i64)),
            Value::Int(value) => Some(Value::Int(value)),
            _ => None,
        },
        "float" => |value| number(&value).map(Value::Float),
        "str" => |value| match value {
            Value::Int(value) => Some(Value::Text(value.to_string())),
            Value::Text(text) => Some(Value::Text(text)),
            _ => None,
        },
        "list" | "tuple" => |value| match value {
            Value::List(list) => Some(Value::List(list)),
            Value::Dict(dict) => {
                Some(Value::List(dict.into_iter().map(|(key, _)| Value::Text(key)).collect()))
            }
            _ => None,
        },
        // Small whole numbers come out of Python's sets in ascending order.
        "set" => |value| {
            let Value::List(list) = value else { return None };
            let number = |value: &Value| if let Value::Int(value) = value { Some(*value) } else { None };
            let mut numbers = list.iter().map(number).collect::<Option<Vec<_>>>()?;
            numbers.sort_unstable();
            numbers.dedup();
            Some(Value::List(numbers.into_iter().map(Value::Int).collect()))
        },
        "copy.copy" | "copy.deepcopy" | "torch.from_numpy" | "torch.tensor" | "torch.as_tensor" => Some,
        _ => return None,
    })
}

/// Adds a member or replaces its value, which then stands where it stood.
fn insert(dict: &mut Vec<(String, Value)>, key: String, value: Value) {
    match dict.iter_mut().find(|(present, _)| *present == key) {
        Some((_, present)) => *present = value,
        None => dict.push((key, value)),
    }
}

fn dict_key(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(value) => Some(value.to_string()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        _ => None,
    }
}

fn element(container: Value, index: &Value) -> Option<Value> {
    match (container, index) {
        (Value::List(mut list), Value::Int(index)) => {
            let index = if *index < 0 { index.checked_add(list.len() as i64)? } else { *index };
            let index = usize::try_from(index).ok().filter(|&index| index < list.len())?;
            Some(list.swap_remove(index))
        }
        (Value::Dict(dict), key) => {
            let key = dict_key(key)?;
            dict.into_iter().find(|(present, _)| *present == key).map(|(_, value)| value)
        }
        _ => None,
    }
}

fn unary(operator: Unary, value: &Value) -> Option<Value> {
    match (operator, value) {
        (Unary::Not, value) => Some(Value::Bool(!value.is_truthy())),
        (Unary::Negative, Value::Int(value)) => Some(Value::Int(value.checked_neg()?)),
        (Unary::Negative, Value::Float(value)) => Some(Value::Float(-value)),
        (Unary::Positive, Value::Int(_) | Value::Float(_)) => Some(value.clone()),
        _ => None,
    }
}

#[inline(never)]
fn binary<C: Context>(operator: Binary, operands: &[Expression; 2], context: &mut C) -> Result<Value> {
    let left = evaluate(&operands[0], context)?;
    match operator {
        Binary::Or if left.is_truthy() => return Ok(left),
        Binary::And if !left.is_truthy() => return Ok(left),
        _ => {}
    }
    let right = evaluate(&operands[1], context)?;
    let found = format!("{} and {}", left.describe(), right.describe());
    let value = combined(operator, left, right);
    value.ok_or_else(|| context.refuse(&format!("{operator:?} of {found} is outside what is evaluated")))
}

#[inline(never)]
fn combined(operator: Binary, left: Value, right: Value) -> Option<Value> {
    match operator {
        Binary::Or | Binary::And => Some(right),
        Binary::Is | Binary::IsNot => {
            // Identity is plain for the constants only.
            let constant = |value: &Value| matches!(value, Value::None | Value::Bool(_));
            (constant(&left) || constant(&right))
                .then(|| Value::Bool((left == right) == (operator == Binary::Is)))
        }
        Binary::Equal => equal(&left, &right).map(Value::Bool),
        Binary::NotEqual => equal(&left, &right).map(|equal| Value::Bool(!equal)),
        Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => {
            compare(operator, &left, &right).map(Value::Bool)
        }
        Binary::In => contains(&right, &left).map(Value::Bool),
        Binary::NotIn => contains(&right, &left).map(|contains| Value::Bool(!contains)),
        _ => arithmetic(operator, left, right),
    }
}

fn equal(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left == right),
        // Python's True is equal to 1, which is better not relied on.
        (Value::Bool(_), Value::Int(_) | Value::Float(_))
        | (Value::Int(_) | Value::Float(_), Value::Bool(_)) => None,
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => Some(left == right),
            _ => Some(left == right),
        },
    }
}

fn compare(operator: Binary, left: &Value, right: &Value) -> Option<bool> {
    let order = match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        _ => number(left)?.partial_cmp(&number(right)?)?,
    };
    Some(match operator {
        Binary::Less => order.is_lt(),
        Binary::LessEqual => order.is_le(),
        Binary::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

fn contains(container: &Value, value: &Value) -> Option<bool> {
    match (container, value) {
        (Value::List(list), value) => {
            let equals: Option<Vec<bool>> = list.iter().map(|item| equal(item, value)).collect();
            Some(equals?.contains(&true))
        }
        (Value::Dict(dict), key) => {
            let key = dict_key(key)?;
            Some(dict.iter().any(|(present, _)| *present == key))
        }
        (Value::Text(text), Value::Text(part)) => Some(text.contains(part.as_str())),
        _ => None,
    }
}

fn arithmetic(operator: Binary, left: Value, right: Value) -> Option<Value> {
    match (operator, left, right) {
        (Binary::Add, Value::Text(left), Value::Text(right)) => Some(Value::Text(left + &right)),
        (Binary::Add, Value::List(mut left), Value::List(right)) => {
            left.extend(right);
            Some(Value::List(left))
        }
        // Of sets, as lists can't be subtracted.
        (Binary::Subtract, Value::List(mut left), Value::List(right))
            if left.len().max(right.len()) <= MOST_ELEMENTS =>
        {
            left.retain(|value| !right.contains(value));
            Some(Value::List(left))
        }
        (_, Value::Int(left), Value::Int(right)) if operator != Binary::Divide => {
            let remainder = || {
                left.checked_rem(right)
                    .map(|rest| if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest })
            };
            Some(Value::Int(match operator {
                Binary::Add => left.checked_add(right)?,
                Binary::Subtract => left.checked_sub(right)?,
                Binary::Multiply => left.checked_mul(right)?,
                Binary::Modulo => remainder()?,
                // Python rounds towards minus infinity.
                _ => left.checked_sub(remainder()?)?.checked_div(right)?,
            }))
        }
        (_, left, right) => {
            let (left, right) = (number(&left)?, number(&right)?);
            let value = match operator {
                Binary::Add => left + right,
                Binary::Subtract => left - right,
                Binary::Multiply => left * right,
                Binary::Divide => left / right,
                _ => return None,
            };
            value.is_finite().then_some(Value::Float(value))
        }
    }
}
