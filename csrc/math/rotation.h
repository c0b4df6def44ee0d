// Rotation vectors, matrices and 6D vectors, each with its adjoint. Matrices are row-major.
#pragma once

#include "common.h"

namespace pgt {

// sin(t)/t and (1 - cos t)/t^2 as functions of s = t^2, with their derivatives by s. Under s = 1/4 by series (truncation below 1e-16), above in closed form.
template <class T>
PGT_HD void rodrigues_factors(T s, T& a, T& b, T& da, T& db) {
  auto small = s < T(0.25);
  T safe = select(small, T(1), s);
  T angle = root(safe);
  T sine, cosine;
  sin_cos(angle, sine, cosine);
  T half_sine, half_cosine;
  sin_cos(T(0.5) * angle, half_sine, half_cosine);
  T inverse = T(1) / safe;
  T a_far = sine / angle;
  T b_far = T(2) * half_sine * half_sine * inverse;
  // Coefficients 1 / (2n+1)!, 1 / (2n+2)! and those of the derivatives.
  T a_near =
      T(1) + s * (T(-1.0 / 6) +
                  s * (T(1.0 / 120) +
                       s * (T(-1.0 / 5040) + s * (T(1.0 / 362880) + s * (T(-1.0 / 39916800) + s * (T(1.0 / 6227020800.0) + s * T(-1.0 / 1307674368000.0)))))));
  T b_near =
      T(0.5) +
      s * (T(-1.0 / 24) +
           s * (T(1.0 / 720) +
                s * (T(-1.0 / 40320) + s * (T(1.0 / 3628800) + s * (T(-1.0 / 479001600) + s * (T(1.0 / 87178291200.0) + s * T(-1.0 / 20922789888000.0)))))));
  T da_near =
      T(-1.0 / 6) + s * (T(2.0 / 120) +
                         s * (T(-3.0 / 5040) + s * (T(4.0 / 362880) + s * (T(-5.0 / 39916800) + s * (T(6.0 / 6227020800.0) + s * T(-7.0 / 1307674368000.0))))));
  T db_near = T(-1.0 / 24) +
              s * (T(2.0 / 720) +
                   s * (T(-3.0 / 40320) + s * (T(4.0 / 3628800) + s * (T(-5.0 / 479001600) + s * (T(6.0 / 87178291200.0) + s * T(-7.0 / 20922789888000.0))))));
  a = select(small, a_near, a_far);
  b = select(small, b_near, b_far);
  da = select(small, da_near, T(0.5) * inverse * (cosine - a_far));
  db = select(small, db_near, inverse * (T(0.5) * a_far - b_far));
}

template <class T>
PGT_HD void rotvec_to_matrix(const T r[3], T out[9]) {
  T x = r[0], y = r[1], z = r[2], a, b, da, db;
  rodrigues_factors(x * x + y * y + z * z, a, b, da, db);
  T bx = b * x, by = b * y, bz = b * z, ax = a * x, ay = a * y, az = a * z;
  out[0] = T(1) - by * y - bz * z;
  out[1] = bx * y - az;
  out[2] = bx * z + ay;
  out[3] = bx * y + az;
  out[4] = T(1) - bx * x - bz * z;
  out[5] = by * z - ax;
  out[6] = bx * z - ay;
  out[7] = by * z + ax;
  out[8] = T(1) - bx * x - by * y;
}

template <class T>
PGT_HD void rotvec_to_matrix_vjp(const T r[3], const T g[9], T grad_r[3]) {
  T x = r[0], y = r[1], z = r[2], a, b, da, db;
  rodrigues_factors(x * x + y * y + z * z, a, b, da, db);
  T skew[3] = {g[7] - g[5], g[2] - g[6], g[3] - g[1]};
  T xy = g[1] + g[3], xz = g[2] + g[6], yz = g[5] + g[7];
  T grad_a = x * skew[0] + y * skew[1] + z * skew[2];
  T grad_b = x * y * xy + x * z * xz + y * z * yz - (y * y + z * z) * g[0] - (x * x + z * z) * g[4] - (x * x + y * y) * g[8];
  T common = T(2) * (da * grad_a + db * grad_b);
  grad_r[0] = a * skew[0] + b * (y * xy + z * xz - T(2) * x * (g[4] + g[8])) + x * common;
  grad_r[1] = a * skew[1] + b * (x * xy + z * yz - T(2) * y * (g[0] + g[8])) + y * common;
  grad_r[2] = a * skew[2] + b * (x * xz + y * yz - T(2) * z * (g[0] + g[4])) + z * common;
}

// The two vectors of a 6D rotation: element i of vector k. Column layout interleaves them, row layout puts one after the other.
PGT_HD int rot6d_index(bool column, int i, int k) { return column ? 2 * i + k : 3 * k + i; }

template <class T>
PGT_HD T inverse_norm(T square) {  // 1 / max(norm, 1e-12)
  auto tiny = square < T(1e-24);
  return select(tiny, T(1e12), T(1) / root(select(tiny, T(1), square)));
}

template <class T>
PGT_HD void rot6d_to_matrix(const T x[6], bool column, T out[9]) {
  T a1[3], a2[3], b1[3], b2[3], b3[3];
  for (int i = 0; i < 3; ++i) a1[i] = x[rot6d_index(column, i, 0)], a2[i] = x[rot6d_index(column, i, 1)];
  T n1 = inverse_norm(dot3(a1, a1));
  for (int i = 0; i < 3; ++i) b1[i] = a1[i] * n1;
  T along = dot3(b1, a2);
  for (int i = 0; i < 3; ++i) b2[i] = a2[i] - along * b1[i];
  T n2 = inverse_norm(dot3(b2, b2));
  for (int i = 0; i < 3; ++i) b2[i] = b2[i] * n2;
  cross3(b1, b2, b3);
  for (int i = 0; i < 3; ++i) out[3 * i] = b1[i], out[3 * i + 1] = b2[i], out[3 * i + 2] = b3[i];
}

template <class T>
PGT_HD void rot6d_to_matrix_vjp(const T x[6], bool column, const T g[9], T grad_x[6]) {
  T a1[3], a2[3], b1[3], b2[3], u[3];
  for (int i = 0; i < 3; ++i) a1[i] = x[rot6d_index(column, i, 0)], a2[i] = x[rot6d_index(column, i, 1)];
  T s1 = dot3(a1, a1), n1 = inverse_norm(s1);
  for (int i = 0; i < 3; ++i) b1[i] = a1[i] * n1;
  T along = dot3(b1, a2);
  for (int i = 0; i < 3; ++i) u[i] = a2[i] - along * b1[i];
  T s2 = dot3(u, u), n2 = inverse_norm(s2);
  for (int i = 0; i < 3; ++i) b2[i] = u[i] * n2;
  T g1[3], g2[3], g3[3], t[3];
  for (int i = 0; i < 3; ++i) g1[i] = g[3 * i], g2[i] = g[3 * i + 1], g3[i] = g[3 * i + 2];
  cross3(b2, g3, t);  // b3 = b1 x b2
  for (int i = 0; i < 3; ++i) g1[i] = g1[i] + t[i];
  cross3(g3, b1, t);
  for (int i = 0; i < 3; ++i) g2[i] = g2[i] + t[i];
  T radial2 = select(s2 < T(1e-24), T(0), dot3(g2, b2));  // no radial term where the norm is clamped
  T gu[3];
  for (int i = 0; i < 3; ++i) gu[i] = (g2[i] - radial2 * b2[i]) * n2;
  T grad_along = T(0) - dot3(gu, b1);
  for (int i = 0; i < 3; ++i) g1[i] = g1[i] - along * gu[i] + grad_along * a2[i];
  T radial1 = select(s1 < T(1e-24), T(0), dot3(g1, b1));
  for (int i = 0; i < 3; ++i) {
    grad_x[rot6d_index(column, i, 0)] = (g1[i] - radial1 * b1[i]) * n1;
    grad_x[rot6d_index(column, i, 1)] = gu[i] + grad_along * b1[i];
  }
}

// Quaternion (w, x, y, z), not normalised, read off the largest diagonal combination: row k of the symmetric 4x4 matrix is 4 q_k q.
// The chosen row is returned as an index so that the adjoint can follow it.
template <class T>
struct RotvecFromMatrix {
  T q[4];    // chosen row, sign flipped so that w >= 0
  T row[4];  // one-hot choice times that sign
  T factor;  // rotvec = factor * (q1, q2, q3)
  T d_norm;  // d factor / d |v| / |v|
  T d_w;     // d factor / d w
};

template <class T>
PGT_HD RotvecFromMatrix<T> rotvec_from_matrix(const T m[9]) {
  RotvecFromMatrix<T> out;
  T w0 = m[7] - m[5], x0 = m[2] - m[6], y0 = m[3] - m[1], xy = m[1] + m[3], xz = m[2] + m[6], yz = m[5] + m[7];
  T diagonal[4] = {T(1) + m[0] + m[4] + m[8], T(1) + m[0] - m[4] - m[8], T(1) - m[0] + m[4] - m[8], T(1) - m[0] - m[4] + m[8]};
  T rows[4][4] = {{diagonal[0], w0, x0, y0}, {w0, diagonal[1], xy, xz}, {x0, xy, diagonal[2], yz}, {y0, xz, yz, diagonal[3]}};
  T best = diagonal[0];
  for (int c = 0; c < 4; ++c) out.q[c] = rows[0][c], out.row[c] = T(c == 0 ? 1 : 0);
  for (int k = 1; k < 4; ++k) {
    auto better = best < diagonal[k];
    best = select(better, diagonal[k], best);
    for (int c = 0; c < 4; ++c) {
      out.q[c] = select(better, rows[k][c], out.q[c]);
      out.row[c] = select(better, T(c == k ? 1 : 0), out.row[c]);
    }
  }
  T sign = select(out.q[0] < T(0), T(-1), T(1));
  for (int c = 0; c < 4; ++c) out.q[c] = out.q[c] * sign, out.row[c] = out.row[c] * sign;
  T w = out.q[0], square = out.q[1] * out.q[1] + out.q[2] * out.q[2] + out.q[3] * out.q[3];
  T safe_w = select(T(0) < w, w, T(1));
  T ratio = select(T(0) < w, square / (safe_w * safe_w), T(1));
  auto small = ratio < T(1e-3);
  T safe = select(small, T(1), square);
  T norm = root(safe);
  T near = T(2) / safe_w * (T(1) - ratio * (T(1.0 / 3) - ratio * (T(1.0 / 5) - ratio * (T(1.0 / 7) - ratio * (T(1.0 / 9) - ratio * T(1.0 / 11))))));
  // d(2 atan(t) / t)/dt / t as a series in t^2, over w^3.
  T near_d = T(2) / (safe_w * safe_w * safe_w) * (T(-2.0 / 3) + ratio * (T(4.0 / 5) - ratio * (T(6.0 / 7) - ratio * (T(8.0 / 9) - ratio * T(10.0 / 11)))));
  T far = T(2) * arctan2(norm, w) / norm;
  T full = square + w * w;
  T safe_full = select(full < T(1e-30), T(1), full);
  out.factor = select(small, near, far);
  out.d_norm = select(small, near_d, (T(2) * w / safe_full - far) / safe);
  out.d_w = T(-2) / safe_full;
  return out;
}

template <class T>
PGT_HD void matrix_to_rotvec(const T m[9], T out[3]) {
  RotvecFromMatrix<T> f = rotvec_from_matrix(m);
  for (int i = 0; i < 3; ++i) out[i] = f.factor * f.q[1 + i];
}

template <class T>
PGT_HD void matrix_to_rotvec_vjp(const T m[9], const T g[3], T grad_m[9]) {
  RotvecFromMatrix<T> f = rotvec_from_matrix(m);
  T along = g[0] * f.q[1] + g[1] * f.q[2] + g[2] * f.q[3];
  T gq[4] = {along * f.d_w, T(0), T(0), T(0)};
  for (int i = 0; i < 3; ++i) gq[1 + i] = f.factor * g[i] + along * f.d_norm * f.q[1 + i];
  T s[4][4];  // gradient of the symmetric 4x4 matrix
  for (int k = 0; k < 4; ++k)
    for (int c = 0; c < 4; ++c) s[k][c] = f.row[k] * gq[c];
  T gw0 = s[0][1] + s[1][0], gx0 = s[0][2] + s[2][0], gy0 = s[0][3] + s[3][0];
  T gxy = s[1][2] + s[2][1], gxz = s[1][3] + s[3][1], gyz = s[2][3] + s[3][2];
  grad_m[0] = s[0][0] + s[1][1] - s[2][2] - s[3][3];
  grad_m[4] = s[0][0] - s[1][1] + s[2][2] - s[3][3];
  grad_m[8] = s[0][0] - s[1][1] - s[2][2] + s[3][3];
  grad_m[7] = gyz + gw0;
  grad_m[5] = gyz - gw0;
  grad_m[2] = gxz + gx0;
  grad_m[6] = gxz - gx0;
  grad_m[3] = gxy + gy0;
  grad_m[1] = gxy - gy0;
}

}  // namespace pgt
