// Vectors of lanes, one body a lane: the scalar T that the CPU kernels hand to csrc/math.
#pragma once

#include <stdint.h>
#include <string.h>

#include "isa.h"

#if !defined(PGT_ISA)
#define PGT_ISA base
#endif

namespace pgt {
namespace PGT_ISA {

template <class S>
struct Lanes;
#if defined(__AVX512F__)
template <>
struct Lanes<float> {
  static constexpr int count = 16;
  using Bits = int32_t;
};
template <>
struct Lanes<double> {
  static constexpr int count = 8;
  using Bits = int64_t;
};
#elif defined(__AVX2__)
template <>
struct Lanes<float> {
  static constexpr int count = 8;
  using Bits = int32_t;
};
template <>
struct Lanes<double> {
  static constexpr int count = 4;
  using Bits = int64_t;
};
#else  // one register of any x86-64 or ARM; wider vectors, split by the compiler, take minutes to build
template <>
struct Lanes<float> {
  static constexpr int count = 4;
  using Bits = int32_t;
};
template <>
struct Lanes<double> {
  static constexpr int count = 2;
  using Bits = int64_t;
};
#endif

template <class S>
struct Mask {
  typedef typename Lanes<S>::Bits Native __attribute__((vector_size(sizeof(S) * Lanes<S>::count)));
  Native v;
};

template <class S>
struct Vec {
  static constexpr int kLanes = Lanes<S>::count;
  typedef S Native __attribute__((vector_size(sizeof(S) * kLanes)));
  using Scalar = S;
  Native v;

  Vec() = default;
  PGT_HD explicit Vec(double x) { v = Native{} + S(x); }
  PGT_HD explicit Vec(Native x) : v(x) {}
  PGT_HD static Vec load(const S* p) {
    Vec r;
    memcpy(&r.v, p, sizeof(Native));
    return r;
  }
  PGT_HD void store(S* p) const { memcpy(p, &v, sizeof(Native)); }
};

#define PGT_BINARY(op)                            \
  template <class S>                              \
  PGT_HD Vec<S> operator op(Vec<S> a, Vec<S> b) { \
    return Vec<S>(a.v op b.v);                    \
  }
PGT_BINARY(+)
PGT_BINARY(-)
PGT_BINARY(*)
PGT_BINARY(/)
#undef PGT_BINARY
template <class S>
PGT_HD Vec<S>& operator+=(Vec<S>& a, Vec<S> b) {
  a.v += b.v;
  return a;
}
template <class S>
PGT_HD Vec<S>& operator*=(Vec<S>& a, Vec<S> b) {
  a.v *= b.v;
  return a;
}
template <class S>
PGT_HD Mask<S> operator<(Vec<S> a, Vec<S> b) {
  return Mask<S>{a.v < b.v};
}
template <class S>
PGT_HD Mask<S> operator!(Mask<S> m) {
  return Mask<S>{~m.v};
}
template <class S>
PGT_HD Vec<S> select(Mask<S> m, Vec<S> a, Vec<S> b) {
  return Vec<S>(m.v ? a.v : b.v);
}

template <class S>
PGT_HD Vec<S> root(Vec<S> x) {
  Vec<S> r;
  for (int i = 0; i < Vec<S>::kLanes; ++i) r.v[i] = ::pgt::root(S(x.v[i]));
  return r;
}
template <class S>
PGT_HD Vec<S> arctan2(Vec<S> y, Vec<S> x) {
  Vec<S> r;
  for (int i = 0; i < Vec<S>::kLanes; ++i) r.v[i] = ::pgt::arctan2(S(y.v[i]), S(x.v[i]));
  return r;
}
PGT_HD void sin_cos(Vec<double> x, Vec<double>& s, Vec<double>& c) {
  for (int i = 0; i < Vec<double>::kLanes; ++i) {
    double si, ci;
    ::pgt::sin_cos(double(x.v[i]), si, ci);
    s.v[i] = si, c.v[i] = ci;
  }
}

// Whether any lane is set.
template <class S>
PGT_HD bool any(Mask<S> m) {
  typename Lanes<S>::Bits bits = 0;
  for (int i = 0; i < Lanes<S>::count; ++i) bits |= m.v[i];
  return bits != 0;
}

// Sine and cosine with an absolute error under 1.5e-7: reduction by multiples of pi/2 in three parts (Cody and Waite), then the Taylor polynomials of
// degree 9 and 10 on [-pi/4, pi/4]. The reduction holds up to 8192; lanes beyond that, which poses never need, go through the library one by one.
PGT_HD void sin_cos(Vec<float> x, Vec<float>& s, Vec<float>& c) {
  using V = Vec<float>;
  using I = Mask<float>;
  V shifted = x * V(0.63661977236758134) + V(12582912.0);  // adding 1.5 * 2^23 rounds to the nearest integer
  typename I::Native quadrant = (typename I::Native)shifted.v;
  V n = shifted - V(12582912.0);
  V r = x - n * V(1.5703125);
  r = r - n * V(4.837512969970703125e-4);
  r = r - n * V(7.549789948768648e-8);
  V z = r * r;
  V sine = r + r * z * (V(-1.0 / 6) + z * (V(1.0 / 120) + z * (V(-1.0 / 5040) + z * V(1.0 / 362880))));
  V cosine = V(1) + z * (V(-0.5) + z * (V(1.0 / 24) + z * (V(-1.0 / 720) + z * (V(1.0 / 40320) + z * V(-1.0 / 3628800)))));
  I swap{(quadrant & 1) != 0};
  V a = select(swap, cosine, sine), b = select(swap, sine, cosine);
  s = select(I{(quadrant & 2) != 0}, V(0) - a, a);
  c = select(I{((quadrant + 1) & 2) != 0}, V(0) - b, b);
  if (__builtin_expect(any(V(8192) < select(x < V(0), V(0) - x, x)), 0)) {
    for (int i = 0; i < V::kLanes; ++i) {
      float si, ci;
      ::pgt::sin_cos(float(x.v[i]), si, ci);
      s.v[i] = si, c.v[i] = ci;
    }
  }
}

// Transpose of a square of kLanes x kLanes, in log2 stages of two-operand shuffles.
template <class S, int H>
PGT_HD void transpose_stage(Vec<S>* r) {
  constexpr int L = Vec<S>::kLanes;
  typename Mask<S>::Native low, high;
  for (int i = 0; i < L; ++i) {
    low[i] = (i & H) ? L + i - H : i;
    high[i] = (i & H) ? L + i : i + H;
  }
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i) {
    if (i & H) continue;
    typename Vec<S>::Native a = r[i].v, b = r[i + H].v;
    r[i].v = __builtin_shuffle(a, b, low);
    r[i + H].v = __builtin_shuffle(a, b, high);
  }
}
template <class S>
PGT_HD void transpose(Vec<S>* r) {
  constexpr int L = Vec<S>::kLanes;
  transpose_stage<S, 1>(r);
  if constexpr (L > 2) transpose_stage<S, 2>(r);
  if constexpr (L > 4) transpose_stage<S, 4>(r);
  if constexpr (L > 8) transpose_stage<S, 8>(r);
}

}  // namespace PGT_ISA
}  // namespace pgt
