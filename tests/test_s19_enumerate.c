/* Tests of S19 ENUMERATION. Counts are compared with Cover's formula and, for degenerate data,
   with deletion and restriction in exact integers; patterns with the signs of plain products
   and with those that random gates meet. */

#define S19_ROWS 220
#define S19_COLS 6

static double s19_X[S19_ROWS * S19_COLS];
static double s19_Y[S19_ROWS];

static cvxrelu_problem s19_problem(size_t n, size_t d) {
    cvxrelu_problem p;
    memset(&p, 0, sizeof p);
    p.X.data = s19_X;
    p.X.rows = n;
    p.X.cols = d;
    p.Y.data = s19_Y;
    p.Y.rows = n;
    p.Y.cols = 1;
    p.no_bias = 1;
    p.scale = CVXRELU_SCALE_NONE;
    return p;
}

static void s19_gaussian(size_t n, size_t d, uint64_t seed) {
    cvxrelu_random random;
    size_t i;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < n * d; i++) s19_X[i] = cvxrelu_random_normal(&random);
}

static void s19_grid(size_t n, size_t d, uint64_t levels, uint64_t seed) {
    cvxrelu_random random;
    size_t i;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < n * d; i++)
        s19_X[i] = (double)cvxrelu_random_below(&random, levels) - (double)(levels / 2);
}

/* 2 (C(n-1, 0) + ... + C(n-1, r-1)) by Pascal's triangle. */
static size_t s19_cover(size_t n, size_t r) {
    static size_t pascal[S19_ROWS][8];
    size_t i, k, sum = 0;
    for (i = 0; i < S19_ROWS; i++)
        for (k = 0; k < 8; k++)
            pascal[i][k] = k == 0 ? 1 : i == 0 ? 0 : pascal[i - 1][k - 1] + pascal[i - 1][k];
    for (k = 0; k < r; k++) sum += pascal[n - 1][k];
    return 2 * sum;
}

/* ---- Deletion and restriction: regions(A) = sum over k of regions(A_1 .. A_(k-1) on H_k). */

typedef struct s19_normals {
    int n, d;
    long long x[24][4];
} s19_normals;

static long long s19_gcd(long long a, long long b) {
    if (a < 0) a = -a;
    if (b < 0) b = -b;
    while (b) {
        long long t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* Divides by the common factor, makes the first nonzero entry positive, and adds the normal
   unless it is zero or there already. */
static void s19_enter(s19_normals *s, const long long *x) {
    long long g = 0, y[4];
    int i, j, sign = 0;
    for (j = 0; j < s->d; j++) g = s19_gcd(g, x[j]);
    if (g == 0) return;
    for (j = 0; j < s->d && sign == 0; j++) sign = x[j] > 0 ? 1 : x[j] < 0 ? -1 : 0;
    for (j = 0; j < s->d; j++) y[j] = sign * x[j] / g;
    for (i = 0; i < s->n; i++)
        if (memcmp(s->x[i], y, (size_t)s->d * sizeof *y) == 0) return;
    memcpy(s->x[s->n++], y, (size_t)s->d * sizeof *y);
}

static size_t s19_regions(const s19_normals *s) {
    size_t sum = 1;
    int i, j, k, pivot;
    for (k = 0; k < s->n; k++) {
        s19_normals on;
        on.n = 0;
        on.d = s->d - 1;
        for (pivot = 0; s->x[k][pivot] == 0; pivot++) {}
        for (i = 0; i < k; i++) {
            long long y[4];
            int at = 0;
            for (j = 0; j < s->d; j++)
                if (j != pivot)
                    y[at++] = s->x[k][pivot] * s->x[i][j] - s->x[i][pivot] * s->x[k][j];
            s19_enter(&on, y);
        }
        sum += on.d == 0 ? 1 : s19_regions(&on);
    }
    return sum;
}

/* Regions of the first n rows of the integer matrix s19_X, with a column of ones if asked. */
static size_t s19_exact(size_t n, size_t d, int bias) {
    s19_normals s;
    size_t i, j;
    s.n = 0;
    s.d = (int)d + bias;
    for (i = 0; i < n; i++) {
        long long x[4] = { 1, 1, 1, 1 };
        for (j = 0; j < d; j++) x[j] = (long long)s19_X[i * d + j];
        s19_enter(&s, x);
    }
    return s19_regions(&s);
}

/* ---- Judges. */

static int s19_compare(const void *a, const void *b) {
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;
    size_t w;
    for (w = 0; w < 4; w++)
        if (x[w] != y[w]) return x[w] < y[w] ? -1 : 1;
    return 0;
}

/* Patterns of `out` differ from one another; each is what plain products of its gate say, with
   a margin; none is without an active row that is not zero. */
static void s19_check(const cvxr_data *data, const cvxr_patterns *out) {
    uint64_t *sorted = (uint64_t *)calloc(4 * out->count, sizeof *sorted);
    size_t p, i, j, wrong = 0, empty = 0, equal = 0;
    for (p = 0; p < out->count; p++) {
        const double *g = out->gates + p * out->d;
        size_t active = 0;
        double gg = 0;
        for (j = 0; j < out->d; j++) gg += g[j] * g[j];
        for (i = 0; i < out->n; i++) {
            double z = 0, xx = 0;
            int bit = (int)(out->bits[p * out->words + i / 64] >> (i % 64) & 1);
            for (j = 0; j < out->d; j++) {
                double x = data->X[i * data->dp + j];
                z += x * g[j];
                xx += x * x;
            }
            if (xx > 0 && fabs(z) <= 64 * (double)out->d * DBL_EPSILON * sqrt(xx * gg)) wrong++;
            if (bit != (z >= 0)) wrong++;
            active += xx > 0 && z >= 0;
        }
        empty += active == 0;
        for (j = 0; j < out->words; j++) sorted[4 * p + j] = out->bits[p * out->words + j];
    }
    qsort(sorted, out->count, 4 * sizeof *sorted, s19_compare);
    for (p = 0; p + 1 < out->count; p++)
        equal += s19_compare(sorted + 4 * p, sorted + 4 * p + 4) == 0;
    free(sorted);
    CHECK(wrong == 0);
    CHECK(empty == 0);
    CHECK(equal == 0);
}

/* Enumerates, judges, and counts the cells, the all-zero one included. */
static size_t s19_count(const cvxrelu_problem *p, size_t *patterns) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns out;
    cvxr_enumeration about;
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_mem_init(&mem, NULL, 0);
    about.cells = 0;
    CHECK(cvxr_data_make(&mem, p, &data, message) == CVXRELU_OK);
    if (cvxr_enumerate_about(&mem, &data, 0, &about, &out, message) == CVXRELU_OK) {
        s19_check(&data, &out);
        CHECK(about.thin == 0);
        if (patterns) *patterns = out.count;
    } else printf("     %s\n", message);
    cvxr_patterns_free(&mem, &out);
    cvxr_data_free(&mem, &data);
    CHECK(mem.now == 0);
    return about.cells;
}

/* ---- Tests. */

TEST(random_rows_have_exactly_covers_count) {
    static const struct { size_t n, r; } sizes[] = {
        { 1, 1 }, { 7, 1 }, { 1, 2 }, { 2, 2 }, { 3, 2 }, { 64, 2 }, { 65, 2 }, { 200, 2 },
        { 1, 3 }, { 2, 3 }, { 3, 3 }, { 4, 3 }, { 17, 3 }, { 40, 3 }, { 59, 3 }, { 60, 3 },
        { 3, 4 }, { 5, 4 }, { 20, 4 }, { 2, 5 }, { 5, 5 }, { 6, 5 }, { 12, 5 }, { 8, 6 } };
    size_t i, seed;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (seed = 0; seed < 3; seed++) {
            cvxrelu_problem p = s19_problem(sizes[i].n, sizes[i].r);
            s19_gaussian(sizes[i].n, sizes[i].r, 100 * i + seed);
            CHECK(s19_count(&p, NULL) == s19_cover(sizes[i].n, sizes[i].r));
        }
}

TEST(bias_and_standard_scaling_keep_covers_count) {
    cvxrelu_problem p = s19_problem(60, 2);
    s19_gaussian(60, 2, 5);
    p.no_bias = 0;
    p.scale = CVXRELU_SCALE_STANDARD;
    CHECK(s19_count(&p, NULL) == s19_cover(60, 3));
    p = s19_problem(100, 1);
    p.no_bias = 0;
    p.scale = CVXRELU_SCALE_UNIT;
    CHECK(s19_count(&p, NULL) == s19_cover(100, 2));
}

/* 5 columns that are combinations of 2. */
TEST(low_rank_rows_are_counted_by_their_rank) {
    cvxrelu_problem p = s19_problem(50, 5);
    double mix[10], low[100];
    size_t i, j, k;
    s19_gaussian(50, 2, 8);
    memcpy(low, s19_X, sizeof low);
    s19_gaussian(2, 5, 9);
    memcpy(mix, s19_X, sizeof mix);
    for (i = 0; i < 50; i++)
        for (j = 0; j < 5; j++)
            for (s19_X[i * 5 + j] = 0, k = 0; k < 2; k++)
                s19_X[i * 5 + j] += 1e3 * low[i * 2 + k] * mix[k * 5 + j];
    CHECK(s19_count(&p, NULL) == s19_cover(50, 2));
    p.scale = CVXRELU_SCALE_UNIT;
    CHECK(s19_count(&p, NULL) == s19_cover(50, 2));
}

TEST(integer_grids_have_the_count_of_exact_arithmetic) {
    size_t seed, cells;
    for (seed = 0; seed < 40; seed++) {
        size_t d = 2 + seed % 3, n = 4 + seed % 17;
        cvxrelu_problem p = s19_problem(n, d);
        if (d == 4 && n > 14) n = p.X.rows = p.Y.rows = 14;
        s19_grid(n, d, 2 + seed % 4, seed);
        cells = s19_exact(n, d, 0);
        CHECK(s19_count(&p, NULL) == cells);
        p.scale = CVXRELU_SCALE_UNIT;
        CHECK(s19_count(&p, NULL) == cells);
        if (d == 4) continue;
        p.no_bias = 0;
        p.scale = CVXRELU_SCALE_STANDARD;
        CHECK(s19_count(&p, NULL) == s19_exact(n, d, 1));
    }
}

/* Rows 0.1 k in standard scaling: lines that meet in one point only up to rounding. */
TEST(decimal_grids_are_as_degenerate_as_integers) {
    size_t i, n = 20, d = 2, cells;
    cvxrelu_problem p = s19_problem(n, d);
    s19_grid(n, d, 5, 77);
    cells = s19_exact(n, d, 1);
    for (i = 0; i < n * d; i++) s19_X[i] = 1000.3 + 0.1 * s19_X[i];
    p.no_bias = 0;
    p.scale = CVXRELU_SCALE_STANDARD;
    CHECK(s19_count(&p, NULL) == cells);
}

/* n rows, each also opposite, doubled and beside a zero row: 3 n + 1 rows, n hyperplanes. */
TEST(equal_opposite_and_zero_rows_add_nothing) {
    cvxrelu_problem p = s19_problem(12, 3);
    size_t i, j, n = 12, d = 3, patterns = 0;
    s19_gaussian(n, d, 3);
    for (i = 0; i < n; i++)
        for (j = 0; j < d; j++) {
            s19_X[(n + i) * d + j] = -3 * s19_X[i * d + j];
            s19_X[(2 * n + i) * d + j] = 0.7 * s19_X[i * d + j];
        }
    for (j = 0; j < d; j++) s19_X[3 * n * d + j] = 0;
    p.X.rows = p.Y.rows = 3 * n + 1;
    CHECK(s19_count(&p, &patterns) == s19_cover(n, d));
    CHECK(patterns == s19_cover(n, d)); /* with opposite rows some row is always active */
    p.X.rows = p.Y.rows = 1;
    memset(s19_X, 0, sizeof s19_X);
    s19_X[1] = 2;
    CHECK(s19_count(&p, &patterns) == 2);
    CHECK(patterns == 1);
}

/* No gate drawn at random has a pattern that is not listed. */
TEST(every_pattern_of_a_random_gate_is_listed) {
    const size_t n = 30, d = 3;
    cvxrelu_problem p = s19_problem(n, d);
    cvxrelu_random random;
    cvxrelu_enumeration about;
    double *gates;
    uint64_t *listed;
    size_t t, i, k, missing = 0;
    s19_gaussian(n, d, 21);
    CHECK(cvxrelu_enumerate(&p, NULL, 0, &about, NULL, 0, NULL) == CVXRELU_OK);
    gates = (double *)malloc(about.patterns * d * sizeof(double));
    listed = (uint64_t *)calloc(4 * about.patterns, sizeof *listed);
    CHECK(cvxrelu_enumerate(&p, NULL, 0, &about, gates, about.patterns, NULL) == CVXRELU_OK);
    for (k = 0; k < about.patterns; k++)
        for (i = 0; i < n; i++)
            if (s19_X[i * d] * gates[k * d] + s19_X[i * d + 1] * gates[k * d + 1]
                    + s19_X[i * d + 2] * gates[k * d + 2] >= 0)
                listed[4 * k] |= (uint64_t)1 << i;
    qsort(listed, about.patterns, 4 * sizeof *listed, s19_compare);
    cvxrelu_random_init(&random, 1);
    for (t = 0; t < 20000; t++) {
        double g[3];
        uint64_t bits[4] = { 0, 0, 0, 0 };
        for (i = 0; i < d; i++) g[i] = cvxrelu_random_normal(&random);
        for (i = 0; i < n; i++)
            if (s19_X[i * d] * g[0] + s19_X[i * d + 1] * g[1] + s19_X[i * d + 2] * g[2] >= 0)
                bits[0] |= (uint64_t)1 << i;
        if (bits[0])
            missing += bsearch(bits, listed, about.patterns, sizeof bits, s19_compare) == NULL;
    }
    CHECK(missing == 0);
    free(listed);
    free(gates);
}

TEST(more_cells_than_the_limit_are_refused_in_time) {
    cvxrelu_problem p = s19_problem(100, 6);
    cvxrelu_enumeration about;
    cvxrelu_options o;
    char message[CVXRELU_MESSAGE_SIZE];
    double gate[6];
    s19_gaussian(100, 6, 4);
    CHECK(cvxrelu_enumerate(&p, NULL, 20000, &about, NULL, 0, message) == CVXRELU_ERR_LIMIT);
    CHECK(strstr(message, "20000") != NULL);
    p = s19_problem(10, 2);
    CHECK(cvxrelu_enumerate(&p, NULL, 20, &about, NULL, 0, message) == CVXRELU_OK);
    CHECK(cvxrelu_enumerate(&p, NULL, 19, &about, NULL, 0, message) == CVXRELU_ERR_LIMIT);
    memset(&o, 0, sizeof o);
    o.memory_limit = 20000;
    p = s19_problem(60, 3);
    CHECK(cvxrelu_enumerate(&p, &o, 0, &about, NULL, 0, message) == CVXRELU_ERR_LIMIT);
    p = s19_problem(10, 2);
    CHECK(cvxrelu_enumerate(&p, NULL, 0, &about, gate, 1, message) == CVXRELU_ERR_ARGUMENT);
    CHECK(about.patterns + 1 >= about.cells && about.cells == 20 && about.general == 20);
    CHECK(cvxrelu_enumerate(NULL, NULL, 0, &about, NULL, 0, message) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_enumerate(&p, NULL, 0, NULL, NULL, 0, NULL) == CVXRELU_ERR_ARGUMENT);
    memset(s19_X, 0, sizeof s19_X);
    CHECK(cvxrelu_enumerate(&p, NULL, 0, &about, NULL, 0, message) == CVXRELU_ERR_PATTERNS);
}

typedef struct s19_heap {
    size_t calls, refuse, held;
} s19_heap;

static void *s19_allocate(void *context, size_t size, size_t align) {
    s19_heap *heap = (s19_heap *)context;
    (void)align;
    if (++heap->calls == heap->refuse) return NULL;
    heap->held += size;
    return cvxr_default_allocate(size);
}

static void s19_release(void *context, void *memory, size_t size) {
    ((s19_heap *)context)->held -= size;
    cvxr_default_release(memory);
}

TEST(enumeration_survives_every_refused_allocation) {
    cvxrelu_problem p = s19_problem(20, 3);
    cvxrelu_enumeration about;
    cvxrelu_options o;
    s19_heap heap;
    size_t refuse;
    s19_gaussian(20, 3, 6);
    memset(&o, 0, sizeof o);
    o.allocator.context = &heap;
    o.allocator.allocate = s19_allocate;
    o.allocator.release = s19_release;
    for (refuse = 1; refuse < 1000; refuse++) {
        cvxrelu_result result;
        heap.calls = heap.held = 0;
        heap.refuse = refuse;
        result = cvxrelu_enumerate(&p, &o, 0, &about, NULL, 0, NULL);
        CHECK(heap.held == 0);
        if (result == CVXRELU_OK) break;
        CHECK(result == CVXRELU_ERR_MEMORY);
    }
    CHECK(refuse > 10 && refuse < 1000);
}

SUITE(s19_enumerate) {
    RUN(random_rows_have_exactly_covers_count);
    RUN(bias_and_standard_scaling_keep_covers_count);
    RUN(low_rank_rows_are_counted_by_their_rank);
    RUN(integer_grids_have_the_count_of_exact_arithmetic);
    RUN(decimal_grids_are_as_degenerate_as_integers);
    RUN(equal_opposite_and_zero_rows_add_nothing);
    RUN(every_pattern_of_a_random_gate_is_listed);
    RUN(more_cells_than_the_limit_are_refused_in_time);
    RUN(enumeration_survives_every_refused_allocation);
}
