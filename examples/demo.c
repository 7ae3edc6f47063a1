/* demo - the whole way of a network, on real data, in words.

     cc -O2 -I. examples/demo.c -o build/demo -lm && build/demo examples/data build

   Reads the breast cancer table, holds out a fifth of the rows, trains a ReLU network: a search
   for activation patterns, then the convex program over them, while the gap closes on the
   screen. Tests on the rows held out, saves the model, loads it again, predicts a few rows with
   it, lets it be verified from the definition, and says what is proven over all patterns. The
   arguments are the folder of the data (default examples/data) and the folder for the model
   (default build). Uses cvxrelu.h and the CSV reader of the command-line tool. */

#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"

#include "cli_csv.h"

typedef struct demo_rows {
    size_t n;
    double *X, *Y;             /* n x d features, n class numbers                             */
} demo_rows;

typedef struct demo_data {
    size_t d;
    const char *labels[2];     /* benign, malignant                                           */
    char **names;              /* of the d features                                           */
    demo_rows train, test;
} demo_data;

static int demo_failed(const char *what, const char *message, cvxrelu_result result) {
    return cli_error(CLI_FAILED, "demo: %s: %s", what,
                     message[0] ? message : cvxrelu_result_text(result));
}

/* Copies row i of the table into one of the two parts. */
static int demo_take(const csv_table *table, size_t i, const demo_data *data, demo_rows *rows) {
    const char *label = table->cells[i * table->cols + data->d];
    size_t j;
    for (j = 0; j < data->d; j++) {
        int status = csv_value(table, i, j, &rows->X[rows->n * data->d + j]);
        if (status != CLI_OK) return status;
    }
    rows->Y[rows->n++] = strcmp(label, data->labels[1]) == 0 ? 1.0 : 0.0;
    return CLI_OK;
}

/* Reads the table and deals its rows out: each goes to the test with a chance of one in five.
   */
static int demo_read(cli_pool *pool, const char *path, demo_data *data) {
    csv_table table;
    cvxrelu_random random;
    char *text = NULL;
    size_t size = 0, i;
    int status = cli_read_file(pool, path, &text, &size);
    if (status == CLI_OK) status = csv_parse(pool, path, text, size, 1, &table);
    if (status != CLI_OK) return status;
    memset(data, 0, sizeof *data);
    data->d = table.cols - 1;
    data->names = table.names;
    data->labels[0] = "benign";
    data->labels[1] = "malignant";
    data->train.X = (double *)cli_alloc(pool, table.rows * data->d, sizeof(double));
    data->train.Y = (double *)cli_alloc(pool, table.rows, sizeof(double));
    data->test.X = (double *)cli_alloc(pool, table.rows * data->d, sizeof(double));
    data->test.Y = (double *)cli_alloc(pool, table.rows, sizeof(double));
    cvxrelu_random_init(&random, 2022);
    for (i = 0; i < table.rows && status == CLI_OK; i++)
        status = demo_take(&table, i, data,
                           cvxrelu_random_below(&random, 5) == 0 ? &data->test : &data->train);
    printf("%s: %lu rows of %lu measurements, each a tumour that is %s or %s.\n", path,
           (unsigned long)table.rows, (unsigned long)data->d, data->labels[0], data->labels[1]);
    printf("%lu rows to learn from, %lu held out.\n\n", (unsigned long)data->train.n,
           (unsigned long)data->test.n);
    return status;
}

static cvxrelu_matrix demo_matrix(const double *values, size_t rows, size_t cols) {
    cvxrelu_matrix matrix;
    memset(&matrix, 0, sizeof matrix);
    matrix.data = values;
    matrix.rows = rows;
    matrix.cols = cols;
    return matrix;
}

/* The descent has no bound; a line of it now and then. The convex program closes its gap. */
static int demo_progress(void *user, const cvxrelu_progress *progress) {
    int *lines = (int *)user, descends = progress->dual_bound <= 0;
    if (descends && progress->iteration % 512 != 0) return 0;
    if ((*lines)++ == 0) printf("   step   objective   proven bound        gap   neurons\n");
    printf("  %5d  %10.6f  ", progress->iteration, progress->objective);
    if (descends) printf("     descent           -");
    else printf("   %10.6f   %8.1e", progress->dual_bound, progress->gap);
    printf("  %8lu\n", (unsigned long)progress->active);
    return 0;
}

static int demo_train(const demo_data *data, cvxrelu_model **model, cvxrelu_report *report) {
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_result result;
    int lines = 0;
    memset(&problem, 0, sizeof problem);
    memset(&options, 0, sizeof options);
    problem.kind = CVXRELU_RELU;
    problem.X = demo_matrix(data->train.X, data->train.n, data->d);
    problem.Y = demo_matrix(data->train.Y, data->train.n, 1);
    problem.task = CVXRELU_TASK_CLASSES;
    problem.lambda = 2e-3;
    options.progress = demo_progress;
    options.progress_user = &lines;
    printf("Training a two-layer ReLU network: minimise the squared error plus %g times the\n"
           "sum of neuron norms. First-order descent from many neurons looks for activation\n"
           "patterns; over those the problem is a convex program, which is then solved.\n\n",
           problem.lambda);
    result = cvxrelu_fit(&problem, &options, NULL, model, report);
    if (result != CVXRELU_OK) return demo_failed("training", report->message, result);
    printf("\nThe descent ended at %.8f, the convex programs (%d, with %lu flipped rows) at\n"
           "%.8f. No network over these %lu patterns has an objective below %.8f:\n"
           "it is within %.2g %% of that optimum, and this is proven.\n",
           report->descent_objective, report->rounds, (unsigned long)report->flips,
           report->objective, (unsigned long)report->patterns, report->dual_bound,
           100.0 * report->gap);
    printf("%lu neurons. %.2f seconds, %.1f MB.\n\n", (unsigned long)report->neurons,
           report->seconds, (double)report->peak_bytes / 1048576.0);
    return CLI_OK;
}

static size_t demo_wrong(const cvxrelu_model *model, const demo_data *data,
                         const demo_rows *rows) {
    size_t i, wrong = 0;
    for (i = 0; i < rows->n; i++) {
        double out;
        cvxrelu_model_predict(model, rows->X + i * data->d, &out);
        wrong += cvxrelu_model_class(model, &out) != (size_t)rows->Y[i];
    }
    return wrong;
}

static void demo_score(const cvxrelu_model *model, const demo_data *data, const char *name,
                       const demo_rows *rows) {
    size_t wrong = demo_wrong(model, data, rows);
    printf("%-26s %6.2f %% right (%lu of %lu wrong)\n", name,
           100.0 * (1.0 - (double)wrong / (double)rows->n), (unsigned long)wrong,
           (unsigned long)rows->n);
}

/* Saves the model and loads it again, as another program would. */
static int demo_round_trip(const demo_data *data, const char *path, cvxrelu_model *model,
                           cvxrelu_model **loaded) {
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxrelu_result result =
        cvxrelu_model_set_text(model, CVXRELU_TEXT_CLASSES, 2, data->labels);
    if (result == CVXRELU_OK)
        result = cvxrelu_model_set_text(model, CVXRELU_TEXT_FEATURES, data->d,
                                        (const char *const *)data->names);
    if (result == CVXRELU_OK) result = cvxrelu_model_save(model, 0, path, message);
    if (result != CVXRELU_OK) return demo_failed(path, message, result);
    result = cvxrelu_model_load(path, NULL, loaded, message);
    if (result != CVXRELU_OK) return demo_failed(path, message, result);
    printf("\nSaved as %s and loaded again. Five of the rows held out:\n\n", path);
    return CLI_OK;
}

static void demo_predict(const cvxrelu_model *model, const demo_data *data) {
    size_t i;
    printf("  predicted    truth          score\n");
    for (i = 0; i < 5; i++) {
        size_t k, row = i * data->test.n / 5;
        double out;
        cvxrelu_model_predict(model, data->test.X + row * data->d, &out);
        k = cvxrelu_model_class(model, &out);
        printf("  %-11s  %-11s  %+8.3f\n", cvxrelu_model_text(model, CVXRELU_TEXT_CLASSES, k),
               data->labels[(size_t)data->test.Y[row]], out);
    }
}

static int demo_verify(const cvxrelu_model *model, const demo_data *data,
                       const cvxrelu_report *claim) {
    cvxrelu_report report;
    double off;
    cvxrelu_result result =
        cvxrelu_verify(model, demo_matrix(data->train.X, data->train.n, data->d),
                       demo_matrix(data->train.Y, data->train.n, 1), -1.0, NULL, &report);
    if (result != CVXRELU_OK) return demo_failed("verification", report.message, result);
    off = report.objective - claim->objective;
    printf("\nVerified from the file: objective %.8f, bound %.8f and gap %.1e over its\n"
           "patterns recomputed from the definition.\n",
           report.objective, report.dual_bound, report.gap);
    if (report.gap > 1.01e-6 || off > 1e-9 || off < -1e-9)
        return cli_error(CLI_FAILED, "demo: the verification does not bear out the claim");
    return CLI_OK;
}

/* What can be said about networks with any other patterns. */
static int demo_certify(cvxrelu_model *model, const demo_data *data) {
    cvxrelu_certify_report report;
    cvxrelu_matrix X = demo_matrix(data->train.X, data->train.n, data->d);
    cvxrelu_matrix Y = demo_matrix(data->train.Y, data->train.n, 1);
    cvxrelu_result result = cvxrelu_model_certify(model, X, Y, NULL, NULL, &report);
    if (result != CVXRELU_OK) return demo_failed("the bound", report.message, result);
    printf("\nOver ALL activation patterns, more than can be listed, this much is proven: no\n"
           "ReLU network of any width has an objective below %.8f, which is %.0f %% of this\n"
           "network's (%.1f seconds).\n",
           report.dual_bound, 100.0 * (1.0 - report.gap), report.seconds);
    return CLI_OK;
}

int main(int argc, char **argv) {
    cli_pool pool = {NULL};
    demo_data data;
    cvxrelu_report report;
    cvxrelu_model *model = NULL, *loaded = NULL;
    const char *table =
        cli_join(&pool, argc > 1 ? argv[1] : "examples/data", "/breast_cancer.csv");
    const char *saved = cli_join(&pool, argc > 2 ? argv[2] : "build", "/demo.cvxrelu");
    int status = demo_read(&pool, table, &data);
    if (status == CLI_OK) status = demo_train(&data, &model, &report);
    if (status == CLI_OK) {
        demo_score(model, &data, "On the rows it learnt from", &data.train);
        demo_score(model, &data, "On the rows held out", &data.test);
        status = demo_round_trip(&data, saved, model, &loaded);
    }
    if (status == CLI_OK) {
        demo_predict(loaded, &data);
        status = demo_verify(loaded, &data, &report);
        if (status == CLI_OK) status = demo_certify(loaded, &data);
    }
    cvxrelu_model_free(model);
    cvxrelu_model_free(loaded);
    cli_pool_free(&pool);
    return status;
}
