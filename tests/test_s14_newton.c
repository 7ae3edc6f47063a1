/* Tests of S14 CERTIFIED NEWTON. Included by test_main.c; test_s22_fit.c uses the problems and
   the judge made here. */

#define S14_COUNT(array) (sizeof(array) / sizeof(array)[0])
static double s14_X[1000 * 20], s14_Y[4000], s14_gates[800 * 8];

static void s14_normals(cvxrelu_random *random, size_t count, double *out) {
    size_t i;
    for (i = 0; i < count; i++) out[i] = cvxrelu_random_normal(random);
}

/* n gaussian rows, c noisy targets that a few ReLU neurons made; unit scale, no bias. */
static cvxrelu_problem s14_problem(size_t n, size_t d, size_t c, size_t patterns) {
    cvxrelu_random random;
    cvxrelu_problem p;
    double w[64];
    size_t i, j, k, q;
    if (n * d > S14_COUNT(s14_X) || n * c > S14_COUNT(s14_Y) || d > S14_COUNT(w)) abort();
    cvxrelu_random_init(&random, 1000 * n + 10 * d + c);
    s14_normals(&random, n * d, s14_X);
    s14_normals(&random, n * c, s14_Y);
    for (i = 0; i < n * c; i++) s14_Y[i] *= 0.1;
    for (q = 0; q < 4 * c; q++) {
        s14_normals(&random, d, w);
        for (i = 0; i < n; i++) {
            double z = 0;
            for (j = 0; j < d; j++) z += w[j] * s14_X[i * d + j];
            for (k = q % c; z > 0 && k < c; k += c) s14_Y[i * c + k] += q % 2 ? z : -z;
        }
    }
    memset(&p, 0, sizeof p);
    p.X.data = s14_X, p.X.rows = n, p.X.cols = d;
    p.Y.data = s14_Y, p.Y.rows = n, p.Y.cols = c;
    p.scale = CVXRELU_SCALE_UNIT;
    p.no_bias = 1;
    p.gates.count = patterns;
    return p;
}

static cvxrelu_options s14_options(cvxrelu_solver solver, double tol) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    o.solver = solver;
    o.tol = tol;
    return o;
}

static double s14_lambda_max(const cvxrelu_problem *p) {
    double most = 0;
    char message[CVXRELU_MESSAGE_SIZE] = "";
    CHECK(cvxrelu_lambda_max(p, NULL, &most, message) == CVXRELU_OK);
    CHECK_TEXT(message, "");
    return most;
}

/* NULL when the fit failed; the message is then printed. */
static cvxrelu_model *s14_fit(const cvxrelu_problem *p, const cvxrelu_options *o,
                              cvxrelu_report *report) {
    cvxrelu_model *model = NULL;
    cvxrelu_result result = cvxrelu_fit(p, o, NULL, &model, report);
    CHECK(result == CVXRELU_OK && model != NULL);
    if (result) CHECK_TEXT(report->message, "");
    return model;
}

/* ---- The judge: objective, dual bound and KKT residual of a model by plain loops. */

typedef struct s14_truth {
    double objective, bound, gap;
    double scale;            /* ||Y||^2 / (2 n c): the bound is a difference of two such */
    double active, inactive; /* largest KKT residual of a neuron, and excess of a zero group,
                                    relative to lambda n c */
    double penalty;          /* sum of ||u|| */
    size_t neurons;
} s14_truth;

/* One output: z its predictions, theta its residual, g one gradient group. */
static void s14_judge_output(const cvxr_data *data, const double *U, const double *G, size_t P,
                             const double *y, double lam, s14_truth *t) {
    const size_t n = data->n, d = data->d;
    double *z = (double *)calloc(3 * n + d, sizeof(double)), *r = z + n, *on = r + n,
           *g = on + n;
    double most = 0, s, yy = 0, left = 0;
    size_t i, j, p, pass;
    for (pass = 0; pass < 2; pass++) {
        for (i = 0; i < n; i++) r[i] = y[i] - z[i];
        for (p = 0; p < P; p++) {
            const double *u = U + p * d;
            double norm = 0, size = 0, off = 0;
            for (j = 0; j < d; j++) norm += u[j] * u[j], g[j] = 0;
            norm = sqrt(norm);
            if (pass == 0 && norm == 0) continue;
            for (i = 0; i < n; i++) {
                const double *x = data->X + i * data->dp;
                double gate = 0;
                for (j = 0; j < d; j++) gate += x[j] * G[p * d + j];
                for (j = 0; gate >= 0 && j < d; j++)
                    z[i] += pass ? 0 : x[j] * u[j], g[j] += x[j] * r[i];
            }
            if (pass == 0) continue;
            for (j = 0; j < d; j++) size += g[j] * g[j];
            size = sqrt(size);
            most = size > most ? size : most;
            t->penalty += norm;
            t->neurons += norm > 0;
            for (j = 0; norm > 0 && j < d; j++)
                off += (g[j] - lam * u[j] / norm) * (g[j] - lam * u[j] / norm);
            if (norm > 0) t->objective += lam * norm;
            if (norm > 0 && lam > 0) t->active = cvxr_max(t->active, sqrt(off) / lam);
            if (norm == 0 && lam > 0) t->inactive = cvxr_max(t->inactive, size / lam - 1);
        }
    }
    s = most > lam ? lam / most : 1;
    for (i = 0; i < n; i++) {
        t->objective += 0.5 * r[i] * r[i];
        yy += y[i] * y[i];
        left += (y[i] - s * r[i]) * (y[i] - s * r[i]);
    }
    t->bound += 0.5 * (yy - left);
    t->scale += 0.5 * yy;
    free(z);
}

static s14_truth s14_judge(const cvxrelu_problem *p, const cvxrelu_model *model,
                           double lambda) {
    s14_truth t;
    cvxr_mem mem;
    cvxr_data data;
    cvxrelu_model_info info;
    char message[CVXRELU_MESSAGE_SIZE];
    double *U, *G, units;
    size_t k;
    memset(&t, 0, sizeof t);
    if (model == NULL) return t;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, p, &data, message) == CVXRELU_OK);
    cvxrelu_model_get_info(model, &info);
    U = (double *)malloc((data.c + 1) * info.patterns * data.d * sizeof(double));
    G = U + data.c * info.patterns * data.d;
    CHECK(cvxrelu_model_convex(model, U, NULL, G) == CVXRELU_OK);
    units = (double)data.n * (double)data.c;
    for (k = 0; k < data.c; k++)
        s14_judge_output(&data, U + k * info.patterns * data.d, G, info.patterns,
                         data.Y + k * data.n, lambda * units, &t);
    t.objective /= units, t.bound /= units, t.scale /= units;
    t.gap = t.objective > 0 ? (t.objective - t.bound) / t.objective : 0;
    free(U);
    cvxr_data_free(&mem, &data);
    return t;
}

/* What the report says about the returned model is true. The bound is a difference of
   numbers of size t.scale, summed over at most a few hundred rows; its scaling by
   lambda / max ||X^T D r|| has a relative error of eps lambda_max / lambda. */
static s14_truth s14_check_report(const cvxrelu_problem *p, const cvxrelu_model *model,
                                  const cvxrelu_report *report) {
    s14_truth t = s14_judge(p, model, report->lambda);
    const double share = report->lambda > 0 ? report->lambda_max / report->lambda : 0;
    const double rounding = 1e-13 * t.scale + 1e-14 * share * t.objective;
    CHECK_NEAR(report->objective, t.objective, 1e-10 * t.objective + rounding);
    CHECK(report->neurons == t.neurons);
    CHECK(report->has_bound == (report->lambda > 0));
    if (!report->has_bound) return t;
    CHECK_NEAR(report->dual_bound, cvxr_max(0, t.bound), 1e-9 * t.objective + rounding);
    CHECK(report->gap >= 0);
    CHECK_NEAR(report->gap * t.objective, t.objective - cvxr_max(0, t.bound),
               1e-9 * t.objective + rounding);
    return t;
}

/* ---- The Newton system against a dense matrix. */

typedef struct s14_system {
    cvxrelu_report report;
    cvxr_fit fit;
    cvxr_active act;
    cvxr_system system;
    size_t n, d, k;
    double sigma, *H, *v, *out, *expect;
} s14_system;

static double s14_dot(size_t d, const double *x, const double *y) {
    double sum = 0;
    while (d--) sum += x[d] * y[d];
    return sum;
}

/* H = I + sigma sum_i D_i X J_i X^T D_i, entry by entry. */
static void s14_dense(s14_system *s) {
    const cvxr_data *data = &s->fit.data;
    const size_t d = s->d, dp = data->dp;
    size_t l, m, i;
    for (l = 0; l < s->n; l++)
        for (m = 0; m < s->n; m++) {
            const double *x = data->X + l * dp, *y = data->X + m * dp;
            double sum = 0;
            for (i = 0; i < s->k; i++) {
                const uint64_t *bits =
                    s->fit.patterns.bits + s->act.idx[i] * s->fit.patterns.words;
                const double *h = s->act.zh + i * dp;
                if (!(bits[l / 64] >> (l % 64) & 1) || !(bits[m / 64] >> (m % 64) & 1))
                    continue;
                sum += s->act.a[i] * s14_dot(d, x, y);
                sum += (1 - s->act.a[i]) * s14_dot(d, x, h) * s14_dot(d, y, h);
            }
            s->H[l * s->n + m] = s->sigma * sum + (l == m ? 1 : 0);
        }
}

/* Every second one of 2 k given gates is active, a from nearly 0 to nearly 1. */
static void s14_open(s14_system *s, size_t n, size_t d, size_t k, double sigma) {
    cvxrelu_problem p = s14_problem(n, d, 1, 0);
    cvxrelu_random random;
    size_t i;
    memset(s, 0, sizeof *s);
    s->n = n, s->d = d, s->k = k, s->sigma = sigma;
    cvxrelu_random_init(&random, 77);
    s14_normals(&random, 2 * k * d, s14_gates);
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = s14_gates, p.gates.given.rows = 2 * k, p.gates.given.cols = d;
    CHECK(cvxr_fit_open(&s->fit, &p, NULL, 0, &s->report) == CVXRELU_OK);
    cvxr_system_open(&s->system, &s->fit.core, k);
    cvxr_active_open(&s->act, &s->fit.mem, n, s->fit.data.dp, k, 0, k);
    for (i = 0; i < k; i++) {
        double *h = s->act.zh + i * s->fit.data.dp, norm;
        memset(h, 0, s->fit.data.dp * sizeof(double));
        s14_normals(&random, d, h);
        norm = sqrt(s14_dot(d, h, h));
        for (s->act.count = 0; s->act.count < d; s->act.count++) h[s->act.count] /= norm;
        s->act.a[i] = i % 7 == 3   ? 1e-9
                      : i % 7 == 5 ? 1 - 1e-9
                                   : cvxrelu_random_uniform(&random);
        s->act.idx[i] = 2 * i + 1;
    }
    s->act.count = k;
    cvxr_active_ready(&s->act, &s->fit.core.op);
    s->H = (double *)calloc(n * n + 3 * n, sizeof(double));
    s->v = s->H + n * n, s->out = s->v + n, s->expect = s->out + n;
    s14_normals(&random, n, s->v);
    s14_dense(s);
}

static void s14_close(s14_system *s) {
    free(s->H);
    cvxr_active_close(&s->act, &s->fit.mem, s->n, s->fit.data.dp, s->k);
    cvxr_system_close(&s->system);
    cvxr_fit_close(&s->fit);
    CHECK(s->fit.mem.now == 0);
}

/* x = H^{-1} v by an unblocked Cholesky of H's copy; 0 when H is not positive definite. */
static int s14_dense_solve(size_t n, const double *H, const double *v, double *x) {
    double *L = (double *)malloc(n * n * sizeof(double));
    size_t i, j, k;
    int good = 1;
    memcpy(L, H, n * n * sizeof(double));
    for (j = 0; j < n && good; j++)
        for (i = j; i < n; i++) {
            for (k = 0; k < j; k++) L[i * n + j] -= L[i * n + k] * L[j * n + k];
            if (i == j && !(L[j * n + j] > 0)) {
                good = 0;
                break;
            }
            L[i * n + j] = i == j ? sqrt(L[j * n + j]) : L[i * n + j] / L[j * n + j];
        }
    for (i = 0; i < n && good; i++) {
        for (x[i] = v[i], k = 0; k < i; k++) x[i] -= L[i * n + k] * x[k];
        x[i] /= L[i * n + i];
    }
    for (i = n; i-- > 0 && good;) {
        for (k = i + 1; k < n; k++) x[i] -= L[k * n + i] * x[k];
        x[i] /= L[i * n + i];
    }
    free(L);
    return good;
}

static double s14_distance(size_t n, const double *x, const double *y) {
    double sum = 0;
    size_t i;
    for (i = 0; i < n; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrt(sum);
}

/* The preconditioner at hand is the inverse of H: 1e-11 covers a condition number of 1e4. */
static void s14_check_inverse(s14_system *s) {
    CHECK(s14_dense_solve(s->n, s->H, s->v, s->expect));
    cvxr_system_precondition(&s->system, s->v, s->out);
    CHECK_NEAR(s14_distance(s->n, s->out, s->expect), 0,
               1e-11 * sqrt(s14_dot(s->n, s->v, s->v)));
}

static void s14_check_rows(size_t n, size_t d, size_t k, double sigma) {
    s14_system s;
    double off = 0, most = 0;
    size_t i, j;
    s14_open(&s, n, d, k, sigma);
    CHECK(cvxr_system_place(&s.system, n, 0));
    cvxr_system_rows(&s.system, &s.act, sigma);
    CHECK(s.system.factor_order == n);
    for (i = 0; i < n; i++)
        for (j = 0; j <= i; j++) {
            off = cvxr_max(off, fabs(s.system.factor[i * s.system.ld + j] - s.H[i * n + j]));
            most = cvxr_max(most, fabs(s.H[i * n + j]));
        }
    CHECK_NEAR(off, 0, 1e-13 * most);
    CHECK(cvxr_potrf_f64(&s.fit.core.la, n, s.system.factor, s.system.ld) == 0);
    s.system.kind = CVXR_FACTOR_ROWS;
    s14_check_inverse(&s);
    s14_close(&s);
}

TEST(factor_over_rows_is_the_dense_newton_matrix) {
    static const size_t ks[] = { 1, 5, 20, 32, 33, 130, 300 };
    size_t i;
    for (i = 0; i < sizeof ks / sizeof *ks; i++) {
        s14_check_rows(40, 3, ks[i], 2.5);
        s14_check_rows(40, 7, ks[i], 0.1);
    }
    s14_check_rows(1, 1, 1, 3);
    s14_check_rows(65, 8, 3, 10);
    s14_check_rows(150, 7, 40, 1);
}

static void s14_check_groups(size_t n, size_t d, size_t k, double sigma) {
    s14_system s;
    s14_open(&s, n, d, k, sigma);
    CHECK(cvxr_system_place(&s.system, k * d, 0));
    cvxr_system_groups(&s.system, &s.act, sigma);
    CHECK(s.system.factor_order == k * d);
    CHECK(cvxr_potrf_f64(&s.fit.core.la, k * d, s.system.factor, s.system.ld) == 0);
    s.system.kind = CVXR_FACTOR_GROUPS;
    s.act.count = 0; /* the factor keeps its own copy of the active set */
    s14_check_inverse(&s);
    s14_close(&s);
}

TEST(factor_over_groups_inverts_the_dense_newton_matrix) {
    s14_check_groups(40, 3, 1, 2);
    s14_check_groups(40, 3, 5, 0.3);
    s14_check_groups(40, 3, 13, 20);
    s14_check_groups(40, 7, 1, 2);
    s14_check_groups(40, 7, 5, 5);
    s14_check_groups(65, 8, 8, 1); /* 36 products of columns: two tiles */
    s14_check_groups(120, 3, 36, 1);
    s14_check_groups(280, 1, 270, 0.5); /* two blocks of groups */
    s14_check_groups(1, 1, 1, 1);
}

/* Symmetric and positive definite, whatever the preconditioner: all columns of P^{-1}. */
static void s14_check_definite(s14_system *s) {
    const size_t n = s->n;
    double *all = (double *)malloc(n * n * sizeof(double)),
           *e = (double *)calloc(n, sizeof(double));
    double most = 0, off = 0;
    size_t i, j;
    for (i = 0; i < n; i++) {
        e[i] = 1;
        cvxr_system_precondition(&s->system, e, all + i * n);
        e[i] = 0;
    }
    for (i = 0; i < n; i++)
        for (j = 0; j < i; j++) {
            off = cvxr_max(off, fabs(all[i * n + j] - all[j * n + i]));
            most = cvxr_max(most, fabs(all[i * n + i]));
        }
    CHECK(cvxr_finite(most) && off <= 1e-12 * most);
    CHECK(s14_dense_solve(n, all, s->v, s->out));
    free(all);
    free(e);
}

TEST(mean_mask_is_positive_definite) {
    static const size_t sizes[][3] = {
        { 40, 3, 1 }, { 40, 7, 20 }, { 33, 1, 40 }, { 260, 5, 9 }, { 1, 1, 1 }
    };
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        s14_system s;
        s14_open(&s, sizes[i][0], sizes[i][1], sizes[i][2], i == 1 ? 1e8 : 3);
        cvxr_system_mean(&s.system, &s.act, s.sigma);
        s14_check_definite(&s);
        s14_close(&s);
    }
}

TEST(mean_mask_is_exact_for_one_group_of_all_rows) {
    s14_system s;
    size_t w;
    s14_open(&s, 50, 4, 1, 7);
    for (w = 0; w < s.fit.patterns.words; w++)
        s.fit.patterns.bits[w + s.fit.patterns.words] = ~(uint64_t)0 >> 14;
    s.act.a[0] = 1;
    cvxr_active_ready(&s.act, &s.fit.core.op);
    s14_dense(&s);
    cvxr_system_mean(&s.system, &s.act, s.sigma);
    s14_check_inverse(&s);
    s14_close(&s);
}

/* P^{-1} to 1e-5 of v in float32, symmetric to that or, in float64, to 1e-12, and positive
   definite. */
TEST(rays_are_positive_definite_and_all_of_H_where_a_is_zero) {
    static const size_t sizes[][3] = {
        { 40, 3, 1 }, { 40, 7, 20 }, { 33, 1, 8 }, { 260, 5, 90 }, { 600, 4, 130 }
    };
    size_t at, i, j, q;
    for (at = 0; at < 2 * sizeof sizes / sizeof *sizes; at++) {
        const size_t n = sizes[at / 2][0];
        const int twice = at % 2;
        double across;
        s14_system s;
        i = at / 2;
        s14_open(&s, n, sizes[i][1], sizes[i][2], i == 1 ? 1e4 : 3);
        CHECK(cvxr_price_rays(&s.system, &s.act) < HUGE_VAL);
        CHECK(!cvxr_rays_double(&s.system, &s.act)); /* none yet */
        cvxr_system_rays(&s.system, &s.act, s.sigma);
        if (twice) {
            const int fits = i != 1; /* in the bytes of a factor of n rows */
            CHECK(cvxr_rays_double(&s.system, &s.act) == (CVXR_RAYS_F32 && fits));
            CHECK(s.system.single == (CVXR_RAYS_F32 && !fits));
            cvxr_system_rays(&s.system, &s.act, s.sigma);
        }
        CHECK(s.system.kind == CVXR_FACTOR_RAYS);
        for (q = 0; q < 3; q++) {
            for (j = 0; j < n; j++) s.expect[j] = sin(2.0 * (double)j + (double)q);
            cvxr_system_precondition(&s.system, s.v, s.out);
            CHECK(s14_dot(n, s.v, s.out) > 0);
            across = s14_dot(n, s.expect, s.out);
            cvxr_system_precondition(&s.system, s.expect, s.out);
            CHECK_NEAR(across, s14_dot(n, s.v, s.out),
                       (s.system.single ? 1e-5 : 1e-12)
                           * sqrt(s14_dot(n, s.v, s.v) * s14_dot(n, s.expect, s.expect)));
        }
        s.sigma = 3;
        for (j = 0; j < sizes[i][2]; j++) s.act.a[j] = 0;
        s14_dense(&s);
        cvxr_system_rays(&s.system, &s.act, s.sigma);
        CHECK(s14_dense_solve(n, s.H, s.v, s.expect));
        cvxr_system_precondition(&s.system, s.v, s.out);
        CHECK_NEAR(s14_distance(n, s.out, s.expect), 0, 1e-5 * sqrt(s14_dot(n, s.v, s.v)));
        s14_close(&s);
    }
}

static void s14_check_solve(size_t n, size_t d, size_t k, double sigma) {
    s14_system s;
    double norm, *dx;
    size_t i, j;
    int again;
    s14_open(&s, n, d, k, sigma);
    dx = (double *)malloc(n * sizeof(double));
    norm = sqrt(s14_dot(n, s.v, s.v));
    for (again = 0; again < 3; again++) { /* from the mean mask; then with what that left */
        double last = cvxr_system_solve(&s.system, &s.act, sigma, s.v, 1e-9 * norm, dx);
        CHECK(last <= 1e-9 * norm);
        for (i = 0; i < n; i++)
            for (s.out[i] = -s.v[i], j = 0; j < n; j++) s.out[i] -= s.H[i * n + j] * dx[j];
        CHECK_NEAR(sqrt(s14_dot(n, s.out, s.out)), 0, 2e-9 * norm);
        cvxr_system_refactor(&s.system, &s.act, sigma);
        CHECK(s.system.kind != CVXR_FACTOR_NONE);
        if (again == 0) s14_check_inverse(&s);
        s.report.cg_iterations = 0;
    }
    CHECK(cvxr_system_solve(&s.system, &s.act, sigma, s.v, 1e-9 * norm, dx) <= 1e-9 * norm);
    CHECK(s.report.cg_iterations <= 2); /* an exact preconditioner */
    free(dx);
    s14_close(&s);
}

TEST(conjugate_gradients_reach_the_tolerance) {
    s14_check_solve(40, 3, 1, 1);
    s14_check_solve(40, 3, 20, 10);
    s14_check_solve(40, 7, 5, 100);
    s14_check_solve(40, 7, 60, 1);
    s14_check_solve(150, 5, 40, 1000);
    s14_check_solve(1, 1, 1, 1);
}

TEST(no_active_group_makes_the_newton_matrix_the_identity) {
    s14_system s;
    double dx[40];
    size_t i;
    s14_open(&s, 40, 3, 2, 5);
    s.act.count = 0;
    cvxr_active_ready(&s.act, &s.fit.core.op);
    CHECK(cvxr_system_solve(&s.system, &s.act, s.sigma, s.v, 0, dx) == 0);
    for (i = 0; i < 40; i++) CHECK(dx[i] == -s.v[i]);
    s14_close(&s);
}

/* sigma far beyond 1/eps: H in floating point is not positive definite, its factor must be. */
static void s14_check_jitter(size_t n, size_t d, size_t k, double sigma) {
    s14_system s;
    size_t i;
    s14_open(&s, n, d, k, sigma);
    for (i = 0; i < k; i++) s.act.a[i] = 1e-40; /* so that the rank is k, below n */
    cvxr_system_refactor(&s.system, &s.act, sigma);
    CHECK(s.report.factors >= 2); /* the first one failed */
    CHECK(s.system.kind != CVXR_FACTOR_NONE);
    s14_check_definite(&s);
    s14_close(&s);
}

TEST(failed_pivot_adds_to_the_diagonal) {
    s14_check_jitter(40, 3, 20, 1e25);
    s14_check_jitter(60, 7, 30, 1e30);
}

TEST(indefinite_matrix_leaves_no_factor_and_no_endless_loop) {
    s14_system s;
    double dx[40];
    size_t i;
    s14_open(&s, 40, 3, 20, 1e6);
    for (i = 0; i < 20; i++) s.act.a[i] = -3;
    cvxr_system_refactor(&s.system, &s.act, s.sigma);
    CHECK(s.system.kind == CVXR_FACTOR_NONE);
    CHECK(s.report.factors <= 20);
    cvxr_system_solve(&s.system, &s.act, s.sigma, s.v, 1e-3, dx);
    for (i = 0; i < 40; i++) CHECK(cvxr_finite(dx[i]));
    s14_close(&s);
}

TEST(limit_on_the_factor_leaves_conjugate_gradients_alone) {
    cvxrelu_problem p = s14_problem(80, 4, 1, 100);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-6);
    cvxrelu_report report;
    cvxrelu_model *model;
    p.lambda = 1e-3 * s14_lambda_max(&p);
    o.max_factor = 1;
    model = s14_fit(&p, &o, &report);
    CHECK(report.factors == 0 && report.stop == CVXRELU_STOP_GAP);
    s14_check_report(&p, model, &report);
    cvxrelu_model_free(model);
}

static int s14_downwards(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

TEST(nth_largest_agrees_with_sorting) {
    cvxrelu_random random;
    double v[60], sorted[60], w[60];
    size_t count, kind, i, m;
    cvxrelu_random_init(&random, 4);
    for (count = 1; count < 60; count += count < 9 ? 1 : 17)
        for (kind = 0; kind < 5; kind++) { /* all different, ties, all equal, up, down */
            for (i = 0; i < count; i++)
                v[i] = kind == 0   ? cvxrelu_random_normal(&random)
                       : kind == 1 ? (double)cvxrelu_random_below(&random, 3)
                       : kind == 2 ? 1
                       : kind == 3 ? (double)i
                                   : -(double)i;
            memcpy(sorted, v, sizeof v);
            qsort(sorted, count, sizeof *sorted, s14_downwards);
            for (m = 1; m <= count; m++) {
                memcpy(w, v, sizeof v);
                CHECK(cvxr_nth_largest(count, w, m) == sorted[m - 1]);
                qsort(w, count, sizeof *w, s14_downwards);
                CHECK(memcmp(w, sorted, count * sizeof *w) == 0); /* reordered, not changed */
            }
        }
}

/* ---- The optimum. */

/* Over all strengths the gap is at most 1e-6, and true, after so many steps an output. */
static void s14_check_strengths_within(const cvxrelu_problem *given, int steps) {
    static const double shares[] = { 0.9, 0.1, 1e-2, 1e-4, 1e-7 };
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_problem p = *given;
    cvxrelu_report report;
    cvxrelu_model *model;
    const double most = s14_lambda_max(&p);
    size_t i;
    for (i = 0; i < sizeof shares / sizeof *shares; i++) {
        p.lambda = shares[i] * most;
        model = s14_fit(&p, &o, &report);
        CHECK(report.solver == CVXRELU_SOLVER_NEWTON);
        CHECK(report.stop == CVXRELU_STOP_GAP);
        CHECK(report.gap <= 1e-6);
        CHECK(report.iterations <= steps * (int)report.c);
        s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
}

static void s14_check_strengths(const cvxrelu_problem *given) {
    s14_check_strengths_within(given, 100);
}

TEST(gap_closes_at_every_strength_for_tall_data) {
    cvxrelu_problem p = s14_problem(60, 5, 1, 100);
    s14_check_strengths(&p);
}

TEST(gap_closes_at_tiny_strengths_for_narrow_data) {
    uint64_t seed;
    int k;
    for (seed = 0; seed < 4; seed++)
        for (k = 5; k <= 7; k++) {
            cvxrelu_problem p = s14_problem(40, 2, 1, 60);
            cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
            cvxrelu_report report;
            cvxrelu_model *model;
            p.gates.seed = seed;
            p.lambda = pow(10.0, -(double)k) * s14_lambda_max(&p);
            model = s14_fit(&p, &o, &report);
            CHECK(report.stop == CVXRELU_STOP_GAP && report.gap <= 1e-6);
            CHECK(report.iterations < 200);
            s14_check_report(&p, model, &report);
            cvxrelu_model_free(model);
        }
}

TEST(gap_closes_at_every_strength_for_three_outputs) {
    cvxrelu_problem p = s14_problem(50, 4, 3, 60);
    s14_check_strengths(&p);
}

TEST(gap_closes_at_every_strength_for_more_columns_than_rows) {
    cvxrelu_problem p = s14_problem(15, 40, 1, 80); /* interpolates */
    s14_check_strengths(&p);
}

TEST(gap_closes_at_every_strength_with_duplicate_rows) {
    cvxrelu_problem p = s14_problem(45, 4, 1, 80);
    size_t i;
    for (i = 20; i < 40; i++) { /* equal rows, some with unequal targets */
        memcpy(s14_X + i * 4, s14_X + (i - 20) * 4, 4 * sizeof(double));
        if (i % 2) s14_Y[i] = s14_Y[i - 20];
    }
    s14_check_strengths(&p);
}

TEST(gap_closes_at_every_strength_for_one_row) {
    cvxrelu_problem p = s14_problem(1, 3, 1, 10);
    s14_check_strengths(&p);
    p = s14_problem(1, 1, 1, 10);
    s14_Y[0] = 2;
    s14_check_strengths(&p);
}

TEST(gap_closes_at_every_strength_for_one_column) {
    cvxrelu_problem p = s14_problem(30, 1, 1, 10);
    s14_check_strengths(&p);
    p.no_bias = 0;
    p.gates.count = 50;
    s14_check_strengths(&p);
}

TEST(gap_closes_at_every_strength_with_a_zero_column) {
    cvxrelu_problem p = s14_problem(40, 5, 1, 60);
    size_t i;
    for (i = 0; i < 40; i++) s14_X[i * 5 + 2] = 0;
    s14_check_strengths(&p);
    p.no_bias = 0;
    p.scale = CVXRELU_SCALE_STANDARD;
    s14_check_strengths(&p);
}

TEST(gap_closes_at_every_strength_for_a_constant_target) {
    cvxrelu_problem p = s14_problem(40, 3, 1, 60);
    size_t i;
    p.no_bias = 0;
    p.scale = CVXRELU_SCALE_STANDARD;
    for (i = 0; i < 40; i++) s14_Y[i] = 3;
    s14_check_strengths_within(&p, 200); /* all groups nearly equal: up to 140 steps at 1e-7 */
}

TEST(zero_target_has_the_zero_network_with_gap_zero) {
    cvxrelu_problem p = s14_problem(40, 3, 2, 60);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report report;
    cvxrelu_model *model;
    memset(s14_Y, 0, sizeof s14_Y);
    p.lambda = 1e-3;
    model = s14_fit(&p, &o, &report);
    CHECK(report.stop == CVXRELU_STOP_GAP && report.neurons == 0 && report.lambda_max == 0);
    CHECK(report.objective == 0 && report.has_bound && report.dual_bound == 0
          && report.gap == 0);
    cvxrelu_model_free(model);
}

TEST(many_copies_of_one_given_gate_do_not_empty_the_working_set) {
    cvxrelu_problem p = s14_problem(4, 2, 1, 0);
    size_t i;
    for (i = 0; i < 100; i++) s14_gates[2 * i] = 1, s14_gates[2 * i + 1] = 0.3;
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = s14_gates, p.gates.given.rows = 100, p.gates.given.cols = 2;
    s14_check_strengths(&p);
}

TEST(working_set_of_the_callers_size_is_enough_or_the_gap_says_so) {
    cvxrelu_problem p = s14_problem(60, 4, 1, 100);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report report;
    cvxrelu_model *model;
    size_t size, most;
    p.lambda = 0.1 * s14_lambda_max(&p);
    model = s14_fit(&p, &o, &report);
    most = report.neurons;
    cvxrelu_model_free(model);
    for (size = 1; size <= 32; size *= 2) {
        o.max_working_set = size;
        model = s14_fit(&p, &o, &report);
        CHECK(report.neurons > 0 && report.neurons <= size);
        CHECK((report.stop == CVXRELU_STOP_GAP) == (report.gap <= 1e-6));
        s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
    CHECK(most < 16 && report.stop == CVXRELU_STOP_GAP);
}

/* 1e-4: a few times the square root of the gap, which is what KKT residuals are of. */
static void s14_check_kkt_and_fista(const cvxrelu_problem *given, double share) {
    cvxrelu_options newton = s14_options(CVXRELU_SOLVER_NEWTON, 5e-10);
    cvxrelu_options fista = s14_options(CVXRELU_SOLVER_FISTA, 1e-10);
    cvxrelu_problem p = *given;
    cvxrelu_report report, other;
    cvxrelu_model *model;
    s14_truth t;
    p.lambda = share * s14_lambda_max(&p);
    model = s14_fit(&p, &newton, &report);
    t = s14_check_report(&p, model, &report);
    CHECK(report.stop == CVXRELU_STOP_GAP && report.gap <= 5e-10);
    CHECK_NEAR(t.active, 0, 1e-4);
    CHECK(t.inactive <= 1e-4);
    CHECK(report.subgradient
          <= 1e-8 * report.lambda * report.lambda * (double)(report.neurons + 1));
    cvxrelu_model_free(model);
    model = s14_fit(&p, &fista, &other);
    CHECK(other.solver == CVXRELU_SOLVER_FISTA && other.stop == CVXRELU_STOP_GAP);
    CHECK_NEAR(report.objective, other.objective, 1e-9 * report.objective);
    CHECK(report.dual_bound <= other.objective * (1 + 1e-14));
    CHECK(other.dual_bound <= report.objective * (1 + 1e-14));
    cvxrelu_model_free(model);
}

TEST(optimum_satisfies_the_kkt_conditions_and_agrees_with_fista) {
    cvxrelu_problem p = s14_problem(40, 3, 1, 50);
    s14_check_kkt_and_fista(&p, 0.9);
    s14_check_kkt_and_fista(&p, 0.1);
    s14_check_kkt_and_fista(&p, 0.01);
    p = s14_problem(30, 3, 3, 30);
    s14_check_kkt_and_fista(&p, 0.05);
    p = s14_problem(12, 30, 1, 40);
    s14_check_kkt_and_fista(&p, 0.05);
    p = s14_problem(1, 1, 1, 5);
    s14_check_kkt_and_fista(&p, 0.3);
}

TEST(tolerance_below_rounding_ends_before_the_limit_with_a_small_gap) {
    cvxrelu_problem p = s14_problem(40, 3, 1, 50);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-14);
    cvxrelu_report report;
    cvxrelu_model *model;
    p.lambda = 0.1 * s14_lambda_max(&p);
    model = s14_fit(&p, &o, &report);
    CHECK(report.stop == (report.gap <= 1e-14 ? CVXRELU_STOP_GAP : CVXRELU_STOP_STALLED));
    CHECK(report.iterations < 100); /* 18 steps reach 1e-11 */
    CHECK(report.gap <= 1e-8);
    cvxrelu_model_free(model);
}

TEST(reported_gap_is_true_for_columns_of_very_different_size) {
    cvxrelu_problem p = s14_problem(60, 5, 1, 100);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report report;
    cvxrelu_model *model;
    size_t i, k;
    double most;
    for (i = 0; i < 300; i++) s14_X[i] *= pow(10.0, 2.0 * (double)(i % 5) - 4);
    p.scale = CVXRELU_SCALE_NONE;
    most = s14_lambda_max(&p);
    for (k = 1; k < 6; k++) {
        p.lambda = pow(10.0, -(double)k) * most;
        model = s14_fit(&p, &o, &report);
        CHECK((report.stop == CVXRELU_STOP_GAP) == (report.gap <= 1e-6));
        CHECK(report.gap <= 1e-6);
        s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
}

static void s14_backwards(void *context, size_t count, void (*body)(void *arg, size_t i),
                          void *arg) {
    size_t *most = (size_t *)context;
    if (count > *most) *most = count;
    while (count--) body(arg, count);
}

TEST(bits_do_not_depend_on_the_number_of_threads) {
    cvxrelu_problem p = s14_problem(600, 12, 1, 300);
    cvxrelu_report report, first;
    cvxrelu_model *one = NULL, *model;
    size_t most;
    int threads;
    p.lambda = 1e-3 * s14_lambda_max(&p);
    for (threads = 1; threads <= 3; threads++) {
        cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
        most = 0;
        o.threads = threads;
        o.parallel.context = &most;
        o.parallel.parallel_for = s14_backwards;
        model = s14_fit(&p, &o, &report);
        if (model == NULL) break;
        CHECK(report.factors > 0 && report.threads == threads);
        CHECK(most >= (size_t)threads - 1 && (threads > 1) == (most > 0));
        if (threads == 1) {
            first = report, one = model;
            continue;
        }
        CHECK(memcmp(&report.objective, &first.objective, sizeof(double)) == 0);
        CHECK(memcmp(&report.dual_bound, &first.dual_bound, sizeof(double)) == 0);
        CHECK(report.iterations == first.iterations
              && report.cg_iterations == first.cg_iterations);
        CHECK(model->m == one->m && model->m > 10);
        if (model->m == one->m)
            CHECK(memcmp(model->u, one->u, model->m * 12 * sizeof(double)) == 0);
        cvxrelu_model_free(model);
    }
    cvxrelu_model_free(one);
}

/* newton.md, 'fig1': signs made by 100 neurons, columns of length 1, 1000 patterns. */
TEST(planted_network_takes_no_more_steps_than_the_prototype) {
    cvxrelu_random random;
    cvxrelu_problem p = s14_problem(250, 50, 1, 1000);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    size_t i, j, q;
    double w[50];
    int k;
    cvxrelu_random_init(&random, 0);
    s14_normals(&random, 250 * 50, s14_X);
    memset(s14_Y, 0, sizeof s14_Y);
    for (q = 0; q < 100; q++) {
        double a = cvxrelu_random_normal(&random);
        s14_normals(&random, 50, w);
        for (i = 0; i < 250; i++) {
            double z = 0;
            for (j = 0; j < 50; j++) z += w[j] * s14_X[i * 50 + j];
            if (z > 0) s14_Y[i] += a * z;
        }
    }
    for (i = 0; i < 250; i++) s14_Y[i] = s14_Y[i] > 0 ? 1 : -1;
    for (k = 3; k <= 4; k++) {
        cvxrelu_report report;
        cvxrelu_model *model;
        p.lambda = k == 3 ? 1e-3 : 1e-4;
        model = s14_fit(&p, &o, &report);
        CHECK(report.stop == CVXRELU_STOP_GAP && report.gap <= 1e-6);
        CHECK(report.iterations <= 30);
        CHECK(report.factors <= 16);
        if (k == 3) s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
}

/* ---- Runs that end early. */

static int s14_see_least(void *user, const cvxrelu_progress *p) {
    double *least = (double *)user;
    if (p->objective < *least) *least = p->objective;
    return 0;
}

TEST(early_end_hands_back_the_least_objective_seen) {
    int c, steps;
    for (c = 1; c <= 3; c += 2)
        for (steps = 1; steps <= 20; steps++) {
            cvxrelu_problem p = s14_problem(60, 4, (size_t)c, 100);
            cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
            cvxrelu_report report;
            cvxrelu_model *model;
            double least = HUGE_VAL, zero = 0;
            size_t i;
            for (i = 0; i < 60 * (size_t)c; i++) zero += s14_Y[i] * s14_Y[i] / (120.0 * c);
            p.lambda = 1e-4;
            o.max_iters = steps;
            o.progress = s14_see_least;
            o.progress_user = &least;
            model = s14_fit(&p, &o, &report);
            CHECK(report.objective <= zero * (1 + 1e-12));
            CHECK(c > 1 || report.objective <= least * (1 + 1e-9));
            s14_check_report(&p, model, &report);
            cvxrelu_model_free(model);
        }
}

/* A working set that is too small leaves the output unproven; R-FISTA over it then goes on from
   Newton's point. 499 steps are a limit of the caller's: nothing goes on after them. */
TEST(unproven_output_is_improved_by_fista_over_its_working_set) {
    cvxrelu_problem p = s14_problem(60, 4, 2, 100);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report alone, helped;
    cvxrelu_model *model;
    double least = HUGE_VAL;
    p.lambda = 0.01 * s14_lambda_max(&p);
    o.max_working_set = 4;
    o.max_iters = 499;
    model = s14_fit(&p, &o, &alone);
    CHECK(alone.stop == CVXRELU_STOP_ITERATIONS && alone.gap > 1e-6);
    cvxrelu_model_free(model);
    o.max_iters = 0;
    o.progress = s14_see_least;
    o.progress_user = &least;
    model = s14_fit(&p, &o, &helped);
    CHECK(least >= helped.objective * (1 - 1e-9) && least <= alone.objective);
    CHECK(helped.stop == CVXRELU_STOP_STALLED && helped.gap > 1e-6 && helped.neurons <= 8);
    CHECK(helped.objective <= alone.objective * (1 + 1e-12));
    CHECK(helped.passes > alone.passes);
    s14_check_report(&p, model, &helped);
    cvxrelu_model_free(model);
}

SUITE(s14_newton) {
    RUN(factor_over_rows_is_the_dense_newton_matrix);
    RUN(factor_over_groups_inverts_the_dense_newton_matrix);
    RUN(mean_mask_is_positive_definite);
    RUN(mean_mask_is_exact_for_one_group_of_all_rows);
    RUN(rays_are_positive_definite_and_all_of_H_where_a_is_zero);
    RUN(conjugate_gradients_reach_the_tolerance);
    RUN(no_active_group_makes_the_newton_matrix_the_identity);
    RUN(failed_pivot_adds_to_the_diagonal);
    RUN(indefinite_matrix_leaves_no_factor_and_no_endless_loop);
    RUN(limit_on_the_factor_leaves_conjugate_gradients_alone);
    RUN(nth_largest_agrees_with_sorting);
    RUN(gap_closes_at_every_strength_for_tall_data);
    RUN(gap_closes_at_tiny_strengths_for_narrow_data);
    RUN(gap_closes_at_every_strength_for_three_outputs);
    RUN(gap_closes_at_every_strength_for_more_columns_than_rows);
    RUN(gap_closes_at_every_strength_with_duplicate_rows);
    RUN(gap_closes_at_every_strength_for_one_row);
    RUN(gap_closes_at_every_strength_for_one_column);
    RUN(gap_closes_at_every_strength_with_a_zero_column);
    RUN(gap_closes_at_every_strength_for_a_constant_target);
    RUN(zero_target_has_the_zero_network_with_gap_zero);
    RUN(many_copies_of_one_given_gate_do_not_empty_the_working_set);
    RUN(working_set_of_the_callers_size_is_enough_or_the_gap_says_so);
    RUN(optimum_satisfies_the_kkt_conditions_and_agrees_with_fista);
    RUN(tolerance_below_rounding_ends_before_the_limit_with_a_small_gap);
    RUN(reported_gap_is_true_for_columns_of_very_different_size);
    RUN(bits_do_not_depend_on_the_number_of_threads);
    RUN(planted_network_takes_no_more_steps_than_the_prototype);
    RUN(early_end_hands_back_the_least_objective_seen);
    RUN(unproven_output_is_improved_by_fista_over_its_working_set);
}
