using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using Xunit;

namespace Voxseg.Tests
{
    /// <summary>What may be null says so, by the attributes that compilers know.</summary>
    public sealed class NullTests
    {
        [Fact]
        public void ArgumentsThatMayBeNullSaySo()
        {
            var wrong = new List<string>();
            var seen = 0;
            foreach (var type in typeof(Model).Assembly.GetExportedTypes())
            {
                var methods = type.GetMethods().Cast<MethodBase>().Concat(type.GetConstructors());
                foreach (var parameter in methods.SelectMany(method => method.GetParameters()))
                {
                    if (!parameter.IsOptional || parameter.ParameterType.IsValueType)
                    {
                        continue;
                    }
                    seen++;
                    if (!Has(parameter.GetCustomAttributes(false), "AllowNullAttribute"))
                    {
                        wrong.Add(type.Name + "." + parameter.Member.Name + "(" + parameter.Name + ")");
                    }
                }
            }
            Assert.Equal("", string.Join(", ", wrong));
            Assert.True(seen > 20, "only " + seen + " optional arguments");
        }

        [Fact]
        public void OptionsThatAreNullSaySo()
        {
            var wrong = new List<string>();
            var seen = 0;
            foreach (var options in new object[]
            {
                new MeasureOptions(), new ModelOptions(), new PlanOptions(), new SegmentOptions(), new TaskOptions(),
                Volume.Grid(1, 1, 1), new VoxelBuffer((IntPtr)1, 1, VoxelType.UInt8),
            })
            {
                foreach (var property in options.GetType().GetProperties())
                {
                    if (property.GetIndexParameters().Length > 0 || property.GetValue(options) != null)
                    {
                        continue;
                    }
                    seen++;
                    if (!Has(property.GetCustomAttributes(false), "MaybeNullAttribute"))
                    {
                        wrong.Add(options.GetType().Name + "." + property.Name);
                    }
                }
            }
            Assert.Equal("", string.Join(", ", wrong));
            Assert.True(seen > 7, "only " + seen + " properties are null");
        }

        private static bool Has(IEnumerable<object> attributes, string name)
        {
            return attributes.Any(attribute => attribute.GetType().Name == name);
        }
    }
}
