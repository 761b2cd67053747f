//! The quick start of C#: what stands in the document is one program, from its first block to its last.

use std::fs;
use std::path::{Path, PathBuf};

use super::test::{folder, source};
use super::toolchain::{Framework, compile};
use crate::{Result, at, create_folder, root};

/// Compiles it beside the binding. `Voxseg.Tests/QuickStart` has what the document takes as given.
pub fn compiled(bin: &Path) -> Result<PathBuf> {
    let document = root().join("docs/quickstart-csharp.md");
    let text = fs::read_to_string(&document).map_err(at("read", &document))?;
    let made = folder().join("quickstart");
    create_folder(&made)?;
    let file = made.join("QuickStart.cs");
    fs::write(&file, program(&text)?).map_err(at("write", &file))?;
    let program = bin.join("QuickStart.exe");
    let given = source("Voxseg.Tests/QuickStart");
    compile(&Framework::Standard, &[made, given], &["Voxseg.Net.dll"], &program)?;
    Ok(program)
}

/// All blocks as the body of a method.
fn program(document: &str) -> Result<String> {
    let blocks: Vec<&str> = document
        .split("```csharp\n")
        .skip(1)
        .map(|rest| {
            rest.split_once("```").map(|(block, _)| block).ok_or("a block of the quick start has no end")
        })
        .collect::<std::result::Result<_, _>>()?;
    if blocks.len() < 4 {
        return Err("the quick start of C# has hardly any code".into());
    }
    let code = blocks.concat();
    let (namespaces, body): (Vec<&str>, Vec<&str>) =
        code.lines().partition(|line| line.starts_with("using ") && line.ends_with(';'));
    Ok(format!(
        "// Out of docs/quickstart-csharp.md.
using System;
using System.Threading;
using System.Threading.Tasks;
{}

internal static partial class QuickStart
{{
    private static async Task Run()
    {{
{}
    }}
}}
",
        namespaces.join("\n"),
        body.join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_one_program() {
        let block = |code: &str| format!("text\n```csharp\n{code}\n```\n");
        let document = [block("using A;\nf();"), block("g();"), block("h();"), block("i();")].concat();
        let text = program(&document).unwrap();
        assert!(text.contains("using A;\n\ninternal"), "{text}");
        assert!(text.contains("f();\ng();\nh();\ni();\n"), "{text}");
        assert!(program("no code").is_err());
    }
}
