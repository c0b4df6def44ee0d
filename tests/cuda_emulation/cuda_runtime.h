// The part of CUDA that csrc/kernels/*.cu use, on the host: blocks run one after the other, the threads of a block as fibers that switch at barriers
// (blocks.cpp), or as nvcc's PTX translated to C++ (tests/ptx, which defines EMULATED_PTX). It stands in for the toolkit's header of this name, so that the
// kernels compile unchanged. Memory is the host's, streams are ignored.
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __shared__ static

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevicePointer = 17,
  cudaErrorMisalignedAddress = 716,
  cudaErrorUnknown = 999
};
typedef struct EmulatedStream* cudaStream_t;
enum cudaMemoryType { cudaMemoryTypeDevice = 2, cudaMemoryTypeManaged = 3 };
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
};

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim;
void __syncthreads();

// The pretended device: EMULATED_SHARED bytes of shared memory a block, EMULATED_SMS multiprocessors; threads run in EMULATED_ORDER (0 ascending, 1 descending,
// 2 shuffled).
int emulated_setting(const char* name, int otherwise);
float* emulated_shared_memory();
cudaError_t emulated_launch(const cudaLaunchConfig_t& config, void (*call)(void*), void* context);

#if defined(EMULATED_PTX)
extern const char* launched_text;  // the arguments of launch() as they are written
cudaError_t ptx_launch(const cudaLaunchConfig_t& config, const char* types, char** parameters, int count);
template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*)(P...), A&&... arguments) {
  const char* types = __PRETTY_FUNCTION__;
  return [&](P... values) {
    char* parameters[] = {reinterpret_cast<char*>(const_cast<typename std::remove_const<P>::type*>(&values))...};
    return ptx_launch(*config, types, parameters, int(sizeof...(P)));
  }(arguments...);
}
#else
template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(P...), A&&... arguments) {
  auto run = [&] { kernel(arguments...); };
  return emulated_launch(*config, [](void* f) { (*static_cast<decltype(run)*>(f))(); }, &run);
}
#endif
template <class T>
T __ldg(const T* p) {
  return *p;
}

inline const char* cudaGetErrorString(cudaError_t e) { return e == cudaErrorUnknown ? "the emulated launch failed, see stderr" : "a CUDA call was refused"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void*) { return a->type = cudaMemoryTypeDevice, a->device = 0, cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr a, int) {
  *value = a == cudaDevAttrMultiProcessorCount ? emulated_setting("EMULATED_SMS", 132) : emulated_setting("EMULATED_SHARED", 232448);
  return cudaSuccess;
}
inline cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
