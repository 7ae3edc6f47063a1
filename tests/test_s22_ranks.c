/* Tests of options.ranks over all sections: the ranks are threads with a communicator of these
   tests, each with its shard of the rows. Problems: test_s14_newton.c. */

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <time.h>

#define RANKS_MOST 5
#define RANKS_LOG  60000

/* ---- The communicator: whoever comes last does the sums, in the order of the ranks. A rank
   that fails, comes with another call than the others, or stays away, ends it for all. */

typedef struct ranks_sent {
    size_t count;
    cvxrelu_type type;
    cvxrelu_reduction op;
} ranks_sent;

typedef struct ranks_world {
    pthread_mutex_t lock;
    pthread_cond_t turn;
    int size, arrived, dead, mixed, late;
    unsigned long round;
    void *buffers[RANKS_MOST];
    ranks_sent sent[RANKS_MOST];
    ranks_sent *log; /* NULL, or RANKS_LOG of rank 0 */
    size_t logged;
} ranks_world;

/* One rank: what it is asked, what came of it. */
typedef struct ranks_member {
    ranks_world *world;
    int rank;
    size_t calls, fail_at;         /* of allreduce, from 1; 0 = never */
    size_t there;                  /* numbers that were a device's */
    double bytes;
    size_t taken, refuse_at, held; /* of the allocator, likewise; blocks not given back */
    int ticks, stop_at;            /* of progress */
    cvxrelu_problem problem;
    cvxrelu_options options;
    const cvxrelu_model *start;
    const cvxrelu_path_options *path;
    int bytes_only;                /* cvxrelu_fit_bytes is asked, into room */
    size_t room;
    cvxrelu_result result;
    cvxrelu_report reports[8];
    cvxrelu_model *models[8];
} ranks_member;

static void ranks_combine(ranks_world *w) {
    const ranks_sent s = w->sent[0];
    size_t i;
    int r;
    for (r = 1; r < w->size; r++)
        if (w->sent[r].count != s.count || w->sent[r].type != s.type || w->sent[r].op != s.op)
            w->dead = w->mixed = 1;
    if (w->dead) return;
    if (w->log && w->logged < RANKS_LOG) w->log[w->logged++] = s;
    for (r = 1; r < w->size; r++)
        for (i = 0; i < s.count; i++) {
            double *a = (double *)w->buffers[0] + i, b;
            float *f = (float *)w->buffers[0] + i, g;
            if (s.type == CVXRELU_FLOAT64) {
                b = ((double *)w->buffers[r])[i];
                *a = s.op == CVXRELU_SUM ? *a + b : b > *a ? b : *a;
            } else {
                g = ((float *)w->buffers[r])[i];
                *f = s.op == CVXRELU_SUM ? *f + g : g > *f ? g : *f;
            }
        }
    for (r = 1; r < w->size; r++)
        memcpy(w->buffers[r], w->buffers[0],
               s.count * (s.type == CVXRELU_FLOAT64 ? sizeof(double) : sizeof(float)));
}

static int ranks_allreduce(void *context, void *buffer, size_t count, cvxrelu_type type,
                           cvxrelu_reduction op) {
    ranks_member *m = (ranks_member *)context;
    ranks_world *w = m->world;
    unsigned long round;
    int dead;
    pthread_mutex_lock(&w->lock);
    m->bytes += (double)count * (type == CVXRELU_FLOAT64 ? 8 : 4);
    if (++m->calls == m->fail_at) w->dead = 1;
    if (!w->dead) {
        w->buffers[m->rank] = buffer;
        w->sent[m->rank].count = count, w->sent[m->rank].type = type;
        w->sent[m->rank].op = op;
        round = w->round;
        if (++w->arrived == w->size) {
            ranks_combine(w);
            w->arrived = 0;
            w->round++;
            pthread_cond_broadcast(&w->turn);
        }
        while (w->round == round && !w->dead) {
            struct timespec until;
            until.tv_sec = time(NULL) + 10, until.tv_nsec = 0;
            if (pthread_cond_timedwait(&w->turn, &w->lock, &until) && w->round == round)
                w->dead = w->late = 1;
        }
        if (w->round != round && !w->mixed) { /* this one was whole, whatever came after */
            pthread_mutex_unlock(&w->lock);
            return 0;
        }
    }
    dead = w->dead;
    pthread_cond_broadcast(&w->turn);
    pthread_mutex_unlock(&w->lock);
    return dead ? 7 : 0;
}

/* ---- Ranks as threads. */

static void *ranks_allocate(void *context, size_t size, size_t align) {
    ranks_member *m = (ranks_member *)context;
    (void)align;
    if (++m->taken == m->refuse_at) return NULL;
    m->held++;
    return cvxr_default_allocate(size);
}

static void ranks_release(void *context, void *memory, size_t size) {
    (void)size;
    ((ranks_member *)context)->held--;
    cvxr_default_release(memory);
}

static int ranks_progress(void *user, const cvxrelu_progress *progress) {
    ranks_member *m = (ranks_member *)user;
    (void)progress;
    return ++m->ticks == m->stop_at;
}

static void *ranks_thread(void *argument) {
    ranks_member *m = (ranks_member *)argument;
    if (m->bytes_only)
        m->result =
            cvxrelu_fit_bytes(&m->problem, &m->options, &m->room, m->reports->message);
    else if (m->path)
        m->result = cvxrelu_path(&m->problem, &m->options, m->path, m->models, m->reports,
                                 m->reports->message);
    else
        m->result =
            cvxrelu_fit(&m->problem, &m->options, m->start, m->models, m->reports);
    return NULL;
}

/* The rows of p in shards of these sizes. */
static void ranks_open(ranks_world *w, ranks_member *m, const cvxrelu_problem *p,
                       const cvxrelu_options *o, int size, const size_t *shards) {
    const size_t ldx = p->X.stride ? p->X.stride : p->X.cols,
                 ldy = p->Y.stride ? p->Y.stride : p->Y.cols;
    size_t first = 0;
    int r;
    memset(w, 0, sizeof *w);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->turn, NULL);
    w->size = size;
    memset(m, 0, RANKS_MOST * sizeof *m);
    for (r = 0; r < size; r++, m++) {
        m->world = w;
        m->rank = r;
        m->problem = *p;
        m->problem.X.data = (const double *)p->X.data + first * ldx;
        m->problem.Y.data = (const double *)p->Y.data + first * ldy;
        m->problem.X.rows = m->problem.Y.rows = shards[r];
        first += shards[r];
        m->options = *o;
        m->options.ranks.allreduce = ranks_allreduce;
        m->options.ranks.context = m;
        m->options.ranks.rank = r;
        m->options.ranks.size = size;
        m->options.allocator.context = m;
        m->options.allocator.allocate = ranks_allocate;
        m->options.allocator.release = ranks_release;
        m->options.progress_user = m;
    }
    CHECK(first == p->X.rows);
}

static void ranks_run(ranks_world *w, ranks_member *m) {
    pthread_t threads[RANKS_MOST];
    int r, started = 0;
    for (r = 1; r < w->size; r++)
        started += pthread_create(&threads[r], NULL, ranks_thread, m + r) == 0;
    if (started != w->size - 1) abort();
    ranks_thread(m);
    for (r = 1; r < w->size; r++) pthread_join(threads[r], NULL);
    CHECK(!w->mixed && !w->late);
}

static void ranks_free_models(ranks_member *m, int size) {
    int r, i;
    for (r = 0; r < size; r++)
        for (i = 0; i < 8; i++) cvxrelu_model_free(m[r].models[i]), m[r].models[i] = NULL;
}

/* Nothing is held. */
static void ranks_close(ranks_world *w, ranks_member *m) {
    int r;
    ranks_free_models(m, w->size);
    for (r = 0; r < w->size; r++) CHECK(m[r].held == 0);
    pthread_cond_destroy(&w->turn);
    pthread_mutex_destroy(&w->lock);
}

static int ranks_same_models(const cvxrelu_model *a, const cvxrelu_model *b) {
    return a && b && a->m == b->m && a->d == b->d
           && memcmp(a->u, b->u, a->m * a->d * sizeof(double)) == 0
           && memcmp(a->g, b->g, a->m * a->d * sizeof(double)) == 0
           && memcmp(&a->info.objective, &b->info.objective, sizeof(double)) == 0;
}

/* All went well, all ranks have one model, and the report counts what the hook saw. */
static void ranks_check_models(const ranks_world *w, const ranks_member *m, int models) {
    int r, i;
    for (r = 0; r < w->size; r++) {
        CHECK(m[r].result == CVXRELU_OK);
        if (m[r].result) CHECK_TEXT(m[r].reports->message, "");
        for (i = 0; i < models; i++)
            CHECK(ranks_same_models(m->models[i], m[r].models[i]));
        CHECK(w->size == 1 ? m[r].calls == 0
                           : m[r].reports[models - 1].reductions == (double)m[r].calls);
        CHECK(m[r].reports[models - 1].reduced_bytes == m[r].bytes);
    }
}

/* The same gates, in the same order, to rounding (sampled through points) or to the bit. */
static void ranks_check_gates(const cvxrelu_model *one, const cvxrelu_model *many,
                              double tolerance) {
    size_t i;
    CHECK(one && many && one->gate_count == many->gate_count);
    if (!one || !many || one->gate_count != many->gate_count) return;
    for (i = 0; i < one->gate_count * one->d; i++)
        if (!(fabs(one->gates[i] - many->gates[i]) <= tolerance * (1 + fabs(one->gates[i])))) {
            CHECK_NEAR(one->gates[i], many->gates[i], tolerance);
            return;
        }
}

static const size_t ranks_shards[5][RANKS_MOST] = {
    { 150, 0, 0, 0, 0 }, { 1, 149, 0, 0, 0 }, { 70, 3, 77, 0, 0 }, { 64, 1, 21, 64, 0 },
    { 30, 30, 30, 30, 30 }
};

/* One process, then 1 to 5 ranks, twice each: the same optimum, the same bits both times. */
static void ranks_compare(const cvxrelu_problem *p, const cvxrelu_options *o,
                          double tolerance) {
    cvxrelu_report alone;
    cvxrelu_model *one = s14_fit(p, o, &alone);
    const double gates = p->gates.sampler == CVXRELU_SAMPLER_POINTS ? 1e-7
                         : p->gates.sampler == CVXRELU_SAMPLER_GIVEN ? 1e-12 : 0;
    int size;
    for (size = 1; size <= RANKS_MOST; size++) {
        ranks_world w, again;
        ranks_member m[RANKS_MOST], n[RANKS_MOST];
        int r;
        ranks_open(&w, m, p, o, size, ranks_shards[size - 1]);
        ranks_run(&w, m);
        ranks_check_models(&w, m, 1);
        ranks_open(&again, n, p, o, size, ranks_shards[size - 1]);
        ranks_run(&again, n);
        CHECK(ranks_same_models(m->models[0], n->models[0]));
        ranks_check_gates(one, m->models[0], gates);
        for (r = 0; r < size; r++) {
            CHECK(m[r].reports->n == alone.n && m[r].reports->patterns == alone.patterns);
            CHECK(m[r].reports->near_ties == alone.near_ties);
            CHECK(m[r].reports->stop == alone.stop);
            CHECK_NEAR(m[r].reports->objective, alone.objective, tolerance * alone.objective);
            CHECK_NEAR(m[r].reports->lambda_max, alone.lambda_max, 1e-12 * alone.lambda_max);
            CHECK_NEAR(m[r].reports->train_error, alone.train_error,
                       1e-3 * alone.train_error);
        }
        if (size == 1) CHECK(ranks_same_models(one, m->models[0]));
        ranks_close(&w, m);
        ranks_close(&again, n);
    }
    cvxrelu_model_free(one);
}

/* With bias and standard scaling. */
static cvxrelu_problem ranks_scaled(size_t n, size_t d, size_t c, size_t P) {
    cvxrelu_problem p = s14_problem(n, d, c, P);
    p.scale = CVXRELU_SCALE_STANDARD;
    p.no_bias = 0;
    p.lambda = 1e-3;
    return p;
}

static cvxrelu_problem ranks_problem(void) { return ranks_scaled(150, 6, 2, 120); }

TEST(newton_has_the_optimum_of_one_process) {
    cvxrelu_problem p = ranks_problem();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-11);
    ranks_compare(&p, &o, 1e-10);
    p.scale = CVXRELU_SCALE_NONE, p.no_bias = 1, p.centre_targets = 1, p.lambda = 1e-2;
    ranks_compare(&p, &o, 1e-10);
}

TEST(first_order_methods_have_the_optimum_of_one_process) {
    cvxrelu_problem p = ranks_problem();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 1e-11);
    p.lambda = 1e-2;
    ranks_compare(&p, &o, 1e-10);
    p.penalty = CVXRELU_PENALTY_FEATURE;
    ranks_compare(&p, &o, 1e-10);
    p.penalty = CVXRELU_PENALTY_L2;
    ranks_compare(&p, &o, 1e-10);
    p.penalty = CVXRELU_PENALTY_L1;
    ranks_compare(&p, &o, 1e-10);
    o.precision = CVXRELU_FLOAT32, o.tol = 1e-4;
    ranks_compare(&p, &o, 1e-4);
}

TEST(least_squares_have_the_optimum_of_one_process) {
    cvxrelu_problem p = ranks_problem();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-9);
    p.gates.count = 8, p.lambda = 0;
    ranks_compare(&p, &o, 1e-10);
}

/* Gates of every sampler, with columns that are zero on some ranks or on all, and few patterns
   on two columns, most of them repeated. */
TEST(patterns_are_those_of_one_process) {
    static double X[150 * 7], given[30 * 7];
    cvxrelu_problem p = ranks_problem();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-9);
    cvxrelu_random random;
    size_t i;
    for (i = 0; i < 150; i++) {
        memcpy(X + i * 7, s14_X + i * 6, 6 * sizeof(double));
        X[i * 7 + 2] = i < 80 ? 0 : X[i * 7 + 2];
        X[i * 7 + 6] = 0;
    }
    p.X.data = X, p.X.cols = 7;
    p.gates.sampler = CVXRELU_SAMPLER_SPARSE, p.gates.order = 3;
    ranks_compare(&p, &o, 1e-9);
    p.gates.sampler = CVXRELU_SAMPLER_POINTS;
    ranks_compare(&p, &o, 1e-9);
    p.gates.sampler = CVXRELU_SAMPLER_PATCH;
    p.gates.width = 7, p.gates.height = 1, p.gates.patch = 1;
    ranks_compare(&p, &o, 1e-9);
    cvxrelu_random_init(&random, 5);
    s14_normals(&random, 30 * 7, given);
    for (i = 0; i < 7; i++) given[i] = 0, given[7 + i] = 0; /* ties, repeated */
    p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
    p.gates.given.data = given, p.gates.given.rows = 30, p.gates.given.cols = 7;
    ranks_compare(&p, &o, 1e-9);
    p = ranks_problem();
    p.X.cols = 2, p.X.stride = 6, p.gates.count = 2000;
    ranks_compare(&p, &o, 1e-9);
}

TEST(classes_are_those_of_all_rows) {
    static double labels[150];
    cvxrelu_problem p = ranks_problem();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-9);
    ranks_world w;
    ranks_member m[RANKS_MOST];
    size_t i;
    int r;
    for (i = 0; i < 150; i++) labels[i] = s14_X[6 * i] > 0;
    p.task = CVXRELU_TASK_CLASSES;
    p.Y.data = labels, p.Y.cols = 1;
    ranks_compare(&p, &o, 1e-9);
    for (i = 71; i < 150; i++) labels[i] += 2 * (s14_X[6 * i + 1] > 0);
    ranks_compare(&p, &o, 1e-9);
    labels[0] = 150; /* one rank of many rows might take it for a label */
    ranks_open(&w, m, &p, &o, 2, ranks_shards[1]);
    ranks_run(&w, m);
    for (r = 0; r < 2; r++) CHECK(m[r].result == CVXRELU_ERR_LABELS);
    ranks_close(&w, m);
}

/* ReLU by the augmented Lagrangian: its projections on cones of rows that are on other ranks.
   The bound holds against the optimum, the weights satisfy all constraints. */
TEST(relu_networks_have_the_optimum_of_one_process) {
    cvxrelu_problem p = s14_problem(40, 4, 2, 12);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-10);
    cvxrelu_report truth, alone;
    int size;
    p.kind = CVXRELU_RELU;
    p.search = CVXRELU_SEARCH_OFF;
    p.lambda = 0.1;
    cvxrelu_model_free(s14_fit(&p, &o, &truth));
    o.solver = CVXRELU_SOLVER_AL, o.tol = 1e-6;
    o.subgradient_tol = o.al.constraint_tol = 1e-16;
    cvxrelu_model_free(s14_fit(&p, &o, &alone));
    CHECK(alone.stop == CVXRELU_STOP_GAP && truth.stop == CVXRELU_STOP_GAP);
    for (size = 2; size <= 4; size++) {
        static const size_t shards[3][RANKS_MOST] = { { 1, 39, 0, 0, 0 },
                                                      { 12, 8, 20, 0, 0 },
                                                      { 10, 10, 10, 10, 0 } };
        ranks_world w, again;
        ranks_member m[RANKS_MOST], n[RANKS_MOST];
        const cvxrelu_report *r = m->reports;
        ranks_open(&w, m, &p, &o, size, shards[size - 2]);
        ranks_run(&w, m);
        ranks_check_models(&w, m, 1);
        if (size == 3) {
            ranks_open(&again, n, &p, &o, size, shards[size - 2]);
            ranks_run(&again, n);
            CHECK(ranks_same_models(m->models[0], n->models[0]));
            ranks_close(&again, n);
        }
        CHECK(r->solver == CVXRELU_SOLVER_AL && r->stop == CVXRELU_STOP_GAP && r->gap <= 1e-6);
        CHECK(r->dual_bound <= truth.objective * (1 + 1e-12));
        CHECK(r->objective >= truth.dual_bound && r->constraint_violation <= 1e-11);
        CHECK_NEAR(r->lambda_max, truth.lambda_max, 1e-10 * truth.lambda_max);
        CHECK_NEAR(r->objective, alone.objective, 2e-6 * alone.objective);
        CHECK(r->raw_violation > 0);
        ranks_close(&w, m);
    }
}

/* ---- Failures: all ranks end, with an error each, and hold nothing. */

static double ranks_nan(void) {
    const uint64_t bits = 0x7ff8000000000000u;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A small problem over three ranks. */
static cvxrelu_problem ranks_small(void) { return ranks_scaled(60, 4, 1, 40); }
static const size_t ranks_three[RANKS_MOST] = { 25, 1, 34, 0, 0 };

/* The culprit has this result, the others are told of it. */
static void ranks_check_failure(const ranks_member *m, int size, int culprit,
                                cvxrelu_result why) {
    char named[64];
    int r;
    sprintf(named, "rank %d of %d failed", culprit, size);
    for (r = 0; r < size; r++) {
        CHECK(m[r].models[0] == NULL);
        CHECK(m[r].result == (r == culprit ? why : CVXRELU_ERR_RANKS));
        CHECK(m[r].reports->message[0] != 0);
        if (r != culprit) CHECK(strstr(m[r].reports->message, named) != NULL);
    }
}

TEST(bad_input_of_one_rank_ends_all) {
    cvxrelu_problem p = ranks_small();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-8);
    int culprit, way;
    for (culprit = 0; culprit < 3; culprit++)
        for (way = 0; way < 4; way++) {
            ranks_world w;
            ranks_member m[RANKS_MOST];
            const size_t at = (culprit == 0 ? 0 : culprit == 1 ? 25 : 26) * 4;
            const double good = s14_X[at];
            ranks_open(&w, m, &p, &o, 3, ranks_three);
            if (way == 0) s14_X[at] = ranks_nan();
            if (way == 1) m[culprit].problem.Y.rows++;
            if (way == 2) m[culprit].options.tol = 2;
            if (way == 3) m[culprit].options.time_limit = -1;
            ranks_run(&w, m);
            s14_X[at] = good;
            ranks_check_failure(m, 3, culprit,
                                way == 0 ? CVXRELU_ERR_NONFINITE : CVXRELU_ERR_ARGUMENT);
            ranks_close(&w, m);
        }
}

/* Every allocation of every rank in turn: an error of all of them, or the fit does without on
   all of them. */
static void ranks_refuse_each(const cvxrelu_problem *p, const cvxrelu_options *o,
                              int optional) {
    size_t at, last = 0, without = 0, failed = 0;
    int culprit;
    for (at = 0; at <= last; at++) /* nothing is refused at 0 */
        for (culprit = 0; culprit < 3; culprit++) {
            ranks_world w;
            ranks_member m[RANKS_MOST];
            ranks_open(&w, m, p, o, 3, ranks_three);
            m[culprit].refuse_at = at;
            ranks_run(&w, m);
            if (m[culprit].taken > last) last = m[culprit].taken;
            if (m[culprit].result == CVXRELU_OK) {
                ranks_check_models(&w, m, 1);
                without += at > 0 && m[culprit].taken >= at;
            } else {
                ranks_check_failure(m, 3, culprit, CVXRELU_ERR_MEMORY);
                failed++;
            }
            ranks_close(&w, m);
        }
    CHECK(failed > 30 && without < failed / 3 && (without > 0) == optional);
}

TEST(memory_refused_to_one_rank_ends_all) {
    cvxrelu_problem p = ranks_small();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-8);
    ranks_refuse_each(&p, &o, 1); /* factors */
    o.solver = CVXRELU_SOLVER_FISTA, o.tol = 1e-3;
    ranks_refuse_each(&p, &o, 0);
    o.solver = CVXRELU_SOLVER_AUTO, p.lambda = 0;
    ranks_refuse_each(&p, &o, 0);
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF, p.lambda = 0.1, p.gates.count = 4;
    o.max_iters = 20;
    ranks_refuse_each(&p, &o, 0);
}

/* The hook fails on one rank at its k-th call: all ranks end with that. */
static void ranks_break_each(const cvxrelu_problem *p, const cvxrelu_options *o) {
    size_t at, last = 1;
    for (at = 1; at <= last; at += 1 + at / 8) {
        ranks_world w;
        ranks_member m[RANKS_MOST];
        const int culprit = (int)(at % 3);
        int r;
        ranks_open(&w, m, p, o, 3, ranks_three);
        if (last > 1) m[culprit].fail_at = at;
        ranks_run(&w, m);
        if (last == 1) last = m->calls, at = 0;
        else
            for (r = 0; r < 3; r++) {
                CHECK(m[r].result == CVXRELU_ERR_RANKS && m[r].models[0] == NULL);
                CHECK(strstr(m[r].reports->message, "allreduce returned 7") != NULL);
                CHECK(m[r].calls == at);
            }
        ranks_close(&w, m);
    }
    CHECK(last > 60);
}

TEST(a_hook_that_fails_ends_all) {
    cvxrelu_problem p = ranks_small();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-10);
    ranks_break_each(&p, &o);
    o.solver = CVXRELU_SOLVER_FISTA, o.tol = 1e-3;
    ranks_break_each(&p, &o);
    o.solver = CVXRELU_SOLVER_AUTO, p.lambda = 0;
    ranks_break_each(&p, &o);
    p.lambda = 1e-3, p.gates.sampler = CVXRELU_SAMPLER_POINTS;
    ranks_break_each(&p, &o);
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF, p.lambda = 0.05, p.gates.count = 8;
    o.max_iters = 300;
    ranks_break_each(&p, &o);
}

/* What ranks must agree on, and are told by name. */
TEST(ranks_that_disagree_are_refused) {
    static const char *const names[] = { "columns of X", "columns of Y",     "kind of network",
                                         "lambda",       "problem.gates",    "problem.gates",
                                         "options",      "options",          "the start",
                                         "the call",     "numbers 0 to 2",   "ranks.size" };
    cvxrelu_problem p = ranks_small();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-8);
    cvxrelu_report report;
    cvxrelu_path_options path;
    cvxrelu_model *start = s14_fit(&p, &o, &report);
    size_t way;
    int r;
    memset(&path, 0, sizeof path);
    path.count = 2;
    for (way = 0; way < S14_COUNT(names); way++) {
        ranks_world w;
        ranks_member m[RANKS_MOST];
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        if (way == 0) m[1].problem.X.cols = 3, m[1].problem.X.stride = 4;
        if (way == 1) m[1].problem.Y.cols = m[1].problem.Y.stride = 2;
        if (way == 2) m[2].problem.scale = CVXRELU_SCALE_NONE;
        if (way == 3) m[0].problem.lambda = 2e-3;
        if (way == 4) m[2].problem.gates.seed = 1;
        if (way == 5) m[2].problem.gates.count = 39;
        if (way == 6) m[1].options.tol = 1e-7;
        if (way == 7) m[1].options.solver = CVXRELU_SOLVER_FISTA;
        if (way == 8) m[1].start = start;
        if (way == 9) m[1].path = &path;
        if (way == 10) m[1].options.ranks.rank = 2;
        if (way == 11) m[1].options.ranks.size = 65; /* counted in two allreduces */
        ranks_run(&w, m);
        for (r = 0; r < 3; r++) {
            CHECK(m[r].result == CVXRELU_ERR_ARGUMENT && m[r].models[0] == NULL);
            if (strstr(m[r].reports->message, names[way]) == NULL)
                CHECK_TEXT(m[r].reports->message, names[way]);
        }
        ranks_close(&w, m);
    }
    cvxrelu_model_free(start);
}

/* A stop of one rank, by its callback or its clock, is the stop of all. */
static double ranks_clock(void *user) { return (double)++*(int *)user; }

TEST(what_stops_one_rank_stops_all) {
    cvxrelu_problem p = ranks_small();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-11);
    int way, culprit, r;
    for (way = 0; way < 4; way++)
        for (culprit = 0; culprit < 3; culprit++) {
            ranks_world w;
            ranks_member m[RANKS_MOST];
            int ticks = 0;
            o.solver = way % 2 ? CVXRELU_SOLVER_FISTA : CVXRELU_SOLVER_NEWTON;
            ranks_open(&w, m, &p, &o, 3, ranks_three);
            if (way < 2) m[culprit].options.progress = ranks_progress, m[culprit].stop_at = 4;
            else {
                m[culprit].options.clock.seconds = ranks_clock;
                m[culprit].options.clock.user = &ticks;
                m[culprit].options.time_limit = 5;
            }
            ranks_run(&w, m);
            ranks_check_models(&w, m, 1);
            for (r = 0; r < 3; r++)
                CHECK(m[r].reports->stop
                      == (way < 2 ? CVXRELU_STOP_USER : CVXRELU_STOP_TIME));
            ranks_close(&w, m);
        }
}

TEST(a_path_from_rank_to_rank_is_that_of_one_process) {
    cvxrelu_problem p = ranks_problem();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-11);
    cvxrelu_path_options path;
    cvxrelu_report alone[4];
    char message[CVXRELU_MESSAGE_SIZE];
    ranks_world w;
    ranks_member m[RANKS_MOST];
    int r, i;
    memset(&path, 0, sizeof path);
    path.count = 4, path.ratio = 1e-2;
    CHECK(cvxrelu_path(&p, &o, &path, NULL, alone, message) == CVXRELU_OK);
    ranks_open(&w, m, &p, &o, 4, ranks_shards[3]);
    for (r = 0; r < 4; r++) m[r].path = &path;
    ranks_run(&w, m);
    ranks_check_models(&w, m, 4);
    for (i = 0; i < 4; i++) {
        CHECK_NEAR(m->reports[i].objective, alone[i].objective, 1e-10 * alone[i].objective);
        CHECK_NEAR(m->reports[i].lambda, alone[i].lambda, 1e-12 * alone[i].lambda);
    }
    ranks_close(&w, m);
}

/* ReLU networks by anything but AL over patterns that are known. */
TEST(what_ranks_cannot_do_is_said_on_all_of_them) {
    static const char *const said[4] = { "search", "search", "AL", "active_share" };
    const cvxrelu_problem p = ranks_small();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-6);
    size_t way;
    int r;
    for (way = 0; way < 4; way++) {
        ranks_world w;
        ranks_member m[RANKS_MOST];
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        for (r = 0; r < 3; r++) {
            if (way < 3) m[r].problem.kind = CVXRELU_RELU;
            if (way == 1) m[r].problem.search = CVXRELU_SEARCH_EXACT;
            if (way == 2) m[r].problem.search = CVXRELU_SEARCH_OFF;
            if (way == 2) m[r].options.solver = CVXRELU_SOLVER_NEWTON;
            if (way == 3) m[r].problem.gates.active_share = 0.5;
        }
        ranks_run(&w, m);
        for (r = 0; r < 3; r++) {
            CHECK(m[r].result == CVXRELU_ERR_UNSUPPORTED);
            CHECK(strstr(m[r].reports->message, said[way]) != NULL);
        }
        ranks_close(&w, m);
    }
}

/* What cannot share its rows says so, and so do hooks that make no sense, without a call. */
TEST(calls_that_need_all_rows_refuse_ranks) {
    cvxrelu_problem p = ranks_small();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-6);
    cvxrelu_report report;
    cvxrelu_model *gated = s14_fit(&p, &o, &report), *model = NULL;
    cvxrelu_cv_point points[20];
    cvxrelu_decompose_report about;
    cvxrelu_enumeration cells;
    cvxrelu_prune_report pruned;
    size_t chosen = 0;
    double value = 0;
    ranks_world w;
    ranks_member m[RANKS_MOST];
    ranks_open(&w, m, &p, &o, 3, ranks_three);
    o.ranks = m->options.ranks;
    CHECK(cvxrelu_cross_validate(&p, &o, NULL, points, &chosen, &model, &report)
          == CVXRELU_ERR_UNSUPPORTED);
    CHECK(strstr(report.message, "options.ranks") != NULL);
    CHECK(cvxrelu_decompose(gated, p.X, p.Y, CVXRELU_DECOMPOSE_FEASIBLE, 0, &o, &model, &report,
                            &about) == CVXRELU_ERR_UNSUPPORTED);
    CHECK(cvxrelu_verify(gated, p.X, p.Y, -1, &o, &report) == CVXRELU_ERR_UNSUPPORTED);
    CHECK(cvxrelu_prune(gated, p.X, &o, &model, &pruned) == CVXRELU_ERR_UNSUPPORTED);
    CHECK(cvxrelu_enumerate(&p, &o, 0, &cells, NULL, 0, NULL) == CVXRELU_ERR_UNSUPPORTED);
    p.kind = CVXRELU_RELU; /* refused before a word to the others */
    CHECK(cvxrelu_descend(&p, &o, NULL, &model, &report) == CVXRELU_ERR_UNSUPPORTED);
    o.ranks.size = -1;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &report) == CVXRELU_ERR_ARGUMENT);
    o.ranks.size = 3, o.ranks.rank = 3;
    CHECK(cvxrelu_lambda_max(&p, &o, &value, NULL) == CVXRELU_ERR_ARGUMENT);
    o.ranks.rank = 0, o.ranks.allreduce = NULL;
    CHECK(cvxrelu_path(&p, &o, NULL, NULL, m->reports, NULL) == CVXRELU_ERR_ARGUMENT);
    CHECK(m->calls == 0);
    cvxrelu_model_free(gated);
    ranks_close(&w, m);
}

/* ---- Every rank with a device of its own (test_s22_device.c). */

static s22_far ranks_far[3];

/* The hook for arrays of the tests' devices. */
static int ranks_allreduce_far(void *context, void *buffer, size_t count, cvxrelu_type type,
                               cvxrelu_reduction op) {
    ((ranks_member *)context)->there += count;
    return ranks_allreduce(context, s22_near(buffer), count, type, op);
}

/* Gradients are summed where they are, or cross. */
static void ranks_with_devices(const ranks_world *w, ranks_member *m, int there) {
    int r;
    for (r = 0; r < w->size; r++) {
        m[r].options.device = s22_far_make(&ranks_far[r]);
        m[r].options.ranks.on_device = there ? ranks_allreduce_far : NULL;
    }
}

TEST(devices_of_ranks_are_summed_over) {
    cvxrelu_problem p = ranks_problem();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 1e-9);
    cvxrelu_report alone;
    ranks_world w;
    ranks_member m[RANKS_MOST];
    int type;
    p.lambda = 1e-2;
    for (type = 0; type < 2; type++) {
        o.precision = type ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
        o.tol = type ? 1e-4 : 1e-9;
        cvxrelu_model_free(s14_fit(&p, &o, &alone));
        ranks_open(&w, m, &p, &o, 3, ranks_shards[2]);
        ranks_with_devices(&w, m, 0);
        ranks_run(&w, m);
        ranks_check_models(&w, m, 1);
        CHECK(m->reports->stop == CVXRELU_STOP_GAP);
        CHECK(m->reports->iterations <= alone.iterations + 20); /* the gap is seen on the way */
        CHECK_NEAR(m->reports->objective, alone.objective, 2 * o.tol * alone.objective);
        CHECK_NEAR(m->reports->lambda_max, alone.lambda_max, 1e-12 * alone.lambda_max);
        ranks_close(&w, m);
    }
}

TEST(newton_of_ranks_is_not_for_devices) {
    cvxrelu_problem p = ranks_problem();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-6);
    ranks_world w;
    ranks_member m[RANKS_MOST];
    int way, r;
    p.lambda = 1e-2;
    for (way = 0; way < 2; way++) {
        if (way) o.solver = CVXRELU_SOLVER_AUTO;
        ranks_open(&w, m, &p, &o, 2, ranks_shards[1]);
        ranks_with_devices(&w, m, 0);
        ranks_run(&w, m);
        for (r = 0; r < 2; r++) {
            CHECK(m[r].result == (way ? CVXRELU_OK : CVXRELU_ERR_UNSUPPORTED));
            CHECK(way || strstr(m[r].reports->message, "leave options.device out") != NULL);
            CHECK(!way || m[r].reports->solver == CVXRELU_SOLVER_FISTA);
        }
        ranks_close(&w, m);
    }
}

/* Ranks on the CPU, with devices whose gradients cross, and are summed where they are. */
TEST(devices_of_ranks_have_the_bits_of_their_cpus) {
    cvxrelu_problem p = ranks_problem();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 1e-6);
    int type, way, r;
    p.lambda = 1e-2;
    for (type = 0; type < 2; type++) {
        static ranks_world w[3];
        static ranks_member m[3][RANKS_MOST];
        o.precision = type ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
        o.tol = type ? 1e-3 : 1e-6;
        for (way = 0; way < 3; way++) {
            ranks_open(&w[way], m[way], &p, &o, 3, ranks_shards[2]);
            if (way > 0) ranks_with_devices(&w[way], m[way], way == 2);
            ranks_run(&w[way], m[way]);
            ranks_check_models(&w[way], m[way], 1);
            for (r = 0; r < 3; r++) CHECK((m[way][r].there > 0) == (way == 2));
            CHECK(ranks_same_models(m[0]->models[0], m[way]->models[0]));
            CHECK(m[way]->reports->iterations == m[0]->reports->iterations);
            CHECK_NEAR(m[way]->reports->flops / m[0]->reports->flops, 1, 1e-12);
        }
        for (way = 0; way < 3; way++) ranks_close(&w[way], m[way]);
    }
}

/* The augmented Lagrangian on the devices of 1 to 3 ranks, whose gradients cross or not. */
TEST(al_on_devices_of_ranks_has_the_optimum_of_one_process) {
    static const size_t shards[3][RANKS_MOST] = { { 40, 0, 0, 0, 0 },
                                                  { 1, 39, 0, 0, 0 },
                                                  { 12, 8, 20, 0, 0 } };
    cvxrelu_problem p = s14_problem(40, 4, 2, 12);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AL, 1e-10);
    cvxrelu_report alone;
    int size, there, r;
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF, p.lambda = 0.1;
    o.subgradient_tol = o.al.constraint_tol = 1e-24;
    cvxrelu_model_free(s14_fit(&p, &o, &alone));
    CHECK(alone.stop == CVXRELU_STOP_GAP);
    for (size = 1; size <= 3; size++) {
        ranks_world w[2];
        ranks_member m[2][RANKS_MOST];
        for (there = 0; there < 2; there++) {
            const cvxrelu_report *report = m[there]->reports;
            ranks_open(&w[there], m[there], &p, &o, size, shards[size - 1]);
            ranks_with_devices(&w[there], m[there], there);
            ranks_run(&w[there], m[there]);
            ranks_check_models(&w[there], m[there], 1);
            for (r = 0; r < size; r++)
                CHECK((m[there][r].there > 0) == (there && size > 1));
            CHECK(ranks_same_models(m[0]->models[0], m[there]->models[0]));
            CHECK(report->solver == CVXRELU_SOLVER_AL && report->stop == CVXRELU_STOP_GAP);
            CHECK_NEAR(report->objective, alone.objective, 1e-10 * alone.objective);
            CHECK_NEAR(report->lambda_max, alone.lambda_max, 1e-12 * alone.lambda_max);
            CHECK(report->constraint_violation <= 1e-11 && report->raw_violation > 0);
        }
        for (there = 0; there < 2; there++) ranks_close(&w[there], m[there]);
    }
}

/* A path begins with the projected network of the strength before. */
TEST(al_on_devices_of_ranks_goes_along_a_path) {
    static const size_t shards[RANKS_MOST] = { 12, 8, 20, 0, 0 };
    cvxrelu_problem p = s14_problem(40, 4, 2, 12);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AL, 1e-8);
    cvxrelu_path_options path;
    cvxrelu_report alone[3];
    ranks_world w;
    ranks_member m[RANKS_MOST];
    int r, i;
    memset(&path, 0, sizeof path);
    path.count = 3, path.ratio = 0.3;
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF;
    o.subgradient_tol = o.al.constraint_tol = 1e-20;
    CHECK(cvxrelu_path(&p, &o, &path, NULL, alone, NULL) == CVXRELU_OK);
    ranks_open(&w, m, &p, &o, 3, shards);
    ranks_with_devices(&w, m, 1);
    for (r = 0; r < 3; r++) m[r].path = &path;
    ranks_run(&w, m);
    ranks_check_models(&w, m, 3);
    for (i = 1; i < 3; i++) {
        CHECK(m->reports[i].stop == CVXRELU_STOP_GAP && m->reports[i].neurons > 0);
        CHECK_NEAR(m->reports[i].objective, alone[i].objective, 1e-8 * alone[i].objective);
    }
    ranks_close(&w, m);
}

/* A short run by FISTA, or by AL with its projections. */
static cvxrelu_problem ranks_short(int relu, cvxrelu_options *o) {
    cvxrelu_problem p = ranks_small();
    *o = s14_options(relu ? CVXRELU_SOLVER_AL : CVXRELU_SOLVER_FISTA, 1e-2);
    if (!relu) return p;
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF, p.lambda = 0.05, p.gates.count = 8;
    o->max_iters = 12, o->al.delta = 10;
    return p;
}

/* A hook that fails, wherever the array is, ends all ranks. */
TEST(hook_for_devices_that_fails_ends_all_ranks) {
    size_t at;
    for (at = 1; at < 160; at += 3) {
        cvxrelu_options o;
        const cvxrelu_problem p = ranks_short(at % 2 > 0, &o);
        ranks_world w;
        ranks_member m[RANKS_MOST];
        int r;
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        ranks_with_devices(&w, m, 1);
        m[at % 3].fail_at = at;
        ranks_run(&w, m);
        for (r = 0; r < 3; r++) {
            CHECK(m[r].result == CVXRELU_ERR_RANKS && m[r].models[0] == NULL);
            CHECK(ranks_far[r].arrays == 0);
        }
        ranks_close(&w, m);
    }
}

/* A callback of one rank stops all of them, between projections too. */
TEST(what_stops_one_rank_stops_the_devices_of_all) {
    int culprit, r;
    for (culprit = 0; culprit < 6; culprit++) {
        cvxrelu_options o;
        const cvxrelu_problem p = ranks_short(1, &o);
        ranks_world w;
        ranks_member m[RANKS_MOST];
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        ranks_with_devices(&w, m, culprit % 2);
        m[culprit / 2].options.progress = ranks_progress, m[culprit / 2].stop_at = 4;
        ranks_run(&w, m);
        ranks_check_models(&w, m, 1);
        for (r = 0; r < 3; r++)
            CHECK(m[r].reports->stop == CVXRELU_STOP_USER && m[r].reports->iterations == 4);
        ranks_close(&w, m);
    }
}

/* A device that fails at any of its calls ends all ranks. */
static void ranks_break_devices(int relu, int there) {
    cvxrelu_options o;
    const cvxrelu_problem p = ranks_short(relu, &o);
    size_t at, last = 1;
    for (at = 0; at <= last; at += 1 + at / 16) { /* none fails at 0 */
        ranks_world w;
        ranks_member m[RANKS_MOST];
        const int culprit = (int)(at % 3);
        int r;
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        ranks_with_devices(&w, m, there);
        ranks_far[culprit].fail = at;
        ranks_run(&w, m);
        if (at == 0) last = ranks_far[0].calls - 1;
        if (at == 0) ranks_check_models(&w, m, 1);
        else ranks_check_failure(m, 3, culprit, CVXRELU_ERR_DEVICE);
        for (r = 0; r < 3; r++) CHECK(ranks_far[r].arrays == 0);
        ranks_close(&w, m);
    }
    CHECK(last > 50);
}

TEST(a_device_that_fails_ends_all_ranks) {
    int way;
    for (way = 0; way < 4; way++) ranks_break_devices(way / 2, way % 2);
}

/* What a rank holds is below what cvxrelu_fit_bytes says, which is the same on all of them,
   and a limit of that much is enough. */
TEST(bytes_of_ranks_bound_what_they_hold) {
    static const cvxrelu_solver solvers[5] = { CVXRELU_SOLVER_NEWTON, CVXRELU_SOLVER_FISTA,
                                               CVXRELU_SOLVER_AUTO, CVXRELU_SOLVER_AL,
                                               CVXRELU_SOLVER_AL };
    int way, r;
    for (way = 0; way < 5; way++) {
        cvxrelu_problem p = ranks_small();
        cvxrelu_options o = s14_options(solvers[way], 1e-4);
        ranks_world w;
        ranks_member m[RANKS_MOST];
        size_t room = 0;
        if (way == 1) p.gates.sampler = CVXRELU_SAMPLER_POINTS;
        if (way == 2) p.lambda = 0;
        if (way > 2) p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF, o.max_iters = 200;
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        if (way == 4) ranks_with_devices(&w, m, 1);
        for (r = 0; r < 3; r++) m[r].bytes_only = 1;
        ranks_run(&w, m);
        for (r = 0; r < 3; r++) {
            CHECK(m[r].result == CVXRELU_OK && m[r].held == 0);
            CHECK(room == 0 || m[r].room == room);
            room = m[r].room;
        }
        ranks_close(&w, m);
        o.memory_limit = room;
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        if (way == 4) ranks_with_devices(&w, m, 1);
        ranks_run(&w, m);
        ranks_check_models(&w, m, 1);
        for (r = 0; r < 3; r++) CHECK(m[r].reports->peak_bytes <= room);
        ranks_close(&w, m);
        o.memory_limit = 20000; /* too little for any plan: all of them say so */
        ranks_open(&w, m, &p, &o, 3, ranks_three);
        ranks_run(&w, m);
        for (r = 0; r < 3; r++) CHECK(m[r].result == CVXRELU_ERR_LIMIT);
        ranks_close(&w, m);
    }
}

/* Ranks may have different numbers of threads. */
TEST(threads_of_a_rank_change_nothing) {
    const cvxrelu_problem p = ranks_problem();
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-9);
    ranks_world w, again;
    ranks_member m[RANKS_MOST], n[RANKS_MOST];
    s22_team team[RANKS_MOST];
    int r;
    ranks_open(&w, m, &p, &o, 3, ranks_shards[2]);
    ranks_open(&again, n, &p, &o, 3, ranks_shards[2]);
    for (r = 0; r < 3; r++) n[r].options = s22_with_team(n[r].options, &team[r], r);
    ranks_run(&w, m);
    ranks_run(&again, n);
    ranks_check_models(&again, n, 1);
    CHECK(ranks_same_models(m->models[0], n->models[0]));
    CHECK(n[2].options.threads == 3 && team[2].calls > 0);
    ranks_close(&w, m);
    ranks_close(&again, n);
}

/* ---- Traffic, as the manual's entry RANKS states it. */

/* What R-FISTA with a fixed step sends in two numbers of iterations differs by as much as the
   model says; the report counts what the hook saw. */
TEST(r_fista_sends_what_the_model_says) {
    cvxrelu_problem p = ranks_problem();
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, -1);
    int type, run, size;
    o.step_rule = CVXRELU_STEP_FIXED, o.step_first = 1e-3;
    for (type = 0; type < 2; type++)
        for (size = 2; size <= RANKS_MOST; size++) {
            const double e = type ? 4 : 8, dp = type ? 16 : 8;
            double bytes[2], weights, expected;
            for (run = 0; run < 2; run++) {
                ranks_world w;
                ranks_member m[RANKS_MOST];
                o.precision = type ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
                o.max_iters = run ? 58 : 25;
                ranks_open(&w, m, &p, &o, size, ranks_shards[size - 1]);
                ranks_run(&w, m);
                ranks_check_models(&w, m, 1);
                CHECK(m->reports->iterations == o.max_iters);
                bytes[run] = m->reports->reduced_bytes;
                weights = (double)(m->reports->c * m->reports->patterns);
                ranks_close(&w, m);
            }
            expected = 33 * (e * weights * dp + 8) + 3 * 8 * (8 * weights + 4 * 2);
            CHECK(bytes[1] - bytes[0] == expected);
        }
}

/* Is entry i of the log of this kind? */
static int ranks_is(const ranks_world *w, size_t i, size_t count, cvxrelu_type type) {
    return i < w->logged && w->log[i].count == count && w->log[i].type == type
           && w->log[i].op == CVXRELU_SUM;
}

/* The augmented Lagrangian: gradients over all patterns, an output at a time, follow one
   another with those of the groups that are not zero in panels of at most 64, and single sums;
   rows that a projection meets come with their masks, 32 patterns a number. */
TEST(al_sends_what_the_model_says) {
    static ranks_sent log[RANKS_LOG];
    cvxrelu_problem p = s14_problem(150, 13, 1, 40);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AL, 1e-3);
    const size_t dp = 16, row = 16 + 2;
    ranks_world w;
    ranks_member m[RANKS_MOST];
    size_t i, gradients = 0, rows = 0, sums = 0, panels = 0, P;
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF, p.lambda = 5e-2;
    o.max_iters = 200;
    ranks_open(&w, m, &p, &o, 3, ranks_shards[2]);
    w.log = log;
    ranks_run(&w, m);
    ranks_check_models(&w, m, 1);
    P = m->reports->patterns;
    CHECK(P > 32 && w.logged < RANKS_LOG);
    for (i = 0; i < w.logged && log[i].count != P * dp; i++) continue; /* the patterns */
    for (; i < w.logged; i++) {
        const size_t count = log[i].count;
        CHECK(log[i].type == CVXRELU_FLOAT64);
        if (log[i].op == CVXRELU_MAX) continue;
        if (count == P * dp) gradients++;
        else if (count <= 3) sums++;
        else if (count % dp == 0 && count <= 64 * dp) panels++;
        else CHECK(count % row == 0), rows += count / row;
    }
    CHECK(gradients >= 200 && gradients < 450 && panels >= 200 && sums >= 600);
    CHECK(rows > 10 && rows <= 150);
    ranks_close(&w, m);
}

/* On devices a gradient is summed whole, once or twice an iteration: with a fixed step always
   twice, else at every 50th, the steps being long. Single numbers are three an iteration and
   three a trial step; up to the last gradient some of the last iteration are missing. */
static void ranks_al_traffic(cvxrelu_step_rule rule) {
    static ranks_sent log[RANKS_LOG];
    cvxrelu_problem p = s14_problem(150, 13, 2, 40);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AL, -1);
    ranks_world w;
    ranks_member m[RANKS_MOST];
    size_t i, gradients = 0, singles = 0, all = 0, whole;
    const int fixed = rule == CVXRELU_STEP_FIXED;
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF, p.lambda = 5e-2;
    o.step_rule = rule, o.step_first = 1e-3;
    o.max_iters = 60, o.al.delta = 100, o.subgradient_tol = 1e-30;
    ranks_open(&w, m, &p, &o, 3, ranks_shards[2]);
    ranks_with_devices(&w, m, 1);
    w.log = log;
    ranks_run(&w, m);
    ranks_check_models(&w, m, 1);
    CHECK(m->reports->iterations == 60 && w.logged < RANKS_LOG);
    whole = 2 * m->reports->c * m->reports->patterns * 16;
    CHECK(m->there == whole * (m->there / whole));
    for (i = 0; i < w.logged && log[i].count != whole; i++) continue;
    for (; i < w.logged && (log[i].count == 1 || log[i].count == whole); i++) {
        CHECK(log[i].type == CVXRELU_FLOAT64 && (log[i].count == 1 || !log[i].op));
        if (log[i].count == 1) all++;
        else gradients++, singles = all;
    }
    CHECK(gradients == m->there / whole && gradients == (fixed ? 120 : 61));
    CHECK(fixed ? singles == 3 * 60 - 1 : singles % 3 == 0 && singles >= 6 * 59);
    ranks_close(&w, m);
}

TEST(al_on_devices_sends_what_the_model_says) {
    ranks_al_traffic(CVXRELU_STEP_FIXED);
    ranks_al_traffic(CVXRELU_STEP_TIGHTNESS);
}

/* Every message of a Newton run of one output is one that the model names. What comes in
   float32 are new rays, q (q + 1) / 2 numbers, as often as the report has factors, and q of
   every CG step with them; a CG step is such a message, or the mean mask's dp, then <r, q>, a
   gradient over the k active groups with q = k + d, a curvature and a norm. */
TEST(newton_sends_what_the_model_says) {
    static ranks_sent log[RANKS_LOG];
    cvxrelu_problem p = s14_problem(150, 13, 1, 110);
    const cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-10);
    const size_t d = 13, dp = 16;
    ranks_world w;
    ranks_member m[RANKS_MOST];
    size_t i, q = 0, rays = 0, steps = 0, cg = 0, sweeps = 0, mean = 0;
    double bytes = 0;
    p.lambda = 1e-3;
    ranks_open(&w, m, &p, &o, 3, ranks_shards[2]);
    w.log = log;
    ranks_run(&w, m);
    ranks_check_models(&w, m, 1);
    CHECK(w.logged < RANKS_LOG && w.logged == m->calls);
    for (i = 0; i < w.logged; i++) {
        const size_t count = log[i].count;
        bytes += (double)count * (log[i].type == CVXRELU_FLOAT32 ? 4 : 8);
        if (log[i].op == CVXRELU_MAX) continue;
        if (log[i].type == CVXRELU_FLOAT32) {
            if (ranks_is(&w, i, q, CVXRELU_FLOAT32)) steps++;
            else {
                q = (size_t)((sqrt(8.0 * (double)count + 1) - 1) / 2 + 0.5);
                CHECK(count == q * (q + 1) / 2 && q > d);
                rays++;
            }
        } else if (count == m->reports->patterns * dp) sweeps++;
        else if (count == dp * (dp + 1) / 2) mean++;
        else if (sweeps) /* after the patterns */
            CHECK(count <= 3 || (count % dp == 0 && count < m->reports->patterns * dp));
        if (i + 4 < w.logged && ranks_is(&w, i + 1, 1, CVXRELU_FLOAT64)
            && (ranks_is(&w, i, q, CVXRELU_FLOAT32) || ranks_is(&w, i, dp, CVXRELU_FLOAT64))
            && w.log[i + 2].count % dp == 0 && ranks_is(&w, i + 3, 1, CVXRELU_FLOAT64)
            && ranks_is(&w, i + 4, 1, CVXRELU_FLOAT64))
            cg++;
    }
    CHECK(bytes == m->reports->reduced_bytes);
    CHECK(rays == (size_t)m->reports->factors && rays > 0);
    CHECK(cg == (size_t)m->reports->cg_iterations && steps > 0 && steps <= cg);
    CHECK(mean >= 1 && sweeps >= 5);
    ranks_close(&w, m);
}

SUITE(s22_ranks) {
    RUN(newton_has_the_optimum_of_one_process);
    RUN(first_order_methods_have_the_optimum_of_one_process);
    RUN(least_squares_have_the_optimum_of_one_process);
    RUN(patterns_are_those_of_one_process);
    RUN(classes_are_those_of_all_rows);
    RUN(relu_networks_have_the_optimum_of_one_process);
    RUN(a_path_from_rank_to_rank_is_that_of_one_process);
    RUN(bad_input_of_one_rank_ends_all);
    RUN(memory_refused_to_one_rank_ends_all);
    RUN(a_hook_that_fails_ends_all);
    RUN(ranks_that_disagree_are_refused);
    RUN(what_stops_one_rank_stops_all);
    RUN(what_ranks_cannot_do_is_said_on_all_of_them);
    RUN(calls_that_need_all_rows_refuse_ranks);
    RUN(bytes_of_ranks_bound_what_they_hold);
    RUN(devices_of_ranks_are_summed_over);
    RUN(newton_of_ranks_is_not_for_devices);
    RUN(devices_of_ranks_have_the_bits_of_their_cpus);
    RUN(al_on_devices_of_ranks_has_the_optimum_of_one_process);
    RUN(al_on_devices_of_ranks_goes_along_a_path);
    RUN(what_stops_one_rank_stops_the_devices_of_all);
    RUN(hook_for_devices_that_fails_ends_all_ranks);
    RUN(a_device_that_fails_ends_all_ranks);
    RUN(threads_of_a_rank_change_nothing);
    RUN(r_fista_sends_what_the_model_says);
    RUN(newton_sends_what_the_model_says);
    RUN(al_sends_what_the_model_says);
    RUN(al_on_devices_sends_what_the_model_says);
}
#else
TEST(ranks_as_threads) { SKIP("no POSIX threads"); }
SUITE(s22_ranks) { RUN(ranks_as_threads); }
#endif
