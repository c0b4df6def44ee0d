// Conversions between rotation vectors, matrices and 6D vectors, on a flat list of `count` rotations.
#pragma once

#include <stdint.h>

#include "isa.h"

namespace pgt {

// rotvec: (count, 3); matrix: (count, 3, 3).
PGT_DECLARE_CPU(template <class S> void rotvec_to_matrix(int64_t count, const S* rotvec, S* matrix, int threads))
PGT_DECLARE_CPU(template <class S> void rotvec_to_matrix_backward(int64_t count, const S* rotvec, const S* grad_matrix, S* grad_rotvec, int threads))
PGT_DECLARE_CPU(template <class S> void matrix_to_rotvec(int64_t count, const S* matrix, S* rotvec, int threads))
PGT_DECLARE_CPU(template <class S> void matrix_to_rotvec_backward(int64_t count, const S* matrix, const S* grad_rotvec, S* grad_matrix, int threads))
// x: (count, 6); column: the layout, see math/rotation.h.
PGT_DECLARE_CPU(template <class S> void rot6d_to_matrix(int64_t count, const S* x, bool column, S* matrix, int threads))
PGT_DECLARE_CPU(template <class S> void rot6d_to_matrix_backward(int64_t count, const S* x, const S* grad_matrix, bool column, S* grad_x, int threads))

// CUDA, float: zero, or a cudaError_t.
int rotvec_to_matrix_cuda(int64_t count, const float* rotvec, float* matrix, void* stream);
int rotvec_to_matrix_backward_cuda(int64_t count, const float* rotvec, const float* grad_matrix, float* grad_rotvec, void* stream);
int matrix_to_rotvec_cuda(int64_t count, const float* matrix, float* rotvec, void* stream);
int matrix_to_rotvec_backward_cuda(int64_t count, const float* matrix, const float* grad_rotvec, float* grad_matrix, void* stream);
int rot6d_to_matrix_cuda(int64_t count, const float* x, bool column, float* matrix, void* stream);
int rot6d_to_matrix_backward_cuda(int64_t count, const float* x, const float* grad_matrix, bool column, float* grad_x, void* stream);

}  // namespace pgt
