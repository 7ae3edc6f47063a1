/* Tests of S08 VECTORS AND MODEL OPERATOR. Included by test_main.c. The products are computed
   pattern by pattern with plain loops in float64, next to the sums of their absolute values,
   which give the tolerances. Inputs are float32 numbers: one truth serves both types.       */

enum { S08_N = 300, S08_D = 70, S08_P = 300, S08_WORDS = 5, S08_WIDE = 80 };

static double s08_x[S08_N * S08_D], s08_r[S08_N], s08_u[S08_P * S08_D];
static uint64_t s08_bits[S08_P * S08_WORDS];
static size_t s08_order[S08_P];                  /* a permutation of the patterns             */
static double s08_ahead[S08_P * S08_N], s08_ahead_size[S08_P * S08_N];   /* D_p X u_p, P x n  */
static double s08_back[S08_P * S08_D], s08_back_size[S08_P * S08_D];     /* X^T D_p r, P x d  */

static const size_t s08_rows[8] = { 1, 31, 32, 33, 64, 65, 200, 300 };
static const size_t s08_columns[7] = { 1, 3, 8, 9, 17, 40, 70 };
static const size_t s08_counts[8] = { 0, 1, 4, 5, 31, 33, 70, 300 };

#ifdef CVXRELU_NO_FLOAT32
enum { S08_TYPES = 1 };
static const cvxr_space *const s08_spaces[1] = { &cvxr_space_f64 };
#else
enum { S08_TYPES = 2 };
static const cvxr_space *const s08_spaces[2] = { &cvxr_space_f64, &cvxr_space_f32 };
#endif

static double s08_epsilon(const cvxr_space *space) {
    return space->size == sizeof(double) ? DBL_EPSILON : (double)FLT_EPSILON;
}

static size_t s08_bit(const uint64_t *mask, size_t i) {
    return (size_t)(mask[i / 64] >> (i % 64) & 1);
}

/* Patterns with no row, with every row, sparse ones and half full ones. */
static void s08_fill_bits(cvxrelu_random *random, size_t n) {
    size_t p, i, words = (n + 63) / 64;
    memset(s08_bits, 0, sizeof s08_bits);
    for (p = 0; p < S08_P; p++)
        for (i = 0; i < n; i++) {
            uint64_t bit = cvxrelu_random_next(random) & 1;
            if (p % 7 == 2) bit &= cvxrelu_random_next(random) >> 9 & 1;
            if (p % 7 == 3) bit = 0;
            if (p % 7 == 5) bit = 1;
            s08_bits[p * words + i / 64] |= bit << (i % 64);
        }
}

static void s08_fill(size_t n, size_t d) {
    cvxrelu_random random;
    size_t i;
    cvxrelu_random_init(&random, 100 * n + d);
    for (i = 0; i < n * d; i++) s08_x[i] = (double)(float)cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++) s08_r[i] = (double)(float)cvxrelu_random_normal(&random);
    for (i = 0; i < S08_P * d; i++) s08_u[i] = (double)(float)cvxrelu_random_normal(&random);
    for (i = 0; i < S08_P; i++) s08_order[i] = i;
    for (i = S08_P; i > 1; i--) {
        size_t j = (size_t)cvxrelu_random_below(&random, i), swap = s08_order[j];
        s08_order[j] = s08_order[i - 1];
        s08_order[i - 1] = swap;
    }
    s08_fill_bits(&random, n);
}

/* The slow obvious formulas. */
static void s08_truth(size_t n, size_t d) {
    size_t p, i, j, words = (n + 63) / 64;
    memset(s08_back, 0, sizeof s08_back);
    memset(s08_back_size, 0, sizeof s08_back_size);
    for (p = 0; p < S08_P; p++)
        for (i = 0; i < n; i++) {
            double sum = 0, size = 0;
            const size_t on = s08_bit(s08_bits + p * words, i);
            for (j = 0; on && j < d; j++) {
                double x = s08_x[i * d + j], u = s08_u[p * d + j];
                sum += x * u;
                size += fabs(x * u);
                s08_back[p * d + j] += x * s08_r[i];
                s08_back_size[p * d + j] += fabs(x * s08_r[i]);
            }
            s08_ahead[p * n + i] = sum;
            s08_ahead_size[p * n + i] = size;
        }
}

/* An operator over s08_x and s08_bits in one element type. Work and results start as NaN. */
typedef struct s08_case {
    cvxr_mem mem;
    cvxr_op op;
    const cvxr_space *space;
    void *X, *U, *r, *out, *G;
    uint32_t *row_words;
    double *got;
} s08_case;

static void s08_open(s08_case *s, const cvxr_space *space, size_t n, size_t d, int threads) {
    const size_t padded = space->size == sizeof(double) ? cvxr_pad(d) : (d + 15) / 16 * 16;
    size_t i;
    memset(s, 0, sizeof *s);
    cvxr_mem_init(&s->mem, NULL, 0);
    s->space = space;
    s->X = cvxr_alloc_zero(&s->mem, S08_N * S08_WIDE, sizeof(double));
    s->U = cvxr_alloc(&s->mem, S08_P * S08_WIDE, sizeof(double));
    s->r = cvxr_alloc(&s->mem, S08_N, sizeof(double));
    s->out = cvxr_alloc(&s->mem, S08_P * S08_WIDE, sizeof(double));
    s->got = (double *)cvxr_alloc(&s->mem, S08_P * S08_WIDE, sizeof(double));
    s->row_words = (uint32_t *)cvxr_alloc(&s->mem, S08_N * S08_P / 16, sizeof(uint32_t));
    s->op.work = (unsigned char *)cvxr_alloc(&s->mem, (size_t)threads, cvxr_op_slice());
    s->op.n = n, s->op.d = d, s->op.dp = padded;
    s->op.patterns = S08_P, s->op.words = (n + 63) / 64;
    s->op.X = s->X, s->op.bits = s08_bits;
    s->op.team.threads = threads;
    memset(s->op.work, 0xff, (size_t)threads * cvxr_op_slice());
    for (i = 0; i < n; i++)
        space->from_f64(d, s08_x + i * d, (unsigned char *)s->X + i * padded * space->size);
    space->from_f64(n, s08_r, s->r);
}

static void s08_close(s08_case *s) {
    cvxr_release(&s->mem, s->op.work, (size_t)s->op.team.threads, cvxr_op_slice());
    cvxr_release(&s->mem, s->row_words, S08_N * S08_P / 16, sizeof(uint32_t));
    cvxr_release(&s->mem, s->got, S08_P * S08_WIDE, sizeof(double));
    cvxr_release(&s->mem, s->out, S08_P * S08_WIDE, sizeof(double));
    cvxr_release(&s->mem, s->r, S08_N, sizeof(double));
    cvxr_release(&s->mem, s->U, S08_P * S08_WIDE, sizeof(double));
    cvxr_release(&s->mem, s->X, S08_N * S08_WIDE, sizeof(double));
    CHECK(s->mem.now == 0);
}

/* Weights of the selected patterns, packed or in place; all other rows are NaN. */
static void s08_load(s08_case *s, const cvxr_select *select, int spread) {
    const size_t d = s->op.d, row = s->op.dp * s->space->size;
    size_t j;
    memset(s->U, 0xff, S08_P * row);
    for (j = 0; j < select->count; j++) {
        size_t p = select->idx ? select->idx[j] : j;
        unsigned char *to = (unsigned char *)s->U + (spread ? p : j) * row;
        memset(to, 0, row);
        s->space->from_f64(d, s08_u + p * d, to);
    }
}

static int s08_off(double got, double want, double tolerance) {
    return !runner_finite(got) || fabs(got - want) > tolerance;
}

/* Wrong entries of one forward. (count + d + 8) roundings a side of sums of this size. */
static size_t s08_wrong_forward(s08_case *s, const cvxr_select *select, int spread) {
    const size_t n = s->op.n;
    const double by = 2 * (double)(select->count + s->op.d + 8) * s08_epsilon(s->space);
    size_t i, j, wrong = 0;
    s08_load(s, select, spread);
    memset(s->out, 0xff, n * s->space->size);
    s->space->forward(&s->op, select, s->U, spread, s->out);
    s->space->to_f64(n, s->out, s->got);
    for (i = 0; i < n; i++) {
        double want = 0, size = 0;
        for (j = 0; j < select->count; j++) {
            size_t p = select->idx ? select->idx[j] : j;
            want += s08_ahead[p * n + i];
            size += s08_ahead_size[p * n + i];
        }
        wrong += (size_t)s08_off(s->got[i], want, by * size);
    }
    return wrong;
}

/* Wrong entries of one gradient, padding included. (n + 8) roundings a side. */
static size_t s08_wrong_gradient(s08_case *s, const cvxr_select *select) {
    const size_t d = s->op.d, dp = s->op.dp;
    const double by = 2 * (double)(s->op.n + 8) * s08_epsilon(s->space);
    size_t i, j, wrong = 0;
    memset(s->out, 0xff, S08_P * dp * s->space->size);
    s->space->gradient(&s->op, select, s->r, s->out);
    s->space->to_f64(select->count * dp, s->out, s->got);
    for (i = 0; i < select->count; i++) {
        size_t p = select->idx ? select->idx[i] : i;
        for (j = 0; j < d; j++)
            wrong += (size_t)s08_off(s->got[i * dp + j], s08_back[p * d + j],
                                     by * s08_back_size[p * d + j]);
        for (; j < dp; j++) wrong += s->got[i * dp + j] != 0;
    }
    return wrong;
}

/* Masks by data row against the bits they come from. */
static size_t s08_wrong_rows(s08_case *s, cvxr_select *select) {
    const size_t n = s->op.n, groups = (select->count + 31) / 32;
    size_t g, i, b, wrong = 0;
    memset(s->row_words, 0xff, groups * n * sizeof(uint32_t));
    cvxr_select_rows(&s->op, select, s->row_words);
    wrong += select->row_words != s->row_words;
    for (g = 0; g < groups; g++)
        for (i = 0; i < n; i++)
            for (b = 0; b < 32; b++) {
                const size_t at = 32 * g + b, p = select->idx ? s08_order[at % S08_P] : at;
                size_t want = at < select->count ? s08_bit(s08_bits + p * s->op.words, i) : 0;
                wrong += (s->row_words[g * n + i] >> b & 1) != want;
            }
    return wrong;
}

static size_t s08_check_forward(s08_case *s, cvxr_select *select) {
    size_t wrong = s08_wrong_forward(s, select, 0) + s08_wrong_forward(s, select, 1);
    cvxr_select_rows(&s->op, select, s->row_words);
    return wrong + s08_wrong_forward(s, select, 0) + s08_wrong_forward(s, select, 1);
}

static size_t s08_check_gradient(s08_case *s, cvxr_select *select) {
    return s08_wrong_gradient(s, select);
}

static size_t s08_check_rows(s08_case *s, cvxr_select *select) {
    return s->op.isa || s->space != &cvxr_space_f64 ? 0 : s08_wrong_rows(s, select);
}

/* Every instruction set of the machine, every count, with and without an index list. */
static size_t s08_every_count(s08_case *s, size_t (*check)(s08_case *s, cvxr_select *select)) {
    const int top = cvxr_isa(0);
    size_t k, wrong = 0;
    for (s->op.isa = 0; s->op.isa <= top; s->op.isa++)
        for (k = 0; k < 16; k++) {
            cvxr_select select;
            memset(&select, 0, sizeof select);
            select.idx = k % 2 ? s08_order : NULL;
            select.count = s08_counts[k / 2];
            wrong += check(s, &select);
        }
    return wrong;
}

static void s08_every_shape(size_t (*check)(s08_case *s, cvxr_select *select)) {
    size_t a, b, type;
    for (a = 0; a < 8; a++)
        for (b = 0; b < 7; b++) {
            s08_fill(s08_rows[a], s08_columns[b]);
            s08_truth(s08_rows[a], s08_columns[b]);
            for (type = 0; type < S08_TYPES; type++) {
                s08_case s;
                s08_open(&s, s08_spaces[type], s08_rows[a], s08_columns[b], 1);
                CHECK(s08_every_count(&s, check) == 0);
                s08_close(&s);
            }
        }
}

TEST(forward_equals_plain_loops) { s08_every_shape(s08_check_forward); }
TEST(gradient_equals_plain_loops) { s08_every_shape(s08_check_gradient); }
TEST(row_words_hold_the_masks_by_data_row) { s08_every_shape(s08_check_rows); }

TEST(gradient_without_coefficients_sums_the_rows) {
    cvxr_select select;
    s08_case s;
    size_t i;
    s08_fill(65, 17);
    for (i = 0; i < 65; i++) s08_r[i] = 1;
    s08_truth(65, 17);
    memset(&select, 0, sizeof select);
    select.count = 33;
    s08_open(&s, &cvxr_space_f64, 65, 17, 1);
    s.op.isa = cvxr_isa(0);
    memset(s.r, 0xff, 65 * sizeof(double));
    cvxr_gradient_f64(&s.op, &select, NULL, (double *)s.out);
    for (i = 0; i < 33 * 17; i++)      /* 2 (n + 8) roundings */
        CHECK_NEAR(((double *)s.out)[i / 17 * 24 + i % 17], s08_back[i],
                   2 * 73 * DBL_EPSILON * s08_back_size[i]);
    s08_close(&s);
}

/* Newton's pieces X^T D_q D_p X come from this: only rows that a second mask has too. */
TEST(gradient_block_takes_only_rows_of_a_second_mask) {
    const size_t n = 200, d = 9, dp = 16, q = 8;
    cvxr_job_f64 job;
    cvxr_slice_f64 part;
    cvxr_select select;
    s08_case s;
    size_t i, p, j;
    s08_fill(n, d);
    s08_open(&s, &cvxr_space_f64, n, d, 1);
    part = cvxr_op_part_f64(&s.op, 0);
    memset(&select, 0, sizeof select);
    select.count = 70;
    memset(&job, 0, sizeof job);
    job.op = &s.op, job.select = &select, job.also = s08_bits + q * s.op.words;
    job.X = (const double *)s.X, job.r = (const double *)s.r, job.out = (double *)s.out;
    job.ldx = job.ldo = job.width = dp;
    for (p = 0; p < select.count; p += CVXR_BLOCK)
        cvxr_gradient_block_f64(&job, &part, p, cvxr_min_z(CVXR_BLOCK, select.count - p), 0,
                                dp);
    for (p = 0; p < select.count; p++)
        for (j = 0; j < d; j++) {
            double want = 0, size = 0;
            for (i = 0; i < n; i++)
                if (s08_bit(s08_bits + p * s.op.words, i) && s08_bit(job.also, i)) {
                    want += s08_x[i * d + j] * s08_r[i];
                    size += fabs(s08_x[i * d + j] * s08_r[i]);
                }
            CHECK_NEAR(job.out[p * dp + j], want, 2 * (double)(n + 8) * DBL_EPSILON * size);
        }
    s08_close(&s);
}

static double s08_M[S08_N * 320 + 8], s08_first[S08_N * 320 + 8];

/* On a cache line. */
static double *s08_aligned(double *x) {
    return x + (CVXR_ALIGN - (size_t)((uintptr_t)x % CVXR_ALIGN)) % CVXR_ALIGN / sizeof(double);
}

/* Wrong entries of the lower triangle; the columns past the padded n must not be touched. */
static size_t s08_wrong_gram(s08_case *s, const cvxr_select *select, size_t ldm) {
    const size_t n = s->op.n, words = s->op.words;
    double *M = s08_aligned(s08_M);
    size_t i, l, p, wrong = 0;
    memset(s08_M, 0xff, sizeof s08_M);
    cvxr_gram_masks(&s->op, select, s08_u, M, ldm);
    for (i = 0; i < n; i++) {
        for (l = 0; l <= i; l++) {
            double want = 0, size = 0;
            for (p = 0; p < select->count; p++) {
                const uint64_t *mask = s08_bits + (select->idx ? select->idx[p] : p) * words;
                if (!s08_bit(mask, i) || !s08_bit(mask, l)) continue;
                want += s08_u[p];
                size += fabs(s08_u[p]);
            }
            wrong += (size_t)s08_off(M[i * ldm + l], want,
                                     2 * (double)(select->count + 8) * DBL_EPSILON * size);
        }
        for (l = cvxr_pad(n); l < ldm; l++) wrong += (size_t)runner_finite(M[i * ldm + l]);
    }
    return wrong;
}

TEST(gram_of_masks_equals_plain_loops) {
    size_t a, k;
    for (a = 0; a < 8; a++)
        for (k = 0; k < 8; k++) {
            s08_case s;
            cvxr_select select;
            if (s08_rows[a] > 64 && k != 1 && k != 6) continue;      /* n^2 count is slow */
            s08_fill(s08_rows[a], 1);
            s08_open(&s, &cvxr_space_f64, s08_rows[a], 1, 1);
            memset(&select, 0, sizeof select);
            select.idx = k % 2 ? s08_order : NULL;
            select.count = s08_counts[k];
            cvxr_select_rows(&s.op, &select, s.row_words);
            s.op.isa = (int)((a + k) % (size_t)(cvxr_isa(0) + 1));
            CHECK(s08_wrong_gram(&s, &select, cvxr_pad(s08_rows[a]) + 8) == 0);
            s08_close(&s);
        }
}

/* Runs the tasks last to first and remembers how many there were. */
static void s08_reverse(void *context, size_t count, void (*body)(void *arg, size_t i),
                        void *arg) {
    *(size_t *)context = count;
    while (count) body(arg, --count);
}

/* Gradient, forward and forward from row words, one after the other, into `to`; returns the
   fewest tasks that one of them was cut into. */
static size_t s08_run_all(s08_case *s, size_t count, size_t *tasks, unsigned char *to) {
    const size_t back = count * s->op.dp * s->space->size, ahead = s->op.n * s->space->size;
    cvxr_select select;
    size_t least;
    memset(&select, 0, sizeof select);
    select.idx = s08_order, select.count = count;
    s08_load(s, &select, 1);
    *tasks = 1;
    s->space->gradient(&s->op, &select, s->r, s->out);
    memcpy(to, s->out, back);
    least = *tasks;
    s->space->forward(&s->op, &select, s->U, 1, s->out);
    memcpy(to + back, s->out, ahead);
    least = cvxr_min_z(least, *tasks);
    cvxr_select_rows(&s->op, &select, s->row_words);
    s->space->forward(&s->op, &select, s->U, 1, s->out);
    memcpy(to + back + ahead, s->out, ahead);
    CHECK(memcmp(to + back, to + back + ahead, ahead) == 0);
    return least;
}

/* Slices of the work space that were written, counted by their first byte: a task its own. */
static size_t s08_slices_used(const s08_case *s) {
    size_t i, used = 0;
    for (i = 0; i < (size_t)s->op.team.threads; i++)
        used += s->op.work[i * cvxr_op_slice()] != 0xff;
    return used;
}

TEST(results_are_the_same_bits_for_any_number_of_threads) {
    unsigned char *first = (unsigned char *)s08_first, *again = (unsigned char *)s08_M;
    size_t type, tasks, k;
    int threads;
    s08_fill(300, 70);
    for (type = 0; type < S08_TYPES; type++)
        for (k = 0; k < 3; k++)
            for (threads = 1; threads <= 5; threads++) {
                static const size_t counts[3] = { 300, 299, 131 };
                const size_t bytes = (counts[k] * 72 + 600) * s08_spaces[type]->size;
                s08_case s;
                s08_open(&s, s08_spaces[type], 300, 70, threads);
                s.op.isa = cvxr_isa(0);
                s.op.team.hook.parallel_for = s08_reverse;
                s.op.team.hook.context = &tasks;
                if (threads == 1) s08_run_all(&s, counts[k], &tasks, first);
                else {
                    size_t least = s08_run_all(&s, counts[k], &tasks, again);
                    CHECK(least > 1 && least <= (size_t)threads);
                    CHECK(s08_slices_used(&s) >= least);
                    CHECK(memcmp(first, again, bytes) == 0);
                }
                s08_close(&s);
            }
}

TEST(gram_is_the_same_bits_for_any_number_of_threads) {
    const size_t n = 300, ldm = 304;
    double *first = s08_aligned(s08_first), *M = s08_aligned(s08_M);
    size_t i, tasks;
    int threads;
    s08_fill(n, 1);
    for (threads = 1; threads <= 5; threads++) {
        s08_case s;
        cvxr_select select;
        s08_open(&s, &cvxr_space_f64, n, 1, threads);
        s.op.isa = cvxr_isa(0);
        s.op.team.hook.parallel_for = s08_reverse;
        s.op.team.hook.context = &tasks;
        memset(&select, 0, sizeof select);
        select.count = 70;
        cvxr_select_rows(&s.op, &select, s.row_words);
        tasks = 1;
        cvxr_gram_masks(&s.op, &select, s08_u, threads == 1 ? first : M, ldm);
        CHECK(tasks == (size_t)threads && s08_slices_used(&s) == tasks);
        for (i = 0; threads > 1 && i < n; i++)
            CHECK(memcmp(first + i * ldm, M + i * ldm, (i + 1) * sizeof(double)) == 0);
        s08_close(&s);
    }
}

TEST(work_is_counted_in_passes_and_operations) {
    cvxr_select select;
    s08_case s;
    s08_fill(33, 9);
    memset(&select, 0, sizeof select);
    s08_open(&s, &cvxr_space_f64, 33, 9, 1);
    select.count = 75;
    s08_load(&s, &select, 0);
    cvxr_forward_f64(&s.op, &select, (double *)s.U, 0, (double *)s.out);
    CHECK(s.op.passes == 0.25 && s.op.flops == 2.0 * 33 * 9 * 75);
    cvxr_gradient_f64(&s.op, &select, (double *)s.r, (double *)s.out);
    CHECK(s.op.passes == 0.5 && s.op.flops == 4.0 * 33 * 9 * 75);
    select.count = 0;
    cvxr_gradient_f64(&s.op, &select, (double *)s.r, (double *)s.out);
    cvxr_forward_f64(&s.op, &select, (double *)s.U, 0, (double *)s.out);
    CHECK(s.op.passes == 0.5 && s.op.flops == 4.0 * 33 * 9 * 75);
    s08_close(&s);
}

TEST(portable_turns_the_instruction_sets_off) {
    CHECK(cvxr_isa(1) == 0);
    CHECK(cvxr_isa(0) >= 0 && cvxr_isa(0) <= 2);
}

TEST(eight_by_eight_bits_are_transposed) {
    cvxrelu_random random;
    size_t trial, r, c;
    cvxrelu_random_init(&random, 8);
    for (trial = 0; trial < 100; trial++) {
        uint64_t x = trial < 64 ? (uint64_t)1 << trial : cvxrelu_random_next(&random);
        uint64_t y = cvxr_transpose8(x);
        for (r = 0; r < 8; r++)
            for (c = 0; c < 8; c++) CHECK((y >> (8 * c + r) & 1) == (x >> (8 * r + c) & 1));
    }
}

TEST(axpby_is_elementwise_and_ignores_y_when_b_is_zero) {
    static const size_t sizes[5] = { 0, 1, 3, 8, 300 };
    size_t type, k, i;
    s08_fill(300, 1);
    for (type = 0; type < S08_TYPES; type++)
        for (k = 0; k < 10; k++) {
            const double b = k % 2 ? 0 : 0.75, *x = s08_x, *y = s08_r;
            double by = 4 * s08_epsilon(s08_spaces[type]);
            s08_case s;
            s08_open(&s, s08_spaces[type], 300, 1, 1);
            s.space->from_f64(300, x, s.U);
            if (b == 0) memset(s.r, 0xff, 300 * s.space->size);
            s.space->axpby(sizes[k / 2], -1.5, s.U, b, s.r);
            s.space->to_f64(300, s.r, s.got);
            for (i = 0; i < sizes[k / 2]; i++)       /* three roundings */
                CHECK_NEAR(s.got[i], -1.5 * x[i] + b * y[i],
                           by * (fabs(1.5 * x[i]) + fabs(b * y[i])));
            for (; b != 0 && i < 300; i++) CHECK(s.got[i] == y[i]);
            s08_close(&s);
        }
}

TEST(dot_of_differences_is_taken_in_float64) {
    static const size_t sizes[6] = { 0, 1, 3, 4, 5, 299 };
    size_t type, k, i;
    s08_fill(300, 4);
    for (type = 0; type < S08_TYPES; type++)
        for (k = 0; k < 24; k++) {
            const size_t n = sizes[k / 4];
            const double *x = s08_x, *y = k & 1 ? s08_x + 300 : NULL, *z = s08_x + 600;
            const double *w = k & 2 ? s08_x + 900 : NULL;
            double want = 0, size = 0;
            s08_case s;
            s08_open(&s, s08_spaces[type], 300, 4, 1);
            s.space->from_f64(300, x, s.U);
            s.space->from_f64(300, z, s.out);
            if (y) s.space->from_f64(300, y, s.r);
            if (w) s.space->from_f64(300, w, s.got);
            for (i = 0; i < n; i++) {
                double term = (x[i] - (y ? y[i] : 0)) * (z[i] - (w ? w[i] : 0));
                want += term;
                size += fabs(term);
            }
            CHECK_NEAR(s.space->dot(n, s.U, y ? s.r : NULL, s.out, w ? s.got : NULL), want,
                       2 * (double)(n + 4) * DBL_EPSILON * size);
            s08_close(&s);
        }
}

TEST(row_is_zero_only_when_every_entry_is) {
    size_t type, j;
    for (type = 0; type < S08_TYPES; type++) {
        const cvxr_space *space = s08_spaces[type];
        double row[9] = { 0, 0, -0.0, 0, 0, 0, 0, 0, 0 }, back[9], wide[9];
        float narrow[9];
        void *typed = type ? (void *)narrow : (void *)wide;
        space->from_f64(9, row, typed);
        CHECK(space->row_is_zero(9, typed) && space->row_is_zero(0, typed));
        for (j = 0; j < 9; j++) {
            row[j] = -1e-30;
            space->from_f64(9, row, typed);
            space->to_f64(9, typed, back);
            CHECK(!space->row_is_zero(9, typed) && space->row_is_zero(j, typed));
            CHECK_NEAR(back[j], -1e-30, 1e-37);          /* float32: 1e-30 * 2^-24 */
            row[j] = 0;
        }
    }
}

enum { S08_TALL = 6209, S08_MANY = 1027 };  /* more than panels and blocks, and no multiple */

/* Gradient of the first `count` of S08_MANY patterns over a tall X of 9 columns, forward from
   bits and from words by row, one after the other into out. */
static void s08_tall_run(s08_case *s, size_t count, void *out) {
    unsigned char *to = (unsigned char *)out;
    const size_t n = s->op.n * s->space->size, back = count * s->op.dp * s->space->size;
    cvxr_select select;
    memset(&select, 0, sizeof select);
    select.count = count;
    memset(to, 0xff, back + 2 * n);
    s->space->gradient(&s->op, &select, s->r, to);
    if (count <= 256) {                /* and from words by row */
        cvxr_select_rows(&s->op, &select, s->row_words);
        s->space->gradient(&s->op, &select, s->r, s->G);
        CHECK(memcmp(s->G, to, back) == 0);
        select.row_words = NULL;
    }
    to += back;
    s->space->forward(&s->op, &select, s->U, 0, to);
    if (count <= 256) cvxr_select_rows(&s->op, &select, s->row_words);
    s->space->forward(&s->op, &select, s->U, 0, to + n);
    CHECK(memcmp(to, to + n, n) == 0);
}

/* Differences to plain loops in float64. */
static size_t s08_tall_wrong(const s08_case *s, size_t count, const double *x, const double *r,
                             const double *u, const void *out, double *got) {
    const size_t n = s->op.n, d = s->op.d, dp = s->op.dp, words = s->op.words;
    const double eps = s08_epsilon(s->space);
    size_t i, j, p, wrong = 0;
    s->space->to_f64(2 * n + count * dp, out, got);
    for (i = 0; i < n; i += 13) {
        double want = 0, size = 0;
        for (p = 0; p < count; p++)
            for (j = 0; j < d && s08_bit(s->op.bits + p * words, i); j++) {
                want += x[i * d + j] * u[p * d + j];
                size += fabs(x[i * d + j] * u[p * d + j]);
            }
        wrong += (size_t)s08_off(got[count * dp + i], want,
                                 2 * (double)(count + d + 8) * eps * size);
    }
    for (p = 0; p < count; p += count < 40 ? 1 : 29)
        for (j = 0; j < dp; j++) {
            double want = 0, size = 0;
            for (i = 0; i < n && j < d; i++)
                if (s08_bit(s->op.bits + p * words, i)) {
                    want += x[i * d + j] * r[i];
                    size += fabs(x[i * d + j] * r[i]);
                }
            wrong += (size_t)s08_off(got[p * dp + j], want,
                                     2 * (double)(n + 8) * eps * size);
        }
    return wrong;
}

typedef struct s08_tall {
    double x[S08_TALL * 9], r[S08_TALL], u[S08_MANY * 9];
    uint64_t bits[S08_MANY * ((S08_TALL + 63) / 64)];
    double first[2 * S08_TALL + S08_MANY * 16 + 8], again[2 * S08_TALL + S08_MANY * 16 + 8];
    double got[2 * S08_TALL + S08_MANY * 16];
} s08_tall;

static void s08_tall_fill(s08_tall *t, size_t n) {
    cvxrelu_random random;
    size_t i, words = (n + 63) / 64;
    cvxrelu_random_init(&random, n);
    for (i = 0; i < n * 9; i++) t->x[i] = (double)(float)cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++) t->r[i] = (double)(float)cvxrelu_random_normal(&random);
    for (i = 0; i < S08_MANY * 9; i++) t->u[i] = (double)(float)cvxrelu_random_normal(&random);
    for (i = 0; i < S08_MANY * words; i++) {
        t->bits[i] = cvxrelu_random_next(&random);
        if (i % words == words - 1 && n % 64) t->bits[i] &= ((uint64_t)1 << n % 64) - 1;
    }
}

/* A case over the tall data; its arrays are the arena's, taken with it. */
static void s08_tall_open(s08_case *s, s08_tall *t, const cvxr_space *space, size_t n) {
    const size_t dp = 16; /* of 9 columns in both types */
    size_t i;
    memset(s, 0, sizeof *s);
    cvxr_mem_init(&s->mem, NULL, 0);
    s->space = space;
    s->X = cvxr_alloc_zero(&s->mem, n * dp, space->size);
    s->U = cvxr_alloc_zero(&s->mem, S08_MANY * dp, space->size);
    s->r = cvxr_alloc(&s->mem, n, space->size);
    s->G = cvxr_alloc(&s->mem, 256 * dp, space->size);
    s->row_words = (uint32_t *)cvxr_alloc(&s->mem, cvxr_select_words(n, 256), 4);
    s->op.work = (unsigned char *)cvxr_alloc(&s->mem, 5, cvxr_op_slice());
    s->op.n = n, s->op.d = 9, s->op.dp = dp, s->op.patterns = S08_MANY;
    s->op.words = (n + 63) / 64, s->op.X = s->X, s->op.bits = t->bits;
    s->op.team.threads = 1;
    for (i = 0; i < n; i++)
        space->from_f64(9, t->x + i * 9, (unsigned char *)s->X + i * dp * space->size);
    for (i = 0; i < S08_MANY; i++)
        space->from_f64(9, t->u + i * 9, (unsigned char *)s->U + i * dp * space->size);
    space->from_f64(n, t->r, s->r);
}

static void s08_tall_close(s08_case *s) {
    const size_t n = s->op.n, dp = s->op.dp, size = s->space->size;
    cvxr_release(&s->mem, s->op.work, 5, cvxr_op_slice());
    cvxr_release(&s->mem, s->row_words, cvxr_select_words(n, 256), 4);
    cvxr_release(&s->mem, s->G, 256 * dp, size);
    cvxr_release(&s->mem, s->r, n, size);
    cvxr_release(&s->mem, s->U, S08_MANY * dp, size);
    cvxr_release(&s->mem, s->X, n * dp, size);
    CHECK(s->mem.now == 0);
}

/* Few patterns fill tables (blocks of rows from 3072 rows on), many take from them (blocks of
   1024), forwards go by panels of 2048 rows. */
TEST(panels_and_blocks_equal_plain_loops_on_any_number_of_threads) {
    static s08_tall t;
    static const size_t rows[4] = { 2048, 2049, 3100, S08_TALL }, counts[6] = {
        1, 33, 200, 224, 225, S08_MANY
    };
    size_t a, k, type, tasks;
    for (a = 0; a < 8; a++) {
        s08_case s;
        type = a % 2;
        if (type >= S08_TYPES) continue;
        s08_tall_fill(&t, rows[a / 2]);
        s08_tall_open(&s, &t, s08_spaces[type], rows[a / 2]);
        s.op.team.hook.parallel_for = s08_reverse;
        s.op.team.hook.context = &tasks;
        for (k = 0; k < 6; k++)
            for (s.op.isa = 0; s.op.isa <= cvxr_isa(0); s.op.isa++) {
                const size_t bytes = (2 * s.op.n + counts[k] * 16) * s.space->size;
                double *first = s08_aligned(t.first), *again = s08_aligned(t.again);
                s.op.team.threads = 1;
                s08_tall_run(&s, counts[k], first);
                CHECK(s08_tall_wrong(&s, counts[k], t.x, t.r, t.u, first, t.got) == 0);
                for (s.op.team.threads = 2; s.op.team.threads <= 5; s.op.team.threads++) {
                    tasks = 0;
                    s08_tall_run(&s, counts[k], again);
                    CHECK(memcmp(first, again, bytes) == 0);
                    CHECK(k < 2 || tasks > 1);
                }
            }
        s08_tall_close(&s);
    }
}

TEST(words_by_row_are_the_same_from_every_kernel) {
#if CVXR_DISPATCH
    uint64_t x[32];
    uint32_t rows[64], other[64];
    cvxrelu_random random;
    size_t trial, i, j;
    if (!__builtin_cpu_supports("avx2")) SKIP("the CPU has no AVX2");
    cvxrelu_random_init(&random, 9);
    for (trial = 0; trial < 100; trial++) {
        for (i = 0; i < 32; i++) x[i] = trial < 64 ? 0 : cvxrelu_random_next(&random);
        if (trial < 64) x[(7 * trial) % 32] = (uint64_t)1 << trial;
        cvxr_transpose_words(x, rows);
        cvxr_transpose_words_avx2(x, other);
        for (i = 0; i < 64; i++)
            for (j = 0; j < 32; j++) CHECK((rows[i] >> j & 1) == (x[j] >> i & 1));
        CHECK(memcmp(rows, other, sizeof rows) == 0);
    }
#else
    SKIP("no kernels beyond plain C");
#endif
}

SUITE(s08_operator) {
    RUN(panels_and_blocks_equal_plain_loops_on_any_number_of_threads);
    RUN(words_by_row_are_the_same_from_every_kernel);
    RUN(forward_equals_plain_loops);
    RUN(gradient_equals_plain_loops);
    RUN(row_words_hold_the_masks_by_data_row);
    RUN(gradient_without_coefficients_sums_the_rows);
    RUN(gradient_block_takes_only_rows_of_a_second_mask);
    RUN(gram_of_masks_equals_plain_loops);
    RUN(results_are_the_same_bits_for_any_number_of_threads);
    RUN(gram_is_the_same_bits_for_any_number_of_threads);
    RUN(work_is_counted_in_passes_and_operations);
    RUN(portable_turns_the_instruction_sets_off);
    RUN(eight_by_eight_bits_are_transposed);
    RUN(axpby_is_elementwise_and_ignores_y_when_b_is_zero);
    RUN(dot_of_differences_is_taken_in_float64);
    RUN(row_is_zero_only_when_every_entry_is);
}
