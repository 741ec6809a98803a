/* OpenSSL 3's EVP_MAC, as far as SQLCipher uses it, in terms of AWS-LC's HMAC: one
 * algorithm, fetched by the name "HMAC", and one parameter, the digest's name. */
#ifndef CONCLAVE_EVP_MAC_H
#define CONCLAVE_EVP_MAC_H

#include <string.h>

#include <openssl/digest.h>

typedef struct {
  const char *key;
  unsigned int data_type;
  const void *data;
  size_t data_size;
  size_t return_size;
} OSSL_PARAM;

#define OSSL_PARAM_UTF8_STRING 4
#define OSSL_PARAM_END { NULL, 0, NULL, 0, 0 }

typedef struct { int unused; } EVP_MAC;
typedef HMAC_CTX EVP_MAC_CTX;

static inline EVP_MAC *EVP_MAC_fetch(void *library, const char *name, const char *properties) {
  static EVP_MAC hmac;
  (void)library;
  (void)properties;
  return strcmp(name, "HMAC") == 0 ? &hmac : NULL;
}

static inline void EVP_MAC_free(EVP_MAC *mac) { (void)mac; }

static inline EVP_MAC_CTX *EVP_MAC_CTX_new(EVP_MAC *mac) {
  (void)mac;
  return HMAC_CTX_new();
}

static inline void EVP_MAC_CTX_free(EVP_MAC_CTX *ctx) { HMAC_CTX_free(ctx); }

static inline int EVP_MAC_init(EVP_MAC_CTX *ctx, const unsigned char *key, size_t key_size,
                               const OSSL_PARAM params[]) {
  const EVP_MD *digest;
  if (params == NULL || params[0].key == NULL || strcmp(params[0].key, "digest") != 0) return 0;
  digest = EVP_get_digestbyname((const char *)params[0].data);
  /* Without one, HMAC_Init_ex would go on with the digest before. */
  return digest != NULL && HMAC_Init_ex(ctx, key, key_size, digest, NULL);
}

static inline int EVP_MAC_update(EVP_MAC_CTX *ctx, const unsigned char *data, size_t size) {
  return HMAC_Update(ctx, data, size);
}

/* Without an output, it says how many bytes there will be. */
static inline int EVP_MAC_final(EVP_MAC_CTX *ctx, unsigned char *out, size_t *size, size_t room) {
  unsigned int written;
  *size = HMAC_size(ctx);
  if (out == NULL) return 1;
  return room >= *size && HMAC_Final(ctx, out, &written);
}

#endif
