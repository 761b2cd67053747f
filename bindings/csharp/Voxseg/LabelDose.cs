using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary>The dose in a label, in the unit of the dose volume. Any thread.</summary>
    public sealed unsafe class LabelDose
    {
        // All labels' doses together; freed when the last of them is collected.
        private readonly DoseListHandle list;
        private readonly ulong index;

        private LabelDose(DoseListHandle list, ulong index, vxs_label_dose* raw)
        {
            this.list = list;
            this.index = index;
            Label = raw->label;
            Voxels = (long)raw->voxels;
            Outside = (long)raw->outside;
            Mean = raw->mean;
            Min = raw->min;
            Max = raw->max;
        }

        /// <summary>The label.</summary>
        public uint Label { get; }

        /// <summary>Voxels that have it.</summary>
        public long Voxels { get; }

        /// <summary>Those of them that lie outside of the dose volume and count as a dose of 0.</summary>
        public long Outside { get; }

        /// <summary>The mean dose.</summary>
        public double Mean { get; }

        /// <summary>The smallest dose.</summary>
        public double Min { get; }

        /// <summary>The largest dose.</summary>
        public double Max { get; }

        /// <summary>D95, D2 and so on: for each of the per cents, the dose that this part of the label receives at
        /// least.</summary> <exception cref="InputException">One isn't from 0 to 100.</exception>
        public double[] DoseAtVolume(params double[] percents)
        {
            var doses = new double[percents.Length];
            ErrorHandle error;
            fixed (double* asked = percents, found = doses)
            {
                VoxsegException.Check(
                    NativeMethods.vxs_dose_list_dose_at_volume(list, index, asked, (ulong)percents.Length, found, out error), error);
            }
            return doses;
        }

        /// <summary> V20 and so on, or the cumulative histogram: for each dose the share of the label, 0 to 1, that
        /// receives at least that much. </summary>
        public double[] VolumeAtDose(params double[] doses)
        {
            var shares = new double[doses.Length];
            ErrorHandle error;
            fixed (double* asked = doses, found = shares)
            {
                VoxsegException.Check(
                    NativeMethods.vxs_dose_list_volume_at_dose(list, index, asked, (ulong)doses.Length, found, out error), error);
            }
            return shares;
        }

        /// <summary> Measures the dose that each label but 0 receives, in ascending order: sampled trilinearly at the
        /// centres of the label's voxels. Blocks. </summary> <param name="labels">A volume with one channel of
        /// integers.</param> <param name="dose">A volume with one channel, on any grid.</param> <param
        /// name="options">Threads, progress, cancellation.</param>
        public static IReadOnlyList<LabelDose> Of(Volume labels, Volume dose, [AllowNull] MeasureOptions options = null)
        {
            if (labels == null || dose == null)
            {
                throw new ArgumentNullException(labels == null ? "labels" : "dose");
            }
            Library.Check();
            options = options ?? new MeasureOptions();
            DoseListHandle list;
            ErrorHandle error;
            using (var watch = new Watch(options.Progress, options.Cancellation))
            using (var call = new NativeCall())
            {
                vxs_volume rawLabels, rawDose;
                labels.Fill(&rawLabels, call);
                dose.Fill(&rawDose, call);
                vxs_measure_options raw;
                options.Fill(&raw, watch, call);
                var status = NativeMethods.vxs_dose(&rawLabels, &rawDose, &raw, out list, out error);
                watch.Check(status, error);
            }
            var found = new List<LabelDose>();
            for (ulong i = 0; i < NativeMethods.vxs_dose_list_count(list); i++)
            {
                vxs_label_dose raw;
                VoxsegException.Check(NativeMethods.vxs_label_dose_init(&raw, (ulong)sizeof(vxs_label_dose)));
                VoxsegException.Check(NativeMethods.vxs_dose_list_get(list, i, &raw, out error), error);
                found.Add(new LabelDose(list, i, &raw));
            }
            return found;
        }
    }
}
