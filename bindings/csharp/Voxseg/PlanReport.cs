namespace Voxseg
{
    /// <summary>What a plan will do to a volume, known before it does it.</summary>
    public sealed unsafe class PlanReport
    {
        internal PlanReport(vxs_plan_report* raw)
        {
            Device = (Device)raw->device;
            DeviceIndex = (int)raw->device_index;
            Precision = (Precision)raw->precision;
            Threads = (int)raw->threads;
            NetworkShape = Checked.Copy(raw->network_shape, 3);
            Tiles = (long)raw->tiles;
            NetworkRuns = (long)raw->network_runs;
            HostPeakBytes = (long)raw->host_peak_bytes;
            DevicePeakBytes = (long)raw->device_peak_bytes;
            WeightBytes = (long)raw->weight_bytes;
            TileBatch = (int)raw->tile_batch;
            SharedBytes = (long)raw->shared_bytes;
            RunBytes = (long)raw->run_bytes;
            TilesInAll = (long)raw->tiles_in_all;
        }

        /// <summary>The device that runs the network.</summary>
        public Device Device { get; }

        /// <summary>Which of the provider's devices.</summary>
        public int DeviceIndex { get; }

        /// <summary>The precision, never <see cref="Precision.Auto"/>.</summary>
        public Precision Precision { get; }

        /// <summary>Threads.</summary>
        public int Threads { get; }

        /// <summary> Voxels of the image that the network sees, in the order of the volume's axes. Less where the
        /// volume has a margin of zeros, which is only cut off when the voxels are there. </summary>
        public long[] NetworkShape { get; }

        /// <summary>Tiles that networks compute, those of all folds, stages and members included.</summary>
        public long Tiles { get; }

        /// <summary>Times that the network runs: tiles times mirrorings.</summary>
        public long NetworkRuns { get; }

        /// <summary>Bytes that the run needs at its peak, weights included, your buffers not.</summary>
        public long HostPeakBytes { get; }

        /// <summary>As above in the device's own memory; 0 for a CPU.</summary>
        public long DevicePeakBytes { get; }

        /// <summary>Bytes of weights, all networks together; part of <see cref="HostPeakBytes"/>.</summary>
        public long WeightBytes { get; }

        /// <summary>Tiles that the network computes at once.</summary>
        public int TileBatch { get; }

        /// <summary>Bytes of <see cref="HostPeakBytes"/> that exist once, however many runs there are at
        /// once.</summary>
        public long SharedBytes { get; }

        /// <summary>Bytes that each run needs beside them.</summary>
        public long RunBytes { get; }

        /// <summary>Tiles of a run over the whole volume; more than <see cref="Tiles"/> for regions.</summary>
        public long TilesInAll { get; }
    }
}
