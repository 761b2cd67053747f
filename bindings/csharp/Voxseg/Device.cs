using System.Collections.Generic;

namespace Voxseg
{
    /// <summary>One thing that a plan can run on.</summary>
    public sealed class DeviceInfo
    {
        private unsafe DeviceInfo(vxs_device_info* raw)
        {
            Device = (Device)raw->device;
            Index = (int)raw->index;
            Name = Text.From(raw->name);
            Usable = raw->usable != 0;
            Reason = Text.From(raw->reason);
            Driver = Text.From(raw->driver);
            MemoryBytes = (long)raw->memory_bytes;
            Hardware = raw->hardware != 0;
        }

        /// <summary>For <see cref="PlanOptions.Device"/>.</summary>
        public Device Device { get; }

        /// <summary>For <see cref="PlanOptions.DeviceIndex"/>: its number among the provider's devices.</summary>
        public int Index { get; }

        /// <summary>Its name.</summary>
        public string Name { get; }

        /// <summary>Whether a plan can be made on it.</summary>
        public bool Usable { get; }

        /// <summary>Why it can't be used; empty when it can.</summary>
        public string Reason { get; }

        /// <summary>Its driver and the driver's version; empty when unknown.</summary>
        public string Driver { get; }

        /// <summary>Bytes of its own memory; 0 when unknown or it has none.</summary>
        public long MemoryBytes { get; }

        /// <summary>
        /// Whether it is hardware of its own, as far as is known: not a CPU, nor software that emulates a GPU.
        /// </summary>
        public bool Hardware { get; }

        /// <summary>
        /// Looks which devices there are: the CPU's, then each provider's, and for a provider without one an entry that
        /// says why. Loads ONNX Runtime when it can be found; devices that need it are unusable otherwise.
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
                    devices.Add(new DeviceInfo(&raw));
                }
                return devices;
            }
        }
    }
}
