#include "proxy/rt/local.h"

#include "proxy/rt/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/popbridge-local-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	loop_open();
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	if (!mkdtemp(folder)) {
		return -1;
	}
	snprintf(path, sizeof(path), "%s/control", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	rmdir(folder);
	loop_close();
	return 0;
}

/* Somebody else's socket of another kind under the name; listening, or left behind. */
static int other_socket(bool listens)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listens) {
		assert_int_equal(listen(fd, 1), 0);
	}
	return fd;
}

static SUSPENDS void refused(void *argument)
{
	struct failure failure;
	struct stat there;

	(void)argument;
	assert_null(local_listen(path, &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_non_null(strstr(failure.text, path));
	assert_int_equal(stat(path, &there), 0);
}

static void test_a_socket_that_another_program_serves_stays(void **state)
{
	const int other = other_socket(true);

	(void)state;
	task_start(refused, NULL);
	loop_run();
	close(other);
}

static void test_a_file_that_is_no_socket_stays(void **state)
{
	FILE *file = fopen(path, "we");

	(void)state;
	assert_non_null(file);
	fclose(file);
	task_start(refused, NULL);
	loop_run();
}

static SUSPENDS void replaced(void *argument)
{
	struct failure failure;
	struct local_listener *listener = local_listen(path, &failure);
	struct stat there;

	(void)argument;
	assert_non_null(listener);
	assert_int_equal(stat(path, &there), 0);
	assert_int_equal(there.st_mode & 0777, 0600);
	local_close(listener);
	assert_int_not_equal(stat(path, &there), 0);
}

static void test_a_socket_that_was_left_behind_is_replaced(void **state)
{
	(void)state;
	close(other_socket(true));
	task_start(replaced, NULL);
	loop_run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_socket_that_another_program_serves_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_that_is_no_socket_stays,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_socket_that_was_left_behind_is_replaced, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
