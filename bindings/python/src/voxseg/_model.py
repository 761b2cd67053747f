"""Models: opened, described, averaged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from ._constants import name, names, number
from ._errors import call
from ._handle import Handle
from ._literals import Auto3DSegScriptName, ForegroundCropName, ResamplingName
from ._native import ffi, lib
from ._progress import Cancel, Receiver, watched
from ._structures import initialised, keep
from ._text import text, utf8


class Label(NamedTuple):
    """One structure that a model segments."""

    value: int
    """What its voxels get."""
    name: str
    """What the model calls it."""
    color: tuple[int, int, int]
    """Red, green and blue to show it in, 0 to 255."""


class Term(NamedTuple):
    """A coded term of a label."""

    scheme: str
    """The coding scheme: "SCT" for SNOMED CT."""
    code: str
    """The code."""
    meaning: str
    """What it means."""


class Model(Handle):
    """A published model. Immutable: any thread may use it, many plans share it, and it may be closed before them."""

    def __init__(self, pointer: Any) -> None:
        """Not for callers: see `Model.open`."""
        super().__init__(pointer, lib.vxs_model_free)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        folds: Sequence[int] | Literal["all"] | None = None,
        checkpoint: str | None = None,
        configuration: str | None = None,
        auto3dseg: Auto3DSegScriptName = "from-model",
        foreground_crop: ForegroundCropName = "as-published",
        memory_budget: int | None = None,
        classes: Sequence[int | str] | None = None,
        progress: None | bool | Receiver = None,
        cancel: Cancel | None = None,
    ) -> Model:
        """Opens a model's folder or archive. Nothing in its files is ever executed.

        `folds` are the trained folds to average, by number, or "all" for the folder fold_all; None takes every
        numbered fold that is there. `checkpoint` is the weights' file name in each of them. `configuration` chooses
        among several models in one place, such as "3d_fullres". `auto3dseg` is the way of the published script that an
        Auto3DSeg model goes: "general", "brats" or "whole-head"; "from-model" tells it by the network. `foreground_crop` is how it
        crops: "as-published" (default) or "corrected". `memory_budget` are the bytes that opening may take at one time;
        None is 128 MiB, and 16 bytes for each byte of the files. `classes` are those to segment with VISTA3D, by number or
        name; None is all that the model's config lists.

        `progress` is True for tqdm's bar or a callable that gets a `Progress` with the bytes of the files that were read,
        and returns False to stop. An exception in it, Ctrl-C included, stops opening and is raised here; so does `cancel`.

        Raises `ModelError` for what isn't a model, is damaged or isn't supported, `ArgumentError`, `Cancelled`, or
        `OutOfMemoryError`.
        """
        encoded = utf8(path, "path")
        options = _options(folds, checkpoint, configuration, auto3dseg, foreground_crop, memory_budget, classes)
        return cls(_made(lambda place: watched(options, progress, cancel, lib.vxs_model_open, encoded, options, place)))

    @classmethod
    def inspect(cls, path: str | os.PathLike[str], configuration: str | None = None) -> dict[str, Any]:
        """What a model says of itself without its weights, in milliseconds: name, format, configuration, channels, labels
        with their codes, spacing, patch, licence, folds, weight_bytes, and reasons for which it wouldn't open
        (unsupported). None is what only the weights tell."""
        encoded = utf8(path, "path")
        which = ffi.NULL if configuration is None else utf8(configuration, "configuration")
        place = ffi.new("vxs_inspection **")
        call(lib.vxs_model_inspect, encoded, which, place)
        inspection = ffi.gc(place[0], lib.vxs_inspection_free)
        found: dict[str, Any] = json.loads(text(lib.vxs_inspection_json(inspection)))
        return found

    @classmethod
    def open_memory(
        cls,
        files: Mapping[str, Any],
        *,
        folds: Sequence[int] | Literal["all"] | None = None,
        checkpoint: str | None = None,
        configuration: str | None = None,
        auto3dseg: Auto3DSegScriptName = "from-model",
        foreground_crop: ForegroundCropName = "as-published",
        memory_budget: int | None = None,
        classes: Sequence[int | str] | None = None,
        progress: None | bool | Receiver = None,
        cancel: Cancel | None = None,
    ) -> Model:
        """As `Model.open`, for files in memory: contents by path in the model's folder. A content is bytes, another buffer,
        or a file object that is read to its end."""
        names = [ffi.new("char[]", utf8(name, "file name")) for name in files]
        buffers = [content.read() if hasattr(content, "read") else content for content in files.values()]
        contents = [ffi.from_buffer(content) for content in buffers]
        raw = ffi.new("vxs_model_file[]", [(n, c, len(c)) for n, c in zip(names, contents)])
        keep(raw, (names, contents))
        options = _options(folds, checkpoint, configuration, auto3dseg, foreground_crop, memory_budget, classes)
        given = raw, len(names), options
        return cls(_made(lambda place: watched(options, progress, cancel, lib.vxs_model_open_memory, *given, place)))

    @classmethod
    def open_task(
        cls,
        task: str | os.PathLike[str],
        weights: str | os.PathLike[str],
        *,
        subset: Sequence[str] = (),
        robust_crop: bool = False,
        remove_small: float = 0.0,
        resampling: ResamplingName = "linear",
        split: bool = False,
        crop_to_body: bool = False,
        on_network_grid: bool = False,
        smooth: bool = False,
        legacy_v1_labels: bool = False,
        progress: None | bool | Receiver = None,
        memory_budget: int | None = None,
        cancel: Cancel | None = None,
    ) -> Model:
        """Opens a task, which is then used as any model: one of TotalSegmentator's (`tasks()`), or a task file, whose
        path ends in ".json".

        `weights` is the folder that holds its models as TotalSegmentator stores them; nothing is ever fetched. `subset`
        are the names of the labels that are wanted, for whole-body tasks: a rough segmentation, or with `robust_crop` a
        finer one, finds where they are, and only the models that know them run there. Pieces of a label of at most
        `remove_small` cubic millimetres are removed. `resampling` is "linear" (TotalSegmentator from 2.16), "cubic"
        (before) or "network" (each network's own). `split` cuts every volume into three overlapping parts along the
        body, as otherwise only large ones are. `crop_to_body` looks only at the part of a CT volume in which a rough
        segmentation finds the body. `on_network_grid` keeps the labels on the networks' grid (`Plan.label_grid`).
        `smooth` gives labels smooth borders where they come back to the image's grid. `legacy_v1_labels` gives
        labels the values that they had in TotalSegmentator 1. `memory_budget` are the bytes that
        opening each of its models may take, as in `open`. `progress` and `cancel` are as for `Model.open`.
        """
        raw = initialised("vxs_task_options")
        raw.resampling = number("RESAMPLING", resampling)
        raw.robust_crop, raw.split, raw.remove_small = robust_crop, split, remove_small
        raw.crop_to_body, raw.on_network_grid = crop_to_body, on_network_grid
        raw.smooth, raw.legacy_v1_labels = smooth, legacy_v1_labels
        if memory_budget is not None:
            raw.memory_budget = memory_budget
        if subset:
            wanted = [ffi.new("char[]", utf8(name, "subset")) for name in subset]
            raw.subset, raw.subset_count = keep(raw, ffi.new("const char *[]", keep(raw, wanted))), len(wanted)
        given = utf8(task, "task"), utf8(weights, "weights"), raw
        return cls(_made(lambda place: watched(raw, progress, cancel, lib.vxs_model_open_task, *given, place)))

    @classmethod
    def ensemble(cls, members: Iterable[Model]) -> Model:
        """One model of several with the same channels and labels, whose probabilities are averaged."""
        pointers = [member._get() for member in members]
        return cls(_made(lambda place: call(lib.vxs_model_ensemble, pointers, len(pointers), place)))

    @property
    def name(self) -> str:
        """The model's own name."""
        return text(lib.vxs_model_name(self._get()))

    @property
    def identity(self) -> str:
        """`voxseg1:sha256:` and a digest over weights and recipe: equal exactly for models that compute the same."""
        return text(lib.vxs_model_identity(self._get()))

    @property
    def channels(self) -> tuple[str, ...]:
        """What it calls the channels that an image must have, in their order."""
        pointer = self._get()
        count = lib.vxs_model_channel_count(pointer)
        return tuple(text(lib.vxs_model_channel_name(pointer, index)) for index in range(count))

    @property
    def labels(self) -> tuple[Label, ...]:
        """Its labels in ascending order of their values, the background included."""
        pointer = self._get()
        info = initialised("vxs_label_info")
        labels = []
        for index in range(lib.vxs_model_label_count(pointer)):
            call(lib.vxs_model_label, pointer, index, info)
            red, green, blue = info.color.to_bytes(4, "big")[1:]
            labels.append(Label(info.value, text(info.name), (red, green, blue)))
        return tuple(labels)

    def terms(self, label: int | str | Label) -> dict[str, Term]:
        """The coded terms of a label, given by value or name, by DICOM's roles: "category", "type", "modifier", "region" and
        "region-modifier", as far as it has them."""
        labels = self.labels
        index = next((i for i, known in enumerate(labels) if label in (known, known.value, known.name)), None)
        if index is None:
            raise ValueError(f"{label!r} is no label of the model, expected a value or name")
        found = {}
        for role, code in names("TERM").items():
            raw = initialised("vxs_term")
            call(lib.vxs_model_label_term, self._get(), index, code, raw)
            if raw.code != ffi.NULL:
                found[role] = Term(text(raw.scheme), text(raw.code), text(raw.meaning))
        return found

    @property
    def reader(self) -> str:
        """What reads the headers of NIfTI files for this model: "itk", "nibabel", "nibabel-io", "nibabel-io-reorient" or
        "monai"."""
        return name("READER", lib.vxs_model_reader(self._get()))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """The spacing that the network works at, (x, y, z) in millimetres; 0 where the image's own is kept."""
        spacing = ffi.new("double[3]")
        call(lib.vxs_model_spacing, self._get(), spacing)
        return (spacing[0], spacing[1], spacing[2])

    @property
    def patch(self) -> tuple[int, int, int]:
        """The size of a tile in voxels, (x, y, z)."""
        patch = ffi.new("uint64_t[3]")
        call(lib.vxs_model_patch, self._get(), patch)
        return (patch[0], patch[1], patch[2])

    def describe(self) -> dict[str, Any]:
        """All that is known about it: architecture, parameters, recipe, labels."""
        described: dict[str, Any] = json.loads(text(lib.vxs_model_describe(self._get())))
        return described

    def __repr__(self) -> str:
        return "<voxseg.Model, closed>" if self._pointer is None else f"<voxseg.Model {self.name!r}>"


def tasks() -> tuple[str, ...]:
    """The names of TotalSegmentator's tasks, for `Model.open_task`."""
    return tuple(text(lib.vxs_task_name(index)) for index in range(lib.vxs_task_count()))


def _made(make: Any) -> Any:
    place = ffi.new("vxs_model **")
    make(place)
    return place[0]


def _options(
    folds: Sequence[int] | Literal["all"] | None,
    checkpoint: str | None,
    configuration: str | None,
    auto3dseg: Auto3DSegScriptName,
    foreground_crop: ForegroundCropName,
    memory_budget: int | None,
    classes: Sequence[int | str] | None,
) -> Any:
    raw = initialised("vxs_model_options")
    if classes is not None:
        if isinstance(classes, str):
            raise TypeError("classes is a text, expected a list of numbers or names")
        wanted = [ffi.new("char[]", utf8(str(one), "classes")) for one in classes]
        if not wanted:
            raise ValueError("classes is empty, expected one or more, or None for all that the config lists")
        raw.classes, raw.class_count = keep(raw, ffi.new("const char *[]", keep(raw, wanted))), len(wanted)
    if memory_budget is not None:
        raw.memory_budget = memory_budget
    raw.foreground_crop = number("FOREGROUND_CROP", foreground_crop)
    raw.auto3dseg_script = number("AUTO3DSEG", auto3dseg)
    if folds is not None:
        if isinstance(folds, str) and folds != "all":
            raise ValueError(f"folds is {folds!r}, expected numbers or 'all'")
        numbers = [lib.VXS_FOLD_ALL] if isinstance(folds, str) else list(folds)
        if not numbers:
            raise ValueError("folds is empty, expected numbers, 'all', or None for all that are there")
        raw.folds, raw.fold_count = keep(raw, ffi.new("uint32_t[]", numbers)), len(numbers)
    if checkpoint is not None:
        raw.checkpoint = keep(raw, ffi.new("char[]", utf8(checkpoint, "checkpoint")))
    if configuration is not None:
        raw.configuration = keep(raw, ffi.new("char[]", utf8(configuration, "configuration")))
    return raw
