// Similarity alignment of point sets.
#pragma once

#include <stdint.h>

#include "isa.h"

namespace pgt {

template <class S>
struct ProcrustesInput {
  int64_t batch;
  int64_t count;  // K
  bool with_scale;
  const S* points;   // (batch, K, 3)
  const S* target;   // (batch, K, 3)
  const S* weights;  // (batch, K) or null for ones
};

template <class S>
struct ProcrustesOutput {
  S* aligned;      // (batch, K, 3)
  S* scale;        // (batch,)
  S* rotation;     // (batch, 3, 3)
  S* translation;  // (batch, 3)
};

PGT_DECLARE_CPU(template <class S> void procrustes_align(const ProcrustesInput<S>& in, const ProcrustesOutput<S>& out, int threads))
// grad: cotangents of the outputs; grad_points, grad_target: (batch, K, 3).
PGT_DECLARE_CPU(template <class S> void procrustes_align_backward(const ProcrustesInput<S>& in, const ProcrustesOutput<const S>& grad, S* grad_points,
                                                                  S* grad_target, int threads))

// CUDA, float: zero, or a cudaError_t.
int procrustes_align_cuda(const ProcrustesInput<float>& in, const ProcrustesOutput<float>& out, void* stream);
int procrustes_align_backward_cuda(const ProcrustesInput<float>& in, const ProcrustesOutput<const float>& grad, float* grad_points, float* grad_target,
                                   void* stream);

}  // namespace pgt
