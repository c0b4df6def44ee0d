// The rigid chain of a tree of joints.
#pragma once

#include "../math/chain.h"
#include "isa.h"

namespace pgt {

// rotations: (batch, J, 3, 3); offsets: (batch, J, 3); global_rotations: (batch, J, 3, 3); positions: (batch, J, 3).
PGT_DECLARE_CPU(template <class S>
                void forward_kinematics(int64_t batch, const Tree& tree, const S* rotations, const S* offsets, S* global_rotations, S* positions, int threads))
// grad_global: (batch, J, 3, 3); grad_positions: (batch, J, 3).
PGT_DECLARE_CPU(template <class S> void forward_kinematics_backward(int64_t batch, const Tree& tree, const S* rotations, const S* offsets, const S* grad_global,
                                                                    const S* grad_positions, S* grad_rotations, S* grad_offsets, int threads))

// CUDA, float: zero, or a cudaError_t.
int forward_kinematics_cuda(int64_t batch, const Tree& tree, const float* rotations, const float* offsets, float* global_rotations, float* positions,
                            void* stream);
int forward_kinematics_backward_cuda(int64_t batch, const Tree& tree, const float* rotations, const float* offsets, const float* grad_global,
                                     const float* grad_positions, float* grad_rotations, float* grad_offsets, void* stream);

}  // namespace pgt
