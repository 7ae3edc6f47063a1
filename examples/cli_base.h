/* ==== CLI BASE ===========================================================================
   What the programs in examples/ share: exit states, one-line errors, a pool that frees a run's
   memory at once, whole-file reading, strict numbers. Uses the C library alone.
   Used by cli_csv.h, cli_npy.h, cvxrelu_cli.c, demo.c. Tests: tests/test_cli.sh.             */

#ifndef CLI_BASE_H
#define CLI_BASE_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Exit states: success, a computation or a write that failed, bad usage or bad input. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* Bytes of the longest piece of input that an error repeats, the final zero included. */
#define CLI_SHOW 48

/* cli_error - one line on stderr; returns `status`, so that a caller can return it on. */
static int cli_error(int status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    fputs("cvxrelu: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return status;
}

/* cli_s - the plural's s. */
static const char *cli_s(size_t count) { return count == 1 ? "" : "s"; }

/* cli_show - input text made fit for one line of an error: cut short, no control characters. */
static const char *cli_show(const char *text, char shown[CLI_SHOW]) {
    size_t i;
    for (i = 0; i + 4 < CLI_SHOW && text[i] != 0; i++) {
        unsigned char c = (unsigned char)text[i];
        shown[i] = (char)(c < 32 || c == 127 ? '?' : c);
    }
    shown[i] = 0;
    if (text[i] != 0) memcpy(shown + i, "...", 4);
    return shown;
}

/* ---- Memory: blocks of a pool live until cli_pool_free. */

typedef union cli_block {
    struct { union cli_block *next, *previous; } link;
    long double align_real;
    uint64_t    align_word;
} cli_block;

typedef struct cli_pool { cli_block *first; } cli_pool;

static void cli_pool_free(cli_pool *pool) {
    while (pool->first != NULL) {
        cli_block *block = pool->first;
        pool->first = block->link.next;
        free(block);
    }
}

/* cli_resize - a block of count * size bytes with the old contents (old may be NULL). Ends the
   program when there is no memory: nothing has been written over by then.                    */
static void *cli_resize(cli_pool *pool, void *old, size_t count, size_t size) {
    cli_block *block = old == NULL ? NULL : (cli_block *)old - 1, *moved = NULL;
    size_t limit = (SIZE_MAX / 2 - sizeof(cli_block)) / (size ? size : 1);
    cli_block *next = block ? block->link.next : pool->first;
    cli_block *previous = block ? block->link.previous : NULL;
    if (count <= limit) moved = (cli_block *)realloc(block, sizeof(cli_block) + count * size);
    if (moved == NULL) {
        cli_pool_free(pool);
        exit(cli_error(CLI_FAILED, "out of memory: %.0f bytes are not to be had",
                       (double)count * (double)size));
    }
    moved->link.next = next;
    moved->link.previous = previous;
    if (next != NULL) next->link.previous = moved;
    if (previous != NULL) previous->link.next = moved;
    else pool->first = moved;
    return moved + 1;
}

/* cli_alloc - zeroed memory of the pool; 0 items are allowed. */
static void *cli_alloc(cli_pool *pool, size_t count, size_t size) {
    void *memory = cli_resize(pool, NULL, count, size);
    if (count * size > 0) memset(memory, 0, count * size);
    return memory;
}

/* cli_join - a + b in the pool. */
static char *cli_join(cli_pool *pool, const char *a, const char *b) {
    size_t na = strlen(a), nb = strlen(b);
    char *text = (char *)cli_alloc(pool, na + nb + 1, 1);
    memcpy(text, a, na);
    memcpy(text + na, b, nb);
    return text;
}

/* cli_read_file - all bytes of a file ("-": standard input) and a final zero. */
static int cli_read_file(cli_pool *pool, const char *path, char **text, size_t *size) {
    size_t room = 1 << 16, used = 0, got;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    int bad;
    *text = NULL;
    *size = 0;
    if (file == NULL)
        return cli_error(CLI_USAGE, "%s: cannot be opened: %s", path, strerror(errno));
    *text = (char *)cli_alloc(pool, room, 1);
    while ((got = fread(*text + used, 1, room - used - 1, file)) > 0) {
        used += got;
        if (room - used < 2) *text = (char *)cli_resize(pool, *text, room *= 2, 1);
    }
    bad = ferror(file) ? (errno ? errno : EIO) : 0;
    if (file != stdin) fclose(file);
    if (bad) return cli_error(CLI_USAGE, "%s: cannot be read: %s", path, strerror(bad));
    (*text)[used] = 0;
    *size = used;
    return CLI_OK;
}

/* ---- Numbers, the same in every locale. */

static int cli_finite(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

typedef enum cli_word { CLI_NUMBER, CLI_TEXT_WORD, CLI_EMPTY, CLI_NONFINITE } cli_word;

static size_t cli_digits(const char *text) { return strspn(text, "0123456789"); }

/* Is the text nan, inf or infinity, in any case and with any sign? */
static int cli_is_nonfinite_word(const char *text) {
    static const char *const words[3] = {"nan", "inf", "infinity"};
    size_t k, i;
    if (*text == '+' || *text == '-') text++;
    for (k = 0; k < 3; k++) {
        for (i = 0; words[k][i] != 0 && (text[i] | 32) == words[k][i]; i++) {}
        if (words[k][i] == 0 && text[i] == 0) return 1;
    }
    return 0;
}

/* cli_number - what a word is, and its value when it is a decimal number (no hexadecimals). */
static cli_word cli_number(const char *text, double *value) {
    const char *at = text;
    size_t whole, part = 0;
    if (*at == 0) return CLI_EMPTY;
    if (cli_is_nonfinite_word(at)) return CLI_NONFINITE;
    if (*at == '+' || *at == '-') at++;
    at += whole = cli_digits(at);
    if (*at == '.') at += 1 + (part = cli_digits(at + 1));
    if (whole + part == 0) return CLI_TEXT_WORD;
    if (*at == 'e' || *at == 'E') {
        at += at[1] == '+' || at[1] == '-' ? 2 : 1;
        if (cli_digits(at) == 0) return CLI_TEXT_WORD;
        at += cli_digits(at);
    }
    if (*at != 0) return CLI_TEXT_WORD;
    *value = strtod(text, NULL);
    return cli_finite(*value) ? CLI_NUMBER : CLI_NONFINITE;
}

#endif /* CLI_BASE_H */
