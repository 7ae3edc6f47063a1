/* ==== CLI FILES ==========================================================================
   Output files. All of a run are written aside (NAME.tmp) and get their names when every one of
   them is complete, so that a failure leaves the old files whole. Devices and pipes are written
   directly. Then the JSON writer over such a file: it never writes NaN.
   Uses cli_system.h. Used by cli_save.h, cvxrelu_cli.c. Tests: tests/test_cli.sh.            */

#ifndef CLI_FILES_H
#define CLI_FILES_H

#include "cli_system.h"

typedef struct cli_output {
    struct cli_output *next;
    const char *path;
    char *aside;               /* NULL: written directly                                      */
    FILE *file;                /* NULL once closed                                            */
    int stale;                 /* an old file to be removed, nothing is written               */
} cli_output;

/* Zeroed at the start; ends with cli_files_commit or cli_files_abandon. */
typedef struct cli_files {
    cli_pool *pool;
    cli_output *first;
} cli_files;

static int cli_write_error(const char *path) {
    return cli_error(CLI_FAILED, "%s: cannot be written: %s", path,
                     strerror(errno ? errno : EIO));
}

/* cli_files_check - can a file of that name be written? Finds a wrong folder before hours of
   work. */
static int cli_files_check(cli_pool *pool, const char *path) {
    char *aside;
    FILE *file;
    if (strcmp(path, "-") == 0) return CLI_OK;
    if (cli_is_special(cli_join(pool, path, "/.")))
        return cli_error(CLI_FAILED, "%s: is a folder; a file is written", path);
    if (cli_is_special(path)) return CLI_OK;
    aside = cli_join(pool, path, ".tmp");
    file = fopen(aside, "wb");
    if (file == NULL) return cli_write_error(path);
    fclose(file);
    remove(aside);
    return CLI_OK;
}

/* cli_files_open - a new output ("-": standard output); *file is set on CLI_OK. */
static int cli_files_open(cli_files *files, const char *path, FILE **file) {
    cli_output *output = (cli_output *)cli_alloc(files->pool, 1, sizeof *output);
    output->path = path;
    errno = 0;
    if (strcmp(path, "-") == 0) output->file = stdout;
    else if (cli_is_special(path)) output->file = fopen(path, "wb");
    else {
        output->aside = cli_join(files->pool, path, ".tmp");
        output->file = fopen(output->aside, "wb");
    }
    if (output->file == NULL) return cli_write_error(path);
    output->next = files->first;
    files->first = output;
    *file = output->file;
    return CLI_OK;
}

/* cli_files_close - ends the output opened last; a full disk shows here at the latest. */
static int cli_files_close(cli_files *files) {
    cli_output *output = files->first;
    int bad = fflush(output->file) != 0 || ferror(output->file);
    if (output->file != stdout && fclose(output->file) != 0) bad = 1;
    output->file = NULL;
    return bad ? cli_write_error(output->path) : CLI_OK;
}

/* cli_files_remove - a plain file that goes, if it is there, when the others get their names.
   */
static void cli_files_remove(cli_files *files, const char *path) {
    cli_output *output = (cli_output *)cli_alloc(files->pool, 1, sizeof *output);
    output->path = path;
    output->stale = !cli_is_special(path);
    output->next = files->first;
    files->first = output;
}

static void cli_files_abandon(cli_files *files) {
    for (; files->first != NULL; files->first = files->first->next) {
        if (files->first->file != NULL && files->first->file != stdout)
            fclose(files->first->file);
        if (files->first->aside != NULL) remove(files->first->aside);
    }
}

static int cli_files_commit(cli_files *files) {
    for (; files->first != NULL; files->first = files->first->next) {
        const cli_output *output = files->first;
        if (output->stale) remove(output->path);
        if (output->aside != NULL && cli_rename_over(output->aside, output->path) != 0) {
            int status = cli_write_error(output->path);
            cli_files_abandon(files);
            return status;
        }
    }
    return CLI_OK;
}

/* ---- JSON: one member a line; a key of NULL is an element of an array. */

typedef struct cli_json {
    FILE *file;
    int depth, started;        /* started: the open object or array has a member already      */
} cli_json;

static void cli_json_text(cli_json *json, const char *text) {
    fputc('"', json->file);
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') fprintf(json->file, "\\%c", c);
        else if (c < 32 || c == 127) fprintf(json->file, "\\u%04x", (unsigned)c);
        else fputc(c, json->file);
    }
    fputc('"', json->file);
}

static void cli_json_key(cli_json *json, const char *key) {
    if (json->started) fputc(',', json->file);
    if (json->depth > 0) fprintf(json->file, "\n%*s", 2 * json->depth, "");
    json->started = 1;
    if (key == NULL) return;
    cli_json_text(json, key);
    fputs(": ", json->file);
}

static void cli_json_open(cli_json *json, const char *key, char bracket) {
    cli_json_key(json, key);
    fputc(bracket, json->file);
    json->depth++;
    json->started = 0;
}

static void cli_json_close(cli_json *json, char bracket) {
    json->depth--;
    fprintf(json->file, "\n%*s%c", 2 * json->depth, "", bracket);
    json->started = 1;
    if (json->depth == 0) fputc('\n', json->file);
}

/* A number that is not finite is null. */
static void cli_json_number(cli_json *json, const char *key, double value) {
    cli_json_key(json, key);
    if (cli_finite(value)) fprintf(json->file, "%.17g", value);
    else fputs("null", json->file);
}

static void cli_json_null(cli_json *json, const char *key) {
    cli_json_key(json, key);
    fputs("null", json->file);
}

static void cli_json_string(cli_json *json, const char *key, const char *text) {
    cli_json_key(json, key);
    cli_json_text(json, text);
}

static void cli_json_flag(cli_json *json, const char *key, int value) {
    cli_json_key(json, key);
    fputs(value ? "true" : "false", json->file);
}

/* An integer of 64 bits with all its digits. */
static void cli_json_whole(cli_json *json, const char *key, uint64_t value) {
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do digits[--at] = (char)('0' + value % 10); while ((value /= 10) > 0);
    cli_json_key(json, key);
    fputs(digits + at, json->file);
}

#endif /* CLI_FILES_H */
