/* Devices: a fill of the public table whose arrays lie where no pointer may be followed. It
   keeps the CPU's entries over a copy of the task and adds a distance to every address it hands
   out, so that a solver that touched an array itself would stop the program; and its answers
   are the CPU's to the last bit. Newton's table is another program: plain loops over the bits,
   a dense matrix and its Cholesky factor. It fails on request, at any of its calls.          */

#define S22_FAR ((uintptr_t)1 << (8 * sizeof(void *) - 2))

typedef struct s22_far {
    cvxrelu_device table;
    cvxr_core core;                /* over the copies */
    cvxr_mem mem;
    cvxr_data data;
    cvxr_patterns patterns;
    cvxrelu_options opt;
    float *X32;
    size_t calls, fail;            /* so far; the call at which it fails, 0 = never */
    size_t opened, closed, arrays; /* arrays: held */
    const double *X;               /* of signs; NULL: not open */
    double *signs_X, *margin;      /* copies */
    unsigned char *shifted;
    size_t n, d, ldx, most;        /* most: gates of a call; 0 = as many as asked for */
    size_t gates, doubtful;        /* whose signs were asked for; with doubts */
    double passes, flops;
    cvxrelu_result failed;
    cvxrelu_device_newton newton;
    size_t begun, ended;           /* of newton: opened, closed */
    size_t room;                   /* largest n x groups that it takes; 0 = any */
    size_t count, *active;         /* the active set */
    double *a, *zh, *L;            /* L: n x n, the last factor */
    size_t groups, factors, solves;
    size_t indefinite;             /* so many factors are refused from now on */
    int cramped;                   /* no factor has room */
    double jitter;                 /* the largest that was asked for */
    int factored;
} s22_far;

/* Counts a call. Is the device at work? */
static int s22_works(s22_far *f) {
    if (++f->calls == f->fail && !f->failed) f->failed = CVXRELU_ERR_DEVICE;
    return !f->failed;
}

static void *s22_near(const void *far) { return (void *)((uintptr_t)far - S22_FAR); }

static void *s22_away(s22_far *f, void *near) {
    if (near == NULL) return NULL;
    f->arrays++;
    return (void *)((uintptr_t)near + S22_FAR);
}

static void *s22_copy_of(s22_far *f, const void *from, size_t count, size_t size) {
    void *to = cvxr_alloc(&f->mem, count, size);
    if (to) memcpy(to, from, count * size);
    return to;
}

static void s22_far_close(void *self) {
    s22_far *f = (s22_far *)self;
    const cvxr_data *d = &f->data;
    f->closed++;
    CHECK(f->arrays == 0);
    cvxr_release(&f->mem, f->core.scratch.sums, f->patterns.count * d->dp, sizeof(double));
    cvxr_release(&f->mem, f->core.scratch.index, f->patterns.count, sizeof(size_t));
    cvxr_release(&f->mem, f->core.scratch.z64, d->n, sizeof(double));
    cvxr_core_close(&f->core);
    cvxr_release(&f->mem, f->X32, d->n * cvxr_work_stride(d->d, CVXRELU_FLOAT32),
                 sizeof(float));
    cvxr_release(&f->mem, d->X, d->n * d->dp, sizeof(double));
    cvxr_release(&f->mem, d->Y, d->n * d->c, sizeof(double));
    cvxr_release(&f->mem, f->patterns.bits, f->patterns.count * f->patterns.words,
                 sizeof(uint64_t));
    CHECK(f->mem.now == 0);
}

static void s22_far_single(s22_far *f, const cvxrelu_device_task *t) {
#ifndef CVXRELU_NO_FLOAT32
    size_t i, j;
    f->X32 = (float *)cvxr_alloc_zero(&f->mem, t->n * t->ld, sizeof(float));
    for (i = 0; i < t->n; i++)
        for (j = 0; j < t->d; j++) f->X32[i * t->ld + j] = (float)t->X[i * t->ldx + j];
    f->core.op_work.X = f->X32;
    f->core.op_work.dp = t->ld;
    f->core.space = &cvxr_space_f32;
    f->core.type = CVXRELU_FLOAT32;
#endif
    (void)f, (void)t;
}

/* Sums from the last column to the first: other roundings than the CPU's. */
static int s22_far_sign(const s22_far *f, size_t i, const double *gate, double norm,
                        uint32_t *doubts) {
    const double *x = f->signs_X + i * f->ldx;
    double z = 0;
    size_t k;
    int off = 0;
    for (k = f->d; k-- > 0;) {
        z += x[k] * gate[k];
        off |= gate[k] != 0 && (x[k] != 0 || f->shifted[k]);
    }
    *doubts += off && !(fabs(z) > 2 * f->margin[i] * norm);
    return z >= 0;
}

static void s22_far_signs_close(void *self) {
    s22_far *f = (s22_far *)self;
    if (f->X == NULL) return;
    free(f->signs_X), free(f->margin), free(f->shifted);
    f->X = NULL;
}

static size_t s22_far_signs_open(void *self, size_t n, size_t d, size_t ldx, size_t most,
                                 const double *X, const double *margin,
                                 const unsigned char *shifted) {
    s22_far *f = (s22_far *)self;
    f->failed = CVXRELU_OK;
    if (!s22_works(f)) return 0;
    CHECK(f->X == NULL && ldx >= d && most >= 8);
    f->X = X, f->n = n, f->d = d, f->ldx = ldx;
    f->signs_X = (double *)malloc(n * ldx * sizeof *X);
    f->margin = (double *)malloc(n * sizeof *margin);
    f->shifted = (unsigned char *)malloc(d);
    memcpy(f->signs_X, X, n * ldx * sizeof *X);
    memcpy(f->margin, margin, n * sizeof *margin);
    memcpy(f->shifted, shifted, d);
    return f->most && f->most < most ? f->most : most;
}

static void s22_far_signs(void *self, size_t count, const double *gates, const double *norms,
                          uint64_t *bits, uint32_t *doubts) {
    s22_far *f = (s22_far *)self;
    const size_t words = (f->n + 63) / 64;
    size_t p, i;
    if (!s22_works(f)) return;
    CHECK(f->X != NULL && count >= 1);
    f->gates += count;
    memset(bits, 0, count * words * sizeof *bits);
    for (p = 0; p < count; p++) {
        doubts[p] = 0;
        for (i = 0; i < f->n; i++)
            if (s22_far_sign(f, i, gates + p * f->d, norms[p], doubts + p))
                bits[p * words + i / 64] |= (uint64_t)1 << (i % 64);
        f->doubtful += doubts[p] > 0;
        for (i = 0; i < words && doubts[p]; i++) bits[p * words + i] = 0x5555; /* not right */
    }
}

static cvxrelu_result s22_far_open(void *self, const cvxrelu_device_task *t, char *message) {
    s22_far *f = (s22_far *)self;
    cvxr_core *core = &f->core;
    f->failed = CVXRELU_OK;
    CHECK(f->X == NULL || (f->X == t->X && f->n == t->n && f->ldx == t->ldx));
    s22_far_signs_close(f);
    if (!s22_works(f)) return cvxr_fail(message, CVXRELU_ERR_DEVICE, "far device: no open");
    CHECK(f->arrays == 0 && t->ldx >= t->d && t->ld >= t->d && t->sides >= 1 && t->sides <= 2);
    CHECK(t->words == (t->n + 63) / 64 && t->gates != NULL);
    f->opened++;
    memset(core, 0, sizeof *core);
    cvxr_mem_init(&f->mem, NULL, 0);
    memset(&f->data, 0, sizeof f->data);
    memset(&f->opt, 0, sizeof f->opt);
    f->opt.threads = 1;
    f->data.n = t->n, f->data.d = t->d, f->data.c = t->outputs, f->data.dp = t->ldx;
    f->data.X = (double *)s22_copy_of(f, t->X, t->n * t->ldx, sizeof(double));
    f->data.Y = (double *)s22_copy_of(f, t->Y, t->n * t->outputs, sizeof(double));
    f->patterns.n = t->n, f->patterns.d = t->d;
    f->patterns.count = t->patterns, f->patterns.words = t->words;
    f->patterns.bits = (uint64_t *)s22_copy_of(f, t->bits, t->patterns * t->words,
                                               sizeof(uint64_t));
    core->mem = &f->mem, core->data = &f->data, core->patterns = &f->patterns;
    core->opt = &f->opt;
    core->loss = &cvxr_losses[t->loss], core->penalty = &cvxr_penalties[t->penalty];
    core->space = &cvxr_space_f64, core->type = CVXRELU_FLOAT64;
    core->units = (double)t->rows * (double)t->outputs;
    core->kind = t->sides == 2 ? CVXRELU_RELU : CVXRELU_GATED;
    cvxr_core_open(core);
    (void)cvxr_hinges_device(core);
    core->scratch.z64 = (double *)cvxr_alloc(&f->mem, t->n, sizeof(double));
    core->scratch.index = (size_t *)cvxr_alloc(&f->mem, t->patterns, sizeof(size_t));
    core->scratch.sums = (double *)cvxr_alloc(&f->mem, t->patterns * t->ldx, sizeof(double));
    f->X32 = NULL;
    if (t->type == CVXRELU_FLOAT32) s22_far_single(f, t);
    return f->mem.failed;
}

static cvxrelu_result s22_far_status(void *self, char *message) {
    const s22_far *f = (const s22_far *)self;
    if (f->failed) cvxr_fail(message, f->failed, "far device: call %z failed", f->calls);
    return f->failed;
}

static void *s22_far_allocate(void *self, size_t count) {
    s22_far *f = (s22_far *)self;
    return s22_works(f) ? s22_away(f, f->core.cpu.allocate(&f->core, count)) : NULL;
}

/* Also after a failure. */
static void s22_far_release(void *self, void *array, size_t count) {
    s22_far *f = (s22_far *)self;
    if (array == NULL) return;
    f->arrays--;
    f->core.cpu.release(&f->core, s22_near(array), count);
}

static void s22_far_copy(void *self, size_t count, const void *from, void *to) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f)) f->core.cpu.copy(&f->core, count, s22_near(from), s22_near(to));
}

static void s22_far_axpby(void *self, size_t count, double a, const void *x, double b,
                          void *y) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f)) f->core.cpu.axpby(&f->core, count, a, s22_near(x), b, s22_near(y));
}

static double s22_far_dot(void *self, size_t count, const void *x, const void *y, const void *z,
                          const void *w) {
    s22_far *f = (s22_far *)self;
    if (!s22_works(f)) return 0;
    return f->core.cpu.dot(&f->core, count, s22_near(x), s22_near(y), s22_near(z), s22_near(w));
}

static size_t s22_far_take(void *self, size_t rows, const void *W, size_t *index, double *U) {
    s22_far *f = (s22_far *)self;
    CHECK(rows <= 256);
    return s22_works(f) ? f->core.cpu.take(&f->core, rows, s22_near(W), index, U) : 0;
}

static void s22_far_put(void *self, size_t rows, const size_t *index, const double *U,
                        void *W) {
    s22_far *f = (s22_far *)self;
    CHECK(rows <= 256);
    if (s22_works(f)) f->core.cpu.put(&f->core, rows, index, U, s22_near(W));
}

static void s22_far_prox(void *self, cvxrelu_penalty penalty, size_t blocks, size_t groups,
                         double t, void *W) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f)) f->core.cpu.prox(&f->core, penalty, blocks, groups, t, s22_near(W));
}

static double s22_far_penalty(void *self, cvxrelu_penalty penalty, size_t blocks,
                              size_t groups, const void *W) {
    s22_far *f = (s22_far *)self;
    if (!s22_works(f)) return 0;
    return f->core.cpu.penalty(&f->core, penalty, blocks, groups, s22_near(W));
}

static double s22_far_subgradient(void *self, size_t groups, double lambda, const void *G,
                                  const void *W) {
    s22_far *f = (s22_far *)self;
    if (!s22_works(f)) return 0;
    return f->core.cpu.subgradient(&f->core, groups, lambda, s22_near(G), s22_near(W));
}

static size_t s22_far_forward(void *self, const void *W, void *z) {
    s22_far *f = (s22_far *)self;
    return s22_works(f) ? f->core.cpu.forward(&f->core, s22_near(W), s22_near(z)) : 0;
}

static void s22_far_gradient(void *self, const void *r, void *G) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f)) f->core.cpu.gradient(&f->core, s22_near(r), s22_near(G));
}

static void s22_far_residual(void *self, const void *z, void *r) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f)) f->core.cpu.residual(&f->core, s22_near(z), s22_near(r));
}

static double s22_far_loss(void *self, const void *z) {
    s22_far *f = (s22_far *)self;
    return s22_works(f) ? f->core.cpu.loss(&f->core, s22_near(z)) : 0;
}

static double s22_far_excess(void *self, const void *z1, const void *z0) {
    s22_far *f = (s22_far *)self;
    return s22_works(f) ? f->core.cpu.excess(&f->core, s22_near(z1), s22_near(z0)) : 0;
}

static void s22_far_forward64(void *self, size_t count, const size_t *patterns,
                              const double *U, double *z) {
    s22_far *f = (s22_far *)self;
    CHECK(count >= 1 && count <= 256);
    if (s22_works(f)) f->core.cpu.forward64(&f->core, count, patterns, U, z);
    else memset(z, 0, f->data.n * sizeof *z);
}

static void s22_far_gradient64(void *self, size_t first, size_t count, const double *theta,
                               double *G) {
    s22_far *f = (s22_far *)self;
    CHECK(count >= 1 && count <= 256 && (theta == NULL) == (first > 0));
    if (s22_works(f)) f->core.cpu.gradient64(&f->core, first, count, theta, G);
    else memset(G, 0, count * f->data.dp * sizeof *G);
}

static size_t s22_far_predict64(void *self, const void *W, double *z) {
    s22_far *f = (s22_far *)self;
    cvxr_rows rows;
    memset(&rows, 0, sizeof rows);
    rows.dense = s22_near(W);
    if (s22_works(f)) return cvxr_predict_rows(&f->core, &rows, z);
    memset(z, 0, f->data.n * sizeof *z);
    return 0;
}

/* Not for groups across patterns. */
static int s22_far_sweep64(void *self, cvxrelu_penalty penalty, const void *W,
                           const double *theta, double lambda, double *sums) {
    s22_far *f = (s22_far *)self;
    cvxr_penalty_sums s;
    cvxr_rows rows;
    memset(&rows, 0, sizeof rows);
    rows.dense = s22_near(W);
    CHECK(&cvxr_penalties[penalty] == f->core.penalty);
    if (penalty == CVXRELU_PENALTY_FEATURE) return 0;
    if (!s22_works(f)) return 1;
    cvxr_sweep_rows(&f->core, &rows, theta, lambda, &s);
    sums[0] = s.most, sums[1] = s.row, sums[2] = s.value, sums[3] = s.product;
    sums[4] = s.subgradient;
    return 1;
}

static void *s22_far_hinges_open(void *self, size_t groups, const size_t *pattern) {
    s22_far *f = (s22_far *)self;
    if (!s22_works(f)) return NULL;
    return s22_away(f, f->core.cpu.hinges_open(&f->core, groups, pattern));
}

static void s22_far_hinges_close(void *self, void *hinges) {
    s22_far *f = (s22_far *)self;
    if (hinges == NULL) return;
    f->arrays--;
    f->core.cpu.hinges_close(&f->core, s22_near(hinges));
}

static void s22_far_hinges_update(void *self, void *hinges, double delta, const void *W) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f))
        f->core.cpu.hinges_update(&f->core, s22_near(hinges), delta, s22_near(W));
}

static void s22_far_hinges_gradient(void *self, void *hinges, double delta, double scale,
                                    const void *W, void *G) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f))
        f->core.cpu.hinges_gradient(&f->core, s22_near(hinges), delta, scale, s22_near(W),
                                    s22_near(G));
}

static double s22_far_hinges_value(void *self, void *hinges, double delta, const void *W) {
    s22_far *f = (s22_far *)self;
    if (!s22_works(f)) return 0;
    return f->core.cpu.hinges_value(&f->core, s22_near(hinges), delta, s22_near(W));
}

static double s22_far_hinges_excess(void *self, void *hinges, double delta, const void *V,
                                    const void *Y) {
    s22_far *f = (s22_far *)self;
    if (!s22_works(f)) return 0;
    return f->core.cpu.hinges_excess(&f->core, s22_near(hinges), delta, s22_near(V),
                                     s22_near(Y));
}

static double s22_far_hinges_gap(void *self, void *hinges, const void *W) {
    s22_far *f = (s22_far *)self;
    if (!s22_works(f)) return 0;
    return f->core.cpu.hinges_gap(&f->core, s22_near(hinges), s22_near(W));
}

static void s22_far_work(void *self, double *passes, double *flops) {
    s22_far *f = (s22_far *)self;
    cvxr_op *ops[2];
    size_t i;
    ops[0] = &f->core.op, ops[1] = &f->core.op_work;
    for (i = 0; i < 2; i++) {
        *passes += ops[i]->passes, *flops += ops[i]->flops;
        ops[i]->passes = ops[i]->flops = 0;
    }
    *passes += f->passes, *flops += f->flops;
    f->passes = f->flops = 0;
}

/* ---- Newton's part. */

/* Is row i active in pattern p? */
static int s22_far_on(const s22_far *f, size_t p, size_t i) {
    return (int)(f->patterns.bits[p * f->patterns.words + i / 64] >> i % 64 & 1);
}

static void s22_far_count(s22_far *f, size_t patterns) {
    f->passes += (double)patterns / (double)f->patterns.count;
    f->flops += 2.0 * (double)f->data.n * (double)f->data.d * (double)patterns;
}

static int s22_far_begin(void *self, size_t groups) {
    s22_far *f = (s22_far *)self;
    const size_t n = f->data.n;
    if (!s22_works(f) || (f->room && n * groups > f->room)) return 0;
    CHECK(f->begun == f->ended && groups >= 1 && groups <= f->patterns.count);
    CHECK(f->core.type == CVXRELU_FLOAT64 && f->core.kind == CVXRELU_GATED);
    f->begun++;
    f->groups = groups;
    f->active = (size_t *)malloc(groups * sizeof *f->active);
    f->a = (double *)malloc(groups * sizeof *f->a);
    f->zh = (double *)malloc(groups * f->data.dp * sizeof *f->zh);
    f->L = (double *)malloc(n * n * sizeof *f->L);
    f->count = f->factors = f->solves = 0, f->factored = 0;
    return 1;
}

static void s22_far_end(void *self) {
    s22_far *f = (s22_far *)self;
    CHECK(f->arrays == 0 && f->begun == f->ended + 1 && f->opened == f->closed + 1);
    f->ended++;
    free(f->active), free(f->a), free(f->zh), free(f->L);
}

static void *s22_far_vector(void *self) {
    s22_far *f = (s22_far *)self;
    return s22_works(f) ? s22_away(f, calloc(f->data.n, sizeof(double))) : NULL;
}

static void s22_far_drop(void *self, void *v) {
    if (v == NULL) return;
    ((s22_far *)self)->arrays--;
    free(s22_near(v));
}

static void s22_far_send(void *self, const double *from, void *v) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f)) memcpy(s22_near(v), from, f->data.n * sizeof *from);
}

static void s22_far_fetch(void *self, const void *v, double *to) {
    s22_far *f = (s22_far *)self;
    if (s22_works(f)) memcpy(to, s22_near(v), f->data.n * sizeof *to);
    else memset(to, 0, f->data.n * sizeof *to);
}

static void s22_far_combine(void *self, double a, const void *x, double b, const void *y,
                            void *out) {
    s22_far *f = (s22_far *)self;
    const double *u = (const double *)s22_near(x), *v = (const double *)s22_near(y);
    size_t i;
    if (!s22_works(f)) return;
    for (i = 0; i < f->data.n; i++)
        ((double *)s22_near(out))[i] = (a != 0 ? a * u[i] : 0) + (b != 0 ? b * v[i] : 0);
}

static double s22_far_product(void *self, const void *x, const void *y) {
    s22_far *f = (s22_far *)self;
    const double *u = (const double *)s22_near(x), *v = (const double *)s22_near(y);
    double sum = 0;
    size_t i;
    if (!s22_works(f)) return 0;
    for (i = f->data.n; i-- > 0;) sum += u[i] * v[i];
    return sum;
}

/* z += D_p X u; g = X^T (D_p v). */
static void s22_far_add(const s22_far *f, size_t p, const double *u, double *z) {
    size_t i, j;
    for (i = 0; i < f->data.n; i++)
        for (j = 0; s22_far_on(f, p, i) && j < f->data.d; j++)
            z[i] += f->data.X[i * f->data.dp + j] * u[j];
}

static void s22_far_collect(const s22_far *f, size_t p, const double *v, double *g) {
    size_t i, j;
    for (j = 0; j < f->data.dp; j++) g[j] = 0;
    for (i = 0; i < f->data.n; i++)
        for (j = 0; s22_far_on(f, p, i) && j < f->data.d; j++)
            g[j] += f->data.X[i * f->data.dp + j] * v[i];
}

static void s22_far_sum(void *self, size_t count, const size_t *patterns, const double *U,
                        void *z) {
    s22_far *f = (s22_far *)self;
    size_t k;
    if (!s22_works(f)) return;
    memset(s22_near(z), 0, f->data.n * sizeof(double));
    for (k = 0; k < count; k++)
        s22_far_add(f, patterns[k], U + k * f->data.dp, (double *)s22_near(z));
    s22_far_count(f, count);
}

static void s22_far_slopes(void *self, size_t count, const size_t *patterns, const void *v,
                           double *G) {
    s22_far *f = (s22_far *)self;
    const int works = s22_works(f);
    size_t k;
    if (!works) memset(G, 0, count * f->data.dp * sizeof *G);
    for (k = 0; works && k < count; k++)
        s22_far_collect(f, patterns ? patterns[k] : k, (const double *)s22_near(v),
                        G + k * f->data.dp);
    if (works) s22_far_count(f, count);
}

static void s22_far_active(void *self, size_t count, const size_t *patterns, const double *a,
                           const double *zh) {
    s22_far *f = (s22_far *)self;
    size_t k;
    CHECK(count >= 1 && count <= f->groups);
    if (!s22_works(f)) return;
    f->count = count;
    memcpy(f->active, patterns, count * sizeof *patterns);
    memcpy(f->a, a, count * sizeof *a);
    memcpy(f->zh, zh, count * f->data.dp * sizeof *zh);
    for (k = 0; k < count; k++) {
        CHECK(a[k] > 0 && a[k] <= 1 && patterns[k] < f->patterns.count);
        CHECK_NEAR(cvxr_row_square_f64(f->data.dp, zh + k * f->data.dp), 1, 1e-13);
    }
}

/* t = J_k t. */
static void s22_far_jacobian(const s22_far *f, size_t k, double *t) {
    const double *zh = f->zh + k * f->data.dp;
    double along = 0;
    size_t j;
    for (j = 0; j < f->data.d; j++) along += zh[j] * t[j];
    for (j = 0; j < f->data.d; j++) t[j] = f->a[k] * t[j] + (1 - f->a[k]) * along * zh[j];
}

static void s22_far_apply(void *self, double sigma, const void *v, void *out) {
    s22_far *f = (s22_far *)self;
    double t[64], *to = (double *)s22_near(out);
    size_t k, i;
    CHECK(v != out && f->count > 0 && f->data.dp <= 64);
    if (!s22_works(f)) return;
    memset(to, 0, f->data.n * sizeof *to);
    for (k = 0; k < f->count; k++) {
        s22_far_collect(f, f->active[k], (const double *)s22_near(v), t);
        s22_far_jacobian(f, k, t);
        s22_far_add(f, f->active[k], t, to);
    }
    for (i = 0; i < f->data.n; i++) to[i] = ((const double *)s22_near(v))[i] + sigma * to[i];
    s22_far_count(f, 2 * f->count);
}

/* Column i of H is H e_i. */
static int s22_far_factor(void *self, double sigma, double jitter) {
    s22_far *f = (s22_far *)self;
    const size_t n = f->data.n, dp = f->data.dp;
    double t[64], *L = f->L;
    size_t i, j, k, q;
    CHECK(f->count > 0 && jitter >= 0 && dp <= 64);
    f->factored = 0;
    if (!s22_works(f)) return 0;
    if (f->cramped) return -1;
    f->flops += 2.0 * (double)(n * n * f->count) + (double)(n * n * n) / 3;
    f->factors++;
    f->jitter = cvxr_max(f->jitter, jitter);
    if (f->indefinite > 0) return f->indefinite--, 0;
    for (i = 0; i < n; i++)
        for (j = 0; j < n; j++) L[i * n + j] = i == j ? 1 + jitter : 0;
    for (k = 0; k < f->count; k++)
        for (i = 0; i < n; i++) {
            if (!s22_far_on(f, f->active[k], i)) continue;
            memcpy(t, f->data.X + i * dp, dp * sizeof *t);
            s22_far_jacobian(f, k, t);
            for (j = 0; j < n; j++)
                for (q = 0; s22_far_on(f, f->active[k], j) && q < f->data.d; q++)
                    L[i * n + j] += sigma * t[q] * f->data.X[j * dp + q];
        }
    for (j = 0; j < n; j++)
        for (i = j; i < n; i++) {
            for (k = 0; k < j; k++) L[i * n + j] -= L[i * n + k] * L[j * n + k];
            if (i == j && !(L[j * n + j] > 0)) return 0;
            L[i * n + j] = i == j ? sqrt(L[j * n + j]) : L[i * n + j] / L[j * n + j];
        }
    return f->factored = 1;
}

static void s22_far_solve(void *self, const void *v, void *out) {
    s22_far *f = (s22_far *)self;
    const size_t n = f->data.n;
    const double *L = f->L;
    double *x = (double *)s22_near(out);
    size_t i, k;
    CHECK(v != out && (f->factored || f->failed));
    if (!s22_works(f)) return;
    for (i = 0; i < n; i++) {
        for (x[i] = ((const double *)s22_near(v))[i], k = 0; k < i; k++)
            x[i] -= L[i * n + k] * x[k];
        x[i] /= L[i * n + i];
    }
    for (i = n; i-- > 0;) {
        for (k = i + 1; k < n; k++) x[i] -= L[k * n + i] * x[k];
        x[i] /= L[i * n + i];
    }
    f->flops += 2.0 * (double)(n * n);
    f->solves++;
}

static void s22_far_make_newton(s22_far *f) {
    cvxrelu_device_newton *t = &f->newton;
    t->open = s22_far_begin, t->close = s22_far_end;
    t->vector = s22_far_vector, t->release = s22_far_drop;
    t->send = s22_far_send, t->fetch = s22_far_fetch;
    t->combine = s22_far_combine, t->dot = s22_far_product;
    t->forward = s22_far_sum, t->gradient = s22_far_slopes;
    t->active = s22_far_active, t->apply = s22_far_apply;
    t->factor = s22_far_factor, t->solve = s22_far_solve;
    f->table.newton = t;
}

static int s22_bare;

static const cvxrelu_device *s22_far_make(s22_far *f) {
    cvxrelu_device *t = &f->table;
    memset(f, 0, sizeof *f);
    t->self = f;
    t->signs_open = s22_far_signs_open, t->signs = s22_far_signs;
    t->signs_close = s22_far_signs_close;
    t->open = s22_far_open, t->close = s22_far_close, t->status = s22_far_status;
    t->allocate = s22_far_allocate, t->release = s22_far_release;
    t->copy = s22_far_copy, t->axpby = s22_far_axpby, t->dot = s22_far_dot;
    t->take = s22_far_take, t->put = s22_far_put;
    t->prox = s22_far_prox, t->penalty = s22_far_penalty;
    t->subgradient = s22_far_subgradient;
    t->forward = s22_far_forward, t->gradient = s22_far_gradient;
    t->residual = s22_far_residual, t->loss = s22_far_loss, t->excess = s22_far_excess;
    t->forward64 = s22_far_forward64, t->gradient64 = s22_far_gradient64;
    t->predict64 = s22_far_predict64, t->sweep64 = s22_far_sweep64;
    t->hinges_open = s22_far_hinges_open, t->hinges_close = s22_far_hinges_close;
    t->hinges_update = s22_far_hinges_update, t->hinges_gradient = s22_far_hinges_gradient;
    t->hinges_value = s22_far_hinges_value, t->hinges_excess = s22_far_hinges_excess;
    t->hinges_gap = s22_far_hinges_gap, t->work = s22_far_work;
    if (s22_bare) t->predict64 = NULL, t->sweep64 = NULL;
    s22_far_make_newton(f);
    return t;
}

/* ---- The same numbers as on the CPU. */

static void s22_far_compare(const cvxrelu_problem *p, cvxrelu_options o) {
    cvxrelu_report here, there;
    cvxrelu_model *a = NULL, *b = NULL;
    s22_far far;
    o.threads = 1;
    CHECK(cvxrelu_fit(p, &o, NULL, &a, &here) == CVXRELU_OK);
    o.device = s22_far_make(&far);
    CHECK(cvxrelu_fit(p, &o, NULL, &b, &there) == CVXRELU_OK);
    CHECK_TEXT(there.message, "");
    CHECK(far.opened == 1 && far.closed == 1);
    CHECK(s22_same(&here, &there) && s22_same_models(a, b, here.d));
    CHECK(here.solver == there.solver && here.iterations > 3);
    CHECK(memcmp(&here.train_error, &there.train_error, sizeof(double)) == 0);
    CHECK(memcmp(&here.stationarity, &there.stationarity, sizeof(double)) == 0);
    CHECK(memcmp(&here.lambda_max, &there.lambda_max, sizeof(double)) == 0);
    CHECK(memcmp(&here.raw_violation, &there.raw_violation, sizeof(double)) == 0);
    CHECK(s22_bytes(p, &o) >= there.peak_bytes && there.peak_bytes <= here.peak_bytes);
    CHECK_NEAR(here.passes / there.passes, 1, 1e-12);
    CHECK_NEAR(here.flops / there.flops, 1, 1e-12);
    cvxrelu_model_free(a);
    cvxrelu_model_free(b);
}

TEST(fista_on_a_device_is_fista_on_the_cpu) {
    static const cvxrelu_penalty penalties[4] = {
        CVXRELU_PENALTY_NEURON, CVXRELU_PENALTY_FEATURE, CVXRELU_PENALTY_L1, CVXRELU_PENALTY_L2
    };
    size_t k, type;
    s22_bare = 1; /* without the entries that may be left out */
    for (k = 0; k < 5; k++, s22_bare = 0)
        for (type = 0; type < S08_TYPES; type++) {
            cvxrelu_problem p = s14_problem(70, 5, 1 + k % 3, k % 4 == 0 ? 600 : 40);
            cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, type ? 1e-3 : 1e-6);
            p.penalty = penalties[k % 4];
            p.lambda = 0.003;
            o.precision = type ? CVXRELU_FLOAT32 : CVXRELU_FLOAT64;
            o.max_iters = 300;
            s22_far_compare(&p, o);
        }
}

TEST(augmented_lagrangian_on_a_device_is_that_on_the_cpu) {
    size_t c;
    for (c = 1; c < 3; c++) {
        cvxrelu_problem p = s15_problem(60, 4, c, 150, 0.01);
        s22_far_compare(&p, s14_options(CVXRELU_SOLVER_AL, 1e-3));
    }
}

TEST(cda_on_a_device_is_cda_on_the_cpu) {
    cvxrelu_problem p = s15_problem(30, 4, 2, 160, 0.01);
    cvxrelu_report report;
    s22_far far;
    cvxr_fit f;
    double *first = NULL;
    size_t run, size = 0;
    s15_open(&f, &p, NULL, &report);
    for (run = 0; run < 2; run++) {
        s15_gated(&f);
        f.weights.m = 0;
        f.opt.device = run ? s22_far_make(&far) : NULL;
        CHECK(cvxr_fit_open_device(&f, report.message) == CVXRELU_OK);
        CHECK(cvxr_cda(&f.core, &f.start, 1e-2, 1e-12, 20000, &f.weights)
              == CVXRELU_STOP_SUBGRADIENT);
        size = f.weights.m * f.weights.dp;
        CHECK(f.weights.m == f.start.m && f.weights.m > 256);
        if (run == 0) {
            first = (double *)cvxr_alloc(&f.mem, size, sizeof(double));
            memcpy(first, f.weights.u, size * sizeof(double));
        } else {
            CHECK(memcmp(first, f.weights.u, size * sizeof(double)) == 0);
            cvxr_release(&f.mem, first, size, sizeof(double));
        }
    }
    s15_close(&f);
    CHECK(far.closed == 1);
}

/* CD-A as users call it, over patterns that were merged before too; the other kinds leave the
   device alone. */
TEST(decomposition_by_cda_runs_on_the_device) {
    int way;
    for (way = 0; way < 3; way++) {
        const cvxrelu_decomposition kind =
            way == 2 ? CVXRELU_DECOMPOSE_MIN_NORM : CVXRELU_DECOMPOSE_APPROXIMATE;
        cvxrelu_decompose_report about;
        cvxrelu_report here;
        cvxrelu_model *first;
        s22_far far;
        if (way == 1) s22d_fill_singular(1);
        else s22d_fill(40, 5, 2, 7);
        s22d_fit();
        s22d.options.precision = CVXRELU_FLOAT32; /* of fits */
        CHECK(s22d_split(kind) == CVXRELU_OK);
        first = s22d.relu, here = s22d.relu_report, about = s22d.about;
        s22d.relu = NULL;
        s22d.options.device = s22_far_make(&far);
        CHECK(s22d_split(kind) == CVXRELU_OK);
        CHECK_TEXT(s22d.relu_report.message, "");
        CHECK(far.opened == (way < 2) && far.closed == far.opened && far.X == NULL);
        CHECK(way < 2 ? far.calls > 100 && far.gates > 0 : far.calls == 0);
        CHECK(s22_same(&here, &s22d.relu_report));
        CHECK(s22_same_models(first, s22d.relu, here.d));
        CHECK(memcmp(&about, &s22d.about, sizeof about) == 0 && about.groups > 0);
        CHECK((about.merged > 0) == (way == 1));
        CHECK(here.passes == s22d.relu_report.passes);
        CHECK_NEAR(s22d.relu_report.flops / here.flops, 1, 1e-12);
        cvxrelu_model_free(first);
        s22d_close();
    }
}

/* ---- Newton. */

/* A fit of the device, beside that of the CPU with the same options: the same optimum, proven.
   Returns the device's report. */
static cvxrelu_report s22_far_newton(const cvxrelu_problem *p, cvxrelu_options o) {
    cvxrelu_report here, there;
    cvxrelu_model *a = NULL, *b = NULL;
    s22_far far;
    o.tol = 1e-10;
    CHECK(cvxrelu_fit(p, &o, NULL, &a, &here) == CVXRELU_OK);
    o.device = s22_far_make(&far);
    CHECK(cvxrelu_fit(p, &o, NULL, &b, &there) == CVXRELU_OK);
    CHECK_TEXT(there.message, "");
    CHECK(far.opened == 1 && far.closed == 1 && far.begun == 1 && far.ended == 1);
    CHECK(there.solver == CVXRELU_SOLVER_NEWTON && there.stop == here.stop);
    CHECK(there.gap <= 1e-10 || there.objective < 1e-20);
    CHECK_NEAR(there.objective, here.objective, 1e-9 * here.objective);
    CHECK_NEAR(there.train_error, here.train_error, 1e-4 * here.train_error + 1e-20);
    CHECK(there.lambda_max == here.lambda_max && (size_t)there.factors == far.factors);
    CHECK(s22_bytes(p, &o) >= there.peak_bytes && there.peak_bytes <= here.peak_bytes);
    s14_check_report(p, b, &there);
    cvxrelu_model_free(a);
    cvxrelu_model_free(b);
    return there;
}

TEST(newton_on_a_device_reaches_the_optimum_of_the_cpu) {
    static const size_t shapes[6][4] = { { 70, 5, 1, 40 }, { 64, 4, 3, 60 },
                                         { 33, 3, 2, 400 }, { 130, 9, 1, 30 },
                                         { 1, 2, 1, 10 },   { 90, 8, 2, 200 } };
    size_t k, j;
    for (k = 0; k < 6; k++)
        for (j = 0; j < 3; j++) {
            cvxrelu_problem p = s14_problem(shapes[k][0], shapes[k][1], shapes[k][2],
                                            shapes[k][3]);
            cvxrelu_report r;
            if (j) p.no_bias = 0, p.scale = CVXRELU_SCALE_STANDARD;
            p.lambda = (j == 2 ? 1e-3 : 0.05) * s14_lambda_max(&p);
            r = s22_far_newton(&p, s14_options(j ? CVXRELU_SOLVER_AUTO : CVXRELU_SOLVER_NEWTON,
                                               0));
            CHECK(r.iterations > 0 && r.passes > 1 && r.flops > 0);
            CHECK(k == 4 || (r.cg_iterations > r.iterations && (j < 2 || r.factors > 0)));
        }
}

TEST(newton_on_a_device_takes_degenerate_data) {
    cvxrelu_problem p = s14_problem(60, 4, 2, 50);
    size_t i, j;
    p.lambda = 0.003;
    for (i = 0; i < 60; i++) s14_Y[2 * i + 1] = 3; /* an output that is constant */
    (void)s22_far_newton(&p, s14_options(CVXRELU_SOLVER_NEWTON, 0));
    for (i = 30; i < 60; i++) /* equal rows, and a column of zeros */
        for (j = 0; j < 4; j++) s14_X[i * 4 + j] = s14_X[(i - 30) * 4 + j];
    for (i = 0; i < 60; i++) s14_X[i * 4 + 2] = 0;
    (void)s22_far_newton(&p, s14_options(CVXRELU_SOLVER_NEWTON, 0));
    p.lambda = 2 * s14_lambda_max(&p);
    (void)s22_far_newton(&p, s14_options(CVXRELU_SOLVER_NEWTON, 0));
}

TEST(path_and_start_on_a_device_go_on_by_newton) {
    cvxrelu_problem p = s14_problem(80, 5, 2, 60);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-10);
    cvxrelu_path_options path;
    cvxrelu_report here[4], there[4], cold, warm;
    cvxrelu_model *models[4], *again = NULL;
    char message[CVXRELU_MESSAGE_SIZE];
    s22_far far;
    size_t i;
    memset(&path, 0, sizeof path);
    path.count = 4, path.ratio = 0.01;
    CHECK(cvxrelu_path(&p, &o, &path, NULL, here, message) == CVXRELU_OK);
    o.device = s22_far_make(&far);
    CHECK(cvxrelu_path(&p, &o, &path, models, there, message) == CVXRELU_OK);
    CHECK(far.opened == 1 && far.closed == 1 && far.begun == 1 && far.ended == 1);
    for (i = 1; i < 4; i++) {
        CHECK(there[i].solver == CVXRELU_SOLVER_NEWTON && there[i].gap <= 1e-10);
        CHECK_NEAR(there[i].objective, here[i].objective, 1e-9 * here[i].objective);
    }
    p.lambda = 0.5 * there[3].lambda;
    CHECK(cvxrelu_fit(&p, &o, models[3], &again, &warm) == CVXRELU_OK && warm.gap <= 1e-10);
    cvxrelu_model_free(again);
    CHECK(cvxrelu_fit(&p, &o, NULL, &again, &cold) == CVXRELU_OK && cold.gap <= 1e-10);
    cvxrelu_model_free(again);
    CHECK(warm.iterations < cold.iterations && warm.solver == CVXRELU_SOLVER_NEWTON);
    CHECK_NEAR(warm.objective, cold.objective, 1e-9 * cold.objective);
    for (i = 0; i < 4; i++) cvxrelu_model_free(models[i]);
}

TEST(cross_validation_on_a_device_chooses_what_the_cpu_does) {
    cvxrelu_problem p = s14_problem(60, 4, 1, 30);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-9);
    cvxrelu_path_options path;
    cvxrelu_cv_point here[5], there[5];
    cvxrelu_report report;
    cvxrelu_model *model = NULL;
    s22_far far;
    size_t chosen[2], i;
    memset(&path, 0, sizeof path);
    path.count = 5, path.ratio = 1e-3, path.folds = 3;
    CHECK(cvxrelu_cross_validate(&p, &o, &path, here, &chosen[0], &model, &report)
          == CVXRELU_OK);
    cvxrelu_model_free(model);
    o.device = s22_far_make(&far);
    CHECK(cvxrelu_cross_validate(&p, &o, &path, there, &chosen[1], &model, &report)
          == CVXRELU_OK);
    cvxrelu_model_free(model);
    CHECK(chosen[0] == chosen[1] && report.solver == CVXRELU_SOLVER_NEWTON);
    for (i = 0; i < 5; i++) CHECK_NEAR(there[i].error, here[i].error, 1e-4 * here[i].error);
    CHECK(far.opened == 5 && far.closed == 5); /* lambda_max, three folds, all rows */
    CHECK(far.begun == 4 && far.ended == 4);
}

/* Matrices that are not positive definite: jitter, then conjugate gradients alone; those at
   once where a factor has no room. */
TEST(indefinite_matrix_of_a_device_leaves_conjugate_gradients) {
    static const size_t refused[4] = { 1, 4, 1000000, 0 };
    cvxrelu_problem p = s14_problem(70, 5, 1, 60);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 1e-8);
    size_t k;
    p.lambda = 1e-3 * s14_lambda_max(&p);
    for (k = 0; k < 4; k++) {
        cvxrelu_report r;
        cvxrelu_model *model = NULL;
        s22_far far;
        o.device = s22_far_make(&far);
        far.indefinite = refused[k];
        far.cramped = k == 3;
        CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_OK && r.gap <= 1e-8);
        CHECK((size_t)r.factors == far.factors);
        CHECK(k == 3 ? far.factors == 0 : far.factors > refused[k] % 1000000);
        CHECK((far.solves == 0) == (k >= 2) && far.jitter < 1e6);
        if (k < 3)
            CHECK(k == 0 ? far.jitter <= 1e-8 : k == 1 ? far.jitter > 1e-8 : far.jitter > 0.01);
        cvxrelu_model_free(model);
    }
}

/* As on the CPU: test_s14_newton.c. */
TEST(unproven_output_of_a_device_is_improved_by_fista) {
    cvxrelu_problem p = s14_problem(60, 4, 2, 100);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report alone, helped;
    cvxrelu_model *model = NULL;
    s22_far far;
    p.lambda = 0.01 * s14_lambda_max(&p);
    o.device = s22_far_make(&far);
    o.max_working_set = 4;
    o.max_iters = 499;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &alone) == CVXRELU_OK);
    CHECK(alone.stop == CVXRELU_STOP_ITERATIONS && alone.gap > 1e-6);
    cvxrelu_model_free(model);
    o.max_iters = 0;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &helped) == CVXRELU_OK);
    CHECK(helped.stop == CVXRELU_STOP_STALLED && helped.gap > 1e-6 && helped.neurons <= 8);
    CHECK(helped.objective <= alone.objective * (1 + 1e-12) && helped.passes > alone.passes);
    CHECK(s22_bytes(&p, &o) >= helped.peak_bytes && far.ended == 2);
    s14_check_report(&p, model, &helped);
    cvxrelu_model_free(model);
}

TEST(device_without_room_for_newton_leaves_auto_to_fista) {
    cvxrelu_problem p = s14_problem(50, 4, 3, 400);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-4);
    cvxrelu_report r;
    cvxrelu_model *model = NULL;
    s22_far far;
    p.lambda = 0.01;
    o.device = s22_far_make(&far);
    far.room = 1;
    o.max_working_set = 3; /* FISTA's memory is the larger one then */
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_OK);
    CHECK(r.solver == CVXRELU_SOLVER_FISTA && r.gap <= 1e-4 && far.begun == 0);
    CHECK(s22_bytes(&p, &o) >= r.peak_bytes);
    s14_check_report(&p, model, &r);
    cvxrelu_model_free(model);
    o.max_working_set = 0;
    far.room = 50 * 100 - 1; /* of 2 n groups */
    o.solver = CVXRELU_SOLVER_NEWTON;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_ERR_LIMIT && model == NULL);
    CHECK_TEXT(r.message,
               "options.device has no room for Newton's factors of 50 rows: use FISTA");
    CHECK(far.opened == 2 && far.closed == 2);
    far.room = 50 * 100;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_OK && r.gap <= 1e-4);
    cvxrelu_model_free(model);
}

/* A refused allocation of the host, each in turn, leaves nothing behind on either side. */
TEST(refused_memory_of_newton_on_a_device_is_an_error) {
    cvxrelu_problem p = s14_problem(40, 3, 2, 20);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report r;
    cvxrelu_model *model = NULL;
    s22_heap heap;
    s22_far far;
    size_t refuse;
    cvxrelu_result result = CVXRELU_ERR_MEMORY;
    p.lambda = 0.01;
    o.device = s22_far_make(&far);
    for (refuse = 1; result != CVXRELU_OK && refuse < 1000; refuse++) {
        memset(&heap, 0, sizeof heap);
        s22_use_heap(&o, &heap, refuse);
        result = cvxrelu_fit(&p, &o, NULL, &model, &r);
        CHECK(result == CVXRELU_OK || (result == CVXRELU_ERR_MEMORY && heap.held == 0));
        CHECK((model != NULL) == (result == CVXRELU_OK) && far.opened == far.closed);
    }
    CHECK(refuse > 30 && refuse < 1000 && far.begun == far.ended && far.X == NULL);
    cvxrelu_model_free(model);
}

TEST(auto_on_a_device_without_newton_is_a_first_order_method) {
    cvxrelu_problem p = s14_problem(50, 4, 1, 40);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 1e-4);
    cvxrelu_report r[4];
    cvxrelu_path_options path;
    char message[CVXRELU_MESSAGE_SIZE];
    s22_far far;
    size_t i;
    memset(&path, 0, sizeof path);
    path.count = 4, path.ratio = 0.05;
    o.device = s22_far_make(&far);
    far.table.newton = NULL;
    CHECK(cvxrelu_path(&p, &o, &path, NULL, r, message) == CVXRELU_OK);
    for (i = 0; i < 4; i++) CHECK(r[i].solver == CVXRELU_SOLVER_FISTA && r[i].gap <= 1e-4);
    for (i = 1; i < 4; i++) CHECK(r[i].passes > 0 && r[i].flops > 0);
    CHECK(far.opened == 1 && far.closed == 1);
}

/* What the manual, MEMORY, says that the host holds: test_s22_fit.c, s22_stated. */
TEST(peak_of_newton_on_a_device_is_within_the_bound_that_the_manual_states) {
    static const size_t sizes[4][3] = {
        { 60, 3, 500 }, { 300, 20, 50 }, { 100, 60, 200 }, { 1200, 4, 30 }
    };
    size_t k, c;
    for (k = 0; k < 4; k++)
        for (c = 1; c <= 3; c += 2) {
            cvxrelu_problem p = s14_problem(sizes[k][0], sizes[k][1], c, sizes[k][2]);
            cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
            const double n = (double)sizes[k][0], P = (double)sizes[k][2],
                         dp = (double)cvxr_pad(sizes[k][1]),
                         W = cvxr_min(P, cvxr_max(2 * n, 64)),
                         newton = 8 * dp * (P + 14 * W) + 128 * W + 16 * P,
                         rescue = W * (40 * dp + n / 8) + 40 * n;
            const double here = s22_stated(n, (double)sizes[k][1], (double)c, P, 0, 0, 0),
                         least = dp > 8 ? dp - 7 : 1,
                         cpu = 8 * dp * (P + 16 * W) + n * (W + cvxr_min(W, n / least)) / 8
                               + 144 * W + 16 * P + 120 * n + 262144 + 8 * dp * dp;
            cvxrelu_report r;
            s22_far far;
            p.lambda = 1e-3;
            o.max_iters = 2;
            o.device = s22_far_make(&far);
            cvxrelu_model_free(s14_fit(&p, &o, &r));
            CHECK((double)r.peak_bytes <= 1.02 * (here - cpu + cvxr_max(newton, rescue)));
            CHECK(s22_bytes(&p, &o) >= r.peak_bytes);
        }
}

/* The number of rows from which on AUTO leaves Newton alone, who takes any when asked. */
TEST(auto_on_a_device_is_newton_up_to_20000_rows) {
    cvxrelu_problem p = s14_problem(50, 4, 1, 40);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_AUTO, 0);
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_shape q;
    cvxr_plan plan;
    s22_far far;
    memset(&q, 0, sizeof q);
    o.device = s22_far_make(&far);
    q.n = q.all = 20000, q.d = q.features = 4, q.c = 1, q.P = 40, q.threads = q.device = 1;
    CHECK(cvxr_plan_make(&q, &p, &o, 0, &plan, message) == CVXRELU_OK);
    CHECK(plan.solver == CVXRELU_SOLVER_NEWTON);
    q.n = q.all = 20001;
    CHECK(cvxr_plan_make(&q, &p, &o, 0, &plan, message) == CVXRELU_OK);
    CHECK(plan.solver == CVXRELU_SOLVER_FISTA);
    o.solver = CVXRELU_SOLVER_NEWTON;
    CHECK(cvxr_plan_make(&q, &p, &o, 0, &plan, message) == CVXRELU_OK);
    CHECK(plan.solver == CVXRELU_SOLVER_NEWTON);
}

/* ---- The same patterns. */

static void s22_far_patterns(const cvxrelu_problem *p, size_t most, int signs, int doubts) {
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 0);
    cvxrelu_report here, there;
    cvxr_fit a, b;
    s22_far far;
    CHECK(cvxr_fit_open(&a, p, &o, NULL, &here) == CVXRELU_OK);
    o.device = s22_far_make(&far);
    far.most = most;
    CHECK(cvxr_fit_open(&b, p, &o, NULL, &there) == CVXRELU_OK);
    CHECK(a.patterns.count == b.patterns.count && a.patterns.count > 10);
    CHECK(a.patterns.near_ties == b.patterns.near_ties);
    if (a.patterns.count == b.patterns.count) {
        CHECK(memcmp(a.patterns.bits, b.patterns.bits,
                     a.patterns.count * a.patterns.words * sizeof(uint64_t)) == 0);
        CHECK(memcmp(a.patterns.gates, b.patterns.gates,
                     a.patterns.count * a.patterns.d * sizeof(double)) == 0);
    }
    CHECK((far.gates > 0) == signs && (far.doubtful > 0) == doubts);
    CHECK(far.doubtful < far.gates || !doubts);
    cvxr_fit_close(&a);
    cvxr_fit_close(&b);
    CHECK(far.X == NULL && far.closed == 1);
}

/* 100 rows of an image of 3 x 3 pixels, some of them zero in the corner that small patches see;
   `offset` leaves the caller's coordinates little to go by. */
static cvxrelu_problem s22_image_problem(double *X, double offset) {
    cvxrelu_problem p = s14_problem(100, 9, 1, 300);
    size_t i, j;
    for (i = 0; i < 100; i++)
        for (j = 0; j < 9; j++)
            X[i * 9 + j] = (i % 3 == 0 && (j < 2 || j == 3 || j == 4) ? 0 : s14_X[i * 9 + j])
                           + (j == 8 ? offset : 0);
    p.X.data = X;
    p.no_bias = 0, p.lambda = 0.01;
    return p;
}

TEST(patterns_of_a_device_are_those_of_the_cpu) {
    static const size_t most[4] = { 0, 16, 100, 7 };
    static double X[900], given[64 * 9];
    size_t k, i;
    for (k = 0; k < 8; k++) {
        const double offset = k % 2 ? 2e10 : 0;
        cvxrelu_problem p = s22_image_problem(X, offset);
        const int signs = most[k / 2] != 7;
        p.scale = k % 2 ? CVXRELU_SCALE_STANDARD : CVXRELU_SCALE_NONE;
        s22_far_patterns(&p, most[k / 2], signs, signs && k % 2);
        p.gates.sampler = CVXRELU_SAMPLER_SPARSE;
        s22_far_patterns(&p, most[k / 2], signs, signs && k % 2);
        p.gates.sampler = CVXRELU_SAMPLER_PATCH;
        p.gates.width = p.gates.height = 3, p.gates.patch = 2;
        s22_far_patterns(&p, most[k / 2], signs, signs && k % 2);
        p.gates.sampler = CVXRELU_SAMPLER_POINTS;
        s22_far_patterns(&p, most[k / 2], 0, 0);
        p.gates.sampler = CVXRELU_SAMPLER_GAUSSIAN;
        p.gates.active_share = 0.3;
        s22_far_patterns(&p, most[k / 2], 0, 0);
        p.gates.active_share = 0;
        for (i = 0; i < 64 * 9; i++) given[i] = i < 9 ? 0 : s14_X[i];
        for (i = 0; i < 9; i++) given[20 * 9 + i] = 0, given[30 * 9 + i] = (double)(i == 2);
        given[20 * 9] = X[10], given[20 * 9 + 1] = -X[9]; /* row 1 is on its boundary */
        p.gates.sampler = CVXRELU_SAMPLER_GIVEN;
        p.gates.given.data = given, p.gates.given.rows = 64, p.gates.given.cols = 9;
        s22_far_patterns(&p, most[k / 2], signs, signs);
    }
}

TEST(device_without_signs_leaves_patterns_to_the_cpu) {
    cvxrelu_problem p = s14_problem(30, 3, 1, 20);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 1e-3);
    cvxrelu_report r;
    cvxrelu_model *model = NULL;
    s22_far far;
    p.lambda = 0.01;
    o.device = s22_far_make(&far);
    far.table.signs_open = NULL, far.table.signs = NULL, far.table.signs_close = NULL;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_OK && r.gap <= 1e-3);
    CHECK(far.opened == 1 && far.gates == 0);
    cvxrelu_model_free(model);
}

/* ---- What cannot be, and what goes wrong. */

TEST(what_a_device_cannot_do_is_named) {
    cvxrelu_problem p = s14_problem(30, 3, 1, 20);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_NEWTON, 0);
    cvxrelu_report r;
    cvxrelu_model *model = NULL;
    s22_far far;
    p.lambda = 0.01;
    o.device = s22_far_make(&far);
    far.table.newton = NULL;
    s22_refused(&p, &o, CVXRELU_ERR_UNSUPPORTED,
                "options.device has no Newton solver: use auto, FISTA (gated) or AL (ReLU)");
    (void)s22_far_make(&far);
    p.penalty = CVXRELU_PENALTY_L1;
    s22_refused(&p, &o, CVXRELU_ERR_UNSUPPORTED, "the Newton solver takes the neuron penalty");
    p.penalty = CVXRELU_PENALTY_NEURON;
    p.kind = CVXRELU_RELU, p.search = CVXRELU_SEARCH_OFF;
    s22_refused(&p, &o, CVXRELU_ERR_UNSUPPORTED,
                "options.device has Newton for gated networks only: use auto or AL");
    p.kind = CVXRELU_GATED, p.search = CVXRELU_SEARCH_AUTO;
#ifndef CVXRELU_NO_FLOAT32
    o.precision = CVXRELU_FLOAT32;
    s22_refused(&p, &o, CVXRELU_ERR_UNSUPPORTED,
                "Newton on options.device works in float64: set options.precision to "
                "CVXRELU_FLOAT64, or use auto or FISTA");
    o.precision = CVXRELU_FLOAT64;
#endif
    o.solver = CVXRELU_SOLVER_AUTO;
    p.lambda = 0;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_ERR_UNSUPPORTED);
    CHECK_TEXT(r.message, "lambda is 0: options.device needs strengths above 0");
    p.lambda = 0.01;
    p.kind = CVXRELU_RELU;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_ERR_UNSUPPORTED);
    CHECK_TEXT(r.message, "options.device does not look for patterns: set problem.search to "
                          "CVXRELU_SEARCH_OFF");
    p.search = CVXRELU_SEARCH_EXACT;
    CHECK(cvxrelu_fit(&p, &o, NULL, &model, &r) == CVXRELU_ERR_UNSUPPORTED);
    CHECK(far.calls == 0 && model == NULL);
}

/* Whichever call fails, the fit ends with the device's sentence and gives everything back. */
static void s22_far_fail(const cvxrelu_problem *p, cvxrelu_options o) {
    cvxrelu_report r;
    cvxrelu_model *model = NULL;
    s22_far far;
    size_t calls, fail;
    o.device = s22_far_make(&far);
    CHECK(cvxrelu_fit(p, &o, NULL, &model, &r) == CVXRELU_OK);
    cvxrelu_model_free(model);
    calls = far.calls;
    CHECK(calls > 50);
    for (fail = 1; fail <= calls; fail += fail < 40 || calls - fail < 40 ? 1 : 17) {
        (void)s22_far_make(&far);
        far.fail = fail;
        CHECK(cvxrelu_fit(p, &o, NULL, &model, &r) == CVXRELU_ERR_DEVICE);
        CHECK(model == NULL && strncmp(r.message, "far device: ", 12) == 0);
        CHECK(far.opened == far.closed && far.calls < calls + 200 && far.X == NULL);
        CHECK(far.begun == far.ended);
    }
}

TEST(failing_device_ends_the_fit_with_its_own_words) {
    cvxrelu_problem p = s14_problem(30, 3, 2, 12);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 0);
    o.max_iters = 25;
    p.lambda = 0.01;
    s22_far_fail(&p, o);
    o.solver = CVXRELU_SOLVER_AUTO;
    o.max_iters = 0;
    s22_far_fail(&p, o);
    o.max_working_set = 3; /* so that R-FISTA goes on, on the CPU */
    s22_far_fail(&p, o);
    o.max_working_set = 0;
    p = s15_problem(30, 3, 1, 10, 0.01);
    o.solver = CVXRELU_SOLVER_AL;
    o.max_iters = 60;
    s22_far_fail(&p, o);
}

TEST(failing_device_ends_a_decomposition_with_its_own_words) {
    s22_far far;
    size_t calls, fail;
    s22d_fill(20, 3, 2, 61);
    s22d_fit();
    s22d.options.device = s22_far_make(&far);
    s22d.options.max_iters = 20;
    CHECK(s22d_split(CVXRELU_DECOMPOSE_APPROXIMATE) == CVXRELU_OK);
    calls = far.calls;
    CHECK(calls > 50);
    for (fail = 1; fail <= calls; fail++) {
        (void)s22_far_make(&far);
        far.fail = fail;
        CHECK(s22d_split(CVXRELU_DECOMPOSE_APPROXIMATE) == CVXRELU_ERR_DEVICE);
        CHECK(s22d.relu == NULL && s22d.about.groups == 0);
        CHECK(strncmp(s22d.relu_report.message, "far device: ", 12) == 0);
        CHECK(far.opened == far.closed && far.calls < calls + 20 && far.X == NULL);
    }
    s22d_close();
}

TEST(lambda_max_of_a_failing_device_is_an_error) {
    cvxrelu_problem p = s14_problem(30, 3, 2, 12);
    cvxrelu_options o = s14_options(CVXRELU_SOLVER_FISTA, 0);
    char message[CVXRELU_MESSAGE_SIZE];
    double most = -1;
    s22_far far;
    o.device = s22_far_make(&far);
    far.fail = 2;
    CHECK(cvxrelu_lambda_max(&p, &o, &most, message) == CVXRELU_ERR_DEVICE && most == -1);
    CHECK(strncmp(message, "far device: ", 12) == 0);
    far.fail = 0;
    o.solver = CVXRELU_SOLVER_AUTO; /* which takes no room for Newton */
    CHECK(cvxrelu_lambda_max(&p, &o, &most, message) == CVXRELU_OK && most > 0);
    CHECK_NEAR(most, s14_lambda_max(&p), 1e-12 * most);
    CHECK(far.begun == 0);
}

SUITE(s22_device) {
    RUN(fista_on_a_device_is_fista_on_the_cpu);
    RUN(augmented_lagrangian_on_a_device_is_that_on_the_cpu);
    RUN(cda_on_a_device_is_cda_on_the_cpu);
    RUN(decomposition_by_cda_runs_on_the_device);
    RUN(newton_on_a_device_reaches_the_optimum_of_the_cpu);
    RUN(newton_on_a_device_takes_degenerate_data);
    RUN(path_and_start_on_a_device_go_on_by_newton);
    RUN(cross_validation_on_a_device_chooses_what_the_cpu_does);
    RUN(indefinite_matrix_of_a_device_leaves_conjugate_gradients);
    RUN(unproven_output_of_a_device_is_improved_by_fista);
    RUN(device_without_room_for_newton_leaves_auto_to_fista);
    RUN(refused_memory_of_newton_on_a_device_is_an_error);
    RUN(auto_on_a_device_without_newton_is_a_first_order_method);
    RUN(peak_of_newton_on_a_device_is_within_the_bound_that_the_manual_states);
    RUN(auto_on_a_device_is_newton_up_to_20000_rows);
    RUN(patterns_of_a_device_are_those_of_the_cpu);
    RUN(device_without_signs_leaves_patterns_to_the_cpu);
    RUN(what_a_device_cannot_do_is_named);
    RUN(failing_device_ends_the_fit_with_its_own_words);
    RUN(failing_device_ends_a_decomposition_with_its_own_words);
    RUN(lambda_max_of_a_failing_device_is_an_error);
}
