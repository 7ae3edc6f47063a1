/* 09 MSP22, TABLES 1 AND 5 - a gated network, its cone decompositions, and ReLU solvers.

   On each data set: the gated network by R-FISTA to the authors' tolerance, turned into a ReLU
   network by the minimum-norm decomposition (the paper's CD-SOCP) and by the approximate one
   (CD-A, rho = 1e-10), and the cone-constrained program solved by the augmented Lagrangian (AL)
   and by the exact Newton method. 1000 patterns, unit columns with a bias, a fifth of the rows
   held out; medians of five samplings (--quick: one): test accuracy in %, seconds of one
   thread, norm of the convex weights. Beside them the paper's figures; its splits are others,
   its times come from a GPU (R-FISTA, AL) and four cores (decompositions). The paper says
   lambda = 0.01; the norms that it prints for R-FISTA are those of lambda = 0.001 in the
   objective of cvxrelu, the default here.

     cc -O2 -I. examples/09_msp22_table1.c -o build/09 -lm
     build/09 DIRECTORY [--quick] [--lambda L] [SET]

   DIRECTORY holds NAME.csv files: a header, numbers, the class 0 .. C-1 last. Without it the
   program does nothing and says so, as the last line
     SKIPPED: the UCI sets are not here; give their directory as an argument */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"

#include "cli_csv.h"

enum { FISTA, MIN_NORM, CD_A, AL, NEWTON, METHODS, MOST_RUNS = 5 };

static double lambda = 0.001;

static const char *const methods[METHODS] = {"R-FISTA", "min-norm", "CD-A", "AL", "Newton"};

/* Accuracy, seconds and norm in the paper's Table 5; 0 where it has none. */
static const struct {
    const char *name;
    double paper[METHODS][3];
} sets[] = {
    {"breast-cancer",
     {{68.4, 0.84, 106}, {68.4, 12.14, 3730},
      {68.4, 3.18, 4760}, {66.7, 6.17, 58.4}, {0, 0, 0}}},
    {"conn-bench-sonar-mines-rocks",
     {{87.8, 0.45, 22.5}, {90.2, 23.13, 128},
      {64.4, 1.09, 183}, {87.8, 4.34, 23.3}, {0, 0, 0}}},
    {"ecoli",
     {{71.6, 0.07, 17.3}, {71.6, 149.7, 582},
      {70.1, 0.36, 113}, {70.1, 3.38, 16.8}, {0, 0, 0}}},
    {"energy-y1",
     {{86.3, 0.12, 29.0}, {86.3, 134.55, 2340},
      {86.3, 2.01, 1340}, {83.7, 5.05, 28.9}, {0, 0, 0}}},
    {"ionosphere",
     {{90.0, 1.15, 47.4}, {90.0, 44.12, 1510},
      {90.0, 5.76, 2050}, {90.0, 15.91, 64.2}, {0, 0, 0}}},
    {"oocytes_merluccius_nucleus_4d",
     {{78.6, 0.98, 114}, {79.1, 136.3, 11900},
      {78.0, 5.67, 13000}, {74.2, 81.68, 85.4}, {0, 0, 0}}},
    {"parkinsons",
     {{92.3, 1.9, 47.0}, {92.3, 16.03, 1060},
      {92.3, 4.84, 1450}, {89.7, 19.04, 66.9}, {0, 0, 0}}},
    {"pima",
     {{73.2, 0.36, 78.8}, {73.2, 37.68, 8090},
      {73.2, 5.07, 7450}, {75.8, 4.72, 40.3}, {0, 0, 0}}},
    {"statlog-heart",
     {{81.5, 0.81, 67.6}, {81.5, 15.57, 1480},
      {81.5, 2.5, 2020}, {85.2, 7.36, 61.1}, {0, 0, 0}}},
    {"teaching",
     {{40.0, 0.24, 37.1}, {40.0, 12.18, 1100},
      {40.0, 1.75, 1140}, {33.3, 2.05, 22.1}, {0, 0, 0}}},
    {"wine",
     {{100, 0.25, 18.7}, {100, 32.05, 197},
      {100, 0.95, 242}, {100, 3.67, 17.8}, {0, 0, 0}}}};

enum { SETS = sizeof sets / sizeof sets[0] };

typedef struct rows {
    size_t n, d;
    double *X, *Y;
} rows;

typedef struct outcome {
    double accuracy, seconds, norm;
} outcome;

/* Reads DIRECTORY/NAME.csv and deals its rows out: a fifth, drawn by a fixed seed, to the test.
   */
static int load(cli_pool *pool, const char *folder, const char *name, rows *train, rows *test) {
    const char *file = cli_join(pool, name, ".csv");
    const char *path = cli_join(pool, cli_join(pool, folder, "/"), file);
    csv_table table;
    cvxrelu_random random;
    char *text = NULL, *held;
    size_t size = 0, i, j, left;
    int status = cli_read_file(pool, path, &text, &size);
    if (status == CLI_OK) status = csv_parse(pool, path, text, size, 1, &table);
    if (status != CLI_OK) return status;
    held = (char *)cli_alloc(pool, table.rows, 1);
    cvxrelu_random_init(&random, 2022);
    for (left = table.rows / 5; left > 0;) {
        i = (size_t)cvxrelu_random_below(&random, table.rows);
        if (!held[i]) left--;
        held[i] = 1;
    }
    train->n = test->n = 0;
    train->d = test->d = table.cols - 1;
    train->X = (double *)cli_alloc(pool, table.rows * train->d, sizeof(double));
    train->Y = (double *)cli_alloc(pool, table.rows, sizeof(double));
    test->X = (double *)cli_alloc(pool, table.rows * train->d, sizeof(double));
    test->Y = (double *)cli_alloc(pool, table.rows, sizeof(double));
    for (i = 0; i < table.rows; i++) {
        rows *part = held[i] ? test : train;
        for (j = 0; j < table.cols; j++) {
            double *to = j < part->d ? part->X + part->n * part->d + j : part->Y + part->n;
            if ((status = csv_value(&table, i, j, to)) != CLI_OK) return status;
        }
        part->n++;
    }
    return CLI_OK;
}

static cvxrelu_matrix matrix(const double *data, size_t n, size_t d) {
    cvxrelu_matrix view;
    memset(&view, 0, sizeof view);
    view.data = data, view.rows = n, view.cols = d;
    return view;
}

/* Test accuracy in percent, and sum ||v|| + ||w|| (gated: ||u||) of the convex weights. */
static outcome measure(const cvxrelu_model *model, const rows *test, double seconds) {
    cvxrelu_model_info info;
    outcome result;
    double *U, *W, out[64];
    size_t i, j, right = 0, d = test->d + 1, groups;
    cvxrelu_model_get_info(model, &info);
    for (i = 0; i < test->n; i++) {
        cvxrelu_model_predict(model, test->X + i * test->d, out);
        right += cvxrelu_model_class(model, out) == (size_t)test->Y[i];
    }
    groups = info.outputs * info.patterns;
    U = (double *)calloc(groups, d * sizeof(double));
    W = (double *)calloc(groups, d * sizeof(double));
    cvxrelu_model_convex(model, U, W, NULL);
    for (result.norm = 0.0, i = 0; i < groups; i++) {
        double u = 0.0, w = 0.0;
        for (j = i * d; j < (i + 1) * d; j++) u += U[j] * U[j], w += W[j] * W[j];
        result.norm += sqrt(u) + sqrt(w);
    }
    free(U);
    free(W);
    result.accuracy = 100.0 * (double)right / (double)test->n;
    result.seconds = seconds;
    return result;
}

static int failed(const char *method, const char *message) {
    return cli_error(CLI_FAILED, "%s: %s", method, message);
}

/* All methods over one sampling of the patterns. */
static int run(const rows *train, const rows *test, uint64_t seed, outcome *results) {
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_report report, split;
    cvxrelu_model *gated = NULL, *model = NULL;
    int k, status = CLI_OK;
    memset(&problem, 0, sizeof problem);
    problem.X = matrix(train->X, train->n, train->d);
    problem.Y = matrix(train->Y, train->n, 1);
    problem.task = CVXRELU_TASK_CLASSES;
    problem.scale = CVXRELU_SCALE_UNIT;
    problem.lambda = lambda;
    problem.gates.seed = seed;
    memset(&options, 0, sizeof options);
    options.solver = CVXRELU_SOLVER_FISTA;
    options.tol = -1; /* no stop by the gap: only by the authors' subgradient */
    options.subgradient_tol = 1e-6;
    if (cvxrelu_fit(&problem, &options, NULL, &gated, &report) != CVXRELU_OK)
        return failed(methods[FISTA], report.message);
    results[FISTA] = measure(gated, test, report.seconds);
    memset(&options, 0, sizeof options);
    for (k = MIN_NORM; k <= CD_A && status == CLI_OK; k++) {
        cvxrelu_decomposition kind =
            k == CD_A ? CVXRELU_DECOMPOSE_APPROXIMATE : CVXRELU_DECOMPOSE_MIN_NORM;
        if (cvxrelu_decompose(gated, problem.X, problem.Y, kind, 0, &options, &model, &split,
                              NULL) != CVXRELU_OK)
            status = failed(methods[k], split.message);
        else results[k] = measure(model, test, report.seconds + split.seconds);
        cvxrelu_model_free(model);
    }
    problem.kind = CVXRELU_RELU;
    problem.search = CVXRELU_SEARCH_OFF;
    for (k = AL; k <= NEWTON && status == CLI_OK; k++) {
        options.solver = k == AL ? CVXRELU_SOLVER_AL : CVXRELU_SOLVER_NEWTON;
        if (cvxrelu_fit(&problem, &options, NULL, &model, &report) != CVXRELU_OK)
            status = failed(methods[k], report.message);
        else results[k] = measure(model, test, report.seconds);
        cvxrelu_model_free(model);
    }
    cvxrelu_model_free(gated);
    return status;
}

static double median(double *values, int count) {
    int i, j;
    for (i = 1; i < count; i++)
        for (j = i; j > 0 && values[j] < values[j - 1]; j--) {
            double swap = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swap;
        }
    return values[count / 2];
}

/* One data set: a line for each method, the paper's figures behind the bar. */
static int table(const char *folder, int set, int runs) {
    cli_pool pool = {NULL};
    outcome results[MOST_RUNS][METHODS];
    rows train, test;
    int k, i, status = load(&pool, folder, sets[set].name, &train, &test);
    for (i = 0; i < runs && status == CLI_OK; i++)
        status = run(&train, &test, (uint64_t)i, results[i]);
    for (k = 0; k < METHODS && status == CLI_OK; k++) {
        double accuracy[MOST_RUNS], seconds[MOST_RUNS], norm[MOST_RUNS];
        const double *paper = sets[set].paper[k];
        for (i = 0; i < runs; i++) {
            accuracy[i] = results[i][k].accuracy;
            seconds[i] = results[i][k].seconds;
            norm[i] = results[i][k].norm;
        }
        printf("| %-29s | %-8s | %5.1f | %8.3f | %8.4g |", k == 0 ? sets[set].name : "",
               methods[k], median(accuracy, runs), median(seconds, runs), median(norm, runs));
        if (paper[2] > 0) printf(" %5.1f | %6.2f | %8.4g |\n", paper[0], paper[1], paper[2]);
        else printf("       |        |          |\n");
    }
    fflush(stdout);
    cli_pool_free(&pool);
    return status;
}

int main(int argc, char **argv) {
    int runs = MOST_RUNS, set, status = CLI_OK, done = 0, k;
    const char *only = NULL;
    for (k = 2; k < argc; k++) {
        if (strcmp(argv[k], "--quick") == 0) runs = 1;
        else if (strcmp(argv[k], "--lambda") == 0 && k + 1 < argc) lambda = atof(argv[++k]);
        else only = argv[k];
    }
    if (argc < 2) {
        printf("SKIPPED: the UCI sets are not here; give their directory as an argument\n");
        return 0;
    }
    printf("lambda %g (beta = lambda n c), 1000 patterns, %d sampling%s\n\n"
           "| data set                      | method   | acc.  | seconds  | norm     |"
           " paper: | s      | norm     |\n|---|---|---|---|---|---|---|---|\n",
           lambda, runs, runs > 1 ? "s" : "");
    for (set = 0; set < SETS && status == CLI_OK; set++)
        if (only == NULL || strcmp(only, sets[set].name) == 0) {
            status = table(argv[1], set, runs);
            done++;
        }
    if (only != NULL && done == 0)
        status = cli_error(CLI_USAGE, "%s: is none of the sets", only);
    return status;
}
