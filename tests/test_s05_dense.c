/* Tests of S05 DENSE ALGEBRA, BLAS HOOK. Included by test_main.c. Oracles are plain loops;
   where the data are small integers (and the factors powers of two) sums are exact, so results
   must be equal. */

typedef struct s05_room {
    cvxr_mem mem;
    cvxr_la la;
    cvxrelu_random random;
    void *held[16];
    size_t bytes[16];
    int count;
} s05_room;

static void *s05_take(s05_room *room, size_t count, size_t size) {
    void *memory = cvxr_alloc_zero(&room->mem, count, size);
    CHECK(memory != NULL && room->count < 16);
    room->held[room->count] = memory;
    room->bytes[room->count++] = count * size;
    return memory;
}

static double *s05_doubles(s05_room *room, size_t count) {
    return (double *)s05_take(room, count, sizeof(double));
}

static void s05_open(s05_room *room, int threads, int portable) {
    memset(room, 0, sizeof *room);
    cvxr_mem_init(&room->mem, NULL, 0);
    cvxrelu_random_init(&room->random, 5);
    room->la.team.threads = threads;
    room->la.portable = portable;
    room->la.work = s05_take(room, cvxr_la_work_bytes(threads), 1);
}

static void s05_close(s05_room *room) {
    while (room->count--)
        cvxr_release(&room->mem, room->held[room->count], room->bytes[room->count], 1);
    CHECK(room->mem.now == 0);
}

static void s05_integers(s05_room *room, size_t n, double *x) {
    while (n--) x[n] = (double)cvxrelu_random_below(&room->random, 9) - 4;
}

static void s05_normals(s05_room *room, size_t n, double *x) {
    while (n--) x[n] = cvxrelu_random_normal(&room->random);
}

static double s05_nan(void) {
    uint64_t bits = (uint64_t)0x7ff8 << 48;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The largest difference of two m x n matrices; lower: below and on the diagonal only. */
static double s05_distance(int lower, size_t m, size_t n, const double *A, size_t lda,
                           const double *B, size_t ldb) {
    double most = 0;
    size_t i, j;
    for (i = 0; i < m; i++)
        for (j = 0; j < (lower ? i + 1 : n); j++) {
            double difference = fabs(A[i * lda + j] - B[i * ldb + j]);
            if (!cvxr_finite(difference)) return DBL_MAX;
            most = cvxr_max(most, difference);
        }
    return most;
}

static void s05_plain_gemm(int ta, int tb, size_t m, size_t n, size_t k, double alpha,
                           const double *A, size_t lda, const double *B, size_t ldb,
                           double beta, double *C, size_t ldc) {
    size_t i, j, p;
    for (i = 0; i < m; i++)
        for (j = 0; j < n; j++) {
            double sum = 0;
            for (p = 0; p < k; p++)
                sum += (ta ? A[p * lda + i] : A[i * lda + p]) *
                       (tb ? B[j * ldb + p] : B[p * ldb + j]);
            C[i * ldc + j] = alpha * sum + (beta == 0 ? 0 : beta * C[i * ldc + j]);
        }
}

/* A symmetric positive definite matrix G G^T + I, G n x n normal. */
static void s05_positive(s05_room *room, size_t n, double *A, size_t lda) {
    double *G = s05_doubles(room, n * n);
    size_t i;
    s05_normals(room, n * n, G);
    s05_plain_gemm(0, 1, n, n, n, 1, G, n, G, n, 0, A, lda);
    for (i = 0; i < n; i++) A[i * lda + i] += 1;
}

/* ---- Products ---- */

/* One product against plain loops, exactly, with padded rows that stay as they were. */
static void s05_check_gemm(s05_room *room, const cvxr_kernels_f64 *kernels, size_t m, size_t n,
                           size_t k, double *space) {
    int form;
    for (form = 0; form < 12; form++) {
        int ta = form & 1, tb = form >> 1 & 1;
        double alpha = form & 4 ? -0.5 : 1, beta = form < 4 ? 0 : form < 8 ? 1 : 0.25;
        size_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 1, ldc = n + 2;
        double *A = space, *B = A + (m + k + 3) * (m + k + 3),
               *C = B + (n + k + 1) * (n + k + 1);
        double *D = C + m * ldc;
        s05_integers(room, (size_t)(C - A), A);
        s05_integers(room, m * ldc, C);
        memcpy(D, C, m * ldc * sizeof *C);
        s05_plain_gemm(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, D, ldc);
        if (kernels == NULL)
            cvxr_gemm_f64(&room->la, ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
        else {
            cvxr_product_f64 g;
            cvxr_product_init_f64(&g, kernels, room->la.work);
            cvxr_product_set_f64(&g, ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
            cvxr_product_run_f64(NULL, &g);
        }
        CHECK(s05_distance(0, m, ldc, C, ldc, D, ldc) == 0);
    }
}

static void s05_check_sizes(const cvxr_kernels_f64 *kernels, int portable) {
    static const size_t sizes[] = { 0, 1, 2, 7, 9, 25, 33 };
    s05_room room;
    double *space;
    size_t i;
    s05_open(&room, 1, portable);
    space = s05_doubles(&room, 1000000);
    for (i = 0; i < 7 * 7 * 7; i++)
        s05_check_gemm(&room, kernels, sizes[i % 7], sizes[i / 7 % 7], sizes[i / 49], space);
    s05_check_gemm(&room, kernels, 17, 205, 300, space);
    s05_check_gemm(&room, kernels, 13, 5, 525, space);
    s05_check_gemm(&room, kernels, 205, 66, 40, space); /* rows far apart, packed by groups */
    s05_check_gemm(&room, kernels, 16, 100, 280, space);
    s05_close(&room);
}

TEST(product_equals_plain_loops_at_odd_sizes) { s05_check_sizes(NULL, 0); }
TEST(portable_product_equals_plain_loops_at_odd_sizes) { s05_check_sizes(NULL, 1); }

TEST(avx2_product_equals_plain_loops_at_odd_sizes) {
#if CVXR_DISPATCH
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) SKIP("no AVX2");
    s05_check_sizes(&cvxr_kernels_avx2_f64, 0);
#else
    SKIP("built without dispatch");
#endif
}

TEST(avx512_product_equals_plain_loops_at_odd_sizes) {
#if CVXR_DISPATCH
    if (!__builtin_cpu_supports("avx512f")) SKIP("no AVX-512");
    s05_check_sizes(&cvxr_kernels_avx512_f64, 0);
#else
    SKIP("built without dispatch");
#endif
}

TEST(product_with_beta_zero_does_not_read_the_result) {
    double A[4] = { 1, 2, 3, 4 }, C[9], y[2];
    s05_room room;
    int i;
    s05_open(&room, 1, 0);
    for (i = 0; i < 9; i++) C[i] = s05_nan();
    cvxr_gemm_f64(&room.la, 0, 0, 2, 2, 2, 1.0, A, 2, A, 2, 0.0, C, 3);
    CHECK(C[0] == 7 && C[1] == 10 && C[3] == 15 && C[4] == 22 && !cvxr_finite(C[2]));
    for (i = 0; i < 9; i++) C[i] = s05_nan();
    cvxr_gemm_f64(&room.la, 0, 0, 2, 2, 0, 1.0, A, 2, A, 2, 0.0, C, 2);
    CHECK(C[0] == 0 && C[1] == 0 && C[2] == 0 && C[3] == 0);
    for (i = 0; i < 4; i++) {
        y[0] = y[1] = s05_nan();
        cvxr_gemv_f64(&room.la, i & 1, 2, i < 2 ? 2 : 1, 1.0, A, 2, A, 0.0, y);
        CHECK(cvxr_finite(y[0]));
        C[0] = s05_nan();
        cvxr_syrk_f64(&room.la, i & 1, 1, 2, 1.0, A, i & 1 ? 1 : 2, 0.0, C, 1);
        CHECK(C[0] == 5);
    }
    s05_close(&room);
}

TEST(nan_in_a_factor_reaches_the_product) {
    double A[20 * 20], C[20 * 20];
    s05_room room;
    s05_open(&room, 1, 0);
    s05_integers(&room, 400, A);
    A[13 * 20 + 4] = s05_nan();
    cvxr_gemm_f64(&room.la, 0, 0, 20, 20, 20, 1.0, A, 20, A, 20, 0.0, C, 20);
    CHECK(!cvxr_finite(C[13 * 20 + 7]) && !cvxr_finite(C[4]) && cvxr_finite(C[5]));
    s05_close(&room);
}

TEST(symmetric_product_fills_the_lower_triangle_only) {
    static const size_t sizes[] = { 0, 1, 5, 8, 24, 33, 70, 211 };
    s05_room room;
    size_t at, i, j;
    double *A, *C, *D;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, 300 * 300), C = s05_doubles(&room, 300 * 300);
    D = s05_doubles(&room, 300 * 300);
    for (at = 0; at < 64; at++) {
        size_t n = sizes[at % 8], k = sizes[at / 8], ldc = n + 3;
        int trans = (int)(at & 1), wrong = 0;
        size_t lda = (trans ? n : k) + 1;
        double beta = at % 3 ? 0.5 : 0;
        s05_integers(&room, (n + k + 1) * (n > k ? n : k), A);
        for (i = 0; i < n * ldc; i++) D[i] = C[i] = i % ldc <= i / ldc ? 3 : 77;
        s05_plain_gemm(trans, !trans, n, n, k, -1, A, lda, A, lda, beta, D, ldc);
        cvxr_syrk_f64(&room.la, trans, n, k, -1, A, lda, beta, C, ldc);
        CHECK(s05_distance(1, n, n, C, ldc, D, ldc) == 0);
        for (i = 0; i < n; i++)
            for (j = i + 1; j < ldc; j++) wrong += C[i * ldc + j] != 77;
        CHECK(wrong == 0);
    }
    s05_close(&room);
}

TEST(matrix_times_vector_equals_plain_loops) {
    static const size_t sizes[] = { 0, 1, 3, 4, 6, 17, 64, 133, 700 };
    s05_room room;
    size_t at;
    double *A, *x, *y, *z;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, 710 * 710), x = s05_doubles(&room, 710);
    y = s05_doubles(&room, 710), z = s05_doubles(&room, 710);
    s05_integers(&room, 710 * 710, A);
    for (at = 0; at < 81 * 4; at++) {
        size_t m = sizes[at % 9], n = sizes[at / 9 % 9], rows;
        int ta = at / 81 & 1;
        double beta = at / 81 < 2 ? 0 : -0.5;
        rows = ta ? n : m;
        room.la.portable = (int)(at % 2);
        s05_integers(&room, 710, x);
        s05_integers(&room, 710, y);
        memcpy(z, y, 710 * sizeof *y);
        s05_plain_gemm(ta, 0, rows, 1, ta ? m : n, 2, A, n + 2, x, 1, beta, z, 1);
        cvxr_gemv_f64(&room.la, ta, m, n, 2, A, n + 2, x, beta, y);
        CHECK(memcmp(y, z, 710 * sizeof *y) == 0 || s05_distance(0, 1, 710, y, 0, z, 0) == 0);
    }
    s05_close(&room);
}

#ifndef CVXRELU_NO_FLOAT32
static void s05_to_f32(size_t n, const double *from, float *to) {
    while (n--) to[n] = (float)from[n];
}
static double s05_distance_f32(size_t n, const double *x, const float *y) {
    double most = 0;
    while (n--) {
        if (!cvxr_finite((double)y[n])) return DBL_MAX;
        most = cvxr_max(most, fabs(x[n] - (double)y[n]));
    }
    return most;
}
#endif

TEST(float32_operations_equal_float64_ones_on_small_integers) {
#ifndef CVXRELU_NO_FLOAT32
    static const size_t sizes[] = { 1, 8, 19, 49, 100 };
    s05_room room;
    size_t at;
    double *A, *B, *C;
    float *a, *b, *c;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, 12000), B = s05_doubles(&room, 12000), C = s05_doubles(&room, 12000);
    a = (float *)s05_take(&room, 12000, 4), b = (float *)s05_take(&room, 12000, 4);
    c = (float *)s05_take(&room, 12000, 4);
    s05_integers(&room, 12000, A), s05_integers(&room, 12000, B);
    s05_to_f32(12000, A, a), s05_to_f32(12000, B, b);
    for (at = 0; at < 125 * 2; at++) {
        size_t m = sizes[at % 5], n = sizes[at / 5 % 5], k = sizes[at / 25 % 5];
        int ta = (int)(at % 2), tb = (int)(at / 2 % 2);
        room.la.portable = at >= 125;
        s05_integers(&room, 12000, C);
        s05_to_f32(12000, C, c);
        cvxr_gemm_f64(&room.la, ta, tb, m, n, k, 0.5, A, 101, B, 103, 2, C, 102);
        cvxr_gemm_f32(&room.la, ta, tb, m, n, k, 0.5f, a, 101, b, 103, 2, c, 102);
        CHECK(s05_distance_f32(12000, C, c) == 0);
        cvxr_syrk_f64(&room.la, ta, n, k, 1, A, 101, 0, C, 102);
        cvxr_syrk_f32(&room.la, ta, n, k, 1, a, 101, 0, c, 102);
        cvxr_gemv_f64(&room.la, tb, m, n, 1, A, 101, B, 0, C + 11000);
        cvxr_gemv_f32(&room.la, tb, m, n, 1, a, 101, b, 0, c + 11000);
        CHECK(s05_distance_f32(12000, C, c) == 0);
    }
    s05_close(&room);
#else
    SKIP("built without float32");
#endif
}

TEST(float32_cholesky_solves_to_its_precision) {
#ifndef CVXRELU_NO_FLOAT32
    size_t n = 77, i;
    double *A, *x;
    float *a, *b, *c;
    s05_room room;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, n * n), x = s05_doubles(&room, n);
    a = (float *)s05_take(&room, n * n, 4), b = (float *)s05_take(&room, n, 4);
    c = (float *)s05_take(&room, n, 4);
    s05_positive(&room, n, A, n);
    for (i = 0; i < n; i++) x[i] = (double)i, A[i * n + i] += (double)n;
    s05_to_f32(n * n, A, a);
    for (i = 0; i < n; i++) b[i] = (float)cvxr_dot_f64(n, A + i * n, x);
    memcpy(c, b, n * sizeof *c);
    CHECK(cvxr_potrf_f32(&room.la, n, a, n) == 0);
    cvxr_potrs_f32(&room.la, n, a, n, b);
    CHECK(s05_distance_f32(n, x, b) < 77 * 6 * FLT_EPSILON * 77); /* condition < 6 */
    cvxr_trsm_f32(&room.la, 0, n, 1, a, n, c, 1);
    cvxr_trsm_f32(&room.la, 1, n, 1, a, n, c, 1);
    CHECK(s05_distance_f32(n, x, c) < 77 * 6 * FLT_EPSILON * 77);
    s05_close(&room);
#else
    SKIP("built without float32");
#endif
}

/* ---- Cholesky and triangular solves ---- */

static const size_t s05_orders[] = { 0, 1, 2, 5, 31, 32, 33, 63, 66, 100, 161 };

TEST(cholesky_factor_times_its_transpose_is_the_matrix) {
    size_t at, i, j, p;
    for (at = 0; at < 11; at++) {
        size_t n = s05_orders[at], ld = n + 3;
        int wrong = 0;
        double *A, *L, most = 0, scale = 0;
        s05_room room;
        s05_open(&room, 1, (int)(at & 1));
        A = s05_doubles(&room, n * ld), L = s05_doubles(&room, n * ld);
        s05_positive(&room, n, A, ld);
        for (i = 0; i < n; i++)
            for (j = 0; j < ld; j++) L[i * ld + j] = j <= i ? A[i * ld + j] : 55;
        CHECK(cvxr_potrf_f64(&room.la, n, L, ld) == 0);
        for (i = 0; i < n; i++)
            for (j = 0; j < ld; j++) {
                double sum = A[i * ld + j];
                if (j > i) {
                    wrong += L[i * ld + j] != 55;
                    continue;
                }
                for (p = 0; p <= j; p++) sum -= L[i * ld + p] * L[j * ld + p];
                most = cvxr_max(most, fabs(sum));
                scale = cvxr_max(scale, A[i * ld + i]);
            }
        CHECK(wrong == 0);
        CHECK_NEAR(most, 0, 4 * (double)(n + 1) * DBL_EPSILON * scale);
        s05_close(&room);
    }
}

TEST(cholesky_names_the_first_bad_pivot) {
    static const size_t bad[] = { 1, 2, 32, 33, 34, 70, 97 };
    size_t n = 97, at, kind, i;
    double *A, *L;
    s05_room room;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, n * n), L = s05_doubles(&room, n * n);
    s05_positive(&room, n, A, n);
    for (at = 0; at < 7; at++)
        for (kind = 0; kind < 4; kind++) {
            memcpy(L, A, n * n * sizeof *L);
            i = bad[at] - 1;
            L[i * n + i] = kind == 0 ? 0 : kind == 1 ? -1 : kind == 2 ? s05_nan() : HUGE_VAL;
            CHECK(cvxr_potrf_f64(&room.la, n, L, n) == bad[at]);
        }
    memset(L, 0, n * n * sizeof *L);
    CHECK(cvxr_potrf_f64(&room.la, n, L, n) == 1 && cvxr_potrf_f64(&room.la, 0, NULL, 0) == 0);
    s05_close(&room);
}

TEST(triangular_solves_undo_their_products) {
    size_t at, i, j;
    for (at = 0; at < 66; at++) { /* the rows of 200 lie too far apart to be used in place */
        size_t n = s05_orders[at % 11], m = at < 22 ? 3 : at < 44 ? 130 : 200;
        size_t ld = n + 1, ldb = m + 2;
        int trans = (int)(at / 11 % 2), bad = 0;
        double *L, *X, *B;
        s05_room room;
        s05_open(&room, 1, (int)(at & 1));
        L = s05_doubles(&room, n * ld), X = s05_doubles(&room, n * ldb),
        B = s05_doubles(&room, n * ldb);
        s05_normals(&room, n * ld, L);
        s05_normals(&room, n * ldb, X);
        for (i = 0; i < n; i++) {
            for (j = i + 1; j < ld; j++) L[i * ld + j] = 0;
            for (j = 0; j < i; j++) L[i * ld + j] /= (double)n;
            L[i * ld + i] = 2 + (double)(i % 3);
        }
        memcpy(B, X, n * ldb * sizeof *B);
        s05_plain_gemm(trans, 0, n, m, n, 1, L, ld, X, ldb, 0, B, ldb);
        for (i = 0; i < n; i++)
            for (j = i + 1; j < ld; j++) L[i * ld + j] = s05_nan(); /* not to be read */
        cvxr_trsm_f64(&room.la, trans, n, m, L, ld, B, ldb);
        CHECK_NEAR(s05_distance(0, n, m, B, ldb, X, ldb), 0,
                   64 * (double)(n + 1) * DBL_EPSILON);
        for (i = 0; i < n; i++)
            bad += memcmp(B + i * ldb + m, X + i * ldb + m, 2 * sizeof *B) != 0;
        CHECK(bad == 0);
        s05_close(&room);
    }
}

/* The last blocks with one instruction set's kernels: B = L X for a triangle L near the
   identity is solved for X both ways and from the right, and the factor of L L^T is L. The
   errors of 64 terms are below 64 eps each. */
#define S05_CHECK_BLOCKS(type, real, eps)                                                      \
    static void s05_check_blocks_##type(const cvxr_kernels_##type *kernels) {                  \
        static const size_t orders[] = { 1, 3, 8, 13, 31, 50, 64 }, widths[] = { 1, 9, 77 };   \
        size_t at, i, j, p;                                                                    \
        for (at = 0; at < 21; at++) {                                                          \
            const size_t n = orders[at % 7], m = widths[at / 7], ld = n + 3;                   \
            s05_room room;                                                                     \
            real *L, *A, *X, *B[3];                                                            \
            double most = 0;                                                                   \
            s05_open(&room, 1, 0);                                                             \
            L = (real *)s05_take(&room, n * ld, sizeof(real));                                 \
            A = (real *)s05_take(&room, n * ld, sizeof(real));                                 \
            X = (real *)s05_take(&room, n * m, sizeof(real));                                  \
            for (i = 0; i < 3; i++)                                                            \
                B[i] = (real *)s05_take(&room, n * m, sizeof(real));                           \
            for (i = 0; i < n * m; i++) X[i] = (real)cvxrelu_random_normal(&room.random);      \
            for (i = 0; i < n; i++)                                                            \
                for (j = 0; j < n; j++)                                                        \
                    L[i * ld + j] = j > i    ? (real)s05_nan()                                 \
                                    : j == i ? 1                                               \
                                             : (real)(cvxrelu_random_normal(&room.random) /    \
                                                      (double)(4 * n));                        \
            for (i = 0; i < n; i++) {                                                          \
                for (j = 0; j <= i; j++)                                                       \
                    for (p = 0; p <= j; p++) A[i * ld + j] += L[i * ld + p] * L[j * ld + p];   \
                for (j = 0; j < m; j++)                                                        \
                    for (p = 0; p < n; p++) {                                                  \
                        if (p <= i) B[0][i * m + j] += L[i * ld + p] * X[p * m + j];           \
                        if (p >= i) B[1][i * m + j] += L[p * ld + i] * X[p * m + j];           \
                        if (p <= i) B[2][j * n + i] += L[i * ld + p] * X[p * m + j];           \
                    }                                                                          \
            }                                                                                  \
            cvxr_solve_base_##type(kernels, 0, n, m, L, ld, B[0], m, room.la.work);            \
            cvxr_solve_base_##type(kernels, 1, n, m, L, ld, B[1], m, room.la.work);            \
            cvxr_solve_base_right_##type(kernels, n, m, L, ld, B[2], n, room.la.work);         \
            CHECK(cvxr_potrf_base_##type(kernels, n, A, ld, room.la.work) == 0);               \
            for (i = 0; i < n; i++) {                                                          \
                for (j = 0; j <= i; j++)                                                       \
                    most = cvxr_max(most, fabs((double)(A[i * ld + j] - L[i * ld + j])));      \
                for (j = 0; j < m; j++) {                                                      \
                    most = cvxr_max(most, fabs((double)(B[0][i * m + j] - X[i * m + j])));     \
                    most = cvxr_max(most, fabs((double)(B[1][i * m + j] - X[i * m + j])));     \
                    most = cvxr_max(most, fabs((double)(B[2][j * n + i] - X[i * m + j])));     \
                }                                                                              \
                CHECK(cvxr_finite((double)(A[i * ld + i] + B[0][i * m] + B[1][i * m])));       \
            }                                                                                  \
            CHECK_NEAR(most, 0, 64 * (eps));                                                   \
            s05_close(&room);                                                                  \
        }                                                                                      \
    }
S05_CHECK_BLOCKS(f64, double, DBL_EPSILON)
#ifndef CVXRELU_NO_FLOAT32
S05_CHECK_BLOCKS(f32, float, FLT_EPSILON)
#define S05_CHECK_BOTH(isa)                                                                    \
    (s05_check_blocks_f64(&cvxr_kernels_##isa##_f64),                                          \
     s05_check_blocks_f32(&cvxr_kernels_##isa##_f32))
#else
#define S05_CHECK_BOTH(isa) s05_check_blocks_f64(&cvxr_kernels_##isa##_f64)
#endif

TEST(last_blocks_of_factors_and_solves_by_every_instruction_set) {
    S05_CHECK_BOTH(base);
#if CVXR_DISPATCH
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) S05_CHECK_BOTH(avx2);
    if (__builtin_cpu_supports("avx512f")) S05_CHECK_BOTH(avx512);
#endif
}

/* What a tile's neighbours are must not matter: columns and rows of a product are the same bits
   when they are computed alone, whatever way was taken. */
TEST(part_of_a_product_has_the_bits_of_the_whole) {
    static const size_t rows[] = { 1, 5, 16, 40 }, columns[] = { 1, 4, 13, 30, 70 };
    size_t at, i, j, m = 40, n = 300, k = 270;
    double *A, *B, *C, *D;
    s05_room room;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, m * k), B = s05_doubles(&room, n * k);
    C = s05_doubles(&room, m * n), D = s05_doubles(&room, m * n);
    s05_normals(&room, m * k, A);
    s05_normals(&room, n * k, B);
    for (at = 0; at < 4 * 5 * 4; at++) {
        int ta = (int)(at / 20 & 1), tb = (int)(at / 40), wrong = 0;
        size_t part = rows[at % 4], wide = columns[at / 4 % 5];
        cvxr_gemm_f64(&room.la, ta, tb, m, n, k, 1, A, ta ? m : k, B, tb ? k : n, 0, C, n);
        cvxr_gemm_f64(&room.la, ta, tb, part, wide, k, 1, A + (m - part) * (ta ? 1 : k),
                      ta ? m : k, B + 7 * (tb ? k : 1), tb ? k : n, 0, D, wide);
        for (i = 0; i < part; i++)
            for (j = 0; j < wide; j++)
                wrong += C[(m - part + i) * n + 7 + j] != D[i * wide + j];
        CHECK(wrong == 0);
    }
    s05_close(&room);
}

TEST(cholesky_solve_of_one_vector_has_a_small_residual) {
    size_t at, i;
    for (at = 0; at < 22; at++) {
        size_t n = s05_orders[at % 11], ld = n + 2;
        double *A, *L, *b, *x, scale = 1;
        s05_room room;
        s05_open(&room, 1, at >= 11);
        A = s05_doubles(&room, n * ld), L = s05_doubles(&room, n * ld);
        b = s05_doubles(&room, n), x = s05_doubles(&room, n);
        s05_positive(&room, n, A, ld);
        s05_normals(&room, n, b);
        memcpy(L, A, n * ld * sizeof *L), memcpy(x, b, n * sizeof *x);
        CHECK(cvxr_potrf_f64(&room.la, n, L, ld) == 0);
        cvxr_potrs_f64(&room.la, n, L, ld, x);
        for (i = 0; i < n; i++) scale = cvxr_max(scale, A[i * ld + i] * fabs(x[i]));
        for (i = 0; i < n; i++)
            CHECK_NEAR(cvxr_dot_f64(n, A + i * ld, x), b[i],
                       16 * (double)n * DBL_EPSILON * scale);
        s05_close(&room);
    }
}

/* ---- Threads and hooks ---- */

static void s05_backwards(void *context, size_t count, void (*body)(void *arg, size_t i),
                          void *arg) {
    *(size_t *)context += count;
    while (count--) body(arg, count);
}

TEST(products_are_the_same_bits_for_any_number_of_threads) {
    size_t n = 203, k = 301, tasks = 0, i;
    double *A, *B, *first = NULL;
    static const int threads[] = { 1, 2, 3, 8 };
    s05_room room;
    s05_open(&room, 8, 0);
    A = s05_doubles(&room, n * k), B = s05_doubles(&room, n * k);
    first = s05_doubles(&room, 5 * n * k);
    s05_normals(&room, n * k, A);
    s05_normals(&room, n * k, B);
    room.la.team.hook.parallel_for = s05_backwards;
    room.la.team.hook.context = &tasks;
    for (i = 0; i < 4; i++) {
        double *R = s05_doubles(&room, 5 * n * k), *S = R + n * k, *T = S + n * k;
        double *V = T + n * k, *y = V + n * k;
        size_t j;
        room.la.team.threads = threads[i];
        cvxr_gemm_f64(&room.la, 0, 1, n, n, k, 1, A, k, B, k, 0, R, n);
        cvxr_gemm_f64(&room.la, 1, 0, 37, k, n, 1, A, k, B, k, 1, V, k);
        cvxr_syrk_f64(&room.la, 0, n, k, 1, A, k, 0, S, n);
        for (j = 0; j < n; j++) S[j * n + j] += 100;
        CHECK(cvxr_potrf_f64(&room.la, n, S, n) == 0);
        memcpy(T, B, n * k * sizeof *T);
        cvxr_trsm_f64(&room.la, 0, n, k, S, n, T, k);
        cvxr_trsm_f64(&room.la, 1, n, k, S, n, T, k);
        cvxr_gemv_f64(&room.la, 0, 10 * n, k / 10, 1, A, k / 10, B, 0, y);
        cvxr_gemv_f64(&room.la, 1, n / 2, 2 * k, 1, A, 2 * k, B, 0, y + 10 * n);
        if (i == 0) memcpy(first, R, 5 * n * k * sizeof *R);
        CHECK(memcmp(first, R, 5 * n * k * sizeof *R) == 0);
        CHECK(i > 0 || tasks == 0);
    }
    CHECK(tasks > 50);
    s05_close(&room);
}

/* A BLAS of plain loops, column-major as the interface says. */
static double s05_at(const double *a, size_t ld, char trans, size_t i, size_t j) {
    return trans == 'N' ? a[i + j * ld] : a[j + i * ld];
}
static void s05_dgemm(void *context, char ta, char tb, size_t m, size_t n, size_t k,
                      double alpha, const double *a, size_t lda, const double *b, size_t ldb,
                      double beta, double *c, size_t ldc) {
    size_t i, j, p;
    ((int *)context)[0]++;
    for (i = 0; i < m; i++)
        for (j = 0; j < n; j++) {
            double sum = 0;
            for (p = 0; p < k; p++) sum += s05_at(a, lda, ta, i, p) * s05_at(b, ldb, tb, p, j);
            c[i + j * ldc] = alpha * sum + (beta == 0 ? 0 : beta * c[i + j * ldc]);
        }
}
static void s05_dsyrk(void *context, char uplo, char trans, size_t n, size_t k, double alpha,
                      const double *a, size_t lda, double beta, double *c, size_t ldc) {
    size_t i, j, p;
    ((int *)context)[1]++;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) {
            double sum = 0;
            if (uplo == 'U' ? i > j : i < j) continue;
            for (p = 0; p < k; p++)
                sum += s05_at(a, lda, trans, i, p) * s05_at(a, lda, trans, j, p);
            c[i + j * ldc] = alpha * sum + (beta == 0 ? 0 : beta * c[i + j * ldc]);
        }
}
static void s05_dgemv(void *context, char trans, size_t m, size_t n, double alpha,
                      const double *a, size_t lda, const double *x, double beta, double *y) {
    size_t i, j, rows = trans == 'N' ? m : n, cols = trans == 'N' ? n : m;
    ((int *)context)[2]++;
    for (i = 0; i < rows; i++) {
        double sum = 0;
        for (j = 0; j < cols; j++) sum += s05_at(a, lda, trans, i, j) * x[j];
        y[i] = alpha * sum + (beta == 0 ? 0 : beta * y[i]);
    }
}
static void s05_dtrsm(void *context, char side, char uplo, char trans, char diag, size_t m,
                      size_t n, double alpha, const double *a, size_t lda, double *b,
                      size_t ldb) {
    size_t order = side == 'L' ? m : n, count = side == 'L' ? n : m, i, j, q, step;
    size_t one = side == 'L' ? 1 : ldb, next = side == 'L' ? ldb : 1;
    char t = side == 'L'    ? trans
             : trans == 'N' ? 'T'
                            : 'N'; /* the matrix that acts from the left */
    int upper = (uplo == 'U') == (t == 'N');
    ((int *)context)[3]++;
    CHECK(alpha == 1 && diag == 'N');
    for (q = 0; q < count; q++)
        for (step = 0; step < order; step++) {
            double sum;
            i = upper ? order - 1 - step : step;
            sum = b[i * one + q * next];
            for (j = upper ? i + 1 : 0; j < (upper ? order : i); j++)
                sum -= s05_at(a, lda, t, i, j) * b[j * one + q * next];
            b[i * one + q * next] = sum / a[i + i * lda];
        }
}
static size_t s05_dpotrf(void *context, char uplo, size_t n, double *a, size_t lda) {
    size_t i, j, p;
    ((int *)context)[4]++;
    CHECK(uplo == 'U');
    for (j = 0; j < n; j++)
        for (i = 0; i <= j; i++) {
            double sum = a[i + j * lda];
            for (p = 0; p < i; p++) sum -= a[p + i * lda] * a[p + j * lda];
            if (i == j && !(sum > 0)) return j + 1;
            a[i + j * lda] = i == j ? sqrt(sum) : sum / a[i + i * lda];
        }
    return 0;
}

/* Every operation with and without the table, on exact or well-conditioned data. */
static void s05_check_table(const cvxrelu_blas *blas, int threads) {
    size_t m = 45, n = 52, k = 39, i, form;
    double *A, *B, *C[2];
    s05_room room;
    s05_open(&room, threads, 0);
    A = s05_doubles(&room, 4000), B = s05_doubles(&room, 4000);
    C[0] = s05_doubles(&room, 6000), C[1] = s05_doubles(&room, 6000);
    s05_integers(&room, 4000, A), s05_integers(&room, 4000, B);
    for (form = 0; form < 4; form++) {
        int ta = (int)form & 1, tb = (int)form >> 1;
        for (i = 0; i < 2; i++) {
            room.la.blas = i ? blas : NULL;
            cvxr_gemm_f64(&room.la, ta, tb, m, n, k, 2, A, 60, B, 61, 0, C[i], 62);
            cvxr_gemm_f64(&room.la, ta, tb, m, n, 0, 2, A, 60, B, 61, 0.5, C[i], 62);
            cvxr_gemv_f64(&room.la, ta, m, n, 2, A, 60, B, 1, C[i] + 62 * m);
        }
        CHECK(s05_distance(0, 1, 6000, C[0], 0, C[1], 0) == 0);
        for (i = 0; i < 2; i++) {
            room.la.blas = i ? blas : NULL;
            cvxr_syrk_f64(&room.la, ta, n, k, 1, A, 60, tb ? 0.5 : 0, C[i], 62);
        }
        CHECK(s05_distance(0, 1, 6000, C[0], 0, C[1], 0) == 0);
    }
    for (i = 0; i < n; i++) C[0][i * 62 + i] = C[1][i * 62 + i] += 2000;
    memcpy(A, B, n * 61 * sizeof *A);
    for (i = 0; i < 2; i++) {
        room.la.blas = i ? blas : NULL;
        CHECK(cvxr_potrf_f64(&room.la, n, C[i], 62) == 0);
        cvxr_trsm_f64(&room.la, 0, n, 50, C[i], 62, i ? B : A, 61);
    }
    CHECK(s05_distance(0, 1, 6000, C[0], 0, C[1], 0) < 1e-11);
    CHECK(s05_distance(0, n, 50, A, 61, B, 61) < 1e-13);
    for (i = 0; i < 2; i++) {
        room.la.blas = i ? blas : NULL;
        cvxr_trsm_f64(&room.la, 1, n, 50, C[i], 62, i ? B : A, 61);
    }
    CHECK(s05_distance(0, n, 50, A, 61, B, 61) < 1e-13);
    s05_close(&room);
}

static void s05_check_recursive_factor(const cvxrelu_blas *blas) {
    s05_room room;
    double *A, *L;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, 100 * 100), L = s05_doubles(&room, 100 * 100);
    s05_positive(&room, 100, A, 100);
    memcpy(L, A, 100 * 100 * sizeof *A);
    CHECK(cvxr_potrf_f64(&room.la, 100, A, 100) == 0);
    room.la.blas = blas;
    CHECK(cvxr_potrf_f64(&room.la, 100, L, 100) == 0);
    CHECK(s05_distance(1, 100, 100, A, 100, L, 100) < 1e-11);
    s05_close(&room);
}

TEST(hooked_table_gives_the_built_in_results) {
    int calls[5] = { 0, 0, 0, 0, 0 };
    cvxrelu_blas blas;
    memset(&blas, 0, sizeof blas);
    s05_check_table(&blas, 1); /* NULL entries: the built-in kernels */
    blas.context = calls;
    blas.dgemm = s05_dgemm;
    blas.dsyrk = s05_dsyrk;
    blas.dgemv = s05_dgemv;
    blas.dtrsm = s05_dtrsm;
    s05_check_table(&blas, 3);
    CHECK(calls[0] == 4 && calls[1] == 4 && calls[2] == 4 && calls[3] == 2 && calls[4] == 0);
    s05_check_recursive_factor(&blas);
    CHECK(calls[1] == 5 && calls[3] == 3); /* potrf built on the hooked rest */
    blas.dpotrf = s05_dpotrf;
    s05_check_table(&blas, 1);
    CHECK(calls[4] == 1);
}

#ifdef CVXRELU_CBLAS               /* test_blas.c is built so */
TEST(hooked_cblas_gives_the_built_in_results) {
    cvxrelu_blas blas = cvxrelu_blas_from_cblas();
    s05_check_table(&blas, 1);
    CHECK(blas.sgemm != NULL && blas.ssyrk != NULL && blas.sgemv != NULL && blas.strsm != NULL);
    CHECK(blas.dpotrf == NULL && blas.spotrf == NULL);
}
#endif

/* ---- Vectors ---- */

TEST(dot_and_axpy_equal_plain_loops_at_every_length) {
    double x[150], y[150], z[150], sum;
    size_t n, j;
    s05_room room;
    s05_open(&room, 1, 0);
    for (n = 0; n < 149; n++) {
        s05_integers(&room, 150, x);
        s05_integers(&room, 150, y);
        for (sum = 0, j = 0; j < n; j++) sum += x[j] * y[j];
        CHECK(cvxr_dot_f64(n, x, y) == sum);
        memcpy(z, y, sizeof z);
        for (j = 0; j < n; j++) z[j] += 3 * x[j];
        cvxr_axpy_f64(n, 3, x, y);
        CHECK(memcmp(y, z, sizeof z) == 0 || s05_distance(0, 1, 150, y, 0, z, 0) == 0);
    }
    s05_close(&room);
}

TEST(norm_survives_huge_and_tiny_entries) {
    double x[3] = { 3, 0, 4 };
    CHECK(cvxr_norm2_f64(3, x) == 5 && cvxr_norm2_f64(0, NULL) == 0);
    x[0] = 3e300, x[2] = -4e300;
    CHECK_NEAR(cvxr_norm2_f64(3, x) / 5e300, 1, 2 * DBL_EPSILON);
    x[0] = 3e-300, x[2] = 4e-300;
    CHECK_NEAR(cvxr_norm2_f64(3, x) / 5e-300, 1, 2 * DBL_EPSILON);
    x[0] = x[2] = 0;
    CHECK(cvxr_norm2_f64(3, x) == 0);
    x[1] = s05_nan();
    CHECK(!cvxr_finite(cvxr_norm2_f64(3, x)));
    x[1] = HUGE_VAL;
    CHECK(!cvxr_finite(cvxr_norm2_f64(3, x)));
#ifndef CVXRELU_NO_FLOAT32
    {
        float f[2] = { 3e38f, -1e38f }, tiny[5] = { 3e-40f, 0, 4e-40f, 0, 0 };
        CHECK_NEAR(cvxr_norm2_f32(2, f) / 3.1622776e38, 1, 1e-6);
        CHECK_NEAR((double)cvxr_norm2_f32(5, tiny) * 1e40, 5, 1e-4);
    }
#endif
}

TEST(work_space_grows_with_the_threads) {
    CHECK(cvxr_la_work_bytes(1) % CVXR_ALIGN == 0 &&
          cvxr_la_work_bytes(0) == cvxr_la_work_bytes(1));
    CHECK(cvxr_la_work_bytes(7) == 7 * cvxr_la_work_bytes(1));
}

/* ---- QR, eigenvalues, singular values ---- */

TEST(qr_reproduces_the_matrix_with_an_orthogonal_factor) {
    static const size_t shapes[][2] = { { 1, 1 },  { 5, 1 },  { 1, 5 }, { 7, 7 },
                                        { 20, 9 }, { 9, 20 }, { 0, 3 } };
    static const double scales[] = { 1, 1e-200, 1e200 };
    size_t at, i, j;
    for (at = 0; at < 21; at++) {
        size_t m = shapes[at % 7][0], n = shapes[at % 7][1], ld = n + 1, k = m < n ? m : n;
        double A[20 * 21 + 20], Q[20 * 21 + 20], tau[20], x[20] = { 0 }, y[20];
        double scale = scales[at / 7];
        s05_room room;
        s05_open(&room, 1, 0);
        s05_normals(&room, m * ld, A);
        for (i = 0; i < m * ld; i++) A[i] *= i % ld == 3 ? 0 : scale; /* a zero column too */
        memcpy(Q, A, sizeof A);
        cvxr_qr(m, n, Q, ld, tau);
        for (j = 0; j < n; j++) { /* Q R e_j = A e_j */
            for (i = 0; i < m; i++) x[i] = i <= j && i < k ? Q[i * ld + j] : 0;
            cvxr_qr_apply_q(m, k, Q, ld, tau, x);
            for (i = 0; i < m; i++) CHECK_NEAR(x[i] / scale, A[i * ld + j] / scale, 1e-13);
        }
        s05_normals(&room, m, x);
        memcpy(y, x, sizeof y);
        cvxr_qr_apply_qt(m, k, Q, ld, tau, y);
        CHECK_NEAR(cvxr_norm2_f64(m, y), cvxr_norm2_f64(m, x), 1e-13);
        cvxr_qr_apply_q(m, k, Q, ld, tau, y);
        CHECK_NEAR(s05_distance(0, 1, m, x, 0, y, 0), 0, 1e-13);
        s05_close(&room);
    }
}

TEST(qr_solves_least_squares_and_finds_the_normal_of_rows) {
    double A[12 * 5], Q[12 * 5], tau[5], x[5], b[12], c[12], g[6], R[6 * 5], turn[5];
    size_t i, j;
    s05_room room;
    s05_open(&room, 1, 0);
    s05_normals(&room, 60, A), s05_normals(&room, 12, b);
    memcpy(Q, A, sizeof A), memcpy(c, b, sizeof b);
    cvxr_qr(12, 5, Q, 5, tau);
    cvxr_qr_apply_qt(12, 5, Q, 5, tau, c);
    memcpy(x, c, sizeof x);
    cvxr_qr_solve_r(0, 5, Q, 5, x);
    for (i = 0; i < 12; i++) b[i] -= cvxr_dot_f64(5, A + i * 5, x);
    for (j = 0; j < 5; j++) {
        double sum = 0;
        for (i = 0; i < 12; i++) sum += A[i * 5 + j] * b[i];
        CHECK_NEAR(sum, 0, 1e-13);
    }
    for (j = 0; j < 5; j++)
        for (turn[j] = 0, i = 0; i <= j; i++) turn[j] += Q[i * 5 + j] * x[i];
    cvxr_qr_solve_r(1, 5, Q, 5, turn);
    CHECK_NEAR(s05_distance(0, 1, 5, turn, 0, x, 0), 0, 1e-13);
    memcpy(R, A, sizeof R); /* columns of R: five points in six dimensions */
    cvxr_qr(6, 5, R, 5, tau);
    memset(g, 0, sizeof g), g[5] = 1;
    cvxr_qr_apply_q(6, 5, R, 5, tau, g);
    for (j = 0; j < 5; j++) {
        double sum = 0;
        for (i = 0; i < 6; i++) sum += A[i * 5 + j] * g[i];
        CHECK_NEAR(sum, 0, 1e-14);
    }
    CHECK_NEAR(cvxr_norm2_f64(6, g), 1, 1e-14);
    s05_close(&room);
}

/* A V = V diag(w), V^T V = I, w ascending; A has entries of size 1 times scale. */
static void s05_check_eigh(s05_room *room, size_t n, const double *A, double scale) {
    double *V = s05_doubles(room, n * (n + 1)), *w = s05_doubles(room, n),
           *work = s05_doubles(room, 2 * n), *values = s05_doubles(room, 2 * n);
    double tolerance = 32 * (double)(n + 1) * DBL_EPSILON, worst = 0, skew = 0;
    size_t i, j, p;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) V[i * (n + 1) + j] = j <= i ? A[i * n + j] * scale : s05_nan();
    CHECK(cvxr_eigh(n, V, n + 1, w, work));
    for (i = 0; i + 1 < n; i++) CHECK(w[i] <= w[i + 1]);
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) {
            double sum = 0, inner = i == j ? -1 : 0;
            for (p = 0; p < n; p++) {
                sum += A[(i > p ? i * n + p : p * n + i)] * V[p * (n + 1) + j];
                inner += V[p * (n + 1) + i] * V[p * (n + 1) + j];
            }
            worst = cvxr_max(worst, fabs(sum - w[j] / scale * V[i * (n + 1) + j]));
            skew = cvxr_max(skew, fabs(inner));
        }
    CHECK_NEAR(worst, 0, tolerance * (double)n);
    CHECK_NEAR(skew, 0, tolerance);
    for (i = 0; i < n; i++) /* the values alone are the same numbers */
        for (j = 0; j < n; j++) V[i * (n + 1) + j] = j <= i ? A[i * n + j] * scale : s05_nan();
    CHECK(cvxr_eigh_rows(0, n, V, n + 1, work, values));
    for (i = 0; i < n; i++) CHECK(work[i] == w[i]);
    room->count -= 4;
    for (i = 0; i < 4; i++) {
        size_t at = (size_t)room->count + i;
        cvxr_release(&room->mem, room->held[at], room->bytes[at], 1);
    }
}

TEST(symmetric_eigenvectors_are_orthogonal_with_small_residuals) {
    size_t n, i, j;
    double *A;
    s05_room room;
    s05_open(&room, 1, 0);
    A = s05_doubles(&room, 60 * 60);
    for (n = 0; n <= 60; n = n < 6 ? n + 1 : n * 2 - 1) {
        s05_normals(&room, n * n, A);
        s05_check_eigh(&room, n, A, 1);
        s05_check_eigh(&room, n, A, 1e-300);
        s05_check_eigh(&room, n, A, 1e300);
        for (i = 0; i < n * n; i++) A[i] = 1; /* rank one */
        s05_check_eigh(&room, n, A, 1);
        for (i = 0; i < n * n; i++) A[i] = 0; /* nothing */
        s05_check_eigh(&room, n, A, 1);
        for (i = 0; i < n; i++) /* graded both ways */
            for (j = 0; j < n; j++)
                A[i * n + j] = ldexp(1 + (double)(i == j), -(int)(i + j) * 3);
        s05_check_eigh(&room, n, A, 1);
        for (i = 0; i < n; i++)
            for (j = 0; j < n; j++)
                A[i * n + j] = ldexp(1 + (double)(i == j), -(int)(2 * n - i - j) * 3);
        s05_check_eigh(&room, n, A, 1);
        for (i = 0; i < n; i++) /* pairs of equal values */
            for (j = 0; j < n; j++) A[i * n + j] = i + j + 1 == n ? 1 : 0;
        s05_check_eigh(&room, n, A, 1);
    }
    s05_close(&room);
}

TEST(eigenvalues_of_a_path_are_the_known_cosines) {
    size_t n = 30, i;
    double A[30 * 30], w[30], work[60];
    memset(A, 0, sizeof A);
    for (i = 0; i + 1 < n; i++) A[(i + 1) * n + i] = 1;
    CHECK(cvxr_eigh(n, A, n, w, work));
    for (i = 0; i < n; i++)
        CHECK_NEAR(w[i], -2 * cos((double)(i + 1) * 3.14159265358979324 / 31), 1e-14 * 30);
    A[5 * n + 2] = s05_nan();
    CHECK(!cvxr_eigh(n, A, n, w, work));
}

static void s05_check_svd(s05_room *room, size_t m, size_t n, size_t lda, const double *A,
                          size_t rank, double scale) {
    size_t k = m < n ? m : n, i, j, p;
    double s[20], U[400], V[400], work[800], worst = 0, skew = 0;
    (void)room;
    CHECK(cvxr_svd(m, n, A, lda, s, U, V, work));
    CHECK(cvxr_rank(m, n, s) == rank);
    for (i = 0; i + 1 < k; i++) CHECK(s[i] >= s[i + 1]);
    for (i = 0; i < m; i++)
        for (j = 0; j < n; j++) {
            double sum = -A[i * lda + j] / scale;
            for (p = 0; p < k; p++) sum += U[i * k + p] * (s[p] / scale) * V[j * k + p];
            worst = cvxr_max(worst, fabs(sum));
        }
    for (i = 0; i < rank; i++)
        for (j = 0; j < rank; j++) {
            double u = i == j ? -1 : 0, v = u;
            for (p = 0; p < m; p++) u += U[p * k + i] * U[p * k + j];
            for (p = 0; p < n; p++) v += V[p * k + i] * V[p * k + j];
            skew = cvxr_max(skew, cvxr_max(fabs(u), fabs(v)));
        }
    CHECK_NEAR(worst, 0, 1e-13);
    CHECK_NEAR(skew, 0, 1e-13);
}

TEST(singular_values_and_vectors_reproduce_the_matrix) {
    static const size_t shapes[][2] = { { 1, 1 },  { 6, 1 },  { 1, 6 }, { 9, 9 },
                                        { 19, 8 }, { 8, 19 }, { 0, 4 } };
    static const double scales[] = { 1, 1e-250, 1e250 };
    size_t at, i, j;
    s05_room room;
    s05_open(&room, 1, 0);
    for (at = 0; at < 21; at++) {
        size_t m = shapes[at % 7][0], n = shapes[at % 7][1], k = m < n ? m : n;
        double A[20 * 21];
        s05_normals(&room, m * (n + 1), A);
        for (i = 0; i < m * (n + 1); i++) A[i] *= scales[at / 7];
        s05_check_svd(&room, m, n, n + 1, A, k, scales[at / 7]);
        for (i = 0; i < m; i++) /* rank two */
            for (j = 0; j <= n; j++)
                A[i * (n + 1) + j] = scales[at / 7] *
                                     ((double)(i + 1) + (i % 2 ? 1 : -1) * (double)j);
        if (k > 1) s05_check_svd(&room, m, n, n + 1, A, 2, scales[at / 7]);
        memset(A, 0, sizeof A);
        s05_check_svd(&room, m, n, n + 1, A, 0, 1);
    }
    s05_close(&room);
}

SUITE(s05_dense) {
    RUN(product_equals_plain_loops_at_odd_sizes);
    RUN(portable_product_equals_plain_loops_at_odd_sizes);
    RUN(avx2_product_equals_plain_loops_at_odd_sizes);
    RUN(avx512_product_equals_plain_loops_at_odd_sizes);
    RUN(product_with_beta_zero_does_not_read_the_result);
    RUN(nan_in_a_factor_reaches_the_product);
    RUN(symmetric_product_fills_the_lower_triangle_only);
    RUN(matrix_times_vector_equals_plain_loops);
    RUN(float32_operations_equal_float64_ones_on_small_integers);
    RUN(float32_cholesky_solves_to_its_precision);
    RUN(cholesky_factor_times_its_transpose_is_the_matrix);
    RUN(cholesky_names_the_first_bad_pivot);
    RUN(triangular_solves_undo_their_products);
    RUN(last_blocks_of_factors_and_solves_by_every_instruction_set);
    RUN(part_of_a_product_has_the_bits_of_the_whole);
    RUN(cholesky_solve_of_one_vector_has_a_small_residual);
    RUN(products_are_the_same_bits_for_any_number_of_threads);
    RUN(hooked_table_gives_the_built_in_results);
#ifdef CVXRELU_CBLAS
    RUN(hooked_cblas_gives_the_built_in_results);
#endif
    RUN(dot_and_axpy_equal_plain_loops_at_every_length);
    RUN(norm_survives_huge_and_tiny_entries);
    RUN(work_space_grows_with_the_threads);
    RUN(qr_reproduces_the_matrix_with_an_orthogonal_factor);
    RUN(qr_solves_least_squares_and_finds_the_normal_of_rows);
    RUN(symmetric_eigenvectors_are_orthogonal_with_small_residuals);
    RUN(eigenvalues_of_a_path_are_the_known_cosines);
    RUN(singular_values_and_vectors_reproduce_the_matrix);
}
