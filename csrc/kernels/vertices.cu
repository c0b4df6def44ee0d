// CUDA. A block poses up to 32 bodies, one record of shared memory each, bodies in the lanes of a warp, and takes a slice of the vertices. Forward: a warp
// multiplies two row tiles (eight vertices) by the features of its bodies, keeps the 24 sums in registers, skins them there and puts them into a stage of
// shared memory, from which whole runs of a body's row are written. Nothing else per vertex goes to memory: 83 KB out a body (6,890 vertices), the basis
// (18 MB at 217 columns) once a block through the second-level cache, 9.7 MFLOP a body: the multiply-adds bound it (one column: 24 of them, six
// 16-byte loads that are the same for all lanes, one load of shared memory). Blocks of few bodies are many slices of vertices, so that the card is full.
//
// Adjoint: the same with one row tile a warp; each tile computes its blend again, adds weight * g [x, 1]^T to the gradients of the bone transforms (a warp
// owns the bones whose number it has modulo the warps), turns g into the gradient of the rest vertex and multiplies by the transpose of the basis (a warp
// owns blocks of columns): 18 MFLOP a body. Every slice leaves its sums (2 KB a body) in scratch memory of the caller; a second kernel adds them slice by slice
// and runs the adjoint of the chain. No atomics: the result of a device is the same every time.
#include "body_block.cuh"
#include "vertices.h"

namespace pgt {

namespace {

constexpr int kForwardThreads = 256;
constexpr int kForwardTiles = 2;  // row tiles a worker
constexpr int kBackwardThreads = 512;
constexpr int kFinishThreads = 256;

// The body, then: rest joints; forward: a stage of 24 floats a worker; adjoint: sums for translation, blended vertices and their gradients, 12 floats a worker
// each.
struct SkinLayout : BodyLayout {
  int rest;         // (J, 3)
  int grad_transl;  // (3)
  int stage;

  SkinLayout(const BodyInput<float>& in, bool adjoint)
      : BodyLayout(in, adjoint), rest(end), grad_transl(rest + 3 * in.joints()), stage(grad_transl + (adjoint ? 3 : 0)) {}
  // grad_feature, grad_r, grad_p; then grad_transl: what a slice leaves.
  PGT_HD int sums() const { return end - grad_feature; }
};

// Bodies in a block whose workers take `per_worker` floats of stage each: fewer bodies, more workers.
Records fit_skin(int shared_bytes, int fixed, int threads, int per_worker) {
  Records r;
  for (int bodies = 32; bodies > 0; bodies /= 2) {
    const int64_t stride = (fixed + int64_t(per_worker) * (threads / bodies)) | 1;
    if (stride * bodies * int64_t(sizeof(float)) > shared_bytes) continue;
    r.bodies = bodies, r.stride = int(stride);
    return r;
  }
  return r;
}

// Slices of the row tiles: whole steps of a block, enough of them to fill the card `waves` times over.
struct Slices {
  int count;
  int tiles;  // row tiles in each but the last
  Slices(const DeviceLimits& limits, int64_t blocks, int tiles_in_all, int step, int waves) {
    const int64_t steps = ceil_div(tiles_in_all, step), wanted = ceil_div(int64_t(waves) * limits.multiprocessors, blocks);
    const int64_t each = wanted < steps ? ceil_div(steps, wanted) : 1;
    tiles = int(each * step), count = int(ceil_div(steps, each));
  }
};

// Rest joints, and global_p becomes the shift of each bone's transform: p - G rest. One thread a body, after the chain.
__device__ __forceinline__ void bone_transforms(const Tree& tree, const SkinLayout& layout, float* own) {
  for (int j = 0; j < tree.joints; ++j) {
    float* rest = own + layout.rest + 3 * j;
    float* shift = own + layout.global_p + 3 * j;
    float turned[3];
    for (int i = 0; i < 3; ++i) rest[i] = j == 0 ? own[layout.offset + i] : own[layout.rest + 3 * tree.parent[j] + i] + own[layout.offset + 3 * j + i];
    mat_vec(own + layout.global_r + 9 * j, rest, turned);
    for (int i = 0; i < 3; ++i) shift[i] -= turned[i];
  }
}

// x (rest vertex) -> skinned vertex, without the translation of the body.
__device__ __forceinline__ void skin(const SkinTerms<float>& terms, const SkinLayout& layout, const float* own, int vertex, float x[3]) {
  float turn[9] = {}, shift[3] = {};
  for (int w = 0; w < terms.influences; ++w) {
    const int64_t at = int64_t(vertex) * terms.influences + w;
    const float weight = __ldg(terms.weight + at);
    const int bone = __ldg(terms.bone + at);
    const float *r = own + layout.global_r + 9 * bone, *p = own + layout.global_p + 3 * bone;
#pragma unroll
    for (int i = 0; i < 9; ++i) turn[i] += weight * r[i];
#pragma unroll
    for (int i = 0; i < 3; ++i) shift[i] += weight * p[i];
  }
  float moved[3];
  mat_vec(turn, x, moved);
  for (int i = 0; i < 3; ++i) x[i] = moved[i] + shift[i];
}

// Gradient of the skinned vertex -> gradient of the rest vertex.
__device__ __forceinline__ void unskin(const SkinTerms<float>& terms, const SkinLayout& layout, const float* own, int vertex, float* g) {
  float turn[9] = {}, turned[3];
  for (int w = 0; w < terms.influences; ++w) {
    const int64_t at = int64_t(vertex) * terms.influences + w;
    const float weight = __ldg(terms.weight + at);
    const float* r = own + layout.global_r + 9 * __ldg(terms.bone + at);
#pragma unroll
    for (int i = 0; i < 9; ++i) turn[i] += weight * r[i];
  }
  mat_vec_at(turn, g, turned);
  for (int i = 0; i < 3; ++i) g[i] = turned[i];
}

__global__ void __launch_bounds__(kForwardThreads, 2)
    vertices_kernel(const __grid_constant__ BodyInput<float> in, const __grid_constant__ SkinTerms<float> terms, const __grid_constant__ SkinLayout layout,
                    const Records records, const int slice_tiles, float* out) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, in.batch);
  pose_bodies(in, layout, block);
  float* own = block.mine();
  if (block.worker == 0) bone_transforms(in.tree, layout, own);
  __syncthreads();
  const int tiles = terms.tiles(), begin = int(blockIdx.y) * slice_tiles, end = begin + slice_tiles < tiles ? begin + slice_tiles : tiles;
  const int64_t step = int64_t(terms.columns) * kRowTile, row = int64_t(terms.vertices) * 3;
  for (int base = begin; base < end; base += kForwardTiles * block.workers) {
    const int tile = base + kForwardTiles * block.worker;
    if (tile < end) {
      float x[kForwardTiles * kRowTile];
      feature_product<kForwardTiles>(terms.packed + tile * step, tile + 1 < tiles ? step : 0, terms.columns, layout.shape, own + layout.feature, x);
      float* stage = own + layout.stage + kForwardTiles * kRowTile * block.worker;
#pragma unroll
      for (int v = 0; v < 4 * kForwardTiles; ++v) {
        if (4 * tile + v < terms.vertices) skin(terms, layout, own, 4 * tile + v, x + 3 * v);
#pragma unroll
        for (int i = 0; i < 3; ++i) stage[3 * v + i] = x[3 * v + i] + own[layout.transl + i];
      }
    }
    __syncthreads();
    const int last = base + kForwardTiles * block.workers < end ? base + kForwardTiles * block.workers : end;
    const int vertices = (4 * last < terms.vertices ? 4 * last : terms.vertices) - 4 * base;
    store_rows(block, out + int64_t(base) * kRowTile, row, 3 * vertices, layout.stage);
    __syncthreads();
  }
}

// sums: (slices, batch, layout.sums() + 3).
__global__ void __launch_bounds__(kBackwardThreads, 1)
    vertices_backward_kernel(const __grid_constant__ BodyInput<float> in, const __grid_constant__ SkinTerms<float> terms,
                             const __grid_constant__ SkinLayout layout, const Records records, const int slice_tiles, const float* grad_out, float* sums) {
  constexpr int kAhead = 8;
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, in.batch);
  pose_bodies(in, layout, block);
  float* own = block.mine();
  if (block.worker == 0) bone_transforms(in.tree, layout, own);
  fill_records(block, layout.grad_feature, layout.sums(), 0.0f);
  fill_records(block, layout.grad_transl, 3, 0.0f);
  __syncthreads();
  const int tiles = terms.tiles(), begin = int(blockIdx.y) * slice_tiles, end = begin + slice_tiles < tiles ? begin + slice_tiles : tiles;
  const int64_t step = int64_t(terms.columns) * kRowTile, row = int64_t(terms.vertices) * 3;
  const int blend = layout.stage, grad = layout.stage + kRowTile * block.workers;
  for (int base = begin; base < end; base += block.workers) {
    const int count = end - base < block.workers ? end - base : block.workers;  // row tiles of this turn
    const int vertices = (4 * (base + count) < terms.vertices ? 4 * (base + count) : terms.vertices) - 4 * base;
    load_rows(block, grad_out + int64_t(base) * kRowTile, row, 3 * vertices, grad);
    fill_records(block, grad + 3 * vertices, kRowTile * count - 3 * vertices, 0.0f);
    if (block.worker < count) {
      float x[kRowTile];
      feature_product<1>(terms.packed + (base + block.worker) * step, step, terms.columns, layout.shape, own + layout.feature, x);
#pragma unroll
      for (int r = 0; r < kRowTile; ++r) own[blend + kRowTile * block.worker + r] = x[r];
    }
    __syncthreads();
    // Bones: eight (vertex, bone) entries are loaded at a time; most are another worker's.
    const int entries = vertices * terms.influences;
    const int64_t entry = int64_t(base) * 4 * terms.influences;
    for (int e = 0; e < entries; e += kAhead) {
      int bones[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i) bones[i] = e + i < entries ? __ldg(terms.bone + entry + e + i) : -1;
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (bones[i] < 0 || (bones[i] & (block.workers - 1)) != block.worker) continue;
        const float weight = __ldg(terms.weight + entry + e + i);
        if (weight == 0.0f) continue;
        const int vertex = (e + i) / terms.influences;
        const float *g = own + grad + 3 * vertex, *x = own + blend + 3 * vertex;
        const float scaled[3] = {weight * g[0], weight * g[1], weight * g[2]};
        float *grad_turn = own + layout.grad_r + 9 * bones[i], *grad_shift = own + layout.grad_p + 3 * bones[i];
        for (int a = 0; a < 3; ++a) {
          for (int c = 0; c < 3; ++c) grad_turn[3 * a + c] += scaled[a] * x[c];
          grad_shift[a] += scaled[a];
        }
      }
    }
    for (int i = block.worker; i < 3; i += block.workers) {
      float sum = 0.0f;
      for (int v = 0; v < vertices; ++v) sum += own[grad + 3 * v + i];
      own[layout.grad_transl + i] += sum;
    }
    __syncthreads();
    if (block.worker < count)
      for (int v = 4 * block.worker; v < 4 * block.worker + 4 && v < vertices; ++v) unskin(terms, layout, own, 4 * base + v, own + grad + 3 * v);
    __syncthreads();
    add_grad_feature(layout, block, terms.packed + base * step, terms.columns, count, grad);
    __syncthreads();
  }
  const int width = layout.sums() + 3;
  float* rows = sums + int64_t(blockIdx.y) * in.batch * width;
  store_rows(block, rows, width, layout.sums(), layout.grad_feature);
  store_rows(block, rows + layout.sums(), width, 3, layout.grad_transl);
}

// Adds the slices, first to last, and carries the gradients of the transforms back through the chain. Per body 2 KB a slice read: bound by memory and by the
// one thread a body that runs the chain.
__global__ void __launch_bounds__(kFinishThreads)
    vertices_finish_kernel(const __grid_constant__ BodyInput<float> in, const __grid_constant__ SkinLayout layout, const Records records, const int slices,
                           const float* sums, const __grid_constant__ BodyGrad<float> grad) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, in.batch);
  pose_bodies(in, layout, block);
  float* own = block.mine();
  if (block.worker == 0) bone_transforms(in.tree, layout, own);
  const int width = layout.sums() + 3;
  for (int i = threadIdx.x; i < block.bodies * width; i += blockDim.x) {
    const int b = i / width, c = i % width;
    float sum = 0.0f;
    for (int s = 0; s < slices; ++s) sum += sums[(s * in.batch + block.row(b)) * width + c];
    block.record(b)[c < layout.sums() ? layout.grad_feature + c : layout.grad_transl + c - layout.sums()] = sum;
  }
  __syncthreads();
  // The transform is [G, p - G rest]: grad G -= grad_shift rest^T, grad p = grad_shift, grad rest = -G^T grad_shift, over the rest joint itself.
  for (int j = block.worker; j < in.tree.joints; j += block.workers) {
    const float* grad_shift = own + layout.grad_p + 3 * j;
    float *grad_turn = own + layout.grad_r + 9 * j, *rest = own + layout.rest + 3 * j, turned[3];
    mat_vec_at(own + layout.global_r + 9 * j, grad_shift, turned);
    for (int i = 0; i < 3; ++i)
      for (int k = 0; k < 3; ++k) grad_turn[3 * i + k] -= grad_shift[i] * rest[k];
    for (int i = 0; i < 3; ++i) rest[i] = -turned[i];
  }
  if (grad.transl) store_rows(block, grad.transl, 3, 3, layout.grad_transl);
  unpose_bodies(in, layout, block, grad, layout.rest);
}

// How the adjoint is launched, and what it needs of scratch: the sums of every slice.
struct BackwardPlan {
  Records records, finish;
  int64_t blocks = 0, scratch = 0;
  int slices = 0, slice_tiles = 0;

  cudaError_t make(const BodyInput<float>& in, const SkinTerms<float>& terms) {
    DeviceLimits limits;
    if (cudaError_t status = read_limits(limits)) return status;
    const SkinLayout layout(in, true);
    records = fit_skin(limits.shared_bytes, layout.stage, kBackwardThreads, 2 * kRowTile);
    finish = fit_skin(limits.shared_bytes, layout.stage, kFinishThreads, 0);
    if (records.bodies == 0 || finish.bodies == 0) return cudaErrorInvalidConfiguration;
    blocks = ceil_div(in.batch, records.bodies);
    const Slices cut(limits, blocks, terms.tiles(), kBackwardThreads / records.bodies, 2);
    slices = cut.count, slice_tiles = cut.tiles;
    scratch = (slices > 0 ? slices : 1) * in.batch * (layout.sums() + 3);
    return cudaSuccess;
  }
};

}  // namespace

int vertices_cuda(const BodyInput<float>& in, const SkinTerms<float>& terms, float* out, void* stream) {
  if (in.batch == 0 || terms.vertices == 0) return cudaSuccess;
  if (!aligned16(terms.packed)) return cudaErrorMisalignedAddress;
  const DeviceGuard guard(in.pose);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const SkinLayout layout(in, false);
  const Records records = fit_skin(limits.shared_bytes, layout.stage, kForwardThreads, kForwardTiles * kRowTile);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  const int64_t blocks = ceil_div(in.batch, records.bodies);
  const Slices slices(limits, blocks, terms.tiles(), kForwardTiles * (kForwardThreads / records.bodies), 4);
  return launch(vertices_kernel, blocks, slices.count, kForwardThreads, records.bytes(), static_cast<cudaStream_t>(stream), in, terms, layout, records,
                slices.tiles, out);
}

int vertices_backward_scratch_cuda(const BodyInput<float>& in, int vertices, int64_t& floats) {
  floats = 0;
  if (in.batch == 0) return cudaSuccess;
  const DeviceGuard guard(in.pose);
  if (guard.status() != cudaSuccess) return guard.status();
  SkinTerms<float> terms{};
  terms.vertices = vertices;
  BackwardPlan plan;
  if (cudaError_t status = plan.make(in, terms)) return status;
  floats = plan.scratch;
  return cudaSuccess;
}

int vertices_backward_cuda(const BodyInput<float>& in, const SkinTerms<float>& terms, const float* grad_out, const BodyGrad<float>& grad, float* scratch,
                           void* stream_) {
  if (in.batch == 0) return cudaSuccess;
  if (!aligned16(terms.packed)) return cudaErrorMisalignedAddress;
  const cudaStream_t stream = static_cast<cudaStream_t>(stream_);
  const DeviceGuard guard(in.pose);
  if (guard.status() != cudaSuccess) return guard.status();
  const SkinLayout layout(in, true);
  BackwardPlan plan;
  if (cudaError_t status = plan.make(in, terms)) return status;
  cudaError_t status = cudaSuccess;
  if (plan.slices > 0)
    status = launch(vertices_backward_kernel, plan.blocks, plan.slices, kBackwardThreads, plan.records.bytes(), stream, in, terms, layout, plan.records,
                    plan.slice_tiles, grad_out, scratch);
  if (status == cudaSuccess)
    status = launch(vertices_finish_kernel, ceil_div(in.batch, plan.finish.bodies), 1, kFinishThreads, plan.finish.bytes(), stream, in, layout, plan.finish,
                    plan.slices, static_cast<const float*>(scratch), grad);
  return status;
}

}  // namespace pgt
