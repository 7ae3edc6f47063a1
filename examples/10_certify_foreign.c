/* 10 CERTIFY A FOREIGN NETWORK - how good are weights that another program found?

   Two networks h(x) = sum_j a_j max(0, w_j x + b_j) + b2 of eight neurons, trained by Adam in
   another program with weight decay lambda = 0.01 on the same twelve points, from two starts,
   are given as plain arrays. cvxrelu_certify computes their objective and a lower bound on that
   of every network of any width with the same b2, over all activation patterns: the first is
   optimal to four digits; of the second 16 % are not proven, and a better network was met.

     cc -O2 -I. examples/10_certify_foreign.c -o build/10_certify_foreign -lm
     build/10_certify_foreign

   Expected output: for each network objective, bound, best network met; and as the last line
     proven shares 0.9999 0.8420 */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 12, M = 8 };

static const double x[N] = {-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5};
static const double y[N] = {0.08, -0.18, -0.74, -1.23, -1.3, -0.83,
                            0,    0.83,  1.3,   1.23,  0.74, 0.18};

static const struct {
    double w[M], b[M], a[M], b2;
} nets[2] = {{{0.4231, -0.3549, -0.6512, -1.0058, 0.0215, 0.8458, 0.4561, 0.3005},
              {0.4328, 0.3481, 0.6388, -1.0287, 0.0205, -0.8296, 0.4368, -0.2948},
              {0.6053, -0.4971, -0.9123, 1.4387, 0.0297, -1.1847, 0.6315, -0.421},
              0.2178},
             {{-0.9998, -0.6944, -0.3496, -0.86, -0.3811, -0.2152, -0.4444, -0.1065},
              {-1.02, 0.6034, 0.8739, 0.7474, -0.3888, -0.2046, -0.4534, 0.0926},
              {1.4282, -0.92, 0.941, -1.1394, 0.5445, 0.2969, 0.6348, -0.1411},
              0.5961}};

static cvxrelu_matrix view(const double *data, size_t rows, size_t cols) {
    cvxrelu_matrix matrix;
    memset(&matrix, 0, sizeof matrix);
    matrix.data = data, matrix.rows = rows, matrix.cols = cols;
    return matrix;
}

int main(void) {
    cvxrelu_problem problem;
    cvxrelu_network network;
    cvxrelu_certify_report report;
    double proven[2];
    int k;
    memset(&problem, 0, sizeof problem);
    memset(&network, 0, sizeof network);
    problem.X = view(x, N, 1);
    problem.Y = view(y, N, 1);
    problem.lambda = 0.01; /* scale AUTO: the weights as they are; the bias is penalised */
    for (k = 0; k < 2; k++) {
        network.W1 = view(nets[k].w, M, 1);
        network.b1 = view(nets[k].b, M, 1);
        network.W2 = view(nets[k].a, 1, M);
        network.b2 = view(&nets[k].b2, 1, 1);
        if (cvxrelu_certify(&problem, &network, NULL, NULL, NULL, &report) != CVXRELU_OK) {
            fprintf(stderr, "%s\n", report.message);
            return 1;
        }
        printf("network %d: objective %.6f, no network with its b2 has less than %.6f\n"
               "           (best one met: %.6f, %d patterns, %d programs)\n",
               k + 1, report.objective, report.dual_bound, report.best, (int)report.patterns,
               report.rounds);
        proven[k] = 1.0 - report.gap;
    }
    printf("proven shares %.4f %.4f\n", proven[0], proven[1]);
    return proven[0] > 0.98 && report.dual_bound <= report.best ? 0 : 1;
}
