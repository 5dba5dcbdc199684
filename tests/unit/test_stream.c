#include "proxy/rt/stream.h"
#include "proxy/rt/tls_session.h"
#include "tests/unit/tls_files.h"

#include <errno.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#define SOON loop_deadline_ms(5000)

static struct tls_files files;
static struct tls_server *server;
static struct tls_client *client;

/* Two ends of one connection; each task closes its own. */
static struct stream *near, *far;
static int near_fd, far_fd;

static struct bytes text_of(const char *text)
{
	return (struct bytes){ text, strlen(text) };
}

static void connect_pair(void)
{
	struct address address;
	assert_true(address_parse(text_of("127.0.0.1"), 0, &address));
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address.socket, address.len),
			 0);
	assert_int_equal(listen(listener, 1), 0);
	getsockname(listener, (struct sockaddr *)&address.socket, &address.len);
	near_fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
		connect(near_fd, (struct sockaddr *)&address.socket, address.len), 0);
	far_fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	close(listener);
	near = stream_new(near_fd, &address);
	far = stream_new(far_fd, &address);
}

static int setup(void **state)
{
	(void)state;
	loop_open();
	connect_pair();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_close();
	return task_count() == 0 ? 0 : -1;
}

static int ran;

/* Both bodies run to their end. */
static void run(task_fn near_body, task_fn far_body)
{
	ran = 0;
	task_start(far_body, NULL);
	task_start(near_body, NULL);
	loop_run();
	assert_int_equal(ran, 2);
}

static SUSPENDS void expect_text(struct stream *stream, const char *text)
{
	struct failure failure = { .text = "" };
	size_t len = strlen(text);
	while (stream_input(stream).len < len) {
		if (!stream_fill(stream, SOON, &failure)) {
			fail_msg("%s", failure.text);
		}
	}
	assert_memory_equal(stream_input(stream).at, text, len);
	stream_consume(stream, len);
}

static SUSPENDS void send_text(struct stream *stream, const char *text)
{
	assert_true(stream_write(stream, text_of(text), SOON, NULL));
	assert_true(stream_flush(stream, SOON, NULL));
}

static SUSPENDS void expect_failure(struct stream *stream, enum failure_kind kind,
				    const char *words)
{
	struct failure failure;
	assert_false(stream_fill(stream, SOON, &failure));
	if (failure.kind != kind || !strstr(failure.text, words)) {
		fail_msg("%s: %s", failure_kind_name(failure.kind), failure.text);
	}
}

static SUSPENDS void ask_near(void *argument)
{
	(void)argument;
	send_text(near, "ping\r\n");
	expect_text(near, "pong\r\n");
	assert_int_equal(stream_octets_in(near), 6);
	assert_string_equal(stream_tls_text(near), "none");
	stream_close(near);
	ran++;
}

static SUSPENDS void answer_far(void *argument)
{
	(void)argument;
	expect_text(far, "ping\r\n");
	send_text(far, "pong\r\n");
	expect_failure(far, FAILURE_PEER_GONE, "closed");
	stream_close(far);
	ran++;
}

static void test_octets_go_both_ways(void **state)
{
	(void)state;
	run(ask_near, answer_far);
}

static SUSPENDS void send_a_header(void *argument)
{
	(void)argument;
	send_text(near, "header,rest");
	expect_failure(near, FAILURE_PEER_GONE, "closed");
	stream_close(near);
	ran++;
}

/* What is not read stays the socket's: TLS may begin there. */
static SUSPENDS void read_the_header_only(void *argument)
{
	(void)argument;
	while (stream_input(far).len < 7) {
		assert_true(
			stream_fill_at_most(far, 7 - stream_input(far).len, SOON, NULL));
	}
	assert_int_equal(stream_input(far).len, 7);
	expect_text(far, "header,");
	assert_int_equal(stream_octets_in(far), 7);
	expect_text(far, "rest");
	stream_close(far);
	ran++;
}

static void test_no_more_is_read_than_is_asked_for(void **state)
{
	(void)state;
	run(send_a_header, read_the_header_only);
}

static SUSPENDS void rename_far(void *argument)
{
	static const unsigned char four[] = { 192, 0, 2, 7 };
	static const unsigned char six[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 7 };
	char text[ADDRESS_TEXT_MAX];
	struct address peer;
	(void)argument;
	address_from_octets(four, 4, 1234, &peer);
	stream_set_peer(far, &peer);
	address_text(stream_peer(far), text);
	assert_string_equal(text, "192.0.2.7");
	assert_int_equal(address_port(stream_peer(far)), 1234);
	address_from_octets(six, 16, 65535, &peer);
	stream_set_peer(far, &peer);
	address_text(stream_peer(far), text);
	assert_string_equal(text, "2001:db8::7");
	assert_int_equal(address_port(stream_peer(far)), 65535);
	stream_close(far);
	ran++;
}

static SUSPENDS void close_near(void *argument)
{
	(void)argument;
	stream_close(near);
	ran++;
}

static void test_the_peer_is_whom_the_balancer_names(void **state)
{
	(void)state;
	run(close_near, rename_far);
}

#define BULK ((size_t)3 * 1024 * 1024)

static char pattern(size_t at)
{
	return (char)(at * 31 + at / 251);
}

/* Sends BULK octets by turns of write and room. */
static SUSPENDS void send_bulk(struct stream *stream)
{
	struct failure failure;
	char piece[997];
	for (size_t sent = 0; sent < BULK;) {
		char *room = piece;
		size_t size = sizeof(piece);
		bool direct = sent % 2;
		assert_true(!direct || stream_room(stream, &room, &size, SOON, &failure));
		assert_true(size >= 997);
		size = size < BULK - sent ? size : BULK - sent;
		for (size_t i = 0; i < size; i++) {
			room[i] = pattern(sent + i);
		}
		if (direct) {
			stream_wrote(stream, size);
		} else {
			assert_true(stream_write(stream, (struct bytes){ piece, size },
						 SOON, &failure));
		}
		sent += size;
	}
	assert_true(stream_flush(stream, SOON, &failure));
	assert_int_equal(stream_pending(stream), 0);
}

static SUSPENDS void receive_bulk(struct stream *stream)
{
	struct failure failure;
	for (size_t got = 0; got < BULK;) {
		assert_true(stream_fill(stream, SOON, &failure));
		struct bytes input = stream_input(stream);
		bool is_last = got + input.len == BULK;
		size_t take = is_last ? input.len : input.len - input.len % 5;
		for (size_t i = 0; i < take; i++) {
			if (input.at[i] != pattern(got + i)) {
				fail_msg("octet %zu differs", got + i);
			}
		}
		got += take;
		stream_consume(stream, take);
	}
	assert_int_equal(stream_octets_in(stream), BULK);
}

static SUSPENDS void bulk_near(void *argument)
{
	(void)argument;
	send_bulk(near);
	stream_close(near);
	ran++;
}

static SUSPENDS void bulk_far(void *argument)
{
	(void)argument;
	task_sleep_until(loop_deadline_ms(50)); // the sender has to wait
	receive_bulk(far);
	expect_failure(far, FAILURE_PEER_GONE, "closed");
	stream_close(far);
	ran++;
}

static void test_bulk_arrives_whole(void **state)
{
	(void)state;
	run(bulk_near, bulk_far);
}

static SUSPENDS void late_near(void *argument)
{
	struct failure failure;
	(void)argument;
	uint64_t before = loop_now_ms();
	assert_false(stream_fill(near, before + 30, &failure));
	assert_int_equal(failure.kind, FAILURE_TIMEOUT);
	assert_in_range(loop_now_ms() - before, 29, 2000);
	assert_false(stream_fill(near, before + 30, &failure)); // still the same deadline
	assert_int_equal(failure.kind, FAILURE_TIMEOUT);
	stream_close(near);
	ran++;
}

static SUSPENDS void wait_far(void *argument)
{
	(void)argument;
	expect_failure(far, FAILURE_PEER_GONE, "");
	stream_close(far);
	ran++;
}

static void test_a_silent_peer_times_out(void **state)
{
	(void)state;
	run(late_near, wait_far);
}

static SUSPENDS void stuff_near(void *argument)
{
	struct failure failure = { 0 };
	static const char piece[4096];
	(void)argument;
	uint64_t deadline_ms = loop_deadline_ms(100);
	while (stream_write(near, (struct bytes){ piece, sizeof(piece) }, deadline_ms,
			    &failure)) {
	}
	assert_int_equal(failure.kind, FAILURE_TIMEOUT);
	int unsent; // in the kernel, beyond what the peer's window lets out
	if (ioctl(near_fd, SIOCOUTQNSD, &unsent) == 0) {
		assert_in_range(unsent, 1, 256 * 1024);
	} else {
		assert_int_equal(errno,
				 ENOSYS); // an emulator that cannot ask (qemu-user)
	}
	stream_reset(near);
	ran++;
}

static SUSPENDS void deaf_far(void *argument)
{
	struct failure failure = { 0 };
	(void)argument;
	task_sleep_until(loop_deadline_ms(200));
	while (stream_fill(far, SOON, &failure)) {
		stream_consume(far, stream_input(far).len);
	}
	assert_int_equal(failure.kind, FAILURE_PEER_GONE);
	assert_non_null(strstr(failure.text, "reset"));
	stream_close(far);
	ran++;
}

static void test_a_peer_that_takes_nothing_times_out_and_a_reset_is_seen(void **state)
{
	(void)state;
	run(stuff_near, deaf_far);
}

static SUSPENDS void cancelled_near(void *argument)
{
	(void)argument;
	expect_failure(near, FAILURE_CANCELLED, "");
	assert_false(stream_fill(near, SOON, NULL));
	stream_close(near); // closing works all the same
	ran++;
}

static SUSPENDS void cancel_far(void *argument)
{
	(void)argument;
	struct task *task = task_start_child(cancelled_near, NULL);
	task_cancel(task);
	task_join(task);
	stream_close(far);
	ran++;
}

static void test_cancelling_a_task_ends_its_read(void **state)
{
	(void)state;
	ran = 0;
	task_start(cancel_far, NULL);
	loop_run();
	assert_int_equal(ran, 2);
}

static SUSPENDS void flood_near(void *argument)
{
	(void)argument;
	char *room;
	size_t size;
	for (int i = 0; i < 3; i++) {
		assert_true(stream_room(near, &room, &size, SOON, NULL));
		memset(room, 'x', size);
		stream_wrote(near, size);
	}
	assert_true(stream_flush(near, SOON, NULL));
	expect_failure(near, FAILURE_PEER_GONE, "");
	stream_close(near);
	ran++;
}

static SUSPENDS void full_far(void *argument)
{
	struct failure failure;
	(void)argument;
	while (stream_fill(far, SOON, &failure)) {
		assert_true(stream_input(far).len <= 16384);
	}
	assert_int_equal(failure.kind, FAILURE_PROTOCOL);
	assert_int_equal(stream_input(far).len, 16384);
	stream_close(far);
	ran++;
}

static void test_no_more_than_16_kib_are_held(void **state)
{
	(void)state;
	run(flood_near, full_far);
}

static SUSPENDS void quiet_near(void *argument)
{
	(void)argument;
	assert_true(stream_is_quiet(near));
	expect_text(near, "x");
	assert_true(stream_is_quiet(near));
	task_sleep_until(loop_deadline_ms(30));
	assert_false(stream_is_quiet(near)); // "y" has come
	expect_text(near, "y");
	task_sleep_until(loop_deadline_ms(60));
	assert_false(stream_is_quiet(near)); // closed
	stream_close(near);
	ran++;
}

static SUSPENDS void quiet_far(void *argument)
{
	(void)argument;
	task_sleep_until(loop_deadline_ms(5));
	send_text(far, "x");
	task_sleep_until(loop_deadline_ms(15));
	send_text(far, "y");
	task_sleep_until(loop_deadline_ms(40));
	stream_close(far);
	ran++;
}

static void test_quiet_means_nothing_has_arrived(void **state)
{
	(void)state;
	run(quiet_near, quiet_far);
}

/* TLS. near is the client, far the server. */

static SUSPENDS void start_far(void)
{
	struct failure failure = { .text = "" };
	if (!stream_accept_tls(far, server, SOON, &failure)) {
		fail_msg("server: %s", failure.text);
	}
}

static SUSPENDS void start_near(const char *host)
{
	struct failure failure = { .text = "" };
	if (!stream_connect_tls(near, client, host, SOON, &failure)) {
		fail_msg("client: %s", failure.text);
	}
}

static SUSPENDS void tls_ask_near(void *argument)
{
	start_near("host.example");
	assert_true(stream_is_tls(near));
	assert_string_equal(stream_tls_text(near), "TLSv1.3 TLS_AES_256_GCM_SHA384");
	assert_true(stream_is_quiet(near)); // the tickets do not count
	(void)argument;
	send_text(near, "ping\r\n");
	expect_text(near, "pong\r\n");
	stream_close(near);
	ran++;
}

static SUSPENDS void tls_answer_far(void *argument)
{
	start_far();
	answer_far(argument);
}

static void test_tls_carries_a_dialogue(void **state)
{
	(void)state;
	run(tls_ask_near, tls_answer_far);
}

static SUSPENDS void tls_bulk_near(void *argument)
{
	start_near("host.example");
	bulk_near(argument);
}

static SUSPENDS void tls_bulk_far(void *argument)
{
	start_far();
	bulk_far(argument);
}

static void test_tls_carries_bulk_whole(void **state)
{
	(void)state;
	run(tls_bulk_near, tls_bulk_far);
}

static SUSPENDS void tls_quiet_near(void *argument)
{
	start_near("host.example");
	quiet_near(argument);
}

static SUSPENDS void tls_quiet_far(void *argument)
{
	start_far();
	quiet_far(argument);
}

static void test_quiet_means_the_same_under_tls(void **state)
{
	(void)state;
	run(tls_quiet_near, tls_quiet_far);
}

/* FIN without close_notify: what somebody on the way could forge. */
static SUSPENDS void cut_near(void *argument)
{
	(void)argument;
	start_near("host.example");
	send_text(near, "ping");
	shutdown(near_fd, SHUT_WR);
	assert_false(stream_fill(near, SOON, NULL));
	stream_close(near);
	ran++;
}

static SUSPENDS void cut_far(void *argument)
{
	(void)argument;
	start_far();
	expect_text(far, "ping");
	expect_failure(far, FAILURE_PEER_GONE, "without close_notify");
	stream_close(far);
	ran++;
}

static void test_a_cut_is_told_from_an_end(void **state)
{
	(void)state;
	run(cut_near, cut_far);
}

static SUSPENDS void inject_near(void *argument)
{
	(void)argument;
	send_text(near, "STLS\r\nUSER eve\r\n");
	expect_failure(near, FAILURE_PEER_GONE, "");
	stream_close(near);
	ran++;
}

static SUSPENDS void injected_far(void *argument)
{
	struct failure failure;
	(void)argument;
	expect_text(far, "STLS\r\n");
	assert_false(stream_accept_tls(far, server, SOON, &failure));
	assert_int_equal(failure.kind, FAILURE_PROTOCOL);
	assert_non_null(strstr(failure.text, "ahead of TLS"));
	assert_false(stream_is_tls(far));
	stream_close(far);
	ran++;
}

static void test_plaintext_ahead_of_tls_is_refused(void **state)
{
	(void)state;
	run(inject_near, injected_far);
}

static SUSPENDS void unread_near(void *argument)
{
	(void)argument;
	send_text(near, "USER anna\r\nPASS x\r\n");
	while (stream_fill(near, SOON, NULL)) { // an alert, perhaps
	}
	stream_close(near);
	ran++;
}

static SUSPENDS void not_tls_far(void *argument)
{
	struct failure failure;
	(void)argument;
	assert_false(stream_accept_tls(far, server, SOON, &failure));
	assert_int_equal(failure.kind, FAILURE_PROTOCOL);
	assert_non_null(strstr(failure.text, "does not speak TLS on this port"));
	stream_close(far);
	ran++;
}

static void test_a_peer_without_tls_is_named_so(void **state)
{
	(void)state;
	run(unread_near, not_tls_far);
}

static SUSPENDS void silent_handshake_near(void *argument)
{
	struct failure failure;
	(void)argument;
	assert_false(stream_connect_tls(near, client, "host.example",
					loop_deadline_ms(30), &failure));
	assert_int_equal(failure.kind, FAILURE_TIMEOUT);
	assert_non_null(strstr(failure.text, "TLS handshake"));
	stream_close(near);
	ran++;
}

static SUSPENDS void silent_far(void *argument)
{
	(void)argument;
	while (stream_fill(far, SOON, NULL)) {
	}
	stream_close(far);
	ran++;
}

static void test_a_handshake_has_a_deadline(void **state)
{
	(void)state;
	run(silent_handshake_near, silent_far);
}

/* A certificate that is refused: by whom it is called, and what the failure says. */
struct refusal {
	const char *host;
	const char *words;
	struct tls_client *client;
};

static struct refusal refusal;

static SUSPENDS void refuse_near(void *argument)
{
	struct failure failure;
	(void)argument;
	assert_false(
		stream_connect_tls(near, refusal.client, refusal.host, SOON, &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	if (!strstr(failure.text, refusal.words)) {
		fail_msg("%s", failure.text);
	}
	stream_close(near);
	ran++;
}

static SUSPENDS void refused_far(void *argument)
{
	struct failure failure;
	(void)argument;
	/* TLS 1.3: this side may be ready before the other has refused. */
	if (stream_accept_tls(far, server, SOON, &failure)) {
		assert_false(stream_fill(far, SOON, &failure));
	}
	assert_true(failure.kind == FAILURE_PROTOCOL ||
		    failure.kind == FAILURE_PEER_GONE);
	stream_close(far);
	ran++;
}

static struct tls_server *server_with(const char *first, const char *second)
{
	struct failure failure = { .text = "" };
	char paths[4][128];
	const char *leaves[] = { first, second };
	struct tls_certificate certificates[2];
	for (size_t i = 0; i < 2; i++) {
		snprintf(paths[i * 2], 128, "%s.pem", leaves[i]);
		snprintf(paths[i * 2 + 1], 128, "%s.key", leaves[i]);
		certificates[i].certificate = tls_files_path(&files, paths[i * 2]);
		certificates[i].key = tls_files_path(&files, paths[i * 2 + 1]);
	}
	struct tls_server *made = tls_server_new(certificates, 2, TLS_1_2, &failure);
	if (!made) {
		fail_msg("%s", failure.text);
	}
	return made;
}

static struct tls_client *client_with(const char *const *pins, size_t pin_count)
{
	struct failure failure = { .text = "" };
	struct tls_client_settings settings = { .ca_file =
							tls_files_path(&files, "ca.pem"),
						.pins = pins,
						.pin_count = pin_count };
	struct tls_client *made = tls_client_new(&settings, &failure);
	if (!made) {
		fail_msg("%s", failure.text);
	}
	return made;
}

static void expect_refusal(const char *leaf, struct tls_client *by, const char *host,
			   const char *words)
{
	struct tls_server *usual = server;
	server = server_with(leaf, leaf);
	refusal = (struct refusal){ host, words, by };
	run(refuse_near, refused_far);
	tls_server_free(server);
	server = usual;
}

static void test_a_certificate_for_another_host_is_refused(void **state)
{
	(void)state;
	expect_refusal("other", client, "host.example",
		       "not for host.example but for other.example, *.wild.example");
}

static void test_an_expired_certificate_is_refused(void **state)
{
	(void)state;
	expect_refusal("expired", client, "host.example",
		       "host.example does not verify: certificate has expired");
}

static void test_a_name_is_no_address(void **state)
{
	(void)state;
	expect_refusal("host", client, "127.0.0.1",
		       "not for 127.0.0.1 but for host.example");
}

static void test_a_wrong_pin_is_refused(void **state)
{
	(void)state;
	const char *pins[] = { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" };
	struct tls_client *pinned = client_with(pins, 1);
	expect_refusal("host", pinned, "host.example", "not pinned; its pin is ");
	tls_client_free(pinned);
}

static void test_an_unknown_ca_is_refused(void **state)
{
	(void)state;
	struct tls_client_settings settings = { .ca_file = NULL };
	struct tls_client *system_cas = tls_client_new(&settings, NULL);
	assert_non_null(system_cas);
	expect_refusal("host", system_cas, "host.example", "does not verify: ");
	tls_client_free(system_cas);
}

/* A step of both sides, and another one while either has something to do. */
static void shake_hands(SSL *caller, SSL *answerer)
{
	for (int i = 0;
	     i < 10 && SSL_do_handshake(caller) + SSL_do_handshake(answerer) < 2; i++) {
	}
	assert_true(SSL_is_init_finished(caller) && SSL_is_init_finished(answerer));
}

static void test_of_a_verified_chain_only_the_leaf_is_kept(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	SSL *caller = tls_client_session(client, ends[0], "host.example", NULL);
	SSL *answerer = tls_server_session(server, ends[1], NULL);
	shake_hands(caller, answerer);
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(caller)), 2);
	tls_client_drop_chain(caller);
	assert_int_equal(sk_X509_num(SSL_get_peer_cert_chain(caller)), 1);
	assert_int_equal(sk_X509_num(SSL_get0_verified_chain(caller)), 0);
	assert_true(SSL_get0_peer_certificate(caller) ==
		    sk_X509_value(SSL_get_peer_cert_chain(caller), 0));
	assert_int_equal(SSL_get_verify_result(caller), X509_V_OK);
	SSL_free(caller);
	SSL_free(answerer);
	close(ends[0]);
	close(ends[1]);
}

static const char *called;

static SUSPENDS void call_near(void *argument)
{
	(void)argument;
	start_near(called);
	stream_close(near);
	ran++;
}

static SUSPENDS void called_far(void *argument)
{
	(void)argument;
	start_far();
	expect_failure(far, FAILURE_PEER_GONE, "closed");
	stream_close(far);
	ran++;
}

static void test_the_certificate_is_chosen_by_name(void **state)
{
	(void)state;
	called = "a.wild.example"; // the second certificate of the usual server
	run(call_near, called_far);
}

static void test_an_address_can_be_certified(void **state)
{
	(void)state;
	struct tls_server *usual = server;
	server = server_with("address", "host");
	called = "127.0.0.1";
	run(call_near, called_far);
	tls_server_free(server);
	server = usual;
}

static void test_unusable_files_are_named(void **state)
{
	(void)state;
	struct failure failure;
	struct tls_certificate absent = { "nowhere.pem", "nowhere.key" };
	assert_null(tls_server_new(&absent, 1, TLS_1_2, &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_string_equal(failure.text, "nowhere.pem: No such file or directory");

	struct tls_certificate wrong_key = { tls_files_path(&files, "host.pem"),
					     tls_files_path(&files, "other.key") };
	assert_null(tls_server_new(&wrong_key, 1, TLS_1_2, &failure));
	assert_non_null(strstr(failure.text, "does not belong to the certificate in"));

	struct tls_certificate swapped = { tls_files_path(&files, "host.key"),
					   tls_files_path(&files, "host.pem") };
	assert_null(tls_server_new(&swapped, 1, TLS_1_2, &failure));
	assert_non_null(strstr(failure.text, "no certificate in PEM form there"));

	struct tls_client_settings no_ca = { .ca_file = "nowhere.pem" };
	assert_null(tls_client_new(&no_ca, &failure));
	assert_string_equal(failure.text, "nowhere.pem: No such file or directory");
}

static int make_files(void **state)
{
	(void)state;
	tls_files_make(&files);
	server = server_with("host", "other");
	client = client_with(NULL, 0);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	tls_server_free(server);
	tls_client_free(client);
	tls_files_remove(&files);
	return 0;
}

#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_octets_go_both_ways),
		LOOP_TEST(test_no_more_is_read_than_is_asked_for),
		LOOP_TEST(test_the_peer_is_whom_the_balancer_names),
		LOOP_TEST(test_bulk_arrives_whole),
		LOOP_TEST(test_a_silent_peer_times_out),
		LOOP_TEST(test_a_peer_that_takes_nothing_times_out_and_a_reset_is_seen),
		LOOP_TEST(test_cancelling_a_task_ends_its_read),
		LOOP_TEST(test_no_more_than_16_kib_are_held),
		LOOP_TEST(test_quiet_means_nothing_has_arrived),
		LOOP_TEST(test_tls_carries_a_dialogue),
		LOOP_TEST(test_tls_carries_bulk_whole),
		LOOP_TEST(test_quiet_means_the_same_under_tls),
		LOOP_TEST(test_a_cut_is_told_from_an_end),
		LOOP_TEST(test_plaintext_ahead_of_tls_is_refused),
		LOOP_TEST(test_a_peer_without_tls_is_named_so),
		LOOP_TEST(test_a_handshake_has_a_deadline),
		LOOP_TEST(test_a_certificate_for_another_host_is_refused),
		LOOP_TEST(test_an_expired_certificate_is_refused),
		LOOP_TEST(test_a_name_is_no_address),
		LOOP_TEST(test_a_wrong_pin_is_refused),
		LOOP_TEST(test_an_unknown_ca_is_refused),
		LOOP_TEST(test_the_certificate_is_chosen_by_name),
		cmocka_unit_test(test_of_a_verified_chain_only_the_leaf_is_kept),
		LOOP_TEST(test_an_address_can_be_certified),
		cmocka_unit_test(test_unusable_files_are_named),
	};
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
