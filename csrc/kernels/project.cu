// CUDA. Forward: one thread projects one point. Adjoint: 32 threads share the points of one camera, four cameras a block, so that the gradients of focal and
// center are sums in a fixed order. 5 numbers move per point (adjoint 8) for some ten flops: bound by memory.
#include "groups.cuh"
#include "project.h"

namespace pgt {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) project_kernel(const int64_t items, const int64_t count, const float* points, const float* focal,
                                                           const float* center, const CameraModel model, float* pixels) {
  const int64_t item = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (item >= items) return;
  const int64_t b = item / count;
  const float f[2] = {focal[2 * b], focal[2 * b + 1]}, c[2] = {center[2 * b], center[2 * b + 1]},
              x[3] = {points[3 * item], points[3 * item + 1], points[3 * item + 2]};
  float pixel[2];
  project(x, f, c, model, pixel);
  pixels[2 * item] = pixel[0], pixels[2 * item + 1] = pixel[1];
}

__global__ void __launch_bounds__(kGroup* kGroups)
    project_backward_kernel(const int64_t batch, const int64_t count, const float* points, const float* focal, const float* grad_pixels,
                            const CameraModel model, float* grad_points, float* grad_focal, float* grad_center) {
  __shared__ GroupSums<4> shared;
  const ItemGroup at(batch);
  const float f[2] = {focal[2 * at.item], focal[2 * at.item + 1]};
  float sums[4] = {};
  for (int64_t k = at.lane; k < count; k += kGroup) {
    const int64_t n = at.item * count + k;
    const float x[3] = {points[3 * n], points[3 * n + 1], points[3 * n + 2]}, g[2] = {grad_pixels[2 * n], grad_pixels[2 * n + 1]};
    float grad_x[3], part[2];
    project_vjp(x, f, model, g, grad_x, part);
    for (int i = 0; i < 2; ++i) sums[i] += part[i], sums[2 + i] += g[i];
    if (at.alive)
      for (int i = 0; i < 3; ++i) grad_points[3 * n + i] = grad_x[i];
  }
  group_sum(at, shared, sums);
  if (!at.alive || at.lane >= 2) return;
  grad_focal[2 * at.item + at.lane] = at.lane == 0 ? sums[0] : sums[1];
  grad_center[2 * at.item + at.lane] = at.lane == 0 ? sums[2] : sums[3];
}

}  // namespace

int project_cuda(int64_t batch, int64_t count, const float* points, const float* focal, const float* center, CameraModel model, float* pixels, void* stream) {
  if (batch == 0 || count == 0) return cudaSuccess;
  const DeviceGuard guard(points);
  if (guard.status() != cudaSuccess) return guard.status();
  return launch(project_kernel, ceil_div(batch * count, kThreads), 1, kThreads, 0, static_cast<cudaStream_t>(stream), batch * count, count, points, focal,
                center, model, pixels);
}

int project_backward_cuda(int64_t batch, int64_t count, const float* points, const float* focal, const float* grad_pixels, CameraModel model,
                          float* grad_points, float* grad_focal, float* grad_center, void* stream) {
  if (batch == 0) return cudaSuccess;
  const DeviceGuard guard(focal);
  if (guard.status() != cudaSuccess) return guard.status();
  return launch(project_backward_kernel, ceil_div(batch, kGroups), 1, kGroup * kGroups, 0, static_cast<cudaStream_t>(stream), batch, count, points, focal,
                grad_pixels, model, grad_points, grad_focal, grad_center);
}

}  // namespace pgt
