using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>What a run did.</summary>
    public sealed unsafe class RunReport
    {
        internal RunReport(vxs_run_report* raw)
        {
            Tiles = (long)raw->tiles;
            TilesInAll = (long)raw->tiles_in_all;
            Voxels = (long)raw->voxels;
            NearTies = (long)raw->near_ties;
            TilesInSingle = (long)raw->tiles_in_single;
            TilesOnDevice = (long)raw->tiles_on_device;
            TileBatch = (int)raw->tile_batch;
            MemoryStep = (MemoryStep)raw->memory_step;
            PreprocessSeconds = raw->preprocess_seconds;
            NetworkSeconds = raw->network_seconds;
            BlendSeconds = raw->blend_seconds;
            RestoreSeconds = raw->restore_seconds;
            TotalSeconds = raw->total_seconds;
            ProcessPeakBytes = (long)raw->process_peak_bytes;
            NonFiniteVoxels = (long)raw->non_finite_voxels;
            var first = new long[4];
            for (var i = 0; i < first.Length; i++)
            {
                first[i] = (long)raw->first_non_finite[i];
            }
            FirstNonFinite = NonFiniteVoxels > 0 ? first : null;
            Warnings = (RunWarnings)raw->warnings;
            FinalVoxels = (long)raw->final_voxels;
            FinalPart = new VoxelBox(&raw->final_part);
        }

        /// <summary>Tiles that the network computed, folds included.</summary>
        public long Tiles { get; }

        /// <summary>Tiles that a run over the whole volume computes; more where regions were asked for.</summary>
        public long TilesInAll { get; }

        /// <summary>Voxels of the label map, or of the regions.</summary>
        public long Voxels { get; }

        /// <summary> Voxels whose two best classes differ in probability by at most 0.01: only there may another
        /// implementation of the same model decide otherwise. </summary>
        public long NearTies { get; }

        /// <summary>Runs of the network that overflowed half precision and were repeated in single.</summary>
        public long TilesInSingle { get; }

        /// <summary>Tiles that were cut and blended in the device's memory, beside their computing.</summary>
        public long TilesOnDevice { get; }

        /// <summary>Tiles that the network computed at once.</summary>
        public int TileBatch { get; }

        /// <summary>What the device's memory wasn't enough for.</summary>
        public MemoryStep MemoryStep { get; }

        /// <summary>Seconds spent on reading, cropping, normalising and resampling the volume.</summary>
        public double PreprocessSeconds { get; }

        /// <summary>Seconds spent in the network.</summary>
        public double NetworkSeconds { get; }

        /// <summary>Seconds spent on cutting and blending tiles.</summary>
        public double BlendSeconds { get; }

        /// <summary>Seconds spent on bringing the labels onto the volume's grid.</summary>
        public double RestoreSeconds { get; }

        /// <summary>Seconds from the call to its return.</summary>
        public double TotalSeconds { get; }

        /// <summary>Most memory that the whole process ever had resident, in bytes; 0 where the system doesn't
        /// tell.</summary>
        public long ProcessPeakBytes { get; }

        /// <summary> Voxels of all channels that are NaN or infinite and were read as <see
        /// cref="SegmentOptions.NonFinite"/> says. </summary>
        public long NonFiniteVoxels { get; }

        /// <summary>The first of them: channel, and index along each axis of the volume; null where there are
        /// none.</summary>
        [MaybeNull]
        public IReadOnlyList<long> FirstNonFinite { get; }

        /// <summary>What may make the labels wrong. <see cref="Log"/> gets a sentence for each, and so has the
        /// record.</summary>
        public RunWarnings Warnings { get; }

        /// <summary>Voxels whose labels are final and in the buffer.</summary>
        public long FinalVoxels { get; }

        /// <summary>Of those the box that was completed last.</summary>
        public VoxelBox FinalPart { get; }
    }
}
