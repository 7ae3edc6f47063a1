/* The built-in matrix product against a CBLAS, one thread, best of several runs.
   HAVE_CBLAS: cblas.h is there and linked. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CVXRELU_IMPLEMENTATION
#include "../../cvxrelu.h"

#ifdef HAVE_CBLAS
#include <cblas.h>
#endif

static double *make64(size_t count, uint64_t seed) {
    double *x = (double *)malloc(count * sizeof *x);
    cvxrelu_random random;
    size_t i;
    cvxrelu_random_init(&random, seed);
    for (i = 0; x != NULL && i < count; i++) x[i] = cvxrelu_random_normal(&random);
    return x;
}

static float *make32(const double *from, size_t count) {
    float *x = (float *)malloc(count * sizeof *x);
    size_t i;
    for (i = 0; x != NULL && i < count; i++) x[i] = (float)from[i];
    return x;
}

typedef struct operands {
    size_t n;
    double *a, *b, *c;
    float *fa, *fb, *fc;
    cvxr_la la;
} operands;

/* which: 0 built-in f64, 1 built-in f32, 2 CBLAS f64, 3 CBLAS f32. */
static void multiply(const operands *o, int which) {
    size_t n = o->n;
    if (which == 0) cvxr_gemm_f64(&o->la, 0, 0, n, n, n, 1.0, o->a, n, o->b, n, 0.0, o->c, n);
    if (which == 1)
        cvxr_gemm_f32(&o->la, 0, 0, n, n, n, 1.0f, o->fa, n, o->fb, n, 0.0f, o->fc, n);
#ifdef HAVE_CBLAS
    if (which == 2)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)n, (int)n, 1.0,
                    o->a, (int)n, o->b, (int)n, 0.0, o->c, (int)n);
    if (which == 3)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)n, (int)n, 1.0f,
                    o->fa, (int)n, o->fb, (int)n, 0.0f, o->fc, (int)n);
#endif
}

/* Gflop/s of the best of at least 5 runs and 0.3 seconds. */
static double rate(const operands *o, int which) {
    double best = 1e300, total = 0.0, n = (double)o->n;
    int runs;
    for (runs = 0; runs < 5 || total < 0.3; runs++) {
        clock_t start = clock();
        double seconds;
        multiply(o, which);
        seconds = (double)(clock() - start) / (double)CLOCKS_PER_SEC;
        total += seconds;
        if (seconds < best && seconds > 0.0) best = seconds;
    }
    return 2.0 * n * n * n / best / 1e9;
}

int main(void) {
    static const size_t sizes[3] = { 128, 512, 1024 };
    size_t i, most = 1024 * 1024;
    int f32;
    operands o;
    memset(&o, 0, sizeof o);
    o.a = make64(most, 1);
    o.b = make64(most, 2);
    o.c = make64(most, 3);
    o.la.team.threads = 1;
    o.la.work = malloc(cvxr_la_work_bytes(1) + 64);
    if (!o.a || !o.b || !o.c || !o.la.work) return 1;
    o.fa = make32(o.a, most);
    o.fb = make32(o.b, most);
    o.fc = make32(o.c, most);
    if (!o.fa || !o.fb || !o.fc) return 1;
    o.la.work = (unsigned char *)o.la.work + (64 - (uintptr_t)o.la.work % 64);
    printf("matrix product, one thread, Gflop/s\n     n        built-in   CBLAS   ratio\n");
    for (f32 = 0; f32 < 2; f32++)
        for (i = 0; i < 3; i++) {
            double own, other = 0.0;
            o.n = sizes[i];
            own = rate(&o, f32);
#ifdef HAVE_CBLAS
            other = rate(&o, 2 + f32);
#endif
            printf("%6lu %s %10.1f", (unsigned long)o.n, f32 ? "f32" : "f64", own);
            if (other > 0.0) printf(" %7.1f %6.0f%%\n", other, 100.0 * own / other);
            else printf("       -       -\n");
        }
#ifndef HAVE_CBLAS
    printf("SKIP comparison: no cblas.h or no library to link\n");
#endif
    return 0;
}
