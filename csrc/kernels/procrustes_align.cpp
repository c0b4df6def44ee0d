// CPU: one alignment a lane, its points in a tile (10 K vectors, 11 KB for 17 points and 16 lanes). Per alignment about 60 K flops for the sums and
// 1,200 for the rotation (five sweeps of Jacobi); the adjoint repeats both and adds 90 K.
#include "procrustes_align.h"

#include "../math/procrustes.h"
#include "items.h"

namespace pgt {
namespace PGT_ISA {

// The points of one vector of alignments.
template <class S>
struct PointTile {
  using V = Vec<S>;
  const ProcrustesInput<S>& in;
  V *point, *target, *weight;
  PointMoments<V> moments;
  Similarity<V> fit;

  PointTile(const ProcrustesInput<S>& input, V* memory) : in(input), point(memory), target(memory + 3 * in.count), weight(memory + 6 * in.count) {}

  PGT_HD void load(int64_t first, int valid) {
    const int k = int(in.count);
    load_rows(in.points + first * 3 * k, 3 * k, valid, 3 * k, point);
    load_rows(in.target + first * 3 * k, 3 * k, valid, 3 * k, target);
    if (in.weights)
      load_rows(in.weights + first * k, k, valid, k, weight);
    else
      for (int i = 0; i < k; ++i) weight[i] = V(1);
    clear_point_moments(moments);
    for (int i = 0; i < k; ++i) add_point_means(point + 3 * i, target + 3 * i, weight[i], moments);
    finish_point_means(moments);
    for (int i = 0; i < k; ++i) add_point_spread(point + 3 * i, target + 3 * i, weight[i], moments);
    fit = fit_similarity(moments, in.with_scale);
  }
};

template <class S>
void procrustes_align(const ProcrustesInput<S>& in, const ProcrustesOutput<S>& out, int threads) {
  using V = Vec<S>;
  const int64_t vectors = vector_count<S>(in.batch);
  const int k = int(in.count);
  parallel_for(vectors, useful_threads(threads, vectors, 8), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(10 * in.count);
    PointTile<S> tile(in, memory.get());
    V* aligned = memory.get() + 7 * in.count;
    for (int64_t v = begin; v < end; ++v) {
      const int64_t first = v * V::kLanes;
      const int valid = in.batch - first < V::kLanes ? int(in.batch - first) : V::kLanes;
      tile.load(first, valid);
      for (int i = 0; i < k; ++i) align_point(tile.fit, tile.moments, tile.point + 3 * i, aligned + 3 * i);
      store_rows(aligned, 3 * k, valid, out.aligned + first * 3 * k, 3 * k);
      store_rows(&tile.fit.scale, 1, valid, out.scale + first, 1);
      store_rows(tile.fit.nearest.rotation, 9, valid, out.rotation + first * 9, 9);
      store_rows(tile.fit.translation, 3, valid, out.translation + first * 3, 3);
    }
  });
}

template <class S>
void procrustes_align_backward(const ProcrustesInput<S>& in, const ProcrustesOutput<const S>& grad, S* grad_points, S* grad_target, int threads) {
  using V = Vec<S>;
  const int64_t vectors = vector_count<S>(in.batch);
  const int k = int(in.count);
  parallel_for(vectors, useful_threads(threads, vectors, 8), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(16 * in.count);
    PointTile<S> tile(in, memory.get());
    V *grad_aligned = memory.get() + 7 * in.count, *grad_point = grad_aligned + 3 * k, *grad_to = grad_point + 3 * k;
    for (int64_t v = begin; v < end; ++v) {
      const int64_t first = v * V::kLanes;
      const int valid = in.batch - first < V::kLanes ? int(in.batch - first) : V::kLanes;
      V grad_scale, grad_rotation[9], grad_translation[3], sum[3], product[9];
      tile.load(first, valid);
      load_rows(grad.aligned + first * 3 * k, 3 * k, valid, 3 * k, grad_aligned);
      load_rows(grad.scale + first, 1, valid, 1, &grad_scale);
      load_rows(grad.rotation + first * 9, 9, valid, 9, grad_rotation);
      load_rows(grad.translation + first * 3, 3, valid, 3, grad_translation);
      for (int i = 0; i < 3; ++i) sum[i] = V(0);
      for (int i = 0; i < 9; ++i) product[i] = V(0);
      for (int i = 0; i < k; ++i) add_align_grad(tile.moments, tile.point + 3 * i, grad_aligned + 3 * i, sum, product);
      const SimilarityGrad<V> g = fit_similarity_vjp(tile.fit, tile.moments, in.with_scale, sum, product, grad_scale, grad_rotation, grad_translation);
      for (int i = 0; i < k; ++i)
        align_point_vjp(tile.fit, tile.moments, g, tile.point + 3 * i, tile.target + 3 * i, tile.weight[i], grad_aligned + 3 * i, grad_point + 3 * i,
                        grad_to + 3 * i);
      store_rows(grad_point, 3 * k, valid, grad_points + first * 3 * k, 3 * k);
      store_rows(grad_to, 3 * k, valid, grad_target + first * 3 * k, 3 * k);
    }
  });
}

#define PGT_INSTANTIATE(S)                                                                       \
  template void procrustes_align<S>(const ProcrustesInput<S>&, const ProcrustesOutput<S>&, int); \
  template void procrustes_align_backward<S>(const ProcrustesInput<S>&, const ProcrustesOutput<const S>&, S*, S*, int);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
