// Splits work over threads that live for one call: no pool, no global state, safe after fork.
#pragma once

#include <stdint.h>

namespace pgt {

using Work = void (*)(void* context, int worker, int64_t first, int64_t last);

// Calls work for at most `threads` contiguous parts of [0, items); the calling thread takes the first.
void run_parallel(int64_t items, int threads, Work work, void* context);

// The same for a callable (worker, first, last).
template <class F>
void parallel_for(int64_t items, int threads, F&& work) {
  run_parallel(items, threads, [](void* context, int worker, int64_t first, int64_t last) { (*static_cast<F*>(context))(worker, first, last); }, &work);
}

}  // namespace pgt
