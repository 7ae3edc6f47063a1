/* cvxrelu_cuda.cuh - cvxrelu on NVIDIA GPUs: the companion of cvxrelu.h.                 v0.2.0

   Masks stay bits on the device, products run through cuBLAS, vectors never leave the card
   inside a solve. Needs cvxrelu.h, the CUDA runtime, cuBLAS and cuSOLVER; compiled by nvcc as
   C++11, in one file of a project:

       #define CVXRELU_CUDA_IMPLEMENTATION
       #include "cvxrelu_cuda.cuh"

   CONTENTS (search for the tag)
     C01 LAUNCHES AND ERRORS             C02 ELEMENTS AND SUMS
     C03 GROUPS                          C04 PATTERNS
     C05 MODEL OPERATOR                  C06 ONE-SIDED QUADRATICS
     C07 NEWTON'S MATRIX

   TESTED
     Every kernel runs in `make cuda-emulate` on the CPU, from this very source, under the
     address and undefined-behaviour sanitizers: a launch is emulated thread by thread, cuBLAS
     and cuSOLVER by plain loops; each kernel is compared with its twin in cvxrelu.h at odd
     sizes. nvcc compiles all of it for sm_75 to sm_90. NONE OF IT HAS RUN ON A CARD: the
     speeds that the design aims at are not measured. `make cuda-test` and `make cuda-bench`
     are the same programs on a card.

   PRECISION
     float64 work uses float64 products. float32 work multiplies in one of three ways:
     CVXRELU_CUDA_FLOAT32 (plain float32, the default), CVXRELU_CUDA_TF32 (tensor cores, ten
     bits of mantissa: for a first approach only) and CVXRELU_CUDA_TF32X3 (tensor cores; each
     factor is split in two TF32 numbers, whose three larger products are summed: accurate to a
     few units of float32). Sums of products are float32 in all three.

   DETERMINISM
     No floating-point atomics; sums have a fixed order for a given panel size. Same card,
     driver, libraries, options: same bits, as far as cuBLAS promises it. Not those of the CPU.

   LAYOUTS
     X: n rows of dp (columns padded with zeros), which cuBLAS sees as a dp x n matrix. Weights
     U and gradients G: outputs x patterns x sides rows of dp; sides: 1, or 2 (ReLU).
     Predictions z and residuals r: outputs x n. Bits: those of cvxrelu.h (S07), read as 32-bit
     words. Panels: one column of `ld` rows a group, so that neighbouring threads meet
     neighbouring rows of the data.                                                          */

#ifndef CVXRELU_CUDA_CUH
#define CVXRELU_CUDA_CUH

#include "cvxrelu.h"

/* How float32 factors are multiplied. */
typedef enum cvxrelu_cuda_precision {
    CVXRELU_CUDA_FLOAT32 = 0,
    CVXRELU_CUDA_TF32 = 1,
    CVXRELU_CUDA_TF32X3 = 2
} cvxrelu_cuda_precision;

#endif

#if defined(CVXRELU_CUDA_IMPLEMENTATION) && !defined(CVXRELU_CUDA_IMPLEMENTED)
#define CVXRELU_CUDA_IMPLEMENTED

/* ==== C01 LAUNCHES AND ERRORS ============================================================
   One object holds what a launch needs and the first error, after which every call does
   nothing and returns it. The functions cvxr_cuda_... below only enqueue work on the object's
   stream; cvxr_cuda_fetch alone waits.                                                       */

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CVXR_GPU_BLOCK  256 /* threads of a block; 8 warps */
#define CVXR_GPU_WARPS  (CVXR_GPU_BLOCK / 32)
#define CVXR_GPU_GRID   16384 /* blocks of a loop over elements, at most */
#define CVXR_GPU_SUMS   1024  /* partial sums of a reduction, at most */
#define CVXR_GPU_SLICES 32    /* slices of the rows in a sum over columns */
#define CVXR_GPU_FULL   0xffffffffu

typedef struct cvxr_gpu {
    cudaStream_t stream;
    cublasHandle_t blas;       /* on the stream */
    cusolverDnHandle_t solver; /* on the stream */
    double *sums;              /* device, CVXR_GPU_SUMS: partial sums */
    cvxrelu_cuda_precision precision;
    int failed; /* the first error's cvxrelu_result */
    char message[CVXRELU_MESSAGE_SIZE];
} cvxr_gpu;

/* Keeps the first error, in words; returns the error that stands. */
static int cvxr_gpu_fail(cvxr_gpu *g, cvxrelu_result code, const char *what, const char *why) {
    if (g->failed) return g->failed;
    g->failed = (int)code;
    snprintf(g->message, sizeof g->message, "CUDA: %s: %s", what, why);
    return g->failed;
}

static int cvxr_gpu_check(cvxr_gpu *g, cudaError_t error, const char *what) {
    if (error == cudaSuccess) return g->failed;
    return cvxr_gpu_fail(
        g, error == cudaErrorMemoryAllocation ? CVXRELU_ERR_MEMORY : CVXRELU_ERR_NUMERIC, what,
        cudaGetErrorString(error));
}

static int cvxr_gpu_blas(cvxr_gpu *g, cublasStatus_t status, const char *what) {
    if (status == CUBLAS_STATUS_SUCCESS) return g->failed;
    return cvxr_gpu_fail(
        g, status == CUBLAS_STATUS_ALLOC_FAILED ? CVXRELU_ERR_MEMORY : CVXRELU_ERR_NUMERIC,
        what, cublasGetStatusString(status));
}

static int cvxr_gpu_solved(cvxr_gpu *g, cusolverStatus_t status, const char *what) {
    char number[32];
    if (status == CUSOLVER_STATUS_SUCCESS) return g->failed;
    snprintf(number, sizeof number, "cuSOLVER status %d", (int)status);
    return cvxr_gpu_fail(
        g, status == CUSOLVER_STATUS_ALLOC_FAILED ? CVXRELU_ERR_MEMORY : CVXRELU_ERR_NUMERIC,
        what, number);
}

/* A launch on the object's stream; the kernel's name in parentheses. No dimension may be 0. The
   emulation of the tests has its own. */
#ifndef CVXR_LAUNCH
#define CVXR_LAUNCH(g, kernel, grid, block, ...)                                               \
    do {                                                                                       \
        if ((g)->failed) break;                                                                \
        (kernel)<<<(grid), (block), 0, (g)->stream>>>(__VA_ARGS__);                            \
        cvxr_gpu_check((g), cudaGetLastError(), #kernel);                                      \
    } while (0)
#endif

/* `bytes` bytes to the host; waits for all that was enqueued. */
static int cvxr_cuda_fetch(cvxr_gpu *g, void *host, const void *device, size_t bytes) {
    if (g->failed) return g->failed;
    if (bytes > 0)
        cvxr_gpu_check(g,
                       cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, g->stream),
                       "copy to the host");
    return cvxr_gpu_check(g, cudaStreamSynchronize(g->stream), "waiting for the stream");
}

/* From the host; `host` may be changed once this returns. */
static int cvxr_cuda_send(cvxr_gpu *g, void *device, const void *host, size_t bytes) {
    if (g->failed || bytes == 0) return g->failed;
    cvxr_gpu_check(g, cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, g->stream),
                   "copy to the device");
    return cvxr_gpu_check(g, cudaStreamSynchronize(g->stream), "waiting for the stream");
}

static int cvxr_cuda_copy(cvxr_gpu *g, void *to, const void *from, size_t bytes) {
    if (g->failed || bytes == 0) return g->failed;
    return cvxr_gpu_check(g,
                          cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, g->stream),
                          "copy on the device");
}

static int cvxr_cuda_zero(cvxr_gpu *g, void *device, size_t bytes) {
    if (g->failed || bytes == 0) return g->failed;
    return cvxr_gpu_check(g, cudaMemsetAsync(device, 0, bytes, g->stream), "clearing memory");
}

static size_t cvxr_gpu_min(size_t a, size_t b) { return a < b ? a : b; }
static size_t cvxr_gpu_max(size_t a, size_t b) { return a > b ? a : b; }
static size_t cvxr_gpu_parts(size_t n, size_t part) { return n / part + (n % part != 0); }

/* ==== C02 ELEMENTS AND SUMS ==============================================================
   One kernel for all that is done element by element, one for sums and maxima; what they do
   is a small struct. Sums are float64, in two stages of fixed order.
   Twins: S08's vectors, S09, the l1 and l2 penalties of S10.                                 */

template <typename F> __global__ void cvxr_k_each(size_t n, F f) {
    const size_t step = (size_t)gridDim.x * blockDim.x;
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (; i < n; i += step) f(i);
}

template <typename F> static int cvxr_gpu_each(cvxr_gpu *g, size_t n, F f) {
    const size_t blocks = cvxr_gpu_min(cvxr_gpu_parts(n, CVXR_GPU_BLOCK), CVXR_GPU_GRID);
    if (blocks)
        CVXR_LAUNCH(g, (cvxr_k_each<F>), dim3((unsigned)blocks), dim3(CVXR_GPU_BLOCK), n, f);
    return g->failed;
}

/* The sum, or the maximum, of the warp's values, in every lane: the lanes' additions pair off
   alike, so all hold the same bits. */
template <int most> __device__ double cvxr_warp_all(double v) {
    int o;
    for (o = 16; o > 0; o >>= 1) {
        const double w = __shfl_xor_sync(CVXR_GPU_FULL, v, o);
        v = most ? (w > v ? w : v) : v + w;
    }
    return v;
}

/* Of a block of CVXR_GPU_BLOCK threads in one dimension, in thread 0; `warps` is shared. */
template <int most> __device__ double cvxr_block_all(double v, double *warps) {
    int w;
    v = cvxr_warp_all<most>(v);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
    __syncthreads();
    v = warps[0];
    for (w = 1; w < CVXR_GPU_WARPS; w++)
        v = most ? (warps[w] > v ? warps[w] : v) : v + warps[w];
    return v;
}

/* Maxima are of numbers >= 0. */
template <int most, typename F> __global__ void cvxr_k_reduce(size_t n, F f, double *out) {
    __shared__ double warps[CVXR_GPU_WARPS];
    const size_t step = (size_t)gridDim.x * blockDim.x;
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    double v = 0;
    for (; i < n; i += step) {
        const double w = f(i);
        v = most ? (w > v ? w : v) : v + w;
    }
    v = cvxr_block_all<most>(v, warps);
    if (threadIdx.x == 0) out[blockIdx.x] = v;
}

/* Every `stride`-th of an array of doubles. */
struct cvxr_f_entries {
    const double *x;
    size_t stride;
    __device__ double operator()(size_t i) const { return x[i * stride]; }
};

/* *out (device) = the sum, or the maximum and 0, of f(0) .. f(n-1). */
template <int most, typename F>
static int cvxr_gpu_reduce(cvxr_gpu *g, size_t n, F f, double *out) {
    const size_t blocks = cvxr_gpu_min(cvxr_gpu_parts(n, 4 * CVXR_GPU_BLOCK), CVXR_GPU_SUMS);
    cvxr_f_entries partial = { g->sums, 1 };
    if (n == 0) return cvxr_cuda_zero(g, out, sizeof(double));
    CVXR_LAUNCH(g, (cvxr_k_reduce<most, F>), dim3((unsigned)blocks), dim3(CVXR_GPU_BLOCK), n, f,
                blocks == 1 ? out : g->sums);
    if (blocks > 1)
        CVXR_LAUNCH(g, (cvxr_k_reduce<most, cvxr_f_entries>), dim3(1), dim3(CVXR_GPU_BLOCK),
                    blocks, partial, out);
    return g->failed;
}

/* ---- Vectors (twins: S08) --------------------------------------------------------------- */

template <typename T> struct cvxr_f_axpby {
    T a, b;
    const T *x;
    T *y;
    __device__ void operator()(size_t i) const {
        y[i] = b == 0 ? a * x[i] : a * x[i] + b * y[i];
    }
};

/* y = a x + b y; y is not read when b = 0. */
template <typename T>
static int cvxr_cuda_axpby(cvxr_gpu *g, size_t n, double a, const T *x, double b, T *y) {
    cvxr_f_axpby<T> f = { (T)a, (T)b, x, y };
    return cvxr_gpu_each(g, n, f);
}

template <typename A, typename B> struct cvxr_f_convert {
    const A *x;
    B *y;
    __device__ void operator()(size_t i) const { y[i] = (B)x[i]; }
};

template <typename A, typename B>
static int cvxr_cuda_convert(cvxr_gpu *g, size_t n, const A *x, B *y) {
    cvxr_f_convert<A, B> f = { x, y };
    return cvxr_gpu_each(g, n, f);
}

template <typename T> struct cvxr_f_dot {
    const T *x, *y, *z, *w;
    __device__ double operator()(size_t i) const {
        const double left = (double)x[i] - (y ? (double)y[i] : 0.0);
        return left * ((double)z[i] - (w ? (double)w[i] : 0.0));
    }
};

/* *out = <x - y, z - w>; y and w may be NULL. */
template <typename T>
static int cvxr_cuda_dot(cvxr_gpu *g, size_t n, const T *x, const T *y, const T *z, const T *w,
                         double *out) {
    cvxr_f_dot<T> f = { x, y, z, w };
    return cvxr_gpu_reduce<0>(g, n, f, out);
}

/* ---- The squared loss (twins: S09); sums over rows and outputs -------------------------- */

template <typename T> struct cvxr_f_dual {
    const T *z;
    const double *y;
    double units;
    T *theta;
    __device__ void operator()(size_t i) const {
        theta[i] = (T)((y[i] - (double)z[i]) / units);
    }
};

/* theta = -f'(z) / units; z is of the work type, y float64. */
template <typename T>
static int cvxr_cuda_loss_dual(cvxr_gpu *g, size_t n, const T *z, const double *y, double units,
                               T *theta) {
    cvxr_f_dual<T> f = { z, y, units, theta };
    return cvxr_gpu_each(g, n, f);
}

template <typename T> struct cvxr_f_misfit {
    const T *z;
    const double *y;
    __device__ double operator()(size_t i) const {
        const double e = (double)z[i] - y[i];
        return 0.5 * e * e;
    }
};

template <typename T>
static int cvxr_cuda_loss_value(cvxr_gpu *g, size_t n, const T *z, const double *y,
                                double *out) {
    cvxr_f_misfit<T> f = { z, y };
    return cvxr_gpu_reduce<0>(g, n, f, out);
}

template <typename T> struct cvxr_f_excess {
    const T *z1, *z0;
    __device__ double operator()(size_t i) const {
        const double e = (double)z1[i] - (double)z0[i];
        return 0.5 * e * e;
    }
};

/* *out = f(z1) - f(z0) - <f'(z0), z1 - z0>. */
template <typename T>
static int cvxr_cuda_loss_excess(cvxr_gpu *g, size_t n, const T *z1, const T *z0, double *out) {
    cvxr_f_excess<T> f = { z1, z0 };
    return cvxr_gpu_reduce<0>(g, n, f, out);
}

/* ==== C03 GROUPS =========================================================================
   Rows of weights: norms, prox and value of the penalties of S10, the sums of a certificate,
   and the list of rows that are not zero. A warp takes a row; a column is summed in
   CVXR_GPU_SLICES slices of rows. Twins: S10; the list is that of cvxr_fista_forward (S13).  */

/* Blocks for `rows` rows, a warp each. */
static dim3 cvxr_gpu_rows(size_t rows) {
    return dim3((unsigned)cvxr_gpu_min(cvxr_gpu_parts(rows, CVXR_GPU_WARPS), CVXR_GPU_GRID));
}

static dim3 cvxr_gpu_warps(void) { return dim3(32, CVXR_GPU_WARPS); }

template <typename A, typename B>
__device__ double cvxr_row_dot(size_t dp, const A *x, const B *y) {
    double sum = 0;
    size_t j;
    for (j = threadIdx.x; j < dp; j += 32) sum += (double)x[j] * (double)y[j];
    return cvxr_warp_all<0>(sum);
}

/* out[row] = ||row||, or its square. */
template <typename T>
__global__ void cvxr_k_row_norms(size_t rows, size_t dp, const T *U, int square, double *out) {
    const size_t step = (size_t)gridDim.x * blockDim.y;
    size_t row = (size_t)blockIdx.x * blockDim.y + threadIdx.y;
    for (; row < rows; row += step) {
        const double s = cvxr_row_dot(dp, U + row * dp, U + row * dp);
        if (threadIdx.x == 0) out[row] = square ? s : sqrt(s);
    }
}

template <typename T>
static int cvxr_cuda_row_norms(cvxr_gpu *g, size_t rows, size_t dp, const T *U, int square,
                               double *out) {
    if (rows)
        CVXR_LAUNCH(g, (cvxr_k_row_norms<T>), cvxr_gpu_rows(rows), cvxr_gpu_warps(), rows, dp,
                    U, square, out);
    return g->failed;
}

/* ---- Sums over the rows of a column ----------------------------------------------------- */

/* Slice blockIdx.y of sum_row x y, 32 columns a block. */
template <typename A, typename B>
__global__ void cvxr_k_column_slices(size_t rows, size_t dp, const A *x, const B *y,
                                     double *slices) {
    __shared__ double part[CVXR_GPU_WARPS][32];
    const size_t j = (size_t)blockIdx.x * 32 + threadIdx.x;
    size_t row = (size_t)blockIdx.y * CVXR_GPU_WARPS + threadIdx.y;
    double sum = 0;
    int w;
    for (; j < dp && row < rows; row += CVXR_GPU_SLICES * CVXR_GPU_WARPS)
        sum += (double)x[row * dp + j] * (double)y[row * dp + j];
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || j >= dp) return;
    for (w = 1; w < CVXR_GPU_WARPS; w++) sum += part[w][threadIdx.x];
    slices[blockIdx.y * dp + j] = sum;
}

struct cvxr_f_slices {
    size_t dp;
    const double *slices;
    double *out;
    __device__ void operator()(size_t j) const {
        double sum = 0;
        int s;
        for (s = 0; s < CVXR_GPU_SLICES; s++) sum += slices[s * dp + j];
        out[j] = sum;
    }
};

/* out[j] = sum over rows of x[row][j] y[row][j]; slices has CVXR_GPU_SLICES dp numbers. */
template <typename A, typename B>
static int cvxr_cuda_column_sums(cvxr_gpu *g, size_t rows, size_t dp, const A *x, const B *y,
                                 double *slices, double *out) {
    cvxr_f_slices f = { dp, slices, out };
    if (dp)
        CVXR_LAUNCH(g, (cvxr_k_column_slices<A, B>),
                    dim3((unsigned)cvxr_gpu_parts(dp, 32), CVXR_GPU_SLICES), cvxr_gpu_warps(),
                    rows, dp, x, y, slices);
    return cvxr_gpu_each(g, dp, f);
}

/* ---- Prox ------------------------------------------------------------------------------- */

template <typename T>
__global__ void cvxr_k_neuron_prox(size_t rows, size_t dp, T *U, double t) {
    const size_t step = (size_t)gridDim.x * blockDim.y;
    size_t row = (size_t)blockIdx.x * blockDim.y + threadIdx.y, j;
    for (; row < rows; row += step) {
        T *u = U + row * dp;
        const double norm = sqrt(cvxr_row_dot(dp, u, u));
        const T by = norm > t ? (T)(1 - t / norm) : (T)0;
        for (j = threadIdx.x; j < dp; j += 32) u[j] = norm > t ? u[j] * by : (T)0;
    }
}

template <typename T> struct cvxr_f_feature_prox {
    size_t dp;
    const double *squares;
    double t;
    T *U;
    __device__ void operator()(size_t i) const {
        const double norm = sqrt(squares[i % dp]);
        U[i] = norm > t ? U[i] * (T)(1 - t / norm) : (T)0;
    }
};

template <typename T> struct cvxr_f_l1_prox {
    T t, *U;
    __device__ void operator()(size_t i) const {
        U[i] = U[i] > t ? U[i] - t : U[i] < -t ? U[i] + t : (T)0;
    }
};

template <typename T> struct cvxr_f_scale {
    T by, *U;
    __device__ void operator()(size_t i) const { U[i] *= by; }
};

/* The prox of t times the penalty for one output's `rows` patterns. For FEATURE `work` has
   (CVXR_GPU_SLICES + 1) dp numbers, else it may be NULL. */
template <typename T>
static int cvxr_cuda_prox(cvxr_gpu *g, cvxrelu_penalty penalty, size_t rows, size_t dp, T *U,
                          double t, double *work) {
    if (penalty == CVXRELU_PENALTY_NEURON) {
        if (rows)
            CVXR_LAUNCH(g, (cvxr_k_neuron_prox<T>), cvxr_gpu_rows(rows), cvxr_gpu_warps(), rows,
                        dp, U, t);
        return g->failed;
    }
    if (penalty == CVXRELU_PENALTY_FEATURE) {
        double *squares = work + CVXR_GPU_SLICES * dp;
        cvxr_f_feature_prox<T> f = { dp, squares, t, U };
        cvxr_cuda_column_sums(g, rows, dp, U, U, work, squares);
        return cvxr_gpu_each(g, rows * dp, f);
    }
    if (penalty == CVXRELU_PENALTY_L1) {
        cvxr_f_l1_prox<T> f = { (T)t, U };
        return cvxr_gpu_each(g, rows * dp, f);
    }
    cvxr_f_scale<T> f = { (T)(1 / (1 + t)), U };
    return cvxr_gpu_each(g, rows * dp, f);
}

/* ---- Values ----------------------------------------------------------------------------- */

template <typename T> struct cvxr_f_absolute {
    const T *U;
    __device__ double operator()(size_t i) const { return fabs((double)U[i]); }
};

template <typename T> struct cvxr_f_half_square {
    const T *U;
    __device__ double operator()(size_t i) const { return 0.5 * (double)U[i] * (double)U[i]; }
};

struct cvxr_f_root {
    const double *x;
    __device__ double operator()(size_t i) const { return sqrt(x[i]); }
};

/* *out = the penalty of one output's rows, without lambda. `work`: for NEURON `rows` numbers,
   for FEATURE (CVXR_GPU_SLICES + 1) dp. */
template <typename T>
static int cvxr_cuda_penalty(cvxr_gpu *g, cvxrelu_penalty penalty, size_t rows, size_t dp,
                             const T *U, double *work, double *out) {
    cvxr_f_absolute<T> absolute = { U };
    cvxr_f_half_square<T> half_square = { U };
    cvxr_f_root root = { work };
    if (penalty == CVXRELU_PENALTY_L1) return cvxr_gpu_reduce<0>(g, rows * dp, absolute, out);
    if (penalty == CVXRELU_PENALTY_L2)
        return cvxr_gpu_reduce<0>(g, rows * dp, half_square, out);
    if (penalty == CVXRELU_PENALTY_NEURON) {
        cvxr_cuda_row_norms(g, rows, dp, U, 1, work);
        return cvxr_gpu_reduce<0>(g, rows, root, out);
    }
    root.x = work + CVXR_GPU_SLICES * dp;
    cvxr_cuda_column_sums(g, rows, dp, U, U, work, work + CVXR_GPU_SLICES * dp);
    return cvxr_gpu_reduce<0>(g, dp, root, out);
}

/* ---- The sums of a certificate (cvxr_penalty_sums of S10) ------------------------------- */

#define CVXR_GPU_SWEEP 5 /* numbers a row: most, row, value, product, subgradient */

/* What one entry adds to value, product and subgradient, and its |G| to most. */
__device__ inline void cvxr_sweep_entry(cvxrelu_penalty penalty, double G, double u, double lam,
                                        double *s) {
    const double a = fabs(G);
    double e = lam * u - G;
    s[0] = a > s[0] ? a : s[0];
    if (penalty == CVXRELU_PENALTY_L1)
        e = u > 0 ? lam - G : u < 0 ? lam + G : a > lam ? a - lam : 0.0;
    s[2] += penalty == CVXRELU_PENALTY_L1 ? fabs(u) : 0.5 * u * u;
    s[3] += u * G;
    s[4] += e * e;
}

/* The distance of 0 from lam d||u|| - G for a row. */
template <typename S, typename T>
__device__ void cvxr_sweep_group(size_t dp, const S *G, const T *u, double lam, double *s) {
    const double norm = sqrt(s[1]), size = sqrt(cvxr_row_dot(dp, u, u));
    double sum = 0;
    size_t j;
    for (j = threadIdx.x; size > 0 && j < dp; j += 32) {
        const double e = lam * ((double)u[j] / size) - (double)G[j];
        sum += e * e;
    }
    sum = cvxr_warp_all<0>(sum);
    s[0] = norm;
    s[2] = size;
    s[3] = cvxr_row_dot(dp, G, u);
    s[4] = size > 0 ? sum : norm > lam ? (norm - lam) * (norm - lam) : 0.0;
}

/* G: gradients X^T D theta of the rows; U: their weights. Not for FEATURE. */
template <typename S, typename T>
__global__ void cvxr_k_sweep(cvxrelu_penalty penalty, size_t rows, size_t dp, const S *G,
                             const T *U, double lam, double *out) {
    const size_t step = (size_t)gridDim.x * blockDim.y;
    size_t row = (size_t)blockIdx.x * blockDim.y + threadIdx.y, j;
    int k;
    for (; row < rows; row += step) {
        double s[CVXR_GPU_SWEEP] = { 0, 0, 0, 0, 0 };
        const S *left = G + row * dp;
        const T *u = U + row * dp;
        s[1] = cvxr_row_dot(dp, left, left);
        if (penalty == CVXRELU_PENALTY_NEURON) cvxr_sweep_group(dp, left, u, lam, s);
        else {
            for (j = threadIdx.x; j < dp; j += 32)
                cvxr_sweep_entry(penalty, (double)left[j], (double)u[j], lam, s);
            s[0] = cvxr_warp_all<1>(s[0]);
            for (k = 2; k < CVXR_GPU_SWEEP; k++) s[k] = cvxr_warp_all<0>(s[k]);
        }
        for (k = 0; threadIdx.x == 0 && k < CVXR_GPU_SWEEP; k++)
            out[row * CVXR_GPU_SWEEP + k] = s[k];
    }
}

/* sums (device, CVXR_GPU_SWEEP) = most, row, value, product, subgradient (L2: distance) over
   the rows; `work` has CVXR_GPU_SWEEP rows numbers. FEATURE: three cvxr_cuda_column_sums, of
   G G, U U and U G, are cvxr_penalty_sums.columns. */
template <typename S, typename T>
static int cvxr_cuda_sweep(cvxr_gpu *g, cvxrelu_penalty penalty, size_t rows, size_t dp,
                           const S *G, const T *U, double lam, double *work, double *sums) {
    int k;
    if (rows)
        CVXR_LAUNCH(g, (cvxr_k_sweep<S, T>), cvxr_gpu_rows(rows), cvxr_gpu_warps(), penalty,
                    rows, dp, G, U, lam, work);
    for (k = 0; k < CVXR_GPU_SWEEP; k++) {
        cvxr_f_entries f = { work + k, CVXR_GPU_SWEEP };
        if (k < 2) cvxr_gpu_reduce<1>(g, rows, f, sums + k);
        else cvxr_gpu_reduce<0>(g, rows, f, sums + k);
    }
    return g->failed;
}

/* ---- The rows that are not zero --------------------------------------------------------- */

/* flags[row] = 1 where the row is not zero. */
template <typename T>
__global__ void cvxr_k_row_flags(size_t rows, size_t dp, const T *U, uint32_t *flags) {
    const size_t step = (size_t)gridDim.x * blockDim.y;
    size_t row = (size_t)blockIdx.x * blockDim.y + threadIdx.y, j;
    for (; row < rows; row += step) {
        int any = 0;
        for (j = threadIdx.x; j < dp; j += 32) any |= U[row * dp + j] != (T)0;
        any = __ballot_sync(CVXR_GPU_FULL, any) != 0;
        if (threadIdx.x == 0) flags[row] = (uint32_t)any;
    }
}

/* In each thread of the block, how many of the threads before it have `flag`; in *all, how
   many have it. `warps` is shared. */
__device__ inline uint32_t cvxr_block_rank(int flag, uint32_t *warps, uint32_t *all) {
    const uint32_t votes = __ballot_sync(CVXR_GPU_FULL, flag), lane = threadIdx.x % 32;
    uint32_t before = (uint32_t)__popc(votes & ((1u << lane) - 1u)), sum = 0, w;
    if (lane == 0) warps[threadIdx.x / 32] = (uint32_t)__popc(votes);
    __syncthreads();
    for (w = 0; w < CVXR_GPU_WARPS; w++) {
        if (w == threadIdx.x / 32) before += sum;
        sum += warps[w];
    }
    __syncthreads();
    *all = sum;
    return before;
}

/* counts[block] = flags set among the block's rows. */
__global__ void cvxr_k_count(size_t rows, const uint32_t *flags, uint32_t *counts) {
    __shared__ uint32_t warps[CVXR_GPU_WARPS];
    const size_t row = (size_t)blockIdx.x * CVXR_GPU_BLOCK + threadIdx.x;
    uint32_t all;
    (void)cvxr_block_rank(row < rows && flags[row], warps, &all);
    if (threadIdx.x == 0) counts[blockIdx.x] = all;
}

/* counts[b] becomes the sum of those before it; one block of one warp, 32 at a time. */
__global__ void cvxr_k_scan(size_t count, uint32_t *counts) {
    uint32_t before = 0;
    size_t b;
    for (b = 0; b < count; b += 32) {
        const uint32_t own = b + threadIdx.x < count ? counts[b + threadIdx.x] : 0;
        uint32_t sum = own;
        unsigned o;
        for (o = 1; o < 32; o *= 2) {
            const uint32_t left = __shfl_up_sync(CVXR_GPU_FULL, sum, o);
            if (threadIdx.x >= o) sum += left;
        }
        if (b + threadIdx.x < count) counts[b + threadIdx.x] = before + sum - own;
        before += __shfl_sync(CVXR_GPU_FULL, sum, 31);
    }
}

/* at[...] = the flagged rows in order; starts[k] = how many are before row k per,
   k = 0 .. c. */
__global__ void cvxr_k_list(size_t rows, size_t per, const uint32_t *flags,
                            const uint32_t *before, uint32_t *at, uint32_t *starts) {
    __shared__ uint32_t warps[CVXR_GPU_WARPS];
    const size_t row = (size_t)blockIdx.x * CVXR_GPU_BLOCK + threadIdx.x;
    const int flag = row < rows && flags[row];
    uint32_t all, place = before[blockIdx.x] + cvxr_block_rank(flag, warps, &all);
    if (flag) at[place] = (uint32_t)row;
    if (row < rows && row % per == 0) starts[row / per] = place;
    if (row + 1 == rows) starts[rows / per] = place + (uint32_t)flag;
}

template <typename T>
static int cvxr_cuda_flags(cvxr_gpu *g, size_t rows, size_t dp, const T *U, uint32_t *flags) {
    if (rows)
        CVXR_LAUNCH(g, (cvxr_k_row_flags<T>), cvxr_gpu_rows(rows), cvxr_gpu_warps(), rows, dp,
                    U, flags);
    return g->failed;
}

struct cvxr_f_either {
    const uint32_t *other;
    uint32_t *flags;
    __device__ void operator()(size_t i) const { flags[i] |= other[i]; }
};

/* Flags where either had one. */
static int cvxr_cuda_either(cvxr_gpu *g, size_t rows, const uint32_t *other, uint32_t *flags) {
    cvxr_f_either f = { other, flags };
    return cvxr_gpu_each(g, rows, f);
}

/* The list of the flagged ones of c `per` rows (below 2^32). at: c per, counts: c per /
   CVXR_GPU_BLOCK rounded up, starts: c + 1 places, all on the device. */
static int cvxr_cuda_list(cvxr_gpu *g, size_t c, size_t per, const uint32_t *flags,
                          uint32_t *counts, uint32_t *at, uint32_t *starts) {
    const size_t rows = c * per, blocks = cvxr_gpu_parts(rows, CVXR_GPU_BLOCK);
    const dim3 grid((unsigned)blocks), block(CVXR_GPU_BLOCK);
    if (rows == 0) return cvxr_cuda_zero(g, starts, (c + 1) * sizeof *starts);
    CVXR_LAUNCH(g, (cvxr_k_count), grid, block, rows, flags, counts);
    CVXR_LAUNCH(g, (cvxr_k_scan), dim3(1), dim3(32), blocks, counts);
    CVXR_LAUNCH(g, (cvxr_k_list), grid, block, rows, per, flags, counts, at, starts);
    return g->failed;
}

/* ---- Rows by their numbers -------------------------------------------------------------- */

template <typename T> struct cvxr_f_gather {
    size_t dp;
    const uint32_t *at;
    const T *U;
    T *to;
    __device__ void operator()(size_t i) const { to[i] = U[(size_t)at[i / dp] * dp + i % dp]; }
};

/* Row j of `to` = row at[j] of U. */
template <typename T>
static int cvxr_cuda_gather(cvxr_gpu *g, size_t count, size_t dp, const uint32_t *at,
                            const T *U, T *to) {
    cvxr_f_gather<T> f = { dp, at, U, to };
    return cvxr_gpu_each(g, count * dp, f);
}

template <typename T> struct cvxr_f_scatter {
    size_t dp;
    const uint32_t *at;
    T a, b;
    const T *from;
    T *U;
    __device__ void operator()(size_t i) const {
        T *to = U + (size_t)at[i / dp] * dp + i % dp;
        *to = b == 0 ? a * from[i] : a * from[i] + b * *to;
    }
};

/* Row at[j] of U = a times row j of `from` + b times itself, not read when b = 0; the rows
   differ. */
template <typename T>
static int cvxr_cuda_scatter(cvxr_gpu *g, size_t count, size_t dp, const uint32_t *at, double a,
                             const T *from, double b, T *U) {
    cvxr_f_scatter<T> f = { dp, at, (T)a, (T)b, from, U };
    return cvxr_gpu_each(g, count * dp, f);
}

template <typename T> struct cvxr_f_add_rest {
    size_t dp;
    const uint32_t *flags;
    T a;
    const T *from;
    T *U;
    __device__ void operator()(size_t i) const {
        if (flags[i / dp] == 0) U[i] += a * from[i];
    }
};

/* U += a from in the rows that are not flagged. */
template <typename T>
static int cvxr_cuda_add_rest(cvxr_gpu *g, size_t rows, size_t dp, const uint32_t *flags,
                              double a, const T *from, T *U) {
    cvxr_f_add_rest<T> f = { dp, flags, (T)a, from, U };
    return cvxr_gpu_each(g, rows * dp, f);
}

template <typename T> struct cvxr_f_rest_square {
    size_t dp;
    const uint32_t *flags;
    const T *U;
    __device__ double operator()(size_t i) const {
        return flags[i / dp] ? 0.0 : (double)U[i] * (double)U[i];
    }
};

/* *out = the sum of squares of the rows that are not flagged. */
template <typename T>
static int cvxr_cuda_rest_squares(cvxr_gpu *g, size_t rows, size_t dp, const uint32_t *flags,
                                  const T *U, double *out) {
    cvxr_f_rest_square<T> f = { dp, flags, U };
    return cvxr_gpu_reduce<0>(g, rows * dp, f, out);
}

/* ==== C04 PATTERNS =======================================================================
   Signs of X g for gates that the host's generator drew, in float64. A product with margin
   has the same sign whatever the order of its sum, so the bits are those of S07; a gate with a
   product within twice the margin is counted in `doubts` and left to the host.
   Twins: cvxr_block_signs_plain, cvxr_near_ties (S07).                                       */

/* Is the row off zero on the gate's support, in the solver's or the caller's coordinates? */
__device__ inline int cvxr_off_support(size_t d, const double *x, const double *gate,
                                       const unsigned char *shifted) {
    size_t k;
    for (k = 0; k < d; k++)
        if (gate[k] != 0 && (x[k] != 0 || shifted[k])) return 1;
    return 0;
}

/* Bits of gate blockIdx.y from its products z, 256 rows a block; the bits after the last row
   are 0. */
__global__ void cvxr_k_signs(size_t n, size_t d, size_t ldx, const double *X,
                             const double *gates, const double *z, const double *margin,
                             const double *norms, const unsigned char *shifted, size_t words32,
                             uint32_t *bits, uint32_t *doubts) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x, p = blockIdx.y;
    const double product = i < n ? z[p * n + i] : -1.0;
    const uint32_t word = __ballot_sync(CVXR_GPU_FULL, product >= 0);
    if (threadIdx.x % 32 == 0 && i / 32 < words32) bits[p * words32 + i / 32] = word;
    if (i < n && fabs(product) <= 2 * margin[i] * norms[p]
        && cvxr_off_support(d, X + i * ldx, gates + p * d, shifted))
        atomicAdd(&doubts[p], 1u);
}

#define CVXR_GPU_GATES 1024 /* gates of a call, at most: the panel of products has n rows */

/* bits (count x words) and doubts (count) of `count` gates, rows of d. margin: n, norms of the
   gates: count, shifted: d flags; z: room for n x count products, count <= CVXR_GPU_GATES. All
   on the device. */
static int cvxr_cuda_patterns(cvxr_gpu *g, size_t n, size_t d, size_t ldx, const double *X,
                              size_t count, const double *gates, const double *margin,
                              const double *norms, const unsigned char *shifted, double *z,
                              uint64_t *bits, uint32_t *doubts) {
    const size_t words32 = (n + 63) / 64 * 2;
    const double one = 1, zero = 0;
    if (g->failed || count == 0 || n == 0) return g->failed;
    cvxr_gpu_blas(g,
                  cublasDgemm(g->blas, CUBLAS_OP_T, CUBLAS_OP_N, (int)n, (int)count, (int)d,
                              &one, X, (int)ldx, gates, (int)d, &zero, z, (int)n),
                  "products of gates");
    cvxr_cuda_zero(g, doubts, count * sizeof *doubts);
    CVXR_LAUNCH(g, (cvxr_k_signs),
                dim3((unsigned)cvxr_gpu_parts(32 * words32, CVXR_GPU_BLOCK), (unsigned)count),
                dim3(CVXR_GPU_BLOCK), n, d, ldx, X, gates, z, margin, norms, shifted, words32,
                (uint32_t *)bits, doubts);
    return g->failed;
}

/* ==== C05 MODEL OPERATOR =================================================================
   Forward z_k = sum_p D_p X u_kp and gradient G_kp = X^T (D_p o r_k) for a list of groups of
   all outputs: products with X by cuBLAS, in panels of `rows` rows of the data and `columns`
   groups. Forward folds a panel X U^T under the masks; the gradient multiplies X^T with a
   panel of masked residuals. A panel that stays in the card's second-level cache makes no
   traffic with its memory. The fused form (float32 by tensor cores) has no panels.
   Twins: cvxr_forward, cvxr_gradient (S08).                                                  */

template <typename T> struct cvxr_gpu_op {
    size_t n, dp, patterns, words, outputs;
    size_t sides;         /* rows of U a pattern: 1, or 2 for ReLU */
    int fused;            /* TF32 and TF32X3 by the fused kernels; panels are not used then */
    const T *X;           /* n x dp; with TF32X3 in panels its TF32 part */
    const T *X_low;       /* with TF32X3 in panels what is missing, else NULL */
    const uint64_t *bits; /* patterns x words */
    size_t rows, columns; /* of a panel; rows is a multiple of 64 */
    T *panel;             /* rows x columns; with TF32X3 twice that */
    T *pack;              /* columns x dp; with TF32X3 twice that */
    T *split;             /* with TF32X3: 2 x outputs x n */
};

/* Groups by their rows of U, in order: all when `at` is NULL. Row q is of pattern q / sides % P
   and output q / (sides P). */
typedef struct cvxr_gpu_list {
    size_t count;
    int packed;                  /* U has the list's rows alone, as gradients have */
    const uint32_t *at;          /* device: count rows of U */
    const uint32_t *starts;      /* device: outputs + 1 */
    const uint32_t *host_starts; /* the same on the host */
} cvxr_gpu_list;

/* The largest panel of at most `bytes` that is about square, and not larger than needed. */
static void cvxr_gpu_panel(size_t n, size_t groups, size_t element, size_t bytes, size_t *rows,
                           size_t *columns) {
    const size_t all = cvxr_gpu_max(bytes / element, 64), most = cvxr_gpu_parts(n, 64) * 64;
    size_t side = (size_t)sqrt((double)all) / 64 * 64;
    groups = cvxr_gpu_max(groups, 1);
    if (groups < side) side = all / groups / 64 * 64;
    *rows = cvxr_gpu_max(cvxr_gpu_min(side, most), 64);
    *columns = cvxr_gpu_max(cvxr_gpu_min(all / *rows, groups), 1);
}

/* ---- Products --------------------------------------------------------------------------- */

/* C = op(A) B + beta C, column-major. Products in TF32 are exact where both factors are TF32
   numbers. */
static int cvxr_gpu_gemm(cvxr_gpu *g, int tf32, int turn, size_t m, size_t n, size_t k,
                         const float *A, size_t lda, const float *B, size_t ldb, float beta,
                         float *C, size_t ldc) {
    const float one = 1;
    const cublasComputeType_t type = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    if (g->failed || m == 0 || n == 0) return g->failed;
    return cvxr_gpu_blas(g,
                         cublasGemmEx(g->blas, turn ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N,
                                      (int)m, (int)n, (int)k, &one, A, CUDA_R_32F, (int)lda, B,
                                      CUDA_R_32F, (int)ldb, &beta, C, CUDA_R_32F, (int)ldc,
                                      type, CUBLAS_GEMM_DEFAULT),
                         "a product");
}

static int cvxr_gpu_gemm(cvxr_gpu *g, int, int turn, size_t m, size_t n, size_t k,
                         const double *A, size_t lda, const double *B, size_t ldb, double beta,
                         double *C, size_t ldc) {
    const double one = 1;
    if (g->failed || m == 0 || n == 0) return g->failed;
    return cvxr_gpu_blas(g,
                         cublasDgemm(g->blas, turn ? CUBLAS_OP_T : CUBLAS_OP_N, CUBLAS_OP_N,
                                     (int)m, (int)n, (int)k, &one, A, (int)lda, B, (int)ldb,
                                     &beta, C, (int)ldc),
                         "a product");
}

/* The nearest number with ten bits of mantissa, ties away from zero, as cvt.rna.tf32 has it. */
__host__ __device__ inline float cvxr_tf32(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & 0xffffe000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

struct cvxr_f_split {
    const float *x;
    float *high, *low;
    __device__ void operator()(size_t i) const {
        const float all = x[i], top = cvxr_tf32(all);
        low[i] = cvxr_tf32(all - top);
        high[i] = top;
    }
};

/* x = high + low to 21 bits; high may be x. float64 is never split. */
static int cvxr_cuda_split(cvxr_gpu *g, size_t n, const float *x, float *high, float *low) {
    cvxr_f_split f = { x, high, low };
    return cvxr_gpu_each(g, n, f);
}

static int cvxr_cuda_split(cvxr_gpu *g, size_t, const double *, double *, double *) {
    return cvxr_gpu_fail(g, CVXRELU_ERR_UNSUPPORTED, "a split", "float64 is not split in TF32");
}

/* C = op(X) B + beta C for rows row0 .. of X, B low part where X has one: small terms first. */
template <typename T>
static int cvxr_gpu_times(cvxr_gpu *g, const cvxr_gpu_op<T> *op, int turn, size_t row0,
                          size_t m, size_t n, size_t k, const T *B, const T *B_low, size_t ldb,
                          T beta, T *C, size_t ldc) {
    const T *X = op->X + row0 * op->dp, *low = op->X_low;
    if (low) {
        low += row0 * op->dp;
        cvxr_gpu_gemm(g, 1, turn, m, n, k, low, op->dp, B, ldb, beta, C, ldc);
        cvxr_gpu_gemm(g, 1, turn, m, n, k, X, op->dp, B_low, ldb, (T)1, C, ldc);
        beta = (T)1;
    }
    return cvxr_gpu_gemm(g, low != NULL || g->precision == CVXRELU_CUDA_TF32, turn, m, n, k, X,
                         op->dp, B, ldb, beta, C, ldc);
}

/* ---- Masks ------------------------------------------------------------------------------ */

/* z_k += the masked columns of a panel that belong to output k = k0 + blockIdx.y: a warp's
   lanes are 32 rows, its columns every eighth; warp 0 adds the eight sums in order. */
template <typename T>
__global__ void cvxr_k_fold(size_t rows, size_t row0, size_t first, size_t last, size_t k0,
                            const uint32_t *at, const uint32_t *starts, size_t per,
                            size_t sides, const uint32_t *bits, size_t words32, const T *panel,
                            size_t ld, size_t n, T *z) {
    __shared__ T part[CVXR_GPU_WARPS][32];
    const size_t i = (size_t)blockIdx.x * 32 + threadIdx.x, k = k0 + blockIdx.y;
    const size_t from = starts ? starts[k] : k * per, to = starts ? starts[k + 1] : from + per;
    const size_t end = to < last ? to : last, word = row0 / 32 + blockIdx.x;
    size_t q = (from > first ? from : first) + threadIdx.y;
    T sum = 0;
    int w;
#pragma unroll 4
    for (; q < end; q += CVXR_GPU_WARPS) {
        const size_t p = ((at ? at[q] : q) - k * per) / sides;
        if (bits[p * words32 + word] >> threadIdx.x & 1) sum += panel[(q - first) * ld + i];
    }
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y || i >= rows) return;
    for (w = 1; w < CVXR_GPU_WARPS; w++) sum += part[w][threadIdx.x];
    z[k * n + row0 + i] += sum;
}

/* panel column q - first = D_p r_k for group q: rows of 32 a warp, columns in turn. */
template <typename T>
__global__ void cvxr_k_spread(size_t rows, size_t row0, size_t first, size_t last,
                              const uint32_t *at, size_t per, size_t sides,
                              const uint32_t *bits, size_t words32, const T *r, size_t n,
                              T *panel, size_t ld) {
    const size_t i = (size_t)blockIdx.x * 32 + threadIdx.x, word = row0 / 32 + blockIdx.x;
    const size_t step = (size_t)gridDim.y * CVXR_GPU_WARPS;
    size_t q = first + (size_t)blockIdx.y * CVXR_GPU_WARPS + threadIdx.y;
    for (; i < rows && q < last; q += step) {
        const uint32_t group = at ? at[q] : (uint32_t)q, k = group / (uint32_t)per;
        const uint32_t p = (group - k * (uint32_t)per) / (uint32_t)sides;
        const uint32_t mask = bits[p * words32 + word];
        panel[(q - first) * ld + i] = mask >> threadIdx.x & 1 ? r[k * n + row0 + i] : (T)0;
    }
}

/* The outputs that groups first .. last - 1 belong to. */
static void cvxr_gpu_outputs(const cvxr_gpu_list *list, size_t per, size_t first, size_t last,
                             size_t *k0, size_t *k1) {
    *k0 = first / per, *k1 = (last - 1) / per + 1;
    if (list->at == NULL) return;
    for (*k0 = 0; list->host_starts[*k0 + 1] <= first;) ++*k0;
    for (*k1 = *k0 + 1; list->host_starts[*k1] < last;) ++*k1;
}

/* ---- Tensor cores and asynchronous copies ----------------------------------------------
   The only instructions that differ by architecture, behind four functions. Before sm_80 they
   are plain loops; the tests' emulation has its own, which rounds factors to TF32. */

/* The 16 x 8 product of a warp, d += a b over 8 terms: lane l = 4 g + t has rows g and g + 8
   and columns 2 t, 2 t + 1 of d; rows g, g + 8 and terms t, t + 4 of a; column g and terms t,
   t + 4 of b. Factors are TF32 numbers as bits. */
__device__ inline void cvxr_mma(float *d, const uint32_t *a, const uint32_t *b) {
#ifdef CVXRELU_CUDA_EMULATED
    emu_mma(d, a, b, __LINE__);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    const unsigned lane = threadIdx.x % 32, row = lane / 4, column = lane % 4 * 2;
    unsigned k, e;
    for (k = 0; k < 8; k++) {
        float rows[2], columns[2];
        for (e = 0; e < 2; e++) {
            const unsigned from = row * 4 + k % 4, other = (column + e) * 4 + k % 4;
            const uint32_t low = __shfl_sync(CVXR_GPU_FULL, a[e], from);
            const uint32_t high = __shfl_sync(CVXR_GPU_FULL, a[2 + e], from);
            const uint32_t left = __shfl_sync(CVXR_GPU_FULL, b[0], other);
            const uint32_t right = __shfl_sync(CVXR_GPU_FULL, b[1], other);
            const uint32_t x = k < 4 ? low : high, y = k < 4 ? left : right;
            memcpy(&rows[e], &x, sizeof x);
            memcpy(&columns[e], &y, sizeof y);
        }
        for (e = 0; e < 4; e++) d[e] += rows[e / 2] * columns[e % 2];
    }
#endif
}

/* Starts to copy 16 bytes (aligned) to shared memory, or zeros when not `valid`. */
__device__ inline void cvxr_copy_start(float *shared, const float *from, int valid) {
#ifdef CVXRELU_CUDA_EMULATED
    emu_copy_start(shared, from, valid ? 16 : 0);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (unsigned)__cvta_generic_to_shared(shared)),
                 "l"(from), "r"(valid ? 16 : 0));
#else
    int i;
    for (i = 0; i < 4; i++) shared[i] = valid ? from[i] : 0.0f;
#endif
}

/* What was started since the last call is one lot. */
__device__ inline void cvxr_copy_lot(void) {
#ifdef CVXRELU_CUDA_EMULATED
    emu_copy_lot();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;");
#endif
}

/* Waits until all of the thread's lots but the last `open` have arrived. */
template <int open> __device__ void cvxr_copy_wait(void) {
#ifdef CVXRELU_CUDA_EMULATED
    emu_copy_wait(open);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(open) : "memory");
#endif
}

/* ---- Fused forward and gradient (float32) ------------------------------------------------
   The masks act on the accumulators (forward) or on the operand as it is made (gradient), so
   that no panel is ever stored. A block of 8 warps makes tiles of 128 x 64, a warp 32 x 32;
   three stages of operands in shared memory. `parts` is 1 (TF32) or 3 (3 x TF32). */

#define CVXR_FUSED_M      128
#define CVXR_FUSED_N      64
#define CVXR_FUSED_STAGES 3

/* x as a TF32 number, and with three parts what that leaves. */
template <int parts> __device__ void cvxr_parts(float x, uint32_t *high, uint32_t *low) {
    const float top = cvxr_tf32(x), rest = cvxr_tf32(x - top);
    memcpy(high, &top, sizeof top);
    if (parts == 3) memcpy(low, &rest, sizeof rest);
}

/* A warp's 32 x 32 products over 8 terms; a: two times 16 rows, b: one time 8 columns. */
template <int parts>
__device__ void cvxr_fused_step(float d[4][4][2], unsigned c, uint32_t a[2][2][4],
                                uint32_t b[2][2]) {
    int r, e;
    for (r = 0; r < 2; r++) {
        float t[4];
        for (e = 0; e < 4; e++) t[e] = d[2 * r + e / 2][c][e % 2];
        if (parts == 3) cvxr_mma(t, a[1][r], b[0]), cvxr_mma(t, a[0][r], b[1]);
        cvxr_mma(t, a[0][r], b[0]);
        for (e = 0; e < 4; e++) d[2 * r + e / 2][c][e % 2] = t[e];
    }
}

/* What the fused kernels know of a list. */
struct cvxr_fused {
    size_t n, dp, per, sides, words32;
    const uint32_t *at, *starts, *bits;
    int packed;
    __device__ size_t first(size_t k) const { return starts ? starts[k] : k * per; }
    __device__ size_t group(size_t q) const { return at ? at[q] : q; }
    __device__ size_t pattern(size_t q, size_t k) const { return (group(q) - k * per) / sides; }
};

/* Forward's shared memory, 48 KB: 16 columns of the data and of the weights, and masks. */
struct __align__(16) cvxr_forward_tile {
    float X[CVXR_FUSED_STAGES][CVXR_FUSED_M][20]; /* 20: no two lanes of a load meet */
    float U[CVXR_FUSED_STAGES][CVXR_FUSED_N][20];
    uint32_t masks[CVXR_FUSED_STAGES][4][CVXR_FUSED_N]; /* 32 rows a word */
};

/* Starts stage `step`: 16 terms of tile step / terms. Masks come with a tile's first terms. */
__device__ inline void cvxr_forward_load(const cvxr_fused &f, cvxr_forward_tile &s, size_t step,
                                         size_t steps, size_t terms, size_t k, const float *X,
                                         const float *U) {
    const unsigned stage = (unsigned)(step % CVXR_FUSED_STAGES), part = threadIdx.x % 4 * 4;
    const size_t tile = step / terms, j = step % terms * 16 + part, end = f.first(k + 1);
    unsigned r = threadIdx.x / 4, c;
    size_t i, q = f.first(k) + tile * CVXR_FUSED_N + r;
    if (step < steps) {
        for (c = 0; c < 2; c++) {
            i = (size_t)blockIdx.x * CVXR_FUSED_M + r + 64 * c;
            cvxr_copy_start(&s.X[stage][r + 64 * c][part],
                            i < f.n && j < f.dp ? X + i * f.dp + j : X, i < f.n && j < f.dp);
        }
        i = q < end ? f.packed ? q : f.group(q) : 0;
        cvxr_copy_start(&s.U[stage][r][part], q < end && j < f.dp ? U + i * f.dp + j : X,
                        q < end && j < f.dp);
        if (step % terms == 0) {
            const size_t word = (size_t)blockIdx.x * 4 + threadIdx.x / CVXR_FUSED_N;
            r = threadIdx.x % CVXR_FUSED_N;
            q = f.first(k) + tile * CVXR_FUSED_N + r;
            s.masks[tile % CVXR_FUSED_STAGES][threadIdx.x / CVXR_FUSED_N][r] =
                q < end && word < f.words32 ? f.bits[f.pattern(q, k) * f.words32 + word] : 0;
        }
    }
    cvxr_copy_lot();
}

/* z_k for 128 rows of the data (blockIdx.x) and output k = blockIdx.y. */
template <int parts>
__global__ void __launch_bounds__(CVXR_GPU_BLOCK)
    cvxr_k_fused_forward(cvxr_fused f, const float *X, const float *U, float *z) {
    __shared__ cvxr_forward_tile s;
    const size_t k = blockIdx.y, terms = (f.dp + 15) / 16;
    const size_t tiles = (f.first(k + 1) - f.first(k) + CVXR_FUSED_N - 1) / CVXR_FUSED_N;
    const unsigned warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const unsigned row = warp % 4 * 32, column = warp / 4 * 32;
    float d[4][4][2], sum[4] = { 0, 0, 0, 0 }, *sums = (float *)(void *)s.masks;
    size_t step;
    unsigned r, c, e, h;
    memset(d, 0, sizeof d);
    for (step = 0; step < 2; step++)
        cvxr_forward_load(f, s, step, tiles * terms, terms, k, X, U);
    for (step = 0; step < tiles * terms; step++) {
        const unsigned stage = (unsigned)(step % CVXR_FUSED_STAGES);
        cvxr_copy_wait<1>();
        __syncthreads();
        cvxr_forward_load(f, s, step + 2, tiles * terms, terms, k, X, U);
        for (h = 0; h < 16; h += 8) {
            uint32_t a[2][2][4], b[2][2];
            for (r = 0; r < 2; r++)
                for (e = 0; e < 4; e++)
                    cvxr_parts<parts>(
                        s.X[stage][row + 16 * r + e % 2 * 8 + g][h + t + e / 2 * 4],
                        &a[0][r][e], &a[1][r][e]);
            for (c = 0; c < 4; c++) {
                for (e = 0; e < 2; e++)
                    cvxr_parts<parts>(s.U[stage][column + 8 * c + g][h + t + 4 * e], &b[0][e],
                                      &b[1][e]);
                cvxr_fused_step<parts>(d, c, a, b);
            }
        }
        if ((step + 1) % terms) continue;
        for (c = 0; c < 4; c++)
            for (e = 0; e < 2; e++) {
                const uint32_t mask = s.masks[step / terms % CVXR_FUSED_STAGES][warp % 4]
                                             [column + 8 * c + 2 * t + e];
                for (r = 0; r < 4; r++)
                    if (mask >> (8 * r + g) & 1) sum[r] += d[r][c][e];
            }
        memset(d, 0, sizeof d);
    }
    cvxr_copy_wait<0>();
    __syncthreads();
    for (r = 0; r < 4; r++) {
        sum[r] += __shfl_xor_sync(CVXR_GPU_FULL, sum[r], 1);
        sum[r] += __shfl_xor_sync(CVXR_GPU_FULL, sum[r], 2);
        if (t == 0) sums[warp / 4 * CVXR_FUSED_M + row + 8 * r + g] = sum[r];
    }
    __syncthreads();
    step = (size_t)blockIdx.x * CVXR_FUSED_M + threadIdx.x;
    if (threadIdx.x < CVXR_FUSED_M && step < f.n)
        z[k * f.n + step] = sums[threadIdx.x] + sums[CVXR_FUSED_M + threadIdx.x];
}

/* The gradient's: 32 rows of the data, their residuals, and the groups' masks over them. */
struct __align__(16) cvxr_gradient_tile {
    float X[CVXR_FUSED_STAGES][32][CVXR_FUSED_N + 8];
    float r[CVXR_FUSED_STAGES][32];
    uint32_t masks[CVXR_FUSED_STAGES][CVXR_FUSED_M];
};

__device__ inline void cvxr_gradient_load(const cvxr_fused &f, cvxr_gradient_tile &s,
                                          size_t step, size_t steps, size_t k, size_t first,
                                          const float *X, const float *r) {
    const unsigned stage = (unsigned)(step % CVXR_FUSED_STAGES), part = threadIdx.x % 16 * 4;
    const size_t j = (size_t)blockIdx.x * CVXR_FUSED_N + part, q = first + threadIdx.x;
    unsigned c;
    if (step < steps) {
        for (c = threadIdx.x / 16; c < 32; c += 16) {
            const int valid = step * 32 + c < f.n && j < f.dp;
            cvxr_copy_start(&s.X[stage][c][part], valid ? X + (step * 32 + c) * f.dp + j : X,
                            valid);
        }
        if (threadIdx.x < CVXR_FUSED_M)
            s.masks[stage][threadIdx.x] =
                q < f.first(k + 1) ? f.bits[f.pattern(q, k) * f.words32 + step] : 0;
        else if (threadIdx.x < CVXR_FUSED_M + 32) {
            const size_t i = step * 32 + threadIdx.x - CVXR_FUSED_M;
            s.r[stage][threadIdx.x - CVXR_FUSED_M] = i < f.n ? r[k * f.n + i] : 0.0f;
        }
    }
    cvxr_copy_lot();
}

/* G for 64 columns (blockIdx.x) of 128 groups: tile blockIdx.y % tiles of output blockIdx.y /
   tiles. */
template <int parts>
__global__ void __launch_bounds__(CVXR_GPU_BLOCK)
    cvxr_k_fused_gradient(cvxr_fused f, size_t tiles, const float *X, const float *residual,
                          float *G, size_t ldg) {
    __shared__ cvxr_gradient_tile s;
    const size_t k = blockIdx.y / tiles, steps = (f.n + 31) / 32;
    const size_t first = f.first(k) + blockIdx.y % tiles * CVXR_FUSED_M;
    const unsigned warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const unsigned row = warp % 4 * 32, column = warp / 4 * 32;
    float d[4][4][2];
    size_t step;
    unsigned r, c, e, h;
    if (first >= f.first(k + 1)) return; /* the whole block */
    memset(d, 0, sizeof d);
    for (step = 0; step < 2; step++)
        cvxr_gradient_load(f, s, step, steps, k, first, X, residual);
    for (step = 0; step < steps; step++) {
        const unsigned stage = (unsigned)(step % CVXR_FUSED_STAGES);
        cvxr_copy_wait<1>();
        __syncthreads();
        cvxr_gradient_load(f, s, step + 2, steps, k, first, X, residual);
        for (h = 0; h < 32; h += 8) {
            uint32_t a[2][2][4], b[2][2], high, low = 0;
            for (e = 0; e < 2; e++) {
                cvxr_parts<parts>(s.r[stage][h + t + 4 * e], &high, &low);
                for (r = 0; r < 4; r++) {
                    const uint32_t on = s.masks[stage][row + 8 * r + g] >> (h + t + 4 * e) & 1
                                            ? CVXR_GPU_FULL
                                            : 0;
                    a[0][r / 2][2 * e + r % 2] = high & on;
                    a[1][r / 2][2 * e + r % 2] = low & on;
                }
            }
            for (c = 0; c < 4; c++) {
                for (e = 0; e < 2; e++)
                    cvxr_parts<parts>(s.X[stage][h + t + 4 * e][column + 8 * c + g], &b[0][e],
                                      &b[1][e]);
                cvxr_fused_step<parts>(d, c, a, b);
            }
        }
    }
    cvxr_copy_wait<0>();
    for (r = 0; r < 4; r++)
        for (c = 0; c < 4; c++)
            for (e = 0; e < 2; e++) {
                const size_t q = first + row + 8 * r + g;
                const size_t j = (size_t)blockIdx.x * CVXR_FUSED_N + column + 8 * c + 2 * t + e;
                if (q < f.first(k + 1) && j < f.dp) G[q * ldg + j] = d[r][c][e];
            }
}

static cvxr_fused cvxr_gpu_fused(const cvxr_gpu_op<float> *op, const cvxr_gpu_list *list,
                                 size_t sides) {
    cvxr_fused f;
    f.n = op->n, f.dp = op->dp, f.per = sides * op->patterns, f.sides = sides;
    f.words32 = 2 * op->words;
    f.at = list->at, f.starts = list->at ? list->starts : NULL;
    f.bits = (const uint32_t *)op->bits, f.packed = list->packed;
    return f;
}

/* As cvxr_cuda_forward without panels, in TF32 or 3 x TF32 by the object's precision; X whole.
   An unlisted call is for all groups. dp is a multiple of 4. */
static int cvxr_cuda_fused_forward(cvxr_gpu *g, const cvxr_gpu_op<float> *op,
                                   const cvxr_gpu_list *list, const float *U, float *z) {
    const cvxr_fused f = cvxr_gpu_fused(op, list, op->sides);
    const dim3 grid((unsigned)cvxr_gpu_parts(op->n, CVXR_FUSED_M), (unsigned)op->outputs);
    if (list->count == 0) return cvxr_cuda_zero(g, z, op->outputs * op->n * sizeof(float));
    if (g->precision == CVXRELU_CUDA_TF32)
        CVXR_LAUNCH(g, (cvxr_k_fused_forward<1>), grid, dim3(CVXR_GPU_BLOCK), f, op->X, U, z);
    else CVXR_LAUNCH(g, (cvxr_k_fused_forward<3>), grid, dim3(CVXR_GPU_BLOCK), f, op->X, U, z);
    return g->failed;
}

/* As cvxr_cuda_gradient. */
static int cvxr_cuda_fused_gradient(cvxr_gpu *g, const cvxr_gpu_op<float> *op,
                                    const cvxr_gpu_list *list, size_t sides, const float *r,
                                    float *G, size_t ldg) {
    const cvxr_fused f = cvxr_gpu_fused(op, list, sides);
    size_t most = list->at ? 0 : f.per, tiles, k;
    dim3 grid;
    for (k = 0; list->at && k < op->outputs; k++)
        most = cvxr_gpu_max(most, list->host_starts[k + 1] - list->host_starts[k]);
    tiles = cvxr_gpu_parts(most, CVXR_FUSED_M);
    if (list->count == 0) return g->failed;
    grid =
        dim3((unsigned)cvxr_gpu_parts(op->dp, CVXR_FUSED_N), (unsigned)(tiles * op->outputs));
    if (g->precision == CVXRELU_CUDA_TF32)
        CVXR_LAUNCH(g, (cvxr_k_fused_gradient<1>), grid, dim3(CVXR_GPU_BLOCK), f, tiles, op->X,
                    r, G, ldg);
    else
        CVXR_LAUNCH(g, (cvxr_k_fused_gradient<3>), grid, dim3(CVXR_GPU_BLOCK), f, tiles, op->X,
                    r, G, ldg);
    return g->failed;
}

/* Is a fused kernel asked for, and can it be had? Its grid has groups in y. */
static int cvxr_gpu_fuses(const cvxr_gpu *g, const cvxr_gpu_op<float> *op,
                          const cvxr_gpu_list *list) {
    return op->fused && g->precision != CVXRELU_CUDA_FLOAT32 && op->dp % 4 == 0
           && op->outputs <= 65535
           && cvxr_gpu_parts(list->count, CVXR_FUSED_M) + op->outputs <= 65535;
}

/* float64 has none. */
static int cvxr_gpu_fuses(const cvxr_gpu *, const cvxr_gpu_op<double> *,
                          const cvxr_gpu_list *) {
    return 0;
}

static int cvxr_cuda_fused_forward(cvxr_gpu *g, const cvxr_gpu_op<double> *,
                                   const cvxr_gpu_list *, const double *, double *) {
    return g->failed;
}

static int cvxr_cuda_fused_gradient(cvxr_gpu *g, const cvxr_gpu_op<double> *,
                                    const cvxr_gpu_list *, size_t, const double *, double *,
                                    size_t) {
    return g->failed;
}

/* ---- Forward and gradient --------------------------------------------------------------- */

/* The weights of groups first .. last - 1 as neighbouring rows, split where that is asked. */
template <typename T>
static const T *cvxr_gpu_weights(cvxr_gpu *g, const cvxr_gpu_op<T> *op,
                                 const cvxr_gpu_list *list, size_t first, size_t last,
                                 const T *U) {
    const size_t size = (last - first) * op->dp;
    const T *from = U + first * op->dp;
    if (list->at && !list->packed) {
        cvxr_cuda_gather(g, last - first, op->dp, list->at + first, U, op->pack);
        from = op->pack;
    }
    if (op->X_low == NULL) return from;
    cvxr_cuda_split(g, size, from, op->pack, op->pack + op->columns * op->dp);
    return op->pack;
}

/* z (outputs x n) = the sum over the list; rows of U that are not on it do not count. */
template <typename T>
static int cvxr_cuda_forward(cvxr_gpu *g, const cvxr_gpu_op<T> *op, const cvxr_gpu_list *list,
                             const T *U, T *z) {
    size_t first, last, row, rows, k0, k1;
    if (cvxr_gpu_fuses(g, op, list)) return cvxr_cuda_fused_forward(g, op, list, U, z);
    cvxr_cuda_zero(g, z, op->outputs * op->n * sizeof(T));
    for (first = 0; first < list->count; first = last) {
        const T *W;
        last = cvxr_gpu_min(first + op->columns, list->count);
        W = cvxr_gpu_weights(g, op, list, first, last, U);
        cvxr_gpu_outputs(list, op->sides * op->patterns, first, last, &k0, &k1);
        for (row = 0; row < op->n; row += rows) {
            rows = cvxr_gpu_min(op->rows, op->n - row);
            cvxr_gpu_times(g, op, 1, row, rows, last - first, op->dp, W,
                           W + op->columns * op->dp, op->dp, (T)0, op->panel, op->rows);
            CVXR_LAUNCH(g, (cvxr_k_fold<T>),
                        dim3((unsigned)cvxr_gpu_parts(rows, 32), (unsigned)(k1 - k0)),
                        cvxr_gpu_warps(), rows, row, first, last, k0, list->at,
                        list->at ? list->starts : NULL, op->sides * op->patterns, op->sides,
                        (const uint32_t *)op->bits, 2 * op->words, op->panel, op->rows, op->n,
                        z);
        }
    }
    return g->failed;
}

template <typename T>
static int cvxr_gpu_spread(cvxr_gpu *g, const cvxr_gpu_op<T> *op, const cvxr_gpu_list *list,
                           size_t sides, size_t first, size_t last, size_t row, size_t rows,
                           const T *r, T *panel) {
    const size_t turns = cvxr_gpu_parts(last - first, 4 * CVXR_GPU_WARPS);
    CVXR_LAUNCH(g, (cvxr_k_spread<T>),
                dim3((unsigned)cvxr_gpu_parts(rows, 32), (unsigned)cvxr_gpu_min(turns, 65535)),
                cvxr_gpu_warps(), rows, row, first, last, list->at, sides * op->patterns, sides,
                (const uint32_t *)op->bits, 2 * op->words, r, op->n, panel, op->rows);
    return g->failed;
}

/* G (rows of dp, ldg apart) = X^T (D_p o r_k) for the groups of the list, r: outputs x n. The
   list may be of patterns instead (sides 1): then its numbers are k P + p. */
template <typename T>
static int cvxr_cuda_gradient(cvxr_gpu *g, const cvxr_gpu_op<T> *op, const cvxr_gpu_list *list,
                              size_t sides, const T *r, T *G, size_t ldg) {
    const size_t size = op->outputs * op->n;
    T *low = op->panel + op->rows * op->columns;
    size_t first, last, row, rows;
    if (cvxr_gpu_fuses(g, op, list))
        return cvxr_cuda_fused_gradient(g, op, list, sides, r, G, ldg);
    if (op->X_low) {
        cvxr_cuda_split(g, size, r, op->split, op->split + size);
        r = op->split;
    }
    for (first = 0; first < list->count; first = last) {
        last = cvxr_gpu_min(first + op->columns, list->count);
        for (row = 0; row < op->n; row += rows) {
            rows = cvxr_gpu_min(op->rows, op->n - row);
            cvxr_gpu_spread(g, op, list, sides, first, last, row, rows, r, op->panel);
            if (op->X_low)
                cvxr_gpu_spread(g, op, list, sides, first, last, row, rows, r + size, low);
            cvxr_gpu_times(g, op, 0, row, op->dp, last - first, rows, op->panel, low, op->rows,
                           (T)(row > 0), G + first * ldg, ldg);
        }
    }
    return g->failed;
}

/* ==== C06 ONE-SIDED QUADRATICS ===========================================================
   The augmented Lagrangian's and CD-A's part delta/2 sum_g ||(gamma_g/delta - s Xt_g w_g)_+||^2
   for a panel of groups whose images X w_g (n rows, ld apart) are at hand; a block takes a
   group. Twins: cvxr_hinge_residual_rows, cvxr_hinge_excess_rows, cvxr_hinge_gap,
   cvxr_hinges_update (S15).                                                                  */

/* Groups of a panel: group g has pattern[g] and sign +1, or, without `pattern`, pattern g/2 % P
   and the sign of g's last bit. */
typedef struct cvxr_gpu_hinges {
    size_t n, ld, P, words;
    const uint32_t *pattern; /* device, or NULL */
    const uint64_t *bits;
    double delta;
    const uint32_t *list; /* device: the panel's groups */
} cvxr_gpu_hinges;

typedef enum cvxr_gpu_hinge {
    CVXR_GPU_RESIDUAL,   /* image = t o (gamma - delta t o image)_+; sums of its squares */
    CVXR_GPU_EXCESS,     /* 2 delta times the excess between image and other */
    CVXR_GPU_GAP,        /* sums of squares of (t o image)_- */
    CVXR_GPU_MULTIPLIERS /* gamma = |image|, after RESIDUAL */
} cvxr_gpu_hinge;

template <typename T> __device__ inline T cvxr_positive(T x) { return x > (T)0 ? x : (T)0; }

/* Row i of a group: its share of the sum. */
template <int what, typename T>
__device__ double cvxr_hinge_row(T delta, T t, T *gamma, T *image, const T *other) {
    if (what == CVXR_GPU_RESIDUAL) {
        const T a = cvxr_positive(*gamma - delta * t * *image);
        *image = t * a;
        return (double)a * (double)a;
    }
    if (what == CVXR_GPU_GAP) {
        const double z = (double)(t * *image);
        return z < 0 ? z * z : 0.0;
    }
    if (what == CVXR_GPU_EXCESS) {
        const T v = *gamma - delta * t * *image, y = *gamma - delta * t * *other;
        const T vp = cvxr_positive(v), yp = cvxr_positive(y);
        return (double)((vp - yp) * (vp - yp) + 2 * yp * (vp - v));
    }
    *gamma = *image < (T)0 ? -*image : *image;
    return 0;
}

template <int what, typename T>
__global__ void cvxr_k_hinge(cvxr_gpu_hinges h, T *gamma, T *image, const T *other,
                             double *sums) {
    __shared__ double warps[CVXR_GPU_WARPS];
    const uint32_t g = h.list[blockIdx.x];
    const size_t p = h.pattern ? h.pattern[g] : g / 2 % h.P;
    const uint32_t flip = h.pattern || g % 2 == 0 ? 0 : CVXR_GPU_FULL;
    const uint32_t *bits = (const uint32_t *)h.bits + p * 2 * h.words;
    const size_t at = (size_t)g * h.ld, to = (size_t)blockIdx.x * h.ld;
    double sum = 0;
    size_t i;
    for (i = threadIdx.x; i < h.n; i += CVXR_GPU_BLOCK) {
        const T t = (bits[i / 32] ^ flip) >> i % 32 & 1 ? (T)1 : (T)-1;
        sum += cvxr_hinge_row<what, T>((T)h.delta, t, gamma + at + i, image + to + i,
                                       other ? other + to + i : NULL);
    }
    sum = cvxr_block_all<0>(sum, warps);
    if (threadIdx.x == 0 && sums) sums[blockIdx.x] = sum;
}

/* One panel of `count` groups. gamma: by group, ld apart; image, other: by place in the panel;
   sums: count numbers, or NULL. */
template <typename T>
static int cvxr_cuda_hinge(cvxr_gpu *g, cvxr_gpu_hinge what, const cvxr_gpu_hinges *h,
                           size_t count, T *gamma, T *image, const T *other, double *sums) {
    const dim3 grid((unsigned)count), block(CVXR_GPU_BLOCK);
    if (count == 0) return g->failed;
    if (what == CVXR_GPU_RESIDUAL)
        CVXR_LAUNCH(g, (cvxr_k_hinge<CVXR_GPU_RESIDUAL, T>), grid, block, *h, gamma, image,
                    other, sums);
    else if (what == CVXR_GPU_EXCESS)
        CVXR_LAUNCH(g, (cvxr_k_hinge<CVXR_GPU_EXCESS, T>), grid, block, *h, gamma, image, other,
                    sums);
    else if (what == CVXR_GPU_GAP)
        CVXR_LAUNCH(g, (cvxr_k_hinge<CVXR_GPU_GAP, T>), grid, block, *h, gamma, image, other,
                    sums);
    else
        CVXR_LAUNCH(g, (cvxr_k_hinge<CVXR_GPU_MULTIPLIERS, T>), grid, block, *h, gamma, image,
                    other, sums);
    return g->failed;
}

/* image (n rows, ld apart) = X w for `count` rows W of dp, or back: W = X^T image. With TF32X3
   in plain float32. */
template <typename T>
static int cvxr_cuda_image(cvxr_gpu *g, const cvxr_gpu_op<T> *op, size_t count, T *W, T *image,
                           size_t ld, int back) {
    const int tf32 = g->precision == CVXRELU_CUDA_TF32;
    const T *parts[2] = { op->X, op->X_low };
    int k;
    for (k = 0; k < 2 && parts[k]; k++)
        if (back)
            cvxr_gpu_gemm(g, tf32, 0, op->dp, count, op->n, parts[k], op->dp, image, ld, (T)k,
                          W, op->dp);
        else
            cvxr_gpu_gemm(g, tf32, 1, op->n, count, op->dp, parts[k], op->dp, W, op->dp, (T)k,
                          image, ld);
    return g->failed;
}

/* ==== C07 NEWTON'S MATRIX ================================================================
   H = I + sigma (K o (E diag(a) E^T) + V diag(1-a) V^T), float64, lower triangle, n <= 20000
   or so: n^2 doubles for H and for K = X X^T each; its Cholesky factor and solves by cuSOLVER;
   the same matrix times a vector without it. Twins: cvxr_gram_masks (S08), S14.              */

/* to column j = D_p o (scale_j or sqrt(scale_j) times column j of `image`, or 1). */
template <typename T>
__global__ void cvxr_k_masked(size_t n, size_t count, const uint32_t *patterns,
                              const uint32_t *bits, size_t words32, const double *a, int rest,
                              const T *image, T *to) {
    const size_t i = (size_t)blockIdx.x * 32 + threadIdx.x;
    const size_t step = (size_t)gridDim.y * CVXR_GPU_WARPS;
    size_t j = (size_t)blockIdx.y * CVXR_GPU_WARPS + threadIdx.y;
    for (; i < n && j < count; j += step) {
        const uint32_t mask = bits[patterns[j] * words32 + blockIdx.x];
        const T by = (T)sqrt(rest ? 1 - a[j] : a[j]);
        to[j * n + i] = mask >> threadIdx.x & 1 ? (image ? by * image[j * n + i] : by) : (T)0;
    }
}

/* to (n x count columns) = E diag(sqrt a); with image = X Zh^T and rest V diag(sqrt(1-a)). */
template <typename T>
static int cvxr_cuda_masked(cvxr_gpu *g, const cvxr_gpu_op<T> *op, size_t count,
                            const uint32_t *patterns, const double *a, int rest, const T *image,
                            T *to) {
    const size_t turns = cvxr_gpu_min(cvxr_gpu_parts(count, CVXR_GPU_WARPS), 65535);
    if (count && op->n)
        CVXR_LAUNCH(g, (cvxr_k_masked<T>),
                    dim3((unsigned)cvxr_gpu_parts(op->n, 32), (unsigned)turns),
                    cvxr_gpu_warps(), op->n, count, patterns, (const uint32_t *)op->bits,
                    2 * op->words, a, rest, image, to);
    return g->failed;
}

/* C (n x n, lower) = A A^T + beta C for A of n rows and k columns, or A^T A for k rows. */
static int cvxr_gpu_syrk(cvxr_gpu *g, int turn, size_t n, size_t k, const double *A, size_t lda,
                         double beta, double *C) {
    const double one = 1;
    if (g->failed || n == 0) return g->failed;
    return cvxr_gpu_blas(g,
                         cublasDsyrk(g->blas, CUBLAS_FILL_MODE_LOWER,
                                     turn ? CUBLAS_OP_T : CUBLAS_OP_N, (int)n, (int)k, &one, A,
                                     (int)lda, &beta, C, (int)n),
                         "a Gram matrix");
}

/* K = X X^T, lower triangle, column-major. */
static int cvxr_cuda_gram(cvxr_gpu *g, const cvxr_gpu_op<double> *op, double *K) {
    return cvxr_gpu_syrk(g, 1, op->n, op->dp, op->X, op->dp, 0, K);
}

struct cvxr_f_hadamard {
    size_t n;
    const double *K;
    double *H;
    __device__ void operator()(size_t i) const {
        if (i % n >= i / n) H[i] *= K[i];
    }
};

struct cvxr_f_shift {
    size_t n;
    double sigma, *H;
    __device__ void operator()(size_t i) const {
        if (i % n >= i / n) H[i] = (i % n == i / n) + sigma * H[i];
    }
};

/* H for `count` groups with unit rows Zh (count x dp); E: room for 2 n count numbers. */
static int cvxr_cuda_newton_matrix(cvxr_gpu *g, const cvxr_gpu_op<double> *op, size_t count,
                                   const uint32_t *patterns, const double *a, double *Zh,
                                   double sigma, const double *K, double *E, double *H) {
    const size_t n = op->n;
    cvxr_f_hadamard product = { n, K, H };
    cvxr_f_shift shift = { n, sigma, H };
    cvxr_cuda_masked<double>(g, op, count, patterns, a, 0, NULL, E);
    cvxr_gpu_syrk(g, 0, n, count, E, n, 0, H);
    cvxr_gpu_each(g, n * n, product);
    cvxr_cuda_image(g, op, count, Zh, E + n * count, n, 0);
    cvxr_cuda_masked<double>(g, op, count, patterns, a, 1, E + n * count, E);
    cvxr_gpu_syrk(g, 0, n, count, E, n, 1, H);
    return cvxr_gpu_each(g, n * n, shift);
}

/* W row j = a_j w + (1 - a_j) zh_j <zh_j, w>: the Jacobian of the groups' prox. */
template <typename T>
__global__ void cvxr_k_jacobian(size_t rows, size_t dp, const double *a, const T *Zh, T *W) {
    const size_t step = (size_t)gridDim.x * blockDim.y;
    size_t row = (size_t)blockIdx.x * blockDim.y + threadIdx.y, j;
    for (; row < rows; row += step) {
        const double dot = (1 - a[row]) * cvxr_row_dot(dp, Zh + row * dp, W + row * dp);
        for (j = threadIdx.x; j < dp; j += 32)
            W[row * dp + j] =
                (T)(a[row] * (double)W[row * dp + j] + dot * (double)Zh[row * dp + j]);
    }
}

/* out = v + sigma sum_j D_j X J_j X^T D_j v: H v without H, for one output (op->outputs 1). W:
   count x dp; list: the groups' patterns. */
template <typename T>
static int cvxr_cuda_newton_apply(cvxr_gpu *g, const cvxr_gpu_op<T> *op,
                                  const cvxr_gpu_list *list, const double *a, const T *Zh,
                                  double sigma, const T *v, T *W, T *out) {
    cvxr_gpu_list packed = *list;
    packed.packed = 1;
    cvxr_cuda_gradient(g, op, list, op->sides, v, W, op->dp);
    if (list->count)
        CVXR_LAUNCH(g, (cvxr_k_jacobian<T>), cvxr_gpu_rows(list->count), cvxr_gpu_warps(),
                    list->count, op->dp, a, Zh, W);
    cvxr_cuda_forward(g, op, &packed, W, out);
    return cvxr_cuda_axpby(g, op->n, 1.0, v, sigma, out);
}

/* Workspace of a factor of order n, in doubles. */
static int cvxr_cuda_factor_size(cvxr_gpu *g, size_t n, double *H, size_t *size) {
    int work = 0;
    if (g->failed) return g->failed;
    cvxr_gpu_solved(g,
                    cusolverDnDpotrf_bufferSize(g->solver, CUBLAS_FILL_MODE_LOWER, (int)n, H,
                                                (int)n, &work),
                    "the size of a factor");
    *size = (size_t)work;
    return g->failed;
}

/* H = L L^T in place; *info (device) is 0, or the order of the minor that is not positive. */
static int cvxr_cuda_factor(cvxr_gpu *g, size_t n, double *H, double *work, size_t size,
                            int *info) {
    if (g->failed) return g->failed;
    return cvxr_gpu_solved(g,
                           cusolverDnDpotrf(g->solver, CUBLAS_FILL_MODE_LOWER, (int)n, H,
                                            (int)n, work, (int)size, info),
                           "a factor");
}

/* B (n x count columns) = H^-1 B. */
static int cvxr_cuda_solve(cvxr_gpu *g, size_t n, const double *L, size_t count, double *B,
                           int *info) {
    if (g->failed) return g->failed;
    return cvxr_gpu_solved(g,
                           cusolverDnDpotrs(g->solver, CUBLAS_FILL_MODE_LOWER, (int)n,
                                            (int)count, L, (int)n, B, (int)n, info),
                           "a solve");
}

#endif
