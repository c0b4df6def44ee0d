"""Build `_core` with its CUDA kernels compiled for the host: float32 arrays on the CPU then run the code that a GPU would run."""

from __future__ import annotations

import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent.parent / "csrc"
FACTS = {"VERSION": "emulated", "COMPILER": "emulated", "CUDA_COMPILER": "emulated", "CUDA_ARCHITECTURES": "emulated"}


def build(out: Path, compiler: str, pybind11_include: str) -> Path:
    """Compile into the folder `out`; returns the module's file."""
    sources = out / "csrc"
    sources.mkdir(parents=True)
    for path in CSRC.rglob("*"):
        if path.suffix in (".h", ".cpp", ".cu", ".cuh"):
            target = sources / path.relative_to(CSRC)
            target.parent.mkdir(exist_ok=True)
            target.write_text(_adapted(path))
    kernels = sorted((sources / "kernels").glob("*.cu"))
    border = [
        *sorted((sources / "python").glob("*.cpp")),
        *(sources / "kernels" / n for n in ("isa.cpp", "parallel.cpp")),
    ]
    defines = [f'-DPGTFAST_{name}="{value}"' for name, value in FACTS.items()]
    common = [
        compiler,
        "-std=c++17",
        "-fPIC",
        "-fvisibility=hidden",
        f"-I{HERE}",
        f"-I{sysconfig.get_paths()['include']}",
    ]
    common += [f"-I{pybind11_include}", "-DPGTFAST_CUDA=1", *defines]

    def compile_one(job: tuple[Path, str]) -> Path:
        source, level = job
        target = out / f"{source.name}.o"
        subprocess.run([*common, level, "-x", "c++", "-c", str(source), "-o", str(target)], check=True)
        return target

    jobs = [*((k, "-O2") for k in kernels), (HERE / "blocks.cpp", "-O2"), *((b, "-O0") for b in border)]
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, jobs))
    module = out / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([compiler, "-shared", "-o", str(module), *map(str, objects), "-lpthread"], check=True)
    return module


def _adapted(path: Path) -> str:
    """The source with the two things that need the device replaced: dynamic shared memory, and what counts as an array on it."""
    text = path.read_text()
    if path.suffix == ".cu":
        return text.replace("extern __shared__ float shared[];", "float* shared = emulated_shared_memory();")
    if path.name == "array.h":
        changed = text.replace("tensor_->device.type == dlpack::kCuda;", "dtype_ == DType::float32;")
        assert changed != text, "csrc/python/array.h: Array::cuda() is written differently now"
        return changed
    return text
