/* The part of cuSOLVER that cvxrelu_cuda.cuh uses, by plain loops; see cuda_runtime.h. */
#ifndef CVXRELU_EMULATED_CUSOLVERDN_H
#define CVXRELU_EMULATED_CUSOLVERDN_H

#include <cublas_v2.h>

typedef enum {
    CUSOLVER_STATUS_SUCCESS = 0,
    CUSOLVER_STATUS_NOT_INITIALIZED = 1,
    CUSOLVER_STATUS_ALLOC_FAILED = 2,
    CUSOLVER_STATUS_INVALID_VALUE = 3,
    CUSOLVER_STATUS_EXECUTION_FAILED = 6
} cusolverStatus_t;
typedef struct emu_solver {
    int open;
} * cusolverDnHandle_t;

EMU_UNUSED static cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *h) {
    return emu_create(h, CUSOLVER_STATUS_NOT_INITIALIZED, CUSOLVER_STATUS_ALLOC_FAILED);
}
EMU_UNUSED static cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t h) {
    emu_destroy(h);
    return CUSOLVER_STATUS_SUCCESS;
}
EMU_UNUSED static cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t, cudaStream_t) {
    return CUSOLVER_STATUS_SUCCESS;
}
EMU_UNUSED static cusolverStatus_t cusolverDnDpotrf_bufferSize(cusolverDnHandle_t,
                                                               cublasFillMode_t, int n,
                                                               double *, int lda, int *size) {
    if (n < 0 || lda < n || lda < 1) return CUSOLVER_STATUS_INVALID_VALUE;
    *size = n + 1;
    return emu_fails() ? CUSOLVER_STATUS_EXECUTION_FAILED : CUSOLVER_STATUS_SUCCESS;
}
EMU_UNUSED static cusolverStatus_t cusolverDnDpotrf(cusolverDnHandle_t, cublasFillMode_t fill,
                                                    int n, double *A, int lda, double *work,
                                                    int size, int *info) {
    int i, j, k;
    if (fill != CUBLAS_FILL_MODE_LOWER || n < 0 || lda < n || lda < 1 || size < n + 1)
        return CUSOLVER_STATUS_INVALID_VALUE;
    if (emu_fails()) return CUSOLVER_STATUS_EXECUTION_FAILED;
    emu_want_device(A, "potrf"), emu_want_device(work, "potrf"), emu_want_device(info, "potrf");
    emu_open open;
    *info = 0;
    for (j = 0; j < n; j++) {
        double *column = A + (size_t)j * lda;
        for (k = 0; k < j; k++)
            for (i = j; i < n; i++)
                column[i] -= A[(size_t)k * lda + i] * A[(size_t)k * lda + j];
        if (!(column[j] > 0)) {
            *info = j + 1;
            return CUSOLVER_STATUS_SUCCESS;
        }
        column[j] = sqrt(column[j]);
        for (i = j + 1; i < n; i++) column[i] /= column[j];
    }
    return CUSOLVER_STATUS_SUCCESS;
}
EMU_UNUSED static cusolverStatus_t cusolverDnDpotrs(cusolverDnHandle_t, cublasFillMode_t fill,
                                                    int n, int count, const double *L, int lda,
                                                    double *B, int ldb, int *info) {
    int i, j, k;
    if (fill != CUBLAS_FILL_MODE_LOWER || n < 0 || count < 0 || lda < n || ldb < n || lda < 1
        || ldb < 1)
        return CUSOLVER_STATUS_INVALID_VALUE;
    if (emu_fails()) return CUSOLVER_STATUS_EXECUTION_FAILED;
    emu_want_device(L, "potrs"), emu_want_device(B, "potrs"), emu_want_device(info, "potrs");
    emu_open open;
    *info = 0;
    for (k = 0; k < count; k++) {
        double *b = B + (size_t)k * ldb;
        for (j = 0; j < n; j++) {
            b[j] /= L[(size_t)j * lda + j];
            for (i = j + 1; i < n; i++) b[i] -= L[(size_t)j * lda + i] * b[j];
        }
        for (j = n; j-- > 0;) {
            for (i = j + 1; i < n; i++) b[j] -= L[(size_t)j * lda + i] * b[i];
            b[j] /= L[(size_t)j * lda + j];
        }
    }
    return CUSOLVER_STATUS_SUCCESS;
}

#endif
