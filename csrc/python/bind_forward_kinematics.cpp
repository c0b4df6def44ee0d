#include "../kernels/forward_kinematics.h"
#include "bindings.h"
#include "body_arrays.h"
#include "launch.h"

namespace pgt {

namespace {

// Local rotations (N, J, 3, 3), offsets (N, J, 3) and the tree.
struct ChainArrays {
  Array rotations, offsets;
  Tree tree;

  ChainArrays(const char* op, py::handle rotations_, py::handle offsets_, py::handle parents_)
      : rotations(op, "rotations", rotations_), offsets(op, "offsets", offsets_) {
    tree = read_tree(op, parents_);
    rotations.required();
    rotations.check(rotations, rotations.dtype(), {-1, tree.joints, 3, 3});
    check_positions(offsets);
  }
  int64_t batch() const { return rotations.size(0); }
  const Array& check_rotations(const Array& a) const { return a.required().check(rotations, rotations.dtype(), {batch(), tree.joints, 3, 3}); }
  const Array& check_positions(const Array& a) const { return a.required().check(rotations, rotations.dtype(), {batch(), tree.joints, 3}); }
};

void run(py::handle rotations, py::handle offsets, py::handle parents, py::handle global_rotations_, py::handle positions_, int threads, int isa,
         uintptr_t stream) {
  const char* op = "forward_kinematics";
  ChainArrays in(op, rotations, offsets, parents);
  Array global_rotations(op, "global_rotations", global_rotations_), positions(op, "positions", positions_);
  in.check_rotations(global_rotations);
  in.check_positions(positions);
  launch(
      op, in.rotations,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, forward_kinematics(in.batch(), in.tree, in.rotations.data<const S>(), in.offsets.data<const S>(), global_rotations.data<S>(),
                                             positions.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return forward_kinematics_cuda(in.batch(), in.tree, in.rotations.data<const S>(), in.offsets.data<const S>(), global_rotations.data<S>(),
                                       positions.data<S>(), as_stream(stream));
      });
}

void run_backward(py::handle rotations, py::handle offsets, py::handle parents, py::handle grad_global_, py::handle grad_positions_, py::handle grad_rotations_,
                  py::handle grad_offsets_, int threads, int isa, uintptr_t stream) {
  const char* op = "forward_kinematics_backward";
  ChainArrays in(op, rotations, offsets, parents);
  Array grad_global(op, "grad_global", grad_global_), grad_positions(op, "grad_positions", grad_positions_);
  Array grad_rotations(op, "grad_rotations", grad_rotations_), grad_offsets(op, "grad_offsets", grad_offsets_);
  in.check_rotations(grad_global);
  in.check_positions(grad_positions);
  in.check_rotations(grad_rotations);
  in.check_positions(grad_offsets);
  launch(
      op, in.rotations,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how,
                     forward_kinematics_backward(in.batch(), in.tree, in.rotations.data<const S>(), in.offsets.data<const S>(), grad_global.data<const S>(),
                                                 grad_positions.data<const S>(), grad_rotations.data<S>(), grad_offsets.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return forward_kinematics_backward_cuda(in.batch(), in.tree, in.rotations.data<const S>(), in.offsets.data<const S>(), grad_global.data<const S>(),
                                                grad_positions.data<const S>(), grad_rotations.data<S>(), grad_offsets.data<S>(), as_stream(stream));
      });
}

}  // namespace

void bind_forward_kinematics(py::module_& m) {
  using namespace py::literals;
  m.def("forward_kinematics", &run, "Global rotations (N, J, 3, 3) and positions (N, J, 3) of a tree of joints.", "rotations"_a, "offsets"_a, "parents"_a,
        "global_rotations"_a, "positions"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("forward_kinematics_backward", &run_backward, "Adjoint of forward_kinematics.", "rotations"_a, "offsets"_a, "parents"_a, "grad_global"_a,
        "grad_positions"_a, "grad_rotations"_a, "grad_offsets"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
}

}  // namespace pgt
