#!/usr/bin/env bash
# Builds the wheel with other Pythons and tries what needs no torch: every module compiles, and the kernels compute on NumPy arrays.
# A Python that is not here (on PATH or with pyenv) is named and left out. Use: tools/try_pythons.sh 3.10 3.13
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/pythons
rm -rf "$out" && mkdir -p "$out"
for version in "$@"; do
  python=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python 2>/dev/null | sort -V | tail -1 || true)
  [ -n "$python" ] || python=$(command -v "python$version" || true)
  if [ -z "$python" ] || ! "$python" -c "import sys, venv; assert sys.version.startswith('$version.')" 2>/dev/null; then
    echo "no Python $version here: nothing was tried with it"
    continue
  fi
  "$python" -m venv "$out/$version"
  "$out/$version/bin/pip" wheel -qq --no-deps --config-settings=cmake.define.PGTFAST_CUDA=OFF -w "$out/wheels" .
  "$out/$version/bin/pip" install -qq numpy
  "$out/$version/bin/pip" install -qq --no-deps "$out"/wheels/*-cp"${version/./}"-*.whl
  (cd "$out" && "$version/bin/python" ../../tools/try_kernels.py)
done
