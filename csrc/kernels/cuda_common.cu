#include "cuda_common.cuh"

namespace pgt {

const char* cuda_error_text(int status);  // declared by python/module.cpp
const char* cuda_error_text(int status) { return cudaGetErrorString(static_cast<cudaError_t>(status)); }

DeviceGuard::DeviceGuard(const void* pointer) {
  cudaPointerAttributes attributes;
  status_ = cudaPointerGetAttributes(&attributes, pointer);
  if (status_ == cudaSuccess && attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged) status_ = cudaErrorInvalidDevicePointer;
  int current = -1;
  if (status_ == cudaSuccess) status_ = cudaGetDevice(&current);
  if (status_ == cudaSuccess && current != attributes.device) {
    status_ = cudaSetDevice(attributes.device);
    if (status_ == cudaSuccess) previous_ = current;
  }
  if (status_ != cudaSuccess) cudaGetLastError();
}

DeviceGuard::~DeviceGuard() {
  if (previous_ >= 0) cudaSetDevice(previous_);
}

cudaError_t read_limits(DeviceLimits& limits) {
  int device = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&limits.multiprocessors, cudaDevAttrMultiProcessorCount, device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&limits.shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (status != cudaSuccess) cudaGetLastError();
  return status;
}

}  // namespace pgt
