"""Models: opened, described, averaged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ._constants import name, number
from ._errors import call
from ._handle import Handle
from ._native import ffi, lib
from ._progress import Cancel
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
        folds: Sequence[int] | str | None = None,
        checkpoint: str | None = None,
        configuration: str | None = None,
        auto3dseg: str | None = None,
        memory_budget: int | None = None,
        cancel: Cancel | None = None,
    ) -> Model:
        """Opens a model's folder or archive. Nothing in its files is ever executed.

        `folds` are the trained folds to average, by number, or "all" for the folder fold_all; None takes every
        numbered fold that is there. `checkpoint` is the weights' file name in each of them. `configuration` chooses
        among several models in one place, such as "3d_fullres". `auto3dseg` is the way of the published script that an
        Auto3DSeg model goes: "general", "brats" or "whole-head"; None tells it by the network. `memory_budget` are the
        bytes that opening may take at one time; None is 128 MiB, and 16 bytes for each byte of the files. `cancel` stops
        opening.
        """
        encoded = utf8(path, "path")
        options = _options(folds, checkpoint, configuration, auto3dseg, memory_budget, cancel)
        return cls(_made(lambda place: call(lib.vxs_model_open, encoded, options, place)))

    @classmethod
    def open_memory(
        cls,
        files: Mapping[str, Any],
        *,
        folds: Sequence[int] | str | None = None,
        checkpoint: str | None = None,
        configuration: str | None = None,
        auto3dseg: str | None = None,
        memory_budget: int | None = None,
        cancel: Cancel | None = None,
    ) -> Model:
        """As `Model.open`, for files in memory: contents (bytes or another buffer) by path in the model's folder."""
        names = [ffi.new("char[]", utf8(name, "file name")) for name in files]
        contents = [ffi.from_buffer(content) for content in files.values()]
        raw = ffi.new("vxs_model_file[]", [(n, c, len(c)) for n, c in zip(names, contents)])
        keep(raw, (names, contents))
        options = _options(folds, checkpoint, configuration, auto3dseg, memory_budget, cancel)
        return cls(_made(lambda place: call(lib.vxs_model_open_memory, raw, len(names), options, place)))

    @classmethod
    def open_task(
        cls,
        task: str | os.PathLike[str],
        weights: str | os.PathLike[str],
        *,
        subset: Sequence[str] = (),
        robust_crop: bool = False,
        remove_small: float = 0.0,
        resampling: str = "linear",
        split: bool = False,
        crop_to_body: bool = False,
        on_network_grid: bool = False,
        smooth: bool = False,
        first_order: bool = False,
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
        `smooth` gives labels smooth borders where they come back to the image's grid. `first_order` gives labels the
        values that they had in TotalSegmentator 1. `cancel` stops opening.
        """
        raw = initialised("vxs_task_options")
        raw.resampling = number("RESAMPLING", resampling)
        raw.robust_crop, raw.split, raw.remove_small = robust_crop, split, remove_small
        raw.crop_to_body, raw.on_network_grid = crop_to_body, on_network_grid
        raw.smooth, raw.first_order = smooth, first_order
        if cancel is not None:
            raw.cancel = keep(raw, cancel._get())
        if subset:
            names = [ffi.new("char[]", utf8(name, "subset")) for name in subset]
            raw.subset, raw.subset_count = keep(raw, ffi.new("const char *[]", keep(raw, names))), len(names)
        encoded = utf8(task, "task"), utf8(weights, "weights")
        return cls(_made(lambda place: call(lib.vxs_model_open_task, *encoded, raw, place)))

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


_AUTO3DSEG = {
    "general": lib.VXS_AUTO3DSEG_GENERAL,
    "brats": lib.VXS_AUTO3DSEG_BRATS,
    "whole-head": lib.VXS_AUTO3DSEG_WHOLE_HEAD,
}


def _options(
    folds: Sequence[int] | str | None,
    checkpoint: str | None,
    configuration: str | None,
    auto3dseg: str | None,
    memory_budget: int | None,
    cancel: Cancel | None,
) -> Any:
    raw = initialised("vxs_model_options")
    if memory_budget is not None:
        raw.memory_budget = memory_budget
    if cancel is not None:
        raw.cancel = keep(raw, cancel._get())
    if auto3dseg is not None:
        if auto3dseg not in _AUTO3DSEG:
            raise ValueError(f"auto3dseg is {auto3dseg!r}, expected one of {', '.join(_AUTO3DSEG)}")
        raw.auto3dseg_script = _AUTO3DSEG[auto3dseg]
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
