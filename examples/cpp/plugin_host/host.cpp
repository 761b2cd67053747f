// A host that knows nothing of voxseg: plugin_host ONNXRUNTIME MODEL CT.mhd PLUGIN_A PLUGIN_B
//
// It has an ONNX Runtime of its own, of another version than voxseg's, with an environment that lives all the while. It
// loads two plug-ins that link libvoxseg, lets both segment at once, unloads them, loads the first again and again, and
// asks that all runs gave the same labels.

#include "plugin.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>

#include "../metaimage.hpp"

/** A shared library, loaded as long as this lives, that lends its names to nobody. */
class Library {
public:
    explicit Library(const std::string &path) : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        if (!handle_) {
            throw std::runtime_error(dlerror());
        }
    }
    Library(const Library &) = delete;
    Library &operator=(const Library &) = delete;
    ~Library() { dlclose(handle_); }

    template <class Function> Function *function(const char *name) const {
        void *found = dlsym(handle_, name);
        return found ? reinterpret_cast<Function *>(found) : throw std::runtime_error(dlerror());
    }

private:
    void *handle_;
};

/** The first functions of ONNX Runtime's table, whose order never changes (onnxruntime_c_api.h). */
struct OrtApi {
    void *create_status, *error_code, *error_message;
    void *(*create_env)(int level, const char *name, void **env);
};
struct OrtApiBase {
    const OrtApi *(*api)(std::uint32_t version);
    const char *(*version)();
};

static std::vector<std::uint8_t> run(const Library &plugin, const char *model, const Image &image) {
    std::vector<std::uint8_t> labels(image.voxels.size());
    char message[1024] = "";
    if (plugin.function<plugin_segment>("segment")(model, image.voxels.data(), image.shape.data(),
                                                   image.spacing.data(), image.origin.data(), labels.data(),
                                                   message, sizeof message) != 0) {
        throw std::runtime_error(message);
    }
    return labels;
}

int main(int argc, char **argv) try {
    if (argc != 6) {
        std::cerr << "usage: plugin_host ONNXRUNTIME MODEL CT.mhd PLUGIN_A PLUGIN_B\n";
        return 1;
    }
    const Library own(argv[1]);
    const auto *base = own.function<const OrtApiBase *()>("OrtGetApiBase")();
    void *environment = nullptr;
    if (base->api(1)->create_env(2, "host", &environment) != nullptr || !environment) {
        throw std::runtime_error("the host's own ONNX Runtime doesn't start");
    }

    Image image = read_mhd(argv[3]);
    image.shape[2] = std::min<std::uint64_t>(image.shape[2], 40); // a slab is enough to tell
    image.voxels.resize(image.shape[0] * image.shape[1] * image.shape[2]);
    std::vector<std::uint8_t> first, second, again;
    std::string theirs;
    {
        const Library a(argv[4]), b(argv[5]);
        std::string failure;
        std::thread other([&] {
            try {
                second = run(b, argv[2], image);
            } catch (const std::exception &error) {
                failure = error.what();
            }
        });
        try {
            first = run(a, argv[2], image);
        } catch (const std::exception &error) {
            failure = error.what();
        }
        other.join();
        if (!failure.empty()) {
            throw std::runtime_error(failure);
        }
        theirs = a.function<plugin_runtime>("runtime")();
    }
    for (int i = 0; i < 100; i++) {
        Library(argv[4]).function<plugin_segment>("segment");
    }
    again = run(Library(argv[4]), argv[2], image);

    const bool some = std::any_of(first.begin(), first.end(), [](std::uint8_t label) { return label != 0; });
    if (!some || first != second || first != again) {
        throw std::runtime_error("the plug-ins don't agree");
    }
    std::printf("the host has ONNX Runtime %s, its plug-ins have %s; all runs agree\n", base->version(),
                theirs.c_str());
    return 0;
} catch (const std::exception &error) {
    std::cerr << "plugin_host: " << error.what() << "\n";
    return 1;
}
