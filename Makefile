# cvxrelu: `make help` lists the targets. Everything is built under $(BUILD).

CC     ?= cc
CXX    ?= c++
CFLAGS ?= -O2
LDLIBS ?= -lm
BUILD  ?= build
PYTHON ?= python3
NVCC   ?= nvcc

WARNINGS     = -Wall -Wextra
TEST_CFLAGS  = -O1
BENCH_CFLAGS = -O3 -march=native $(OPENMP)
OPENMP       = $(shell echo 'int main(void) { return 0; }' | \
                 $(CC) -fopenmp -x c - -o /dev/null 2>/dev/null && echo -fopenmp)
BENCH_ARGS   =
BENCH_PYTHON = --bench $(BUILD)/bench --results $(BUILD)/results --dir $(BUILD)
SANITIZE     = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
COMPILE      = $(CC) $(CFLAGS) $(WARNINGS) $(CPPFLAGS) -I. $(LDFLAGS)
CLI          = examples/cvxrelu_cli.c examples/cli_*.h
SH           = CC='$(CC)' CXX='$(CXX)' CFLAGS='$(CFLAGS)' LDLIBS='$(LDLIBS)' BUILD='$(BUILD)' sh
MAKE_QUIETLY = $(MAKE) -s CC='$(CC)' LDLIBS='$(LDLIBS)' BUILD='$(BUILD)'

all: $(BUILD)/cvxrelu ## build the command-line tool build/cvxrelu

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile

demo: $(BUILD)/demo ## train, certify, save and reload on the bundled data
	$(BUILD)/demo examples/data $(BUILD)

test: ## run all tests (one to two minutes)
	@$(SH) tests/run.sh 'main: $(MAKE_QUIETLY) $(BUILD)/test_main && $(BUILD)/test_main' \
	    'compile: sh tests/test_compile.sh' 'examples: CFLAGS=-O0 sh tests/test_examples.sh' \
	    'tool: $(MAKE_QUIETLY) $(BUILD)/cvxrelu && sh tests/test_cli.sh $(BUILD)/cvxrelu' \
	    'blas: CFLAGS="$(TEST_CFLAGS)" sh tests/test_blas.sh' 'cuda: sh tests/cuda/emulate.sh' \
	    'cuda fit: PROGRAM=fit_cuda sh tests/cuda/emulate.sh'

check: $(BUILD)/test_main check-contents ## sanitizers, -Ofast, valgrind, file layout
	@$(SH) tests/check.sh '$(SANITIZE)'

check-contents: ## contents list, long functions, compile time, program size
	@$(SH) tests/check_contents.sh

check-stranger: $(BUILD)/cvxrelu $(BUILD)/bench ## recompute the benchmark results in Python
	@$(PYTHON) tests/stranger_check.py --build $(BUILD) $(BENCH_ARGS)

cuda-emulate: ## the CUDA kernels on the CPU under the sanitizers; needs no card, no nvcc
	@$(SH) tests/cuda/emulate.sh -O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all
	@FILTER='sizes cda little card_that cards machine failing full keeps newton_s' \
	    PROGRAM=fit_cuda $(SH) \
	    tests/cuda/emulate.sh -O0 -g -fsanitize=address,undefined -fno-sanitize-recover=all

cuda-compile: ## the CUDA companion by nvcc for sm_75 to sm_90; needs no card
	@NVCC='$(NVCC)' $(SH) tests/cuda/nvcc.sh

cuda-test: $(BUILD)/test_cuda $(BUILD)/fit_cuda ## the CUDA companion on a card, under compute-sanitizer too
	@$(BUILD)/test_cuda
	@$(BUILD)/fit_cuda
	@for tool in memcheck racecheck; do \
	    command -v compute-sanitizer >/dev/null || { echo "SKIP cuda: $$tool"; continue; }; \
	    compute-sanitizer --tool $$tool --error-exitcode 9 $(BUILD)/test_cuda || exit 1; done

cuda-bench: $(BUILD)/bench_cuda ## speed of the kernels on a card against gemm and copy (BENCH_ARGS)
	@$(BUILD)/bench_cuda $(BENCH_ARGS)

cuda-solve: $(BUILD)/solve_cuda ## whole solves beside the reference on a card, MNIST (--data DIR)
	@$(PYTHON) tests/cuda/bench_solve.py --solve $(BUILD)/solve_cuda $(BENCH_ARGS)

cuda-example: ## the CPU and a card beside each other: examples/11_cuda.cu
	@command -v $(NVCC) >/dev/null || { echo "SKIP cuda-example: no $(NVCC)"; exit 0; }; \
	    mkdir -p $(BUILD) && $(NVCC) -O2 -arch=native -I. examples/11_cuda.cu \
	    -o $(BUILD)/11_cuda -lcublas -lcusolver && $(BUILD)/11_cuda

examples: ## build and run the numbered examples
	@VERBOSE=1 $(SH) tests/test_examples.sh

mpi: ## build examples/12_mpi.c and run it with 1, 2 and 4 ranks, where there is an MPI
	@$(SH) tests/test_mpi.sh

bench: $(BUILD)/bench ## speed on the fixed problems, against the machine's limit
	@$(BUILD)/bench $(BENCH_ARGS)

bench-peers: $(BUILD)/bench ## beside other programs, to the same accuracy: tests/bench/RESULTS.md
	@$(PYTHON) tests/bench/bench_peers.py $(BENCH_PYTHON)/peers $(BENCH_ARGS)

bench-profile: $(BUILD)/bench ## the performance profile of [MSP22 Fig. 4] (--data DIR)
	@$(PYTHON) tests/bench/bench_profile.py $(BENCH_PYTHON)/profile $(BENCH_ARGS)

bench-scaling: $(BUILD)/bench ## seconds and memory against n, P, d and c
	@$(PYTHON) tests/bench/bench_scaling.py $(BENCH_PYTHON)/scaling $(BENCH_ARGS)

bench-relu: $(BUILD)/cvxrelu ## certificates of ReLU over given patterns, recomputed in Python
	@$(PYTHON) tests/bench/bench_relu.py --tool $(BUILD)/cvxrelu --dir $(BUILD)/bench_relu \
	    $(BENCH_ARGS)

bench-search: $(BUILD)/cvxrelu ## pattern search beside Adam and SGD in PyTorch (--data DIR)
	@$(PYTHON) tests/bench/bench_search.py --tool $(BUILD)/cvxrelu --dir $(BUILD)/bench_search \
	    --results $(BUILD)/results --flags '$(CFLAGS)' $(BENCH_ARGS)

bench-threads: $(BUILD)/bench_threads ## two threads beside one: same bits, speed (OpenMP)
	@$(BUILD)/bench_threads $(BENCH_ARGS)

bench-dense: ## the built-in dense algebra beside a CBLAS if there (BENCH_ARGS: classes)
	@$(SH) tests/bench/bench_dense.sh '$(BENCH_CFLAGS)' $(BENCH_ARGS)

bench-operator: ## the masked forward and gradient beside gemm (BENCH_ARGS=--quick: fewer shapes)
	@$(SH) tests/bench/bench_operator.sh '$(BENCH_CFLAGS)' $(BENCH_ARGS)

bench-before: ## is any problem slower than in an earlier revision (BENCH_ARGS='--before REV')
	@$(PYTHON) tests/bench/bench_before.py --results $(BUILD)/results --dir $(BUILD)/before \
	    $(BENCH_ARGS)

bench-keep: ## keep what bench, -threads, -dense, -operator, -relu print, for RESULTS.md
	@mkdir -p $(BUILD)/results
	@for name in bench:bench bench-threads:threads bench-dense:dense bench-operator:operator \
	    bench-relu:relu63; do $(MAKE_QUIETLY) BENCH_ARGS= $${name%:*} | \
	    tee $(BUILD)/results/$${name#*:}.txt; done

clean: ## remove what was built
	rm -rf $(BUILD)

$(BUILD)/cvxrelu: cvxrelu.h $(CLI)
	@mkdir -p $(BUILD)
	$(COMPILE) examples/cvxrelu_cli.c -o $@ $(LDLIBS)

$(BUILD)/demo: cvxrelu.h examples/demo.c examples/cli_*.h
	@mkdir -p $(BUILD)
	$(COMPILE) examples/demo.c -o $@ $(LDLIBS)

$(BUILD)/test_main: cvxrelu.h tests/*.c tests/runner.h
	@mkdir -p $(BUILD)
	$(CC) $(TEST_CFLAGS) $(WARNINGS) $(CPPFLAGS) $(LDFLAGS) tests/test_main.c -o $@ $(LDLIBS)

$(BUILD)/bench: cvxrelu.h tests/bench/bench.c tests/bench/problems.h examples/cli_npy.h
	@mkdir -p $(BUILD)
	$(CC) $(BENCH_CFLAGS) -DBENCH_FLAGS='"$(strip $(BENCH_CFLAGS))"' \
	    tests/bench/bench.c -o $@ $(LDLIBS)

$(BUILD)/bench_threads: cvxrelu.h tests/bench/bench_threads.c tests/bench/problems.h
	@mkdir -p $(BUILD)
	$(CC) $(BENCH_CFLAGS) tests/bench/bench_threads.c -o $@ $(LDLIBS)

$(BUILD)/%_cuda: tests/cuda/%_cuda.cu tests/cuda/gpu.h tests/runner.h cvxrelu.h cvxrelu_cuda.cuh
	@mkdir -p $(BUILD)
	$(NVCC) -std=c++11 -O2 -lineinfo -arch=native $< -o $@ -lcublas -lcusolver

.PHONY: cuda-emulate cuda-compile cuda-test cuda-bench cuda-solve cuda-example
.PHONY: all help demo test check check-contents check-stranger examples mpi bench bench-peers \
    bench-profile bench-scaling bench-relu bench-search bench-dense bench-threads bench-operator bench-before \
    bench-keep clean
