/* Benchmark of cvxrelu, float64, no BLAS hooked in: on the fixed problems of problems.h (gated
   ReLU), or on one problem from files. Times are those of the whole call of cvxrelu_fit: copy
   of the data, patterns, solution, certificate.

     bench [--quick] [--problem NAME] [--patterns P] [--lambda L] [--data DIR] [--write DIR]
           [--x X.npy --y Y.npy --gates G.npy] [--kind gated|relu] [--save DIR]
           [--solver auto|newton|fista|al] [--tol T] [--threads T] [--time-limit S]
           [--max-iters N] [--memory-limit BYTES] [--stop-objective V] [--repeat R]
           [--trace] [--json] [--build]

   Without options: all 39 problems as a table. --write: only write them as .npy. --x, --y,
   --gates: n x d, n x c, d x P; taken as they are, --lambda says the strength, or with
   --share S it is S times lambda_max. --save: the convex weights U.npy, or V.npy and W.npy.
   --stop-objective ends a run as soon as its objective is <= V. --repeat: R runs, a line each,
   no more after one of 30 s. --json: one line a run; --trace adds to it [CPU seconds, wall
   seconds, objective] of every progress call. --build: only say compiler and flags. Exit
   state 1 when a run to the end stays above the tolerance.

   The limit. One full pass, X^T (D o r) or sum_i D_i X u_i over all P patterns, costs
   2 n d P c flops of dense algebra and reads 8 n d + n P / 8 bytes, so that the product, not
   the memory, sets its time once d P c is above a few hundred. The table states
     peak      Gflop/s of the built-in matrix product (float64, 768 cubed) with as many
               threads, measured first
     of peak   report.flops / seconds / peak, by the model in the header's manual, WORK (a
               pass, a factor in either form, a solve). Masked kernels need fewer operations
               than the model counts, so this can exceed 1
     x pass    seconds in units of 2 n d P c / peak. Any certificate over the P patterns
               takes the gradient of all of them once: dense algebra needs at least 1.
   Seconds are CPU seconds with one thread, wall seconds with more.                          */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CVXRELU_IMPLEMENTATION
#include "../../cvxrelu.h"
#include "../../examples/cli_npy.h"
#include "problems.h"

#ifndef BENCH_FLAGS
#define BENCH_FLAGS ""                 /* the compiler's options: the Makefile says them */
#endif

typedef struct bench_options {
    const char *problem, *data, *write, *x, *y, *gates, *save, *name;
    int quick, json, stop_set, all_good, keep_trace, repeat;
    size_t patterns;
    double lambda, share, stop_objective, peak;
    cvxrelu_kind kind;
    cvxrelu_options fit;
    double *trace, cpu_start;      /* triples of CPU seconds, wall seconds, objective         */
    size_t traced, trace_room;
} bench_options;

typedef struct bench_run {
    cvxrelu_report report;
    double cpu, wall;
} bench_run;

static double bench_cpu(void) { return (double)clock() / (double)CLOCKS_PER_SEC; }

static double bench_wall(void) { return cvxr_clock_default(NULL); }

static int bench_progress(void *user, const cvxrelu_progress *progress) {
    bench_options *options = (bench_options *)user;
    if (options->keep_trace) {
        double *at;
        if (options->traced == options->trace_room) {
            options->trace_room = 2 * options->trace_room + 256;
            options->trace = (double *)realloc(options->trace,
                                               3 * options->trace_room * sizeof(double));
            if (options->trace == NULL) exit(1);
        }
        at = options->trace + 3 * options->traced++;
        at[0] = bench_cpu() - options->cpu_start;
        at[1] = progress->seconds;
        at[2] = progress->objective;
    }
    return options->stop_set && progress->objective <= options->stop_objective;
}

static const char *bench_solver_name(cvxrelu_solver solver) {
    static const char *const names[4] = { "auto", "newton", "fista", "al" };
    return names[solver];
}

/* Gflop/s of the built-in float64 product: best of at least 5 and 0.2 seconds. */
static double bench_peak(int threads) {
    enum { N = 768 };
    double *a = (double *)bench_alloc(3 * N * N, sizeof *a), best = 1e300, total = 0.0;
    unsigned char *work;
    cvxr_la la;
    cvxrelu_random random;
    int runs;
    memset(&la, 0, sizeof la);
    la.team.threads = threads > 1 ? threads : 1;
    work = (unsigned char *)bench_alloc(cvxr_la_work_bytes(threads) + 64, 1);
    la.work = work + (64 - (uintptr_t)work % 64);
    cvxrelu_random_init(&random, 1);
    bench_normals(&random, a, 2 * N * N);
    for (runs = 0; runs < 5 || total < 0.2; runs++) {
        double start = threads > 1 ? bench_wall() : bench_cpu(), seconds;
        cvxr_gemm_f64(&la, 0, 0, N, N, N, 1.0, a, N, a + N * N, N, 0.0, a + 2 * N * N, N);
        seconds = (threads > 1 ? bench_wall() : bench_cpu()) - start;
        total += seconds;
        if (seconds > 0.0 && seconds < best) best = seconds;
    }
    free(work);
    free(a);
    return 2e-9 * N * N * N / best;
}

static void bench_print_json(const bench_options *options, const bench_data *data, size_t P,
                             const bench_run *run) {
    const cvxrelu_report *report = &run->report;
    size_t i;
    printf("{\"problem\": \"%s\", \"patterns\": %lu, \"n\": %lu, \"d\": %lu, \"c\": %lu, "
           "\"lambda\": %.17g, \"lambda_max\": %.17g, \"solver\": \"%s\", \"threads\": %d, "
           "\"seconds\": %.9g, \"cpu\": %.9g, \"passes\": %.9g, \"iterations\": %d, "
           "\"objective\": %.17g, \"dual_bound\": %.17g, \"gap\": %.9g, "
           "\"neurons\": %lu, \"stop\": %d, \"flops\": %.9g, \"peak_bytes\": %lu", data->name,
           (unsigned long)P, (unsigned long)data->n, (unsigned long)data->d,
           (unsigned long)data->c, report->lambda, report->lambda_max,
           bench_solver_name(report->solver), report->threads, run->wall,
           run->cpu, report->passes, report->iterations, report->objective,
           report->dual_bound, report->gap, (unsigned long)report->neurons,
           (int)report->stop, report->flops, (unsigned long)report->peak_bytes);
    if (options->keep_trace) printf(", \"trace\": [");
    for (i = 0; options->keep_trace && i < options->traced; i++)
        printf("%s[%.6g, %.6g, %.17g]", i ? ", " : "", options->trace[3 * i],
               options->trace[3 * i + 1], options->trace[3 * i + 2]);
    printf("%s}\n", options->keep_trace ? "]" : "");
    fflush(stdout);
}

static void bench_print(const bench_options *options, const bench_data *data, size_t P,
                        const bench_run *run) {
    const cvxrelu_report *report = &run->report;
    double seconds = options->fit.threads > 1 ? run->wall : run->cpu;
    double pass = 2e-9 * (double)data->n * (double)data->d * (double)P * (double)data->c;
    if (options->json) {
        bench_print_json(options, data, P, run);
        return;
    }
    printf("| %s | %lu | %g | %s | %.4f | %.1f | %d | %.2f | %.2f | %.0f | %.10g | %.1e | %lu "
           "| %.1f |\n", data->name, (unsigned long)P, report->lambda,
           bench_solver_name(report->solver), seconds, report->passes, report->iterations,
           report->flops / 1e9,
           report->flops / 1e9 / seconds / options->peak, seconds * options->peak / pass,
           report->objective, report->gap, (unsigned long)report->neurons,
           (double)report->peak_bytes / 1048576.0);
    fflush(stdout);
}

static void bench_problem(const bench_options *options, const bench_data *data,
                          const double *gates, size_t P, cvxrelu_problem *problem) {
    memset(problem, 0, sizeof *problem);
    problem->kind = options->kind;
    problem->X.data = data->X;
    problem->X.rows = data->n;
    problem->X.cols = data->d;
    problem->Y.data = data->y;
    problem->Y.rows = data->n;
    problem->Y.cols = data->c;
    problem->scale = CVXRELU_SCALE_NONE;
    problem->no_bias = 1;
    problem->search = options->kind == CVXRELU_RELU ? CVXRELU_SEARCH_OFF : CVXRELU_SEARCH_AUTO;
    problem->gates.sampler = CVXRELU_SAMPLER_GIVEN;
    problem->gates.given.data = gates;
    problem->gates.given.rows = P;
    problem->gates.given.cols = data->d;
}

static void bench_save_model(const bench_options *options, const bench_data *data, size_t P,
                             const cvxrelu_model *model) {
    size_t shape[3];
    double *U, *W;
    int relu = options->kind == CVXRELU_RELU;
    shape[0] = data->c;
    shape[1] = P;
    shape[2] = data->d;
    U = (double *)bench_alloc(data->c * P * data->d, sizeof *U);
    W = (double *)bench_alloc(data->c * P * data->d, sizeof *W);
    if (cvxrelu_model_convex(model, U, relu ? W : NULL, NULL) != CVXRELU_OK) exit(1);
    bench_write_npy(options->save, relu ? "V" : "U", 3, shape, U);
    if (relu) bench_write_npy(options->save, "W", 3, shape, W);
    free(W);
    free(U);
}

/* One strength, options->repeat times. */
static void bench_solve(bench_options *options, const bench_data *data, const double *gates,
                        size_t P, double lambda) {
    cvxrelu_problem problem;
    int i;
    bench_problem(options, data, gates, P, &problem);
    problem.lambda = lambda;
    for (i = 0; i < options->repeat; i++) {
        cvxrelu_model *model = NULL;
        bench_run run;
        double start = bench_wall();
        options->traced = 0;
        options->cpu_start = bench_cpu();
        if (cvxrelu_fit(&problem, &options->fit, NULL, &model, &run.report) != CVXRELU_OK) {
            fprintf(stderr, "bench: %s P=%lu lambda=%g: %s\n", data->name, (unsigned long)P,
                    lambda, run.report.message);
            options->all_good = 0;
            return;
        }
        run.cpu = bench_cpu() - options->cpu_start;
        run.wall = bench_wall() - start;
        bench_print(options, data, P, &run);
        if (!options->stop_set && !(run.report.gap <= run.report.tol)) options->all_good = 0;
        if (options->save != NULL) bench_save_model(options, data, P, model);
        cvxrelu_model_free(model);
        if (run.wall > 30.0) break;
    }
}

static int bench_wanted(const bench_options *options, const bench_data *data, size_t P,
                        double lambda) {
    if (options->quick && (data->n > 1000 || P > 1000)) return 0;
    if (options->problem != NULL && strcmp(options->problem, data->name) != 0) return 0;
    if (options->patterns != 0 && options->patterns != P) return 0;
    return options->lambda <= 0.0 || fabs(options->lambda / lambda - 1.0) < 1e-9;
}

static void bench_all(bench_options *options) {
    size_t which, i, j;
    if (!options->json && options->write == NULL) {
        options->peak = bench_peak(options->fit.threads);
        printf("Matrix product, float64, threads %d: %.1f Gflop/s\n\n"
               "| problem | P | lambda | solver | seconds | passes | iterations | Gflop "
               "| of peak | x pass | objective | gap | neurons | MiB |\n"
               "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
               options->fit.threads > 1 ? options->fit.threads : 1, options->peak);
    }
    for (which = 0; which < 5; which++) {
        bench_data data = bench_make(which, options->data);
        const double *lambdas = which == 4 ? bench_large_lambdas : bench_lambdas;
        for (i = 0; i < 3; i++) {
            size_t P = bench_patterns[i];
            double *gates;
            if (which == 4 && P != 1000) continue;
            gates = bench_gates(&data, P);
            if (options->write != NULL) bench_write(&data, options->write, gates, P);
            for (j = 0; j < 3 && options->write == NULL; j++)
                if (bench_wanted(options, &data, P, lambdas[j]))
                    bench_solve(options, &data, gates, P, lambdas[j]);
            free(gates);
        }
        bench_free(&data);
    }
}

/* The problem of --x, --y and --gates. */
static int bench_files(bench_options *options) {
    cli_pool pool = { NULL };
    npy_array x, y, g;
    bench_data data;
    double *gates, lambda = options->lambda;
    size_t i, j;
    if (npy_read(&pool, options->x, &x) || npy_read(&pool, options->y, &y) ||
        npy_read(&pool, options->gates, &g) || x.rows != y.rows || x.cols != g.rows) {
        fprintf(stderr, "bench: --x, --y, --gates: not n x d, n x c, d x P\n");
        return 2;
    }
    data.name = options->name != NULL ? options->name : "files";
    data.n = x.rows;
    data.d = x.cols;
    data.c = y.cols;
    data.X = x.data;
    data.y = y.data;
    gates = (double *)cli_alloc(&pool, g.rows * g.cols, sizeof *gates);
    for (i = 0; i < g.rows; i++)
        for (j = 0; j < g.cols; j++) gates[j * g.rows + i] = g.data[i * g.cols + j];
    if (options->share > 0.0) {
        cvxrelu_problem problem;
        bench_problem(options, &data, gates, g.cols, &problem);
        if (cvxrelu_lambda_max(&problem, &options->fit, &lambda, NULL) != CVXRELU_OK) return 1;
        lambda *= options->share;
    }
    if (!options->json) options->peak = bench_peak(options->fit.threads);
    bench_solve(options, &data, gates, g.cols, lambda);
    cli_pool_free(&pool);
    return options->all_good ? 0 : 1;
}

static int bench_usage(const char *what) {
    fprintf(stderr, "bench: bad option or missing value: %s (see the top of bench.c)\n", what);
    return 2;
}

static cvxrelu_solver bench_solver(const char *name) {
    int i;
    for (i = 0; i < 4; i++)
        if (strcmp(name, bench_solver_name((cvxrelu_solver)i)) == 0) return (cvxrelu_solver)i;
    exit(bench_usage(name));
}

/* One option that takes a text; 0 when there is no such option. */
static int bench_text_option(bench_options *options, const char *name, const char *value) {
    if (strcmp(name, "--problem") == 0) options->problem = value;
    else if (strcmp(name, "--data") == 0) options->data = value;
    else if (strcmp(name, "--write") == 0) options->write = value;
    else if (strcmp(name, "--x") == 0) options->x = value;
    else if (strcmp(name, "--y") == 0) options->y = value;
    else if (strcmp(name, "--gates") == 0) options->gates = value;
    else if (strcmp(name, "--save") == 0) options->save = value;
    else if (strcmp(name, "--name") == 0) options->name = value;
    else if (strcmp(name, "--solver") == 0) options->fit.solver = bench_solver(value);
    else if (strcmp(name, "--kind") == 0)
        options->kind = strcmp(value, "relu") == 0 ? CVXRELU_RELU : CVXRELU_GATED;
    else return 0;
    return 1;
}

/* One option that takes a number; 0 when there is no such option. */
static int bench_number_option(bench_options *options, const char *name, const char *value) {
    double number = strtod(value, NULL);
    if (strcmp(name, "--patterns") == 0) options->patterns = (size_t)number;
    else if (strcmp(name, "--lambda") == 0) options->lambda = number;
    else if (strcmp(name, "--share") == 0) options->share = number;
    else if (strcmp(name, "--tol") == 0) options->fit.tol = number;
    else if (strcmp(name, "--threads") == 0) options->fit.threads = (int)number;
    else if (strcmp(name, "--time-limit") == 0) options->fit.time_limit = number;
    else if (strcmp(name, "--max-iters") == 0) options->fit.max_iters = (int)number;
    else if (strcmp(name, "--memory-limit") == 0) options->fit.memory_limit = (size_t)number;
    else if (strcmp(name, "--repeat") == 0) options->repeat = (int)number;
    else if (strcmp(name, "--stop-objective") == 0) {
        options->stop_set = 1;
        options->stop_objective = number;
    } else return 0;
    return 1;
}

static int bench_build(void) {
#ifdef __VERSION__
    printf("{\"compiler\": \"%s%s\", ",
           strchr(__VERSION__, ' ') == NULL ? "gcc " : "", __VERSION__);
#else
    printf("{");
#endif
    printf("\"flags\": \"%s\"}\n", BENCH_FLAGS);
    return 0;
}

int main(int argc, char **argv) {
    bench_options options;
    int i;
    memset(&options, 0, sizeof options);
    options.all_good = options.repeat = 1;
    options.fit.progress = bench_progress;
    options.fit.progress_user = &options;
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) options.quick = 1;
        else if (strcmp(argv[i], "--json") == 0) options.json = 1;
        else if (strcmp(argv[i], "--trace") == 0) options.keep_trace = 1;
        else if (strcmp(argv[i], "--build") == 0) return bench_build();
        else if (i + 1 < argc && (bench_text_option(&options, argv[i], argv[i + 1]) ||
                                  bench_number_option(&options, argv[i], argv[i + 1]))) i++;
        else return bench_usage(argv[i]);
    }
    if (options.x != NULL) return bench_files(&options);
    bench_all(&options);
    return options.all_good ? 0 : 1;
}
