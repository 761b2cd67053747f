//! Lines of comments and documents keep to 120 columns. Tables and code in documents may be longer.

use std::path::{Path, PathBuf};

const WIDTH: usize = 120;

fn files(folder: &Path, ending: &str, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, all);
        } else if path.extension().is_some_and(|found| found == ending) {
            all.push(path);
        }
    }
}

/// The lines of a file that count, with their numbers.
fn prose<'a>(path: &Path, text: &'a str) -> Vec<(usize, &'a str)> {
    let document = path.extension().is_some_and(|ending| ending == "md");
    let mut code = false;
    let counts = |(_, line): &(usize, &str)| {
        let line = line.trim_start();
        code ^= document && line.starts_with("```");
        if document { !code && !line.starts_with('|') } else { line.starts_with("//") }
    };
    (1..).zip(text.lines()).filter(counts).collect()
}

#[test]
fn comments_and_documents_keep_to_their_width() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)).to_vec();
    for (folder, ending) in [("docs", "md"), ("src", "rs"), ("tool", "rs"), ("tests", "rs"), ("xtask", "rs")]
    {
        files(&root.join(folder), ending, &mut all);
    }
    let mut long = Vec::new();
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = prose(&path, &text).into_iter().filter(|(_, line)| line.chars().count() > WIDTH);
        long.extend(lines.map(|(number, _)| format!("{}:{number}", path.display())));
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn tables_and_code_may_be_longer() {
    let wide = "x".repeat(WIDTH + 1);
    let document = format!("{wide}\n| {wide} |\n```\n{wide}\n```\n{wide}\n");
    let numbers = |path: &str, text: &str| -> Vec<usize> {
        prose(Path::new(path), text)
            .into_iter()
            .filter(|(_, line)| line.len() > WIDTH)
            .map(|(n, _)| n)
            .collect()
    };
    assert_eq!(numbers("a.md", &document), [1, 6]);
    assert_eq!(numbers("a.rs", &format!("    // {wide}\nlet a = {wide};\n")), [1]);
}
