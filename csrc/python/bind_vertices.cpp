#include "../kernels/vertices.h"
#include "bindings.h"
#include "body_arrays.h"
#include "launch.h"

namespace pgt {

namespace {

struct SkinArrays {
  Array packed, bone, weight;

  SkinArrays(const char* op, const BodyArrays& body, py::handle packed_, py::handle bone_, py::handle weight_)
      : packed(op, "packed", packed_), bone(op, "skin_bone", bone_), weight(op, "skin_weight", weight_) {
    DType s = body.pose.dtype();
    int64_t shape = body.offsets.size(2), full = shape + 9 * (body.tree.joints - 1);
    bone.required().check(body.pose, DType::int32, {-1, -1});
    int64_t vertices = bone.size(0), influences = bone.size(1);
    if (influences < 1) throw py::value_error(std::string(op) + ": skin_bone: wanted at least one bone a vertex, got 0");
    weight.required().check(body.pose, s, {vertices, influences});
    packed.required().check(body.pose, s, {(vertices + 3) / 4, -1, 12});
    if (packed.size(1) != full && packed.size(1) != shape)
      throw py::value_error(std::string(op) + ": packed: wanted " + std::to_string(shape) + " or " + std::to_string(full) + " columns, got " +
                            std::to_string(packed.size(1)));
    if (body.pose.cuda()) return;
    const int32_t* b = bone.data<int32_t>();
    bool good = true;
    for (int64_t i = 0; i < vertices * influences; ++i) good = good & (b[i] >= 0) & (b[i] < body.tree.joints);
    if (!good) throw py::value_error(std::string(op) + ": skin_bone: a bone is out of range");
  }

  template <class S>
  SkinTerms<S> terms() const {
    return {int(bone.size(0)), int(bone.size(1)), int(packed.size(1)), packed.data<const S>(), bone.data<const int32_t>(), weight.data<const S>()};
  }
};

void run(py::handle pose, py::handle betas, py::handle transl, py::handle parents, py::handle offsets, py::handle packed, py::handle skin_bone,
         py::handle skin_weight, py::handle out, int threads, int isa, uintptr_t stream) {
  const char* op = "vertices";
  BodyArrays body(op, pose, betas, transl, parents, offsets);
  SkinArrays terms(op, body, packed, skin_bone, skin_weight);
  Array o(op, "out", out);
  o.required().check(body.pose, body.pose.dtype(), {body.pose.size(0), terms.bone.size(0), 3});
  launch(
      op, body.pose,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, vertices(body.input<S>(), terms.terms<S>(), o.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return vertices_cuda(body.input<S>(), terms.terms<S>(), o.data<S>(), as_stream(stream));
      });
}

void run_backward(py::handle pose, py::handle betas, py::handle transl, py::handle parents, py::handle offsets, py::handle packed, py::handle skin_bone,
                  py::handle skin_weight, py::handle grad_out, py::handle grad_pose, py::handle grad_betas, py::handle grad_transl, py::handle scratch_,
                  int threads, int isa, uintptr_t stream) {
  const char* op = "vertices_backward";
  BodyArrays body(op, pose, betas, transl, parents, offsets);
  SkinArrays terms(op, body, packed, skin_bone, skin_weight);
  GradArrays grads(op, body, grad_pose, grad_betas, grad_transl);
  Array g(op, "grad_out", grad_out);
  g.required().check(body.pose, body.pose.dtype(), {body.pose.size(0), terms.bone.size(0), 3});
  Array scratch(op, "scratch", scratch_);
  scratch.check(body.pose, body.pose.dtype(), {-1});
#if PGTFAST_CUDA
  if (body.pose.cuda()) {
    int64_t floats = 0;
    check_cuda(op, vertices_backward_scratch_cuda(body.input<float>(), int(terms.bone.size(0)), floats));
    if (floats > 0 && (!scratch.present() || scratch.size(0) < floats))
      throw py::value_error(std::string(op) + ": scratch: wanted " + std::to_string(floats) + " floats, as vertices_backward_scratch says");
  }
#endif
  launch(
      op, body.pose,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, vertices_backward(body.input<S>(), terms.terms<S>(), g.data<const S>(), grads.grad<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return vertices_backward_cuda(body.input<S>(), terms.terms<S>(), g.data<const S>(), grads.grad<S>(), scratch.data<S>(), as_stream(stream));
      });
}

int64_t backward_scratch(py::handle pose_, int betas, int vertices) {
  const char* op = "vertices_backward_scratch";
  const Array pose(op, "pose", pose_);
  pose.required().check(pose, pose.dtype(), {-1, -1, -1});
  if (!pose.cuda()) return 0;
  int64_t floats = 0;
#if PGTFAST_CUDA
  BodyInput<float> in{};
  in.batch = pose.size(0), in.tree.joints = int(pose.size(1)), in.pose_width = int(pose.size(2)), in.num_betas = betas, in.pose = pose.data<const float>();
  check_cuda(op, vertices_backward_scratch_cuda(in, vertices, floats));
#else
  (void)betas, (void)vertices;
  no_cuda(op);
#endif
  return floats;
}

}  // namespace

void bind_vertices(py::module_& m) {
  using namespace py::literals;
  m.def("vertices", &run, "Vertices of posed bodies, written into `out` (N, V, 3).", "pose"_a, "betas"_a, "transl"_a, "parents"_a, "offsets"_a, "packed"_a,
        "skin_bone"_a, "skin_weight"_a, "out"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("vertices_backward", &run_backward, "Adjoint of vertices; the wanted gradients are overwritten.", "pose"_a, "betas"_a, "transl"_a, "parents"_a,
        "offsets"_a, "packed"_a, "skin_bone"_a, "skin_weight"_a, "grad_out"_a, "grad_pose"_a, "grad_betas"_a, "grad_transl"_a, "scratch"_a = py::none(),
        "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("vertices_backward_scratch", &backward_scratch, "Floats of scratch that vertices_backward needs for these bodies; 0 on the CPU.", "pose"_a, "betas"_a,
        "vertices"_a);
}

}  // namespace pgt
