// CUDA. A block decodes up to 32 latents, one record of shared memory each, bodies in the lanes of a warp; its warps share out the row tiles of each
// layer, layer after layer with a barrier between. Memory: 128 bytes in and 756 out a body; the weights of VPoser's size (32-512-512-126: 1.4 MB, held by the
// second-level cache) once a block, so 45 KB a body of cache traffic for 0.69 MFLOP: the multiply-adds bound it, the weights (three loads, the same for all
// lanes, for twelve multiply-adds) come close behind. Adjoint: the layers again, 6D vectors included, then the three transposes, each gradient put in the place
// of the activation whose sign it has just used: 1.3 MFLOP. A record is the two widest neighbouring activations (4.2 KB; adjoint 4.7 KB).
#include "../math/rotation.h"
#include "body_block.cuh"
#include "vposer_decode.h"

namespace pgt {

namespace {

constexpr int kThreads = 512;
constexpr int kTiles = 2;  // row tiles a worker multiplies at a time

// Places in a record; hidden layers and the output are padded to whole row tiles.
struct DecoderLayout {
  int hidden, output;  // padded rows
  int h1, h2, z, out, end;

  // The latent lies where the second hidden layer comes; without the adjoint the output overwrites the first.
  DecoderLayout(const DecoderTerms<float>& t, bool adjoint)
      : hidden((t.hidden + kRowTile - 1) / kRowTile * kRowTile), output((6 * t.rotations + kRowTile - 1) / kRowTile * kRowTile) {
    h1 = 0;
    h2 = adjoint || hidden > output ? hidden : output;
    z = h2;
    out = adjoint ? h2 + (hidden > t.latents ? hidden : t.latents) : h1;
    end = adjoint ? out + output : h2 + (hidden > t.latents ? hidden : t.latents);
  }
};

// Rows of y = act(W x + b); rows past `rows` become zero. Barriers around it are the caller's.
__device__ __forceinline__ void layer(const BodyBlock& block, const float* packed, const float* bias, int rows, int columns, int x, int y, bool activate,
                                      float slope) {
  float* own = block.mine();
  const int tiles = (rows + kRowTile - 1) / kRowTile;
  const int64_t step = int64_t(columns) * kRowTile;
  for (int tile = kTiles * block.worker; tile < tiles; tile += kTiles * block.workers) {
    float acc[kTiles * kRowTile];
    dense_product<kTiles>(packed + tile * step, tile + 1 < tiles ? step : 0, columns, own + x, acc);
#pragma unroll
    for (int r = 0; r < kTiles * kRowTile; ++r) {
      const int at = tile * kRowTile + r;
      if (at >= tiles * kRowTile) continue;
      const float v = at < rows ? acc[r] + __ldg(bias + at) : 0.0f;
      own[y + at] = activate && v < 0.0f ? slope * v : v;
    }
  }
}

// g = the transposed product with the record's rows at `rows`, times the slope of the activation that lies at g and is overwritten.
__device__ __forceinline__ void layer_vjp(const BodyBlock& block, const float* packed, int columns, int tiles, int rows, int g, float slope) {
  float* own = block.mine();
  for (int c = kColumnBlock * block.worker; c < columns; c += kColumnBlock * block.workers) {
    float acc[kColumnBlock];
    transposed_columns(packed, columns, c, tiles, own + rows, acc);
#pragma unroll
    for (int k = 0; k < kColumnBlock; ++k)
      if (c + k < columns) own[g + c + k] = own[g + c + k] > 0.0f ? acc[k] : slope * acc[k];
  }
}

__device__ __forceinline__ void run_layers(const DecoderTerms<float>& terms, const DecoderLayout& layout, const BodyBlock& block, const float* latent) {
  load_rows(block, latent, terms.latents, terms.latents, layout.z);
  __syncthreads();
  layer(block, terms.packed1, terms.bias1, terms.hidden, terms.latents, layout.z, layout.h1, true, terms.slope);
  __syncthreads();
  layer(block, terms.packed2, terms.bias2, terms.hidden, terms.hidden, layout.h1, layout.h2, true, terms.slope);
  __syncthreads();
  layer(block, terms.packed3, terms.bias3, 6 * terms.rotations, terms.hidden, layout.h2, layout.out, false, 0.0f);
  __syncthreads();
}

__global__ void __launch_bounds__(kThreads, 1) vposer_decode_kernel(const int64_t batch, const float* latent, const __grid_constant__ DecoderTerms<float> terms,
                                                                    const __grid_constant__ DecoderLayout layout, const Records records, float* matrices) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, batch);
  run_layers(terms, layout, block, latent);
  for (int i = threadIdx.x; i < block.valid * terms.rotations; i += kThreads) {
    const int b = i / terms.rotations, r = i % terms.rotations;
    float m[9];
    rot6d_to_matrix(block.record(b) + layout.out + 6 * r, true, m);
    float* out = matrices + ((block.first + b) * terms.rotations + r) * 9;
#pragma unroll
    for (int k = 0; k < 9; ++k) out[k] = m[k];
  }
}

__global__ void __launch_bounds__(kThreads, 1)
    vposer_decode_backward_kernel(const int64_t batch, const float* latent, const __grid_constant__ DecoderTerms<float> terms,
                                  const __grid_constant__ DecoderLayout layout, const Records records, const float* grad_matrices, float* grad_latent) {
  extern __shared__ float shared[];
  const BodyBlock block(shared, records, batch);
  run_layers(terms, layout, block, latent);
  for (int i = threadIdx.x; i < block.bodies * terms.rotations; i += kThreads) {
    const int b = i / terms.rotations, r = i % terms.rotations;
    const float* rows = grad_matrices + (block.row(b) * terms.rotations + r) * 9;
    float* x = block.record(b) + layout.out + 6 * r;
    float g[9], grad_x[6];
#pragma unroll
    for (int k = 0; k < 9; ++k) g[k] = rows[k];
    rot6d_to_matrix_vjp(x, true, g, grad_x);
#pragma unroll
    for (int k = 0; k < 6; ++k) x[k] = grad_x[k];
  }
  __syncthreads();
  layer_vjp(block, terms.packed3, terms.hidden, layout.output / kRowTile, layout.out, layout.h2, terms.slope);
  __syncthreads();
  layer_vjp(block, terms.packed2, terms.hidden, layout.hidden / kRowTile, layout.h2, layout.h1, terms.slope);
  __syncthreads();
  const float* own = block.mine();
  for (int c = kColumnBlock * block.worker; c < terms.latents; c += kColumnBlock * block.workers) {
    float acc[kColumnBlock];
    transposed_columns(terms.packed1, terms.latents, c, layout.hidden / kRowTile, own + layout.h1, acc);
    if (!block.alive()) continue;
#pragma unroll
    for (int k = 0; k < kColumnBlock; ++k)
      if (c + k < terms.latents) grad_latent[block.row(block.lane) * terms.latents + c + k] = acc[k];
  }
}

bool aligned(const DecoderTerms<float>& t) { return aligned16(t.packed1) && aligned16(t.packed2) && aligned16(t.packed3); }

}  // namespace

int vposer_decode_cuda(int64_t batch, const float* latent, const DecoderTerms<float>& terms, float* matrices, void* stream) {
  if (batch == 0 || terms.rotations == 0) return cudaSuccess;
  if (!aligned(terms)) return cudaErrorMisalignedAddress;
  const DeviceGuard guard(matrices);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const DecoderLayout layout(terms, false);
  const Records records = fit_records(limits.shared_bytes, layout.end, 0, 0, 0);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  return launch(vposer_decode_kernel, ceil_div(batch, records.bodies), 1, kThreads, records.bytes(), static_cast<cudaStream_t>(stream), batch, latent, terms,
                layout, records, matrices);
}

int vposer_decode_backward_cuda(int64_t batch, const float* latent, const DecoderTerms<float>& terms, const float* grad_matrices, float* grad_latent,
                                void* stream) {
  if (batch == 0 || terms.latents == 0) return cudaSuccess;
  if (!aligned(terms)) return cudaErrorMisalignedAddress;
  const DeviceGuard guard(latent);
  if (guard.status() != cudaSuccess) return guard.status();
  DeviceLimits limits;
  if (cudaError_t status = read_limits(limits)) return status;
  const DecoderLayout layout(terms, true);
  const Records records = fit_records(limits.shared_bytes, layout.end, 0, 0, 0);
  if (records.bodies == 0) return cudaErrorInvalidConfiguration;
  return launch(vposer_decode_backward_kernel, ceil_div(batch, records.bodies), 1, kThreads, records.bytes(), static_cast<cudaStream_t>(stream), batch, latent,
                terms, layout, records, grad_matrices, grad_latent);
}

}  // namespace pgt
