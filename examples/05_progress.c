/* 05 PROGRESS - watch a fit, stop it, give it a deadline, and go on from where it stood.

   The callback sees objective, bound and gap of every step; a nonzero return stops the run, and
   the best iterate so far comes back with its gap, as it does when a time limit ends it. Either
   can be the start of a later fit.

   The callback's bound comes from the dual point that Newton holds. The report's is proven by
   the weights that are returned, and by nothing else, so after an early stop it may be looser:
   stopping when the callback sees 1 % does not promise 1 % in the report.

     cc -O2 -I. examples/05_progress.c -o build/05_progress -lm && build/05_progress

   Expected output: the steps of a fit that is stopped when the callback sees a gap of 1 %, the
   gap that its weights prove, the fit that goes on from there to 1e-6, a fit that only its
   deadline (or the end of all progress) ends, and as the last line
     objective 0.07791  stopped 1  in time 1 */
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 300, D = 10 };

/* Stops when the gap is good enough for this caller; `seen` is the last one. */
typedef struct watch { double enough, seen; } watch;

static int on_progress(void *user, const cvxrelu_progress *progress) {
    watch *w = (watch *)user;
    w->seen = progress->gap;
    if (w->enough > 0)
        printf("  iteration %2d  objective %.6f  bound %.6f  gap %.1e  neurons %d\n",
               progress->iteration, progress->objective, progress->dual_bound, progress->gap,
               (int)progress->active);
    return progress->gap <= w->enough;
}

static void make_data(double *X, double *Y) {
    cvxrelu_random random;
    int i, j;
    cvxrelu_random_init(&random, 5);
    for (i = 0; i < N; i++) {
        double *x = X + i * D;
        for (j = 0; j < D; j++) x[j] = cvxrelu_random_normal(&random);
        Y[i] = fabs(x[0] + x[1]) - fabs(x[2]) + 0.1 * cvxrelu_random_normal(&random);
    }
}

static int fail(const char *what, const cvxrelu_report *report) {
    fprintf(stderr, "%s: %s\n", what, report->message);
    return 1;
}

int main(void) {
    static double X[N * D], Y[N];
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_report stopped, finished, timed;
    cvxrelu_model *early = NULL, *model = NULL, *late = NULL;
    watch w;
    int good;
    make_data(X, Y);
    memset(&problem, 0, sizeof problem);
    memset(&options, 0, sizeof options);
    problem.X.data = X, problem.X.rows = N, problem.X.cols = D;
    problem.Y.data = Y, problem.Y.rows = N, problem.Y.cols = 1;
    problem.lambda = 1e-3;
    options.progress = on_progress;
    options.progress_user = &w;

    printf("until the callback sees a gap of 1 %%:\n");
    w.enough = 1e-2;
    if (cvxrelu_fit(&problem, &options, NULL, &early, &stopped) != CVXRELU_OK)
        return fail("fit", &stopped);
    printf("stopped at gap %.1e by Newton's dual point, %.1e by the weights alone\n\n", w.seen,
           stopped.gap);

    w.enough = 0;
    if (cvxrelu_fit(&problem, &options, early, &model, &finished) != CVXRELU_OK)
        return fail("second fit", &finished);
    printf("from there to gap %.1e in %d iterations\n", finished.gap, finished.iterations);

    options.time_limit = 0.5;
    options.tol = -1.0;                        /* never satisfied: only the clock can end it */
    if (cvxrelu_fit(&problem, &options, NULL, &late, &timed) != CVXRELU_OK)
        return fail("fit with a deadline", &timed);
    printf("with a deadline of half a second: gap %.1e\n", timed.gap);

    good = finished.gap <= 1e-6 && stopped.stop == CVXRELU_STOP_USER && timed.seconds < 1.0;
    printf("objective %.5f  stopped %d  in time %d\n", finished.objective,
           stopped.stop == CVXRELU_STOP_USER, timed.seconds < 1.0);
    cvxrelu_model_free(early);
    cvxrelu_model_free(model);
    cvxrelu_model_free(late);
    return good ? 0 : 1;
}
