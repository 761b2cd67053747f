//! Ids of the items of a config: the keys on the way to an item, with `::` between them, in older files `#`.

/// Keys on the way to an item; deeper ids are refused.
const DEEPEST: usize = 64;

const SEPARATOR: &str = "::";

/// The id with today's separator.
pub(super) fn normalize(text: &str) -> String {
    text.replace('#', SEPARATOR)
}

/// The id of a member or an element.
pub(super) fn join(id: &str, key: &str) -> String {
    if id.is_empty() { key.to_owned() } else { format!("{id}{SEPARATOR}{key}") }
}

/// The keys of an id with today's separator.
pub(super) fn keys(id: &str) -> Result<Vec<&str>, String> {
    let keys: Vec<&str> = id.split(SEPARATOR).collect();
    if keys.len() > DEEPEST {
        return Err(format!("the id has {} parts, the limit is {DEEPEST}", keys.len()));
    }
    Ok(if id.is_empty() { Vec::new() } else { keys })
}

/// The id that a reference within the item `base` means: separators in front of it lead out of as many
/// levels. `None` is the base of copies from another file, where relative ids have no meaning.
pub(super) fn absolute(reference: &str, base: Option<&str>) -> Result<String, String> {
    let rest = reference.trim_start_matches(':');
    let colons = reference.len() - rest.len();
    if colons == 0 {
        return Ok(reference.to_owned());
    }
    let (base, levels) = match base {
        Some(base) if colons.is_multiple_of(2) => (keys(base)?, colons / 2),
        _ => return Err(format!("the relative id `{reference}` has no meaning here")),
    };
    let Some(kept) = base.len().checked_sub(levels) else {
        return Err(format!("the relative id `{reference}` leads out of the config"));
    };
    Ok(base.iter().take(kept).rev().fold(rest.to_owned(), |id, key| format!("{key}{SEPARATOR}{id}")))
}

/// Bytes of the id at the start of a text: word characters and separators.
pub(super) fn length(text: &str) -> usize {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter == '_' || letter.is_alphanumeric());
        match rest.strip_prefix(SEPARATOR) {
            Some(after) => rest = after,
            None => return text.len() - rest.len(),
        }
    }
}

/// The file and the id of what a macro copies, `file.json::a::b` or `a::b`.
pub(super) fn split_file(text: &str) -> (Option<&str>, &str) {
    let lower = text.to_ascii_lowercase();
    let ends = [".json", ".yaml", ".yml"].into_iter().flat_map(|suffix| {
        let ends = lower.match_indices(suffix).map(move |(at, _)| at + suffix.len());
        ends.filter(|&end| lower[end..].is_empty() || lower[end..].starts_with(SEPARATOR))
    });
    match ends.max() {
        Some(end) => (Some(&text[..end]), text[end..].strip_prefix(SEPARATOR).unwrap_or("")),
        None => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_ids_lead_out_of_levels() {
        assert_eq!(absolute("a::b", Some("x")).unwrap(), "a::b");
        assert_eq!(absolute("::a", Some("x::y")).unwrap(), "x::a");
        assert_eq!(absolute("::::a::b", Some("x::y")).unwrap(), "a::b");
        assert_eq!(absolute("::1", Some("B::value3::2")).unwrap(), "B::value3::1");
        assert!(absolute("::::::a", Some("x::y")).unwrap_err().contains("leads out"));
        assert!(absolute("::a", None).unwrap_err().contains("no meaning"));
        assert!(absolute(":::a", Some("x::y")).unwrap_err().contains("no meaning"));
    }

    #[test]
    fn an_id_ends_where_its_letters_end() {
        assert_eq!(length("a::b.to(x)"), 4);
        assert_eq!(length("größe + 1"), "größe".len());
        assert_eq!(length("::a::0]"), 6);
        assert_eq!(length("a:b"), 1);
    }

    #[test]
    fn a_macro_may_name_a_file() {
        assert_eq!(split_file("a::b"), (None, "a::b"));
        assert_eq!(split_file("configs/train.yaml::a::b"), (Some("configs/train.yaml"), "a::b"));
        assert_eq!(split_file("x.json"), (Some("x.json"), ""));
        assert_eq!(split_file("x.json.bak::a"), (None, "x.json.bak::a"));
        assert_eq!(split_file("x.JSON::y.yml::z"), (Some("x.JSON::y.yml"), "z"));
    }
}
