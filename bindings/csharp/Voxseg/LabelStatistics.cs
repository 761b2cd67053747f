using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;

namespace Voxseg
{
    /// <summary> Size, place and intensities of a label. Indices are in the order of the volume's axes; intensities are
    /// NaN without an image. The numbers are TotalSegmentator's where it has them. </summary>
    public sealed unsafe class LabelStatistics
    {
        private LabelStatistics(vxs_label_statistics* raw)
        {
            Label = raw->label;
            Voxels = (long)raw->voxels;
            Milliliters = raw->milliliters;
            SurfaceArea = raw->surface_area;
            First = Checked.Copy(raw->first, 3);
            Last = Checked.Copy(raw->last, 3);
            CentroidIndex = Checked.Copy(raw->centroid_index, 3);
            Centroid = Checked.Copy(raw->centroid, 3);
            Margin = (long)raw->margin;
            Mean = raw->mean;
            Std = raw->std;
            Median = raw->median;
            Min = raw->min;
            Max = raw->max;
        }

        /// <summary>The label.</summary>
        public uint Label { get; }

        /// <summary>Voxels that have it.</summary>
        public long Voxels { get; }

        /// <summary>Their volume.</summary>
        public double Milliliters { get; }

        /// <summary>The area of its surface in square millimetres.</summary>
        public double SurfaceArea { get; }

        /// <summary>The first voxel along each axis.</summary>
        public long[] First { get; }

        /// <summary>The last voxel along each axis.</summary>
        public long[] Last { get; }

        /// <summary>The mean of its voxels' indices.</summary>
        public double[] CentroidIndex { get; }

        /// <summary>The mean of its voxels' positions in millimetres, in LPS coordinates.</summary>
        public double[] Centroid { get; }

        /// <summary>Voxels between it and the nearest face of the grid: 0 where the field of view may cut it.</summary>
        public long Margin { get; }

        /// <summary>The mean of the image's intensities in it.</summary>
        public double Mean { get; }

        /// <summary>Their standard deviation, over n.</summary>
        public double Std { get; }

        /// <summary>The one in the middle, or the mean of the two there.</summary>
        public double Median { get; }

        /// <summary>The smallest one.</summary>
        public double Min { get; }

        /// <summary>The largest one.</summary>
        public double Max { get; }

        /// <summary>Measures each label but 0 that occurs, in ascending order. Blocks.</summary>
        /// <param name="labels">A volume with one channel of integers.</param>
        /// <param name="image">An image on the same grid; null for none.</param>
        /// <param name="channel">Which of the image's channels.</param>
        /// <param name="options">Threads, progress, cancellation.</param>
        public static IReadOnlyList<LabelStatistics> Of(
            Volume labels, [AllowNull] Volume image = null, int channel = 0, [AllowNull] MeasureOptions options = null)
        {
            if (channel < 0)
            {
                throw new ArgumentOutOfRangeException("channel", channel, "expected a number from 0");
            }
            if (labels == null)
            {
                throw new ArgumentNullException("labels");
            }
            Library.Check();
            options = options ?? new MeasureOptions();
            StatisticsListHandle list;
            ErrorHandle error;
            using (var watch = new Watch(options.Progress, options.Cancellation))
            using (var call = new NativeCall())
            {
                vxs_volume rawLabels, rawImage;
                labels.Fill(&rawLabels, call);
                if (image != null)
                {
                    image.Fill(&rawImage, call);
                }
                vxs_measure_options raw;
                options.Fill(&raw, watch, call);
                var status = NativeMethods.vxs_statistics(
                    &rawLabels, image == null ? null : &rawImage, (ulong)channel, &raw, out list, out error);
                watch.Check(status, error);
            }
            using (list)
            {
                var found = new List<LabelStatistics>();
                for (ulong i = 0; i < NativeMethods.vxs_statistics_list_count(list); i++)
                {
                    vxs_label_statistics raw;
                    VoxsegException.Check(
                        NativeMethods.vxs_label_statistics_init(&raw, (ulong)sizeof(vxs_label_statistics)));
                    VoxsegException.Check(NativeMethods.vxs_statistics_list_get(list, i, &raw, out error), error);
                    found.Add(new LabelStatistics(&raw));
                }
                return found;
            }
        }
    }
}
