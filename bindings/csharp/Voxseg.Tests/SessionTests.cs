using System;
using System.IO;
using System.Linq;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>An object that grows from a point; what is taken back, replayed and refused. The small model is among the
    /// reference data, which may be absent.</summary>
    public sealed class SessionTests
    {
        private static readonly long[] Shape = { 20, 16, 12 };

        private static string ModelFolder()
        {
            var set = Environment.GetEnvironmentVariable("VOXSEG_REFERENCE") ?? "../shared/reference";
            var folder = Path.Combine(Fixture.Repository, set, "coverage/nninteractive/model");
            if (Directory.Exists(folder))
            {
                return folder;
            }
            Console.Error.WriteLine("skipped: the reference data has no model that takes prompts here");
            return null;
        }

        private static Volume Image(out short[] voxels)
        {
            voxels = new short[Shape[0] * Shape[1] * Shape[2]];
            for (var i = 0; i < voxels.Length; i++)
            {
                voxels[i] = (short)(i % 20 < 10 ? 40 : 200 + i % 7);
            }
            return new Volume(new VoxelBuffer(voxels), Shape[0], Shape[1], Shape[2]) { Spacing = Fixture.Spacing };
        }

        [Fact]
        public void APointGrowsAnObject()
        {
            var folder = ModelFolder();
            if (folder == null)
            {
                return;
            }
            short[] voxels;
            var image = Image(out voxels);
            using (var model = Voxseg.Model.Open(folder))
            using (var plan = new Plan(model, new PlanOptions { Threads = 2 }))
            {
                var expected = Prompts.Point | Prompts.Box2d | Prompts.Scribble | Prompts.Lasso | Prompts.Mask;
                Assert.Equal(expected, Session.PromptsOf(model));
                Assert.True(Session.Estimate(plan, image).HostPeakBytes > voxels.Length);
                using (var session = new Session(plan, image, autozoom: false))
                {
                    session.Point(15, 8, 6);
                    var last = 0.0;
                    var report = session.Run(new Reports(now => last = now.Fraction));
                    Assert.Equal(1.0, last);
                    Assert.Equal(1L, report.NetworkRuns);
                    Assert.Equal(Shape, report.ChangedEnd);
                    var mask = session.Labels();
                    Assert.Equal(mask.Skip(20).Take(20), session.Labels(new[] { 0L, 1, 0 }, new[] { 20L, 2, 1 }));
                    var record = session.Record();

                    session.Box(new[] { 12L, 2, 6 }, new[] { 19L, 14, 7 }, 0);
                    session.Mask(Prompts.Scribble, new Volume(new byte[1, 1, 3]) { Spacing = Fixture.Spacing }, new[] { 1L, 2, 3 });
                    session.Undo();
                    session.Undo();
                    session.Undo();
                    Assert.True(session.Labels().All(label => label == 0));
                    session.Replay(record);
                    Assert.Equal(mask, session.Labels());
                    session.Reset();
                    Assert.True(session.Labels().All(label => label == 0));

                    Assert.Throws<InputException>(() => session.Point(20, 0, 0));
                    Assert.Throws<InputException>(() => session.Point(double.NaN, 0, 0));
                    Assert.Throws<InputException>(() => session.Box(new long[3], Shape));
                    Assert.Throws<InputException>(() => session.Labels(new long[3], new[] { 21L, 1, 1 }));
                    Assert.Throws<InputException>(() => session.Undo());
                }
            }
        }

        [Fact]
        public void OtherModelsTakeNone()
        {
            short[] voxels;
            var image = Image(out voxels);
            Assert.Equal(Prompts.None, Session.PromptsOf(Fixture.Model));
            var error = Assert.Throws<ModelException>(() => new Session(Fixture.Plan, image));
            Assert.Contains("takes no prompts", error.Message);
        }
    }
}
