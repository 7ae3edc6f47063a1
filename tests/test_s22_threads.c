/* Threads: every solver gives the same bits for 1, 2, 3 and 5 of them. The parallel for of
   these tests runs the tasks one after the other, in an order that no loop has, so that a task
   that needs what another has written is found out. With OpenMP its threads run them once
   more. Problems: test_s14_newton.c. */

typedef struct s22_team {
    size_t calls, tasks;
    int hooked;
} s22_team;

/* The odd tasks downwards, then the even ones upwards. */
static void s22_odd_order(void *context, size_t count, void (*body)(void *arg, size_t i),
                          void *arg) {
    s22_team *team = (s22_team *)context;
    size_t i;
    team->calls++;
    if (count > team->tasks) team->tasks = count;
    for (i = count; i-- > 0;)
        if (i % 2) body(arg, i);
    for (i = 0; i < count; i += 2) body(arg, i);
}

#define S22_HOOKED 4 /* counts with the parallel for above */
#ifdef _OPENMP
#define S22_COUNTS 5
#else
#define S22_COUNTS S22_HOOKED
#endif
static const int s22_thread_counts[5] = { 1, 2, 3, 5, 4 };

static cvxrelu_options s22_with_team(cvxrelu_options o, s22_team *team, int which) {
    memset(team, 0, sizeof *team);
    o.threads = s22_thread_counts[which];
    team->hooked = which < S22_HOOKED;
    if (!team->hooked) return o;
    o.parallel.context = team;
    o.parallel.parallel_for = s22_odd_order;
    return o;
}

/* What ran: nothing but the caller's thread for one, no more tasks at once than threads. */
static void s22_check_team(const s22_team *team, int threads) {
    CHECK((team->calls > 0) == (threads > 1 && team->hooked));
    CHECK(team->calls == 0 || (team->tasks >= 2 && team->tasks <= (size_t)threads));
}

static int s22_same(const cvxrelu_report *a, const cvxrelu_report *b) {
    return memcmp(&a->objective, &b->objective, sizeof(double)) == 0
           && memcmp(&a->dual_bound, &b->dual_bound, sizeof(double)) == 0
           && memcmp(&a->lambda, &b->lambda, sizeof(double)) == 0
           && a->iterations == b->iterations && a->cg_iterations == b->cg_iterations
           && a->factors == b->factors && a->neurons == b->neurons && a->stop == b->stop;
}

static int s22_same_models(const cvxrelu_model *a, const cvxrelu_model *b, size_t d) {
    return a && b && a->m == b->m && memcmp(a->u, b->u, a->m * d * sizeof(double)) == 0;
}

/* The fit of p under o with every number of threads. */
static void s22_every_count(const cvxrelu_problem *p, const cvxrelu_options *o,
                            cvxrelu_report *first) {
    cvxrelu_model *one = NULL;
    int which;
    for (which = 0; which < S22_COUNTS; which++) {
        s22_team team;
        const cvxrelu_options with = s22_with_team(*o, &team, which);
        cvxrelu_report report;
        cvxrelu_model *model = s14_fit(p, &with, &report);
        if (model == NULL) break;
        s22_check_team(&team, with.threads);
        CHECK(report.threads == with.threads);
        if (which == 0) {
            *first = report, one = model;
            CHECK(model->m > 3);
            continue;
        }
        CHECK(s22_same(&report, first));
        CHECK(s22_same_models(model, one, report.d));
        cvxrelu_model_free(model);
    }
    cvxrelu_model_free(one);
}

TEST(newton_with_three_outputs_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(350, 10, 3, 250);
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report report;
    memset(&report, 0, sizeof report);
    p.lambda = 1e-3 * s14_lambda_max(&p);
    s22_every_count(&p, &o, &report);
    CHECK(report.gap <= 1e-6 && report.factors > 0);
}

/* max_factor below n: no factor by rows, those by groups where they fit. */
TEST(newton_with_small_factors_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(1200, 4, 1, 150);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-3);
    cvxrelu_report report;
    memset(&report, 0, sizeof report);
    o.max_factor = 500;
    p.lambda = 1e-4 * s14_lambda_max(&p);
    s22_every_count(&p, &o, &report);
    CHECK(report.gap <= 1e-3 && report.factors > 0);
}

TEST(fista_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(500, 12, 2, 300);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 1e-4);
    cvxrelu_report report;
    memset(&report, 0, sizeof report);
    o.max_iters = 60;
    p.lambda = 1e-2 * s14_lambda_max(&p);
    s22_every_count(&p, &o, &report);
    CHECK(report.iterations > 10);
    p.penalty = CVXRELU_PENALTY_FEATURE;
    s22_every_count(&p, &o, &report);
#ifndef CVXRELU_NO_FLOAT32
    p.penalty = CVXRELU_PENALTY_NEURON;
    o.precision = CVXRELU_FLOAT32;
    s22_every_count(&p, &o, &report);
#endif
}

TEST(relu_solvers_have_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(600, 6, 2, 200);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report report;
    memset(&report, 0, sizeof report);
    p.kind = CVXRELU_RELU;
    p.search = CVXRELU_SEARCH_OFF;
    p.lambda = 3e-3;
    s22_every_count(&p, &o, &report);
    CHECK(report.gap <= 1e-6);
    o.solver = CVXRELU_SOLVER_AL;
    o.tol = 1e-3;
    o.max_iters = 60;
    s22_every_count(&p, &o, &report);
    CHECK(report.iterations > 20);
}

/* Factors of projections are kept from 20 active rows on; with a max_factor of 300 groups share
   their places. */
TEST(relu_newton_with_kept_factors_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(150, 32, 1, 40);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-7);
    cvxrelu_report all, some;
    memset(&all, 0, sizeof all);
    memset(&some, 0, sizeof some);
    CHECK(cvxr_factors_slots(32, 80, 6144) == 80 && cvxr_factors_slots(32, 80, 300) == 39);
    CHECK(cvxr_factors_slots(16, 80, 6144) == 0); /* too few rows can be active */
    p.kind = CVXRELU_RELU;
    p.search = CVXRELU_SEARCH_OFF;
    p.lambda = 3e-3;
    s22_every_count(&p, &o, &all);
    CHECK(all.gap <= 1e-7);
    o.max_factor = 300;
    s22_every_count(&p, &o, &some);
    CHECK(some.gap <= 1e-7);
    CHECK_NEAR(some.objective / all.objective, 1, 2e-7);
}

TEST(search_of_two_outputs_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(200, 5, 2, 40);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-4);
    cvxrelu_report report;
    memset(&report, 0, sizeof report);
    p.kind = CVXRELU_RELU;
    p.lambda = 3e-3;
    o.search.width = 60;
    o.search.steps = 150;
    o.search.rounds = 1;
    s22_every_count(&p, &o, &report);
}

TEST(path_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(400, 8, 1, 200);
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 0);
    cvxrelu_report first[4], reports[4];
    cvxrelu_path_options path;
    int which, i;
    memset(&path, 0, sizeof path);
    path.count = 4;
    path.ratio = 1e-3;
    for (which = 0; which < S22_COUNTS; which++) {
        s22_team team;
        const cvxrelu_options with = s22_with_team(o, &team, which);
        CHECK(cvxrelu_path(&p, &with, &path, NULL, reports, NULL) == CVXRELU_OK);
        s22_check_team(&team, with.threads);
        if (which == 0) memcpy(first, reports, sizeof first);
        for (i = 0; i < 4; i++) CHECK(s22_same(&reports[i], &first[i]));
        CHECK(reports[3].gap <= 1e-6 && reports[3].neurons > reports[1].neurons);
    }
}

TEST(cross_validation_has_the_same_bits_for_any_number_of_threads) {
    cvxrelu_problem p = s14_problem(300, 6, 1, 150);
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 0);
    cvxrelu_cv_point first[3], points[3];
    cvxrelu_report report, one;
    cvxrelu_path_options path;
    size_t chosen, choice = 0;
    int which;
    memset(&path, 0, sizeof path);
    memset(&one, 0, sizeof one);
    path.count = 3;
    path.ratio = 1e-2;
    path.folds = 3;
    for (which = 0; which < S22_COUNTS; which++) {
        s22_team team;
        const cvxrelu_options with = s22_with_team(o, &team, which);
        cvxrelu_model *model = NULL;
        chosen = 99;
        CHECK(cvxrelu_cross_validate(&p, &with, &path, points, &chosen, &model, &report)
              == CVXRELU_OK);
        cvxrelu_model_free(model);
        s22_check_team(&team, with.threads);
        if (which == 0) memcpy(first, points, sizeof first), one = report, choice = chosen;
        CHECK(memcmp(points, first, sizeof first) == 0 && chosen == choice);
        CHECK(s22_same(&report, &one));
    }
}

/* A problem of less than a millisecond starts no second thread. */
TEST(small_problems_stay_on_one_thread) {
    cvxrelu_problem p = s14_problem(40, 4, 1, 30);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    s22_team team;
    cvxrelu_report report;
    o = s22_with_team(o, &team, 3);
    p.lambda = 1e-2 * s14_lambda_max(&p);
    cvxrelu_model_free(s14_fit(&p, &o, &report));
    CHECK(report.threads == 5 && team.calls == 0);
}

SUITE(s22_threads) {
    RUN(newton_with_three_outputs_has_the_same_bits_for_any_number_of_threads);
    RUN(newton_with_small_factors_has_the_same_bits_for_any_number_of_threads);
    RUN(fista_has_the_same_bits_for_any_number_of_threads);
    RUN(relu_solvers_have_the_same_bits_for_any_number_of_threads);
    RUN(relu_newton_with_kept_factors_has_the_same_bits_for_any_number_of_threads);
    RUN(search_of_two_outputs_has_the_same_bits_for_any_number_of_threads);
    RUN(path_has_the_same_bits_for_any_number_of_threads);
    RUN(cross_validation_has_the_same_bits_for_any_number_of_threads);
    RUN(small_problems_stay_on_one_thread);
}
