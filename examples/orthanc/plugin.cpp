// A plug-in for the Orthanc DICOM server that segments a stored series when it is asked to:
//
//     GET  /voxseg/models                  the names of the models of the configuration
//     GET  /voxseg/models/{name}           one of them, and its labels
//     POST /voxseg/series/{id}             starts a job; body {"Model": "name"}, or empty where there is one model
//     GET  /jobs/{job}                     Orthanc's own: state, progress, and in the end the stored instance
//     POST /jobs/{job}/cancel              Orthanc's own: ends it within one tile
//
// Nothing may be thrown into Orthanc, which is C here: every entry catches.

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <voxseg.hpp>

#include "job.hpp"
#include "orthanc.hpp"
#include "series.hpp"

namespace {

struct Settings {
    std::map<std::string, std::string> folders; // of models, by name
    std::uint32_t threads = 0;
};
Settings settings;

/** Models are read when they are first asked for, and kept. */
std::shared_ptr<const voxseg::Model> model(const std::string &name) {
    static std::mutex mutex;
    static std::map<std::string, std::shared_ptr<const voxseg::Model>> open;
    const auto folder = settings.folders.find(name);
    if (folder == settings.folders.end()) {
        throw orthanc::Unknown("no model \"" + name + "\" is configured");
    }
    const std::lock_guard lock(mutex);
    auto &found = open[name];
    if (!found) {
        found = std::make_shared<const voxseg::Model>(voxseg::Model::open(folder->second));
    }
    return found;
}

void answer(OrthancPluginRestOutput *output, const Json::Value &value, std::uint16_t status = 200) {
    const std::string text = orthanc::text(value);
    const auto size = static_cast<std::uint32_t>(text.size());
    if (status == 200) {
        OrthancPluginAnswerBuffer(orthanc::context, output, text.data(), size, "application/json");
    } else {
        OrthancPluginSetHttpHeader(orthanc::context, output, "Content-Type", "application/json");
        OrthancPluginSendHttpStatus(orthanc::context, output, status, text.data(), size);
    }
}

void refuse(OrthancPluginRestOutput *output, std::uint16_t status, const std::string &reason) {
    Json::Value value;
    value["Error"] = reason;
    answer(output, value, status);
}

/** Runs the body of an entry and answers for what it throws. */
template <class Body>
OrthancPluginErrorCode entry(OrthancPluginRestOutput *output, const OrthancPluginHttpRequest *request,
                             OrthancPluginHttpMethod method, const char *allowed, Body body) noexcept {
    try {
        if (request->method != method) {
            OrthancPluginSendMethodNotAllowed(orthanc::context, output, allowed);
        } else {
            answer(output, body());
        }
    } catch (const orthanc::Unknown &reason) {
        refuse(output, 404, reason.what());
    } catch (const orthanc::Refused &reason) {
        refuse(output, 400, reason.what());
    } catch (const std::exception &error) { // a defect, or a model that can't be opened
        refuse(output, 500, error.what());
    }
    return OrthancPluginErrorCode_Success;
}

Json::Value models() {
    Json::Value found(Json::arrayValue);
    for (const auto &[name, folder] : settings.folders) {
        found.append(name);
    }
    return found;
}

Json::Value describe(const std::string &name) {
    const auto opened = model(name);
    Json::Value found;
    found["Name"] = opened->name();
    found["Identity"] = opened->identity();
    for (const auto &label : opened->labels()) {
        found["Labels"][std::to_string(label.value)] = label.name;
    }
    return found;
}

std::string wanted_model(const OrthancPluginHttpRequest &request) {
    Json::Value body;
    const auto *text = static_cast<const char *>(request.body);
    if (request.bodySize > 0) {
        const std::unique_ptr<Json::CharReader> reader(Json::CharReaderBuilder().newCharReader());
        if (!reader->parse(text, text + request.bodySize, &body, nullptr) || !body.isObject() ||
            (body.isMember("Model") && !body["Model"].isString())) {
            throw orthanc::Refused("expected a body such as {\"Model\": \"name\"}, or none");
        }
    }
    if (body.isMember("Model")) {
        return body["Model"].asString();
    }
    if (settings.folders.size() != 1) {
        throw orthanc::Refused("several models are configured: name one");
    }
    return settings.folders.begin()->first;
}

Json::Value start(const OrthancPluginHttpRequest &request) {
    const std::string id = request.groups[0];
    const auto opened = model(wanted_model(request));
    voxseg::PlanOptions options;
    options.threads = settings.threads;
    // Tags are read now, so that what can't be segmented is answered at once; voxels are for the job.
    const std::string job = submit(opened, options, Series::open(id), id);
    Json::Value value;
    value["ID"] = job;
    value["Path"] = "/jobs/" + job;
    return value;
}

OrthancPluginErrorCode on_models(OrthancPluginRestOutput *output, const char *,
                                 const OrthancPluginHttpRequest *request) {
    return entry(output, request, OrthancPluginHttpMethod_Get, "GET", models);
}

OrthancPluginErrorCode on_model(OrthancPluginRestOutput *output, const char *,
                                const OrthancPluginHttpRequest *request) {
    return entry(output, request, OrthancPluginHttpMethod_Get, "GET",
                 [&] { return describe(request->groups[0]); });
}

OrthancPluginErrorCode on_series(OrthancPluginRestOutput *output, const char *,
                                 const OrthancPluginHttpRequest *request) {
    return entry(output, request, OrthancPluginHttpMethod_Post, "POST", [&] { return start(*request); });
}

/** Reads {"Voxseg": {"Models": {"name": "folder"}, "Threads": 4}} of Orthanc's configuration. */
void configure() {
    char *text = OrthancPluginGetConfiguration(orthanc::context);
    if (!text) {
        throw std::runtime_error("Orthanc has no configuration");
    }
    Json::Value whole;
    const std::string copy = text;
    OrthancPluginFreeString(orthanc::context, text);
    const std::unique_ptr<Json::CharReader> reader(Json::CharReaderBuilder().newCharReader());
    if (!reader->parse(copy.data(), copy.data() + copy.size(), &whole, nullptr)) {
        throw std::runtime_error("Orthanc's configuration is no JSON");
    }
    const Json::Value &ours = whole["Voxseg"];
    for (const auto &name : ours["Models"].getMemberNames()) {
        settings.folders[name] = ours["Models"][name].asString();
    }
    if (settings.folders.empty()) {
        throw std::runtime_error("the configuration has no \"Voxseg\": {\"Models\": {\"name\": \"folder\"}}");
    }
    settings.threads = ours.get("Threads", 0).asUInt();
}

} // namespace

extern "C" {

ORTHANC_PLUGINS_API std::int32_t OrthancPluginInitialize(OrthancPluginContext *context) {
    orthanc::context = context;
    try {
        if (OrthancPluginCheckVersion(context) == 0) {
            throw std::runtime_error("this Orthanc is older than what the plug-in was compiled for");
        }
        voxseg::abi_check();
        configure();
    } catch (const std::exception &error) {
        OrthancPluginLogError(context, (std::string("voxseg: ") + error.what()).c_str());
        return -1;
    }
    // Not behind Orthanc's lock: other requests are answered while a series' tags are read.
    OrthancPluginRegisterRestCallbackNoLock(context, "/voxseg/models", on_models);
    OrthancPluginRegisterRestCallbackNoLock(context, "/voxseg/models/([^/]+)", on_model);
    OrthancPluginRegisterRestCallbackNoLock(context, "/voxseg/series/([^/]+)", on_series);
    return 0;
}

ORTHANC_PLUGINS_API void OrthancPluginFinalize() {}

ORTHANC_PLUGINS_API const char *OrthancPluginGetName() { return "voxseg"; }

ORTHANC_PLUGINS_API const char *OrthancPluginGetVersion() { return vxs_version(); }
}
