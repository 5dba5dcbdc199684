#include "proxy/web/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool says(const char *text, enum form_field field, const char *value)
{
	struct form form;
	const bool good = form_read(bytes_of(text), &form) &&
			  bytes_equal(form.value[field], bytes_of(value));

	form_release(&form);
	return good;
}

static bool refuses(struct bytes text)
{
	struct form form;
	const bool good = form_read(text, &form);

	form_release(&form);
	return !good;
}

static void test_fields_are_found_by_name_and_decoded(void **state)
{
	(void)state;
	assert_true(
		says("state=abc&code=4%2F0A%3d&iss=https%3A%2F%2Fp", FORM_CODE, "4/0A="));
	assert_true(says("label=scanner%2C+2nd+floor", FORM_LABEL, "scanner, 2nd floor"));
	assert_true(says("label=%C3%A4", FORM_LABEL, "\xC3\xA4"));
	assert_true(says("%63ode=x", FORM_CODE, "x"));
	assert_true(says("code=a=b", FORM_CODE, "a=b"));
	assert_true(says("code&id=7", FORM_ID, "7"));
	assert_true(says("&&id=7&", FORM_ID, "7"));
	assert_true(says("codes=x&Code=y", FORM_CODE, ""));
	assert_true(says("", FORM_CODE, ""));
}

static void test_fields_of_others_may_stand_there_twice_ours_may_not(void **state)
{
	(void)state;
	assert_true(says("scope=a&scope=b&id=7", FORM_ID, "7"));
	assert_true(refuses(bytes_of("state=a&state=a")));
	assert_true(refuses(bytes_of("state=a&%73tate=b")));
	assert_true(refuses(bytes_of("state=&state=b")));
}

static void test_what_is_badly_spelt_is_refused(void **state)
{
	static const char *const bad[] = { "code=%",   "code=%4",   "code=%4&id=7",
					   "code=%zz", "code=%+41", "%=x",
					   "code=%00", "x=%00" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_true(refuses(bytes_of(bad[i])));
	}
	assert_true(refuses((struct bytes){ "code=a\0b", 8 }));
}

static void test_a_form_has_a_longest_length(void **state)
{
	static char text[FORM_MAX + 1];

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_false(refuses((struct bytes){ text, FORM_MAX }));
	assert_true(refuses((struct bytes){ text, FORM_MAX + 1 }));
}

static void test_a_cookie_is_found_among_others(void **state)
{
	static const struct {
		const char *header, *value;
	} rows[] = {
		{ "a=1", "1" },       { "b=2; a=1", "1" },   { "b=2;a=1;c=3", "1" },
		{ "aa=2; a=1", "1" }, { "b=a=2; a=1", "1" }, { "a=1=2", "1=2" },
		{ "aa=1", "" },       { "b=2", "" },         { "", "" },
		{ "A=1", "" },        { "; ;a", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_true(bytes_equal(form_cookie(rows[i].header, "a"),
					bytes_of(rows[i].value)));
	}
	assert_int_equal(form_cookie(NULL, "a").len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_found_by_name_and_decoded),
		cmocka_unit_test(
			test_fields_of_others_may_stand_there_twice_ours_may_not),
		cmocka_unit_test(test_what_is_badly_spelt_is_refused),
		cmocka_unit_test(test_a_form_has_a_longest_length),
		cmocka_unit_test(test_a_cookie_is_found_among_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
