"""Build `_core` with its CUDA kernels compiled for the host: float32 arrays on the CPU then run the code that a GPU
would run."""

from __future__ import annotations

import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent.parent / "csrc"
FACTS = {"VERSION": "emulated", "COMPILER": "emulated", "CUDA_COMPILER": "emulated", "CUDA_ARCHITECTURES": "emulated"}
WORKERS = 2


def build(out: Path, compiler: str, pybind11_include: str) -> Path:
    """Compile into the folder `out`; returns the module's file."""
    kernels = adapted_sources(out, adapted)
    return link(out, compiler, pybind11_include, [*((k, ["-O2"]) for k in kernels), (HERE / "blocks.cpp", ["-O2"])])


def adapted_sources(out: Path, adapt: Callable[[Path], str]) -> list[Path]:
    """Copy csrc/ to the folder `out` through a change of each file; the kernels' files."""
    sources = out / "csrc"
    for path in CSRC.rglob("*"):
        if path.suffix in (".h", ".cpp", ".cu", ".cuh"):
            target = sources / path.relative_to(CSRC)
            target.parent.mkdir(exist_ok=True, parents=True)
            target.write_text(adapt(path))
    return sorted((sources / "kernels").glob("*.cu"))


def link(out: Path, compiler: str, pybind11_include: str, jobs: Sequence[tuple[Path, list[str]]], *flags: str) -> Path:
    """Compile files with options of their own, and the border, into the module."""
    border = [
        *sorted((out / "csrc" / "python").glob("*.cpp")),
        *(out / "csrc" / "kernels" / n for n in ("isa.cpp", "parallel.cpp")),
    ]
    includes = (HERE, sysconfig.get_paths()["include"], pybind11_include)
    common = [compiler, "-std=c++17", "-fPIC", "-fvisibility=hidden", *(f"-I{path}" for path in includes), *flags]
    common += ["-DPGTFAST_CUDA=1", *(f'-DPGTFAST_{name}="{value}"' for name, value in FACTS.items())]

    def compile_one(job: tuple[Path, list[str]]) -> Path:
        source, options = job
        target = out / f"{source.name}.o"
        subprocess.run([*common, *options, "-x", "c++", "-c", str(source), "-o", str(target)], check=True)
        return target

    with ThreadPoolExecutor(WORKERS) as pool:
        objects = list(pool.map(compile_one, [*jobs, *((b, ["-O0"]) for b in border)]))
    module = out / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, "-shared", "-o", str(module), *map(str, objects), "-lpthread"], check=True)
    return module


def adapted(path: Path) -> str:
    """The source with the two things that need the device replaced: dynamic shared memory, and what counts as an array
    on it."""
    text = path.read_text()
    if path.suffix == ".cu":
        return text.replace("extern __shared__ float shared[];", "float* shared = emulated_shared_memory();")
    if path.name == "array.h":
        return changed(path, text, "tensor_->device.type == dlpack::kCuda;", "dtype_ == DType::float32;")
    return text


def changed(path: Path, text: str, old: str, new: str) -> str:
    """The text with all of `old` replaced; it must be there."""
    assert old in text, f"{path}: {old!r} is written differently now"
    return text.replace(old, new)
