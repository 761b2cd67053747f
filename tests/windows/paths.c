/*
 * paths LIST MODEL: opens the model by each path in a file, one a line in UTF-8, and by the same path with the other
 * kind of slash; the names, and the last argument, must be those of a model that opens.
 */
#include "../c/fixture.h"

static void opens(const char *path) {
    vxs_error *error = NULL;
    vxs_model *model = NULL;
    const vxs_status status = vxs_model_open(path, NULL, &model, &error);
    printf("%u bytes: %s\n", (unsigned)strlen(path), error ? vxs_error_message(error) : vxs_model_name(model));
    CHECK(status == VXS_OK);
    vxs_model_free(model);
}

int main(int argc, char **argv) {
    argv = utf8_arguments(argc, argv);
    CHECK(argc == 3);
    opens(argv[2]);
    char path[4096];
    unsigned count = 0;
    FILE *list = fopen(argv[1], "rb");
    CHECK(list);
    while (fgets(path, sizeof path, list)) {
        path[strcspn(path, "\r\n")] = '\0';
        opens(path);
        for (char *at = path; *at; at++) {
            *at = *at == '/' ? '\\' : *at == '\\' ? '/' : *at;
        }
        opens(path);
        count++;
    }
    fclose(list);
    CHECK(count > 0);
    /* What isn't there is named as it was given. */
    vxs_error *error = NULL;
    CHECK(open_and_free("no\\such\\model", NULL, &error) != VXS_OK);
    CHECK(strstr(vxs_error_message(error), "no\\such\\model") && !strstr(vxs_error_message(error), "\\\\?\\"));
    vxs_error_free(error);
    return 0;
}
