/* A device that only predicts: a model in memory, no heap, no files, no clock. The size of this
   program is measured by check_contents.sh; a real one holds what cvxrelu_model_write gave. */
#define CVXRELU_STATIC
#define CVXRELU_NO_MALLOC
#define CVXRELU_NO_STDIO
#define CVXRELU_NO_CLOCK
#define CVXRELU_IMPLEMENTATION
#include "../cvxrelu.h"

static const unsigned char flash[1024] = { 0 };
static unsigned char memory[16384];

int main(void) {
    double row[64], out[8];
    cvxrelu_arena arena;
    cvxrelu_allocator allocator = cvxrelu_arena_init(&arena, memory, sizeof memory);
    cvxrelu_model *model = NULL;
    cvxrelu_model_info info;
    char message[CVXRELU_MESSAGE_SIZE];
    memset(row, 0, sizeof row);
    if (cvxrelu_model_read(flash, sizeof flash, &allocator, &model, message)) return 1;
    cvxrelu_model_get_info(model, &info);
    if (info.features > 64 || info.outputs > 8) return 1;
    cvxrelu_model_predict(model, row, out);
    return (int)cvxrelu_model_class(model, out);
}
