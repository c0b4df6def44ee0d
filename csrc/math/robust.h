// Robust penalties of a 2D residual, value and gradient together.
#pragma once

#include "common.h"

namespace pgt {

enum class Penalty : int { l1 = 0, mse = 1, geman_mcclure = 2 };
enum class Norm : int { coordinate = 0, euclidean = 1 };

// Penalty of a squared length s and its derivative by s. L1 has derivative 0 at s = 0.
template <class T>
PGT_HD void penalty_of_square(Penalty penalty, T sigma2, T s, T& value, T& derivative) {
  if (penalty == Penalty::mse) {
    value = s;
    derivative = T(1);
  } else if (penalty == Penalty::l1) {
    auto zero = !(T(0) < s);
    value = select(zero, T(0), root(select(zero, T(1), s)));
    derivative = select(zero, T(0), T(0.5) / select(zero, T(1), value));
  } else {
    T inverse = T(1) / (sigma2 + s);
    value = sigma2 * s * inverse;
    derivative = sigma2 * inverse * sigma2 * inverse;
  }
}

// Value of the penalty of the residual (two entries, or one with the Euclidean norm, summed) and its gradient.
template <class T>
PGT_HD T robust(Penalty penalty, Norm norm, T sigma2, const T residual[2], T grad[2]) {
  T x2 = residual[0] * residual[0], y2 = residual[1] * residual[1], value, derivative;
  if (norm == Norm::euclidean) {
    penalty_of_square(penalty, sigma2, x2 + y2, value, derivative);
    grad[0] = T(2) * derivative * residual[0];
    grad[1] = T(2) * derivative * residual[1];
    return value;
  }
  T value_y, derivative_y;
  penalty_of_square(penalty, sigma2, x2, value, derivative);
  penalty_of_square(penalty, sigma2, y2, value_y, derivative_y);
  grad[0] = T(2) * derivative * residual[0];
  grad[1] = T(2) * derivative_y * residual[1];
  return value + value_y;
}

}  // namespace pgt
