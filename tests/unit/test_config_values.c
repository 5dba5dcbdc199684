#include "tests/unit/config_fixture.h"

/* ---- values ---- */

static void test_durations_have_units(void **state)
{
	uint64_t ms;
	const char *why;
	(void)state;
	assert_true(config_duration_parse(bytes_of("250ms"), &ms, &why));
	assert_int_equal(ms, 250);
	assert_true(config_duration_parse(bytes_of("2h"), &ms, &why));
	assert_int_equal(ms, 7200000);
	static const char *const bad[] = { "",
					   "10",
					   "s",
					   "-1s",
					   "1.5s",
					   "1 s",
					   "1s ",
					   "1d",
					   "1S",
					   "01s",
					   "0x1s",
					   "1s1s",
					   "18446744073709551615h" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(config_duration_parse(bytes_of(bad[i]), &ms, &why));
		assert_non_null(strstr(why, "a duration is"));
	}
}

static void test_a_date_is_a_day_that_exists(void **state)
{
	static const char *const bad[] = { "",           "2027-1-31",  "2027-02-30",
					   "2027-13-01", "31.01.2027", "2027-01-31 ",
					   "1969-12-31", "2027-00-10", "2027-01-00" };
	uint64_t unix_s;
	const char *why;

	(void)state;
	assert_true(config_date_parse(bytes_of("2027-01-31"), &unix_s, &why));
	assert_int_equal(unix_s, 1801353600);
	assert_true(config_date_parse(bytes_of("2028-02-29"), &unix_s, &why));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(config_date_parse(bytes_of(bad[i]), &unix_s, &why));
		assert_non_null(strstr(why, "a date is"));
	}
}

static void test_sizes_have_binary_units(void **state)
{
	uint64_t octets;
	const char *why;
	(void)state;
	assert_true(config_size_parse(bytes_of("64KiB"), &octets, &why));
	assert_int_equal(octets, 65536);
	assert_true(config_size_parse(bytes_of("2MiB"), &octets, &why));
	assert_int_equal(octets, 2097152);
	assert_true(config_size_parse(bytes_of("0"), &octets, &why));
	assert_int_equal(octets, 0);
	assert_false(config_size_parse(bytes_of("1KB"), &octets, &why));
	assert_false(config_size_parse(bytes_of("KiB"), &octets, &why));
	assert_false(
		config_size_parse(bytes_of("18446744073709551615KiB"), &octets, &why));
}

static bool matches(const char *pattern, const char *user)
{
	return config_pattern_matches(bytes_of(pattern), bytes_of(user));
}

static void test_patterns_match_in_any_case_and_with_any_stars(void **state)
{
	(void)state;
	assert_true(matches("*", ""));
	assert_true(matches("joe", "JOE"));
	assert_false(matches("joe", "joey"));
	assert_false(matches("joe", "jo"));
	assert_true(matches("*@example.com", "joe@EXAMPLE.com"));
	assert_false(matches("*@example.com", "joe@example.com.evil"));
	assert_true(matches("j*@*.com", "joe@mail@a.com"));
	assert_true(matches("**a**", "bab"));
	assert_true(matches("*aab", "aaaaab"));
	assert_false(matches("", "a"));
	assert_true(matches("", ""));
}

static void test_a_hostile_pattern_takes_no_exponential_time(void **state)
{
	char user[2048];
	(void)state;
	memset(user, 'a', sizeof user - 1);
	user[sizeof user - 1] = '\0';
	assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", user));
}

static void test_the_first_matching_route_wins(void **state)
{
	(void)state;
	struct config *config =
		accepted("routes:\n"
			 "  - {match: \"joe@*\", server: imaps://a}\n"
			 "  - {match: \"*@b.example\", server: imaps://b}\n");
	assert_string_equal(config_route_for(config, bytes_of("Joe@b.example"))->host,
			    "a");
	assert_string_equal(config_route_for(config, bytes_of("ann@B.example"))->host,
			    "b");
	assert_null(config_route_for(config, bytes_of("ann")));
	config_free(config);
}

static void filled(const char *template, const char *user, const char *wanted)
{
	struct config_route route = { .user = (char *)template };
	struct buffer out = { .max = 32 };
	assert_int_equal(config_upstream_user(&route, bytes_of(user), &out),
			 wanted != NULL);
	assert_true(
		bytes_equal(buffer_bytes(&out), bytes_of(wanted != NULL ? wanted : "")));
	buffer_release(&out);
}

static void test_upstream_users_are_made_from_the_template(void **state)
{
	(void)state;
	filled("{user}", "joe@a.example", "joe@a.example");
	filled("{local}", "joe@a.example", "joe");
	filled("{local}", "joe", "joe");
	filled("{domain}.{local}", "joe@a.example", "a.example.joe");
	filled("{local}", "a@b@c", "a@b");
	filled("x{domain}", "joe", "x");
	filled("shared", "joe", "shared");
	filled("{user}", "{local}", "{local}");
}

static void test_an_upstream_user_that_is_empty_or_too_long_is_refused(void **state)
{
	(void)state;
	filled("{domain}", "joe", NULL);
	filled("{local}", "@a.example", NULL);
	filled("{user}", "", NULL);
	filled("{user}{user}", "a-name-of-twenty-oct", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations_have_units),
		cmocka_unit_test(test_a_date_is_a_day_that_exists),
		cmocka_unit_test(test_sizes_have_binary_units),
		cmocka_unit_test(test_patterns_match_in_any_case_and_with_any_stars),
		cmocka_unit_test(test_a_hostile_pattern_takes_no_exponential_time),
		cmocka_unit_test(test_the_first_matching_route_wins),
		cmocka_unit_test(test_upstream_users_are_made_from_the_template),
		cmocka_unit_test(
			test_an_upstream_user_that_is_empty_or_too_long_is_refused),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
