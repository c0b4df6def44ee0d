// Projection of camera-space points to pixels, one camera per item.
#pragma once

#include <stdint.h>

#include "../math/camera.h"
#include "isa.h"

namespace pgt {

// points: (batch, K, 3); focal, center: (batch, 2); pixels: (batch, K, 2).
PGT_DECLARE_CPU(template <class S>
                void project(int64_t batch, int64_t count, const S* points, const S* focal, const S* center, CameraModel model, S* pixels, int threads))
// grad_pixels: (batch, K, 2); grad_points: (batch, K, 3); grad_focal, grad_center: (batch, 2).
PGT_DECLARE_CPU(template <class S> void project_backward(int64_t batch, int64_t count, const S* points, const S* focal, const S* grad_pixels, CameraModel model,
                                                         S* grad_points, S* grad_focal, S* grad_center, int threads))

// CUDA, float: zero, or a cudaError_t.
int project_cuda(int64_t batch, int64_t count, const float* points, const float* focal, const float* center, CameraModel model, float* pixels, void* stream);
int project_backward_cuda(int64_t batch, int64_t count, const float* points, const float* focal, const float* grad_pixels, CameraModel model,
                          float* grad_points, float* grad_focal, float* grad_center, void* stream);

}  // namespace pgt
