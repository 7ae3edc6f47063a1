/* 02 CERTIFICATE - what a fit proves, and how somebody else checks it.

   A fit returns weights and a dual bound: no choice of weights over the same activation
   patterns has an objective below that bound. The saved bytes hold the recipe of the
   patterns, so another program can draw them again and recompute objective, bound and gap
   from the definition.

     cc -O2 -I. examples/02_certificate.c -o build/02_certificate -lm && build/02_certificate

   Expected output: the claim of the fit, the same numbers recomputed from the saved bytes, the
   refusal of altered bytes, and as the last line
     objective 0.04083  patterns 300  agree 1 */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 120, D = 6, C = 3 };

/* Three classes: the largest of three random linear functions. */
static void make_data(double *X, double *Y) {
    double w[C][D], best, value;
    cvxrelu_random random;
    int i, j, k;
    cvxrelu_random_init(&random, 7);
    for (k = 0; k < C; k++)
        for (j = 0; j < D; j++) w[k][j] = cvxrelu_random_normal(&random);
    for (i = 0; i < N; i++) {
        for (j = 0; j < D; j++) X[i * D + j] = cvxrelu_random_normal(&random);
        best = -1e300;
        for (k = 0; k < C; k++) {
            for (value = 0.0, j = 0; j < D; j++) value += w[k][j] * X[i * D + j];
            if (value > best) {
                best = value;
                Y[i] = k;
            }
        }
    }
}

static int fail(const char *what, const char *message) {
    fprintf(stderr, "%s: %s\n", what, message);
    return 1;
}

/* Loads the bytes as a stranger would and recomputes what they claim. */
static int check(const unsigned char *bytes, size_t size, const cvxrelu_problem *problem,
                 cvxrelu_report *report) {
    cvxrelu_model *model = NULL;
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxrelu_result result = cvxrelu_model_read(bytes, size, NULL, &model, message);
    if (result != CVXRELU_OK) {
        printf("refused:    %s\n", message);
        return 1;
    }
    result = cvxrelu_verify(model, problem->X, problem->Y, -1.0, NULL, report);
    cvxrelu_model_free(model);
    return result == CVXRELU_OK ? 0 : fail("verify", report->message);
}

int main(void) {
    static double X[N * D], Y[N];
    static unsigned char bytes[1 << 20];
    size_t size = sizeof bytes;
    cvxrelu_problem problem;
    cvxrelu_report fit, seen, altered;
    cvxrelu_model *model = NULL;
    cvxrelu_result result;
    int agree;
    make_data(X, Y);
    memset(&problem, 0, sizeof problem);
    problem.X.data = X, problem.X.rows = N, problem.X.cols = D;
    problem.Y.data = Y, problem.Y.rows = N, problem.Y.cols = 1;
    problem.task = CVXRELU_TASK_CLASSES;
    problem.lambda = 1e-3;
    problem.gates.count = 300;
    problem.gates.seed = 11;
    if (cvxrelu_fit(&problem, NULL, NULL, &model, &fit) != CVXRELU_OK)
        return fail("fit", fit.message);
    printf("claimed:    objective %.9f  bound %.9f  gap %.1e\n", fit.objective, fit.dual_bound,
           fit.gap);

    result = cvxrelu_model_write(model, 0, bytes, &size);
    cvxrelu_model_free(model);
    if (result != CVXRELU_OK) return fail("write", cvxrelu_result_text(result));
    if (check(bytes, size, &problem, &seen)) return 1;
    printf("recomputed: objective %.9f  bound %.9f  gap %.1e  over %d patterns\n",
           seen.objective, seen.dual_bound, seen.gap, (int)seen.patterns);

    bytes[size / 2] ^= 1;
    if (!check(bytes, size, &problem, &altered))
        return fail("check", "altered bytes were accepted");
    agree = fabs(seen.objective - fit.objective) < 1e-9 && seen.gap <= 1.01e-6;
    printf("objective %.5f  patterns %d  agree %d\n", seen.objective, (int)seen.patterns,
           agree);
    return agree ? 0 : 1;
}
