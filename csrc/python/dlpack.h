// The parts of the DLPack ABI (versions 0 and 1) that the border reads.
#pragma once

#include <stdint.h>

namespace pgt::dlpack {

constexpr int32_t kCpu = 1;
constexpr int32_t kCuda = 2;
constexpr int32_t kCudaHost = 3;

constexpr uint32_t kMajor = 1;  // the newest layout that is known here
constexpr uint64_t kReadOnly = 1;
constexpr uint64_t kCopied = 2;

struct Device {
  int32_t type;
  int32_t id;
};
struct DataType {
  uint8_t code;  // 0 int, 1 uint, 2 float
  uint8_t bits;
  uint16_t lanes;
};
struct Tensor {
  void* data;
  Device device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // null: contiguous
  uint64_t byte_offset;
};
struct Managed {
  Tensor tensor;
  void* context;
  void (*deleter)(Managed*);
};
struct Version {
  uint32_t major, minor;
};
struct ManagedVersioned {
  Version version;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;  // kReadOnly, kCopied
  Tensor tensor;
};

}  // namespace pgt::dlpack
