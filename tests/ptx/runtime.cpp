// Runs the blocks of a launch of translated kernels, one after the other. A fiber a thread; between two barriers the fibers run one after the other, so two
// accesses to one word that no barrier orders are always seen, whichever comes first. Each four bytes have a record of who wrote and who read them last.
#include "runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cuda_runtime.h"

uint3 threadIdx, blockIdx;
dim3 blockDim;
void __syncthreads() { abort(); }  // the C++ of the kernels is compiled for its launchers alone

Now now;
char* shared_memory;
const char* launched_text = "";

namespace {

struct Word {
  int64_t writer = -1, reader = -1;
  uint32_t written = 0, read = 0;  // epochs; 0: never
  bool threads = false;            // several threads have read since the epoch `read`
  bool blocks = false;             // several blocks have read during the launch
};
struct Range {
  uint64_t bytes = 0;
  int uses = 0;
  std::vector<Word> words;
};
struct Fiber {
  enum State { fresh, waiting, done } state;
  ucontext_t context;
  std::vector<char> stack;
  int place;
};

constexpr size_t kStack = 64 * 1024;
uint32_t epoch = 1, block_epoch = 1, launch_epoch = 1;  // one more at each barrier, block and launch
std::vector<Word> shared_words;
std::vector<Fiber> fibers;
Fiber* current;
ucontext_t scheduler;
const Kernel* kernel;
std::map<std::string, int> complaints;

std::map<uint64_t, Range>& ranges() {
  static std::map<uint64_t, Range> all;
  return all;
}

int64_t block_of(int64_t thread) { return thread >> 12; }
int64_t this_thread() { return (int64_t(now.block_y) << 31 | now.block_x) << 12 | now.thread; }

// Whether nothing orders an access of `thread` in the epoch `when` before the one at hand.
bool unordered(int64_t thread, uint32_t when) {
  if (thread < 0 || when < launch_epoch || thread == this_thread()) return false;
  return block_of(thread) == block_of(this_thread()) ? when == epoch : true;
}

void touch(Word& word, bool write, int place, uint64_t at) {
  const int64_t me = this_thread();
  if (unordered(word.writer, word.written))
    complain(place, write ? "write after a write that no barrier orders" : "read after a write that no barrier orders", at);
  const bool seen = word.reader >= 0 && word.read >= launch_epoch;
  if (write) {
    if (seen && (word.blocks || unordered(word.reader, word.read) || (word.threads && word.read == epoch)))
      complain(place, "write after a read that no barrier orders", at);
    word.writer = me, word.written = epoch;
  } else {
    word.blocks = seen && (word.blocks || block_of(word.reader) != block_of(me));
    word.threads = seen && word.read == epoch && (word.threads || word.reader != me);
    word.reader = me, word.read = epoch;
  }
}

void run_fiber() {
  kernel->run();
  current->state = Fiber::done;
  swapcontext(&current->context, &scheduler);
}

cudaError_t refuse(const char* reason) {
  fprintf(stderr, "ptx: launch of %s: %s\n", launched_text, reason);
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
    int waiting = 0, place = -1;
    if (shuffled) std::shuffle(order.begin(), order.end(), random);
    for (int i : order) {
      if (fibers[i].state == Fiber::done) continue;
      now.thread = unsigned(i), current = &fibers[i];
      swapcontext(&scheduler, &fibers[i].context);
      if (fibers[i].state != Fiber::waiting) continue;
      if (waiting++ && fibers[i].place != place) complain(fibers[i].place, "threads of a block wait at different barriers", 0);
      place = fibers[i].place;
    }
    ++epoch;
    if (waiting == 0) return cudaSuccess;
    if (waiting != int(order.size())) {
      complain(place, "a barrier that some threads never reach", 0);
      return refuse("threads diverge at a barrier");
    }
  }
}

// The kernel that a launch names; a template's by the types of its arguments.
const Kernel* find_kernel(const std::string& types) {
  const std::string name = std::string(launched_text).substr(0, strcspn(launched_text, "<, "));
  const Kernel* found = nullptr;
  for (int i = 0; i < kernel_count; ++i) {
    std::string rest = kernels[i].identifiers;
    const size_t end = rest.find('|');
    if (rest.substr(0, end) != name) continue;
    bool fits = true;
    while (rest.find('|') != std::string::npos) {
      rest = rest.substr(rest.find('|') + 1);
      fits = fits && types.find(rest.substr(0, rest.find('|'))) != std::string::npos;
    }
    if (fits && found) return refuse("several kernels fit"), nullptr;
    if (fits) found = &kernels[i];
  }
  if (!found) refuse("no such kernel in the PTX");
  return found;
}

}  // namespace

void barrier(int place) {
  current->state = Fiber::waiting, current->place = place;
  swapcontext(&current->context, &scheduler);
}

void complain(int place, const char* what, uint64_t at) {
  const std::string text = std::string(places[place].kernel) + ": " + places[place].text + ": " + what;
  if (complaints[text]++ == 0)
    fprintf(stderr, "ptx: %s (at %#llx, thread %u of block %u,%u)\n", text.c_str(), (unsigned long long)at, now.thread, now.block_x, now.block_y);
}

void touch_shared(uint32_t at, int bytes, bool write, int place, bool) {
  if (at % bytes) complain(place, "shared memory: not aligned", at);
  if (uint64_t(at) + bytes > 4 * shared_words.size()) {
    complain(place, "shared memory: out of bounds", at);
    fprintf(stderr, "ptx: the run ends here\n");
    _Exit(3);  // the access itself would leave the array
  }
  for (int i = 0; i < bytes; i += 4) {
    Word& word = shared_words[(at + i) / 4];
    if (!write && word.written < block_epoch) complain(place, "shared memory: read before it was written", at);
    touch(word, write, place, at);
  }
}

void touch_global(uint64_t at, int bytes, bool write, int place, bool constant) {
  if (at % bytes) complain(place, "global memory: not aligned", at);
  auto after = ranges().upper_bound(at);
  if (after == ranges().begin() || at + bytes > std::prev(after)->first + std::prev(after)->second.bytes) {
    complain(place, "global memory: out of bounds", at);
    if (write) _Exit(3);
    return;
  }
  auto& [start, range] = *std::prev(after);
  for (int i = 0; i < bytes; i += 4) {
    Word& word = range.words[(at + i - start) / 4];
    if (constant && word.writer >= 0 && word.written >= launch_epoch) complain(place, "global memory: a read-only load of what the launch has written", at);
    touch(word, write, place, at);
  }
}

void known_range(const void* start, uint64_t bytes) {
  if (bytes == 0) return;
  Range& range = ranges()[uint64_t(start)];
  if (range.uses++ == 0 || bytes > range.bytes) range.bytes = bytes, range.words.assign((bytes + 3) / 4, Word());
}

void forget_range(const void* start) {
  auto found = ranges().find(uint64_t(start));
  if (found != ranges().end() && --found->second.uses == 0) ranges().erase(found);
}

int emulated_setting(const char* name, int otherwise) {
  const char* value = getenv(name);
  return value ? atoi(value) : otherwise;
}

extern "C" __attribute__((visibility("default"))) int ptx_complaints() { return int(complaints.size()); }

cudaError_t ptx_launch(const cudaLaunchConfig_t& config, const char* types, char** parameters, int count) {
  kernel = find_kernel(types);
  if (!kernel) return cudaErrorUnknown;
  if (kernel->parameters != count) return refuse("another number of parameters in the PTX");
  const dim3 grid = config.gridDim;
  const size_t bytes = config.dynamicSmemBytes + kernel->fixed_bytes;
  const int threads = int(config.blockDim.x), wanted = emulated_setting("EMULATED_ORDER", 0);
  if (grid.x == 0 || grid.y == 0 || threads == 0 || threads > kernel->most_threads) return refuse("an empty grid, or a block of no or too many threads");
  if (bytes > size_t(emulated_setting("EMULATED_SHARED", 232448))) return refuse("more shared memory than the device has");
  fibers.resize(std::max(fibers.size(), size_t(threads)));
  std::vector<int> order(threads);
  for (int i = 0; i < threads; ++i) order[i] = wanted == 1 ? threads - 1 - i : i;
  std::vector<char> memory(bytes + 16);
  shared_memory = memory.data(), shared_words.assign(bytes / 4, Word());
  now.parameters = parameters, now.threads = unsigned(threads);
  launch_epoch = ++epoch;
  for (unsigned y = 0; y < grid.y; ++y)
    for (unsigned x = 0; x < grid.x; ++x) {
      now.block_x = x, now.block_y = y, block_epoch = ++epoch;
      std::fill(memory.begin(), memory.end(), char(0xff));
      std::fill(shared_words.begin(), shared_words.end(), Word());
      if (run_block(order, wanted == 2) != cudaSuccess) return cudaErrorUnknown;
    }
  return cudaSuccess;
}
