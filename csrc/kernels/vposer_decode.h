// VPoser's decoder: two hidden layers with leaky ReLU, an output layer, 6D vectors to rotation matrices.
#pragma once

#include <stdint.h>

#include "isa.h"

namespace pgt {

template <class S>
struct DecoderTerms {
  int latents;       // Z
  int hidden;        // H
  int rotations;     // N
  S slope;           // 0 or more
  const S* packed1;  // (ceil(H / 12), Z, 12)
  const S* bias1;    // (H,)
  const S* packed2;  // (ceil(H / 12), H, 12)
  const S* bias2;    // (H,)
  const S* packed3;  // (ceil(6 N / 12), H, 12)
  const S* bias3;    // (6 N,)
};

// latent: (batch, Z); matrices: (batch, N, 9).
PGT_DECLARE_CPU(template <class S> void vposer_decode(int64_t batch, const S* latent, const DecoderTerms<S>& terms, S* matrices, int threads))
// grad_matrices: (batch, N, 9); grad_latent: (batch, Z). The hidden layers are computed again: nothing but the inputs is kept for this.
PGT_DECLARE_CPU(template <class S>
                void vposer_decode_backward(int64_t batch, const S* latent, const DecoderTerms<S>& terms, const S* grad_matrices, S* grad_latent, int threads))

// CUDA, float: zero, or a cudaError_t. Pointers on the device.
int vposer_decode_cuda(int64_t batch, const float* latent, const DecoderTerms<float>& terms, float* matrices, void* stream);
int vposer_decode_backward_cuda(int64_t batch, const float* latent, const DecoderTerms<float>& terms, const float* grad_matrices, float* grad_latent,
                                void* stream);

}  // namespace pgt
