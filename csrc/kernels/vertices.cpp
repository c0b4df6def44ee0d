// CPU. Bodies in lanes; the blend of four vertices (12 rows) is a product that stays in registers, is skinned at once and written once.
// Order of the loops: a group of bodies keeps its features and bone transforms in the second-level cache (32 KB a plane); a chunk of the basis
// (64 vertices, 167 KB at 217 columns) is read once for the whole group; per chunk and tile 192 columns are staged and transposed out.
// Work per body, 6,890 vertices, 217 features: 8.97 MFLOP of blend, 0.7 MFLOP of skinning, 83 KB written. The adjoint computes the blend again and
// multiplies by its transpose: 18 MFLOP, nothing per vertex is kept.
// Few bodies (fewer vectors than threads) are split by vertices instead; the partial sums of the adjoint are added in a fixed order.
#include "vertices.h"

#include "body_tile.h"
#include "parallel.h"

namespace pgt {
namespace PGT_ISA {

namespace {

constexpr int kChunk = 16;        // row tiles per chunk: 64 vertices
constexpr int kForwardGroup = 8;  // planes per group
constexpr int kBackwardGroup = 4;

// What one plane keeps while the vertices stream by: features, bone transforms (J, 12: rotation, then shift), and for the adjoint their gradients.
template <class S>
struct SkinPlane {
  int columns, joints;
  bool adjoint;
  int64_t size() const { return (columns + 12 * joints) * (adjoint ? 2 : 1) + (adjoint ? 3 : 0); }
  Vec<S>* feature(Vec<S>* p) const { return p; }
  Vec<S>* transform(Vec<S>* p) const { return p + columns; }
  Vec<S>* grad_feature(Vec<S>* p) const { return p + columns + 12 * joints; }
  Vec<S>* grad_transform(Vec<S>* p) const { return p + 2 * columns + 12 * joints; }
  Vec<S>* grad_transl(Vec<S>* p) const { return p + 2 * (columns + 12 * joints); }
};

// Rest joints of one plane, from the bone offsets.
template <class S>
PGT_HD void rest_joints(const Tree& tree, const Vec<S>* offset, Vec<S>* rest) {
  for (int j = 0; j < tree.joints; ++j)
    for (int i = 0; i < 3; ++i) rest[3 * j + i] = j == 0 ? offset[i] : rest[3 * tree.parent[j] + i] + offset[3 * j + i];
}

template <class S>
PGT_HD void pose_plane(BodyTile<S>& body, const SkinPlane<S>& layout, int64_t first, int valid, Vec<S>* plane) {
  const int joints = body.in.joints();
  body.forward(0, first, valid);
  for (int c = 0; c < layout.columns; ++c) layout.feature(plane)[c] = body.feature[c];
  Vec<S> rest[3 * kMaxJoints];
  rest_joints(body.in.tree, body.offset, rest);
  for (int j = 0; j < joints; ++j) {
    Vec<S>* t = layout.transform(plane) + 12 * j;
    Vec<S> turned[3];
    mat_vec(body.global_r + 9 * j, rest + 3 * j, turned);
    for (int i = 0; i < 9; ++i) t[i] = body.global_r[9 * j + i];
    for (int i = 0; i < 3; ++i) t[9 + i] = body.global_p[3 * j + i] - turned[i] + body.transl[i];
  }
  if (layout.adjoint)
    for (int64_t i = layout.columns + 12 * joints; i < layout.size(); ++i) plane[i] = Vec<S>(0);
}

template <class S>
PGT_HD void blend_transform(const SkinTerms<S>& terms, int vertex, const Vec<S>* transform, Vec<S> out[12]) {
  const int32_t* bone = terms.bone + int64_t(vertex) * terms.influences;
  const S* weight = terms.weight + int64_t(vertex) * terms.influences;
  for (int i = 0; i < 12; ++i) out[i].v = weight[0] * transform[12 * bone[0] + i].v;
  for (int w = 1; w < terms.influences; ++w) {
    if (weight[w] == S(0)) continue;
    for (int i = 0; i < 12; ++i) out[i].v += weight[w] * transform[12 * bone[w] + i].v;
  }
}

// Row tiles [first_tile, last_tile) of the planes of one group. `bodies` counts from the group's first body.
template <class S>
void skin_group(const SkinTerms<S>& terms, const SkinPlane<S>& layout, Vec<S>* planes, Vec<S>* stage, int bodies, int first_tile, int last_tile, S* out) {
  constexpr int L = Vec<S>::kLanes;
  const int64_t row = int64_t(terms.vertices) * 3, stage_plane = kChunk * kRowTile;
  for (int chunk = first_tile; chunk < last_tile; chunk += kChunk) {
    const int end = chunk + kChunk < last_tile ? chunk + kChunk : last_tile;
    const int columns = (4 * end < terms.vertices ? 4 * end : terms.vertices) * 3 - 12 * chunk;
    for_tiles<S>(0, vector_count<S>(bodies), bodies, [&](auto count, int64_t first, int valid) {
      constexpr int N = decltype(count)::count;
      Vec<S>* plane = planes + first / L * layout.size();
      for (int tile = chunk; tile < end; ++tile) {
        Vec<S>* rest = stage + (tile - chunk) * kRowTile;
        row_tile_product<N>(terms.packed + int64_t(tile) * terms.columns * kRowTile, terms.columns, layout.feature(plane), layout.size(), rest, stage_plane);
        for (int v = 0; v < 4 && 4 * tile + v < terms.vertices; ++v)
          for (int n = 0; n < N; ++n) {
            Vec<S> t[12], *x = rest + n * stage_plane + 3 * v, moved[3];
            blend_transform(terms, 4 * tile + v, layout.transform(plane + n * layout.size()), t);
            mat_vec(t, x, moved);
            for (int i = 0; i < 3; ++i) x[i] = moved[i] + t[9 + i];
          }
      }
      for (int n = 0; n < N; ++n) store_rows(stage + n * stage_plane, columns, valid - n * L, out + (first + n * L) * row + 12 * int64_t(chunk), row);
    });
  }
}

template <class S>
void skin_group_vjp(const SkinTerms<S>& terms, const SkinPlane<S>& layout, Vec<S>* planes, Vec<S>* stage, int bodies, int first_tile, int last_tile,
                    const S* grad_out) {
  constexpr int L = Vec<S>::kLanes;
  const int64_t row = int64_t(terms.vertices) * 3, stage_plane = 2 * kChunk * kRowTile;
  for (int chunk = first_tile; chunk < last_tile; chunk += kChunk) {
    const int end = chunk + kChunk < last_tile ? chunk + kChunk : last_tile;
    const int columns = (4 * end < terms.vertices ? 4 * end : terms.vertices) * 3 - 12 * chunk;
    for_tiles<S>(0, vector_count<S>(bodies), bodies, [&](auto count, int64_t first, int valid) {
      constexpr int N = decltype(count)::count;
      Vec<S>* plane = planes + first / L * layout.size();
      Vec<S>*grad = stage, *rest = stage + kChunk * kRowTile;
      for (int n = 0; n < N; ++n) {
        load_rows(grad_out + (first + n * L) * row + 12 * int64_t(chunk), row, valid - n * L, columns, grad + n * stage_plane);
        for (int c = columns; c < (end - chunk) * kRowTile; ++c) grad[n * stage_plane + c] = Vec<S>(0);
      }
      for (int tile = chunk; tile < end; ++tile) {
        row_tile_product<N>(terms.packed + int64_t(tile) * terms.columns * kRowTile, terms.columns, layout.feature(plane), layout.size(), rest, stage_plane);
        for (int v = 0; v < 4 && 4 * tile + v < terms.vertices; ++v)
          for (int n = 0; n < N; ++n) {
            Vec<S>* p = plane + n * layout.size();
            Vec<S> t[12], turned[3], *g = grad + n * stage_plane + (tile - chunk) * kRowTile + 3 * v;
            const Vec<S>* x = rest + n * stage_plane + 3 * v;
            const int vertex = 4 * tile + v;
            blend_transform(terms, vertex, layout.transform(p), t);
            for (int i = 0; i < 3; ++i) layout.grad_transl(p)[i] += g[i];
            for (int w = 0; w < terms.influences; ++w) {
              const S weight = terms.weight[int64_t(vertex) * terms.influences + w];
              if (weight == S(0)) continue;
              Vec<S>* gt = layout.grad_transform(p) + 12 * terms.bone[int64_t(vertex) * terms.influences + w];
              for (int i = 0; i < 3; ++i) {
                typename Vec<S>::Native scaled = weight * g[i].v;
                for (int k = 0; k < 3; ++k) gt[3 * i + k].v += scaled * x[k].v;
                gt[9 + i].v += scaled;
              }
            }
            mat_vec_at(t, g, turned);
            for (int i = 0; i < 3; ++i) g[i] = turned[i];
          }
      }
      transposed_product<N>(terms.packed + int64_t(chunk) * terms.columns * kRowTile, terms.columns, end - chunk, grad, stage_plane, layout.grad_feature(plane),
                            layout.size());
    });
  }
}

// From the gradients of a plane's features and transforms to the rows of `grad`.
template <class S>
void unpose_plane(BodyTile<S>& body, const SkinPlane<S>& layout, Vec<S>* plane, int64_t first, int valid, const BodyGrad<S>& grad) {
  const int joints = body.in.joints();
  body.forward(0, first, valid);
  body.clear_grads(0);
  Vec<S> rest[3 * kMaxJoints], grad_rest[3 * kMaxJoints];
  rest_joints(body.in.tree, body.offset, rest);
  for (int c = 0; c < layout.columns; ++c) body.grad_feature[c] = layout.grad_feature(plane)[c];
  for (int i = 0; i < 3; ++i) body.grad_transl[i] = layout.grad_transl(plane)[i];
  for (int j = 0; j < joints; ++j) {
    const Vec<S>* gt = layout.grad_transform(plane) + 12 * j;
    for (int i = 0; i < 3; ++i) {
      for (int k = 0; k < 3; ++k) body.grad_r[9 * j + 3 * i + k] = gt[3 * i + k] - gt[9 + i] * rest[3 * j + k];
      body.grad_p[3 * j + i] = gt[9 + i];
    }
    mat_vec_at(body.global_r + 9 * j, gt + 9, grad_rest + 3 * j);
    for (int i = 0; i < 3; ++i) grad_rest[3 * j + i] = Vec<S>(0) - grad_rest[3 * j + i];
  }
  body.backward(0, first, valid, grad, grad_rest);
}

// Bodies [begin, end) in groups; `visit(group's first body, bodies in the group)`.
template <class S, class F>
PGT_HD void for_groups(int64_t begin_vector, int64_t end_vector, int64_t batch, int group, const F& visit) {
  constexpr int L = Vec<S>::kLanes;
  for (int64_t v = begin_vector; v < end_vector; v += group) {
    const int64_t last = v + group < end_vector ? v + group : end_vector;
    const int64_t end = last * L < batch ? last * L : batch;
    visit(v * L, int(end - v * L));
  }
}

}  // namespace

template <class S>
void vertices(const BodyInput<S>& in, const SkinTerms<S>& terms, S* out, int threads) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const SkinPlane<S> layout{terms.columns, in.joints(), false};
  const int64_t vectors = vector_count<S>(in.batch), row = int64_t(terms.vertices) * 3;
  const bool by_body = vectors >= threads;
  parallel_for(by_body ? vectors : terms.tiles(), threads, [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(BodyTile<S>::plane_size(in, 0)), planes(kForwardGroup * layout.size()), stage(2 * kChunk * kRowTile);
    BodyTile<S> body(in, memory.get(), 0);
    for_groups<S>(by_body ? begin : 0, by_body ? end : vectors, in.batch, kForwardGroup, [&](int64_t first, int bodies) {
      for (int b = 0; b < bodies; b += L) pose_plane(body, layout, first + b, bodies - b, planes.get() + b / L * layout.size());
      skin_group(terms, layout, planes.get(), stage.get(), bodies, by_body ? 0 : int(begin), by_body ? terms.tiles() : int(end), out + first * row);
    });
  });
}

template <class S>
void vertices_backward(const BodyInput<S>& in, const SkinTerms<S>& terms, const S* grad_out, const BodyGrad<S>& grad, int threads) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const SkinPlane<S> layout{terms.columns, in.joints(), true};
  const int64_t vectors = vector_count<S>(in.batch), row = int64_t(terms.vertices) * 3;
  if (vectors >= threads) {
    parallel_for(vectors, threads, [&](int, int64_t begin, int64_t end) {
      Scratch<V> memory(BodyTile<S>::plane_size(in, 0)), planes(kBackwardGroup * layout.size()), stage(4 * kChunk * kRowTile);
      BodyTile<S> body(in, memory.get(), 0);
      for_groups<S>(begin, end, in.batch, kBackwardGroup, [&](int64_t first, int bodies) {
        for (int b = 0; b < bodies; b += L) pose_plane(body, layout, first + b, bodies - b, planes.get() + b / L * layout.size());
        skin_group_vjp(terms, layout, planes.get(), stage.get(), bodies, 0, terms.tiles(), grad_out + first * row);
        for (int b = 0; b < bodies; b += L) unpose_plane(body, layout, planes.get() + b / L * layout.size(), first + b, bodies - b, grad);
      });
    });
    return;
  }
  // Fewer vectors than threads: each worker takes a run of vertices of all bodies, into planes of its own.
  Scratch<V> planes(threads * vectors * layout.size()), memory(BodyTile<S>::plane_size(in, 0));
  BodyTile<S> body(in, memory.get(), 0);
  for (int64_t k = 0; k < threads * vectors; ++k) pose_plane(body, layout, k % vectors * L, int(in.batch - k % vectors * L), planes.get() + k * layout.size());
  parallel_for(terms.tiles(), threads, [&](int worker, int64_t begin, int64_t end) {
    Scratch<V> stage(4 * kChunk * kRowTile);
    skin_group_vjp(terms, layout, planes.get() + worker * vectors * layout.size(), stage.get(), int(in.batch), int(begin), int(end), grad_out);
  });
  for (int64_t v = 0; v < vectors; ++v) {
    V* sum = planes.get() + v * layout.size();
    for (int64_t k = 1; k < threads; ++k)
      for (int64_t i = layout.columns + 12 * layout.joints; i < layout.size(); ++i) sum[i] += sum[k * vectors * layout.size() + i];
    unpose_plane(body, layout, sum, v * L, int(in.batch - v * L), grad);
  }
}

#define PGT_INSTANTIATE(S)                                                      \
  template void vertices<S>(const BodyInput<S>&, const SkinTerms<S>&, S*, int); \
  template void vertices_backward<S>(const BodyInput<S>&, const SkinTerms<S>&, const S*, const BodyGrad<S>&, int);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
