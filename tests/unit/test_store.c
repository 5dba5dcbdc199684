#include "proxy/keeper/store.h"
#include "proxy/keeper/store_schema.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_S ((uint64_t)1800000000)
#define ADA bytes_of("ada@example.com")

static char directory[64];
static const unsigned char address[KEEPER_ADDRESS_BYTES] = { 0x20, 0x01, [15] = 1 };

static int setup(void **state)
{
	(void)state;
	// Not below the build: another user may have no way there.
	snprintf(directory, sizeof(directory), "%s/store-test-XXXXXX", P_tmpdir);
	return mkdtemp(directory) ? 0 : -1;
}

/* A path in the directory: static, until the next call. */
static const char *in_directory(const char *name)
{
	static char path[128];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int teardown(void **state)
{
	static const char *const names[] = { "popbridge.db", "popbridge.db-wal",
					     "popbridge.db-shm", "popbridge.lock",
					     "popbridge.db.version-1" };
	(void)state;
	chmod(directory, 0700);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		unlink(in_directory(names[i]));
	}
	return rmdir(directory);
}

static struct store *open_or_fail(const char *where)
{
	struct failure failure = { .text = "" };
	struct store *store = store_open(where, &failure);
	if (!store) {
		print_error("%s\n", failure.text);
	}
	assert_non_null(store);
	return store;
}

static void assert_refused(const char *text, const char *advice)
{
	struct failure failure = { .text = "" };
	assert_null(store_open(directory, &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	if (!strstr(failure.text, text)) {
		print_error("instead of '%s': %s\n", text, failure.text);
	}
	assert_non_null(strstr(failure.text, text));
	assert_true(!advice || (failure.advice && strstr(failure.advice, advice)));
}

static void note_a_day(struct store *store)
{
	store_note_sign_in(store, ADA, address, KEEPER_WRONG, NOW_S);
	store_note_sign_in(store, ADA, address, KEEPER_WRONG, NOW_S + 1);
	store_note_sign_in(store, ADA, address, KEEPER_RIGHT, NOW_S + 2);
	store_note_known(store, ADA, address, NOW_S + 2);
	store_note_ended(store, ADA, &(struct store_session){ .retrieved = 12 },
			 NOW_S + 3);
	store_note_sign_in(store, ADA, address, KEEPER_NO_ANSWER, NOW_S + 4);
	store_note_ended(store, ADA,
			 &(struct store_session){ .retrieved = 3, .lost_dele = 2 },
			 NOW_S + 5);
	store_note_suspect(store, ADA, NOW_S + 6);
}

static void assert_the_day_is_known(struct store *store)
{
	struct store_account account;
	assert_true(store_account(store, ADA, &account));
	assert_int_equal(account.last_s, NOW_S + 6);
	assert_int_equal(account.last_right_s, NOW_S + 2);
	assert_int_equal(account.last_wrong_s, NOW_S + 1);
	assert_int_equal(account.last_outcome, KEEPER_NO_ANSWER);
	assert_memory_equal(account.last_address, address, sizeof(address));
	assert_int_equal(account.right, 1);
	assert_int_equal(account.wrong, 2);
	assert_int_equal(account.no_answer, 1);
	assert_int_equal(account.wrong_since_right, 0);
	assert_int_equal(account.sessions, 2);
	assert_int_equal(account.retrieved, 15);
	assert_int_equal(account.lost_dele, 1);
	assert_int_equal(account.last_lost_dele_s, NOW_S + 5);
	assert_int_equal(account.suspect, 1);
	assert_true(store_is_known(store, ADA, address));
}

static void test_without_a_directory_it_works_in_memory(void **state)
{
	(void)state;
	struct store *store = open_or_fail(NULL);
	note_a_day(store);
	assert_the_day_is_known(store);
	assert_true(store_commit(store));
	assert_the_day_is_known(store);
	store_close(store);
}

static void test_what_was_in_memory_goes_on_in_another(void **state)
{
	(void)state;
	unsigned char first[THROTTLE_KEY_BYTES];
	unsigned char again[THROTTLE_KEY_BYTES];
	struct failure failure;
	struct store *store = open_or_fail(NULL);
	note_a_day(store);
	store_key(store, "throttle key", first);
	assert_true(store_commit(store));
	const int copy = store_copy(store);
	assert_true(copy >= 0);
	store_close(store);
	store = store_open_memory(copy, &failure);
	close(copy);
	assert_non_null(store);
	assert_the_day_is_known(store);
	store_key(store, "throttle key", again);
	assert_memory_equal(first, again, sizeof(first));
	for (uint64_t i = 0; i < 500; i++) { // and it has room to grow
		note_a_day(store);
	}
	assert_true(store_commit(store));
	store_close(store);
}

static void test_a_copy_that_is_none_is_refused(void **state)
{
	(void)state;
	struct failure failure;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_null(store_open_memory(ends[0], &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	close(ends[0]);
	close(ends[1]);
}

static void test_what_was_noted_is_there_when_opened_again(void **state)
{
	(void)state;
	unsigned char first[THROTTLE_KEY_BYTES];
	unsigned char again[THROTTLE_KEY_BYTES];
	struct store *store = open_or_fail(directory);
	note_a_day(store);
	store_key(store, "throttle key", first);
	store_close(store);
	store = open_or_fail(directory);
	assert_the_day_is_known(store);
	store_key(store, "throttle key", again);
	assert_memory_equal(first, again, sizeof(first));
	store_close(store);
}

static void test_an_account_is_known_only_where_it_was(void **state)
{
	(void)state;
	const unsigned char other[KEEPER_ADDRESS_BYTES] = { 0x20, 0x01, [15] = 2 };
	struct store *store = open_or_fail(NULL);
	store_note_known(store, ADA, address, NOW_S);
	assert_true(store_is_known(store, ADA, address));
	assert_false(store_is_known(store, ADA, other));
	assert_false(store_is_known(store, bytes_of("bob"), address));
	assert_false(store_is_known(store, bytes_of(""), address));
	store_close(store);
}

static void test_only_the_latest_addresses_of_an_account_are_kept(void **state)
{
	(void)state;
	struct store *store = open_or_fail(NULL);
	unsigned char block[KEEPER_ADDRESS_BYTES] = { 0x20 };
	for (unsigned i = 0; i < STORE_KNOWN_MAX + 5; i++) {
		block[7] = (unsigned char)i;
		store_note_known(store, ADA, block, NOW_S + i);
	}
	block[7] = 4;
	assert_false(store_is_known(store, ADA, block));
	block[7] = 5;
	assert_true(store_is_known(store, ADA, block));
	store_close(store);
}

static void test_accounts_are_walked_in_order(void **state)
{
	(void)state;
	struct store *store = open_or_fail(NULL);
	struct store_account account;
	struct buffer name;
	char story[64] = "";
	buffer_init(&name, KEEPER_TEXT_MAX);
	store_note_sign_in(store, bytes_of("c"), address, KEEPER_RIGHT, NOW_S);
	store_note_sign_in(store, bytes_of("a"), address, KEEPER_RIGHT, NOW_S);
	store_note_sign_in(store, bytes_of("b"), address, KEEPER_WRONG, NOW_S);
	while (strlen(story) < 8 &&
	       store_next_account(store, buffer_bytes(&name), &name, &account)) {
		assert_int_equal(account.right + account.wrong, 1);
		strncat(story, name.data, name.len);
	}
	assert_string_equal(story, "abc");
	buffer_release(&name);
	store_close(store);
}

static void test_unused_records_expire_after_90_days(void **state)
{
	(void)state;
	struct store_account account;
	struct store *store = open_or_fail(NULL);
	note_a_day(store);
	store_note_sign_in(store, bytes_of("bob"), address, KEEPER_RIGHT, NOW_S + 3600);
	store_expire(store, NOW_S + STORE_KEPT_S);
	assert_the_day_is_known(store);
	store_expire(store, NOW_S + STORE_KEPT_S + 60);
	assert_false(store_account(store, ADA, &account));
	assert_false(store_is_known(store, ADA, address));
	assert_true(store_account(store, bytes_of("bob"), &account));
	store_close(store);
}

static bool file_contains(const char *path, const char *text)
{
	static char content[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t len;
	bool found = false;
	while (fd >= 0 && (len = read(fd, content, sizeof(content))) > 0) {
		found = found || memmem(content, (size_t)len, text, strlen(text));
	}
	close(fd);
	return found;
}

static void test_forgetting_leaves_nothing_on_the_disk(void **state)
{
	(void)state;
	struct store_forgotten forgotten[STORE_FORGOTTEN];
	struct store_account account;
	struct store *store = open_or_fail(directory);
	note_a_day(store);
	store_note_sign_in(store, bytes_of("bob"), address, KEEPER_RIGHT, NOW_S);
	assert_true(store_commit(store));
	assert_true(file_contains(in_directory("popbridge.db-wal"), "ada@example"));
	assert_true(store_forget(store, ADA, forgotten));
	assert_false(store_account(store, ADA, &account));
	assert_false(store_is_known(store, ADA, address));
	assert_true(store_account(store, bytes_of("bob"), &account));
	assert_false(file_contains(in_directory("popbridge.db-wal"), "ada@example"));
	assert_false(file_contains(in_directory("popbridge.db"), "ada@example"));
	store_close(store);
}

static void test_invented_names_do_not_fill_the_store(void **state)
{
	(void)state;
	struct store_account account;
	struct store *store = open_or_fail(NULL);
	char name[16];
	for (int i = 0; i < STORE_FAILING_MAX; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		store_note_sign_in(store, bytes_of(name), address, KEEPER_WRONG, NOW_S);
	}
	assert_true(store_account(store, bytes_of(name), &account));
	store_note_sign_in(store, bytes_of("x"), address, KEEPER_WRONG, NOW_S);
	assert_false(store_account(store, bytes_of("x"), &account));
	store_note_sign_in(store, bytes_of(name), address, KEEPER_WRONG, NOW_S);
	assert_true(store_account(store, bytes_of(name), &account));
	assert_int_equal(account.wrong, 2);
	store_note_sign_in(store, bytes_of("x"), address, KEEPER_RIGHT, NOW_S);
	assert_true(store_account(store, bytes_of("x"), &account));
	store_close(store);
}

static void test_the_throttle_comes_back_faded(void **state)
{
	(void)state;
	const unsigned char key[THROTTLE_KEY_BYTES] = { 1 };
	struct throttle_record record = { .place = { 1, 2, 3 }, .failures = 8 };
	struct throttle *throttle = throttle_new(2000, 15000, 64, key);
	struct store *store = open_or_fail(directory);
	size_t cursor = 0;
	store_save_place(store, &record, NOW_S);
	store_close(store);
	store = open_or_fail(directory);
	store_restore_places(store, throttle, NOW_S + THROTTLE_HALVED_MS / 1000, 5000);
	assert_false(throttle_next_changed(throttle, &cursor, 5000, &record));
	store_restore_places(store, throttle, NOW_S + 36000, 5000); // long forgotten
	store_expire(store, NOW_S + 36000);
	store_close(store);
	throttle_free(throttle);
}

/* In a child process: the exit status. */
static int in_child(void (*body)(void))
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void test_a_second_instance_is_refused(void **state)
{
	(void)state;
	char process[64];
	struct store *store = open_or_fail(directory);
	snprintf(process, sizeof(process), "another popbridge (process %d) uses",
		 (int)getpid());
	assert_refused(process, "state directory of its own");
	store_close(store);
	store_close(open_or_fail(directory));
}

/* Exits 0 where the message names the command; root has to become somebody first. */
static void open_as_nobody(void)
{
	struct failure failure = { .text = "" };
	if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0)) {
		_exit(2);
	}
	struct store *store = store_open(directory, &failure);
	bool said = !store && failure.kind == FAILURE_PERMANENT &&
		    strstr(failure.text, "run: chown -R 65534:65534 ") &&
		    strstr(failure.text, directory);
	_exit(said ? 0 : 1);
}

static void test_a_directory_that_cannot_be_written_names_the_command(void **state)
{
	(void)state;
	chmod(directory, 0555);
	assert_int_equal(in_child(open_as_nobody), 0);
}

static void open_written_by_another(void)
{
	struct failure failure = { .text = "" };
	chmod(directory, 0777);
	chmod(in_directory("popbridge.lock"), 0666);
	chmod(in_directory("popbridge.db"), 0444);
	if (geteuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0)) {
		_exit(2);
	}
	_exit(!store_open(directory, &failure) && strstr(failure.text, "run: chown ")
		      ? 0
		      : 1);
}

static void test_a_file_of_another_user_names_the_command(void **state)
{
	(void)state;
	store_close(open_or_fail(directory));
	assert_int_equal(in_child(open_written_by_another), 0);
}

static void overwrite(const char *name, off_t at, const char *text)
{
	int fd = open(in_directory(name), O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
	close(fd);
}

static void test_what_is_no_database_is_refused(void **state)
{
	(void)state;
	overwrite("popbridge.db", 0, "Dear diary, this is not a database at all, sorry.");
	assert_refused("not a database", "it is damaged");
}

static void test_a_damaged_store_is_refused(void **state)
{
	(void)state;
	struct store *store = open_or_fail(directory);
	char name[32];
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "user%d@example.com", i);
		store_note_sign_in(store, bytes_of(name), address, KEEPER_RIGHT, NOW_S);
	}
	store_close(store);
	for (off_t page = 2; page < 40; page++) {
		overwrite("popbridge.db", page * 4096,
			  "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	}
	assert_refused("cannot be used", "it is damaged");
}

static void run_sql(const char *sql)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(in_directory("popbridge.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_a_newer_schema_is_refused(void **state)
{
	(void)state;
	store_close(open_or_fail(directory));
	run_sql("INSERT INTO schema VALUES(4711, 0)");
	assert_refused("version 4711", "newer popbridge");
}

static void test_a_database_of_another_program_is_refused(void **state)
{
	(void)state;
	run_sql("CREATE TABLE recipes(name)");
	assert_refused("not one of popbridge's", NULL);
}

#define FIRST_STEP                                                                       \
	"CREATE TABLE schema(version INTEGER PRIMARY KEY, applied_s INTEGER NOT NULL);"  \
	"CREATE TABLE pets(name); INSERT INTO pets VALUES('Rex');"

static const char *const steps[] = {
	FIRST_STEP,
	"ALTER TABLE pets ADD COLUMN legs NOT NULL DEFAULT 4;",
	"ALTER TABLE pets ADD COLUMN tail; SELECT no_such_function();",
};

static bool bring(sqlite3 *db, size_t count)
{
	const struct store_schema schema = { steps, count };
	struct failure failure = { .text = "" };
	return store_schema_bring(db, in_directory("popbridge.db"), &schema, &failure);
}

static bool works(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static void test_an_old_schema_is_copied_and_brought_forward(void **state)
{
	(void)state;
	sqlite3 *db = NULL;
	sqlite3 *copy = NULL;
	assert_int_equal(sqlite3_open(in_directory("popbridge.db"), &db), SQLITE_OK);
	assert_true(bring(db, 1));
	assert_int_not_equal(access(in_directory("popbridge.db.version-1"), F_OK), 0);
	assert_false(works(db, "SELECT legs FROM pets"));
	assert_true(bring(db, 2));
	assert_true(works(db, "SELECT legs FROM pets"));
	assert_true(bring(db, 2)); // nothing to do
	assert_int_equal(sqlite3_open(in_directory("popbridge.db.version-1"), &copy),
			 SQLITE_OK);
	assert_true(works(copy, "SELECT name FROM pets"));
	assert_false(works(copy, "SELECT legs FROM pets"));
	sqlite3_close(copy);
	sqlite3_close(db);
}

static void test_a_migration_that_fails_changes_nothing(void **state)
{
	(void)state;
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(in_directory("popbridge.db"), &db), SQLITE_OK);
	assert_true(bring(db, 1));
	assert_false(bring(db, 3));
	assert_true(works(db, "SELECT legs FROM pets")); // step 2 is done
	assert_false(works(db, "SELECT tail FROM pets"));
	assert_false(bring(db, 1)); // and says so
	sqlite3_close(db);
	unlink(in_directory("popbridge.db.version-2"));
}

/* Writes as fast as it can, telling when it has begun, until it is killed. */
static void write_for_ever(int fd)
{
	struct failure failure;
	struct store *store = store_open(directory, &failure);
	char name[32];
	if (!store) {
		_exit(1);
	}
	for (unsigned i = 0;; i++) {
		snprintf(name, sizeof(name), "user%u", i % 3000);
		store_note_sign_in(store, bytes_of(name), address, KEEPER_RIGHT, NOW_S);
		if (i % 50 == 0) {
			store_commit(store);
			if (write(fd, "x", 1) != 1) {
				_exit(1);
			}
		}
	}
}

/* Lets it commit some more times, a different number each round. */
static void kill_a_writer(int round)
{
	int ends[2];
	char octet;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(ends[0]);
		write_for_ever(ends[1]);
	}
	close(ends[1]);
	for (int i = 0; i < 3 + 7 * round; i++) {
		assert_int_equal(read(ends[0], &octet, 1), 1);
	}
	usleep((useconds_t)(97 * round)); // any moment will do
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(ends[0]);
}

static void test_a_writer_killed_at_any_moment_leaves_a_whole_store(void **state)
{
	(void)state;
	for (int round = 0; round < 15; round++) {
		struct store_account account;
		kill_a_writer(round);
		struct store *store = open_or_fail(directory); // checks every page
		assert_true(store_account(store, bytes_of("user0"), &account));
		assert_true(account.right > 0);
		store_close(store);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_without_a_directory_it_works_in_memory),
		TEST(test_what_was_in_memory_goes_on_in_another),
		TEST(test_a_copy_that_is_none_is_refused),
		TEST(test_what_was_noted_is_there_when_opened_again),
		TEST(test_an_account_is_known_only_where_it_was),
		TEST(test_only_the_latest_addresses_of_an_account_are_kept),
		TEST(test_accounts_are_walked_in_order),
		TEST(test_unused_records_expire_after_90_days),
		TEST(test_forgetting_leaves_nothing_on_the_disk),
		TEST(test_invented_names_do_not_fill_the_store),
		TEST(test_the_throttle_comes_back_faded),
		TEST(test_a_second_instance_is_refused),
		TEST(test_a_directory_that_cannot_be_written_names_the_command),
		TEST(test_a_file_of_another_user_names_the_command),
		TEST(test_what_is_no_database_is_refused),
		TEST(test_a_damaged_store_is_refused),
		TEST(test_a_newer_schema_is_refused),
		TEST(test_a_database_of_another_program_is_refused),
		TEST(test_an_old_schema_is_copied_and_brought_forward),
		TEST(test_a_migration_that_fails_changes_nothing),
		TEST(test_a_writer_killed_at_any_moment_leaves_a_whole_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
