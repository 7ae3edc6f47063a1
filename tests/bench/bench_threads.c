/* What threads are worth: every case with one thread and with several, by turns, medians. The
   objectives must agree in every bit. Cases below --least seconds with one thread are run but
   not counted.

     bench_threads [--threads T] [--repeats R] [--least SECONDS] [--only TEXT]

   Needs OpenMP and as many free cores as threads: a core that something else uses shows up as a
   smaller ratio. Exit state 1 when bits differ, 77
   (nothing run) without OpenMP. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CVXRELU_IMPLEMENTATION
#include "../../cvxrelu.h"
#include "../../examples/cli_npy.h"
#include "problems.h"

typedef struct threads_options {
    int threads, repeats;
    double least;
    const char *only;
} threads_options;

typedef struct threads_case {
    const char *name;
    cvxrelu_problem problem;
    cvxrelu_options fit;
} threads_case;

typedef struct threads_totals {
    int counted, differ;
    double logs, worst;
} threads_totals;

static double threads_now(void) { return cvxr_clock_default(NULL); }

static int threads_by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One run; the wall seconds, and the objective. */
static double threads_run(const threads_case *which, int threads, double *objective) {
    cvxrelu_options options = which->fit;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    double start = threads_now();
    options.threads = threads;
    if (cvxrelu_fit(&which->problem, &options, NULL, &model, &report) != CVXRELU_OK) {
        fprintf(stderr, "bench_threads: %s: %s\n", which->name, report.message);
        exit(1);
    }
    start = threads_now() - start;
    *objective = report.objective;
    cvxrelu_model_free(model);
    return start;
}

static void threads_measure(const threads_options *options, const threads_case *which,
                            threads_totals *totals) {
    double one[99], many[99], a, b, ratio;
    int r, same = 1;
    if (options->only && strstr(which->name, options->only) == NULL) return;
    for (r = 0; r < options->repeats; r++) {
        one[r] = threads_run(which, 1, &a);
        many[r] = threads_run(which, options->threads, &b);
        same = same && memcmp(&a, &b, sizeof a) == 0;
    }
    qsort(one, (size_t)options->repeats, sizeof *one, threads_by_size);
    qsort(many, (size_t)options->repeats, sizeof *many, threads_by_size);
    ratio = one[options->repeats / 2] / many[options->repeats / 2];
    printf("| %s | %.4f | %.4f | %.2f%s | %s |\n", which->name, one[options->repeats / 2],
           many[options->repeats / 2], ratio,
           one[options->repeats / 2] < options->least ? " (short)" : "",
           same ? "same" : "DIFFER");
    fflush(stdout);
    if (!same) totals->differ++;
    if (one[options->repeats / 2] < options->least) return;
    totals->counted++;
    totals->logs += log(ratio);
    if (ratio < totals->worst) totals->worst = ratio;
}

static threads_case threads_gated(const char *name, const bench_data *data, const double *gates,
                                  size_t P, double lambda) {
    threads_case c;
    memset(&c, 0, sizeof c);
    c.name = name;
    c.problem.X.data = data->X;
    c.problem.X.rows = data->n;
    c.problem.X.cols = data->d;
    c.problem.Y.data = data->y;
    c.problem.Y.rows = data->n;
    c.problem.Y.cols = 1;
    c.problem.lambda = lambda;
    c.problem.scale = CVXRELU_SCALE_NONE;
    c.problem.no_bias = 1;
    c.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    c.problem.gates.given.data = gates;
    c.problem.gates.given.rows = P;
    c.problem.gates.given.cols = data->d;
    return c;
}

/* The gated problems of problems.h. */
static void threads_benchmark(const threads_options *options, threads_totals *totals) {
    size_t which, i, j;
    for (which = 0; which < 4; which++) {
        bench_data data = bench_make(which, NULL);
        for (i = 0; i < 3; i++) {
            double *gates = bench_gates(&data, bench_patterns[i]);
            for (j = 0; j < 3; j++) {
                char name[96];
                threads_case c = threads_gated(name, &data, gates, bench_patterns[i],
                                               bench_lambdas[j]);
                sprintf(name, "%s P=%lu %g", data.name, (unsigned long)bench_patterns[i],
                        bench_lambdas[j]);
                threads_measure(options, &c, totals);
            }
            free(gates);
        }
        bench_free(&data);
    }
}

static void threads_large(const threads_options *options, threads_totals *totals) {
    bench_data data = bench_make(4, NULL);
    double *gates = bench_gates(&data, 1000);
    size_t j;
    for (j = 0; j < 3; j++) {
        char name[96];
        threads_case c = threads_gated(name, &data, gates, 1000, bench_large_lambdas[j]);
        sprintf(name, "large P=1000 %g", bench_large_lambdas[j]);
        threads_measure(options, &c, totals);
    }
    free(gates);
    bench_free(&data);
}

/* The other solvers on the gaussian data, three outputs for one of them. */
static void threads_solvers(const threads_options *options, threads_totals *totals) {
    bench_data data = bench_make(1, NULL);
    double *gates = bench_gates(&data, 500), *three;
    threads_case c;
    size_t i;
    three = (double *)bench_alloc(3 * data.n, sizeof *three);
    for (i = 0; i < 3 * data.n; i++) three[i] = data.y[(i * 7 + i % 3) % data.n];
    c = threads_gated("gaussian, 3 outputs, P=500 0.001", &data, gates, 500, 1e-3);
    c.problem.Y.data = three;
    c.problem.Y.cols = 3;
    threads_measure(options, &c, totals);
    c = threads_gated("gaussian, R-FISTA, P=500 0.001", &data, gates, 500, 1e-3);
    c.fit.solver = CVXRELU_SOLVER_FISTA;
    c.fit.max_iters = 200;
    threads_measure(options, &c, totals);
    c = threads_gated("gaussian, ReLU Newton, P=500 0.001", &data, gates, 500, 1e-3);
    c.problem.kind = CVXRELU_RELU;
    c.problem.search = CVXRELU_SEARCH_OFF;
    threads_measure(options, &c, totals);
    c.name = "gaussian, ReLU AL, P=500 0.001";
    c.fit.solver = CVXRELU_SOLVER_AL;
    c.fit.tol = 1e-3;
    c.fit.max_iters = 200;
    threads_measure(options, &c, totals);
    c = threads_gated("gaussian, ReLU search 0.001", &data, gates, 500, 1e-3);
    memset(&c.problem.gates, 0, sizeof c.problem.gates);
    c.problem.kind = CVXRELU_RELU;
    c.fit.search.rounds = 2;
    c.fit.tol = 1e-4;
    threads_measure(options, &c, totals);
    free(three);
    free(gates);
    bench_free(&data);
}

int main(int argc, char **argv) {
    threads_options options;
    threads_totals totals;
    int i;
#ifndef _OPENMP
    printf("skipped: bench-threads: compiled without OpenMP\n");
    return 77;
#endif
    memset(&totals, 0, sizeof totals);
    options.threads = 2;
    options.repeats = 3;
    options.least = 0.1;
    options.only = NULL;
    totals.worst = HUGE_VAL;
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--threads") == 0) options.threads = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--repeats") == 0) options.repeats = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--least") == 0) options.least = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--only") == 0) options.only = argv[i + 1];
        else break;
    }
    if (i < argc || options.threads < 1 || options.repeats < 1 || options.repeats > 99) {
        fprintf(stderr, "bench_threads: bad option (see the top of bench_threads.c)\n");
        return 2;
    }
    printf("| problem | 1 thread, s | %d threads, s | ratio | bits |\n|---|---|---|---|---|\n",
           options.threads);
    threads_large(&options, &totals);
    threads_benchmark(&options, &totals);
    threads_solvers(&options, &totals);
    if (totals.counted)
        printf("\n%d problems of %g s or more: geometric mean %.2f, worst %.2f\n",
               totals.counted, options.least, exp(totals.logs / totals.counted), totals.worst);
    return totals.differ != 0;
}
