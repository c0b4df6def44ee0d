// A checked view of an array that came in through DLPack: torch, NumPy, JAX and CuPy alike. No copy is made.
#pragma once

#include <pybind11/pybind11.h>

#include <initializer_list>
#include <string>
#include <type_traits>

#include "dlpack.h"

namespace pgt {

namespace py = pybind11;

enum class DType { float32, float64, int32, uint8, int64, other };

class Array {
 public:
  // `source` is a DLPack capsule or any object with __dlpack__; `name` goes into messages. None gives an absent array.
  Array(const char* op, const char* name, py::handle source);
  Array(Array&& other) noexcept;
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array();

  bool present() const { return tensor_ != nullptr; }
  int ndim() const { return tensor_->ndim; }
  int64_t size(int axis) const { return tensor_->shape[axis < 0 ? axis + tensor_->ndim : axis]; }
  DType dtype() const { return dtype_; }
  bool cuda() const { return tensor_->device.type == dlpack::kCuda; }
  int device() const { return tensor_->device.id; }
  // Throws where the array is to be written (S is not const) and its owner forbids it, or would never see it.
  template <class S>
  S* data() const {
    if (!std::is_const<S>::value && flags_) fail_read_only();
    return tensor_ ? reinterpret_cast<S*>(static_cast<char*>(tensor_->data) + tensor_->byte_offset) : nullptr;
  }

  // Throws TypeError or ValueError unless the array is absent or on `like`'s device, of `dtype`, of `shape` (-1: any) and contiguous.
  const Array& check(const Array& like, DType dtype, std::initializer_list<int64_t> shape) const;
  // Throws unless contiguous; used for the array that the others are compared with.
  const Array& check_contiguous() const;
  // Throws unless present.
  const Array& required() const;

 private:
  void release();  // gives the array back to its owner
  [[noreturn]] void fail_read_only() const;
  [[noreturn]] void fail(bool type_error, const std::string& wanted, const std::string& got) const;

  const char* op_;
  const char* name_;
  py::object capsule_;
  dlpack::Tensor* tensor_ = nullptr;
  bool versioned_ = false;
  uint64_t flags_ = 0;
  DType dtype_ = DType::other;
};

// Runs `call(float{})` or `call(double{})` by the dtype of `array`.
template <class F>
void by_scalar(const Array& array, const char* op, F&& call) {
  if (array.dtype() == DType::float32) return call(float{});
  if (array.dtype() == DType::float64) return call(double{});
  throw py::type_error(std::string(op) + ": wanted float32 or float64 arrays");
}

// Raises when a CUDA launch returned an error code, or when this build has no CUDA.
void check_cuda(const char* op, int status);
[[noreturn]] void no_cuda(const char* op);

}  // namespace pgt
