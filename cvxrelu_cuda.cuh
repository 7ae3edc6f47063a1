/* cvxrelu_cuda.cuh - cvxrelu on NVIDIA GPUs: the companion of cvxrelu.h.                 v0.2.0

   Masks stay bits on the device, products run through cuBLAS or in fused kernels, vectors of n
   numbers stay on the card from one certificate to the next. Needs cvxrelu.h, the CUDA runtime,
   cuBLAS and cuSOLVER; compiled by nvcc as C++11, in one file of a project:

       #define CVXRELU_CUDA_IMPLEMENTATION
       #include "cvxrelu_cuda.cuh"

       cvxrelu_cuda *cuda;
       if (cvxrelu_cuda_open(NULL, &cuda, message) != CVXRELU_OK) ...  // no card: message
       options.device = cvxrelu_cuda_device(cuda);           // Newton, R-FISTA, AL, CD-A
       options.precision = CVXRELU_FLOAT32;                  // R-FISTA, AL; zero: float64
       cvxrelu_fit(&problem, &options, NULL, &model, &report);
       cvxrelu_cuda_close(cuda);

       nvcc -O2 -arch=native -I. train.cu -o train -lcublas -lcusolver

   The implementation of cvxrelu.h may be in the same file or in another, of C or C++. Newton
   is for gated networks in float64 whose factors, n x n at most, the card has room for. Newton
   for ReLU networks, lambda = 0 and the pattern search are UNSUPPORTED on a card: ReLU networks
   need problem.search = CVXRELU_SEARCH_OFF, or gates (manual of cvxrelu.h, DEVICES).

   CONTENTS (search for the tag)
     C01 LAUNCHES AND ERRORS             C02 ELEMENTS AND SUMS
     C03 GROUPS                          C04 PATTERNS
     C05 MODEL OPERATOR                  C06 ONE-SIDED QUADRATICS
     C07 NEWTON'S MATRIX                 C08 THE OBJECT
     C09 THE TABLE OF A FIT              C10 NEWTON'S TABLE
     C11 OPEN AND CLOSE

   TESTED
     Every kernel runs in `make cuda-emulate` on the CPU, from this very source, under the
     address and undefined-behaviour sanitizers: a launch is emulated thread by thread, cuBLAS
     and cuSOLVER by plain loops; each kernel is compared with its twin in cvxrelu.h at odd
     sizes. nvcc compiles all of it for sm_75 to sm_90. NONE OF IT HAS RUN ON A CARD: the
     speeds that the design aims at are not measured, nor from which width on panels beat fused
     kernels (192 features, by reckoning). For a card: `make cuda-test` (the same tests),
     `cuda-bench` (speed of the kernels and of Newton's pieces), `cuda-solve` (whole fits beside
     the reference package, MNIST).

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

/* Zeros are good. */
typedef struct cvxrelu_cuda_options {
    int    device;         /* as cudaSetDevice counts them                                    */
    cvxrelu_cuda_precision precision;  /* of options.precision CVXRELU_FLOAT32                */
    size_t memory_limit;   /* bytes of the card that a fit may hold; 0 = what is free. Panels,
                              the float64 copy of X and Newton's factors become smaller; less
                              than vectors and data need is CVXRELU_ERR_LIMIT                 */
    size_t panel_bytes;    /* of a panel of masked products; 0 = 32 MB: about a second-level
                              cache                                                           */
    int    panels;         /* TF32 and TF32X3: 1 in panels by cuBLAS, -1 fused, 0 fused below
                              192 features, the bias one of them                              */
    void  *stream;         /* a cudaStream_t of the caller's, who destroys it after close; NULL:
                              one of the object's own                                         */
} cvxrelu_cuda_options;

/* A card at work: stream, cuBLAS and cuSOLVER handles, the memory of the fit at hand. One fit
   at a time; objects of their own, also several on one card, may be used in several threads. */
typedef struct cvxrelu_cuda cvxrelu_cuda;

/* cvxrelu_cuda_open - make ready a card.
 *
 *   options  NULL = zeros; borrowed for the call
 *   cuda     out, not NULL: the caller's until cvxrelu_cuda_close; NULL on failure
 *   message  out, or NULL: the sentence when it fails
 *
 * Returns CVXRELU_OK; CVXRELU_ERR_DEVICE without a card or where CUDA fails, with CUDA's text;
 * ARGUMENT for a device number that is not there; MEMORY. Makes the card the thread's current
 * one, as every fit on it does.
 */
CVXRELU_API cvxrelu_result cvxrelu_cuda_open(const cvxrelu_cuda_options *options,
                                             cvxrelu_cuda **cuda,
                                             char message[CVXRELU_MESSAGE_SIZE]);

/* cvxrelu_cuda_close - give everything back. NULL is accepted. No fit may be using it.       */
CVXRELU_API void cvxrelu_cuda_close(cvxrelu_cuda *cuda);

/* cvxrelu_cuda_device - what options.device of a fit takes; lives as long as the object.     */
CVXRELU_API const cvxrelu_device *cvxrelu_cuda_device(const cvxrelu_cuda *cuda);

/* cvxrelu_cuda_peak - the most bytes of the card that the last fit held at once, but the
   libraries' own.                                                                            */
CVXRELU_API size_t cvxrelu_cuda_peak(const cvxrelu_cuda *cuda);

#endif

#if defined(CVXRELU_CUDA_IMPLEMENTATION) && !defined(CVXRELU_CUDA_IMPLEMENTED)
#define CVXRELU_CUDA_IMPLEMENTED

/* ==== C01 LAUNCHES AND ERRORS ============================================================
   One object holds what a launch needs and the first error, after which every call does
   nothing and returns it. The functions cvxr_cuda_... below only enqueue work on the object's
   stream; cvxr_cuda_fetch and cvxr_cuda_send alone wait.                                     */

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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
        g, error == cudaErrorMemoryAllocation ? CVXRELU_ERR_MEMORY : CVXRELU_ERR_DEVICE, what,
        cudaGetErrorString(error));
}

static int cvxr_gpu_blas(cvxr_gpu *g, cublasStatus_t status, const char *what) {
    if (status == CUBLAS_STATUS_SUCCESS) return g->failed;
    return cvxr_gpu_fail(
        g, status == CUBLAS_STATUS_ALLOC_FAILED ? CVXRELU_ERR_MEMORY : CVXRELU_ERR_DEVICE,
        what, cublasGetStatusString(status));
}

static int cvxr_gpu_solved(cvxr_gpu *g, cusolverStatus_t status, const char *what) {
    char number[32];
    if (status == CUSOLVER_STATUS_SUCCESS) return g->failed;
    snprintf(number, sizeof number, "cuSOLVER status %d", (int)status);
    return cvxr_gpu_fail(
        g, status == CUSOLVER_STATUS_ALLOC_FAILED ? CVXRELU_ERR_MEMORY : CVXRELU_ERR_DEVICE,
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

/* Row to[i] of y = d columns of row from[i] of x, and zeros up to ldb; NULL: row i. */
template <typename A, typename B> struct cvxr_f_rows {
    size_t d, lda, ldb;
    const uint32_t *from, *to;
    const A *x;
    B *y;
    __device__ void operator()(size_t i) const {
        const size_t row = i / ldb, j = i % ldb;
        const A *at = x + (from ? from[row] : row) * lda;
        y[(to ? to[row] : row) * ldb + j] = j < d ? (B)at[j] : (B)0;
    }
};

/* Row j of `to` = row at[j] of U. */
template <typename T>
static int cvxr_cuda_gather(cvxr_gpu *g, size_t count, size_t dp, const uint32_t *at,
                            const T *U, T *to) {
    cvxr_f_rows<T, T> f = { dp, dp, dp, at, NULL, U, to };
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

/* ---- Rows of another stride and type ---------------------------------------------------- */

/* Row i of y (ldb apart) = d columns of row i of x (lda apart), and zeros. */
template <typename A, typename B>
static int cvxr_cuda_restride(cvxr_gpu *g, size_t rows, size_t d, size_t lda, const A *x,
                              size_t ldb, B *y) {
    cvxr_f_rows<A, B> f = { d, lda, ldb, NULL, NULL, x, y };
    return cvxr_gpu_each(g, rows * ldb, f);
}

/* The same for row at[i] of y, from float64; the rows differ. */
template <typename T>
static int cvxr_cuda_place(cvxr_gpu *g, size_t rows, size_t d, size_t lda, const double *x,
                           const uint32_t *at, size_t ldb, T *y) {
    cvxr_f_rows<double, T> f = { d, lda, ldb, NULL, at, x, y };
    return cvxr_gpu_each(g, rows * ldb, f);
}

/* And row i of y = row at[i] of x, in float64. */
template <typename T>
static int cvxr_cuda_pick(cvxr_gpu *g, size_t rows, size_t d, size_t lda, const T *x,
                          const uint32_t *at, size_t ldb, double *y) {
    cvxr_f_rows<T, double> f = { d, lda, ldb, at, NULL, x, y };
    return cvxr_gpu_each(g, rows * ldb, f);
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
   are 0. Gates are stride32 words apart. */
__global__ void cvxr_k_signs(size_t n, size_t d, size_t ldx, const double *X,
                             const double *gates, const double *z, const double *margin,
                             const double *norms, const unsigned char *shifted, size_t words32,
                             size_t stride32, uint32_t *bits, uint32_t *doubts) {
    const size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x, p = blockIdx.y;
    const double product = i < n ? z[p * n + i] : -1.0;
    const uint32_t word = __ballot_sync(CVXR_GPU_FULL, product >= 0);
    if (threadIdx.x % 32 == 0 && i / 32 < words32) bits[p * stride32 + i / 32] = word;
    if (i < n && !(fabs(product) > 2 * margin[i] * norms[p]) /* not a number: a doubt */
        && cvxr_off_support(d, X + i * ldx, gates + p * d, shifted))
        atomicAdd(&doubts[p], 1u);
}

/* The bits of n rows, gates `words` apart, of `count` gates, rows of d; their doubts are added
   to those of the gates. margin: n, norms of the gates: count, shifted: d flags; z: room for
   n x count products, count < 2^16. All on the device. */
static int cvxr_cuda_patterns(cvxr_gpu *g, size_t n, size_t d, size_t ldx, const double *X,
                              size_t count, const double *gates, const double *margin,
                              const double *norms, const unsigned char *shifted, double *z,
                              size_t words, uint64_t *bits, uint32_t *doubts) {
    const size_t words32 = (n + 63) / 64 * 2;
    const double one = 1, zero = 0;
    if (g->failed || count == 0 || n == 0) return g->failed;
    cvxr_gpu_blas(g,
                  cublasDgemm(g->blas, CUBLAS_OP_T, CUBLAS_OP_N, (int)n, (int)count, (int)d,
                              &one, X, (int)ldx, gates, (int)d, &zero, z, (int)n),
                  "products of gates");
    CVXR_LAUNCH(g, (cvxr_k_signs),
                dim3((unsigned)cvxr_gpu_parts(32 * words32, CVXR_GPU_BLOCK), (unsigned)count),
                dim3(CVXR_GPU_BLOCK), n, d, ldx, X, gates, z, margin, norms, shifted, words32,
                2 * words, (uint32_t *)bits, doubts);
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
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return __uint_as_float(bits);
#else
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & 0xffffe000u;
    memcpy(&x, &bits, sizeof x);
    return x;
#endif
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
   t + 4 of b. Factors are TF32 numbers as bits. By plain loops: */
__device__ inline void cvxr_mma_plain(float *d, const uint32_t *a, const uint32_t *b) {
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
}

/* The same by the tensor cores. */
__device__ inline void cvxr_mma(float *d, const uint32_t *a, const uint32_t *b) {
#ifdef CVXRELU_CUDA_EMULATED
    emu_mma(d, a, b, __LINE__);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
                 "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    cvxr_mma_plain(d, a, b);
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

/* Fused below so many features. Per number of a panel the fused kernels spend 2 d / f seconds,
   panels 2 d / g + 8 / b: f about a quarter of the TF32 peak (a block of 8 terms loads 2 KB of
   shared memory for 16384 flops), g three quarters, b the memory's bytes a second. Equal at d =
   167 by the figures of an H200's makers, 239 of an H100's. Reckoned, not measured. */
#define CVXR_FUSED_WIDTH 192

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
    const size_t longest = list->at ? list->count : list->count / op->outputs;
    return op->fused && g->precision != CVXRELU_CUDA_FLOAT32 && op->dp % 4 == 0
           && (cvxr_gpu_parts(longest, CVXR_FUSED_M) + 1) * op->outputs <= 65535;
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
   or so: n^2 doubles for H, and for K = X X^T if that is kept, E and V in panels; its Cholesky
   factor and solves by cuSOLVER; the same matrix times a vector without it; Woodbury's smaller
   matrix. Twins: cvxr_gram_masks (S08), S14.                                                 */

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

/* C (n x n, lower) = alpha A A^T + beta C for A of n rows and k columns, or of A^T A for k
   rows. */
static int cvxr_gpu_syrk(cvxr_gpu *g, int turn, size_t n, size_t k, double alpha,
                         const double *A, size_t lda, double beta, double *C) {
    if (g->failed || n == 0) return g->failed;
    return cvxr_gpu_blas(g,
                         cublasDsyrk(g->blas, CUBLAS_FILL_MODE_LOWER,
                                     turn ? CUBLAS_OP_T : CUBLAS_OP_N, (int)n, (int)k, &alpha,
                                     A, (int)lda, &beta, C, (int)n),
                         "a Gram matrix");
}

/* K = X X^T, lower triangle, column-major. */
static int cvxr_cuda_gram(cvxr_gpu *g, const cvxr_gpu_op<double> *op, double *K) {
    return cvxr_gpu_syrk(g, 1, op->n, op->dp, 1, op->X, op->dp, 0, K);
}

/* Columns first .. of the lower triangle of H, a block each: H = diagonal I + sigma K o H with
   K's columns and rows from `first` on; without K sigma H. */
__global__ void cvxr_k_lower(size_t n, size_t first, double diagonal, double sigma,
                             const double *K, double *H) {
    const size_t j = first + blockIdx.x;
    size_t i;
    for (i = j + threadIdx.x; i < n; i += CVXR_GPU_BLOCK) {
        const double h = H[j * n + i];
        H[j * n + i] = (i == j ? diagonal : 0.0)
                       + sigma * (K ? K[(j - first) * (n - first) + i - first] * h : h);
    }
}

/* `columns` columns from `first` on. */
static int cvxr_cuda_lower(cvxr_gpu *g, size_t n, size_t first, size_t columns, double diagonal,
                           double sigma, const double *K, double *H) {
    if (columns)
        CVXR_LAUNCH(g, (cvxr_k_lower), dim3((unsigned)columns), dim3(CVXR_GPU_BLOCK), n, first,
                    diagonal, sigma, K, H);
    return g->failed;
}

/* H = diagonal I + sigma K o H, columns of K made as they are needed where it is NULL. */
static int cvxr_cuda_hadamard(cvxr_gpu *g, const cvxr_gpu_op<double> *op, double diagonal,
                              double sigma, const double *K, size_t columns, double *E,
                              double *H) {
    const size_t n = op->n;
    size_t first, some;
    if (K) return cvxr_cuda_lower(g, n, 0, n, diagonal, sigma, K, H);
    for (first = 0; first < n; first += some) {
        const double *X = op->X + first * op->dp;
        some = cvxr_gpu_min(columns, n - first);
        cvxr_gpu_gemm(g, 0, 1, n - first, some, op->dp, X, op->dp, X, op->dp, 0.0, E,
                      n - first);
        cvxr_cuda_lower(g, n, first, some, diagonal, sigma, E, H);
    }
    return g->failed;
}

/* H + jitter I for `count` groups with unit rows Zh (count x dp), by `columns` of them at a
   time; E: room for n times as many; K may be NULL. */
static int cvxr_cuda_newton_matrix(cvxr_gpu *g, const cvxr_gpu_op<double> *op, size_t count,
                                   const uint32_t *patterns, const double *a, double *Zh,
                                   double sigma, double jitter, const double *K,
                                   size_t columns, double *E, double *H) {
    const size_t n = op->n;
    size_t j, some;
    for (j = 0; j < count; j += some) {
        some = cvxr_gpu_min(columns, count - j);
        cvxr_cuda_masked<double>(g, op, some, patterns + j, a + j, 0, NULL, E);
        cvxr_gpu_syrk(g, 0, n, some, 1, E, n, j > 0, H);
    }
    cvxr_cuda_hadamard(g, op, 1 + jitter, sigma, K, columns, E, H);
    for (j = 0; j < count; j += some) {
        some = cvxr_gpu_min(columns, count - j);
        cvxr_cuda_image(g, op, some, Zh + j * op->dp, E, n, 0);
        cvxr_cuda_masked<double>(g, op, some, patterns + j, a + j, 1, E, E);
        cvxr_gpu_syrk(g, 0, n, some, sigma, E, n, 1, H);
    }
    return g->failed;
}

/* W row j = a_j w + (1 - a_j) zh_j <zh_j, w>: the Jacobian of the groups' prox; its square
   root with the roots of a. */
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

template <typename T>
static int cvxr_cuda_jacobian(cvxr_gpu *g, size_t rows, size_t dp, const double *a, const T *Zh,
                              T *W) {
    if (rows)
        CVXR_LAUNCH(g, (cvxr_k_jacobian<T>), cvxr_gpu_rows(rows), cvxr_gpu_warps(), rows, dp, a,
                    Zh, W);
    return g->failed;
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
    cvxr_cuda_jacobian(g, list->count, op->dp, a, Zh, W);
    cvxr_cuda_forward(g, op, &packed, W, out);
    return cvxr_cuda_axpby(g, op->n, 1.0, v, sigma, out);
}

/* ---- Woodbury: H = c I + sigma B B^T with B_j = D_j X J_j^{1/2}, k d columns, has the inverse
   (I - sigma B M^{-1} B^T) / c with M = c I + sigma B^T B. */

/* Column i of B^T (k d x rows): row row0 + i of X times the roots of the groups that have it; a
   warp takes a group. */
__global__ void cvxr_k_roots(size_t row0, size_t count, size_t d, size_t dp, const double *X,
                             const uint32_t *patterns, const uint32_t *bits, size_t words32,
                             const double *roots, const double *Zh, double *B) {
    const size_t row = row0 + blockIdx.x, step = (size_t)gridDim.y * CVXR_GPU_WARPS;
    const double *x = X + row * dp;
    size_t j = (size_t)blockIdx.y * CVXR_GPU_WARPS + threadIdx.y, e;
    for (; j < count; j += step) {
        const uint32_t on = bits[patterns[j] * words32 + row / 32] >> row % 32 & 1;
        const double *h = Zh + j * dp, dot = (1 - roots[j]) * cvxr_row_dot(dp, x, h);
        double *to = B + (blockIdx.x * count + j) * d;
        for (e = threadIdx.x; e < d; e += 32) to[e] = on ? roots[j] * x[e] + dot * h[e] : 0.0;
    }
}

/* M for `count` groups, whose sqrt(a) are `roots`; `rows` rows of the data at a time; B: room
   for rows count d numbers. */
static int cvxr_cuda_newton_groups(cvxr_gpu *g, const cvxr_gpu_op<double> *op, size_t d,
                                   size_t count, const uint32_t *patterns, const double *roots,
                                   const double *Zh, double sigma, double jitter, size_t rows,
                                   double *B, double *M) {
    const size_t turns = cvxr_gpu_min(cvxr_gpu_parts(count, CVXR_GPU_WARPS), 65535);
    size_t row, some;
    for (row = 0; row < op->n; row += some) {
        some = cvxr_gpu_min(rows, op->n - row);
        CVXR_LAUNCH(g, (cvxr_k_roots), dim3((unsigned)some, (unsigned)turns), cvxr_gpu_warps(),
                    row, count, d, op->dp, op->X, patterns, (const uint32_t *)op->bits,
                    2 * op->words, roots, Zh, B);
        cvxr_gpu_syrk(g, 0, count * d, some, 1, B, count * d, row > 0, M);
    }
    return cvxr_cuda_lower(g, count * d, 0, count * d, 1 + jitter, sigma, NULL, M);
}

/* ---- The factor by cuSOLVER ------------------------------------------------------------- */

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

/* ==== C08 THE OBJECT =====================================================================
   What cvxrelu_cuda_open makes, the signs of gates that a fit samples before it has a task, and
   the memory of the task: data (the float64 copy of X is the signs', where all of it was there)
   and bits, panels, lists, and what crosses between host and card. Everything is taken when the
   task is opened, but the arrays of the solver, whose bytes are counted beforehand: panels get
   what is left. The float64 copy of X is held in blocks of rows when it does not fit.
   Tests: tests/cuda/fit_cuda.cu.                                                        */

#define CVXR_DEV_BLOCKS 32  /* arrays of a task, at most */
#define CVXR_DEV_ROWS   256 /* rows of weights that cross together (cvxrelu_device) */
#define CVXR_DEV_PANEL  ((size_t)32 << 20)

typedef struct cvxr_dev_exact {  /* the certificate's products, float64 */
    cvxr_gpu_op<double> op;      /* one output, one side; X: block rows */
    size_t block;                /* rows of X on the card: n, or fewer and sent when needed */
    double *U, *G, *W;           /* CVXR_DEV_ROWS x ldx: on their way; of a block of rows */
    double *z, *part, *theta;    /* n */
    uint32_t *at, *starts;       /* CVXR_DEV_ROWS; 2 */
} cvxr_dev_exact;

typedef struct cvxr_dev_signs {  /* of gates, before the task */
    const double *host;          /* X where it came from; NULL: nothing is here */
    size_t n, d, ldx, words;
    size_t block, rows, most;    /* rows of X on the card, of a panel; gates of a call */
    double *X, *margin, *gates, *norms, *z; /* block x ldx, n, most x d, most, rows x most */
    unsigned char *shifted;      /* d */
    uint64_t *bits;              /* most x words */
    uint32_t *doubts;            /* most */
} cvxr_dev_signs;

typedef struct cvxr_dev_set {    /* active groups */
    size_t room, count;          /* at most; now */
    uint32_t *at, *starts;       /* room: their patterns; 0 and count */
    double *a, *zh;              /* room; room x ldx */
} cvxr_dev_set;

typedef struct cvxr_dev_newton { /* of C10, while it is open */
    cvxr_dev_set active, held;   /* held: what Woodbury's factor was made of, a its roots */
    int whole;                   /* the factor is that of H: held is not used */
    double sigma, shift;         /* of Woodbury's factor; shift: 1 + jitter */
    size_t columns;              /* of a panel */
    double *T;                   /* active.room x ldx: small vectors */
    size_t order;                /* of the largest factor; below n it is Woodbury's */
    double *K, *H, *E;           /* n x n, or NULL where that has no room; order x order: the
                                    factor's place; n x columns */
    int has_K;
    double *work;                /* work_size, of the factor */
    size_t work_size;
    int *info;                   /* how the factor went */
} cvxr_dev_newton;

struct cvxrelu_cuda {
    cvxr_gpu gpu;
    cvxrelu_device table;
    cvxrelu_cuda_options options;
    size_t held, peak;           /* bytes of the card */
    size_t room;                 /* for panels and copies when the task was opened */
    double passes, flops;
    cvxrelu_device_task task;
    size_t groups;               /* outputs sides patterns */
    struct { void *at; size_t bytes; } blocks[CVXR_DEV_BLOCKS];
    size_t block_count;
    cvxr_gpu_op<float> op32;     /* the work type's */
    cvxr_gpu_op<double> op64;
    cvxr_dev_exact exact;
    cvxr_dev_signs signs;
    cvxr_dev_newton newton;
    double *Y, *sum, *work;      /* outputs x n; CVXR_GPU_SWEEP; see cvxr_dev_work_size */
    uint32_t *flags, *other, *counts, *at, *starts; /* of lists of rows */
    uint32_t *host;              /* of the host: outputs + 1 + CVXR_DEV_ROWS */
};

static cvxr_gpu_op<float> *cvxr_dev_op(cvxrelu_cuda *c, const float *) { return &c->op32; }
static cvxr_gpu_op<double> *cvxr_dev_op(cvxrelu_cuda *c, const double *) { return &c->op64; }

/* ---- Memory ----------------------------------------------------------------------------- */

/* `bytes` bytes of the card, or NULL: *error is CUDA's, or none where the limit forbids it. */
static void *cvxr_dev_try(cvxrelu_cuda *c, size_t bytes, cudaError_t *error) {
    const size_t limit = c->options.memory_limit;
    void *memory = NULL;
    *error = cudaSuccess;
    bytes = cvxr_gpu_max(bytes, 256);
    if (limit && (bytes > limit || c->held > limit - bytes)) return NULL;
    *error = cudaMalloc(&memory, bytes);
    if (*error != cudaSuccess) {
        (void)cudaGetLastError();
        return NULL;
    }
    c->held += bytes;
    c->peak = cvxr_gpu_max(c->peak, c->held);
    return memory;
}

/* The same; NULL is a failure that stays. */
static void *cvxr_dev_take(cvxrelu_cuda *c, size_t bytes) {
    void *memory;
    char why[96];
    cudaError_t error;
    if (c->gpu.failed) return NULL;
    memory = cvxr_dev_try(c, bytes, &error);
    if (memory) return memory;
    snprintf(why, sizeof why, "%.0f bytes more than %.0f held",
             (double)cvxr_gpu_max(bytes, 256), (double)c->held);
    if (error != cudaSuccess) cvxr_gpu_check(&c->gpu, error, why);
    else cvxr_gpu_fail(&c->gpu, CVXRELU_ERR_LIMIT, "memory_limit", why);
    return NULL;
}

static void cvxr_dev_give(cvxrelu_cuda *c, void *memory, size_t bytes) {
    if (memory == NULL) return;
    cudaFree(memory);
    c->held -= cvxr_gpu_max(bytes, 256);
}

/* The same until the task is closed. */
template <typename T> static T *cvxr_dev_block(cvxrelu_cuda *c, size_t count) {
    void *memory = cvxr_dev_take(c, count * sizeof(T));
    if (memory == NULL) return NULL;
    c->blocks[c->block_count].at = memory;
    c->blocks[c->block_count++].bytes = count * sizeof(T);
    return (T *)memory;
}

/* Rows of an image: columns of a panel of one-sided quadratics start on 128 bytes. */
static size_t cvxr_dev_tall(size_t n) { return cvxr_gpu_parts(n, 32) * 32; }

/* Doubles for penalties, column sums and sweeps. */
static size_t cvxr_dev_work_size(const cvxrelu_cuda *c) {
    return cvxr_gpu_max(CVXR_GPU_SWEEP * c->groups, (CVXR_GPU_SLICES + 1) * c->task.ld);
}

/* Are products fused, without panels? Then X is not split. */
static int cvxr_dev_fused(const cvxrelu_cuda *c) {
    const size_t tiles = (cvxr_gpu_parts(c->groups, CVXR_FUSED_M) + 1) * c->task.outputs;
    const int how = c->options.panels, wanted = how ? how < 0 : c->task.d < CVXR_FUSED_WIDTH;
    return c->task.type == CVXRELU_FLOAT32 && c->gpu.precision != CVXRELU_CUDA_FLOAT32 && wanted
           && c->task.ld % 4 == 0 && tiles <= 65535;
}

/* Is X held in two TF32 parts? */
static int cvxr_dev_three(const cvxrelu_cuda *c) {
    return c->task.type == CVXRELU_FLOAT32 && c->gpu.precision == CVXRELU_CUDA_TF32X3
           && !cvxr_dev_fused(c);
}

/* Bytes that a fit holds whatever the size of its panels: data, the solver's arrays, lists. */
static double cvxr_dev_needs(const cvxrelu_cuda *c) {
    const cvxrelu_device_task *t = &c->task;
    const double n = (double)t->n, e = t->type == CVXRELU_FLOAT64 ? 8 : 4;
    const double all = (double)c->groups, rows = (double)t->outputs * n;
    const double copies = cvxr_dev_three(c);
    double bytes = 8.0 * (double)(t->patterns * t->words) + 8 * rows;
    bytes += n * (double)t->ld * e * (1 + copies) + 8 * rows * copies;
    bytes += 4 * all * (double)t->ld * e + 4 * rows * e;
    if (t->sides == 2) /* multipliers, and a panel of one group at least */
        bytes += (all + 2) * ((double)cvxr_dev_tall(t->n) + (double)t->ld) * e + 8 + 1024;
    bytes += 13 * all + 8 * (double)cvxr_dev_work_size(c) + 24 * n;
    return bytes + 24.0 * CVXR_DEV_ROWS * (double)t->ldx + 65536;
}

/* Bytes that may be taken. */
static double cvxr_dev_free(cvxrelu_cuda *c) {
    size_t free_bytes = 0, all = 0;
    double room;
    cvxr_gpu_check(&c->gpu, cudaMemGetInfo(&free_bytes, &all), "asking for free memory");
    room = 0.95 * (double)free_bytes;
    if (c->options.memory_limit && room > (double)c->options.memory_limit - (double)c->held)
        room = (double)c->options.memory_limit - (double)c->held;
    return room;
}

/* Bytes of the copy of X that signs have left. */
static size_t cvxr_dev_kept(const cvxrelu_cuda *c) {
    return c->signs.X ? c->signs.block * c->signs.ldx * sizeof(double) : 0;
}

/* Bytes for panels and the float64 copy of X. */
static size_t cvxr_dev_room(cvxrelu_cuda *c) {
    const double room = cvxr_dev_free(c) + (double)cvxr_dev_kept(c) - cvxr_dev_needs(c);
    return room > 0 ? (size_t)room : 0;
}

static size_t cvxr_dev_panel_bytes(const cvxrelu_cuda *c, size_t room) {
    const size_t wish = c->options.panel_bytes ? c->options.panel_bytes : CVXR_DEV_PANEL;
    return cvxr_gpu_min(wish, room);
}

/* ---- Signs of gates --------------------------------------------------------------------- */

/* Gives everything back but X. */
static void cvxr_dev_signs_end(cvxrelu_cuda *c) {
    cvxr_dev_signs *s = &c->signs;
    cvxr_dev_give(c, s->doubts, s->most * sizeof(uint32_t));
    cvxr_dev_give(c, s->bits, s->most * s->words * sizeof(uint64_t));
    cvxr_dev_give(c, s->z, s->rows * s->most * sizeof(double));
    cvxr_dev_give(c, s->norms, s->most * sizeof(double));
    cvxr_dev_give(c, s->gates, s->most * s->d * sizeof(double));
    cvxr_dev_give(c, s->shifted, s->d);
    cvxr_dev_give(c, s->margin, s->n * sizeof(double));
    s->doubts = NULL, s->bits = NULL, s->shifted = NULL;
    s->z = s->norms = s->gates = s->margin = NULL;
}

static void cvxr_dev_signs_close(void *self) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    (void)cudaSetDevice(c->options.device);
    cvxr_dev_signs_end(c);
    cvxr_dev_give(c, c->signs.X, cvxr_dev_kept(c));
    memset(&c->signs, 0, sizeof c->signs);
}

/* Fewer gates, then blocks of rows of X, until it fits; 0 when nothing does. */
static int cvxr_dev_signs_fit(cvxrelu_cuda *c) {
    cvxr_dev_signs *s = &c->signs;
    const double all = cvxr_dev_free(c) - 8192 - 8.0 * (double)s->n - (double)s->d;
    const size_t wish = c->options.panel_bytes ? c->options.panel_bytes : CVXR_DEV_PANEL;
    const double row = 8.0 * (double)s->ldx;
    for (; s->most > 0; s->most /= 2) {
        double room;
        s->rows = cvxr_gpu_max(wish / (8 * s->most) / 64 * 64, 64);
        s->rows = cvxr_gpu_min(s->rows, cvxr_gpu_parts(s->n, 64) * 64);
        room = all - (double)s->most * (8.0 * (double)(s->d + s->words + s->rows) + 12);
        s->block = s->n;
        if (room >= row * (double)s->n) return 1;
        s->block = room < 64 * row ? 0 : (size_t)(room / row) / 64 * 64;
        s->rows = cvxr_gpu_min(s->rows, s->block);
        if (s->block) return 1;
    }
    return 0;
}

static size_t cvxr_dev_signs_open(void *self, size_t n, size_t d, size_t ldx, size_t most,
                                  const double *X, const double *margin,
                                  const unsigned char *shifted) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    cvxr_dev_signs *s = &c->signs;
    c->gpu.failed = CVXRELU_OK;
    c->held = c->peak = CVXR_GPU_SUMS * sizeof(double);
    cvxr_gpu_check(&c->gpu, cudaSetDevice(c->options.device), "choosing the card");
    (void)cudaGetLastError();
    memset(s, 0, sizeof *s);
    s->n = n, s->d = d, s->ldx = ldx, s->words = (n + 63) / 64, s->most = most;
    if ((double)n > 2147483647.0 || (double)ldx > 2147483647.0 || most > 65535) return 0;
    if (!cvxr_dev_signs_fit(c)) return 0;
    s->host = X;
    s->X = (double *)cvxr_dev_take(c, s->block * ldx * sizeof(double));
    s->margin = (double *)cvxr_dev_take(c, n * sizeof(double));
    s->shifted = (unsigned char *)cvxr_dev_take(c, d);
    s->gates = (double *)cvxr_dev_take(c, s->most * d * sizeof(double));
    s->norms = (double *)cvxr_dev_take(c, s->most * sizeof(double));
    s->z = (double *)cvxr_dev_take(c, s->rows * s->most * sizeof(double));
    s->bits = (uint64_t *)cvxr_dev_take(c, s->most * s->words * sizeof(uint64_t));
    s->doubts = (uint32_t *)cvxr_dev_take(c, s->most * sizeof(uint32_t));
    cvxr_cuda_send(&c->gpu, s->margin, margin, n * sizeof(double));
    cvxr_cuda_send(&c->gpu, s->shifted, shifted, d);
    if (s->block == n) cvxr_cuda_send(&c->gpu, s->X, X, n * ldx * sizeof(double));
    return c->gpu.failed ? 0 : s->most;
}

static void cvxr_dev_signs_of(void *self, size_t count, const double *gates,
                              const double *norms, uint64_t *bits, uint32_t *doubts) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    cvxr_dev_signs *s = &c->signs;
    cvxr_gpu *g = &c->gpu;
    size_t row, rows;
    if (!g->failed) cvxr_gpu_check(g, cudaSetDevice(c->options.device), "choosing the card");
    cvxr_cuda_send(g, s->gates, gates, count * s->d * sizeof(double));
    cvxr_cuda_send(g, s->norms, norms, count * sizeof(double));
    cvxr_cuda_zero(g, s->doubts, count * sizeof *doubts);
    for (row = 0; row < s->n && !g->failed; row += rows) {
        const size_t at = row % s->block;
        const size_t here = cvxr_gpu_min(s->block, s->n - row + at);
        if (at == 0 && s->block < s->n)
            cvxr_cuda_send(g, s->X, s->host + row * s->ldx, here * s->ldx * sizeof(double));
        rows = cvxr_gpu_min(s->rows, here - at);
        cvxr_cuda_patterns(g, rows, s->d, s->ldx, s->X + at * s->ldx, count, s->gates,
                           s->margin + row, s->norms, s->shifted, s->z, s->words,
                           s->bits + row / 64, s->doubts);
    }
    cvxr_cuda_fetch(g, bits, s->bits, count * s->words * sizeof *bits);
    cvxr_cuda_fetch(g, doubts, s->doubts, count * sizeof *doubts);
}

/* ---- The task --------------------------------------------------------------------------- */

/* Rows row .. of X into exact.op.X, where they are not there for good. */
static void cvxr_dev_send_rows(cvxrelu_cuda *c, size_t row, size_t rows) {
    const cvxrelu_device_task *t = &c->task;
    cvxr_cuda_send(&c->gpu, (void *)c->exact.op.X, t->X + row * t->ldx,
                   rows * t->ldx * sizeof(double));
}

/* The operator of the work type, without X. */
template <typename T> static void cvxr_dev_make_op(cvxrelu_cuda *c, size_t bytes, int three) {
    const cvxrelu_device_task *t = &c->task;
    cvxr_gpu_op<T> *op = cvxr_dev_op(c, (const T *)NULL);
    const size_t copies = three ? 2 : 1;
    size_t most;
    memset(op, 0, sizeof *op);
    op->n = t->n, op->dp = t->ld, op->patterns = t->patterns, op->words = t->words;
    op->outputs = t->outputs, op->sides = t->sides;
    op->bits = c->exact.op.bits;
    op->fused = cvxr_dev_fused(c);
    if (op->fused) bytes = 0; /* none is used */
    most = cvxr_gpu_max(bytes / (copies * t->ld * sizeof(T)), 1); /* that `pack` has room for */
    cvxr_gpu_panel(t->n, cvxr_gpu_min(c->groups, most), copies * sizeof(T), bytes, &op->rows,
                   &op->columns);
    op->panel = cvxr_dev_block<T>(c, copies * op->rows * op->columns);
    op->pack = cvxr_dev_block<T>(c, copies * op->columns * t->ld);
    if (three) op->split = cvxr_dev_block<T>(c, 2 * t->outputs * t->n);
}

/* X in float32, from the blocks of rows of the float64 one. */
static void cvxr_dev_make_single(cvxrelu_cuda *c, int three) {
    const cvxrelu_device_task *t = &c->task;
    const size_t size = t->n * t->ld;
    float *X = cvxr_dev_block<float>(c, size), *low = three ? cvxr_dev_block<float>(c, size)
                                                            : NULL;
    size_t row, rows;
    if (c->gpu.failed) return;
    for (row = 0; row < t->n; row += rows) {
        rows = cvxr_gpu_min(c->exact.block, t->n - row);
        cvxr_dev_send_rows(c, row, rows);
        cvxr_cuda_restride(&c->gpu, rows, t->d, t->ldx, c->exact.op.X, t->ld, X + row * t->ld);
    }
    if (three) cvxr_cuda_split(&c->gpu, size, X, X, low);
    c->op32.X = X, c->op32.X_low = low;
}

/* Room for exact.block rows of X; nonzero where signs have left all of it, which is taken. */
static int cvxr_dev_make_X(cvxrelu_cuda *c) {
    const cvxrelu_device_task *t = &c->task;
    const int kept = c->signs.X && c->signs.host == t->X && c->signs.n == t->n
                     && c->signs.ldx == t->ldx && c->signs.block == t->n
                     && c->exact.block == t->n;
    if (kept) {
        c->exact.op.X = c->signs.X;
        c->blocks[c->block_count].at = c->signs.X;
        c->blocks[c->block_count++].bytes = cvxr_dev_kept(c);
        c->signs.X = NULL;
    }
    cvxr_dev_signs_close(c);
    if (!kept) c->exact.op.X = cvxr_dev_block<double>(c, c->exact.block * t->ldx);
    return kept;
}

static void cvxr_dev_make_exact(cvxrelu_cuda *c, size_t bytes, size_t room) {
    const cvxrelu_device_task *t = &c->task;
    cvxr_dev_exact *x = &c->exact;
    const size_t row = t->ldx * sizeof(double);
    uint64_t *bits;
    int kept;
    x->op.n = t->n, x->op.dp = t->ldx, x->op.patterns = t->patterns, x->op.words = t->words;
    x->op.outputs = x->op.sides = 1;
    x->block = t->n;
    if (t->type == CVXRELU_FLOAT32 && t->n * row > room)
        x->block = cvxr_gpu_max(cvxr_gpu_min(room / 2 / row, t->n) / 64 * 64, 64);
    kept = cvxr_dev_make_X(c);
    x->op.bits = bits = cvxr_dev_block<uint64_t>(c, t->patterns * t->words);
    cvxr_gpu_panel(t->n, CVXR_DEV_ROWS, sizeof(double), bytes, &x->op.rows, &x->op.columns);
    x->op.panel = cvxr_dev_block<double>(c, x->op.rows * x->op.columns);
    x->U = cvxr_dev_block<double>(c, CVXR_DEV_ROWS * t->ldx);
    x->G = cvxr_dev_block<double>(c, CVXR_DEV_ROWS * t->ldx);
    x->W = cvxr_dev_block<double>(c, CVXR_DEV_ROWS * t->ldx);
    x->z = cvxr_dev_block<double>(c, t->n);
    x->part = cvxr_dev_block<double>(c, t->n);
    x->theta = cvxr_dev_block<double>(c, t->n);
    x->at = cvxr_dev_block<uint32_t>(c, CVXR_DEV_ROWS);
    x->starts = cvxr_dev_block<uint32_t>(c, 2);
    if (c->gpu.failed) return;
    cvxr_cuda_send(&c->gpu, bits, t->bits, t->patterns * t->words * sizeof(uint64_t));
    if (x->block == t->n && !kept) cvxr_dev_send_rows(c, 0, t->n);
}

/* Everything of the task; the object's failure says how it went. */
static void cvxr_dev_make(cvxrelu_cuda *c) {
    const cvxrelu_device_task *t = &c->task;
    const int three = cvxr_dev_three(c);
    const size_t room = c->room = cvxr_dev_room(c), bytes = cvxr_dev_panel_bytes(c, room / 8);
    cvxr_dev_make_exact(c, bytes, room / 4);
    if (t->type == CVXRELU_FLOAT32) {
        cvxr_dev_make_op<float>(c, bytes, three);
        cvxr_dev_make_single(c, three);
    } else {
        cvxr_dev_make_op<double>(c, bytes, 0);
        c->op64.X = c->exact.op.X;
    }
    c->Y = cvxr_dev_block<double>(c, t->outputs * t->n);
    c->sum = cvxr_dev_block<double>(c, CVXR_GPU_SWEEP);
    c->work = cvxr_dev_block<double>(c, cvxr_dev_work_size(c));
    c->flags = cvxr_dev_block<uint32_t>(c, c->groups);
    c->other = cvxr_dev_block<uint32_t>(c, c->groups);
    c->at = cvxr_dev_block<uint32_t>(c, c->groups);
    c->counts = cvxr_dev_block<uint32_t>(c, cvxr_gpu_parts(c->groups, CVXR_GPU_BLOCK));
    c->starts = cvxr_dev_block<uint32_t>(c, t->outputs + 1);
    if (c->gpu.failed) return;
    cvxr_cuda_send(&c->gpu, c->Y, t->Y, t->outputs * t->n * sizeof(double));
}

/* Makes the object's card the thread's. */
static cvxrelu_cuda *cvxr_dev(void *self) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    if (!c->gpu.failed)
        cvxr_gpu_check(&c->gpu, cudaSetDevice(c->options.device), "choosing the card");
    return c;
}

static cvxrelu_result cvxr_dev_status(void *self, char *message) {
    const cvxrelu_cuda *c = (const cvxrelu_cuda *)self;
    if (c->gpu.failed && message) memcpy(message, c->gpu.message, CVXRELU_MESSAGE_SIZE);
    return (cvxrelu_result)c->gpu.failed;
}

static void cvxr_dev_close(void *self) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    (void)cudaSetDevice(c->options.device);
    while (c->block_count > 0) {
        c->block_count--;
        cvxr_dev_give(c, c->blocks[c->block_count].at, c->blocks[c->block_count].bytes);
    }
    free(c->host);
    c->host = NULL;
}

/* What an int of cuBLAS, a 32-bit row number or a grid would not hold. */
static int cvxr_dev_too_large(const cvxrelu_device_task *t) {
    const double most = 2147483647.0;
    return (double)t->n > most || (double)t->ld > most || (double)t->words > most / 2
           || (double)t->outputs * (double)t->sides * (double)t->patterns > most
           || t->outputs > 65535;
}

template <typename T> static void cvxr_dev_fill(cvxrelu_device *t);

static cvxrelu_result cvxr_dev_open(void *self, const cvxrelu_device_task *task,
                                    char *message) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    cvxrelu_result result;
    c->gpu.failed = CVXRELU_OK;
    c->task = *task;
    c->groups = task->outputs * task->sides * task->patterns;
    cvxr_dev_signs_end(c);
    if (c->signs.host == NULL) c->held = c->peak = CVXR_GPU_SUMS * sizeof(double);
    c->passes = c->flops = 0;
    memset(&c->exact, 0, sizeof c->exact);
    (void)cvxr_dev(self);
    (void)cudaGetLastError();
    if (cvxr_dev_too_large(task))
        cvxr_gpu_fail(&c->gpu, CVXRELU_ERR_UNSUPPORTED, "the problem is too large",
                      "rows, weights' rows and columns must be below 2^31, outputs 2^16");
    c->host = (uint32_t *)malloc((task->outputs + 1 + CVXR_DEV_ROWS) * sizeof *c->host);
    if (c->host == NULL) cvxr_gpu_fail(&c->gpu, CVXRELU_ERR_MEMORY, "host", "no memory");
    if (!c->gpu.failed) cvxr_dev_make(c);
    result = cvxr_dev_status(c, message);
    cvxr_dev_signs_close(c);
    if (result) cvxr_dev_close(c);
    else if (task->type == CVXRELU_FLOAT32) cvxr_dev_fill<float>(&c->table);
    else cvxr_dev_fill<double>(&c->table);
    return result;
}

/* ==== C09 THE TABLE OF A FIT =============================================================
   The entries of cvxrelu_device (cvxrelu.h, DEVICES), each for both work types. A number for
   the host is one double that crosses; so do the lengths of the list of non-zero groups, the
   rows of weights that the host asks for, and the certificate's panels. Nothing else does.
   Twins: the CPU's entries (S12, S15).                                                       */

/* The sum that was put in c->sum[which]. */
static double cvxr_dev_sum(cvxrelu_cuda *c, size_t which) {
    double sum = 0;
    cvxr_cuda_fetch(&c->gpu, &sum, c->sum + which, sizeof sum);
    return c->gpu.failed ? 0 : sum;
}

template <typename T> static void *cvxr_dev_allocate(void *self, size_t count) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t bytes = cvxr_gpu_max(count, 1) * sizeof(T);
    void *array = cvxr_dev_take(c, bytes);
    if (array) cvxr_cuda_zero(&c->gpu, array, bytes);
    return array;
}

template <typename T> static void cvxr_dev_release(void *self, void *array, size_t count) {
    (void)cudaSetDevice(((cvxrelu_cuda *)self)->options.device);
    cvxr_dev_give((cvxrelu_cuda *)self, array, cvxr_gpu_max(count, 1) * sizeof(T));
}

template <typename T>
static void cvxr_dev_copy(void *self, size_t count, const void *from, void *to) {
    cvxr_cuda_copy(&cvxr_dev(self)->gpu, to, from, count * sizeof(T));
}

template <typename T>
static void cvxr_dev_axpby(void *self, size_t count, double a, const void *x, double b,
                           void *y) {
    cvxr_cuda_axpby<T>(&cvxr_dev(self)->gpu, count, a, (const T *)x, b, (T *)y);
}

template <typename T>
static double cvxr_dev_dot(void *self, size_t count, const void *x, const void *y,
                           const void *z, const void *w) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_cuda_dot<T>(&c->gpu, count, (const T *)x, (const T *)y, (const T *)z, (const T *)w,
                     c->sum);
    return cvxr_dev_sum(c, 0);
}

/* Numbers of patterns to the card, a few at a time. */
static void cvxr_dev_send_patterns(cvxrelu_cuda *c, size_t groups, const size_t *pattern,
                                   uint32_t *to) {
    size_t g, j, count;
    for (g = 0; g < groups && !c->gpu.failed; g += count) {
        count = cvxr_gpu_min(CVXR_DEV_ROWS, groups - g);
        for (j = 0; j < count; j++) c->host[j] = (uint32_t)pattern[g + j];
        cvxr_cuda_send(&c->gpu, to + g, c->host, count * sizeof *c->host);
    }
}

/* ---- Rows of weights -------------------------------------------------------------------- */

template <typename T>
static size_t cvxr_dev_take_rows(void *self, size_t rows, const void *W, size_t *index,
                                 double *U) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t ldx = c->task.ldx;
    size_t p, count = 0;
    cvxr_cuda_flags<T>(&c->gpu, rows, c->task.ld, (const T *)W, c->flags);
    cvxr_cuda_fetch(&c->gpu, c->host, c->flags, rows * sizeof *c->host);
    for (p = 0; p < rows && !c->gpu.failed; p++)
        if (c->host[p]) index[count++] = p;
    if (count == 0) return 0;
    rows = index[count - 1] + 1;
    cvxr_cuda_restride(&c->gpu, rows, c->task.d, c->task.ld, (const T *)W, ldx, c->exact.U);
    if (cvxr_cuda_fetch(&c->gpu, U, c->exact.U, rows * ldx * sizeof *U)) return 0;
    for (p = 0; p < count; p++) memmove(U + p * ldx, U + index[p] * ldx, ldx * sizeof *U);
    return count;
}

template <typename T>
static void cvxr_dev_put_rows(void *self, size_t rows, const size_t *index, const double *U,
                              void *W) {
    cvxrelu_cuda *c = cvxr_dev(self);
    size_t j;
    for (j = 0; j < rows; j++) c->host[j] = (uint32_t)index[j];
    cvxr_cuda_send(&c->gpu, c->exact.at, c->host, rows * sizeof *c->host);
    cvxr_cuda_send(&c->gpu, c->exact.U, U, rows * c->task.ldx * sizeof *U);
    cvxr_cuda_place(&c->gpu, rows, c->task.d, c->task.ldx, c->exact.U, c->exact.at, c->task.ld,
                    (T *)W);
}

/* ---- Penalties -------------------------------------------------------------------------- */

template <typename T>
static void cvxr_dev_prox(void *self, cvxrelu_penalty penalty, size_t blocks, size_t groups,
                          double t, void *W) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t ld = c->task.ld;
    size_t k;
    if (penalty != CVXRELU_PENALTY_FEATURE) groups *= blocks, blocks = 1;
    for (k = 0; k < blocks; k++)
        cvxr_cuda_prox<T>(&c->gpu, penalty, groups, ld, (T *)W + k * groups * ld, t, c->work);
}

template <typename T>
static double cvxr_dev_penalty(void *self, cvxrelu_penalty penalty, size_t blocks,
                               size_t groups, const void *W) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t ld = c->task.ld;
    double sum = 0;
    size_t k;
    if (penalty != CVXRELU_PENALTY_FEATURE) groups *= blocks, blocks = 1;
    for (k = 0; k < blocks; k++) {
        cvxr_cuda_penalty<T>(&c->gpu, penalty, groups, ld, (const T *)W + k * groups * ld,
                             c->work, c->sum);
        sum += cvxr_dev_sum(c, 0);
    }
    return sum;
}

template <typename T>
static double cvxr_dev_subgradient(void *self, size_t groups, double lambda, const void *G,
                                   const void *W) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_cuda_sweep(&c->gpu, CVXRELU_PENALTY_NEURON, groups, c->task.ld, (const T *)G,
                    (const T *)W, lambda, c->work, c->sum);
    return cvxr_dev_sum(c, CVXR_GPU_SWEEP - 1);
}

/* ---- The model operator and the loss ---------------------------------------------------- */

/* Counts products with `count` patterns. */
static void cvxr_dev_count(cvxrelu_cuda *c, double count) {
    c->passes += count / (double)c->task.patterns;
    c->flops += 2 * (double)c->task.n * (double)c->task.d * count;
}

template <typename T> static size_t cvxr_dev_forward(void *self, const void *W, void *z) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t outputs = c->task.outputs;
    cvxr_gpu_list list = { 0, 0, c->at, c->starts, c->host };
    cvxr_cuda_flags<T>(&c->gpu, c->groups, c->task.ld, (const T *)W, c->flags);
    cvxr_cuda_list(&c->gpu, outputs, c->groups / outputs, c->flags, c->counts, c->at,
                   c->starts);
    if (cvxr_cuda_fetch(&c->gpu, c->host, c->starts, (outputs + 1) * sizeof *c->host)) return 0;
    list.count = c->host[outputs];
    if (list.count == c->groups) list.at = NULL;
    cvxr_cuda_forward<T>(&c->gpu, cvxr_dev_op(c, (const T *)NULL), &list, (const T *)W, (T *)z);
    cvxr_dev_count(c, (double)list.count);
    return list.count;
}

/* Patterns first, ldg apart, then to the other side. */
template <typename T> static void cvxr_dev_gradient(void *self, const void *r, void *G) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t ld = c->task.ld, sides = c->task.sides, patterns = c->groups / sides;
    cvxr_gpu_list all = { 0, 0, NULL, NULL, NULL };
    all.count = patterns;
    cvxr_cuda_gradient<T>(&c->gpu, cvxr_dev_op(c, (const T *)NULL), &all, 1, (const T *)r,
                          (T *)G, sides * ld);
    if (sides == 2 && !c->gpu.failed)
        cvxr_gpu_check(&c->gpu, cudaMemcpy2DAsync((T *)G + ld, 2 * ld * sizeof(T), G,
                                                  2 * ld * sizeof(T), ld * sizeof(T), patterns,
                                                  cudaMemcpyDeviceToDevice, c->gpu.stream),
                       "copy on the device");
    cvxr_dev_count(c, (double)patterns);
}

template <typename T> static void cvxr_dev_residual(void *self, const void *z, void *r) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t size = c->task.outputs * c->task.n;
    const double units = (double)c->task.outputs * (double)c->task.rows;
    cvxr_cuda_loss_dual<T>(&c->gpu, size, (const T *)z, c->Y, units, (T *)r);
}

template <typename T> static double cvxr_dev_loss(void *self, const void *z) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_cuda_loss_value<T>(&c->gpu, c->task.outputs * c->task.n, (const T *)z, c->Y, c->sum);
    return cvxr_dev_sum(c, 0);
}

template <typename T>
static double cvxr_dev_excess(void *self, const void *z1, const void *z0) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_cuda_loss_excess<T>(&c->gpu, c->task.outputs * c->task.n, (const T *)z1,
                             (const T *)z0, c->sum);
    return cvxr_dev_sum(c, 0);
}

/* ---- Products of the certificate -------------------------------------------------------- */

/* The operator on rows row .. of the data, which are on the card afterwards; returns how many
   they are. */
static size_t cvxr_dev_exact_rows(cvxrelu_cuda *c, size_t row, cvxr_gpu_op<double> *op) {
    const cvxr_dev_exact *x = &c->exact;
    const size_t rows = cvxr_gpu_min(x->block, c->task.n - row);
    *op = x->op;
    op->n = rows;
    op->bits = x->op.bits + row / 64;
    if (x->block < c->task.n) cvxr_dev_send_rows(c, row, rows);
    return rows;
}

/* `count` <= CVXR_DEV_ROWS groups to exact: their patterns, and their weights where they have
   some. The list of them. */
static cvxr_gpu_list cvxr_dev_exact_list(cvxrelu_cuda *c, size_t count, const size_t *patterns,
                                         const double *U) {
    const cvxr_dev_exact *x = &c->exact;
    const cvxr_gpu_list list = { count, 1, x->at, x->starts, c->host + CVXR_DEV_ROWS };
    size_t j;
    for (j = 0; j < count; j++) c->host[j] = (uint32_t)patterns[j];
    c->host[CVXR_DEV_ROWS] = 0, c->host[CVXR_DEV_ROWS + 1] = (uint32_t)count;
    cvxr_cuda_send(&c->gpu, x->at, c->host, count * sizeof *c->host);
    cvxr_cuda_send(&c->gpu, x->starts, c->host + CVXR_DEV_ROWS, 2 * sizeof *c->host);
    if (U) cvxr_cuda_send(&c->gpu, x->U, U, count * c->task.ldx * sizeof *U);
    return list;
}

static void cvxr_dev_forward64(void *self, size_t count, const size_t *patterns,
                               const double *U, double *z) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const cvxr_dev_exact *x = &c->exact;
    const size_t n = c->task.n;
    const cvxr_gpu_list list = cvxr_dev_exact_list(c, count, patterns, U);
    size_t row, rows;
    for (row = 0; row < n; row += rows) {
        cvxr_gpu_op<double> op;
        rows = cvxr_dev_exact_rows(c, row, &op);
        cvxr_cuda_forward<double>(&c->gpu, &op, &list, x->U, x->z + row);
    }
    if (cvxr_cuda_fetch(&c->gpu, z, x->z, n * sizeof *z)) memset(z, 0, n * sizeof *z);
    cvxr_dev_count(c, (double)count);
}

/* exact.U = X^T (D theta) for `count` patterns from `first` on. */
static void cvxr_dev_exact_gradient(cvxrelu_cuda *c, size_t first, size_t count) {
    const cvxr_dev_exact *x = &c->exact;
    cvxr_gpu_list all = { count, 0, NULL, NULL, NULL };
    size_t row, rows;
    for (row = 0; row < c->task.n; row += rows) {
        cvxr_gpu_op<double> op;
        rows = cvxr_dev_exact_rows(c, row, &op);
        op.bits += first * op.words;
        op.patterns = count;
        cvxr_cuda_gradient<double>(&c->gpu, &op, &all, 1, x->theta + row, row ? x->G : x->U,
                                   op.dp);
        if (row) cvxr_cuda_axpby<double>(&c->gpu, count * op.dp, 1, x->G, 1, x->U);
    }
    cvxr_dev_count(c, (double)count);
}

static void cvxr_dev_gradient64(void *self, size_t first, size_t count, const double *theta,
                                double *G) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t size = count * c->task.ldx;
    if (theta) cvxr_cuda_send(&c->gpu, c->exact.theta, theta, c->task.n * sizeof *theta);
    cvxr_dev_exact_gradient(c, first, count);
    if (cvxr_cuda_fetch(&c->gpu, G, c->exact.U, size * sizeof *G))
        memset(G, 0, size * sizeof *G);
}

/* The non-zero rows of one output a few at a time, in float64. */
template <typename T> static size_t cvxr_dev_predict64(void *self, const void *W, double *z) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const cvxr_dev_exact *x = &c->exact;
    const size_t n = c->task.n, P = c->task.patterns;
    uint32_t ends[2] = { 0, CVXR_DEV_ROWS };
    size_t row, rows, first, count;
    cvxr_cuda_flags<T>(&c->gpu, P, c->task.ld, (const T *)W, c->flags);
    cvxr_cuda_list(&c->gpu, 1, P, c->flags, c->counts, c->at, c->starts);
    cvxr_cuda_send(&c->gpu, x->starts, ends, sizeof ends);
    cvxr_cuda_zero(&c->gpu, x->z, n * sizeof *z);
    cvxr_cuda_fetch(&c->gpu, c->host, c->starts, 2 * sizeof *c->host);
    count = c->gpu.failed ? 0 : c->host[1];
    for (row = 0; row < n; row += rows) {
        cvxr_gpu_op<double> op;
        rows = cvxr_dev_exact_rows(c, row, &op);
        for (first = 0; first < count; first += CVXR_DEV_ROWS) {
            cvxr_gpu_list list = { cvxr_gpu_min(CVXR_DEV_ROWS, count - first), 1, c->at + first,
                                   x->starts, ends };
            cvxr_cuda_pick<T>(&c->gpu, list.count, c->task.d, c->task.ld, (const T *)W, list.at,
                              op.dp, x->W);
            cvxr_cuda_forward<double>(&c->gpu, &op, &list, x->W, x->part);
            cvxr_cuda_axpby<double>(&c->gpu, rows, 1, x->part, 1, x->z + row);
        }
    }
    if (cvxr_cuda_fetch(&c->gpu, z, x->z, n * sizeof *z)) memset(z, 0, n * sizeof *z);
    cvxr_dev_count(c, (double)count);
    return count;
}

template <typename T>
static int cvxr_dev_sweep64(void *self, cvxrelu_penalty penalty, const void *W,
                            const double *theta, double lambda, double *sums) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const cvxr_dev_exact *x = &c->exact;
    const size_t ld = c->task.ld, ldx = c->task.ldx, P = c->task.patterns;
    size_t first, count;
    int k;
    if (penalty == CVXRELU_PENALTY_FEATURE) return 0;
    cvxr_cuda_send(&c->gpu, x->theta, theta, c->task.n * sizeof *theta);
    for (k = 0; k < CVXR_GPU_SWEEP; k++) sums[k] = 0;
    for (first = 0; first < P; first += count) {
        double part[CVXR_GPU_SWEEP];
        count = cvxr_gpu_min(CVXR_DEV_ROWS, P - first);
        cvxr_dev_exact_gradient(c, first, count);
        cvxr_cuda_restride(&c->gpu, count, c->task.d, ld, (const T *)W + first * ld, ldx, x->W);
        cvxr_cuda_sweep(&c->gpu, penalty, count, ldx, x->U, x->W, lambda, c->work, c->sum);
        if (cvxr_cuda_fetch(&c->gpu, part, c->sum, sizeof part)) return 1;
        for (k = 0; k < CVXR_GPU_SWEEP; k++)
            sums[k] = k < 2 ? fmax(sums[k], part[k]) : sums[k] + part[k];
    }
    return 1;
}

/* ---- One-sided quadratics --------------------------------------------------------------- */

/* Of `groups` groups; panels of `most` of them. */
template <typename T> struct cvxr_dev_hinges {
    size_t groups, ld, most;
    uint32_t *pattern;    /* groups, or NULL */
    T *gamma, *slope;     /* groups x ld; groups x task.ld: s Xt^T gamma */
    T *rows, *image;      /* 2 most x task.ld: weights, then gradients; 2 most x ld */
    double *sums;         /* most */
};

template <typename T> static void cvxr_dev_hinges_close(void *self, void *hinges) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    cvxr_dev_hinges<T> *h = (cvxr_dev_hinges<T> *)hinges;
    const size_t ld = c->task.ld;
    if (h == NULL) return;
    (void)cudaSetDevice(c->options.device);
    cvxr_dev_give(c, h->sums, h->most * sizeof(double));
    cvxr_dev_give(c, h->image, 2 * h->most * h->ld * sizeof(T));
    cvxr_dev_give(c, h->rows, 2 * h->most * ld * sizeof(T));
    cvxr_dev_give(c, h->slope, h->groups * ld * sizeof(T));
    cvxr_dev_give(c, h->gamma, h->groups * h->ld * sizeof(T));
    cvxr_dev_give(c, h->pattern, h->groups * sizeof(uint32_t));
    free(h);
}

/* Bytes for panels: a part of those that open put aside. CD-A's groups, how many is known now,
   were not among what it counted; nor are their weights there yet. */
template <typename T> static size_t cvxr_dev_hinge_room(cvxrelu_cuda *c, size_t groups) {
    const double row = ((double)cvxr_dev_tall(c->task.n) + 5 * (double)c->task.ld) * sizeof(T);
    const double room = cvxr_dev_free(c) - (row + 4) * (double)groups - 65536;
    return c->task.sides == 2 ? c->room / 4 : room > 0 ? (size_t)(room / 2) : 0;
}

template <typename T>
static void *cvxr_dev_hinges_open(void *self, size_t groups, const size_t *pattern) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t ld = c->task.ld, tall = cvxr_dev_tall(c->task.n);
    const size_t one = 2 * (tall + ld) * sizeof(T) + sizeof(double);
    const size_t wish = c->options.panel_bytes ? c->options.panel_bytes : CVXR_DEV_PANEL;
    cvxr_dev_hinges<T> *h = (cvxr_dev_hinges<T> *)calloc(1, sizeof *h);
    if (h == NULL) cvxr_gpu_fail(&c->gpu, CVXRELU_ERR_MEMORY, "host", "no memory");
    else if (groups > c->groups)
        cvxr_gpu_fail(&c->gpu, CVXRELU_ERR_UNSUPPORTED, "one-sided quadratics",
                      "more groups than the task has");
    if (c->gpu.failed) {
        free(h);
        return NULL;
    }
    h->groups = groups;
    h->ld = tall;
    h->most = cvxr_gpu_min(4 * wish, cvxr_dev_hinge_room<T>(c, groups)) / one;
    h->most = cvxr_gpu_max(cvxr_gpu_min(h->most, groups), 1);
    if (pattern) {
        h->pattern = (uint32_t *)cvxr_dev_take(c, groups * sizeof(uint32_t));
        cvxr_dev_send_patterns(c, groups, pattern, h->pattern);
    }
    h->gamma = (T *)cvxr_dev_take(c, groups * tall * sizeof(T));
    h->slope = (T *)cvxr_dev_take(c, groups * ld * sizeof(T));
    h->rows = (T *)cvxr_dev_take(c, 2 * h->most * ld * sizeof(T));
    h->image = (T *)cvxr_dev_take(c, 2 * h->most * tall * sizeof(T));
    h->sums = (double *)cvxr_dev_take(c, h->most * sizeof(double));
    cvxr_cuda_zero(&c->gpu, h->gamma, groups * tall * sizeof(T));
    cvxr_cuda_zero(&c->gpu, h->slope, groups * ld * sizeof(T));
    if (!c->gpu.failed) return h;
    cvxr_dev_hinges_close<T>(self, h);
    return NULL;
}

/* c->at = the groups that V, or Y, has non-zero, c->flags says which; returns how many. */
template <typename T>
static size_t cvxr_dev_hinge_list(cvxrelu_cuda *c, size_t groups, const T *V, const T *Y) {
    cvxr_cuda_flags<T>(&c->gpu, groups, c->task.ld, V, c->flags);
    if (Y) {
        cvxr_cuda_flags<T>(&c->gpu, groups, c->task.ld, Y, c->other);
        cvxr_cuda_either(&c->gpu, groups, c->other, c->flags);
    }
    cvxr_cuda_list(&c->gpu, 1, groups, c->flags, c->counts, c->at, c->starts);
    if (cvxr_cuda_fetch(&c->gpu, c->host, c->starts, 2 * sizeof *c->host)) return 0;
    return c->host[1];
}

/* image = X w for `count` rows, or back. */
template <typename T>
static void cvxr_dev_image(cvxrelu_cuda *c, size_t count, T *rows, T *image, size_t ld,
                           int back) {
    cvxr_cuda_image<T>(&c->gpu, cvxr_dev_op(c, (const T *)NULL), count, rows, image, ld, back);
    c->flops += 2 * (double)c->task.n * (double)c->task.d * (double)count;
}

/* A panel of `count` groups of the list, from `first` on: images of V's rows, and of Y's; what
   the kernel does with them; the sum over the groups when it has one. */
template <typename T>
static double cvxr_dev_hinge_panel(cvxrelu_cuda *c, cvxr_dev_hinges<T> *h, cvxr_gpu_hinge what,
                                   double delta, const T *V, const T *Y, size_t first,
                                   size_t count, int sum) {
    const size_t ld = c->task.ld;
    T *other = Y ? h->image + h->most * h->ld : NULL;
    cvxr_gpu_hinges about = { c->task.n, h->ld, c->task.patterns, c->task.words, h->pattern,
                              c->exact.op.bits, delta, c->at + first };
    cvxr_f_entries sums = { h->sums, 1 };
    cvxr_cuda_gather<T>(&c->gpu, count, ld, c->at + first, V, h->rows);
    cvxr_dev_image<T>(c, count, h->rows, h->image, h->ld, 0);
    if (Y) {
        cvxr_cuda_gather<T>(&c->gpu, count, ld, c->at + first, Y, h->rows + h->most * ld);
        cvxr_dev_image<T>(c, count, h->rows + h->most * ld, other, h->ld, 0);
    }
    cvxr_cuda_hinge<T>(&c->gpu, what, &about, count, h->gamma, h->image, other, h->sums);
    if (!sum) return 0;
    cvxr_gpu_reduce<0>(&c->gpu, count, sums, c->sum);
    return cvxr_dev_sum(c, 0);
}

/* The sum over the groups that V, or Y, has non-zero. */
template <typename T>
static double cvxr_dev_hinge_sum(cvxrelu_cuda *c, cvxr_dev_hinges<T> *h, cvxr_gpu_hinge what,
                                 double delta, const T *V, const T *Y) {
    const size_t count = cvxr_dev_hinge_list<T>(c, h->groups, V, Y);
    double sum = 0;
    size_t first;
    for (first = 0; first < count; first += h->most)
        sum += cvxr_dev_hinge_panel<T>(c, h, what, delta, V, Y, first,
                                       cvxr_gpu_min(h->most, count - first), 1);
    return sum;
}

template <typename T>
static void cvxr_dev_hinges_update(void *self, void *hinges, double delta, const void *W) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_dev_hinges<T> *h = (cvxr_dev_hinges<T> *)hinges;
    const size_t count = cvxr_dev_hinge_list<T>(c, h->groups, (const T *)W, NULL);
    size_t first, some;
    for (first = 0; first < count; first += some) {
        cvxr_gpu_hinges about = { c->task.n, h->ld, c->task.patterns, c->task.words,
                                  h->pattern, c->exact.op.bits, delta, c->at + first };
        some = cvxr_gpu_min(h->most, count - first);
        cvxr_dev_hinge_panel<T>(c, h, CVXR_GPU_RESIDUAL, delta, (const T *)W, NULL, first, some,
                                0);
        cvxr_dev_image<T>(c, some, h->rows, h->image, h->ld, 1);
        cvxr_cuda_scatter<T>(&c->gpu, some, c->task.ld, c->at + first, 1, h->rows, 0, h->slope);
        cvxr_cuda_hinge<T>(&c->gpu, CVXR_GPU_MULTIPLIERS, &about, some, h->gamma, h->image,
                           NULL, NULL);
    }
}

template <typename T>
static void cvxr_dev_hinges_gradient(void *self, void *hinges, double delta, double scale,
                                     const void *W, void *G) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_dev_hinges<T> *h = (cvxr_dev_hinges<T> *)hinges;
    const size_t ld = c->task.ld;
    const size_t count = cvxr_dev_hinge_list<T>(c, h->groups, (const T *)W, NULL);
    size_t first, some;
    cvxr_cuda_add_rest<T>(&c->gpu, h->groups, ld, c->flags, scale, h->slope, (T *)G);
    for (first = 0; first < count; first += some) {
        some = cvxr_gpu_min(h->most, count - first);
        cvxr_dev_hinge_panel<T>(c, h, CVXR_GPU_RESIDUAL, delta, (const T *)W, NULL, first, some,
                                0);
        cvxr_dev_image<T>(c, some, h->rows, h->image, h->ld, 1);
        cvxr_cuda_scatter<T>(&c->gpu, some, ld, c->at + first, scale, h->rows, 1, (T *)G);
    }
}

template <typename T>
static double cvxr_dev_hinges_value(void *self, void *hinges, double delta, const void *W) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_dev_hinges<T> *h = (cvxr_dev_hinges<T> *)hinges;
    const double sum =
        cvxr_dev_hinge_sum<T>(c, h, CVXR_GPU_RESIDUAL, delta, (const T *)W, NULL);
    cvxr_cuda_rest_squares<T>(&c->gpu, h->groups, h->ld, c->flags, h->gamma, c->sum);
    return sum + cvxr_dev_sum(c, 0);
}

template <typename T>
static double cvxr_dev_hinges_excess(void *self, void *hinges, double delta, const void *V,
                                     const void *Y) {
    return cvxr_dev_hinge_sum<T>(cvxr_dev(self), (cvxr_dev_hinges<T> *)hinges, CVXR_GPU_EXCESS,
                                 delta, (const T *)V, (const T *)Y);
}

template <typename T>
static double cvxr_dev_hinges_gap(void *self, void *hinges, const void *W) {
    return cvxr_dev_hinge_sum<T>(cvxr_dev(self), (cvxr_dev_hinges<T> *)hinges, CVXR_GPU_GAP, 1,
                                 (const T *)W, NULL);
}

/* ==== C10 NEWTON'S TABLE =================================================================
   The entries of cvxrelu_device_newton: C07 with the memory and the exact operator of the
   object, vectors of n numbers on the card. The factor is of H, n x n, or by Woodbury of order
   k d, whichever takes fewer flops. H and K = X X^T take 2 n^2 doubles, taken at open, beside
   panels of a few hundred groups; where K has no room it is made by columns each time, where H
   has none Woodbury's factors are the only ones, as large as there is room for. Tests:
   tests/cuda/test_cuda.cu, fit_cuda.cu.                                                      */

#define CVXR_DEV_COLUMNS 512   /* groups of a panel of the matrix, at most */
#define CVXR_DEV_FEW     32    /* and at least, as long as there are so many */
#define CVXR_DEV_ORDER   46340 /* of a factor: n^2 < 2^31, cuSOLVER counts in int */
#define CVXR_DEV_LEAST   2048  /* of Woodbury's factor where H has no room */
#define CVXR_DEV_VECTORS 64    /* vectors that there must be room for beside the matrix */

/* Memory of `count` elements; no room is no failure. */
template <typename T> static int cvxr_dev_newton_take(cvxrelu_cuda *c, size_t count, T **to) {
    cudaError_t error;
    if (c->gpu.failed) return 0;
    *to = (T *)cvxr_dev_try(c, count * sizeof(T), &error);
    if (error != cudaSuccess && error != cudaErrorMemoryAllocation)
        cvxr_gpu_check(&c->gpu, error, "memory of Newton's matrix");
    return *to != NULL;
}

static int cvxr_dev_set_make(cvxrelu_cuda *c, cvxr_dev_set *s, size_t room) {
    s->room = room;
    return cvxr_dev_newton_take(c, room, &s->at) && cvxr_dev_newton_take(c, 2, &s->starts)
           && cvxr_dev_newton_take(c, room, &s->a)
           && cvxr_dev_newton_take(c, room * c->task.ldx, &s->zh);
}

static void cvxr_dev_set_give(cvxrelu_cuda *c, cvxr_dev_set *s) {
    cvxr_dev_give(c, s->zh, s->room * c->task.ldx * sizeof(double));
    cvxr_dev_give(c, s->a, s->room * sizeof(double));
    cvxr_dev_give(c, s->starts, 2 * sizeof(uint32_t));
    cvxr_dev_give(c, s->at, s->room * sizeof(uint32_t));
}

/* Gives back what the factor takes. */
static void cvxr_dev_newton_give(cvxrelu_cuda *c) {
    cvxr_dev_newton *s = &c->newton;
    const size_t n = c->task.n;
    cvxr_dev_give(c, s->E, n * s->columns * sizeof(double));
    cvxr_dev_give(c, s->work, s->work_size * sizeof(double));
    cvxr_dev_give(c, s->H, s->order * s->order * sizeof(double));
    cvxr_dev_give(c, s->K, n * n * sizeof(double));
    s->E = s->work = s->H = s->K = NULL;
}

static void cvxr_dev_newton_close(void *self) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    cvxr_dev_newton *s = &c->newton;
    (void)cudaSetDevice(c->options.device);
    cvxr_dev_newton_give(c);
    cvxr_dev_give(c, s->info, sizeof(int));
    cvxr_dev_give(c, s->T, s->active.room * c->task.ldx * sizeof(double));
    cvxr_dev_set_give(c, &s->held);
    cvxr_dev_set_give(c, &s->active);
    memset(s, 0, sizeof *s);
}

/* A factor of this order; the panel becomes smaller until there is room for vectors too. */
static int cvxr_dev_newton_room(cvxrelu_cuda *c, size_t order, int with_K) {
    cvxr_dev_newton *s = &c->newton;
    const size_t n = c->task.n;
    const double vectors = 8.0 * CVXR_DEV_VECTORS * (double)n;
    s->order = order;
    s->columns = cvxr_gpu_min(s->active.room, order == n ? CVXR_DEV_COLUMNS : CVXR_DEV_FEW);
    if (order <= CVXR_DEV_ORDER && (!with_K || cvxr_dev_newton_take(c, n * n, &s->K))
        && cvxr_dev_newton_take(c, order * order, &s->H)
        && !cvxr_cuda_factor_size(&c->gpu, order, s->H, &s->work_size)
        && cvxr_dev_newton_take(c, s->work_size, &s->work)) {
        while (s->columns > CVXR_DEV_FEW
               && cvxr_dev_free(c) < vectors + 8.0 * (double)n * (double)s->columns)
            s->columns /= 2;
        if (cvxr_dev_free(c) >= vectors + 8.0 * (double)n * (double)s->columns
            && cvxr_dev_newton_take(c, n * s->columns, &s->E))
            return 1;
    }
    cvxr_dev_newton_give(c);
    return 0;
}

static int cvxr_dev_newton_make(cvxrelu_cuda *c, size_t groups) {
    cvxr_dev_newton *s = &c->newton;
    const size_t n = c->task.n, d = c->task.d, size = groups * c->task.ldx;
    size_t order = cvxr_gpu_min(cvxr_gpu_min(groups * d, n - 1), CVXR_DEV_ORDER);
    const size_t least = cvxr_gpu_min(order / 2, CVXR_DEV_LEAST);
    if (!cvxr_dev_set_make(c, &s->active, groups)
        || !cvxr_dev_set_make(c, &s->held, cvxr_gpu_min(groups, n / d))
        || !cvxr_dev_newton_take(c, size, &s->T) || !cvxr_dev_newton_take(c, 1, &s->info))
        return 0;
    if (cvxr_dev_newton_room(c, n, 1) || cvxr_dev_newton_room(c, n, 0)) return 1;
    for (; order >= least && order >= d && !c->gpu.failed; order -= (order + 7) / 8)
        if (cvxr_dev_newton_room(c, order, 0)) return 1;
    return 0;
}

static int cvxr_dev_newton_open(void *self, size_t groups) {
    cvxrelu_cuda *c = cvxr_dev(self);
    memset(&c->newton, 0, sizeof c->newton);
    if (c->gpu.failed || c->exact.block < c->task.n
        || (double)groups * (double)c->task.ldx > 1e15)
        return 0;
    if (cvxr_dev_newton_make(c, cvxr_gpu_max(groups, 1))) return 1;
    cvxr_dev_newton_close(self);
    return 0;
}

/* ---- Vectors ---------------------------------------------------------------------------- */

static void *cvxr_dev_newton_vector(void *self) {
    return cvxr_dev_allocate<double>(self, ((cvxrelu_cuda *)self)->task.n);
}

static void cvxr_dev_newton_release(void *self, void *v) {
    cvxr_dev_release<double>(self, v, ((cvxrelu_cuda *)self)->task.n);
}

static void cvxr_dev_newton_send(void *self, const double *from, void *v) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_cuda_send(&c->gpu, v, from, c->task.n * sizeof *from);
}

static void cvxr_dev_newton_fetch(void *self, const void *v, double *to) {
    cvxrelu_cuda *c = cvxr_dev(self);
    if (cvxr_cuda_fetch(&c->gpu, to, v, c->task.n * sizeof *to))
        memset(to, 0, c->task.n * sizeof *to);
}

struct cvxr_f_combine {
    double a, b;
    const double *x, *y;
    double *out;
    __device__ void operator()(size_t i) const {
        out[i] = (a == 0 ? 0.0 : a * x[i]) + (b == 0 ? 0.0 : b * y[i]);
    }
};

static void cvxr_dev_newton_combine(void *self, double a, const void *x, double b,
                                    const void *y, void *out) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_f_combine f = { a, b, (const double *)x, (const double *)y, (double *)out };
    cvxr_gpu_each(&c->gpu, c->task.n, f);
}

static double cvxr_dev_newton_dot(void *self, const void *x, const void *y) {
    return cvxr_dev_dot<double>(self, ((cvxrelu_cuda *)self)->task.n, x, NULL, y, NULL);
}

/* ---- Products with groups of the host --------------------------------------------------- */

static void cvxr_dev_newton_forward(void *self, size_t count, const size_t *patterns,
                                    const double *U, void *z) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const cvxr_dev_exact *x = &c->exact;
    const size_t n = c->task.n;
    size_t first, some;
    if (count == 0) cvxr_cuda_zero(&c->gpu, z, n * sizeof(double));
    for (first = 0; first < count && !c->gpu.failed; first += some) {
        cvxr_gpu_list list;
        some = cvxr_gpu_min(CVXR_DEV_ROWS, count - first);
        list = cvxr_dev_exact_list(c, some, patterns + first, U + first * c->task.ldx);
        cvxr_cuda_forward<double>(&c->gpu, &x->op, &list, x->U, first ? x->part : (double *)z);
        if (first) cvxr_cuda_axpby<double>(&c->gpu, n, 1, x->part, 1, (double *)z);
    }
    cvxr_dev_count(c, (double)count);
}

static void cvxr_dev_newton_gradient(void *self, size_t count, const size_t *patterns,
                                     const void *v, double *G) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const cvxr_dev_exact *x = &c->exact;
    const size_t ldx = c->task.ldx;
    size_t first, some;
    for (first = 0; first < count; first += some) {
        cvxr_gpu_op<double> op = x->op;
        cvxr_gpu_list list = { 0, 0, NULL, NULL, NULL };
        some = cvxr_gpu_min(CVXR_DEV_ROWS, count - first);
        if (patterns) list = cvxr_dev_exact_list(c, some, patterns + first, NULL);
        else op.bits += first * op.words, op.patterns = list.count = some;
        cvxr_cuda_gradient<double>(&c->gpu, &op, &list, 1, (const double *)v, x->U, ldx);
        if (cvxr_cuda_fetch(&c->gpu, G + first * ldx, x->U, some * ldx * sizeof *G))
            memset(G + first * ldx, 0, some * ldx * sizeof *G);
    }
    cvxr_dev_count(c, (double)count);
}

/* ---- The matrix and its factor ---------------------------------------------------------- */

/* The set's groups for the model operator, weights packed; `ends` is of the caller. */
static cvxr_gpu_list cvxr_dev_set_list(const cvxr_dev_set *s, uint32_t ends[2]) {
    const cvxr_gpu_list list = { s->count, 1, s->at, s->starts, ends };
    ends[0] = 0, ends[1] = (uint32_t)s->count;
    return list;
}

static void cvxr_dev_newton_active(void *self, size_t count, const size_t *patterns,
                                   const double *a, const double *zh) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_dev_set *s = &c->newton.active;
    const uint32_t ends[2] = { 0, (uint32_t)count };
    if (count > s->room) {
        cvxr_gpu_fail(&c->gpu, CVXRELU_ERR_UNSUPPORTED, "Newton's matrix",
                      "more groups than there is room for");
        return;
    }
    s->count = count;
    cvxr_dev_send_patterns(c, count, patterns, s->at);
    cvxr_cuda_send(&c->gpu, s->starts, ends, sizeof ends);
    cvxr_cuda_send(&c->gpu, s->a, a, count * sizeof *a);
    cvxr_cuda_send(&c->gpu, s->zh, zh, count * c->task.ldx * sizeof *zh);
}

static void cvxr_dev_newton_apply(void *self, double sigma, const void *v, void *out) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const cvxr_dev_newton *s = &c->newton;
    uint32_t ends[2];
    const cvxr_gpu_list list = cvxr_dev_set_list(&s->active, ends);
    cvxr_cuda_newton_apply<double>(&c->gpu, &c->exact.op, &list, s->active.a, s->active.zh,
                                   sigma, (const double *)v, s->T, (double *)out);
    cvxr_dev_count(c, 2 * (double)s->active.count);
}

/* H + jitter I at the active set. */
static void cvxr_dev_newton_rows(cvxrelu_cuda *c, double sigma, double jitter) {
    cvxr_dev_newton *s = &c->newton;
    const double n = (double)c->task.n, d = (double)c->task.d, k = (double)s->active.count;
    if (s->K && !s->has_K) cvxr_cuda_gram(&c->gpu, &c->exact.op, s->K);
    if (!s->has_K) c->flops += n * n * d;
    s->has_K = s->K != NULL;
    cvxr_cuda_newton_matrix(&c->gpu, &c->exact.op, s->active.count, s->active.at, s->active.a,
                            s->active.zh, sigma, jitter, s->K, s->columns, s->E, s->H);
    c->flops += 2 * n * n * k + 2 * n * d * k;
}

struct cvxr_f_roots {
    const double *a;
    double *roots;
    __device__ void operator()(size_t i) const { roots[i] = sqrt(a[i]); }
};

/* Woodbury's M at the active set, which is held. */
static void cvxr_dev_newton_groups(cvxrelu_cuda *c, double sigma, double jitter) {
    cvxr_dev_newton *s = &c->newton;
    cvxr_dev_set *held = &s->held;
    const size_t count = s->active.count, d = c->task.d, m = count * d;
    cvxr_f_roots roots = { s->active.a, held->a };
    s->sigma = sigma, s->shift = 1 + jitter, held->count = count;
    cvxr_cuda_copy(&c->gpu, held->at, s->active.at, count * sizeof(uint32_t));
    cvxr_cuda_copy(&c->gpu, held->starts, s->active.starts, 2 * sizeof(uint32_t));
    cvxr_cuda_copy(&c->gpu, held->zh, s->active.zh, count * c->task.ldx * sizeof(double));
    cvxr_gpu_each(&c->gpu, count, roots);
    cvxr_cuda_newton_groups(&c->gpu, &c->exact.op, d, count, held->at, held->a, held->zh, sigma,
                            jitter, c->task.n * s->columns / m, s->E, s->H);
    c->flops += (double)c->task.n * (double)m * ((double)m + 3);
}

/* Is Woodbury's factor, of order m, the one to take? It may need more workspace. */
static int cvxr_dev_newton_fewer(cvxrelu_cuda *c, size_t m) {
    const cvxr_dev_newton *s = &c->newton;
    const double n = (double)c->task.n, k = (double)s->active.count, o = (double)m;
    size_t size = 0;
    if (m > s->order || s->active.count > s->held.room) return 0;
    if (s->order == c->task.n
        && n * o * (o + 3) + o * o * o / 3
               >= 2 * n * (n * k + o) + n * n * n / 3
                      + (s->K ? 0.0 : n * n * (double)c->task.d))
        return 0;
    return !cvxr_cuda_factor_size(&c->gpu, m, s->H, &size) && size <= s->work_size;
}

static int cvxr_dev_newton_factor(void *self, double sigma, double jitter) {
    cvxrelu_cuda *c = cvxr_dev(self);
    cvxr_dev_newton *s = &c->newton;
    size_t order = s->active.count * c->task.d;
    int info = 1;
    s->whole = !cvxr_dev_newton_fewer(c, order);
    if (s->whole && s->order < c->task.n) return -1;
    if (s->whole) cvxr_dev_newton_rows(c, sigma, jitter), order = c->task.n;
    else cvxr_dev_newton_groups(c, sigma, jitter);
    cvxr_cuda_factor(&c->gpu, order, s->H, s->work, s->work_size, s->info);
    c->flops += (double)order * (double)order * (double)order / 3;
    return !cvxr_cuda_fetch(&c->gpu, &info, s->info, sizeof info) && info == 0;
}

/* out = (v - sigma B M^{-1} B^T v) / shift. */
static void cvxr_dev_newton_solve_groups(cvxrelu_cuda *c, const double *v, double *out) {
    cvxr_dev_newton *s = &c->newton;
    const cvxr_dev_set *held = &s->held;
    const cvxr_gpu_op<double> *op = &c->exact.op;
    const size_t n = op->n, k = held->count, d = c->task.d, m = k * d;
    double *b = c->exact.part; /* m <= n */
    uint32_t ends[2];
    const cvxr_gpu_list list = cvxr_dev_set_list(held, ends);
    cvxr_cuda_gradient<double>(&c->gpu, op, &list, 1, v, s->T, op->dp);
    cvxr_cuda_jacobian(&c->gpu, k, op->dp, held->a, held->zh, s->T);
    cvxr_cuda_restride(&c->gpu, k, d, op->dp, s->T, d, b);
    cvxr_cuda_solve(&c->gpu, m, s->H, 1, b, s->info);
    cvxr_cuda_restride(&c->gpu, k, d, d, b, op->dp, s->T);
    cvxr_cuda_jacobian(&c->gpu, k, op->dp, held->a, held->zh, s->T);
    cvxr_cuda_forward<double>(&c->gpu, op, &list, s->T, out);
    cvxr_cuda_axpby<double>(&c->gpu, n, 1 / s->shift, v, -s->sigma / s->shift, out);
    c->flops += 4 * (double)n * (double)m + 2 * (double)m * (double)m;
}

static void cvxr_dev_newton_solve(void *self, const void *v, void *out) {
    cvxrelu_cuda *c = cvxr_dev(self);
    const size_t n = c->task.n;
    if (!c->newton.whole) {
        cvxr_dev_newton_solve_groups(c, (const double *)v, (double *)out);
        return;
    }
    cvxr_cuda_copy(&c->gpu, out, v, n * sizeof(double));
    cvxr_cuda_solve(&c->gpu, n, c->newton.H, 1, (double *)out, c->newton.info);
    c->flops += 2 * (double)n * (double)n;
}

static const cvxrelu_device_newton cvxr_dev_newton_table = {
    cvxr_dev_newton_open,     cvxr_dev_newton_close,  cvxr_dev_newton_vector,
    cvxr_dev_newton_release,  cvxr_dev_newton_send,   cvxr_dev_newton_fetch,
    cvxr_dev_newton_combine,  cvxr_dev_newton_dot,    cvxr_dev_newton_forward,
    cvxr_dev_newton_gradient, cvxr_dev_newton_active, cvxr_dev_newton_apply,
    cvxr_dev_newton_factor,   cvxr_dev_newton_solve
};

/* ==== C11 OPEN AND CLOSE =================================================================
   The table filled for a work type, and the object.                                          */

static void cvxr_dev_work(void *self, double *passes, double *flops) {
    cvxrelu_cuda *c = (cvxrelu_cuda *)self;
    *passes += c->passes, *flops += c->flops;
    c->passes = c->flops = 0;
}

template <typename T> static void cvxr_dev_fill(cvxrelu_device *t) {
    t->signs_open = cvxr_dev_signs_open, t->signs = cvxr_dev_signs_of;
    t->signs_close = cvxr_dev_signs_close;
    t->open = cvxr_dev_open, t->close = cvxr_dev_close, t->status = cvxr_dev_status;
    t->allocate = cvxr_dev_allocate<T>, t->release = cvxr_dev_release<T>;
    t->copy = cvxr_dev_copy<T>, t->axpby = cvxr_dev_axpby<T>, t->dot = cvxr_dev_dot<T>;
    t->take = cvxr_dev_take_rows<T>, t->put = cvxr_dev_put_rows<T>;
    t->prox = cvxr_dev_prox<T>, t->penalty = cvxr_dev_penalty<T>;
    t->subgradient = cvxr_dev_subgradient<T>;
    t->forward = cvxr_dev_forward<T>, t->gradient = cvxr_dev_gradient<T>;
    t->residual = cvxr_dev_residual<T>, t->loss = cvxr_dev_loss<T>;
    t->excess = cvxr_dev_excess<T>;
    t->forward64 = cvxr_dev_forward64, t->gradient64 = cvxr_dev_gradient64;
    t->predict64 = cvxr_dev_predict64<T>, t->sweep64 = cvxr_dev_sweep64<T>;
    t->hinges_open = cvxr_dev_hinges_open<T>, t->hinges_close = cvxr_dev_hinges_close<T>;
    t->hinges_update = cvxr_dev_hinges_update<T>;
    t->hinges_gradient = cvxr_dev_hinges_gradient<T>;
    t->hinges_value = cvxr_dev_hinges_value<T>, t->hinges_excess = cvxr_dev_hinges_excess<T>;
    t->hinges_gap = cvxr_dev_hinges_gap<T>;
    t->work = cvxr_dev_work;
    t->newton = &cvxr_dev_newton_table;
}

/* Is there such a card? */
static cvxrelu_result cvxr_dev_find(int device, char *message) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        (void)cudaGetLastError();
        snprintf(message, CVXRELU_MESSAGE_SIZE, "CUDA: no card: %s",
                 error != cudaSuccess ? cudaGetErrorString(error) : "none is there");
        return CVXRELU_ERR_DEVICE;
    }
    if (device < 0 || device >= count) {
        snprintf(message, CVXRELU_MESSAGE_SIZE,
                 "options.device is %d: there are %d CUDA devices, from 0 on", device, count);
        return CVXRELU_ERR_ARGUMENT;
    }
    return CVXRELU_OK;
}

static void cvxr_dev_start(cvxrelu_cuda *c) {
    cvxr_gpu *g = &c->gpu;
    cvxr_gpu_check(g, cudaSetDevice(c->options.device), "choosing the card");
    if (c->options.stream) g->stream = (cudaStream_t)c->options.stream;
    else if (!g->failed)
        cvxr_gpu_check(g, cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking),
                       "a stream");
    if (!g->failed) cvxr_gpu_blas(g, cublasCreate(&g->blas), "cuBLAS");
    if (!g->failed) cvxr_gpu_blas(g, cublasSetStream(g->blas, g->stream), "cuBLAS");
    if (!g->failed) cvxr_gpu_solved(g, cusolverDnCreate(&g->solver), "cuSOLVER");
    if (!g->failed) cvxr_gpu_solved(g, cusolverDnSetStream(g->solver, g->stream), "cuSOLVER");
    g->sums = (double *)cvxr_dev_take(c, CVXR_GPU_SUMS * sizeof(double));
}

CVXRELU_API void cvxrelu_cuda_close(cvxrelu_cuda *cuda) {
    if (cuda == NULL) return;
    (void)cudaSetDevice(cuda->options.device);
    if (cuda->gpu.sums) cudaFree(cuda->gpu.sums);
    if (cuda->gpu.solver) cusolverDnDestroy(cuda->gpu.solver);
    if (cuda->gpu.blas) cublasDestroy(cuda->gpu.blas);
    if (cuda->gpu.stream && cuda->options.stream == NULL) cudaStreamDestroy(cuda->gpu.stream);
    free(cuda);
}

CVXRELU_API cvxrelu_result cvxrelu_cuda_open(const cvxrelu_cuda_options *options,
                                             cvxrelu_cuda **cuda,
                                             char message[CVXRELU_MESSAGE_SIZE]) {
    static const cvxrelu_cuda_options zeros = { 0, CVXRELU_CUDA_FLOAT32, 0, 0, 0, NULL };
    char own[CVXRELU_MESSAGE_SIZE];
    cvxrelu_cuda *c;
    cvxrelu_result result;
    if (message == NULL) message = own;
    message[0] = 0;
    if (cuda == NULL) return CVXRELU_ERR_ARGUMENT;
    *cuda = NULL;
    if (options == NULL) options = &zeros;
    if (options->precision < CVXRELU_CUDA_FLOAT32 || options->precision > CVXRELU_CUDA_TF32X3) {
        snprintf(message, CVXRELU_MESSAGE_SIZE,
                 "options.precision is %d: it is CVXRELU_CUDA_FLOAT32, _TF32 or _TF32X3",
                 (int)options->precision);
        return CVXRELU_ERR_ARGUMENT;
    }
    result = cvxr_dev_find(options->device, message);
    if (result) return result;
    c = (cvxrelu_cuda *)calloc(1, sizeof *c);
    if (c == NULL) {
        snprintf(message, CVXRELU_MESSAGE_SIZE, "no memory for the object");
        return CVXRELU_ERR_MEMORY;
    }
    c->options = *options;
    c->gpu.precision = options->precision;
    c->table.self = c;
    cvxr_dev_fill<double>(&c->table);
    cvxr_dev_start(c);
    result = cvxr_dev_status(c, message);
    if (result) cvxrelu_cuda_close(c);
    else *cuda = c;
    return result;
}

CVXRELU_API const cvxrelu_device *cvxrelu_cuda_device(const cvxrelu_cuda *cuda) {
    return &cuda->table;
}

CVXRELU_API size_t cvxrelu_cuda_peak(const cvxrelu_cuda *cuda) { return cuda->peak; }

#endif
