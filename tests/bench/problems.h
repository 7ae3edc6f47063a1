/* The benchmark problems: fixed data from the library's generator, columns of X divided by
   their 2-norm, gates N(0, I). Included by bench.c, after cvxrelu.h, cli_npy.h and
   the C library.

     planted    n = 250,  d = 50   y = sign of a ReLU network with 100 neurons, X ~ N(0, S),
                                   cond(S) = 10 [MSP22 D.1]
     gaussian   n = 1000, d = 20   y = ReLU network with 30 neurons + 10% noise, X ~ N(0, I)
     kin8nm     n = 8192, d = 8    y = reach of a planar arm of 8 unit links, X joint angles
     spambase   n = 4601, d = 57   y = -1/+1 by one neuron, 5% flipped; X like word
                                   frequencies: many zeros, long tails

     large      n = 4000, d = 50   X, y ~ N(0, I): noise, many neurons; P = 1000 and smaller
                                   strengths alone

   kin8nm and spambase have the sizes of the data sets they are named after; with a directory of
   kin8nm.csv and spambase.csv (header line, target last, commas) those are read instead.     */

typedef struct bench_data {
    const char *name;
    size_t n, d, c;
    double *X, *y;                 /* n x d, n x c, row-major */
} bench_data;

static const size_t bench_patterns[3] = { 100, 1000, 2500 };
static const double bench_lambdas[3] = { 1e-2, 1e-3, 1e-4 };
static const double bench_large_lambdas[3] = { 1e-3, 1e-4, 1e-5 };

static void *bench_alloc(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) {
        fprintf(stderr, "bench: out of memory\n");
        exit(1);
    }
    return memory;
}

static void bench_normals(cvxrelu_random *random, double *out, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) out[i] = cvxrelu_random_normal(random);
}

/* out_i = sum_j (x_i . w_j)_+ a_j with m gaussian neurons. */
static void bench_teacher(cvxrelu_random *random, const bench_data *data, size_t m,
                          double *out) {
    size_t i, j, k, d = data->d;
    double *w = (double *)bench_alloc(d + 1, sizeof *w);
    for (i = 0; i < data->n; i++) out[i] = 0.0;
    for (j = 0; j < m; j++) {
        bench_normals(random, w, d + 1);
        for (i = 0; i < data->n; i++) {
            double z = 0.0;
            for (k = 0; k < d; k++) z += data->X[i * d + k] * w[k];
            if (z > 0.0) out[i] += z * w[d];
        }
    }
    free(w);
}

/* Rows of Q become orthonormal (modified Gram-Schmidt, twice against each earlier row). */
static void bench_orthonormal(double *Q, size_t d) {
    size_t i, j, k, round;
    for (i = 0; i < d; i++) {
        double *q = Q + i * d, norm = 0.0;
        for (round = 0; round < 2; round++)
            for (j = 0; j < i; j++) {
                double dot = 0.0;
                for (k = 0; k < d; k++) dot += q[k] * Q[j * d + k];
                for (k = 0; k < d; k++) q[k] -= dot * Q[j * d + k];
            }
        for (k = 0; k < d; k++) norm += q[k] * q[k];
        for (k = 0; k < d; k++) q[k] /= sqrt(norm);
    }
}

/* X = Z S^(1/2), S = Q^T diag(10, 1, uniform in [1, 10], ...) Q. */
static void bench_planted(cvxrelu_random *random, bench_data *data) {
    size_t i, j, k, n = data->n, d = data->d;
    double *Q = (double *)bench_alloc(d * d, sizeof *Q);
    double *root = (double *)bench_alloc(d, sizeof *root);
    bench_normals(random, Q, d * d);
    bench_orthonormal(Q, d);
    for (k = 0; k < d; k++)
        root[k] = sqrt(k == 0   ? 10.0
                       : k == 1 ? 1.0
                                : 1.0 + 9.0 * cvxrelu_random_uniform(random));
    for (i = 0; i < n; i++)
        for (k = 0; k < d; k++) {
            double z = root[k] * cvxrelu_random_normal(random);
            for (j = 0; j < d; j++) data->X[i * d + j] += z * Q[k * d + j];
        }
    bench_teacher(random, data, 100, data->y);
    for (i = 0; i < n; i++) data->y[i] = data->y[i] >= 0.0 ? 1.0 : -1.0;
    free(root);
    free(Q);
}

static void bench_gaussian(cvxrelu_random *random, bench_data *data) {
    size_t i;
    double square = 0.0;
    bench_normals(random, data->X, data->n * data->d);
    bench_teacher(random, data, 30, data->y);
    for (i = 0; i < data->n; i++) square += data->y[i] * data->y[i];
    square = sqrt(square / (double)data->n);
    for (i = 0; i < data->n; i++) data->y[i] += 0.1 * square * cvxrelu_random_normal(random);
}

static void bench_arm(cvxrelu_random *random, bench_data *data) {
    size_t i, j;
    for (i = 0; i < data->n; i++) {
        double angle = 0.0, x = 0.0, y = 0.0;
        for (j = 0; j < data->d; j++) {
            double turn = 3.14159265358979323846 * (cvxrelu_random_uniform(random) - 0.5);
            data->X[i * data->d + j] = turn;
            angle += turn;
            x += cos(angle);
            y += sin(angle);
        }
        data->y[i] = sqrt(x * x + y * y) + 0.1 * cvxrelu_random_normal(random);
    }
}

static void bench_words(cvxrelu_random *random, bench_data *data) {
    size_t i, j;
    double mean = 0.0;
    for (j = 0; j < data->d; j++) {
        double share = 0.1 + 0.8 * cvxrelu_random_uniform(random);
        for (i = 0; i < data->n; i++) {
            double word = cvxrelu_random_uniform(random), much = cvxrelu_random_normal(random);
            data->X[i * data->d + j] = word < share ? exp(much) : 0.0;
        }
    }
    bench_teacher(random, data, 1, data->y);
    for (i = 0; i < data->n; i++) mean += data->y[i] / (double)data->n;
    for (i = 0; i < data->n; i++) {
        int flip = cvxrelu_random_uniform(random) < 0.05;
        data->y[i] = (data->y[i] >= mean) != flip ? 1.0 : -1.0;
    }
}

/* n rows of d numbers and the target; 0 when the file is absent or not of that form. */
static int bench_read_csv(bench_data *data, const char *directory) {
    char path[1024];
    size_t i, j;
    int c, good = 1;
    FILE *file;
    sprintf(path, "%.900s/%s.csv", directory, data->name);
    file = fopen(path, "r");
    if (file == NULL) return 0;
    do c = getc(file); while (c != '\n' && c != EOF);
    for (i = 0; i < data->n && good; i++)
        for (j = 0; j <= data->d && good; j++) {
            double *cell = j < data->d ? &data->X[i * data->d + j] : &data->y[i];
            good = fscanf(file, j ? ",%lf" : "%lf", cell) == 1;
        }
    fclose(file);
    if (!good) fprintf(stderr, "bench: %s is not a table of %lu rows of %lu numbers\n", path,
                       (unsigned long)data->n, (unsigned long)data->d + 1);
    if (good && strcmp(data->name, "spambase") == 0)
        for (i = 0; i < data->n; i++) data->y[i] = 2.0 * data->y[i] - 1.0;
    return good;
}

static void bench_unit_columns(bench_data *data) {
    size_t i, j;
    for (j = 0; j < data->d; j++) {
        double square = 0.0, *x = data->X + j;
        for (i = 0; i < data->n; i++) square += x[i * data->d] * x[i * data->d];
        for (i = 0; i < data->n && square > 0.0; i++) x[i * data->d] /= sqrt(square);
    }
}

/* Data set `which` (0 to 4). directory: real data for kin8nm and spambase, or NULL. */
static bench_data bench_make(size_t which, const char *directory) {
    static const char *const names[5] = { "planted", "gaussian", "kin8nm", "spambase",
                                          "large" };
    static const size_t rows[5] = { 250, 1000, 8192, 4601, 4000 };
    static const size_t columns[5] = { 50, 20, 8, 57, 50 };
    bench_data data;
    cvxrelu_random random;
    data.name = names[which];
    data.n = rows[which];
    data.d = columns[which];
    data.c = 1;
    data.X = (double *)bench_alloc(data.n * data.d, sizeof *data.X);
    data.y = (double *)bench_alloc(data.n, sizeof *data.y);
    cvxrelu_random_init(&random, which == 4 ? 7 : 1000 + which);
    if (which == 0) bench_planted(&random, &data);
    else if (which == 1) bench_gaussian(&random, &data);
    else if (which == 4) {
        bench_normals(&random, data.X, data.n * data.d);
        bench_normals(&random, data.y, data.n);
    } else if (directory == NULL || !bench_read_csv(&data, directory)) {
        if (which == 2) bench_arm(&random, &data);
        else bench_words(&random, &data);
    }
    bench_unit_columns(&data);
    return data;
}

static void bench_free(bench_data *data) {
    free(data->X);
    free(data->y);
}

/* P gates as rows, the first P of one sequence a data set. */
static double *bench_gates(const bench_data *data, size_t P) {
    cvxrelu_random random;
    double *G = (double *)bench_alloc(P * data->d, sizeof *G);
    cvxrelu_random_init(&random, 2000 + data->d);
    bench_normals(&random, G, P * data->d);
    return G;
}

/* DIRECTORY/NAME.npy of `axes` axes (npy_write of cli_npy.h). */
static void bench_write_npy(const char *directory, const char *name, size_t axes,
                            const size_t *shape, const double *values) {
    char path[1024];
    FILE *file;
    sprintf(path, "%.900s/%.99s.npy", directory, name);
    file = fopen(path, "wb");
    if (file != NULL) npy_write(file, axes, shape, values);
    if (file == NULL || fclose(file) != 0) {
        fprintf(stderr, "bench: cannot write %s\n", path);
        exit(1);
    }
}

/* NAME_X.npy (n x d), NAME_Y.npy (n x 1) and NAME_GP.npy (d x P, the layout of --gates). */
static void bench_write(const bench_data *data, const char *directory, const double *gates,
                        size_t P) {
    char name[100];
    size_t shape[2], i, j;
    double *G = (double *)bench_alloc(P * data->d, sizeof *G);
    for (i = 0; i < P; i++)
        for (j = 0; j < data->d; j++) G[j * P + i] = gates[i * data->d + j];
    shape[0] = data->n;
    shape[1] = data->d;
    sprintf(name, "%.60s_X", data->name);
    bench_write_npy(directory, name, 2, shape, data->X);
    shape[1] = 1;
    sprintf(name, "%.60s_Y", data->name);
    bench_write_npy(directory, name, 2, shape, data->y);
    shape[0] = data->d;
    shape[1] = P;
    sprintf(name, "%.60s_G%lu", data->name, (unsigned long)P);
    bench_write_npy(directory, name, 2, shape, G);
    free(G);
}
