/* 07 PE20, FIGURE 3 - two classes in the plane: SGD, sampled patterns, all patterns.

   n = 50 points of two arcs, y = -1 or 1, a column of ones; the squared loss, where the paper
   has the hinge loss. Optimal has all patterns, listed; Approximate m = 50 random ones; SGD
   trains m = 50 neurons from ten starts on batches of 25 rows. The figure shows most runs
   slightly above Optimal, Approximate near them. Objectives are the paper's, n times those of
   cvxrelu; its beta = n lambda is not printed there. An argument names the SVG file into which
   the three decision boundaries are drawn.

     cc -O2 -I. examples/07_pe20_fig3.c -o build/07_pe20_fig3 -lm
     build/07_pe20_fig3 build/pe20_fig3.svg

   Expected output: the three objectives, and as the last line
     beta 0.1 optimal 3.25 approximate 3.60 best of SGD 3.28 */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 50, M = 50, RUNS = 10, EPOCHS = 4000, BATCH = 25, MOST = 4 * N, SIDE = 400 };
static const double beta = 0.1, pi = 3.14159265358979;
static double X[N][2], Y[N];

/* h(x) = sum_j a_j max(0, W_j . (x, 1)) */
typedef struct net {
    int m;
    double W[MOST][3], a[MOST];
} net;

static void make_data(void) {
    cvxrelu_random random;
    int i;
    cvxrelu_random_init(&random, 3);
    for (i = 0; i < N; i++) {
        double angle = pi * cvxrelu_random_uniform(&random);
        Y[i] = i % 2 ? 1 : -1;
        X[i][0] = Y[i] * (cos(angle) - 0.5) + 0.15 * cvxrelu_random_normal(&random);
        X[i][1] = Y[i] * (sin(angle) - 0.25) + 0.15 * cvxrelu_random_normal(&random);
    }
}

static double unit_input(const double *w, const double *x) {
    return w[0] * x[0] + w[1] * x[1] + w[2];
}

static double value(const net *h, double x0, double x1) {
    double x[2] = {x0, x1}, sum = 0.0;
    int j;
    for (j = 0; j < h->m; j++) {
        double z = unit_input(h->W[j], x);
        if (z > 0) sum += h->a[j] * z;
    }
    return sum;
}

/* 1/2 ||h(X) - y||^2 + beta/2 sum_j (||W_j||^2 + a_j^2), the paper's objective. */
static double objective(const net *h) {
    double sum = 0.0;
    int i, j;
    for (i = 0; i < N; i++) {
        double r = value(h, X[i][0], X[i][1]) - Y[i];
        sum += 0.5 * r * r;
    }
    for (j = 0; j < h->m; j++) {
        const double *w = h->W[j];
        sum += 0.5 * beta * (w[0] * w[0] + w[1] * w[1] + w[2] * w[2] + h->a[j] * h->a[j]);
    }
    return sum;
}

/* One step on the rows batch[0] .. batch[BATCH-1]. */
static void sgd_step(net *h, const int *batch, double step) {
    double r[BATCH];
    int i, j, k;
    for (i = 0; i < BATCH; i++)
        r[i] = (value(h, X[batch[i]][0], X[batch[i]][1]) - Y[batch[i]]) / BATCH;
    for (j = 0; j < h->m; j++) {
        double *w = h->W[j], ga = beta / N * h->a[j], gw[3];
        for (k = 0; k < 3; k++) gw[k] = beta / N * w[k];
        for (i = 0; i < BATCH; i++) {
            const double *x = X[batch[i]], z = unit_input(w, x), g = r[i] * h->a[j];
            if (z <= 0) continue;
            ga += r[i] * z;
            gw[0] += g * x[0], gw[1] += g * x[1], gw[2] += g;
        }
        h->a[j] -= step * ga;
        for (k = 0; k < 3; k++) w[k] -= step * gw[k];
    }
}

/* The step falls from 0.4 to 0 as a cosine; the start is that of torch.nn.Linear. */
static void sgd(net *h, uint64_t seed) {
    cvxrelu_random random;
    int order[N], e, i, j;
    cvxrelu_random_init(&random, seed);
    for (h->m = M, j = 0; j < M; j++) {
        for (i = 0; i < 3; i++)
            h->W[j][i] = (2 * cvxrelu_random_uniform(&random) - 1) / sqrt(3.0);
        h->a[j] = (2 * cvxrelu_random_uniform(&random) - 1) / sqrt((double)M);
    }
    for (i = 0; i < N; i++) order[i] = i;
    for (e = 0; e < EPOCHS; e++) {
        for (i = N; i > 1; i--) {
            int other = (int)cvxrelu_random_below(&random, (uint64_t)i), swap = order[i - 1];
            order[i - 1] = order[other];
            order[other] = swap;
        }
        for (i = 0; i < N; i += BATCH) sgd_step(h, order + i, 0.2 * (1 + cos(pi * e / EPOCHS)));
    }
}

/* The convex program; its network is taken over, so that all are judged by one formula. */
static int convex(cvxrelu_search search, net *h) {
    cvxrelu_problem problem;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    int fits;
    memset(&problem, 0, sizeof problem);
    problem.kind = CVXRELU_RELU;
    problem.search = search;
    problem.scale = CVXRELU_SCALE_NONE;
    problem.X.data = X, problem.X.rows = N, problem.X.cols = 2;
    problem.Y.data = Y, problem.Y.rows = N, problem.Y.cols = 1;
    problem.lambda = beta / N;
    problem.gates.count = M;
    if (cvxrelu_fit(&problem, NULL, NULL, &model, &report) != CVXRELU_OK) {
        fprintf(stderr, "%s\n", report.message);
        return 1;
    }
    printf("%d patterns: objective %.6f, at least %.6f over them, %d neurons\n",
           (int)report.patterns, N * report.objective, N * report.dual_bound,
           (int)report.neurons);
    fits = report.neurons <= MOST;
    if (fits) cvxrelu_model_network(model, &h->W[0][0], NULL, h->a, NULL);
    h->m = (int)report.neurons;
    cvxrelu_model_free(model);
    return !fits;
}

/* Where h changes sign on an edge of the grid, between values p and q at 0 and 1. */
static double crossing(double p, double q) { return p / (p - q); }

/* The line h = 0 by marching squares on cells of 4 pixels, one step = 1/100. */
static void draw_boundary(FILE *svg, const net *h, const char *style) {
    int i, j;
    fprintf(svg, "<path fill=\"none\" %s d=\"", style);
    for (i = 0; i < SIDE; i += 4)
        for (j = 0; j < SIDE; j += 4) {
            static const int di[5] = {0, 4, 4, 0, 0}, dj[5] = {0, 0, 4, 4, 0};
            int k, ends = 0;
            for (k = 0; k < 4; k++) {
                double p = value(h, (i + di[k]) / 100.0 - 2, 2 - (j + dj[k]) / 100.0);
                double q = value(h, (i + di[k + 1]) / 100.0 - 2, 2 - (j + dj[k + 1]) / 100.0);
                double t = crossing(p, q);
                if ((p > 0) == (q > 0)) continue;
                fprintf(svg, "%c%.1f %.1f", ends++ % 2 ? 'L' : 'M',
                        i + di[k] + t * (di[k + 1] - di[k]),
                        j + dj[k] + t * (dj[k + 1] - dj[k]));
            }
        }
    fprintf(svg, "\"/>\n");
}

static int draw(const char *path, const net *optimal, const net *sampled, const net *best) {
    FILE *svg = fopen(path, "w");
    int i;
    if (svg == NULL) {
        fprintf(stderr, "%s: cannot be written\n", path);
        return 1;
    }
    fprintf(svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "font-family=\"sans-serif\" font-size=\"13\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            SIDE, SIDE + 50);
    for (i = 0; i < N; i++)
        fprintf(svg, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n",
                100 * (X[i][0] + 2), 100 * (2 - X[i][1]), Y[i] > 0 ? "#c33" : "#36c");
    draw_boundary(svg, best, "stroke=\"#999\" stroke-width=\"2\"");
    draw_boundary(svg, sampled, "stroke=\"#e90\" stroke-width=\"2\" stroke-dasharray=\"6 4\"");
    draw_boundary(svg, optimal, "stroke=\"black\" stroke-width=\"2\"");
    fprintf(svg,
            "<text x=\"10\" y=\"%d\">Optimal</text>"
            "<text x=\"90\" y=\"%d\" fill=\"#e90\">Approximate (50 patterns)</text>"
            "<text x=\"270\" y=\"%d\" fill=\"#777\">best of 10 SGD runs</text>\n</svg>\n",
            SIDE + 30, SIDE + 30, SIDE + 30);
    return fclose(svg) != 0;
}

int main(int argc, char **argv) {
    static net optimal, sampled, h, best;
    double lowest = 1e300;
    int run;
    make_data();
    printf("Optimal: ");
    if (convex(CVXRELU_SEARCH_EXACT, &optimal)) return 1;
    printf("Approximate: ");
    if (convex(CVXRELU_SEARCH_OFF, &sampled)) return 1;
    printf("SGD, m = %d:", M);
    for (run = 1; run <= RUNS; run++) {
        double reached;
        sgd(&h, (uint64_t)run);
        reached = objective(&h);
        printf(" %.4f", reached);
        if (reached < lowest) lowest = reached, best = h;
    }
    printf("\n");
    if (argc > 1 && draw(argv[1], &optimal, &sampled, &best)) return 1;
    printf("beta %g optimal %.2f approximate %.2f best of SGD %.2f\n", beta,
           objective(&optimal), objective(&sampled), lowest);
    return objective(&optimal) <= lowest + 1e-6 ? 0 : 1;
}
