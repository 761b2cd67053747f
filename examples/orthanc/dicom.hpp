// A DICOM file in memory, explicit VR little endian: elements sorted by tag, sequences, the meta information before.
// Little-endian machines only, as all that Orthanc runs on here.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace dicom {

using Tag = std::uint32_t; /**< group << 16 | element */

template <class Number> void append(std::string &bytes, Number number) {
    char raw[sizeof number];
    std::memcpy(raw, &number, sizeof number);
    bytes.append(raw, sizeof number);
}

/** A decimal string, which may have 16 characters. */
inline std::string decimal(double number) {
    char text[32];
    for (int digits = 15; std::snprintf(text, sizeof text, "%.*g", digits, number) > 16; digits--) {
    }
    return text;
}

template <std::size_t N> std::string decimals(const std::array<double, N> &numbers) {
    std::string text;
    for (const double number : numbers) {
        text += (text.empty() ? "" : "\\") + decimal(number);
    }
    return text;
}

class Dataset {
public:
    /** Text, of any VR that is text; UIDs are padded with NUL. */
    Dataset &text(Tag tag, const char *vr, std::string value) {
        if (value.size() % 2) {
            value += std::strcmp(vr, "UI") == 0 ? '\0' : ' ';
        }
        return put(tag, vr, std::move(value));
    }
    Dataset &us(Tag tag, std::initializer_list<std::uint16_t> values) { return binary(tag, "US", values); }
    Dataset &ul(Tag tag, std::initializer_list<std::uint32_t> values) { return binary(tag, "UL", values); }
    /** The tag of another element. */
    Dataset &at(Tag tag, Tag value) {
        return us(tag, {std::uint16_t(value >> 16), std::uint16_t(value)}).rename(tag, "AT");
    }
    Dataset &bytes(Tag tag, std::string value) {
        value.resize(value.size() + value.size() % 2);
        return put(tag, "OB", std::move(value));
    }
    Dataset &sequence(Tag tag, const std::vector<Dataset> &items) {
        std::string value;
        for (const Dataset &item : items) {
            const std::string content = item.encoded();
            append(value, std::uint16_t{0xfffe});
            append(value, std::uint16_t{0xe000});
            append(value, static_cast<std::uint32_t>(content.size()));
            value += content;
        }
        return put(tag, "SQ", std::move(value));
    }

    std::string encoded() const {
        std::string bytes;
        for (const auto &[tag, element] : elements_) {
            append(bytes, std::uint16_t(tag >> 16));
            append(bytes, std::uint16_t(tag));
            bytes += element.first;
            if (element.first == "OB" || element.first == "SQ") {
                bytes.append(2, '\0');
                append(bytes, static_cast<std::uint32_t>(element.second.size()));
            } else {
                append(bytes, static_cast<std::uint16_t>(element.second.size()));
            }
            bytes += element.second;
        }
        return bytes;
    }

private:
    template <class Number> Dataset &binary(Tag tag, const char *vr, std::initializer_list<Number> values) {
        std::string bytes;
        for (const Number value : values) {
            append(bytes, value);
        }
        return put(tag, vr, std::move(bytes));
    }
    Dataset &put(Tag tag, const char *vr, std::string value) {
        elements_[tag] = {vr, std::move(value)};
        return *this;
    }
    Dataset &rename(Tag tag, const char *vr) {
        elements_[tag].first = vr;
        return *this;
    }

    std::map<Tag, std::pair<std::string, std::string>> elements_;
};

/** The bytes of a file. `writer` is the UID of the implementation, `name` its name, up to 16 characters. */
inline std::string file(const Dataset &content, const std::string &sop_class, const std::string &sop_instance,
                        const std::string &writer, const std::string &name) {
    Dataset meta;
    meta.bytes(0x00020001, std::string("\0\1", 2))
        .text(0x00020002, "UI", sop_class)
        .text(0x00020003, "UI", sop_instance)
        .text(0x00020010, "UI", "1.2.840.10008.1.2.1")
        .text(0x00020012, "UI", writer)
        .text(0x00020013, "SH", name);
    Dataset length;
    length.ul(0x00020000, {static_cast<std::uint32_t>(meta.encoded().size())});
    return std::string(128, '\0') + "DICM" + length.encoded() + meta.encoded() + content.encoded();
}

} // namespace dicom
