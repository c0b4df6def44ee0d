// Products of a constant matrix with a tile of bodies. The matrix comes packed, twelve rows a tile: (tiles, columns, 12); the other operand holds
// bodies in lanes, N planes `plane` vectors apart, so each step multiplies one broadcast element with N vectors. Twelve rows and two vectors use
// 24 accumulators of AVX-512's 32 registers (twelve rows and one vector: 12 of AVX2's 16).
#pragma once

#include "simd.h"

namespace pgt {
namespace PGT_ISA {

constexpr int kRowTile = 12;

template <class S>
PGT_HD Vec<S> broadcast(S x) {
  return Vec<S>(typename Vec<S>::Native{} + x);
}

// out (12) = one row tile (columns, 12) times in (columns), on N planes.
template <int N, class S>
PGT_HD void row_tile_product(const S* tile, int columns, const Vec<S>* in, int64_t in_plane, Vec<S>* out, int64_t out_plane) {
  typename Vec<S>::Native acc[kRowTile][N];
#pragma GCC unroll 12
  for (int r = 0; r < kRowTile; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) acc[r][n] = typename Vec<S>::Native{};
  for (int c = 0; c < columns; ++c, tile += kRowTile) {
    typename Vec<S>::Native x[N];
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) x[n] = in[n * in_plane + c].v;
#pragma GCC unroll 12
    for (int r = 0; r < kRowTile; ++r)
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) acc[r][n] += tile[r] * x[n];
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRowTile; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) out[n * out_plane + r].v = acc[r][n];
}

// K columns of the transposed product: grad_in (columns) += tiles^T grad_out (12 tiles), columns c to c + K.
template <int K, int N, class S>
PGT_HD void transposed_columns(const S* packed, int columns, int c, int tiles, const Vec<S>* grad_out, int64_t out_plane, Vec<S>* grad_in, int64_t in_plane) {
  typename Vec<S>::Native acc[K][N];
#pragma GCC unroll 12
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) acc[k][n] = grad_in[n * in_plane + c + k].v;
  for (int t = 0; t < tiles; ++t) {
    const S* base = packed + (int64_t(t) * columns + c) * kRowTile;
    const Vec<S>* g = grad_out + t * kRowTile;
    for (int r = 0; r < kRowTile; ++r) {
      typename Vec<S>::Native x[N];
#pragma GCC unroll 2
      for (int n = 0; n < N; ++n) x[n] = g[n * out_plane + r].v;
#pragma GCC unroll 12
      for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
        for (int n = 0; n < N; ++n) acc[k][n] += base[k * kRowTile + r] * x[n];
    }
  }
#pragma GCC unroll 12
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
    for (int n = 0; n < N; ++n) grad_in[n * in_plane + c + k].v = acc[k][n];
}

// grad_in (columns) += packed^T grad_out (12 tiles), on N planes.
template <int N, class S>
PGT_HD void transposed_product(const S* packed, int columns, int tiles, const Vec<S>* grad_out, int64_t out_plane, Vec<S>* grad_in, int64_t in_plane) {
  int c = 0;
  for (; c + 12 <= columns; c += 12) transposed_columns<12, N>(packed, columns, c, tiles, grad_out, out_plane, grad_in, in_plane);
  for (; c + 4 <= columns; c += 4) transposed_columns<4, N>(packed, columns, c, tiles, grad_out, out_plane, grad_in, in_plane);
  for (; c < columns; ++c) transposed_columns<1, N>(packed, columns, c, tiles, grad_out, out_plane, grad_in, in_plane);
}

}  // namespace PGT_ISA
}  // namespace pgt
