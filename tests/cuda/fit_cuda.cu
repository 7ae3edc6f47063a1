/* Whole solves on a card, or on its emulation, beside the same solves on the CPU: same options,
   same report to the stated tolerance; memory limits, failures, cards that are not there.
     nvcc -std=c++11 -arch=native tests/cuda/fit_cuda.cu -lcublas -lcusolver
     c++ -x c++ -std=c++11 -Itests/cuda/emulation tests/cuda/fit_cuda.cu            */

#define CVXRELU_IMPLEMENTATION
#define CVXRELU_CUDA_IMPLEMENTATION
#include "../../cvxrelu.h"
#include "../../cvxrelu_cuda.cuh"
#include "../runner.h"
#ifdef CVXRELU_CUDA_EMULATED
#include <sys/wait.h>
#include <unistd.h>
#endif

static double fit_X[1 << 16], fit_Y[1 << 12];
static size_t fit_peak;  /* bytes of the card that the last comparison took */
static size_t fit_block; /* rows of X in float64 that were there at once */

/* Targets of a few kinks, inputs at random. */
static cvxrelu_problem fit_problem(size_t n, size_t d, size_t c, size_t P, double lambda) {
    cvxrelu_problem p;
    cvxrelu_random random;
    size_t i, j, k;
    memset(&p, 0, sizeof p);
    cvxrelu_random_init(&random, n + 10 * d + c);
    for (i = 0; i < n; i++)
        for (j = 0; j < d; j++) fit_X[i * d + j] = cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++)
        for (k = 0; k < c; k++) {
            double sum = 0;
            for (j = 0; j < d; j++) sum += fit_X[i * d + j] * ((j + k) % 3 == 0 ? 1 : -0.4);
            fit_Y[i * c + k] = fabs(sum) + 0.1 * cvxrelu_random_normal(&random);
        }
    p.X.data = fit_X, p.X.rows = n, p.X.cols = d;
    p.Y.data = fit_Y, p.Y.rows = n, p.Y.cols = c;
    p.lambda = lambda;
    p.gates.count = P;
    return p;
}

static cvxrelu_problem fit_relu(size_t n, size_t d, size_t c, size_t P, double lambda) {
    cvxrelu_problem p = fit_problem(n, d, c, P, lambda);
    p.kind = CVXRELU_RELU;
    p.search = CVXRELU_SEARCH_OFF;
    return p;
}

static cvxrelu_options fit_options(cvxrelu_solver solver, double tol, int single) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    o.solver = solver;
    o.tol = tol;
    o.precision = single ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
    return o;
}

/* The CPU's report and the card's, which agree to `by` of the objective. Returns the card's. */
static cvxrelu_report fit_compare(const cvxrelu_problem *p, cvxrelu_options o,
                                  const cvxrelu_cuda_options *card, double by) {
    cvxrelu_report here, there;
    cvxrelu_model *a = NULL, *b = NULL;
    cvxrelu_cuda *cuda = NULL;
    CHECK(cvxrelu_fit(p, &o, NULL, &a, &here) == CVXRELU_OK);
    CHECK(cvxrelu_cuda_open(card, &cuda, NULL) == CVXRELU_OK);
    o.device = cvxrelu_cuda_device(cuda);
    CHECK(cvxrelu_fit(p, &o, NULL, &b, &there) == CVXRELU_OK);
    CHECK_TEXT(there.message, "");
    CHECK(there.solver == here.solver && there.stop == here.stop);
    CHECK(there.n == here.n && there.d == here.d && there.patterns == here.patterns);
    CHECK_NEAR(there.objective / here.objective, 1, by);
    CHECK_NEAR(there.dual_bound / here.dual_bound, 1, by);
    CHECK_NEAR(there.lambda_max, here.lambda_max, 1e-12 * here.lambda_max);
    CHECK_NEAR(there.train_error, here.train_error, by * (1 + here.train_error));
    CHECK(there.constraint_violation <= 1e-10 && there.passes > 0 && there.flops > 0);
    CHECK(cvxrelu_cuda_peak(cuda) > 0);
    fit_peak = cvxrelu_cuda_peak(cuda);
    fit_block = cuda->exact.block;
    cvxrelu_model_free(a);
    cvxrelu_model_free(b);
    cvxrelu_cuda_close(cuda);
    return there;
}

typedef struct fit_steps { int count; double values[64]; } fit_steps;

static int fit_record(void *user, const cvxrelu_progress *progress) {
    fit_steps *steps = (fit_steps *)user;
    if (steps->count + 2 > 64) return 0;
    steps->values[steps->count++] = progress->objective;
    steps->values[steps->count++] = progress->dual_bound;
    return 0;
}

/* Objective and bound of every step: those of certificates too. */
TEST(fista_in_float64_takes_the_steps_of_the_cpu) {
    static const cvxrelu_penalty penalties[4] = {
        CVXRELU_PENALTY_NEURON, CVXRELU_PENALTY_FEATURE, CVXRELU_PENALTY_L1, CVXRELU_PENALTY_L2
    };
    int k, i;
    for (k = 0; k < 4; k++) {
        cvxrelu_problem p = fit_problem(70, 5, 1 + (size_t)k % 3, k ? 40 : 300, 0.03);
        cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, 0);
        cvxrelu_cuda *cuda = NULL;
        cvxrelu_model *model = NULL;
        cvxrelu_report r;
        fit_steps steps[2];
        memset(steps, 0, sizeof steps);
        p.penalty = penalties[k];
        o.max_iters = 12;
        fit_compare(&p, o, NULL, 1e-9);
        o.progress = fit_record;
        CHECK(cvxrelu_cuda_open(NULL, &cuda, NULL) == CVXRELU_OK);
        for (i = 0; i < 2; i++) {
            o.device = i ? cvxrelu_cuda_device(cuda) : NULL;
            o.progress_user = steps + i;
            CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_OK);
            cvxrelu_model_free(model);
        }
        cvxrelu_cuda_close(cuda);
        CHECK(steps[0].count == 24 && steps[1].count == 24);
        CHECK(steps[0].values[23] > 0);
        for (i = 0; i < 24; i++)
            CHECK_NEAR(steps[1].values[i], steps[0].values[i], 1e-9 * steps[0].values[i]);
    }
}

/* Fused and in panels; ten bits of mantissa make other steps, and still a gap. */
TEST(fista_in_every_precision_is_near_the_cpu) {
    cvxrelu_cuda_options card;
    cvxrelu_problem p = fit_problem(65, 4, 2, 33, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, 1);
    size_t k;
    memset(&card, 0, sizeof card);
    fit_compare(&p, fit_options(CVXRELU_SOLVER_FISTA, 1e-5, 0), &card, 2e-5);
    o.max_iters = 12;
    for (k = 0; k < 3; k++) {
        card.precision = k ? CVXRELU_CUDA_TF32X3 : CVXRELU_CUDA_FLOAT32;
        card.panels = k == 2;
        fit_compare(&p, o, &card, 1e-4);
    }
    card.precision = CVXRELU_CUDA_TF32;
    for (card.panels = 0; card.panels < 2; card.panels++) fit_compare(&p, o, &card, 3e-2);
}

/* What a fit of d features holds on the card says how it multiplies. */
static size_t fit_width(size_t d, int panels) {
    cvxrelu_problem p = fit_problem(65, d, 1, 7, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, 1);
    cvxrelu_cuda_options card;
    memset(&card, 0, sizeof card);
    card.precision = CVXRELU_CUDA_TF32X3;
    card.panels = panels;
    o.max_iters = 3;
    fit_compare(&p, o, &card, 1e-4);
    return fit_peak;
}

TEST(wide_data_are_multiplied_in_panels) {
    CHECK(fit_width(190, 0) == fit_width(190, -1)); /* and the bias */
    CHECK(fit_width(190, 0) < fit_width(190, 1));
    CHECK(fit_width(191, 0) == fit_width(191, 1));
    CHECK(fit_width(191, 0) > fit_width(191, -1));
}

TEST(augmented_lagrangian_ends_where_the_cpu_does) {
    cvxrelu_problem p = fit_relu(40, 3, 2, 6, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_AL, 1e-3, 0);
    cvxrelu_cuda_options card;
    o.max_iters = 30;
    o.al.delta = 30;
    fit_compare(&p, o, NULL, 1e-8);
    memset(&card, 0, sizeof card);
    card.panel_bytes = 4096;       /* panels of a few groups */
    fit_compare(&p, o, &card, 1e-8);
}

/* Panels of one-sided quadratics count under the limit too. */
TEST(augmented_lagrangian_keeps_to_the_memory_limit) {
    cvxrelu_problem p = fit_relu(400, 5, 1, 40, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_AL, -1, 1);
    cvxrelu_cuda_options card;
    o.al.delta = 30;
    o.max_iters = 4;
    memset(&card, 0, sizeof card);
    card.panels = 1;
    fit_compare(&p, o, &card, 1e-4);
    card.memory_limit = fit_peak * 4 / 5;
    fit_compare(&p, o, &card, 1e-4);
    CHECK(fit_peak <= card.memory_limit);
}

TEST(sizes_around_words_and_warps_are_solved) {
    static const size_t sizes[8][4] = {
        { 1, 1, 1, 3 }, { 2, 3, 1, 6 }, { 31, 16, 2, 7 }, { 32, 17, 1, 31 }, { 33, 8, 3, 32 },
        { 64, 7, 1, 257 }, { 65, 33, 1, 65 }, { 257, 2, 2, 33 }
    };
    size_t k, single;
    for (k = 0; k < 8; k++)
        for (single = 0; single < 2; single++) {
            cvxrelu_problem p = fit_problem(sizes[k][0], sizes[k][1], sizes[k][2], sizes[k][3],
                                            0.01);
            cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, (int)single);
            o.max_iters = 2;
            p.scale = k < 2 ? CVXRELU_SCALE_NONE : CVXRELU_SCALE_AUTO;
            fit_compare(&p, o, NULL, single ? 1e-3 : 1e-9);
            if (single || k % 2 == 0) continue;
            p.kind = CVXRELU_RELU;
            p.search = CVXRELU_SEARCH_OFF;
            o.solver = CVXRELU_SOLVER_AL;
            o.al.delta = 10;
            fit_compare(&p, o, NULL, 1e-8);
        }
}

/* The same multipliers' method in float32 as the CPU's in float64. */
TEST(augmented_lagrangian_in_float32_is_near_that_in_float64) {
    cvxrelu_problem p = fit_relu(40, 3, 1, 6, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_AL, -1, 1);
    cvxrelu_cuda_options card;
    size_t k;
    memset(&card, 0, sizeof card);
    o.al.delta = 30;
    o.max_iters = 20;
    for (k = 0; k < 2; k++) {
        card.precision = k ? CVXRELU_CUDA_TF32X3 : CVXRELU_CUDA_FLOAT32;
        fit_compare(&p, o, &card, 1e-4);
    }
}

TEST(classes_and_starts_and_paths_run_on_the_card) {
    cvxrelu_problem p = fit_problem(40, 4, 1, 12, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, 1e-3, 0);
    cvxrelu_report r, again, path[3];
    cvxrelu_path_options strengths;
    cvxrelu_model *model = NULL, *second = NULL;
    cvxrelu_cuda *cuda = NULL;
    size_t i;
    for (i = 0; i < 40; i++) fit_Y[i] = (double)(i % 3);
    p.task = CVXRELU_TASK_CLASSES;
    p.lambda = 0.004;
    fit_compare(&p, o, NULL, 2e-3);
    CHECK(cvxrelu_cuda_open(NULL, &cuda, NULL) == CVXRELU_OK);
    o.device = cvxrelu_cuda_device(cuda);
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_OK && r.gap <= 1e-3);
    CHECK(cvxrelu_fit(&p, &o, model, &second, &again) == CVXRELU_OK && again.gap <= 1e-3);
    CHECK(again.iterations <= 1 && r.iterations > 10 && again.neurons > 0);
    memset(&strengths, 0, sizeof strengths);
    strengths.count = 3, strengths.ratio = 0.1;
    CHECK(cvxrelu_path(&p, &o, &strengths, NULL, path, NULL) == CVXRELU_OK);
    for (i = 0; i < 3; i++) CHECK(path[i].gap <= 1e-3);
    cvxrelu_model_free(second);
    cvxrelu_model_free(model);
    cvxrelu_cuda_close(cuda);
}

/* Proven on both to a gap of 1e-10; factors of H and by Woodbury, one and two outputs. */
TEST(newton_ends_where_the_cpu_does) {
    static const size_t sizes[5][4] = {
        { 1, 1, 1, 3 }, { 31, 3, 2, 7 }, { 64, 33, 1, 20 }, { 65, 5, 1, 300 }, { 130, 4, 2, 33 }
    };
    size_t k;
    for (k = 0; k < 5; k++) {
        cvxrelu_problem p =
            fit_problem(sizes[k][0], sizes[k][1], sizes[k][2], sizes[k][3], 0.003);
        cvxrelu_report r;
        p.scale = k ? CVXRELU_SCALE_AUTO : CVXRELU_SCALE_NONE;
        r = fit_compare(&p, fit_options(CVXRELU_SOLVER_AUTO, 1e-10, 0), NULL, 1e-9);
        CHECK(r.solver == CVXRELU_SOLVER_NEWTON && r.gap <= 1e-10);
        CHECK(r.cg_iterations > 0 && (k == 0 || r.factors > 3));
    }
}

TEST(newton_s_path_ends_where_the_cpu_s_does) {
    cvxrelu_problem p = fit_problem(33, 5, 2, 20, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_NEWTON, 1e-9, 0);
    cvxrelu_report here[3], there[3];
    cvxrelu_path_options strengths;
    cvxrelu_cuda *cuda = NULL;
    size_t i;
    memset(&strengths, 0, sizeof strengths);
    strengths.count = 3, strengths.ratio = 0.05;
    CHECK(cvxrelu_path(&p, &o, &strengths, NULL, here, NULL) == CVXRELU_OK);
    CHECK(cvxrelu_cuda_open(NULL, &cuda, NULL) == CVXRELU_OK);
    o.device = cvxrelu_cuda_device(cuda);
    CHECK(cvxrelu_path(&p, &o, &strengths, NULL, there, NULL) == CVXRELU_OK);
    for (i = 0; i < 3; i++) {
        CHECK(there[i].gap <= 1e-9 && there[i].solver == CVXRELU_SOLVER_NEWTON);
        CHECK_NEAR(there[i].objective / here[i].objective, 1, 2e-9);
    }
    cvxrelu_cuda_close(cuda);
}

/* CD-A of random rows, on the CPU or on a card, into w (m x dp). */
static size_t fit_cda(const cvxrelu_device *device, double *w) {
    cvxrelu_problem p = fit_relu(30, 4, 2, 9, 0.01);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_AL, 0, 0);
    cvxrelu_report report;
    cvxrelu_random random;
    cvxr_fit f;
    cvxr_weights *u = &f.start;
    size_t k, q, j, size;
    memset(&report, 0, sizeof report);
    o.device = device;
    CHECK(cvxr_fit_open(&f, &p, &o, 0, &report) == CVXRELU_OK);
    cvxrelu_random_init(&random, 8);
    for (k = u->m = 0; k < 2; k++)
        for (q = 0; q < f.patterns.count; q++, u->m++) {
            u->output[u->m] = k, u->pattern[u->m] = q;
            for (j = 0; j < u->dp; j++)
                u->u[u->m * u->dp + j] =
                    j < f.data.d && q != 2 ? cvxrelu_random_normal(&random) : 0;
        }
    f.weights.m = 0;
    CHECK(cvxr_cda(&f.core, u, 1e-2, -1, 30, &f.weights) == CVXRELU_STOP_ITERATIONS
          || report.iterations > 5);
    size = f.weights.m * u->dp;
    memcpy(w, f.weights.u, size * sizeof *w);
    cvxr_fit_close(&f);
    return size;
}

TEST(cda_ends_where_the_cpu_does) {
    static double here[1024], there[1024];
    cvxrelu_cuda *cuda = NULL;
    size_t i, size = fit_cda(NULL, here);
    double most = 0, sum = 0;
    CHECK(cvxrelu_cuda_open(NULL, &cuda, NULL) == CVXRELU_OK);
    CHECK(fit_cda(cvxrelu_cuda_device(cuda), there) == size && size > 100);
    for (i = 0; i < size; i++) {
        most = fabs(here[i] - there[i]) > most ? fabs(here[i] - there[i]) : most;
        sum += fabs(here[i]);
    }
    CHECK(most < 1e-9 && sum > 1);
    cvxrelu_cuda_close(cuda);
}

/* The same as a user's call: the split of a gated network. Steps and norms before the exact
   projections, the network after them. */
static void fit_split(const cvxrelu_cuda_options *card, size_t n, size_t P) {
    cvxrelu_problem p = fit_problem(n, 4, 2, P, 0.01);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_AUTO, 1e-9, 0);
    cvxrelu_model *gated = NULL, *relu[2] = { NULL, NULL };
    cvxrelu_report r[2];
    cvxrelu_decompose_report about[2];
    cvxrelu_cuda *cuda = NULL;
    int i;
    CHECK(cvxrelu_fit(&p, &o, NULL, &gated, r) == CVXRELU_OK);
    CHECK(cvxrelu_cuda_open(card, &cuda, NULL) == CVXRELU_OK);
    o.max_iters = 40;
    for (i = 0; i < 2; i++) {
        o.device = i ? cvxrelu_cuda_device(cuda) : NULL;
        CHECK(cvxrelu_decompose(gated, p.X, p.Y, CVXRELU_DECOMPOSE_APPROXIMATE, 1e-3, &o,
                                relu + i, r + i, about + i) == CVXRELU_OK);
    }
    fit_peak = cvxrelu_cuda_peak(cuda);
    CHECK(about[0].steps > 5 && about[1].steps == about[0].steps);
    CHECK(about[0].raw_violation > 1e-6 && r[1].neurons == r[0].neurons);
    CHECK_NEAR(about[1].raw_norm / about[0].raw_norm, 1, 1e-9);
    CHECK_NEAR(about[1].raw_violation / about[0].raw_violation, 1, 1e-6);
    CHECK_NEAR(about[1].norm / about[0].norm, 1, 1e-9);
    CHECK_NEAR(r[1].objective / r[0].objective, 1, 1e-9);
    CHECK_NEAR(r[1].flops / r[0].flops, 1, 0.5);
    cvxrelu_cuda_close(cuda);
    cvxrelu_model_free(relu[1]);
    cvxrelu_model_free(relu[0]);
    cvxrelu_model_free(gated);
}

TEST(decomposition_by_cda_ends_where_the_cpu_does) {
    cvxrelu_cuda_options card;
    fit_split(NULL, 40, 9);
    memset(&card, 0, sizeof card);
    fit_split(&card, 200, 60);
    card.memory_limit = fit_peak * 4 / 5;
    fit_split(&card, 200, 60);
    CHECK(fit_peak > 0 && fit_peak <= card.memory_limit);
}

/* ---- Patterns. */

/* Bits, gates and counts of the card's patterns are the CPU's. `rows`: of X on the card. */
static void fit_patterns(const cvxrelu_problem *p, const cvxrelu_cuda_options *card,
                         size_t most, size_t rows) {
    cvxrelu_cuda *cuda = NULL;
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, 0, 0);
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns here, there;
    cvxr_team team = { o.parallel, 1 };
    const cvxrelu_device *device;
    size_t size;
    CHECK(cvxrelu_cuda_open(card, &cuda, NULL) == CVXRELU_OK);
    device = cvxrelu_cuda_device(cuda);
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, p, &data, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_by(&team, &mem, &data, &p->gates, &here, message) == CVXRELU_OK);
    CHECK(cvxr_patterns_on(device, &team, &mem, &data, &p->gates, &there, message)
          == CVXRELU_OK);
    CHECK_TEXT(message, "");
    CHECK(here.count > 9 && here.count == there.count && here.near_ties == there.near_ties);
    size = here.count == there.count ? here.count : 0;
    CHECK(memcmp(here.bits, there.bits, size * here.words * sizeof(uint64_t)) == 0);
    CHECK(memcmp(here.gates, there.gates, size * here.d * sizeof(double)) == 0);
    CHECK(cuda->signs.most == most && cuda->signs.block == rows);
    device->signs_close(device->self);
    CHECK(cuda->held == CVXR_GPU_SUMS * sizeof(double));
    cvxr_patterns_free(&mem, &here);
    cvxr_patterns_free(&mem, &there);
    cvxr_data_free(&mem, &data);
    cvxrelu_cuda_close(cuda);
}

/* 130 images of 3 x 3, some of them zero where small patches look; with the offset a good part
   of the products is in doubt. */
static cvxrelu_problem fit_images(double offset) {
    cvxrelu_problem p = fit_problem(130, 9, 1, 60, 0.01);
    size_t i, j;
    for (i = 0; i < 130; i++)
        for (j = 0; j < 9; j++) {
            if (i % 3 == 0 && (j < 2 || j == 3 || j == 4)) fit_X[i * 9 + j] = 0;
            if (j == 8) fit_X[i * 9 + j] += offset;
        }
    p.scale = offset > 0 ? CVXRELU_SCALE_STANDARD : CVXRELU_SCALE_NONE;
    return p;
}

TEST(patterns_are_those_of_the_cpu) {
    static double given[40 * 9];
    size_t k, i;
    for (k = 0; k < 2; k++) {
        cvxrelu_problem p = fit_images(k ? 2e10 : 0);
        fit_patterns(&p, NULL, 64, 130);
        p.gates.sampler = CVXRELU_SAMPLER_SPARSE;
        fit_patterns(&p, NULL, 64, 130);
        p.gates.sampler = CVXRELU_SAMPLER_PATCH;
        p.gates.width = p.gates.height = 3, p.gates.patch = 2;
        fit_patterns(&p, NULL, 64, 130);
        p.gates.sampler = CVXRELU_SAMPLER_POINTS;
        fit_patterns(&p, NULL, 0, 0);
        p.gates.sampler = CVXRELU_SAMPLER_GAUSSIAN;
        p.gates.active_share = 0.3;
        fit_patterns(&p, NULL, 0, 0);
        p.gates.active_share = 0;
        for (i = 0; i < 40 * 9; i++) given[i] = i < 9 ? 0 : fit_X[i];
        for (i = 0; i < 9; i++) given[20 * 9 + i] = 0;
        given[20 * 9] = fit_X[10], given[20 * 9 + 1] = -fit_X[9]; /* row 1 on its boundary */
        p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        p.gates.given.data = given, p.gates.given.rows = 40, p.gates.given.cols = 9;
        fit_patterns(&p, NULL, 40, 130);
    }
}

/* Fewer gates a call, X by blocks of rows, at last the CPU; panels of a few products. */
TEST(little_memory_makes_the_same_patterns) {
    cvxrelu_problem p = fit_images(2e10);
    cvxrelu_cuda_options card;
    memset(&card, 0, sizeof card);
    card.panel_bytes = 1;
    fit_patterns(&p, &card, 64, 130);
    card.memory_limit = 8192 + 8192 + 130 * 9 + 64 * 640 + 12000;
    fit_patterns(&p, &card, 64, 64);
    card.memory_limit = 8192 + 8192 + 130 * 9 + 30 * 640 + 10000;
    fit_patterns(&p, &card, 32, 64);
    card.memory_limit = 10000;
    fit_patterns(&p, &card, 0, 0);
}

/* ---- Memory and failures. */

/* Less and less memory: smaller panels, X in float64 by blocks of rows; then an error. */
TEST(little_memory_makes_small_panels_and_then_an_error) {
    cvxrelu_problem p = fit_problem(1500, 40, 1, 20, 0.003);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, 1);
    cvxrelu_cuda_options card;
    cvxrelu_cuda *cuda = NULL;
    cvxrelu_model *model = NULL;
    cvxrelu_report r;
    size_t least;
    o.max_iters = 2;
    memset(&card, 0, sizeof card);
    fit_compare(&p, o, &card, 1e-4);
    CHECK(fit_block == p.X.rows);
    while (fit_block == p.X.rows && card.memory_limit != 1) {
        least = fit_peak;
        card.memory_limit = fit_peak / 4 * 3;
        fit_compare(&p, o, &card, 1e-4);
        CHECK(fit_peak <= card.memory_limit && fit_peak < least);
        if (fit_peak >= least) card.memory_limit = 1;
    }
    CHECK(fit_block < p.X.rows && fit_block % 64 == 0);
    card.memory_limit = fit_peak / 4;
    CHECK(cvxrelu_cuda_open(&card, &cuda, NULL) == CVXRELU_OK);
    o.device = cvxrelu_cuda_device(cuda);
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_ERR_LIMIT && model == NULL);
    CHECK(strstr(r.message, "memory_limit") != NULL);
    cvxrelu_cuda_close(cuda);
}

/* Smaller panels, smaller factors, none; then AUTO is FISTA, and Newton that was asked for is
   refused. */
TEST(little_memory_leaves_no_room_for_newton) {
    cvxrelu_problem p = fit_problem(150, 3, 1, 40, 0.01);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_AUTO, 1e-2, 0);
    cvxrelu_cuda_options card;
    cvxrelu_cuda *cuda = NULL;
    cvxrelu_model *model = NULL;
    cvxrelu_report r;
    int newtons = 0;
    memset(&card, 0, sizeof card);
    do {
        cvxrelu_cuda_close(cuda);
        CHECK(cvxrelu_cuda_open(&card, &cuda, NULL) == CVXRELU_OK);
        o.device = cvxrelu_cuda_device(cuda);
        CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_OK && r.gap <= 1e-2);
        cvxrelu_model_free(model);
        CHECK(card.memory_limit == 0 || cvxrelu_cuda_peak(cuda) <= card.memory_limit);
        card.memory_limit =
            (card.memory_limit ? card.memory_limit : cvxrelu_cuda_peak(cuda)) / 4 * 3;
        newtons += r.solver == CVXRELU_SOLVER_NEWTON;
    } while (r.solver == CVXRELU_SOLVER_NEWTON && newtons < 99);
    CHECK(newtons > 0 && r.solver == CVXRELU_SOLVER_FISTA);
#ifdef CVXRELU_CUDA_EMULATED /* cuSOLVER's workspace is small there */
    CHECK(newtons > 2);
#endif
    o.solver = CVXRELU_SOLVER_NEWTON;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_ERR_LIMIT && model == NULL);
    CHECK(strstr(r.message, "no room for Newton") != NULL);
    cvxrelu_cuda_close(cuda);
}

TEST(card_that_is_not_there_is_an_error) {
    cvxrelu_cuda_options card;
    cvxrelu_cuda *cuda = NULL;
    char message[CVXRELU_MESSAGE_SIZE];
    memset(&card, 0, sizeof card);
    card.device = 1000;
    CHECK(cvxrelu_cuda_open(&card, &cuda, message) == CVXRELU_ERR_ARGUMENT && cuda == NULL);
    CHECK(strstr(message, "options.device is 1000") != NULL);
    cvxrelu_cuda_close(NULL);
    CHECK(cvxrelu_cuda_open(NULL, NULL, message) == CVXRELU_ERR_ARGUMENT);
    memset(&card, 0, sizeof card);
    card.precision = (cvxrelu_cuda_precision)3;
    CHECK(cvxrelu_cuda_open(&card, &cuda, message) == CVXRELU_ERR_ARGUMENT && cuda == NULL);
    CHECK(strstr(message, "options.precision is 3") != NULL);
}

#ifdef CVXRELU_CUDA_EMULATED
/* ---- Two ranks with a card each: processes, as the emulation has one card and one thread.
   Rank 1 sends its numbers to rank 0 and gets the result back. */

typedef struct fit_link { int rank, to, from; long fail; } fit_link;

static int fit_move(int file, void *buffer, size_t bytes, int out) {
    char *at = (char *)buffer;
    while (bytes > 0) {
        const ssize_t some = out ? write(file, at, bytes) : read(file, at, bytes);
        if (some <= 0) return 1;
        at += some, bytes -= (size_t)some;
    }
    return 0;
}

template <typename T>
static void fit_sum(T *mine, const T *other, size_t count, cvxrelu_reduction op) {
    size_t i;
    for (i = 0; i < count; i++)
        if (op == CVXRELU_SUM) mine[i] += other[i];
        else if (other[i] > mine[i]) mine[i] = other[i];
}

static int fit_allreduce(void *context, void *buffer, size_t count, cvxrelu_type type,
                         cvxrelu_reduction op) {
    const fit_link *link = (const fit_link *)context;
    const size_t bytes = count * (type == CVXRELU_FLOAT64 ? 8 : 4);
    std::vector<double> other(count);
    if (link->rank)
        return fit_move(link->to, buffer, bytes, 1) || fit_move(link->from, buffer, bytes, 0);
    if (fit_move(link->from, other.data(), bytes, 0)) return 1;
    if (type == CVXRELU_FLOAT64) fit_sum((double *)buffer, other.data(), count, op);
    else fit_sum((float *)buffer, (const float *)(void *)other.data(), count, op);
    return fit_move(link->to, buffer, bytes, 1);
}

static int fit_allreduce_there(void *context, void *buffer, size_t count, cvxrelu_type type,
                               cvxrelu_reduction op) {
    const size_t bytes = count * (type == CVXRELU_FLOAT64 ? 8 : 4);
    std::vector<double> host(count);
    int failed;
    cudaMemcpy(host.data(), buffer, bytes, cudaMemcpyDeviceToHost);
    failed = fit_allreduce(context, host.data(), count, type, op);
    cudaMemcpy(buffer, host.data(), bytes, cudaMemcpyHostToDevice);
    return failed;
}

/* This rank's fit on rows `first` to `last` with a card, of which a call fails if that is the
   rank's lot; its weights add up to *sum. */
static cvxrelu_report fit_rank(cvxrelu_problem p, cvxrelu_options o, fit_link *link,
                               size_t first, size_t last, int there, double *sum) {
    cvxrelu_cuda *cuda = NULL;
    cvxrelu_model *model = NULL;
    cvxrelu_report r;
    size_t i;
    p.X.data = (const double *)p.X.data + first * p.X.cols;
    p.Y.data = (const double *)p.Y.data + first * p.Y.cols;
    p.X.rows = p.Y.rows = last - first;
    o.ranks.allreduce = fit_allreduce, o.ranks.context = link;
    o.ranks.rank = link->rank, o.ranks.size = 2;
    if (there) o.ranks.on_device = fit_allreduce_there;
    memset(&r, 0, sizeof r);
    *sum = 0;
    if (cvxrelu_cuda_open(NULL, &cuda, r.message) != CVXRELU_OK) return r;
    o.device = cvxrelu_cuda_device(cuda);
    emu.fail_in = link->fail;
    if (cvxrelu_fit(&p, &o, NULL, &model, &r) != CVXRELU_OK) r.objective = 0;
    emu.fail_in = -1;
    for (i = 0; model && i < model->m * model->d; i++)
        *sum += (double)(i % 7 + 1) * model->u[i];
    cvxrelu_model_free(model);
    cvxrelu_cuda_close(cuda);
    return r;
}

/* Both ranks; the report of rank 0. *same: rank 1 ended well too, with the same weights. Its
   `fail`-th call of CUDA fails, or none (-1). */
static cvxrelu_report fit_two(const cvxrelu_problem *p, const cvxrelu_options *o, int there,
                              long fail, int *same) {
    int down[2], up[2], status = 1;
    double sum, other = 0;
    cvxrelu_report r;
    pid_t child;
    CHECK(pipe(down) == 0 && pipe(up) == 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        fit_link link = { 1, up[1], down[0], fail };
        close(down[1]), close(up[0]);
        r = fit_rank(*p, *o, &link, 13, p->X.rows, there, &sum);
        _exit(fit_move(up[1], &sum, sizeof sum, 1) || r.objective == 0);
    }
    close(down[0]), close(up[1]);
    fit_link link = { 0, down[1], up[0], -1 };
    r = fit_rank(*p, *o, &link, 0, 13, there, &sum);
    *same = fit_move(up[0], &other, sizeof other, 0) == 0 && sum == other && sum != 0;
    close(down[1]), close(up[0]);
    CHECK(waitpid(child, &status, 0) == child);
    *same = *same && status == 0;
    return r;
}

/* One process on the CPU, then two with cards: the same objective. */
static void fit_ranks(const cvxrelu_problem *p, cvxrelu_options o, double by) {
    cvxrelu_report alone;
    cvxrelu_model *model = NULL;
    int there, same;
    CHECK(cvxrelu_fit(p, &o, NULL, &model, &alone) == CVXRELU_OK);
    cvxrelu_model_free(model);
    for (there = 0; there < 2; there++) {
        const cvxrelu_report r = fit_two(p, &o, there, -1, &same);
        CHECK_TEXT(r.message, "");
        CHECK(same && r.n == alone.n && r.solver == alone.solver);
        CHECK(r.iterations == alone.iterations);
        CHECK_NEAR(r.objective / alone.objective, 1, by);
        CHECK_NEAR(r.dual_bound / alone.dual_bound, 1, by);
        CHECK_NEAR(r.lambda_max, alone.lambda_max, 1e-12 * alone.lambda_max);
    }
}

TEST(cards_of_two_ranks_are_summed_over) {
    int single;
    for (single = 0; single < 2; single++) {
        cvxrelu_problem p = fit_problem(40, 3, 2, 20, 0.02);
        cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, single);
        o.max_iters = 20;
        fit_ranks(&p, o, single ? 1e-4 : 1e-9);
        p = fit_relu(40, 3, 2, 6, 0.02);
        o.solver = CVXRELU_SOLVER_AL;
        o.al.delta = 30;
        fit_ranks(&p, o, single ? 1e-4 : 1e-8);
    }
}

TEST(card_that_fails_on_one_rank_ends_both) {
    cvxrelu_problem p = fit_relu(40, 3, 1, 6, 0.02);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_AL, -1, 0);
    long at;
    int same;
    o.max_iters = 3, o.al.delta = 30;
    for (at = same = 0; !same; at += 1 + at / 6) { /* until there are fewer calls */
        const cvxrelu_report r = fit_two(&p, &o, at % 2 > 0, at, &same);
        CHECK(same == (r.objective > 0));
        CHECK(same || strstr(r.message, "rank 1 of 2 failed") != NULL);
    }
    CHECK(at > 350);
}

TEST(machine_without_a_card_is_an_error) {
    cvxrelu_cuda *cuda = NULL;
    char message[CVXRELU_MESSAGE_SIZE];
    emu.devices = 0;
    CHECK(cvxrelu_cuda_open(NULL, &cuda, message) == CVXRELU_ERR_DEVICE && cuda == NULL);
    CHECK_TEXT(message, "CUDA: no card: no CUDA-capable device is detected");
    emu.devices = 1;
}

/* Whichever call of CUDA fails, the fit ends with an error and gives everything back. */
static void fit_fail(const cvxrelu_problem *p, cvxrelu_options o) {
    cvxrelu_report r;
    cvxrelu_model *model = NULL;
    cvxrelu_cuda *cuda = NULL;
    const int newton = o.solver == CVXRELU_SOLVER_NEWTON;
    size_t errors = 0, refusals = 0, survived = 0;
    long at, calls = 0;
    for (at = 0; at >= 0; at = calls ? -1 : at + (at < 130 ? 1 : 53)) {
        cvxrelu_result result;
        emu.fail_in = at;
        result = cvxrelu_cuda_open(NULL, &cuda, r.message);
        if (result == CVXRELU_OK) {
            o.device = cvxrelu_cuda_device(cuda);
            result = cvxrelu_fit(p, &o, NULL, &model, &r);
        }
        if (emu.fail_in >= 0) calls = at;
        emu.fail_in = -1;
        survived += result == CVXRELU_OK && calls == 0; /* with smaller factors */
        CHECK(result == CVXRELU_OK || calls == 0);
        CHECK(result == CVXRELU_OK || result == CVXRELU_ERR_DEVICE
              || result == CVXRELU_ERR_MEMORY || strstr(r.message, "no room for Newton"));
        CHECK(result == CVXRELU_OK || result == CVXRELU_ERR_LIMIT
              || strncmp(r.message, "CUDA: ", 6) == 0);
        refusals += result == CVXRELU_ERR_LIMIT;
        CHECK((model == NULL) == (result != CVXRELU_OK));
        errors += result != CVXRELU_OK;
        cvxrelu_model_free(model);
        cvxrelu_cuda_close(cuda);
        model = NULL, cuda = NULL;
        CHECK(emu.used == 0 && emu.streams == 0 && emu.allocations.empty());
    }
    CHECK(errors > 80 && (refusals > 9) == newton);
    CHECK(newton ? survived > 2 && survived < 9 : survived == 0);
}

TEST(failing_card_ends_the_fit_in_order) {
    cvxrelu_problem p = fit_problem(20, 3, 1, 6, 0.01);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, 1);
    o.max_iters = 4;
    fit_fail(&p, o);
    p = fit_relu(20, 3, 1, 6, 0.01);
    o = fit_options(CVXRELU_SOLVER_AL, -1, 0);
    o.max_iters = 3;
    fit_fail(&p, o);
    p = fit_problem(20, 3, 1, 6, 0.001);
    fit_fail(&p, fit_options(CVXRELU_SOLVER_NEWTON, 1e-3, 0));
}

TEST(full_card_is_a_refusal_of_memory) {
    cvxrelu_problem p = fit_problem(500, 20, 1, 20, 0.01);
    cvxrelu_options o = fit_options(CVXRELU_SOLVER_FISTA, -1, 1);
    cvxrelu_cuda *cuda = NULL;
    cvxrelu_model *model = NULL;
    cvxrelu_report r;
    const size_t memory = emu.memory;
    emu.memory = 100000;
    CHECK(cvxrelu_cuda_open(NULL, &cuda, NULL) == CVXRELU_OK);
    o.device = cvxrelu_cuda_device(cuda);
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_ERR_MEMORY && model == NULL);
    CHECK(strstr(r.message, "out of memory") != NULL);
    cvxrelu_cuda_close(cuda);
    CHECK(emu.used == 0);
    emu.memory = memory;
}
#endif

SUITE(cuda_fit) {
    RUN(fista_in_float64_takes_the_steps_of_the_cpu);
    RUN(fista_in_every_precision_is_near_the_cpu);
    RUN(wide_data_are_multiplied_in_panels);
    RUN(augmented_lagrangian_ends_where_the_cpu_does);
    RUN(augmented_lagrangian_in_float32_is_near_that_in_float64);
    RUN(augmented_lagrangian_keeps_to_the_memory_limit);
    RUN(sizes_around_words_and_warps_are_solved);
    RUN(classes_and_starts_and_paths_run_on_the_card);
    RUN(newton_ends_where_the_cpu_does);
    RUN(newton_s_path_ends_where_the_cpu_s_does);
    RUN(cda_ends_where_the_cpu_does);
    RUN(decomposition_by_cda_ends_where_the_cpu_does);
    RUN(patterns_are_those_of_the_cpu);
    RUN(little_memory_makes_the_same_patterns);
    RUN(little_memory_makes_small_panels_and_then_an_error);
    RUN(little_memory_leaves_no_room_for_newton);
    RUN(card_that_is_not_there_is_an_error);
#ifdef CVXRELU_CUDA_EMULATED
    RUN(cards_of_two_ranks_are_summed_over);
    RUN(card_that_fails_on_one_rank_ends_both);
    RUN(machine_without_a_card_is_an_error);
    RUN(failing_card_ends_the_fit_in_order);
    RUN(full_card_is_a_refusal_of_memory);
#endif
}

int main(int argc, char **argv) {
    char message[CVXRELU_MESSAGE_SIZE];
    cvxrelu_cuda *cuda = NULL;
    if (cvxrelu_cuda_open(NULL, &cuda, message) != CVXRELU_OK) {
        printf("SKIP cuda_fit: %s\n", message);
        return 0;
    }
    cvxrelu_cuda_close(cuda);
    runner_open(argc, argv);
    RUN_SUITE(cuda_fit);
    return runner_close();
}
