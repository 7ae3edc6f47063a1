/* Tests of S18 DESCENT. Included by test_main.c after test_s13_fista.c. The truth is the
   network's objective and its derivatives by plain float64 loops over neurons and rows.     */

enum { S18_N = 75, S18_D = 6, S18_M = 250 };
static double s18_X[S18_N * S18_D], s18_Y[S18_N];

/* A problem of n rows and d columns as the descent takes it, and a plan of a few steps. */
static void s18_make(size_t n, size_t d, cvxr_mem *mem, cvxr_data *data) {
    cvxrelu_random random;
    cvxrelu_problem p;
    char message[CVXRELU_MESSAGE_SIZE];
    size_t i;
    cvxrelu_random_init(&random, 18);
    for (i = 0; i < n * d; i++) s18_X[i] = cvxrelu_random_normal(&random);
    for (i = 0; i < n; i++)
        s18_Y[i] = fabs(s18_X[i * d]) + 0.1 * cvxrelu_random_normal(&random);
    p = s06_problem(s18_X, n, d, s18_Y, 1);
    p.scale = CVXRELU_SCALE_NONE;
    p.no_bias = 1;
    cvxr_mem_init(mem, NULL, 0);
    CHECK(cvxr_data_make(mem, &p, data, message) == CVXRELU_OK);
}

static cvxr_descent_plan s18_plan(size_t n, size_t width, int epochs) {
    cvxr_descent_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.width = width;
    plan.batch = n;
    plan.epochs = epochs;
    plan.halve_every = 1;
    plan.step_size = 0.03;
    plan.lambda = 1e-3;
    plan.b1 = 0.9;
    plan.b2 = 0.99;
    plan.seed = 5;
    plan.merge_from = epochs;
    plan.floor = 3e-3;
    return plan;
}

static cvxrelu_options s18_options(int threads, int portable) {
    cvxrelu_options opt;
    memset(&opt, 0, sizeof opt);
    opt.threads = threads;
    opt.portable = portable;
    return opt;
}

/* sum_j a_j (x_i.w_j)_+ from the arrays of the descent. */
static double s18_output(const cvxr_descent *s, const cvxr_data *data, size_t i) {
    double sum = 0;
    size_t j, k;
    for (j = 0; j < s->m; j++) {
        double z = 0;
        for (k = 0; k < s->d; k++)
            z += data->X[i * data->dp + k] * (double)s->W[j * s->width + k];
        if (z > 0) sum += z * (double)s->a[j];
    }
    return sum;
}

/* Loss over the rows from .. from+count-1, averaged over them, and weight decay. */
static double s18_objective(const cvxr_descent *s, const cvxr_data *data, double lambda,
                            size_t from, size_t count) {
    double loss = 0, decay = 0;
    size_t i, j, k;
    for (i = from; i < from + count; i++) {
        double r = s18_output(s, data, i) - data->Y[i];
        loss += r * r;
    }
    for (j = 0; j < s->m; j++) {
        decay += (double)s->a[j] * (double)s->a[j];
        for (k = 0; k < s->d; k++)
            decay += (double)s->W[j * s->width + k] * (double)s->W[j * s->width + k];
    }
    return loss / (2 * (double)count) + 0.5 * lambda * decay;
}

/* d/dx of the objective by central differences; x is an entry of W or a. */
static double s18_difference(const cvxr_descent *s, const cvxr_data *data, double lambda,
                             size_t from, size_t count, cvxr_fast *x) {
    const cvxr_fast was = *x, h = (cvxr_fast)(1.0 / 1024);
    double up, down, width;
    *x = was + h, width = (double)*x, up = s18_objective(s, data, lambda, from, count);
    *x = was - h, width -= (double)*x, down = s18_objective(s, data, lambda, from, count);
    *x = was;
    return (up - down) / width;
}

/* A step of plain gradient descent moves by -rate times the gradient: compared with differences
   at a sample of entries. Differences across kinks are off by about h; the rows are few. */
static void s18_check_gradient(size_t batch, size_t at, int portable) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_descent s;
    cvxrelu_options opt = s18_options(1, portable);
    cvxr_descent_plan plan = s18_plan(S18_N, 17, 1);
    cvxr_fast W[17 * S18_D], a[17];
    double slopes[17 * S18_D + 17];
    size_t j, k, from = at * batch, count = cvxr_min_z(batch, S18_N - from);
    s18_make(S18_N, S18_D, &mem, &data);
    CHECK(cvxr_descent_open(&s, &mem, &data, &opt, 17, batch));
    s.Y = data.Y;
    cvxr_descent_load(&s);
    cvxr_descent_forget(&s);
    cvxr_descent_draw(&s, 17, 3);
    for (j = 0; j < 17; j++) {
        for (k = 0; k < S18_D; k++) {
            W[j * S18_D + k] = s.W[j * s.width + k];
            slopes[j * S18_D + k] =
                s18_difference(&s, &data, 1e-2, from, count, &s.W[j * s.width + k]);
        }
        a[j] = s.a[j];
        slopes[17 * S18_D + j] = s18_difference(&s, &data, 1e-2, from, count, &s.a[j]);
    }
    plan.update = CVXR_UPDATE_SGD;
    plan.b1 = 0;
    plan.lambda = 1e-2;
    cvxr_descent_scalars(&s, &plan, 0.25, 1);
    s.at = at;
    CHECK_NEAR(cvxr_descent_step(&s), 0, 1e3);
    for (j = 0; j < 17; j++) {
        for (k = 0; k < S18_D; k++)
            CHECK_NEAR(4 * ((double)W[j * S18_D + k] - (double)s.W[j * s.width + k]),
                       slopes[j * S18_D + k], 2e-3);
        CHECK_NEAR(4 * ((double)a[j] - (double)s.a[j]), slopes[17 * S18_D + j], 2e-3);
    }
    cvxr_descent_close(&s);
    cvxr_data_free(&mem, &data);
    CHECK(mem.now == 0);
}

TEST(a_step_follows_the_gradient) {
    s18_check_gradient(S18_N, 0, 0);
    s18_check_gradient(S18_N, 0, 1);
}

TEST(a_step_on_a_minibatch_follows_the_gradient_of_its_rows) {
    s18_check_gradient(32, 1, 0);
    s18_check_gradient(32, 2, 0); /* the last batch is short */
    s18_check_gradient(40, 1, 1);
}

/* Adam written down again in float64 for one neuron's output weight and first entry, with the
   gradients by differences. */
TEST(adam_is_the_published_update) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_descent s;
    cvxrelu_options opt = s18_options(1, 0);
    cvxr_descent_plan plan = s18_plan(S18_N, 9, 10);
    double m[2] = { 0, 0 }, v[2] = { 0, 0 }, x[2];
    int t, q;
    s18_make(S18_N, S18_D, &mem, &data);
    CHECK(cvxr_descent_open(&s, &mem, &data, &opt, 9, S18_N));
    s.Y = data.Y;
    cvxr_descent_load(&s);
    cvxr_descent_forget(&s);
    cvxr_descent_draw(&s, 9, 3);
    for (t = 1; t <= 6; t++) {
        cvxr_fast *at[2];
        at[0] = &s.a[4], at[1] = &s.W[4 * s.width];
        for (q = 0; q < 2; q++) {
            double g = s18_difference(&s, &data, plan.lambda, 0, S18_N, at[q]);
            m[q] = 0.9 * m[q] + 0.1 * g;
            v[q] = 0.99 * v[q] + 0.01 * g * g;
            x[q] = (double)*at[q] - 0.02 * (m[q] / (1 - pow(0.9, t)))
                                        / (sqrt(v[q] / (1 - pow(0.99, t))) + 1e-8);
        }
        cvxr_descent_scalars(&s, &plan, 0.02, (size_t)t);
        cvxr_descent_step(&s);
        for (q = 0; q < 2; q++) CHECK_NEAR((double)*at[q], x[q], 2e-4);
    }
    cvxr_descent_close(&s);
    cvxr_data_free(&mem, &data);
}

TEST(every_method_and_schedule_lowers_the_objective) {
    cvxr_mem mem;
    cvxr_data data;
    cvxrelu_options opt = s18_options(1, 0);
    int update, schedule;
    s18_make(S18_N, S18_D, &mem, &data);
    for (update = 0; update < 3; update++)
        for (schedule = 0; schedule < 3; schedule++) {
            cvxr_descent s;
            cvxr_descent_plan plan = s18_plan(S18_N, 50, 150);
            double before;
            plan.update = (cvxr_update)update;
            plan.schedule = (cvxr_schedule)schedule;
            plan.halve_every = 50;
            plan.batch = schedule == 1 ? 25 : S18_N;
            plan.step_size = update == 1 ? 0.05 : 0.02;
            CHECK(cvxr_descent_open(&s, &mem, &data, &opt, 50, plan.batch));
            s.Y = data.Y;
            cvxr_descent_draw(&s, 50, plan.seed);
            before = s18_objective(&s, &data, plan.lambda, 0, S18_N);
            CHECK(cvxr_descent_run(&s, &plan, data.Y, NULL));
            CHECK(s18_objective(&s, &data, plan.lambda, 0, S18_N) < 0.2 * before);
            cvxr_descent_close(&s);
        }
    cvxr_data_free(&mem, &data);
}

TEST(rates_follow_the_schedule) {
    cvxr_descent_plan plan = s18_plan(10, 10, 100);
    CHECK_NEAR(cvxr_descent_rate(&plan, 0, 100, 0), 0.03, 1e-15);
    CHECK_NEAR(cvxr_descent_rate(&plan, 50, 100, 50), 0.015, 1e-15);
    CHECK_NEAR(cvxr_descent_rate(&plan, 100, 100, 99), 0, 1e-15);
    plan.schedule = CVXR_SCHEDULE_CONSTANT;
    CHECK_NEAR(cvxr_descent_rate(&plan, 70, 100, 70), 0.03, 1e-15);
    plan.schedule = CVXR_SCHEDULE_HALVE;
    plan.halve_every = 20;
    CHECK_NEAR(cvxr_descent_rate(&plan, 39, 100, 39), 0.015, 1e-15);
    CHECK_NEAR(cvxr_descent_rate(&plan, 40, 100, 40), 0.0075, 1e-15);
}

/* Twins (a scaled copy of every neuron) and dust are tidied away; the outputs stay, and the
   penalty does not grow. */
TEST(tidying_keeps_the_network) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_descent s;
    cvxrelu_options opt = s18_options(1, 0);
    double before[S18_N], decay;
    size_t i, j, k;
    s18_make(S18_N, S18_D, &mem, &data);
    CHECK(cvxr_descent_open(&s, &mem, &data, &opt, 40, S18_N));
    s.Y = data.Y;
    cvxr_descent_load(&s);
    cvxr_descent_forget(&s);
    cvxr_descent_draw(&s, 40, 1);
    for (j = 20; j < 40; j++) {
        for (k = 0; k < S18_D; k++)
            s.W[j * s.width + k] = 2 * s.W[(j - 20) * s.width + k] * (j == 39 ? 1e-6f : 1);
        s.a[j] = s.a[j - 20] * (j == 25 ? -3 : 3); /* number 25: the other sign */
    }
    for (i = 0; i < S18_N; i++) before[i] = s18_output(&s, &data, i);
    decay = s18_objective(&s, &data, 1, 0, S18_N);
    cvxr_descent_tidy(&s, 1e-4, 0);
    CHECK(s.m == 39);
    cvxr_descent_tidy(&s, 1e-4, 1);
    CHECK(s.m == 21);
    for (i = 0; i < S18_N; i++) CHECK_NEAR(s18_output(&s, &data, i), before[i], 1e-4);
    CHECK(s18_objective(&s, &data, 1, 0, S18_N) <= decay * (1 + 1e-6));
    cvxr_descent_step(&s); /* the rows that pad the last three neurons are zero */
    for (j = s.m; j < s.m + 3; j++) CHECK(s.a[j] == 0);
    cvxr_descent_close(&s);
    cvxr_data_free(&mem, &data);
}

/* Tasks in reverse order, as threads might run them. */
static void s18_backwards(void *context, size_t count, void (*body)(void *arg, size_t i),
                          void *arg) {
    ++*(int *)context;
    while (count-- > 0) body(arg, count);
}

TEST(same_seed_same_bits_whatever_the_threads) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_descent s, q;
    int calls = 0;
    cvxrelu_options one = s18_options(1, 0), four = s18_options(4, 0);
    cvxr_descent_plan plan = s18_plan(S18_N, 2 * S18_M, 60);
    four.parallel.parallel_for = s18_backwards;
    four.parallel.context = &calls;
    plan.tidy_every = 20;
    plan.merge_from = 20;
    plan.floor = 1e-3;
    s18_make(S18_N, S18_D, &mem, &data);
    CHECK(cvxr_descent_open(&s, &mem, &data, &one, plan.width, S18_N));
    CHECK(cvxr_descent_open(&q, &mem, &data, &four, plan.width, S18_N));
    CHECK(cvxr_descent_run(&s, &plan, data.Y, NULL));
    CHECK(cvxr_descent_run(&q, &plan, data.Y, NULL));
    CHECK(calls > 0 && s.m == q.m && s.m < plan.width);
    CHECK(memcmp(s.W, q.W, s.m * s.width * sizeof(cvxr_fast)) == 0);
    CHECK(memcmp(s.a, q.a, s.m * sizeof(cvxr_fast)) == 0);
    CHECK(cvxr_descent_run(&q, &plan, data.Y, NULL)); /* again: nothing is left over */
    CHECK(s.m == q.m && memcmp(s.W, q.W, s.m * s.width * sizeof(cvxr_fast)) == 0);
    plan.seed++;
    CHECK(cvxr_descent_run(&q, &plan, data.Y, NULL));
    CHECK(s.m != q.m || memcmp(s.W, q.W, s.m * s.width * sizeof(cvxr_fast)) != 0);
    cvxr_descent_close(&q);
    cvxr_descent_close(&s);
    cvxr_data_free(&mem, &data);
    CHECK(mem.now == 0);
}

TEST(descent_takes_the_smallest_data_and_says_what_it_holds) {
    const size_t n[4] = { 1, 2, 33, 64 }, d[4] = { 1, 3, 1, S18_D };
    int c;
    for (c = 0; c < 4; c++) {
        cvxr_mem mem;
        cvxr_data data;
        cvxr_descent s;
        cvxrelu_options opt = s18_options(1, 0);
        cvxr_descent_plan plan = s18_plan(n[c], 5, 50);
        double v[8];
        size_t held, j, k;
        s18_make(n[c], d[c], &mem, &data);
        held = mem.now;
        plan.batch = c == 3 ? 7 : n[c];
        plan.tidy_every = 10;
        CHECK(cvxr_descent_open(&s, &mem, &data, &opt, 5, plan.batch));
        CHECK(mem.now - held == cvxr_descent_bytes(n[c], d[c], 5, plan.batch));
        CHECK(cvxr_descent_run(&s, &plan, data.Y, NULL));
        CHECK(s.m <= 5);
        for (j = 0; j < s.m; j++) {
            int sign = cvxr_descent_neuron(&s, j, v, data.dp);
            CHECK(sign == (s.a[j] > 0 ? 1 : -1));
            for (k = d[c]; k < data.dp; k++) CHECK(v[k] == 0);
        }
        cvxr_descent_close(&s);
        cvxr_data_free(&mem, &data);
        CHECK(mem.now == 0);
    }
}

TEST(descent_that_diverges_stops) {
    cvxr_mem mem;
    cvxr_data data;
    cvxr_descent s;
    cvxrelu_options opt = s18_options(1, 0);
    cvxr_descent_plan plan = s18_plan(S18_N, 20, 1000);
    s18_make(S18_N, S18_D, &mem, &data);
    plan.update = CVXR_UPDATE_SGD;
    plan.step_size = 1e4;
    CHECK(cvxr_descent_open(&s, &mem, &data, &opt, 20, S18_N));
    CHECK(!cvxr_descent_run(&s, &plan, data.Y, NULL));
    cvxr_descent_close(&s);
    cvxr_data_free(&mem, &data);
}

/* The network that comes back has the objective reported, recomputed from W1 and W2. */
TEST(descend_returns_the_network_it_reports) {
    cvxrelu_problem p;
    cvxrelu_descend_options o;
    cvxrelu_report report;
    cvxrelu_model *model;
    cvxr_mem mem;
    cvxr_data data;
    int method;
    s18_make(S18_N, S18_D, &mem, &data);
    p = s06_problem(s18_X, S18_N, S18_D, s18_Y, 1);
    p.scale = CVXRELU_SCALE_NONE;
    p.no_bias = 1;
    p.kind = CVXRELU_RELU;
    p.lambda = 1e-3;
    for (method = 0; method < 3; method++) {
        double W1[40 * (S18_D + 1)], W2[40], loss = 0, decay = 0, zero = 0;
        size_t i, j, k;
        cvxrelu_model_info info;
        memset(&o, 0, sizeof o);
        o.method = (cvxrelu_descend_method)method;
        o.width = 40;
        o.epochs = 300;
        o.step_size = method == 1 ? 0.05 : 0.02;
        o.batch = method == 2 ? 30 : 0;
        CHECK(cvxrelu_descend(&p, NULL, &o, &model, &report) == CVXRELU_OK);
        cvxrelu_model_get_info(model, &info);
        CHECK(info.neurons <= 40 && info.neurons == report.neurons);
        CHECK(report.iterations == (method == 2 ? 900 : 300));
        CHECK(report.stop == CVXRELU_STOP_ITERATIONS && report.dual_bound <= report.objective);
        cvxrelu_model_network(model, W1, NULL, W2, NULL);
        for (i = 0; i < S18_N; i++) {
            double r = -s18_Y[i];
            for (j = 0; j < info.neurons; j++) {
                double z = 0;
                for (k = 0; k < S18_D; k++)
                    z += s18_X[i * S18_D + k] * W1[j * (S18_D + 1) + k];
                if (z > 0) r += z * W2[j];
            }
            loss += r * r / (2 * S18_N);
            zero += s18_Y[i] * s18_Y[i] / (2 * S18_N);
        }
        for (j = 0; j < info.neurons; j++) {
            decay += W2[j] * W2[j];
            for (k = 0; k < S18_D; k++)
                decay += W1[j * (S18_D + 1) + k] * W1[j * (S18_D + 1) + k];
        }
        CHECK_NEAR(report.objective, loss + 0.5 * p.lambda * decay, 1e-9);
        CHECK(report.objective < 0.5 * zero);
        cvxrelu_model_free(model);
    }
    cvxr_data_free(&mem, &data);
}

TEST(descend_refuses_what_it_cannot_do) {
    cvxrelu_problem p = s06_problem(s18_X, 20, 2, s18_Y, 1);
    cvxrelu_descend_options o;
    cvxrelu_report report;
    cvxrelu_model *model;
    memset(&o, 0, sizeof o);
    p.lambda = 1e-3;
    CHECK(cvxrelu_descend(&p, NULL, NULL, &model, &report) == CVXRELU_ERR_UNSUPPORTED);
    p.kind = CVXRELU_RELU;
    p.lambda = 0;
    CHECK(cvxrelu_descend(&p, NULL, NULL, &model, &report) == CVXRELU_ERR_UNSUPPORTED);
    p.lambda = 1e-3;
    o.epochs = -1;
    CHECK(cvxrelu_descend(&p, NULL, &o, &model, &report) == CVXRELU_ERR_ARGUMENT);
    o.epochs = 2;
    o.momentum = 1;
    CHECK(cvxrelu_descend(&p, NULL, &o, &model, &report) == CVXRELU_ERR_ARGUMENT);
    o.momentum = 0;
    o.method = CVXRELU_DESCEND_SGD;
    o.step_size = 1e30;
    o.epochs = 100;
    CHECK(cvxrelu_descend(&p, NULL, &o, &model, &report) == CVXRELU_ERR_NUMERIC);
    CHECK(model == NULL && report.message[0] != 0);
    CHECK(cvxrelu_descend(&p, NULL, &o, NULL, &report) == CVXRELU_ERR_ARGUMENT);
    CHECK(cvxrelu_descend(&p, NULL, &o, &model, NULL) == CVXRELU_ERR_ARGUMENT);
}

SUITE(s18_descent) {
    RUN(a_step_follows_the_gradient);
    RUN(a_step_on_a_minibatch_follows_the_gradient_of_its_rows);
    RUN(adam_is_the_published_update);
    RUN(every_method_and_schedule_lowers_the_objective);
    RUN(rates_follow_the_schedule);
    RUN(tidying_keeps_the_network);
    RUN(same_seed_same_bits_whatever_the_threads);
    RUN(descent_takes_the_smallest_data_and_says_what_it_holds);
    RUN(descent_that_diverges_stops);
    RUN(descend_returns_the_network_it_reports);
    RUN(descend_refuses_what_it_cannot_do);
}
