using System;
using System.Collections.Generic;
using System.IO;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>Models, plans, devices, and what they tell.</summary>
    public sealed class ModelTests
    {
        [Fact]
        public void ModelTellsAboutItself()
        {
            var model = Fixture.Model;
            Assert.Equal("Dataset901_TorsoCT", model.Name);
            Assert.Contains("voxseg1:sha256:", model.Identity);
            Assert.Equal(79, model.Identity.Length);
            Assert.Equal(new[] { "CT" }, model.Channels);
            Assert.Equal(24, model.Labels.Count);
            Assert.Equal("background", model.Labels[0].Name);
            Assert.Equal(Fixture.Patch, model.Patch);
            Assert.Equal(Fixture.Spacing, model.Spacing);
            Assert.Contains("\"labels\"", model.Describe());
            var liver = Find(model, "liver");
            Assert.Equal("10200004", liver.Terms[TermRole.Type].Code);
            Assert.Equal("SCT", liver.Terms[TermRole.Type].Scheme);
            Assert.False(liver.Terms.ContainsKey(TermRole.Modifier));
        }

        [Fact]
        public void HeadersAreReadByTheModelsReader()
        {
            Assert.Equal(Reader.Itk, Fixture.Model.Reader);
            var header = new byte[352];
            Action<int, byte[]> put = (at, bytes) => bytes.CopyTo(header, at);
            put(0, BitConverter.GetBytes(348));
            var at16 = new Dictionary<int, short> { { 40, 3 }, { 42, 4 }, { 44, 5 }, { 46, 6 }, { 70, 1024 }, { 254, 2 } };
            foreach (var field in at16)
            {
                put(field.Key, BitConverter.GetBytes(field.Value));
            }
            var at32 = new Dictionary<int, float> { { 76, 1 }, { 80, 1 }, { 84, 1 }, { 88, 1 }, { 108, 352 }, { 112, 2 } };
            at32.Add(280, 3);
            at32.Add(300, 3);
            at32.Add(320, 3);
            foreach (var field in at32)
            {
                put(field.Key, BitConverter.GetBytes(field.Value));
            }
            put(344, new byte[] { (byte)'n', (byte)'+', (byte)'1', 0 });
            var its = new NiftiHeader(header, Fixture.Model.Reader);
            Assert.Equal(new double[] { 1, 1, 1 }, its.Grid.Spacing);
            Assert.Equal(new long[] { 4, 5, 6 }, its.Grid.Shape);
            Assert.True(its.Type == null && its.DataType == 1024 && its.DataOffset == 352 && its.Channels == 1);
            Assert.True(its.Slope == 2 && its.Intercept == 0 && !its.IsSwapped);
            Assert.Contains("pixdim says", its.Note);
            Assert.Equal(new double[] { 3, 3, 3 }, new NiftiHeader(header, Reader.Nibabel).Grid.Spacing);
            Assert.Throws<InputException>(() => new NiftiHeader(new byte[10], Reader.Itk));
        }

        [Fact]
        public void FolderAndMemoryAreTheSameModel()
        {
            using (Model folder = Model.Open(Fixture.ModelFolder), memory = Model.OpenMemory(Fixture.Files()))
            {
                Assert.Equal(folder.Identity, memory.Identity);
                Assert.False(folder.Identity == Fixture.Model.Identity);
                Assert.Equal(new long[] { 96, 80, 64 }, folder.Patch);
            }
        }

        [Fact]
        public void EnsembleOfOneModelComputesTheSame()
        {
            using (var twice = Model.Ensemble(Fixture.Model, Fixture.Open()))
            using (var plan = new Plan(twice))
            {
                Assert.Equal(Fixture.Expected(Fixture.Small), plan.Segment(Fixture.Volume(Fixture.Small)).Bytes);
            }
            Assert.Throws<InputException>(() => Model.Ensemble());
            Assert.Throws<ArgumentNullException>(() => Model.Ensemble(Fixture.Model, null));
        }

        [Fact]
        public void TaskIsUsedAsAModel()
        {
            Assert.True(new List<string>(Model.Tasks).Contains("total"));
            var file = Path.Combine(Fixture.Repository, "examples/models/organs.task.json");
            using (var task = Model.OpenTask(file, Path.Combine(Fixture.Repository, "examples/models")))
            using (var plan = new Plan(task))
            {
                Assert.Equal(4, task.Labels.Count);
                var labels = plan.Segment(Fixture.Volume(Fixture.Small)).Bytes;
                Assert.True(Array.TrueForAll(labels, label => label < 4));
            }
            using (var task = Model.OpenTask(
                file, Path.Combine(Fixture.Repository, "examples/models"), new TaskOptions { OnNetworkGrid = true }))
            using (var plan = new Plan(task))
            {
                var coarse = Fixture.Volume(Fixture.Small);
                coarse.Spacing = new double[] { 6, 6, 6 };
                var grid = plan.LabelGrid(coarse);
                Assert.Equal(new double[] { 3, 3, 3 }, grid.Spacing);
                var map = plan.Segment(coarse);
                Assert.Equal(grid.Shape, map.Shape);
                Assert.Equal(grid.Shape[0] * grid.Shape[1] * grid.Shape[2], (long)map.Bytes.Length);
                Assert.Equal(2 * coarse.Shape[0], map.Shape[0]);
            }
            foreach (var unsuited in new[] {
                new TaskOptions { LegacyV1Labels = true }, new TaskOptions { CropToBody = true, Smooth = true } })
            {
                Assert.Throws<InputException>(() => Model.OpenTask("total_mr", "no/such/folder", unsuited));
            }
            var missing = Assert.Throws<ModelException>(
                () => Model.OpenTask("total", "no/such/folder", new TaskOptions { Subset = new[] { "liver" } }));
            Assert.Contains("Dataset291", missing.Message);
            Assert.Contains("Apache-2.0", missing.Message);
            Assert.Contains("tail", Assert.Throws<InputException>(
                () => Model.OpenTask("total", "no/such/folder", new TaskOptions { Subset = new[] { "tail" } })).Message);
        }

        [Fact]
        public void BadModelsAreNamed()
        {
            var missing = Assert.Throws<ModelException>(() => Model.Open("no/such/mödel"));
            Assert.Contains("no/such/mödel", missing.Message);
            Assert.Equal(2, (int)missing.Status / 100);
            Assert.Throws<ArgumentNullException>(() => Model.Open(null));
            Assert.Throws<ArgumentException>(() => Model.Open("a\0b"));
            var fold = Assert.Throws<ModelException>(
                () => Model.Open(Fixture.ModelFolder, new ModelOptions { Folds = new[] { ModelOptions.FoldAll } }));
            Assert.Contains("fold_all", fold.Message);
            var truncated = new Dictionary<string, byte[]> { { "plans.json", new byte[] { 1 } } };
            Assert.Throws<ModelException>(() => Model.OpenMemory(truncated));
            Assert.Throws<ModelException>(() => Model.OpenMemory(new Dictionary<string, byte[]>()));
        }

        [Fact]
        public void PlanTellsWhatItWillDo()
        {
            var report = Fixture.Plan.Estimate(Fixture.Volume(Fixture.Wide));
            Assert.Equal(2L, report.Tiles);
            Assert.Equal(Precision.Float32, report.Precision);
            Assert.True(report.HostPeakBytes > report.WeightBytes && report.WeightBytes > 0);
            var grid = Volume.Grid(40, 12, 10);
            grid.Spacing = Fixture.Spacing;
            Assert.Equal(report.HostPeakBytes, Fixture.Plan.Estimate(grid).HostPeakBytes);
            Assert.Contains("{", Fixture.Plan.Describe());
        }

        [Fact]
        public void OptionsReachThePlan()
        {
            var options = new PlanOptions { Threads = 1, Step = 0.05 };
            using (var plan = new Plan(Fixture.Model, options))
            {
                var report = plan.Estimate(Fixture.Volume(Fixture.Wide));
                Assert.Equal(1, report.Threads);
                Assert.Equal(6L, report.Tiles);
                options.MemoryBudget = report.HostPeakBytes - 1;
            }
            using (var plan = new Plan(Fixture.Model, options))
            {
                var error = Assert.Throws<MemoryBudgetException>(() => plan.Segment(Fixture.Volume(Fixture.Wide)));
                Assert.Equal(Status.MemoryBudget, error.Status);
                Assert.True(error.Details.ContainsKey("budget"));
            }
            var step = Assert.Throws<InputException>(() => new Plan(Fixture.Model, new PlanOptions { Step = 2 }));
            Assert.Contains("step", step.Message);
            Assert.Throws<ArgumentOutOfRangeException>(() => new Plan(Fixture.Model, new PlanOptions { Threads = -1 }));
            var index = new PlanOptions { Device = Device.Cuda, DeviceIndex = 99, DeviceCache = "no/such/folder" };
            var device = Assert.Throws<DeviceException>(() => new Plan(Fixture.Model, index));
            Assert.Equal(Status.DeviceUnusable, device.Status);
            index.Fallback = Fallback.Cpu;
            using (var plan = new Plan(Fixture.Model, index))
            {
                Assert.Contains("fallback", plan.Describe());
            }
            Assert.Throws<ArgumentNullException>(() => new Plan(null));
        }

        [Fact]
        public void DevicesAreListed()
        {
            var devices = DeviceInfo.List();
            Assert.True(devices.Count > 0);
            Assert.Equal(Device.Cpu, devices[0].Device);
            Assert.True(devices[0].Usable, devices[0].Reason);
            Assert.False(devices[0].Hardware);
            foreach (var device in devices)
            {
                Assert.True(device.Name.Length > 0 && device.Usable == (device.Reason.Length == 0), device.Name);
            }
        }

        [Fact]
        public void RuntimeIsTold()
        {
            Library.OpenRuntime();
            Assert.Contains("1.", Library.RuntimeVersion);
            Assert.Contains("onnxruntime", Library.RuntimePath);
            Assert.Contains(".", Library.Version);
            Library.OpenRuntime(Library.RuntimePath);
            Assert.Throws<InputException>(() => Library.OpenRuntime(Fixture.ModelFolder));
            Assert.Contains("no/plug-in", Assert.Throws<DeviceException>(() => Library.AddRuntimePlugin("no/plug-in")).Message);
        }

        [Fact]
        public void DisposedHandlesSaySo()
        {
            var model = Fixture.Open();
            var plan = new Plan(model);
            model.Dispose();
            model.Dispose();
            Assert.Equal("Model", Assert.Throws<ObjectDisposedException>(() => { var name = model.Name; }).ObjectName);
            Assert.Throws<ObjectDisposedException>(() => { var labels = model.Labels; });
            Assert.Throws<ObjectDisposedException>(() => new Plan(model));
            Assert.Throws<ObjectDisposedException>(() => Model.Ensemble(model));
            Assert.Equal(Fixture.Expected(Fixture.Small), plan.Segment(Fixture.Volume(Fixture.Small)).Bytes);
            plan.Dispose();
            plan.Dispose();
            var volume = Fixture.Volume(Fixture.Small);
            Assert.Equal("Plan", Assert.Throws<ObjectDisposedException>(() => plan.Segment(volume)).ObjectName);
            Assert.Throws<ObjectDisposedException>(() => plan.Estimate(volume));
            Assert.Throws<ObjectDisposedException>(() => plan.Describe());
        }

        private static Label Find(Model model, string name)
        {
            foreach (var label in model.Labels)
            {
                if (label.Name == name)
                {
                    return label;
                }
            }
            throw new KeyNotFoundException(name);
        }
    }
}
