/* What jwt.c signs is verified here by OpenSSL's own calls, with another reader. */
#include "proxy/oauth/http.h"
#include "proxy/oauth/jwt.h"

#include "protocol/base64.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static EVP_PKEY *key;
static struct buffer key_pem;

static int set_up(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	(void)state;
	key = EVP_RSA_gen(2048);
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	const long len = BIO_get_mem_data(bio, &text);

	buffer_init(&key_pem, 8192);
	buffer_append(&key_pem, (struct bytes){ text, (size_t)len });
	BIO_free(bio);
	return key_pem.len > 0 ? 0 : 1;
}

static int tear_down(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	buffer_release(&key_pem);
	return 0;
}

static struct buffer decoded(struct bytes part)
{
	struct buffer plain, out;

	buffer_init(&plain, part.len + 3);
	buffer_init(&out, 8192);
	buffer_append(&plain, part);
	for (size_t i = 0; i < plain.len; i++) {
		plain.data[i] = plain.data[i] == '-'   ? '+'
				: plain.data[i] == '_' ? '/'
						       : plain.data[i];
	}
	while (plain.len % 4 != 0) {
		buffer_append(&plain, bytes_of("="));
	}
	assert_true(base64_decode(buffer_bytes(&plain), &out));
	buffer_append(&out, (struct bytes){ "", 1 });
	buffer_release(&plain);
	return out;
}

static void test_the_signature_is_good_and_the_claims_are_there(void **state)
{
	const struct jwt_claims claims = { .issuer = "robot@project",
					   .subject = "joe@example.com",
					   .audience = "https://p.example/token",
					   .scope = "mail",
					   .now_s = 1000 };
	struct buffer token;
	struct failure failure;

	(void)state;
	buffer_init(&token, JWT_MAX * 2);
	assert_true(jwt_sign(&claims, buffer_bytes(&key_pem), (struct bytes){ 0 }, &token,
			     &failure));
	const char *first = memchr(token.data, '.', token.len);
	const char *second = memrchr(token.data, '.', token.len);
	assert_true(first < second);
	struct buffer middle =
		decoded((struct bytes){ first + 1, (size_t)(second - first) - 1 });
	assert_non_null(strstr(middle.data, "\"iss\":\"robot@project\""));
	assert_non_null(strstr(middle.data, "\"sub\":\"joe@example.com\""));
	assert_non_null(strstr(middle.data, "\"aud\":\"https://p.example/token\""));
	assert_non_null(strstr(middle.data, "\"scope\":\"mail\""));
	assert_non_null(strstr(middle.data, "\"exp\":1300"));
	assert_non_null(strstr(middle.data, "\"nbf\":940"));
	assert_non_null(strstr(middle.data, "\"iat\":940"));
	struct buffer signature = decoded((struct bytes){
		second + 1, token.len - (size_t)(second - token.data) - 1 });
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(context, (unsigned char *)signature.data,
					  signature.len - 1, (unsigned char *)token.data,
					  (size_t)(second - token.data)),
			 1);
	EVP_MD_CTX_free(context);
	buffer_release(&signature);
	buffer_release(&middle);
	buffer_release(&token);
}

static void test_what_is_no_key_is_said(void **state)
{
	const struct jwt_claims claims = { .issuer = "a", .audience = "b" };
	struct buffer token;
	struct failure failure;

	(void)state;
	buffer_init(&token, JWT_MAX);
	assert_false(jwt_sign(&claims, bytes_of("no key"), (struct bytes){ 0 }, &token,
			      &failure));
	assert_int_equal(failure.kind, FAILURE_PERMANENT);
	assert_non_null(strstr(failure.text, "RSA key"));
	assert_false(jwt_sign(&claims, buffer_bytes(&key_pem), bytes_of("no certificate"),
			      &token, &failure));
	assert_non_null(strstr(failure.text, "certificate"));
	buffer_release(&token);
}

static void test_a_form_escapes_what_it_must(void **state)
{
	struct buffer form;

	(void)state;
	buffer_init(&form, 64);
	assert_true(http_form_add(&form, "a", bytes_of("x y&z=1/\xC3\xA9")));
	assert_true(http_form_add(&form, "b", bytes_of("-._~")));
	assert_int_equal(form.len, strlen("a=x%20y%26z%3D1%2F%C3%A9&b=-._~"));
	assert_memory_equal(form.data, "a=x%20y%26z%3D1%2F%C3%A9&b=-._~", form.len);
	assert_false(http_form_add(&form, "c",
				   bytes_of("0123456789012345678901234567890"
					    "123456789")));
	assert_int_equal(form.len, strlen("a=x%20y%26z%3D1%2F%C3%A9&b=-._~"));
	buffer_release(&form);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_signature_is_good_and_the_claims_are_there),
		cmocka_unit_test(test_what_is_no_key_is_said),
		cmocka_unit_test(test_a_form_escapes_what_it_must),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
