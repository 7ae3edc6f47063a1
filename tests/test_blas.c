/* The same problems with a CBLAS hooked in and without: both must prove their gap and agree on
   the optimum. Built where cblas.h and a library are found. */

#include <cblas.h>
#define CVXRELU_CBLAS
#define CVXRELU_IMPLEMENTATION
#include "../cvxrelu.h"

#include <float.h>
#include <limits.h>
#include <stdlib.h>
#include "runner.h"
#include "test_s05_dense.c"

enum { MOST = 400 * 30 };
static double data_x[MOST], data_y[3 * 400];

/* A regression of c outputs with n rows and d columns, or labels of three classes for c = 0. */
static cvxrelu_problem blas_problem(size_t n, size_t d, size_t c, double lambda) {
    cvxrelu_problem problem;
    cvxrelu_random random;
    size_t i, k, outputs = c ? c : 1;
    cvxrelu_random_init(&random, n + d);
    memset(&problem, 0, sizeof problem);
    for (i = 0; i < n * d; i++) data_x[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++)
        for (k = 0; k < outputs; k++) {
            double z = fabs(data_x[i * d]) - data_x[i * d + (k + 1) % d];
            data_y[i * outputs + k] = c ? z + 0.1 * cvxrelu_random_normal(&random)
                                        : z < 0.0 ? 0.0 : z < 1.0 ? 1.0 : 2.0;
        }
    problem.X.data = data_x;
    problem.X.rows = n;
    problem.X.cols = d;
    problem.Y.data = data_y;
    problem.Y.rows = n;
    problem.Y.cols = outputs;
    problem.task = c ? CVXRELU_TASK_REGRESSION : CVXRELU_TASK_CLASSES;
    problem.lambda = lambda;
    problem.gates.count = 150;
    return problem;
}

/* Solves with and without the table; tolerance: how far the two proven optima may be apart. */
static void blas_compare(const cvxrelu_problem *problem, cvxrelu_options options,
                         double tolerance) {
    cvxrelu_report own, hooked;
    cvxrelu_model *model = NULL;
    CHECK(cvxrelu_fit(problem, &options, NULL, &model, &own) == CVXRELU_OK);
    cvxrelu_model_free(model);
    model = NULL;
    options.blas = cvxrelu_blas_from_cblas();
    CHECK(cvxrelu_fit(problem, &options, NULL, &model, &hooked) == CVXRELU_OK);
    cvxrelu_model_free(model);
    CHECK(own.has_bound == hooked.has_bound);
    if (own.has_bound) CHECK(own.gap <= own.tol && hooked.gap <= hooked.tol);
    CHECK_NEAR(own.objective, hooked.objective, tolerance * own.objective + 1e-14);
    CHECK(hooked.dual_bound <= own.objective * (1.0 + 1e-12));
}

TEST(one_output_by_newton) {
    cvxrelu_problem problem = blas_problem(300, 20, 1, 1e-3);
    cvxrelu_options options;
    memset(&options, 0, sizeof options);
    blas_compare(&problem, options, 1e-6);
    problem.lambda = 1e-5;
    blas_compare(&problem, options, 1e-6);
}

TEST(three_outputs_and_three_classes) {
    cvxrelu_problem problem = blas_problem(200, 9, 3, 1e-3);
    cvxrelu_options options;
    memset(&options, 0, sizeof options);
    blas_compare(&problem, options, 1e-6);
    problem = blas_problem(201, 7, 0, 1e-3);
    blas_compare(&problem, options, 1e-6);
}

TEST(first_order_in_both_precisions) {
    cvxrelu_problem problem = blas_problem(150, 8, 1, 1e-2);
    cvxrelu_options options;
    memset(&options, 0, sizeof options);
    options.solver = CVXRELU_SOLVER_FISTA;
    options.tol = 1e-5;
    blas_compare(&problem, options, 1e-5);
    options.precision = CVXRELU_FLOAT32;
    options.tol = 1e-4;
    blas_compare(&problem, options, 1e-4);
}

TEST(newton_in_float32) {
    cvxrelu_problem problem = blas_problem(300, 20, 1, 1e-3);
    cvxrelu_options options;
    memset(&options, 0, sizeof options);
    options.precision = CVXRELU_FLOAT32;
    options.tol = 1e-4;
    blas_compare(&problem, options, 1e-4);
}

TEST(least_squares) {
    cvxrelu_problem problem = blas_problem(100, 5, 1, 0.0);
    cvxrelu_options options;
    memset(&options, 0, sizeof options);
    blas_compare(&problem, options, 1e-6);
}

int main(int argc, char **argv) {
    runner_open(argc, argv);
    runner.suite = "blas";
    RUN(one_output_by_newton);
    RUN(three_outputs_and_three_classes);
    RUN(first_order_in_both_precisions);
    RUN(newton_in_float32);
    RUN(least_squares);
    RUN_SUITE(s05_dense);
    return runner_close();
}
