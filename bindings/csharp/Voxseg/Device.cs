using System.Collections.Generic;

namespace Voxseg
{
    /// <summary>One thing that a plan can run on.</summary>
    public sealed class DeviceInfo
    {
        private DeviceInfo(Device device, string name, bool usable, string reason)
        {
            Device = device;
            Name = name;
            Usable = usable;
            Reason = reason;
        }

        /// <summary>For <see cref="PlanOptions.Device"/>.</summary>
        public Device Device { get; }

        /// <summary>Its name.</summary>
        public string Name { get; }

        /// <summary>Whether a plan can be made on it.</summary>
        public bool Usable { get; }

        /// <summary>Why it can't be used; empty when it can.</summary>
        public string Reason { get; }

        /// <summary>
        /// Looks which devices there are. Loads ONNX Runtime when it can be found; devices that need it are unusable
        /// otherwise.
        /// </summary>
        public static unsafe IReadOnlyList<DeviceInfo> List()
        {
            Library.Check();
            DeviceListHandle list;
            ErrorHandle error;
            VoxsegException.Check(NativeMethods.vxs_device_list_open(out list, out error), error);
            using (list)
            {
                var devices = new List<DeviceInfo>();
                for (ulong i = 0; i < NativeMethods.vxs_device_list_count(list); i++)
                {
                    vxs_device_info raw;
                    VoxsegException.Check(NativeMethods.vxs_device_info_init(&raw, (ulong)sizeof(vxs_device_info)));
                    VoxsegException.Check(NativeMethods.vxs_device_list_get(list, i, &raw, out error), error);
                    devices.Add(new DeviceInfo(
                        (Device)raw.device, Text.From(raw.name), raw.usable != 0, Text.From(raw.reason)));
                }
                return devices;
            }
        }
    }
}
