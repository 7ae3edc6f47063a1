/* The driver of the section tests: the implementation once, then every test file. */

#ifndef CVXRELU_ASSERT
#include <assert.h>
#define CVXRELU_ASSERT(condition) assert(condition)
#endif
#define CVXRELU_IMPLEMENTATION
#include "../cvxrelu.h"

#include <float.h>
#include <limits.h>
#include <stdlib.h>
#include "runner.h"

#include "test_s01_platform.c"
#include "test_s02_memory.c"
#include "test_s03_results.c"
#include "test_s04_random.c"
#include "test_s05_dense.c"
#include "test_s06_data.c"
#include "test_s07_patterns.c"
#include "test_s08_operator.c"
#include "test_s09_losses.c"
#include "test_s10_prox.c"
#include "test_s11_cones.c"
#include "test_s12_certificates.c"
#include "test_s13_fista.c"
#include "test_s14_newton.c"
#include "test_s14_relu.c"
#include "test_s15_al.c"
#include "test_s16_decompose.c"
#include "test_s17_network.c"
#include "test_s18_descent.c"
#include "test_s19_enumerate.c"
#include "test_s20_bounds.c"
#include "test_s21_search.c"
#include "test_s22_fit.c"
#include "test_s22_relu.c"
#include "test_s22_decompose.c"
#include "test_s22_threads.c"
#include "test_s22_device.c"
#include "test_s22_ranks.c"
#include "test_s23_certify.c"
#include "test_s24_save.c"

int main(int argc, char **argv) {
    runner_open(argc, argv);
    RUN_SUITE(s01_platform);
    RUN_SUITE(s02_memory);
    RUN_SUITE(s03_results);
    RUN_SUITE(s04_random);
    RUN_SUITE(s05_dense);
    RUN_SUITE(s06_data);
    RUN_SUITE(s07_patterns);
    RUN_SUITE(s08_operator);
    RUN_SUITE(s09_losses);
    RUN_SUITE(s10_prox);
    RUN_SUITE(s11_cones);
    RUN_SUITE(s12_certificates);
    RUN_SUITE(s13_fista);
    RUN_SUITE(s14_newton);
    RUN_SUITE(s14_relu);
    RUN_SUITE(s15_al);
    RUN_SUITE(s16_decompose);
    RUN_SUITE(s17_network);
    RUN_SUITE(s18_descent);
    RUN_SUITE(s19_enumerate);
    RUN_SUITE(s20_bounds);
    RUN_SUITE(s21_search);
    RUN_SUITE(s22_fit);
    RUN_SUITE(s22_relu);
    RUN_SUITE(s22_decompose);
    RUN_SUITE(s22_threads);
    RUN_SUITE(s22_device);
    RUN_SUITE(s22_ranks);
    RUN_SUITE(s23_certify);
    RUN_SUITE(s24_save);
    return runner_close();
}
