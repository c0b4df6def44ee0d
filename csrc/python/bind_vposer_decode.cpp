#include "../kernels/vposer_decode.h"
#include "array.h"
#include "bindings.h"
#include "launch.h"

namespace pgt {

namespace {

struct DecoderArrays {
  Array packed1, bias1, packed2, bias2, packed3, bias3;

  DecoderArrays(const char* op, const Array& latent, py::handle packed1_, py::handle bias1_, py::handle packed2_, py::handle bias2_, py::handle packed3_,
                py::handle bias3_)
      : packed1(op, "packed1", packed1_),
        bias1(op, "b1", bias1_),
        packed2(op, "packed2", packed2_),
        bias2(op, "b2", bias2_),
        packed3(op, "packed3", packed3_),
        bias3(op, "b3", bias3_) {
    DType s = latent.dtype();
    bias1.required().check(latent, s, {-1});
    bias3.required().check(latent, s, {-1});
    int64_t hidden = bias1.size(0), output = bias3.size(0);
    if (output % 6 != 0) throw py::value_error(std::string(op) + ": b3: wanted a multiple of 6 entries, got " + std::to_string(output));
    bias2.required().check(latent, s, {hidden});
    packed1.required().check(latent, s, {(hidden + 11) / 12, latent.size(1), 12});
    packed2.required().check(latent, s, {(hidden + 11) / 12, hidden, 12});
    packed3.required().check(latent, s, {(output + 11) / 12, hidden, 12});
  }

  template <class S>
  DecoderTerms<S> terms(double slope) const {
    return {int(packed1.size(1)),    int(bias1.size(0)),    int(bias3.size(0)) / 6,  S(slope),
            packed1.data<const S>(), bias1.data<const S>(), packed2.data<const S>(), bias2.data<const S>(),
            packed3.data<const S>(), bias3.data<const S>()};
  }
  static void check_slope(const char* op, double slope) {
    if (!(slope >= 0)) throw py::value_error(std::string(op) + ": slope: wanted 0 or more, got " + std::to_string(slope));
  }
  int64_t rotations() const { return bias3.size(0) / 6; }
};

Array read_latent(const char* op, py::handle latent) {
  Array z(op, "latent", latent);
  z.required().check_contiguous();
  if (z.ndim() != 2) throw py::value_error(std::string(op) + ": latent: wanted shape (N, Z)");
  return z;
}

void run(py::handle latent, py::handle packed1, py::handle b1, py::handle packed2, py::handle b2, py::handle packed3, py::handle b3, py::handle matrices,
         double slope, int threads, int isa, uintptr_t stream) {
  const char* op = "vposer_decode";
  Array z = read_latent(op, latent);
  DecoderArrays terms(op, z, packed1, b1, packed2, b2, packed3, b3);
  DecoderArrays::check_slope(op, slope);
  Array out(op, "matrices", matrices);
  out.required().check(z, z.dtype(), {z.size(0), terms.rotations(), 9});
  launch(
      op, z,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, vposer_decode(z.size(0), z.data<const S>(), terms.terms<S>(slope), out.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return vposer_decode_cuda(z.size(0), z.data<const S>(), terms.terms<S>(slope), out.data<S>(), as_stream(stream));
      });
}

void run_backward(py::handle latent, py::handle packed1, py::handle b1, py::handle packed2, py::handle b2, py::handle packed3, py::handle b3,
                  py::handle grad_matrices, py::handle grad_latent, double slope, int threads, int isa, uintptr_t stream) {
  const char* op = "vposer_decode_backward";
  Array z = read_latent(op, latent);
  DecoderArrays terms(op, z, packed1, b1, packed2, b2, packed3, b3);
  DecoderArrays::check_slope(op, slope);
  Array g(op, "grad_matrices", grad_matrices), out(op, "grad_latent", grad_latent);
  g.required().check(z, z.dtype(), {z.size(0), terms.rotations(), 9});
  out.required().check(z, z.dtype(), {z.size(0), z.size(1)});
  launch(
      op, z,
      [&](auto s) {
        using S = decltype(s);
        const CpuLaunch how{threads, Isa(isa)};
        PGT_DISPATCH(how, vposer_decode_backward(z.size(0), z.data<const S>(), terms.terms<S>(slope), g.data<const S>(), out.data<S>(), how.threads))
      },
      [&](auto s) {
        using S = decltype(s);
        return vposer_decode_backward_cuda(z.size(0), z.data<const S>(), terms.terms<S>(slope), g.data<const S>(), out.data<S>(), as_stream(stream));
      });
}

}  // namespace

void bind_vposer_decode(py::module_& m) {
  using namespace py::literals;
  m.def("vposer_decode", &run, "Rotations of pose latents, written into `matrices` (N, R, 9).", "latent"_a, "packed1"_a, "b1"_a, "packed2"_a, "b2"_a,
        "packed3"_a, "b3"_a, "matrices"_a, "slope"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
  m.def("vposer_decode_backward", &run_backward, "Adjoint of vposer_decode in the latent.", "latent"_a, "packed1"_a, "b1"_a, "packed2"_a, "b2"_a, "packed3"_a,
        "b3"_a, "grad_matrices"_a, "grad_latent"_a, "slope"_a, "threads"_a = 1, "isa"_a = -1, "stream"_a = 0);
}

}  // namespace pgt
