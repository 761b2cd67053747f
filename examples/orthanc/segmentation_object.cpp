#include "segmentation_object.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <optional>

#include "dicom.hpp"
#include "orthanc.hpp"

using dicom::Dataset;

namespace {

const char *const SOP_CLASS = "1.2.840.10008.5.1.4.1.1.66.4";
/** Says who wrote the file: a UID of this plug-in's own, made from a UUID. */
const char *const WRITER = "2.25.281270493719348627158713945402087155437";

/** A new UID: a UUID's number below 2.25 (PS3.5 B.2). */
std::string new_uid() {
    char *uuid = OrthancPluginGenerateUuid(orthanc::context);
    if (!uuid) {
        throw std::runtime_error("Orthanc makes no UUID");
    }
    std::string decimal = "0";
    for (const char *digit = uuid; *digit; digit++) {
        if (*digit == '-') {
            continue;
        }
        int carry = *digit <= '9' ? *digit - '0' : (*digit | 32) - 'a' + 10;
        for (auto place = decimal.rbegin(); place != decimal.rend(); ++place) {
            carry += (*place - '0') * 16;
            *place = static_cast<char>('0' + carry % 10);
            carry /= 10;
        }
        for (; carry > 0; carry /= 10) {
            decimal.insert(decimal.begin(), static_cast<char>('0' + carry % 10));
        }
    }
    OrthancPluginFreeString(orthanc::context, uuid);
    return "2.25." + decimal;
}

/** At most 64 bytes, as an LO may have, that end between two characters. */
std::string lo(std::string text) {
    std::replace(text.begin(), text.end(), '\\', '/');
    std::size_t length = std::min<std::size_t>(text.size(), 64);
    while (length < text.size() && length > 0 && (text[length] & 0xc0) == 0x80) {
        length--;
    }
    return text.substr(0, length);
}

Dataset code(const voxseg::Term &term) {
    return Dataset()
        .text(0x00080100, "SH", term.code)
        .text(0x00080102, "SH", term.scheme)
        .text(0x00080104, "LO", lo(term.meaning));
}

/** A colour as DICOM has it (PS3.3 C.10.7.1.1): CIELab of sRGB under D50, each scaled to 16 bits. */
Dataset &cielab(Dataset &item, std::uint32_t rgb) {
    double linear[3], xyz[3];
    for (int i = 0; i < 3; i++) {
        const double value = ((rgb >> (16 - 8 * i)) & 0xff) / 255.0;
        linear[i] = value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
    }
    // sRGB to XYZ, adapted to D50 (Bradford), over D50's white.
    const double matrix[9] = {0.4360747, 0.3850649, 0.1430804, 0.2225045, 0.7168786,
                              0.0606169, 0.0139322, 0.0971045, 0.7141733};
    const double white[3] = {0.9642, 1, 0.8251};
    for (int i = 0; i < 3; i++) {
        const double value =
            (matrix[3 * i] * linear[0] + matrix[3 * i + 1] * linear[1] + matrix[3 * i + 2] * linear[2]) /
            white[i];
        xyz[i] = value > 216.0 / 24389 ? std::cbrt(value) : (24389.0 / 27 * value + 16) / 116;
    }
    const auto scaled = [](double value, double least, double range) {
        return static_cast<std::uint16_t>(std::lround(std::clamp((value - least) / range, 0.0, 1.0) * 65535));
    };
    return item.us(0x0062000d, {scaled(116 * xyz[1] - 16, 0, 100), scaled(500 * (xyz[0] - xyz[1]), -128, 255),
                                scaled(200 * (xyz[1] - xyz[2]), -128, 255)});
}

/** What a segment is, in coded terms; where the model has none, an anatomical structure with a name. */
Dataset segment(const voxseg::Model &model, std::uint64_t index, const voxseg::Label &label,
                std::uint16_t number) {
    const auto type = model.term(index, voxseg::TermRole::Type);
    const auto category = model.term(index, voxseg::TermRole::Category);
    Dataset property = code(type ? *type : voxseg::Term{"SCT", "91723000", "Anatomical structure"});
    if (const auto modifier = model.term(index, voxseg::TermRole::Modifier); type && modifier) {
        property.sequence(0x00620011, {code(*modifier)});
    }
    Dataset item;
    item.sequence(0x00620003,
                  {code(category ? *category : voxseg::Term{"SCT", "123037004", "Anatomical Structure"})})
        .us(0x00620004, {number})
        .text(0x00620005, "LO", lo(label.name))
        .text(0x00620008, "CS", "AUTOMATIC")
        .text(0x00620009, "LO", lo(model.name()))
        .sequence(0x0062000f, {property});
    return cielab(item, label.color);
}

/** Bits one after the other, the first in the lowest of the first byte; frames don't begin anew (PS3.5 8.1.1). */
class Bits {
public:
    void push(bool bit) {
        if (count_++ % 8 == 0) {
            bytes.push_back('\0');
        }
        bytes.back() = static_cast<char>(bytes.back() | bit << ((count_ - 1) % 8));
    }
    std::string bytes;

private:
    std::uint64_t count_ = 0;
};

void copy_from_source(Dataset &object, const Json::Value &tags) {
    struct Copied {
        dicom::Tag tag;
        const char *vr, *name;
    };
    for (const Copied &it :
         {Copied{0x00080020, "DA", "StudyDate"}, Copied{0x00080030, "TM", "StudyTime"},
          Copied{0x00080050, "SH", "AccessionNumber"}, Copied{0x00080090, "PN", "ReferringPhysicianName"},
          Copied{0x00100010, "PN", "PatientName"}, Copied{0x00100020, "LO", "PatientID"},
          Copied{0x00100030, "DA", "PatientBirthDate"}, Copied{0x00100040, "CS", "PatientSex"},
          Copied{0x0020000d, "UI", "StudyInstanceUID"}, Copied{0x00200010, "SH", "StudyID"},
          Copied{0x00200052, "UI", "FrameOfReferenceUID"},
          Copied{0x00201040, "LO", "PositionReferenceIndicator"}}) {
        const Json::Value &value = tags[it.name];
        object.text(it.tag, it.vr, value.isString() ? value.asString() : "");
    }
}

} // namespace

std::string segmentation_object(const Series &series, const voxseg::Model &model,
                                const std::vector<std::uint8_t> &labels) {
    const std::uint64_t plane = series.shape[0] * series.shape[1];
    const auto names = model.labels();
    std::vector<Dataset> segments, frames;
    Bits bits;
    for (std::uint64_t index = 0; index < names.size(); index++) {
        const voxseg::Label &label = names[index];
        if (label.value == 0 || label.value > 255 ||
            std::find(labels.begin(), labels.end(), label.value) == labels.end()) {
            continue;
        }
        const auto number = static_cast<std::uint16_t>(segments.size() + 1);
        segments.push_back(segment(model, index, label, number));
        for (std::uint64_t k = 0; k < series.slices.size(); k++) {
            const auto *first = labels.data() + k * plane, *end = first + plane;
            if (std::find(first, end, label.value) == end) {
                continue;
            }
            std::for_each(first, end, [&](std::uint8_t value) { bits.push(value == label.value); });
            const Slice &slice = series.slices[k];
            const Dataset source =
                Dataset()
                    .text(0x00081150, "UI", slice.sop_class)
                    .text(0x00081155, "UI", slice.sop_instance)
                    .sequence(0x0040a170,
                              {code({"DCM", "121322", "Source image for image processing operation"})});
            frames.push_back(
                Dataset()
                    .sequence(0x00089124,
                              {Dataset()
                                   .sequence(0x00082112, {source})
                                   .sequence(0x00089215, {code({"DCM", "113076", "Segmentation"})})})
                    .sequence(0x00209111,
                              {Dataset().ul(0x00209157, {number, static_cast<std::uint32_t>(k + 1)})})
                    .sequence(0x00209113, {Dataset().text(0x00200032, "DS", dicom::decimals(slice.position))})
                    .sequence(0x0062000a, {Dataset().us(0x0062000b, {number})}));
        }
    }
    if (segments.empty()) {
        throw orthanc::Refused("the model finds none of its structures in this series");
    }

    char date[16], time[16];
    const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::strftime(date, sizeof date, "%Y%m%d", &utc);
    std::strftime(time, sizeof time, "%H%M%S", &utc);

    std::vector<Dataset> instances;
    for (const Slice &slice : series.slices) {
        instances.push_back(
            Dataset().text(0x00081150, "UI", slice.sop_class).text(0x00081155, "UI", slice.sop_instance));
    }
    const std::string instance = new_uid(), dimensions = new_uid();
    const auto dimension = [&](dicom::Tag pointer, dicom::Tag group) {
        return Dataset().text(0x00209164, "UI", dimensions).at(0x00209165, pointer).at(0x00209167, group);
    };
    const auto [x, y, z] = series.spacing;

    Dataset object;
    copy_from_source(object, series.tags);
    object.text(0x00080005, "CS", "ISO_IR 192")
        .text(0x00080008, "CS", "DERIVED\\PRIMARY")
        .text(0x00080016, "UI", SOP_CLASS)
        .text(0x00080018, "UI", instance)
        .text(0x00080021, "DA", date)
        .text(0x00080023, "DA", date)
        .text(0x00080031, "TM", time)
        .text(0x00080033, "TM", time)
        .text(0x00080060, "CS", "SEG")
        .text(0x00080070, "LO", "voxseg")
        .text(0x0008103e, "LO", lo("Segmentation by " + model.name()))
        .text(0x00081090, "LO", lo(model.name()))
        .text(0x00181000, "LO", model.identity().substr(model.identity().rfind(':') + 1, 16))
        .text(0x00181020, "LO", vxs_version())
        .sequence(0x00081115, {Dataset()
                                   .sequence(0x0008114a, instances)
                                   .text(0x0020000e, "UI", series.tags["SeriesInstanceUID"].asString())})
        .text(0x0020000e, "UI", new_uid())
        .text(0x00200011, "IS", "1000")
        .text(0x00200013, "IS", "1")
        .sequence(0x00209221, {Dataset().text(0x00209164, "UI", dimensions)})
        .sequence(0x00209222, {dimension(0x0062000b, 0x0062000a), dimension(0x00200032, 0x00209113)})
        .us(0x00280002, {1})
        .text(0x00280004, "CS", "MONOCHROME2")
        .text(0x00280008, "IS", std::to_string(frames.size()))
        .us(0x00280010, {static_cast<std::uint16_t>(series.shape[1])})
        .us(0x00280011, {static_cast<std::uint16_t>(series.shape[0])})
        .us(0x00280100, {1})
        .us(0x00280101, {1})
        .us(0x00280102, {0})
        .us(0x00280103, {0})
        .text(0x00282110, "CS", "00")
        .text(0x00620001, "CS", "BINARY")
        .sequence(0x00620002, segments)
        .text(0x00700080, "CS", "SEGMENTATION")
        .text(0x00700081, "LO", lo(model.name()))
        .text(0x00700084, "PN", "voxseg^")
        .sequence(0x52009229,
                  {Dataset()
                       .sequence(0x00209116,
                                 {Dataset().text(0x00200037, "DS", dicom::decimals(series.orientation))})
                       .sequence(0x00289110, {Dataset()
                                                  .text(0x00180050, "DS", dicom::decimal(z))
                                                  .text(0x00180088, "DS", dicom::decimal(z))
                                                  .text(0x00280030, "DS", dicom::decimals<2>({y, x}))})})
        .sequence(0x52009230, frames)
        .bytes(0x7fe00010, std::move(bits.bytes));
    return dicom::file(object, SOP_CLASS, instance, WRITER, std::string("VOXSEG_") + vxs_version());
}
