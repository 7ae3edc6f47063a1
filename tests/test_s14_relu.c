/* Tests of S14 CERTIFIED NEWTON for ReLU networks: whole fits over given patterns, judged by
   plain loops. A dual norm ||Proj_K(g)|| is bounded from above by ||g + Xt^T gamma|| with gamma
   >= 0 from cyclic coordinate descent [Hildreth], which shares nothing with S11. */

/* min over gamma >= 0 of ||g + sum gamma_j t_j x_j||: a bound on it after `sweeps` rounds, or
   sooner when it is `enough`. */
static double s14_polar(const cvxr_data *data, const double *on, double sign, const double *g,
                        double enough, int sweeps, double *gamma) {
    const size_t n = data->n, d = data->d;
    double v[64], size = HUGE_VAL;
    size_t i, j;
    int it;
    for (j = 0; j < d; j++) v[j] = sign * g[j];
    for (i = 0; i < n; i++) gamma[i] = 0;
    for (it = 0; it < sweeps; it++) {
        double moved = 0;
        for (i = 0; i < n; i++) {
            const double *x = data->X + i * data->dp, t = on[i] > 0 ? 1 : -1;
            double dot = 0, xx = 0, step;
            for (j = 0; j < d; j++) dot += t * x[j] * v[j], xx += x[j] * x[j];
            if (xx == 0) continue;
            step = -dot / xx > -gamma[i] ? -dot / xx : -gamma[i];
            gamma[i] += step;
            moved += fabs(step) * sqrt(xx);
            for (j = 0; j < d; j++) v[j] += step * t * x[j];
        }
        for (size = 0, j = 0; j < d; j++) size += v[j] * v[j];
        if (size <= enough * enough || moved < 1e-12 * fabs(v[0])) break;
    }
    return sqrt(size);
}

typedef struct s14_relu {
    double objective, bound, worst; /* worst constraint, relative */
    size_t neurons;
} s14_relu;

/* One output k: V, W (P x d) and the gates G (P x d). */
static void s14_judge_relu_output(const cvxr_data *data, const double *V, const double *W,
                                  const double *G, size_t P, const double *y, double lam,
                                  s14_relu *t) {
    const size_t n = data->n, d = data->d;
    double *r = (double *)calloc(3 * n, sizeof(double)), *on = r + n, *gamma = on + n;
    double most = lam * (1 + 1e-7), left = 0, yy = 0;
    size_t p, i, j, side;
    int pass;
    for (i = 0; i < n; i++) r[i] = y[i];
    for (pass = 0; pass < 2; pass++)
        for (p = 0; p < P; p++) {
            double g[64];
            for (j = 0; j < d; j++) g[j] = 0;
            for (i = 0; i < n; i++) {
                double z = 0;
                for (j = 0; j < d; j++) z += G[p * d + j] * data->X[i * data->dp + j];
                on[i] = z >= 0;
                for (j = 0; on[i] > 0 && j < d; j++) g[j] += r[i] * data->X[i * data->dp + j];
            }
            for (side = 0; side < 2; side++) {
                const double *u = (side ? W : V) + p * d, s = side ? -1 : 1;
                double norm = 0;
                if (pass) {
                    double q = 0;
                    for (j = 0; j < d; j++) q += g[j] * g[j];
                    if (q <= most * most) continue; /* its projection is no longer */
                    q = s14_polar(data, on, s, g, most, 30000, gamma);
                    most = q > most ? q : most;
                    continue;
                }
                for (j = 0; j < d; j++) norm += u[j] * u[j];
                if (norm == 0) continue;
                norm = sqrt(norm);
                t->neurons++;
                t->objective += lam * norm;
                for (i = 0; i < n; i++) {
                    double z = 0, xx = 0;
                    for (j = 0; j < d; j++) {
                        z += u[j] * data->X[i * data->dp + j];
                        xx += data->X[i * data->dp + j] * data->X[i * data->dp + j];
                    }
                    if (xx > 0)
                        t->worst = cvxr_max(t->worst, (on[i] > 0 ? -z : z) / sqrt(xx) / norm);
                    if (on[i] > 0) r[i] -= s * z;
                }
            }
        }
    for (i = 0; i < n; i++) {
        t->objective += 0.5 * r[i] * r[i];
        yy += y[i] * y[i];
        left += (y[i] - lam / most * r[i]) * (y[i] - lam / most * r[i]);
    }
    t->bound += 0.5 * (yy - left);
    free(r);
}

static s14_relu s14_judge_relu(const cvxrelu_problem *p, const cvxrelu_model *model) {
    s14_relu t;
    cvxr_mem mem;
    cvxr_data data;
    cvxrelu_model_info info;
    char message[CVXRELU_MESSAGE_SIZE];
    double *V, *W, *G, units;
    size_t k, size;
    memset(&t, 0, sizeof t);
    if (model == NULL) return t;
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_data_make(&mem, p, &data, message) == CVXRELU_OK);
    cvxrelu_model_get_info(model, &info);
    size = info.patterns * data.d;
    V = (double *)malloc((2 * data.c + 1) * size * sizeof(double));
    W = V + data.c * size;
    G = W + data.c * size;
    CHECK(cvxrelu_model_convex(model, V, W, G) == CVXRELU_OK);
    units = (double)data.n * (double)data.c;
    for (k = 0; k < data.c; k++)
        s14_judge_relu_output(&data, V + k * size, W + k * size, G, info.patterns,
                              data.Y + k * data.n, p->lambda * units, &t);
    t.objective /= units, t.bound /= units;
    free(V);
    cvxr_data_free(&mem, &data);
    return t;
}

static void s14_check_relu(cvxrelu_problem *p, double share, int steps) {
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report report;
    cvxrelu_model *model;
    s14_relu t;
    p->kind = CVXRELU_RELU;
    p->search = CVXRELU_SEARCH_OFF;
    p->lambda = 1;
    p->lambda = share * s14_lambda_max(p);
    model = s14_fit(p, &o, &report);
    t = s14_judge_relu(p, model);
    CHECK(report.stop == CVXRELU_STOP_GAP && report.gap <= 1e-6);
    CHECK_NEAR(report.objective, t.objective, 1e-9 * t.objective);
    CHECK(report.dual_bound <= t.objective * (1 + 1e-12));
    CHECK(t.objective - t.bound <= 3e-6 * t.objective);
    CHECK(t.worst <= 1e-10 && report.constraint_violation <= 1e-10);
    CHECK(report.neurons == t.neurons);
    CHECK(report.iterations <= steps);
    cvxrelu_model_free(model);
}

TEST(relu_gap_closes_and_constraints_hold_for_tall_data) {
    cvxrelu_problem p = s14_problem(60, 4, 1, 24);
    s14_check_relu(&p, 0.3, 40);
    s14_check_relu(&p, 1e-2, 60);
    s14_check_relu(&p, 1e-4, 150);
}

TEST(relu_gap_closes_for_more_columns_than_rows) {
    cvxrelu_problem p = s14_problem(8, 12, 1, 30);
    s14_check_relu(&p, 0.3, 40);
    s14_check_relu(&p, 1e-3, 100);
}

TEST(relu_gap_closes_for_two_outputs) {
    cvxrelu_problem p = s14_problem(30, 3, 2, 16);
    s14_check_relu(&p, 1e-1, 100);
    s14_check_relu(&p, 1e-3, 200);
}

TEST(relu_gap_closes_with_duplicate_and_zero_rows) {
    cvxrelu_problem p = s14_problem(40, 3, 1, 30);
    memcpy(s14_X + 20 * 3, s14_X, 20 * 3 * sizeof(double));
    memset(s14_X + 3 * 3, 0, 2 * 3 * sizeof(double));
    p.gates.seed = 5;
    s14_check_relu(&p, 1e-1, 100);
    s14_check_relu(&p, 1e-3, 200);
}

TEST(relu_gap_closes_for_one_row_and_for_one_column) {
    cvxrelu_problem p = s14_problem(1, 3, 1, 8);
    s14_check_relu(&p, 1e-2, 60);
    p = s14_problem(30, 1, 1, 8);
    s14_check_relu(&p, 1e-2, 60);
}

/* Many rows, few columns, noise for targets, a weak penalty: nearly every group sits on an
   extreme ray of a thin cone, where Newton's steps are short and directions are generated. */
TEST(relu_gap_closes_on_extreme_rays_of_thin_cones) {
    cvxrelu_problem p = s14_problem(120, 6, 1, 12);
    cvxrelu_random random;
    cvxrelu_random_init(&random, 77);
    s14_normals(&random, 120, s14_Y);
    s14_check_relu(&p, 1e-2, 70);
    s14_check_relu(&p, 1e-3, 70);
}

TEST(relu_gap_closes_on_extreme_rays_for_two_outputs) {
    cvxrelu_problem p = s14_problem(100, 6, 2, 12);
    cvxrelu_random random;
    cvxrelu_random_init(&random, 78);
    s14_normals(&random, 200, s14_Y);
    s14_check_relu(&p, 2e-3, 140);
}

/* The network that ReLU groups make is the one with max(0, .): its predictions on the training
   rows give the objective. */
TEST(relu_network_in_the_users_coordinates_has_the_objective) {
    cvxrelu_problem p = s14_problem(50, 3, 1, 40);
    cvxrelu_report report;
    cvxrelu_model *model;
    double sum = 0, penalty = 0, *W2;
    size_t i, j;
    p.kind = CVXRELU_RELU;
    p.search = CVXRELU_SEARCH_OFF;
    p.no_bias = 0;
    p.scale = CVXRELU_SCALE_STANDARD;
    p.lambda = 1e-3;
    model = s14_fit(&p, NULL, &report);
    if (model == NULL) return;
    W2 = (double *)malloc(report.neurons * sizeof(double));
    cvxrelu_model_network(model, NULL, NULL, W2, NULL);
    for (i = 0; i < 50; i++) {
        double out;
        cvxrelu_model_predict(model, s14_X + i * 3, &out);
        sum += (out - s14_Y[i]) * (out - s14_Y[i]);
    }
    for (j = 0; j < report.neurons; j++) penalty += W2[j] * W2[j]; /* ||v|| = a^2 */
    CHECK_NEAR(report.objective, sum / 100 + 1e-3 * penalty, 1e-10 * report.objective);
    free(W2);
    cvxrelu_model_free(model);
}

/* Groups are projected by several threads: whoever takes them, the bits are the same. */
TEST(relu_bits_do_not_depend_on_the_number_of_threads) {
    cvxrelu_problem p = s14_problem(200, 12, 2, 60);
    cvxrelu_report report, first;
    cvxrelu_model *one = NULL, *model;
    size_t most;
    int threads;
    p.kind = CVXRELU_RELU;
    p.search = CVXRELU_SEARCH_OFF;
    p.lambda = 1e-3 * s14_lambda_max(&p);
    for (threads = 1; threads <= 3; threads++) {
        cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
        most = 0;
        o.threads = threads;
        o.parallel.context = &most;
        o.parallel.parallel_for = s14_backwards;
        model = s14_fit(&p, &o, &report);
        if (model == NULL) break;
        CHECK(report.stop == CVXRELU_STOP_GAP && (threads > 1) == (most > 0));
        if (threads == 1) {
            first = report, one = model;
            continue;
        }
        CHECK(memcmp(&report.objective, &first.objective, sizeof(double)) == 0);
        CHECK(memcmp(&report.dual_bound, &first.dual_bound, sizeof(double)) == 0);
        CHECK(memcmp(&report.lambda_max, &first.lambda_max, sizeof(double)) == 0);
        CHECK(report.iterations == first.iterations
              && report.cg_iterations == first.cg_iterations);
        CHECK(model->m == one->m && model->m > 10);
        if (model->m == one->m)
            CHECK(memcmp(model->u, one->u, model->m * 12 * sizeof(double)) == 0);
        cvxrelu_model_free(model);
    }
    cvxrelu_model_free(one);
}

SUITE(s14_relu) {
    RUN(relu_bits_do_not_depend_on_the_number_of_threads);
    RUN(relu_gap_closes_and_constraints_hold_for_tall_data);
    RUN(relu_gap_closes_for_more_columns_than_rows);
    RUN(relu_gap_closes_for_two_outputs);
    RUN(relu_gap_closes_with_duplicate_and_zero_rows);
    RUN(relu_gap_closes_for_one_row_and_for_one_column);
    RUN(relu_gap_closes_on_extreme_rays_of_thin_cones);
    RUN(relu_gap_closes_on_extreme_rays_for_two_outputs);
    RUN(relu_network_in_the_users_coordinates_has_the_objective);
}
