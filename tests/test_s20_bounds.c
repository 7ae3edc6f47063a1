/* Tests of S20 BOUNDS OVER ALL PATTERNS. Every bound is compared with the function itself,
   summed by plain loops over dense grids and random points. */

#define S20_ROWS 80
#define S20_COLS 8

static double s20_X[S20_ROWS * S20_COLS], s20_theta[S20_ROWS];

/* s theta'(Xu)_+ */
static double s20_f(size_t n, size_t d, double s, const double *u) {
    double sum = 0;
    size_t i, j;
    for (i = 0; i < n; i++) {
        double v = 0;
        for (j = 0; j < d; j++) v += s20_X[i * S20_COLS + j] * u[j];
        if (v > 0) sum += s * s20_theta[i] * v;
    }
    return sum;
}

/* Gaussian rows, or rows of small integers (grid), some zero, some equal; shift moves theta. */
static void s20_make(size_t n, size_t d, int grid, double shift, uint64_t seed) {
    cvxrelu_random random;
    size_t i, j;
    cvxrelu_random_init(&random, seed);
    memset(s20_X, 0, sizeof s20_X);
    for (i = 0; i < n; i++) {
        for (j = 0; j < d; j++)
            s20_X[i * S20_COLS + j] = grid ? (double)cvxrelu_random_below(&random, 5) - 2
                                           : cvxrelu_random_normal(&random);
        s20_theta[i] = cvxrelu_random_normal(&random) + shift;
    }
}

/* The largest value of f on a dense grid of the unit sphere, d = 1, 2 or 3. */
static double s20_grid(size_t n, size_t d, double s, size_t fine) {
    const double pi = 3.14159265358979323846;
    double best = 0, u[3];
    size_t i, j;
    for (i = 0; i < fine; i++) {
        double a = 2 * pi * (double)i / (double)fine;
        u[0] = d == 1 ? (i ? 1.0 : -1.0) : cos(a);
        u[1] = sin(a);
        if (d < 3) {
            best = cvxr_max(best, s20_f(n, d, s, u));
            continue;
        }
        for (j = 0; j <= fine / 2; j++) {
            double b = 2 * pi * (double)j / (double)fine;
            u[0] = cos(a) * sin(b);
            u[1] = sin(a) * sin(b);
            u[2] = cos(b);
            best = cvxr_max(best, s20_f(n, d, s, u));
        }
    }
    return best;
}

/* The largest value at `count` random unit vectors. */
static double s20_sample(size_t n, size_t d, double s, size_t count) {
    cvxrelu_random random;
    double best = 0, u[S20_COLS];
    cvxrelu_random_init(&random, 99);
    for (; count > 0; count--) {
        double norm = 0;
        size_t j;
        for (j = 0; j < d; j++) {
            u[j] = cvxrelu_random_normal(&random);
            norm += u[j] * u[j];
        }
        for (j = 0; j < d; j++) u[j] /= sqrt(norm);
        best = cvxr_max(best, s20_f(n, d, s, u));
    }
    return best;
}

/* How far f can be from its values on the grid: Lipschitz constant times the spacing. */
static double s20_reach(size_t n, size_t d, size_t fine) {
    double sum = 0;
    size_t i, j;
    for (i = 0; i < n; i++) {
        double square = 0;
        for (j = 0; j < d; j++) square += s20_X[i * S20_COLS + j] * s20_X[i * S20_COLS + j];
        sum += fabs(s20_theta[i]) * sqrt(square);
    }
    return sum * 2 * 3.14159265358979323846 / (double)fine;
}

/* Span, weights and scratch of the sign s. */
typedef struct s20_case {
    cvxr_mem mem;
    cvxr_span span;
    cvxr_rank_rows rows;
    double w[S20_ROWS], u[S20_COLS];
} s20_case;

static void s20_open(s20_case *c, size_t n, size_t d, double s) {
    memset(c, 0, sizeof *c);
    cvxr_mem_init(&c->mem, NULL, 0);
    CHECK(cvxr_span_open(&c->span, &c->mem, s20_X, n, d, S20_COLS, NULL, NULL, d));
    c->rows = cvxr_rank_rows_make(&c->span, s20_theta, s, c->w);
}

static void s20_close(s20_case *c) {
    cvxr_span_close(&c->span, &c->mem);
    CHECK(c->mem.now == 0);
}

/* The weighted bound over both signs, or the spectral one (steps 0). */
static double s20_weighted(size_t n, size_t d, int steps) {
    static unsigned char work[1 << 20];
    cvxr_mem mem;
    cvxr_la la;
    double bound = 0;
    int side;
    memset(&la, 0, sizeof la);
    la.team.threads = 1;
    la.work = work + (64 - (size_t)((uintptr_t)work % 64)) % 64;
    CHECK(cvxr_la_work_bytes(1) + 64 <= sizeof work);
    cvxr_mem_init(&mem, NULL, 0);
    for (side = 1; side >= -1; side -= 2)
        bound = cvxr_max(bound, cvxr_weighted_bound(&mem, &la, s20_X, n, d, S20_COLS, s20_theta,
                                                    side, steps));
    CHECK(mem.now == 0);
    return bound;
}

static cvxr_maximum s20_wedges(size_t n, size_t d, double s, double tol, double enough,
                               double above, size_t nodes) {
    cvxr_work_limit limit;
    cvxr_maximum out;
    s20_case c;
    double attained = 0, u[S20_COLS] = { 0 };
    size_t j, k;
    memset(&limit, 0, sizeof limit);
    memset(&out, 0, sizeof out);
    limit.nodes = nodes;
    s20_open(&c, n, d, s);
    CHECK(cvxr_wedges_max(&c.mem, &c.rows, tol, enough, above, &limit, c.u, &out));
    for (k = 0; k < c.span.rank; k++)
        for (j = 0; j < d; j++) u[j] += c.u[k] * c.span.V[k * d + j];
    attained = s20_f(n, d, s, u);
    CHECK_NEAR(attained, out.lower, 1e-10 * (1 + fabs(attained)));
    CHECK(out.upper >= out.lower);
    s20_close(&c);
    return out;
}

/* ---- Tests. */

TEST(bound_that_is_enough_proves_what_was_wanted) {
    double ytheta = 3, square = 2.5, L = 0.7, sigma, want;
    for (want = 0.1; want < 1.8; want += 0.1) {
        double B = cvxr_dual_enough(ytheta, square, L, want);
        CHECK_NEAR(cvxr_dual_value(ytheta, square, L, B, &sigma), want, 1e-12);
        CHECK(sigma * B <= L * (1 + 1e-12));
        CHECK(cvxr_dual_value(ytheta, square, L, 1.01 * B, NULL) < want);
    }
    CHECK(cvxr_dual_enough(ytheta, square, L, 1.81) == 0); /* above y'theta^2/(2 square) */
    CHECK(cvxr_dual_enough(-1, 1, 1, 0.5) == 0);
    CHECK(cvxr_dual_value(-1, 1, 1, 1, &sigma) == 0 && sigma == 0);
    CHECK(cvxr_dual_value(1, 0, 1, 1, NULL) == 0);
}

TEST(exact_maximum_in_the_plane_is_that_of_a_dense_grid) {
    size_t seed;
    for (seed = 0; seed < 40; seed++) {
        size_t n = 1 + seed % 23, fine = 20000;
        double angle[2 * S20_ROWS], s, exact, grid, v[S20_COLS] = { 0 };
        size_t order[2 * S20_ROWS], j, k;
        s20_make(n, 2, seed % 3 == 0, seed % 5 == 0 ? -3 : 0, seed);
        for (s = -1; s <= 1; s += 2) {
            s20_case c;
            s20_open(&c, n, 2, s);
            if (c.span.rank == 2) exact = cvxr_exact_plane(&c.rows, angle, order, c.u);
            else exact = c.span.rank ? cvxr_exact_line(&c.rows, c.u) : 0;
            grid = s20_grid(n, 2, s, fine);
            CHECK(exact >= grid - 1e-12);
            CHECK(exact <= grid + s20_reach(n, 2, fine));
            for (j = 0; j < 2; j++)
                for (v[j] = 0, k = 0; k < c.span.rank; k++)
                    v[j] += c.u[k] * c.span.V[k * 2 + j];
            CHECK_NEAR(s20_f(n, 2, s, v), exact, 1e-12 * (1 + exact));
            s20_close(&c);
        }
    }
}

TEST(exact_maximum_on_the_line_takes_the_better_side) {
    s20_case c;
    s20_make(3, 1, 0, 0, 1);
    s20_X[0] = 1, s20_X[S20_COLS] = -2, s20_X[2 * S20_COLS] = 3;
    s20_theta[0] = 1, s20_theta[1] = 5, s20_theta[2] = -2;
    s20_open(&c, 3, 1, 1);
    CHECK_NEAR(cvxr_exact_line(&c.rows, c.u), 10, 1e-14); /* u = -1: 5 * 2 */
    s20_close(&c);
    s20_open(&c, 3, 1, -1);
    CHECK_NEAR(cvxr_exact_line(&c.rows, c.u), 5, 1e-14); /* u = 1: -1 + 6 */
    s20_close(&c);
}

TEST(branch_and_bound_encloses_the_grid_in_three_dimensions) {
    size_t seed;
    for (seed = 0; seed < 12; seed++) {
        size_t n = 1 + 3 * seed, d = seed % 4 ? 3 : 2, fine = d == 3 ? 300 : 10000;
        double s = seed % 2 ? 1 : -1, grid;
        cvxr_maximum out;
        s20_make(n, d, seed % 3 == 0, seed % 5 == 0 ? -1.5 : 0, 50 + seed);
        grid = s20_grid(n, d, s, fine);
        out = s20_wedges(n, d, s, 1e-3, 0, HUGE_VAL, 0);
        CHECK(!out.limited);
        CHECK(out.upper >= grid);
        CHECK(out.upper <= out.lower * 1.001 + 1e-9);
        CHECK(out.lower <= grid + s20_reach(n, d, fine));
    }
}

TEST(branch_and_bound_is_never_below_random_points_in_rank_five) {
    size_t seed;
    for (seed = 0; seed < 6; seed++) {
        size_t n = 20 + 10 * seed, d = 4 + seed % 2;
        double s = seed % 2 ? 1 : -1;
        cvxr_maximum out;
        s20_make(n, d, seed % 3 == 2, 0, 70 + seed);
        out = s20_wedges(n, d, s, 0.05, 0, HUGE_VAL, 0);
        CHECK(out.upper >= s20_sample(n, d, s, 4000));
        CHECK(!out.limited && out.upper <= 1.05 * out.lower + 1e-9);
    }
}

TEST(stopped_branch_and_bound_still_proves) {
    cvxr_maximum full, part, same;
    s20_make(60, 4, 0, 0, 5);
    full = s20_wedges(60, 4, 1, 0.01, 0, HUGE_VAL, 0);
    part = s20_wedges(60, 4, 1, 0.01, 0, HUGE_VAL, 100);
    CHECK(part.limited && part.nodes < 200);
    CHECK(part.upper >= full.lower);
    same = s20_wedges(60, 4, 1, 0.01, 0, HUGE_VAL, 100);
    CHECK(memcmp(&same, &part, sizeof same) == 0);
    part = s20_wedges(60, 4, 1, 0, 1.2 * full.upper, HUGE_VAL, 0); /* a bound that suffices */
    CHECK(!part.limited && part.nodes < full.nodes);
    CHECK(part.upper >= full.lower && part.upper <= 1.2 * full.upper);
    part = s20_wedges(60, 4, 1, 0, 0, 0.5 * full.lower, 0);
    CHECK(part.lower > 0.5 * full.lower);
    CHECK(part.nodes <= full.nodes);
}

TEST(weighted_bound_lies_between_the_maximum_and_the_spectral_bound) {
    size_t seed;
    double better = 1;
    for (seed = 0; seed < 16; seed++) {
        size_t n = 2 + 5 * seed, d = 2 + seed % 4;
        double most, spectral, weighted;
        n = cvxr_min_z(n, S20_ROWS);
        s20_make(n, d, seed % 4 == 1, seed % 5 == 4 ? 2 : 0, 30 + seed);
        most = cvxr_max(s20_wedges(n, d, 1, 0.02, 0, HUGE_VAL, 0).lower,
                        s20_wedges(n, d, -1, 0.02, 0, HUGE_VAL, 0).lower);
        spectral = s20_weighted(n, d, 0);
        weighted = s20_weighted(n, d, 100);
        CHECK(most <= weighted);
        CHECK(weighted <= spectral);
        better *= spectral > 0 ? pow(weighted / spectral, 1.0 / 16) : 1;
    }
    CHECK(better < 0.95); /* geometric mean */
}

/* One row with theta > 0: M = theta ||x||, and the weighted bound is tight. */
TEST(bounds_of_one_row_are_known) {
    memset(s20_X, 0, sizeof s20_X);
    s20_X[0] = 3, s20_X[1] = 4;
    s20_theta[0] = 2;
    CHECK_NEAR(s20_weighted(1, 2, 0), 10, 1e-12);
    CHECK_NEAR(s20_weighted(1, 2, 100), 10, 1e-3);
    CHECK(s20_weighted(1, 2, 100) >= 10);
    s20_theta[0] = -2; /* the other sign's maximum is 10 again */
    CHECK_NEAR(s20_weighted(1, 2, 100), 10, 1e-3);
    s20_theta[0] = 0;
    CHECK(s20_weighted(1, 2, 100) == 0);
    CHECK(s20_wedges(1, 2, 1, 0.01, 0, HUGE_VAL, 0).upper == 0);
}

TEST(ascent_returns_values_that_its_points_attain) {
    s20_case c;
    double U[20 * S20_COLS], value[20], v[S20_COLS], work[3 * S20_COLS];
    size_t i, j, k;
    s20_make(40, 5, 0, 0, 3);
    s20_open(&c, 40, 5, 1);
    U[0] = 2, U[1] = U[2] = U[3] = U[4] = 0; /* one start is given */
    memset(U + 5, 0, 5 * sizeof(double));    /* and one that is none */
    cvxr_ascend(&c.rows, 2, 20, 7, U, value, work);
    for (i = 0; i < 20; i++) {
        double square = 0;
        for (j = 0; j < 5; j++)
            for (v[j] = 0, k = 0; k < 5; k++) v[j] += U[i * 5 + k] * c.span.V[k * 5 + j];
        for (j = 0; j < 5; j++) square += v[j] * v[j];
        CHECK_NEAR(square, 1, 1e-12);
        CHECK_NEAR(s20_f(40, 5, 1, v), value[i], 1e-11);
        CHECK(value[i] > 0);
    }
    s20_close(&c);
}

TEST(branch_and_bound_survives_every_refused_allocation) {
    size_t refuse;
    s20_make(40, 4, 0, 0, 12);
    for (refuse = 1; refuse < 20; refuse++) {
        cvxrelu_allocator allocator;
        cvxr_work_limit limit;
        cvxr_maximum out;
        cvxr_mem mem;
        s19_heap heap;
        s20_case c;
        int done;
        s20_open(&c, 40, 4, 1);
        memset(&heap, 0, sizeof heap);
        memset(&limit, 0, sizeof limit);
        heap.refuse = refuse;
        allocator.context = &heap;
        allocator.allocate = s19_allocate;
        allocator.release = s19_release;
        cvxr_mem_init(&mem, &allocator, 0);
        done = cvxr_wedges_max(&mem, &c.rows, 0.01, 0, HUGE_VAL, &limit, c.u, &out);
        CHECK(heap.held == 0 && mem.now == 0);
        if (done) CHECK(out.limited == (heap.calls >= refuse) && out.upper >= out.lower);
        s20_close(&c);
    }
}

/* ---- Moments: y and L of a problem on s20_X, a plain eigensolver behind the hook. */

static double s20_y[S20_ROWS];

/* Cyclic Jacobi on the full symmetric matrix; eigenvectors in the columns of V, both n x n. */
static void s20_jacobi(size_t n, double *A, double *V) {
    size_t i, j, k;
    int sweep;
    for (i = 0; i < n * n; i++) V[i] = i / n == i % n;
    for (sweep = 0; sweep < 40; sweep++)
        for (i = 0; i < n; i++)
            for (j = i + 1; j < n; j++) {
                double g = A[i * n + j], zeta, t, c, s;
                if (g == 0) continue;
                zeta = (A[j * n + j] - A[i * n + i]) / (2 * g);
                t = (zeta >= 0 ? 1 : -1) / (fabs(zeta) + hypot(zeta, 1));
                c = 1 / hypot(t, 1), s = c * t;
                for (k = 0; k < n; k++) {
                    double x = A[k * n + i], y = A[k * n + j];
                    A[k * n + i] = c * x - s * y, A[k * n + j] = s * x + c * y;
                }
                for (k = 0; k < n; k++) {
                    double x = A[i * n + k], y = A[j * n + k];
                    A[i * n + k] = c * x - s * y, A[j * n + k] = s * x + c * y;
                    x = V[k * n + i], y = V[k * n + j];
                    V[k * n + i] = c * x - s * y, V[k * n + j] = s * x + c * y;
                }
                A[i * n + j] = A[j * n + i] = 0;
            }
}

typedef struct s20_eigen {
    int calls, values, fail;   /* fail: the call that reports failure */
} s20_eigen;

/* LAPACK's dsyevd by s20_jacobi: column-major, uplo, ascending values, vectors in columns. */
static int s20_dsyevd(void *context, char jobz, char uplo, size_t n, double *a, size_t lda,
                      double *w) {
    s20_eigen *e = (s20_eigen *)context;
    double *A, *V;
    size_t i, j, k;
    CHECK((jobz == 'V' || jobz == 'N') && (uplo == 'U' || uplo == 'L') && lda >= n);
    e->calls++;
    e->values += jobz == 'N';
    if (e->calls == e->fail) return 3;
    A = (double *)malloc(2 * n * n * sizeof(double));
    V = A + n * n;
    for (i = 0; i < n; i++)
        for (j = 0; j <= i; j++) /* element (i, j), i >= j, column-major */
            A[i * n + j] = A[j * n + i] = uplo == 'L' ? a[j * lda + i] : a[i * lda + j];
    s20_jacobi(n, A, V);
    for (k = 0; k < n; k++) {
        size_t best = 0;
        for (j = 1; j < n; j++)
            if (A[j * n + j] < A[best * n + best]) best = j;
        w[k] = A[best * n + best];
        A[best * n + best] = HUGE_VAL;
        for (i = 0; i < n; i++) a[k * lda + i] = jobz == 'V' ? V[i * n + best] : 1e300;
    }
    free(A);
    return 0;
}

typedef struct s20_moments {
    cvxr_moment_problem p;
    double bound, B, theta[S20_ROWS], *packed, V[S20_COLS * 2], C[2];
    size_t count;
    int done, calls, stop_at;
} s20_moments;

static int s20_stop(void *context, int iteration, double bound) {
    s20_moments *m = (s20_moments *)context;
    CHECK(iteration == ++m->calls && bound >= 0);
    return iteration == m->stop_at;
}

/* Targets of two neurons with noise; the start is those neurons (or none: start 0). */
static void s20_moments_make(s20_moments *m, size_t n, size_t d, double lambda, int start,
                             uint64_t seed) {
    cvxrelu_random random;
    size_t i, j;
    memset(m, 0, sizeof *m);
    s20_make(n, d, 0, 0, seed);
    cvxrelu_random_init(&random, seed + 1);
    for (j = 0; j < 2 * S20_COLS; j++)
        m->V[j] = j % S20_COLS < d ? cvxrelu_random_normal(&random) : 0;
    m->C[0] = 1, m->C[1] = -1;
    for (i = 0; i < n; i++) {
        s20_y[i] = 0.3 * s20_theta[i];
        for (j = 0; j < 2; j++)
            s20_y[i] += m->C[j] * cvxr_max(0, cvxr_short_dot(d, s20_X + i * S20_COLS,
                                                              m->V + j * S20_COLS));
    }
    m->p.n = n, m->p.d = d, m->p.dp = m->p.ldv = S20_COLS;
    m->p.X = s20_X, m->p.y = s20_y;
    m->p.L = lambda * (double)n;
    m->p.count = start ? 2 : 0;
    m->p.V = m->V, m->p.C = m->C;
    m->p.enough = HUGE_VAL;
    m->p.stop = s20_stop;
    m->p.context = m;
    CHECK(cvxr_moment_packed(n, d, &m->count));
}

/* Runs with a memory and an eigensolver (either may be NULL); m->packed is the caller's. */
static void s20_moments_run(s20_moments *m, int iterations, cvxr_mem *mem, s20_eigen *hook) {
    static unsigned char work[1 << 20];
    cvxrelu_blas blas;
    cvxr_mem own;
    cvxr_la la;
    memset(&la, 0, sizeof la);
    memset(&blas, 0, sizeof blas);
    la.team.threads = 1;
    la.work = work + (64 - (size_t)((uintptr_t)work % 64)) % 64;
    if (hook) {
        blas.context = hook;
        blas.dsyevd = s20_dsyevd;
        la.blas = &blas;
    }
    if (mem == NULL) cvxr_mem_init(mem = &own, NULL, 0);
    m->p.iterations = iterations;
    m->calls = 0;
    m->done = cvxr_moment_bound(mem, &la, &m->p, &m->bound, m->theta, &m->B, m->packed);
    CHECK(mem->now == 0);
    if (m->done && m->packed && m->bound > 0) { /* the kept multipliers prove as much */
        double B = cvxr_max(cvxr_moment_check(mem, &la, s20_X, m->p.n, m->p.d, S20_COLS,
                                              m->theta, 1, m->packed),
                            cvxr_moment_check(mem, &la, s20_X, m->p.n, m->p.d, S20_COLS,
                                              m->theta, -1, m->packed + m->count));
        CHECK_NEAR(B, m->B, 1e-9 * m->B);
        CHECK(mem->now == 0);
    }
}

/* B is an upper bound of M by grid (d <= 3) or samples, and the bound is what it proves. */
static void s20_moments_judge(const s20_moments *m) {
    size_t i, n = m->p.n, d = m->p.d;
    double ytheta = 0, square = 0, most = 0, s;
    for (i = 0; i < n; i++) {
        s20_theta[i] = m->theta[i];
        ytheta += s20_y[i] * m->theta[i];
        square += m->theta[i] * m->theta[i];
    }
    for (s = -1; s <= 1; s += 2)
        most = cvxr_max(most, d <= 2 ? s20_grid(n, d, s, 4000) : s20_sample(n, d, s, 4000));
    CHECK(most <= m->B * (1 + 1e-12));
    CHECK_NEAR(cvxr_dual_value(ytheta, square, m->p.L, m->B, NULL), m->bound, 1e-12 * ytheta);
}

/* The largest value of the dual at the given theta, by the exact maximum in the plane. */
static double s20_moments_exact(const s20_moments *m, double *M) {
    double angle[2 * S20_ROWS], ytheta = 0, square = 0, s;
    size_t order[2 * S20_ROWS], i;
    memcpy(s20_theta, m->theta, m->p.n * sizeof(double));
    for (*M = 0, s = -1; s <= 1; s += 2) {
        s20_case c;
        s20_open(&c, m->p.n, 2, s);
        *M = cvxr_max(*M, cvxr_exact_plane(&c.rows, angle, order, c.u));
        s20_close(&c);
    }
    for (i = 0; i < m->p.n; i++) {
        ytheta += s20_y[i] * m->theta[i];
        square += m->theta[i] * m->theta[i];
    }
    return cvxr_dual_value(ytheta, square, m->p.L, *M, NULL);
}

TEST(moments_prove_a_bound_at_every_iteration) {
    size_t seed;
    for (seed = 0; seed < 4; seed++) {
        size_t n = 12 + 3 * seed, d = 2 + seed / 2, it;
        static const int steps[] = { 1, 2, 3, 7, 20, 41, 100 };
        s20_moments m;
        double first = 0;
        s20_moments_make(&m, n, d, seed % 2 ? 1e-3 : 1e-2, seed % 3 != 1, 200 + seed);
        m.packed = (double *)malloc(2 * m.count * sizeof(double));
        for (it = 0; it < 7; it++) {
            s20_moments_run(&m, steps[it], NULL, NULL);
            CHECK(m.done && m.calls == steps[it]);
            s20_moments_judge(&m);
            if (it == 0) first = m.bound;
        }
        CHECK(m.bound > 0);        if (m.p.count) CHECK(m.bound > first);
        free(m.packed);
    }
}

TEST(moments_beat_the_weighted_bound_and_stay_below_the_exact_one) {
    size_t seed;
    for (seed = 0; seed < 4; seed++) {
        s20_moments m;
        double exact, M, weighted, square = 0, ytheta = 0;
        size_t n = 12 + 2 * seed, i;
        s20_moments_make(&m, n, 2, 1e-2, 1, 220 + seed);
        s20_moments_run(&m, 200, NULL, NULL);
        exact = s20_moments_exact(&m, &M); /* of the same theta: at least as good */
        CHECK(M <= m.B && exact >= m.bound);
        for (i = 0; i < n; i++) { /* the weighted bound at theta of the relaxation */
            square += m.theta[i] * m.theta[i];
            ytheta += m.theta[i] * s20_y[i];
        }
        weighted = cvxr_dual_value(ytheta, square, m.p.L, s20_weighted(n, 2, 100), NULL);
        CHECK(m.bound > weighted);
        CHECK(m.bound > 0.9 * exact);
    }
}

/* X = I: the optimum is known, and the relaxation is tight. */
TEST(moments_of_orthogonal_rows_reach_the_optimum) {
    s20_moments m;
    double side[2] = { 0, 0 }, optimum = 0;
    size_t n = 5, i, j;
    s20_moments_make(&m, n, n, 0.8 / 5, 1, 230);
    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) s20_X[i * S20_COLS + j] = i == j;
        s20_y[i] = i % 2 ? -1.0 - (double)i : 1 + 0.5 * (double)i;
        side[i % 2] += s20_y[i] * s20_y[i];
        m.V[i] = i % 2 ? 0 : s20_y[i]; /* one neuron a side */
        m.V[S20_COLS + i] = i % 2 ? -s20_y[i] : 0;
    }
    for (i = 0; i < 2; i++) {
        double rest = cvxr_max(sqrt(side[i]) - m.p.L, 0);
        optimum += (side[i] - rest * rest) / 2;
    }
    s20_moments_run(&m, 800, NULL, NULL);
    CHECK(m.bound <= optimum * (1 + 1e-12));
    CHECK(m.bound >= 0.999 * optimum);
}

TEST(hooked_eigensolver_is_used_and_gives_the_same_bound) {
    s20_moments m;
    s20_eigen hook;
    double own;
    int fail;
    s20_moments_make(&m, 14, 3, 1e-2, 1, 240);
    s20_moments_run(&m, 40, NULL, NULL);
    own = m.bound;
    memset(&hook, 0, sizeof hook);
    s20_moments_run(&m, 40, NULL, &hook);
    CHECK(hook.calls == 1 + 2 * 40 + 2 * 2 && hook.values == 1 + 2 * 2);
    CHECK_NEAR(m.bound, own, 1e-6 * own);
    s20_moments_judge(&m);
    for (fail = 1; fail < 60; fail += 9) { /* a solver that gives up leaves what was proven */
        memset(&hook, 0, sizeof hook);
        hook.fail = fail;
        s20_moments_run(&m, 40, NULL, &hook);
        CHECK(m.done && (fail > 43 ? m.bound > 0 : m.bound == 0));
        if (m.bound > 0) s20_moments_judge(&m);
    }
}

TEST(moments_stop_when_told_and_repeat_bit_for_bit) {
    s20_moments m, same;
    s20_moments_make(&m, 15, 2, 1e-2, 1, 250);
    same = m, same.p.context = &same;
    s20_moments_run(&m, 33, NULL, NULL);
    s20_moments_run(&same, 33, NULL, NULL);
    CHECK(m.bound == same.bound && memcmp(m.theta, same.theta, sizeof m.theta) == 0);
    m.stop_at = 7;
    s20_moments_run(&m, 33, NULL, NULL);
    CHECK(m.calls == 7 && m.bound >= 0);
    if (m.bound > 0) s20_moments_judge(&m);
    m.stop_at = 0, m.p.enough = 0.5 * same.bound;
    s20_moments_run(&m, 1000, NULL, NULL);
    CHECK(m.calls < 1000 && m.bound >= 0.5 * same.bound);
}

TEST(moments_take_degenerate_rows_and_targets) {
    s20_moments m;
    size_t i;
    s20_moments_make(&m, 12, 3, 1e-2, 1, 260);
    memset(s20_X, 0, 2 * S20_COLS * sizeof(double));       /* rows of zeros */
    memcpy(s20_X + 2 * S20_COLS, s20_X + 3 * S20_COLS, S20_COLS * sizeof(double));
    for (i = 0; i < 12; i++) s20_X[i * S20_COLS + 2] = s20_X[i * S20_COLS]; /* rank 2 */
    m.packed = (double *)malloc(2 * m.count * sizeof(double));
    s20_moments_run(&m, 60, NULL, NULL);
    CHECK(m.done && m.bound > 0);
    s20_moments_judge(&m);
    memset(s20_X, 0, sizeof s20_X); /* no network does anything: ||y||^2/2 */
    s20_moments_run(&m, 20, NULL, NULL);
    CHECK_NEAR(m.bound, 0.5 * cvxr_short_dot(12, s20_y, s20_y), 1e-9 * m.bound);
    memset(s20_y, 0, sizeof s20_y);
    s20_moments_run(&m, 20, NULL, NULL);
    CHECK(m.done && m.bound == 0 && m.calls == 0);
    free(m.packed);
    s20_moments_make(&m, 1, 1, 1e-2, 0, 261);
    s20_moments_run(&m, 60, NULL, NULL);
    CHECK(m.done && m.bound > 0);
    s20_moments_judge(&m);
}

/* Any multipliers prove something true: spoiled ones prove less. */
TEST(spoiled_multipliers_are_no_false_proof) {
    cvxrelu_random random;
    s20_moments m;
    size_t at, i;
    double *good;
    s20_moments_make(&m, 12, 2, 1e-2, 1, 270);
    good = (double *)malloc(4 * m.count * sizeof(double));
    m.packed = good + 2 * m.count;
    s20_moments_run(&m, 60, NULL, NULL);
    memcpy(good, m.packed, 2 * m.count * sizeof(double));
    memcpy(s20_theta, m.theta, sizeof s20_theta);
    cvxrelu_random_init(&random, 5);
    for (at = 0; at < 40; at++) {
        static unsigned char work[1 << 20];
        double size = at < 20 ? 1e-3 : 10, s;
        cvxr_mem mem;
        cvxr_la la;
        memset(&la, 0, sizeof la);
        la.team.threads = 1;
        la.work = work + (64 - (size_t)((uintptr_t)work % 64)) % 64;
        cvxr_mem_init(&mem, NULL, 0);
        memcpy(m.packed, good, 2 * m.count * sizeof(double));
        for (i = 0; i < m.count; i++)
            if (at % 4 == 0 || i % 17 == at % 17)
                m.packed[at % 2 * m.count + i] += size * cvxrelu_random_normal(&random);
        for (s = 1; s >= -1; s -= 2)
            CHECK(cvxr_moment_check(&mem, &la, s20_X, 12, 2, S20_COLS, m.theta, s,
                                    m.packed + (s < 0) * m.count)
                  >= s20_grid(12, 2, s, 4000) * (1 - 1e-12));
    }
    free(good);
}

TEST(moments_survive_refused_memory_and_count_it) {
    s20_moments m;
    cvxr_mem mem;
    size_t packed, N = 1 + 3 + 2 * 20;
    s20_moments_make(&m, 20, 3, 1e-2, 1, 280);
    cvxr_mem_init(&mem, NULL, 0);
    s20_moments_run(&m, 1, &mem, NULL);
    CHECK(mem.peak >= 6 * N * N * 8 && mem.peak <= 10 * N * N * 8);
    packed = mem.peak;
    cvxr_mem_init(&mem, NULL, packed - 1);
    s20_moments_run(&m, 1, &mem, NULL);
    CHECK(!m.done && mem.failed == CVXRELU_ERR_LIMIT);
    cvxr_mem_init(&mem, NULL, packed);
    s20_moments_run(&m, 1, &mem, NULL);
    CHECK(m.done);
    CHECK(!cvxr_moment_packed(SIZE_MAX / 2, 3, &packed));
    CHECK(!cvxr_moment_packed(3, SIZE_MAX / 2, &packed));
}

SUITE(s20_bounds) {
    RUN(bound_that_is_enough_proves_what_was_wanted);
    RUN(exact_maximum_in_the_plane_is_that_of_a_dense_grid);
    RUN(exact_maximum_on_the_line_takes_the_better_side);
    RUN(branch_and_bound_encloses_the_grid_in_three_dimensions);
    RUN(branch_and_bound_is_never_below_random_points_in_rank_five);
    RUN(stopped_branch_and_bound_still_proves);
    RUN(weighted_bound_lies_between_the_maximum_and_the_spectral_bound);
    RUN(bounds_of_one_row_are_known);
    RUN(ascent_returns_values_that_its_points_attain);
    RUN(branch_and_bound_survives_every_refused_allocation);
    RUN(moments_prove_a_bound_at_every_iteration);
    RUN(moments_beat_the_weighted_bound_and_stay_below_the_exact_one);
    RUN(moments_of_orthogonal_rows_reach_the_optimum);
    RUN(hooked_eigensolver_is_used_and_gives_the_same_bound);
    RUN(moments_stop_when_told_and_repeat_bit_for_bit);
    RUN(moments_take_degenerate_rows_and_targets);
    RUN(spoiled_multipliers_are_no_false_proof);
    RUN(moments_survive_refused_memory_and_count_it);
}
