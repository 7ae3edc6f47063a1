/* The test runner. A test file holds tests and one suite:

     TEST(row_shorter_than_threshold_becomes_zero) { CHECK(x == 0.0); CHECK_NEAR(a, b, 1e-12); }
     SUITE(s10_prox) { RUN(row_shorter_than_threshold_becomes_zero); }

   A failed check is printed and the test goes on; a test with a failed check fails. SKIP leaves
   the test. The driver calls RUN_SUITE(s10_prox) for each suite between runner_open and
   runner_close. Arguments of the program are filters: a test runs when SUITE.NAME contains one
   of them. Only failures and skips are printed (with --times also tests slower than 0.2 s);
   at the end `N passed, N failed, N skipped`. Exit status 1 when a test failed or none ran.  */
#ifndef CVXRELU_TESTS_RUNNER_H
#define CVXRELU_TESTS_RUNNER_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct runner_state {
    const char *suite, *test;
    const char *program; /* its own path, for the names of files that tests make */
    const char **filters;
    int filter_count, times;
    int passed, failed, skipped;
    int failures;                  /* of the running test */
    int skip;
} runner_state;
static runner_state runner;

#if defined(__GNUC__)
#define RUNNER_UNUSED __attribute__((unused))
#else
#define RUNNER_UNUSED
#endif

#define TEST(name)      static void test_##name(void)
#define SUITE(name)     static void suite_##name(void)
#define RUN(name)       runner_run(#name, test_##name)
#define RUN_SUITE(name) (runner.suite = #name, suite_##name())
#define SKIP(reason)    do { runner_skip(reason); return; } while (0)
#define CHECK(condition)                                                                      \
    ((condition) ? (void)0 : runner_fail(__FILE__, __LINE__, #condition))
#define CHECK_NEAR(a, b, tolerance)                                                           \
    runner_near(__FILE__, __LINE__, #a " ~ " #b, (double)(a), (double)(b), (double)(tolerance))
#define CHECK_TEXT(a, b) runner_text(__FILE__, __LINE__, #a, (a), (b))

static void runner_fail(const char *file, int line, const char *text) {
    if (runner.failures++ < 5)
        printf("FAIL %s.%s\n     %s:%d: %s\n", runner.suite, runner.test, file, line, text);
}

RUNNER_UNUSED static void runner_skip(const char *reason) {
    if (!runner.skip) printf("SKIP %s.%s: %s\n", runner.suite, runner.test, reason);
    runner.skip = 1;
}

/* By its bits: -Ofast must not fold it away. */
static int runner_finite(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

RUNNER_UNUSED static void runner_near(const char *file, int line, const char *text, double a,
                                      double b, double tolerance) {
    double distance = a > b ? a - b : b - a;
    if (runner_finite(a) && runner_finite(b) && distance <= tolerance) return;
    if (runner.failures < 5)
        printf("     %.17g against %.17g, difference %.3g, tolerance %.3g\n", a, b, distance,
               tolerance);
    runner_fail(file, line, text);
}

RUNNER_UNUSED static void runner_text(const char *file, int line, const char *text,
                                      const char *a, const char *b) {
    if (strcmp(a, b) == 0) return;
    if (runner.failures < 5) printf("     \"%s\" against \"%s\"\n", a, b);
    runner_fail(file, line, text);
}

static int runner_wanted(const char *name) {
    char full[256];
    int i;
    sprintf(full, "%.100s.%.150s", runner.suite, name);
    for (i = 0; i < runner.filter_count; i++)
        if (strstr(full, runner.filters[i]) != NULL) return 1;
    return runner.filter_count == 0;
}

static void runner_run(const char *name, void (*test)(void)) {
    clock_t start = clock();
    double seconds;
    if (!runner_wanted(name)) return;
    runner.test = name;
    runner.failures = runner.skip = 0;
    test();
    seconds = (double)(clock() - start) / (double)CLOCKS_PER_SEC;
    if (runner.times && seconds > 0.2) printf("%5.1f s %s.%s\n", seconds, runner.suite, name);
    if (runner.failures) runner.failed++;
    else if (runner.skip) runner.skipped++;
    else runner.passed++;
    fflush(stdout);
}

static void runner_open(int argc, char **argv) {
    runner.program = argc > 0 ? argv[0] : "test";
    runner.times = argc > 1 && strcmp(argv[1], "--times") == 0;
    runner.filters = (const char **)(void *)(argv + 1 + runner.times);
    runner.filter_count = argc - 1 - runner.times;
}

static int runner_close(void) {
    printf("%d passed, %d failed, %d skipped\n", runner.passed, runner.failed, runner.skipped);
    return runner.failed > 0 || runner.passed + runner.skipped == 0;
}

#endif
