"""Build `_core` around the PTX that nvcc makes of the kernels, translated to C++: `python -m tests.ptx.build OUT`."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.cuda_emulation import build as host

from .translate import Program

HERE = Path(__file__).resolve().parent
ARCHITECTURE = "compute_90"


def build(out: Path, compiler: str, nvcc: str, pybind11_include: str) -> Path:
    """Compile into the folder `out`; returns the module's file.

    Args:
        out: new folder.
        compiler: of C++.
        nvcc: CUDA's compiler.
        pybind11_include: folder of its headers.
    """
    launchers = host.adapted_sources(out, adapted)
    ptx = out / "ptx"
    ptx.mkdir()

    def compile_kernels(source: Path) -> Path:
        target = ptx / f"{source.stem}.ptx"
        options = ("-std=c++17", f"-arch={ARCHITECTURE}", "-O3", "--expt-relaxed-constexpr", "-ptx")
        subprocess.run([nvcc, *options, "-o", target, source], check=True)
        return target

    sources = [p for p in sorted((host.CSRC / "kernels").glob("*.cu")) if "__global__" in p.read_text()]
    program = Program()
    with ThreadPoolExecutor(host.WORKERS) as pool:
        for path in pool.map(compile_kernels, sources):
            program.add(path)
    kernels = out / "kernels.cpp"
    program.write(kernels)
    # -ffp-contract=off: what is fused, nvcc has decided
    run = ["-O1", "-mfma", "-ffp-contract=off", "-w"]
    jobs = [*((p, ["-O0", "-w"]) for p in launchers), (HERE / "runtime.cpp", ["-O2"]), (kernels, run)]
    return host.link(out, compiler, pybind11_include, jobs, f"-I{HERE}", "-DEMULATED_PTX")


def adapted(path: Path) -> str:
    """The launchers and the border: launches name their kernel, and arrays that come in are memory that kernels may
    touch."""
    text = host.adapted(path)
    if path.suffix == ".cu":
        text = text.replace("float* shared = emulated_shared_memory();", "float* shared = nullptr;")
    if path.name == "cuda_common.cuh":
        text = host.changed(path, text, "cudaError_t launch(void", "cudaError_t launch_text(void")
        end = "}  // namespace pgt"
        text = host.changed(
            path, text, end, "#define launch(...) (launched_text = #__VA_ARGS__, launch_text(__VA_ARGS__))\n" + end
        )
    if path.name == "array.cpp":
        known = """
void known_range(const void* start, uint64_t bytes);
void forget_range(const void* start);
namespace {
uint64_t bytes_of(const pgt::dlpack::Tensor& t) {
  uint64_t bytes = t.dtype.bits / 8;
  for (int i = 0; i < t.ndim; ++i) bytes *= uint64_t(t.shape[i]);
  return bytes;
}
const void* start_of(const pgt::dlpack::Tensor& t) { return static_cast<char*>(t.data) + t.byte_offset; }
}  // namespace
"""
        text = host.changed(path, text, '#include "array.h"\n', f'#include "array.h"\n{known}')
        text = host.changed(
            path,
            text,
            "  if (!known_device(*tensor_)) {",
            "  known_range(start_of(*tensor_), bytes_of(*tensor_));\n  if (!known_device(*tensor_)) {",
        )
        text = host.changed(
            path,
            text,
            "  if (!tensor_) return;\n",
            "  if (!tensor_) return;\n  if (bytes_of(*tensor_)) forget_range(start_of(*tensor_));\n",
        )
    return text


if __name__ == "__main__":
    import shutil

    import pybind11

    target = Path(sys.argv[1])
    target.mkdir(parents=True)
    print(build(target, shutil.which("g++") or "c++", shutil.which("nvcc") or "nvcc", pybind11.get_include()))
