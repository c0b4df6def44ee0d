"""The checks. Each looks and reports; none changes, downloads or imports more than it must."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from pgtfast._errors import PgtfastError
from pgtfast._system import processor_name

REBUILD_CUDA = "pip install . -C cmake.define.PGTFAST_CUDA=ON    (in the source folder; needs nvcc)"
DRAW = """
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(64, 64))
plotter.add_mesh(pyvista.Sphere())
raise SystemExit(0 if plotter.screenshot(return_img=True).std() > 1 else 1)
"""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the report."""

    part: str
    name: str
    status: str
    """ "ok"; "gap": something asked for, or needed by everything, is missing; "absent": an optional part is not
    there."""
    detail: str
    fix: str = ""
    """Command or step that closes the gap."""


def examine() -> list[Check]:
    """Run every check.

    Returns:
        The lines of the report in order, those of one part together.
    """
    groups: list[Callable[[], list[Check]]] = [_base, _kernels, _gpu, _extras, _engines, _bodies, _data]
    return [check for group in groups for check in group()]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _base() -> list[Check]:
    version, torch_version = _version("pgtfast"), _version("torch")
    place = Path(__file__).parents[1]
    checks = [
        Check(part="base", name="python", status="ok", detail=f"{platform.python_version()} ({sys.executable})"),
        Check(part="base", name="pgtfast", status="ok", detail=f"{version} ({place})")
        if version
        else Check(
            part="base",
            name="pgtfast",
            status="gap",
            detail=f"not installed, only imported from {place}",
            fix="pip install .",
        ),
    ]
    if torch_version is None:
        checks.append(Check(part="base", name="torch", status="gap", detail="not installed", fix="pip install torch"))
        return checks
    import torch

    cuda = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    detail = f"{torch.__version__}, {cuda}, {torch.get_num_threads()} threads"
    return [*checks, Check(part="base", name="torch", status="ok", detail=detail)]


def _build_info() -> dict[str, str | bool] | None:
    """What the compiled module says of itself, or None where it is missing."""
    try:
        from pgtfast.ops.build import build_info

        return build_info()
    except ImportError:
        return None


def _kernels() -> list[Check]:
    info = _build_info()
    processor = f"{processor_name()}, {os.cpu_count()} logical cores"
    if info is None:
        detail = "the compiled module pgtfast._core does not load"
        fix = "pip install .    (in the source folder), then run outside of it; or pip install -e ."
        return [Check(part="kernels", name="CPU", status="gap", detail=detail, fix=fix)]
    checks = [
        Check(
            part="kernels",
            name="CPU",
            status="ok",
            detail=f"{info['cpu_isa']} on {processor}; built by {info['compiler']}",
        ),
    ]
    if info["cuda"]:
        detail = f"built by {info['cuda_compiler']} for {info['cuda_architectures']}"
        checks.append(Check(part="kernels", name="CUDA", status="ok", detail=detail))
    else:
        status = "gap" if _torch_sees_gpu() else "absent"
        checks.append(
            Check(part="kernels", name="CUDA", status=status, detail="built without CUDA kernels", fix=REBUILD_CUDA)
        )
    return checks


def _torch_sees_gpu() -> bool:
    if _version("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _gpu() -> list[Check]:
    nvcc = shutil.which("nvcc")
    compiler = Check(part="GPU", name="nvcc", status="ok", detail=nvcc) if nvcc else None
    if compiler is None:
        fix = "install the CUDA toolkit and put nvcc on PATH; only building CUDA kernels needs it"
        compiler = Check(part="GPU", name="nvcc", status="absent", detail="not on PATH", fix=fix)
    if _torch_sees_gpu():
        import torch

        names = []
        for index in range(torch.cuda.device_count()):
            p = torch.cuda.get_device_properties(index)
            names.append(f"{p.name} (sm_{p.major}{p.minor}, {p.total_memory / 2**30:.0f} GiB)")
        return [Check(part="GPU", name="device", status="ok", detail="; ".join(names)), compiler]
    if shutil.which("nvidia-smi") and _version("torch"):
        fix = "pip install a CUDA build of torch that the driver supports (pytorch.org, Get started)"
        device = Check(
            part="GPU", name="device", status="gap", detail="an NVIDIA driver is here but torch sees no device", fix=fix
        )
    else:
        device = Check(part="GPU", name="device", status="absent", detail="none: everything runs on the CPU")
    return [device, compiler]


EXTRAS = (
    # name, module, distributions, what it is for, extra
    ("pyarrow", "pyarrow", ("pyarrow",), "writing and reading runs", "annotate"),
    ("orjson", "orjson", ("orjson",), "writing JSON files of other projects", "annotate"),
    ("pysimdjson", "simdjson", ("pysimdjson",), "reading JSON files of other projects", "annotate"),
    ("Pillow", "PIL", ("pillow",), "reading images", "annotate"),
    ("tqdm", "tqdm", ("tqdm",), "progress bars", "annotate"),
    ("PyVista", "pyvista", ("pyvista",), "overlays and contact sheets", "report"),
    ("Matplotlib", "matplotlib", ("matplotlib",), "charts", "report"),
    ("Lightning", "lightning", ("lightning",), "training", "train"),
    ("tyro", "tyro", ("tyro",), "command lines", "annotate"),
    ("Ray", "ray", ("ray",), "annotation on many machines", "ray"),
)
INSTALLS = {"Ray": "ray[data]"}
ENGINES = (
    (
        "DALI",
        "nvidia.dali",
        ("nvidia-dali-cuda130", "nvidia-dali-cuda120"),
        "decoding images on the GPU",
        "pip install nvidia-dali-cuda130",
    ),
    ("ONNX", "onnx", ("onnx",), "exporting networks", "pip install onnx"),
    (
        "ONNX Runtime",
        "onnxruntime",
        ("onnxruntime", "onnxruntime-gpu"),
        "running exported networks",
        "pip install onnxruntime",
    ),
    ("TensorRT", "tensorrt", ("tensorrt",), "the fastest engine on data-centre GPUs", "pip install tensorrt"),
    ("TensorRT-RTX", "tensorrt_rtx", ("tensorrt-rtx",), "the fastest engine on RTX cards", "pip install tensorrt-rtx"),
)


def _package(part: str, name: str, module: str, distributions: tuple[str, ...], purpose: str, fix: str) -> Check:
    try:
        present = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        present = False
    if not present:
        return Check(part=part, name=name, status="absent", detail=f"not installed; it serves {purpose}", fix=fix)
    version = next((v for v in map(_version, distributions) if v), "version unknown")
    return Check(part=part, name=name, status="ok", detail=version)


def _extras() -> list[Check]:
    checks = [
        _package(
            "extras",
            name,
            module,
            distributions,
            purpose,
            f"pip install '{INSTALLS.get(name, distributions[0])}'    (part of the extra `{extra}`)",
        )
        for name, module, distributions, purpose, extra in EXTRAS
    ]
    if next(c for c in checks if c.name == "PyVista").status == "ok":
        checks.append(_drawing())
    return checks


def _drawing() -> Check:
    """Draw a sphere in a process of its own: where OpenGL is broken it can end the process."""
    try:
        done = (
            subprocess.run([sys.executable, "-c", DRAW], capture_output=True, timeout=120, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        done = False
    if done:
        return Check(part="extras", name="drawing", status="ok", detail="PyVista draws off screen")
    fix = "sudo apt-get install libegl1 libgl1 libgl1-mesa-dri    (Debian, Ubuntu)"
    return Check(part="extras", name="drawing", status="gap", detail="PyVista cannot draw off screen", fix=fix)


def _engines() -> list[Check]:
    return [_package("engines", *row) for row in ENGINES]


def _bodies() -> list[Check]:
    assets = Path(__file__).parents[1] / "assets"
    checks = []
    for name, file in (
        ("free", "free_body.npz"),
        ("free-full", "free_body_full.npz"),
        ("free prior", "free_prior.npz"),
    ):
        if (assets / file).is_file():
            checks.append(Check(part="bodies", name=name, status="ok", detail="inside the package"))
        else:
            fix = "pip install --force-reinstall --no-deps .    (in the source folder)"
            checks.append(Check(part="bodies", name=name, status="gap", detail=f"{assets / file} is missing", fix=fix))
    return [*checks, *_licensed()]


def _licensed() -> list[Check]:
    if _build_info() is None or _version("torch") is None:
        return []
    from pgtfast.body import BODY_FILES, BODY_FOLDERS_VARIABLE, find_body

    folders = [f for f in os.environ.get(BODY_FOLDERS_VARIABLE, "").split(os.pathsep) if f]
    missing = [f for f in folders if not Path(f).expanduser().is_dir()]
    found = []
    for name in BODY_FILES:
        try:
            found.append((name, find_body(name)))
        except PgtfastError:
            continue
    checks = [Check(part="bodies", name=name, status="ok", detail=str(path)) for name, path in found]
    for folder in missing:
        fix = f"mend {BODY_FOLDERS_VARIABLE} (folders separated by '{os.pathsep}')"
        checks.append(Check(part="bodies", name="licensed", status="gap", detail=f"{folder} is no folder", fix=fix))
    if not found and not missing:
        where = f"in {os.pathsep.join(folders)}" if folders else f"{BODY_FOLDERS_VARIABLE} is not set"
        fix = f"register at smpl.is.tue.mpg.de, download, then export {BODY_FOLDERS_VARIABLE}=FOLDER"
        checks.append(
            Check(
                part="bodies", name="SMPL and kin", status="absent", detail=f"no licensed body found: {where}", fix=fix
            )
        )
    return checks


def _data() -> list[Check]:
    folder = Path(os.environ.get("PGTFAST_SHARED", "../shared")) / "data"
    if folder.is_dir():
        names = ", ".join(sorted(p.name for p in folder.iterdir() if p.is_dir()))
        return [Check(part="data", name="sample data", status="ok", detail=f"{folder.resolve()}: {names}")]
    fix = "export PGTFAST_SHARED=FOLDER    (only the project's own tests on real data need it)"
    return [Check(part="data", name="sample data", status="absent", detail=f"no {folder}", fix=fix)]
