/* ==== CLI FOREIGN ========================================================================
   `certify` for a network that another program trained: its layers as .npy files, its own
   objective on the data, and the best lower bound over all activation patterns that can be
   proven. Uses cli_certify.h, cli_npy.h. Used by cvxrelu_cli.c. Tests: tests/test_cli.sh.    */

#ifndef CLI_FOREIGN_H
#define CLI_FOREIGN_H

#include "cli_certify.h"

/* The network h(x) = W2 max(0, W1 x + b1) + b2. Lives in the pool that loaded it. */
typedef struct cli_network {
    size_t m, d, c;
    double *W1, *b1;           /* m x d; m, or NULL                                          */
    double *W2, *b2;           /* c x m; c, or NULL                                          */
} cli_network;

/* Reads a vector of `count` values, written as (count), (count, 1) or (1, count). */
static int cli_load_vector(cli_pool *pool, const char *path, size_t count, const char *what,
                           double **values) {
    npy_array array;
    int status = npy_read(pool, path, &array);
    if (status != CLI_OK) return status;
    *values = array.data;
    if (array.rows * array.cols == count && (array.rows == 1 || array.cols == 1)) return CLI_OK;
    return cli_error(CLI_USAGE, "%s: %lu x %lu values where the network has %lu %s", path,
                     (unsigned long)array.rows, (unsigned long)array.cols, (unsigned long)count,
                     what);
}

/* W1 (m x d, or m x (d+1) with the bias last) and b1. */
static int cli_load_first_layer(cli_pool *pool, const cli_args *args, size_t d,
                                cli_network *net) {
    npy_array array;
    size_t j;
    int status = npy_read(pool, args->w1, &array);
    if (status != CLI_OK) return status;
    if (array.cols != d && array.cols != d + 1)
        return cli_error(
            CLI_USAGE,
            "%s: %lu columns where the data have %lu feature%s (one more for a bias, "
            "last)",
            args->w1, (unsigned long)array.cols, (unsigned long)d, cli_s(d));
    if (array.cols == d + 1 && args->b1 != NULL)
        return cli_error(CLI_USAGE, "--b1: %s holds the bias already, in its last column",
                         args->w1);
    net->m = array.rows;
    net->d = d;
    net->W1 = array.data;
    if (args->b1 != NULL) return cli_load_vector(pool, args->b1, net->m, "neurons", &net->b1);
    if (array.cols == d) return CLI_OK;
    net->b1 = (double *)cli_alloc(pool, net->m, sizeof(double));
    net->W1 = (double *)cli_alloc(pool, net->m * d, sizeof(double));
    for (j = 0; j < net->m; j++) {
        memcpy(net->W1 + j * d, array.data + j * (d + 1), d * sizeof(double));
        net->b1[j] = array.data[j * (d + 1) + d];
    }
    return CLI_OK;
}

/* W2 (c x m; a vector of m for one output) and b2. */
static int cli_load_second_layer(cli_pool *pool, const cli_args *args, size_t c,
                                 cli_network *net) {
    npy_array array;
    int status = npy_read(pool, args->w2, &array);
    if (status != CLI_OK) return status;
    if (array.axes == 1) {
        array.cols = array.rows;
        array.rows = 1;
    }
    if (array.cols != net->m)
        return cli_error(CLI_USAGE, "%s: %lu columns where %s has %lu neurons (rows)", args->w2,
                         (unsigned long)array.cols, args->w1, (unsigned long)net->m);
    if (array.rows != c)
        return cli_error(CLI_USAGE, "%s: %lu output%s (rows) where the target has %lu%s",
                         args->w2, (unsigned long)array.rows, cli_s(array.rows),
                         (unsigned long)c,
                         array.rows == 2 && c == 1 ? " (two classes are one of -1 and 1)" : "");
    net->c = c;
    net->W2 = array.data;
    if (args->b2 == NULL) return CLI_OK;
    return cli_load_vector(pool, args->b2, c, "outputs", &net->b2);
}

static int cli_load_network(cli_pool *pool, const cli_args *args, const cli_data *data,
                            cli_network *net) {
    size_t c = data->classes > 2 ? data->classes : data->classes == 2 ? 1 : data->c;
    int status;
    memset(net, 0, sizeof *net);
    status = cli_load_first_layer(pool, args, data->d, net);
    return status != CLI_OK ? status : cli_load_second_layer(pool, args, c, net);
}

/* What a foreign network is certified for. */
typedef struct cli_foreign {
    cli_data data;
    cli_network net;
    cvxrelu_problem problem;
    cvxrelu_certify_options how;
    cvxrelu_certify_report bound;
} cli_foreign;

static int cli_foreign_words(const cli_args *args, cli_foreign *foreign) {
    static const cli_choice scales[] = {{"none", CVXRELU_SCALE_NONE},
                                        {"unit", CVXRELU_SCALE_UNIT},
                                        {"standard", CVXRELU_SCALE_STANDARD}};
    static const cli_choice penalties[] = {{"decay", 0}, {"l1", 1}};
    char shown[CLI_SHOW];
    int value = 0, none, status = cli_set_bound(args, &foreign->how, &none);
    if (status == CLI_OK && none)
        return cli_error(CLI_USAGE, "--bound none: leaves nothing to certify");
    if (status == CLI_OK) status = cli_choose("scale", args->scale, scales, 3, &value);
    foreign->problem.scale = (cvxrelu_scale)value;
    if (status == CLI_OK) status = cli_choose("penalty", args->penalty, penalties, 2, &value);
    foreign->how.l1_penalty = value;
    if (status != CLI_OK) return status;
    if (cli_number(args->lambda, &foreign->problem.lambda) != CLI_NUMBER ||
        foreign->problem.lambda <= 0)
        return cli_error(CLI_USAGE, "--lambda %s: must be a number greater than 0",
                         cli_show(args->lambda, shown));
    return CLI_OK;
}

/* Data, network and problem; everything that can be wrong is found here. */
static int cli_foreign_prepare(cli_pool *pool, const cli_args *args, cli_foreign *foreign) {
    cvxrelu_problem *problem = &foreign->problem;
    cli_data *data = &foreign->data;
    cli_wanted wanted;
    int status = cli_foreign_words(args, foreign);
    memset(&wanted, 0, sizeof wanted);
    wanted.needs_target = 1;
    if (status == CLI_OK) status = cli_check_outputs(pool, args);
    if (status == CLI_OK)
        status = cli_load(pool, args, args->x ? NULL : args->files[0], &wanted, data);
    if (status == CLI_OK) status = cli_target_learn(pool, args, data);
    if (status == CLI_OK) status = cli_load_network(pool, args, data, &foreign->net);
    if (status != CLI_OK) return status;
    problem->X = cli_matrix(data->X, data->n, data->d);
    problem->Y = cli_matrix(data->Y, data->n, data->c);
    problem->kind = CVXRELU_RELU;
    problem->task = data->classes ? CVXRELU_TASK_CLASSES : CVXRELU_TASK_REGRESSION;
    problem->no_bias = foreign->net.b1 == NULL;
    if (problem->no_bias && problem->scale == CVXRELU_SCALE_STANDARD)
        return cli_error(CLI_USAGE, "--scale standard: needs a bias (--b1, or in %s)",
                         args->w1);
    return CLI_OK;
}

static cvxrelu_result cli_foreign_certify(const cli_args *args, cli_foreign *foreign) {
    const cli_network *net = &foreign->net;
    cvxrelu_network network;
    cvxrelu_options options;
    cli_monitor quiet = {0, 0.0};
    memset(&network, 0, sizeof network);
    network.W1 = cli_matrix(net->W1, net->m, net->d);
    network.W2 = cli_matrix(net->W2, net->c, net->m);
    if (net->b1 != NULL) network.b1 = cli_matrix(net->b1, net->m, 1);
    if (net->b2 != NULL) network.b2 = cli_matrix(net->b2, net->c, 1);
    cli_bound_options(args, &quiet, &options);
    return cvxrelu_certify(&foreign->problem, &network, &options, &foreign->how, NULL,
                           &foreign->bound);
}

static void cli_foreign_say(const cli_args *args, const cli_foreign *foreign) {
    const cvxrelu_certify_report *bound = &foreign->bound;
    const cli_network *net = &foreign->net;
    const cli_data *data = &foreign->data;
    printf("network      %s, %s: %lu neuron%s (%lu in use), %s\n", args->w1, args->w2,
           (unsigned long)net->m, cli_s(net->m), (unsigned long)bound->neurons,
           net->b1 != NULL ? "with a bias" : "without a bias");
    cli_say_rows(data);
    cli_say_comments(stdout, data);
    if (data->classes > 0)
        printf("target       %lu classes (%s to %s), as %s\n", (unsigned long)data->classes,
               data->labels[0], data->labels[data->classes - 1],
               data->classes == 2 ? "-1 and 1" : "one-hot");
    else
        printf("target       %lu number%s, as given\n", (unsigned long)data->c, cli_s(data->c));
    printf("problem      squared error / (2 n c) + lambda/2 (%s), lambda %.6g, %s\n",
           bound->l1_penalty ? "||W1||^2 + sum_j ||w2_j||_1^2" : "||W1||^2 + ||W2||^2",
           bound->lambda,
           foreign->problem.scale == CVXRELU_SCALE_NONE ? "weights unscaled"
                                                        : "weights of the scaled columns");
    printf("objective    %.10g", bound->objective);
    if (bound->balanced < bound->objective * (1.0 - 1e-9))
        printf(" (%.10g when every neuron is rescaled at best)", bound->balanced);
    printf("\n");
    cli_say_bound(bound);
    printf("best known   %.10g, within %.3g %% of the bound\n", bound->best,
           100.0 * bound->best_gap);
}

static int cli_foreign_json(cli_pool *pool, const cli_args *args, const cli_foreign *foreign) {
    const cvxrelu_certify_report *bound = &foreign->bound;
    cli_files files;
    cli_json json;
    int status;
    memset(&files, 0, sizeof files);
    memset(&json, 0, sizeof json);
    files.pool = pool;
    status = cli_files_open(&files, args->json, &json.file);
    if (status != CLI_OK) return status;
    cli_json_open(&json, NULL, '{');
    cli_json_string(&json, "version", CVXRELU_VERSION);
    cli_json_string(&json, "model", "relu");
    cli_json_string(&json, "loss", "squared");
    cli_json_string(&json, "scale", cli_scale_word(foreign->problem.scale));
    cli_json_whole(&json, "n", bound->n);
    cli_json_whole(&json, "d", bound->d);
    cli_json_whole(&json, "c", bound->c);
    cli_json_whole(&json, "neurons", bound->neurons);
    cli_json_number(&json, "lambda", bound->lambda);
    cli_json_number(&json, "objective", bound->objective);
    cli_json_number(&json, "balanced_objective", bound->balanced);
    cli_json_bound(&json, bound);
    cli_json_whole(&json, "patterns", bound->patterns);
    cli_json_whole(&json, "peak_bytes", bound->peak_bytes);
    cli_json_close(&json, '}');
    status = cli_files_close(&files);
    if (status == CLI_OK) return cli_files_commit(&files);
    cli_files_abandon(&files);
    return status;
}

/* certify --w1 ... --w2 ... */
static int cli_certify_foreign(cli_pool *pool, const cli_args *args) {
    int loud = !args->quiet && (args->json == NULL || strcmp(args->json, "-") != 0), status;
    cli_foreign foreign;
    cvxrelu_result result;
    const char *missing = args->w1 == NULL ? "w1" : args->w2 == NULL ? "w2" : "lambda";
    if (args->w1 == NULL || args->w2 == NULL || args->lambda == NULL)
        return cli_error(CLI_USAGE,
                         "certify: --%s is missing (--w1, --w2 and --lambda go "
                         "together)",
                         missing);
    if (args->save != NULL || args->split > 0)
        return cli_error(CLI_USAGE, "--%s: is for saved models, not for --w1",
                         args->save ? "save" : "split");
    if (args->file_count != (args->x != NULL ? 0u : 1u))
        return cli_error(CLI_USAGE, "certify: one data file (or --x and --y) goes with --w1");
    memset(&foreign, 0, sizeof foreign);
    status = cli_foreign_prepare(pool, args, &foreign);
    if (status != CLI_OK) return status;
    cli_catch_interrupt();
    result = cli_foreign_certify(args, &foreign);
    if (result != CVXRELU_OK) return cli_result(result, args->w1, foreign.bound.message);
    if (args->json != NULL) status = cli_foreign_json(pool, args, &foreign);
    if (status == CLI_OK && loud) cli_foreign_say(args, &foreign);
    return status;
}

static int cli_certify(cli_pool *pool, cli_args *args) {
    if ((args->x == NULL) != (args->y == NULL))
        return cli_error(CLI_USAGE, "--%s: needs --%s", args->x ? "x" : "y",
                         args->x ? "y" : "x");
    if (args->classes && args->raw_targets)
        return cli_error(CLI_USAGE, "--classes: excludes --raw-targets");
    if (args->w1 != NULL || args->w2 != NULL) return cli_certify_foreign(pool, args);
    return cli_certify_model(pool, args);
}

#endif /* CLI_FOREIGN_H */
