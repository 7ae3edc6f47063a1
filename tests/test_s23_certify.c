/* Tests of S23 CERTIFY. Objectives are summed by plain loops; a dual point is checked against
   random and gridded unit vectors; small problems have a known optimum. */

#define S23_ROWS 60
#define S23_COLS 8
#define S23_UNITS 8

static double s23_X[S23_ROWS * S23_COLS], s23_Y[S23_ROWS * 3];
static double s23_W1[S23_UNITS * (S23_COLS + 1)], s23_W2[3 * S23_UNITS], s23_b[S23_UNITS];

static cvxrelu_problem s23_problem(size_t n, size_t d, size_t c, double lambda) {
    cvxrelu_problem p;
    memset(&p, 0, sizeof p);
    p.X.data = s23_X;
    p.X.rows = p.Y.rows = n;
    p.X.cols = d;
    p.Y.data = s23_Y;
    p.Y.cols = c;
    p.lambda = lambda;
    p.no_bias = 1;
    return p;
}

static cvxrelu_network s23_network(size_t m, size_t d, size_t c) {
    cvxrelu_network w;
    memset(&w, 0, sizeof w);
    w.W1.data = s23_W1;
    w.W1.rows = w.W2.cols = m;
    w.W1.cols = d;
    w.W2.data = s23_W2;
    w.W2.rows = c;
    return w;
}

/* Gaussian rows, targets of a small ReLU teacher with noise, a random network. */
static void s23_make(size_t n, size_t d, size_t c, size_t m, uint64_t seed) {
    cvxrelu_random random;
    double v[3 * S23_COLS];
    size_t i, j, k;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < n * d; i++) s23_X[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < 3 * d; i++) v[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++)
        for (k = 0; k < c; k++) {
            double *y = s23_Y + i * c + k;
            *y = 0.2 * cvxrelu_random_normal(&random);
            for (j = 0; j < 3; j++)
                *y += ((j + k) % 2 ? -1 : 1)
                      * cvxr_max(0, cvxr_short_dot(d, s23_X + i * d, v + j * d));
        }
    for (i = 0; i < m * d; i++) s23_W1[i] = 0.3 * cvxrelu_random_normal(&random);
    for (i = 0; i < m * c; i++) s23_W2[i] = 0.3 * cvxrelu_random_normal(&random);
}

/* loss / (2 n c) + lambda / 2 (sum ||w1||^2 + ||w2||^2), norm 2 or 1 over outputs. */
static double s23_objective(const cvxrelu_problem *p, size_t m, const double *b2, int l1) {
    size_t n = p->X.rows, d = p->X.cols, c = p->Y.cols, i, j, k;
    double loss = 0, penalty = 0;
    for (i = 0; i < n; i++)
        for (k = 0; k < c; k++) {
            double out = b2 ? b2[k] : 0;
            for (j = 0; j < m; j++) {
                double z = 0;
                size_t q;
                for (q = 0; q < d; q++) z += s23_X[i * d + q] * s23_W1[j * d + q];
                if (z > 0) out += z * s23_W2[k * m + j];
            }
            loss += (out - s23_Y[i * c + k]) * (out - s23_Y[i * c + k]);
        }
    for (j = 0; j < m; j++) {
        double a = 0, square = 0;
        for (i = 0; i < d; i++) penalty += s23_W1[j * d + i] * s23_W1[j * d + i];
        for (k = 0; k < c; k++) {
            a += fabs(s23_W2[k * m + j]);
            square += s23_W2[k * m + j] * s23_W2[k * m + j];
        }
        penalty += l1 ? a * a : square;
    }
    return loss / (2 * (double)(n * c)) + p->lambda / 2 * penalty;
}

/* theta (n x c) proves report's bound: its value, and the constraint at random unit vectors and
   those of a grid in the plane of the first two columns. */
static void s23_judge(const cvxrelu_problem *p, const double *theta, const double *b2,
                      const cvxrelu_certify_report *r) {
    size_t n = p->X.rows, d = p->X.cols, c = p->Y.cols, i, k, t;
    const double units = (double)(n * c), L = p->lambda * units;
    double value = 0, worst = 0;
    cvxrelu_random random;
    for (i = 0; i < n; i++)
        for (k = 0; k < c; k++) {
            double x = theta[i * c + k], y = s23_Y[i * c + k] - (b2 ? b2[k] : 0);
            value += x * y - x * x / 2;
        }
    CHECK_NEAR(value / units, r->dual_bound, 1e-12 * (1 + fabs(value)));
    cvxrelu_random_init(&random, 3);
    for (t = 0; t < 3000; t++) {
        double u[S23_COLS], sum[3] = { 0, 0, 0 }, norm = 0;
        for (k = 0; k < d; k++) {
            double angle = 6.283185307179586 * (double)t / 1000;
            u[k] = t > 1000 ? cvxrelu_random_normal(&random)
                            : k == 0 ? cos(angle) : k == 1 ? sin(angle) : 0;
            norm += u[k] * u[k];
        }
        for (i = 0; i < n; i++) {
            double z = 0;
            for (k = 0; k < d; k++) z += s23_X[i * d + k] * u[k] / sqrt(norm);
            for (k = 0; k < c && z > 0; k++) sum[k] += theta[i * c + k] * z;
        }
        if (p->Y.cols > 1 && r->l1_penalty)
            for (k = 0; k < c; k++) worst = cvxr_max(worst, fabs(sum[k]));
        else worst = cvxr_max(worst, sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]));
    }
    CHECK(worst <= L * (1 + 1e-9));
    CHECK(r->dual_bound <= r->best * (1 + 1e-12));
    CHECK(r->best <= r->balanced * (1 + 1e-12));
    CHECK(r->balanced <= r->objective * (1 + 1e-12));
    CHECK(r->estimate >= r->dual_bound - 1e-9 * r->best);
    CHECK(strlen(r->message) == 0);
}

static cvxrelu_certify_report s23_certify(const cvxrelu_problem *p, const cvxrelu_network *w,
                                          const cvxrelu_certify_options *how, double *theta) {
    cvxrelu_certify_report r;
    cvxrelu_result result = cvxrelu_certify(p, w, NULL, how, theta, &r);
    if (result) printf("     code %d, \"%s\"\n", (int)result, r.message);
    CHECK(result == CVXRELU_OK);
    return r;
}

/* X = I: M(theta) = max(||theta+||, ||theta-||), so that with Y+ = ||y+||, p* is the sum over
   both sides of Y^2/2 - (Y - min(Y, L))^2/2, divided by n. */
TEST(optimum_of_orthogonal_rows_is_proven_by_every_method) {
    static const size_t sizes[] = { 1, 2, 3, 5 };
    size_t at, i, j;
    for (at = 0; at < 4; at++) {
        size_t n = sizes[at];
        cvxrelu_problem p = s23_problem(n, n, 1, 0);
        cvxrelu_network w;
        cvxrelu_certify_options how;
        double L = 0.8, side[2] = { 0, 0 }, optimum = 0, theta[8];
        int method;
        p.lambda = L / (double)n;
        for (i = 0; i < n; i++) {
            for (j = 0; j < n; j++) s23_X[i * n + j] = i == j;
            s23_Y[i] = i % 2 ? -1.0 - (double)i : 1 + 0.5 * (double)i;
            side[i % 2] += s23_Y[i] * s23_Y[i];
        }
        for (i = 0; i < 2; i++) {
            double Y = sqrt(side[i]), rest = Y - cvxr_min(Y, L);
            optimum += (Y * Y - rest * rest) / 2 / (double)n;
        }
        memset(&w, 0, sizeof w);
        memset(&how, 0, sizeof how);
        how.tol = 1e-4;
        for (method = 0; method <= 4; method++) {
            cvxrelu_certify_report r;
            how.method = (cvxrelu_certify_method)method;
            if (how.method == CVXRELU_CERTIFY_EXACT && n > 2) continue;
            r = s23_certify(&p, &w, &how, theta);
            s23_judge(&p, theta, NULL, &r);
            CHECK(r.dual_bound <= optimum * (1 + 1e-9));
            if (how.method == CVXRELU_CERTIFY_WEIGHTED) continue;
            CHECK(r.stop == CVXRELU_STOP_GAP && r.method != CVXRELU_CERTIFY_AUTO);
            CHECK(r.dual_bound >= optimum * (1 - 1.1e-4));
            CHECK_NEAR(r.best, optimum, 1.1e-4 * optimum);
            CHECK(r.rank == n);
        }
    }
}

/* The optimum over all enumerated patterns is the judge. */
TEST(bounds_enclose_the_optimum_over_all_patterns) {
    size_t seed;
    for (seed = 0; seed < 6; seed++) {
        size_t n = 12 + 4 * seed, d = 2 + seed % 2, m = 5;
        double lambda = seed < 3 ? 1e-2 : 1e-3, theta[S23_ROWS], top = 0;
        cvxrelu_problem p = s23_problem(n, d, 1, lambda);
        cvxrelu_network w = s23_network(m, d, 1);
        cvxrelu_certify_options how;
        cvxrelu_enumeration about;
        cvxrelu_report *fit = (cvxrelu_report *)malloc(sizeof *fit);
        cvxrelu_model *model = NULL;
        double *gates;
        int method;
        s23_make(n, d, 1, m, 40 + seed);
        p.scale = CVXRELU_SCALE_NONE;
        CHECK(cvxrelu_enumerate(&p, NULL, 0, &about, NULL, 0, NULL) == CVXRELU_OK);
        gates = (double *)malloc(about.patterns * d * sizeof(double));
        CHECK(cvxrelu_enumerate(&p, NULL, 0, &about, gates, about.patterns, NULL)
              == CVXRELU_OK);
        p.kind = CVXRELU_RELU;
        p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        p.gates.given.data = gates;
        p.gates.given.rows = about.patterns;
        p.gates.given.cols = d;
        p.gates.given_scaled = 1;
        CHECK(cvxrelu_fit(&p, NULL, NULL, &model, fit) == CVXRELU_OK && fit->gap <= 1e-6);
        memset(&how, 0, sizeof how);
        for (method = 4; method >= 0; method--) {
            cvxrelu_certify_report r;
            how.method = (cvxrelu_certify_method)method;
            if (how.method == CVXRELU_CERTIFY_EXACT && d > 2) continue;
            r = s23_certify(&p, &w, &how, theta);
            s23_judge(&p, theta, NULL, &r);
            CHECK_NEAR(r.objective, s23_objective(&p, m, NULL, 0), 1e-12);
            CHECK(r.dual_bound <= fit->objective * (1 + 1e-9));
            CHECK(r.best >= fit->dual_bound * (1 - 1e-9));
            CHECK(r.gap > 0 && r.neurons == m && r.lambda == lambda);
            if (how.method == CVXRELU_CERTIFY_WEIGHTED) {
                CHECK(r.dual_bound > 0.1 * fit->objective);
                CHECK(r.dual_bound <= top);
                continue;
            }
            CHECK(r.stop == CVXRELU_STOP_GAP && r.best_gap <= 0.01);
            CHECK(r.dual_bound >= 0.99 * fit->objective);
            top = cvxr_max(top, r.dual_bound);
        }
        cvxrelu_model_free(model);
        free(gates);
        free(fit);
    }
}

TEST(several_outputs_are_bounded_under_either_penalty) {
    int l1;
    for (l1 = 0; l1 < 2; l1++) {
        size_t n = 30, d = 3, c = 3, m = 6, try;
        cvxrelu_problem p = s23_problem(n, d, c, 0.01);
        cvxrelu_network w = s23_network(m, d, c);
        cvxrelu_certify_options how;
        cvxrelu_certify_report r, weak;
        double theta[S23_ROWS * 3];
        s23_make(n, d, c, m, 7);
        memset(&how, 0, sizeof how);
        how.l1_penalty = l1;
        r = s23_certify(&p, &w, &how, theta);
        s23_judge(&p, theta, NULL, &r);
        CHECK(r.l1_penalty == l1 && r.c == c);
        CHECK_NEAR(r.objective, s23_objective(&p, m, NULL, l1), 1e-12);
        CHECK(r.dual_bound > 0);
        if (l1) CHECK(r.best_gap <= 0.01);
        how.method = CVXRELU_CERTIFY_WEIGHTED;
        weak = s23_certify(&p, &w, &how, theta);
        s23_judge(&p, theta, NULL, &weak);
        CHECK(weak.dual_bound <= r.dual_bound * (1 + 1e-2));
        for (try = 0; try < 50; try++) { /* no network is below the bound */
            size_t i;
            cvxrelu_random random;
            cvxrelu_random_init(&random, try);
            for (i = 0; i < m * d; i++) s23_W1[i] = cvxrelu_random_normal(&random);
            for (i = 0; i < m * c; i++) s23_W2[i] = cvxrelu_random_normal(&random);
            CHECK(s23_objective(&p, m, NULL, l1) >= r.dual_bound);
        }
    }
}

TEST(output_bias_makes_the_certificate_conditional) {
    size_t n = 25, d = 2, m = 4, i;
    cvxrelu_problem p = s23_problem(n, d, 1, 0.01);
    cvxrelu_network w = s23_network(m, d, 1);
    cvxrelu_certify_report r, shifted;
    double b2 = 0.7, theta[S23_ROWS];
    s23_make(n, d, 1, m, 9);
    w.b2.data = &b2;
    w.b2.rows = w.b2.cols = 1;
    r = s23_certify(&p, &w, NULL, theta);
    s23_judge(&p, theta, &b2, &r);
    CHECK(r.conditional);
    CHECK_NEAR(r.objective, s23_objective(&p, m, &b2, 0), 1e-12);
    for (i = 0; i < n; i++) s23_Y[i] -= b2;
    w.b2.data = NULL;
    shifted = s23_certify(&p, &w, NULL, NULL);
    CHECK(!shifted.conditional);
    CHECK_NEAR(shifted.dual_bound, r.dual_bound, 1e-9 * r.dual_bound);
}

/* The bias as b1, as the last column of W1, and as a column of ones in X are one network. */
TEST(bias_may_be_given_in_three_ways) {
    size_t n = 30, d = 2, m = 4, i, j;
    cvxrelu_problem p = s23_problem(n, d, 1, 0.01);
    cvxrelu_network w = s23_network(m, d, 1);
    cvxrelu_certify_report a, b, c;
    double wide[S23_ROWS * 3], W1[S23_UNITS * 3];
    s23_make(n, d, 1, m, 11);
    for (j = 0; j < m; j++) {
        s23_b[j] = 0.1 * (double)j - 0.2;
        W1[j * 3] = s23_W1[j * 2];
        W1[j * 3 + 1] = s23_W1[j * 2 + 1];
        W1[j * 3 + 2] = s23_b[j];
    }
    p.no_bias = 0;
    w.b1.data = s23_b;
    w.b1.rows = m;
    w.b1.cols = 1;
    a = s23_certify(&p, &w, NULL, NULL);
    memset(&w.b1, 0, sizeof w.b1);
    w.W1.data = W1;
    w.W1.cols = 3;
    b = s23_certify(&p, &w, NULL, NULL);
    for (i = 0; i < n; i++) {
        wide[i * 3] = s23_X[i * 2];
        wide[i * 3 + 1] = s23_X[i * 2 + 1];
        wide[i * 3 + 2] = 1;
    }
    p.X.data = wide;
    p.X.cols = 3;
    p.no_bias = 1;
    c = s23_certify(&p, &w, NULL, NULL);
    CHECK_NEAR(a.objective, c.objective, 1e-13);
    CHECK(a.objective == b.objective && a.dual_bound == b.dual_bound);
    CHECK_NEAR(a.dual_bound, c.dual_bound, 1e-2 * c.dual_bound);
}

/* A model of a fit in standard scaling: its objective, its proof, the proof checked again. */
TEST(model_keeps_a_proof_that_can_be_checked) {
    size_t n = 40, d = 2, i, classes;
    for (classes = 0; classes <= 3; classes++) {
        cvxrelu_problem p = s23_problem(n, d, 1, 0.01);
        cvxrelu_report *fit = (cvxrelu_report *)malloc(sizeof *fit);
        cvxrelu_certify_report r, again;
        cvxrelu_certify_options how;
        cvxrelu_model *model = NULL;
        if (classes == 1) classes++;
        s23_make(n, d, 1, 0, 15);
        for (i = 0; i < n && classes; i++)
            s23_Y[i] = (s23_Y[i] > 0) + (classes == 3 && s23_Y[i] > 0.8);
        p.kind = CVXRELU_RELU;
        p.no_bias = 0;
        p.search = CVXRELU_SEARCH_OFF;
        p.gates.count = 200;
        p.centre_targets = classes == 0;
        p.task = classes ? CVXRELU_TASK_CLASSES : CVXRELU_TASK_REGRESSION;
        CHECK(cvxrelu_fit(&p, NULL, NULL, &model, fit) == CVXRELU_OK);
        CHECK(cvxrelu_proof_check(model, p.X, p.Y, NULL, NULL, &again)
              == CVXRELU_ERR_UNSUPPORTED);
        CHECK(cvxrelu_model_certify(model, p.X, p.Y, NULL, NULL, &r) == CVXRELU_OK);
        CHECK_NEAR(r.objective, fit->objective, 1e-9 * fit->objective);
        CHECK(r.best_gap <= 0.01 && r.dual_bound <= fit->objective);
        CHECK(r.c == (classes == 3 ? 3 : 1) && r.rank == 3);
        CHECK(cvxrelu_proof_check(model, p.X, p.Y, NULL, NULL, &again) == CVXRELU_OK);
        CHECK_NEAR(again.dual_bound, r.dual_bound, 1e-6 * r.dual_bound);
        CHECK_NEAR(again.objective, fit->objective, 1e-9 * fit->objective);
        CHECK(again.method == r.method && again.rounds == 0);
        memset(&how, 0, sizeof how);
        how.method = CVXRELU_CERTIFY_CONES;
        CHECK(cvxrelu_proof_check(model, p.X, p.Y, NULL, &how, &again) == CVXRELU_OK);
        CHECK_NEAR(again.dual_bound, r.dual_bound, 1e-6 * r.dual_bound);
        for (i = 0; i < n && classes == 0; i++) s23_X[i * d] = -s23_X[i * d] + 0.5 * s23_Y[i];
        CHECK(cvxrelu_proof_check(model, p.X, p.Y, NULL, NULL, &again) == CVXRELU_OK);
        if (classes == 0) CHECK(again.dual_bound < 0.999 * r.dual_bound);
        p.X.rows = p.Y.rows = n - 1;
        CHECK(cvxrelu_proof_check(model, p.X, p.Y, NULL, NULL, &again)
              != CVXRELU_OK);
        cvxrelu_model_free(model);
        free(fit);
    }
}

TEST(stopped_certificate_reports_what_is_proven) {
    size_t n = 40, d = 4, m = 5;
    cvxrelu_problem p = s23_problem(n, d, 1, 1e-2);
    cvxrelu_network w = s23_network(m, d, 1);
    cvxrelu_certify_options how;
    cvxrelu_certify_report full, r, same;
    cvxrelu_options o;
    double theta[S23_ROWS];
    s23_make(n, d, 1, m, 17);
    memset(&how, 0, sizeof how);
    how.method = CVXRELU_CERTIFY_CONES;
    full = s23_certify(&p, &w, &how, NULL);
    CHECK(full.stop == CVXRELU_STOP_GAP && full.nodes > 100);
    how.nodes = 50;
    r = s23_certify(&p, &w, &how, theta);
    s23_judge(&p, theta, NULL, &r);
    CHECK(r.stop == CVXRELU_STOP_ITERATIONS && r.dual_bound < full.best);
    same = s23_certify(&p, &w, &how, NULL);
    CHECK(same.dual_bound == r.dual_bound && same.best == r.best && same.nodes == r.nodes);
    how.rounds = -1;
    r = s23_certify(&p, &w, &how, theta);
    s23_judge(&p, theta, NULL, &r);
    CHECK(r.rounds == 0 && r.best == r.balanced);
    if (!CVXR_HAS_CLOCK) return;
    memset(&o, 0, sizeof o);
    memset(&how, 0, sizeof how);
    o.time_limit = 1e-9;
    CHECK(cvxrelu_certify(&p, &w, &o, &how, theta, &r) == CVXRELU_OK);
    s23_judge(&p, theta, NULL, &r);
    CHECK(r.stop == CVXRELU_STOP_TIME);
}

static void s23_refused(const cvxrelu_problem *p, const cvxrelu_network *w,
                        const cvxrelu_certify_options *how, cvxrelu_result code,
                        const char *word) {
    cvxrelu_certify_report r;
    cvxrelu_result result = cvxrelu_certify(p, w, NULL, how, NULL, &r);
    int named = strstr(r.message, word) != NULL;
    if (result != code || !named) printf("     code %d, \"%s\"\n", (int)result, r.message);
    CHECK(result == code && named);
    CHECK(r.dual_bound == 0 && r.n == 0);
}

TEST(wrong_networks_and_switches_are_refused) {
    cvxrelu_problem good = s23_problem(20, 3, 1, 0.01), p = good;
    cvxrelu_network fine = s23_network(4, 3, 1), w = fine;
    cvxrelu_certify_options how;
    cvxrelu_certify_report r;
    s23_make(20, 3, 1, 4, 2);
    CHECK(cvxrelu_certify(&p, &w, NULL, NULL, NULL, NULL) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_certify(NULL, &w, NULL, NULL, NULL, &r) == CVXRELU_ERR_ARGUMENT);
    w.W1.cols = 2;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_ARGUMENT, "W1");
    w = fine, w.W2.cols = 3;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_ARGUMENT, "W2");
    w = fine, w.W2.data = NULL;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_ARGUMENT, "W2");
    w = fine, w.b1.data = s23_b, w.b1.rows = 4, w.b1.cols = 1;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_ARGUMENT, "bias");
    w = fine, w.b2.data = s23_b, w.b2.rows = 2, w.b2.cols = 1;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_ARGUMENT, "b2");
    w = fine, p.lambda = 0;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_UNSUPPORTED, "lambda");
    p = good, p.penalty = CVXRELU_PENALTY_L1;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_UNSUPPORTED, "penalty");
    p = good;
    memset(&how, 0, sizeof how);
    how.method = CVXRELU_CERTIFY_EXACT;
    s23_refused(&p, &w, &how, CVXRELU_ERR_ARGUMENT, "rank");
    memset(&how, 0, sizeof how);
    how.tol = -1;
    s23_refused(&p, &w, &how, CVXRELU_ERR_ARGUMENT, "tol");
    how.tol = 0, how.max_rank = 9;
    s23_refused(&p, &w, &how, CVXRELU_ERR_ARGUMENT, "max_rank");
    s23_W1[2] = HUGE_VAL;
    s23_refused(&p, &w, NULL, CVXRELU_ERR_NONFINITE, "W1");
}

/* A network without neurons; rows of zeros; all rows equal. */
TEST(empty_problems_have_their_bounds) {
    size_t n = 10, d = 3, i;
    cvxrelu_problem p = s23_problem(n, d, 1, 0.01);
    cvxrelu_network w;
    cvxrelu_certify_report r;
    double theta[S23_ROWS];
    memset(&w, 0, sizeof w);
    s23_make(n, d, 1, 0, 5);
    r = s23_certify(&p, &w, NULL, theta);
    s23_judge(&p, theta, NULL, &r);
    CHECK(r.neurons == 0 && r.best < r.objective && r.best_gap <= 0.01);
    for (i = 0; i < n * d; i++) s23_X[i] = (double)(1 + i % d);
    r = s23_certify(&p, &w, NULL, theta);
    s23_judge(&p, theta, NULL, &r);
    CHECK(r.rank == 1 && r.best_gap <= 0.01);
    memset(s23_X, 0, sizeof s23_X);
    r = s23_certify(&p, &w, NULL, theta);
    s23_judge(&p, theta, NULL, &r);
    CHECK(r.rank == 0);
    CHECK_NEAR(r.dual_bound, r.objective, 1e-14); /* no network does anything */
    memset(s23_Y, 0, sizeof s23_Y);
    r = s23_certify(&p, &w, NULL, theta);
    CHECK(r.objective == 0 && r.dual_bound == 0 && r.gap == 0);
}

TEST(high_rank_is_bounded_by_weights) {
    size_t n = 60, d = 8, m = 6;
    cvxrelu_problem p = s23_problem(n, d, 1, 0.01);
    cvxrelu_network w = s23_network(m, d, 1);
    cvxrelu_certify_report r;
    double theta[S23_ROWS];
    s23_make(n, d, 1, m, 23);
    r = s23_certify(&p, &w, NULL, theta);
    s23_judge(&p, theta, NULL, &r);
    CHECK(r.method == CVXRELU_CERTIFY_WEIGHTED);
    CHECK(r.dual_bound > 0.1 * r.best && r.rounds >= 1);
}

TEST(certify_survives_every_refused_allocation) {
    size_t n = 14, d = 3, m = 3, refuse, tested = 0;
    cvxrelu_problem p = s23_problem(n, d, 1, 0.01);
    cvxrelu_network w = s23_network(m, d, 1);
    cvxrelu_certify_options how;
    cvxrelu_certify_report r;
    cvxrelu_options o;
    s19_heap heap;
    s23_make(n, d, 1, m, 29);
    memset(&o, 0, sizeof o);
    memset(&how, 0, sizeof how);
    how.rounds = 1;
    o.allocator.context = &heap;
    o.allocator.allocate = s19_allocate;
    o.allocator.release = s19_release;
    for (refuse = 1; refuse < 1000; refuse++) {
        cvxrelu_result result;
        how.method = refuse % 2 ? CVXRELU_CERTIFY_ENUMERATE : CVXRELU_CERTIFY_CONES;
        heap.calls = heap.held = 0;
        heap.refuse = refuse;
        result = cvxrelu_certify(&p, &w, &o, &how, NULL, &r);
        CHECK(heap.held == 0);
        if (result == CVXRELU_OK && heap.calls < refuse) break;
        tested += result == CVXRELU_ERR_MEMORY;
    }
    CHECK(tested > 20 && refuse < 1000);
}

/* Every kernel of the certificate is the baseline's, those of the cones too. */
TEST(portable_pins_the_kernels_of_cones) {
    cvxrelu_problem p = s23_problem(20, 3, 1, 0.01);
    const cvxrelu_network w = s23_network(3, 3, 1);
    int portable;
    s23_make(20, 3, 1, 3, 31);
    for (portable = 0; portable < 2; portable++) {
        cvxrelu_certify_options how;
        cvxrelu_certify_report r;
        cvxrelu_options o;
        cvxr_sieve s;
        memset(&o, 0, sizeof o);
        memset(&how, 0, sizeof how);
        o.portable = portable;
        how.method = CVXRELU_CERTIFY_ENUMERATE;
        CHECK(cvxr_sieve_begin(&s, &o, &how, &r) == CVXRELU_OK);
        CHECK(cvxr_sieve_data(&s, &p, r.message) == CVXRELU_OK);
        CHECK(cvxr_judged_open(&s.net, &s.mem, 3, 1, s.data.dp));
        cvxr_network_take(&w, &s.data, &s.net);
        CHECK(cvxr_sieve_open(&s, r.message) == CVXRELU_OK);
        CHECK(s.cone_open && s.cone.la.portable == portable && s.la.portable == portable);
        CHECK(cvxr_sieve_end(&s, CVXRELU_OK) == CVXRELU_OK);
    }
}

/* Rows of the identity: the gauge is ||y+|| + ||y-||, with one neuron a side. */
TEST(least_norm_interpolation_meets_the_neural_gauge) {
    size_t n = 5, i, j;
    cvxrelu_problem p = s23_problem(n, n, 1, 1);
    cvxrelu_gauge_report r;
    cvxrelu_model *model = NULL;
    double plus = 0, minus = 0;
    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) s23_X[i * n + j] = i == j;
        s23_Y[i] = i % 2 ? -1.0 - (double)i : 2;
        if (i % 2) minus += s23_Y[i] * s23_Y[i];
        else plus += s23_Y[i] * s23_Y[i];
    }
    p.kind = CVXRELU_RELU;
    p.scale = CVXRELU_SCALE_NONE;
    p.search = CVXRELU_SEARCH_OFF;
    p.gates.count = 500; /* all 31 patterns, nearly surely */
    CHECK(cvxrelu_interpolate(&p, NULL, 0, &model, &r) == CVXRELU_OK);
    CHECK(r.reached && r.residual <= 1e-6);
    CHECK_NEAR(r.norm, sqrt(plus) + sqrt(minus), 1e-5 * r.norm);
    CHECK_NEAR(r.bound, sqrt(plus) + sqrt(minus), 2e-5 * r.norm);
    CHECK(r.method == CVXRELU_CERTIFY_ENUMERATE);
    cvxrelu_model_free(model);
    for (j = 0; j < n; j++) s23_X[j] = s23_X[n + j]; /* equal rows, different targets */
    CHECK(cvxrelu_interpolate(&p, NULL, 0, &model, &r) == CVXRELU_OK);
    CHECK(!r.reached && r.residual > 0.1);
    cvxrelu_model_free(model);
    p.kind = CVXRELU_GATED;
    CHECK(cvxrelu_interpolate(&p, NULL, 0, &model, &r) == CVXRELU_ERR_UNSUPPORTED);
    CHECK(model == NULL);
    p.kind = CVXRELU_RELU;
    CHECK(cvxrelu_interpolate(&p, NULL, -1, &model, &r) == CVXRELU_ERR_ARGUMENT);
}

/* ---- The moment relaxation */

TEST(moments_lie_between_the_weighted_bound_and_the_optimum) {
    size_t seed;
    for (seed = 0; seed < 6; seed++) {
        size_t n = 12 + 4 * (seed % 3), d = 2 + seed % 2, m = 5;
        cvxrelu_problem p = s23_problem(n, d, 1, seed < 3 ? 1e-2 : 1e-3);
        cvxrelu_network w = s23_network(m, d, 1);
        cvxrelu_certify_options how;
        cvxrelu_certify_report exact, weak, r;
        double theta[S23_ROWS];
        s23_make(n, d, 1, m, 60 + seed);
        memset(&how, 0, sizeof how);
        how.tol = 1e-6;
        how.method = d == 2 ? CVXRELU_CERTIFY_EXACT : CVXRELU_CERTIFY_ENUMERATE;
        exact = s23_certify(&p, &w, &how, NULL);
        CHECK(exact.best_gap <= 1e-6);
        how.method = CVXRELU_CERTIFY_WEIGHTED;
        weak = s23_certify(&p, &w, &how, NULL);
        how.method = CVXRELU_CERTIFY_MOMENTS;
        how.iterations = 150;
        r = s23_certify(&p, &w, &how, theta);
        s23_judge(&p, theta, NULL, &r);
        CHECK(r.method == CVXRELU_CERTIFY_MOMENTS && r.stop == CVXRELU_STOP_ITERATIONS);
        CHECK(r.dual_bound <= exact.best);
        CHECK(r.dual_bound > weak.dual_bound);
        how.iterations = 1; /* never below the weighted bound */
        r = s23_certify(&p, &w, &how, theta);
        s23_judge(&p, theta, NULL, &r);
        CHECK(r.dual_bound >= weak.dual_bound * (1 - 1e-9));
        how.rounds = -1; /* from the network itself */
        how.iterations = 40;
        r = s23_certify(&p, &w, &how, theta);
        s23_judge(&p, theta, NULL, &r);
        CHECK(r.rounds == 0 && r.dual_bound <= exact.best);
    }
}

TEST(model_keeps_moments_that_can_be_checked) {
    size_t outputs;
    for (outputs = 1; outputs <= 3; outputs += 2) {
        size_t n = 16, d = 3, size = 0;
        cvxrelu_problem p = s23_problem(n, d, outputs, 2e-3);
        cvxrelu_report *fit = (cvxrelu_report *)malloc(sizeof *fit);
        cvxrelu_certify_report r, again, weak;
        cvxrelu_certify_options how;
        cvxrelu_model *model = NULL, *loaded = NULL;
        unsigned char *bytes;
        s23_make(n, d, outputs, 0, 18);
        p.kind = CVXRELU_RELU;
        p.no_bias = 0;
        p.search = CVXRELU_SEARCH_OFF;
        p.gates.count = 200;
        CHECK(cvxrelu_fit(&p, NULL, NULL, &model, fit) == CVXRELU_OK);
        memset(&how, 0, sizeof how);
        how.method = CVXRELU_CERTIFY_MOMENTS;
        how.iterations = 120;
        CHECK(cvxrelu_model_certify(model, p.X, p.Y, NULL, &how, &r) == CVXRELU_OK);
        CHECK(r.method == CVXRELU_CERTIFY_MOMENTS && r.dual_bound <= fit->objective);
        CHECK(cvxrelu_model_write(model, 0, NULL, &size) == CVXRELU_OK);
        bytes = (unsigned char *)malloc(size);
        CHECK(cvxrelu_model_write(model, 0, bytes, &size) == CVXRELU_OK);
        CHECK(cvxrelu_model_read(bytes, size, NULL, &loaded, NULL) == CVXRELU_OK);
        CHECK(cvxrelu_proof_check(loaded, p.X, p.Y, NULL, NULL, &again) == CVXRELU_OK);
        CHECK_NEAR(again.dual_bound, r.dual_bound, 1e-8 * r.dual_bound);
        CHECK(again.method == r.method && again.rounds == 0);
        how.method = CVXRELU_CERTIFY_WEIGHTED; /* the same theta without its multipliers */
        CHECK(cvxrelu_proof_check(loaded, p.X, p.Y, NULL, &how, &weak) == CVXRELU_OK);
        CHECK(weak.dual_bound < again.dual_bound && weak.dual_bound > 0);
        how.method = CVXRELU_CERTIFY_CONES; /* true by another proof */
        CHECK(cvxrelu_proof_check(loaded, p.X, p.Y, NULL, &how, &weak) == CVXRELU_OK);
        CHECK(weak.dual_bound >= again.dual_bound * (1 - 1e-6));
        s23_X[0] += 1; /* other data: what is left is true, and less */
        CHECK(cvxrelu_proof_check(loaded, p.X, p.Y, NULL, NULL, &weak) == CVXRELU_OK);
        CHECK(weak.dual_bound < again.dual_bound);
        cvxrelu_model_free(loaded);
        cvxrelu_model_free(model);
        free(bytes);
        free(fit);
    }
}

static int s23_enough(void *user, const cvxrelu_progress *p) {
    int *left = (int *)user;
    CHECK(p->dual_bound <= p->objective && p->iteration >= 1);
    return --*left == 0;
}

TEST(moments_stop_when_asked_and_refuse_what_does_not_fit) {
    size_t n = 20, d = 3, m = 4, refuse, tested = 0, peak;
    cvxrelu_problem p = s23_problem(n, d, 3, 0.01);
    cvxrelu_network w = s23_network(m, d, 3);
    cvxrelu_certify_options how;
    cvxrelu_certify_report r;
    cvxrelu_options o;
    s19_heap heap;
    double *wide, theta[S23_ROWS];
    int left = 5;
    s23_make(n, d, 3, m, 31);
    memset(&how, 0, sizeof how);
    memset(&o, 0, sizeof o);
    how.method = CVXRELU_CERTIFY_MOMENTS;
    s23_refused(&p, &w, &how, CVXRELU_ERR_UNSUPPORTED, "l1");
    how.iterations = -1;
    s23_refused(&p, &w, &how, CVXRELU_ERR_ARGUMENT, "iterations");
    how.iterations = 50, how.rounds = 1, how.tol = 1e-6;
    p = s23_problem(n, d, 1, 0.01), w = s23_network(m, d, 1);
    o.progress = s23_enough, o.progress_user = &left;
    CHECK(cvxrelu_certify(&p, &w, &o, &how, theta, &r) == CVXRELU_OK);
    CHECK(left == 0 && r.stop == CVXRELU_STOP_USER);
    s23_judge(&p, theta, NULL, &r);
    peak = r.peak_bytes;
    o.progress = NULL, o.memory_limit = 6 * 44 * 44 * 8; /* N = 1 + 3 + 40 */
    CHECK(peak > o.memory_limit);
    CHECK(cvxrelu_certify(&p, &w, &o, &how, NULL, &r) == CVXRELU_ERR_LIMIT);
    o.memory_limit = 0;
    wide = (double *)calloc(2050, sizeof(double));
    p.X.data = p.Y.data = wide, p.X.rows = p.Y.rows = 2050, p.X.cols = 1;
    w = s23_network(0, 1, 1), w.W1.data = NULL, w.W2.data = NULL;
    s23_refused(&p, &w, &how, CVXRELU_ERR_ARGUMENT, "2048");
    free(wide);
    p = s23_problem(n, d, 1, 0.01), w = s23_network(m, d, 1);
    how.iterations = 3;
    o.allocator.context = &heap;
    o.allocator.allocate = s19_allocate;
    o.allocator.release = s19_release;
    for (refuse = 1; refuse < 1000; refuse++) {
        cvxrelu_result result;
        heap.calls = heap.held = 0;
        heap.refuse = refuse;
        result = cvxrelu_certify(&p, &w, &o, &how, NULL, &r);
        CHECK(heap.held == 0);
        if (result == CVXRELU_OK && heap.calls < refuse) break;
        tested += result == CVXRELU_ERR_MEMORY;
    }
    CHECK(tested > 10 && refuse < 1000);
}

SUITE(s23_certify) {
    RUN(optimum_of_orthogonal_rows_is_proven_by_every_method);
    RUN(bounds_enclose_the_optimum_over_all_patterns);
    RUN(several_outputs_are_bounded_under_either_penalty);
    RUN(output_bias_makes_the_certificate_conditional);
    RUN(bias_may_be_given_in_three_ways);
    RUN(model_keeps_a_proof_that_can_be_checked);
    RUN(stopped_certificate_reports_what_is_proven);
    RUN(wrong_networks_and_switches_are_refused);
    RUN(empty_problems_have_their_bounds);
    RUN(high_rank_is_bounded_by_weights);
    RUN(certify_survives_every_refused_allocation);
    RUN(portable_pins_the_kernels_of_cones);
    RUN(least_norm_interpolation_meets_the_neural_gauge);
    RUN(moments_lie_between_the_weighted_bound_and_the_optimum);
    RUN(model_keeps_moments_that_can_be_checked);
    RUN(moments_stop_when_asked_and_refuse_what_does_not_fit);
}
