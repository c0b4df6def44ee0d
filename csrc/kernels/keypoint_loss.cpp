// CPU: as landmarks.cpp, with the loss and its adjoint while the tile is in cache. One pass costs what landmarks_backward costs.
#include "keypoint_loss.h"

#include "body_tile.h"
#include "parallel.h"

namespace pgt {
namespace PGT_ISA {

namespace {

// Loss of one plane; point (3 K) is turned into the gradient of the points. target_plane: keypoints (2 K), weights (K), focal, center.
template <class S>
PGT_HD void plane_loss(const KeypointTarget<S>& target, int landmarks, const Vec<S>* goal, Vec<S>* point, Vec<S>& loss, Vec<S>& count) {
  using V = Vec<S>;
  const V *keypoint = goal, *weight = goal + 2 * landmarks, *focal = weight + landmarks, *center = focal + 2;
  const V sigma2(target.sigma * target.sigma);
  loss = V(0), count = V(0);
  const V entries(target.norm == Norm::coordinate ? 2 : 1);
  for (int k = 0; k < landmarks; ++k) {
    V pixel[2], residual[2], grad[2], grad_focal[2], *x = point + 3 * k, moved[3];
    const auto valid = V(0) < weight[k];
    const V w = select(valid, weight[k], V(0));
    project(x, focal, center, target.model, pixel);
    for (int i = 0; i < 2; ++i) residual[i] = select(valid, pixel[i] - keypoint[2 * k + i], V(0));
    loss += w * robust(target.penalty, target.norm, sigma2, residual, grad);
    count += select(valid, entries, V(0));
    for (int i = 0; i < 2; ++i) grad[i] = w * grad[i];
    project_vjp(x, focal, target.model, grad, moved, grad_focal);
    for (int i = 0; i < 3; ++i) x[i] = moved[i];
  }
}

template <class S>
PGT_HD Vec<S> mean_square(const Vec<S>* x, int count) {
  Vec<S> sum(0);
  for (int i = 0; i < count; ++i) sum += x[i] * x[i];
  return count > 0 ? sum * Vec<S>(1.0 / count) : sum;
}

}  // namespace

template <class S>
void keypoint_loss(const BodyInput<S>& in, const LandmarkTerms<S>& terms, const KeypointTarget<S>& target, const S* latent, int latents, S* loss, S* count,
                   const BodyGrad<S>& grad, int threads) {
  using V = Vec<S>;
  constexpr int L = V::kLanes;
  const int landmarks = terms.landmarks;
  const int64_t moments = terms.tiles * kRowTile, goal_size = 3 * landmarks + 4, extra = 2 * moments + 3 * landmarks + goal_size + 4 + latents;
  const bool wants_grad = grad.pose || grad.betas || grad.transl;
  parallel_for(vector_count<S>(in.batch), useful_threads(threads, (wants_grad ? 3 : 1) * in.batch * terms.flops(in.joints()), kFlopGrain),
               [&](int, int64_t begin, int64_t end) {
                 Scratch<V> memory(2 * BodyTile<S>::plane_size(in, extra));
                 BodyTile<S> body(in, memory.get(), extra);
                 V *moment = body.extra(), *grad_moment = moment + moments, *point = grad_moment + moments, *goal = point + 3 * landmarks,
                   *sums = goal + goal_size, *z = sums + 4;
                 for_tiles<S>(begin, end, in.batch, [&](auto planes, int64_t first, int valid) {
                   constexpr int N = decltype(planes)::count;
                   for (int n = 0; n < N; ++n) body.forward(n, first + n * L, valid - n * L), body.clear_grads(n);
                   landmark_points<N>(terms, body, moment, point);
                   for (int n = 0; n < N; ++n) {
                     const int64_t at = n * body.plane, row = first + n * L;
                     V* g = goal + at;
                     load_rows(target.keypoints + row * 2 * landmarks, 2 * landmarks, valid - n * L, 2 * landmarks, g);
                     if (target.weights)
                       load_rows(target.weights + row * landmarks, landmarks, valid - n * L, landmarks, g + 2 * landmarks);
                     else
                       for (int k = 0; k < landmarks; ++k) g[2 * landmarks + k] = V(1);
                     load_rows(target.focal + row * 2, 2, valid - n * L, 2, g + 3 * landmarks);
                     load_rows(target.center + row * 2, 2, valid - n * L, 2, g + 3 * landmarks + 2);
                     plane_loss(target, landmarks, g, point + at, sums[at], sums[at + 3]);
                     if (latent) load_rows(latent + row * latents, latents, valid - n * L, latents, z + at);
                     sums[at + 1] = mean_square(z + at, latent ? latents : 0);
                     sums[at + 2] = mean_square(body.feature + at + 1, in.num_betas);
                     store_rows(sums + at, 3, valid - n * L, loss + row * 3, 3);
                     store_rows(sums + at + 3, 1, valid - n * L, count + row, 1);
                   }
                   if (!wants_grad) return;
                   landmark_points_vjp<N>(terms, body, moment, point, grad_moment);
                   for (int n = 0; n < N; ++n) body.backward(n, first + n * L, valid - n * L, grad);
                 });
               });
}

template <class S>
void keypoint_loss_backward(const KeypointCotangent<S>& in, const BodyGrad<S>& grad, S* grad_latent) {
  for (int64_t b = 0; b < in.batch; ++b) {
    const S data = in.grad_loss[3 * b], latent = in.grad_loss[3 * b + 1] * S(2) / S(in.latents > 0 ? in.latents : 1);
    const S betas = in.grad_loss[3 * b + 2] * S(2) / S(in.num_betas > 0 ? in.num_betas : 1);
    if (grad.pose)
      for (int64_t i = b * in.pose_size; i < (b + 1) * in.pose_size; ++i) grad.pose[i] = data * in.pose[i];
    if (grad.betas)
      for (int64_t i = b * in.num_betas; i < (b + 1) * in.num_betas; ++i) grad.betas[i] = data * in.betas_data[i] + betas * in.betas[i];
    if (grad.transl)
      for (int64_t i = b * 3; i < (b + 1) * 3; ++i) grad.transl[i] = data * in.transl[i];
    if (grad_latent)
      for (int64_t i = b * in.latents; i < (b + 1) * in.latents; ++i) grad_latent[i] = latent * in.latent[i];
  }
}

#define PGT_INSTANTIATE(S)                                                                                                                                \
  template void keypoint_loss<S>(const BodyInput<S>&, const LandmarkTerms<S>&, const KeypointTarget<S>&, const S*, int, S*, S*, const BodyGrad<S>&, int); \
  template void keypoint_loss_backward<S>(const KeypointCotangent<S>&, const BodyGrad<S>&, S*);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
