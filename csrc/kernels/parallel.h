// Splits work over the threads of the process. Safe after fork, and when several threads call at once.
#pragma once

#include <stdint.h>

namespace pgt {

using Work = void (*)(void* context, int worker, int64_t first, int64_t last);

// Calls work for at most `threads` contiguous parts of [0, items); the calling thread takes the first.
void run_parallel(int64_t items, int threads, Work work, void* context);

// At most as many threads as have `grain` units of work each: handing work over costs a few microseconds, some 50 where the other core sleeps.
inline int useful_threads(int threads, int64_t units, int64_t grain) {
  const int64_t useful = 1 + units / grain;
  return threads < useful ? threads : int(useful);
}
constexpr int64_t kFlopGrain = 4'000'000;  // flops that keep a core busy for some 40 microseconds

// run_parallel for a callable (worker, first, last).
template <class F>
void parallel_for(int64_t items, int threads, F&& work) {
  run_parallel(items, threads, [](void* context, int worker, int64_t first, int64_t last) { (*static_cast<F*>(context))(worker, first, last); }, &work);
}

}  // namespace pgt
