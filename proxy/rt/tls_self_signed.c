/*
 * Read what is there; else make a key, a certificate over it, and a file that appears
 * whole or not at all (written beside, synced, renamed).
 *
 * A file that is there and cannot be understood is never replaced: it may be somebody's
 * own. An expired one is.
 */
#include "proxy/rt/tls_self_signed.h"

#include "proxy/base/directory.h"
#include "proxy/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DAY_S (24L * 60 * 60)
#define VALID_S (3650 * DAY_S)
#define SKEW_S DAY_S // a client's clock may be behind
#define FILE_BESIDE TLS_SELF_SIGNED_FILE ".new"
#define FINGERPRINT_MAX (3 * EVP_MAX_MD_SIZE + 1)

struct place {
	const char *directory; // for messages
	int fd;
};

static bool openssl_failed(struct failure *failure)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return failure_set(failure, FAILURE_PERMANENT, "the self-signed certificate: %s",
			   reason ? reason : "OpenSSL gives no reason");
}

/* ---- what it says ---- */

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	const bool added = extension && X509_add_ext(certificate, extension, -1) == 1;

	X509_EXTENSION_free(extension);
	return added;
}

/* Not by a text for OpenSSL to parse: nobody promises what a host is called. */
static bool add_host(X509 *certificate, const char *host)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool added = false;

	if (names && name && text && ASN1_STRING_set(text, host, -1) == 1) {
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
		text = NULL;
		if (sk_GENERAL_NAME_push(names, name) > 0) {
			name = NULL;
			added = X509_add1_ext_i2d(certificate, NID_subject_alt_name,
						  names, 0, 0) == 1;
		}
	}
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	return added;
}

static bool set_serial(X509 *certificate)
{
	unsigned char octets[8];
	uint64_t serial;

	if (RAND_bytes(octets, sizeof(octets)) != 1) {
		return false;
	}
	memcpy(&serial, octets, sizeof(serial));
	serial = (serial >> 1) | 1; // positive, never 0
	return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1;
}

static bool set_names(X509 *certificate, const char *host)
{
	X509_NAME *name = X509_get_subject_name(certificate);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					  (const unsigned char *)host, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(certificate, name) == 1 &&
	       add_host(certificate, host);
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *host)
{
	return X509_set_version(certificate, X509_VERSION_3) == 1 &&
	       set_serial(certificate) && set_names(certificate, host) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -SKEW_S) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S) &&
	       X509_set_pubkey(certificate, key) == 1 &&
	       add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
	       X509_sign(certificate, key, EVP_sha256()) > 0;
}

/* ---- the file ---- */

static bool write_pem(int fd, EVP_PKEY *key, X509 *certificate)
{
	FILE *file = fdopen(fd, "w");

	if (!file) {
		close(fd);
		return false;
	}
	const bool written =
		PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		PEM_write_X509(file, certificate) == 1 && fflush(file) == 0 &&
		fsync(fd) == 0;

	return fclose(file) == 0 && written;
}

static bool save(struct place place, EVP_PKEY *key, X509 *certificate,
		 struct failure *failure)
{
	int fd;

	unlinkat(place.fd, FILE_BESIDE, 0); // left by a start that was killed
	fd = openat(place.fd, FILE_BESIDE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		return directory_unusable(place.directory, errno, failure);
	}
	if (!write_pem(fd, key, certificate) ||
	    renameat(place.fd, FILE_BESIDE, place.fd, TLS_SELF_SIGNED_FILE) != 0) {
		failure_set(failure, FAILURE_PERMANENT,
			    "%s/" FILE_BESIDE ": cannot be written: %s", place.directory,
			    strerror(errno));
		unlinkat(place.fd, FILE_BESIDE, 0);
		return false;
	}
	return true;
}

static X509 *make(struct place place, struct failure *failure)
{
	char host[HOST_NAME_MAX + 1] = "";
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	bool made = false;

	gethostname(host, sizeof(host) - 1);
	if (!key || !certificate ||
	    !fill(certificate, key, host[0] ? host : "localhost")) {
		openssl_failed(failure);
	} else {
		made = save(place, key, certificate, failure);
	}
	EVP_PKEY_free(key);
	if (!made) {
		X509_free(certificate);
		return NULL;
	}
	return certificate;
}

static X509 *read_pem(int fd)
{
	FILE *file = fdopen(fd, "r");
	X509 *certificate = NULL;

	if (!file) {
		close(fd);
		return NULL;
	}
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	ERR_clear_error();
	return certificate;
}

/* NULL: there is none, or it has expired. False: there is something else. */
static bool read_kept(struct place place, X509 **out, struct failure *failure)
{
	const int fd = openat(place.fd, TLS_SELF_SIGNED_FILE, O_RDONLY | O_CLOEXEC);

	*out = NULL;
	if (fd < 0) {
		return errno == ENOENT ||
		       directory_unusable(place.directory, errno, failure);
	}
	*out = read_pem(fd);
	if (!*out) {
		failure_set(failure, FAILURE_PERMANENT,
			    "%s/" TLS_SELF_SIGNED_FILE ": no certificate in PEM form",
			    place.directory);
		return failure_advise(failure, "remove the file: a new one is made");
	}
	if (X509_cmp_current_time(X509_get0_notAfter(*out)) <= 0) {
		X509_free(*out);
		*out = NULL;
	}
	return true;
}

/* ---- what the log says ---- */

static void format_fingerprint(const X509 *certificate, char out[FINGERPRINT_MAX])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	out[0] = '\0';
	if (X509_digest(certificate, EVP_sha256(), digest, &len) != 1) {
		return;
	}
	for (unsigned i = 0; i < len; i++) {
		snprintf(out + (size_t)3 * i, 4, "%02X%s", digest[i],
			 i + 1 < len ? ":" : "");
	}
}

static void log_certificate(const char *directory, const X509 *certificate, bool made)
{
	char fingerprint[FINGERPRINT_MAX];
	struct log_line line;

	format_fingerprint(certificate, fingerprint);
	if (log_begin(&line, LOG_INFO, "self-signed certificate")) {
		log_string(&line, "directory", directory);
		log_string(&line, "made", made ? "now" : "before");
		log_string(&line, "sha256", fingerprint);
		log_end(&line);
	}
}

static bool ensure_in(struct place place, struct failure *failure)
{
	X509 *certificate;
	bool made = false;

	ERR_clear_error();
	if (!read_kept(place, &certificate, failure)) {
		return false;
	}
	if (!certificate) {
		certificate = make(place, failure);
		made = true;
	}
	if (!certificate) {
		return false;
	}
	log_certificate(place.directory, certificate, made);
	X509_free(certificate);
	return true;
}

bool tls_self_signed_ensure(const char *directory, struct failure *failure)
{
	struct place place = { .directory = directory };
	bool ensured;

	if (!directory_make(directory, failure)) {
		return false;
	}
	place.fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place.fd < 0) {
		return directory_unusable(directory, errno, failure);
	}
	ensured = ensure_in(place, failure);
	close(place.fd);
	return ensured;
}
