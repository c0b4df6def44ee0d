# Each op's CPU file is compiled once per instruction set into a namespace of its own; the border picks one at run time.
set(cpu_ops rotations forward_kinematics project procrustes_align landmarks vertices keypoint_loss vposer_decode)

add_library(pgtfast_cpu_kernels INTERFACE)
function(add_cpu_isa isa)
  list(TRANSFORM cpu_ops PREPEND csrc/kernels/ OUTPUT_VARIABLE sources)
  list(TRANSFORM sources APPEND .cpp)
  add_library(pgtfast_cpu_${isa} OBJECT ${sources})
  target_compile_definitions(pgtfast_cpu_${isa} PRIVATE PGT_ISA=${isa} PGT_BASE_ISA=$<STREQUAL:${isa},base>)
  # Lane vectors never cross a function that is not inlined, so their ABI (-Wpsabi) does not matter.
  target_compile_options(pgtfast_cpu_${isa} PRIVATE -O3 -fno-math-errno -fno-trapping-math -Wall -Wextra -Wno-psabi $<$<BOOL:${PGTFAST_WERROR}>:-Werror> ${ARGN})
  target_link_libraries(pgtfast_cpu_kernels INTERFACE pgtfast_cpu_${isa} $<TARGET_OBJECTS:pgtfast_cpu_${isa}>)
endfunction()

add_cpu_isa(base -O2) # for old processors and for double: kept quick to build
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_cpu_isa(avx2 -mavx2 -mfma)
  add_cpu_isa(avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma -mprefer-vector-width=512)
endif()
