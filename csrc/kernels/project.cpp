// CPU: one item (a camera and its K points) a lane, sixteen points at a time so that a tile stays in the first-level cache (5 KB with 16 lanes).
// Five numbers move per point for some ten flops: bound by memory.
#include "project.h"

#include "items.h"

namespace pgt {
namespace PGT_ISA {

constexpr int kPointChunk = 16;

template <class S>
void project(int64_t batch, int64_t count, const S* points, const S* focal, const S* center, CameraModel model, S* pixels, int threads) {
  using V = Vec<S>;
  const int64_t vectors = vector_count<S>(batch);
  parallel_for(vectors, useful_threads(threads, vectors * count, 1000), [&](int, int64_t begin, int64_t end) {
    V f[2], c[2], point[3 * kPointChunk], pixel[2 * kPointChunk];
    for (int64_t v = begin; v < end; ++v) {
      const int64_t first = v * V::kLanes;
      const int valid = batch - first < V::kLanes ? int(batch - first) : V::kLanes;
      load_rows(focal + first * 2, 2, valid, 2, f);
      load_rows(center + first * 2, 2, valid, 2, c);
      for (int64_t k = 0; k < count; k += kPointChunk) {
        const int now = count - k < kPointChunk ? int(count - k) : kPointChunk;
        load_rows(points + (first * count + k) * 3, count * 3, valid, now * 3, point);
        for (int i = 0; i < now; ++i) pgt::project(point + 3 * i, f, c, model, pixel + 2 * i);
        store_rows(pixel, now * 2, valid, pixels + (first * count + k) * 2, count * 2);
      }
    }
  });
}

template <class S>
void project_backward(int64_t batch, int64_t count, const S* points, const S* focal, const S* grad_pixels, CameraModel model, S* grad_points, S* grad_focal,
                      S* grad_center, int threads) {
  using V = Vec<S>;
  const int64_t vectors = vector_count<S>(batch);
  parallel_for(vectors, useful_threads(threads, vectors * count, 1000), [&](int, int64_t begin, int64_t end) {
    V f[2], point[3 * kPointChunk], grad_pixel[2 * kPointChunk], grad_point[3 * kPointChunk];
    for (int64_t v = begin; v < end; ++v) {
      const int64_t first = v * V::kLanes;
      const int valid = batch - first < V::kLanes ? int(batch - first) : V::kLanes;
      load_rows(focal + first * 2, 2, valid, 2, f);
      V sum_f[2] = {V(0), V(0)}, sum_c[2] = {V(0), V(0)};
      for (int64_t k = 0; k < count; k += kPointChunk) {
        const int now = count - k < kPointChunk ? int(count - k) : kPointChunk;
        load_rows(points + (first * count + k) * 3, count * 3, valid, now * 3, point);
        load_rows(grad_pixels + (first * count + k) * 2, count * 2, valid, now * 2, grad_pixel);
        for (int i = 0; i < now; ++i) {
          V part[2];
          project_vjp(point + 3 * i, f, model, grad_pixel + 2 * i, grad_point + 3 * i, part);
          for (int a = 0; a < 2; ++a) sum_f[a] += part[a], sum_c[a] += grad_pixel[2 * i + a];
        }
        store_rows(grad_point, now * 3, valid, grad_points + (first * count + k) * 3, count * 3);
      }
      store_rows(sum_f, 2, valid, grad_focal + first * 2, 2);
      store_rows(sum_c, 2, valid, grad_center + first * 2, 2);
    }
  });
}

#define PGT_INSTANTIATE(S)                                                                        \
  template void project<S>(int64_t, int64_t, const S*, const S*, const S*, CameraModel, S*, int); \
  template void project_backward<S>(int64_t, int64_t, const S*, const S*, const S*, CameraModel, S*, S*, S*, int);
PGT_INSTANTIATE_ALL

}  // namespace PGT_ISA
}  // namespace pgt
