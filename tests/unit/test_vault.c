/*
 * Sealed secrets over restarts of the store: what opens, what must not, and new keys.
 */
#include "proxy/keeper/vault.h"

#include "proxy/keeper/registry.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MASTER "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define OTHER_MASTER "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const struct bytes joe = { "joe refresh 1", 13 };
static const struct bytes ann = { "ann refresh 1", 13 };
static const struct bytes canary = { "CANARY-refresh-token", 20 };

static char folder[256], key_file[300], other_file[300], state[300];
static struct store *store;
static struct vault *vault;
static struct failure failure;

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **unused)
{
	const char *parent = getenv("TMPDIR");

	(void)unused;
	snprintf(folder, sizeof(folder), "%s/popbridge-vault-XXXXXX",
		 parent ? parent : P_tmpdir);
	assert_non_null(mkdtemp(folder));
	snprintf(key_file, sizeof(key_file), "%s/master.key", folder);
	snprintf(other_file, sizeof(other_file), "%s/other.key", folder);
	snprintf(state, sizeof(state), "%s/state", folder);
	write_file(key_file, MASTER "\n");
	write_file(other_file, OTHER_MASTER);
	store = store_open(state, &failure);
	assert_non_null(store);
	vault = vault_open(store, key_file, &failure);
	assert_non_null(vault);
	return 0;
}

static void shut(void)
{
	vault_close(vault);
	store_close(store);
	vault = NULL;
	store = NULL;
}

static int remove_entry(const char *path, const struct stat *info, int type,
			struct FTW *where)
{
	(void)info;
	(void)type;
	(void)where;
	return remove(path);
}

static int tear_down(void **unused)
{
	(void)unused;
	shut();
	return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The service anew. */
static bool reopen(const char *file)
{
	shut();
	store = store_open(state, &failure);
	assert_non_null(store);
	vault = vault_open(store, file, &failure);
	return vault != NULL;
}

static struct buffer sealed(struct bytes context, struct bytes plain)
{
	struct buffer out;

	buffer_init(&out, VAULT_RECORD_MAX);
	vault_seal(vault, context, plain, &out);
	return out;
}

static void assert_opens(struct bytes context, const struct buffer *record,
			 struct bytes plain)
{
	struct secret secret = { 0 };

	assert_true(
		vault_unseal(vault, context, buffer_bytes(record), &secret, &failure));
	assert_true(bytes_equal(secret_bytes(&secret), plain));
	secret_release(&secret);
}

static void test_a_secret_opens_after_a_restart(void **unused)
{
	struct buffer record = sealed(joe, canary);

	(void)unused;
	assert_opens(joe, &record, canary);
	assert_true(reopen(key_file));
	assert_opens(joe, &record, canary);
	buffer_release(&record);
}

static void test_a_record_holds_nothing_readable_and_is_never_the_same(void **unused)
{
	struct buffer one = sealed(joe, canary);
	struct buffer two = sealed(joe, canary);

	(void)unused;
	assert_null(memmem(one.data, one.len, canary.at, canary.len));
	assert_false(bytes_equal(buffer_bytes(&one), buffer_bytes(&two)));
	buffer_release(&one);
	buffer_release(&two);
}

static void test_a_record_opens_only_where_it_belongs(void **unused)
{
	struct buffer record = sealed(joe, canary);
	struct secret secret = { 0 };

	(void)unused;
	assert_false(vault_unseal(vault, ann, buffer_bytes(&record), &secret, &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_int_equal(secret.len, 0);
	buffer_release(&record);
}

static void test_no_changed_octet_goes_unnoticed(void **unused)
{
	struct buffer record = sealed(joe, canary);
	struct secret secret = { 0 };

	(void)unused;
	for (size_t i = 0; i < record.len; i++) {
		record.data[i] ^= 1;
		assert_false(vault_unseal(vault, joe, buffer_bytes(&record), &secret,
					  &failure));
		record.data[i] ^= 1;
	}
	for (size_t len = 0; len < record.len; len++) {
		assert_false(vault_unseal(vault, joe, (struct bytes){ record.data, len },
					  &secret, &failure));
	}
	assert_opens(joe, &record, canary);
	buffer_release(&record);
}

static void test_a_lost_or_wrong_master_key_is_a_clear_error(void **unused)
{
	struct buffer record = sealed(joe, canary);

	(void)unused;
	assert_false(reopen(other_file));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_non_null(strstr(failure.text, "another master-key"));
	assert_false(reopen(NULL));
	assert_non_null(strstr(failure.text, "no master-key"));
	assert_true(reopen(key_file));
	assert_opens(joe, &record, canary);
	buffer_release(&record);
}

static void test_what_is_no_key_is_said(void **unused)
{
	static const char *const bad[] = { "", "AAEC", "no base64 at all!",
					   MASTER MASTER };

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		write_file(other_file, bad[i]);
		assert_false(reopen(other_file));
		assert_non_null(strstr(failure.text, "not 32 octets in base64"));
		assert_non_null(failure.advice);
	}
	assert_false(reopen("/nowhere/key"));
	assert_non_null(strstr(failure.text, "/nowhere/key"));
}

static void test_without_a_key_nothing_can_be_sealed(void **unused)
{
	char bare[400];
	struct store *other;
	struct vault *none;

	(void)unused;
	snprintf(bare, sizeof(bare), "%s/bare", folder);
	other = store_open(bare, &failure);
	assert_non_null(other);
	none = vault_open(other, NULL, &failure);
	assert_non_null(none);
	assert_false(vault_can_seal(none, &failure));
	assert_non_null(strstr(failure.text, "no master-key is configured"));
	vault_close(none);
	store_close(other);
}

static void test_a_rekey_keeps_the_old_records_until_they_are_sealed_anew(void **unused)
{
	struct buffer old = sealed(joe, canary);
	struct secret secret = { 0 };

	(void)unused;
	assert_true(vault_is_current(vault, buffer_bytes(&old)));
	assert_true(vault_rekey(vault, (struct bytes){ 0 }, &failure));
	assert_false(vault_is_current(vault, buffer_bytes(&old)));
	assert_true(reopen(key_file)); // killed in between
	assert_opens(joe, &old, canary);
	struct buffer new = sealed(joe, canary);
	assert_true(vault_is_current(vault, buffer_bytes(&new)));
	assert_true(vault_drop_old_keys(vault));
	assert_opens(joe, &new, canary);
	assert_false(vault_unseal(vault, joe, buffer_bytes(&old), &secret, &failure));
	assert_true(reopen(key_file));
	assert_opens(joe, &new, canary);
	buffer_release(&old);
	buffer_release(&new);
}

static void test_a_new_master_key_replaces_the_old_one(void **unused)
{
	struct buffer record = sealed(joe, canary);

	(void)unused;
	assert_true(vault_rekey(vault, bytes_of(OTHER_MASTER), &failure));
	assert_false(reopen(key_file));
	assert_true(reopen(other_file));
	assert_opens(joe, &record, canary);
	assert_false(vault_rekey(vault, bytes_of("AAEC"), &failure));
	buffer_release(&record);
}

/* ---- what is kept with them ---- */

static struct registered registered_joe(void)
{
	struct registered out = {
		.account = memory_copy_text(bytes_of("joe@example.com")),
		.mailbox = memory_copy_text(bytes_of("office@example.com")),
		.provider = memory_copy_text(bytes_of("office")),
		.kind = REGISTERED_OAUTH,
		.version = 3,
		.consent = CONSENT_GOOD,
		.access_until_s = 1234,
		.created_s = 99,
	};

	buffer_init(&out.secret, REGISTRY_SECRET_MAX);
	buffer_append(&out.secret, bytes_of("sealed"));
	return out;
}

static void save_joe(void)
{
	struct registered out = registered_joe();

	assert_true(registry_save(store, &out));
	registered_release(&out);
}

static void test_an_account_is_there_after_a_restart(void **unused)
{
	struct registered read;

	(void)unused;
	save_joe();
	assert_true(reopen(key_file));
	assert_int_equal(registry_count(store), 1);
	assert_true(registry_find(store, bytes_of("joe@example.com"), &read));
	assert_string_equal(read.mailbox, "office@example.com");
	assert_string_equal(read.signs_in_as, "");
	assert_string_equal(read.provider, "office");
	assert_int_equal(read.kind, REGISTERED_OAUTH);
	assert_int_equal(read.version, 3);
	assert_int_equal(read.access_until_s, 1234);
	assert_int_equal(read.consent, CONSENT_GOOD);
	assert_true(bytes_equal(buffer_bytes(&read.secret), bytes_of("sealed")));
	registered_release(&read);
	assert_false(registry_find(store, bytes_of("ann@example.com"), &read));
}

static void test_a_name_is_looked_up_in_lower_case(void **unused)
{
	struct buffer name;

	(void)unused;
	buffer_init(&name, 64);
	assert_true(registry_canonical(bytes_of("Joe@EXAMPLE.com"), &name));
	assert_true(bytes_equal(buffer_bytes(&name), bytes_of("joe@example.com")));
	buffer_clear(&name);
	assert_false(registry_canonical((struct bytes){ 0 }, &name));
	buffer_release(&name);
}

static void test_accounts_come_in_order_of_their_names(void **unused)
{
	struct registered one = { .account = (char[]){ "b" } };
	struct registered read;

	(void)unused;
	assert_true(registry_save(store, &one));
	one.account = (char[]){ "a" };
	assert_true(registry_save(store, &one));
	assert_true(registry_next(store, bytes_of(""), &read));
	assert_string_equal(read.account, "a");
	registered_release(&read);
	assert_true(registry_next(store, bytes_of("a"), &read));
	assert_string_equal(read.account, "b");
	registered_release(&read);
	assert_false(registry_next(store, bytes_of("b"), &read));
}

static void test_consents_are_counted_and_the_first_to_end_is_named(void **unused)
{
	struct registered one = { .account = (char[]){ "a" },
				  .kind = REGISTERED_OAUTH,
				  .consent = CONSENT_GOOD,
				  .consent_until_s = 500 };
	struct registry_consents now;

	(void)unused;
	registry_count_consents(store, 1000, &now);
	assert_int_equal(now.needed + now.ending + now.first_end_s, 0);
	assert_true(registry_save(store, &one));
	one.account = (char[]){ "b" };
	one.consent_until_s = 400;
	assert_true(registry_save(store, &one));
	one.account = (char[]){ "c" };
	one.consent_until_s = 2000;
	assert_true(registry_save(store, &one));
	one.account = (char[]){ "d" };
	one.consent_until_s = 0;
	assert_true(registry_save(store, &one));
	one.account = (char[]){ "e" };
	one.consent_until_s = 10;
	one.consent = CONSENT_NEEDED;
	assert_true(registry_save(store, &one));
	registry_count_consents(store, 1000, &now);
	assert_int_equal(now.needed, 1);
	assert_int_equal(now.ending, 2);
	assert_int_equal(now.first_end_s, 400);
	assert_string_equal(now.first_account, "b");
}

static void test_many_are_kept_together_or_not_at_all(void **unused)
{
	struct registered one = { .account = (char[]){ "a" } };

	(void)unused;
	assert_true(registry_begin(store));
	assert_true(registry_save(store, &one));
	one.account = (char[]){ "b" };
	assert_true(registry_save(store, &one));
	assert_false(registry_end(store, false));
	assert_int_equal(registry_count(store), 0);
	assert_true(registry_begin(store));
	assert_true(registry_save(store, &one));
	assert_true(registry_end(store, true));
	assert_int_equal(registry_count(store), 1);
}

static void add_device(const char *label)
{
	struct device device = { .label = memory_copy_text(bytes_of(label)),
				 .kind = DEVICE_CHOSEN,
				 .rights = DEVICE_NO_DELETE,
				 .until_s = 77,
				 .created_s = 5 };

	buffer_init(&device.proof, REGISTRY_SECRET_MAX);
	buffer_append(&device.proof, bytes_of("$y$hash"));
	assert_true(device_add(store, bytes_of("joe@example.com"), &device));
	device_release(&device);
}

static void test_devices_are_kept_and_go_with_their_account(void **unused)
{
	const struct bytes account = bytes_of("joe@example.com");
	const unsigned char address[KEEPER_ADDRESS_BYTES] = { 1, 2, 3 };
	struct device read;

	(void)unused;
	save_joe();
	add_device("scanner");
	add_device("fax");
	device_used(store, account, 2, address, 500);
	assert_true(reopen(key_file));
	assert_true(device_next(store, account, 0, &read));
	assert_int_equal(read.id, 1);
	assert_string_equal(read.label, "scanner");
	assert_int_equal(read.last_s, 0);
	device_release(&read);
	assert_true(device_next(store, account, 1, &read));
	assert_string_equal(read.label, "fax");
	assert_int_equal(read.kind, DEVICE_CHOSEN);
	assert_int_equal(read.rights, DEVICE_NO_DELETE);
	assert_int_equal(read.until_s, 77);
	assert_int_equal(read.last_s, 500);
	assert_memory_equal(read.last_address, address, sizeof(address));
	assert_true(bytes_equal(buffer_bytes(&read.proof), bytes_of("$y$hash")));
	device_release(&read);
	assert_true(device_remove(store, account, 1));
	assert_false(device_remove(store, account, 1));
	assert_true(registry_remove(store, account));
	assert_false(device_next(store, account, 0, &read));
	assert_int_equal(registry_count(store), 0);
}

static void test_an_account_has_so_many_devices_and_no_more(void **unused)
{
	struct device one_more = { 0 };

	(void)unused;
	for (int i = 0; i < REGISTRY_DEVICES_MAX; i++) {
		add_device("x");
	}
	assert_false(device_add(store, bytes_of("joe@example.com"), &one_more));
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_a_secret_opens_after_a_restart),
		EACH(test_a_record_holds_nothing_readable_and_is_never_the_same),
		EACH(test_a_record_opens_only_where_it_belongs),
		EACH(test_no_changed_octet_goes_unnoticed),
		EACH(test_a_lost_or_wrong_master_key_is_a_clear_error),
		EACH(test_what_is_no_key_is_said),
		EACH(test_without_a_key_nothing_can_be_sealed),
		EACH(test_a_rekey_keeps_the_old_records_until_they_are_sealed_anew),
		EACH(test_a_new_master_key_replaces_the_old_one),
		EACH(test_an_account_is_there_after_a_restart),
		EACH(test_a_name_is_looked_up_in_lower_case),
		EACH(test_accounts_come_in_order_of_their_names),
		EACH(test_consents_are_counted_and_the_first_to_end_is_named),
		EACH(test_many_are_kept_together_or_not_at_all),
		EACH(test_devices_are_kept_and_go_with_their_account),
		EACH(test_an_account_has_so_many_devices_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
