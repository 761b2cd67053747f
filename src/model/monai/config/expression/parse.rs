//! Parses expressions by recursive descent, with the precedence of Python's operators
//! (<https://docs.python.org/3/reference/expressions.html#operator-precedence>).

use super::tokens::{Token, tokens};
use super::{Binary, Expression, Unary};

/// Brackets, operators on one value and conditions within each other; each takes up to two kilobytes of stack.
pub(in crate::model::monai::config) const DEEPEST: usize = 16;

/// The binary operators by how strongly they bind; `not` stands between the second and the third row.
const OPERATORS: [&[(&str, Binary)]; 5] = [
    &[("or", Binary::Or)],
    &[("and", Binary::And)],
    &[
        ("==", Binary::Equal),
        ("!=", Binary::NotEqual),
        ("<", Binary::Less),
        ("<=", Binary::LessEqual),
        (">", Binary::Greater),
        (">=", Binary::GreaterEqual),
        ("is", Binary::Is),
        ("in", Binary::In),
        ("not", Binary::NotIn),
    ],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("/", Binary::Divide), ("//", Binary::FloorDivide), ("%", Binary::Modulo)],
];
const COMPARISONS: usize = 2;
const RESERVED: [&str; 8] = ["if", "else", "for", "and", "or", "in", "is", "lambda"];

/// The tree of an expression, which is the text after the `$`, with at most so many levels.
pub(in crate::model::monai::config) fn parse(text: &str, levels: usize) -> Result<Expression, String> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, levels, left: levels, in_lambda: false };
    let expression = parser.expression()?;
    if parser.next < parser.tokens.len() {
        return Err(parser.unexpected());
    }
    Ok(expression)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    levels: usize,
    left: usize,
    in_lambda: bool,
}

impl Parser {
    /// A condition, a lambda or anything that binds stronger.
    fn expression(&mut self) -> Result<Expression, String> {
        self.nested(|parser| {
            if parser.eat("lambda") {
                return parser.lambda();
            }
            let then = parser.binary(0)?;
            if !parser.eat("if") {
                return Ok(then);
            }
            let test = parser.binary(0)?;
            parser.expect("else")?;
            let otherwise = parser.expression()?;
            Ok(Expression::Conditional { test: test.into(), then: then.into(), otherwise: otherwise.into() })
        })
    }

    // Functions that aren't inlined keep the frames of those that call each other small: see `resolve::DEEPEST`.
    #[inline(never)]
    fn lambda(&mut self) -> Result<Expression, String> {
        let parameter = self.word()?;
        self.expect(":")?;
        let outer = std::mem::replace(&mut self.in_lambda, true);
        let body = self.expression()?.into();
        self.in_lambda = outer;
        Ok(Expression::Lambda { parameter, body })
    }

    /// Operands with the operators between them that bind as strongly as those of a level, or stronger.
    fn binary(&mut self, weakest: usize) -> Result<Expression, String> {
        let mut left = if weakest <= COMPARISONS && self.eat("not") {
            let operand = self.nested(|parser| parser.binary(COMPARISONS))?;
            Expression::Unary(Unary::Not, operand.into())
        } else {
            self.unary()?
        };
        let mut compared = false;
        let levels = self.left;
        while let Some((level, mut operator)) = self.operator(weakest) {
            self.deeper()?;
            if level == COMPARISONS && std::mem::replace(&mut compared, true) {
                return Err("comparisons in a row are outside what is evaluated".into());
            }
            self.next += 1;
            match operator {
                Binary::NotIn => self.expect("in")?,
                Binary::Is if self.eat("not") => operator = Binary::IsNot,
                _ => {}
            }
            // What binds stronger belongs to the right one.
            let right = self.binary(level + 1)?;
            left = Expression::Binary(operator, [left, right].into());
        }
        self.left = levels;
        Ok(left)
    }

    /// The operator that is next, and its level, if it binds strongly enough.
    fn operator(&self, weakest: usize) -> Option<(usize, Binary)> {
        let levels = OPERATORS.iter().enumerate().skip(weakest);
        let mut all = levels.flat_map(|(level, row)| row.iter().map(move |operator| (level, operator)));
        all.find(|(_, (symbol, _))| self.is(symbol)).map(|(level, (_, operator))| (level, *operator))
    }

    fn unary(&mut self) -> Result<Expression, String> {
        let operator = if self.eat("-") {
            Unary::Negative
        } else if self.eat("+") {
            Unary::Positive
        } else {
            return self.postfix();
        };
        let operand = self.nested(Parser::unary)?;
        Ok(Expression::Unary(operator, operand.into()))
    }

    fn postfix(&mut self) -> Result<Expression, String> {
        let mut value = self.atom()?;
        let levels = self.left;
        loop {
            value = if self.eat(".") {
                let name = self.word()?;
                match value {
                    Expression::Name(module) => Expression::Name(format!("{module}.{name}")),
                    value => Expression::Attribute(value.into(), name),
                }
            } else if self.eat("[") {
                let index = self.expression()?;
                self.expect("]")?;
                Expression::Index([value, index].into())
            } else if self.eat("(") {
                self.call(value)?
            } else {
                self.left = levels;
                return Ok(value);
            };
            self.deeper()?;
        }
    }

    #[inline(never)]
    fn call(&mut self, callee: Expression) -> Result<Expression, String> {
        let (mut positional, mut keywords) = (Vec::new(), Vec::new());
        while !self.eat(")") {
            let named = matches!(self.tokens.get(self.next + 1), Some(Token::Symbol("=")));
            if self.eat("**") {
                keywords.push((None, self.expression()?));
            } else if named {
                let name = self.word()?;
                self.expect("=")?;
                keywords.push((Some(name), self.expression()?));
            } else if keywords.is_empty() {
                positional.push(self.expression()?);
            } else {
                return Err("an argument without a name after one with a name".into());
            }
            if !self.is(")") {
                self.expect(",")?;
            }
        }
        Ok(Expression::Call { callee: callee.into(), positional, keywords })
    }

    fn atom(&mut self) -> Result<Expression, String> {
        let Some(token) = self.tokens.get(self.next).cloned() else { return Err(self.unexpected()) };
        let value = match token {
            Token::Int(value) => Expression::Int(value),
            Token::Float(value) => Expression::Float(value),
            Token::Text(text) => Expression::Text(text),
            Token::Reference(_) if self.in_lambda => {
                return Err("a lambda that refers to another item is outside what is evaluated".into());
            }
            Token::Reference(id) => Expression::Reference(id),
            Token::Symbol("(") => {
                self.next += 1;
                let (mut items, comma) = self.items(")")?;
                return Ok(match items.pop() {
                    Some(only) if items.is_empty() && !comma => only,
                    last => Expression::List(items.into_iter().chain(last).collect()),
                });
            }
            Token::Symbol("[") => {
                self.next += 1;
                return self.list();
            }
            Token::Symbol("{") => {
                self.next += 1;
                return self.dict();
            }
            Token::Symbol(_) => return Err(self.unexpected()),
            Token::Word(word) => match word.as_str() {
                "None" => Expression::None,
                "True" => Expression::Bool(true),
                "False" => Expression::Bool(false),
                _ => return Ok(Expression::Name(self.word()?)),
            },
        };
        self.next += 1;
        Ok(value)
    }

    /// A list, or what is made of each element of another.
    #[inline(never)]
    fn list(&mut self) -> Result<Expression, String> {
        if self.eat("]") {
            return Ok(Expression::List(Vec::new()));
        }
        let first = self.expression()?;
        if self.eat("for") {
            let variable = self.word()?;
            self.expect("in")?;
            let over = self.nested(|parser| parser.binary(0))?.into();
            self.expect("]")?;
            return Ok(Expression::Comprehension { item: first.into(), variable, over });
        }
        let mut items = vec![first];
        if self.eat(",") {
            items.extend(self.items("]")?.0);
        } else if !self.eat("]") {
            return Err(self.unexpected());
        }
        Ok(Expression::List(items))
    }

    /// What stands before a closing bracket, and whether a comma is the last of it.
    #[inline(never)]
    fn items(&mut self, end: &str) -> Result<(Vec<Expression>, bool), String> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.eat(end) {
            items.push(self.expression()?);
            comma = self.eat(",");
            if !comma && !self.is(end) {
                return Err(self.unexpected());
            }
        }
        Ok((items, comma))
    }

    #[inline(never)]
    fn dict(&mut self) -> Result<Expression, String> {
        let mut members = Vec::new();
        while !self.eat("}") {
            let key = self.expression()?;
            self.expect(":")?;
            members.push((key, self.expression()?));
            if !self.is("}") {
                self.expect(",")?;
            }
        }
        Ok(Expression::Dict(members))
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        self.deeper()?;
        let value = read(self)?;
        self.left += 1;
        Ok(value)
    }

    /// Spends one of the levels that the tree may have. Operators and calls in a row make it deeper, too.
    fn deeper(&mut self) -> Result<(), String> {
        let left = self.left.checked_sub(1).ok_or_else(|| format!("more than {} levels", self.levels));
        self.left = left?;
        Ok(())
    }

    fn is(&self, text: &str) -> bool {
        match self.tokens.get(self.next) {
            Some(Token::Symbol(symbol)) => *symbol == text,
            Some(Token::Word(word)) => word == text,
            _ => false,
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.is(text);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.eat(text) { Ok(()) } else { Err(format!("{}, expected `{text}`", self.unexpected())) }
    }

    fn word(&mut self) -> Result<String, String> {
        match self.tokens.get(self.next) {
            Some(Token::Word(word)) if !RESERVED.contains(&word.as_str()) => {
                self.next += 1;
                Ok(word.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    #[inline(never)]
    fn unexpected(&self) -> String {
        let shorten = crate::file::shorten;
        match self.tokens.get(self.next) {
            None => "it ends too early".into(),
            Some(Token::Symbol(symbol)) => format!("`{symbol}` is unexpected"),
            Some(Token::Word(word)) => format!("`{}` is unexpected", shorten(word)),
            Some(Token::Int(value)) => format!("`{value}` is unexpected"),
            Some(Token::Float(value)) => format!("`{value}` is unexpected"),
            Some(Token::Text(text)) => format!("the text \"{}\" is unexpected", shorten(text)),
            Some(Token::Reference(id)) => format!("`@{}` is unexpected", shorten(id)),
        }
    }
}
