// CUDA. A block takes up to 32 bodies, one record of shared memory each (2.3 KB at 24 joints, adjoint 3.4 KB); all threads load and store whole runs of
// memory, one thread a body runs the chain. Per body 96 J bytes move for 60 J flops (adjoint 144 J and 170 J): bound by memory, and by the latency of the
// chain where few blocks are in flight.
#include "body_block.cuh"
#include "forward_kinematics.h"

namespace pgt {

namespace {

constexpr int kThreads = 128;

// (J, 9), (J, 3), (J, 9), (J, 3) one after the other; in the adjoint two more.
struct ChainLayout {
  int turns, places;
  explicit ChainLayout(const Tree& tree) : turns(9 * tree.joints), places(3 * tree.joints) {}
  PGT_HD int pair(int n) const { return n * (turns + places); }
};

__global__ void __launch_bounds__(kThreads)
    forward_kinematics_kernel(const int64_t batch, const __grid_constant__ Tree tree, const ChainLayout layout, const Records records, const float* rotations,
                              const float* offsets, float* global_rotations, float* positions) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, batch);
  const int m = layout.turns, p = layout.places, global = layout.pair(1);
  load_rows(block, rotations, m, m, 0);
  load_rows(block, offsets, p, p, m);
  __syncthreads();
  float* own = block.mine();
  if (block.worker == 0) forward_kinematics(tree, own, own + m, own + global, own + global + m);
  __syncthreads();
  store_rows(block, global_rotations, m, m, global);
  store_rows(block, positions, p, p, global + m);
}

__global__ void __launch_bounds__(kThreads)
    forward_kinematics_backward_kernel(const int64_t batch, const __grid_constant__ Tree tree, const ChainLayout layout, const Records records,
                                       const float* rotations, const float* offsets, const float* grad_global, const float* grad_positions,
                                       float* grad_rotations, float* grad_offsets) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, batch);
  const int m = layout.turns, p = layout.places, global = layout.pair(1), grad = layout.pair(2);
  load_rows(block, rotations, m, m, 0);
  load_rows(block, offsets, p, p, m);
  load_rows(block, grad_global, m, m, grad);
  load_rows(block, grad_positions, p, p, grad + m);
  __syncthreads();
  float* own = block.mine();
  if (block.worker == 0) {
    forward_kinematics(tree, own, own + m, own + global, own + global + m);
    // The gradients take the place of the chain: a joint's global rotation is done with when its own turn comes.
    forward_kinematics_vjp(tree, own, own + m, own + global, own + grad, own + grad + m, own + global, own + global + m);
  }
  __syncthreads();
  store_rows(block, grad_rotations, m, m, global);
  store_rows(block, grad_offsets, p, p, global + m);
}

}  // namespace

int forward_kinematics_cuda(int64_t batch, const Tree& tree, const float* rotations, const float* offsets, float* global_rotations, float* positions,
                            void* stream) {
  if (batch == 0) return cudaSuccess;
  const DeviceGuard guard(rotations);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const ChainLayout layout(tree);
  const Records records = fit_records(limits.shared_bytes, layout.pair(2), 0, 0, 0);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  return launch(forward_kinematics_kernel, ceil_div(batch, records.bodies), 1, kThreads, records.bytes(), static_cast<cudaStream_t>(stream), batch, tree,
                layout, records, rotations, offsets, global_rotations, positions);
}

int forward_kinematics_backward_cuda(int64_t batch, const Tree& tree, const float* rotations, const float* offsets, const float* grad_global,
                                     const float* grad_positions, float* grad_rotations, float* grad_offsets, void* stream) {
  if (batch == 0) return cudaSuccess;
  const DeviceGuard guard(rotations);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const ChainLayout layout(tree);
  const Records records = fit_records(limits.shared_bytes, layout.pair(3), 0, 0, 0);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  return launch(forward_kinematics_backward_kernel, ceil_div(batch, records.bodies), 1, kThreads, records.bytes(), static_cast<cudaStream_t>(stream), batch,
                tree, layout, records, rotations, offsets, grad_global, grad_positions, grad_rotations, grad_offsets);
}

}  // namespace pgt
