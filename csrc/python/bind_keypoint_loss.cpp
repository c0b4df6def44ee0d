#include "../kernels/keypoint_loss.h"
#include "bindings.h"
#include "body_arrays.h"
#include "launch.h"

namespace pgt {

namespace {

void run(py::handle pose, py::handle betas, py::handle transl, py::handle parents, py::handle offsets, py::handle packed, py::handle moment_row,
         py::handle pair_bone, py::handle pair_mass, py::handle pair_start, py::handle focal, py::handle center, py::handle keypoints, py::handle weights,
         py::handle latent, py::handle loss, py::handle count, py::handle grad_pose, py::handle grad_betas, py::handle grad_transl, int model, int penalty,
         int norm, double sigma, int threads, int isa, uintptr_t stream) {
  const char* op = "keypoint_loss";
  BodyArrays body(op, pose, betas, transl, parents, offsets);
  LandmarkArrays terms(op, body, packed, moment_row, pair_bone, pair_mass, pair_start);
  GradArrays grads(op, body, grad_pose, grad_betas, grad_transl);
  DType s = body.pose.dtype();
  int64_t batch = body.pose.size(0), k = terms.landmarks();
  Array f(op, "focal", focal), c(op, "center", center), kp(op, "keypoints", keypoints), w(op, "weights", weights), z(op, "latent", latent), l(op, "loss", loss),
      n(op, "count", count);
  f.required().check(body.pose, s, {batch, 2});
  c.required().check(body.pose, s, {batch, 2});
  kp.required().check(body.pose, s, {batch, k, 2});
  w.check(body.pose, s, {batch, k});
  z.check(body.pose, s, {batch, -1});
  int latents = z.present() ? int(z.size(1)) : 0;
  l.required().check(body.pose, s, {batch, 3});
  n.required().check(body.pose, s, {batch});
  if (model < 0 || model > 1 || penalty < 0 || penalty > 2 || norm < 0 || norm > 1) throw py::value_error("keypoint_loss: model, penalty or norm out of range");
  auto target = [&](auto scalar) {
    using S = decltype(scalar);
    return KeypointTarget<S>{f.data<const S>(),  c.data<const S>(), kp.data<const S>(), w.data<const S>(),
                             CameraModel(model), Penalty(penalty),  Norm(norm),         sigma};
  };
  launch(
      op, body.pose,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, keypoint_loss(body.input<S>(), terms.terms<S>(), target(s), z.data<const S>(), latents, l.data<S>(), n.data<S>(), grads.grad<S>(),
                                        how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return keypoint_loss_cuda(body.input<S>(), terms.terms<S>(), target(s), z.data<const S>(), latents, l.data<S>(), n.data<S>(), grads.grad<S>(),
                                  as_stream(stream));
      });
}

void run_backward(py::handle grad_loss, py::handle pose, py::handle betas_data, py::handle transl, py::handle betas, py::handle latent, py::handle grad_pose,
                  py::handle grad_betas, py::handle grad_transl, py::handle grad_latent, int threads, int isa, uintptr_t stream) {
  const char* op = "keypoint_loss_backward";
  Array g(op, "grad_loss", grad_loss), p(op, "pose", pose), bd(op, "betas_data", betas_data), t(op, "transl", transl), b(op, "betas", betas),
      z(op, "latent", latent);
  Array gp(op, "grad_pose", grad_pose), gb(op, "grad_betas", grad_betas), gt(op, "grad_transl", grad_transl), gz(op, "grad_latent", grad_latent);
  p.required().check_contiguous();
  if (p.ndim() != 3) throw py::value_error("keypoint_loss_backward: pose: wanted shape (N, J, 3 or 9)");
  DType s = p.dtype();
  int64_t batch = p.size(0), shape = b.present() ? b.size(-1) : 0, latents = z.present() ? z.size(-1) : 0;
  g.required().check(p, s, {batch, 3});
  gp.check(p, s, {batch, p.size(1), p.size(2)});
  for (const Array* a : {&bd, &b, &gb}) a->check(p, s, {batch, shape});
  for (const Array* a : {&t, &gt}) a->check(p, s, {batch, 3});
  for (const Array* a : {&z, &gz}) a->check(p, s, {batch, latents});
  if (gb.present() && !(bd.present() && b.present()))
    throw py::value_error("keypoint_loss_backward: grad_betas: wanted betas and betas_data with it, got None");
  if ((gt.present() && !t.present()) || (gz.present() && !z.present()))
    throw py::value_error("keypoint_loss_backward: a gradient is wanted of an input that is None");
  auto cotangent = [&](auto scalar) {
    using S = decltype(scalar);
    return KeypointCotangent<S>{batch,
                                int(p.size(1) * p.size(2)),
                                int(shape),
                                int(latents),
                                g.data<const S>(),
                                p.data<const S>(),
                                bd.data<const S>(),
                                t.data<const S>(),
                                b.data<const S>(),
                                z.data<const S>()};
  };
  launch(
      op, p,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, keypoint_loss_backward(cotangent(s), {gp.data<S>(), gb.data<S>(), gt.data<S>()}, gz.data<S>()))
      },
      [&](auto s) {
        using S = decltype(s);
        return keypoint_loss_backward_cuda(cotangent(s), {gp.data<S>(), gb.data<S>(), gt.data<S>()}, gz.data<S>(), as_stream(stream));
      });
}

}  // namespace

void bind_keypoint_loss(py::module_& m) {
  using namespace py::literals;
  m.def("keypoint_loss", &run, "Per body: sum of weighted penalties, mean of latent^2, mean of betas^2; number of valid entries; gradients of the sum.",
        "pose"_a, "betas"_a, "transl"_a, "parents"_a, "offsets"_a, "packed"_a, "moment_row"_a, "pair_bone"_a, "pair_mass"_a, "pair_start"_a, "focal"_a,
        "center"_a, "keypoints"_a, "weights"_a, "latent"_a, "loss"_a, "count"_a, "grad_pose"_a, "grad_betas"_a, "grad_transl"_a, "model"_a, "penalty"_a,
        "norm"_a, "sigma"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("keypoint_loss_backward", &run_backward, "Gradients of keypoint_loss from what its forward pass kept.", "grad_loss"_a, "pose"_a, "betas_data"_a,
        "transl"_a, "betas"_a, "latent"_a, "grad_pose"_a, "grad_betas"_a, "grad_transl"_a, "grad_latent"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
}

}  // namespace pgt
