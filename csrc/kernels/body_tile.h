// One tile of posed bodies on the CPU: the features, the chain and their adjoint, bodies in lanes.
#pragma once

#include "../math/rotation.h"
#include "body.h"
#include "gemm.h"
#include "tile.h"

namespace pgt {
namespace PGT_ISA {

// Arrays of one plane, laid out one after the other; a second plane follows at distance `plane`.
template <class S>
struct BodyTile {
  using V = Vec<S>;
  const BodyInput<S>& in;
  int64_t plane = 0;
  V *pose, *local, *feature, *offset, *global_r, *global_p, *transl;
  V *grad_r, *grad_p, *grad_local, *grad_offset, *grad_feature, *grad_pose, *grad_transl;

  // Vectors that one plane takes; `extra` more are appended for the caller.
  static int64_t plane_size(const BodyInput<S>& in, int64_t extra) {
    int64_t j = in.joints();
    return 2 * (j * in.pose_width + j * 9 + in.full_features() + j * 3 + j * 9 + j * 3 + 3) + extra;
  }

  BodyTile(const BodyInput<S>& input, V* memory, int64_t extra) : in(input), plane(plane_size(input, extra)) {
    int64_t j = in.joints();
    V* next = memory;
    auto take = [&next](int64_t count) {
      V* p = next;
      next += count;
      return p;
    };
    pose = take(j * in.pose_width), local = take(j * 9), feature = take(in.full_features()), offset = take(j * 3);
    global_r = take(j * 9), global_p = take(j * 3), transl = take(3);
    grad_r = take(j * 9), grad_p = take(j * 3), grad_local = take(j * 9), grad_offset = take(j * 3);
    grad_feature = take(in.full_features()), grad_pose = take(j * in.pose_width), grad_transl = take(3);
    extra_ = next;
  }
  V* extra() const { return extra_; }

  // Loads plane n of the tile whose first body is `first`, and runs the chain.
  PGT_HD void forward(int n, int64_t first, int valid) {
    const int joints = in.joints(), width = in.pose_width, shape = in.num_betas;
    const int64_t at = n * plane;
    V *p = pose + at, *r = local + at, *f = feature + at, *o = offset + at;
    load_rows(in.pose + first * joints * width, joints * width, valid, joints * width, p);
    if (width == 3)
      for (int j = 0; j < joints; ++j) rotvec_to_matrix(p + 3 * j, r + 9 * j);
    else
      for (int i = 0; i < 9 * joints; ++i) r[i] = p[i];
    f[0] = V(1);
    if (in.betas)
      load_rows(in.betas + first * shape, shape, valid, shape, f + 1);
    else
      for (int s = 0; s < shape; ++s) f[1 + s] = V(0);
    for (int i = 0; i < 9 * (joints - 1); ++i) f[1 + shape + i] = i % 9 % 4 == 0 ? r[9 + i] - V(1) : r[9 + i];
    if (in.transl)
      load_rows(in.transl + first * 3, 3, valid, 3, transl + at);
    else
      for (int i = 0; i < 3; ++i) transl[at + i] = V(0);
    for (int i = 0; i < 3 * joints; ++i) {
      const S* row = in.offsets + i * (1 + shape);
      V sum = broadcast(row[0]);
      for (int s = 0; s < shape; ++s) sum.v += row[1 + s] * f[1 + s].v;
      o[i] = sum;
    }
    forward_kinematics(in.tree, r, o, global_r + at, global_p + at);
  }

  PGT_HD void clear_grads(int n) {
    const int joints = in.joints();
    for (int i = 0; i < 9 * joints; ++i) grad_r[n * plane + i] = V(0);
    for (int i = 0; i < 3 * joints; ++i) grad_p[n * plane + i] = V(0);
    for (int i = 0; i < in.full_features(); ++i) grad_feature[n * plane + i] = V(0);
    for (int i = 0; i < 3; ++i) grad_transl[n * plane + i] = V(0);
  }

  // From grad_r, grad_p, grad_feature and grad_transl of plane n to the rows of `out`. `grad_rest` (J, 3), used up: the gradient of the rest
  // joints themselves, or null.
  PGT_HD void backward(int n, int64_t first, int valid, const BodyGrad<S>& out, V* grad_rest = nullptr) {
    const int joints = in.joints(), width = in.pose_width, shape = in.num_betas;
    const int64_t at = n * plane;
    V *gf = grad_feature + at, *gl = grad_local + at, *go = grad_offset + at, *gp = grad_pose + at;
    forward_kinematics_vjp(in.tree, local + at, offset + at, global_r + at, grad_r + at, grad_p + at, gl, go);
    if (grad_rest)
      for (int j = joints - 1; j >= 0; --j)
        for (int i = 0; i < 3; ++i) {
          go[3 * j + i] += grad_rest[3 * j + i];
          if (j > 0) grad_rest[3 * in.tree.parent[j] + i] += grad_rest[3 * j + i];
        }
    if (out.pose) {
      for (int i = 0; i < 9 * (joints - 1); ++i) gl[9 + i] += gf[1 + shape + i];
      if (width == 3)
        for (int j = 0; j < joints; ++j) rotvec_to_matrix_vjp(pose + at + 3 * j, gl + 9 * j, gp + 3 * j);
      store_rows(width == 3 ? gp : gl, joints * width, valid, out.pose + first * joints * width, joints * width);
    }
    if (out.betas) {
      for (int i = 0; i < 3 * joints; ++i) {
        const S* row = in.offsets + i * (1 + shape);
        for (int s = 0; s < shape; ++s) gf[1 + s].v += row[1 + s] * go[i].v;
      }
      store_rows(gf + 1, shape, valid, out.betas + first * shape, shape);
    }
    if (out.transl) store_rows(grad_transl + at, 3, valid, out.transl + first * 3, 3);
  }

 private:
  V* extra_;
};

// Landmarks of a tile, and their adjoint. `moment` and `grad_moment` hold 12 tiles vectors a plane, `point` 3 K.
template <int N, class S>
PGT_HD void landmark_points(const LandmarkTerms<S>& terms, const BodyTile<S>& body, Vec<S>* moment, Vec<S>* point) {
  for (int t = 0; t < terms.tiles; ++t)
    row_tile_product<N>(terms.packed + int64_t(t) * terms.columns * kRowTile, terms.columns, body.feature, body.plane, moment + t * kRowTile, body.plane);
  for (int n = 0; n < N; ++n) {
    const int64_t at = n * body.plane;
    for (int k = 0; k < terms.landmarks; ++k) {
      Vec<S>* x = point + at + 3 * k;
      for (int i = 0; i < 3; ++i) x[i] = body.transl[at + i];
      for (int p = terms.pair_start[k]; p < terms.pair_start[k + 1]; ++p) {
        const int bone = terms.pair_bone[p], row = terms.moment_row[p];
        const Vec<S>* position = body.global_p + at + 3 * bone;
        const Vec<S> mass = broadcast(terms.pair_mass[p]);
        if (row < 0)
          for (int i = 0; i < 3; ++i) x[i] += mass * position[i];
        else
          pair_point(body.global_r + at + 9 * bone, position, moment + at + 3 * row, mass, x);
      }
    }
  }
}

template <int N, class S>
PGT_HD void landmark_points_vjp(const LandmarkTerms<S>& terms, const BodyTile<S>& body, const Vec<S>* moment, const Vec<S>* grad_point, Vec<S>* grad_moment) {
  for (int n = 0; n < N; ++n) {
    const int64_t at = n * body.plane;
    for (int i = 0; i < terms.tiles * kRowTile; ++i) grad_moment[at + i] = Vec<S>(0);
    for (int k = 0; k < terms.landmarks; ++k) {
      const Vec<S>* g = grad_point + at + 3 * k;
      for (int i = 0; i < 3; ++i) body.grad_transl[at + i] += g[i];
      for (int p = terms.pair_start[k]; p < terms.pair_start[k + 1]; ++p) {
        const int bone = terms.pair_bone[p], row = terms.moment_row[p];
        const Vec<S> mass = broadcast(terms.pair_mass[p]);
        Vec<S>* grad_p = body.grad_p + at + 3 * bone;
        if (row < 0)
          for (int i = 0; i < 3; ++i) grad_p[i] += mass * g[i];
        else
          pair_point_vjp(body.global_r + at + 9 * bone, moment + at + 3 * row, mass, g, body.grad_r + at + 9 * bone, grad_p, grad_moment + at + 3 * row);
      }
    }
  }
  if (terms.tiles > 0) transposed_product<N>(terms.packed, terms.columns, terms.tiles, grad_moment, body.plane, body.grad_feature, body.plane);
}

}  // namespace PGT_ISA
}  // namespace pgt
