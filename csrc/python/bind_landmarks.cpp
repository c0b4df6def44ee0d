#include "../kernels/landmarks.h"
#include "bindings.h"
#include "body_arrays.h"
#include "launch.h"

namespace pgt {

namespace {

void run(py::handle pose, py::handle betas, py::handle transl, py::handle parents, py::handle offsets, py::handle packed, py::handle moment_row,
         py::handle pair_bone, py::handle pair_mass, py::handle pair_start, py::handle points, int threads, int isa, uintptr_t stream) {
  const char* op = "landmarks";
  BodyArrays body(op, pose, betas, transl, parents, offsets);
  LandmarkArrays terms(op, body, packed, moment_row, pair_bone, pair_mass, pair_start);
  Array out(op, "points", points);
  out.required().check(body.pose, body.pose.dtype(), {body.pose.size(0), terms.landmarks(), 3});
  launch(
      op, body.pose,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, landmarks(body.input<S>(), terms.terms<S>(), out.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return landmarks_cuda(body.input<S>(), terms.terms<S>(), out.data<S>(), as_stream(stream));
      });
}

void run_backward(py::handle pose, py::handle betas, py::handle transl, py::handle parents, py::handle offsets, py::handle packed, py::handle moment_row,
                  py::handle pair_bone, py::handle pair_mass, py::handle pair_start, py::handle grad_points, py::handle grad_pose, py::handle grad_betas,
                  py::handle grad_transl, int threads, int isa, uintptr_t stream) {
  const char* op = "landmarks_backward";
  BodyArrays body(op, pose, betas, transl, parents, offsets);
  LandmarkArrays terms(op, body, packed, moment_row, pair_bone, pair_mass, pair_start);
  GradArrays grads(op, body, grad_pose, grad_betas, grad_transl);
  Array g(op, "grad_points", grad_points);
  g.required().check(body.pose, body.pose.dtype(), {body.pose.size(0), terms.landmarks(), 3});
  launch(
      op, body.pose,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, landmarks_backward(body.input<S>(), terms.terms<S>(), g.data<const S>(), grads.grad<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return landmarks_backward_cuda(body.input<S>(), terms.terms<S>(), g.data<const S>(), grads.grad<S>(), as_stream(stream));
      });
}

}  // namespace

void bind_landmarks(py::module_& m) {
  using namespace py::literals;
  m.def("landmarks", &run, "Landmarks of posed bodies, written into `points` (N, K, 3).", "pose"_a, "betas"_a, "transl"_a, "parents"_a, "offsets"_a, "packed"_a,
        "moment_row"_a, "pair_bone"_a, "pair_mass"_a, "pair_start"_a, "points"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("landmarks_backward", &run_backward, "Adjoint of landmarks; the wanted gradients are overwritten.", "pose"_a, "betas"_a, "transl"_a, "parents"_a,
        "offsets"_a, "packed"_a, "moment_row"_a, "pair_bone"_a, "pair_mass"_a, "pair_start"_a, "grad_points"_a, "grad_pose"_a, "grad_betas"_a, "grad_transl"_a,
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
}

}  // namespace pgt
