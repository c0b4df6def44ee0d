#include "parallel.h"

#include <thread>
#include <vector>

namespace pgt {

void run_parallel(int64_t items, int threads, Work work, void* context) {
  int64_t parts = threads < items ? threads : items;
  if (parts <= 1) {
    if (items > 0) work(context, 0, 0, items);
    return;
  }
  std::vector<std::thread> others;
  others.reserve(parts - 1);
  for (int64_t k = 1; k < parts; ++k) others.emplace_back(work, context, int(k), items * k / parts, items * (k + 1) / parts);
  work(context, 0, 0, items / parts);
  for (auto& other : others) other.join();
}

}  // namespace pgt
