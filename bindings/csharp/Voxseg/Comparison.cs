using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Threading;

namespace Voxseg
{
    /// <summary>A label of one map and the one of another that means the same.</summary>
    public struct LabelPair
    {
        /// <summary>Two values.</summary>
        public LabelPair(uint first, uint second)
        {
            First = first;
            Second = second;
        }

        /// <summary>Its value in the first map.</summary>
        public uint First { get; }

        /// <summary>Its value in the second map.</summary>
        public uint Second { get; }
    }

    /// <summary> How a label of the first map and one of the second agree. Numbers that aren't defined are NaN:
    /// overlaps of labels that don't occur, and distances where no tolerance was given. Distances to a label that
    /// doesn't occur are infinite. </summary>
    public sealed unsafe class Comparison
    {
        private Comparison(vxs_comparison* raw)
        {
            Surfaces = raw->surfaces != 0;
            Pair = new LabelPair(raw->pair.first, raw->pair.second);
            Voxels = Checked.Copy(raw->voxels, 2);
            Both = (long)raw->both;
            Milliliters = Checked.Copy(raw->milliliters, 2);
            Dice = raw->dice;
            Hausdorff = raw->hausdorff;
            Hausdorff95 = raw->hausdorff_95;
            MeanDistance = raw->mean_distance;
            SurfaceDice = raw->surface_dice;
        }

        /// <summary>Whether surfaces were compared.</summary>
        public bool Surfaces { get; }

        /// <summary>The labels.</summary>
        public LabelPair Pair { get; }

        /// <summary>Voxels of each, on the first map's grid.</summary>
        public long[] Voxels { get; }

        /// <summary>Voxels that have both.</summary>
        public long Both { get; }

        /// <summary>Volume of each.</summary>
        public double[] Milliliters { get; }

        /// <summary>The Dice coefficient.</summary>
        public double Dice { get; }

        /// <summary>The largest distance from either surface to the other, in millimetres.</summary>
        public double Hausdorff { get; }

        /// <summary>The distance that 95 % of a surface's area keep within, of that surface for which it is
        /// larger.</summary>
        public double Hausdorff95 { get; }

        /// <summary>The mean distance over both surfaces.</summary>
        public double MeanDistance { get; }

        /// <summary>The share of both surfaces' area that is within the tolerance of the other surface.</summary>
        public double SurfaceDice { get; }

        /// <summary>The labels of two models that mean the same, in the order of the first model's labels.</summary>
        public static IReadOnlyList<LabelPair> Match(Model first, Model second, LabelMatch by = LabelMatch.Name)
        {
            if (first == null || second == null)
            {
                throw new ArgumentNullException(first == null ? "first" : "second");
            }
            var capacity = NativeMethods.vxs_model_label_count(first.Handle);
            var raw = new vxs_label_pair[capacity];
            ulong count;
            ErrorHandle error;
            fixed (vxs_label_pair* pairs = raw)
            {
                VoxsegException.Check(
                    NativeMethods.vxs_match_labels(
                        first.Handle, second.Handle, (int)by, capacity, pairs, &count, out error),
                    error);
            }
            var found = new List<LabelPair>();
            for (ulong i = 0; i < count; i++)
            {
                found.Add(new LabelPair(raw[i].first, raw[i].second));
            }
            return found;
        }

        /// <summary>Compares two label maps: volumes with one channel of integers, also on different grids.</summary>
        /// <param name="first">Its grid is the one that both are compared on.</param> <param name="second">Brought to
        /// the first one's grid, each voxel to the nearest.</param> <param name="pairs">What to compare; null
        /// (default): each value but 0 that occurs, with itself.</param> <param name="tolerance"> Compares surfaces
        /// too: the tolerance of surface Dice in millimetres, from 0. Null (default): not, which is faster. </param>
        /// <param name="threads">0 (default): all processors of this process.</param> <param name="progress">Is told
        /// the progress on the calling thread. What it throws ends the work and comes out.</param> <param
        /// name="cancellation">Stops the work.</param> <param name="executor">The host's threads to work on. Null
        /// (default): the library starts threads, which end with the call.</param>
        public static IReadOnlyList<Comparison> Of(
            Volume first, Volume second, [AllowNull] IEnumerable<LabelPair> pairs = null, double? tolerance = null, int threads = 0,
            [AllowNull] IProgress<SegmentProgress> progress = null, CancellationToken cancellation = default(CancellationToken),
            [AllowNull] Executor executor = null)
        {
            if (first == null || second == null)
            {
                throw new ArgumentNullException(first == null ? "first" : "second");
            }
            if (tolerance != null && !(tolerance >= 0))
            {
                throw new ArgumentOutOfRangeException("tolerance", tolerance, "expected millimetres from 0");
            }
            if (threads < 0)
            {
                throw new ArgumentOutOfRangeException("threads", threads, "expected a number of threads, or 0 for all");
            }
            Library.Check();
            ComparisonListHandle list;
            ErrorHandle error;
            using (var watch = new Watch(progress, cancellation))
            using (var call = new NativeCall())
            {
                vxs_volume rawFirst, rawSecond;
                first.Fill(&rawFirst, call);
                second.Fill(&rawSecond, call);
                vxs_compare_options options;
                VoxsegException.Check(NativeMethods.vxs_compare_options_init(&options, (ulong)sizeof(vxs_compare_options)));
                options.threads = (uint)threads;
                options.surfaces = tolerance == null ? 0 : 1;
                options.tolerance = tolerance ?? 0;
                if (pairs != null)
                {
                    var raw = new List<vxs_label_pair>();
                    foreach (var pair in pairs)
                    {
                        raw.Add(new vxs_label_pair { first = pair.First, second = pair.Second });
                    }
                    if (raw.Count == 0)
                    {
                        return new Comparison[0];
                    }
                    options.pairs = (vxs_label_pair*)call.Pin(raw.ToArray());
                    options.pair_count = (ulong)raw.Count;
                }
                options.progress = watch.Receiver;
                options.user_data = watch.UserData;
                options.cancel = watch.Cancel(call);
                options.executor = Executor.Lend(executor, call);
                var status = NativeMethods.vxs_compare(&rawFirst, &rawSecond, &options, out list, out error);
                watch.Check(status, error);
            }
            using (list)
            {
                var found = new List<Comparison>();
                for (ulong i = 0; i < NativeMethods.vxs_comparison_list_count(list); i++)
                {
                    vxs_comparison raw;
                    VoxsegException.Check(NativeMethods.vxs_comparison_init(&raw, (ulong)sizeof(vxs_comparison)));
                    VoxsegException.Check(NativeMethods.vxs_comparison_list_get(list, i, &raw, out error), error);
                    found.Add(new Comparison(&raw));
                }
                return found;
            }
        }
    }
}
