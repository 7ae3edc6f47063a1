/* Decompositions u = v - w in a cone: every pair checked by plain loops, the least norm by weak
   duality (a dual point whose feasibility is shown here, by multipliers found here) and by
   search in the plane. */

#define S16_N 48
#define S16_D 16

typedef struct s16_case {
    size_t n, d, dp;
    double X[S16_N * S16_D], u[S16_D], v[S16_D], w[S16_D];
    uint64_t bits[1];
    cvxr_mem mem;
    cvxr_cone cone;
    cvxr_decomposer dec;
    cvxr_decomposed out;
} s16_case;

static s16_case s16;
static cvxrelu_random s16_random;

static double s16_normal(void) { return cvxrelu_random_normal(&s16_random); }

static double s16_dot(const double *x, const double *y) {
    double sum = 0;
    size_t i;
    for (i = 0; i < s16.d; i++) sum += x[i] * y[i];
    return sum;
}

static double s16_norm(const double *x) { return sqrt(s16_dot(x, x)); }

static const double *s16_row(size_t j) { return s16.X + j * s16.dp; }

static double s16_side(size_t j) { return (s16.bits[0] >> j & 1) ? 1 : -1; }

static void s16_clear(size_t n, size_t d) {
    memset(&s16, 0, sizeof s16);
    s16.n = n, s16.d = d, s16.dp = cvxr_pad(d);
}

/* Gaussian rows with the pattern of a gaussian gate, which has an interior. */
static void s16_fill(size_t n, size_t d, uint64_t seed) {
    double g[S16_D];
    size_t i, j;
    s16_clear(n, d);
    cvxrelu_random_init(&s16_random, seed);
    for (i = 0; i < d; i++) g[i] = s16_normal(), s16.u[i] = s16_normal();
    for (j = 0; j < n; j++) {
        for (i = 0; i < d; i++) s16.X[j * s16.dp + i] = s16_normal();
        if (s16_dot(s16_row(j), g) >= 0) s16.bits[0] |= (uint64_t)1 << j;
    }
}

static void s16_open(void) {
    cvxr_mem_init(&s16.mem, NULL, 0);
    CHECK(cvxr_cone_open(&s16.cone, &s16.mem, s16.X, s16.n, s16.d, s16.dp));
    CHECK(cvxr_decomposer_open(&s16.dec, &s16.mem, &s16.cone));
}

static void s16_close(void) {
    cvxr_decomposer_close(&s16.dec, &s16.mem);
    cvxr_cone_close(&s16.cone, &s16.mem);
    CHECK(s16.mem.now == 0);
}

static int s16_split(cvxrelu_decomposition kind) {
    return cvxr_decompose(&s16.dec, kind, s16.bits, s16.u, s16.v, s16.w, &s16.out);
}

static double s16_violation(const double *x) {
    double most = 0;
    size_t j;
    for (j = 0; j < s16.n; j++) {
        double size = s16_norm(s16_row(j)) * s16_norm(x);
        if (size == 0) continue;
        if (-s16_side(j) * s16_dot(s16_row(j), x) > most * size)
            most = -s16_side(j) * s16_dot(s16_row(j), x) / size;
    }
    return most;
}

/* v - w = u, both in the cone, the figures true. */
static void s16_check_pair(void) {
    double rest[S16_D], u = s16_norm(s16.u), v = s16_norm(s16.v), w = s16_norm(s16.w);
    size_t i;
    for (i = 0; i < s16.d; i++) rest[i] = s16.v[i] - s16.w[i] - s16.u[i];
    CHECK_NEAR(s16_norm(rest), 0, 1e-12 * (u + v + w));
    CHECK_NEAR(s16.out.mismatch * u, s16_norm(rest), 1e-14 * (u + v + w));
    CHECK(s16_violation(s16.v) <= 1e-11);
    CHECK(s16_violation(s16.w) <= 1e-11);
    CHECK_NEAR(s16.out.norm, v + w, 1e-14 * (v + w));
    CHECK_NEAR(s16.out.u_norm, u, 1e-14 * u);
    CHECK(v + w >= u * (1 - 1e-14));
    for (i = s16.d; i < s16.dp; i++) CHECK(s16.v[i] == 0 && s16.w[i] == 0);
}

/* An upper bound on the norm of the projection of s y: ||s y + sum gamma_j t_j x_j|| for the
   best gamma >= 0 that sweeps of coordinate descent find. */
static double s16_dual_norm(const double *y, double s) {
    double gamma[S16_N], r[S16_D], square, best;
    size_t i, j;
    int sweep;
    for (i = 0; i < s16.d; i++) r[i] = s * y[i];
    for (j = 0; j < s16.n; j++) gamma[j] = 0;
    best = s16_norm(r);
    for (sweep = 0; sweep < 20000 && best > 1 + 1e-12; sweep++) {
        for (j = 0; j < s16.n; j++) {
            const double *x = s16_row(j);
            double step;
            square = s16_dot(x, x);
            if (square == 0) continue;
            step = -s16_side(j) * s16_dot(x, r) / square;
            if (gamma[j] + step < 0) step = -gamma[j];
            gamma[j] += step;
            for (i = 0; i < s16.d; i++) r[i] += step * s16_side(j) * x[i];
        }
        best = s16_norm(r);
    }
    return best;
}

/* No pair has a smaller norm than <y, u> if ||Proj(y)||, ||Proj(-y)|| <= 1. */
static void s16_check_least(double tolerance) {
    const double *y = s16.dec.y;
    double plus = s16_dual_norm(y, 1), minus = s16_dual_norm(y, -1);
    double most = plus > minus ? plus : minus, bound = s16_dot(y, s16.u);
    CHECK(most <= 1 + 1e-7);
    CHECK_NEAR(bound, s16.out.bound, 1e-12 * bound);
    CHECK(s16.out.norm - bound / (most > 1 ? most : 1) <= tolerance * s16.out.norm + 1e-300);
    CHECK(s16.out.norm - s16.out.bound >= -1e-12 * s16.out.norm);
}

TEST(pairs_are_in_the_cone_and_the_least_norm_is_proven) {
    static const size_t shapes[][2] = { { 1, 1 }, { 5, 1 }, { 3, 8 }, { 8, 8 }, { 20, 5 },
                                        { 40, 3 }, { 48, 9 }, { 30, 12 }, { 2, 16 } };
    size_t k;
    uint64_t seed;
    for (k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (seed = 0; seed < 6; seed++) {
            double least, feasible;
            s16_fill(shapes[k][0], shapes[k][1], 100 * k + seed);
            s16_open();
            CHECK(s16_split(CVXRELU_DECOMPOSE_FEASIBLE) == CVXR_DECOMPOSE_OK);
            s16_check_pair();
            feasible = s16.out.norm;
            CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
            s16_check_pair();
            s16_check_least(1e-7);
            CHECK(s16.out.norm - s16.out.bound <= 1e-11 * s16.out.norm);
            least = s16.out.norm;
            CHECK(least <= feasible * (1 + 1e-13));
            CHECK(s16.out.steps <= 40);
            /* the steps of Thm 3.7 */
            if (!s16.out.inside) {
                CHECK(feasible <= s16.out.u_norm + 2 * s16.out.least * (1 + 1e-12));
                CHECK(s16.out.least <= s16.out.kappa * s16.out.u_norm * (1 + 1e-9));
            }
            s16_close();
        }
}

/* In the plane: w on a fine grid, the corner that the solver found in its middle. */
TEST(no_point_of_a_grid_beats_the_least_norm) {
    uint64_t seed;
    for (seed = 0; seed < 12; seed++) {
        double best = HUGE_VAL, span;
        int a, c;
        s16_fill(5, 2, 700 + seed);
        s16_open();
        CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
        span = 1.5 * s16.out.norm / 300;
        for (a = -300; a <= 300; a++)
            for (c = -300; c <= 300; c++) {
                double w[2], v[2];
                size_t j;
                w[0] = s16.w[0] + a * span, w[1] = s16.w[1] + c * span;
                v[0] = s16.u[0] + w[0], v[1] = s16.u[1] + w[1];
                if (s16_norm(v) + s16_norm(w) >= best) continue;
                for (j = 0; j < s16.n; j++)
                    if (s16_side(j) * s16_dot(s16_row(j), w) < -1e-9 ||
                        s16_side(j) * s16_dot(s16_row(j), v) < -1e-9)
                        break;
                if (j == s16.n) best = s16_norm(v) + s16_norm(w);
            }
        CHECK(best >= s16.out.norm - 1e-7 * (1 + s16.out.norm));
        CHECK_NEAR(best, s16.out.norm, 1e-7 * (1 + s16.out.norm));
        s16_close();
    }
}

/* The best pair is found also by another road: penalised subgradient steps never get below. */
TEST(a_long_descent_does_not_get_below) {
    double w[S16_D], v[S16_D], best = HUGE_VAL;
    size_t i, j;
    int step, worst;
    s16_fill(14, 4, 4711);
    s16_open();
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
    CHECK(!s16.out.inside);
    memset(w, 0, sizeof w);
    for (step = 1; step <= 200000; step++) {
        double most = 0, rate = 20.0 / (20.0 + step), nv, nw;
        worst = -1;
        for (i = 0; i < s16.d; i++) v[i] = s16.u[i] + w[i];
        for (j = 0; j < s16.n; j++) {
            const double t = s16_side(j) / s16_norm(s16_row(j));
            const double a = -t * s16_dot(s16_row(j), w), c = -t * s16_dot(s16_row(j), v);
            if (a > most) most = a, worst = (int)j;
            if (c > most) most = c, worst = (int)j;
        }
        nv = s16_norm(v), nw = s16_norm(w);
        if (worst >= 0 && most > 1e-6) { /* onto the half space of the worst row */
            const double t = s16_side((size_t)worst) / s16_norm(s16_row((size_t)worst));
            for (i = 0; i < s16.d; i++)
                w[i] += most * t * s16_row((size_t)worst)[i];
            continue;
        }
        if (nv + nw < best) best = nv + nw;
        for (i = 0; i < s16.d; i++)
            w[i] -= 0.2 * rate * (v[i] / (nv + 1e-300) + w[i] / (nw + 1e-300));
    }
    CHECK(best >= s16.out.norm * (1 - 1e-5));
    CHECK_NEAR(best, s16.out.norm, 0.01 * s16.out.norm);
    s16_close();
}

TEST(a_weight_in_the_cone_or_its_opposite_keeps_its_norm) {
    uint64_t seed;
    size_t i, j;
    for (seed = 0; seed < 8; seed++) {
        s16_fill(12, 5, 40 + seed);
        memset(s16.bits, 0, sizeof s16.bits);
        for (j = 0; j < s16.n; j++)
            if (s16_dot(s16_row(j), s16.u) >= 0) s16.bits[0] |= (uint64_t)1 << j;
        s16_open();
        CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
        s16_check_pair();
        s16_check_least(1e-14);
        CHECK(s16.out.inside && s16_norm(s16.w) == 0);
        CHECK(memcmp(s16.v, s16.u, s16.d * sizeof(double)) == 0);
        for (i = 0; i < s16.d; i++) s16.u[i] = -s16.u[i];
        CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
        s16_check_pair();
        s16_check_least(1e-14);
        CHECK(s16.out.inside && s16_norm(s16.v) == 0);
        CHECK_NEAR(s16.out.norm, s16_norm(s16.u), 1e-14 * s16.out.norm);
        CHECK(s16_split(CVXRELU_DECOMPOSE_FEASIBLE) == CVXR_DECOMPOSE_OK);
        s16_check_pair();
        s16_close();
    }
}

TEST(a_zero_weight_gives_two_zeros) {
    static const cvxrelu_decomposition kinds[] = { CVXRELU_DECOMPOSE_MIN_NORM,
                                                   CVXRELU_DECOMPOSE_FEASIBLE,
                                                   CVXRELU_DECOMPOSE_CLOSED_FORM };
    size_t k;
    s16_fill(3, 5, 9);
    memset(s16.u, 0, sizeof s16.u);
    s16_open();
    CHECK(cvxr_decompose_factor(&s16.dec));
    for (k = 0; k < 3; k++) {
        memset(s16.v, 1, sizeof s16.v);
        memset(s16.v + s16.d, 0, (S16_D - s16.d) * sizeof(double));
        CHECK(s16_split(kinds[k]) == CVXR_DECOMPOSE_OK);
        CHECK(s16.out.norm == 0 && s16_norm(s16.v) == 0 && s16_norm(s16.w) == 0);
    }
    s16_close();
}

TEST(duplicate_and_zero_rows_change_nothing) {
    double norm;
    size_t j;
    s16_fill(10, 4, 77);
    s16_open();
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
    norm = s16.out.norm;
    s16_close();
    for (j = 0; j < 20; j++) { /* multiples of rows, of either sign, with the side to match */
        const double by = j % 3 == 0 ? -0.5 : j % 3 == 1 ? 1 : 0;
        size_t i;
        for (i = 0; i < s16.d; i++)
            s16.X[(10 + j) * s16.dp + i] = by * s16.X[j % 10 * s16.dp + i];
        if ((s16_side(j % 10) > 0) == (by > 0)) s16.bits[0] |= (uint64_t)1 << (10 + j);
    }
    s16.n = 30;
    s16_open();
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
    s16_check_pair();
    s16_check_least(1e-7);
    CHECK_NEAR(s16.out.norm, norm, 1e-12 * norm);
    s16_close();
}

/* [MSP22 eq. 22] in the proof of Prop. 3.5: u = (2, 0) has the only least pair v, w = (+-1,
   1/alpha), and kappa is 1/alpha. Its rows are independent: the same example shows that the
   factor 2 of Prop. 3.4 does not hold. */
TEST(the_blow_up_of_the_papers_example_has_no_bound) {
    double alpha;
    for (alpha = 0.5; alpha > 1e-6; alpha /= 10) {
        const double norm = 2 * sqrt(1 + 1 / (alpha * alpha));
        int kind;
        s16_clear(2, 2);
        s16.X[0] = 1, s16.X[1] = alpha;
        s16.X[s16.dp] = -1, s16.X[s16.dp + 1] = alpha;
        s16.bits[0] = 3;
        s16.u[0] = 2;
        s16_open();
        CHECK(cvxr_decompose_factor(&s16.dec));
        for (kind = 0; kind < 4; kind++) {
            if (kind == CVXRELU_DECOMPOSE_APPROXIMATE) continue;
            CHECK(s16_split((cvxrelu_decomposition)kind) == CVXR_DECOMPOSE_OK);
            s16_check_pair();
            CHECK_NEAR(s16.out.norm, norm, 1e-9 * norm);
            CHECK_NEAR(s16.out.kappa * alpha, 1, 1e-9);
            CHECK_NEAR(s16.w[0], -1, 1e-6);
            CHECK_NEAR(s16.v[0], 1, 1e-6);
        }
        CHECK(norm > 2 * s16.out.u_norm);
        s16_close();
    }
}

/* a = (X X^T)^-1 c for the rows that are not zero, by elimination. */
static void s16_gram_solve(double *c) {
    double G[S16_N][S16_N];
    size_t i, j, p;
    for (i = 0; i < s16.n; i++)
        for (j = 0; j < s16.n; j++) G[i][j] = s16_dot(s16_row(i), s16_row(j));
    for (p = 0; p < s16.n; p++) {
        if (G[p][p] == 0) continue;
        for (i = 0; i < s16.n; i++) {
            double t = G[i][p] / G[p][p];
            if (i == p) continue;
            for (j = p; j < s16.n; j++) G[i][j] -= t * G[p][j];
            c[i] -= t * c[p];
        }
    }
    for (p = 0; p < s16.n; p++) c[p] = G[p][p] != 0 ? c[p] / G[p][p] : 0;
}

TEST(the_closed_form_is_the_pseudoinverse_of_independent_rows) {
    uint64_t seed;
    for (seed = 0; seed < 10; seed++) {
        double c[S16_N], w[S16_D];
        size_t i, j;
        s16_fill(7, 7 + seed, 300 + seed);
        if (seed % 2) memset(s16.X + 3 * s16.dp, 0, s16.dp * sizeof(double));
        s16_open();
        CHECK(cvxr_decompose_factor(&s16.dec));
        CHECK(s16_split(CVXRELU_DECOMPOSE_CLOSED_FORM) == CVXR_DECOMPOSE_OK);
        s16_check_pair();
        for (j = 0; j < s16.n; j++) {
            const double z = s16_side(j) * s16_dot(s16_row(j), s16.u);
            c[j] = z < 0 ? -z * s16_side(j) : 0;
        }
        s16_gram_solve(c);
        memset(w, 0, sizeof w);
        for (j = 0; j < s16.n; j++)
            for (i = 0; i < s16.d; i++) w[i] += c[j] * s16_row(j)[i];
        for (i = 0; i < s16.d; i++) CHECK_NEAR(s16.w[i], w[i], 1e-7 * (1 + s16_norm(w)));
        CHECK(s16_norm(s16.w) >= s16.out.least * (1 - 1e-9));
        s16_close();
    }
}

/* Prop. 3.4 as printed, w = -X_I^+ X_I u: with one row in I a multiple of that row, which is
   outside as soon as a row of the others leans against it. */
TEST(the_printed_closed_form_is_not_feasible) {
    double w[2], by;
    s16_clear(2, 2);
    s16.X[0] = 1, s16.X[1] = 0.5;
    s16.X[s16.dp] = -1, s16.X[s16.dp + 1] = 0.5;
    s16.bits[0] = 3;
    s16.u[0] = 2;
    by = -s16_dot(s16_row(1), s16.u) / s16_dot(s16_row(1), s16_row(1));
    w[0] = by * s16_row(1)[0], w[1] = by * s16_row(1)[1];
    CHECK(s16_dot(s16_row(1), s16.u) < 0 && s16_dot(s16_row(0), s16.u) > 0);
    CHECK(s16_dot(s16_row(0), w) < -0.5);
}

TEST(the_closed_form_refuses_dependent_rows) {
    s16_fill(9, 8, 1);
    s16_open();
    CHECK(!cvxr_decompose_factor(&s16.dec) && s16.dec.rank == 9);
    s16_close();
    s16_fill(5, 8, 2);
    memcpy(s16.X + 4 * s16.dp, s16.X + s16.dp, s16.dp * sizeof(double));
    s16_open();
    CHECK(!cvxr_decompose_factor(&s16.dec));
    s16_close();
}

/* [MSP22 Prop. B.2]: all rows active, K = {a e3, a >= 0}. */
static void s16_fill_singular(void) {
    s16_clear(5, 3);
    s16.X[0] = 1;
    s16.X[s16.dp + 1] = 1;
    s16.X[2 * s16.dp] = s16.X[2 * s16.dp + 1] = -1;
    s16.X[3 * s16.dp + 2] = 1;
    s16.bits[0] = 31; /* the fifth row is zero */
}

TEST(a_cone_without_interior_splits_its_span_only) {
    s16_fill_singular();
    s16.u[2] = 3;
    s16_open();
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
    CHECK(s16.out.inside && s16.v[2] == 3);
    s16.u[2] = -3;
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
    CHECK(s16.out.inside && s16.w[2] == 3);
    CHECK(s16_split(CVXRELU_DECOMPOSE_FEASIBLE) == CVXR_DECOMPOSE_OK);
    s16_check_pair();
    s16.u[0] = 1;
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_SINGULAR);
    CHECK(s16_split(CVXRELU_DECOMPOSE_FEASIBLE) == CVXR_DECOMPOSE_SINGULAR);
    s16_close();
}

/* The merged pattern: that of its gate, which no row but those of zeros is orthogonal to; rows
   off the flat ones keep their sides; it splits u; the change is that of the predictions. */
static void s16_check_merge(const unsigned char *flat) {
    double gate[S16_D], change = -1, sum = 0;
    uint64_t merged[1];
    size_t j;
    memset(gate, 0, sizeof gate);
    CHECK(cvxr_decompose_merge(&s16.dec, s16.bits, s16.u, merged, gate, &change));
    CHECK_NEAR(s16_norm(gate), 1, 1e-12);
    for (j = 0; j < s16.n; j++) {
        const double norm = s16_norm(s16_row(j)), z = s16_dot(s16_row(j), gate);
        const double side = (merged[0] >> j & 1) ? 1 : -1, y = s16_dot(s16_row(j), s16.u);
        if (norm > 0) CHECK(side * z > 1e-12 * norm);
        if (side != s16_side(j)) sum += y * y;
        if (!flat[j]) CHECK(side == s16_side(j));
    }
    CHECK_NEAR(change, sqrt(sum), 1e-12 * (1 + change));
    CHECK(sqrt(sum) <= s16_norm(s16.u) * 10);
    s16.bits[0] = merged[0];
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
    s16_check_pair();
    s16_check_least(1e-7);
}

TEST(a_cone_without_interior_is_merged_into_one_that_contains_it) {
    static const unsigned char flat[5] = { 1, 1, 1, 0, 0 };
    double e3[3] = { 0, 0, 1 };
    s16_fill_singular();
    s16.u[0] = 1, s16.u[1] = 0.25, s16.u[2] = -1;
    s16_open();
    CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_SINGULAR);
    s16_check_merge(flat);
    CHECK(s16_violation(e3) == 0);
    s16_close();
}

/* [MSP22 Thm 3.3] says D_j X u = D_i X u after a merge. Not for this u: a cell around K leaves
   one or two of the first three rows inactive, and their products with u are 1, 2, -3. */
TEST(a_merge_changes_predictions) {
    static const unsigned char flat[5] = { 1, 1, 1, 0, 0 };
    double gate[S16_D], change = 0;
    uint64_t merged[1];
    s16_fill_singular();
    s16.u[0] = 1, s16.u[1] = 2;
    s16_open();
    CHECK(cvxr_decompose_merge(&s16.dec, s16.bits, s16.u, merged, gate, &change));
    CHECK_NEAR(change, 1, 1e-12); /* the least of the choices */
    s16_check_merge(flat);
    s16_close();
}

TEST(opposite_sides_of_equal_rows_are_merged) {
    unsigned char flat[S16_N];
    uint64_t seed;
    for (seed = 0; seed < 8; seed++) {
        s16_fill(12, 5, 900 + seed);
        memset(flat, 0, sizeof flat);
        memcpy(s16.X + 7 * s16.dp, s16.X + 2 * s16.dp, s16.dp * sizeof(double));
        s16.bits[0] &= ~(((uint64_t)1 << 2) | ((uint64_t)1 << 7));
        s16.bits[0] |= (uint64_t)1 << (seed % 2 ? 2 : 7);
        s16_open();
        if (s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_SINGULAR) {
            double p[S16_D];
            size_t j, count = cvxr_decompose_interior(&s16.dec, s16.bits, p);
            CHECK(count >= 2 && s16.dec.flat[2] && s16.dec.flat[7]);
            CHECK(s16_violation(p) <= 1e-11);
            for (j = 0; j < s16.n; j++) {
                flat[j] = s16.dec.flat[j];
                if (s16_norm(p) > 0 && !flat[j])
                    CHECK(s16_side(j) * s16_dot(s16_row(j), p) > 1e-9 * s16_norm(p));
            }
            s16_check_merge(flat);
        } else CHECK(0);
        s16_close();
    }
}

TEST(the_cone_of_zero_alone_is_merged) {
    static const unsigned char flat[4] = { 1, 1, 1, 1 };
    s16_clear(4, 2);
    s16.X[0] = 1, s16.X[s16.dp] = -1, s16.X[2 * s16.dp + 1] = 1, s16.X[3 * s16.dp + 1] = -1;
    s16.bits[0] = 15;
    s16.u[0] = 1, s16.u[1] = 0.5;
    s16_open();
    CHECK(s16_split(CVXRELU_DECOMPOSE_FEASIBLE) == CVXR_DECOMPOSE_SINGULAR);
    s16_check_merge(flat);
    s16_close();
}

/* A cone a millionth wide: pairs a million times as long, still in it. */
TEST(narrow_cones_have_long_pairs) {
    double width;
    for (width = 1e-2; width >= 1e-7; width /= 10) {
        size_t j;
        s16_fill(24, 4, 5);
        for (j = 0; j < s16.n; j++) s16.X[j * s16.dp] *= width;
        s16.bits[0] = 0;
        for (j = 0; j < s16.n; j++) /* the pattern of (1, 0, 0, 0) */
            if (s16.X[j * s16.dp] >= 0) s16.bits[0] |= (uint64_t)1 << j;
        s16_open();
        CHECK(s16_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXR_DECOMPOSE_OK);
        s16_check_pair();
        CHECK(s16.out.norm > 0.05 / width * s16.out.u_norm);
        CHECK(s16.out.norm - s16.out.bound <= 1e-6 * s16.out.norm);
        s16_close();
    }
}

TEST(an_approximate_pair_is_repaired) {
    uint64_t seed;
    for (seed = 0; seed < 6; seed++) {
        double least, w[S16_D];
        size_t i;
        s16_fill(20, 5, 60 + seed);
        s16_open();
        CHECK(s16_split(CVXRELU_DECOMPOSE_FEASIBLE) == CVXR_DECOMPOSE_OK);
        least = s16.out.norm;
        for (i = 0; i < s16.d; i++) w[i] = s16.w[i] *= 0.9; /* short, hence outside */
        CHECK(s16_split(CVXRELU_DECOMPOSE_APPROXIMATE) == CVXR_DECOMPOSE_OK);
        s16_check_pair();
        if (!s16.out.inside) {
            double v[S16_D];
            for (i = 0; i < s16.d; i++) v[i] = s16.u[i] + w[i];
            CHECK_NEAR(s16.out.raw_norm, s16_norm(v) + s16_norm(w), 1e-13 * least);
            CHECK(s16.out.raw_violation > 1e-3);
            CHECK(s16.out.norm <= 2 * least);
        }
        s16_close();
    }
}

TEST(a_refused_allocation_leaves_nothing) {
    size_t limit, need;
    s16_fill(10, 5, 3);
    cvxr_mem_init(&s16.mem, NULL, 0);
    CHECK(cvxr_cone_open(&s16.cone, &s16.mem, s16.X, s16.n, s16.d, s16.dp));
    need = cvxr_decomposer_bytes(s16.n, s16.d, s16.dp);
    for (limit = s16.mem.now + 1; limit < s16.mem.now + need; limit += 64) {
        const size_t before = s16.mem.now;
        s16.mem.limit = limit;
        s16.mem.failed = CVXRELU_OK;
        CHECK(!cvxr_decomposer_open(&s16.dec, &s16.mem, &s16.cone));
        CHECK(s16.mem.failed == CVXRELU_ERR_LIMIT && s16.mem.now == before);
    }
    s16.mem.limit = 0;
    s16.mem.failed = CVXRELU_OK;
    CHECK(cvxr_decomposer_open(&s16.dec, &s16.mem, &s16.cone));
    s16_close();
}

SUITE(s16_decompose) {
    RUN(pairs_are_in_the_cone_and_the_least_norm_is_proven);
    RUN(no_point_of_a_grid_beats_the_least_norm);
    RUN(a_long_descent_does_not_get_below);
    RUN(a_weight_in_the_cone_or_its_opposite_keeps_its_norm);
    RUN(a_zero_weight_gives_two_zeros);
    RUN(duplicate_and_zero_rows_change_nothing);
    RUN(the_blow_up_of_the_papers_example_has_no_bound);
    RUN(the_closed_form_is_the_pseudoinverse_of_independent_rows);
    RUN(the_printed_closed_form_is_not_feasible);
    RUN(the_closed_form_refuses_dependent_rows);
    RUN(a_cone_without_interior_splits_its_span_only);
    RUN(a_cone_without_interior_is_merged_into_one_that_contains_it);
    RUN(a_merge_changes_predictions);
    RUN(opposite_sides_of_equal_rows_are_merged);
    RUN(the_cone_of_zero_alone_is_merged);
    RUN(narrow_cones_have_long_pairs);
    RUN(an_approximate_pair_is_repaired);
    RUN(a_refused_allocation_leaves_nothing);
}
