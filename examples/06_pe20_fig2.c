/* 06 PE20, FIGURE 2 - the exact optimum of a small problem, and how often SGD finds it.

   Five points on a line, x = -2 .. 2 with y = (1, -1, 1, 1, -1) and a column of ones, squared
   loss. All activation patterns are listed, so that the convex program is the network problem
   itself: its optimum is that of any network [PE20 eq. 8, Theorem 1]. SGD, a row at a time,
   trains m neurons from ten starts. The figure shows it stuck above Optimal for small m, and
   more runs at Optimal as m grows. Objectives are the paper's, n = 5 times those of cvxrelu;
   its beta = n lambda is not printed there, two values are tried.

     cc -O2 -I. examples/06_pe20_fig2.c -o build/06_pe20_fig2 -lm && build/06_pe20_fig2

   Expected output: for each beta the optimum with its proof and the runs, and as the last line
     beta 0.3 optimum 1.95546 reached more often by 50 neurons than by 8: yes */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 5, RUNS = 10, STEPS = 40000, WIDEST = 50 };

static const double x[N] = {-2, -1, 0, 1, 2}, y[N] = {1, -1, 1, 1, -1};

/* h(x) = sum_j a_j max(0, w_j x + b_j) */
typedef struct net {
    int m;
    double w[WIDEST], b[WIDEST], a[WIDEST];
} net;

static double residual(const net *h, int i) {
    double sum = -y[i];
    int j;
    for (j = 0; j < h->m; j++) {
        double z = h->w[j] * x[i] + h->b[j];
        if (z > 0) sum += h->a[j] * z;
    }
    return sum;
}

/* 1/2 ||h(x) - y||^2 + beta/2 sum_j (w_j^2 + b_j^2 + a_j^2), the paper's objective. */
static double objective(const net *h, double beta) {
    double sum = 0.0;
    int i, j;
    for (i = 0; i < N; i++) sum += 0.5 * residual(h, i) * residual(h, i);
    for (j = 0; j < h->m; j++)
        sum += 0.5 * beta * (h->w[j] * h->w[j] + h->b[j] * h->b[j] + h->a[j] * h->a[j]);
    return sum;
}

/* The step falls from 0.04 to 0 as a cosine; the start is that of torch.nn.Linear. */
static void sgd(net *h, double beta, uint64_t seed) {
    cvxrelu_random random;
    int t, j;
    cvxrelu_random_init(&random, seed);
    for (j = 0; j < h->m; j++) {
        h->w[j] = (2 * cvxrelu_random_uniform(&random) - 1) / sqrt(2.0);
        h->b[j] = (2 * cvxrelu_random_uniform(&random) - 1) / sqrt(2.0);
        h->a[j] = (2 * cvxrelu_random_uniform(&random) - 1) / sqrt(h->m);
    }
    for (t = 0; t < STEPS; t++) {
        int i = (int)cvxrelu_random_below(&random, N);
        double step = 0.02 * (1 + cos(3.14159265 * t / STEPS)), r = residual(h, i);
        for (j = 0; j < h->m; j++) {
            double z = h->w[j] * x[i] + h->b[j], on = z > 0, a = h->a[j];
            h->a[j] -= step * (r * on * z + beta / N * a);
            h->w[j] -= step * (r * on * a * x[i] + beta / N * h->w[j]);
            h->b[j] -= step * (r * on * a + beta / N * h->b[j]);
        }
    }
}

/* N times the optimal objective over all patterns, or a negative number. */
static double optimum(double beta) {
    cvxrelu_problem problem;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    memset(&problem, 0, sizeof problem);
    problem.kind = CVXRELU_RELU;
    problem.search = CVXRELU_SEARCH_EXACT;
    problem.scale = CVXRELU_SCALE_NONE;
    problem.X.data = x, problem.X.rows = N, problem.X.cols = 1;
    problem.Y.data = y, problem.Y.rows = N, problem.Y.cols = 1;
    problem.lambda = beta / N;
    if (cvxrelu_fit(&problem, NULL, NULL, &model, &report) != CVXRELU_OK) {
        fprintf(stderr, "%s\n", report.message);
        return -1.0;
    }
    cvxrelu_model_free(model);
    printf("beta %g, lambda %g: %d patterns, optimum %.6f, proven to be at least %.6f, %d "
           "neurons\n",
           beta, problem.lambda, (int)report.patterns, N * report.objective,
           N * report.dual_bound, (int)report.neurons);
    return N * report.objective;
}

int main(void) {
    static const double betas[2] = {0.1, 0.3};
    static const int widths[3] = {8, 15, 50};
    static net h;
    double best = 0.0, value;
    int reached[3], b, k, run;
    for (b = 0; b < 2; b++) {
        if ((best = optimum(betas[b])) < 0) return 1;
        for (k = 0; k < 3; k++) {
            printf("  m = %2d, SGD / optimum:", h.m = widths[k]);
            for (reached[k] = 0, run = 1; run <= RUNS; run++) {
                sgd(&h, betas[b], (uint64_t)run);
                value = objective(&h, betas[b]) / best;
                if (value < 1.0 - 1e-6) return 1; /* below a proven optimum */
                if (value <= 1.001) reached[k]++;
                printf(" %.3f", value);
            }
            printf("  (%d of %d runs within 0.1 %%)\n", reached[k], RUNS);
        }
    }
    printf("beta %g optimum %.5f reached more often by 50 neurons than by 8: %s\n", betas[1],
           best, reached[2] > reached[0] ? "yes" : "no");
    return 0;
}
