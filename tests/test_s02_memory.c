/* Tests of S02 MEMORY. Included by test_main.c. */

TEST(products_that_overflow_are_refused) {
    size_t out = 7;
    CHECK(cvxr_size_mul(0, SIZE_MAX, &out) && out == 0);
    CHECK(cvxr_size_mul(SIZE_MAX, 0, &out) && out == 0);
    CHECK(cvxr_size_mul(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    CHECK(cvxr_size_mul(SIZE_MAX / 3, 3, &out) && out == SIZE_MAX / 3 * 3);
    CHECK(!cvxr_size_mul(SIZE_MAX / 3 + 1, 3, &out));
    CHECK(!cvxr_size_mul(SIZE_MAX, SIZE_MAX, &out));
}

TEST(sizes_are_whole_cache_lines) {
    CHECK(cvxr_bytes(0, 8) == 64);                     /* an empty array still has an address */
    CHECK(cvxr_bytes(1, 1) == 64 && cvxr_bytes(8, 8) == 64 && cvxr_bytes(9, 8) == 128);
    CHECK(cvxr_bytes(SIZE_MAX, 1) == 0 && cvxr_bytes(SIZE_MAX / 8 + 1, 8) == 0);
}

TEST(default_memory_starts_on_a_cache_line) {
    cvxr_mem mem;
    size_t i;
    cvxr_mem_init(&mem, NULL, 0);
    for (i = 0; i < 200; i++) {
        unsigned char *memory = (unsigned char *)cvxr_alloc(&mem, i * 7, 1);
        CHECK(memory != NULL && (uintptr_t)memory % CVXR_ALIGN == 0);
        if (memory != NULL) memset(memory, 0xa5, cvxr_bytes(i * 7, 1));
        cvxr_release(&mem, memory, i * 7, 1);
    }
    CHECK(mem.now == 0);
}

TEST(cleared_memory_is_zero) {
    cvxr_mem mem;
    unsigned char *memory;
    size_t i;
    cvxr_mem_init(&mem, NULL, 0);
    memory = (unsigned char *)cvxr_alloc_zero(&mem, 1000, 3);
    for (i = 0; memory != NULL && i < 3000; i++) CHECK(memory[i] == 0);
    cvxr_release(&mem, memory, 1000, 3);
    CHECK(mem.now == 0 && mem.peak == cvxr_bytes(1000, 3));
}

TEST(now_and_peak_follow_what_is_held) {
    cvxr_mem mem;
    void *a, *b;
    cvxr_mem_init(&mem, NULL, 0);
    a = cvxr_alloc(&mem, 100, 8);
    b = cvxr_alloc(&mem, 10, 8);
    CHECK(mem.now == 832 + 128 && mem.peak == mem.now);
    cvxr_release(&mem, a, 100, 8);
    CHECK(mem.now == 128 && mem.peak == 960);
    cvxr_release(&mem, b, 10, 8);
    cvxr_release(&mem, NULL, 10, 8);
    CHECK(mem.now == 0 && mem.peak == 960);
}

TEST(a_memory_limit_refuses_and_names_both_numbers) {
    cvxr_mem mem;
    char message[CVXRELU_MESSAGE_SIZE];
    void *a;
    cvxr_mem_init(&mem, NULL, 1024);
    a = cvxr_alloc(&mem, 1024, 1);
    CHECK(a != NULL && mem.failed == CVXRELU_OK);
    CHECK(cvxr_alloc(&mem, 1, 1) == NULL && mem.failed == CVXRELU_ERR_LIMIT);
    CHECK(cvxr_mem_result(&mem, message) == CVXRELU_ERR_LIMIT);
    CHECK(strstr(message, "1024") != NULL && strstr(message, "1088") != NULL);
    cvxr_release(&mem, a, 1024, 1);
    CHECK(cvxr_alloc(&mem, 1, 1) == NULL);             /* the failure is remembered */
    CHECK(mem.now == 0);
}

TEST(an_overflowing_size_is_refused) {
    cvxr_mem mem;
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_alloc(&mem, SIZE_MAX / 2, 3) == NULL && mem.failed == CVXRELU_ERR_SIZE);
    CHECK(cvxr_mem_result(&mem, message) == CVXRELU_ERR_SIZE);
    cvxr_mem_init(&mem, NULL, 0);
    CHECK(cvxr_mem_result(&mem, message) == CVXRELU_OK);
}

static void *memory_none(void *context, size_t size, size_t align) {
    (void)context, (void)size, (void)align;
    return NULL;
}
static void memory_nothing(void *context, void *memory, size_t size) {
    (void)context, (void)memory, (void)size;
}

TEST(an_allocator_that_returns_null_is_reported) {
    cvxrelu_allocator none;
    cvxr_mem mem;
    none.context = NULL;
    none.allocate = memory_none;
    none.release = memory_nothing;
    cvxr_mem_init(&mem, &none, 0);
    CHECK(cvxr_alloc(&mem, 1, 1) == NULL && mem.failed == CVXRELU_ERR_MEMORY);
    CHECK(mem.now == 0 && mem.peak == 0);
}

/* Blocks held, each filled with its own number, so that an overlap shows. */
typedef struct memory_block {
    unsigned char *at, mark;
    size_t size;
} memory_block;

static void memory_check_block(const cvxrelu_arena *arena, const memory_block *block) {
    size_t i, bad = 0, offset = (size_t)(block->at - (unsigned char *)arena->base);
    CHECK((uintptr_t)block->at % CVXR_ALIGN == 0);
    CHECK(offset <= arena->size && block->size <= arena->size - offset);
    for (i = 0; i < block->size; i++) bad += block->at[i] != block->mark;
    CHECK(bad == 0);
}

static unsigned char memory_buffer[100000];

TEST(an_arena_survives_random_use) {
    cvxrelu_arena arena;
    cvxrelu_allocator allocator = cvxrelu_arena_init(&arena, memory_buffer + 3,
                                                     sizeof memory_buffer - 3);
    memory_block held[64];
    size_t count = 0, used = 0, refused = 0, step;
    cvxrelu_random random;
    cvxrelu_random_init(&random, 3);
    for (step = 0; step < 20000; step++) {
        if (count < 64 && cvxrelu_random_below(&random, 2)) {
            memory_block *block = &held[count];
            block->size = 1 + (size_t)cvxrelu_random_below(&random, 4000);
            block->mark = (unsigned char)step;
            block->at = (unsigned char *)allocator.allocate(allocator.context, block->size, 64);
            if (block->at == NULL) { refused++; continue; }
            memset(block->at, block->mark, block->size);
            used += (block->size + 63) / 64 * 64;
            count++;
        } else if (count) {
            size_t i = (size_t)cvxrelu_random_below(&random, count);
            memory_check_block(&arena, &held[i]);
            allocator.release(allocator.context, held[i].at, held[i].size);
            used -= (held[i].size + 63) / 64 * 64;
            held[i] = held[--count];
        }
        CHECK(arena.used == used && arena.peak <= arena.size);
    }
    CHECK(refused > 0);                                /* the arena was full now and then */
    while (count) {
        memory_check_block(&arena, &held[--count]);
        allocator.release(allocator.context, held[count].at, held[count].size);
    }
    CHECK(arena.used == 0);
    CHECK(((cvxr_hole *)arena.free_list)->size == arena.size);         /* one hole again */
    CHECK(((cvxr_hole *)arena.free_list)->next == NULL);
}

TEST(an_arena_without_room_serves_nothing) {
    cvxrelu_arena arena;
    size_t size;
    cvxrelu_allocator allocator = cvxrelu_arena_init(&arena, NULL, 1000);
    CHECK(allocator.allocate(allocator.context, 1, 64) == NULL);
    for (size = 0; size < 64; size++) {
        allocator = cvxrelu_arena_init(&arena, memory_buffer + 1, size);
        CHECK(allocator.allocate(allocator.context, 1, 64) == NULL);
    }
}

TEST(an_arena_serves_all_that_it_has) {
    cvxrelu_arena arena;
    cvxrelu_allocator allocator = cvxrelu_arena_init(&arena, memory_buffer,
                                                     sizeof memory_buffer);
    void *all = allocator.allocate(allocator.context, arena.size, 64);
    CHECK(all != NULL && arena.peak == arena.size);
    CHECK(arena.size > sizeof memory_buffer - 128);
    CHECK(allocator.allocate(allocator.context, 1, 64) == NULL);
    allocator.release(allocator.context, all, arena.size);
    CHECK(allocator.allocate(allocator.context, SIZE_MAX - 10, 64) == NULL);
    CHECK(arena.used == 0);
}

SUITE(s02_memory) {
    RUN(products_that_overflow_are_refused);
    RUN(sizes_are_whole_cache_lines);
    RUN(default_memory_starts_on_a_cache_line);
    RUN(cleared_memory_is_zero);
    RUN(now_and_peak_follow_what_is_held);
    RUN(a_memory_limit_refuses_and_names_both_numbers);
    RUN(an_overflowing_size_is_refused);
    RUN(an_allocator_that_returns_null_is_reported);
    RUN(an_arena_survives_random_use);
    RUN(an_arena_without_room_serves_nothing);
    RUN(an_arena_serves_all_that_it_has);
}
