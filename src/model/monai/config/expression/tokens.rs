//! Splits the text of an expression into its tokens.

use crate::file::shorten;
use crate::model::monai::config::id;

/// Bytes and tokens of one expression; what computes a value of a model has some ten.
const LONGEST: usize = 4096;
const MOST: usize = 512;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Int(i64),
    Float(f64),
    Text(String),
    /// The id of a reference.
    Reference(String),
    Word(String),
    Symbol(&'static str),
}

/// Longer ones first.
const SYMBOLS: [&str; 23] = [
    "**", "//", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",",
    ":", ".", "=",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    if text.len() > LONGEST {
        return Err(format!("{} bytes, the limit is {LONGEST}", text.len()));
    }
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first == '@' {
            let length = 1 + id::length(&rest[1..]);
            (Token::Reference(rest[1..length].to_owned()), length)
        } else if first == '\'' || first == '"' {
            quoted(rest, first)?
        } else if first.is_ascii_digit()
            || first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())
        {
            number(rest)?
        } else if first == '_' || first.is_alphabetic() {
            let end =
                rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(rest.len());
            (Token::Word(rest[..end].to_owned()), end)
        } else {
            let symbol = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol));
            let symbol = symbol.ok_or_else(|| format!("`{first}` is outside what is evaluated"))?;
            (Token::Symbol(symbol), symbol.len())
        };
        tokens.push(token);
        if tokens.len() > MOST {
            return Err(format!("more than {MOST} tokens"));
        }
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn quoted(rest: &str, quote: char) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        text.push(match letter {
            letter if letter == quote => return Ok((Token::Text(text), at + 1)),
            // The reference replaces both within texts too, which nobody who writes a text means.
            '@' => return Err("`@` in a text is outside what is evaluated".into()),
            ':' if text.ends_with(':') => {
                return Err("`::` or `#` in a text is outside what is evaluated".into());
            }
            '\\' => match letters.next() {
                Some((_, 'n')) => '\n',
                Some((_, 't')) => '\t',
                Some((_, letter @ ('\\' | '\'' | '"'))) => letter,
                _ => return Err("an escape in a text is outside what is evaluated".into()),
            },
            letter => letter,
        });
    }
    Err("a text without its end".into())
}

fn number(rest: &str) -> Result<(Token, usize), String> {
    let mut end = 0;
    let mut exponent = false;
    for (at, letter) in rest.char_indices() {
        let part_of_it = match letter {
            '+' | '-' => rest[..at].ends_with(['e', 'E']) && exponent,
            'e' | 'E' => !std::mem::replace(&mut exponent, true),
            '.' => true,
            letter => letter == '_' || letter.is_alphanumeric(),
        };
        if !part_of_it {
            break;
        }
        end = at + letter.len_utf8();
    }
    let text = &rest[..end];
    let wrong = || format!("the number `{}` is outside what is evaluated", shorten(text));
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let padded = text.len() > 1 && text.starts_with('0');
        let value = text.parse().ok().filter(|_| !padded).ok_or_else(wrong)?;
        return Ok((Token::Int(value), end));
    }
    let value = text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(wrong)?;
    Ok((Token::Float(value), end))
}
