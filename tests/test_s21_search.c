/* Tests of S21 PATTERN SEARCH. Included by test_main.c after test_s18_descent.c, whose data it
   uses. Networks that come back are judged by plain loops over rows, patterns and gates.    */

enum { S21_C = 3 };
static double s21_Y[S18_N * S21_C];

typedef struct s21_run {
    cvxr_mem mem;
    cvxr_data data;
    cvxrelu_problem problem;
    cvxrelu_options opt;
    cvxr_search_ways ways;
    cvxr_patterns patterns;
    cvxr_weights start;
    cvxr_search_report report;
    char message[CVXRELU_MESSAGE_SIZE];
    double lambda;
} s21_run;

/* n rows, d columns, c outputs: |x_0| and |x_k| with noise; `search` is small. */
static void s21_open(s21_run *s, size_t n, size_t d, size_t c, double lambda) {
    cvxrelu_random random;
    size_t i, k;
    memset(s, 0, sizeof *s);
    cvxrelu_random_init(&random, 21);
    for (i = 0; i < n * d; i++) s18_X[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++)
        for (k = 0; k < c; k++)
            s21_Y[i * c + k] = fabs(s18_X[i * d + k % d]) + s18_X[i * d]
                               + 0.3 * cvxrelu_random_normal(&random);
    s->problem = s06_problem(s18_X, n, d, s21_Y, c);
    s->problem.kind = CVXRELU_RELU;
    s->lambda = lambda;
    CHECK(cvxr_options_resolve(NULL, &s->opt, s->message) == CVXRELU_OK);
    s->opt.search.width = 120;
    s->opt.search.steps = 150;
    s->opt.search.step_size = 0.1;
    cvxr_mem_init(&s->mem, NULL, 0);
    CHECK(cvxr_data_make(&s->mem, &s->problem, &s->data, s->message) == CVXRELU_OK);
}

static cvxrelu_result s21_search(s21_run *s, const cvxr_patterns *given) {
    cvxr_weights_close(&s->mem, &s->start);
    cvxr_patterns_free(&s->mem, &s->patterns);
    return cvxr_search_run(&s->mem, &s->data, &s->opt, &s->problem, s->lambda, 0, given,
                           &s->ways, &s->patterns, &s->start, &s->report, s->message);
}

static void s21_close(s21_run *s) {
    cvxr_weights_close(&s->mem, &s->start);
    cvxr_patterns_free(&s->mem, &s->patterns);
    cvxr_data_free(&s->mem, &s->data);
    CHECK(s->mem.now == 0);
}

/* x_i . v in plain order. */
static double s21_dot(const s21_run *s, size_t i, const double *v) {
    double sum = 0;
    size_t k;
    for (k = 0; k < s->data.d; k++) sum += s->data.X[i * s->data.dp + k] * v[k];
    return sum;
}

static double s21_norm(size_t count, const double *v) {
    double sum = 0;
    size_t k;
    for (k = 0; k < count; k++) sum += v[k] * v[k];
    return sqrt(sum);
}

/* The network's own objective: sum of sign (x.v)_+, no pattern asked. */
static double s21_objective(const s21_run *s) {
    const size_t n = s->data.n, c = s->data.c;
    double loss = 0, penalty = 0;
    size_t i, j, k;
    for (k = 0; k < c; k++)
        for (i = 0; i < n; i++) {
            double r = -s->data.Y[k * n + i];
            for (j = 0; j < s->start.m; j++) {
                double z = s->start.sign[j] * s21_dot(s, i, s->start.u + j * s->start.dp);
                if (s->start.output[j] == k && z > 0) r += s->start.sign[j] * z;
            }
            loss += r * r;
        }
    for (j = 0; j < s->start.m; j++)
        penalty += s21_norm(s->data.d, s->start.u + j * s->start.dp);
    return loss / (2 * (double)(n * c)) + s->lambda * penalty;
}

/* Everything that is promised of a result. */
static void s21_check(const s21_run *s) {
    const size_t n = s->data.n, d = s->data.d, words = s->patterns.words;
    const double margin = 64 * DBL_EPSILON * (double)d;
    size_t p, q, i, j;
    CHECK(s->patterns.count > 0 && s->patterns.n == n && s->patterns.d == d);
    for (p = 0; p < s->patterns.count; p++) {
        const double *gate = s->patterns.gates + p * d;
        for (i = 0; i < n; i++) {
            double z = s21_dot(s, i, gate), x = s21_norm(d, s->data.X + i * s->data.dp);
            CHECK(s08_bit(s->patterns.bits + p * words, i) == (size_t)(z >= 0));
            CHECK(x == 0 || fabs(z) > margin * x * s21_norm(d, gate));
        }
        for (q = 0; q < p; q++)
            CHECK(memcmp(s->patterns.bits + p * words, s->patterns.bits + q * words,
                         words * sizeof(uint64_t)) != 0);
    }
    for (j = 0; j < s->start.m; j++) {
        const double *u = s->start.u + j * s->start.dp;
        const uint64_t *bits = s->patterns.bits + s->start.pattern[j] * words;
        CHECK(s->start.pattern[j] < s->patterns.count && s->start.output[j] < s->data.c);
        CHECK(s->start.sign[j] == 1 || s->start.sign[j] == -1);
        CHECK(j == 0 || cvxr_search_before(&s->start, j - 1, j));
        for (i = 0; i < n; i++) {
            double z = s->start.sign[j] * s21_dot(s, i, u);
            double x = s21_norm(d, s->data.X + i * s->data.dp);
            CHECK((s08_bit(bits, i) ? z : -z) >= -1e-10 * x * s21_norm(d, u));
        }
    }
    CHECK_NEAR(s->report.objective, s21_objective(s), 1e-9 * s21_objective(s));
    CHECK(s->report.objective <= s->report.descent_objective * (1 + 1e-12));
}

TEST(a_search_returns_a_feasible_network_no_worse_than_its_descent) {
    s21_run s;
    double zero = 0;
    size_t i;
    s21_open(&s, S18_N, 4, 1, 1e-3);
    for (i = 0; i < S18_N; i++) zero += s.data.Y[i] * s.data.Y[i] / (2 * S18_N);
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    s21_check(&s);
    CHECK(s.report.stop == CVXRELU_STOP_NONE && s.report.rounds > 0 && s.start.m > 0);
    CHECK(s.report.descent_objective < 0.3 * zero);
    s21_close(&s);
}

TEST(no_round_makes_it_worse_and_flips_make_it_better) {
    s21_run s;
    double before = HUGE_VAL;
    size_t flips = 0;
    int rounds;
    s21_open(&s, S18_N, 5, 1, 2e-4);
    s.opt.search.steps = 60; /* far from converged: there is something to flip */
    for (rounds = -1; rounds < 5; rounds++) {
        if (rounds == 0) continue;
        s.opt.search.rounds = rounds;
        CHECK(s21_search(&s, NULL) == CVXRELU_OK);
        s21_check(&s);
        CHECK(s.report.rounds <= cvxr_max(rounds, 0));
        CHECK(s.report.objective <= before * (1 + 1e-12));
        if (flips && s.report.rounds == rounds) CHECK(s.report.objective < before);
        before = s.report.objective;
        flips = s.report.flips;
    }
    CHECK(flips > 0);
    s21_close(&s);
}

/* The change of the objective per unit when neuron j moves along delta (d entries). */
static double s21_slope(s21_run *s, size_t j, const double *delta) {
    const double t = 1e-6, before = s21_objective(s);
    double *u = s->start.u + j * s->start.dp, after;
    size_t k;
    for (k = 0; k < s->data.d; k++) u[k] += t * delta[k];
    after = s21_objective(s);
    for (k = 0; k < s->data.d; k++) u[k] -= t * delta[k];
    return (after - before) / t;
}

/* The unit vector of x_i without its part in the span of the other rows tight at u. */
static int s21_across(const s21_run *s, size_t i, const double *u, double *delta) {
    const size_t d = s->data.d;
    double basis[16][16], norm;
    size_t l, k, q, count = 0;
    for (l = 0; l <= s->data.n; l++) {
        const double *x = s->data.X + (l == s->data.n ? i : l) * s->data.dp;
        if (l < s->data.n && (l == i || fabs(s21_dot(s, l, u)) > 1e-9 * s21_norm(d, u)))
            continue;
        memcpy(delta, x, d * sizeof(double));
        for (q = 0; q < 2 * count; q++) {
            double dot = 0;
            for (k = 0; k < d; k++) dot += delta[k] * basis[q % count][k];
            for (k = 0; k < d; k++) delta[k] -= dot * basis[q % count][k];
        }
        norm = s21_norm(d, delta);
        if (norm < 1e-6) {
            if (l == s->data.n) return 0;
            continue;
        }
        for (k = 0; k < d; k++) delta[k] /= norm;
        if (l < s->data.n) memcpy(basis[count++], delta, d * sizeof(double));
    }
    return 1;
}

/* When no flip is left, no neuron gains by crossing a row that it is tight at. */
TEST(without_flips_no_single_crossing_lowers_the_objective) {
    s21_run s;
    size_t i, j, k, crossings = 0;
    s21_open(&s, S18_N, 5, 1, 5e-4);
    s.opt.search.rounds = 40;
    s.opt.search.steps = 40;
    s.ways.ascents = 1;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    CHECK(s.report.rounds < 40 && s.report.flips > 10);
    for (j = 0; j < s.start.m; j++)
        for (i = 0; i < S18_N; i++) {
            const double *u = s.start.u + j * s.start.dp;
            double delta[16], side;
            if (fabs(s21_dot(&s, i, u)) > 1e-9 * s21_norm(s.data.d, u)) continue;
            if (!s21_across(&s, i, u, delta)) continue;
            side = s08_bit(s.patterns.bits + s.start.pattern[j] * s.patterns.words, i) ? -1 : 1;
            for (k = 0; k < s.data.d; k++) delta[k] *= side * s.start.sign[j];
            CHECK(s21_slope(&s, j, delta) > -0.05 * s.lambda);
            crossings++;
        }
    CHECK(crossings > 10);
    s21_close(&s);
}

/* In one dimension with a bias a pattern is a threshold and a direction: all of them, given,
   have the optimum over all networks. */
TEST(in_one_dimension_the_search_finds_the_global_optimum) {
    double x[5] = { -2, -1, 0, 1, 2 }, y[5] = { 1, -1, 1, 1, -1 }, gates[20], best;
    cvxrelu_problem p = s06_problem(x, 5, 1, y, 1);
    cvxrelu_report report;
    cvxrelu_model *model;
    s21_run s;
    int t;
    memset(&s, 0, sizeof s);
    p.kind = CVXRELU_RELU;
    p.scale = CVXRELU_SCALE_UNIT;
    p.lambda = s.lambda = 1e-3;
    s.problem = p;
    for (t = 0; t < 5; t++) {
        gates[4 * t] = 1, gates[4 * t + 1] = 2.5 - t;
        gates[4 * t + 2] = -1, gates[4 * t + 3] = t - 2.5;
    }
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = gates;
    p.gates.given.rows = 10;
    p.gates.given.cols = p.gates.given.stride = 2;
    CHECK(cvxrelu_fit(&p, NULL, NULL, &model, &report) == CVXRELU_OK);
    best = report.objective;
    cvxrelu_model_free(model);
    CHECK(cvxr_options_resolve(NULL, &s.opt, s.message) == CVXRELU_OK);
    s.opt.search.width = 300;
    s.opt.search.steps = 600;
    cvxr_mem_init(&s.mem, NULL, 0);
    CHECK(cvxr_data_make(&s.mem, &s.problem, &s.data, s.message) == CVXRELU_OK);
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    s21_check(&s);
    CHECK_NEAR(s.report.objective, best, 2e-3 * best);
    s21_close(&s);
}

TEST(same_seed_same_search_whatever_the_threads) {
    s21_run s, q;
    int calls = 0;
    s21_open(&s, 50, 3, 1, 1e-3);
    s21_open(&q, 50, 3, 1, 1e-3);
    q.opt.threads = 3;
    q.opt.parallel.parallel_for = s18_backwards;
    q.opt.parallel.context = &calls;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK && s21_search(&q, NULL) == CVXRELU_OK);
    CHECK(s.start.m == q.start.m && s.patterns.count == q.patterns.count);
    CHECK(memcmp(s.start.u, q.start.u, s.start.m * s.start.dp * sizeof(double)) == 0);
    CHECK(s.report.objective == q.report.objective);
    q.problem.gates.seed = 9;
    CHECK(s21_search(&q, NULL) == CVXRELU_OK);
    CHECK(s.report.descent_objective != q.report.descent_objective);
    s21_close(&q);
    s21_close(&s);
}

TEST(the_best_of_several_restarts_is_kept) {
    s21_run s;
    double least = HUGE_VAL;
    uint64_t seed;
    s21_open(&s, 60, 4, 1, 5e-4);
    s.opt.search.width = 12;
    s.opt.search.steps = 80;
    s.opt.search.rounds = -1;
    for (seed = 0; seed < 3; seed++) {
        s.problem.gates.seed = seed * 0x9e3779b97f4a7c15u;
        CHECK(s21_search(&s, NULL) == CVXRELU_OK);
        least = cvxr_min(least, s.report.descent_objective);
    }
    s.problem.gates.seed = 0;
    s.opt.search.restarts = 3;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    s21_check(&s);
    CHECK_NEAR(s.report.objective, least, 1e-12);
    s21_close(&s);
}

/* Three equal outputs at strength lambda are one at 3 lambda, three times over. */
TEST(several_outputs_share_one_list_of_patterns) {
    s21_run s, q;
    size_t i;
    s21_open(&q, 60, 3, 1, 3e-3);
    s21_open(&s, 60, 3, S21_C, 1e-3);
    s21_search(&s, NULL);
    s21_check(&s);
    for (i = 0; i < 60; i++)
        s.data.Y[i] = s.data.Y[60 + i] = s.data.Y[120 + i] = q.data.Y[i];
    s.opt.search.steps = q.opt.search.steps = 400;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK && s21_search(&q, NULL) == CVXRELU_OK);
    s21_check(&s);
    CHECK_NEAR(s.report.objective, q.report.objective, 0.01 * q.report.objective);
    s21_close(&s);
    s21_close(&q);
}

TEST(given_patterns_are_where_the_search_begins) {
    s21_run s;
    cvxr_patterns given;
    cvxrelu_gates recipe;
    double alone;
    memset(&recipe, 0, sizeof recipe);
    recipe.count = 60;
    s21_open(&s, 60, 3, 1, 1e-3);
    CHECK(cvxr_patterns_make(&s.mem, &s.data, &recipe, &given, s.message) == CVXRELU_OK);
    s.opt.search.width = 3;
    s.opt.search.steps = 20;
    s.opt.search.rounds = 1;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    alone = s.report.objective;
    CHECK(s21_search(&s, &given) == CVXRELU_OK);
    s21_check(&s);
    CHECK(s.report.objective < alone);
    cvxr_patterns_free(&s.mem, &given);
    s21_close(&s);
}

TEST(the_other_starts_and_the_ascent_work) {
    s21_run s;
    double first;
    s21_open(&s, 50, 3, 1, 1e-3);
    s.opt.search.width = 40;
    s.ways.from = CVXR_FROM_START;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    s21_check(&s);
    CHECK(s.report.gathered == 0);
    s.opt.search.rounds = 1;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    first = s.report.objective;
    s.ways.from = CVXR_FROM_FLIPPED;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    s21_check(&s);
    CHECK(s.report.objective <= first * (1 + 1e-3)); /* over more patterns */
    s.ways.from = CVXR_FROM_DESCENT;
    s.opt.search.width = 1; /* the target has two kinds of neurons */
    s.opt.search.rounds = 1;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    CHECK(s.start.m <= 1);
    first = s.report.objective;
    s.ways.ascents = 60;
    s.opt.search.rounds = 3;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    s21_check(&s);
    CHECK(s.start.m == 2 && s.report.objective < 0.995 * first);
    s21_close(&s);
}

TEST(search_takes_the_smallest_data_and_targets_that_say_nothing) {
    const size_t n[4] = { 1, 1, 2, 40 }, d[4] = { 1, 4, 1, 2 };
    int c, k;
    for (c = 0; c < 4; c++)
        for (k = 0; k < 3; k++) { /* targets as they are, zero, constant */
            s21_run s;
            size_t i;
            s21_open(&s, n[c], d[c], 1, 1e-2);
            for (i = 0; i < n[c] && k; i++) s.data.Y[i] = k - 1;
            CHECK(s21_search(&s, NULL) == CVXRELU_OK);
            s21_check(&s);
            if (k == 1) CHECK(s.start.m == 0 && s.report.objective == 0);
            s.lambda = 1e6;
            CHECK(s21_search(&s, NULL) == CVXRELU_OK);
            CHECK(s.patterns.count > 0);
            s21_close(&s);
        }
}

/* Rows twice, rows of zeros, a column of zeros, integers: many ties, cells without interior. */
TEST(search_takes_degenerate_rows) {
    double x[40 * 4], y[40];
    s21_run s;
    size_t i, k;
    memset(&s, 0, sizeof s);
    for (i = 0; i < 40; i++)
        for (y[i] = (double)(i % 3) - 1, k = 0; k < 4; k++)
            x[i * 4 + k] = k == 2 || i % 20 == 0 ? 0 : (double)((i % 20 * (k + 3)) % 5) - 2;
    s.problem = s06_problem(x, 40, 4, y, 1);
    s.problem.kind = CVXRELU_RELU;
    s.problem.scale = CVXRELU_SCALE_UNIT;
    s.problem.no_bias = 1;
    s.lambda = 1e-3;
    CHECK(cvxr_options_resolve(NULL, &s.opt, s.message) == CVXRELU_OK);
    s.opt.search.width = 200;
    s.opt.search.steps = 200;
    cvxr_mem_init(&s.mem, NULL, 0);
    CHECK(cvxr_data_make(&s.mem, &s.problem, &s.data, s.message) == CVXRELU_OK);
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    s21_check(&s);
    for (i = 0; i < s.start.m; i++) CHECK(s.start.u[i * s.start.dp + 2] == 0);
    for (i = 0; i < s.patterns.count; i++) CHECK(s.patterns.gates[i * 4 + 2] == 0);
    s21_close(&s);
}

/* X and Y times powers of two and lambda accordingly: the same search, its objective times the
   square of Y's factor. */
TEST(search_does_not_depend_on_units) {
    s21_run s, q;
    size_t i;
    s21_open(&s, 50, 3, 1, 1e-3);
    s.problem.scale = CVXRELU_SCALE_NONE;
    s21_open(&q, 50, 3, 1, 1e-3 * 1024 * 4096);
    for (i = 0; i < 50 * q.data.dp; i++) q.data.X[i] *= 1024;
    for (i = 0; i < 50; i++) q.data.Y[i] *= 4096;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK && s21_search(&q, NULL) == CVXRELU_OK);
    s21_check(&q);
    CHECK(s.report.gathered == q.report.gathered);
    CHECK_NEAR(q.report.descent_objective, 4096.0 * 4096.0 * s.report.descent_objective,
               1e-6 * q.report.descent_objective);
    CHECK_NEAR(q.report.objective, 4096.0 * 4096.0 * s.report.objective,
               1e-4 * q.report.objective);
    s21_close(&q);
    s21_close(&s);
}

static int s21_stop_at(void *user, const cvxrelu_progress *progress) {
    CHECK(progress->objective >= 0 && runner_finite(progress->objective));
    return --*(int *)user <= 0;
}

TEST(a_stop_leaves_a_network_that_is_feasible) {
    s21_run s;
    int at, left;
    s21_open(&s, 50, 3, 1, 1e-3);
    s.opt.progress = s21_stop_at;
    s.opt.progress_user = &left;
    for (at = 1; at < 9; at += 3) {
        left = at;
        CHECK(s21_search(&s, NULL) == CVXRELU_OK);
        CHECK(s.report.stop == CVXRELU_STOP_USER);
        s21_check(&s);
    }
    s21_close(&s);
}

TEST(search_holds_what_it_says_and_survives_refusals) {
    s21_run s;
    size_t held, peak, limit, step, refused = 0;
    s21_open(&s, 30, 3, 2, 1e-3);
    s.opt.search.width = 20;
    s.opt.search.steps = 20;
    held = s.mem.now;
    CHECK(s21_search(&s, NULL) == CVXRELU_OK);
    peak = s.mem.peak;
    CHECK(peak - held <= cvxr_search_bytes(30, s.data.d, 2, 20, 0, s.opt.max_factor, 1));
    step = (peak - held) / 40;
    for (limit = held + 64; limit < peak; limit += step) {
        cvxr_weights_close(&s.mem, &s.start);
        cvxr_patterns_free(&s.mem, &s.patterns);
        CHECK(s.mem.now == held);
        s.mem.limit = limit;
        if (s21_search(&s, NULL) == CVXRELU_OK) { /* what was refused could be done without */
            s21_check(&s);
        } else {
            CHECK(s.mem.failed == CVXRELU_ERR_LIMIT);
            CHECK(s.patterns.count == 0 && s.start.u == NULL && s.message[0] != 0);
            refused++;
        }
        CHECK(s.mem.peak <= peak);
        s.mem.failed = CVXRELU_OK;
    }
    CHECK(refused > 20);
    s21_close(&s);
}

SUITE(s21_search) {
    RUN(a_search_returns_a_feasible_network_no_worse_than_its_descent);
    RUN(no_round_makes_it_worse_and_flips_make_it_better);
    RUN(without_flips_no_single_crossing_lowers_the_objective);
    RUN(in_one_dimension_the_search_finds_the_global_optimum);
    RUN(same_seed_same_search_whatever_the_threads);
    RUN(the_best_of_several_restarts_is_kept);
    RUN(several_outputs_share_one_list_of_patterns);
    RUN(given_patterns_are_where_the_search_begins);
    RUN(the_other_starts_and_the_ascent_work);
    RUN(search_takes_the_smallest_data_and_targets_that_say_nothing);
    RUN(search_takes_degenerate_rows);
    RUN(search_does_not_depend_on_units);
    RUN(a_stop_leaves_a_network_that_is_feasible);
    RUN(search_holds_what_it_says_and_survives_refusals);
}
