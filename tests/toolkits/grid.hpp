// What a vxs_volume says of its grid, computed as voxseg.h has it.
#pragma once

#include <voxseg.hpp>

#include <vector>

// A rotation about an oblique axis, row-major: no two axes may be confused, nor the matrix with its transpose.
inline constexpr voxseg::Matrix turned{2. / 3,  -1. / 3, 2. / 3, 2. / 3, 2. / 3,
                                       -1. / 3, -1. / 3, 2. / 3, 2. / 3};

inline voxseg::Vector place(const vxs_volume &volume, const voxseg::Shape &voxel) {
    voxseg::Vector point{};
    for (std::size_t row = 0; row < 3; row++) {
        point[row] = volume.origin[row];
        for (std::size_t a = 0; a < 3; a++) {
            point[row] += volume.direction[3 * row + a] * volume.spacing[a] * static_cast<double>(voxel[a]);
        }
    }
    return point;
}

inline const void *address(const vxs_volume &volume, std::int64_t channel, const voxseg::Shape &voxel) {
    std::int64_t strides[3] = {volume.strides[0], volume.strides[1], volume.strides[2]};
    if (strides[0] == 0) { // dense
        const auto x = static_cast<std::int64_t>(volume.shape[0]),
                   y = static_cast<std::int64_t>(volume.shape[1]);
        strides[0] = static_cast<std::int64_t>(volume.data_size /
                                               (volume.shape[0] * volume.shape[1] * volume.shape[2]));
        strides[1] = strides[0] * x;
        strides[2] = strides[1] * y;
    }
    auto at = static_cast<std::int64_t>(volume.offset) + channel * volume.channel_stride;
    for (std::size_t a = 0; a < 3; a++) {
        at += strides[a] * static_cast<std::int64_t>(voxel[a]);
    }
    return static_cast<const char *>(volume.data) + at;
}

inline std::vector<voxseg::Shape> corners(const vxs_volume &volume) {
    std::vector<voxseg::Shape> found;
    for (std::uint64_t corner = 0; corner < 8; corner++) {
        found.push_back({corner & 1 ? volume.shape[0] - 1 : 0, corner & 2 ? volume.shape[1] - 1 : 0,
                         corner & 4 ? volume.shape[2] - 1 : 0});
    }
    return found;
}
