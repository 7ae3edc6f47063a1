/* Tests of S04 RANDOM. Included by test_main.c. */

TEST(the_sequence_is_pinned) {
    /* computed from the published definitions of splitmix64 and xoshiro256** */
    static const uint64_t zero[4] = { 0x99ec5f36cb75f2b4u, 0xbf6e1f784956452au,
                                      0x1a5f849d4933e6e0u, 0x6aa594f1262d2d2cu };
    static const uint64_t last[4] = { 0x8f5520d52a7ead08u, 0xc476a018caa1802du,
                                      0x81de31c0d260469eu, 0xbf658d7e065f3c2fu };
    cvxrelu_random random;
    int i;
    cvxrelu_random_init(&random, 0);
    for (i = 0; i < 4; i++) CHECK(cvxrelu_random_next(&random) == zero[i]);
    for (i = 4; i < 999; i++) (void)cvxrelu_random_next(&random);
    CHECK(cvxrelu_random_next(&random) == 0x7aac8c483a2edd2fu);
    cvxrelu_random_init(&random, ~(uint64_t)0);
    for (i = 0; i < 4; i++) CHECK(cvxrelu_random_next(&random) == last[i]);
}

TEST(uniform_and_normal_deviates_are_pinned) {
    cvxrelu_random random;
    cvxrelu_random_init(&random, 0);
    CHECK(cvxrelu_random_uniform(&random) == 5415695640260286.0 / 9007199254740992.0);
    cvxrelu_random_init(&random, 0);
    /* log and sqrt of the platform may differ in the last bits */
    CHECK_NEAR(cvxrelu_random_normal(&random), 0.5981026483626094, 1e-14);
    CHECK_NEAR(cvxrelu_random_normal(&random), 1.4634599192204392, 1e-14);
    CHECK_NEAR(cvxrelu_random_normal(&random), -0.8950525532379914, 1e-14);
    CHECK_NEAR(cvxrelu_random_normal(&random), -0.1880627660388742, 1e-14);
}

TEST(the_same_seed_gives_the_same_numbers_and_another_does_not) {
    cvxrelu_random a, b, c;
    int i, same = 0;
    cvxrelu_random_init(&a, 42);
    cvxrelu_random_init(&b, 42);
    cvxrelu_random_init(&c, 43);
    for (i = 0; i < 1000; i++) {
        uint64_t x = cvxrelu_random_next(&a);
        CHECK(x == cvxrelu_random_next(&b));
        same += x == cvxrelu_random_next(&c);
    }
    CHECK(same == 0);
}

TEST(uniform_deviates_have_the_moments_of_the_interval) {
    cvxrelu_random random;
    double sum = 0.0, square = 0.0;
    int i, n = 100000;
    cvxrelu_random_init(&random, 5);
    for (i = 0; i < n; i++) {
        double x = cvxrelu_random_uniform(&random);
        CHECK(x >= 0.0 && x < 1.0);
        sum += x;
        square += x * x;
    }
    CHECK_NEAR(sum / n, 0.5, 5 * sqrt(1.0 / 12 / n));          /* five standard errors */
    CHECK_NEAR(square / n, 1.0 / 3, 5 * sqrt(4.0 / 45 / n));
}

TEST(normal_deviates_have_the_moments_of_the_normal) {
    cvxrelu_random random;
    double moment[5] = { 0, 0, 0, 0, 0 }, inside = 0.0, neighbours = 0.0, last = 0.0;
    int i, n = 100000;
    cvxrelu_random_init(&random, 6);
    for (i = 0; i < n; i++) {
        double x = cvxrelu_random_normal(&random);
        moment[1] += x / n;
        moment[2] += x * x / n;
        moment[3] += x * x * x / n;
        moment[4] += x * x * x * x / n;
        inside += (fabs(x) < 1.0) / (double)n;
        neighbours += x * last / n;
        last = x;
    }
    CHECK_NEAR(moment[1], 0.0, 5 * sqrt(1.0 / n));             /* five standard errors each */
    CHECK_NEAR(moment[2], 1.0, 5 * sqrt(2.0 / n));
    CHECK_NEAR(moment[3], 0.0, 5 * sqrt(15.0 / n));
    CHECK_NEAR(moment[4], 3.0, 5 * sqrt(96.0 / n));
    CHECK_NEAR(inside, 0.682689492, 5 * sqrt(0.2166 / n));
    CHECK_NEAR(neighbours, 0.0, 5 * sqrt(1.0 / n));
}

TEST(bounded_integers_are_unbiased_and_below_the_bound) {
    cvxrelu_random random;
    int counts[7] = { 0, 0, 0, 0, 0, 0, 0 }, i, n = 70000;
    double chi = 0.0;
    cvxrelu_random_init(&random, 7);
    CHECK(cvxrelu_random_below(&random, 0) == 0 && cvxrelu_random_below(&random, 1) == 0);
    for (i = 0; i < n; i++) {
        uint64_t x = cvxrelu_random_below(&random, 7);
        CHECK(x < 7);
        counts[x % 7]++;
    }
    for (i = 0; i < 7; i++) chi += (counts[i] - n / 7.0) * (counts[i] - n / 7.0) / (n / 7.0);
    CHECK(chi < 30.0);                                         /* 6 degrees: p = 4e-5 */
}

TEST(a_huge_bound_rejects_rather_than_wraps) {
    cvxrelu_random random;
    uint64_t bound = ((uint64_t)3 << 62) - 1;
    int i, low = 0, n = 10000;
    cvxrelu_random_init(&random, 8);
    for (i = 0; i < n; i++) {
        uint64_t x = cvxrelu_random_below(&random, bound);
        CHECK(x < bound);
        low += x < bound / 3;                                 /* twice as often if it wrapped */
    }
    CHECK_NEAR((double)low / n, 1.0 / 3, 5 * sqrt(2.0 / 9 / n));
}

SUITE(s04_random) {
    RUN(the_sequence_is_pinned);
    RUN(uniform_and_normal_deviates_are_pinned);
    RUN(the_same_seed_gives_the_same_numbers_and_another_does_not);
    RUN(uniform_deviates_have_the_moments_of_the_interval);
    RUN(normal_deviates_have_the_moments_of_the_normal);
    RUN(bounded_integers_are_unbiased_and_below_the_bound);
    RUN(a_huge_bound_rejects_rather_than_wraps);
}
