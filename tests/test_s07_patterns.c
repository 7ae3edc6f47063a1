/* Tests of S07 PATTERNS. Included by test_main.c after test_s06_data.c, whose allocator and
   problem they use. The masks are recomputed from the gates by plain loops, in the solver's
   coordinates and, with scales and shifts folded into the gates, in the caller's.            */

enum { S07_N = 131, S07_D = 9 };
static double s07_X[S07_N * S07_D], s07_Y[S07_N];

static void s07_gaussian(void) {
    cvxrelu_random random;
    size_t i;
    cvxrelu_random_init(&random, 7);
    for (i = 0; i < S07_N * S07_D; i++) s07_X[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < S07_N; i++) s07_Y[i] = cvxrelu_random_normal(&random);
}

/* Units from 1e-6 to 1e6 and offsets of 1000 spreads. */
static void s07_badly_scaled(void) {
    size_t i, j;
    s07_gaussian();
    for (i = 0; i < S07_N; i++)
        for (j = 0; j < S07_D; j++)
            s07_X[i * S07_D + j] = pow(10.0, 1.5 * (double)j - 6) *
                                   (s07_X[i * S07_D + j] + (j % 2 ? 1000.0 : -3.0));
}

static cvxrelu_problem s07_problem(void) { return s06_problem(s07_X, S07_N, S07_D, s07_Y, 1); }

static int s07_bit(const cvxr_patterns *patterns, size_t p, size_t i) {
    return (int)(patterns->bits[p * patterns->words + i / 64] >> (i % 64) & 1);
}

static double s07_product(const cvxr_data *data, const double *gate, size_t i) {
    double sum = 0;
    size_t k;
    for (k = 0; k < data->d; k++) sum += data->X[i * data->dp + k] * gate[k];
    return sum;
}

/* The product in the caller's coordinates; *zero when every term is exactly zero. */
static double s07_folded(const cvxrelu_problem *p, const cvxr_data *data, const double *gate,
                         size_t i, int *zero) {
    double bias = data->has_bias ? gate[data->features] / data->scales[data->features] : 0;
    double sum = 0;
    size_t k;
    *zero = bias == 0;
    for (k = 0; k < data->features; k++) {
        double g = gate[k] / data->scales[k], x = cvxr_matrix_get(&p->X, i, k);
        bias -= g * data->shift[k];
        sum += g * x;
        if (g != 0 && (x != 0 || data->shift[k] != 0)) *zero = 0;
    }
    return sum + bias;
}

/* What holds for every set of sampled patterns. */
static void s07_check(const cvxrelu_problem *p, const cvxr_data *data,
                      const cvxr_patterns *made) {
    size_t a, b, i, wrong = 0, near_zero = 0, empty = 0, equal = 0, tails = 0;
    CHECK(made->count >= 1 && made->count <= made->capacity && made->near_ties == 0);
    CHECK(made->n == data->n && made->d == data->d && made->words == (data->n + 63) / 64);
    for (a = 0; a < made->count; a++) {
        const double *gate = made->gates + a * made->d;
        const uint64_t *bits = made->bits + a * made->words;
        double norm = 0;
        size_t active = 0;
        for (i = 0; i < made->d; i++) norm += gate[i] * gate[i];
        for (i = 0; i < made->n; i++) {
            const double *row = data->X + i * data->dp;
            double z = s07_product(data, gate, i), square = 0, margin;
            int zero, bit = s07_bit(made, a, i);
            double folded = s07_folded(p, data, gate, i, &zero);
            size_t k;
            active += (size_t)bit;
            for (k = 0; k < data->d; k++) square += row[k] * row[k];
            margin = 64 * (double)data->d * DBL_EPSILON * sqrt(square * norm);
            if (zero ? !bit || z != 0 : bit != (z > 0) || bit != (folded > 0)) wrong++;
            if (!zero && fabs(z) <= margin) near_zero++;
        }
        if (active == 0) empty++;
        if (made->n % 64 && bits[made->words - 1] >> made->n % 64) tails++;
        for (b = 0; b < a; b++)
            if (memcmp(bits, made->bits + b * made->words, made->words * 8) == 0) equal++;
    }
    CHECK(wrong == 0 && near_zero == 0 && empty == 0 && equal == 0 && tails == 0);
}

/* Makes patterns of the problem, checks them, and returns how many there are; the gates of up
   to `room` patterns are copied to `gates` (may be NULL).                                    */
static size_t s07_make(const cvxrelu_problem *p, double *gates, size_t room) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    char message[CVXRELU_MESSAGE_SIZE] = "";
    size_t count, held;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, p, &data, message) == CVXRELU_OK);
    held = mem.now;
    if (cvxr_patterns_make(&mem, &data, &p->gates, &made, message)) {
        CHECK_TEXT(message, "");
        cvxr_data_free(&mem, &data);
        return 0;
    }
    s07_check(p, &data, &made);
    CHECK(mem.peak - held <= cvxr_patterns_bytes(data.n, data.d, cvxr_gates_count(&p->gates)));
    count = made.count;
    if (gates) memcpy(gates, made.gates, cvxr_min_z(count, room) * made.d * sizeof(double));
    cvxr_patterns_free(&mem, &made);
    cvxr_patterns_free(&mem, &made);
    cvxr_data_free(&mem, &data);
    CHECK(mem.now == 0);
    return count;
}

/* The result of a recipe on the problem's data, and its message. */
static cvxrelu_result s07_result(const cvxrelu_problem *p, char *message) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    cvxrelu_result result;
    message[0] = 0;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, p, &data, message) == CVXRELU_OK);
    result = cvxr_patterns_make(&mem, &data, &p->gates, &made, message);
    if (result) CHECK(made.bits == NULL && made.gates == NULL && made.count == 0 && message[0]);
    cvxr_patterns_free(&mem, &made);
    cvxr_data_free(&mem, &data);
    CHECK(mem.now == 0);
    return result;
}

TEST(gaussian_masks_match_plain_loops_for_every_scale) {
    int k;
    s07_gaussian();
    for (k = 0; k < 6; k++) {
        cvxrelu_problem p = s07_problem();
        p.scale = (cvxrelu_scale)(k / 2 + 1);
        p.no_bias = k % 2;
        p.gates.count = 203;
        if (p.no_bias && p.scale == CVXRELU_SCALE_STANDARD) continue;
        CHECK(s07_make(&p, NULL, 0) > 190);
    }
}

TEST(masks_survive_folding_into_badly_scaled_columns) {
    int sampler;
    s07_badly_scaled();
    for (sampler = 0; sampler < 4; sampler++) {
        cvxrelu_problem p = s07_problem();
        p.gates.sampler = (cvxrelu_sampler)sampler;
        p.gates.count = 100;
        p.gates.width = p.gates.height = 3;
        p.gates.patch = 2;
        CHECK(s07_make(&p, NULL, 0) > 50);
    }
}

TEST(every_row_count_around_a_word_has_clean_tail_bits) {
    static const size_t rows[9] = { 1, 2, 3, 63, 64, 65, 127, 128, 129 };
    size_t k;
    s07_gaussian();
    for (k = 0; k < 9; k++) {
        cvxrelu_problem p = s07_problem();
        p.X.rows = p.Y.rows = rows[k];
        p.gates.count = 19;
        CHECK(s07_make(&p, NULL, 0) >= 1);
        p.no_bias = 1;
        CHECK(s07_make(&p, NULL, 0) >= 1);
    }
}

TEST(one_column_has_no_more_patterns_than_it_can) {
    cvxrelu_problem p;
    s07_gaussian();
    p = s06_problem(s07_X, 10, 1, s07_Y, 1);
    p.gates.count = 500;
    CHECK(s07_make(&p, NULL, 0) <= 19);        /* 11 places, two sides, less the equal ones */
    p.no_bias = 1;
    CHECK(s07_make(&p, NULL, 0) == 2);
}

TEST(count_of_zero_draws_a_thousand) {
    cvxrelu_problem p;
    s07_gaussian();
    p = s07_problem();
    CHECK(cvxr_gates_count(&p.gates) == 1000);
    CHECK(s07_make(&p, NULL, 0) > 990);
}

TEST(fewer_gates_are_the_first_of_more) {
    static double few[13 * (S07_D + 1)], many[40 * (S07_D + 1)];
    int sampler;
    s07_gaussian();
    for (sampler = 0; sampler < 4; sampler++) {
        cvxrelu_problem p = s07_problem();
        size_t count;
        p.gates.sampler = (cvxrelu_sampler)sampler;
        p.gates.width = 9, p.gates.height = 1, p.gates.patch = 1;
        p.gates.count = 13;
        count = s07_make(&p, few, 13);
        p.gates.count = 40;
        CHECK(s07_make(&p, many, 40) > count && count > 2);
        CHECK(memcmp(few, many, count * (S07_D + 1) * sizeof(double)) == 0);
    }
}

TEST(the_same_seed_gives_the_same_bits_and_another_seed_others) {
    static double a[20 * (S07_D + 1)], b[20 * (S07_D + 1)];
    cvxrelu_problem p;
    s07_gaussian();
    p = s07_problem();
    p.gates.count = 20;
    p.gates.seed = 42;
    CHECK(s07_make(&p, a, 20) == 20 && s07_make(&p, b, 20) == 20);
    CHECK(memcmp(a, b, sizeof a) == 0);
    p.gates.seed = 43;
    CHECK(s07_make(&p, b, 20) == 20 && memcmp(a, b, sizeof a) != 0);
}

TEST(the_sequence_of_masks_is_pinned) {
    /* A grid of 25 points, off its centre: no product is near zero, so that the masks do not
       depend on the last bits of the normal deviates.                                        */
    static double X[50];
    static const uint64_t expected[4] = { 0x0019dff, 0x0318ce7, 0x0001fff, 0x0738c61 };
    cvxrelu_problem p = s06_problem(X, 25, 2, s07_Y, 1);
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i;
    for (i = 0; i < 25; i++) {
        X[2 * i] = (double)(i % 5) - 1.9;
        X[2 * i + 1] = (double)(i / 5) - 2.2;
    }
    p.no_bias = 1;
    p.scale = CVXRELU_SCALE_NONE;
    p.gates.count = 8;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
    CHECK(made.count == 8);
    for (i = 0; i < 4 && i < made.count; i++) CHECK(made.bits[i] == expected[i]);
    cvxr_patterns_free(&mem, &made);
    cvxr_data_free(&mem, &data);
}

TEST(duplicate_rows_have_equal_bits) {
    cvxrelu_problem p;
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i, k;
    int sampler;
    s07_gaussian();
    for (i = 1; i < S07_N; i += 2)
        memcpy(s07_X + i * S07_D, s07_X + i / 3 * S07_D, S07_D * sizeof(double));
    for (sampler = 0; sampler < 4; sampler++) {
        p = s07_problem();
        p.gates.sampler = (cvxrelu_sampler)sampler;
        p.gates.width = p.gates.height = 3;
        p.gates.count = 60;
        cvxr_mem_init(&mem, NULL, 0);
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
        s07_check(&p, &data, &made);
        for (k = 0; k < made.count; k++)
            for (i = 1; i < S07_N; i += 2)
                CHECK(s07_bit(&made, k, i) == s07_bit(&made, k, i / 3));
        cvxr_patterns_free(&mem, &made);
        cvxr_data_free(&mem, &data);
    }
}

TEST(sampled_gates_are_zero_on_zero_and_constant_columns) {
    static double gates[30 * (S07_D + 1)];
    int sampler;
    size_t i, count;
    s07_gaussian();
    for (i = 0; i < S07_N; i++) s07_X[i * S07_D + 2] = 0, s07_X[i * S07_D + 5] = 0.3;
    for (sampler = 0; sampler < 4; sampler++) {
        cvxrelu_problem p = s07_problem();
        p.gates.sampler = (cvxrelu_sampler)sampler;
        p.gates.width = p.gates.height = 3;
        p.gates.count = 30;
        count = s07_make(&p, gates, 30);
        CHECK(count > 10);
        for (i = 0; i < count; i++)
            CHECK(gates[i * (S07_D + 1) + 2] == 0 && gates[i * (S07_D + 1) + 5] == 0);
    }
}

TEST(rows_of_zeros_are_ties_and_count_as_active) {
    cvxrelu_problem p;
    size_t i;
    s07_gaussian();
    for (i = 0; i < S07_N; i += 3) memset(s07_X + i * S07_D, 0, S07_D * sizeof(double));
    p = s07_problem();
    p.no_bias = 1;
    p.gates.count = 50;
    CHECK(s07_make(&p, NULL, 0) == 50);         /* s07_check demands active ties on zero rows */
    p.gates.sampler = CVXRELU_SAMPLER_SPARSE;
    CHECK(s07_make(&p, NULL, 0) > 20);
}

TEST(no_gate_bias_leaves_the_bias_entry_zero) {
    static double gates[30 * (S07_D + 1)];
    int sampler;
    size_t i, count;
    s07_gaussian();
    for (sampler = 0; sampler < 4; sampler++) {
        cvxrelu_problem p = s07_problem();
        p.gates.sampler = (cvxrelu_sampler)sampler;
        p.gates.width = p.gates.height = 3;
        p.gates.patch = 2;
        p.gates.count = 30;
        p.gates.no_gate_bias = 1;
        count = s07_make(&p, gates, 30);
        CHECK(count > 5);
        for (i = 0; i < count; i++) CHECK(gates[i * (S07_D + 1) + S07_D] == 0);
    }
}

TEST(sparse_gates_use_at_most_order_features_and_all_numbers_up_to_it) {
    static double gates[200 * (S07_D + 1)];
    size_t order, i, k, count;
    s07_gaussian();
    for (order = 0; order <= S07_D; order++) {
        cvxrelu_problem p = s07_problem();
        size_t seen[S07_D + 1] = { 0 }, most = order ? order : 2;
        p.gates.sampler = CVXRELU_SAMPLER_SPARSE;
        p.gates.order = order;
        p.gates.count = 200;
        count = s07_make(&p, gates, 200);
        for (i = 0; i < count; i++) {
            size_t used = 0;
            for (k = 0; k < S07_D; k++) used += gates[i * (S07_D + 1) + k] != 0;
            CHECK(gates[i * (S07_D + 1) + S07_D] != 0);
            seen[used]++;
        }
        for (i = 0; i <= S07_D; i++) CHECK(i >= 1 && i <= most ? seen[i] > 5 : seen[i] == 0);
    }
}

TEST(patch_gates_fill_one_square_in_every_channel) {
    enum { W = 5, H = 4, C = 2, P = 3 };
    static double X[97 * W * H * C], gates[80 * W * H * C];
    cvxrelu_problem p = s06_problem(X, 97, W * H * C, s07_Y, 1);
    cvxrelu_random random;
    size_t i, k, count, corners[W * H] = { 0 };
    cvxrelu_random_init(&random, 3);
    for (i = 0; i < 97 * W * H * C; i++) X[i] = cvxrelu_random_normal(&random);
    p.no_bias = 1;
    p.gates.sampler = CVXRELU_SAMPLER_PATCH;
    p.gates.width = W, p.gates.height = H, p.gates.channels = C;
    p.gates.count = 80;
    count = s07_make(&p, gates, 80);
    CHECK(count > 70);
    for (i = 0; i < count; i++) {
        const double *gate = gates + i * W * H * C;
        size_t first = 0;
        while (first < W * H - 1 && gate[first] == 0) first++;
        corners[first]++;
        for (k = 0; k < W * H * C; k++) {
            size_t column = k % W, row = k / W % H;
            int inside = column >= first % W && column < first % W + P && row >= first / W &&
                         row < first / W + P;
            CHECK((gate[k] != 0) == inside);
        }
    }
    for (k = 0; k < W * H; k++) CHECK((corners[k] > 0) == (k % W <= W - P && k / W <= H - P));
}

TEST(active_share_activates_that_many_rows) {
    static const double shares[5] = { 0.5, 0.25, 0.9, 0.001, 0.999 };
    static const size_t active[5] = { 66, 33, 118, 1, 131 };       /* of 131, at least one */
    char message[CVXRELU_MESSAGE_SIZE];
    size_t k, a, i;
    int badly;
    for (badly = 0; badly < 2; badly++)
        for (k = 0; k < 5; k++) {
            cvxrelu_problem p;
            cvxr_mem mem;
            cvxr_data data;
            cvxr_patterns made;
            if (badly) s07_badly_scaled();
            else s07_gaussian();
            p = s07_problem();
            p.gates.active_share = shares[k];
            p.gates.count = 30;
            p.gates.sampler = k % 2 ? CVXRELU_SAMPLER_SPARSE : CVXRELU_SAMPLER_GAUSSIAN;
            cvxr_mem_init(&mem, NULL, 0);
            CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
            CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
            s07_check(&p, &data, &made);
            for (a = 0; a < made.count; a++) {
                size_t rows = 0;
                for (i = 0; i < S07_N; i++) rows += (size_t)s07_bit(&made, a, i);
                CHECK(rows == active[k]);
            }
            cvxr_patterns_free(&mem, &made);
            cvxr_data_free(&mem, &data);
        }
}

TEST(active_share_takes_the_nearest_possible_number_where_rows_are_equal) {
    /* One feature with the values 0 (40 rows), 1 (50 rows), 2 (41 rows): 41, 91 or 131 active
       with a positive gate, 40, 90 or 131 with a negative one. Half of 131 rows is 66.       */
    static double X[S07_N];
    char message[CVXRELU_MESSAGE_SIZE];
    cvxrelu_problem p = s06_problem(X, S07_N, 1, s07_Y, 1);
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    size_t i, a;
    for (i = 0; i < S07_N; i++) X[i] = i < 40 ? 0 : i < 90 ? 1 : 2;
    p.gates.active_share = 0.5;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
    s07_check(&p, &data, &made);
    CHECK(made.count == 2);
    for (a = 0; a < made.count; a++) {
        size_t rows = 0;
        for (i = 0; i < S07_N; i++) rows += (size_t)s07_bit(&made, a, i);
        CHECK(rows == (made.gates[a * 2] > 0 ? 91 : 90));
    }
    cvxr_patterns_free(&mem, &made);
    cvxr_data_free(&mem, &data);
}

TEST(selection_agrees_with_sorting) {
    double v[40], sorted[40];
    cvxrelu_random random;
    size_t n, i, k, round;
    cvxrelu_random_init(&random, 11);
    for (round = 0; round < 400; round++) {
        n = 1 + (size_t)cvxrelu_random_below(&random, 40);
        k = (size_t)cvxrelu_random_below(&random, n);
        for (i = 0; i < n; i++)
            v[i] = sorted[i] = (double)cvxrelu_random_below(&random, round % 2 ? 5 : 1000);
        cvxr_sort_down(sorted, n);
        cvxr_select_kth(v, n, k);
        for (i = 1; i < n; i++) CHECK(sorted[i - 1] >= sorted[i]);
        for (i = 0; i < n; i++) CHECK(i < k ? v[i] >= v[k] : v[i] <= v[k]);
        CHECK(v[k] == sorted[k]);
    }
}

/* The d-1 rows are left at the same distance, so that |x.g| takes one value that often. */
TEST(gates_through_points_pass_next_to_one_row_less_than_columns) {
    cvxrelu_problem p;
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t a, i;
    s07_gaussian();
    p = s06_problem(s07_X, S07_N, 3, s07_Y, 1);      /* 3 features, the bias: 3 rows a gate */
    p.gates.sampler = CVXRELU_SAMPLER_POINTS;
    p.gates.count = 50;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
    s07_check(&p, &data, &made);
    CHECK(made.count > 45);
    for (a = 0; a < made.count; a++) {
        double v[S07_N];
        size_t equal = 0;
        for (i = 0; i < S07_N; i++) v[i] = fabs(s07_product(&data, made.gates + a * made.d, i));
        cvxr_sort_down(v, S07_N);
        for (i = 0; i + 2 < S07_N; i++) equal += v[i] - v[i + 2] < 1e-7 * v[i];
        CHECK(equal == 1 || equal == 2);           /* the nearest other row may be as far */
    }
    cvxr_patterns_free(&mem, &made);
    cvxr_data_free(&mem, &data);
}

TEST(points_reach_every_pattern_of_a_small_arrangement) {
    /* 6 rows in general position in the plane, with the bias: 2 * (C(5,0) + C(5,1) + C(5,2))
       = 32 cells, less the all-zero one.                                                     */
    cvxrelu_problem p;
    s07_gaussian();
    p = s06_problem(s07_X, 6, 2, s07_Y, 1);
    p.gates.sampler = CVXRELU_SAMPLER_POINTS;
    p.gates.count = 1000;
    CHECK(s07_make(&p, NULL, 0) == 31);
}

TEST(points_with_fewer_rows_than_columns_and_dependent_rows_work) {
    cvxrelu_problem p;
    size_t i;
    s07_gaussian();
    p = s07_problem();
    p.gates.sampler = CVXRELU_SAMPLER_POINTS;
    p.gates.count = 100;
    p.X.rows = p.Y.rows = 4;
    CHECK(s07_make(&p, NULL, 0) == 15);
    p.X.rows = p.Y.rows = S07_N;
    for (i = 0; i < S07_N; i++) {      /* rank 2: columns are combinations of the first two */
        double *x = s07_X + i * S07_D;
        size_t k;
        for (k = 2; k < S07_D; k++) x[k] = x[0] * (double)k - x[1];
    }
    CHECK(s07_make(&p, NULL, 0) > 20);
    p.no_bias = 1;
    CHECK(s07_make(&p, NULL, 0) > 20);
}

/* Makes patterns of given gates: P rows of `cols`. */
static cvxrelu_problem s07_given(const double *gates, size_t count, size_t cols, int scaled) {
    cvxrelu_problem p = s07_problem();
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = gates, p.gates.given.rows = count, p.gates.given.cols = cols;
    p.gates.given_scaled = scaled;
    return p;
}

TEST(given_gates_have_the_masks_of_the_callers_data) {
    static double gates[21 * (S07_D + 1)];
    cvxrelu_random random;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t cols, a, i, k;
    s07_badly_scaled();
    for (cols = S07_D; cols <= S07_D + 1; cols++) {
        cvxrelu_problem p = s07_given(gates, 21, cols, 0);
        cvxr_mem mem;
        cvxr_data data;
        cvxr_patterns made;
        size_t wrong = 0, near_ties = 0;
        cvxrelu_random_init(&random, cols);
        for (a = 0; a < 21; a++) {
            double bias = 0;
            for (k = 0; k < S07_D; k++) {
                double unit = pow(10.0, 1.5 * (double)k - 6);
                gates[a * cols + k] = cvxrelu_random_normal(&random) / unit;
                bias -= gates[a * cols + k] * unit * (k % 2 ? 1000.0 : -3.0);
            }
            if (cols > S07_D) gates[a * cols + k] = bias;          /* through the middle */
        }
        cvxr_mem_init(&mem, NULL, 0);
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
        CHECK(made.count == 21);
        for (a = 0; a < 21; a++)
            for (i = 0; i < S07_N; i++) {
                long double z = cols > S07_D ? gates[a * cols + S07_D] : 0.0, size = fabsl(z);
                for (k = 0; k < S07_D; k++) {
                    long double term = (long double)gates[a * cols + k] * s07_X[i * S07_D + k];
                    z += term, size += fabsl(term);
                }
                if (fabsl(z) < 1e-11L * size) near_ties++;
                else if (s07_bit(&made, a, i) != (z >= 0)) wrong++;
            }
        CHECK(wrong == 0 && near_ties == 0 && made.near_ties == 0);
        cvxr_patterns_free(&mem, &made);
        cvxr_data_free(&mem, &data);
    }
}

TEST(given_gates_are_kept_as_they_are) {
    /* In the solver's coordinates: a gate, its copy, an all-zero pattern, a zero gate. */
    static double gates[4 * (S07_D + 1)];
    char message[CVXRELU_MESSAGE_SIZE];
    cvxrelu_problem p = s07_given(gates, 4, S07_D + 1, 1);
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    size_t i, k;
    s07_gaussian();
    for (k = 0; k < S07_D; k++) gates[k] = gates[S07_D + 1 + k] = 1.0 / (double)(k + 1);
    gates[2 * (S07_D + 1) + S07_D] = -1;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
    CHECK(made.count == 4 && made.near_ties == 0);
    CHECK(memcmp(made.gates, gates, sizeof gates) == 0);
    for (i = 0; i < S07_N; i++) {
        int bit = s07_product(&data, gates, i) >= 0;
        CHECK(s07_bit(&made, 0, i) == bit && s07_bit(&made, 1, i) == bit);
        CHECK(s07_bit(&made, 2, i) == 0 && s07_bit(&made, 3, i) == 1);
    }
    cvxr_patterns_free(&mem, &made);
    cvxr_data_free(&mem, &data);
}

TEST(near_ties_of_given_gates_are_counted) {
    /* The first gate is orthogonal to rows 0 and 2 only in exact arithmetic; row 3 is zero. */
    static double X[8] = { 0.1, 0.3, 1, 1, 0.2, 0.6, 0, 0 }, gates[4] = { 3, -1, 1, 1 };
    cvxrelu_problem p = s07_given(gates, 2, 2, 0);
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns made;
    p.X.data = X, p.X.rows = p.Y.rows = 4, p.X.cols = 2;
    p.no_bias = 1;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) == CVXRELU_OK);
    CHECK(made.count == 2 && made.near_ties == 2);
    CHECK(s07_bit(&made, 0, 1) == 1 && s07_bit(&made, 0, 3) == 1 && made.bits[1] == 15);
    cvxr_patterns_free(&mem, &made);
    cvxr_data_free(&mem, &data);
}

TEST(given_float32_gates_with_a_stride_equal_their_float64_copy) {
    static double wide[3 * S07_D];
    static float narrow[3 * 20];
    cvxrelu_problem p = s07_given(wide, 3, S07_D, 0), q = p;
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns a, b;
    size_t i, k;
    s07_gaussian();
    for (i = 0; i < 60; i++) narrow[i] = 1e38f;
    for (i = 0; i < 3; i++)
        for (k = 0; k < S07_D; k++) {
            wide[i * S07_D + k] = floor(1024 * s07_X[i * S07_D + k]) / 1024;
            narrow[i * 20 + k] = (float)wide[i * S07_D + k];                /* exactly */
        }
    q.gates.given.data = narrow, q.gates.given.stride = 20;
    q.gates.given.type = CVXRELU_FLOAT32;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &a, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_make(&mem, &data, &q.gates, &b, message) == CVXRELU_OK);
    CHECK(memcmp(a.bits, b.bits, 3 * a.words * sizeof(uint64_t)) == 0);
    for (i = 0; i < 3 * a.d; i++) CHECK_NEAR(a.gates[i], b.gates[i], 1e-12);
    cvxr_patterns_free(&mem, &a);
    cvxr_patterns_free(&mem, &b);
    cvxr_data_free(&mem, &data);
}

TEST(wrong_given_gates_are_refused_with_one_clear_message) {
    static double gates[2 * (S07_D + 1)] = { 1, 2, 3 };
    const cvxrelu_problem good = s07_given(gates, 2, S07_D, 0);
    cvxrelu_problem p = good;
    char message[CVXRELU_MESSAGE_SIZE];
    uint64_t bits = (uint64_t)0x7ff << 52;
    s07_gaussian();
    CHECK(s07_result(&p, message) == CVXRELU_OK);
    p.gates.given.rows = 0;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT);
    CHECK_TEXT(message, "gates.given has 0 rows");
    p = good, p.gates.given.data = NULL;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "data is NULL"));
    p = good, p.gates.given.stride = 3;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "stride is 3"));
    p = good, p.gates.given.cols = S07_D - 1;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "has 8 columns"));
    p = good, p.gates.given.cols = S07_D + 1;
    CHECK(s07_result(&p, message) == CVXRELU_OK);
    p.no_bias = 1;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "without a bias"));
    p = good, p.gates.active_share = 0.5;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "are given"));
    p = good, gates[0] = 1e200;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "gate 0 exceeds"));
    memcpy(&gates[S07_D + 4], &bits, sizeof bits);
    CHECK(s07_result(&p, message) == CVXRELU_ERR_NONFINITE);
    CHECK_TEXT(message, "gates.given holds infinity at gate 1, column 4 (from 0)");
    gates[0] = 1, gates[S07_D + 4] = 0;
}

TEST(wrong_recipes_are_refused_with_one_clear_message) {
    cvxrelu_problem p;
    char message[CVXRELU_MESSAGE_SIZE];
    s07_gaussian();
    p = s07_problem(), memset(&p.gates.sampler, 7, sizeof p.gates.sampler);
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT &&
          strstr(message, "gates.sampler is"));
    p = s07_problem(), p.gates.sampler = CVXRELU_SAMPLER_SPARSE, p.gates.order = 10;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT);
    CHECK_TEXT(message, "gates.order is 10: X has 9 columns");
    p = s07_problem(), p.gates.sampler = CVXRELU_SAMPLER_PATCH;
    p.gates.width = 3, p.gates.height = 4;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT);
    CHECK_TEXT(message, "gates.width 3 x height 4 x channels 1 is not the 9 columns of X");
    p.gates.height = 3, p.gates.patch = 4;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT &&
          strstr(message, "gates.patch is 4"));
    p.gates.patch = 0, p.gates.channels = 9;
    p.gates.width = SIZE_MAX / 2 + 1, p.gates.height = 2;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "gates.width"));
    p = s07_problem(), p.gates.active_share = 1;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT &&
          strstr(message, "active_share is 1"));
    p.gates.active_share = -0.1;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "is -0.1"));
    p.gates.active_share = 0.5, p.no_bias = 1;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "needs the bias"));
    p.no_bias = 0, p.gates.no_gate_bias = 1;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "needs the bias"));
    p.gates.no_gate_bias = 0, p.gates.sampler = CVXRELU_SAMPLER_POINTS;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_ARGUMENT && strstr(message, "through points"));
    p = s07_problem(), p.gates.count = SIZE_MAX / 8;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_SIZE && strstr(message, "size_t"));
    p.gates.count = SIZE_MAX;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_SIZE && strstr(message, "size_t"));
}

TEST(no_usable_pattern_is_an_error_that_says_why) {
    static double X[6] = { 0, 0, 0, 0, 0, 0 }, one = 1;
    cvxrelu_problem p = s06_problem(X, 3, 2, s07_Y, 1);
    char message[CVXRELU_MESSAGE_SIZE];
    size_t seed, refused = 0;
    p.no_bias = 1;
    p.gates.count = 17;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_PATTERNS);
    CHECK(strstr(message, "among 17 drawn gates: 0 activate no row, 17 have a row within"));
    p = s06_problem(&one, 1, 1, &one, 1);      /* one row: half of the gates leave it out */
    p.no_bias = 1;
    p.gates.count = 1;
    for (seed = 0; seed < 20; seed++) {
        p.gates.seed = seed;
        if (s07_result(&p, message) == CVXRELU_ERR_PATTERNS) {
            refused++;
            CHECK(strstr(message, "among 1 drawn gates: 1 activate no row, 0 have"));
        }
    }
    CHECK(refused > 3 && refused < 17);
    p.gates.count = 50;
    CHECK(s07_make(&p, NULL, 0) == 1);
}

TEST(offsets_beyond_rounding_leave_no_gate) {
    cvxrelu_problem p;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i;
    s07_gaussian();
    for (i = 0; i < S07_N * S07_D; i++) s07_X[i] += 1e13;
    p = s07_problem();
    p.gates.count = 5;
    CHECK(s07_result(&p, message) == CVXRELU_ERR_PATTERNS && strstr(message, "offsets"));
}

TEST(patterns_bytes_bound_the_peak_closely) {
    static const size_t shapes[5][3] = { { 1, 1, 1 }, { 131, 9, 100 }, { 64, 4, 7 },
                                         { 5, 9, 33 }, { 100, 3, 1000 } };
    char message[CVXRELU_MESSAGE_SIZE];
    size_t k;
    s07_gaussian();
    for (k = 0; k < 10; k++) {
        const size_t *shape = shapes[k / 2];
        cvxrelu_problem p = s06_problem(s07_X, shape[0], shape[1], s07_Y, 1);
        cvxr_mem mem;
        cvxr_data data;
        cvxr_patterns made;
        size_t held, bound;
        p.gates.count = shape[2];
        if (k % 2) p.gates.sampler = CVXRELU_SAMPLER_POINTS;
        cvxr_mem_init(&mem, NULL, 0);
        CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
        held = mem.now;
        (void)cvxr_patterns_make(&mem, &data, &p.gates, &made, message);
        bound = cvxr_patterns_bytes(data.n, data.d, shape[2]);
        CHECK(mem.peak - held <= bound && 2 * (mem.peak - held) >= bound);
        cvxr_patterns_free(&mem, &made);
        CHECK(mem.now == held);
        cvxr_data_free(&mem, &data);
    }
    CHECK(cvxr_patterns_bytes(100, 10, SIZE_MAX / 8) == 0);
    CHECK(cvxr_patterns_bytes(SIZE_MAX / 2, 10, 1) == 0);
    CHECK(cvxr_patterns_bytes(10, SIZE_MAX / 2, 1) == 0);
}

TEST(every_refused_allocation_of_the_patterns_leaves_nothing_behind) {
    char message[CVXRELU_MESSAGE_SIZE];
    size_t refuse;
    int sampler;
    s07_gaussian();
    for (sampler = 0; sampler < 5; sampler++)
        for (refuse = 6; refuse <= 10; refuse++) {        /* the first five are the data's */
            cvxrelu_problem p = s07_given(s07_X, 20, S07_D, 0);
            s06_counter counter;
            cvxrelu_allocator allocator = s06_allocator(&counter, refuse);
            cvxr_mem mem;
            cvxr_data data;
            cvxr_patterns made;
            p.gates.sampler = (cvxrelu_sampler)sampler;
            p.gates.count = 20;
            p.gates.width = p.gates.height = 3;
            cvxr_mem_init(&mem, &allocator, 0);
            message[0] = 0;
            CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
            CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &made, message) ==
                  (refuse < 10 ? CVXRELU_ERR_MEMORY : CVXRELU_OK));
            CHECK(refuse < 10 ? made.bits == NULL && message[0] : made.bits != NULL);
            cvxr_patterns_free(&mem, &made);
            cvxr_data_free(&mem, &data);
            CHECK(counter.blocks == 0 && counter.bytes == 0 && mem.now == 0);
        }
}

/* Runs the tasks last to first and remembers the most that there were. */
static void s07_reverse(void *context, size_t count, void (*body)(void *arg, size_t i),
                        void *arg) {
    if (count > *(size_t *)context) *(size_t *)context = count;
    while (count) body(arg, --count);
}

/* n is no multiple of a block of 64 rows, nor of the rows that a kernel takes together. */
TEST(patterns_are_the_same_for_any_number_of_threads_and_each_kernel) {
    enum { N = 25003, D = 3, P = 21 };
    static double x[N * D], y[N];
    cvxrelu_problem p;
    cvxrelu_random random;
    cvxr_mem mem;
    cvxr_data data;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i, sampler;
    cvxrelu_random_init(&random, 5);
    for (i = 0; i < N * D; i++) x[i] = cvxrelu_random_normal(&random);
    memset(&p, 0, sizeof p);
    p.X.data = x, p.X.rows = N, p.X.cols = D;
    p.Y.data = y, p.Y.rows = N, p.Y.cols = 1;
    p.gates.count = P;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, &p, &data, message) == CVXRELU_OK);
    for (sampler = 0; sampler < 3; sampler++) {
        cvxr_patterns one, more;
        cvxr_team team;
        p.gates.sampler = sampler == 1 ? CVXRELU_SAMPLER_POINTS : CVXRELU_SAMPLER_GAUSSIAN;
        p.gates.active_share = sampler == 2 ? 0.3 : 0;
        CHECK(cvxr_patterns_make(&mem, &data, &p.gates, &one, message) == CVXRELU_OK);
        memset(&team, 0, sizeof team);
        for (team.threads = 2; team.threads <= 20; team.threads += 9) {
            size_t tasks = 0;
            team.hook.parallel_for = s07_reverse;
            team.hook.context = &tasks;
            CHECK(cvxr_patterns_by(&team, &mem, &data, &p.gates, &more, message) == CVXRELU_OK);
            CHECK(tasks == (size_t)(team.threads > 16 ? 16 : team.threads));
            CHECK(more.count == one.count);
            CHECK(memcmp(more.bits, one.bits, one.count * one.words * sizeof *one.bits) == 0);
            CHECK(memcmp(more.gates, one.gates, one.count * D * sizeof *one.gates) == 0);
            cvxr_patterns_free(&mem, &more);
        }
        cvxr_patterns_free(&mem, &one);
    }
    cvxr_data_free(&mem, &data);
}

/* Products, signs and smallest sizes of a block, by the kernel of this CPU and by plain C. */
TEST(block_kernels_have_the_same_bits) {
#if CVXR_DISPATCH
    static double x[64 * 16], panel[16 * 8], z[64 * 8], other[64 * 8];
    static const size_t rows[7] = { 1, 2, 3, 31, 33, 63, 64 };
    size_t used[5] = { 0, 2, 3, 9, 15 }, i, k;
    cvxr_data data;
    cvxr_sampling s;
    cvxrelu_random random;
    if (!__builtin_cpu_supports("avx2")) SKIP("the CPU has no AVX2");
    memset(&data, 0, sizeof data);
    memset(&s, 0, sizeof s);
    cvxrelu_random_init(&random, 6);
    for (i = 0; i < 64 * 16; i++) x[i] = i % 16 == 3 ? 0 : cvxrelu_random_normal(&random);
    for (i = 0; i < 16 * 8; i++) panel[i] = cvxrelu_random_normal(&random);
    data.X = x, data.dp = 16;
    s.data = &data, s.used = used, s.panel = panel;
    for (k = 0; k < 7; k++)
        for (s.used_count = 0; s.used_count <= 5; s.used_count++) {
            uint64_t signs[8], signs_other[8];
            double low[8], low_other[8];
            cvxr_block_products_plain(&s, 0, rows[k], z);
            cvxr_block_products_avx2(&s, 0, rows[k], other);
            CHECK(memcmp(z, other, rows[k] * 8 * sizeof *z) == 0);
            z[4] = -0.0;
            cvxr_block_signs_plain(z, rows[k], signs, low);
            cvxr_block_signs_avx2(z, rows[k], signs_other, low_other);
            CHECK(memcmp(signs, signs_other, sizeof signs) == 0);
            CHECK(memcmp(low, low_other, sizeof low) == 0);
            CHECK((signs[4] & 1) == 1 && (rows[k] == 64 || signs[0] >> rows[k] == 0));
        }
#else
    SKIP("no kernels beyond plain C");
#endif
}

SUITE(s07_patterns) {
    RUN(patterns_are_the_same_for_any_number_of_threads_and_each_kernel);
    RUN(block_kernels_have_the_same_bits);
    RUN(gaussian_masks_match_plain_loops_for_every_scale);
    RUN(masks_survive_folding_into_badly_scaled_columns);
    RUN(every_row_count_around_a_word_has_clean_tail_bits);
    RUN(one_column_has_no_more_patterns_than_it_can);
    RUN(count_of_zero_draws_a_thousand);
    RUN(fewer_gates_are_the_first_of_more);
    RUN(the_same_seed_gives_the_same_bits_and_another_seed_others);
    RUN(the_sequence_of_masks_is_pinned);
    RUN(duplicate_rows_have_equal_bits);
    RUN(sampled_gates_are_zero_on_zero_and_constant_columns);
    RUN(rows_of_zeros_are_ties_and_count_as_active);
    RUN(no_gate_bias_leaves_the_bias_entry_zero);
    RUN(sparse_gates_use_at_most_order_features_and_all_numbers_up_to_it);
    RUN(patch_gates_fill_one_square_in_every_channel);
    RUN(active_share_activates_that_many_rows);
    RUN(active_share_takes_the_nearest_possible_number_where_rows_are_equal);
    RUN(selection_agrees_with_sorting);
    RUN(gates_through_points_pass_next_to_one_row_less_than_columns);
    RUN(points_reach_every_pattern_of_a_small_arrangement);
    RUN(points_with_fewer_rows_than_columns_and_dependent_rows_work);
    RUN(given_gates_have_the_masks_of_the_callers_data);
    RUN(given_gates_are_kept_as_they_are);
    RUN(near_ties_of_given_gates_are_counted);
    RUN(given_float32_gates_with_a_stride_equal_their_float64_copy);
    RUN(wrong_given_gates_are_refused_with_one_clear_message);
    RUN(wrong_recipes_are_refused_with_one_clear_message);
    RUN(no_usable_pattern_is_an_error_that_says_why);
    RUN(offsets_beyond_rounding_leave_no_gate);
    RUN(patterns_bytes_bound_the_peak_closely);
    RUN(every_refused_allocation_of_the_patterns_leaves_nothing_behind);
}
