#include "proxy/oauth/jwt.h"

#include "protocol/base64.h"
#include "proxy/base/memory.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LIFE_S 300
#define EARLIER_S 60       // begun before: the provider's clock may be behind
#define SIGNATURE_MAX 1024 // RSA of 8192 bits

/* Steals the object. */
static bool append_json(json_t *object, struct buffer *out)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	const bool done = text && base64_encode_url(bytes_of(text), out);

	free(text);
	json_decref(object);
	return done;
}

static X509 *read_certificate(struct bytes pem)
{
	BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return certificate;
}

static bool append_header(struct bytes certificate_pem, struct buffer *out,
			  struct failure *failure)
{
	json_t *header = json_pack("{s:s, s:s}", "alg", "RS256", "typ", "JWT");
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;
	struct buffer thumbprint;

	if (certificate_pem.len > 0) {
		X509 *certificate = read_certificate(certificate_pem);

		if (!certificate ||
		    !X509_digest(certificate, EVP_sha256(), digest, &len)) {
			X509_free(certificate);
			json_decref(header);
			return failure_set(failure, FAILURE_PERMANENT,
					   "the client's certificate is not a PEM "
					   "certificate");
		}
		X509_free(certificate);
		buffer_init(&thumbprint, 2 * sizeof(digest));
		base64_encode_url((struct bytes){ (const char *)digest, len },
				  &thumbprint);
		json_object_set_new(header, "x5t#S256",
				    json_stringn(thumbprint.data, thumbprint.len));
		buffer_release(&thumbprint);
	}
	return append_json(header, out) ||
	       failure_set(failure, FAILURE_PERMANENT, "the assertion is too long");
}

static bool append_claims(const struct jwt_claims *claims, struct buffer *out,
			  struct failure *failure)
{
	unsigned char random[16];
	struct buffer id;
	json_t *object =
		json_pack("{s:s, s:s, s:I, s:I, s:I}", "iss", claims->issuer, "aud",
			  claims->audience, "iat", (json_int_t)claims->now_s - EARLIER_S,
			  "nbf", (json_int_t)claims->now_s - EARLIER_S, "exp",
			  (json_int_t)claims->now_s + LIFE_S);

	if (!object || getrandom(random, sizeof(random), 0) != sizeof(random)) {
		json_decref(object);
		return failure_set(failure, FAILURE_PERMANENT,
				   "the assertion's texts are not UTF-8");
	}
	buffer_init(&id, 2 * sizeof(random));
	base64_encode_url((struct bytes){ (const char *)random, sizeof(random) }, &id);
	json_object_set_new(object, "jti", json_stringn(id.data, id.len));
	buffer_release(&id);
	if (claims->subject) {
		json_object_set_new(object, "sub", json_string(claims->subject));
	}
	if (claims->scope) {
		json_object_set_new(object, "scope", json_string(claims->scope));
	}
	return append_json(object, out) ||
	       failure_set(failure, FAILURE_PERMANENT, "the assertion is too long");
}

static EVP_PKEY *read_key(struct bytes pem)
{
	BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);
	char no_passphrase[] = "";
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_passphrase);

	BIO_free(bio);
	if (key && EVP_PKEY_base_id(key) != EVP_PKEY_RSA) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

static bool append_signature(struct bytes signed_text, struct bytes key_pem,
			     struct buffer *out)
{
	EVP_PKEY *key = read_key(key_pem);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[SIGNATURE_MAX];
	size_t len = sizeof(signature);
	const bool done =
		key && context &&
		EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestSign(context, signature, &len,
			       (const unsigned char *)signed_text.at,
			       signed_text.len) == 1 &&
		buffer_append(out, bytes_of(".")) &&
		base64_encode_url((struct bytes){ (const char *)signature, len }, out);

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return done;
}

bool jwt_sign(const struct jwt_claims *claims, struct bytes key_pem,
	      struct bytes certificate_pem, struct buffer *out, struct failure *failure)
{
	struct buffer text; // appending to out may move what is signed
	bool done;

	buffer_init(&text, JWT_MAX);
	done = append_header(certificate_pem, &text, failure) &&
	       (buffer_append(&text, bytes_of(".")) ||
		failure_set(failure, FAILURE_PERMANENT, "the assertion is too long")) &&
	       append_claims(claims, &text, failure);
	if (done && !(buffer_append(out, buffer_bytes(&text)) &&
		      append_signature(buffer_bytes(&text), key_pem, out))) {
		done = failure_set(failure, FAILURE_PERMANENT,
				   "the key that signs the assertion is not an RSA key "
				   "in PEM without a passphrase");
	}
	buffer_release(&text);
	return done;
}
