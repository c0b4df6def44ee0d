// CUDA. A block poses up to 32 bodies, one record of shared memory each, bodies in the lanes of a warp; its warps share out the row tiles of the moment
// product and then the landmarks (adjoint: the bones, then blocks of columns). Memory: poses in, points out, 0.7 KB a body; the packed moments (200 KB for
// 79 pairs) come once a block through the second-level cache. Work per body, 79 pairs, 217 features: 0.10 MFLOP forward; the adjoint computes that again
// and multiplies by the transpose, 0.20 MFLOP: the products bound both, and the loads of the moments, the same 16 bytes for all lanes, are three
// for twelve multiply-adds. A record (SMPL: 2.4 KB, adjoint 4.4 KB, plus 48 and 96 bytes a row tile) decides how many bodies a block takes: 32 on
// Hopper, 32 and 16 where a block has 99 KB.
#include "landmark_block.cuh"
#include "landmarks.h"

namespace pgt {

namespace {

constexpr int kForwardThreads = 256;
constexpr int kBackwardThreads = 512;

__global__ void __launch_bounds__(kForwardThreads)
    landmarks_kernel(const __grid_constant__ BodyInput<float> in, const __grid_constant__ LandmarkTerms<float> terms,
                     const __grid_constant__ LandmarkLayout layout, const Records records, float* points) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, in.batch);
  pose_bodies(in, layout, block);
  const float* own = block.mine();
  int first = 0;
  do {
    const int count = terms.tiles - first < records.chunk ? terms.tiles - first : records.chunk;
    chunk_moments(terms, layout, block, first, count);
    __syncthreads();
    if (block.alive())
      for (int k = block.worker; k < terms.landmarks; k += block.workers) {
        float* out = points + (block.row(block.lane) * terms.landmarks + k) * 3;
        float x[3];  // a later chunk adds to what this thread wrote
        for (int i = 0; i < 3; ++i) x[i] = first == 0 ? own[layout.transl + i] : out[i];
        add_landmark(terms, layout, own, first, count, k, x);
        for (int i = 0; i < 3; ++i) out[i] = x[i];
      }
    __syncthreads();
    first += count;
  } while (first < terms.tiles);
}

__global__ void __launch_bounds__(kBackwardThreads, 1)
    landmarks_backward_kernel(const __grid_constant__ BodyInput<float> in, const __grid_constant__ LandmarkTerms<float> terms,
                              const __grid_constant__ LandmarkLayout layout, const Records records, const float* grad_points,
                              const __grid_constant__ BodyGrad<float> grad) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, in.batch);
  pose_bodies(in, layout, block);
  load_rows(block, grad_points, int64_t(terms.landmarks) * 3, terms.landmarks * 3, layout.point);
  landmarks_adjoint(in, terms, layout, block, records.chunk, false, grad);
}

}  // namespace

int landmarks_cuda(const BodyInput<float>& in, const LandmarkTerms<float>& terms, float* points, void* stream) {
  if (in.batch == 0 || terms.landmarks == 0) return cudaSuccess;
  if (!aligned16(terms.packed)) return cudaErrorMisalignedAddress;
  const DeviceGuard guard(in.pose);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const LandmarkLayout layout(in, false, 0);
  const Records records = layout.records(limits.shared_bytes, terms.tiles);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  return launch(landmarks_kernel, ceil_div(in.batch, records.bodies), 1, kForwardThreads, records.bytes(), static_cast<cudaStream_t>(stream), in, terms, layout,
                records, points);
}

int landmarks_backward_cuda(const BodyInput<float>& in, const LandmarkTerms<float>& terms, const float* grad_points, const BodyGrad<float>& grad,
                            void* stream) {
  if (in.batch == 0) return cudaSuccess;
  if (!aligned16(terms.packed)) return cudaErrorMisalignedAddress;
  const DeviceGuard guard(in.pose);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const LandmarkLayout layout(in, true, terms.landmarks);
  const Records records = layout.records(limits.shared_bytes, terms.tiles);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  return launch(landmarks_backward_kernel, ceil_div(in.batch, records.bodies), 1, kBackwardThreads, records.bytes(), static_cast<cudaStream_t>(stream), in,
                terms, layout, records, grad_points, grad);
}

}  // namespace pgt
