/* Tests of S10 GROUP NORMS AND PROX. Included by test_main.c after test_s08_operator.c. The
   truth knows a penalty only as a partition of a rows x cols matrix into groups: rows,
   columns or single entries.                                                               */

typedef struct s10_group { size_t first, stride, length; } s10_group;

static const cvxrelu_penalty s10_penalties[4] = {
    CVXRELU_PENALTY_NEURON, CVXRELU_PENALTY_FEATURE, CVXRELU_PENALTY_L1, CVXRELU_PENALTY_L2
};

static size_t s10_groups(cvxrelu_penalty penalty, size_t rows, size_t cols) {
    return penalty == CVXRELU_PENALTY_NEURON ? rows
         : penalty == CVXRELU_PENALTY_FEATURE ? cols : rows * cols;
}

static s10_group s10_group_at(cvxrelu_penalty penalty, size_t rows, size_t cols, size_t i) {
    s10_group g;
    g.first = penalty == CVXRELU_PENALTY_NEURON ? i * cols : i;
    g.stride = penalty == CVXRELU_PENALTY_FEATURE ? cols : 1;
    g.length = penalty == CVXRELU_PENALTY_NEURON ? cols
             : penalty == CVXRELU_PENALTY_FEATURE ? rows : 1;
    return g;
}

static double s10_norm(const double *a, s10_group g) {
    double sum = 0;
    size_t i;
    for (i = 0; i < g.length; i++) sum += a[g.first + i * g.stride] * a[g.first + i * g.stride];
    return sqrt(sum);
}

/* The penalty without its strength. */
static double s10_value(cvxrelu_penalty penalty, size_t rows, size_t cols, const double *U) {
    double sum = 0;
    size_t i;
    for (i = 0; i < s10_groups(penalty, rows, cols); i++) {
        double norm = s10_norm(U, s10_group_at(penalty, rows, cols, i));
        sum += penalty == CVXRELU_PENALTY_L2 ? norm * norm / 2 : norm;
    }
    return sum;
}

static double s10_dual_norm(cvxrelu_penalty penalty, size_t rows, size_t cols,
                            const double *G) {
    double most = 0;
    size_t i;
    for (i = 0; i < s10_groups(penalty, rows, cols); i++)
        most = cvxr_max(most, s10_norm(G, s10_group_at(penalty, rows, cols, i)));
    return most;
}

/* The squared distance of G to lam times the subdifferential at U, group by group: at u != 0 it
   is one point; at 0 it is a ball of radius lam. */
static double s10_subgradient(cvxrelu_penalty penalty, size_t rows, size_t cols,
                              const double *U, const double *G, double lam) {
    double sum = 0;
    size_t i, j;
    for (i = 0; i < s10_groups(penalty, rows, cols); i++) {
        s10_group g = s10_group_at(penalty, rows, cols, i);
        double size = s10_norm(U, g), out = cvxr_max(0, s10_norm(G, g) - lam);
        if (penalty != CVXRELU_PENALTY_L2 && size == 0) { sum += out * out; continue; }
        for (j = 0; j < g.length; j++) {
            size_t at = g.first + j * g.stride;
            double e = lam * U[at] / (penalty == CVXRELU_PENALTY_L2 ? 1 : size) - G[at];
            sum += e * e;
        }
    }
    return sum;
}

/* The prox by its closed form; S13's plain solver uses it. */
static void s10_shrink(cvxrelu_penalty penalty, size_t rows, size_t cols, double *U, double t) {
    size_t i, j;
    for (i = 0; i < s10_groups(penalty, rows, cols); i++) {
        s10_group g = s10_group_at(penalty, rows, cols, i);
        double norm = s10_norm(U, g), by = norm > t ? (norm - t) / norm : 0;
        if (penalty == CVXRELU_PENALTY_L2) by = 1 / (1 + t);
        for (j = 0; j < g.length; j++) U[g.first + j * g.stride] *= by;
    }
}

enum { S10_ROWS = 33, S10_COLS = 40, S10_SIZE = S10_ROWS * S10_COLS };
static double s10_U[S10_SIZE], s10_V[S10_SIZE], s10_G[S10_SIZE];
static double s10_double[S10_SIZE];
static float s10_float[S10_SIZE];

static void *s10_typed(const cvxr_space *space) {
    return space->size == sizeof(double) ? (void *)s10_double : (void *)s10_float;
}

/* Float32 numbers; rows of sizes from 1/4 to 4; some rows, and then some columns, are zero. */
static void s10_fill(size_t rows, size_t cols, uint64_t seed) {
    cvxrelu_random random;
    size_t i, j;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < rows; i++)
        for (j = 0; j < cols; j++) {
            double size = (i % 5 == 3 ? 0 : 0.25 * (double)(1 + i % 4)) * (j % 7 == 5 ? 0 : 1);
            s10_U[i * cols + j] = (double)(float)(size * cvxrelu_random_normal(&random));
            s10_G[i * cols + j] = (double)(float)cvxrelu_random_normal(&random);
        }
}

/* 0 is in V - U + t d||V|| of one group: V = 0 and ||U|| <= t, or V - U + t V / ||V|| = 0.
   The scale 1 - t / ||U|| and the product with it are off by (length + 16) roundings of U. */
static size_t s10_wrong_group(s10_group g, double t, double epsilon) {
    const double u = s10_norm(s10_U, g), v = s10_norm(s10_V, g);
    const double by = (double)(g.length + 16) * epsilon;
    size_t j, wrong = 0;
    if (v == 0) return u > t * (1 + by);
    for (j = 0; j < g.length; j++) {
        size_t at = g.first + j * g.stride;
        wrong += (size_t)s08_off(s10_V[at] - s10_U[at] + t * (s10_V[at] / v), 0,
                                 by * fabs(s10_U[at]));
    }
    return wrong;
}

/* Prox of s10_U in the type of `space`, back in s10_V. */
static void s10_prox(const cvxr_space *space, cvxrelu_penalty penalty, size_t rows, size_t cols,
                     double t) {
    cvxrelu_type type = space->size == sizeof(double) ? CVXRELU_FLOAT64 : CVXRELU_FLOAT32;
    space->from_f64(rows * cols, s10_U, s10_typed(space));
    cvxr_prox(&cvxr_penalties[penalty], type, rows, cols, s10_typed(space), t);
    space->to_f64(rows * cols, s10_typed(space), s10_V);
}

static size_t s10_wrong_prox(const cvxr_space *space, cvxrelu_penalty penalty, size_t rows,
                             size_t cols, double t) {
    const double epsilon = s08_epsilon(space);
    size_t i, wrong = 0;
    s10_prox(space, penalty, rows, cols, t);
    if (penalty == CVXRELU_PENALTY_L2) {        /* V - U + t V = 0 */
        for (i = 0; i < rows * cols; i++)
            wrong += (size_t)s08_off(s10_V[i] * (1 + t), s10_U[i],
                                     8 * epsilon * fabs(s10_U[i]));
        return wrong;
    }
    for (i = 0; i < s10_groups(penalty, rows, cols); i++)
        wrong += s10_wrong_group(s10_group_at(penalty, rows, cols, i), t, epsilon);
    return wrong;
}

TEST(prox_meets_its_optimality_condition) {
    static const size_t rows[4] = { 0, 1, 5, S10_ROWS }, cols[3] = { 8, 16, S10_COLS };
    static const double steps[4] = { 0, 0.25, 1.5, 1000 };
    size_t type, k, i;
    for (type = 0; type < S08_TYPES; type++)
        for (k = 0; k < 4; k++)
            for (i = 0; i < 48; i++) {
                size_t r = rows[i % 4], c = cols[i / 4 % 3];
                s10_fill(r, c, i);
                CHECK(s10_wrong_prox(s08_spaces[type], s10_penalties[k], r, c, steps[i / 12])
                      == 0);
            }
}

TEST(prox_beats_every_point_nearby) {
    cvxrelu_random random;
    size_t k, i, trial;
    cvxrelu_random_init(&random, 10);
    s10_fill(9, 8, 1);
    for (k = 0; k < 4; k++) {
        double best = 0;
        s10_prox(&cvxr_space_f64, s10_penalties[k], 9, 8, 0.5);
        for (trial = 0; trial < 50; trial++) {
            double value = 0.5 * s10_value(s10_penalties[k], 9, 8, s10_V);
            for (i = 0; i < 72; i++)
                value += 0.5 * (s10_V[i] - s10_U[i]) * (s10_V[i] - s10_U[i]);
            if (trial == 0) best = value;
            CHECK(value >= best * (1 - 72 * DBL_EPSILON));
            s10_prox(&cvxr_space_f64, s10_penalties[k], 9, 8, 0.5);
            for (i = 0; i < 72; i++) s10_V[i] += 1e-3 * cvxrelu_random_normal(&random);
        }
    }
}

TEST(zero_stays_exactly_zero) {
    size_t type, k, i;
    for (type = 0; type < S08_TYPES; type++)
        for (k = 0; k < 8; k++) {
            memset(s10_U, 0, sizeof s10_U);
            s10_prox(s08_spaces[type], s10_penalties[k % 4], 5, 8, k < 4 ? 0.5 : 0);
            for (i = 0; i < 40; i++) CHECK(s10_V[i] == 0);
        }
}

TEST(row_shorter_than_threshold_becomes_zero) {
    size_t type, j;
    for (type = 0; type < S08_TYPES; type++) {
        memset(s10_U, 0, sizeof s10_U);
        s10_U[0] = 3, s10_U[1] = -4;              /* norm 5 */
        s10_U[8] = 3, s10_U[9] = -4.25;
        s10_prox(s08_spaces[type], CVXRELU_PENALTY_NEURON, 2, 8, 5);
        for (j = 0; j < 8; j++) CHECK(s10_V[j] == 0);
        CHECK(s10_V[8] > 0 && s10_V[9] < 0);
        s10_prox(s08_spaces[type], CVXRELU_PENALTY_L1, 2, 8, 3.5);
        CHECK(s10_V[0] == 0 && s10_V[1] == -0.5 && s10_V[8] == 0 && s10_V[9] == -0.75);
        s10_prox(s08_spaces[type], CVXRELU_PENALTY_FEATURE, 2, 8, 4.25);   /* sqrt 18 < 4.25 */
        CHECK(s10_V[0] == 0 && s10_V[8] == 0 && s10_V[1] < 0 && s10_V[9] < 0);
    }
}

TEST(values_equal_plain_loops) {
    size_t type, k, i;
    for (type = 0; type < S08_TYPES; type++)
        for (k = 0; k < 12; k++) {
            const cvxr_space *space = s08_spaces[type];
            size_t rows = k / 4 * 16 + k / 8;      /* 0, 16, 33 */
            cvxrelu_type as = space->size == sizeof(double) ? CVXRELU_FLOAT64 : CVXRELU_FLOAT32;
            double want;
            s10_fill(rows, 24, k);
            space->from_f64(rows * 24, s10_U, s10_typed(space));
            want = s10_value(s10_penalties[k % 4], rows, 24, s10_U);
            CHECK_NEAR(cvxr_penalty_value(&cvxr_penalties[k % 4], as, rows, 24,
                                          s10_typed(space)),
                       want, (double)(24 * rows + 8) * DBL_EPSILON * want);  /* float64 sums */
        }
    for (i = 0; i < 4; i++) CHECK(cvxr_penalties[i].is_norm == (i < 3));
}

/* The sweep in three panels. Zero rows are given as NULL or as zeros. */
static cvxr_penalty_sums s10_sweep(cvxrelu_penalty penalty, size_t rows, size_t cols,
                                   double lam, double *columns) {
    const cvxr_penalty_table *table = &cvxr_penalties[penalty];
    const double *at[S10_ROWS];
    cvxr_penalty_sums sums;
    size_t i, from = 0, to;
    memset(&sums, 0, sizeof sums);
    memset(columns, 0, 3 * cols * sizeof(double));
    sums.columns = columns;
    for (i = 0; i < rows; i++)
        at[i] = i % 2 && cvxr_row_is_zero_f64(cols, s10_U + i * cols) ? NULL : s10_U + i * cols;
    for (i = 1; i <= 3; i++, from = to) {
        to = rows * i / 3;
        table->sweep(to - from, cols, s10_G + from * cols, at + from, lam, &sums);
    }
    table->finish(cols, lam, &sums);
    return sums;
}

TEST(sweep_gathers_what_plain_loops_do) {
    static double columns[3 * S10_COLS];
    const size_t rows = S10_ROWS, cols = S10_COLS;
    size_t k, i;
    for (k = 0; k < 16; k++) {
        static const double lams[4] = { 0, 0.1, 2, 100 };
        const cvxrelu_penalty penalty = s10_penalties[k % 4];
        const double lam = lams[k / 4], by = 4 * (double)S10_SIZE * DBL_EPSILON;
        double product = 0, size = 0, value, subgradient;
        cvxr_penalty_sums sums;
        s10_fill(rows, cols, k);
        for (i = 0; i < rows * cols; i++)
            product += s10_U[i] * s10_G[i], size += fabs(s10_U[i] * s10_G[i]);
        value = s10_value(penalty, rows, cols, s10_U);
        subgradient = s10_subgradient(penalty, rows, cols, s10_U, s10_G, lam);
        sums = s10_sweep(penalty, rows, cols, lam, columns);
        CHECK_NEAR(sums.most, s10_dual_norm(penalty, rows, cols, s10_G), by * sums.most);
        CHECK_NEAR(sums.value, value, by * value);
        CHECK_NEAR(sums.subgradient, subgradient,
                   by * (subgradient + lam * lam * (double)cols));
        if (penalty != CVXRELU_PENALTY_L2) CHECK_NEAR(sums.product, product, by * size);
        else CHECK_NEAR(sums.distance, subgradient, by * subgradient);
    }
}

/* At G = lam u / ||u|| the subgradient is zero: squares of 64 roundings of lam, no more. The
   sums of the feature table cancel to roundings of lam^2 instead: 1e-8 lam squared. */
TEST(subgradient_vanishes_at_an_optimal_group) {
    static double columns[3 * 8];
    size_t k, i, j;
    for (k = 0; k < 4; k++) {
        const double lam = 3, e = 64 * DBL_EPSILON * lam;
        double tolerance = k == 1 ? 8 * 64 * DBL_EPSILON * lam * lam : 9 * 8 * e * e;
        s10_fill(9, 8, 5);
        for (i = 0; i < s10_groups(s10_penalties[k], 9, 8); i++) {
            s10_group g = s10_group_at(s10_penalties[k], 9, 8, i);
            double norm = k == 3 ? 1 : s10_norm(s10_U, g);
            for (j = 0; j < g.length; j++) {
                size_t at = g.first + j * g.stride;
                s10_G[at] = norm > 0 ? lam * s10_U[at] / norm : j ? 0 : -lam;
            }
        }
        CHECK(s10_sweep(s10_penalties[k], 9, 8, lam, columns).subgradient <= tolerance);
    }
}

SUITE(s10_prox) {
    RUN(prox_meets_its_optimality_condition);
    RUN(prox_beats_every_point_nearby);
    RUN(zero_stays_exactly_zero);
    RUN(row_shorter_than_threshold_becomes_zero);
    RUN(values_equal_plain_loops);
    RUN(sweep_gathers_what_plain_loops_do);
    RUN(subgradient_vanishes_at_an_optimal_group);
}
