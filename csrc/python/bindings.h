// One function per file of bindings; module.cpp calls them all.
#pragma once

#include <pybind11/pybind11.h>

namespace pgt {

void bind_rotations(pybind11::module_& m);
void bind_forward_kinematics(pybind11::module_& m);
void bind_landmarks(pybind11::module_& m);
void bind_vertices(pybind11::module_& m);
void bind_project(pybind11::module_& m);
void bind_keypoint_loss(pybind11::module_& m);
void bind_vposer_decode(pybind11::module_& m);
void bind_procrustes_align(pybind11::module_& m);

}  // namespace pgt
