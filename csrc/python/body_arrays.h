// The arrays that every op on a posed body takes, checked and turned into the kernels' structs.
#pragma once

#include <pybind11/stl.h>

#include <vector>

#include "../kernels/body.h"
#include "../kernels/isa.h"
#include "array.h"

namespace pgt {

// Parents as a list of numbers, which leaves no array on the CPU among those of a device, or as an array.
inline std::vector<int64_t> read_parents(const char* op, py::handle source) {
  if (py::isinstance<py::list>(source) || py::isinstance<py::tuple>(source)) return source.cast<std::vector<int64_t>>();
  const Array parents(op, "parents", source);
  if (!parents.present() || parents.cuda() || parents.dtype() != DType::int32 || parents.ndim() != 1)
    throw py::type_error(std::string(op) + ": parents: wanted a list of numbers or an int32 array of shape (J,) on the CPU");
  const int32_t* first = parents.check_contiguous().data<const int32_t>();
  return std::vector<int64_t>(first, first + parents.size(0));
}

inline Tree read_tree(const char* op, py::handle source) {
  const std::vector<int64_t> parents = read_parents(op, source);
  Tree tree{};
  if (parents.empty() || parents.size() > kMaxJoints)
    throw py::value_error(std::string(op) + ": parents: wanted 1 to " + std::to_string(kMaxJoints) + " joints, got " + std::to_string(parents.size()));
  tree.joints = int(parents.size());
  for (int j = 0; j < tree.joints; ++j) {
    const int64_t p = parents[j];
    if (j == 0 ? p != -1 : (p < 0 || p >= j))
      throw py::value_error(std::string(op) + ": parents: wanted -1 first, then parents before children; joint " + std::to_string(j) + " has parent " +
                            std::to_string(p));
    tree.parent[j] = int8_t(p);
  }
  return tree;
}

struct BodyArrays {
  Array pose, betas, transl, offsets;

  BodyArrays(const char* op, py::handle pose_, py::handle betas_, py::handle transl_, py::handle parents_, py::handle offsets_)
      : pose(op, "pose", pose_), betas(op, "betas", betas_), transl(op, "transl", transl_), offsets(op, "offsets", offsets_) {
    pose.required().check_contiguous();
    tree = read_tree(op, parents_);
    if (pose.ndim() != 3 || pose.size(1) != tree.joints || (pose.size(2) != 3 && pose.size(2) != 9))
      throw py::value_error(std::string(op) + ": pose: wanted shape (N, " + std::to_string(tree.joints) + ", 3 or 9)");
    DType s = pose.dtype();
    offsets.required().check(pose, s, {tree.joints, 3, -1});
    betas.check(pose, s, {pose.size(0), offsets.size(2) - 1});
    transl.check(pose, s, {pose.size(0), 3});
  }

  template <class S>
  BodyInput<S> input() const {
    return {pose.size(0),           tree, int(pose.size(2)), int(offsets.size(2)) - 1, pose.data<const S>(), betas.data<const S>(), transl.data<const S>(),
            offsets.data<const S>()};
  }

  Tree tree;
};

// Where gradients go; each may be None.
struct GradArrays {
  Array pose, betas, transl;

  GradArrays(const char* op, const BodyArrays& body, py::handle pose_, py::handle betas_, py::handle transl_)
      : pose(op, "grad_pose", pose_), betas(op, "grad_betas", betas_), transl(op, "grad_transl", transl_) {
    DType s = body.pose.dtype();
    int64_t batch = body.pose.size(0);
    pose.check(body.pose, s, {batch, body.pose.size(1), body.pose.size(2)});
    betas.check(body.pose, s, {batch, body.offsets.size(2) - 1});
    transl.check(body.pose, s, {batch, 3});
  }

  template <class S>
  BodyGrad<S> grad() const {
    return {pose.data<S>(), betas.data<S>(), transl.data<S>()};
  }
};

struct LandmarkArrays {
  Array packed, moment_row, pair_bone, pair_mass, pair_start;

  LandmarkArrays(const char* op, const BodyArrays& body, py::handle packed_, py::handle moment_row_, py::handle pair_bone_, py::handle pair_mass_,
                 py::handle pair_start_)
      : packed(op, "packed", packed_),
        moment_row(op, "moment_row", moment_row_),
        pair_bone(op, "pair_bone", pair_bone_),
        pair_mass(op, "pair_mass", pair_mass_),
        pair_start(op, "pair_start", pair_start_) {
    DType s = body.pose.dtype();
    int64_t shape = body.offsets.size(2), full = shape + 9 * (body.tree.joints - 1);
    packed.required().check(body.pose, s, {-1, -1, 12});
    if (packed.size(1) != full && packed.size(1) != shape)
      throw py::value_error(std::string(op) + ": packed: wanted " + std::to_string(shape) + " or " + std::to_string(full) + " columns, got " +
                            std::to_string(packed.size(1)));
    pair_bone.required().check(body.pose, DType::int32, {-1});
    int64_t pairs = pair_bone.size(0);
    moment_row.required().check(body.pose, DType::int32, {pairs});
    pair_mass.required().check(body.pose, s, {pairs});
    pair_start.required().check(body.pose, DType::int32, {-1});
    if (pair_start.size(0) < 1) throw py::value_error(std::string(op) + ": pair_start: wanted K + 1 entries, got 0");
    if (!body.pose.cuda()) check_indices(op, body.tree.joints);
  }

  template <class S>
  LandmarkTerms<S> terms() const {
    return {int(pair_start.size(0)) - 1,
            int(pair_bone.size(0)),
            int(packed.size(0)),
            int(packed.size(1)),
            packed.data<const S>(),
            moment_row.data<const int32_t>(),
            pair_bone.data<const int32_t>(),
            pair_mass.data<const S>(),
            pair_start.data<const int32_t>()};
  }
  int64_t landmarks() const { return pair_start.size(0) - 1; }

 private:
  void check_indices(const char* op, int joints) const {
    int64_t pairs = pair_bone.size(0), rows = packed.size(0) * 12 / 3, last = 0;
    bool good = pair_start.data<const int32_t>()[0] == 0 && pair_start.data<const int32_t>()[landmarks()] == pairs;
    for (int64_t k = 0; k <= landmarks(); ++k) good = good && pair_start.data<const int32_t>()[k] >= last, last = pair_start.data<const int32_t>()[k];
    for (int64_t p = 0; p < pairs; ++p) {
      int32_t bone = pair_bone.data<const int32_t>()[p], row = moment_row.data<const int32_t>()[p];
      good = good && bone >= 0 && bone < joints && row >= -1 && row < rows;
    }
    if (!good) throw py::value_error(std::string(op) + ": the landmark terms hold an index out of range");
  }
};

}  // namespace pgt
