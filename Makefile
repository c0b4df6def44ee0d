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
PYTEST_ARGS ?= -n 2 --dist worksteal
DEMO_ARGS ?=
PGTFAST_SHARED ?= $(abspath ../shared)

BUILD_FLAGS = -C cmake.define.PGTFAST_CUDA=$(CUDA)
COMPILED := CMakeLists.txt pyproject.toml $(shell find cmake csrc -type f)
PACKAGED := $(COMPILED) README.md $(shell find pgtfast -type f -not -name '*.pyc')
WHEELS := build/dist
RELEASE := build/release
AWAY := build/away
EXTRAS := annotate,report,train,export,rtx,viewer,ray,calibrate,oracles,dev
# GPL, an oracle of the tests alone; what it lists (viewers, a second OpenCV) is not needed
ORACLE := human_body_prior==0.8.5.0

.PHONY: help demo check test bench lint format cuda wheel dist docs clean
help:
	@echo "make demo   a free world, a network that learns to annotate it, its errors: numbers and pictures in demo/"
	@echo "make check  ruff, clang-format, mypy and the quick tests, on the source tree: two minutes"
	@echo "make test   every test, on the installed wheel"
	@echo "make bench  speed against smplx, body-models and smplfitter"
	@echo "make lint   ruff, clang-format, mypy;  make format  fixes what they can fix"
	@echo "make docs   the site of the documents and of the public names, in build/site"
	@echo "make dist   source archive and manylinux wheel, checked and tried, in build/release"
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
	$(TEST_VENV)/bin/pip install -qq "$$(ls $(WHEELS)/*.whl)[$(EXTRAS)]"
	$(TEST_VENV)/bin/pip install -qq --no-deps $(ORACLE)
	@touch $@

$(TEST_VENV)/.docs $(TEST_VENV)/.release: $(TEST_VENV)/.%: pyproject.toml $(TEST_VENV)/.wheel
	$(TEST_VENV)/bin/pip install -qq "$$(ls $(WHEELS)/*.whl)[$*]"
	@touch $@

$(VENV)/.dev: $(VENV)/.pgtfast
	$(VENV)/bin/pip install -qq $(BUILD_FLAGS) -e ".[$(EXTRAS)]"
	$(VENV)/bin/pip install -qq --no-deps $(ORACLE)
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

check: $(VENV)/.dev $(VENV)/.rendering
	$(call lints,$(VENV))
	PGTFAST_SHARED=$(PGTFAST_SHARED) $(VENV)/bin/pytest -q -m "not slow" $(PYTEST_ARGS)

docs: $(TEST_VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(TEST_VENV)/bin/mkdocs build --strict --quiet

# The wheel is built from the source archive, gets the tag of the oldest systems that it runs on, and is tried in an environment that has torch
# and NumPy alone. Its kernels know nothing of torch, so one wheel serves every torch from 2.5 on.
dist: $(TEST_VENV)/.release
	rm -rf $(RELEASE) build/raw build/tried && mkdir -p $(RELEASE)
	$(TEST_VENV)/bin/python -m build --sdist --outdir $(RELEASE) .
	$(TEST_VENV)/bin/pip wheel -qq --no-deps $(BUILD_FLAGS) -w build/raw $(RELEASE)/*.tar.gz
	PATH=$(abspath $(TEST_VENV))/bin:$$PATH $(TEST_VENV)/bin/auditwheel repair -w $(RELEASE) build/raw/*.whl
	$(TEST_VENV)/bin/twine check --strict $(RELEASE)/*
	$(TEST_VENV)/bin/python -m venv build/tried
	$(TEST_VENV)/bin/python tools/lend_packages.py build/tried torch numpy
	build/tried/bin/pip install -qq --no-deps $(RELEASE)/*.whl
	cd build/tried && bin/python -W error::UserWarning ../../tools/try_wheel.py
	@ls -l $(RELEASE)

CXX_FILES = $(shell git ls-files 'csrc/*.h' 'csrc/*.cpp' 'csrc/*.cu' 'csrc/*.cuh' 'tests/**/*.h' 'tests/**/*.cpp' 2>/dev/null || find csrc -type f)
define lints
$(1)/bin/ruff check .
$(1)/bin/ruff format --check .
@$(1)/bin/clang-format --dry-run -Werror $(CXX_FILES)
$(1)/bin/mypy
endef
lint: $(TEST_VENV)/.dev
	$(call lints,$(TEST_VENV))

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
