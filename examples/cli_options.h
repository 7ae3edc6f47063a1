/* ==== CLI OPTIONS ========================================================================
   The command line: one table of options gives their parsing, their ranges, the commands that
   take them and their help. A name may stand twice, for commands that use it differently. Uses
   cli_base.h. Used by cvxrelu_cli.c. Tests: tests/test_cli.sh.                               */

#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli_base.h"

#include <float.h>

enum { CMD_TRAIN = 1, CMD_PATH = 2, CMD_PREDICT = 4, CMD_CERTIFY = 8, CMD_INFO = 16 };

/* Counts and reals of 0 and texts of NULL mean "not given", except tol and momentum
   (-1). */
typedef struct cli_args {
    const char *files[2];
    size_t file_count;
    const char *x, *y, *gates, *gates_scaled, *model, *sampler, *lambda, *loss, *penalty,
        *solver;
    const char *scale, *test, *target, *save, *save_convex, *save_network, *json, *out,
        *precision;
    const char *step_rule, *start, *method, *schedule, *search_from, *decompose, *bound;
    const char *w1, *b1, *w2, *b2;
    uint64_t seed;
    size_t patterns, path, cv, threads, max_iters, max_working_set, max_factor, memory_limit;
    size_t width, search_steps, rounds, restarts, ascents, al_outer, nodes;
    size_t epochs, batch, halve_every;
    double active_share, tol, subgradient_tol, split, time_limit;
    double step_first, step_shrink, step_grow, step_threshold;
    double search_step_size, step_size, momentum, al_delta, al_low, al_high, al_tol, rho;
    int seed_given, bias, no_bias, centre, no_centre, classes, raw_targets, header, no_header,
        strip;
    int quiet, one_se, search, no_search, exact, interpolate, prune;
    int no_restart, no_acceleration, no_gate_bias, portable, help;
} cli_args;

typedef enum cli_kind {
    OPT_GROUP,
    OPT_FLAG,
    OPT_TEXT,
    OPT_COUNT,
    OPT_SEED,
    OPT_REAL,
    OPT_BYTES
} cli_kind;

typedef struct cli_option {
    const char *name;          /* without the dashes; a heading for OPT_GROUP                 */
    cli_kind kind;
    unsigned commands;         /* the commands that take it                                   */
    size_t offset;             /* of the field in cli_args                                    */
    double low, high;          /* range of a number, both ends allowed                        */
    const char *range;         /* the same in words (a whole number has none)                 */
    const char *value, *help;
} cli_option;

#define OPT_AT(field)    offsetof(cli_args, field)
#define OPT_FIT          (CMD_TRAIN | CMD_PATH)
#define OPT_ALL          (CMD_TRAIN | CMD_PATH | CMD_PREDICT | CMD_CERTIFY | CMD_INFO)
#define OPT_DATA         (CMD_TRAIN | CMD_PATH | CMD_PREDICT | CMD_CERTIFY)
#define OPT_OPEN_UNIT    DBL_MIN, 1.0 - DBL_EPSILON / 2, "between 0 and 1, both excluded"
#define OPT_POSITIVE     DBL_MIN, DBL_MAX, "greater than 0"
#define OPT_NOT_NEGATIVE 0.0, DBL_MAX, "0 or greater"
#define OPT_ANY          0.0, 0.0, NULL
#define OPT_INDENT       "                           "
#define OPT_FROM(low)    (low), 2147483647.0, NULL

static const cli_option cli_option_table[] = {
    {"Data", OPT_GROUP, OPT_DATA, 0, OPT_ANY, NULL, NULL},
    {"x", OPT_TEXT, OPT_FIT | CMD_CERTIFY, OPT_AT(x), OPT_ANY, "X.npy",
     "features instead of a CSV file"},
    {"y", OPT_TEXT, OPT_FIT | CMD_CERTIFY, OPT_AT(y), OPT_ANY, "Y.npy",
     "targets that go with --x"},
    {"target", OPT_TEXT, OPT_DATA, OPT_AT(target), OPT_ANY, "NAME",
     "target column (default: the last)"},
    {"header", OPT_FLAG, OPT_DATA, OPT_AT(header), OPT_ANY, NULL, "the first line holds names"},
    {"no-header", OPT_FLAG, OPT_DATA, OPT_AT(no_header), OPT_ANY, NULL,
     "it does not (default: it does when none of its cells is a number)"},
    {"classes", OPT_FLAG, OPT_FIT, OPT_AT(classes), OPT_ANY, NULL, "the target is a class"},
    {"raw-targets", OPT_FLAG, OPT_FIT, OPT_AT(raw_targets), OPT_ANY, NULL,
     "targets as they are (default: classes for text or at most 20 integers, else regression)"},
    {"centre", OPT_FLAG, OPT_FIT, OPT_AT(centre), OPT_ANY, NULL,
     "centre the targets (regression: default)"},
    {"no-centre", OPT_FLAG, OPT_FIT, OPT_AT(no_centre), OPT_ANY, NULL, "do not"},
    {"test", OPT_TEXT, OPT_FIT, OPT_AT(test), OPT_ANY, "FILE", "rows to test on"},
    {"split", OPT_REAL, OPT_FIT | CMD_CERTIFY, OPT_AT(split), OPT_OPEN_UNIT, "F",
     "hold out this share of the rows, drawn by the seed"},
    {"seed", OPT_SEED, CMD_CERTIFY, OPT_AT(seed), OPT_ANY, "S",
     "of the split (default: the model's)"},
    {"Network of another program", OPT_GROUP, CMD_CERTIFY, 0, OPT_ANY, NULL, NULL},
    {"w1", OPT_TEXT, CMD_CERTIFY, OPT_AT(w1), OPT_ANY, "W1.npy",
     "first layer, m x d, or m x (d+1) with the bias last, instead of MODEL"},
    {"b1", OPT_TEXT, CMD_CERTIFY, OPT_AT(b1), OPT_ANY, "b1.npy", "its bias, m"},
    {"w2", OPT_TEXT, CMD_CERTIFY, OPT_AT(w2), OPT_ANY, "W2.npy", "second layer, c x m"},
    {"b2", OPT_TEXT, CMD_CERTIFY, OPT_AT(b2), OPT_ANY, "b2.npy",
     "its bias, c; subtracted from the targets"},
    {"lambda", OPT_TEXT, CMD_CERTIFY, OPT_AT(lambda), OPT_ANY, "L", "strength of its training"},
    {"penalty", OPT_TEXT, CMD_CERTIFY, OPT_AT(penalty), OPT_ANY, "NAME",
     "decay (default): weight decay on both layers; l1: (sum |w2|)^2 a neuron"},
    {"scale", OPT_TEXT, CMD_CERTIFY, OPT_AT(scale), OPT_ANY, "NAME",
     "none (default), unit or standard: coordinates of the penalised weights"},
    {"classes", OPT_FLAG, CMD_CERTIFY, OPT_AT(classes), OPT_ANY, NULL,
     "the target is a class: -1 and 1 for two, one-hot for more"},
    {"raw-targets", OPT_FLAG, CMD_CERTIFY, OPT_AT(raw_targets), OPT_ANY, NULL,
     "targets as they are (default: as in train, never centred)"},
    {"Problem", OPT_GROUP, OPT_FIT, 0, OPT_ANY, NULL, NULL},
    {"model", OPT_TEXT, OPT_FIT, OPT_AT(model), OPT_ANY, "NAME",
     "relu (default), or gated: the gates are fixed and stay in the network"},
    {"lambda", OPT_TEXT, CMD_TRAIN, OPT_AT(lambda), OPT_ANY, "L",
     "strength, or 0.01max: a share of lambda_max (default 0.001max)"},
    {"path", OPT_COUNT, OPT_FIT, OPT_AT(path), OPT_FROM(1), "K",
     "K strengths from lambda_max down to 1e-4 of it"},
    {"interpolate", OPT_FLAG, CMD_TRAIN, OPT_AT(interpolate), OPT_ANY, NULL,
     "the limit of strength 0 (relu): least norm among networks through all targets;\n"
     OPT_INDENT "--tol is then the residual to reach, as a share of the targets"},
    {"cv", OPT_COUNT, OPT_FIT, OPT_AT(cv), OPT_FROM(2), "K",
     "choose a strength by K-fold validation"},
    {"one-se", OPT_FLAG, OPT_FIT, OPT_AT(one_se), OPT_ANY, NULL,
     "with --cv: the largest strength within one standard error"},
    {"penalty", OPT_TEXT, OPT_FIT, OPT_AT(penalty), OPT_ANY, "NAME",
     "neuron (default); gated also feature, l1 or l2"},
    {"loss", OPT_TEXT, OPT_FIT, OPT_AT(loss), OPT_ANY, "NAME", "squared"},
    {"scale", OPT_TEXT, OPT_FIT, OPT_AT(scale), OPT_ANY, "NAME",
     "standard (default with a bias), unit (without) or none"},
    {"bias", OPT_FLAG, OPT_FIT, OPT_AT(bias), OPT_ANY, NULL, "a column of ones (default)"},
    {"no-bias", OPT_FLAG, OPT_FIT, OPT_AT(no_bias), OPT_ANY, NULL, "none"},
    {"Patterns", OPT_GROUP, OPT_FIT, 0, OPT_ANY, NULL, NULL},
    {"patterns", OPT_COUNT, OPT_FIT, OPT_AT(patterns), OPT_FROM(1), "P",
     "patterns to sample (default 1000); with a search, its width"},
    {"seed", OPT_SEED, OPT_FIT, OPT_AT(seed), OPT_ANY, "S",
     "of patterns, split and folds (default 0)"},
    {"sampler", OPT_TEXT, OPT_FIT, OPT_AT(sampler), OPT_ANY, "NAME",
     "gaussian (default), sparse:K, patch:WxHxC:K or points"},
    {"active-share", OPT_REAL, OPT_FIT, OPT_AT(active_share), OPT_OPEN_UNIT, "F",
     "share of rows that a gate switches on"},
    {"no-gate-bias", OPT_FLAG, OPT_FIT, OPT_AT(no_gate_bias), OPT_ANY, NULL,
     "gates through the origin"},
    {"gates", OPT_TEXT, OPT_FIT, OPT_AT(gates), OPT_ANY, "G.npy",
     "the gates themselves, d x P or (d+1) x P, in the data's coordinates"},
    {"gates-scaled", OPT_TEXT, OPT_FIT, OPT_AT(gates_scaled), OPT_ANY, "G.npy",
     "the same in the solver's coordinates"},
    {"Search for patterns (relu)", OPT_GROUP, OPT_FIT, 0, OPT_ANY, NULL, NULL},
    {"search", OPT_FLAG, OPT_FIT, OPT_AT(search), OPT_ANY, NULL,
     "look for better patterns (default, unless gates are given)"},
    {"no-search", OPT_FLAG, OPT_FIT, OPT_AT(no_search), OPT_ANY, NULL,
     "keep to the sampled or given ones"},
    {"exact", OPT_FLAG, OPT_FIT, OPT_AT(exact), OPT_ANY, NULL,
     "list all patterns: the global optimum, for a rank of 2 or 3"},
    {"width", OPT_COUNT, OPT_FIT, OPT_AT(width), OPT_FROM(1), "M",
     "neurons that the search starts with (default: --patterns if given, else by the\n"
     OPT_INDENT "data), or those of --method (default 1000)"},
    {"search-steps", OPT_COUNT, OPT_FIT, OPT_AT(search_steps), OPT_FROM(1), "N",
     "steps of its descent (default: by the data)"},
    {"search-step-size", OPT_REAL, OPT_FIT, OPT_AT(search_step_size), OPT_POSITIVE, "X",
     "their size (default: by the data)"},
    {"rounds", OPT_COUNT, OPT_FIT, OPT_AT(rounds), OPT_FROM(1), "N",
     "rounds of convex program and flips at most (default: by the data)"},
    {"restarts", OPT_COUNT, OPT_FIT, OPT_AT(restarts), OPT_FROM(1), "N",
     "descents from other seeds, the best is kept (default: by the data)"},
    {"search-from", OPT_TEXT, OPT_FIT, OPT_AT(search_from), OPT_ANY, "NAME",
     "descent (default); start or flipped: the heuristics Alg2, Alg3 of [PE20 6]"},
    {"ascents", OPT_COUNT, OPT_FIT, OPT_AT(ascents), OPT_FROM(1), "N",
     "starts of an ascent for violated patterns each round (default none)"},
    {"First-order training of the network itself, for comparison", OPT_GROUP, OPT_FIT, 0,
     OPT_ANY, NULL, NULL},
    {"method", OPT_TEXT, OPT_FIT, OPT_AT(method), OPT_ANY, "NAME",
     "adam, sgd or adagrad instead of the convex program (relu)"},
    {"epochs", OPT_COUNT, OPT_FIT, OPT_AT(epochs), OPT_FROM(1), "N", "epochs (default 2000)"},
    {"batch", OPT_COUNT, OPT_FIT, OPT_AT(batch), OPT_FROM(1), "N",
     "rows of a step (default: all)"},
    {"step-size", OPT_REAL, OPT_FIT, OPT_AT(step_size), OPT_POSITIVE, "X",
     "first step (default 0.01, sgd 1)"},
    {"schedule", OPT_TEXT, OPT_FIT, OPT_AT(schedule), OPT_ANY, "NAME",
     "halve (default), constant or cosine"},
    {"halve-every", OPT_COUNT, OPT_FIT, OPT_AT(halve_every), OPT_FROM(1), "N",
     "epochs between halvings (default 400)"},
    {"momentum", OPT_REAL, OPT_FIT, OPT_AT(momentum), 0.0, 1.0 - DBL_EPSILON / 2,
     "0 or greater, below 1", "X", "of sgd and adam (default 0.9)"},
    {"From solution to network", OPT_GROUP, OPT_FIT, 0, OPT_ANY, NULL, NULL},
    {"decompose", OPT_TEXT, OPT_FIT, OPT_AT(decompose), OPT_ANY, "KIND",
     "train a gated network and turn it into a ReLU one: min-norm,\n"
     OPT_INDENT "feasible, approximate or closed-form"},
    {"rho", OPT_REAL, OPT_FIT, OPT_AT(rho), OPT_POSITIVE, "X",
     "approximate: weight of the norms (default 1e-10)"},
    {"prune", OPT_FLAG, OPT_FIT, OPT_AT(prune), OPT_ANY, NULL,
     "few neurons with the same outputs on the training rows (not on others)"},
    {"Solver", OPT_GROUP, OPT_FIT, 0, OPT_ANY, NULL, NULL},
    {"Bound", OPT_GROUP, CMD_CERTIFY, 0, OPT_ANY, NULL, NULL},
    {"solver", OPT_TEXT, OPT_FIT, OPT_AT(solver), OPT_ANY, "NAME",
     "auto (default), newton, fista (gated) or al (relu)"},
    {"tol", OPT_REAL, OPT_FIT, OPT_AT(tol), 0.0, 1.0, "a number from 0 to 1", "T",
     "relative duality gap to reach (default 1e-6; 0: as far as it goes)"},
    {"bound", OPT_TEXT, CMD_CERTIFY, OPT_AT(bound), OPT_ANY, "NAME",
     "over all patterns (relu): auto (default), weighted (any size), cones (rank to\n"
     OPT_INDENT "8), exact (rank 1 and 2), enumerate, moments, or none"},
    {"rounds", OPT_COUNT, CMD_CERTIFY, OPT_AT(rounds), OPT_FROM(1), "N",
     "convex programs solved for it at most (default: by method and size)"},
    {"tol", OPT_REAL, CMD_CERTIFY, OPT_AT(tol), OPT_OPEN_UNIT, "T",
     "share of the objective that may stay unproven (default 0.01)"},
    {"subgradient-tol", OPT_REAL, OPT_FIT, OPT_AT(subgradient_tol), OPT_NOT_NEGATIVE, "T",
     "fista: stop on the squared minimum-norm subgradient (default off)"},
    {"max-iters", OPT_COUNT, OPT_FIT, OPT_AT(max_iters), OPT_FROM(1), "N",
     "iterations at most"},
    {"time-limit", OPT_REAL, OPT_FIT, OPT_AT(time_limit), OPT_POSITIVE, "S", "seconds at most"},
    {"time-limit", OPT_REAL, CMD_CERTIFY, OPT_AT(time_limit), OPT_POSITIVE, "S",
     "seconds at most for the bound over all patterns"},
    {"nodes", OPT_COUNT, CMD_CERTIFY, OPT_AT(nodes), OPT_FROM(1), "N",
     "cones: nodes of the branch and bound at most (default 2000000)"},
    {"memory-limit", OPT_BYTES, OPT_FIT | CMD_CERTIFY, OPT_AT(memory_limit), OPT_ANY, "B",
     "bytes at most (also 500K, 64M, 2G)"},
    {"threads", OPT_COUNT, OPT_FIT | CMD_CERTIFY, OPT_AT(threads), 1.0, 1024.0, NULL, "T",
     "threads (default 1; more need a build with OpenMP; same results)"},
    {"precision", OPT_TEXT, OPT_FIT, OPT_AT(precision), OPT_ANY, "TYPE",
     "float64 (default) or float32"},
    {"start", OPT_TEXT, OPT_FIT, OPT_AT(start), OPT_ANY, "MODEL",
     "begin at an earlier model of the same data"},
    {"portable", OPT_FLAG, OPT_FIT, OPT_AT(portable), OPT_ANY, NULL,
     "the same bits on every processor"},
    {"max-working-set", OPT_COUNT, OPT_FIT, OPT_AT(max_working_set), OPT_FROM(1),
     "N", "newton: groups in the working set at most"},
    {"max-factor", OPT_COUNT, OPT_FIT, OPT_AT(max_factor), OPT_FROM(1), "N",
     "newton: order of the largest factor"},
    {"Augmented Lagrangian (al)", OPT_GROUP, OPT_FIT, 0, OPT_ANY, NULL, NULL},
    {"al-delta", OPT_REAL, OPT_FIT, OPT_AT(al_delta), OPT_POSITIVE, "X",
     "penalty strength throughout (default: by the windowing heuristic)"},
    {"al-low", OPT_REAL, OPT_FIT, OPT_AT(al_low), OPT_POSITIVE, "X",
     "lower end of its window (default 1e-3)"},
    {"al-high", OPT_REAL, OPT_FIT, OPT_AT(al_high), OPT_POSITIVE, "X",
     "upper end (default 1e-2)"},
    {"al-tol", OPT_REAL, OPT_FIT, OPT_AT(al_tol), OPT_POSITIVE, "X",
     "squared norm of the violation to stop at (default 1e-6)"},
    {"al-outer", OPT_COUNT, OPT_FIT, OPT_AT(al_outer), OPT_FROM(1), "N",
     "updates of the multipliers at most (default 10000)"},
    {"Ablations of fista (gated)", OPT_GROUP, OPT_FIT, 0, OPT_ANY, NULL, NULL},
    {"no-restart", OPT_FLAG, OPT_FIT, OPT_AT(no_restart), OPT_ANY, NULL, "no restarts"},
    {"no-acceleration", OPT_FLAG, OPT_FIT, OPT_AT(no_acceleration), OPT_ANY, NULL,
     "no extrapolation"},
    {"step-rule", OPT_TEXT, OPT_FIT, OPT_AT(step_rule), OPT_ANY, "NAME",
     "tightness (default), warm, forward or fixed"},
    {"step-first", OPT_REAL, OPT_FIT, OPT_AT(step_first), OPT_POSITIVE, "X",
     "first step (default 1)"},
    {"step-shrink", OPT_REAL, OPT_FIT, OPT_AT(step_shrink), OPT_OPEN_UNIT, "X",
     "backtracking factor (default 0.8)"},
    {"step-grow", OPT_REAL, OPT_FIT, OPT_AT(step_grow), 1.0 + DBL_EPSILON, DBL_MAX,
     "greater than 1", "X", "forward factor (default 1.25)"},
    {"step-threshold", OPT_REAL, OPT_FIT, OPT_AT(step_threshold), 1.0, DBL_MAX, "1 or greater",
     "X", "looseness that lets the step grow (default 5)"},
    {"Output", OPT_GROUP, OPT_ALL, 0, OPT_ANY, NULL, NULL},
    {"out", OPT_TEXT, CMD_PREDICT, OPT_AT(out), OPT_ANY, "FILE",
     "predictions (default: standard output)"},
    {"save", OPT_TEXT, OPT_FIT, OPT_AT(save), OPT_ANY, "MODEL", "the trained model"},
    {"save", OPT_TEXT, CMD_CERTIFY, OPT_AT(save), OPT_ANY, "MODEL",
     "the model with the proof of its bound over all patterns"},
    {"strip", OPT_FLAG, OPT_FIT, OPT_AT(strip), OPT_ANY, NULL,
     "leave the recipe of the patterns out of it"},
    {"save-convex", OPT_TEXT, OPT_FIT, OPT_AT(save_convex), OPT_ANY, "DIR",
     "V.npy and W.npy (gated: U.npy), each (c x P x d), and G.npy (d x P), in\n"
     OPT_INDENT "the solver's coordinates; c outputs, P patterns, d features and, with\n"
     OPT_INDENT "a bias, its column last"},
    {"save-network", OPT_TEXT, OPT_FIT, OPT_AT(save_network), OPT_ANY, "DIR",
     "W1.npy (m x d, or m x (d+1) with the bias last), W2.npy (c x m), b2.npy\n"
     OPT_INDENT "(c; zeros unless centred), gated also gates G1.npy, in the data's\n"
     OPT_INDENT "coordinates; m neurons, d features, c outputs"},
    {"json", OPT_TEXT, OPT_FIT | CMD_CERTIFY | CMD_INFO, OPT_AT(json), OPT_ANY, "FILE",
     "report (-: standard output, instead of the summary)"},
    {"quiet", OPT_FLAG, OPT_ALL, OPT_AT(quiet), OPT_ANY, NULL, "print errors alone"},
    {"help", OPT_FLAG, OPT_ALL, OPT_AT(help), OPT_ANY, NULL, "this text"}};

#define OPT_COUNT_ALL (sizeof cli_option_table / sizeof cli_option_table[0])

/* cli_options_help - the options of a command, a line each. */
static void cli_options_help(unsigned command) {
    size_t k;
    for (k = 0; k < OPT_COUNT_ALL; k++) {
        const cli_option *option = &cli_option_table[k];
        char left[40];
        if (!(option->commands & command)) continue;
        if (option->kind == OPT_GROUP) {
            printf("\n%s\n", option->name);
            continue;
        }
        sprintf(left, "--%.20s %.10s", option->name, option->value ? option->value : "");
        printf("  %-24s %s\n", left, option->help);
    }
}

/* A count of bytes: digits and one of K, M, G (powers of 1024). */
static int cli_bytes(const char *text, size_t *bytes) {
    static const char units[] = "KMG";
    char digits[24];
    const char *unit = NULL;
    size_t length = cli_digits(text);
    uint64_t value;
    unsigned shift = 0;
    if (length == 0 || length >= sizeof digits) return 0;
    memcpy(digits, text, length);
    digits[length] = 0;
    if (text[length] != 0) {
        unit = strchr(units, text[length]);
        if (unit == NULL || text[length + 1] != 0) return 0;
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (!cli_whole(digits, &value) || value == 0 || value > (uint64_t)SIZE_MAX >> shift)
        return 0;
    *bytes = (size_t)(value << shift);
    return 1;
}

static int cli_option_bad(const cli_option *option, const char *text, const char *rule) {
    char shown[CLI_SHOW];
    return cli_error(CLI_USAGE, "--%s %s: must be %s", option->name, cli_show(text, shown),
                     rule);
}

/* Puts the value of an option into its field. */
static int cli_option_set(const cli_option *option, const char *text, cli_args *args) {
    void *field = (char *)args + option->offset;
    uint64_t whole;
    double real;
    char range[64];
    switch (option->kind) {
    case OPT_TEXT:
        if (*text == 0) return cli_option_bad(option, "''", "a name");
        *(const char **)field = text;
        return CLI_OK;
    case OPT_COUNT:
        if (!cli_whole(text, &whole) || (double)whole < option->low ||
            (double)whole > option->high) {
            sprintf(range, "a whole number from %.0f to %.0f", option->low, option->high);
            return cli_option_bad(option, text, range);
        }
        *(size_t *)field = (size_t)whole;
        return CLI_OK;
    case OPT_SEED:
        if (!cli_whole(text, &whole))
            return cli_option_bad(option, text,
                                  "a whole number from 0 to 18446744073709551615");
        *(uint64_t *)field = whole;
        args->seed_given = 1;
        return CLI_OK;
    case OPT_BYTES:
        if (!cli_bytes(text, (size_t *)field))
            return cli_option_bad(option, text, "bytes, as 64M");
        return CLI_OK;
    case OPT_REAL:
        if (cli_number(text, &real) != CLI_NUMBER || real < option->low || real > option->high)
            return cli_option_bad(option, text, option->range);
        *(double *)field = real;
        return CLI_OK;
    default:
        return CLI_OK;
    }
}

/* The option of that name which the command takes, else one that others take, or NULL. */
static const cli_option *cli_option_find(const char *name, size_t length, unsigned bit) {
    const cli_option *found = NULL;
    size_t k;
    for (k = 0; k < OPT_COUNT_ALL; k++) {
        const cli_option *option = &cli_option_table[k];
        if (option->kind == OPT_GROUP || strlen(option->name) != length ||
            memcmp(option->name, name, length) != 0)
            continue;
        if (option->commands & bit) return option;
        found = option;
    }
    return found;
}

/* Reads the option at argv[*k] and moves *k to the last word that it used. */
static int cli_option_read(const char *command, unsigned bit, char **argv, int argc, int *k,
                           cli_args *args) {
    const char *word = argv[*k] + 2, *equal = strchr(word, '='), *value = NULL;
    size_t length = equal ? (size_t)(equal - word) : strlen(word);
    const cli_option *option = cli_option_find(word, length, bit);
    char shown[CLI_SHOW];
    if (option == NULL || !(option->commands & bit))
        return cli_error(CLI_USAGE, "%s: %s option %s ('cvxrelu %s --help' lists them)",
                         command, option ? "does not take" : "unknown",
                         cli_show(argv[*k], shown), command);
    if (option->kind == OPT_FLAG) {
        if (equal != NULL) return cli_error(CLI_USAGE, "--%s: takes no value", option->name);
        *(int *)(void *)((char *)args + option->offset) = 1;
        return CLI_OK;
    }
    if (equal != NULL) value = equal + 1;
    else if (*k + 1 < argc && strncmp(argv[*k + 1], "--", 2) != 0) value = argv[++*k];
    if (value == NULL) return cli_error(CLI_USAGE, "--%s: a value is missing", option->name);
    return cli_option_set(option, value, args);
}

/* cli_options_read - the words after the command. */
static int cli_options_read(const char *command, unsigned bit, int argc, char **argv,
                            cli_args *args) {
    int k, plain = 0;
    memset(args, 0, sizeof *args);
    args->tol = args->momentum = -1.0;
    for (k = 2; k < argc; k++) {
        char shown[CLI_SHOW];
        int status = CLI_OK;
        if (!plain && strcmp(argv[k], "--") == 0) plain = 1;
        else if (!plain && strcmp(argv[k], "-h") == 0) args->help = 1;
        else if (!plain && argv[k][0] == '-' && argv[k][1] == '-')
            status = cli_option_read(command, bit, argv, argc, &k, args);
        else if (!plain && argv[k][0] == '-' && argv[k][1] != 0)
            status = cli_error(CLI_USAGE, "%s: unknown option %s", command,
                               cli_show(argv[k], shown));
        else if (args->file_count == 2)
            status = cli_error(CLI_USAGE, "%s: one argument too many: %s", command,
                               cli_show(argv[k], shown));
        else args->files[args->file_count++] = argv[k];
        if (status != CLI_OK) return status;
    }
    return CLI_OK;
}

#undef OPT_AT
#undef OPT_FIT
#undef OPT_ALL
#undef OPT_DATA
#undef OPT_OPEN_UNIT
#undef OPT_POSITIVE
#undef OPT_NOT_NEGATIVE
#undef OPT_ANY
#undef OPT_INDENT
#undef OPT_FROM

#endif /* CLI_OPTIONS_H */
