using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>C# and C agree on each structure, and nothing of them is left out.</summary>
    public sealed unsafe class DeclarationTests
    {
        [Fact]
        public void LayoutsAreThoseOfC()
        {
            var program = Path.Combine(Path.GetTempPath(), "voxseg-layout-" + Guid.NewGuid().ToString("N"));
            var seen = 0;
            try
            {
                var root = Fixture.Repository;
                // Where there is no compiler, the program is made elsewhere.
                var made = Environment.GetEnvironmentVariable("VOXSEG_LAYOUT");
                if (made == null)
                {
                    Run("cc", "\"-I" + root + "/include\" -o \"" + program + "\" \"" + root + "/tests/abi/layout.c\"");
                }
                foreach (var line in Run(made ?? program, "").Split(new[] { '\r', '\n' }, StringSplitOptions.RemoveEmptyEntries))
                {
                    // "structure field offset size", or "structure - alignment size".
                    var words = line.Split(' ');
                    var structure = typeof(Model).Assembly.GetType("Voxseg." + words[0], true);
                    if (words[1] == "-")
                    {
                        Assert.Equal(words[0] + " " + words[3], words[0] + " " + Marshal.SizeOf(structure));
                        continue;
                    }
                    var field = structure.GetField(words[1]);
                    Assert.True(field != null, words[0] + " has no field " + words[1]);
                    var size = field.FieldType.IsPointer ? IntPtr.Size : Marshal.SizeOf(field.FieldType);
                    Assert.Equal(line, string.Join(" ", words[0], words[1], Marshal.OffsetOf(structure, words[1]), size));
                    seen++;
                }
            }
            finally
            {
                File.Delete(program);
            }
            Assert.True(seen > 80, "only " + seen + " fields were compared");
        }

        [Fact]
        public void EachFunctionIsThere()
        {
            var listed = File.ReadAllLines(Path.Combine(Fixture.Repository, "include/voxseg.symbols"));
            var declared = new List<string>();
            foreach (var method in typeof(NativeMethods).GetMethods(BindingFlags.Static | BindingFlags.Public))
            {
                Marshal.Prelink(method);
                declared.Add(method.Name);
            }
            declared.Sort(string.CompareOrdinal);
            Array.Sort(listed, string.CompareOrdinal);
            Assert.Equal(listed, declared);
        }

        [Fact]
        public void ReportsTellEachField()
        {
            foreach (var pair in new[]
            {
                new[] { typeof(vxs_run_report), typeof(RunReport) },
                new[] { typeof(vxs_plan_report), typeof(PlanReport) },
                new[] { typeof(vxs_progress), typeof(SegmentProgress) },
                new[] { typeof(vxs_comparison), typeof(Comparison) },
                new[] { typeof(vxs_device_info), typeof(DeviceInfo) },
                new[] { typeof(vxs_label_statistics), typeof(LabelStatistics) },
                new[] { typeof(vxs_label_dose), typeof(LabelDose) },
            })
            {
                var fields = new List<string>();
                foreach (var field in pair[0].GetFields())
                {
                    if (field.Name != "struct_size" && field.Name != "reserved")
                    {
                        fields.Add(field.Name.Replace("_", ""));
                    }
                }
                var properties = new List<string>();
                foreach (var property in pair[1].GetProperties())
                {
                    properties.Add(property.Name.ToLowerInvariant());
                }
                fields.Sort(string.CompareOrdinal);
                properties.Sort(string.CompareOrdinal);
                Assert.Equal(fields, properties);
            }
        }

        [Fact]
        public void DefaultsAreTheLibrarys()
        {
            using (var call = new NativeCall())
            {
                vxs_plan_options plan, ours;
                VoxsegException.Check(NativeMethods.vxs_plan_options_init(&plan, (ulong)sizeof(vxs_plan_options)));
                new PlanOptions().Fill(&ours, call);
                Assert.Equal(Bytes(&plan, sizeof(vxs_plan_options)), Bytes(&ours, sizeof(vxs_plan_options)));

                vxs_model_options model, mine;
                VoxsegException.Check(NativeMethods.vxs_model_options_init(&model, (ulong)sizeof(vxs_model_options)));
                new ModelOptions().Fill(&mine, call);
                Assert.Equal(Bytes(&model, sizeof(vxs_model_options)), Bytes(&mine, sizeof(vxs_model_options)));

                vxs_task_options task, own;
                VoxsegException.Check(NativeMethods.vxs_task_options_init(&task, (ulong)sizeof(vxs_task_options)));
                new TaskOptions().Fill(&own, call);
                Assert.Equal(Bytes(&task, sizeof(vxs_task_options)), Bytes(&own, sizeof(vxs_task_options)));

                vxs_volume volume, grid;
                VoxsegException.Check(NativeMethods.vxs_volume_init(&volume, (ulong)sizeof(vxs_volume)));
                volume.dtype = (int)VoxelType.Float32;
                for (var axis = 0; axis < 3; axis++)
                {
                    volume.shape[axis] = 5;
                }
                var empty = Volume.Grid(5, 5, 5);
                empty.Spacing = new double[] { 1, 1, 1 };
                empty.Fill(&grid, call);
                Assert.Equal(Bytes(&volume, sizeof(vxs_volume)), Bytes(&grid, sizeof(vxs_volume)));
            }
        }

        private static byte[] Bytes(void* memory, int size)
        {
            var bytes = new byte[size];
            Marshal.Copy((IntPtr)memory, bytes, 0, size);
            return bytes;
        }

        private static string Run(string program, string arguments)
        {
            var start = new ProcessStartInfo(program, arguments)
            {
                UseShellExecute = false, RedirectStandardOutput = true,
            };
            using (var process = Process.Start(start))
            {
                var output = process.StandardOutput.ReadToEnd();
                process.WaitForExit();
                Assert.Equal(0, process.ExitCode);
                return output;
            }
        }
    }
}
