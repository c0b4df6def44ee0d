#include "../kernels/procrustes_align.h"
#include "bindings.h"
#include "launch.h"

namespace pgt {

namespace {

struct PointArrays {
  Array points, target, weights;
  bool with_scale;

  PointArrays(const char* op, py::handle points_, py::handle target_, py::handle weights_, bool with_scale_)
      : points(op, "points", points_), target(op, "target", target_), weights(op, "weights", weights_), with_scale(with_scale_) {
    points.required();
    points.check(points, points.dtype(), {-1, -1, 3});
    if (count() < 1) throw py::value_error(std::string(op) + ": points: wanted at least one point an item, got shape (N, 0, 3)");
    check(target, {batch(), count(), 3});
    weights.check(points, points.dtype(), {batch(), count()});
  }
  int64_t batch() const { return points.size(0); }
  int64_t count() const { return points.size(1); }
  void check(const Array& a, std::initializer_list<int64_t> shape) const { a.required().check(points, points.dtype(), shape); }

  template <class S>
  ProcrustesInput<S> input() const {
    return {batch(), count(), with_scale, points.data<const S>(), target.data<const S>(), weights.data<const S>()};
  }
};

// The four outputs, or their cotangents.
struct ResultArrays {
  Array aligned, scale, rotation, translation;

  ResultArrays(const char* op, const PointArrays& in, const char* const names[4], py::handle aligned_, py::handle scale_, py::handle rotation_,
               py::handle translation_)
      : aligned(op, names[0], aligned_), scale(op, names[1], scale_), rotation(op, names[2], rotation_), translation(op, names[3], translation_) {
    in.check(aligned, {in.batch(), in.count(), 3});
    in.check(scale, {in.batch()});
    in.check(rotation, {in.batch(), 3, 3});
    in.check(translation, {in.batch(), 3});
  }

  template <class S>
  ProcrustesOutput<S> pointers() const {
    return {aligned.data<S>(), scale.data<S>(), rotation.data<S>(), translation.data<S>()};
  }
};

void run(py::handle points, py::handle target, py::handle weights, py::handle aligned, py::handle scale, py::handle rotation, py::handle translation,
         bool with_scale, int threads, int isa, uintptr_t stream) {
  const char* op = "procrustes_align";
  const char* const names[] = {"aligned", "scale", "rotation", "translation"};
  PointArrays in(op, points, target, weights, with_scale);
  ResultArrays out(op, in, names, aligned, scale, rotation, translation);
  launch(
      op, in.points,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, procrustes_align(in.input<S>(), out.pointers<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return procrustes_align_cuda(in.input<S>(), out.pointers<S>(), as_stream(stream));
      });
}

void run_backward(py::handle points, py::handle target, py::handle weights, py::handle grad_aligned, py::handle grad_scale, py::handle grad_rotation,
                  py::handle grad_translation, py::handle grad_points_, py::handle grad_target_, bool with_scale, int threads, int isa, uintptr_t stream) {
  const char* op = "procrustes_align_backward";
  const char* const names[] = {"grad_aligned", "grad_scale", "grad_rotation", "grad_translation"};
  PointArrays in(op, points, target, weights, with_scale);
  ResultArrays grad(op, in, names, grad_aligned, grad_scale, grad_rotation, grad_translation);
  Array grad_points(op, "grad_points", grad_points_), grad_target(op, "grad_target", grad_target_);
  in.check(grad_points, {in.batch(), in.count(), 3});
  in.check(grad_target, {in.batch(), in.count(), 3});
  launch(
      op, in.points,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, procrustes_align_backward(in.input<S>(), grad.pointers<const S>(), grad_points.data<S>(), grad_target.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return procrustes_align_backward_cuda(in.input<S>(), grad.pointers<const S>(), grad_points.data<S>(), grad_target.data<S>(), as_stream(stream));
      });
}

}  // namespace

void bind_procrustes_align(py::module_& m) {
  using namespace py::literals;
  m.def("procrustes_align", &run, "Similarity that carries points (N, K, 3) onto target; results are written into the last four arrays.", "points"_a,
        "target"_a, "weights"_a, "aligned"_a, "scale"_a, "rotation"_a, "translation"_a, "with_scale"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("procrustes_align_backward", &run_backward, "Adjoint of procrustes_align.", "points"_a, "target"_a, "weights"_a, "grad_aligned"_a, "grad_scale"_a,
        "grad_rotation"_a, "grad_translation"_a, "grad_points"_a, "grad_target"_a, "with_scale"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
}

}  // namespace pgt
