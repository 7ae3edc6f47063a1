/* Tests of S03 RESULTS. Included by test_main.c. */

TEST(every_result_has_a_text) {
    int code;
    for (code = 0; code < CVXRELU_RESULT_COUNT; code++) {
        const char *text = cvxrelu_result_text((cvxrelu_result)code);
        CHECK(text != NULL && text[0] != 0);
        CHECK(strcmp(text, "unknown result code") != 0);
    }
    CHECK_TEXT(cvxrelu_result_text(CVXRELU_OK), "success");
    CHECK_TEXT(cvxrelu_result_text(CVXRELU_RESULT_COUNT), "unknown result code");
}

TEST(messages_hold_strings_and_integers) {
    char message[CVXRELU_MESSAGE_SIZE];
    CHECK(cvxr_fail(message, CVXRELU_ERR_SIZE, "%s|%d|%d|%z|%%", "a b", -12, 34, (size_t)56)
          == CVXRELU_ERR_SIZE);
    CHECK_TEXT(message, "a b|-12|34|56|%");
    cvxr_fail(message, CVXRELU_OK, "%d %d %z", INT_MIN, INT_MAX, SIZE_MAX);
    CHECK(strncmp(message, "-2147483648 2147483647 ", 23) == 0 || sizeof(int) != 4);
    CHECK(strtoull(strrchr(message, ' '), NULL, 10) == SIZE_MAX);
    CHECK(cvxr_fail(NULL, CVXRELU_ERR_IO, "%s", "nowhere") == CVXRELU_ERR_IO);
}

TEST(a_long_message_is_cut_at_the_end_of_its_buffer) {
    char buffer[CVXRELU_MESSAGE_SIZE + 16], text[1000];
    size_t i;
    memset(buffer, '#', sizeof buffer);
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    cvxr_fail(buffer, CVXRELU_ERR_IO, "%s", text);
    CHECK(strlen(buffer) == CVXRELU_MESSAGE_SIZE - 1);
    for (i = CVXRELU_MESSAGE_SIZE; i < sizeof buffer; i++) CHECK(buffer[i] == '#');
}

/* As printf's %g writes it, but for the shorter exponent: e-7 where printf has e-07. */
static void results_oracle(char *out, double value) {
    char *e;
    sprintf(out, "%g", value);
    e = strchr(out, 'e');
    if (e != NULL) sprintf(e + 1, "%d", (int)strtol(e + 1, NULL, 10));
}

static void results_compare(double value, int exact) {
    char message[CVXRELU_MESSAGE_SIZE], oracle[64];
    cvxr_fail(message, CVXRELU_OK, "%g", value);
    results_oracle(oracle, value);
    if (exact) CHECK_TEXT(message, oracle);
    /* six digits: half a unit of the sixth, and a little for the powers of ten */
    CHECK_NEAR(strtod(message, NULL), value, 5.001e-6 * fabs(value));
    CHECK(strlen(message) <= strlen(oracle) + 1);
}

TEST(numbers_read_as_printf_would_write_them) {
    static const double values[] = {
        0.0, 1.0, -1.0, 0.5, 1e-6, 1e-4, 1e-5, 0.00012345, 123456.0, 999999.0, 1e5, 1e6,
        1234567.0, 100.0, 0.1, 0.3, -2.5, 3.14159265, 1e100, 1e-100, 1e300, 1e-300,
        123.456, 1000.5, 99999.5, 0.000999999, 9.99999e-5, 1e-7, 250000.0, 1024.0
    };
    size_t i;
    for (i = 0; i < sizeof values / sizeof *values; i++) results_compare(values[i], 1);
}

TEST(random_numbers_keep_six_digits) {
    cvxrelu_random random;
    int i;
    cvxrelu_random_init(&random, 4);
    for (i = 0; i < 20000; i++) {
        double exponent = 600.0 * cvxrelu_random_uniform(&random) - 300.0;
        results_compare(cvxrelu_random_normal(&random) * pow(10.0, exponent), 0);
    }
    for (i = 0; i < 20000; i++)                        /* few digits: exactly the same text */
        results_compare(((double)cvxrelu_random_below(&random, 19999) - 9999.0)
                        / pow(10.0, (double)cvxrelu_random_below(&random, 9)), 1);
}

TEST(the_smallest_and_largest_numbers_are_written) {
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_fail(message, CVXRELU_OK, "%g %g", 1.7976931348623157e308, 2.2250738585072014e-308);
    CHECK_TEXT(message, "1.79769e308 2.22507e-308");
}

TEST(what_is_not_finite_is_named) {
    char message[CVXRELU_MESSAGE_SIZE];
    cvxr_fail(message, CVXRELU_OK, "%g %g %g", platform_double(0x7ff0000000000000u),
              platform_double(0xfff0000000000000u), platform_double(0x7ff8000000000000u));
    CHECK_TEXT(message, "infinity -infinity NaN");
}

SUITE(s03_results) {
    RUN(every_result_has_a_text);
    RUN(messages_hold_strings_and_integers);
    RUN(a_long_message_is_cut_at_the_end_of_its_buffer);
    RUN(numbers_read_as_printf_would_write_them);
    RUN(random_numbers_keep_six_digits);
    RUN(the_smallest_and_largest_numbers_are_written);
    RUN(what_is_not_finite_is_named);
}
