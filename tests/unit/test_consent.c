/* Who gets in at the consent page, how often, and that its pages say things harmlessly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/web/consent_gate.h"
#include "proxy/web/consent_line.h"
#include "proxy/web/consent_page.h"
#include "proxy/web/turnstile.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define URL "https://pop.example.com:8443"

static void test_only_the_pages_own_host_is_answered(void **state)
{
	(void)state;
	assert_true(gate_is_host(URL, "pop.example.com:8443"));
	assert_true(gate_is_host(URL, "POP.example.com:8443"));
	assert_false(gate_is_host(URL, "pop.example.com"));
	assert_false(gate_is_host(URL, "pop.example.com:84430"));
	assert_false(gate_is_host(URL, "pop.example.com:8443:443"));
	assert_false(gate_is_host(URL, "evil.example"));
	assert_false(gate_is_host(URL, ""));
	assert_false(gate_is_host(URL, NULL));
	assert_true(gate_is_host("https://pop.example.com", "pop.example.com"));
	assert_true(gate_is_host("https://pop.example.com", "pop.example.com:443"));
	assert_false(gate_is_host("https://pop.example.com", "pop.example.com:444"));
	assert_false(gate_is_host("https://pop.example.com", "pop.example.com.evil"));
	assert_true(gate_is_host("https://[::1]", "[::1]:443"));
	assert_false(gate_is_host("https://[::1]:8443", "[::1]:8443:443"));
}

static void test_a_post_comes_from_our_own_pages(void **state)
{
	(void)state;
	assert_true(gate_is_ours(URL, URL, NULL));
	assert_true(gate_is_ours(URL, URL, "same-origin"));
	assert_true(gate_is_ours(URL, "null", "same-origin"));
	assert_true(gate_is_ours(URL, "null", NULL)); // the form's word decides
	assert_true(gate_is_ours(URL, NULL, NULL));
	assert_false(gate_is_ours(URL, URL, "cross-site"));
	assert_false(gate_is_ours(URL, URL, "same-site"));
	assert_false(gate_is_ours(URL, "null", "cross-site"));
	assert_false(gate_is_ours(URL, "null", "none"));
	assert_false(gate_is_ours(URL, "https://evil.example", NULL));
	assert_false(gate_is_ours(URL, "https://pop.example.com", NULL));
	assert_false(gate_is_ours(URL, "http://pop.example.com:8443", NULL));
}

static void test_only_a_plain_form_is_one(void **state)
{
	(void)state;
	assert_true(gate_is_form("application/x-www-form-urlencoded"));
	assert_true(gate_is_form("application/x-www-form-urlencoded; charset=utf-8"));
	assert_false(gate_is_form("application/x-www-form-urlencodedx"));
	assert_false(gate_is_form("text/plain"));
	assert_false(gate_is_form("multipart/form-data; boundary=x"));
	assert_false(gate_is_form(NULL));
}

static struct sockaddr_in6 six(const char *text)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };

	assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
	return address;
}

static unsigned passes(struct turnstile *turnstile, const char *text, uint64_t now_ms)
{
	const struct sockaddr_in6 from = six(text);
	unsigned count = 0;

	while (turnstile_pass(turnstile, (const struct sockaddr *)&from, now_ms)) {
		count++;
	}
	return count;
}

static void test_a_network_has_a_burst_and_then_a_rate(void **state)
{
	struct turnstile *turnstile = turnstile_new();

	(void)state;
	assert_int_equal(passes(turnstile, "2001:db8::1", 1000), TURNSTILE_BURST);
	assert_int_equal(passes(turnstile, "2001:db8::1", 1000), 0);
	assert_int_equal(passes(turnstile, "2001:db8::2", 1000), 0); // the same /64
	assert_int_equal(passes(turnstile, "2001:db8:0:1::1", 1000), TURNSTILE_BURST);
	assert_int_equal(passes(turnstile, "2001:db8::1", 1000 + 3 * TURNSTILE_MS), 3);
	assert_int_equal(passes(turnstile, "2001:db8::1", 10000 * TURNSTILE_MS),
			 TURNSTILE_BURST);
	turnstile_free(turnstile);
}

static void test_ipv4_in_ipv6_is_the_address_itself(void **state)
{
	struct turnstile *turnstile = turnstile_new();
	struct sockaddr_in four = { .sin_family = AF_INET };

	(void)state;
	assert_int_equal(inet_pton(AF_INET, "192.0.2.1", &four.sin_addr), 1);
	assert_int_equal(passes(turnstile, "::ffff:192.0.2.1", 1000), TURNSTILE_BURST);
	assert_false(turnstile_pass(turnstile, (const struct sockaddr *)&four, 1000));
	assert_int_equal(passes(turnstile, "::ffff:192.0.2.2", 1000), TURNSTILE_BURST);
	turnstile_free(turnstile);
}

/* ---- pages ---- */

static bool stands_in(const struct buffer *page, const char *words)
{
	return memmem(page->data, page->len, words, strlen(words)) != NULL;
}

static struct buffer page_of(void (*write)(const struct consent_view *, struct buffer *),
			     const struct consent_answer *answer)
{
	static char host[] = "pop.example.com";
	static const struct config config = { .consent = { .pop3_host = host } };
	const struct consent_view view = {
		.config = &config, .answer = answer, .nonce = "n0", .token = "t0"
	};
	struct buffer page;

	buffer_init(&page, 1 << 20);
	write(&view, &page);
	return page;
}

static struct page_message row_of(enum page_type type)
{
	return (struct page_message){ .type = type };
}

static void test_what_came_from_outside_is_only_text(void **state)
{
	struct consent_answer answer = { 0 };
	struct page_message account = row_of(PAGE_ACCOUNT);
	struct page_message device = row_of(PAGE_DEVICE);
	struct page_message end = row_of(PAGE_DONE);
	struct buffer page;

	(void)state;
	account.number[PAGE_SIGNED_IN] = 1;
	account.text[PAGE_USER] = bytes_of("\"><script>user");
	account.text[PAGE_FORM] = bytes_of("w0");
	account.text[PAGE_SECRET] = bytes_of("k7mf-2xqd");
	device.text[PAGE_LABEL] = bytes_of("\"><script>label");
	device.number[PAGE_ID] = 7;
	assert_false(consent_answer_take(&answer, &account));
	assert_false(consent_answer_take(&answer, &device));
	assert_true(consent_answer_take(&answer, &end));
	page = page_of(consent_page_account, &answer);
	assert_false(stands_in(&page, "<script>user"));
	assert_false(stands_in(&page, "<script>label"));
	assert_true(stands_in(&page, "&lt;script&gt;label"));
	assert_true(stands_in(&page, "value=\"k7mf-2xqd\""));
	assert_true(stands_in(&page, "name=\"id\" value=\"7\""));
	assert_true(stands_in(&page, "name=\"form\" value=\"w0\""));
	buffer_release(&page);
	consent_answer_release(&answer);
}

static void test_every_refusal_says_what_to_do(void **state)
{
	(void)state;
	for (unsigned why = 0; why < PAGE_WHYS; why++) {
		struct consent_answer answer = { 0 };
		struct page_message end = row_of(PAGE_REFUSED);
		struct buffer page;

		end.number[PAGE_WHY] = why;
		end.text[PAGE_TEXT] = bytes_of("<b>because</b>");
		assert_true(consent_answer_take(&answer, &end));
		page = page_of(consent_page_refused, &answer);
		assert_true(stands_in(&page, "That did not work"));
		assert_true(stands_in(&page, "&lt;b&gt;because"));
		assert_false(stands_in(&page, "(null)"));
		buffer_release(&page);
		consent_answer_release(&answer);
	}
}

static void test_more_devices_than_an_account_may_have_are_left_out(void **state)
{
	static struct consent_answer answer;
	struct page_message device = row_of(PAGE_DEVICE);

	(void)state;
	for (int i = 0; i < 2 * CONSENT_DEVICES_MAX; i++) {
		assert_false(consent_answer_take(&answer, &device));
	}
	assert_int_equal(answer.device_count, CONSENT_DEVICES_MAX);
	consent_answer_release(&answer);
}

static void test_an_answers_password_is_wiped_once_it_was_taken(void **state)
{
	const char password[] = "gkw7-pass-word";
	const struct page_message said = { .type = PAGE_ACCOUNT,
					   .text[PAGE_SECRET] = bytes_of(password) };
	struct page_message heard;
	struct consent_line line;
	struct buffer packet;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	buffer_init(&packet, PAGE_PACKET_MAX);
	assert_true(page_message_encode(&said, &packet));
	assert_int_equal(send(ends[1], packet.data, packet.len, 0), packet.len);
	line_init(&line);
	line_connect(&line, ends[0]);
	assert_int_equal(line_receive(&line, &heard), LINE_MESSAGE);
	assert_true(bytes_equal(heard.text[PAGE_SECRET], bytes_of(password)));
	assert_non_null(memmem(line.packet, PAGE_PACKET_MAX, password, strlen(password)));
	assert_int_equal(line_receive(&line, &heard), LINE_QUIET);
	assert_null(memmem(line.packet, PAGE_PACKET_MAX, password, strlen(password)));
	line_release(&line);
	close(ends[1]);
	buffer_release(&packet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_pages_own_host_is_answered),
		cmocka_unit_test(test_a_post_comes_from_our_own_pages),
		cmocka_unit_test(test_only_a_plain_form_is_one),
		cmocka_unit_test(test_a_network_has_a_burst_and_then_a_rate),
		cmocka_unit_test(test_ipv4_in_ipv6_is_the_address_itself),
		cmocka_unit_test(test_what_came_from_outside_is_only_text),
		cmocka_unit_test(test_every_refusal_says_what_to_do),
		cmocka_unit_test(test_more_devices_than_an_account_may_have_are_left_out),
		cmocka_unit_test(test_an_answers_password_is_wiped_once_it_was_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
