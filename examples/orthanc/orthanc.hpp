// Orthanc's C interface with owners and exceptions, as far as this plug-in needs it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include <json/json.h>
#include <orthanc/OrthancCPlugin.h>

namespace orthanc {

/** Set once, when Orthanc hands it over. */
inline OrthancPluginContext *context = nullptr;

/** What was asked for can't be done, for a reason that the asker can understand. */
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/** What was asked for isn't there. */
struct Unknown : Refused {
    using Refused::Refused;
};

/** Memory that Orthanc lends. */
class Buffer {
public:
    Buffer() = default;
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    ~Buffer() { OrthancPluginFreeMemoryBuffer(context, &raw); }

    Json::Value json() const {
        Json::Value value;
        const auto *text = static_cast<const char *>(raw.data);
        const std::unique_ptr<Json::CharReader> reader(Json::CharReaderBuilder().newCharReader());
        if (!reader->parse(text, text + raw.size, &value, nullptr)) {
            throw std::runtime_error("Orthanc's answer is no JSON");
        }
        return value;
    }

    OrthancPluginMemoryBuffer raw{};
};

/** GET of Orthanc's own REST interface. */
inline Json::Value get(const std::string &uri) {
    Buffer answer;
    if (OrthancPluginRestApiGet(context, &answer.raw, uri.c_str()) != OrthancPluginErrorCode_Success) {
        throw Unknown(uri + ": Orthanc has no such resource");
    }
    return answer.json();
}

/** POST of Orthanc's own REST interface. */
inline Json::Value post(const std::string &uri, const std::string &body) {
    Buffer answer;
    if (OrthancPluginRestApiPost(context, &answer.raw, uri.c_str(), body.data(),
                                 static_cast<std::uint32_t>(body.size())) != OrthancPluginErrorCode_Success) {
        throw Refused(uri + ": Orthanc refuses it");
    }
    return answer.json();
}

inline std::string text(const Json::Value &value) {
    Json::StreamWriterBuilder style;
    style["indentation"] = "  ";
    return Json::writeString(style, value) + "\n";
}

} // namespace orthanc
