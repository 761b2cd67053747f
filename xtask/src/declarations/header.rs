//! voxseg.h as data: the constants, structures, callbacks and functions that it declares.
//!
//! It reads what cbindgen writes for this project and no more of C than that; anything else is an error that names
//! the place, so that a new form is noticed and not left out.

use std::collections::VecDeque;

use crate::Result;

/// A pointer to, an array of, or just a named type.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    pub name: String,
    /// Number of `*`.
    pub pointers: usize,
    /// Whether a `const` is in it.
    pub reads: bool,
    /// Entries of an array in a structure.
    pub array: Option<usize>,
}

/// A field or a parameter.
#[derive(Debug, PartialEq)]
pub struct Variable {
    pub name: String,
    pub kind: Type,
}

/// A function, or a type of callbacks.
#[derive(Debug)]
pub struct Signature {
    pub name: String,
    pub returns: Type,
    pub parameters: Vec<Variable>,
}

#[derive(Debug)]
pub struct Constant {
    pub name: String,
    /// As the header has it.
    pub value: String,
    /// The comment above it, in one line.
    pub about: String,
}

#[derive(Debug)]
pub struct Structure {
    pub name: String,
    pub fields: Vec<Variable>,
}

#[derive(Debug, Default)]
pub struct Header {
    pub constants: Vec<Constant>,
    /// Structures that only the library knows the inside of.
    pub opaque: Vec<String>,
    pub structures: Vec<Structure>,
    /// Other names of plain types.
    pub aliases: Vec<(String, String)>,
    pub callbacks: Vec<Signature>,
    pub functions: Vec<Signature>,
}

impl Header {
    pub fn parse(text: &str) -> Result<Header> {
        let mut header = Header::default();
        let code = header.take_directives(text);
        let mut tokens = tokens(&code);
        while let Some(first) = tokens.pop() {
            match first.as_str() {
                "typedef" => header.typedef(&mut tokens)?,
                // For C and C++ compilers.
                "VXS_NODISCARD" => continue,
                "VXS_API" => {
                    let returns = tokens.kind()?;
                    let name = tokens.word()?;
                    tokens.expect("(")?;
                    let parameters = tokens.parameters()?;
                    header.functions.push(Signature { name, returns, parameters });
                }
                other => return Err(format!("voxseg.h: `{other}` where a declaration starts")),
            }
            tokens.expect(";")?;
        }
        Ok(header)
    }

    pub fn structure(&self, name: &str) -> bool {
        self.structures.iter().any(|structure| structure.name == name)
    }

    /// What is left without comments, directives and conditionals; constants go into the list.
    fn take_directives(&mut self, text: &str) -> String {
        let mut code = String::new();
        let (mut comment, mut about) = (false, String::new());
        // The include guard is open all the time; what is inside of a further conditional is for C compilers.
        let mut depth = 0;
        for line in text.lines().map(str::trim) {
            if line.starts_with("/*") || comment {
                if line.starts_with("/*") {
                    about.clear();
                }
                let words = line.trim_start_matches(['/', '*']).trim_end_matches(['/', '*']).trim();
                if !words.is_empty() {
                    about = format!("{about} {words}").trim().into();
                }
                comment = !line.ends_with("*/");
                continue;
            }
            if line.starts_with("#if") {
                depth += 1;
            } else if line.starts_with("#endif") {
                depth -= 1;
            } else if let Some(definition) = line.strip_prefix("#define ")
                && depth == 1
                && let Some((name, value)) = definition.split_once(' ')
            {
                let about = std::mem::take(&mut about);
                self.constants.push(Constant { name: name.into(), value: value.into(), about });
            } else if !line.starts_with('#') && depth == 1 {
                code.push_str(line.split("//").next().unwrap_or_default());
                code.push('\n');
            }
        }
        code
    }

    /// After the word `typedef`, up to the semicolon.
    fn typedef(&mut self, tokens: &mut Tokens) -> Result<()> {
        if tokens.peek(0) == "struct" && tokens.peek(2) == "{" {
            tokens.pop();
            let name = tokens.word()?;
            tokens.expect("{")?;
            let mut fields = Vec::new();
            while tokens.peek(0) != "}" {
                fields.push(tokens.variable()?);
                tokens.expect(";")?;
            }
            tokens.expect("}")?;
            tokens.expect(&name)?;
            self.structures.push(Structure { name, fields });
        } else if tokens.peek(0) == "struct" && tokens.peek(3) == ";" {
            tokens.pop();
            self.opaque.push(tokens.word()?);
            tokens.pop();
        } else {
            let kind = tokens.kind()?;
            if tokens.peek(0) == "(" {
                tokens.expect("(")?;
                tokens.expect("*")?;
                let name = tokens.word()?;
                tokens.expect(")")?;
                tokens.expect("(")?;
                let parameters = tokens.parameters()?;
                self.callbacks.push(Signature { name, returns: kind, parameters });
            } else {
                self.aliases.push((tokens.word()?, kind.name));
            }
        }
        Ok(())
    }
}

struct Tokens(VecDeque<String>);

/// Words and single punctuation marks.
fn tokens(code: &str) -> Tokens {
    let mut found: VecDeque<String> = VecDeque::new();
    let mut in_word = false;
    for c in code.chars() {
        let part_of_word = c.is_ascii_alphanumeric() || c == '_';
        match found.back_mut() {
            Some(word) if part_of_word && in_word => word.push(c),
            _ if !c.is_whitespace() => found.push_back(c.into()),
            _ => {}
        }
        in_word = part_of_word;
    }
    Tokens(found)
}

impl Tokens {
    fn peek(&self, ahead: usize) -> &str {
        self.0.get(ahead).map_or("", String::as_str)
    }

    fn pop(&mut self) -> Option<String> {
        self.0.pop_front()
    }

    fn expect(&mut self, wanted: &str) -> Result<()> {
        match self.pop() {
            Some(found) if found == wanted => Ok(()),
            found => Err(format!(
                "voxseg.h: `{}` where `{wanted}` was expected, before `{} {} {}`",
                found.unwrap_or_default(),
                self.peek(0),
                self.peek(1),
                self.peek(2)
            )),
        }
    }

    fn word(&mut self) -> Result<String> {
        match self.pop() {
            Some(word) if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => Ok(word),
            found => Err(format!(
                "voxseg.h: `{}` where a name was expected, before `{} {}`",
                found.unwrap_or_default(),
                self.peek(0),
                self.peek(1)
            )),
        }
    }

    fn kind(&mut self) -> Result<Type> {
        let mut reads = self.skip("const");
        self.skip("struct");
        let name = self.word()?;
        let mut pointers = 0;
        while self.skip("*") {
            pointers += 1;
            reads |= self.skip("const");
        }
        Ok(Type { name, pointers, reads, array: None })
    }

    fn variable(&mut self) -> Result<Variable> {
        let mut kind = self.kind()?;
        let name = self.word()?;
        if self.skip("[") {
            let entries = self.pop().unwrap_or_default();
            kind.array = Some(entries.parse().map_err(|_| format!("voxseg.h: {name}[{entries}]"))?);
            self.expect("]")?;
        }
        Ok(Variable { name, kind })
    }

    /// After the opening bracket, up to and with the closing one.
    fn parameters(&mut self) -> Result<Vec<Variable>> {
        let mut parameters = Vec::new();
        if self.peek(0) == "void" && self.peek(1) == ")" {
            self.pop();
        }
        while self.peek(0) != ")" {
            parameters.push(self.variable()?);
            if self.peek(0) != ")" {
                self.expect(",")?;
            }
        }
        self.expect(")")?;
        Ok(parameters)
    }

    fn skip(&mut self, word: &str) -> bool {
        let there = self.peek(0) == word;
        if there {
            self.pop();
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_form() {
        let text = "/* about */
            #ifndef H
            #define H
            #include <stdint.h>
            #if defined(_WIN32)
            #define VXS_API __declspec(dllimport)
            #endif
            /**
             * First line,
             * second.
             */
            #define VXS_ONE 1
            typedef struct vxs_box vxs_box;
            typedef int32_t vxs_status;
            typedef struct vxs_size {
                uint64_t shape[3]; // voxels
                const struct vxs_box *const *boxes;
            } vxs_size;
            typedef void (*vxs_callback)(void *user, vxs_status status);
            #ifdef __cplusplus
            extern \"C\" {
            #endif
            VXS_NODISCARD VXS_API
            vxs_status vxs_open(const char *path, struct vxs_box **box);
            VXS_API uint32_t vxs_version(void);
            #endif";
        let header = Header::parse(text).unwrap();
        let one = &header.constants[0];
        assert_eq!((&*one.name, &*one.value, &*one.about), ("VXS_ONE", "1", "First line, second."));
        assert_eq!(header.constants.len(), 1);
        assert_eq!(header.opaque, ["vxs_box"]);
        assert_eq!(header.aliases, [("vxs_status".to_owned(), "int32_t".to_owned())]);
        let [shape, boxes] = &*header.structures[0].fields else { panic!("two fields") };
        assert_eq!((shape.kind.array, shape.kind.pointers), (Some(3), 0));
        assert_eq!((boxes.kind.array, boxes.kind.pointers, boxes.kind.reads), (None, 2, true));
        assert_eq!(header.callbacks[0].parameters[0].kind.pointers, 1);
        let [open, version] = &*header.functions else { panic!("two functions") };
        assert!(open.parameters[0].kind.reads && !open.parameters[1].kind.reads);
        assert!(version.parameters.is_empty());
    }

    #[test]
    fn names_what_it_cannot_read() {
        let error = Header::parse("#ifndef H\nunion u { int a; };\n#endif").unwrap_err();
        assert!(error.contains("`union`"), "{error}");
        let error = Header::parse("#ifndef H\nVXS_API int f(int (*g)(void));\n#endif").unwrap_err();
        assert!(error.contains("`(`"), "{error}");
    }
}
