using System;
using System.Runtime.InteropServices;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>Memory of every kind is read and written where it lies; what can't be right is refused by
    /// name.</summary>
    public sealed class VolumeTests
    {
        private static readonly long[] Shape = Fixture.Small;

        [Fact]
        public void ArraysOfEachType()
        {
            var ct = Fixture.Ct(Shape);
            foreach (var type in new[] { typeof(int), typeof(float), typeof(double) })
            {
                var converted = Array.CreateInstance(type, ct.Length);
                for (var i = 0; i < ct.Length; i++)
                {
                    converted.SetValue(Convert.ChangeType(ct[i], type), i);
                }
                Check(Fixture.Volume(Shape, converted));
            }
            var raised = new ushort[ct.Length];
            for (var i = 0; i < ct.Length; i++)
            {
                raised[i] = (ushort)(ct[i] + 1024);
            }
            var volume = Fixture.Volume(Shape, raised);
            volume.Intercept = -1024;
            Check(volume);
        }

        [Fact]
        public void BytesOfAFile()
        {
            var ct = Fixture.Ct(Shape);
            var bytes = new byte[2 * ct.Length + 10];
            Buffer.BlockCopy(ct, 0, bytes, 10, 2 * ct.Length);
            Check(Fixture.Volume(Shape, new VoxelBuffer(bytes, VoxelType.Int16) { Offset = 10 }));
            for (var i = 10; i < bytes.Length; i += 2)
            {
                Array.Reverse(bytes, i, 2);
            }
            var swapped = Fixture.Volume(Shape, new VoxelBuffer(bytes, VoxelType.Int16) { Offset = 10 });
            swapped.ByteSwapped = true;
            Check(swapped);
        }

        [Fact]
        public void VoxelsThatAreNoNumbers()
        {
            var ct = Fixture.Ct(Shape);
            var voxels = new float[ct.Length];
            Array.Copy(ct, voxels, ct.Length);
            var row = (int)Shape[0];
            voxels[3 + 2 * row] = float.NaN;
            voxels[4 + 2 * row] = float.NegativeInfinity;
            var volume = Fixture.Volume(Shape, voxels);
            var error = Assert.Throws<InputException>(() => Fixture.Plan.Segment(volume));
            Assert.Equal(Status.VoxelsNotFinite, error.Status);
            Assert.Equal("2", error.Details["found"]);
            Assert.Equal("0", error.Details["channel"]);
            Assert.Equal("3 2 0", error.Details["voxel"]);
            foreach (var how in new[] { NonFinite.Zero, NonFinite.Lowest })
            {
                var report = Fixture.Plan.Segment(volume, options: new SegmentOptions { NonFinite = how }).Report;
                Assert.Equal(2L, report.NonFiniteVoxels);
                Assert.Equal("0 3 2 0", string.Join(" ", report.FirstNonFinite));
                Assert.Equal(RunWarnings.NonFiniteReplaced, report.Warnings & RunWarnings.NonFiniteReplaced);
            }
        }

        [Fact]
        public void IntensitiesOfOtherUnits()
        {
            var voxels = new float[Fixture.Ct(Shape).Length];
            for (var i = 0; i < voxels.Length; i++)
            {
                voxels[i] = i / (float)voxels.Length;
            }
            var report = Fixture.Plan.Segment(Fixture.Volume(Shape, voxels)).Report;
            Assert.Equal(RunWarnings.UnusualIntensities, report.Warnings);
            Assert.True(report.FirstNonFinite == null && report.NonFiniteVoxels == 0);
        }

        [Fact]
        public void ArrayWithThreeIndices()
        {
            var ct = new short[Shape[2], Shape[1], Shape[0]];
            Buffer.BlockCopy(Fixture.Ct(Shape), 0, ct, 0, Buffer.ByteLength(ct));
            var volume = new Volume(ct) { Spacing = Fixture.Spacing };
            Assert.Equal(Shape, volume.Shape);
            Check(volume);
            Assert.Throws<ArgumentException>(() => new Volume(new short[4]));
        }

        [Fact]
        public void Strides()
        {
            var ct = Fixture.Ct(Shape);
            Array.Reverse(ct);
            long row = 2 * Shape[0], plane = row * Shape[1];
            var backwards = new VoxelBuffer(ct) { Strides = new[] { -2, -row, -plane }, Offset = 2 * (ct.Length - 1) };
            var labels = Fixture.Untouched(Shape);
            var reversed = new VoxelBuffer(labels)
            {
                Strides = new[] { -1, -Shape[0], -Shape[0] * Shape[1] }, Offset = labels.Length - 1,
            };
            var map = Fixture.Plan.Segment(
                Fixture.Volume(Shape, backwards), options: new SegmentOptions { Labels = reversed });
            Assert.Same(labels, map.Bytes);
            Array.Reverse(labels);
            Assert.Equal(Fixture.Expected(Shape), labels);
        }

        [Fact]
        public void NativeMemory()
        {
            var ct = Fixture.Ct(Shape);
            var voxels = Marshal.AllocHGlobal(2 * ct.Length);
            var labels = Marshal.AllocHGlobal(2 * ct.Length);
            try
            {
                Marshal.Copy(ct, 0, voxels, ct.Length);
                var volume = Fixture.Volume(Shape, new VoxelBuffer(voxels, 2 * ct.Length, VoxelType.Int16));
                var buffer = new VoxelBuffer(labels, 2 * ct.Length, VoxelType.UInt16);
                var map = Fixture.Plan.Segment(volume, options: new SegmentOptions { Labels = buffer });
                Assert.Throws<InvalidOperationException>(() => { var bytes = map.Bytes; });
                var written = new short[ct.Length];
                Marshal.Copy(labels, written, 0, written.Length);
                Assert.Equal(Array.ConvertAll(Fixture.Expected(Shape), label => (short)label), written);
                Assert.Equal(1.0, Comparison.Of(map.ToVolume(), Labels(Fixture.Expected(Shape)))[0].Dice);
            }
            finally
            {
                Marshal.FreeHGlobal(voxels);
                Marshal.FreeHGlobal(labels);
            }
            Assert.Throws<ArgumentNullException>(() => new VoxelBuffer(IntPtr.Zero, 1, VoxelType.Int16));
        }

        [Fact]
        public void MemoryOfAGpuIsForItsPlans()
        {
            var somewhere = new IntPtr(4096);
            var volume = Fixture.Volume(Shape, VoxelBuffer.OfDevice(somewhere, 1 << 20, VoxelType.Int16));
            var labels = new SegmentOptions { Labels = VoxelBuffer.OfDevice(somewhere, 1 << 20, VoxelType.UInt8) };
            foreach (var run in new Action[]
            {
                () => Fixture.Plan.Segment(volume),
                () => Fixture.Plan.Segment(Fixture.Volume(Shape), options: labels),
            })
            {
                Assert.Contains("plan on cuda or tensorrt", Assert.Throws<InputException>(run).Message);
            }
        }

        [Fact]
        public void GridComesBack()
        {
            var volume = Fixture.Volume(Shape);
            volume.Origin = new double[] { 1, 2, 3 };
            volume.Direction = new double[] { 0, 1, 0, 1, 0, 0, 0, 0, -1 };
            volume.Ras = true;
            var map = Fixture.Plan.Segment(volume);
            Assert.Equal(Shape, map.Shape);
            Assert.Equal(volume.Spacing, map.Spacing);
            Assert.Equal(volume.Origin, map.Origin);
            Assert.Equal(volume.Direction, map.Direction);
            Assert.True(map.Ras);
            Assert.Equal(Shape[0] * Shape[1] * Shape[2], map.Report.Voxels);
        }

        [Fact]
        public void Maps()
        {
            var count = Fixture.Expected(Shape).Length;
            float[] background = new float[count], entropy = new float[count];
            var margin = new byte[count];
            var options = new SegmentOptions
            {
                Maps = { VoxelMap.Probability(0, background), VoxelMap.Margin(margin), VoxelMap.Entropy(entropy) },
            };
            var labels = Fixture.Plan.Segment(Fixture.Volume(Shape), options: options).Bytes;
            Assert.Equal(Fixture.Expected(Shape), labels);
            for (var i = 0; i < count; i++)
            {
                Assert.InRange(background[i], labels[i] == 0 ? 1f / 24 : 0, labels[i] == 0 ? 1 : 0.5);
                Assert.InRange(entropy[i], 0, Math.Log(24) + 1e-3);
            }
            Assert.True(Array.Exists(margin, value => value > 0));
            options.Maps.Add(VoxelMap.Probability(99, new float[count]));
            Assert.Contains("99", Assert.Throws<InputException>(
                () => Fixture.Plan.Segment(Fixture.Volume(Shape), options: options)).Message);
            Assert.Throws<ArgumentNullException>(() => VoxelMap.Margin(null));
        }

        [Fact]
        public void Channels()
        {
            var two = Volume.OfChannels(new VoxelBuffer[] { Fixture.Ct(Shape), Fixture.Ct(Shape) }, 16, 12, 10);
            two.Spacing = Fixture.Spacing;
            var error = Assert.Throws<InputException>(() => Fixture.Plan.Segment(two));
            Assert.Equal(Status.VolumeMismatch, error.Status);
            Check(OneOf(Volume.OfChannels(new VoxelBuffer[] { Fixture.Ct(Shape) }, 16, 12, 10)));
            Assert.Throws<ArgumentException>(() => Volume.OfChannels(new VoxelBuffer[0], 16, 12, 10));
            Assert.Throws<ArgumentException>(
                () => Volume.OfChannels(new VoxelBuffer[] { new short[4], new int[4] }, 2, 2, 1));
            Assert.Throws<ArgumentNullException>(() => Volume.OfChannels(new VoxelBuffer[] { null }, 2, 2, 1));
        }

        [Fact]
        public void WrongArraysAreNamed()
        {
            var found = Assert.Throws<InputException>(() => Fixture.Plan.Segment(Fixture.Volume(Shape, new short[100])));
            Assert.Equal(Status.BufferTooSmall, found.Status);
            Assert.Contains("200", found.Message);
            Assert.Contains("Int64", Assert.Throws<ArgumentException>(() => Fixture.Volume(Shape, new long[4])).Message);
            Assert.Throws<ArgumentException>(() => Fixture.Volume(Shape, new bool[4]));
            Assert.Throws<ArgumentNullException>(() => new Volume((short[])null, 1, 1, 1));
            Assert.Throws<ArgumentNullException>(() => Fixture.Plan.Segment(null));
            Assert.Throws<ArgumentOutOfRangeException>(() => new Volume(new short[4], 1, -1, 1));

            var small = new SegmentOptions { Labels = new byte[100] };
            Assert.Equal(Status.BufferTooSmall, Assert.Throws<InputException>(
                () => Fixture.Plan.Segment(Fixture.Volume(Shape), options: small)).Status);
            var real = new SegmentOptions { Labels = new float[16 * 12 * 10] };
            Assert.Throws<InputException>(() => Fixture.Plan.Segment(Fixture.Volume(Shape), options: real));
            var same = new byte[16 * 12 * 10];
            Assert.Contains("memory", Assert.Throws<ArgumentException>(
                () => Fixture.Plan.Segment(
                    Fixture.Volume(Shape, same), options: new SegmentOptions { Labels = same })).Message);
            var twice = new SegmentOptions { Maps = { VoxelMap.Margin(same), VoxelMap.Margin(same) } };
            Assert.Throws<ArgumentException>(() => Fixture.Plan.Segment(Fixture.Volume(Shape), options: twice));
        }

        [Fact]
        public void WrongGridsAreNamed()
        {
            var volume = new Volume(Fixture.Ct(Shape), Shape[0], Shape[1], Shape[2]);
            Assert.Contains("Spacing", Assert.Throws<ArgumentException>(() => Fixture.Plan.Segment(volume)).Message);
            foreach (var spacing in new[] { 0, -1, double.NaN, double.PositiveInfinity })
            {
                volume.Spacing = new[] { 3, 3, spacing };
                var error = Assert.Throws<InputException>(() => Fixture.Plan.Segment(volume));
                Assert.Equal(Status.Geometry, error.Status);
            }
            Assert.Throws<ArgumentException>(() => volume.Spacing = new double[] { 3, 3 });
            Assert.Throws<ArgumentException>(() => volume.Direction = new double[3]);
            Assert.Throws<ArgumentNullException>(() => volume.Origin = null);
            volume.Spacing = Fixture.Spacing;
            volume.Direction = new double[] { 1, 0.5, 0, 0, 1, 0, 0, 0, 1 };
            Assert.Equal(Status.Geometry, Assert.Throws<InputException>(() => Fixture.Plan.Segment(volume)).Status);
            var huge = new Volume(new short[8], long.MaxValue, 2, 2) { Spacing = Fixture.Spacing };
            Assert.Contains("shape", Assert.Throws<InputException>(() => Fixture.Plan.Segment(huge)).Message);
        }

        [Fact]
        public void Comparisons()
        {
            var labels = Fixture.Expected(Shape);
            var moved = (byte[])labels.Clone();
            Array.Copy(labels, 0, moved, 1, labels.Length - 1);
            foreach (var same in Comparison.Of(Labels(labels), Labels(labels), tolerance: 1))
            {
                Assert.Equal(1.0, same.Dice);
                Assert.Equal(0.0, same.Hausdorff);
                Assert.Equal(same.Voxels[0], same.Both);
                Assert.Equal(same.Voxels[0] * 0.027, same.Milliliters[0], 9);
            }
            foreach (var other in Comparison.Of(Labels(labels), Labels(moved)))
            {
                Assert.True(other.Dice < 1);
                Assert.True(double.IsNaN(other.SurfaceDice));
            }
            var pairs = Comparison.Match(Fixture.Model, Fixture.Model, LabelMatch.Terms);
            Assert.True(pairs.Count > 10);
            Assert.Equal(pairs.Count, Comparison.Of(Labels(labels), Labels(moved), pairs, threads: 1).Count);
            Assert.Equal(0, Comparison.Of(Labels(labels), Labels(moved), new LabelPair[0]).Count);
            Assert.Throws<ArgumentOutOfRangeException>(
                () => Comparison.Of(Labels(labels), Labels(moved), tolerance: double.NaN));
            Assert.Throws<InputException>(() => Comparison.Of(Labels(labels), Fixture.Volume(Shape, new float[1920])));
        }

        private static Volume Labels(byte[] labels)
        {
            return Fixture.Volume(Shape, labels);
        }

        private static Volume OneOf(Volume volume)
        {
            volume.Spacing = Fixture.Spacing;
            return volume;
        }

        private static void Check(Volume volume)
        {
            Assert.Equal(Fixture.Expected(Shape), Fixture.Plan.Segment(volume).Bytes);
        }
    }
}
