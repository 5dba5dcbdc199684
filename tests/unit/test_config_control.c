/* Where the control socket is, in a good configuration and in one that is broken. */
#include "config_fixture.h"

static void test_it_is_in_the_state_directory_or_where_control_says(void **state)
{
	(void)state;
	struct config *config = accepted(ROUTE);

	assert_null(config->control);
	config_free(config);
	config = accepted("state: /var/lib/popbridge\n" ROUTE);
	assert_string_equal(config->control, "/var/lib/popbridge/control");
	config_free(config);
	config = accepted("state: /var/lib/popbridge\ncontrol: /run/x\n" ROUTE);
	assert_string_equal(config->control, "/run/x");
	config_free(config);
}

static void test_a_path_that_is_not_whole_or_too_long_is_a_mistake(void **state)
{
	(void)state;
	char text[512];

	refused("control: here\n" ROUTE, "control: the whole path must stand here");
	snprintf(text, sizeof(text), "control: /%0107d\n" ROUTE, 0);
	refused(text, "control: a socket's path has 107 octets at most");
}

static void test_it_is_found_in_front_of_the_first_mistake_of_spelling(void **state)
{
	static const struct {
		const char *text, *found;
	} cases[] = {
		{ "state: /s\n", "/s/control" },
		{ "state: /s\nroutes: [", "/s/control" },
		{ "state: /s\ncontrol: '/c d'\n", "/c d" },
		{ "{\"state\": \"/s\", \"routes\": [}", "/s/control" },
		{ "log: {state: /no}\nlisten:\n  - state: /no\nstate: /s\n",
		  "/s/control" },
		{ "x: *a\nstate: /s\n", "/s/control" },
		{ "*a : b\nstate: /s\n", "/s/control" },
		{ "? [a, b]\n: c\nstate: /s\n", "/s/control" },
		{ "state: /s\nstate: /t\n", "/s/control" },
		{ "rowts: []\n", NULL },
		{ "routes: [\nstate: /s\n", NULL },
		{ "- state: /s\n", NULL },
		{ "state", NULL },
		{ "state:", NULL },
		{ "state: {a: b}\nstate: /s", "/s/control" },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *found = config_find_control(bytes_of(cases[i].text));

		if (cases[i].found) {
			assert_non_null(found);
			assert_string_equal(found, cases[i].found);
		} else {
			assert_null(found);
		}
		free(found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_in_the_state_directory_or_where_control_says),
		cmocka_unit_test(test_a_path_that_is_not_whole_or_too_long_is_a_mistake),
		cmocka_unit_test(
			test_it_is_found_in_front_of_the_first_mistake_of_spelling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
