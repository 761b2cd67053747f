// The C example once more, shorter: segment_raw MODEL_FOLDER CT.mhd OUT.mhd
//
// voxseg.hpp owns the handles, throws on errors and takes std::vector; the image is a MetaImage of int16.

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <voxseg.hpp>

namespace {

struct Image {
    std::map<std::string, std::string> header; // a MetaImage's, line by line
    voxseg::Shape shape{};
    voxseg::Vector spacing{1, 1, 1}, origin{};
    voxseg::Matrix axes{1, 0, 0, 0, 1, 0, 0, 0, 1};
    std::vector<std::int16_t> voxels;

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

std::string sibling(const std::string &path, const std::string &name) {
    return path.substr(0, path.find_last_of('/') + 1) + name; // npos + 1 is 0
}

Image read_mhd(const std::string &path) {
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

void write_mhd(const std::string &path, Image image, const std::vector<std::uint8_t> &labels) {
    const std::string stem = path.substr(path.find_last_of('/') + 1);
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

} // namespace

int main(int argc, char **argv) try {
    if (argc != 4) {
        std::cerr << "usage: segment_raw MODEL_FOLDER CT.mhd OUT.mhd\n";
        return 1;
    }
    const Image image = read_mhd(argv[2]);
    const auto &a = image.axes; // one axis after the other in a MetaImage, as columns in voxseg
    const auto volume = voxseg::VolumeView(image.voxels, image.shape)
                            .with_spacing(image.spacing)
                            .with_origin(image.origin)
                            .with_direction({a[0], a[3], a[6], a[1], a[4], a[7], a[2], a[5], a[8]});

    const auto model = voxseg::Model::open(argv[1]);
    voxseg::Plan plan(model);
    std::vector<std::uint8_t> labels(image.voxels.size());
    voxseg::RunOptions options;
    options.progress = [](const vxs_progress &now) {
        std::cerr << "\r" << static_cast<int>(100 * now.fraction) << " % " << (now.fraction < 1 ? "" : "\n");
        return true;
    };
    const auto report = plan.segment(volume, labels, options);
    write_mhd(argv[3], image, labels);

    std::array<std::uint64_t, 256> voxels{};
    for (const auto label : labels) {
        voxels[label]++;
    }
    for (const auto &label : model.labels()) {
        if (label.value != 0 && label.value < voxels.size() && voxels[label.value] != 0) {
            std::printf("%5u  %-24s %12llu voxels\n", label.value, label.name.c_str(),
                        static_cast<unsigned long long>(voxels[label.value]));
        }
    }
    std::printf("%llu tiles in %.3f s\n", static_cast<unsigned long long>(report.tiles),
                report.total_seconds);
    return 0;
} catch (const voxseg::Error &error) {
    std::cerr << "segment_raw: " << error.what() << "\n";
    return error.status() / 100;
} catch (const std::exception &error) {
    std::cerr << "segment_raw: " << error.what() << "\n";
    return 1;
}
