/* Tests of S22 for ReLU networks: searched, enumerated and given patterns, paths, limits. The
   judge of test_s14_relu.c recomputes what reports say. */

static cvxrelu_options s22_relu_options(void) {
    cvxrelu_options o;
    memset(&o, 0, sizeof o);
    o.search.width = 80;
    o.search.steps = 250;
    return o;
}

static cvxrelu_problem s22_relu_problem(size_t n, size_t d, size_t c, double lambda) {
    cvxrelu_problem p = s14_problem(n, d, c, 40);
    p.kind = CVXRELU_RELU;
    p.lambda = lambda;
    return p;
}

static double s22_relu_fit(const cvxrelu_problem *p, const cvxrelu_options *o,
                           cvxrelu_report *report) {
    cvxrelu_model *model = s14_fit(p, o, report);
    s14_relu t = s14_judge_relu(p, model);
    CHECK_NEAR(report->objective, t.objective, 1e-9 * t.objective);
    CHECK(t.worst <= 1e-10 && report->constraint_violation <= 1e-10);
    CHECK(t.objective - t.bound <= (report->gap + 2e-6) * t.objective);
    cvxrelu_model_free(model);
    return t.objective;
}

TEST(search_is_not_worse_than_its_sampled_patterns_and_than_its_descent) {
    cvxrelu_problem p = s22_relu_problem(60, 5, 1, 1e-3);
    cvxrelu_options o = s22_relu_options();
    cvxrelu_report report;
    double sampled, searched;
    p.search = CVXRELU_SEARCH_OFF;
    sampled = s22_relu_fit(&p, &o, &report);
    p.search = CVXRELU_SEARCH_AUTO;
    searched = s22_relu_fit(&p, &o, &report);
    CHECK(searched <= sampled);
    CHECK(searched <= report.descent_objective * (1 + 1e-6));
    CHECK(report.rounds >= 1 && report.scope == CVXRELU_SCOPE_PATTERNS);
}

TEST(every_pattern_of_a_line_gives_the_global_optimum) {
    cvxrelu_problem p = s22_relu_problem(12, 1, 1, 1e-3);
    cvxrelu_options o = s22_relu_options();
    cvxrelu_report report;
    double exact, other;
    p.no_bias = 0;
    p.search = CVXRELU_SEARCH_EXACT;
    exact = s22_relu_fit(&p, &o, &report);
    CHECK(report.scope == CVXRELU_SCOPE_ALL && report.patterns == 23); /* 24 cells, one empty */
    for (p.gates.seed = 0; p.gates.seed < 3; p.gates.seed++) {
        p.search = CVXRELU_SEARCH_ON;
        other = s22_relu_fit(&p, &o, &report);
        CHECK(exact <= other * (1 + 2e-6));
        p.search = CVXRELU_SEARCH_OFF;
        other = s22_relu_fit(&p, &o, &report);
        CHECK(exact <= other * (1 + 2e-6));
    }
}

TEST(search_with_given_gates_is_not_worse_than_these_gates) {
    cvxrelu_problem p = s22_relu_problem(50, 3, 1, 1e-3);
    cvxrelu_options o = s22_relu_options();
    cvxrelu_random random;
    cvxrelu_report report;
    double kept;
    cvxrelu_random_init(&random, 3);
    s14_normals(&random, 20 * 3, s14_gates);
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = s14_gates, p.gates.given.rows = 20, p.gates.given.cols = 3;
    kept = s22_relu_fit(&p, &o, &report);
    CHECK(report.patterns == 20 && report.rounds == 0);
    p.search = CVXRELU_SEARCH_ON;
    CHECK(s22_relu_fit(&p, &o, &report) <= kept * (1 + 2e-6));
    CHECK(report.rounds >= 1);
}

TEST(search_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s22_relu_problem(70, 4, 1, 1e-3);
    cvxrelu_options o = s22_relu_options();
    double first = 0;
    size_t most = 0;
    for (o.threads = 1; o.threads <= 3; o.threads++) {
        cvxrelu_report report;
        cvxrelu_model *model;
        o.parallel.context = &most;
        o.parallel.parallel_for = s14_backwards;
        model = s14_fit(&p, &o, &report);
        if (o.threads == 1) first = report.objective;
        CHECK(memcmp(&first, &report.objective, sizeof first) == 0);
        cvxrelu_model_free(model);
    }
}

TEST(relu_path_and_three_outputs_are_certified) {
    cvxrelu_problem p = s22_relu_problem(40, 3, 3, 0);
    cvxrelu_options o = s22_relu_options();
    cvxrelu_path_options path;
    cvxrelu_report reports[3];
    char message[CVXRELU_MESSAGE_SIZE] = "";
    size_t i;
    memset(&path, 0, sizeof path);
    path.count = 3;
    path.ratio = 1e-2;
    CHECK(cvxrelu_path(&p, &o, &path, NULL, reports, message) == CVXRELU_OK);
    CHECK_TEXT(message, "");
    for (i = 0; i < 3; i++) CHECK(reports[i].gap <= 1e-6);
    CHECK(reports[2].objective < reports[1].objective);
}

TEST(relu_fits_hold_no_more_bytes_than_promised) {
    int search, solver;
    for (search = CVXRELU_SEARCH_OFF; search <= CVXRELU_SEARCH_EXACT; search++)
        for (solver = 0; solver < 2; solver++) {
            cvxrelu_problem p = s22_relu_problem(20, 2, 1, 1e-2);
            cvxrelu_options o = s22_relu_options();
            cvxrelu_report report;
            cvxrelu_model *model;
            char message[CVXRELU_MESSAGE_SIZE] = "";
            size_t bytes = 0;
            p.search = (cvxrelu_search)search;
            o.solver = solver ? CVXRELU_SOLVER_AL : CVXRELU_SOLVER_AUTO;
            CHECK(cvxrelu_fit_bytes(&p, &o, &bytes, message) == CVXRELU_OK);
            CHECK_TEXT(message, "");
            model = s14_fit(&p, &o, &report);
            CHECK(report.peak_bytes <= bytes);
            cvxrelu_model_free(model);
            o.memory_limit = bytes;
            model = s14_fit(&p, &o, &report);
            cvxrelu_model_free(model);
            o.memory_limit = 5000;
            CHECK(cvxrelu_fit(&p, &o, NULL, &model, &report) == CVXRELU_ERR_LIMIT);
            CHECK(model == NULL && report.message[0]);
        }
}

static int s22_relu_count, s22_relu_last;
static int s22_relu_stop(void *user, const cvxrelu_progress *progress) {
    (void)user, (void)progress;
    return ++s22_relu_count >= s22_relu_last;
}

TEST(relu_run_that_is_stopped_hands_back_a_feasible_network) {
    for (s22_relu_last = 1; s22_relu_last < 40; s22_relu_last += 6) {
        cvxrelu_problem p = s22_relu_problem(40, 3, 1, 1e-3);
        cvxrelu_options o = s22_relu_options();
        cvxrelu_report report;
        s22_relu_count = 0;
        o.progress = s22_relu_stop;
        s22_relu_fit(&p, &o, &report);
        CHECK(report.stop == CVXRELU_STOP_USER || s22_relu_count < s22_relu_last);
    }
}

TEST(relu_start_over_the_same_patterns_saves_steps) {
    cvxrelu_problem p = s22_relu_problem(60, 4, 1, 1e-3);
    cvxrelu_report cold, warm;
    cvxrelu_model *model, *again = NULL;
    p.search = CVXRELU_SEARCH_OFF;
    model = s14_fit(&p, NULL, &cold);
    CHECK(cvxrelu_fit(&p, NULL, model, &again, &warm) == CVXRELU_OK);
    CHECK(warm.iterations < cold.iterations);
    CHECK_NEAR(warm.objective, cold.objective, 2e-6 * cold.objective);
    cvxrelu_model_free(again);
    p.kind = CVXRELU_GATED;
    CHECK(cvxrelu_fit(&p, NULL, model, &again, &warm) == CVXRELU_ERR_ARGUMENT);
    cvxrelu_model_free(model);
}

TEST(what_relu_and_gated_networks_do_not_take_is_refused) {
    cvxrelu_problem p = s22_relu_problem(10, 2, 1, 0);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 0);
    s22_refused(&p, NULL, CVXRELU_ERR_UNSUPPORTED, "lambda is 0");
    p.lambda = 0.01;
    s22_refused(&p, &o, CVXRELU_ERR_UNSUPPORTED, "FISTA");
    p.penalty = CVXRELU_PENALTY_L1;
    s22_refused(&p, NULL, CVXRELU_ERR_UNSUPPORTED, "neuron penalty");
    p = s14_problem(10, 2, 1, 8);
    p.lambda = 0.01;
    p.search = CVXRELU_SEARCH_ON;
    s22_refused(&p, NULL, CVXRELU_ERR_UNSUPPORTED, "search");
    p.search = CVXRELU_SEARCH_OFF;
    o.solver = CVXRELU_SOLVER_AL;
    s22_refused(&p, &o, CVXRELU_ERR_UNSUPPORTED, "AL");
}

/* Tiny and degenerate data go through the search. */
TEST(search_takes_tiny_and_degenerate_data) {
    size_t n;
    for (n = 1; n <= 3; n++) {
        cvxrelu_problem p = s22_relu_problem(n, 1, 1, 1e-3);
        cvxrelu_options o = s22_relu_options();
        cvxrelu_report report;
        s22_relu_fit(&p, &o, &report);
        p.no_bias = 0;
        p.scale = CVXRELU_SCALE_AUTO;
        s22_relu_fit(&p, &o, &report);
        memset(s14_Y, 0, 3 * sizeof(double));
        CHECK(s22_relu_fit(&p, &o, &report) == 0 && report.neurons == 0);
    }
}

SUITE(s22_relu) {
    RUN(search_is_not_worse_than_its_sampled_patterns_and_than_its_descent);
    RUN(every_pattern_of_a_line_gives_the_global_optimum);
    RUN(search_with_given_gates_is_not_worse_than_these_gates);
    RUN(search_has_the_same_bits_for_any_number_of_threads);
    RUN(relu_path_and_three_outputs_are_certified);
    RUN(relu_fits_hold_no_more_bytes_than_promised);
    RUN(relu_run_that_is_stopped_hands_back_a_feasible_network);
    RUN(relu_start_over_the_same_patterns_saves_steps);
    RUN(what_relu_and_gated_networks_do_not_take_is_refused);
    RUN(search_takes_tiny_and_degenerate_data);
}
