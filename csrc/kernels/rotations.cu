// CUDA. One thread converts one rotation, 256 a block. 12 to 18 numbers move per rotation (a warp reads and writes runs of memory that it uses whole, through
// the first-level cache) for 60 to 150 flops: bound by memory.
#include "../math/rotation.h"
#include "cuda_common.cuh"
#include "rotations.h"

namespace pgt {

namespace {

constexpr int kThreads = 256;

struct FromRotvec {
  __device__ void operator()(const float* r, float* m) const { rotvec_to_matrix(r, m); }
  __device__ void operator()(const float* r, const float* g, float* out) const { rotvec_to_matrix_vjp(r, g, out); }
};
struct ToRotvec {
  __device__ void operator()(const float* m, float* r) const { matrix_to_rotvec(m, r); }
  __device__ void operator()(const float* m, const float* g, float* out) const { matrix_to_rotvec_vjp(m, g, out); }
};
struct From6d {
  bool column;
  __device__ void operator()(const float* x, float* m) const { rot6d_to_matrix(x, column, m); }
  __device__ void operator()(const float* x, const float* g, float* out) const { rot6d_to_matrix_vjp(x, column, g, out); }
};

// out (count, B) = f(in (count, A)).
template <int A, int B, class F>
__global__ void __launch_bounds__(kThreads) map_kernel(const int64_t count, const float* in, float* out, const F f) {
  const int64_t item = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (item >= count) return;
  float x[A], y[B];
#pragma unroll
  for (int i = 0; i < A; ++i) x[i] = in[item * A + i];
  f(x, y);
#pragma unroll
  for (int i = 0; i < B; ++i) out[item * B + i] = y[i];
}

// grad_in (count, A) = f(in (count, A), grad_out (count, B)).
template <int A, int B, class F>
__global__ void __launch_bounds__(kThreads) map_vjp_kernel(const int64_t count, const float* in, const float* grad_out, float* grad_in, const F f) {
  const int64_t item = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (item >= count) return;
  float x[A], g[B], y[A];
#pragma unroll
  for (int i = 0; i < A; ++i) x[i] = in[item * A + i];
#pragma unroll
  for (int i = 0; i < B; ++i) g[i] = grad_out[item * B + i];
  f(x, g, y);
#pragma unroll
  for (int i = 0; i < A; ++i) grad_in[item * A + i] = y[i];
}

template <int A, int B, class F>
int map(int64_t count, const float* in, float* out, void* stream, F f) {
  if (count == 0) return cudaSuccess;
  const DeviceGuard guard(in);
  if (guard.status() != cudaSuccess) return guard.status();
  return launch(map_kernel<A, B, F>, ceil_div(count, kThreads), 1, kThreads, 0, static_cast<cudaStream_t>(stream), count, in, out, f);
}

template <int A, int B, class F>
int map_vjp(int64_t count, const float* in, const float* grad_out, float* grad_in, void* stream, F f) {
  if (count == 0) return cudaSuccess;
  const DeviceGuard guard(in);
  if (guard.status() != cudaSuccess) return guard.status();
  return launch(map_vjp_kernel<A, B, F>, ceil_div(count, kThreads), 1, kThreads, 0, static_cast<cudaStream_t>(stream), count, in, grad_out, grad_in, f);
}

}  // namespace

int rotvec_to_matrix_cuda(int64_t count, const float* rotvec, float* matrix, void* stream) { return map<3, 9>(count, rotvec, matrix, stream, FromRotvec{}); }
int rotvec_to_matrix_backward_cuda(int64_t count, const float* rotvec, const float* grad_matrix, float* grad_rotvec, void* stream) {
  return map_vjp<3, 9>(count, rotvec, grad_matrix, grad_rotvec, stream, FromRotvec{});
}
int matrix_to_rotvec_cuda(int64_t count, const float* matrix, float* rotvec, void* stream) { return map<9, 3>(count, matrix, rotvec, stream, ToRotvec{}); }
int matrix_to_rotvec_backward_cuda(int64_t count, const float* matrix, const float* grad_rotvec, float* grad_matrix, void* stream) {
  return map_vjp<9, 3>(count, matrix, grad_rotvec, grad_matrix, stream, ToRotvec{});
}
int rot6d_to_matrix_cuda(int64_t count, const float* x, bool column, float* matrix, void* stream) {
  return map<6, 9>(count, x, matrix, stream, From6d{column});
}
int rot6d_to_matrix_backward_cuda(int64_t count, const float* x, const float* grad_matrix, bool column, float* grad_x, void* stream) {
  return map_vjp<6, 9>(count, x, grad_matrix, grad_x, stream, From6d{column});
}

}  // namespace pgt
