// What every CUDA launcher shares: the device of its pointers, the limits of that device, one launch function. No global state, no synchronisation;
// everything here may run while the stream is captured into a graph.
#pragma once

#include <cuda_runtime.h>
#include <stdint.h>

namespace pgt {

// Makes the device that `pointer` lives on current for the lifetime of the guard.
class DeviceGuard {
 public:
  explicit DeviceGuard(const void* pointer);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;
  cudaError_t status() const { return status_; }

 private:
  cudaError_t status_;
  int previous_ = -1;
};

// Limits of the current device.
struct DeviceLimits {
  int multiprocessors = 0;
  int shared_bytes = 0;  // most that one block may ask for
};
cudaError_t read_limits(DeviceLimits& limits);

// Bodies in a block and what one takes of shared memory: a record of `stride` floats each, the stride odd, so that the threads of a warp, one body
// a lane, read the same place of their records without bank conflicts.
struct Records {
  int bodies = 0;  // a power of two up to 32; 0: not even one record fits
  int chunk = 0;   // steps of the variable part that a record holds
  int stride = 0;
  size_t bytes() const { return size_t(bodies) * stride * sizeof(float); }
};

// As many bodies as fit with `fixed` floats each and `least` steps of `step` floats; then up to `most` steps. Needs least <= most.
inline Records fit_records(int shared_bytes, int64_t fixed, int64_t step, int least, int most) {
  Records r;
  const int64_t floats = shared_bytes / int64_t(sizeof(float));
  for (int bodies = 32; bodies > 0; bodies /= 2) {
    if (((fixed + step * least) | 1) * bodies > floats) continue;
    r.bodies = bodies, r.chunk = least;
    while (r.chunk < most && ((fixed + step * (r.chunk + 1)) | 1) * bodies <= floats) ++r.chunk;
    r.stride = int((fixed + step * r.chunk) | 1);
    return r;
  }
  return r;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline bool aligned16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// Launches kernel<<<(blocks, slices), threads, shared, stream>>>(arguments...).
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), int64_t blocks, int64_t slices, int threads, size_t shared, cudaStream_t stream, const A&... arguments) {
  if (blocks > 0x7fffffff || slices > 65535) return cudaErrorInvalidConfiguration;
  cudaError_t status = cudaSuccess;
  if (shared > 48 * 1024) {  // always the device's most: threads that launch one kernel with different sizes set the same
    DeviceLimits limits;
    status = read_limits(limits);
    if (status == cudaSuccess)
      status = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, limits.shared_bytes);
  }
  if (status == cudaSuccess) {
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(unsigned(blocks), unsigned(slices));
    config.blockDim = dim3(unsigned(threads));
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    status = cudaLaunchKernelEx(&config, kernel, P(arguments)...);
  }
  if (status != cudaSuccess) cudaGetLastError();  // reported here, not to the next caller that looks
  return status;
}

}  // namespace pgt
