/* Tests of S24 SAVE, LOAD, VERIFY. Included by test_main.c after test_s17_network.c, whose
   cases and allocator it uses. */

/* Beside the test program and named after it, so that several of them can run at once. */
static char s24_path[1024], s24_aside[1024 + 8];

static void s24_name_files(void) {
    snprintf(s24_path, sizeof s24_path, "%s.model", runner.program);
    snprintf(s24_aside, sizeof s24_aside, "%s.tmp", s24_path);
}

typedef struct s24_bytes { unsigned char *data; size_t size; } s24_bytes;

static s24_bytes s24_write(const cvxrelu_model *model, int strip) {
    s24_bytes bytes = { NULL, 0 };
    CHECK(cvxrelu_model_write(model, strip, NULL, &bytes.size) == CVXRELU_OK);
    bytes.data = (unsigned char *)malloc(bytes.size);
    CHECK(cvxrelu_model_write(model, strip, bytes.data, &bytes.size) == CVXRELU_OK);
    return bytes;
}

/* The result of reading a copy that ends where its memory ends; nothing may stay held. */
static cvxrelu_result s24_read(const unsigned char *data, size_t size, char *message) {
    unsigned char *copy = (unsigned char *)malloc(size ? size : 1);
    s17_heap heap;
    cvxrelu_allocator allocator = s17_allocator(&heap, 0);
    cvxrelu_model *model = NULL;
    cvxrelu_result result;
    memcpy(copy, data, size);
    result = cvxrelu_model_read(copy, size, &allocator, &model, message);
    CHECK((result == CVXRELU_OK) == (model != NULL));
    CHECK(heap.most <= 16 * size + 4096);          /* no more memory than the bytes justify */
    cvxrelu_model_free(model);
    CHECK(heap.held == 0);
    free(copy);
    return result;
}

/* A small model with class labels, feature names and the recipe of sampled patterns. */
static void s24_small(void) {
    static const char *const labels[] = { "benign", "malignant" };
    static const char *const names[] = { "r", "t\xc3\xa9" };
    s17_problem(20, 2, 1, 2, 2.0);
    s14.problem.gates.seed = 0x0123456789abcdefu;
    s17_model(2, NULL);
    CHECK(cvxrelu_model_set_text(s14.model, CVXRELU_TEXT_CLASSES, 2, labels) == CVXRELU_OK);
    CHECK(cvxrelu_model_set_text(s14.model, CVXRELU_TEXT_FEATURES, 2, names) == CVXRELU_OK);
    s14.model->info.objective = 0.5, s14.model->info.has_bound = 1;
    s14.model->info.dual_bound = 0.25, s14.model->info.gap = 0.5;
}

/* The same as a ReLU model with the patterns of a search, two outputs and a proof. */
static void s24_small_relu(void) {
    static double theta[40], extra[3] = { 0.5, -2, 1e-300 };
    static const char *const names[] = { "r", "t\xc3\xa9" };
    cvxr_proof proof;
    size_t i;
    s17_problem(20, 2, 2, 0, 2.0);
    s14.problem.kind = CVXRELU_RELU;
    s14.problem.gates.count = 5;
    s14.problem.gates.seed = 77;
    s17_model(4, NULL);
    CHECK(cvxrelu_model_set_text(s14.model, CVXRELU_TEXT_FEATURES, 2, names) == CVXRELU_OK);
    for (i = 0; i < 40; i++) theta[i] = sin((double)i);
    memset(&proof, 0, sizeof proof);
    proof.n = 20, proof.c = 2, proof.theta = theta, proof.extra = extra, proof.extra_count = 3;
    proof.lambda = 0.01, proof.bound = 0.125, proof.method = 3;
    proof.scope = CVXRELU_SCOPE_ALL, proof.plain_decay = 1;
    CHECK(cvxr_model_set_proof(s14.model, &proof) == CVXRELU_OK);
}

static void s24_put(unsigned char *at, int count, uint64_t value) {
    int i;
    for (i = 0; i < count; i++) at[i] = (unsigned char)(value >> (8 * i) & 255);
}

/* Makes the checksum right again after a change. */
static void s24_seal(s24_bytes bytes) {
    uint32_t crc = 0xffffffffu;
    size_t i;
    int bit;
    for (i = 0; i + 4 < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    s24_put(bytes.data + bytes.size - 4, 4, ~crc & 0xffffffffu);
}

/* ---- Bytes. */

TEST(layout_of_version_2_is_pinned) {
    static const unsigned char start[] = { 0x89, 'C', 'V', 'X', 'R', 13, 10, 26,
                                           2, 0, 0, 0, 7, 0 };
    static const unsigned char half[] = { 0, 0, 0, 0, 0, 0, 0xe0, 0x3f };
    static const unsigned char text[] = "benign\0malignant\0r\0t\xc3\xa9";
    s24_bytes bytes;
    size_t i;
    s24_small();
    bytes = s24_write(s14.model, 0);
    CHECK(bytes.size == 272 + 8 * (3 + 3 + 1 + 2 + 2 + 6 + 6) + 7 + 10 + 2 + 4 + 4);
    CHECK(memcmp(bytes.data, start, sizeof start) == 0);
    CHECK(bytes.data[16] == (bytes.size & 255) && bytes.data[17] == bytes.size >> 8);
    CHECK(bytes.data[28] == 1 && bytes.data[48] == 2);             /* task, features */
    CHECK(bytes.data[56] == 1 && bytes.data[64] == 2);             /* outputs, classes */
    CHECK(memcmp(bytes.data + 104, half, 8) == 0);                 /* objective = 0.5 */
    CHECK(bytes.data[136] == 0xef && bytes.data[143] == 0x01);     /* seed */
    CHECK(bytes.data[224] == CVXRELU_SEARCH_OFF);
    for (i = 228; i < 272; i++) CHECK(bytes.data[i] == 0);         /* no proof */
    CHECK(memcmp(bytes.data + bytes.size - 4 - 23, text, 23) == 0);
    CHECK(cvxr_crc32(0, (const unsigned char *)"123456789", 9) == 0xcbf43926u);
    s24_seal(bytes);                                               /* the slow formula agrees */
    CHECK(s24_read(bytes.data, bytes.size, NULL) == CVXRELU_OK);
    free(bytes.data);
    s17_close();
}

TEST(layout_of_relu_models_and_proofs_is_pinned) {
    static const unsigned char eighth[] = { 0, 0, 0, 0, 0, 0, 0xc0, 0x3f };
    static const unsigned char signs[] = { 255, 1, 1, 255 };
    size_t P, theta;
    double value;
    s24_bytes bytes;
    s24_small_relu();
    P = s14.patterns.count;
    bytes = s24_write(s14.model, 0);
    theta = 272 + 8 * (3 + 3 + 2 + 4 + 4 + 12 + 12 + 3 * P);
    CHECK(bytes.size == theta + 8 * (40 + 3) + 4 + 2 + 4 + 4);
    CHECK(bytes.data[12] == (1 | 4 | 8 | 32 | 64) && bytes.data[24] == CVXRELU_RELU);
    CHECK(bytes.data[44] == CVXRELU_SAMPLER_GIVEN && bytes.data[136] == 77);
    CHECK(bytes.data[224] == CVXRELU_SEARCH_ON && bytes.data[228] == 3);
    CHECK(bytes.data[232] == CVXRELU_SCOPE_ALL && bytes.data[236] == 0);
    CHECK(memcmp(bytes.data + 248, eighth, 8) == 0);               /* bound = 0.125 */
    CHECK(bytes.data[256] == 20 && bytes.data[264] == 3);
    memcpy(&value, bytes.data + theta + 8, sizeof value);
    CHECK(value == s14.model->proof.theta[1]);
    CHECK(memcmp(bytes.data + theta + 8 * 43, signs, 4) == 0);
    free(bytes.data);
    s17_close();
}

/* Written by version 0.1.0: two neurons, given gates 1 and -1, a feature called x. */
static const unsigned char s24_version_1[] = {
    137,67,86,88,82,13,10,26,1,0,0,0,14,0,0,0,78,1,0,0, 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    3,0,0,0,4,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0, 0,0,0,0,0,0,0,0,0,0,0,0,2,0,0,0,0,0,0,0,
    2,0,0,0,0,0,0,0,4,0,0,0,0,0,0,0,0,0,0,0, 0,0,208,63,52,100,112,62,6,231,221,63,122,234,215,
    234,5,231,221,63, 110,99,76,166,105,93,134,62,0,0,0,0,0,0,0,0,0,0,0,0,
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0, 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0, 1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,2,0,0,0,
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,240,63, 0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    0,0,0,0,0,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0, 203,104,166,74,137,218,181,191,20,73,164,49,0,0,
    232,191,0,0,0,0, 0,0,240,63,0,0,0,0,0,0,240,191,0,0,0,0,0,0,240,63,
    0,0,0,0,0,0,240,191,120,0,41,207,75,36 };

TEST(models_of_version_1_are_read) {
    static const double x = 3, X[4] = { 1, -2, 3, 0.5 }, Y[4] = { 1, 2, -1, 0.25 };
    double y = 0;
    cvxrelu_matrix rows, targets;
    cvxrelu_model_info info;
    cvxrelu_model *model = NULL;
    cvxrelu_report report;
    s24_bytes bytes;
    size_t i;
    CHECK(cvxrelu_model_read(s24_version_1, sizeof s24_version_1, NULL, &model, NULL) ==
          CVXRELU_OK);
    if (model == NULL) return;
    cvxrelu_model_get_info(model, &info);
    CHECK(info.kind == CVXRELU_GATED && info.neurons == 2 && info.search == CVXRELU_SEARCH_OFF);
    CHECK(info.objective == 0.46722560975610183 && !info.has_proof && info.has_recipe);
    CHECK_TEXT(cvxrelu_model_text(model, CVXRELU_TEXT_FEATURES, 0), "x");
    cvxrelu_model_predict(model, &x, &y);
    CHECK(y == -0.25609754769832582);
    memset(&rows, 0, sizeof rows);
    rows.data = X, rows.rows = 4, rows.cols = 1;
    targets = rows, targets.data = Y;
    CHECK(cvxrelu_verify(model, rows, targets, -1, NULL, &report) == CVXRELU_OK);
    CHECK_NEAR(report.objective, info.objective, 1e-15);
    CHECK_NEAR(report.dual_bound, info.dual_bound, 1e-15);
    bytes = s24_write(model, 0);                               /* it is written as version 2 */
    CHECK(bytes.data[8] == 2 && bytes.size == sizeof s24_version_1 + 48);
    CHECK(memcmp(bytes.data + 272, s24_version_1 + 224, bytes.size - 276) == 0);
    CHECK(s24_read(bytes.data, bytes.size, NULL) == CVXRELU_OK);
    free(bytes.data);
    bytes.size = sizeof s24_version_1;
    bytes.data = (unsigned char *)malloc(bytes.size);
    for (i = 0; i < 3; i++) {         /* no ReLU, no proof in version 1, which ends earlier */
        memcpy(bytes.data, s24_version_1, bytes.size);
        if (i == 0) bytes.data[24] = CVXRELU_RELU;
        if (i == 1) bytes.data[12] |= 32;
        if (i == 2) bytes.data[8] = 2;
        s24_seal(bytes);
        CHECK(s24_read(bytes.data, bytes.size, NULL) == CVXRELU_ERR_CORRUPT);
    }
    for (i = 0; i < bytes.size; i++)
        CHECK(s24_read(s24_version_1, i, NULL) == CVXRELU_ERR_CORRUPT);
    free(bytes.data);
    cvxrelu_model_free(model);
}

static void s24_check_same(const cvxrelu_model *a, const cvxrelu_model *b) {
    cvxrelu_model_info x, y;
    double p[4], q[4];
    size_t i;
    cvxrelu_model_get_info(a, &x);
    cvxrelu_model_get_info(b, &y);
    CHECK(x.task == y.task && x.penalty == y.penalty && x.scale == y.scale);
    CHECK(x.has_bias == y.has_bias && x.features == y.features && x.outputs == y.outputs);
    CHECK(x.classes == y.classes && x.neurons == y.neurons && x.patterns == y.patterns);
    CHECK(x.rows == y.rows && x.lambda == y.lambda && x.objective == y.objective);
    CHECK(x.kind == y.kind && x.search == y.search);
    CHECK(a->m == 0 || memcmp(a->sign, b->sign, a->m) == 0);
    CHECK(x.has_bound == y.has_bound && x.dual_bound == y.dual_bound && x.gap == y.gap);
    CHECK(x.text_count[0] == y.text_count[0] && x.text_count[1] == y.text_count[1]);
    for (i = 0; i < s14.n; i++) {
        cvxrelu_model_predict(a, s14.X + i * s14.features, p);
        cvxrelu_model_predict(b, s14.X + i * s14.features, q);
        CHECK(memcmp(p, q, s14.c * sizeof(double)) == 0);
    }
    CHECK(memcmp(a->W1, b->W1, a->m * (s14.features + 1) * sizeof(double)) == 0);
}

static void s24_check_round_trip(int strip) {
    s24_bytes one = s24_write(s14.model, strip), two;
    cvxrelu_model *model = NULL;
    char message[CVXRELU_MESSAGE_SIZE] = "";
    CHECK(cvxrelu_model_read(one.data, one.size, NULL, &model, message) == CVXRELU_OK);
    CHECK_TEXT(message, "");
    s24_check_same(s14.model, model);
    two = s24_write(model, strip);
    CHECK(one.size == two.size && memcmp(one.data, two.data, one.size) == 0);
    CHECK(model->info.has_recipe == !strip);
    CHECK((model->proof.theta != NULL) == (s14.model->proof.theta != NULL && !strip));
    if (model->proof.theta) {
        const cvxr_proof *p = &model->proof, *q = &s14.model->proof;
        CHECK(p->n == q->n && p->c == q->c && p->extra_count == q->extra_count);
        CHECK(p->lambda == q->lambda && p->bound == q->bound && p->method == q->method);
        CHECK(p->scope == q->scope && p->plain_decay == q->plain_decay);
        CHECK(p->conditional == q->conditional);
        CHECK(memcmp(p->theta, q->theta, p->n * p->c * sizeof(double)) == 0);
        CHECK(memcmp(p->extra, q->extra, p->extra_count * sizeof(double)) == 0);
    }
    cvxrelu_model_free(model);
    free(one.data);
    free(two.data);
}

TEST(reading_gives_the_written_model_back) {
    double gates[6 * 5];
    size_t i;
    for (i = 0; i < 30; i++) gates[i] = sin((double)i * 3.7);
    s24_small();
    s24_check_round_trip(0);
    s24_check_round_trip(1);
    s17_close();
    s17_problem(30, 5, 3, 0, 7.0);
    s14.problem.centre_targets = 1;
    s14.problem.gates.sampler = CVXRELU_SAMPLER_SPARSE;
    s14.problem.gates.order = 3, s14.problem.gates.no_gate_bias = 1;
    s17_model(20, NULL);
    s24_check_round_trip(0);
    s17_close();
    s17_problem(30, 5, 2, 0, 1.0);
    s14.problem.no_bias = 1;
    s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    s14.problem.gates.given.data = gates;
    s14.problem.gates.given.rows = 6, s14.problem.gates.given.cols = 5;
    s17_model(7, NULL);
    s24_check_round_trip(0);
    s24_check_round_trip(1);
    s17_close();
}

TEST(relu_models_come_back_with_signs_gates_and_proof) {
    cvxrelu_model *model = NULL;
    s24_bytes bytes;
    double *V, *W, *U;
    size_t reals;
    s24_small_relu();
    s24_check_round_trip(0);
    s24_check_round_trip(1);
    s14.model->proof.conditional = 1, s14.model->proof.plain_decay = 0;
    s24_check_round_trip(0);
    bytes = s24_write(s14.model, 0);             /* the patterns of a search are kept */
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &model, NULL) == CVXRELU_OK);
    reals = 2 * s14.patterns.count * 3;
    V = (double *)malloc(3 * reals * sizeof(double)), W = V + reals, U = W + reals;
    CHECK(cvxrelu_model_convex(model, V, W, NULL) == CVXRELU_OK);
    CHECK(cvxrelu_model_convex(s14.model, U, NULL, NULL) == CVXRELU_OK);
    CHECK(memcmp(U, V, reals * sizeof(double)) == 0);
    CHECK(cvxrelu_model_convex(s14.model, NULL, U, NULL) == CVXRELU_OK);
    CHECK(memcmp(U, W, reals * sizeof(double)) == 0);
    free(V);
    free(bytes.data);
    cvxrelu_model_free(model);
    s17_close();
    s17_problem(30, 5, 3, 0, 7.0);
    s14.problem.kind = CVXRELU_RELU;
    s14.problem.search = CVXRELU_SEARCH_OFF;
    s17_model(20, NULL);
    s24_check_round_trip(0);
    s24_check_round_trip(1);
    s17_close();
}

TEST(given_gates_are_kept_bit_for_bit_and_sampled_ones_are_not_kept) {
    double gates[6 * 5], G[6 * 5] = { 0 }, kept[6 * 5] = { 1 };
    cvxrelu_model *model = NULL;
    s24_bytes bytes;
    size_t i;
    for (i = 0; i < 30; i++) gates[i] = sin((double)i * 3.7);
    s17_problem(30, 4, 2, 0, 3.0);
    s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    s14.problem.gates.given.data = gates;
    s14.problem.gates.given.rows = 6, s14.problem.gates.given.cols = 5;
    s17_model(7, NULL);
    bytes = s24_write(s14.model, 0);
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &model, NULL) == CVXRELU_OK);
    CHECK(cvxrelu_model_convex(s14.model, NULL, NULL, G) == CVXRELU_OK);
    CHECK(cvxrelu_model_convex(model, NULL, NULL, kept) == CVXRELU_OK);
    CHECK(memcmp(G, kept, sizeof G) == 0);
    cvxrelu_model_free(model);
    free(bytes.data);
    s17_close();
    s24_small();
    bytes = s24_write(s14.model, 0);
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &model, NULL) == CVXRELU_OK);
    CHECK(cvxrelu_model_convex(model, NULL, NULL, NULL) == CVXRELU_ERR_UNSUPPORTED);
    CHECK(model->recipe.seed == 0x0123456789abcdefu && model->info.seed == model->recipe.seed);
    CHECK_TEXT(cvxrelu_model_text(model, CVXRELU_TEXT_CLASSES, 1), "malignant");
    cvxrelu_model_free(model);
    free(bytes.data);
    s17_close();
}

TEST(stripped_models_hold_no_recipe) {
    cvxrelu_model_info info;
    cvxrelu_model *model = NULL;
    s24_bytes bytes;
    s24_small();
    bytes = s24_write(s14.model, 1);
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &model, NULL) == CVXRELU_OK);
    cvxrelu_model_get_info(model, &info);
    CHECK(!info.has_recipe && info.seed == 0);
    CHECK(model->recipe.count == 0 && model->gates == NULL);
    cvxrelu_model_free(model);
    free(bytes.data);
    s17_close();
}

TEST(buffer_that_is_too_small_stays_untouched) {
    unsigned char buffer[64];
    size_t size = sizeof buffer, need = 0, i;
    s24_small();
    memset(buffer, 7, sizeof buffer);
    CHECK(cvxrelu_model_write(s14.model, 0, NULL, &need) == CVXRELU_OK);
    CHECK(cvxrelu_model_write(s14.model, 0, buffer, &size) == CVXRELU_ERR_ARGUMENT);
    CHECK(size == need);
    for (i = 0; i < sizeof buffer; i++) CHECK(buffer[i] == 7);
    CHECK(cvxrelu_model_write(NULL, 0, buffer, &size) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_model_write(s14.model, 0, buffer, NULL) == CVXRELU_ERR_ARGUMENT);
    s17_close();
}

static void s24_check_truncation(void) {
    s24_bytes bytes = s24_write(s14.model, 0);
    size_t size;
    for (size = 0; size < bytes.size; size++)
        CHECK(s24_read(bytes.data, size, NULL) == CVXRELU_ERR_CORRUPT);
    bytes.data = (unsigned char *)realloc(bytes.data, bytes.size + 1);
    bytes.data[bytes.size] = 0;
    CHECK(s24_read(bytes.data, bytes.size + 1, NULL) == CVXRELU_ERR_CORRUPT);
    free(bytes.data);
    s17_close();
}

TEST(every_truncation_is_rejected) {
    s24_small();
    s24_check_truncation();
    s24_small_relu();
    s24_check_truncation();
}

static void s24_check_flips(void) {
    s24_bytes bytes = s24_write(s14.model, 0);
    size_t i;
    int flip;
    for (i = 0; i < bytes.size; i++)
        for (flip = 0; flip < 9; flip++) {
            unsigned char old = bytes.data[i];
            bytes.data[i] = (unsigned char)(flip < 8 ? old ^ 1 << flip : old ^ 255);
            CHECK(s24_read(bytes.data, bytes.size, NULL) != CVXRELU_OK);
            bytes.data[i] = old;
        }
    CHECK(s24_read(bytes.data, bytes.size, NULL) == CVXRELU_OK);
    free(bytes.data);
    s17_close();
}

TEST(every_flipped_bit_and_byte_is_rejected) {
    s24_small();
    s24_check_flips();
    s24_small_relu();
    s24_check_flips();
}

TEST(foreign_bytes_and_newer_versions_are_named) {
    char message[CVXRELU_MESSAGE_SIZE];
    cvxrelu_model *model = NULL;
    s24_bytes bytes;
    CHECK(s24_read((const unsigned char *)"\x93NUMPY\1", 8, message) == CVXRELU_ERR_FORMAT);
    CHECK_TEXT(message, "not a cvxrelu model");
    CHECK(s24_read((const unsigned char *)"a,b\n", 4, message) == CVXRELU_ERR_FORMAT);
    CHECK(cvxrelu_model_read(NULL, 9, NULL, &model, message) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_model_read(message, 9, NULL, NULL, message) == CVXRELU_ERR_ARGUMENT);
    s24_small();
    bytes = s24_write(s14.model, 0);
    bytes.data[8] = 3;
    s24_seal(bytes);
    CHECK(s24_read(bytes.data, bytes.size, message) == CVXRELU_ERR_UNSUPPORTED);
    CHECK_TEXT(message, "the model has format version 3, this library reads 1 to 2");
    bytes.data[8] = 0;
    s24_seal(bytes);
    CHECK(s24_read(bytes.data, bytes.size, message) == CVXRELU_ERR_UNSUPPORTED);
    free(bytes.data);
    s17_close();
}

/* Every field of the head at extreme values, every number infinite; `tail` bytes of signs and
   text at the end. */
static void s24_check_hostile(size_t tail) {
    static const uint64_t values[] = { 0, 1, 3, 1000, 0x7fffffff, 0xffffffffu,
                                       (uint64_t)1 << 32, (uint64_t)1 << 60,
                                       (uint64_t)1 << 61, UINT64_MAX };
    s24_bytes bytes = s24_write(s14.model, 0), changed;
    size_t at, v;
    changed = bytes;
    changed.data = (unsigned char *)malloc(bytes.size);
    for (at = 12; at + 8 <= 272; at += 4)
        for (v = 0; v < sizeof values / sizeof *values; v++) {
            memcpy(changed.data, bytes.data, bytes.size);
            s24_put(changed.data + at, 8, values[v]);
            s24_seal(changed);
            (void)s24_read(changed.data, changed.size, NULL);  /* it checks the memory */
        }
    for (at = 272; at + 8 <= bytes.size - 4 - tail; at += 8) { /* infinity, or a huge number */
        memcpy(changed.data, bytes.data, bytes.size);
        s24_put(changed.data + at, 8, (uint64_t)0x7ff << 52);
        s24_seal(changed);
        CHECK(s24_read(changed.data, changed.size, NULL) == CVXRELU_ERR_CORRUPT);
    }
    memcpy(changed.data, bytes.data, bytes.size);
    changed.data[bytes.size - 4 - tail] = 0;       /* one string too many, or no sign */
    s24_seal(changed);
    CHECK(s24_read(changed.data, changed.size, NULL) == CVXRELU_ERR_CORRUPT);
    memcpy(changed.data, bytes.data, bytes.size);
    changed.data[bytes.size - 5] = 'x';            /* the last string has no end */
    s24_seal(changed);
    CHECK(s24_read(changed.data, changed.size, NULL) == CVXRELU_ERR_CORRUPT);
    free(changed.data);
    free(bytes.data);
}

TEST(hostile_fields_with_a_right_checksum_are_rejected) {
    s24_small();
    s24_check_hostile(23);
    s17_close();
    s24_small_relu();
    s24_check_hostile(4 + 6);
    s17_close();
}

/* One byte of a small ReLU model, changed under a right checksum. */
static cvxrelu_result s24_changed(size_t at, unsigned char value) {
    s24_bytes bytes = s24_write(s14.model, 0);
    cvxrelu_result result;
    bytes.data[at] = value;
    s24_seal(bytes);
    result = s24_read(bytes.data, bytes.size, NULL);
    free(bytes.data);
    return result;
}

TEST(fields_of_version_2_that_contradict_one_another_are_rejected) {
    s24_small_relu();
    CHECK(s24_changed(8, 2) == CVXRELU_OK);
    CHECK(s24_changed(24, CVXRELU_GATED) == CVXRELU_ERR_CORRUPT);          /* with signs */
    CHECK(s24_changed(24, 2) == CVXRELU_ERR_CORRUPT);
    CHECK(s24_changed(224, CVXRELU_SEARCH_AUTO) == CVXRELU_ERR_CORRUPT);
    CHECK(s24_changed(224, CVXRELU_SEARCH_EXACT) == CVXRELU_OK);
    CHECK(s24_changed(224, 4) == CVXRELU_ERR_CORRUPT);
    CHECK(s24_changed(44, CVXRELU_SAMPLER_GAUSSIAN) == CVXRELU_ERR_CORRUPT);
    CHECK(s24_changed(12, 1 | 4 | 8 | 64) == CVXRELU_ERR_CORRUPT);         /* no proof */
    CHECK(s24_changed(12, 1 | 4 | 8 | 32 | 128) == CVXRELU_OK);
    CHECK(s24_changed(13, 1) == CVXRELU_ERR_CORRUPT);                      /* flag 256 */
    CHECK(s24_changed(231, 1) == CVXRELU_ERR_CORRUPT);                     /* method */
    CHECK(s24_changed(232, 3) == CVXRELU_ERR_CORRUPT);                     /* scope */
    CHECK(s24_changed(236, 1) == CVXRELU_ERR_CORRUPT);
    CHECK(s24_changed(256, 19) == CVXRELU_ERR_CORRUPT);                    /* rows of theta */
    s17_close();
    s24_small();
    CHECK(s24_changed(224, CVXRELU_SEARCH_ON) == CVXRELU_ERR_CORRUPT);
    CHECK(s24_changed(264, 1) == CVXRELU_ERR_CORRUPT);
    s17_close();
}

TEST(reading_survives_every_refused_allocation) {
    s17_heap heap;
    cvxrelu_allocator allocator;
    cvxrelu_model *model = NULL;
    s24_bytes bytes;
    size_t refuse;
    cvxrelu_result result = CVXRELU_ERR_MEMORY;
    s24_small();
    bytes = s24_write(s14.model, 0);
    for (refuse = 1; result != CVXRELU_OK; refuse++) {
        char message[CVXRELU_MESSAGE_SIZE] = "";
        allocator = s17_allocator(&heap, refuse);
        result = cvxrelu_model_read(bytes.data, bytes.size, &allocator, &model, message);
        CHECK(result == CVXRELU_OK || (result == CVXRELU_ERR_MEMORY && message[0]));
        CHECK((result == CVXRELU_OK) == (model != NULL));
        cvxrelu_model_free(model);
        CHECK(heap.held == 0);
    }
    CHECK(refuse == 5);                        /* model, two tables, then none is refused */
    free(bytes.data);
    s17_close();
    s24_small_relu();
    bytes = s24_write(s14.model, 0);
    for (result = CVXRELU_ERR_MEMORY, refuse = 1; result != CVXRELU_OK; refuse++) {
        allocator = s17_allocator(&heap, refuse);
        result = cvxrelu_model_read(bytes.data, bytes.size, &allocator, &model, NULL);
        CHECK(result == CVXRELU_OK || result == CVXRELU_ERR_MEMORY);
        cvxrelu_model_free(model);
        CHECK(heap.held == 0);
    }
    CHECK(refuse == 5);                        /* model, proof, one table */
    free(bytes.data);
    s17_close();
}

/* ---- Files. */

#ifndef CVXRELU_NO_STDIO
static void s24_put_file(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(loading_gives_the_saved_model_back) {
    char message[CVXRELU_MESSAGE_SIZE] = "";
    s17_heap heap;
    cvxrelu_allocator allocator;
    cvxrelu_model *model = NULL;
    cvxrelu_result result = CVXRELU_ERR_MEMORY;
    size_t refuse;
    s24_name_files();
    s24_small();
    s24_put_file(s24_path, "an older file is replaced");
    CHECK(cvxrelu_model_save(s14.model, 0, s24_path, message) == CVXRELU_OK);
    for (refuse = 1; result != CVXRELU_OK && refuse < 9; refuse++) {
        allocator = s17_allocator(&heap, refuse);
        result = cvxrelu_model_load(s24_path, &allocator, &model, message);
        CHECK(result == CVXRELU_OK || (result == CVXRELU_ERR_MEMORY && model == NULL));
        if (result == CVXRELU_OK) s24_check_same(s14.model, model);
        cvxrelu_model_free(model);
        CHECK(heap.held == 0);
    }
    CHECK(result == CVXRELU_OK && fopen(s24_aside, "rb") == NULL);
    CHECK(remove(s24_path) == 0);
    s17_close();
}

TEST(file_errors_name_the_file) {
    char message[CVXRELU_MESSAGE_SIZE] = "", want[1100];
    cvxrelu_model *model = NULL;
    s24_name_files();
    s24_small();
    CHECK(cvxrelu_model_load("no/such.model", NULL, &model, message) == CVXRELU_ERR_IO);
    CHECK_TEXT(message, "no/such.model cannot be opened");
    CHECK(cvxrelu_model_save(s14.model, 0, "no/such.model", message) == CVXRELU_ERR_IO);
    CHECK(strstr(message, "no/such.model.tmp cannot be written") == message);
    CHECK(cvxrelu_model_load(NULL, NULL, &model, message) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_model_save(NULL, 0, s24_path, message) == CVXRELU_ERR_ARGUMENT);
    s24_put_file(s24_path, "x,y\n1,2\n");
    CHECK(cvxrelu_model_load(s24_path, NULL, &model, message) == CVXRELU_ERR_FORMAT);
    snprintf(want, sizeof want, "%s: not a cvxrelu model", s24_path);
    CHECK_TEXT(message, want);
    s24_put_file(s24_path, "");
    CHECK(cvxrelu_model_load(s24_path, NULL, &model, message) == CVXRELU_ERR_CORRUPT);
    s24_put_file(s24_path, "\x89" "CVXR\r\n\x1a");
    CHECK(cvxrelu_model_load(s24_path, NULL, &model, message) == CVXRELU_ERR_CORRUPT);
    CHECK(model == NULL && remove(s24_path) == 0);
    s17_close();
}

#ifdef __linux__
TEST(full_disk_leaves_the_old_file_whole) {
    char message[CVXRELU_MESSAGE_SIZE] = "", old[16] = "", command[1200];
    FILE *file = fopen("/dev/full", "wb");
    if (file == NULL) SKIP("no /dev/full");
    (void)fclose(file);
    s24_name_files();
    snprintf(command, sizeof command, "ln -sf /dev/full '%s'", s24_aside);
    if (system(command) != 0) SKIP("no symbolic links");
    s24_small();
    s24_put_file(s24_path, "old model");
    CHECK(cvxrelu_model_save(s14.model, 0, s24_path, message) == CVXRELU_ERR_IO);
    CHECK(strstr(message, s24_path) == message);
    file = fopen(s24_path, "rb");
    CHECK(file != NULL && fgets(old, sizeof old, file) != NULL);
    if (file) (void)fclose(file);
    CHECK_TEXT(old, "old model");
    CHECK(remove(s24_path) == 0);
    s17_close();
}

TEST(directory_is_not_a_model) {
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxrelu_model *model = NULL;
    CHECK(cvxrelu_model_load("/", NULL, &model, message) == CVXRELU_ERR_IO && model == NULL);
}
#endif
#endif

/* ---- Verification. */

static cvxrelu_result s24_verify_model(const cvxrelu_model *model, double lambda,
                                       cvxrelu_report *report) {
    return cvxrelu_verify(model, s14.problem.X, s14.problem.Y, lambda, NULL, report);
}

static cvxrelu_result s24_verify(double lambda, cvxrelu_report *report) {
    return s24_verify_model(s14.model, lambda, report);
}

static cvxrelu_result s24_verify_with(const cvxrelu_options *options, cvxrelu_report *report) {
    return cvxrelu_verify(s14.model, s14.problem.X, s14.problem.Y, -1, options, report);
}

TEST(certificate_of_one_weight_is_the_one_on_paper) {
    static const double one[] = { 1.0 };
    cvxrelu_report report;
    s17_problem(1, 1, 1, 0, 0.0);
    s14.X[0] = s14.Y[0] = 1.0;
    s14.problem.scale = CVXRELU_SCALE_NONE;
    s14.problem.no_bias = 1;
    s14.problem.lambda = 0.3;
    s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    s14.problem.gates.given.data = one;
    s14.problem.gates.given.rows = s14.problem.gates.given.cols = 1;
    s17_model(1, NULL);
    s14.model->u[0] = 0.5;                 /* optimum u = 0.7: 0.3^2/2 + 0.3 * 0.7 = 0.255 */
    CHECK(s24_verify(-1, &report) == CVXRELU_OK);
    CHECK_NEAR(report.objective, 0.275, 1e-16);
    CHECK_NEAR(report.dual_bound, 0.255, 1e-15);
    CHECK_NEAR(report.gap, 0.02 / 0.275, 1e-14);
    CHECK_NEAR(report.lambda_max, 1.0, 1e-15);
    CHECK_NEAR(report.train_error, 0.25, 1e-15);
    CHECK(report.has_bound && report.scope == CVXRELU_SCOPE_PATTERNS && report.neurons == 1);
    CHECK(s24_verify(0.0, &report) == CVXRELU_OK);
    CHECK(!report.has_bound && report.dual_bound == 0 && report.gap == 0);
    CHECK_NEAR(report.objective, 0.125, 1e-16);
    CHECK_NEAR(report.stationarity, 0.5, 1e-15);
    s14.model->info.penalty = CVXRELU_PENALTY_L2;      /* optimum u = 1/1.3: 0.15/1.3 */
    s14.model->u[0] = 1 / 1.3;
    CHECK(s24_verify(-1, &report) == CVXRELU_OK);
    CHECK_NEAR(report.dual_bound, 0.15 / 1.3, 1e-15);
    CHECK_NEAR(report.gap, 0, 1e-15);
    s17_close();
}

/* Any dual bound is below any objective of the same problem: a solution's bound against it. */
static void s24_check_penalty(cvxrelu_penalty penalty, size_t classes) {
    cvxrelu_report fitted, checked, rough;
    cvxrelu_options options;
    cvxrelu_model *model = NULL;
    double shrink;
    memset(&options, 0, sizeof options);
    options.tol = 1e-7;
    s17_problem(40, 4, 2, classes, 3.0);
    s14.problem.penalty = penalty;
    CHECK(cvxrelu_fit(&s14.problem, &options, NULL, &model, &fitted) == CVXRELU_OK);
    CHECK(s24_verify_model(model, -1, &checked) == CVXRELU_OK);
    CHECK_NEAR(checked.objective, fitted.objective, 1e-12 * fitted.objective);
    CHECK_NEAR(checked.dual_bound, fitted.dual_bound, 1.1e-7 * fitted.objective);
    CHECK_NEAR(checked.lambda_max, fitted.lambda_max, 1e-12 * fitted.lambda_max);
    CHECK_NEAR(checked.train_error, fitted.train_error, 1e-10);
    CHECK(checked.gap >= 0 && checked.gap <= 1.01e-7 && checked.patterns == fitted.patterns);
    s17_model(25, NULL);
    for (shrink = 1; shrink > 1e-4; shrink /= 4) {
        size_t j;
        CHECK(s24_verify(-1, &rough) == CVXRELU_OK);
        CHECK(rough.dual_bound <= checked.objective * (1 + 1e-12));
        CHECK(rough.objective >= checked.dual_bound && rough.gap >= 0 && rough.gap <= 1);
        for (j = 0; j < s14.m * s14.data.d; j++) s14.model->u[j] /= 4;
    }
    s17_close();
    cvxrelu_model_free(model);
}

TEST(bounds_hold_and_close_for_every_penalty) {
    s24_check_penalty(CVXRELU_PENALTY_NEURON, 0);
    s24_check_penalty(CVXRELU_PENALTY_FEATURE, 0);
    s24_check_penalty(CVXRELU_PENALTY_L1, 0);
    s24_check_penalty(CVXRELU_PENALTY_L2, 0);
    s24_check_penalty(CVXRELU_PENALTY_NEURON, 2);
    s24_check_penalty(CVXRELU_PENALTY_NEURON, 3);
}

TEST(stripped_and_loaded_models_are_verified_over_what_they_hold) {
    cvxrelu_report whole, loaded, kept;
    cvxrelu_model *model = NULL;
    s24_bytes bytes;
    s17_problem(40, 4, 2, 0, 3.0);
    s17_model(9, NULL);
    CHECK(s24_verify(-1, &whole) == CVXRELU_OK);
    CHECK(whole.patterns == s14.patterns.count && whole.scope == CVXRELU_SCOPE_PATTERNS);
    bytes = s24_write(s14.model, 0);
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &model, NULL) == CVXRELU_OK);
    CHECK(s24_verify_model(model, -1, &loaded) == CVXRELU_OK);
    CHECK(loaded.objective == whole.objective && loaded.dual_bound == whole.dual_bound);
    cvxrelu_model_free(model);
    free(bytes.data);
    bytes = s24_write(s14.model, 1);
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &model, NULL) == CVXRELU_OK);
    CHECK(s24_verify_model(model, -1, &kept) == CVXRELU_OK);
    CHECK(kept.scope == CVXRELU_SCOPE_KEPT && kept.patterns == 5);   /* 9 neurons, 2 outputs */
    CHECK(kept.objective == whole.objective && kept.dual_bound >= whole.dual_bound);
    cvxrelu_model_free(model);
    free(bytes.data);
    s17_close();
}

TEST(other_data_get_the_networks_own_objective) {
    cvxrelu_report report;
    double out[2], sum = 0;
    size_t i, k;
    s17_problem(40, 4, 2, 0, 3.0);
    s14.problem.centre_targets = 1;
    s17_model(9, NULL);
    for (i = 0; i < 40 * 4; i++) s14.X[i] *= 1 + 0.3 * sin((double)i);
    for (i = 0; i < 80; i++) s14.Y[i] += cos((double)i);
    CHECK(s24_verify(-1, &report) == CVXRELU_OK);
    for (i = 0; i < 40; i++) {
        cvxrelu_model_predict(s14.model, s14.X + i * 4, out);
        for (k = 0; k < 2; k++) sum += pow(out[k] - s14.Y[i * 2 + k], 2);
    }
    CHECK_NEAR(report.train_error, sum / 80, 1e-10 * sum);
    CHECK(report.dual_bound <= report.objective && report.dual_bound >= 0);
    s17_close();
}

/* ---- Verification of ReLU networks. */

TEST(relu_certificate_of_one_weight_is_the_one_on_paper) {
    static const double one[] = { 1.0 };
    cvxrelu_report report;
    int sign;
    for (sign = 1; sign >= -1; sign -= 2) {
        s17_problem(1, 1, 1, 0, 0.0);
        s14.X[0] = 1.0, s14.Y[0] = sign;
        s14.problem.kind = CVXRELU_RELU;
        s14.problem.scale = CVXRELU_SCALE_NONE;
        s14.problem.no_bias = 1;
        s14.problem.lambda = 0.3;
        s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        s14.problem.gates.given.data = one;
        s14.problem.gates.given.rows = s14.problem.gates.given.cols = 1;
        s17_model(1, NULL);
        s14.model->u[0] = 0.5 * sign, s14.model->sign[0] = (signed char)sign;
        CHECK(s24_verify(-1, &report) == CVXRELU_OK);  /* as for the gated one */
        CHECK_NEAR(report.objective, 0.275, 1e-16);
        CHECK_NEAR(report.dual_bound, 0.255, 1e-15);
        CHECK_NEAR(report.lambda_max, 1.0, 1e-15);
        CHECK(report.constraint_violation == 0 && report.patterns == 1);
        s14.model->u[0] = -0.5 * sign;                 /* outside of its cone: it is silent */
        CHECK(s24_verify(-1, &report) == CVXRELU_OK);
        CHECK_NEAR(report.objective, 0.5 + 0.15, 1e-15);
        CHECK(report.constraint_violation == 1 && report.patterns == 2);
        CHECK_NEAR(report.dual_bound, 0.3 - 0.045, 1e-15);
        s17_close();
    }
}

/* X = I, the pattern 11: K is the quadrant, g = y = (1, -1) has the projection (1, 0), and -g
   (0, 1): where gated ReLU finds sqrt(2), ReLU finds 1. */
TEST(relu_dual_norm_is_that_of_the_projection) {
    static const double gate[] = { 1.0, 1.0 };
    cvxrelu_report report;
    int kind;
    for (kind = 0; kind < 2; kind++) {
        s17_problem(2, 2, 1, 0, 0.0);
        s14.X[0] = s14.X[3] = 1, s14.X[1] = s14.X[2] = 0, s14.Y[0] = 1, s14.Y[1] = -1;
        s14.problem.kind = kind ? CVXRELU_RELU : CVXRELU_GATED;
        s14.problem.scale = CVXRELU_SCALE_NONE;
        s14.problem.no_bias = 1;
        s14.problem.lambda = 0.25;
        s14.problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        s14.problem.gates.given.data = gate;
        s14.problem.gates.given.rows = 1, s14.problem.gates.given.cols = 2;
        s17_model(0, NULL);
        CHECK(s24_verify(-1, &report) == CVXRELU_OK);
        CHECK_NEAR(report.objective, 0.5, 1e-16);
        CHECK_NEAR(report.lambda_max, (kind ? 1 : sqrt(2.0)) / 2, 1e-15);
        if (kind) CHECK_NEAR(report.dual_bound, 0.375, 1e-15);   /* s = 1/2: (1 - 1/4) / 2 */
        s17_close();
    }
}

/* ||Proj z|| on {v : t_i x_i.v >= 0}, d <= 4, by all sets of up to d rows: v is orthogonal to
   the rows of one of them, inside the cone, and z - v makes no angle below 90 degrees with any
   of it; of the feasible candidates it is the nearest. */
static double s24_project(const uint64_t *mask, const double *z) {
    size_t n = s14.n, d = s14.data.d, set, i, q, a, b, limit = (size_t)1 << n;
    double best = HUGE_VAL, norm = 0;
    for (set = 0; set < limit; set++) {
        double Q[4][5], v[5], far = 0, sum;
        size_t count = 0, bits = 0;
        for (i = 0; i < n; i++) bits += set >> i & 1;
        if (bits > d) continue;
        memcpy(v, z, d * sizeof(double));
        for (i = 0; i < n; i++) {
            if (!(set >> i & 1)) continue;
            memcpy(Q[count], s14.data.X + i * s14.data.dp, d * sizeof(double));
            for (a = 0; a < 2; a++)
                for (b = 0; b < count; b++) {
                    for (sum = 0, q = 0; q < d; q++) sum += Q[b][q] * Q[count][q];
                    for (q = 0; q < d; q++) Q[count][q] -= sum * Q[b][q];
                }
            for (sum = 0, q = 0; q < d; q++) sum += Q[count][q] * Q[count][q];
            if (sum < 1e-20) continue;
            for (q = 0; q < d; q++) Q[count][q] /= sqrt(sum);
            for (sum = 0, q = 0; q < d; q++) sum += Q[count][q] * v[q];
            for (q = 0; q < d; q++) v[q] -= sum * Q[count][q];
            count++;
        }
        for (i = 0; i < n; i++) {
            for (sum = 0, q = 0; q < d; q++) sum += s14.data.X[i * s14.data.dp + q] * v[q];
            if ((mask[0] >> i & 1 ? sum : -sum) < -1e-12) break;
        }
        if (i < n) continue;
        for (q = 0; q < d; q++) far += (v[q] - z[q]) * (v[q] - z[q]);
        if (far >= best) continue;
        best = far;
        for (norm = 0, q = 0; q < d; q++) norm = hypot(norm, v[q]);
    }
    return norm;
}

TEST(relu_bounds_agree_with_projections_by_brute_force) {
    cvxrelu_report report;
    size_t features, p, i, q, j;
    for (features = 1; features <= 3; features++) {
        double most = 0, left = 0, dual, s, r[9], lam, rr = 0, yr = 0;
        s17_problem(9, features, 1, 0, 0.0);
        for (q = 0; q < features; q++) s14.X[4 * features + q] = s14.X[q];  /* equal rows */
        s14.problem.kind = CVXRELU_RELU;
        s14.problem.lambda = 0.02;
        s17_model(3, NULL);
        for (j = 0; j < s14.m; j++)
            for (q = 0; q < s14.data.d; q++) s14.model->u[j * s14.data.d + q] *= 0.1;
        CHECK(s24_verify(-1, &report) == CVXRELU_OK);
        for (i = 0; i < 9; i++) {
            double size;
            r[i] = s14.data.Y[i] - s17_output(i, 0, &size);
            rr += r[i] * r[i], yr += s14.data.Y[i] * r[i];
        }
        for (p = 0; p < s14.patterns.count + s14.m; p++) {
            double g[5] = { 0 }, h[5] = { 0 };
            uint64_t own = 0;
            const uint64_t *mask = s14.patterns.bits + p;
            int sign;
            for (i = 0; i < 9 && p >= s14.patterns.count; i++) {  /* the neurons' own */
                double sum = 0;
                j = p - s14.patterns.count;
                for (q = 0; q < s14.data.d; q++)
                    sum += s14.data.X[i * s14.data.dp + q] * s14.model->u[j * s14.data.d + q];
                if (sum * s14.model->sign[j] >= 0) own |= (uint64_t)1 << i;
                mask = &own;
            }
            for (sign = 1; sign >= -1; sign -= 2) {
                for (q = 0; q < s14.data.d; q++)
                    for (g[q] = h[q] = 0, i = 0; i < 9; i++) {
                        double x = sign * s14.data.X[i * s14.data.dp + q];
                        if (!(mask[0] >> i & 1)) continue;
                        g[q] += x * s14.data.Y[i], h[q] += x * r[i];
                    }
                most = cvxr_max(most, s24_project(mask, g));
                left = cvxr_max(left, s24_project(mask, h));
            }
        }
        CHECK_NEAR(report.lambda_max, most / 9, 1e-12);
        lam = 0.02 * 9;
        s = left > lam ? lam / left : 1;
        dual = (s * yr - s * s * rr / 2) / 9;
        CHECK(left > lam);
        CHECK_NEAR(report.dual_bound, cvxr_max(dual, 0), 1e-12);
        s17_close();
    }
}

/* A solution of the ReLU program, against what its fit said. */
static cvxrelu_model *s24_fitted(size_t n, size_t classes, cvxrelu_report *fitted) {
    cvxrelu_options options;
    cvxrelu_model *model = NULL;
    memset(&options, 0, sizeof options);
    options.tol = 1e-7;
    s17_problem(n, 4, 2, classes, 3.0);
    s14.problem.kind = CVXRELU_RELU;
    s14.problem.search = CVXRELU_SEARCH_OFF;
    CHECK(cvxrelu_fit(&s14.problem, &options, NULL, &model, fitted) == CVXRELU_OK);
    return model;
}

TEST(relu_solutions_are_verified_and_their_patterns_bound_others) {
    static const size_t classes[] = { 0, 2, 3 };
    cvxrelu_report fitted, checked, rough;
    cvxrelu_model *model;
    size_t t, j;
    for (t = 0; t < 3; t++) {
        double shrink;
        model = s24_fitted(40, classes[t], &fitted);
        if (model == NULL) return;
        CHECK(s24_verify_model(model, -1, &checked) == CVXRELU_OK);
        CHECK_NEAR(checked.objective, fitted.objective, 1e-12 * fitted.objective);
        CHECK_NEAR(checked.dual_bound, fitted.dual_bound, 1.1e-7 * fitted.objective);
        CHECK_NEAR(checked.lambda_max, fitted.lambda_max, 1e-11 * fitted.lambda_max);
        CHECK_NEAR(checked.train_error, fitted.train_error, 1e-10);
        CHECK(checked.gap >= 0 && checked.gap <= 1.01e-7);
        CHECK(checked.constraint_violation <= 1e-12 && checked.patterns == fitted.patterns);
        s17_model(25, NULL);               /* no solution, in no cone: still no contradiction */
        for (shrink = 1; shrink > 1e-4; shrink /= 4) {
            CHECK(s24_verify(-1, &rough) == CVXRELU_OK);
            CHECK(rough.dual_bound <= checked.objective * (1 + 1e-12));
            CHECK(rough.objective >= rough.dual_bound && rough.gap >= 0 && rough.gap <= 1);
            CHECK(rough.constraint_violation > 1e-3 && rough.patterns > checked.patterns);
            for (j = 0; j < s14.m * s14.data.d; j++) s14.model->u[j] /= 4;
        }
        s17_close();
        cvxrelu_model_free(model);
    }
}

TEST(relu_solutions_are_verified_after_loading_stripping_and_pruning) {
    cvxrelu_report fitted, whole, loaded, kept, pruned;
    cvxrelu_prune_report prune;
    cvxrelu_model *model = s24_fitted(40, 0, &fitted), *other = NULL;
    s24_bytes bytes;
    size_t q;
    if (model == NULL) return;
    CHECK(s24_verify_model(model, -1, &whole) == CVXRELU_OK);
    bytes = s24_write(model, 0);
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &other, NULL) == CVXRELU_OK);
    CHECK(s24_verify_model(other, -1, &loaded) == CVXRELU_OK);
    CHECK(loaded.objective == whole.objective && loaded.dual_bound == whole.dual_bound);
    CHECK(loaded.constraint_violation == whole.constraint_violation);
    cvxrelu_model_free(other);
    free(bytes.data);
    bytes = s24_write(model, 1);
    CHECK(cvxrelu_model_read(bytes.data, bytes.size, NULL, &other, NULL) == CVXRELU_OK);
    CHECK(s24_verify_model(other, -1, &kept) == CVXRELU_OK);
    CHECK(kept.scope == CVXRELU_SCOPE_KEPT && kept.patterns <= model->m);
    CHECK(kept.objective == whole.objective && kept.dual_bound >= whole.dual_bound);
    CHECK(kept.constraint_violation <= 1e-12);
    cvxrelu_model_free(other);
    free(bytes.data);
    CHECK(cvxrelu_prune(model, s14.problem.X, NULL, &other, &prune) == CVXRELU_OK);
    CHECK(s24_verify_model(other, -1, &pruned) == CVXRELU_OK);
    CHECK_NEAR(pruned.objective, whole.objective, 1e-9);
    CHECK_NEAR(pruned.objective, other->info.objective, 1e-9);
    CHECK(pruned.dual_bound <= pruned.objective && pruned.gap <= 1e-6);
    cvxrelu_model_free(other);
    for (q = 0; q < model->d; q++)         /* one weight a little outside of its cone */
        model->u[q] += 1e-6 * (q % 2 ? 1 : -1) * cvxr_safe_norm(model->u, model->d);
    CHECK(s24_verify_model(model, -1, &loaded) == CVXRELU_OK);
    CHECK(loaded.constraint_violation <= 1e-5 && loaded.objective != whole.objective);
    cvxrelu_model_free(model);
}

TEST(relu_on_other_data_gets_the_networks_own_objective) {
    cvxrelu_report report;
    double out[2], sum = 0;
    size_t i, k;
    s17_problem(40, 4, 2, 0, 3.0);
    s14.problem.kind = CVXRELU_RELU;
    s14.problem.search = CVXRELU_SEARCH_OFF;
    s14.problem.centre_targets = 1;
    s17_model(9, NULL);
    for (i = 0; i < 40 * 4; i++) s14.X[i] *= 1 + 0.3 * sin((double)i);
    for (i = 0; i < 80; i++) s14.Y[i] += cos((double)i);
    CHECK(s24_verify(-1, &report) == CVXRELU_OK);
    for (i = 0; i < 40; i++) {
        cvxrelu_model_predict(s14.model, s14.X + i * 4, out);
        for (k = 0; k < 2; k++) sum += pow(out[k] - s14.Y[i * 2 + k], 2);
    }
    CHECK_NEAR(report.train_error, sum / 80, 1e-10 * sum);
    CHECK(report.dual_bound <= report.objective && report.dual_bound >= 0);
    CHECK(s24_verify(0, &report) == CVXRELU_OK && !report.has_bound && report.stationarity > 0);
    CHECK(report.lambda_max > 0);
    s14.model->info.penalty = CVXRELU_PENALTY_L1;
    CHECK(s24_verify(-1, &report) == CVXRELU_ERR_UNSUPPORTED);
    s17_close();
}

TEST(zero_network_is_proven_from_lambda_max_on) {
    cvxrelu_report report;
    size_t i;
    s17_problem(30, 4, 2, 0, 1.0);
    s17_model(0, NULL);
    CHECK(s24_verify(1e-3, &report) == CVXRELU_OK && report.gap > 0);
    CHECK(s24_verify(report.lambda_max * (1 + 1e-12), &report) == CVXRELU_OK);
    CHECK(report.gap == 0 && report.dual_bound == report.objective && report.neurons == 0);
    for (i = 0; i < 60; i++) s14.Y[i] = 0;
    CHECK(s24_verify(1e-3, &report) == CVXRELU_OK);
    CHECK(report.objective == 0 && report.dual_bound == 0);
    CHECK(report.gap == 0 && report.has_bound);
    s17_close();
}

TEST(data_that_do_not_match_are_named) {
    cvxrelu_report report;
    cvxrelu_matrix X;
    s17_problem(30, 4, 1, 3, 1.0);
    s17_model(4, NULL);
    X = s14.problem.X;
    X.cols = 3, X.stride = 4;
    s14.problem.X = X;
    CHECK(s24_verify(-1, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK_TEXT(report.message, "X has 3 columns, the model was trained on 4");
    s14.problem.X.cols = 4;
    s14.Y[7] = 3;
    CHECK(s24_verify(-1, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK_TEXT(report.message, "Y has labels of 4 classes, the model was trained on 3");
    s14.Y[7] = 0, s14.X[5] = HUGE_VAL;
    CHECK(s24_verify(-1, &report) == CVXRELU_ERR_NONFINITE && report.message[0]);
    s14.X[5] = 0;
    CHECK(s24_verify(HUGE_VAL, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_verify(NULL, X, X, -1, NULL, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_verify(s14.model, X, X, -1, NULL, NULL) == CVXRELU_ERR_ARGUMENT);
    s17_close();
}

static void s24_check_refusals(cvxrelu_kind kind) {
    s17_heap heap;
    cvxrelu_options options;
    cvxrelu_report report;
    cvxrelu_result result = CVXRELU_ERR_MEMORY;
    size_t refuse, pass;
    memset(&options, 0, sizeof options);
    s17_problem(30, 4, 2, 0, 1.0);
    s14.problem.kind = kind;
    s14.problem.search = CVXRELU_SEARCH_OFF;
    s17_model(9, NULL);
    for (pass = 0; pass < 2; pass++, s14.X[3] += 1) {          /* the same data, then others */
        result = CVXRELU_ERR_MEMORY;
        for (refuse = 1; result != CVXRELU_OK && refuse < 50; refuse++) {
            options.allocator = s17_allocator(&heap, refuse);
            result = s24_verify_with(&options, &report);
            CHECK(result == CVXRELU_OK || (result == CVXRELU_ERR_MEMORY && report.message[0]));
            CHECK(heap.held == 0);
        }
        CHECK(result == CVXRELU_OK && report.peak_bytes == heap.most);
    }
    options.allocator = s17_allocator(&heap, 0);
    options.memory_limit = 1000;
    result = s24_verify_with(&options, &report);
    CHECK(result == CVXRELU_ERR_LIMIT && heap.held == 0);
    s17_close();
}

TEST(verifying_survives_every_refused_allocation) {
    s24_check_refusals(CVXRELU_GATED);
    s24_check_refusals(CVXRELU_RELU);
}

static void s24_backwards(void *context, size_t count, void (*body)(void *arg, size_t i),
                          void *arg) {
    (void)context;
    while (count-- > 0) body(arg, count);
}

static void s24_check_threads(cvxrelu_kind kind) {
    cvxrelu_options options;
    cvxrelu_report one, many;
    memset(&options, 0, sizeof options);
    s17_problem(40, 4, 2, 0, 1.0);
    s14.problem.kind = kind;
    s14.problem.search = CVXRELU_SEARCH_OFF;
    if (kind == CVXRELU_GATED) s14.problem.penalty = CVXRELU_PENALTY_FEATURE;
    s14.problem.gates.count = 100;
    s17_model(20, NULL);
    CHECK(s24_verify(-1, &one) == CVXRELU_OK);
    options.threads = 3;
    options.parallel.parallel_for = s24_backwards;
    CHECK(s24_verify_with(&options, &many) == CVXRELU_OK);
    CHECK(one.objective == many.objective && one.dual_bound == many.dual_bound);
    CHECK(one.gap == many.gap && many.threads == 3);
    CHECK(one.constraint_violation == many.constraint_violation);
    s17_close();
}

TEST(verified_numbers_do_not_depend_on_the_threads) {
    s24_check_threads(CVXRELU_GATED);
    s24_check_threads(CVXRELU_RELU);
}

SUITE(s24_save) {
    RUN(layout_of_version_2_is_pinned);
    RUN(layout_of_relu_models_and_proofs_is_pinned);
    RUN(models_of_version_1_are_read);
    RUN(reading_gives_the_written_model_back);
    RUN(relu_models_come_back_with_signs_gates_and_proof);
    RUN(given_gates_are_kept_bit_for_bit_and_sampled_ones_are_not_kept);
    RUN(stripped_models_hold_no_recipe);
    RUN(buffer_that_is_too_small_stays_untouched);
    RUN(every_truncation_is_rejected);
    RUN(every_flipped_bit_and_byte_is_rejected);
    RUN(foreign_bytes_and_newer_versions_are_named);
    RUN(hostile_fields_with_a_right_checksum_are_rejected);
    RUN(fields_of_version_2_that_contradict_one_another_are_rejected);
    RUN(reading_survives_every_refused_allocation);
#ifndef CVXRELU_NO_STDIO
    RUN(loading_gives_the_saved_model_back);
    RUN(file_errors_name_the_file);
#ifdef __linux__
    RUN(full_disk_leaves_the_old_file_whole);
    RUN(directory_is_not_a_model);
#endif
#endif
    RUN(certificate_of_one_weight_is_the_one_on_paper);
    RUN(bounds_hold_and_close_for_every_penalty);
    RUN(stripped_and_loaded_models_are_verified_over_what_they_hold);
    RUN(other_data_get_the_networks_own_objective);
    RUN(relu_certificate_of_one_weight_is_the_one_on_paper);
    RUN(relu_dual_norm_is_that_of_the_projection);
    RUN(relu_bounds_agree_with_projections_by_brute_force);
    RUN(relu_solutions_are_verified_and_their_patterns_bound_others);
    RUN(relu_solutions_are_verified_after_loading_stripping_and_pruning);
    RUN(relu_on_other_data_gets_the_networks_own_objective);
    RUN(zero_network_is_proven_from_lambda_max_on);
    RUN(data_that_do_not_match_are_named);
    RUN(verifying_survives_every_refused_allocation);
    RUN(verified_numbers_do_not_depend_on_the_threads);
}

