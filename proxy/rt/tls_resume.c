#include "proxy/rt/tls_resume.h"

#include "proxy/base/memory.h"
#include "proxy/rt/task.h"

#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_MS (60 * 60 * 1000)

/* The name or address that the peer's certificate has to carry. To be freed. */
static char *expected_host(SSL *ssl)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const char *name = X509_VERIFY_PARAM_get0_host(param, 0);
	char *address;
	char *host;

	if (name) {
		return memory_copy_text(bytes_of(name));
	}
	address = X509_VERIFY_PARAM_get1_ip_asc(param);
	host = address ? memory_copy_text(bytes_of(address)) : NULL;
	OPENSSL_free(address);
	return host;
}

static void drop(struct tls_kept_session *kept)
{
	SSL_SESSION_free(kept->session);
	free(kept->host);
	*kept = (struct tls_kept_session){ 0 };
}

/* A free place, or the oldest. */
static struct tls_kept_session *place(struct tls_resume *resume)
{
	struct tls_kept_session *oldest = &resume->kept[0];

	for (size_t i = 0; i < TLS_RESUME_KEPT; i++) {
		if (!resume->kept[i].session) {
			return &resume->kept[i];
		}
		if (resume->kept[i].since_ms < oldest->since_ms) {
			oldest = &resume->kept[i];
		}
	}
	drop(oldest);
	return oldest;
}

/* OpenSSL's callback. 1: the reference is ours now. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_resume *resume = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct tls_kept_session *kept;
	char *host;

	if (SSL_get_verify_result(ssl) != X509_V_OK ||
	    !SSL_SESSION_is_resumable(session)) {
		return 0;
	}
	host = expected_host(ssl);
	if (!host) {
		return 0;
	}
	kept = place(resume);
	*kept = (struct tls_kept_session){ session, host, loop_now_ms() };
	return 1;
}

static bool is_usable(const struct tls_kept_session *kept, const char *host)
{
	return kept->session && strcmp(kept->host, host) == 0 &&
	       loop_now_ms() - kept->since_ms < KEEP_MS &&
	       SSL_SESSION_is_resumable(kept->session);
}

void tls_resume_offer(struct tls_resume *resume, SSL *ssl)
{
	char *host = expected_host(ssl);
	struct tls_kept_session *newest = NULL;

	for (size_t i = 0; host && i < TLS_RESUME_KEPT; i++) {
		struct tls_kept_session *kept = &resume->kept[i];

		if (is_usable(kept, host) &&
		    (!newest || kept->since_ms >= newest->since_ms)) {
			newest = kept;
		}
	}
	free(host);
	if (newest && SSL_set_session(ssl, newest->session) == 1 &&
	    SSL_SESSION_get_protocol_version(newest->session) >= TLS1_3_VERSION) {
		drop(newest); // RFC 8446 C.4: a ticket is for one connection
	}
}

void tls_resume_setup(struct tls_resume *resume, SSL_CTX *context)
{
	SSL_CTX_set_app_data(context, resume);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
							SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, on_new_session);
}

void tls_resume_release(struct tls_resume *resume)
{
	for (size_t i = 0; i < TLS_RESUME_KEPT; i++) {
		drop(&resume->kept[i]);
	}
}
