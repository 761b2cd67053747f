"""The declarations in the wheel are the header's: functions, constants, and every field's place."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import fields
from pathlib import Path
from typing import get_args

import voxseg
from voxseg._native import ffi, lib

from fixture import REPOSITORY

HEADER = (REPOSITORY / "include/voxseg.h").read_text(encoding="utf-8")


def _in_order(names: dict[str, int]) -> list[str]:
    """By the numbers of the header, which has them in this order but for one."""
    return sorted(names, key=lambda name: names[name])


class Declarations(unittest.TestCase):
    def test_functions(self) -> None:
        listed = (REPOSITORY / "include/voxseg.symbols").read_text(encoding="utf-8").split()
        declared = {name for name in dir(lib) if name.startswith("vxs_")}
        self.assertEqual(declared, set(listed))
        for name in listed:
            self.assertTrue(callable(getattr(lib, name)), name)

    def test_constants(self) -> None:
        stated = dict(re.findall(r"^#define (VXS_\w+) (\w+)$", HEADER, re.MULTILINE))
        stated["VXS_FOLD_ALL"] = stated["VXS_FOLD_ALL"].replace("UINT32_MAX", "0xFFFFFFFF")
        values = {name: int(value, 0) for name, value in stated.items()}
        self.assertGreater(len(values), 50)
        self.assertEqual({name: getattr(lib, name) for name in dir(lib) if name.startswith("VXS_")}, values)

    def test_version(self) -> None:
        self.assertEqual(lib.vxs_abi_version(), lib.VXS_ABI_MAJOR << 16 | lib.VXS_ABI_MINOR)
        self.assertEqual(voxseg.__version__, voxseg.version())

    def test_layouts(self) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            self.skipTest("no C compiler")
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder, "layout")
            source = REPOSITORY / "tests/abi/layout.c"
            subprocess.run([compiler, "-I", REPOSITORY / "include", "-o", program, source], check=True)
            lines = subprocess.run([program], check=True, stdout=subprocess.PIPE).stdout.decode().split("\n")
        seen = set()
        for structure, field, offset, size in (line.split() for line in lines if line):
            if field == "-":
                found = (ffi.alignof(structure), ffi.sizeof(structure))
            else:
                kind = dict(ffi.typeof(structure).fields)[field].type
                found = (ffi.offsetof(structure, field), ffi.sizeof(kind))
            self.assertEqual(found, (int(offset), int(size)), f"{structure}.{field}")
            seen.add((structure, field))
        self.assertGreater(len(seen), 80)

    def test_reports_have_every_field(self) -> None:
        reports = {"vxs_run_report": voxseg.RunReport, "vxs_plan_report": voxseg.PlanReport}
        for structure, report in reports.items():
            stated = {name for name, _ in ffi.typeof(structure).fields} - {"struct_size", "reserved"}
            self.assertEqual({field.name for field in fields(report)}, stated)

    def test_names_of_options(self) -> None:
        from voxseg import _constants, _literals

        groups = {"DEVICE": "Device", "PRECISION": "Precision", "AUTO3DSEG": "Auto3DSegScript", "LOG": "LogLevel"}
        for group, literal in groups.items():
            self.assertEqual(get_args(getattr(_literals, f"{literal}Name")), tuple(_in_order(_constants.names(group))))
        for signature in (inspect.signature(voxseg.Plan), inspect.signature(voxseg.Model.open_task)):
            texts = {name for name, it in signature.parameters.items() if isinstance(it.default, str)}
            self.assertTrue(texts)
            for name in texts:
                self.assertRegex(str(signature.parameters[name].annotation), "Name$", name)

    def test_generator(self) -> None:
        sys.path.insert(0, str(REPOSITORY / "bindings/python"))
        self.addCleanup(sys.path.pop, 0)
        from declarations import declarations

        linkage = '#ifdef __cplusplus\nextern "C" {\n#endif\n'
        text = declarations(f"{linkage}#define VXS_A UINT32_MAX\n/* no\n */ VXS_API int f(void);\n")
        self.assertEqual(text.split("\n"), ["#define VXS_A 0xFFFFFFFF", "   int f(void);", ""])


if __name__ == "__main__":
    unittest.main()
