/* ==== CLI DATA ===========================================================================
   From files to X and Y: which columns are features and which is the target, classes or values,
   labels of a model matched, rows held out. Uses cli_csv.h, cli_npy.h, cli_options.h and the
   library's random numbers. Used by cvxrelu_cli.c. Tests: tests/test_cli.sh.                 */

#ifndef CLI_DATA_H
#define CLI_DATA_H

#include "cli_csv.h"
#include "cli_npy.h"
#include "cli_options.h"

/* Integers with more distinct values than this are a regression target by default. */
#define CLI_CLASSES_MAX 20

/* Lives in the pool that loaded it. */
typedef struct cli_data {
    const char *path;          /* the file that errors and the summary name                   */
    size_t n, d, c;
    double *X;                 /* n x d                                                       */
    double *Y;                 /* n x c values, or n class numbers; NULL without a target     */
    char **names;              /* d feature names, or NULL                                    */
    const char *target;        /* name of the target column, or NULL                          */
    size_t classes;            /* 0 for values                                                */
    const char **labels;       /* one text a class, sorted                                    */
    csv_table table;           /* rows of 0 for .npy files                                    */
    size_t target_column;      /* of the table; cols when it has none                         */
} cli_data;

/* What a file must offer; all zero for a first training file. */
typedef struct cli_wanted {
    size_t d;                  /* features; 0 = all columns but the target                    */
    const char *const *names;  /* d names, or NULL                                            */
    int needs_target;
} cli_wanted;

/* ---- Columns */

/* csv_find - the column of that name, or cols. */
static size_t csv_find(const csv_table *table, const char *name) {
    size_t j = 0;
    if (table->names == NULL) return table->cols;
    while (j < table->cols && strcmp(table->names[j], name) != 0) j++;
    return j;
}

/* --target: a name of the header, or a column number where there is none. */
static int cli_find_target(const csv_table *table, const char *target, size_t *column) {
    char shown[CLI_SHOW];
    uint64_t number;
    *column = csv_find(table, target);
    if (*column < table->cols) return CLI_OK;
    if (table->names == NULL && cli_whole(target, &number) && number >= 1 &&
        number <= table->cols) {
        *column = (size_t)number - 1;
        return CLI_OK;
    }
    return cli_error(CLI_USAGE, "--target %s: %s has no column of that name",
                     cli_show(target, shown), table->path);
}

/* Columns by the names of a model; the target is --target or the last column that is left. */
static int cli_columns_by_name(cli_pool *pool, const csv_table *table, const cli_wanted *wanted,
                               size_t *columns, size_t *target) {
    char shown[CLI_SHOW], *used = (char *)cli_alloc(pool, table->cols, 1);
    size_t j;
    for (j = 0; j < wanted->d; j++) {
        columns[j] = csv_find(table, wanted->names[j]);
        if (columns[j] == table->cols)
            return cli_error(CLI_USAGE, "%s: line %lu: column '%s' of the model is missing",
                             table->path, (unsigned long)table->lines[-1],
                             cli_show(wanted->names[j], shown));
        used[columns[j]] = 1;
    }
    if (*target < table->cols) return CLI_OK;
    for (j = table->cols; j-- > 0;)
        if (!used[j]) {
            *target = j;
            return CLI_OK;
        }
    return CLI_OK;
}

/* Chooses the feature columns (d of them) and the target (cols when there is none). */
static int cli_columns(cli_pool *pool, const csv_table *table, const char *target,
                       const cli_wanted *wanted, size_t *columns, size_t *d,
                       size_t *target_column) {
    size_t j, count = 0;
    int status = CLI_OK;
    *target_column = table->cols;
    *d = wanted->d;
    if (target != NULL) status = cli_find_target(table, target, target_column);
    if (status != CLI_OK) return status;
    if (wanted->names != NULL && table->names != NULL && wanted->d <= table->cols)
        return cli_columns_by_name(pool, table, wanted, columns, target_column);
    if (target == NULL && wanted->d != table->cols) *target_column = table->cols - 1;
    for (j = 0; j < table->cols; j++)
        if (j != *target_column) columns[count++] = j;
    if (wanted->d == 0) *d = count;
    if (count == 0)
        return cli_error(CLI_USAGE,
                         "%s: line %lu: one column only; features and a target are needed",
                         table->path, (unsigned long)table->lines[0]);
    if (count != *d)
        return cli_error(CLI_USAGE,
                         "%s: line %lu: %lu columns where the model has %lu features",
                         table->path, (unsigned long)table->lines[0],
                         (unsigned long)table->cols, (unsigned long)*d);
    return CLI_OK;
}

/* ---- Files */

static int cli_load_csv(cli_pool *pool, const cli_args *args, const char *path, char *text,
                        size_t size, const cli_wanted *wanted, cli_data *data) {
    csv_table *table = &data->table;
    size_t *columns, i, j;
    int header = args->header ? 1 : args->no_header ? -1 : 0;
    int status = csv_parse(pool, path, text, size, header, table);
    if (status != CLI_OK) return status;
    columns = (size_t *)cli_alloc(pool, table->cols + wanted->d, sizeof *columns);
    status =
        cli_columns(pool, table, args->target, wanted, columns, &data->d, &data->target_column);
    if (status != CLI_OK) return status;
    if (wanted->needs_target && data->target_column == table->cols)
        return cli_error(CLI_USAGE, "%s: line %lu: there is no target column", path,
                         (unsigned long)table->lines[0]);
    data->n = table->rows;
    data->c = 1;
    data->X = (double *)cli_alloc(pool, data->n * data->d, sizeof(double));
    for (i = 0; i < data->n; i++)
        for (j = 0; j < data->d; j++) {
            status = csv_value(table, i, columns[j], &data->X[i * data->d + j]);
            if (status != CLI_OK) return status;
        }
    if (table->names == NULL) return CLI_OK;
    data->names = (char **)cli_alloc(pool, data->d, sizeof(char *));
    for (j = 0; j < data->d; j++) data->names[j] = table->names[columns[j]];
    if (data->target_column < table->cols) data->target = table->names[data->target_column];
    return CLI_OK;
}

/* X from one array, Y (may be NULL) from another. */
static int cli_take_npy(const npy_array *x, const npy_array *y, const cli_wanted *wanted,
                        cli_data *data) {
    data->n = x->rows;
    data->d = x->cols;
    data->X = x->data;
    if (wanted->d != 0 && wanted->d != x->cols)
        return cli_error(CLI_USAGE, "%s: %lu columns where the model has %lu features", x->path,
                         (unsigned long)x->cols, (unsigned long)wanted->d);
    if (y == NULL) {
        if (!wanted->needs_target) return CLI_OK;
        return cli_error(CLI_USAGE, "%s: holds no target; give --x and --y", x->path);
    }
    if (y->rows != x->rows)
        return cli_error(CLI_USAGE, "%s: %lu rows where %s has %lu", y->path,
                         (unsigned long)y->rows, x->path, (unsigned long)x->rows);
    data->c = y->cols;
    data->Y = y->data;
    return CLI_OK;
}

/* cli_load - one data set: a CSV or .npy file, or --x and --y when path is NULL. */
static int cli_load(cli_pool *pool, const cli_args *args, const char *path,
                    const cli_wanted *wanted, cli_data *data) {
    npy_array x, y;
    char *text = NULL;
    size_t size = 0;
    int status;
    memset(&x, 0, sizeof x);
    memset(&y, 0, sizeof y);
    memset(data, 0, sizeof *data);
    data->path = path != NULL ? path : args->x;
    if (path == NULL) {
        status = npy_read(pool, args->x, &x);
        if (status == CLI_OK) status = npy_read(pool, args->y, &y);
        return status != CLI_OK ? status : cli_take_npy(&x, &y, wanted, data);
    }
    status = cli_read_file(pool, path, &text, &size);
    if (status != CLI_OK) return status;
    if (!npy_is(text, size)) return cli_load_csv(pool, args, path, text, size, wanted, data);
    status = npy_parse(pool, path, text, size, &x);
    return status != CLI_OK ? status : cli_take_npy(&x, NULL, wanted, data);
}

/* ---- Targets */

static int cli_compare_reals(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int cli_compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *cli_target_cell(const cli_data *data, size_t row) {
    return data->table.cells[row * data->table.cols + data->target_column];
}

/* An error in target value `row`, column k of Y. */
static int cli_target_error(const cli_data *data, size_t row, size_t k, const char *problem) {
    if (data->table.rows > 0) return csv_error(&data->table, row, data->target_column, problem);
    return cli_error(CLI_USAGE, "%s: target row %lu, column %lu: %s: %g", data->path,
                     (unsigned long)row + 1, (unsigned long)k + 1, problem,
                     data->Y[row * data->c + k]);
}

/* Reads the target cells of a table into Y when all are numbers. *texts: how many are not.
   Texts are an error under --raw-targets, and among numbers unless --classes is given. */
static int cli_target_numbers(cli_pool *pool, const cli_args *args, cli_data *data,
                              size_t *texts) {
    size_t i, first = 0;
    *texts = 0;
    if (data->table.rows == 0) return CLI_OK;
    data->Y = (double *)cli_alloc(pool, data->n, sizeof(double));
    for (i = 0; i < data->n; i++) {
        cli_word word = cli_number(cli_target_cell(data, i), &data->Y[i]);
        if (word == CLI_EMPTY || word == CLI_NONFINITE)
            return csv_value(&data->table, i, data->target_column, &data->Y[i]);
        if (word == CLI_TEXT_WORD && (*texts)++ == 0) first = i;
    }
    if (*texts == 0) return CLI_OK;
    if (args->raw_targets)
        return cli_target_error(data, first, 0, "--raw-targets needs numbers, this is text");
    if (*texts < data->n && !args->classes)
        return cli_target_error(
            data, first, 0,
            first == 0 && data->table.names == NULL
                ? "text among numbers in the target (--header if the first line holds names, "
                  "--classes if both are labels)"
                : "text among numbers in the target (--classes takes both as labels)");
    return CLI_OK;
}

/* Sorted distinct texts of the target become the classes. */
static void cli_classes_of_texts(cli_pool *pool, cli_data *data) {
    const char **sorted = (const char **)cli_alloc(pool, data->n, sizeof(char *));
    size_t i, count = 1;
    for (i = 0; i < data->n; i++) sorted[i] = cli_target_cell(data, i);
    qsort(sorted, data->n, sizeof *sorted, cli_compare_texts);
    for (i = 1; i < data->n; i++)
        if (strcmp(sorted[i], sorted[count - 1]) != 0) sorted[count++] = sorted[i];
    for (i = 0; i < data->n; i++) {
        const char *cell = cli_target_cell(data, i);
        const char **found = (const char **)bsearch(&cell, sorted, count, sizeof *sorted,
                                                    cli_compare_texts);
        data->Y[i] = (double)(found - sorted);
    }
    data->classes = count;
    data->labels = sorted;
}

/* Distinct values of an integer target, sorted; 0 when a value is not an integer (*bad names
   it). */
static size_t cli_distinct(const cli_data *data, double *sorted, size_t *bad) {
    size_t i, count = 1;
    for (i = 0; i < data->n; i++) {
        double value = data->Y[i];
        *bad = i;
        if (value < -9e15 || value > 9e15 || value != (double)(int64_t)value) return 0;
        sorted[i] = value == 0.0 ? 0.0 : value;
    }
    qsort(sorted, data->n, sizeof *sorted, cli_compare_reals);
    for (i = 1; i < data->n; i++)
        if (sorted[i] > sorted[count - 1]) sorted[count++] = sorted[i];
    return count;
}

static void cli_classes_of_numbers(cli_pool *pool, cli_data *data, const double *values,
                                   size_t count) {
    size_t i;
    double *Y = (double *)cli_alloc(pool, data->n, sizeof(double));
    for (i = 0; i < data->n; i++) {
        double *found = (double *)bsearch(&data->Y[i], values, count, sizeof *values,
                                          cli_compare_reals);
        Y[i] = (double)(found - values);
    }
    data->Y = Y;
    data->classes = count;
    data->labels = (const char **)cli_alloc(pool, count, sizeof(char *));
    for (i = 0; i < count; i++) {
        char *text = (char *)cli_alloc(pool, 24, 1);
        sprintf(text, "%.0f", values[i]);
        data->labels[i] = text;
    }
}

/* cli_target_learn - decide what the target of a training file is: classes or values. */
static int cli_target_learn(cli_pool *pool, const cli_args *args, cli_data *data) {
    double *values;
    size_t texts, count, bad = 0;
    int status = cli_target_numbers(pool, args, data, &texts);
    if (status != CLI_OK || args->raw_targets) return status;
    if (data->c > 1) {
        if (!args->classes) return CLI_OK;
        return cli_error(CLI_USAGE,
                         "--classes: %s has %lu columns; classes are one column of integers",
                         args->y, (unsigned long)data->c);
    }
    if (texts > 0) cli_classes_of_texts(pool, data);
    else {
        values = (double *)cli_alloc(pool, data->n, sizeof(double));
        count = cli_distinct(data, values, &bad);
        if (count == 0 && args->classes)
            return cli_target_error(data, bad, 0, "a class must be an integer or a word");
        if (!args->classes && (count < 2 || count > CLI_CLASSES_MAX)) return CLI_OK;
        cli_classes_of_numbers(pool, data, values, count);
    }
    if (data->classes < 2)
        return cli_error(CLI_USAGE,
                         "%s: all %lu rows are of class '%s'; two classes are needed",
                         data->path, (unsigned long)data->n, data->labels[0]);
    return CLI_OK;
}

/* The class whose label equals the text, or count. */
static size_t cli_label_find(const char *const *labels, size_t count, const char *text) {
    size_t k = 0;
    while (k < count && strcmp(labels[k], text) != 0) k++;
    return k;
}

/* cli_target_match - the target of another file in the terms of a model: its c, or its
   labels. */
static int cli_target_match(cli_pool *pool, const char *const *labels, size_t classes, size_t c,
                            cli_data *data) {
    double *Y;
    size_t i;
    if (classes == 0) {
        if (data->table.rows > 0) data->Y = (double *)cli_alloc(pool, data->n, sizeof(double));
        for (i = 0; i < data->n && data->table.rows > 0; i++) {
            int status = csv_value(&data->table, i, data->target_column, &data->Y[i]);
            if (status != CLI_OK) return status;
        }
        if (data->c == c) return CLI_OK;
        return cli_error(CLI_USAGE, "%s: %lu target columns where the model has %lu",
                         data->path, (unsigned long)data->c, (unsigned long)c);
    }
    if (data->c != 1)
        return cli_error(CLI_USAGE, "%s: classes are one target column", data->path);
    Y = (double *)cli_alloc(pool, data->n, sizeof(double));
    for (i = 0; i < data->n; i++) {
        char text[32];
        const char *cell = data->table.rows > 0 ? cli_target_cell(data, i) : "";
        size_t k = cli_label_find(labels, classes, cell);
        double value = data->Y != NULL ? data->Y[i] : 0.0;
        if (k == classes && (data->table.rows == 0 || cli_number(cell, &value) == CLI_NUMBER) &&
            value > -1e15 && value < 1e15) {
            sprintf(text, "%.17g", value == 0.0 ? 0.0 : value);
            k = cli_label_find(labels, classes, text);
        }
        if (k == classes) return cli_target_error(data, i, 0, "no class of the model");
        Y[i] = (double)k;
    }
    data->Y = Y;
    data->classes = classes;
    return CLI_OK;
}

/* ---- Held-out rows */

/* Copies the rows whose mark equals `mark`, in their order. */
static void cli_take_rows(cli_pool *pool, const cli_data *all, const char *marks, char mark,
                          cli_data *part) {
    size_t i, to = 0;
    *part = *all;
    part->X = (double *)cli_alloc(pool, all->n * all->d, sizeof(double));
    part->Y = (double *)cli_alloc(pool, all->n * all->c, sizeof(double));
    for (i = 0; i < all->n; i++) {
        if (marks[i] != mark) continue;
        memcpy(part->X + to * all->d, all->X + i * all->d, all->d * sizeof(double));
        memcpy(part->Y + to * all->c, all->Y + i * all->c, all->c * sizeof(double));
        to++;
    }
    part->n = to;
}

/* cli_split - hold out a share of the rows, chosen by a shuffle with the seed. */
static int cli_split(cli_pool *pool, const cli_data *all, double share, uint64_t seed,
                     cli_data *train, cli_data *test) {
    size_t *order = (size_t *)cli_alloc(pool, all->n, sizeof *order), i;
    size_t held = (size_t)(share * (double)all->n + 0.5);
    char *marks = (char *)cli_alloc(pool, all->n, 1);
    cvxrelu_random random;
    if (all->n < 2) return cli_error(CLI_USAGE, "--split: %s has one row only", all->path);
    if (held == 0) held = 1;
    if (held == all->n) held--;
    cvxrelu_random_init(&random, seed);
    for (i = 0; i < all->n; i++) order[i] = i;
    for (i = 0; i < held; i++) {
        size_t k = i + (size_t)cvxrelu_random_below(&random, all->n - i), swap = order[i];
        order[i] = order[k];
        order[k] = swap;
        marks[order[i]] = 1;
    }
    cli_take_rows(pool, all, marks, 0, train);
    cli_take_rows(pool, all, marks, 1, test);
    return CLI_OK;
}

/* After a split every class needs a training row. */
static int cli_classes_present(cli_pool *pool, const cli_data *train) {
    char *seen = (char *)cli_alloc(pool, train->classes, 1);
    size_t i;
    for (i = 0; i < train->n && train->classes > 0; i++) seen[(size_t)train->Y[i]] = 1;
    for (i = 0; i < train->classes; i++)
        if (!seen[i])
            return cli_error(CLI_USAGE, "--split: no row of class '%s' is left to train on; "
                             "hold out less or use another --seed", train->labels[i]);
    return CLI_OK;
}

static cvxrelu_matrix cli_matrix(const double *values, size_t rows, size_t cols) {
    cvxrelu_matrix matrix;
    memset(&matrix, 0, sizeof matrix);
    matrix.data = values;
    matrix.rows = rows;
    matrix.cols = cols;
    return matrix;
}

#endif /* CLI_DATA_H */
