/* Benchmark of the gated ReLU program on the fixed problems of problems.h, one thread, float64,
   no BLAS hooked in. Seconds are those of the whole fit, patterns included.

     bench [--quick] [--problem NAME] [--patterns P] [--lambda L] [--solver auto|newton|fista]
           [--tol T] [--threads T] [--time-limit S] [--stop-objective V] [--json]
           [--data DIR] [--write DIR]

   Without options: all 36 problems as a table. --stop-objective stops a run as soon as its
   objective is <= V. --json: one line a problem. --write: only write the problems as .npy.
   Exit state 1 when a run to the end stays above the tolerance.                              */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CVXRELU_IMPLEMENTATION
#include "../../cvxrelu.h"
#include "problems.h"

typedef struct bench_options {
    const char *problem, *data, *write;
    int quick, json, stop_set, all_good;
    size_t patterns;
    double lambda, stop_objective;
    cvxrelu_options fit;
} bench_options;

static int bench_progress(void *user, const cvxrelu_progress *progress) {
    const bench_options *options = (const bench_options *)user;
    return options->stop_set && progress->objective <= options->stop_objective;
}

static const char *bench_solver_name(cvxrelu_solver solver) {
    return solver == CVXRELU_SOLVER_NEWTON ? "newton" : solver == CVXRELU_SOLVER_FISTA ? "fista"
                                                                                       : "auto";
}

static void bench_print(const bench_options *options, const bench_data *data, size_t P,
                        const cvxrelu_report *report) {
    if (options->json) {
        printf("{\"problem\": \"%s\", \"patterns\": %lu, \"lambda\": %.17g, "
               "\"solver\": \"%s\", \"seconds\": %.9g, \"passes\": %.9g, \"iterations\": %d, "
               "\"objective\": %.17g, "
               "\"dual_bound\": %.17g, \"gap\": %.9g, \"neurons\": %lu, \"stop\": %d, "
               "\"flops\": %.9g, \"peak_bytes\": %lu}\n", data->name, (unsigned long)P,
               report->lambda, bench_solver_name(report->solver), report->seconds,
               report->passes, report->iterations, report->objective, report->dual_bound,
               report->gap, (unsigned long)report->neurons, (int)report->stop, report->flops,
               (unsigned long)report->peak_bytes);
    } else {
        printf("| %s | %lu | %g | %s | %.4f | %.1f | %d | %.2f | %.10g | %.1e | %lu | %.1f |\n",
               data->name, (unsigned long)P, report->lambda, bench_solver_name(report->solver),
               report->seconds, report->passes, report->iterations, report->flops / 1e9,
               report->objective, report->gap, (unsigned long)report->neurons,
               (double)report->peak_bytes / 1048576.0);
    }
    fflush(stdout);
}

static void bench_solve(bench_options *options, const bench_data *data, size_t P,
                        double lambda) {
    cvxrelu_problem problem;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    cvxrelu_result result;
    double *gates = bench_gates(data, P);
    memset(&problem, 0, sizeof problem);
    problem.X.data = data->X;
    problem.X.rows = data->n;
    problem.X.cols = data->d;
    problem.Y.data = data->y;
    problem.Y.rows = data->n;
    problem.Y.cols = 1;
    problem.lambda = lambda;
    problem.scale = CVXRELU_SCALE_NONE;
    problem.no_bias = 1;
    problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    problem.gates.given.data = gates;
    problem.gates.given.rows = P;
    problem.gates.given.cols = data->d;
    result = cvxrelu_fit(&problem, &options->fit, NULL, &model, &report);
    if (result != CVXRELU_OK) {
        fprintf(stderr, "bench: %s P=%lu lambda=%g: %s\n", data->name, (unsigned long)P, lambda,
                report.message);
        options->all_good = 0;
    } else {
        bench_print(options, data, P, &report);
        if (!options->stop_set && !(report.gap <= report.tol)) options->all_good = 0;
    }
    cvxrelu_model_free(model);
    free(gates);
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
    if (!options->json && options->write == NULL)
        printf("| problem | P | lambda | solver | seconds | passes | iterations | Gflop "
               "| objective | gap | neurons | MiB |\n"
               "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (which = 0; which < 4; which++) {
        bench_data data = bench_make(which, options->data);
        for (i = 0; i < 3; i++) {
            size_t P = bench_patterns[i];
            if (options->write != NULL) bench_write(&data, options->write, P);
            for (j = 0; j < 3 && options->write == NULL; j++)
                if (bench_wanted(options, &data, P, bench_lambdas[j]))
                    bench_solve(options, &data, P, bench_lambdas[j]);
        }
        bench_free(&data);
    }
}

static int bench_usage(const char *what) {
    fprintf(stderr, "bench: bad option or missing value: %s (see the top of bench.c)\n", what);
    return 2;
}

/* One option that takes a value; 0 when there is no such option. */
static int bench_option(bench_options *options, const char *name, const char *value) {
    double number = strtod(value, NULL);
    if (strcmp(name, "--problem") == 0) options->problem = value;
    else if (strcmp(name, "--data") == 0) options->data = value;
    else if (strcmp(name, "--write") == 0) options->write = value;
    else if (strcmp(name, "--patterns") == 0) options->patterns = (size_t)number;
    else if (strcmp(name, "--lambda") == 0) options->lambda = number;
    else if (strcmp(name, "--tol") == 0) options->fit.tol = number;
    else if (strcmp(name, "--threads") == 0) options->fit.threads = (int)number;
    else if (strcmp(name, "--time-limit") == 0) options->fit.time_limit = number;
    else if (strcmp(name, "--stop-objective") == 0) {
        options->stop_set = 1;
        options->stop_objective = number;
    } else if (strcmp(name, "--solver") == 0)
        options->fit.solver = strcmp(value, "newton") == 0  ? CVXRELU_SOLVER_NEWTON
                              : strcmp(value, "fista") == 0 ? CVXRELU_SOLVER_FISTA
                                                            : CVXRELU_SOLVER_AUTO;
    else return 0;
    return 1;
}

int main(int argc, char **argv) {
    bench_options options;
    int i;
    memset(&options, 0, sizeof options);
    options.all_good = 1;
    options.fit.progress = bench_progress;
    options.fit.progress_user = &options;
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) options.quick = 1;
        else if (strcmp(argv[i], "--json") == 0) options.json = 1;
        else if (i + 1 < argc && bench_option(&options, argv[i], argv[i + 1])) i++;
        else return bench_usage(argv[i]);
    }
    bench_all(&options);
    return options.all_good ? 0 : 1;
}
