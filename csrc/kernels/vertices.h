// Vertices of posed bodies: shape and pose blend, then linear blend skinning, in one pass.
#pragma once

#include "body.h"
#include "isa.h"

namespace pgt {

template <class S>
struct SkinTerms {
  int vertices;         // V
  int influences;       // W
  int columns;          // C: 1 + S, or 1 + S + 9 (J - 1)
  const S* packed;      // (ceil(V / 4), C, 12)
  const int32_t* bone;  // (V, W)
  const S* weight;      // (V, W), zero padded

  PGT_HD int tiles() const { return (vertices + 3) / 4; }
};

// out: (batch, V, 3).
PGT_DECLARE_CPU(template <class S> void vertices(const BodyInput<S>& in, const SkinTerms<S>& terms, S* out, int threads))
// grad_out: (batch, V, 3).
PGT_DECLARE_CPU(template <class S>
                void vertices_backward(const BodyInput<S>& in, const SkinTerms<S>& terms, const S* grad_out, const BodyGrad<S>& grad, int threads))

// CUDA, float: zero, or a cudaError_t. Pointers of `terms` and `in` on the device.
int vertices_cuda(const BodyInput<float>& in, const SkinTerms<float>& terms, float* out, void* stream);
int vertices_backward_cuda(const BodyInput<float>& in, const SkinTerms<float>& terms, const float* grad_out, const BodyGrad<float>& grad, float* scratch,
                           void* stream);
// Floats of scratch that the adjoint needs on the device of in.pose; sets `floats`.
int vertices_backward_scratch_cuda(const BodyInput<float>& in, int vertices, int64_t& floats);

}  // namespace pgt
