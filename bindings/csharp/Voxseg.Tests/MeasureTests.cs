using System;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>Numbers about labels, which are known here, over an image and a dose; what stops and what is
    /// refused.</summary>
    public sealed class MeasureTests
    {
        private static readonly long[] Shape = { 8, 8, 8 };

        private readonly byte[] labels = new byte[512];
        private readonly short[] ramp = new short[512];

        public MeasureTests()
        {
            // A rod of the label 9 in a ramp along x.
            for (var i = 0; i < labels.Length; i++)
            {
                int x = i % 8, y = i / 8 % 8, z = i / 64;
                labels[i] = (byte)(x >= 2 && x < 4 && y >= 2 && y < 5 && z >= 1 && z < 5 ? 9 : 0);
                ramp[i] = (short)(10 * x);
            }
        }

        [Fact]
        public void Statistics()
        {
            var last = 0.0;
            var progress = new Reports(now =>
            {
                Assert.Equal(Stage.Measure, now.Stage);
                Assert.InRange(now.Fraction, last, 1);
                last = now.Fraction;
            });
            var all = LabelStatistics.Of(Volume(labels), Volume(ramp), options: new MeasureOptions { Progress = progress });
            Assert.Equal(1, all.Count);
            Assert.Equal(1.0, last);
            var found = all[0];
            Assert.Equal(9u, found.Label);
            Assert.Equal(24L, found.Voxels);
            Assert.Equal(0.048, found.Milliliters, 9);
            Assert.Equal(new long[] { 2, 2, 1 }, found.First);
            Assert.Equal(new long[] { 3, 4, 4 }, found.Last);
            Assert.Equal(new[] { 2.5, 3, 2.5 }, found.CentroidIndex);
            Assert.Equal(new[] { 2.5, 3, 5 }, found.Centroid);
            Assert.Equal(1L, found.Margin);
            Assert.Equal(new[] { 25.0, 5, 25, 20, 30 }, new[] { found.Mean, found.Std, found.Median, found.Min, found.Max });
            var alone = LabelStatistics.Of(Volume(labels), options: new MeasureOptions { Threads = 1 })[0];
            Assert.True(double.IsNaN(alone.Mean));
            Assert.Equal(found.SurfaceArea, alone.SurfaceArea);
            var rounds = 0;
            var pool = new Executor((count, task) =>
            {
                Interlocked.Increment(ref rounds);
                Parallel.For(0, count, task);
            });
            var hosted = LabelStatistics.Of(Volume(labels), options: new MeasureOptions { Executor = pool })[0];
            Assert.Equal(found.SurfaceArea, hosted.SurfaceArea);
            Assert.Equal(1.0, Comparison.Of(Volume(labels), Volume(labels), tolerance: 1, executor: pool)[0].Dice);
            Assert.True(rounds > 0);
            Assert.Equal(0, LabelStatistics.Of(Volume(new byte[512])).Count);
        }

        [Fact]
        public void Dose()
        {
            var all = LabelDose.Of(Volume(labels), Volume(Array.ConvertAll(ramp, value => (float)value)));
            GC.Collect();
            var found = all[0];
            Assert.Equal(1, all.Count);
            Assert.Equal(9u, found.Label);
            Assert.Equal(24L, found.Voxels);
            Assert.Equal(0L, found.Outside);
            Assert.Equal(new[] { 25.0, 20, 30 }, new[] { found.Mean, found.Min, found.Max });
            Assert.Equal(new[] { 20.0, 30 }, found.DoseAtVolume(100, 0));
            Assert.Equal(new[] { 1.0, 0.5, 0 }, found.VolumeAtDose(0, 25, 31));
            Assert.Equal(0, found.VolumeAtDose().Length);
            Assert.Contains("percents", Assert.Throws<InputException>(() => found.DoseAtVolume(101)).Message);
        }

        [Fact]
        public void LabelsOnADoseGrid()
        {
            // Twice as coarse along x and y, beginning outside of the labels.
            var dose = Voxseg.Volume.Grid(5, 4, 8);
            dose.Spacing = new double[] { 2, 2, 2 };
            dose.Origin = new double[] { -2, 0, 0 };
            var found = LabelMap.OnGrid(Volume(labels), dose);
            Assert.Equal(new long[] { 5, 4, 8 }, found.Shape);
            Assert.Equal(new double[] { -2, 0, 0 }, found.Origin);
            var statistics = LabelStatistics.Of(found)[0];
            Assert.Equal(9u, statistics.Label);
            Assert.Equal(new long[] { 2, 1, 1 }, statistics.First);
            Assert.Equal(new long[] { 2, 2, 4 }, statistics.Last);
            Assert.Throws<ArgumentNullException>(() => LabelMap.OnGrid(Volume(labels), null));
            Assert.Throws<ArgumentException>(() => LabelMap.OnGrid(Volume(new float[512]), dose));
        }

        [Fact]
        public void Stopping()
        {
            using (var source = new CancellationTokenSource())
            {
                source.Cancel();
                var cancelled = new MeasureOptions { Cancellation = source.Token };
                Assert.Throws<OperationCanceledException>(() => LabelStatistics.Of(Volume(labels), options: cancelled));
                Assert.Throws<OperationCanceledException>(
                    () => Comparison.Of(Volume(labels), Volume(labels), cancellation: source.Token));
            }
            var surprise = new TimeoutException();
            var failing = new MeasureOptions { Progress = new Reports(_ => { throw surprise; }) };
            Assert.Same(surprise, Assert.Throws<TimeoutException>(
                () => LabelDose.Of(Volume(labels), Volume(ramp), failing)));
            Assert.Same(surprise, Assert.Throws<TimeoutException>(
                () => Comparison.Of(Volume(labels), Volume(labels), progress: failing.Progress)));
        }

        [Fact]
        public void Refused()
        {
            var smaller = Fixture.Volume(new long[] { 8, 8, 7 }, ramp);
            Assert.Contains("image", Assert.Throws<InputException>(() => LabelStatistics.Of(Volume(labels), smaller)).Message);
            Assert.Contains("channel", Assert.Throws<InputException>(
                () => LabelStatistics.Of(Volume(labels), Volume(ramp), 1)).Message);
            Assert.Throws<ArgumentOutOfRangeException>(() => LabelStatistics.Of(Volume(labels), Volume(ramp), -1));
            Assert.Throws<ArgumentNullException>(() => LabelDose.Of(Volume(labels), null));
            Assert.Throws<ArgumentOutOfRangeException>(
                () => LabelStatistics.Of(Volume(labels), options: new MeasureOptions { Threads = -1 }));
        }

        private static Volume Volume(VoxelBuffer voxels)
        {
            return new Volume(voxels, Shape[0], Shape[1], Shape[2]) { Spacing = new double[] { 1, 1, 2 } };
        }
    }
}
