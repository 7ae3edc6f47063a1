/* Tests of S06 DATA. Included by test_main.c. */

/* Counts what is out and refuses the request number `refuse` (from 1; 0 = none). */
typedef struct s06_counter { size_t requests, refuse, blocks, bytes; } s06_counter;

static void *s06_allocate(void *context, size_t size, size_t align) {
    s06_counter *counter = (s06_counter *)context;
    (void)align;
    if (++counter->requests == counter->refuse) return NULL;
    counter->blocks++;
    counter->bytes += size;
    return cvxr_default_allocate(size);
}

static void s06_release(void *context, void *memory, size_t size) {
    s06_counter *counter = (s06_counter *)context;
    counter->blocks--;
    counter->bytes -= size;
    cvxr_default_release(memory);
}

static cvxrelu_allocator s06_allocator(s06_counter *counter, size_t refuse) {
    cvxrelu_allocator allocator;
    memset(counter, 0, sizeof *counter);
    counter->refuse = refuse;
    allocator.context = counter;
    allocator.allocate = s06_allocate;
    allocator.release = s06_release;
    return allocator;
}

static cvxrelu_problem s06_problem(const double *X, size_t n, size_t d, const double *Y,
                                   size_t c) {
    cvxrelu_problem p;
    memset(&p, 0, sizeof p);
    p.X.data = X, p.X.rows = n, p.X.cols = d;
    p.Y.data = Y, p.Y.rows = n, p.Y.cols = c;
    return p;
}

/* Makes the data and frees them again; the result and the message are what matters. */
static cvxrelu_result s06_result(const cvxrelu_problem *p, char *message) {
    cvxr_mem mem;
    cvxr_data data;
    cvxrelu_result result;
    message[0] = 0;
    cvxr_mem_init(&mem, NULL, 0);
    result = cvxr_data_make(&mem, p, &data, message);
    if (result) CHECK(data.X == NULL && data.Y == NULL && data.n == 0 && strlen(message) > 10);
    cvxr_data_free(&mem, &data);
    CHECK(mem.now == 0);
    return result;
}

enum { S06_N = 67, S06_D = 11 };
static double s06_X[S06_N * S06_D], s06_Y[S06_N];

/* Columns of very different units, with offsets up to 1000 times their spread. */
static void s06_fill(void) {
    cvxrelu_random random;
    size_t i, j;
    cvxrelu_random_init(&random, 6);
    for (i = 0; i < S06_N; i++)
        for (j = 0; j < S06_D; j++) {
            double unit = pow(10.0, (double)j * 1.2 - 6), offset = j % 3 == 1 ? 1000 : 0;
            s06_X[i * S06_D + j] = unit * (cvxrelu_random_normal(&random) + offset);
        }
    for (i = 0; i < S06_N; i++) s06_Y[i] = cvxrelu_random_normal(&random) + 5;
}

/* Every entry recomputed by long loops over the caller's columns. */
static void s06_compare(const cvxr_data *data, const double *X, size_t d) {
    size_t n = data->n, i, j;
    for (j = 0; j < d; j++) {
        long double mean = 0, norm = 0;
        for (i = 0; i < n; i++) mean += (long double)X[i * d + j];
        mean = data->scale == CVXRELU_SCALE_STANDARD ? mean / (long double)n : 0;
        for (i = 0; i < n; i++) norm += (X[i * d + j] - mean) * (X[i * d + j] - mean);
        norm = data->scale == CVXRELU_SCALE_NONE ? 1 : sqrtl(norm);
        CHECK_NEAR(data->scales[j] / (double)norm, 1, 1e-12);
        CHECK_NEAR((data->shift[j] - (double)mean) / (double)norm, 0, 1e-12);
        for (i = 0; i < n; i++)     /* an offset of 1000 spreads costs three digits */
            CHECK_NEAR(data->X[i * data->dp + j], (double)((X[i * d + j] - mean) / norm),
                       data->scale == CVXRELU_SCALE_NONE ? 0 : 1e-12);
    }
    for (i = 0; i < n; i++) {
        double one = data->scale == CVXRELU_SCALE_NONE ? 1 : 1 / sqrt((double)n);
        if (data->has_bias) CHECK_NEAR(data->X[i * data->dp + d], one, 1e-15);
        for (j = data->d; j < data->dp; j++) CHECK(data->X[i * data->dp + j] == 0);
    }
}

TEST(every_scale_matches_plain_loops) {
    static const cvxrelu_scale scales[] = { CVXRELU_SCALE_STANDARD, CVXRELU_SCALE_UNIT,
                                            CVXRELU_SCALE_NONE };
    char message[CVXRELU_MESSAGE_SIZE];
    int k;
    s06_fill();
    for (k = 0; k < 6; k++) {
        cvxrelu_problem p = s06_problem(s06_X, S06_N, S06_D, s06_Y, 1);
        cvxr_mem mem;
        cvxr_data data;
        cvxr_mem_init(&mem, NULL, 0);
        p.scale = scales[k / 2];
        p.no_bias = k % 2;
        if (p.no_bias && p.scale == CVXRELU_SCALE_STANDARD) continue;
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        CHECK(data.scale == p.scale && data.has_bias == !p.no_bias && data.features == S06_D);
        CHECK(data.d == S06_D + (size_t)data.has_bias && data.dp == 16 && data.c == 1);
        s06_compare(&data, s06_X, S06_D);
        CHECK(memcmp(data.Y, s06_Y, sizeof s06_Y) == 0 && data.y_shift[0] == 0);
        cvxr_data_free(&mem, &data);
    }
}

TEST(auto_scale_is_standard_with_a_bias_and_unit_without) {
    char message[CVXRELU_MESSAGE_SIZE];
    int no_bias;
    s06_fill();
    for (no_bias = 0; no_bias < 2; no_bias++) {
        cvxrelu_problem p = s06_problem(s06_X, S06_N, S06_D, s06_Y, 1);
        cvxr_mem mem;
        cvxr_data data;
        cvxr_mem_init(&mem, NULL, 0);
        p.no_bias = no_bias;
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        CHECK(data.scale == (no_bias ? CVXRELU_SCALE_UNIT : CVXRELU_SCALE_STANDARD));
        cvxr_data_free(&mem, &data);
    }
}

TEST(prediction_form_gives_the_training_rows) {
    cvxrelu_problem p;
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i, j;
    s06_fill();
    p = s06_problem(s06_X, S06_N, S06_D, s06_Y, 1);
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    for (i = 0; i < S06_N; i++)
        for (j = 0; j < S06_D; j++) {
            volatile double centred = s06_X[i * S06_D + j] - data.shift[j];
            CHECK_NEAR(data.X[i * data.dp + j], centred / data.scales[j], 1e-16);
        }
    cvxr_data_free(&mem, &data);
}

TEST(float32_view_with_a_stride_equals_its_float64_copy) {
    static float narrow[5 * 7];
    static double wide[5 * 3], y[5] = { 1, 2, 3, 4, 5 };
    cvxrelu_problem p = s06_problem(wide, 5, 3, y, 1), q = p;
    cvxr_mem mem;
    cvxr_data a, b;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i, j;
    for (i = 0; i < 35; i++) narrow[i] = -1e30f;             /* outside the view: never read */
    for (i = 0; i < 5; i++)
        for (j = 0; j < 3; j++) {
            narrow[i * 7 + j] = (float)(0.1 + (double)((i * 5 + j * 3) % 7));
            wide[i * 3 + j] = (double)narrow[i * 7 + j];
        }
    q.X.data = narrow, q.X.stride = 7, q.X.type = CVXRELU_FLOAT32;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &a, message) == CVXRELU_OK);
    CHECK(cvxr_data_make(&mem, &q, &b, message) == CVXRELU_OK);
    CHECK(memcmp(a.X, b.X, a.n * a.dp * sizeof(double)) == 0);
    CHECK(memcmp(a.scales, b.scales, a.d * sizeof(double)) == 0);
    cvxr_data_free(&mem, &a);
    cvxr_data_free(&mem, &b);
}

TEST(huge_and_tiny_columns_are_scaled_safely) {
    static const double units[4] = { 1e-200, 1e200, 1e299, 1e-300 };
    static double X[6 * 4], y[6] = { 1, 0, 1, 0, 1, 0 }, base[6] = { 3, -1, 4, 1, -5, 9 };
    cvxrelu_problem p = s06_problem(X, 6, 4, y, 1);
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i, j;
    int k;
    for (i = 0; i < 6; i++) for (j = 0; j < 4; j++) X[i * 4 + j] = base[i] * units[j];
    for (k = 1; k <= 2; k++) {
        p.scale = (cvxrelu_scale)k;
        cvxr_mem_init(&mem, NULL, 0);
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        for (j = 0; j < 4; j++) {
            double square = 0;
            for (i = 0; i < 6; i++) square += data.X[i * 8 + j] * data.X[i * 8 + j];
            CHECK_NEAR(square, 1, 1e-14);
            for (i = 0; i < 6; i++) CHECK_NEAR(data.X[i * 8 + j], data.X[i * 8], 1e-14);
        }
        cvxr_data_free(&mem, &data);
    }
}

TEST(zero_and_constant_columns_become_exactly_zero_with_scale_one) {
    static double X[1001 * 4], y[1001];
    cvxrelu_problem p = s06_problem(X, 1001, 4, y, 1);
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i, j;
    int k;
    for (i = 0; i < 1001; i++) {
        X[i * 4] = 0, X[i * 4 + 1] = 0.1, X[i * 4 + 2] = 1e-310, X[i * 4 + 3] = -12345.678;
        y[i] = (double)i;
    }
    for (k = 1; k <= 2; k++) {
        p.scale = (cvxrelu_scale)k;
        cvxr_mem_init(&mem, NULL, 0);
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        for (j = 0; j < 4; j++) {
            if (k == 2 && j % 2 == 1) continue;       /* not centred, a constant is a column */
            CHECK(data.scales[j] == 1);
            for (i = 0; i < 1001; i++) CHECK(data.X[i * 8 + j] == 0);
        }
        CHECK_NEAR(data.shift[1], k == 1 ? 0.1 : 0, 1e-16);
        cvxr_data_free(&mem, &data);
    }
}

TEST(small_spread_on_a_large_offset_is_kept) {
    static double X[64], y[64];
    cvxrelu_problem p = s06_problem(X, 64, 1, y, 1);
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i;
    for (i = 0; i < 64; i++) X[i] = 1048576.0 + (double)(i % 4) / 1048576.0, y[i] = 0;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    for (i = 0; i < 64; i++)        /* centred 0..3: -1.5 .. 1.5, norm sqrt(16 * 5) */
        CHECK_NEAR(data.X[i * 8], ((double)(i % 4) - 1.5) / sqrt(80.0), 1e-14);
    cvxr_data_free(&mem, &data);
}

TEST(one_row_and_one_column_are_fine) {
    double x = 3, y = 2;
    cvxrelu_problem p = s06_problem(&x, 1, 1, &y, 1);
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(data.X[0] == 0 && data.X[1] == 1 && data.shift[0] == 3 && data.scales[0] == 1);
    CHECK(data.n == 1 && data.d == 2 && data.c == 1 && data.Y[0] == 2);
    cvxr_data_free(&mem, &data);
    p.no_bias = 1;
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(data.X[0] == 1 && data.scales[0] == 3 && data.d == 1);
    cvxr_data_free(&mem, &data);
}

TEST(outputs_are_stored_one_after_the_other_and_centred_on_request) {
    double X[4] = { 1, 2, 3, 4 }, Y[4 * 3] = { 1, 10, 7, 2, 20, 7, 3, 30, 7, 6, 60, 7 };
    cvxrelu_problem p = s06_problem(X, 4, 1, Y, 3);
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i, k;
    for (p.centre_targets = 0; p.centre_targets < 2; p.centre_targets++) {
        cvxr_mem_init(&mem, NULL, 0);
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK && data.c == 3);
        for (k = 0; k < 3; k++) {
            static const double means[3] = { 3, 30, 7 };
            CHECK(data.y_shift[k] == (p.centre_targets ? means[k] : 0));
            for (i = 0; i < 4; i++) CHECK(data.Y[k * 4 + i] + data.y_shift[k] == Y[i * 3 + k]);
        }
        cvxr_data_free(&mem, &data);
    }
}

/* Labels to outputs: classes found, then the outputs of every row. */
static void s06_classes(const double *labels, size_t n, size_t classes,
                        const double *expected) {
    double X[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    cvxrelu_problem p = s06_problem(X, n, 1, labels, 1);
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i;
    p.task = CVXRELU_TASK_CLASSES;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(data.classes == classes && data.c == (classes == 2 ? 1 : classes));
    for (i = 0; i < n * data.c; i++) CHECK(data.Y[i] == expected[i]);
    cvxr_data_free(&mem, &data);
}

TEST(labels_become_signs_for_two_classes_and_indicators_for_more) {
    static const double two[4] = { 0, 1, 1, -0.0 }, two_y[4] = { -1, 1, 1, -1 };
    static const double three[4] = { 2, 0, 1, 2 };
    static const double three_y[12] = { 0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1 };
    static const double gap[3] = { 0, 2, 2 }, gap_y[9] = { 1, 0, 0, 0, 0, 0, 0, 1, 1 };
    static const double same[3] = { 0, 0, 0 }, same_y[3] = { -1, -1, -1 };
    static const double one[1] = { 1 }, one_y[1] = { 1 };
    s06_classes(two, 4, 2, two_y);
    s06_classes(three, 4, 3, three_y);
    s06_classes(gap, 3, 3, gap_y);
    s06_classes(same, 3, 2, same_y);
    s06_classes(one, 1, 2, one_y);
}

TEST(wrong_labels_are_named_with_their_row) {
    double X[4] = { 1, 2, 3, 4 }, Y[8] = { 0, 1, 0.5, 1, 0, 0, 0, 0 };
    cvxrelu_problem p = s06_problem(X, 4, 1, Y, 1);
    char message[CVXRELU_MESSAGE_SIZE];
    p.task = CVXRELU_TASK_CLASSES;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_LABELS && strstr(message, "0.5 at row 2"));
    Y[2] = -1;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_LABELS && strstr(message, "-1 at row 2"));
    Y[2] = 1e9;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_LABELS && strstr(message, "the 4 rows"));
    p.Y.cols = 2;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_LABELS && strstr(message, "Y has 2"));
}

TEST(wrong_views_are_refused_with_one_clear_message) {
    double X[6] = { 1, 2, 3, 4, 5, 6 }, Y[3] = { 1, 2, 3 };
    const cvxrelu_problem good = s06_problem(X, 3, 2, Y, 1);
    cvxrelu_problem p = good;
    char message[CVXRELU_MESSAGE_SIZE];
    CHECK(s06_result(&p, message) == CVXRELU_OK);
    p.X.data = NULL;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "X.data is NULL"));
    p = good, p.Y.data = NULL;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "Y.data is NULL"));
    p = good, p.X.rows = 0;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "X has 0 rows"));
    p = good, p.X.cols = 0;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT &&
          strstr(message, "X has 0 columns"));
    p = good, p.Y.cols = 0;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT &&
          strstr(message, "Y has 0 columns"));
    p = good, p.X.stride = 1;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "stride is 1"));
    p = good, p.Y.rows = 2;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT);
    CHECK_TEXT(message, "X has 3 rows and Y has 2");
    p = good, memset(&p.X.type, 7, sizeof p.X.type);
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "X.type"));
    p = good, p.X.rows = p.Y.rows = SIZE_MAX / 8;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_SIZE && strstr(message, "size_t"));
    p = good, p.X.stride = SIZE_MAX / 2;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_SIZE);
}

TEST(wrong_options_of_the_data_are_refused) {
    double X[2] = { 1, 2 }, Y[2] = { 0, 1 };
    const cvxrelu_problem good = s06_problem(X, 2, 1, Y, 1);
    cvxrelu_problem p = good;
    char message[CVXRELU_MESSAGE_SIZE];
    p.scale = CVXRELU_SCALE_STANDARD, p.no_bias = 1;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "needs the bias"));
    p = good, p.task = CVXRELU_TASK_CLASSES, p.centre_targets = 1;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "centre_targets"));
    p = good, memset(&p.scale, 7, sizeof p.scale);
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "scale is"));
    p = good, memset(&p.task, 7, sizeof p.task);
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "task is"));
}

TEST(values_that_are_not_finite_are_named_by_row_and_column) {
    double X[6] = { 1, 2, 3, 4, 5, 6 }, Y[3] = { 1, 2, 3 };
    float narrow[3] = { 1, 2, 3 };
    cvxrelu_problem p = s06_problem(X, 3, 2, Y, 1);
    char message[CVXRELU_MESSAGE_SIZE];
    uint64_t bits = (uint64_t)0x7ff8 << 48;
    uint32_t narrow_bits = 0xff800000u;
    memcpy(&X[5], &bits, sizeof bits);
    CHECK(s06_result(&p, message) == CVXRELU_ERR_NONFINITE);
    CHECK_TEXT(message, "X holds NaN at row 2, column 1 (from 0)");
    X[5] = 1e301;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_ARGUMENT &&
          strstr(message, "row 2, column 1"));
    X[5] = 6;
    memcpy(&narrow[1], &narrow_bits, sizeof narrow_bits);
    p.Y.data = narrow, p.Y.type = CVXRELU_FLOAT32;
    CHECK(s06_result(&p, message) == CVXRELU_ERR_NONFINITE);
    CHECK_TEXT(message, "Y holds -infinity at row 1, column 0 (from 0)");
}

TEST(data_bytes_are_what_the_data_take) {
    static const size_t shapes[4][3] = { { 1, 1, 1 }, { 67, 11, 1 }, { 64, 7, 3 },
                                         { 9, 8, 2 } };
    static double Y[67 * 3];
    char message[CVXRELU_MESSAGE_SIZE];
    size_t k;
    s06_fill();
    for (k = 0; k < 8; k++) {
        const size_t *shape = shapes[k / 2];
        cvxrelu_problem p = s06_problem(s06_X, shape[0], shape[1], Y, shape[2]);
        cvxr_mem mem;
        cvxr_data data;
        p.no_bias = k % 2;
        cvxr_mem_init(&mem, NULL, 0);
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        CHECK(mem.now == cvxr_data_bytes(shape[0], shape[1], data.has_bias, shape[2]));
        CHECK(mem.peak == mem.now);
        cvxr_data_free(&mem, &data);
        cvxr_data_free(&mem, &data);
        CHECK(mem.now == 0);
    }
    CHECK(cvxr_data_bytes(SIZE_MAX / 8, 1, 0, 1) == 0);
    CHECK(cvxr_data_bytes(1, SIZE_MAX - 1, 1, 1) == 0);
    CHECK(cvxr_data_bytes(SIZE_MAX / 16, 8, 0, 1) == 0);
    CHECK(cvxr_data_bytes(2, 2, 0, SIZE_MAX) == 0);
}

TEST(every_refused_allocation_of_the_data_leaves_nothing_behind) {
    char message[CVXRELU_MESSAGE_SIZE];
    size_t refuse;
    s06_fill();
    for (refuse = 1; refuse <= 6; refuse++) {
        cvxrelu_problem p = s06_problem(s06_X, S06_N, S06_D, s06_Y, 1);
        s06_counter counter;
        cvxrelu_allocator allocator = s06_allocator(&counter, refuse);
        cvxr_mem mem;
        cvxr_data data;
        cvxr_mem_init(&mem, &allocator, 0);
        message[0] = 0;
        CHECK(cvxr_data_make(&mem, &p, &data, message) ==
              (refuse < 6 ? CVXRELU_ERR_MEMORY : CVXRELU_OK));
        CHECK(refuse < 6 ? data.X == NULL && strlen(message) > 0 : data.X != NULL);
        cvxr_data_free(&mem, &data);
        CHECK(counter.blocks == 0 && counter.bytes == 0 && mem.now == 0);
    }
}

TEST(memory_limit_below_the_data_names_both_numbers) {
    cvxrelu_problem p;
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    s06_fill();
    p = s06_problem(s06_X, S06_N, S06_D, s06_Y, 1);
    cvxr_mem_init(&mem, NULL, 1000);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_ERR_LIMIT);
    CHECK(strstr(message, "1000 bytes") != NULL && mem.now == 0);
}

SUITE(s06_data) {
    RUN(every_scale_matches_plain_loops);
    RUN(auto_scale_is_standard_with_a_bias_and_unit_without);
    RUN(prediction_form_gives_the_training_rows);
    RUN(float32_view_with_a_stride_equals_its_float64_copy);
    RUN(huge_and_tiny_columns_are_scaled_safely);
    RUN(zero_and_constant_columns_become_exactly_zero_with_scale_one);
    RUN(small_spread_on_a_large_offset_is_kept);
    RUN(one_row_and_one_column_are_fine);
    RUN(outputs_are_stored_one_after_the_other_and_centred_on_request);
    RUN(labels_become_signs_for_two_classes_and_indicators_for_more);
    RUN(wrong_labels_are_named_with_their_row);
    RUN(wrong_views_are_refused_with_one_clear_message);
    RUN(wrong_options_of_the_data_are_refused);
    RUN(values_that_are_not_finite_are_named_by_row_and_column);
    RUN(data_bytes_are_what_the_data_take);
    RUN(every_refused_allocation_of_the_data_leaves_nothing_behind);
    RUN(memory_limit_below_the_data_names_both_numbers);
}
