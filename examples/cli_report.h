/* ==== CLI REPORT =========================================================================
   What a run leaves behind: the summary for people, the JSON report, the model, the convex
   weights and the network as .npy files. Uses cli_train.h, cli_files.h, cli_npy.h. Used by
   cvxrelu_cli.c. Tests: tests/test_cli.sh. */

#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli_files.h"
#include "cli_train.h"

static const char *cli_stop_word(cvxrelu_stop stop) {
    static const char *const words[] = {"none", "gap",  "subgradient", "iterations",
                                        "time", "user", "stalled",     "stationary"};
    return words[stop];
}

static const char *cli_stop_sentence(cvxrelu_stop stop) {
    static const char *const words[] = {"nothing was solved", "the gap reached its tolerance",
                                        "the subgradient reached its tolerance",
                                        "stopped at the limit of iterations",
                                        "stopped at the time limit", "stopped by the user",
                                        "no further progress in this precision",
                                        "stationary to its tolerance"};
    return words[stop];
}

static const char *cli_scope_word(cvxrelu_scope scope) {
    static const char *const words[] = {"patterns", "all_patterns", "kept_gates"};
    return words[scope];
}

static const char *cli_solver_word(cvxrelu_solver solver) {
    static const char *const words[] = {"auto", "newton", "fista", "al"};
    return words[solver];
}

static const char *cli_kind_word(cvxrelu_kind kind) {
    return kind == CVXRELU_RELU ? "relu" : "gated";
}

static const char *cli_penalty_word(cvxrelu_penalty penalty) {
    static const char *const words[] = {"neuron", "feature", "l1", "l2"};
    return words[penalty];
}

static const char *cli_scale_word(cvxrelu_scale scale) {
    static const char *const words[] = {"auto", "standard", "unit", "none"};
    return words[scale];
}

static const char *cli_sampler_word(cvxrelu_sampler sampler) {
    static const char *const words[] = {"gaussian", "sparse", "patch", "points", "given"};
    return words[sampler];
}

static const char *cli_bound_word(cvxrelu_certify_method method) {
    static const char *const words[] = {"auto",  "weighted",  "exact",
                                        "cones", "enumerate", "moments"};
    return words[method];
}

/* Were the patterns looked for, and how? */
static cvxrelu_search cli_search_of(const cvxrelu_problem *problem) {
    if (problem->kind == CVXRELU_GATED) return CVXRELU_SEARCH_OFF;
    if (problem->search != CVXRELU_SEARCH_AUTO) return problem->search;
    return problem->gates.sampler == CVXRELU_SAMPLER_GIVEN ? CVXRELU_SEARCH_OFF
                                                           : CVXRELU_SEARCH_ON;
}

static const char *cli_search_word(cvxrelu_search search) {
    static const char *const words[] = {"auto", "off", "on", "exact"};
    return words[search];
}

/* Is the network that the run leaves behind a ReLU one? */
static int cli_is_relu(const cli_run *run) {
    return run->problem.kind == CVXRELU_RELU || run->args->decompose != NULL;
}

/* ---- For people */

static void cli_say_certificate(cvxrelu_kind kind, const cvxrelu_report *report) {
    static const char *const over[] = {"over these patterns", "over all patterns",
                                       "over the gates that the model kept"};
    printf("objective    %.10g\n", report->objective);
    if (report->has_bound) {
        printf("bound        %.10g\n", report->dual_bound);
        if (report->gap > 0.5)
            printf("gap          %.2e: not proven: gap %.3g %%\n", report->gap,
                   100.0 * report->gap);
        else
            printf("gap          %.2e: proven within %.2g %% of the optimum %s\n", report->gap,
                   100.0 * report->gap, over[report->scope]);
    } else printf("stationarity %.2e (lambda = 0 has no bound)\n", report->stationarity);
    if (kind == CVXRELU_RELU)
        printf("constraints  hold to %.1e (relative)\n",
               report->constraint_violation);
}

static void cli_say_score(const char *name, const cli_score *score, size_t classes) {
    if (classes > 0)
        printf("%-12s %.2f %% right (%lu of %lu row%s wrong)\n", name,
               100.0 * (1.0 - score->error), (unsigned long)score->wrong,
               (unsigned long)score->rows, cli_s(score->rows));
    else if (score->variance > 0)
        printf("%-12s mean squared error %.6g (%.3g of the targets' variance)\n", name,
               score->error, score->error / score->variance);
    else printf("%-12s mean squared error %.6g\n", name, score->error);
}

/* Lines that begin with # may be data: a note when they stand where comments seldom do. */
static void cli_say_comments(FILE *file, const cli_data *data) {
    size_t count = data->table.comments;
    if (!data->table.comments_doubtful) return;
    fprintf(file, "note         %s: %lu line%s beginning with # %s skipped as comment%s\n",
            data->path, (unsigned long)count, cli_s(count), count == 1 ? "was" : "were",
            cli_s(count));
}

static void cli_say_rows(const cli_data *data) {
    printf("data         %s: %lu row%s, %lu feature%s\n", data->path, (unsigned long)data->n,
           cli_s(data->n), (unsigned long)data->d, cli_s(data->d));
}

static void cli_say_target(const cli_run *run) {
    const cli_data *all = &run->all;
    const char *treated = run->problem.centre_targets ? "centred" : "as given";
    if (all->target != NULL) printf("target       %s: ", all->target);
    else if (all->table.rows == 0) printf("target       %s: ", run->args->y);
    else if (run->args->target == NULL) printf("target       last column: ");
    else printf("target       column %lu: ", (unsigned long)all->target_column + 1);
    if (all->classes)
        printf("%lu classes (%s to %s)\n", (unsigned long)all->classes, all->labels[0],
               all->labels[all->classes - 1]);
    else if (all->c == 1) printf("a number, %s\n", treated);
    else printf("%lu numbers, %s\n", (unsigned long)all->c, treated);
}

static void cli_say_patterns(const cli_run *run) {
    const cvxrelu_gates *gates = &run->problem.gates;
    const cvxrelu_report *report = &run->reports[run->chosen];
    size_t drawn = gates->count ? gates->count : 1000;
    cvxrelu_search search = cli_search_of(&run->problem);
    unsigned long patterns = (unsigned long)report->patterns;
    if (run->args->method != NULL) {
        printf("patterns     %lu: those of the neurons\n", patterns);
        return;
    }
    if (search == CVXRELU_SEARCH_EXACT)
        printf("patterns     %lu: all that the rows have\n", patterns);
    else if (search == CVXRELU_SEARCH_ON && run->args->interpolate)
        printf("patterns     %lu found by the search (seed %.0f)\n", patterns,
               (double)gates->seed);
    else if (search == CVXRELU_SEARCH_ON)
        printf("patterns     %lu found by the search: %d round%s, %lu flip%s (seed %.0f)\n",
               patterns, report->rounds, cli_s((size_t)report->rounds),
               (unsigned long)report->flips, cli_s(report->flips), (double)gates->seed);
    else if (gates->sampler == CVXRELU_SAMPLER_GIVEN)
        printf("patterns     %lu given gate%s (%lu sign%s within rounding of 0)\n", patterns,
               cli_s(report->patterns), (unsigned long)report->near_ties,
               cli_s(report->near_ties));
    else
        printf("patterns     %lu different one%s of %lu %s gate%s (seed %.0f)\n", patterns,
               cli_s(report->patterns), (unsigned long)drawn, cli_sampler_word(gates->sampler),
               cli_s(drawn), (double)gates->seed);
}

static void cli_say_data(const cli_run *run) {
    cvxrelu_model_info info;
    cvxrelu_model_get_info(run->models[run->chosen], &info);
    cli_say_rows(&run->all);
    cli_say_comments(stdout, &run->all);
    cli_say_target(run);
    if (run->has_test)
        printf("rows         %lu to train on, %lu held out\n", (unsigned long)run->train.n,
               (unsigned long)run->test.n);
    if (run->args->test != NULL) cli_say_comments(stdout, &run->test);
    cli_say_patterns(run);
    printf("columns      scale %s, %s\n", cli_scale_word(info.scale),
           info.has_bias ? "with a bias" : "without a bias");
}

static void cli_say_path(const cli_run *run) {
    size_t k;
    if (run->points != NULL) {
        printf("\n      lambda   validation error   standard error\n");
        for (k = 0; k < run->point_count; k++)
            printf("%12.4e   %16.6g   %14.3g%s\n", run->points[k].lambda, run->points[k].error,
                   run->points[k].deviation, k == run->point_chosen ? "  <- chosen" : "");
        printf("\n");
    }
    if (run->count < 2) return;
    printf("\n      lambda      objective        gap  neurons   train error%s\n",
           run->has_test ? "    test error" : "");
    for (k = 0; k < run->count; k++) {
        const cvxrelu_report *report = &run->reports[k];
        printf("%12.4e  %13.7g   %8.1e  %7lu  %12.5g", report->lambda, report->objective,
               report->has_bound ? report->gap : 0.0, (unsigned long)report->neurons,
               run->train_scores[k].error);
        if (run->has_test) printf("  %12.5g", run->test_scores[k].error);
        printf("\n");
    }
    printf("\nThe last of them:\n");
}

/* Was a strength given up before its tolerance? --tol 0 has none to reach. */
static int cli_fell_short(const cvxrelu_report *report) {
    double reached = report->has_bound ? report->gap : report->stationarity;
    if (report->stop == CVXRELU_STOP_GAP || report->stop == CVXRELU_STOP_SUBGRADIENT ||
        report->stop == CVXRELU_STOP_STATIONARY)
        return 0;
    return report->tol > 0 && !(reached <= report->tol);
}

/* What a reader of the numbers above must not overlook. */
static void cli_say_notes(const cli_run *run) {
    const cvxrelu_report *report = &run->reports[run->chosen];
    size_t k, short_of = 0;
    if (run->args->method != NULL || run->args->interpolate) return; /* no gap was aimed at */
    for (k = 0; k < run->count; k++) short_of += cli_fell_short(&run->reports[k]) != 0;
    if (cli_fell_short(report))
        printf("note         the %s of %.2g did not reach the tolerance of %.2g\n",
               report->has_bound ? "gap" : "stationarity",
               report->has_bound ? report->gap : report->stationarity, report->tol);
    if (run->count > 1 && short_of > 0)
        printf("note         %lu of %lu strengths did not reach the tolerance\n",
               (unsigned long)short_of, (unsigned long)run->count);
    if (run->count < run->wanted)
        printf("note         the path ended after %lu of %lu strengths\n",
               (unsigned long)run->count, (unsigned long)run->wanted);
    if (report->lambda_max > 0) return;
    if (run->problem.penalty == CVXRELU_PENALTY_L2) {
        if (report->lambda > 0) return;
        printf("note         the l2 penalty has no lambda_max and lambda is 0: give --lambda L "
               "a number\n");
    } else
        printf("note         the features say nothing about the target: the network is "
               "zero\n");
}

/* What became of the gated network, and the steps of [MSP22 Thm 3.7] over the same patterns. */
static void cli_say_split(const cli_run *run) {
    const cvxrelu_decompose_report *split = &run->split;
    printf("gated        objective %.10g, of which the ReLU network costs %.3g more\n",
           split->gated_objective,
           run->reports[run->chosen].objective - split->gated_objective);
    printf("decomposed   %s: %lu weight%s (%lu in their cones), norm %.4g times the gated one, "
           "at most %.4g times for one\n",
           run->args->decompose, (unsigned long)split->groups, cli_s(split->groups),
           (unsigned long)split->inside, split->blow_up, split->blow_up_most);
    if (split->merged > 0)
        printf("merged       %lu singular cone%s: predictions moved by %.1e, relative\n",
               (unsigned long)split->merged, cli_s(split->merged), split->merge_change);
    printf("theorem 3.7  excess %.4g", split->excess);
    if (run->kind == CVXRELU_DECOMPOSE_MIN_NORM || run->kind == CVXRELU_DECOMPOSE_FEASIBLE)
        printf(" <= %.4g <= %.4g", split->bound_norm, split->bound_kappa);
    printf(" (largest kappa %.3g)\n", split->kappa);
}

/* How near the network is to the targets, and how far from the least norm of all that are. */
static void cli_say_gauge(const cli_run *run) {
    const cvxrelu_gauge_report *gauge = &run->gauge;
    printf("interpolates the targets to %.2e of their norm%s\n", gauge->residual,
           gauge->reached ? "" : ": not reached with these patterns");
    printf("norm         %.8g; every network through the targets has %.8g or more (%s)\n",
           gauge->norm, gauge->bound, cli_bound_word(gauge->method));
}

/* cli_say - the summary of a training run. */
static void cli_say(const cli_run *run) {
    const cli_args *args = run->args;
    size_t k = run->chosen;
    const cvxrelu_report *report = &run->reports[k];
    double seconds = 0.0;
    cli_say_data(run);
    cli_say_path(run);
    for (k = 0; k < run->count; k++) seconds += run->reports[k].seconds;
    k = run->chosen;
    printf("lambda       %.6g", report->lambda);
    if (report->lambda_max > 0)
        printf(" (%.3g of lambda_max %.6g)", report->lambda / report->lambda_max,
               report->lambda_max);
    printf("\n");
    if (!args->interpolate)
        printf("solver       %s: %d iteration%s, %s\n",
               args->method ? args->method : cli_solver_word(report->solver),
               report->iterations, cli_s((size_t)report->iterations),
               cli_stop_sentence(report->stop));
    if (args->interpolate) cli_say_gauge(run);
    if (args->decompose) cli_say_split(run);
    cli_say_certificate(cli_is_relu(run) ? CVXRELU_RELU : CVXRELU_GATED, report);
    cli_say_notes(run);
    cli_say_score("train", &run->train_scores[k], run->train.classes);
    if (run->has_test) cli_say_score("test", &run->test_scores[k], run->train.classes);
    printf("network      %lu neuron%s", (unsigned long)report->neurons, cli_s(report->neurons));
    if (args->prune)
        printf(" of %lu before pruning; training outputs moved by %.1e at most",
               (unsigned long)run->pruned.neurons_before, run->pruned.change);
    printf("\n");
    printf("time         %.3g seconds, %.1f MB\n", seconds,
           (double)report->peak_bytes / 1048576.0);
    if (args->save) printf("saved        %s%s\n", args->save, args->strip ? " (stripped)" : "");
    if (args->save_convex)
        printf("saved        %s/%s, G.npy\n", args->save_convex,
               cli_is_relu(run) ? "V.npy, W.npy" : "U.npy");
    if (args->save_network)
        printf("saved        %s/W1.npy, W2.npy, %sb2.npy\n", args->save_network,
               cli_is_relu(run) ? "" : "G1.npy, ");
}

/* ---- JSON */

static void cli_json_certificate(cli_json *json, cvxrelu_kind kind,
                                 const cvxrelu_report *report) {
    cli_json_number(json, "lambda", report->lambda);
    cli_json_number(json, "lambda_max", report->lambda_max);
    cli_json_number(json, "objective", report->objective);
    if (report->has_bound) {
        cli_json_number(json, "dual_bound", report->dual_bound);
        cli_json_number(json, "gap", report->gap);
    } else {
        cli_json_null(json, "dual_bound");
        cli_json_null(json, "gap");
    }
    cli_json_string(json, "bound_scope", cli_scope_word(report->scope));
    cli_json_number(json, "stationarity", report->stationarity);
    if (kind == CVXRELU_RELU)
        cli_json_number(json, "constraint_violation", report->constraint_violation);
    else cli_json_null(json, "constraint_violation");
    cli_json_whole(json, "patterns", report->patterns);
    cli_json_whole(json, "near_ties", report->near_ties);
    cli_json_whole(json, "neurons", report->neurons);
}

static void cli_json_score(cli_json *json, const char *accuracy, const char *mse,
                           const cli_score *score, size_t classes) {
    cli_json_number(json, classes ? accuracy : mse,
                    classes ? 1.0 - score->error : score->error);
}

static void cli_json_split(cli_json *json, const cli_run *run) {
    const cvxrelu_decompose_report *split = &run->split;
    cli_json_open(json, "decomposition", '{');
    cli_json_string(json, "kind", run->args->decompose);
    cli_json_number(json, "gated_objective", split->gated_objective);
    cli_json_number(json, "gated_norm", split->gated_norm);
    cli_json_number(json, "norm", split->norm);
    cli_json_number(json, "blow_up", split->blow_up);
    cli_json_number(json, "blow_up_most", split->blow_up_most);
    cli_json_number(json, "raw_violation", split->raw_violation);
    cli_json_number(json, "mismatch", split->mismatch);
    cli_json_whole(json, "merged", split->merged);
    cli_json_number(json, "merge_change", split->merge_change);
    cli_json_number(json, "excess", split->excess);
    cli_json_number(json, "bound_norm", split->bound_norm);
    cli_json_number(json, "bound_kappa", split->bound_kappa);
    cli_json_number(json, "kappa", split->kappa);
    cli_json_close(json, '}');
}

static void cli_json_gauge(cli_json *json, const cli_run *run) {
    const cvxrelu_gauge_report *gauge = &run->gauge;
    cli_json_open(json, "interpolation", '{');
    cli_json_flag(json, "reached", gauge->reached);
    cli_json_number(json, "residual", gauge->residual);
    cli_json_number(json, "norm", gauge->norm);
    cli_json_number(json, "norm_bound", gauge->bound);
    cli_json_string(json, "bound_method", cli_bound_word(gauge->method));
    cli_json_close(json, '}');
}

/* One solved strength. */
static void cli_json_solution(cli_json *json, const cli_run *run, size_t k) {
    const cvxrelu_report *report = &run->reports[k];
    cli_json_certificate(json, cli_is_relu(run) ? CVXRELU_RELU : CVXRELU_GATED, report);
    if (cli_search_of(&run->problem) == CVXRELU_SEARCH_ON && !run->args->interpolate) {
        cli_json_number(json, "descent_objective", report->descent_objective);
        cli_json_number(json, "rounds", report->rounds);
        cli_json_whole(json, "flips", report->flips);
    }
    if (report->solver == CVXRELU_SOLVER_AL)
        cli_json_number(json, "raw_violation", report->raw_violation);
    if (run->args->interpolate) cli_json_gauge(json, run);
    if (run->args->decompose != NULL) cli_json_split(json, run);
    if (run->args->prune && k == run->chosen) {
        cli_json_whole(json, "neurons_before_pruning", run->pruned.neurons_before);
        cli_json_number(json, "pruning_change", run->pruned.change);
    }
    cli_json_number(json, "subgradient", report->subgradient);
    cli_json_string(json, "solver",
                    run->args->method ? run->args->method : cli_solver_word(report->solver));
    cli_json_string(json, "stop", cli_stop_word(report->stop));
    cli_json_number(json, "tol", report->tol);
    cli_json_number(json, "iterations", report->iterations);
    cli_json_number(json, "cg_iterations", report->cg_iterations);
    cli_json_number(json, "factors", report->factors);
    cli_json_number(json, "passes", report->passes);
    cli_json_number(json, "flops", report->flops);
    cli_json_number(json, "seconds", report->seconds);
    cli_json_whole(json, "peak_bytes", report->peak_bytes);
    cli_json_number(json, "threads", report->threads);
    cli_json_score(json, "train_accuracy", "train_mse", &run->train_scores[k],
                   run->train.classes);
    if (run->has_test)
        cli_json_score(json, "test_accuracy", "test_mse", &run->test_scores[k],
                       run->train.classes);
}

/* What all strengths of a run share. */
static void cli_json_problem(cli_json *json, const cli_run *run) {
    const cvxrelu_report *report = &run->reports[run->chosen];
    cvxrelu_model_info info;
    size_t k;
    cvxrelu_model_get_info(run->models[run->chosen], &info);
    cli_json_string(json, "version", CVXRELU_VERSION);
    cli_json_string(json, "model", cli_kind_word(info.kind));
    cli_json_string(json, "loss", "squared");
    cli_json_string(json, "penalty", cli_penalty_word(info.penalty));
    cli_json_string(json, "scale", cli_scale_word(info.scale));
    cli_json_flag(json, "bias", info.has_bias);
    cli_json_flag(json, "centred", run->problem.centre_targets);
    cli_json_string(json, "precision",
                    run->options.precision == CVXRELU_FLOAT32 ? "float32" : "float64");
    cli_json_string(json, "data", run->all.path);
    cli_json_string(json, "task", info.classes ? "classes" : "regression");
    cli_json_open(json, "labels", '[');
    for (k = 0; k < run->train.classes; k++) cli_json_string(json, NULL, run->train.labels[k]);
    cli_json_close(json, ']');
    cli_json_whole(json, "n", report->n);
    cli_json_whole(json, "d", report->d);
    cli_json_whole(json, "c", report->c);
    cli_json_whole(json, "features", info.features);
    if (run->has_test) cli_json_whole(json, "n_test", run->test.n);
    cli_json_string(json, "search", cli_search_word(cli_search_of(&run->problem)));
    cli_json_string(json, "sampler", cli_sampler_word(run->problem.gates.sampler));
    cli_json_whole(json, "seed", run->args->seed);
}

static void cli_json_run(FILE *file, const cli_run *run) {
    cli_json json;
    size_t k;
    memset(&json, 0, sizeof json);
    json.file = file;
    cli_json_open(&json, NULL, '{');
    cli_json_problem(&json, run);
    cli_json_solution(&json, run, run->chosen);
    if (run->args->path > 0 && run->points == NULL) {
        cli_json_open(&json, "path", '[');
        for (k = 0; k < run->count; k++) {
            cli_json_open(&json, NULL, '{');
            cli_json_solution(&json, run, k);
            cli_json_close(&json, '}');
        }
        cli_json_close(&json, ']');
    }
    if (run->points != NULL) {
        cli_json_whole(&json, "chosen", run->point_chosen);
        cli_json_open(&json, "cv", '[');
        for (k = 0; k < run->point_count; k++) {
            cli_json_open(&json, NULL, '{');
            cli_json_number(&json, "lambda", run->points[k].lambda);
            cli_json_number(&json, "error", run->points[k].error);
            cli_json_number(&json, "deviation", run->points[k].deviation);
            cli_json_close(&json, '}');
        }
        cli_json_close(&json, ']');
    }
    cli_json_close(&json, '}');
}

/* ---- Files */

static int cli_save_array(cli_files *files, const char *folder, const char *name, size_t axes,
                          const size_t *shape, const double *data) {
    const char *path = cli_join(files->pool, cli_join(files->pool, folder, "/"), name);
    FILE *file;
    int status = cli_files_open(files, path, &file);
    if (status != CLI_OK) return status;
    npy_write(file, axes, shape, data);
    return cli_files_close(files);
}

/* No file of that name is to be in the folder. */
static void cli_leave_out(cli_files *files, const char *folder, const char *name) {
    cli_files_remove(files, cli_join(files->pool, cli_join(files->pool, folder, "/"), name));
}

/* U.npy (gated) or V.npy and W.npy (ReLU), each c x P x d, and G.npy (d x P), in the
   coordinates of the X that the solver saw. What the other kind has left there is removed.   */
static int cli_save_convex(cli_files *files, const cli_run *run) {
    const cvxrelu_model *model = run->models[run->chosen];
    const char *folder = run->args->save_convex;
    int relu = cli_is_relu(run);
    cvxrelu_model_info info;
    size_t shape[3], i, j, P, d;
    double *U, *W, *G, *T;
    cvxrelu_result result;
    int status;
    cvxrelu_model_get_info(model, &info);
    shape[0] = info.outputs;
    shape[1] = P = info.patterns;
    shape[2] = d = info.features + (info.has_bias ? 1 : 0);
    U = (double *)cli_alloc(files->pool, info.outputs * P * d, sizeof(double));
    W = (double *)cli_alloc(files->pool, info.outputs * P * d, sizeof(double));
    G = (double *)cli_alloc(files->pool, P * d, sizeof(double));
    T = (double *)cli_alloc(files->pool, P * d, sizeof(double));
    result = cvxrelu_model_convex(model, U, W, G);
    if (result != CVXRELU_OK) return cli_result(result, folder, NULL);
    for (i = 0; i < P; i++)
        for (j = 0; j < d; j++) T[j * P + i] = G[i * d + j];
    status = cli_save_array(files, folder, relu ? "V.npy" : "U.npy", 3, shape, U);
    if (status == CLI_OK && relu) status = cli_save_array(files, folder, "W.npy", 3, shape, W);
    cli_leave_out(files, folder, relu ? "U.npy" : "V.npy");
    if (!relu) cli_leave_out(files, folder, "W.npy");
    shape[0] = d;
    return status != CLI_OK ? status : cli_save_array(files, folder, "G.npy", 2, shape, T);
}

/* m rows of `features` values, with the bias after them when there is one, packed in place. */
static void cli_pack_rows(double *values, size_t m, size_t features) {
    size_t i;
    for (i = 0; i < m; i++)
        memmove(values + i * features, values + i * (features + 1), features * sizeof(double));
}

/* W1.npy, W2.npy and b2.npy, gated also G1.npy; no old one stays beside them. */
static int cli_save_network(cli_files *files, const cli_run *run) {
    const cvxrelu_model *model = run->models[run->chosen];
    const char *folder = run->args->save_network;
    cvxrelu_model_info info;
    double *W1, *G1, *W2, *b2;
    size_t shape[2], m, width;
    int status;
    cvxrelu_model_get_info(model, &info);
    m = info.neurons;
    width = info.features + 1;
    W1 = (double *)cli_alloc(files->pool, m * width, sizeof(double));
    G1 = (double *)cli_alloc(files->pool, m * width, sizeof(double));
    W2 = (double *)cli_alloc(files->pool, info.outputs * m, sizeof(double));
    b2 = (double *)cli_alloc(files->pool, info.outputs, sizeof(double));
    cvxrelu_model_network(model, W1, G1, W2, b2);
    if (!info.has_bias) {
        width--;
        cli_pack_rows(W1, m, width);
        cli_pack_rows(G1, m, width);
    }
    shape[0] = m;
    shape[1] = width;
    status = cli_save_array(files, folder, "W1.npy", 2, shape, W1);
    if (cli_is_relu(run)) cli_leave_out(files, folder, "G1.npy");
    else if (status == CLI_OK) status = cli_save_array(files, folder, "G1.npy", 2, shape, G1);
    shape[0] = info.outputs;
    shape[1] = m;
    if (status == CLI_OK) status = cli_save_array(files, folder, "W2.npy", 2, shape, W2);
    if (status == CLI_OK) status = cli_save_array(files, folder, "b2.npy", 1, shape, b2);
    return status;
}

/* The model as bytes, so that it takes part in the common commit. */
static int cli_write_model(cli_files *files, const cvxrelu_model *model, const char *path,
                           int strip) {
    cvxrelu_result result;
    size_t size = 0;
    void *bytes;
    FILE *file;
    int status;
    result = cvxrelu_model_write(model, strip, NULL, &size);
    if (result != CVXRELU_OK) return cli_result(result, path, NULL);
    bytes = cli_alloc(files->pool, size, 1);
    result = cvxrelu_model_write(model, strip, bytes, &size);
    if (result != CVXRELU_OK) return cli_result(result, path, NULL);
    status = cli_files_open(files, path, &file);
    if (status != CLI_OK) return status;
    fwrite(bytes, 1, size, file);
    return cli_files_close(files);
}

/* The chosen model with its class labels and the names of its features. */
static int cli_save_model(cli_files *files, const cli_run *run) {
    cvxrelu_model *model = run->models[run->chosen];
    const cli_data *data = &run->train;
    cvxrelu_result result = CVXRELU_OK;
    if (data->classes > 0)
        result =
            cvxrelu_model_set_text(model, CVXRELU_TEXT_CLASSES, data->classes, data->labels);
    if (result == CVXRELU_OK && data->names != NULL)
        result = cvxrelu_model_set_text(model, CVXRELU_TEXT_FEATURES, data->d,
                                        (const char *const *)data->names);
    if (result != CVXRELU_OK) return cli_result(result, run->args->save, NULL);
    return cli_write_model(files, model, run->args->save, run->args->strip);
}

static int cli_save_json(cli_files *files, const char *path, const cli_run *run) {
    FILE *file;
    int status = cli_files_open(files, path, &file);
    if (status != CLI_OK) return status;
    cli_json_run(file, run);
    return cli_files_close(files);
}

/* Before the work: can every output be written, and is every name used once? */
static int cli_check_outputs(cli_pool *pool, const cli_args *args) {
    int status = CLI_OK;
    if (args->save != NULL && args->json != NULL && strcmp(args->save, args->json) == 0)
        return cli_error(CLI_USAGE, "--json %s: is the name of --save as well", args->json);
    if (args->save != NULL && strcmp(args->save, "-") == 0)
        return cli_error(CLI_USAGE, "--save -: a model needs a file");
    if (args->save != NULL) status = cli_files_check(pool, args->save);
    if (status == CLI_OK && args->json != NULL) status = cli_files_check(pool, args->json);
    if (status == CLI_OK && args->save_convex != NULL)
        status = cli_make_folder(args->save_convex);
    if (status == CLI_OK && args->save_network != NULL)
        status = cli_make_folder(args->save_network);
    return status;
}

/* cli_save - all outputs of a run, or none. */
static int cli_save(const cli_run *run) {
    const cli_args *args = run->args;
    cli_files files;
    int status = CLI_OK;
    memset(&files, 0, sizeof files);
    files.pool = run->pool;
    if (args->save != NULL) status = cli_save_model(&files, run);
    if (status == CLI_OK && args->save_convex != NULL) status = cli_save_convex(&files, run);
    if (status == CLI_OK && args->save_network != NULL) status = cli_save_network(&files, run);
    if (status == CLI_OK && args->json != NULL) status = cli_save_json(&files, args->json, run);
    if (status == CLI_OK) return cli_files_commit(&files);
    cli_files_abandon(&files);
    return status;
}

#endif /* CLI_REPORT_H */
