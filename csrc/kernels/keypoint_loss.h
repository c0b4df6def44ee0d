// Landmarks, projection, masked robust 2D loss and all gradients in one pass.
#pragma once

#include "../math/camera.h"
#include "../math/robust.h"
#include "body.h"
#include "isa.h"

namespace pgt {

template <class S>
struct KeypointTarget {
  const S* focal;      // (batch, 2)
  const S* center;     // (batch, 2)
  const S* keypoints;  // (batch, K, 2); anything, NaN included, where the weight is not positive
  const S* weights;    // (batch, K) or null for ones
  CameraModel model;
  Penalty penalty;
  Norm norm;
  double sigma;
};

// Inputs of the adjoint: what the forward pass kept, and the cotangent of its `loss`.
template <class S>
struct KeypointCotangent {
  int64_t batch;
  int pose_size, num_betas, latents;  // 3 J or 9 J, S, Z
  const S* grad_loss;                 // (batch, 3)
  const S* pose;                      // (batch, pose_size) gradient of the data term, as are the next two
  const S* betas_data;                // (batch, S) or null
  const S* transl;                    // (batch, 3) or null
  const S* betas;                     // (batch, S) or null
  const S* latent;                    // (batch, Z) or null
};

// loss: (batch, 3): sum of weighted penalties, mean of latent^2, mean of betas^2. count: (batch) number of valid entries. latent: (batch, Z) or null.
// grad: gradients of the first; null pointers are not computed.
PGT_DECLARE_CPU(template <class S> void keypoint_loss(const BodyInput<S>& in, const LandmarkTerms<S>& terms, const KeypointTarget<S>& target, const S* latent,
                                                      int latents, S* loss, S* count, const BodyGrad<S>& grad, int threads))
// Scales and adds what the forward pass kept. grad: as there; grad_latent: (batch, Z) or null.
PGT_DECLARE_CPU(template <class S> void keypoint_loss_backward(const KeypointCotangent<S>& in, const BodyGrad<S>& grad, S* grad_latent))

// CUDA, float: zero, or a cudaError_t. Pointers on the device.
int keypoint_loss_cuda(const BodyInput<float>& in, const LandmarkTerms<float>& terms, const KeypointTarget<float>& target, const float* latent, int latents,
                       float* loss, float* count, const BodyGrad<float>& grad, void* stream);
int keypoint_loss_backward_cuda(const KeypointCotangent<float>& in, const BodyGrad<float>& grad, float* grad_latent, void* stream);

}  // namespace pgt
