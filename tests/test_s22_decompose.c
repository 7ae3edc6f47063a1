/* cvxrelu_decompose: the ReLU network of a gated one has its predictions on the training rows,
   an objective recomputed here, and true figures about itself. */

#define S22D_N 40
#define S22D_D 5
#define S22D_C 2

typedef struct s22d_case {
    double X[S22D_N * S22D_D], Y[S22D_N * S22D_C], gates[8 * (S22D_D + 1)];
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_report report, relu_report;
    cvxrelu_decompose_report about;
    cvxrelu_model *gated, *relu;
} s22d_case;

static s22d_case s22d;

static void s22d_fill(size_t n, size_t d, size_t c, uint64_t seed) {
    cvxrelu_random random;
    size_t i;
    memset(&s22d, 0, sizeof s22d);
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < n * d; i++) s22d.X[i] = 3 + 2 * cvxrelu_random_normal(&random);
    for (i = 0; i < n * c; i++) s22d.Y[i] = 1 + cvxrelu_random_normal(&random);
    s22d.problem.X.data = s22d.X, s22d.problem.X.rows = n, s22d.problem.X.cols = d;
    s22d.problem.Y.data = s22d.Y, s22d.problem.Y.rows = n, s22d.problem.Y.cols = c;
    s22d.problem.lambda = 0.01;
    s22d.problem.gates.count = 30;
    s22d.options.tol = 1e-9;
}

static cvxrelu_result s22d_split(cvxrelu_decomposition kind) {
    cvxrelu_model_free(s22d.relu);
    return cvxrelu_decompose(s22d.gated, s22d.problem.X, s22d.problem.Y, kind, 0, &s22d.options,
                             &s22d.relu, &s22d.relu_report, &s22d.about);
}

static void s22d_fit(void) {
    CHECK(cvxrelu_fit(&s22d.problem, &s22d.options, NULL, &s22d.gated, &s22d.report) ==
          CVXRELU_OK);
}

static void s22d_close(void) {
    cvxrelu_model_free(s22d.relu);
    cvxrelu_model_free(s22d.gated);
}

static double s22d_norms(const cvxrelu_model *model) {
    double sum = 0;
    size_t j, q;
    for (j = 0; j < model->m; j++) {
        double square = 0;
        for (q = 0; q < model->d; q++) {
            const double u = model->u[j * model->d + q];
            square += u * u;
        }
        sum += sqrt(square);
    }
    return sum;
}

/* Objective of a network by its predictions; *apart: the most that two networks differ. */
static double s22d_objective(const cvxrelu_model *model, const cvxrelu_model *other,
                             double *apart) {
    const size_t n = s22d.problem.X.rows, d = s22d.problem.X.cols, c = s22d.problem.Y.cols;
    double out[S22D_C], two[S22D_C], sum = 0;
    size_t i, k;
    *apart = 0;
    for (i = 0; i < n; i++) {
        cvxrelu_model_predict(model, s22d.X + i * d, out);
        cvxrelu_model_predict(other, s22d.X + i * d, two);
        for (k = 0; k < c; k++) {
            const double e = out[k] - s22d.Y[i * c + k];
            sum += e * e;
            if (fabs(out[k] - two[k]) > *apart) *apart = fabs(out[k] - two[k]);
        }
    }
    return sum / (2 * (double)n * (double)c) + s22d.problem.lambda * s22d_norms(model);
}

/* The facts that hold whenever nothing was merged. */
static void s22d_check(void) {
    double apart, objective = s22d_objective(s22d.relu, s22d.gated, &apart), gated;
    cvxrelu_model_info info;
    size_t j;
    CHECK_NEAR(apart, 0, 1e-9);
    CHECK_NEAR(s22d.relu_report.objective, objective, 1e-9 * objective);
    gated = s22d_objective(s22d.gated, s22d.relu, &apart);
    CHECK_NEAR(s22d.about.gated_objective, gated, 1e-9 * gated);
    CHECK_NEAR(s22d.about.gated_norm, s22d_norms(s22d.gated), 1e-9 * s22d.about.gated_norm);
    CHECK_NEAR(s22d.about.norm, s22d_norms(s22d.relu), 1e-9 * s22d.about.norm);
    CHECK_NEAR(s22d.about.excess, objective - gated, 1e-8 * objective);
    CHECK_NEAR(s22d.about.blow_up * s22d.about.gated_norm, s22d.about.norm,
               1e-9 * s22d.about.norm);
    CHECK(s22d.about.blow_up_most >= s22d.about.blow_up * (1 - 1e-12));
    CHECK(s22d.relu_report.constraint_violation <= 1e-11);
    CHECK(s22d.relu_report.dual_bound <= objective * (1 + 1e-12));
    CHECK(s22d.relu_report.has_bound && s22d.relu_report.stop == CVXRELU_STOP_NONE);
    CHECK(s22d.about.bound_norm <= s22d.about.bound_kappa * (1 + 1e-9));
    CHECK(s22d.about.groups == s22d.report.neurons && s22d.about.merged == 0);
    CHECK(s22d.relu_report.neurons <= 2 * s22d.about.groups);
    cvxrelu_model_get_info(s22d.relu, &info);
    CHECK(info.kind == CVXRELU_RELU && info.neurons == s22d.relu_report.neurons);
    CHECK(info.objective == s22d.relu_report.objective);
    for (j = 0; j < s22d.relu->m; j++)
        CHECK(s22d.relu->sign[j] == 1 || s22d.relu->sign[j] == -1);
}

TEST(every_kind_keeps_the_predictions) {
    int kind, outputs;
    for (outputs = 1; outputs <= 2; outputs++) {
        double least = 0;
        s22d_fill(40, 5, (size_t)outputs, 11);
        s22d.problem.centre_targets = outputs == 2;
        s22d_fit();
        for (kind = 0; kind < 3; kind++) {
            CHECK(s22d_split((cvxrelu_decomposition)kind) == CVXRELU_OK);
            s22d_check();
            if (kind == CVXRELU_DECOMPOSE_MIN_NORM) {
                least = s22d.about.norm;
                CHECK(s22d.about.norm_gap <= 1e-10);
            }
            CHECK(s22d.about.norm >= least * (1 - 1e-10));
            if (kind != CVXRELU_DECOMPOSE_APPROXIMATE)
                CHECK(s22d.about.excess <= s22d.about.bound_norm * (1 + 1e-9));
            else CHECK(s22d.about.rho == 1e-10);
        }
        CHECK(s22d_split(CVXRELU_DECOMPOSE_CLOSED_FORM) == CVXRELU_ERR_UNSUPPORTED);
        CHECK(s22d.relu == NULL && s22d.relu_report.message[0]);
        s22d_close();
    }
}

TEST(the_closed_form_works_with_fewer_rows_than_columns) {
    int scale;
    for (scale = CVXRELU_SCALE_STANDARD; scale <= CVXRELU_SCALE_NONE; scale++) {
        s22d_fill(5, 5, 1, 3);
        s22d.problem.scale = (cvxrelu_scale)scale;
        s22d_fit();
        CHECK(s22d_split(CVXRELU_DECOMPOSE_CLOSED_FORM) == CVXRELU_OK);
        s22d_check();
        s22d_close();
    }
}

/* p, the value of the ReLU program over the same patterns: d <= p <= d + excess. */
TEST(the_theorem_brackets_the_relu_optimum) {
    cvxrelu_model *best;
    cvxrelu_report solved;
    s22d_fill(30, 4, 1, 5);
    s22d_fit();
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
    s22d.problem.kind = CVXRELU_RELU;
    s22d.problem.search = CVXRELU_SEARCH_OFF;
    s22d.options.tol = 1e-7;
    CHECK(cvxrelu_fit(&s22d.problem, &s22d.options, s22d.relu, &best, &solved) == CVXRELU_OK);
    CHECK(solved.gap <= 1e-7);
    CHECK(solved.objective >= s22d.report.dual_bound * (1 - 1e-9));
    CHECK(solved.dual_bound <= s22d.about.gated_objective + s22d.about.excess);
    CHECK(s22d.relu_report.dual_bound <= solved.objective * (1 + 1e-9));
    CHECK(solved.objective <= s22d.relu_report.objective * (1 + 1e-9));
    cvxrelu_model_free(best);
    s22d_close();
}

TEST(a_strength_of_zero_and_a_network_of_zeros_are_split) {
    s22d_fill(20, 3, 1, 6);
    s22d.problem.lambda = 0;
    s22d_fit();
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
    CHECK(!s22d.relu_report.has_bound || s22d.relu_report.objective == 0);
    CHECK_NEAR(s22d.relu_report.objective, s22d.about.gated_objective, 1e-9);
    s22d_close();
    s22d_fill(20, 3, 1, 6);
    s22d.problem.lambda = 1e6;
    s22d_fit();
    CHECK(s22d.report.neurons == 0);
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
    CHECK(s22d.relu_report.neurons == 0 && s22d.about.blow_up == 1);
    CHECK(s22d_split(CVXRELU_DECOMPOSE_APPROXIMATE) == CVXRELU_OK);
    s22d_close();
}

TEST(classes_and_saved_models_are_split) {
    unsigned char bytes[60000];
    size_t i, size = sizeof bytes;
    double objective;
    s22d_fill(36, 4, 1, 8);
    for (i = 0; i < 36; i++) s22d.Y[i] = (double)(i % 3);
    s22d.problem.task = CVXRELU_TASK_CLASSES;
    s22d_fit();
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
    objective = s22d.relu_report.objective;
    CHECK_NEAR(objective, s22d.about.gated_objective + s22d.about.excess, 1e-9 * objective);
    CHECK(cvxrelu_model_write(s22d.gated, 0, bytes, &size) == CVXRELU_OK);
    cvxrelu_model_free(s22d.gated);
    CHECK(cvxrelu_model_read(bytes, size, NULL, &s22d.gated, NULL) == CVXRELU_OK);
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
    CHECK(s22d.relu_report.objective == objective);
    size = sizeof bytes;
    CHECK(cvxrelu_model_write(s22d.gated, 1, bytes, &size) == CVXRELU_OK);
    cvxrelu_model_free(s22d.gated);
    CHECK(cvxrelu_model_read(bytes, size, NULL, &s22d.gated, NULL) == CVXRELU_OK);
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_ERR_UNSUPPORTED);
    s22d_close();
}

/* Rows and gates of [MSP22 Prop. B.2]: e3, on three rows' boundaries, and one inside each of
   the six cells around it. */
static void s22d_fill_singular(int with_neighbours) {
    static const double rows[4][3] = { { 1, 0, 0 }, { 0, 1, 0 }, { -1, -1, 0 }, { 0, 0, 1 } };
    static const double gates[7][3] = { { 0, 0, 1 },       { 0.2, 0.3, 1 },   { -0.4, 0.3, 1 },
                                        { -0.4, 0.6, 1 },  { -0.2, -0.3, 1 }, { 0.4, -0.3, 1 },
                                        { 0.4, -0.6, 1 } };
    size_t i, q;
    s22d_fill(12, 3, 1, 21);
    for (i = 0; i < 12; i++)
        for (q = 0; q < 3; q++) s22d.X[i * 3 + q] = rows[i % 4][q] * (1 + (double)(i / 4));
    memcpy(s22d.gates, gates, sizeof gates);
    for (i = 0; i < 12; i++) /* mostly the first gate's value for the weight (2, 1, 1) */
        s22d.Y[i] = 2 * s22d.X[i * 3] + s22d.X[i * 3 + 1] + s22d.X[i * 3 + 2] +
                    (i % 4 == 0 ? 0.5 : i % 4 == 2 ? -0.25 : 0);
    s22d.problem.lambda = 1e-3;
    s22d.problem.scale = CVXRELU_SCALE_NONE;
    s22d.problem.no_bias = 1;
    s22d.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    s22d.problem.gates.given.data = s22d.gates;
    s22d.problem.gates.given.rows = with_neighbours ? 7 : 1;
    s22d.problem.gates.given.cols = 3;
}

TEST(patterns_without_interior_are_merged) {
    int both;
    for (both = 0; both < 2; both++) {
        double apart, objective, gates[21], sum;
        size_t i, q;
        s22d_fill_singular(both);
        s22d_fit();
        CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
        CHECK(s22d.about.merged == 1);
        objective = s22d_objective(s22d.relu, s22d.gated, &apart);
        CHECK_NEAR(s22d.relu_report.objective, objective, 1e-9 * objective);
        CHECK(s22d.relu_report.constraint_violation <= 1e-11);
        CHECK(apart > 1e-3 && s22d.about.merge_change > 1e-4);
        for (i = 0; i < s22d.relu->m; i++) /* one neuron a side of a pattern, in their order */
            CHECK(i == 0 || s22d.relu->pattern[i] > s22d.relu->pattern[i - 1] ||
                  (s22d.relu->pattern[i] == s22d.relu->pattern[i - 1] &&
                   s22d.relu->sign[i] < s22d.relu->sign[i - 1]));
        for (i = 0; i < s22d.relu->m; i++) CHECK(both == (s22d.relu->pattern[i] != 0));
        CHECK(cvxrelu_model_convex(s22d.relu, NULL, NULL, gates) == CVXRELU_OK);
        for (i = 0; i < 4; i++) { /* no row lies on the boundary of the new first gate */
            for (sum = 0, q = 0; q < 3; q++) sum += gates[q] * s22d.X[i * 3 + q];
            CHECK(fabs(sum) > 1e-9);
        }
        s22d_close();
    }
}

/* Sampled gates on one column: rows that are zero there are active whatever their signs. The
   recipe no longer gives the merged pattern: the model keeps all gates. */
TEST(sampled_patterns_that_were_merged_are_kept) {
    cvxrelu_model_info info;
    cvxrelu_report check;
    size_t i;
    s22d_fill(15, 3, 1, 51);
    for (i = 0; i < 15; i++)
        if (i % 3) {
            s22d.X[i * 3] = s22d.X[i * 3 + 2] = 0;
            s22d.X[i * 3 + 1] = i % 3 == 1 ? 1 : -1;
        }
    s22d.problem.scale = CVXRELU_SCALE_NONE;
    s22d.problem.no_bias = 1;
    s22d.problem.gates.sampler = CVXRELU_SAMPLER_SPARSE;
    s22d.problem.gates.order = 1;
    s22d_fit();
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
    CHECK(s22d.about.merged >= 1 && s22d.relu_report.neurons > 0);
    cvxrelu_model_get_info(s22d.relu, &info);
    CHECK(info.sampler == CVXRELU_SAMPLER_GIVEN);
    CHECK(cvxrelu_verify(s22d.relu, s22d.problem.X, s22d.problem.Y, -1, NULL, &check) ==
          CVXRELU_OK);
    CHECK_NEAR(check.objective, s22d.relu_report.objective, 1e-9 * check.objective);
    CHECK(check.patterns == s22d.relu_report.patterns);
    s22d_close();
}

/* Memory that is refused at every place in turn. */
typedef struct s22d_heap {
    size_t left, held;
} s22d_heap;

static void *s22d_take(void *context, size_t size, size_t align) {
    s22d_heap *heap = (s22d_heap *)context;
    unsigned char *raw;
    void **at;
    if (heap->left == 0) return NULL;
    heap->left--;
    raw = (unsigned char *)malloc(size + 2 * align);
    if (raw == NULL) return NULL;
    at = (void **)(void *)(raw + (align - (size_t)((uintptr_t)raw % align)));
    if ((unsigned char *)at - raw < (ptrdiff_t)sizeof(void *))
        at = (void **)(void *)((unsigned char *)at + align);
    at[-1] = raw;
    heap->held++;
    return at;
}

static void s22d_give(void *context, void *memory, size_t size) {
    (void)size;
    ((s22d_heap *)context)->held--;
    free(((void **)memory)[-1]);
}

TEST(refused_memory_is_reported_and_nothing_is_lost) {
    s22d_heap heap = { 0, 0 };
    size_t turn, count = 0;
    int kind;
    s22d_fill(20, 3, 1, 31);
    s22d_fit();
    s22d.options.allocator.context = &heap;
    s22d.options.allocator.allocate = s22d_take;
    s22d.options.allocator.release = s22d_give;
    for (kind = 0; kind <= 2; kind += 2)
        for (turn = 0, count = 0; turn < 200 && count < 1; turn++) {
            cvxrelu_result result;
            heap.left = turn;
            result = s22d_split((cvxrelu_decomposition)kind);
            if (result == CVXRELU_OK) count++;
            else CHECK(result == CVXRELU_ERR_MEMORY && s22d.relu == NULL && heap.held == 0);
        }
    CHECK(count == 1);
    cvxrelu_model_free(s22d.relu);
    s22d.relu = NULL;
    CHECK(heap.held == 0);
    memset(&s22d.options.allocator, 0, sizeof s22d.options.allocator);
    s22d.options.memory_limit = 5000;
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_ERR_LIMIT);
    s22d_close();
}

static double s22d_late(void *user) { return *(double *)user += 10; }

TEST(wrong_arguments_are_named) {
    cvxrelu_model *relu = NULL;
    cvxrelu_report *r = &s22d.relu_report;
    cvxrelu_matrix X, Y;
    double now = 0;
    s22d_fill(20, 3, 1, 41);
    s22d_fit();
    X = s22d.problem.X, Y = s22d.problem.Y;
    CHECK(cvxrelu_decompose(NULL, X, Y, CVXRELU_DECOMPOSE_MIN_NORM, 0, NULL, &relu, r, NULL) ==
          CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_decompose(s22d.gated, X, Y, CVXRELU_DECOMPOSE_MIN_NORM, 0, NULL, NULL, r,
                            NULL) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_decompose(s22d.gated, X, Y, CVXRELU_DECOMPOSE_MIN_NORM, 0, NULL, &relu, NULL,
                            NULL) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_decompose(s22d.gated, X, Y, (cvxrelu_decomposition)4, 0, NULL, &relu, r,
                            NULL) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_decompose(s22d.gated, X, Y, CVXRELU_DECOMPOSE_APPROXIMATE, -1, NULL, &relu, r,
                            NULL) == CVXRELU_ERR_ARGUMENT);
    X.rows--, Y.rows--;
    CHECK(cvxrelu_decompose(s22d.gated, X, Y, CVXRELU_DECOMPOSE_MIN_NORM, 0, NULL, &relu, r,
                            NULL) == CVXRELU_ERR_ARGUMENT);
    X.rows++, Y.rows++;
    s22d.X[0] += 1;
    CHECK(cvxrelu_decompose(s22d.gated, X, Y, CVXRELU_DECOMPOSE_MIN_NORM, 0, NULL, &relu, r,
                            NULL) == CVXRELU_ERR_ARGUMENT);
    s22d.X[0] = HUGE_VAL;
    CHECK(cvxrelu_decompose(s22d.gated, X, Y, CVXRELU_DECOMPOSE_MIN_NORM, 0, NULL, &relu, r,
                            NULL) == CVXRELU_ERR_NONFINITE);
    CHECK(relu == NULL && r->message[0]);
    s22d_close();
    s22d_fill(20, 3, 1, 41);
    s22d_fit();
    s22d.options.clock.user = &now;
    s22d.options.clock.seconds = s22d_late;
    s22d.options.time_limit = 1;
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_ERR_STOPPED);
    s22d.options.time_limit = 0;
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_OK);
    cvxrelu_model_free(s22d.gated);
    s22d.gated = s22d.relu, s22d.relu = NULL;
    CHECK(s22d_split(CVXRELU_DECOMPOSE_MIN_NORM) == CVXRELU_ERR_UNSUPPORTED);
    s22d_close();
}

SUITE(s22_decompose) {
    RUN(every_kind_keeps_the_predictions);
    RUN(the_closed_form_works_with_fewer_rows_than_columns);
    RUN(the_theorem_brackets_the_relu_optimum);
    RUN(a_strength_of_zero_and_a_network_of_zeros_are_split);
    RUN(classes_and_saved_models_are_split);
    RUN(patterns_without_interior_are_merged);
    RUN(sampled_patterns_that_were_merged_are_kept);
    RUN(refused_memory_is_reported_and_nothing_is_lost);
    RUN(wrong_arguments_are_named);
}
