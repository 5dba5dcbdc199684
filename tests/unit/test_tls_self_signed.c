#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/rt/tls.h"
#include "proxy/rt/tls_self_signed.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char parent[] = "/tmp/popbridge-self-signed-XXXXXX";
static char directory[64];
static char path[128];

static int make_parent(void **state)
{
	(void)state;
	if (!mkdtemp(parent)) {
		return -1;
	}
	snprintf(directory, sizeof directory, "%s/state", parent);
	snprintf(path, sizeof path, "%s/" TLS_SELF_SIGNED_FILE, directory);
	return 0;
}

static int remove_state(void **state)
{
	(void)state;
	unlink(path);
	rmdir(directory);
	return 0;
}

static int remove_parent(void **state)
{
	(void)state;
	return rmdir(parent);
}

static void ensure(void)
{
	struct failure failure;
	if (!tls_self_signed_ensure(directory, &failure)) {
		fail_msg("%s", failure.text);
	}
}

static X509 *kept(void)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	assert_non_null(certificate);
	return certificate;
}

static void test_the_certificate_is_for_this_host_and_ten_years(void **state)
{
	char host[65] = "";
	int days, seconds;
	(void)state;
	gethostname(host, sizeof host - 1);
	ensure();
	X509 *certificate = kept();
	assert_int_equal(X509_check_host(certificate, host, 0,
					 X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL),
			 1);
	assert_int_equal(
		ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)),
		1);
	assert_in_range(days, 3649, 3650);
	assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(certificate)), -1);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(certificate)), 256);
	assert_int_equal(X509_verify(certificate, X509_get0_pubkey(certificate)), 1);
	assert_int_equal(X509_check_ca(certificate), 0);
	X509_free(certificate);
}

static void test_a_listener_can_use_the_file_for_both(void **state)
{
	struct tls_certificate pair = { path, path };
	struct failure failure;
	(void)state;
	ensure();
	struct tls_server *server = tls_server_new(&pair, 1, TLS_1_2, &failure);
	assert_non_null(server);
	tls_server_free(server);
}

static void test_only_the_owner_reads_the_key(void **state)
{
	struct stat status;
	(void)state;
	umask(0);
	ensure();
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(stat(directory, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
}

static void test_the_second_start_keeps_it(void **state)
{
	(void)state;
	ensure();
	X509 *first = kept();
	ensure();
	X509 *second = kept();
	assert_int_equal(X509_cmp(first, second), 0);
	X509_free(first);
	X509_free(second);
}

/* Its end moved into the past; who signed it does not matter here. */
static void age(void)
{
	X509 *certificate = kept();
	X509_gmtime_adj(X509_getm_notAfter(certificate), -1);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	X509_free(certificate);
}

static void test_an_expired_one_is_replaced(void **state)
{
	(void)state;
	ensure();
	age();
	ensure();
	X509 *certificate = kept();
	assert_int_equal(X509_cmp_current_time(X509_get0_notAfter(certificate)), 1);
	X509_free(certificate);
}

static void test_what_is_no_certificate_is_left_alone(void **state)
{
	struct failure failure = { .text = "" };
	struct stat status;
	(void)state;
	assert_int_equal(mkdir(directory, 0700), 0);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("mine\n", file);
	fclose(file);
	assert_false(tls_self_signed_ensure(directory, &failure));
	assert_non_null(strstr(failure.text, "no certificate in PEM form"));
	assert_non_null(failure.advice);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 5);
}

/* Exits 0 where the message names the command; root has to become somebody first. */
static void ensure_as_nobody(void)
{
	struct failure failure = { .text = "" };
	char command[128];
	if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65533) != 0)) {
		_exit(2);
	}
	snprintf(command, sizeof command, "run: chown -R %u:%u %s && chmod -R u+rwX ",
		 (unsigned)geteuid(), (unsigned)getegid(), directory);
	bool said = !tls_self_signed_ensure(directory, &failure) &&
		    failure.kind == FAILURE_PERMANENT && strstr(failure.text, command);
	_exit(said ? 0 : 1);
}

static void assert_nobody_hears_the_command(void)
{
	int status;
	chmod(parent, 0755);
	pid_t child = fork();
	if (child == 0) {
		ensure_as_nobody();
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_a_directory_that_cannot_be_written_names_the_command(void **state)
{
	(void)state;
	assert_int_equal(mkdir(directory, 0555), 0);
	assert_nobody_hears_the_command();
}

/* Of an earlier start as another user. */
static void test_a_file_that_cannot_be_read_names_the_command(void **state)
{
	struct failure failure = { .text = "" };
	char kept[512];
	(void)state;
	assert_true(tls_self_signed_ensure(directory, &failure));
	snprintf(kept, sizeof kept, "%s/" TLS_SELF_SIGNED_FILE, directory);
	assert_int_equal(chmod(kept, 0), 0);
	assert_int_equal(chmod(directory, 0777), 0);
	assert_nobody_hears_the_command();
}

#define CASE(test) cmocka_unit_test_teardown(test, remove_state)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_the_certificate_is_for_this_host_and_ten_years),
		CASE(test_a_listener_can_use_the_file_for_both),
		CASE(test_only_the_owner_reads_the_key),
		CASE(test_the_second_start_keeps_it),
		CASE(test_an_expired_one_is_replaced),
		CASE(test_what_is_no_certificate_is_left_alone),
		CASE(test_a_directory_that_cannot_be_written_names_the_command),
		CASE(test_a_file_that_cannot_be_read_names_the_command),
	};
	return cmocka_run_group_tests(tests, make_parent, remove_parent);
}
