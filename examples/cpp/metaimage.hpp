// A MetaImage of int16 voxels, read and written with the standard library alone: what the C++ examples share.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <voxseg.hpp>

#include "../c/arguments.h"

struct Image {
    std::map<std::string, std::string> header; // a MetaImage's, line by line
    voxseg::Shape shape{};
    voxseg::Vector spacing{1, 1, 1}, origin{};
    voxseg::Matrix axes{1, 0, 0, 0, 1, 0, 0, 0, 1};
    std::vector<std::int16_t> voxels;

    /** The image as voxseg takes it. */
    voxseg::VolumeView view() const {
        const auto &a = axes; // one axis after the other in a MetaImage, as columns in voxseg
        return voxseg::VolumeView(voxels, shape)
            .with_spacing(spacing)
            .with_origin(origin)
            .with_direction({a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8]});
    }

    const std::string &value(const std::string &key) const {
        const auto found = header.find(key);
        return found != header.end() ? found->second : throw std::runtime_error("the image has no " + key);
    }

    template <class Array> void parse(const std::string &key, Array &values) const {
        std::istringstream text(value(key));
        for (auto &number : values) {
            text >> number;
        }
    }
};

inline std::string file_name(const std::string &path) {
    const char *slash = last_slash(path.c_str());
    return slash ? slash + 1 : path;
}

inline std::string sibling(const std::string &path, const std::string &name) {
    return path.substr(0, path.size() - file_name(path).size()) + name;
}

inline Image read_mhd(const std::string &path) {
    Image image;
    std::ifstream header(path);
    for (std::string key, equals, value; header >> key >> equals && std::getline(header >> std::ws, value);) {
        image.header[key] = value;
    }
    image.parse("DimSize", image.shape);
    image.parse("ElementSpacing", image.spacing);
    image.parse("Offset", image.origin);
    image.parse("TransformMatrix", image.axes);
    const auto bytes = static_cast<std::streamsize>(image.shape[0] * image.shape[1] * image.shape[2] * 2);
    if (image.value("ElementType") != "MET_SHORT") {
        throw std::runtime_error(path + ": expected ElementType = MET_SHORT");
    }
    image.voxels.resize(static_cast<std::size_t>(bytes) / 2);
    std::ifstream raw(sibling(path, image.value("ElementDataFile")), std::ios::binary);
    if (!raw.read(reinterpret_cast<char *>(image.voxels.data()), bytes)) {
        throw std::runtime_error(path + ": its voxels are not readable");
    }
    return image;
}

inline void write_mhd(const std::string &path, Image image, const std::vector<std::uint8_t> &labels) {
    const std::string stem = file_name(path);
    image.header["ElementType"] = "MET_UCHAR";
    image.header["ElementDataFile"] = stem.substr(0, stem.find_last_of('.')) + ".raw";
    std::ofstream header(path);
    header << "ObjectType = Image\nNDims = 3\n"; // ITK wants these first and the data file last
    for (const auto &[key, value] : image.header) {
        if (key != "ObjectType" && key != "NDims" && key != "ElementDataFile") {
            header << key << " = " << value << "\n";
        }
    }
    header << "ElementDataFile = " << image.header["ElementDataFile"] << "\n";
    std::ofstream raw(sibling(path, image.header["ElementDataFile"]), std::ios::binary);
    raw.write(reinterpret_cast<const char *>(labels.data()), static_cast<std::streamsize>(labels.size()));
    if (!header.flush() || !raw.flush()) {
        throw std::runtime_error(path + ": cannot write");
    }
}
