//! The C# declarations of the C interface, written from the header: `NativeMethods.cs` for the binding itself, and
//! `Enumerations.cs` with the constants that its users name.

use std::fmt::Write;

use super::enumerations::{Member, groups, in_pascal_case, with_own_names};
use super::header::{Constant, Header, Signature, Type, Variable};
use crate::Result;

/// What the binding calls the functions that comments of constants name.
const FUNCTIONS: [(&str, &str); 2] =
    [("vxs_plan_describe", "Plan.Describe"), ("vxs_runtime_add_plugin", "Library.AddRuntimePlugin")];

const HEADING: &str =
    "// Generated from include/voxseg.h by `cargo xtask bless`; a test proves that it is fresh.\n";

/// The internal declarations.
pub fn native_methods(header: &Header) -> Result<String> {
    let mut out =
        format!("{HEADING}\nusing System;\nusing System.Runtime.InteropServices;\n\nnamespace Voxseg\n{{\n");
    for structure in &header.structures {
        out += "    [StructLayout(LayoutKind.Sequential)]\n";
        let _ = writeln!(out, "    internal unsafe struct {}\n    {{", structure.name);
        for field in &structure.fields {
            let _ = writeln!(out, "        public {};", declared_field(header, field)?);
        }
        out += "    }\n\n";
    }
    for callback in &header.callbacks {
        let signature = declared(header, callback, |header, it| pointer(header, it, "void*"))?;
        out += "    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]\n";
        let _ = writeln!(out, "    internal unsafe delegate {signature};\n");
    }
    for opaque in &header.opaque {
        out += &handle(opaque, end_of(header, opaque)?);
    }
    out += "    internal static unsafe class NativeMethods\n    {\n";
    out += "        /// <summary>voxseg.dll, libvoxseg.so or libvoxseg.dylib.</summary>\n";
    out += "        public const string Library = \"voxseg\";\n\n";
    for Constant { name, value, .. } in &header.constants {
        let (kind, value) = match value.as_str() {
            "UINT32_MAX" => ("uint", "uint.MaxValue"),
            value => ("int", value),
        };
        let _ = writeln!(out, "        public const {kind} {name} = {value};");
    }
    for function in &header.functions {
        let frees = ends(&function.name);
        let signature = declared(header, function, |header, it| parameter(header, it, frees))?;
        out += "\n        [DllImport(Library, CallingConvention = CallingConvention.Cdecl, ExactSpelling = true)]\n";
        let _ = writeln!(out, "        public static extern {signature};");
    }
    out += "    }\n}\n";
    Ok(out)
}

/// The public enumerations.
pub fn enumerations(header: &Header) -> String {
    let mut out = format!("{HEADING}\nnamespace Voxseg\n{{\n");
    for (index, group) in groups(header).iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let flags = if group.flags { "    [System.Flags]\n" } else { "" };
        let (name, about) = (group.name, group.about);
        let _ = write!(out, "    /// <summary>{about}</summary>\n{flags}    public enum {name}\n    {{\n");
        if group.flags {
            out += "        /// <summary>None.</summary>\n        None = 0,\n";
        }
        for Member { name, constant } in &group.members {
            let about = with_own_names(&constant.about, ".", &FUNCTIONS);
            let _ = writeln!(out, "        /// <summary>{}</summary>", documented(&about));
            let _ = writeln!(out, "        {name} = {},", constant.value);
        }
        out += "    }\n";
    }
    out + "}\n"
}

/// Whether a function frees the handle that it gets.
fn ends(function: &str) -> bool {
    function.ends_with("_free") || function.ends_with("_remove")
}

/// The function that frees an opaque structure.
fn end_of<'a>(header: &'a Header, opaque: &str) -> Result<&'a str> {
    let takes = |it: &&Signature| matches!(&it.parameters[..], [only] if only.kind.name == opaque);
    let found = header.functions.iter().filter(takes).find(|it| ends(&it.name));
    found.map(|it| it.name.as_str()).ok_or_else(|| format!("voxseg.h: nothing frees a {opaque}"))
}

/// The owner of an opaque structure.
fn handle(opaque: &str, end: &str) -> String {
    let name = handle_name(opaque);
    format!(
        "    internal sealed partial class {name} : SafeHandle
    {{
        public {name}() : base(IntPtr.Zero, true) {{ }}

        public {name}(IntPtr owned) : base(IntPtr.Zero, true)
        {{
            SetHandle(owned);
        }}

        public override bool IsInvalid
        {{
            get {{ return handle == IntPtr.Zero; }}
        }}

        protected override bool ReleaseHandle()
        {{
            NativeMethods.{end}(handle);
            Released();
            return true;
        }}

        partial void Released();
    }}

"
    )
}

/// `vxs_device_list` owns its native memory through a `DeviceListHandle`.
fn handle_name(opaque: &str) -> String {
    format!("{}Handle", in_pascal_case(opaque.trim_start_matches("vxs_")))
}

fn declared(
    header: &Header,
    signature: &Signature,
    of_parameter: impl Fn(&Header, &Type) -> Result<String>,
) -> Result<String> {
    let mut parameters = Vec::new();
    for Variable { name, kind } in &signature.parameters {
        parameters.push(format!("{} {}", of_parameter(header, kind)?, identifier(name)));
    }
    let returns = pointer(header, &signature.returns, "void*")?;
    Ok(format!("{returns} {}({})", signature.name, parameters.join(", ")))
}

fn declared_field(header: &Header, Variable { name, kind }: &Variable) -> Result<String> {
    let name = identifier(name);
    if header.callbacks.iter().any(|callback| callback.name == kind.name) {
        return Ok(format!("IntPtr {name}"));
    }
    let element = pointer(header, kind, "IntPtr")?;
    match kind.array {
        None => Ok(format!("{element} {name}")),
        Some(entries) if kind.pointers == 0 && !header.structure(&kind.name) => {
            Ok(format!("fixed {element} {name}[{entries}]"))
        }
        Some(_) => Err(format!("{name}: C# has no arrays of {} within structures", kind.name)),
    }
}

/// A parameter of a function: strings are NUL-terminated UTF-8 in an array, handles are safe.
fn parameter(header: &Header, kind: &Type, frees: bool) -> Result<String> {
    let opaque = header.opaque.contains(&kind.name);
    Ok(match (kind.pointers, kind.reads) {
        (1, true) if kind.name == "char" => "byte[]".into(),
        (1, _) if opaque && frees => "IntPtr".into(),
        (1, _) if opaque => handle_name(&kind.name),
        (2, false) if opaque => format!("out {}", handle_name(&kind.name)),
        _ => pointer(header, kind, "IntPtr")?,
    })
}

/// A type by itself; `opaque` is what a pointer to a structure without an inside becomes.
fn pointer(header: &Header, kind: &Type, opaque: &str) -> Result<String> {
    let stars = "*".repeat(kind.pointers);
    if kind.pointers > 0 && header.opaque.contains(&kind.name) {
        return Ok(format!("{opaque}{}", &stars[1..]));
    }
    let plain = match kind.name.as_str() {
        "int8_t" => "sbyte",
        "uint8_t" | "char" => "byte",
        "int16_t" => "short",
        "uint16_t" => "ushort",
        "int32_t" => "int",
        "uint32_t" => "uint",
        "int64_t" => "long",
        "uint64_t" => "ulong",
        "float" | "double" | "void" => &kind.name,
        name if header.structure(name) || header.callbacks.iter().any(|it| it.name == name) => name,
        name => match header.aliases.iter().find(|(alias, _)| alias == name) {
            Some((_, target)) => {
                return pointer(header, &Type { name: target.clone(), ..kind.clone() }, opaque);
            }
            None => return Err(format!("voxseg.h: {name} has no counterpart in C#")),
        },
    };
    Ok(format!("{plain}{stars}"))
}

/// A header's comment in a documentation comment: what stood between backquotes is code.
fn documented(about: &str) -> String {
    let escaped = about.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut parts = escaped.split('`');
    let mut text = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        let _ = write!(text, "<c>{code}</c>{}", parts.next().unwrap_or_default());
    }
    text
}

/// C names that mean something in C#.
fn identifier(name: &str) -> String {
    let reserved =
        ["params", "object", "string", "in", "out", "ref", "base", "lock", "event", "is", "as", "checked"];
    if reserved.contains(&name) { format!("@{name}") } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(code: &str) -> Header {
        Header::parse(&format!("#ifndef H\n{code}\n#endif")).unwrap()
    }

    #[test]
    fn pointers_become_what_their_owner_is() {
        let code = "typedef struct vxs_box vxs_box;
            typedef int32_t vxs_status;
            typedef struct vxs_size { uint64_t shape[3]; const char *name; const struct vxs_box *box; } vxs_size;
            typedef int32_t (*vxs_seen)(void *user, const struct vxs_size *size);
            VXS_API vxs_status vxs_open(const char *path, const struct vxs_size *size, struct vxs_box **box);
            VXS_API vxs_status vxs_all(const struct vxs_box *const *boxes, vxs_seen seen, vxs_status in);
            VXS_API const char *vxs_name(const struct vxs_box *box);
            VXS_API void vxs_box_free(struct vxs_box *box);";
        let text = native_methods(&parsed(code)).unwrap();
        for line in [
            "public fixed ulong shape[3];",
            "public byte* name;",
            "public IntPtr box;",
            "internal unsafe delegate int vxs_seen(void* user, vxs_size* size);",
            "internal sealed partial class BoxHandle : SafeHandle",
            "public static extern int vxs_open(byte[] path, vxs_size* size, out BoxHandle box);",
            "public static extern int vxs_all(IntPtr* boxes, vxs_seen seen, int @in);",
            "public static extern byte* vxs_name(BoxHandle box);",
            "public static extern void vxs_box_free(IntPtr box);",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn constants_become_enumerations() {
        let code = "/** `a` < b */\n#define VXS_DTYPE_F16 7\n#define VXS_DEVICE_ORT_CPU 2\n
            #define VXS_DEVICE_TENSORRT 4\n
            #define VXS_DEVICE_BEST 100\n#define VXS_OK 0\n#define VXS_DEVICE_UNUSABLE 304\n#define VXS_FOLD_ALL UINT32_MAX";
        let text = enumerations(&parsed(code));
        assert!(text.contains("<summary><c>a</c> &lt; b</summary>\n        Float16 = 7,"), "{text}");
        let (devices, statuses) = (text.find("enum Device").unwrap(), text.find("enum Status").unwrap());
        assert!((devices..statuses).contains(&text.find("OrtCpu = 2").unwrap()), "{text}");
        assert!((devices..statuses).contains(&text.find("TensorRT = 4").unwrap()), "{text}");
        assert!((devices..statuses).contains(&text.find("Best = 100").unwrap()), "{text}");
        assert!(text.find("DeviceUnusable = 304").unwrap() > statuses, "{text}");
        assert!(!text.contains("FoldAll"));
        assert!(
            native_methods(&parsed(code))
                .unwrap()
                .contains("public const uint VXS_FOLD_ALL = uint.MaxValue;")
        );
    }

    #[test]
    fn users_read_no_names_of_c() {
        let text = std::fs::read_to_string(crate::root().join("include/voxseg.h")).unwrap();
        let text = enumerations(&Header::parse(&text).unwrap());
        let own = text.split_once("namespace").unwrap().1;
        assert!(!own.contains("vxs_") && !own.contains("VXS_"), "they go into FUNCTIONS or ENUMERATIONS");
    }

    #[test]
    fn what_csharp_lacks_is_an_error() {
        let code =
            "typedef struct vxs_a { uint32_t b; } vxs_a;\ntypedef struct vxs_c { struct vxs_a d[2]; } vxs_c;";
        assert!(native_methods(&parsed(code)).unwrap_err().contains("arrays of vxs_a"));
        assert!(native_methods(&parsed("VXS_API long vxs_f(void);")).unwrap_err().contains("long"));
    }
}
