// Ops that map small rows to small rows (three numbers to nine, say): splits a flat list of items over threads and lanes.
#pragma once

#include "parallel.h"
#include "tile.h"

namespace pgt {
namespace PGT_ISA {

// A lane holds R consecutive items, so that one vector of lanes is a block of rows R times as long, wide enough for the transposes of tile.h.
template <int R>
struct Run {
  static constexpr int count = R;
};
constexpr int kRun = 16;

// Calls tile(Run<R>, first item, valid lanes) over [0, count): R = kRun while a whole block is left, then R = 1.
template <class S, class F>
void for_runs(int64_t count, int threads, const F& tile) {
  constexpr int L = Vec<S>::kLanes;
  constexpr int64_t block = int64_t(L) * kRun;
  const int64_t blocks = (count + block - 1) / block;
  parallel_for(blocks, useful_threads(threads, blocks, 8), [&](int, int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      int64_t first = b * block, left = count - first;
      if (left >= block)
        tile(Run<kRun>{}, first, L);
      else
        for (; left > 0; first += L, left -= L) tile(Run<1>{}, first, left < L ? int(left) : L);
    }
  });
}

// out (count, B) = f(in (count, A)) row by row.
template <int A, int B, class S, class F>
void map_rows(int64_t count, const S* in, S* out, int threads, const F& f) {
  for_runs<S>(count, threads, [&](auto run, int64_t first, int valid) {
    constexpr int R = decltype(run)::count;
    Vec<S> x[R * A], y[R * B];
    load_rows(in + first * A, R * A, valid, R * A, x);
#pragma GCC unroll 1
    for (int r = 0; r < R; ++r) f(x + r * A, y + r * B);
    store_rows(y, R * B, valid, out + first * B, R * B);
  });
}

// grad_in (count, A) = f(in (count, A), grad_out (count, B)) row by row.
template <int A, int B, class S, class F>
void map_rows_vjp(int64_t count, const S* in, const S* grad_out, S* grad_in, int threads, const F& f) {
  for_runs<S>(count, threads, [&](auto run, int64_t first, int valid) {
    constexpr int R = decltype(run)::count;
    Vec<S> x[R * A], g[R * B], y[R * A];
    load_rows(in + first * A, R * A, valid, R * A, x);
    load_rows(grad_out + first * B, R * B, valid, R * B, g);
#pragma GCC unroll 1
    for (int r = 0; r < R; ++r) f(x + r * A, g + r * B, y + r * A);
    store_rows(y, R * A, valid, grad_in + first * A, R * A);
  });
}

}  // namespace PGT_ISA
}  // namespace pgt
