/* 01 QUICK START - train a two-layer gated ReLU network and predict with it.

     cc -O2 -I. examples/01_quickstart.c -o build/01_quickstart -lm && build/01_quickstart

   Expected output: the proven gap (below 1e-6), the neurons, and as the last line
     objective 0.07442  value 1.10
   where the value at (0.5, -0.5) is near |0.5 - 0.5| + |0.5 + 0.5| = 1. */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

int main(void) {
    enum { N = 200, D = 2 };
    static double X[N * D], Y[N];
    double point[D] = {0.5, -0.5}, value = 0.0;
    cvxrelu_random random;
    cvxrelu_problem problem;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    int i;
    cvxrelu_random_init(&random, 1);
    for (i = 0; i < N * D; i++) X[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < N; i++)
        Y[i] = fabs(X[2 * i] + X[2 * i + 1]) + fabs(X[2 * i] - X[2 * i + 1]);

    memset(&problem, 0, sizeof problem); /* zero means: gated ReLU, squared loss, bias ... */
    problem.X.data = X, problem.X.rows = N, problem.X.cols = D;
    problem.Y.data = Y, problem.Y.rows = N, problem.Y.cols = 1;
    problem.lambda = 1e-3;
    if (cvxrelu_fit(&problem, NULL, NULL, &model, &report) != CVXRELU_OK) {
        fprintf(stderr, "%s\n", report.message);
        return 1;
    }
    cvxrelu_model_predict(model, point, &value);
    printf("gap %.1e  neurons %d\n", report.gap, (int)report.neurons);
    printf("objective %.5f  value %.2f\n", report.objective, value);
    cvxrelu_model_free(model);
    return report.gap <= 1e-6 && fabs(value - 1.0) < 0.2 ? 0 : 1;
}
