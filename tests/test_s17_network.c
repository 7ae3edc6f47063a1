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

/* sum_i D_i X u_i + shift on training row i by the definition; the sum of absolute terms. */
static double s17_output(size_t i, size_t k, double *size) {
    double sum = s14.data.y_shift[k];
    const uint64_t *bits;
    size_t j, q, d = s14.data.d;
    *size = fabs(sum);
    for (j = 0; j < s14.m; j++) {
        if (s14.model->output[j] != k) continue;
        bits = s14.patterns.bits + s14.model->pattern[j] * s14.patterns.words;
        if (!(bits[i / 64] >> (i % 64) & 1)) continue;
        for (q = 0; q < d; q++) {
            double term = s14.data.X[i * s14.data.dp + q] * s14.model->u[j * d + q];
            sum += term;
            *size += fabs(term);
        }
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

TEST(many_neurons_columns_and_outputs_are_predicted_in_pieces) {
    s17_problem(33, 300, 18, 0, 1.0);
    s17_model(150, NULL);
    s17_check_predictions();
    s17_close();
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

TEST(weight_decay_of_the_network_is_the_group_norm) {
    size_t j, q, d;
    s17_problem(30, 5, 2, 0, 0.0);
    s14.problem.scale = CVXRELU_SCALE_NONE;
    s17_model(12, NULL);
    d = s14.data.d;
    for (j = 0; j < s14.m; j++) {
        const double *w = s14.model->W1 + j * d, *u = s14.model->u + j * d;
        double ww = 0, uu = 0, a = s14.model->a[j];
        for (q = 0; q < d; q++) ww += w[q] * w[q], uu += u[q] * u[q];
        for (q = 0; q < d; q++) CHECK_NEAR(w[q] * a, u[q], 1e-15);
        CHECK_NEAR((ww + a * a) / 2, sqrt(uu), 1e-14);        /* [MSP22 Thm 2.2] */
    }
    s17_close();
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
    CHECK(cvxrelu_model_convex(s14.model, U, G) == CVXRELU_OK);
    CHECK(cvxrelu_model_convex(s14.model, NULL, NULL) == CVXRELU_OK);
    CHECK(memcmp(G, s14.patterns.gates, P * 6 * sizeof(double)) == 0);
    for (j = 0; j < 9; j++)
        for (q = 0; q < 6; q++)
            CHECK(U[((j % 2) * P + j / 2) * 6 + q] == s14.model->u[j * 6 + q]);
    for (i = 0; i < 2 * P * 6; i++) sum += fabs(U[i]);
    for (i = 0; i < 9 * 6; i++) expect += fabs(s14.model->u[i]);
    CHECK_NEAR(sum, expect, 1e-12);
    s17_close();
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

SUITE(s17_network) {
    RUN(network_predicts_the_solvers_outputs_for_every_scale_and_bias);
    RUN(many_neurons_columns_and_outputs_are_predicted_in_pieces);
    RUN(exported_network_computes_the_predictions);
    RUN(weight_decay_of_the_network_is_the_group_norm);
    RUN(zero_column_has_no_weight_and_no_gate_entry);
    RUN(tiny_and_huge_weights_make_no_nan);
    RUN(views_of_both_types_and_any_stride_are_predicted);
    RUN(bad_views_are_refused_before_anything_is_written);
    RUN(model_without_neurons_predicts_the_target_means);
    RUN(class_is_the_sign_or_the_largest_output);
    RUN(convex_weights_lie_at_their_output_and_pattern);
    RUN(text_is_copied_replaced_and_bounded);
    RUN(refused_memory_leaves_the_old_text_and_leaks_nothing);
    RUN(model_bytes_are_what_a_model_takes_and_overflow_is_zero);
}
