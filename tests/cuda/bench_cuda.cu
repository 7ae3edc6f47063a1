/* Speed of the kernels of cvxrelu_cuda.cuh on a card, against what the card does at best: a
   plain cuBLAS product in the same precision, and a copy in its memory. `make cuda-bench`.

     bench_cuda [--quick] [--panels]
         --quick   sizes of a few rows, for a run without a card (`make cuda-emulate`'s way)
         --panels  also the model operator over a range of panel sizes

   Each time is the least of five, each of enough repetitions for 0.1 s, by the card's events.
   Floating-point operations of the operator: 2 n d P c a pass, inactive rows counted; its
   bytes: data, masks, weights or gradients, predictions or residuals, each once. Of Newton's
   pieces: those of the lower triangles; bytes of a solve: the factor's twice. */
#define CVXRELU_CUDA_IMPLEMENTATION
#include "../../cvxrelu_cuda.cuh"
#include "gpu.h"
#include <functional>

typedef struct size {
    const char *name;
    size_t n, d, P, c;
} size;

static const size real_sizes[] = { { "MNIST", 60000, 784, 5000, 10 },
                                   { "UCI large", 10992, 16, 5000, 10 },
                                   { "UCI middle", 4601, 57, 5000, 1 },
                                   { "UCI small", 958, 27, 1000, 1 } };
static const size quick_sizes[] = { { "tiny", 65, 7, 9, 3 }, { "one", 1, 1, 1, 1 } };

static int quick;

/* Least seconds of one call. */
static double seconds_of(const std::function<void()> &call) {
    cudaEvent_t from, to;
    double least = 1e30, one = 1e30;
    int turn, i, count = 1;
    cudaEventCreate(&from), cudaEventCreate(&to);
    call();
    for (turn = 0; turn < (quick ? 2 : 6); turn++) {
        float ms = 0;
        cudaEventRecord(from, gpu.stream);
        for (i = 0; i < count; i++) call();
        cudaEventRecord(to, gpu.stream);
        gpu_must(cudaEventSynchronize(to) == cudaSuccess && !gpu.failed, "a timed call");
        cudaEventElapsedTime(&ms, from, to);
        one = (double)ms / 1e3 / count;
        if (turn && one < least) least = one; /* the first says how many */
        if (turn == 0 && !quick && one < 0.1)
            count = (int)(0.1 / (one > 1e-6 ? one : 1e-6)) + 1;
    }
    cudaEventDestroy(from), cudaEventDestroy(to);
    return least > 1e-12 ? least : 1e-12;
}

static const char *const names[] = { "float32", "TF32", "3 x TF32", "float64" };

/* TFLOP/s of a plain product, m x n x k, in the precision at hand: one product of it. */
template <typename T> static double gemm_rate(size_t m, size_t n, size_t k, int turn) {
    const device<T> A(gpu_numbers<T>(m * k)), B(gpu_numbers<T>(n * k));
    const device<T> C(m * n);
    const double s = seconds_of([&]() {
        cvxr_gpu_gemm(&gpu, gpu.precision != CVXRELU_CUDA_FLOAT32, turn, m, n, k, A.p,
                      turn ? k : m, B.p, k, (T)0, C.p, m);
    });
    return 2e-12 * (double)m * (double)n * (double)k / s;
}

static double copy_rate; /* bytes read and written a second */

static void peaks(double *gemm) {
    const size_t side = quick ? 16 : 8192, bytes = quick ? 4096 : (size_t)1 << 30;
    const device<char> a(bytes), b(bytes);
    int mode;
    copy_rate =
        2 * (double)bytes / seconds_of([&]() { cvxr_cuda_copy(&gpu, b.p, a.p, bytes); });
    printf("copy in the card's memory: %.0f GB/s\n", copy_rate / 1e9);
    for (mode = 0; mode < 4; mode++) {
        gpu.precision = mode < 3 ? (cvxrelu_cuda_precision)mode : CVXRELU_CUDA_FLOAT32;
        gemm[mode] = mode < 3 ? gemm_rate<float>(side, side, side, 0)
                              : gemm_rate<double>(side / 2, side / 2, side / 2, 0);
        if (mode == 2) gemm[mode] /= 3; /* three of them are one */
        printf("cuBLAS product of order %zu, %s: %.1f TFLOP/s\n", mode < 3 ? side : side / 2,
               names[mode], gemm[mode]);
    }
}

/* ---- Vectors ---------------------------------------------------------------------------- */

static void show_bytes(const char *what, double bytes, const std::function<void()> &call) {
    const double rate = bytes / seconds_of(call);
    printf("  %-34s %8.0f GB/s, %3.0f %% of a copy\n", what, rate / 1e9,
           100 * rate / copy_rate);
}

static void vectors(void) {
    const size_t rows = quick ? 33 : 50000, dp = quick ? 8 : 784, n = rows * dp;
    const double bytes = 4.0 * (double)n;
    const device<float> x(gpu_numbers<float>(n)), y(gpu_numbers<float>(n));
    const device<double> out(8), work(rows + (CVXR_GPU_SLICES + 1) * dp);
    const device<uint32_t> flags(rows), counts(rows), at(rows), starts(2);
    printf("vectors of %zu x %zu float32:\n", rows, dp);
    show_bytes("axpby", 3 * bytes, [&]() { cvxr_cuda_axpby(&gpu, n, 0.5, x.p, 0.5, y.p); });
    show_bytes("dot of differences", 4 * bytes,
               [&]() { cvxr_cuda_dot(&gpu, n, x.p, y.p, y.p, x.p, out.p); });
    show_bytes("prox, neurons", 2 * bytes, [&]() {
        cvxr_cuda_prox(&gpu, CVXRELU_PENALTY_NEURON, rows, dp, y.p, 1e-9, work.p);
    });
    show_bytes("prox, features", 3 * bytes, [&]() {
        cvxr_cuda_prox(&gpu, CVXRELU_PENALTY_FEATURE, rows, dp, y.p, 1e-9, work.p);
    });
    show_bytes("penalty, neurons", bytes, [&]() {
        cvxr_cuda_penalty(&gpu, CVXRELU_PENALTY_NEURON, rows, dp, y.p, work.p, out.p);
    });
    show_bytes("list of non-zero rows", bytes, [&]() {
        cvxr_cuda_flags(&gpu, rows, dp, y.p, flags.p);
        cvxr_cuda_list(&gpu, 1, rows, flags.p, counts.p, at.p, starts.p);
    });
}

/* ---- The model operator ----------------------------------------------------------------- */

template <typename T>
static void show_operator(const size &s, int mode, int fused, size_t panel_bytes, double peak) {
    const size_t dp = (s.d + 15) / 16 * 16, groups = s.P * s.c;
    const double flops = 2e-12 * (double)s.n * (double)s.d * (double)groups;
    size_t rows, columns;
    char panel[64];
    cvxr_gpu_list list;
    const double bytes = (double)sizeof(T)
                             * ((double)(s.n + groups) * (double)dp + (double)(s.c * s.n))
                         + 8.0 * (double)(s.P * ((s.n + 63) / 64));
    double forward, gradient, plain;
    cvxr_gpu_panel(s.n, groups, sizeof(T), panel_bytes, &rows, &columns);
    device_op<T> op(s.n, dp, s.P, s.c, rows, columns, gpu_rows<T>(s.n, s.d, dp, 0),
                    gpu_bits(s.n, s.P), mode == 2 && !fused);
    const device<T> U(gpu_rows<T>(groups, s.d, dp, 0)), r(gpu_numbers<T>(s.c * s.n)),
        z(s.c * s.n), G(groups * dp);
    op.op.fused = fused;
    memset(&list, 0, sizeof list);
    list.count = groups;
    gpu.precision = mode < 3 ? (cvxrelu_cuda_precision)mode : CVXRELU_CUDA_FLOAT32;
    forward = flops / seconds_of([&]() { cvxr_cuda_forward(&gpu, &op.op, &list, U.p, z.p); });
    gradient =
        flops / seconds_of([&]() { cvxr_cuda_gradient(&gpu, &op.op, &list, 1, r.p, G.p, dp); });
    plain = gemm_rate<T>(rows, columns, dp, 1) / (mode == 2 ? 3 : 1);
    if (fused) snprintf(panel, sizeof panel, "fused");
    else snprintf(panel, sizeof panel, "%zu x %zu", rows, columns);
    printf("  %-10s %-8s %15s %8.2f %8.2f  %4.0f %% %4.0f %%  %4.0f %% %4.0f %%  %8.2f %5.0f %%"
           " %4.0f %%\n",
           s.name, names[mode], panel, forward, gradient, 100 * forward / peak,
           100 * gradient / peak, 100 * bytes * forward / flops / copy_rate,
           100 * bytes * gradient / flops / copy_rate, plain, 100 * forward / plain,
           100 * gradient / plain);
}

static void operators(const size *sizes, size_t count, const double *gemm, int panels) {
    int l2 = 0, mode;
    size_t s, bytes;
    cudaDeviceGetAttribute(&l2, cudaDevAttrL2CacheSize, 0);
    printf("model operator, TFLOP/s; second-level cache %d KB\n", l2 / 1024);
    printf("  %-10s %-8s %15s %8s %8s  %s  %s  %s\n", "problem", "", "panel", "forward",
           "gradient", "of the peak", "of the copy", "product of a panel, and of that");
    for (s = 0; s < count; s++)
        for (mode = 0; mode < 4; mode++) {
            for (bytes = (size_t)l2 / 8; bytes <= (size_t)l2 * 4; bytes *= 2) {
                if (!panels && bytes * 2 != (size_t)l2) continue; /* half the cache */
                if (mode < 3) show_operator<float>(sizes[s], mode, 0, bytes, gemm[mode]);
                else show_operator<double>(sizes[s], mode, 0, bytes, gemm[mode]);
            }
            if (mode == 1 || mode == 2)
                show_operator<float>(sizes[s], mode, 1, (size_t)l2 / 2, gemm[mode]);
        }
}

/* ---- Newton's pieces -------------------------------------------------------------------- */

static void show_piece(const char *what, double flops, double bytes, double peak,
                       const std::function<void()> &call) {
    const double s = seconds_of(call);
    printf("  %-34s %10.2f ms %8.2f TFLOP/s, %3.0f %% of the peak", what, 1e3 * s,
           1e-12 * flops / s, 1e-10 * flops / s / peak);
    if (bytes > 0) printf(", %3.0f %% of a copy", 100 * bytes / s / copy_rate);
    printf("\n");
}

/* H of `count` groups, its factor, solves and products; Woodbury's matrix of `few` groups. */
static void newton_pieces(size_t n, size_t d, size_t count, size_t few, double peak) {
    const size_t dp = (d + 7) / 8 * 8, P = count, m = few * d, columns = quick ? 7 : 512;
    const double N = (double)n, k = (double)count, D = (double)d, M = (double)m;
    const doubles halves(count, 0.5);
    words at(count), ends(2, 0);
    cvxr_gpu_list list;
    size_t g, rows, wide, size = 0;
    for (g = 0; g < count; g++) at[g] = (uint32_t)g;
    ends[1] = (uint32_t)count;
    cvxr_gpu_panel(n, count, sizeof(double), (size_t)32 << 20, &rows, &wide);
    device_op<double> op(n, dp, P, 1, rows, wide, gpu_rows<double>(n, d, dp, 0),
                         gpu_bits(n, P), 0);
    const device<double> a(halves), v(gpu_numbers<double>(n)), out(n), W(count * dp), K(n * n),
        H(n * n), E(n * columns);
    const device<double> Zh(doubles(count * dp, 1 / sqrt((double)dp)));
    const device<uint32_t> dat(at), starts(ends);
    const device<int> info(1);
    cvxr_cuda_factor_size(&gpu, n, H.p, &size);
    const device<double> work(size);
    memset(&list, 0, sizeof list);
    list.count = count, list.at = dat.p, list.starts = starts.p, list.host_starts = ends.data();
    printf("Newton's matrix, float64, n = %zu, d = %zu, %zu groups; %zu by Woodbury\n", n, d,
           count, few);
    show_piece("Gram matrix of the data", N * N * (double)dp, 0, peak,
               [&]() { cvxr_cuda_gram(&gpu, &op.op, K.p); });
    show_piece("matrix", 2 * N * N * k + 2 * N * D * k, 0, peak, [&]() {
        cvxr_cuda_newton_matrix(&gpu, &op.op, count, dat.p, a.p, Zh.p, 1, 0, K.p, columns, E.p,
                                H.p);
    });
    show_piece("factor, with a copy before it", N * N * N / 3, 0, peak, [&]() {
        cvxr_cuda_copy(&gpu, K.p, H.p, n * n * sizeof(double)); /* K is used no more */
        cvxr_cuda_factor(&gpu, n, K.p, work.p, size, info.p);
    });
    show_piece("solve", 2 * N * N, 8 * N * N, peak,
               [&]() { cvxr_cuda_solve(&gpu, n, K.p, 1, out.p, info.p); });
    show_piece("product without the matrix", 4 * N * D * k, 0, peak, [&]() {
        cvxr_cuda_newton_apply(&gpu, &op.op, &list, a.p, Zh.p, 1, v.p, W.p, out.p);
    });
    show_piece("Woodbury's matrix", N * M * M, 0, peak, [&]() {
        cvxr_cuda_newton_groups(&gpu, &op.op, d, few, dat.p, a.p, Zh.p, 1, 0, n * columns / m,
                                E.p, H.p);
    });
}

int main(int argc, char **argv) {
    cudaDeviceProp card;
    double gemm[4];
    int i, panels = 0, devices = 0;
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) quick = 1;
        else if (strcmp(argv[i], "--panels") == 0) panels = 1;
        else {
            fprintf(stderr, "bench_cuda [--quick] [--panels]\n");
            return 2;
        }
    }
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
        printf("SKIP bench_cuda: no device\n");
        return 0;
    }
    gpu_open();
    cudaGetDeviceProperties(&card, 0);
    printf("%s, compute capability %d.%d, %.0f GB\n", card.name, card.major, card.minor,
           (double)card.totalGlobalMem / 1e9);
    peaks(gemm);
    vectors();
    if (quick) operators(quick_sizes, 2, gemm, panels);
    else operators(real_sizes, 4, gemm, panels);
    if (quick) newton_pieces(33, 3, 9, 4, gemm[3]);
    else newton_pieces(4000, 50, 200, 40, gemm[3]), newton_pieces(20000, 50, 200, 40, gemm[3]);
    gpu_must(!gpu.failed, "bench_cuda");
    gpu_close();
    return 0;
}
