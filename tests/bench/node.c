/* SPDX-License-Identifier: MIT */
/* The requests that `blockhost-libvirt guests` makes of a Proxmox node, by libcurl alone over one connection,
 * with the public key pinned: both lists and the token's privileges. Prints how many bytes came.
 *
 * usage: node ORIGIN NODE TOKEN-FILE PIN      PIN as curl's --pinnedpubkey takes it
 */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static size_t count(char* bytes, size_t size, size_t n, void* sum) {
    (void)bytes;
    *(size_t*)sum += size * n;
    return size * n;
}

int main(int argc, char** argv) {
    char token[512] = "", header[600], url[512];
    const char* paths[] = {"/nodes/%s/qemu", "/nodes/%s/lxc", "/access/permissions"};
    size_t sum = 0;
    if (argc != 5) return 2;
    FILE* file = fopen(argv[3], "r");
    if (file == NULL || fgets(token, sizeof token, file) == NULL) return 2;
    fclose(file);
    token[strcspn(token, "\n")] = '\0';
    snprintf(header, sizeof header, "Authorization: PVEAPIToken=%s", token);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL* easy = curl_easy_init();
    struct curl_slist* headers = curl_slist_append(NULL, header);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, argv[4]);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &sum);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i) {
        size_t begun = (size_t)snprintf(url, sizeof url, "%s/api2/json", argv[1]);
        snprintf(url + begun, sizeof url - begun, paths[i], argv[2]);
        curl_easy_setopt(easy, CURLOPT_URL, url);
        CURLcode code = curl_easy_perform(easy);
        if (code != CURLE_OK) {
            fprintf(stderr, "%s: %s\n", url, curl_easy_strerror(code));
            return 1;
        }
    }
    printf("%zu bytes\n", sum);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return 0;
}
