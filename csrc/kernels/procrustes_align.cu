// CUDA. 32 threads share the points of one alignment, four alignments a block; sums over points go thread by thread, then over the threads in order. Each
// thread then finds the rotation for itself (a warp does it once for all its lanes) and aligns its points. Memory: 36 bytes a point, read twice more from the
// first-level cache; 60 flops a point and 1,000 for the rotation: bound by memory, and for few points by the rotation.
#include "../math/procrustes.h"
#include "groups.cuh"
#include "procrustes_align.h"

namespace pgt {

namespace {

constexpr int kMeans = 7, kSpread = 10, kGrads = 12;

struct PointPair {
  float point[3], target[3], weight;
  __device__ PointPair(const ProcrustesInput<float>& in, int64_t n) : weight(in.weights ? in.weights[n] : 1.0f) {
    for (int i = 0; i < 3; ++i) point[i] = in.points[3 * n + i], target[i] = in.target[3 * n + i];
  }
};

__device__ __forceinline__ void sum_moments(const ProcrustesInput<float>& in, const ItemGroup& at, GroupSums<kMeans>& means, GroupSums<kSpread>& spreads,
                                            PointMoments<float>& m) {
  clear_point_moments(m);
  for (int64_t k = at.lane; k < in.count; k += kGroup) {
    const PointPair pair(in, at.item * in.count + k);
    add_point_means(pair.point, pair.target, pair.weight, m);
  }
  float mean[kMeans] = {m.mean_p[0], m.mean_p[1], m.mean_p[2], m.mean_t[0], m.mean_t[1], m.mean_t[2], m.inverse_total};
  group_sum(at, means, mean);
  for (int i = 0; i < 3; ++i) m.mean_p[i] = mean[i], m.mean_t[i] = mean[3 + i];
  m.inverse_total = mean[6];
  finish_point_means(m);
  for (int64_t k = at.lane; k < in.count; k += kGroup) {
    const PointPair pair(in, at.item * in.count + k);
    add_point_spread(pair.point, pair.target, pair.weight, m);
  }
  float spread[kSpread];
  for (int i = 0; i < 9; ++i) spread[i] = m.covariance[i];
  spread[9] = m.variance;
  group_sum(at, spreads, spread);
  for (int i = 0; i < 9; ++i) m.covariance[i] = spread[i];
  m.variance = spread[9];
}

__global__ void __launch_bounds__(kGroup* kGroups)
    procrustes_align_kernel(const __grid_constant__ ProcrustesInput<float> in, const __grid_constant__ ProcrustesOutput<float> out) {
  __shared__ GroupSums<kMeans> means;
  __shared__ GroupSums<kSpread> spreads;
  const ItemGroup at(in.batch);
  PointMoments<float> m;
  sum_moments(in, at, means, spreads, m);
  const Similarity<float> fit = fit_similarity(m, in.with_scale);
  if (!at.alive) return;
  for (int64_t k = at.lane; k < in.count; k += kGroup) {
    const int64_t n = at.item * in.count + k;
    const float point[3] = {in.points[3 * n], in.points[3 * n + 1], in.points[3 * n + 2]};
    float aligned[3];
    align_point(fit, m, point, aligned);
    for (int i = 0; i < 3; ++i) out.aligned[3 * n + i] = aligned[i];
  }
  if (at.lane != 0) return;
  out.scale[at.item] = fit.scale;
  for (int i = 0; i < 9; ++i) out.rotation[9 * at.item + i] = fit.nearest.rotation[i];
  for (int i = 0; i < 3; ++i) out.translation[3 * at.item + i] = fit.translation[i];
}

__global__ void __launch_bounds__(kGroup* kGroups)
    procrustes_align_backward_kernel(const __grid_constant__ ProcrustesInput<float> in, const __grid_constant__ ProcrustesOutput<const float> grad,
                                     float* grad_points, float* grad_target) {
  __shared__ GroupSums<kMeans> means;
  __shared__ GroupSums<kSpread> spreads;
  __shared__ GroupSums<kGrads> grads;
  const ItemGroup at(in.batch);
  PointMoments<float> m;
  sum_moments(in, at, means, spreads, m);
  const Similarity<float> fit = fit_similarity(m, in.with_scale);
  float sum[3] = {}, product[9] = {};
  for (int64_t k = at.lane; k < in.count; k += kGroup) {
    const int64_t n = at.item * in.count + k;
    const float point[3] = {in.points[3 * n], in.points[3 * n + 1], in.points[3 * n + 2]},
                g[3] = {grad.aligned[3 * n], grad.aligned[3 * n + 1], grad.aligned[3 * n + 2]};
    add_align_grad(m, point, g, sum, product);
  }
  float both[kGrads];
  for (int i = 0; i < 3; ++i) both[i] = sum[i];
  for (int i = 0; i < 9; ++i) both[3 + i] = product[i];
  group_sum(at, grads, both);
  if (!at.alive) return;
  float grad_rotation[9], grad_translation[3];
  for (int i = 0; i < 9; ++i) grad_rotation[i] = grad.rotation[9 * at.item + i];
  for (int i = 0; i < 3; ++i) grad_translation[i] = grad.translation[3 * at.item + i];
  const SimilarityGrad<float> back = fit_similarity_vjp(fit, m, in.with_scale, both, both + 3, grad.scale[at.item], grad_rotation, grad_translation);
  for (int64_t k = at.lane; k < in.count; k += kGroup) {
    const int64_t n = at.item * in.count + k;
    const PointPair pair(in, n);
    const float g[3] = {grad.aligned[3 * n], grad.aligned[3 * n + 1], grad.aligned[3 * n + 2]};
    float grad_point[3], grad_to[3];
    align_point_vjp(fit, m, back, pair.point, pair.target, pair.weight, g, grad_point, grad_to);
    for (int i = 0; i < 3; ++i) grad_points[3 * n + i] = grad_point[i], grad_target[3 * n + i] = grad_to[i];
  }
}

}  // namespace

int procrustes_align_cuda(const ProcrustesInput<float>& in, const ProcrustesOutput<float>& out, void* stream) {
  if (in.batch == 0) return cudaSuccess;
  const DeviceGuard guard(out.scale);
  if (guard.status() != cudaSuccess) return guard.status();
  return launch(procrustes_align_kernel, ceil_div(in.batch, kGroups), 1, kGroup * kGroups, 0, static_cast<cudaStream_t>(stream), in, out);
}

int procrustes_align_backward_cuda(const ProcrustesInput<float>& in, const ProcrustesOutput<const float>& grad, float* grad_points, float* grad_target,
                                   void* stream) {
  if (in.batch == 0 || in.count == 0) return cudaSuccess;
  const DeviceGuard guard(grad_points);
  if (guard.status() != cudaSuccess) return guard.status();
  return launch(procrustes_align_backward_kernel, ceil_div(in.batch, kGroups), 1, kGroup * kGroups, 0, static_cast<cudaStream_t>(stream), in, grad, grad_points,
                grad_target);
}

}  // namespace pgt
