// Where the process has GNU OpenMP loaded already, as every process with a PyTorch wheel has, its threads are used: a second set of workers would compete
// with torch's, which keep their cores busy for milliseconds after each parallel op. It is found by name, not linked, so that the module loads without it.
// Otherwise, and in the child of a fork(), where OpenMP's threads are gone, threads are started for the one call. Nothing here is global state.
#include "parallel.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

namespace pgt {

namespace {

struct OpenMp {
  void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags) = nullptr;
  int (*thread_number)() = nullptr;
  int (*thread_count)() = nullptr;
};

// Keeps the path of a loaded libgomp: of several that of torch, which may be one of its own. The loader's lock is held during the walk, so nothing is
// opened here: with another thread in dlopen that would wait for ever.
int find_gomp(dl_phdr_info* info, size_t, void* path_) {
  std::string& path = *static_cast<std::string*>(path_);
  const bool torchs = strstr(info->dlpi_name, "/torch/") || strstr(info->dlpi_name, "/torch.libs/");
  if (strstr(info->dlpi_name, "libgomp") && (path.empty() || torchs)) path = info->dlpi_name;
  return 0;
}

OpenMp find_openmp() {
  std::string path;
  dl_iterate_phdr(find_gomp, &path);
  OpenMp found;
  void* handle = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD);
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
