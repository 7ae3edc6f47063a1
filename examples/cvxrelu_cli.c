/* cvxrelu - train, test and certify two-layer gated ReLU networks from the command line.

     cc -O2 -I. examples/cvxrelu_cli.c -o build/cvxrelu -lm
     build/cvxrelu train examples/data/wine.csv --split 0.3 --save build/wine.cvxrelu
     build/cvxrelu --help

   Reading order: cli_base.h, cli_csv.h, cli_npy.h (input), cli_options.h (the command line),
   cli_data.h (X and Y), cli_train.h (the work), cli_files.h, cli_report.h (output), and the
   commands below. Exit status: 0 success, 1 the computation or a write failed or Ctrl-C came, 2
   bad usage or bad input; then one line on stderr.                                           */

#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif

#define CVXRELU_IMPLEMENTATION
#include "cvxrelu.h"

#include "cli_report.h"

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
    if (status == CLI_OK) status = cli_set_problem_words(args, &run.problem);
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

/* ---- A model and data that belong to it */

typedef struct cli_loaded {
    cvxrelu_model *model;
    cvxrelu_model_info info;
    const char **labels;       /* info.classes of them                                        */
    cli_data data;
} cli_loaded;

static int cli_load_model(cli_pool *pool, const char *path, cli_loaded *loaded) {
    char message[CVXRELU_MESSAGE_SIZE] = "";
    size_t k;
    cvxrelu_result result;
    memset(loaded, 0, sizeof *loaded);
    result = cvxrelu_model_load(path, NULL, &loaded->model, message);
    if (result == CVXRELU_ERR_MEMORY) return cli_result(result, path, message);
    if (result != CVXRELU_OK) return cli_result(result, path, message), CLI_USAGE;
    cvxrelu_model_get_info(loaded->model, &loaded->info);
    loaded->labels = (const char **)cli_alloc(pool, loaded->info.classes, sizeof(char *));
    for (k = 0; k < loaded->info.classes; k++) {
        const char *text = cvxrelu_model_text(loaded->model, CVXRELU_TEXT_CLASSES, k);
        char *digits = (char *)cli_alloc(pool, 24, 1);
        sprintf(digits, "%lu", (unsigned long)k);
        loaded->labels[k] = text ? text : digits;
    }
    return CLI_OK;
}

/* The data file of predict or certify, in the order of the model's features. */
static int cli_load_for(cli_pool *pool, const cli_args *args, const char *path,
                        int needs_target, cli_loaded *loaded) {
    cli_wanted wanted;
    size_t j;
    int status;
    memset(&wanted, 0, sizeof wanted);
    wanted.d = loaded->info.features;
    wanted.needs_target = needs_target;
    if (loaded->info.text_count[CVXRELU_TEXT_FEATURES] == wanted.d) {
        const char **names = (const char **)cli_alloc(pool, wanted.d, sizeof(char *));
        for (j = 0; j < wanted.d; j++)
            names[j] = cvxrelu_model_text(loaded->model, CVXRELU_TEXT_FEATURES, j);
        wanted.names = names;
    }
    status = cli_load(pool, args, path, &wanted, &loaded->data);
    if (status != CLI_OK || !needs_target) return status;
    return cli_target_match(pool, loaded->labels, loaded->info.classes, loaded->info.outputs,
                            &loaded->data);
}

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

/* ---- certify */

/* Do the recomputed numbers bear out what the model says of itself? */
static int cli_confirmed(const cvxrelu_model_info *info, const cvxrelu_report *report) {
    double size = report->objective > 0 ? report->objective : 1e-300;
    double off = report->objective - info->objective;
    if (!(off <= 1e-6 * size && off >= -1e-6 * size)) return 0;
    if (!report->has_bound || report->scope == CVXRELU_SCOPE_KEPT) return 1;
    return report->gap <= 1.01 * info->gap + 1e-9;
}

static int cli_certify_json(cli_pool *pool, const cli_args *args, const cli_loaded *loaded,
                            const cvxrelu_report *report, int confirmed) {
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
    cli_json_string(&json, "model", "gated");
    cli_json_string(&json, "loss", "squared");
    cli_json_whole(&json, "n", loaded->data.n);
    cli_json_whole(&json, "d", loaded->info.features + (loaded->info.has_bias ? 1 : 0));
    cli_json_whole(&json, "c", loaded->info.outputs);
    cli_json_certificate(&json, report);
    cli_json_number(&json, "claimed_objective", loaded->info.objective);
    if (loaded->info.has_bound) cli_json_number(&json, "claimed_gap", loaded->info.gap);
    else cli_json_null(&json, "claimed_gap");
    cli_json_flag(&json, "confirmed", confirmed);
    cli_json_number(&json, "seconds", report->seconds);
    cli_json_close(&json, '}');
    status = cli_files_close(&files);
    if (status == CLI_OK) return cli_files_commit(&files);
    cli_files_abandon(&files);
    return status;
}

/* The rows that the model was trained on: all, or what --split left. */
static int cli_certify_rows(cli_pool *pool, const cli_args *args, cli_loaded *loaded) {
    cli_data train, held;
    uint64_t seed = args->seed_given ? args->seed : loaded->info.seed;
    if (args->split > 0) {
        int status = cli_split(pool, &loaded->data, args->split, seed, &train, &held);
        if (status != CLI_OK) return status;
        loaded->data = train;
    }
    if (loaded->data.n == loaded->info.rows) return CLI_OK;
    return cli_error(CLI_USAGE,
                     "%s: %lu row%s where the model was trained on %lu (was it with --split? "
                     "give the same --split and --seed)",
                     loaded->data.path, (unsigned long)loaded->data.n, cli_s(loaded->data.n),
                     (unsigned long)loaded->info.rows);
}

static int cli_certify_run(cli_pool *pool, const cli_args *args, cli_loaded *loaded) {
    const cli_data *data = &loaded->data;
    cvxrelu_options options;
    cvxrelu_report report;
    cvxrelu_result result;
    int confirmed, loud = !args->quiet && (args->json == NULL || strcmp(args->json, "-") != 0);
    int status = cli_load_for(pool, args, args->x ? NULL : args->files[1], 1, loaded);
    if (status == CLI_OK) status = cli_certify_rows(pool, args, loaded);
    if (status != CLI_OK) return status;
    memset(&options, 0, sizeof options);
    options.threads = cli_threads(args);
    options.memory_limit = args->memory_limit;
    options.clock.seconds = cli_seconds;
    memset(&report, 0, sizeof report);
    result = cvxrelu_verify(loaded->model, cli_matrix(data->X, data->n, data->d),
                            cli_matrix(data->Y, data->n, data->c), -1.0, &options, &report);
    if (result != CVXRELU_OK) return cli_result(result, args->files[0], report.message);
    confirmed = cli_confirmed(&loaded->info, &report);
    if (loud) {
        printf("model        %s: %lu neuron%s, lambda %.6g\n", args->files[0],
               (unsigned long)loaded->info.neurons, cli_s(loaded->info.neurons), report.lambda);
        cli_say_rows(data);
        cli_say_comments(stdout, data);
        cli_say_certificate(&report);
    }
    if (args->json != NULL) status = cli_certify_json(pool, args, loaded, &report, confirmed);
    if (status != CLI_OK) return status;
    if (!confirmed)
        return cli_error(CLI_FAILED,
                         "%s: not confirmed on %s: objective %.10g and gap %.3g where the "
                         "model says %.10g and %.3g",
                         args->files[0], data->path, report.objective, report.gap,
                         loaded->info.objective, loaded->info.gap);
    if (loud) printf("confirmed    what the model says of itself\n");
    return CLI_OK;
}

static int cli_certify(cli_pool *pool, cli_args *args) {
    cli_loaded loaded;
    int status;
    if ((args->x == NULL) != (args->y == NULL))
        return cli_error(CLI_USAGE, "--%s: needs --%s", args->x ? "x" : "y",
                         args->x ? "y" : "x");
    if (args->file_count != (args->x != NULL ? 1u : 2u))
        return cli_error(CLI_USAGE,
                         "certify: a model and a data file (or --x and --y) are needed");
    status = cli_load_model(pool, args->files[0], &loaded);
    if (status == CLI_OK) status = cli_certify_run(pool, args, &loaded);
    cvxrelu_model_free(loaded.model);
    return status;
}

/* ---- info */

static void cli_info_say(const char *path, const cli_loaded *loaded) {
    const cvxrelu_model_info *info = &loaded->info;
    size_t k;
    printf("model        %s: gated ReLU, %lu neuron%s, %lu feature%s, %lu output%s\n", path,
           (unsigned long)info->neurons, cli_s(info->neurons), (unsigned long)info->features,
           cli_s(info->features), (unsigned long)info->outputs, cli_s(info->outputs));
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
    if (info->has_recipe)
        printf("recipe       %s gates (seed %.0f): 'certify' can check the bound\n",
               cli_sampler_word(info->sampler), (double)info->seed);
    else printf("recipe       none: stripped; 'certify' checks over the kept gates alone\n");
    printf("claims       objective %.10g", info->objective);
    if (info->has_bound) printf(", bound %.10g, gap %.2e", info->dual_bound, info->gap);
    printf("\n");
}

static void cli_info_json(FILE *file, const cli_loaded *loaded) {
    const cvxrelu_model_info *info = &loaded->info;
    cli_json json;
    size_t k;
    memset(&json, 0, sizeof json);
    json.file = file;
    cli_json_open(&json, NULL, '{');
    cli_json_string(&json, "version", CVXRELU_VERSION);
    cli_json_string(&json, "model", "gated");
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
    {"certify", CMD_CERTIFY, cli_certify, "MODEL [DATA | --x X.npy --y Y.npy] [options]",
     "recompute objective, bound and gap on the training data"},
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
    printf("usage: cvxrelu COMMAND ...\nTwo-layer gated ReLU networks, trained by convex "
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
