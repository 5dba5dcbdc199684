/*
 * What the tests of the configuration share: a folder of their own with one readable
 * file, and "this text is a configuration", "this text is refused with that message".
 */
#ifndef TESTS_UNIT_CONFIG_FIXTURE_H
#define TESTS_UNIT_CONFIG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/config/config_raw.h"
#include "proxy/config/config_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTE "routes:\n  - match: \"*\"\n    server: imaps://imap.example.com\n"
#define PIN "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* ---- a folder of our own for files ---- */

static char folder[256];
static char pem[512]; // a file that can be read

static inline const char *in_folder(const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static inline void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline int make_folder(void **state)
{
	const char *parent = getenv("TMPDIR");
	(void)state;
	snprintf(folder, sizeof folder, "%s/popbridge-config-XXXXXX",
		 parent != NULL ? parent : P_tmpdir);
	if (mkdtemp(folder) == NULL) {
		return -1;
	}
	snprintf(pem, sizeof pem, "%s", in_folder("some.pem"));
	write_file(pem, "a certificate\n");
	return 0;
}

static inline int remove_folder(void **state)
{
	(void)state;
	unlink(in_folder("some.pem"));
	unlink(in_folder("popbridge.yaml"));
	return rmdir(folder);
}

/* ---- what the tests say ---- */

/* A configuration without mistakes, or the test fails with the messages. */
static inline struct config *accepted(const char *yaml)
{
	struct config_errors errors;
	struct config *config = config_parse(bytes_of(yaml), "f.yaml", &errors);
	if (errors.count > 0) {
		fail_msg("refused: %.*s", (int)errors.text.len, errors.text.data);
	}
	config_errors_release(&errors);
	assert_non_null(config);
	return config;
}

static inline void good(const char *yaml)
{
	config_free(accepted(yaml));
}

static inline bool contains(struct bytes text, const char *part)
{
	return text.len > 0 && memmem(text.at, text.len, part, strlen(part)) != NULL;
}

/* Refused with exactly this many messages, among whose text is the part. */
static inline void refused_with(const char *yaml, size_t count, const char *part)
{
	struct config_errors errors;
	struct config *config = config_parse(bytes_of(yaml), "f.yaml", &errors);
	assert_null(config);
	if (errors.count != count || !contains(buffer_bytes(&errors.text), part)) {
		fail_msg("wanted %zu with <%s>, got %zu: %.*s", count, part, errors.count,
			 (int)errors.text.len, errors.text.data);
	}
	config_errors_release(&errors);
}

static inline void refused(const char *yaml, const char *part)
{
	refused_with(yaml, 1, part);
}

/* A text by printf rules, good until the next call (the ..._refused() below call it). */
static inline const char *printed(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

static inline const char *printed(const char *format, ...)
{
	static char text[2048];
	va_list arguments;
	va_start(arguments, format);
	int len = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	assert_in_range(len, 0, sizeof text - 1);
	return text;
}

/* One more setting in the route. */
static inline void route_refused(const char *setting, const char *part)
{
	refused(printed(ROUTE "    %s\n", setting), part);
}

static inline void route_accepted(const char *setting)
{
	good(printed(ROUTE "    %s\n", setting));
}

static inline void server_refused(const char *url, const char *part)
{
	refused(printed("routes: [{match: a, server: \"%s\"}]\n", url), part);
}

static inline void limit_refused(const char *setting, const char *part)
{
	refused(printed(ROUTE "limits:\n  %s\n", setting), part);
}

static inline void listen_refused(const char *entry, const char *part)
{
	refused(printed(ROUTE "listen:\n  - {%s}\n", entry), part);
}

#endif
