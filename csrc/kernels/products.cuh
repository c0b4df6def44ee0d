// Products of a constant matrix, packed twelve rows a tile (tiles, columns, 12), with vectors that lie in shared memory. One thread multiplies for one
// body; where a warp's lanes are 32 bodies the matrix is read once a warp (the same 16 bytes for every lane) and the vector without bank conflicts.
// A column of T tiles costs 12 T multiply-adds, 3 T loads of the matrix and one of the vector.
#pragma once

#include "cuda_common.cuh"

namespace pgt {

constexpr int kRowTile = 12;
constexpr int kColumnBlock = 8;  // columns of the transposed product that a thread sums at a time

// acc (12 T) += one column of T tiles, `step` float4 apart, times x.
template <int T>
__device__ __forceinline__ void add_column(const float4* column, int64_t step, float x, float* acc) {
#pragma unroll
  for (int t = 0; t < T; ++t)
#pragma unroll
    for (int q = 0; q < 3; ++q) {
      const float4 m = __ldg(column + t * step + q);
      acc[kRowTile * t + 4 * q] += m.x * x;
      acc[kRowTile * t + 4 * q + 1] += m.y * x;
      acc[kRowTile * t + 4 * q + 2] += m.z * x;
      acc[kRowTile * t + 4 * q + 3] += m.w * x;
    }
}

// acc (12 T) = T tiles, `step` floats apart, times x (columns).
template <int T>
__device__ __forceinline__ void dense_product(const float* tile, int64_t step, int columns, const float* x, float* acc) {
  const float4* column = reinterpret_cast<const float4*>(tile);
#pragma unroll
  for (int r = 0; r < kRowTile * T; ++r) acc[r] = 0.0f;
#pragma unroll 4
  for (int c = 0; c < columns; ++c, column += 3) add_column<T>(column, step / 4, x[c], acc);
}

// The same with the features F of a body (see pgtfast/reference/terms.py), given as [1, betas] (shape), R_0, R_1, ...: nine columns are R_j less the identity.
template <int T>
__device__ __forceinline__ void feature_product(const float* tile, int64_t step, int columns, int shape, const float* feature, float* acc) {
  dense_product<T>(tile, step, shape, feature, acc);
  const float4* column = reinterpret_cast<const float4*>(tile) + int64_t(shape) * 3;
  const float* rotation = feature + shape + 9;
  for (int c = shape; c < columns; c += 9, rotation += 9, column += 27) {
#pragma unroll
    for (int i = 0; i < 9; ++i) add_column<T>(column + 3 * i, step / 4, i % 4 == 0 ? rotation[i] - 1.0f : rotation[i], acc);
  }
}

// acc (8) = columns [c, c + 8) of the transposed product with g (12 tiles); columns past the last repeat it.
__device__ __forceinline__ void transposed_columns(const float* packed, int columns, int c, int tiles, const float* g, float* acc) {
#pragma unroll
  for (int k = 0; k < kColumnBlock; ++k) acc[k] = 0.0f;
  for (int t = 0; t < tiles; ++t) {
    const float4* base = reinterpret_cast<const float4*>(packed) + int64_t(t) * columns * 3;
    float x[kRowTile];
#pragma unroll
    for (int r = 0; r < kRowTile; ++r) x[r] = g[kRowTile * t + r];
#pragma unroll
    for (int k = 0; k < kColumnBlock; ++k) {
      const float4* column = base + 3 * (c + k < columns ? c + k : columns - 1);
#pragma unroll
      for (int q = 0; q < 3; ++q) {
        const float4 m = __ldg(column + q);
        acc[k] += m.x * x[4 * q] + m.y * x[4 * q + 1] + m.z * x[4 * q + 2] + m.w * x[4 * q + 3];
      }
    }
  }
}

}  // namespace pgt
