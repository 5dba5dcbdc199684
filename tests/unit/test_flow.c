#include "proxy/keeper/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS ((uint64_t)1000000)
#define JOE bytes_of("joe@example.com")

static struct flow *begin(struct flows *flows, struct bytes account,
			  struct secret *session)
{
	struct flow *flow = flows_begin(flows, account, NOW_MS, session);

	assert_non_null(flow);
	return flow;
}

static void test_a_flow_is_found_by_its_session_only(void **state)
{
	struct flows *flows = flows_new();
	struct secret session = { 0 };
	struct flow *flow = begin(flows, JOE, &session);

	(void)state;
	assert_ptr_equal(flows_find(flows, secret_bytes(&session), NOW_MS), flow);
	assert_null(flows_find(flows, bytes_of("other"), NOW_MS));
	assert_null(flows_find(flows, (struct bytes){ 0 }, NOW_MS));
	assert_null(flows_find(flows, secret_bytes(&flow->form), NOW_MS));
	secret_release(&session);
	flows_free(flows);
}

static void test_a_flow_is_over_after_half_an_hour(void **state)
{
	struct flows *flows = flows_new();
	struct secret session = { 0 };

	(void)state;
	begin(flows, JOE, &session);
	assert_non_null(
		flows_find(flows, secret_bytes(&session), NOW_MS + FLOW_LIFE_MS - 1));
	assert_null(flows_find(flows, secret_bytes(&session), NOW_MS + FLOW_LIFE_MS));
	assert_null(flows_find(flows, secret_bytes(&session), NOW_MS));
	secret_release(&session);
	flows_free(flows);
}

static void test_an_accounts_next_flow_ends_the_one_before(void **state)
{
	struct flows *flows = flows_new();
	struct secret one = { 0 };
	struct secret two = { 0 };
	struct secret anns = { 0 };

	(void)state;
	begin(flows, bytes_of("ann@example.com"), &anns);
	begin(flows, JOE, &one);
	begin(flows, JOE, &two);
	assert_null(flows_find(flows, secret_bytes(&one), NOW_MS));
	assert_non_null(flows_find(flows, secret_bytes(&two), NOW_MS));
	assert_non_null(flows_find(flows, secret_bytes(&anns), NOW_MS));
	flows_end_account(flows, JOE);
	assert_null(flows_find(flows, secret_bytes(&two), NOW_MS));
	assert_non_null(flows_find(flows, secret_bytes(&anns), NOW_MS));
	secret_release(&one);
	secret_release(&two);
	secret_release(&anns);
	flows_free(flows);
}

static void test_a_state_is_taken_once_and_no_other_is(void **state)
{
	struct flows *flows = flows_new();
	struct secret session = { 0 };
	struct secret said = { 0 };
	struct flow *flow = begin(flows, JOE, &session);

	(void)state;
	assert_false(flow_take_state(flow, (struct bytes){ 0 }));
	flow_aim(flow);
	secret_set(&said, secret_bytes(&flow->state));
	assert_false(flow_take_state(flow, bytes_of("other")));
	assert_false(flow_take_state(flow, (struct bytes){ 0 }));
	assert_true(flow_take_state(flow, secret_bytes(&said)));
	assert_false(flow_take_state(flow, secret_bytes(&said)));
	flow_aim(flow);
	assert_false(flow_take_state(flow, secret_bytes(&said)));
	secret_release(&said);
	secret_release(&session);
	flows_free(flows);
}

static void test_each_sign_in_has_secrets_of_its_own(void **state)
{
	struct flows *flows = flows_new();
	struct secret session = { 0 };
	struct secret verifier = { 0 };
	struct flow *flow = begin(flows, JOE, &session);

	(void)state;
	flow_aim(flow);
	secret_set(&verifier, secret_bytes(&flow->verifier));
	assert_true(verifier.len >= 43 && verifier.len <= 128); // RFC 7636 4.1
	assert_false(bytes_equal(secret_bytes(&flow->state), secret_bytes(&flow->nonce)));
	flow_aim(flow);
	assert_false(bytes_equal(secret_bytes(&flow->verifier), secret_bytes(&verifier)));
	secret_release(&verifier);
	secret_release(&session);
	flows_free(flows);
}

static void test_a_form_of_another_flow_is_none(void **state)
{
	struct flows *flows = flows_new();
	struct secret session = { 0 };
	struct secret anns = { 0 };
	struct flow *ann = begin(flows, bytes_of("ann@example.com"), &anns);
	struct flow *flow = begin(flows, JOE, &session);

	(void)state;
	assert_true(flow_is_form(flow, secret_bytes(&flow->form)));
	assert_false(flow_is_form(flow, secret_bytes(&ann->form)));
	assert_false(flow_is_form(flow, (struct bytes){ 0 }));
	secret_release(&session);
	secret_release(&anns);
	flows_free(flows);
}

static void test_there_are_no_more_flows_than_a_bound(void **state)
{
	struct flows *flows = flows_new();
	struct secret session = { 0 };
	char account[32];

	(void)state;
	for (int i = 0; i < FLOWS_MAX; i++) {
		snprintf(account, sizeof(account), "%d@example.com", i);
		begin(flows, bytes_of(account), &session);
		secret_release(&session);
	}
	assert_null(flows_begin(flows, JOE, NOW_MS, &session));
	assert_non_null(flows_begin(flows, JOE, NOW_MS + FLOW_LIFE_MS, &session));
	secret_release(&session);
	flows_free(flows);
}

/* RFC 7636, appendix B. */
static void test_the_challenge_is_the_one_of_the_standard(void **state)
{
	struct buffer challenge;

	(void)state;
	buffer_init(&challenge, 64);
	flow_challenge(bytes_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
		       &challenge);
	assert_true(bytes_equal(buffer_bytes(&challenge),
				bytes_of("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")));
	buffer_release(&challenge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flow_is_found_by_its_session_only),
		cmocka_unit_test(test_a_flow_is_over_after_half_an_hour),
		cmocka_unit_test(test_an_accounts_next_flow_ends_the_one_before),
		cmocka_unit_test(test_a_state_is_taken_once_and_no_other_is),
		cmocka_unit_test(test_each_sign_in_has_secrets_of_its_own),
		cmocka_unit_test(test_a_form_of_another_flow_is_none),
		cmocka_unit_test(test_there_are_no_more_flows_than_a_bound),
		cmocka_unit_test(test_the_challenge_is_the_one_of_the_standard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
