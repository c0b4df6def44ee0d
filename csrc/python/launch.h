// Runs an op's kernel for the device and the dtype of its arrays, without the GIL.
#pragma once

#include "../kernels/isa.h"
#include "array.h"

namespace pgt {

// Calls cpu(scalar) with a float or double zero, or cuda(float zero), which returns a cudaError_t. `cuda` is generic so that a build without CUDA never
// instantiates it.
template <class Cpu, class Cuda>
void launch(const char* op, const Array& first, const Cpu& cpu, const Cuda& cuda) {
  if (first.cuda()) {
    if (first.dtype() != DType::float32) throw py::type_error(std::string(op) + ": wanted float32 arrays on a CUDA device");
#if PGTFAST_CUDA
    int status = 0;
    {
      py::gil_scoped_release release;
      status = cuda(float{});
    }
    return check_cuda(op, status);
#else
    (void)cuda;
    no_cuda(op);
#endif
  }
  by_scalar(first, op, [&](auto scalar) {
    py::gil_scoped_release release;
    cpu(scalar);
  });
}

inline void* as_stream(uintptr_t stream) { return reinterpret_cast<void*>(stream); }

}  // namespace pgt
