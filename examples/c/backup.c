/* Backup and restore from C: a stream that is written while the vault is in use, checked without a key, restored frozen and adopted. */
#include "example.h"

/* A backup in a file; any stream of bytes does. */
static vault_status_t write_to(void *user, const uint8_t *bytes, size_t len) { return fwrite(bytes, 1, len, user) == len ? VAULT_OK : 1; }

static vault_status_t read_from(void *user, uint8_t *out, size_t capacity, size_t *out_len) {
    *out_len = fread(out, 1, capacity, user);
    return ferror((FILE *)user) ? 1 : VAULT_OK;
}

int main(void) {
    vault_session_t *root;
    vault_t *vault = vault_in_memory(&root), *copy;
    put(root, "app/db", "{\"password\": \"pa55-w0rd\"}", VAULT_KV_CAS_NONE);

    /* Tokens are in the backup too: an operator's works in the restored vault. */
    vault_secret_t *made = request(root, VAULT_OP_WRITE, "auth/token/create", "{\"policies\": [\"root\"]}");
    const char *token = field(made, "/auth/client_token");
    FILE *file = tmpfile();
    if (file == NULL) {
        return perror("tmpfile"), 1;
    }
    vault_secret_t *info, *secret;
    must(vault_backup(root, write_to, file, NULL, &info), "backup");
    printf("backed up: %s records, %s bytes\n", field(info, "records"), field(info, "bytes"));
    vault_secret_free(info);
    rewind(file);
    must(vault_backup_verify(read_from, file, NULL), "verify");
    printf("whole: neither cut nor altered, as anybody can check\n");

    /* The key of the backup's slots is that of the vault. */
    vault_options_t options;
    vault_options_init(&options);
    options.key_kind = VAULT_KEY_PASSPHRASE;
    options.key = "correct horse battery staple";
    options.key_len = strlen(options.key);
    rewind(file);
    must(vault_restore(&options, read_from, file, &copy), "restore");
    vault_session_t *restored = session_under(copy, token);
    vault_status_t frozen = vault_kv_put(restored, "secret", "app/db", "{}", 2, VAULT_KV_CAS_NONE, NULL);
    printf("restored: writing answers %s until it is adopted\n", vault_status_name(frozen));
    vault_secret_free(request(restored, VAULT_OP_WRITE, "sys/storage/adopt", NULL));
    must(vault_kv_get(restored, "secret", "app/db", 0, &secret), "reading");
    printf("adopted: the password of %zu characters is there\n", strlen(field(secret, "password")));
    vault_secret_free(secret);
    vault_secret_free(made);
    must(vault_session_close(restored), "close");
    must(vault_close(copy), "close");
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");
    return fclose(file) != 0 || frozen != VAULT_ERR_FROZEN;
}
