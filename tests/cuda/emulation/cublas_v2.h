/* The part of cuBLAS that cvxrelu_cuda.cuh uses, by plain loops; see cuda_runtime.h. A
   product in TF32 rounds its factors to ten bits of mantissa. */
#ifndef CVXRELU_EMULATED_CUBLAS_V2_H
#define CVXRELU_EMULATED_CUBLAS_V2_H

#include <cuda_runtime.h>

typedef enum cublasStatus {
    CUBLAS_STATUS_SUCCESS = 0,
    CUBLAS_STATUS_NOT_INITIALIZED = 1,
    CUBLAS_STATUS_ALLOC_FAILED = 3,
    CUBLAS_STATUS_INVALID_VALUE = 7,
    CUBLAS_STATUS_EXECUTION_FAILED = 13
} cublasStatus_t;
typedef enum { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 } cublasOperation_t;
typedef enum { CUBLAS_FILL_MODE_LOWER = 0, CUBLAS_FILL_MODE_UPPER = 1 } cublasFillMode_t;
typedef enum {
    CUBLAS_COMPUTE_32F = 68,
    CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
    CUBLAS_COMPUTE_64F = 70
} cublasComputeType_t;
typedef enum { CUBLAS_GEMM_DEFAULT = -1 } cublasGemmAlgo_t;
typedef enum {
    CUBLAS_DEFAULT_MATH = 0,
    CUBLAS_PEDANTIC_MATH = 2,
    CUBLAS_TF32_TENSOR_OP_MATH = 3
} cublasMath_t;
typedef enum { CUDA_R_32F = 0, CUDA_R_64F = 1 } cudaDataType;
typedef struct emu_blas {
    int open;
} * cublasHandle_t;

EMU_UNUSED static const char *cublasGetStatusString(cublasStatus_t s) {
    return s == CUBLAS_STATUS_SUCCESS         ? "success"
           : s == CUBLAS_STATUS_ALLOC_FAILED  ? "the resource allocation failed"
           : s == CUBLAS_STATUS_INVALID_VALUE ? "an unsupported value was passed"
                                              : "the function failed to launch on the GPU";
}
EMU_UNUSED static cublasStatus_t cublasCreate(cublasHandle_t *h) {
    return emu_create(h, CUBLAS_STATUS_NOT_INITIALIZED, CUBLAS_STATUS_ALLOC_FAILED);
}
EMU_UNUSED static cublasStatus_t cublasDestroy(cublasHandle_t h) {
    emu_destroy(h);
    return CUBLAS_STATUS_SUCCESS;
}
EMU_UNUSED static cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) {
    return CUBLAS_STATUS_SUCCESS;
}
EMU_UNUSED static cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) {
    return CUBLAS_STATUS_SUCCESS;
}
EMU_UNUSED static cublasStatus_t cublasSetWorkspace(cublasHandle_t, void *, size_t) {
    return CUBLAS_STATUS_SUCCESS;
}

static float emu_factor(float x, int tf32) { return tf32 ? emu_tf32(x) : x; }
static double emu_factor(double x, int) { return x; }

/* lower: of C the lower triangle only. */
template <typename T>
static cublasStatus_t emu_gemm(int ta, int tb, int m, int n, int k, T alpha, const T *A,
                               int lda, const T *B, int ldb, T beta, T *C, int ldc, int tf32,
                               int lower) {
    int i, j, l;
    if (m < 0 || n < 0 || k < 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m
        || lda < 1 || ldb < 1 || ldc < 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (emu_fails()) return CUBLAS_STATUS_EXECUTION_FAILED;
    emu_want_device(A, "a product"), emu_want_device(B, "a product");
    emu_want_device(C, "a product");
    emu_open open;
    for (j = 0; j < n; j++)
        for (i = lower ? j : 0; i < m; i++) {
            T *c = C + (size_t)j * ldc + i, sum = 0;
            const T *a = ta ? A + (size_t)i * lda : A + i,
                    *b = tb ? B + j : B + (size_t)j * ldb;
            const size_t sa = ta ? 1 : (size_t)lda, sb = tb ? (size_t)ldb : 1;
            for (l = 0; l < k; l++)
                sum += emu_factor(a[l * sa], tf32) * emu_factor(b[l * sb], tf32);
            *c = beta == 0 ? alpha * sum : alpha * sum + beta * *c;
        }
    return CUBLAS_STATUS_SUCCESS;
}

EMU_UNUSED static cublasStatus_t
cublasGemmEx(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
             const void *alpha, const void *A, cudaDataType type, int lda, const void *B,
             cudaDataType, int ldb, const void *beta, void *C, cudaDataType, int ldc,
             cublasComputeType_t compute, cublasGemmAlgo_t) {
    if (type == CUDA_R_64F)
        return emu_gemm<double>(ta, tb, m, n, k, *(const double *)alpha, (const double *)A, lda,
                                (const double *)B, ldb, *(const double *)beta, (double *)C, ldc,
                                0, 0);
    return emu_gemm<float>(ta, tb, m, n, k, *(const float *)alpha, (const float *)A, lda,
                           (const float *)B, ldb, *(const float *)beta, (float *)C, ldc,
                           compute == CUBLAS_COMPUTE_32F_FAST_TF32, 0);
}
EMU_UNUSED static cublasStatus_t cublasDgemm(cublasHandle_t, cublasOperation_t ta,
                                             cublasOperation_t tb, int m, int n, int k,
                                             const double *alpha, const double *A, int lda,
                                             const double *B, int ldb, const double *beta,
                                             double *C, int ldc) {
    return emu_gemm<double>(ta, tb, m, n, k, *alpha, A, lda, B, ldb, *beta, C, ldc, 0, 0);
}
EMU_UNUSED static cublasStatus_t cublasSgemm(cublasHandle_t, cublasOperation_t ta,
                                             cublasOperation_t tb, int m, int n, int k,
                                             const float *alpha, const float *A, int lda,
                                             const float *B, int ldb, const float *beta,
                                             float *C, int ldc) {
    return emu_gemm<float>(ta, tb, m, n, k, *alpha, A, lda, B, ldb, *beta, C, ldc, 0, 0);
}
EMU_UNUSED static cublasStatus_t cublasDsyrk(cublasHandle_t, cublasFillMode_t fill,
                                             cublasOperation_t t, int n, int k,
                                             const double *alpha, const double *A, int lda,
                                             const double *beta, double *C, int ldc) {
    if (fill != CUBLAS_FILL_MODE_LOWER) return CUBLAS_STATUS_INVALID_VALUE;
    return emu_gemm<double>(t, !t, n, n, k, *alpha, A, lda, A, lda, *beta, C, ldc, 0, 1);
}

#endif
