/* cvxrelu - train, test and certify two-layer ReLU networks from the command line.

     cc -O2 -I. examples/cvxrelu_cli.c -o build/cvxrelu -lm
     build/cvxrelu train examples/data/wine.csv --split 0.3 --save build/wine.cvxrelu
     build/cvxrelu --help

   Reading order: cli_base.h, cli_csv.h, cli_npy.h (input), cli_options.h (the command line),
   cli_data.h (X and Y), cli_train.h (the work), cli_files.h, cli_report.h (output),
   cli_certify.h and cli_foreign.h (proofs), and the commands below. Exit status: 0 success, 1
   the computation or a write failed or Ctrl-C came, 2 bad usage or bad input; then one line on
   stderr.                                                                                    */

#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif

#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"

#include "cli_foreign.h"

typedef struct cli_command {
    const char *name;
    unsigned bit;
    int (*run)(cli_pool *pool, cli_args *args);
    const char *usage, *help;
} cli_command;

/* ---- train, path */

static int cli_load_start(cli_run *run) {
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxrelu_result result;
    if (run->args->start == NULL) return CLI_OK;
    result = cvxrelu_model_load(run->args->start, NULL, &run->start, message);
    return result == CVXRELU_OK ? CLI_OK
                                : (cli_result(result, run->args->start, message), CLI_USAGE);
}

/* The status of a run whose outputs are written: 1 when Ctrl-C cut it short. */
static int cli_ended(const cli_run *run) {
    const cli_args *args = run->args;
    const cvxrelu_report *report = &run->reports[run->chosen];
    int kept = args->save != NULL || args->save_convex != NULL || args->save_network != NULL;
    if (report->stop != CVXRELU_STOP_USER) return CLI_OK;
    return cli_error(CLI_FAILED, "interrupted at a %s of %.2g: the best weights so far are %s",
                     report->has_bound ? "gap" : "stationarity",
                     report->has_bound ? report->gap : report->stationarity,
                     kept ? "saved" : "not saved (no --save)");
}

static int cli_train_run(cli_run *run, int is_path) {
    const cli_args *args = run->args;
    int status = cli_prepare(run);
    if (status == CLI_OK) status = cli_check_outputs(run->pool, args);
    if (status == CLI_OK) status = cli_load_start(run);
    if (status != CLI_OK) return status;
    run->options.threads = cli_threads(args);
    cli_catch_interrupt();
    run->monitor.show = !args->quiet && cli_is_terminal(stderr);
    status = cli_solve(run, is_path);
    if (status == CLI_OK && args->decompose != NULL) status = cli_decompose(run);
    if (status == CLI_OK && args->prune) status = cli_prune(run);
    if (status == CLI_OK) status = cli_score_all(run);
    if (status == CLI_OK) status = cli_save(run);
    if (status != CLI_OK) return status;
    if (!args->quiet && (args->json == NULL || strcmp(args->json, "-") != 0)) cli_say(run);
    return cli_ended(run);
}

static int cli_fit(cli_pool *pool, cli_args *args, int is_path) {
    cli_run run;
    size_t k;
    int status = cli_check_args(args);
    memset(&run, 0, sizeof run);
    run.pool = pool;
    run.args = args;
    if (is_path && args->path == 0) args->path = CLI_PATH_COUNT;
    if (status == CLI_OK) status = cli_check_method(args);
    if (status == CLI_OK) status = cli_check_relu(args);
    if (status == CLI_OK) status = cli_set_problem_words(args, &run.problem);
    if (status == CLI_OK) status = cli_check_kind(args, run.problem.kind);
    if (status == CLI_OK) cli_set_search(args, &run.problem);
    if (status == CLI_OK) status = cli_set_decomposition(&run);
    if (status == CLI_OK) status = cli_set_method(args, &run.descend);
    if (status == CLI_OK) status = cli_set_option_words(args, &run.options);
    if (status == CLI_OK) status = cli_set_sampler(args, &run.problem.gates);
    if (status == CLI_OK && (args->x != NULL ? 1u : 0u) + args->file_count != 1)
        status =
            cli_error(CLI_USAGE, "train: one data file is needed: DATA.csv, or --x and --y");
    if (status == CLI_OK) status = cli_train_run(&run, is_path);
    for (k = 0; k < run.count; k++) cvxrelu_model_free(run.models[k]);
    cvxrelu_model_free(run.start);
    return status;
}

static int cli_train(cli_pool *pool, cli_args *args) { return cli_fit(pool, args, 0); }

static int cli_path(cli_pool *pool, cli_args *args) { return cli_fit(pool, args, 1); }

/* ---- predict */

/* A label as a CSV cell, quoted where it must be. */
static void cli_csv_label(FILE *file, const char *text) {
    if (strpbrk(text, ",;\t\"\n\r#") == NULL) {
        fputs(text, file);
        return;
    }
    fputc('"', file);
    for (; *text != 0; text++) {
        if (*text == '"') fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static void cli_predict_header(FILE *file, const cli_loaded *loaded) {
    size_t k, c = loaded->info.outputs;
    if (loaded->info.classes > 0) fputs("label,", file);
    for (k = 0; k < c; k++) {
        if (k > 0) fputc(',', file);
        if (loaded->info.classes == 0) {
            if (c == 1) fputs("value", file);
            else fprintf(file, "value_%lu", (unsigned long)k + 1);
        } else if (c == 1) fputs("score", file);
        else {
            size_t length = strlen(loaded->labels[k]) + 8;
            char *name = (char *)malloc(length);
            if (name != NULL) {
                sprintf(name, "score_%s", loaded->labels[k]);
                cli_csv_label(file, name);
            }
            free(name);
        }
    }
    fputc('\n', file);
}

static void cli_predict_rows(FILE *file, const cli_loaded *loaded, const double *out) {
    size_t i, k, c = loaded->info.outputs;
    for (i = 0; i < loaded->data.n; i++) {
        if (loaded->info.classes > 0) {
            cli_csv_label(file,
                          loaded->labels[cvxrelu_model_class(loaded->model, out + i * c)]);
            fputc(',', file);
        }
        for (k = 0; k < c; k++) fprintf(file, "%s%.17g", k > 0 ? "," : "", out[i * c + k]);
        fputc('\n', file);
    }
}

static int cli_predict_run(cli_pool *pool, const cli_args *args, cli_loaded *loaded) {
    const cli_data *data = &loaded->data;
    const char *path = args->out ? args->out : "-";
    cli_files files;
    cvxrelu_result result;
    double *out;
    FILE *file;
    int status = cli_load_for(pool, args, args->files[1], 0, loaded);
    if (status != CLI_OK) return status;
    out = (double *)cli_alloc(pool, data->n * loaded->info.outputs, sizeof(double));
    result = cvxrelu_model_predict_many(loaded->model, cli_matrix(data->X, data->n, data->d),
                                        out, 0);
    if (result != CVXRELU_OK) return cli_result(result, data->path, NULL);
    memset(&files, 0, sizeof files);
    files.pool = pool;
    status = cli_files_open(&files, path, &file);
    if (status != CLI_OK) return status;
    cli_predict_header(file, loaded);
    cli_predict_rows(file, loaded, out);
    status = cli_files_close(&files);
    if (status == CLI_OK) status = cli_files_commit(&files);
    else cli_files_abandon(&files);
    if (status == CLI_OK && strcmp(path, "-") != 0 && !args->quiet)
        printf("predicted    %lu row%s of %s into %s\n", (unsigned long)data->n,
               cli_s(data->n), data->path, path);
    if (status == CLI_OK && !args->quiet)
        cli_say_comments(strcmp(path, "-") != 0 ? stdout : stderr, data);
    return status;
}

static int cli_predict(cli_pool *pool, cli_args *args) {
    cli_loaded loaded;
    int status;
    if (args->file_count != 2)
        return cli_error(CLI_USAGE, "predict: a model and a data file are needed");
    status = cli_load_model(pool, args->files[0], &loaded);
    if (status == CLI_OK) status = cli_predict_run(pool, args, &loaded);
    cvxrelu_model_free(loaded.model);
    return status;
}

/* ---- info */

static void cli_info_say(const char *path, const cli_loaded *loaded) {
    const cvxrelu_model_info *info = &loaded->info;
    size_t k;
    printf("model        %s: %s, %lu neuron%s, %lu feature%s, %lu output%s\n", path,
           info->kind == CVXRELU_RELU ? "ReLU" : "gated ReLU", (unsigned long)info->neurons,
           cli_s(info->neurons), (unsigned long)info->features, cli_s(info->features),
           (unsigned long)info->outputs, cli_s(info->outputs));
    if (info->classes > 0) {
        printf("classes     ");
        for (k = 0; k < info->classes; k++) printf(" %s", loaded->labels[k]);
        printf("\n");
    }
    printf("problem      lambda %.6g, penalty %s, scale %s, %s\n", info->lambda,
           cli_penalty_word(info->penalty), cli_scale_word(info->scale),
           info->has_bias ? "with a bias" : "without a bias");
    printf("trained on   %lu row%s over %lu pattern%s\n", (unsigned long)info->rows,
           cli_s(info->rows), (unsigned long)info->patterns, cli_s(info->patterns));
    if (info->kind == CVXRELU_RELU && info->search != CVXRELU_SEARCH_OFF)
        printf("patterns     %s\n", info->search == CVXRELU_SEARCH_EXACT
                                       ? "all that the rows have, listed"
                                       : "found by a search");
    if (info->has_recipe)
        printf("recipe       %s gates (seed %.0f): 'certify' can check the bound\n",
               info->search == CVXRELU_SEARCH_OFF ? cli_sampler_word(info->sampler) : "kept",
               (double)info->seed);
    else printf("recipe       none: stripped; 'certify' checks over the kept gates alone\n");
    printf("claims       objective %.10g", info->objective);
    if (info->has_bound) printf(", bound %.10g, gap %.2e", info->dual_bound, info->gap);
    printf("\n");
    if (info->has_proof)
        printf("proof        of the bound %.10g over %s\n", info->proof_bound,
               info->proof_scope == CVXRELU_SCOPE_ALL ? "all patterns" : "its patterns");
}

static void cli_info_json(FILE *file, const cli_loaded *loaded) {
    const cvxrelu_model_info *info = &loaded->info;
    cli_json json;
    size_t k;
    memset(&json, 0, sizeof json);
    json.file = file;
    cli_json_open(&json, NULL, '{');
    cli_json_string(&json, "version", CVXRELU_VERSION);
    cli_json_string(&json, "model", cli_kind_word(info->kind));
    cli_json_string(&json, "loss", "squared");
    cli_json_string(&json, "penalty", cli_penalty_word(info->penalty));
    cli_json_string(&json, "scale", cli_scale_word(info->scale));
    cli_json_flag(&json, "bias", info->has_bias);
    cli_json_whole(&json, "features", info->features);
    cli_json_whole(&json, "c", info->outputs);
    cli_json_whole(&json, "neurons", info->neurons);
    cli_json_whole(&json, "patterns", info->patterns);
    cli_json_whole(&json, "n", info->rows);
    cli_json_number(&json, "lambda", info->lambda);
    cli_json_number(&json, "objective", info->objective);
    if (info->has_bound) {
        cli_json_number(&json, "dual_bound", info->dual_bound);
        cli_json_number(&json, "gap", info->gap);
    } else {
        cli_json_null(&json, "dual_bound");
        cli_json_null(&json, "gap");
    }
    cli_json_string(&json, "search", cli_search_word(info->search));
    cli_json_flag(&json, "proof", info->has_proof);
    if (info->has_proof) {
        cli_json_number(&json, "proof_bound", info->proof_bound);
        cli_json_string(&json, "proof_scope", cli_scope_word(info->proof_scope));
    }
    cli_json_flag(&json, "recipe", info->has_recipe);
    cli_json_string(&json, "sampler", cli_sampler_word(info->sampler));
    cli_json_whole(&json, "seed", info->seed);
    cli_json_open(&json, "labels", '[');
    for (k = 0; k < info->classes; k++) cli_json_string(&json, NULL, loaded->labels[k]);
    cli_json_close(&json, ']');
    cli_json_close(&json, '}');
}

static int cli_info(cli_pool *pool, cli_args *args) {
    cli_loaded loaded;
    cli_files files;
    FILE *file;
    int status;
    if (args->file_count != 1) return cli_error(CLI_USAGE, "info: one model is needed");
    status = cli_load_model(pool, args->files[0], &loaded);
    if (status == CLI_OK && args->json != NULL) {
        memset(&files, 0, sizeof files);
        files.pool = pool;
        status = cli_files_open(&files, args->json, &file);
        if (status == CLI_OK) {
            cli_info_json(file, &loaded);
            status = cli_files_close(&files);
            if (status == CLI_OK) status = cli_files_commit(&files);
            else cli_files_abandon(&files);
        }
    }
    if (status == CLI_OK && !args->quiet &&
        (args->json == NULL || strcmp(args->json, "-") != 0))
        cli_info_say(args->files[0], &loaded);
    cvxrelu_model_free(loaded.model);
    return status;
}

/* ---- The commands */

static const cli_command cli_commands[] = {
    {"train", CMD_TRAIN, cli_train, "[DATA.csv | --x X.npy --y Y.npy] [options]",
     "fit a network to a proven optimum"},
    {"path", CMD_PATH, cli_path, "[DATA.csv | --x X.npy --y Y.npy] [options]",
     "fit a whole range of strengths (as train --path 20)"},
    {"predict", CMD_PREDICT, cli_predict, "MODEL DATA [options]",
     "labels and scores, or values, as CSV"},
    {"certify", CMD_CERTIFY, cli_certify,
     "MODEL [DATA | --x X.npy --y Y.npy] [options]\n"
     "       cvxrelu certify --w1 W1.npy [--b1 b1.npy] --w2 W2.npy [--b2 b2.npy]\n"
     "               [DATA | --x X.npy --y Y.npy] --lambda L [options]",
     "recompute what a model claims; prove a bound over all patterns for any ReLU network"},
    {"verify", CMD_CERTIFY, cli_certify, "MODEL [DATA | --x X.npy --y Y.npy] [options]",
     "another name of certify"},
    {"info", CMD_INFO, cli_info, "MODEL [options]", "what a model file holds"}};

#define CLI_COMMAND_COUNT (sizeof cli_commands / sizeof cli_commands[0])

static void cli_help_data(void) {
    printf("\nDATA is .npy (float64, float32 or integers) or CSV (-: standard input). In CSV:\n"
           "  separators   comma, semicolon or tab, found on the first line\n"
           "  header       the first line holds names when none of its cells is a number;\n"
           "               --header or --no-header when that guess is wrong\n"
           "  comments     lines that begin with # are skipped, wherever they stand\n"
           "  numbers      decimal point, no thousands separator; missing values, NaN and\n"
           "               infinities are errors that name line and column\n"
           "  quoting      \"a;b\" is one cell, and \"\" in it one quote; needed where a cell\n"
           "               holds a separator or a line end or begins with a quote or #\n");
}

static void cli_help(const cli_command *command) {
    size_t k;
    if (command != NULL) {
        printf("usage: cvxrelu %s %s\n%s\n", command->name, command->usage, command->help);
        if (command->bit != CMD_INFO) cli_help_data();
        cli_options_help(command->bit);
        return;
    }
    printf("usage: cvxrelu COMMAND ...\nTwo-layer ReLU networks, trained by convex "
           "optimisation.\n\n");
    for (k = 0; k < CLI_COMMAND_COUNT; k++)
        printf("  %-10s %s\n", cli_commands[k].name, cli_commands[k].help);
    printf("\n'cvxrelu COMMAND --help' lists the options. DATA is CSV (comma, semicolon or "
           "tab; the\n"
           "target is the last column; lines that begin with # are skipped) or .npy. Exit "
           "status: 0\n"
           "success, 1 the computation failed or was interrupted, 2 bad usage or bad input.\n");
}

static int cli_run_command(cli_pool *pool, int argc, char **argv) {
    cli_args args;
    char shown[CLI_SHOW];
    size_t k;
    int status;
    if (argc < 2) return cli_error(CLI_USAGE, "no command given ('cvxrelu --help' lists them)");
    if (strcmp(argv[1], "--version") == 0)
        return printf("cvxrelu %s\n", CVXRELU_VERSION), CLI_OK;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return cli_help(NULL), CLI_OK;
    if (strcmp(argv[1], "export") == 0)
        return cli_error(CLI_USAGE, "export: not available yet; use train --save-network");
    for (k = 0; k < CLI_COMMAND_COUNT && strcmp(cli_commands[k].name, argv[1]) != 0; k++) {}
    if (k == CLI_COMMAND_COUNT)
        return cli_error(CLI_USAGE, "unknown %s %s ('cvxrelu --help' lists the commands)",
                         argv[1][0] == '-' ? "option" : "command", cli_show(argv[1], shown));
    status = cli_options_read(argv[1], cli_commands[k].bit, argc, argv, &args);
    if (status != CLI_OK) return status;
    if (args.help) return cli_help(&cli_commands[k]), CLI_OK;
    return cli_commands[k].run(pool, &args);
}

int main(int argc, char **argv) {
    cli_pool pool = {NULL};
    int status = cli_run_command(&pool, argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == CLI_OK)
        status = cli_error(CLI_FAILED, "standard output: cannot be written: %s",
                           strerror(errno ? errno : EIO));
    cli_pool_free(&pool);
    return status;
}
