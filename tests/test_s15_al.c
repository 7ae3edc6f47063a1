/* Tests of S15 AUGMENTED LAGRANGIAN. Included by test_main.c after test_s14_relu.c, whose
   judge they use: s14_judge_relu gives objective, dual bound and worst constraint by plain
   loops. The Lagrangian, its gradient and the multipliers are written down again here.
   Weights W are raw, a group (output, pattern, sign) a row of dp; gamma a row of n.          */

enum { S15_ROWS = 300, S15_MOST = 2 * S15_ROWS * 64 };
static double s15_gamma[S15_MOST], s15_W[S15_MOST], s15_V[S15_MOST], s15_want[S15_MOST];

static cvxrelu_problem s15_problem(size_t n, size_t d, size_t c, size_t P, double lambda) {
    cvxrelu_problem p = s14_problem(n, d, c, P);
    p.kind = CVXRELU_RELU;
    p.search = CVXRELU_SEARCH_OFF;
    p.lambda = lambda;
    return p;
}

/* Data, patterns and workspace of a fit, without solving. */
static void s15_open(cvxr_fit *f, const cvxrelu_problem *p, const cvxrelu_options *options,
                     cvxrelu_report *report) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    if (options) o = *options;
    o.solver = CVXRELU_SOLVER_AL;
    memset(report, 0, sizeof *report);
    CHECK(cvxr_fit_open(f, p, &o, 0, report) == CVXRELU_OK);
    f->core.lambda = p->lambda;
    f->core.lam = p->lambda * f->core.units;
    f->opt.max_iters = o.max_iters ? o.max_iters : 10000;
}

static void s15_close(cvxr_fit *f) {
    cvxr_fit_close(f);
    CHECK(f->mem.now == 0);
}

static size_t s15_groups(const cvxr_fit *f) { return f->data.c * 2 * f->patterns.count; }

/* s t_i x_i.w of row i of group g: must be >= 0. */
static double s15_side(const cvxr_fit *f, size_t g, size_t i, const double *w) {
    const double *x = f->data.X + i * f->data.dp;
    const double t = s12_active(f, g / 2 % f->patterns.count, i) ? 1 : -1;
    return (g % 2 ? -t : t) * s12_dot(f->data.d, x, w);
}

/* y - prediction of output k. */
static void s15_residual(const cvxr_fit *f, size_t k, const double *W, double *r) {
    const size_t P = f->patterns.count, dp = f->data.dp;
    size_t i, p, side;
    for (i = 0; i < f->data.n; i++) {
        r[i] = f->data.Y[k * f->data.n + i];
        for (p = 0; p < P; p++)
            for (side = 0; side < 2 && s12_active(f, p, i); side++)
                r[i] -= s12_dot(f->data.d, f->data.X + i * dp,
                                W + ((k * P + p) * 2 + side) * dp);
    }
}

/* The smooth part of eq. 10, over n c. */
static double s15_value(const cvxr_fit *f, const double *W, const double *gamma, double delta) {
    const size_t n = f->data.n;
    double sum = 0, r[S15_ROWS], q;
    size_t k, g, i;
    for (k = 0; k < f->data.c; k++) {
        s15_residual(f, k, W, r);
        sum += 0.5 * s12_dot(n, r, r);
    }
    for (g = 0; g < s15_groups(f); g++)
        for (i = 0; i < n; i++) {
            q = gamma[g * n + i] / delta - s15_side(f, g, i, W + g * f->data.dp);
            if (q > 0) sum += delta / 2 * q * q;
        }
    return sum / (double)(n * f->data.c);
}

/* Minus its gradient. */
static void s15_slope(const cvxr_fit *f, const double *W, const double *gamma, double delta,
                      double *G) {
    const size_t n = f->data.n, dp = f->data.dp, P = f->patterns.count;
    double r[S15_ROWS];
    size_t g, i, j;
    for (g = 0; g < s15_groups(f); g++) {
        if (g % (2 * P) == 0) s15_residual(f, g / (2 * P), W, r);
        for (j = 0; j < dp; j++) G[g * dp + j] = 0;
        for (i = 0; i < n; i++) {
            const double *x = f->data.X + i * dp;
            const double on = s12_active(f, g / 2 % P, i) ? 1 : 0;
            const double t = (g % 2 ? -1 : 1) * (2 * on - 1);
            const double q = gamma[g * n + i] - delta * s15_side(f, g, i, W + g * dp);
            const double by = on * r[i] + (q > 0 ? t * q : 0);
            for (j = 0; j < dp; j++) G[g * dp + j] += by * x[j] / (double)(n * f->data.c);
        }
    }
}

static void s15_update(const cvxr_fit *f, const double *W, double delta, double *gamma) {
    size_t g, i;
    for (g = 0; g < s15_groups(f); g++)
        for (i = 0; i < f->data.n; i++) {
            double *q = gamma + g * f->data.n + i;
            *q = cvxr_max(0, *q - delta * s15_side(f, g, i, W + g * f->data.dp));
        }
}

/* The sum of squares of what is violated. */
static double s15_gap(const cvxr_fit *f, const double *W) {
    double sum = 0;
    size_t g, i;
    for (g = 0; g < s15_groups(f); g++)
        for (i = 0; i < f->data.n; i++) {
            const double z = cvxr_min(0, s15_side(f, g, i, W + g * f->data.dp));
            sum += z * z;
        }
    return sum;
}

static double s15_subgradient(const cvxr_fit *f, const double *W, const double *gamma,
                              double delta) {
    const size_t d = f->data.d, dp = f->data.dp;
    const double lambda = f->core.lambda;
    double sum = 0;
    size_t g, j;
    s15_slope(f, W, gamma, delta, s15_want);
    for (g = 0; g < s15_groups(f); g++) {
        const double *G = s15_want + g * dp, *w = W + g * dp;
        const double norm = sqrt(s12_dot(d, w, w)), size = sqrt(s12_dot(d, G, G));
        if (norm == 0) sum += size > lambda ? (size - lambda) * (size - lambda) : 0;
        for (j = 0; norm > 0 && j < d; j++)
            sum += (lambda * w[j] / norm - G[j]) * (lambda * w[j] / norm - G[j]);
    }
    return sum;
}

/* Random groups, every third of them zero from `first` on. */
static void s15_random(const cvxr_fit *f, uint64_t seed, size_t first, double *W) {
    cvxrelu_random random;
    size_t g, j;
    cvxrelu_random_init(&random, seed);
    for (g = 0; g < s15_groups(f); g++)
        for (j = 0; j < f->data.dp; j++) {
            const double w = cvxrelu_random_normal(&random);
            W[g * f->data.dp + j] = j < f->data.d && g % 3 != first ? w : 0;
        }
}

static double s15_distance(size_t n, const double *a, const double *b) {
    double worst = 0, most = 1e-300;
    size_t i;
    for (i = 0; i < n; i++) {
        worst = cvxr_max(worst, runner_finite(a[i]) ? fabs(a[i] - b[i]) : 1e300);
        most = cvxr_max(most, fabs(b[i]));
    }
    return worst / most;
}

/* The multipliers of al beside s15_gamma. */
static double s15_multipliers(const cvxr_al *al) {
    const cvxr_hinges *h = (const cvxr_hinges *)al->hinges;
    double worst = 0;
    size_t g, i;
    for (g = 0; g < h->groups; g++) {
        worst = cvxr_max(worst, s15_distance(h->n, h->gamma + g * h->ld, s15_gamma + g * h->n));
        for (i = h->n; i < h->ld; i++) worst += fabs(h->gamma[g * h->ld + i]);
    }
    return worst;
}

/* Values of V, Y and multipliers from updates at random points, some groups zero each time. */
static void s15_check_lagrangian(size_t n, size_t d, size_t c, size_t P, double delta) {
    cvxrelu_problem p = s15_problem(n, d, c, P, 0.01);
    cvxrelu_report report;
    cvxr_al al;
    cvxr_fit f;
    double want, size;
    uint64_t seed;
    s15_open(&f, &p, NULL, &report);
    CHECK(cvxr_al_open(&al, &f.core));
    al.delta = delta;
    memset(s15_gamma, 0, sizeof s15_gamma);
    for (seed = 1; seed < 4; seed++) {
        cvxr_fista *s = &al.fista;
        s15_random(&f, seed, seed % 3, (double *)s->U);
        cvxr_hinges_update(&f.core, al.hinges, delta, s->U);
        s15_update(&f, (double *)s->U, delta, s15_gamma);
        CHECK(s15_multipliers(&al) < 1e-12);
        want = s15_gap(&f, (double *)s->U);
        CHECK_NEAR(cvxr_hinges_gap(&f.core, al.hinges, s->U), want, 1e-12 * want);
        s15_random(&f, seed + 10, 0, (double *)s->V);
        s15_random(&f, seed + 20, 1, (double *)s->Y);
        cvxr_fista_forward(s, s->V, s->zV);
        cvxr_fista_forward(s, s->Y, s->zY);
        cvxr_fista_gradient(s);
        s15_slope(&f, (double *)s->Y, s15_gamma, delta, s15_want);
        CHECK(s15_distance(s->size, (double *)s->G, s15_want) < 1e-12);
        size = s15_value(&f, (double *)s->V, s15_gamma, delta);
        want = size - s15_value(&f, (double *)s->Y, s15_gamma, delta)
               + s12_dot(s->size, s15_want, (double *)s->V)
               - s12_dot(s->size, s15_want, (double *)s->Y);
        CHECK_NEAR(cvxr_al_excess(s), want, 1e-11 * (size + want));
        memcpy(s->U, s->V, s->size * sizeof(double));
        memcpy(s->zU, s->zV, s->rows * sizeof(double));
        CHECK_NEAR(cvxr_al_value(s), size, 1e-12 * size);
        CHECK_NEAR(cvxr_fista_subgradient(s),
                   s15_subgradient(&f, (double *)s->V, s15_gamma, delta), 1e-11 * size);
    }
    cvxr_al_close(&al);
    s15_close(&f);
}

TEST(lagrangian_gradient_and_multipliers_are_those_of_the_definition) {
    s15_check_lagrangian(40, 4, 1, 12, 100);
    s15_check_lagrangian(65, 3, 2, 50, 7);       /* several panels, a row beyond a word */
    s15_check_lagrangian(7, 9, 3, 5, 0.1);
    s15_check_lagrangian(5, 1, 1, 2, 1);
}

/* minus the gradient against central differences of the value, along the coordinates. */
TEST(gradient_of_the_lagrangian_is_its_difference_quotient) {
    cvxrelu_problem p = s15_problem(12, 3, 2, 4, 0.01);
    cvxrelu_report report;
    cvxr_al al;
    cvxr_fit f;
    size_t i;
    s15_open(&f, &p, NULL, &report);
    CHECK(cvxr_al_open(&al, &f.core));
    s15_random(&f, 1, 0, s15_W);
    cvxr_hinges_update(&f.core, al.hinges, al.delta, s15_W);
    s15_random(&f, 2, 1, (double *)al.fista.Y);
    cvxr_fista_forward(&al.fista, al.fista.Y, al.fista.zY);
    cvxr_fista_gradient(&al.fista);
    memcpy(al.fista.U, al.fista.Y, al.fista.size * sizeof(double));
    for (i = 0; i < al.fista.size; i++) {
        double *u = (double *)al.fista.U + i, high, low, kept = *u;
        if (i % f.data.dp >= f.data.d) continue;
        *u = kept + 1e-5, cvxr_fista_forward(&al.fista, al.fista.U, al.fista.zU);
        high = cvxr_al_value(&al.fista);
        *u = kept - 1e-5, cvxr_fista_forward(&al.fista, al.fista.U, al.fista.zU);
        low = cvxr_al_value(&al.fista);
        *u = kept;
        CHECK_NEAR(((double *)al.fista.G)[i], (low - high) / 2e-5, 1e-4 * cvxr_max(high, 1));
    }
    cvxr_al_close(&al);
    s15_close(&f);
}

/* A few rounds with delta given: minimise, compare the minimum's optimality and the update. */
TEST(multipliers_follow_the_plain_update_and_each_subproblem_is_solved) {
    cvxrelu_problem p = s15_problem(40, 4, 2, 12, 0.02);
    cvxrelu_report report;
    cvxrelu_options o;
    cvxr_al al;
    cvxr_fit f;
    double before = HUGE_VAL, gap;
    int round;
    memset(&o, 0, sizeof o);
    o.al.delta = 30;
    s15_open(&f, &p, &o, &report);
    CHECK(cvxr_al_open(&al, &f.core) && al.delta == 30);
    memset(s15_gamma, 0, sizeof s15_gamma);
    al.tol = 1e-14;
    al.max_iters = 1000000;
    for (round = 0; round < 5; round++) {
        const double *U;
        CHECK(cvxr_al_inner(&al) == CVXRELU_STOP_SUBGRADIENT);
        U = (const double *)al.fista.U; /* U and V change places as it runs */
        CHECK(s15_subgradient(&f, U, s15_gamma, 30) <= 1.01e-14);
        gap = s15_gap(&f, U);
        CHECK_NEAR(al.gap / gap, 1, 1e-9);
        CHECK(gap < before);
        before = gap;
        s15_update(&f, U, 30, s15_gamma);
        cvxr_hinges_update(&f.core, al.hinges, 30, U);
        CHECK(s15_multipliers(&al) < 1e-9);
    }
    cvxr_al_close(&al);
    s15_close(&f);
}

/* The vector kernels do what the plain ones do, bit for bit, whatever the multipliers. */
TEST(one_sided_quadratics_have_the_same_bits_on_every_cpu) {
    cvxrelu_problem p = s15_problem(67, 4, 1, 9, 0.02);
    cvxrelu_report report;
    cvxr_hinges *h;
    cvxr_al al;
    cvxr_fit f;
    size_t g, i;
    s15_open(&f, &p, NULL, &report);
    CHECK(cvxr_al_open(&al, &f.core));
    h = (cvxr_hinges *)al.hinges;
    s15_random(&f, 4, 1, s15_W);
    cvxr_hinges_update(&f.core, al.hinges, al.delta, s15_W);
    for (i = 0; i < h->ld; i++)
        s15_W[i] = s15_V[i] = sin((double)i), s15_want[i] = cos(3 * (double)i);
    for (g = 0; g < h->groups; g++) {
        const int isa = f.core.op.isa;
        double fast = cvxr_hinge_excess(h, g, s15_W, s15_want), plain;
        cvxr_hinge_residual(h, g, s15_W);
        f.core.op.isa = 0;
        plain = cvxr_hinge_excess(h, g, s15_V, s15_want);
        cvxr_hinge_residual(h, g, s15_V);
        f.core.op.isa = isa;
        CHECK(g > 0 || memcmp(&fast, &plain, sizeof fast) == 0);
        CHECK(memcmp(s15_W, s15_V, h->ld * sizeof(double)) == 0);
    }
    cvxr_al_close(&al);
    s15_close(&f);
}

/* A fit whose numbers are recomputed: tight tolerances unless o says otherwise. */
static cvxrelu_report s15_fit(const cvxrelu_problem *p, const cvxrelu_options *given,
                              s14_relu *t) {
    cvxrelu_options o;
    cvxrelu_model *model = NULL;
    cvxrelu_report r;
    memset(&o, 0, sizeof o);
    if (given) o = *given;
    o.solver = CVXRELU_SOLVER_AL;
    CHECK(cvxrelu_fit(p, &o, NULL, &model, &r) == CVXRELU_OK);
    *t = s14_judge_relu(p, model);
    cvxrelu_model_free(model);
    CHECK(r.solver == CVXRELU_SOLVER_AL && r.neurons == t->neurons);
    CHECK_NEAR(r.objective, t->objective, 1e-9 * t->objective);
    CHECK(r.dual_bound <= t->objective * (1 + 1e-12));
    CHECK(t->worst <= 1e-10 && r.constraint_violation <= 1e-10);
    return r;
}

static cvxrelu_options s15_tight(double delta) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    o.subgradient_tol = 1e-18;
    o.al.constraint_tol = 1e-18;
    o.al.delta = delta;
    o.max_iters = 200000;
    return o;
}

TEST(tight_tolerances_reach_the_optimum_whatever_delta) {
    static const double deltas[5] = { 0, 0, 10, 300, 1000 };
    size_t k;
    for (k = 0; k < 5; k++) {
        cvxrelu_problem p = s15_problem(30, 3, 1 + k % 2, 10, k % 2 ? 0.1 : 0.02);
        cvxrelu_options o = s15_tight(deltas[k]);
        s14_relu t;
        cvxrelu_report r = s15_fit(&p, &o, &t);
        CHECK(r.stop == CVXRELU_STOP_GAP && r.gap <= 1e-6);
        CHECK(t.neurons > 0 && t.objective - t.bound <= 3e-6 * t.objective);
    }
}

TEST(optimum_is_reached_for_degenerate_data) {
    cvxrelu_options o = s15_tight(0);
    cvxrelu_problem p = s15_problem(30, 3, 1, 8, 0.02);
    s14_relu t;
    memcpy(s14_X + 15 * 3, s14_X, 15 * 3 * sizeof(double));      /* duplicate rows  */
    memset(s14_X + 3 * 3, 0, 2 * 3 * sizeof(double));            /* two rows of zero */
    CHECK(s15_fit(&p, &o, &t).stop == CVXRELU_STOP_GAP);
    p = s15_problem(6, 12, 1, 8, 0.02);                          /* more columns than rows */
    CHECK(s15_fit(&p, &o, &t).stop == CVXRELU_STOP_GAP);
    p = s15_problem(1, 3, 1, 4, 0.02);
    CHECK(s15_fit(&p, &o, &t).stop == CVXRELU_STOP_GAP);
    p = s15_problem(30, 1, 1, 4, 0.02);
    CHECK(s15_fit(&p, &o, &t).stop == CVXRELU_STOP_GAP);
}

/* Run the heuristic and judge where it ends; targets are scaled by `size`. */
static double s15_window(double size, double delta, double low, double high) {
    cvxrelu_problem p = s15_problem(40, 4, 1, 12, 0.005 * size);
    cvxrelu_report report;
    cvxrelu_options o;
    cvxr_al al;
    cvxr_fit f;
    double doublings, gap;
    size_t i;
    for (i = 0; i < 40; i++) s14_Y[i] *= size;
    memset(&o, 0, sizeof o);
    o.al.window_low = low;
    o.al.window_high = high;
    s15_open(&f, &p, &o, &report);
    CHECK(cvxr_al_open(&al, &f.core));
    CHECK(al.delta == 100);
    al.delta = delta;
    CHECK(cvxr_al_window(&al, 1e-6) == CVXRELU_STOP_NONE);
    doublings = log(al.delta / delta) / log(2.0);
    CHECK_NEAR(doublings, floor(doublings + 0.5), 1e-9);
    gap = s15_gap(&f, (const double *)al.fista.U);
    CHECK(gap >= (low > 0 ? low : 1e-3) && gap <= (high > 0 ? high : 1e-2));
    CHECK(al.tol == 1e-6);
    cvxr_al_close(&al);
    s15_close(&f);
    return doublings;
}

TEST(window_of_the_constraint_gap_chooses_delta) {
    CHECK(s15_window(10, 100, 0, 0) > 0);
    CHECK(s15_window(1, 1e5, 0, 0) < 0);
    CHECK(s15_window(1, 0.01, 0, 0) > 0);
    CHECK(s15_window(10, 1, 0.01, 0.1) > 0);       /* the numbers of 4.3 */
    CHECK(s15_window(1, 1e5, 0.01, 0.1) < 0);
}

/* Where no delta brings the gap into the window the run goes on: targets of 1e-6. */
TEST(window_out_of_reach_does_not_hold_the_run) {
    cvxrelu_problem p = s15_problem(40, 4, 1, 12, 1e-8);
    cvxrelu_options o;
    cvxrelu_report r;
    s14_relu t;
    size_t i;
    for (i = 0; i < 40; i++) s14_Y[i] *= 1e-6;
    memset(&o, 0, sizeof o);
    r = s15_fit(&p, &o, &t);                       /* stationary at once */
    CHECK(r.stop == CVXRELU_STOP_SUBGRADIENT && r.iterations < 100);
    o.subgradient_tol = 1e-22;
    o.al.constraint_tol = 1e-22;
    r = s15_fit(&p, &o, &t);
    CHECK(r.stop == CVXRELU_STOP_SUBGRADIENT && r.gap < 0.05);
}

TEST(default_run_stops_by_the_criteria_of_the_paper) {
    cvxrelu_problem p = s15_problem(60, 5, 1, 20, 0.01);
    cvxrelu_report report;
    cvxr_al al;
    cvxr_fit f;
    const double *U;
    s15_open(&f, &p, NULL, &report);
    CHECK(cvxr_al_open(&al, &f.core));
    cvxr_al_start(&al, &f.weights, &f.start);
    CHECK(cvxr_al_run(&al) == CVXRELU_STOP_SUBGRADIENT);
    U = (const double *)al.fista.U;
    CHECK(al.gap <= 1e-6 && s15_gap(&f, U) <= 1.01e-6 && al.outer > 0);
    memset(s15_gamma, 0, sizeof s15_gamma);
    {
        const cvxr_hinges *h = (const cvxr_hinges *)al.hinges;
        size_t g, i;
        for (g = 0; g < h->groups; g++)
            for (i = 0; i < h->n; i++) s15_gamma[g * h->n + i] = h->gamma[g * h->ld + i];
    }
    CHECK(s15_subgradient(&f, U, s15_gamma, al.delta) <= 1.01e-6);
    CHECK(report.iterations < 5000);
    cvxr_al_close(&al);
    s15_close(&f);
}

TEST(answer_is_projected_and_its_violation_before_that_is_reported) {
    cvxrelu_problem p = s15_problem(60, 5, 2, 20, 0.01);
    s14_relu t;
    cvxrelu_report r = s15_fit(&p, NULL, &t);
    CHECK(r.stop == CVXRELU_STOP_SUBGRADIENT && r.gap < 0.2 && r.has_bound);
    CHECK(r.raw_violation > 1e-6 && r.constraint_violation < 1e-12);
}

typedef struct s15_watch { int calls, stop_at; double last; } s15_watch;

static int s15_progress(void *user, const cvxrelu_progress *progress) {
    s15_watch *watch = (s15_watch *)user;
    watch->calls++;
    CHECK(progress->objective >= progress->dual_bound && progress->iteration == watch->calls);
    CHECK(watch->calls == 1 || progress->objective <= watch->last);
    watch->last = progress->objective; /* the best network, which only improves */
    return watch->calls == watch->stop_at;
}

TEST(limits_and_the_caller_stop_the_run_with_a_feasible_network) {
    cvxrelu_problem p = s15_problem(40, 4, 1, 12, 0.01);
    cvxrelu_options o = s15_tight(100);
    cvxrelu_report r;
    s15_watch watch;
    s14_relu t;
    int limit;
    memset(&watch, 0, sizeof watch);
    for (limit = 1; limit < 40; limit += 9) {
        o.max_iters = limit;
        r = s15_fit(&p, &o, &t);
        CHECK(r.stop == CVXRELU_STOP_ITERATIONS && r.iterations == limit);
        CHECK(r.gap > 1e-6 && r.gap <= 1);
    }
    o.max_iters = 1000000;
    o.al.max_outer = 1;
    r = s15_fit(&p, &o, &t);
    CHECK(r.stop == CVXRELU_STOP_ITERATIONS && r.iterations <= 1000);
    o.al.max_outer = 0;
    o.progress = s15_progress;
    o.progress_user = &watch;
    for (limit = 1; limit < 2000; limit = limit * 7 + 3) {
        watch.calls = 0, watch.stop_at = limit;
        r = s15_fit(&p, &o, &t);
        CHECK(r.stop == CVXRELU_STOP_USER && r.iterations == limit && watch.calls == limit);
        CHECK(r.objective <= watch.last);
    }
}

/* From its own answer: as good from the first look on, and not worse at the end. */
TEST(start_is_where_the_run_begins) {
    cvxrelu_problem p = s15_problem(40, 4, 2, 12, 0.02);
    cvxrelu_options o = s15_tight(0);
    cvxrelu_model *first = NULL, *again = NULL;
    cvxrelu_report r, warm;
    o.solver = CVXRELU_SOLVER_AL;
    CHECK(cvxrelu_fit(&p, &o, NULL, &first, &r) == CVXRELU_OK && r.stop == CVXRELU_STOP_GAP);
    o.max_iters = 1;
    CHECK(cvxrelu_fit(&p, &o, first, &again, &warm) == CVXRELU_OK);
    CHECK(warm.objective <= r.objective * (1 + 1e-12) && warm.iterations <= 1);
    cvxrelu_model_free(first);
    cvxrelu_model_free(again);
}

/* A step that diverges leaves the zero network, not NaN. */
TEST(step_far_too_long_returns_the_best_network_seen) {
    cvxrelu_problem p = s15_problem(40, 4, 1, 12, 0.01);
    cvxrelu_options o = s15_tight(100);
    cvxrelu_report r;
    s14_relu t;
    o.step_rule = CVXRELU_STEP_FIXED;
    o.step_first = 1e3;
    r = s15_fit(&p, &o, &t);
    CHECK(r.stop == CVXRELU_STOP_STALLED && runner_finite(r.objective));
}

TEST(augmented_lagrangian_takes_the_bytes_that_were_planned) {
    cvxrelu_problem p = s15_problem(41, 4, 2, 12, 0.01);
    cvxrelu_report report;
    cvxr_al al;
    cvxr_fit f;
    size_t before;
    s15_open(&f, &p, NULL, &report);
    before = f.mem.now;
    CHECK(cvxr_al_open(&al, &f.core));
    CHECK(f.mem.now - before == cvxr_al_bytes(41, f.data.dp, 2, f.patterns.count));
    cvxr_al_close(&al);
    CHECK(f.mem.now == before);
    s15_close(&f);
}

/* Solving where the k-th allocation fails: nothing leaks, and the reason stays. */
TEST(refused_memory_ends_the_run_without_a_leak) {
    cvxrelu_problem p = s15_problem(20, 3, 1, 6, 0.01);
    cvxrelu_report report;
    cvxr_fit f;
    size_t before, most, room;
    s15_open(&f, &p, NULL, &report);
    before = f.mem.now;
    most = cvxr_al_bytes(20, f.data.dp, 1, f.patterns.count);
    for (room = 0; room < most; room += most / 40) {
        f.mem.limit = before + room;
        f.mem.failed = CVXRELU_OK;
        f.start.m = 0;
        CHECK(cvxr_al_solve(&f.core, &f.weights, &f.start) == CVXRELU_STOP_NONE);
        CHECK(f.mem.failed == CVXRELU_ERR_LIMIT && f.mem.now == before);
    }
    f.mem.limit = 0;
    f.mem.failed = CVXRELU_OK;
    CHECK(cvxr_al_solve(&f.core, &f.weights, &f.start) != CVXRELU_STOP_NONE);
    s15_close(&f);
}

/* ---- CD-A. */

/* Random rows of both outputs into f->start, all patterns, one of them zero. */
static void s15_gated(cvxr_fit *f) {
    cvxr_weights *u = &f->start;
    cvxrelu_random random;
    size_t k, p, j;
    cvxrelu_random_init(&random, 8);
    u->m = 0;
    for (k = 0; k < f->data.c; k++)
        for (p = 0; p < f->patterns.count; p++, u->m++) {
            u->output[u->m] = k, u->pattern[u->m] = p;
            for (j = 0; j < u->dp; j++)
                u->u[u->m * u->dp + j] =
                    j < f->data.d && p != 2 ? cvxrelu_random_normal(&random) : 0;
        }
}

/* How far w (a row) is from optimal: ||Xt^T (b - Xt w)_+ - rho w / ||w|| ||, or how far the
   first is outside the ball of rho at w = 0. *left: ||(b - Xt w)_+||. */
static double s15_cda_error(const cvxr_fit *f, size_t g, double rho, const double *w,
                            double *left) {
    const size_t n = f->data.n, d = f->data.d, dp = f->data.dp;
    const double *u = f->start.u + g * dp, norm = sqrt(s12_dot(d, w, w));
    double G[64], sum = 0, error = 0;
    size_t i, j;
    for (j = 0; j < d; j++) G[j] = 0;
    for (i = 0; i < n; i++) {
        const double *x = f->data.X + i * dp;
        const double t = s12_active(f, f->start.pattern[g], i) ? 1 : -1;
        const double q = cvxr_max(0, -t * s12_dot(d, x, u)) - t * s12_dot(d, x, w);
        if (q <= 0) continue;
        sum += q * q;
        for (j = 0; j < d; j++) G[j] += t * q * x[j];
    }
    *left = sqrt(sum);
    if (norm == 0) return cvxr_max(0, sqrt(s12_dot(d, G, G)) - rho);
    for (j = 0; j < d; j++) error += (G[j] - rho * w[j] / norm) * (G[j] - rho * w[j] / norm);
    return sqrt(error);
}

TEST(cda_rows_are_optimal_and_the_violation_falls_with_rho) {
    static const double rhos[4] = { 10, 1e-1, 1e-3, 1e-10 };
    static const double tols[4] = { 1e-20, 1e-20, 1e-20, 1e-14 };
    cvxrelu_problem p = s15_problem(30, 4, 2, 9, 0.01);
    cvxrelu_report report;
    cvxr_fit f;
    double before = HUGE_VAL;
    size_t k, g, j;
    s15_open(&f, &p, NULL, &report);
    for (k = 0; k < 4; k++) {
        double all = 0, left, error = 0;
        s15_gated(&f);
        f.weights.m = 0;
        CHECK(cvxr_cda(&f.core, &f.start, rhos[k], tols[k], 20000, &f.weights)
              == CVXRELU_STOP_SUBGRADIENT);
        CHECK(f.weights.m == f.start.m);
        for (g = 0; g < f.start.m; g++) {
            const double *w = f.weights.u + g * f.data.dp;
            const double e = s15_cda_error(&f, g, rhos[k], w, &left);
            CHECK(f.weights.pattern[g] == f.start.pattern[g]
                  && f.weights.output[g] == f.start.output[g]);
            error += e * e;
            all = cvxr_max(all, left);
            for (j = 0; j < f.data.dp; j++)
                CHECK((j < f.data.d && f.start.pattern[g] != 2) || w[j] == 0);
        }
        CHECK(error <= 1.01 * tols[k]);
        CHECK(all < before);
        before = all;
    }
    CHECK(before < 1e-5);
    s15_close(&f);
}

/* A row already in its cone needs no w, and is left at 0 from the start: b = 0. */
TEST(cda_of_feasible_rows_is_zero) {
    cvxrelu_problem p = s15_problem(30, 4, 1, 9, 0.01);
    cvxrelu_report report;
    cvxr_fit f;
    size_t g, j;
    s15_open(&f, &p, NULL, &report);
    s15_gated(&f);
    for (g = 0; g < f.start.m; g++)
        memcpy(f.start.u + g * f.data.dp, f.patterns.gates + g * f.data.d,
               f.data.d * sizeof(double));
    f.weights.m = 0;
    CHECK(cvxr_cda(&f.core, &f.start, 1e-6, 0, 0, &f.weights) == CVXRELU_STOP_SUBGRADIENT);
    CHECK(report.iterations == 1);
    for (j = 0; j < f.weights.m * f.data.dp; j++) CHECK(f.weights.u[j] == 0);
    f.start.m = f.weights.m = 0;
    CHECK(cvxr_cda(&f.core, &f.start, 1e-6, 0, 0, &f.weights) == CVXRELU_STOP_SUBGRADIENT);
    CHECK(f.weights.m == 0);
    s15_close(&f);
}

TEST(cda_starts_where_it_is_told_and_stops_at_its_limit) {
    cvxrelu_problem p = s15_problem(30, 4, 2, 9, 0.01);
    cvxrelu_report report;
    cvxr_fit f;
    size_t before;
    s15_open(&f, &p, NULL, &report);
    before = f.mem.now;
    s15_gated(&f);
    f.weights.m = 0;
    CHECK(cvxr_cda(&f.core, &f.start, 1e-3, 0, 3, &f.weights) == CVXRELU_STOP_ITERATIONS);
    CHECK(report.iterations == 3);
    CHECK(cvxr_cda(&f.core, &f.start, 1e-3, 1e-18, 100000, &f.weights)
          == CVXRELU_STOP_SUBGRADIENT);
    report.iterations = 0;
    CHECK(cvxr_cda(&f.core, &f.start, 1e-3, 1e-16, 0, &f.weights) == CVXRELU_STOP_SUBGRADIENT);
    CHECK(report.iterations <= 50);
    f.mem.peak = before;
    CHECK(cvxr_cda(&f.core, &f.start, 1e-3, 0, 1, &f.weights) != CVXRELU_STOP_NONE);
    CHECK(f.mem.peak - before == cvxr_cda_bytes(30, f.data.dp, f.start.m));
    CHECK(f.mem.now == before);
    f.mem.limit = before + 1000;
    CHECK(cvxr_cda(&f.core, &f.start, 1e-3, 0, 1, &f.weights) == CVXRELU_STOP_NONE);
    CHECK(f.mem.failed == CVXRELU_ERR_LIMIT && f.mem.now == before);
    s15_close(&f);
}

SUITE(s15_al) {
    RUN(lagrangian_gradient_and_multipliers_are_those_of_the_definition);
    RUN(gradient_of_the_lagrangian_is_its_difference_quotient);
    RUN(multipliers_follow_the_plain_update_and_each_subproblem_is_solved);
    RUN(one_sided_quadratics_have_the_same_bits_on_every_cpu);
    RUN(tight_tolerances_reach_the_optimum_whatever_delta);
    RUN(optimum_is_reached_for_degenerate_data);
    RUN(window_of_the_constraint_gap_chooses_delta);
    RUN(window_out_of_reach_does_not_hold_the_run);
    RUN(default_run_stops_by_the_criteria_of_the_paper);
    RUN(answer_is_projected_and_its_violation_before_that_is_reported);
    RUN(limits_and_the_caller_stop_the_run_with_a_feasible_network);
    RUN(start_is_where_the_run_begins);
    RUN(step_far_too_long_returns_the_best_network_seen);
    RUN(augmented_lagrangian_takes_the_bytes_that_were_planned);
    RUN(refused_memory_ends_the_run_without_a_leak);
    RUN(cda_rows_are_optimal_and_the_violation_falls_with_rho);
    RUN(cda_of_feasible_rows_is_zero);
    RUN(cda_starts_where_it_is_told_and_stops_at_its_limit);
}
