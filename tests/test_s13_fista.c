/* Tests of S13 FIRST-ORDER METHODS. Included by test_main.c after test_s12_certificates.c,
   whose problems and plain-loop truth they use. s13_step is R-FISTA written down again.     */

enum { S13_N = 40, S13_D = 4, S13_P = 24, S13_C = 2, S13_SIZE = S13_C * S13_P * S13_D };

typedef struct s13_plain {
    double u[S13_SIZE], y[S13_SIZE], t, eta, omega;
    int grown, shrunk, restarts;
} s13_plain;

static double s13_W[S12_SIZE], s13_next[S13_SIZE], s13_move[S13_SIZE];

/* -f'(y), c x P x d, in the units of the objective. */
static void s13_slope(const cvxr_fit *f, const double *y, double *G) {
    const size_t per = f->patterns.count * f->data.d, n = f->data.n;
    size_t k, i;
    for (k = 0; k < f->data.c; k++) {
        s12_forward(f, y + k * per, s12_z);
        for (i = 0; i < n; i++)
            s12_theta[i] = (f->data.Y[k * n + i] - s12_z[i]) / f->core.units;
        s12_gradient(f, s12_theta, G + k * per);
    }
}

/* f(y + move) - f(y) - <f'(y), move> of the squared loss. */
static double s13_curvature(const cvxr_fit *f, const double *move) {
    size_t k;
    double sum = 0;
    for (k = 0; k < f->data.c; k++) {
        s12_forward(f, move + k * f->patterns.count * f->data.d, s12_z);
        sum += s12_dot(f->data.n, s12_z, s12_z);
    }
    return sum / (2 * f->core.units);
}

/* One line search [MSP22 eqs. 7, 8] from y with slope G; the new point in s13_next. */
static void s13_search(const cvxr_fit *f, s13_plain *s, const double *G) {
    const cvxrelu_options *o = &f->opt;
    const size_t P = f->patterns.count, d = f->data.d, size = f->data.c * P * d;
    double excess, moved;
    size_t k, i;
    if (o->step_rule == CVXRELU_STEP_FORWARD ||
        (o->step_rule == CVXRELU_STEP_TIGHTNESS && s->omega >= o->step_threshold))
        s->eta *= o->step_grow, s->grown++;
    for (;; s->eta *= o->step_shrink, s->shrunk++) {
        for (i = 0; i < size; i++) s13_next[i] = s->y[i] + s->eta * G[i];
        for (k = 0; k < f->data.c; k++)
            s10_shrink(f->problem.penalty, P, d, s13_next + k * P * d, s->eta * f->core.lambda);
        for (i = 0; i < size; i++) s13_move[i] = s13_next[i] - s->y[i];
        if (o->step_rule == CVXRELU_STEP_FIXED) return;
        excess = s13_curvature(f, s13_move);
        moved = s12_dot(size, s13_move, s13_move) / (2 * s->eta);
        if (excess <= moved) break;
    }
    s->omega = moved / excess;
}

static void s13_step(const cvxr_fit *f, s13_plain *s) {
    const size_t size = f->data.c * f->patterns.count * f->data.d;
    double t = (1 + sqrt(1 + 4 * s->t * s->t)) / 2, by = (s->t - 1) / t;
    double G[S13_SIZE], against = 0;
    size_t i;
    s13_slope(f, s->y, G);
    s13_search(f, s, G);
    for (i = 0; i < size; i++) against += (s13_next[i] - s->u[i]) * (s->y[i] - s13_next[i]);
    if (f->opt.no_acceleration) t = 1, by = 0;
    else if (against > 0 && !f->opt.no_restart) t = 1, by = 0, s->restarts++;
    for (i = 0; i < size; i++) {
        s->y[i] = s13_next[i] + by * (s13_next[i] - s->u[i]);
        s->u[i] = s13_next[i];
    }
    s->t = t;
}

/* Largest difference of the solver's U (padded) from u (not padded), over the largest of u. */
static double s13_distance(const cvxr_fit *f, const void *padded, const double *u) {
    const size_t d = f->data.d, rows = f->data.c * f->patterns.count;
    double worst = 0, most = 1e-300;
    size_t i, j;
    for (i = 0; i < rows; i++)
        for (j = 0; j < d; j++) {
            double got = ((const double *)padded)[i * f->data.dp + j];
            worst = cvxr_max(worst, runner_finite(got) ? fabs(got - u[i * d + j]) : 1e300);
            most = cvxr_max(most, fabs(u[i * d + j]));
        }
    return worst / most;
}

/* 60 iterations side by side. Rounding grows by at most the momentum, t^2 < 1000, and a few
   hundred operations an iteration: 60 * 1000 * 300 eps = 4e-9. */
static s13_plain s13_side_by_side(cvxrelu_penalty penalty, const cvxrelu_options *o,
                                  double lambda) {
    cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, penalty);
    cvxrelu_report report;
    cvxr_fista s;
    cvxr_fit f;
    s13_plain plain;
    int i;
    s12_open(&f, &p, o, lambda, &report);
    memset(&plain, 0, sizeof plain);
    plain.t = 1, plain.eta = f.opt.step_first;
    CHECK(cvxr_fista_open(&s, &f.core));
    for (i = 0; i < 60; i++) {
        cvxr_fista_gradient(&s);
        CHECK(cvxr_fista_search(&s));
        cvxr_fista_accept(&s);
        s13_step(&f, &plain);
        CHECK(s13_distance(&f, s.U, plain.u) < 4e-9 && s13_distance(&f, s.Y, plain.y) < 4e-9);
        CHECK_NEAR(s.eta / plain.eta, 1, 1e-12);
        CHECK_NEAR(s.t / plain.t, 1, 1e-12);
    }
    CHECK_NEAR(cvxr_fista_objective(&s), s12_evaluate(&f, lambda, plain.u).objective, 1e-8);
    cvxr_fista_close(&s);
    s12_close(&f);
    return plain;
}

TEST(r_fista_follows_its_plain_twin_step_by_step) {
    cvxrelu_options o;
    s13_plain end;
    size_t k;
    memset(&o, 0, sizeof o);
    for (k = 0; k < 4; k++) {
        o.step_first = 1e-4;                        /* far too short: must grow          */
        end = s13_side_by_side(s10_penalties[k], &o, 0.03);
        CHECK(end.grown > 10 && end.restarts > 0);
        o.step_first = 100;                         /* far too long: must shrink         */
        end = s13_side_by_side(s10_penalties[k], &o, 1e-2);
        CHECK(end.shrunk > 10);
    }
}

TEST(every_switch_of_r_fista_follows_its_plain_twin) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    o.step_rule = CVXRELU_STEP_WARM;
    CHECK(s13_side_by_side(CVXRELU_PENALTY_NEURON, &o, 0.03).grown == 0);
    o.step_rule = CVXRELU_STEP_FORWARD;
    CHECK(s13_side_by_side(CVXRELU_PENALTY_NEURON, &o, 0.03).grown == 60);
    o.step_rule = CVXRELU_STEP_FIXED;
    o.step_first = 1e-2;
    CHECK(s13_side_by_side(CVXRELU_PENALTY_NEURON, &o, 0.03).eta == 1e-2);
    o.step_rule = CVXRELU_STEP_TIGHTNESS;
    o.step_first = 0, o.step_grow = 2, o.step_shrink = 0.5, o.step_threshold = 1.5;
    CHECK(s13_side_by_side(CVXRELU_PENALTY_NEURON, &o, 0.03).grown > 0);
    o.no_restart = 1;
    CHECK(s13_side_by_side(CVXRELU_PENALTY_NEURON, &o, 0.03).t > 25);
    o.no_acceleration = 1;
    CHECK(s13_side_by_side(CVXRELU_PENALTY_NEURON, &o, 0.03).t == 1);
}

/* u, y and u' differ in one weight; restart exactly when (u' - u)(y - u') > 0. */
static double s13_t_after(double u, double y, double next, double *extrapolated) {
    cvxrelu_problem p = s12_problem(S13_N, S13_D, 1, S13_P, CVXRELU_PENALTY_NEURON);
    cvxrelu_report report;
    cvxr_fista s;
    cvxr_fit f;
    s12_open(&f, &p, NULL, 0.01, &report);
    CHECK(cvxr_fista_open(&s, &f.core));
    memset(s.V, 0, s.size * sizeof(double));
    memset(s.zV, 0, s.rows * sizeof(double));
    ((double *)s.U)[0] = u, ((double *)s.Y)[0] = y, ((double *)s.V)[0] = next;
    s.t = 2;
    cvxr_fista_accept(&s);
    CHECK(((double *)s.U)[0] == next);
    *extrapolated = ((double *)s.Y)[0];
    u = s.t;
    cvxr_fista_close(&s);
    s12_close(&f);
    return u;
}

TEST(restart_comes_when_the_step_turned_against_the_gradient_step) {
    const double t = (1 + sqrt(17.0)) / 2;
    double y;
    CHECK(s13_t_after(1, 3, 2, &y) == 1 && y == 2);       /* forward by 1, back from 3 */
    CHECK_NEAR(s13_t_after(1, 1.5, 2, &y), t, 1e-15);     /* forward by 1, beyond y    */
    CHECK_NEAR(y, 2 + 1 / t, 1e-14);
    CHECK(s13_t_after(2, 0, 1, &y) == 1 && y == 1);
    CHECK_NEAR(s13_t_after(2, 1.5, 1, &y), t, 1e-15);
    CHECK_NEAR(s13_t_after(2, 1, 1, &y), t, 1e-15);       /* zero is not above zero    */
}

TEST(forward_step_grows_by_alpha_when_the_bound_was_loose) {
    static const double omegas[3] = { 4.99, 5, 1e300 }, grown[3] = { 1e-6, 1.25e-6, 1.25e-6 };
    cvxrelu_problem p = s12_problem(S13_N, S13_D, 1, S13_P, CVXRELU_PENALTY_NEURON);
    cvxrelu_report report;
    cvxr_fista s;
    cvxr_fit f;
    size_t k;
    s12_open(&f, &p, NULL, 0.001, &report);
    CHECK(cvxr_fista_open(&s, &f.core));
    for (k = 0; k < 3; k++) {
        s.omega = omegas[k];
        s.eta = 1e-6;
        cvxr_fista_gradient(&s);
        CHECK(cvxr_fista_search(&s) && s.omega > 5);
        CHECK_NEAR(s.eta / grown[k], 1, 1e-15);
    }
    cvxr_fista_close(&s);
    s12_close(&f);
}

/* A fit whose weights, objective, bound, gap, subgradient and stationarity are recomputed. The
   report's error is 4000 roundings of the size of its terms, as in s12_compare. */
static cvxrelu_report s13_fit(const cvxrelu_problem *p, const cvxrelu_options *o,
                              s12_truth *t) {
    cvxrelu_model *model = NULL;
    cvxrelu_report r, other;
    cvxr_fit f;
    double by;
    CHECK(cvxrelu_fit(p, o, NULL, &model, &r) == CVXRELU_OK);
    memset(t, 0, sizeof *t);
    if (model == NULL) return r;
    CHECK(cvxrelu_model_convex(model, s13_W, NULL, NULL) == CVXRELU_OK);
    cvxrelu_model_free(model);
    s12_open(&f, p, o, p->lambda, &other);
    *t = s12_evaluate(&f, p->lambda, s13_W);
    s12_close(&f);
    by = 4000 * DBL_EPSILON * (t->size + t->objective);
    CHECK_NEAR(r.objective, t->objective, by);
    CHECK(r.neurons == t->active && r.has_bound == (p->lambda > 0 || r.objective == 0));
    if (r.has_bound) CHECK_NEAR(r.dual_bound, cvxr_max(0, t->dual), by);
    if (r.has_bound) CHECK_NEAR(r.gap * r.objective, t->objective - cvxr_max(0, t->dual), by);
    return r;
}

/* 1 / the largest eigenvalue of A^T A / (n c), by 300 power steps; 2% short to be safe. */
static double s13_safe_step(const cvxrelu_problem *p) {
    double v[S13_SIZE], norm = 1;
    cvxrelu_report report;
    cvxr_fit f;
    size_t i, it, size;
    s12_open(&f, p, NULL, 1, &report);
    size = f.patterns.count * f.data.d;
    for (i = 0; i < size; i++) v[i] = 1 + (double)(i % 3);
    for (it = 0; it < 300; it++) {
        s12_forward(&f, v, s12_z);
        s12_gradient(&f, s12_z, v);
        norm = sqrt(s12_dot(size, v, v));
        for (i = 0; i < size; i++) v[i] /= norm;
    }
    norm /= f.core.units;
    s12_close(&f);
    return 0.98 / norm;
}

TEST(every_step_rule_and_ablation_reaches_the_same_optimum) {
    cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, CVXRELU_PENALTY_NEURON);
    cvxrelu_options o;
    s12_truth t;
    double least = 0;
    int k;
    memset(&o, 0, sizeof o);
    o.solver = CVXRELU_SOLVER_FISTA;
    o.tol = 1e-9;                      /* then every objective is within 1e-9 of the optimum  */
    p.lambda = 0.02;
    for (k = 0; k < 6; k++) {
        cvxrelu_report r;
        o.step_rule = k < 4 ? (cvxrelu_step_rule)k : CVXRELU_STEP_TIGHTNESS;
        o.step_first = k == CVXRELU_STEP_FIXED ? s13_safe_step(&p) : 0;
        o.no_restart = k == 4;
        o.no_acceleration = k == 5;
        r = s13_fit(&p, &o, &t);
        CHECK(r.stop == CVXRELU_STOP_GAP && r.gap <= 1e-9 && r.solver == CVXRELU_SOLVER_FISTA);
        if (k == 0) least = r.objective;
        CHECK_NEAR(r.objective / least, 1, 1e-8);
    }
}

TEST(float32_work_reaches_the_optimum_to_its_own_precision) {
    size_t k;
    for (k = 0; k < 4; k++) {
        cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, s10_penalties[k]);
        cvxrelu_options o;
        cvxrelu_report narrow, wide;
        s12_truth t;
        memset(&o, 0, sizeof o);
        o.solver = CVXRELU_SOLVER_FISTA;
        o.tol = 1e-9;
        p.lambda = 0.02;
        wide = s13_fit(&p, &o, &t);
        o.tol = 1e-4;
        o.precision = CVXRELU_FLOAT32;
#ifdef CVXRELU_NO_FLOAT32
        SKIP("built without float32");
#endif
        narrow = s13_fit(&p, &o, &t);
        CHECK(wide.stop == CVXRELU_STOP_GAP && narrow.stop == CVXRELU_STOP_GAP);
        CHECK_NEAR(narrow.objective / wide.objective, 1, 1e-3);
    }
}

/* How far one group may be from g = lam u / ||u|| when the gap is e (sum units): then the dual
   norm is <= lam (1 + a) with a = sqrt(2 e) / (||r|| - sqrt(2 e)), lam ||u|| - <u, g> <= e + a
   lam ||u||, so ||g - lam u / ||u|| ||^2 <= lam^2 ((1+a)^2 - 1) + 2 lam (e / ||u|| + a lam). */
static size_t s13_wrong_kkt(cvxrelu_penalty penalty, size_t P, size_t d, const double *U,
                            const double *G, double lam, double e, double residual) {
    const double a = sqrt(2 * e) / (residual - sqrt(2 * e));
    size_t i, j, wrong = 0;
    for (i = 0; i < s10_groups(penalty, P, d); i++) {
        s10_group g = s10_group_at(penalty, P, d, i);
        double u = s10_norm(U, g), off = 0, most;
        if (penalty != CVXRELU_PENALTY_L2 && s10_norm(G, g) > lam * (1 + a)) wrong++;
        if (penalty != CVXRELU_PENALTY_L2 && u == 0) continue;
        for (j = 0; j < g.length; j++) {
            size_t at = g.first + j * g.stride;
            double by = penalty == CVXRELU_PENALTY_L2 ? lam : lam / u;
            off += (G[at] - by * U[at]) * (G[at] - by * U[at]);
        }
        most = lam * lam * (2 * a + a * a) + 2 * lam * (e / u + a * lam);
        if (off > (penalty == CVXRELU_PENALTY_L2 ? 2 * lam * e : most)) wrong++;
    }
    return wrong;
}

TEST(optimum_meets_the_kkt_conditions_of_every_penalty) {
    size_t q, k, i;
    for (q = 0; q < 4; q++) {
        cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, s10_penalties[q]);
        cvxrelu_report r;
        cvxrelu_options o;
        s12_truth t;
        cvxr_fit f;
        memset(&o, 0, sizeof o);
        o.solver = CVXRELU_SOLVER_FISTA;
        o.tol = 1e-12;
        p.lambda = 0.02;
        r = s13_fit(&p, &o, &t);
        CHECK(r.stop == CVXRELU_STOP_GAP && (q == 3 || t.active < r.c * r.patterns || q == 1));
        s12_open(&f, &p, &o, p.lambda, &r);
        for (k = 0; k < S13_C; k++) {
            const double *U = s13_W + k * f.patterns.count * S13_D;
            s12_forward(&f, U, s12_z);
            for (i = 0; i < S13_N; i++) s12_theta[i] = f.data.Y[k * S13_N + i] - s12_z[i];
            s12_gradient(&f, s12_theta, s12_G);
            CHECK(s13_wrong_kkt(s10_penalties[q], f.patterns.count, S13_D, U, s12_G, f.core.lam,
                                1e-12 * t.objective * f.core.units,
                                sqrt(s12_dot(S13_N, s12_theta, s12_theta))) == 0);
        }
        s12_close(&f);
    }
}

TEST(subgradient_tolerance_stops_the_run) {
    size_t k;
    for (k = 0; k < 4; k++) {
        cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, s10_penalties[k]);
        cvxrelu_options o;
        cvxrelu_report r;
        s12_truth t;
        memset(&o, 0, sizeof o);
        o.solver = CVXRELU_SOLVER_FISTA;
        o.tol = -1;
        o.subgradient_tol = 1e-8;
        p.lambda = 0.02;
        r = s13_fit(&p, &o, &t);
        CHECK(r.stop == CVXRELU_STOP_SUBGRADIENT && r.subgradient <= 1e-8);
        /* squares of differences of lambda-sized terms: feature sums cancel to lambda^2 eps */
        CHECK_NEAR(r.subgradient, t.subgradient, 1e-6 * t.subgradient + 1e-15 * 4e-4);
    }
}

/* What the progress callback saw. */
typedef struct s13_watch { double least, last, bound; int calls, stop_at; } s13_watch;

static int s13_progress(void *user, const cvxrelu_progress *progress) {
    s13_watch *watch = (s13_watch *)user;
    if (watch->calls++ == 0) watch->least = progress->objective;
    watch->least = cvxr_min(watch->least, progress->objective);
    watch->last = progress->objective;
    watch->bound = cvxr_max(watch->bound, progress->dual_bound);
    return watch->calls == watch->stop_at;
}

/* Without restarts the objective goes up and down: what comes back must be the least seen. The
   cheap objective of progress differs from the certificate's by rounding. */
static cvxrelu_stop s13_best_iterate(int max_iters, int stop_at, int *rose) {
    cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, CVXRELU_PENALTY_NEURON);
    cvxrelu_options o;
    cvxrelu_report r;
    s12_truth t;
    s13_watch watch;
    memset(&o, 0, sizeof o);
    memset(&watch, 0, sizeof watch);
    watch.stop_at = stop_at;
    o.solver = CVXRELU_SOLVER_FISTA;
    o.tol = 1e-12;
    o.no_restart = 1;
    o.max_iters = max_iters;
    o.progress = s13_progress;
    o.progress_user = &watch;
    p.lambda = 0.03;
    r = s13_fit(&p, &o, &t);
    CHECK(watch.calls == (stop_at ? stop_at : max_iters) && r.iterations == watch.calls);
    CHECK(r.objective <= watch.least * (1 + 1e-12));
    CHECK(watch.bound <= watch.least * (1 + 1e-12));
    *rose += watch.last > watch.least;
    return r.stop;
}

TEST(iteration_limit_returns_the_best_iterate_with_a_true_gap) {
    int limit, rose = 0;
    for (limit = 1; limit <= 151; limit += 5)
        CHECK(s13_best_iterate(limit, 0, &rose) == CVXRELU_STOP_ITERATIONS);
    CHECK(rose > 0);
}

TEST(stopped_run_returns_the_best_iterate_with_a_true_gap) {
    int at, rose = 0;
    for (at = 1; at <= 151; at += 5)
        CHECK(s13_best_iterate(1000, at, &rose) == CVXRELU_STOP_USER);
    CHECK(rose > 0);
}

/* A fixed step beyond 2 / L diverges: the best iterate is still a network with a true gap. */
TEST(step_far_too_long_returns_finite_weights) {
    size_t type;
    for (type = 0; type < S08_TYPES; type++) {
        cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, CVXRELU_PENALTY_NEURON);
        cvxrelu_options o;
        cvxrelu_report r;
        s12_truth t;
        memset(&o, 0, sizeof o);
        o.solver = CVXRELU_SOLVER_FISTA;
        o.precision = type ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
        o.step_rule = CVXRELU_STEP_FIXED;
        o.step_first = 1e3;
        p.lambda = 0.02;
        r = s13_fit(&p, &o, &t);
        CHECK(runner_finite(r.objective) && runner_finite(r.gap));
        CHECK(r.stop == CVXRELU_STOP_STALLED);
    }
}

/* Far below lambda_max the gap stays flat for thousands of iterations while the objective
   falls: that is no stall. A stalled run gains nothing from 2000 iterations more. */
TEST(slow_progress_is_not_taken_for_a_stall) {
    cvxrelu_problem p = s12_problem(80, S13_D, 1, 20, CVXRELU_PENALTY_NEURON);
    cvxrelu_options o;
    cvxrelu_model *first = NULL, *more = NULL;
    cvxrelu_report r, s;
    memset(&o, 0, sizeof o);
    o.solver = CVXRELU_SOLVER_FISTA;
    o.max_iters = 7000;
    p.lambda = 1e-6;
    CHECK(cvxrelu_fit(&p, &o, NULL, &first, &r) == CVXRELU_OK);
    o.max_iters = 2000;
    CHECK(cvxrelu_fit(&p, &o, first, &more, &s) == CVXRELU_OK);
    CHECK(s.objective <= r.objective * (1 + 1e-12));
    CHECK(r.stop != CVXRELU_STOP_STALLED || s.objective > 0.99 * r.objective);
    cvxrelu_model_free(first);
    cvxrelu_model_free(more);
}

TEST(start_at_the_optimum_ends_at_once) {
    size_t type;
    for (type = 0; type < S08_TYPES; type++) {
        cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, CVXRELU_PENALTY_NEURON);
        cvxrelu_options o;
        cvxrelu_model *first = NULL, *again = NULL;
        cvxrelu_report r;
        memset(&o, 0, sizeof o);
        o.solver = CVXRELU_SOLVER_FISTA;
        o.precision = type ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
        o.tol = 1e-4;
        o.step_first = 0.01;
        p.lambda = 0.02;
        CHECK(cvxrelu_fit(&p, &o, NULL, &first, &r) == CVXRELU_OK && r.iterations > 5);
        CHECK(cvxrelu_fit(&p, &o, first, &again, &r) == CVXRELU_OK && r.iterations <= 1);
        CHECK(r.stop == CVXRELU_STOP_GAP);
        cvxrelu_model_free(first);
        cvxrelu_model_free(again);
    }
}

TEST(first_order_workspaces_take_the_bytes_that_were_planned) {
    size_t type;
    for (type = 0; type < S08_TYPES; type++) {
        cvxrelu_problem p = s12_problem(S13_N, S13_D, S13_C, S13_P, CVXRELU_PENALTY_NEURON);
        cvxrelu_options o;
        cvxrelu_report report;
        cvxr_fista s;
        cvxr_cgls cg;
        cvxr_fit f;
        size_t before;
        memset(&o, 0, sizeof o);
        o.precision = type ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
        s12_open(&f, &p, &o, 1, &report);
        before = f.mem.now;
        CHECK(cvxr_fista_open(&s, &f.core));
        CHECK(f.mem.now - before == cvxr_fista_bytes(S13_N, type ? 16 : 8, S13_C,
                                                     f.patterns.count, s08_spaces[type]->size));
        cvxr_fista_close(&s);
        CHECK(cvxr_cgls_open(&cg, &f.core));
        CHECK(f.mem.now - before == cvxr_cgls_bytes(S13_N, 8, f.patterns.count));
        cvxr_cgls_close(&cg);
        CHECK(f.mem.now == before);
        s12_close(&f);
    }
}

/* Plain Cholesky: x = M^{-1} b, M (n x n) is overwritten. */
static void s13_solve(size_t n, double *M, double *x) {
    size_t i, j, k;
    for (j = 0; j < n; j++)
        for (i = j; i < n; i++) {
            for (k = 0; k < j; k++) M[i * n + j] -= M[i * n + k] * M[j * n + k];
            M[i * n + j] = i == j ? sqrt(M[i * n + j]) : M[i * n + j] / M[j * n + j];
        }
    for (i = 0; i < n; i++) {
        for (k = 0; k < i; k++) x[i] -= M[i * n + k] * x[k];
        x[i] /= M[i * n + i];
    }
    for (i = n; i-- > 0;) {
        for (k = i + 1; k < n; k++) x[i] -= M[k * n + i] * x[k];
        x[i] /= M[i * n + i];
    }
}

/* Element (i, column) of A = [D_1 X ... D_P X]. */
static double s13_A(const cvxr_fit *f, size_t i, size_t column) {
    size_t p = column / f->data.d, j = column % f->data.d;
    return s12_active(f, p, i) ? f->data.X[i * f->data.dp + j] : 0;
}

/* The solution of least norm: A^T (A A^T)^{-1} y when wide, (A^T A)^{-1} A^T y when tall. */
static void s13_least_norm(const cvxr_fit *f, int wide, const double *y, double *u) {
    static double M[S12_N * S12_N], b[S12_N];
    const size_t n = f->data.n, m = f->patterns.count * f->data.d, order = wide ? n : m;
    size_t i, j, k;
    for (i = 0; i < order; i++) {
        for (j = 0; j < order; j++) M[i * order + j] = 0;
        for (j = 0; j < order; j++)
            for (k = 0; k < (wide ? m : n); k++)
                M[i * order + j] += wide ? s13_A(f, i, k) * s13_A(f, j, k)
                                         : s13_A(f, k, i) * s13_A(f, k, j);
        b[i] = wide ? y[i] : 0;
        for (k = 0; !wide && k < n; k++) b[i] += s13_A(f, k, i) * y[k];
    }
    s13_solve(order, M, b);
    for (j = 0; j < m; j++) u[j] = wide ? 0 : b[j];
    for (j = 0; wide && j < m; j++)
        for (i = 0; i < n; i++) u[j] += s13_A(f, i, j) * b[i];
}

/* Rows with no active pattern and columns that no row has would make these singular: the shapes
   below have none. The stop at stationarity 1e-11 times a squared condition below 1e5: 1e-6. */
static void s13_check_least_norm(size_t n, size_t P, int wide, cvxrelu_solver solver) {
    cvxrelu_problem p = s12_problem(n, S13_D, S13_C, P, CVXRELU_PENALTY_NEURON);
    cvxrelu_options o;
    cvxrelu_report r, report;
    s12_truth t;
    cvxr_fit f;
    size_t k, i, m;
    static double want[S13_SIZE];
    memset(&o, 0, sizeof o);
    o.solver = solver;
    o.tol = 1e-11;
    r = s13_fit(&p, &o, &t);
    CHECK(r.stop == CVXRELU_STOP_STATIONARY && r.stationarity <= 1e-11 && r.gap == 0);
    CHECK_NEAR(r.stationarity, t.stationarity, 1e-13);
    CHECK(!wide || r.objective < 1e-18);
    s12_open(&f, &p, NULL, 0, &report);
    m = f.patterns.count * S13_D;
    for (k = 0; k < S13_C; k++) {
        double norm;
        s13_least_norm(&f, wide, f.data.Y + k * n, want);
        norm = sqrt(s12_dot(m, want, want));
        for (i = 0; i < m; i++) CHECK_NEAR(s13_W[k * m + i], want[i], 1e-6 * norm);
    }
    s12_close(&f);
}

TEST(lambda_zero_is_the_least_squares_solution_of_least_norm) {
    s13_check_least_norm(20, 24, 1, CVXRELU_SOLVER_FISTA);    /* interpolates */
    s13_check_least_norm(20, 24, 1, CVXRELU_SOLVER_AUTO);
    s13_check_least_norm(80, 4, 0, CVXRELU_SOLVER_FISTA);     /* does not     */
    s13_check_least_norm(80, 4, 0, CVXRELU_SOLVER_NEWTON);
}

/* Gates g and 3 g have one pattern: every split of the weight fits as well, equal parts are the
   shortest. */
TEST(lambda_zero_shares_the_weight_between_equal_patterns) {
    static const double gates[4 * S13_D] = { 1, 2, -1, 0.5, 3, 6, -3, 1.5,
                                             -1, 1, 1, 1, -3, 3, 3, 3 };
    cvxrelu_problem p = s12_problem(60, S13_D, 1, 0, CVXRELU_PENALTY_NEURON);
    cvxrelu_options o;
    cvxrelu_report r;
    s12_truth t;
    double norm = 0;
    size_t i, j;
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = gates, p.gates.given.rows = 4, p.gates.given.cols = S13_D;
    memset(&o, 0, sizeof o);
    o.tol = 1e-11;
    r = s13_fit(&p, &o, &t);
    CHECK(r.stop == CVXRELU_STOP_STATIONARY && r.patterns == 4);
    for (i = 0; i < 16; i++) norm = cvxr_max(norm, fabs(s13_W[i]));
    for (i = 0; i < 4; i += 2)
        for (j = 0; j < S13_D; j++)
            CHECK_NEAR(s13_W[i * S13_D + j], s13_W[(i + 1) * S13_D + j], 1e-14 * norm);
}

/* tol < 0 never stops: conjugate gradients then run on far below rounding, where they diverge
   if nothing holds them; they must not leave the solution that they had. */
TEST(lambda_zero_that_never_stops_keeps_its_solution) {
    size_t tall;
    for (tall = 0; tall < 2; tall++) {
        cvxrelu_problem p = s12_problem(80, S13_D, 1, tall ? 4 : 24, CVXRELU_PENALTY_NEURON);
        cvxrelu_options o;
        cvxrelu_report r;
        s12_truth t;
        double stopped;
        memset(&o, 0, sizeof o);
        o.tol = 1e-11;
        stopped = s13_fit(&p, &o, &t).objective;
        o.tol = -1;
        o.max_iters = 3000;
        r = s13_fit(&p, &o, &t);
        CHECK(r.objective <= stopped * (1 + 1e-9) + 1e-18);
        CHECK(r.stationarity <= 1e-11);
    }
}

TEST(lambda_zero_of_zero_targets_is_the_zero_network) {
    cvxrelu_problem p = s12_problem(20, S13_D, S13_C, S13_P, CVXRELU_PENALTY_NEURON);
    cvxrelu_report r;
    s12_truth t;
    memset(s12_Y, 0, sizeof s12_Y);
    r = s13_fit(&p, NULL, &t);
    CHECK(r.stop == CVXRELU_STOP_STATIONARY && r.objective == 0 && r.neurons == 0);
}

TEST(lambda_zero_under_an_iteration_limit_reports_its_true_objective) {
    cvxrelu_problem p = s12_problem(80, S13_D, S13_C, 4, CVXRELU_PENALTY_NEURON);
    cvxrelu_options o;
    cvxrelu_report r;
    s12_truth t;
    double before = HUGE_VAL;
    memset(&o, 0, sizeof o);
    o.tol = 1e-12;
    for (o.max_iters = 1; o.max_iters < 6; o.max_iters++) {
        r = s13_fit(&p, &o, &t);
        CHECK(r.stop == CVXRELU_STOP_ITERATIONS && r.objective < before);
        CHECK_NEAR(r.stationarity, t.stationarity, 1e-13);
        before = r.objective;
    }
}

/* Another smooth part in the same loop: f(U) = sum a_e (u_e - b_e)^2 / 2, its image the sum of
   all weights (which nobody needs: it must follow Y all the same). */
typedef struct s13_toy { double a[64], b[64]; int checks; } s13_toy;

static size_t s13_toy_image(cvxr_fista *s, void *W, void *z) {
    size_t e;
    *(double *)z = 0;
    for (e = 0; e < s->size; e++) *(double *)z += ((double *)W)[e];
    return 7;
}

static void s13_toy_gradient(cvxr_fista *s, void *W, void *z) {
    const s13_toy *toy = (const s13_toy *)s->self;
    double sum = 0;
    size_t e;
    for (e = 0; e < s->size; e++) {
        const double w = ((double *)W)[e];
        ((double *)s->G)[e] = toy->a[e] * (toy->b[e] - w);
        sum += w;
    }
    CHECK_NEAR(*(double *)z, sum, 1e-12);
}

static double s13_toy_half(const s13_toy *toy, size_t size, const double *x, const double *y) {
    double sum = 0;
    size_t e;
    for (e = 0; e < size; e++) sum += toy->a[e] * (x[e] - y[e]) * (x[e] - y[e]) / 2;
    return sum;
}

static double s13_toy_excess(cvxr_fista *s) {
    return s13_toy_half((const s13_toy *)s->self, s->size, (double *)s->V, (double *)s->Y);
}

static double s13_toy_value(cvxr_fista *s) {
    const s13_toy *toy = (const s13_toy *)s->self;
    return s13_toy_half(toy, s->size, (double *)s->U, toy->b);
}

static cvxrelu_stop s13_toy_check(cvxr_fista *s) {
    CHECK(++((s13_toy *)s->self)->checks == s->iteration && s->active == 7);
    return s->moved < 1e-28 ? CVXRELU_STOP_GAP : CVXRELU_STOP_NONE;
}

/* Soft thresholds of b at lambda / a; the limit and the caller's stop end the loop. */
TEST(loop_minimises_any_smooth_part_of_its_table) {
    static const cvxr_smooth smooth = { s13_toy_image, s13_toy_gradient, s13_toy_excess,
                                        s13_toy_value, s13_toy_check };
    cvxrelu_problem p = s12_problem(S13_N, S13_D, 1, S13_P, CVXRELU_PENALTY_L1);
    cvxrelu_report report;
    s13_toy toy;
    cvxr_fista s;
    cvxr_fit f;
    double objective = 0;
    size_t e, before;
    s12_open(&f, &p, NULL, 0.5, &report);
    before = f.mem.now;
    CHECK(cvxr_fista_begin(&s, &f.core, &smooth, 2, 3, 1) && s.size == 48 && s.per == 24);
    CHECK(f.mem.now - before == cvxr_fista_sizes(S13_N, 48, 3, 1, sizeof(double)));
    toy.checks = 0;
    s.self = &toy;
    s.lambda = 0.3;
    for (e = 0; e < s.size; e++)
        toy.a[e] = 1 + (double)(e % 7), toy.b[e] = sin(3 * (double)e);
    CHECK(cvxr_fista_run(&s, 3) == CVXRELU_STOP_ITERATIONS && report.iterations == 3);
    toy.checks = 0;
    cvxr_fista_restart(&s);
    CHECK(memcmp(s.U, s.Y, s.size * sizeof(double)) == 0 && s.t == 1);
    CHECK(cvxr_fista_run(&s, 5000) == CVXRELU_STOP_GAP && report.iterations < 2000);
    for (e = 0; e < s.size; e++) {
        const double b = toy.b[e], u = cvxr_max(0, fabs(b) - 0.3 / toy.a[e]);
        CHECK_NEAR(((double *)s.U)[e], b > 0 ? u : -u, 1e-12);
        objective += toy.a[e] * (fabs(b) - u) * (fabs(b) - u) / 2 + 0.3 * u;
    }
    CHECK_NEAR(cvxr_fista_objective(&s), objective, 1e-12 * objective);
    cvxr_fista_close(&s);
    s12_close(&f);
}

SUITE(s13_fista) {
    RUN(r_fista_follows_its_plain_twin_step_by_step);
    RUN(every_switch_of_r_fista_follows_its_plain_twin);
    RUN(restart_comes_when_the_step_turned_against_the_gradient_step);
    RUN(forward_step_grows_by_alpha_when_the_bound_was_loose);
    RUN(loop_minimises_any_smooth_part_of_its_table);
    RUN(every_step_rule_and_ablation_reaches_the_same_optimum);
    RUN(float32_work_reaches_the_optimum_to_its_own_precision);
    RUN(optimum_meets_the_kkt_conditions_of_every_penalty);
    RUN(subgradient_tolerance_stops_the_run);
    RUN(iteration_limit_returns_the_best_iterate_with_a_true_gap);
    RUN(stopped_run_returns_the_best_iterate_with_a_true_gap);
    RUN(step_far_too_long_returns_finite_weights);
    RUN(slow_progress_is_not_taken_for_a_stall);
    RUN(start_at_the_optimum_ends_at_once);
    RUN(first_order_workspaces_take_the_bytes_that_were_planned);
    RUN(lambda_zero_is_the_least_squares_solution_of_least_norm);
    RUN(lambda_zero_shares_the_weight_between_equal_patterns);
    RUN(lambda_zero_that_never_stops_keeps_its_solution);
    RUN(lambda_zero_of_zero_targets_is_the_zero_network);
    RUN(lambda_zero_under_an_iteration_limit_reports_its_true_objective);
}
