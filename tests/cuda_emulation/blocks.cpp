// Runs the blocks of a launch. A fiber a thread; between two barriers the fibers run one after the other, in an order that can be chosen: a result that
// depends on it misses a barrier. Shared memory starts as NaN, with a margin on both sides that must come back untouched.
#include <stdio.h>
#include <ucontext.h>

#include <algorithm>
#include <random>
#include <vector>

#include "cuda_runtime.h"

uint3 threadIdx, blockIdx;
dim3 blockDim;

namespace {

constexpr size_t kStack = 128 * 1024, kMargin = 4096;

struct Fiber {
  enum State { fresh, waiting, done } state;
  ucontext_t context;
  std::vector<char> stack;
};

std::vector<Fiber> fibers;
Fiber* current;
ucontext_t scheduler;
float* shared_memory;
void (*body)(void*);
void* body_context;

void run_fiber() {
  body(body_context);
  current->state = Fiber::done;
  swapcontext(&current->context, &scheduler);
}

cudaError_t refuse(const char* reason) {
  fprintf(stderr, "emulated launch: %s\n", reason);
  return cudaErrorUnknown;
}

cudaError_t run_block(std::vector<int>& order, bool shuffled) {
  static std::mt19937 random(1);
  for (int i : order) {
    Fiber& f = fibers[i];
    f.state = Fiber::fresh;
    f.stack.resize(kStack);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.data(), f.context.uc_stack.ss_size = kStack, f.context.uc_link = nullptr;
    makecontext(&f.context, run_fiber, 0);
  }
  for (;;) {
    int waiting = 0;
    if (shuffled) std::shuffle(order.begin(), order.end(), random);
    for (int i : order) {
      if (fibers[i].state == Fiber::done) continue;
      threadIdx = {unsigned(i), 0, 0};
      current = &fibers[i];
      swapcontext(&scheduler, &fibers[i].context);
      waiting += fibers[i].state == Fiber::waiting;
    }
    if (waiting == 0) return cudaSuccess;
    if (waiting != int(order.size())) return refuse("some threads wait at a barrier that others never reach");
  }
}

}  // namespace

int emulated_setting(const char* name, int otherwise) {
  const char* value = getenv(name);
  return value ? atoi(value) : otherwise;
}

float* emulated_shared_memory() { return shared_memory; }

void __syncthreads() {
  current->state = Fiber::waiting;
  swapcontext(&current->context, &scheduler);
}

cudaError_t emulated_launch(const cudaLaunchConfig_t& config, void (*call)(void*), void* context) {
  const dim3 grid = config.gridDim;
  const size_t bytes = config.dynamicSmemBytes;
  const int threads = int(config.blockDim.x), wanted = emulated_setting("EMULATED_ORDER", 0);
  if (grid.x == 0 || grid.y == 0 || threads == 0 || threads > 1024) return refuse("an empty grid, or a block of no or too many threads");
  if (bytes > size_t(emulated_setting("EMULATED_SHARED", 232448))) return refuse("more shared memory than the device has");
  body = call, body_context = context, blockDim = config.blockDim;
  fibers.resize(std::max(fibers.size(), size_t(threads)));
  std::vector<int> order(threads);
  for (int i = 0; i < threads; ++i) order[i] = wanted == 1 ? threads - 1 - i : i;
  std::vector<char> memory(bytes + 2 * kMargin);
  shared_memory = reinterpret_cast<float*>(memory.data() + kMargin);
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; ++x) {
      blockIdx = {x, y, 0};
      std::fill(memory.begin(), memory.end(), char(0xff));
      if (run_block(order, wanted == 2) != cudaSuccess) return cudaErrorUnknown;
      auto untouched = [](char c) { return c == char(0xff); };
      if (!std::all_of(memory.begin(), memory.begin() + kMargin, untouched) || !std::all_of(memory.end() - kMargin, memory.end(), untouched))
        return refuse("shared memory was written out of bounds");
    }
  return cudaSuccess;
}
