using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>Progress, the ways to stop a run, threads, and the collector at work meanwhile.</summary>
    public sealed class RunTests
    {
        private static readonly long[] Shape = Fixture.Wide;

        [Fact]
        public async Task ProgressIsTold()
        {
            var seen = new List<SegmentProgress>();
            var threads = new HashSet<int>();
            var progress = new Reports(now =>
            {
                seen.Add(now);
                threads.Add(Thread.CurrentThread.ManagedThreadId);
            });
            var caller = Thread.CurrentThread.ManagedThreadId;
            var map = await Fixture.Plan.SegmentAsync(Fixture.Volume(Shape), progress);
            Assert.Equal(Fixture.Expected(Shape), map.Bytes);
            Assert.Equal(2L, map.Report.Tiles);
            Assert.Equal(1, threads.Count);
            Assert.False(threads.Contains(caller));
            var stages = new HashSet<Stage>();
            var last = 0.0;
            foreach (var now in seen)
            {
                Assert.InRange(now.Fraction, last, 1);
                Assert.Equal(now.Stage == Stage.Preprocess ? 0L : 2L, now.Tiles);
                last = now.Fraction;
                stages.Add(now.Stage);
            }
            Assert.Equal(1.0, last);
            Assert.Equal(3, stages.Count);
        }

        [Fact]
        public void RecordTellsWhatARunWas()
        {
            var map = Fixture.Plan.Segment(Fixture.Volume(Shape), options: new SegmentOptions { Record = true });
            Assert.Contains(Fixture.Model.Identity, map.Record);
            Assert.Contains("labels_sha256", map.Record);
            Assert.True(Fixture.Plan.Segment(Fixture.Volume(Shape)).Record == null);
        }

        [Fact]
        public async Task CancelFromAnotherThread()
        {
            var labels = Fixture.Untouched(Shape);
            using (var source = new CancellationTokenSource())
            using (var started = new ManualResetEventSlim())
            using (var requested = new ManualResetEventSlim())
            {
                var other = new Thread(() =>
                {
                    started.Wait();
                    source.Cancel();
                    requested.Set();
                });
                other.Start();
                var tiles = 0L;
                var progress = new Reports(now =>
                {
                    tiles = now.TilesDone;
                    if (now.Stage == Stage.Network)
                    {
                        started.Set();
                        requested.Wait();
                    }
                });
                var task = Fixture.Plan.SegmentAsync(
                    Fixture.Volume(Shape), progress, source.Token, new SegmentOptions { Labels = labels });
                var error = await Thrown<OperationCanceledException>(task);
                Assert.Equal(source.Token, error.CancellationToken);
                Assert.True(task.IsCanceled);
                Assert.Equal(0L, tiles);
                other.Join();
            }
            Assert.Equal(Fixture.Untouched(Shape), labels);
            Assert.Equal(Fixture.Expected(Shape), Fixture.Plan.Segment(Fixture.Volume(Shape)).Bytes);
        }

        [Fact]
        public void TheHostsThreadsDoTheWork()
        {
            var rounds = 0;
            Executor pool = new Executor((count, task) =>
                {
                    Interlocked.Increment(ref rounds);
                    Parallel.For(0, count, task);
                }),
                lazy = new Executor((count, task) => { }),
                twice = new Executor((count, task) =>
                {
                    task(0);
                    task(0);
                    throw new InvalidOperationException("dropped");
                }, 2);
            foreach (var executor in new[] { pool, lazy, twice })
            {
                using (var plan = new Plan(Fixture.Model, new PlanOptions { Executor = executor }))
                {
                    GC.Collect();
                    Assert.Equal(Fixture.Expected(Shape), plan.Segment(Fixture.Volume(Shape)).Bytes);
                }
            }
            Assert.True(rounds > 0);
            Assert.Throws<ArgumentNullException>(() => new Executor(null));
            Assert.Throws<ArgumentOutOfRangeException>(() => new Executor((count, task) => { }, -1));
            var many = new PlanOptions { Executor = new Executor((count, task) => { }, 5000) };
            Assert.Throws<InputException>(() => new Plan(Fixture.Model, many));
        }

        [Fact]
        public async Task OpeningAndCompilingTellAndStop()
        {
            var stages = new HashSet<Stage>();
            var bytes = 0L;
            var progress = new Reports(now =>
            {
                stages.Add(now.Stage);
                bytes = Math.Max(bytes, now.BytesRead);
            });
            using (var model = await Model.OpenAsync(Fixture.ModelFolder, null, progress))
            using (var plan = await Plan.CreateAsync(model, null, progress))
            {
                plan.Trim();
                Assert.Equal(Fixture.Volume(Shape).VoxelCount, (long)plan.Segment(Fixture.Volume(Shape)).Bytes.Length);
                var surprise = new KeyNotFoundException("surprise");
                var failing = new Reports(_ => { throw surprise; });
                Assert.Same(surprise, Assert.Throws<KeyNotFoundException>(() => new Plan(model, null, failing)));
                Assert.Same(surprise, Assert.Throws<KeyNotFoundException>(
                    () => Model.Open(Fixture.ModelFolder, null, failing)));
            }
            Assert.True(stages.SetEquals(new[] { Stage.Open, Stage.Compile }));
            Assert.True(bytes > 100000, "only " + bytes + " bytes were told");
            using (var source = new CancellationTokenSource())
            {
                var stopping = new Reports(_ => source.Cancel());
                var task = Model.OpenAsync(Fixture.ModelFolder, null, stopping, source.Token);
                await Thrown<OperationCanceledException>(task);
                Assert.True(task.IsCanceled);
            }
        }

        [Fact]
        public void ReceiversDoNotKnowOfEachOther()
        {
            int first = 0, second = 0;
            var voxels = new short[Shape[0] * Shape[1] * Shape[2]];
            var warned = Fixture.Volume(Shape, voxels);
            using (Log.Receive((level, message) => Interlocked.Increment(ref second)))
            {
                using (Log.Receive((level, message) => Interlocked.Increment(ref first)))
                {
                    Fixture.Plan.Segment(warned);
                }
                Assert.True(first > 0 && second == first, first + " and " + second + " messages");
                var before = first;
                Fixture.Plan.Segment(warned);
                Assert.True(first == before && second > before, first + " and " + second + " messages");
            }
            Assert.Throws<ArgumentNullException>(() => Log.Receive(null));
        }

        [Fact]
        public void AModelIsInspectedWithoutItsWeights()
        {
            Assert.Contains("\"name\":\"" + Fixture.Model.Name + "\"", Model.Inspect(Fixture.ModelFolder));
            Assert.Throws<ModelException>(() => Model.Inspect("no/such/model"));
            Assert.Throws<ArgumentNullException>(() => Model.Inspect(null));
            Assert.Contains(Library.Version, Library.BuildInfo);
        }

        [Fact]
        public async Task CancelBeforeTheStart()
        {
            using (var source = new CancellationTokenSource())
            {
                source.Cancel();
                var reports = 0;
                var progress = new Reports(_ => reports++);
                Assert.Throws<OperationCanceledException>(
                    () => Fixture.Plan.Segment(Fixture.Volume(Shape), progress, source.Token));
                var task = Fixture.Plan.SegmentAsync(Fixture.Volume(Shape), progress, source.Token);
                await Thrown<OperationCanceledException>(task);
                Assert.True(task.IsCanceled);
                Assert.Equal(0, reports);
            }
        }

        [Fact]
        public async Task WhatProgressThrowsComesOut()
        {
            var labels = Fixture.Untouched(Shape);
            var surprise = new KeyNotFoundException("surprise");
            var calls = 0;
            var progress = new Reports(now =>
            {
                calls++;
                if (now.TilesDone == 1)
                {
                    throw surprise;
                }
            });
            var options = new SegmentOptions { Labels = labels };
            Assert.Same(surprise, Assert.Throws<KeyNotFoundException>(
                () => Fixture.Plan.Segment(Fixture.Volume(Shape), progress, CancellationToken.None, options)));
            var before = calls;
            var task = Fixture.Plan.SegmentAsync(Fixture.Volume(Shape), progress, CancellationToken.None, options);
            Assert.Same(surprise, await Thrown<KeyNotFoundException>(task));
            Assert.True(task.IsFaulted);
            Assert.Equal(2 * before, calls);
            Assert.Equal(Fixture.Untouched(Shape), labels);
        }

        [Fact]
        public void PlanSaysThatItIsBusy()
        {
            Exception second = null;
            var map = Fixture.Plan.Segment(
                Fixture.Volume(Shape),
                new Reports(now =>
                {
                    if (second == null)
                    {
                        second = Fixture.Plan.SegmentAsync(Fixture.Volume(Fixture.Small)).ContinueWith(
                            task => task.Exception.InnerException).Result;
                    }
                }));
            Assert.Equal(typeof(PlanBusyException), second.GetType());
            Assert.Equal(Fixture.Expected(Shape), map.Bytes);
        }

        [Fact]
        public async Task ManyPlansRunAtOnce()
        {
            var plans = new List<Plan>();
            var tasks = new List<Task<LabelMap>>();
            for (var i = 0; i < 8; i++)
            {
                plans.Add(new Plan(Fixture.Model, new PlanOptions { Threads = 1 }));
                tasks.Add(plans[i].SegmentAsync(Fixture.Volume(Fixture.Small)));
            }
            foreach (var map in await Task.WhenAll(tasks))
            {
                Assert.Equal(Fixture.Expected(Fixture.Small), map.Bytes);
            }
            plans.ForEach(plan => plan.Dispose());
        }

        [Fact]
        public void DisposedWhileItRuns()
        {
            var plan = new Plan(Fixture.Model);
            var map = plan.Segment(Fixture.Volume(Shape), new Reports(_ => plan.Dispose()));
            Assert.Equal(Fixture.Expected(Shape), map.Bytes);
            Assert.Throws<ObjectDisposedException>(() => plan.Segment(Fixture.Volume(Shape)));
        }

        [Fact]
        public async Task CollectorMeetsNativeCode()
        {
            var stop = false;
            var collector = new Thread(() =>
            {
                while (!Volatile.Read(ref stop))
                {
                    var garbage = new byte[1 << 16];
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                    Thread.Sleep(1);
                    GC.KeepAlive(garbage);
                }
            });
            collector.Start();
            try
            {
                for (var round = 0; round < 20; round++)
                {
                    // Nothing here holds the plan, the model or the image but the run itself.
                    var map = await Abandoned();
                    Assert.Equal(Fixture.Expected(Shape), map.Bytes);
                }
            }
            finally
            {
                Volatile.Write(ref stop, true);
                collector.Join();
            }
        }

        [Fact]
        public void CollectorFreesWhatWasForgotten()
        {
            var alive = Forgotten();
            for (var i = 0; i < 20 && alive.IsAlive; i++)
            {
                // The stack of this thread may still show it to a conservative collector.
                var other = new Thread(() =>
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                });
                other.Start();
                other.Join();
            }
            Assert.False(alive.IsAlive);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static Task<LabelMap> Abandoned()
        {
            var progress = new Reports(_ => GC.Collect());
            return new Plan(Fixture.Open()).SegmentAsync(Fixture.Volume(Shape), progress);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static WeakReference Forgotten()
        {
            WeakReference alive = null;
            var maker = new Thread(() =>
            {
                var plan = new Plan(Fixture.Open());
                plan.Segment(Fixture.Volume(Fixture.Small), new Reports(_ => { }));
                alive = new WeakReference(plan);
            });
            maker.Start();
            maker.Join();
            return alive;
        }

        /// <summary>As Assert.ThrowsAsync, for classes derived from the one expected too.</summary>
        private static async Task<T> Thrown<T>(Task task) where T : Exception
        {
            try
            {
                await task;
            }
            catch (T exception)
            {
                return exception;
            }
            throw new InvalidOperationException("nothing was thrown");
        }
    }
}
