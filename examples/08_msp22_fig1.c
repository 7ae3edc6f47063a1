/* 08 MSP22, FIGURE 1 - a realisable problem: ten SGD runs against the convex program.

   The data of [MSP22 D.1]: n = 250 rows of d = 50 normal features, covariance of condition 10,
   y the sign of a random ReLU network of 100 neurons, columns scaled to norm 1, 250 rows to
   test on. SGD trains m = 100 neurons from ten starts on batches of 25, step 5 (the paper's 10
   leaves every run far above). The convex program is solved over 100 sampled patterns, over
   these and those that an SGD run passed through, as in the paper, and over patterns that the
   search finds. The figure: 4 of 10 SGD runs end suboptimal, all solutions of the convex
   program agree. The paper does not print its lambda: here 0.001, which is beta = lambda n =
   0.25 in the units of [PE20]. --quick: two short runs, a short search.

     cc -O2 -I. examples/08_msp22_fig1.c -o build/08_msp22_fig1 -lm && build/08_msp22_fig1

   Expected output: a line for each run and program, and as the last line
     searched 0.0495 not above SGD: yes */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 250, D = 50, M = 100, BATCH = 25, SAMPLED = 100, EVERY = 125, MOST = 2000 };
static const double lambda = 1e-3;

typedef struct rows {
    double X[N * D], Y[N];
} rows;

/* h(x) = sum_j a_j max(0, W_j . x); W by columns: W[k][j] is feature k of neuron j. */
typedef struct net {
    float W[D][M], a[M];
} net;

/* Patterns without repetition, each with a gate. */
static double gates[MOST * D];
static uint64_t seen[MOST][4];
static int gate_count;

static rows train, test;

/* Columns of an orthonormal matrix by Gram and Schmidt. */
static void make_basis(cvxrelu_random *random, double Q[D][D]) {
    int i, j, k;
    for (i = 0; i < D; i++) {
        double norm = 0.0;
        for (k = 0; k < D; k++) Q[i][k] = cvxrelu_random_normal(random);
        for (j = 0; j < i; j++) {
            double dot = 0.0;
            for (k = 0; k < D; k++) dot += Q[i][k] * Q[j][k];
            for (k = 0; k < D; k++) Q[i][k] -= dot * Q[j][k];
        }
        for (k = 0; k < D; k++) norm += Q[i][k] * Q[i][k];
        for (k = 0; k < D; k++) Q[i][k] /= sqrt(norm);
    }
}

static void make_rows(cvxrelu_random *random, double Q[D][D], const double *root,
                      const double *W, const double *a, rows *to) {
    int i, j, k;
    for (i = 0; i < N; i++) {
        double h = 0.0;
        for (k = 0; k < D; k++) to->X[i * D + k] = 0.0;
        for (j = 0; j < D; j++) {
            double along = root[j] * cvxrelu_random_normal(random);
            for (k = 0; k < D; k++) to->X[i * D + k] += along * Q[j][k];
        }
        for (j = 0; j < M; j++) {
            double z = 0.0;
            for (k = 0; k < D; k++) z += W[j * D + k] * to->X[i * D + k];
            if (z > 0) h += a[j] * z;
        }
        to->Y[i] = h > 0 ? 1 : -1;
    }
}

static void make_data(void) {
    static double Q[D][D], W[M * D];
    double root[D], a[M];
    cvxrelu_random random;
    int i, j;
    cvxrelu_random_init(&random, 0);
    make_basis(&random, Q);
    for (j = 0; j < D; j++)
        root[j] = sqrt(j == 0 ? 1.0 : j == 1 ? 10.0 : 1 + 9 * cvxrelu_random_uniform(&random));
    for (j = 0; j < M * D; j++) W[j] = cvxrelu_random_normal(&random);
    for (j = 0; j < M; j++) a[j] = cvxrelu_random_normal(&random);
    make_rows(&random, Q, root, W, a, &train);
    make_rows(&random, Q, root, W, a, &test);
    for (j = 0; j < D; j++) {
        double norm = 0.0;
        for (i = 0; i < N; i++) norm += train.X[i * D + j] * train.X[i * D + j];
        for (i = 0; i < N; i++)
            train.X[i * D + j] /= sqrt(norm), test.X[i * D + j] /= sqrt(norm);
    }
}

/* z_j = W_j . x for all neurons; returns h(x). */
static float forward(const net *restrict h, const double *x, float *restrict z) {
    float sum = 0;
    int j, k;
    for (j = 0; j < M; j++) z[j] = 0;
    for (k = 0; k < D; k++) {
        float xk = (float)x[k];
        for (j = 0; j < M; j++) z[j] += xk * h->W[k][j];
    }
    for (j = 0; j < M; j++) sum += z[j] > 0 ? h->a[j] * z[j] : 0;
    return sum;
}

static double accuracy(const net *h, const rows *part) {
    float z[M];
    int i, right = 0;
    for (i = 0; i < N; i++) right += (forward(h, part->X + i * D, z) > 0) == (part->Y[i] > 0);
    return (double)right / N;
}

static double objective(const net *h) {
    double sum = 0.0, squares = 0.0;
    float z[M];
    int i, j, k;
    for (i = 0; i < N; i++) {
        double r = forward(h, train.X + i * D, z) - train.Y[i];
        sum += r * r / (2 * N);
    }
    for (j = 0; j < M; j++) {
        for (k = 0; k < D; k++) squares += h->W[k][j] * h->W[k][j];
        squares += h->a[j] * h->a[j];
    }
    return sum + 0.5 * lambda * squares;
}

/* Takes a gate up unless its pattern on the training rows is there already. */
static void add_gate(const double *g) {
    uint64_t bits[4] = {0, 0, 0, 0};
    int i, k;
    for (i = 0; i < N; i++) {
        double z = 0.0;
        for (k = 0; k < D; k++) z += g[k] * train.X[i * D + k];
        if (z >= 0) bits[i / 64] |= (uint64_t)1 << i % 64;
    }
    for (i = 0; i < gate_count; i++)
        if (memcmp(seen[i], bits, sizeof bits) == 0) return;
    if (gate_count == MOST || (bits[0] | bits[1] | bits[2] | bits[3]) == 0) return;
    memcpy(seen[gate_count], bits, sizeof bits);
    memcpy(gates + gate_count++ * D, g, D * sizeof *g);
}

static void add_gates_of(const net *h) {
    double g[D];
    int j, k;
    for (j = 0; j < M; j++) {
        for (k = 0; k < D; k++) g[k] = h->W[k][j];
        add_gate(g);
    }
}

static void sgd_step(net *h, const int *batch, float step) {
    static net g;
    float z[M], on[M];
    int i, j, k;
    memset(&g, 0, sizeof g);
    for (i = 0; i < BATCH; i++) {
        const double *x = train.X + batch[i] * D;
        float r = (forward(h, x, z) - (float)train.Y[batch[i]]) / BATCH;
        for (j = 0; j < M; j++) {
            on[j] = z[j] > 0 ? r * h->a[j] : 0;
            g.a[j] += z[j] > 0 ? r * z[j] : 0;
        }
        for (k = 0; k < D; k++) {
            float xk = (float)x[k];
            for (j = 0; j < M; j++) g.W[k][j] += xk * on[j];
        }
    }
    for (j = 0; j < M; j++) h->a[j] -= step * (g.a[j] + (float)lambda * h->a[j]);
    for (k = 0; k < D; k++)
        for (j = 0; j < M; j++) h->W[k][j] -= step * (g.W[k][j] + (float)lambda * h->W[k][j]);
}

/* One run, started as torch.nn.Linear does; the patterns it passes through become gates. */
static void sgd(net *h, uint64_t seed, int epochs) {
    cvxrelu_random random;
    int order[N], e, i, j, k;
    cvxrelu_random_init(&random, seed);
    for (j = 0; j < M; j++) {
        for (k = 0; k < D; k++)
            h->W[k][j] = (float)((2 * cvxrelu_random_uniform(&random) - 1) / sqrt(D));
        h->a[j] = (float)((2 * cvxrelu_random_uniform(&random) - 1) / sqrt(M));
    }
    for (i = 0; i < N; i++) order[i] = i;
    for (e = 0; e < epochs; e++) {
        for (i = N; i > 1; i--) {
            int other = (int)cvxrelu_random_below(&random, (uint64_t)i), swap = order[i - 1];
            order[i - 1] = order[other];
            order[other] = swap;
        }
        for (i = 0; i < N; i += BATCH) sgd_step(h, order + i, 5);
        if (e % EVERY == 0) add_gates_of(h);
    }
    add_gates_of(h);
}

/* The convex program over the gates, or with the search when there are none. */
static int convex(const char *name, int quick, cvxrelu_report *report) {
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_model *model = NULL;
    int i, right = 0, on_train = 0;
    memset(&options, 0, sizeof options);
    if (quick) options.search.width = 100, options.search.steps = 400, options.tol = 1e-3;
    memset(&problem, 0, sizeof problem);
    problem.kind = CVXRELU_RELU;
    problem.scale = CVXRELU_SCALE_NONE; /* the columns are scaled already */
    problem.no_bias = 1;
    problem.lambda = lambda;
    problem.X.data = train.X, problem.X.rows = N, problem.X.cols = D;
    problem.Y.data = train.Y, problem.Y.rows = N, problem.Y.cols = 1;
    if (gate_count > 0) {
        problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        problem.gates.given.data = gates;
        problem.gates.given.rows = (size_t)gate_count;
        problem.gates.given.cols = D;
    }
    if (cvxrelu_fit(&problem, &options, NULL, &model, report) != CVXRELU_OK) {
        fprintf(stderr, "%s: %s\n", name, report->message);
        return 1;
    }
    for (i = 0; i < N; i++) {
        double out = 0.0;
        cvxrelu_model_predict(model, test.X + i * D, &out);
        right += (out > 0) == (test.Y[i] > 0);
        cvxrelu_model_predict(model, train.X + i * D, &out);
        on_train += (out > 0) == (train.Y[i] > 0);
    }
    cvxrelu_model_free(model);
    printf("%-26s %5d patterns  objective %.6f  accuracy %.3f, test %.3f  %5.2f s\n", name,
           (int)report->patterns, report->objective, (double)on_train / N, (double)right / N,
           report->seconds);
    return 0;
}

/* Random gates until `count` different patterns are there. */
static void sample_gates(uint64_t seed, int count) {
    cvxrelu_random random;
    double g[D];
    int k;
    cvxrelu_random_init(&random, seed);
    for (gate_count = 0; gate_count < count;) {
        for (k = 0; k < D; k++) g[k] = cvxrelu_random_normal(&random);
        add_gate(g);
    }
}

int main(int argc, char **argv) {
    int quick = argc > 1 && strcmp(argv[1], "--quick") == 0, runs = quick ? 2 : 10, run;
    static net h;
    cvxrelu_report report;
    double lowest = 1e300;
    make_data();
    for (run = 0; run < runs; run++) {
        double reached;
        sample_gates((uint64_t)run, quick ? 30 : SAMPLED);
        if (run == 0 && convex("sampled", quick, &report)) return 1;
        sgd(&h, (uint64_t)run + 1, quick ? 20 : 500);
        reached = objective(&h);
        if (reached < lowest) lowest = reached;
        printf("SGD run %-2d %31s objective %.6f  accuracy %.3f, test %.3f\n", run + 1, "",
               reached, accuracy(&h, &train), accuracy(&h, &test));
        if (run % 5 == 0 && convex("  and its patterns", quick, &report)) return 1;
    }
    gate_count = 0;
    if (convex("searched", quick, &report)) return 1;
    printf("searched %.4f not above SGD: %s\n", report.objective,
           report.objective <= lowest * (1 + 1e-4) ? "yes" : "no");
    return 0;
}
