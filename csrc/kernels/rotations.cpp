// CPU: rotations in lanes. 12 to 18 numbers move per rotation for some 60 to 150 flops, so both ends of the roofline are near.
#include "rotations.h"

#include "../math/rotation.h"
#include "items.h"

namespace pgt {
namespace PGT_ISA {

template <class S>
void rotvec_to_matrix(int64_t count, const S* rotvec, S* matrix, int threads) {
  map_rows<3, 9>(count, rotvec, matrix, threads, [](const Vec<S>* r, Vec<S>* m) { pgt::rotvec_to_matrix(r, m); });
}

template <class S>
void rotvec_to_matrix_backward(int64_t count, const S* rotvec, const S* grad_matrix, S* grad_rotvec, int threads) {
  map_rows_vjp<3, 9>(count, rotvec, grad_matrix, grad_rotvec, threads, [](const Vec<S>* r, const Vec<S>* g, Vec<S>* out) { rotvec_to_matrix_vjp(r, g, out); });
}

template <class S>
void matrix_to_rotvec(int64_t count, const S* matrix, S* rotvec, int threads) {
  map_rows<9, 3>(count, matrix, rotvec, threads, [](const Vec<S>* m, Vec<S>* r) { pgt::matrix_to_rotvec(m, r); });
}

template <class S>
void matrix_to_rotvec_backward(int64_t count, const S* matrix, const S* grad_rotvec, S* grad_matrix, int threads) {
  map_rows_vjp<9, 3>(count, matrix, grad_rotvec, grad_matrix, threads, [](const Vec<S>* m, const Vec<S>* g, Vec<S>* out) { matrix_to_rotvec_vjp(m, g, out); });
}

template <class S>
void rot6d_to_matrix(int64_t count, const S* x, bool column, S* matrix, int threads) {
  map_rows<6, 9>(count, x, matrix, threads, [column](const Vec<S>* a, Vec<S>* m) { pgt::rot6d_to_matrix(a, column, m); });
}

template <class S>
void rot6d_to_matrix_backward(int64_t count, const S* x, const S* grad_matrix, bool column, S* grad_x, int threads) {
  map_rows_vjp<6, 9>(count, x, grad_matrix, grad_x, threads,
                     [column](const Vec<S>* a, const Vec<S>* g, Vec<S>* out) { rot6d_to_matrix_vjp(a, column, g, out); });
}

#define PGT_INSTANTIATE(S)                                                          \
  template void rotvec_to_matrix<S>(int64_t, const S*, S*, int);                    \
  template void rotvec_to_matrix_backward<S>(int64_t, const S*, const S*, S*, int); \
  template void matrix_to_rotvec<S>(int64_t, const S*, S*, int);                    \
  template void matrix_to_rotvec_backward<S>(int64_t, const S*, const S*, S*, int); \
  template void rot6d_to_matrix<S>(int64_t, const S*, bool, S*, int);               \
  template void rot6d_to_matrix_backward<S>(int64_t, const S*, const S*, bool, S*, int);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
