// Bodies in lanes: moves one vector of bodies between rows in memory (one body after the other) and a plane (one vector per column).
// A tile is N planes side by side; kernels run N = 2 while bodies last, then N = 1.
#pragma once

#include <stdlib.h>

#include "simd.h"

namespace pgt {
namespace PGT_ISA {

// Rows -> plane. src: (valid, stride), of which `columns` are read; out: (columns). Lanes past `valid` repeat the last body.
template <class S>
PGT_HD void load_rows(const S* src, int64_t stride, int valid, int columns, Vec<S>* out) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const S* row[L];
  for (int l = 0; l < L; ++l) row[l] = src + (l < valid ? l : valid - 1) * stride;
  int column = 0;
  for (; column + L <= columns; column += L) {
    V block[L];
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) block[l] = V::load(row[l] + column);
    transpose(block);
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) out[column + l] = block[l];
  }
  for (; column < columns; ++column) {
    V lanes(0);
    for (int l = 0; l < L; ++l) lanes.v[l] = row[l][column];
    out[column] = lanes;
  }
}

// Plane -> rows; only `valid` bodies are written.
template <class S>
PGT_HD void store_rows(const Vec<S>* plane, int columns, int valid, S* out, int64_t stride) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  int bodies = valid < L ? valid : L;
  int column = 0;
  for (; column + L <= columns; column += L) {
    V block[L];
#pragma GCC unroll 16
    for (int l = 0; l < L; ++l) block[l] = plane[column + l];
    transpose(block);
    if (bodies == L) {
#pragma GCC unroll 16
      for (int l = 0; l < L; ++l) block[l].store(out + l * stride + column);
    } else {
      for (int l = 0; l < bodies; ++l) block[l].store(out + l * stride + column);
    }
  }
  for (; column < columns; ++column)
    for (int l = 0; l < bodies; ++l) out[l * stride + column] = plane[column].v[l];
}

// Memory of one worker, aligned for the widest vectors.
template <class T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : data_(static_cast<T*>(aligned_alloc(64, (size_t(count) * sizeof(T) + 63) / 64 * 64))) {
    if (!data_ && count > 0) abort();  // a few hundred kilobytes: nothing sensible is left to do
  }
  ~Scratch() { free(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* get() const { return data_; }

 private:
  T* data_;
};

// Calls body(std::integral_constant-like N, first body, number of bodies) over the vectors [first, last), two at a time while they last.
template <int N>
struct Planes {
  static constexpr int count = N;
};
template <class S, class F>
PGT_HD void for_tiles(int64_t first, int64_t last, int64_t batch, const F& tile) {
  constexpr int L = Vec<S>::kLanes;
  int64_t v = first;
  for (; v + 2 <= last; v += 2) tile(Planes<2>{}, v * L, batch - v * L < 2 * L ? int(batch - v * L) : 2 * L);
  if (v < last) tile(Planes<1>{}, v * L, batch - v * L < L ? int(batch - v * L) : L);
}

template <class S>
PGT_HD int64_t vector_count(int64_t batch) {
  return (batch + Vec<S>::kLanes - 1) / Vec<S>::kLanes;
}

}  // namespace PGT_ISA
}  // namespace pgt
