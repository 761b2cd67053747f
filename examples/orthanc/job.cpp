#include "job.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "orthanc.hpp"
#include "segmentation_object.hpp"

namespace {

class Job {
public:
    Job(std::shared_ptr<const voxseg::Model> model, const voxseg::PlanOptions &options, Series series,
        std::string id)
        : model_(std::move(model)), options_(options), series_(std::move(series)) {
        content_["Series"] = std::move(id);
        content_["Model"] = model_->name();
    }
    ~Job() { stop(); }

    OrthancPluginJobStepStatus step() {
        if (!thread_.joinable()) {
            thread_ = std::thread([this] { run(); });
        }
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::milliseconds(100), [this] { return done_; });
        return !done_                          ? OrthancPluginJobStepStatus_Continue
               : content_.isMember("Instance") ? OrthancPluginJobStepStatus_Success
                                               : OrthancPluginJobStepStatus_Failure;
    }

    /** Ends the run within one tile and waits for that. */
    void stop() {
        cancel_.request();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

    void reset() {
        stop();
        cancel_.reset();
        done_ = false;
        fraction_ = 0;
        content_.removeMember("Error");
    }

    float progress() {
        const std::lock_guard lock(mutex_);
        return static_cast<float>(fraction_);
    }

    /** Lives until the next call. */
    const char *content() {
        const std::lock_guard lock(mutex_);
        text_ = orthanc::text(content_);
        return text_.c_str();
    }

private:
    void run() noexcept {
        Json::Value outcome;
        try {
            outcome = segment();
        } catch (const std::exception &error) {
            outcome["Error"] = error.what();
        }
        const std::lock_guard lock(mutex_);
        for (const auto &name : outcome.getMemberNames()) {
            content_[name] = outcome[name];
        }
        done_ = true;
        changed_.notify_all();
    }

    Json::Value segment() {
        const std::vector<float> voxels = series_.voxels([this] { return !cancel_.requested(); });
        const auto volume = voxseg::VolumeView(voxels, series_.shape)
                                .with_spacing(series_.spacing)
                                .with_origin(series_.slices.front().position)
                                .with_direction(series_.direction);
        voxseg::Plan plan(*model_, options_);
        voxseg::RunOptions options;
        options.cancel = &cancel_;
        options.progress = [this](const voxseg::Progress &now) {
            const std::lock_guard lock(mutex_);
            fraction_ = now.fraction;
            return true;
        };
        std::vector<std::uint8_t> labels(voxels.size());
        const auto report = plan.segment(volume, labels, options);
        const auto stored = orthanc::post("/instances", segmentation_object(series_, *model_, labels));
        Json::Value outcome;
        outcome["Instance"] = stored["ID"];
        outcome["Path"] = stored["Path"];
        outcome["Tiles"] = Json::UInt64(report.tiles);
        outcome["Seconds"] = report.total_seconds;
        return outcome;
    }

    const std::shared_ptr<const voxseg::Model> model_;
    const voxseg::PlanOptions options_;
    const Series series_;
    voxseg::Cancel cancel_;
    std::thread thread_;
    std::mutex mutex_; // of what follows
    std::condition_variable changed_;
    Json::Value content_;
    std::string text_;
    double fraction_ = 0;
    bool done_ = false;
};

Job *of(void *job) { return static_cast<Job *>(job); }

} // namespace

std::string submit(std::shared_ptr<const voxseg::Model> model, const voxseg::PlanOptions &options,
                   Series series, std::string id) {
    auto owned = std::make_unique<Job>(std::move(model), options, std::move(series), std::move(id));
    OrthancPluginJob *job = OrthancPluginCreateJob(
        orthanc::context, owned.get(), [](void *it) { delete of(it); }, "Segmentation",
        [](void *it) { return of(it)->progress(); }, [](void *it) { return of(it)->content(); },
        [](void *) -> const char * { return nullptr; }, // it doesn't outlive the server
        [](void *it) { return of(it)->step(); },
        [](void *it, OrthancPluginJobStopReason) {
            of(it)->stop();
            return OrthancPluginErrorCode_Success;
        },
        [](void *it) {
            of(it)->reset();
            return OrthancPluginErrorCode_Success;
        });
    if (!job) {
        throw std::runtime_error("Orthanc makes no job");
    }
    owned.release(); // Orthanc's from here on
    char *identifier = OrthancPluginSubmitJob(orthanc::context, job, 0);
    if (!identifier) {
        OrthancPluginFreeJob(orthanc::context, job);
        throw std::runtime_error("Orthanc takes no job");
    }
    const std::string text = identifier;
    OrthancPluginFreeString(orthanc::context, identifier);
    return text;
}
