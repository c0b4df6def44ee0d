// Landmarks of a block of posed bodies, and their adjoint. Moments go through shared memory in chunks of row tiles, so that any number of pairs fits.
#pragma once

#include "body_block.cuh"

namespace pgt {

// A record of landmarks: the body, then `points` places for points (3 K or 0), then a chunk of moments, with their gradient in the adjoint.
struct LandmarkLayout : BodyLayout {
  int point;
  int moment;  // 12 rows a tile of the chunk; the gradient follows the moments
  int step;    // floats a tile

  LandmarkLayout(const BodyInput<float>& in, bool adjoint, int points)
      : BodyLayout(in, adjoint), point(end), moment(point + 3 * points), step(adjoint ? 2 * kRowTile : kRowTile) {}

  // Chunks of 16 row tiles or more keep all warps busy; fewer only where even one body does not leave room for that.
  Records records(int shared_bytes, int tiles) const {
    const int most = tiles < kMostTiles ? tiles : kMostTiles;
    const Records r = fit_records(shared_bytes, moment, step, most < 16 ? most : 16, most);
    return r.bodies > 0 ? r : fit_records(shared_bytes, moment, step, most < 1 ? most : 1, most);
  }

  static constexpr int kMostTiles = 48;
};

// Moments of row tiles [first, first + count) -> records.
__device__ __forceinline__ void chunk_moments(const LandmarkTerms<float>& terms, const LandmarkLayout& layout, const BodyBlock& block, int first, int count) {
  float* own = block.mine();
  const int64_t step = int64_t(terms.columns) * kRowTile;
  for (int t = block.worker; t < count; t += block.workers) {
    float acc[kRowTile];
    feature_product<1>(terms.packed + (first + t) * step, step, terms.columns, layout.shape, own + layout.feature, acc);
#pragma unroll
    for (int r = 0; r < kRowTile; ++r) own[layout.moment + kRowTile * t + r] = acc[r];
  }
}

// x += the pairs of landmark k whose moments lie in the chunk; with the first chunk also those without a moment.
__device__ __forceinline__ void add_landmark(const LandmarkTerms<float>& terms, const LandmarkLayout& layout, const float* own, int first, int count, int k,
                                             float x[3]) {
  const int end = terms.pair_start[k + 1];
  for (int p = terms.pair_start[k]; p < end; ++p) {
    const int bone = terms.pair_bone[p], row = terms.moment_row[p];
    const float mass = terms.pair_mass[p];
    const float* position = own + layout.global_p + 3 * bone;
    if (row < 0) {
      if (first == 0)
        for (int i = 0; i < 3; ++i) x[i] += mass * position[i];
    } else if (row >= 4 * first && row < 4 * (first + count)) {
      pair_point(own + layout.global_r + 9 * bone, position, own + layout.moment + 3 * (row - 4 * first), mass, x);
    }
  }
}

// Adjoint of add_landmark over all landmarks, gradients of the points at `point`. A worker owns the bones whose number it has modulo the workers, and
// looks through all pairs for them, eight bones loaded at a time: every sum is one thread's, in the order of the pairs.
__device__ __forceinline__ void chunk_adjoint(const LandmarkTerms<float>& terms, const LandmarkLayout& layout, const BodyBlock& block, int first, int count) {
  constexpr int kAhead = 8;
  float* own = block.mine();
  const int grad_moment = layout.moment + layout.step / 2 * count;
  int k = 0;
  for (int base = 0; base < terms.pairs; base += kAhead) {
    int bones[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) bones[i] = base + i < terms.pairs ? __ldg(terms.pair_bone + base + i) : -1;
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int bone = bones[i], p = base + i;
      if (bone < 0 || (bone & (block.workers - 1)) != block.worker) continue;
      const int row = terms.moment_row[p];
      if (row < 0 ? first != 0 : row < 4 * first || row >= 4 * (first + count)) continue;
      while (p >= terms.pair_start[k + 1]) ++k;
      const float* g = own + layout.point + 3 * k;
      const float mass = terms.pair_mass[p];
      float* grad_p = own + layout.grad_p + 3 * bone;
      if (row < 0) {
        for (int c = 0; c < 3; ++c) grad_p[c] += mass * g[c];
      } else {
        const int at = 3 * (row - 4 * first);
        pair_point_vjp(own + layout.global_r + 9 * bone, own + layout.moment + at, mass, g, own + layout.grad_r + 9 * bone, grad_p, own + grad_moment + at);
      }
    }
  }
}

// From the gradients of the points, at `point`, to the rows of `grad`. `kept`: the chunk at tile 0 holds all moments already. Starts and ends with what
// its callees need: a barrier first.
__device__ __forceinline__ void landmarks_adjoint(const BodyInput<float>& in, const LandmarkTerms<float>& terms, const LandmarkLayout& layout,
                                                  const BodyBlock& block, int chunk, bool kept, const BodyGrad<float>& grad) {
  fill_records(block, layout.grad_feature, layout.end - layout.grad_feature, 0.0f);
  __syncthreads();
  if (grad.transl && block.alive())
    for (int i = block.worker; i < 3; i += block.workers) {
      float sum = 0.0f;
      for (int k = 0; k < terms.landmarks; ++k) sum += block.mine()[layout.point + 3 * k + i];
      grad.transl[block.row(block.lane) * 3 + i] = sum;
    }
  int first = 0;
  do {
    const int count = terms.tiles - first < chunk ? terms.tiles - first : chunk;
    if (!kept) chunk_moments(terms, layout, block, first, count);
    fill_records(block, layout.moment + layout.step / 2 * count, kRowTile * count, 0.0f);
    __syncthreads();
    chunk_adjoint(terms, layout, block, first, count);
    __syncthreads();
    add_grad_feature(layout, block, terms.packed + int64_t(first) * terms.columns * kRowTile, terms.columns, count, layout.moment + layout.step / 2 * count);
    __syncthreads();
    first += count;
  } while (first < terms.tiles);
  unpose_bodies(in, layout, block, grad, -1);
}

}  // namespace pgt
