/*
 * The sections tls and listen: what is shown to whom, and who may come how.
 */
#include "proxy/config/config_check.h"

#include "proxy/base/memory.h"
#include "proxy/config/config_values.h"
#include "proxy/rt/tls_self_signed.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tls ---- */

/* One pair; false where there is none to add. */
static bool check_certificate(struct config_check *check, const char *certificate,
			      const char *key, struct tls_certificate *out)
{
	if (certificate == NULL && key == NULL) {
		return false;
	}
	if (key == NULL) {
		config_mistake(check, "key", "is missing: the certificate needs its key");
	}
	if (certificate == NULL) {
		config_mistake(check, "certificate",
			       "is missing: the key needs its certificate");
	}
	out->certificate = config_file(check, "certificate", certificate);
	out->key = config_file(check, "key", key);
	return true;
}

/* One of a list: adds it to the certificates. */
static void add_certificate(struct config_check *check,
			    const struct config_raw_certificate *raw,
			    struct config *config)
{
	if (check_certificate(check, raw->certificate, raw->key,
			      &config->certificates[config->certificate_count])) {
		config->certificate_count++;
	} else {
		config_mistake(check, "", "needs certificate and key");
	}
}

static void check_additional(struct config_check *check, const struct config_raw_tls *raw,
			     struct config *config)
{
	if (raw->additional_count > 0 && config->certificate_count == 0) {
		config_mistake(check, "additional",
			       "is for further ones: the first certificate is "
			       "tls.certificate with tls.key");
	}
	for (unsigned i = 0; i < raw->additional_count; i++) {
		snprintf(check->at, sizeof check->at, "tls.additional[%u]", i);
		add_certificate(check, &raw->additional[i], config);
	}
}

static void check_minimum(struct config_check *check, const char *minimum,
			  struct config *config)
{
	static const char *const versions[] = { [TLS_1_2] = "1.2", [TLS_1_3] = "1.3" };
	if (minimum != NULL &&
	    (strcmp(minimum, "1.0") == 0 || strcmp(minimum, "1.1") == 0)) {
		config_mistake(check, "minimum",
			       "TLS 1.0 and 1.1 are for devices in networks that a "
			       "listener names in legacy-tls-from, not for all");
		return;
	}
	config->minimum_tls = (enum tls_version)config_word(check, "minimum", minimum,
							    versions, 2, TLS_1_2);
}

static void check_tls(struct config_check *check, const struct config_raw_tls *raw,
		      struct config *config)
{
	snprintf(check->at, sizeof check->at, "tls");
	check_minimum(check, raw->minimum, config);
	if (check_certificate(check, raw->certificate, raw->key, config->certificates)) {
		config->certificate_count = 1;
	}
	check_additional(check, raw, config);
}

/* ---- listen ---- */

static void check_listener_address(struct config_check *check, const char *text,
				   struct config_listener *listener)
{
	const char *why;
	if (text == NULL) {
		config_mistake(check, "address", "is missing, as in 0.0.0.0:110");
	} else if (!config_address_parse(bytes_of(text), &listener->address, &why)) {
		config_mistake(check, "address", "%s, not %s", why,
			       config_quote(bytes_of(text)).text);
	}
}

/* Can anybody sign in where there is no TLS? */
static void check_plain_listener(struct config_check *check,
				 const struct config_raw_listener *raw,
				 const struct address *address)
{
	const char *reason = "the address is not loopback";
	if (raw->proxy_from_count > 0) {
		reason = "with proxy-from clients may be anywhere";
	} else if (address_is_loopback(address)) {
		return;
	}
	if (raw->plain_from_count == 0) {
		config_mistake(check, "",
			       "nobody could sign in here: there is no TLS and %s; set "
			       "tls, or name the clients' networks in plain-from",
			       reason);
	}
}

/* Certificates of its own: config->certificates goes on with them. */
static void check_listener_certificates(struct config_check *check,
					const struct config_raw_listener *raw,
					struct config *config,
					struct config_listener *listener)
{
	char at[sizeof check->at];
	memcpy(at, check->at, sizeof at);
	listener->certificate_first = config->certificate_count;
	for (unsigned i = 0; i < raw->certificates_count; i++) {
		snprintf(check->at, sizeof check->at, "%.16s.certificates[%u]", at, i);
		add_certificate(check, &raw->certificates[i], config);
	}
	listener->certificate_count =
		config->certificate_count - listener->certificate_first;
	memcpy(check->at, at, sizeof at);
}

/* What makes no sense where there is no TLS. */
static void check_without_tls(struct config_check *check,
			      const struct config_raw_listener *raw,
			      const struct config_listener *listener)
{
	if (raw->certificates_count > 0) {
		config_mistake(check, "certificates",
			       "is for TLS, and tls is none: set tls to starttls or "
			       "implicit");
	}
	if (raw->legacy_tls_from_count > 0) {
		config_mistake(check, "legacy-tls-from",
			       "is for TLS, and tls is none: set tls to starttls or "
			       "implicit");
	}
	if (listener->address.len > 0) {
		check_plain_listener(check, raw, &listener->address);
	}
}

static void check_listener(struct config_check *check,
			   const struct config_raw_listener *raw, bool has_certificate,
			   struct config *config, struct config_listener *listener)
{
	static const char *const words[] = { "none", "starttls", "implicit" };
	check_listener_address(check, raw->address, listener);
	listener->tls = (enum config_tls)config_word(check, "tls", raw->tls, words, 3,
						     CONFIG_TLS_NONE);
	check_listener_certificates(check, raw, config, listener);
	config_check_networks(check, "plain-from", raw->plain_from, raw->plain_from_count,
			      &listener->plain_from);
	config_check_networks(check, "legacy-tls-from", raw->legacy_tls_from,
			      raw->legacy_tls_from_count, &listener->legacy_tls_from);
	config_check_networks(check, "proxy-from", raw->proxy_from, raw->proxy_from_count,
			      &listener->proxy_from);
	if (listener->tls == CONFIG_TLS_NONE) {
		check_without_tls(check, raw, listener);
	} else if (!has_certificate && raw->certificates_count == 0) {
		config_mistake(check, "tls",
			       "%s needs tls.certificate and tls.key, or certificates of "
			       "its own, which are not set (a self-signed one is made "
			       "where there is `state`)",
			       words[listener->tls]);
	}
}

static bool same_address(const struct address *a, const struct address *b)
{
	char text_a[ADDRESS_TEXT_MAX], text_b[ADDRESS_TEXT_MAX];
	if (a->len == 0 || b->len == 0 || address_port(a) != address_port(b)) {
		return false;
	}
	address_text(a, text_a);
	address_text(b, text_b);
	return strcmp(text_a, text_b) == 0;
}

static void check_listener_twice(struct config_check *check, const struct config *config,
				 size_t index)
{
	const struct address *address = &config->listeners[index].address;
	for (size_t i = 0; i < index; i++) {
		const struct address *earlier = &config->listeners[i].address;
		if (same_address(earlier, address) && address_port(address) != 0) {
			config_mistake(check, "address", "is that of listen[%zu], too",
				       i);
			return;
		}
	}
}

static void default_listener(struct config *config, const char *address,
			     enum config_tls tls)
{
	const char *why;
	struct config_listener *listener = &config->listeners[config->listener_count++];
	config_address_parse(bytes_of(address), &listener->address, &why);
	listener->tls = tls;
}

/* Without `listen`: POP3's own ports where there is a certificate, else only this host.
 */
static void default_listeners(struct config *config)
{
	config->listeners = memory_new_array(2, sizeof *config->listeners);
	if (config->certificate_count == 0) {
		default_listener(config, "127.0.0.1:1110", CONFIG_TLS_NONE);
		return;
	}
	default_listener(config, "0.0.0.0:110", CONFIG_TLS_STARTTLS);
	default_listener(config, "0.0.0.0:995", CONFIG_TLS_IMPLICIT);
}

static void check_listeners(struct config_check *check, const struct config_raw *raw,
			    struct config *config)
{
	if (raw->listen_count == 0) {
		default_listeners(config);
		return;
	}
	const bool has_certificate = config->certificate_count > 0 || config->state;
	config->listeners =
		memory_new_array(raw->listen_count, sizeof *config->listeners);
	for (unsigned i = 0; i < raw->listen_count; i++) {
		snprintf(check->at, sizeof check->at, "listen[%u]", i);
		check_listener(check, &raw->listen[i], has_certificate, config,
			       &config->listeners[i]);
		config->listener_count++;
		check_listener_twice(check, config, i);
	}
}

/* TLS is wanted and none is given: one of our own, made at start, kept in `state`. */
static void add_self_signed(struct config *config)
{
	struct tls_certificate *ours = &config->certificates[config->certificate_count++];
	struct buffer path = { .max = PATH_MAX };
	buffer_printf(&path, "%s/" TLS_SELF_SIGNED_FILE, config->state);
	ours->certificate = memory_copy_text(buffer_bytes(&path));
	ours->key = memory_copy_text(buffer_bytes(&path));
	config->self_signed = true;
	buffer_release(&path);
}

/* Listeners without certificates of their own show the defaults. */
static void share_defaults(struct config *config, size_t default_count)
{
	struct config_listener *listener = config->listeners;
	size_t first = 0;
	for (size_t i = 0; i < config->listener_count; i++, listener++) {
		if (listener->tls == CONFIG_TLS_NONE || listener->certificate_count > 0) {
			continue;
		}
		if (default_count == 0 && config->state != NULL) {
			first = config->certificate_count;
			add_self_signed(config);
			default_count = 1;
		}
		listener->certificate_first = first;
		listener->certificate_count = default_count;
	}
}

void config_check_listen(struct config_check *check, const struct config_raw *raw,
			 struct config *config)
{
	size_t most = 2; // the tls section's first, and our own
	if (raw->tls != NULL) {
		most += raw->tls->additional_count;
	}
	for (unsigned i = 0; i < raw->listen_count; i++) {
		most += raw->listen[i].certificates_count;
	}
	config->certificates = memory_new_array(most, sizeof *config->certificates);
	if (raw->tls != NULL) {
		check_tls(check, raw->tls, config);
	}
	const size_t default_count = config->certificate_count;
	check_listeners(check, raw, config);
	share_defaults(config, default_count);
}
