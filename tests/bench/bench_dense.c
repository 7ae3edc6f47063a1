/* The built-in dense algebra (S05) against a CBLAS on one thread: both in turn, processor time
   of this thread, medians of 7 rounds. HAVE_CBLAS: cblas.h is there and linked; HAVE_POTRF: the
   library also holds LAPACK's potrf. Arguments: the classes to run (all of them without). */

#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CVXRELU_IMPLEMENTATION
#include "../../cvxrelu.h"

#ifdef HAVE_CBLAS
#include <cblas.h>
#endif
#ifdef HAVE_POTRF
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info);
#endif

enum { GEMM, SYRK, POTRF, TRSM, RIGHT }; /* RIGHT: B L^{-T}, as in a Cholesky factor */
#define ROUNDS 7

/* m x n x k and transpositions as in cvxr_gemm; syrk: m x m from depth k; potrf: order m; trsm:
   order m, n right-hand sides (RIGHT: n rows). */
typedef struct shape {
    const char *name; /* the class */
    int kind, ta, tb;
    size_t m, n, k;
} shape;

#define CUBES(name, kind, ta, tb)                                                              \
    { name, kind, ta, tb, 128, 128, 128 }, { name, kind, ta, tb, 512, 512, 512 },              \
        { name, kind, ta, tb, 1024, 1024, 1024 }
#define SMALL_CUBES(name, kind, ta, tb)                                                        \
    { name, kind, ta, tb, 8, 8, 8 }, { name, kind, ta, tb, 16, 16, 16 },                       \
        { name, kind, ta, tb, 24, 24, 24 }, { name, kind, ta, tb, 32, 32, 32 },                \
        { name, kind, ta, tb, 50, 50, 50 }, { name, kind, ta, tb, 64, 64, 64 }
/* d = 8, 16, 32, 64: X Z^T, X^T R, R^T X, the Gram matrix of rows and that of columns. */
#define SKINNY(d)                                                                              \
    { "forward", GEMM, 0, 1, 250, 64, d }, { "forward", GEMM, 0, 1, 1000, 100, d },            \
        { "forward", GEMM, 0, 1, 8192, 8, d }, { "forward", GEMM, 0, 1, 8192, 200, d },        \
        { "forward", GEMM, 0, 0, 4000, d, d }, { "gradient", GEMM, 1, 0, d, 16, 250 },         \
        { "gradient", GEMM, 1, 0, d, 100, 1000 }, { "gradient", GEMM, 1, 0, d, 8, 8192 },      \
        { "gradient", GEMM, 1, 0, d, 200, 8192 }, { "gradient", GEMM, 0, 0, 100, d, 1000 },    \
        { "gradient", GEMM, 0, 0, 8, d, 8192 }, { "gram", GEMM, 0, 1, 256, 256, d },           \
        { "gram", GEMM, 0, 1, 1000, 1000, d }, { "gram", SYRK, 0, 0, 250, 250, d },            \
        { "gram", SYRK, 0, 0, 1000, 1000, d }, { "gram", SYRK, 1, 0, d, d, 250 },              \
        { "gram", SYRK, 1, 0, d, d, 8192 }
static const shape shapes[] = {
    CUBES("gemm", GEMM, 0, 0), CUBES("gemm", GEMM, 0, 1), CUBES("gemm", GEMM, 1, 0),
    CUBES("syrk", SYRK, 0, 0), CUBES("syrk", SYRK, 1, 0), CUBES("potrf", POTRF, 0, 0),
    CUBES("trsm", TRSM, 0, 0), CUBES("trsm", TRSM, 1, 0), CUBES("trsm", RIGHT, 0, 0),
    SMALL_CUBES("small-gemm", GEMM, 0, 0), SMALL_CUBES("small-gemm", GEMM, 0, 1),
    SMALL_CUBES("small-gemm", GEMM, 1, 0), SMALL_CUBES("small-syrk", SYRK, 0, 0),
    SMALL_CUBES("small-potrf", POTRF, 0, 0), SMALL_CUBES("small-trsm", TRSM, 0, 0),
    SMALL_CUBES("small-trsm", TRSM, 1, 0), SKINNY(8), SKINNY(16), SKINNY(32), SKINNY(64)
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

typedef struct operands {
    double *a, *b, *c;
    float *fa, *fb, *fc;
    cvxr_la la;
} operands;

static double *make64(size_t count, uint64_t seed, double scale) {
    double *x = (double *)malloc(count * sizeof *x);
    cvxrelu_random random;
    size_t i;
    cvxrelu_random_init(&random, seed);
    for (i = 0; x != NULL && i < count; i++) x[i] = scale * cvxrelu_random_normal(&random);
    return x;
}

static float *make32(const double *from, size_t count) {
    float *x = (float *)malloc(count * sizeof *x);
    size_t i;
    for (i = 0; x != NULL && i < count; i++) x[i] = (float)from[i];
    return x;
}

/* Strides, those of the widest operand that the transposition allows. */
static size_t lda_of(const shape *s) {
    return s->kind == GEMM || s->kind == SYRK ? (s->ta ? s->m : s->k) : s->m;
}
static size_t ldb_of(const shape *s) {
    return s->kind == GEMM ? (s->tb ? s->k : s->n) : s->kind == RIGHT ? s->m : s->n;
}

#define OWN(type, real)                                                                        \
    static void own_##type(const operands *o, const shape *s, real *A, real *B, real *C) {     \
        const cvxr_la *la = &o->la;                                                            \
        size_t m = s->m, lda = lda_of(s), ldb = ldb_of(s);                                     \
        if (s->kind == GEMM)                                                                   \
            cvxr_gemm_##type(la, s->ta, s->tb, m, s->n, s->k, 1, A, lda, B, ldb, 0, C, s->n);  \
        if (s->kind == SYRK) cvxr_syrk_##type(la, s->ta, m, s->k, 1, A, lda, 0, C, m);         \
        if (s->kind == POTRF) cvxr_potrf_##type(la, m, C, m);                                  \
        if (s->kind == TRSM) cvxr_trsm_##type(la, s->ta, m, s->n, A, m, C, s->n);              \
        if (s->kind == RIGHT) cvxr_solve_run_##type(la, 0, 1, m, s->n, A, m, C, m);            \
    }
OWN(f64, double)
OWN(f32, float)

#ifdef HAVE_CBLAS
#define TURN(t) ((t) ? CblasTrans : CblasNoTrans)
#ifdef HAVE_POTRF
#define POTRF_CALL(x) x##potrf_("U", &m, C, &m, &info)
#else
#define POTRF_CALL(x) info = 0
#endif
#define OTHER(x, type, real)                                                                   \
    static void other_##type(const shape *s, real *A, real *B, real *C) {                      \
        int m = (int)s->m, n = (int)s->n, k = (int)s->k, lda = (int)lda_of(s);                 \
        int ldb = (int)ldb_of(s), info = 0;                                                    \
        if (s->kind == GEMM)                                                                   \
            cblas_##x##gemm(CblasRowMajor, TURN(s->ta), TURN(s->tb), m, n, k, 1, A, lda, B,    \
                            ldb, 0, C, n);                                                     \
        if (s->kind == SYRK)                                                                   \
            cblas_##x##syrk(CblasRowMajor, CblasLower, TURN(s->ta), m, k, 1, A, lda, 0, C, m); \
        if (s->kind == POTRF) POTRF_CALL(x);                                                   \
        if (s->kind == TRSM)                                                                   \
            cblas_##x##trsm(CblasRowMajor, CblasLeft, CblasLower, TURN(s->ta), CblasNonUnit,   \
                            m, n, 1, A, m, C, n);                                              \
        if (s->kind == RIGHT)                                                                  \
            cblas_##x##trsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,   \
                            n, m, 1, A, m, C, m);                                              \
        (void)info;                                                                            \
    }
OTHER(d, f64, double)
OTHER(s, f32, float)
#endif

static int comparable(const shape *s) {
#if defined(HAVE_POTRF)
    (void)s;
    return 1;
#elif defined(HAVE_CBLAS)
    return s->kind != POTRF;
#else
    (void)s;
    return 0;
#endif
}

static void call(const operands *o, const shape *s, int other, int f32, size_t at) {
#ifdef HAVE_CBLAS
    if (other && f32) other_f32(s, o->fa, o->fb, o->fc + at);
    if (other && !f32) other_f64(s, o->a, o->b, o->c + at);
#endif
    if (!other && f32) own_f32(o, s, o->fa, o->fb, o->fc + at);
    if (!other && !f32) own_f64(o, s, o->a, o->b, o->c + at);
}

static double now(void) {
#ifdef CLOCK_THREAD_CPUTIME_ID
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#else
    return (double)clock() / (double)CLOCKS_PER_SEC;
#endif
}

static double flops(const shape *s) {
    double m = (double)s->m, n = (double)s->n, k = (double)s->k;
    switch (s->kind) {
    case GEMM: return 2 * m * n * k;
    case SYRK: return m * (m + 1) * k;
    case POTRF: return m * m * m / 3 + m * m / 2;
    default: return m * m * n;
    }
}

/* A positive definite matrix for potrf in each of `count` places; a triangle near the identity
   for trsm, whose solutions then stay as they are however often it is applied. */
static void fill(const operands *o, const shape *s, size_t count, double *scratch) {
    size_t i, j, m = s->m;
    if (s->kind == POTRF)
        for (i = 0; i < count * m * m; i++) {
            size_t row = i / m % m, column = i % m;
            o->c[i] = row == column ? 2 : 1 / (double)(m + (row > column ? row : column));
            o->fc[i] = (float)o->c[i];
        }
    if (s->kind != TRSM && s->kind != RIGHT) return;
    for (i = 0; i < m; i++)
        for (j = 0; j < m; j++) {
            o->a[i * m + j] = i == j ? 1 : 1e-4 * scratch[i * m + j] / (double)m;
            o->fa[i * m + j] = (float)o->a[i * m + j];
        }
}

static int by_size(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    return a < b ? -1 : a > b;
}

/* Seconds of one call: enough calls in a row to be measured, or for potrf one on each of a row
   of matrices. */
static double seconds(const operands *o, const shape *s, int other, int f32, size_t calls) {
    size_t i, step = s->kind == POTRF ? s->m * s->m : 0;
    double start;
    if (step) fill(o, s, calls, NULL);
    start = now();
    for (i = 0; i < calls; i++) call(o, s, other, f32, i * step);
    return (now() - start) / (double)calls;
}

/* The worst ratio of each class and type, in order of first use. */
typedef struct summary {
    const char *name;
    int f32;
    double worst;
} summary;

static void note(summary *table, size_t *count, const shape *s, int f32, double ratio) {
    size_t i;
    for (i = 0; i < *count; i++)
        if (table[i].f32 == f32 && !strcmp(table[i].name, s->name)) break;
    if (i == *count) {
        table[i].name = s->name;
        table[i].f32 = f32;
        table[i].worst = ratio;
        (*count)++;
    }
    if (ratio < table[i].worst) table[i].worst = ratio;
}

static void measure(const operands *o, const shape *s, int f32, double *scratch,
                    summary *table, size_t *count) {
    static const char *const kinds[] = { "gemm", "syrk", "potrf", "trsm", "trsm right" };
    double own[ROUNDS], other[ROUNDS], ratio[ROUNDS], work = flops(s);
    size_t calls = (size_t)(2e7 / work) + 1, i;
    if (s->kind == POTRF) calls = (size_t)(65536 / (s->m * s->m)) + 1;
    fill(o, s, calls, scratch);
    for (i = 0; i < ROUNDS; i++) {
        own[i] = seconds(o, s, 0, f32, calls);
        other[i] = comparable(s) ? seconds(o, s, 1, f32, calls) : 0;
        ratio[i] = other[i] / own[i];
    }
    qsort(own, ROUNDS, sizeof *own, by_size);
    qsort(other, ROUNDS, sizeof *other, by_size);
    qsort(ratio, ROUNDS, sizeof *ratio, by_size);
    printf("%-11s %-10s %c%c %5lu %5lu %5lu %s %8.2f", s->name, kinds[s->kind],
           s->ta ? 'T' : 'N', s->tb ? 'T' : 'N', (unsigned long)s->m, (unsigned long)s->n,
           (unsigned long)s->k, f32 ? "f32" : "f64", work / own[ROUNDS / 2] / 1e9);
    if (comparable(s)) {
        printf(" %8.2f %5.0f%%\n", work / other[ROUNDS / 2] / 1e9, 100 * ratio[ROUNDS / 2]);
        note(table, count, s, f32, ratio[ROUNDS / 2]);
    } else printf("        -      -\n");
}

/* ---- Threads, without needing idle cores: tasks run one after the other, and each parallel
   loop counts as long as its longest task. */
typedef struct path {
    double spared; /* seconds that other threads would have taken over */
} path;

static void timed_for(void *context, size_t count, void (*body)(void *arg, size_t i),
                      void *arg) {
    double sum = 0, most = 0;
    size_t i;
    for (i = 0; i < count; i++) {
        double start = now(), taken;
        body(arg, i);
        taken = now() - start;
        sum += taken;
        if (taken > most) most = taken;
    }
    ((path *)context)->spared += sum - most;
}

static void measure_threads(const operands *alone, const shape *s, int f32, double *scratch) {
    operands o = *alone;
    path path;
    double ratio[ROUNDS];
    size_t calls = (size_t)(2e7 / flops(s)) + 1, i;
    o.la.team.hook.parallel_for = timed_for;
    o.la.team.hook.context = &path;
    if (s->kind == POTRF) calls = (size_t)(65536 / (s->m * s->m)) + 1;
    fill(&o, s, calls, scratch);
    for (i = 0; i < ROUNDS; i++) {
        double one, two;
        path.spared = 0;
        o.la.team.threads = 1;
        one = seconds(&o, s, 0, f32, calls);
        o.la.team.threads = 2;
        two = seconds(&o, s, 0, f32, calls) - path.spared / (double)calls;
        ratio[i] = one / two;
    }
    qsort(ratio, ROUNDS, sizeof *ratio, by_size);
    printf("%-10s %c%c %5lu %s  2 threads %5.2f times as fast\n",
           s->kind == GEMM    ? "gemm"
           : s->kind == SYRK  ? "syrk"
           : s->kind == POTRF ? "potrf"
           : s->kind == TRSM  ? "trsm"
                              : "trsm right",
           s->ta ? 'T' : 'N', s->tb ? 'T' : 'N', (unsigned long)s->m, f32 ? "f32" : "f64",
           ratio[ROUNDS / 2]);
}

static int chosen(const char *name, int argc, char **argv) {
    int i;
    for (i = 1; i < argc; i++)
        if (!strcmp(argv[i], name)) return 1;
    return argc < 2;
}

int main(int argc, char **argv) {
    summary table[2 * SHAPES];
    size_t i, count = 0, most = 1700000;
    double *scratch = make64(most, 4, 1);
    int f32;
    operands o;
    memset(&o, 0, sizeof o);
    o.a = make64(most, 1, 1);
    o.b = make64(most, 2, 1);
    o.c = make64(most, 3, 1);
    o.la.team.threads = 1;
    o.la.work = malloc(cvxr_la_work_bytes(2) + 64);
    if (!scratch || !o.a || !o.b || !o.c || !o.la.work) return 1;
    o.fa = make32(o.a, most);
    o.fb = make32(o.b, most);
    o.fc = make32(o.c, most);
    if (!o.fa || !o.fb || !o.fc) return 1;
    o.la.work = (unsigned char *)o.la.work + (64 - (uintptr_t)o.la.work % 64);
    printf("Gflop/s of one thread%26sbuilt-in    CBLAS  ratio\n", "");
    for (i = 0; i < SHAPES; i++)
        for (f32 = 0; f32 < 2 && chosen(shapes[i].name, argc, argv); f32++)
            measure(&o, shapes + i, f32, scratch, table, &count);
    for (i = 0; i < 27 && chosen("threads", argc, argv); i++)
        for (f32 = 0; f32 < 2; f32++) measure_threads(&o, shapes + i, f32, scratch);
    for (i = 0; i < count; i++)
        printf("worst ratio of %-11s %s %5.0f%%\n", table[i].name, table[i].f32 ? "f32" : "f64",
               100 * table[i].worst);
#ifndef HAVE_CBLAS
    printf("SKIP comparison: no cblas.h or no library to link\n");
#endif
    return 0;
}
