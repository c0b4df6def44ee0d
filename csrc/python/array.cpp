#include "array.h"

#include <algorithm>

namespace pgt {

namespace {

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    case DType::int32:
      return "int32";
    case DType::int64:
      return "int64";
    case DType::uint8:
      return "uint8";
    default:
      return "another dtype";
  }
}

DType read_dtype(const dlpack::DataType& d) {
  if (d.lanes == 1 && d.code == 2 && d.bits == 32) return DType::float32;
  if (d.lanes == 1 && d.code == 2 && d.bits == 64) return DType::float64;
  if (d.lanes == 1 && d.code == 0 && d.bits == 32) return DType::int32;
  if (d.lanes == 1 && d.code == 0 && d.bits == 64) return DType::int64;
  if (d.lanes == 1 && d.code == 1 && d.bits == 8) return DType::uint8;
  return DType::other;
}

std::string device_name(const dlpack::Tensor& t) {
  if (t.device.type == dlpack::kCpu || t.device.type == dlpack::kCudaHost) return "cpu";
  if (t.device.type == dlpack::kCuda) return "cuda:" + std::to_string(t.device.id);
  static const char* const names[] = {
      "",       "",       "",        "",    "OpenCL", "", "", "Vulkan", "Metal", "VPI", "ROCm", "ROCm host", "an extension device", "CUDA managed memory",
      "oneAPI", "WebGPU", "Hexagon", "MAIA"};
  const int type = t.device.type;
  if (type > 3 && type < int(sizeof(names) / sizeof(*names)) && *names[type]) return names[type];
  return "device type " + std::to_string(type);
}

bool known_device(const dlpack::Tensor& t) { return t.device.type == dlpack::kCpu || t.device.type == dlpack::kCudaHost || t.device.type == dlpack::kCuda; }

std::string shape_text(const int64_t* shape, int ndim) {
  std::string s = "(";
  for (int i = 0; i < ndim; ++i) s += (i ? ", " : "") + (shape[i] < 0 ? std::string("any") : std::to_string(shape[i]));
  return s + ")";
}

bool is_contiguous(const dlpack::Tensor& t) {
  if (!t.strides || std::find(t.shape, t.shape + t.ndim, 0) != t.shape + t.ndim) return true;
  int64_t wanted = 1;
  for (int i = t.ndim - 1; i >= 0; --i) {
    if (t.shape[i] != 1 && t.strides[i] != wanted) return false;
    wanted *= t.shape[i];
  }
  return true;
}

}  // namespace

Array::Array(const char* op, const char* name, py::handle source) : op_(op), name_(name) {
  if (source.is_none()) return;
  if (PyCapsule_CheckExact(source.ptr())) {
    capsule_ = py::reinterpret_borrow<py::object>(source);
  } else if (py::hasattr(source, "__dlpack__")) {
    capsule_ = source.attr("__dlpack__")();
  } else {
    fail(true, "an array with __dlpack__ (torch, NumPy, JAX, CuPy)", std::string(py::str(py::type::of(source))));
  }
  PyObject* capsule = capsule_.ptr();
  if (PyCapsule_IsValid(capsule, "dltensor")) {
    tensor_ = &static_cast<dlpack::Managed*>(PyCapsule_GetPointer(capsule, "dltensor"))->tensor;
    PyCapsule_SetName(capsule, "used_dltensor");
  } else if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
    auto* managed = static_cast<dlpack::ManagedVersioned*>(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
    if (managed->version.major > dlpack::kMajor)  // only the version is where it was: the capsule keeps its array
      fail(true, "DLPack of version " + std::to_string(dlpack::kMajor) + " at most", "version " + std::to_string(managed->version.major));
    versioned_ = true;
    flags_ = managed->flags & (dlpack::kReadOnly | dlpack::kCopied);
    tensor_ = &managed->tensor;
    PyCapsule_SetName(capsule, "used_dltensor_versioned");
  } else {
    fail(true, "a fresh DLPack capsule", "one that was used before");
  }
  dtype_ = read_dtype(tensor_->dtype);
  if (!known_device(*tensor_)) {
    const std::string device = device_name(*tensor_);
    release();
    fail(false, "an array on cpu or cuda", "one on " + device);
  }
}

Array::Array(Array&& other) noexcept
    : op_(other.op_),
      name_(other.name_),
      capsule_(std::move(other.capsule_)),
      tensor_(other.tensor_),
      versioned_(other.versioned_),
      flags_(other.flags_),
      dtype_(other.dtype_) {
  other.tensor_ = nullptr;
}

Array::~Array() { release(); }

void Array::release() {
  if (!tensor_) return;
  tensor_ = nullptr;
  if (versioned_) {
    auto* managed = static_cast<dlpack::ManagedVersioned*>(PyCapsule_GetPointer(capsule_.ptr(), "used_dltensor_versioned"));
    if (managed->deleter) managed->deleter(managed);
  } else {
    auto* managed = static_cast<dlpack::Managed*>(PyCapsule_GetPointer(capsule_.ptr(), "used_dltensor"));
    if (managed->deleter) managed->deleter(managed);
  }
}

const Array& Array::check(const Array& like, DType dtype, std::initializer_list<int64_t> shape) const {
  if (!present()) return *this;
  if (device_name(*tensor_) != device_name(*like.tensor_)) fail(false, "on " + device_name(*like.tensor_) + " as " + like.name_, device_name(*tensor_));
  if (dtype_ != dtype) fail(true, dtype_name(dtype), dtype_name(dtype_));
  bool same = tensor_->ndim == int(shape.size());
  for (int i = 0; same && i < tensor_->ndim; ++i) same = shape.begin()[i] < 0 || shape.begin()[i] == tensor_->shape[i];
  if (!same) fail(false, "shape " + shape_text(shape.begin(), int(shape.size())), shape_text(tensor_->shape, tensor_->ndim));
  return check_contiguous();
}

const Array& Array::check_contiguous() const {
  if (present() && !is_contiguous(*tensor_)) fail(false, "a contiguous array (call .contiguous())", "strides of another layout");
  return *this;
}

const Array& Array::required() const {
  if (!present()) fail(true, "an array", "None");
  return *this;
}

void Array::fail_read_only() const { fail(false, "an array that may be written", flags_ & dlpack::kCopied ? "a copy of one" : "a read-only one"); }

void Array::fail(bool type_error, const std::string& wanted, const std::string& got) const {
  std::string message = std::string(op_) + ": " + name_ + ": wanted " + wanted + ", got " + got;
  if (type_error) throw py::type_error(message);
  throw py::value_error(message);
}

void no_cuda(const char* op) {
  throw std::runtime_error(std::string(op) +
                           ": the arrays are on a CUDA device but this build of pgtfast has no CUDA kernels. Install it where nvcc is found: pip install . -C "
                           "cmake.define.PGTFAST_CUDA=ON");
}

}  // namespace pgt
