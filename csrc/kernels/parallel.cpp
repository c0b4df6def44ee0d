// Where the process has GNU OpenMP loaded already, as every process with a PyTorch wheel has, its threads are used: a second set of workers would compete
// with torch's, which keep their cores busy for milliseconds after each parallel op. It is found by name, not linked, so that the module loads without it.
// Otherwise, and in the child of a fork(), where OpenMP's threads are gone, threads are started for the one call. Nothing here is global state.
#include "parallel.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace pgt {

namespace {

struct OpenMp {
  void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags) = nullptr;
  int (*thread_number)() = nullptr;
  int (*thread_count)() = nullptr;
};

int find_gomp(dl_phdr_info* info, size_t, void* handle) {
  if (!strstr(info->dlpi_name, "libgomp")) return 0;
  *static_cast<void**>(handle) = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
  return 1;
}

OpenMp find_openmp() {
  void* handle = nullptr;
  dl_iterate_phdr(find_gomp, &handle);
  OpenMp found;
  if (!handle) return found;
  found.parallel = reinterpret_cast<decltype(found.parallel)>(dlsym(handle, "GOMP_parallel"));
  found.thread_number = reinterpret_cast<decltype(found.thread_number)>(dlsym(handle, "omp_get_thread_num"));
  found.thread_count = reinterpret_cast<decltype(found.thread_count)>(dlsym(handle, "omp_get_num_threads"));
  if (!found.thread_number || !found.thread_count) found.parallel = nullptr;
  return found;
}

struct Task {
  Work work;
  void* context;
  int64_t items, parts;
  const OpenMp* openmp;

  void run(int64_t part) const { work(context, int(part), items * part / parts, items * (part + 1) / parts); }
};

// Every thread of the team takes its share of the parts; the team may be smaller than asked for.
void run_team(void* task_) {
  const Task& task = *static_cast<Task*>(task_);
  for (int64_t part = task.openmp->thread_number(); part < task.parts; part += task.openmp->thread_count()) task.run(part);
}

const pid_t kLoadedIn = getpid();

}  // namespace

void run_parallel(int64_t items, int threads, Work work, void* context) {
  const int64_t parts = threads < items ? threads : items;
  Task task{work, context, items, parts, nullptr};
  if (parts <= 1) {
    if (items > 0) task.run(0);
    return;
  }
  static const OpenMp openmp = find_openmp();
  if (openmp.parallel && getpid() == kLoadedIn) {
    task.openmp = &openmp;
    return openmp.parallel(run_team, &task, unsigned(parts), 0);
  }
  std::vector<std::thread> others;
  others.reserve(parts - 1);
  for (int64_t part = 1; part < parts; ++part) others.emplace_back([&task, part] { task.run(part); });
  task.run(0);
  for (auto& other : others) other.join();
}

}  // namespace pgt
