/**
 * @file
 * @brief What a plan can run on.
 */
#ifndef VOXSEG_DEVICE_HPP
#define VOXSEG_DEVICE_HPP

#include "enumerations.hpp"
#include "error.hpp"
#include "handle.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace voxseg {
inline namespace VOXSEG_NAMESPACE {

/** One thing that a plan can run on. */
struct DeviceInfo {
    Device device;              /**< For PlanOptions::device. */
    std::uint32_t index;        /**< For PlanOptions::device_index. */
    std::string name;           /**< UTF-8. */
    bool usable;                /**< Whether a plan can be made on it. */
    std::string reason;         /**< Why it can't be used; empty when it can. */
    std::string driver;         /**< Driver and its version; empty when unknown. */
    std::uint64_t memory_bytes; /**< Its own memory; 0 when unknown or it has none. */
    bool hardware;              /**< Hardware of its own: no CPU, and no software that emulates a GPU. */
};

/** What there is to run on, as found when this was made. */
class Devices {
public:
    /** Looks what there is. */
    static Result<Devices> open() {
        std::vector<DeviceInfo> devices;
        return detail::call(
            [&](vxs_error **error) {
                vxs_device_list *raw = nullptr;
                vxs_status status = vxs_device_list_open(&raw, error);
                const detail::Owner<vxs_device_list> list(raw);
                for (std::uint64_t i = 0; i < vxs_device_list_count(raw) && status == VXS_OK; i++) {
                    auto info = detail::filled(&vxs_device_info_init);
                    status = vxs_device_list_get(raw, i, &info, error);
                    devices.push_back({static_cast<Device>(info.device), info.index, detail::text(info.name),
                                       info.usable != 0, detail::text(info.reason),
                                       detail::text(info.driver), info.memory_bytes, info.hardware != 0});
                }
                return status;
            },
            [&] { return Devices(std::move(devices)); });
    }
#ifndef VOXSEG_NO_EXCEPTIONS
    /** As open(). */
    Devices() : Devices(open()) {}
#endif

    /** How many there are. */
    std::size_t size() const noexcept { return devices_.size(); }
    /** One of them; `index` is less than size(). */
    const DeviceInfo &operator[](std::size_t index) const { return devices_[index]; }
    /** The first. */
    std::vector<DeviceInfo>::const_iterator begin() const noexcept { return devices_.begin(); }
    /** Past the last. */
    std::vector<DeviceInfo>::const_iterator end() const noexcept { return devices_.end(); }

private:
    explicit Devices(std::vector<DeviceInfo> devices) : devices_(std::move(devices)) {}

    std::vector<DeviceInfo> devices_;
};

} // namespace VOXSEG_NAMESPACE
} // namespace voxseg

#endif // VOXSEG_DEVICE_HPP
