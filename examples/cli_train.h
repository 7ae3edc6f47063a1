/* ==== CLI TRAIN ==========================================================================
   From arguments and data to solved models: the problem, the options, the progress line, one
   strength, a path or a cross-validation, scores on training and held-out rows. Uses
   cli_data.h, cli_system.h. Used by cli_report.h, cvxrelu_cli.c. Tests: tests/test_cli.sh. */

#ifndef CLI_TRAIN_H
#define CLI_TRAIN_H

#include "cli_data.h"
#include "cli_system.h"

/* Strengths of a path when --path does not say. */
#define CLI_PATH_COUNT 20

typedef struct cli_monitor {
    int show;                  /* draw the progress line                                      */
    double last;               /* when it was drawn                                           */
} cli_monitor;

/* How a model does on some rows. */
typedef struct cli_score {
    double error;              /* mean squared error, or share of wrong labels                */
    size_t wrong, rows;
    double variance;           /* of the targets around their means (values only)             */
} cli_score;

typedef struct cli_run {
    cli_pool *pool;
    const cli_args *args;
    cli_data all, train, test;
    int has_test;
    cvxrelu_problem problem;
    cvxrelu_options options;
    cvxrelu_path_options path;
    cli_monitor monitor;
    cvxrelu_model *start;
    size_t wanted;             /* strengths asked for                                         */
    size_t count, chosen;      /* strengths solved, and the one that is saved                 */
    cvxrelu_model **models;
    cvxrelu_report *reports;
    cli_score *train_scores, *test_scores;
    cvxrelu_descend_options descend; /* --method                                              */
    cvxrelu_gauge_report gauge;  /* --interpolate                                             */
    cvxrelu_decomposition kind;  /* --decompose                                               */
    cvxrelu_decompose_report split;
    cvxrelu_prune_report pruned; /* --prune                                                   */
    cvxrelu_cv_point *points;  /* of a cross-validation, or NULL                              */
    size_t point_count, point_chosen;
} cli_run;

/* ---- Results of the library */

/* The option that the first word of a message of the library means, or NULL; *length of that
   word. Fields of options bear the names of their options, - for _.                         */
static const char *cli_field_option(const char *message, size_t *length, char name[32]) {
    static const char *const fields[][2] = {{"path.folds", "cv"},
                                            {"path.count", "path"},
                                            {"path.lambdas", "path"},
                                            {"problem.penalty", "penalty"},
                                            {"problem.loss", "loss"},
                                            {"gates.count", "patterns"},
                                            {"gates.order", "sampler"},
                                            {"gates.width", "sampler"},
                                            {"gates.patch", "sampler"},
                                            {"problem.search", "search"},
                                            {"options.al.delta", "al-delta"},
                                            {"options.al.window_low", "al-low"},
                                            {"options.al.window_high", "al-high"},
                                            {"options.al.constraint_tol", "al-tol"},
                                            {"options.al.max_outer", "al-outer"},
                                            {"options.search.width", "width"},
                                            {"descend.width", "width"},
                                            {"descend.batch", "batch"},
                                            {"descend.epochs", "epochs"},
                                            {"descend.halve_every", "halve-every"},
                                            {"descend.step_size", "step-size"},
                                            {"descend.momentum", "momentum"},
                                            {"options.search.steps", "search-steps"},
                                            {"options.search.step_size", "search-step-size"},
                                            {"options.search.rounds", "rounds"},
                                            {"options.search.restarts", "restarts"},
                                            {"gates.active_share", "active-share"},
                                            {"gates.given", "gates"},
                                            {"memory_limit", "memory-limit"},
                                            {"time_limit", "time-limit"},
                                            {"lambda", "lambda"},
                                            {"start", "start"}};
    size_t k, i;
    *length = strcspn(message, " ");
    for (k = 0; k < sizeof fields / sizeof fields[0]; k++)
        if (strlen(fields[k][0]) == *length && memcmp(fields[k][0], message, *length) == 0)
            return fields[k][1];
    if (strncmp(message, "options.", 8) != 0 || *length - 8 >= 32) return NULL;
    for (i = 8; i < *length; i++)
        name[i - 8] = (char)(message[i] == '_' ? '-' : message[i]);
    name[*length - 8] = 0;
    return name;
}

/* Does a message of this result speak of the data or the file, and not of the call? */
static int cli_blames_file(cvxrelu_result result, const char *message) {
    if ((message[0] == 'X' || message[0] == 'Y') && message[1] == ' ') return 1;
    return result != CVXRELU_ERR_ARGUMENT && result != CVXRELU_ERR_UNSUPPORTED &&
           result != CVXRELU_ERR_CLOCK && result != CVXRELU_ERR_LIMIT &&
           result != CVXRELU_ERR_MEMORY && result != CVXRELU_ERR_STOPPED;
}

/* cli_result - the line for a result of the library that is not CVXRELU_OK. It names the file
   `what`, or the option that the message is about, once.                                     */
static int cli_result(cvxrelu_result result, const char *what, const char *message) {
    int status = result == CVXRELU_ERR_MEMORY || result == CVXRELU_ERR_LIMIT ||
                         result == CVXRELU_ERR_NUMERIC || result == CVXRELU_ERR_STOPPED
                     ? CLI_FAILED
                     : CLI_USAGE;
    char line[CVXRELU_MESSAGE_SIZE], name[32];
    const char *option;
    size_t i, length;
    if (message == NULL || message[0] == 0)
        return cli_error(status, "%s: %s", what, cvxrelu_result_text(result));
    for (i = 0; i + 1 < sizeof line && message[i] != 0; i++)
        line[i] = (char)(message[i] == '\n' ? ' ' : message[i]);
    line[i] = 0;
    if (strncmp(line, what, strlen(what)) == 0) return cli_error(status, "%s", line);
    option = cli_field_option(line, &length, name);
    if (option != NULL) return cli_error(status, "--%s%s", option, line + length);
    if (cli_blames_file(result, line)) return cli_error(status, "%s: %s", what, line);
    return cli_error(status, "%s", line);
}

/* ---- Words to enums */

typedef struct cli_choice {
    const char *word;
    int value;                 /* negative: known, not available yet                          */
} cli_choice;

/* The value of a word; the first choice when the option is not given. */
static int cli_choose(const char *option, const char *word, const cli_choice *choices,
                      size_t count, int *value) {
    char shown[CLI_SHOW], list[128] = "";
    size_t k;
    *value = choices[0].value;
    if (word == NULL) return CLI_OK;
    for (k = 0; k < count; k++) {
        if (choices[k].value >= 0) {
            if (k > 0) strcat(list, ", ");
            strcat(list, choices[k].word);
        }
        if (strcmp(word, choices[k].word) != 0) continue;
        *value = choices[k].value;
        if (*value >= 0) return CLI_OK;
        return cli_error(CLI_USAGE, "--%s %s: not available yet; use %s", option, word,
                         choices[0].word);
    }
    return cli_error(CLI_USAGE, "--%s %s: must be one of %s", option, cli_show(word, shown),
                     list);
}

static int cli_set_problem_words(const cli_args *args, cvxrelu_problem *problem) {
    static const cli_choice kinds[] = {{"relu", CVXRELU_RELU}, {"gated", CVXRELU_GATED}};
    static const cli_choice losses[] = {{"squared", CVXRELU_LOSS_SQUARED},
                                        {"cross-entropy", -1},
                                        {"logistic", -1},
                                        {"hinge", -1},
                                        {"huber", -1}};
    static const cli_choice penalties[] = {{"neuron", CVXRELU_PENALTY_NEURON},
                                           {"feature", CVXRELU_PENALTY_FEATURE},
                                           {"l1", CVXRELU_PENALTY_L1},
                                           {"l2", CVXRELU_PENALTY_L2}};
    static const cli_choice scales[] = {{"auto", CVXRELU_SCALE_AUTO},
                                        {"standard", CVXRELU_SCALE_STANDARD},
                                        {"unit", CVXRELU_SCALE_UNIT},
                                        {"none", CVXRELU_SCALE_NONE}};
    int value, status = cli_choose("model", args->model, kinds, 2, &value);
    problem->kind = args->decompose != NULL ? CVXRELU_GATED : (cvxrelu_kind)value;
    if (status == CLI_OK) status = cli_choose("loss", args->loss, losses, 5, &value);
    problem->loss = (cvxrelu_loss)value;
    if (status == CLI_OK) status = cli_choose("penalty", args->penalty, penalties, 4, &value);
    problem->penalty = (cvxrelu_penalty)value;
    if (status == CLI_OK) status = cli_choose("scale", args->scale, scales, 4, &value);
    problem->scale = (cvxrelu_scale)value;
    return status;
}

static int cli_set_decomposition(cli_run *run) {
    static const cli_choice kinds[] = {{"min-norm", CVXRELU_DECOMPOSE_MIN_NORM},
                                       {"feasible", CVXRELU_DECOMPOSE_FEASIBLE},
                                       {"approximate", CVXRELU_DECOMPOSE_APPROXIMATE},
                                       {"closed-form", CVXRELU_DECOMPOSE_CLOSED_FORM}};
    int value, status = cli_choose("decompose", run->args->decompose, kinds, 4, &value);
    run->kind = (cvxrelu_decomposition)value;
    return status;
}

static int cli_set_method(const cli_args *args, cvxrelu_descend_options *descend) {
    static const cli_choice methods[] = {{"adam", CVXRELU_DESCEND_ADAM},
                                         {"sgd", CVXRELU_DESCEND_SGD},
                                         {"adagrad", CVXRELU_DESCEND_ADAGRAD}};
    static const cli_choice schedules[] = {{"halve", CVXRELU_SCHEDULE_HALVE},
                                           {"constant", CVXRELU_SCHEDULE_CONSTANT},
                                           {"cosine", CVXRELU_SCHEDULE_COSINE}};
    int value, status = cli_choose("method", args->method, methods, 3, &value);
    descend->method = (cvxrelu_descend_method)value;
    if (status == CLI_OK) status = cli_choose("schedule", args->schedule, schedules, 3, &value);
    descend->schedule = (cvxrelu_schedule)value;
    descend->width = args->width;
    descend->batch = args->batch;
    descend->epochs = (int)args->epochs;
    descend->halve_every = (int)args->halve_every;
    descend->step_size = args->step_size;
    descend->momentum = args->momentum == 0 ? -1.0 : args->momentum < 0 ? 0.0 : args->momentum;
    descend->seed = args->seed;
    return status;
}

static void cli_set_search(const cli_args *args, cvxrelu_problem *problem) {
    if (problem->kind == CVXRELU_GATED) return;
    if (args->search) problem->search = CVXRELU_SEARCH_ON;
    if (args->no_search || args->method) problem->search = CVXRELU_SEARCH_OFF;
    if (args->exact) problem->search = CVXRELU_SEARCH_EXACT;
}

static int cli_set_option_words(const cli_args *args, cvxrelu_options *options) {
    static const cli_choice starts[] = {{"descent", CVXRELU_SEARCH_FROM_DESCENT},
                                        {"start", CVXRELU_SEARCH_FROM_START},
                                        {"flipped", CVXRELU_SEARCH_FROM_FLIPPED}};
    static const cli_choice solvers[] = {{"auto", CVXRELU_SOLVER_AUTO},
                                         {"newton", CVXRELU_SOLVER_NEWTON},
                                         {"fista", CVXRELU_SOLVER_FISTA},
                                         {"al", CVXRELU_SOLVER_AL}};
    static const cli_choice types[] = {{"float64", CVXRELU_FLOAT64},
                                       {"float32", CVXRELU_FLOAT32}};
    static const cli_choice rules[] = {{"tightness", CVXRELU_STEP_TIGHTNESS},
                                       {"warm", CVXRELU_STEP_WARM},
                                       {"forward", CVXRELU_STEP_FORWARD},
                                       {"fixed", CVXRELU_STEP_FIXED}};
    int value, status = cli_choose("solver", args->solver, solvers, 4, &value);
    options->solver = (cvxrelu_solver)value;
    if (status == CLI_OK) status = cli_choose("precision", args->precision, types, 2, &value);
    options->precision = (cvxrelu_type)value;
    if (status == CLI_OK) status = cli_choose("step-rule", args->step_rule, rules, 4, &value);
    options->step_rule = (cvxrelu_step_rule)value;
    if (status == CLI_OK)
        status = cli_choose("search-from", args->search_from, starts, 3, &value);
    options->search.from = (cvxrelu_search_from)value;
    return status;
}

/* Reads numbers joined by 'x' after *at: up to `most` of them; the count, or 0. */
static size_t cli_sizes(const char **at, size_t most, size_t *sizes) {
    size_t count = 0;
    while (count < most) {
        char digits[12];
        uint64_t value;
        size_t length = cli_digits(*at);
        if (length == 0 || length >= sizeof digits) return 0;
        memcpy(digits, *at, length);
        digits[length] = 0;
        if (!cli_whole(digits, &value) || value == 0 || value > 1000000000u) return 0;
        sizes[count++] = (size_t)value;
        *at += length;
        if (**at != 'x') break;
        ++*at;
    }
    return count;
}

/* --sampler gaussian | sparse[:K] | patch:WxHxC[:K] | points */
static int cli_set_sampler(const cli_args *args, cvxrelu_gates *gates) {
    const char *at = args->sampler;
    char shown[CLI_SHOW];
    size_t sizes[3] = {0, 0, 1};
    int good = 1;
    if (at == NULL || strcmp(at, "gaussian") == 0) return CLI_OK;
    if (strcmp(at, "points") == 0) gates->sampler = CVXRELU_SAMPLER_POINTS;
    else if (strncmp(at, "sparse", 6) == 0) {
        gates->sampler = CVXRELU_SAMPLER_SPARSE;
        at += 6;
        if (*at == ':') good = (at++, cli_sizes(&at, 1, &gates->order) == 1);
        good = good && *at == 0;
    } else if (strncmp(at, "patch:", 6) == 0) {
        gates->sampler = CVXRELU_SAMPLER_PATCH;
        at += 6;
        good = cli_sizes(&at, 3, sizes) >= 2;
        gates->width = sizes[0];
        gates->height = sizes[1];
        gates->channels = sizes[2];
        if (good && *at == ':') good = (at++, cli_sizes(&at, 1, &gates->patch) == 1);
        good = good && *at == 0;
    } else good = 0;
    if (good) return CLI_OK;
    return cli_error(CLI_USAGE,
                     "--sampler %s: must be gaussian, sparse:K, patch:WxHxC:K or points",
                     cli_show(args->sampler, shown));
}

/* The first option of a list that was given, or NULL. */
typedef struct cli_given {
    const char *name;
    int given;
} cli_given;

static const char *cli_first_given(const cli_given *list, size_t count) {
    size_t k;
    for (k = 0; k < count; k++)
        if (list[k].given) return list[k].name;
    return NULL;
}

#define CLI_FIRST_GIVEN(list) cli_first_given(list, sizeof(list) / sizeof(list)[0])

static int cli_is_word(const char *text, const char *word) {
    return text != NULL && strcmp(text, word) == 0;
}

/* Options that only the pattern search knows, or NULL. */
static const char *cli_search_option(const cli_args *args) {
    const cli_given list[] = {{"width", args->width > 0},
                              {"search-steps", args->search_steps > 0},
                              {"search-step-size", args->search_step_size > 0},
                              {"rounds", args->rounds > 0},
                              {"restarts", args->restarts > 0},
                              {"search-from", args->search_from != NULL},
                              {"ascents", args->ascents > 0}};
    return CLI_FIRST_GIVEN(list);
}

/* Options that only the augmented Lagrangian knows, or NULL. */
static const char *cli_al_option(const cli_args *args) {
    const cli_given list[] = {{"al-delta", args->al_delta > 0},
                              {"al-low", args->al_low > 0},
                              {"al-high", args->al_high > 0},
                              {"al-tol", args->al_tol > 0},
                              {"al-outer", args->al_outer > 0}};
    return CLI_FIRST_GIVEN(list);
}

/* Options that belong to one kind of network: the kind that the solver sees. */
static int cli_check_kind(const cli_args *args, cvxrelu_kind kind) {
    const cli_given gated[] = {
        {"penalty", args->penalty != NULL && !cli_is_word(args->penalty, "neuron")},
        {"solver fista", cli_is_word(args->solver, "fista")},
        {"precision float32", cli_is_word(args->precision, "float32")},
        {"subgradient-tol", args->subgradient_tol > 0},
        {"no-restart", args->no_restart},
        {"no-acceleration", args->no_acceleration},
        {"step-rule", args->step_rule != NULL},
        {"step-first", args->step_first > 0},
        {"step-shrink", args->step_shrink > 0},
        {"step-grow", args->step_grow > 0},
        {"step-threshold", args->step_threshold > 0}};
    const cli_given relu[] = {{"interpolate", args->interpolate},
                              {"search", args->search},
                              {"no-search", args->no_search && args->decompose != NULL},
                              {"exact", args->exact},
                              {"solver al", cli_is_word(args->solver, "al")}};
    const char *name = kind == CVXRELU_RELU ? CLI_FIRST_GIVEN(gated) : CLI_FIRST_GIVEN(relu);
    if (name == NULL && kind == CVXRELU_GATED) name = cli_search_option(args);
    if (name == NULL && kind == CVXRELU_GATED) name = cli_al_option(args);
    if (name == NULL) return CLI_OK;
    if (args->decompose != NULL)
        return cli_error(CLI_USAGE,
                         "--%s: --decompose trains a gated network; it excludes this", name);
    return cli_error(CLI_USAGE, "--%s: goes with --model %s only", name,
                     kind == CVXRELU_RELU ? "gated" : "relu");
}

/* --method is a trainer of its own: what belongs to the convex program excludes it, and its
   options need it.                                                                           */
static int cli_check_method(const cli_args *args) {
    const cli_given own[] = {{"epochs", args->epochs > 0},
                             {"batch", args->batch > 0},
                             {"step-size", args->step_size > 0},
                             {"schedule", args->schedule != NULL},
                             {"halve-every", args->halve_every > 0},
                             {"momentum", args->momentum >= 0}};
    const cli_given others[] = {{"model gated", cli_is_word(args->model, "gated")},
                                {"decompose", args->decompose != NULL},
                                {"path", args->path > 0},
                                {"cv", args->cv > 0},
                                {"search", args->search},
                                {"exact", args->exact},
                                {"gates", args->gates != NULL || args->gates_scaled != NULL},
                                {"solver", args->solver != NULL},
                                {"tol", args->tol >= 0},
                                {"start", args->start != NULL},
                                {"search-steps", args->search_steps > 0},
                                {"search-step-size", args->search_step_size > 0},
                                {"rounds", args->rounds > 0},
                                {"restarts", args->restarts > 0},
                                {"search-from", args->search_from != NULL},
                                {"ascents", args->ascents > 0},
                                {"interpolate", args->interpolate}};
    const char *name = args->method == NULL ? CLI_FIRST_GIVEN(own) : CLI_FIRST_GIVEN(others);
    if (name == NULL) return CLI_OK;
    if (args->method == NULL) return cli_error(CLI_USAGE, "--%s: needs --method", name);
    return cli_error(CLI_USAGE, "--method: trains without the convex program; it excludes --%s",
                     name);
}

/* Options of ReLU networks that exclude or need one another. */
static int cli_check_relu(const cli_args *args) {
    const char *name = cli_search_option(args);
    int given = args->gates != NULL || args->gates_scaled != NULL;
    if (args->decompose != NULL && cli_is_word(args->model, "gated"))
        return cli_error(CLI_USAGE,
                         "--decompose: gives a ReLU network; it excludes --model gated");
    if (args->decompose != NULL && args->path > 0 && args->cv == 0)
        return cli_error(CLI_USAGE, "--decompose: takes one strength; it excludes --path");
    if (args->start != NULL && args->interpolate)
        return cli_error(CLI_USAGE,
                         "--start: --interpolate begins by itself; it excludes this");
    if (args->start != NULL && !cli_is_word(args->model, "gated") && args->decompose == NULL &&
        !args->no_search && !args->exact && (args->search || !given))
        return cli_error(CLI_USAGE,
                         "--start: a search begins by itself; it goes with --no-search, "
                         "--exact, --gates and --model gated");
    if (args->interpolate && (args->lambda != NULL || args->path > 0 || args->cv > 0))
        return cli_error(CLI_USAGE, "--interpolate: is the limit of strength 0; it excludes "
                         "--lambda, --path and --cv");
    if (args->rho > 0 && !cli_is_word(args->decompose, "approximate"))
        return cli_error(CLI_USAGE, "--rho: needs --decompose approximate");
    if (args->search && args->no_search)
        return cli_error(CLI_USAGE, "--search: excludes --no-search");
    if (args->exact && (args->search || args->no_search || given || args->patterns > 0 ||
                        args->sampler != NULL || args->active_share > 0 || args->no_gate_bias))
        return cli_error(CLI_USAGE,
                         "--exact: takes all patterns; it excludes --search, --no-search, "
                         "--gates, --patterns and what shapes the sampling");
    if (args->method != NULL) name = NULL;
    if (name != NULL && (args->no_search || args->exact || (given && !args->search)))
        return cli_error(CLI_USAGE, "--%s: needs a pattern search%s", name,
                         given && !args->search ? ": --gates needs --search for that" : "");
    name = cli_al_option(args);
    if (name != NULL && !cli_is_word(args->solver, "al"))
        return cli_error(CLI_USAGE, "--%s: needs --solver al", name);
    return CLI_OK;
}

/* Options that exclude or need one another. */
static int cli_check_args(const cli_args *args) {
    if ((args->x == NULL) != (args->y == NULL))
        return cli_error(CLI_USAGE, "--%s: needs --%s", args->x ? "x" : "y",
                         args->x ? "y" : "x");
    if (args->bias && args->no_bias) return cli_error(CLI_USAGE, "--bias: excludes --no-bias");
    if (args->centre && args->no_centre)
        return cli_error(CLI_USAGE, "--centre: excludes --no-centre");
    if (args->header && args->no_header)
        return cli_error(CLI_USAGE, "--header: excludes --no-header");
    if (args->classes && args->raw_targets)
        return cli_error(CLI_USAGE, "--classes: excludes --raw-targets");
    if (args->test != NULL && args->split > 0)
        return cli_error(CLI_USAGE, "--test: excludes --split");
    if (args->gates != NULL && args->gates_scaled != NULL)
        return cli_error(CLI_USAGE, "--gates: excludes --gates-scaled");
    if ((args->gates != NULL || args->gates_scaled != NULL) &&
        (args->patterns > 0 || args->sampler != NULL || args->active_share > 0 ||
         args->no_gate_bias))
        return cli_error(CLI_USAGE,
                         "--gates: the gates are used as they are; it excludes --patterns, "
                         "--sampler, --active-share and --no-gate-bias");
    if (args->no_bias && args->scale != NULL && strcmp(args->scale, "standard") == 0)
        return cli_error(CLI_USAGE,
                         "--scale standard: needs the bias; --no-bias goes with unit or none");
    if (args->no_bias && args->active_share > 0)
        return cli_error(CLI_USAGE, "--active-share: needs the bias; it excludes --no-bias");
    if (args->one_se && args->cv == 0) return cli_error(CLI_USAGE, "--one-se: needs --cv");
    if (args->lambda != NULL && (args->path > 0 || args->cv > 0))
        return cli_error(CLI_USAGE, "--lambda: excludes --path and --cv");
    if (args->penalty != NULL && strcmp(args->penalty, "l2") == 0 &&
        (args->path > 0 || args->cv > 0))
        return cli_error(CLI_USAGE, "--penalty l2: has no lambda_max; it goes with --lambda L, "
                         "not with --path or --cv");
    if (args->strip && args->save == NULL) return cli_error(CLI_USAGE, "--strip: needs --save");
    return CLI_OK;
}

/* ---- Progress */

/* Draws the line, and asks the solver to stop after Ctrl-C. */
static int cli_on_progress(void *user, const cvxrelu_progress *progress) {
    cli_monitor *monitor = (cli_monitor *)user;
    double now = cli_seconds(NULL);
    if (monitor->show && (monitor->last <= 0 || now - monitor->last >= 0.1)) {
        char line[160];
        int used =
            sprintf(line, "step %d  objective %.6g", progress->iteration, progress->objective);
        if (progress->lambda > 0 && progress->dual_bound > 0)
            used += sprintf(line + used, "  gap %.2g", progress->gap);
        sprintf(line + used, "  neurons %lu  %.1f s", (unsigned long)progress->active,
                progress->seconds);
        fprintf(stderr, "\r%-78.78s", line);
        fflush(stderr);
        monitor->last = now;
    }
    return cli_interrupted != 0;
}

static void cli_progress_clear(cli_monitor *monitor) {
    if (monitor->show && monitor->last > 0) {
        fprintf(stderr, "\r%78s\r", "");
        fflush(stderr);
    }
}

/* ---- The problem */

/* Gates come as columns (d x P, as NumPy users keep them) and leave as rows (P x d). */
static int cli_load_gates(cli_run *run) {
    const cli_args *args = run->args;
    const char *path = args->gates ? args->gates : args->gates_scaled;
    size_t d = run->train.d, full = d + (args->no_bias ? 0 : 1), i, j;
    npy_array array;
    double *gates;
    int status = npy_read(run->pool, path, &array);
    if (status != CLI_OK) return status;
    if (array.rows != full && (array.rows != d || args->gates_scaled != NULL))
        return cli_error(CLI_USAGE, "%s: %lu rows; gates of these data have %lu%s", path,
                         (unsigned long)array.rows, (unsigned long)(args->gates ? d : full),
                         args->gates && full > d ? " (or one more, the bias last)" : "");
    gates = (double *)cli_alloc(run->pool, array.rows * array.cols, sizeof(double));
    for (i = 0; i < array.rows; i++)
        for (j = 0; j < array.cols; j++)
            gates[j * array.rows + i] = array.data[i * array.cols + j];
    run->problem.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    run->problem.gates.given = cli_matrix(gates, array.cols, array.rows);
    run->problem.gates.given_scaled = args->gates_scaled != NULL;
    return CLI_OK;
}

static void cli_set_numbers(cli_run *run) {
    const cli_args *args = run->args;
    cvxrelu_options *options = &run->options;
    options->tol = args->tol > 0 ? args->tol : args->tol < 0 ? 0.0 : -1.0;
    options->subgradient_tol = args->subgradient_tol;
    options->max_iters = (int)args->max_iters;
    options->time_limit = args->time_limit;
    options->memory_limit = args->memory_limit;
    options->max_working_set = args->max_working_set;
    options->max_factor = args->max_factor;
    options->step_first = args->step_first;
    options->step_shrink = args->step_shrink;
    options->step_grow = args->step_grow;
    options->step_threshold = args->step_threshold;
    options->no_restart = args->no_restart;
    options->no_acceleration = args->no_acceleration;
    options->al.delta = args->al_delta;
    options->al.window_low = args->al_low;
    options->al.window_high = args->al_high;
    options->al.constraint_tol = args->al_tol;
    options->al.max_outer = (int)args->al_outer;
    options->search.width = args->width;
    options->search.steps = (int)args->search_steps;
    options->search.step_size = args->search_step_size;
    options->search.rounds = (int)args->rounds;
    options->search.restarts = (int)args->restarts;
    options->search.ascents = args->ascents;
    options->portable = args->portable;
    options->clock.seconds = cli_seconds;
    options->progress = cli_on_progress;
    options->progress_user = &run->monitor;
}

/* cli_threads - --threads as this build can have them; a note when that is fewer. */
static int cli_threads(const cli_args *args) {
#if defined(_OPENMP)
    return (int)args->threads;
#else
    if (args->threads > 1 && !args->quiet)
        cli_error(CLI_OK, "built without OpenMP: one thread");
    return 1;
#endif
}

/* cli_prepare - data, gates and options of a run; everything that can be wrong is found here.
   */
static int cli_prepare(cli_run *run) {
    const cli_args *args = run->args;
    cvxrelu_problem *problem = &run->problem;
    cli_wanted wanted;
    int status;
    memset(&wanted, 0, sizeof wanted);
    wanted.needs_target = 1;
    status = cli_load(run->pool, args, args->x ? NULL : args->files[0], &wanted, &run->all);
    if (status == CLI_OK) status = cli_target_learn(run->pool, args, &run->all);
    if (status != CLI_OK) return status;
    run->train = run->all;
    run->has_test = args->test != NULL || args->split > 0;
    if (args->split > 0) {
        status =
            cli_split(run->pool, &run->all, args->split, args->seed, &run->train, &run->test);
        if (status == CLI_OK) status = cli_classes_present(run->pool, &run->train);
    } else if (args->test != NULL) {
        wanted.d = run->all.d;
        wanted.names = (const char *const *)run->all.names;
        status = cli_load(run->pool, args, args->test, &wanted, &run->test);
        if (status == CLI_OK)
            status = cli_target_match(run->pool, run->all.labels, run->all.classes, run->all.c,
                                      &run->test);
    }
    if (status != CLI_OK) return status;
    problem->X = cli_matrix(run->train.X, run->train.n, run->train.d);
    problem->Y = cli_matrix(run->train.Y, run->train.n, run->train.c);
    problem->task = run->train.classes ? CVXRELU_TASK_CLASSES : CVXRELU_TASK_REGRESSION;
    problem->no_bias = args->no_bias;
    if (args->centre && run->train.classes)
        return cli_error(CLI_USAGE, "--centre: the targets of %s are classes", run->all.path);
    problem->centre_targets = args->centre ||
                              (!run->train.classes && !args->raw_targets && !args->no_centre);
    problem->gates.count = args->patterns;
    problem->gates.seed = args->seed;
    problem->gates.active_share = args->active_share;
    problem->gates.no_gate_bias = args->no_gate_bias;
    if (args->gates != NULL || args->gates_scaled != NULL) status = cli_load_gates(run);
    cli_set_numbers(run);
    return status;
}

/* --lambda 0.01 | 0.01max */
static int cli_set_lambda(cli_run *run) {
    const char *text = run->args->lambda ? run->args->lambda : "0.001max";
    size_t length = strlen(text);
    char *number = cli_join(run->pool, text, ""), shown[CLI_SHOW];
    char message[CVXRELU_MESSAGE_SIZE] = "";
    int share = length > 3 && strcmp(text + length - 3, "max") == 0;
    double value, top;
    cvxrelu_result result;
    if (share) number[length - 3] = 0;
    if (cli_number(number, &value) != CLI_NUMBER || value < 0)
        return cli_error(CLI_USAGE, "--lambda %s: must be 0 or greater, or a share as 0.01max",
                         cli_show(text, shown));
    run->problem.lambda = value;
    if (!share) return CLI_OK;
    result = cvxrelu_lambda_max(&run->problem, &run->options, &top, message);
    if (result != CVXRELU_OK) return cli_result(result, run->all.path, message);
    /* Without a lambda_max any strength gives the zero network; a ReLU one needs a strength. */
    if (top > 0 || run->problem.kind == CVXRELU_GATED) run->problem.lambda = value * top;
    return CLI_OK;
}

/* ---- Solving */

static void cli_room(cli_run *run, size_t count) {
    run->count = count;
    run->models = (cvxrelu_model **)cli_alloc(run->pool, count, sizeof(cvxrelu_model *));
    run->reports = (cvxrelu_report *)cli_alloc(run->pool, count, sizeof(cvxrelu_report));
    run->train_scores = (cli_score *)cli_alloc(run->pool, count, sizeof(cli_score));
    run->test_scores = (cli_score *)cli_alloc(run->pool, count, sizeof(cli_score));
}

static cvxrelu_result cli_solve_cv(cli_run *run) {
    cli_room(run, 1);
    run->path.folds = run->args->cv;
    run->path.fold_seed = run->args->seed;
    run->path.one_standard_error = run->args->one_se;
    run->point_count = run->path.count;
    run->points =
        (cvxrelu_cv_point *)cli_alloc(run->pool, run->point_count, sizeof *run->points);
    return cvxrelu_cross_validate(&run->problem, &run->options, &run->path, run->points,
                                  &run->point_chosen, &run->models[0], &run->reports[0]);
}

/* --interpolate; the report is recomputed from the network of the last strength. */
static cvxrelu_result cli_solve_interpolate(cli_run *run, char *message) {
    cvxrelu_options options = run->options;
    cvxrelu_report *report;
    cvxrelu_result result;
    double began = cli_seconds(NULL), ended;
    cli_room(run, 1);
    report = &run->reports[0];
    options.tol = 0.0;
    result = cvxrelu_interpolate(&run->problem, &options,
                                 run->args->tol > 0 ? run->args->tol : 0.0, &run->models[0],
                                 &run->gauge);
    memcpy(message, run->gauge.message, sizeof run->gauge.message);
    if (result != CVXRELU_OK) return result;
    ended = cli_seconds(NULL);
    result =
        cvxrelu_verify(run->models[0], run->problem.X, run->problem.Y, -1.0, &options, report);
    memcpy(message, report->message, sizeof report->message);
    report->seconds = ended - began;
    return result;
}

/* cli_solve - whatever --lambda, --path, --cv and --method ask for. */
static int cli_solve(cli_run *run, int is_path) {
    char message[CVXRELU_MESSAGE_SIZE] = "";
    cvxrelu_result result;
    int status = CLI_OK;
    run->path.count = run->args->path ? run->args->path : CLI_PATH_COUNT;
    run->problem.lambda = 1.0; /* of no account where a path gives the strengths */
    if (run->args->cv > 0) {
        result = cli_solve_cv(run);
        memcpy(message, run->reports[0].message, sizeof message);
    } else if (is_path || run->args->path > 0) {
        cli_room(run, run->path.count);
        result = cvxrelu_path(&run->problem, &run->options, &run->path, run->models,
                              run->reports, message);
    } else if (run->args->interpolate) {
        result = cli_solve_interpolate(run, message);
    } else {
        cli_room(run, 1);
        if ((status = cli_set_lambda(run)) != CLI_OK) return status;
        result = run->args->method != NULL
                     ? cvxrelu_descend(&run->problem, &run->options, &run->descend,
                                       &run->models[0], &run->reports[0])
                     : cvxrelu_fit(&run->problem, &run->options, run->start, &run->models[0],
                                   &run->reports[0]);
        memcpy(message, run->reports[0].message, sizeof message);
    }
    cli_progress_clear(&run->monitor);
    if (result != CVXRELU_OK) return cli_result(result, run->all.path, message);
    run->wanted = run->count;
    while (run->count > 1 && run->models[run->count - 1] == NULL) run->count--;
    run->chosen = run->count - 1;
    if (run->models[run->chosen] == NULL)
        return cli_error(CLI_FAILED, "%s: stopped before a first model", run->all.path);
    return CLI_OK;
}

/* Another model takes the place of the chosen one. */
static void cli_replace(cli_run *run, cvxrelu_model *model) {
    cvxrelu_model_free(run->models[run->chosen]);
    run->models[run->chosen] = model;
}

/* cli_decompose - --decompose: the gated network that was trained becomes a ReLU one. */
static int cli_decompose(cli_run *run) {
    cvxrelu_report *report = &run->reports[run->chosen], relu;
    cvxrelu_model *model = NULL;
    cvxrelu_result result =
        cvxrelu_decompose(run->models[run->chosen], run->problem.X, run->problem.Y, run->kind,
                          run->args->rho, &run->options, &model, &relu, &run->split);
    if (result != CVXRELU_OK) return cli_result(result, run->all.path, relu.message);
    cli_replace(run, model);
    report->objective = relu.objective;
    report->has_bound = relu.has_bound;
    report->dual_bound = relu.dual_bound;
    report->gap = relu.gap;
    report->constraint_violation = relu.constraint_violation;
    report->neurons = relu.neurons;
    report->seconds += relu.seconds;
    if (relu.peak_bytes > report->peak_bytes) report->peak_bytes = relu.peak_bytes;
    return CLI_OK;
}

/* cli_prune - --prune: the chosen network with as few neurons as its training outputs take. */
static int cli_prune(cli_run *run) {
    cvxrelu_report *report = &run->reports[run->chosen];
    cvxrelu_model_info info;
    cvxrelu_model *model = NULL;
    cvxrelu_result result = cvxrelu_prune(run->models[run->chosen], run->problem.X,
                                          &run->options, &model, &run->pruned);
    if (result != CVXRELU_OK) return cli_result(result, run->all.path, run->pruned.message);
    cli_replace(run, model);
    cvxrelu_model_get_info(model, &info);
    report->neurons = info.neurons;
    report->objective = info.objective;
    report->gap = info.gap;
    return CLI_OK;
}

/* ---- Scores */

/* Sum over columns of the squared distance of Y to its column means. */
static double cli_variance(const cli_data *data) {
    double sum = 0.0;
    size_t i, k;
    for (k = 0; k < data->c; k++) {
        double mean = 0.0;
        for (i = 0; i < data->n; i++) mean += data->Y[i * data->c + k] / (double)data->n;
        for (i = 0; i < data->n; i++) {
            double e = data->Y[i * data->c + k] - mean;
            sum += e * e / (double)(data->n * data->c);
        }
    }
    return sum;
}

/* cli_score_model - predict rows with the network and compare. */
static int cli_score_model(cli_pool *pool, const cvxrelu_model *model, const cli_data *data,
                           cli_score *score) {
    cvxrelu_model_info info;
    cvxrelu_result result;
    double *out, sum = 0.0;
    size_t i, k;
    cvxrelu_model_get_info(model, &info);
    out = (double *)cli_alloc(pool, data->n * info.outputs, sizeof(double));
    result = cvxrelu_model_predict_many(model, cli_matrix(data->X, data->n, data->d), out, 0);
    if (result != CVXRELU_OK) return cli_result(result, data->path, NULL);
    memset(score, 0, sizeof *score);
    score->rows = data->n;
    for (i = 0; i < data->n; i++) {
        const double *row = out + i * info.outputs;
        if (info.classes > 0) {
            score->wrong += cvxrelu_model_class(model, row) != (size_t)data->Y[i];
            continue;
        }
        for (k = 0; k < info.outputs; k++) {
            double e = row[k] - data->Y[i * data->c + k];
            sum += e * e;
        }
    }
    score->error = info.classes > 0 ? (double)score->wrong / (double)data->n
                                    : sum / (double)(data->n * info.outputs);
    if (info.classes == 0) score->variance = cli_variance(data);
    return CLI_OK;
}

static int cli_score_all(cli_run *run) {
    size_t k;
    int status = CLI_OK;
    for (k = 0; k < run->count && status == CLI_OK; k++) {
        if (run->models[k] == NULL) continue;
        status = cli_score_model(run->pool, run->models[k], &run->train, &run->train_scores[k]);
        if (status == CLI_OK && run->has_test)
            status =
                cli_score_model(run->pool, run->models[k], &run->test, &run->test_scores[k]);
    }
    return status;
}

#endif /* CLI_TRAIN_H */
