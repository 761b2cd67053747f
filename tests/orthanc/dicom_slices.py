"""CT slices as DICOM files, and the ways in which series are broken."""

from __future__ import annotations

import struct
import uuid


def uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def element(group: int, number: int, vr: str, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) % 2:
        raw += b"\0" if vr in ("UI", "OB") else b" "
    head = struct.pack("<HH2s", group, number, vr.encode())
    return head + (struct.pack("<HI", 0, len(raw)) if vr in ("OW", "OB") else struct.pack("<H", len(raw))) + raw


CT = "1.2.840.10008.5.1.4.1.1.2"


class Series:
    """A series whose slices get what `changes` says of them: a value by keyword, or None to leave it out."""

    def __init__(self, columns: int, rows: int, spacing: tuple[float, float, float], first_z: float):
        self.columns, self.rows, self.spacing, self.first_z = columns, rows, spacing, first_z
        self.study, self.series, self.frame = uid(), uid(), uid()

    def slice(self, index: int, stored: bytes, **changes: str | int | None) -> bytes:
        values: dict[str, str | int | None] = {
            "instance": uid(),
            "frame": self.frame,
            "position": f"-100.5\\-80.25\\{self.first_z + index * self.spacing[2]:.6f}",
            "orientation": "1\\0\\0\\0\\1\\0",
            "spacing": f"{self.spacing[1]}\\{self.spacing[0]}",
            "rows": self.rows,
            "columns": self.columns,
            "bits": 16,
            "samples": 1,
            "photometric": "MONOCHROME2",
            "slope": "1",
            "intercept": "-1024",
        }
        values.update(changes)
        v = values
        bits = v["bits"]
        short = lambda number: struct.pack("<H", number)  # noqa: E731
        content = [
            (0x0008, 0x0016, "UI", CT),
            (0x0008, 0x0018, "UI", v["instance"]),
            (0x0008, 0x0020, "DA", "20260101"),
            (0x0008, 0x0030, "TM", "120000"),
            (0x0008, 0x0050, "SH", "A1"),
            (0x0008, 0x0060, "CS", "CT"),
            (0x0008, 0x0090, "PN", "Doe^Referring"),
            (0x0010, 0x0010, "PN", "Test^Patient"),
            (0x0010, 0x0020, "LO", "P1"),
            (0x0010, 0x0030, "DA", "19700101"),
            (0x0010, 0x0040, "CS", "O"),
            (0x0020, 0x000D, "UI", self.study),
            (0x0020, 0x000E, "UI", self.series),
            (0x0020, 0x0010, "SH", "1"),
            (0x0020, 0x0013, "IS", str(index + 1)),
            (0x0020, 0x0032, "DS", v["position"]),
            (0x0020, 0x0037, "DS", v["orientation"]),
            (0x0020, 0x0052, "UI", v["frame"]),
            (0x0028, 0x0002, "US", short(v["samples"])),
            (0x0028, 0x0004, "CS", v["photometric"]),
            (0x0028, 0x0010, "US", short(v["rows"])),
            (0x0028, 0x0011, "US", short(v["columns"])),
            (0x0028, 0x0030, "DS", v["spacing"]),
            (0x0028, 0x0100, "US", short(bits)),
            (0x0028, 0x0101, "US", short(bits)),
            (0x0028, 0x0102, "US", short(bits - 1)),
            (0x0028, 0x0103, "US", short(0)),
            (0x0028, 0x1052, "DS", v["intercept"]),
            (0x0028, 0x1053, "DS", v["slope"]),
            (0x7FE0, 0x0010, "OW", stored),
        ]
        meta = b"".join(
            element(2, number, vr, value)
            for number, vr, value in [
                (0x0001, "OB", b"\0\1"),
                (0x0002, "UI", CT),
                (0x0003, "UI", v["instance"]),
                (0x0010, "UI", "1.2.840.10008.1.2.1"),
                (0x0012, "UI", "2.25.1"),
            ]
        )
        body = b"".join(element(g, e, vr, value) for g, e, vr, value in content if value is not None)
        return b"\0" * 128 + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + body
