/* ==== CLI CERTIFY ========================================================================
   A saved model and data that belong to it; the certificate recomputed, and bounds over all
   activation patterns. Uses cli_report.h. Used by cli_foreign.h, cvxrelu_cli.c. Tests:
   tests/test_cli.sh.                                                                         */

#ifndef CLI_CERTIFY_H
#define CLI_CERTIFY_H

#include "cli_report.h"

/* ---- A model and data that belong to it */

typedef struct cli_loaded {
    cvxrelu_model *model;
    cvxrelu_model_info info;
    const char **labels;       /* info.classes of them                                       */
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

/* ---- Bounds over all patterns */

/* --bound and what goes with it; *none: no bound over all patterns is wanted. */
static int cli_set_bound(const cli_args *args, cvxrelu_certify_options *how, int *none) {
    enum { NONE = 99 };
    static const cli_choice methods[] = {
        {"auto", CVXRELU_CERTIFY_AUTO},           {"weighted", CVXRELU_CERTIFY_WEIGHTED},
        {"cones", CVXRELU_CERTIFY_CONES},         {"exact", CVXRELU_CERTIFY_EXACT},
        {"enumerate", CVXRELU_CERTIFY_ENUMERATE}, {"moments", CVXRELU_CERTIFY_MOMENTS},
        {"none", NONE}};
    int value, status = cli_choose("bound", args->bound, methods, 7, &value);
    memset(how, 0, sizeof *how);
    *none = value == NONE;
    if (status != CLI_OK || *none) return status;
    how->method = (cvxrelu_certify_method)value;
    how->tol = args->tol > 0 ? args->tol : 0.0;
    how->rounds = (int)args->rounds;
    how->nodes = args->nodes;
    return CLI_OK;
}

static void cli_bound_options(const cli_args *args, cli_monitor *quiet,
                              cvxrelu_options *options) {
    memset(options, 0, sizeof *options);
    options->threads = cli_threads(args);
    options->memory_limit = args->memory_limit;
    options->time_limit = args->time_limit;
    options->clock.seconds = cli_seconds;
    options->progress = cli_on_progress;
    options->progress_user = quiet;
}

/* How the bound was found, and why no better one was. */
static void cli_say_work(const cvxrelu_certify_report *bound) {
    printf("             by the method %s", cli_bound_word(bound->method));
    if (bound->rank > 0) printf(", rank %lu", (unsigned long)bound->rank);
    if (bound->rounds > 0)
        printf(", %d convex program%s", bound->rounds, cli_s((size_t)bound->rounds));
    if (bound->nodes > 0)
        printf(", %lu cone%s", (unsigned long)bound->nodes, cli_s(bound->nodes));
    printf(", %.3g seconds%s\n", bound->seconds,
           bound->stop == CVXRELU_STOP_TIME   ? " (the time limit)"
           : bound->stop == CVXRELU_STOP_USER ? " (interrupted)"
                                              : "");
}

static void cli_say_bound(const cvxrelu_certify_report *bound) {
    printf("all patterns bound %.10g: %.4g %% of the objective is proven\n", bound->dual_bound,
           100.0 * (1.0 - bound->gap));
    cli_say_work(bound);
    if (bound->conditional)
        printf("             for networks with this b2: the bound is conditional on it\n");
    if (bound->c > 1)
        printf("             penalty of the second layer: %s\n",
               bound->l1_penalty ? "(sum over outputs |w2|)^2 a neuron (l1)" : "weight decay");
    if (bound->estimate > bound->dual_bound * (1.0 + 1e-9))
        printf(
            "estimate     %.10g, had local search found the worst pattern; it proves nothing\n",
            bound->estimate);
}

static void cli_json_bound(cli_json *json, const cvxrelu_certify_report *bound) {
    cli_json_string(json, "bound_method", cli_bound_word(bound->method));
    cli_json_number(json, "dual_bound", bound->dual_bound);
    cli_json_number(json, "gap", bound->gap);
    cli_json_string(json, "bound_scope", cli_scope_word(CVXRELU_SCOPE_ALL));
    cli_json_number(json, "best_objective", bound->best);
    cli_json_number(json, "best_gap", bound->best_gap);
    cli_json_number(json, "estimate", bound->estimate);
    cli_json_string(json, "second_layer", bound->l1_penalty ? "l1" : "decay");
    cli_json_flag(json, "conditional_on_b2", bound->conditional);
    cli_json_whole(json, "rank", bound->rank);
    cli_json_number(json, "rounds", bound->rounds);
    cli_json_whole(json, "nodes", bound->nodes);
    cli_json_string(json, "stop", cli_stop_word(bound->stop));
    cli_json_number(json, "bound_seconds", bound->seconds);
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

/* What is found about a saved model. */
typedef struct cli_findings {
    cvxrelu_report report;     /* over its own patterns                                      */
    cvxrelu_certify_report bound; /* over all patterns                                        */
    int has_bound, checked;    /* checked: the bound is the saved one, proven again          */
    int confirmed;
} cli_findings;

static int cli_certify_json(cli_files *files, const cli_args *args, const cli_loaded *loaded,
                            const cli_findings *found) {
    cli_json json;
    int status;
    memset(&json, 0, sizeof json);
    status = cli_files_open(files, args->json, &json.file);
    if (status != CLI_OK) return status;
    cli_json_open(&json, NULL, '{');
    cli_json_string(&json, "version", CVXRELU_VERSION);
    cli_json_string(&json, "model", cli_kind_word(loaded->info.kind));
    cli_json_string(&json, "loss", "squared");
    cli_json_whole(&json, "n", loaded->data.n);
    cli_json_whole(&json, "d", loaded->info.features + (loaded->info.has_bias ? 1 : 0));
    cli_json_whole(&json, "c", loaded->info.outputs);
    cli_json_certificate(&json, loaded->info.kind, &found->report);
    cli_json_number(&json, "claimed_objective", loaded->info.objective);
    if (loaded->info.has_bound) cli_json_number(&json, "claimed_gap", loaded->info.gap);
    else cli_json_null(&json, "claimed_gap");
    cli_json_flag(&json, "confirmed", found->confirmed);
    cli_json_number(&json, "seconds", found->report.seconds);
    if (found->has_bound) {
        cli_json_open(&json, "all_patterns", '{');
        cli_json_flag(&json, "from_saved_proof", found->checked);
        cli_json_number(&json, "objective", found->bound.objective);
        cli_json_bound(&json, &found->bound);
        cli_json_close(&json, '}');
    }
    cli_json_close(&json, '}');
    return cli_files_close(files);
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

/* The bound over all patterns of a ReLU model: its saved proof checked, or a new one. */
static int cli_certify_bound(const cli_args *args, cli_loaded *loaded, cli_findings *found) {
    const cli_data *data = &loaded->data;
    cvxrelu_matrix X = cli_matrix(data->X, data->n, data->d);
    cvxrelu_matrix Y = cli_matrix(data->Y, data->n, data->c);
    cvxrelu_options options;
    cvxrelu_certify_options how;
    cvxrelu_result result;
    cli_monitor quiet = {0, 0.0};
    int none, status = cli_set_bound(args, &how, &none);
    if (status != CLI_OK || none || loaded->info.kind != CVXRELU_RELU) return status;
    cli_bound_options(args, &quiet, &options);
    found->checked =
        loaded->info.has_proof && args->bound == NULL && args->tol < 0 && args->save == NULL;
    result = found->checked
                 ? cvxrelu_proof_check(loaded->model, X, Y, &options, &how, &found->bound)
                 : cvxrelu_model_certify(loaded->model, X, Y, &options, &how, &found->bound);
    if (result != CVXRELU_OK) return cli_result(result, args->files[0], found->bound.message);
    found->has_bound = 1;
    return CLI_OK;
}

static int cli_certify_find(cli_pool *pool, const cli_args *args, cli_loaded *loaded,
                            cli_findings *found) {
    const cli_data *data = &loaded->data;
    cvxrelu_options options;
    cvxrelu_result result;
    int status = cli_load_for(pool, args, args->x ? NULL : args->files[1], 1, loaded);
    if (status == CLI_OK) status = cli_certify_rows(pool, args, loaded);
    if (status != CLI_OK) return status;
    memset(&options, 0, sizeof options);
    options.threads = cli_threads(args);
    options.memory_limit = args->memory_limit;
    options.clock.seconds = cli_seconds;
    result =
        cvxrelu_verify(loaded->model, cli_matrix(data->X, data->n, data->d),
                       cli_matrix(data->Y, data->n, data->c), -1.0, &options, &found->report);
    if (result != CVXRELU_OK) return cli_result(result, args->files[0], found->report.message);
    found->confirmed = cli_confirmed(&loaded->info, &found->report);
    return found->confirmed ? cli_certify_bound(args, loaded, found) : CLI_OK;
}

static void cli_certify_say(const cli_args *args, const cli_loaded *loaded,
                            const cli_findings *found) {
    const cvxrelu_model_info *info = &loaded->info;
    printf("model        %s: %s, %lu neuron%s, lambda %.6g\n", args->files[0],
           info->kind == CVXRELU_RELU ? "ReLU" : "gated ReLU", (unsigned long)info->neurons,
           cli_s(info->neurons), found->report.lambda);
    cli_say_rows(&loaded->data);
    cli_say_comments(stdout, &loaded->data);
    cli_say_certificate(info->kind, &found->report);
    if (found->has_bound) cli_say_bound(&found->bound);
    if (found->checked)
        printf("             from the proof that was saved with the model, checked again\n");
    if (args->save != NULL) printf("saved        %s, with the proof\n", args->save);
    if (found->confirmed) printf("confirmed    what the model says of itself\n");
}

/* The JSON report and the model with its proof, or neither. */
static int cli_certify_save(cli_pool *pool, const cli_args *args, cli_loaded *loaded,
                            const cli_findings *found) {
    cli_files files;
    int status = CLI_OK;
    memset(&files, 0, sizeof files);
    files.pool = pool;
    if (args->save != NULL && found->confirmed)
        status = cli_write_model(&files, loaded->model, args->save, !loaded->info.has_recipe);
    if (status == CLI_OK && args->json != NULL)
        status = cli_certify_json(&files, args, loaded, found);
    if (status == CLI_OK) return cli_files_commit(&files);
    cli_files_abandon(&files);
    return status;
}

static int cli_certify_run(cli_pool *pool, const cli_args *args, cli_loaded *loaded) {
    const cvxrelu_model_info *info = &loaded->info;
    cli_findings found;
    int loud = !args->quiet && (args->json == NULL || strcmp(args->json, "-") != 0);
    int status = cli_check_outputs(pool, args);
    if (status == CLI_OK && info->kind == CVXRELU_GATED && (args->bound || args->save))
        status = cli_error(CLI_USAGE,
                           "--%s: %s is a gated model; bounds over all patterns are "
                           "for ReLU ones",
                           args->bound ? "bound" : "save", args->files[0]);
    if (status == CLI_OK && args->save != NULL && cli_is_word(args->bound, "none"))
        status = cli_error(CLI_USAGE, "--save: keeps a proof; it excludes --bound none");
    if (status != CLI_OK) return status;
    memset(&found, 0, sizeof found);
    cli_catch_interrupt();
    status = cli_certify_find(pool, args, loaded, &found);
    if (status == CLI_OK) status = cli_certify_save(pool, args, loaded, &found);
    if (status != CLI_OK) return status;
    if (loud) cli_certify_say(args, loaded, &found);
    if (found.confirmed) return CLI_OK;
    return cli_error(CLI_FAILED,
                     "%s: not confirmed on %s: objective %.10g and gap %.3g where the model "
                     "says %.10g and %.3g",
                     args->files[0], loaded->data.path, found.report.objective,
                     found.report.gap, info->objective, info->gap);
}

/* certify MODEL ... */
static int cli_certify_model(cli_pool *pool, const cli_args *args) {
    const cli_given foreign[] = {
        {"b1", args->b1 != NULL},           {"b2", args->b2 != NULL},
        {"w2", args->w2 != NULL},           {"lambda", args->lambda != NULL},
        {"penalty", args->penalty != NULL}, {"scale", args->scale != NULL},
        {"classes", args->classes},         {"raw-targets", args->raw_targets}};
    const char *name = CLI_FIRST_GIVEN(foreign);
    cli_loaded loaded;
    int status;
    if (name != NULL)
        return cli_error(CLI_USAGE, "--%s: goes with --w1 and --w2; a model knows its own",
                         name);
    if (args->file_count != (args->x != NULL ? 1u : 2u))
        return cli_error(CLI_USAGE,
                         "certify: a model and a data file (or --x and --y) are needed");
    status = cli_load_model(pool, args->files[0], &loaded);
    if (status == CLI_OK) status = cli_certify_run(pool, args, &loaded);
    cvxrelu_model_free(loaded.model);
    return status;
}

#endif /* CLI_CERTIFY_H */
