/* Tests of S01 PLATFORM. Included by test_main.c. */

TEST(padding_is_the_next_multiple_of_eight) {
    size_t d;
    for (d = 0; d < 100; d++) {
        CHECK(cvxr_pad(d) % CVXR_PAD == 0);
        CHECK(cvxr_pad(d) >= d && cvxr_pad(d) < d + CVXR_PAD);
    }
}

TEST(smaller_and_larger_are_what_they_say) {
    CHECK(cvxr_min_z(2, 3) == 2 && cvxr_min_z(3, 2) == 2 && cvxr_min_z(2, 2) == 2);
    CHECK(cvxr_max_z(2, 3) == 3 && cvxr_max_z(3, 2) == 3);
    CHECK(cvxr_max_z(SIZE_MAX, 0) == SIZE_MAX);
    CHECK(cvxr_min(-1.0, 1.0) < 0.0 && cvxr_min(1.0, -1.0) < 0.0);
    CHECK(cvxr_max(-1.0, 1.0) > 0.0 && cvxr_max(1.0, -1.0) > 0.0);
}

static double platform_double(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

TEST(nan_and_infinity_are_found_by_their_bits) {
    CHECK(!cvxr_finite(platform_double(0x7ff0000000000000u)));        /* infinity */
    CHECK(!cvxr_finite(platform_double(0xfff0000000000000u)));
    CHECK(!cvxr_finite(platform_double(0x7ff8000000000000u)));        /* quiet NaN */
    CHECK(!cvxr_finite(platform_double(0x7ff0000000000001u)));        /* signalling NaN */
    CHECK(!cvxr_finite(platform_double(0xffffffffffffffffu)));
}

TEST(every_other_number_is_finite) {
    cvxrelu_random random;
    int i;
    CHECK(cvxr_finite(0.0) && cvxr_finite(-0.0) && cvxr_finite(1e308) && cvxr_finite(-1e308));
    CHECK(cvxr_finite(platform_double(1)) && cvxr_finite(platform_double(0x7fefffffffffffffu)));
    cvxrelu_random_init(&random, 1);
    for (i = 0; i < 10000; i++) {
        uint64_t bits = cvxrelu_random_next(&random);
        CHECK(cvxr_finite(platform_double(bits)) == ((bits >> 52 & 0x7ff) < 0x7ff));
    }
}

TEST(a_nan_that_arithmetic_made_is_found_too) {
    volatile double big = 1e308, zero = 0.0;
    double infinity = big * 10.0, nan = zero / zero;
    CHECK(!cvxr_finite(infinity));
    CHECK(!cvxr_finite(nan));
}

TEST(the_clock_does_not_run_backwards) {
    double before = cvxr_clock_default(NULL), after;
    int i;
    for (i = 0; i < 1000; i++) {
        after = cvxr_clock_default(NULL);
        CHECK(after >= before);
        before = after;
    }
}

static void platform_count(void *arg, size_t i) { ((unsigned char *)arg)[i]++; }

static void platform_backwards(void *context, size_t count, void (*body)(void *arg, size_t i),
                               void *arg) {
    ++*(int *)context;
    while (count) body(arg, --count);
}

TEST(a_team_runs_every_task_once) {
    unsigned char runs[37];
    size_t i, count;
    int calls = 0, threads;
    cvxr_team team;
    memset(&team, 0, sizeof team);
    for (threads = 1; threads <= 3; threads++)
        for (count = 0; count <= sizeof runs; count += 9) {
            memset(runs, 0, sizeof runs);
            team.threads = threads;
            cvxr_team_run(&team, count, platform_count, runs);
            for (i = 0; i < sizeof runs; i++) CHECK(runs[i] == (i < count));
        }
    team.hook.context = &calls;
    team.hook.parallel_for = platform_backwards;
    memset(runs, 0, sizeof runs);
    cvxr_team_run(&team, sizeof runs, platform_count, runs);
    CHECK(calls == 1);
    for (i = 0; i < sizeof runs; i++) CHECK(runs[i] == 1);
}

SUITE(s01_platform) {
    RUN(padding_is_the_next_multiple_of_eight);
    RUN(smaller_and_larger_are_what_they_say);
    RUN(nan_and_infinity_are_found_by_their_bits);
    RUN(every_other_number_is_finite);
    RUN(a_nan_that_arithmetic_made_is_found_too);
    RUN(the_clock_does_not_run_backwards);
    RUN(a_team_runs_every_task_once);
}
