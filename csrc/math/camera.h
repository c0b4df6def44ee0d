// Projection of camera-space points to pixels.
#pragma once

#include "common.h"

namespace pgt {

enum class CameraModel : int { perspective = 0, weak = 1 };

constexpr double kMinDepth = 1e-2;  // metres

template <class T>
PGT_HD void project(const T point[3], const T focal[2], const T center[2], CameraModel model, T pixel[2]) {
  T inverse = T(1);
  if (model == CameraModel::perspective) inverse = T(1) / select(point[2] < T(kMinDepth), T(kMinDepth), point[2]);
  for (int i = 0; i < 2; ++i) pixel[i] = point[i] * inverse * focal[i] + center[i];
}

// Overwrites grad_point and grad_focal; the gradient of center is grad_pixel itself.
template <class T>
PGT_HD void project_vjp(const T point[3], const T focal[2], CameraModel model, const T grad_pixel[2], T grad_point[3], T grad_focal[2]) {
  T inverse = T(1), depth = T(0);
  if (model == CameraModel::perspective) {
    auto near = point[2] < T(kMinDepth);
    inverse = T(1) / select(near, T(kMinDepth), point[2]);
    depth = select(near, T(0), inverse);
  }
  T sum = T(0);
  for (int i = 0; i < 2; ++i) {
    T flat = point[i] * inverse;
    grad_focal[i] = grad_pixel[i] * flat;
    grad_point[i] = grad_pixel[i] * focal[i] * inverse;
    sum = sum + grad_point[i] * point[i];
  }
  grad_point[2] = T(0) - sum * depth;
}

}  // namespace pgt
