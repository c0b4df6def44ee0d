// The pybind11 module pgtfast._core: functions that read and write arrays handed over by DLPack.
#include "../kernels/isa.h"
#include "array.h"
#include "bindings.h"

namespace pgt {

#if PGTFAST_CUDA
const char* cuda_error_text(int status);  // kernels/cuda_common.cu

void check_cuda(const char* op, int status) {
  if (status != 0)
    throw std::runtime_error(std::string(op) + ": CUDA error: " + cuda_error_text(status) +
                             "; it may come from an earlier op on this device: CUDA_LAUNCH_BLOCKING=1 in the environment shows which");
}
#endif

}  // namespace pgt

PYBIND11_MODULE(_core, m) {
  m.doc() = "Fused kernels of pgtfast. Arrays come in through DLPack; results are written into arrays that the caller made.";
  m.def(
      "build_info",
      [] {
        pybind11::dict info;
        info["version"] = PGTFAST_VERSION;
        info["cuda"] = bool(PGTFAST_CUDA);
        info["cuda_architectures"] = PGTFAST_CUDA_ARCHITECTURES;
        info["cuda_compiler"] = PGTFAST_CUDA_COMPILER;
        info["compiler"] = PGTFAST_COMPILER;
        const char* names[] = {"base", "avx2", "avx512"};
        info["cpu_isa"] = names[int(pgt::best_isa())];
        return info;
      },
      "How this module was built, and the instruction set that it picks on this processor.");
  pgt::bind_rotations(m);
  pgt::bind_forward_kinematics(m);
  pgt::bind_project(m);
  pgt::bind_procrustes_align(m);
  pgt::bind_landmarks(m);
  pgt::bind_vposer_decode(m);
  pgt::bind_keypoint_loss(m);
  pgt::bind_vertices(m);
}
