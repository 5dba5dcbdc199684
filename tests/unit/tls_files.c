#include "tests/unit/tls_files.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY 86400L

static const char *const names[] = { "ca.pem",      "host.pem",    "host.key",
				     "other.pem",   "other.key",   "address.pem",
				     "address.key", "expired.pem", "expired.key" };

const char *tls_files_path(const struct tls_files *files, const char *name)
{
	static char paths[4][128];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	int len = snprintf(path, sizeof(paths[0]), "%s/%s", files->directory, name);
	assert(len > 0 && len < (int)sizeof(paths[0]));
	(void)len;
	return path;
}

static FILE *open_file(const struct tls_files *files, const char *leaf,
		       const char *suffix)
{
	char name[32];
	snprintf(name, sizeof(name), "%s.%s", leaf, suffix);
	FILE *file = fopen(tls_files_path(files, name), "w");
	assert(file);
	return file;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

struct identity {
	X509 *certificate;
	EVP_PKEY *key;
};

/* issuer NULL: signs itself. names NULL: a CA. */
static struct identity issue(const char *name, const char *alternatives,
			     const struct identity *issuer, long expires_s)
{
	static long serial;
	struct identity made = { X509_new(), EVP_EC_gen("P-256") };
	const struct identity *signer = issuer ? issuer : &made;
	X509 *certificate = made.certificate;
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * DAY);
	X509_gmtime_adj(X509_getm_notAfter(certificate), expires_s);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(signer->certificate));
	X509_set_pubkey(certificate, made.key);
	add_extension(certificate, signer->certificate, NID_basic_constraints,
		      alternatives ? "critical,CA:FALSE" : "critical,CA:TRUE");
	add_extension(certificate, signer->certificate, NID_subject_key_identifier,
		      "hash");
	if (alternatives) {
		add_extension(certificate, signer->certificate, NID_subject_alt_name,
			      alternatives);
	}
	X509_sign(certificate, signer->key, EVP_sha256());
	return made;
}

static void forget(struct identity *identity)
{
	X509_free(identity->certificate);
	EVP_PKEY_free(identity->key);
}

static void write_leaf(const struct tls_files *files, const char *leaf,
		       const char *alternatives, const struct identity *intermediate,
		       long expires_s)
{
	struct identity made = issue(leaf, alternatives, intermediate, expires_s);
	FILE *chain = open_file(files, leaf, "pem");
	PEM_write_X509(chain, made.certificate);
	PEM_write_X509(chain, intermediate->certificate);
	fclose(chain);
	FILE *key = open_file(files, leaf, "key");
	PEM_write_PrivateKey(key, made.key, NULL, NULL, 0, NULL, NULL);
	fclose(key);
	forget(&made);
}

void tls_files_make(struct tls_files *files)
{
	snprintf(files->directory, sizeof(files->directory),
		 P_tmpdir "/tls-files-XXXXXX");
	char *made = mkdtemp(files->directory);
	assert(made);
	(void)made;
	struct identity ca = issue("Test CA", NULL, NULL, 100 * DAY);
	struct identity intermediate = issue("Test intermediate", NULL, &ca, 100 * DAY);
	FILE *file = open_file(files, "ca", "pem");
	PEM_write_X509(file, ca.certificate);
	fclose(file);
	write_leaf(files, "host", "DNS:host.example", &intermediate, 90 * DAY);
	write_leaf(files, "other", "DNS:other.example,DNS:*.wild.example", &intermediate,
		   90 * DAY);
	write_leaf(files, "address", "IP:127.0.0.1", &intermediate, 90 * DAY);
	write_leaf(files, "expired", "DNS:host.example", &intermediate, -DAY);
	forget(&intermediate);
	forget(&ca);
}

void tls_files_remove(struct tls_files *files)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		unlink(tls_files_path(files, names[i]));
	}
	rmdir(files->directory);
}
