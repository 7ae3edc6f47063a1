/* 11 CUDA - the same fit on the CPU and on a card.

   The data are classes on a few kinks. R-FISTA runs in float64 on the CPU and in float32 on the
   card, there with 3 x TF32 products; both certificates are float64, so the two bounds may be
   compared. Vectors stay on the card during the solve. Without a card the program says so and
   ends well.

     nvcc -O2 -arch=native -I. examples/11_cuda.cu -o build/11_cuda -lcublas -lcusolver
     build/11_cuda [ROWS [TOLERANCE]]

   ROWS are 20000 unless given, and a gate for every hundred; TOLERANCE is 1e-3. Expected
   output: objective, gap, iterations and seconds of both, bytes of the card; the objectives
   agree to the gaps: as the last line
     agree 1
   (so far run over the tests' emulation of a card only) */
#define CVXRELU_IMPLEMENTATION
#define CVXRELU_CUDA_IMPLEMENTATION
#include "cvxrelu.h"
#include "cvxrelu_cuda.cuh"

enum { D = 24 };

/* Three classes by the signs of two linear functions. */
static void make_data(size_t n, double *X, double *Y) {
    cvxrelu_random random;
    size_t i, j;
    cvxrelu_random_init(&random, 11);
    for (i = 0; i < n; i++) {
        double a = 0, b = 0, *x = X + i * D;
        for (j = 0; j < D; j++) {
            x[j] = cvxrelu_random_normal(&random);
            a += j % 2 ? x[j] : -x[j];
            b += j % 3 ? x[j] : 0;
        }
        Y[i] = a > 0 ? 0 : b > 0 ? 1 : 2;
    }
}

static int fit(const char *where, const cvxrelu_problem *problem,
               const cvxrelu_options *options, cvxrelu_report *report) {
    cvxrelu_model *model = NULL;
    if (cvxrelu_fit(problem, options, NULL, &model, report) != CVXRELU_OK) {
        fprintf(stderr, "%s: %s\n", where, report->message);
        return 0;
    }
    printf("%-5s objective %.6f  gap %.1e  %d iterations  %.2f s  %.1f %% wrong\n", where,
           report->objective, report->gap, report->iterations, report->seconds,
           100 * report->train_error);
    cvxrelu_model_free(model);
    return 1;
}

int main(int argc, char **argv) {
    const size_t n = argc > 1 ? (size_t)atol(argv[1]) : 20000;
    double *X = (double *)malloc(n * D * sizeof *X), *Y = (double *)malloc(n * sizeof *Y);
    char message[CVXRELU_MESSAGE_SIZE];
    cvxrelu_cuda_options card;
    cvxrelu_cuda *cuda = NULL;
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_report here, there;
    int good = 0;
    memset(&card, 0, sizeof card);
    memset(&problem, 0, sizeof problem);
    memset(&options, 0, sizeof options);
    if (n < 3 || X == NULL || Y == NULL) {
        fprintf(stderr, "11_cuda [ROWS [TOLERANCE]]: ROWS must be 3 or more and fit memory\n");
        return 2;
    }
    make_data(n, X, Y);
    problem.X.data = X, problem.X.rows = n, problem.X.cols = D;
    problem.Y.data = Y, problem.Y.rows = n, problem.Y.cols = 1;
    problem.task = CVXRELU_TASK_CLASSES;
    problem.gates.count = 12 + n / 100;
    problem.lambda = 1e-3;
    options.solver = CVXRELU_SOLVER_FISTA;
    options.tol = argc > 2 ? atof(argv[2]) : 1e-3;

    card.precision = CVXRELU_CUDA_TF32X3;
    if (cvxrelu_cuda_open(&card, &cuda, message) != CVXRELU_OK) {
        printf("SKIP: %s\n", message);
        good = 1;
    } else if (fit("CPU", &problem, &options, &here)) {
        options.device = cvxrelu_cuda_device(cuda);
        options.precision = CVXRELU_FLOAT32;
        if (fit("card", &problem, &options, &there)) {
            printf("%.1f MB of the card\n", (double)cvxrelu_cuda_peak(cuda) / 1e6);
            good = here.objective >= there.dual_bound && there.objective >= here.dual_bound
                   && there.gap <= options.tol;
            printf("agree %d\n", good);
        }
    }
    cvxrelu_cuda_close(cuda);
    free(X);
    free(Y);
    return good ? 0 : 1;
}
