/* Versions from C: two writers who do not overwrite each other (check-and-set), an older version, a deletion and its undoing. */
#include "example.h"

int main(void) {
    vault_session_t *root;
    vault_t *vault = vault_in_memory(&root);
    vault_secret_t *secret;
    const char *mine = "{\"password\": \"mine\"}", *theirs = "{\"password\": \"theirs\"}";
    uint64_t first = put(root, "app/db", "{\"password\": \"first\"}", 0); /* 0: only where there is none yet */

    /* Both have read version 1; whoever writes second is told, and reads again before writing. */
    uint64_t second = put(root, "app/db", theirs, (int64_t)first);
    vault_status_t lost = vault_kv_put(root, "secret", "app/db", mine, strlen(mine), (int64_t)first, NULL);
    printf("two writers: one wrote version %llu, the other was told %s\n", (unsigned long long)second, vault_status_name(lost));
    must(vault_kv_get(root, "secret", "app/db", 0, &secret), "reading");
    uint64_t third = put(root, "app/db", mine, (int64_t)vault_secret_version(secret));
    vault_secret_free(secret);

    must(vault_kv_get(root, "secret", "app/db", 1, &secret), "reading version 1");
    printf("version 1 of %llu still has: %s\n", (unsigned long long)third, field(secret, "password"));
    vault_secret_free(secret);

    vault_secret_free(request(root, VAULT_OP_DELETE, "secret/data/app/db", NULL));
    vault_status_t gone = vault_kv_get(root, "secret", "app/db", 0, &secret);
    vault_secret_t *about;
    must(vault_last_error_data(&about), "the error's data");
    printf("deleted: %s, at %s\n", vault_status_name(gone), field(about, "/metadata/deletion_time"));
    vault_secret_free(about);
    vault_secret_free(request(root, VAULT_OP_WRITE, "secret/undelete/app/db", "{\"versions\": [3]}"));
    must(vault_kv_get(root, "secret", "app/db", 0, &secret), "reading what was undeleted");
    printf("undeleted: version %llu\n", (unsigned long long)vault_secret_version(secret));
    vault_secret_free(secret);
    must(vault_session_close(root), "close");
    must(vault_close(vault), "close");
    return 0;
}
