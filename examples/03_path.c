/* 03 PATH - the strength lambda chosen by cross-validation over a regularisation path.

   A path solves from lambda_max, where the network is zero, down to a small share of it, each
   fit started at the one before. Cross-validation does so on every fold and picks a strength.

     cc -O2 -I. examples/03_path.c -o build/03_path -lm && build/03_path

   Expected output: a line for each strength with objective, neurons (0 on the first line) and
   training error, the same strengths with their validation error, and as the last line
     chosen 3  validation error 0.16  error on new rows 0.15 */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 150, D = 5, K = 8 };

/* A noisy network of two ReLU units. */
static void make_data(double *X, double *Y, uint64_t seed) {
    cvxrelu_random random;
    int i, j;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < N; i++) {
        double *x = X + i * D, a, b;
        for (j = 0; j < D; j++) x[j] = cvxrelu_random_normal(&random);
        a = x[0] + x[1] - 0.5;
        b = x[2] - x[3];
        Y[i] = (a > 0 ? a : 0) - (b > 0 ? b : 0) + 0.3 * cvxrelu_random_normal(&random);
    }
}

static double mean_squared_error(const cvxrelu_model *model, const double *X, const double *Y) {
    double sum = 0.0, value;
    int i;
    for (i = 0; i < N; i++) {
        cvxrelu_model_predict(model, X + i * D, &value);
        sum += (value - Y[i]) * (value - Y[i]) / N;
    }
    return sum;
}

int main(void) {
    static double X[N * D], Y[N], new_X[N * D], new_Y[N];
    static cvxrelu_report reports[K];
    cvxrelu_cv_point points[K];
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxrelu_problem problem;
    cvxrelu_path_options path;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    size_t chosen = 0;
    double error;
    int k;
    make_data(X, Y, 1);
    make_data(new_X, new_Y, 2);
    memset(&problem, 0, sizeof problem);
    problem.X.data = X, problem.X.rows = N, problem.X.cols = D;
    problem.Y.data = Y, problem.Y.rows = N, problem.Y.cols = 1;
    problem.centre_targets = 1;
    problem.gates.count = 300;
    memset(&path, 0, sizeof path);
    path.count = K;
    path.ratio = 1e-3;
    if (cvxrelu_path(&problem, NULL, &path, NULL, reports, message) != CVXRELU_OK) {
        fprintf(stderr, "path: %s\n", message);
        return 1;
    }
    for (k = 0; k < K; k++)
        printf("lambda %.3e  objective %.6f  gap %.0e  neurons %3d  training error %.4f\n",
               reports[k].lambda, reports[k].objective, reports[k].gap, (int)reports[k].neurons,
               reports[k].train_error);

    path.folds = 5;
    path.one_standard_error = 1;
    if (cvxrelu_cross_validate(&problem, NULL, &path, points, &chosen, &model, &report) !=
        CVXRELU_OK) {
        fprintf(stderr, "cross-validation: %s\n", report.message);
        return 1;
    }
    for (k = 0; k < K; k++)
        printf("lambda %.3e  validation error %.4f +- %.4f%s\n", points[k].lambda,
               points[k].error, points[k].deviation, k == (int)chosen ? "  <- chosen" : "");
    error = mean_squared_error(model, new_X, new_Y);
    printf("chosen %d  validation error %.2f  error on new rows %.2f\n", (int)chosen,
           points[chosen].error, error);
    cvxrelu_model_free(model);
    return reports[0].neurons == 0 && error < 1.0 ? 0 : 1;
}
