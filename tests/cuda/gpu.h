/* What the test and the bench program share: an object for launches without the host side's
   memory plan, arrays on the device, numbers at random. Both programs are compiled by nvcc for
   a card, and by a C++11 compiler with -Itests/cuda/emulation for none. */
#ifndef CVXRELU_TESTS_CUDA_GPU_H
#define CVXRELU_TESTS_CUDA_GPU_H

#include <vector>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef std::vector<double> doubles;
typedef std::vector<float> floats;
typedef std::vector<uint32_t> words;

static cvxr_gpu gpu;
static uint64_t gpu_hash = 14695981039346656037u; /* of all that came back */

static void gpu_must(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "%s: %s\n", what, gpu.failed ? gpu.message : "failed");
    exit(1);
}

static void gpu_open(void) {
    memset(&gpu, 0, sizeof gpu);
    gpu_must(cudaStreamCreate(&gpu.stream) == cudaSuccess, "cudaStreamCreate");
    gpu_must(cublasCreate(&gpu.blas) == CUBLAS_STATUS_SUCCESS, "cublasCreate");
    gpu_must(cusolverDnCreate(&gpu.solver) == CUSOLVER_STATUS_SUCCESS, "cusolverDnCreate");
    cublasSetStream(gpu.blas, gpu.stream);
    cusolverDnSetStream(gpu.solver, gpu.stream);
    gpu_must(cudaMalloc(&gpu.sums, CVXR_GPU_SUMS * sizeof(double)) == cudaSuccess,
             "cudaMalloc");
}

static void gpu_close(void) {
    cudaFree(gpu.sums);
    cusolverDnDestroy(gpu.solver);
    cublasDestroy(gpu.blas);
    cudaStreamDestroy(gpu.stream);
}

/* An array on the device, exactly as large as asked. */
template <typename T> struct device {
    T *p;
    size_t n;
    explicit device(size_t count) : p(NULL), n(count) { make(); }
    explicit device(const std::vector<T> &from) : p(NULL), n(from.size()) {
        make();
        if (n) cvxr_cuda_send(&gpu, p, from.data(), n * sizeof(T));
    }
    ~device() { cudaFree(p); }
    std::vector<T> get() const {
        std::vector<T> to(n);
        const unsigned char *b = (const unsigned char *)to.data();
        size_t i;
        cvxr_cuda_fetch(&gpu, to.data(), p, n * sizeof(T));
        gpu_must(!gpu.failed, "fetch");
        for (i = 0; i < n * sizeof(T); i++) gpu_hash = (gpu_hash ^ b[i]) * 1099511628211u;
        return to;
    }

  private:
    device(const device &);
    device &operator=(const device &);
    void make() {
        if (n) gpu_must(cudaMalloc(&p, n * sizeof(T)) == cudaSuccess, "cudaMalloc");
    }
};

static uint64_t gpu_state = 1;

/* Uniform on [-1, 1). */
static double gpu_random(void) {
    gpu_state = gpu_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(gpu_state >> 11) / 4503599627370496.0 - 1;
}

template <typename T> static std::vector<T> gpu_numbers(size_t n) {
    std::vector<T> v(n);
    size_t i;
    for (i = 0; i < n; i++) v[i] = (T)gpu_random();
    return v;
}

/* Rows of d numbers padded to dp with zeros; every `zero`-th row is zero (0: none). */
template <typename T>
static std::vector<T> gpu_rows(size_t rows, size_t d, size_t dp, size_t zero) {
    std::vector<T> v(rows * dp, (T)0);
    size_t i, j;
    for (i = 0; i < rows; i++)
        for (j = 0; j < d && (zero == 0 || i % zero); j++) v[i * dp + j] = (T)gpu_random();
    return v;
}

/* Masks of P patterns over n rows; the bits after the last row are 0. */
static std::vector<uint64_t> gpu_bits(size_t n, size_t P) {
    const size_t w = (n + 63) / 64;
    std::vector<uint64_t> bits(P * w, 0);
    size_t p, i;
    for (p = 0; p < P; p++)
        for (i = 0; i < n; i++)
            if (gpu_random() >= 0) bits[p * w + i / 64] |= (uint64_t)1 << i % 64;
    return bits;
}

static int gpu_bit(const std::vector<uint64_t> &bits, size_t n, size_t p, size_t i) {
    return (int)(bits[p * ((n + 63) / 64) + i / 64] >> i % 64 & 1);
}

/* A model operator in memory of the device. */
template <typename T> struct device_op {
    cvxr_gpu_op<T> op;
    device<T> X, high, low, panel, pack, split;
    device<uint64_t> bits;
    device_op(size_t n, size_t dp, size_t P, size_t c, size_t rows, size_t columns,
              const std::vector<T> &x, const std::vector<uint64_t> &masks, int three)
        : X(x), high(three ? n * dp : 0), low(three ? n * dp : 0), panel(2 * rows * columns),
          pack(2 * columns * dp), split(three ? 2 * c * n : 0), bits(masks) {
        memset(&op, 0, sizeof op);
        op.sides = 1;
        op.n = n, op.dp = dp, op.patterns = P, op.words = (n + 63) / 64, op.outputs = c;
        op.X = X.p, op.bits = bits.p, op.rows = rows, op.columns = columns;
        op.panel = panel.p, op.pack = pack.p, op.split = split.p;
        if (!three) return;
        cvxr_cuda_split(&gpu, n * dp, X.p, high.p, low.p);
        op.X = high.p, op.X_low = low.p;
    }
};

#endif
