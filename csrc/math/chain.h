// The rigid chain of a tree of joints, and one (landmark, bone) pair.
#pragma once

#include <stdint.h>

#include "common.h"

namespace pgt {

constexpr int kMaxJoints = 64;

// Tree of joints, passed by value. parent[j] < j, the root (joint 0) has -1.
struct Tree {
  int joints;
  int8_t parent[kMaxJoints];
};

// rotation (J, 9) local, offset (J, 3) -> global_r (J, 9), global_p (J, 3).
template <class T>
PGT_HD void forward_kinematics(const Tree& tree, const T* rotation, const T* offset, T* global_r, T* global_p) {
  for (int j = 0; j < tree.joints; ++j) {
    int p = tree.parent[j];
    if (p < 0) {
      for (int i = 0; i < 9; ++i) global_r[9 * j + i] = rotation[9 * j + i];
      for (int i = 0; i < 3; ++i) global_p[3 * j + i] = offset[3 * j + i];
    } else {
      T moved[3];
      mat_mul(global_r + 9 * p, rotation + 9 * j, global_r + 9 * j);
      mat_vec(global_r + 9 * p, offset + 3 * j, moved);
      for (int i = 0; i < 3; ++i) global_p[3 * j + i] = global_p[3 * p + i] + moved[i];
    }
  }
}

// Adjoint. grad_r (J, 9) and grad_p (J, 3) hold the cotangents of the outputs and are used up; grad_rotation (J, 9) and grad_offset (J, 3) are overwritten.
template <class T>
PGT_HD void forward_kinematics_vjp(const Tree& tree, const T* rotation, const T* offset, const T* global_r, T* grad_r, T* grad_p, T* grad_rotation,
                                   T* grad_offset) {
  for (int j = tree.joints - 1; j >= 0; --j) {
    int p = tree.parent[j];
    const T* gr = grad_r + 9 * j;
    const T* gp = grad_p + 3 * j;
    if (p < 0) {
      for (int i = 0; i < 9; ++i) grad_rotation[9 * j + i] = gr[i];
      for (int i = 0; i < 3; ++i) grad_offset[3 * j + i] = gp[i];
    } else {
      T up[9];
      mat_mul_at(global_r + 9 * p, gr, grad_rotation + 9 * j);
      mat_vec_at(global_r + 9 * p, gp, grad_offset + 3 * j);
      mat_mul_bt(gr, rotation + 9 * j, up);
      for (int i = 0; i < 3; ++i)
        for (int k = 0; k < 3; ++k) grad_r[9 * p + 3 * i + k] = grad_r[9 * p + 3 * i + k] + up[3 * i + k] + gp[i] * offset[3 * j + k];
      for (int i = 0; i < 3; ++i) grad_p[3 * p + i] = grad_p[3 * p + i] + gp[i];
    }
  }
}

// One pair: point += G m + mass p.
template <class T>
PGT_HD void pair_point(const T global_r[9], const T global_p[3], const T moment[3], T mass, T point[3]) {
  T turned[3];
  mat_vec(global_r, moment, turned);
  for (int i = 0; i < 3; ++i) point[i] = point[i] + turned[i] + mass * global_p[i];
}

// Adjoint of the pair with a moment: adds to grad_r and grad_p, overwrites grad_moment.
template <class T>
PGT_HD void pair_point_vjp(const T global_r[9], const T moment[3], T mass, const T grad_point[3], T grad_r[9], T grad_p[3], T grad_moment[3]) {
  mat_vec_at(global_r, grad_point, grad_moment);
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < 3; ++k) grad_r[3 * i + k] = grad_r[3 * i + k] + grad_point[i] * moment[k];
    grad_p[i] = grad_p[i] + mass * grad_point[i];
  }
}

}  // namespace pgt
