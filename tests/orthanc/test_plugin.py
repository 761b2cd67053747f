"""The plug-in in a real Orthanc: a series is segmented while the server answers others, the result is what another
program gets for the same voxels and a DICOM object that DCMTK and dciodvfy accept, a job can be cancelled, and whatever
can't be segmented is answered with a reason by a server that lives on."""

from __future__ import annotations

import array
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from dicom_slices import Series

FIRST_Z = -310.5


class Answer(Exception):
    """What the server says when it isn't 200."""

    def __init__(self, status: int, text: str):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


def read_ct() -> tuple[list[int], tuple[float, float, float], array.array]:
    path = Path(os.environ["CT"])
    lines = (line.split(" = ", 1) for line in path.read_text().splitlines() if " = " in line)
    header = dict(lines)
    voxels = array.array("h", (path.parent / header["ElementDataFile"]).read_bytes())
    shape = [int(number) for number in header["DimSize"].split()]
    x, y, z = (float(number) for number in header["ElementSpacing"].split())
    return shape, (x, y, z), voxels


class Plugin(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        cls.url = f"http://127.0.0.1:{port}"
        configuration = {
            "StorageDirectory": str(cls.folder / "storage"),
            "IndexDirectory": str(cls.folder / "storage"),
            "HttpPort": port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "Plugins": [os.environ["PLUGIN"]],
            "Voxseg": {"Models": {"torso": os.environ["MODEL"], "broken": str(cls.folder)}},
        }
        (cls.folder / "orthanc.json").write_text(json.dumps(configuration))
        cls.log = open(cls.folder / "log", "w")
        cls.server = subprocess.Popen(
            [os.environ["ORTHANC"], str(cls.folder / "orthanc.json")], stdout=cls.log, stderr=cls.log
        )
        for _ in range(200):
            try:
                cls.get("/system")
                break
            except (OSError, Answer):
                time.sleep(0.1)
        cls.shape, cls.spacing, cls.voxels = read_ct()

    @classmethod
    def tearDownClass(cls) -> None:
        alive = cls.server.poll() is None
        cls.server.terminate()
        code = cls.server.wait(30)
        cls.log.close()
        if not alive or code != 0:
            print((cls.folder / "log").read_text()[-4000:])
        shutil.rmtree(cls.folder)
        assert alive, "the server ended"
        assert code == 0, f"the server ended with {code}"

    @classmethod
    def request(cls, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        request = urllib.request.Request(cls.url + path, data=body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Answer(error.code, error.read().decode()) from None

    @classmethod
    def get(cls, path: str) -> dict:
        return json.loads(cls.request(path))

    @classmethod
    def post(cls, path: str, body: bytes) -> dict:
        return json.loads(cls.request(path, body))

    def upload(self, files: list[bytes]) -> str:
        stored = [self.post("/instances", file) for file in files]
        return stored[0]["ParentSeries"]

    def stored(self, index: int) -> bytes:
        plane = self.shape[0] * self.shape[1]
        part = self.voxels[index * plane : (index + 1) * plane]
        return array.array("H", [max(0, value + 1024) for value in part]).tobytes()

    def series(self) -> Series:
        return Series(self.shape[0], self.shape[1], self.spacing, FIRST_Z)

    def start(self, series: str, model: str = "torso") -> str:
        return self.post(f"/voxseg/series/{series}", json.dumps({"Model": model}).encode())["ID"]

    def wait(self, job: str) -> tuple[dict, list[float]]:
        seen = []
        for _ in range(6000):
            state = self.get(f"/jobs/{job}")
            seen.append(state["Progress"])
            if state["State"] not in ("Pending", "Running"):
                return state, seen
            start = time.monotonic()
            self.get("/system")
            self.assertLess(time.monotonic() - start, 5, "others wait for the segmentation")
            time.sleep(0.05)
        self.fail("the job doesn't end")

    def refused(self, status: int, words: str, series: str, body: bytes = b'{"Model": "torso"}') -> None:
        with self.assertRaises(Answer) as caught:
            self.post(f"/voxseg/series/{series}", body)
        self.assertEqual(caught.exception.status, status, caught.exception.text)
        self.assertIn(words, json.loads(caught.exception.text)["Error"])
        self.get("/system")

    def tool(self, *command: str) -> str:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_series_becomes_segmentation_object(self) -> None:
        source = self.series()
        # Neither in the order of positions nor in that of instance numbers.
        order = sorted(range(self.shape[2]), key=lambda k: (k * 7919) % self.shape[2])
        series = self.upload([source.slice(k, self.stored(k)) for k in order])
        state, progress = self.wait(self.start(series))
        self.assertEqual(state["State"], "Success", state)
        self.assertEqual(progress, sorted(progress))
        self.assertTrue(any(0 < part < 100 for part in progress), progress)

        path = self.folder / "segmentation.dcm"
        path.write_bytes(self.request(f"/instances/{state['Content']['Instance']}/file"))
        self.assertIn("yes:", self.tool("dcmftest", str(path)))
        dump = self.tool("dcmdump", "+fo", str(path))
        self.assertNotRegex(dump, r"(?m)^[WEF]: ")
        self.assertIn("=SegmentationStorage", dump)
        self.assertIn(source.study, dump)
        self.assertIn(source.frame, dump)
        self.assertIn(source.series, dump)

        raw = self.folder / "numbers.raw"
        geometry = [str(number) for number in (*self.shape, FIRST_Z, self.spacing[2])]
        listed = self.tool(os.environ["CHECK"], str(path), *geometry, str(raw))
        names = dict(line.split(" ", 1) for line in listed.strip().splitlines())
        value_of = {name: int(value) for value, name in self.model()["Labels"].items()}
        table = bytearray(256)
        for number, name in names.items():
            table[int(number)] = value_of[name]
        expected = Path(os.environ["LABELS"]).read_bytes()
        self.assertEqual(raw.read_bytes().translate(bytes(table)), expected)
        self.assertEqual({value_of[name] for name in names.values()}, set(expected) - {0})

        if shutil.which("dciodvfy"):
            said = subprocess.run(["dciodvfy", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual([line for line in said.stdout.splitlines() if line.startswith("Error")], [])

        # The result is a series of one object, and no volume itself.
        self.refused(400, "1 slice", self.get(f"/instances/{state['Content']['Instance']}")["ParentSeries"])

    def model(self) -> dict:
        self.assertEqual(self.get("/voxseg/models"), ["broken", "torso"])
        return self.get("/voxseg/models/torso")

    def test_cancel(self) -> None:
        source = self.series()
        series = self.upload([source.slice(k, self.stored(k)) for k in range(self.shape[2])])
        job = self.start(series)
        while self.get(f"/jobs/{job}")["Progress"] == 0:
            time.sleep(0.02)
        start = time.monotonic()
        self.post(f"/jobs/{job}/cancel", b"{}")
        state, _ = self.wait(job)
        self.assertLess(time.monotonic() - start, 15)
        self.assertEqual(state["State"], "Failure")
        self.assertIn("canceled", state["ErrorDescription"])
        self.assertNotIn("Instance", state["Content"])

    def test_what_is_no_volume_is_refused(self) -> None:
        stored = self.stored(50)
        cases = {
            "1 slice": [{}],
            "no PixelSpacing": [{"spacing": None}] * 3,
            "no ImagePositionPatient": [{}, {"position": None}, {}],
            "no ImageOrientationPatient": [{"orientation": None}] * 2,
            "no FrameOfReferenceUID": [{"frame": None}] * 2,
            "differ in their frame of reference": [{}, {"frame": "1.2.3"}],
            "expected 2 numbers": [{"spacing": "abc"}] * 2,
            "differ in orientation": [{}, {}, {"orientation": "1\\0\\0\\0\\0\\-1"}],
            "differ in size or spacing": [{}, {"spacing": "1\\1"}],
            "equal distances": [{}, {}, {"position": f"-100.5\\-80.25\\{FIRST_Z + 40}"}],
            "one place": [{"position": "0\\0\\0"}] * 2,
            "shifted against each other": [
                {"position": f"-100.5\\{-80 + 2 * k}\\{FIRST_Z + 3 * k}"} for k in range(4)
            ],
            "voxels; expected 1 to": [{"rows": 65535, "columns": 65535}] * 2,
            "has colours": [{"photometric": "RGB", "samples": 3}] * 2,
        }
        for words, slices in cases.items():
            with self.subTest(words):
                source = self.series()
                series = self.upload([source.slice(k, stored, **changes) for k, changes in enumerate(slices)])
                self.refused(400, words, series)

    def test_what_is_asked_wrongly_is_refused(self) -> None:
        source = self.series()
        series = self.upload([source.slice(k, self.stored(50)) for k in range(2)])
        self.refused(404, "no model", series, b'{"Model": "other"}')
        self.refused(400, "expected a body", series, b"[1, 2")
        self.refused(400, "expected a body", series, b'{"Model": 7}')
        self.refused(400, "name one", series, b"")
        self.refused(404, "no such resource", "nothing")
        self.refused(500, "model", series, b'{"Model": "broken"}')
        with self.assertRaises(Answer) as caught:
            self.request(f"/voxseg/series/{series}", method="GET")
        self.assertEqual(caught.exception.status, 405)

    def test_voxels_that_cannot_be_had_fail_the_job(self) -> None:
        source = self.series()
        short = [source.slice(k, b"\0\0" * 10) for k in range(3)]  # far fewer voxels than rows times columns
        state, _ = self.wait(self.start(self.upload(short)))
        self.assertEqual(state["State"], "Failure")
        self.assertIn("can't decode", state["Content"]["Error"])

    def test_eight_bits_are_voxels_too(self) -> None:
        source = self.series()
        plane = self.shape[0] * self.shape[1]
        grey = [source.slice(k, bytes([100 + k]) * plane, bits=8, intercept="0") for k in range(4)]
        state, _ = self.wait(self.start(self.upload(grey)))
        # Uniform grey holds no organ, or what the model takes for one: either way by name.
        self.assertTrue("Instance" in state["Content"] or "none of its structures" in state["Content"]["Error"], state)


if __name__ == "__main__":
    unittest.main()
