// The workers of a process: threads that are started when first wanted and then wait for work. Between calls a worker watches for more for some tens of
// microseconds before it sleeps, since a fit or a training step calls again at once and waking a sleeping core costs as much as such a call.
// A child of fork() has none of its parent's threads: it starts workers of its own. A call that finds the workers taken, by another thread of the process,
// runs alone. Which worker takes which part never changes a result.
#include "parallel.h"

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace pgt {

namespace {

struct Task {
  Work work;
  void* context;
  int64_t items, parts;
};

class Workers {
 public:
  // Runs parts 1 to task.parts - 1 on the workers and part 0 here.
  void run(const Task& task) {
    const int wanted = int(task.parts) - 1;
    for (; started_ < wanted; ++started_) std::thread(&Workers::serve, this, started_, generation_.load()).detach();
    left_.store(wanted, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> hold(sleep_);
      task_ = task;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    task.work(task.context, 0, 0, task.items / task.parts);
    while (left_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
  }

  std::mutex taken;
  const pid_t process = getpid();

 private:
  static constexpr int kSpins = 2000;

  void serve(int index, uint64_t seen) {
    for (;;) {
      for (int i = 0; i < kSpins && generation_.load(std::memory_order_acquire) == seen; ++i) pause();
      Task task;
      {
        std::unique_lock<std::mutex> hold(sleep_);
        wake_.wait(hold, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
        seen = generation_.load(std::memory_order_relaxed);
        task = task_;
      }
      const int64_t part = index + 1;
      if (part >= task.parts) continue;
      task.work(task.context, int(part), task.items * part / task.parts, task.items * (part + 1) / task.parts);
      left_.fetch_sub(1, std::memory_order_release);
    }
  }

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  int started_ = 0;
  Task task_{};
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> left_{0};
  std::mutex sleep_;
  std::condition_variable wake_;
};

// Never destroyed: workers wait in it until the process ends.
Workers& workers() {
  static std::atomic<Workers*> current{nullptr};
  Workers* found = current.load(std::memory_order_acquire);
  while (!found || found->process != getpid()) {
    Workers* fresh = new Workers;
    if (current.compare_exchange_strong(found, fresh)) return *fresh;
    delete fresh;
  }
  return *found;
}

}  // namespace

void run_parallel(int64_t items, int threads, Work work, void* context) {
  const int64_t parts = threads < items ? threads : items;
  if (parts > 1) {
    Workers& all = workers();
    std::unique_lock<std::mutex> mine(all.taken, std::try_to_lock);
    if (mine) return all.run({work, context, items, parts});
  }
  for (int64_t k = 0; k < parts; ++k) work(context, int(k), items * k / parts, items * (k + 1) / parts);
}

}  // namespace pgt
