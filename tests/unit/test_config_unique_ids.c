/* Which accounts a configuration would give other unique-ids, and what that is agreed by.
 */
#include "config_fixture.h"
#include "proxy/config/config_unique_ids.h"

#define TWO                                                                              \
	"routes:\n"                                                                      \
	"  - {match: \"*@a\", server: imaps://a.example.com, unique-id: \"%s\","         \
	" folder: %s}\n"                                                                 \
	"  - {match: \"*@b\", server: imaps://b.example.com}\n"
#define USUAL "{uid:08x}{uidvalidity:08x}"

static struct config_known known_as(const char *account, const char *was)
{
	return (struct config_known){ .account = bytes_of(account),
				      .routed_as = bytes_of(account),
				      .folder = bytes_of(was),
				      .unique_id = bytes_of(USUAL) };
}

static void assert_change(const struct config *config, const char *account,
			  const char *was, const char *why)
{
	const struct config_known known = known_as(account, was);
	struct config_verdict verdict = { 0 };

	assert_int_equal(config_changes(config, &known, &verdict), why != NULL);
	assert_int_equal(verdict.changed, why != NULL);
	if (why) {
		assert_string_equal(verdict.why.text, why);
	}
}

static void test_template_and_folder_of_the_accounts_own_route_count(void **state)
{
	(void)state;
	struct config *config = accepted(printed(TWO, USUAL, "INBOX"));

	assert_change(config, "joe@a", "INBOX", NULL);
	assert_change(config, "joe@a", "", NULL);
	assert_change(config, "joe@a", "Scans",
		      "routes[0].folder is INBOX, and was Scans");
	assert_change(config, "joe@c", "Scans", NULL); // no route: no sign-in
	config_free(config);
	config = accepted(printed(TWO, "{uid}-{uidvalidity}", "INBOX"));
	assert_change(config, "joe@a", "INBOX",
		      "routes[0].unique-id is {uid}-{uidvalidity}, and was " USUAL);
	assert_change(config, "joe@a", "",
		      "routes[0].unique-id is {uid}-{uidvalidity}, and was " USUAL);
	assert_change(config, "joe@b", "INBOX", NULL);
	config_free(config);
}

static void test_a_refusal_counts_them_and_says_what_to_do(void **state)
{
	(void)state;
	struct config *config = accepted(printed(TWO, USUAL, "Scans"));
	const struct config_known joe = known_as("joe@a", "INBOX");
	const struct config_known ann = known_as("ann@a", "INBOX");
	struct config_verdict verdict = { 0 };
	struct failure failure;

	assert_true(config_changes(config, &joe, &verdict));
	assert_true(config_changes(config, &ann, &verdict));
	assert_false(config_refuse_change(&verdict, &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_non_null(strstr(failure.text, "routes[0].folder is Scans, and was INBOX: "
					     "2 known accounts would get other"));
	assert_non_null(strstr(failure.advice, "--accept-new-unique-ids"));
	config_free(config);
}

static uint64_t digest_of(const char *yaml)
{
	struct config *config = accepted(yaml);
	const uint64_t digest = config_unique_ids_digest(config);

	config_free(config);
	return digest;
}

static void test_the_digest_is_of_what_unique_ids_are_made_by(void **state)
{
	(void)state;
	const uint64_t usual = digest_of(printed(TWO, USUAL, "INBOX"));

	assert_true(usual == digest_of(printed(TWO "workers: 3\n", USUAL, "INBOX")));
	assert_true(usual != digest_of(printed(TWO, USUAL, "Scans")));
	assert_true(usual != digest_of(printed(TWO, "{uid}-{uidvalidity}", "INBOX")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_template_and_folder_of_the_accounts_own_route_count),
		cmocka_unit_test(test_a_refusal_counts_them_and_says_what_to_do),
		cmocka_unit_test(test_the_digest_is_of_what_unique_ids_are_made_by),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
