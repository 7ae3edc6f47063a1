/* Tests of S17 NETWORK. Included by test_main.c; test_s24_save.c uses the cases made here. */

/* An allocator that counts what is held and refuses the request of a given number. */
typedef struct s17_heap { size_t held, calls, refuse, most; } s17_heap;

static void *s17_allocate(void *context, size_t size, size_t align) {
    s17_heap *heap = (s17_heap *)context;
    void *memory;
    (void)align;
    heap->calls++;
    if (heap->refuse && heap->calls == heap->refuse) return NULL;
    memory = cvxr_default_allocate(size);
    if (memory != NULL) heap->held += size;
    heap->most = cvxr_max_z(heap->most, heap->held);
    return memory;
}

static void s17_release(void *context, void *memory, size_t size) {
    ((s17_heap *)context)->held -= size;
    cvxr_default_release(memory);
}

static cvxrelu_allocator s17_allocator(s17_heap *heap, size_t refuse) {
    cvxrelu_allocator allocator;
    memset(heap, 0, sizeof *heap);
    heap->refuse = refuse;
    allocator.context = heap;
    allocator.allocate = s17_allocate;
    allocator.release = s17_release;
    return allocator;
}

/* Random data, their patterns, and a model with random weights (not a solution of anything). */
typedef struct s17_case {
    size_t n, features, c, m;
    double X[64 * 320], Y[64 * 20];
    cvxrelu_problem problem;
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns patterns;
    cvxrelu_model *model;
} s17_case;
static s17_case s14;

/* Columns with offsets and units from 10^-spread to 10^spread; classes 0 for regression. */
static void s17_problem(size_t n, size_t features, size_t c, size_t classes, double spread) {
    cvxrelu_random random;
    size_t i, j;
    memset(&s14, 0, sizeof s14);
    s14.n = n, s14.features = features, s14.c = c;
    cvxrelu_random_init(&random, 5);
    for (i = 0; i < n; i++)
        for (j = 0; j < features; j++) {
            double unit = pow(10.0, spread * (2.0 * (double)j / (double)features - 1.0));
            s14.X[i * features + j] = unit * (cvxrelu_random_normal(&random) + 3.0);
        }
    for (i = 0; i < n * c; i++) s14.Y[i] = cvxrelu_random_normal(&random) + 2.0;
    for (i = 0; i < n && classes; i++) s14.Y[i] = (double)(i % classes);
    s14.problem.X.data = s14.X, s14.problem.X.rows = n, s14.problem.X.cols = features;
    s14.problem.Y.data = s14.Y, s14.problem.Y.rows = n, s14.problem.Y.cols = classes ? 1 : c;
    s14.problem.task = classes ? CVXRELU_TASK_CLASSES : CVXRELU_TASK_REGRESSION;
    s14.problem.lambda = 0.01;
    s14.problem.gates.count = 40;
}

static void s17_model(size_t m, const cvxrelu_allocator *allocator) {
    cvxrelu_random random;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t j, q, c;
    cvxrelu_random_init(&random, 6);
    cvxr_mem_init(&s14.mem, NULL, 0);
    if (cvxr_data_make(&s14.mem, &s14.problem, &s14.data, message)) CHECK_TEXT(message, "");
    if (cvxr_patterns_make(&s14.mem, &s14.data, &s14.problem.gates, &s14.patterns, message))
        CHECK_TEXT(message, "");
    c = s14.c = s14.data.c;
    s14.m = m = cvxr_min_z(m, c * s14.patterns.count);
    s14.model = cvxr_model_new(allocator, s14.data.d, s14.features, c, m, s14.patterns.count);
    if (s14.model == NULL) return;
    for (j = 0; j < m; j++) {
        s14.model->output[j] = j % c;
        s14.model->pattern[j] = j / c;
        if (s14.problem.kind == CVXRELU_RELU) s14.model->sign[j] = j % 3 ? 1 : -1;
        for (q = 0; q < s14.data.d; q++)
            s14.model->u[j * s14.data.d + q] = cvxrelu_random_normal(&random);
    }
    cvxr_model_adopt(s14.model, &s14.problem, &s14.data, &s14.patterns);
}

static void s17_close(void) {
    cvxrelu_model_free(s14.model);
    cvxr_patterns_free(&s14.mem, &s14.patterns);
    cvxr_data_free(&s14.mem, &s14.data);
    CHECK(s14.mem.now == 0);
}

/* sum_i D_i X u_i + shift on training row i by the definition; the sum of absolute terms. For
   ReLU, whose weights are in no cone here, sum_j s_j max(0, v_j.x) + shift. */
static double s17_output(size_t i, size_t k, double *size) {
    double sum = s14.data.y_shift[k];
    const uint64_t *bits;
    size_t j, q, d = s14.data.d;
    *size = fabs(sum);
    for (j = 0; j < s14.m; j++) {
        double value = 0;
        int sign = s14.model->sign[j];
        if (s14.model->output[j] != k) continue;
        bits = s14.patterns.bits + s14.model->pattern[j] * s14.patterns.words;
        if (!sign && !(bits[i / 64] >> (i % 64) & 1)) continue;
        for (q = 0; q < d; q++) {
            double term = s14.data.X[i * s14.data.dp + q] * s14.model->u[j * d + q];
            value += term;
            *size += fabs(term);
        }
        if (value * sign >= 0) sum += value;
    }
    return sum;
}

static void s17_check_predictions(void) {
    double out[20], size;
    size_t i, k;
    for (i = 0; i < s14.n; i++) {
        cvxrelu_model_predict(s14.model, s14.X + i * s14.features, out);
        for (k = 0; k < s14.c; k++) {
            double expect = s17_output(i, k, &size);
            CHECK_NEAR(out[k], expect, 1e-13 * size);       /* a few hundred roundings */
        }
    }
}

TEST(network_predicts_the_solvers_outputs_for_every_scale_and_bias) {
    static const cvxrelu_scale scales[] = { CVXRELU_SCALE_STANDARD, CVXRELU_SCALE_UNIT,
                                            CVXRELU_SCALE_NONE };
    int scale, no_bias;
    for (scale = 0; scale < 3; scale++)
        for (no_bias = scale == 0 ? 0 : 1; no_bias >= 0; no_bias--) {
            s17_problem(50, 7, 2, 0, scale == 2 ? 0.0 : 7.0);
            s14.problem.scale = scales[scale];
            s14.problem.no_bias = no_bias;
            s14.problem.centre_targets = 1;
            s17_model(30, NULL);
            s17_check_predictions();
            s17_close();
        }
}

TEST(relu_network_predicts_the_sum_of_its_positive_parts) {
    static const cvxrelu_scale scales[] = { CVXRELU_SCALE_STANDARD, CVXRELU_SCALE_UNIT,
                                            CVXRELU_SCALE_NONE };
    int scale, no_bias;
    for (scale = 0; scale < 3; scale++)
        for (no_bias = scale == 0 ? 0 : 1; no_bias >= 0; no_bias--) {
            s17_problem(50, 7, 2, 0, scale == 2 ? 0.0 : 7.0);
            s14.problem.kind = CVXRELU_RELU;
            s14.problem.scale = scales[scale];
            s14.problem.no_bias = no_bias;
            s14.problem.centre_targets = 1;
            s17_model(30, NULL);
            s17_check_predictions();
            s17_close();
        }
}

TEST(many_neurons_columns_and_outputs_are_predicted_in_pieces) {
    int kind;
    for (kind = 0; kind < 2; kind++) {
        s17_problem(33, 300, 18, 0, 1.0);
        s14.problem.kind = kind ? CVXRELU_RELU : CVXRELU_GATED;
        s17_model(150, NULL);
        s17_check_predictions();
        s17_close();
    }
}

TEST(nan_in_a_row_shows_in_every_output_that_has_neurons) {
    const uint64_t nan_bits = (uint64_t)0xfff8 << 48;
    double row[4], out[2];
    int kind;
    for (kind = 0; kind < 2; kind++) {
        s17_problem(20, 4, 2, 0, 0.0);
        s14.problem.kind = kind ? CVXRELU_RELU : CVXRELU_GATED;
        s17_model(8, NULL);
        memcpy(row, s14.X, sizeof row);
        memcpy(row + 3, &nan_bits, sizeof *row);
        cvxrelu_model_predict(s14.model, row, out);
        CHECK(!runner_finite(out[0]) && !runner_finite(out[1]));
        s17_close();
    }
}

TEST(exported_network_computes_the_predictions) {
    double W1[30 * 8], G1[30 * 8], W2[3 * 30], b2[3], out[3];
    size_t i, j, k, q;
    s17_problem(40, 7, 3, 0, 1.0);
    s14.problem.centre_targets = 1;
    s17_model(30, NULL);
    cvxrelu_model_network(s14.model, W1, G1, W2, b2);
    cvxrelu_model_network(s14.model, NULL, NULL, NULL, NULL);
    for (i = 0; i < s14.n; i++) {
        cvxrelu_model_predict(s14.model, s14.X + i * 7, out);
        for (k = 0; k < 3; k++) {
            double sum = b2[k];
            for (j = 0; j < 30; j++) {
                double gate = G1[j * 8 + 7], value = W1[j * 8 + 7];
                for (q = 0; q < 7; q++) gate += G1[j * 8 + q] * s14.X[i * 7 + q];
                for (q = 0; q < 7; q++) value += W1[j * 8 + q] * s14.X[i * 7 + q];
                if (gate >= 0) sum += value * W2[k * 30 + j];
            }
            CHECK_NEAR(sum, out[k], 1e-11);
        }
    }
    s17_close();
}

TEST(exported_relu_network_is_the_plain_formula) {
    double W1[30 * 8], G1[30 * 8], W2[3 * 30], b2[3], out[3];
    size_t i, j, k, q;
    s17_problem(40, 7, 3, 0, 1.0);
    s14.problem.kind = CVXRELU_RELU;
    s14.problem.centre_targets = 1;
    s17_model(30, NULL);
    cvxrelu_model_network(s14.model, W1, G1, W2, b2);
    CHECK(memcmp(W1, G1, sizeof W1) == 0);
    for (i = 0; i < s14.n; i++) {
        cvxrelu_model_predict(s14.model, s14.X + i * 7, out);
        for (k = 0; k < 3; k++) {
            double sum = b2[k];
            for (j = 0; j < 30; j++) {
                double value = W1[j * 8 + 7];
                for (q = 0; q < 7; q++) value += W1[j * 8 + q] * s14.X[i * 7 + q];
                if (value > 0) sum += value * W2[k * 30 + j];
            }
            CHECK_NEAR(sum, out[k], 1e-11);
        }
    }
    s17_close();
}

static void s17_check_weight_decay(cvxrelu_kind kind) {
    size_t j, q, d;
    s17_problem(30, 5, 2, 0, 0.0);
    s14.problem.kind = kind;
    s14.problem.scale = CVXRELU_SCALE_NONE;
    s17_model(12, NULL);
    d = s14.data.d;
    for (j = 0; j < s14.m; j++) {
        const double *w = s14.model->W1 + j * d, *u = s14.model->u + j * d;
        double ww = 0, uu = 0, a = s14.model->a[j];
        for (q = 0; q < d; q++) ww += w[q] * w[q], uu += u[q] * u[q];
        for (q = 0; q < d; q++) CHECK_NEAR(w[q] * a, u[q], 1e-15);
        CHECK_NEAR((ww + a * a) / 2, sqrt(uu), 1e-14);   /* [MSP22 Thm 2.1, 2.2] */
        CHECK((a < 0) == (s14.model->sign[j] < 0));
    }
    s17_close();
}

TEST(weight_decay_of_the_network_is_the_group_norm) {
    s17_check_weight_decay(CVXRELU_GATED);
    s17_check_weight_decay(CVXRELU_RELU);
}

TEST(zero_column_has_no_weight_and_no_gate_entry) {
    double gates[6 * 5], row[4], one[2], two[2];
    size_t i, j;
    s17_problem(20, 4, 1, 0, 0.0);
    for (i = 0; i < 20; i++) s14.X[i * 4 + 2] = 0;
    for (i = 0; i < 30; i++) gates[i] = i % 7 < 3 ? 1.0 : -0.5;
    s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    s14.problem.gates.given.data = gates;
    s14.problem.gates.given.rows = 6, s14.problem.gates.given.cols = 5;
    s17_model(6, NULL);
    for (j = 0; j < 6; j++) {
        CHECK(s14.model->W1[j * 5 + 2] == 0 && s14.model->G1[j * 5 + 2] == 0);
        CHECK(s14.model->gates[j * 5 + 2] != 0);              /* given gates stay as they are */
    }
    memcpy(row, s14.X, sizeof row);
    cvxrelu_model_predict(s14.model, row, one);
    row[2] = 1e6;
    cvxrelu_model_predict(s14.model, row, two);
    CHECK(one[0] == two[0]);
    s17_close();
}

TEST(tiny_and_huge_weights_make_no_nan) {
    static const double sizes[] = { 0.0, 5e-324, 1e-310, 1e-200, 1e200, 1e300 };
    size_t t, j;
    s17_problem(20, 4, 1, 0, 0.0);
    s17_model(6, NULL);
    for (t = 0; t < 6; t++) {
        for (j = 0; j < 5; j++) s14.model->u[t * 5 + j] = sizes[t];
    }
    cvxr_model_map(s14.model);
    for (t = 0; t < 30; t++) CHECK(cvxr_finite(s14.model->W1[t]));
    for (t = 0; t < 6; t++) CHECK(cvxr_finite(s14.model->a[t]));
    CHECK(s14.model->a[0] == 0 && s14.model->a[3] > 0);
    CHECK_NEAR(s14.model->a[5] / sqrt(sqrt(5.0) * 1e300), 1, 1e-14);
    s17_close();
}

TEST(views_of_both_types_and_any_stride_are_predicted) {
    double wide[12 * 6], out[12 * 4], row[3];
    float narrow[12 * 4], single[4], small[3];
    cvxrelu_matrix X;
    size_t i, k;
    s17_problem(12, 4, 3, 0, 0.0);
    s17_model(20, NULL);
    for (i = 0; i < 48; i++) wide[i / 4 * 6 + i % 4] = narrow[i] = (float)s14.X[i];
    memset(&X, 0, sizeof X);
    X.data = wide, X.rows = 12, X.cols = 4, X.stride = 6;
    for (i = 0; i < 48; i++) out[i] = 77;
    CHECK(cvxrelu_model_predict_many(s14.model, X, out, 4) == CVXRELU_OK);
    for (i = 0; i < 12; i++) {
        cvxrelu_model_predict(s14.model, wide + i * 6, row);
        memcpy(single, narrow + i * 4, sizeof single);
        cvxrelu_model_predict_f32(s14.model, single, small);
        for (k = 0; k < 3; k++) CHECK(out[i * 4 + k] == row[k] && small[k] == (float)row[k]);
        CHECK(out[i * 4 + 3] == 77);
    }
    X.data = narrow, X.stride = 0, X.type = CVXRELU_FLOAT32;
    CHECK(cvxrelu_model_predict_many(s14.model, X, out + 12, 0) == CVXRELU_OK);
    for (k = 0; k < 3; k++) CHECK(out[12 + 33 + k] == row[k]);
    s17_close();
}

TEST(bad_views_are_refused_before_anything_is_written) {
    double out[12 * 3];
    cvxrelu_matrix X, bad;
    size_t i;
    s17_problem(12, 4, 3, 0, 0.0);
    s17_model(5, NULL);
    for (i = 0; i < 36; i++) out[i] = 77;
    X = s14.problem.X;
    bad = X, bad.cols = 3, bad.stride = 4;
    CHECK(cvxrelu_model_predict_many(s14.model, bad, out, 0) == CVXRELU_ERR_ARGUMENT);
    bad = X, bad.stride = 3;
    CHECK(cvxrelu_model_predict_many(s14.model, bad, out, 0) == CVXRELU_ERR_ARGUMENT);
    bad = X, bad.data = NULL;
    CHECK(cvxrelu_model_predict_many(s14.model, bad, out, 0) == CVXRELU_ERR_ARGUMENT);
    bad = X, bad.stride = SIZE_MAX / 2;
    CHECK(cvxrelu_model_predict_many(s14.model, bad, out, 0) == CVXRELU_ERR_SIZE);
    CHECK(cvxrelu_model_predict_many(s14.model, X, out, 2) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_model_predict_many(s14.model, X, NULL, 0) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_model_predict_many(NULL, X, out, 0) == CVXRELU_ERR_ARGUMENT);
    s14.X[47] = HUGE_VAL;
    CHECK(cvxrelu_model_predict_many(s14.model, X, out, 0) == CVXRELU_ERR_NONFINITE);
    for (i = 0; i < 36; i++) CHECK(out[i] == 77);
    s17_close();
}

TEST(model_without_neurons_predicts_the_target_means) {
    double out[2];
    s17_problem(12, 4, 2, 0, 0.0);
    s14.problem.centre_targets = 1;
    s17_model(0, NULL);
    cvxrelu_model_predict(s14.model, s14.X, out);
    CHECK(out[0] == s14.data.y_shift[0] && out[1] == s14.data.y_shift[1] && out[0] != 0);
    s17_close();
}

TEST(class_is_the_sign_or_the_largest_output) {
    static const double three[] = { 1.0, 3.0, 3.0 }, plus[] = { 0.5 }, minus[] = { -0.5 };
    s17_problem(12, 4, 1, 2, 0.0);
    s17_model(3, NULL);
    CHECK(s14.model->info.outputs == 1 && s14.model->info.classes == 2);
    CHECK(cvxrelu_model_class(s14.model, plus) == 1);
    CHECK(cvxrelu_model_class(s14.model, minus) == 0);
    s17_close();
    s17_problem(12, 4, 1, 3, 0.0);
    s17_model(3, NULL);
    CHECK(s14.model->info.outputs == 3 && cvxrelu_model_class(s14.model, three) == 1);
    s17_close();
    s17_problem(12, 4, 1, 0, 0.0);
    s17_model(3, NULL);
    CHECK(cvxrelu_model_class(s14.model, plus) == 0);
    s17_close();
}

TEST(convex_weights_lie_at_their_output_and_pattern) {
    static double U[2 * 40 * 6], G[40 * 6];
    double sum = 0, expect = 0;
    size_t i, j, q, P;
    s17_problem(30, 5, 2, 0, 0.0);
    s17_model(9, NULL);
    P = s14.patterns.count;
    CHECK(cvxrelu_model_convex(s14.model, U, NULL, G) == CVXRELU_OK);
    CHECK(cvxrelu_model_convex(s14.model, NULL, NULL, NULL) == CVXRELU_OK);
    CHECK(memcmp(G, s14.patterns.gates, P * 6 * sizeof(double)) == 0);
    for (j = 0; j < 9; j++)
        for (q = 0; q < 6; q++)
            CHECK(U[((j % 2) * P + j / 2) * 6 + q] == s14.model->u[j * 6 + q]);
    for (i = 0; i < 2 * P * 6; i++) sum += fabs(U[i]);
    for (i = 0; i < 9 * 6; i++) expect += fabs(s14.model->u[i]);
    CHECK_NEAR(sum, expect, 1e-12);
    s17_close();
}

TEST(relu_weights_lie_in_v_or_w_by_their_sign) {
    static double V[2 * 40 * 6], W[2 * 40 * 6], G[40 * 6];
    size_t j, q, P;
    double sum = 0, expect = 0;
    s17_problem(30, 5, 2, 0, 0.0);
    s14.problem.kind = CVXRELU_RELU;
    s17_model(9, NULL);
    P = s14.patterns.count;
    CHECK(cvxrelu_model_convex(s14.model, V, W, G) == CVXRELU_OK);
    for (j = 0; j < 9; j++)
        for (q = 0; q < 6; q++) {
            size_t at = ((j % 2) * P + j / 2) * 6 + q;
            double u = s14.model->u[j * 6 + q];
            CHECK(V[at] == (j % 3 ? u : 0) && W[at] == (j % 3 ? 0 : -u));
            expect += fabs(u);
        }
    for (j = 0; j < 2 * P * 6; j++) sum += fabs(V[j]) + fabs(W[j]);
    CHECK_NEAR(sum, expect, 1e-12);
    memset(W, 0, sizeof W);
    CHECK(cvxrelu_model_convex(s14.model, V, NULL, NULL) == CVXRELU_OK);
    s14.model->pattern[4] = s14.model->pattern[2];        /* two neurons of one group add up */
    CHECK(cvxrelu_model_convex(s14.model, V, W, NULL) == CVXRELU_OK);
    for (q = 0; q < 6; q++)
        CHECK(V[P * 0 + s14.model->pattern[2] * 6 + q] ==
              s14.model->u[2 * 6 + q] + s14.model->u[4 * 6 + q]);
    s17_close();
}

TEST(searched_patterns_are_remembered_as_given_ones) {
    static const struct { cvxrelu_kind kind; cvxrelu_search search; cvxrelu_sampler sampler;
                          cvxrelu_search mode; cvxrelu_sampler kept; } cases[] = {
        { CVXRELU_GATED, CVXRELU_SEARCH_AUTO, CVXRELU_SAMPLER_SPARSE, CVXRELU_SEARCH_OFF,
          CVXRELU_SAMPLER_SPARSE },
        { CVXRELU_RELU, CVXRELU_SEARCH_OFF, CVXRELU_SAMPLER_SPARSE, CVXRELU_SEARCH_OFF,
          CVXRELU_SAMPLER_SPARSE },
        { CVXRELU_RELU, CVXRELU_SEARCH_AUTO, CVXRELU_SAMPLER_SPARSE, CVXRELU_SEARCH_ON,
          CVXRELU_SAMPLER_GIVEN },
        { CVXRELU_RELU, CVXRELU_SEARCH_EXACT, CVXRELU_SAMPLER_GAUSSIAN, CVXRELU_SEARCH_EXACT,
          CVXRELU_SAMPLER_GIVEN } };
    cvxrelu_model_info info;
    size_t t;
    for (t = 0; t < sizeof cases / sizeof *cases; t++) {
        s17_problem(20, 4, 1, 0, 0.0);
        s14.problem.kind = cases[t].kind;
        s14.problem.search = cases[t].search;
        s14.problem.gates.sampler = cases[t].sampler;
        s14.problem.gates.seed = 99;
        s17_model(3, NULL);
        cvxrelu_model_get_info(s14.model, &info);
        CHECK(info.kind == cases[t].kind && info.search == cases[t].mode && info.has_recipe);
        CHECK(info.sampler == cases[t].kept && info.seed == 99 && info.patterns > 0);
        CHECK(s14.model->gates != NULL && s14.model->recipe.given_scaled);
        s17_close();
    }
    s14.problem.search = CVXRELU_SEARCH_AUTO;
    s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    CHECK(cvxr_search_mode(&s14.problem) == CVXRELU_SEARCH_OFF);
}

TEST(proof_is_copied_replaced_and_removed) {
    double theta[4] = { 1, 2, 3, 4 }, extra[3] = { 5, 6, 7 };
    cvxrelu_model_info info;
    cvxr_proof proof;
    s17_heap heap;
    cvxrelu_allocator allocator = s17_allocator(&heap, 3);
    s17_problem(12, 2, 2, 0, 0.0);
    s17_model(3, &allocator);
    memset(&proof, 0, sizeof proof);
    proof.n = 2, proof.c = 2, proof.theta = theta;
    proof.extra = extra, proof.extra_count = 3;
    proof.bound = 0.25, proof.method = 7, proof.scope = CVXRELU_SCOPE_ALL;
    cvxrelu_model_get_info(s14.model, &info);
    CHECK(!info.has_proof && info.proof_bound == 0 && info.proof_method == 0);
    CHECK(cvxr_model_set_proof(s14.model, &proof) == CVXRELU_OK);
    theta[3] = extra[2] = 77, proof.bound = 0.5;
    CHECK(cvxr_model_set_proof(s14.model, &proof) == CVXRELU_ERR_MEMORY);
    cvxrelu_model_get_info(s14.model, &info);
    CHECK(info.has_proof && info.proof_bound == 0.25 && info.proof_method == 7);
    CHECK(info.proof_scope == CVXRELU_SCOPE_ALL);
    CHECK(s14.model->proof.theta[3] == 4 && s14.model->proof.extra[2] == 7);
    proof.extra_count = 0;
    CHECK(cvxr_model_set_proof(s14.model, &proof) == CVXRELU_OK);
    CHECK(s14.model->proof.theta[3] == 77 && s14.model->proof.extra == NULL);
    proof.n = SIZE_MAX / 2;
    CHECK(cvxr_model_set_proof(s14.model, &proof) == CVXRELU_ERR_SIZE);
    CHECK(cvxr_model_set_proof(s14.model, NULL) == CVXRELU_OK && !s14.model->proof.theta);
    s17_close();
    CHECK(heap.held == 0);
}

TEST(text_is_copied_replaced_and_bounded) {
    char first[] = "red";
    const char *names[3], *two[2] = { "a", "b" };
    cvxrelu_model_info info;
    s17_problem(12, 2, 1, 3, 0.0);
    s17_model(3, NULL);
    names[0] = first, names[1] = "", names[2] = "gr\xc3\xbcn";
    CHECK(cvxrelu_model_set_text(s14.model, 0, 3, names) == CVXRELU_OK);
    first[0] = 'X';
    CHECK_TEXT(cvxrelu_model_text(s14.model, 0, 0), "red");
    CHECK_TEXT(cvxrelu_model_text(s14.model, 0, 1), "");
    CHECK_TEXT(cvxrelu_model_text(s14.model, 0, 2), "gr\xc3\xbcn");
    CHECK(cvxrelu_model_text(s14.model, 0, 3) == NULL);
    CHECK(cvxrelu_model_text(s14.model, 1, 0) == NULL);
    CHECK(cvxrelu_model_text(s14.model, 2, 0) == NULL);
    CHECK(cvxrelu_model_set_text(s14.model, 0, 2, two) == CVXRELU_ERR_ARGUMENT);
    names[1] = NULL;
    CHECK(cvxrelu_model_set_text(s14.model, 0, 3, names) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_model_set_text(s14.model, 1, 2, two) == CVXRELU_OK);
    cvxrelu_model_get_info(s14.model, &info);
    CHECK(info.text_count[0] == 3 && info.text_count[1] == 2);
    CHECK(cvxrelu_model_set_text(s14.model, 0, 0, NULL) == CVXRELU_OK);
    CHECK(cvxrelu_model_text(s14.model, 0, 0) == NULL);
    s17_close();
}

TEST(refused_memory_leaves_the_old_text_and_leaks_nothing) {
    static const char *const old[] = { "no", "yes" }, *const other[] = { "left", "right" };
    s17_heap heap;
    cvxrelu_allocator allocator = s17_allocator(&heap, 3);
    s17_problem(12, 2, 1, 2, 0.0);
    s17_model(3, &allocator);
    CHECK(cvxrelu_model_set_text(s14.model, 0, 2, old) == CVXRELU_OK);
    CHECK(cvxrelu_model_set_text(s14.model, 0, 2, other) == CVXRELU_ERR_MEMORY);
    CHECK_TEXT(cvxrelu_model_text(s14.model, 0, 1), "yes");
    CHECK(cvxrelu_model_set_text(s14.model, 0, 2, other) == CVXRELU_OK);
    CHECK_TEXT(cvxrelu_model_text(s14.model, 0, 1), "right");
    s17_close();
    CHECK(heap.held == 0 && heap.calls == 4);
    allocator = s17_allocator(&heap, 1);
    CHECK(cvxr_model_new(&allocator, 3, 2, 1, 4, 5) == NULL && heap.held == 0);
}

TEST(model_bytes_are_what_a_model_takes_and_overflow_is_zero) {
    s17_heap heap;
    cvxrelu_allocator allocator = s17_allocator(&heap, 0);
    cvxrelu_model *model = cvxr_model_new(&allocator, 7, 6, 3, 11, 13);
    CHECK(model != NULL && heap.held == cvxr_model_bytes(7, 6, 3, 11, 13));
    CHECK((uintptr_t)model->u % CVXR_ALIGN == 0 && (uintptr_t)model->gates % CVXR_ALIGN == 0);
    cvxrelu_model_free(model);
    CHECK(heap.held == 0);
    cvxrelu_model_free(NULL);
    CHECK(cvxr_model_bytes(SIZE_MAX / 4, 3, 1, SIZE_MAX / 4, 0) == 0);
    CHECK(cvxr_model_bytes(3, 3, 1, SIZE_MAX / 16, 0) == 0);
    CHECK(cvxr_model_bytes(9, SIZE_MAX, 1, 1, 0) == 0);
    CHECK(cvxr_model_new(&allocator, 3, 3, 1, SIZE_MAX / 16, 0) == NULL);
}

/* ---- Pruning. */

/* Outputs of any model over the case's data, in the solver's coordinates, by plain loops. */
static double s17_plain(const cvxrelu_model *model, size_t i, size_t k) {
    double sum = model->y_shift[k];
    size_t j, q, d = model->d;
    for (j = 0; j < model->m; j++) {
        const double *x = s14.data.X + i * s14.data.dp;
        double value = 0, gate = 0;
        if (model->output[j] != k) continue;
        for (q = 0; q < d; q++) value += x[q] * model->u[j * d + q];
        for (q = 0; q < d; q++) gate += x[q] * model->g[j * d + q];
        if (model->sign[j] ? value * model->sign[j] > 0 : gate >= 0) sum += value;
    }
    return sum;
}

/* Rank of the outputs of output k's neurons, each of unit norm, by the singular values. */
static size_t s17_rank(const cvxrelu_model *model, size_t k) {
    static double A[60 * 300], singular[60], work[60 * 300 + 3600];
    size_t n = s14.n, d = model->d, i, j, q, count = 0, at = 0;
    for (j = 0; j < model->m; j++) count += model->output[j] == k;
    CHECK(n * count <= 60 * 300);
    for (j = 0; j < model->m; j++) {
        double norm = 0;
        if (model->output[j] != k) continue;
        for (q = 0; q < d; q++) norm = hypot(norm, model->u[j * d + q]);
        for (i = 0; i < n; i++) {
            const double *x = s14.data.X + i * s14.data.dp;
            double value = 0, gate = 0;
            for (q = 0; q < d; q++) value += x[q] * model->u[j * d + q];
            for (q = 0; q < d; q++) gate += x[q] * model->g[j * d + q];
            if (model->sign[j]) gate = value * model->sign[j];
            A[i * count + at] = gate < 0 || norm == 0 ? 0 : value / norm;
        }
        at++;
    }
    CHECK(cvxr_svd(n, count, A, count, singular, NULL, NULL, work));
    return cvxr_rank(n, count, singular);
}

static double s17_penalty(const cvxrelu_model *model) {
    double sum = 0;
    size_t j, q, d = model->d;
    for (j = 0; j < model->m; j++) {
        double norm = 0, most = 0;
        for (q = 0; q < d; q++) most += fabs(model->u[j * d + q]);
        for (q = 0; q < d; q++) norm = hypot(norm, model->u[j * d + q]);
        sum += model->info.penalty == CVXRELU_PENALTY_L1 ? most : norm;
    }
    return sum;
}

static cvxrelu_model *s17_pruned(cvxrelu_prune_report *report) {
    cvxrelu_model *pruned = NULL;
    CHECK(cvxrelu_prune(s14.model, s14.problem.X, NULL, &pruned, report) == CVXRELU_OK);
    CHECK_TEXT(report->message, "");
    return pruned;
}

/* Prunes the case's model and checks what pruning promises; returns how many are left. */
static size_t s17_check_pruned(void) {
    cvxrelu_prune_report report;
    cvxrelu_model *pruned = s17_pruned(&report);
    double before = s17_penalty(s14.model), after;
    size_t i, j, k, left, rank = 0, kept = 0;
    if (pruned == NULL) return 0;
    after = s17_penalty(pruned);
    CHECK(after <= before * (1 + 1e-12));
    CHECK_NEAR(report.penalty_before, before, 1e-12 * before);
    CHECK_NEAR(report.penalty_after, after, 1e-12 * before);
    for (k = 0; k < s14.c; k++) {
        size_t most = s17_rank(s14.model, k);
        for (left = 0, j = 0; j < pruned->m; j++) left += pruned->output[j] == k;
        CHECK(left <= most && most <= s14.n);
        CHECK(s17_rank(pruned, k) == left);
        rank += most;
        for (i = 0; i < s14.n; i++)
            CHECK_NEAR(s17_plain(pruned, i, k), s17_plain(s14.model, i, k), 1e-11);
    }
    CHECK(report.rank <= rank && report.change <= 1e-11);
    CHECK(report.neurons_before == s14.m && report.neurons_after == pruned->m);
    for (i = 1; i < pruned->m; i++) CHECK(pruned->output[i - 1] <= pruned->output[i]);
    kept = pruned->m;
    cvxrelu_model_free(pruned);
    return kept;
}

/* Neurons sorted by output; m of them. */
static void s17_many(cvxrelu_kind kind, size_t n, size_t features, size_t c, size_t m) {
    size_t j;
    s17_problem(n, features, c, 0, 1.0);
    s14.problem.kind = kind;
    s14.problem.centre_targets = 1;
    s14.problem.gates.count = 4 * m;
    s17_model(m, NULL);
    for (j = 0; j < s14.m; j++) s14.model->output[j] = j * c / s14.m;
    cvxr_model_map(s14.model);
}

TEST(pruning_leaves_no_more_neurons_than_rows_and_the_same_outputs) {
    static const size_t rows[] = { 1, 2, 20, 50 };
    size_t t, features, c;
    int kind;
    for (kind = 0; kind < 2; kind++)
        for (t = 0; t < 4; t++)
            for (features = 1; features <= 9; features += 4)
                for (c = 1; c <= 2; c++) {
                    cvxrelu_kind which = kind ? CVXRELU_RELU : CVXRELU_GATED;
                    s17_many(which, rows[t], features, c, 5 * rows[t] * c);
                    CHECK(s17_check_pruned() <= rows[t] * c);
                    s17_close();
                }
}

TEST(neurons_of_all_sizes_and_integer_rows_are_pruned) {
    size_t i, j, q;
    int kind;
    for (kind = 0; kind < 2; kind++) {
        s17_many(kind ? CVXRELU_RELU : CVXRELU_GATED, 30, 3, 1, 150);
        for (j = 0; j < s14.m; j++)
            for (q = 0; q < s14.data.d; q++)
                s14.model->u[j * s14.data.d + q] *= pow(10.0, -(double)(j % 17));
        (void)s17_check_pruned();
        s17_close();
        s17_problem(40, 3, 1, 0, 0.0);
        for (i = 0; i < 120; i++) s14.X[i] = (double)(i * i % 11 % 3);   /* repeated rows */
        s14.problem.kind = kind ? CVXRELU_RELU : CVXRELU_GATED;
        s14.problem.scale = CVXRELU_SCALE_NONE;
        s14.problem.gates.count = 400;
        s17_model(60, NULL);
        CHECK(s17_check_pruned() <= 27);                     /* there are 27 different rows */
        s17_close();
    }
}

TEST(zero_and_dead_neurons_go) {
    cvxrelu_prune_report report;
    cvxrelu_model *pruned;
    size_t i, q;
    s17_problem(30, 3, 1, 0, 0.0);
    for (i = 0; i < 90; i++) s14.X[i] = 1 + fabs(s14.X[i]);
    s14.problem.kind = CVXRELU_RELU;
    s14.problem.scale = CVXRELU_SCALE_NONE;
    s17_model(4, NULL);
    for (q = 0; q < 4; q++) {
        s14.model->u[q] = 0;                                             /* zero */
        s14.model->u[4 + q] = s14.model->sign[1] > 0 ? -1.0 : 1.0;       /* active nowhere */
        s14.model->u[8 + q] = s14.model->sign[2] * 1.0;                  /* everywhere */
        s14.model->u[12 + q] = s14.model->sign[3] * (double)(q + 1);
    }
    pruned = s17_pruned(&report);
    CHECK(pruned->m == 2 && report.rank == 2 && report.change == 0);
    CHECK(report.penalty_after < report.penalty_before);
    cvxrelu_model_free(pruned);
    s14.model->m = s14.model->info.neurons = s14.m = 0;
    pruned = s17_pruned(&report);
    CHECK(pruned->m == 0 && report.rank == 0 && report.penalty_after == 0);
    cvxrelu_model_free(pruned);
    s17_close();
}

/* Every neuron in two parts: the parts are added up again, and no row notices. */
static void s17_check_merge(cvxrelu_kind kind) {
    cvxrelu_prune_report report;
    cvxrelu_model *pruned;
    double row[3], one[1], two[1];
    size_t i, j, q, d;
    cvxrelu_random random;
    s17_problem(60, 3, 1, 0, 0.0);
    s14.problem.kind = kind;
    s17_model(20, NULL);
    d = s14.data.d;
    for (j = 0; j < 20; j += 2) {
        size_t to = (j + 1) * d;
        s14.model->pattern[j + 1] = s14.model->pattern[j];
        s14.model->sign[j + 1] = s14.model->sign[j];
        for (q = 0; q < d; q++) s14.model->u[to + q] = s14.model->u[j * d + q] / 3;
        memcpy(s14.model->g + to, s14.model->g + j * d, d * sizeof(double));
    }
    if (kind == CVXRELU_GATED) s14.model->u[d] += 1;      /* one gate is enough */
    pruned = s17_pruned(&report);
    CHECK(report.merged == 10 && pruned->m == 10 && report.rank == 10);
    CHECK(report.penalty_after <= report.penalty_before * (1 + 1e-14));
    if (kind == CVXRELU_RELU)
        CHECK_NEAR(report.penalty_after, report.penalty_before, 1e-12);
    cvxrelu_random_init(&random, 3);
    for (i = 0; i < 100; i++) {
        for (q = 0; q < 3; q++) row[q] = 20 * cvxrelu_random_normal(&random);
        cvxrelu_model_predict(s14.model, row, one);
        cvxrelu_model_predict(pruned, row, two);
        CHECK_NEAR(one[0], two[0], 1e-11);
    }
    cvxrelu_model_free(pruned);
    s17_close();
}

TEST(colinear_neurons_are_added_up_without_any_change) {
    s17_check_merge(CVXRELU_GATED);
    s17_check_merge(CVXRELU_RELU);
}

TEST(pruned_model_keeps_its_text_gates_proof_and_bound) {
    static const char *const names[] = { "left", "right" };
    double theta[20] = { 0 }, G[2][1000 * 3];
    cvxrelu_prune_report report;
    cvxrelu_model_info info;
    cvxrelu_model *pruned;
    cvxr_proof proof;
    s17_many(CVXRELU_RELU, 20, 2, 1, 60);
    memset(&proof, 0, sizeof proof);
    proof.n = 20, proof.c = 1, proof.theta = theta, proof.bound = 0.125;
    CHECK(cvxr_model_set_proof(s14.model, &proof) == CVXRELU_OK);
    CHECK(cvxrelu_model_set_text(s14.model, CVXRELU_TEXT_FEATURES, 2, names) == CVXRELU_OK);
    s14.model->info.objective = 5, s14.model->info.has_bound = 1;
    s14.model->info.dual_bound = 1, s14.model->info.gap = 0.8;
    pruned = s17_pruned(&report);
    cvxrelu_model_get_info(pruned, &info);
    CHECK(info.kind == CVXRELU_RELU && info.neurons == pruned->m && info.lambda == 0.01);
    CHECK_NEAR(info.objective, 5 - 0.01 * (report.penalty_before - report.penalty_after),
               1e-12);
    CHECK(info.has_bound && info.dual_bound == 1 && info.objective < 5);
    CHECK_NEAR(info.gap, (info.objective - 1) / info.objective, 1e-15);
    CHECK(info.has_proof && info.proof_bound == 0.125 && info.has_recipe);
    CHECK_TEXT(cvxrelu_model_text(pruned, CVXRELU_TEXT_FEATURES, 1), "right");
    CHECK(info.patterns <= 1000 && info.patterns == s14.patterns.count);
    CHECK(cvxrelu_model_convex(s14.model, NULL, NULL, G[0]) == CVXRELU_OK);
    CHECK(cvxrelu_model_convex(pruned, NULL, NULL, G[1]) == CVXRELU_OK);
    CHECK(memcmp(G[0], G[1], info.patterns * 3 * sizeof(double)) == 0);
    cvxrelu_model_free(pruned);
    s14.model->info.dual_bound = 4.99;                       /* no gap below 0 */
    pruned = s17_pruned(&report);
    CHECK(pruned->info.dual_bound == 4.99 && pruned->info.gap == 0);
    cvxrelu_model_free(pruned);
    s17_close();
}

TEST(l1_penalty_does_not_grow_either) {
    cvxrelu_prune_report report;
    cvxrelu_model *pruned;
    s17_many(CVXRELU_GATED, 30, 4, 1, 150);
    s14.model->info.penalty = CVXRELU_PENALTY_L1;
    (void)s17_check_pruned();
    s14.model->info.penalty = CVXRELU_PENALTY_FEATURE;
    CHECK(cvxrelu_prune(s14.model, s14.problem.X, NULL, &pruned, &report) ==
          CVXRELU_ERR_UNSUPPORTED);
    CHECK(pruned == NULL && report.message[0]);
    s17_close();
}

/* Outputs (1, 0), (0, 1) and (1, 1) on two rows: the third neuron is shorter than the other two
   together, but its l1 norm is larger. */
TEST(pruning_keeps_what_the_penalty_prefers) {
    static const double u[3][8] = { { 1, 0, 0, 0, 0, 0, 0, 0 }, { 0, 1, 0, 0, 0, 0, 0, 0 },
                                    { 0.75, 0.25, -0.25, 0.25, 0.25, 0.25, 0.25, 0.25 } };
    static const double gates[3][8] = { { 1, -1 }, { -1, 1 }, { 1, 1 } };
    cvxrelu_prune_report report;
    cvxrelu_model *pruned;
    size_t q;
    int penalty;
    for (penalty = 0; penalty < 2; penalty++) {
        s17_problem(2, 8, 1, 0, 0.0);
        for (q = 0; q < 16; q++) s14.X[q] = q % 8 % 2 == q / 8;
        s14.problem.scale = CVXRELU_SCALE_NONE;
        s14.problem.no_bias = 1;
        s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        s14.problem.gates.given.data = gates;
        s14.problem.gates.given.rows = 3, s14.problem.gates.given.cols = 8;
        s17_model(3, NULL);
        memcpy(s14.model->u, u, sizeof u);
        if (penalty) s14.model->info.penalty = CVXRELU_PENALTY_L1;
        pruned = s17_pruned(&report);
        CHECK(pruned->m == (penalty ? 2u : 1u) && report.rank == 2 && report.change <= 1e-15);
        CHECK_NEAR(report.penalty_before, penalty ? 4.5 : 3, 1e-14);
        CHECK_NEAR(report.penalty_after, penalty ? 4 : 2, 1e-14);
        CHECK(pruned->pattern[0] == (penalty ? 0u : 2u));
        cvxrelu_model_free(pruned);
        s17_close();
    }
}

TEST(float32_rows_with_a_stride_are_pruned_alike) {
    static float narrow[20 * 5];
    static double wide[20 * 3];
    cvxrelu_prune_report one, two;
    cvxrelu_model *a = NULL, *b = NULL;
    cvxrelu_matrix X;
    size_t i;
    s17_many(CVXRELU_RELU, 20, 3, 2, 200);
    for (i = 0; i < 60; i++) wide[i] = narrow[i / 3 * 5 + i % 3] = (float)s14.X[i];
    X = s14.problem.X;
    X.data = wide;
    CHECK(cvxrelu_prune(s14.model, X, NULL, &a, &one) == CVXRELU_OK);
    X.data = narrow, X.stride = 5, X.type = CVXRELU_FLOAT32;
    CHECK(cvxrelu_prune(s14.model, X, NULL, &b, &two) == CVXRELU_OK);
    CHECK(a->m == b->m && a->m <= 40 && one.change == two.change && two.change <= 1e-11);
    CHECK(memcmp(a->u, b->u, a->m * s14.data.d * sizeof(double)) == 0);
    cvxrelu_model_free(a);
    cvxrelu_model_free(b);
    s17_close();
}

TEST(bad_arguments_of_pruning_are_named) {
    cvxrelu_prune_report report;
    cvxrelu_model *pruned = NULL;
    cvxrelu_matrix X;
    s17_many(CVXRELU_RELU, 20, 3, 1, 40);
    X = s14.problem.X;
    CHECK(cvxrelu_prune(NULL, X, NULL, &pruned, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_prune(s14.model, X, NULL, NULL, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_prune(s14.model, X, NULL, &pruned, NULL) == CVXRELU_ERR_ARGUMENT);
    X.cols = 2, X.stride = 3;
    CHECK(cvxrelu_prune(s14.model, X, NULL, &pruned, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK_TEXT(report.message, "X has 2 columns, the model was trained on 3");
    X.cols = 3, X.data = NULL;
    CHECK(cvxrelu_prune(s14.model, X, NULL, &pruned, &report) == CVXRELU_ERR_ARGUMENT);
    X.data = s14.X;
    s14.X[7] = HUGE_VAL;
    CHECK(cvxrelu_prune(s14.model, X, NULL, &pruned, &report) == CVXRELU_ERR_NONFINITE);
    s14.X[7] = 1e200;
    CHECK(cvxrelu_prune(s14.model, X, NULL, &pruned, &report) == CVXRELU_ERR_NUMERIC);
    CHECK(pruned == NULL && report.message[0]);
    s17_close();
}

TEST(pruning_survives_every_refused_allocation) {
    static const char *const names[] = { "a", "b", "c" };
    double theta[20] = { 0 };
    cvxrelu_prune_report report;
    cvxrelu_options options;
    cvxrelu_model *pruned = NULL;
    cvxrelu_result result = CVXRELU_ERR_MEMORY;
    cvxr_proof proof;
    s17_heap heap;
    size_t refuse;
    memset(&options, 0, sizeof options);
    memset(&proof, 0, sizeof proof);
    s17_many(CVXRELU_GATED, 20, 3, 1, 40);
    proof.n = 20, proof.c = 1, proof.theta = theta;
    CHECK(cvxr_model_set_proof(s14.model, &proof) == CVXRELU_OK);
    CHECK(cvxrelu_model_set_text(s14.model, CVXRELU_TEXT_FEATURES, 3, names) == CVXRELU_OK);
    for (refuse = 1; result != CVXRELU_OK && refuse < 20; refuse++) {
        options.allocator = s17_allocator(&heap, refuse);
        result = cvxrelu_prune(s14.model, s14.problem.X, &options, &pruned, &report);
        CHECK(result == CVXRELU_OK || (result == CVXRELU_ERR_MEMORY && report.message[0]));
        CHECK((result == CVXRELU_OK) == (pruned != NULL));
        cvxrelu_model_free(pruned);
        CHECK(heap.held == 0);
    }
    CHECK(refuse == 7);                  /* two blocks, a model, two texts and a proof */
    options.allocator = s17_allocator(&heap, 0);
    options.memory_limit = 1000;
    result = cvxrelu_prune(s14.model, s14.problem.X, &options, &pruned, &report);
    CHECK(result == CVXRELU_ERR_LIMIT && pruned == NULL && heap.held == 0);
    options.allocator.release = NULL;
    result = cvxrelu_prune(s14.model, s14.problem.X, &options, &pruned, &report);
    CHECK(result == CVXRELU_ERR_ARGUMENT);
    s17_close();
}

SUITE(s17_network) {
    RUN(network_predicts_the_solvers_outputs_for_every_scale_and_bias);
    RUN(relu_network_predicts_the_sum_of_its_positive_parts);
    RUN(many_neurons_columns_and_outputs_are_predicted_in_pieces);
    RUN(nan_in_a_row_shows_in_every_output_that_has_neurons);
    RUN(exported_network_computes_the_predictions);
    RUN(exported_relu_network_is_the_plain_formula);
    RUN(weight_decay_of_the_network_is_the_group_norm);
    RUN(zero_column_has_no_weight_and_no_gate_entry);
    RUN(tiny_and_huge_weights_make_no_nan);
    RUN(views_of_both_types_and_any_stride_are_predicted);
    RUN(bad_views_are_refused_before_anything_is_written);
    RUN(model_without_neurons_predicts_the_target_means);
    RUN(class_is_the_sign_or_the_largest_output);
    RUN(convex_weights_lie_at_their_output_and_pattern);
    RUN(relu_weights_lie_in_v_or_w_by_their_sign);
    RUN(searched_patterns_are_remembered_as_given_ones);
    RUN(proof_is_copied_replaced_and_removed);
    RUN(text_is_copied_replaced_and_bounded);
    RUN(refused_memory_leaves_the_old_text_and_leaks_nothing);
    RUN(model_bytes_are_what_a_model_takes_and_overflow_is_zero);
    RUN(pruning_leaves_no_more_neurons_than_rows_and_the_same_outputs);
    RUN(neurons_of_all_sizes_and_integer_rows_are_pruned);
    RUN(zero_and_dead_neurons_go);
    RUN(colinear_neurons_are_added_up_without_any_change);
    RUN(pruned_model_keeps_its_text_gates_proof_and_bound);
    RUN(l1_penalty_does_not_grow_either);
    RUN(pruning_keeps_what_the_penalty_prefers);
    RUN(float32_rows_with_a_stride_are_pruned_alike);
    RUN(bad_arguments_of_pruning_are_named);
    RUN(pruning_survives_every_refused_allocation);
}
