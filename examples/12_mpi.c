/* 12 MPI - one fit on many processes, each with its share of the rows.

   The hook is one call of MPI_Allreduce; everything else is a fit as always. Every process
   hands over its own rows of X and Y and gets the same model. Problem, options and gates are
   the same on all of them. What fails one of them ends the others too, CVXRELU_ERR_RANKS; a
   process that dies is MPI's affair, which as a rule ends them all.

   Newton solves the problem to a gap of 1e-11. Then R-FISTA runs for 20 and for 60 iterations
   of a fixed step (few, so that small data are not solved before), and what the longer run sent
   more is compared with the model of the manual's RANKS entry: c P dp numbers and one more an
   iteration, c P dp + 4 c for a look at the gap, which is taken at every tenth.

     mpicc -O2 -I. examples/12_mpi.c -o build/12_mpi -lm && mpirun -n 4 build/12_mpi
     mpirun -n 4 build/12_mpi rows.csv    (numbers only, the target in the last column)

   Expected output: the rows of each rank, then as the last line, with any number of ranks,
     objective 0.303369991873  gap below 1e-11 1  traffic as the model says 1 */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <mpi.h>
#include <stdio.h>

enum { ROWS = 997, COLUMNS = 12 };

typedef struct link { MPI_Comm ranks; int broken; } link;

static int allreduce(void *context, void *buffer, size_t count, cvxrelu_type type,
                     cvxrelu_reduction op) {
    link *l = (link *)context;
    return l->broken = MPI_Allreduce(MPI_IN_PLACE, buffer, (int)count,
                                     type == CVXRELU_FLOAT64 ? MPI_DOUBLE : MPI_FLOAT,
                                     op == CVXRELU_SUM ? MPI_SUM : MPI_MAX, l->ranks);
}

/* This rank's rows of a made-up set: all ranks make all rows, in the same order. */
static size_t make_rows(int rank, int size, double *X, double *Y) {
    const long first = (long)ROWS * rank / size, last = (long)ROWS * (rank + 1) / size;
    cvxrelu_random random;
    size_t held = 0;
    long i;
    int j;
    cvxrelu_random_init(&random, 12);
    for (i = 0; i < ROWS; i++) {
        double x[COLUMNS], y;
        for (j = 0; j < COLUMNS; j++) x[j] = cvxrelu_random_normal(&random);
        y = sin(2 * x[0]) + x[1] * x[2] + 0.1 * cvxrelu_random_normal(&random);
        if (i < first || i >= last) continue;
        memcpy(X + held * COLUMNS, x, sizeof x);
        Y[held++] = y;
    }
    return held;
}

/* The next line of a file, however long, in *line, which grows; 0 at the end. */
static int read_line(FILE *file, char **line, size_t *size) {
    size_t used = 0;
    for (;;) {
        if (*size - used < 2) {
            *line = (char *)realloc(*line, *size = 2 * *size + 4096);
            if (*line == NULL) return 0;
        }
        if (fgets(*line + used, (int)(*size - used), file) == NULL) return used > 0;
        used += strlen(*line + used);
        if (used && (*line)[used - 1] == '\n') return 1;
    }
}

/* The numbers of a line, the first `most` of them in x; returns how many there are. */
static size_t read_numbers(const char *line, size_t most, double *x) {
    size_t count = 0;
    char *end;
    for (;; line = end + (*end == ',' || *end == ';')) {
        const double value = strtod(line, &end);
        if (end == line) return count;
        if (count++ < most) x[count - 1] = value;
    }
}

/* Rows `first` to `last` of a file of numbers; with X = NULL they are only counted. Returns how
   many there are; *columns is the number of numbers in each. Ends all ranks where it cannot. */
static size_t read_rows(const char *path, size_t first, size_t last, size_t *columns,
                        double *X) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t i = 0, size = 0, count = 0;
    while (file && read_line(file, &line, &size)) {
        const int here = X && i >= first && i < last;
        count = read_numbers(line, here ? *columns : 0, here ? X + (i - first) * *columns : X);
        if (count == 0) continue; /* a heading or an empty line */
        if (i == 0 && X == NULL) *columns = count;
        if (count != *columns) break;
        i++;
    }
    if (i == 0 || line == NULL || (count && count != *columns)) {
        if (i && line) fprintf(stderr, "%s: row %d has %d numbers, the first has %d\n", path,
                               (int)i + 1, (int)count, (int)*columns);
        else fprintf(stderr, "%s: no rows of numbers can be read\n", path);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    free(line);
    fclose(file);
    return i;
}

/* Bytes that R-FISTA sends in float64 between two numbers of iterations. */
static double model_bytes(const cvxrelu_report *r, int from, int to) {
    const double weights = (double)(r->c * r->patterns * ((r->d + 7) / 8 * 8));
    const int looks = to / 10 - from / 10;
    return 8 * ((to - from) * (weights + 1) + looks * (weights + 4 * (double)r->c));
}

static int traffic_matches(cvxrelu_problem problem, cvxrelu_options options, int rank) {
    cvxrelu_report report[2];
    cvxrelu_model *model[2] = { NULL, NULL };
    double counted = 0, modelled = 0;
    int run, ok = 1;
    options.solver = CVXRELU_SOLVER_FISTA;
    options.step_rule = CVXRELU_STEP_FIXED;
    options.step_first = 1;
    options.tol = -1;
    for (run = 0; run < 2; run++) {
        options.max_iters = run ? 60 : 20;
        if (cvxrelu_fit(&problem, &options, NULL, &model[run], &report[run])) ok = 0;
        cvxrelu_model_free(model[run]);
    }
    if (rank == 0 && ok && report[1].stop != CVXRELU_STOP_ITERATIONS)
        printf("R-FISTA ended after %d iterations: too few to compare\n", report[1].iterations);
    if (ok && options.ranks.size > 1) {
        counted = report[1].reduced_bytes - report[0].reduced_bytes;
        modelled = model_bytes(&report[1], 20, 60);
    }
    if (rank == 0 && ok)
        printf("40 iterations of R-FISTA sent %.0f bytes a rank, the model says %.0f\n",
               counted, modelled);
    return ok && counted == modelled;
}

/* This rank's rows as X and Y of the problem; free(problem->X.data) gives them back. */
static void take_rows(cvxrelu_problem *problem, const char *path, int rank, int size) {
    size_t columns = COLUMNS + 1, rows = 0, all, first, last;
    double *X, *Y;
    if (path) {
        all = read_rows(path, 0, 0, &columns, NULL);
        first = all * (size_t)rank / (size_t)size;
        last = all * (size_t)(rank + 1) / (size_t)size;
        X = (double *)malloc((last - first + 1) * columns * sizeof(double));
        Y = X ? X + columns - 1 : NULL;
        if (X) read_rows(path, first, last, &columns, X);
        rows = last - first;
        problem->X.stride = problem->Y.stride = columns;
    } else {
        X = (double *)malloc(ROWS * (COLUMNS + 1) * sizeof(double));
        Y = X ? X + ROWS * COLUMNS : NULL;
        if (X) rows = make_rows(rank, size, X, Y);
    }
    problem->X.data = X, problem->X.rows = rows, problem->X.cols = columns - 1;
    problem->Y.data = Y, problem->Y.rows = rows, problem->Y.cols = 1;
    printf("rank %d of %d has %d rows\n", rank, size, (int)rows);
    fflush(stdout);
}

int main(int argc, char **argv) {
    link world = { MPI_COMM_WORLD, 0 };
    cvxrelu_problem problem = { 0 };
    cvxrelu_options options = { 0 };
    cvxrelu_model *model = NULL;
    cvxrelu_report report;
    int rank, size, same = 0, result;
    MPI_Init(&argc, &argv);
    MPI_Comm_set_errhandler(world.ranks, MPI_ERRORS_RETURN);
    MPI_Comm_rank(world.ranks, &rank);
    MPI_Comm_size(world.ranks, &size);
    take_rows(&problem, argc > 1 ? argv[1] : NULL, rank, size);
    problem.lambda = 1e-3;
    problem.gates.count = 300;
    options.tol = 1e-11;
    options.ranks.allreduce = allreduce;
    options.ranks.context = &world;
    options.ranks.rank = rank, options.ranks.size = size;
    result = cvxrelu_fit(&problem, &options, NULL, &model, &report);
    if (result) fprintf(stderr, "rank %d: %s\n", rank, report.message);
    if (world.broken) MPI_Abort(world.ranks, 1);
    if (!result && rank == 0)
        printf("Newton: %d neurons, gap %.1e, %.0f allreduces of %.0f bytes a rank\n",
               (int)report.neurons, report.gap, report.reductions, report.reduced_bytes);
    if (!result) same = traffic_matches(problem, options, rank);
    MPI_Barrier(world.ranks); /* all ranks are here: what fails one of them fails all */
    if (!result && rank == 0)
        printf("objective %.12g  gap below 1e-11 %d  traffic as the model says %d\n",
               report.objective, report.gap <= 1e-11, same);
    cvxrelu_model_free(model);
    free((void *)problem.X.data);
    MPI_Finalize();
    return result || !same || report.gap > 1e-11;
}
