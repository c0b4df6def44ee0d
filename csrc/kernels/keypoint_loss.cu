// CUDA. As landmarks.cu: a block poses up to 32 bodies, bodies in lanes. The landmarks stay in shared memory (12 bytes each), where the projection and
// the penalty turn them into their own gradients, a thread a (landmark, body); the adjoint follows in the same block, so that one launch reads the pose
// and the keypoints and writes the loss and all gradients: 1.2 KB a body at 24 joints and 33 landmarks. Work: the moment product and its transpose,
// 0.2 MFLOP a body at 79 pairs; where all moments fit into a record (they do up to 48 row tiles, shared memory allowing) they are computed once.
// Sums over landmarks go worker by worker and then over the workers, in a fixed order.
// keypoint_loss_backward scales and adds what was kept: one thread an element, 8 to 12 bytes moved for each, bound by memory.
#include "keypoint_loss.h"
#include "landmark_block.cuh"

namespace pgt {

namespace {

constexpr int kThreads = 512;
constexpr int kScaleThreads = 256;

struct LossOutput {
  float* loss;   // (batch, 3)
  float* count;  // (batch)
};

// Penalty of landmark k of one body; x becomes the gradient of the point.
__device__ __forceinline__ void point_loss(const KeypointTarget<float>& target, float sigma2, int landmarks, int64_t row, int k, float* x, float& loss,
                                           float& count) {
  const float focal[2] = {target.focal[2 * row], target.focal[2 * row + 1]}, center[2] = {target.center[2 * row], target.center[2 * row + 1]};
  const float* keypoint = target.keypoints + (row * landmarks + k) * 2;
  const float weight = target.weights ? target.weights[row * landmarks + k] : 1.0f;
  const bool valid = 0.0f < weight;
  const float w = select(valid, weight, 0.0f), point[3] = {x[0], x[1], x[2]};
  float pixel[2], residual[2], grad[2], grad_focal[2];
  project(point, focal, center, target.model, pixel);
  for (int i = 0; i < 2; ++i) residual[i] = select(valid, pixel[i] - keypoint[i], 0.0f);
  loss += w * robust(target.penalty, target.norm, sigma2, residual, grad);
  count += valid ? (target.norm == Norm::coordinate ? 2.0f : 1.0f) : 0.0f;
  for (int i = 0; i < 2; ++i) grad[i] *= w;
  project_vjp(point, focal, target.model, grad, x, grad_focal);
}

__global__ void __launch_bounds__(kThreads, 1)
    keypoint_loss_kernel(const __grid_constant__ BodyInput<float> in, const __grid_constant__ LandmarkTerms<float> terms,
                         const __grid_constant__ KeypointTarget<float> target, const float sigma2, const float* latent, const int latents,
                         const __grid_constant__ LandmarkLayout layout, const Records records, const LossOutput out,
                         const __grid_constant__ BodyGrad<float> grad, const bool wants_grad) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, in.batch);
  float* sums = shared + block.bodies * block.stride;  // (workers, bodies, 2)
  pose_bodies(in, layout, block);
  float* own = block.mine();
  const int64_t row = block.row(block.lane);
  int first = 0;
  do {
    const int count = terms.tiles - first < records.chunk ? terms.tiles - first : records.chunk;
    chunk_moments(terms, layout, block, first, count);
    __syncthreads();
    for (int k = block.worker; k < terms.landmarks; k += block.workers) {
      float* x = own + layout.point + 3 * k;
      float sum[3];
      for (int i = 0; i < 3; ++i) sum[i] = first == 0 ? own[layout.transl + i] : x[i];
      add_landmark(terms, layout, own, first, count, k, sum);
      for (int i = 0; i < 3; ++i) x[i] = sum[i];
    }
    __syncthreads();
    first += count;
  } while (first < terms.tiles);
  float part = 0.0f, entries = 0.0f;
  for (int k = block.worker; k < terms.landmarks; k += block.workers)
    point_loss(target, sigma2, terms.landmarks, row, k, own + layout.point + 3 * k, part, entries);
  sums[2 * threadIdx.x] = part, sums[2 * threadIdx.x + 1] = entries;  // threadIdx.x = worker * bodies + lane
  __syncthreads();
  if (block.alive())
    for (int task = block.worker; task < 3; task += block.workers) {
      float value = 0.0f;
      if (task == 0) {
        float total = 0.0f;
        for (int w = 0; w < block.workers; ++w) {
          const float* s = sums + 2 * (w * block.bodies + block.lane);
          value += s[0], total += s[1];
        }
        out.count[row] = total;
      } else {
        const int size = task == 1 ? latents : in.num_betas;
        for (int i = 0; i < size; ++i) {
          const float v = task == 1 ? latent[row * latents + i] : own[layout.feature + 1 + i];
          value += v * v;
        }
        if (size > 0) value *= 1.0f / size;
      }
      out.loss[3 * row + task] = value;
    }
  if (wants_grad) landmarks_adjoint(in, terms, layout, block, records.chunk, records.chunk >= terms.tiles, grad);
}

// One thread: one element of pose, betas, transl or latent of one body.
__global__ void __launch_bounds__(kScaleThreads)
    keypoint_loss_backward_kernel(const __grid_constant__ KeypointCotangent<float> in, const __grid_constant__ BodyGrad<float> grad, float* grad_latent) {
  const int width = in.pose_size + in.num_betas + 3 + in.latents;
  const int64_t item = int64_t(blockIdx.x) * kScaleThreads + threadIdx.x;
  const int64_t b = item / width;
  if (b >= in.batch) return;
  int i = int(item - b * width);
  const float* g = in.grad_loss + 3 * b;
  if (i < in.pose_size) {
    if (grad.pose) grad.pose[b * in.pose_size + i] = g[0] * in.pose[b * in.pose_size + i];
    return;
  }
  i -= in.pose_size;
  if (i < in.num_betas) {
    const int64_t at = b * in.num_betas + i;
    if (grad.betas) grad.betas[at] = g[0] * in.betas_data[at] + g[2] * 2.0f / in.num_betas * in.betas[at];
    return;
  }
  i -= in.num_betas;
  if (i < 3) {
    if (grad.transl) grad.transl[3 * b + i] = g[0] * in.transl[3 * b + i];
    return;
  }
  i -= 3;
  if (grad_latent) grad_latent[b * in.latents + i] = g[1] * 2.0f / in.latents * in.latent[b * in.latents + i];
}

}  // namespace

int keypoint_loss_cuda(const BodyInput<float>& in, const LandmarkTerms<float>& terms, const KeypointTarget<float>& target, const float* latent, int latents,
                       float* loss, float* count, const BodyGrad<float>& grad, void* stream) {
  if (in.batch == 0) return cudaSuccess;
  if (!aligned16(terms.packed)) return cudaErrorMisalignedAddress;
  const DeviceGuard guard(in.pose);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const bool wants_grad = grad.pose || grad.betas || grad.transl;
  const LandmarkLayout layout(in, wants_grad, terms.landmarks);
  const size_t sums = 2 * kThreads * sizeof(float);
  const Records records = layout.records(limits.shared_bytes - int(sums), terms.tiles);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  return launch(keypoint_loss_kernel, ceil_div(in.batch, records.bodies), 1, kThreads, records.bytes() + sums, static_cast<cudaStream_t>(stream), in, terms,
                target, float(target.sigma * target.sigma), latent, latent ? latents : 0, layout, records, LossOutput{loss, count}, grad, wants_grad);
}

int keypoint_loss_backward_cuda(const KeypointCotangent<float>& in, const BodyGrad<float>& grad, float* grad_latent, void* stream) {
  if (in.batch == 0) return cudaSuccess;
  const DeviceGuard guard(in.grad_loss);
  if (guard.status() != cudaSuccess) return guard.status();
  const int64_t items = in.batch * (int64_t(in.pose_size) + in.num_betas + 3 + in.latents);
  return launch(keypoint_loss_backward_kernel, ceil_div(items, kScaleThreads), 1, kScaleThreads, 0, static_cast<cudaStream_t>(stream), in, grad, grad_latent);
}

}  // namespace pgt
