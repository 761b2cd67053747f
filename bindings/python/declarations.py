"""voxseg.h as cffi reads it: declarations and integer constants; no preprocessor, attributes and comments."""

from __future__ import annotations

import re

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
# The header's only conditionals but its include guard: C++ linkage, and how symbols are exported.
_CONDITIONAL = re.compile(r"^#if(?:def)? .*?^#endif[^\n]*$", re.DOTALL | re.MULTILINE)
_CONSTANT = re.compile(r"^#define (VXS_\w+) (\w+)$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^#.*$", re.MULTILINE)
_LIMITS = {"UINT32_MAX": "0xFFFFFFFF"}


def declarations(header: str) -> str:
    """What `cffi.FFI.cdef` needs to know of the header's text."""
    text = _CONDITIONAL.sub("", _COMMENT.sub(" ", header))
    found = _CONSTANT.findall(_trimmed(text))
    constants = [f"#define {name} {_LIMITS.get(value, value)}" for name, value in found]
    text = _DIRECTIVE.sub("", text).replace("VXS_NODISCARD", "").replace("VXS_API", "")
    lines = [line for line in _trimmed(text).splitlines() if line]
    return "\n".join(constants + lines) + "\n"


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())
