#!/usr/bin/env bash
# Makes sure that PyVista can draw without a screen: tries it, and where the system's OpenGL is missing installs it (as root on Debian or Ubuntu) or says how.
# Use: tools/ensure_rendering.sh PYTHON
set -u
python=${1:?usage: tools/ensure_rendering.sh PYTHON}
packages="libegl1 libgl1 libgl1-mesa-dri"

draws() {
  "$python" - <<'PY' >/dev/null 2>&1
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(64, 64))
plotter.add_mesh(pyvista.Sphere())
raise SystemExit(0 if plotter.screenshot(return_img=True).std() > 1 else 1)
PY
}

draws && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "drawing off screen needs $packages: installing them"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >/dev/null
  draws && exit 0
fi
echo "PyVista cannot draw off screen here. On Debian or Ubuntu: sudo apt-get install $packages. Elsewhere install EGL and Mesa's OpenGL, or a GPU driver." >&2
exit 1
