/*
 * From OpenSSL's error queue to a sentence an operator understands.
 */
#include "proxy/rt/tls_session.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

struct explanation {
	int reason; // SSL_R_...
	enum tls_trouble trouble;
	enum failure_kind kind;
	const char *text; // continues "the peer ..."
	const char *advice;
};

#define NOT_TLS                                                                          \
	TLS_TROUBLE_NO_TLS, FAILURE_PROTOCOL, "does not speak TLS on this port",         \
		"check the port, and whether TLS starts at once or by a command there"
#define NO_VERSION                                                                       \
	TLS_TROUBLE_VERSION, FAILURE_PROTOCOL,                                           \
		"and this side have no TLS version in common",                           \
		"the older side has to be brought to TLS 1.2"
#define NO_CIPHER                                                                        \
	TLS_TROUBLE_CIPHER, FAILURE_PROTOCOL, "and this side have no cipher in common",  \
		NULL
#define NO_SIGNATURE                                                                     \
	TLS_TROUBLE_CIPHER, FAILURE_PROTOCOL,                                            \
		"and this side have no signature algorithm in common", NULL

static const struct explanation explanations[] = {
	{ SSL_R_WRONG_VERSION_NUMBER, NOT_TLS },
	{ SSL_R_HTTP_REQUEST, NOT_TLS },
	{ SSL_R_HTTPS_PROXY_REQUEST, NOT_TLS },
	{ SSL_R_UNKNOWN_PROTOCOL, NOT_TLS },
	{ SSL_R_PACKET_LENGTH_TOO_LONG, NOT_TLS },
	{ SSL_R_RECORD_LENGTH_MISMATCH, NOT_TLS },
	{ SSL_R_UNSUPPORTED_PROTOCOL, NO_VERSION },
	{ SSL_R_NO_PROTOCOLS_AVAILABLE, NO_VERSION },
	{ SSL_R_VERSION_TOO_LOW, NO_VERSION },
	{ SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, NO_VERSION },
	{ SSL_R_NO_SHARED_CIPHER, NO_CIPHER },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, NO_SIGNATURE },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, NO_SIGNATURE },
	{ SSL_R_NO_APPLICATION_PROTOCOL, TLS_TROUBLE_OTHER, FAILURE_PROTOCOL,
	  "asks by ALPN for another protocol than pop3", NULL },
	{ SSL_R_DH_KEY_TOO_SMALL, TLS_TROUBLE_OTHER, FAILURE_PROTOCOL,
	  "uses a Diffie-Hellman key that is too short", NULL },
	{ SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_TROUBLE_LEFT, FAILURE_PEER_GONE,
	  "cut the connection", NULL },
};

static const struct explanation *explain(unsigned long error)
{
	for (size_t i = 0; i < sizeof(explanations) / sizeof(*explanations); i++) {
		if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
		    explanations[i].reason == ERR_GET_REASON(error)) {
			return &explanations[i];
		}
	}
	return NULL;
}

/* "a.example, b.example": who the certificate is for, as far as there is room. */
static void name_owners(X509 *leaf, char *out, size_t size)
{
	size_t len = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	int count = names ? sk_GENERAL_NAME_num(names) : 0;
	out[0] = '\0';
	for (int i = 0; i < count; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS) {
			continue;
		}
		int more = snprintf(out + len, size - len, "%s%.*s", len > 0 ? ", " : "",
				    ASN1_STRING_length(name->d.dNSName),
				    (const char *)ASN1_STRING_get0_data(name->d.dNSName));
		if (more < 0 || (size_t)more >= size - len) {
			out[len] = '\0'; // no half names
			break;
		}
		len += (size_t)more;
	}
	GENERAL_NAMES_free(names);
}

static bool wrong_name(SSL *ssl, const char *host, struct failure *failure)
{
	char owners[128] = "";
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl); // set though it was refused
	if (chain && sk_X509_num(chain) > 0) {
		name_owners(sk_X509_value(chain, 0), owners, sizeof(owners));
	}
	return failure_set(failure, FAILURE_PERMANENT,
			   "the server's certificate is not for %s%s%s", host,
			   owners[0] ? " but for " : "", owners);
}

static bool certificate_failure(SSL *ssl, const char *host, struct failure *failure)
{
	long result = SSL_get_verify_result(ssl);
	if (result == X509_V_ERR_HOSTNAME_MISMATCH ||
	    result == X509_V_ERR_IP_ADDRESS_MISMATCH) {
		return wrong_name(ssl, host, failure);
	}
	failure_set(failure, FAILURE_PERMANENT,
		    "the certificate of %s does not verify: %s", host,
		    X509_verify_cert_error_string(result));
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return failure_advise(failure,
				      "renew the certificate on the server, or set "
				      "this machine's clock right");
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return failure_advise(failure,
				      "give the CA that signed it as ca-file, or make "
				      "the server send its whole chain");
	default:
		return false;
	}
}

/* An alert is the peer's own reason; OpenSSL numbers them from SSL_AD_REASON_OFFSET. */
static bool is_alert(unsigned long error)
{
	int reason = ERR_GET_REASON(error);
	return ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
	       reason < SSL_AD_REASON_OFFSET + 256;
}

static bool other_failure(unsigned long error, struct failure *failure)
{
	if (is_alert(error)) {
		int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
		return failure_set(failure, FAILURE_PROTOCOL, "the peer gave up TLS: %s",
				   SSL_alert_desc_string_long(alert));
	}
	const char *reason = ERR_reason_error_string(error);
	return failure_set(failure, FAILURE_PROTOCOL, "TLS: %s",
			   reason ? reason : "no reason given");
}

static bool socket_failure(int socket_error, struct failure *failure)
{
	return failure_set(failure, FAILURE_PEER_GONE, "the connection is lost: %s",
			   socket_error ? strerror(socket_error) : "closed by the peer");
}

bool tls_session_failure(SSL *ssl, int result, int socket_error, struct failure *failure)
{
	unsigned long error = ERR_peek_error();
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_ZERO_RETURN:
		return failure_set(failure, FAILURE_PEER_GONE,
				   "the peer closed the connection");
	case SSL_ERROR_SYSCALL:
		return socket_failure(socket_error, failure);
	default:
		break;
	}
	if (ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		return failure_set(failure, FAILURE_PEER_GONE,
				   "the peer cut the connection without close_notify");
	}
	return other_failure(error, failure);
}

bool tls_handshake_failure(SSL *ssl, int result, int socket_error, const char *host,
			   struct failure *failure)
{
	unsigned long error = ERR_peek_error();
	const struct explanation *explanation = explain(error);
	if (host && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		return certificate_failure(ssl, host, failure);
	}
	if (explanation) {
		failure_set(failure, explanation->kind, "TLS handshake: the peer %s",
			    explanation->text);
		return failure_advise(failure, explanation->advice);
	}
	tls_session_failure(ssl, result, socket_error, failure);
	return failure_prefix(failure, "TLS handshake");
}

/* Alerts about our certificate (RFC 8446 6.2): from bad_certificate to unknown_ca. */
static bool is_distrust(unsigned long error)
{
	const int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;

	return is_alert(error) && ((alert >= SSL_AD_BAD_CERTIFICATE &&
				    alert <= SSL_AD_CERTIFICATE_UNKNOWN) ||
				   alert == SSL_AD_UNKNOWN_CA);
}

enum tls_trouble tls_handshake_trouble(void)
{
	const unsigned long error = ERR_peek_error();
	const struct explanation *explanation = explain(error);

	if (explanation) {
		return explanation->trouble;
	}
	if (is_distrust(error)) {
		return TLS_TROUBLE_DISTRUST;
	}
	return error == 0 ? TLS_TROUBLE_LEFT : TLS_TROUBLE_OTHER;
}
