# pgtfast: `make demo` shows it, `make test` proves it. Both make their own environment and need only Python >= 3.10, a C++17 compiler and make.
#   PYTHON=python3.11         interpreter of the environments
#   TORCH="torch==2.13.0"     what is installed where torch is missing; anything that `pip install` takes
#   CUDA=AUTO|ON|OFF          CUDA kernels; by default AUTO on a machine with an NVIDIA driver, OFF elsewhere (they compile for a minute)
#   VENV_FLAGS=--system-site-packages     use the torch that PYTHON already has

PYTHON ?= python3
TORCH ?= torch==2.13.0
CUDA ?= $(if $(shell command -v nvidia-smi 2>/dev/null),AUTO,OFF)
VENV ?= .venv
TEST_VENV ?= .venv-test
VENV_FLAGS ?=
PYTEST_ARGS ?= -n 2 --dist loadfile
DEMO_ARGS ?=
PGTFAST_SHARED ?= $(abspath ../shared)

BUILD_FLAGS = -C cmake.define.PGTFAST_CUDA=$(CUDA)
COMPILED := CMakeLists.txt pyproject.toml $(shell find cmake csrc -type f)
PACKAGED := $(COMPILED) README.md $(shell find pgtfast -type f -not -name '*.pyc')
WHEELS := build/dist
AWAY := build/away

.PHONY: help demo test bench lint format cuda wheel rendering clean
help:
	@echo "make demo   a free world, a network that learns to annotate it, its errors: numbers and pictures in demo/"
	@echo "make test   every test, on the installed wheel"
	@echo "make bench  speed against smplx, body-models and smplfitter"
	@echo "make lint   ruff, clang-format, mypy;  make format  mends what they can mend"
	@echo "make cuda   compiles every CUDA kernel with warnings as errors (needs nvcc, no GPU)"

# ---- environments: one stamp file each, so that a second run does only what changed

$(VENV)/.torch $(TEST_VENV)/.torch: %/.torch:
	$(PYTHON) -m venv $(VENV_FLAGS) $*
	$*/bin/python -c "import torch" 2>/dev/null || $*/bin/pip install -qq $(TORCH)
	@touch $@

# Editable, so that commands run inside this folder too find the compiled kernels.
$(VENV)/.pgtfast: $(COMPILED) $(VENV)/.torch
	$(VENV)/bin/pip install -qq $(BUILD_FLAGS) -e ".[annotate,report,train]"
	@touch $@

$(TEST_VENV)/.wheel: $(PACKAGED) $(TEST_VENV)/.torch
	@rm -rf $(WHEELS) && mkdir -p $(WHEELS)
	@start=$$(date +%s); $(TEST_VENV)/bin/pip wheel -qq --no-deps $(BUILD_FLAGS) -w $(WHEELS) . && \
	  echo $$(( $$(date +%s) - start )) > $(WHEELS)/seconds && echo "wheel built in an isolated environment in $$(cat $(WHEELS)/seconds) s"
	$(TEST_VENV)/bin/pip install -qq --force-reinstall --no-deps $(WHEELS)/*.whl
	@touch $@

$(TEST_VENV)/.dev: pyproject.toml $(TEST_VENV)/.wheel
	$(TEST_VENV)/bin/pip install -qq "$$(ls $(WHEELS)/*.whl)[annotate,report,train,export,rtx,viewer,ray,calibrate,dev]"
	@touch $@

$(VENV)/.bench: $(VENV)/.pgtfast
	$(VENV)/bin/pip install -qq -e ".[bench]" $(BUILD_FLAGS)
	@touch $@

wheel: $(TEST_VENV)/.wheel

# ---- pictures are drawn off screen; the wheels of VTK bring everything but the system's OpenGL (EGL and Mesa's software driver)

$(VENV)/.rendering: $(VENV)/.pgtfast
	@tools/ensure_rendering.sh $(VENV)/bin/python && touch $@
$(TEST_VENV)/.rendering: $(TEST_VENV)/.dev
	@tools/ensure_rendering.sh $(TEST_VENV)/bin/python && touch $@

# ---- what they are for

demo: $(VENV)/.pgtfast $(VENV)/.rendering
	$(VENV)/bin/python examples/demo.py --out demo $(DEMO_ARGS)

# The tests run in a copy without pgtfast/, so that what they import is the installed wheel.
test: $(TEST_VENV)/.dev $(TEST_VENV)/.rendering
	@rm -rf $(AWAY) && mkdir -p $(AWAY)
	@tar --exclude-vcs --exclude=./pgtfast --exclude=./build --exclude=./demo --exclude='./.venv*' --exclude='./.*_cache' --exclude=./.hypothesis \
	  --exclude=__pycache__ -cf - . | tar -xf - -C $(AWAY)
	cd $(AWAY) && PGTFAST_SHARED=$(PGTFAST_SHARED) PGTFAST_WHEEL=$$(ls $(abspath $(WHEELS))/*.whl) $(abspath $(TEST_VENV))/bin/pytest -q $(PYTEST_ARGS)

bench: $(VENV)/.bench
	mkdir -p benchmarks/results
	$(VENV)/bin/python -m pgtfast.bench --against smplx,body-models,smplfitter --json benchmarks/results/latest.json

CXX_FILES = $(shell git ls-files 'csrc/*.h' 'csrc/*.cpp' 'csrc/*.cu' 'csrc/*.cuh' 'tests/**/*.h' 'tests/**/*.cpp' 2>/dev/null || find csrc -type f)
lint: $(TEST_VENV)/.dev
	$(TEST_VENV)/bin/ruff check .
	$(TEST_VENV)/bin/ruff format --check .
	$(TEST_VENV)/bin/clang-format --dry-run -Werror $(CXX_FILES)
	$(TEST_VENV)/bin/mypy

format: $(TEST_VENV)/.dev
	$(TEST_VENV)/bin/ruff check --fix .
	$(TEST_VENV)/bin/ruff format .
	$(TEST_VENV)/bin/clang-format -i $(CXX_FILES)

cuda: $(TEST_VENV)/.torch
	$(TEST_VENV)/bin/pip install -qq "pybind11>=2.13" "cmake>=3.24" ninja
	PATH=$(abspath $(TEST_VENV))/bin:$$PATH cmake -S . -B build/cuda -G Ninja -DSKBUILD_PROJECT_VERSION=0 -DPGTFAST_CUDA=ON -DPGTFAST_WERROR=ON \
	  -DPython_EXECUTABLE=$(abspath $(TEST_VENV))/bin/python -Dpybind11_DIR=$$($(TEST_VENV)/bin/python -m pybind11 --cmakedir)
	PATH=$(abspath $(TEST_VENV))/bin:$$PATH cmake --build build/cuda
	$(TEST_VENV)/bin/python tools/check_isa_symbols.py build/cuda
	cd build/cuda && $(abspath $(TEST_VENV))/bin/python -c "import _core; i = _core.build_info(); \
	  print('CUDA kernels compiled by', i['cuda_compiler'], 'for', i['cuda_architectures']); assert i['cuda']"

clean:
	rm -rf build demo $(VENV) $(TEST_VENV)
