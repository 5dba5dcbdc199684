#include "proxy/cli/environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VALUE_MAX 2048
#define NAME_OCTETS 64
#define DEFAULT_STATE "/var/lib/popbridge"
#define PREFIX "POPBRIDGE_"

static const char *const names[] = { "POPBRIDGE_UPSTREAM",   "POPBRIDGE_UPSTREAM_FILE",
				     "POPBRIDGE_PLAIN_FROM", "POPBRIDGE_PLAIN_FROM_FILE",
				     "POPBRIDGE_STATE",      "POPBRIDGE_STATE_FILE" };
#define NAMES (sizeof(names) / sizeof(names[0]))

static bool is_set(const char *name, const char *suffix)
{
	char whole[NAME_OCTETS];
	const char *value;

	snprintf(whole, sizeof(whole), "%s%s", name, suffix);
	value = getenv(whole);
	return value && *value;
}

static bool too_long(const char *name, struct failure *failure)
{
	return failure_set(failure, FAILURE_PERMANENT, "%s: is longer than %d octets",
			   name, VALUE_MAX - 2);
}

static bool read_first_line(const char *name, const char *path, char out[VALUE_MAX],
			    struct failure *failure)
{
	FILE *file = fopen(path, "re");

	if (!file) {
		return failure_set(failure, FAILURE_PERMANENT, "%s_FILE: %s: %s", name,
				   path, strerror(errno));
	}
	const bool read = fgets(out, VALUE_MAX, file) != NULL;

	fclose(file);
	if (read && strlen(out) == VALUE_MAX - 1) {
		return too_long(name, failure);
	}
	out[read ? strcspn(out, "\r\n") : 0] = '\0';
	return out[0] || failure_set(failure, FAILURE_PERMANENT,
				     "%s_FILE: %s: its first line is empty", name, path);
}

/* The value of NAME or of the file NAME_FILE names; empty where neither is set. */
static bool take(const char *name, char out[VALUE_MAX], struct failure *failure)
{
	char file_name[NAME_OCTETS];
	const char *value = getenv(name);
	int len;

	*out = '\0';
	snprintf(file_name, sizeof(file_name), "%s_FILE", name);
	if (is_set(name, "") && is_set(name, "_FILE")) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "both %s and %s are set: one of them", name,
				   file_name);
	}
	if (is_set(name, "_FILE")) {
		return read_first_line(name, getenv(file_name), out, failure);
	}
	len = snprintf(out, VALUE_MAX, "%s", value ? value : "");
	return (len >= 0 && len < VALUE_MAX - 1) || too_long(name, failure);
}

/* In double quotes, where only the quote and the backslash mean something. */
static bool put_quoted(struct buffer *out, const char *name, struct bytes value,
		       struct failure *failure)
{
	buffer_printf(out, "\"");
	for (size_t i = 0; i < value.len; i++) {
		const unsigned char octet = (unsigned char)value.at[i];

		if (octet < 0x20 || octet == 0x7F) {
			return failure_set(failure, FAILURE_PERMANENT,
					   "%s: has a line break or another control "
					   "character",
					   name);
		}
		buffer_printf(out, octet == '"' || octet == '\\' ? "\\%c" : "%c", octet);
	}
	return buffer_printf(out, "\"");
}

/* Networks stand between commas or spaces. */
static bool put_networks(struct buffer *out, const char *name, const char *list,
			 struct failure *failure)
{
	static const char between[] = ", ";
	const char *comma = "";

	buffer_printf(out, "    plain-from: [");
	for (list += strspn(list, between); *list; list += strspn(list, between)) {
		const struct bytes network = { list, strcspn(list, between) };

		buffer_printf(out, "%s", comma);
		if (!put_quoted(out, name, network, failure)) {
			return false;
		}
		comma = ", ";
		list += network.len;
	}
	return buffer_printf(out, "]\n");
}

/* Without IPv6 in the kernel [::] cannot be bound, and that is no reason not to start. */
static bool has_ipv6(void)
{
	const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static bool put_listeners(struct buffer *out, const char *networks,
			  struct failure *failure)
{
	static const char *const hosts[] = { "0.0.0.0", "[::]" };
	const size_t count = has_ipv6() ? 2 : 1;

	buffer_printf(out, "listen:\n");
	for (size_t i = 0; i < count; i++) {
		buffer_printf(out, "  - address: \"%s:1110\"\n    tls: starttls\n",
			      hosts[i]);
		if (!put_networks(out, "POPBRIDGE_PLAIN_FROM", networks, failure)) {
			return false;
		}
		buffer_printf(out, "  - address: \"%s:1995\"\n    tls: implicit\n",
			      hosts[i]);
	}
	return true;
}

const char *environment_given(void)
{
	for (size_t i = 0; i < NAMES; i++) {
		if (is_set(names[i], "")) {
			return names[i];
		}
	}
	return NULL;
}

static bool is_known(struct bytes name)
{
	for (size_t i = 0; i < NAMES; i++) {
		if (bytes_equal(name, bytes_of(names[i]))) {
			return true;
		}
	}
	return false;
}

/* As in POPBRIDGE_SERVICE_HOST=10.1.2.3, POPBRIDGE_PORT_1110_TCP_ADDR=10.1.2.3 and
 * POPBRIDGE_PORT=tcp://10.1.2.3:1110. */
static bool is_service_link(const char *variable)
{
	const char *port = strstr(variable, "_PORT");

	if (strstr(variable, "_SERVICE_HOST=") || strstr(variable, "_SERVICE_PORT")) {
		return true;
	}
	if (!port) {
		return false;
	}
	port += strlen("_PORT");
	return (port[0] == '_' && isdigit((unsigned char)port[1])) ||
	       (port[0] == '=' && strstr(port, "://"));
}

bool environment_has_only_known_names(struct failure *failure)
{
	for (char **variable = environ; variable && *variable; variable++) {
		const struct bytes name = { *variable, strcspn(*variable, "=") };

		if (strncmp(*variable, PREFIX, strlen(PREFIX)) == 0 && !is_known(name) &&
		    !is_service_link(*variable)) {
			return failure_set(
				failure, FAILURE_PERMANENT,
				"%.*s is no variable of popbridge: there are "
				"POPBRIDGE_UPSTREAM, POPBRIDGE_PLAIN_FROM and "
				"POPBRIDGE_STATE, each also with _FILE behind "
				"it; all else goes into a configuration file",
				(int)(name.len < NAME_OCTETS ? name.len : NAME_OCTETS),
				name.at);
		}
	}
	return true;
}

static bool put_setting(struct buffer *out, const char *key, const char *name,
			const char *value, struct failure *failure)
{
	buffer_printf(out, "%s", key);
	return put_quoted(out, name, bytes_of(value), failure) &&
	       buffer_printf(out, "\n");
}

bool environment_yaml(struct buffer *out, struct failure *failure)
{
	char value[VALUE_MAX];

	if (!take("POPBRIDGE_PLAIN_FROM", value, failure) ||
	    !put_listeners(out, value, failure) ||
	    !take("POPBRIDGE_STATE", value, failure) ||
	    !put_setting(out, "state: ", "POPBRIDGE_STATE",
			 *value ? value : DEFAULT_STATE, failure) ||
	    !take("POPBRIDGE_UPSTREAM", value, failure)) {
		return false;
	}
	if (!*value) {
		return failure_set(failure, FAILURE_PERMANENT,
				   "POPBRIDGE_UPSTREAM is not set: it names the IMAP "
				   "server, as in imaps://imap.example.com");
	}
	buffer_printf(out, "web:\n  address: \"%s:9110\"\n",
		      has_ipv6() ? "[::]" : "0.0.0.0");
	buffer_printf(out, "routes:\n  - match: \"*\"\n");
	return put_setting(out, "    server: ", "POPBRIDGE_UPSTREAM", value, failure);
}
