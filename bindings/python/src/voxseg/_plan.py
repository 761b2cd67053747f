"""A model on a device, and running it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _constants
from ._buffers import DeviceArray, is_on_device, overlap, place_channels, place_output
from ._errors import DeviceError, Error, call
from ._handle import Handle
from ._grid import Coordinates, Grid
from ._images import ArrayLayout, Image, image_of
from ._literals import (
    AccuracyName,
    BlendingName,
    DeviceName,
    FallbackName,
    InstructionsName,
    NonFiniteName,
    OverflowName,
    PrecisionName,
    WhenBusyName,
    WhenGlobalName,
)
from ._model import Label, Model
from ._native import ffi, lib
from ._progress import Cancel, Receiver, watched
from ._region import Box, LabelsReceiver, RunWatch, place_regions
from ._runtime import open_runtime, seek_runtime
from ._segmentation import RunReport, Segmentation
from ._structures import initialised, keep
from ._text import text, utf8

_UNUSUAL = (
    "the image's intensities can't be in the units that the model was trained with: scaled, or without their intercept? "
    "record=True tells more"
)
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True)
class PlanReport:
    """What a run will need, known before it is made."""

    device: str
    """What runs the network."""
    device_index: int
    """Which of the provider's devices."""
    precision: str
    """The type that it computes in."""
    threads: int
    """Threads that a run may use."""
    network_shape: tuple[int, int, int]
    """Size of the image that the network sees, (x, y, z)."""
    tiles: int
    """Tiles that networks compute, those of all folds, stages and members included."""
    network_runs: int
    """Times that the network runs: tiles times mirrorings."""
    host_peak_bytes: int
    """Bytes that the run needs at its peak, weights included, the caller's arrays not."""
    device_peak_bytes: int
    """As above in the device's own memory; 0 for a CPU."""
    weight_bytes: int
    """Bytes of weights, all networks together; part of `host_peak_bytes`."""
    tile_batch: int
    """Tiles that the network computes at once."""
    shared_bytes: int
    """Bytes of `host_peak_bytes` that exist once, however many runs there are at once."""
    run_bytes: int
    """Bytes that each run needs beside them."""
    tiles_in_all: int
    """Tiles of a run over the whole image; more than `tiles` where regions are asked for."""


class Plan(Handle):
    """A model on a device. One run at a time: a second one gets `Busy`. Many plans run at once, in threads.

    A plan doesn't survive `fork`: make it in the process that uses it, or start processes by "spawn".
    """

    def __init__(
        self,
        model: Model,
        *,
        device: DeviceName = "cpu",
        precision: PrecisionName = "auto",
        threads: int | None = None,
        step: float | None = None,
        mirroring: bool = True,
        blending: BlendingName = "model",
        memory_budget: int | None = None,
        postprocess: bool = False,
        device_index: int = 0,
        fallback: FallbackName = "off",
        overflow: OverflowName = "single",
        device_memory_budget: int | None = None,
        device_cache: str | os.PathLike[str] | None = None,
        accuracy: AccuracyName = "fast",
        instructions: InstructionsName = "auto",
        tile_batch: int = 0,
        concurrent_runs: int = 0,
        when_busy: WhenBusyName = "fail",
        device_stream: int = 0,
        progress: None | bool | Receiver = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Compiles the model's network for a device; `voxseg.devices()` lists them.

        `threads`, `step` (distance between tiles as a share of their size) and `memory_budget` (bytes that a run may
        need) are the machine's or the model's own where they are None. `mirroring=False` is faster by 2 to the number
        of axes that the model mirrors along. `postprocess` applies what comes with the model. `concurrent_runs` may segment
        at once in different threads, each with memory of its own beside the weights; 0 is one. A further one gets `Busy`, or
        with `when_busy="wait"` waits.

        For GPUs: `device_index` tells which one. `fallback="cpu"` lets the CPU compute what the device can't, or
        everything; `describe` tells. `overflow="error"` ends a run whose scores overflow half precision, which else
        repeats those tiles in single. `device_memory_budget` is in bytes of the device's own memory, None for what is
        free. `device_cache` is an existing folder for what gpu, TensorRT, OpenVINO and Core ML compile. `tile_batch`
        tiles are computed at once, as far as the device's memory is enough; 0 is one. `device_stream` is the address of a
        `cudaStream_t` that CUDA and TensorRT shall compute on, alive as long as the plan; 0 is one of their own.

        `progress` is told of each network that was compiled, as for `Model.open`. `cancel` stops compiling, which takes
        TensorRT minutes, as soon as ONNX Runtime looks at it.

        For "cpu": `accuracy="exact"` computes convolutions as plain sums, which takes several times as long.
        `instructions` is one of "auto", "avx512", "avx2", "neon" and "portable".
        """
        options = initialised("vxs_plan_options")
        options.device = _constants.number("DEVICE", device)
        options.precision = _constants.number("PRECISION", precision)
        options.blending = _constants.number("BLENDING", blending)
        options.mirroring = lib.VXS_MIRRORING_MODEL if mirroring else lib.VXS_MIRRORING_OFF
        options.postprocess = lib.VXS_POSTPROCESS_MODEL if postprocess else lib.VXS_POSTPROCESS_OFF
        options.device_index = device_index
        options.tile_batch = tile_batch
        options.concurrent_runs = concurrent_runs
        options.when_busy = _constants.number("WHEN_BUSY", when_busy)
        options.device_stream = ffi.cast("void *", device_stream)
        options.fallback = _constants.number("FALLBACK", fallback)
        options.overflow = _constants.number("OVERFLOW", overflow)
        options.accuracy = _constants.number("ACCURACY", accuracy)
        options.instructions = _constants.number("INSTRUCTIONS", instructions)
        if device_cache is not None:
            options.device_cache = keep(options, ffi.new("char[]", utf8(device_cache, "device_cache")))
        own = {
            "threads": threads,
            "step": step,
            "memory_budget": memory_budget,
            "device_memory_budget": device_memory_budget,
        }
        for name, value in own.items():
            if value is not None:
                if value <= 0:
                    raise ValueError(f"{name} is {value}, expected more than 0, or None")
                setattr(options, name, value)
        made = ffi.new("vxs_plan **")
        try:
            # The CPU needs ONNX Runtime only for what the library's own engine lacks.
            if device != "cpu":
                seek_runtime()
            watched(options, progress, cancel, lib.vxs_plan_create, model._get(), options, made)
        except DeviceError as error:
            if error.status != lib.VXS_RUNTIME_MISSING:
                raise
            open_runtime()
            watched(options, progress, cancel, lib.vxs_plan_create, model._get(), options, made)
        super().__init__(made[0], lib.vxs_plan_free)
        self._labels = model.labels
        self._reader = lib.vxs_model_reader(model._get())

    def trim(self) -> None:
        """Gives memory back that the plan only keeps to make its next run faster; for plans that wait for long."""
        call(lib.vxs_plan_trim, self._here())

    def describe(self) -> dict[str, Any]:
        """What runs where: device, engine and its version, precision, operators."""
        described: dict[str, Any] = json.loads(text(lib.vxs_plan_describe(self._get())))
        return described

    def estimate(
        self,
        image: Any,
        grid: Grid | None = None,
        *,
        axes: str | None = None,
        regions: Sequence[Box] = (),
        when_global: WhenGlobalName = "compute",
    ) -> PlanReport:
        """What a segmentation of `image` will need. Only where its voxels lie is looked at: a `Grid` with a shape will do.
        Arguments and errors are as for `segment`; with `regions` it is less."""
        raw = _volume(image_of(image, ArrayLayout(grid, axes), self._reader))
        report = initialised("vxs_plan_report")
        if regions:
            options = initialised("vxs_run_options")
            place_regions(options, regions, when_global)
            call(lib.vxs_plan_estimate_run, self._here(), raw, options, report)
        else:
            call(lib.vxs_plan_estimate, self._here(), raw, report)
        return _plan_report(report)

    def segment(
        self,
        image: Any,
        grid: Grid | None = None,
        *,
        axes: str | None = None,
        scaling: tuple[float, float] | None = None,
        progress: None | bool | Receiver = None,
        cancel: Cancel | None = None,
        labels_out: Any | None = None,
        probabilities: Sequence[int | str | Label] = (),
        margin: bool = False,
        entropy: bool = False,
        record: bool = False,
        non_finite: NonFiniteName = "error",
        regions: Sequence[Box] = (),
        when_global: WhenGlobalName = "compute",
        on_labels: LabelsReceiver | None = None,
    ) -> Segmentation:
        """Segments an image on its own grid. Blocks; other Python threads run on.

        `image` is a SimpleITK image, a nibabel image, or an array; or a list with one of them for each channel.
        Arrays are indexed [z, y, x], or [c, z, y, x] with channels, unless `axes` says another order, such as "xyz".
        They may have any strides, either byte order, and integers or floats; they are not copied, but for integers of 64
        bits. Headers of nibabel's images are read as the model's own reader reads them; a header that contradicts itself
        gives a `HeaderWarning`. With a plan
        on "cuda" or "tensorrt", arrays and `labels_out` may lie in the GPU's memory, as PyTorch's and CuPy's do
        (`__cuda_array_interface__`); what was queued there before is waited for.

        An array needs a `grid`, which is in the order x, y, z whatever `axes` is, and may have a `scaling` (slope,
        intercept) from stored numbers to intensities. Images have their own: `TypeError`.

        `progress` is True for tqdm's bar or a callable that gets a `Progress` and returns False to cancel. An
        exception in it, Ctrl-C included, cancels within one tile and is raised here. `labels_out` is an integer array
        to write the labels into, in the order of the image's axes; on any failure it is untouched. `probabilities`
        are labels by value or name. `record` asks for what is needed to prove later which software and weights made the
        labels.

        `non_finite` says what voxels are that are NaN or infinite: "error" counts and places them, "zero" (as ITK reads
        them), or "lowest" (the lowest integer: air, for a CT model). Intensities that can't be in the units that the model
        was trained with, as a CT scaled to 0…1, give a Python warning, and one in the report.

        `regions` are boxes of voxels, each ((x, y, z), (x, y, z)) with the first voxel inside and one beyond the last;
        only tiles that touch them are computed. Labels and maps are those of the whole run there, and elsewhere 0 or what
        `labels_out` has. Where labels depend on the whole image (largest components), `when_global` "compute" computes it
        and "refuse" raises. `on_labels` is a callable that gets `LabelsSoFar` when labels are final and in the array, and
        returns False to cancel; labels that are final stay in `labels_out` when the run fails.

        Raises `ArgumentError` for images that the model can't segment, `Cancelled`, `Busy`, `MemoryBudgetError`,
        `OutOfMemoryError`, `DeviceError`, or another `RunError`. The image is only read, and free again on return; what
        comes back is the caller's own.
        """
        found = image_of(image, ArrayLayout(grid, axes, scaling), self._reader)
        raw = _volume(found)
        place_channels(raw, found.channels)
        outputs = _Outputs(found, self._labels, self._label_place(raw))
        labels, into = outputs.labels(labels_out)
        wanted = {_key(label): self._value_of(label) for label in probabilities}
        maps = {key: outputs.map(lib.VXS_MAP_PROBABILITY, _FLOAT32, value) for key, value in wanted.items()}
        margin_map = outputs.map(lib.VXS_MAP_MARGIN, np.dtype(np.uint8)) if margin else None
        entropy_map = outputs.map(lib.VXS_MAP_ENTROPY, _FLOAT32) if entropy else None

        options, report = initialised("vxs_run_options"), initialised("vxs_run_report")
        options.non_finite = _constants.number("NON_FINITE", non_finite)
        pointers = ffi.new("vxs_map *[]", keep(options, outputs.maps))
        options.maps, options.map_count = keep(options, pointers), len(outputs.maps)
        if cancel is not None:
            options.cancel = keep(options, cancel._get())
        place = ffi.new("vxs_record **")
        if record:
            options.record = keep(options, place)
        place_regions(options, regions, when_global)
        watch = RunWatch(progress, on_labels, labels)
        options.progress = watch.callback
        if on_labels is not None:
            options.on_labels = watch.labels_callback
        try:
            call(lib.vxs_segment, self._here(), raw, options, into, report)
        except Error:
            if watch.exception is None:
                raise
        finally:
            watch.close()
        made = ffi.gc(place[0], lib.vxs_record_free)
        watch.rethrow()
        about = json.loads(text(lib.vxs_record_json(made))) if record else None
        told = RunReport.of(report)
        if "unusual-intensities" in told.warnings:
            warnings.warn(_UNUSUAL, stacklevel=2)
        return Segmentation(labels, maps, margin_map, entropy_map, told, about)

    def label_grid(
        self,
        image: Any,
        grid: Grid | None = None,
        *,
        axes: str | None = None,
    ) -> Grid:
        """The grid of the labels of `image`, with its shape and in the image's coordinates: the image's own, unless a task
        keeps labels on the networks' grid. Only where its voxels lie is looked at: a `Grid` with a shape will do."""
        return self._label_place(_volume(image_of(image, ArrayLayout(grid, axes), self._reader)))

    def _label_place(self, raw: Any) -> Grid:
        grid = initialised("vxs_volume")
        call(lib.vxs_plan_label_grid, self._here(), raw, grid)
        coordinates: Coordinates = "RAS" if grid.flags & lib.VXS_VOLUME_RAS else "LPS"
        place = list(grid.spacing), list(grid.origin), list(grid.direction)
        return Grid(*place, coordinates=coordinates, shape=list(grid.shape))

    def _here(self) -> Any:
        if os.getpid() != self._process:
            raise RuntimeError(
                "the plan was made before this process was forked and can't run in it: make it here, or start "
                'processes by multiprocessing.get_context("spawn")'
            )
        return self._get()

    def _value_of(self, asked: int | str | Label) -> int:
        for label in self._labels:
            if asked in (label, label.value, label.name):
                return label.value
        raise ValueError(f"probabilities asks for {asked!r}, expected values or names of the model's labels")


def _plan_report(report: Any) -> PlanReport:
    return PlanReport(
        _constants.name("DEVICE", report.device),
        report.device_index,
        _constants.name("PRECISION", report.precision),
        report.threads,
        tuple(report.network_shape),
        report.tiles,
        report.network_runs,
        report.host_peak_bytes,
        report.device_peak_bytes,
        report.weight_bytes,
        report.tile_batch,
        report.shared_bytes,
        report.run_bytes,
        report.tiles_in_all,
    )


def _key(label: int | str | Label) -> int | str:
    return label.name if isinstance(label, Label) else label


def _volume(image: Image) -> Any:
    """The grid of an image, without its voxels."""
    raw = initialised("vxs_volume")
    grid = image.grid
    raw.dtype = lib.VXS_DTYPE_F32
    raw.shape = image.channels[0].shape
    raw.spacing, raw.origin = grid.spacing, grid.origin
    raw.direction = [number for row in grid.direction for number in row]
    raw.slope, raw.intercept = image.scaling
    raw.flags = lib.VXS_VOLUME_RAS if grid.coordinates == "RAS" else 0
    return raw


class _Outputs:
    """The arrays that a run writes."""

    def __init__(self, image: Image, labels: Sequence[Label], place: Grid) -> None:
        self._image = image
        self._shape = place.shape
        self._place = None if place.shape == image.channels[0].shape else place
        self._dtype = np.min_scalar_type(max(label.value for label in labels))
        self.maps: list[Any] = []

    def labels(self, own: Any | None) -> tuple[Any, Any]:
        """What the caller gets, and the vxs_labels that is written."""
        image, voxels = (
            self._image.output(self._dtype, self._place) if own is None else (own, self._check(own))
        )
        raw = initialised("vxs_labels")
        place_output(raw, voxels)
        return image, raw

    def map(self, kind: int, dtype: Any, label: int = 0) -> Any:
        """What the caller gets; the vxs_map that is written joins `maps`."""
        image, voxels = self._image.output(dtype)
        raw = initialised("vxs_map")
        raw.kind, raw.label = kind, label
        place_output(raw, voxels)
        self.maps.append(raw)
        return image

    def _check(self, own: Any) -> Any:
        if is_on_device(own):
            own = DeviceArray.of(own)
        if not isinstance(own, np.ndarray) or own.ndim != 3 or not own.flags.writeable:
            raise TypeError("labels_out must be a NumPy or CUDA array with three axes that can be written")
        voxels = self._image.voxels_of(own)
        if voxels.shape != self._shape:
            raise ValueError(f"labels_out has the sizes {voxels.shape} along x, y, z, expected {self._shape}")
        if any(overlap(voxels, channel) for channel in self._image.channels):
            raise ValueError("labels_out lies in the memory of the image")
        return voxels
