/* ==== CLI CSV ============================================================================
   A table of text cells from a file: comma, semicolon or tab (found on the first line),
   optional header, # comments, quoted cells, any line end. Errors name file, line and column,
   counted from 1. Uses cli_base.h. Used by cli_data.h, demo.c. Tests: tests/test_cli.sh. */

#ifndef CLI_CSV_H
#define CLI_CSV_H

#include "cli_base.h"

/* Bytes of the longest cell that is believed. */
#define CSV_CELL_MAX 4096

/* Lives in the pool that read it. */
typedef struct csv_table {
    const char *path;
    size_t rows, cols;     /* data rows, without the header                                   */
    char **cells;          /* rows x cols, trimmed and unquoted                               */
    size_t *lines;         /* the line each row begins on                                     */
    char **names;          /* cols header cells, or NULL                                      */
    size_t comments;       /* lines that begin with #                                         */
    int comments_doubtful; /* one of them is the first line or follows data                   */
} csv_table;

typedef struct csv_reader {
    const char *path;
    char *at;              /* the zero after the last byte ends the text                      */
    size_t line;
    char delimiter;
} csv_reader;

/* csv_error - an error in one cell (row and column from 0), named the way a user counts. */
static int csv_error(const csv_table *table, size_t row, size_t column, const char *problem) {
    char shown[CLI_SHOW], name[CLI_SHOW];
    const char *cell = table->cells[row * table->cols + column];
    unsigned long line = (unsigned long)table->lines[row], at = (unsigned long)column + 1;
    if (table->names != NULL)
        return cli_error(CLI_USAGE, "%s: line %lu, column %lu (%s): %s: '%s'", table->path,
                         line, at, cli_show(table->names[column], name), problem,
                         cli_show(cell, shown));
    return cli_error(CLI_USAGE, "%s: line %lu, column %lu: %s: '%s'", table->path, line, at,
                     problem, cli_show(cell, shown));
}

static int csv_is_blank(const csv_reader *reader, char c) {
    return c == ' ' || (c == '\t' && reader->delimiter != '\t');
}

static int csv_is_end(char c) { return c == 0 || c == '\n' || c == '\r'; }

static void csv_line_end(csv_reader *reader) {
    if (reader->at[0] == '\r' && reader->at[1] == '\n') reader->at++;
    if (*reader->at != 0) reader->at++;
    reader->line++;
}

/* Moves to the next line that holds data, counting comments; 0 at the end of the text. */
static int csv_next_line(csv_reader *reader, csv_table *table) {
    for (;;) {
        char *at = reader->at;
        while (*at == ' ') at++;
        if (*at == 0) return 0;
        if (*at != '#' && !csv_is_end(*at)) return 1;
        if (*at == '#') {
            table->comments++;
            if (table->rows > 0 || reader->line == 1) table->comments_doubtful = 1;
        }
        while (!csv_is_end(*at)) at++;
        reader->at = at;
        csv_line_end(reader);
    }
}

/* The most frequent of the three delimiters outside quotes on the first line of data. */
static char csv_delimiter(const char *at) {
    static const char marks[3] = {',', ';', '\t'};
    size_t count[3] = {0, 0, 0}, k, best = 0;
    int quoted = 0;
    for (; *at != 0 && (quoted || !csv_is_end(*at)); at++) {
        if (*at == '"') quoted = !quoted;
        for (k = 0; k < 3; k++) count[k] += (size_t)(!quoted && *at == marks[k]);
    }
    for (k = 1; k < 3; k++) if (count[k] >= count[best] && count[k] > 0) best = k;
    return marks[best];
}

/* Cuts a quoted cell in place, reader->at on the opening quote; leaves it after the closing
   one. */
static int csv_quoted(csv_reader *reader, size_t column, char **cell) {
    char *from = reader->at + 1, *to = from;
    unsigned long line = (unsigned long)reader->line;
    *cell = from;
    while (*from != 0 && (*from != '"' || from[1] == '"')) {
        if (*from == '"') from++;
        if (*from == '\n') reader->line++;
        *to++ = *from++;
        if (to - *cell > CSV_CELL_MAX) break;
    }
    if (*from != '"')
        return cli_error(CLI_USAGE, "%s: line %lu, column %lu: a quoted cell %s", reader->path,
                         line, (unsigned long)column + 1,
                         *from ? "is longer than 4096 bytes" : "has no closing quote");
    reader->at = from + 1;
    *to = 0;
    return CLI_OK;
}

/* Cuts the next cell in place. *more: another cell follows on this line. */
static int csv_cell(csv_reader *reader, size_t column, char **cell, int *more) {
    char *end;
    while (csv_is_blank(reader, *reader->at)) reader->at++;
    *cell = end = reader->at;
    if (*end == '"') {
        int status = csv_quoted(reader, column, cell);
        if (status != CLI_OK) return status;
        while (csv_is_blank(reader, *reader->at)) reader->at++;
        if (!csv_is_end(*reader->at) && *reader->at != reader->delimiter)
            return cli_error(CLI_USAGE, "%s: line %lu, column %lu: text after a closing quote",
                             reader->path, (unsigned long)reader->line,
                             (unsigned long)column + 1);
        end = NULL;
    } else {
        while (!csv_is_end(*reader->at) && *reader->at != reader->delimiter) reader->at++;
        if (reader->at - *cell > CSV_CELL_MAX)
            return cli_error(
                CLI_USAGE, "%s: line %lu, column %lu: a cell is longer than 4096 bytes",
                reader->path, (unsigned long)reader->line, (unsigned long)column + 1);
        end = reader->at;
        while (end > *cell && csv_is_blank(reader, end[-1])) end--;
    }
    *more = *reader->at == reader->delimiter;
    if (*more) reader->at++;
    else csv_line_end(reader);
    if (end != NULL) *end = 0;
    return CLI_OK;
}

/* Appends one line to the table; the first line sets the number of columns. */
static int csv_row(cli_pool *pool, csv_reader *reader, csv_table *table, size_t *room) {
    size_t line = reader->line, column = 0, at = table->rows * table->cols;
    int more = 1, status;
    while (more) {
        char *cell = NULL;
        if ((status = csv_cell(reader, column, &cell, &more)) != CLI_OK) return status;
        column++;
        if (table->rows > 0 && column > table->cols) continue;
        if (at == *room) {
            *room = 2 * *room + 64;
            table->cells = (char **)cli_resize(pool, table->cells, *room, sizeof(char *));
        }
        table->cells[at++] = cell;
    }
    if (table->rows == 0) table->cols = column;
    if (column != table->cols)
        return cli_error(
            CLI_USAGE, "%s: line %lu, column %lu: ragged, %lu cell%s where line %lu has %lu",
            reader->path, (unsigned long)line,
            (unsigned long)(column < table->cols ? column : table->cols) + 1,
            (unsigned long)column, cli_s(column), (unsigned long)table->lines[0],
            (unsigned long)table->cols);
    return CLI_OK;
}

/* Splits the first row off as names. header: 1 yes, -1 no, 0 when none of its cells is a
   number. */
static void csv_take_header(csv_table *table, int header) {
    size_t j;
    double value;
    if (header == 0) {
        header = 1;
        for (j = 0; j < table->cols; j++)
            if (cli_number(table->cells[j], &value) == CLI_NUMBER) header = -1;
    }
    if (header < 0) return;
    table->names = table->cells;
    table->cells += table->cols;
    table->lines++;
    table->rows--;
}

/* csv_parse - cut a text of `size` bytes and a final zero into a table, in place. */
static int csv_parse(cli_pool *pool, const char *path, char *text, size_t size, int header,
                     csv_table *table) {
    csv_reader reader;
    size_t room = 0, line_room = 0;
    memset(&reader, 0, sizeof reader);
    memset(table, 0, sizeof *table);
    table->path = reader.path = path;
    reader.at = text;
    reader.line = 1;
    if (size != strlen(text))
        return cli_error(CLI_USAGE, "%s: holds zero bytes: not a text file", path);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) reader.at += 3;
    reader.delimiter = ',';
    if (csv_next_line(&reader, table)) reader.delimiter = csv_delimiter(reader.at);
    while (csv_next_line(&reader, table)) {
        int status;
        if (table->rows == line_room) {
            line_room = 2 * line_room + 64;
            table->lines = (size_t *)cli_resize(pool, table->lines, line_room, sizeof(size_t));
        }
        table->lines[table->rows] = reader.line;
        if ((status = csv_row(pool, &reader, table, &room)) != CLI_OK) return status;
        table->rows++;
    }
    if (table->rows == 0) return cli_error(CLI_USAGE, "%s: is empty: no line holds data", path);
    csv_take_header(table, header);
    if (table->rows == 0)
        return cli_error(CLI_USAGE, "%s: has a header and no row of data", path);
    return CLI_OK;
}

/* csv_value - the number in a cell, or an error that names it. */
static int csv_value(const csv_table *table, size_t row, size_t column, double *value) {
    switch (cli_number(table->cells[row * table->cols + column], value)) {
    case CLI_NUMBER:    return CLI_OK;
    case CLI_EMPTY:     return csv_error(table, row, column, "the cell is missing");
    case CLI_NONFINITE: return csv_error(table, row, column, "the value is NaN or infinite");
    default:
        if (row == 0 && table->names == NULL)
            return csv_error(table, row, column, "text where a number is expected (--header if "
                             "the first line holds names)");
        return csv_error(table, row, column, "text where a number is expected");
    }
}

#endif /* CLI_CSV_H */
