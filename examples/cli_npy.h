/* ==== CLI NPY ============================================================================
   NumPy's .npy files, versions 1 to 3. Read: float64, float32 and integers of either byte
   order, C or Fortran order, one or two axes, into float64 rows. Written: float64, C order.
   Uses cli_base.h. Used by cli_data.h, cli_save.h. Tests: tests/test_cli.sh. Source: the
   NumPy manual, module numpy.lib.format. */

#ifndef CLI_NPY_H
#define CLI_NPY_H

#include "cli_base.h"

/* The zero after the text ends the array of characters, so the length is said in the name. */
#define NPY_MAGIC      "\x93NUMPY"
#define NPY_MAGIC_SIZE 6

typedef struct npy_array {
    const char *path;
    size_t rows, cols, axes;   /* one axis: cols = 1                                          */
    double *data;              /* rows x cols, in the pool that read it                       */
} npy_array;

typedef struct npy_header {
    char kind, order;          /* kind f, i, u or b; order < or >                             */
    size_t width;              /* bytes of an element                                         */
    int fortran;
    size_t axes, shape[2];
    size_t start;              /* of the data in the file                                     */
} npy_header;

static int npy_is(const char *bytes, size_t size) {
    return size >= NPY_MAGIC_SIZE && memcmp(bytes, NPY_MAGIC, NPY_MAGIC_SIZE) == 0;
}

/* The text after 'key': in the header, blanks skipped, or NULL. */
static const char *npy_key(const char *header, const char *key) {
    const char *at = strstr(header, key);
    if (at == NULL) return NULL;
    at += strlen(key);
    at += strspn(at, "'\" ");
    if (*at != ':') return NULL;
    return at + 1 + strspn(at + 1, " ");
}

static int npy_descr(const char *at, npy_header *header) {
    if (at == NULL || (*at != '\'' && *at != '"')) return 0;
    at++;
    header->order = *at == '>' ? '>' : '<';
    if (*at == 0 || strchr("<>|=", *at) == NULL) return 0;
    header->kind = at[1];
    if (header->kind == 0 || strchr("fiub", header->kind) == NULL) return 0;
    if (at[2] < '1' || at[2] > '8' || (at[3] != '\'' && at[3] != '"')) return 0;
    header->width = (size_t)(at[2] - '0');
    if (header->kind == 'b') return header->width == 1;
    if (header->kind == 'f') return header->width == 4 || header->width == 8;
    return header->width == 1 || header->width == 2 || header->width == 4 || header->width == 8;
}

/* cli_whole - a decimal integer without sign; 0 when it is none or does not fit. */
static int cli_whole(const char *text, uint64_t *value) {
    uint64_t sum = 0;
    size_t i;
    if (*text == 0 || text[cli_digits(text)] != 0) return 0;
    for (i = 0; text[i] != 0; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10) return 0;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return 1;
}

static int npy_shape(const char *at, npy_header *header) {
    if (at == NULL || *at++ != '(') return 0;
    for (header->axes = 0;; header->axes++) {
        char digits[24];
        size_t length;
        uint64_t value;
        at += strspn(at, " ,");
        if (*at == ')') return header->axes > 0;
        length = cli_digits(at);
        if (header->axes == 2 || length == 0 || length >= sizeof digits) return 0;
        memcpy(digits, at, length);
        digits[length] = 0;
        if (!cli_whole(digits, &value) || value > SIZE_MAX) return 0;
        header->shape[header->axes] = (size_t)value;
        at += length;
    }
}

static int npy_read_header(cli_pool *pool, const char *path, const char *bytes, size_t size,
                           npy_header *header) {
    const unsigned char *b = (const unsigned char *)bytes;
    size_t length, prefix;
    const char *order;
    char *text;
    if (!npy_is(bytes, size)) return cli_error(CLI_USAGE, "%s: is not a .npy file", path);
    if (size < 12) return cli_error(CLI_USAGE, "%s: is truncated inside its header", path);
    if (b[6] < 1 || b[6] > 3)
        return cli_error(CLI_USAGE, "%s: is .npy version %d; 1 to 3 are read", path, (int)b[6]);
    prefix = b[6] == 1 ? 10 : 12;
    length = (size_t)b[8] | (size_t)b[9] << 8;
    if (b[6] > 1) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length > size - prefix)
        return cli_error(CLI_USAGE, "%s: is truncated inside its header", path);
    text = (char *)cli_alloc(pool, length + 1, 1);
    memcpy(text, bytes + prefix, length);
    header->start = prefix + length;
    if (!npy_descr(npy_key(text, "descr"), header))
        return cli_error(CLI_USAGE,
                         "%s: its elements are not real numbers (float64 or float32)", path);
    order = npy_key(text, "fortran_order");
    header->fortran = order != NULL && *order == 'T';
    if (order == NULL || (*order != 'T' && *order != 'F') ||
        !npy_shape(npy_key(text, "shape"), header))
        return cli_error(CLI_USAGE, "%s: its shape is not that of a vector or a matrix", path);
    return CLI_OK;
}

/* The element at `from`: bytes gathered by value, so the machine's own order does not matter.
   */
static double npy_element(const npy_header *header, const unsigned char *from) {
    uint64_t bits = 0;
    size_t i, w = header->width;
    for (i = 0; i < w; i++)
        bits |= (uint64_t)from[i] << 8 * (header->order == '<' ? i : w - 1 - i);
    if (header->kind == 'f' && w == 8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    if (header->kind == 'f') {
        uint32_t half = (uint32_t)bits;
        float value;
        memcpy(&value, &half, sizeof value);
        return (double)value;
    }
    if (header->kind == 'i' && (bits >> (8 * w - 1) & 1)) {
        uint64_t all = w == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * w) - 1;
        return -(double)(all - bits) - 1.0;
    }
    return (double)bits;
}

/* npy_parse - an array from the bytes of a file; every element is finite. */
static int npy_parse(cli_pool *pool, const char *path, const char *bytes, size_t size,
                     npy_array *array) {
    npy_header header;
    size_t i, j, count;
    int status;
    memset(&header, 0, sizeof header);
    status = npy_read_header(pool, path, bytes, size, &header);
    if (status != CLI_OK) return status;
    array->path = path;
    array->axes = header.axes;
    array->rows = header.shape[0];
    array->cols = header.axes == 2 ? header.shape[1] : 1;
    if (array->rows == 0 || array->cols == 0)
        return cli_error(CLI_USAGE, "%s: has no element (%lu x %lu)", path,
                         (unsigned long)array->rows, (unsigned long)array->cols);
    if (array->rows > (size - header.start) / header.width / array->cols)
        return cli_error(CLI_USAGE,
                         "%s: is truncated: %lu x %lu elements do not fit in %.0f bytes", path,
                         (unsigned long)array->rows, (unsigned long)array->cols, (double)size);
    count = array->rows * array->cols;
    if (count * header.width != size - header.start)
        return cli_error(CLI_USAGE, "%s: has bytes after its last element", path);
    array->data = (double *)cli_alloc(pool, count, sizeof(double));
    for (i = 0; i < array->rows; i++)
        for (j = 0; j < array->cols; j++) {
            size_t at = header.fortran ? j * array->rows + i : i * array->cols + j;
            double value = npy_element(&header, (const unsigned char *)bytes + header.start +
                                                    at * header.width);
            if (!cli_finite(value))
                return cli_error(CLI_USAGE,
                                 "%s: row %lu, column %lu: the value is NaN or infinite", path,
                                 (unsigned long)i + 1, (unsigned long)j + 1);
            array->data[i * array->cols + j] = value;
        }
    return CLI_OK;
}

static int npy_read(cli_pool *pool, const char *path, npy_array *array) {
    char *bytes = NULL;
    size_t size = 0;
    int status = cli_read_file(pool, path, &bytes, &size);
    if (status == CLI_OK) status = npy_parse(pool, path, bytes, size, array);
    return status;
}

/* npy_write - up to three axes, float64, C order, little-endian; write errors stay in the
   file. */
static void npy_write(FILE *file, size_t axes, const size_t *shape, const double *data) {
    char text[192];
    size_t i, k, count = 1, length, padded;
    int used = sprintf(text, "{'descr': '<f8', 'fortran_order': False, 'shape': (");
    for (k = 0; k < axes; k++) {
        used += sprintf(text + used, "%.0f%s", (double)shape[k], k + 1 < axes ? ", " : "");
        count *= shape[k];
    }
    used += sprintf(text + used, "%s), }", axes == 1 ? "," : "");
    length = (size_t)used;
    padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    fwrite(NPY_MAGIC, 1, NPY_MAGIC_SIZE, file);
    fputc(1, file);
    fputc(0, file);
    fputc((int)(padded & 255), file);
    fputc((int)(padded >> 8), file);
    fwrite(text, 1, length, file);
    for (i = length; i + 1 < padded; i++) fputc(' ', file);
    fputc('\n', file);
    for (i = 0; i < count; i++) {
        unsigned char bytes[8];
        uint64_t bits;
        memcpy(&bits, &data[i], sizeof bits);
        for (k = 0; k < 8; k++) bytes[k] = (unsigned char)(bits >> 8 * k & 255);
        fwrite(bytes, 1, 8, file);
    }
}

#endif /* CLI_NPY_H */
