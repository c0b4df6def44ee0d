// A block of posed bodies: a record of shared memory a body, filled by all threads, the chain run by one thread a body. The twin of body_tile.h.
#pragma once

#include "../math/rotation.h"
#include "body.h"
#include "products.cuh"

namespace pgt {

// Where a record's arrays start, in floats.
struct BodyLayout {
  int shape;         // 1 + S
  int full;          // 1 + S + 9 (J - 1)
  int feature = 0;   // [1, betas] (shape), then the local rotations
  int rotation;      // (J, 9)
  int offset;        // (J, 3)
  int global_r;      // (J, 9)
  int global_p;      // (J, 3)
  int transl;        // (3)
  int grad_feature;  // (full)
  int grad_r;        // (J, 9)
  int grad_p;        // (J, 3)
  int end;           // what the op puts into a record comes here

  BodyLayout(const BodyInput<float>& in, bool adjoint) {
    const int j = in.joints();
    shape = 1 + in.num_betas, full = in.full_features();
    rotation = shape, offset = rotation + 9 * j, global_r = offset + 3 * j, global_p = global_r + 9 * j, transl = global_p + 3 * j;
    grad_feature = transl + 3, grad_r = grad_feature + full, grad_p = grad_r + 9 * j;
    end = adjoint ? grad_p + 3 * j : grad_feature;
  }
};

// One thread's place. Threads are (worker, lane) with the body in the lane; workers share what there is to do for a body.
struct BodyBlock {
  float* memory;
  int stride, bodies, lane, worker, workers, valid;
  int64_t first;

  __device__ BodyBlock(float* shared, const Records& records, int64_t batch)
      : memory(shared),
        stride(records.stride),
        bodies(records.bodies),
        lane(int(threadIdx.x) & (records.bodies - 1)),
        worker(int(threadIdx.x) / records.bodies),
        workers(int(blockDim.x) / records.bodies),
        first(int64_t(blockIdx.x) * records.bodies) {
    valid = batch - first < bodies ? int(batch - first) : bodies;
  }
  __device__ float* record(int b) const { return memory + b * stride; }
  __device__ float* mine() const { return record(lane); }
  __device__ bool alive() const { return lane < valid; }
  // The body of a record; records past the last body repeat it.
  __device__ int64_t row(int b) const { return first + (b < valid ? b : valid - 1); }
};

// Rows of global memory (batch, columns), `pitch` floats apart -> records at `at`.
__device__ __forceinline__ void load_rows(const BodyBlock& block, const float* rows, int64_t pitch, int columns, int at) {
  for (int i = threadIdx.x; i < block.bodies * columns; i += blockDim.x) {
    const int b = i / columns, c = i % columns;
    block.record(b)[at + c] = rows[block.row(b) * pitch + c];
  }
}

__device__ __forceinline__ void store_rows(const BodyBlock& block, float* rows, int64_t pitch, int columns, int at) {
  for (int i = threadIdx.x; i < block.valid * columns; i += blockDim.x) {
    const int b = i / columns, c = i % columns;
    rows[(block.first + b) * pitch + c] = block.record(b)[at + c];
  }
}

__device__ __forceinline__ void fill_records(const BodyBlock& block, int at, int columns, float value) {
  for (int i = block.worker; i < columns; i += block.workers) block.mine()[at + i] = value;
}

// Loads the bodies and runs the chain. Barriers inside; the caller puts one after it.
__device__ __forceinline__ void pose_bodies(const BodyInput<float>& in, const BodyLayout& layout, const BodyBlock& block) {
  const int joints = in.tree.joints, width = in.pose_width, shape = layout.shape;
  for (int i = threadIdx.x; i < block.bodies * joints; i += blockDim.x) {
    const int b = i / joints, j = i % joints;
    const float* pose = in.pose + (block.row(b) * joints + j) * width;
    float* rotation = block.record(b) + layout.rotation + 9 * j;
    if (width == 3) {
      const float r[3] = {pose[0], pose[1], pose[2]};
      float m[9];
      rotvec_to_matrix(r, m);
#pragma unroll
      for (int k = 0; k < 9; ++k) rotation[k] = m[k];
    } else {
#pragma unroll
      for (int k = 0; k < 9; ++k) rotation[k] = pose[k];
    }
  }
  fill_records(block, layout.feature, 1, 1.0f);
  if (in.betas)
    load_rows(block, in.betas, in.num_betas, in.num_betas, layout.feature + 1);
  else
    fill_records(block, layout.feature + 1, in.num_betas, 0.0f);
  if (in.transl)
    load_rows(block, in.transl, 3, 3, layout.transl);
  else
    fill_records(block, layout.transl, 3, 0.0f);
  __syncthreads();
  float* own = block.mine();
  for (int i = block.worker; i < 3 * joints; i += block.workers) {
    const float* row = in.offsets + int64_t(i) * shape;
    float sum = row[0];
    for (int s = 1; s < shape; ++s) sum += row[s] * own[layout.feature + s];
    own[layout.offset + i] = sum;
  }
  __syncthreads();
  if (block.worker == 0) forward_kinematics(in.tree, own + layout.rotation, own + layout.offset, own + layout.global_r, own + layout.global_p);
}

// From grad_feature, grad_r and grad_p to the rows of `out`. Barriers inside, none needed before. grad_rest: place of the gradient of the rest joints
// (J, 3), or -1; it is used up, as are global_r and global_p, which take the gradients of the local rotations and of the offsets.
__device__ __forceinline__ void unpose_bodies(const BodyInput<float>& in, const BodyLayout& layout, const BodyBlock& block, const BodyGrad<float>& out,
                                              int grad_rest) {
  const int joints = in.tree.joints, width = in.pose_width, shape = layout.shape, betas = in.num_betas;
  __syncthreads();
  if (block.worker == 0) {
    float* own = block.mine();
    float* grad_offset = own + layout.global_p;
    forward_kinematics_vjp(in.tree, own + layout.rotation, own + layout.offset, own + layout.global_r, own + layout.grad_r, own + layout.grad_p,
                           own + layout.global_r, grad_offset);
    if (grad_rest >= 0)
      for (int j = joints - 1; j >= 0; --j)
        for (int i = 0; i < 3; ++i) {
          const float g = own[grad_rest + 3 * j + i];
          grad_offset[3 * j + i] += g;
          if (j > 0) own[grad_rest + 3 * in.tree.parent[j] + i] += g;
        }
  }
  __syncthreads();
  if (out.pose)
    for (int i = threadIdx.x; i < block.valid * joints; i += blockDim.x) {
      const int b = i / joints, j = i % joints;
      const float* record = block.record(b);
      float g[9];
#pragma unroll
      for (int k = 0; k < 9; ++k) g[k] = record[layout.global_r + 9 * j + k] + (j > 0 ? record[layout.grad_feature + shape + 9 * (j - 1) + k] : 0.0f);
      const int64_t at = ((block.first + b) * joints + j) * width;
      if (width == 3) {
        const float r[3] = {in.pose[at], in.pose[at + 1], in.pose[at + 2]};
        float grad_r[3];
        rotvec_to_matrix_vjp(r, g, grad_r);
#pragma unroll
        for (int k = 0; k < 3; ++k) out.pose[at + k] = grad_r[k];
      } else {
#pragma unroll
        for (int k = 0; k < 9; ++k) out.pose[at + k] = g[k];
      }
    }
  if (out.betas)
    for (int i = threadIdx.x; i < block.valid * betas; i += blockDim.x) {
      const int b = i / betas, s = i % betas;
      const float* record = block.record(b);
      float sum = record[layout.grad_feature + 1 + s];
      for (int k = 0; k < 3 * joints; ++k) sum += in.offsets[int64_t(k) * shape + 1 + s] * record[layout.global_p + k];
      out.betas[(block.first + b) * betas + s] = sum;
    }
}

// grad_feature += transpose of packed (tiles, columns, 12) times the record's rows at `rows` (12 tiles). A worker owns blocks of columns: no two threads add
// to one place, and the order of the sum is fixed. Barriers around it are the caller's.
__device__ __forceinline__ void add_grad_feature(const BodyLayout& layout, const BodyBlock& block, const float* packed, int columns, int tiles, int rows) {
  float* own = block.mine();
  for (int c = kColumnBlock * block.worker; c < columns; c += kColumnBlock * block.workers) {
    float acc[kColumnBlock];
    transposed_columns(packed, columns, c, tiles, own + rows, acc);
#pragma unroll
    for (int k = 0; k < kColumnBlock; ++k)
      if (c + k < columns) own[layout.grad_feature + c + k] += acc[k];
  }
}

}  // namespace pgt
