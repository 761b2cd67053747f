#include "series.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "orthanc.hpp"

using orthanc::Refused;

namespace {

constexpr std::uint64_t MOST_VOXELS = 1u << 30; // 4 GiB of intensities

std::string value(const Json::Value &tags, const char *name) {
    const Json::Value &found = tags[name];
    if (!found.isString() || found.asString().empty()) {
        throw Refused(std::string("a slice has no ") + name);
    }
    return found.asString();
}

template <std::size_t N> std::array<double, N> numbers(const Json::Value &tags, const char *name) {
    std::array<double, N> found{};
    std::istringstream text(value(tags, name));
    char separator = '\\';
    for (std::size_t i = 0; i < N; i++) {
        if ((i > 0 && (!text.get(separator) || separator != '\\')) || !(text >> found[i]) ||
            !std::isfinite(found[i])) {
            throw Refused(std::string(name) + ": expected " + std::to_string(N) + " numbers, found \"" +
                          value(tags, name) + "\"");
        }
    }
    return found;
}

double number(const Json::Value &tags, const char *name, double otherwise) {
    return tags.isMember(name) && !tags[name].asString().empty() ? numbers<1>(tags, name)[0] : otherwise;
}

double dot(const double *a, const double *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

template <std::size_t N>
bool near(const std::array<double, N> &a, const std::array<double, N> &b, double tolerance) {
    return std::equal(a.begin(), a.end(), b.begin(),
                      [&](double x, double y) { return std::fabs(x - y) <= tolerance; });
}

struct Described {
    Slice slice;
    Json::Value tags;
    std::array<double, 6> orientation;
    std::array<double, 2> spacing; // between rows, between columns
    std::array<double, 2> size;    // rows, columns
    std::string frame;             // of reference: whose positions these are
};

Described describe(const std::string &instance, const Json::Value &tags) {
    if (number(tags, "NumberOfFrames", 1) != 1) {
        throw Refused("an instance has several frames; expected a series of single slices");
    }
    if (number(tags, "SamplesPerPixel", 1) != 1 ||
        value(tags, "PhotometricInterpretation").rfind("MONOCHROME", 0) != 0) {
        throw Refused("the series has colours; expected one value a voxel");
    }
    Described found;
    found.slice = {instance,
                   value(tags, "SOPClassUID"),
                   value(tags, "SOPInstanceUID"),
                   numbers<3>(tags, "ImagePositionPatient"),
                   number(tags, "RescaleSlope", 1),
                   number(tags, "RescaleIntercept", 0)};
    found.tags = tags;
    found.frame = value(tags, "FrameOfReferenceUID");
    found.orientation = numbers<6>(tags, "ImageOrientationPatient");
    found.spacing = numbers<2>(tags, "PixelSpacing");
    found.size = {numbers<1>(tags, "Rows")[0], numbers<1>(tags, "Columns")[0]};
    return found;
}

} // namespace

Series Series::open(const std::string &id) {
    const Json::Value instances = orthanc::get("/series/" + id + "/instances-tags?simplify");
    if (instances.size() < 2) {
        throw Refused("the series has " + std::to_string(instances.size()) +
                      " slice; expected two or more of one volume");
    }
    std::vector<Described> found;
    for (const auto &instance : instances.getMemberNames()) {
        found.push_back(describe(instance, instances[instance]));
    }
    const Described first = found.front();
    for (const Described &other : found) {
        if (other.size != first.size || !near(other.spacing, first.spacing, 1e-4)) {
            throw Refused("the slices differ in size or spacing");
        }
        if (other.frame != first.frame) {
            throw Refused("the slices differ in their frame of reference");
        }
        if (!near(other.orientation, first.orientation, 1e-3)) {
            throw Refused("the slices differ in orientation: this is no one volume");
        }
    }
    const double rows = first.size[0], columns = first.size[1];
    if (rows < 1 || columns < 1 ||
        rows * columns * static_cast<double>(found.size()) > static_cast<double>(MOST_VOXELS)) {
        throw Refused("the series would have " + std::to_string(rows * columns * double(found.size())) +
                      " voxels; expected 1 to " + std::to_string(MOST_VOXELS));
    }

    const double *x = first.orientation.data(), *y = x + 3;
    const double normal[3] = {x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2],
                              x[0] * y[1] - x[1] * y[0]};
    std::sort(found.begin(), found.end(), [&](const Described &a, const Described &b) {
        return dot(a.slice.position.data(), normal) < dot(b.slice.position.data(), normal);
    });
    std::array<double, 3> step;
    const auto &start = found.front().slice.position, &end = found.back().slice.position;
    for (std::size_t a = 0; a < 3; a++) {
        step[a] = (end[a] - start[a]) / static_cast<double>(found.size() - 1);
    }
    const double distance = std::sqrt(dot(step.data(), step.data()));
    if (!(distance > 1e-3)) {
        throw Refused("the slices lie at one place");
    }
    if (std::fabs(dot(step.data(), x)) > 0.01 * distance ||
        std::fabs(dot(step.data(), y)) > 0.01 * distance) {
        throw Refused("the slices are shifted against each other (a tilted gantry?)");
    }
    for (std::size_t k = 0; k < found.size(); k++) {
        for (std::size_t a = 0; a < 3; a++) {
            if (std::fabs(found[k].slice.position[a] - start[a] - static_cast<double>(k) * step[a]) >
                0.1 * distance) {
                throw Refused("the slices don't lie at equal distances: one may be missing or there twice");
            }
        }
    }

    Series series;
    series.tags = first.tags;
    series.orientation = first.orientation;
    series.shape = {static_cast<std::uint64_t>(columns), static_cast<std::uint64_t>(rows), found.size()};
    series.spacing = {first.spacing[1], first.spacing[0], distance};
    for (std::size_t a = 0; a < 3; a++) {
        series.direction[3 * a] = x[a];
        series.direction[3 * a + 1] = y[a];
        series.direction[3 * a + 2] = normal[a];
    }
    for (Described &slice : found) {
        series.slices.push_back(std::move(slice.slice));
    }
    return series;
}

void Series::decode(const Slice &slice, float *values) const {
    orthanc::Buffer file;
    if (OrthancPluginGetDicomForInstance(orthanc::context, &file.raw, slice.instance.c_str()) !=
        OrthancPluginErrorCode_Success) {
        throw Refused("instance " + slice.instance + " is gone");
    }
    const auto release = [](OrthancPluginImage *image) { OrthancPluginFreeImage(orthanc::context, image); };
    const std::unique_ptr<OrthancPluginImage, decltype(release)> image(
        OrthancPluginDecodeDicomImage(orthanc::context, file.raw.data, file.raw.size, 0), release);
    if (!image || OrthancPluginGetImageWidth(orthanc::context, image.get()) != shape[0] ||
        OrthancPluginGetImageHeight(orthanc::context, image.get()) != shape[1]) {
        throw Refused("Orthanc can't decode instance " + slice.instance +
                      "; a plug-in such as orthanc-gdcm may know its transfer syntax");
    }
    const auto *bytes = static_cast<const char *>(OrthancPluginGetImageBuffer(orthanc::context, image.get()));
    const auto pitch = OrthancPluginGetImagePitch(orthanc::context, image.get());
    const auto format = OrthancPluginGetImagePixelFormat(orthanc::context, image.get());
    const auto convert = [&](auto zero) {
        for (std::uint64_t row = 0; row < shape[1]; row++) {
            const auto *line = reinterpret_cast<const decltype(zero) *>(bytes + row * pitch);
            for (std::uint64_t column = 0; column < shape[0]; column++) {
                *values++ = static_cast<float>(line[column] * slice.slope + slice.intercept);
            }
        }
    };
    switch (format) {
    case OrthancPluginPixelFormat_Grayscale8:
        return convert(std::uint8_t{});
    case OrthancPluginPixelFormat_Grayscale16:
        return convert(std::uint16_t{});
    case OrthancPluginPixelFormat_SignedGrayscale16:
        return convert(std::int16_t{});
    case OrthancPluginPixelFormat_Grayscale32:
        return convert(std::uint32_t{});
    default:
        throw Refused("instance " + slice.instance + " has a pixel format that is no scalar");
    }
}
