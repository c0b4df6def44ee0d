// CPU: 32 bodies in lanes, three products with packed weights (1.4 MB, second-level cache), the activations between them, Gram-Schmidt at the end.
// Work per body of VPoser's size (32-512-512-126): 0.69 MFLOP forward; the adjoint computes the two hidden layers again (0.56 MFLOP) and multiplies
// by the three transposes (0.69 MFLOP).
#include "vposer_decode.h"

#include "../math/rotation.h"
#include "gemm.h"
#include "parallel.h"
#include "tile.h"

namespace pgt {
namespace PGT_ISA {

namespace {

// Sizes of a plane's arrays; rows are padded to whole tiles.
template <class S>
struct DecoderPlane {
  int latents, hidden, output;
  explicit DecoderPlane(const DecoderTerms<S>& t) : latents(t.latents), hidden((t.hidden + 11) / 12 * 12), output((6 * t.rotations + 11) / 12 * 12) {}
  int64_t h1() const { return latents; }
  int64_t h2() const { return h1() + hidden; }
  int64_t out() const { return h2() + hidden; }
  int64_t matrices() const { return out() + output; }
  int64_t flops() const { return 2 * hidden * (int64_t(latents) + hidden + output); }
  int64_t size(const DecoderTerms<S>& t) const { return matrices() + 9 * t.rotations; }
};

// out = act(W in + b) on N planes; rows past `rows` become zero.
template <int N, class S>
PGT_HD void layer(const S* packed, const S* bias, int rows, int columns, const Vec<S>* in, int64_t plane, Vec<S>* out) {
  for (int tile = 0; tile * kRowTile < rows; ++tile) {
    row_tile_product<N>(packed + int64_t(tile) * columns * kRowTile, columns, in, plane, out + tile * kRowTile, plane);
    for (int n = 0; n < N; ++n)
      for (int r = tile * kRowTile; r < (tile + 1) * kRowTile; ++r) out[n * plane + r] = r < rows ? out[n * plane + r] + broadcast(bias[r]) : Vec<S>(0);
  }
}

template <int N, class S>
PGT_HD void leaky_relu(S slope, int rows, int64_t plane, Vec<S>* x) {
  for (int n = 0; n < N; ++n)
    for (int r = 0; r < rows; ++r) x[n * plane + r] = select(x[n * plane + r] < Vec<S>(0), broadcast(slope) * x[n * plane + r], x[n * plane + r]);
}

// An activated value is above zero exactly where its input was, for any slope from 0 on.
template <int N, class S>
PGT_HD void leaky_relu_vjp(S slope, int rows, int64_t plane, const Vec<S>* activated, Vec<S>* grad) {
  for (int n = 0; n < N; ++n)
    for (int r = 0; r < rows; ++r)
      grad[n * plane + r] = select(Vec<S>(0) < activated[n * plane + r], grad[n * plane + r], broadcast(slope) * grad[n * plane + r]);
}

template <int N, class S>
PGT_HD void hidden_layers(const DecoderTerms<S>& terms, const DecoderPlane<S>& layout, int64_t plane, Vec<S>* p) {
  layer<N>(terms.packed1, terms.bias1, terms.hidden, terms.latents, p, plane, p + layout.h1());
  leaky_relu<N>(terms.slope, terms.hidden, plane, p + layout.h1());
  layer<N>(terms.packed2, terms.bias2, terms.hidden, terms.hidden, p + layout.h1(), plane, p + layout.h2());
  leaky_relu<N>(terms.slope, terms.hidden, plane, p + layout.h2());
}

template <int N, class S>
PGT_HD void clear(int64_t rows, int64_t plane, Vec<S>* x) {
  for (int n = 0; n < N; ++n)
    for (int64_t r = 0; r < rows; ++r) x[n * plane + r] = Vec<S>(0);
}

}  // namespace

template <class S>
void vposer_decode(int64_t batch, const S* latent, const DecoderTerms<S>& terms, S* matrices, int threads) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const DecoderPlane<S> layout(terms);
  const int64_t plane = layout.size(terms), width = 9 * terms.rotations;
  parallel_for(vector_count<S>(batch), useful_threads(threads, batch * layout.flops(), kFlopGrain), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(2 * plane);
    V* p = memory.get();
    for_tiles<S>(begin, end, batch, [&](auto planes, int64_t first, int valid) {
      constexpr int N = decltype(planes)::count;
      for (int n = 0; n < N; ++n) load_rows(latent + (first + n * L) * terms.latents, terms.latents, valid - n * L, terms.latents, p + n * plane);
      hidden_layers<N>(terms, layout, plane, p);
      layer<N>(terms.packed3, terms.bias3, 6 * terms.rotations, terms.hidden, p + layout.h2(), plane, p + layout.out());
      for (int n = 0; n < N; ++n) {
        V* q = p + n * plane;
        for (int r = 0; r < terms.rotations; ++r) rot6d_to_matrix(q + layout.out() + 6 * r, true, q + layout.matrices() + 9 * r);
        store_rows(q + layout.matrices(), int(width), valid - n * L, matrices + (first + n * L) * width, width);
      }
    });
  });
}

template <class S>
void vposer_decode_backward(int64_t batch, const S* latent, const DecoderTerms<S>& terms, const S* grad_matrices, S* grad_latent, int threads) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const DecoderPlane<S> layout(terms);
  const int64_t forward = layout.size(terms), width = 9 * terms.rotations;
  const int64_t g_out = forward, g_h2 = g_out + layout.output, g_h1 = g_h2 + layout.hidden, g_z = g_h1 + layout.hidden, plane = g_z + terms.latents;
  parallel_for(vector_count<S>(batch), useful_threads(threads, 2 * batch * layout.flops(), kFlopGrain), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(2 * plane);
    V* p = memory.get();
    for_tiles<S>(begin, end, batch, [&](auto planes, int64_t first, int valid) {
      constexpr int N = decltype(planes)::count;
      for (int n = 0; n < N; ++n) load_rows(latent + (first + n * L) * terms.latents, terms.latents, valid - n * L, terms.latents, p + n * plane);
      hidden_layers<N>(terms, layout, plane, p);
      layer<N>(terms.packed3, terms.bias3, 6 * terms.rotations, terms.hidden, p + layout.h2(), plane, p + layout.out());
      clear<N>(plane - g_out, plane, p + g_out);
      for (int n = 0; n < N; ++n) {
        V* q = p + n * plane;
        load_rows(grad_matrices + (first + n * L) * width, width, valid - n * L, int(width), q + layout.matrices());
        for (int r = 0; r < terms.rotations; ++r) rot6d_to_matrix_vjp(q + layout.out() + 6 * r, true, q + layout.matrices() + 9 * r, q + g_out + 6 * r);
      }
      transposed_product<N>(terms.packed3, terms.hidden, layout.output / kRowTile, p + g_out, plane, p + g_h2, plane);
      leaky_relu_vjp<N>(terms.slope, terms.hidden, plane, p + layout.h2(), p + g_h2);
      transposed_product<N>(terms.packed2, terms.hidden, layout.hidden / kRowTile, p + g_h2, plane, p + g_h1, plane);
      leaky_relu_vjp<N>(terms.slope, terms.hidden, plane, p + layout.h1(), p + g_h1);
      transposed_product<N>(terms.packed1, terms.latents, layout.hidden / kRowTile, p + g_h1, plane, p + g_z, plane);
      for (int n = 0; n < N; ++n) store_rows(p + n * plane + g_z, terms.latents, valid - n * L, grad_latent + (first + n * L) * terms.latents, terms.latents);
    });
  });
}

#define PGT_INSTANTIATE(S)                                                            \
  template void vposer_decode<S>(int64_t, const S*, const DecoderTerms<S>&, S*, int); \
  template void vposer_decode_backward<S>(int64_t, const S*, const DecoderTerms<S>&, const S*, S*, int);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
