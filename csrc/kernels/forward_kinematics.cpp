// CPU: one body a lane. Per body 24 J numbers move for 60 J flops; the adjoint repeats the chain and moves 36 J. A tile of 24 joints takes 37 KB with
// 16 lanes, its adjoint 74 KB.
#include "forward_kinematics.h"

#include "items.h"

namespace pgt {
namespace PGT_ISA {

template <class S>
void forward_kinematics(int64_t batch, const Tree& tree, const S* rotations, const S* offsets, S* global_rotations, S* positions, int threads) {
  using V = Vec<S>;
  const int joints = tree.joints, m = 9 * joints, p = 3 * joints;
  const int64_t vectors = vector_count<S>(batch);
  parallel_for(vectors, useful_threads(threads, vectors, 4), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(2 * (m + p));
    V *rotation = memory.get(), *offset = rotation + m, *global_r = offset + p, *global_p = global_r + m;
    for (int64_t v = begin; v < end; ++v) {
      const int64_t first = v * V::kLanes;
      const int valid = batch - first < V::kLanes ? int(batch - first) : V::kLanes;
      load_rows(rotations + first * m, m, valid, m, rotation);
      load_rows(offsets + first * p, p, valid, p, offset);
      pgt::forward_kinematics(tree, rotation, offset, global_r, global_p);
      store_rows(global_r, m, valid, global_rotations + first * m, m);
      store_rows(global_p, p, valid, positions + first * p, p);
    }
  });
}

template <class S>
void forward_kinematics_backward(int64_t batch, const Tree& tree, const S* rotations, const S* offsets, const S* grad_global, const S* grad_positions,
                                 S* grad_rotations, S* grad_offsets, int threads) {
  using V = Vec<S>;
  const int joints = tree.joints, m = 9 * joints, p = 3 * joints;
  const int64_t vectors = vector_count<S>(batch);
  parallel_for(vectors, useful_threads(threads, vectors, 4), [&](int, int64_t begin, int64_t end) {
    Scratch<V> memory(4 * (m + p));
    V *rotation = memory.get(), *offset = rotation + m, *global_r = offset + p, *global_p = global_r + m;
    V *grad_r = global_p + p, *grad_p = grad_r + m, *grad_rotation = grad_p + p, *grad_offset = grad_rotation + m;
    for (int64_t v = begin; v < end; ++v) {
      const int64_t first = v * V::kLanes;
      const int valid = batch - first < V::kLanes ? int(batch - first) : V::kLanes;
      load_rows(rotations + first * m, m, valid, m, rotation);
      load_rows(offsets + first * p, p, valid, p, offset);
      load_rows(grad_global + first * m, m, valid, m, grad_r);
      load_rows(grad_positions + first * p, p, valid, p, grad_p);
      pgt::forward_kinematics(tree, rotation, offset, global_r, global_p);
      forward_kinematics_vjp(tree, rotation, offset, global_r, grad_r, grad_p, grad_rotation, grad_offset);
      store_rows(grad_rotation, m, valid, grad_rotations + first * m, m);
      store_rows(grad_offset, p, valid, grad_offsets + first * p, p);
    }
  });
}

#define PGT_INSTANTIATE(S)                                                                    \
  template void forward_kinematics<S>(int64_t, const Tree&, const S*, const S*, S*, S*, int); \
  template void forward_kinematics_backward<S>(int64_t, const Tree&, const S*, const S*, const S*, const S*, S*, S*, int);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
