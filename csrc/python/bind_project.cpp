#include "../kernels/project.h"
#include "bindings.h"
#include "launch.h"

namespace pgt {

namespace {

CameraModel read_model(const char* op, int model) {
  if (model != 0 && model != 1) throw py::value_error(std::string(op) + ": model: wanted 0 (perspective) or 1 (weak), got " + std::to_string(model));
  return CameraModel(model);
}

void run(py::handle points_, py::handle focal_, py::handle center_, py::handle pixels_, int model_, int threads, int isa, uintptr_t stream) {
  const char* op = "project";
  Array points(op, "points", points_), focal(op, "focal", focal_), center(op, "center", center_), pixels(op, "pixels", pixels_);
  points.required();
  const DType dtype = points.dtype();
  points.check(points, dtype, {-1, -1, 3});
  const int64_t batch = points.size(0), count = points.size(1);
  focal.required().check(points, dtype, {batch, 2});
  center.required().check(points, dtype, {batch, 2});
  pixels.required().check(points, dtype, {batch, count, 2});
  const CameraModel model = read_model(op, model_);
  launch(
      op, points,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, project(batch, count, points.data<const S>(), focal.data<const S>(), center.data<const S>(), model, pixels.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return project_cuda(batch, count, points.data<const S>(), focal.data<const S>(), center.data<const S>(), model, pixels.data<S>(), as_stream(stream));
      });
}

void run_backward(py::handle points_, py::handle focal_, py::handle grad_pixels_, py::handle grad_points_, py::handle grad_focal_, py::handle grad_center_,
                  int model_, int threads, int isa, uintptr_t stream) {
  const char* op = "project_backward";
  Array points(op, "points", points_), focal(op, "focal", focal_), grad_pixels(op, "grad_pixels", grad_pixels_);
  Array grad_points(op, "grad_points", grad_points_), grad_focal(op, "grad_focal", grad_focal_), grad_center(op, "grad_center", grad_center_);
  points.required();
  const DType dtype = points.dtype();
  points.check(points, dtype, {-1, -1, 3});
  const int64_t batch = points.size(0), count = points.size(1);
  focal.required().check(points, dtype, {batch, 2});
  grad_pixels.required().check(points, dtype, {batch, count, 2});
  grad_points.required().check(points, dtype, {batch, count, 3});
  grad_focal.required().check(points, dtype, {batch, 2});
  grad_center.required().check(points, dtype, {batch, 2});
  const CameraModel model = read_model(op, model_);
  launch(
      op, points,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, project_backward(batch, count, points.data<const S>(), focal.data<const S>(), grad_pixels.data<const S>(), model,
                                           grad_points.data<S>(), grad_focal.data<S>(), grad_center.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return project_backward_cuda(batch, count, points.data<const S>(), focal.data<const S>(), grad_pixels.data<const S>(), model, grad_points.data<S>(),
                                     grad_focal.data<S>(), grad_center.data<S>(), as_stream(stream));
      });
}

}  // namespace

void bind_project(py::module_& m) {
  using namespace py::literals;
  m.def("project", &run, "Pixels (N, K, 2) of camera-space points (N, K, 3).", "points"_a, "focal"_a, "center"_a, "pixels"_a, "model"_a, "threads"_a = 1,
        "isa"_a = -1, "stream"_a = 0);
  m.def("project_backward", &run_backward, "Adjoint of project.", "points"_a, "focal"_a, "grad_pixels"_a, "grad_points"_a, "grad_focal"_a, "grad_center"_a,
        "model"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
}

}  // namespace pgt
