// Items with many points each: 32 threads share an item, four items a block. Sums over the points are taken thread by thread and then over the threads,
// in a fixed order.
#pragma once

#include "cuda_common.cuh"

namespace pgt {

constexpr int kGroup = 32;
constexpr int kGroups = 4;

struct ItemGroup {
  int64_t item;  // groups past the last item repeat it and write nothing
  int group, lane;
  bool alive;

  __device__ explicit ItemGroup(int64_t items) : group(int(threadIdx.x) / kGroup), lane(int(threadIdx.x) % kGroup) {
    const int64_t wanted = int64_t(blockIdx.x) * kGroups + group;
    alive = wanted < items;
    item = alive ? wanted : items - 1;
  }
};

template <int N>
struct GroupSums {
  float part[kGroups][kGroup][N + 1];
  float total[kGroups][N];
};

// Replaces each thread's N values by their sums over the group. Two barriers; the memory is free again after one more.
template <int N>
__device__ __forceinline__ void group_sum(const ItemGroup& at, GroupSums<N>& shared, float (&values)[N]) {
  static_assert(N <= kGroup, "one thread a sum");
  for (int i = 0; i < N; ++i) shared.part[at.group][at.lane][i] = values[i];
  __syncthreads();
  if (at.lane < N) {
    float sum = 0.0f;
    for (int l = 0; l < kGroup; ++l) sum += shared.part[at.group][l][at.lane];
    shared.total[at.group][at.lane] = sum;
  }
  __syncthreads();
  for (int i = 0; i < N; ++i) values[i] = shared.total[at.group][i];
}

}  // namespace pgt
