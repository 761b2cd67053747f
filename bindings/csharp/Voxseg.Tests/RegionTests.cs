using System;
using System.Collections.Generic;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>Regions, and labels as they come.</summary>
    public sealed class RegionTests
    {
        private static readonly long[] Shape = Fixture.Wide;

        [Fact]
        public void LabelsOfARegionAreThoseOfTheWholeRun()
        {
            var labels = Fixture.Untouched(Shape);
            var options = new SegmentOptions { Labels = labels };
            // The last voxels along x, which only one of the two tiles sees.
            options.Regions.Add(new VoxelBox(new long[] { 38, 2, 3 }, new long[] { 40, 9, 8 }));
            var planned = Fixture.Plan.Estimate(Fixture.Volume(Shape), options);
            Assert.Equal(1L, planned.Tiles);
            Assert.Equal(2L, planned.TilesInAll);
            var map = Fixture.Plan.Segment(Fixture.Volume(Shape), options: options);
            Assert.Equal(1L, map.Report.Tiles);
            Assert.Equal(2L, map.Report.TilesInAll);
            Assert.Equal(70L, map.Report.FinalVoxels);
            Assert.Equal(new long[] { 40, 9, 8 }, map.Report.FinalPart.End);
            var expected = Fixture.Expected(Shape);
            for (var i = 0; i < labels.Length; i++)
            {
                long x = i % Shape[0], y = i / Shape[0] % Shape[1], z = i / Shape[0] / Shape[1];
                var inside = x >= 38 && y >= 2 && y < 9 && z >= 3 && z < 8;
                Assert.Equal(inside ? expected[i] : (byte)77, labels[i]);
            }
        }

        [Fact]
        public void BoxesThatLeaveTheVolumeAreRefused()
        {
            var options = new SegmentOptions();
            options.Regions.Add(new VoxelBox(new long[] { 0, 0, 0 }, new long[] { 41, 1, 1 }));
            Assert.Throws<InputException>(() => Fixture.Plan.Segment(Fixture.Volume(Shape), options: options));
            Assert.Throws<ArgumentException>(() => new VoxelBox(new long[] { 0 }, new long[] { 1 }));
        }

        [Fact]
        public void LabelsComeWhenTheyAreFinal()
        {
            var labels = Fixture.Untouched(Shape);
            var parts = new List<LabelsSoFar>();
            var options = new SegmentOptions { Labels = labels, OnLabels = parts.Add };
            Fixture.Plan.Segment(Fixture.Volume(Shape), options: options);
            Assert.Equal(Fixture.Expected(Shape), labels);
            long voxels = 0;
            foreach (var now in parts)
            {
                Assert.True(now.IsFinal);
                Assert.Equal(0, now.Complete.Count);
                var size = 1L;
                for (var axis = 0; axis < 3; axis++)
                {
                    size *= now.Part.End[axis] - now.Part.Start[axis];
                }
                voxels += size;
            }
            Assert.Equal((long)labels.Length, voxels);

            options.OnLabels = now => { throw new InvalidOperationException("from the callback"); };
            Assert.Throws<InvalidOperationException>(
                () => Fixture.Plan.Segment(Fixture.Volume(Shape), options: options));
        }
    }
}
