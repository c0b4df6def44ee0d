// Looks for OpenMP over and over while another thread loads and unloads a library: a search that opens a library under the loader's lock hangs within a second.
#include <stdio.h>
#include <stdlib.h>

#include <atomic>

#include "../../csrc/kernels/parallel.cpp"

int main(int count, char** arguments) {
  if (count != 3 || !dlopen("libgomp.so.1", RTLD_NOW)) return 2;
  std::atomic<long> searches{0}, loads{0};
  std::thread search([&] {
    for (;;) searches += pgt::find_openmp().parallel != nullptr;
  });
  std::thread load([&] {
    for (;;) {
      void* handle = dlopen(arguments[1], RTLD_NOW);
      if (handle) dlclose(handle);
      loads += handle != nullptr;
    }
  });
  usleep(1000 * atoi(arguments[2]));
  const long before = searches + loads;
  usleep(500 * 1000);
  printf("%ld searches, %ld loads\n", searches.load(), loads.load());
  _exit(searches > 0 && loads > 0 && searches + loads > before ? 0 : 1);
}
