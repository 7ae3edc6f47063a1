/* Tests of S09 LOSSES. Included by test_main.c. Every table entry is checked against `value`
   alone: slopes by differences, the conjugate by its definition as a supremum.               */

enum { S09_N = 101 };
static double s09_z[S09_N], s09_y[S09_N], s09_v[S09_N], s09_theta[S09_N];
static const size_t s09_sizes[5] = { 0, 1, 3, 4, S09_N };

static void s09_fill(uint64_t seed) {
    cvxrelu_random random;
    size_t i;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < S09_N; i++) {
        s09_z[i] = cvxrelu_random_normal(&random);
        s09_y[i] = cvxrelu_random_normal(&random);
        s09_v[i] = cvxrelu_random_normal(&random);
    }
}

static double s09_dot(size_t n, const double *a, const double *b) {
    double sum = 0;
    size_t i;
    for (i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

TEST(squared_value_is_half_the_sum_of_squares) {
    const cvxr_loss_table *loss = &cvxr_losses[CVXRELU_LOSS_SQUARED];
    size_t k, i;
    s09_fill(9);
    for (k = 0; k < 5; k++) {
        double want = 0;
        for (i = 0; i < s09_sizes[k]; i++) {
            double e = s09_z[i] - s09_y[i];
            want += 0.5 * e * e;
        }
        CHECK_NEAR(loss->value(s09_sizes[k], s09_z, s09_y), want,
                   (double)(s09_sizes[k] + 4) * DBL_EPSILON * want);
    }
}

/* The central difference of a quadratic is exact but for rounding: value * eps / h. */
TEST(dual_direction_is_minus_the_slope) {
    const cvxr_loss_table *loss = &cvxr_losses[CVXRELU_LOSS_SQUARED];
    const double h = 1e-3;
    double ahead[S09_N], behind[S09_N];
    size_t k, i;
    s09_fill(10);
    for (k = 0; k < 5; k++) {
        const size_t n = s09_sizes[k];
        double up, down;
        for (i = 0; i < n; i++) ahead[i] = s09_z[i] + h * s09_v[i];
        for (i = 0; i < n; i++) behind[i] = s09_z[i] - h * s09_v[i];
        up = loss->value(n, ahead, s09_y), down = loss->value(n, behind, s09_y);
        loss->dual(n, s09_z, s09_y, s09_theta);
        CHECK_NEAR((up - down) / (2 * h), -s09_dot(n, s09_theta, s09_v),
                   (double)(n + 8) * DBL_EPSILON * (up + down) / h);
    }
}

TEST(excess_is_the_error_of_the_linear_model) {
    const cvxr_loss_table *loss = &cvxr_losses[CVXRELU_LOSS_SQUARED];
    size_t k, i;
    s09_fill(11);
    for (k = 0; k < 5; k++) {
        const size_t n = s09_sizes[k];
        double f1 = loss->value(n, s09_v, s09_y), f0 = loss->value(n, s09_z, s09_y), slope = 0;
        loss->dual(n, s09_z, s09_y, s09_theta);
        for (i = 0; i < n; i++) slope -= s09_theta[i] * (s09_v[i] - s09_z[i]);
        CHECK_NEAR(loss->excess(n, s09_v, s09_z, s09_y), f1 - f0 - slope,
                   8 * (double)(n + 8) * DBL_EPSILON * (f1 + f0));
    }
}

/* f(z1) - f(z0) - slope would have lost all sixteen digits here. */
TEST(excess_of_a_tiny_step_keeps_its_digits) {
    const cvxr_loss_table *loss = &cvxr_losses[CVXRELU_LOSS_SQUARED];
    double z0[3] = { 1, 2, -4 }, z1[3], y[3] = { 1e6, -1e6, 3 };
    const double step = 1.0 / 1099511627776.0;           /* 2^-40: the sums are exact        */
    size_t i;
    for (i = 0; i < 3; i++) z1[i] = z0[i] + step;
    CHECK_NEAR(loss->excess(3, z1, z0, y) / (1.5 * step * step), 1, 1e-14);
}

/* f*(w) = sup_x <w, x> - f(x), so the gap is at least f(z) - <w, z> + <w, x> - f(x) for every
   x, and is reached at the x whose slope is w = -s theta, here x = y + w. */
TEST(dual_gap_is_the_supremum_that_defines_the_conjugate) {
    static const double scales[3] = { 0, 0.3, 1 };
    const cvxr_loss_table *loss = &cvxr_losses[CVXRELU_LOSS_SQUARED];
    double x[S09_N], w[S09_N];
    size_t k, j, i;
    s09_fill(12);
    for (k = 0; k < 15; k++) {
        const size_t n = s09_sizes[k / 3];
        const double s = scales[k % 3], f = loss->value(n, s09_z, s09_y);
        double gap, fenchel, tolerance;
        loss->dual(n, s09_z, s09_y, s09_theta);
        gap = loss->dual_gap(n, s09_z, s09_y, s09_theta, s);
        CHECK(gap >= 0 && (s < 1 || gap == 0));
        for (i = 0; i < n; i++) w[i] = -s * s09_theta[i];
        for (j = 0; j < 4; j++) {
            for (i = 0; i < n; i++) x[i] = s09_y[i] + w[i] + 0.1 * (double)j * s09_v[i];
            fenchel = f - s09_dot(n, w, s09_z) + s09_dot(n, w, x) - loss->value(n, x, s09_y);
            tolerance = 8 * (double)(n + 8) * DBL_EPSILON * (f + s09_dot(n, s09_z, s09_z) + 1);
            if (j == 0) CHECK_NEAR(gap, fenchel, tolerance);
            else CHECK(gap >= fenchel - tolerance);
        }
    }
}

TEST(sum_of_squares_takes_a_missing_vector_as_zero) {
    const double a[5] = { 1, -2, 3, -4, 5 }, b[5] = { 1, 1, 1, 1, 1 };
    CHECK(cvxr_sum_squares(5, a, NULL) == 55 && cvxr_sum_squares(5, a, b) == 54);
    CHECK(cvxr_sum_squares(1, a, b) == 0 && cvxr_sum_squares(0, NULL, NULL) == 0);
}

SUITE(s09_losses) {
    RUN(squared_value_is_half_the_sum_of_squares);
    RUN(dual_direction_is_minus_the_slope);
    RUN(excess_is_the_error_of_the_linear_model);
    RUN(excess_of_a_tiny_step_keeps_its_digits);
    RUN(dual_gap_is_the_supremum_that_defines_the_conjugate);
    RUN(sum_of_squares_takes_a_missing_vector_as_zero);
}
