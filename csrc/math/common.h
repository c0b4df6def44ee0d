// Scalars of the math layer. Every function below is written once, for a scalar T that is float or double on the device and the host, or a
// vector of lanes on the host (kernels/simd.h): no branch on a value, only select().
#pragma once

#include <math.h>

#if defined(__CUDACC__)
#define PGT_HD __host__ __device__ __forceinline__
#else
#define PGT_HD inline __attribute__((always_inline))
#endif

namespace pgt {

PGT_HD float select(bool mask, float a, float b) { return mask ? a : b; }
PGT_HD double select(bool mask, double a, double b) { return mask ? a : b; }
PGT_HD float root(float x) { return sqrtf(x); }
PGT_HD double root(double x) { return sqrt(x); }
PGT_HD float arctan2(float y, float x) { return atan2f(y, x); }
PGT_HD double arctan2(double y, double x) { return atan2(y, x); }
PGT_HD void sin_cos(float x, float& s, float& c) {
#if defined(__CUDA_ARCH__)
  sincosf(x, &s, &c);
#else
  s = sinf(x), c = cosf(x);
#endif
}
PGT_HD void sin_cos(double x, double& s, double& c) {
#if defined(__CUDA_ARCH__)
  sincos(x, &s, &c);
#else
  s = sin(x), c = cos(x);
#endif
}

// 3x3 products, row-major. Suffix t: the transpose of that operand.
template <class T>
PGT_HD void mat_mul(const T a[9], const T b[9], T out[9]) {
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) out[3 * i + j] = a[3 * i] * b[j] + a[3 * i + 1] * b[3 + j] + a[3 * i + 2] * b[6 + j];
}
template <class T>
PGT_HD void mat_mul_at(const T a[9], const T b[9], T out[9]) {
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) out[3 * i + j] = a[i] * b[j] + a[3 + i] * b[3 + j] + a[6 + i] * b[6 + j];
}
template <class T>
PGT_HD void mat_mul_bt(const T a[9], const T b[9], T out[9]) {
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) out[3 * i + j] = a[3 * i] * b[3 * j] + a[3 * i + 1] * b[3 * j + 1] + a[3 * i + 2] * b[3 * j + 2];
}
template <class T>
PGT_HD void mat_vec(const T a[9], const T v[3], T out[3]) {
  for (int i = 0; i < 3; ++i) out[i] = a[3 * i] * v[0] + a[3 * i + 1] * v[1] + a[3 * i + 2] * v[2];
}
template <class T>
PGT_HD void mat_vec_at(const T a[9], const T v[3], T out[3]) {
  for (int i = 0; i < 3; ++i) out[i] = a[i] * v[0] + a[3 + i] * v[1] + a[6 + i] * v[2];
}
template <class T>
PGT_HD T dot3(const T a[3], const T b[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
template <class T>
PGT_HD void cross3(const T a[3], const T b[3], T out[3]) {
  out[0] = a[1] * b[2] - a[2] * b[1];
  out[1] = a[2] * b[0] - a[0] * b[2];
  out[2] = a[0] * b[1] - a[1] * b[0];
}

}  // namespace pgt
