using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Threading.Tasks;

// As much of xunit as the tests use, for where only a compiler and a runtime are: with the .NET SDK the project takes
// xunit itself.
namespace Xunit
{
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class FactAttribute : Attribute { }

    public sealed class AssertException : Exception
    {
        public AssertException(string message) : base(message) { }
    }

    public static class Assert
    {
        public static void True(bool condition, string message = null)
        {
            if (!condition)
            {
                throw new AssertException(message ?? "false, expected true");
            }
        }

        public static void False(bool condition)
        {
            True(!condition, "true, expected false");
        }

        public static void Equal<T>(T expected, T actual)
        {
            if (expected is IEnumerable && !(expected is string))
            {
                Equal(((IEnumerable)(object)expected).Cast<object>(), ((IEnumerable)(object)actual).Cast<object>());
                return;
            }
            True(EqualityComparer<T>.Default.Equals(expected, actual), "found " + actual + ", expected " + expected);
        }

        public static void Equal(double expected, double actual, int decimals)
        {
            Equal(Math.Round(expected, decimals), Math.Round(actual, decimals));
        }

        public static void Equal<T>(IEnumerable<T> expected, IEnumerable<T> actual)
        {
            var position = 0;
            using (IEnumerator<T> left = expected.GetEnumerator(), right = actual.GetEnumerator())
            {
                for (; ; position++)
                {
                    bool more = left.MoveNext(), also = right.MoveNext();
                    True(more == also, "they have different lengths from entry " + position + " on");
                    if (!more)
                    {
                        return;
                    }
                    True(
                        EqualityComparer<T>.Default.Equals(left.Current, right.Current),
                        "found " + right.Current + " at " + position + ", expected " + left.Current);
                }
            }
        }

        public static void Same(object expected, object actual)
        {
            True(ReferenceEquals(expected, actual), "another object");
        }

        public static void Contains(string part, string text)
        {
            True(text != null && text.Contains(part), "found \"" + text + "\", expected \"" + part + "\" in it");
        }

        public static void InRange(double actual, double low, double high)
        {
            True(actual >= low && actual <= high, "found " + actual + ", expected " + low + " to " + high);
        }

        public static T Throws<T>(Action action) where T : Exception
        {
            try
            {
                action();
            }
            catch (Exception exception)
            {
                return Exactly<T>(exception);
            }
            throw new AssertException("nothing was thrown, expected " + typeof(T));
        }

        private static T Exactly<T>(Exception exception) where T : Exception
        {
            True(exception.GetType() == typeof(T), "found " + exception + ", expected " + typeof(T));
            return (T)exception;
        }
    }

    /// <summary>Runs every test, or those whose names contain the argument.</summary>
    internal static class Runner
    {
        private static int Main(string[] arguments)
        {
            int passed = 0, failed = 0;
            foreach (var type in typeof(Runner).Assembly.GetTypes())
            {
                foreach (var method in type.GetMethods())
                {
                    var name = type.Name + "." + method.Name;
                    if (method.GetCustomAttribute<FactAttribute>() == null
                        || arguments.Length > 0 && !name.Contains(arguments[0]))
                    {
                        continue;
                    }
                    try
                    {
                        var result = method.Invoke(Activator.CreateInstance(type), null) as Task;
                        if (result != null)
                        {
                            result.GetAwaiter().GetResult();
                        }
                        passed++;
                    }
                    catch (Exception exception)
                    {
                        failed++;
                        Console.WriteLine("FAILED " + name + ": " + (exception.InnerException ?? exception));
                    }
                }
            }
            Console.WriteLine(passed + " passed, " + failed + " failed");
            return failed == 0 && passed > 0 ? 0 : 1;
        }
    }
}
