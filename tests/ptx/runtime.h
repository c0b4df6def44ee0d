// What translated PTX (translate.py) calls: the place of the thread, memory through checks, barriers.
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <cmath>

using std::isnan;

struct Kernel {
  const char* identifiers;  // its name, then those of its template's types, between bars
  void (*run)();            // what one thread does
  int parameters;
  int most_threads;
  int fixed_bytes;  // of shared memory
};
struct Place {
  const char* kernel;
  const char* text;
};
extern const Kernel kernels[];
extern const int kernel_count;
extern const Place places[];

struct Now {
  uint32_t thread, threads, block_x, block_y;
  char** parameters;
};
extern Now now;
extern char* shared_memory;

// Waits until all threads of the block are there.
void barrier(int place);
// Checks an access before it happens: bounds, alignment, values that nobody wrote, and other threads' accesses that no barrier orders. `constant`: a load
// through the read-only path, which does not see what the launch itself writes.
void touch_shared(uint32_t at, int bytes, bool write, int place, bool constant);
void touch_global(uint64_t at, int bytes, bool write, int place, bool constant);
void complain(int place, const char* what, uint64_t at);
// Memory that kernels may touch.
void known_range(const void* start, uint64_t bytes);
void forget_range(const void* start);
struct Known {
  Known(const void* start, uint64_t bytes) { known_range(start, bytes); }
};

template <class T, class F>
inline T bits(F from) {
  static_assert(sizeof(T) == sizeof(F), "another size");
  T to;
  memcpy(&to, &from, sizeof to);
  return to;
}
template <class T>
inline T peek(const char* at) {
  T value;
  memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
inline void poke(char* at, T value) {
  memcpy(at, &value, sizeof value);
}
template <class T>
inline T whole_div(T a, T b, int place) {
  if (b == 0) return complain(place, "division by zero", 0), T(-1);
  return T(a / b);
}
template <class T>
inline T whole_rem(T a, T b, int place) {
  if (b == 0) return complain(place, "division by zero", 0), a;
  return T(a % b);
}
