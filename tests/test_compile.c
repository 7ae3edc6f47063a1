/* Compile tests: tests/test_compile.sh builds this file in many ways, as C and (through
   test_compile.cpp) as C++, and links two objects of it.
     PART=1  interface, then implementation, each included twice; main()
     PART=2  interface alone, included twice (with CVXRELU_STATIC the implementation too)
     FIRST   the implementation before the interface
   Both parts solve the same small problem and must agree to the last bit. CVXRELU_NO_STDIO,
   CVXRELU_NO_MALLOC, CVXRELU_NO_CLOCK and CVXRELU_NO_FLOAT32 are set on the command line.    */

#if PART == 1 && defined(FIRST)
#define CVXRELU_IMPLEMENTATION
#endif
#include "../cvxrelu.h"
#include "../cvxrelu.h"
#if (PART == 1 && !defined(FIRST)) || defined(CVXRELU_STATIC)
#define CVXRELU_IMPLEMENTATION
#include "../cvxrelu.h"
#endif
#undef CVXRELU_IMPLEMENTATION
#include "../cvxrelu.h"

#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
#define OTHER_API extern "C"
#else
#define OTHER_API extern
#endif
OTHER_API double compile_other(void);

static unsigned char buffer[1 << 20];

static cvxrelu_result solve(const cvxrelu_options *change, double *objective) {
    static const double X[12] = { 1, 2, -1, 3, 0.5, -2, 4, 1, -3, -1, 2, 2 };
    static const double Y[6] = { 1, -1, 2, 0, 1, -2 };
    cvxrelu_problem problem;
    cvxrelu_options options = *change;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    cvxrelu_arena arena;
    cvxrelu_result result;
    memset(&problem, 0, sizeof problem);
    problem.X.data = X;
    problem.X.rows = 6;
    problem.X.cols = 2;
    problem.Y.data = Y;
    problem.Y.rows = 6;
    problem.Y.cols = 1;
    problem.lambda = 0.01;
    problem.gates.count = 20;
    options.allocator = cvxrelu_arena_init(&arena, buffer, sizeof buffer);
    result = cvxrelu_fit(&problem, &options, NULL, &model, &report);
    if (result != CVXRELU_OK && change->time_limit <= 0 && change->precision == CVXRELU_FLOAT64)
        printf("fit: %s: %s\n", cvxrelu_result_text(result), report.message);
    *objective = result == CVXRELU_OK && report.gap <= 1e-6 ? report.objective : -1.0;
    cvxrelu_model_free(model);
    return arena.used == 0 ? result : CVXRELU_ERR_MEMORY;
}

#if PART == 2
OTHER_API double compile_other(void) {
    cvxrelu_options options;
    double objective;
    memset(&options, 0, sizeof options);
    solve(&options, &objective);
    return objective;
}
#else
int main(void) {
    cvxrelu_options options;
    double objective, again;
    memset(&options, 0, sizeof options);
    if (solve(&options, &objective) != CVXRELU_OK || objective <= 0) return 1;
#ifndef ALONE
    again = compile_other();
    if (memcmp(&again, &objective, sizeof again) != 0) return 2;
#endif
    options.time_limit = 1000.0;
#ifdef CVXRELU_NO_CLOCK
    if (solve(&options, &again) != CVXRELU_ERR_CLOCK) return 3;
#else
    if (solve(&options, &again) != CVXRELU_OK) return 3;
#endif
    options.time_limit = 0.0;
    options.precision = CVXRELU_FLOAT32;
#ifdef CVXRELU_NO_FLOAT32
    if (solve(&options, &again) != CVXRELU_ERR_UNSUPPORTED) return 4;
#else
    if (solve(&options, &again) != CVXRELU_OK) return 4;
#endif
    return 0;
}
#endif
