#include "../kernels/rotations.h"
#include "bindings.h"
#include "launch.h"

namespace pgt {

namespace {

// The list of small vectors that an op reads: shape (N, width).
const Array& check_rows(const Array& rows, int64_t width) {
  rows.required();
  return rows.check(rows, rows.dtype(), {-1, width});
}
const Array& check_matrices(const Array& matrices) {
  matrices.required();
  return matrices.check(matrices, matrices.dtype(), {-1, 3, 3});
}
const Array& check_rows(const Array& rows, const Array& like, int64_t width) { return rows.required().check(like, like.dtype(), {like.size(0), width}); }
const Array& check_matrices(const Array& matrices, const Array& like) { return matrices.required().check(like, like.dtype(), {like.size(0), 3, 3}); }

void run_rotvec_to_matrix(py::handle rotvec_, py::handle matrix_, int threads, int isa, uintptr_t stream) {
  const char* op = "rotvec_to_matrix";
  Array rotvec(op, "rotvec", rotvec_), matrix(op, "matrix", matrix_);
  check_rows(rotvec, 3);
  check_matrices(matrix, rotvec);
  launch(
      op, rotvec,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, rotvec_to_matrix(rotvec.size(0), rotvec.data<const S>(), matrix.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return rotvec_to_matrix_cuda(rotvec.size(0), rotvec.data<const S>(), matrix.data<S>(), as_stream(stream));
      });
}

void run_rotvec_to_matrix_backward(py::handle rotvec_, py::handle grad_matrix_, py::handle grad_rotvec_, int threads, int isa, uintptr_t stream) {
  const char* op = "rotvec_to_matrix_backward";
  Array rotvec(op, "rotvec", rotvec_), grad_matrix(op, "grad_matrix", grad_matrix_), grad_rotvec(op, "grad_rotvec", grad_rotvec_);
  check_rows(rotvec, 3);
  check_matrices(grad_matrix, rotvec);
  check_rows(grad_rotvec, rotvec, 3);
  launch(
      op, rotvec,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, rotvec_to_matrix_backward(rotvec.size(0), rotvec.data<const S>(), grad_matrix.data<const S>(), grad_rotvec.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return rotvec_to_matrix_backward_cuda(rotvec.size(0), rotvec.data<const S>(), grad_matrix.data<const S>(), grad_rotvec.data<S>(), as_stream(stream));
      });
}

void run_matrix_to_rotvec(py::handle matrix_, py::handle rotvec_, int threads, int isa, uintptr_t stream) {
  const char* op = "matrix_to_rotvec";
  Array matrix(op, "matrix", matrix_), rotvec(op, "rotvec", rotvec_);
  check_matrices(matrix);
  check_rows(rotvec, matrix, 3);
  launch(
      op, matrix,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, matrix_to_rotvec(matrix.size(0), matrix.data<const S>(), rotvec.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return matrix_to_rotvec_cuda(matrix.size(0), matrix.data<const S>(), rotvec.data<S>(), as_stream(stream));
      });
}

void run_matrix_to_rotvec_backward(py::handle matrix_, py::handle grad_rotvec_, py::handle grad_matrix_, int threads, int isa, uintptr_t stream) {
  const char* op = "matrix_to_rotvec_backward";
  Array matrix(op, "matrix", matrix_), grad_rotvec(op, "grad_rotvec", grad_rotvec_), grad_matrix(op, "grad_matrix", grad_matrix_);
  check_matrices(matrix);
  check_rows(grad_rotvec, matrix, 3);
  check_matrices(grad_matrix, matrix);
  launch(
      op, matrix,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, matrix_to_rotvec_backward(matrix.size(0), matrix.data<const S>(), grad_rotvec.data<const S>(), grad_matrix.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return matrix_to_rotvec_backward_cuda(matrix.size(0), matrix.data<const S>(), grad_rotvec.data<const S>(), grad_matrix.data<S>(), as_stream(stream));
      });
}

void run_rot6d_to_matrix(py::handle x_, py::handle matrix_, bool column, int threads, int isa, uintptr_t stream) {
  const char* op = "rot6d_to_matrix";
  Array x(op, "x", x_), matrix(op, "matrix", matrix_);
  check_rows(x, 6);
  check_matrices(matrix, x);
  launch(
      op, x,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, rot6d_to_matrix(x.size(0), x.data<const S>(), column, matrix.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return rot6d_to_matrix_cuda(x.size(0), x.data<const S>(), column, matrix.data<S>(), as_stream(stream));
      });
}

void run_rot6d_to_matrix_backward(py::handle x_, py::handle grad_matrix_, py::handle grad_x_, bool column, int threads, int isa, uintptr_t stream) {
  const char* op = "rot6d_to_matrix_backward";
  Array x(op, "x", x_), grad_matrix(op, "grad_matrix", grad_matrix_), grad_x(op, "grad_x", grad_x_);
  check_rows(x, 6);
  check_matrices(grad_matrix, x);
  check_rows(grad_x, x, 6);
  launch(
      op, x,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, rot6d_to_matrix_backward(x.size(0), x.data<const S>(), grad_matrix.data<const S>(), column, grad_x.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return rot6d_to_matrix_backward_cuda(x.size(0), x.data<const S>(), grad_matrix.data<const S>(), column, grad_x.data<S>(), as_stream(stream));
      });
}

}  // namespace

void bind_rotations(py::module_& m) {
  using namespace py::literals;
  m.def("rotvec_to_matrix", &run_rotvec_to_matrix, "Matrices of rotation vectors (N, 3), written into `matrix` (N, 3, 3).", "rotvec"_a, "matrix"_a,
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("rotvec_to_matrix_backward", &run_rotvec_to_matrix_backward, "Adjoint of rotvec_to_matrix.", "rotvec"_a, "grad_matrix"_a, "grad_rotvec"_a,
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("matrix_to_rotvec", &run_matrix_to_rotvec, "Rotation vectors of matrices (N, 3, 3), written into `rotvec` (N, 3).", "matrix"_a, "rotvec"_a,
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("matrix_to_rotvec_backward", &run_matrix_to_rotvec_backward, "Adjoint of matrix_to_rotvec.", "matrix"_a, "grad_rotvec"_a, "grad_matrix"_a,
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("rot6d_to_matrix", &run_rot6d_to_matrix, "Matrices of 6D vectors (N, 6), written into `matrix` (N, 3, 3).", "x"_a, "matrix"_a, "column"_a,
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("rot6d_to_matrix_backward", &run_rot6d_to_matrix_backward, "Adjoint of rot6d_to_matrix.", "x"_a, "grad_matrix"_a, "grad_x"_a, "column"_a,
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
}

}  // namespace pgt
