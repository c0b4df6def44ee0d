// Landmarks of posed bodies without a mesh.
#pragma once

#include "body.h"
#include "isa.h"

namespace pgt {

// points: (batch, K, 3).
PGT_DECLARE_CPU(template <class S> void landmarks(const BodyInput<S>& in, const LandmarkTerms<S>& terms, S* points, int threads))
// grad_points: (batch, K, 3).
PGT_DECLARE_CPU(template <class S>
                void landmarks_backward(const BodyInput<S>& in, const LandmarkTerms<S>& terms, const S* grad_points, const BodyGrad<S>& grad, int threads))

// CUDA, float: zero, or a cudaError_t. Pointers of `terms` and `in` on the device.
int landmarks_cuda(const BodyInput<float>& in, const LandmarkTerms<float>& terms, float* points, void* stream);
int landmarks_backward_cuda(const BodyInput<float>& in, const LandmarkTerms<float>& terms, const float* grad_points, const BodyGrad<float>& grad, void* stream);

}  // namespace pgt
