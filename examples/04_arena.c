/* 04 ARENA - train inside a static array, without malloc, stdio of the library, or a clock.

   cvxrelu_fit_bytes says how much a given fit needs at most; an arena serves exactly that
   from the caller's buffer. So a device without a heap can train.

     cc -O2 -I. examples/04_arena.c -o build/04_arena -lm && build/04_arena

   Expected output: an arena of 4096 bytes being refused, the bytes that the bound asks for and
   those that were used (at most the bound), gap and neurons, and as the last line
     objective 0.03292  bytes still in use 0 */
#define CVXRELU_SMALL /* smaller blocks: 0.5 MB less workspace */
#define CVXRELU_NO_MALLOC
#define CVXRELU_NO_STDIO
#define CVXRELU_NO_CLOCK
#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"
#include <stdio.h>

enum { N = 60, D = 4, PATTERNS = 40, ARENA = 384 * 1024 };

/* y = |x0| + x1 * [x2 > 0]: two kinks that a linear model cannot have. */
static void make_data(float *X, float *Y) {
    cvxrelu_random random;
    int i, j;
    cvxrelu_random_init(&random, 3);
    for (i = 0; i < N; i++) {
        float *x = X + i * D;
        for (j = 0; j < D; j++) x[j] = (float)cvxrelu_random_normal(&random);
        Y[i] = (x[0] > 0 ? x[0] : -x[0]) + (x[2] > 0 ? x[1] : 0.0f);
    }
}

int main(void) {
    static float X[N * D], Y[N];
    static unsigned char memory[ARENA];
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxrelu_arena arena;
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    cvxrelu_result result;
    size_t bytes = 0;
    int good;
    make_data(X, Y);
    memset(&problem, 0, sizeof problem);
    memset(&options, 0, sizeof options);
    problem.X.data = X, problem.X.rows = N, problem.X.cols = D,
    problem.X.type = CVXRELU_FLOAT32;
    problem.Y.data = Y, problem.Y.rows = N, problem.Y.cols = 1,
    problem.Y.type = CVXRELU_FLOAT32;
    problem.lambda = 1e-3;
    problem.gates.count = PATTERNS;
    result = cvxrelu_fit_bytes(&problem, &options, &bytes, message);
    if (result != CVXRELU_OK || bytes > ARENA) {
        fprintf(stderr, "fit_bytes: %s (%lu bytes)\n", message, (unsigned long)bytes);
        return 1;
    }

    options.allocator = cvxrelu_arena_init(&arena, memory, 4096);
    result = cvxrelu_fit(&problem, &options, NULL, &model, &report);
    printf("4096 bytes: %s\n", cvxrelu_result_text(result));
    if (result == CVXRELU_OK) return 1;

    options.allocator = cvxrelu_arena_init(&arena, memory, bytes + 64);   /* 64: alignment */
    result = cvxrelu_fit(&problem, &options, NULL, &model, &report);
    if (result != CVXRELU_OK) {
        fprintf(stderr, "fit: %s\n", report.message);
        return 1;
    }
    printf("bound %lu bytes, used at most %lu\n", (unsigned long)bytes,
           (unsigned long)arena.peak);
    good = arena.peak <= arena.size && report.gap <= 1e-6;
    cvxrelu_model_free(model);
    printf("gap %.1e  neurons %d\n", report.gap, (int)report.neurons);
    printf("objective %.5f  bytes still in use %d\n", report.objective, (int)arena.used);
    return good && arena.used == 0 ? 0 : 1;
}
