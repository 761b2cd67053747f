"""Embeddable inference for 3-D medical image segmentation: a published model and an image in, labels out.

    import voxseg

    model = voxseg.Model.open("Dataset901_TorsoCT/nnUNetTrainer__nnUNetPlans__3d_fullres")
    plan = voxseg.Plan(model)
    result = plan.segment(image)                                   # a SimpleITK or nibabel image, or
    result = plan.segment(array, voxseg.Grid((0.8, 0.8, 2.5)))     # an array indexed [z, y, x]; spacing is (x, y, z)
    result.labels                                                  # the same kind of image, on the same grid

Everything that is measured along axes, such as spacing, origin, direction, patch, is in the order x, y, z, as
SimpleITK's getters return it. Only arrays have an order of their own, which `axes` tells: "zyx" unless you say
otherwise.
"""

from ._compare import Comparison, compare, match_labels
from ._errors import (
    ArgumentError,
    Busy,
    Cancelled,
    DeviceError,
    Error,
    InternalError,
    MemoryBudgetError,
    ModelError,
    OutOfMemoryError,
    RunError,
)
from ._grid import Grid
from ._log import Log
from ._measure import Dose, Statistics, dose, on_grid, statistics
from ._model import Label, Model, Term, tasks
from ._nifti import HeaderWarning
from ._plan import Plan, PlanReport
from ._progress import Cancel, Progress
from ._region import LabelsSoFar
from ._runtime import (
    Device,
    add_runtime_plugin,
    build_info,
    devices,
    open_runtime,
    runtime_path,
    runtime_version,
    version,
)
from ._segmentation import RunReport, Segmentation
from ._session import Session, SessionReport, prompts

__version__ = version()

__all__ = [
    "ArgumentError",
    "Busy",
    "Cancel",
    "Cancelled",
    "Comparison",
    "Device",
    "DeviceError",
    "Dose",
    "Error",
    "Grid",
    "HeaderWarning",
    "InternalError",
    "Label",
    "LabelsSoFar",
    "Log",
    "MemoryBudgetError",
    "Model",
    "ModelError",
    "OutOfMemoryError",
    "Plan",
    "PlanReport",
    "Progress",
    "RunError",
    "RunReport",
    "Segmentation",
    "Session",
    "SessionReport",
    "Statistics",
    "Term",
    "add_runtime_plugin",
    "build_info",
    "compare",
    "devices",
    "dose",
    "match_labels",
    "on_grid",
    "open_runtime",
    "prompts",
    "runtime_path",
    "runtime_version",
    "statistics",
    "tasks",
    "version",
]
