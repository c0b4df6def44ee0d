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
  namespace base { signature; }    \
  namespace avx2 { signature; }    \
  namespace avx512 { signature; }
#define PGT_DISPATCH(launch, call)                                                           \
  switch ((launch).isa == ::pgt::Isa::automatic ? ::pgt::best_isa() : (launch).isa) { \
    case ::pgt::Isa::avx512: return ::pgt::avx512::call;                                     \
    case ::pgt::Isa::avx2: return ::pgt::avx2::call;                                         \
    default: return ::pgt::base::call;                                                       \
  }
#else
#define PGT_DECLARE_CPU(signature) \
  namespace base { signature; }
#define PGT_DISPATCH(launch, call) return ::pgt::base::call;
#endif
