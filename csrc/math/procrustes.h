// Least-squares similarity that carries one point set onto another (Umeyama 1991), and its adjoint. The sums over points are left to the launcher:
// add_point_means over all points, finish_point_means, add_point_spread over all points, then fit_similarity.
#pragma once

#include "common.h"

namespace pgt {

template <class T>
struct ScalarOf {
  using type = typename T::Scalar;
};
template <>
struct ScalarOf<float> {
  using type = float;
};
template <>
struct ScalarOf<double> {
  using type = double;
};
template <class T>
constexpr bool kSingle = sizeof(typename ScalarOf<T>::type) == 4;
// Relative size under which a singular value, or the spread of points, is rounding: 64 times the machine epsilon.
template <class T>
constexpr double kRankTolerance = kSingle<T> ? 7.63e-6 : 1.42e-14;

// After five sweeps the vectors were orthogonal to rounding in both dtypes (200,000 random matrices, condition numbers to beyond 1e10); after four
// the worst cosine was 1e-5 in float.
constexpr int kJacobiSweeps = 5;

// Proper rotation nearest to a matrix: u diag(1, 1, +-1) v^T made proper. Matrices hold vectors as rows here: u[3 i ...] is the i-th left vector.
template <class T>
struct NearestRotation {
  T rotation[9];
  T u[9], v[9];  // orthonormal and right-handed
  T s[3];        // descending, the last one negative where the matrix reflects; in units of `unit`
  T unit;        // largest entry of the matrix, or 1 for the zero matrix
};

// One rotation of one-sided Jacobi: makes vectors p and q of `a` orthogonal, and turns `v` along.
template <class T>
PGT_HD void jacobi_turn(T a[9], T v[9], int p, int q) {
  T* ap = a + 3 * p;
  T* aq = a + 3 * q;
  T d = dot3(aq, aq) - dot3(ap, ap), twice = T(2) * dot3(ap, aq);
  T reach = select(d < T(0), T(0) - d, d) + root(d * d + twice * twice);
  auto flat = !(T(0) < reach);
  T tangent = select(d < T(0), T(0) - twice, twice) / select(flat, T(1), reach);
  tangent = select(tangent * tangent < T(2), tangent, T(0));  // beyond one only where the squares underflow
  T c = T(1) / root(T(1) + tangent * tangent), s = c * tangent;
  for (int i = 0; i < 3; ++i) {
    T x = ap[i], y = aq[i];
    ap[i] = c * x - s * y, aq[i] = s * x + c * y;
    x = v[3 * p + i], y = v[3 * q + i];
    v[3 * p + i] = c * x - s * y, v[3 * q + i] = s * x + c * y;
  }
}

// Swaps vectors p and q where q is longer.
template <class T>
PGT_HD void sort_pair(T a[9], T v[9], int p, int q) {
  auto swap = dot3(a + 3 * p, a + 3 * p) < dot3(a + 3 * q, a + 3 * q);
  for (int i = 0; i < 3; ++i) {
    T x = a[3 * p + i], y = a[3 * q + i];
    a[3 * p + i] = select(swap, y, x), a[3 * q + i] = select(swap, x, y);
    x = v[3 * p + i], y = v[3 * q + i];
    v[3 * p + i] = select(swap, y, x), v[3 * q + i] = select(swap, x, y);
  }
}

template <class T>
PGT_HD void normalise3(T x[3]) {
  T inverse = T(1) / root(dot3(x, x));
  for (int i = 0; i < 3; ++i) x[i] = x[i] * inverse;
}

// The singular values are found by one-sided Jacobi, which never squares the matrix: small ones come out accurate. A matrix of rank one gets the
// smallest rotation that is optimal, the zero matrix the identity.
template <class T>
PGT_HD NearestRotation<T> nearest_rotation(const T matrix[9]) {
  NearestRotation<T> out;
  T largest = T(0);
  for (int i = 0; i < 9; ++i) {
    T size = select(matrix[i] < T(0), T(0) - matrix[i], matrix[i]);
    largest = select(size < largest, largest, size);
  }
  auto zero = !(T(0) < largest);
  out.unit = select(zero, T(1), largest);
  T inverse = T(1) / out.unit, a[9];
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) a[3 * j + i] = matrix[3 * i + j] * inverse, out.v[3 * i + j] = T(i == j ? 1 : 0);
  for (int sweep = 0; sweep < kJacobiSweeps; ++sweep) {
    jacobi_turn(a, out.v, 0, 1);
    jacobi_turn(a, out.v, 0, 2);
    jacobi_turn(a, out.v, 1, 2);
  }
  sort_pair(a, out.v, 0, 1);
  sort_pair(a, out.v, 0, 2);
  sort_pair(a, out.v, 1, 2);
  T *u1 = out.u, *u2 = out.u + 3, *u3 = out.u + 6, *v1 = out.v, *v2 = out.v + 3, *v3 = out.v + 6;
  normalise3(v1);
  T tilt = dot3(v1, v2);
  for (int i = 0; i < 3; ++i) v2[i] = v2[i] - tilt * v1[i];
  normalise3(v2);
  cross3(v1, v2, v3);
  for (int i = 0; i < 3; ++i) u1[i] = select(zero, v1[i], a[i]);
  normalise3(u1);
  tilt = dot3(u1, a + 3);
  for (int i = 0; i < 3; ++i) u2[i] = a[3 + i] - tilt * u1[i];
  // Without a second value: v2 carried along by the smallest rotation from v1 to u1 (where these are opposite, half a turn about v2).
  auto thin = !(T(kRankTolerance<T> * kRankTolerance<T>) * dot3(a, a) < dot3(u2, u2));
  T open = T(1) + dot3(u1, v1), lean = dot3(u1, v2);
  auto opposite = open < T(1e-3);
  T on_v = select(opposite, T(0), lean / select(opposite, T(1), open)), on_u = select(opposite, lean, on_v);
  for (int i = 0; i < 3; ++i) u2[i] = select(thin, v2[i] - on_u * u1[i] - on_v * v1[i], u2[i]);
  normalise3(u2);
  cross3(u1, u2, u3);
  T column[3];
  mat_vec(matrix, v3, column);
  out.s[0] = dot3(u1, a), out.s[1] = dot3(u2, a + 3), out.s[2] = dot3(u3, column) * inverse;
  mat_mul_at(out.u, out.v, out.rotation);
  return out;
}

// Adjoint of the rotation: U W V^T with W_ij = (B_ij - B_ji) / (s_i + s_j), B = U^T grad V. Zero along turns that the matrix does not determine.
template <class T>
PGT_HD void nearest_rotation_vjp(const NearestRotation<T>& f, const T grad[9], T grad_matrix[9]) {
  T half[9], b[9], w[9];
  mat_mul(f.u, grad, half);
  mat_mul_bt(half, f.v, b);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) {
      T sum = f.s[i] + f.s[j];
      auto tiny = !(T(kRankTolerance<T>) * f.s[0] < sum);
      w[3 * i + j] = select(tiny, T(0), (b[3 * i + j] - b[3 * j + i]) / (select(tiny, T(1), sum) * f.unit));
    }
  mat_mul_at(f.u, w, half);
  mat_mul(half, f.v, grad_matrix);
}

// Weighted sums over pairs of a point and its target.
template <class T>
struct PointMoments {
  T inverse_total;  // 1 / sum of weights, or 1 without any weight; before finish_point_means: the sum of weights
  T mean_p[3], mean_t[3];
  T covariance[9];  // mean of (target - mean_t) (point - mean_p)^T
  T variance;       // mean of |point - mean_p|^2
};

template <class T>
PGT_HD void clear_point_moments(PointMoments<T>& m) {
  m.inverse_total = m.variance = T(0);
  for (int i = 0; i < 3; ++i) m.mean_p[i] = m.mean_t[i] = T(0);
  for (int i = 0; i < 9; ++i) m.covariance[i] = T(0);
}

template <class T>
PGT_HD void add_point_means(const T point[3], const T target[3], T weight, PointMoments<T>& m) {
  m.inverse_total = m.inverse_total + weight;
  for (int i = 0; i < 3; ++i) m.mean_p[i] = m.mean_p[i] + weight * point[i], m.mean_t[i] = m.mean_t[i] + weight * target[i];
}

template <class T>
PGT_HD void finish_point_means(PointMoments<T>& m) {
  auto some = T(0) < m.inverse_total;
  m.inverse_total = T(1) / select(some, m.inverse_total, T(1));
  for (int i = 0; i < 3; ++i) m.mean_p[i] = m.mean_p[i] * m.inverse_total, m.mean_t[i] = m.mean_t[i] * m.inverse_total;
}

template <class T>
PGT_HD void centre_pair(const PointMoments<T>& m, const T point[3], const T target[3], T p[3], T t[3]) {
  for (int i = 0; i < 3; ++i) p[i] = point[i] - m.mean_p[i], t[i] = target[i] - m.mean_t[i];
}

template <class T>
PGT_HD void add_point_spread(const T point[3], const T target[3], T weight, PointMoments<T>& m) {
  T p[3], t[3], share = weight * m.inverse_total;
  centre_pair(m, point, target, p, t);
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) m.covariance[3 * i + j] = m.covariance[3 * i + j] + share * t[i] * p[j];
  m.variance = m.variance + share * dot3(p, p);
}

template <class T>
struct Similarity {
  NearestRotation<T> nearest;
  T scale, translation[3];
  T inverse_variance;  // zero where the points coincide: then rotation and scale are constants
};

// Points whose spread is within rounding of their distance from the origin count as coinciding: identity and scale 1.
template <class T>
PGT_HD Similarity<T> fit_similarity(const PointMoments<T>& m, bool with_scale) {
  Similarity<T> out;
  auto apart = T(kRankTolerance<T> * kRankTolerance<T>) * dot3(m.mean_p, m.mean_p) < m.variance;
  T covariance[9];
  for (int i = 0; i < 9; ++i) covariance[i] = select(apart, m.covariance[i], T(0));
  out.nearest = nearest_rotation(covariance);
  out.inverse_variance = select(apart, T(1) / select(apart, m.variance, T(1)), T(0));
  T sum = T(0), moved[3];
  for (int i = 0; i < 9; ++i) sum = sum + out.nearest.rotation[i] * covariance[i];
  out.scale = with_scale ? select(apart, sum * out.inverse_variance, T(1)) : T(1);
  mat_vec(out.nearest.rotation, m.mean_p, moved);
  for (int i = 0; i < 3; ++i) out.translation[i] = m.mean_t[i] - out.scale * moved[i];
  return out;
}

// scale R point + translation, written so that points far from the origin lose nothing.
template <class T>
PGT_HD void align_point(const Similarity<T>& f, const PointMoments<T>& m, const T point[3], T aligned[3]) {
  T p[3], turned[3];
  for (int i = 0; i < 3; ++i) p[i] = point[i] - m.mean_p[i];
  mat_vec(f.nearest.rotation, p, turned);
  for (int i = 0; i < 3; ++i) aligned[i] = f.scale * turned[i] + m.mean_t[i];
}

// Sums over points that the adjoint needs: of the cotangents, and of their products with the centred points.
template <class T>
PGT_HD void add_align_grad(const PointMoments<T>& m, const T point[3], const T grad_aligned[3], T sum[3], T product[9]) {
  for (int i = 0; i < 3; ++i) {
    sum[i] = sum[i] + grad_aligned[i];
    for (int j = 0; j < 3; ++j) product[3 * i + j] = product[3 * i + j] + grad_aligned[i] * (point[j] - m.mean_p[j]);
  }
}

// What the adjoint of each point needs beside its own cotangent.
template <class T>
struct SimilarityGrad {
  T covariance[9];  // gradient of the covariance
  T variance;       // twice the gradient of the variance
  T mean_p[3], mean_t[3];
};

template <class T>
PGT_HD SimilarityGrad<T> fit_similarity_vjp(const Similarity<T>& f, const PointMoments<T>& m, bool with_scale, const T sum[3], const T product[9], T grad_scale,
                                            const T grad_rotation[9], const T grad_translation[3]) {
  SimilarityGrad<T> out;
  const T* r = f.nearest.rotation;
  T turn[9], turned[3], scale = grad_scale;
  for (int i = 0; i < 3; ++i) {
    out.mean_t[i] = sum[i] + grad_translation[i];
    for (int j = 0; j < 3; ++j) {
      T lever = product[3 * i + j] - grad_translation[i] * m.mean_p[j];
      turn[3 * i + j] = grad_rotation[3 * i + j] + f.scale * lever;
      scale = scale + r[3 * i + j] * lever;
    }
  }
  mat_vec_at(r, out.mean_t, turned);
  for (int i = 0; i < 3; ++i) out.mean_p[i] = T(0) - f.scale * turned[i];
  // The scale is <R, covariance> / variance; the turn of R leaves it unchanged, R being its maximum.
  T per_variance = with_scale ? scale * f.inverse_variance : T(0);
  auto apart = T(0) < f.inverse_variance;
  nearest_rotation_vjp(f.nearest, turn, out.covariance);
  for (int i = 0; i < 9; ++i) out.covariance[i] = select(apart, out.covariance[i], T(0)) + per_variance * r[i];
  out.variance = T(-2) * f.scale * per_variance;
  return out;
}

template <class T>
PGT_HD void align_point_vjp(const Similarity<T>& f, const PointMoments<T>& m, const SimilarityGrad<T>& g, const T point[3], const T target[3], T weight,
                            const T grad_aligned[3], T grad_point[3], T grad_target[3]) {
  T p[3], t[3], from_p[3], from_t[3], back[3], share = weight * m.inverse_total;
  centre_pair(m, point, target, p, t);
  mat_vec_at(g.covariance, t, from_t);
  mat_vec(g.covariance, p, from_p);
  mat_vec_at(f.nearest.rotation, grad_aligned, back);
  for (int i = 0; i < 3; ++i) {
    grad_point[i] = f.scale * back[i] + share * (from_t[i] + g.variance * p[i] + g.mean_p[i]);
    grad_target[i] = share * (from_p[i] + g.mean_t[i]);
  }
}

}  // namespace pgt
