/* Every kernel of cvxrelu_cuda.cuh against its twin in cvxrelu.h or a plain loop, at sizes of
   0, 1, around a warp and around a block. On a card: `make cuda-test`. Without: `make
   cuda-emulate`, under sanitizers, twice: threads from the first on, and from the last on, to
   the same bits; then also that no kernel was left out, and that every failing call of CUDA
   ends in an error. Arguments: filters of the runner. */
#define CVXRELU_IMPLEMENTATION
#define CVXRELU_CUDA_IMPLEMENTATION
#include "../../cvxrelu_cuda.cuh"
#include "../runner.h"
#include "gpu.h"
#include <string>

static const size_t sizes[] = { 0, 1, 31, 33, 255, 257, 1025 };
#define SIZES (sizeof sizes / sizeof *sizes)

template <typename T> static double eps(void) { return sizeof(T) == 4 ? 6e-8 : 1.2e-16; }

/* |a - b| <= by (|b| + floor), element by element; NaN is not. */
template <typename A, typename B>
static int near(const std::vector<A> &a, const std::vector<B> &b, double by, double floor) {
    size_t i;
    if (a.size() != b.size()) return 0;
    for (i = 0; i < a.size(); i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= by * (fabs((double)b[i]) + floor))) return 0;
    return 1;
}

template <typename A, typename B>
static int same(const std::vector<A> &a, const std::vector<B> &b) {
    return near(a, b, 0, 0);
}

static double scalar(const device<double> &d) { return d.get()[0]; }

/* ---- C02 ELEMENTS AND SUMS -------------------------------------------------------------- */

template <typename T> static void check_vectors(size_t n) {
    const std::vector<T> x = gpu_numbers<T>(n), y = gpu_numbers<T>(n), z = gpu_numbers<T>(n),
                         w = gpu_numbers<T>(n);
    const double tolerance = 16 * 1.2e-16 * (double)(n + 1);
    device<T> dx(x), dy(y), dz(z), dw(w), fresh(n);
    device<double> out(1), wide(n);
    std::vector<T> to = y, none(n);
    cvxr_cuda_axpby<T>(&gpu, n, 0.3, dx.p, -1.7, dy.p);
    cvxr_cuda_axpby<T>(&gpu, n, 0.3, dx.p, 0, fresh.p); /* of NaN memory */
    if (sizeof(T) == 4) cvxr_axpby_f32(n, 0.3, x.data(), -1.7, to.data());
    else cvxr_axpby_f64(n, 0.3, x.data(), -1.7, to.data());
    CHECK(near(dy.get(), to, 4 * eps<T>(), 1)); /* a card may fuse */
    if (sizeof(T) == 4) cvxr_axpby_f32(n, 0.3, x.data(), 0, none.data());
    else cvxr_axpby_f64(n, 0.3, x.data(), 0, none.data());
    CHECK(same(fresh.get(), none));
    cvxr_cuda_dot<T>(&gpu, n, dx.p, dz.p, dz.p, dw.p, out.p);
    CHECK_NEAR(scalar(out),
               sizeof(T) == 4
                   ? cvxr_dot_differences_f32(n, x.data(), z.data(), z.data(), w.data())
                   : cvxr_dot_differences_f64(n, x.data(), z.data(), z.data(), w.data()),
               4 * tolerance);
    cvxr_cuda_dot<T>(&gpu, n, dx.p, (T *)NULL, dz.p, (T *)NULL, out.p);
    CHECK_NEAR(scalar(out),
               sizeof(T) == 4 ? cvxr_dot_differences_f32(n, x.data(), NULL, z.data(), NULL)
                              : cvxr_dot_differences_f64(n, x.data(), NULL, z.data(), NULL),
               tolerance);
    cvxr_cuda_convert<T, double>(&gpu, n, dx.p, wide.p);
    CHECK(same(wide.get(), x));
    cvxr_cuda_convert<double, T>(&gpu, n, wide.p, fresh.p);
    CHECK(same(fresh.get(), x));
}

TEST(vectors_agree_with_those_of_the_cpu) {
    size_t s;
    for (s = 0; s < SIZES; s++) check_vectors<float>(sizes[s]), check_vectors<double>(sizes[s]);
    check_vectors<float>(3000); /* two stages of a sum */
}

template <typename T> static void check_loss(size_t n) {
    const std::vector<T> z = gpu_numbers<T>(n), z0 = gpu_numbers<T>(n);
    const doubles y = gpu_numbers<double>(n), wide(z.begin(), z.end()),
                  wide0(z0.begin(), z0.end());
    const double tolerance = 16 * 1.2e-16 * (double)(n + 1);
    doubles theta(n);
    device<T> dz(z), dz0(z0), dtheta(n);
    device<double> dy(y), out(1);
    size_t i;
    cvxr_losses[0].dual(n, wide.data(), y.data(), theta.data());
    for (i = 0; i < n; i++) theta[i] = (double)(T)(theta[i] / 7);
    cvxr_cuda_loss_dual<T>(&gpu, n, dz.p, dy.p, 7, dtheta.p);
    CHECK(same(dtheta.get(), theta));
    cvxr_cuda_loss_value<T>(&gpu, n, dz.p, dy.p, out.p);
    CHECK_NEAR(scalar(out), cvxr_losses[0].value(n, wide.data(), y.data()), tolerance);
    cvxr_cuda_loss_excess<T>(&gpu, n, dz.p, dz0.p, out.p);
    CHECK_NEAR(scalar(out), cvxr_losses[0].excess(n, wide.data(), wide0.data(), y.data()),
               tolerance);
}

TEST(losses_agree_with_those_of_the_cpu) {
    size_t s;
    for (s = 0; s < SIZES; s++) check_loss<float>(sizes[s]), check_loss<double>(sizes[s]);
}

/* ---- C03 GROUPS ------------------------------------------------------------------------- */

static const cvxrelu_penalty penalties[] = { CVXRELU_PENALTY_NEURON, CVXRELU_PENALTY_FEATURE,
                                             CVXRELU_PENALTY_L1, CVXRELU_PENALTY_L2 };

template <typename T> static void check_groups(size_t rows, size_t d, size_t dp) {
    const cvxrelu_type type = sizeof(T) == 4 ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
    const std::vector<T> U = gpu_rows<T>(rows, d, dp, 3);
    doubles norms(rows);
    device<T> dU(U);
    device<double> dnorms(rows), work(rows + (CVXR_GPU_SLICES + 1) * dp), out(1);
    size_t i, k;
    for (i = 0; i < rows; i++) {
        double s = 0;
        for (k = 0; k < d; k++) s += (double)U[i * dp + k] * (double)U[i * dp + k];
        norms[i] = sqrt(s);
    }
    cvxr_cuda_row_norms<T>(&gpu, rows, dp, dU.p, 0, dnorms.p);
    CHECK(near(dnorms.get(), norms, 1e-14, 0));
    for (i = 0; i < rows; i++) norms[i] *= norms[i];
    cvxr_cuda_row_norms<T>(&gpu, rows, dp, dU.p, 1, dnorms.p);
    CHECK(near(dnorms.get(), norms, 1e-14, 0));
    for (k = 0; k < 4; k++) {
        const cvxr_penalty_table *table = &cvxr_penalties[penalties[k]];
        const double t = penalties[k] == CVXRELU_PENALTY_L1 ? 0.2 : 0.6;
        std::vector<T> V = U;
        device<T> dV(U);
        cvxr_cuda_penalty<T>(&gpu, penalties[k], rows, dp, dU.p, work.p, out.p);
        CHECK_NEAR(scalar(out), cvxr_penalty_value(table, type, rows, dp, U.data()),
                   1e-14 * (double)(rows * dp + 1));
        cvxr_prox(table, type, rows, dp, V.data(), t);
        cvxr_cuda_prox<T>(&gpu, penalties[k], rows, dp, dV.p, t, work.p);
        CHECK(near(dV.get(), V, 4 * eps<T>(), 4));
    }
}

TEST(norms_prox_and_values_agree_with_those_of_the_cpu) {
    static const size_t shapes[][3] = { { 0, 5, 8 },    { 1, 1, 8 },     { 31, 31, 32 },
                                        { 33, 33, 40 }, { 9, 257, 264 }, { 257, 3, 8 },
                                        { 300, 8, 8 } };
    size_t s;
    for (s = 0; s < 7; s++) {
        check_groups<float>(shapes[s][0], shapes[s][1], shapes[s][2]);
        check_groups<double>(shapes[s][0], shapes[s][1], shapes[s][2]);
    }
}

/* The sums of S10 for one output, in the order of the device's. */
static doubles sweep_of_cpu(size_t penalty, size_t rows, size_t dp, const doubles &G,
                            const doubles &U, double lam, doubles *columns) {
    cvxr_penalty_sums sums;
    std::vector<const double *> at(rows);
    doubles out(CVXR_GPU_SWEEP);
    size_t i;
    memset(&sums, 0, sizeof sums);
    columns->assign(3 * dp, 0.0);
    sums.columns = columns->data();
    for (i = 0; i < rows; i++)
        at[i] = cvxr_row_is_zero_f64(dp, U.data() + i * dp) ? NULL : U.data() + i * dp;
    cvxr_penalties[penalty].sweep(rows, dp, G.data(), at.data(), lam, &sums);
    out[0] = sums.most, out[2] = sums.value, out[3] = sums.product;
    out[4] = penalty == CVXRELU_PENALTY_L2 ? sums.distance : sums.subgradient;
    for (i = 0; i < rows; i++) {
        const double s = cvxr_row_square_f64(dp, G.data() + i * dp);
        if (s > out[1]) out[1] = s;
        if (penalty != CVXRELU_PENALTY_L2) continue;
        out[3] = 0; /* S10's L2 has no use for it */
    }
    return out;
}

template <typename T> static void check_sweep(size_t rows, size_t d, size_t dp) {
    const std::vector<T> U = gpu_rows<T>(rows, d, dp, 2);
    const doubles G = gpu_rows<double>(rows, d, dp, 0), wide(U.begin(), U.end());
    device<T> dU(U);
    device<double> dG(G), work(CVXR_GPU_SWEEP * rows), sums(CVXR_GPU_SWEEP),
        slices(CVXR_GPU_SLICES * dp), column(dp);
    doubles columns, got;
    size_t k;
    for (k = 0; k < 4; k++) {
        doubles want = sweep_of_cpu(penalties[k], rows, dp, G, wide, 0.7, &columns);
        if (penalties[k] == CVXRELU_PENALTY_FEATURE) continue;
        cvxr_cuda_sweep(&gpu, penalties[k], rows, dp, dG.p, dU.p, 0.7, work.p, sums.p);
        got = sums.get();
        if (penalties[k] == CVXRELU_PENALTY_L2) got[3] = 0;
        CHECK(near(got, want, 1e-13, 1));
        cvxr_cuda_sweep(&gpu, penalties[k], rows, dp, dU.p, dU.p, 0.7, work.p, sums.p);
        got = sums.get(),
        want = sweep_of_cpu(penalties[k], rows, dp, wide, wide, 0.7, &columns);
        if (penalties[k] == CVXRELU_PENALTY_L2) got[3] = 0;
        CHECK(near(got, want, 1e-13, 1));
    }
    (void)sweep_of_cpu(CVXRELU_PENALTY_FEATURE, rows, dp, G, wide, 0.7, &columns);
    for (k = 0; k < 3; k++) {
        if (k == 0) cvxr_cuda_column_sums(&gpu, rows, dp, dG.p, dG.p, slices.p, column.p);
        if (k == 1) cvxr_cuda_column_sums(&gpu, rows, dp, dU.p, dU.p, slices.p, column.p);
        if (k == 2) cvxr_cuda_column_sums(&gpu, rows, dp, dU.p, dG.p, slices.p, column.p);
        CHECK(near(column.get(),
                   doubles(columns.begin() + (ptrdiff_t)(k * dp),
                           columns.begin() + (ptrdiff_t)((k + 1) * dp)),
                   1e-13, 1));
    }
}

TEST(sums_of_a_certificate_agree_with_those_of_the_cpu) {
    static const size_t shapes[][3] = {
        { 0, 5, 8 }, { 1, 1, 8 }, { 31, 33, 40 }, { 33, 31, 32 }, { 257, 7, 8 }
    };
    size_t s;
    for (s = 0; s < 5; s++) {
        check_sweep<float>(shapes[s][0], shapes[s][1], shapes[s][2]);
        check_sweep<double>(shapes[s][0], shapes[s][1], shapes[s][2]);
    }
}

template <typename T> static void check_list(size_t c, size_t P, size_t dp, size_t zero) {
    const size_t rows = c * P, blocks = (rows + CVXR_GPU_BLOCK - 1) / CVXR_GPU_BLOCK;
    std::vector<T> U = gpu_rows<T>(rows, dp, dp, zero);
    words at, starts(c + 1, 0), got;
    device<uint32_t> flags(rows), counts(blocks), list(rows), begins(c + 1);
    size_t i;
    for (i = 0; i < rows; i++) {
        if (i % 5 == 1) memset(&U[i * dp], 0, dp * sizeof(T)), U[i * dp + dp - 1] = (T)1e-30;
        if (P && i % P == 0) starts[i / P] = (uint32_t)at.size();
        if (zero == 0 || i % zero || i % 5 == 1) at.push_back((uint32_t)i);
    }
    starts[c] = (uint32_t)at.size();
    device<T> dU(U);
    cvxr_cuda_flags<T>(&gpu, rows, dp, dU.p, flags.p);
    cvxr_cuda_list(&gpu, c, P, flags.p, counts.p, list.p, begins.p);
    CHECK(same(begins.get(), starts));
    got = list.get();
    got.resize(at.size());
    CHECK(same(got, at));
}

TEST(lists_of_nonzero_rows_are_complete_and_in_order) {
    static const size_t shapes[][3] = { { 1, 0, 8 },  { 1, 1, 8 },    { 3, 31, 40 },
                                        { 2, 33, 8 }, { 1, 257, 33 }, { 10, 100, 8 } };
    size_t s;
    for (s = 0; s < 6; s++) {
        check_list<float>(shapes[s][0], shapes[s][1], shapes[s][2], 3);
        check_list<double>(shapes[s][0], shapes[s][1], shapes[s][2], 1); /* nearly all zero */
        check_list<float>(shapes[s][0], shapes[s][1], shapes[s][2], 0);
    }
    check_list<float>(1, 9000, 1, 2); /* more than 32 blocks */
}

template <typename T> static void check_numbered_rows(size_t rows, size_t dp) {
    const std::vector<T> U = gpu_numbers<T>(rows * dp), V = gpu_numbers<T>(rows * dp);
    std::vector<T> some, to = U, first = U, sum = U;
    words at, flags(rows), others(rows), either(rows);
    double rest = 0;
    size_t i, j;
    for (i = 0; i < rows; i++) {
        flags[i] = i % 3 == 1, others[i] = i % 2, either[i] = flags[i] | others[i];
        if (flags[i]) at.push_back((uint32_t)i);
        for (j = i * dp; j < (i + 1) * dp; j++) {
            if (flags[i]) {
                some.push_back(U[j]);
                to[j] = (T)2 * V[(at.size() - 1) * dp + j % dp];
                sum[j] = U[j] + to[j];
            } else first[j] = U[j] + (T)0.5 * V[j], rest += (double)U[j] * (double)U[j];
        }
    }
    device<T> dU(U), dV(V), dsome(at.size() * dp), dsum(U), dfirst(U), from(U);
    device<uint32_t> dat(at), dflags(flags), dothers(others);
    device<double> out(1);
    cvxr_cuda_gather<T>(&gpu, at.size(), dp, dat.p, dU.p, dsome.p);
    CHECK(same(dsome.get(), some));
    cvxr_cuda_add_rest<T>(&gpu, rows, dp, dflags.p, 0.5, dV.p, dfirst.p);
    CHECK(near(dfirst.get(), first, 2 * eps<T>(), 1));
    cvxr_cuda_rest_squares<T>(&gpu, rows, dp, dflags.p, dU.p, out.p);
    CHECK_NEAR(scalar(out), rest, 1e-13 * (1 + (double)(rows * dp)));
    cvxr_cuda_scatter<T>(&gpu, at.size(), dp, dat.p, 2, dV.p, 1, dsum.p);
    CHECK(near(dsum.get(), sum, 2 * eps<T>(), 1));
    cvxr_cuda_scatter<T>(&gpu, at.size(), dp, dat.p, 2, dV.p, 0, dU.p);
    CHECK(same(dU.get(), to));
    cvxr_cuda_either(&gpu, rows, dothers.p, dflags.p);
    CHECK(same(dflags.get(), either));
}

TEST(rows_by_their_numbers_go_where_they_belong) {
    check_numbered_rows<float>(0, 8), check_numbered_rows<double>(1, 8);
    check_numbered_rows<float>(31, 40), check_numbered_rows<double>(33, 8);
    check_numbered_rows<float>(257, 3), check_numbered_rows<double>(64, 257);
}

/* Rows of d in rows of lda, float64, to rows of ldb of T, backwards, and back. */
template <typename T>
static void check_restride(size_t rows, size_t d, size_t lda, size_t ldb) {
    const doubles x = gpu_rows<double>(rows, d, lda, 0);
    device<double> dx(x), dback(rows * lda);
    device<T> dy(rows * ldb), dz(rows * ldb);
    words at(rows);
    std::vector<T> y, z;
    doubles back;
    size_t i, j, wrong = 0;
    for (i = 0; i < rows; i++) at[i] = (uint32_t)(rows - 1 - i);
    device<uint32_t> dat(at);
    cvxr_cuda_restride(&gpu, rows, d, lda, dx.p, ldb, dy.p);
    cvxr_cuda_place(&gpu, rows, d, lda, dx.p, dat.p, ldb, dz.p);
    cvxr_cuda_restride(&gpu, rows, d, ldb, dy.p, lda, dback.p);
    y = dy.get(), z = dz.get(), back = dback.get();
    cvxr_cuda_pick(&gpu, rows, d, ldb, dz.p, dat.p, lda, dback.p);
    CHECK(same(back, dback.get()));
    for (i = 0; i < rows; i++)
        for (j = 0; j < ldb; j++) {
            const T want = j < d ? (T)x[i * lda + j] : (T)0;
            wrong += y[i * ldb + j] != want || z[(rows - 1 - i) * ldb + j] != want;
            wrong += j < lda && back[i * lda + j] != (double)want;
        }
    CHECK(wrong == 0);
}

TEST(rows_take_another_stride_and_type) {
    check_restride<float>(0, 3, 8, 16), check_restride<float>(33, 17, 24, 32);
    check_restride<float>(1, 16, 16, 16), check_restride<double>(257, 3, 8, 8);
    check_restride<double>(31, 5, 8, 16);
}

/* ---- C04 PATTERNS ----------------------------------------------------------------------- */

/* The patterns that the CPU samples, made again from its gates. */
static void check_patterns(size_t n, size_t d, size_t count) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns patterns;
    cvxrelu_gates gates;
    char message[CVXRELU_MESSAGE_SIZE];
    doubles X = gpu_numbers<double>(n * d), shift(d, 0.25), scales(d, 1.0), margin(n);
    size_t i, j;
    memset(&mem, 0, sizeof mem), memset(&data, 0, sizeof data);
    memset(&gates, 0, sizeof gates);
    for (j = 0; j < d && n > 1; j++) X[j] = 0; /* with a shift it is off zero */
    data.n = n, data.d = data.dp = data.features = d, data.X = X.data();
    data.shift = shift.data(), data.scales = scales.data();
    if (n > 1)
        for (j = 0; j < d; j++) X[d + j] = 1.0 / 1024;
    gates.count = count, gates.seed = 5;
    cvxr_mem_init(&mem, NULL, 0);
    for (j = 0; j < d; j++) shift[j] = 0;
    CHECK_TEXT(cvxr_patterns_make(&mem, &data, &gates, &patterns, message) ? message : "", "");
    for (i = 0; i < n; i++) {
        double s = 0;
        for (j = 0; j < d; j++) s += X[i * d + j] * X[i * d + j];
        margin[i] = 64 * (double)d * DBL_EPSILON * sqrt(s);
    }
    {
        const size_t P = patterns.count, w = patterns.words;
        std::vector<uint64_t> want(patterns.bits, patterns.bits + P * w), got;
        doubles g(patterns.gates, patterns.gates + P * d), norms(P);
        words doubts;
        for (i = 0; i < P; i++) norms[i] = cvxr_safe_norm(&g[i * d], d);
        if (P > 1) { /* the last gate now leaves row 1, and shifted row 0, in doubt */
            for (j = 0; j < d; j++) g[(P - 1) * d + j] = 0;
            if (d > 1 && n > 1) g[(P - 1) * d] = 1, g[(P - 1) * d + 1] = -1;
            norms[P - 1] = sqrt(2.0);
        }
        device<double> dX(X), dg(g), dm(margin), dn(norms), z(n * P);
        device<unsigned char> shifted(std::vector<unsigned char>(d, 0)),
            all(std::vector<unsigned char>(d, 1));
        device<uint64_t> bits(P * w);
        device<uint32_t> dd(P);
        cvxr_cuda_zero(&gpu, dd.p, P * sizeof(uint32_t));
        cvxr_cuda_patterns(&gpu, n, d, d, dX.p, P, dg.p, dm.p, dn.p, shifted.p, z.p, w, bits.p,
                           dd.p);
        got = bits.get(), doubts = dd.get();
        got.resize((P - 1) * w), want.resize((P - 1) * w);
        CHECK(got == want);
        for (i = 0; i + 1 < P; i++) CHECK(doubts[i] == 0);
        if (P > 1 && d > 1 && n > 1) CHECK(doubts[P - 1] == 1);
        cvxr_cuda_zero(&gpu, dd.p, P * sizeof(uint32_t));
        cvxr_cuda_patterns(&gpu, n, d, d, dX.p, P, dg.p, dm.p, dn.p, all.p, z.p, w, bits.p,
                           dd.p);
        doubts = dd.get();
        for (i = 0; i + 1 < P; i++) CHECK(doubts[i] == (n > 1));
    }
    cvxr_patterns_free(&mem, &patterns);
}

TEST(patterns_are_those_of_the_cpu_and_doubts_are_counted) {
    static const size_t shapes[][3] = { { 2, 3, 4 },  { 31, 4, 9 }, { 33, 2, 12 },
                                        { 64, 5, 9 }, { 65, 5, 9 }, { 257, 7, 20 },
                                        { 1, 1, 30 } };
    size_t s;
    for (s = 0; s < 7; s++) check_patterns(shapes[s][0], shapes[s][1], shapes[s][2]);
}

/* ---- C05 MODEL OPERATOR ----------------------------------------------------------------- */

struct shape {
    size_t n, d, dp, P, c, rows, columns, sides;
};

/* z and G by plain loops in float64 over the groups at[]. */
template <typename T>
static void operator_of_cpu(const shape &s, const std::vector<T> &X, const std::vector<T> &U,
                            const std::vector<T> &r, const std::vector<uint64_t> &bits,
                            const words &at, doubles *z, doubles *G) {
    size_t q, i, j;
    z->assign(s.c * s.n, 0.0), G->assign(at.size() * s.dp, 0.0);
    for (q = 0; q < at.size(); q++)
        for (i = 0; i < s.n; i++) {
            const size_t p = at[q] / s.sides % s.P, k = at[q] / s.sides / s.P;
            double sum = 0;
            if (!gpu_bit(bits, s.n, p, i)) continue;
            for (j = 0; j < s.d; j++) {
                sum += (double)X[i * s.dp + j] * (double)U[at[q] * s.dp + j];
                (*G)[q * s.dp + j] += (double)X[i * s.dp + j] * (double)r[k * s.n + i];
            }
            (*z)[k * s.n + i] += sum;
        }
}

/* A gradient row a pattern, in every second row. */
template <typename T>
static void check_both_sides(const shape &s, const cvxr_gpu_op<T> &op, const T *r, doubles G,
                             double by) {
    device<T> dG(std::vector<T>(G.size(), (T)7));
    cvxr_gpu_list list;
    size_t q;
    memset(&list, 0, sizeof list);
    list.count = s.c * s.P;
    for (q = 0; q < G.size(); q++)
        if (q / s.dp % 2) G[q] = 7;
    cvxr_cuda_gradient<T>(&gpu, &op, &list, 1, r, dG.p, 2 * s.dp);
    CHECK(near(dG.get(), G, by, sqrt((double)s.n) * 4));
}

/* With floor, errors are measured against the number of terms in a sum. */
template <typename T> static void check_operator(const shape &s, int listed, int three) {
    const size_t per = s.sides * s.P, rows = s.c * per;
    const std::vector<T> X = gpu_rows<T>(s.n, s.d, s.dp, 0), r = gpu_numbers<T>(s.c * s.n);
    std::vector<T> U = gpu_rows<T>(rows, s.d, s.dp, listed ? 3 : 0);
    const std::vector<uint64_t> bits = gpu_bits(s.n, s.P);
    const double by = (three ? 4 : 1) * 4 * eps<T>();
    words at, starts(s.c + 1, 0);
    doubles z, G;
    cvxr_gpu_list list;
    size_t q;
    gpu.precision = three ? CVXRELU_CUDA_TF32X3 : CVXRELU_CUDA_FLOAT32;
    for (q = 0; q < rows; q++) {
        if (listed && q / per == 1)
            memset(&U[q * s.dp], 0, s.dp * sizeof(T)); /* an empty one */
        if (q % per == 0) starts[q / per] = (uint32_t)at.size();
        if (!listed || (q % 3 && q / per != 1)) at.push_back((uint32_t)q);
    }
    starts[s.c] = (uint32_t)at.size();
    operator_of_cpu<T>(s, X, U, r, bits, at, &z, &G);
    device_op<T> op(s.n, s.dp, s.P, s.c, s.rows, s.columns, X, bits, three);
    device<T> dU(U), dr(r), dz(s.c * s.n), dG(at.size() * s.dp);
    device<uint32_t> dat(at), dstarts(starts);
    op.op.sides = s.sides;
    memset(&list, 0, sizeof list);
    list.count = at.size();
    if (listed) list.at = dat.p, list.starts = dstarts.p, list.host_starts = starts.data();
    cvxr_cuda_forward<T>(&gpu, &op.op, &list, dU.p, dz.p);
    CHECK(near(dz.get(), z, by, sqrt((double)(s.d * s.P)) * 4));
    cvxr_cuda_gradient<T>(&gpu, &op.op, &list, s.sides, dr.p, dG.p, s.dp);
    CHECK(near(dG.get(), G, by, sqrt((double)s.n) * 4));
    if (!listed && s.sides == 2) check_both_sides<T>(s, op.op, dr.p, G, by);
    if (listed) { /* the same weights without the rows between them */
        std::vector<T> packed;
        for (q = 0; q < at.size(); q++)
            packed.insert(packed.end(), U.begin() + (ptrdiff_t)(at[q] * s.dp),
                          U.begin() + (ptrdiff_t)((at[q] + 1) * s.dp));
        device<T> dpacked(packed);
        list.packed = 1;
        cvxr_cuda_forward<T>(&gpu, &op.op, &list, dpacked.p, dz.p);
        CHECK(near(dz.get(), z, by, sqrt((double)(s.d * s.P)) * 4));
    }
    gpu.precision = CVXRELU_CUDA_FLOAT32;
}

static const shape shapes_of_operator[] = {
    { 1, 1, 8, 1, 1, 64, 1, 1 },     { 31, 3, 8, 5, 2, 64, 4, 2 },
    { 33, 9, 16, 33, 1, 64, 31, 1 }, { 64, 5, 8, 7, 3, 64, 100, 2 },
    { 65, 5, 8, 31, 3, 64, 7, 1 },   { 257, 7, 8, 9, 4, 128, 10, 1 },
    { 300, 8, 8, 3, 5, 256, 2, 2 },  { 129, 33, 40, 40, 2, 64, 33, 1 }
};

TEST(forward_and_gradient_agree_with_plain_loops) {
    size_t s;
    int listed;
    for (s = 0; s < sizeof shapes_of_operator / sizeof *shapes_of_operator; s++)
        for (listed = 0; listed < 2; listed++) {
            check_operator<float>(shapes_of_operator[s], listed, 0);
            check_operator<double>(shapes_of_operator[s], listed, 0);
            check_operator<float>(shapes_of_operator[s], listed, 1);
        }
}

/* The fused kernels on all groups, on a list, and on its packed rows. */
static void check_fused(const shape &s, int listed, cvxrelu_cuda_precision precision) {
    const size_t per = s.sides * s.P, rows = s.c * per;
    const floats X = gpu_rows<float>(s.n, s.d, s.dp, 0), r = gpu_numbers<float>(s.c * s.n),
                 U = gpu_rows<float>(rows, s.d, s.dp, 0);
    const std::vector<uint64_t> bits = gpu_bits(s.n, s.P);
    const double by = precision == CVXRELU_CUDA_TF32 ? 1e-3 : 1e-6;
    words at, starts(s.c + 1, 0);
    floats packed;
    doubles z, G;
    cvxr_gpu_list list;
    size_t q;
    for (q = 0; q < rows; q++) {
        if (q % per == 0) starts[q / per] = (uint32_t)at.size();
        if (listed && (q % 3 == 0 || q / per == 1)) continue;
        at.push_back((uint32_t)q);
        packed.insert(packed.end(), U.begin() + (ptrdiff_t)(q * s.dp),
                      U.begin() + (ptrdiff_t)((q + 1) * s.dp));
    }
    starts[s.c] = (uint32_t)at.size();
    operator_of_cpu<float>(s, X, U, r, bits, at, &z, &G);
    device_op<float> op(s.n, s.dp, s.P, s.c, 64, 1, X, bits, 0);
    device<float> dU(U), dr(r), dz(s.c * s.n), dG(at.size() * s.dp), dpacked(packed);
    device<uint32_t> dat(at), dstarts(starts);
    op.op.sides = s.sides, op.op.fused = 1;
    memset(&list, 0, sizeof list);
    list.count = at.size();
    if (listed) list.at = dat.p, list.starts = dstarts.p, list.host_starts = starts.data();
    gpu.precision = precision;
    cvxr_cuda_forward<float>(&gpu, &op.op, &list, dU.p, dz.p);
    CHECK(near(dz.get(), z, by, sqrt((double)(s.d * s.P))));
    cvxr_cuda_gradient<float>(&gpu, &op.op, &list, s.sides, dr.p, dG.p, s.dp);
    CHECK(near(dG.get(), G, by, sqrt((double)s.n)));
    if (listed) {
        list.packed = 1;
        cvxr_cuda_forward<float>(&gpu, &op.op, &list, dpacked.p, dz.p);
        CHECK(near(dz.get(), z, by, sqrt((double)(s.d * s.P))));
    }
    gpu.precision = CVXRELU_CUDA_FLOAT32;
}

TEST(fused_kernels_agree_with_plain_loops) {
    static const shape shapes[] = { { 1, 1, 8, 1, 1, 0, 0, 1 },
                                    { 33, 9, 16, 65, 2, 0, 0, 1 },
                                    { 129, 33, 40, 5, 3, 0, 0, 2 },
                                    { 31, 70, 72, 3, 1, 0, 0, 1 },
                                    { 70, 3, 8, 129, 1, 0, 0, 1 } };
    size_t s;
    for (s = 0; s < 5; s++) {
        check_fused(shapes[s], 0, CVXRELU_CUDA_TF32X3),
            check_fused(shapes[s], 1, CVXRELU_CUDA_TF32);
        check_fused(shapes[s], 1, CVXRELU_CUDA_TF32X3),
            check_fused(shapes[s], 0, CVXRELU_CUDA_TF32);
    }
}

/* A warp's product of the tensor cores, and by plain loops. */
__global__ void test_mma(const uint32_t *a, const uint32_t *b, float *d, float *plain) {
    float x[4] = { 1, 2, 3, 4 }, y[4] = { 1, 2, 3, 4 };
    int e;
    cvxr_mma(x, a + 4 * threadIdx.x, b + 2 * threadIdx.x);
    cvxr_mma_plain(y, a + 4 * threadIdx.x, b + 2 * threadIdx.x);
    for (e = 0; e < 4; e++) d[4 * threadIdx.x + e] = x[e], plain[4 * threadIdx.x + e] = y[e];
}

/* The matrices of the layout: A 16 x 8, B 8 x 8, D 16 x 8. */
TEST(tensor_cores_multiply_in_the_layout_that_is_stated) {
    floats A(16 * 8), B(8 * 8), got;
    words a(32 * 4), b(32 * 2);
    doubles want(32 * 4);
    unsigned l, e, k;
    for (k = 0; k < A.size(); k++) A[k] = cvxr_tf32((float)gpu_random());
    for (k = 0; k < B.size(); k++) B[k] = cvxr_tf32((float)gpu_random());
    for (l = 0; l < 32; l++) {
        for (e = 0; e < 4; e++)
            memcpy(&a[4 * l + e], &A[(l / 4 + e % 2 * 8) * 8 + l % 4 + e / 2 * 4], 4);
        for (e = 0; e < 2; e++) memcpy(&b[2 * l + e], &B[(l % 4 + 4 * e) * 8 + l / 4], 4);
        for (e = 0; e < 4; e++)
            for (want[4 * l + e] = 1 + e, k = 0; k < 8; k++)
                want[4 * l + e] += (double)A[(l / 4 + e / 2 * 8) * 8 + k]
                                   * (double)B[k * 8 + l % 4 * 2 + e % 2];
    }
    device<uint32_t> da(a), db(b);
    device<float> d(128), plain(128);
    CVXR_LAUNCH(&gpu, (test_mma), dim3(1), dim3(32), da.p, db.p, d.p, plain.p);
    CHECK(near(d.get(), want, 1e-6, 4));
    CHECK(near(plain.get(), want, 1e-6, 4));
}

TEST(no_groups_give_zero_predictions) {
    const std::vector<float> X = gpu_rows<float>(33, 3, 8, 0);
    const std::vector<uint64_t> bits = gpu_bits(33, 2);
    device_op<float> op(33, 8, 2, 2, 64, 4, X, bits, 0);
    device<float> U(2 * 2 * 8), z(2 * 33);
    cvxr_gpu_list list;
    memset(&list, 0, sizeof list);
    cvxr_cuda_forward<float>(&gpu, &op.op, &list, U.p, z.p);
    CHECK(same(z.get(), floats(2 * 33, 0.0f)));
}

/* Largest error of a forward product, relative to the sizes of its terms. */
static double forward_error(cvxrelu_cuda_precision precision) {
    const shape s = { 64, 64, 64, 1, 1, 64, 1, 1 };
    const floats X = gpu_rows<float>(s.n, s.d, s.dp, 0), U = gpu_rows<float>(1, s.d, s.dp, 0),
                 r = gpu_numbers<float>(s.n);
    const std::vector<uint64_t> bits(1, ~(uint64_t)0);
    doubles z, G;
    floats got;
    cvxr_gpu_list list;
    double worst = 0;
    size_t i;
    operator_of_cpu<float>(s, X, U, r, bits, words(1, 0), &z, &G);
    device_op<float> op(s.n, s.dp, 1, 1, 64, 1, X, bits, precision == CVXRELU_CUDA_TF32X3);
    device<float> dU(U), dz(s.n);
    memset(&list, 0, sizeof list);
    list.count = 1;
    gpu.precision = precision;
    cvxr_cuda_forward<float>(&gpu, &op.op, &list, dU.p, dz.p);
    gpu.precision = CVXRELU_CUDA_FLOAT32;
    got = dz.get();
    for (i = 0; i < s.n; i++)
        if (fabs((double)got[i] - z[i]) > worst) worst = fabs((double)got[i] - z[i]);
    return worst / sqrt((double)s.d);
}

TEST(three_products_are_as_accurate_as_float32_one_is_not) {
    CHECK(forward_error(CVXRELU_CUDA_TF32) > 1e-5);
    CHECK(forward_error(CVXRELU_CUDA_TF32) < 1e-3);
    CHECK(forward_error(CVXRELU_CUDA_TF32X3) < 1e-6);
    CHECK(forward_error(CVXRELU_CUDA_FLOAT32) < 1e-6);
    CHECK(cvxr_tf32(1 + 1.0f / 2048) == 1 + 1.0f / 1024); /* a tie, away from zero */
    CHECK(cvxr_tf32(1 + 1.0f / 4096) == 1);
    CHECK(cvxr_tf32(-1 - 1.0f / 1024) == -1 - 1.0f / 1024);
}

TEST(panels_keep_their_budget) {
    static const size_t cases[][3] = {
        { 1, 1, 1 }, { 60000, 50000, 1 << 25 }, { 60000, 3, 4096 }, { 100, 50000, 1 << 20 }
    };
    size_t k, rows, columns;
    for (k = 0; k < 4; k++) {
        cvxr_gpu_panel(cases[k][0], cases[k][1], 4, cases[k][2], &rows, &columns);
        CHECK(rows % 64 == 0 && rows >= 64 && columns >= 1 && columns <= cases[k][1]);
        CHECK(rows * columns <= (cases[k][2] / 4 > 64 ? cases[k][2] / 4 : 64));
        CHECK(rows < cases[k][0] + 64);
    }
}

/* ---- C06 ONE-SIDED QUADRATICS ----------------------------------------------------------- */

static const double *row_of(const doubles &v, size_t row, size_t ld) {
    return v.data() + row * ld;
}

/* The twin on one group: what 0 residual, 1 excess, 2 gap. */
static double hinge_of_cpu(int what, const uint64_t *bits, uint64_t flip, double delta,
                           size_t n, const double *gamma, double *image, const double *other) {
    double sum = 0;
    size_t i;
    if (what == 1) return cvxr_hinge_excess_rows(bits, flip, delta, n, gamma, image, other);
    if (what == 0) cvxr_hinge_residual_rows(bits, flip, delta, n, gamma, image);
    for (i = 0; i < n; i++) {
        const double z = what ? *cvxr_signs_at(bits, flip, i) * image[i] : image[i];
        if (what == 0 || z < 0) sum += z * z;
    }
    return sum;
}

template <typename T> static void check_hinge(size_t n, size_t P, size_t c, int listed) {
    const size_t ld = (n + 7) / 8 * 8, groups = listed ? 3 : 2 * P * c, w = (n + 63) / 64;
    std::vector<uint64_t> bits = gpu_bits(n, P);
    words list, pattern(groups);
    cvxr_gpu_hinges h;
    doubles gamma(groups * ld, 0.0), image, other, sums;
    size_t g, i, k;
    int what;
    for (g = 0; g < groups; g++) {
        pattern[g] = (uint32_t)(g % P);
        if (listed || g % 3 == 0) list.push_back((uint32_t)g);
        for (i = 0; i < n; i++) gamma[g * ld + i] = (double)(T)fabs(gpu_random());
    }
    k = list.size();
    image.assign(k * ld, 0.0), other.assign(k * ld, 0.0), sums.resize(k);
    for (g = 0; g < k; g++)
        for (i = 0; i < n; i++)
            image[g * ld + i] = (double)(T)gpu_random(),
                           other[g * ld + i] = (double)(T)gpu_random();
    device<T> dgamma(std::vector<T>(gamma.begin(), gamma.end())),
        dimage(std::vector<T>(image.begin(), image.end())),
        dother(std::vector<T>(other.begin(), other.end()));
    device<uint64_t> dbits(bits);
    device<uint32_t> dlist(list), dpattern(pattern);
    device<double> dsums(k);
    memset(&h, 0, sizeof h);
    h.n = n, h.ld = ld, h.P = P, h.words = w, h.bits = dbits.p, h.delta = 3, h.list = dlist.p;
    h.pattern = listed ? dpattern.p : NULL;
    for (what = 2; what >= 0; what--) {
        static const cvxr_gpu_hinge whats[] = { CVXR_GPU_RESIDUAL, CVXR_GPU_EXCESS,
                                                CVXR_GPU_GAP };
        for (g = 0; g < k; g++) {
            const size_t p = listed ? pattern[list[g]] : list[g] / 2 % P;
            const uint64_t flip = listed || list[g] % 2 == 0 ? 0 : ~(uint64_t)0;
            sums[g] =
                hinge_of_cpu(what, bits.data() + p * w, flip, 3, ld, row_of(gamma, list[g], ld),
                             &image[g * ld], row_of(other, g, ld));
        }
        cvxr_cuda_hinge<T>(&gpu, whats[what], &h, k, dgamma.p, dimage.p, dother.p, dsums.p);
        CHECK(near(dsums.get(), sums, 64 * eps<T>(), 1 + (double)n / 8));
    }
    CHECK(near(dimage.get(), image, 8 * eps<T>(), 1));
    cvxr_cuda_hinge<T>(&gpu, CVXR_GPU_MULTIPLIERS, &h, k, dgamma.p, dimage.p, (T *)NULL,
                       (double *)NULL);
    for (g = 0; g < k; g++)
        for (i = 0; i < n; i++) gamma[list[g] * ld + i] = fabs(image[g * ld + i]);
    CHECK(near(dgamma.get(), gamma, 8 * eps<T>(), 1));
}

TEST(one_sided_quadratics_agree_with_those_of_the_cpu) {
    static const size_t rows[] = { 1, 31, 33, 64, 65, 257 };
    size_t s;
    for (s = 0; s < 6; s++) {
        check_hinge<double>(rows[s], 3, 2, 0), check_hinge<float>(rows[s], 3, 2, 0);
        check_hinge<double>(rows[s], 2, 1, 1), check_hinge<float>(rows[s], 2, 1, 1);
    }
}

template <typename T> static void check_image(size_t n, size_t count, int three) {
    const std::vector<T> X = gpu_rows<T>(n, 5, 8, 0), W = gpu_rows<T>(count, 5, 8, 0);
    const std::vector<uint64_t> bits = gpu_bits(n, 1);
    const size_t ld = n + 3;
    device_op<T> op(n, 8, 1, 1, 64, 1, X, bits, three);
    device<T> dW(W), image(std::vector<T>(count * ld, (T)0)), back(count * 8);
    doubles z(count * ld, 0.0), G(count * 8, 0.0);
    size_t g, i, j;
    for (g = 0; g < count; g++)
        for (i = 0; i < n; i++) {
            for (j = 0; j < 8; j++)
                z[g * ld + i] += (double)X[i * 8 + j] * (double)W[g * 8 + j];
            for (j = 0; j < 8; j++) G[g * 8 + j] += (double)X[i * 8 + j] * z[g * ld + i];
        }
    gpu.precision = three ? CVXRELU_CUDA_TF32X3 : CVXRELU_CUDA_FLOAT32;
    cvxr_cuda_image<T>(&gpu, &op.op, count, dW.p, image.p, ld, 0);
    CHECK(near(image.get(), z, 8 * eps<T>(), 4));
    cvxr_cuda_image<T>(&gpu, &op.op, count, back.p, image.p, ld, 1);
    CHECK(near(back.get(), G, 32 * eps<T>(), (double)n));
    gpu.precision = CVXRELU_CUDA_FLOAT32;
}

TEST(images_and_their_transposes_are_products_with_X) {
    check_image<float>(1, 1, 0), check_image<double>(33, 31, 0), check_image<float>(65, 0, 0);
    check_image<double>(257, 3, 0), check_image<float>(65, 33, 1);
}

/* ---- C07 NEWTON'S MATRIX ---------------------------------------------------------------- */

/* H by its definition: I + sigma sum_j D_j X (a I + (1-a) zh zh^T) X^T D_j. */
static doubles newton_of_cpu(size_t n, size_t dp, const doubles &X,
                             const std::vector<uint64_t> &bits, const words &patterns,
                             const doubles &a, const doubles &Zh, double sigma) {
    doubles H(n * n, 0.0);
    size_t i, l, j, g;
    for (i = 0; i < n; i++)
        for (l = 0; l < n; l++) {
            for (g = 0; g < patterns.size(); g++) {
                double xx = 0, xi = 0, xl = 0;
                if (!gpu_bit(bits, n, patterns[g], i) || !gpu_bit(bits, n, patterns[g], l))
                    continue;
                for (j = 0; j < dp; j++) {
                    xx += X[i * dp + j] * X[l * dp + j];
                    xi += X[i * dp + j] * Zh[g * dp + j];
                    xl += X[l * dp + j] * Zh[g * dp + j];
                }
                H[l * n + i] += sigma * (a[g] * xx + (1 - a[g]) * xi * xl);
            }
            if (i == l) H[l * n + i] += 1;
        }
    return H;
}

static void check_newton(size_t n, size_t d, size_t dp, size_t P, size_t count) {
    const doubles X = gpu_rows<double>(n, d, dp, 0), v = gpu_numbers<double>(n);
    const std::vector<uint64_t> bits = gpu_bits(n, P);
    doubles a(count), Zh = gpu_rows<double>(count, d, dp, 0), H, got, Hv(n, 0.0);
    words at(count), starts(2, 0);
    cvxr_gpu_list list;
    size_t g, i, j, size = 0;
    for (g = 0; g < count; g++) {
        const double norm = sqrt(cvxr_row_square_f64(dp, &Zh[g * dp]));
        at[g] = (uint32_t)(g * P / count);
        a[g] = 0.5 + 0.4 * gpu_random();
        for (j = 0; j < dp; j++) Zh[g * dp + j] /= norm;
    }
    starts[1] = (uint32_t)count;
    H = newton_of_cpu(n, dp, X, bits, at, a, Zh, 2.5);
    device_op<double> op(n, dp, P, 1, 64, 7, X, bits, 0);
    const size_t columns = 7; /* of a panel */
    device<double> da(a), dZh(Zh), dv(v), K(n * n), dH(n * n), E(n * columns), W(count * dp),
        out(n);
    device<uint32_t> dat(at), dstarts(starts);
    device<int> info(1);
    cvxr_cuda_gram(&gpu, &op.op, K.p);
    cvxr_cuda_newton_matrix(&gpu, &op.op, count, dat.p, da.p, dZh.p, 2.5, 0.25, K.p, columns,
                            E.p, dH.p);
    got = dH.get();
    for (i = 0; i < n * n; i++)
        if (i % n < i / n) got[i] = H[i];
        else if (i % n == i / n) got[i] -= 0.25;
    CHECK(near(got, H, 1e-13, (double)(count * d + 1)));
    cvxr_cuda_newton_matrix(&gpu, &op.op, count, dat.p, da.p, dZh.p, 2.5, 0, NULL, columns, E.p,
                            dH.p);
    got = dH.get();
    for (i = 0; i < n * n; i++)
        if (i % n < i / n) got[i] = H[i];
    CHECK(near(got, H, 1e-13, (double)(count * d + 1)));
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) Hv[i] += H[j * n + i] * v[j];
    memset(&list, 0, sizeof list);
    list.count = count;
    list.at = dat.p, list.starts = dstarts.p, list.host_starts = starts.data();
    cvxr_cuda_newton_apply<double>(&gpu, &op.op, &list, da.p, dZh.p, 2.5, dv.p, W.p, out.p);
    CHECK(near(out.get(), Hv, 1e-12, (double)(count * d * n + 1)));
    cvxr_cuda_newton_matrix(&gpu, &op.op, count, dat.p, da.p, dZh.p, 2.5, 0, K.p, columns, E.p,
                            dH.p);
    cvxr_cuda_factor_size(&gpu, n, dH.p, &size);
    device<double> work(size);
    cvxr_cuda_factor(&gpu, n, dH.p, work.p, size, info.p);
    CHECK(info.get()[0] == 0);
    device<double> right(Hv);
    cvxr_cuda_solve(&gpu, n, dH.p, 1, right.p, info.p);
    CHECK(near(right.get(), v, 1e-9, 1));
    cvxr_cuda_zero(&gpu, dH.p, n * n * sizeof(double));
    cvxr_cuda_factor(&gpu, n, dH.p, work.p, size, info.p);
    CHECK(info.get()[0] == 1);
}

TEST(newton_s_matrix_its_product_and_its_factor_agree) {
    check_newton(1, 1, 8, 1, 1), check_newton(31, 3, 8, 5, 4), check_newton(33, 9, 16, 40, 33);
    check_newton(65, 5, 8, 9, 9);
}

template <typename T> static void check_pieces(size_t n, size_t count) {
    const size_t dp = 8, P = 5;
    const std::vector<T> X = gpu_rows<T>(n, 5, dp, 0), image = gpu_numbers<T>(n * count),
                         Zh = gpu_rows<T>(count, 5, dp, 0), v = gpu_numbers<T>(n);
    const std::vector<uint64_t> bits = gpu_bits(n, P);
    doubles a(count, 0.25), want(n * count, 0.0), ones(n * count, 0.0), Hv(v.begin(), v.end());
    words at(count), starts(2, (uint32_t)count);
    cvxr_gpu_list list;
    size_t g, i, j;
    starts[0] = 0;
    for (g = 0; g < count; g++) at[g] = (uint32_t)(g % P);
    for (g = 0; g < count; g++) {
        doubles w(dp, 0.0);
        double dot = 0;
        for (i = 0; i < n; i++) {
            if (!gpu_bit(bits, n, at[g], i)) continue;
            want[g * n + i] = (double)(T)sqrt(0.75) * (double)image[g * n + i];
            ones[g * n + i] = 0.5;
            for (j = 0; j < dp; j++) w[j] += (double)X[i * dp + j] * (double)v[i];
        }
        for (j = 0; j < dp; j++) dot += w[j] * (double)Zh[g * dp + j];
        for (i = 0; i < n; i++)
            for (j = 0; j < dp && gpu_bit(bits, n, at[g], i); j++)
                Hv[i] += 0.1 * (double)X[i * dp + j]
                         * (0.25 * w[j] + 0.75 * dot * (double)Zh[g * dp + j]);
    }
    device_op<T> op(n, dp, P, 1, 64, 3, X, bits, 0);
    device<T> dimage(image), to(n * count), dZh(Zh), dv(v), W(count * dp), out(n);
    device<double> da(a);
    device<uint32_t> dat(at), dstarts(starts);
    cvxr_cuda_masked<T>(&gpu, &op.op, count, dat.p, da.p, 1, dimage.p, to.p);
    CHECK(near(to.get(), want, 2 * eps<T>(), 0));
    cvxr_cuda_masked<T>(&gpu, &op.op, count, dat.p, da.p, 0, (T *)NULL, to.p);
    CHECK(same(to.get(), ones));
    memset(&list, 0, sizeof list);
    list.count = count;
    list.at = dat.p, list.starts = dstarts.p, list.host_starts = starts.data();
    cvxr_cuda_newton_apply<T>(&gpu, &op.op, &list, da.p, dZh.p, 0.1, dv.p, W.p, out.p);
    CHECK(near(out.get(), Hv, 32 * eps<T>(), 1 + (double)(n * count)));
}

TEST(masked_columns_and_jacobians_agree_with_plain_loops) {
    check_pieces<float>(1, 1), check_pieces<double>(33, 31), check_pieces<float>(257, 9);
    check_pieces<double>(31, 0), check_pieces<double>(64, 33), check_pieces<float>(33, 5);
}

/* ---- C10 NEWTON'S TABLE ----------------------------------------------------------------- */

/* A task on an object, its Newton's part beside plain loops. */
struct newton_case {
    size_t n, d, ldx, P;
    doubles X, Y, gates;
    std::vector<uint64_t> bits;
    cvxrelu_device_task task;
    cvxrelu_cuda *cuda;
    const cvxrelu_device *device;
    const cvxrelu_device_newton *newton;
    void *self;

    newton_case(size_t rows, size_t columns, size_t patterns)
        : n(rows), d(columns), ldx((columns + 7) / 8 * 8), P(patterns),
          X(gpu_rows<double>(n, d, ldx, 0)), Y(2 * n, 0.0), gates(P * d, 0.0),
          bits(gpu_bits(n, P)), cuda(NULL), device(NULL), newton(NULL), self(NULL) {
        if (n == 1) bits.assign(P, 1); /* no matrix is I */
        memset(&task, 0, sizeof task);
        task.n = task.rows = n, task.d = d, task.outputs = 2, task.patterns = P;
        task.X = X.data(), task.Y = Y.data(), task.gates = gates.data();
        task.bits = bits.data(), task.words = (n + 63) / 64;
        task.ldx = task.ld = ldx, task.sides = 1, task.type = CVXRELU_FLOAT64;
    }
    /* The task on a card of this much memory. */
    int open(size_t limit) {
        cvxrelu_cuda_options card;
        memset(&card, 0, sizeof card);
        card.memory_limit = limit;
        if (cvxrelu_cuda_open(&card, &cuda, NULL)) return 0;
        device = cvxrelu_cuda_device(cuda), newton = device->newton, self = device->self;
        return device->open(self, &task, NULL) == CVXRELU_OK;
    }
    void close(void) {
        device->close(self);
        CHECK(cuda->held == CVXR_GPU_SUMS * sizeof(double));
        cvxrelu_cuda_close(cuda);
    }
    doubles fetch(const void *v) const {
        doubles to(n, 7.0);
        size_t i;
        newton->fetch(self, v, to.data());
        for (i = 0; i < n; i++)
            gpu_hash = (gpu_hash ^ (uint64_t)(to[i] * 1e6)) * 1099511628211u;
        return to;
    }
    void *vector(const doubles &from) const {
        void *v = newton->vector(self);
        if (v) newton->send(self, from.data(), v);
        return v;
    }
    /* z, or with z = NULL G, of groups by plain loops. */
    void products(const std::vector<size_t> &at, const doubles &U, const doubles &v, doubles *z,
                  doubles *G) const {
        size_t g, i, j;
        for (g = 0; g < at.size(); g++)
            for (i = 0; i < n; i++)
                for (j = 0; j < d && gpu_bit(bits, n, at[g], i); j++) {
                    if (z) (*z)[i] += X[i * ldx + j] * U[g * ldx + j];
                    if (G) (*G)[g * ldx + j] += X[i * ldx + j] * v[i];
                }
    }
};

/* An active set of `count` of P patterns. */
struct newton_set {
    std::vector<size_t> at;
    words numbers;
    doubles a, zh;
    newton_set(size_t count, size_t d, size_t ldx, size_t P)
        : a(count), zh(gpu_rows<double>(count, d, ldx, 0)) {
        size_t g, j;
        for (g = 0; g < count; g++) {
            const double norm = sqrt(cvxr_row_square_f64(ldx, &zh[g * ldx]));
            at.push_back((g * 7 + 3) % P), numbers.push_back((uint32_t)at[g]);
            a[g] = 0.5 + 0.4 * gpu_random();
            for (j = 0; j < ldx; j++) zh[g * ldx + j] /= norm;
        }
    }
    void put(const newton_case &c) const {
        c.newton->active(c.self, at.size(), at.data(), a.data(), zh.data());
    }
    /* (H + jitter I) v by plain loops. */
    doubles times(const newton_case &c, double sigma, double jitter, const doubles &v) const {
        const doubles H = newton_of_cpu(c.n, c.ldx, c.X, c.bits, numbers, a, zh, sigma);
        doubles out(c.n);
        size_t i, j;
        for (i = 0; i < c.n; i++)
            for (out[i] = jitter * v[i], j = 0; j < c.n; j++) out[i] += H[j * c.n + i] * v[j];
        return out;
    }
};

/* Vectors: zeros, there and back, sums in place and of what must not be read. */
static void check_newton_vectors(const newton_case &c) {
    const doubles x = gpu_numbers<double>(c.n), y = gpu_numbers<double>(c.n);
    const doubles nan(c.n, NAN);
    void *a = c.newton->vector(c.self), *b, *no;
    doubles sum(c.n);
    double dot = 0;
    size_t i;
    CHECK(same(c.fetch(a), doubles(c.n, 0.0)));
    b = c.vector(y), no = c.vector(nan);
    c.newton->send(c.self, x.data(), a);
    CHECK(same(c.fetch(a), x));
    for (i = 0; i < c.n; i++) dot += x[i] * y[i], sum[i] = 2 * x[i] - 3 * y[i];
    CHECK_NEAR(c.newton->dot(c.self, a, b), dot, 1e-14 * (double)(c.n + 1));
    c.newton->combine(c.self, 2, a, -3, b, a);
    CHECK(near(c.fetch(a), sum, 1e-15, 1));
    c.newton->combine(c.self, 0, no, 1, b, b);
    CHECK(same(c.fetch(b), y));
    c.newton->combine(c.self, 1, b, 0, NULL, a);
    CHECK(same(c.fetch(a), y));
    c.newton->combine(c.self, 0, NULL, 0, no, no);
    CHECK(same(c.fetch(no), doubles(c.n, 0.0)));
    c.newton->release(c.self, no), c.newton->release(c.self, b);
    c.newton->release(c.self, a), c.newton->release(c.self, NULL);
}

/* Products with any number of groups, in and out of order. */
static void check_newton_products(const newton_case &c, size_t count) {
    const doubles U = gpu_rows<double>(count, c.d, c.ldx, 0), v = gpu_numbers<double>(c.n);
    const double by = 1e-14 * (double)(1 + count * c.d);
    std::vector<size_t> at(count), first(count);
    doubles z(c.n, 0.0), G(count * c.ldx, 0.0), got(count * c.ldx, 7.0);
    void *dv = c.vector(v), *dz = c.vector(doubles(c.n, NAN));
    size_t g;
    for (g = 0; g < count; g++) at[g] = (5 * g + 2) % c.P, first[g] = g;
    c.products(at, U, v, &z, &G);
    c.newton->forward(c.self, count, at.data(), U.data(), dz);
    CHECK(near(c.fetch(dz), z, by, 1));
    c.newton->gradient(c.self, count, at.data(), dv, got.data());
    CHECK(near(got, G, 1e-14 * (double)c.n, 1));
    if (count <= c.P) {
        G.assign(count * c.ldx, 0.0), got.assign(count * c.ldx, 7.0);
        c.products(first, U, v, NULL, &G);
        c.newton->gradient(c.self, count, NULL, dv, got.data());
        CHECK(near(got, G, 1e-14 * (double)c.n, 1));
    }
    c.newton->release(c.self, dz), c.newton->release(c.self, dv);
}

/* Of two factors, each in the cheaper form; the first of H makes the Gram matrix. */
static double newton_flops(const newton_case &c, double k) {
    const double n = (double)c.n, d = (double)c.d, m = k * d;
    const double rows = 2 * n * n * k + 2 * n * m + n * n * n / 3;
    const double groups = m > n ? rows : n * m * (m + 3) + m * m * m / 3;
    return groups < rows ? 2 * groups : 2 * rows + n * n * d;
}

/* H v; the factor solves with it, also when another set is active since; sigma < 0 has none. */
static void check_newton_factor(const newton_case &c, size_t count) {
    const newton_set set(count, c.d, c.ldx, c.P), other(1, c.d, c.ldx, c.P);
    const doubles v = gpu_numbers<double>(c.n);
    const double floor = (double)(1 + count * c.d * c.n);
    void *dv = c.vector(v), *out = c.vector(doubles(c.n, NAN)), *right;
    double passes = 0, flops = 0;
    set.put(c);
    c.newton->apply(c.self, 2.5, dv, out);
    CHECK(near(c.fetch(out), set.times(c, 2.5, 0, v), 1e-13, floor));
    c.device->work(c.self, &passes, &flops), passes = flops = 0;
    CHECK(c.newton->factor(c.self, -1e4, 0) == 0);
    CHECK(c.newton->factor(c.self, 2.5, 0.25) == 1);
    c.device->work(c.self, &passes, &flops);
    CHECK(passes == 0);
    CHECK_NEAR(flops, newton_flops(c, (double)count), 1e-12 * flops);
    right = c.vector(set.times(c, 2.5, 0.25, v));
    other.put(c);
    c.newton->solve(c.self, right, out);
    CHECK(near(c.fetch(out), v, 1e-9, 1));
    c.newton->apply(c.self, 0.5, dv, out);
    CHECK(near(c.fetch(out), other.times(c, 0.5, 0, v), 1e-13, floor));
    c.device->work(c.self, &passes, &flops);
    CHECK_NEAR(passes, 2.0 / (double)c.P, 1e-15);
    c.newton->release(c.self, right), c.newton->release(c.self, out);
    c.newton->release(c.self, dv);
}

TEST(newton_s_table_agrees_with_plain_loops) {
    static const size_t shapes[][5] = {
        { 1, 1, 3, 1, 2 },   { 31, 3, 5, 2, 33 },    { 33, 9, 40, 33, 1 }, { 65, 5, 9, 9, 0 },
        { 257, 2, 3, 2, 3 }, { 31, 2, 300, 33, 300 }, { 33, 8, 6, 4, 2 }
    };
    size_t k, held;
    for (k = 0; k < 7; k++) {
        newton_case c(shapes[k][0], shapes[k][1], shapes[k][2]);
        CHECK(c.open(0));
        held = c.cuda->held;
        CHECK(c.newton->open(c.self, shapes[k][3]) == 1);
        check_newton_vectors(c);
        check_newton_products(c, shapes[k][4]);
        check_newton_factor(c, shapes[k][3]);
        CHECK(c.device->status(c.self, NULL) == CVXRELU_OK);
        c.newton->close(c.self);
        CHECK(c.cuda->held == held);
        c.close();
    }
}

/* What there is in so much memory: 0 no room for the task, 1 none for Newton, 2 for factors of
   few groups, 3 for all of them, 4 and for K; they work, and nothing is left of them. */
static int newton_in(size_t limit, size_t *peak) {
    newton_case c(65, 3, 200);
    const newton_set many(100, c.d, c.ldx, c.P), few(9, c.d, c.ldx, c.P);
    const doubles v = gpu_numbers<double>(c.n);
    size_t held;
    int found = 1, k;
    if (!c.open(limit)) {
        cvxrelu_cuda_close(c.cuda);
        return 0;
    }
    held = c.cuda->held;
    if (c.newton->open(c.self, 150)) {
        void *a[CVXR_DEV_VECTORS];
        for (k = 0; k < CVXR_DEV_VECTORS; k++) a[k] = c.newton->vector(c.self);
        for (found = c.cuda->newton.K ? 4 : 3, k = 0; k < 2; k++) {
            const newton_set &set = k ? many : few;
            c.newton->send(c.self, set.times(c, 2, 0.5, v).data(), a[0]);
            set.put(c);
            if (c.newton->factor(c.self, 2, 0.5) == -1) {
                CHECK(k == 1);
                found = 2;
                break;
            }
            c.newton->solve(c.self, a[0], a[1]);
            CHECK(near(c.fetch(a[1]), v, 1e-9, 1));
        }
        for (k = 0; k < CVXR_DEV_VECTORS; k++) c.newton->release(c.self, a[k]);
        c.newton->close(c.self);
    }
    CHECK(c.device->status(c.self, NULL) == CVXRELU_OK && c.cuda->held == held);
    CHECK(limit == 0 || c.cuda->peak <= limit);
    *peak = c.cuda->peak;
    c.close();
    return found;
}

TEST(newton_s_table_keeps_to_the_memory_limit) {
    size_t most = 0, peak = 0, limit;
    int results[5] = { 0, 0, 0, 0, 0 }, last = 4;
    CHECK(newton_in(0, &most) == 4);
    for (limit = most; last > 0; limit -= limit / 12) {
        const int result = newton_in(limit, &peak);
        CHECK(result <= last); /* less and less */
        last = result;
        results[last]++;
    }
    CHECK(results[4] > 0 && results[1] > 0);
#ifdef CVXRELU_CUDA_EMULATED /* cuSOLVER's workspace is small there */
    CHECK(results[4] > 2 && results[3] > 0 && results[2] > 0 && results[1] > 2);
#endif
}

/* ---- Errors ----------------------------------------------------------------------------- */

TEST(the_first_error_stands_and_later_calls_do_nothing) {
    device<double> x(doubles(3, 1.0));
    cvxr_gpu_fail(&gpu, CVXRELU_ERR_MEMORY, "one", "two");
    CHECK(cvxr_cuda_axpby<double>(&gpu, 3, 2, x.p, 0, x.p) == CVXRELU_ERR_MEMORY);
    CHECK(cvxr_gpu_fail(&gpu, CVXRELU_ERR_DEVICE, "three", "four") == CVXRELU_ERR_MEMORY);
    CHECK_TEXT(gpu.message, "CUDA: one: two");
    gpu.failed = 0;
    CHECK(same(x.get(), doubles(3, 1.0)));
}

#ifdef CVXRELU_CUDA_EMULATED
/* One of everything. */
struct everything {
    device_op<float> op;
    device<float> U, z, G;
    device<double> H, work, out, y, b;
    device<int> info;
    cvxr_gpu_list list;
    everything()
        : op(33, 8, 3, 1, 64, 2, gpu_rows<float>(33, 5, 8, 0), gpu_bits(33, 3), 1),
          U(gpu_rows<float>(3, 5, 8, 0)), z(33), G(24), H(4), work(8), out(1),
          y(doubles(33, 0.0)), b(2), info(1) {
        memset(&list, 0, sizeof list);
        list.count = 3;
    }
    void run() {
        double host;
        size_t size;
        gpu.precision = CVXRELU_CUDA_TF32X3;
        cvxr_cuda_forward<float>(&gpu, &op.op, &list, U.p, z.p);
        cvxr_cuda_gradient<float>(&gpu, &op.op, &list, 1, z.p, G.p, 8);
        cvxr_cuda_loss_value<float>(&gpu, 33, z.p, y.p, out.p);
        cvxr_cuda_copy(&gpu, H.p, y.p, 4 * sizeof(double));
        cvxr_gpu_syrk(&gpu, 1, 2, 2, 1, y.p, 2, 0, H.p);
        cvxr_cuda_factor_size(&gpu, 2, H.p, &size);
        cvxr_cuda_factor(&gpu, 2, H.p, work.p, 8, info.p);
        cvxr_cuda_solve(&gpu, 2, H.p, 1, b.p, info.p);
        cvxr_cuda_fetch(&gpu, &host, out.p, sizeof host);
        gpu.precision = CVXRELU_CUDA_FLOAT32;
    }
};

TEST(every_call_that_fails_is_an_error_in_words) {
    everything e;
    long k, failures = 0;
    for (k = 0;; k++) {
        gpu.failed = 0, gpu.message[0] = 0, emu.fail_in = k;
        e.run();
        if (emu.fail_in >= 0) break; /* there are fewer calls */
        failures++;
        CHECK(gpu.failed == CVXRELU_ERR_DEVICE && strncmp(gpu.message, "CUDA: ", 6) == 0);
    }
    CHECK(failures > 20 && gpu.failed == 0);
    emu.fail_in = -1;
}

/* Newton's part on a task, from opening to closing: 0 not there, 1 all of it, 2 without K. */
static int newton_once(newton_case &c) {
    const newton_set set(3, c.d, c.ldx, c.P);
    doubles G(2 * c.ldx, 1.0), v(c.n, 1.0);
    const std::vector<size_t> at(2, 1);
    int opened = 0;
    if (c.open(0)) {
        opened = c.newton->open(c.self, 3);
        opened += opened && c.cuda->newton.K == NULL;
        if (opened) {
            void *a = c.newton->vector(c.self), *b = c.newton->vector(c.self);
            if (a && b) {
                c.newton->send(c.self, v.data(), a);
                c.newton->forward(c.self, 2, at.data(), G.data(), b);
                c.newton->combine(c.self, 1, a, 1, b, b);
                c.newton->gradient(c.self, 2, at.data(), b, G.data());
                set.put(c);
                c.newton->apply(c.self, 1, a, b);
                if (c.newton->factor(c.self, 1, 0) == 1) c.newton->solve(c.self, a, b);
                (void)c.newton->dot(c.self, a, b);
                c.newton->fetch(c.self, b, v.data());
            }
            c.newton->release(c.self, b), c.newton->release(c.self, a);
            c.newton->close(c.self);
        }
    }
    return opened;
}

TEST(newton_s_table_survives_every_failing_call) {
    const size_t used = emu.used;
    newton_case c(33, 3, 5);
    long k, errors = 0, absent = 0, less = 0, calls = -1;
    for (k = 0; calls < 0; k++) {
        int opened;
        emu.fail_in = k;
        opened = newton_once(c);
        if (emu.fail_in >= 0) calls = k;
        emu.fail_in = -1;
        if (c.cuda) {
            const int failed = c.device->status(c.self, NULL) != CVXRELU_OK;
            CHECK(failed || opened != 1 || calls >= 0);
            errors += failed, absent += !failed && !opened, less += !failed && opened == 2;
            c.device->close(c.self);
            cvxrelu_cuda_close(c.cuda);
        } else errors++;
        c.cuda = NULL;
        CHECK(emu.used == used);
    }
    CHECK(errors > 60 && absent > 6 && less > 2);
}

/* ---- Nothing is left out ---------------------------------------------------------------- */

/* The instances that were launched of what has this name: its letters, then no letter. */
static int instances(const std::string &name, const char *of) {
    std::map<std::string, std::set<std::string>>::const_iterator k;
    int count = 0;
    for (k = emu.launched.begin(); k != emu.launched.end(); ++k) {
        std::set<std::string>::const_iterator i;
        const size_t at = k->first.find(name);
        const char after = at == std::string::npos ? 0 : k->first[at + name.size()];
        if (after && !isalnum((unsigned char)after) && after != '_')
            count += (int)k->second.size();
        for (i = k->second.begin(); i != k->second.end(); ++i)
            count += i->find(name + of) != std::string::npos;
    }
    return count;
}

static void want_launched(const std::string &line, size_t at, int is_kernel, int is_template) {
    const std::string name = line.substr(at, line.find_first_of("( {\n", at) - at);
    const int found = is_kernel     ? instances(name, "\n") >= 1 + is_template
                      : is_template ? instances(name, "If") > 0 && instances(name, "Id") > 0
                                    : instances(name, "") > 0;
    if (!found) printf("     %s was not launched, or for one type only\n", name.c_str());
    CHECK(found);
}

TEST(every_kernel_and_every_element_function_was_launched) {
    FILE *file = fopen("cvxrelu_cuda.cuh", "r");
    char text[256];
    int kernels = 0, functions = 0, is_template = 0, is_kernel = 0;
    CHECK(file != NULL);
    while (file && fgets(text, sizeof text, file)) {
        const std::string line = text;
        const size_t kernel = line.find("cvxr_k_"), f = line.find("struct cvxr_f_");
        if (line[0] == '}' || line[0] == '\n') is_template = is_kernel = 0;
        is_template |= line.compare(0, 8, "template") == 0;
        is_kernel |= line.find("__global__ ") != std::string::npos;
        if (is_kernel && kernel != std::string::npos) {
            want_launched(line, kernel, 1, is_template);
            kernels++, is_kernel = 0;
        }
        if (f != std::string::npos) want_launched(line, f + 7, 0, is_template), functions++;
    }
    if (file) fclose(file);
    CHECK(kernels >= 18 && functions >= 15);
}
#endif

/* ---- All -------------------------------------------------------------------------------- */

SUITE(cuda) {
    gpu_open();
    gpu_state = 1;
    RUN(vectors_agree_with_those_of_the_cpu);
    RUN(losses_agree_with_those_of_the_cpu);
    RUN(norms_prox_and_values_agree_with_those_of_the_cpu);
    RUN(sums_of_a_certificate_agree_with_those_of_the_cpu);
    RUN(lists_of_nonzero_rows_are_complete_and_in_order);
    RUN(rows_by_their_numbers_go_where_they_belong);
    RUN(rows_take_another_stride_and_type);
    RUN(patterns_are_those_of_the_cpu_and_doubts_are_counted);
    RUN(forward_and_gradient_agree_with_plain_loops);
    RUN(fused_kernels_agree_with_plain_loops);
    RUN(tensor_cores_multiply_in_the_layout_that_is_stated);
    RUN(no_groups_give_zero_predictions);
    RUN(three_products_are_as_accurate_as_float32_one_is_not);
    RUN(panels_keep_their_budget);
    RUN(one_sided_quadratics_agree_with_those_of_the_cpu);
    RUN(images_and_their_transposes_are_products_with_X);
    RUN(newton_s_matrix_its_product_and_its_factor_agree);
    RUN(masked_columns_and_jacobians_agree_with_plain_loops);
    RUN(newton_s_table_agrees_with_plain_loops);
    RUN(newton_s_table_keeps_to_the_memory_limit);
    RUN(the_first_error_stands_and_later_calls_do_nothing);
    gpu_close();
}

#ifdef CVXRELU_CUDA_EMULATED
static uint64_t hash_of_first_order;

TEST(results_do_not_depend_on_the_order_of_threads) { CHECK(hash_of_first_order == gpu_hash); }

SUITE(cuda_emulation) {
    gpu_open();
    RUN(results_do_not_depend_on_the_order_of_threads);
    RUN(every_call_that_fails_is_an_error_in_words);
    RUN(newton_s_table_survives_every_failing_call);
    gpu_close();
    if (runner.filter_count == 0) RUN(every_kernel_and_every_element_function_was_launched);
}
#endif

int main(int argc, char **argv) {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        printf("SKIP cuda: no device\n");
        return 0;
    }
    runner_open(argc, argv);
    RUN_SUITE(cuda);
#ifdef CVXRELU_CUDA_EMULATED
    hash_of_first_order = gpu_hash, gpu_hash = 14695981039346656037u;
    emu.backward = 1;
    RUN_SUITE(cuda);
    emu.backward = 0;
    RUN_SUITE(cuda_emulation);
#endif
    return runner_close();
}
