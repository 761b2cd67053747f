//! Texts of files in error texts.

/// The start of a text that a stranger wrote, made fit for an error text: short, and without what a terminal or a log
/// would take for more than letters. Quotes stay as they are: many of these texts are expressions.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short = String::new();
    for letter in text.chars().take(LONGEST) {
        match letter {
            '\'' | '"' | '\\' => short.push(letter),
            _ => short.extend(letter.escape_debug()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_short_and_harmless() {
        assert_eq!(shorten("@a + 'ü' \"\\"), "@a + 'ü' \"\\");
        assert_eq!(shorten("a\u{1b}[2J\n\u{202e}"), "a\\u{1b}[2J\\n\\u{202e}");
        assert_eq!(shorten(&"ü".repeat(80)), "ü".repeat(80));
        assert_eq!(shorten(&"ü".repeat(81)), "ü".repeat(80) + "…");
    }
}
