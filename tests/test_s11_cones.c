/* The projection onto {v : t_j x_j.v >= b_j}: its KKT conditions by plain loops, and the
   nearest of all feasible points that a subset of tight rows determines. */

#define S11_N 64
#define S11_D 24

typedef struct s11_case {
    size_t n, d, dp;
    double X[S11_N * S11_D], b[S11_N], z[S11_D], v[S11_D];
    uint64_t bits[1];
    uint32_t rows[S11_D];
    double gamma[S11_D];
    cvxr_face face;
    cvxr_mem mem;
    cvxr_cone cone;
} s11_case;

static s11_case s11;
static cvxrelu_random s11_random;

static double s11_normal(void) { return cvxrelu_random_normal(&s11_random); }

static size_t s11_below(size_t n) {
    return (size_t)(cvxrelu_random_uniform(&s11_random) * (double)n);
}

static double s11_sign(size_t j) { return (s11.bits[0] >> j & 1) ? 1 : -1; }

static double s11_dot(const double *x, const double *y) {
    double sum = 0;
    size_t i;
    for (i = 0; i < s11.d; i++) sum += x[i] * y[i];
    return sum;
}

static double s11_norm(const double *x) { return sqrt(s11_dot(x, x)); }

/* Gaussian rows, b = 0, z and the pattern at random. */
static void s11_fill(size_t n, size_t d, uint64_t seed) {
    size_t i, j;
    memset(&s11, 0, sizeof s11);
    cvxrelu_random_init(&s11_random, seed);
    s11.n = n, s11.d = d, s11.dp = cvxr_pad(d);
    s11.face.rows = s11.rows;
    s11.face.gamma = s11.gamma;
    for (j = 0; j < n; j++) {
        for (i = 0; i < d; i++) s11.X[j * s11.dp + i] = s11_normal();
        if (s11_normal() > 0) s11.bits[0] |= (uint64_t)1 << j;
    }
    for (i = 0; i < d; i++) s11.z[i] = s11_normal();
}

static void s11_open(void) {
    cvxr_mem_init(&s11.mem, NULL, 0);
    CHECK(cvxr_cone_open(&s11.cone, &s11.mem, s11.X, s11.n, s11.d, s11.dp));
    CHECK(s11.mem.now <= cvxr_cone_bytes(s11.n, s11.dp));
}

static void s11_close(void) {
    cvxr_cone_close(&s11.cone, &s11.mem);
    CHECK(s11.mem.now == 0);
}

static int s11_project(const double *b) {
    return cvxr_cone_project(&s11.cone, s11.bits, b, s11.z, &s11.face, s11.v);
}

/* Feasible, v - z = sum gamma_j t_j x_j with gamma >= 0, each such row tight. */
static void s11_check_kkt(const double *b) {
    double z = s11_norm(s11.z), v = s11_norm(s11.v), rest[S11_D], size = z;
    size_t i, j, k;
    for (i = 0; i < s11.d; i++) rest[i] = s11.v[i] - s11.z[i];
    for (i = s11.d; i < s11.dp; i++) CHECK(s11.v[i] == 0);
    for (j = 0; j < s11.n; j++) {
        const double *x = s11.X + j * s11.dp;
        double norm = s11_norm(x), bound = b ? b[j] : 0;
        if (norm == 0) continue;
        CHECK(s11_sign(j) * s11_dot(x, s11.v) >=
              bound - 1e-12 * (norm * (v + z) + fabs(bound)));
        if (b) size = size > fabs(bound) / norm ? size : fabs(bound) / norm;
    }
    CHECK(s11.face.count <= s11.d);
    for (k = 0; k < s11.face.count; k++) {
        const double *x = s11.X + s11.rows[k] * s11.dp;
        double norm = s11_norm(x), bound = b ? b[s11.rows[k]] : 0;
        CHECK(s11.rows[k] < s11.n && s11.gamma[k] >= 0);
        CHECK_NEAR(s11_sign(s11.rows[k]) * s11_dot(x, s11.v) / norm, bound / norm,
                   1e-12 * (v + z + fabs(bound) / norm));
        size = size > s11.gamma[k] * norm ? size : s11.gamma[k] * norm;
        for (i = 0; i < s11.d; i++)
            rest[i] -= s11.gamma[k] * s11_sign(s11.rows[k]) * x[i];
    }
    CHECK_NEAR(s11_norm(rest) / (size > 0 ? size : 1), 0, 1e-11);
}

/* The point of {v : x_j.v = b_j, j in rows} nearest to z by elimination on the Gram matrix with
   pivoting; 0 when the rows are dependent. */
static int s11_nearest(size_t k, const size_t *rows, const double *b, double *v) {
    double G[8][9], most = 0;
    size_t i, j, p, q;
    for (i = 0; i < k; i++) {
        const double *x = s11.X + rows[i] * s11.dp;
        for (j = 0; j < k; j++) G[i][j] = s11_dot(x, s11.X + rows[j] * s11.dp);
        G[i][k] = (b ? s11_sign(rows[i]) * b[rows[i]] : 0) - s11_dot(x, s11.z);
        most = most > G[i][i] ? most : G[i][i];
    }
    for (p = 0; p < k; p++) {
        for (q = p, i = p + 1; i < k; i++)
            if (fabs(G[i][p]) > fabs(G[q][p])) q = i;
        if (fabs(G[q][p]) < 1e-9 * most) return 0;
        for (j = 0; j <= k; j++) {
            double t = G[p][j];
            G[p][j] = G[q][j];
            G[q][j] = t;
        }
        for (i = 0; i < k; i++) {
            double t = G[i][p] / G[p][p];
            if (i == p) continue;
            for (j = p; j <= k; j++) G[i][j] -= t * G[p][j];
        }
    }
    for (j = 0; j < s11.d; j++) v[j] = s11.z[j];
    for (i = 0; i < k; i++)
        for (j = 0; j < s11.d; j++) v[j] += G[i][k] / G[i][i] * s11.X[rows[i] * s11.dp + j];
    return 1;
}

/* The nearest feasible point, or 0 when no subset of rows gives one. */
static int s11_brute(const double *b, double *best) {
    double v[S11_D], least = DBL_MAX, zn = s11_norm(s11.z) + 1e-300;
    uint32_t set;
    for (set = 0; set < (uint32_t)1 << s11.n; set++) {
        size_t rows[8], k = 0, j, i;
        double far = 0;
        for (j = 0; j < s11.n && k < 8; j++)
            if (set >> j & 1) rows[k++] = j;
        if (k > s11.d || !s11_nearest(k, rows, b, v)) continue;
        for (j = 0; j < s11.n; j++)
            if (s11_sign(j) * s11_dot(s11.X + j * s11.dp, v) <
                (b ? b[j] : 0) - 1e-10 * (zn + (b ? fabs(b[j]) : 0)))
                break;
        if (j < s11.n && s11_norm(s11.X + j * s11.dp) > 0) continue;
        for (i = 0; i < s11.d; i++) far += (v[i] - s11.z[i]) * (v[i] - s11.z[i]);
        if (far < least) {
            least = far;
            for (i = 0; i < s11.d; i++) best[i] = v[i];
        }
    }
    return least < DBL_MAX;
}

static void s11_check_brute(const double *b) {
    double best[S11_D], size = s11_norm(s11.z) + s11_norm(s11.v);
    size_t i;
    CHECK(s11_brute(b, best));
    for (i = 0; i < s11.d; i++) CHECK_NEAR(s11.v[i], best[i], 1e-9 * size);
}

/* All variants of small cones: gaussian, duplicate, parallel, opposite, zero rows, rows in a
   plane, z on faces. */
static void s11_degrade(size_t kind) {
    size_t i, j, dp = s11.dp;
    for (j = 0; j < s11.n; j++)
        for (i = 0; i < s11.d; i++) {
            double *x = s11.X + j * dp;
            const double *other = s11.X + (j ? j - 1 : 0) * dp;
            switch (kind) {
            case 1: if (j % 3 == 1) x[i] = other[i]; break;
            case 2: if (j % 3 == 1) x[i] = -2 * other[i]; break;
            case 3: if (j % 2 == 1) x[i] = 0; break;
            case 4: if (i + 1 == s11.d) x[i] = x[0]; break;
            case 5: x[i] = (double)(int)(2 * x[i]); break;
            case 6: if (j % 3 == 1) x[i] = 1e3 * other[i]; break;
            default: break;
            }
        }
    if (kind == 7) { /* z on a face: orthogonal to row 0 */
        double t = s11_dot(s11.X, s11.z) / s11_dot(s11.X, s11.X);
        for (i = 0; i < s11.d; i++) s11.z[i] -= t * s11.X[i];
    }
    if (kind == 8) s11.bits[0] = 0;
    if (kind == 9) /* two opposite rows on the same side */
        for (i = 0; i < s11.d; i++)
            s11.X[dp + i] = -(s11_sign(0) * s11_sign(1)) * s11.X[i];
}

TEST(projection_is_the_nearest_feasible_point) {
    size_t seed, kind;
    for (kind = 0; kind < 10; kind++)
        for (seed = 0; seed < 40; seed++) {
            s11_fill(1 + seed % 8, 1 + seed / 8, 100 * kind + seed);
            s11_degrade(kind);
            s11_open();
            CHECK(s11_project(NULL) == CVXR_CONE_OK);
            s11_check_kkt(NULL);
            s11_check_brute(NULL);
            s11_close();
        }
}

TEST(larger_cones_meet_the_optimality_conditions) {
    size_t seed, kind;
    for (kind = 0; kind < 10; kind++)
        for (seed = 0; seed < 40; seed++) {
            s11_fill(30 + seed % 34, 2 + seed % 22, 7000 + 100 * kind + seed);
            s11_degrade(kind);
            s11_open();
            s11.cone.la.portable = (int)(seed & 1);
            CHECK(s11_project(NULL) == CVXR_CONE_OK);
            s11_check_kkt(NULL);
            s11_close();
        }
}

/* A bound that some w meets, with rows that w meets exactly. */
TEST(general_bounds_feasible) {
    size_t seed, kind, i, j;
    double w[S11_D];
    for (kind = 0; kind < 10; kind++)
        for (seed = 0; seed < 48; seed++) {
            int small = seed < 32;
            s11_fill(small ? 1 + seed % 8 : 16 + seed, small ? 1 + seed / 8 : 4 + seed % 16,
                     17000 + 100 * kind + seed);
            s11_degrade(kind);
            for (i = 0; i < s11.d; i++) w[i] = s11_normal();
            for (j = 0; j < s11.n; j++)
                s11.b[j] = s11_sign(j) * s11_dot(s11.X + j * s11.dp, w) -
                           (s11_below(2) ? fabs(s11_normal()) : 0);
            if (seed % 3 == 0) memset(s11.z, 0, sizeof s11.z);
            s11_open();
            CHECK(s11_project(s11.b) == CVXR_CONE_OK);
            s11_check_kkt(s11.b);
            if (small) s11_check_brute(s11.b);
            s11_close();
        }
}

/* t x.v >= 1 and -2 t x.v >= -2 + 1e-3: no point. With -3 there are some, and the other rows
   leave room for 1.2 x / ||x||^2. */
TEST(general_bounds_infeasible) {
    size_t seed, i, j;
    for (seed = 0; seed < 60; seed++) {
        size_t d = 1 + seed % 9, n = 12 + seed % 20, a = seed % n, c = (seed + 5) % n;
        const int feasible = seed % 2 == 0;
        s11_fill(n, d, 27000 + seed);
        for (i = 0; i < d; i++)
            s11.X[c * s11.dp + i] = -2 * s11_sign(a) * s11_sign(c) * s11.X[a * s11.dp + i];
        for (j = 0; j < n; j++)
            s11.b[j] = -2 * s11_norm(s11.X + j * s11.dp) / s11_norm(s11.X + a * s11.dp);
        s11.b[a] = 1;
        s11.b[c] = feasible ? -3 : -2 + 1e-3;
        s11_open();
        CHECK(s11_project(s11.b) == (feasible ? CVXR_CONE_OK : CVXR_CONE_INFEASIBLE));
        if (feasible) s11_check_kkt(s11.b);
        s11_close();
    }
}

TEST(whole_space_and_zero_cone) {
    size_t i, j;
    s11_fill(20, 7, 3);
    memset(s11.X, 0, sizeof s11.X);
    s11_open();
    CHECK(s11_project(NULL) == CVXR_CONE_OK);
    for (i = 0; i < 7; i++) CHECK(s11.v[i] == s11.z[i]);
    CHECK(s11.face.count == 0);
    s11_close();
    for (j = 0; j < 2; j++) { /* +-unit vectors, all asked to be positive */
        s11_fill(14, 7, 4);
        memset(s11.X, 0, sizeof s11.X);
        for (i = 0; i < 7; i++) {
            s11.X[2 * i * s11.dp + i] = 3;
            s11.X[(2 * i + 1) * s11.dp + i] = j ? -1e-5 : -1;
        }
        s11.bits[0] = ~(uint64_t)0;
        s11_open();
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        for (i = 0; i < 7; i++) CHECK(s11.v[i] == 0);
        s11_check_kkt(NULL);
        s11_close();
    }
}

/* Where the face says to start makes no difference. */
TEST(any_start_gives_the_same_point) {
    double v[S11_D];
    size_t seed, i, start;
    for (seed = 0; seed < 40; seed++) {
        s11_fill(20 + seed, 3 + seed % 20, 37000 + seed);
        s11_degrade(seed % 10);
        s11_open();
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        memcpy(v, s11.v, sizeof v);
        for (start = 0; start < 6; start++) {
            size_t count = s11.face.count;
            if (start == 1) /* backwards */
                for (i = 0; i < count / 2; i++) {
                    uint32_t t = s11.rows[i];
                    s11.rows[i] = s11.rows[count - 1 - i];
                    s11.rows[count - 1 - i] = t;
                }
            if (start == 2) s11.face.count /= 2;
            if (start == 3) { /* wrong, with repetitions */
                s11.face.count = s11.d;
                for (i = 0; i < s11.d; i++) s11.rows[i] = (uint32_t)s11_below(s11.n);
            }
            if (start == 4) {
                s11.face.count = cvxr_min_z(s11.d, s11.n);
                for (i = 0; i < s11.face.count; i++) s11.rows[i] = (uint32_t)i;
            }
            if (start == 5) s11.face.count = 0;
            CHECK(s11_project(NULL) == CVXR_CONE_OK);
            s11_check_kkt(NULL);
            for (i = 0; i < s11.d; i++) CHECK_NEAR(s11.v[i], v[i], 1e-11 * s11_norm(s11.z));
        }
        s11_close();
    }
}

/* A kept factor goes through a walk of z, other cones' faces in between. */
TEST(a_kept_factor_serves_the_next_projection) {
    static const size_t sizes[3][2] = { { 40, 5 }, { 64, 24 }, { 20, 20 } };
    double Q[(S11_D + 8) * S11_D], R[S11_D * S11_D];
    uint32_t rows[S11_D];
    cvxr_cone_factor kept;
    size_t k, i, step, resumed = 0, renewed = 0;
    for (k = 0; k < 3; k++) {
        s11_fill(sizes[k][0], sizes[k][1], 50 + k);
        memset(&kept, 0, sizeof kept);
        memset(Q, 0, sizeof Q);
        kept.Q = Q, kept.R = R, kept.rows = rows;
        s11_open();
        for (step = 0; step < 300; step++) {
            const size_t before = kept.drops;
            for (i = 0; i < s11.d; i++) s11.z[i] += 0.5 * s11_normal();
            if (step % 100 == 99) s11.face.count = s11_below(s11.face.count + 1);
            s11.cone.kept = &kept;
            CHECK(s11_project(NULL) == CVXR_CONE_OK);
            s11.cone.kept = NULL;
            s11_check_kkt(NULL);
            CHECK(kept.k == s11.face.count);
            CHECK(memcmp(rows, s11.rows, kept.k * sizeof *rows) == 0);
            resumed += before && before <= CVXR_CONE_DROPS && kept.drops >= before;
            renewed += before > CVXR_CONE_DROPS && kept.drops <= CVXR_CONE_DROPS;
        }
        s11_close();
    }
    CHECK(resumed > 300 && renewed >= 5);
}

/* Rows of very different lengths, and huge and tiny z, give the same point, scaled. */
TEST(scales_do_not_matter) {
    static const double scales[5] = { 1, 1e-150, 1e150, 1e-40, 1e60 };
    double v[S11_D], z[S11_D];
    size_t seed, i, j, k;
    for (seed = 0; seed < 20; seed++)
        for (k = 0; k < 5; k++) {
            s11_fill(40, 2 + seed, 47000 + seed);
            memcpy(z, s11.z, sizeof z);
            for (j = 0; k && j < s11.n; j++) {
                double by = ldexp(1, (int)s11_below(60) - 30);
                for (i = 0; i < s11.d; i++) s11.X[j * s11.dp + i] *= by;
            }
            for (i = 0; i < s11.d; i++) s11.z[i] *= scales[k];
            s11_open();
            CHECK(s11_project(NULL) == CVXR_CONE_OK);
            s11_close();
            if (k == 0) memcpy(v, s11.v, sizeof v);
            for (i = 0; i < s11.d; i++)
                CHECK_NEAR(s11.v[i] / scales[k], v[i], 1e-11 * s11_norm(z));
        }
}

/* Projected again nothing moves; z - v is in the polar cone: it projects to 0, and v to it. */
TEST(projection_is_idempotent_and_splits) {
    double z[S11_D], v[S11_D];
    size_t seed, i;
    for (seed = 0; seed < 60; seed++) {
        s11_fill(10 + seed % 50, 2 + seed % 20, 57000 + seed);
        s11_degrade(seed % 10);
        s11_open();
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        memcpy(z, s11.z, sizeof z);
        memcpy(v, s11.v, sizeof v);
        for (i = 0; i < s11.d; i++) s11.z[i] = z[i] - v[i];
        CHECK_NEAR(s11_dot(s11.z, v), 0, 1e-12 * s11_dot(z, z));
        if (seed % 2) s11.face.count = 0;
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        CHECK(s11_norm(s11.v) <= 1e-11 * s11_norm(z));
        memcpy(s11.z, v, sizeof v);
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        for (i = 0; i < s11.d; i++) CHECK_NEAR(s11.v[i], v[i], 1e-12 * s11_norm(z));
        s11_close();
    }
}

TEST(bound_holds_for_any_multipliers) {
    size_t seed, i, k;
    for (seed = 0; seed < 60; seed++) {
        s11_fill(10 + seed % 50, 2 + seed % 20, 67000 + seed);
        s11_degrade(seed % 10);
        s11_open();
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        CHECK_NEAR(cvxr_cone_bound(&s11.cone, s11.bits, s11.z, &s11.face), s11_norm(s11.v),
                   1e-11 * s11_norm(s11.z));
        for (k = 0; k < 10; k++) {
            double plain[S11_D];
            size_t q;
            s11.face.count = s11_below(s11.d + 1);
            memcpy(plain, s11.z, sizeof plain);
            for (q = 0; q < s11.face.count; q++) {
                s11.rows[q] = (uint32_t)s11_below(s11.n);
                s11.gamma[q] = 0.3 * fabs(s11_normal());
                for (i = 0; i < s11.d; i++)
                    plain[i] += s11.gamma[q] * s11_sign(s11.rows[q]) *
                                s11.X[s11.rows[q] * s11.dp + i];
            }
            CHECK_NEAR(cvxr_cone_bound(&s11.cone, s11.bits, s11.z, &s11.face), s11_norm(plain),
                       1e-13 * (1 + s11_norm(plain)));
            CHECK(s11_norm(plain) >= s11_norm(s11.v) - 1e-12);
        }
        s11_close();
    }
}

/* Stopped early: the norm is a bound between the projection's and what was enough, v and the
   multipliers agree, and as a start they lead to the same projection. */
TEST(a_projection_stops_when_its_norm_is_small_enough) {
    size_t seed, i, k, early = 0;
    for (seed = 0; seed < 200; seed++) {
        double exact[S11_D], rest[S11_D], norm, z, enough;
        s11_fill(20 + seed % 44, 2 + seed % 22, 91000 + seed);
        s11_degrade(seed % 10);
        s11_open();
        s11.cone.la.portable = (int)(seed & 1);
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        memcpy(exact, s11.v, sizeof exact);
        norm = s11_norm(exact), z = s11_norm(s11.z);
        for (k = 0; k < 5; k++) {
            int state;
            enough = norm + (z - norm) * 0.2 * (double)k;
            if (k < 4) s11.face.count = 0;
            state = cvxr_cone_project_until(&s11.cone, s11.bits, s11.z, enough, &s11.face,
                                            s11.v);
            CHECK(state == CVXR_CONE_OK || state == CVXR_CONE_ENOUGH);
            CHECK(s11_norm(s11.v) >= norm - 1e-12 * z);
            CHECK(s11_norm(s11.v) <= cvxr_max(enough, norm) + 1e-12 * z);
            for (i = 0; i < s11.d; i++) rest[i] = s11.v[i] - s11.z[i];
            for (i = 0; i < s11.face.count; i++) {
                const double by = s11.gamma[i] * s11_sign(s11.rows[i]);
                size_t j;
                CHECK(s11.gamma[i] >= 0);
                for (j = 0; j < s11.d; j++)
                    rest[j] -= by * s11.X[s11.rows[i] * s11.dp + j];
            }
            if (state == CVXR_CONE_ENOUGH) CHECK(s11_norm(rest) <= 1e-11 * z), early++;
        }
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        for (i = 0; i < s11.d; i++) CHECK_NEAR(s11.v[i], exact[i], 1e-11 * z);
        s11_close();
    }
    CHECK(early > 300);
}

TEST(violation_equals_plain_loops) {
    size_t seed, j;
    for (seed = 0; seed < 30; seed++) {
        double most = 0;
        s11_fill(1 + seed * 2, 1 + seed % 20, 77000 + seed);
        s11_degrade(seed % 10);
        s11_open();
        for (j = 0; j < s11.n; j++) {
            const double *x = s11.X + j * s11.dp;
            double norm = s11_norm(x), far = -s11_sign(j) * s11_dot(x, s11.z);
            if (norm > 0 && far / norm / s11_norm(s11.z) > most)
                most = far / norm / s11_norm(s11.z);
        }
        CHECK_NEAR(cvxr_cone_violation(&s11.cone, s11.bits, s11.z), most, 1e-14);
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        CHECK(cvxr_cone_violation(&s11.cone, s11.bits, s11.v) <= 1e-11);
        s11_close();
    }
    s11_open();
    memset(s11.v, 0, sizeof s11.v);
    CHECK(cvxr_cone_violation(&s11.cone, s11.bits, s11.v) == 0);
    s11_close();
}

TEST(null_space_is_orthonormal) {
    static double Z[S11_D * S11_D];
    size_t seed, i, j, k, count, left;
    for (seed = 0; seed < 48; seed++) {
        s11_fill(60, 1 + seed % 24, 87000 + seed);
        s11_degrade(seed % 10 == 9 ? 0 : seed % 10);
        s11_open();
        s11.cone.la.portable = (int)(seed / 4 & 1);
        for (i = 0; i < S11_D * S11_D; i++) Z[i] = 7;
        CHECK(s11_project(NULL) == CVXR_CONE_OK);
        if (seed % 4 == 0) s11.face.count = 0;
        left = s11.d - s11.face.count;
        count = cvxr_cone_null(&s11.cone, &s11.face, s11.d, Z);
        CHECK(count == left);
        for (i = 0; i < count; i++) {
            for (j = 0; j <= i; j++)
                CHECK_NEAR(s11_dot(Z + i * s11.dp, Z + j * s11.dp), i == j, 1e-13);
            for (j = s11.d; j < s11.dp; j++) CHECK(Z[i * s11.dp + j] == 0);
            for (k = 0; k < s11.face.count; k++) {
                const double *x = s11.X + s11.rows[k] * s11.dp;
                CHECK_NEAR(s11_dot(Z + i * s11.dp, x) / s11_norm(x), 0, 1e-13);
            }
        }
        s11_close();
    }
}

/* Refused memory leaves nothing behind; what is not a number comes back as a stall. */
TEST(failures_are_clean) {
    size_t limit;
    s11_fill(30, 6, 5);
    for (limit = 1; limit < 20000; limit += 500) {
        cvxr_mem_init(&s11.mem, NULL, limit);
        if (cvxr_cone_open(&s11.cone, &s11.mem, s11.X, s11.n, s11.d, s11.dp))
            cvxr_cone_close(&s11.cone, &s11.mem);
        else CHECK(s11.mem.failed == CVXRELU_ERR_LIMIT);
        CHECK(s11.mem.now == 0);
    }
    s11_open();
    s11.z[3] = NAN;
    CHECK(s11_project(NULL) == CVXR_CONE_STALLED);
    CHECK(s11.face.count == 0);
    s11_close();
}

SUITE(s11_cones) {
    RUN(projection_is_the_nearest_feasible_point);
    RUN(larger_cones_meet_the_optimality_conditions);
    RUN(general_bounds_feasible);
    RUN(general_bounds_infeasible);
    RUN(whole_space_and_zero_cone);
    RUN(any_start_gives_the_same_point);
    RUN(a_kept_factor_serves_the_next_projection);
    RUN(scales_do_not_matter);
    RUN(projection_is_idempotent_and_splits);
    RUN(a_projection_stops_when_its_norm_is_small_enough);
    RUN(bound_holds_for_any_multipliers);
    RUN(violation_equals_plain_loops);
    RUN(null_space_is_orthonormal);
    RUN(failures_are_clean);
}
