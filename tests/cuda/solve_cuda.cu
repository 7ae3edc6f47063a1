/* One fit on a card, its way to the optimum and its test error, as lines of JSON for
   bench_solve.py. `make build/solve_cuda`, then

     solve_cuda --data X Y n d c [--test X Y n] --lambda L [options]
         X, Y       files of float32 numbers, rows of d, and rows of c or (c = 0) labels
     solve_cuda --made n d c --lambda L [options]         data at random
       --count P            gates to draw, 0 = 1000        --patch S   S x S patches of images
       --gates FILE P       gates given: P rows of d float32 numbers
       --path K             K strengths from lambda_max down to L
       --precision W        float64, float32 (the default), tf32, tf32x3; --panels or --fused
       --al                 the ReLU network by the augmented Lagrangian, no search
       --newton             by Newton, in float64
       --tol T --iterations N --seconds S --threads N      of cvxrelu_options
       --plain              X as it is: no scaling, no bias
       --cpu                the same on the CPU

   Seconds count from before the copy of the data to after the model; reading files, opening the
   card and test errors do not count. Exit status 1 on failure, with a line {"error": ...}.   */
#define CVXRELU_IMPLEMENTATION
#define CVXRELU_CUDA_IMPLEMENTATION
#include "../../cvxrelu_cuda.cuh"
#include <thread>
#include <vector>
#include <time.h>

typedef struct job {
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_cuda_options card;
    std::vector<float> X, Y, gates, test_X, test_Y;
    size_t n, d, c, tests;
    int cpu, patch, path;
    double start;
} job;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what, const char *why) {
    printf("{\"error\": \"%s: %s\"}\n", what, why);
    exit(1);
}

static size_t number(const char *text) { return (size_t)strtoull(text, NULL, 10); }

static std::vector<float> read_floats(const char *path, size_t count) {
    std::vector<float> v(count);
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path, "cannot be opened");
    if (fread(v.data(), sizeof(float), count, file) != count) fail(path, "is too short");
    fclose(file);
    return v;
}

static cvxrelu_matrix view(const std::vector<float> &v, size_t rows, size_t cols) {
    cvxrelu_matrix m;
    memset(&m, 0, sizeof m);
    m.data = v.data(), m.rows = rows, m.cols = cols, m.type = CVXRELU_FLOAT32;
    return m;
}

/* Random inputs; targets with kinks. */
static void make_data(job *j) {
    cvxrelu_random random;
    size_t i, k;
    cvxrelu_random_init(&random, 1);
    j->X.resize(j->n * j->d), j->Y.resize(j->n * j->c);
    for (i = 0; i < j->X.size(); i++) j->X[i] = (float)cvxrelu_random_normal(&random);
    for (i = 0; i < j->Y.size(); i++) {
        float sum = 0;
        for (k = 0; k < j->d; k++)
            sum += j->X[i / j->c * j->d + k] * ((i + k) % 3 ? 0.3f : -1.f);
        j->Y[i] = sum > 0 ? sum : 0.1f * sum;
    }
}

static void set_precision(job *j, const char *name) {
    j->options.precision = strcmp(name, "float64") ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
    if (strcmp(name, "tf32") == 0) j->card.precision = CVXRELU_CUDA_TF32;
    else if (strcmp(name, "tf32x3") == 0) j->card.precision = CVXRELU_CUDA_TF32X3;
    else if (strcmp(name, "float32") && strcmp(name, "float64"))
        fail(name, "is none of float64, float32, tf32, tf32x3");
}

/* How many arguments the option has had, itself included; 0: there is none such. */
static int take_data(job *j, char **a, int left) {
    if (strcmp(a[0], "--made") == 0 && left > 3) {
        j->n = number(a[1]), j->d = number(a[2]), j->c = number(a[3]);
        make_data(j);
        return 4;
    }
    if (strcmp(a[0], "--data") == 0 && left > 5) {
        j->n = number(a[3]), j->d = number(a[4]), j->c = number(a[5]);
        j->X = read_floats(a[1], j->n * j->d);
        j->Y = read_floats(a[2], j->n * (j->c ? j->c : 1));
        return 6;
    }
    if (strcmp(a[0], "--test") == 0 && left > 3) {
        j->tests = number(a[3]);
        j->test_X = read_floats(a[1], j->tests * j->d);
        j->test_Y = read_floats(a[2], j->tests * (j->c ? j->c : 1));
        return 4;
    }
    if (strcmp(a[0], "--gates") == 0 && left > 2) {
        j->gates = read_floats(a[1], number(a[2]) * j->d);
        j->problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        j->problem.gates.given = view(j->gates, number(a[2]), j->d);
        return 3;
    }
    return 0;
}

static int take_option(job *j, char **a, int left) {
    const char *value = left > 1 ? a[1] : "";
    if (strcmp(a[0], "--cpu") == 0) return j->cpu = 1;
    if (strcmp(a[0], "--panels") == 0) return j->card.panels = 1;
    if (strcmp(a[0], "--fused") == 0) return (j->card.panels = -1, 1);
    if (strcmp(a[0], "--al") == 0) {
        j->problem.search = CVXRELU_SEARCH_OFF;
        j->options.solver = CVXRELU_SOLVER_AL;
        return (int)(j->problem.kind = CVXRELU_RELU);
    }
    if (strcmp(a[0], "--newton") == 0) {
        j->options.precision = CVXRELU_FLOAT64;
        return (int)(j->options.solver = CVXRELU_SOLVER_NEWTON);
    }
    if (strcmp(a[0], "--plain") == 0) {
        j->problem.scale = CVXRELU_SCALE_NONE;
        return j->problem.no_bias = 1;
    }
    if (strcmp(a[0], "--lambda") == 0) j->problem.lambda = atof(value);
    else if (strcmp(a[0], "--count") == 0) j->problem.gates.count = number(value);
    else if (strcmp(a[0], "--patch") == 0) j->patch = atoi(value);
    else if (strcmp(a[0], "--path") == 0) j->path = atoi(value);
    else if (strcmp(a[0], "--precision") == 0) set_precision(j, value);
    else if (strcmp(a[0], "--tol") == 0) j->options.tol = atof(value);
    else if (strcmp(a[0], "--iterations") == 0) j->options.max_iters = atoi(value);
    else if (strcmp(a[0], "--seconds") == 0) j->options.time_limit = atof(value);
    else if (strcmp(a[0], "--threads") == 0) j->options.threads = atoi(value);
    else return 0;
    return 2;
}

static void take_arguments(job *j, int argc, char **argv) {
    int i, taken;
    for (i = 1; i < argc; i += taken) {
        taken = take_data(j, argv + i, argc - i);
        if (taken == 0) taken = take_option(j, argv + i, argc - i);
        if (taken == 0) fail(argv[i], "is no option, or lacks something");
    }
    if (j->X.empty()) fail("no data", "give --data or --made first");
    j->problem.X = view(j->X, j->n, j->d);
    j->problem.Y = view(j->Y, j->n, j->c ? j->c : 1);
    if (j->c == 0) j->problem.task = CVXRELU_TASK_CLASSES;
    if (j->patch == 0) return;
    j->problem.gates.sampler = CVXRELU_SAMPLER_PATCH;
    j->problem.gates.patch = (size_t)j->patch;
    j->problem.gates.width = (size_t)(sqrt((double)j->d) + 0.5);
    j->problem.gates.height = j->d / j->problem.gates.width;
}

static int show_progress(void *user, const cvxrelu_progress *p) {
    const job *j = (const job *)user;
    printf("{\"iteration\": %d, \"seconds\": %.6f, \"lambda\": %.9g, \"objective\": %.12g, "
           "\"gap\": %.6g, \"active\": %zu}\n",
           p->iteration, now() - j->start, p->lambda, p->objective, p->gap, p->active);
    return 0;
}

/* Errors of test rows first .. last - 1: wrong labels, or squared errors. */
static void add_errors(const job *j, const cvxrelu_model *model, size_t first, size_t last,
                       double *sum) {
    cvxrelu_model_info info;
    cvxrelu_model_get_info(model, &info);
    std::vector<float> out(info.outputs);
    std::vector<double> wide(info.outputs);
    size_t i, k;
    for (*sum = 0, i = first; i < last; i++) {
        cvxrelu_model_predict_f32(model, &j->test_X[i * j->d], out.data());
        for (k = 0; k < out.size(); k++) wide[k] = (double)out[k];
        if (j->c == 0) *sum += cvxrelu_model_class(model, wide.data()) != (size_t)j->test_Y[i];
        for (k = 0; k < j->c; k++) {
            const double e = wide[k] - (double)j->test_Y[i * j->c + k];
            *sum += e * e / (double)j->c;
        }
    }
}

/* Share of wrong labels, or mean squared error over rows and outputs. */
static double test_error(const job *j, const cvxrelu_model *model) {
    const size_t threads = j->options.threads > 1 ? (size_t)j->options.threads : 1;
    std::vector<double> sums(threads);
    std::vector<std::thread> team;
    double sum = 0;
    size_t t;
    for (t = 1; t < threads; t++)
        team.push_back(std::thread(add_errors, j, model, j->tests * t / threads,
                                   j->tests * (t + 1) / threads, &sums[t]));
    add_errors(j, model, 0, j->tests / threads, &sums[0]);
    for (t = 0; t < team.size(); t++) team[t].join();
    for (t = 0; t < threads; t++) sum += sums[t];
    return sum / (double)j->tests;
}

static void show_report(const job *j, const cvxrelu_report *r, const cvxrelu_model *model,
                        double seconds, size_t card_bytes) {
    printf("{\"report\": true, \"seconds\": %.6f, \"lambda\": %.9g, \"objective\": %.12g, "
           "\"gap\": %.6g, \"subgradient\": %.6g, \"iterations\": %d, \"stop\": %d, "
           "\"patterns\": %zu, \"neurons\": %zu, \"train_error\": %.6g, \"flops\": %.6g, "
           "\"card_bytes\": %zu",
           seconds, r->lambda, r->objective, r->gap, r->subgradient, r->iterations,
           (int)r->stop, r->patterns, r->neurons, r->train_error, r->flops, card_bytes);
    if (j->tests && model) printf(", \"test_error\": %.6g", test_error(j, model));
    printf("}\n");
}

/* All strengths; seconds are of the whole path. */
static void run(job *j, cvxrelu_cuda *cuda) {
    const size_t count = j->path > 1 ? (size_t)j->path : 1;
    std::vector<cvxrelu_model *> models(count, (cvxrelu_model *)NULL);
    std::vector<cvxrelu_report> reports(count);
    std::vector<double> lambdas(count, j->problem.lambda);
    char message[CVXRELU_MESSAGE_SIZE];
    cvxrelu_path_options path;
    double top = 0, seconds;
    size_t k;
    memset(&path, 0, sizeof path);
    j->start = now();
    if (count > 1 && cvxrelu_lambda_max(&j->problem, &j->options, &top, message))
        fail("lambda_max", message);
    for (k = 0; count > 1 && k < count; k++)
        lambdas[k] = top * pow(j->problem.lambda / top, (double)(k + 1) / (double)count);
    path.count = count, path.lambdas = lambdas.data();
    if (cvxrelu_path(&j->problem, &j->options, &path, models.data(), reports.data(), message))
        fail("cvxrelu_path", message);
    seconds = now() - j->start;
    for (k = 0; k < count; k++) {
        show_report(j, &reports[k], models[k], seconds, cuda ? cvxrelu_cuda_peak(cuda) : 0);
        cvxrelu_model_free(models[k]);
    }
}

int main(int argc, char **argv) {
    cvxrelu_cuda *cuda = NULL;
    char message[CVXRELU_MESSAGE_SIZE];
    job *j = new job();
    j->options.solver = CVXRELU_SOLVER_FISTA;
    j->options.precision = CVXRELU_FLOAT32;
    take_arguments(j, argc, argv);
    j->options.progress = show_progress, j->options.progress_user = j;
    if (!j->cpu && cvxrelu_cuda_open(&j->card, &cuda, message))
        fail("cvxrelu_cuda_open", message);
    if (cuda) j->options.device = cvxrelu_cuda_device(cuda);
    run(j, cuda);
    cvxrelu_cuda_close(cuda);
    delete j;
    return 0;
}
