/* The masked operator of S08 against the matrix product of S05, on one thread: forward
   sum_i D_i X u_i and gradient X^T (D_i r) for c outputs over m patterns, half of the bits set.
   Needed flops are those of the active half, n d m c each way; a dense program does twice as
   many. The target is 70% of the flop rate of gemm (512^3, the same precision) on them. gemm,
   forward and gradient take turns; the ratios are medians over the turns, times are processor
   time. HAVE_CBLAS: the products of the expanded problem by cblas_?gemm, n x d by d x m and
   back, without masks, sums or an n x m array to be made first, which is the least that a
   program without mask kernels does.
   Two threads: the tasks of a team of two run one after the other; what is outside of them
   plus the longest of the pairs is the time of two idle cores without contention.
   Also: Newton's matrix E diag(a) E^T (S14 multiplies it with K) against syrk of the same
   size, and the sampling of P patterns (S07) as a multiple of one gemm pass 2 n d P.
   Arguments: --quick (fewer shapes), --isa 0|1|2 (at most this instruction set). */

#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CVXRELU_IMPLEMENTATION
#include "../../cvxrelu.h"

#ifdef HAVE_CBLAS
#include <cblas.h>
#endif

enum { TURNS = 5, GEMM = 512 };
static const double SLICE = 0.008; /* seconds of one turn */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(const double *x, size_t count) {
    double sorted[TURNS];
    memcpy(sorted, x, count * sizeof *x);
    qsort(sorted, count, sizeof *sorted, by_size);
    return sorted[count / 2];
}

static void *take(cvxr_mem *mem, size_t count, size_t size) {
    void *p = cvxr_alloc_zero(mem, count, size);
    if (p == NULL) fprintf(stderr, "bench_operator: no memory\n"), exit(1);
    return p;
}

/* ---- Tasks of a team, one after the other, the time of each kept. */
typedef struct stopwatch {
    double inside, longest; /* seconds of all tasks; of the critical path */
} stopwatch;

static void watch(void *context, size_t count, void (*body)(void *arg, size_t i), void *arg) {
    stopwatch *w = (stopwatch *)context;
    double load[2] = { 0, 0 };
    size_t i;
    for (i = 0; i < count; i++) { /* the next task to whoever is idle first */
        double start = now(), took;
        body(arg, i);
        took = now() - start;
        w->inside += took;
        load[load[1] < load[0]] += took;
    }
    w->longest += load[0] > load[1] ? load[0] : load[1];
}

/* ---- One shape */
typedef struct shape {
    size_t n, d, m, c;
} shape;

typedef struct bench {
    shape at;
    int f32, isa;
    size_t dp, chosen; /* chosen: patterns of which `m` are selected, spread */
    cvxr_mem mem;
    cvxr_op op;
    cvxr_la la;
    cvxr_select select;
    const cvxr_space *space;
    void *X, *U, *R, *Z, *G;
    size_t *idx;
    void *A, *B, *C; /* gemm */
    void *dense;     /* CBLAS: n x m */
} bench;

static void fill(const cvxr_space *space, void *to, size_t rows, size_t d, size_t ld,
                 uint64_t seed) {
    cvxrelu_random random;
    double *row = (double *)malloc(d * sizeof *row);
    size_t i, j;
    if (row == NULL) exit(1);
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < rows; i++) {
        for (j = 0; j < d; j++) row[j] = cvxrelu_random_normal(&random);
        space->from_f64(d, row, (unsigned char *)to + i * ld * space->size);
    }
    free(row);
}

static void open_bench(bench *b, shape at, int f32, int isa, int threads) {
    cvxrelu_random random;
    uint64_t *bits;
    size_t i, all = at.m <= 100 ? 8 * at.m : at.m, words = (at.n + 63) / 64;
    memset(b, 0, sizeof *b);
    cvxr_mem_init(&b->mem, NULL, 0);
    b->at = at, b->f32 = f32, b->isa = isa;
    b->space = f32 ? &cvxr_space_f32 : &cvxr_space_f64;
    b->dp = f32 ? (at.d + 15) / 16 * 16 : cvxr_pad(at.d);
    b->X = take(&b->mem, at.n * b->dp, b->space->size);
    b->U = take(&b->mem, at.m * at.c * b->dp, b->space->size);
    b->R = take(&b->mem, at.n * at.c, b->space->size);
    b->Z = take(&b->mem, at.n * at.c, b->space->size);
    b->G = take(&b->mem, at.m * at.c * b->dp, b->space->size);
    b->idx = (size_t *)take(&b->mem, at.m, sizeof(size_t));
    bits = (uint64_t *)take(&b->mem, all * words, sizeof *bits);
    cvxrelu_random_init(&random, 7);
    for (i = 0; i < all * words; i++) bits[i] = cvxrelu_random_next(&random);
    for (i = 0; i < all; i++)
        if (at.n % 64) bits[(i + 1) * words - 1] &= ((uint64_t)1 << at.n % 64) - 1;
    for (i = 0; i < at.m; i++) b->idx[i] = all / at.m * i;
    fill(b->space, b->X, at.n, at.d, b->dp, 1);
    fill(b->space, b->U, at.m * at.c, at.d, b->dp, 2);
    fill(b->space, b->R, 1, at.n * at.c, at.n * at.c, 3);
    b->op.n = at.n, b->op.d = at.d, b->op.dp = b->dp, b->op.patterns = all;
    b->op.words = words, b->op.X = b->X, b->op.bits = bits, b->op.isa = isa;
    b->op.team.threads = threads;
    b->op.work = (unsigned char *)take(&b->mem, (size_t)threads, cvxr_op_slice());
    b->select.count = at.m;
    b->select.idx = all > at.m ? b->idx : NULL;
    if (at.m <= 200) /* a working set, whose masks are kept by rows as well */
        cvxr_select_rows(&b->op, &b->select,
                         (uint32_t *)take(&b->mem, cvxr_select_words(at.n, at.m), 4));
    b->la.team.threads = 1, b->la.portable = isa == 0;
    b->la.work = take(&b->mem, 1, cvxr_la_work_bytes(1));
    b->A = take(&b->mem, GEMM * GEMM, b->space->size);
    b->B = take(&b->mem, GEMM * GEMM, b->space->size);
    b->C = take(&b->mem, GEMM * GEMM, b->space->size);
    fill(b->space, b->A, GEMM, GEMM, GEMM, 4);
    fill(b->space, b->B, GEMM, GEMM, GEMM, 5);
#ifdef HAVE_CBLAS
    if (at.n * at.m <= 20000000) b->dense = take(&b->mem, at.n * at.m, b->space->size);
#endif
}

/* Everything that was taken, in one go: the process ends or the blocks are counted. */
static void close_bench(bench *b) {
    const size_t size = b->space->size, n = b->at.n, m = b->at.m, c = b->at.c;
#ifdef HAVE_CBLAS
    if (b->dense) cvxr_release(&b->mem, b->dense, n * m, size);
#endif
    cvxr_release(&b->mem, b->C, GEMM * GEMM, size);
    cvxr_release(&b->mem, b->B, GEMM * GEMM, size);
    cvxr_release(&b->mem, b->A, GEMM * GEMM, size);
    cvxr_release(&b->mem, b->la.work, 1, cvxr_la_work_bytes(1));
    cvxr_release(&b->mem, b->select.row_words, cvxr_select_words(n, m), 4);
    cvxr_release(&b->mem, b->op.work, (size_t)b->op.team.threads, cvxr_op_slice());
    cvxr_release(&b->mem, (void *)(uintptr_t)b->op.bits, b->op.patterns * b->op.words, 8);
    cvxr_release(&b->mem, b->idx, m, sizeof(size_t));
    cvxr_release(&b->mem, b->G, m * c * b->dp, size);
    cvxr_release(&b->mem, b->Z, n * c, size);
    cvxr_release(&b->mem, b->R, n * c, size);
    cvxr_release(&b->mem, b->U, m * c * b->dp, size);
    cvxr_release(&b->mem, b->X, n * b->dp, size);
}

static void *at_element(const bench *b, void *base, size_t element) {
    return (unsigned char *)base + element * b->space->size;
}

static void run_gemm(bench *b) {
    const size_t g = GEMM;
    if (b->f32)
        cvxr_gemm_f32(&b->la, 0, 0, g, g, g, 1.0f, (float *)b->A, g, (float *)b->B, g, 0.0f,
                      (float *)b->C, g);
    else
        cvxr_gemm_f64(&b->la, 0, 0, g, g, g, 1.0, (double *)b->A, g, (double *)b->B, g, 0.0,
                      (double *)b->C, g);
}

static void run_forward(bench *b) {
    size_t k;
    for (k = 0; k < b->at.c; k++)
        b->space->forward(&b->op, &b->select, at_element(b, b->U, k * b->at.m * b->dp), 0,
                          at_element(b, b->Z, k * b->at.n));
}

static void run_gradient(bench *b) {
    size_t k;
    for (k = 0; k < b->at.c; k++)
        b->space->gradient(&b->op, &b->select, at_element(b, b->R, k * b->at.n),
                           at_element(b, b->G, k * b->at.m * b->dp));
}

#ifdef HAVE_CBLAS
/* n x d by d x m for every output (forward), n x m transposed by n x d (gradient). */
static void run_dense(bench *b, int back) {
    const int n = (int)b->at.n, d = (int)b->at.d, m = (int)b->at.m, dp = (int)b->dp;
    size_t k;
    for (k = 0; k < b->at.c; k++) {
        void *U = at_element(b, b->U, k * b->at.m * b->dp);
        void *G = at_element(b, b->G, k * b->at.m * b->dp);
        if (b->f32 && back)
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, d, n, 1.0f,
                        (float *)b->dense, m, (float *)b->X, dp, 0.0f, (float *)G, dp);
        else if (b->f32)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, d, 1.0f, (float *)b->X,
                        dp, (float *)U, dp, 0.0f, (float *)b->dense, m);
        else if (back)
            cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, d, n, 1.0,
                        (double *)b->dense, m, (double *)b->X, dp, 0.0, (double *)G, dp);
        else
            cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, d, 1.0, (double *)b->X,
                        dp, (double *)U, dp, 0.0, (double *)b->dense, m);
    }
}
static void run_dense_forward(bench *b) { run_dense(b, 0); }
static void run_dense_gradient(bench *b) { run_dense(b, 1); }
#endif

/* Seconds of one call: the least over calls that fill a slice. */
static double seconds(bench *b, void (*run)(bench *b)) {
    double best = 1e300, all = 0;
    while (all < SLICE) {
        double start = now(), took;
        run(b);
        took = now() - start;
        all += took;
        if (took < best) best = took;
    }
    return best;
}

/* Time of one thread over that of two. */
static double speedup(bench *b, void (*run)(bench *b)) {
    double ratio[TURNS];
    size_t t;
    for (t = 0; t < TURNS; t++) {
        double one, all = 0, path = 0, least = 1e300;
        b->op.team.threads = 1;
        one = seconds(b, run);
        b->op.team.threads = 2;
        while (all < SLICE) {
            stopwatch w = { 0, 0 };
            double start = now(), took;
            b->op.team.hook.parallel_for = watch;
            b->op.team.hook.context = &w;
            run(b);
            took = now() - start;
            path = took - w.inside + w.longest;
            all += took;
            if (path < least) least = path;
        }
        ratio[t] = one / least;
    }
    b->op.team.threads = 1;
    return median(ratio, TURNS);
}

static int missed, rows;

static void measure(shape at, int f32, int isa) {
    bench b;
    double ahead[TURNS], back[TURNS], peak[TURNS], dense[2][TURNS], ratio[4];
    const double need = (double)at.n * (double)at.d * (double)at.m * (double)at.c;
    size_t t;
    open_bench(&b, at, f32, isa, 2);
    b.op.team.threads = 1;
    memset(dense, 0, sizeof dense);
    for (t = 0; t < TURNS; t++) {
        peak[t] = 2.0 * GEMM * GEMM * GEMM / seconds(&b, run_gemm);
        ahead[t] = need / seconds(&b, run_forward) / peak[t];
        back[t] = need / seconds(&b, run_gradient) / peak[t];
#ifdef HAVE_CBLAS
        if (b.dense && t < 3) {
            dense[0][t] = need / seconds(&b, run_dense_forward) / peak[t];
            dense[1][t] = need / seconds(&b, run_dense_gradient) / peak[t];
        }
#endif
    }
    ratio[0] = median(ahead, TURNS), ratio[1] = median(back, TURNS);
    ratio[2] = speedup(&b, run_forward), ratio[3] = speedup(&b, run_gradient);
    printf("%s %6lu %4lu %5lu %3lu %7.1f %6.1f %6.1f %4.0f%%%c %4.0f%%%c", f32 ? "f32" : "f64",
           (unsigned long)at.n, (unsigned long)at.d, (unsigned long)at.m, (unsigned long)at.c,
           median(peak, TURNS) * 1e-9, ratio[0] * median(peak, TURNS) * 1e-9,
           ratio[1] * median(peak, TURNS) * 1e-9, 100 * ratio[0], ratio[0] < 0.7 ? '-' : ' ',
           100 * ratio[1], ratio[1] < 0.7 ? '-' : ' ');
    if (b.dense) printf("  %5.2f %5.2f", ratio[0] / median(dense[0], 3),
                        ratio[1] / median(dense[1], 3));
    else printf("      -     -");
    printf("  %5.2f %5.2f  %8.2f\n", ratio[2], ratio[3], (double)b.mem.peak / 1048576.0);
    missed += (ratio[0] < 0.7) + (ratio[1] < 0.7);
    rows += 2;
    close_bench(&b);
}

static void all_shapes(int isa, int quick) {
    static const size_t ds[6] = { 8, 11, 32, 64, 200, 784 };
    static const shape few[10] = { { 250, 50, 1000, 1 }, { 569, 31, 1000, 1 },
                                   { 569, 31, 40, 1 },   { 442, 11, 2500, 1 },
                                   { 1000, 20, 2500, 1 }, { 1797, 65, 1000, 10 },
                                   { 1797, 65, 40, 3 },  { 4000, 50, 1000, 1 },
                                   { 19020, 11, 2500, 1 }, { 20000, 11, 20, 3 } };
    size_t i, m;
    int f32;
    printf("masked operator, one thread, kernels %d; needed flops n d m c; '-': below 70%%\n"
           "            shape             Gflop/s      of gemm's rate  / dense CBLAS"
           "  2 threads   MB\n"
           "type    n    d     m   c    gemm forw'd  grad. forw'd grad. forw'd grad. forw'd"
           " grad.   all arrays\n", isa);
    for (f32 = 0; f32 < 2; f32++) {
        for (i = 0; i < 10; i++) measure(few[i], f32, isa);
        for (i = 0; i < 6 && !quick; i++)
            for (m = 8; m <= 1000; m = m == 8 ? 25 : m == 25 ? 100 : m == 100 ? 1000 : 2000) {
                shape at;
                at.n = 2000, at.d = ds[i], at.m = m, at.c = 1;
                measure(at, f32, isa);
            }
    }
    printf("%d of %d at 70%% or more\n", rows - missed, rows);
}

/* ---- Newton's matrix of masks */
static void measure_gram(size_t n, size_t m, int isa) {
    bench b;
    shape at;
    double *M, *a, ratio[TURNS], start, took, rate;
    size_t t, i;
    at.n = n, at.d = 8, at.m = m, at.c = 1;
    open_bench(&b, at, 0, isa, 1);
    M = (double *)take(&b.mem, n * (n + 8), sizeof *M);
    a = (double *)take(&b.mem, m, sizeof *a);
    for (i = 0; i < m; i++) a[i] = 0.5;
    for (t = 0; t < TURNS; t++) {
        rate = 2.0 * GEMM * GEMM * GEMM / seconds(&b, run_gemm);
        start = now();
        cvxr_gram_masks(&b.op, &b.select, a, M, cvxr_pad(n));
        took = now() - start;
        ratio[t] = (double)n * (double)n * (double)m / took / rate;
    }
    printf("%6lu %5lu %8.1f %8.2f\n", (unsigned long)n, (unsigned long)m,
           median(ratio, TURNS) * rate * 1e-9, median(ratio, TURNS));
    cvxr_release(&b.mem, a, m, sizeof *a);
    cvxr_release(&b.mem, M, n * (n + 8), sizeof *M);
    close_bench(&b);
}

/* ---- Sampling */
static void measure_patterns(size_t n, size_t d, size_t P) {
    bench b;
    shape at;
    cvxrelu_problem p;
    cvxr_data data;
    cvxr_patterns made;
    char message[CVXRELU_MESSAGE_SIZE] = "";
    double *X, *Y, start, took, rate;
    at.n = 8, at.d = 8, at.m = 8, at.c = 1;
    open_bench(&b, at, 0, cvxr_isa(0), 1);
    X = (double *)take(&b.mem, n * d, sizeof *X);
    Y = (double *)take(&b.mem, n, sizeof *Y);
    fill(&cvxr_space_f64, X, n, d, d, 3);
    memset(&p, 0, sizeof p);
    p.X.data = X, p.X.rows = n, p.X.cols = d;
    p.Y.data = Y, p.Y.rows = n, p.Y.cols = 1;
    p.gates.count = P;
    if (cvxr_data_make(&b.mem, &p, &data, message)) exit(1);
    rate = 2.0 * GEMM * GEMM * GEMM / seconds(&b, run_gemm);
    start = now();
    if (cvxr_patterns_make(&b.mem, &data, &p.gates, &made, message)) exit(1);
    took = now() - start;
    printf("%6lu %4lu %5lu %8.3f %8.2f\n", (unsigned long)n, (unsigned long)d,
           (unsigned long)P, took, took * rate / (2.0 * (double)n * (double)d * (double)P));
    cvxr_patterns_free(&b.mem, &made);
    cvxr_data_free(&b.mem, &data);
    cvxr_release(&b.mem, Y, n, sizeof *Y);
    cvxr_release(&b.mem, X, n * d, sizeof *X);
    close_bench(&b);
}

int main(int argc, char **argv) {
    int i, quick = 0, isa = cvxr_isa(0);
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) quick = 1;
        else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc)
            isa = (int)cvxr_min(isa, atoi(argv[++i]));
        else return fprintf(stderr, "bench_operator: unknown argument %s\n", argv[i]), 2;
    }
    printf("patterns: sampling as a multiple of one gemm pass 2 n d P\n"
           "     n    d     P  seconds   passes\n");
    measure_patterns(5000, 10, 1000);
    measure_patterns(19020, 10, 2500);
    measure_patterns(quick ? 5000 : 50000, 32, quick ? 1000 : 5000);
    measure_patterns(quick ? 5000 : 50000, 100, 1000);
    printf("E diag(a) E^T: n^2 m flops (half of them needed), Gflop/s, of gemm's rate\n");
    measure_gram(1000, 40, isa);
    measure_gram(2000, 100, isa);
    measure_gram(4000, 200, isa);
    all_shapes(isa, quick);
    return 0;
}
