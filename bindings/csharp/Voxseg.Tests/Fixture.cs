using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Text.RegularExpressions;

namespace Voxseg.Tests
{
    /// <summary> What the tests share: the example model with smaller tiles, which are quicker, a plan for it, and
    /// images of one or two tiles. </summary>
    internal static class Fixture
    {
        public static readonly string Repository = FindRepository();

        public static readonly string ModelFolder = Path.Combine(
            Repository, "examples/models/Dataset901_TorsoCT/nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres");

        public static readonly double[] Spacing = { 3, 3, 3 };

        public static readonly long[] Patch = { 32, 32, 32 };

        // One tile, and two.
        public static readonly long[] Small = { 16, 12, 10 };
        public static readonly long[] Wide = { 40, 12, 10 };

        private static readonly Lazy<Model> OpenedModel = new Lazy<Model>(Open);
        private static readonly Lazy<Plan> MadePlan = new Lazy<Plan>(() => new Plan(Model));
        private static readonly Dictionary<long, byte[]> Known = new Dictionary<long, byte[]>();

        public static Model Model
        {
            get { return OpenedModel.Value; }
        }

        public static Plan Plan
        {
            get { return MadePlan.Value; }
        }

        /// <summary>The example model's files.</summary>
        public static Dictionary<string, byte[]> Files()
        {
            var files = new Dictionary<string, byte[]>();
            foreach (var name in new[] { "plans.json", "dataset.json", "fold_0/checkpoint_final.pth" })
            {
                files[name] = File.ReadAllBytes(Path.Combine(ModelFolder, name));
            }
            return files;
        }

        /// <summary>A model of its own.</summary>
        public static Model Open()
        {
            var files = Files();
            var plans = Encoding.UTF8.GetString(files["plans.json"]);
            var smaller = Regex.Replace(plans, "(\"patch_size\": *)\\[[^]]*]", "$1[" + string.Join(", ", Patch) + "]");
            files["plans.json"] = Encoding.UTF8.GetBytes(smaller);
            return Model.OpenMemory(files);
        }

        /// <summary>Something that the model finds organs in: tissue with a bright rod, and noise.</summary>
        public static short[] Ct(long[] shape)
        {
            var voxels = new short[shape[0] * shape[1] * shape[2]];
            var noise = 7u;
            var i = 0;
            for (var z = 0; z < shape[2]; z++)
            {
                for (var y = 0; y < shape[1]; y++)
                {
                    for (var x = 0; x < shape[0]; x++)
                    {
                        noise = noise * 1664525 + 1013904223;
                        double dy = y - shape[1] / 2.0, dz = z - shape[2] / 2.0;
                        var tissue = dy * dy + dz * dz < 9 ? 250 : 40;
                        voxels[i++] = (short)(tissue + (int)(noise >> 26) - 32 + 5 * (x % 7));
                    }
                }
            }
            return voxels;
        }

        public static Volume Volume(long[] shape, VoxelBuffer voxels = null)
        {
            return new Volume(voxels ?? Ct(shape), shape[0], shape[1], shape[2]) { Spacing = Spacing };
        }

        /// <summary>The labels of <c>Ct(shape)</c>.</summary>
        public static byte[] Expected(long[] shape)
        {
            lock (Known)
            {
                byte[] labels;
                if (!Known.TryGetValue(shape[0], out labels))
                {
                    Known[shape[0]] = labels = Plan.Segment(Volume(shape)).Bytes;
                    if (new HashSet<byte>(labels).Count < 3)
                    {
                        throw new InvalidDataException("the model finds next to nothing in the test's image");
                    }
                }
                return (byte[])labels.Clone();
            }
        }

        /// <summary>Labels that a run must write whole or not at all.</summary>
        public static byte[] Untouched(long[] shape)
        {
            var labels = new byte[shape[0] * shape[1] * shape[2]];
            for (var i = 0; i < labels.Length; i++)
            {
                labels[i] = 77;
            }
            return labels;
        }

        private static string FindRepository()
        {
            var folder = Path.GetDirectoryName(typeof(Fixture).Assembly.Location);
            while (!File.Exists(Path.Combine(folder, "include/voxseg.h")))
            {
                folder = Path.GetDirectoryName(folder);
                if (folder == null)
                {
                    throw new DirectoryNotFoundException("the tests run inside of the repository");
                }
            }
            return folder;
        }
    }

    /// <summary>A receiver of progress that runs on the thread of the run, unlike Progress&lt;T&gt;.</summary>
    internal sealed class Reports : IProgress<SegmentProgress>
    {
        private readonly Action<SegmentProgress> receive;

        public Reports(Action<SegmentProgress> receive)
        {
            this.receive = receive;
        }

        public void Report(SegmentProgress value)
        {
            receive(value);
        }
    }
}
