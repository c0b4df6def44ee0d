// What every op on a posed body reads and what its adjoint writes. Row-major, one body after the other.
#pragma once

#include <stdint.h>

#include "../math/chain.h"

namespace pgt {

template <class S>
struct BodyInput {
  int64_t batch;
  Tree tree;         // J joints
  int pose_width;    // 3: rotation vectors, 9: matrices
  int num_betas;     // S
  const S* pose;     // (batch, J, pose_width)
  const S* betas;    // (batch, S) or null for zeros
  const S* transl;   // (batch, 3) or null for zeros
  const S* offsets;  // (J, 3, 1 + S)

  int joints() const { return tree.joints; }
  int full_features() const { return 1 + num_betas + 9 * (tree.joints - 1); }
};

// Any of the pointers may be null: not wanted.
template <class S>
struct BodyGrad {
  S* pose;    // (batch, J, pose_width)
  S* betas;   // (batch, S)
  S* transl;  // (batch, 3)
};

// Landmarks as (landmark, bone) pairs, see pgtfast/reference/terms.py.
template <class S>
struct LandmarkTerms {
  int landmarks;              // K
  int pairs;                  // P
  int tiles;                  // ceil(3 M / 12)
  int columns;                // C: 1 + S, or 1 + S + 9 (J - 1)
  const S* packed;            // (tiles, C, 12)
  const int32_t* moment_row;  // (P,)
  const int32_t* pair_bone;   // (P,)
  const S* pair_mass;         // (P,)
  const int32_t* pair_start;  // (K + 1,)

  // Flops of the landmarks of one body of `joints` joints, the chain included.
  int64_t flops(int joints) const { return 24 * int64_t(tiles) * columns + 300 * int64_t(joints) + 24 * int64_t(pairs); }
};

}  // namespace pgt
