//! `include/voxseg/enumerations.hpp`: the header's groups of constants as enumerations of C++.

use std::fmt::Write;

use super::enumerations::{Member, groups, with_own_names};
use super::header::Header;

/// What the binding calls the functions that comments of constants name.
const FUNCTIONS: [(&str, &str); 2] =
    [("vxs_plan_describe", "Plan::describe()"), ("vxs_runtime_add_plugin", "add_runtime_plugin()")];

const BEGIN: &str = "/**
 * @file
 * @brief The constants of voxseg.h as enumerations. Generated from it by `cargo xtask bless`.
 */
#ifndef VOXSEG_ENUMERATIONS_HPP
#define VOXSEG_ENUMERATIONS_HPP

#include \"version.hpp\"

#include <cstdint>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {
";
const END: &str = "
} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_ENUMERATIONS_HPP
";

/// The whole file.
pub fn enumerations(header: &Header) -> String {
    let mut out = BEGIN.to_owned();
    for group in groups(header) {
        let (name, width) = (group.name, if group.flags { 64 } else { 32 });
        let sign = if group.flags { "u" } else { "" };
        let _ = write!(out, "\n/** {} */\nenum class {name} : std::{sign}int{width}_t {{\n", group.about);
        if group.flags {
            out += "    None = 0, /**< None. */\n";
        }
        for Member { name, constant } in &group.members {
            let about = with_own_names(&constant.about, "::", &FUNCTIONS);
            let _ = writeln!(out, "{}    {name} = {},", comment(&about), constant.name);
        }
        out += "};\n";
        if group.flags {
            let _ = write!(out, "{}", operators(name));
        }
    }
    out + END
}

/// A comment above a member, in lines of 120 columns.
fn comment(about: &str) -> String {
    if about.len() <= 108 {
        return format!("    /** {about} */\n");
    }
    let mut lines = vec![String::from("    /**"), String::from("     *")];
    for word in about.split(' ') {
        if lines[lines.len() - 1].len() + 1 + word.len() > 118 {
            lines.push(String::from("     *"));
        }
        let last = lines.len() - 1;
        lines[last] += &format!(" {word}");
    }
    lines.join("\n") + "\n     */\n"
}

/// What makes an enumeration of bits usable.
fn operators(name: &str) -> String {
    format!(
        "
/** Both together. */
constexpr {name} operator|({name} one, {name} other) noexcept {{
    return static_cast<{name}>(static_cast<std::uint64_t>(one) | static_cast<std::uint64_t>(other));
}}

/** Whether all bits of `wanted` are set. */
constexpr bool contains({name} bits, {name} wanted) noexcept {{
    const auto mask = static_cast<std::uint64_t>(wanted);
    return (static_cast<std::uint64_t>(bits) & mask) == mask;
}}
"
    )
}
