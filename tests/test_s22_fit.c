/* Tests of S22 FIT, PATH, CROSS-VALIDATION. Included by test_main.c after test_s14_newton.c,
   whose problems and judge it uses. */

/* Counts what is held and refuses the request of a given number (from 1; 0 = none). */
typedef struct s22_heap {
    size_t calls, refuse, held, most;
} s22_heap;

static void *s22_allocate(void *context, size_t size, size_t align) {
    s22_heap *heap = (s22_heap *)context;
    (void)align;
    if (++heap->calls == heap->refuse) return NULL;
    heap->held += size;
    heap->most = cvxr_max_z(heap->most, heap->held);
    return cvxr_default_allocate(size);
}

static void s22_release(void *context, void *memory, size_t size) {
    ((s22_heap *)context)->held -= size;
    cvxr_default_release(memory);
}

static void s22_use_heap(cvxrelu_options *o, s22_heap *heap, size_t refuse) {
    memset(heap, 0, sizeof *heap);
    heap->refuse = refuse;
    o->allocator.context = heap;
    o->allocator.allocate = s22_allocate;
    o->allocator.release = s22_release;
}

/* Columns from 1e-6 to 1e6 with offsets of a few spreads. */
static void s22_spoil(size_t n, size_t d) {
    size_t i, j;
    for (i = 0; i < n; i++)
        for (j = 0; j < d; j++) {
            double unit = pow(10.0, d > 1 ? 12.0 * (double)j / (double)(d - 1) - 6 : 0.0);
            s14_X[i * d + j] = unit * (s14_X[i * d + j] + (j % 2 ? 3 : -1));
        }
}

/* Labels 0 .. C-1 by the size of the first target. */
static void s22_labels(cvxrelu_problem *p, size_t classes) {
    size_t i, c = p->Y.cols, n = p->Y.rows;
    for (i = 0; i < n; i++) {
        double y = s14_Y[i * c];
        s14_Y[i] = classes == 2 ? y > 0 : y > 0.5 ? 2 : y > -0.5 ? 1 : 0;
    }
    p->Y.cols = 1;
    p->task = CVXRELU_TASK_CLASSES;
}

/* ---- Options. */

/* A number that the enumeration at `field` lacks. C++ does not define reading it, so C only. */
#ifndef __cplusplus
static void s22_enum(void *field, int value) { memcpy(field, &value, sizeof value); }
#endif

/* A fit fails with this code, names the field, and leaves no model. */
static void s22_refused(const cvxrelu_problem *p, const cvxrelu_options *o, cvxrelu_result code,
                        const char *name) {
    cvxrelu_report report;
    cvxrelu_model *model = (cvxrelu_model *)(void *)&report;
    cvxrelu_result result = cvxrelu_fit(p, o, NULL, &model, &report);
    const char *field = strrchr(name, '.') ? strrchr(name, '.') + 1 : name;
    int named = strstr(report.message, field) != NULL;
    if (result != code || !named)
        printf("     %s: code %d, \"%s\"\n", name, (int)result, report.message);
    CHECK(result == code && named);
    CHECK(model == NULL);
    if (result == CVXRELU_OK) cvxrelu_model_free(model);
}

static double s22_nan(void) {
    const uint64_t bits = (uint64_t)0x7ff8 << 48;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#define S22_BAD(member, value)                                                                 \
    do {                                                                                       \
        memset(&o, 0, sizeof o);                                                               \
        o.member = value;                                                                      \
        s22_refused(&p, &o, CVXRELU_ERR_ARGUMENT, #member);                                    \
    } while (0)

#define S22_BAD_ENUM(member, value)                                                            \
    do {                                                                                       \
        memset(&o, 0, sizeof o);                                                               \
        s22_enum(&o.member, value);                                                            \
        s22_refused(&p, &o, CVXRELU_ERR_ARGUMENT, #member);                                    \
    } while (0)

#define S22_BAD_HALF(member, value)                                                            \
    do {                                                                                       \
        memset(&o, 0, sizeof o);                                                               \
        o.allocator.member = value;                                                            \
        s22_refused(&p, &o, CVXRELU_ERR_ARGUMENT, "allocator");                                \
    } while (0)

TEST(option_out_of_range_is_named) {
    cvxrelu_problem p = s14_problem(10, 2, 1, 8);
    cvxrelu_options o;
    const double infinite = HUGE_VAL;
    p.lambda = 0.01;
    S22_BAD(tol, s22_nan());
    S22_BAD(tol, infinite);
    S22_BAD(tol, -infinite);
    S22_BAD(tol, 2);
    S22_BAD(subgradient_tol, -1e-9);
    S22_BAD(subgradient_tol, s22_nan());
    S22_BAD(max_iters, -1);
    S22_BAD(max_iters, INT_MIN);
    S22_BAD(time_limit, -1);
    S22_BAD(time_limit, s22_nan());
    S22_BAD(time_limit, infinite);
    S22_BAD(threads, -1);
    S22_BAD(threads, INT_MAX);
    S22_BAD(step_first, -1);
    S22_BAD(step_first, s22_nan());
    S22_BAD(step_first, infinite);
    S22_BAD(step_shrink, -0.5);
    S22_BAD(step_shrink, 1);
    S22_BAD(step_shrink, s22_nan());
    S22_BAD(step_grow, 0.5);
    S22_BAD(step_grow, -2);
    S22_BAD(step_grow, s22_nan());
    S22_BAD(step_threshold, -1);
    S22_BAD(step_threshold, s22_nan());
#ifndef __cplusplus
    S22_BAD_ENUM(solver, 4);
    S22_BAD(al.delta, -1);
    S22_BAD(al.window_high, s22_nan());
    S22_BAD(search.steps, -1);
    S22_BAD(search.step_size, infinite);
    S22_BAD_ENUM(solver, -1);
    S22_BAD_ENUM(precision, 2);
    S22_BAD_ENUM(step_rule, 4);
#endif
    S22_BAD_HALF(allocate, s22_allocate);
    S22_BAD_HALF(release, s22_release);
}

TEST(documented_open_ends_of_the_step_options_are_refused) {
    cvxrelu_problem p = s14_problem(10, 2, 1, 8);
    cvxrelu_options o;
    p.lambda = 0.01;
    S22_BAD(step_grow, 1);        /* alpha > 1 */
    S22_BAD(step_threshold, 0.5); /* c >= 1 */
}

#define S22_BAD_PROBLEM(member, value, code)                                                   \
    do {                                                                                       \
        cvxrelu_problem q = p;                                                                 \
        q.member = value;                                                                      \
        s22_refused(&q, NULL, code, #member);                                                  \
    } while (0)

#define S22_BAD_CHOICE(member, value, code)                                                    \
    do {                                                                                       \
        cvxrelu_problem q = p;                                                                 \
        s22_enum(&q.member, value);                                                            \
        s22_refused(&q, NULL, code, #member);                                                  \
    } while (0)

TEST(problem_field_out_of_range_is_named) {
    cvxrelu_problem p = s14_problem(10, 2, 1, 8);
    const cvxrelu_result bad = CVXRELU_ERR_ARGUMENT;
    p.lambda = 0.01;
    S22_BAD_PROBLEM(lambda, -1, bad);
    S22_BAD_PROBLEM(lambda, s22_nan(), bad);
    S22_BAD_PROBLEM(lambda, HUGE_VAL, bad);
#ifndef __cplusplus
    S22_BAD_CHOICE(kind, 9, bad);
    S22_BAD_CHOICE(search, 4, bad);
    S22_BAD_CHOICE(loss, 1, bad);
    S22_BAD_CHOICE(penalty, 4, bad);
    S22_BAD_CHOICE(scale, 4, bad);
    S22_BAD_CHOICE(task, 2, bad);
    S22_BAD_CHOICE(gates.sampler, 5, bad);
#endif
    S22_BAD_PROBLEM(scale, CVXRELU_SCALE_STANDARD, bad); /* without bias */
    S22_BAD_PROBLEM(gates.active_share, 1.5, bad);
    S22_BAD_PROBLEM(X.rows, 9, bad);
    s22_refused(NULL, NULL, bad, "problem");
    s14_X[5] = s22_nan();
    s22_refused(&p, NULL, CVXRELU_ERR_NONFINITE, "row 2, column 1");
}

TEST(newton_with_another_penalty_is_refused) {
    cvxrelu_problem p = s14_problem(10, 2, 1, 8);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    p.penalty = CVXRELU_PENALTY_L1;
    p.lambda = 0.1;
    s22_refused(&p, &o, CVXRELU_ERR_UNSUPPORTED, "penalty");
}

TEST(null_arguments_are_refused) {
    cvxrelu_problem p = s14_problem(10, 2, 1, 8);
    cvxrelu_report report, reports[20];
    cvxrelu_cv_point points[20];
    cvxrelu_model *model = NULL;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t chosen, bytes;
    double most;
    const cvxrelu_result bad = CVXRELU_ERR_ARGUMENT;
    CHECK(cvxrelu_fit(&p, NULL, NULL, &model, NULL) == bad);
    CHECK(cvxrelu_fit(&p, NULL, NULL, NULL, &report) == bad && strstr(report.message, "model"));
    CHECK(cvxrelu_path(&p, NULL, NULL, NULL, NULL, message) == bad
          && strstr(message, "reports"));
    CHECK(cvxrelu_path(NULL, NULL, NULL, NULL, reports, NULL) == bad);
    CHECK(cvxrelu_lambda_max(&p, NULL, NULL, message) == bad && strstr(message, "lambda_max"));
    CHECK(cvxrelu_lambda_max(NULL, NULL, &most, message) == bad && strstr(message, "problem"));
    CHECK(cvxrelu_fit_bytes(&p, NULL, NULL, message) == bad && strstr(message, "bytes"));
    CHECK(cvxrelu_fit_bytes(NULL, NULL, &bytes, NULL) == bad && bytes == 0);
    CHECK(cvxrelu_cross_validate(&p, NULL, NULL, points, &chosen, &model, NULL) == bad);
    CHECK(cvxrelu_cross_validate(&p, NULL, NULL, NULL, &chosen, &model, &report) == bad);
    CHECK(cvxrelu_cross_validate(&p, NULL, NULL, points, NULL, &model, &report) == bad);
    CHECK(cvxrelu_cross_validate(&p, NULL, NULL, points, &chosen, NULL, &report) == bad);
    CHECK(cvxrelu_cross_validate(NULL, NULL, NULL, points, &chosen, &model, &report) == bad);
    CHECK(model == NULL);
}

TEST(zero_options_resolve_to_the_documented_defaults) {
    cvxrelu_options o, zero;
    cvxrelu_gates gates;
    cvxrelu_path_options path;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t count;
    int given;
    memset(&zero, 0, sizeof zero);
    memset(&gates, 0, sizeof gates);
    memset(&path, 0, sizeof path);
    for (given = 0; given < 2; given++) {
        CHECK(cvxr_options_resolve(given ? &zero : NULL, &o, message) == CVXRELU_OK);
        CHECK(o.solver == CVXRELU_SOLVER_AUTO && o.precision == CVXRELU_FLOAT64
              && o.tol == 1e-6);
        CHECK(o.subgradient_tol == 0 && o.time_limit == 0 && o.memory_limit == 0);
        CHECK(o.max_working_set == 0 && o.max_factor == 6144 && o.threads == 1);
        CHECK(o.step_rule == CVXRELU_STEP_TIGHTNESS && o.step_first == 1
              && o.step_shrink == 0.8);
        CHECK(o.step_grow == 1.25 && o.step_threshold == 5 && !o.portable);
        CHECK(cvxr_path_check(given ? &path : NULL, &count, message) == CVXRELU_OK
              && count == 20);
    }
    CHECK(cvxr_gates_count(&gates) == 1000);
}

TEST(report_says_what_the_defaults_were) {
    cvxrelu_problem p = s14_problem(20, 3, 2, 0);
    cvxrelu_report report;
    cvxrelu_model *model;
    p.lambda = 0.1 * s14_lambda_max(&p);
    p.gates.count = 0;
    model = s14_fit(&p, NULL, &report);
    CHECK(report.tol == 1e-6 && report.threads == 1 && report.solver == CVXRELU_SOLVER_NEWTON);
    CHECK(report.n == 20 && report.d == 3 && report.c == 2
          && report.scope == CVXRELU_SCOPE_PATTERNS);
    CHECK(report.patterns > 100 && report.patterns <= 1000 && report.lambda == p.lambda);
    CHECK(report.passes > 0 && report.flops > 0 && report.iterations > 0
          && report.seconds >= 0);
    CHECK(report.stationarity > 0 && report.message[0] == 0);
    cvxrelu_model_free(model);
}

/* ---- Strengths at the ends. */

TEST(strength_above_lambda_max_gives_the_zero_network_with_gap_zero) {
    cvxrelu_problem p = s14_problem(30, 3, 2, 40);
    const double most = s14_lambda_max(&p);
    int k;
    for (k = 0; k < 6; k++) {
        cvxrelu_options o =
            s14_options(k % 2 ? CVXRELU_SOLVER_FISTA : CVXRELU_SOLVER_NEWTON, 0);
        cvxrelu_report report;
        cvxrelu_model *model;
        p.lambda = most * (k < 2 ? 1 : k < 4 ? 1.001 : 1e8);
        model = s14_fit(&p, &o, &report);
        CHECK(report.neurons == 0 && report.stop == CVXRELU_STOP_GAP
              && report.lambda_max == most);
        CHECK(k < 2 ? report.gap <= 1e-15 : report.gap == 0);
        s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
}

TEST(lambda_max_is_the_smallest_strength_of_the_zero_network) {
    cvxrelu_problem p = s14_problem(30, 3, 2, 40);
    const double most = s14_lambda_max(&p);
    cvxrelu_report report;
    cvxrelu_model *model;
    p.lambda = most;
    model = s14_fit(&p, NULL, &report); /* its judge has max ||X^T D y|| / (lambda n c) - 1 */
    CHECK(model != NULL
          && fabs(s14_judge(&p, model, most * (1 - 1e-9)).inactive - 1e-9) <= 1e-13);
    cvxrelu_model_free(model);
    p.lambda = 0.99 * most;
    model = s14_fit(&p, NULL, &report);
    CHECK(report.neurons > 0);
    cvxrelu_model_free(model);
}

TEST(zero_targets_have_objective_bound_and_gap_zero) {
    cvxrelu_problem p = s14_problem(20, 3, 2, 30);
    cvxrelu_path_options path;
    cvxrelu_report report, reports[4];
    cvxrelu_model *model;
    cvxrelu_cv_point points[4];
    char message[CVXRELU_MESSAGE_SIZE] = "";
    size_t chosen, i;
    memset(s14_Y, 0, sizeof s14_Y);
    for (i = 0; i < 4; i++) {
        cvxrelu_options o =
            s14_options(i % 2 ? CVXRELU_SOLVER_FISTA : CVXRELU_SOLVER_NEWTON, 0);
        p.lambda = i < 2 ? 1e-3 : 0;
        model = s14_fit(&p, &o, &report);
        CHECK(report.objective == 0 && report.dual_bound == 0 && report.gap == 0);
        CHECK(report.neurons == 0 && report.train_error == 0 && report.stationarity == 0);
        cvxrelu_model_free(model);
    }
    memset(&path, 0, sizeof path);
    path.count = 4;
    CHECK(cvxrelu_path(&p, NULL, &path, NULL, reports, message) == CVXRELU_OK);
    for (i = 0; i < 4; i++) CHECK(reports[i].objective == 0 && reports[i].gap == 0);
    CHECK(cvxrelu_cross_validate(&p, NULL, &path, points, &chosen, &model, &report)
          == CVXRELU_OK);
    for (i = 0; i < 4; i++) CHECK(points[i].error == 0);
    cvxrelu_model_free(model);
}

TEST(strength_zero_is_least_squares_without_a_bound) {
    static const size_t sizes[][2] = { { 60, 2 }, { 10, 6 } }; /* the second interpolates */
    int k;
    for (k = 0; k < 4; k++) {
        cvxrelu_problem p = s14_problem(sizes[k / 2][0], sizes[k / 2][1], 2, 6);
        cvxrelu_options o =
            s14_options(k % 2 ? CVXRELU_SOLVER_FISTA : CVXRELU_SOLVER_NEWTON, 1e-9);
        cvxrelu_report report;
        cvxrelu_model_info info;
        cvxrelu_model *model = s14_fit(&p, &o, &report);
        if (model == NULL) return;
        CHECK(report.stop == CVXRELU_STOP_STATIONARY && report.stationarity <= 1e-9);
        CHECK(!report.has_bound && report.dual_bound == 0 && report.gap == 0);
        CHECK(k < 2 ? report.objective > 1e-4 : report.objective < 1e-12);
        cvxrelu_model_get_info(model, &info);
        CHECK(!info.has_bound && info.lambda == 0);
        s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
}

/* ---- Memory. */

/* The numbers in a message, in their order; at most `most`. */
static size_t s22_numbers(const char *text, size_t most, double *out) {
    size_t count = 0;
    while (*text && count < most) {
        if (*text >= '0' && *text <= '9') {
            char *end;
            out[count++] = strtod(text, &end);
            text = end;
        } else text++;
    }
    return count;
}

static size_t s22_bytes(const cvxrelu_problem *p, const cvxrelu_options *o) {
    char message[CVXRELU_MESSAGE_SIZE] = "";
    size_t bytes = 0;
    CHECK(cvxrelu_fit_bytes(p, o, &bytes, message) == CVXRELU_OK);
    CHECK_TEXT(message, "");
    return bytes;
}

/* A fit under a limit either keeps to it with a true gap, or names it and what it takes. */
static int s22_fit_under(const cvxrelu_problem *p, cvxrelu_solver solver, size_t limit) {
    cvxrelu_options o = s14_options(solver, 0);
    cvxrelu_report report;
    cvxrelu_model *model;
    cvxrelu_result result;
    double numbers[2];
    s22_heap heap;
    s22_use_heap(&o, &heap, 0);
    o.memory_limit = limit;
    result = cvxrelu_fit(p, &o, NULL, &model, &report);
    CHECK(heap.most <= limit);
    if (result == CVXRELU_OK) {
        CHECK(report.peak_bytes <= limit && report.peak_bytes == heap.most);
        CHECK(report.stop == CVXRELU_STOP_GAP && report.gap <= 1e-6);
        s14_check_report(p, model, &report);
        cvxrelu_model_free(model);
    } else {
        CHECK(result == CVXRELU_ERR_LIMIT && model == NULL);
        CHECK(s22_numbers(report.message, 2, numbers) == 2);
        CHECK(numbers[0] == (double)limit && numbers[1] > (double)limit);
    }
    CHECK(heap.held == 0);
    return result == CVXRELU_OK;
}

TEST(memory_limit_is_kept_or_named) {
    cvxrelu_problem p = s14_problem(400, 6, 1, 100);
    size_t bytes, share;
    p.lambda = 0.05 * s14_lambda_max(&p);
    bytes = s22_bytes(&p, NULL);
    CHECK(s22_fit_under(&p, CVXRELU_SOLVER_AUTO, bytes));
    CHECK(s22_fit_under(&p, CVXRELU_SOLVER_NEWTON, bytes));
    CHECK(s22_fit_under(&p, CVXRELU_SOLVER_NEWTON, 3 * bytes / 4)); /* a smaller factor */
    CHECK(!s22_fit_under(&p, CVXRELU_SOLVER_NEWTON, 1));
    CHECK(!s22_fit_under(&p, CVXRELU_SOLVER_AUTO, 1000));
    for (share = 7; share >= 1; share--)
        s22_fit_under(&p, CVXRELU_SOLVER_AUTO, share * bytes / 8);
}

/* heap.most <= fit_bytes <= 2 peak_bytes, but for a factor that may not have been needed. */
static void s22_check_bytes(const cvxrelu_problem *p, cvxrelu_solver solver,
                            cvxrelu_type type) {
    cvxrelu_options o = s14_options(solver, 0);
    cvxrelu_report report;
    cvxrelu_model *model;
    s22_heap heap;
    size_t bytes, most;
    o.precision = type;
    o.max_iters = 2;
    bytes = s22_bytes(p, &o);
    s22_use_heap(&o, &heap, 0);
    model = s14_fit(p, &o, &report);
    most = 2 * report.peak_bytes;
    if (solver == CVXRELU_SOLVER_NEWTON)
        most += cvxr_block_size(report.n, report.n, 0) * sizeof(double);
    if (bytes > most)
        printf("     %lu bytes planned, %lu at the peak\n", (unsigned long)bytes,
               (unsigned long)report.peak_bytes);
    CHECK(report.solver == solver && report.peak_bytes == heap.most);
    CHECK(bytes >= report.peak_bytes && bytes <= most);
    cvxrelu_model_free(model);
    CHECK(heap.held == 0);
}

TEST(bytes_of_a_fit_bound_its_peak_within_a_factor_of_two) {
    int k;
    for (k = 0; k < 2; k++) {
        cvxrelu_problem p = k ? s14_problem(1000, 20, 1, 100) : s14_problem(250, 50, 1, 1000);
        p.lambda = 1e-3;
        s22_check_bytes(&p, CVXRELU_SOLVER_NEWTON, CVXRELU_FLOAT64);
        s22_check_bytes(&p, CVXRELU_SOLVER_NEWTON, CVXRELU_FLOAT32);
        s22_check_bytes(&p, CVXRELU_SOLVER_FISTA, CVXRELU_FLOAT64);
        s22_check_bytes(&p, CVXRELU_SOLVER_FISTA, CVXRELU_FLOAT32);
    }
}

/* The bytes that the manual, MEMORY, states for a gated fit of one thread, Newton with a
   largest factor of so many. */
static double s22_stated(double n, double d, double c, double P, double factor, int fista,
                         int single) {
    const double dp = ceil(d / 8) * 8, wide = single ? ceil(d / 16) * 16 : dp;
    const double e = single ? 4 : 8, most = 2 * n > 64 ? 2 * n : 64, small = n < d ? n : d;
    const double W = fista || P < most ? P : most, least = dp > 8 ? dp - 7 : 1;
    const double kept = W < n / least ? W : n / least,
                 model = 8 * P * d + c * W * (32 * d + 41);
    const double solver =
        fista ? 4 * c * P * wide * e + 4 * c * n * e + 8 * n + 8 * P
              : factor + 8 * dp * (P + 16 * W) + n * (W + kept) / 8 + 144 * W + 16 * P
                    + 120 * n + 262144 + 8 * dp * dp;
    const double held = 8 * n * (dp + c) + P * (n / 8 + 8 * d), making = 80 * n + 32 * P
                        + 8 * small * (d + 1);
    const double thread = (double)(cvxr_op_slice() + cvxr_la_work_bytes(1));
    const double work = thread + 4120 * dp + 32 * n + (fista ? 1 : 2) * c * W * (8 * dp + 16)
                        + (single && fista ? 4 * n * wide : 0);
    const double run = work + (model > solver ? model : solver);
    return held + (run > making ? run : making);
}

TEST(peak_of_a_fit_is_within_the_bound_that_the_manual_states) {
    static const size_t sizes[5][3] = {
        { 60, 3, 500 }, { 300, 20, 50 }, { 500, 7, 400 }, { 100, 60, 200 }, { 1200, 4, 30 }
    };
    size_t k, c, run;
    for (k = 0; k < 5; k++)
        for (c = 1; c <= 3; c += 2)
            for (run = 0; run < 3; run++) {
                cvxrelu_problem p = s14_problem(sizes[k][0], sizes[k][1], c, sizes[k][2]);
                cvxrelu_options o = s14_options(run ? CVXRELU_SOLVER_FISTA
                                                    : CVXRELU_SOLVER_NEWTON, 0);
                cvxrelu_report r;
                double stated;
                p.lambda = 1e-3;
                o.max_iters = 2;
                o.precision = run == 2 ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
                cvxrelu_model_free(s14_fit(&p, &o, &r));
                stated = s22_stated((double)r.n, (double)r.d, (double)c, (double)sizes[k][2],
                                    8.0 * (double)r.n * (double)r.n + 1024.0 * (double)r.n,
                                    run > 0, run == 2);
                if ((double)r.peak_bytes > 1.02 * stated)
                    printf("     n %lu, d %lu, c %lu, run %lu: %lu bytes, stated %.0f\n",
                           (unsigned long)r.n, (unsigned long)r.d, (unsigned long)c,
                           (unsigned long)run, (unsigned long)r.peak_bytes, stated);
                CHECK((double)r.peak_bytes <= 1.02 * stated);
                CHECK(s22_bytes(&p, &o) >= r.peak_bytes);
            }
}

/* The same for a ReLU network, by Newton with the largest factor of n rows, or by AL. */
static double s22_stated_relu(double n, double d, double c, double P, int al) {
    const double dp = ceil(d / 8) * 8, most = 2 * n > 64 ? 2 * n : 64;
    const double W = al || 2 * P < most ? 2 * P : most;
    const double model = 8 * P * d + c * W * (32 * d + 41);
    const double all = 8 * most * dp * dp, some = 32 * (n + dp) * dp + 32e6;
    const double kept = d < 17 ? 0 : 2 * P * (16 * dp * dp + 68 * dp + 56);
    const double newton = 8 * dp * (P + 19 * W) + n * W / 8 + 160 * W + 32 * P + 120 * n
                          + 4 * W * (dp + 3) + (kept < 32e6 ? kept : 32e6)
                          + 1024 * (n < 256 ? n : 256) + 8 * dp * dp
                          + 2 * (all < some ? all : some) + 16 * n * n + 1024 * n;
    const double pool = most * (8 * n + 16 * most) + 16 * most * dp + 80 * most + 48 * P;
    const double solver = al ? 80 * P * c * dp + 16 * P * n * c + 8 * P * dp
                                   + 1024 * (n + dp) + 8 * n * (4 * c + 1)
                             : newton > pool ? newton : pool;
    const double thread = (double)(cvxr_op_slice() + cvxr_la_work_bytes(1));
    const double faces = 24 * P * d + 170 * P + (double)cvxr_cone_bytes((size_t)n, (size_t)dp);
    return 8 * n * (dp + c) + P * (n / 8 + 8 * d) + thread + 4120 * dp + 32 * n + faces
           + 2 * c * W * (8 * dp + 17) + (model > solver ? model : solver);
}

TEST(peak_of_a_relu_fit_is_within_the_bound_that_the_manual_states) {
    static const size_t sizes[4][3] = {
        { 60, 3, 200 }, { 300, 20, 50 }, { 500, 7, 100 }, { 100, 60, 100 }
    };
    size_t k, c, al;
    for (k = 0; k < 4; k++)
        for (c = 1; c <= 3; c += 2)
            for (al = 0; al < 2; al++) {
                cvxrelu_problem p = s14_problem(sizes[k][0], sizes[k][1], c, sizes[k][2]);
                cvxrelu_options o = s14_options(al ? CVXRELU_SOLVER_AL
                                                   : CVXRELU_SOLVER_NEWTON, 0);
                cvxrelu_report r;
                double stated;
                p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF;
                p.lambda = 1e-3;
                o.max_iters = al ? 2 : 20;
                cvxrelu_model_free(s14_fit(&p, &o, &r));
                stated = s22_stated_relu((double)r.n, (double)r.d, (double)c,
                                         (double)sizes[k][2], (int)al);
                if ((double)r.peak_bytes > 1.02 * stated)
                    printf("     n %lu, d %lu, c %lu, al %lu: %lu bytes, stated %.0f\n",
                           (unsigned long)r.n, (unsigned long)r.d, (unsigned long)c,
                           (unsigned long)al, (unsigned long)r.peak_bytes, stated);
                CHECK((double)r.peak_bytes <= 1.02 * stated);
                CHECK(s22_bytes(&p, &o) >= r.peak_bytes);
            }
}

/* A fit that makes no factor but those of order q = k + d, k at most P. */
TEST(newton_takes_no_more_for_a_factor_than_its_order_needs) {
    cvxrelu_problem p = s14_problem(1500, 10, 1, 60);
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-6);
    const double q = 80, n = 1500;
    cvxrelu_report r;
    p.lambda = 1e-3;
    cvxrelu_model_free(s14_fit(&p, &o, &r));
    CHECK(r.factors > 0 && r.gap <= 1e-6);
    CHECK((double)r.peak_bytes < 1.02 * s22_stated(n, 10, 1, 60, 4 * (n + q) * q, 0, 0));
}

/* An allocator that refuses what is large once the solver has begun. */
typedef struct s22_stingy {
    int begun;
    size_t refused;
} s22_stingy;

static void *s22_stingy_allocate(void *context, size_t size, size_t align) {
    s22_stingy *heap = (s22_stingy *)context;
    (void)align;
    heap->refused += heap->begun && size > 60000;
    return heap->begun && size > 60000 ? NULL : cvxr_default_allocate(size);
}

static void s22_stingy_release(void *context, void *memory, size_t size) {
    (void)context, (void)size;
    cvxr_default_release(memory);
}

static int s22_begin(void *user, const cvxrelu_progress *progress) {
    (void)progress;
    ((s22_stingy *)user)->begun = 1;
    return 0;
}

TEST(newton_is_certified_with_every_factor_refused) {
    cvxrelu_problem p = s14_problem(700, 10, 1, 60);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-8);
    cvxrelu_report whole, less;
    s22_stingy heap;
    memset(&heap, 0, sizeof heap);
    p.lambda = 1e-5;
    cvxrelu_model_free(s14_fit(&p, &o, &whole));
    o.allocator.context = o.progress_user = &heap;
    o.allocator.allocate = s22_stingy_allocate;
    o.allocator.release = s22_stingy_release;
    o.progress = s22_begin;
    cvxrelu_model_free(s14_fit(&p, &o, &less));
    CHECK(heap.refused > 0 && whole.factors > 0 && less.factors == 0);
    CHECK(less.solver == CVXRELU_SOLVER_NEWTON && less.gap <= 1e-8);
    CHECK_NEAR(less.objective, whole.objective, 2e-8 * whole.objective);
}

/* Under a limit that the rays alone keep to the network is the same to the accuracy asked
   for. */
TEST(newton_does_without_the_memory_of_a_factor) {
    cvxrelu_problem p = s14_problem(700, 10, 1, 60);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-8);
    cvxrelu_report whole, less;
    const size_t square = 8 * 700 * 700;
    p.lambda = 1e-5;
    cvxrelu_model_free(s14_fit(&p, &o, &whole));
    CHECK(whole.gap <= 1e-8);
    o.memory_limit = s22_bytes(&p, &o) - square / 2;
    cvxrelu_model_free(s14_fit(&p, &o, &less));
    CHECK(less.solver == CVXRELU_SOLVER_NEWTON && less.gap <= 1e-8);
    CHECK(less.peak_bytes <= o.memory_limit && whole.factors > 0);
    CHECK_NEAR(less.objective, whole.objective, 2e-8 * whole.objective);
}

/* Training inside an arena of exactly the bytes asked for, from an address of any alignment. */
static void s22_check_arena(const cvxrelu_problem *p, cvxrelu_solver solver, cvxrelu_type type,
                            size_t skip) {
    cvxrelu_options o = s14_options(solver, 0);
    cvxrelu_report report;
    cvxrelu_arena arena;
    cvxrelu_model *model;
    unsigned char *buffer;
    size_t bytes;
    o.precision = type;
    o.max_iters = p->lambda > 0 && solver == CVXRELU_SOLVER_FISTA ? 5 : 0;
    bytes = s22_bytes(p, &o);
    buffer = (unsigned char *)malloc(bytes + skip);
    o.allocator = cvxrelu_arena_init(&arena, buffer + skip, bytes);
    model = s14_fit(p, &o, &report);
    CHECK(arena.peak <= bytes && arena.used > 0);
    cvxrelu_model_free(model);
    CHECK(arena.used == 0);
    free(buffer);
}

TEST(arena_of_the_bytes_asked_for_is_enough) {
    static const double gate[] = { 1, -1, 0.5, 2, 1, 1, -1, 0, 1 };
    int k;
    for (k = 0; k < 10; k++) {
        cvxrelu_problem p = s14_problem(k == 4 ? 1 : 70, 3, k % 3 ? 1 : 3, k == 5 ? 600 : 50);
        p.lambda = k == 6 ? 0 : k == 8 ? 1e-6 : 1e-2;
        if (k == 7) s22_labels(&p, 3);
        if (k % 2) p.no_bias = 0, p.scale = CVXRELU_SCALE_STANDARD;
        if (k == 3) p.gates.sampler = CVXRELU_SAMPLER_POINTS;
        if (k == 5) p.gates.active_share = 0.3;
        if (k == 9) {
            p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
            p.gates.given.data = gate, p.gates.given.rows = p.gates.given.cols = 3;
        }
        s22_check_arena(&p, CVXRELU_SOLVER_NEWTON, CVXRELU_FLOAT64, (size_t)k);
        s22_check_arena(&p, CVXRELU_SOLVER_FISTA, CVXRELU_FLOAT64, 8);
        s22_check_arena(&p, CVXRELU_SOLVER_FISTA, CVXRELU_FLOAT32, 63);
    }
}

/* One call of each kind with every allocation refused in turn, until one goes through. */
static void s22_refuse_each(const cvxrelu_problem *p, cvxrelu_solver solver, int call) {
    cvxrelu_path_options path;
    size_t refuse, i, chosen, spared = 0;
    memset(&path, 0, sizeof path);
    path.count = 2;
    path.folds = 2;
    for (refuse = 1; refuse < 2000; refuse++) {
        cvxrelu_options o = s14_options(solver, 1e-2);
        cvxrelu_model *models[2] = { NULL, NULL };
        cvxrelu_report reports[2];
        cvxrelu_cv_point points[2];
        cvxrelu_result result;
        s22_heap heap;
        char message[CVXRELU_MESSAGE_SIZE] = "";
        s22_use_heap(&o, &heap, refuse);
        o.max_iters = 3;
        reports->message[0] = 0;
        if (call == 0) result = cvxrelu_fit(p, &o, NULL, models, reports);
        else if (call == 1) result = cvxrelu_path(p, &o, &path, models, reports, message);
        else result = cvxrelu_cross_validate(p, &o, &path, points, &chosen, models, reports);
        if (result == CVXRELU_OK) CHECK(heap.held > 0);
        else {
            CHECK(result == CVXRELU_ERR_MEMORY);
            CHECK(models[0] == NULL && models[1] == NULL && heap.held == 0);
            CHECK((call == 1 ? message[0] : reports->message[0]) != 0);
        }
        for (i = 0; i < 2; i++) cvxrelu_model_free(models[i]);
        CHECK(heap.held == 0);
        if (result == CVXRELU_OK && heap.calls < refuse) break;
        spared += result == CVXRELU_OK;
    }
    /* A factor can be done without, nothing else. */
    CHECK(spared <= (solver == CVXRELU_SOLVER_NEWTON ? 16 : 0));
    CHECK(refuse > 20 && refuse < 2000);
}

TEST(every_refused_allocation_is_an_error_without_a_leak) {
    cvxrelu_problem p = s14_problem(8, 2, 1, 6);
    p.lambda = 0.01;
    s22_refuse_each(&p, CVXRELU_SOLVER_NEWTON, 0);
    s22_refuse_each(&p, CVXRELU_SOLVER_FISTA, 0);
    s22_refuse_each(&p, CVXRELU_SOLVER_NEWTON, 1);
    s22_refuse_each(&p, CVXRELU_SOLVER_NEWTON, 2);
    p.lambda = 0;
    s22_refuse_each(&p, CVXRELU_SOLVER_AUTO, 0);
}

TEST(cross_validation_keeps_to_the_memory_limit) {
    cvxrelu_problem p = s14_problem(60, 48, 1, 10);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 1e-2);
    cvxrelu_path_options path;
    cvxrelu_cv_point points[2];
    cvxrelu_report report;
    cvxrelu_model *model;
    s22_heap heap;
    size_t chosen;
    memset(&path, 0, sizeof path);
    path.count = 2, path.ratio = 0.5, path.folds = 30;
    o.memory_limit = s22_bytes(&p, &o); /* enough for a fit of all rows */
    s22_use_heap(&o, &heap, 0);
    if (cvxrelu_cross_validate(&p, &o, &path, points, &chosen, &model, &report) == CVXRELU_OK)
        cvxrelu_model_free(model);
    else CHECK(strstr(report.message, "limit") != NULL);
    CHECK(heap.most <= o.memory_limit && heap.held == 0);
}

/* ---- Stopping. */

typedef struct s22_watch {
    int calls, stop_at;
    double optimum, lambda, bound; /* optimum 0: not known */
    int iteration;
    size_t groups;
} s22_watch;

/* Bounds never fall, never pass the optimum; no iterate is below it. */
static int s22_progress(void *user, const cvxrelu_progress *p) {
    s22_watch *watch = (s22_watch *)user;
    CHECK(p->lambda == watch->lambda && p->seconds >= 0 && p->active <= watch->groups);
    CHECK(p->iteration >= watch->iteration);
    CHECK(p->dual_bound >= watch->bound && p->dual_bound <= p->objective);
    CHECK_NEAR(p->gap * p->objective, p->objective - p->dual_bound, 1e-12 * p->objective);
    if (watch->optimum > 0) {
        CHECK(p->dual_bound <= watch->optimum * (1 + 1e-12));
        CHECK(p->objective >= watch->optimum * (1 - 1e-8));
    }
    watch->iteration = p->iteration;
    watch->bound = p->dual_bound;
    return ++watch->calls == watch->stop_at;
}

/* First unwatched for the optimum, then watched to the end, then stopped at some calls. */
static void s22_check_progress(cvxrelu_problem *p, cvxrelu_solver solver) {
    cvxrelu_options o = s14_options(solver, 1e-8);
    cvxrelu_report report;
    cvxrelu_model *model;
    double optimum;
    int stop_at, calls = 0;
    p->lambda = 0.02 * s14_lambda_max(p);
    model = s14_fit(p, &o, &report);
    optimum = report.objective;
    cvxrelu_model_free(model);
    for (stop_at = 0; stop_at <= 8; stop_at = stop_at ? 2 * stop_at : 1) {
        s22_watch watch;
        memset(&watch, 0, sizeof watch);
        watch.optimum = optimum, watch.lambda = p->lambda, watch.stop_at = stop_at;
        watch.groups = report.patterns * report.c;
        o.progress = s22_progress;
        o.progress_user = &watch;
        model = s14_fit(p, &o, &report);
        if (stop_at == 0) calls = watch.calls;
        CHECK(watch.calls == (stop_at == 0 || stop_at > calls ? calls : stop_at));
        if (stop_at && stop_at < calls)
            CHECK(report.stop == CVXRELU_STOP_USER && report.gap > 1e-8);
        s14_check_report(p, model, &report);
        cvxrelu_model_free(model);
    }
    CHECK(calls > 3);
}

TEST(progress_of_newton_is_honest_and_can_stop_it) {
    cvxrelu_problem p = s14_problem(60, 4, 1, 80);
    s22_check_progress(&p, CVXRELU_SOLVER_NEWTON);
}

TEST(progress_of_newton_with_three_outputs_is_honest_and_can_stop_it) {
    cvxrelu_problem p = s14_problem(60, 4, 3, 80);
    s22_check_progress(&p, CVXRELU_SOLVER_NEWTON);
}

TEST(progress_of_fista_is_honest_and_can_stop_it) {
    cvxrelu_problem p = s14_problem(40, 3, 2, 40);
    s22_check_progress(&p, CVXRELU_SOLVER_FISTA);
}

static double s22_clock(void *user) { return *(double *)user += 1; }

TEST(time_limit_stops_with_a_true_gap) {
    cvxrelu_problem p = s14_problem(60, 4, 2, 80);
    cvxrelu_report report;
    cvxrelu_model *model;
    int k;
    for (k = 0; k < 6; k++) {
        cvxrelu_options o =
            s14_options(k % 2 ? CVXRELU_SOLVER_FISTA : CVXRELU_SOLVER_NEWTON, 1e-9);
        double now = 1e6;
        o.clock.user = &now;
        o.clock.seconds = s22_clock;
        o.time_limit = k / 2 == 2 ? 1e5 : 3;
        p.lambda = k / 2 == 1 ? 0 : 1e-3;
        model = s14_fit(&p, &o, &report);
        CHECK((report.stop == CVXRELU_STOP_TIME) == (k / 2 != 2));
        CHECK(report.seconds >= 1 && report.seconds <= (k / 2 == 2 ? 1e5 : 10));
        s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
}

/* The limit is of the call, not of each of its fits. */
TEST(time_limit_of_cross_validation_is_of_the_whole_call) {
    cvxrelu_problem p = s14_problem(40, 3, 1, 40);
    cvxrelu_path_options path;
    cvxrelu_cv_point points[3];
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-3);
    cvxrelu_report report;
    cvxrelu_model *model;
    size_t chosen;
    double now = 0, all;
    memset(&path, 0, sizeof path);
    path.count = 3;
    o.clock.user = &now;
    o.clock.seconds = s22_clock;
    o.time_limit = 1e6;
    CHECK(cvxrelu_cross_validate(&p, &o, &path, points, &chosen, &model, &report)
          == CVXRELU_OK);
    cvxrelu_model_free(model);
    all = now;
    now = 0;
    o.time_limit = all / 2;
    if (cvxrelu_cross_validate(&p, &o, &path, points, &chosen, &model, &report) == CVXRELU_OK) {
        CHECK(report.stop == CVXRELU_STOP_TIME);
        cvxrelu_model_free(model);
    } else CHECK(model == NULL && report.message[0] != 0);
    CHECK(now <= 0.7 * all);
}

TEST(one_iteration_is_a_fit_with_a_true_gap) {
    cvxrelu_problem p = s14_problem(40, 3, 1, 40);
    int k;
    for (k = 0; k < 3; k++) {
        cvxrelu_options o =
            s14_options(k == 1 ? CVXRELU_SOLVER_FISTA : CVXRELU_SOLVER_NEWTON, 0);
        cvxrelu_report report;
        cvxrelu_model *model;
        p.lambda = k == 2 ? 0 : 1e-3;
        o.max_iters = 1;
        model = s14_fit(&p, &o, &report);
        CHECK(report.stop == CVXRELU_STOP_ITERATIONS && report.iterations == 1);
        CHECK(report.gap > 1e-6 || k == 2);
        s14_check_report(&p, model, &report);
        cvxrelu_model_free(model);
    }
}

TEST(float32_fit_reports_a_true_gap) {
    cvxrelu_problem p = s14_problem(60, 5, 2, 60);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 1e-3);
    cvxrelu_report report;
    cvxrelu_model *model;
    o.precision = CVXRELU_FLOAT32;
    p.lambda = 0.05 * s14_lambda_max(&p);
    model = s14_fit(&p, &o, &report);
    CHECK(report.stop == CVXRELU_STOP_GAP && report.gap <= 1e-3);
    s14_check_report(&p, model, &report);
    cvxrelu_model_free(model);
}

/* ---- Warm starts. */

/* The objective of `p` from `start`, to 1e-9; solver as asked. */
static double s22_from(const cvxrelu_problem *p, cvxrelu_solver solver,
                       const cvxrelu_model *start, cvxrelu_report *report,
                       cvxrelu_model **model) {
    cvxrelu_options o = s14_options(solver, 1e-9);
    CHECK(cvxrelu_fit(p, &o, start, model, report) == CVXRELU_OK);
    CHECK_TEXT(report->message, "");
    s14_check_report(p, *model, report);
    CHECK(report->gap <= 1e-9);
    return report->objective;
}

TEST(warm_start_ends_at_the_same_objective) {
    int k;
    for (k = 0; k < 4; k++) {
        cvxrelu_problem p = s14_problem(40, 3, k % 2 ? 2 : 1, 40);
        const cvxrelu_solver solver = k < 2 ? CVXRELU_SOLVER_NEWTON : CVXRELU_SOLVER_FISTA;
        const double most = s14_lambda_max(&p);
        cvxrelu_report report;
        cvxrelu_model *first, *cold, *warm;
        double objective;
        int steps;
        p.lambda = 0.2 * most;
        s22_from(&p, solver, NULL, &report, &first);
        p.lambda = 0.1 * most;
        objective = s22_from(&p, solver, NULL, &report, &cold);
        steps = report.iterations;
        CHECK_NEAR(s22_from(&p, solver, first, &report, &warm), objective, 2e-9 * objective);
        cvxrelu_model_free(warm);
        CHECK_NEAR(s22_from(&p, solver, cold, &report, &warm), objective, 2e-9 * objective);
        CHECK(report.iterations < steps);
        cvxrelu_model_free(warm);
        p.lambda = most * 1.01; /* from a network to none */
        s22_from(&p, solver, cold, &report, &warm);
        CHECK(report.neurons == 0);
        cvxrelu_model_free(warm);
        cvxrelu_model_free(cold);
        cvxrelu_model_free(first);
    }
}

TEST(start_from_other_data_or_gates_is_refused) {
    cvxrelu_problem p = s14_problem(30, 3, 2, 40), q;
    cvxrelu_report report;
    cvxrelu_model *start, *model;
    int k;
    p.lambda = 0.1 * s14_lambda_max(&p);
    start = s14_fit(&p, NULL, &report);
    for (k = 0; k < 5; k++) {
        q = p;
        if (k == 0) q.gates.seed = 1;
        if (k == 1) q.gates.count = 20;
        if (k == 2) q.no_bias = 0;
        if (k == 3) q.X.cols = 2, q.X.stride = 3;
        if (k == 4) q.Y.cols = 1, q.Y.stride = 2;
        model = start;
        CHECK(cvxrelu_fit(&q, NULL, start, &model, &report) == CVXRELU_ERR_ARGUMENT);
        CHECK(model == NULL && strstr(report.message, "start") != NULL);
    }
    cvxrelu_model_free(start);
}

TEST(start_is_taken_with_a_zero_column_and_given_gates) {
    cvxrelu_problem p = s14_problem(30, 3, 1, 0);
    cvxrelu_random random;
    cvxrelu_report report;
    cvxrelu_model *start, *model = NULL;
    size_t i;
    cvxrelu_random_init(&random, 3);
    s14_normals(&random, 60, s14_gates);
    for (i = 0; i < 30; i++) s14_X[3 * i + 1] = 0;
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = s14_gates, p.gates.given.rows = 20, p.gates.given.cols = 3;
    p.lambda = 0.1 * s14_lambda_max(&p);
    start = s14_fit(&p, NULL, &report);
    CHECK(report.neurons > 0);
    CHECK(cvxrelu_fit(&p, NULL, start, &model, &report) == CVXRELU_OK);
    CHECK_TEXT(report.message, "");
    cvxrelu_model_free(model);
    cvxrelu_model_free(start);
}

/* ---- Path. */

TEST(path_falls_from_lambda_max_and_equals_separate_fits) {
    int k;
    for (k = 0; k < 3; k++) {
        cvxrelu_problem p = s14_problem(30, 3, k == 1 ? 2 : 1, 40);
        cvxrelu_options o =
            s14_options(k == 2 ? CVXRELU_SOLVER_FISTA : CVXRELU_SOLVER_NEWTON, 1e-7);
        cvxrelu_path_options path;
        cvxrelu_model *models[6], *model;
        cvxrelu_report reports[6], report;
        char message[CVXRELU_MESSAGE_SIZE] = "";
        const double most = s14_lambda_max(&p);
        size_t i;
        memset(&path, 0, sizeof path);
        path.count = 6;
        path.ratio = k == 2 ? 1e-1 : 0;
        CHECK(cvxrelu_path(&p, &o, &path, models, reports, message) == CVXRELU_OK);
        CHECK_TEXT(message, "");
        CHECK(reports[0].lambda == most && reports[0].neurons == 0);
        CHECK_NEAR(reports[5].lambda / most, k == 2 ? 1e-1 : 1e-4, 1e-12);
        for (i = 0; i < 6; i++) {
            s14_check_report(&p, models[i], &reports[i]);
            CHECK(reports[i].gap <= 1e-7 && reports[i].lambda_max == most);
            CHECK(i == 0 || reports[i].lambda < reports[i - 1].lambda);
            p.lambda = reports[i].lambda;
            model = s14_fit(&p, &o, &report);
            CHECK_NEAR(report.objective, reports[i].objective, 2e-7 * report.objective);
            cvxrelu_model_free(model);
            cvxrelu_model_free(models[i]);
        }
    }
}

TEST(path_takes_given_strengths_and_zero_among_them) {
    cvxrelu_problem p = s14_problem(30, 3, 2, 40);
    const double most = s14_lambda_max(&p);
    double lambdas[5];
    cvxrelu_path_options path;
    cvxrelu_model *models[5];
    cvxrelu_report reports[5];
    char message[CVXRELU_MESSAGE_SIZE] = "";
    size_t i;
    lambdas[0] = 2 * most, lambdas[1] = 0.01 * most, lambdas[2] = 0;
    lambdas[3] = 0.1 * most, lambdas[4] = 1e-5 * most;
    memset(&path, 0, sizeof path);
    path.count = 5;
    path.lambdas = lambdas;
    CHECK(cvxrelu_path(&p, NULL, &path, models, reports, message) == CVXRELU_OK);
    for (i = 0; i < 5; i++) {
        CHECK(reports[i].lambda == lambdas[i]);
        CHECK(reports[i].stop == (i == 2 ? CVXRELU_STOP_STATIONARY : CVXRELU_STOP_GAP));
        s14_check_report(&p, models[i], &reports[i]);
        cvxrelu_model_free(models[i]);
    }
    CHECK(reports[0].neurons == 0 && !reports[2].has_bound && reports[3].has_bound);
    CHECK(cvxrelu_path(&p, NULL, &path, NULL, reports, message)
          == CVXRELU_OK); /* reports only */
}

static int s22_stop_second(void *user, const cvxrelu_progress *p) {
    return p->lambda < *(const double *)user;
}

TEST(stopped_path_keeps_what_was_solved) {
    cvxrelu_problem p = s14_problem(30, 3, 1, 40);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-9);
    cvxrelu_path_options path;
    cvxrelu_model *models[4];
    cvxrelu_report reports[4];
    double limit = 0.5 * s14_lambda_max(&p);
    size_t i;
    memset(&path, 0, sizeof path);
    path.count = 4;
    o.progress = s22_stop_second;
    o.progress_user = &limit;
    CHECK(cvxrelu_path(&p, &o, &path, models, reports, NULL) == CVXRELU_OK);
    CHECK(reports[0].stop == CVXRELU_STOP_GAP && reports[1].stop == CVXRELU_STOP_USER);
    CHECK(models[0] != NULL && models[1] != NULL && models[2] == NULL && models[3] == NULL);
    CHECK(reports[2].stop == CVXRELU_STOP_NONE && reports[3].stop == CVXRELU_STOP_NONE);
    s14_check_report(&p, models[1], &reports[1]);
    for (i = 0; i < 4; i++) cvxrelu_model_free(models[i]);
}

#define S22_BAD_PATH(member, value, name)                                                      \
    do {                                                                                       \
        memset(&path, 0, sizeof path);                                                         \
        path.member = value;                                                                   \
        message[0] = 0;                                                                        \
        CHECK(cvxrelu_path(&p, NULL, &path, NULL, reports, message) == CVXRELU_ERR_ARGUMENT);  \
        CHECK(strstr(message, name) != NULL);                                                  \
    } while (0)

TEST(path_option_out_of_range_is_named) {
    cvxrelu_problem p = s14_problem(12, 2, 1, 8);
    static const double bad[] = { 0.1, -0.1 };
    cvxrelu_path_options path;
    cvxrelu_report reports[20];
    cvxrelu_cv_point points[20];
    cvxrelu_model *model;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t chosen, k;
    S22_BAD_PATH(ratio, -0.1, "ratio");
    S22_BAD_PATH(ratio, 1, "ratio");
    S22_BAD_PATH(ratio, s22_nan(), "ratio");
    S22_BAD_PATH(lambdas, bad, "count");
    memset(&path, 0, sizeof path);
    path.count = 2, path.lambdas = bad;
    CHECK(cvxrelu_path(&p, NULL, &path, NULL, reports, message) == CVXRELU_ERR_ARGUMENT);
    CHECK(strstr(message, "lambdas[1]") != NULL);
    for (k = 0; k < 2; k++) {
        memset(&path, 0, sizeof path);
        path.folds = k ? 13 : 1;
        CHECK(cvxrelu_cross_validate(&p, NULL, &path, points, &chosen, &model, reports)
              == CVXRELU_ERR_ARGUMENT);
        CHECK(model == NULL && strstr(reports->message, "folds") != NULL);
    }
}

/* ---- Cross-validation. */

static cvxrelu_model *s22_cross(const cvxrelu_problem *p, const cvxrelu_path_options *path,
                                cvxrelu_cv_point *points, size_t *chosen,
                                cvxrelu_report *report) {
    cvxrelu_model *model = NULL;
    cvxrelu_result result =
        cvxrelu_cross_validate(p, NULL, path, points, chosen, &model, report);
    CHECK(result == CVXRELU_OK && model != NULL);
    if (result) CHECK_TEXT(report->message, "");
    return model;
}

/* Every row its own fold, the zero network: errors by plain loops, centred by other rows. */
static void s22_check_zero_network(const cvxrelu_problem *p) {
    const size_t n = p->X.rows, c = p->Y.cols;
    static const double huge_strength[] = { 1e8 };
    cvxrelu_path_options path;
    cvxrelu_cv_point point;
    cvxrelu_report report;
    double error[64], mean = 0, var = 0;
    size_t i, j, k, chosen = 9;
    memset(&path, 0, sizeof path);
    path.count = 1, path.lambdas = huge_strength, path.folds = n;
    cvxrelu_model_free(s22_cross(p, &path, &point, &chosen, &report));
    for (i = 0; i < n; i++)
        for (error[i] = 0, k = 0; k < c; k++) {
            double others = 0;
            for (j = 0; j < n; j++) others += j != i ? s14_Y[j * c + k] / (double)(n - 1) : 0;
            if (!p->centre_targets) others = 0;
            if (p->task == CVXRELU_TASK_CLASSES) error[i] = s14_Y[i] != 0;
            else
                error[i] +=
                    (s14_Y[i * c + k] - others) * (s14_Y[i * c + k] - others) / (double)c;
        }
    for (i = 0; i < n; i++) mean += error[i] / (double)n;
    for (i = 0; i < n; i++) var += (error[i] - mean) * (error[i] - mean) / (double)(n - 1);
    CHECK(chosen == 0 && point.lambda == 1e8);
    CHECK_NEAR(point.error, mean, 1e-12 * mean);
    CHECK_NEAR(point.deviation, sqrt(var / (double)n), 1e-12 * mean);
}

TEST(leave_one_out_errors_of_the_zero_network_match_plain_loops) {
    cvxrelu_problem p = s14_problem(15, 2, 2, 8);
    s22_check_zero_network(&p);
    p.centre_targets = 1;
    s22_check_zero_network(&p);
    p.centre_targets = 0;
    s22_labels(&p, 2);
    s22_check_zero_network(&p);
}

/* Errors of leave-one-out by fits of our own: the folds are known but for their order. */
TEST(leave_one_out_errors_match_separate_fits) {
    cvxrelu_problem p = s14_problem(9, 2, 1, 12), part;
    cvxrelu_path_options path;
    cvxrelu_cv_point points[3];
    cvxrelu_report report;
    double X[18], Y[9], lambdas[3], out, error;
    size_t i, k, chosen;
    memset(&path, 0, sizeof path);
    for (k = 0; k < 3; k++) lambdas[k] = pow(10.0, -(double)k) * 0.1 * s14_lambda_max(&p);
    path.count = 3, path.lambdas = lambdas, path.folds = 9;
    cvxrelu_model_free(s22_cross(&p, &path, points, &chosen, &report));
    for (k = 0; k < 3; k++) {
        for (error = 0, i = 0; i < 9; i++) {
            cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-9);
            cvxrelu_model *model;
            memcpy(X, s14_X, sizeof X), memcpy(Y, s14_Y, sizeof Y);
            memcpy(X + 2 * i, X + 16, 2 * sizeof(double)), Y[i] = Y[8];
            part = p;
            part.X.data = X, part.Y.data = Y, part.X.rows = part.Y.rows = 8;
            part.lambda = lambdas[k];
            model = s14_fit(&part, &o, &report);
            if (model == NULL) return;
            cvxrelu_model_predict(model, s14_X + 2 * i, &out);
            error += (out - s14_Y[i]) * (out - s14_Y[i]) / 9;
            cvxrelu_model_free(model);
        }
        /* 1e-2: gaps of 1e-6 leave predictions uncertain by a thousandth */
        CHECK_NEAR(points[k].error, error, 1e-2 * error);
    }
}

TEST(cross_validation_is_deterministic_and_refits_all_rows) {
    cvxrelu_problem p = s14_problem(40, 3, 2, 30);
    cvxrelu_path_options path;
    cvxrelu_cv_point points[6], again[6], other[6];
    cvxrelu_report report, fit;
    cvxrelu_model *model, *same;
    size_t chosen, chosen2, i, best = 0;
    p.centre_targets = 1;
    memset(&path, 0, sizeof path);
    path.count = 6, path.fold_seed = 5;
    model = s22_cross(&p, &path, points, &chosen, &report);
    if (model == NULL) return;
    CHECK(chosen < 6 && report.lambda == points[chosen].lambda && report.n == 40);
    CHECK(points[0].lambda == s14_lambda_max(&p));
    for (i = 0; i < 6; i++) {
        CHECK(points[i].error > 0 && points[i].deviation >= 0);
        CHECK(i == 0 || points[i].lambda < points[i - 1].lambda);
        if (points[i].error < points[best].error) best = i;
    }
    CHECK(chosen == best);
    p.lambda = points[chosen].lambda;
    same = s14_fit(&p, NULL, &fit);
    CHECK(fit.objective == report.objective && fit.train_error == report.train_error);
    s14_check_report(&p, model, &report);
    cvxrelu_model_free(same);
    cvxrelu_model_free(model);
    p.lambda = 77; /* ignored */
    cvxrelu_model_free(s22_cross(&p, &path, again, &chosen2, &report));
    CHECK(chosen2 == chosen && memcmp(points, again, sizeof points) == 0);
    path.fold_seed = 6;
    cvxrelu_model_free(s22_cross(&p, &path, other, &chosen2, &report));
    CHECK(memcmp(points, other, sizeof points) != 0);
    path.fold_seed = 5, path.one_standard_error = 1;
    cvxrelu_model_free(s22_cross(&p, &path, again, &chosen2, &report));
    CHECK(memcmp(points, again, sizeof points) == 0 && chosen2 <= chosen);
    CHECK(points[chosen2].error <= points[best].error + points[best].deviation);
    CHECK(chosen2 == 0
          || points[chosen2 - 1].error > points[best].error + points[best].deviation);
}

TEST(cross_validation_bears_a_class_that_a_fold_lacks) {
    cvxrelu_problem p = s14_problem(24, 3, 1, 20);
    cvxrelu_path_options path;
    cvxrelu_cv_point points[3];
    cvxrelu_report report;
    cvxrelu_model *model;
    cvxrelu_model_info info;
    size_t chosen, i, folds;
    s22_labels(&p, 2);
    s14_Y[7] = 2; /* one row of class 2 */
    memset(&path, 0, sizeof path);
    path.count = 3;
    for (folds = 2; folds <= 24; folds += 11) {
        path.folds = folds;
        model = s22_cross(&p, &path, points, &chosen, &report);
        if (model == NULL) return;
        cvxrelu_model_get_info(model, &info);
        CHECK(info.classes == 3 && info.outputs == 3 && chosen < 3);
        for (i = 0; i < 3; i++) CHECK(points[i].error >= 0 && points[i].error <= 1);
        cvxrelu_model_free(model);
    }
}

TEST(cross_validation_of_two_rows_works) {
    cvxrelu_problem p = s14_problem(2, 2, 1, 8);
    cvxrelu_path_options path;
    cvxrelu_cv_point points[2];
    cvxrelu_report report;
    size_t chosen;
    p.no_bias = 0, p.scale = CVXRELU_SCALE_AUTO;
    memset(&path, 0, sizeof path);
    path.count = path.folds = 2;
    cvxrelu_model_free(s22_cross(&p, &path, points, &chosen, &report));
}

/* ---- Predictions of the network against the solver's own. */

/* Objective from predictions of the network and the penalty of its convex form; train_error. */
static void s22_check_predictions(const cvxrelu_problem *p, const cvxrelu_model *model,
                                  const cvxrelu_report *report) {
    const size_t n = p->X.rows, d = p->X.cols, c = report->c;
    double sum = 0, wrong = 0, out[4];
    s14_truth t = s14_judge(p, model, report->lambda);
    size_t i, k;
    if (model == NULL) return;
    for (i = 0; i < n; i++) {
        cvxrelu_model_predict(model, s14_X + i * d, out);
        if (p->task == CVXRELU_TASK_CLASSES)
            wrong += (double)cvxrelu_model_class(model, out) != s14_Y[i];
        for (k = 0; k < c; k++) {
            double y = p->task == CVXRELU_TASK_REGRESSION ? s14_Y[i * c + k]
                       : c == 1                           ? 2 * s14_Y[i] - 1
                                                          : s14_Y[i] == (double)k;
            sum += (out[k] - y) * (out[k] - y);
        }
    }
    sum /= (double)(n * c);
    CHECK_NEAR(0.5 * sum + report->lambda * t.penalty, report->objective,
               1e-10 * report->objective);
    if (p->task == CVXRELU_TASK_CLASSES)
        CHECK_NEAR(report->train_error, wrong / (double)n, 1e-15);
    else CHECK_NEAR(report->train_error, sum, 1e-10 * (sum + report->objective));
}

TEST(network_predicts_what_the_solver_did_for_every_scale_bias_and_task) {
    static const cvxrelu_scale scales[] = { CVXRELU_SCALE_STANDARD, CVXRELU_SCALE_UNIT,
                                            CVXRELU_SCALE_NONE };
    int scale, no_bias, task, solver;
    for (scale = 0; scale < 3; scale++)
        for (no_bias = 0; no_bias < 2; no_bias++)
            for (task = 0; task < 4; task++) /* two outputs, centred, 2 classes, 3 classes */
                for (solver = 1; solver <= 2; solver++) {
                    cvxrelu_problem p = s14_problem(40, 5, task < 2 ? 2 : 1, 40);
                    cvxrelu_options o = s14_options((cvxrelu_solver)solver, 0);
                    cvxrelu_report report;
                    cvxrelu_model *model;
                    if (scale == 0 && no_bias) continue;
                    s22_spoil(40, 5);
                    p.scale = scales[scale], p.no_bias = no_bias, p.centre_targets = task == 1;
                    if (task >= 2) s22_labels(&p, (size_t)task);
                    o.max_iters = 40;
                    p.lambda = 1e-3 * s14_lambda_max(&p);
                    model = s14_fit(&p, &o, &report);
                    CHECK(report.neurons > 0);
                    s22_check_predictions(&p, model, &report);
                    cvxrelu_model_free(model);
                }
}

TEST(network_of_least_squares_and_of_other_penalties_predicts_what_the_solver_did) {
    int k;
    for (k = 0; k < 5; k++) {
        cvxrelu_problem p = s14_problem(40, 5, 2, 30);
        cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-3);
        cvxrelu_report report;
        cvxrelu_model *model;
        size_t i;
        double out[2], sum = 0;
        s22_spoil(40, 5);
        p.no_bias = 0, p.scale = CVXRELU_SCALE_STANDARD;
        if (k < 4) p.penalty = (cvxrelu_penalty)k;
        p.lambda = k < 4 ? 1e-2 : 0;
        o.max_iters = 100;
        model = s14_fit(&p, &o, &report);
        if (model == NULL) return;
        for (i = 0; i < 40; i++) {
            cvxrelu_model_predict(model, s14_X + i * 5, out);
            sum += (out[0] - s14_Y[2 * i]) * (out[0] - s14_Y[2 * i]) / 80;
            sum += (out[1] - s14_Y[2 * i + 1]) * (out[1] - s14_Y[2 * i + 1]) / 80;
        }
        CHECK_NEAR(report.train_error, sum, 1e-10 * (sum + 1e-3));
        cvxrelu_model_free(model);
    }
}

TEST(float32_views_and_strides_train_as_float64_copies_do) {
    cvxrelu_problem p = s14_problem(30, 4, 1, 30);
    float narrow[30 * 7];
    cvxrelu_report one, two;
    cvxrelu_model *model;
    size_t i, j;
    for (i = 0; i < 30; i++)
        for (j = 0; j < 4; j++) {
            narrow[7 * i + j] = (float)s14_X[4 * i + j];
            s14_X[4 * i + j] = (double)narrow[7 * i + j];
        }
    p.lambda = 1e-3;
    model = s14_fit(&p, NULL, &one);
    cvxrelu_model_free(model);
    p.X.data = narrow, p.X.stride = 7, p.X.type = CVXRELU_FLOAT32;
    model = s14_fit(&p, NULL, &two);
    CHECK(one.objective == two.objective && one.neurons == two.neurons);
    cvxrelu_model_free(model);
}

SUITE(s22_fit) {
    RUN(option_out_of_range_is_named);
    RUN(documented_open_ends_of_the_step_options_are_refused);
    RUN(problem_field_out_of_range_is_named);
    RUN(newton_with_another_penalty_is_refused);
    RUN(null_arguments_are_refused);
    RUN(zero_options_resolve_to_the_documented_defaults);
    RUN(report_says_what_the_defaults_were);
    RUN(strength_above_lambda_max_gives_the_zero_network_with_gap_zero);
    RUN(lambda_max_is_the_smallest_strength_of_the_zero_network);
    RUN(zero_targets_have_objective_bound_and_gap_zero);
    RUN(strength_zero_is_least_squares_without_a_bound);
    RUN(memory_limit_is_kept_or_named);
    RUN(bytes_of_a_fit_bound_its_peak_within_a_factor_of_two);
    RUN(peak_of_a_fit_is_within_the_bound_that_the_manual_states);
    RUN(peak_of_a_relu_fit_is_within_the_bound_that_the_manual_states);
    RUN(newton_does_without_the_memory_of_a_factor);
    RUN(newton_takes_no_more_for_a_factor_than_its_order_needs);
    RUN(newton_is_certified_with_every_factor_refused);
    RUN(arena_of_the_bytes_asked_for_is_enough);
    RUN(every_refused_allocation_is_an_error_without_a_leak);
    RUN(cross_validation_keeps_to_the_memory_limit);
    RUN(progress_of_newton_is_honest_and_can_stop_it);
    RUN(progress_of_newton_with_three_outputs_is_honest_and_can_stop_it);
    RUN(progress_of_fista_is_honest_and_can_stop_it);
    RUN(time_limit_stops_with_a_true_gap);
    RUN(time_limit_of_cross_validation_is_of_the_whole_call);
    RUN(one_iteration_is_a_fit_with_a_true_gap);
    RUN(float32_fit_reports_a_true_gap);
    RUN(warm_start_ends_at_the_same_objective);
    RUN(start_from_other_data_or_gates_is_refused);
    RUN(start_is_taken_with_a_zero_column_and_given_gates);
    RUN(path_falls_from_lambda_max_and_equals_separate_fits);
    RUN(path_takes_given_strengths_and_zero_among_them);
    RUN(stopped_path_keeps_what_was_solved);
    RUN(path_option_out_of_range_is_named);
    RUN(leave_one_out_errors_of_the_zero_network_match_plain_loops);
    RUN(leave_one_out_errors_match_separate_fits);
    RUN(cross_validation_is_deterministic_and_refits_all_rows);
    RUN(cross_validation_bears_a_class_that_a_fold_lacks);
    RUN(cross_validation_of_two_rows_works);
    RUN(network_predicts_what_the_solver_did_for_every_scale_bias_and_task);
    RUN(network_of_least_squares_and_of_other_penalties_predicts_what_the_solver_did);
    RUN(float32_views_and_strides_train_as_float64_copies_do);
}
