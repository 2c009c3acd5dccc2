/* What a change of a file costs at the least: reads it, writes the same bytes to a new file beside it, syncs
 * that, puts it in its place and syncs the folder.
 *
 * usage: rewrite FILE */
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char** word) {
    if (count != 2) return 2;
    char fresh[4096];
    snprintf(fresh, sizeof fresh, "%s.rewrite", word[1]);
    int old = open(word[1], O_RDONLY);
    struct stat about;
    if (old < 0 || fstat(old, &about) != 0) return 1;
    char* bytes = malloc((size_t)about.st_size);
    if (!bytes || read(old, bytes, (size_t)about.st_size) != about.st_size) return 1;
    int copy = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    if (copy < 0 || write(copy, bytes, (size_t)about.st_size) != about.st_size) return 1;
    if (fsync(copy) != 0 || rename(fresh, word[1]) != 0) return 1;
    int folder = open(dirname(word[1]), O_RDONLY | O_DIRECTORY);
    return folder < 0 || fsync(folder) != 0;
}
