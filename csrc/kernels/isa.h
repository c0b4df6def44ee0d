// Which instruction set a CPU kernel runs with. Each <op>.cpp is compiled once per set (PGT_ISA names the namespace); dispatch picks at run time.
#pragma once

#include "../math/common.h"

#define PGT_CAT2(a, b) a##b
#define PGT_CAT(a, b) PGT_CAT2(a, b)

namespace pgt {

enum class Isa : int { automatic = -1, base = 0, avx2 = 1, avx512 = 2 };

// How a CPU kernel is launched: worker threads (at least 1) and instruction set.
struct CpuLaunch {
  int threads;
  Isa isa;
};

// The best set that this processor, and this build, can run.
Isa best_isa();

}  // namespace pgt

#if defined(__x86_64__)
#define PGT_DECLARE_CPU(signature) \
  namespace base {                 \
  signature;                       \
  }                                \
  namespace avx2 {                 \
  signature;                       \
  }                                \
  namespace avx512 {               \
  signature;                       \
  }
// double exists for checks, in the base set alone: it would double the build time of the others.
#define PGT_DISPATCH(launch, call)                                                      \
  if constexpr (sizeof(S) == sizeof(double))                                            \
    return ::pgt::base::call;                                                           \
  else                                                                                  \
    switch ((launch).isa == ::pgt::Isa::automatic ? ::pgt::best_isa() : (launch).isa) { \
      case ::pgt::Isa::avx512:                                                          \
        return ::pgt::avx512::call;                                                     \
      case ::pgt::Isa::avx2:                                                            \
        return ::pgt::avx2::call;                                                       \
      default:                                                                          \
        return ::pgt::base::call;                                                       \
    }
#if PGT_BASE_ISA
#define PGT_INSTANTIATE_ALL PGT_INSTANTIATE(float) PGT_INSTANTIATE(double)
#else
#define PGT_INSTANTIATE_ALL PGT_INSTANTIATE(float)
#endif
#else
#define PGT_INSTANTIATE_ALL PGT_INSTANTIATE(float) PGT_INSTANTIATE(double)
#define PGT_DECLARE_CPU(signature) \
  namespace base {                 \
  signature;                       \
  }
#define PGT_DISPATCH(launch, call) return ::pgt::base::call;
#endif
