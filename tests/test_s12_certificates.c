/* Tests of S12 CERTIFICATES. Included by test_main.c after test_s06_data.c and test_s10_prox.c.
   s12_evaluate computes everything from the definitions with plain loops over X, Y and the bits
   of the patterns; it is the truth for S13 too. Weights are dense: c x P x d, unpadded.     */

enum { S12_N = 90, S12_D = 5, S12_C = 3, S12_P = 600, S12_SIZE = S12_C * S12_P * S12_D };
static double s12_X[S12_N * S12_D], s12_Y[S12_N * S12_C], s12_U[S12_SIZE];

/* The first n rows and c columns of: a kinked function of X and noise. Scaling and bias off. */
static cvxrelu_problem s12_problem(size_t n, size_t d, size_t c, size_t P,
                                   cvxrelu_penalty penalty) {
    cvxrelu_problem p;
    cvxrelu_random random;
    size_t i, k;
    cvxrelu_random_init(&random, 11);
    for (i = 0; i < n * d; i++) s12_X[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++)
        for (k = 0; k < c; k++)
            s12_Y[i * c + k] = fabs(s12_X[i * d + k % d]) - 0.5 * s12_X[i * d] +
                               0.3 * cvxrelu_random_normal(&random);
    p = s06_problem(s12_X, n, d, s12_Y, c);
    p.penalty = penalty;
    p.scale = CVXRELU_SCALE_NONE;
    p.no_bias = 1;
    p.gates.count = P;
    return p;
}

/* Data, patterns and the workspace of a fit at one strength, without solving. */
static void s12_open(cvxr_fit *f, const cvxrelu_problem *p, const cvxrelu_options *options,
                     double lambda, cvxrelu_report *report) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    o.solver = CVXRELU_SOLVER_FISTA;
    memset(report, 0, sizeof *report);
    CHECK(cvxr_fit_open(f, p, &o, 0, report) == CVXRELU_OK);
    f->core.lambda = lambda;
    f->core.lam = lambda * f->core.units;
}

static void s12_close(cvxr_fit *f) {
    cvxr_fit_close(f);
    CHECK(f->mem.now == 0);
}

static size_t s12_active(const cvxr_fit *f, size_t p, size_t i) {
    return s08_bit(f->patterns.bits + p * f->patterns.words, i);
}

/* z = sum_p D_p X u_p of one output. */
static void s12_forward(const cvxr_fit *f, const double *U, double *z) {
    const size_t n = f->data.n, d = f->data.d;
    size_t p, i, j;
    for (i = 0; i < n; i++) z[i] = 0;
    for (p = 0; p < f->patterns.count; p++)
        for (i = 0; i < n; i++)
            for (j = 0; s12_active(f, p, i) && j < d; j++)
                z[i] += f->data.X[i * f->data.dp + j] * U[p * d + j];
}

/* G = X^T D_p theta, P x d. */
static void s12_gradient(const cvxr_fit *f, const double *theta, double *G) {
    const size_t n = f->data.n, d = f->data.d;
    size_t p, i, j;
    for (i = 0; i < f->patterns.count * d; i++) G[i] = 0;
    for (p = 0; p < f->patterns.count; p++)
        for (i = 0; i < n; i++)
            for (j = 0; s12_active(f, p, i) && j < d; j++)
                G[p * d + j] += f->data.X[i * f->data.dp + j] * theta[i];
}

static double s12_dot(size_t n, const double *a, const double *b) {
    double sum = 0;
    size_t i;
    for (i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* In the units of the objective. `dual` is the value of the scaled dual point, not clamped;
   size is the sum of the absolute values behind it, for tolerances. */
typedef struct s12_truth {
    double objective, dual, most, subgradient, stationarity, size;
    size_t active;
} s12_truth;

static double s12_z[S12_N], s12_theta[S12_N], s12_G[S12_P * S12_D];

/* The share of output k: 1/2 ||z - y||^2 + lam R(u), and y.t - t.t/2 at t = s theta inside the
   dual ball; for the squared l2 penalty y.t - t.t/2 - ||A^T t||^2 / (2 lam) at t = theta. */
static void s12_output(const cvxr_fit *f, double lam, const double *U, size_t k, s12_truth *t) {
    const cvxrelu_penalty penalty = f->problem.penalty;
    const size_t n = f->data.n, d = f->data.d, P = f->patterns.count;
    const double *y = f->data.Y + k * n;
    double most, s = 1, yt, tt, xx = 0, norm = 0;
    size_t i, p;
    s12_forward(f, U, s12_z);
    for (i = 0; i < n; i++) s12_theta[i] = y[i] - s12_z[i];
    s12_gradient(f, s12_theta, s12_G);
    yt = s12_dot(n, y, s12_theta), tt = s12_dot(n, s12_theta, s12_theta);
    most = s10_dual_norm(penalty, P, d, s12_G);
    if (penalty != CVXRELU_PENALTY_L2 && most > lam) s = lam / most;
    t->objective += 0.5 * tt + lam * s10_value(penalty, P, d, U);
    t->dual += s * yt - 0.5 * s * s * tt;
    if (penalty == CVXRELU_PENALTY_L2) t->dual -= s12_dot(P * d, s12_G, s12_G) / (2 * lam);
    t->subgradient += s10_subgradient(penalty, P, d, U, s12_G, lam);
    t->most = cvxr_max(t->most, most);
    t->size += fabs(yt) + tt;
    for (p = 0; p < P; p++) {
        norm = cvxr_max(norm, sqrt(s12_dot(d, s12_G + p * d, s12_G + p * d)));
        t->active += s12_dot(d, U + p * d, U + p * d) > 0;
    }
    for (i = 0; i < n; i++) {
        const double *x = f->data.X + i * f->data.dp;
        xx += s12_dot(d, x, x);
    }
    t->stationarity = cvxr_max(t->stationarity, norm / sqrt(xx * s12_dot(n, y, y)));
}

static s12_truth s12_evaluate(const cvxr_fit *f, double lambda, const double *U) {
    const double units = (double)f->data.n * (double)f->data.c;
    s12_truth t;
    size_t k;
    memset(&t, 0, sizeof t);
    for (k = 0; k < f->data.c; k++)
        s12_output(f, lambda * units, U + k * f->patterns.count * f->data.d, k, &t);
    t.objective /= units;
    t.dual /= units;
    t.size /= units;
    t.subgradient /= units * units;
    return t;
}

/* Every 13th group and the edges of the panels of 256, into f->start and s12_U. */
static void s12_weights(cvxr_fit *f, double scale) {
    const size_t P = f->patterns.count, d = f->data.d;
    cvxr_weights *w = &f->start;
    cvxrelu_random random;
    size_t k, p, j;
    cvxrelu_random_init(&random, 12);
    memset(s12_U, 0, sizeof s12_U);
    w->m = 0;
    for (k = 0; k < f->data.c; k++)
        for (p = 0; p < P; p++) {
            double *u = w->u + w->m * w->dp, *dense = s12_U + (k * P + p) * d;
            if (p % 13 != k && p != 0 && p != 255 && p != 256 && p != P - 1) continue;
            memset(u, 0, w->dp * sizeof(double));
            for (j = 0; j < d; j++)
                u[j] = dense[j] = p % 2 && j % 2 ? 0 : scale * cvxrelu_random_normal(&random);
            w->output[w->m] = k;
            w->pattern[w->m++] = p;
        }
}

/* Predictions sum up to P d products a row and the norms n P d: 4000 roundings of what the
   objective is made of cover both. */
static void s12_compare(const cvxr_certificate *got, const s12_truth *want) {
    const double by = 4000 * DBL_EPSILON, size = want->size + want->objective;
    CHECK(got->active == want->active);
    CHECK_NEAR(got->objective, want->objective, by * want->objective);
    CHECK_NEAR(got->dual_bound, cvxr_max(0, want->dual), by * size);
    CHECK_NEAR(got->gradient_max, want->most, by * want->most);
    CHECK_NEAR(got->subgradient, want->subgradient, by * want->subgradient);
    CHECK(got->gap >= 0 && got->dual_bound <= got->objective);
    if (want->dual > 0)
        CHECK_NEAR(got->gap * got->objective, want->objective - want->dual, by * size);
}

TEST(certificate_of_random_weights_is_that_of_the_definition) {
    static const double scales[4] = { 0, 1e-3, 0.1, 10 };
    size_t run, s;
    for (run = 0; run < 8; run++) {
        cvxrelu_report report;
        const double lambda = run < 4 ? 0.01 : 0.2;
        cvxrelu_problem p = s12_problem(S12_N, S12_D, run / 4 ? S12_C : 1, S12_P,
                                        s10_penalties[run % 4]);
        cvxr_fit f;
        s12_open(&f, &p, NULL, lambda, &report);
        CHECK(f.patterns.count > 2 * CVXR_BLOCK);
        for (s = 0; s < 4; s++) {
            cvxr_certificate got;
            s12_truth want;
            s12_weights(&f, scales[s]);
            if (scales[s] == 0) f.start.m = 0;
            cvxr_certify(&f.core, &f.start, &got);
            want = s12_evaluate(&f, lambda, s12_U);
            s12_compare(&got, &want);
        }
        s12_close(&f);
    }
}

/* As the interface states it: (objective - dual_bound) / objective. */
TEST(relative_gap_is_that_of_objective_and_bound) {
    size_t run;
    for (run = 0; run < 12; run++) {
        static const double scales[3] = { 1e-3, 1, 100 };
        cvxrelu_report report;
        cvxrelu_problem p = s12_problem(S12_N, S12_D, 1, 40, s10_penalties[run % 4]);
        cvxr_certificate got;
        cvxr_fit f;
        s12_open(&f, &p, NULL, 0.01, &report);
        s12_weights(&f, scales[run / 4]);
        cvxr_certify(&f.core, &f.start, &got);
        CHECK_NEAR(got.gap, (got.objective - got.dual_bound) / got.objective, 1e-12);
        s12_close(&f);
    }
}

TEST(stationarity_is_the_largest_pattern_gradient_for_every_penalty) {
    size_t k;
    for (k = 0; k < 4; k++) {
        cvxrelu_report report;
        cvxrelu_problem p = s12_problem(S12_N, S12_D, 2, 40, s10_penalties[k]);
        cvxr_certificate got;
        cvxr_fit f;
        s12_open(&f, &p, NULL, 0.01, &report);
        s12_weights(&f, 0.1);
        cvxr_certify(&f.core, &f.start, &got);
        CHECK_NEAR(got.stationarity, s12_evaluate(&f, 0.01, s12_U).stationarity, 1e-12);
        s12_close(&f);
    }
}

/* Rows of a dense array of either work type give the certificate of the same sorted rows. */
TEST(certificate_of_dense_rows_is_that_of_sorted_rows) {
    size_t type, i, k;
    cvxrelu_report report;
    cvxrelu_problem p = s12_problem(S12_N, S12_D, 2, S12_P, CVXRELU_PENALTY_NEURON);
    cvxr_fit f;
    s12_open(&f, &p, NULL, 0.02, &report);
    s12_weights(&f, 0.1);
    for (i = 0; i < f.start.m * f.start.dp; i++)
        f.start.u[i] = (double)(float)f.start.u[i];
    for (type = 0; type < S08_TYPES; type++) {
        const cvxr_space *space = s08_spaces[type];
        const size_t P = f.patterns.count, ld = 16, d = S12_D, bytes = 2 * P * ld * space->size;
        unsigned char *dense = (unsigned char *)cvxr_alloc_zero(&f.mem, bytes, 1);
        cvxr_certificate sorted, got;
        for (i = 0; i < f.start.m; i++)
            space->from_f64(d, f.start.u + i * f.start.dp, dense +
                (f.start.output[i] * P + f.start.pattern[i]) * ld * space->size);
        cvxr_certify(&f.core, &f.start, &sorted);
        memset(&got, 0, sizeof got);
        f.core.space = space, f.core.op_work.dp = ld;
        for (k = 0; k < 2; k++) {
            cvxr_rows rows;
            memset(&rows, 0, sizeof rows);
            rows.dense = dense + k * P * ld * space->size;
            cvxr_certify_output(&f.core, &rows, k, &got);
        }
        cvxr_certificate_end(&f.core, &got);
        CHECK(memcmp(&got, &sorted, sizeof got) == 0);
        cvxr_release(&f.mem, dense, bytes, 1);
    }
    s12_close(&f);
}

/* Interpolation and y = 0: objective = bound = 0 and gap 0, without a division by zero. */
TEST(gap_of_a_zero_objective_is_zero) {
    cvxrelu_report report;
    cvxrelu_problem p = s12_problem(S12_N, S12_D, 1, 40, CVXRELU_PENALTY_NEURON);
    cvxr_certificate got;
    cvxr_fit f;
    memset(s12_Y, 0, sizeof s12_Y);
    s12_open(&f, &p, NULL, 0.01, &report);
    f.start.m = 0;
    cvxr_certify(&f.core, &f.start, &got);
    CHECK(got.objective == 0 && got.dual_bound == 0 && got.gap == 0 && got.subgradient == 0);
    CHECK(got.stationarity == 0 && got.active == 0);
    CHECK(cvxr_lambda_max(&f.core) == 0);
    s12_close(&f);
}

TEST(lambda_max_is_where_the_zero_network_stops_being_optimal) {
    size_t run, k;
    for (run = 0; run < 6; run++) {
        const cvxrelu_penalty penalty = s10_penalties[run % 3];
        cvxrelu_problem p = s12_problem(S12_N, S12_D, run / 3 ? S12_C : 1, S12_P, penalty);
        cvxrelu_report report;
        cvxr_certificate got;
        cvxr_fit f;
        double most = 0, lambda_max;
        s12_open(&f, &p, NULL, 1, &report);
        for (k = 0; k < f.data.c; k++) {
            s12_gradient(&f, f.data.Y + k * S12_N, s12_G);
            most = cvxr_max(most, s10_dual_norm(penalty, f.patterns.count, S12_D, s12_G));
        }
        lambda_max = cvxr_lambda_max(&f.core);
        CHECK_NEAR(lambda_max / (most / f.core.units), 1, 1000 * DBL_EPSILON);
        f.start.m = 0;
        f.core.lam = 1.0001 * lambda_max * f.core.units;
        cvxr_certify(&f.core, &f.start, &got);
        CHECK(got.gap == 0 && got.subgradient == 0 && got.dual_bound == got.objective);
        f.core.lam = 0.999 * lambda_max * f.core.units;
        cvxr_certify(&f.core, &f.start, &got);
        CHECK(got.gap > 1e-8 && got.subgradient > 0);     /* (1 - s)^2 = 1e-6 of one output */
        s12_close(&f);
    }
}

TEST(fit_gives_the_zero_network_just_above_lambda_max_and_not_below) {
    size_t k;
    for (k = 0; k < 3; k++) {
        cvxrelu_problem p = s12_problem(40, 4, 2, 30, s10_penalties[k]);
        cvxrelu_options o;
        cvxrelu_model *model = NULL;
        cvxrelu_report report;
        double lambda_max = 0;
        memset(&o, 0, sizeof o);
        o.solver = CVXRELU_SOLVER_FISTA;
        o.tol = 1e-12;
        CHECK(cvxrelu_lambda_max(&p, &o, &lambda_max, report.message) == CVXRELU_OK);
        p.lambda = 1.0001 * lambda_max;
        CHECK(cvxrelu_fit(&p, &o, NULL, &model, &report) == CVXRELU_OK);
        CHECK(report.neurons == 0 && report.gap == 0 && report.stop == CVXRELU_STOP_GAP);
        CHECK(report.lambda_max == lambda_max);
        cvxrelu_model_free(model);
        p.lambda = 0.999 * lambda_max;
        CHECK(cvxrelu_fit(&p, &o, NULL, &model, &report) == CVXRELU_OK);
        CHECK(report.neurons > 0 && report.stop == CVXRELU_STOP_GAP);
        cvxrelu_model_free(model);
    }
}

TEST(squared_l2_has_no_lambda_max) {
    cvxrelu_problem p = s12_problem(40, 4, 1, 30, CVXRELU_PENALTY_L2);
    char message[CVXRELU_MESSAGE_SIZE];
    double lambda_max = -1;
    CHECK(cvxrelu_lambda_max(&p, NULL, &lambda_max, message) == CVXRELU_OK && lambda_max == 0);
}

TEST(rows_of_an_output_are_found_in_sorted_weights) {
    cvxr_mem mem;
    cvxr_weights w;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_weights_open(&mem, &w, 5, 8));
    CHECK(mem.now == cvxr_weights_bytes(5, 8));
    w.m = 3;
    w.output[0] = 1, w.output[1] = 1, w.output[2] = 3;
    w.pattern[0] = 4, w.pattern[1] = 9, w.pattern[2] = 0;
    CHECK(cvxr_weights_rows(&w, 0).m == 0 && cvxr_weights_rows(&w, 2).m == 0);
    CHECK(cvxr_weights_rows(&w, 1).m == 2 && cvxr_weights_rows(&w, 1).pattern[1] == 9);
    CHECK(cvxr_weights_rows(&w, 3).m == 1 && cvxr_weights_rows(&w, 3).u == w.u + 16);
    cvxr_weights_close(&mem, &w);
    CHECK(mem.now == 0);
}

TEST(workspace_takes_the_bytes_that_were_planned) {
    cvxrelu_problem p = s12_problem(40, 4, 2, 30, CVXRELU_PENALTY_NEURON);
    cvxrelu_report report;
    cvxr_core core;
    cvxr_fit f;
    cvxr_mem mem;
    s12_open(&f, &p, NULL, 1, &report);
    core = f.core;
    cvxr_mem_init(&mem, NULL, 0);
    core.mem = &mem;
    CHECK(cvxr_core_open(&core) && mem.now == cvxr_core_bytes(40, 8, 1));
    cvxr_core_close(&core);
    CHECK(mem.now == 0);
    s12_close(&f);
}

SUITE(s12_certificates) {
    RUN(certificate_of_random_weights_is_that_of_the_definition);
    RUN(relative_gap_is_that_of_objective_and_bound);
    RUN(stationarity_is_the_largest_pattern_gradient_for_every_penalty);
    RUN(certificate_of_dense_rows_is_that_of_sorted_rows);
    RUN(gap_of_a_zero_objective_is_zero);
    RUN(lambda_max_is_where_the_zero_network_stops_being_optimal);
    RUN(fit_gives_the_zero_network_just_above_lambda_max_and_not_below);
    RUN(squared_l2_has_no_lambda_max);
    RUN(rows_of_an_output_are_found_in_sorted_weights);
    RUN(workspace_takes_the_bytes_that_were_planned);
}
