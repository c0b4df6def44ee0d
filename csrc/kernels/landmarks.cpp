// CPU: one worker takes a run of bodies, a tile of them at a time in lanes. A tile's arrays (about 100 KB for 32 bodies and 24 joints) stay in the
// second-level cache; the only streams are the packed moments (200 KB for 79 pairs, shared) and the poses in, points out.
// Work per body, 79 pairs, 217 features: 2 * 237 * 217 = 0.10 MFLOP forward, as much again in the adjoint, and some 5 KFLOP for the chain.
#include "landmarks.h"

#include "body_tile.h"
#include "parallel.h"

namespace pgt {
namespace PGT_ISA {

template <class S>
void landmarks(const BodyInput<S>& in, const LandmarkTerms<S>& terms, S* points, int threads) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const int64_t extra = terms.tiles * kRowTile + 3 * terms.landmarks;
  parallel_for(vector_count<S>(in.batch), useful_threads(threads, in.batch * terms.flops(in.joints()), kFlopGrain), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(2 * BodyTile<S>::plane_size(in, extra));
    BodyTile<S> body(in, memory.get(), extra);
    V *moment = body.extra(), *point = moment + terms.tiles * kRowTile;
    for_tiles<S>(begin, end, in.batch, [&](auto planes, int64_t first, int valid) {
      constexpr int N = decltype(planes)::count;
      for (int n = 0; n < N; ++n) body.forward(n, first + n * L, valid - n * L);
      landmark_points<N>(terms, body, moment, point);
      for (int n = 0; n < N; ++n)
        store_rows(point + n * body.plane, 3 * terms.landmarks, valid - n * L, points + (first + n * L) * 3 * terms.landmarks, 3 * terms.landmarks);
    });
  });
}

template <class S>
void landmarks_backward(const BodyInput<S>& in, const LandmarkTerms<S>& terms, const S* grad_points, const BodyGrad<S>& grad, int threads) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const int64_t moments = terms.tiles * kRowTile, extra = 2 * moments + 3 * terms.landmarks;
  parallel_for(vector_count<S>(in.batch), useful_threads(threads, 3 * in.batch * terms.flops(in.joints()), kFlopGrain), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(2 * BodyTile<S>::plane_size(in, extra));
    BodyTile<S> body(in, memory.get(), extra);
    V *moment = body.extra(), *grad_moment = moment + moments, *point = grad_moment + moments;
    for_tiles<S>(begin, end, in.batch, [&](auto planes, int64_t first, int valid) {
      constexpr int N = decltype(planes)::count;
      for (int n = 0; n < N; ++n) body.forward(n, first + n * L, valid - n * L), body.clear_grads(n);
      landmark_points<N>(terms, body, moment, point);
      for (int n = 0; n < N; ++n)
        load_rows(grad_points + (first + n * L) * 3 * terms.landmarks, 3 * terms.landmarks, valid - n * L, 3 * terms.landmarks, point + n * body.plane);
      landmark_points_vjp<N>(terms, body, moment, point, grad_moment);
      for (int n = 0; n < N; ++n) body.backward(n, first + n * L, valid - n * L, grad);
    });
  });
}

#define PGT_INSTANTIATE(S)                                                           \
  template void landmarks<S>(const BodyInput<S>&, const LandmarkTerms<S>&, S*, int); \
  template void landmarks_backward<S>(const BodyInput<S>&, const LandmarkTerms<S>&, const S*, const BodyGrad<S>&, int);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
