//! The few Python expressions that inference configs compute their values with, from their text to a tree.
//! Nothing
//! is run as Python: what isn't in the tree's grammar is refused.

mod evaluate;
mod parse;
mod tokens;

pub(super) use evaluate::{Context, evaluate};
pub(super) use parse::{DEEPEST, parse};

/// An expression as a tree.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    /// A text in quotes.
    Text(String),
    /// `@id`, without the `@`.
    Reference(String),
    /// A name, perhaps with its module: `x`, `torch.where`.
    Name(String),
    /// A list or a tuple.
    List(Vec<Expression>),
    /// `[item for variable in over]`.
    Comprehension {
        /// What is made of each element.
        item: Box<Expression>,
        /// The name that an element has in it.
        variable: String,
        /// A list.
        over: Box<Expression>,
    },
    /// Keys and values in braces.
    Dict(Vec<(Expression, Expression)>),
    /// `not a` or `-a`.
    Unary(Unary, Box<Expression>),
    /// `a + b` and such.
    Binary(Binary, Box<[Expression; 2]>),
    /// `then if test else otherwise`.
    Conditional {
        /// What decides.
        test: Box<Expression>,
        /// The value where the test holds.
        then: Box<Expression>,
        /// The value elsewhere.
        otherwise: Box<Expression>,
    },
    /// `a[b]`: what is indexed, and by what.
    Index(Box<[Expression; 2]>),
    /// `a.name`, where `a` isn't a name itself.
    Attribute(Box<Expression>, String),
    /// A call.
    Call {
        /// What is called.
        callee: Box<Expression>,
        /// Arguments without names.
        positional: Vec<Expression>,
        /// Arguments with their names; none where `**` unpacks a dict.
        keywords: Vec<(Option<String>, Expression)>,
    },
    /// `lambda parameter: body`.
    Lambda {
        /// The parameter's name.
        parameter: String,
        /// What it returns.
        body: Box<Expression>,
    },
}

/// An operator on one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `not`.
    Not,
    /// `-`.
    Negative,
    /// `+`.
    Positive,
}

/// An operator between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `or`.
    Or,
    /// `and`.
    And,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterEqual,
    /// `is`.
    Is,
    /// `is not`.
    IsNot,
    /// `in`.
    In,
    /// `not in`.
    NotIn,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `//`.
    FloorDivide,
    /// `%`.
    Modulo,
}

#[cfg(test)]
mod tests;
